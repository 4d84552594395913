"""What the other side does before its time, as far as our own record shows it.

Who waits judges whether time has passed, and the receiver takes what it says, so that both sides come to the same state
(decision 0288). A lie is taken with it. So the receiver holds what came against its own books, and says so: by when it
recorded what the time counts from, or by the time of that one's proof if that is earlier, since a message may have been
long under way. Two clocks may be off by as much as a message may be ahead of ours, so twice that is no lie.

Source: protocol-spec/07-contract.md, section 7.7
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from undersigned.encoding import Digest, Instant, parse_duration, seconds_between, shift
from undersigned.messages import Breach, Cancel, Closing, Dispute, Terminate, VerifiedMessage
from undersigned.proof import MAX_SKEW_SECONDS
from undersigned.protocol.deadlines import EXPIRY_PATIENCE_SECONDS, HEARTBEATS_MISSED
from undersigned.protocol.engagement import Contract, Engagement
from undersigned.protocol.entries import Received
from undersigned.protocol.fold import seen_by_sender, state_of_sender
from undersigned.protocol.performance import RULING_SECONDS
from undersigned.protocol.states import HIRER, PROVIDER

__all__ = ["LEEWAY_SECONDS", "Early", "early"]

LEEWAY_SECONDS: Final = 2 * MAX_SKEW_SECONDS
"""So much earlier is still in time: both clocks may be off."""


class Early(Struct, frozen=True, gc=False):
    """One move of the peer's that our record does not allow yet."""

    move: Digest
    type: str
    what: str
    """The deadline that it claims, the member that leaves too little time, or `unheard`: it says we were silent."""
    said: Instant
    """When it came, by our clock; of an instant that it sets, that instant."""
    signed: Instant | None
    """`created` of its proof."""
    allowed: Instant
    """Not before this, by our record; of what was unheard, when we said it."""

    def explain(self) -> str:
        """One line for people, and for the other side to read."""
        if self.what == "unheard":
            return f"{self.type} (silence) came {self.said}; our review was made {self.allowed}, in time"
        came = "came" if self.what in _CLAIMS else "sets"
        return f"{self.type} ({self.what}) {came} {self.said}; by our record not before {self.allowed}"


_HELD_AGAINST: Final = frozenset({"Breach", "Cancel", "Closing", "Dispute", "Terminate"})
"""What says, or sets, when something is to have passed."""

_CLAIMS: Final = frozenset({"review", "deadline", "no_ruling", "breach", "late_seal"})


def early(before: Engagement, entry: Received) -> Early | None:
    """What is plainly too early about a move that was just taken; None if nothing is. `before` is what it came to.

    Source: protocol-spec/07-contract.md, HIRE-LIF-34
    """
    message, contract, offer = entry.message.message, before.contract, before.offer
    if contract is None or offer is None or message.type not in _HELD_AGAINST:
        return None
    at = max(entry.at, before.last_at or "")
    signed = message.proof.created if message.proof is not None else None
    earliest, deadlines, said = min(at, signed or at), offer.terms.deadlines, at
    match message:
        case Closing(basis="silence") if _waited_for_review(before, entry):
            since = contract.delivered_from
            what, allowed = "review", shift(since, parse_duration(deadlines.review)) if since is not None else None
            reviewed = _refused_at(before, contract)
            if reviewed is not None and allowed is not None and reviewed <= allowed <= shift(said, LEEWAY_SECONDS):
                return Early(entry.message.digest, message.type, "unheard", said, signed, reviewed)
        case Terminate(cause="deadline"):
            what, allowed = "deadline", min(_deadlines(before, contract, entry.message), default=None)
        case Terminate(cause="no_ruling"):
            what, allowed = "no_ruling", contract.ruling_by
        case Terminate(cause="breach"):
            claimed = [one.cure_by for one in contract.breaches if one.move == message.names]
            what, allowed = "breach", claimed[0] if claimed else None
        case Terminate(cause="late_seal"):
            what, allowed = "late_seal", shift(offer.valid_until, offer.terms.seal_grace_seconds)
        case Breach():
            what, said, allowed = "cureBy", message.cure_by, shift(earliest, offer.terms.cure_seconds)
        case Dispute():
            what, said, allowed = "rulingBy", message.ruling_by, shift(earliest, RULING_SECONDS)
        case Cancel():
            what, said = "windDown", message.wind_down
            allowed = shift(earliest, parse_duration(deadlines.wind_down))
        case _:
            return None
    if allowed is None or shift(said, LEEWAY_SECONDS) >= allowed:
        return None
    return Early(entry.message.digest, message.type, what, said, signed, allowed)


def _waited_for_review(before: Engagement, entry: Received) -> bool:
    return entry.message.message.role == PROVIDER and state_of_sender(before, entry.message) == "delivered"


def _refused_at(engagement: Engagement, contract: Contract) -> Instant | None:
    """When we, the hirer, asked for rework or rejected, if that led to where we are: a provider that was out of reach
    until the review had passed closes as if nobody had.
    """
    cause = engagement.cause
    ours = contract.round > 1 and contract.began == cause
    for one in contract.endings:
        ours = ours or (one.move == cause and one.basis == "review" and one.detail == "rejected")
    return engagement.since if ours else None


def _deadlines(engagement: Engagement, contract: Contract, move: VerifiedMessage) -> Iterator[Instant]:
    """The first instants at which the deadlines that its sender may have waited for can have passed by its own clock.

    What it kept of ours for too late counts as well: whether something of ours was long under way, only it knows.
    """
    if engagement.offer is None:
        return
    deadlines, since, works = engagement.offer.terms.deadlines, engagement.since, contract.works_from
    state = state_of_sender(engagement, move)
    if move.message.role == HIRER:
        yield deadlines.until
        if contract.began is None and state != "cancelling":
            return
        due = contract.due or deadlines.finish
        if engagement.state == "working" and since is not None and works is not None:
            due = shift(due, -seconds_between(works, since))  # of a rework, it counts from when it was asked for
        yield due
        if state == "working" and works is not None:
            # What it has heard of us meanwhile only it knows; it has heard nothing before it let us begin.
            yield shift(works, HEARTBEATS_MISSED * parse_duration(deadlines.heartbeat))
        return
    yield deadlines.start
    yield shift(deadlines.until, EXPIRY_PATIENCE_SECONDS)
    if state == "suspended":
        seen = seen_by_sender(engagement, move)
        yield [until for place, until in contract.suspensions if place <= seen][-1]
    if state == "delivered" and contract.delivered_from is not None:
        yield shift(contract.delivered_from, parse_duration(deadlines.review))
