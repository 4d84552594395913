"""Public keys in PEM, as most tools of others keep them.

Source: RFC 7468, section 13
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from undersigned.errors import VerificationError
from undersigned.keys.multikey import KeyKind

__all__ = ["read_pem"]

KINDS: Final[dict[str, KeyKind]] = {"secp256r1": "P-256", "secp384r1": "P-384"}


def read_pem(data: bytes) -> tuple[KeyKind, bytes]:
    """Kind and bytes of a public key, ECDSA as a compressed point.

    Raises:
        VerificationError: `did_document_invalid`: not PEM, or a key of another kind.
    """
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise VerificationError("did_document_invalid", "expected a public key in PEM (BEGIN PUBLIC KEY)") from exc
    if isinstance(key, Ed25519PublicKey):
        return "Ed25519", key.public_bytes_raw()
    if isinstance(key, EllipticCurvePublicKey) and (kind := KINDS.get(key.curve.name)) is not None:
        return kind, key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    raise VerificationError("did_document_invalid", "expected an Ed25519, P-256 or P-384 key in PEM")
