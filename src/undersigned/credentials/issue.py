"""Credentials and presentations to be signed: built here, signed by the shell, with a proof or as one signed text.

    document = membership(...)                    # or claim_credential(Endorsement(...), ...)

    config = credential_config("eddsa-jcs-2022", method, now)
    signed = attach(document, config, sign(prepare(document, config, kind)))     # undersigned.proof

    draft = credential_jwt(document, method, kind, now)
    signed = enveloped_credential(draft.signed(sign(draft.to_sign)))

Source: protocol-spec/11-credentials.md, sections 11.1 to 11.5
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from undersigned.credentials.claims import CLAIMS, Claim, Membership, read_claim
from undersigned.credentials.envelope import is_enveloped
from undersigned.credentials.jws import CREDENTIAL_JWT, PRESENTATION_JWT, DraftJws, draft_jws
from undersigned.credentials.model import Credential, own_context, read_credential, wrong
from undersigned.credentials.status_list import STATUS_LIST
from undersigned.encoding import Did, DidUrl, Digest, EngagementId, Instant, JsonObject, from_struct, parse_instant
from undersigned.jsonld import CONTEXTS, Contexts
from undersigned.keys import KeyKind
from undersigned.proof import proof_config

__all__ = [
    "build_credential",
    "build_presentation",
    "claim_credential",
    "credential_config",
    "credential_jwt",
    "membership",
    "presentation_config",
    "presentation_jwt",
    "read_unsigned",
]


def build_credential(
    *,
    id: str,
    type: str,
    issuer: Did,
    subject: Mapping[str, Any],
    valid_from: Instant,
    valid_until: Instant,
    status: JsonObject | None = None,
) -> JsonObject:
    """The credential, without its proof. `id` is a URL, fresh for each; `subject` has an `id` and the claims. `status`
    is what `status_entry` gives; without one it cannot be withdrawn before its end.

    Raises:
        CredentialError: `schema_violation`: a part has another shape, or it ends before it begins.
        FormatError: `too_large`.
    """
    document: JsonObject = {
        "@context": own_context(),
        "id": id,
        "type": ["VerifiableCredential", type],
        "issuer": issuer,
        "validFrom": valid_from,
        "validUntil": valid_until,
        "credentialSubject": dict(subject),
    }
    if status is not None:
        document["credentialStatus"] = status
    read_credential(document)
    return document


def claim_credential(
    claim: Claim,
    *,
    id: str,
    issuer: Did,
    valid_from: Instant,
    valid_until: Instant,
    status: JsonObject | None = None,
) -> JsonObject:
    """The credential by which `issuer` says `claim`, without its proof; `status` is its `credentialStatus`.

    Raises:
        As `build_credential`, and as `read_claim`: a member of the claim has another shape, or it is not this issuer's
        to make.
    """
    document = build_credential(
        id=id,
        type=claim.type,
        issuer=issuer,
        subject=from_struct(claim),
        valid_from=valid_from,
        valid_until=valid_until,
        status=status,
    )
    read_claim(read_credential(document))
    return document


def membership(
    *,
    id: str,
    organisation: Did,
    agent: Did,
    valid_from: Instant,
    valid_until: Instant,
    status: JsonObject | None = None,
) -> JsonObject:
    """The credential by which an organisation says that it operates an agent, without its proof.

    Raises:
        As `claim_credential`.
    """
    return claim_credential(
        Membership(id=agent, member_of=organisation),
        id=id,
        issuer=organisation,
        valid_from=valid_from,
        valid_until=valid_until,
        status=status,
    )


def read_unsigned(document: Mapping[str, Any], *, contexts: Contexts = CONTEXTS) -> Credential:
    """A credential that somebody else wrote and an issuer here may sign, once there is nothing against it.

    Raises:
        CredentialError, FormatError: As `read_credential`, and as `read_claim` of a type of ours; `schema_violation`
            also: it is secured already; it brings a status, which is for its issuer to give; or it is a status list,
            which is made from what was withdrawn and from nothing else.

    Source: protocol-spec/control.md
    """
    if is_enveloped(document, CREDENTIAL_JWT):
        raise wrong("/type", "a credential that is not secured yet", document.get("type"))
    if "proof" in document:
        raise wrong("/proof", "a credential that is not secured yet", document["proof"])
    credential = read_credential(document, contexts=contexts)
    if credential.has_status:
        raise wrong("/credentialStatus", "no status yet", document["credentialStatus"])
    listed = any(name.rpartition("#")[2] == STATUS_LIST for name in credential.types)
    if listed or any("encodedList" in subject for subject in credential.subjects):
        raise wrong("/type", "a credential that is no status list", credential.types)
    if not CLAIMS.keys().isdisjoint(credential.types):
        read_claim(credential)
    return credential


def credential_config(suite: str, method: DidUrl, created: Instant) -> JsonObject:
    """Options of an issuer's proof. It has no expiry of its own: the credential's validity says how long it holds."""
    return proof_config(suite, method, "assertionMethod", created)


def credential_jwt(document: Mapping[str, Any], method: DidUrl, kind: KeyKind, created: Instant) -> DraftJws:
    """The credential as a `vc+jwt` to be signed, by a key of this kind that the issuer's document lists."""
    return draft_jws({**document, "iat": _seconds(created)}, CREDENTIAL_JWT, method, kind)


def build_presentation(
    *, id: str, holder: Did, engagement: EngagementId, credentials: Iterable[Mapping[str, Any]]
) -> JsonObject:
    """The presentation of signed `credentials` for one engagement, without its proof; there may be none.

    The engagement is a member of the presentation, so it is covered by the proof of every suite and can be read without
    knowing the move that the challenge names.
    """
    document: JsonObject = {
        "@context": own_context(),
        "id": id,
        "type": ["VerifiablePresentation"],
        "holder": holder,
        "engagement": engagement,
    }
    # An empty array would say nothing in RDF, and what says nothing is not signed: none is no member.
    if shown := [dict(credential) for credential in credentials]:
        document["verifiableCredential"] = shown
    return document


def presentation_config(
    suite: str, method: DidUrl, created: Instant, *, challenge: Digest, domain: Did, expires: Instant | None = None
) -> JsonObject:
    """Options of a holder's proof: `challenge` is the digest of the move that asked, `domain` the verifier's DID."""
    return proof_config(suite, method, "authentication", created, expires, challenge=challenge, domain=domain)


def presentation_jwt(
    document: Mapping[str, Any],
    method: DidUrl,
    kind: KeyKind,
    created: Instant,
    *,
    challenge: Digest,
    domain: Did,
    expires: Instant | None = None,
) -> DraftJws:
    """The presentation as a `vp+jwt` to be signed by its holder; the arguments are those of `presentation_config`."""
    claims: JsonObject = {**document, "aud": domain, "nonce": challenge, "iat": _seconds(created)}
    if expires is not None:
        claims["exp"] = _seconds(expires)
    return draft_jws(claims, PRESENTATION_JWT, method, kind)


def _seconds(instant: Instant) -> int:
    return int(parse_instant(instant).timestamp())
