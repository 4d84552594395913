"""Digests of documents and bytes: `u` and base64url of the sha2-256 multihash.

Source: protocol-spec/04-envelope-and-digests.md, section 4.4
"""

from __future__ import annotations

import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from undersigned.encoding.jcs import canonicalize
from undersigned.encoding.types import DIGEST_PATTERN, Digest, JsonValue
from undersigned.errors import FormatError

__all__ = ["digest_bytes", "digest_from_hash", "digest_from_hex", "digest_hash", "digest_hex", "digest_of"]

_PREFIX: Final = b"\x12\x20"  # sha2-256, 32 bytes
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")
_DIGEST: Final = re.compile(DIGEST_PATTERN)
_HEX: Final = re.compile("[0-9a-f]{64}")


def digest_of(document: Mapping[str, JsonValue]) -> Digest:
    """Digest of a signed thing: over its RFC 8785 form without its own top-level `proof`.

    Another encoding of a signature is therefore not another thing. Documents embedded in it keep their proofs.

    Raises:
        FormatError: As `canonicalize`.

    Source: protocol-spec/04-envelope-and-digests.md, section 4.4
    """
    return digest_bytes(canonicalize({name: value for name, value in document.items() if name != "proof"}))


def digest_bytes(data: bytes) -> Digest:
    """Digest of bytes as they are: artifacts, DSSE payloads, credentials, and canonical forms already at hand."""
    # 34 bytes fill 46 characters and two of padding.
    return "u" + b2a_base64(_PREFIX + sha256(data).digest(), newline=False)[:46].translate(_URL_SAFE).decode()


def digest_hash(digest: Digest) -> bytes:
    """The 32 bytes of the sha-256 inside.

    Raises:
        FormatError: `schema_violation`: not a digest.
    """
    if not _DIGEST.search(digest):
        raise FormatError("schema_violation", f"expected a sha2-256 multihash digest, got {digest[:60]!a}")
    return a2b_base64(digest[1:].replace("-", "+").replace("_", "/") + "==")[2:]


def digest_hex(digest: Digest) -> str:
    """The same as 64 lower-case hex digits.

    Raises:
        FormatError: As `digest_hash`.
    """
    return digest_hash(digest).hex()


def digest_from_hash(value: bytes) -> Digest:
    """The digest whose sha-256 is these 32 bytes.

    Raises:
        FormatError: `schema_violation`: another length.
    """
    if len(value) != 32:
        raise FormatError("schema_violation", f"expected a hash of 32 bytes, got {len(value)}")
    return "u" + b2a_base64(_PREFIX + value, newline=False)[:46].translate(_URL_SAFE).decode()


def digest_from_hex(text: str) -> Digest:
    """The digest whose sha-256 has these 64 lower-case hex digits.

    Raises:
        FormatError: `schema_violation`: another length, upper case, or not hex.
    """
    if not _HEX.fullmatch(text):
        raise FormatError("schema_violation", f"expected 64 lower-case hex digits, got {text[:70]!a}")
    return digest_from_hash(bytes.fromhex(text))
