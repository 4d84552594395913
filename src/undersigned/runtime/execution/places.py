"""Places of what this side offers: how many contracts of each task it promised, and has under way at once.

Source: protocol-spec/05-negotiation.md, section 5.6
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from undersigned.encoding import compare_amounts, shift
from undersigned.ledger import Draw
from undersigned.messages import Need
from undersigned.protocol import Engagement, Reserve
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.turn import Booked

from .pools import Pools
from .services import Service

if TYPE_CHECKING:
    from undersigned.runtime.base import AgentBase

__all__ = ["Places", "slots"]


class Places:
    """The places of one agent."""

    def __init__(self, agent: AgentBase, pools: Pools, services: Mapping[str, Service]) -> None:
        self._agent, self._pools, self._services = agent, pools, services
        self.most: dict[str, int] = {}
        """How many contracts of a task were seen under way at once, by engagement, until that is over."""

    def offered(self, task: str) -> None:
        """The application offers a task that was not known at the start."""
        self._pools.added(slots(task), f"places of {task}")

    async def full(self, task: str) -> bool:
        """Whether as many contracts are promised or made as this service takes at a time."""
        service = self._services[task]
        if self._pools.shared is None:
            if len(self._agent.conversations) < service.capacity:
                return False  # whatever they are
            return len(self._performing(task)) >= service.capacity  # what is only offered may come to nothing
        taken = await self._pools.shared.usage(slots(task), self._agent.clock.now())
        return compare_amounts(taken.get(task, "0"), str(service.capacity)) >= 0

    async def needed(self, task: str) -> tuple[Need, ...]:
        """What a hirer is told for which there is no room: when there is some again, at the latest."""
        service, now = self._services.get(task), self._agent.clock.now()
        ends = sorted(one.until for one in await self._pools.taken(slots(task)) if one.until >= now)
        over = len(ends) - service.capacity if service is not None else -1
        after = shift(ends[over], 1) if 0 <= over < len(ends) else None
        return (Need(code="capacity", capability=task, after=after),)

    def seen(self, conversation: Conversation) -> None:
        """Counts the contracts under way at once when one is made, for the closing of each."""
        task = conversation.offered().terms.task.kind
        under_way = self._performing(task)
        at_once = len(under_way)
        for one in under_way:
            id = one.engagement.id
            if self.most.get(id, 0) < at_once:
                self.most[id] = at_once

    def resume(self) -> None:
        """After a start: counts the contracts under way again. What was over before is not known any more."""
        for task in self._services:
            for conversation in self._performing(task)[:1]:
                self.seen(conversation)

    def met(self, engagement: Engagement) -> int:
        """The most contracts of its task that were seen under way at once while this one was."""
        return max(1, self.most.get(engagement.id, 0))

    def _performing(self, task: str) -> list[Conversation]:
        """The contracts of a task that we do and that are not over."""
        return [
            conversation
            for conversation in self._agent.conversations.contracts.values()
            if conversation.engagement.role == "provider"
            and conversation.engagement.state not in ("closing", "closed")
            and conversation.offered().terms.task.kind == task
        ]

    def take(self, conversation: Conversation, engagement: Engagement, effect: Reserve) -> Booked:
        """The place of an offer, acceptance or contract."""
        task = conversation.offered(engagement).terms.task.kind
        service = self._services.get(task)
        if service is None:
            return Booked()
        # Both signed it: a contract is counted even if what was held for it has lapsed and is another's now.
        limit = None if effect.name == "contract" else str(service.capacity)
        draws = (Draw(task, "1", limit),)
        return Booked(
            reserve=(self._pools.reservation(slots(task), self._pools.id(engagement, effect.digest), draws, effect),)
        )


def slots(task: str) -> str:
    """The pool of the places of a task."""
    return f"capacity:{task}"
