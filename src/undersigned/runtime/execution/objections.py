"""What this side says against ends that come before their time: in its own books, to its owner, and with time to act.

The move is taken, as it has to be, and what is owed is what the contract says of such an end: only the arbiter can say
that it was none. So our `Closing` says what our record does not allow; no program pays by it; and where a dispute may
still be made, or a ruling be carried, it waits until shortly before `close` is over, since after it neither can be. So
do the books of whom the work was rejected: nobody objects to that but by a dispute.

Source: protocol-spec/07-contract.md, HIRE-LIF-34
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from undersigned.encoding import EngagementId, Instant, shift
from undersigned.protocol import PROVIDER, Early, Engagement, basis, legal, owed
from undersigned.runtime.clock import sleep_until
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.remembered import contract_of
from undersigned.runtime.engagement.turn import EARLY, noting, value_in

from .settlement import MARGIN_SECONDS, said_of_payment

if TYPE_CHECKING:
    from undersigned.runtime.base import AgentBase

__all__ = ["Objections", "came_early", "held_until", "objects"]


def came_early(facts: Mapping[str, str]) -> tuple[Early, ...]:
    """What of the other side came before its time, as it was noted."""
    return value_in(facts, EARLY, tuple[Early, ...]) or ()


def objects(facts: Mapping[str, str], engagement: Engagement) -> str | None:
    """What our books object to; None if nothing came early, or an arbiter or both together have decided since."""
    if EARLY not in facts or basis(engagement) in ("ruling", "release"):
        return None
    return "; ".join(one.explain() for one in came_early(facts)) or None


def held_until(facts: Mapping[str, str], engagement: Engagement) -> Instant | None:
    """How long our books wait, so that a dispute can be made or a ruling be carried; None if they do not."""
    if engagement.state != "closing":
        return None
    if objects(facts, engagement) is not None:
        awaited = {"Dispute", "Ruling"}
    elif _is_rejected(engagement):
        awaited = {"Dispute"}
    else:
        return None
    possible, by = legal(engagement, engagement.role), owed(engagement).by
    if by is None or awaited.isdisjoint(possible):
        return None
    until = shift(by, -MARGIN_SECONDS)
    if said_of_payment(facts) is not None and "Ruling" not in possible:
        return None  # our owner has said its word and lets it be
    if "Ruling" in possible:
        # The arbiter has at least the time that it would have had.
        until = max([until, *(one.allowed for one in came_early(facts) if one.what in ("rulingBy", "no_ruling"))])
    return until


def _is_rejected(engagement: Engagement) -> bool:
    """Whether it is our work that was rejected."""
    endings = contract_of(engagement).endings
    return engagement.role == PROVIDER and any((one.basis, one.detail) == ("review", "rejected") for one in endings)


class Objections:
    """Wakes those of one agent whose books waited long enough."""

    def __init__(self, agent: AgentBase) -> None:
        self._agent = agent
        self._waits: dict[EngagementId, Instant] = {}

    def holds(self, conversation: Conversation, engagement: Engagement) -> bool:
        """Whether our books wait; then they are looked at again in time."""
        until = held_until(conversation.facts, engagement)
        if until is None or self._agent.clock.now() >= until:
            return False
        if self._waits.get(engagement.id) != until:
            self._waits[engagement.id] = until
            self._agent.spawn(self._goes_on(conversation, until), f"books {engagement.id[-8:]}")
        return True

    async def _goes_on(self, conversation: Conversation, until: Instant) -> None:
        await sleep_until(self._agent.clock, until)
        if self._waits.get(conversation.id) == until:
            del self._waits[conversation.id]
            if not conversation.over:
                await conversation.reconsider(noting())
