"""Whether a credential was issued, and a presentation made for us, by those they name.

Each function gives the verified thing or raises; an outer proof never speaks for an inner one, nor the reverse.
Limits stand before cryptography, and what needs to be fetched is asked for as a value (`issuers_of`).

Source: protocol-spec/02-identity-and-keys.md, sections 2.6 and 2.7
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, cast

from msgspec import Struct

from undersigned.credentials.model import (
    MAX_CREDENTIALS,
    Credential,
    check_contexts,
    read_credential,
    read_types,
    wrong,
)
from undersigned.credentials.status_list import MAX_LIST_DOCUMENT_BYTES, StatusList, check_status, read_status_list
from undersigned.did import DidDocument
from undersigned.encoding import Did, DidUrl, Digest, EngagementId, Instant, JsonObject, canonicalize, digest_bytes
from undersigned.errors import CredentialError, FormatError, ProofError, UndersignedError
from undersigned.jsonld import CONTEXTS, Contexts
from undersigned.keys import PublicKey
from undersigned.proof import proofs_of, verify_proof

__all__ = [
    "VerifiedPresentation",
    "issuers_of",
    "shown_credentials",
    "verify_credential",
    "verify_presentation",
    "verify_status_list",
]

MAX_PRESENTATION_BYTES: Final = 128 * 1024
MAX_ISSUERS: Final = 8
"""Different issuers in one presentation: each may be a host to be asked (SC-103)."""

_MEMBERS: Final = frozenset({"@context", "id", "type", "holder", "engagement", "verifiableCredential", "proof"})


class VerifiedPresentation(Struct, frozen=True, kw_only=True):
    """A presentation made for us, for this engagement, with every credential in it verified."""

    holder: Did
    engagement: EngagementId
    credentials: tuple[Credential, ...]
    """In the order shown; each is about the holder. Their status is still to be checked (`check_status`)."""
    digest: Digest
    """Of the canonical form, proofs included: what a decision was made on."""


def issuers_of(presentation: Mapping[str, Any], *, contexts: Contexts = CONTEXTS) -> tuple[Did, ...]:
    """The DIDs whose documents `verify_presentation` needs, the holder's first; sizes and shape are checked.

    Raises:
        FormatError: `too_large`: more than 16 credentials, one above 64 KiB, all above 128 KiB, or more than 8 issuers.
        CredentialError: `schema_violation`: not a presentation of ours.

    Source: protocol-spec/02-identity-and-keys.md, section 2.7
    """
    holder, credentials, _ = _read(presentation, contexts)
    return (holder, *sorted({credential.issuer for credential in credentials} - {holder}))


def shown_credentials(presentation: Mapping[str, Any], *, contexts: Contexts = CONTEXTS) -> tuple[Credential, ...]:
    """The credentials in a presentation that was verified before, in the order shown; nothing is verified again.

    Raises:
        FormatError, CredentialError: As `issuers_of`.
    """
    return _read(presentation, contexts)[1]


def verify_credential(
    document: Mapping[str, Any],
    *,
    documents: Mapping[Did, DidDocument],
    now: Instant,
    lists: Mapping[str, StatusList] | None = None,
    suites: Collection[str] | None = None,
    contexts: Contexts = CONTEXTS,
) -> Credential:
    """The credential, once it is valid at `now`, signed by its issuer, and clear in the status `lists` that it names.

    Raises:
        CredentialError: `schema_violation`: not a credential; `policy_denied`: not valid at `now`;
            `revoked`, `status_unavailable`, `status_invalid`: as `check_status`; `did_unresolvable`: no document of
            its issuer in `documents`.
        FormatError: `too_large`, `context_not_allowed` and others of canonicalization.
        ProofError: As `verify_proof`; `key_not_authorized`: signed by somebody else than its issuer.
        VerificationError: The issuer's document does not list the key.

    Source: protocol-spec/02-identity-and-keys.md, section 2.6
    """
    verified = _verify(read_credential(document, contexts=contexts), documents, now, suites, contexts)
    check_status(verified, lists or {}, now)
    return verified


def verify_status_list(
    document: Mapping[str, Any],
    *,
    url: str,
    issuer: Did,
    documents: Mapping[Did, DidDocument],
    now: Instant,
    contexts: Contexts = CONTEXTS,
) -> StatusList:
    """The status list of `issuer` that was fetched from `url`, once it is valid at `now` and signed by that issuer.

    Raises:
        CredentialError: `status_unavailable`: another issuer's, wrongly signed, or not valid at `now`: nobody said
            anything that counts; `status_invalid`: signed, and not a list (`read_status_list`).

    Source: protocol-spec/02-identity-and-keys.md, section 2.9
    """
    try:
        credential = read_credential(document, contexts=contexts, max_bytes=MAX_LIST_DOCUMENT_BYTES)
        # Whose it is comes first: what a stranger made costs no signature, and is not inflated.
        if credential.issuer != issuer:
            raise CredentialError("status_unavailable", f"expected a list of {issuer}; came another issuer's")
    except FormatError as exc:
        raise CredentialError("status_invalid", exc.message, path=exc.path) from exc
    except CredentialError as exc:
        raise exc if exc.code == "status_unavailable" else CredentialError("status_invalid", str(exc)) from exc
    try:
        verified = _verify(credential, documents, now, None, contexts)
    except UndersignedError as exc:
        raise CredentialError("status_unavailable", f"{url} does not hold: {exc}") from exc
    return read_status_list(verified, url=url, issuer=issuer)


def verify_presentation(
    presentation: Mapping[str, Any],
    *,
    challenge: Digest,
    domain: Did,
    holder: Did,
    engagement: EngagementId,
    documents: Mapping[Did, DidDocument],
    now: Instant,
    suites: Collection[str] | None = None,
    contexts: Contexts = CONTEXTS,
) -> VerifiedPresentation:
    """The presentation, once the holder made it for this challenge, domain and engagement, and all in it holds.

    Status is not looked up here, because lists are fetched only for what is verified (HIRE-DID-06): `check_status`
    comes after it, and `evaluate` counts no credential without it.

    `challenge` is the digest of the move that asked, `domain` our own DID, `holder` the sender of the move that carries
    it, `documents` those that `issuers_of` named. That a challenge is used once follows from the state machine.

    Raises:
        FormatError: As `issuers_of`.
        CredentialError: As `verify_credential`; `holder_mismatch`: of another holder, or a credential about somebody
            else (SC-64); `wrong_negotiation`: made for another engagement.
        ProofError: `challenge_mismatch`, `proof_missing` and others of `verify_proof`.

    Source: protocol-spec/02-identity-and-keys.md, section 2.7
    """
    # Step 1: sizes and shape, before any cryptography (SC-102).
    named, credentials, digest = _read(presentation, contexts)

    # Step 2: the sender's, and about the sender.
    if named != holder:
        raise CredentialError(
            "holder_mismatch", f"expected a presentation by {holder}; came one by {named}", path="/holder"
        )
    for place, credential in enumerate(credentials):
        for subject in credential.subjects:
            if subject.get("id") != holder:
                raise CredentialError(
                    "holder_mismatch",
                    f"expected a credential about {holder}; came one about {subject.get('id')!a:.200}",
                    path=f"/verifiableCredential/{place}/credentialSubject",
                )

    # Step 3: for this engagement.
    if presentation.get("engagement") != engagement:
        raise CredentialError(
            "wrong_negotiation", f"expected engagement {engagement}; came another", path="/engagement"
        )

    # Step 4: the holder's proof, in answer to us.
    verify_proof(
        presentation,
        key=_key_of(holder, documents, now),
        purpose="authentication",
        now=now,
        challenge=challenge,
        domain=domain,
        suites=suites,
        contexts=contexts,
    )

    # Step 5: each credential by itself.
    verified: list[Credential] = []
    for place, credential in enumerate(credentials):
        try:
            verified.append(_verify(credential, documents, now, suites, contexts))
        except UndersignedError as error:
            error.path = f"/verifiableCredential/{place}{error.path}"
            raise
    return VerifiedPresentation(
        holder=holder,
        engagement=engagement,
        credentials=tuple(verified),
        digest=digest,
    )


def _verify(
    credential: Credential,
    documents: Mapping[Did, DidDocument],
    now: Instant,
    suites: Collection[str] | None,
    contexts: Contexts,
) -> Credential:
    proofs_of(credential.json)  # ProofError proof_missing, before anything that depends on us
    if not credential.valid_at(now):
        raise CredentialError(
            "policy_denied", f"valid from {credential.valid_from} until {credential.valid_until}; it is {now}"
        )
    verify_proof(
        credential.json,
        key=_key_of(credential.issuer, documents, now),
        purpose="assertionMethod",
        now=now,
        suites=suites,
        contexts=contexts,
        # Credentials are documents of others, whose standard allows both values of s.
        low_s=False,
    )
    return credential


def _read(presentation: Mapping[str, Any], contexts: Contexts) -> tuple[Did, tuple[Credential, ...], Digest]:
    """Holder, credentials and digest of a presentation whose sizes and shape are right; nothing is verified."""
    listed: Any = presentation.get("verifiableCredential", [])
    if not isinstance(listed, list):
        raise wrong("/verifiableCredential", "a list", listed)
    embedded = cast("list[Any]", listed)
    if len(embedded) > MAX_CREDENTIALS:
        raise FormatError("too_large", f"expected at most {MAX_CREDENTIALS} credentials; came {len(embedded)}")
    canonical = canonicalize(presentation)
    if len(canonical) > MAX_PRESENTATION_BYTES:
        raise FormatError("too_large", f"expected at most {MAX_PRESENTATION_BYTES} bytes; came {len(canonical)}")
    if unknown := sorted(set(presentation) - _MEMBERS):
        raise FormatError("unknown_term", "no such member of a presentation is defined", path=f"/{unknown[0][:80]}")
    check_contexts(presentation, contexts)
    if read_types(presentation, "VerifiablePresentation"):
        raise wrong("/type", "VerifiablePresentation alone", presentation.get("type"))
    holder: Any = presentation.get("holder")
    if not isinstance(holder, str) or not holder.startswith("did:"):
        raise wrong("/holder", "a DID", holder)
    credentials: list[Credential] = []
    for place, document in enumerate(embedded):
        if not isinstance(document, dict):
            raise wrong(f"/verifiableCredential/{place}", "a credential", document)
        credentials.append(read_credential(cast("JsonObject", document), contexts=contexts))
    issuers = {credential.issuer for credential in credentials} - {holder}
    if len(issuers) > MAX_ISSUERS:
        raise FormatError("too_large", f"expected at most {MAX_ISSUERS} issuers; came {len(issuers)}")
    return holder, tuple(credentials), digest_bytes(canonical)


def _key_of(did: Did, documents: Mapping[Did, DidDocument], now: Instant):
    def lookup(method: DidUrl, purpose: str) -> PublicKey:
        if method.partition("#")[0] != did:
            raise ProofError("key_not_authorized", f"expected a method of {did}; came {method!a:.200}")
        document = documents.get(did)
        if document is None:
            raise CredentialError("did_unresolvable", f"there is no document of {did}")
        return document.key_for(method, purpose, now=now)

    return lookup
