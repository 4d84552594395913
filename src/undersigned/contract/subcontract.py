"""Subcontracts: a provider hires under its own contract, and whatever the child allows, the parent allows.

A child names its parent by digest, and the hirer's offers of it carry the parents whole, sealed, from the direct one up
to the root. So whoever is hired can see for itself that its contract lies inside all of them: scope, price, times, what
is to be stated, what may be done with data, and how deep it may go on. What the children of one parent come to
together is for their hirer to book: `runtime/agent/subcontracts.py`.

Source: protocol-spec/16-subcontracts.md, sections 16.1 and 16.2
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, cast

from msgspec import Struct
from msgspec.structs import replace

from undersigned.contract.check import contract_digest, read_contract
from undersigned.contract.document import AmendmentDocument, ContractDocument
from undersigned.contract.sealed import verify_sealed, verify_sealed_change
from undersigned.contract.terms import Price, Terms
from undersigned.encoding import Digest, JsonObject, compare_amounts, parse_duration, shift
from undersigned.errors import ContractError, FormatError, ScopeError
from undersigned.proof import KeyLookup
from undersigned.scope import draws, parse_pattern, whole_scope

__all__ = [
    "ARTIFACT_READ",
    "MAX_DEPTH",
    "Parent",
    "check_parents",
    "check_within",
    "drawn",
    "hands_over",
    "read_parents",
    "verify_parents",
]

MAX_DEPTH: Final = 5
"""Most levels below a root."""
ARTIFACT_READ: Final = "artifact:read"
"""The action of fetching an artifact from a party's artifact route."""

_MEMBERS: Final = {"document", "acceptance", "seal"}


class Parent(Struct, frozen=True, gc=False):
    """A contract above, as an offer carries it; whether its proofs hold is asked apart."""

    name: Digest
    """The contract as first sealed."""
    document: ContractDocument
    """What is in force of it: the contract itself, or its last amendment."""
    acceptance: Mapping[str, Any]
    seal: Mapping[str, Any]
    json: JsonObject
    """The document with both proofs, as it came."""


def read_parents(given: Sequence[Mapping[str, Any]]) -> tuple[Parent, ...]:
    """The parents that an offer carries, the direct one first; each is well-formed, and nothing is verified yet.

    Raises:
        FormatError: One is not three objects, or its document is none with terms.
        ContractError: `chain_invalid`: more than `MAX_DEPTH`; what `read_contract` finds.
    """
    if len(given) > MAX_DEPTH:
        raise ContractError("chain_invalid", f"expected at most {MAX_DEPTH} levels above; came {len(given)}")
    return tuple(_read(one) for one in given)


def _read(one: Mapping[str, Any]) -> Parent:
    if set(one) != _MEMBERS or not all(isinstance(part, dict) for part in one.values()):
        raise FormatError("schema_violation", f"expected {', '.join(sorted(_MEMBERS))} of a parent", path="/parents")
    document = cast("JsonObject", one["document"])
    read = read_contract(document)
    name = read.contract if isinstance(read, AmendmentDocument) else contract_digest(document)
    return Parent(name, read, one["acceptance"], one["seal"], document)


def check_parents(child: ContractDocument, parents: Sequence[Parent]) -> None:
    """Returns if `child` and `parents` are one chain up to its root, each contract inside the one above it.

    Raises:
        ContractError: `chain_invalid`: one is not the parent named, or of another provider, or missing;
            `scope_exceeded`: one allows more than the contract above it.

    Source: protocol-spec/16-subcontracts.md, section 16.2
    """
    for parent in parents:
        if child.parent != parent.name:
            raise _broken(f"expected the parent {child.parent}; came {parent.name}")
        if child.hirer != parent.document.provider:
            raise _broken(f"expected a parent whose provider is {child.hirer}; came {parent.document.provider}")
        check_within(child.terms, parent.document.terms)
        child = parent.document
    if child.parent is not None:
        raise _broken(f"expected the chain up to its root; the contract {child.parent} is missing")


def verify_parents(parents: Sequence[Parent], *, keys: KeyLookup) -> None:
    """Returns if each of the parents was signed by both of its parties and sealed.

    Raises:
        ProofError, ContractError, FormatError: As `verify_sealed`.
        VerificationError: What `keys` raises.
    """
    for parent in parents:
        verify = verify_sealed_change if isinstance(parent.document, AmendmentDocument) else verify_sealed
        verify(parent.json, parent.acceptance, parent.seal, keys=keys)


