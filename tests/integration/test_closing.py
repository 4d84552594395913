"""A peer that is closed while it works, by a program that gives up waiting for it."""

from __future__ import annotations

import asyncio
from itertools import count
from pathlib import Path

import pytest
from aiohttp import ClientSession, ClientTimeout

from integration.hires import REPORT, did_of, two_homes, until
from integration.interrupted import Interrupted
from undersigned.daemon import Hire, Peer
from undersigned.errors import PolicyError
from undersigned.ledger import surely_unwritten
from undersigned.runtime import ControlPart, HireResult, Job
from undersigned.testing import Wire, free_ports


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


async def test_what_comes_while_a_peer_closes_has_it_dial_nobody(tmp_path: Path) -> None:
    """The other side says a move of an engagement that is over again, as it does when its receipt was lost. Its answer
    finds no connection any more: a new one would be kept for ever by the engagement that is not over.
    """
    acme, globex = await two_homes(tmp_path)
    working = asyncio.Event()

    async def summarise(_: Job) -> None:
        working.set()
        await asyncio.Event().wait()

    port = globex.configuration.listen.port
    hirer = Peer(acme)
    async with (
        asyncio.timeout(60),
        Peer(globex, handlers={"summary": summarise}) as provider,
        Wire(("127.0.0.1", port)) as wire,
    ):
        await hirer.start()

        def hire(price: str) -> Hire:
            at = f"ws://localhost:{wire.port}/hire"
            return hirer.hire(did_of(port), task="summary", inputs={"report": REPORT}, price=price, at=at)

        over = hire("1 EUR")
        with pytest.raises(PolicyError):
            await over
        assert over.engagement is not None
        await until(lambda: over.engagement not in (*hirer.conversations, *provider.conversations))
        last = [row for row in await provider.ledger.rows(over.engagement) if row.kind == "sent" and row.sequence][-1]
        events = aiter(hire("5 EUR"))
        await anext(events)
        await working.wait()

        wire.stall("up")  # it waits for an answer to its close frame, and reads meanwhile
        closing = asyncio.create_task(hirer.close())
        await until(lambda: not hirer.links.connected(did_of(port)))
        assert await provider.links.send(did_of(acme.configuration.listen.port), last.raw)
        await closing
    assert all(keeper.done() for keeper in hirer.links._keepers.values())


@pytest.mark.timeout(180)
async def test_a_close_that_is_cancelled_at_any_wait_leaves_room_for_the_next(tmp_path: Path) -> None:
    """As `asyncio.timeout` around `async with Peer.open(...)` does it: whoever has the peer cannot close it again. Nor
    does a connection stay on which nobody would answer, and which its other end would use again.
    """
    home, _ = await two_homes(tmp_path)
    control, gates = free_ports(2)
    async with ClientSession(timeout=ClientTimeout(total=20)) as session:
        for number in count():
            peer = Peer.open(home)
            peer.control, peer.gates = ControlPart(port=control), ControlPart(port=gates)
            await peer.start()
            async with session.get(f"http://127.0.0.1:{home.configuration.listen.port}/.well-known/did.json") as found:
                assert (found.status, found.version) == (200, (1, 1))
                await found.read()
            close = Interrupted(peer.close(), number)

            async def closed(close: Interrupted = close) -> None:
                await close

            await asyncio.gather(asyncio.create_task(closed()), return_exceptions=True)
            await until(lambda: surely_unwritten(home.ledger_url))
            if not close.reached:
                break
    assert number > 3
