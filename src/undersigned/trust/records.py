"""Anchors as signed records: who added one, on what evidence, and whether enough people did.

    document = anchor_record(...)                                  # or adoption(...) of a signed set
    signed = attach(document, config, signature)                   # undersigned.proof; a second person does the same
    record = verify_record(signed, rule, documents=..., now=...)   # or an error

What a record says is under the proofs, and who added it is who made them: nobody is named who did not sign.

Source: protocol-spec/12-trust.md, section 12.7
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, cast

from msgspec import Meta, Struct

from undersigned.credentials import signer_keys
from undersigned.did import DidDocument, document_from, is_derived
from undersigned.encoding import Did, Digest, Instant, JsonObject, canonicalize, digest_of, from_struct
from undersigned.errors import CredentialError, FormatError, VerificationError
from undersigned.proof import JCS_SUITES, proofs_of, verify_proof_set
from undersigned.trust.anchor_sets import AnchorSet, SignedAnchors, check_issuer
from undersigned.trust.anchors import ANY, Anchor
from undersigned.trust.signed import read_signed, write_signed

__all__ = [
    "AddingRule",
    "RecordContent",
    "VerifiedRecord",
    "adoption",
    "anchor_record",
    "read_record",
    "signers_of",
    "verify_record",
]

MAX_PEOPLE: Final = 8

Evidence = Annotated[str, Meta(min_length=1, max_length=1024)]


class _Record(SignedAnchors, frozen=True, kw_only=True):
    added: Instant
    evidence: Evidence
    anchor: Anchor | None = None
    set: dict[str, Any] | None = None
    document: dict[str, Any] | None = None


class RecordContent(Struct, frozen=True, kw_only=True):
    """What a record says, whoever signed it."""

    anchors: tuple[Anchor, ...]
    """One, or those of a set, which end with the set."""
    added: Instant
    evidence: str
    set: AnchorSet | None = None
    signed_set: JsonObject | None = None
    """The set with its issuer's proof."""
    document: JsonObject | None = None
    """Of the set's issuer, as it was when the set was adopted."""


class AddingRule(Struct, frozen=True, kw_only=True):
    """Who may add anchors, and how far one person's word goes."""

    people: Annotated[tuple[Did, ...], Meta(max_length=64)]
    reach_of_one: Annotated[int, Meta(ge=-1, le=ANY)] = ANY
    """Widest reach that one person may add; above it two must. -1: always two."""

    def needed(self, anchors: Iterable[Anchor]) -> int:
        """How many people have to add these."""
        return 1 if max((anchor.reach for anchor in anchors), default=0) <= self.reach_of_one else 2


class VerifiedRecord(Struct, frozen=True, kw_only=True):
    """A record that enough people have signed."""

    digest: Digest
    """Of the record without its proofs: names it, whoever signs it later."""
    anchors: tuple[Anchor, ...]
    """One, or those of a set, which end with the set."""
    added: Instant
    added_by: tuple[Did, ...]
    """Sorted."""
    evidence: str
    set: AnchorSet | None = None


def anchor_record(*, id: str, anchor: Anchor, evidence: str, added: Instant) -> JsonObject:
    """The record by which `anchor` is added, without proofs. `evidence`: words, or a digest.

    Raises:
        FormatError: `schema_violation`: a part has another shape.
    """
    return write_signed("AnchorRecord", _Record, id=id, added=added, evidence=evidence, anchor=from_struct(anchor))


def adoption(
    *, id: str, signed_set: Mapping[str, Any], document: DidDocument, evidence: str, added: Instant
) -> JsonObject:
    """The record by which a set, with its issuer's proof, is adopted; without the proofs of those who adopt it.

    `document` is the DID document of the set's issuer, by which `verify_set` verified it; it goes into the record,
    unless it follows from the DID.

    Raises:
        FormatError: `schema_violation`: a part has another shape.
    """
    pinned = {} if is_derived(document.id) else {"document": document.json}
    return write_signed("AnchorRecord", _Record, id=id, added=added, evidence=evidence, set=dict(signed_set), **pinned)


