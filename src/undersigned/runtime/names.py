"""Names for messages, presentations, proofs, and what is booked: fresh ones, and those that follow from something."""

from __future__ import annotations

from hashlib import sha256
from os import urandom
from typing import Final

__all__ = ["fresh_urn", "urn_of"]

_VARIANT: Final = dict(zip("0123456789abcdef", 4 * "89ab", strict=True))
"""Of a random digit its last two bits, with those before them that the variant has."""


def fresh_urn() -> str:
    """A `urn:uuid:` of version 4 that nobody has used: 122 random bits.

    Source: RFC 9562, section 5.4
    """
    digits = urandom(16).hex()
    return f"urn:uuid:{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:]}"


def urn_of(*parts: str) -> str:
    """The `urn:uuid:` of version 8 of these texts, always the same, and of no others.

    Source: RFC 9562, section 5.8
    """
    said = "".join(f"{len(part)}:{part}" for part in parts)
    digits = sha256(said.encode()).hexdigest()
    return (
        f"urn:uuid:{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:32]}"
    )
