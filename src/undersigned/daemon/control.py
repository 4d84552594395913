"""The control listener: requests of our own operator, on a socket of its own that no peer has a reason to reach.

It knows nothing of what it serves: `routes` says what answers which method and path, and takes and gives JSON objects.
Who is let in is decided here, before the body is read: by the name the caller used, by its origin, and by the token.

Source: protocol-spec/control.md
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping
from errno import EADDRINUSE
from typing import Final, TypeAlias

import msgspec
import structlog
from aiohttp import web

from undersigned.encoding import FOREIGN_LIMITS, JsonObject, decode_json
from undersigned.errors import CODES, ConfigurationError, FormatError, TimedOut, TransportError, UndersignedError
from undersigned.runtime import ControlPart

from .door import Door, Edge, Full, ListenerLimits, Ticket

__all__ = ["MAX_BODY_BYTES", "Answer", "ControlListener", "Route", "problem"]

_log: Final = structlog.get_logger("undersigned.control")

MAX_BODY_BYTES: Final = 256 * 1024
BODY_SECONDS: Final = 10.0
"""For a body to arrive whole."""
CONNECTIONS: Final = 64
_LIMITS: Final = ListenerLimits(connections=CONNECTIONS, unproved=CONNECTIONS, unproved_per_address=CONNECTIONS)
_JSON_LIMITS: Final = msgspec.structs.replace(FOREIGN_LIMITS, max_bytes=MAX_BODY_BYTES, max_string=MAX_BODY_BYTES)
_MEDIA_TYPES: Final = frozenset({"application/json", "application/ld+json"})
_LOOPBACK_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")
_LINGER_SECONDS: Final = 2.0
_PROBLEMS: Final = "https://w3id.org/hire/v1/errors/"
_STATUS: Final = {
    "unauthorized": 401,
    "forbidden_origin": 403,
    "bad_path": 404,
    "not_found": 404,
    "too_large": 413,
    "timeout": 503,
}
_DEFECTS: Final = frozenset({"store", "ledger", "configuration", "internal"})
"""Families of errors that are no fault of the request."""


class Answer(msgspec.Struct, frozen=True):
    """The answer of a route."""

    status: int
    body: JsonObject


Route: TypeAlias = Callable[[JsonObject], Awaitable[Answer]]
"""Answers the object in a request's body; an `UndersignedError` that it raises becomes a problem."""


def problem(error: UndersignedError) -> JsonObject:
    """What a caller is told of an error: its code and what that means. The place and the reason only where they follow
    from nothing but the caller's own bytes; the rest is in the log.

    Source: protocol-spec/control.md; RFC 9457
    """
    told: JsonObject = {"type": _PROBLEMS + error.code, "title": error.row.meaning, "code": error.code}
    if error.row.told == "at once":
        told["detail"] = error.message
        if error.path:
            told["pointer"] = error.path
    return told


