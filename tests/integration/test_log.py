"""The log of a real hire: what stands in it, how anybody reads it, and how somebody notices that it was rewritten."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

from integration.commands import Ended, undersigned
from integration.hires import REPORT, two_homes
from undersigned import Peer
from undersigned.encoding import digest_hex
from undersigned.evidence import read_archive
from undersigned.ledger import open_ledger
from undersigned.ledger.sqlite_rows import tree_seal
from undersigned.runtime import Home
from undersigned.transparency import (
    Tile,
    decision_leaf,
    leaf_digest,
    move_leaf,
    read_bundle,
    read_checkpoint,
    read_note,
    verify_inclusion,
)

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(120)]
LOGGED = ["contract", "Acceptance", "Seal", "Delivery", "Review", "Closing", "Closing"]


async def hired(folder: Path) -> tuple[Home, Home, str]:
    """Two companies after a hire, and its engagement."""
    homes = await two_homes(folder)
    async with Peer.open(homes[0]) as acme, Peer.open(homes[1]) as globex:
        result = await acme.hire(globex.own.id, task="summary", inputs={"report": REPORT}, price="5 EUR")
    return *homes, result.engagement


def proofs(home: Home, engagement: str) -> list[dict[str, Any]]:
    return undersigned("ledger", "prove", engagement, "--home", home.path, "--json", folder=home.path).values


async def test_what_binds_and_what_decided_has_a_leaf_on_both_sides(tmp_path: Path) -> None:
    """HIRE-LOG-06: proved with the thing itself, a path and a signed checkpoint; a decision with its salt as well."""
    acme, globex, engagement = await hired(tmp_path)
    for home in (acme, globex):
        found = proofs(home, engagement)
        assert [one["what"] for one in found if one["what"] != "decision"] == LOGGED
        assert sorted(one["index"] for one in found) == list(range(len(found))), "and nothing else has one"
        store = await open_ledger(home.ledger_url, read_only=True)
        rows = {row.digest: row.raw for row in await store.rows(engagement) if row.kind != "noted"}
        decisions = [row.raw for row in await store.rows(engagement) if row.type == "decision"]
        await store.close()
        assert len(decisions) >= 2
        for one in found:
            head = read_checkpoint(read_note(one["checkpoint"]).text)
            path = [bytes.fromhex(digest_hex(item)) for item in one["path"]]
            verify_inclusion(bytes.fromhex(digest_hex(one["leaf"])), one["index"], head.size, path, head.root)
            if one["what"] in LOGGED[1:]:
                assert one["leaf"] == leaf_digest(move_leaf(rows[one["digest"]]))
            if one["what"] == "decision":
                salt = bytes.fromhex(one["salt"])
                assert one["leaf"] in [leaf_digest(decision_leaf(raw, salt)) for raw in decisions]
                assert one["leaf"] not in [leaf_digest(decision_leaf(raw, b"")) for raw in decisions]


async def test_what_was_proved_is_checked_by_whoever_is_given_it(tmp_path: Path) -> None:
    """HIRE-LOG-06: by the owner's keys, the path, and the thing itself; one changed letter and it does not hold."""
    acme, _, engagement = await hired(tmp_path)
    file, known, pack = tmp_path / "proofs.jsonl", tmp_path / "did.json", tmp_path / "hire.zip"
    lines = proofs(acme, engagement)
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    known.write_bytes(acme.document().raw)

    def checked(*arguments: object) -> Ended:
        return undersigned("verify", file, *arguments, "--json", folder=tmp_path)

    alone = checked()
    assert alone.code == 4
    assert {line["code"] for line in alone.values} == {"did_unresolvable"}, "nobody named the owner's keys"
    held = checked("--did-document", known)
    assert (held.code, [line["ok"] for line in held.values]) == (0, [True] * len(lines))

    undersigned("export", engagement, "--home", acme.path, "--out", pack, folder=tmp_path)
    members = read_archive(pack.read_bytes())
    named: list[object] = []
    for place, (name, data) in enumerate(members.items()):
        if name == "contract.json" or name.startswith("decisions/") or name.endswith(("-Seal.json", "-Delivery.json")):
            (tmp_path / f"thing-{place}").write_bytes(data)
            named += ["--of", tmp_path / f"thing-{place}"]
    shown = checked("--did-document", known, *named)
    assert shown.code == 0
    of = {line["what"] for line in shown.values if line["of"]}
    assert of == {"contract", "decision", "Seal", "Delivery"}
    (tmp_path / "other").write_bytes(b"{}")
    assert checked("--did-document", known, "--of", tmp_path / "other").values[-1]["error"]["code"] == "digest_mismatch"

    one = lines[0]
    for change in (
        {"index": one["index"] + 1},
        {"path": [*one["path"], one["leaf"]]},
        {"leaf": lines[1]["leaf"]},
        {"checkpoint": one["checkpoint"].replace("\n", "\n1", 1)},
    ):
        file.write_text(json.dumps(one | change))
        broken = checked("--did-document", known)
        assert (broken.code, broken.values[0]["code"]) == (4, "log_proof_invalid"), change
    for change in ({"index": "x"}, {"leaf": "x"}, {"checkpoint": ""}, {"path": 1}):
        file.write_text(json.dumps(one | change))
        assert checked("--did-document", known).code == 4, change


