"""Public keys: Ed25519, P-256 and P-384, as Multikey and JWK. Private keys are the shell's."""

from undersigned.keys.multikey import KeyKind
from undersigned.keys.public_key import (
    PublicKey,
    public_key_from_jwk,
    public_key_from_multikey,
    public_key_from_pem,
    public_key_from_raw,
)

__all__ = [
    "KeyKind",
    "PublicKey",
    "public_key_from_jwk",
    "public_key_from_multikey",
    "public_key_from_pem",
    "public_key_from_raw",
]
