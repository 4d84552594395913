"""Vectors of DID documents: which two readers could read in two ways, and which keys in them are not used."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from example_messages import conversation
from example_parties import HIRER, PROVIDER
from vector_parts import Vector, changed, content_of, intermediates, message_case, resigned, signers

from undersigned.encoding import base64url_encode, canonicalize, digest_of, shift

__all__ = ["document_vectors"]

DID = "did:web:globex.example"
NAME = f"{DID}#key-1"


def document_vectors() -> Iterator[Vector]:
    """A Seal of a did:web, each time by another document; most are refused for it."""
    seal = json.loads(conversation()["seal"].raw)
    now = seal["proof"]["created"]
    multikey = {"id": NAME, "type": "Multikey", "controller": DID, "publicKeyMultibase": PROVIDER.multikey}
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": base64url_encode(PROVIDER.public_key.raw)}
    named = {"id": NAME, "type": "JsonWebKey", "controller": DID}

    def of(name: str, says: str, method: dict[str, Any], code: str = "", **members: Any) -> Vector:
        document = {
            "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"],
            "id": DID,
            "verificationMethod": [method],
            "authentication": [NAME],
            "assertionMethod": [NAME],
            **members,
        }
        message = resigned(changed(seal, sender=DID), PROVIDER, method=NAME)
        keys = [{**key, "method": NAME} for key in signers(PROVIDER)]
        case = message_case(now, HIRER.did, documents={DID: document}, keys=keys)
        if code:
            return Vector(f"messages/refused/{name}", says, canonicalize(message), case, {"type": "Seal", "code": code})
        content = content_of(message)
        values = {"type": "Seal", "digest": digest_of(content), **intermediates(content, message["proof"])}
        return Vector(f"messages/eddsa-jcs-2022/{name}", says, canonicalize(message), case, values)

    def key(**more: Any) -> dict[str, Any]:
        return {**named, "publicKeyJwk": {**jwk, **more}}

    yield of(
        "seal-by-a-jwk", "a key as a JWK that says what it is for", key(use="sig", alg="EdDSA", key_ops=["verify"])
    )
    yield of("seal-by-a-relative-name", "a key whose name begins with #", {**multikey, "id": "#key-1"})
    yield of("seal-by-a-key-at-its-end", "a key at its end", {**multikey, "expires": now})
    unused = {"id": f"{DID}#key-2", "type": "EcdsaSecp256k1VerificationKey2019", "controller": DID}
    beside = [multikey, unused]
    yield of("seal-beside-a-key-not-used", "beside a key of another kind", multikey, verificationMethod=beside)

    wrong = "did_document_invalid"
    for name, says, members in (
        (
            "document-of-a-nameless-method",
            "a method named as the DID",
            {"verificationMethod": [multikey, {**unused, "id": DID}]},
        ),
        (
            "document-of-two-methods-of-one-name",
            "a method that is there twice",
            {"verificationMethod": [multikey, multikey]},
        ),
        (
            "document-of-a-method-of-no-type",
            "a method that does not say of which type",
            {"verificationMethod": [multikey, {"id": f"{DID}#key-2", "controller": DID}]},
        ),
        ("document-of-one-method", "a method in no list", {"verificationMethod": multikey}),
        ("document-of-one-relationship", "a name under a relationship, in no list", {"keyAgreement": NAME}),
        (
            "document-of-another-relationship",
            "a name that is no DID URL, under another relationship",
            {"capabilityInvocation": ["key-1"]},
        ),
        ("document-of-one-service", "a service in no list", {"service": {"type": "HireService"}}),
    ):
        yield of(name, says, multikey, wrong, **members)
    for name, says, method in (
        (
            "key-in-two-encodings",
            "a key in two encodings, of which one is not used",
            {**multikey, "publicKeyBase58": "1"},
        ),
        ("key-in-no-encoding-of-its-type", "a JWK that calls itself a Multikey", {**key(), "type": "Multikey"}),
        ("key-of-an-old-type", "a type from before Multikey", {**multikey, "type": "Ed25519VerificationKey2018"}),
        ("key-with-its-secret", "a private key beside it", {**multikey, "secretKeyMultibase": "z1"}),
        ("key-of-a-private-jwk", "a JWK with a private part", key(d="AA")),
        ("key-to-encrypt", "a JWK to encrypt with", key(use="enc")),
        ("key-of-another-algorithm", "a JWK for another algorithm", key(alg="ES256")),
        ("key-to-sign", "a JWK to sign with, and not to verify", key(key_ops=["sign"])),
        ("key-for-nothing", "a JWK whose operations are null", key(key_ops=None)),
        ("key-of-a-padded-jwk", "a coordinate with padding", key(x=f"{jwk['x']}=")),
        ("key-ends-in-a-fraction", "an end that is no instant", {**multikey, "expires": f"{shift(now, 60)[:-1]}.5Z"}),
    ):
        yield of(name, says, method, wrong)
    none = "key_not_authorized"
    yield of("key-ended", "a key one second past its end", {**multikey, "expires": shift(now, -1)}, none)
    yield of("key-revoked", "a key that is revoked, later", {**multikey, "revoked": shift(now, 3600)}, none)
