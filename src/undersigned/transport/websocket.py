"""Channels over WebSockets: `connect_websocket` dials with `websockets`, `AcceptedChannel` is the aiohttp side.

Every message is one text frame (or several, if the peer likes) of UTF-8 JSON; compression is never negotiated. Both
sides insist on the subprotocol `hire.v1`. A dialer follows no redirect, uses no proxy that the environment names,
and connects a socket whose address it has checked (`addresses.py`).

Source: protocol-spec/03-connection.md, section 3.2
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from ssl import SSLContext, SSLError
from typing import Any, Final, cast
from urllib.parse import SplitResult, urlsplit

from aiohttp import WebSocketError, WSMessage, WSMsgType
from aiohttp.web import WebSocketResponse
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, NegotiationError, WebSocketException
from websockets.http11 import Response
from websockets.protocol import State
from websockets.typing import Subprotocol

from undersigned.encoding import Did
from undersigned.errors import Closed, TimedOut, TransportError

from .addresses import dial, is_loopback_name
from .base import SUBPROTOCOL, Channel, ChannelLimits, closed_by_peer, closed_by_us
from .unreached import why_unreached
from .watch import Watch

__all__ = ["AcceptedChannel", "DialledChannel", "Heard", "connect_websocket"]

_MAX_HEAD_BYTES: Final = 16 * 1024
_WRITE_BYTES: Final = 64 * 1024
"""From here on whoever sends waits until the peer's socket has taken what was written before."""
_FRAME_BYTES: Final = 14
"""Of a frame, before its payload, at most."""
_MAX_TOLD: Final = 200
"""Characters of what the library says of an answer, which may repeat it."""
_SECURE: Final = {"ws": False, "http": False, "wss": True, "https": True}
_REFUSALS: Final = {429: "rate_limited", 503: "overloaded", 400: "bad_request", 426: "version_not_supported"}
_OWN_CODES: Final = {1002: "bad_request", 1003: "bad_request", 1007: "bad_unicode", 1009: "too_large"}
"""Why this side closed a channel, when the library did it for us."""

Heard = Callable[[bytes], object]
"""Is given the bytes that come, as they come."""

_quiet: Final = logging.getLogger("undersigned.transport.websockets")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False  # it would write bytes of strangers into our operator's log


def _waiting_bytes(transport: asyncio.Transport) -> int:
    """What was written and is not sent yet."""
    try:
        return transport.get_write_buffer_size()
    except AttributeError:
        # asyncio's TLS transport forgets its protocol when it is closed, and then cannot be asked.
        return 0


class _SocketChannel:
    """What the two ends of a WebSocket have in common: who is there, the limits, and why it ended."""

    def __init__(self, address: str, limits: ChannelLimits) -> None:
        self.address = address
        self.limits = limits
        self.peer: Did | None = None
        self.date = ""
        self._why: Closed | None = None
        self._ending: asyncio.Task[None] | None = None

    @property
    def closed(self) -> bool:
        """Whether nothing more can be sent."""
        return self._why is not None

    def proved(self, peer: Did) -> None:
        """Notes that a connection proof showed `peer`."""
        self.peer = peer

    def broken(self, code: int, reason: str) -> None:
        """Ends the channel from the protocol underneath, where nothing can be awaited."""
        if self._why is None:
            self._why = closed_by_us(code, reason)
        if reason == "overloaded":
            # The peer takes no bytes, so it would take no close frame either.
            self._abort()
        elif self._ending is None:
            self._ending = asyncio.get_running_loop().create_task(self._shut(code, reason))

    def _end(self, why: Closed) -> Closed:
        if self._why is None:
            self._why = why
        return self._why

    def _check_size(self, data: bytes, waiting: int) -> None:
        """Before `data` is queued behind `waiting` bytes."""
        if self._why is not None:
            raise self._why
        if len(data) > self.limits.max_message_bytes:
            raise TransportError("too_large", f"{len(data)} bytes are more than {self.limits.max_message_bytes}")
        if waiting + len(data) > self.limits.queue_bytes:
            self.broken(1008, "overloaded")
            raise Closed("overloaded", f"{self.address} has left {waiting} bytes unread")

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Closes the channel; see `Channel.close`."""
        if self._why is None:
            self._why = closed_by_us(code, reason)
        await self._shut(code, reason)

    async def _shut(self, code: int, reason: str) -> None:
        raise NotImplementedError

    def _abort(self) -> None:
        raise NotImplementedError


class _WatchedConnection(ClientConnection):
    """A connection of `websockets` whose bytes pass a watch first."""

    watch: Watch | None = None
    heard: Heard | None = None

    def begin(self, channel: DialledChannel, limits: ChannelLimits) -> None:
        """Watches what follows the head of the server's answer."""
        self._channel = channel
        self._head = b""
        self._limits = limits
        self._last_call: asyncio.TimerHandle | None = None

    def sent_at_once(self, data: bytes) -> bool:
        """Writes a text message, if the connection is open and nobody waits to write to it. It goes without the context
        that `send` makes in order to wait.
        """
        if self.protocol.state is not State.OPEN or self.paused or self.transport.is_closing():
            return False
        self.protocol.send_text(data)
        self.send_data()
        return True

    def data_received(self, data: bytes) -> None:
        if self.watch is None:
            data, behind = self._divided(data)
            if behind and self.watch is not None and self._passed(self.watch, behind):
                data += behind
        elif not self._passed(self.watch, data):
            return
        super().data_received(data)
        if self.paused and _waiting_bytes(self.transport) > self._limits.queue_bytes:
            # The library answers each ping at once, whether its answers are taken or not.
            self._channel.broken(1008, "overloaded")
        if self._last_call is None and self.protocol.close_expected():
            # `websockets` waits for the server to hang up, for as long as the server likes.
            self._last_call = self.loop.call_later(self._limits.close_seconds, self.transport.abort)

    def _passed(self, watch: Watch, data: bytes) -> bool:
        if self.heard is not None:
            self.heard(data)
        return watch.received(data)

    def _divided(self, data: bytes) -> tuple[bytes, bytes]:
        """What of `data` is head of the answer, and what lies behind it; starts the watch when the head ends.

        A server may speak at once, so that its first frames come together with its answer.
        """
        known = len(self._head)
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            if len(self._head) > _MAX_HEAD_BYTES:
                self.transport.abort()
            return data, b""
        self._head = b""
        transport = self.transport
        self.watch = Watch(
            self._limits,
            self._channel.broken,
            masked=False,
            paused_reading=lambda: transport.is_closing() or not transport.is_reading(),
        )
        return data[: end + 4 - known], data[end + 4 - known :]

    def pause_writing(self) -> None:
        if self.watch is not None:
            self.watch.writing_paused()
        super().pause_writing()

    def resume_writing(self) -> None:
        if self.watch is not None:
            self.watch.writing_resumed()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.watch is not None:
            self.watch.end()
        if self._last_call is not None:
            self._last_call.cancel()
        super().connection_lost(exc)


