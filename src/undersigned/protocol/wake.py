"""When to look again if nobody writes: the instants at which time alone may change what is to be done.

Source: protocol-spec/05-negotiation.md, section 5.6
"""

from __future__ import annotations

from undersigned.encoding import Instant, parse_duration, seconds_between, shift
from undersigned.protocol.deadlines import lane_ends, silent_until, waits
from undersigned.protocol.effects import REPEAT_SECONDS
from undersigned.protocol.engagement import Contract, Engagement
from undersigned.protocol.presence import missed_since
from undersigned.protocol.put_away import asks_until, nothing_left
from undersigned.protocol.receipts import next_repeat, receipt_due, sent_again
from undersigned.protocol.states import ENDED, HIRER, PERFORMED, PROVIDER

__all__ = ["wake_at"]


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


def _instants(engagement: Engagement, after: Instant) -> list[Instant]:
    """Every instant at which an effect may appear, change or go. What is inclusive passes a second later."""
    state, talks, offer, since = engagement.state, engagement.talks, engagement.offer, engagement.since
    role = engagement.role
    found = [shift(wait.by, 1) for wait in waits(engagement) if wait.waits == role and wait.duty]
    beat = missed_since(engagement) if state == "working" else None
    if beat is not None:
        found.append(beat[1])
    due = receipt_due(engagement) if engagement.unanswered_since is not None else None
    if due is not None:
        found.append(due)
    contract = engagement.contract
    if contract is not None and (engagement.tabled is not None or contract.asked):
        found += _lane_instants(engagement, contract)
    asked = sent_again(engagement)
    if asked is not None:
        first = shift(asked[1], REPEAT_SECONDS[0])
        later = after >= first
        found.append(shift(asked[1], next_repeat(seconds_between(asked[1], after))) if later else first)
    if talks is not None and talks.bid_until is not None and state == "committed":
        found.append(shift(talks.bid_until, 1))
        if talks.tender is not None:
            found.append(shift(talks.tender.bids_close, 1))
    if (state in ENDED or state == "closing") and since is not None and not nothing_left(engagement):
        found.append(shift(asks_until(engagement, since), 1))
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
    if state == "delivered" and role == PROVIDER and (silent := silent_until(engagement)) is not None:
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
