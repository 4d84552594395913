"""The clock of a running peer: UTC to the second, and never backwards.

Source: protocol-spec/10-security.md, section "Clocks"
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol

from undersigned.encoding import Instant, format_instant

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """Where the shell reads the time; tests set it by hand."""

    def now(self) -> Instant:
        """The present instant, UTC; never earlier than one given before."""
        ...


class SystemClock:
    """The machine's clock, held back from running backwards."""

    def __init__(self) -> None:
        self._last = ""
        self._second = -1

    def now(self) -> Instant:
        """The present instant, UTC; never earlier than one given before."""
        moment = datetime.now(UTC)
        # Formatting is asked for several times per message, the text changes once a second.
        second = int(moment.timestamp())
        if second > self._second:
            self._second = second
            self._last = max(self._last, format_instant(moment))
        return self._last
