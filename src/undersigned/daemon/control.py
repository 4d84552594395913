"""The control listener: requests of our own operator, on a socket of its own that no peer has a reason to reach.

It knows nothing of what it serves: `routes` says what answers which method and path, and takes and gives JSON objects.
Who is let in is decided here, before the body is read: by the name the caller used, by its origin, and by the token.

Source: protocol-spec/control.md
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

import msgspec
import structlog
from aiohttp import web

from undersigned.encoding import FOREIGN_LIMITS, JsonObject, decode_json
from undersigned.errors import CODES, PROBLEM_TYPES, FormatError, TimedOut, TransportError, UndersignedError
from undersigned.runtime import ControlPart

from .edge import EdgeProtocol, go_on, json_response, problem_response
from .near import NearListener

__all__ = ["MAX_BODY_BYTES", "ControlAnswer", "ControlListener", "Route", "problem"]

_log: Final = structlog.get_logger("undersigned.control")

MAX_BODY_BYTES: Final = 256 * 1024
BODY_SECONDS: Final = 10.0
"""For a body to arrive whole."""
CONNECTIONS: Final = 64
_JSON_LIMITS: Final = msgspec.structs.replace(FOREIGN_LIMITS, max_bytes=MAX_BODY_BYTES, max_string=MAX_BODY_BYTES)
_MEDIA_TYPES: Final = frozenset({"application/json", "application/ld+json"})
_LOOPBACK_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")
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


class ControlAnswer(msgspec.Struct, frozen=True):
    """The answer of a route."""

    status: int
    body: JsonObject
    unheard: Callable[[], Awaitable[None]] | None = None
    """Takes back what was done for the answer, of which nothing is sent: whoever asked has left by then."""


Route: TypeAlias = Callable[[JsonObject], Awaitable[ControlAnswer]]
"""Answers the object in a request's body; an `UndersignedError` that it raises becomes a problem."""


def problem(error: UndersignedError) -> JsonObject:
    """What a caller is told of an error: its code and what that means. The place and the reason only where they follow
    from nothing but the caller's own bytes; the rest is in the log.

    Source: protocol-spec/control.md; RFC 9457
    """
    told: JsonObject = {"type": PROBLEM_TYPES + error.code, "title": error.row.meaning, "code": error.code}
    if error.row.told == "at once":
        told["detail"] = error.message
        if error.path:
            told["pointer"] = error.path
    return told


class ControlListener(NearListener):
    """Listens as `part` says once started (port 0 picks a free one) and answers who has the token."""

    def __init__(
        self,
        part: ControlPart,
        token: str,
        routes: Mapping[tuple[str, str], Route],
        *,
        answer_seconds: float = 30.0,
        body_seconds: float = BODY_SECONDS,
        connections: int = CONNECTIONS,
        what: str = "for control",
    ) -> None:
        """`what` it is for is said where it cannot listen."""
        self._part = part
        self._token = token.encode()
        self._routes = routes
        self._answer_seconds = answer_seconds
        self._body_seconds = body_seconds
        self._names: frozenset[str] = frozenset()
        # Whoever leaves does not stop what was begun in its name.
        super().__init__(
            self._handle,
            part.host,
            part.port,
            connections=connections,
            cancels=False,
            edge=_ControlEdge,
            what=what,
        )

    async def start(self) -> None:
        """Listens.

        Raises:
            ConfigurationError: `bad_configuration`, an address that is not loopback and has no names, or that cannot
                be listened on.
        """
        self._part.checked()  # whoever made it: nothing listens beyond loopback by mistake
        await super().start()
        self._names = frozenset({f"{name}:{self.port}" for name in _LOOPBACK_NAMES} | set(self._part.names))

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers one request. Whatever goes wrong, the caller gets a code and what it means."""
        path = request.raw_path.partition("?")[0]
        try:
            self._admit(request)
            self.welcome(request)
            route = self._route(request.method, path)
            body = await self._body(request)
            async with asyncio.timeout(self._answer_seconds):
                answer = await route(body)
            if answer.unheard is not None and (request.transport is None or request.transport.is_closing()):
                await answer.unheard()
        except TimeoutError:
            _log.warning("a control request took too long", path=path[:200])
            return _refused(TimedOut("timeout", "the answer took too long"))
        except UndersignedError as error:
            _log.warning("control request refused", path=path[:200], error=str(error)[:500])
            return _refused(error)
        except Exception:
            _log.exception("a control request was not answered", path=path[:200])
            return _refused(TransportError("internal", "a defect of ours"))
        return json_response(answer.status, msgspec.json.encode(answer.body))

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
        go_on(request)
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


class _ControlEdge(EdgeProtocol):
    """One connection, on which even what is no HTTP request is answered by a problem."""

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
    status = 405 if "allow" in error.detail else _STATUS.get(error.code, 500 if family in _DEFECTS else 400)
    told = msgspec.json.encode(problem(error) | {"status": status})
    response = problem_response(status, told)
    if error.code == "unauthorized":
        response.headers["WWW-Authenticate"] = "Bearer"
    if "allow" in error.detail:
        response.headers["Allow"] = str(error.detail["allow"])
    return response
