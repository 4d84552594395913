"""The published contexts that must work offline, written as tables of terms.

A table is a context as JSON-LD 1.1 defines it; the short forms below only spare repetition. What each table says is
the meaning of the published context of the same IRI: a test lets both expand documents that use every term and
compares the quads. The digest of each table is pinned beside it.

Source: protocol-spec/04-envelope-and-digests.md, section 4.7
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

__all__ = ["TABLES"]

Table: TypeAlias = dict[str, Any]

CRED: Final = "https://www.w3.org/2018/credentials#"
DID: Final = "https://www.w3.org/ns/did#"
JOSE: Final = "https://www.iana.org/assignments/jose#"
JWT: Final = "https://www.iana.org/assignments/jwt#"
SCHEMA: Final = "https://schema.org/"
SEC: Final = "https://w3id.org/security#"
STATUS: Final = "https://www.w3.org/ns/credentials/status#"
XSD: Final = "http://www.w3.org/2001/XMLSchema#"

DATE_TIME: Final = XSD + "dateTime"
MULTIBASE: Final = SEC + "multibase"


def _table(terms: Table) -> Table:
    """A protected context with the two keyword aliases that every one of these has."""
    return {"@protected": True, "id": "@id", "type": "@type", **terms}


def _typed(iri: str, kind: str, **more: Any) -> Table:
    return {"@id": iri, "@type": kind, **more}


def _links(base: str, *names: str) -> Table:
    """Terms whose values are IRIs or nodes, each named after its term."""
    return {name: _typed(base + name, "@id") for name in names}


def _scoped(iri: str, terms: Table) -> Table:
    """A type, and the terms that are defined on its nodes only."""
    return {"@id": iri, "@context": _table(terms)}


RELATIONSHIPS: Final[Table] = {
    name: _typed(SEC + iri, "@id", **{"@container": "@set"})
    for name, iri in (
        ("assertionMethod", "assertionMethod"),
        ("authentication", "authenticationMethod"),
        ("capabilityDelegation", "capabilityDelegationMethod"),
        ("capabilityInvocation", "capabilityInvocationMethod"),
        ("keyAgreement", "keyAgreementMethod"),
    )
}

PROOF: Final[Table] = {"proof": _typed(SEC + "proof", "@id", **{"@container": "@graph"})}


def _data_integrity_proof(version: int) -> Table:
    """Version 1 has no chains and no datatype for the suite's name."""
    terms: Table = {
        "challenge": SEC + "challenge",
        "created": _typed("http://purl.org/dc/terms/created", DATE_TIME),
        "cryptosuite": SEC + "cryptosuite",
        "domain": SEC + "domain",
        "expires": _typed(SEC + "expiration", DATE_TIME),
        "nonce": SEC + "nonce",
        "proofPurpose": _typed(SEC + "proofPurpose", "@vocab", **{"@context": _table(RELATIONSHIPS)}),
        "proofValue": _typed(SEC + "proofValue", MULTIBASE),
        "verificationMethod": _typed(SEC + "verificationMethod", "@id"),
    }
    if version > 1:
        terms["cryptosuite"] = _typed(SEC + "cryptosuite", SEC + "cryptosuiteString")
        terms["previousProof"] = _typed(SEC + "previousProof", "@id")
    return {"DataIntegrityProof": _scoped(SEC + "DataIntegrityProof", terms)}


def _key(kind: str, public: Table, secret: Table) -> Table:
    return {
        kind: _scoped(
            SEC + kind,
            {
                "controller": _typed(SEC + "controller", "@id"),
                "revoked": _typed(SEC + "revoked", DATE_TIME),
                "expires": _typed(SEC + "expiration", DATE_TIME),
                **public,
                **secret,
            },
        )
    }


MULTIKEY: Final[Table] = _key(
    "Multikey",
    {"publicKeyMultibase": _typed(SEC + "publicKeyMultibase", MULTIBASE)},
    {"secretKeyMultibase": _typed(SEC + "secretKeyMultibase", MULTIBASE)},
)

JSON_WEB_KEY: Final[Table] = _key(
    "JsonWebKey",
    {"publicKeyJwk": _typed(SEC + "publicKeyJwk", "@json")},
    {"secretKeyJwk": _typed(SEC + "secretKeyJwk", "@json")},
)

DID_DOCUMENT: Final[Table] = {
    "alsoKnownAs": _typed("https://www.w3.org/ns/activitystreams#alsoKnownAs", "@id"),
    **RELATIONSHIPS,
    "controller": _typed(SEC + "controller", "@id"),
    "service": _typed(DID + "service", "@id", **{"@context": _table(_links(DID, "serviceEndpoint"))}),
    "verificationMethod": _typed(SEC + "verificationMethod", "@id"),
}