def check_within(own: Terms, above: Terms) -> None:
    """Returns if whatever `own` terms allow, those `above` allow, and whatever those demand, `own` demand.

    Raises:
        ContractError: `scope_exceeded`, with the place in the child that goes beyond.

    Source: protocol-spec/16-subcontracts.md, section 16.2
    """
    # Step 1: it may be hired for at all, and has fewer levels below it than its parent.
    if not above.subcontracting.allowed:
        raise _wider("/terms/subcontracting", "the parent allows no subcontract")
    if own.subcontracting.depth >= above.subcontracting.depth:
        most = above.subcontracting.depth - 1
        raise _wider("/terms/subcontracting/depth", f"expected at most {most}; came {own.subcontracting.depth}")
    # Step 2: the scope, and the price.
    drawn(own, above)
    _price_within(own.price, above.price)
    # Steps 3 to 5: times, evidence, data.
    _times_within(own, above)
    _evidence_within(own, above)
    _data_within(own, above)


def drawn(own: Terms, above: Terms) -> dict[str, str]:
    """For each grant of the child the grant of the parent that it draws on. What the child's hirer only hands over, the
    inputs of the task, is its own to give and draws on none.

    Raises:
        ContractError: `scope_exceeded`: the child's scope does not lie inside the parent's.
    """
    # An extension that must be understood is compared as it is.
    wide = whole_scope(above.scope)
    narrow = whole_scope(own.scope)
    grants = tuple(grant for grant in narrow.grants if not hands_over(grant.action, grant.target, own.task.inputs))
    try:
        return draws(wide, replace(narrow, grants=grants))
    except ScopeError as exc:
        raise ContractError(exc.code, exc.message, path="/terms/scope", clause=exc.detail.get("clause")) from exc


def hands_over(action: str, pattern: str, inputs: Collection[Digest]) -> bool:
    """Whether this is no more than reading one of these inputs, which the target names by digest."""
    target = parse_pattern(pattern)
    return action == ARTIFACT_READ and target.query is None and bool(set(target.segments[-1:]) & set(inputs))


def _price_within(own: Price, above: Price) -> None:
    if compare_amounts(own.amount, "0") == 0:
        return
    if own.currency != above.currency or compare_amounts(own.amount, above.amount) > 0:
        raise _wider("/terms/price", f"expected at most the parent's {above}; came {own}")


def _times_within(own: Terms, above: Terms) -> None:
    """The child is over before the parent is due: delivered, reviewed, and at its end."""
    inner, outer = own.deadlines, above.deadlines
    if outer.not_before is not None and (inner.not_before or inner.start) < outer.not_before:
        raise _wider("/terms/deadlines/notBefore", f"expected no time before {outer.not_before}")
    for name, first, last in (
        ("finish", inner.finish, outer.finish),
        (
            "review",
            shift(inner.finish, parse_duration(inner.review)),
            shift(outer.finish, parse_duration(outer.review)),
        ),
        ("until", inner.until, outer.until),
    ):
        if first >= last:
            raise _wider(f"/terms/deadlines/{name}", f"expected a time before the parent's, {last}; came {first}")


def _evidence_within(own: Terms, above: Terms) -> None:
    missing = sorted(set(above.evidence.predicates) - set(own.evidence.predicates))
    if missing:
        raise _wider("/terms/evidence/predicates", f"the parent demands {missing[0]} too")
    if above.evidence.sbom is not None and own.evidence.sbom != above.evidence.sbom:
        raise _wider("/terms/evidence/sbom", f"the parent demands {above.evidence.sbom}")
    if above.evidence.c2pa and not own.evidence.c2pa:
        raise _wider("/terms/evidence/c2pa", "the parent demands it")


def _data_within(own: Terms, above: Terms) -> None:
    inner, outer = own.data_handling, above.data_handling
    if inner.purpose != outer.purpose:
        raise _wider("/terms/dataHandling/purpose", "expected the parent's purpose, in its words")
    if outer.classes and not (inner.classes and set(inner.classes) <= set(outer.classes)):
        raise _wider("/terms/dataHandling/classes", f"expected no more than {', '.join(outer.classes)}")
    if parse_duration(inner.retention) > parse_duration(outer.retention):
        raise _wider("/terms/dataHandling/retention", f"expected at most {outer.retention}; came {inner.retention}")
    if (inner.onward and not outer.onward) or (inner.training and not outer.training):
        raise _wider("/terms/dataHandling", "the parent allows neither more passing on nor more training")
    passed = sorted(set(own.task.inputs) & set(above.task.inputs))
    if passed and not outer.onward:
        raise _wider("/terms/task/inputs", f"the parent does not allow passing on its input {passed[0]}")


def _wider(path: str, text: str) -> ContractError:
    return ContractError("scope_exceeded", text, path=path)


def _broken(text: str) -> ContractError:
    return ContractError("chain_invalid", text, path="/parent")
