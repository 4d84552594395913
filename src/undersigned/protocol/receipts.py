"""Receipts that are due, and own moves that go out again until they have theirs.

Source: protocol-spec/04-envelope-and-digests.md, section 4.3
"""

from __future__ import annotations

from typing import Final

from undersigned.encoding import Digest, Instant, seconds_between, shift
from undersigned.protocol.effects import REPEAT_SECONDS, REPEATED_FOR_SECONDS, Acknowledge, Repeat, effect_key
from undersigned.protocol.engagement import Engagement

__all__ = ["next_repeat", "receipt_due", "receipts", "repeats", "sent_again", "settled"]

RECEIPT_SECONDS: Final = 1
"""How long an answer may take before a separate `Receipt` is due (rule C5)."""

NAMED_AT_ONCE: Final = 64
"""Moves that one `Receipt` names."""


def receipts(engagement: Engagement, at: Instant) -> Acknowledge | None:
    """The separate `Receipt` that is due at `at`; None if none is."""
    due = receipt_due(engagement)
    if due is None or at < due:
        return None
    # One receipt names no more than a list holds; what came before these its `seen` covers.
    of = engagement.got[engagement.answered :][-NAMED_AT_ONCE:]
    return Acknowledge(key=effect_key("receipt", of[-1]), of=of, due=due)


def receipt_due(engagement: Engagement) -> Instant | None:
    """When a separate `Receipt` is due (rule C5); None if nothing waits for one."""
    since = engagement.unanswered_since
    if since is None or engagement.answered >= len(engagement.got):
        return None
    return shift(since, RECEIPT_SECONDS) if engagement.answer_follows else since


def sent_again(engagement: Engagement) -> tuple[Digest, Instant] | None:
    """The own move that goes out again until it is answered, and since when it does."""
    if engagement.unreceipted:
        return engagement.sent[-len(engagement.unreceipted)], engagement.unreceipted[0]
    if engagement.state == f"accepted-by-{engagement.role}" and engagement.acceptance and engagement.since:
        return engagement.acceptance, engagement.since  # N4: receipted is not yet answered
    tabled = engagement.tabled
    if tabled is not None and tabled.acceptance and tabled.accepted_at and engagement.in_doubt:
        return tabled.acceptance, tabled.accepted_at
    return None


def repeats(engagement: Engagement, at: Instant) -> Repeat | None:
    """The own move that goes out again at `at`; None if none does."""
    asked = sent_again(engagement)
    if asked is None or at < shift(asked[1], REPEAT_SECONDS[0]):
        return None
    digest, since = asked
    attempt = _attempts(seconds_between(since, at))
    return Repeat(key=effect_key(f"repeat-{attempt}", digest), digest=digest, attempt=attempt)


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


def next_repeat(elapsed: int) -> int:
    """Seconds from the sending to the repeat after the last one due within `elapsed`."""
    next_day = (elapsed // REPEATED_FOR_SECONDS + 1) * REPEATED_FOR_SECONDS
    total = 0
    for step in REPEAT_SECONDS:
        total += step
        if elapsed < total:
            return total
    total += ((elapsed - total) // REPEAT_SECONDS[-1] + 1) * REPEAT_SECONDS[-1]
    return min(total, next_day) if elapsed < REPEATED_FOR_SECONDS else next_day


def settled(engagement: Engagement) -> bool:
    """Every move of either side has its receipt."""
    return not engagement.unreceipted and engagement.answered >= len(engagement.got)
