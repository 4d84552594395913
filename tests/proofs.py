"""What the tests of proofs share: keys that sign, and the contexts of the published vectors."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from nacl.signing import SigningKey

from undersigned.jsonld import CONTEXTS
from undersigned.keys import PublicKey, public_key_from_multikey, public_key_from_raw
from undersigned.proof import attach, make_proof, prepare, proof_config

ORDERS = {
    "P-256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "P-384": int(
        "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973", 16
    ),
}
CREATED = "2026-11-24T12:00:00Z"
EXPIRES = "2026-11-24T13:00:00Z"


@dataclass(frozen=True)
class Key:
    """A private key of either kind, with the `did:key` it belongs to."""

    kind: str
    secret: bytes

    @cached_property
    def _private(self) -> Any:
        if self.kind == "Ed25519":
            return SigningKey(self.secret)
        curve = ec.SECP256R1() if self.kind == "P-256" else ec.SECP384R1()
        return ec.derive_private_key(int.from_bytes(self.secret, "big"), curve)

    @cached_property
    def public(self) -> PublicKey:
        if self.kind == "Ed25519":
            return public_key_from_raw("Ed25519", bytes(self._private.verify_key))
        raw = self._private.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        return public_key_from_raw(self.kind, raw)  # type: ignore[arg-type]

    @property
    def did(self) -> str:
        return f"did:key:{self.public.multikey}"

    @property
    def method(self) -> str:
        return f"{self.did}#{self.public.multikey}"

    def sign(self, data: bytes) -> bytes:
        """R and S, or r and the lower s."""
        if self.kind == "Ed25519":
            return self._private.sign(data).signature
        r, s = decode_dss_signature(self._private.sign(data, ec.ECDSA(SHA256() if self.kind == "P-256" else SHA384())))
        size, order = (32, ORDERS["P-256"]) if self.kind == "P-256" else (48, ORDERS["P-384"])
        return r.to_bytes(size, "big") + min(s, order - s).to_bytes(size, "big")

    def proof(self, document: dict[str, Any], suite: str, purpose: str = "assertionMethod", **options: Any) -> Any:
        """A proof by this key, alone."""
        config = proof_config(suite, self.method, purpose, options.pop("created", CREATED), **options)
        return make_proof(document, config, self.sign(prepare(document, config, self.public.kind)))

    def signed(self, document: dict[str, Any], suite: str, purpose: str = "assertionMethod", **options: Any) -> Any:
        """The document with a proof by this key added."""
        config = proof_config(suite, self.method, purpose, options.pop("created", CREATED), **options)
        return attach(document, config, self.sign(prepare(document, config, self.public.kind)))


HIRER = Key("Ed25519", b"\1" * 32)
PROVIDER = Key("Ed25519", b"\2" * 32)
STRANGER = Key("Ed25519", b"\3" * 32)
P256 = Key("P-256", b"\4" * 32)
P384 = Key("P-384", b"\5" * 48)

SUITES = (
    ("eddsa-jcs-2022", HIRER),
    ("eddsa-rdfc-2022", HIRER),
    ("ecdsa-jcs-2019", P256),
    ("ecdsa-jcs-2019", P384),
    ("ecdsa-rdfc-2019", P256),
    ("ecdsa-rdfc-2019", P384),
)
"""Every suite with every kind of key it takes."""


def key_of(method: str, purpose: str) -> PublicKey:
    """The key of a `did:key` method, for any purpose."""
    return public_key_from_multikey(method.partition("#")[2])


def lookup(*keys: Key) -> Callable[[str, str], PublicKey]:
    """A lookup that knows exactly these keys."""
    known = {key.method: key.public for key in keys}
    return lambda method, purpose: known[method]


def vector_contexts(conformance: Path) -> dict[str, Any]:
    """The bundled contexts and, for the examples of the vectors, the other published ones."""
    index = json.loads((conformance / "contexts/index.json").read_text())
    extra = {entry["iri"]: json.loads((conformance / "contexts" / entry["file"]).read_text()) for entry in index}
    return {**extra, **CONTEXTS}
