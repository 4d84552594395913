"""Terms and documents from what people and strategies decide; the ids are written here.

Terms that are still being thought about carry the ids of no document. `build_document` gives them the ids below the
document's own, so a counter-offer is the other side's terms with one part replaced.

Source: protocol-spec/07-contract.md, section 7.2
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from undersigned.contract.document import (
    AmendmentDocument,
    ContractDocument,
    Methods,
    Organisations,
    ReleaseDocument,
    Role,
    Transcript,
    document_id,
)
from undersigned.contract.terms import (
    DataHandling,
    Deadlines,
    Deliverable,
    Evidence,
    Price,
    Settlement,
    Subcontracting,
    Task,
    Termination,
    Terms,
)
from undersigned.encoding import Did, Digest, EngagementId
from undersigned.jsonld import HIRE_CONTEXT
from undersigned.scope import SKETCH_BASE, Scope, WireScope, compile_scope, whole_scope

__all__ = ["build_amendment", "build_document", "build_release", "draft_terms", "rebase", "same_terms"]


def draft_terms(
    *,
    task: Task,
    deliverables: Iterable[Deliverable],
    scope: Scope | WireScope,
    price: Price,
    deadlines: Deadlines,
    settlement: Settlement | None = None,
    evidence: Evidence | None = None,
    data_handling: DataHandling | None = None,
    termination: Termination | None = None,
    subcontracting: Subcontracting | None = None,
    reworks: int = 1,
    seal_grace: str = "PT2M",
    must_stay_valid: Iterable[Digest] = (),
    arbiter: Did | None = None,
    on_silence: str = "accepted",
    policies: Iterable[Digest] = (),
) -> Terms:
    """Whole terms from the parts that were decided; what is left out gets the cautious value, written out.

    Not left out: no settlement, no subcontracting, nothing kept or passed on, no ending without cause. A `scope` that
    was sketched already is taken as it is.

    Source: protocol-spec/07-contract.md, section 7.2
    """
    return Terms(
        id=f"{SKETCH_BASE}#terms",
        task=task,
        deliverables=tuple(deliverables),
        scope=scope if isinstance(scope, WireScope) else compile_scope(scope, SKETCH_BASE),
        price=price,
        settlement=settlement or Settlement(method="none"),
        deadlines=deadlines,
        reworks=reworks,
        seal_grace=seal_grace,
        subcontracting=subcontracting or Subcontracting(allowed=False, depth=0),
        must_stay_valid=_set(must_stay_valid),
        evidence=evidence or Evidence(predicates=(), c2pa=False),
        data_handling=data_handling
        or DataHandling(purpose="this task only", classes=(), retention="PT0S", onward=False, training=False),
        termination=termination or Termination(convenience="none", cure="PT1H"),
        arbiter=arbiter,
        on_silence="accepted" if on_silence == "accepted" else "rejected",
        policies=_set(policies),
    )


def build_document(
    *,
    engagement: EngagementId,
    role: Role,
    sequence: int,
    hirer: Did,
    provider: Did,
    methods: Methods,
    transcript: Transcript,
    terms: Terms,
    organisations: Organisations | None = None,
    parent: Digest | None = None,
) -> ContractDocument:
    """The document that the offer of `role` in place `sequence` carries, without its proof yet.

    Raises:
        FormatError: `schema_violation`: the scope in `terms` is not well-formed.

    Source: protocol-spec/07-contract.md, section 7.1
    """
    name = document_id(engagement, role, sequence)
    return ContractDocument(
        context=HIRE_CONTEXT,
        id=name,
        engagement=engagement,
        hirer=hirer,
        provider=provider,
        organisations=organisations,
        methods=Methods(hirer=_set(methods.hirer), provider=_set(methods.provider)),
        transcript=transcript,
        terms=rebase(terms, name),
        parent=parent,
    )


def build_amendment(
    of: ContractDocument,
    terms: Terms,
    *,
    contract: Digest,
    amends: Digest,
    role: Role,
    sequence: int,
    methods: Methods,
    transcript: Transcript,
) -> AmendmentDocument:
    """The amendment to `terms` that the offer of `role` in place `sequence` carries, without its proof yet.

    `of` is the document in force, whose digest is `amends`; what is not in the terms is carried over from it.

    Raises:
        FormatError: As `build_document`.

    Source: protocol-spec/07-contract.md, section 7.10
    """
    name = document_id(of.engagement, role, sequence)
    return AmendmentDocument(
        context=HIRE_CONTEXT,
        id=name,
        engagement=of.engagement,
        hirer=of.hirer,
        provider=of.provider,
        organisations=of.organisations,
        methods=Methods(hirer=_set(methods.hirer), provider=_set(methods.provider)),
        transcript=transcript,
        terms=rebase(terms, name),
        parent=of.parent,
        contract=contract,
        amends=amends,
    )


def build_release(
    of: ContractDocument,
    settlement: Price,
    reason: str,
    *,
    contract: Digest,
    amends: Digest,
    role: Role,
    sequence: int,
    methods: Methods,
    transcript: Transcript,
) -> ReleaseDocument:
    """The release that the offer of `role` in place `sequence` carries, without its proof yet. As `build_amendment`.

    Source: protocol-spec/07-contract.md, section 7.10
    """
    return ReleaseDocument(
        context=HIRE_CONTEXT,
        id=document_id(of.engagement, role, sequence),
        engagement=of.engagement,
        hirer=of.hirer,
        provider=of.provider,
        methods=Methods(hirer=_set(methods.hirer), provider=_set(methods.provider)),
        transcript=transcript,
        contract=contract,
        amends=amends,
        settlement=settlement,
        reason=reason,
    )


def rebase(terms: Terms, base_id: str) -> Terms:
    """The same terms with the ids that belong below `base_id`.

    Critical extensions are carried along without being understood: nothing is decided by them here.

    Raises:
        FormatError: `schema_violation`: the scope is not in the form that compiling gives.
    """
    scope = whole_scope(terms.scope)
    if terms.id == f"{base_id}#terms" and terms.scope.id == f"{base_id}#scope":
        return terms  # what can be read is what compiling it gives
    return replace(terms, id=f"{base_id}#terms", scope=compile_scope(scope, base_id))


def same_terms(one: Terms, other: Terms) -> bool:
    """Whether two documents ask for the same, whatever they are called.

    Raises:
        FormatError: As `rebase`.
    """
    return rebase(one, SKETCH_BASE) == rebase(other, SKETCH_BASE)


def _set(members: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(members)))
