"""How one agent bargains: the application's strategy, asked beside all else that the agent does."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from undersigned.errors import PolicyError
from undersigned.protocol import Answer, Bounds, Concede, Moment, Strategy, bounded

__all__ = ["Bargaining"]


class Bargaining:
    """The strategy, and the threads in which it thinks. `close` it."""

    def __init__(self, strategy: Strategy | None) -> None:
        self.strategy = strategy
        """None: each side's usual one."""
        self.seconds = 10.0
        """How long the application's strategy may think about an offer."""
        self._thinking = ThreadPoolExecutor(8, "undersigned-strategy")

    async def answer(self, usual: Concede, moment: Moment, bounds: Bounds) -> Answer:
        """What the application's strategy answers, or `usual` if it has none; never outside of `bounds`.

        It runs in a thread: one that does not come back holds up neither the other negotiations nor, beyond `seconds`,
        this one.

        Raises:
            PolicyError: `decision_failed`: it raised, answered something that is no answer, or took too long.
        """
        if self.strategy is None or isinstance(self.strategy, Concede):
            return bounded(self.strategy or usual, moment, bounds)  # ours: it computes, and waits for nothing
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.seconds):
                return await loop.run_in_executor(self._thinking, bounded, self.strategy, moment, bounds)
        except TimeoutError as exc:
            raise PolicyError("decision_failed", f"no answer of the strategy in {self.seconds:g} s") from exc

    def close(self) -> None:
        """Begins no more; what thinks now is not waited for."""
        self._thinking.shutdown(wait=False, cancel_futures=True)
