"""One connection of a listener: the protocol that stands between an accepted socket and aiohttp, and what is answered
by it where nobody else does.

Source: protocol-spec/10-security.md, section 10.4
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import ClientError, HttpVersion11, StreamReader, web

from undersigned.errors import TimedOut, TransportError
from undersigned.transport import MAX_FRAME_BYTES, Watch

from .door import ListenerLimits, NotAdmitted, Ticket

__all__ = [
    "EdgeProtocol",
    "Full",
    "arriving",
    "end_server",
    "error_response",
    "go_on",
    "json_response",
    "problem_response",
    "read_at_most",
    "text_fields",
]

_quiet: Final = logging.getLogger("undersigned.daemon.http")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False  # what strangers send is not written into our operator's log


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


@asynccontextmanager
async def arriving(seconds: float) -> AsyncGenerator[None]:
    """Around the reading of a request's body, which has so many seconds.

    Raises:
        TimedOut: `timeout`.
        TransportError: `bad_request`: it did not come whole.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as exc:
        raise TimedOut("timeout", "the body did not arrive in time") from exc
    except (ClientError, web.RequestPayloadError, OSError) as exc:
        raise TransportError("bad_request", f"the body did not arrive whole: {exc}") from exc


def text_fields(raw: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    """The fields of a request as text, whatever bytes they are: what is signed covers each of them."""
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in raw)


def go_on(request: web.BaseRequest) -> None:
    """Before a body is read: its sender may wait to be asked for it (RFC 9110, section 10.1.1), as `curl` does before a
    long one, and nobody else asks here. In HTTP/1.0 it cannot, and would take that for the answer.
    """
    expects = request.headers.get("Expect", "").lower() == "100-continue" and request.version >= HttpVersion11
    if expects and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


async def read_at_most(stream: StreamReader, most: int) -> bytes:
    """All that comes; of what is longer than `most`, a beginning that is longer, too."""
    read = b""
    while len(read) <= most and (more := await stream.read(most + 1)):
        read += more
    return read


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


class EdgeProtocol(web.RequestHandler):
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
        """The head of the request that is answered."""
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

    def asked(self, request: web.BaseRequest) -> NotAdmitted | None:
        """Begins to answer a request; or says why its caller is not let in.

        Proxies and clients that keep connections send one request after the other on them, also an upgrade behind
        others, and keep them apart: what comes from now on is the next head.
        """
        self._head = self._first
        # Behind what is more than one head, the next one and frames cannot be told apart any more.
        blurred = not _one_head(self._first)
        self._first = None if blurred else b""
        # Of a proxy the connection ends with the answer: whoever it sends on it next is not to suffer for it.
        self.blurred = blurred and self.ticket.passed_on
        return self.ticket.asked(request)

    def watch(self, broken: Callable[[int, str], None]) -> bool:
        """Watches all bytes from here on as WebSocket frames.

        False if something follows its head, or followed that of a request before on the connection: a WebSocket client
        must wait for the answer, and frames that we have not seen cannot be watched.
        """
        head, since, self._first = self._head, self._first, None
        transport = self.transport
        if transport is None or since or not _one_head(head):
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
