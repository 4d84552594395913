"""The clock of a running peer: UTC to the second, never backwards, and slow to believe a leap.

Timers of an event loop stand still while the machine sleeps, and know nothing of a clock that is set. So whoever waits
for an instant looks at the clock again while it waits.

Source: protocol-spec/10-security.md, section 10.2
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Final, NamedTuple, Protocol

import structlog

from undersigned.encoding import Instant, format_instant, parse_instant, seconds_between, shift
from undersigned.errors import FormatError, LocalProtocolError
from undersigned.proof import MAX_SKEW_SECONDS

__all__ = [
    "AHEAD_HINT",
    "LOOK_SECONDS",
    "Clock",
    "ClockHeld",
    "SystemClock",
    "clock_hint",
    "sleep_until",
    "steady_seconds",
]

_log: Final = structlog.get_logger()

LEAP_SECONDS: Final = 3600
"""A jump ahead by more than this is not believed at once."""
CONFIRM_SECONDS: Final = 5.0
"""How long such a jump has to last, by the steady clock, until it is."""
AHEAD_HINT: Final = f"our clock is more than {MAX_SKEW_SECONDS} s ahead of theirs: whichever is wrong has to be set"
"""For an operator whose peer says `proof_from_future`."""
LOOK_SECONDS: Final = 60.0
"""So often whoever waits for an instant looks whether it has come."""


def clock_hint(ahead: int | None) -> str:
    """For an operator, after what the other side refused or we did not take of it: that our clock is so many seconds
    ahead of theirs. Empty where proofs hold all the same, or nobody knows.
    """
    if ahead is None or abs(ahead) <= MAX_SKEW_SECONDS:
        return ""
    told = f". Our clock is {abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'} theirs: with more than"
    return f"{told} {MAX_SKEW_SECONDS} s between them no proof of one holds for the other"


class Clock(Protocol):
    """Where the shell reads the time; tests set it by hand."""

    def now(self) -> Instant:
        """The present instant, UTC; never earlier than one given before."""
        ...


def _steady() -> Callable[[], float]:
    """Reads the clock that goes on while the machine sleeps; where the system has none, `time.monotonic`."""
    clock = time.CLOCK_MONOTONIC if sys.platform == "darwin" else getattr(time, "CLOCK_BOOTTIME", None)
    if clock is not None:
        with suppress(OSError):  # its kernel knows less than its library
            time.clock_gettime(clock)
            return partial(time.clock_gettime, clock)
    return time.monotonic


steady_seconds: Final = _steady()
"""Seconds that only ever go on, and also while the machine sleeps: what was looked up before it did is old after it."""


async def sleep_until(clock: Clock, instant: Instant) -> None:
    """Returns once `instant` has come, by `clock`: soon after, if that leaps or the machine slept."""
    while (left := seconds_between(clock.now(), instant)) > 0:  # noqa: ASYNC110 - a clock tells nobody
        await asyncio.sleep(min(left, LOOK_SECONDS))


def _instant(second: int) -> Instant:
    """A second of the machine's clock; raises `wrong_state` for one that nobody could date something by."""
    moment = datetime.fromtimestamp(second, UTC)
    try:
        return format_instant(moment)
    except FormatError as exc:
        raise LocalProtocolError("wrong_state", f"the clock of this machine says {moment:%Y-%m-%d}: set it") from exc


class ClockHeld(NamedTuple):
    """A clock that stands still because the machine's ran back by more than others forgive."""

    at: Instant
    """What it gives until the machine's has come there: the latest time that was given before, or written down."""
    machine: Instant
    """What the machine's clock says."""

    def __str__(self) -> str:
        return (
            f"the last entry here is of {self.at}, and the clock of this machine says {self.machine}. Time never runs "
            f"back, so all that is said until {self.at} bears that date, and others refuse it as made in the future: "
            "this state folder hires nobody and is hired by nobody before then. If the machine's clock is wrong, set "
            "it; if it is right, it was wrong when that entry was made, and only waiting or another folder helps"
        )


class SystemClock:
    """The machine's clock, held back from running backwards and from leaping ahead on one reading.

    A clock that was set wrong for a moment would let offers, contracts and proofs expire, and no later reading brings
    them back. So a jump of more than an hour, compared with the steady clock, counts only once it has lasted; until
    then the time goes on as it did.
    """

    def __init__(self, *, wall: Callable[[], float] = time.time, steady: Callable[[], float] = steady_seconds) -> None:
        """`wall` gives seconds since 1970, `steady` seconds that only ever go on."""
        self._read_wall, self._read_steady = wall, steady
        self._wall, self._steady = wall(), steady()
        self._leapt_at: float | None = None
        self._second = self._until = -1
        """The second that was given last, and until when that needs no other look."""
        self._last: Instant = ""

    def now(self) -> Instant:
        """The present instant, UTC; never earlier than one given before.

        Raises:
            LocalProtocolError: `wrong_state`: the machine has no time that anybody could date something by, as where it
                begins at 1970 until somebody tells it.
        """
        wall = self._read_wall()
        # It is asked for several times per message, and the text changes once a second.
        if self._second <= wall < self._until:
            return self._last
        steady = self._read_steady()
        expected = self._wall + (steady - self._steady)
        if expected - wall > MAX_SKEW_SECONDS:
            # Others refuse what bears a later time than theirs, and we what bears a later one than ours.
            hint = f"time stands still here until it is {self._last} again: if the clock is wrong now, set it"
            _log.error("the clock of this machine was set back", seconds=int(expected - wall), hint=hint)
        if wall - expected > LEAP_SECONDS:
            self._leapt_at = steady if self._leapt_at is None else self._leapt_at
            if steady - self._leapt_at < CONFIRM_SECONDS:
                wall = expected
            else:
                self._leapt_at = None
        else:
            self._leapt_at = None
        self._wall, self._steady = wall, steady
        if int(wall) > self._second:
            self._second = int(wall)
            self._last = max(self._last, _instant(self._second))
        self._until = self._second + 1 if self._leapt_at is None else -1
        return self._last

    def hold(self, instant: Instant) -> None:
        """Gives nothing earlier than `instant` from now on: the time of the last entry that a ledger holds."""
        self._last = max(self._last, instant)
        self._second = max(self._second, int(parse_instant(instant).timestamp()))

    def held(self) -> ClockHeld | None:
        """Where it stands still, if that is more than `MAX_SKEW_SECONDS` later than the machine's clock.

        Up to there others take what is dated so; beyond it they answer nothing but `proof_from_future`.
        """
        machine = _instant(int(self._read_wall()))
        return ClockHeld(self._last, machine) if self._last > shift(machine, MAX_SKEW_SECONDS) else None
