"""Ed25519 points and signatures, through libsodium.

The checks of a key are the project's own and come before any verification: with a key of small order one fixed
signature fits every message, and some libraries verify it.

Source: RFC 8032; protocol-spec/02-identity-and-keys.md, section 2.3
"""

from __future__ import annotations

from typing import Final

from nacl.bindings import crypto_core_ed25519_is_valid_point, crypto_sign_open
from nacl.exceptions import CryptoError

from undersigned.errors import ProofError, VerificationError

__all__ = ["check_point", "verify"]

_P: Final = 2**255 - 19
# One y of the four points of order 8 (x is known up to sign); its negative is the other.
_ORDER_8: Final = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER: Final = frozenset({0, 1, _P - 1, _ORDER_8, _P - _ORDER_8})


def check_point(raw: bytes) -> None:
    """Pass only 32 bytes that encode, in the one canonical way, a point of the prime-order group.

    Raises:
        VerificationError: `key_weak`: of small or mixed order, or not canonical; `did_document_invalid`: not 32 bytes,
            or not on the curve.
    """
    if len(raw) != 32:
        raise VerificationError("did_document_invalid", f"expected 32 bytes of an Ed25519 key, got {len(raw)}")
    y = int.from_bytes(raw, "little") & (1 << 255) - 1
    # The sign of x does not matter here: each of these y is of small order with either.
    if y >= _P or y in _SMALL_ORDER:
        raise VerificationError("key_weak", "expected a canonical Ed25519 key of full order, got a weak one")
    if not crypto_core_ed25519_is_valid_point(raw):
        if _is_on_curve(y):
            raise VerificationError("key_weak", "expected an Ed25519 key of prime order, got one of mixed order")
        raise VerificationError("did_document_invalid", "expected an Ed25519 key, got bytes that are no point")


def verify(raw: bytes, signature: bytes, data: bytes) -> None:
    """Pass only an Ed25519 signature of `data` by the checked key `raw`: S below the order, R canonical.

    Raises:
        ProofError: `proof_invalid`.
    """
    if len(signature) != 64:
        raise ProofError("proof_invalid", f"expected 64 bytes of an Ed25519 signature, got {len(signature)}")
    try:
        crypto_sign_open(signature + data, raw)
    except CryptoError as exc:
        raise ProofError("proof_invalid", "expected a signature by this key over these bytes") from exc


def _is_on_curve(y: int) -> bool:
    """Whether x^2 = (y^2 - 1) / (d y^2 + 1) has a root. d y^2 + 1 is never 0, since -1/d is no square."""
    d = -121665 * pow(121666, -1, _P)
    square = (y * y - 1) * pow(d * y * y + 1, -1, _P) % _P
    return pow(square, (_P - 1) // 2, _P) <= 1
