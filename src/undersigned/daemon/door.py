"""Who is let in: counts of connections, and the protocol that stands between an accepted socket and aiohttp.

A connection costs memory and a file descriptor before anybody has proved anything, so strangers are counted by
address and altogether, and what they may cost is fixed: `unproved` connections, and a few more from where somebody is
proved already, of at most a request head and one unfinished message each. A proved peer no longer counts as a stranger.

Where all of these are there, the next one takes the place of who waits the longest at the address with the most of
them, of IPv6 in the /48 with the most: to say nothing costs nothing, and would keep everybody out. Whoever is being
answered stays; whoever leaves the answer unread goes after those who say nothing.

What a proxy of ours passes on counts where its caller is, which is known once a request head is read; until then it
counts among all strangers, and by no address.

Source: protocol-spec/10-security.md, section 10.4
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import sys
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from typing import Final, Protocol

import msgspec
from aiohttp import web

from undersigned.errors import TransportError
from undersigned.transport import DEFAULT_LIMITS, MAX_FRAME_BYTES, NO_PROXIES, Budget, ChannelLimits, Proxies, Watch

if sys.platform != "win32":
    import resource

__all__ = [
    "Door",
    "Edge",
    "Full",
    "ListenerLimits",
    "Refused",
    "Ticket",
    "end_server",
    "error_response",
    "json_response",
    "more_files",
    "problem_response",
    "within_files",
]

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
    proved_per_address: int = 256
    """Of proved peers from one: names cost nothing, and one place must not take all descriptors with them."""
    head_seconds: float = 10.0
    """For the TLS handshake; again for a request line with its fields; and for a kept-alive connection to speak."""
    answer_seconds: float = 30.0
    """For the artifact callback to answer."""
    max_head_bytes: int = 16 * 1024
    max_fields: int = 64
    failures: int = 20
    """Failed connection proofs from one address in `failure_seconds` before it is refused."""
    failure_seconds: float = 60.0


OWN_FILES: Final = 256
"""Of what a process may have open, so much is not for those who connect to it, but for its stores, its look-ups and
those whom it dials: or strangers who say nothing keep it from what it does under contracts.
"""

if sys.platform == "win32":  # where what is connected is no file

    def more_files(limits: ListenerLimits | None = None) -> None:
        """Nothing."""

    def within_files(limits: ListenerLimits) -> ListenerLimits:
        """The same."""
        return limits
else:

    def more_files(limits: ListenerLimits | None = None) -> None:
        """Has this process open as many files as `limits` need, as far as the system lets it."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = (limits or ListenerLimits()).connections + OWN_FILES
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        if soft != resource.RLIM_INFINITY and soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))

    def within_files(limits: ListenerLimits) -> ListenerLimits:
        """`limits` of no more connections than this process may have open besides its own files, of which strangers
        leave half to those who are proved.
        """
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY or soft >= limits.connections + OWN_FILES:
            return limits
        room = max(soft - OWN_FILES, soft // 2)
        return msgspec.structs.replace(
            limits,
            connections=min(limits.connections, room),
            unproved=min(limits.unproved, room // 2),
            reserved=min(limits.reserved, room // 4),
        )


_BEHIND: Final = ""
"""Where a connection counts whose caller a proxy has not said yet. No address is written so."""


class Refused(msgspec.Struct, frozen=True):
    """Why somebody is not let in."""

    code: str
    by_address: bool = False
    """Because of others from the same address, and not because of everybody together."""


def _stays(*, unread: bool) -> bool:
    return False


class _GivesWay(Protocol):
    def __call__(self, *, unread: bool) -> bool: ...


class Ticket:
    """One connection's place in the counts of a `Door`."""

    __slots__ = (
        "_connected",
        "_door",
        "address",
        "counted",
        "gives_way",
        "made_room",
        "open",
        "passed_on",
        "remote",
        "welcome",
    )

    def __init__(self, door: Door, address: str, connected: str) -> None:
        self._door = door
        self._connected = connected
        self.address = address
        """Where it counts."""
        self.remote = connected
        """Who calls, as far as is known."""
        self.passed_on = address == _BEHIND
        """Whether a listed proxy passes it on, which may do so with requests of several callers in turn."""
        self.open = True
        self.counted = True
        self.welcome = False
        self.made_room = False
        """Whether it went for another one."""
        self.gives_way: _GivesWay = _stays
        """Ends the connection if it can make room for another one, with `unread` also one that leaves an answer unread;
        whether it did.
        """

    def asked(self, request: web.BaseRequest) -> Refused | None:
        """Counts the connection where this request's caller is, if a proxy passes it on; or says why it may not."""
        if not self.passed_on:
            return None
        headers = request.headers
        self.remote = self._door.proxies.caller(
            self._connected, headers.getall("X-Forwarded-For", ()), headers.getall("Forwarded", ())
        )
        return self._door.moved(self)

    def proved(self) -> None:
        """The peer proved itself: it no longer counts as a stranger.

        Raises:
            TransportError: `overloaded`: so many are proved from there that it has to go.
        """
        if self.open and self.counted:
            self._door.require_room(self.address)
            self._uncount()
            self.welcome = True
            self._door.welcome(self.address, 1)

    def _uncount(self) -> None:
        self.counted = False
        self._door.known(self)

    def failed(self) -> bool:
        """The connection ended without a proof after one was asked for; whether that closed the door to its address.
        That it made room is nobody's failure.
        """
        return not self.made_room and self._door.failed(self.address)

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
    """Counts connections and says which may come in. `proxies` are believed about who calls."""

    def __init__(self, limits: ListenerLimits, clock: Callable[[], float], proxies: Proxies = NO_PROXIES) -> None:
        self._limits = limits
        self._clock = clock
        self.proxies = proxies
        self._strangers: dict[str, dict[Ticket, None]] = {}
        """By address, in the order in which they came."""
        self._proved: dict[str, int] = {}
        self._budget = Budget(limits.failures, limits.failure_seconds)
        self.unproved = 0
        self.connections = 0

    def crowd(self) -> str:
        """Why nobody more is let in, in words."""
        if self.connections >= self._limits.connections:
            return f"{self.connections} connections are open, as many as may be at a time"
        return f"{self.unproved} are connected who did not prove who they are; {self._limits.unproved} may be at a time"

    def enter(self, address: str) -> Ticket | Refused:
        """A place for a connection from `address`, or why there is none."""
        key = _BEHIND if self.proxies.listed(address) else _network(address)
        refused = self._refused(key)
        if refused is None and self.connections >= self._limits.connections:
            refused = Refused("overloaded")
        if refused is not None:
            return refused
        ticket = Ticket(self, key, address)
        self._strangers.setdefault(key, {})[ticket] = None
        self.unproved += 1
        self.connections += 1
        return ticket

    def moved(self, ticket: Ticket) -> Refused | None:
        """Counts an unproved connection where its caller is, or says why not; then it counts as before."""
        if not (ticket.open and ticket.counted):
            return None  # it was lost before its request was looked at
        key = _network(ticket.remote)
        if key == ticket.address:
            return self._spent(key)
        refused = self._refused(key, besides=1)
        if refused is None:
            self._one_fewer(ticket)
            self._strangers.setdefault(key, {})[ticket] = None
            ticket.address = key
        return refused

    def _spent(self, key: str) -> Refused | None:
        exhausted = self._budget.exhausted(key, self._clock())
        return Refused("rate_limited", by_address=True) if exhausted else None

    def _refused(self, key: str, *, besides: int = 0) -> Refused | None:
        """Why no stranger more may come from there, `besides` so many of those who are counted; where one made room,
        they are as many as before.
        """
        refused = self._closed(key, self.unproved - besides)
        if refused is not None and not refused.by_address and self._made_room():
            return None
        return refused

    def _closed(self, key: str, strangers: int) -> Refused | None:
        """The same, besides so many of them altogether, and nobody makes room."""
        limits = self._limits
        if key == _BEHIND:
            # One of a proved peer's may be among them, so all may use what is reserved until they say whose they are.
            most = limits.unproved + (limits.reserved if self._proved else 0)
        else:
            if (refused := self._spent(key)) is not None:
                return refused
            if len(self._strangers.get(key, ())) >= limits.unproved_per_address:
                return Refused("overloaded", by_address=True)
            most = limits.unproved + (limits.reserved if key in self._proved else 0)
        return Refused("overloaded") if strangers >= most else None

    def _made_room(self) -> bool:
        """Whether a stranger has gone who was not being answered."""
        sites = Counter[str]()
        for key, here in self._strangers.items():
            sites[_site(key)] += len(here)
        most_first = sorted(
            self._strangers, key=lambda key: (sites[_site(key)], len(self._strangers[key])), reverse=True
        )
        for unread in (False, True):
            for key in most_first:
                for ticket in self._strangers[key]:
                    if ticket.gives_way(unread=unread):
                        ticket.made_room = True
                        ticket.leave()
                        return True
        return False

    def known(self, ticket: Ticket) -> None:
        """One stranger fewer."""
        self.unproved -= 1
        self._one_fewer(ticket)

    def _one_fewer(self, ticket: Ticket) -> None:
        here = self._strangers[ticket.address]
        del here[ticket]
        if not here:
            del self._strangers[ticket.address]

    def require_room(self, key: str) -> None:
        """Returns if one more may be proved from there.

        Raises:
            TransportError: `overloaded`.
        """
        if self._proved.get(key, 0) >= self._limits.proved_per_address:
            raise TransportError(
                "overloaded", f"{self._limits.proved_per_address} peers are proved from {key or 'there'}"
            )

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

    def failed(self, key: str) -> bool:
        """Counts one failed proof from there; whether it was the one that closed the door to it."""
        open_before = self._spent(key) is None
        return self._budget.count(key, self._clock()) and open_before


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


@lru_cache(4096)
def _site(key: str) -> str:
    """What one customer may have of many such places: an IPv4 address, or an IPv6 /48."""
    if not key.endswith("/64"):
        return key
    return str(ipaddress.ip_network(key).supernet(new_prefix=48))


def _one_head(came: bytes | None) -> bool:
    """Whether what came is one request head and nothing else."""
    return came is not None and came.find(b"\r\n\r\n") == len(came) - 4 >= 0


def json_response(status: int, body: bytes, media_type: str = "application/json") -> web.Response:
    """An answer that nobody keeps, and that is read as nothing else."""
    return web.Response(
        status=status,
        body=body,
        content_type=media_type,
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Server": "hire"},
    )


async def end_server(server: web.Server, seconds: float) -> None:
    """Lets answers under way finish, and closes all connections; at once, if whoever waits for that is cancelled. One
    that stayed open would be used again by its other end, and nobody would answer.
    """
    server.pre_shutdown()
    try:
        await server.shutdown(seconds)
    except BaseException:
        for connection in server.connections:
            connection.force_close()
        raise


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

    Until an upgrade it holds the bytes of the request, to see that nothing follows its head; after it, each
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
        """What came, while all of it may be one head."""
        self._head: bytes | None = None
        """The head of the request that is answered, where the connection carries several."""
        self.blurred = False
        """Whether the next request is not to come on this connection."""
        self._watch: Watch | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self.answering = False
        """Whether somebody waits for us here, and not we for them."""
        self.lost: Callable[[], object] | None = None
        """Called when the connection is gone."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody is connected. Every byte of an answer has `send_seconds` to be taken: a few left in the buffer would
        hold the connection for ever, since to close it waits for them, too.
        """
        super().connection_made(transport)
        if self.transport is not None:
            # Over TLS an empty buffer counts as full where none may be in it, and the next write waits for another one.
            over_tls = self.transport.get_extra_info("sslcontext") is not None
            self.transport.set_write_buffer_limits(high=1 if over_tls else 0, low=0)

    def gives_way(self, *, unread: bool) -> bool:
        """Ends the connection unless somebody is being answered on it, or leaves the answer unread and `unread` is not
        said; whether it did.
        """
        if self.transport is None or self.answering or (self.transport.get_write_buffer_size() and not unread):
            return False
        self.transport.abort()
        return True

    def asked(self, request: web.BaseRequest) -> Refused | None:
        """Begins to answer a request; or says why its caller is not let in.

        A proxy sends one request after the other, also an upgrade behind others, and keeps them apart. So where one
        passes the connection on, what comes from now on is the next head.
        """
        if self.ticket.passed_on:
            self._head = self._first
            # Behind what is more than one head, the next one and frames cannot be told apart any more. The connection
            # ends with the answer: whoever the proxy sends on it next is not to suffer for it.
            self.blurred = not _one_head(self._first)
            self._first = None if self.blurred else b""
        return self.ticket.asked(request)

    def watch(self, broken: Callable[[int, str], None]) -> bool:
        """Watches all bytes from here on as WebSocket frames.

        False if this is not the connection's first request, and no proxy passes it on, or something follows its head:
        a WebSocket client must wait for the answer, and frames that we have not seen cannot be watched.
        """
        head = self._head if self.ticket.passed_on else self._first
        self._first = None
        transport = self.transport
        if transport is None or not _one_head(head):
            return False
        self._watch = Watch(
            self._limits.channel,
            broken,
            masked=True,
            paused_reading=lambda: transport.is_closing() or not transport.is_reading(),
        )
        # What a stranger may have us hold is no more than its proof needs.
        self._watch.max_message_bytes = min(MAX_FRAME_BYTES, self._limits.channel.max_message_bytes)
        transport.set_write_buffer_limits()  # messages follow each other, and the buffer may never be empty
        return True

    def proved(self) -> None:
        """The peer proved itself: its messages may have their full size, and it is no stranger to the door.

        Raises:
            TransportError: As `Ticket.proved`.
        """
        self.ticket.proved()
        if self._watch is not None:
            self._watch.max_message_bytes = self._limits.channel.max_message_bytes

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
        if self.lost is not None:
            self.lost()
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
