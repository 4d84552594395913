"""The one type for public keys: whoever holds a `PublicKey` holds a checked one.

Ed25519 goes through libsodium (half the time of OpenSSL, and it frees the interpreter), the rest through
`cryptography`; nothing above this package knows which.

Source: protocol-spec/02-identity-and-keys.md, section 2.3
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from undersigned.encoding import JsonObject, JsonValue
from undersigned.errors import VerificationError
from undersigned.keys import ecdsa, ed25519
from undersigned.keys.jwk import read_jwk, write_jwk
from undersigned.keys.multikey import KeyKind, read_multikey, write_multikey
from undersigned.keys.pem import read_pem

__all__ = [
    "PublicKey",
    "public_key_from_jwk",
    "public_key_from_multikey",
    "public_key_from_pem",
    "public_key_from_raw",
]

MAX_REMEMBERED_BYTES: Final = 2048
"""Signatures over more are verified each time. A proof signs at most 96 bytes, a membership as a JWT about 900."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key that was checked when made; equal keys are equal values.

    Raises:
        VerificationError: When made. `key_weak`: Ed25519 of small or mixed order, or not canonical;
            `did_document_invalid`: another kind or length, or not on the curve.
    """

    kind: KeyKind
    raw: bytes
    """Ed25519: 32 bytes. P-256 and P-384: the compressed point, 33 and 49 bytes."""
    _loaded: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.kind == "Ed25519":
            ed25519.check_point(self.raw)
        elif self.kind in ecdsa.CURVES:
            object.__setattr__(self, "_loaded", ecdsa.load(self.kind, self.raw))
        else:
            raise VerificationError("did_document_invalid", f"expected Ed25519, P-256 or P-384, got {self.kind!a}")

    def verify(self, signature: bytes, data: bytes, *, low_s: bool = True, asn1: bool = False) -> None:
        """Return if `signature` is by this key over `data`; raise if not.

        Ed25519: 64 bytes. ECDSA: r and s, 64 or 96 bytes, over SHA-256 of `data` for P-256 and SHA-384 for P-384;
        with `low_s` (the rule of this protocol) the higher of its two forms is refused. Other protocols have no such
        rule: pass False there; and with `asn1` r and s may be in ASN.1 too.

        Raises:
            ProofError: `proof_invalid`.

        Source: protocol-spec/02-identity-and-keys.md, section 2.3
        """
        if self.kind == "Ed25519":
            ed25519.verify(self.raw, signature, data)
        else:
            plain = ecdsa.from_asn1(self.kind, signature) if asn1 else signature
            ecdsa.verify(self.kind, self._loaded, plain, data, low_s=low_s)

    def verify_remembering(self, signature: bytes, data: bytes, *, low_s: bool = True) -> None:
        """As `verify`, for what is shown again and again, such as a credential: that it held is remembered, by value.

        Messages are signed once each, and would only push out what repeats.

        Raises:
            ProofError: `proof_invalid`.
        """
        if len(data) > MAX_REMEMBERED_BYTES:
            self.verify(signature, data, low_s=low_s)
        else:
            _held(self, signature, data, low_s)

    @property
    def multikey(self) -> str:
        """As Multikey text (`z6Mk…`, `zDn…`, `z82…`)."""
        return write_multikey(self.kind, self.raw)

    @property
    def jwk(self) -> JsonObject:
        """As a JWK with the required members only."""
        return write_jwk(self.kind, self.raw)


@lru_cache(maxsize=1024)
def _held(key: PublicKey, signature: bytes, data: bytes, low_s: bool) -> None:
    """What raises is not remembered: only what held."""
    key.verify(signature, data, low_s=low_s)


@lru_cache(maxsize=4096)
def public_key_from_raw(kind: KeyKind, raw: bytes) -> PublicKey:
    """The key of these bytes. Keys seen before are not checked again.

    Raises:
        VerificationError: `key_weak`, `did_document_invalid`: as `PublicKey`.
    """
    return PublicKey(kind, raw)


@lru_cache(maxsize=4096)
def public_key_from_multikey(text: str) -> PublicKey:
    """The key of a Multikey.

    Raises:
        VerificationError: `key_weak`: as `PublicKey`. `did_document_invalid`: not a Multikey of a kind that is used.
    """
    return public_key_from_raw(*read_multikey(text))


def public_key_from_pem(data: bytes) -> PublicKey:
    """The key of a PEM file, `BEGIN PUBLIC KEY`.

    Raises:
        VerificationError: `key_weak`: as `PublicKey`. `did_document_invalid`: not such a file, or of another kind.
    """
    return public_key_from_raw(*read_pem(data))


def public_key_from_jwk(jwk: Mapping[str, JsonValue]) -> PublicKey:
    """The key of a public JWK.

    Raises:
        VerificationError: `key_weak`: as `PublicKey`. `did_document_invalid`: private parts, another kind or use, or
            not a point.
    """
    return public_key_from_raw(*read_jwk(jwk))
