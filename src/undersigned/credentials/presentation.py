"""Presentations: reading one, and whether its holder made it for us and all that it shows holds.

Each function gives the verified thing or raises; each credential is verified by itself (`verify`), for the holder's
proof never speaks for it. Limits stand before cryptography, and what needs to be fetched is asked for as a value
(`ShownPresentation.parties`).

Source: protocol-spec/02-identity-and-keys.md, section 2.7; protocol-spec/11-credentials.md
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple, cast

from msgspec import Struct

from undersigned.credentials.envelope import is_enveloped, open_envelope
from undersigned.credentials.jws import PRESENTATION_JWT, Jws
from undersigned.credentials.model import (
    MAX_CREDENTIALS,
    Credential,
    check_claims,
    check_contexts,
    read_credential,
    wrong,
)
from undersigned.credentials.verify import signer_keys, verify_issued, verify_signed_text
from undersigned.did import DidDocument
from undersigned.encoding import (
    Did,
    DidUrl,
    Digest,
    EngagementId,
    Instant,
    JsonObject,
    canonicalize,
    digest_bytes,
    shift,
    write_canonical,
)
from undersigned.errors import CredentialError, FormatError, ProofError, UndersignedError
from undersigned.jsonld import CONTEXTS, Contexts
from undersigned.proof import MAX_SKEW_SECONDS, lone_proof, verify_proof

__all__ = [
    "ShownPresentation",
    "VerifiedPresentation",
    "open_presentation",
    "read_presentation",
    "verify_answer",
    "verify_presentation",
    "verify_shown",
]

MAX_PRESENTATION_BYTES: Final = 128 * 1024
MAX_ISSUERS: Final = 8
"""Different issuers in one presentation: each may be a host to be asked (SC-103)."""

_MEMBERS: Final = frozenset({"@context", "id", "type", "holder", "engagement", "verifiableCredential"})
_CLAIMS: Final = frozenset({"iss", "aud", "nonce", "jti", "iat", "nbf", "exp"})
"""What a presentation that is one signed text says as a JWT."""


class VerifiedPresentation(Struct, frozen=True, kw_only=True):
    """A presentation made for us, for this engagement, with every credential in it verified."""

    holder: Did
    engagement: EngagementId
    credentials: tuple[Credential, ...]
    """In the order shown; each is about the holder. Their status is still to be checked (`check_status`)."""
    digest: Digest
    """Of the canonical form, proofs included: what a decision was made on."""
    verified: Instant = ""
    """When it was."""
    by: tuple[DidDocument, ...] = ()
    """The documents of its holder and of the issuers, by which it was."""


class ShownPresentation(NamedTuple):
    """A presentation whose sizes and shape are right. Believe nothing in it."""

    json: Mapping[str, Any]
    """As it came."""
    holder: Did
    credentials: tuple[Credential, ...]
    digest: Digest
    content: Mapping[str, Any]
    """Its members: of an enveloped one, what its text says."""
    jws: Jws | None
    unproved: bytes | None = None
    """Canonical form without its proof, where it came in a message."""

    @property
    def parties(self) -> tuple[Did, ...]:
        """The DIDs whose documents `verify_presentation` needs, the holder's first."""
        return (self.holder, *sorted({credential.issuer for credential in self.credentials} - {self.holder}))

    @property
    def method(self) -> DidUrl:
        """The verification method that the holder's proof names; empty if it names none."""
        if self.jws is not None:
            return self.jws.method
        named: Any = lone_proof(self.content).get("verificationMethod")
        return named if isinstance(named, str) else ""


