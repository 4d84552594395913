"""A peer that is closed while it works, by a program that gives up waiting for it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from integration.hires import REPORT, did_of, two_homes
from undersigned.daemon import Peer
from undersigned.runtime import HireResult, Job


async def test_a_close_that_is_cancelled_leaves_nothing_running(tmp_path: Path) -> None:
    """As `asyncio.wait_for(peer.close(), ...)` does it: all is put away, and a hire that waits hears so."""
    acme, globex = await two_homes(tmp_path)
    working, asked = asyncio.Event(), asyncio.Event()

    async def summarise(_: Job) -> None:
        working.set()
        await asyncio.sleep(60)

    async def stubborn() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            asked.set()
            await asyncio.sleep(60)

    hirer = Peer(acme)
    async with Peer(globex, handlers={"summary": summarise}) as provider:
        await hirer.start()
        hire = hirer.hire(
            did_of(provider.home.configuration.listen.port),
            task="summary",
            inputs={"report": REPORT},
            price="5 EUR",
            deliverable="summary.txt",
        )

        async def result() -> HireResult:
            return await hire

        waiting = asyncio.create_task(result())
        async with asyncio.timeout(30):
            await working.wait()
            hirer.spawn(stubborn(), "stubborn")
            await asyncio.sleep(0)
            conversations, keepers = [*hirer.conversations.values()], [*hirer.links._keepers.values()]
            closing = asyncio.create_task(hirer.close())
            await asked.wait()
            closing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await closing
            (ended,) = await asyncio.gather(waiting, return_exceptions=True)
    assert isinstance(ended, Exception)
    assert conversations
    assert keepers
    assert [conversation._task for conversation in conversations] == [None] * len(conversations)
    assert all(keeper.done() for keeper in keepers)
    assert hirer._ledger is None
