"""A listener near by: for our own programs, and for gates that something else stands in front of.

Source: protocol-spec/10-security.md, section 10.4
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from errno import EADDRINUSE
from functools import partial
from typing import Final, Self, TypeAlias
from urllib.parse import urlsplit

from aiohttp import web

from undersigned.errors import ConfigurationError
from undersigned.runtime import why

from .door import Door, ListenerLimits, NotAdmitted, within_files
from .edge import EdgeProtocol, Full, end_server

__all__ = ["NearListener", "checked_server"]

LINGER_SECONDS: Final = 2.0
"""A refused request is read on for so long, so that its sender sees why it was refused."""
SHARE: Final = 4
"""One of those who are welcome holds at most one in so many of the connections, and as many are always of those that
make room."""

Answerer: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class NearListener:
    """A server at `host`:`port` (0 picks a free one) for our own programs, or for what stands in front of it.

    So an address says nothing about who calls, and `connections` bounds them together. `cancels`: an answer is given
    up when its caller leaves. One connection too many takes the place of the oldest, unless its caller was made
    `welcome`: who has nothing to show keeps nobody out, nor one who has all others. `what` is served there is said
    where it cannot be.
    """

    def __init__(
        self,
        answer: Answerer,
        host: str,
        port: int,
        *,
        connections: int,
        cancels: bool = True,
        edge: type[EdgeProtocol] = EdgeProtocol,
        what: str = "",
    ) -> None:
        self._host = host
        self._what = what
        self._cancels = cancels
        self._strangers: dict[EdgeProtocol, None] = {}
        """In the order in which they came."""
        self._welcome: Counter[str] = Counter()
        """Connections that make room for nobody, by whose they are."""
        self._answerer = answer
        self._edge = edge
        # A gate opens other files for whom it answers.
        connections = within_files(ListenerLimits(connections=connections, unproved=connections)).unproved
        self._limits = ListenerLimits(connections=connections, unproved=connections, unproved_per_address=connections)
        self._most = max(1, connections // SHARE)
        self._listening: asyncio.Server | None = None
        self._server: web.Server | None = None
        self.port = port

    @property
    def url(self) -> str:
        """Where it is reached on this machine."""
        return f"http://{f'[{self._host}]' if ':' in self._host else self._host}:{self.port}"

    async def start(self) -> None:
        """Listens.

        Raises:
            ConfigurationError: `bad_configuration`, the address cannot be listened on.
        """
        loop = asyncio.get_running_loop()
        door = Door(self._limits, loop.time)
        server = self._server = web.Server(self._named, handler_cancellation=self._cancels)

        def protocol() -> asyncio.Protocol:
            ticket = door.enter("near")
            if isinstance(ticket, NotAdmitted) and self._made_room():
                ticket = door.enter("near")
            if isinstance(ticket, NotAdmitted):
                return Full()
            edge = self._edge(server, ticket, self._limits, linger_seconds=LINGER_SECONDS)
            self._strangers[edge] = None
            edge.lost = partial(self._strangers.pop, edge, None)
            return edge

        try:
            # Whoever is cancelled while it begins to serve has what to close; otherwise nobody would.
            self._listening = await loop.create_server(protocol, self._host, self.port, start_serving=False)
            await self._serve(self._listening)
        except (OSError, ValueError) as exc:  # ValueError of a host that is no name
            taken = "; is somebody listening there already?" if getattr(exc, "errno", None) == EADDRINUSE else ""
            where = f"{self._what}{' ' if self._what else ''}on {self._host}:{self.port}"
            raise ConfigurationError("bad_configuration", f"cannot listen {where}: {why(exc)}{taken}") from exc
        self.port = int(self._listening.sockets[0].getsockname()[1])

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def welcome(self, request: web.BaseRequest, who: str | None = None) -> None:
        """Who sent it has shown that it may: its connection makes room for nobody, unless so many of `who`, if that is
        one of several, or of all of them do so already.
        """
        edge = request.protocol
        if not isinstance(edge, EdgeProtocol) or edge not in self._strangers:
            return
        if who is not None:
            if self._welcome[who] >= self._most or self._welcome.total() >= self._limits.connections - self._most:
                return
            self._welcome[who] += 1
            edge.lost = partial(self._left, who)
        del self._strangers[edge]

    def _left(self, who: str) -> None:
        self._welcome[who] -= 1
        if not self._welcome[who]:
            del self._welcome[who]

    def _made_room(self) -> bool:
        oldest = next(iter(self._strangers), None)
        if oldest is None:
            return False
        del self._strangers[oldest]
        oldest.ticket.leave()
        if oldest.transport is not None:
            oldest.transport.abort()
        return True

    async def _named(self, request: web.BaseRequest) -> web.StreamResponse:
        response = await self._answerer(request)
        if not response.prepared:
            response.headers.setdefault("Server", "hire")  # by whom it is and in which release is nobody's affair
        return response

    async def _serve(self, listening: asyncio.Server) -> None:
        try:
            await listening.start_serving()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Takes nothing more, lets answers under way finish, and returns."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        server, self._server = self._server, None
        if server is not None:
            await end_server(server, self._limits.channel.close_seconds)


def checked_server(url: str, what: str, *, path: bool) -> str:
    """The http or https URL of a server, as an operator gave it for `what`; with `path` it has one.

    Raises:
        ConfigurationError: `bad_configuration`, it has another shape, or carries a name or password.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        usable = usable and "@" not in parts.netloc and (parts.path.startswith("/") or not path)
        # An empty query, too, would take in the path that is put behind it.
        usable = usable and url.isascii() and url.isprintable() and not set(" ?#\\") & set(url)
        (parts.hostname or "").encode("idna")  # raises where a label is empty or too long, as whoever dials does
    except (AttributeError, TypeError, ValueError):  # callers' code is not checked by us
        usable = False
    if not usable:
        example = f"http://127.0.0.1:8000{'/mcp' if path else ''}"
        got = "one with a user name" if "@" in str(url) else f"{url!a:.200}"  # a password is not for a log
        raise ConfigurationError("bad_configuration", f"{what}: expected a URL such as {example}, got {got}")
    return url
