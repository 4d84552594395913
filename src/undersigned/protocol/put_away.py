"""When an engagement that is over is put away: all has its receipt, or was asked for long enough.

Source: protocol-spec/05-negotiation.md, section 5.6
"""

from __future__ import annotations

from typing import Final

from undersigned.encoding import Instant, parse_duration, shift
from undersigned.protocol.effects import REPEAT_SECONDS, Finished, effect_key
from undersigned.protocol.engagement import Engagement, leads
from undersigned.protocol.receipts import settled
from undersigned.protocol.states import ENDED

__all__ = ["PUT_AWAY", "asks_until", "finished", "nothing_left"]

PUT_AWAY_SECONDS: Final = 24 * 3600
"""How long after its end an engagement still asks for a receipt that does not come. The peer may be gone for good, and
one that comes back finds the ledger."""

UNHEARD_SECONDS: Final = sum(REPEAT_SECONDS)
"""The same where the peer never said anything in it: as long as the pauses between repeats grow. Nothing shows that it
is there, its own deadlines end what it may have heard of, and what it says later finds the ledger, too."""

PUT_AWAY: Final = "put-away"
"""Noted as done by a side that has no room for it any longer: it asks for no receipt any more (HIRE-LIM-02)."""


def finished(engagement: Engagement, at: Instant) -> Finished | None:
    """That the engagement can be put away at `at`; None if it cannot."""
    contract, offer, since = engagement.contract, engagement.offer, engagement.since
    over = engagement.state in ENDED
    if engagement.state == "closing" and contract is not None and offer is not None and since is not None:
        # After `close` one `Closing` is enough for the books; the state stays.
        over = engagement.role in contract.closed_by and at > shift(since, parse_duration(offer.terms.deadlines.close))
    if not over:
        return None
    gone = PUT_AWAY in engagement.done or (since is not None and at > asks_until(engagement, since))
    if gone or nothing_left(engagement):
        return Finished(key=effect_key("finished", engagement.cause))
    return None


def nothing_left(engagement: Engagement) -> bool:
    """Whether an engagement that is over need not be there for a day."""
    # What the peer may not have is repeated for a day all the same: both may have ended it on a line that was down.
    doubt = engagement.lane.startswith("accepted-by-")
    # A child that was not told yet, or whose books are open, is not left alone.
    return settled(engagement) and not doubt and not leads(engagement)


def asks_until(engagement: Engagement, since: Instant) -> Instant:
    """Until when a receipt is asked for after the end, which was `since`."""
    # A receipt is no move, and whoever sent one has what it names: it is there, and waits for us.
    heard = engagement.got or len(engagement.unreceipted) < len(engagement.sent)
    # The books may be closed late, by somebody who was away: they are no less to be heard of.
    said = max((since, *engagement.unreceipted[-1:]))
    return shift(said, PUT_AWAY_SECONDS if heard else UNHEARD_SECONDS)
