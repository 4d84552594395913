"""SC-84, SC-85: SIGKILL at every sync of a journal, on either side; after a restart there is one contract or none.

One side runs here, the other in a process of its own under `strace`, which kills it at its N-th `fdatasync`. It is
started again without `strace`, and the two have to finish by themselves.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from integration.hires import REPORT, assert_one_contract_or_none, did_of, two_homes
from support import ROOT
from undersigned.daemon import HireResult, Peer
from undersigned.ledger import open_ledger
from undersigned.runtime import Home

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed"),
]
MOST_SYNCS = 60
_started: list[int] = []
AT_ONCE = 4
"""Hires that run beside each other, each killed at another sync."""


async def _peer_process(home: Home, *command: str, kill_at: int | None = None) -> Process:
    program = [sys.executable, "-m", "undersigned.cli", *command, "--home", str(home.path), "--json"]
    if kill_at is not None:
        inject = f"inject=fdatasync:signal=SIGKILL:when={kill_at}"
        program = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", inject, *program]
    env = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"}
    with (home.path / "process.log").open("ab") as log:
        # A session of its own: strace ignores signals that are meant for what it traces.
        process = await asyncio.create_subprocess_exec(
            *program, stdout=PIPE, stderr=log, env=env, start_new_session=True
        )
    _started.append(process.pid)
    return process


def _terminate(process: Process) -> None:
    """Asks the peer to end, also when strace stands before it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)


@pytest.fixture(autouse=True)
def _nothing_left_over() -> Iterator[None]:
    """A test that fails leaves no peer running."""
    yield
    while _started:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(_started.pop(), signal.SIGKILL)


async def _read(process: Process) -> list[dict]:
    """Everything the process says until it ends."""
    said: list[dict] = []
    assert process.stdout is not None
    async for line in process.stdout:
        said.append(json.loads(line))
    await process.wait()
    return said


async def _ready(process: Process) -> None:
    assert process.stdout is not None
    async with asyncio.timeout(30):
        async for line in process.stdout:
            if json.loads(line).get("kind") == "ready":
                return
    raise AssertionError("the peer process ended before it was ready")


async def _over(home: Home) -> bool:
    ledger = await open_ledger(home.ledger_url, read_only=True)
    try:
        return not await ledger.summaries(live_only=True)
    finally:
        await ledger.close()


async def _finish(here: Peer, there: Home) -> None:
    """Waits until nothing is unfinished on either side."""
    async with asyncio.timeout(40):
        while here.conversations or not await _over(there):  # noqa: ASYNC110 - the other is a process
            await asyncio.sleep(0.05)


async def _end(process: Process) -> None:
    if process.returncode is None:
        _terminate(process)
    await _read(process)


async def _killed_provider(folder: Path, kill_at: int) -> bool:
    acme, globex = await two_homes(folder)
    process = await _peer_process(globex, "serve", kill_at=kill_at)
    async with Peer.open(acme) as peer:
        try:
            await _ready(process)
        except AssertionError:
            # Killed while it opened its ledger: then there was nothing to lose.
            process = await _peer_process(globex, "serve")
            await _ready(process)
            await _end(process)
            return True
        reading = asyncio.create_task(_read(process))

        async def done() -> HireResult:
            async with asyncio.timeout(80):
                result = await peer.hire(
                    did_of(globex.configuration.listen.port), task="summary", inputs={"report": REPORT}, price="5 EUR"
                )
                await _finish(peer, globex)
            return result

        finishing = asyncio.create_task(done())
        # The last sync may be that of the end, when the hirer has its result already.
        await asyncio.wait({reading, finishing}, return_when=asyncio.FIRST_COMPLETED)
        killed = reading.done()
        if killed:
            process = await _peer_process(globex, "serve")
            await _ready(process)
            reading = asyncio.create_task(_read(process))
        result = await finishing
        assert result["summary.txt"].startswith(b"Quarterly")
        if process.returncode is None:
            _terminate(process)
        await reading
    assert await assert_one_contract_or_none(acme, globex) == {result.contract}
    return killed


async def _killed_hirer(folder: Path, kill_at: int) -> bool:
    acme, globex = await two_homes(folder)
    report = folder / "report.txt"
    report.write_bytes(REPORT)
    async with Peer.open(globex) as peer:
        options = ("--task", "summary", "--input", f"report={report}", "--price", "5 EUR")
        process = await _peer_process(acme, "hire", did_of(globex.configuration.listen.port), *options, kill_at=kill_at)
        said = await _read(process)
        killed = not any(line.get("kind") == "result" for line in said)
        if killed:
            process = await _peer_process(acme, "serve")
            await _ready(process)
            reading = asyncio.create_task(_read(process))
            await _finish(peer, acme)
            _terminate(process)
            await reading
        else:
            await _finish(peer, acme)
    contracts = await assert_one_contract_or_none(acme, globex)
    assert len(contracts) <= 1
    return killed


@pytest.mark.parametrize("side", [_killed_provider, _killed_hirer], ids=["provider", "hirer"])
async def test_sc_84_kill_at_every_sync(side, tmp_path: Path) -> None:
    """No acknowledged message is lost, and the hire goes on by itself after the restart."""
    for first in range(1, MOST_SYNCS, AT_ONCE):
        wanted = range(first, first + AT_ONCE)
        killed = await asyncio.gather(*(side(tmp_path / str(kill_at), kill_at) for kill_at in wanted))
        if not all(killed):
            assert first > 5, "strace did not kill anything"
            return
    raise AssertionError(f"still being killed at sync {MOST_SYNCS}")
