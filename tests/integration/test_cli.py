"""Two companies, each with nothing but the command `undersigned`: a hire, and everything that can be asked about it."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import pty
import re
import resource
import signal
import socket
import subprocess
import sys
import time
import tomllib
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import BinaryIO

import pytest
from structlog.testing import capture_logs

from integration.archives import contents, make_wheel
from integration.commands import UNDERSIGNED, Ended, Process, environment, serving, undersigned
from integration.hires import Hands, did_of, free_ports
from issuing import issued
from undersigned.credentials import AccreditedBy, Authority
from undersigned.daemon import Peer
from undersigned.daemon.door import ListenerLimits
from undersigned.encoding import digest_bytes, seconds_between
from undersigned.errors import UndersignedError
from undersigned.evidence import STEPS, read_archive, verifier_page
from undersigned.runtime import ABSENT, Home, SystemClock, hire_order, issue_membership
from undersigned.runtime.artifacts import store as artifacts
from undersigned.testing import Actor
from undersigned.transport import ChannelLimits, connect
from unit.cli.running import files, run
from unit.cli.test_delivered import LONG, tight

MOVES = [
    *("Inquiry", "Profile", "Presentation", "Presentation", "Offer", "Acceptance", "Seal", "Start"),
    *("Delivery", "Review", "Closing", "Closing"),
]


class Companies:
    """Two state folders that trust each other's organisation, and what became of their first hire."""

    def __init__(
        self,
        folder: Path,
        *,
        trust: tuple[bool, bool] = (True, True),
        keys: tuple[str, str] = ("Ed25519", "Ed25519"),
    ) -> None:
        ports = free_ports(2)
        self.folder = folder
        self.acme, self.globex = folder / "acme", folder / "globex"
        self.hirer, self.provider = map(did_of, ports)
        self.wheel = make_wheel(folder)
        self.hired: Ended
        for home, own, other, more in (
            (self.acme, 0, 1, ()),
            (self.globex, 1, 0, ("--offer", "sbom=4.00 EUR")),
        ):
            anchors = ("--trust", f"{did_of(ports[other])}:org") if trust[own] else ()
            place = ("--local", "--port", ports[own], "--key", keys[own])
            assert run("init", home, *place, *anchors, *more).code == 0

    def hire(self, *more: object, home: Path | None = None) -> Ended:
        """Acme hires Globex for a bill of materials of the wheel."""
        artifact = ("--input", f"artifact={self.wheel}")
        ran = run("hire", self.provider, "--home", home or self.acme, "--task", "sbom", *artifact, "--json", *more)
        return Ended(*ran)


@pytest.fixture(scope="module")
def companies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Companies]:
    """Two companies after their first hire; Globex still serves."""
    found = Companies(tmp_path_factory.mktemp("companies"))
    with serving(found.globex) as served:
        found.hired = undersigned(
            *("hire", found.provider, "--home", found.acme, "--task", "sbom", "--price", "5 EUR", "--json"),
            *("--input", f"artifact={found.wheel}", "--out", found.folder / "out"),
            folder=found.folder,
        )
        served.until('"over"')
        yield found


def engagement_of(companies: Companies) -> str:
    return companies.hired.result()["engagement"]


def test_a_hire_between_two_processes(companies: Companies) -> None:
    result = companies.hired.result()
    assert result["price"] == "4 EUR"
    assert result["criteria"] == {"schema-valid": True, "describes-artifact": True, "lists-every-file": True}
    bill = json.loads(Path(result["written"]["sbom.cdx.json"]).read_bytes())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    described = bill["metadata"]["component"]
    assert (described["name"], described["version"]) == ("app", "1.0")
    assert described["hashes"] == [{"alg": "SHA-256", "content": sha256(companies.wheel.read_bytes()).hexdigest()}]
    listed = {c["name"]: c["hashes"][0]["content"] for c in bill["components"] if c["type"] == "file"}
    assert listed == contents(companies.wheel)
    assert companies.hired.err == ""


def test_the_hirer_is_told_every_move_once_and_in_order(companies: Companies) -> None:
    moves = [v for v in companies.hired.values if v["kind"] in ("sent", "received") and v["type"] in MOVES]
    assert [move["type"] for move in moves] == MOVES
    sent = [move["type"] for move in moves if move["kind"] == "sent"]
    assert sent == ["Inquiry", "Presentation", "Offer", "Seal", "Start", "Review", "Closing"]
    assert all(value["local"] is True for value in companies.hired.values)


@pytest.mark.parametrize("side", ["acme", "globex"])
def test_both_sides_can_be_looked_at(side: str, companies: Companies) -> None:
    """While Globex's peer runs: readers do not need the ledger for themselves, and change nothing."""
    home, engagement = getattr(companies, side), engagement_of(companies)
    before = {name: content for name, content in files(home).items() if not name.startswith(("ledger.db", "trust.db"))}
    seen = run("watch", engagement, "--no-follow", "--home", home, "--json").values
    assert [value["type"] for value in seen[:-1] if value["type"] in MOVES] == MOVES
    assert (seen[-1]["engagement"], seen[-1]["state"]) == (engagement, "closed")
    followed = run("watch", engagement, "--home", home)
    assert followed.code == 0, "an engagement that is over is not waited for"
    days = sorted({value["at"][:10] for value in seen[:-1]})
    assert [line[-18:] for line in followed.out.splitlines() if line.endswith("UTC")] == [
        f"{day}, in UTC" for day in days
    ]
    listed = {value["engagement"]: value for value in run("ledger", "list", "--home", home, "--json").values}
    assert listed[engagement]["contract"] == companies.hired.result()["contract"]
    assert f"contract {listed[engagement]['contract']}" in run("ledger", "list", "--home", home).out
    assert listed[engagement]["role"] == ("hirer" if side == "acme" else "provider")
    rows = run("ledger", "show", engagement, "--home", home, "--json").values
    assert [row["place"] for row in rows] == list(range(1, len(rows) + 1))
    assert [row["type"] for row in rows if row["type"] in MOVES] == MOVES
    (checked,) = run("ledger", "fsck", "--home", home, "--json").values
    assert (checked["ok"], checked["defects"]) == (True, [])
    assert checked["leaves"] >= 1
    keys = run("keys", "list", "--home", home, "--json").values
    assert [key["name"] for key in keys] == ["agent", "organisation"]
    after = {name: content for name, content in files(home).items() if not name.startswith(("ledger.db", "trust.db"))}
    assert before == after


@pytest.mark.parametrize("side", ["acme", "globex"])
def test_what_is_withheld_is_counted_and_still_proved(side: str, companies: Companies, tmp_path: Path) -> None:
    """HIRE-PCK-07: decisions of a real hire, left out and still in the log; what holds the rest together stays."""
    home, whole, less = getattr(companies, side), tmp_path / "whole.zip", tmp_path / "less.zip"
    export = ("export", engagement_of(companies), "--home", home)
    assert run(*export, "--out", whole).code == 0
    decisions = [name for name in read_archive(whole.read_bytes()) if name.startswith("decisions/")]
    assert decisions
    named = {json.loads(read_archive(whole.read_bytes())[name])["inputs"]["policy"] for name in decisions}
    kept = [name for name in read_archive(whole.read_bytes()) if name.startswith("policies/")]
    assert kept == sorted(f"policies/{digest}.json" for digest in named), "what the decisions were made by"
    kinds = {"decision": len(decisions)}
    if any(name.startswith("artifacts/") for name in read_archive(whole.read_bytes())):
        kinds["artifact"] = 1
    hidden = ("--withhold", "decisions/", *(("--withhold", "artifacts/uEi*") if "artifact" in kinds else ()))
    (told,) = run(*export, "--out", less, *hidden, "--json").values
    assert told["withheld"] == kinds
    said = run(*export, "--out", less, *hidden).out
    assert f"left out, a commitment in place of each: {'1 artifact, ' if 'artifact' in kinds else ''}" in said
    assert not [name for name in read_archive(less.read_bytes()) if name.startswith(("decisions/", "artifacts/"))]
    (all_of_it,), (said,) = run("verify", whole, "--json").values, run("verify", less, "--json").values
    assert said["ok"]
    assert f"{len(decisions)} of kind decision" in said["steps"][-1]["detail"]
    proved = [one["steps"][7]["detail"] for one in (all_of_it, said)]
    assert proved[0] == proved[1], "what is withheld is in the log as before"
    assert "more leaves in the log of" in proved[0]
    for pattern in ("transcript/*", "contract.json", "x", "decision", "artifacts/sbom.cdx.json", "approvals", "*/x"):
        slip = run(*export, "--out", tmp_path / "no.zip", "--withhold", "decisions", "--withhold", pattern, "--json")
        assert (slip.code, slip.error["code"]) == (2, "not_found"), pattern
        assert f"decisions/ ({len(decisions)})" in slip.error["message"]
    assert not (tmp_path / "no.zip").exists(), "what was to be hidden is not written"
    nowhere = run(*export, "--out", tmp_path / "no" / "pack.zip", "--json")
    assert nowhere.error["message"] == f"--out: there is no folder {tmp_path / 'no'}"