def read_presentation(
    presentation: Mapping[str, Any], *, contexts: Contexts = CONTEXTS, strict: bool = False
) -> ShownPresentation:
    """The presentation in this JSON object, once its sizes and shape are right; nothing in it is verified.

    `strict` says that it came in a message, so that its canonical form is written without a second look.

    Raises:
        FormatError: `too_large`: more than 16 credentials, one above 64 KiB, all above 128 KiB, or more than 8 issuers.
        CredentialError: `schema_violation`: not a presentation of ours.

    Source: protocol-spec/02-identity-and-keys.md, section 2.7
    """
    content, jws = presentation, None
    if is_enveloped(presentation, PRESENTATION_JWT):
        jws = open_presentation(presentation)
        content = jws.payload
    listed: Any = content.get("verifiableCredential", [])
    if not isinstance(listed, list):
        raise wrong("/verifiableCredential", "a list", listed)
    embedded = cast("list[Any]", listed)
    if len(embedded) > MAX_CREDENTIALS:
        raise FormatError("too_large", f"expected at most {MAX_CREDENTIALS} credentials; came {len(embedded)}")
    canonical = write_canonical(presentation) if strict else canonicalize(presentation)
    if len(canonical) > MAX_PRESENTATION_BYTES:
        raise FormatError("too_large", f"expected at most {MAX_PRESENTATION_BYTES} bytes; came {len(canonical)}")
    if jws is None:
        _check_members(content, _MEMBERS | {"proof"})
    check_contexts(content, contexts)
    if content.get("type") not in (["VerifiablePresentation"], "VerifiablePresentation"):
        raise wrong("/type", "VerifiablePresentation alone", content.get("type"))
    holder: Any = content.get("holder")
    if not isinstance(holder, str) or not holder.startswith("did:"):
        raise wrong("/holder", "a DID", holder)
    credentials: list[Credential] = []
    for place, document in enumerate(embedded):
        if not isinstance(document, dict):
            raise wrong(f"/verifiableCredential/{place}", "a credential", document)
        try:
            # The reader of messages saw an envelope as one text, and not what is in it.
            credentials.append(
                read_credential(cast("JsonObject", document), contexts=contexts, strict=strict and jws is None)
            )
        except UndersignedError as error:
            error.path = f"/verifiableCredential/{place}{error.path}"
            raise
    issuers = {credential.issuer for credential in credentials} - {holder}
    if len(issuers) > MAX_ISSUERS:
        raise FormatError("too_large", f"expected at most {MAX_ISSUERS} issuers; came {len(issuers)}")
    bare = {name: value for name, value in presentation.items() if name != "proof"}
    unproved = write_canonical(bare) if strict else None
    return ShownPresentation(presentation, holder, tuple(credentials), digest_bytes(canonical), content, jws, unproved)


def open_presentation(presentation: Mapping[str, Any]) -> Jws:
    """The signed text in the envelope of a presentation, which says nothing that is not defined; it is not verified.

    Raises:
        CredentialError, FormatError, ProofError: As `open_envelope`; `unknown_term`: another member.

    Source: protocol-spec/11-credentials.md, sections 11.2 and 11.3
    """
    jws = open_envelope(presentation, PRESENTATION_JWT)
    _check_members(jws.payload, _MEMBERS | _CLAIMS)
    return jws


def _check_members(content: Mapping[str, Any], defined: frozenset[str]) -> None:
    if unknown := sorted(set(content) - defined):
        raise FormatError("unknown_term", "no such member of a presentation is defined", path=f"/{unknown[0][:80]}")


def verify_presentation(
    presentation: Mapping[str, Any] | ShownPresentation,
    *,
    challenge: Digest,
    domain: Did,
    holder: Did,
    engagement: EngagementId,
    documents: Mapping[Did, DidDocument],
    now: Instant,
    answered: Instant | None = None,
    suites: Collection[str] | None = None,
    contexts: Contexts = CONTEXTS,
    leave_out: bool = False,
) -> VerifiedPresentation:
    """The presentation, once the holder made it for this challenge, domain and engagement, and all in it holds.

    Status is not looked up here, because lists are fetched only for what is verified (HIRE-DID-06): `check_status`
    comes after it, and `evaluate` counts no credential without it.

    `challenge` is the digest of the move that asked, `domain` our own DID, `holder` the sender of the move that carries
    it, `documents` those of its `parties`. That a challenge is used once follows from the state machine. `answered` and
    `leave_out` are as of `verify_shown`.

    Raises:
        FormatError: As `read_presentation`.
        CredentialError: As `verify_credential`; `holder_mismatch`: of another holder, or a credential about somebody
            else (SC-64); `wrong_negotiation`: made for another engagement.
        ProofError: `challenge_mismatch`, `proof_missing` and others of `verify_proof`.

    Source: protocol-spec/02-identity-and-keys.md, section 2.7
    """
    # Step 1: sizes and shape, before any cryptography (SC-102).
    shown = (
        presentation
        if isinstance(presentation, ShownPresentation)
        else read_presentation(presentation, contexts=contexts)
    )

    # Step 2: the sender's, and about the sender.
    if shown.holder != holder:
        raise CredentialError(
            "holder_mismatch", f"expected a presentation by {holder}; came one by {shown.holder!a:.200}", path="/holder"
        )
    for place, credential in enumerate(shown.credentials):
        for subject in credential.subjects:
            if subject.get("id") != holder:
                raise CredentialError(
                    "holder_mismatch",
                    f"expected a credential about {holder}; came one about {subject.get('id')!a:.200}",
                    path=f"/verifiableCredential/{place}/credentialSubject",
                )

    # Step 3: one of ours, for this engagement.
    for name in ("id", "engagement"):
        if not isinstance(shown.content.get(name), str):
            raise wrong(f"/{name}", "text", shown.content.get(name))
    if shown.content.get("engagement") != engagement:
        raise CredentialError(
            "wrong_negotiation", f"expected engagement {engagement}; came another", path="/engagement"
        )

    # Steps 4 and 5: the holder's proof, in answer to us, and each credential by itself.
    verified = verify_shown(
        shown,
        challenge=challenge,
        domain=domain,
        documents=documents,
        now=now,
        answered=answered,
        suites=suites,
        contexts=contexts,
        leave_out=leave_out,
    )
    return VerifiedPresentation(
        holder=holder,
        engagement=engagement,
        credentials=verified,
        digest=shown.digest,
        verified=answered or now,
        by=tuple([documents[did] for did in shown.parties if did in documents]),
    )


