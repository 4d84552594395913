"""What people say about terms that the policy puts to them: signed statements, each about exact terms.

Under a contract they are those of one amendment, or what one release leaves owed, and the statement names that as well.

    document = approval(verdict="approve", terms=..., engagement=..., ...)    # signed by the person's own key
    said = verify_approval(signed, approvers, now=now)                        # or an error
    standing = weigh([said, ...], question, needed=approvals_needed(decision))

An approval settles only what the policy asks about. It changes no rule, so whatever the policy denies stays denied.

Source: protocol-spec/12-trust.md, section 12.10
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Annotated, Any, Final, Literal, cast

from msgspec import Meta, Struct

from undersigned.contract import Price, Terms, rebase
from undersigned.did import DidDocument, document_from
from undersigned.encoding import (
    Did,
    DidUrl,
    Digest,
    EngagementId,
    Instant,
    JsonObject,
    MessageId,
    canonicalize,
    digest_bytes,
    from_struct,
    write_canonical,
)
from undersigned.errors import ConfigurationError, UndersignedError, VerificationError
from undersigned.keys import PublicKey
from undersigned.proof import JCS_SUITES, proofs_of, verify_proof
from undersigned.scope import SKETCH_BASE
from undersigned.trust.decision import Decision
from undersigned.trust.signed import read_signed, write_signed

__all__ = [
    "Approver",
    "Approvers",
    "Put",
    "Standing",
    "Verdict",
    "VerifiedApproval",
    "approval",
    "approvals_needed",
    "release_digest",
    "terms_digest",
    "verify_approval",
    "weigh",
]

MAX_APPROVAL_BYTES: Final = 16 * 1024
MAX_APPROVERS: Final = 64
TYPE: Final = "Approval"

Verdict = Literal["approve", "refuse"]
Words = Annotated[str, Meta(min_length=1, max_length=1024)]


class Approver(Struct, frozen=True, kw_only=True):
    """A person who may approve."""

    name: str
    """As the configuration calls this person."""
    document: DidDocument
    key: PublicKey
    method: DidUrl

    @property
    def did(self) -> Did:
        """The DID that the key has."""
        return self.document.id


class Approvers(Struct, frozen=True):
    """All who may approve; no two of them have one key."""

    people: tuple[Approver, ...] = ()

    @classmethod
    def from_toml(cls, table: Mapping[str, str]) -> Approvers:
        """Those in a parsed `[approvers]` table: a did:key, a did:jwk or a public Multikey for each name.

        Raises:
            ConfigurationError: `bad_configuration`: one is something else, or two people have one key.
        """
        if len(table) > MAX_APPROVERS:
            raise ConfigurationError("bad_configuration", f"[approvers]: expected at most {MAX_APPROVERS} people")
        people: dict[PublicKey, Approver] = {}
        for name, text in table.items():
            found = _approver(name, text)
            if found.key in people:
                # Whoever has two names would be two people.
                raise ConfigurationError(
                    "bad_configuration", f"[approvers]: {people[found.key].name} and {name} have one key"
                )
            people[found.key] = found
        return cls(tuple(people.values()))

    def of_key(self, key: PublicKey) -> Approver | None:
        """The person with this key, if there is one."""
        return next((person for person in self.people if person.key == key), None)


class Put(Struct, frozen=True, kw_only=True):
    """What is put to people: exact terms, between two parties, in one engagement."""

    terms: Digest
    """As `terms_digest`, of a release as `release_digest`."""
    engagement: EngagementId
    hirer: Did
    provider: Did
    change: Digest | None = None
    """Under a contract: of the one amendment or release that they are of."""


class _Statement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    id: MessageId
    version: Literal["1.0"]
    verdict: Verdict
    terms: Digest
    engagement: EngagementId
    hirer: Did
    provider: Did
    given: Instant
    change: Digest | None = None
    note: Words | None = None


class VerifiedApproval(Struct, frozen=True, kw_only=True):
    """What one approver signed."""

    digest: Digest
    """Of the signed statement as bytes; names the evidence."""
    by: str
    """Name of the person."""
    did: Did
    verdict: Verdict
    about: Put
    given: Instant
    note: str = ""


class Standing(Struct, frozen=True, kw_only=True):
    """How far terms have come with the people they were put to."""

    state: Literal["waits", "approved", "refused"]
    needed: int
    approved: tuple[str, ...]
    """Names, sorted, each once."""
    refused: tuple[str, ...]

    def explain(self) -> str:
        """For a person, in a few words."""
        if self.state == "refused":
            return f"refused by {' and '.join(self.refused)}, for good"
        by = f" by {' and '.join(self.approved)}" if self.approved else ""
        return f"{len(self.approved)} of {self.needed} approvals{by}"


def terms_digest(terms: Terms) -> Digest:
    """Names terms exactly: any other price, date or grant has another one; who offers them, and when, does not matter.

    Raises:
        FormatError: `schema_violation`: the scope is not in the form that compiling gives.
    """
    # Ids in terms begin with the id of their document, so the same terms have other ids in each offer.
    return digest_bytes(write_canonical(rebase(terms, SKETCH_BASE)))


def release_digest(contract: Digest, owed: Price) -> Digest:
    """Names what a release leaves owed under a contract; whoever offers it, when and why does not matter."""
    named = {"type": "Release", "contract": contract, "settlement": from_struct(owed)}
    return digest_bytes(canonicalize(named))


def approvals_needed(decision: Decision) -> int:
    """How many people have to approve what `decision` asks about; 0 if it asks about nothing."""
    asks = {reason.clause for reason in decision.reasons if reason.code == "approval_required"}
    return 0 if not asks else 2 if "two_above" in asks else 1


def approval(*, id: str, verdict: Verdict, about: Put, given: Instant, note: str | None = None) -> JsonObject:
    """A statement about what was put, without its proof.

    Raises:
        FormatError: `schema_violation`: a part has another shape.
    """
    optional = {name: value for name, value in (("change", about.change), ("note", note)) if value is not None}
    return write_signed(
        TYPE,
        _Statement,
        MAX_APPROVAL_BYTES,
        id=id,
        verdict=verdict,
        terms=about.terms,
        engagement=about.engagement,
        hirer=about.hirer,
        provider=about.provider,
        given=given,
        **optional,
    )


def verify_approval(document: Mapping[str, Any], approvers: Approvers, *, now: Instant) -> VerifiedApproval:
    """What an approver signed, once the signature is known to be that person's.

    Raises:
        FormatError: `too_large`, `schema_violation`, `unknown_term`: not such a statement.
        ProofError: As `verify_proof`.
        VerificationError: `key_not_authorized`: by nobody who may approve.

    Source: protocol-spec/12-trust.md, section 12.10
    """
    # Step 1: the shape, and one proof.
    said: _Statement = read_signed(document, TYPE, _Statement, max_bytes=MAX_APPROVAL_BYTES)
    # Step 2: by one of the people, with that person's key. Nobody is named in the text, so nobody is who did not sign.
    proofs = proofs_of(document)
    first: object = proofs[0]
    named = str(cast("JsonObject", first).get("verificationMethod")) if isinstance(first, dict) else ""
    signer = next((person for person in approvers.people if person.method == named), None)
    if signer is None:
        raise VerificationError("key_not_authorized", f"{named[:160]!a} is of nobody in [approvers]", path="/proof")
    # Step 3: the signature, over all of it.
    key = partial(signer.document.key_for, now=now)
    verify_proof(document, key=key, purpose="assertionMethod", now=now, suites=JCS_SUITES)
    return VerifiedApproval(
        digest=digest_bytes(canonicalize(dict(document))),
        by=signer.name,
        did=signer.did,
        verdict=said.verdict,
        about=Put(
            terms=said.terms,
            engagement=said.engagement,
            hirer=said.hirer,
            provider=said.provider,
            change=said.change,
        ),
        given=said.given,
        note=said.note or "",
    )


def weigh(given: Iterable[VerifiedApproval], about: Put, *, needed: int) -> Standing:
    """Whether what was put is approved. One refusal of these terms ends it, in whichever engagement it was given.

    Approvals count only for exactly what was put, and each person once.

    Source: protocol-spec/12-trust.md, section 12.10
    """
    said = tuple(given)
    refused = {one.by for one in said if one.verdict == "refuse" and one.about.terms == about.terms}
    approved = {one.by for one in said if one.verdict == "approve" and one.about == about}
    state = "refused" if refused else "approved" if len(approved) >= max(needed, 1) else "waits"
    return Standing(state=state, needed=needed, approved=tuple(sorted(approved)), refused=tuple(sorted(refused)))


def _approver(name: str, text: str) -> Approver:
    did = text if text.startswith("did:") else f"did:key:{text}"
    try:
        # Those of other methods would have to be fetched, from somebody who may change them.
        document = document_from(did, {})
        method = document.methods("assertionMethod")[0]
        return Approver(
            name=name, document=document, method=method, key=document.key_for(method, "assertionMethod", now=None)
        )
    except (UndersignedError, IndexError) as exc:
        raise ConfigurationError(
            "bad_configuration", f"[approvers] {name}: expected a did:key, did:jwk or public key; came {text[:200]!a}"
        ) from exc