class ControlListener:
    """Listens as `part` says once started (port 0 picks a free one) and answers who has the token."""

    def __init__(
        self,
        part: ControlPart,
        token: str,
        routes: Mapping[tuple[str, str], Route],
        *,
        answer_seconds: float = 30.0,
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        self._part = part
        self._token = token.encode()
        self._routes = routes
        self._answer_seconds = answer_seconds
        self._body_seconds = body_seconds
        self._listening: asyncio.Server | None = None
        self._server: web.Server | None = None
        self._names: frozenset[str] = frozenset()
        self.port = part.port

    @property
    def url(self) -> str:
        """Where it is reached on this machine."""
        host = f"[{self._part.host}]" if ":" in self._part.host else self._part.host
        return f"http://{host}:{self.port}"

    async def start(self) -> None:
        """Listens.

        Raises:
            ConfigurationError: `bad_configuration`, an address that is not loopback and has no names, or that cannot
                be listened on.
        """
        self._part.checked()  # whoever made it: nothing listens beyond loopback by mistake
        loop = asyncio.get_running_loop()
        door = Door(_LIMITS, loop.time)
        server = self._server = web.Server(self._handle, handler_cancellation=False)

        def protocol() -> asyncio.Protocol:
            ticket = door.enter("control")
            return Full() if isinstance(ticket, str) else _ControlEdge(server, ticket)

        try:
            self._listening = await loop.create_server(protocol, self._part.host, self._part.port)
        except OSError as exc:
            taken = "; is somebody listening there already?" if exc.errno == EADDRINUSE else ""
            where = f"{self._part.host}:{self._part.port}"
            raise ConfigurationError(
                "bad_configuration", f"cannot listen for control on {where}: {exc.strerror or exc}{taken}"
            ) from exc
        self.port = int(self._listening.sockets[0].getsockname()[1])
        self._names = frozenset({f"{name}:{self.port}" for name in _LOOPBACK_NAMES} | set(self._part.names))

    async def stop(self) -> None:
        """Takes nothing more, lets answers under way finish, and returns."""
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        if self._server is not None:
            self._server.pre_shutdown()
            await self._server.shutdown(_LIMITS.channel.close_seconds)
            self._server = None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers one request. Whatever goes wrong, the caller gets a code and what it means."""
        path = request.raw_path.partition("?")[0]
        try:
            self._admit(request)
            route = self._route(request.method, path)
            body = await self._body(request)
            async with asyncio.timeout(self._answer_seconds):
                answer = await route(body)
        except asyncio.CancelledError:
            raise
        except TimeoutError:
            _log.warning("a control request took too long", path=path[:200])
            return _refused(TimedOut("timeout", "the answer took too long"))
        except UndersignedError as error:
            _log.warning("control request refused", path=path[:200], error=str(error)[:500])
            response = _refused(error)
            if "allow" in error.detail:
                response.set_status(405)
                response.headers["Allow"] = str(error.detail["allow"])
            return response
        except Exception:
            _log.exception("a control request was not answered", path=path[:200])
            return _refused(TransportError("internal", "a defect of ours"))
        return _json(answer.status, answer.body, "application/json")

    def _admit(self, request: web.BaseRequest) -> None:
        """Returns if the caller may speak here at all."""
        headers = request.headers
        # Step 1: called by a name of ours. A page whose name was rebound to this address calls it by its own.
        hosts = headers.getall("Host", ())
        if len(hosts) != 1 or hosts[0].lower() not in self._names:
            raise TransportError("forbidden_origin", "expected a Host that is listed")
        # Step 2: not out of a page. There is no origin from which this is used, so none is listed.
        if "Origin" in headers:
            raise TransportError("forbidden_origin", "expected no Origin")
        # Step 3: with the token. All of it is compared, whatever came.
        shown = headers.getall("Authorization", ())
        scheme, _, token = (shown[0] if len(shown) == 1 else "").partition(" ")
        given = token.strip().encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, self._token) or scheme.lower() != "bearer":
            raise TransportError("unauthorized", "expected the token of this state folder")

    def _route(self, method: str, path: str) -> Route:
        route = self._routes.get((method, path))
        if route is not None:
            return route
        allowed = sorted(known for known, where in self._routes if where == path)
        if not allowed:
            raise TransportError("bad_path", "no such path")
        raise TransportError("bad_request", f"expected {' or '.join(allowed)}", allow=", ".join(allowed))

    async def _body(self, request: web.BaseRequest) -> JsonObject:
        """The JSON object in the body, whose length was declared."""
        headers = request.headers
        if headers.get("Content-Type", "").partition(";")[0].strip().lower() not in _MEDIA_TYPES:
            raise TransportError("bad_request", "expected Content-Type application/json")
        lengths = headers.getall("Content-Length", ())
        if len(lengths) != 1 or not (lengths[0].isascii() and lengths[0].isdigit()):
            raise TransportError("bad_request", "expected a body with its length")
        if "Transfer-Encoding" in headers or headers.get("Content-Encoding", "identity").lower() != "identity":
            raise TransportError("bad_request", "expected a body that is not encoded")
        length = int(lengths[0][:20])
        if length > MAX_BODY_BYTES:
            raise FormatError("too_large", f"expected at most {MAX_BODY_BYTES} bytes; came {length}")
        try:
            async with asyncio.timeout(self._body_seconds):
                raw = await request.content.readexactly(length)
        except TimeoutError as exc:
            raise TimedOut("timeout", "the body did not arrive in time") from exc
        except asyncio.IncompleteReadError as exc:
            raise TransportError("bad_request", "the body is shorter than its length") from exc
        value = decode_json(raw, _JSON_LIMITS)
        if not isinstance(value, dict):
            raise FormatError("bad_json", "expected a JSON object")
        return value


class _ControlEdge(Edge):
    """One connection. A refused request is read to its end for a moment, so that its sender sees why it was refused."""

    def __init__(self, server: web.Server, ticket: Ticket) -> None:
        super().__init__(server, ticket, _LIMITS)
        self._lingering_time = _LINGER_SECONDS

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what is no HTTP request."""
        return _refused(TransportError("bad_request" if status < 500 else "internal", ""))


def _refused(error: UndersignedError) -> web.Response:
    family = CODES[error.code].family if error.code in CODES else "internal"
    status = _STATUS.get(error.code, 500 if family in _DEFECTS else 400)
    response = _json(status, problem(error) | {"status": status}, "application/problem+json")
    if error.code == "unauthorized":
        response.headers["WWW-Authenticate"] = "Bearer"
    # Whatever else was sent on this connection is not read as a request.
    response.force_close()
    return response


def _json(status: int, body: JsonObject, media_type: str) -> web.Response:
    return web.Response(
        status=status,
        body=msgspec.json.encode(body),
        content_type=media_type,
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Server": "hire"},
    )