def read_record(document: Mapping[str, Any]) -> RecordContent:
    """What a record says. Nothing is verified.

    Raises:
        FormatError: `too_large`, `schema_violation`, `unknown_term`: not a record.
    """
    record: _Record = read_signed(document, "AnchorRecord", _Record)
    found: AnchorSet | None = None
    if record.anchor is not None and record.set is None and record.document is None:
        anchors = (record.anchor,)
    elif record.anchor is None and record.set is not None:
        found = cast("AnchorSet", read_signed(record.set, "AnchorSet", AnchorSet))
        anchors = found.lasting
    else:
        text = "expected one of anchor and set, and a DID document only with a set"
        raise FormatError("schema_violation", text, path="/anchor")
    return RecordContent(
        anchors=anchors,
        added=record.added,
        evidence=record.evidence,
        set=found,
        signed_set=record.set,
        document=record.document,
    )


def verify_record(
    document: Mapping[str, Any], rule: AddingRule, *, documents: Mapping[Did, DidDocument], now: Instant
) -> VerifiedRecord:
    """The record, once enough people have added it.

    A set inside carries its issuer's proof, which is verified as of the instant at which the set was adopted, by the
    document that those who adopted it have signed: so no network is needed, and a key that the issuer gives up later
    takes nothing away.

    Raises:
        FormatError: `too_large`, `schema_violation`, `unknown_term`: not a record.
        ProofError: As `verify_proof_set`; `key_not_authorized`: by somebody whom `rule` does not name, or a set by
            another than its issuer; `proof_missing`, `proof_invalid`: of the record, or of the set in it.
        CredentialError: `did_unresolvable`: no document of the set's issuer in the record.
        VerificationError: `approval_required`: a second person has to sign; `did_unresolvable`: no document of one;
            `did_document_invalid`: of the set's issuer.

    Source: protocol-spec/12-trust.md, section 12.7
    """
    # Step 1: the shape; one anchor or one set.
    content = read_record(document)

    # Step 2: who signed. Each is one of our people, and none counts twice.
    signers = signers_of(document)
    if strangers := sorted(set(signers) - set(rule.people)):
        text = f"expected proofs by {' or '.join(rule.people) or 'nobody'}; came one by {strangers[0]}"
        raise VerificationError("key_not_authorized", text, path="/proof")
    lookup = signer_keys(signers, documents, now)
    verify_proof_set(
        document, key=lookup, purpose="assertionMethod", required=sorted(signers), now=now, suites=JCS_SUITES
    )

    # Step 3: a set is its issuer's.
    if content.set is not None and content.signed_set is not None:
        issuer = content.set.issuer
        check_issuer(content.signed_set, issuer, {issuer: _pinned(issuer, content.document)}, content.added)

    # Step 4: enough people for this reach.
    if len(signers) < rule.needed(content.anchors):
        raise VerificationError(
            "approval_required", f"an anchor of this reach takes two people; {' and '.join(signers)} signed"
        )
    return VerifiedRecord(
        digest=digest_of(cast("JsonObject", dict(document))),
        anchors=content.anchors,
        added=content.added,
        added_by=tuple(sorted(signers)),
        evidence=content.evidence,
        set=content.set,
    )


def _pinned(issuer: Did, document: JsonObject | None) -> DidDocument:
    """The document of a set's issuer: what follows from its DID, else what is in the record."""
    if is_derived(issuer):
        if document is not None:
            raise FormatError("schema_violation", f"the document of {issuer} follows from the DID", path="/document")
        return document_from(issuer, {})
    if document is None:
        raise CredentialError("did_unresolvable", f"there is no document of {issuer} in the record", path="/document")
    return DidDocument(issuer, canonicalize(document))


def signers_of(document: Mapping[str, Any]) -> tuple[Did, ...]:
    """The DIDs that the proofs name, in their order; nothing is verified.

    Raises:
        ProofError: `proof_missing`.
        FormatError: `schema_violation`: not proofs, or too many.
    """
    proofs = proofs_of(document)
    if len(proofs) > MAX_PEOPLE:
        raise FormatError(
            "schema_violation", f"expected at most {MAX_PEOPLE} proofs; came {len(proofs)}", path="/proof"
        )
    named: list[Did] = []
    for proof in proofs:
        method: object = cast("JsonObject", proof).get("verificationMethod") if isinstance(proof, dict) else None
        if not isinstance(method, str):
            raise FormatError("schema_violation", "expected proofs with their verificationMethod", path="/proof")
        named.append(method.partition("#")[0])
    return tuple(named)
