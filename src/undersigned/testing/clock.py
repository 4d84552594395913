"""A clock that stands still until it is moved.

Source: protocol-spec/10-security.md, section 10.2
"""

from __future__ import annotations

from undersigned.encoding import Instant, parse_instant, seconds_between, shift

__all__ = ["NOON", "HandClock", "minutes"]

NOON: Instant = "2026-03-02T12:00:00Z"
"""When a `HandClock` starts."""


def minutes(count: int, *, seconds: int = 0) -> int:
    """So many minutes, and seconds, in seconds."""
    return 60 * count + seconds


class HandClock:
    """The time as a test sets it, to the second. `skewed` gives a second clock that is off by so many seconds.

    Raises:
        FormatError: `schema_violation`: a time that it is set to is no instant.
    """

    def __init__(self, start: Instant = NOON) -> None:
        self.set(start)

    def now(self) -> Instant:
        """The present instant, UTC."""
        return self._now

    def advance(self, seconds: int) -> Instant:
        """Move on, or back if negative, and say what time it is."""
        self._now = shift(self._now, seconds)
        return self._now

    def set(self, instant: Instant) -> None:
        """Move to an instant, also an earlier one."""
        parse_instant(instant)
        self._now = instant

    def skewed(self, seconds: int) -> SkewedClock:
        """A clock that is this one and so many seconds, always."""
        return SkewedClock(self, seconds)

    def since(self, instant: Instant) -> int:
        """Seconds from `instant` to now."""
        return seconds_between(instant, self._now)


class SkewedClock:
    """Another clock, off by a constant."""

    def __init__(self, clock: HandClock, seconds: int) -> None:
        self._clock = clock
        self.seconds = seconds

    def now(self) -> Instant:
        """The present instant of a side whose clock is off."""
        return shift(self._clock.now(), self.seconds)