class DialledChannel(_SocketChannel):
    """The end of a channel that dialled. `connect_websocket` makes it."""

    _socket: _WatchedConnection

    def opened(self, connection: _WatchedConnection) -> None:
        """Takes the connection that is being opened."""
        self._socket = connection

    async def send(self, data: bytes) -> None:
        """Sends one message; see `Channel.send`."""
        waiting = _waiting_bytes(self._socket.transport)
        self._check_size(data, waiting)
        if waiting + _FRAME_BYTES + len(data) <= _WRITE_BYTES and self._socket.sent_at_once(data):
            return
        try:
            await self._socket.send(data, text=True)
        except ConnectionClosed as exc:
            raise self._end(_reason(exc)) from exc

    async def receive(self) -> bytes:
        """The next message; see `Channel.receive`."""
        try:
            message = await self._socket.recv()
        except ConnectionClosed as exc:
            raise self._end(_reason(exc)) from exc
        if isinstance(message, bytes):
            # The watch ends a channel at its first binary frame; this is in case it ever does not.
            await self.close(1003, "bad_request")
            raise self._end(Closed("bad_request", "a binary message"))
        return message.encode()

    async def _shut(self, code: int, reason: str) -> None:
        await self._socket.close(code, reason)

    def _abort(self) -> None:
        self._socket.transport.abort()


def _reason(exc: ConnectionClosed) -> Closed:
    received, sent = exc.rcvd, exc.sent
    if received is not None and (exc.rcvd_then_sent or sent is None):
        return closed_by_peer(received.code, received.reason)
    if sent is not None:
        return closed_by_us(sent.code, _OWN_CODES.get(sent.code, ""))
    return closed_by_peer(None, "")


class AcceptedChannel(_SocketChannel):
    """The end of a channel that was dialled, over an aiohttp `WebSocketResponse` that is prepared already.

    `on_proved` is told once, when the peer has proved itself: the listener then stops counting it as a stranger.
    """

    def __init__(
        self,
        socket: WebSocketResponse,
        transport: asyncio.Transport,
        address: str,
        limits: ChannelLimits,
        on_proved: Callable[[], None],
    ) -> None:
        super().__init__(address, limits)
        self._socket = socket
        self._transport = transport
        self._on_proved = on_proved

    def proved(self, peer: Did) -> None:
        """Notes that a connection proof showed `peer`."""
        super().proved(peer)
        self._on_proved()

    async def send(self, data: bytes) -> None:
        """Sends one message; see `Channel.send`."""
        self._check_size(data, _waiting_bytes(self._transport))
        try:
            await self._socket.send_frame(data, WSMsgType.TEXT)
        except (ConnectionError, RuntimeError) as exc:
            raise self._end(closed_by_peer(None, "")) from exc

    async def receive(self) -> bytes:
        """The next message; see `Channel.receive`."""
        if self._why is not None:
            raise self._why
        message: WSMessage = await self._socket.receive()
        if message.type is WSMsgType.TEXT:
            text: str = message.data
            return text.encode()
        if message.type is WSMsgType.CLOSE:
            raise self._end(closed_by_peer(message.data, message.extra or ""))
        if message.type is WSMsgType.BINARY:
            await self.close(1003, "bad_request")
        if message.type is WSMsgType.ERROR and isinstance(message.data, WebSocketError):
            code = message.data.code
            raise self._end(closed_by_us(int(code), _OWN_CODES.get(code, "")))
        raise self._end(closed_by_peer(None, ""))

    async def _shut(self, code: int, reason: str) -> None:
        with suppress(ConnectionError):
            await self._socket.close(code=code, message=reason.encode())
        if _waiting_bytes(self._transport):
            # It did not take our close frame in `close_seconds`; without this the socket would wait for ever.
            self._transport.abort()

    def _abort(self) -> None:
        self._transport.abort()


