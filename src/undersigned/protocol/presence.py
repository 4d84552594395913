"""Whether the other side is there: offline and gone are two things, and only one of them gives a right.

Who has no connection is offline, and nothing follows from that. A provider that was not heard of while it works, by a
move or `Progress`, is silent after one `heartbeat`, and gone after three: then the hirer may end the contract, by its
own clock, and its runtime does. A hirer owes no sign of life, so it is never gone.

Source: protocol-spec/07-contract.md, sections 7.6 and 7.8
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from undersigned.encoding import Instant, parse_duration, seconds_between, shift
from undersigned.protocol.deadlines import HEARTBEATS_MISSED, silent_from, waits
from undersigned.protocol.engagement import Engagement
from undersigned.protocol.states import HIRER, Role

__all__ = ["Presence", "Right", "missed_since", "presence", "rights"]


class Presence(Struct, frozen=True, gc=False, kw_only=True, rename="camel"):
    """What is known of the other side's being there."""

    word: Literal["here", "offline", "silent", "gone"]
    since: Instant | None
    """Since when it is so: the connection was lost, or the provider last heard of; None while it is here."""
    missed: int = 0
    """Heartbeats of the provider that did not come while this side was there to hear them."""
    gone_after: Instant | None = None
    """After it a provider that is not heard of is gone; None where no heartbeat is owed to this side."""


class Right(Struct, frozen=True, gc=False, kw_only=True, rename="camel"):
    """What one side may do once an instant has passed."""

    name: str
    role: Role
    move: str
    reason: str
    after: Instant
    passed: bool
    by_itself: bool
    """Whether its runtime does so by default."""


def presence(engagement: Engagement, now: Instant, lost_at: Instant | None = None) -> Presence:
    """What to say of the other side at `now`. `lost_at`: since when there is no connection to it, None if there is."""
    beat = _heartbeat(engagement)
    if beat is None:
        return Presence(word="here" if lost_at is None else "offline", since=lost_at)
    heard_at, counts_from, seconds = beat
    # At the instant itself nothing is missed yet.
    missed = max(0, seconds_between(counts_from, now) - 1) // seconds
    gone_after = shift(counts_from, HEARTBEATS_MISSED * seconds)
    if now > gone_after:
        return Presence(word="gone", since=heard_at, missed=missed, gone_after=gone_after)
    if lost_at is not None:
        return Presence(word="offline", since=lost_at, missed=missed, gone_after=gone_after)
    word: Literal["silent", "here"] = "silent" if missed else "here"
    return Presence(word=word, since=heard_at if missed else None, missed=missed, gone_after=gone_after)


def missed_since(engagement: Engagement) -> tuple[Instant, Instant] | None:
    """When the provider was last heard of, and the first instant at which a heartbeat has been missed since.

    None where no heartbeat is owed to this side.
    """
    beat = _heartbeat(engagement)
    return None if beat is None else (beat[0], shift(beat[1], beat[2] + 1))


def rights(engagement: Engagement, now: Instant) -> tuple[Right, ...]:
    """What either side may do at a deadline of this state, the next one first. Each judges by its own clock."""
    found = [
        Right(
            name=wait.name,
            role=wait.waits,
            move=wait.move,
            reason=wait.reason,
            after=wait.by,
            passed=now > wait.by,
            by_itself=wait.duty,
        )
        for wait in waits(engagement)
    ]
    return tuple(sorted(found, key=lambda right: right.after))


def _heartbeat(engagement: Engagement) -> tuple[Instant, Instant, int] | None:
    """When the provider was last heard of, from when its heartbeats count, and the seconds of one, while one is owed to
    this side.
    """
    contract, offer, since = engagement.contract, engagement.offer, engagement.since
    if engagement.role != HIRER or engagement.state != "working" or contract is None or offer is None or since is None:
        return None
    # Terms may say PT0S; a second is the least that can be counted.
    seconds = max(1, parse_duration(offer.terms.deadlines.heartbeat))
    return contract.heard_at or since, silent_from(contract, since), seconds
