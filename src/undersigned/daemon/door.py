"""Who is let in: counts of connections, and the protocol that stands between an accepted socket and aiohttp.

A connection costs memory and a file descriptor before anybody has proved anything, so strangers are counted by
address and altogether, and what they may cost is fixed: `unproved` connections, and a few more from where somebody is
proved already, of at most a request head and one unfinished message each. A proved peer no longer counts as a stranger.

Source: protocol-spec/10-security.md, section 10.4
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Callable
from typing import Final

import msgspec
from aiohttp import web

from undersigned.transport import DEFAULT_LIMITS, MAX_FRAME_BYTES, Budget, ChannelLimits, Watch

__all__ = ["Door", "Edge", "Full", "ListenerLimits", "Ticket", "error_response", "json_response", "problem_response"]

_quiet: Final = logging.getLogger("undersigned.daemon.http")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False  # what strangers send is not written into our operator's log


class ListenerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of a public listener."""

    channel: ChannelLimits = DEFAULT_LIMITS
    connections: int = 10_000
    """Of everybody together."""
    unproved: int = 512
    """Of strangers together: each is one file descriptor and, at worst, about 100 KiB."""
    reserved: int = 128
    """More than `unproved`, for strangers who come from where somebody is proved: a peer fetches what was delivered by
    a connection of its own, and must not be kept from it by a crowd.
    """
    unproved_per_address: int = 32
    """Of strangers from one IPv4 address or one IPv6 /64."""
    head_seconds: float = 10.0
    """For the TLS handshake; again for a request line with its fields; and for a kept-alive connection to speak."""
    answer_seconds: float = 30.0
    """For the artifact callback to answer."""
    max_head_bytes: int = 16 * 1024
    max_fields: int = 64
    failures: int = 20
    """Failed connection proofs from one address in `failure_seconds` before it is refused."""
    failure_seconds: float = 60.0


class Ticket:
    """One connection's place in the counts of a `Door`."""

    __slots__ = ("_door", "address", "counted", "open", "welcome")

    def __init__(self, door: Door, address: str) -> None:
        self._door = door
        self.address = address
        self.open = True
        self.counted = True
        self.welcome = False

    def proved(self) -> None:
        """The peer proved itself: it no longer counts as a stranger."""
        if self.open and self.counted:
            self._uncount()
            self.welcome = True
            self._door.welcome(self.address, 1)

    def _uncount(self) -> None:
        self.counted = False
        self._door.known(self.address)

    def failed(self) -> None:
        """The connection ended without a proof after one was asked for."""
        self._door.failed(self.address)

    def leave(self) -> None:
        """The connection is gone. Saying so twice does nothing."""
        if self.open:
            if self.counted:
                self._uncount()
            if self.welcome:
                self._door.welcome(self.address, -1)
            self.open = False
            self._door.left()


