"""Parties with real keys for tests of the lower packages: they sign documents, statements and credentials."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256, sha512
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from nacl.signing import SigningKey

from undersigned.attestation import PAYLOAD_TYPE, envelope, pae
from undersigned.did import DidDocument, did_key, document_from
from undersigned.encoding import JsonObject
from undersigned.keys import PublicKey, public_key_from_raw
from undersigned.proof import attach, make_proof, prepare

NOW = "2026-11-25T12:00:00Z"
LATER = "2026-11-25T13:00:00Z"
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
P384_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973
CURVES = {"P-256": (ec.SECP256R1(), SHA256(), P256_ORDER, 32), "P-384": (ec.SECP384R1(), SHA384(), P384_ORDER, 48)}


class Party:
    """A party known by its did:key; the same name and kind give the same key."""

    def __init__(self, name: str, kind: str = "Ed25519") -> None:
        self.name = name
        self.kind = kind
        secret = sha256(name.encode()).digest()
        if kind == "Ed25519":
            self._ed = SigningKey(secret)
            raw = bytes(self._ed.verify_key)
        else:
            self._curve, self._hash, self._order, self._size = CURVES[kind]
            self._ec = ec.derive_private_key(int.from_bytes(secret) % self._order, self._curve)
            raw = self._ec.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        self.key: PublicKey = public_key_from_raw(kind, raw)
        self.did = did_key(self.key)
        self.document: DidDocument = document_from(self.did, {})
        self.method = self.document.methods("assertionMethod")[0]

    @property
    def keys(self) -> dict[str, PublicKey]:
        return {self.method: self.key}

    def sign(self, data: bytes) -> bytes:
        if self.kind == "Ed25519":
            return self._ed.sign(data).signature
        r, s = decode_dss_signature(self._ec.sign(data, ec.ECDSA(self._hash)))
        return r.to_bytes(self._size) + min(s, self._order - s).to_bytes(self._size)

    def prove(self, document: Mapping[str, Any], config: JsonObject) -> JsonObject:
        """A copy of the document with this party's proof."""
        return attach(document, config, self.sign(prepare(document, config, self.kind)))

    def proof(self, document: Mapping[str, Any], config: JsonObject) -> JsonObject:
        """The proof alone."""
        return make_proof(document, config, self.sign(prepare(document, config, self.kind)))

    def seal_statement(self, payload: bytes) -> JsonObject:
        """The statement in a signed envelope."""
        return envelope(payload, [(self.method, self.sign(pae(PAYLOAD_TYPE, payload)))])


def neutral_signature(key: SigningKey, data: bytes) -> bytes:
    """What the owner of an Ed25519 key can make: R is the neutral element, and S fits. OpenSSL verifies it."""
    point, scalar = b"\x01" + bytes(31), bytearray(sha512(bytes(key)).digest()[:32])
    scalar[0] &= 248
    scalar[31] = (scalar[31] & 127) | 64
    hashed = int.from_bytes(sha512(point + bytes(key.verify_key) + data).digest(), "little")
    number = hashed * int.from_bytes(scalar, "little") % (2**252 + 27742317777372353535851937790883648493)
    return point + number.to_bytes(32, "little")


def documents(*parties: Party) -> dict[str, DidDocument]:
    return {party.did: party.document for party in parties}


def keys_of(*parties: Party):
    """A look-up over the DID documents of these parties."""
    known = documents(*parties)

    def lookup(method: str, purpose: str) -> PublicKey:
        return known[method.partition("#")[0]].key_for(method, purpose, now=None)

    return lookup
