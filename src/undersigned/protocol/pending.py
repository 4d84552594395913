"""What this side owes next, who owes what by when, and when to look again.

All three are functions of the engagement and the time. Nothing here remembers what was asked for already.

Source: protocol-spec/05-negotiation.md, section 5.6
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from undersigned.encoding import Digest, Instant, parse_duration, seconds_between, shift
from undersigned.protocol.deadlines import Wait, lane_ends, review_ends, waits
from undersigned.protocol.effects import (
    REPEAT_SECONDS,
    REPEATED_FOR_SECONDS,
    Acknowledge,
    Cascade,
    Effect,
    Finished,
    Free,
    Missed,
    Owe,
    Repeat,
    Reserve,
    Work,
)
from undersigned.protocol.engagement import Contract, Engagement, Tabled
from undersigned.protocol.fold import legal_by_state
from undersigned.protocol.lane import may_change
from undersigned.protocol.presence import missed_since
from undersigned.protocol.states import ENDED, HIRER, PERFORMED, PROVIDER, ROLES, TABLES, Role

__all__ = ["PUT_AWAY", "RECEIPT_SECONDS", "Owed", "basis", "owed", "pending", "wake_at"]

RECEIPT_SECONDS: Final = 1
"""How long an answer may take before a separate `Receipt` is due (rule C5)."""

NAMED_AT_ONCE: Final = 64
"""Moves that one `Receipt` names."""

PUT_AWAY_SECONDS: Final = 24 * 3600
"""How long after its end an engagement still asks for a receipt that does not come. The peer may be gone for good, and
one that comes back finds the ledger."""

UNHEARD_SECONDS: Final = sum(REPEAT_SECONDS)
"""The same where the peer never said anything in it: as long as the pauses between repeats grow. Nothing shows that it
is there, its own deadlines end what it may have heard of, and what it says later finds the ledger, too."""

PUT_AWAY: Final = "put-away"
"""Noted as done by a side that has no room for it any longer: it asks for no receipt any more (HIRE-LIM-02)."""

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


def pending(engagement: Engagement, now: Instant) -> tuple[Effect, ...]:
    """What this side has to do at `now`, in the order of `effects`. The same state gives the same effects again.

    Source: protocol-spec/05-negotiation.md, section 5.6
    """
    at = now if engagement.last_at is None else max(now, engagement.last_at)
    state, contract = engagement.state, engagement.contract
    found: list[Effect | None] = []
    # This is asked at every step, and most states can owe only a few of these: the others are not gone into.
    if contract is not None and contract.children:
        found += _cascades(engagement, contract)
    if engagement.offer is not None or engagement.reserved or state == "committed":
        found += _reservations(engagement, at)
    if state == "working" and contract is not None and engagement.role == PROVIDER:
        found.append(_work(engagement, contract, at))
    ended = state in ENDED
    if not ended:
        found.append(_owes(engagement, at))
    if engagement.tabled is not None:
        found.append(_lane_owes(engagement, engagement.tabled, at))
    if contract is not None and contract.asked:
        found += _approvals(engagement, contract, at)
    if engagement.unanswered_since is not None:
        found.append(_receipts(engagement, at))
    if engagement.unreceipted or engagement.in_doubt:
        found.append(_repeats(engagement, at))
    if state == "working" and engagement.role == HIRER:
        found.append(_missed(engagement, at))
    if ended or state == "closing":
        found.append(_finished(engagement, at))
    effects, done = tuple(filter(None, found)), engagement.done
    return tuple([effect for effect in effects if effect.key not in done]) if done else effects


def wake_at(engagement: Engagement, now: Instant | None = None) -> Instant | None:
    """The next instant after `now` at which time alone may change `pending`; None if there is none.

    `now` defaults to the time of the last entry.
    """
    after = max(now or "", engagement.last_at or "")
    first: Instant | None = None
    for instant in _instants(engagement, after):
        if instant > after and (first is None or instant < first):
            first = instant
    return first


def owed(engagement: Engagement) -> Owed:
    """Who owes the next move: every wait has an owner, a deadline and a reason (rule N10).

    Source: protocol-spec/05-negotiation.md, section 5.6
    """
    state, contract = engagement.state, engagement.contract
    if state in ENDED:
        return Owed((), (), None, f"ended: {engagement.ended or 'closed by both'}")
    who = _holders(engagement)
    moves = _answers(engagement, who[0]) if who else ()
    by = _by(engagement, who, waits(engagement))
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


def _holders(engagement: Engagement) -> tuple[Role, ...]:
    state, talks, contract = engagement.state, engagement.talks, engagement.contract
    owner = _OWNERS.get(state)
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


_OWNERS: Final[dict[str, tuple[Role, ...]]] = {
    state: (role,)
    for table in ("contract_owners", "negotiation_owners")
    for state, named in TABLES[table].items()
    for role in ROLES
    if named == role
}
"""Whose move a state waits for by the tables alone."""


def _answers(engagement: Engagement, role: Role) -> tuple[str, ...]:
    """Moves that answer what is asked of `role`, without those that are a right only."""
    if engagement.contract is None:
        return legal_by_state(engagement, role)
    # A ruling is waited for in a dispute; after one that ended without, it is a right.
    return legal_by_state(engagement, role, _ENDED_RIGHTS if engagement.state == "closing" else _RIGHTS)


def _by(engagement: Engagement, who: tuple[Role, ...], deadlines: tuple[Wait, ...]) -> Instant | None:
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
    return min([wait.by for wait in deadlines if wait.waits not in who and wait.name not in apart], default=None)


# --- effects


def _key(name: str, digest: Digest | None) -> str:
    return f"{name}:{digest or '-'}"


def _held(engagement: Engagement, at: Instant) -> tuple[str, Digest, Instant] | None:
    """The reservation that this state stands on: what for, under which digest, until when (rules N5, N6, T4)."""
    state, talks, offer = engagement.state, engagement.talks, engagement.offer
    if state == "committed" and talks is not None and talks.bid is not None and talks.bid_until is not None:
        return ("bid", talks.bid, talks.bid_until) if engagement.role == PROVIDER and at <= talks.bid_until else None
    if offer is None or state in ENDED or state == "closing":
        return None
    if engagement.contract is not None:
        return "contract", offer.digest, offer.terms.deadlines.until
    if engagement.in_doubt:
        until = shift(offer.valid_until, offer.terms.seal_grace_seconds)
        return ("acceptance", offer.digest, until) if at <= until else None
    if offer.owner != engagement.role:
        return None
    accepted = state.startswith("accepted-by-") and not engagement.accepted_late
    return ("offer", offer.digest, offer.valid_until) if accepted or at <= offer.valid_until else None


def _reservations(engagement: Engagement, at: Instant) -> list[Effect]:
    held = _held(engagement, at)
    found: list[Effect] = []
    if held is not None:
        name, digest, until = held
        # An amendment may move its end or its price, so it is reserved again.
        contract = engagement.contract
        if contract is not None and contract.in_force_by is not None:
            key = f"reserve-{name}-{contract.in_force}:{digest}"
        else:
            key = f"reserve-{name}:{digest}"
        found.append(Reserve(key=key, name=name, digest=digest, until=until))
    for digest in engagement.reserved:
        if held is None or digest != held[1]:
            # A key is served once, and what an acceptance held may have been given back before a late seal came.
            signed = engagement.offer if engagement.contract is not None else None
            key, name = ("free-contract", "contract") if signed and digest == signed.digest else ("free", "reservation")
            found.append(Free(key=f"{key}:{digest}", name=name, digest=digest))
    return found


def _cascades(engagement: Engagement, contract: Contract) -> Iterator[Cascade]:
    """What becomes of a contract becomes of the hires under it: pending until each was told."""
    cause = engagement.cause
    if cause is None or engagement.role != PROVIDER:
        return
    match engagement.state:
        case "suspended":
            move = "Suspend"
        case "cancelling":
            move = "Cancel"
        case "working" if cause != contract.began:
            move = "Resume"
        case "disputed" | "closing" | "closed":
            move = "Terminate"
        case _:
            return
    for child in contract.live_children():
        key = _key(f"cascade:{child.engagement}", cause)
        yield Cascade(key=key, child=child.engagement, move=move, names=cause)


def _closes_later(engagement: Engagement, by: Instant | None, at: Instant) -> bool:
    """Whether our books wait, which they do until `close`: for those of the children, or for what becomes of a document
    that we accepted, since a seal that crossed the end counts for what is owed.
    """
    return by is not None and at < by and (_leads(engagement) or engagement.in_doubt)


def _leads(engagement: Engagement) -> bool:
    """Whether a hire of ours under this contract is not over."""
    contract = engagement.contract
    return contract is not None and engagement.role == PROVIDER and bool(contract.live_children())


def _late_start(engagement: Engagement) -> bool:
    """In `working`: the hirer started later than agreed, and we have not forgiven it."""
    return engagement.contract is not None and "start" in engagement.contract.missed


def _work(engagement: Engagement, contract: Contract, at: Instant) -> Work | None:
    """The provider's own, in `working`."""
    offer = engagement.offer
    if offer is None or contract.start is None or contract.began is None:
        return None
    if not engagement.authority or _late_start(engagement):
        return None
    not_before = offer.terms.deadlines.not_before
    if not_before is not None and at < not_before:
        return None
    return Work(
        key=_key("start-work", contract.began),
        contract=contract.digest,
        start=contract.start,
        cursor=contract.cursor,
        round=contract.round,
    )


