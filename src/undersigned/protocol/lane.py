"""The document lane: an amendment or a release on the table, beside the state of its contract.

The rows are the negotiation's, with the rules L1 to L5: if both sides open at once the hirer's offer stands, a
withdrawal returns the lane to idle, a seal counts if its sender had not seen an ending, and an amendment changes what
is in force. What crossed and finds nothing to move is void.

Source: protocol-spec/07-contract.md, section 7.10
"""

from __future__ import annotations

from typing import Any, Final, cast

from msgspec.structs import replace

from undersigned.contract import ReleaseDocument, canonical_document
from undersigned.encoding import digest_bytes
from undersigned.messages import Acceptance, Offer, Seal, VerifiedMessage, Withdraw
from undersigned.protocol.case import (
    Case,
    Refused,
    check_offered,
    contract_of,
    essentials,
    expect,
    knows,
    live_of,
    may_rule,
    offered_at,
)
from undersigned.protocol.engagement import Contract, Ending, Engagement, Mark, Tabled, Were
from undersigned.protocol.states import HIRER, IDLE, LANE, OTHER, PERFORMED, PROVIDER, Role, TableRow

__all__ = [
    "accepts_document",
    "lane_facts",
    "lane_legal",
    "lane_row",
    "may_change",
    "overtaken",
    "seals_document",
    "tables_document",
    "unreleased",
    "withdraws_document",
]

ANSWERS: Final = ("offer_expired", "revoked", "status_unavailable")
"""Reasons for which an accepted document may be withdrawn; `overtaken` and `ended` as well, where that is so."""
OVERTAKING: Final = frozenset({"Delivery", "Review"})
"""Moves that show what a seal held back would be worth."""


def may_change(state: str, kind: str) -> bool:
    """Whether a document of this kind may be offered, accepted or sealed in this state of its contract (rule L4).

    Also of a state before the seal, in which a sender that has not got the seal yet knows of no end of it.
    """
    return state not in ("closing", "closed") and (state != "disputed" or kind == "Release")


def lane_row(case: Case) -> TableRow | None:
    """The row of a move about a document; None if it crossed a move of ours and is void.

    Raises:
        Refused: It has seen everything, and there is nothing that it could be about.
    """
    engagement, message = case.engagement, case.move.message
    tabled, role = engagement.tabled, message.role
    row = LANE.get((engagement.lane, message.type, role))
    if isinstance(message, Offer):
        # L1: the hirer's offer stands, so a provider that had not seen it was too late with its own.
        if role == PROVIDER and not case.mine and case.seen < contract_of(case).hirer_offer:
            return None
        if unreleased(case):
            return None  # nothing more is agreed on once both let each other go
        if row is not None or case.crossed:
            return row
    elif tabled is not None and cast(Any, message).offer == tabled.digest:
        if row is not None:
            return row
    elif case.crossed and not isinstance(message, Seal):
        return None
    raise _refused(case, row)


def unreleased(case: Case) -> bool:
    """Whether there is a release that the sender had not seen."""
    released = contract_of(case).released
    return released is not None and not knows(case, (released,))


def _refused(case: Case, row: TableRow | None) -> Refused:
    """What has no row; or has one, and names no document that is on the table."""
    engagement, message = case.engagement, case.move.message
    text = f"{message.role} sent {message.type} with the documents {engagement.lane}; legal here: {_legal_here(case)}"
    offer = engagement.offer
    if isinstance(message, Acceptance) and (
        engagement.lane == f"accepted-by-{message.role}" or (offer is not None and message.offer == offer.digest)
    ):
        return Refused("already_contracted", text)
    if row is not None:
        return Refused("terms_mismatch" if isinstance(message, Seal) else "stale_offer", text)
    others = (engagement.lane, message.type, OTHER[message.role]) in LANE
    return Refused("wrong_party" if others else "wrong_state", text)


def _legal_here(case: Case) -> str:
    return ", ".join(lane_legal(case.engagement, case.move.message.role)) or "nothing about documents"


_KINDS: Final[dict[tuple[str, str], list[str]]] = {}
"""Types by the state of the lane and role, in the order of the table."""
for _lane, _kind, _sender in LANE:
    _KINDS.setdefault((_lane, _sender), []).append(_kind)


