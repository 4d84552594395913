"""The examples run as their pages say, tell what happens, and leave behind what they tell."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from base64 import b64decode
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any, NamedTuple, TypeVar, cast
from xml.etree import ElementTree

import pytest

from integration.commands import Ended, Process
from support import ROOT
from undersigned.encoding import digest_bytes
from undersigned.jsonld import expand
from undersigned.ledger import Ledger, Summary, TrustStore, open_ledger
from undersigned.messages import Inquiry, Message, Withdraw, recorded_message
from undersigned.runtime import Home
from unit.cli.running import run

M = TypeVar("M", bound=Message)
NAMES = ("first_meeting", "marketplace", "guarded_mcp", "signed_supply_chain")
RING = ("max", "mia", "moe", "mel")


README = (ROOT / "README.md").read_text()
COMMAND = re.compile(r"(?:`| {4})(\S*python) (examples/\S+\.py)")


def program(python: str) -> list[str]:
    """What a page says, unless the tests run in another environment than that of the clone."""
    return [python if (ROOT / python).exists() else sys.executable]


class Run(NamedTuple):
    """How an example ended, and its state folders."""

    ended: Ended
    folder: Path

    def home(self, name: str) -> Home:
        return Home(self.folder / name)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """All at once: each of them waits half of its time."""
    folders = {name: tmp_path_factory.mktemp(name) for name in NAMES}
    # As the README has it, in the clone; our own environment would find what that of the clone does not have.
    told = {Path(path).parent.name: [*program(python), path] for python, path in COMMAND.findall(README)}
    started = {name: Process([*told[name], str(folder)], ROOT, PYTHONPATH="") for name, folder in folders.items()}
    return {name: Run(process.end(seconds=100), folders[name]) for name, process in started.items()}


@pytest.mark.parametrize("name", NAMES)
def test_one_command_runs_it(runs: dict[str, Run], name: str) -> None:
    """The one on its page; nothing goes to standard error."""
    told = [" ".join(found) for found in COMMAND.findall((ROOT / "examples" / name / "README.md").read_text())]
    assert told == [f".venv/bin/python examples/{name}/run.py"]
    ended = runs[name].ended
    assert (ended.code, ended.err) == (0, ""), ended


@pytest.mark.parametrize("name", NAMES)
def test_a_used_folder_is_not_used_again(runs: dict[str, Run], name: str) -> None:
    folder = runs[name].folder
    again = Process([sys.executable, str(ROOT / "examples" / name / "run.py"), str(folder)], folder).end(seconds=100)
    assert again.code == 1
    assert "is a state folder already" in again.err
    assert "Traceback" not in again.err


def in_order(text: str, *parts: str) -> None:
    at = 0
    for part in parts:
        found = text.find(part, at)
        assert found >= 0, f"no {part!r} after {text[:at]!r} in {text[at:]!r}"
        at = found + len(part)


async def story(home: Home) -> tuple[Ledger, tuple[Summary, ...]]:
    """The ledger of a state folder, which is sound, and its engagements."""
    ledger = await open_ledger(home.ledger_url, read_only=True)
    assert (await ledger.check()).ok
    return ledger, await ledger.summaries()


async def moves(ledger: Ledger, engagement: str, of: type[M]) -> list[M]:
    rows = [row for row in await ledger.rows(engagement) if row.type == of.__name__ and row.kind != "noted"]
    return [cast("M", recorded_message(row.raw).message) for row in rows]


# --- the first meeting


def test_the_first_meeting_is_told(runs: dict[str, Run]) -> None:
    in_order(
        runs["first_meeting"].ended.out,
        "neither has a line about the other",
        "deny: Globex's agent by acme/1",
        "no AccreditedByCredential; would pass: one by ",
        "AccreditedByCredential about bookkeeping from ",
        "Assay accredits Globex's agent for bookkeeping",
        "allow: Globex's agent by acme/1",
        "AccreditedByCredential by North -> Assay",
        "owed 4 EUR",
        "criterion adds-up: met",
        "| sales,-3450.50",
        " continues urn:hire:engagement:",
    )


def test_the_two_were_strangers(runs: dict[str, Run]) -> None:
    """No configuration names the other; the roots are different, and say nothing about each other."""
    acme, globex = runs["first_meeting"].home("acme"), runs["first_meeting"].home("globex")
    for home, other in ((acme, globex), (globex, acme)):
        text = (home.path / "undersigned.toml").read_text()
        assert tomllib.loads(text)["trust"]["anchors"]
        assert other.configuration.did not in text
        assert str(other.configuration.listen.port) not in text
    roots = [set(home.configuration.trust.anchors) for home in (acme, globex)]
    assert not roots[0] & roots[1]
    for home, own in ((acme, roots[0]), (globex, roots[1])):
        with TrustStore(home.trust, read_only=True) as store:
            found = list(store.edges())
        assert {edge.source for edge in found if edge.kind == "authority"} == own
        assert not {edge.target for edge in found} & (roots[0] | roots[1])


async def test_the_refusal_is_answered_by_what_it_asked_for(runs: dict[str, Run]) -> None:
    """HIRE-TRU-22, HIRE-NEG-23, HIRE-NEG-24: in both ledgers, and the first try is over for good."""
    acme, assay, globex = (runs["first_meeting"].home(name) for name in ("acme", "assay", "globex"))
    (ours, of_acme), (theirs, of_globex) = await story(acme), await story(globex)
    try:
        first, second = sorted(of_acme, key=lambda one: one.contract is not None)
        assert (first.state, first.contract, second.state) == ("withdrawn", None, "closed")
        with_acme = {one.engagement: one.contract for one in of_globex if one.peer == acme.configuration.did}
        assert with_acme == {first.engagement: None, second.engagement: second.contract}
        (examined,) = [one for one in of_globex if one.peer == assay.configuration.did]
        assert (examined.role, examined.state) == ("hirer", "closed")

        (said,) = await moves(theirs, first.engagement, Withdraw)
        assert (said.reason, said.sender) == ("policy_denied", acme.configuration.did)
        (need,) = said.needed or ()
        assert (need.credential, need.capability) == ("AccreditedByCredential", "bookkeeping")
        assert assay.configuration.organisation is not None
        assert assay.configuration.organisation.did in (need.issuers or ())
        rows = await ours.rows(first.engagement)
        (digest,) = [row.digest for row in rows if row.type == "Withdraw" and row.kind != "noted"]
        for ledger in (ours, theirs):
            (inquiry,) = await moves(ledger, second.engagement, Inquiry)
            assert inquiry.continues == digest
            (link,) = [one.name for one in await ledger.evidence(second.engagement) if one.kind == "withdrawal"]
            assert link == first.engagement
    finally:
        await ours.close()
        await theirs.close()


def test_its_evidence_holds(runs: dict[str, Run], tmp_path: Path) -> None:
    for name in ("acme", "globex"):
        assert run("export", "--home", runs["first_meeting"].folder / name, "--out", tmp_path / f"{name}.zip").code == 0
        assert run("verify", tmp_path / f"{name}.zip").code == 0


# --- the marketplace


def test_the_market_is_told(runs: dict[str, Run]) -> None:
    out = runs["marketplace"].ended.out
    in_order(out, "20 agents of 5 organisations listen", "37 credentials verified", "7 of 19 others say")
    in_order(
        out,
        *(
            part
            for one in RING
            for part in (
                f"deny: {one} of Mirage by acme/1",
                "reputation 0.2 for proofreading; would pass: at least 0.5",
                "MembershipCredential by Chamber -> Mirage",
                "spoken of: Guild -> ida of Initech -> max of Mirage",
            )
        ),
        "deny: hana of Hooli",
        "reputation 0 for proofreading",
        "allow: gina of Globex",
        "met [rule our texts are for those of good repute] reputation 0.9",
        "spoken of: Acme -> clerk of Acme -> gina of Globex",
        "owed 6 EUR",
        "the market were asked what they do. Some of them said that was a secret.",
        "max has 0.2 with it and 0.2 without it",
    )


def test_twenty_agents_of_five_organisations_and_two_roots(runs: dict[str, Run]) -> None:
    homes = [Home(file.parent) for file in sorted(runs["marketplace"].folder.glob("*-*/undersigned.toml"))]
    assert len({home.configuration.did for home in homes}) == len(homes) == 20
    issuers = {one.issuer for home in homes for one in home.credentials()}
    assert len(issuers) == 5
    anchors = {anchor for home in homes for anchor in home.configuration.trust.anchors}
    assert len(anchors) == 2


async def test_the_ring_has_no_contract_and_the_right_agent_has(runs: dict[str, Run]) -> None:
    """Each of them has the refusal, and what would change it, in its own ledger."""
    for name, state in (*((f"mirage-{one}", "withdrawn") for one in RING), ("globex-gina", "closed")):
        ledger, (engagement,) = await story(runs["marketplace"].home(name))
        try:
            assert (engagement.state, engagement.contract is not None) == (state, state == "closed")
            said = await moves(ledger, engagement.engagement, Withdraw)
            needed = [(need.code, need.capability) for one in said for need in one.needed or ()]
            assert needed == ([("reputation", "proofreading")] if state == "withdrawn" else [])
        finally:
            await ledger.close()


def test_what_the_ring_says_is_in_the_graph_and_counts_for_nothing(runs: dict[str, Run]) -> None:
    """HIRE-TRU-08: twelve endorsements of full weight, and one of 0.2 by somebody honest who was taken in."""
    desk = runs["marketplace"].home("acme-desk")
    ring = {runs["marketplace"].home(f"mirage-{one}").configuration.did for one in RING}
    with TrustStore(desk.trust, read_only=True) as store:
        found = [edge for edge in store.edges() if edge.kind == "endorsement"]
    assert sum(edge.source in ring and edge.target in ring for edge in found) == 12
    (taken_in,) = [edge for edge in found if edge.source not in ring and edge.target in ring]
    with TrustStore(desk.trust) as store:
        assert scores(desk, ring) == {"0.2"}
        store.set_status(taken_in.digest, "revoked")
    assert scores(desk, ring) == {"0"}


def scores(home: Home, dids: Iterable[str]) -> set[str]:
    told = [run("trust", "explain", did, "--capability", "proofreading", "--home", home.path, "--json") for did in dids]
    return {one.values[0]["score"] for one in told}


def test_the_paths_are_drawn(runs: dict[str, Run]) -> None:
    for agent, parties in (
        ("gina of Globex", {"Guild", "ida of Initech", "Acme", "clerk of Acme"}),
        ("mel of Mirage", {"Guild", "ida of Initech", "max of Mirage"}),
    ):
        drawn = ElementTree.parse(runs["marketplace"].folder / f"paths-to-{agent.split()[0]}.svg")
        text = {node.text for node in drawn.iter() if node.tag.endswith("}text")}
        assert {one for one in text if not re.match(r"\w+ [01]", one or "")} == parties | {agent}


# --- the guarded server


def test_each_refusal_names_its_clause(runs: dict[str, Run]) -> None:
    """HIRE-MCP-05: an amount, a prohibition, the rules, and a count that goes on from one transport to the other."""
    in_order(
        runs["guarded_mcp"].ended.out,
        "over HTTP, through the gate",
        "tools: git_status, git_log\n",
        "git_status(repo_path=app): Repository status:",
        "git_log(repo_path=app, max_count=5): Commit history:",
        "max_count=5): REFUSED, scope_exceeded, clause read-log; would pass: commits up to 3",
        "git_log(repo_path=payroll, max_count=1): REFUSED, scope_exceeded, clause no-payroll; nothing would pass",
        "git_log(repo_path=customers, max_count=1): REFUSED, scope_exceeded, clause read-log; would pass: data class",
        "max_count=5000): REFUSED, scope_exceeded, clause rules; would pass: argument max_count a whole number",
        "git_commit(repo_path=app, message=mine now): REFUSED, scope_exceeded, clause rules; would pass: tool git_log,",
        "over standard input and output",
        "git_status(repo_path=app): Repository status:",
        "git_status(repo_path=app): REFUSED, scope_exceeded, clause see-status; nothing would pass",
        "git_log(repo_path=app, max_count=3): Commit history:",
        "Delivered, and paid: 4 EUR",
        "used of read-log: commits: 8",
        "used of see-status: count: 3",
        "refusals in Acme's journal: 6",
    )
    assert "differ" not in runs["guarded_mcp"].ended.out


def test_what_the_agent_tried_to_change_is_as_it_was(runs: dict[str, Run]) -> None:
    shown = subprocess.run(
        ["git", "log", "-1", "--format=%s"],
        cwd=runs["guarded_mcp"].folder / "git" / "app",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert shown.stdout == "change 8\n"


# --- the signed supply chain


def test_the_wheel_is_traced_through_both_contracts(runs: dict[str, Run]) -> None:
    """HIRE-TRC-02: from the wheel to the hirer's anchor, and by the pack of Globex on to Initech's statement."""
    folder = runs["signed_supply_chain"].folder
    alone = trace_of(folder, WHEEL, "--home", folder / "acme")
    (hired,) = [step for step in alone if step["kind"] == "subcontract"]
    assert hired["state"] == "missing"
    assert "the pack of" in hired["why"]
    found = trace_of(folder, WHEEL, "--home", folder / "acme", "--pack", folder / "globex.zip")
    assert not [step for step in found if step["state"] == "failed"]
    told = {step["kind"] for step in found if step["state"] == "verified"}
    assert {"artifact", "delivery", "statement", "subcontract", "acceptance", "contract"} <= told
    assert {"decision", "credential", "anchor"} <= told
    assert {step["text"].partition(" ")[0] for step in found if step["kind"] == "contract"} == {"build", "sbom"}
    # Initech read the wheel: the way comes back to where it began.
    (wheel, *again) = [step for step in found if step["name"] == wheel_digest(folder)]
    assert wheel["kind"] == "artifact"
    assert [step["kind"] for step in again if step.get("told")] == ["input"]


def test_who_was_no_party_traces_by_packs_alone(runs: dict[str, Run]) -> None:
    """HIRE-TRC-01: nobody's ledger is needed, and a pack that was changed is refused."""
    folder = runs["signed_supply_chain"].folder
    found = trace_of(folder, BILL, "--home", folder / "umbrella", "--pack", folder / "globex.zip")
    decisions = [step["state"] for step in found if step["kind"] == "decision"]
    # Globex's are in its pack, of either contract; those of the others are not there.
    assert (decisions.count("missing"), set(decisions)) == (2, {"missing", "stated"})
    assert len([step for step in found if step["kind"] == "delivery"]) == 3
    changed = folder / "changed.zip"
    if not changed.exists():
        assert run("tamper", folder / "globex.zip", "--what", "statement", "--out", changed).code == 0
    refused = run("trace", folder / BILL, "--home", folder / "umbrella", "--pack", changed, "--json")
    assert refused.code == 4
    assert "does not hold" in refused.error["message"]