def _owes(engagement: Engagement, at: Instant) -> Owe | None:
    role, state, offer = engagement.role, engagement.state, engagement.offer
    cause, deadlines = engagement.cause, waits(engagement)
    for wait in deadlines:
        if wait.waits == role and wait.duty and at > wait.by:
            if wait.name == "review" and at < (_silent_until(engagement) or at):
                return None
            # The deadline of the other side has passed: there is one thing to say, and waiting is over.
            return _ends(wait, cause)
    if state == "working" and _late_start(engagement):
        return Owe(key=_key("owe-deadline", cause), moves=("Terminate",), by=None, reason="deadline")
    who = _OWNERS.get(state) or _holders(engagement)
    if role not in who:
        return None
    by = _by(engagement, who, deadlines)
    moves = _answers(engagement, role)
    reason: str | None = None
    if engagement.accepted_late and state.startswith("accepted-by-"):
        moves, reason = ("Withdraw",), "offer_expired"
    elif offer is not None and at > offer.valid_until and state.startswith("offered-by-"):
        # N7: an acceptance now must fail; a counter-offer of the same terms need not.
        moves = _without("Acceptance", moves)
    elif state == "sealed" and offer is not None:
        not_before = offer.terms.deadlines.not_before
        if at > offer.terms.deadlines.start or (not_before is not None and at < not_before):
            moves = _without("Start", moves)
    elif state == "committed" and engagement.talks is not None and engagement.talks.tender is not None:
        if at <= engagement.talks.tender.bids_close:
            moves = _without("Offer", moves)
    elif state == "closing":
        if _closes_later(engagement, by, at):
            return None
        reason = basis(engagement)
        # What comes meanwhile may be a stronger end, and the books rest on that.
        return Owe(key=_key(f"owe-Closing-{reason}", cause), moves=moves, by=by, reason=reason)
    return Owe(key=_key("owe-" + "-".join(moves), cause), moves=moves, by=by, reason=reason)


