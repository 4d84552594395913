"""The gate as a middleware of an aiohttp server.

    app = web.Application(middlewares=[aiohttp_gate(RequestGate(desk, rules))])

A handler is called for allowed requests only, and finds in `request[GRANTED]` what was granted. The body is read before
it is called, because it is signed: `request.read()` and `request.json()` give it, `request.content` is empty. An answer
that is to be signed has to be a `web.Response` with its body, and not compressed by aiohttp. A `web.FileResponse` is
sent once the turn of its request is over: what of them is under way the application has to bound itself.

Source: protocol-spec/14-gates.md
"""

from __future__ import annotations

import hashlib
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from aiohttp import web

from undersigned.errors import FormatError, TransportError, UndersignedError

from .edge import arriving, problem_response, text_fields
from .gate_answers import sign_response
from .gate_desk import Granted
from .gating import RequestGate, VerifiedHead, require_gate

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

__all__ = ["GRANTED", "aiohttp_gate"]

GRANTED = web.RequestKey("hire", Granted)


def aiohttp_gate(gate: RequestGate) -> Middleware:
    """The middleware. It has to be the first one, since others may read or change the request.

    The application's `client_max_size` bounds a body as well as the rules do, whichever is less. A body with a
    `Content-Encoding` is refused: aiohttp inflates it before anybody sees what was signed.

    Raises:
        ConfigurationError: `bad_configuration`: `gate` is no `RequestGate`.
    """
    require_gate(gate)

    @web.middleware
    async def gated(request: web.Request, handler: Handler) -> web.StreamResponse:
        knock: VerifiedHead | None = None
        with ExitStack() as turn:
            try:
                fields = text_fields(request.raw_headers)
                knock = await gate.head(request.method, request.raw_path, fields)
                turn.enter_context(gate.turn(knock))
                granted = await _admitted(gate, knock, request)
            except UndersignedError as error:
                status, problem = gate.refused(error, request.method, request.raw_path)
                answer = problem_response(status, problem)
                await sign_response(gate, knock, answer)
                return answer
            request[GRANTED] = granted
            # If the handler raises, nobody knows how far it came, and what was booked stays spent.
            try:
                response = await handler(request)
            except web.HTTPException as answer:  # which is aiohttp's way to answer, as where it has no such route
                response = answer
            gate.done(granted.permit)
            await sign_response(gate, knock, response)
            if isinstance(response, web.Response):
                # Within its turn, which who reads slowly keeps. The server finds it sent, or who asked gone.
                with suppress(ConnectionError):
                    await response.prepare(request)
                    await response.write_eof()
            if isinstance(response, web.HTTPException):
                raise response  # aiohttp wants none returned
            return response

    return gated


async def _admitted(gate: RequestGate, knock: VerifiedHead, request: web.Request) -> Granted:
    """What is granted, once the whole body is there."""
    gate.check_length(request.content_length or 0)
    if encoding := ",".join(request.headers.getall("Content-Encoding", ())):  # it goes by the last of them
        raise TransportError("bad_request", f"expected a body without a content encoding; came {encoding[:40]!a}")
    try:
        async with arriving(gate.body_seconds):
            body = await request.read()
    except web.HTTPRequestEntityTooLarge as exc:
        raise FormatError("too_large", "the body is longer than the application takes") from exc
    gate.check_length(len(body))
    return await gate.admit(knock, hashlib.sha256(body).digest(), len(body))
