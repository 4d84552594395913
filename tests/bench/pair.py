"""Two companies in one process that hire each other over real loopback sockets, each with a durable SQLite ledger."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from integration.hires import two_homes
from undersigned.daemon import HireResult, Peer
from undersigned.runtime import Job

__all__ = ["HIRER", "PROVIDER", "SIDE", "Pair", "shared", "two_peers"]

T = TypeVar("T")

HIRER, PROVIDER = "acme", "globex"
SIDE: contextvars.ContextVar[str] = contextvars.ContextVar("side", default="")
"""Which company the running code works for; every task and callback inherits it from what started it."""


class Pair:
    """A hirer (acme) and a provider (globex) that does `summary` for 4.00 EUR and is first offered 3.00."""

    def __init__(self, acme: Peer, globex: Peer) -> None:
        self.acme = acme
        self.globex = globex
        self.number = 0

    async def hire(self) -> HireResult:
        """One hire, from inquiry to both closings. No two have the same input, so nothing is found already made."""
        self.number += 1
        report = f"Report {self.number}: everything is fine, says the report that nobody has read.\n".encode()

        async def hired() -> HireResult:
            return await self.acme.hire(
                self.globex.identity.did,
                task="summary",
                inputs={"report": report},
                price="5.00 EUR",
                opening="3.00 EUR",
            )

        result = await on_side(HIRER, hired())
        if not result["summary.txt"].startswith(b"Report"):
            raise RuntimeError("the work was not done")
        return result

    async def hires(self, count: int, at_once: int, done: Callable[[], None] = lambda: None) -> None:
        """`count` hires, `at_once` at a time; returns when both sides have put all of them away."""
        await shared(count, at_once, lambda _: self.hire(), done)
        await self.quiet()

    async def quiet(self) -> None:
        """Returns when neither side has an engagement that is not over."""
        async with asyncio.timeout(30):
            while self.acme.conversations or self.globex.conversations:  # noqa: ASYNC110
                await asyncio.sleep(0.005)


async def summarise(job: Job) -> None:
    """The work: as little as can be, so that what is measured is the hire."""
    text = await job.read("report")
    await job.deliver("summary.txt", text[:40], media_type="text/plain")


async def shared(count: int, at_once: int, work: Callable[[int], Awaitable[object]], done: Callable[[], None]) -> None:
    """Does `work` for each number below `count`, `at_once` at a time."""
    left = iter(range(count))

    async def worker() -> None:
        for number in left:
            await work(number)
            done()

    async with asyncio.TaskGroup() as group:
        for _ in range(min(at_once, count)):
            group.create_task(worker())


async def on_side(name: str, work: Coroutine[Any, Any, T]) -> T:
    """Does `work` for a company."""
    context = contextvars.copy_context()
    context.run(SIDE.set, name)
    return await asyncio.get_running_loop().create_task(work, context=context)


@asynccontextmanager
async def two_peers(folder: Path, suite: str) -> AsyncIterator[Pair]:
    """Both peers, listening and with open ledgers. `suite` is what the hirer offers first."""
    acme_home, globex_home = await two_homes(folder)
    acme, globex = Peer.open(acme_home, suite=suite), Peer.open(globex_home, suite=suite)
    await on_side(HIRER, acme.start())
    try:
        await on_side(PROVIDER, globex.start())
        try:
            globex.offers(
                "summary", price="4.00 EUR", delivers="summary.txt", media_type="text/plain", capacity=100_000
            )(summarise)
            Peer.settle_down()
            yield Pair(acme, globex)
        finally:
            await globex.close()
    finally:
        await acme.close()
