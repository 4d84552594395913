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


def contract(**changes: Any) -> dict[str, Any]:
    """A contract document without proofs: nodes for terms and scope, JSON literals for all else."""
    own = "urn:hire:engagement:uEiAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA:hirer:3"
    document: dict[str, Any] = {
        "@context": "https://w3id.org/hire/v1",
        "id": own,
        "type": "Contract",
        "engagement": own.rpartition(":hirer")[0],
        "hirer": HIRER.did,
        "provider": PROVIDER.did,
        "methods": {"hirer": [HIRER.method], "provider": [PROVIDER.method]},
        "transcript": {"hirer": {"sequence": 2, "digest": "uEiA"}, "provider": {"sequence": 2, "digest": "uEiB"}},
        "terms": {
            "id": f"{own}#terms",
            "task": {"kind": "sbom", "summary": "List the parts", "inputs": ["uEiC", "uEiA"]},
            "price": {"amount": "5", "currency": "EUR"},
            "reworks": 1,
            "sealGrace": "PT2M",
            "scope": {
                "id": f"{own}#scope",
                "type": "Scope",
                "grants": [
                    {
                        "id": f"{own}#read",
                        "action": "repo:read",
                        "target": "https://git.acme.example/app/*",
                        "constraint": [
                            {
                                "id": f"{own}#read-count",
                                "leftOperand": "count",
                                "operator": "lteq",
                                "rightOperand": ["100"],
                                "unit": "count",
                            },
                            {
                                "id": f"{own}#read-region",
                                "leftOperand": "region",
                                "operator": "isAnyOf",
                                "rightOperand": ["ch", "eu"],
                            },
                        ],
                    },
                    {
                        "id": f"{own}#write",
                        "action": "repo:write",
                        "target": "https://git.acme.example/app/out",
                    },
                ],
            },
        },
    }
    return {**document, **changes}


def credential(**changes: Any) -> dict[str, Any]:
    """An unsigned credential that uses the hire context beside its own."""
    return {
        "@context": ["https://www.w3.org/ns/credentials/v2", "https://w3id.org/hire/v1"],
        "id": "urn:uuid:6f6a5ed6-2f4c-4b62-8ff5-2d3c3c9be6a1",
        "type": ["VerifiableCredential", "MembershipCredential"],
        "issuer": HIRER.did,
        "validFrom": "2026-01-01T00:00:00Z",
        "validUntil": "2027-01-01T00:00:00Z",
        "credentialSubject": {"id": PROVIDER.did, "memberOf": HIRER.did},
        **changes,
    }


def replaced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy of a JSON value with one place in it changed or added."""
    if not path:
        return value
    head, *rest = path
    if isinstance(document, list):
        return [replaced(item, tuple(rest), value) if place == head else item for place, item in enumerate(document)]
    return {**document, head: replaced(document.get(head), tuple(rest), value)}
