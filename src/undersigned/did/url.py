"""DID URLs in their parts.

Source: DID Core, sections 3.1 and 3.2
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import msgspec

from undersigned.encoding import DIDURL_PATTERN, Did
from undersigned.errors import VerificationError

__all__ = ["ParsedDidUrl", "parse_did", "parse_did_url"]

_DIDURL: Final = re.compile(DIDURL_PATTERN)
_PARTS: Final = re.compile(r"(did:([a-z0-9]+):([^/?#]+))((?:/[^?#]*)?)(?:\?([^#]*))?(?:#(.*))?")
MAX_LENGTH: Final = 2048


class ParsedDidUrl(msgspec.Struct, frozen=True):
    """A DID URL in its parts, each spelled as it came."""

    did: Did
    method: str
    specific: str
    """The method-specific identifier: what follows `did:<method>:`."""
    path: str = ""
    """With its leading slash; empty if there is none."""
    query: str | None = None
    fragment: str | None = None


@lru_cache(maxsize=1024)
def parse_did_url(text: str) -> ParsedDidUrl:
    """A DID URL in its parts. Nothing is decoded or normalized: DIDs are compared as they are spelled.

    The same few are asked about at every message, so answers are remembered.

    Raises:
        VerificationError: `did_document_invalid`: not a DID URL, or longer than 2,048 characters.

    Source: DID Core, section 3.2
    """
    parts = _PARTS.fullmatch(text) if len(text) <= MAX_LENGTH and _DIDURL.search(text) else None
    if parts is None:
        raise VerificationError("did_document_invalid", f"expected a DID URL, got {text[:80]!a}")
    did, method, specific, path, query, fragment = parts.groups()
    return ParsedDidUrl(did, method, specific, path, query, fragment)


def parse_did(text: str) -> ParsedDidUrl:
    """A DID in its parts; path, query and fragment are refused.

    Raises:
        VerificationError: `did_document_invalid`.
    """
    try:
        parsed = parse_did_url(text)
    except VerificationError as error:
        expected = "expected a DID such as did:web:agents.example.com"
        raise VerificationError(error.code, f"{expected}, got {text[:80]!a}") from None
    if parsed.did != text:
        raise VerificationError("did_document_invalid", f"expected a DID without more, got {text[:80]!a}")
    return parsed
