"""A peer that closes leaves nothing behind in the loop of its application."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import ClientSession
from structlog.testing import capture_logs

from integration.hires import REPORT, linger, summarise, two_homes, until
from undersigned.daemon import Peer
from undersigned.errors import LocalProtocolError
from undersigned.runtime import Job

pytestmark = pytest.mark.timeout(60)


async def test_no_task_outlasts_the_close_of_a_peer_under_contract(tmp_path: Path) -> None:
    """The end of its own connections is no loss that anybody has to note."""
    acme, globex = await two_homes(tmp_path)
    before = asyncio.all_tasks()
    provider = Peer(globex, handlers={"summary": linger})
    hirer = Peer(acme)
    await provider.start()
    await hirer.start()

    async def hiring() -> None:
        await hirer.hire(provider.own.id, task="summary", inputs={"report": REPORT}, price="5.00 EUR")

    hire = asyncio.create_task(hiring())
    await until(lambda: any(one.engagement.state == "working" for one in hirer.conversations.values()))
    await hirer.close()
    await provider.close()
    await asyncio.gather(hire, return_exceptions=True)
    assert sorted(task.get_name() for task in asyncio.all_tasks() - before) == []


async def test_what_a_close_cuts_short_has_not_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while a delivery was being stored showed a traceback of its review, which goes on at the next start."""
    acme, globex = await two_homes(tmp_path)
    async with Peer.open(globex) as provider, Peer.open(acme) as hirer:
        provider.offers("summary", delivers="summary.txt")(summarise)
        spawn, stopped = hirer.spawn, list[asyncio.Task[None]]()

        def spawned(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
            if name.startswith("review"):  # a close has ended what was begun before, and comes to the conversation now
                stopped.append(asyncio.create_task(next(iter(hirer.conversations.values())).stop()))
            return spawn(work, name)

        monkeypatch.setattr(hirer, "spawn", spawned)
        with capture_logs() as logs:
            hire = hirer.hire(provider.own.id, task="summary", inputs={"report": REPORT}, price="5 EUR")
            waiting = asyncio.ensure_future(hire)
            await until(lambda: bool(stopped))
            await stopped[0]
            await hirer.close()
            with pytest.raises(LocalProtocolError, match="goes on when it runs again"):
                await waiting
        assert [one for one in logs if one["log_level"] == "error"] == []


async def test_who_reads_the_log_of_a_peer_that_closes_is_told_so(tmp_path: Path) -> None:
    """Documents are served a moment longer than the ledger is open: to ask for its files then is no defect of ours."""
    home, _ = await two_homes(tmp_path)
    with structlog.testing.capture_logs() as logs:
        async with Peer.open(home) as peer, ClientSession() as session:
            await peer.ledger.close()
            statuses: list[int] = []
            for closing in (False, True):
                peer.closing = closing
                async with session.get(f"{peer.base_url}/ledger/tile/0/000.p/1") as answer:
                    statuses.append(answer.status)
    assert statuses == [500, 503]
    assert [one["event"] for one in logs].count("a request was not answered") == 1


async def test_work_that_does_not_end_is_told_of_by_its_name(tmp_path: Path) -> None:
    """A handler that catches its cancellation holds up the close, and nobody saw which one, or that it did."""
    homes = await two_homes(tmp_path)
    began, ends = asyncio.Event(), asyncio.Event()

    async def goes_on(job: Job) -> None:
        while not ends.is_set():
            began.set()
            with suppress(asyncio.CancelledError):
                await ends.wait()

    async with Peer.open(homes[1]) as globex:
        acme = Peer.open(homes[0])
        await acme.start()
        acme.late_seconds = 0.0
        acme.offers("wait")(goes_on)
        hire = asyncio.ensure_future(globex.hire(acme.own.id, task="wait", price="5 EUR"))
        await began.wait()
        with capture_logs() as logs:
            closing = asyncio.create_task(acme.close())
            await until(lambda: bool(logs))
            assert not closing.done()
            ends.set()
            await closing
        hire.cancel()
    told, *_ = [line for line in logs if line["event"] == "the close waits for what does not end"]
    assert any(name.startswith("work ") for name in told["tasks"])
    assert "CancelledError" in told["hint"]
