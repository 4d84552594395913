"""The fold: how entries make an engagement. `apply` is the only way in which state changes.

Each move goes through the same steps, ours as well as the peer's, so that we hold ourselves to what we hold the peer
to: parties, chain, table, guard, facts. A move that is not taken raises, and the value from before still stands.

Source: protocol-spec/04-envelope-and-digests.md, section 4.3
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from msgspec.json import decode
from msgspec.structs import replace

from undersigned.encoding import Did, Digest, Instant
from undersigned.errors import LocalProtocolError, RemoteProtocolError
from undersigned.messages import Closing, Message, Review, VerifiedMessage
from undersigned.protocol.case import Case, Refused, knows
from undersigned.protocol.engagement import Child, Contract, Engagement
from undersigned.protocol.entries import Entry, Noted, Received, Sent
from undersigned.protocol.facts import FACTS_OF, Changes, void_facts
from undersigned.protocol.guards import GUARDS
from undersigned.protocol.lane import lane_facts, lane_row, overtaken, unreleased
from undersigned.protocol.legal import legal
from undersigned.protocol.notices import after_notice, unreceipted
from undersigned.protocol.peer_view import PeerView, allows, goes_on, step_of
from undersigned.protocol.states import (
    CASES,
    ENDED,
    LANE_TYPES,
    LIMIT_EXEMPT,
    OTHER,
    PROVIDER,
    ROLES,
    ROWS,
    TableRow,
)

__all__ = [
    "MAX_CONTRACT_MOVES",
    "Outcome",
    "apply",
    "arbiters",
    "judge",
    "outcome",
    "state_of_sender",
    "verifiers",
]

MAX_CONTRACT_MOVES = 4096
"""Moves of both sides together, once there is a contract; beyond it only those that end it are taken."""

MAX_CONTRACT_BYTES = 8 * 1024 * 1024
"""That the moves of one side may have together under a contract which end nothing, for whatever reason: all of them go
into the evidence of both. What ends something is taken beyond it too, and what is on the table can be withdrawn.
"""

Outcome: TypeAlias = Literal["applies", "repeat", "void", "late"]
"""What becomes of a message: it applies; it is a repeat, and the stored answer goes out again; it crossed a move of
ours and is recorded but moves nothing (C7); the engagement has ended, and it is recorded and moves nothing (C6)."""


_STATED: Final = {"Ruling": "rules_on_dispute", "Review": "reviews_delivery"}
"""Guards of moves that are checked although they crossed another and move nothing: each carries what somebody signed
about the work, and stands in the evidence of both sides."""

_WEIGHED = frozenset({"Profile", "Presentation", "Bid", "Offer"})
"""Moves that count against the negotiation's bytes; what answers or ends it is never refused for its size."""


_Judged: TypeAlias = tuple[Outcome, int, TableRow | None, Case | None]
"""What becomes of a message, how much its sender had seen, its row, and the case: none of a notice and of a repeat."""


def apply(engagement: Engagement, entry: Entry) -> Engagement:
    """The engagement after `entry`; the given value is not changed.

    A repeat gives the same value again. Notices and facts change no state.

    Raises:
        RemoteProtocolError: A received message is not taken. Codes `wrong_negotiation` `wrong_recipient`
            `wrong_party` `wrong_state` `conflicting_message` `out_of_order` `ledger_diverged` `stale_offer`
            `terms_mismatch` `offer_expired` `round_limit` `already_contracted` `already_fulfilled`
            `conflicting_contract` `challenge_mismatch` `version_not_supported` `contract_expired`
            `schema_violation` `too_large`.
        LocalProtocolError: The same for a message of ours.

    Source: protocol-spec/04-envelope-and-digests.md, section 4.3
    """
    if isinstance(entry, Noted):
        at = max(entry.at, engagement.last_at or "")  # time never runs back
        return replace(engagement, last_at=at, **_noted(engagement, entry))
    return judge(engagement, entry)[1]


