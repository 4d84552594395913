"""When a conversation is woken though nobody writes, and what is put off until then because it could not be done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from undersigned.encoding import Instant, seconds_between, shift
from undersigned.runtime.clock import LOOK_SECONDS, Clock

__all__ = ["NOTHING", "Alarm"]

SHORTEST_PAUSE_SECONDS: Final = 2
LONGEST_PAUSE_SECONDS: Final = 60
"""Between attempts at what cannot be done for a moment. Each is as long as all before it together, up to that."""
SHORTEST_DELAY_SECONDS: Final = 0.05
"""What is due already waits so long, so that nothing else is kept from its turn."""
NOTHING: Final[frozenset[str]] = frozenset()
"""One for all: each empty set takes as much as a set of four."""


class Alarm:
    """One timer, and the keys of what is tried again. While it is set it looks at the clock now and then: that may be
    put ahead, or the machine sleep.
    """

    __slots__ = ("_loop", "_postponed", "_timer", "again_at", "fails_since", "rings_at")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self.rings_at: Instant = ""
        """What it was set to last, whether it has rung since or not; empty before that."""
        self.again_at: Instant = ""
        """When to try again what was put off; empty if nothing is."""
        self.fails_since: Instant = ""
        """When the first attempt failed of those that were made since all went well."""
        self._postponed = NOTHING

    def rings_by(self, due: Instant | None) -> bool:
        """Whether it rings, and not too late for what is `due` nor for what was put off."""
        again = self.again_at
        first = again if again and (due is None or again < due) else due
        return self._timer is not None and first is not None and self.rings_at <= first

    def set(self, clock: Clock, wakes: Callable[[], None], *times: Instant | None) -> None:
        """Has it ring at the first of these times, or when what was put off is tried again, and not as it was set."""
        if self._timer is not None:
            self.cancel()
        first = min(filter(None, (self.again_at, *times)), default=None)
        if first is not None:
            self.rings_at = first
            self._wait(clock, wakes, SHORTEST_DELAY_SECONDS)

    def cancel(self) -> None:
        """Has it not ring; the loop holds nothing of whom it would wake."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self, clock: Clock, wakes: Callable[[], None], at_least: float) -> None:
        delay = min(seconds_between(clock.now(), self.rings_at), LOOK_SECONDS)
        self._timer = self._loop.call_later(max(at_least, delay), self._look, clock, wakes)

    def _look(self, clock: Clock, wakes: Callable[[], None]) -> None:
        if clock.now() < self.rings_at:
            self._wait(clock, wakes, 0)
        else:
            self._timer = None
            wakes()

    def next_attempt(self, now: Instant) -> Instant:
        """When to try again what could not be done now. While the clock stands still, that does not come."""
        self.fails_since = self.fails_since or now
        waited = seconds_between(self.fails_since, now)
        return shift(now, min(max(waited, SHORTEST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS))

    def put_off(self, at: Instant, *keys: str) -> None:
        """Has what these keys stand for tried again by `at`, with what was put off before."""
        self.again_at = min(at, self.again_at or at)
        self._postponed |= {*keys}

    def take_up(self) -> frozenset[str]:
        """The keys of all that was put off; from now on nothing is."""
        postponed, self._postponed, self.again_at = self._postponed, NOTHING, ""
        return postponed
