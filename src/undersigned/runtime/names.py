"""Fresh names for messages, presentations and proofs."""

from __future__ import annotations

from os import urandom
from typing import Final

__all__ = ["fresh_urn"]

_VARIANT: Final = dict(zip("0123456789abcdef", 4 * "89ab", strict=True))
"""Of a random digit its last two bits, with those before them that the variant has."""


def fresh_urn() -> str:
    """A `urn:uuid:` of version 4 that nobody has used: 122 random bits.

    Source: RFC 9562, section 5.4
    """
    digits = urandom(16).hex()
    variant = _VARIANT[digits[16]]
    return f"urn:uuid:{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
