"""How one agent bargains: the application's strategy, asked beside all else that the agent does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

from undersigned.errors import PolicyError
from undersigned.protocol import Answer, Bounds, Concede, Moment, Strategy, bounded
from undersigned.transport import in_daemon

__all__ = ["Bargaining"]

THREADS: Final = 8
"""In which a strategy thinks at once, about one offer in each."""


class Bargaining:
    """The strategy, and the threads in which it thinks. `close` it."""

    def __init__(self, strategy: Strategy | None) -> None:
        self.strategy = strategy
        """None: each side's usual one."""
        self.seconds = 10.0
        """How long the application's strategy may think about an offer."""
        self._free = asyncio.Semaphore(THREADS)

    async def answer(self, usual: Concede, moment: Moment, bounds: Bounds) -> Answer:
        """What the application's strategy answers, or `usual` if it has none; never outside of `bounds`.

        It runs in a thread: one that does not come back holds up neither the other negotiations nor, beyond `seconds`,
        this one.

        Raises:
            PolicyError: `decision_failed`: it raised, answered something that is no answer, or took too long.
        """
        if self.strategy is None or isinstance(self.strategy, Concede):
            return bounded(self.strategy or usual, moment, bounds)  # ours: it computes, and waits for nothing
        try:
            async with asyncio.timeout(self.seconds):
                return await self._thought(partial(bounded, self.strategy, moment, bounds))
        except TimeoutError as exc:
            raise PolicyError("decision_failed", f"no answer of the strategy in {self.seconds:g} s") from exc

    async def _thought(self, think: Callable[[], Answer]) -> Answer:
        """What `think` returns or raises. Its place is free once it is over, and not when nobody waits any more."""
        free, loop = self._free, asyncio.get_running_loop()
        await free.acquire()

        def ended() -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(free.release)

        try:
            return await in_daemon("undersigned-strategy", think, ended)
        except RuntimeError as exc:
            raise PolicyError("decision_failed", f"the strategy is not asked: {exc}") from exc

    def close(self) -> None:
        """What thinks now is not waited for, and takes no place from what is asked after another start."""
        self._free = asyncio.Semaphore(THREADS)
