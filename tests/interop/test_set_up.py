"""What a run comes to where the implementation cannot do the work, is not set up, or the run itself goes wrong."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any, Never

import pytest

from integration.hires import did_of, free_ports
from interop.test_command import typed
from interop.worlds import adapter, peer_home, subject_of
from undersigned.daemon import Peer
from undersigned.interop import run
from undersigned.runtime import Job
from unit.cli.running import run as command

pytestmark = pytest.mark.timeout(120)


async def breaks_down(job: Job) -> Never:
    """Work that nobody can do."""
    raise RuntimeError("no")


def told(out: str, kind: str) -> list[dict[str, Any]]:
    return [one for one in map(json.loads, out.splitlines()) if one.get("kind") == kind]


async def test_whoever_delivers_nothing_fails_the_scenarios_that_want_it_and_no_other(tmp_path: Path) -> None:
    home = await peer_home(tmp_path / "globex", handler=f"{__name__}:breaks_down")
    wanted = ("scope-nobody-reads-a-delivery", "attestation-delivery", "happy-probe", "happy-whole-hire")
    options = [word for one in wanted for word in ("--only", one)]
    async with Peer.open(home):
        code, out, err = await typed(
            subject_of(home).url, "--local", "--json", *options, "--report", str(tmp_path / "report")
        )
    assert (code, err) == (5, "")
    outcomes = {one["id"]: (one["outcome"], one["detail"]) for one in told(out, "result")}
    assert outcomes.pop("happy-probe")[0] == "passed"
    assert {outcome for outcome, _ in outcomes.values()} == {"failed"}
    assert all("Delivery is failed" in detail for _, detail in outcomes.values()), outcomes
    assert len(json.loads((tmp_path / "report" / "compatibility.json").read_text())["results"]) == len(wanted)


async def test_a_defect_of_the_harness_ends_one_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = run.play_steps

    async def breaking(playing: Any) -> None:
        if playing.scenario.id == "happy-probe":
            raise IndexError("tuple index out of range")
        await real(playing)

    monkeypatch.setattr(run, "play_steps", breaking)
    home = await peer_home(tmp_path / "globex")
    words = (subject_of(home).url, "--local", "--json", "--only", "happy-probe", "--only", "happy-rejected")
    async with Peer.open(home):
        ran = await asyncio.to_thread(command, "conform", *words)
    results = told(ran.out, "result")
    assert {one["id"]: one["outcome"] for one in results} == {"happy-probe": "defect", "happy-rejected": "passed"}
    assert any("test_set_up.py" in one["detail"] and "defect of ours" in one["detail"] for one in results)
    (end,) = told(ran.out, "end")
    said = "nobody is said to conform, or not to, by a run of which a part was not judged"
    assert (ran.code, end["conforms"], end["verdict"]) == (1, False, "not judged to the end"), said


async def test_a_provider_with_as_few_places_as_are_played_at_a_time_is_judged(tmp_path: Path) -> None:
    """What the harness began it ends, so that no place stays taken."""
    home = await peer_home(tmp_path / "globex", capacity=8)
    async with Peer.open(home) as peer:
        peer.changes.consents = adapter().agrees
        code, out, err = await typed(subject_of(home).url, "--local", "--json", "--only", "contract", "--only", "lane")
    assert (code, err) == (0, ""), out
    (end,) = told(out, "end")
    assert (end["failed"], end["given_up"]) == (0, 0)


@pytest.mark.parametrize(
    ("given", "words", "why"),
    [
        ({"anchors": ()}, (), "policy_denied"),
        ({}, ("--task", "nosuch"), "not_offered"),
    ],
    ids=["distrusted", "no-such-task"],
)
async def test_what_has_to_be_set_up_is_said_once(
    given: dict[str, Any], words: tuple[str, ...], why: str, tmp_path: Path
) -> None:
    home = await peer_home(tmp_path / "globex", **given)
    async with Peer.open(home):
        code, out, err = await typed(subject_of(home).url, "--local", "--only", "happy", *words)
    assert (code, err) == (6, ""), out
    assert out.count(why) == 1
    assert "does not conform" not in out


async def test_no_room_is_said_once_and_nothing_else_is_tried(tmp_path: Path) -> None:
    """One place, and several at a time."""
    home = await peer_home(tmp_path / "globex", capacity=1)
    async with Peer.open(home):
        code, out, err = await typed(subject_of(home).url, "--local", "--only", "happy", "--only", "contract")
    assert (code, err) == (6, ""), out
    assert out.count("capacity)") == 1
    assert "does not conform" not in out


async def test_a_peer_that_is_down_is_said_once(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    url = f"ws://localhost:{port}/hire"
    code, out, err = await typed(url, "--local", "--did", did_of(port), "--report", str(tmp_path))
    assert (code, err) == (6, "")
    assert out.count("no DID document") == 1
    assert "given up: no DID document" in out
    assert "does not conform" not in out
    assert "not judged to the end" in (tmp_path / "compatibility.html").read_text()


async def test_ctrl_c_tells_what_was_judged(tmp_path: Path) -> None:
    home = await peer_home(tmp_path / "globex")
    folder = tmp_path / "report"
    async with Peer.open(home):
        words = (subject_of(home).url, "--local", "--json", "--at-a-time", "1", "--report", str(folder))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "undersigned.cli", "conform", *words),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        until = 0
        while until < 3:
            until += b'"kind":"result"' in (await process.stdout.readline()).replace(b" ", b"")
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
    assert (process.returncode, err) == (130, b"")
    (end,) = told(out.decode(), "end")
    assert (end["interrupted"], end["conforms"], end["verdict"]) == (True, False, "not judged to the end")
    report = json.loads((folder / "compatibility.json").read_text())
    assert (report["interrupted"], report["conforms"]) == (True, False)
    assert 3 <= len(report["results"]) == sum(report["counts"].values())
    assert "not judged to the end" in (folder / "compatibility.html").read_text()
