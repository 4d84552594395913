"""A transcript played again: it comes out as it did, and where nothing can be judged that is said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from integration.hires import did_of
from interop.test_command import typed
from interop.worlds import adapter, peer_home, subject_of
from undersigned.daemon import Peer
from undersigned.interop import chosen
from unit.cli.running import run

pytestmark = pytest.mark.timeout(180)


def outcomes(out: str) -> Mapping[str, tuple[str, str]]:
    told = [json.loads(line) for line in out.splitlines()]
    return {one["id"]: (one["outcome"], one["detail"]) for one in told if one["kind"] == "result"}


async def test_a_whole_run_of_a_provider_comes_out_the_same(tmp_path: Path) -> None:
    """In a process of its own, with binary frames and text that is no UTF-8 in it. It passes in each scenario.

    HIRE-CLS-01, HIRE-LIF-23 (a contract that is cancelled before its work began is delivered all the same).
    """
    home = await peer_home(tmp_path / "globex")
    async with Peer.open(home) as peer:
        peer.changes.consents = adapter().agrees
        code, out, err = await typed(subject_of(home).url, "--local", "--json", "--report", str(tmp_path))
    assert (code, err) == (0, ""), [line for line in out.splitlines() if '"outcome":"passed"' not in line]
    assert {id: one for id, one in outcomes(out).items() if one[0] != "passed"} == {}
    assert outcomes(out).keys() == {one.id for one in chosen("provider")}
    file = tmp_path / "transcript.jsonl"
    entries = [json.loads(line) for line in file.open()]
    assert any("binary" in one for one in entries)
    assert any("base64" in one for one in entries)
    code, replay, err = await typed("--replay", str(file), "--json")
    assert (code, err) == (0, "")
    live, again = outcomes(out), outcomes(replay)
    assert again == {id: live[id] for id in again}
    assert {"dispute-is-ruled-on", "ruling-by-nobody"} <= again.keys(), "whom all share says the same again"
    named = next(one["scenario"] for one in entries if "binary" in one)
    assert named in again
    # A file, or a run, that broke off is not judged where it did.
    half = "".join(json.dumps(one) + "\n" for one in entries)[:-100]
    no_end = "".join(json.dumps(one) + "\n" for one in entries[:-1])
    last = max(place for place, one in enumerate(entries) if one["what"] == "over" and one["scenario"] == "happy-probe")
    for text, told in (
        *((half, "is cut off"), (no_end, "its last line is missing"), (no_end + '{"what": "e', "is cut off")),
        ("".join(json.dumps(one) + "\n" for one in entries if one is not entries[last]), "no end of happy-probe"),
    ):
        file.write_text(text)
        code, replay, _ = await typed("--replay", str(file), "--json", "--only", "happy-probe")
        assert (code, told in replay, '"failed"' in replay) == (2, True, False), replay
    # A binary frame that was another is no longer what our side says.
    changed = [one | {"text": "another"} if "binary" in one else one for one in entries]
    file.write_text("".join(json.dumps(one) + "\n" for one in changed))
    code, replay, _ = await typed("--replay", str(file), "--json", "--only", named)
    assert code == 5
    assert "our side says something else" in outcomes(replay)[named][1]


async def test_a_connection_that_ends_after_the_next_began_is_told_apart(tmp_path: Path) -> None:
    """Both are of one party; a wire that cuts ends the old one late."""
    home = await peer_home(tmp_path / "globex")
    only = ("--only", "happy", "--only", "counter", "--only", "reconnect")
    options = ("--local", "--json", "--faults", "cuts", "--seed", "q", "--report", str(tmp_path))
    async with Peer.open(home):
        code, out, err = await typed(subject_of(home).url, *only, *options)
    assert (code, err) == (0, ""), out
    entries = [json.loads(line) for line in (tmp_path / "transcript.jsonl").open()][1:]
    assert max(one["connection"] for one in entries if one["what"] == "connected") > 1
    code, replay, err = await typed("--replay", str(tmp_path / "transcript.jsonl"), "--json")
    assert (code, err, outcomes(replay)) == (0, "", outcomes(out))


def heading(**members: Any) -> dict[str, Any]:
    subject = {"url": "ws://localhost:9/hire", "did": did_of(9), "local": True}
    document = json.dumps({"@context": ["https://www.w3.org/ns/did/v1"], "id": did_of(9)})
    return {
        "what": "run",
        "subject": subject,
        "document": document,
        "seed": "x",
        "run": "y",
        "origin": "http://localhost:9",
    } | members


def test_a_transcript_of_which_nothing_can_be_judged_does_not_conform(tmp_path: Path) -> None:
    file = tmp_path / "transcript.jsonl"
    hirer = chosen("hirer")[0].id
    said = {"scenario": hirer, "at": "2026-03-01T12:00:00Z", "what": "connected", "line": "first", "connection": 1}
    for lines in ([heading(), said], [heading()], [heading(document=None)]):
        file.write_text("".join(json.dumps(one) + "\n" for one in (*lines, {"what": "end"})))
        ran = run("conform", "--replay", str(file), "--json")
        assert (ran.code, ran.error["code"]) == (2, "bad_configuration"), ran
        assert "nothing to judge" in ran.error["message"]
        assert "conform" not in ran.out


def test_a_file_that_is_no_transcript_is_told_as_that(tmp_path: Path) -> None:
    file = tmp_path / "transcript.jsonl"
    for text in ("", "{}", "3\n4", "[" * 100_000):  # the last one was a defect of ours
        file.write_text(text)
        ran = run("conform", "--replay", str(file), "--json")
        assert (ran.code, ran.error["code"]) == (2, "bad_configuration"), ran
