"""Public keys as JSON Web Keys.

Members that say how a key may be used are obeyed: a key for encryption or for another algorithm is refused. Members
that hold private parts are refused, and never repeated in an error.

Source: RFC 7517; RFC 7518, section 6.2; RFC 8037; RFC 9864
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from undersigned.encoding import JsonObject, JsonValue, base64url_decode, base64url_encode
from undersigned.errors import FormatError, VerificationError
from undersigned.keys.ecdsa import affine, compress
from undersigned.keys.multikey import KeyKind

__all__ = ["read_jwk", "write_jwk"]

_PRIVATE: Final = ("d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv")
_KINDS: Final[dict[tuple[JsonValue, JsonValue], KeyKind]] = {
    ("OKP", "Ed25519"): "Ed25519",
    ("EC", "P-256"): "P-256",
    ("EC", "P-384"): "P-384",
}
_ALGORITHMS: Final[dict[KeyKind, tuple[str, ...]]] = {
    "Ed25519": ("Ed25519", "EdDSA"),  # RFC 9864 renamed the second
    "P-256": ("ES256",),
    "P-384": ("ES384",),
}


def read_jwk(jwk: Mapping[str, JsonValue]) -> tuple[KeyKind, bytes]:
    """Kind and bytes of a public JWK. Ed25519 bytes are not checked yet.

    Raises:
        VerificationError: `did_document_invalid`: another kind or use, private parts, a coordinate of another length,
            or a point off the curve.
    """
    if any(name in jwk for name in _PRIVATE):
        raise VerificationError("did_document_invalid", "expected a public JWK, got one with private parts")
    kty, crv = jwk.get("kty"), jwk.get("crv")
    kind = _KINDS.get((kty, crv)) if isinstance(kty, str) and isinstance(crv, str) else None
    if kind is None:
        raise VerificationError(
            "did_document_invalid", f"expected an Ed25519, P-256 or P-384 JWK, got {str(kty)[:20]!a} {str(crv)[:20]!a}"
        )
    _check_use(jwk, kind)
    x = _coordinate(jwk, "x")
    return kind, x if kind == "Ed25519" else compress(kind, x, _coordinate(jwk, "y"))


def write_jwk(kind: KeyKind, raw: bytes) -> JsonObject:
    """The JWK of checked key bytes: the members that its RFC 7638 thumbprint covers, and no more."""
    if kind == "Ed25519":
        return {"kty": "OKP", "crv": kind, "x": base64url_encode(raw)}
    x, y = affine(kind, raw)
    return {"kty": "EC", "crv": kind, "x": base64url_encode(x), "y": base64url_encode(y)}


def _check_use(jwk: Mapping[str, JsonValue], kind: KeyKind) -> None:
    use, algorithm = jwk.get("use", "sig"), jwk.get("alg", _ALGORITHMS[kind][0])
    operations = jwk.get("key_ops", ["verify"])
    may_verify = isinstance(operations, list) and "verify" in cast("list[Any]", operations)
    if use != "sig" or algorithm not in _ALGORITHMS[kind] or not may_verify:
        raise VerificationError(
            "did_document_invalid", f"expected a {kind} JWK for signatures, got one for another use or algorithm"
        )


def _coordinate(jwk: Mapping[str, JsonValue], name: str) -> bytes:
    text = jwk.get(name)
    try:
        if not isinstance(text, str) or len(text) > 128:
            raise FormatError("schema_violation", "expected base64url text of one coordinate")
        return base64url_decode(text)
    except FormatError as exc:
        raise VerificationError("did_document_invalid", f"member {name} of a JWK: {exc.message}") from exc