def test_the_wheel_is_one_that_installs(runs: dict[str, Run], tmp_path: Path) -> None:
    folder = runs["signed_supply_chain"].folder
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", tmp_path / "site"]
    assert subprocess.run([*pip, folder / WHEEL], capture_output=True, timeout=100, check=False).returncode == 0
    said = subprocess.run(
        [sys.executable, "-c", "import greeting; print(greeting.greet('you'))"],
        env={"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert said.stdout == "Hello, you.\n"


def test_its_provenance_and_pictures(runs: dict[str, Run]) -> None:
    """HIRE-TRC-03, HIRE-TRC-04: of the wheel and the bill, by name and hash; PROV-O; and a drawing of every step."""
    folder = runs["signed_supply_chain"].folder
    envelope = json.loads((folder / "provenance.dsse.json").read_bytes())
    statement = json.loads(b64decode(envelope["payload"]))
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    made = {one["name"]: one["digest"]["sha256"] for one in statement["subject"]}
    assert made == {name: sha256((folder / name).read_bytes()).hexdigest() for name in (WHEEL, BILL)}
    expanded = expand(json.loads((folder / "wheel.prov.json").read_bytes()))
    assert len(expanded) > 20
    ElementTree.parse(folder / "wheel.svg")


def test_who_was_no_party_asks_whether_to_trust_it(runs: dict[str, Run]) -> None:
    """HIRE-TRC-05: while the peers ran, Umbrella found their keys and nothing withdrawn; each answer replays."""
    folder = runs["signed_supply_chain"].folder
    in_order(runs["signed_supply_chain"].ended.out, "4. And should Umbrella trust", "allow: uEi", "allow: uEi")
    listed = run("decision", "list", "--home", folder / "umbrella", "--json").values
    assert [(one["verdict"]["outcome"], one["verdict"]["purpose"]) for one in listed[:2]] == [
        ("allow", "build"),
        ("allow", "sbom"),
    ]
    for one in listed[:2]:
        again = run("decision", "replay", one["id"], "--home", folder / "umbrella", "--json")
        assert (again.code, again.values[0]["same"]) == (0, True), again
        assert run("decision", "show", one["id"], "--home", folder / "umbrella").code == 0


def test_by_a_pack_alone_nobody_is_believed(runs: dict[str, Run], tmp_path: Path) -> None:
    """HIRE-TRC-05: a pack vouches for no did:web; what cannot be looked up is no, and the answer says which."""
    folder = runs["signed_supply_chain"].folder
    asked = ["check", folder / WHEEL, "--for", "build", "--pack", folder / "globex.zip", "--offline", "--json"]
    copytree(folder / "umbrella", tmp_path / "umbrella", ignore=ignore_patterns("verdicts"))
    denied = run(*asked, "--home", tmp_path / "umbrella")
    assert denied.code == 3
    (one,) = denied.values[0]["verdict"]["judged"]
    codes = {(reason["clause"], reason["code"]) for reason in one["reasons"]}
    assert {("keys", "did_unresolvable"), ("signer", "did_unresolvable")} <= codes, one
    # The same Umbrella with its verdicts relied on these documents before: a person decides.
    before = run(*asked, "--home", folder / "umbrella")
    (one,) = before.values[0]["verdict"]["judged"]
    assert (before.code, {reason["code"] for reason in one["reasons"]}) == (
        7,
        {"met", "did_last_known", "status_last_known"},
    )
    # Acme knows the keys from its own hire, and what the list said then; nobody says now.
    known = run(*asked, "--home", folder / "acme")
    (mine,) = known.values[0]["verdict"]["judged"]
    assert known.code == 7
    assert {reason["code"] for reason in mine["reasons"]} == {"met", "status_last_known"}


def test_a_verdict_without_its_inputs_is_not_made_again(runs: dict[str, Run], tmp_path: Path) -> None:
    """HIRE-TRC-06."""
    home = tmp_path / "umbrella"
    copytree(runs["signed_supply_chain"].folder / "umbrella", home)
    one = run("decision", "list", "--home", home, "--json").values[0]
    inputs = one["verdict"]["inputs"]
    for name in (inputs["policy"], inputs["packs"][0], inputs["lists"][0]["list"]):
        kept = home / "verdicts" / "inputs" / name
        raw = kept.read_bytes()
        kept.write_bytes(raw + b" ")
        changed = run("decision", "replay", one["id"], "--home", home, "--json")
        assert (changed.code, changed.values[0]["now"]) == (1, None), changed
        kept.unlink()
        gone = run("decision", "replay", one["id"], "--home", home, "--json")
        assert (gone.code, gone.error["code"]) == (2, "not_found")
        kept.write_bytes(raw)
    (file,) = [path for path in (home / "verdicts").glob("*.json") if path.stem == one["id"]]
    other = file.read_bytes().replace(b'"outcome":"allow"', b'"outcome":"deny"')
    (home / "verdicts" / f"{digest_bytes(other)}.json").write_bytes(other)
    unlike = run("decision", "replay", digest_bytes(other), "--home", home, "--json")
    assert (unlike.code, unlike.values[0]["now"]["outcome"]) == (1, "allow"), unlike
    file.write_bytes(file.read_bytes().replace(b"allow", b"denyy", 1))
    assert run("decision", "show", one["id"], "--home", home, "--json").error["code"] == "store_corrupt"


def test_what_the_builder_did_is_told(runs: dict[str, Run]) -> None:
    """By the hirer's ledger one contract; by the builder's own, and by its pack alone, both."""
    folder = runs["signed_supply_chain"].folder
    builder = Home(folder / "globex").configuration.did
    asked = {
        "acme": ["--home", folder / "acme"],
        "globex": ["--home", folder / "globex"],
        "pack": ["--home", folder / "umbrella", "--pack", folder / "globex.zip"],
    }
    told = {name: run("history", builder, *options, "--json").values[0]["lines"] for name, options in asked.items()}
    contracts = {name: len({line["contract"] for line in lines}) for name, lines in told.items()}
    assert contracts == {"acme": 1, "globex": 2, "pack": 2}
    for lines in told.values():
        assert {line["text"] for line in lines if line["kind"] == "delivered"} == {WHEEL, BILL}
        assert {line["verdict"] for line in lines if line["kind"] == "statement"} == {"accepted"}
        assert all((line["kind"] == "statement") == ("asOf" in line) for line in lines)
    assert {line["verdict"] for line in told["acme"] if line["kind"] == "decision"} == {"allow"}
    prov = run("history", builder, *asked["globex"], "--prov")
    assert expand(json.loads(prov.out))
    stranger = run("history", "did:web:umbrella.example", *asked["acme"], "--json")
    assert (stranger.code, stranger.error["code"]) == (2, "not_found")


WHEEL, BILL = "greeting-1.0-py3-none-any.whl", "sbom.cdx.json"


def wheel_digest(folder: Path) -> str:
    return digest_bytes((folder / WHEEL).read_bytes())


def trace_of(folder: Path, name: str, *options: object) -> list[dict[str, Any]]:
    """Every step of a trace, in order."""
    ended = run("trace", folder / name, *options, "--json")
    assert ended.code == 0, ended

    def every(step: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield step
        for below in step.get("steps", ()):
            yield from every(below)

    return list(every(ended.values[0]["trace"]))
