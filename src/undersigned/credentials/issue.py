"""Credentials and presentations to be signed: built here, signed by the shell.

    document = membership(...)
    config = credential_config("eddsa-jcs-2022", method, now)
    signed = attach(document, config, sign(prepare(document, config, kind)))     # undersigned.proof

Source: protocol-spec/02-identity-and-keys.md, section 2.6
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from undersigned.credentials.model import MEMBERSHIP, own_context, read_credential
from undersigned.encoding import Did, DidUrl, Digest, EngagementId, Instant, JsonObject
from undersigned.proof import proof_config

__all__ = [
    "build_credential",
    "build_presentation",
    "credential_config",
    "membership",
    "presentation_config",
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
        As `build_credential`.
    """
    return build_credential(
        id=id,
        type=MEMBERSHIP,
        issuer=organisation,
        subject={"id": agent, "memberOf": organisation},
        valid_from=valid_from,
        valid_until=valid_until,
        status=status,
    )


def credential_config(suite: str, method: DidUrl, created: Instant) -> JsonObject:
    """Options of an issuer's proof. It has no expiry of its own: the credential's validity says how long it holds."""
    return proof_config(suite, method, "assertionMethod", created)


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