def _checked(url: str, limits: ChannelLimits) -> tuple[SplitResult, bool, int]:
    """The parts of `url`, whether it is secure, and its port."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise TransportError("bad_request", f"not a URL: {url!r}", nowhere=True) from exc
    secure = _SECURE.get(parts.scheme)
    if secure is None or not parts.hostname or parts.username or parts.password or parts.fragment:
        raise TransportError("bad_request", f"not the URL of a peer: {url!r}", nowhere=True)
    if not secure and not (limits.local and is_loopback_name(parts.hostname)):
        told = f"{url} is not encrypted; ws:// is for local state only"
        raise TransportError("version_not_supported", told, nowhere=True)
    return parts, secure, port or (443 if secure else 80)


def _answered(url: str, response: Response | None) -> TransportError:
    """The error for an answer that opens no channel; None: it ended before it was understood."""
    if response is None:
        return TransportError("connection_closed", f"{url} ended the connection before it was asked for a channel")
    status = response.status_code
    return TransportError(_REFUSALS.get(status, "unreachable"), f"{url} answered {status}", status=status)


async def connect_websocket(
    url: str, limits: ChannelLimits, ssl: SSLContext | None = None, *, heard: Heard | None = None
) -> Channel:
    """A channel to the peer at `url` (`wss:` or `https:`; with `limits.local` also `ws:` or `http:` to loopback).

    `ssl` is for `wss:`; by default the system's certificate authorities are trusted. `heard` is given all that comes
    behind the head of the server's answer, also what ends the channel and is received by nobody.

    Raises:
        TransportError: `unreachable`, `bad_request`, `overloaded`, `rate_limited`; `version_not_supported`, the
            server does not choose the subprotocol, or `url` is not encrypted; `TimedOut`, not within `open_seconds`.
        ResolutionError: `did_forbidden_address`, see `addresses_of`.
    """
    parts, secure, port = _checked(url, limits)
    host = parts.hostname or ""
    target = parts._replace(scheme="wss" if secure else "ws").geturl()
    started = asyncio.get_running_loop().time()
    sock = await dial(host, port, seconds=limits.open_seconds, local=limits.local)
    left = max(0.001, limits.open_seconds - (asyncio.get_running_loop().time() - started))
    channel = DialledChannel(f"{host}:{port}", limits)
    seen: list[ClientConnection] = []

    def watched(*arguments: Any, **options: Any) -> ClientConnection:
        connection = _WatchedConnection(*arguments, **options)
        connection.begin(channel, limits)
        connection.heard = heard
        channel.opened(connection)
        seen.append(connection)
        return connection

    options: dict[str, Any] = {}
    if secure:
        options = {"ssl": ssl if ssl is not None else True, "server_hostname": host}
    try:
        connection = await connect(
            target,
            sock=sock,
            proxy=None,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            user_agent_header=None,
            max_size=limits.max_message_bytes,
            open_timeout=left,
            ping_interval=limits.ping_seconds,
            ping_timeout=limits.ping_seconds,
            close_timeout=limits.close_seconds,
            write_limit=_WRITE_BYTES,
            logger=_quiet,
            create_connection=cast(type[ClientConnection], watched),
            **options,
        )
    except InvalidStatus as exc:
        raise _answered(url, exc.response) from exc
    except NegotiationError as exc:
        raise TransportError("version_not_supported", f"{url} chose another subprotocol or an extension") from exc
    except TimeoutError as exc:
        raise TimedOut("timeout", f"{url} did not open within {limits.open_seconds:g} s", unreached="silent") from exc
    except (WebSocketException, SSLError, OSError, EOFError, ValueError) as exc:
        # InvalidURI and ValueError are what `websockets` makes of a redirect when it was given a socket.
        told = f"{url} did not open: {str(exc)[:_MAX_TOLD]}"
        raise TransportError("unreachable", told, unreached=why_unreached(exc)) from exc
    except AssertionError as exc:
        # Who answers before our request is sent, as a listener that refuses us, is more than `websockets` reckons with.
        sock.close()
        raise _answered(url, seen[0].response if seen else None) from exc
    except BaseException:
        sock.close()
        raise
    if connection.subprotocol != SUBPROTOCOL:
        await channel.close(1002, "version_not_supported")
        raise TransportError("version_not_supported", f"{url} did not choose {SUBPROTOCOL}")
    if connection.response is not None:
        channel.date = next(iter(connection.response.headers.get_all("Date")), "")
    return channel
