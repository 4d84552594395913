"""What this side has to do next: the effects that the state asks for.

A function of the engagement and the time. Nothing here remembers what was asked for already.

Source: protocol-spec/05-negotiation.md, section 5.6
"""

from __future__ import annotations

from collections.abc import Iterator

from undersigned.encoding import Digest, Instant, shift
from undersigned.protocol.deadlines import Wait, lane_ends, silent_until, waits
from undersigned.protocol.effects import Cascade, Effect, Free, Missed, Owe, Reserve, Work, effect_key
from undersigned.protocol.engagement import Contract, Engagement, Tabled, leads
from undersigned.protocol.lane import may_change
from undersigned.protocol.owed import OWNERS, answers, basis, due_by, holders
from undersigned.protocol.presence import missed_since
from undersigned.protocol.put_away import finished
from undersigned.protocol.receipts import receipts, repeats
from undersigned.protocol.states import ENDED, HIRER, PROVIDER

__all__ = ["pending"]


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
        found.append(receipts(engagement, at))
    if engagement.unreceipted or engagement.in_doubt:
        found.append(repeats(engagement, at))
    if state == "working" and engagement.role == HIRER:
        found.append(_missed(engagement, at))
    if ended or state == "closing":
        found.append(finished(engagement, at))
    effects, done = tuple(filter(None, found)), engagement.done
    return tuple([effect for effect in effects if effect.key not in done]) if done else effects


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
        key = effect_key(f"cascade:{child.engagement}", cause)
        yield Cascade(key=key, child=child.engagement, move=move, names=cause)


def _closes_later(engagement: Engagement, by: Instant | None, at: Instant) -> bool:
    """Whether our books wait, which they do until `close`: for those of the children, or for what becomes of a document
    that we accepted, since a seal that crossed the end counts for what is owed.
    """
    return by is not None and at < by and (leads(engagement) or engagement.in_doubt)


def _late_start(engagement: Engagement) -> bool:
    """In `working`: the hirer started later than agreed."""
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
        key=effect_key("start-work", contract.began),
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
            if wait.name == "review" and at < (silent_until(engagement) or at):
                return None
            # The deadline of the other side has passed: there is one thing to say, and waiting is over.
            return _ends(wait, cause)
    if state == "working" and _late_start(engagement):
        return Owe(key=effect_key("owe-deadline", cause), moves=("Terminate",), by=None, reason="deadline")
    who = OWNERS.get(state) or holders(engagement)
    if role not in who:
        return None
    by = due_by(engagement, deadlines)
    moves = answers(engagement, role)
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
        # What comes meanwhile may be a stronger end, or a ruling that counts before this one: the books rest on that.
        last = engagement.contract.endings[-1].move if engagement.contract and engagement.contract.endings else cause
        return Owe(key=effect_key(f"owe-Closing-{reason}", last), moves=moves, by=by, reason=reason)
    return Owe(key=effect_key("owe-" + "-".join(moves), cause), moves=moves, by=by, reason=reason)


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
    key = effect_key("owe-" + "-".join(("document", *moves)), tabled.acceptance or tabled.digest)
    return Owe(key=key, moves=moves, by=by, reason=reason, about=tabled.digest)


def _approvals(engagement: Engagement, contract: Contract, at: Instant) -> Iterator[Owe]:
    """Open requests for approval, while their answer still counts: silence is no."""
    if engagement.role != HIRER or engagement.state not in ("working", "suspended"):
        return
    for one in contract.open_requests():
        if at <= one.answer_by:
            yield Owe(key=effect_key("owe-approval", one.move), moves=("Approval",), by=one.answer_by, about=one.move)


def _ends(wait: Wait, cause: Digest | None) -> Owe:
    return Owe(key=effect_key(f"owe-{wait.reason}", cause), moves=(wait.move,), by=wait.by, reason=wait.reason)


def _missed(engagement: Engagement, at: Instant) -> Missed | None:
    beat = missed_since(engagement)
    if beat is None or at < beat[1]:
        return None
    return Missed(key=effect_key("missed-heartbeat", beat[0]), since=beat[0])
