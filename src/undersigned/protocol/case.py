"""What a guard judges, and how it refuses.

Source: protocol-spec/05-negotiation.md, section 5.2
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import fields

from undersigned.contract import (
    ContractDocument,
    Document,
    Place,
    ReleaseDocument,
    Terms,
    Transcript,
    check_document,
    check_parents,
    read_parents,
)
from undersigned.encoding import Did, Digest, Instant, parse_duration
from undersigned.errors import ContractError, FormatError
from undersigned.messages import Offer, VerifiedMessage
from undersigned.protocol.engagement import Contract, Engagement, Essentials, Mark, Offered, Talks
from undersigned.protocol.states import HIRER, Role

__all__ = [
    "Case",
    "Refused",
    "check_offered",
    "contract_of",
    "essentials",
    "expect",
    "in_force",
    "knows",
    "live_of",
    "may_rule",
    "of_this",
    "offered_at",
    "talks_of",
    "terms_of",
]


class Refused(Exception):
    """The move is not taken; `apply` turns it into the error of the side that made it."""

    def __init__(self, code: str, text: str, path: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.path = path


class Case(Struct, frozen=True, gc=False):
    """What a guard judges."""

    engagement: Engagement
    move: VerifiedMessage
    mine: bool
    at: Instant
    seen: int
    """How many moves of the receiving side the sender had recorded."""
    crossed: bool
    """Whether the sender had not seen all of them."""
    state: str
    """The state that the sender was in: ours, unless it had not seen all of our moves."""
    in_lane: bool
    """Whether it is about a document on the table, under a contract."""


def expect(same: bool, code: str, what: str, expected: object, came: object) -> None:
    """Returns if `same`; else refuses with what was expected and what came."""
    if not same:
        raise Refused(code, f"{what}: expected {expected}, came {came}")


def talks_of(case: Case) -> Talks:
    """What the negotiation settled about itself."""
    talks = case.engagement.talks
    if talks is None:
        raise Refused("wrong_state", "nothing was opened yet")
    return talks


def live_of(case: Case) -> Offered:
    """The live offer; after the seal, the contract's."""
    offer = case.engagement.offer
    if offer is None:
        raise Refused("stale_offer", "no offer is live")
    return offer


def contract_of(case: Case) -> Contract:
    """What happened under the seal."""
    contract = case.engagement.contract
    if contract is None:
        raise Refused("wrong_state", "there is no contract")
    return contract


def of_this(case: Case, named: Digest) -> Contract:
    """The contract, once `named` is its digest."""
    contract = contract_of(case)
    expect(named == contract.digest, "conflicting_contract", "the contract", contract.digest, named)
    return contract


def knows(case: Case, marks: tuple[Mark, ...]) -> bool:
    """Whether the sender had made or recorded one of these moves."""
    return any(mark.role == case.move.message.role or case.seen >= mark.sequence for mark in marks)


class InForce(Struct, frozen=True, gc=False):
    """A document that a move is held against."""

    digest: Digest
    offered: tuple[Role, int]
    """Side and place of the offer that carried it."""
    terms: Essentials


def in_force(case: Case) -> tuple[InForce, ...]:
    """The terms in force; and those before, if the sender had not seen the seal by which we changed them."""
    contract, live = contract_of(case), live_of(case)
    were = contract.were
    found = (InForce(contract.in_force, offered_at(contract, live), live.terms),)
    if were is not None and not case.mine and case.seen < were.sequence:
        return (*found, InForce(were.in_force, were.offered, were.terms))
    return found


def may_rule(arbiters: tuple[Did, ...], *named: Did | None) -> tuple[Did, ...]:
    """Those who may rule on a dispute, and whom other terms name besides; each once."""
    return tuple(dict.fromkeys([*arbiters, *filter(None, named)]))


def offered_at(contract: Contract, live: Offered) -> tuple[Role, int]:
    """Side and place of the offer whose document is in force."""
    return contract.in_force_by or (live.owner, live.sequence)


def check_offered(case: Case, move: Offer, under: tuple[Digest, Digest] | None = None) -> None:
    """What every offer has to carry: a document of this place, these parties and this history, and no other."""
    engagement = case.engagement
    sent, seen = _place(move.sequence - 1, move.previous), _place(case.seen, move.seen)
    try:
        check_document(
            move.document,
            engagement=engagement.id,
            hirer=engagement.hirer,
            provider=engagement.provider,
            role=move.role,
            sequence=move.sequence,
            # The contract binds the negotiation that led to it, as the envelope of its offer states it.
            transcript=Transcript(hirer=sent, provider=seen)
            if move.role == HIRER
            else Transcript(hirer=seen, provider=sent),
            under=under,
        )
        _check_above(engagement.offer, move)
    except (ContractError, FormatError) as exc:
        inside = exc.path and not exc.path.startswith("/parents")
        raise Refused(exc.code, exc.message, f"/document{exc.path}" if inside else exc.path) from None


def _check_above(live: Offered | None, move: Offer) -> None:
    """A subcontract is shown with all that it stands under, by its hirer, who alone has it; a counter-offer, and a
    change, are about the same place in the chain.
    """
    document, given = move.document, move.parents or ()
    if isinstance(document, ContractDocument):
        known = live.terms.parent if live is not None else None
        if document.parent != known and (live is not None or move.role != HIRER):
            raise ContractError("terms_mismatch", f"the parent contract: expected {known}, came {document.parent}")
        if move.role == HIRER:
            check_parents(document, read_parents(given))
            return
    if given:
        raise ContractError("schema_violation", f"expected no parents in this offer; came {len(given)}")


def essentials(document: Document) -> Essentials | None:
    """What the fold keeps of a document's terms; None of one that has none."""
    if isinstance(document, ReleaseDocument):
        return None
    terms = document.terms
    return Essentials(
        deadlines=terms.deadlines,
        seal_grace_seconds=parse_duration(terms.seal_grace),
        reworks=terms.reworks,
        convenience=terms.termination.convenience != "none",
        inputs=terms.task.inputs,
        criteria=terms.criteria,
        clauses=_clauses(terms),
        cure_seconds=parse_duration(terms.termination.cure),
        arbiter=terms.arbiter,
        verifier=terms.evidence.verifier,
        parent=document.parent,
        currency=terms.price.currency,
    )


def _clauses(terms: Terms) -> tuple[str, ...]:
    scope = terms.scope
    rules = [rule.id.rpartition("#")[2] for rule in (*scope.grants, *scope.prohibitions, *scope.obligations)]
    members = [written for name, written in _OPTIONAL.items() if getattr(terms, name) is not None]
    return (*rules, *_REQUIRED, *members)


_REQUIRED: Final = tuple([one.encode_name for one in fields(Terms) if one.required])
"""Members that all terms have, by their names on the wire."""
_OPTIONAL: Final = {one.name: one.encode_name for one in fields(Terms) if not one.required}
"""The others, by their names here."""


def terms_of(document: ContractDocument) -> Essentials:
    """The same of a document that has terms."""
    found = essentials(document)
    if found is None:
        raise AssertionError("a contract has terms")
    return found


def _place(sequence: int, digest: Digest | None) -> Place:
    if digest is None:
        raise Refused("wrong_state", "an offer before both sides have spoken")
    return Place(sequence=sequence, digest=digest)
