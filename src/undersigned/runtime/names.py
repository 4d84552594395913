"""Fresh names for messages, presentations and proofs."""

from __future__ import annotations

from os import urandom
from typing import Final

__all__ = ["fresh_urn"]

_VARIANT: Final = "89ab"


def fresh_urn() -> str:
    """A `urn:uuid:` of version 4 that nobody has used: 122 random bits.

    Source: RFC 9562, section 5.4
    """
    digits = urandom(16).hex()
    variant = _VARIANT[int(digits[16], 16) & 3]
    return f"urn:uuid:{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