@pytest.mark.parametrize("what", ["damaged", "missing", "large", "unavailable"])
def test_an_artifact_that_cannot_be_read_is_named_and_the_rest_is_proved(
    what: str, companies: Companies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-PCK: the engagement is proved by digests; a copy here decides nothing about it, and is not kept quiet."""
    home, pack = companies.acme, tmp_path / "hire.zip"
    made = (companies.folder / "out" / "sbom.cdx.json").read_bytes()
    folder, digest = home / "artifacts", digest_bytes(made)
    engagement = engagement_of(companies)
    match what:
        case "damaged":
            (folder / digest).write_bytes(made[:-1] + b"?")
        case "missing":
            (folder / digest).unlink()
        case "large":
            monkeypatch.setattr("undersigned.runtime.evidence.delivered.MAX_WHOLE_BYTES", len(made) - 1)
        case _:
            folder.rename(home / "aside")
            folder.write_bytes(b"something else is here")
    try:
        for hidden in ((), ("--withhold", "artifacts")):
            export = ("export", engagement, "--home", home, "--out", pack, "--force", *hidden)
            ran = run(*export, "--json")
            assert ran.code == 0, ran
            (absent,) = ran.values[0]["absent"]
            assert "withheld" not in ran.values[0]
            assert absent == {
                "engagement": engagement,
                "digest": digest,
                "name": "sbom.cdx.json",
                "why": what,
                "place": str(folder / digest),
            }
            assert f"not in it: sbom.cdx.json, {digest}: {ABSENT[what]} ({folder / digest})" in run(*export).out
            assert run("verify", pack).code == 0
            assert not [name for name in read_archive(pack.read_bytes()) if name.startswith("artifacts/")]
        traced = run("trace", digest, "--home", home, "--json")
        assert traced.code == 0, traced
        tree = traced.values[0]["trace"]
        assert tree["why"] == f"its bytes are not here ({ABSENT[what]}); it is known by its digest"
        assert {step["kind"] for step in tree["steps"]} == {"delivery"}  # another hire here may have made the same
    finally:
        if what == "unavailable":
            folder.unlink()
            (home / "aside").rename(folder)
        (folder / digest).write_bytes(made)
    again = run("export", engagement, "--home", home, "--out", pack, "--force", "--json")
    monkeypatch.undo()
    assert ("absent" in again.values[0]) == (what == "large")


@pytest.mark.parametrize("side", ["acme", "globex"])
def test_both_sides_have_evidence(side: str, companies: Companies, tmp_path: Path) -> None:
    """HIRE-PCK: each side's pack is checked without network, state or keys, and says the same."""
    home, pack = getattr(companies, side), tmp_path / "hire.zip"
    page = tmp_path / "hire.html"
    exported = run("export", engagement_of(companies), "--home", home, "--out", pack, "--page", page, "--json")
    assert exported.values == [{"file": str(pack), "bytes": pack.stat().st_size, "page": str(page), "local": True}]
    assert page.read_bytes() == verifier_page(pack.read_bytes())
    ended = undersigned("verify", pack, "--explain", folder=tmp_path, HOME=str(tmp_path))
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert [line.split()[:2] for line in lines[: len(STEPS)]] == [
        [str(number), "ok"] for number, _ in enumerate(STEPS, 1)
    ]
    assert any(companies.hired.result()["contract"] in line for line in lines[len(STEPS) :])
    (said,) = run("verify", pack, "--json").values
    assert [key["known"] for key in said["keys"]] == [False] * 4
    known = [option for one in (companies.acme, companies.globex) for option in ("--did-document", one / "did.json")]
    (compared,) = run("verify", pack, *known, "--json").values
    assert [key["known"] for key in compared["keys"]] == [True, True, False, False]
    # Of whom the verifier has no document, such as those who vouch for the parties, it says that the pack's was taken.
    everybody, others = (set(one["steps"][1]["detail"].partition("pack: ")[2].split(", ")) for one in (said, compared))
    parties = {companies.hirer, companies.provider}
    assert everybody == {key["method"].partition("#")[0] for key in said["keys"]} > parties
    assert others == everybody - parties
    assert (said["ok"], said["contract"], said["state"]) == (True, companies.hired.result()["contract"], "closed")


def test_an_export_is_of_a_contract_and_holds_and_writes_over_nothing(companies: Companies, tmp_path: Path) -> None:
    """Neither a check nor a hire that reached nobody is the newest; what would not hold is not written."""
    home, pack, other = companies.acme, tmp_path / "pack.zip", tmp_path / "other.zip"
    nobody = did_of(free_ports(1)[0])
    assert run("check", companies.provider, "--home", home).code == 0
    assert run("hire", nobody, "--task", "x", "--wait", "0.5", "--home", home).code == 6
    assert run("export", "--home", home, "--out", pack).code == 0
    (said,) = run("verify", pack, "--json").values
    assert (said["ok"], said["contract"] is not None) == (True, True)

    (lonely, *_) = [v for v in run("ledger", "list", "--home", home, "--json").values if v["peer"] == nobody]
    refused = run("export", lonely["engagement"], "--home", home, "--out", other, "--json")
    assert (refused.code, refused.error["code"]) == (4, "evidence_invalid")
    assert not other.exists()

    assert run("export", "--home", home, "--out", pack).code == 0, "the same bytes lose nothing"
    pack.write_bytes(b"of somebody else")
    again = run("export", "--home", home, "--out", pack, "--json")
    assert (again.code, "--force" in again.error["message"]) == (2, True)
    assert pack.read_bytes() == b"of somebody else"
    assert run("export", "--home", home, "--out", pack, "--force").code == 0
    assert run("verify", pack).code == 0
    assert run("export", "--home", home, "--out", tmp_path / "nowhere" / "x.zip").code == 2
    assert not (tmp_path / "nowhere").exists()


def test_a_part_of_an_id_names_an_engagement(companies: Companies, tmp_path: Path) -> None:
    """What `serve` shows of an id, its ending, or its contract is enough; what others have too is not.

    Every part stands after `--`: a digest may have `-` at any place, and a part of it then looks like an option.
    """
    engagement = engagement_of(companies)
    contract = companies.hired.result()["contract"]
    for part in (engagement.rpartition(":")[2][4:12], engagement[-10:], contract, f"{contract[4:12]}…"):
        rows = run("ledger", "show", "--home", companies.globex, "--json", "--", part)
        assert rows.code == 0
        assert [row["type"] for row in rows.values if row["type"] in MOVES] == MOVES
        watched = run("watch", "--no-follow", "--home", companies.globex, "--json", "--", part).values
        assert watched[-1]["engagement"] == engagement
        assert run("export", "--home", companies.globex, "--out", tmp_path / "pack.zip", "--", part).code == 0
        shown = run("contract", "show", "--home", companies.globex, "--json", "--", part)
        assert (shown.code, shown.values[0]["contract"]) == (0, contract)
    for part in (engagement[-5:], "urn:hire:engagement:", "uEi"):
        for command in (("ledger", "show"), ("watch",), ("export",), ("contract", "show")):
            ran = run(*command, "--home", companies.globex, "--json", "--", part)
            assert (ran.code, ran.error["code"]) == (2, "not_found")


def test_an_order_names_its_contract_in_whole(companies: Companies) -> None:
    """And who names it as `show` takes it is told what to write."""
    contract = companies.hired.result()["contract"]
    for part in (f"{contract[4:12]}…", engagement_of(companies)):
        refused = run("contract", "cancel", "--home", companies.globex, "--json", "--", part).error
        assert (refused["code"], refused["message"].endswith(f" in whole: {contract}")) == ("bad_configuration", True)
    nobody = run("contract", "cancel", "--home", companies.globex, "--json", "uEi").error
    assert nobody["message"] == "expected a digest as 'contract show' and 'ledger list' print it, got uEi"
    over = run("contract", "cancel", "--home", companies.globex, "--json", contract).error
    assert over["message"].startswith(f"{contract} is closed")


def test_each_line_says_local(companies: Companies, tmp_path: Path) -> None:
    """HIRE-DID-06, the exception: who uses local state is told so wherever something is printed; beside a file for
    others, on standard error.
    """
    home, engagement = companies.acme, engagement_of(companies)
    for command in (
        ("keys", "list"),
        ("ledger", "list"),
        ("ledger", "show", engagement),
        ("ledger", "fsck"),
        ("watch", "--no-follow"),
        ("export", "--out", tmp_path / "x.zip"),
        ("check", companies.provider),
        ("discover", companies.provider),
        ("hire", companies.provider, "--task", "nothing-known"),
        ("hire", "nonsense", "--task", "x"),
    ):
        ran = run(*command, "--home", home)
        lines = [line for line in (ran.out + ran.err).splitlines() if line]
        assert lines
        assert [line for line in lines if not line.startswith("local | ")] == []
    for command in (("keys", "show"), ("ledger", "checkpoint")):
        ran = run(*command, "--home", home)
        assert "local | " not in ran.out
        assert ran.err.startswith("local | ")


def test_what_a_did_publishes(companies: Companies, tmp_path: Path) -> None:
    (seen,) = run("discover", companies.provider, "--local", "--json", UNDERSIGNED_HOME=str(tmp_path)).values
    assert seen["endpoints"] == [companies.provider.replace("did:web:localhost%3A", "ws://localhost:") + "/hire"]
    assert list(seen["keys"].values()) == ["Ed25519"]
    assert seen["card"]["tasks"][0]["task"] == "sbom"
    assert "does      sbom for 4 EUR" in run("discover", companies.provider, "--home", companies.acme).out
    forbidden = run("discover", companies.provider, "--json", UNDERSIGNED_HOME=str(tmp_path))
    assert "'discover --local'" in forbidden.error["message"]
    assert (forbidden.code, forbidden.error["code"]) == (4, "did_forbidden_address")
    key = "did:key:z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH"
    assert "name one with --at" in run("discover", key, UNDERSIGNED_HOME=str(tmp_path)).out


CARDS = {
    "none": ("404 Not Found", b"", "it publishes no agent card"),
    "too large": ("200 OK", json.dumps({"tasks": [], "more": "x" * 70_000}).encode(), "is longer than 65536 bytes"),
    "not JSON": ("200 OK", b"<html>", "agent-card.json: "),
    "not an object": ("200 OK", b"[]", "agent-card.json: expected a JSON object"),
    "of others": (
        "200 OK",
        b'{"tasks":[{"task":"sbom","summary":"two\\nlines","rate":0.5}],"more":null}',
        "does      sbom  two\\nlines",
    ),
    "of A2A": ("200 OK", b'{"name":"acme","skills":[{"id":"sbom","name":"SBOM"}]}', "its agent card names no task"),
    "of many": ("200 OK", json.dumps({"tasks": [{"price": {}}] * 60}).encode(), "and 10 more; --json tells them"),
}


@pytest.mark.parametrize("what", CARDS)
def test_why_there_is_no_card_is_told(what: str, companies: Companies) -> None:
    """It lies beside the place where an agent listens; here that is named, and somebody else's."""
    status, body, said = CARDS[what]

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.wfile.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        asked = ("discover", companies.provider, "--at", f"ws://localhost:{server.server_port}/hire")
        shown = run(*asked, "--home", companies.acme)
        (value,) = run(*asked, "--home", companies.acme, "--json").values
        server.shutdown()
    assert (shown.code, said in shown.out) == (0, True), shown.out
    assert ("cardError" in value, value["card"] is None) == (2 * (not what.startswith("of "),))


NO_PLACES = (
    *("ws://[::1", "wss://[192.0.2.1]/hire", "wss://ex\u2100mple.com/hire"),
    *("http://192.0.2.1/hire", "ws://a:b@localhost/hire", "file:///hire"),
)


@pytest.mark.parametrize("endpoint", NO_PLACES)
def test_a_place_that_nobody_can_dial_is_told_as_that(endpoint: str, companies: Companies) -> None:
    """Whoever has a DID document writes into it what it likes. It is not waited for: no other attempt would help."""
    (port,) = free_ports(1)
    did = did_of(port)
    service = {"id": f"{did}#hire", "type": "HireService", "serviceEndpoint": endpoint}
    document = {"@context": ["https://www.w3.org/ns/did/v1"], "id": did, "service": [service]}
    body = json.dumps(document).encode()

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.wfile.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", port), Site) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        (value,) = run("discover", did, "--local", "--json").values
        checked = run("check", did, "--home", companies.acme, "--json")
        server.shutdown()
    assert (value["endpoints"], value["card"]) == ([endpoint], None)
    assert value["cardError"]["code"] in ("unreachable", "did_forbidden_address")
    assert "not tried again, and withdrawn" in checked.error["message"], checked


def test_a_card_of_nobody_there_is_told_as_that(companies: Companies) -> None:
    nowhere = f"ws://localhost:{free_ports(1)[0]}/hire"
    (value,) = run("discover", companies.provider, "--at", nowhere, "--home", companies.acme, "--json").values
    assert (value["card"], value["cardError"]["code"]) == (None, "unreachable")
    assert "was not fetched" in value["cardError"]["message"]


def test_who_takes_no_more_for_now_is_not_asked_whether_it_runs(tmp_path: Path) -> None:
    """By the socket it says so with a code of its own, and by HTTP as a DID that does not resolve."""
    acme, globex = tmp_path / "acme", tmp_path / "globex"
    assert run("init", acme, "--local").code == 0
    (other,) = run("init", globex, "--local", "--json").values

    async def fail(url: str) -> None:
        for _ in range(ListenerLimits().failures):
            channel = await connect(url, limits=ChannelLimits(local=True))
            await channel.send(b"{}")
            with suppress(UndersignedError):
                while True:
                    await channel.receive()

    with serving(globex) as served:
        url = json.loads(served.lines[0])["url"]
        asyncio.run(fail(url))
        by_socket = run("check", other["did"], "--at", url, "--wait", "0.5", "--home", acme, "--json")
        task = ("hire", did_of(other["port"]), "--task", "x", "--wait", "0.5")
        by_http = run(*task, "--home", acme, "--json")
    assert (by_socket.code, by_socket.error["code"]) == (6, "rate_limited")
    assert (by_http.code, by_http.error["code"]) == (6, "did_unresolvable")
    for ran in (by_socket, by_http):
        assert "answered 429" in ran.error["message"]
        assert "try again later" in ran.error["message"]
        assert "Is it running" not in ran.error["message"]
    (told,) = (line for line in served.errors if "closed to an address" in line)
    assert "proxies" in told, "what to set, where it was a proxy"


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux tells it of another process")
def test_a_peer_that_serves_may_open_as_many_files_as_its_connections_need(tmp_path: Path) -> None:
    assert run("init", tmp_path / "globex", "--local").code == 0
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    try:
        with serving(tmp_path / "globex") as served:
            may, _ = resource.prlimit(served.id, resource.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert may == min(hard, ListenerLimits().connections + 256)


def test_a_check_says_yes(companies: Companies) -> None:
    ran = run("check", companies.provider, "--home", companies.acme, "--json")
    assert (ran.code, ran.values[0]["outcome"], ran.values[0]["peer"]) == (0, "allow", companies.provider)
    newest = run("ledger", "list", "--home", companies.acme, "--json").values
    probes = [v for v in newest if (v["state"], v["peer"]) == ("withdrawn", companies.provider)]
    assert probes
    assert all(value["live"] is False and value["contract"] is None for value in probes), "and leaves nothing behind"


def test_a_check_of_a_task_that_is_not_offered_says_no(companies: Companies) -> None:
    ran = run("check", companies.provider, "--task", "painting", "--home", companies.acme, "--json")
    assert (ran.code, ran.values[0]["outcome"]) == (3, "deny")
    value = "it withdrew: not_offered; 'undersigned discover' shows what it does"
    assert ran.values[0]["reasons"][0]["value"] == value
    assert (ran.values[0]["did"], ran.values[0]["task"]) == (companies.provider, "painting")
    told = run("check", companies.provider, "--task", "painting", "--home", companies.acme).out
    assert f"no: {companies.provider} for painting: {value}\n" in told
    name = run("ledger", "list", "--home", companies.acme, "--json").values[-1]["engagement"]
    shown = run("contract", "show", name, "--home", companies.acme, "--json").error
    assert (shown["code"], shown["message"]) == ("not_found", f"{name} has no contract")


def test_a_check_of_who_does_not_believe_us_says_what_would_help(companies: Companies, tmp_path: Path) -> None:
    """As a hire does: `policy_denied` alone leaves nothing to be done."""
    stranger = tmp_path / "stranger"
    assert run("init", stranger, "--local", "--trust", f"{companies.provider}:org").code == 0
    ran = run("check", companies.provider, "--home", stranger, "--json")
    (reason,) = ran.values[-1]["reasons"]
    assert (ran.code, ran.values[-1]["outcome"], reason["code"]) == (3, "deny", "policy_denied")
    assert "it withdrew: policy_denied; would change the answer: MembershipCredential from did:" in reason["value"]


def test_work_may_take_as_long_as_is_said(companies: Companies) -> None:
    """An hour, otherwise."""
    for more, seconds in (((), 3600), (("--finish-within", 7 * 3600), 7 * 3600)):
        ended = companies.hire("--price", "5 EUR", *more)
        (offer,) = (one for one in ended.values if one.get("type") == "Offer")
        left = seconds_between(offer["at"], offer["message"]["document"]["terms"]["deadlines"]["finish"])
        assert abs(left - seconds) < 60  # when it was told, and from when it is counted, are not the same second


def test_a_price_in_other_money_is_a_no_that_says_what_is_asked_for(companies: Companies) -> None:
    ended = companies.hire("--price", "5 USD")
    assert (ended.code, ended.error["code"]) == (3, "policy_denied")
    needed = "would change the answer: another /price/currency in the terms"
    assert ended.error["message"] == f"the provider withdrew: declined; {needed}; it asks for 4 EUR"


def test_who_publishes_no_place_is_not_asked_whether_it_runs(companies: Companies) -> None:
    """The organisation beside the agent has a DID document, and listens nowhere."""
    office = f"{companies.provider}:org"
    began = time.monotonic()
    ran = run("hire", office, "--task", "x", "--wait", "60", "--home", companies.acme, "--json")
    assert time.monotonic() - began < 20
    assert (ran.code, ran.error["code"]) == (6, "unreachable")
    assert "does not say where it listens: name its URL (--at)" in ran.error["message"]
    assert "Is it running" not in ran.error["message"]


def test_a_price_that_is_too_low_is_a_no(companies: Companies) -> None:
    ended = companies.hire("--price", "3 EUR")
    assert (ended.code, ended.error["code"]) == (3, "policy_denied")
    assert "4 EUR" in ended.error["message"], "it says what would have been enough"
    assert "Withdraw" in [value.get("type") for value in ended.values]


def test_work_that_fails_is_told(companies: Companies, tmp_path: Path) -> None:
    (tmp_path / "app.whl").write_bytes(b"not an archive")
    more = ("--input", f"artifact={tmp_path / 'app.whl'}", "--task", "sbom", "--json")
    ran = run("hire", companies.provider, "--home", companies.acme, *more)
    assert (ran.code, ran.error["code"]) == (3, "upstream_failed")


def test_nobody_there(companies: Companies) -> None:
    """Exit code 6, within the time given, and with a reason."""
    nobody = did_of(free_ports(1)[0])
    for command in (("hire", nobody, "--task", "x"), ("check", nobody)):
        began = time.monotonic()
        ran = run(*command, "--wait", "0.5", "--home", companies.acme, "--json")
        assert (ran.code, ran.error["code"]) == (6, "did_unresolvable")
        assert "tried for 0.5 s, then withdrawn" in ran.error["message"]
        assert "--wait" in ran.error["message"]
        assert time.monotonic() - began < 20


def test_who_listens_where_nothing_is_dialled_is_not_tried_again(tmp_path: Path) -> None:
    """Another attempt would fail, too, and the time given is not waited for."""
    home, peer = tmp_path / "acme", "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
    assert run("init", home, "--url", "https://agents.example.com").code == 0
    for command in (("hire", peer, "--task", "x"), ("check", peer)):
        began = time.monotonic()
        ran = run(*command, "--at", "wss://10.0.0.1/hire", "--wait", "60", "--home", home, "--json")
        assert (ran.code, ran.error["code"]) == (4, "did_forbidden_address")
        assert (
            "10.0.0.1, which is not dialled; not tried again, and withdrawn: nothing binds. Only public addresses"
            in (ran.error["message"])
        )
        assert time.monotonic() - began < 20


def test_a_wrong_url_spoils_nothing_for_who_comes_after(companies: Companies) -> None:
    """A URL is its own order's: what failed there is unfinished for a while, and others look where the DID says."""
    wrong = ("--at", f"ws://localhost:{free_ports(1)[0]}/hire", "--wait", "0.5")
    failed = run("check", companies.provider, *wrong, "--home", companies.acme, "--json")
    assert (failed.code, failed.error["code"]) == (6, "unreachable")
    live = run("ledger", "list", "--live", "--home", companies.acme, "--json").values
    assert [value["state"] for value in live if value["peer"] == companies.provider] == ["withdrawn"]
    assert run("check", companies.provider, "--home", companies.acme).code == 0
    assert companies.hire("--price", "5 EUR").code == 0


def test_a_second_process_on_the_same_folder_is_told(companies: Companies) -> None:
    for command in (("serve",), ("hire", companies.hirer, "--task", "x"), ("check", companies.hirer)):
        began = time.monotonic()
        ran = run(*command, "--home", companies.globex, "--json")
        assert (ran.code, ran.error["code"]) == (8, "store_unavailable"), "as where nothing is listened on"
        held = (companies.globex / "ledger.db.lock").read_text().strip()
        assert f"process {held} runs with this state folder" in ran.error["message"]
        assert time.monotonic() - began < 20


def test_a_port_that_was_taken_meanwhile_is_told_with_the_way_out(tmp_path: Path) -> None:
    """It was free when the folder was made: a file is changed, or, where the DID names it, whoever has it is ended."""
    settings = tmp_path / "chosen" / "undersigned.toml"
    assert run("init", str(tmp_path / "chosen"), "--local").code == 0
    assert run("init", str(tmp_path / "named"), "--local", "--port", str(free_ports(1)[0])).code == 0
    port = {name: Home(tmp_path / name).configuration.listen.port for name in ("chosen", "named")}
    said = {"chosen": f"name another port under [listen] in {settings}", "named": f"%3A{port['named']} names this port"}
    for name, way_out in said.items():
        with socket.create_server(("127.0.0.1", port[name])):
            ran = run("serve", "--home", str(tmp_path / name), "--json")
        assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
        assert way_out in ran.error["message"]
    settings.write_text(settings.read_text().replace(str(port["chosen"]), str(free_ports(1)[0])))
    with socket.create_server(("127.0.0.1", port["chosen"])), serving(tmp_path / "chosen"):
        pass


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["lines", "json"])
def test_a_hire_whose_reader_leaves_tells_on_the_other_stream_that_it_is_not_over(
    form: tuple[str, ...], companies: Companies
) -> None:
    """`undersigned hire ... | head -1`."""
    nobody = did_of(free_ports(1)[0])
    command = [*UNDERSIGNED, "hire", nobody, "--task", "x", "--home", str(companies.acme), "--wait", "1", *form]
    with subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert any("Inquiry" in line for line in process.stdout)  # from here on it is under way
        process.stdout.close()
        told = process.stderr.read()
    assert process.returncode == 130
    assert "interrupted, but not over: " in told
    assert f"serve --home {companies.acme}" in told
    assert "Traceback" not in told


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["lines", "json"])
def test_a_peer_whose_reader_leaves_tells_on_the_other_stream_that_it_stops(
    form: tuple[str, ...], tmp_path: Path
) -> None:
    """`undersigned serve ... | head -1`: with the next thing that it says it ends, and others were served no longer
    without a word about it. It ends in order.
    """
    companies = Companies(tmp_path)
    command = [*UNDERSIGNED, "serve", "--home", str(companies.globex), *form]
    with subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert any("Ctrl-C" in line or '"ready"' in line for line in process.stdout)
        process.stdout.close()
        caller = Process([*UNDERSIGNED, "check", companies.provider, "--home", str(companies.acme)], tmp_path)
        told = process.stderr.read()
    caller.end(signal.SIGINT)  # whom nobody answers any more
    assert process.returncode == 130
    assert "stopped, because nobody reads what it says any more: " in told
    assert f"serve --home {companies.globex}" in told
    assert "Traceback" not in told
    assert run("ledger", "fsck", "--home", companies.globex).code == 0
    with serving(companies.globex):
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_hire_is_exit_code_130_and_goes_on_later(number: int, companies: Companies) -> None:
    nobody = did_of(free_ports(1)[0])
    command = [*UNDERSIGNED, "hire", nobody, "--task", "x", "--home", str(companies.acme), "--out", "out"]
    process = Process(command, companies.folder)
    process.until("not reached yet")
    ended = process.end(number)
    assert (ended.code, ended.err) == (130, "")
    over, shown = ended.out.splitlines()[-2:]
    assert "interrupted, but not over" in over
    assert "serve --home" in over
    named = over.partition("over: ")[2].split()[0]
    assert "what is delivered then is kept, and not written to out: " in shown
    assert f": undersigned contract show {named} --home {companies.acme} says where it is" in shown
    (live,) = [
        v
        for v in run("ledger", "list", "--live", "--home", companies.acme, "--json").values
        if v["peer"] == nobody and v["state"] == "inquired"
    ]
    assert live["engagement"] == named
    assert (live["owed"]["owes"], live["owed"]["by"] is not None) == (["provider"], True)
    assert "owed: " in run("ledger", "list", "--live", "--home", companies.acme).out


