"""The gate as a middleware of any ASGI application, whatever it is made with.

    app = AsgiGate(app, RequestGate(desk, rules))

The application is called for allowed requests only, and finds in `scope["hire"]` what was granted. The body is read
before it is called, because it is signed, and handed on in one piece. WebSockets are refused. The turn of a request
ends when the application has: what a server has taken over of an answer and not sent yet is for that to bound.

Source: protocol-spec/14-gates.md
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import ExitStack
from typing import Any, Final, TypeAlias

from undersigned.errors import TransportError, UndersignedError

from .edge import arriving, text_fields
from .gate_answers import OWN_FIELDS, bodiless
from .gating import RequestGate, VerifiedHead, require_gate

__all__ = ["AsgiGate"]

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

_POLICY_VIOLATION: Final = 1008
_PROBLEM_FIELDS: Final = {
    "Content-Type": "application/problem+json",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}
"""Of an answer to a request that was refused."""


class AsgiGate:
    """An ASGI application that lets in to `app` what `gate` allows. It has to be the outermost one.

    Raises:
        ConfigurationError: `bad_configuration`: `gate` is no `RequestGate`.
    """

    def __init__(self, app: Application, gate: RequestGate) -> None:
        require_gate(gate)
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answers one connection as ASGI 3 defines it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            with ExitStack() as turn:
                await self._http(scope, receive, send, turn)
        elif scope["type"] == "websocket":
            # Only a request is signed, not what would follow on the socket.
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})

    async def _http(self, scope: Message, receive: Receive, send: Send, turn: ExitStack) -> None:
        method, path = str(scope["method"]), _path(scope)
        knock: VerifiedHead | None = None
        try:
            headers = text_fields(scope["headers"])
            knock = await self._gate.head(method, path, headers)
            turn.enter_context(self._gate.turn(knock))
            async with arriving(self._gate.body_seconds):
                body = await self._body(receive)
            granted = await self._gate.admit(knock, hashlib.sha256(body).digest(), len(body))
        except UndersignedError as error:
            await self._refuse(error, method, path, scope, self._signing(knock, send))
            return
        given = False

        async def receive_body() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        # If the application raises, nobody knows how far it came, and what was booked stays spent.
        scope = {**scope, "hire": granted}
        if self._gate.sign_answers:
            # Ways of the server to answer that cannot be signed: the application is not to take them.
            offered: dict[str, Any] = scope.get("extensions") or {}
            scope["extensions"] = {name: offered[name] for name in offered if not name.startswith("http.response.")}
            send = self._signing(knock, send)
        await self._app(scope, receive_body, send)
        self._gate.done(granted.permit)

    async def _refuse(self, error: UndersignedError, method: str, path: str, scope: Message, send: Send) -> None:
        status, problem = self._gate.refused(error, method, path)
        fields = {**_PROBLEM_FIELDS, "Content-Length": str(len(problem)), "Connection": "close"}
        if scope.get("http_version", "1.1") >= "2":
            del fields["Connection"]
        headers = [(name.lower().encode(), value.encode()) for name, value in fields.items()]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": problem})

    async def _body(self, receive: Receive) -> bytes:
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise TransportError("bad_request", "the sender left before its body was here")
            body += message.get("body", b"")
            self._gate.check_length(len(body))
            if not message.get("more_body"):
                return bytes(body)

    def _signing(self, knock: VerifiedHead | None, send: Send) -> Send:
        """`send`, which holds the answer until it is whole, and signs it where that is wanted."""
        started: Message = {}
        body = bytearray()

        async def held(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = message
            if message["type"] != "http.response.body":
                return  # what else there is, is not signed, and was not offered
            body.extend(message.get("body", b""))
            if message.get("more_body"):
                return
            named = started.get("headers", ())
            headers = [(name, value) for name, value in named if name.lower().decode() not in OWN_FIELDS]
            kind = next((value.decode("latin-1") for name, value in headers if name.lower() == b"content-type"), None)
            empty = knock is not None and bodiless(knock.request.method, started["status"])
            digest = hashlib.sha256(b"" if empty else body).digest()
            fields = await self._gate.answer_fields(knock, started["status"], kind, digest)
            headers += [(name.lower().encode(), value.encode("latin-1")) for name, value in fields]
            await send({**started, "headers": headers, "trailers": False})
            await send({"type": "http.response.body", "body": bytes(body)})

        return held


def _path(scope: Message) -> str:
    """The path with its query, as sent. A server that keeps only the decoded path cannot have a gate: what it was sent
    may have been something else.
    """
    raw = scope.get("raw_path")
    if raw is None:
        return ""
    query = scope.get("query_string")
    path = bytes(raw).partition(b"?")[0]  # some servers leave the query there
    return (path + b"?" + query if query else path).decode("latin-1")