class Door:
    """Counts connections and says which may come in."""

    def __init__(self, limits: ListenerLimits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._strangers: dict[str, int] = {}
        self._proved: dict[str, int] = {}
        self._budget = Budget(limits.failures, limits.failure_seconds)
        self.unproved = 0
        self.connections = 0

    def enter(self, address: str) -> Ticket | str:
        """A place for a connection from `address`, or the error code that refuses it."""
        key = _network(address)
        if self._budget.exhausted(key, self._clock()):
            return "rate_limited"
        limits = self._limits
        here = self._strangers.get(key, 0)
        most = limits.unproved + (limits.reserved if key in self._proved else 0)
        full = self.connections >= limits.connections or self.unproved >= most
        if full or here >= limits.unproved_per_address:
            return "overloaded"
        self._strangers[key] = here + 1
        self.unproved += 1
        self.connections += 1
        return Ticket(self, key)

    def known(self, key: str) -> None:
        """One stranger fewer from there."""
        self.unproved -= 1
        left = self._strangers[key] - 1
        if left:
            self._strangers[key] = left
        else:
            del self._strangers[key]

    def welcome(self, key: str, more: int) -> None:
        """So many more proved peers there."""
        count = self._proved.get(key, 0) + more
        if count:
            self._proved[key] = count
        else:
            del self._proved[key]

    def left(self) -> None:
        """One connection fewer."""
        self.connections -= 1

    def failed(self, key: str) -> None:
        """Counts one failed proof from there."""
        self._budget.count(key, self._clock())


def _network(address: str) -> str:
    """What counts as one place: an IPv4 address, or the /64 that one IPv6 customer has at least."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def json_response(status: int, body: bytes, media_type: str = "application/json") -> web.Response:
    """An answer that nobody keeps, and that is read as nothing else."""
    return web.Response(
        status=status,
        body=body,
        content_type=media_type,
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Server": "hire"},
    )


def error_response(status: int, code: str) -> web.Response:
    """An answer that carries a code and nothing else, and ends the connection."""
    response = json_response(status, b'{"code":"' + code.encode() + b'"}')
    # Whatever else was sent on this connection is not read as a request: one request never becomes two.
    response.force_close()
    return response


def problem_response(status: int, problem: bytes) -> web.Response:
    """A refusal as a problem (RFC 9457), which ends the connection."""
    response = json_response(status, problem, "application/problem+json")
    # The body may not have been read: what follows on this connection is not taken for a request.
    response.force_close()
    return response


class Full(asyncio.Protocol):
    """A connection too many: closed at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Closes it."""
        transport.close()


class Edge(web.RequestHandler):
    """aiohttp's protocol for one connection, with our eyes in front of it.

    Until an upgrade it holds the bytes of the first request, to see that nothing follows its head; after it, each
    byte passes a `Watch`. aiohttp itself ends a connection whose request head is not complete in `head_seconds`.
    """

    def __init__(
        self, server: web.Server, ticket: Ticket, limits: ListenerLimits, *, linger_seconds: float = 0.0
    ) -> None:
        """`linger_seconds`: so long a refused request is read on, so that its sender sees why it was refused."""
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=limits.head_seconds,
            logger=_quiet,
            access_log=None,  # pyright: ignore[reportArgumentType] - None is how aiohttp is told to write no log
            max_line_size=4096,
            max_field_size=limits.max_head_bytes // 2,
            max_headers=limits.max_fields,
            lingering_time=linger_seconds,
            auto_decompress=False,
        )
        self.ticket = ticket
        self._limits = limits
        self._first: bytes | None = b""
        self._head_bytes = 0
        self._watch: Watch | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def watch(self, broken: Callable[[int, str], None]) -> bool:
        """Watches all bytes from here on as WebSocket frames.

        False if this is not the connection's first request or something follows its head: a WebSocket client must
        wait for the answer, and frames that we have not seen cannot be watched.
        """
        head, self._first = self._first, None
        transport = self.transport
        if head is None or transport is None or head.find(b"\r\n\r\n") != len(head) - 4:
            return False
        self._watch = Watch(
            self._limits.channel,
            broken,
            masked=True,
            paused_reading=lambda: transport.is_closing() or not transport.is_reading(),
        )
        # What a stranger may have us hold is no more than its proof needs.
        self._watch.max_message_bytes = min(MAX_FRAME_BYTES, self._limits.channel.max_message_bytes)
        return True

    def proved(self) -> None:
        """The peer proved itself: its messages may have their full size, and it is no stranger to the door."""
        if self._watch is not None:
            self._watch.max_message_bytes = self._limits.channel.max_message_bytes
        self.ticket.proved()

    def data_received(self, data: bytes) -> None:
        """Bytes of the peer: kept while they are the first request, watched once they are frames."""
        if self._watch is not None:
            if not self._watch.received(data):
                return
        elif self._first is not None:
            self._first += data
            if len(self._first) > self._limits.max_head_bytes:
                self._first = None
        super().data_received(data)

    def pause_writing(self) -> None:
        """The peer takes no bytes for now; it has `send_seconds` to change its mind."""
        seconds = self._limits.channel.send_seconds
        if self._watch is not None:
            self._watch.writing_paused()
        elif self.transport is not None and self._write_timer is None:
            self._write_timer = asyncio.get_running_loop().call_later(seconds, self.transport.abort)
        super().pause_writing()

    def resume_writing(self) -> None:
        """The peer takes bytes again."""
        self._stop_timers(ending=False)
        super().resume_writing()

    def connection_lost(self, exc: BaseException | None) -> None:
        """The connection is gone, and its place is free."""
        self._stop_timers(ending=True)
        self.ticket.leave()
        super().connection_lost(exc)

    def _stop_timers(self, *, ending: bool) -> None:
        if self._watch is not None:
            if ending:
                self._watch.end()
            else:
                self._watch.writing_resumed()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to a request that is no HTTP, or that was not answered; aiohttp calls this."""
        return error_response(400, "bad_request") if status < 500 else error_response(500, "internal")