def _silent_until(engagement: Engagement) -> Instant | None:
    """How long a provider that may close by silence waits for what becomes of a document that it accepted: a seal that
    crosses this `Closing` counts, and it says what is owed. For as long as for other books, and while there is
    authority: then the hirer may end the contract otherwise. None: it does not wait.
    """
    ends, offer = review_ends(engagement), engagement.offer
    if ends is None or offer is None or not engagement.in_doubt:
        return None
    deadlines = offer.terms.deadlines
    return min(shift(ends, parse_duration(deadlines.close)), deadlines.until)


def _without(kind: str, moves: tuple[str, ...]) -> tuple[str, ...]:
    return tuple([other for other in moves if other != kind])


def _lane_owes(engagement: Engagement, tabled: Tabled, at: Instant) -> Owe | None:
    """The answer to the document in the lane: the offerer's to an acceptance, the other side's to an offer."""
    own, possible = tabled.owner == engagement.role, may_change(engagement.state, tabled.kind)
    ends = lane_ends(engagement)
    moves, by, reason = (), tabled.accepted_at, None
    if tabled.acceptance is not None:
        if own and not possible:
            moves, reason = ("Withdraw",), "ended"
        elif own and tabled.accepted_late:
            moves, reason = ("Withdraw",), "offer_expired"
        elif own and tabled.overtaken is not None:
            moves, reason = ("Withdraw",), "overtaken"
        elif own:
            moves = ("Seal", "Withdraw")
    elif own:
        if ends is not None and at > ends:
            moves, by, reason = ("Withdraw",), ends, "offer_expired"
    elif possible and at <= tabled.valid_until:
        moves, by = ("Offer", "Acceptance", "Withdraw"), tabled.valid_until
    if not moves:
        return None
    key = _key("owe-" + "-".join(("document", *moves)), tabled.acceptance or tabled.digest)
    return Owe(key=key, moves=moves, by=by, reason=reason, about=tabled.digest)


