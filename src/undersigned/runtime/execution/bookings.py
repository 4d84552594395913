"""What this side promises at most: places of what it offers, and money of its budget.

An offer or acceptance of ours takes what it needs before it leaves, under the digest of the offer; a contract keeps it
until its end. The store counts, so nothing is promised twice, whatever is negotiated at once (`pools`).

Source: protocol-spec/05-negotiation.md, section 5.6
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from msgspec.structs import replace

from undersigned.protocol import Engagement, Finished, Free, Reserve
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.turn import NOTHING_BOOKED, Booked, Say, withdrawal
from undersigned.scope import Limit

from .budget import MONEY, Budget, is_signed
from .places import Places, slots
from .pools import Pools
from .services import Service

if TYPE_CHECKING:
    from undersigned.runtime.base import AgentBase

__all__ = ["Bookings"]


class Bookings:
    """The promises of one agent."""

    def __init__(
        self, agent: AgentBase, services: Mapping[str, Service], budget: Iterable[Limit], books: str | None
    ) -> None:
        """`budget` are limits on money, by currency, and on the `count` of contracts; `books` is the URL of a file that
        other processes book in as well, None the agent's own ledger.
        """
        self._agent, self._services = agent, services
        self.pools = Pools(agent, books)
        self.places = Places(agent, self.pools, services)
        self.budget = Budget(agent, self.pools, budget)

    async def open(self, live: Iterable[Conversation]) -> None:
        """Opens the shared file, if there is one; see `Pools.open`."""
        await self.pools.open(live, (MONEY, *map(slots, self._services)))

    async def resume(self) -> None:
        """After a start: counts the contracts under way again, and gives back what changes promised that came to
        nothing.
        """
        for conversation in tuple(self._agent.conversations.contracts.values()):
            await self.budget.tidied(conversation)
        self.places.resume()

    async def book(
        self, conversation: Conversation, engagement: Engagement, effect: Reserve | Free | Finished
    ) -> Booked:
        """What is to be written with the turn that does this, or after it.

        Raises:
            ScopeError: `scope_exceeded`: there is no room, or no money.
            LedgerError: The shared file cannot be written.
        """
        booked = NOTHING_BOOKED
        if engagement.role == "provider":
            match effect:
                case Reserve():
                    booked = self.places.take(conversation, engagement, effect)
                case Free():
                    booked = Booked(release=(self.pools.id(engagement, effect.digest),))
                case Finished():
                    self.places.most.pop(engagement.id, None)
        elif self.budget.limits:
            match effect:
                case Reserve():
                    booked = await self.budget.take(conversation, engagement, effect)
                case Free(name="contract"):
                    pass  # what a release owes may be of what was only promised, and is spent at the end
                case Free():
                    taken = await self.pools.taken(MONEY, self.pools.id(engagement, effect.digest))
                    booked = Booked(release=tuple(one.id for one in taken if not is_signed(one)))
                case Finished():
                    booked = await self.budget.spend(conversation, engagement)
        shared = self.pools.shared
        return booked if shared is None else await self.pools.book_shared(shared, engagement, booked)

    async def no_room(self, conversation: Conversation, engagement: Engagement, task: str | None = None) -> Say:
        """The `Withdraw` of a side that has no room, or no money. A hirer's budget is nobody else's business."""
        if engagement.role == "hirer":
            return replace(withdrawal(engagement, "capacity"), facts=(("budget", conversation.full),))
        task = task or conversation.offered(engagement).terms.task.kind
        return withdrawal(engagement, "capacity", needed=await self.places.needed(task))
