"""Channels inside one process, for embedded peers and for tests; the same promises as those over a socket.

`memory_pair()` gives the two ends of one channel. `listen_memory(name, accept)` takes connections to `memory://name`.

Source: protocol-spec/03-connection.md
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from ssl import SSLContext
from typing import Final

from undersigned.encoding import Did
from undersigned.errors import Closed, TransportError

from .base import DEFAULT_LIMITS, Channel, ChannelLimits, closed_by_peer, closed_by_us

__all__ = ["MemoryChannel", "MemoryListener", "connect_memory", "listen_memory", "memory_pair"]


class MemoryChannel:
    """One end of a channel in memory. `memory_pair` makes both."""

    def __init__(self, address: str, limits: ChannelLimits) -> None:
        self.address = address
        self.limits = limits
        self.peer: Did | None = None
        self._other: MemoryChannel = self
        self._arrived: deque[bytes] = deque()
        self._held = 0
        self._waiter: asyncio.Future[None] | None = None
        self._why: Closed | None = None

    def join(self, other: MemoryChannel) -> None:
        """Makes `other` the other end of this one; done once, when the pair is made."""
        self._other = other

    @property
    def closed(self) -> bool:
        """Whether nothing more can be sent."""
        return self._why is not None

    @property
    def date(self) -> str:
        """No server says it."""
        return ""

    def proved(self, peer: Did) -> None:
        """Notes that a connection proof showed `peer`."""
        self.peer = peer

    async def send(self, data: bytes) -> None:
        """Hands `data` to the other end; see `Channel.send`."""
        if self._why is not None:
            raise self._why
        if len(data) > self.limits.max_message_bytes:
            raise TransportError("too_large", f"{len(data)} bytes are more than {self.limits.max_message_bytes}")
        other = self._other
        if len(data) > other.limits.max_message_bytes:
            self.end(1009, "too_large")
            raise Closed("too_large", f"the peer takes no more than {other.limits.max_message_bytes} bytes")
        if other._held + len(data) > self.limits.queue_bytes:
            other.end(1008, "overloaded")
            raise Closed("overloaded", f"the peer has left {other._held} bytes unread")
        other._take(data)
        # A socket's sender yields now and then; without this a pair in memory could starve everybody else.
        await asyncio.sleep(0)

    def _take(self, data: bytes) -> None:
        self._arrived.append(data)
        self._held += len(data)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def receive(self) -> bytes:
        """The next message; what arrived before the close is still read. See `Channel.receive`."""
        while not self._arrived:
            if self._why is not None:
                raise self._why
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        data = self._arrived.popleft()
        self._held -= len(data)
        return data

    def end(self, code: int, reason: str) -> None:
        """Closes both ends as if the other end had closed this one with `code`."""
        if self._why is None:
            self._why = closed_by_peer(code, reason)
            self._wake()
        if self._other._why is None:
            self._other._why = closed_by_us(code, reason)
            self._other._wake()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Closes both ends; see `Channel.close`."""
        self._other.end(code, reason)


def memory_pair(limits: ChannelLimits = DEFAULT_LIMITS, *, name: str = "pair") -> tuple[MemoryChannel, MemoryChannel]:
    """The two ends of one channel."""
    left, right = MemoryChannel(f"memory:{name}", limits), MemoryChannel(f"memory:{name}", limits)
    left.join(right)
    right.join(left)
    return left, right


_listeners: Final[dict[str, MemoryListener]] = {}


class MemoryListener:
    """Takes connections to `memory://name`, each in a task of its own, until closed."""

    def __init__(self, name: str, accept: Callable[[Channel], Awaitable[None]], limits: ChannelLimits) -> None:
        self.name = name
        self._accept = accept
        self._limits = limits
        self._tasks: set[asyncio.Task[None]] = set()

    def dialled(self, limits: ChannelLimits) -> MemoryChannel:
        """A new connection: the dialer's end; the other is handed to `accept`."""
        theirs, ours = memory_pair(limits, name=self.name)
        ours.limits = self._limits
        task = asyncio.get_running_loop().create_task(self._serve(ours))
        self._tasks.add(task)

        def over(task: asyncio.Task[None]) -> None:  # also one that is ended before it began
            self._tasks.discard(task)
            theirs.end(1000, "")

        task.add_done_callback(over)
        return theirs

    async def _serve(self, channel: MemoryChannel) -> None:
        # The end of a channel is not an accident here: the side that accepts hears of it by itself.
        with suppress(TransportError):
            await self._accept(channel)

    async def close(self) -> None:
        """Takes no more connections and ends those there are."""
        if _listeners.get(self.name) is self:
            del _listeners[self.name]
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def listen_memory(
    name: str, accept: Callable[[Channel], Awaitable[None]], *, limits: ChannelLimits = DEFAULT_LIMITS
) -> MemoryListener:
    """Takes connections to `memory://name`: `accept` runs once for each, and its return ends the channel.

    Raises:
        TransportError: `bad_request`, the name is taken.
    """
    if name in _listeners:
        raise TransportError("bad_request", f"memory://{name} is taken")
    listener = _listeners[name] = MemoryListener(name, accept, limits)
    return listener


async def connect_memory(url: str, limits: ChannelLimits, ssl: SSLContext | None = None) -> Channel:
    """A channel to the listener of `memory://name`.

    Raises:
        TransportError: `unreachable`, nobody listens there.
    """
    listener = _listeners.get(url.removeprefix("memory://"))
    if listener is None:
        raise TransportError("unreachable", f"nobody listens at {url}")
    return listener.dialled(limits)
