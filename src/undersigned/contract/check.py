"""Whether a document is whole, and is the one that this offer may carry.

Shape was checked when it was decoded. Here its parts are held against each other and against the engagement: who,
which place, which negotiation. Proofs are checked in `sealed.py`.

Source: protocol-spec/07-contract.md, section 7.1
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final, NamedTuple, TypeVar, cast

from msgspec import ValidationError
from msgspec.json import decode
from msgspec.structs import replace

from undersigned.contract.document import (
    AmendmentDocument,
    ContractDocument,
    Document,
    ReleaseDocument,
    Role,
    SignedDocument,
    Transcript,
    document_id,
)
from undersigned.contract.terms import MAX_ITEMS, Milestone, Terms
from undersigned.encoding import (
    Did,
    Digest,
    EngagementId,
    canonicalize,
    check_sayable,
    digest_of,
    from_struct,
    parse_duration,
    to_struct,
    write_canonical,
)
from undersigned.errors import ContractError, FormatError
from undersigned.jsonld import HIRE_CONTEXT, code_of_unknown
from undersigned.scope import whole_scope

__all__ = [
    "MAX_DOCUMENT_BYTES",
    "DocumentName",
    "canonical_document",
    "check_document",
    "check_milestones",
    "check_parts",
    "check_terms",
    "contract_digest",
    "read_contract",
    "read_document",
    "read_linked",
]

T = TypeVar("T")

MAX_DOCUMENT_BYTES: Final = 64 * 1024
"""Largest document, in canonical form without its proofs; those are bounded by the limits of the reader."""

_NAME: Final = re.compile(r"(.+):(hirer|provider):([1-9][0-9]{0,15})")


class DocumentName(NamedTuple):
    """What the id of a document says: the place of the offer that carries it."""

    engagement: EngagementId
    role: Role
    """Of the offerer."""
    sequence: int

    @classmethod
    @lru_cache(maxsize=256)
    def parse(cls, identifier: str) -> DocumentName:
        """The parts of a document's id.

        Raises:
            FormatError: `schema_violation`: not `<engagement>:<role>:<sequence>`.
        """
        found = _NAME.fullmatch(identifier)
        if found is None:
            raise FormatError(
                "schema_violation", f"expected <engagement>:<role>:<sequence>, got {identifier!r:.200}", path="/id"
            )
        return cls(found[1], "hirer" if found[2] == "hirer" else "provider", int(found[3]))


def read_document(document: Mapping[str, Any], *, jcs: bytes | None = None) -> Document:
    """The contract, amendment or release in this JSON object, once it is well-formed and its parts agree.

    `jcs` is its canonical form without proofs, if the caller has it.

    Raises:
        FormatError: `schema_violation`, `unknown_term`, `too_large`, `context_not_allowed`.
        ContractError: `self_dealing`: hirer and provider are one.

    Source: protocol-spec/07-contract.md, section 7.1
    """
    if len(unproved(document) if jcs is None else jcs) > MAX_DOCUMENT_BYTES:
        raise FormatError("too_large", f"expected a document of at most {MAX_DOCUMENT_BYTES} bytes")
    # A union of structs is no class for the type checker; their tags tell them apart.
    read = cast("Document", read_linked(document, cast("type[Any]", Document)))
    check_parts(read)
    return read


def read_linked(document: Mapping[str, Any], of: type[T]) -> T:
    """The JSON-LD document, which came alone or as JSON in a message, as an `of`.

    Raises:
        FormatError: `context_not_allowed`; `schema_violation`, `unknown_term`: as `to_struct`.

    Source: protocol-spec/04-envelope-and-digests.md, section 4.7
    """
    if document.get("@context") != HIRE_CONTEXT:
        raise FormatError("context_not_allowed", f"expected exactly {HIRE_CONTEXT!r}; came another", path="/@context")
    try:
        return to_struct(document, of)
    except FormatError as exc:
        if exc.code == "unknown_term":
            code = code_of_unknown(exc.path.rpartition("/")[2])
            raise FormatError(code, exc.message, path=exc.path) from exc
        raise


def read_contract(document: Mapping[str, Any]) -> ContractDocument:
    """As `read_document`, for one that has terms: a contract or an amendment.

    Raises:
        FormatError: Also `schema_violation`: it is a release.
        ContractError: As `read_document`.
    """
    read = read_document(document)
    if isinstance(read, ReleaseDocument):
        raise _wrong("/type", "a document with terms", read.type)
    return read


def check_parts(read: Document) -> None:
    """Returns if the parts of the document agree with each other; its shape was checked when it was decoded.

    Raises:
        FormatError: `schema_violation`, with the JSON pointer of the part that does not fit.
        ContractError: `self_dealing`.

    Source: protocol-spec/07-contract.md, section 7.1
    """
    # Step 1: the id names this engagement, and every id below is the document's.
    if DocumentName.parse(read.id).engagement != read.engagement:
        raise _wrong("/id", f"the engagement {read.engagement} in front", read.id)
    terms = None if isinstance(read, ReleaseDocument) else read.terms
    if terms is not None and terms.id != f"{read.id}#terms":
        raise _wrong("/terms/id", f"{read.id}#terms", terms.id)
    if terms is not None and terms.scope.id != f"{read.id}#scope":
        raise _wrong("/terms/scope/id", f"{read.id}#scope", terms.scope.id)

    # Step 2: two parties, each with methods of its own. One key under two names is one party (SC-11).
    if read.hirer == read.provider or set(read.methods.hirer) & set(read.methods.provider):
        raise ContractError("self_dealing", f"expected two parties; came {read.hirer} twice")
    for role, did, methods in (
        ("hirer", read.hirer, read.methods.hirer),
        ("provider", read.provider, read.methods.provider),
    ):
        _sorted_set(methods, f"/methods/{role}")
        for method in methods:
            if method.partition("#")[0] != did:
                raise _wrong(f"/methods/{role}", f"methods of {did}", method)

    if isinstance(read, ReleaseDocument):
        return
    # Step 3: who judges the work, or a dispute about it, is neither of the two. Without a verifier the hirer does.
    terms = read.terms
    if terms.evidence.verifier in (read.hirer, read.provider):
        raise _wrong("/terms/evidence/verifier", "another party than hirer and provider", terms.evidence.verifier)
    if terms.arbiter in (read.hirer, read.provider):
        raise _wrong("/terms/arbiter", "another party than hirer and provider", terms.arbiter)

    # Step 4: the terms agree with themselves, and their scope reads back.
    _check_terms(terms)


def check_terms(terms: Terms) -> None:
    """Returns if terms that nobody has read yet, such as those just drafted, can stand in a document.

    Raises:
        FormatError: `schema_violation`, with the JSON pointer of the part that cannot; `bad_unicode`; `too_large`.

    Source: protocol-spec/07-contract.md, section 7.2
    """
    try:
        written = write_canonical(terms)
    except UnicodeError as exc:
        raise FormatError("bad_unicode", "expected text without lone surrogates") from exc
    try:
        read = decode(written, type=Terms) if terms.scope.extensions is None else None
    except ValidationError:
        read = None
    if read is None:  # extensions hold any JSON, which has to be looked at whole; of all else it is said where it is
        value = from_struct(terms)
        read, written = to_struct(value, Terms), canonicalize(value)
    _check_terms(read)
    if len(written) > MAX_DOCUMENT_BYTES:
        raise FormatError("too_large", f"expected a document of at most {MAX_DOCUMENT_BYTES} bytes")
    check_sayable(written)  # it would be refused with all that was said before it


def check_document(
    document: Document,
    *,
    engagement: EngagementId,
    hirer: Did,
    provider: Did,
    role: Role,
    sequence: int,
    transcript: Transcript,
    under: tuple[Digest, Digest] | None = None,
) -> None:
    """Returns if this is a document that the offer of `role` in place `sequence` may carry.

    `transcript` is where both chains stand by the offer's envelope: `sequence` - 1 and `previous` for its sender,
    `seen` for the other side. `under` is the contract and the document in force of it, once there is a contract.

    Raises:
        ContractError: `wrong_negotiation`: another engagement or other parties; `conflicting_contract`: of another
            contract; `terms_mismatch`: another type, place or transcript, or it amends what is not in force; what
            `check_parts` finds, with its code.

    Source: protocol-spec/07-contract.md, section 7.1
    """
    if (document.engagement, document.hirer, document.provider) != (engagement, hirer, provider):
        raise ContractError(
            "wrong_negotiation",
            f"expected a document of {engagement} between {hirer} and {provider}; "
            f"came one of {document.engagement} between {document.hirer} and {document.provider}",
        )
    changes = isinstance(document, AmendmentDocument | ReleaseDocument)
    if changes != (under is not None):
        what = "an Amendment or a Release" if under else "a Contract"
        raise ContractError("terms_mismatch", f"expected {what}; came {document.type}", path="/type")
    if isinstance(document, AmendmentDocument | ReleaseDocument) and under is not None:
        contract, in_force = under
        if document.contract != contract:
            text = f"expected one of contract {contract}; came of {document.contract}"
            raise ContractError("conflicting_contract", text, path="/contract")
        if document.amends != in_force:
            text = f"expected a change of {in_force}, which is in force; came one of {document.amends}"
            raise ContractError("terms_mismatch", text, path="/amends")
    expected = document_id(engagement, role, sequence)
    if document.id != expected:
        raise ContractError("terms_mismatch", f"expected the document {expected}; came {document.id}", path="/id")
    # The transcript is what ties the contract to what was said before: shown, promised and refused.
    if document.transcript != transcript:
        text = f"expected that both chains stand at {transcript}; came {document.transcript}"
        raise ContractError("terms_mismatch", text, path="/transcript")
    try:
        check_parts(document)
    except FormatError as exc:
        raise ContractError(exc.code, exc.message, path=exc.path) from exc


def contract_digest(document: Mapping[str, Any]) -> Digest:
    """The digest by which a contract is referred to, for its whole life; the same with one proof, two or none."""
    return digest_of(document)


def canonical_document(document: SignedDocument) -> bytes:
    """The same as `unproved` of a document that was read, without its JSON at hand: its schema has neither floats nor
    names that canonical JSON would sort in another way.
    """
    bare = document if document.proof is None else replace(document, proof=None)
    try:
        return _written(bare)
    except TypeError:  # extensions cannot be hashed
        return write_canonical(bare)


@lru_cache(maxsize=256)
def _written(document: SignedDocument) -> bytes:
    """Each document is signed or checked, named by its digest, and checked again when it is accepted: by then those of
    other hires have come between.
    """
    return write_canonical(document)


def unproved(document: Mapping[str, Any]) -> bytes:
    """The canonical form without proofs: what the digest covers and the first proof signs."""
    return canonicalize({name: value for name, value in document.items() if name != "proof"})


def check_milestones(milestones: Iterable[Milestone], criteria: Iterable[str]) -> None:
    """Pass only milestones of different names, about these criteria, worth no more than the price.

    Raises:
        FormatError: `schema_violation`.

    Source: protocol-spec/07-contract.md, section 7.12
    """
    milestones, known = tuple(milestones), set(criteria)
    _once(tuple([one.name for one in milestones]), "/terms/settlement/milestones")
    for one in milestones:
        _once(one.criteria, "/terms/settlement/milestones")
        if unknown := set(one.criteria) - known:
            raise _wrong("/terms/settlement/milestones", "criteria of the deliverables", sorted(unknown))
    if (percent := sum(one.percent for one in milestones)) > 100:
        raise _wrong("/terms/settlement/milestones", "at most 100 percent together", percent)


def _check_terms(terms: Terms) -> None:
    at = terms.deadlines
    order = [("notBefore", at.not_before or at.start), ("start", at.start), ("finish", at.finish), ("until", at.until)]
    for (earlier, first), (later, second) in pairwise(order):
        if first > second:
            raise _wrong(f"/terms/deadlines/{later}", f"an instant not before {earlier}, {first}", second)
    if parse_duration(at.heartbeat) <= 0:
        raise _wrong("/terms/deadlines/heartbeat", "a duration longer than none", at.heartbeat)
    if (terms.subcontracting.depth > 0) != terms.subcontracting.allowed:
        raise _wrong("/terms/subcontracting/depth", "0 exactly if not allowed", terms.subcontracting.depth)
    ending = terms.termination
    if (ending.notice is not None) != (ending.convenience == "notice"):
        raise _wrong("/terms/termination/notice", "a notice exactly if convenience is notice", ending.notice)
    if (ending.fee is not None) != (ending.convenience == "fee"):
        raise _wrong("/terms/termination/fee", "a fee exactly if convenience is fee", ending.convenience)
    if ending.fee is not None and ending.fee.currency != terms.price.currency:
        raise _wrong("/terms/termination/fee/currency", f"{terms.price.currency}, as of the price", ending.fee.currency)
    _once(tuple([deliverable.name for deliverable in terms.deliverables]), "/terms/deliverables")
    criteria = terms.criteria
    _once(criteria, "/terms/deliverables")
    if terms.settlement.milestones:
        check_milestones(terms.settlement.milestones, criteria)
    _once(terms.evidence.predicates, "/terms/evidence/predicates")
    _sorted_set(terms.must_stay_valid, "/terms/mustStayValid")
    _sorted_set(terms.policies, "/terms/policies")
    try:
        scope = whole_scope(terms.scope)
    except FormatError as exc:
        exc.path = f"/terms/scope{exc.path}"
        raise
    # What is agreed here has to be answered there, in one list of one message: who could not would lose by silence.
    limits = len([limit for grant in scope.grants for limit in grant.limits if limit.per is None])
    bills = 1 if terms.evidence.sbom is not None else 0
    for path, what, count in (
        ("/terms/deliverables", "criteria, which a Review answers", len(criteria)),
        (
            "/terms/deliverables",
            "deliverables with their bill, which a Delivery holds",
            len(terms.deliverables) + bills,
        ),
        ("/terms/scope/grants", "limits without a period, whose usage is stated", limits),
    ):
        if count > MAX_ITEMS:
            raise _wrong(path, f"at most {MAX_ITEMS} {what}", count)


# Two parties write the same few sets into all that they agree on, and each of them is checked in every document.


@lru_cache(maxsize=128)
def _once(names: tuple[str, ...], path: str) -> None:
    if len(names) > 1 and len(set(names)) < len(names):
        raise _wrong(path, "each name and criterion once", sorted(names))


@lru_cache(maxsize=128)
def _sorted_set(members: tuple[str, ...], path: str) -> None:
    if len(members) > 1 and list(members) != sorted(set(members)):
        raise _wrong(path, "a set: sorted by code point, no repeats", list(members))


def _wrong(path: str, expected: str, came: object) -> FormatError:
    return FormatError("schema_violation", f"expected {expected}; came {str(came)[:300]}", path=path)