def judge(engagement: Engagement, entry: Sent | Received) -> tuple[Outcome, Engagement]:
    """What becomes of a message, and the engagement after it: `outcome` and `apply` in one step.

    Raises:
        RemoteProtocolError, LocalProtocolError: As `apply` does.
    """
    at = max(entry.at, engagement.last_at or "")  # time never runs back
    mine, move = entry.mine, entry.message
    try:
        becomes, seen, row, case = _judge(engagement, move, mine, at)
    except Refused as refused:
        error = LocalProtocolError if mine else RemoteProtocolError
        raise error(refused.code, refused.text, path=refused.path, digest=move.digest) from None
    if becomes == "repeat":
        return "repeat", engagement
    message = move.message
    if message.notice:
        return becomes, after_notice(engagement, message, mine, at, seen)
    if case is None:
        raise AssertionError("a move that is recorded is a case for the guards")
    changes = _chain(case, row)
    if row is not None and case.in_lane:
        changes.update(lane_facts(case, row))
    elif row is not None:
        if row.next != engagement.state:  # the first Closing: the clock of `closing` goes on
            changes["state"], changes["since"], changes["cause"] = row.next, at, move.digest
        if engagement.pause is not None:
            changes["pause"] = None
        facts = FACTS_OF.get(message.type)
        if facts is not None:
            changes.update(facts(case))
        if engagement.contract is None:
            talks = changes.get("talks", engagement.talks)
            if talks is not None:
                changes["talks"] = replace(talks, used=talks.used + len(move.raw))
    elif engagement.contract is not None:
        changes.update(void_facts(case))
    if engagement.tabled is not None and not case.in_lane and (passed := overtaken(case)) is not None:
        changes["tabled"] = passed  # also where it is void: its sender knows that it has been made
    if engagement.contract is not None and (
        row is None or message.type not in LIMIT_EXEMPT or message.type == "Withdraw"
    ):
        under: Contract = changes.get("contract", engagement.contract)
        hirers, providers = under.said_bytes
        size = len(move.raw)
        more = (hirers, providers + size) if message.role == PROVIDER else (hirers + size, providers)
        changes["contract"] = replace(under, said_bytes=more)
    if message.role == PROVIDER:
        contract = changes.get("contract", engagement.contract)
        if contract is not None and contract.began is not None:
            changes["contract"] = replace(contract, heard_at=at)  # any move is a sign of life
    return becomes, replace(engagement, **changes)


def seen_by_sender(engagement: Engagement, move: VerifiedMessage) -> int:
    """How many of our moves the peer had seen when it sent this one, which was taken."""
    return _seen(move.message, engagement.sent)


def state_of_sender(engagement: Engagement, move: VerifiedMessage) -> str:
    """The state that the peer was in when it sent this move, which was taken."""
    seen = seen_by_sender(engagement, move)
    return engagement.state if seen >= len(engagement.sent) else _peer_view(engagement, seen).state


def verifiers(engagement: Engagement, review: Review) -> tuple[Did | None, ...]:
    """Whose verdict a `Review` of the peer's may carry; None: the hirer's own. If it had not seen the seal by which we
    changed the terms, first of those that it knew.
    """
    live, contract = engagement.offer, engagement.contract
    if live is None or contract is None:
        return ()
    were = contract.were
    if were is None or _seen(review, engagement.sent) >= were.sequence:
        return (live.terms.verifier,)
    return tuple(dict.fromkeys((were.terms.verifier, live.terms.verifier)))


def arbiters(engagement: Engagement) -> tuple[Did, ...]:
    """Who may rule: on the dispute that there is, else on one that would be made now."""
    live, contract = engagement.offer, engagement.contract
    if contract is not None and contract.disputes:
        return contract.arbiters
    return (live.terms.arbiter,) if live is not None and live.terms.arbiter is not None else ()


def outcome(engagement: Engagement, message: VerifiedMessage, at: Instant | None = None) -> Outcome:
    """What would become of `message`, ours or the peer's, recorded at `at` (default: the time of the last entry).

    Raises:
        RemoteProtocolError, LocalProtocolError: As `apply` does.
    """
    of = Sent if message.message.sender == engagement.own else Received
    return judge(engagement, of(message, at or ""))[0]


# --- judging


def _judge(engagement: Engagement, move: VerifiedMessage, mine: bool, at: Instant) -> _Judged:
    message = move.message
    _parties(engagement, message, mine)
    own_chain, other_chain = (
        (engagement.sent, engagement.got) if mine else (engagement.got, engagement.sent)
    )  # of the sender, of the receiver
    if message.notice:
        _position(message, own_chain)
        return "applies", _seen(message, other_chain), None, None
    # C2: a lower number with the same digest is a repeat, with another it is equivocation.
    place, recorded, known = message.sequence, len(own_chain), len(other_chain)
    if place <= recorded:
        if own_chain[place - 1] == move.digest:
            return "repeat", 0, None, None
        text = f"{message.role} sent another {message.type} in place {place}; {own_chain[place - 1]} stands there"
        raise Refused("conflicting_message", text)
    if place > recorded + 1:
        raise Refused("out_of_order", f"move {place} of {message.role} came before move {recorded + 1}")
    last = own_chain[-1] if own_chain else None
    if message.previous != last:
        text = f"move {place} of {message.role} follows {message.previous}; the move recorded before it is {last}"
        raise Refused("conflicting_message", text)
    seen = _seen(message, other_chain)
    # C1: a decision of ours holds only on the position it was made on; a peer's view never goes back.
    if mine:
        if seen != known:
            raise Refused("out_of_order", f"decided on {seen} of the peer's moves; {known} are recorded")
    elif seen < engagement.peer_saw:
        text = (
            f"move {place} of {message.role} has seen {seen} of our moves; before it, {engagement.peer_saw} were seen"
        )
        raise Refused("conflicting_message", text)
    return _row(engagement, move, mine, at, seen, not mine and seen < known)