def _approvals(engagement: Engagement, contract: Contract, at: Instant) -> Iterator[Owe]:
    """Open requests for approval, while their answer still counts: silence is no."""
    if engagement.role != HIRER or engagement.state not in ("working", "suspended"):
        return
    for one in contract.open_requests():
        if at <= one.answer_by:
            yield Owe(key=_key("owe-approval", one.move), moves=("Approval",), by=one.answer_by, about=one.move)


def _ends(wait: Wait, cause: Digest | None) -> Owe:
    return Owe(key=_key(f"owe-{wait.reason}", cause), moves=(wait.move,), by=wait.by, reason=wait.reason)


def _receipts(engagement: Engagement, at: Instant) -> Acknowledge | None:
    due = _receipt_due(engagement)
    if due is None or at < due:
        return None
    # One receipt names no more than a list holds; what came before these its `seen` covers.
    of = engagement.got[engagement.answered :][-NAMED_AT_ONCE:]
    return Acknowledge(key=_key("receipt", of[-1]), of=of, due=due)


def _receipt_due(engagement: Engagement) -> Instant | None:
    since = engagement.unanswered_since
    if since is None or engagement.answered >= len(engagement.got):
        return None
    return shift(since, RECEIPT_SECONDS) if engagement.answer_follows else since


def _asked(engagement: Engagement) -> tuple[Digest, Instant] | None:
    """The own move that goes out again until it is answered, and since when it does."""
    if engagement.unreceipted:
        return engagement.sent[-len(engagement.unreceipted)], engagement.unreceipted[0]
    if engagement.state == f"accepted-by-{engagement.role}" and engagement.acceptance and engagement.since:
        return engagement.acceptance, engagement.since  # N4: receipted is not yet answered
    tabled = engagement.tabled
    if tabled is not None and tabled.acceptance and tabled.accepted_at and engagement.in_doubt:
        return tabled.acceptance, tabled.accepted_at
    return None


def _repeats(engagement: Engagement, at: Instant) -> Repeat | None:
    asked = _asked(engagement)
    if asked is None or at < shift(asked[1], REPEAT_SECONDS[0]):
        return None
    digest, since = asked
    attempt = _attempts(seconds_between(since, at))
    return Repeat(key=_key(f"repeat-{attempt}", digest), digest=digest, attempt=attempt)


def _attempts(elapsed: int) -> int:
    """How many repeats were due within so many seconds."""
    days, within = elapsed // REPEATED_FOR_SECONDS, min(elapsed, REPEATED_FOR_SECONDS - 1)
    count, total = 0, 0
    for step in REPEAT_SECONDS:
        total += step
        if within < total:
            return count
        count += 1
    return days + count + (within - total) // REPEAT_SECONDS[-1]


