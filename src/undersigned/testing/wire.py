"""A wire that passes bytes and knows nothing of messages: what a proxy, a load balancer or a bad network does to TCP.

A `Wire` listens on loopback and joins every connection to one of its targets, taken in turn, so that a connection that
breaks comes back by another way. It delays, slows, cuts into pieces, stalls a direction, and breaks connections at the
end of a message or in the middle of one. With `tls` it ends TLS and passes the bytes on in the clear.

Everything that chance decides comes from the seed. Seconds are those of the event loop, which may be a hurried one.

Source: protocol-spec/10-security.md, section 10.3
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from random import Random
from ssl import SSLContext
from typing import Final, Literal

import msgspec

__all__ = ["Break", "Direction", "Stall", "Wire", "WireFaults"]

Direction = Literal["up", "down"]
"""`up` is from the side that dialled, `down` is to it."""

_BLOCK: Final = 64 * 1024
_HEAD_END: Final = b"\r\n\r\n"


class Break(msgspec.Struct, frozen=True):
    """Breaks a connection once so many messages have passed the wire, in both directions and all connections."""

    after: int
    """The connection on which this message passed is the one that breaks."""
    inside: bool = False
    """Not at the end of that message, but in the middle of the next one."""


class Stall(msgspec.Struct, frozen=True):
    """Passes nothing more in one direction, and closes nothing, once so many messages have passed."""

    after: int
    direction: Direction


class WireFaults(msgspec.Struct, frozen=True, kw_only=True):
    """What a wire does to the bytes. By default nothing."""

    delay_seconds: float = 0.0
    """Bytes wait up to this long; those that come meanwhile go on together with them."""
    bytes_per_second: float | None = None
    piece_bytes: int | None = None
    """Bytes go on in pieces of one byte up to so many."""
    breaks: tuple[Break, ...] = ()
    """In the order of `after`; each happens once."""
    stalls: tuple[Stall, ...] = ()
    """Each happens once, to the connection on which the message passed."""


class Wire:
    """Carries TCP connections to `targets`, (host, port) each. Enter it with `async with`; then `port` is known."""

    def __init__(
        self,
        *targets: tuple[str, int],
        faults: WireFaults = WireFaults(),  # noqa: B008 - frozen
        seed: int = 0,
        tls: SSLContext | None = None,
    ) -> None:
        """`tls` is the server's side of TLS: what comes in is encrypted, what goes on is not."""
        if not targets:
            raise ValueError("a wire leads somewhere")
        self.faults = faults
        self.seed = seed
        self.passed = 0
        """Messages that passed whole, of WebSockets only."""
        self.taken: list[int] = []
        """For each connection that came, which of the targets it was joined to."""
        self._targets = targets
        self._tls = tls
        self._random = Random(seed)  # noqa: S311 - chaos has to be repeatable, not secret
        self._breaks = list(faults.breaks)
        self._stalls = list(faults.stalls)
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        if self._server is None:
            raise RuntimeError("the wire is not up: enter it first")
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def connections(self) -> int:
        """How many are open now."""
        return len(self._links)

    async def __aenter__(self) -> Wire:
        self._server = await asyncio.start_server(self._joined, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> int:
        """Breaks every connection as it is, and gives how many there were. New ones are taken."""
        links = tuple(self._links)
        for link in links:
            link.abort()
        return len(links)

    def stall(self, direction: Direction) -> None:
        """Passes nothing more in this direction of the connections that there are, and closes none."""
        for link in self._links:
            link.stalled.add(direction)

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio made one for this
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        which = len(self.taken) % len(self._targets)
        self.taken.append(which)
        try:
            back, onward = await asyncio.open_connection(*self._targets[which])
        except OSError:
            writer.transport.abort()
            return
        link = _Link(writer, onward)
        self._links.add(link)
        pumps = [
            asyncio.create_task(self._pump(link, "up", reader, onward)),
            asyncio.create_task(self._pump(link, "down", back, writer)),
        ]
        try:
            # No half-open connections: when one side has ended, what it said is passed on and both are closed.
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._links.discard(link)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            link.close()

    async def _pump(
        self, link: _Link, direction: Direction, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        faults, ends = self.faults, _Ends()
        while True:
            if faults.delay_seconds:
                await asyncio.sleep(self._random.uniform(0, faults.delay_seconds))
            data = await reader.read(_BLOCK)
            if not data:
                return
            for piece, ended in _divided(ends, data):
                if direction in link.stalled:
                    # What came stays here and what comes is not read: the sender has a peer that stopped reading.
                    await asyncio.get_running_loop().create_future()
                if ends.websocket and self._due(inside=True):
                    await self._pass(writer, piece[: max(1, len(piece) // 2)])
                    return
                await self._pass(writer, piece)
                if not ended:
                    continue
                self.passed += 1
                if self._stalls and self._stalls[0].after <= self.passed:
                    link.stalled.add(self._stalls.pop(0).direction)
                if self._due(inside=False):
                    return

    def _due(self, *, inside: bool) -> bool:
        """Whether the next break is of this kind and its time has come; then it is taken."""
        due = bool(self._breaks) and self._breaks[0].inside is inside and self._breaks[0].after <= self.passed
        if due:
            del self._breaks[0]
        return due

    async def _pass(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        faults, at = self.faults, 0
        while at < len(data):
            size = self._random.randint(1, faults.piece_bytes) if faults.piece_bytes else len(data)
            writer.write(data[at : at + size])
            at += size
            await writer.drain()
            # The next piece is a segment of its own only if this one was read meanwhile.
            await asyncio.sleep(size / faults.bytes_per_second if faults.bytes_per_second else 0)


class _Link:
    """One connection: the writers of its two halves, and the directions in which nothing passes."""

    def __init__(self, *writers: asyncio.StreamWriter) -> None:
        self.stalled: set[Direction] = set()
        self._writers = writers

    def close(self) -> None:
        """Ends both halves, once what was passed is sent."""
        for writer in self._writers:
            writer.close()

    def abort(self) -> None:
        """Ends both halves now."""
        for writer in self._writers:
            writer.transport.abort()


class _Ends:
    """Follows one direction of a connection, and finds where the messages of a WebSocket end (RFC 6455, 5.2)."""

    def __init__(self) -> None:
        self.websocket = False
        """Whether the head of the connection is over, and it is a WebSocket."""
        self._head: bytes | None = b""
        self._header = b""
        self._payload = 0
        self._last = False

    def feed(self, data: bytes) -> Iterator[int]:
        """The offsets in `data` behind each message that ends in it. Exhaust it before the next call."""
        at = 0
        if self._head is not None:
            known = len(self._head)
            self._head += data
            end = self._head.find(_HEAD_END)
            if end < 0:
                return
            head = self._head[:end].lower()
            self.websocket = head.startswith(b"http/1.1 101") or b"\r\nupgrade: websocket" in head
            self._head = None
            at = end + len(_HEAD_END) - known
        while self.websocket and at < len(data):
            if self._payload:
                step = min(self._payload, len(data) - at)
                self._payload -= step
                at += step
            else:
                self._header += data[at : at + 1]
                at += 1
                if not self._whole():
                    continue
            if not self._payload and self._last:
                yield at

    def _whole(self) -> bool:
        """Whether the header is whole now; then it is read and forgotten."""
        header = self._header
        if len(header) < 2:
            return False
        short = header[1] & 0x7F
        extended = 0 if short < 126 else 2 if short == 126 else 8
        if len(header) < 2 + extended + (4 if header[1] & 0x80 else 0):
            return False
        self._payload = int.from_bytes(header[2 : 2 + extended]) if extended else short
        # The last frame of a message; control frames end nothing.
        self._last = bool(header[0] & 0x80) and header[0] & 0x0F < 8
        self._header = b""
        return True


def _divided(ends: _Ends, data: bytes) -> Iterator[tuple[bytes, bool]]:
    """`data` divided behind each message that ends in it; each part, and whether it ends one."""
    at = 0
    for end in tuple(ends.feed(data)):
        yield data[at:end], True
        at = end
    if at < len(data):
        yield data[at:], False