@pytest.mark.parametrize("command", ["hire", "serve"])
def test_a_hangup_that_was_ignored_stays_so(command: str, tmp_path: Path) -> None:
    """`nohup undersigned ...`: it goes on, until it is stopped in another way."""
    home, ports = tmp_path / "acme", free_ports(2)
    assert run("init", home, "--local", "--port", ports[0]).code == 0
    more, ready = ((did_of(ports[1]), "--task", "x"), "not reached yet") if command == "hire" else ((), "Ctrl-C")
    process = Process(
        ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh", *UNDERSIGNED, command, *more, "--home", str(home)], tmp_path
    )
    process.until(ready)
    process.signal(signal.SIGHUP)
    assert run("ledger", "list", "--home", home).code == 0, "while it goes on"
    assert process.runs
    ended = process.end(signal.SIGTERM)
    assert (ended.code, ended.err) == (130 if command == "hire" else 0, "")


@pytest.mark.parametrize("command", ["hire", "check"])
def test_where_ctrl_c_is_ignored_another_signal_ends_it_all_the_same(command: str, tmp_path: Path) -> None:
    """`undersigned hire ... & pid=$!; kill $pid` in a script: the shell has what it starts so ignore Ctrl-C."""
    home, ports = tmp_path / "acme", free_ports(2)
    assert run("init", home, "--local", "--port", ports[0]).code == 0
    more = ("--task", "x") if command == "hire" else ()
    wanted = (command, did_of(ports[1]), *more, "--home", str(home), "--wait", "60")
    process = Process(["sh", "-c", "trap '' INT; exec \"$@\"", "sh", *UNDERSIGNED, *wanted], tmp_path)
    process.until("not reached yet")
    process.signal(signal.SIGINT)
    assert run("ledger", "list", "--home", home).code == 0, "while it goes on"
    assert process.runs
    ended = process.end(signal.SIGTERM)
    assert (ended.code, ended.err) == (130, "")
    assert ("interrupted, but not over" in ended.out) is (command == "hire")
    (left,) = run("ledger", "list", "--home", home, "--json").values
    assert left["state"] == ("inquired" if command == "hire" else "withdrawn"), "a question that nobody asks any more"