def verify_shown(
    shown: ShownPresentation,
    *,
    challenge: str | None,
    domain: str | None,
    documents: Mapping[Did, DidDocument],
    now: Instant,
    answered: Instant | None = None,
    suites: Collection[str] | None = None,
    contexts: Contexts = CONTEXTS,
    foreign: bool = False,
    leave_out: bool = False,
) -> tuple[Credential, ...]:
    """The credentials of a presentation, once its holder made it in answer to this and each of them holds.

    Who the holder is to us, whom the credentials are about, and their status is still to be looked at: of what belongs
    to an engagement, `verify_presentation` does. `None` expects a presentation that names no challenge, or no domain.
    `foreign` is as of `verify_proof`: between peers, the holder's proof has one spelling. `answered` is when what is
    verified again was recorded: the holder's proof is good for minutes, and was checked in them. `leave_out`: what was
    not in its time then, or has a schema that is not known here, is refused otherwise, and now is not among what is
    given back; what has ended since is.

    Raises:
        As `verify_presentation`, without `holder_mismatch` and `wrong_negotiation`; `policy_denied` only where nothing
            else is wrong, and not with `leave_out`.

    Source: protocol-spec/02-identity-and-keys.md, section 2.7
    """
    then = answered or now
    key = signer_keys((shown.holder,), documents, then)
    if shown.jws is not None:
        verify_answer(shown.jws, challenge, domain, then)
        verify_signed_text(shown.jws, key, "authentication", then, suites)
    else:
        verify_proof(
            shown.json,
            key=key,
            purpose="authentication",
            now=then,
            challenge=challenge,
            domain=domain,
            suites=suites,
            jcs=shown.unproved,
            contexts=contexts,
            foreign=foreign,
        )
    verified: list[Credential] = []
    outside: list[CredentialError] = []
    for place, credential in enumerate(shown.credentials):
        try:
            one = verify_issued(
                credential,
                documents=documents,
                now=now,
                valid_at=then if leave_out else now,
                suites=suites,
                contexts=contexts,
            )
            verified.append(one)
        except UndersignedError as error:
            error.path = f"/verifiableCredential/{place}{error.path}"
            if not isinstance(error, CredentialError) or error.code != "policy_denied":
                raise
            outside.append(error)  # a signature that does not hold behind it weighs more
    if outside and not leave_out:
        raise outside[0]
    return tuple(verified)


def verify_answer(signed: Jws, challenge: str | None, domain: str | None, now: Instant) -> None:
    """Return if a presentation that is a signed text answers this challenge, is for this domain, and in time.

    Raises:
        ProofError: `challenge_mismatch`, `proof_from_future`, `proof_expired`.
        CredentialError: `schema_violation`: says as a JWT what it does not as a document.

    Source: protocol-spec/11-credentials.md, section 11.2
    """
    claims = signed.payload
    for member, expected in (("nonce", challenge), ("aud", domain)):
        if claims.get(member) != expected:
            raise ProofError(
                "challenge_mismatch", f"expected {member} {expected}; came {claims.get(member)!a:.128}", path="/id"
            )
    begins, ends = check_claims(claims, str(claims.get("holder")))
    if begins is not None and begins > shift(now, MAX_SKEW_SECONDS):
        raise ProofError("proof_from_future", f"expected {now} or before; came {begins}", path="/id")
    if ends is not None and now > ends:
        raise ProofError("proof_expired", f"expected {now} or later; came {ends}", path="/id")