NAMES: Final[Table] = {"description": SCHEMA + "description", "name": SCHEMA + "name"}

STATUS_LIST: Final[Table] = {
    "BitstringStatusListCredential": STATUS + "BitstringStatusListCredential",
    "BitstringStatusList": _scoped(
        STATUS + "BitstringStatusList",
        {
            "encodedList": _typed(STATUS + "encodedList", MULTIBASE),
            "statusPurpose": STATUS + "statusPurpose",
            "ttl": STATUS + "ttl",
        },
    ),
    "BitstringStatusListEntry": _scoped(
        STATUS + "BitstringStatusListEntry",
        {
            **_links(STATUS, "statusListCredential", "statusReference"),
            "statusListIndex": STATUS + "statusListIndex",
            "statusPurpose": STATUS + "statusPurpose",
            "statusMessage": _scoped(
                STATUS + "statusMessage", {"message": STATUS + "message", "status": STATUS + "status"}
            ),
            # The published context has https here, unlike every other XSD IRI; quads must agree.
            "statusSize": _typed(STATUS + "statusSize", "https://www.w3.org/2001/XMLSchema#integer"),
        },
    ),
}

JWT_CLAIMS: Final[Table] = {
    "...": {"@id": JWT + "..."},
    "_sd": _typed(JWT + "_sd", "@json"),
    "_sd_alg": {"@id": JWT + "_sd_alg"},
    "aud": _typed(JWT + "aud", "@id"),
    "cnf": {
        "@id": JWT + "cnf",
        "@context": {"@protected": True, **_links(JWT, "kid"), "jwk": _typed(JWT + "jwk", "@json")},
    },
    **{
        name: _typed(JWT + name, "https://www.w3.org/2001/XMLSchema#nonNegativeInteger")
        for name in ("exp", "iat", "nbf")
    },
    **_links(JOSE, "iss", "jku", "kid", "sub", "x5u"),
}

CREDENTIALS: Final[Table] = {
    **NAMES,
    "digestMultibase": _typed(SEC + "digestMultibase", MULTIBASE),
    "digestSRI": _typed(CRED + "digestSRI", CRED + "sriString"),
    "mediaType": {"@id": SCHEMA + "encodingFormat"},
    "VerifiableCredential": _scoped(
        CRED + "VerifiableCredential",
        {
            **NAMES,
            **PROOF,
            **_links(
                CRED,
                "confidenceMethod",
                "credentialSchema",
                "credentialStatus",
                "credentialSubject",
                "evidence",
                "issuer",
                "refreshService",
                "relatedResource",
                "renderMethod",
                "termsOfUse",
            ),
            "validFrom": _typed(CRED + "validFrom", DATE_TIME),
            "validUntil": _typed(CRED + "validUntil", DATE_TIME),
        },
    ),
    "EnvelopedVerifiableCredential": CRED + "EnvelopedVerifiableCredential",
    "VerifiablePresentation": _scoped(
        CRED + "VerifiablePresentation",
        {
            **PROOF,
            **_links(CRED, "holder", "termsOfUse"),
            # Each credential inside starts from nothing: it brings its own contexts and its own graph.
            "verifiableCredential": _typed(
                CRED + "verifiableCredential", "@id", **{"@container": "@graph", "@context": None}
            ),
        },
    ),
    "EnvelopedVerifiablePresentation": CRED + "EnvelopedVerifiablePresentation",
    "JsonSchemaCredential": CRED + "JsonSchemaCredential",
    "JsonSchema": _scoped(CRED + "JsonSchema", {"jsonSchema": _typed(CRED + "jsonSchema", "@json")}),
    **STATUS_LIST,
    **_data_integrity_proof(2),
    **JWT_CLAIMS,
}

TABLES: Final[dict[str, Table]] = {
    "https://www.w3.org/ns/credentials/v2": _table(CREDENTIALS),
    # No table of terms but a catch-all: with it in the list no term is undefined, by the document's own choice.
    "https://www.w3.org/ns/credentials/undefined-terms/v2": {
        "@vocab": "https://www.w3.org/ns/credentials/undefined-term#"
    },
    "https://www.w3.org/ns/did/v1": _table(DID_DOCUMENT),
    "https://www.w3.org/ns/cid/v1": _table({**DID_DOCUMENT, **MULTIKEY, **JSON_WEB_KEY}),
    "https://w3id.org/security/data-integrity/v1": _table({**PROOF, **_data_integrity_proof(1)}),
    "https://w3id.org/security/data-integrity/v2": _table({**PROOF, **_data_integrity_proof(2)}),
    "https://w3id.org/security/multikey/v1": _table(MULTIKEY),
    "https://w3id.org/security/jwk/v1": _table(JSON_WEB_KEY),
}
"""The context of each IRI, without the `@context` around it."""
