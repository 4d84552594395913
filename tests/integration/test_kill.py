"""SC-84, SC-85: SIGKILL at every sync of a journal, on either side; after a restart there is one contract or none.

One side runs here, the other in a process of its own under `strace`, which kills it at its N-th `fdatasync`. It is
started again without `strace`, and the two have to finish by themselves. `make test` takes the syncs that decide
something and a few others, `make sweep` takes all.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from integration.hires import REPORT, assert_one_contract_or_none, did_of, two_homes
from support import ROOT, program
from undersigned.daemon import HireResult, Peer
from undersigned.ledger import open_ledger
from undersigned.runtime import Home

pytestmark = pytest.mark.timeout(600)
MOST_SYNCS = 60
PATIENCE_SECONDS = 240
"""Of one step of a hire: traced processes, several hires beside each other, on a machine that does other things too."""
_started: list[int] = []
AT_ONCE = 4
"""Hires that run beside each other, each killed at another sync."""


@pytest.fixture(autouse=True)
def strace() -> str:
    return program("strace")


DECISIVE = ("Acceptance", "Seal", "Delivery", "Closing")
"""What must not be half stored."""
OTHERS, SEED = 2, 84
"""How many other syncs `make test` takes, and how chance picks them."""


def _killing(at: int) -> tuple[str, ...]:
    """How `strace` kills at the sync number `at` of a thread, from one."""
    return "-o", "/dev/null", "-e", "trace=fdatasync", "-e", f"inject=fdatasync:signal=SIGKILL:when={at}"


def _watching(trace: Path) -> tuple[str, ...]:
    """How `strace` only writes down what is written and synced, whole pages of it."""
    return "-o", str(trace), "-s", "5000", "-e", "trace=fdatasync,pwrite64"


def _syncs(trace: Path) -> tuple[int, dict[str, int]]:
    """How many syncs the thread of the journal made, and which of them first stored which decisive move."""
    made: dict[str, int] = {}
    stored: dict[str, tuple[str, int]] = {}
    for line in trace.read_text("utf-8", "replace").splitlines():
        thread, _, call = line.partition(" ")
        if call.lstrip().startswith("fdatasync("):
            made[thread] = made.get(thread, 0) + 1
        elif call.lstrip().startswith("pwrite64("):
            # In a row of the journal the type of the move stands before its digest.
            for kind in re.findall(f"({'|'.join(DECISIVE)})uEi", call):
                stored.setdefault(kind, (thread, made.get(thread, 0) + 1))
    (journal,) = {thread for thread, _ in stored.values()}
    return made[journal], {kind: at for kind, (_, at) in stored.items()}


async def _peer_process(home: Home, *command: str, strace: tuple[str, ...] = ()) -> Process:
    program = [sys.executable, "-m", "undersigned.cli", *command, "--home", str(home.path), "--json"]
    if strace:
        program = ["strace", "-f", "-qq", *strace, *program]
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


async def _ready(process: Process, home: Home) -> None:
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_SECONDS):
        async for line in process.stdout:
            if json.loads(line).get("kind") == "ready":
                return
    said = (home.path / "process.log").read_text(errors="replace")[-2000:]
    raise AssertionError(f"the peer process ended before it was ready: {said}")


async def _over(home: Home) -> bool:
    ledger = await open_ledger(home.ledger_url, read_only=True)
    try:
        return not await ledger.summaries(live_only=True)
    finally:
        await ledger.close()


async def _finish(here: Peer, there: Home) -> None:
    """Waits until nothing is unfinished on either side."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while here.conversations or not await _over(there):  # noqa: ASYNC110 - the other is a process
            await asyncio.sleep(0.05)


async def _end(process: Process) -> None:
    if process.returncode is None:
        _terminate(process)
    await _read(process)


async def _killed_provider(folder: Path, strace: tuple[str, ...]) -> bool:
    acme, globex = await two_homes(folder)
    process = await _peer_process(globex, "serve", strace=strace)
    async with Peer.open(acme) as peer:
        try:
            await _ready(process, globex)
        except AssertionError:
            # Killed while it opened its ledger: then there was nothing to lose.
            process = await _peer_process(globex, "serve")
            await _ready(process, globex)
            await _end(process)
            return True
        reading = asyncio.create_task(_read(process))

        async def done() -> HireResult:
            async with asyncio.timeout(PATIENCE_SECONDS):
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
            await _ready(process, globex)
            reading = asyncio.create_task(_read(process))
        result = await finishing
        assert result["summary.txt"].startswith(b"Quarterly")
        if process.returncode is None:
            _terminate(process)
        await reading
    assert await assert_one_contract_or_none(acme, globex) == {result.contract}
    return killed


async def _killed_hirer(folder: Path, strace: tuple[str, ...]) -> bool:
    acme, globex = await two_homes(folder)
    report = folder / "report.txt"
    report.write_bytes(REPORT)
    async with Peer.open(globex) as peer:
        options = ("--task", "summary", "--input", f"report={report}", "--price", "5 EUR")
        process = await _peer_process(acme, "hire", did_of(globex.configuration.listen.port), *options, strace=strace)
        said = await _read(process)
        killed = not any(line.get("kind") == "result" for line in said)
        if killed:
            process = await _peer_process(acme, "serve")
            await _ready(process, acme)
            reading = asyncio.create_task(_read(process))
            await _finish(peer, acme)
            _terminate(process)
            await reading
        else:
            await _finish(peer, acme)
    contracts = await assert_one_contract_or_none(acme, globex)
    assert len(contracts) <= 1
    return killed


SIDES = pytest.mark.parametrize("side", [_killed_provider, _killed_hirer], ids=["provider", "hirer"])


@SIDES
async def test_sc_84_kill_at_the_syncs_that_decide(side, tmp_path: Path) -> None:
    """No acknowledged message is lost, and the hire goes on by itself after the restart."""
    assert not await side(tmp_path / "whole", _watching(tmp_path / "trace"))
    count, stored = _syncs(tmp_path / "trace")
    assert set(stored) == set(DECISIVE)
    others = sorted(set(range(2, count)) - set(stored.values()))
    wanted = sorted({1, *stored.values(), *Random(SEED).sample(others, OTHERS), count})
    killed: list[bool] = []
    for first in range(0, len(wanted), AT_ONCE):
        some = wanted[first : first + AT_ONCE]
        killed += await asyncio.gather(*(side(tmp_path / str(at), _killing(at)) for at in some))
    # Another hire may make a sync or two fewer at its end.
    assert all(done for at, done in zip(wanted, killed, strict=True) if at <= max(stored.values())), killed


@pytest.mark.slow
@SIDES
async def test_sc_84_kill_at_every_sync(side, tmp_path: Path) -> None:
    """The same with none left out."""
    for first in range(1, MOST_SYNCS, AT_ONCE):
        wanted = range(first, first + AT_ONCE)
        killed = await asyncio.gather(*(side(tmp_path / str(at), _killing(at)) for at in wanted))
        if not all(killed):
            assert first > 5, "strace did not kill anything"
            return
    raise AssertionError(f"still being killed at sync {MOST_SYNCS}")
