"""Public keys as Multikey text: `z`, base58btc, of a multicodec and the key bytes.

Source: Controlled Identifiers 1.0, section 2.2.2; Multicodec table
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from undersigned.encoding import (
    BLS12_381_G1_PUB,
    BLS12_381_G2_PUB,
    ED25519_PUB,
    P256_PUB,
    P384_PUB,
    P521_PUB,
    RSA_PUB,
    SECP256K1_PUB,
    X25519_PUB,
    multibase_decode,
    multibase_encode,
    multicodec_decode,
    multicodec_encode,
)
from undersigned.errors import FormatError, VerificationError

__all__ = ["KeyKind", "read_multikey", "write_multikey"]

KeyKind: TypeAlias = Literal["Ed25519", "P-256", "P-384"]

_CODES: Final[dict[KeyKind, int]] = {"Ed25519": ED25519_PUB, "P-256": P256_PUB, "P-384": P384_PUB}
_KINDS: Final[dict[int, KeyKind]] = {code: kind for kind, code in _CODES.items()}
_REFUSED: Final = {
    BLS12_381_G1_PUB: "BLS12-381 G1",
    BLS12_381_G2_PUB: "BLS12-381 G2",
    P521_PUB: "P-521",
    RSA_PUB: "RSA",
    SECP256K1_PUB: "secp256k1",
    X25519_PUB: "X25519",
}
_MAX_TEXT: Final = 512
"""Our longest key takes 70 characters, an RSA key (which is refused by name) 370. Base58 costs the square."""


def read_multikey(text: str) -> tuple[KeyKind, bytes]:
    """Kind and bytes of a Multikey. The bytes are not checked yet.

    Raises:
        VerificationError: `did_document_invalid`: not base58btc, a varint that is not the shortest, or another kind.
    """
    code, raw = _codec(text)
    kind = _KINDS.get(code)
    if kind is None:
        came = _REFUSED.get(code, f"multicodec {code:#x}")
        raise VerificationError("did_document_invalid", f"expected an Ed25519, P-256 or P-384 key, got {came}")
    return kind, raw


def write_multikey(kind: KeyKind, raw: bytes) -> str:
    """The Multikey of key bytes."""
    return multibase_encode("z", multicodec_encode(_CODES[kind], raw))


def _codec(text: str) -> tuple[int, bytes]:
    try:
        if len(text) > _MAX_TEXT:
            raise FormatError("too_large", f"at most {_MAX_TEXT} characters, got {len(text)}")
        return multicodec_decode(multibase_decode(text, "z"))
    except FormatError as exc:
        raise VerificationError("did_document_invalid", f"expected a Multikey: {exc.message}") from exc