def lane_legal(engagement: Engagement, role: Role) -> tuple[str, ...]:
    """Types of moves about documents that `role` may send now."""
    tabled, state = engagement.tabled, engagement.state
    found: list[str] = []
    for kind in _KINDS.get((engagement.lane, role), ()):
        if kind == "Offer":
            may = state in PERFORMED or state == "disputed"
        elif kind == "Withdraw":
            # L3: after an ending the offerer still owes its answer, and nothing else is to be said.
            may = tabled is not None and (tabled.acceptance is not None or state in PERFORMED or state == "disputed")
        else:
            may = tabled is not None and may_change(state, tabled.kind)
            if may and tabled is not None and kind == "Seal":
                # What the other side has seen of what came after the acceptance is not known here.
                may = not tabled.accepted_late and (tabled.overtaken is None or role != engagement.role)
        if may:
            found.append(kind)
    return tuple(found)


# --- guards


def tables_document(case: Case) -> None:
    """An amendment of what is in force, or a release from it, while the contract can be changed."""
    engagement, move = case.engagement, cast(Offer, case.move.message)
    contract, tabled, document = contract_of(case), engagement.tabled, move.document
    _while_possible(case, document.type)
    live = tabled.digest if tabled is not None else None
    # What crossed an offer or withdrawal of ours answers what its sender knew of.
    if not case.crossed or (tabled is not None and knows(case, (tabled.offered(),))):
        expect(move.in_reply_to == live, "stale_offer", "the live offer answered", live, move.in_reply_to)
    if case.mine and move.valid_until < case.at:
        raise Refused("offer_expired", f"an offer that ended at {move.valid_until}, made at {case.at}")
    check_offered(case, move, (contract.digest, contract.in_force))
    terms, now = essentials(document), live_of(case).terms
    if terms is None:
        return
    # What was delivered is judged by what it was made for; whether a delivery crossed the offer we cannot know.
    if case.mine and engagement.state == "delivered":
        expect(terms.criteria == now.criteria, "terms_mismatch", "criteria of a delivery", now.criteria, terms.criteria)


def accepts_document(case: Case) -> None:
    """An acceptance is of exactly one offer and one document (rules N2 and N9)."""
    tabled, move = _tabled(case), cast(Acceptance, case.move.message)
    _while_possible(case, tabled.kind)
    expect(move.document == tabled.document, "terms_mismatch", "its document", tabled.document, move.document)


def seals_document(case: Case) -> None:
    """A seal of exactly one acceptance, by an offerer that has seen no ending and no late acceptance (rule L3).

    Nor has it seen what was delivered or reviewed since: else it would wait until it knows what its seal is worth.
    """
    tabled, move = _tabled(case), cast(Seal, case.move.message)
    _while_possible(case, tabled.kind)
    expect(move.document == tabled.document, "terms_mismatch", "document sealed", tabled.document, move.document)
    expect(move.acceptance == tabled.acceptance, "terms_mismatch", "acceptance", tabled.acceptance, move.acceptance)
    if case.mine and tabled.accepted_late:
        raise Refused("offer_expired", f"the acceptance came after {tabled.valid_until}; legal here: Withdraw")
    if tabled.overtaken is not None and knows(case, (tabled.overtaken,)):
        text = "a delivery or review was made between the acceptance and its seal; legal here: Withdraw"
        raise Refused("wrong_state", text)


def withdraws_document(case: Case) -> None:
    """After an acceptance only what the offerer cannot help is a reason; what crossed it needed none."""
    tabled, move = _tabled(case), cast(Withdraw, case.move.message)
    if tabled.agreed is None or not knows(case, (tabled.agreed,)):
        return
    allowed: list[str] = [*ANSWERS]
    if tabled.overtaken is not None:
        allowed.append("overtaken")
    if not may_change(case.state, tabled.kind):
        allowed.append("ended")
    if move.reason not in allowed:
        raise Refused("wrong_state", f"withdrawal after an acceptance: expected {allowed}, came {move.reason}")
    if case.mine and move.reason == "offer_expired" and not tabled.accepted_late:
        raise Refused("wrong_state", f"the acceptance came in time, by {tabled.valid_until}; offer_expired is not true")