def _parties(engagement: Engagement, message: Message, mine: bool) -> None:
    sender, recipient = (engagement.own, engagement.peer) if mine else (engagement.peer, engagement.own)
    role = engagement.role if mine else OTHER[engagement.role]
    if message.engagement != engagement.id:
        raise Refused("wrong_negotiation", f"expected engagement {engagement.id}, came {message.engagement}")
    if message.recipient != recipient:
        raise Refused("wrong_recipient", f"expected recipient {recipient}, came {message.recipient}")
    if message.sender != sender or message.role != role:
        raise Refused("wrong_party", f"expected {sender} as {role}, came {message.sender} as {message.role}")
    talks = engagement.talks
    if talks is not None and talks.version and message.version != talks.version:
        raise Refused("version_not_supported", f"expected version {talks.version}, came {message.version}")


def _seen(message: Message, chain: tuple[Digest, ...]) -> int:
    """How many moves of the receiving side the sender says it has recorded."""
    if message.seen is None:
        return 0
    if chain and chain[-1] == message.seen:  # as long as nothing crosses anything
        return len(chain)
    for place in range(len(chain) - 1, 0, -1):
        if chain[place - 1] == message.seen:
            return place
    text = f"{message.role} has seen {message.seen}, which is no move recorded here"
    raise Refused("ledger_diverged", f"{text}: it errs, or what is recorded here was put back from an older copy")


def _position(notice: Message, chain: tuple[Digest, ...]) -> None:
    """A notice states its sender's position; it may be ahead of what came in, but it may not contradict that."""
    place = notice.sequence
    if 0 < place <= len(chain) and chain[place - 1] != notice.previous:
        text = f"{notice.role} says its move {place} is {notice.previous}; {chain[place - 1]} stands there"
        raise Refused("conflicting_message", text)


def _row(engagement: Engagement, move: VerifiedMessage, mine: bool, at: Instant, seen: int, crossed: bool) -> _Judged:
    """Look the move up, and let its guard decide; without a row it is void, late or refused."""
    message = move.message
    view = _peer_view(engagement, seen) if crossed else None
    in_lane = engagement.contract is not None and message.type in LANE_TYPES  # under a contract nothing else is offered
    state = engagement.state if view is None else view.state
    case = Case(engagement, move, mine, at, seen, crossed, state, in_lane)
    if in_lane:
        row = lane_row(case)
    else:
        kind = message.type
        named = _case_of(message, engagement) if kind in ("Review", "Closing") else ""
        row = ROWS.get((engagement.state, kind, message.role, named))
    too_soon = row is not None and crossed and not in_lane and _too_soon(case)
    _limits(engagement, move, nothing=row is None, too_soon=too_soon)
    if row is None or too_soon:
        # C6, C7: what its sender's earlier state allowed crossed a move of ours, and is recorded.
        if in_lane or too_soon or (view is not None and not _again(case) and allows(view, step_of(message, lane=None))):
            if check := _STATED.get(message.type):
                # It counts for what is owed, whatever it moves.
                GUARDS["rules_after_all" if message.type == "Ruling" and state == "closing" else check](case)
            return "late" if engagement.state in ENDED else "void", seen, None, case
        raise _no_row(engagement, message)
    if row.check:
        GUARDS[row.check](case)
    return "applies", seen, row, case


def _too_soon(case: Case) -> bool:
    """Whether a move crossed a dispute, or the end of one, and is void for not having seen that."""
    contract = case.engagement.contract
    if contract is None:
        return False
    unseen = bool(contract.disputes) and not knows(case, contract.disputes)
    unended = bool(contract.disputes) and not knows(case, contract.resolved)
    match case.move.message.type:
        case "Dispute":
            return unseen or unreleased(case)
        case "Terminate":
            return case.engagement.state == "disputed" and unseen
        case "Closing":
            return unended
        case "Ruling":
            return case.engagement.state == "closing" and unended
        case _:
            return False


def _again(case: Case) -> bool:
    """Whether it is a dispute by who knows of one."""
    contract = case.engagement.contract
    return contract is not None and case.move.message.type == "Dispute" and knows(case, contract.disputes)


def _case_of(message: Message, engagement: Engagement) -> str:
    """Which of the outcomes of its type a move has."""
    if isinstance(message, Review):
        return "rework" if message.verdict == "rework" else "final"
    contract = engagement.contract
    if engagement.state == "closing":
        return "last" if contract is not None and OTHER[message.role] in contract.closed_by else "first"
    return "silence" if isinstance(message, Closing) and message.basis == "silence" else ""


