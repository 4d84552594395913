"""Private keys: made, sealed in a file, opened, and used to sign. Nothing above this module sees one.

A sealed file is JSON: the key's kind, its public Multikey, scrypt parameters, and the private key encrypted with
AES-256-GCM under a key that scrypt derives from a passphrase. The public part is authenticated with it.

Source: protocol-spec/02-identity-and-keys.md, section "Private keys"
"""

from __future__ import annotations

import os
from hashlib import scrypt
from pathlib import Path
from typing import Final, Protocol

import msgspec
import nacl.bindings
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from undersigned.encoding import (
    ED25519_PRIV,
    P256_PRIV,
    P384_PRIV,
    base64url_decode,
    base64url_encode,
    canonicalize,
    multibase_encode,
    multicodec_encode,
)
from undersigned.errors import ConfigurationError, UndersignedError
from undersigned.keys import KeyKind, PublicKey, public_key_from_multikey, public_key_from_raw

from .files import read_file, why, write_whole

__all__ = ["PrivateKey", "Sealer", "Signer", "generate_key", "named_key", "open_key", "seal_key"]

_CURVES: Final[dict[str, tuple[ec.EllipticCurve, hashes.HashAlgorithm]]] = {
    "P-256": (ec.SECP256R1(), hashes.SHA256()),
    "P-384": (ec.SECP384R1(), hashes.SHA384()),
}
_ORDERS: Final = {
    "P-256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "P-384": int(
        "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973", 16
    ),
}
_SCRYPT_N: Final = 2**15
_SCRYPT_R: Final = 8
_SCRYPT_P: Final = 1


class Signer(Protocol):
    """Something that signs for one verification method; a key in memory, a token, a key service."""

    @property
    def public_key(self) -> PublicKey:
        """The key that verifies what this signs."""
        ...

    async def sign(self, data: bytes) -> bytes:
        """The signature over `data`: 64 bytes for Ed25519, r||s with low s for ECDSA."""
        ...


class PrivateKey:
    """A private key in memory. It prints as its public key and does not pickle."""

    __slots__ = ("_ecdsa", "_secret", "public_key")

    def __init__(self, kind: KeyKind, secret: bytes) -> None:
        self._secret = secret
        self._ecdsa: ec.EllipticCurvePrivateKey | None = None
        if kind == "Ed25519":
            raw, self._secret = nacl.bindings.crypto_sign_seed_keypair(secret)
        else:
            self._ecdsa = ec.derive_private_key(int.from_bytes(secret, "big"), _CURVES[kind][0])
            raw = self._ecdsa.public_key().public_bytes(
                serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint
            )
        self.public_key: PublicKey = public_key_from_raw(kind, raw)

    async def sign(self, data: bytes) -> bytes:
        """The signature over `data`."""
        return self.sign_now(data)

    def sign_now(self, data: bytes) -> bytes:
        """The signature over `data`, for callers without an event loop."""
        if self._ecdsa is None:
            return nacl.bindings.crypto_sign(data, self._secret)[:64]
        kind = self.public_key.kind
        r, s = decode_dss_signature(self._ecdsa.sign(data, ec.ECDSA(_CURVES[kind][1])))
        # Of the two values of s that verify, only the lower one is accepted on the wire.
        s = min(s, _ORDERS[kind] - s)
        size = 32 if kind == "P-256" else 48
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    def secret_bytes(self) -> bytes:
        """The private scalar or seed, for sealing."""
        if self._ecdsa is None:
            return self._secret[:32]
        size = 32 if self.public_key.kind == "P-256" else 48
        return self._ecdsa.private_numbers().private_value.to_bytes(size, "big")

    @property
    def secret_multikey(self) -> str:
        """The private key, in the clear, as the `secretKeyMultibase` of a Multikey (Controlled Identifiers, 2.2.2)."""
        code = {"Ed25519": ED25519_PRIV, "P-256": P256_PRIV, "P-384": P384_PRIV}[self.public_key.kind]
        return multibase_encode("z", multicodec_encode(code, self.secret_bytes()))

    def __repr__(self) -> str:
        return f"<PrivateKey of {self.public_key.multikey}>"

    def __reduce__(self) -> str:
        raise TypeError("a private key is not pickled")


def generate_key(kind: KeyKind = "Ed25519") -> PrivateKey:
    """A fresh private key."""
    if kind == "Ed25519":
        return PrivateKey(kind, os.urandom(32))
    value = ec.generate_private_key(_CURVES[kind][0]).private_numbers().private_value
    return PrivateKey(kind, value.to_bytes(32 if kind == "P-256" else 48, "big"))


