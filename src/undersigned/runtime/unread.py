"""What happened and was not read yet, for one reader each.

Every event of every engagement goes through one of these. An `asyncio.Queue`, whose methods these are named after,
counts unfinished tasks and keeps lines of waiting getters and putters besides, which nobody here has.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, Generic, TypeVar

__all__ = ["MAX_UNREAD", "Unread"]

MAX_UNREAD: Final = 1024
"""Events that are kept for who does not read them."""

T = TypeVar("T")


class Unread(Generic[T]):
    """In order. Where it holds no more than `most`, who does not read loses the oldest."""

    __slots__ = ("_held", "_loop", "_more")

    def __init__(self, most: int | None = None) -> None:
        self._held: deque[T] = deque(maxlen=most)
        self._loop: asyncio.AbstractEventLoop | None = None
        """Its reader's."""
        self._more: asyncio.Future[None] | None = None
        """Waited for by the reader."""

    def put_nowait(self, item: T) -> None:
        """Adds one."""
        self._held.append(item)
        if self._more is not None:
            if not self._more.done():  # the reader may have given up
                self._more.set_result(None)
            self._more = None

    def more(self) -> asyncio.Future[None]:
        """Is done once another one is added."""
        if self._more is None or self._more.done():
            self._loop = self._loop or asyncio.get_running_loop()
            self._more = self._loop.create_future()
        return self._more

    async def get(self) -> T:
        """The oldest, once there is one."""
        while not self._held:
            await self.more()
        return self._held.popleft()

    def get_nowait(self) -> T:
        """The oldest.

        Raises:
            IndexError: There is none.
        """
        return self._held.popleft()

    def qsize(self) -> int:
        """How many there are."""
        return len(self._held)
