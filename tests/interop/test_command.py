"""The command `conform`, as somebody types it."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from interop.worlds import peer_home, subject_of
from undersigned.daemon import Peer
from unit.cli.running import run


async def typed(*words: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "undersigned.cli", "conform", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def test_it_plays_and_tells(tmp_path: Path) -> None:
    home = await peer_home(tmp_path / "globex")
    subject = subject_of(home)
    async with Peer.open(home):
        code, out, err = await typed(subject.url, "--local", "--only", "replay", "--seed", "one")
        assert (code, err) == (0, "")
        assert "passed         MUST   replay-other-recipient" in out
        assert "conforms: 10 passed" in out
        code, out, err = await typed(subject.url, "--local", "--only", "connection-no-json", "--json", "--seed", "two")
    told = [json.loads(line) for line in out.splitlines()]
    assert [one["kind"] for one in told] == ["run", "result", "end"]
    assert told[1]["outcome"] == "passed"
    assert told[2] == {"kind": "end", "conforms": True, "passed": 1, "failed": 0, "not_applicable": 0}


def test_it_lists_without_asking_anybody() -> None:
    ran = run("conform", "wss://nobody.example/hire", "--list", "--only", "replay")
    assert ran.code == 0
    assert len(ran.out.splitlines()) == 10


def test_what_is_wrong_on_the_line_is_told_at_once() -> None:
    for words in (("ws://localhost:1/hire",), ("wss://nobody.example/hire", "--only", "nothing"), ("no url",)):
        ran = run("conform", *words, "--json")
        assert (ran.code, ran.error["code"]) == (2, "bad_configuration"), ran


def test_nobody_there(tmp_path: Path) -> None:
    """HIRE-DID-04: whoever cannot be found is unreachable, not wrong."""
    ran = run("conform", "ws://localhost:9/hire", "--local", "--json")
    assert (ran.code, ran.error["code"]) == (6, "did_unresolvable"), ran
