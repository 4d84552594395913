"""What an idle negotiation holds in memory: many that wait for the answer to an offer, on one connection."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from undersigned.runtime import hire_order
from undersigned.runtime.agent import crowd, intake

from .pair import HIRER, Pair, on_side, two_peers

__all__ = ["idle_negotiations"]

TARGET_BYTES = 8 * 1024
WARM = 20
CACHED = 300
"""So many fill the caches of bounded size, which no negotiation holds."""
TOP = 25


async def idle_negotiations(folder: Path, suite: str, count: int) -> dict[str, Any]:
    """Bytes of Python objects per negotiation and side, and the lines that hold them.

    Half of what both sides hold. First without an application that waits for the end, then with one that does.
    """
    async with two_peers(folder, suite) as pair:
        waiting: list[asyncio.Task[Any]] = []

        async def silent(*_: Any) -> None:
            """The provider's answer to an offer: none yet, as when a person is asked first."""

        async def begin() -> None:
            await pair.acme.begin(await hire_order(pair.acme, pair.globex.identity.did, **order(pair)))

        async def hire() -> None:
            waiting.append(asyncio.ensure_future(pair.acme.hire(pair.globex.identity.did, **order(pair))))

        pair.globex.provider._answer = silent  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue] - only in this process
        # More than one peer, or one address, is let have without a contract.
        intake.MAX_NEGOTIATIONS = crowd.FROM_ONE_PLACE = crowd.ALTOGETHER = CACHED + WARM + 2 * count
        # From here on, so that what a full cache drops for its latest is known as well.
        tracemalloc.start(1)
        try:
            await many(pair, CACHED, begin)
            await many(pair, WARM, hire)
            alone, lines = await held(pair, count, begin)
            watched, _ = await held(pair, count, hire)
        finally:
            tracemalloc.stop()
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
    return {
        "negotiations": count,
        "bytes": alone / 2,
        "target": TARGET_BYTES,
        "bytes_of_hire": watched - alone,
        "lines": lines,
    }


def order(pair: Pair) -> dict[str, Any]:
    pair.number += 1
    report = f"Report {pair.number}: nobody answers.\n".encode()
    return {"task": "summary", "inputs": {"report": report}, "price": "5 EUR", "opening": "3 EUR", "criteria": {}}


async def many(pair: Pair, count: int, start: Callable[[], Awaitable[None]]) -> None:
    """Starts negotiations and returns once all of them rest in `offered-by-hirer`, on both sides."""
    wanted = len(pair.acme.conversations) + count
    for _ in range(count):
        await on_side(HIRER, start())  # pyright: ignore[reportArgumentType] - coroutines
    async with asyncio.timeout(60):
        # The negotiations end nowhere, so nothing tells when all are there.
        while any(waiting_in(peer) < wanted for peer in (pair.acme, pair.globex)):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    async with asyncio.timeout(60):
        while any(not c.resting for peer in (pair.acme, pair.globex) for c in peer.conversations.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def waiting_in(peer: Any) -> int:
    return sum(1 for c in peer.conversations.values() if c.engagement.state == "offered-by-hirer")


async def held(pair: Pair, count: int, start: Callable[[], Awaitable[None]]) -> tuple[float, list[dict[str, Any]]]:
    """Bytes that `count` more negotiations hold on both sides together, each, and the lines that took them."""
    gc.collect()
    before = tracemalloc.take_snapshot()
    await many(pair, count, start)
    gc.collect()
    after = tracemalloc.take_snapshot()
    differences = [
        one for one in after.compare_to(before, "lineno") if not one.traceback[0].filename.endswith("tracemalloc.py")
    ]
    lines = [
        {
            "line": f"{shortened(one.traceback[0].filename)}:{one.traceback[0].lineno}",
            "bytes": one.size_diff / count / 2,
            "blocks": one.count_diff / count / 2,
        }
        for one in sorted(differences, key=lambda one: -one.size_diff)[:TOP]
    ]
    return sum(one.size_diff for one in differences) / count, lines


def shortened(name: str) -> str:
    at = name.rfind("/undersigned/")
    return name[at + 1 :] if at >= 0 else "/".join(name.rsplit("/", 2)[-2:])
