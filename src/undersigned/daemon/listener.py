"""The public listener: one HTTP server for documents, artifacts and the peer WebSocket, and nothing else.

It serves `GET` (and `HEAD`) without bodies: the paths that `documents` knows, what `log` has below `/ledger/`,
`/artifacts/<digest>` through a callback that decides, and `/hire`, which becomes a channel. Everything else is 404 with
`{"code": ...}`. It holds no key, no state of an engagement and no policy; those are behind its callbacks.

Source: protocol-spec/03-connection.md, section 3.6
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from errno import EADDRINUSE
from ssl import SSLContext
from typing import Final

import structlog
from aiohttp import HttpVersion11, web

from undersigned.errors import ConfigurationError, TransportError, UndersignedError
from undersigned.runtime import why
from undersigned.transport import NO_PROXIES, SUBPROTOCOL, AcceptedChannel, Channel, LogBudget, Proxies, closing

from .answers import (
    ArtifactRequest,
    ArtifactResponse,
    Document,
    answer_artifact,
    refusal_of,
    remote_of,
    whole_answer,
)
from .door import Door, ListenerLimits, NotAdmitted, Ticket, within_files
from .edge import EdgeProtocol, end_server, error_response

__all__ = ["ListenerLimits", "PublicListener"]

_log: Final = structlog.get_logger("undersigned.listener")
_ARTIFACT: Final = re.compile("/artifacts/(uEi[A-D][A-Za-z0-9_-]{42}[AQgw])")
_KEY: Final = re.compile("[A-Za-z0-9+/]{22}==")
"""`Sec-WebSocket-Key`: 16 bytes. aiohttp reads one that is no ASCII, and fails."""
TOLD: Final = 20
"""Failed handshakes that are logged in `TOLD_SECONDS`; the next line says how many were not."""
TOLD_SECONDS: Final = 60.0
MAX_REASON: Final = 256
"""Characters that are logged of why one failed: strangers write in it."""
_UNLISTED: Final = 'if a proxy of yours connects from there, name it in [listen] of the settings: proxies = ["{}"]'
_NAMELESS: Final = "it is in proxies of [listen], and what it passed on names no caller: let it set X-Forwarded-For"
_REFUSED: Final = {
    "overloaded": b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Type: application/json\r\n"
    b'Content-Length: 21\r\n\r\n{"code":"overloaded"}',
    "rate_limited": b"HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nContent-Type: application/json\r\n"
    b'Content-Length: 23\r\n\r\n{"code":"rate_limited"}',
}


class PublicListener:
    """Listens on `host`:`port` (0 picks a free port) once started.

    `documents` gives what is published at a path, or None, and `log` what is below `/ledger/`. `accept` is run for each
    new channel and its return ends the channel; it begins with `admit`. `artifacts` decides on and answers requests for
    artifacts; without it there are none. With `ssl` everything is served over TLS, without it in the clear: for
    loopback, or behind a proxy. `proxies` are believed about who calls. `otherwise` tells people what to do where the
    port is taken by something else.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        documents: Callable[[str], Document | None],
        accept: Callable[[Channel], Awaitable[None]],
        artifacts: Callable[[ArtifactRequest], Awaitable[ArtifactResponse]] | None = None,
        log: Callable[[str], Awaitable[Document | None]] | None = None,
        limits: ListenerLimits | None = None,
        ssl: SSLContext | None = None,
        proxies: Proxies = NO_PROXIES,
        otherwise: str = "",
    ) -> None:
        self.host = host
        self._otherwise = otherwise
        self.limits = limits or ListenerLimits()
        self._port = port
        self._documents = documents
        self._accept = accept
        self._artifacts = artifacts
        self._log = log
        self._ssl = ssl
        self._proxies = proxies
        self._sockets: list[socket.socket] = []
        self._loops: list[asyncio.Task[None]] = []
        self._opening: set[asyncio.Task[None]] = set()
        self._channels: set[AcceptedChannel] = set()
        self._told = LogBudget(TOLD, TOLD_SECONDS)
        self._told_closed = LogBudget(TOLD, TOLD_SECONDS)
        self._server: web.Server | None = None
        self._door: Door | None = None

    @property
    def port(self) -> int:
        """The port listened on."""
        return int(self._sockets[0].getsockname()[1]) if self._sockets else self._port

    @property
    def door(self) -> Door:
        """The counts of who is connected."""
        if self._door is None:
            raise ConfigurationError("bad_configuration", "the listener is not started")
        return self._door

    async def start(self) -> None:
        """Listens.

        Raises:
            ConfigurationError: `bad_configuration`, the address cannot be listened on.
        """
        loop = asyncio.get_running_loop()
        self._door = Door(within_files(self.limits), loop.time, self._proxies)
        self._server = web.Server(self._handle, handler_cancellation=False)
        try:
            found = await loop.getaddrinfo(
                self.host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_ADDRCONFIG
            )
            port = self._port
            for family, kind, proto, _, where in dict.fromkeys(found):
                sock = socket.socket(family, kind, proto)
                self._sockets.append(sock)
                sock.setblocking(False)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family is socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.bind((where[0], port, *where[2:]))
                port = port or int(sock.getsockname()[1])
                sock.listen(512)
        except (OSError, ValueError) as exc:  # ValueError of a host that is no name
            self._close_sockets()
            in_use = getattr(exc, "errno", None) == EADDRINUSE
            taken = "; is this peer, or another one, running there already?" if in_use else ""
            taken += f" {self._otherwise}" if taken and self._otherwise else ""
            raise ConfigurationError(
                "bad_configuration", f"cannot listen on {self.host}:{self._port}: {why(exc)}{taken}"
            ) from exc
        self._loops = [loop.create_task(self._take(sock)) for sock in self._sockets]

    async def stop(self) -> None:
        """Takes nothing more, closes every channel with 1001, lets answers under way finish, and returns."""
        async with AsyncExitStack() as rest:  # from below to above; each, though whoever waits is cancelled meanwhile
            rest.push_async_callback(self._end_server)
            rest.push_async_callback(self._close_channels)
            rest.push_async_callback(self._end_opening)
            rest.callback(self._close_sockets)
            for task in self._loops:
                task.cancel()
            await asyncio.gather(*self._loops, return_exceptions=True)
            self._loops = []

    async def _end_opening(self) -> None:
        for task in tuple(self._opening):
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)

    async def _close_channels(self) -> None:
        await asyncio.gather(*(channel.close(1001) for channel in tuple(self._channels)), return_exceptions=True)

    async def _end_server(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            await end_server(server, self.limits.channel.close_seconds)

    def _close_sockets(self) -> None:
        for sock in self._sockets:
            sock.close()
        self._sockets = []

    async def _take(self, listening: socket.socket) -> None:
        """Takes connections for ever. The counts are asked before TLS, and before anything is read."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, where = await loop.sock_accept(listening)
            except OSError as exc:
                # Out of file descriptors, most likely. The backlog waits; trying at once would only burn the CPU.
                _log.error("a connection cannot be accepted", error=str(exc))
                await asyncio.sleep(0.2)
                continue
            ticket = self.door.enter(str(where[0]))
            if isinstance(ticket, NotAdmitted):
                self._turned_away(str(where[0]), ticket)
                self._refuse(sock, ticket.code)
                continue
            task = loop.create_task(self._open(sock, ticket))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def _refuse(self, sock: socket.socket, code: str) -> None:
        with sock:
            if self._ssl is None:
                try:
                    sock.setblocking(False)
                    sock.send(_REFUSED[code])
                except OSError:
                    return

    async def _open(self, sock: socket.socket, ticket: Ticket) -> None:
        server, opening = self._server, asyncio.current_task()
        try:
            if server is None or opening is None:
                raise ConnectionError("stopped")
            edge = EdgeProtocol(server, ticket, self.limits)

            def gives_way(*, unread: bool) -> bool:
                reason = self.door.crowd()
                gone = opening.cancel() if edge.transport is None else edge.gives_way(unread=unread)
                if gone:
                    self._failed(ticket.remote, "overloaded", reason=f"it made room: {reason}")
                return gone

            ticket.gives_way = gives_way
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: edge,
                sock,
                ssl=self._ssl,
                ssl_handshake_timeout=self.limits.head_seconds if self._ssl is not None else None,
                ssl_shutdown_timeout=self.limits.channel.close_seconds if self._ssl is not None else None,
            )
        except BaseException as exc:
            sock.close()
            ticket.leave()
            # A handshake that fails or takes too long is the stranger's affair (OSError covers TLS and time).
            if not isinstance(exc, OSError):
                raise
            self._failed(ticket.remote, "timeout" if isinstance(exc, TimeoutError) else "connection_closed")

    def _turned_away(self, remote: str, refused: NotAdmitted) -> None:
        more = {"hint": self._hint(remote)} if refused.by_address else {"reason": self.door.crowd()}
        self._failed(remote, refused.code, **more)

    def _hint(self, remote: str) -> str:
        """What may be wrong where many come from one address."""
        return _NAMELESS if self._proxies.listed(remote) else _UNLISTED.format(remote)

    def _closed(self, remote: str) -> None:
        """A line of its own: the failures that closed the door have used up what is told of failures."""
        at = asyncio.get_running_loop().time()
        if self._told_closed.take(at) is not None:
            seconds = self.limits.failure_seconds
            _log.warning("closed to an address", remote=remote, seconds=seconds, hint=self._hint(remote))

    def _failed(self, remote: str, code: str, **more: str) -> None:
        """One line for the operator about a handshake that came to nothing; strangers cause them, so not any number."""
        at = asyncio.get_running_loop().time()
        if (untold := self._told.take(at)) is not None:
            _log.warning("handshake failed", code=code, remote=remote, untold=untold, **more)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        edge = request.protocol
        if not isinstance(edge, EdgeProtocol):
            return await self._answer(request)
        edge.answering = True
        try:
            response = await self._answer(request)
        finally:
            edge.answering = False
        if edge.blurred:
            response.force_close()
        return response

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers one request. Whatever goes wrong, the peer gets a code and no more."""
        try:
            refusal = self._asked(request) or refusal_of(request)
            if refusal is not None:
                return refusal
            path = request.raw_path.partition("?")[0]
            if path == "/hire":
                return await self._hire(request)
            artifact = _ARTIFACT.fullmatch(path)
            if artifact is not None and self._artifacts is not None:
                return await answer_artifact(request, artifact[1], self._artifacts, self.limits.answer_seconds)
            if path.startswith("/ledger/") and self._log is not None:
                async with asyncio.timeout(self.limits.answer_seconds):
                    document = await self._log(path)
            else:
                document = self._documents(path)
        except TimeoutError:
            return error_response(503, "timeout")
        except TransportError as exc:
            return error_response(400, exc.code)
        except ConnectionError:
            # Whoever asked has gone before it was answered; anybody can, as often as they like.
            return error_response(400, "bad_request")
        except UndersignedError as exc:
            if exc.code == "overloaded":
                return error_response(503, exc.code)
            # Such as a key that is missing: it says itself what is wrong, and no line of ours is.
            _log.error("a request was not answered", path=request.raw_path[:200], error=str(exc))
            return error_response(500, "internal")
        except Exception:
            _log.exception("a request was not answered", path=request.raw_path[:200])
            return error_response(500, "internal")
        if document is None:
            return error_response(404, "bad_path")
        age = document.max_age_seconds
        had = document.etag and document.etag in request.headers.get("If-None-Match", "").split(", ")
        status, body = (304, b"") if had else (200, document.body)
        response = whole_answer(status, body, document.media_type, f"max-age={age}" if age else "no-cache")
        if document.etag:
            response.headers["ETag"] = document.etag
        return response

    def _asked(self, request: web.BaseRequest) -> web.Response | None:
        """The answer to a caller that is not let in, which only a request tells where a proxy passes it on; or None."""
        edge = request.protocol
        refused = edge.asked(request) if isinstance(edge, EdgeProtocol) else None
        if not isinstance(edge, EdgeProtocol) or refused is None:
            return None
        self._turned_away(edge.ticket.remote, refused)
        return error_response(429 if refused.code == "rate_limited" else 503, refused.code)

    async def _hire(self, request: web.BaseRequest) -> web.StreamResponse:
        """Turns the request into a channel and has it served."""
        edge, transport = request.protocol, request.transport

        def refused(status: int, code: str, reason: str) -> web.Response:
            self._failed(remote_of(request), code, reason=reason[:MAX_REASON])
            return error_response(status, code)

        offered = request.headers.get("Sec-WebSocket-Protocol", "")
        if SUBPROTOCOL not in (name.strip() for name in offered.split(",")):
            return refused(400, "version_not_supported", f"expected the subprotocol {SUBPROTOCOL}; came {offered!r}")
        version = request.headers.get("Sec-WebSocket-Version", "")
        if version != "13":
            response = refused(426, "version_not_supported", f"expected version 13 of WebSocket; came {version!r}")
            response.headers["Sec-WebSocket-Version"] = "13"
            return response
        limits = self.limits.channel
        socket_ = web.WebSocketResponse(
            protocols=(SUBPROTOCOL,),
            compress=False,
            timeout=limits.close_seconds,
            heartbeat=limits.ping_seconds,
            max_msg_size=limits.max_message_bytes + 1,
        )
        key = request.headers.get("Sec-WebSocket-Key", "")
        # In HTTP/1.0 an upgrade is to be ignored (RFC 9110, section 7.8): what stands between may not know of it.
        asked = request.method == "GET" and request.version >= HttpVersion11
        if not asked or not _KEY.fullmatch(key) or not socket_.can_prepare(request).ok:
            came = f"{request.method} of HTTP/{request.version.major}.{request.version.minor}"
            return refused(400, "bad_request", f"expected a WebSocket handshake; came a {came} that is none")
        if not isinstance(edge, EdgeProtocol) or transport is None:
            return error_response(500, "internal")
        socket_.headers["Server"] = (
            "hire"  # as every answer here: whom it is by and in which release is nobody's affair
        )
        channel = AcceptedChannel(socket_, transport, edge.ticket.address, limits, edge.proved)
        if not edge.watch(channel.broken):
            return refused(
                400, "bad_request", "expected a WebSocket handshake alone on its connection; more came with it"
            )
        await socket_.prepare(request)
        edge.answering = False  # now the other side has to prove who it is
        self._channels.add(channel)
        try:
            await self._accept(channel)
        except UndersignedError as exc:
            _log.info("channel ended", address=channel.address, peer=channel.peer, code=exc.code, reason=exc.message)
            if channel.peer is None:
                self._failed(channel.address, exc.code, reason=exc.message[:MAX_REASON])
            await channel.close(*closing(exc))
        except Exception:
            _log.exception("channel failed", address=channel.address, peer=channel.peer)
            await channel.close(1011, "internal")
        finally:
            self._channels.discard(channel)
            if channel.peer is None and edge.ticket.failed():
                self._closed(edge.ticket.remote)
            await channel.close()
        return socket_
