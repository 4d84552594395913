"""What vectors are made of: keys from seeds, proofs taken apart into intermediate values, changed messages.

Intermediate values are computed here step by step, as the standards say it, and not by asking a cryptosuite for its
result; `tests/vectors` computes them a third time, with other libraries.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from example_parties import ENGAGEMENT, HIRER, PARTIES, PROVIDER, Party, seed
from nacl.bindings import crypto_core_ed25519_add, crypto_scalarmult_ed25519_base_noclamp

from undersigned.attestation import pae
from undersigned.encoding import (
    base58_decode,
    base64url_decode,
    base64url_encode,
    canonicalize,
    digest_bytes,
    digest_of,
    multibase_encode,
)
from undersigned.jsonld import CONTEXTS, HIRE_CONTEXT, Contexts, compiled_quads, document_quads
from undersigned.keys import public_key_from_raw
from undersigned.messages import VerifiedMessage
from undersigned.proof import attach, prepare, proof_config

__all__ = [
    "ED25519_ORDER",
    "PROVIDERS",
    "EcParty",
    "Line",
    "OddParty",
    "Vector",
    "changed",
    "content_of",
    "intermediates",
    "jws",
    "kept",
    "message_case",
    "of_envelope",
    "of_text",
    "resigned",
    "signers",
]

ED25519_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
ORDER: Final = {
    "P-256": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "P-384": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
}


@dataclass
class Vector:
    """One folder."""

    name: str
    says: str
    """The line of its README."""
    input: bytes
    case: dict[str, Any]
    expected: dict[str, Any]
    files: dict[str, bytes] = field(default_factory=dict)
    """Further files by name."""


class Line(NamedTuple):
    """A message in somebody's journal, as `write_pack` takes it."""

    kind: str
    at: str
    raw: bytes


PROVIDERS: Final = {"engagement": ENGAGEMENT, "role": "provider", "own": PROVIDER.did, "peer": HIRER.did}
"""Whose journal `kept` is, as `write_pack` takes it."""


def kept(said: Iterable[VerifiedMessage]) -> list[Line]:
    """Messages of the hire as its provider keeps them."""
    return [
        Line("sent" if one.message.role == "provider" else "received", one.message.proof.created, one.raw)
        for one in said
    ]


@dataclass(frozen=True)
class EcParty:
    """A side whose key is P-256 or P-384; the scalar is a hash, reduced. Signatures are deterministic (RFC 6979)."""

    role: str
    kind: str

    @property
    def scalar(self) -> int:
        """The private key."""
        raw = hashlib.sha512(f"hire example {self.role} {self.kind}".encode()).digest()
        return int.from_bytes(raw) % (ORDER[self.kind] - 1) + 1

    @property
    def _key(self) -> ec.EllipticCurvePrivateKey:
        return ec.derive_private_key(self.scalar, ec.SECP256R1() if self.kind == "P-256" else ec.SECP384R1())

    @property
    def multikey(self) -> str:
        """The public key."""
        raw = self._key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint
        )
        return public_key_from_raw("P-256" if self.kind == "P-256" else "P-384", raw).multikey

    @property
    def did(self) -> str:
        """The DID."""
        return f"did:key:{self.multikey}"

    @property
    def method(self) -> str:
        """The one verification method."""
        return f"{self.did}#{self.multikey}"

    def sign(self, data: bytes, *, high: bool = False) -> bytes:
        """r and s of full length, with the smaller s; with `high` the larger one, which is refused."""
        digest = hashes.SHA256() if self.kind == "P-256" else hashes.SHA384()
        r, s = decode_dss_signature(self._key.sign(data, ec.ECDSA(digest, deterministic_signing=True)))
        low = min(s, ORDER[self.kind] - s)
        size = 32 if self.kind == "P-256" else 48
        return r.to_bytes(size) + (ORDER[self.kind] - low if high else low).to_bytes(size)


@dataclass(frozen=True)
class OddParty(Party):
    """A side whose signatures solve the equation of Ed25519 with an R that no honest signer makes: the neutral element,
    or (`torsion`) a point with a part of order 8, which only a verifier that multiplies by the cofactor takes.
    """

    torsion: bool = False

    def sign(self, data: bytes) -> bytes:
        """The signature's 64 bytes."""
        scalar = bytearray(hashlib.sha512(bytes(self.key)).digest()[:32])
        scalar[0] &= 248
        scalar[31] = (scalar[31] & 127) | 64
        once, point = bytes(32), _NEUTRAL
        if self.torsion:
            once = seed("a number that is used once")[:31] + b"\0"
            point = crypto_core_ed25519_add(crypto_scalarmult_ed25519_base_noclamp(once), _OF_ORDER_8)
        hashed = hashlib.sha512(point + bytes(self.key.verify_key) + data).digest()
        summed = sum(
            int.from_bytes(one, "little") * factor
            for one, factor in ((once, 1), (hashed, int.from_bytes(scalar, "little")))
        )
        return point + (summed % ED25519_ORDER).to_bytes(32, "little")


_NEUTRAL: Final = b"\x01" + bytes(31)
_OF_ORDER_8: Final = bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")


def signers(*parties: Party | EcParty) -> list[dict[str, str]]:
    """The published private keys of a case."""
    listed: list[dict[str, str]] = []
    for party in parties:
        if isinstance(party, EcParty):
            size = 32 if party.kind == "P-256" else 48
            secret = {"kind": party.kind, "scalar": party.scalar.to_bytes(size).hex()}
        else:
            secret = {"kind": "Ed25519", "seed": seed(party.role).hex()}
        listed.append({"method": party.method, **secret})
    return listed


