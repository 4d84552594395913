"""Vectors of domain linkage: what ties a DID and an origin, and what does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from example_parties import HIRER, PROVIDER, Party
from vector_parts import Vector, changed, content_of, intermediates, signers

from undersigned.credentials import build_linkage, credential_config, credential_jwt, did_configuration
from undersigned.did import make_document
from undersigned.encoding import canonicalize, digest_bytes
from undersigned.keys import public_key_from_multikey
from undersigned.proof import attach, prepare

__all__ = ["linkage_vectors"]

ORIGIN = "https://agents.acme.example"
DID = "did:web:agents.acme.example"
OTHER = "did:web:agents.globex.example"
MADE, NOW, END = "2026-11-02T09:00:00Z", "2026-11-10T00:00:00Z", "2026-12-02T09:00:00Z"


def _document(did: str, party: Party, *services: tuple[str, str]) -> dict[str, Any]:
    keys = {"agent": public_key_from_multikey(party.multikey)}
    return make_document(did, authentication=keys, assertion_method=keys, services=services)


def _linkage(did: str = DID, origin: str = ORIGIN, **members: Any) -> dict[str, Any]:
    return changed(build_linkage(did, origin, valid_from=MADE, valid_until=END), **members)


def _signed(unsigned: dict[str, Any], party: Party = HIRER, did: str = DID) -> dict[str, Any]:
    config = credential_config("eddsa-jcs-2022", f"{did}#agent", MADE)
    return attach(unsigned, config, party.sign(prepare(unsigned, config, "Ed25519")))


def linkage_vectors() -> Iterator[Vector]:
    """All of them."""
    good, theirs = _signed(_linkage()), _signed(_linkage(OTHER, ORIGIN), PROVIDER, OTHER)
    draft = credential_jwt(_linkage(), f"{DID}#agent", "Ed25519", MADE)
    jwt = draft.signed(HIRER.sign(draft.to_sign))
    with_proof = {
        "credential": digest_bytes(canonicalize(good)),
        **intermediates(content_of(good), good["proof"]),
    }
    of_jwt = {"credential": digest_bytes(jwt.encode()), "signed": draft.to_sign.decode()}

    yield _vector("good", "each names the other", [good], with_proof)
    yield _vector("good-among-others", "another DID's word stands before it", [theirs, "not.a.jwt", good], with_proof)
    yield _vector("good-jwt", "the origin's half is a JWT", [jwt], of_jwt)
    yield _vector("at-its-end", "the last second", [good], with_proof, now=END)

    no = {"code": "domain_not_linked"}
    yield _vector(
        "not-named-by-the-did", "the DID's document names another origin", [good], no, names="https://acme.example"
    )
    yield _vector("not-named-by-the-origin", "the file holds another DID's word alone", [theirs], no)
    elsewhere = _signed(_linkage(origin="https://acme.example"))
    yield _vector("of-another-origin", "the same DID's word on another origin", [elsewhere], no)
    slash = _signed(_linkage(credentialSubject__origin=f"{ORIGIN}/"))
    yield _vector("origin-with-a-slash", "another spelling of the origin", [slash], no)
    about = _signed(_linkage(credentialSubject__id=OTHER))
    yield _vector("about-another", "issued by the DID, about another", [about], no)
    more = _signed(_linkage(credentialSubject__also="x"))
    yield _vector("says-more", "a subject with another member", [more], no)
    yield _vector("with-an-id", "an id, which the type does not have", [_signed(_linkage(id="urn:uuid:1"))], no)
    named = _signed(_linkage(name="Acme's domain"))
    yield _vector("with-a-name", "a member that the credential does not have", [named], no)
    yield _vector("without-an-end", "no end of its validity", [_signed(_linkage(validUntil=...))], no)
    yield _vector("past", "one second past its end", [good], {"code": "policy_denied"}, now="2026-12-02T09:00:01Z")
    yield _vector(
        "not-yet", "one second before it begins", [good], {"code": "policy_denied"}, now="2026-11-02T08:59:59Z"
    )
    invalid = {"code": "proof_invalid"}
    yield _vector(
        "changed", "a longer validity than was signed", [changed(good, validUntil="2030-01-01T00:00:00Z")], invalid
    )
    yield _vector(
        "signed-by-another", "another's signature under the DID's method", [_signed(_linkage(), PROVIDER)], invalid
    )
    forged = jwt[:-6] + ("A" if jwt[-6] != "A" else "B") + jwt[-5:]
    yield _vector("jwt-changed", "a JWT with another signature", [forged], invalid)
    yield _vector("unsigned", "a credential that nobody signed", [_linkage()], {"code": "proof_missing"})
    yield _vector("empty", "no credential", [], {"code": "schema_violation"})
    too_many = {"code": "too_large"}
    yield _vector("too-many", "17 credentials", [good] * 17, too_many)
    yield _vector(
        "another-member", "a member that the file does not have", [good], {"code": "unknown_term"}, more={"also": 1}
    )


def _vector(
    name: str,
    says: str,
    linked: list[Any],
    expected: dict[str, Any],
    *,
    now: str = NOW,
    names: str = ORIGIN,
    more: dict[str, Any] | None = None,
) -> Vector:
    case = {
        "kind": "linkage",
        "now": now,
        "origin": ORIGIN,
        "did": DID,
        "documents": {DID: _document(DID, HIRER, ("LinkedDomains", names))},
        "keys": [
            {**key, "method": f"{did}#agent"} for did, key in zip((DID, OTHER), signers(HIRER, PROVIDER), strict=True)
        ],
    }
    raw = canonicalize({**did_configuration(linked), **(more or {})})
    return Vector(f"linkage/{name}", says, raw, case, expected)
