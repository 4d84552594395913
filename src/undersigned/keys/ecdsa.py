"""ECDSA over P-256 with SHA-256 and P-384 with SHA-384, through `cryptography`. Signatures are r and s, side by side.

Source: FIPS 186-5; RFC 7518, section 3.4; protocol-spec/02-identity-and-keys.md, section 2.3
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384

from undersigned.errors import ProofError, VerificationError

__all__ = ["CURVES", "affine", "compress", "from_asn1", "load", "verify"]

CurveName = Literal["P-256", "P-384"]


class Curve(NamedTuple):
    """What differs between the two curves."""

    curve: ec.EllipticCurve
    size: int
    """Bytes of a coordinate, of r and of s."""
    order: int
    algorithm: ec.ECDSA


CURVES: Final[dict[CurveName, Curve]] = {
    "P-256": Curve(
        ec.SECP256R1(),
        32,
        0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
        ec.ECDSA(SHA256()),
    ),
    "P-384": Curve(
        ec.SECP384R1(),
        48,
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
        ec.ECDSA(SHA384()),
    ),
}


def load(name: CurveName, raw: bytes) -> ec.EllipticCurvePublicKey:
    """The key of a compressed point (02 or 03, then x).

    Raises:
        VerificationError: `did_document_invalid`: another length or form, or not on the curve.
    """
    curve = CURVES[name]
    if len(raw) != curve.size + 1 or raw[0] not in (2, 3):
        raise VerificationError(
            "did_document_invalid", f"expected {curve.size + 1} bytes of a compressed {name} key, got {len(raw)}"
        )
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(curve.curve, raw)
    except ValueError as exc:
        raise VerificationError("did_document_invalid", f"expected a {name} key, got bytes that are no point") from exc


def compress(name: CurveName, x: bytes, y: bytes) -> bytes:
    """The compressed point of two coordinates, each of full length.

    Raises:
        VerificationError: `did_document_invalid`: another length, or not on the curve.
    """
    curve = CURVES[name]
    if len(x) != curve.size or len(y) != curve.size:
        raise VerificationError(
            "did_document_invalid", f"expected {curve.size} bytes per {name} coordinate, got {len(x)} and {len(y)}"
        )
    try:
        numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), curve.curve)
        numbers.public_key()
    except ValueError as exc:
        raise VerificationError(
            "did_document_invalid", f"expected a {name} key, got coordinates off the curve"
        ) from exc
    return bytes([2 + (y[-1] & 1)]) + x


def affine(name: CurveName, raw: bytes) -> tuple[bytes, bytes]:
    """Both coordinates of a compressed point, each of full length.

    Raises:
        VerificationError: As `load`.
    """
    numbers, size = load(name, raw).public_numbers(), CURVES[name].size
    return numbers.x.to_bytes(size, "big"), numbers.y.to_bytes(size, "big")


def from_asn1(name: CurveName, signature: bytes) -> bytes:
    """R and s side by side, of a signature in ASN.1; anything else as it came, to be judged by `verify`."""
    size = CURVES[name].size
    try:
        r, s = decode_dss_signature(signature)
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    except (ValueError, OverflowError):
        return signature


def verify(
    name: CurveName, key: ec.EllipticCurvePublicKey, signature: bytes, data: bytes, *, low_s: bool = True
) -> None:
    """Pass only a signature of `data` by `key`; with `low_s` only the lower of its two forms.

    Raises:
        ProofError: `proof_invalid`.
    """
    curve = CURVES[name]
    if len(signature) != 2 * curve.size:
        raise ProofError(
            "proof_invalid", f"expected {2 * curve.size} bytes of an ECDSA signature, got {len(signature)}"
        )
    r, s = int.from_bytes(signature[: curve.size], "big"), int.from_bytes(signature[curve.size :], "big")
    if low_s and s > curve.order // 2:
        # (r, n-s) verifies wherever (r, s) does: only one of them may count.
        raise ProofError("proof_invalid", "expected s in the lower half of the order, got the higher form")
    try:
        key.verify(encode_dss_signature(r, s), data, curve.algorithm)
    except InvalidSignature as exc:
        raise ProofError("proof_invalid", "expected a signature by this key over these bytes") from exc