def _no_row(engagement: Engagement, message: Message) -> Refused:
    state, role = engagement.state, message.role
    here = ", ".join(legal(engagement, role)) or "nothing"
    text = f"{role} sent {message.type} in state {state}; legal here: {here}"
    if message.type == "Acceptance" and state == f"accepted-by-{role}":
        return Refused("already_contracted", text)
    if message.type == "Delivery" and role == "provider" and _accepted(engagement.contract):
        return Refused("already_fulfilled", text)
    others = any((state, message.type, OTHER[role], case) in ROWS for case in CASES)
    return Refused("wrong_party" if others else "wrong_state", text)


def _accepted(contract: Contract | None) -> bool:
    endings = contract.endings if contract is not None else ()
    return any(ending.basis == "review" and ending.detail == "accepted" for ending in endings)


def _limits(engagement: Engagement, move: VerifiedMessage, *, nothing: bool, too_soon: bool) -> None:
    """What is over a limit is refused; a move that ends something is not, unless there is `nothing` that it could be
    about, or it comes `too_soon` to end anything: of these a side could say as many as it likes.
    """
    talks, kind, contract = engagement.talks, move.message.type, engagement.contract
    if contract is not None:
        ends = kind in LIMIT_EXEMPT and not (kind == "Withdraw" and nothing)
        if not ends and len(engagement.sent) + len(engagement.got) >= MAX_CONTRACT_MOVES:
            raise Refused("round_limit", f"{MAX_CONTRACT_MOVES} moves; legal here: those that end it")
        said = contract.said_bytes[ROLES.index(move.message.role)] + len(move.raw)
        if (too_soon or not ends) and said > MAX_CONTRACT_BYTES:
            raise Refused("too_large", f"{MAX_CONTRACT_BYTES} bytes; legal here: what ends it")
    elif talks is not None and kind in _WEIGHED and talks.used + len(move.raw) > talks.bytes:
        raise Refused("too_large", f"a negotiation of more than {talks.bytes} bytes; legal here: Withdraw")


# --- changing


def _chain(case: Case, row: TableRow | None) -> Changes:
    """Both chains after a recorded move, whatever it moves."""
    engagement, move, at, seen, tabled = case.engagement, case.move, case.at, case.seen, case.engagement.tabled
    lane = (tabled.kind if tabled is not None else "") if case.in_lane else None
    step = step_of(move.message, lane=lane)
    if case.mine:
        final = move.message.type in ("Acceptance", "Seal")  # N9: a binding signature is not taken back by an error
        return {
            "last_at": at,
            "sent": (*engagement.sent, move.digest),
            "unreceipted": (*engagement.unreceipted, at),
            "answered": len(engagement.got),
            "unanswered_since": None,
            "answer_follows": True,
            "crossing": (*engagement.crossing, step),
            "before": None if final else engagement,
        }
    follows = (
        row is not None and row.next not in ENDED and row.type not in ("Seal", "Withdraw", "Closing")
    )  # C5: these have no answer, so their receipt is due at once
    return {
        "last_at": at,
        "got": (*engagement.got, move.digest),
        "unreceipted": unreceipted(engagement, seen) if case.crossed else (),
        "unanswered_since": engagement.unanswered_since or at,
        "answer_follows": engagement.answer_follows and follows,
        "peer_saw": seen,
        "crossing": tuple([own for own in engagement.crossing if own.sequence > seen]) if case.crossed else (),
        "peer_view": goes_on(_peer_view(engagement, seen), step),
        "before": None,
    }


def _peer_view(engagement: Engagement, seen: int) -> PeerView:
    """The state that the peer was in when it had seen so many of our moves, before what it says now."""
    view = engagement.peer_view
    for step in engagement.crossing:
        if step.sequence <= seen:
            view = goes_on(view, step)
    return view


# --- facts


def _noted(engagement: Engagement, fact: Noted) -> Changes:
    contract: Contract | None = engagement.contract
    match fact.name:
        case "child" if contract is not None:
            child = decode(fact.value, type=Child)
            others = tuple(one for one in contract.children if one.engagement != child.engagement)
            return {"contract": replace(contract, children=(*others, child))}
        case "cursor" if contract is not None:
            return {"contract": replace(contract, cursor=fact.value)}
        case "listening" if contract is not None:
            return {"contract": replace(contract, listens_since=fact.at)}
        case "done":
            return {"done": (*engagement.done, fact.value)} if fact.value not in engagement.done else {}
        case "freed":
            left = tuple(digest for digest in engagement.reserved if digest != fact.value)
            return {"reserved": left, "done": tuple(key for key in engagement.done if fact.value not in key)}
        case _:
            return {}
