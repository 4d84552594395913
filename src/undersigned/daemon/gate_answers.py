"""Answers of a gate, signed as the hirer's where that is wanted.

Source: protocol-spec/14-gates.md, section 14.7
"""

from __future__ import annotations

import hashlib
from typing import Final

import structlog
from aiohttp import web

from .gating import Gatekeeper, VerifiedHead

__all__ = ["OWN_FIELDS", "bodiless", "sign_response"]

OWN_FIELDS: Final = frozenset({"content-digest", "signature", "signature-input"})
"""Of an answer that a gate signs: what the server says in them would contradict it."""
_log: Final = structlog.get_logger("undersigned.gates")


def bodiless(method: str, status: int) -> bool:
    """Whether an answer has no body, whatever its server says (RFC 9110, section 6.4.1)."""
    return method == "HEAD" or status < 200 or status in (204, 304)


async def sign_response(keeper: Gatekeeper, knock: VerifiedHead | None, response: web.StreamResponse) -> None:
    """Adds the fields that sign `response`, if answers are signed and it is one that is whole and sent as it is."""
    if not keeper.sign_answers or knock is None:
        return
    body = response.body if isinstance(response, web.Response) else None
    if not isinstance(response, web.Response) or response.compression or not isinstance(body, bytes | bytearray | None):
        _log.error("an answer is not signed: it is not whole", path=knock.request.url[:200])
        return
    if bodiless(knock.request.method, response.status):
        body = b""
    elif body and "Content-Type" not in response.headers:
        response.headers["Content-Type"] = response.content_type  # which is what would be sent
    for name in OWN_FIELDS:
        response.headers.popall(name, None)
    kind = response.headers.get("Content-Type")
    digest = hashlib.sha256(body or b"").digest()
    for name, value in await keeper.answer_fields(knock, response.status, kind, digest):
        response.headers[name] = value