async def test_anybody_reads_the_log_and_learns_nothing(tmp_path: Path) -> None:
    """HIRE-LOG-07: checkpoint, tiles and bundles; what is there for ever says so, what is not is 404."""
    acme, _, engagement = await hired(tmp_path)
    size = len(proofs(acme, engagement))
    async with Peer.open(acme) as peer, ClientSession() as session:

        async def get(path: str) -> tuple[int, str, bytes]:
            async with session.get(f"{peer.base_url}/ledger/{path}") as answer:
                return answer.status, answer.headers.get("Cache-Control", ""), await answer.read()

        status, cache, note = await get("checkpoint")
        head = read_checkpoint(read_note(note.decode()).text)
        assert (status, cache) == (200, "no-cache")
        assert head.origin == acme.configuration.did
        assert head.size == size
        bundle = Tile(None, 0, head.size)
        status, cache, data = await get(bundle.path)
        assert (status, cache) == (200, "max-age=31536000")
        leaves = read_bundle(bundle, data)
        assert all(leaf.startswith(b"hire/v1 ") and len(leaf.partition(b"\n")[2]) == 32 for leaf in leaves)
        assert (await get(Tile(0, 0, head.size).path))[0] == 200
        for path in (
            "",
            "tile/0/000",
            Tile(0, 0, head.size + 1).path,
            "tile/0/001.p/1",
            "tile/2/000.p/1",
            "x",
        ):
            assert (await get(path))[0] == 404, path


async def test_an_audit_reads_another_log_and_holds_it_against_what_it_signed(tmp_path: Path) -> None:
    """HIRE-LOG-05, HIRE-LOG-08: a log that was rewritten, and one that went back, are found by who met it before."""
    acme, globex, _ = await hired(tmp_path)
    kept = tmp_path / "kept.txt"
    signed = undersigned("ledger", "checkpoint", "--home", globex.path, folder=tmp_path).out
    kept.write_bytes(signed.encode() + "\u2014 somebody".encode() + b"\xff AAAAAAAA\n")
    (own,) = undersigned("ledger", "audit", "--home", globex.path, "--since", kept, "--json", folder=tmp_path).values
    assert (own["ok"], own["compared"] >= 2) == (True, True)
    junk = tmp_path / "junk.txt"
    junk.write_text("no checkpoint\n")
    words = ("--since", kept, "--since", junk, "--home", globex.path, "--json")
    other = undersigned("ledger", "audit", *words, folder=tmp_path)
    assert (other.code, other.error["message"].startswith(f"--since {junk}: ")) == (4, True), other
    async with Peer.open(globex):
        told = await audit(acme, globex, "--since", kept)
    assert (told["ok"], told["leaves"], told["root"]) == (True, own["leaves"], own["root"])
    assert told["compared"] >= 2, "the closing, and the checkpoint that was kept"
    went_back(globex)
    async with Peer.open(globex):
        told = await audit(acme, globex, "--since", kept)
    assert told["ok"] is False
    assert any("Closing" in defect for defect in told["defects"])
    assert any(str(kept) in defect for defect in told["defects"])


async def test_an_audit_passes_over_what_others_wrote_below_a_checkpoint(tmp_path: Path) -> None:
    """HIRE-LOG-08: who serves a log may add signatures of others to it, in whatever bytes."""
    acme, globex, _ = await hired(tmp_path)
    async with Peer.open(globex) as peer, ClientSession() as session:

        async def answer(request: web.BaseRequest) -> web.Response:
            async with session.get(f"{peer.base_url}{request.path}") as heard:
                body = await heard.read()
            if request.path.endswith("/checkpoint"):
                body += "\u2014 somebody".encode() + b"\xff AAAAAAAA\n"
            return web.Response(body=body)

        server = web.Server(answer)
        async with await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            told = await audit(acme, globex, "--at", f"http://localhost:{port}/ledger")
            await server.shutdown(1)
    assert told["ok"]


async def audit(home: Home, other: Home, *options: object) -> dict[str, Any]:
    arguments = ("ledger", "audit", other.configuration.did, "--home", home.path, "--json", *options)
    ran = await asyncio.to_thread(undersigned, *arguments, folder=home.path)
    (told,) = ran.values
    assert ran.code == (0 if told["ok"] else 4)
    return told


def went_back(home: Home) -> None:
    """Somebody takes the log away, with all that would notice it here, and lets it begin anew."""
    db = sqlite3.connect(home.ledger)
    db.executescript(
        "DELETE FROM leaf; UPDATE tree SET size = 0, checkpoint_size = 0, checkpoint = NULL,"
        " root = x'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',"
        " checkpoint_root = x'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';"
    )
    db.execute("UPDATE tree SET seal = ?", (tree_seal(db),))  # whoever can write it can do that too
    db.commit()
    db.close()
    home.ledger.with_name(home.ledger.name + ".head").unlink(missing_ok=True)
