"""Vectors of domain linkage: what ties a DID and an origin, and what does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from example_parties import HIRER, PROVIDER, Party
from vector_parts import Vector, changed, content_of, intermediates, jws, signers

from undersigned.credentials import build_linkage, credential_config, credential_jwt, did_configuration
from undersigned.credentials.linkage import LINKAGE_CONTEXTS
from undersigned.did import make_document
from undersigned.encoding import canonicalize, digest_bytes, parse_instant
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


def _signed(
    unsigned: dict[str, Any], party: Party = HIRER, did: str = DID, suite: str = "eddsa-jcs-2022"
) -> dict[str, Any]:
    config = credential_config(suite, f"{did}#agent", MADE)
    return attach(unsigned, config, party.sign(prepare(unsigned, config, "Ed25519", contexts=LINKAGE_CONTEXTS)))


def _text(payload: dict[str, Any], **header: str | None) -> str:
    return jws({"alg": "Ed25519", "cty": "vc", "kid": f"{DID}#agent", "typ": "vc+jwt"} | header, payload, HIRER)


def _seconds(instant: str) -> int:
    return int(parse_instant(instant).timestamp())


def _worked(good: dict[str, Any]) -> dict[str, Any]:
    found = intermediates(content_of(good), good["proof"], contexts=LINKAGE_CONTEXTS)
    return {"credential": digest_bytes(canonicalize(good)), **found}


def linkage_vectors() -> Iterator[Vector]:
    """All of them."""
    good, theirs = _signed(_linkage()), _signed(_linkage(OTHER, ORIGIN), PROVIDER, OTHER)
    draft = credential_jwt(_linkage(), f"{DID}#agent", "Ed25519", MADE)
    jwt = draft.signed(HIRER.sign(draft.to_sign))
    with_proof = _worked(good)
    of_jwt = {"credential": digest_bytes(jwt.encode()), "signed": draft.to_sign.decode()}

    yield _vector("good", "each names the other", [good], with_proof)
    yield _vector("good-among-others", "another DID's word stands before it", [theirs, "not.a.jwt", good], with_proof)
    yield _vector("good-jwt", "the origin's half is a JWT", [jwt], of_jwt)
    rdfc = _signed(_linkage(), suite="eddsa-rdfc-2022")
    yield _vector("good-rdfc", "under eddsa-rdfc-2022", [rdfc], _worked(rdfc))
    further = _signed(_linkage(**{"@context": [*_linkage()["@context"], "https://w3id.org/security/multikey/v1"]}))
    yield _vector("good-with-a-context", "one more context of section 4.7", [further], _worked(further))
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
    for name, origin in (("in-capitals", ORIGIN.replace("acme", "ACME")), ("with-its-usual-port", f"{ORIGIN}:443")):
        spelled = _signed(_linkage(credentialSubject__origin=origin))
        says = "an origin that all three spell alike, and none as it is spelled"
        yield _vector(f"origin-{name}", says, [spelled], no, names=origin, origin=origin)
    about = _signed(_linkage(credentialSubject__id=OTHER))
    yield _vector("about-another", "issued by the DID, about another", [about], no)
    more = _signed(_linkage(credentialSubject__also="x"))
    yield _vector("says-more", "a subject with another member", [more], no)
    yield _vector("with-an-id", "an id, which the type does not have", [_signed(_linkage(id="urn:uuid:1"))], no)
    named = _signed(_linkage(name="Acme's domain"))
    yield _vector("with-a-name", "a member that the credential does not have", [named], no)
    claimed = _signed(_linkage(iss=DID))
    yield _vector("with-a-claim", "a claim of JWTs, in one with a proof", [claimed], no)
    bare = _signed(_linkage(**{"@context": _linkage()["@context"][:1]}))
    yield _vector("without-its-context", "the credentials context alone", [bare], no)
    turned = _signed(_linkage(**{"@context": _linkage()["@context"][::-1]}))
    yield _vector("contexts-the-other-way", "its own context before that of credentials", [turned], no)
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
    yield _vector(
        "jwt-with-a-short-signature", "a JWT whose signature is no signature", [f"{draft.to_sign.decode()}.AAAA"], no
    )
    over = {"exp": _seconds(NOW)}
    yield _vector("jwt-past", "a JWT at its exp", [_text(_linkage(**over))], {"code": "policy_denied"})
    before = _text(_linkage(nbf=946_684_799))
    yield _vector("jwt-of-another-millennium", "a JWT whose nbf is of the year 1999", [before], no)
    soon = _text(_linkage(nbf=_seconds(NOW) + 1))
    yield _vector("jwt-not-yet", "a JWT one second before its nbf", [soon], {"code": "policy_denied"})
    later = _text(_linkage(validFrom="2026-11-10T00:00:01Z"))
    yield _vector("jwt-not-valid-yet", "a JWT one second before its validFrom", [later], {"code": "policy_denied"})
    ahead = _text(_linkage(iat=_seconds(NOW) + 61))
    yield _vector("jwt-from-the-future", "a JWT made 61 seconds from now", [ahead], {"code": "proof_from_future"})
    es256 = _text(_linkage(), alg="ES256")
    yield _vector("jwt-of-another-algorithm", "ES256 by an Ed25519 key", [es256], {"code": "suite_not_allowed"})
    open_ended = _text(_linkage(validUntil=..., **{"exp": _seconds(END)}))
    yield _vector("jwt-without-an-end", "a JWT with exp and no validUntil", [open_ended], no)
    yield _vector("jwt-of-another", "a JWT whose iss is another DID", [_text(_linkage(iss=OTHER))], no)
    nulls = {"iss": _text(_linkage(iss=None)), "sub": _text(_linkage(sub=None)), "cty": _text(_linkage(), cty=None)}
    for name, nulled in nulls.items():
        yield _vector(f"jwt-with-null-for-{name}", f"a JWT whose {name} is null", [nulled], no)
    yield _vector("jwt-of-another-type", "a JWT that is typed as any", [_text(_linkage(), typ="JWT")], no)
    yield _vector("unsigned", "a credential that nobody signed", [_linkage()], {"code": "proof_missing"})
    malformed = {"code": "schema_violation"}
    yield _vector("empty", "no credential", [], malformed)
    of_credentials = {"@context": _linkage()["@context"][0]}
    yield _vector("of-another-context", "a file under another context", [good], malformed, more=of_credentials)
    yield _vector("no-list", "one credential and no list", [], malformed, more={"linked_dids": jwt})
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
    origin: str = ORIGIN,
    more: dict[str, Any] | None = None,
) -> Vector:
    case = {
        "kind": "linkage",
        "now": now,
        "origin": origin,
        "did": DID,
        "documents": {DID: _document(DID, HIRER, ("LinkedDomains", names))},
        "keys": [
            {**key, "method": f"{did}#agent"} for did, key in zip((DID, OTHER), signers(HIRER, PROVIDER), strict=True)
        ],
    }
    raw = canonicalize({**did_configuration(linked), **(more or {})})
    return Vector(f"linkage/{name}", says, raw, case, expected)