def _next_repeat(elapsed: int) -> int:
    """Seconds from the sending to the repeat after the last one due within `elapsed`."""
    next_day = (elapsed // REPEATED_FOR_SECONDS + 1) * REPEATED_FOR_SECONDS
    total = 0
    for step in REPEAT_SECONDS:
        total += step
        if elapsed < total:
            return total
    total += ((elapsed - total) // REPEAT_SECONDS[-1] + 1) * REPEAT_SECONDS[-1]
    return min(total, next_day) if elapsed < REPEATED_FOR_SECONDS else next_day


def _missed(engagement: Engagement, at: Instant) -> Missed | None:
    beat = missed_since(engagement)
    if beat is None or at < beat[1]:
        return None
    return Missed(key=_key("missed-heartbeat", beat[0]), since=beat[0])


def _finished(engagement: Engagement, at: Instant) -> Finished | None:
    contract, offer, since = engagement.contract, engagement.offer, engagement.since
    over = engagement.state in ENDED
    if engagement.state == "closing" and contract is not None and offer is not None and since is not None:
        # After `close` one `Closing` is enough for the books; the state stays.
        over = engagement.role in contract.closed_by and at > shift(since, parse_duration(offer.terms.deadlines.close))
    if not over:
        return None
    gone = PUT_AWAY in engagement.done or (since is not None and at > shift(since, _asks_for(engagement)))
    if gone or _nothing_left(engagement):
        return Finished(key=_key("finished", engagement.cause))
    return None


def _nothing_left(engagement: Engagement) -> bool:
    """Whether an engagement that is over need not be there for a day."""
    # What the peer may not have is repeated for a day all the same: both may have ended it on a line that was down.
    doubt = engagement.lane.startswith("accepted-by-")
    # A child that was not told yet, or whose books are open, is not left alone.
    return _settled(engagement) and not doubt and not _leads(engagement)


def _asks_for(engagement: Engagement) -> int:
    """Seconds for which a receipt is asked for after the end."""
    # A receipt is no move, and whoever sent one has what it names: it is there, and waits for us.
    heard = engagement.got or len(engagement.unreceipted) < len(engagement.sent)
    return PUT_AWAY_SECONDS if heard else UNHEARD_SECONDS


def _settled(engagement: Engagement) -> bool:
    """Every move of either side has its receipt."""
    return not engagement.unreceipted and engagement.answered >= len(engagement.got)


def _instants(engagement: Engagement, after: Instant) -> list[Instant]:
    """Every instant at which an effect may appear, change or go. What is inclusive passes a second later."""
    state, talks, offer, since = engagement.state, engagement.talks, engagement.offer, engagement.since
    role = engagement.role
    found = [shift(wait.by, 1) for wait in waits(engagement) if wait.waits == role and wait.duty]
    beat = missed_since(engagement) if state == "working" else None
    if beat is not None:
        found.append(beat[1])
    due = _receipt_due(engagement) if engagement.unanswered_since is not None else None
    if due is not None:
        found.append(due)
    contract = engagement.contract
    if contract is not None and (engagement.tabled is not None or contract.asked):
        found += _lane_instants(engagement, contract)
    asked = _asked(engagement)
    if asked is not None:
        first = shift(asked[1], REPEAT_SECONDS[0])
        later = after >= first
        found.append(shift(asked[1], _next_repeat(seconds_between(asked[1], after))) if later else first)
    if talks is not None and talks.bid_until is not None and state == "committed":
        found.append(shift(talks.bid_until, 1))
        if talks.tender is not None:
            found.append(shift(talks.tender.bids_close, 1))
    if (state in ENDED or state == "closing") and since is not None and not _nothing_left(engagement):
        found.append(shift(since, _asks_for(engagement) + 1))
    if offer is None or state in ENDED:
        return found
    if contract is None:
        found.append(shift(offer.valid_until, 1))
        if engagement.in_doubt:
            found.append(shift(offer.valid_until, offer.terms.seal_grace_seconds + 1))
        return found
    deadlines = offer.terms.deadlines
    if deadlines.not_before is not None:
        found.append(deadlines.not_before)
    if state == "sealed":
        found.append(shift(deadlines.start, 1))
    if state == "closing" and since is not None:
        ends = shift(since, parse_duration(deadlines.close))
        found += (ends, shift(ends, 1))
    if state == "delivered" and role == PROVIDER and (silent := _silent_until(engagement)) is not None:
        found.append(silent)
    return found


def _lane_instants(engagement: Engagement, contract: Contract) -> list[Instant]:
    tabled = engagement.tabled
    found: list[Instant] = []
    ends = lane_ends(engagement) if tabled is not None else None
    if tabled is not None and ends is not None:
        found += (shift(tabled.valid_until, 1), shift(ends, 1))
    if contract.asked and engagement.role == HIRER and engagement.state in PERFORMED:
        found += [shift(one.answer_by, 1) for one in contract.open_requests()]
    return found
