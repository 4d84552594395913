"""Fresh names for messages, presentations and proofs."""

from __future__ import annotations

import os
from typing import Final

__all__ = ["fresh_urn"]

_VARIANT: Final = dict(zip("0123456789abcdef", 4 * "89ab", strict=True))
"""Of a random digit its last two bits, with those before them that the variant has."""

_DRAWN_AT_ONCE: Final = 128
"""Names. Asking the system for random bits lets other threads run, which costs more than the bits."""

_drawn: list[str] = []
"""Random digits, each for one name that nobody was given yet."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_drawn.clear)  # parent and child would give the same names


def fresh_urn() -> str:
    """A `urn:uuid:` of version 4 that nobody has used: 122 random bits.

    Source: RFC 9562, section 5.4
    """
    try:
        digits = _drawn.pop()
    except IndexError:
        every = os.urandom(16 * _DRAWN_AT_ONCE).hex()
        digits, *more = [every[start : start + 32] for start in range(0, len(every), 32)]
        _drawn.extend(more)
    variant = _VARIANT[digits[16]]
    return f"urn:uuid:{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
