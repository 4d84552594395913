"""The protocol as pure functions: states, the fold of entries, and what is owed next.

    engagement = begin("hirer", own, peer, engagement_id)
    engagement = apply(engagement, Received(message, at))
    for effect in pending(engagement, now): ...
    wake_at(engagement)

`machine` compiles and draws the tables; it needs `transitions`, and is imported when `figures` is first used.

Source: protocol-spec/05-negotiation.md and 07-contract.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from undersigned.protocol.deadlines import passed, review_ends, waits
from undersigned.protocol.effects import (
    REPEAT_SECONDS,
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
from undersigned.protocol.engagement import (
    Asking,
    Child,
    Contract,
    Ending,
    Engagement,
    Offered,
    Tabled,
    Talks,
    begin,
    position,
)
from undersigned.protocol.entries import Entry, Noted, Received, Sent
from undersigned.protocol.fold import Outcome, apply, arbiters, judge, outcome, verifiers
from undersigned.protocol.lane import may_change
from undersigned.protocol.legal import legal
from undersigned.protocol.owed import basis, outcome_of, owed
from undersigned.protocol.pending import pending
from undersigned.protocol.presence import Presence, Right, missed_since, presence, rights
from undersigned.protocol.put_away import PUT_AWAY
from undersigned.protocol.states import (
    ENDED,
    HIRER,
    IDLE,
    LANE,
    LANE_TYPES,
    NOTICES,
    OTHER,
    PERFORMED,
    PROVIDER,
    ROLES,
    ROWS,
    STANDING,
    START,
    STATES,
    TABLES,
    Role,
)
from undersigned.protocol.strategy import Answer, Bounds, Concede, Moment, Strategy, bounded
from undersigned.protocol.untimely import Early, early
from undersigned.protocol.wake import wake_at

if TYPE_CHECKING:
    from undersigned.protocol.machine import figures

__all__ = [
    "ENDED",
    "HIRER",
    "IDLE",
    "LANE",
    "LANE_TYPES",
    "NOTICES",
    "OTHER",
    "PERFORMED",
    "PROVIDER",
    "PUT_AWAY",
    "REPEAT_SECONDS",
    "ROLES",
    "ROWS",
    "STANDING",
    "START",
    "STATES",
    "TABLES",
    "Acknowledge",
    "Answer",
    "Asking",
    "Bounds",
    "Cascade",
    "Child",
    "Concede",
    "Contract",
    "Early",
    "Effect",
    "Ending",
    "Engagement",
    "Entry",
    "Finished",
    "Free",
    "Missed",
    "Moment",
    "Noted",
    "Offered",
    "Outcome",
    "Owe",
    "Presence",
    "Received",
    "Repeat",
    "Reserve",
    "Right",
    "Role",
    "Sent",
    "Strategy",
    "Tabled",
    "Talks",
    "Work",
    "apply",
    "arbiters",
    "basis",
    "begin",
    "bounded",
    "early",
    "figures",
    "judge",
    "legal",
    "may_change",
    "missed_since",
    "outcome",
    "outcome_of",
    "owed",
    "passed",
    "pending",
    "position",
    "presence",
    "review_ends",
    "rights",
    "verifiers",
    "waits",
    "wake_at",
]


if not TYPE_CHECKING:  # or to a type checker each misspelt name would be one that this package has

    def __getattr__(name: str) -> Any:
        if name == "figures":
            from undersigned.protocol.machine import figures

            return figures
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
