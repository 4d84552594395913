"""Who is waited for, until when, and what the side that waits may then do.

No state changes by the clock alone (rule C8): a deadline gives one side a right, and by default its runtime the duty,
to send a move. Every boundary is inclusive: at the instant itself nothing has passed.

Source: protocol-spec/05-negotiation.md, section 5.6, and 07-contract.md, section 7.6
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from undersigned.encoding import Instant, parse_duration, shift
from undersigned.protocol.engagement import Contract, Engagement
from undersigned.protocol.states import HIRER, OTHER, PERFORMED, PROVIDER, Role

__all__ = [
    "BREACH_SECONDS",
    "HEARTBEATS_MISSED",
    "Wait",
    "lane_ends",
    "passed",
    "review_ends",
    "silent_from",
    "silent_until",
    "waits",
]

OFFER_PATIENCE_SECONDS: Final = 60
"""How long after `validUntil` an offerer still waits for a counter-offer before it withdraws (rule N6)."""

EXPIRY_PATIENCE_SECONDS: Final = 3600
"""How long after `until` a provider leaves it to the hirer to end an expired contract."""

HEARTBEATS_MISSED: Final = 3
"""`heartbeat` intervals without a sign of life after which the hirer may end the contract: losing one costs nothing."""


BREACH_SECONDS: Final = 30 * 24 * 3600
"""How long after `cureBy` a breach gives the right to end the contract."""


class Wait(Struct, frozen=True, gc=False):
    """One deadline: `waits` may send `move` with `reason` once `by` has passed."""

    name: str
    waits: Role
    by: Instant
    move: str
    reason: str
    duty: bool = True
    """Whether the runtime does it by default; else it is a right only."""


def waits(engagement: Engagement) -> tuple[Wait, ...]:
    """Every deadline of this state, by its own side's clock."""
    state, talks, contract = engagement.state, engagement.talks, engagement.contract
    if contract is not None:
        return _of_contract(engagement) if state in PERFORMED or state == "disputed" else ()
    if talks is None:
        return ()
    no_answer = "no_answer"
    match state:
        case "inquired":
            waiting, by = HIRER, min(talks.respond_by, talks.closes_at)
        case "profiled":
            waiting, by = PROVIDER, min(talks.respond_by, talks.closes_at)
        case "presented":
            waiting, by = HIRER, talks.closes_at
        case "ready":
            tender = talks.tender
            waiting, by = OTHER[talks.opens], talks.closes_at
            if tender is not None:
                by = tender.bids_close
        case "committed":
            tender = talks.tender
            waiting, by, no_answer = HIRER, tender.reveal_by if tender else talks.closes_at, "not_revealed"
        case "offered-by-hirer" | "offered-by-provider":
            return _of_offer(engagement)
        case _:  # in doubt nobody leaves by time-out; at an end nobody waits
            return ()
    return (Wait("answer", waiting, by, "Withdraw", no_answer),)


def _of_offer(engagement: Engagement) -> tuple[Wait, ...]:
    """An offerer waits a little beyond `validUntil`, or as long as a person on the other side asked for (rule N6)."""
    offer, talks, pause = engagement.offer, engagement.talks, engagement.pause
    if offer is None or talks is None:
        return ()
    patience = shift(offer.valid_until, OFFER_PATIENCE_SECONDS)
    if pause is not None and pause.role != offer.owner:
        patience = max(patience, pause.until)
    by = max(offer.valid_until, min(patience, talks.closes_at))
    return (Wait("offer", offer.owner, by, "Withdraw", "offer_expired"),)


def _of_contract(engagement: Engagement) -> tuple[Wait, ...]:
    contract, offer, since = engagement.contract, engagement.offer, engagement.since
    if contract is None or offer is None or since is None:
        return ()
    deadlines = offer.terms.deadlines
    state = engagement.state
    found: list[Wait] = []
    if state == "sealed":
        found.append(Wait("start", PROVIDER, deadlines.start, "Terminate", "deadline"))
    elif state == "working":
        found.append(Wait("finish", HIRER, contract.due or deadlines.finish, "Terminate", "deadline"))
        silence = HEARTBEATS_MISSED * parse_duration(deadlines.heartbeat)
        found.append(Wait("heartbeat", HIRER, shift(silent_from(contract, since), silence), "Terminate", "deadline"))
    elif state == "suspended" and contract.suspended_until is not None:
        found.append(Wait("suspension", PROVIDER, contract.suspended_until, "Terminate", "deadline"))
    elif state == "disputed" and contract.ruling_by is not None:
        found += [Wait("ruling", role, contract.ruling_by, "Terminate", "no_ruling") for role in (HIRER, PROVIDER)]
    elif state == "cancelling":
        found.append(Wait("windDown", HIRER, contract.due or deadlines.finish, "Terminate", "deadline"))
    elif state == "delivered":
        ends = shift(since, parse_duration(deadlines.review))
        found.append(Wait("review", PROVIDER, ends, "Closing", "silence"))
    if state in PERFORMED:
        # Whether it was cured is nothing that a program sees, so this is a right only.
        for one in contract.breaches:
            found.append(Wait("cure", one.role, one.cure_by, "Terminate", "breach", duty=False))
        # After a delivery what is owed is the review, which has its own deadline.
        duty = state != "delivered"
        late = shift(deadlines.until, EXPIRY_PATIENCE_SECONDS)
        found.append(Wait("until", HIRER, deadlines.until, "Terminate", "deadline", duty))
        found.append(Wait("until", PROVIDER, late, "Terminate", "deadline", duty))
    return tuple(found)


def silent_from(contract: Contract, since: Instant) -> Instant:
    """From when the provider's heartbeats count; `since`, the state was entered. Our own absence is not its silence."""
    return max(contract.heard_at or since, contract.listens_since or since)


def lane_ends(engagement: Engagement) -> Instant | None:
    """When the owner of a document on the table takes it back, by its own clock; None if none waits for an answer."""
    tabled = engagement.tabled
    if tabled is None or tabled.acceptance is not None or engagement.state not in (*PERFORMED, "disputed"):
        return None
    return shift(tabled.valid_until, OFFER_PATIENCE_SECONDS)


def review_ends(engagement: Engagement) -> Instant | None:
    """Last instant for the `Review` in `delivered`, by this side's clock."""
    return next((wait.by for wait in waits(engagement) if wait.name == "review"), None)


def silent_until(engagement: Engagement) -> Instant | None:
    """How long a provider that may close by silence waits for what becomes of a document that it accepted: a seal that
    crosses this `Closing` counts, and it says what is owed. For as long as for other books, and while there is
    authority: then the hirer may end the contract otherwise. None: it does not wait.
    """
    ends, offer = review_ends(engagement), engagement.offer
    if ends is None or offer is None or not engagement.in_doubt:
        return None
    deadlines = offer.terms.deadlines
    return min(shift(ends, parse_duration(deadlines.close)), deadlines.until)


def passed(engagement: Engagement, role: Role, now: Instant) -> tuple[str, ...]:
    """Names of the deadlines on which `role` waits and that have passed at `now`, those kept too late included.

    What is no deadline of the terms is not among them: the cure of a breach, and a ruling.
    """
    found = [
        wait.name
        for wait in waits(engagement)
        if wait.waits == role and now > wait.by and wait.name not in ("cure", "ruling")
    ]
    if engagement.contract is not None and role == engagement.role:
        found.extend(engagement.contract.missed)
    return tuple(found)
