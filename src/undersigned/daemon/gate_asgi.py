"""The gate as a middleware of any ASGI application, whatever it is made with.

    app = AsgiGate(app, RequestGate(desk, rules))

The application is called for allowed requests only, and finds in `scope["hire"]` what was granted. The body is read
before it is called, because it is signed, and handed on in one piece. WebSockets are refused.

Source: protocol-spec/14-gates.md
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

from undersigned.errors import TransportError, UndersignedError

from .gate_desk import Granted
from .gating import PROBLEM_FIELDS, RequestGate

__all__ = ["AsgiGate"]

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

_POLICY_VIOLATION: Final = 1008


class AsgiGate:
    """An ASGI application that lets in to `app` what `gate` allows. It has to be the outermost one."""

    def __init__(self, app: Application, gate: RequestGate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answers one connection as ASGI 3 defines it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            # Only a request is signed, not what would follow on the socket.
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})

    async def _http(self, scope: Message, receive: Receive, send: Send) -> None:
        method, path = str(scope["method"]), _path(scope)
        try:
            body, granted = await self._admitted(method, path, scope, receive)
        except UndersignedError as error:
            status, problem = self._gate.refused(error, method, path)
            fields = {**PROBLEM_FIELDS, "Content-Length": str(len(problem)), "Connection": "close"}
            if scope.get("http_version", "1.1") >= "2":
                del fields["Connection"]
            headers = [(name.lower().encode(), value.encode()) for name, value in fields.items()]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": problem})
            return
        given = False

        async def receive_body() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        # If the application raises, nobody knows how far it came, and what was booked stays spent.
        await self._app({**scope, "hire": granted}, receive_body, send)
        self._gate.done(granted.permit)

    async def _admitted(self, method: str, path: str, scope: Message, receive: Receive) -> tuple[bytes, Granted]:
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
        knock = await self._gate.head(method, path, headers)
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise TransportError("bad_request", "the sender left before its body was here")
            body += message.get("body", b"")
            self._gate.check_length(len(body))
            if not message.get("more_body", False):
                break
        return bytes(body), await self._gate.admit(knock, hashlib.sha256(body).digest(), len(body))


def _path(scope: Message) -> str:
    """The path with its query, as sent. A server that keeps only the decoded path cannot have a gate: what it was sent
    may have been something else.
    """
    raw = scope.get("raw_path")
    if raw is None:
        return ""
    query = scope.get("query_string", b"")
    path = bytes(raw).partition(b"?")[0]  # some servers leave the query there
    return (path + b"?" + query if query else path).decode("latin-1")
