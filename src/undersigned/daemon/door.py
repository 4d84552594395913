"""Who is let in: counts of connections.

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

import ipaddress
import sys
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from typing import Final, Protocol

import msgspec
from aiohttp import web

from undersigned.errors import TransportError
from undersigned.transport import DEFAULT_LIMITS, NO_PROXIES, ChannelLimits, FailureBudget, Proxies

if sys.platform != "win32":
    import resource

__all__ = [
    "Door",
    "ListenerLimits",
    "NotAdmitted",
    "Ticket",
    "more_files",
    "within_files",
]


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


class NotAdmitted(msgspec.Struct, frozen=True):
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

    def asked(self, request: web.BaseRequest) -> NotAdmitted | None:
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
        self._budget = FailureBudget(limits.failures, limits.failure_seconds)
        self.unproved = 0
        self.connections = 0

    def crowd(self) -> str:
        """Why nobody more is let in, in words."""
        if self.connections >= self._limits.connections:
            return f"{self.connections} connections are open, as many as may be at a time"
        return f"{self.unproved} are connected who did not prove who they are; {self._limits.unproved} may be at a time"

    def enter(self, address: str) -> Ticket | NotAdmitted:
        """A place for a connection from `address`, or why there is none."""
        key = _BEHIND if self.proxies.listed(address) else _network(address)
        refused = self._refused(key)
        if refused is None and self.connections >= self._limits.connections:
            refused = NotAdmitted("overloaded")
        if refused is not None:
            return refused
        ticket = Ticket(self, key, address)
        self._strangers.setdefault(key, {})[ticket] = None
        self.unproved += 1
        self.connections += 1
        return ticket

    def moved(self, ticket: Ticket) -> NotAdmitted | None:
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

    def _spent(self, key: str) -> NotAdmitted | None:
        exhausted = self._budget.exhausted(key, self._clock())
        return NotAdmitted("rate_limited", by_address=True) if exhausted else None

    def _refused(self, key: str, *, besides: int = 0) -> NotAdmitted | None:
        """Why no stranger more may come from there, `besides` so many of those who are counted; where one made room,
        they are as many as before.
        """
        refused = self._closed(key, self.unproved - besides)
        if refused is not None and not refused.by_address and self._made_room():
            return None
        return refused

    def _closed(self, key: str, strangers: int) -> NotAdmitted | None:
        """The same, besides so many of them altogether, and nobody makes room."""
        limits = self._limits
        if key == _BEHIND:
            # One of a proved peer's may be among them, so all may use what is reserved until they say whose they are.
            most = limits.unproved + (limits.reserved if self._proved else 0)
        else:
            if (refused := self._spent(key)) is not None:
                return refused
            if len(self._strangers.get(key, ())) >= limits.unproved_per_address:
                return NotAdmitted("overloaded", by_address=True)
            most = limits.unproved + (limits.reserved if key in self._proved else 0)
        return NotAdmitted("overloaded") if strangers >= most else None

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
