"""What a public listener answers: documents, artifacts, whole or in pieces, and no to what is no request of ours.

Source: protocol-spec/03-connection.md, section 3.6
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Final

import msgspec
import structlog
from aiohttp import web

from undersigned.encoding import Digest
from undersigned.errors import UndersignedError, VerificationError

from .edge import EdgeProtocol, error_response, text_fields

__all__ = [
    "ArtifactRequest",
    "ArtifactResponse",
    "Document",
    "answer_artifact",
    "refusal_of",
    "remote_of",
    "whole_answer",
]

_log: Final = structlog.get_logger("undersigned.listener")
_REST: Final = re.compile("bytes=([0-9]{1,18})-", re.ASCII)
_FIELDS: Final = {"X-Content-Type-Options": "nosniff", "Server": "hire"}
_ABSENT_BODY: Final = frozenset({"", "0"})


class Document(msgspec.Struct, frozen=True):
    """A public document, as it is served."""

    body: bytes
    media_type: str = "application/json"
    max_age_seconds: int = 0
    etag: str = ""
    """Quoted, and another one for other bytes; who has these bytes already is told so and gets none."""


class ArtifactRequest(msgspec.Struct, frozen=True):
    """A request for an artifact. Nothing in it has been verified."""

    digest: Digest
    method: str
    path: str
    """As sent, with the query: put the origin that is ours in front of it to have the target URI."""
    headers: tuple[tuple[str, str], ...]
    """Name and value of each field, in order; names as sent, and values octet by octet (`text_fields`)."""
    address: str
    start: int = 0
    """The first byte that is asked for."""


class ArtifactResponse(msgspec.Struct, frozen=True):
    """The answer: the bytes, or pieces of them, or a status of 400 and above with the code that the peer is told."""

    status: int
    body: bytes = b""
    media_type: str = "application/octet-stream"
    code: str = ""
    size: int = 0
    """How many bytes all pieces have."""
    pieces: Callable[[int], AsyncGenerator[bytes]] | None = None
    """In place of `body`: gives the pieces from a byte on. If it raises, the connection ends before all is sent."""


async def answer_artifact(
    request: web.BaseRequest,
    digest: str,
    artifacts: Callable[[ArtifactRequest], Awaitable[ArtifactResponse]],
    seconds: float,
) -> web.StreamResponse:
    """The answer to a request for an artifact, of which `artifacts` decides within so many `seconds`."""
    start = _start(request)
    asked = ArtifactRequest(
        digest=digest,
        method=request.method,
        path=request.raw_path,
        headers=text_fields(request.raw_headers),
        address=remote_of(request),
        start=start or 0,
    )
    try:
        async with asyncio.timeout(seconds):
            response = await artifacts(asked)
    except TimeoutError:
        return error_response(503, "timeout")
    if response.status >= 400:
        return error_response(response.status, response.code or "policy_denied")
    size = response.size if response.pieces is not None else len(response.body)
    if start is not None and start >= size:
        refused = error_response(416, "bad_request")
        refused.headers["Content-Range"] = f"bytes */{size}"
        return refused
    headers = {} if start is None else {"Content-Range": f"bytes {start}-{size - 1}/{size}"}
    status = response.status if start is None else 206
    if response.pieces is None:
        answer = whole_answer(status, response.body[start or 0 :], response.media_type, "no-store")
        answer.headers.update(headers)
        return answer
    return await _stream(request, status, headers, response, start or 0)


async def _stream(
    request: web.BaseRequest, status: int, headers: dict[str, str], response: ArtifactResponse, start: int
) -> web.StreamResponse:
    """Sends the pieces. Whoever gets as many bytes as were announced has got all that there is to be checked."""
    answer = web.StreamResponse(status=status, headers={**_FIELDS, "Cache-Control": "no-store", **headers})
    answer.content_type = response.media_type
    answer.content_length = response.size - start
    await answer.prepare(request)
    if request.method == "HEAD" or response.pieces is None:
        return answer
    try:
        left = response.size - start
        async with aclosing(response.pieces(start)) as pieces:
            async for piece in pieces:
                left -= len(piece)
                if left < 0:
                    raise VerificationError("digest_mismatch", "it has more bytes than it had")
                await answer.write(piece)
        await answer.write_eof()
    except (UndersignedError, OSError) as exc:
        # The status is told already; the only way left to say that this is not it, is to send less.
        if not isinstance(exc, ConnectionError):
            _log.error("an artifact was not sent to its end", path=request.raw_path[:200], error=str(exc))
        if request.transport is not None:
            request.transport.abort()
    return answer


def remote_of(request: web.BaseRequest) -> str:
    """Who calls, as far as is known."""
    edge = request.protocol
    return edge.ticket.remote if isinstance(edge, EdgeProtocol) else request.remote or ""


def refusal_of(request: web.BaseRequest) -> web.Response | None:
    """The answer to a request that is not one of ours in form, or None.

    We take no bodies, so two readers cannot disagree on where one ends; and what comes after a refusal on the same
    connection is not read.
    """
    headers, path = request.headers, request.raw_path
    lengths = headers.getall("Content-Length", ())
    if "Transfer-Encoding" in headers or len(lengths) > 1 or (lengths and lengths[0].strip() not in _ABSENT_BODY):
        return error_response(400, "bad_request")
    if len(headers.getall("Host", ())) != 1:
        return error_response(400, "bad_request")
    if not path.startswith("/") or path.startswith("//") or "#" in path:
        # Absolute and authority form are for proxies.
        return error_response(400, "bad_request")
    if request.method not in ("GET", "HEAD"):
        response = error_response(405, "bad_request")
        response.headers["Allow"] = "GET, HEAD"
        return response
    return None


def _start(request: web.BaseRequest) -> int | None:
    """From which byte on the rest is asked for. Any other form of range may be ignored (RFC 9110, section 14.2)."""
    ranges = request.headers.getall("Range", ())
    found = _REST.fullmatch(ranges[0]) if len(ranges) == 1 and request.method == "GET" else None
    return int(found[1]) if found is not None else None


def whole_answer(status: int, body: bytes, media_type: str, cache: str) -> web.Response:
    """An answer whose bytes are at hand."""
    headers = {**_FIELDS, "Cache-Control": cache}
    return web.Response(status=status, body=body, content_type=media_type, headers=headers)