@pytest.mark.parametrize("command", ["hire", "serve"])
def test_a_terminal_that_is_closed_ends_it_in_order(command: str, tmp_path: Path) -> None:
    """Nobody hears what it says then, and that is no defect: the ledger is sound, and shows what goes on."""
    home, ports = tmp_path / "acme", free_ports(2)
    assert run("init", home, "--local", "--port", ports[0]).code == 0
    more, ready = ((did_of(ports[1]), "--task", "x"), b"hiring") if command == "hire" else ((), b"Ctrl-C")
    with warnings.catch_warnings():  # from Python 3.12 on, where a test before has left threads
        warnings.filterwarnings("ignore", ".*use of fork", DeprecationWarning)
        pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [*UNDERSIGNED, command, *more, "--home", str(home)], environment())
    said = b""
    try:
        while ready not in said:
            said += os.read(terminal, 4096)
        os.close(terminal)
        _, status = os.waitpid(pid, 0)
    except BaseException:
        os.kill(pid, signal.SIGKILL)  # or it would listen for as long as this machine is up
        raise
    assert os.waitstatus_to_exitcode(status) == 130, said
    (checked,) = run("ledger", "fsck", "--home", home, "--json").values
    assert checked["ok"]


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, "store_full"), (errno.EIO, "store_unavailable")])
def test_what_cannot_be_written_is_told_after_the_result(
    number: int, code: str, companies: Companies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The work is accepted and owed all the same, and kept; and what to do depends on why it was not written."""

    write = artifacts.write_all

    def fails(file: BinaryIO, data: bytes | bytearray) -> None:
        if Path(file.name).parent == tmp_path / "out":
            raise OSError(number, os.strerror(number))
        write(file, data)

    # No disk of a test is full: only what the system answers is made up.
    monkeypatch.setattr(artifacts, "write_all", fails)
    ended = companies.hire("--out", tmp_path / "out")
    assert (ended.code, ended.error["code"]) == (8, code)
    assert [one["written"] for one in ended.values if one.get("kind") == "result"] == [{}]
    assert ended.error["message"].startswith("--out: ")


def test_a_hire_says_what_else_it_goes_on_with(tmp_path: Path) -> None:
    """Both in lines and in values, and which of it is for the same agent and task: nothing is finished unsaid."""
    companies = Companies(tmp_path)
    wanted = ("--task", "sbom", "--input", f"artifact={companies.wheel}")
    command = [*UNDERSIGNED, "hire", companies.provider, *wanted, "--home", str(companies.acme)]
    begun = Process(command, tmp_path)
    begun.until("not reached yet")
    first = begun.end(signal.SIGINT).out.partition("not over: ")[2].split()[0]
    other = Process([*command, "--wait", "0.3", "--out", "made/out"], tmp_path).end()
    assert not (tmp_path / "made").exists(), "nothing was delivered into it"
    told = [line.removeprefix("local | ") for line in other.out.splitlines()]
    assert told[0].startswith(f"goes on with {first}: inquired; owed: Profile or Withdraw, by the provider")
    assert told[1:3] == [
        f"{first} hires this agent for sbom, too: now it is hired again",
        f"hiring {companies.provider} for sbom as {companies.hirer}",
    ]
    nobody = ("check", companies.provider, "--home", companies.acme, "--wait", "0.3")
    assert f"goes on with {first}: " in run(*nobody).out
    with serving(companies.globex):
        (checked,) = run("check", companies.provider, "--home", companies.acme, "--json").values
        ended = companies.hire("--price", "5 EUR")
        again = companies.hire("--price", "5 EUR")
    assert first in checked["unfinished"]
    assert ended.result()["price"] == again.result()["price"] == "4 EUR"
    for one in (ended, again):
        found = [value for value in one.values if value["kind"] == "unfinished"]
        assert one.values[: len(found)] == found, "before anything else is begun"
        assert {value["engagement"] for value in found if value["again"]} <= {first}


@pytest.mark.parametrize("command", [("hire",), ("check",)])
def test_a_url_without_tls_elsewhere_is_refused_before_anything_is_stored(
    command: tuple[str], companies: Companies, tmp_path: Path
) -> None:
    """HIRE-DID-07: local state speaks without TLS to this machine alone; whoever typed the URL is told so."""
    home = tmp_path / "acme"
    assert run("init", home, "--local").code == 0
    before = files(home)
    wanted = ("--task", "sbom", "--input", f"artifact={companies.wheel}") if command == ("hire",) else ()
    for url in ("ws://example.com/hire", "ws://[::1]:8102/hire"):
        told = run(*command, companies.provider, *wanted, "--at", url, "--home", home, "--json")
        assert (told.code, told.error["code"]) == (2, "bad_configuration")
        assert "ws:// goes to localhost or 127.0.0.1 alone" in told.error["message"]
    assert files(home) == before, "nothing was begun"


def test_a_membership_that_is_past_its_end_or_soon_will_be_is_told_at_the_start(tmp_path: Path) -> None:
    """Others say that nothing was shown to them, and what was there is not named anywhere."""
    companies, hands = Companies(tmp_path), Hands()
    home, named = ("--home", str(companies.acme)), "warning: the MembershipCredential by did:web:"

    def started(*more: str) -> Ended:
        serve = Process([*UNDERSIGNED, "serve", *home, *more], tmp_path)
        serve.until('"ready"' if more else "stop it with Ctrl-C")
        return serve.end(signal.SIGTERM)

    assert named not in started().err
    hands.ahead = -340 * 86_400
    asyncio.run(issue_membership(companies.acme, clock=hands))
    (soon,) = [one for one in started("--json").values if one["kind"] == "ends"]
    assert f"ends at {soon['until']}: have it issued anew" in soon["message"]
    hands.ahead = -400 * 86_400
    asyncio.run(issue_membership(companies.acme, clock=hands))
    told = started()
    assert (told.code, named in told.err, "have it issued anew" in told.err) == (0, True, True), told
    (past,) = [one for one in started("--json").values if one["kind"] == "past"]
    assert f"is past its end, {past['until']}, and is shown to nobody" in past["message"]
    days = "from undersigned.cli import main, serving; serving.DAY_SECONDS = 0.01; main()"
    serve = Process([sys.executable, "-c", days, "serve", *home, "--json"], tmp_path)
    while sum('"past"' in line for line in serve.lines) < 3:  # and on each day after
        assert serve.runs
        time.sleep(0.01)
    assert serve.end(signal.SIGTERM).code == 0
    hands.ahead = 86_400
    asyncio.run(issue_membership(companies.acme, clock=hands))
    (early,) = [one for one in started("--json").values if one["kind"] == "begins"]
    assert f"is good from {early['from']} on, and is shown to nobody before" in early["message"]
    renewed = str(tmp_path / "member.json")
    assert run("credentials", "issue", companies.hirer, *home, "--out", renewed).code == 0
    assert run("credentials", "add", renewed, *home).code == 0
    assert named not in started().err


def test_a_clock_that_once_was_far_ahead_is_told(tmp_path: Path) -> None:
    """HIRE-CLK-01: by who starts, a program too, by what a hire fails with, and by 'ledger fsck': no damage there."""
    companies = Companies(tmp_path)

    async def begin_and_withdraw() -> str:
        hands = Hands()
        hands.ahead = 400 * 86_400
        async with Peer.open(Home(companies.acme), clock=hands) as peer:
            nobody = did_of(free_ports(1)[0])
            order = await hire_order(peer, nobody, task="sbom", inputs={"artifact": b"x"}, price="1 EUR", criteria={})
            await peer.cancel(await peer.begin(order))
            last = await peer.ledger.last_at()
            assert last is not None
            return last

    at = asyncio.run(begin_and_withdraw())
    said = f"the last entry here is of {at}, and the clock of this machine says 20"

    async def start() -> None:
        async with Peer.open(companies.acme):
            pass

    with capture_logs() as logs:
        asyncio.run(start())
    assert [one["why"][: len(said)] for one in logs if one["event"] == "time stands still"] == [said]
    home = ("--home", str(companies.acme))
    checked = run("ledger", "fsck", *home)
    assert (checked.code, checked.out[:11], checked.err.count(said)) == (0, "local | ok:", 1)
    (values,) = run("ledger", "fsck", *home, "--json").values
    assert (values["ok"], values["clock"]["at"], values["clock"]["machine"] < at) == (True, at, True)
    wanted = ("--task", "sbom", "--input", f"artifact={companies.wheel}")
    serve = Process([*UNDERSIGNED, "serve", *home], tmp_path)
    serve.until("stop it with Ctrl-C")
    ended = serve.end(signal.SIGTERM)
    assert (ended.code, ended.err.count(said)) == (0, 1)
    for command in (("hire", companies.provider, *wanted), ("check", companies.provider)):
        shown = Process([*UNDERSIGNED, *command, *home, "--wait", "60"], tmp_path).end()
        assert (shown.code, shown.err.count(said), "Inquiry" in shown.out) == (4, 1, False), shown
        told = run(*command, *home, "--json")
        assert (told.code, told.error["code"]) == (4, "proof_from_future")
        assert f"time stands still here until {at}, and the clock of this machine says 20" in told.error["message"]
        (clock,) = [value for value in told.values if value.get("kind") == "clock"]
        assert (clock["at"], clock["machine"] < at) == (at, True)
    (fine,) = run("ledger", "fsck", "--home", companies.globex, "--json").values
    assert fine["clock"] is None


@pytest.mark.parametrize(("ahead", "said"), [(90, "s ahead of theirs"), (-3600, "s behind theirs")])
def test_a_clock_that_is_another_than_theirs_is_told(
    ahead: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The peer tells no more than a code; what it publishes comes with its time. A program is told it too."""
    companies = Companies(tmp_path)

    async def hiring() -> None:
        async with Peer.open(companies.acme) as peer:
            peer.reach_seconds = 2.0
            await peer.hire(companies.provider, task="sbom", inputs={"artifact": b"of any kind"}, price="5 EUR")

    with serving(companies.globex):
        defaults = SystemClock.__init__.__kwdefaults__
        assert defaults is not None
        monkeypatch.setitem(defaults, "wall", lambda: time.time() + ahead)
        ran = run("check", companies.provider, "--wait", "3", "--home", companies.acme, "--json")
        with pytest.raises(UndersignedError, match=said) as caught:
            asyncio.run(hiring())
    assert (ran.code, ran.error["code"], caught.value.code) == (4, "proof_invalid", "proof_invalid"), ran
    assert said in ran.error["message"]


@pytest.mark.parametrize("trust", [(False, True), (True, False)], ids=["we do not", "they do not"])
def test_without_trust_the_answer_is_no(trust: tuple[bool, bool], tmp_path: Path) -> None:
    companies = Companies(tmp_path, trust=trust)
    with serving(companies.globex):
        checked = run("check", companies.provider, "--home", companies.acme, "--json")
        assert (checked.code, checked.values[0]["outcome"]) == (3, "deny")
        ended = companies.hire()
        assert (ended.code, ended.error["code"]) == (3, "policy_denied")
        if trust[1]:
            assert "would pass" in run("check", companies.provider, "--home", companies.acme).out


@pytest.mark.parametrize("command", ["check", "hire"])
def test_an_issuer_that_is_not_reached_is_told_as_that(command: str, tmp_path: Path) -> None:
    """Globex answers; what it shows is of a body that is down. Nobody waits for longer than --wait says."""
    companies, (port,) = Companies(tmp_path), free_ports(1)
    body, member = tmp_path / "body", tmp_path / "member.json"
    assert run("init", body, "--local", "--port", port).code == 0
    issue = ("credentials", "issue", companies.provider, "--type", "accreditedBy", "--capability", "sbom")
    assert run(*issue, "--out", member, "--home", body).code == 0
    (companies.globex / "credentials" / "accredited.json").write_bytes(member.read_bytes())
    settings = companies.acme / "undersigned.toml"
    text = settings.read_text().replace("anchors = [", f'anchors = ["{did_of(port)}:org", ')
    demand = 'credentials = [{ type = "AccreditedByCredential", capability = "sbom" }]'
    settings.write_text(text + f'\n[[policy.rule]]\nname = "accredited"\n{demand}\n')
    with serving(companies.globex):
        if command == "check":
            ran = run("check", companies.provider, "--home", companies.acme, "--wait", "60", "--json")
        else:
            ran = companies.hire("--wait", "3")
        assert (ran.code, ran.error["code"]) == (6, "did_unresolvable")
        assert f":{port}" in ran.error["message"]
        assert "cannot be checked" in ran.error["message"]
        assert "Is it running" not in ran.error["message"], "the peer is"


def test_a_check_says_that_what_was_shown_is_revoked(tmp_path: Path) -> None:
    companies = Companies(tmp_path)
    (member,) = run("credentials", "list", "--home", companies.globex, "--json").values
    assert run("credentials", "revoke", member["id"], "--home", companies.globex).code == 0
    with serving(companies.globex):
        ran = run("check", companies.provider, "--home", companies.acme)
        assert ran.code == 3
        assert "what it showed does not hold: revoked" in ran.out
        value = run("check", companies.provider, "--home", companies.acme, "--json").values[0]
        assert value["reasons"][0]["value"].startswith("what it showed does not hold: revoked; revoked by did:web:")
        assert f"place {member['statusIndex']} of {member['statusList']}" in value["reasons"][0]["value"]


def test_who_is_declined_comes_back_with_what_was_needed(tmp_path: Path) -> None:
    """HIRE-NEG-23, HIRE-TRU-15: and what Globex imports meanwhile counts, though its peer runs."""
    companies, body, lab, now = Companies(tmp_path), Actor("body"), Actor("lab"), SystemClock().now()
    settings = companies.globex / "undersigned.toml"
    demand = 'credentials = [{ type = "AccreditedByCredential", capability = "sbom", max_age = "P1D" }]'
    text = settings.read_text().replace("anchors = [", f'anchors = ["{body.did}", ')
    settings.write_text(text + f'\n[[policy.rule]]\nname = "accredited"\ncapabilities = ["sbom"]\n{demand}\n')
    with serving(companies.globex):
        first = companies.hire()
        assert (first.code, first.error["code"]) == (3, "policy_denied")
        assert "AccreditedByCredential about sbom from" in first.error["message"]
        (told,) = [value for value in first.values if value.get("kind") == "needed"]
        assert [(need["credential"], need["maxAge"]) for need in told["needed"]] == [("AccreditedByCredential", "P1D")]
        assert lab.did not in told["needed"][0]["issuers"]

        link, shown = tmp_path / "link.json", companies.acme / "credentials" / "accredited.json"
        link.write_text(json.dumps(issued(body, Authority(id=lab.did, may_attest="sbom", depth=0), now)))
        shown.write_text(json.dumps(issued(lab, AccreditedBy(id=did_in(companies.acme), accredited_for="sbom"), now)))
        assert run("trust", "import", link, "--home", companies.globex, "--json").values[0]["new"] is True
        missing = companies.hire("--continues", "urn:hire:engagement:" + told["withdrawal"])
        assert (missing.code, missing.error["code"]) == (2, "not_found")
        second = companies.hire("--continues", told["engagement"]).result()
        third = companies.hire("--continues", told["withdrawal"]).result()
        assert second["contract"] != third["contract"]
        for home in (companies.acme, companies.globex):
            seen = run("watch", second["engagement"], "--no-follow", "--home", home)
            assert f"continues {told['withdrawal'][4:12]}" in seen.out
        pack = tmp_path / "hire.zip"
        assert run("export", second["engagement"], "--home", companies.acme, "--out", pack).code == 0
        (said,) = run("verify", pack, "--json").values
        assert said["ok"], said
        with zipfile.ZipFile(pack) as opened:
            (inquiry,) = [name for name in opened.namelist() if "Inquiry" in name]
            assert json.loads(opened.read(inquiry))["continues"] == told["withdrawal"]


def test_who_declines_by_a_limit_of_its_own_is_not_told_to_bring_something(tmp_path: Path) -> None:
    companies = Companies(tmp_path)
    settings = companies.acme / "undersigned.toml"
    settings.write_text(settings.read_text().replace("[policy]", '[policy]\nmax_price = "3"\ncurrency = "EUR"'))
    wanted = ("--task", "sbom", "--input", f"artifact={companies.wheel}")
    with serving(companies.globex):
        ran = run("hire", companies.provider, "--home", companies.acme, *wanted)
    assert (ran.code, "by our own policy default/1: max_price 4 EUR" in ran.err) == (3, True)
    assert "if that changes, or our policy:   undersigned hire … --continues urn:hire:engagement:" in ran.out


def did_in(home: Path) -> str:
    return str(tomllib.loads((home / "undersigned.toml").read_text())["did"])


def test_keys_rotate_and_old_evidence_still_holds(tmp_path: Path) -> None:
    """HIRE-KEY-07: what was recorded while a key was listed stays valid; the DID is what is relied on."""
    companies = Companies(tmp_path)
    with serving(companies.globex) as served:
        first = companies.hire().result()
        served.until('"over"')
    for home in (companies.acme, companies.globex):
        assert run("keys", "rotate", "--home", home).code == 0
    with serving(companies.globex) as served:
        second = companies.hire().result()
        served.until('"over"')
    assert second["contract"] != first["contract"]
    for home in (companies.acme, companies.globex):
        for result in (first, second):
            pack = tmp_path / "pack.zip"
            assert run("export", result["engagement"], "--home", home, "--out", pack, "--force").code == 0
            (said,) = run("verify", pack, "--json").values
            assert (said["ok"], said["contract"]) == (True, result["contract"]), said
        assert run("ledger", "fsck", "--home", home).code == 0


def test_agents_with_other_keys(tmp_path: Path) -> None:
    """The suite follows the keys, and the books are closed with keys of the logs' own."""
    companies = Companies(tmp_path, keys=("P-256", "P-384"))
    with serving(companies.globex) as served:
        ended = companies.hire("--price", "5 EUR")
        served.until('"over"')
    (profile,) = [value for value in ended.values if value.get("type") == "Profile"]
    assert profile["message"]["suite"] == "ecdsa-jcs-2019"
    for home in (companies.acme, companies.globex):
        assert run("export", "--home", home, "--out", tmp_path / "pack.zip", "--force").code == 0
        (said,) = run("verify", tmp_path / "pack.zip", "--json").values
        assert (said["ok"], said["state"], said["contract"]) == (True, "closed", ended.result()["contract"])


def test_keys_without_a_common_suite_are_a_no(companies: Companies, tmp_path: Path) -> None:
    """One suite serves a whole hire; where the two keys share none, nobody waits."""
    port = free_ports(1)[0]
    assert run("init", tmp_path / "ecdsa", "--local", "--port", port, "--key", "P-256").code == 0
    ended = companies.hire(home=tmp_path / "ecdsa")
    assert (ended.code, ended.error["code"]) == (3, "policy_denied")
    assert "version_not_supported; it has no version of ours, or no suite for our kind of key" in ended.error["message"]


def test_agents_that_are_their_key(tmp_path: Path) -> None:
    """did:key says nowhere where its agent listens; `--at` does."""
    acme, globex = tmp_path / "acme", tmp_path / "globex"
    (own,) = run("init", acme, "--local", "--json").values
    offer = ("--offer", "sbom=4 EUR", "--trust", own["organisation"])
    (other,) = run("init", globex, "--local", *offer, "--json").values
    settings = acme / "undersigned.toml"
    settings.write_text(settings.read_text().replace("anchors = []", f'anchors = ["{other["organisation"]}"]'))
    artifact = ("--task", "sbom", "--input", f"artifact={make_wheel(tmp_path)}")
    with serving(globex) as served:
        ready = json.loads(served.lines[0])
        assert ready["url"].startswith("ws://localhost:")
        without = run("hire", other["did"], *artifact, "--wait", "0.3", "--home", acme, "--json")
        assert (without.code, "--at URL" in without.error["message"]) == (2, True)
        assert run("check", other["did"], "--at", ready["url"], "--home", acme).code == 0
        hired = run("hire", other["did"], *artifact, "--at", ready["url"], "--home", acme, "--json")
        assert (hired.code, hired.values[-1]["kind"]) == (0, "result"), hired.values[-1]
        busy = run("hire", own["did"], "--task", "x", "--at", ready["url"], "--home", globex, "--json")
        assert (busy.code, busy.error["code"]) == (8, "store_unavailable")
    for home in (acme, globex):
        assert run("export", "--home", home, "--out", tmp_path / "pack.zip", "--force").code == 0
        assert run("verify", tmp_path / "pack.zip").code == 0


def test_a_local_agent_that_is_its_key_comes_back_where_it_was(tmp_path: Path) -> None:
    """Contracts name where a party listens, so the port that nobody named is chosen once."""
    told = run("init", tmp_path / "acme", "--local")
    urls: list[str] = []
    for _ in range(2):
        with serving(tmp_path / "acme") as served:
            urls.append(json.loads(served.lines[0])["url"])
    assert urls[0] == urls[1]
    assert f"reached at     {urls[0]}\n" in told.out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_ends_well(number: int, companies: Companies, tmp_path: Path) -> None:
    home = tmp_path / "idle"
    assert run("init", home, "--local").code == 0
    settings = home / "undersigned.toml"  # with any port: the second process comes as far as the ledger
    settings.write_text(re.sub(r"^port = \d+$", "port = 0", settings.read_text(), flags=re.MULTILINE))
    process = Process([*UNDERSIGNED, "serve", "--home", str(home)], tmp_path)
    process.until("stop it with Ctrl-C")
    busy = run("serve", "--home", home, "--json")
    assert (busy.code, busy.error["code"]) == (8, "store_unavailable"), "one process at a time has the ledger"
    began = time.monotonic()
    ended = process.end(number)
    assert (ended.code, ended.err) == (0, "")
    assert "loopback only, without TLS" in ended.out
    assert ended.out.splitlines()[-1] == "local | stopped; nothing is unfinished"
    assert time.monotonic() - began < 15


def test_a_handler_beside_the_user_is_found(tmp_path: Path) -> None:
    """`undersigned serve` finds the module that the configuration names in the folder where it is started."""
    (tmp_path / "my_tasks.py").write_text(
        "async def shout(job):\n    await job.deliver('result', (await job.read('text')).upper())\n"
        "async def billed(job):\n    from bills import cyclonedx\n"
        f"    await job.deliver('{LONG}', b'work')\n    await job.deliver('bill.cdx.json', cyclonedx(b'work'))\n"
    )
    (tmp_path / "text").write_bytes(b"hello")
    companies = Companies(tmp_path)
    settings = companies.globex / "undersigned.toml"
    offers = '\n[[offer]]\ntask = "shout"\nhandler = "my_tasks:shout"\n'
    offers += f'[[offer]]\ntask = "billed"\nhandler = "my_tasks:billed"\ndelivers = "{LONG}"\n'
    settings.write_text(settings.read_text() + offers)
    # As an installed program is started: the present folder is not on the path by itself.
    with serving(companies.globex, PYTHONSAFEPATH="1"):
        ran = run(
            *("hire", companies.provider, "--task", "shout", "--input", f"text={tmp_path / 'text'}", "--json"),
            *("--home", companies.acme, "--out", tmp_path / "out"),
        )
        assert ran.code == 0, ran
        assert (tmp_path / "out" / "result").read_bytes() == b"HELLO"
        (tmp_path / "much").write_bytes(b"hello" * 1_000_000)
        large = ("hire", companies.provider, "--task", "shout", "--input", f"text={tmp_path / 'much'}")
        ran = run(*large, "--home", companies.acme)
        shown = [line.split(maxsplit=5)[3:] for line in ran.err.splitlines()]
        assert shown[0][:2] == ["->", "input"], ran.err
        assert ["->", "input", "text: 5.0 MB of 5.0 MB"] in shown
        assert ["<-", "artifact", "result: 5.0 MB of 5.0 MB"] in shown
        assert " of 5.0 MB" not in ran.out
        (tmp_path / "much").write_bytes(b"hullo" * 1_000_000)  # what is here already is not fetched again
        ran = run(*large, "--home", companies.acme, "--json", "--out", tmp_path / "out", "--force")
        written = [one["transfer"]["bytes"] for one in ran.values if one.get("type") == "written"]
        assert written == sorted(set(written))
        assert written[-1] == (tmp_path / "out" / "result").stat().st_size == 5_000_000
        told = [one["transfer"] for one in ran.values if one["kind"] == "transfer"]
        assert ran.err == ""
        assert {(one["name"], one["outward"], one["total"]) for one in told} == {
            ("text", True, 5_000_000),
            ("result", False, 5_000_000),
        }
        # Something else stands where the file should go: the work is accepted and owed, and written beside it.
        (tmp_path / "full" / "result").mkdir(parents=True)
        ran = run(
            *("hire", companies.provider, "--task", "shout", "--input", f"text={tmp_path / 'text'}", "--json"),
            *("--home", companies.acme, "--out", tmp_path / "full"),
        )
        (result,) = (one for one in ran.values if one.get("kind") == "result")
        assert (ran.code, result["written"]) == (0, {"result": str(tmp_path / "full" / "result-2")})
        assert result["insteadOf"] == {"result": str(tmp_path / "full" / "result")}
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "result").write_text("mine")
        again = ("hire", companies.provider, "--task", "shout", "--input", f"text={tmp_path / 'text'}")
        again += ("--home", companies.acme, "--out", tmp_path / "mine")
        for more in ("", ", where it was already"):
            told = run(*again).out
            assert f"5 bytes, in {tmp_path}/mine/result-2{more}; {tmp_path}/mine/result is something else" in told
            assert (tmp_path / "mine" / "result").read_text() == "mine"
        assert f"5 bytes, in {tmp_path}/mine/result\n" in run(*again, "--force").out
        assert (tmp_path / "mine" / "result").read_bytes() == b"HELLO"
        # One of several cannot be written: what is written is told, and what is not.
        out = tight(tmp_path)
        billed = ("hire", companies.provider, "--task", "billed", "--sbom", "CycloneDX 1.6")
        ran = run(*billed, "--json", "--home", companies.acme, "--out", out)
        (result,) = (one for one in ran.values if one.get("kind") == "result")
        assert (ran.code, ran.error["code"]) == (8, "store_unavailable")
        assert result["written"] == {"bill.cdx.json": str(out / "bill.cdx.json")}
        assert result["unwritten"] == {LONG: "File name too long"}
        # The path is thousands of characters long, and why it failed stands behind it.
        assert ran.error["message"].startswith(f"--out: {LONG} is not written: {str(out)[:120]}… (")
        assert "File name too long" in ran.error["message"]


def test_whom_the_policy_refuses_is_not_asked(tmp_path: Path) -> None:
    """Nor looked up: this one is nowhere."""
    home, nobody = tmp_path / "acme", "did:web:nowhere.example"
    assert run("init", home, "--local").code == 0
    written = home / "undersigned.toml"
    written.write_text(f'{written.read_text()}\nrefuse = ["{nobody}"]\n')
    checked = run("check", nobody, "--home", home, "--json")
    assert (checked.code, checked.values[0]["outcome"]) == (3, "deny")
    (reason,) = checked.values[0]["reasons"]
    assert reason["value"].startswith(f"nothing is asked of it, or shown to it: refuse: {nobody} is on the list")
    told = run("hire", nobody, "--task", "summary", "--price", "1 EUR", "--home", home)
    assert (told.code, "policy_denied" in told.err) == (3, True)
