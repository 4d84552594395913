"""A stranger whose key is the neutral element of the curve: anybody signs anything by it, and the signature holds.

Source: protocol-spec/02-identity-and-keys.md, HIRE-KEY-01
"""

from __future__ import annotations

from hashlib import sha512
from typing import Any, Final

from undersigned.encoding import base58_encode
from undersigned.runtime import PrivateKey
from undersigned.testing import Attacker

__all__ = ["ORDER", "Weak"]

MULTICODEC: Final = b"\xed\x01"
NEUTRAL: Final = b"\x01" + bytes(31)
ORDER: Final = 2**252 + 27742317777372353535851937790883648493
"""Of the group of Ed25519."""


class _NoKey:
    """Signs as the neutral element: `R` is a multiple of the base point, and `S` that multiple."""

    def sign_now(self, _: bytes) -> bytes:
        """A signature over whatever it is."""
        seed = b"anybody".ljust(32, b"\0")
        scalar = bytearray(sha512(seed).digest()[:32])
        scalar[0] &= 248
        scalar[31] = scalar[31] & 127 | 64
        multiple = PrivateKey("Ed25519", seed).public_key.raw
        return multiple + (int.from_bytes(scalar, "little") % ORDER).to_bytes(32, "little")


class Weak(Attacker):
    """A party that needs no private key."""

    key: Any

    def __init__(self, name: str) -> None:
        super().__init__(name)
        multikey = f"z{base58_encode(MULTICODEC + NEUTRAL)}"
        self.did = f"did:key:{multikey}"
        self.method = f"{self.did}#{multikey}"
        self.key = _NoKey()