def content_of(message: Mapping[str, Any]) -> dict[str, Any]:
    """A copy without the proof."""
    return {name: copy.deepcopy(value) for name, value in message.items() if name != "proof"}


def intermediates(
    document: Mapping[str, Any], proof: Mapping[str, Any], kind: str = "Ed25519", contexts: Contexts = CONTEXTS
) -> dict[str, Any]:
    """Every value on the way from a document and one of its proofs to the signature."""
    suite = str(proof["cryptosuite"])
    hash_of = hashlib.sha384 if kind == "P-384" else hashlib.sha256
    config = {name: value for name, value in proof.items() if name != "proofValue"}
    if "jcs" in suite:
        form, options = canonicalize(document), canonicalize(config)
    else:
        algorithm = "sha384" if kind == "P-384" else "sha256"
        own = document["@context"] == HIRE_CONTEXT
        form, options = (
            compiled_quads(one) if own else document_quads(one, algorithm=algorithm, contexts=contexts)
            for one in (document, {"@context": document["@context"], **config})
        )
    return {
        "documentForm": form.decode(),
        "documentHash": hash_of(form).hexdigest(),
        "proofConfigForm": options.decode(),
        "proofConfigHash": hash_of(options).hexdigest(),
        "signed": hash_of(options).hexdigest() + hash_of(form).hexdigest(),
        "signature": base58_decode(str(proof["proofValue"])[1:]).hex(),
    }


def of_envelope(statement: Mapping[str, Any], signer: str) -> dict[str, Any]:
    """The values on the way from a DSSE envelope to its one signature; what is signed is text, as its payload is."""
    (one,) = statement["signatures"]
    payload = base64.b64decode(statement["payload"])
    return {
        "digest": digest_bytes(payload),
        "signed": pae(statement["payloadType"], payload).decode(),
        "signature": base64.b64decode(one["sig"]).hex(),
        "signers": [signer],
    }


def jws(header: Mapping[str, Any], payload: Mapping[str, Any], party: Party) -> str:
    """A compact JWS, whatever its header says."""
    text = f"{base64url_encode(canonicalize(header))}.{base64url_encode(canonicalize(payload))}"
    return f"{text}.{base64url_encode(party.sign(text.encode()))}"


def of_text(text: str) -> dict[str, str]:
    """What is signed of a JWS, and the signature."""
    signed, _, signature = text.rpartition(".")
    return {"signed": signed, "signature": base64url_decode(signature).hex()}


def message_case(now: str, recipient: str, *parties: Party | EcParty, **more: Any) -> dict[str, Any]:
    """`case.json` of one message."""
    return {
        "kind": "message",
        "now": now,
        "recipient": recipient,
        "keys": signers(*(parties or (HIRER, PROVIDER))),
        **more,
    }


def good(name: str, said: VerifiedMessage, says: str, kind: str = "Ed25519", party: EcParty | None = None) -> Vector:
    """The vector of a good message."""
    message = json.loads(said.raw)
    content = content_of(message)
    signer = (party,) if party else (PARTIES[message["role"]],)
    expected = {
        "type": message["type"],
        "digest": digest_of(content),
        **intermediates(content, message["proof"], kind),
    }
    return Vector(
        name, says, said.raw, message_case(message["proof"]["created"], message["recipient"], *signer), expected
    )


def changed(message: Mapping[str, Any], **members: Any) -> dict[str, Any]:
    """A copy with other members; `a__b` is member b of member a, and `...` removes one."""
    copied = copy.deepcopy(dict(message))
    for path, value in members.items():
        *steps, last = path.split("__")
        inside = copied
        for step in steps:
            inside = inside[int(step) if step.isdigit() else step]
        if value is ...:
            del inside[last]
        else:
            inside[last] = value
    return copied


def resigned(message: Mapping[str, Any], party: Party | EcParty | None = None, **options: Any) -> dict[str, Any]:
    """The message with a proof over what it says now; `options` are other options than those of its proof."""
    signer = party or PARTIES[message["role"]]
    kind = signer.kind if isinstance(signer, EcParty) else "Ed25519"
    old = message["proof"]
    config = proof_config(
        options.pop("cryptosuite", old["cryptosuite"]),
        options.pop("method", signer.method),
        options.pop("purpose", old["proofPurpose"]),
        options.pop("created", old["created"]),
        options.pop("expires", old["expires"]),
    )
    content = content_of(message)
    signature = signer.sign(prepare(content, config, kind), **options)
    return attach(content, config, signature)


def without_context(message: Mapping[str, Any], party: Party) -> dict[str, Any]:
    """The message with a proof of a JCS suite that does not repeat its `@context`; nor does what is signed."""
    return signed_as_is(changed(message, **{"proof__@context": ...}), party)


def signed_as_is(message: Mapping[str, Any], party: Party) -> dict[str, Any]:
    """The message with the proof of a JCS suite that it has, signed anew, whatever is in it."""
    config = {name: value for name, value in message["proof"].items() if name != "proofValue"}
    content = content_of(message)
    signed = b"".join(hashlib.sha256(canonicalize(part)).digest() for part in (config, content))
    return {**content, "proof": config | {"proofValue": multibase_encode("z", party.sign(signed))}}


def with_signature(message: Mapping[str, Any], signature: bytes) -> dict[str, Any]:
    """The message with other signature bytes."""
    return changed(message, proof__proofValue=multibase_encode("z", signature))
