"""What is logged while a store takes nothing: the first refusal, and then fewer and fewer.

A full disk stays full until somebody makes room, every engagement asks each second, and a log is often on that disk.
"""

from __future__ import annotations

from typing import Final

import structlog

from undersigned.errors import LedgerError

__all__ = ["Untaken"]

_log = structlog.get_logger()

MOST_UNSAID: Final = 256
"""Refusals in a row after which one is told in any case: some minutes."""


class Untaken:
    """The refusals in a row, of what is stored for one engagement."""

    __slots__ = ("_engagement", "_times", "error")

    def __init__(self, engagement: str) -> None:
        self._engagement = engagement
        self._times = 0
        self.error: LedgerError | None = None
        """The last of them."""

    def refused(self, error: LedgerError) -> None:
        """Logs the first, the second, the fourth, and so on; then every 256th."""
        self._times += 1
        self.error = error
        if self._times & (self._times - 1) == 0 or self._times % MOST_UNSAID == 0:
            _log.error("the store does not take it", engagement=self._engagement, error=str(error), times=self._times)

    def taken(self) -> None:
        """It was stored after all."""
        _log.warning("the store takes it again", engagement=self._engagement, refused=self._times)
