"""Time that runs faster: a whole run on an event loop whose seconds are shorter, with a clock that agrees with it.

A peer that lost a message asks again after seconds, a silent connection is given up after a minute. A test that needs
those times and real sockets runs in a hurry: what the loop waits for goes `factor` times as fast, timers as well as the
clock that the peers read. What runs on the loop takes as long as it does, so that a busy machine is not a slow peer;
disks, threads and other processes, which the loop waits for, have a part of what the peers' own limits grant them.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from undersigned.encoding import Instant, format_instant

__all__ = ["HurriedClock", "hurry"]

T = TypeVar("T")


class HurriedClock:
    """UTC to the second, from now on as fast as the loop that it is of."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._from = datetime.now(UTC)
        self._started = loop.time()

    def now(self) -> Instant:
        """The present instant of the hurried time."""
        return format_instant(self._from + timedelta(seconds=self._loop.time() - self._started))


def hurry(main: Callable[[HurriedClock], Coroutine[Any, Any, T]], *, factor: float = 10.0) -> T:
    """What `main` returns, run on a loop of its own; give its peers the clock that it is called with.

    Raises:
        RuntimeError: An event loop runs here: it is for a test that is not `async` itself.
        ValueError: `factor` is not more than 0.
    """
    if not factor > 0:
        raise ValueError(f"factor: expected more than 0, got {factor!r}")
    _require_no_loop()
    with asyncio.Runner(loop_factory=lambda: _HurriedLoop(factor)) as runner:
        return runner.run(main(HurriedClock(runner.get_loop())))


def _require_no_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError("an event loop runs here: hurry() is for a test that is not async itself")


class _Selector(selectors.DefaultSelector):
    """Waits a part of what the loop asks for, and tells how far time is ahead by that."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self._factor = factor
        self.ahead = 0.0
        """Seconds."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        began = time.monotonic()
        events = super().select(timeout if timeout is None else timeout / self._factor)
        waited = time.monotonic() - began
        # A machine that lets this process run late has nobody wait for longer than was asked for.
        hurried = waited * self._factor if timeout is None else min(waited * self._factor, timeout)
        self.ahead += max(0.0, hurried - waited)
        return events


class _HurriedLoop(asyncio.SelectorEventLoop):
    def __init__(self, factor: float) -> None:
        self._hurried = _Selector(factor)
        super().__init__(self._hurried)

    def time(self) -> float:
        return super().time() + self._hurried.ahead
