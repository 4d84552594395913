"""Time that runs faster: a whole run on an event loop whose seconds are shorter, with a clock that agrees with it.

A peer that lost a message asks again after seconds, a silent connection is given up after a minute. A test that needs
those times and real sockets runs in a hurry: every timer and pause of the loop, and the clock that the peers read, go
`factor` times as fast; sockets, disks and processors do not. So a hurry of 10 leaves a second of work a tenth of what
the peers' own limits grant it.
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
    """UTC to the second, from now on `factor` times as fast."""

    def __init__(self, factor: float) -> None:
        self._factor = factor
        self._from = datetime.now(UTC)
        self._started = time.monotonic()

    def now(self) -> Instant:
        """The present instant of the hurried time."""
        return format_instant(self._from + timedelta(seconds=(time.monotonic() - self._started) * self._factor))


def hurry(main: Callable[[HurriedClock], Coroutine[Any, Any, T]], *, factor: float = 10.0) -> T:
    """What `main` returns, run on a loop of its own; give its peers the clock that it is called with.

    Not to be called from a running event loop.
    """
    with asyncio.Runner(loop_factory=lambda: _HurriedLoop(factor)) as runner:
        return runner.run(main(HurriedClock(factor)))


class _Selector(selectors.DefaultSelector):
    """Waits a part of what the loop asks for."""

    factor = 1.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout if timeout is None else timeout / self.factor)


class _HurriedLoop(asyncio.SelectorEventLoop):
    def __init__(self, factor: float) -> None:
        selector = _Selector()
        selector.factor = self._factor = factor
        super().__init__(selector)

    def time(self) -> float:
        return super().time() * self._factor