class _SealedKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    kind: KeyKind
    multikey: str
    n: int
    r: int
    p: int
    salt: str
    nonce: str
    sealed: str


def _wrapping_key(passphrase: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return scrypt(passphrase.encode(), salt=salt, n=n, r=r, p=p, maxmem=256 * 1024 * 1024, dklen=32)


class Sealer:
    """Writes keys sealed under one passphrase. What scrypt makes of it is made once, so a thousand take little longer
    than one; each has a nonce of its own.
    """

    def __init__(self, passphrase: str) -> None:
        self._salt = os.urandom(16)
        self._wrapping = AESGCM(_wrapping_key(passphrase, self._salt, _SCRYPT_N, _SCRYPT_R, _SCRYPT_P))

    def seal(self, path: Path, key: PrivateKey) -> None:
        """Writes `key` to `path` (mode 0600), whole or not at all.

        Raises:
            ConfigurationError: `bad_configuration`, the file exists already.
        """
        if path.exists():
            raise ConfigurationError("bad_configuration", f"{path} exists; keys are not overwritten")
        nonce = os.urandom(12)
        public = key.public_key
        header = canonicalize({"kind": public.kind, "multikey": public.multikey})
        sealed = self._wrapping.encrypt(nonce, key.secret_bytes(), header)
        record = _SealedKey(
            kind=public.kind,
            multikey=public.multikey,
            n=_SCRYPT_N,
            r=_SCRYPT_R,
            p=_SCRYPT_P,
            salt=base64url_encode(self._salt),
            nonce=base64url_encode(nonce),
            sealed=base64url_encode(sealed),
        )
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(path, msgspec.json.format(msgspec.json.encode(record)) + b"\n", private=True)


def seal_key(path: Path, key: PrivateKey, passphrase: str) -> None:
    """Writes `key` to `path` (mode 0600), whole or not at all, sealed under `passphrase`.

    Raises:
        ConfigurationError: `bad_configuration`, the file exists already.
    """
    Sealer(passphrase).seal(path, key)


def named_key(path: Path) -> PublicKey:
    """The public key of the one sealed in `path`, as the file names it: it takes no passphrase, and proves nothing.

    Raises:
        ConfigurationError: `key_unavailable`, no such file, or not a sealed key.
    """
    return _read(path)[1]


def _read(path: Path) -> tuple[_SealedKey, PublicKey]:
    try:
        record = msgspec.json.decode(read_file(path), type=_SealedKey)
        return record, public_key_from_multikey(record.multikey)
    except OSError as exc:
        gone = "is missing" if isinstance(exc, FileNotFoundError) else f"cannot be read: {why(exc)}"
        raise ConfigurationError("key_unavailable", f"{path} {gone}") from exc
    except (ValueError, msgspec.MsgspecError, UndersignedError) as exc:
        raise ConfigurationError("key_unavailable", f"{path} is not a sealed key: {why(exc)}") from exc


def open_key(path: Path, passphrase: str) -> PrivateKey:
    """The private key sealed in `path`.

    Raises:
        ConfigurationError: `key_unavailable`, no such file, not a sealed key, or another passphrase.
    """
    record, named = _read(path)
    try:
        salt, nonce, sealed = (base64url_decode(text) for text in (record.salt, record.nonce, record.sealed))
    except (ValueError, UndersignedError) as exc:
        raise ConfigurationError("key_unavailable", f"{path} is not a sealed key: {why(exc)}") from exc
    if not (1 < record.n <= 2**20 and 0 < record.r <= 32 and 0 < record.p <= 16):
        raise ConfigurationError("key_unavailable", f"{path} asks for more scrypt work than is allowed, or for none")
    header = canonicalize({"kind": record.kind, "multikey": record.multikey})
    try:
        wrapping = _wrapping_key(passphrase, salt, record.n, record.r, record.p)
        secret = AESGCM(wrapping).decrypt(nonce, sealed, header)
    except ValueError as exc:
        raise ConfigurationError("key_unavailable", f"{path} is not a sealed key: {exc}") from exc
    except InvalidTag as exc:
        raise ConfigurationError("key_unavailable", f"{path} does not open with this passphrase") from exc
    key = PrivateKey(record.kind, secret)
    if key.public_key != named:
        raise ConfigurationError("key_unavailable", f"{path} holds another key than it names")
    return key
