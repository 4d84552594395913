"""What a peer reads from files of its state folder, and reads again when they are changed beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Generic, TypeVar

import structlog

from undersigned.encoding import Instant
from undersigned.errors import ConfigurationError
from undersigned.runtime.clock import steady_seconds
from undersigned.runtime.files import just_now, of_the_system, state_of

__all__ = ["Followed"]

_log = structlog.get_logger()

AGAIN_SECONDS: Final = 1.0
"""Between two attempts to read what the system does not give."""

T = TypeVar("T")


class Followed(Generic[T]):
    """What `read` makes of `files` (or folders), as of the last `follow`. `what` is its name in the log.

    Raises:
        ConfigurationError: When made. As `read`.
    """

    def __init__(self, what: str, files: Iterable[Path], read: Callable[[Instant], T], now: Instant) -> None:
        self._what, self._read = what, read
        self._files = tuple(map(str, files))
        self._seen = state_of(self._files)  # before they are read: what changes meanwhile is read again
        self._again: float | None = None
        """When what the system could not read for the moment is read again, by the steady clock."""
        self.found = read(now)
        """What counts."""

    def follow(self, now: Instant) -> bool:
        """Whether other things count than before. Who looks and finds nothing changed pays for a call of the system
        for each file.

        What cannot be used is logged and changes nothing: the file that is at fault may be another than the one that
        was taken away, and a configuration that is being written would stop every contract.
        """
        seen = state_of(self._files)
        due = self._again is not None and steady_seconds() >= self._again
        if seen == self._seen and not due and not just_now(seen):
            return False
        told, self._seen, self._again = seen == self._seen, seen, None
        try:
            found = self._read(now)
        except ConfigurationError as error:
            if not told:
                text = f"{self._what} were changed and cannot be read: those from before count"
                _log.error(text, error=error.message)
            if of_the_system(error):
                self._again = steady_seconds() + AGAIN_SECONDS
            return False
        before, self.found = self.found, found
        return found != before
