"""The command `conform`, as somebody types it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import msgspec
import pytest

from integration.commands import undersigned
from interop.worlds import peer_home, subject_of
from undersigned.daemon import Peer
from undersigned.encoding import digest_bytes
from undersigned.interop import Result, Run, chosen, compatibility, verify_report
from undersigned.interop.failures import shown_all
from undersigned.protocol import Answer, Moment
from undersigned.runtime import SystemClock, create_home, sign_record
from undersigned.testing import Actor
from unit.cli.running import run

EVERY = len(chosen("provider", every=True))


async def typed(*words: str, command: str = "conform") -> tuple[int, str, str]:
    return await asyncio.to_thread(undersigned, command, *words, folder=Path.cwd(), seconds=120)


async def test_it_plays_and_tells(tmp_path: Path) -> None:
    home = await peer_home(tmp_path / "globex")
    subject = subject_of(home)
    async with Peer.open(home):
        code, out, err = await typed(subject.url, "--local", "--only", "replay", "--seed", "one")
        assert (code, err) == (0, "")
        assert "passed         MUST   replay-other-recipient" in out
        assert f"passed what was asked: 9 of {EVERY} passed" in out
        code, out, err = await typed(subject.url, "--local", "--only", "connection-no-json", "--json", "--seed", "two")
    told = [json.loads(line) for line in out.splitlines()]
    assert [one["kind"] for one in told] == ["run", "result", "end"]
    assert told[0]["seed"] == "two"
    assert told[1]["outcome"] == "passed"
    assert told[2] == {
        **{"kind": "end", "conforms": False, "verdict": "passed what was asked"},
        "set": {"name": "chosen", "scenarios": 1, "of": EVERY},
        **{"passed": 1, "failed": 0, "not_applicable": 0, "expected": 0, "stale": 0, "defect": 0, "given_up": 0},
    }


async def test_it_says_of_a_class_that_it_does_not_play_what_shows_it() -> None:
    """HIRE-CLS-04: a class is not claimed because its scenarios, of which there are none, did not fail."""
    for profile in ("trust", "authority", "evidence"):
        code, out, err = await typed("ws://localhost:1/hire", "--local", "--profile", profile)
        assert (code, out) == (2, "")
        assert "no scenarios of this class" in err
        assert f'"class": "{profile}"' in err


async def test_it_writes_a_signed_report_and_holds_expectations_to_what_is(tmp_path: Path) -> None:
    home = await peer_home(tmp_path / "globex")
    subject, expected, folder = subject_of(home), tmp_path / "expected.toml", tmp_path / "report"
    more = next(one.id for one in chosen("provider", every=True) if one.more)
    expected.write_text("".join(f'[[expected]]\nid = "{id}"\nreason = "long mended"\n' for id in ("happy-probe", more)))
    options = ("--local", "--only", "happy-probe", "--report", str(folder), "--name", "Globex", "--release", "1")
    manifest = tmp_path / "MANIFEST.sha256"
    manifest.write_text(f"{'0' * 64}  a/case.json\n")
    signing = ("--sign", "--home", str(home.path))
    async with Peer.open(home):
        code, out, err = await typed(subject.url, *options, *signing)
        assert (code, err) == (0, "")
        more = ("--vectors", str(manifest), "--faults", "pieces")
        stale, out, _ = await typed(subject.url, *options, *more, "--expected", str(expected))
        untold = await typed(subject.url, *options[:3], "--expected", str(expected))
    assert stale == 5
    assert "--report FOLDER" not in out, "it was written"
    assert "what was sent and what came is written with --report FOLDER" in untold[1].splitlines()[-1]
    assert "expected to fail (long mended), and does not" in out
    report = json.loads((folder / "compatibility.json").read_text())
    assert report["counts"]["stale"] == 1
    assert report["implementation"] == {"name": "Globex", "version": "1", "did": subject.did}
    assert (report["vectors"], report["faults"]) == (digest_bytes(manifest.read_bytes()), "pieces")
    assert {"sent", "received"} <= {json.loads(line)["what"] for line in (folder / "transcript.jsonl").open()}


async def test_a_transcript_is_judged_without_the_implementation(tmp_path: Path) -> None:
    """What was said is enough: it comes out the same, and a transcript that was changed does not."""
    home, folder = await peer_home(tmp_path / "globex"), tmp_path / "report"
    options = ("--local", "--only", "happy", "--only", "chain", "--only", "proof", "--report", str(folder))
    async with Peer.open(home):
        code, out, err = await typed(subject_of(home).url, *options)
    assert (code, err) == (0, "")
    file = folder / "transcript.jsonl"
    replay, again, _ = await typed("--replay", str(file))
    assert (replay, again.splitlines()[-1]) == (0, out.splitlines()[-1])
    acceptance = '\\"type\\":\\"Acceptance\\"'
    file.write_text("".join(line for line in file.open() if acceptance not in line))
    replay, again, _ = await typed("--replay", str(file))
    assert replay == 5
    assert "does not conform" in again
    assert f"{' ' * 22}From inquiry to closed books: the asked price, one delivery, accepted\n" in again
    assert "; sent before: Offer\n" in again
    assert "held against HIRE-CLS-01, HIRE-NEG-01" in again, (
        "whoever reads why it failed is told which requirement it was"
    )


async def test_the_report_of_a_run_verifies(tmp_path: Path) -> None:
    home = await peer_home(tmp_path / "globex")
    options = ("--local", "--only", "happy-probe", "--report", str(tmp_path / "report"), "--sign")
    async with Peer.open(home):
        code, _, err = await typed(subject_of(home).url, *options, "--home", str(home.path))
    assert (code, err) == (0, "")
    report = json.loads((tmp_path / "report" / "compatibility.json").read_text())
    signer = home.organisation_document() or home.document()
    assert verify_report(report, signer, now=SystemClock().now())["verdict"] == "passed what was asked"
    file, document = tmp_path / "report" / "compatibility.json", tmp_path / "signer.json"
    document.write_bytes(signer.raw)
    known = ("--verify", str(file), "--did-document", str(document), "--local")
    code, out, err = await typed(*known)
    assert (code, err) == (0, ""), out
    assert f"signed by {signer.id}" in out
    for line in (
        *(
            "passed what was asked",
            f"name chosen, scenarios 1, of {EVERY}",
            "passed 1, failed 0",
            "excused          none",
        ),
        *(f"seed             {report['seed']}", "faults           none", f"{report['scenarios']} (the same as here)"),
        f"{report['transcript']} (the same as here)",
    ):
        assert line in out
    async with Peer.open(home):
        assert (await typed(*known[:2], "--local"))[0] == 0, "its document is fetched where it is published"
    for wrong in (
        {**report, "conforms": True},
        {**report, "seed": "x"},
        {k: v for k, v in report.items() if k != "proof"},
    ):
        file.write_text(json.dumps(wrong))
        assert (await typed(*known))[0] == 4
    file.write_text(json.dumps(report))
    transcript = tmp_path / "report" / "transcript.jsonl"
    whole = transcript.read_text()
    transcript.write_text(whole + "{}\n")
    code, _, err = await typed(*known)
    assert (code, "is not the transcript of this report" in err) == (4, True)
    transcript.unlink()
    assert "(not compared: there is none here)" in (await typed(*known))[1]
    document.write_bytes(home.document().raw)
    file.write_text(json.dumps(report))
    code, _, err = await typed(*known)
    assert (code, f"signed by {signer.id}, and not by {home.document().id}" in err) == (4, True), "another's document"


async def test_a_report_says_whether_it_is_of_the_scenarios_and_vectors_that_are_here(tmp_path: Path) -> None:
    home = create_home(tmp_path / "lab", name="Lab", local=True, port=8109)
    signer = home.organisation_document() or home.document()
    file, document, manifest = tmp_path / "compatibility.json", tmp_path / "signer.json", tmp_path / "MANIFEST.sha256"
    document.write_bytes(signer.raw)
    manifest.write_text(f"{'0' * 64}  a/case.json\n")
    (probe,) = chosen("provider", only=("happy-probe",))
    other = msgspec.structs.replace(probe, title="another title")
    now = "2026-11-25T12:00:00Z"
    for scenario, vectors in ((probe, manifest.read_bytes()), (other, b"another")):
        about = {"implementation": "x", "version": "1", "did": "did:key:z", "role": "provider", "profile": "core"}
        run_of = Run(**about, seed="s", began=now, ended=now, vectors=digest_bytes(vectors))
        result = Result(scenario=scenario, outcome="expected", detail="known")
        file.write_text(json.dumps(await sign_record(home, compatibility(run_of, (result,)), now)))
        words = ("--verify", str(file), "--did-document", str(document), "--local", "--vectors", str(manifest))
        code, out, _ = await typed(*words, "--json")
        told = json.loads(out)
        same = scenario is probe
        assert (code, told["scenarios"]["same"], told["vectors"]["same"]) == (0, same, same)
        assert (told["excused"], told["conforms"]) == (["happy-probe"], False)
        assert ("ANOTHER than here" in (await typed(*words))[1]) is not same


def test_what_is_said_beside_a_replay_is_not_ignored(tmp_path: Path) -> None:
    file = tmp_path / "x"
    for words, named in (
        (("--replay", str(file), "--report", str(tmp_path)), "does not heed --report"),
        (("--replay", str(file), "--sign"), "does not heed --sign"),
        (("--replay", str(file), "--expected", str(file)), "does not heed --expected"),
        (("--replay", str(file), "--role", "hirer"), "does not heed --role"),
        (("--replay", str(file), "--seed", "x"), "does not heed --seed"),
        (("--replay", str(file), "wss://nobody.example/hire"), "does not heed URL"),
        (("--verify", str(file), "--only", "happy"), "does not heed --only"),
    ):
        ran = run("conform", *words, "--json")
        assert (ran.code, ran.error["code"]) == (2, "bad_configuration"), ran
        assert named in ran.error["message"]


def test_what_is_no_manifest_is_not_taken_for_one(tmp_path: Path) -> None:
    file = tmp_path / "work.py"
    for text in ("def work(): ...\n", ""):
        file.write_text(text)
        ran = run("conform", "wss://nobody.example/hire", "--vectors", str(file), "--json")
        assert (ran.code, "is no MANIFEST.sha256" in ran.error["message"]) == (2, True)


def test_the_form_of_expected_failures_is_in_the_help() -> None:
    told = " ".join(run("conform", "--help").out.split())
    assert "[[expected]]" in told
    assert "`reason`" in told
    assert "--price PRICE" in told
    assert "[default: 5.00 EUR]" in told


def test_it_lists_without_asking_anybody() -> None:
    ran = run("conform", "wss://nobody.example/hire", "--list", "--only", "replay")
    assert ran.code == 0
    assert len(ran.out.splitlines()) == 9
    every = run("conform", "wss://nobody.example/hire", "--list", "--all")
    assert len(every.out.splitlines()) == EVERY, "by which alone it conforms"


def test_what_is_wrong_on_the_line_is_told_at_once(tmp_path: Path) -> None:
    there, binary = "wss://nobody.example/hire", tmp_path / "binary"
    binary.write_bytes(b"\xff")
    for words in (
        ("ws://localhost:1/hire",),
        (there, "--only", "nothing"),
        ("no url",),
        (there, "--listen", "localhost"),
        (there, "--listen", "localhost:99999"),
        (there, "--reached-at", "localhost"),
        (there, "--reached-at", "ws://localhost:1"),
        (there, "--reached-at", "http://"),
        (),
        (there, "--role", "hirer"),
        (there, "--role", "hirer", "--hook", "localhost:1"),
        (there, "--role", "hirer", "--hook", "ws://localhost:1"),
        (there, "--role", "hirer", "--hook", "http://"),
        (there, "--input", f"={__file__}"),
        (there, "--input", f"report={binary}"),
    ):
        ran = run("conform", *words, "--json")
        assert (ran.code, ran.error["code"]) == (2, "bad_configuration"), ran
    (tmp_path / "expected.toml").write_text('[[expected]]\nid = "nothing"\nreason = "x"\n')
    ran = run("conform", there, "--expected", tmp_path / "expected.toml", "--json")
    assert (ran.code, ran.error["message"]) == (2, "expected failures of no scenario: nothing")
    assert len(ran.values) == 1, "and nothing was played"
    ran = run("conform", there, "--listen", ":0", "--json")
    assert ran.error["message"] == "--listen: expected HOST:PORT such as 127.0.0.1:9000, got ':0'"
    ran = run("conform", there, "--input", __file__, "--json")
    assert ran.error["message"] == f"--input: expected NAME=FILE, got {__file__!r}"


@pytest.mark.parametrize("did", ["did:web:localhost%3A9", Actor("somebody").did], ids=["not-found", "not-reached"])
def test_nobody_there(did: str, tmp_path: Path) -> None:
    """HIRE-DID-04: whoever cannot be found or reached is unreachable, not wrong; and there is a report of it."""
    options = ("--local", "--did", did, "--only", "happy", "--report", str(tmp_path), "--json")
    ran = run("conform", "ws://localhost:9/hire", *options)
    assert ran.code == 6, ran
    (end,) = [json.loads(line) for line in ran.out.splitlines()][1:]
    assert ("--did names another DID" in end["why"]) == did.startswith("did:web")
    why = "no DID document" if did.startswith("did:web") else "no connection"
    assert (end["conforms"], end["failed"], end["why"].split(":")[0]) == (False, 0, why)
    report = json.loads((tmp_path / "compatibility.json").read_text())
    results = report["results"]
    assert {(one["outcome"], one["detail"].split(":")[0]) for one in results} == {("given up", why)}
    assert (report["conforms"], end["given_up"]) == (False, len(results))
    assert why in (tmp_path / "compatibility.html").read_text()
    again = run("conform", "--replay", str(tmp_path / "transcript.jsonl"), "--json")
    assert (again.code, again.error["code"]) == (2, "bad_configuration")
    assert "nothing to judge" in again.error["message"]


def test_who_cannot_be_found_does_not_conform_at_a_weaker_level_either() -> None:
    """No scenario of the strongest level fails, and nothing was judged."""
    weak = next(one.id for one in chosen("provider", every=True) if one.level != "MUST")
    ran = run("conform", "ws://localhost:9/hire", "--local", "--only", weak, "--json")
    assert (ran.code, json.loads(ran.out.splitlines()[-1])["conforms"]) == (6, False)


def test_what_is_said_of_whoever_does_not_refuse() -> None:
    """A message that is only repeated is no answer, and is not taken for one."""
    profile = b'{"type":"Profile"}'
    assert shown_all([], [profile]) == "nothing"
    assert shown_all([profile, b'{"type":"Receipt"}'], [profile]) == "Profile again, Receipt"


def test_no_scenario_is_no_success() -> None:
    """Of whom nothing was judged it is not said that it conforms."""
    there = ("conform", "ws://localhost:9/hire", "--local", "--json")
    for words in (("--only", "no-such-scenario"), ("--faults", "cuts", "--only", "connection-no-json")):
        ran = run(*there, *words)
        assert (ran.code, ran.error["code"]) == (2, "bad_configuration"), ran
    assert "nothing to judge" in ran.error["message"]


class InsistsOnItsOwn:
    def answer(self, moment: Moment) -> Answer:
        return Answer(act="withdraw")


async def test_a_run_in_which_nothing_applies_is_no_success(tmp_path: Path) -> None:
    """A provider may answer with an offer of its own, and then it is not seen how it would have gone on."""
    home = await peer_home(tmp_path / "globex")
    options = ("--local", "--only", "happy-whole-hire", "--report", str(tmp_path), "--json")
    async with Peer.open(home, strategy=InsistsOnItsOwn()):
        code, out, _ = await typed(subject_of(home).url, *options)
    _, result, end, error = [json.loads(line) for line in out.splitlines()]
    assert (code, result["outcome"], end["conforms"]) == (2, "not applicable", False)
    assert "nothing was judged" in error["error"]["message"]
    assert json.loads((tmp_path / "compatibility.json").read_text())["conforms"] is False


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("wss://localhost:9301/hire",), "conform --local"),
        (("ws://localhost:9301/hire",), "conform --local"),
        (("http://localhost:9301/hire",), "expected wss in place of http"),
        (("https://agents.example.com/hire",), "expected wss in place of https"),
        (("http://localhost:9301/hire", "--local"), "expected wss or ws in place of http"),
    ],
)
def test_a_wrong_url_is_told_how_to_be_right(words: tuple[str, ...], hint: str) -> None:
    ran = run("conform", *words, "--json")
    assert ran.code in (2, 4)
    assert hint in ran.error["message"]


async def test_it_plays_over_a_bad_network(tmp_path: Path) -> None:
    """HIRE-SYN-03: whatever breaks on the way, by seed, the honest scenarios come to their ends."""
    home = await peer_home(tmp_path / "globex")
    async with Peer.open(home):
        for faults, only in (("cuts", "happy"), ("pieces", "counter")):
            options = ("--local", "--faults", faults, "--only", only, "--seed", f"a seed {faults}")
            code, out, err = await typed(subject_of(home).url, *options)
            assert (code, err) == (0, ""), out
    assert f"passed what was asked: 2 of {EVERY} passed" in out
