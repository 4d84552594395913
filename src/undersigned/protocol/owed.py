"""Who owes what by when, and why: every wait has an owner, a deadline and a reason.

Source: protocol-spec/05-negotiation.md, section 5.6
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from undersigned.encoding import Instant, parse_duration, shift
from undersigned.protocol.deadlines import Wait, waits
from undersigned.protocol.engagement import Engagement
from undersigned.protocol.legal import legal_by_state
from undersigned.protocol.states import ENDED, HIRER, PROVIDER, ROLES, TABLES, Role

__all__ = ["OWNERS", "Owed", "answers", "basis", "due_by", "holders", "outcome_of", "owed"]

_RIGHTS: Final = frozenset({"Terminate", "Breach", "Dispute", "Suspend", "ApprovalRequest", "Approval"})
"""What may be said under a contract beside moves about documents, and is not what a state waits for."""

_ENDED_RIGHTS: Final = _RIGHTS | {"Ruling"}
"""The same once something has ended it."""

_STRENGTH: Final = ("ruling", "release", "silence", "review", "terminate")


class Owed(Struct, frozen=True, gc=False):
    """Who owes what by when, and why."""

    who: tuple[Role, ...]
    """Empty at an end; both only while each still owes its `Closing`."""
    moves: tuple[str, ...]
    by: Instant | None
    """Last instant, inclusive, by the clock of the side that waits; None if no deadline was agreed."""
    why: str


def owed(engagement: Engagement) -> Owed:
    """Who owes the next move: every wait has an owner, a deadline and a reason (rule N10).

    Source: protocol-spec/05-negotiation.md, section 5.6
    """
    state, contract = engagement.state, engagement.contract
    if state in ENDED:
        return Owed((), (), None, f"ended: {engagement.ended or 'closed by both'}")
    who = holders(engagement)
    moves = answers(engagement, who[0]) if who else ()
    by = due_by(engagement, waits(engagement))
    if state == f"accepted-by-{engagement.role}":
        return Owed(who, moves, by, "in doubt: our acceptance waits for its seal or withdrawal")
    pause = engagement.pause if contract is None else None  # under a contract it is about a document on the table
    if pause is not None and pause.role in who:
        return Owed(who, moves, by, f"waits for {pause.waits_for} until {pause.until}")
    if contract is not None and contract.late_seal and state == "sealed":
        return Owed(who, moves, by, "sealed late: we may end it at once")
    return Owed(who, moves, by, _WHY.get(state, "an answer to the last move"))


def basis(engagement: Engagement) -> str | None:
    """What a `Closing` has to rest on: the strongest of what ended the contract; None while nothing did.

    Source: protocol-spec/07-contract.md, section 7.7
    """
    if engagement.contract is None:
        return None
    found = [ending.basis for ending in engagement.contract.endings]
    return min(found, key=_STRENGTH.index, default=None)


def outcome_of(engagement: Engagement) -> str:
    """How a hire ended, in a word or two: `review accepted`, `terminate parent`, `withdrawn`."""
    contract = engagement.contract
    if contract is None:
        return engagement.ended or "withdrawn"
    strongest = basis(engagement)
    for ending in contract.endings:
        if ending.basis == strongest and ending.basis in ("review", "terminate"):
            return f"{ending.basis} {ending.detail}"
    return strongest or engagement.state


_WHY: Final = {
    "-": "nothing was said yet",
    "presented": "the provider evaluates what the hirer showed",
    "ready": "the side that opens puts the first offer on the table",
    "committed": "the sealed bid has to be opened",
    "sealed": "work has to be started",
    "working": "the work",
    "cancelling": "what there is of the work",
    "delivered": "the review of the delivery",
    "suspended": "the word that it goes on, or its end",
    "disputed": "the arbiter's ruling",
    "closing": "the closing of the books",
}


def holders(engagement: Engagement) -> tuple[Role, ...]:
    """Whose move the state waits for; empty at an end."""
    state, talks, contract = engagement.state, engagement.talks, engagement.contract
    owner = OWNERS.get(state)
    if owner is not None:
        return owner
    if state == "-":
        return (HIRER,)
    if state == "ready" and talks is not None:
        return (talks.opens,)
    if state == "disputed":
        return (HIRER, PROVIDER)
    if state == "closing" and contract is not None:
        return tuple([role for role in ROLES if role not in contract.closed_by])
    return ()


OWNERS: Final[dict[str, tuple[Role, ...]]] = {
    state: (role,)
    for table in ("contract_owners", "negotiation_owners")
    for state, named in TABLES[table].items()
    for role in ROLES
    if named == role
}
"""Whose move a state waits for by the tables alone."""


def answers(engagement: Engagement, role: Role) -> tuple[str, ...]:
    """Moves that answer what is asked of `role`, without those that are a right only."""
    if engagement.contract is None:
        return legal_by_state(engagement, role)
    # A ruling is waited for in a dispute; after one that ended without, it is a right.
    return legal_by_state(engagement, role, _ENDED_RIGHTS if engagement.state == "closing" else _RIGHTS)


def due_by(engagement: Engagement, deadlines: tuple[Wait, ...]) -> Instant | None:
    """By when those who hold the move have to make it; `deadlines` are those of the state."""
    state, talks, offer, since = engagement.state, engagement.talks, engagement.offer, engagement.since
    if engagement.contract is not None:
        if state == "closing" and offer is not None and since is not None:
            return shift(since, parse_duration(offer.terms.deadlines.close))
        if state == "disputed":
            return engagement.contract.ruling_by
    elif state.startswith("offered-by-") and offer is not None:
        tender = talks.tender if talks is not None else None
        return tender.award_by if tender is not None else offer.valid_until
    elif state.startswith("accepted-by-"):
        return since  # at once
    # A sign of life is no answer: what is owed has its own deadline.
    apart = ("until", "cure", "heartbeat")
    return min([wait.by for wait in deadlines if wait.name not in apart], default=None)
