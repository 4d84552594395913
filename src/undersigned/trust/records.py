"""Anchors as signed records: who added one, on what evidence, and whether enough people did.

    document = anchor_record(...)                                  # or adoption(...) of a signed set
    signed = attach(document, config, signature)                   # undersigned.proof; a second person does the same
    record = verify_record(signed, rule, documents=..., now=...)   # or an error

What a record says is under the proofs, and who added it is who made them: nobody is named who did not sign.

Source: protocol-spec/12-trust.md, section 12.7
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal, cast

from msgspec import Meta, Struct

from undersigned.did import DidDocument
from undersigned.encoding import (
    Did,
    DidUrl,
    Digest,
    Instant,
    JsonObject,
    MessageId,
    canonicalize,
    digest_of,
    from_struct,
    to_struct,
)
from undersigned.errors import CredentialError, FormatError, VerificationError
from undersigned.jsonld import HIRE_CONTEXT
from undersigned.keys import PublicKey
from undersigned.proof import KeyLookup, proof_config, proofs_of, verify_proof, verify_proof_set
from undersigned.trust.anchors import ANY, Anchor

__all__ = [
    "MAX_RECORD_BYTES",
    "AddingRule",
    "AnchorChanges",
    "AnchorSet",
    "VerifiedRecord",
    "adoption",
    "anchor_changes",
    "anchor_record",
    "anchor_set",
    "check_successor",
    "record_config",
    "verify_record",
    "verify_set",
]

MAX_RECORD_BYTES: Final = 256 * 1024
MAX_PEOPLE: Final = 8
SUITES: Final = ("eddsa-jcs-2022", "ecdsa-jcs-2019")
"""Records are JSON of our own and in no JSON-LD vocabulary, so only the suites that sign JSON itself cover them."""

Evidence = Annotated[str, Meta(min_length=1, max_length=1024)]


class _Signed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """What a record and a set have in common."""

    id: MessageId
    version: Literal["1.0"]


class AnchorSet(_Signed, frozen=True, kw_only=True):
    """What a body publishes for its industry, without its proof."""

    issuer: Did
    number: Annotated[int, Meta(ge=1, le=2**53 - 1)]
    """Of the version; a higher one replaces a lower one."""
    published: Instant
    until: Instant | None = None
    """Last second in which any of it is believed."""
    anchors: Annotated[tuple[Anchor, ...], Meta(max_length=1024)]


class _Record(_Signed, frozen=True, kw_only=True):
    added: Instant
    evidence: Evidence
    anchor: Anchor | None = None
    set: dict[str, Any] | None = None


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
    return _document("AnchorRecord", id=id, added=added, evidence=evidence, anchor=from_struct(anchor))


def adoption(*, id: str, signed_set: Mapping[str, Any], evidence: str, added: Instant) -> JsonObject:
    """The record by which a set, with its issuer's proof, is adopted; without the proofs of those who adopt it.

    Raises:
        FormatError: `schema_violation`: a part has another shape.
    """
    return _document("AnchorRecord", id=id, added=added, evidence=evidence, set=dict(signed_set))


def anchor_set(
    *,
    id: str,
    issuer: Did,
    number: int,
    published: Instant,
    anchors: Iterable[Anchor],
    until: Instant | None = None,
) -> JsonObject:
    """A set to be published, without its issuer's proof.

    Raises:
        FormatError: `schema_violation`: a part has another shape.
    """
    ending = {} if until is None else {"until": until}
    listed = [from_struct(anchor) for anchor in anchors]
    return _document("AnchorSet", id=id, issuer=issuer, number=number, published=published, anchors=listed, **ending)


def record_config(suite: str, method: DidUrl, created: Instant) -> JsonObject:
    """Options of a proof on a record or set."""
    return proof_config(suite, method, "assertionMethod", created)


def verify_set(document: Mapping[str, Any], *, documents: Mapping[Did, DidDocument], now: Instant) -> AnchorSet:
    """The set, once its issuer signed it and it has not ended.

    Raises:
        FormatError: `too_large`, `schema_violation`, `unknown_term`: not an anchor set.
        CredentialError: `policy_denied`: it has ended; `did_unresolvable`: no document of its issuer in `documents`.
        ProofError: As `verify_proof`.

    Source: protocol-spec/12-trust.md, section 12.7
    """
    found = _read(document, "AnchorSet", AnchorSet)
    if found.until is not None and found.until < now:
        raise CredentialError("policy_denied", f"the set ended at {found.until}; it is {now}", path="/until")
    lookup = signer_keys((found.issuer,), documents, now)
    verify_proof(document, key=lookup, purpose="assertionMethod", now=now, suites=SUITES)
    return found


def verify_record(
    document: Mapping[str, Any], rule: AddingRule, *, documents: Mapping[Did, DidDocument], now: Instant
) -> VerifiedRecord:
    """The record, once enough people have added it.

    The proof of a set inside is not checked here: it was when the set was adopted (`verify_set`), and those who adopted
    it have signed the whole of it.

    Raises:
        FormatError: `too_large`, `schema_violation`, `unknown_term`: not a record.
        ProofError: As `verify_proof_set`; `key_not_authorized`: by somebody whom `rule` does not name.
        VerificationError: `approval_required`: a second person has to sign; `did_unresolvable`: no document of one.

    Source: protocol-spec/12-trust.md, section 12.7
    """
    # Step 1: the shape; one anchor or one set.
    record = _read(document, "AnchorRecord", _Record)
    if (record.anchor is None) == (record.set is None):
        raise FormatError("schema_violation", "expected one of anchor and set", path="/anchor")
    found = _read(record.set, "AnchorSet", AnchorSet) if record.set is not None else None
    if record.anchor is not None:
        anchors = (record.anchor,)
    else:
        anchors = tuple(_ending(anchor, found.until) for anchor in found.anchors) if found else ()

    # Step 2: who signed. Each is one of our people, and none counts twice.
    signers = signers_of(document)
    if strangers := sorted(set(signers) - set(rule.people)):
        text = f"expected proofs by {' or '.join(rule.people) or 'nobody'}; came one by {strangers[0]}"
        raise VerificationError("key_not_authorized", text, path="/proof")
    lookup = signer_keys(signers, documents, now)
    verify_proof_set(document, key=lookup, purpose="assertionMethod", required=sorted(signers), now=now, suites=SUITES)

    # Step 3: enough of them for this reach.
    if len(signers) < rule.needed(anchors):
        raise VerificationError(
            "approval_required", f"an anchor of this reach takes two people; {' and '.join(signers)} signed"
        )
    return VerifiedRecord(
        digest=digest_of(cast("JsonObject", dict(document))),
        anchors=anchors,
        added=record.added,
        added_by=tuple(sorted(signers)),
        evidence=record.evidence,
        set=found,
    )


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


def check_successor(old: AnchorSet, new: AnchorSet) -> None:
    """Returns if `new` may take the place of `old`, or is the same.

    Raises:
        CredentialError: `policy_denied`: of another issuer or id, older, or another content under the same number.
    """
    if (old.issuer, old.id) != (new.issuer, new.id):
        raise CredentialError("policy_denied", f"expected the set {old.id} of {old.issuer}; came another")
    if new.number < old.number or (new.number == old.number and new != old):
        raise CredentialError(
            "policy_denied",
            f"expected a number above {old.number}; came {new.number} with other content",
            path="/number",
        )


class AnchorChanges(Struct, frozen=True, kw_only=True):
    """How one list of anchors differs from another; each part sorted."""

    added: tuple[Anchor, ...]
    removed: tuple[Anchor, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed)


def anchor_changes(old: Iterable[Anchor], new: Iterable[Anchor]) -> AnchorChanges:
    """What would be believed more, and what no longer. A changed anchor is one removed and one added."""
    before, after = ({canonicalize(from_struct(one)): one for one in anchors} for anchors in (old, new))
    return AnchorChanges(
        added=tuple(after[key] for key in sorted(after.keys() - before.keys())),
        removed=tuple(before[key] for key in sorted(before.keys() - after.keys())),
    )


def _ending(anchor: Anchor, until: Instant | None) -> Anchor:
    ends = [one for one in (anchor.until, until) if one is not None]
    return Anchor(
        issuer=anchor.issuer,
        types=anchor.types,
        capabilities=anchor.capabilities,
        depth=anchor.depth,
        until=min(ends, default=None),
    )


def _document(type: Literal["AnchorRecord", "AnchorSet"], **members: Any) -> JsonObject:
    document: JsonObject = {"@context": HIRE_CONTEXT, "type": type, "version": "1.0", **members}
    if type == "AnchorSet":
        _read(document, type, AnchorSet)
    else:
        _read(document, type, _Record)
    return document


def _read(document: Mapping[str, Any], type: str, of: Any) -> Any:
    """The members as a struct. Type and context make sure that a proof for something else is none for this."""
    canonical = canonicalize(document)
    if len(canonical) > MAX_RECORD_BYTES:
        raise FormatError("too_large", f"expected at most {MAX_RECORD_BYTES} bytes; came {len(canonical)}")
    for name, expected in (("@context", HIRE_CONTEXT), ("type", type)):
        if document.get(name) != expected:
            raise FormatError(
                "schema_violation", f"expected {expected}; came {document.get(name)!a:.120}", path=f"/{name}"
            )
    return to_struct({name: value for name, value in document.items() if name not in ("@context", "type", "proof")}, of)


def signer_keys(signers: Iterable[Did], documents: Mapping[Did, DidDocument], now: Instant) -> KeyLookup:
    """The keys of these signers, and of nobody else."""
    allowed = frozenset(signers)

    def lookup(method: DidUrl, purpose: str) -> PublicKey:
        did = method.partition("#")[0]
        if did not in allowed:
            raise VerificationError("key_not_authorized", f"expected a method of {' or '.join(sorted(allowed))}")
        document = documents.get(did)
        if document is None:
            raise CredentialError("did_unresolvable", f"there is no document of {did}")
        return document.key_for(method, purpose, now=now)

    return lookup