def _while_possible(case: Case, kind: str) -> None:
    if not may_change(case.state, kind):
        move = case.move.message
        raise Refused("wrong_state", f"{move.role} sent {move.type} of {kind} in {case.state}, which it cannot change")


def _tabled(case: Case) -> Tabled:
    tabled = case.engagement.tabled
    if tabled is None:
        raise Refused("wrong_state", "no document is on the table")
    return tabled


# --- facts


def lane_facts(case: Case, row: TableRow) -> dict[str, Any]:
    """What a move about a document that applies makes of the engagement."""
    message = case.move.message
    match message:
        case Offer():
            return {"lane": row.next, "tabled": _put(case.move, message), **_hirer_offered(case, message)}
        case Acceptance():
            tabled = _tabled(case)
            # Only the offerer's clock judges, when it records.
            late = not case.mine and case.at > tabled.valid_until
            accepted = replace(
                tabled,
                acceptance=case.move.digest,
                accepted_at=case.at,
                accepted_late=late,
                agreed=Mark(message.role, message.sequence, case.move.digest),
            )
            return {"lane": row.next, "tabled": accepted}
        case Seal():
            return {"lane": IDLE, "tabled": None, **_sealed(case, _tabled(case))}
        case _:
            return {"lane": IDLE, "tabled": None}


def overtaken(case: Case) -> Tabled | None:
    """The accepted document once this move, which applies beside the lane, overtakes its seal; else None."""
    tabled, message = case.engagement.tabled, case.move.message
    if message.type not in OVERTAKING or tabled is None or tabled.agreed is None or tabled.overtaken is not None:
        return None
    if not knows(case, (tabled.agreed,)):
        return None
    return replace(tabled, overtaken=Mark(message.role, message.sequence, case.move.digest))


def _put(move: VerifiedMessage, message: Offer) -> Tabled:
    return Tabled(
        owner=message.role,
        digest=move.digest,
        sequence=message.sequence,
        document=digest_bytes(canonical_document(message.document)),
        kind=message.document.type,
        valid_until=message.valid_until,
        terms=essentials(message.document),
        currency=message.document.settlement.currency if isinstance(message.document, ReleaseDocument) else None,
    )


def _hirer_offered(case: Case, message: Offer) -> dict[str, Any]:
    if message.role != HIRER:
        return {}
    return {"contract": replace(contract_of(case), hirer_offer=message.sequence)}


def _sealed(case: Case, tabled: Tabled) -> dict[str, Any]:
    """An amendment is in force from its seal; a release is an ending, the second strongest (rule L3)."""
    engagement, contract = case.engagement, contract_of(case)
    if tabled.terms is None:
        return _released(case, contract, tabled)
    offer = live_of(case)
    terms, message = tabled.terms, case.move.message
    due = contract.due
    if contract.round == 1 and due is not None and engagement.state != "cancelling":
        due = terms.deadlines.finish
    changed = replace(
        contract,
        in_force=tabled.document,
        in_force_by=(tabled.owner, tabled.sequence),
        due=due,
        # It crossed a dispute of its receiver's, who goes on with that under terms by which another may rule.
        arbiters=may_rule(contract.arbiters, terms.arbiter) if contract.disputes else (),
        were=Were(message.sequence, contract.in_force, offered_at(contract, offer), offer.terms) if case.mine else None,
    )
    return {"contract": changed, "offer": replace(offer, terms=terms)}


def _released(case: Case, contract: Contract, tabled: Tabled) -> dict[str, Any]:
    message, engagement = case.move.message, case.engagement
    mark = Mark(message.role, message.sequence, case.move.digest)
    ending = Ending(basis="release", role=message.role, move=case.move.digest, detail=tabled.document)
    changed = replace(
        contract,
        released=mark,
        owed_in=(*contract.owed_in, *filter(None, (tabled.currency,))),
        endings=(*contract.endings, ending),
        resolved=(*contract.resolved, mark) if contract.disputes else contract.resolved,
    )
    if engagement.state in ("closing", "closed"):
        return {"contract": changed}
    return {"contract": changed, "state": "closing", "since": case.at, "cause": case.move.digest}
