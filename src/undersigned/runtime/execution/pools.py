"""The pools that what this side promises is taken of: in its own ledger, or in a file that several processes book in.

In the ledger, what is taken is written in one transaction with the move. In a shared file it is taken before the move
is stored, and given back after the end is. A process killed between the two has taken too much and never too little;
its next start gives that back, and without one it ends by itself.

Source: protocol-spec/05-negotiation.md, section 5.6
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Final, Literal

import structlog

from undersigned.encoding import EngagementId
from undersigned.errors import LedgerConflict, LedgerError
from undersigned.ledger import Draw, Ledger, Reservation, open_books
from undersigned.protocol import ENDED, Engagement, Reserve
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.turn import Booked

if TYPE_CHECKING:
    from undersigned.runtime.base import AgentBase

__all__ = ["ALWAYS", "Pools"]

ALWAYS: Final = "2999-12-31T23:59:59Z"
"""What has no end by itself is held until it is given back, or it is known what it took."""

_log = structlog.get_logger()


class Pools:
    """What one agent has taken."""

    def __init__(self, agent: AgentBase, books: str | None) -> None:
        """`books` is the URL of a file that other processes book in as well, None the agent's own ledger."""
        self._agent = agent
        self._url = books
        self.shared: Ledger | None = None
        """The file, while it is open."""
        self._meanwhile: dict[str, set[str]] = {}
        """What was taken of a pool while it is looked at what was taken of it for nothing."""

    @property
    def books(self) -> Ledger:
        """Where is booked: the shared file, or the agent's own ledger."""
        return self.shared or self._agent.ledger

    async def open(self, live: Iterable[Conversation], pools: Iterable[str]) -> None:
        """Opens the shared file. What this agent took there of these pools, and no engagement that is `live` knows of,
        is given back.

        Raises:
            LedgerError: It cannot be opened.
        """
        if self._url is None:
            return
        self.shared = await open_books(self._url, create=True)
        known = {one.id: one.engagement for one in live}
        for pool in pools:
            await self.give_back([one.id for one in await self._unknown(pool, known)])

    def added(self, pool: str, called: str) -> None:
        """There is a pool that was not known at the start, `called` so for people: what was taken of it for nothing
        before is given back now.
        """
        if self.shared is not None:
            self._meanwhile[pool] = set()
            self._agent.spawn(self._tidy(pool), called)

    async def _tidy(self, pool: str) -> None:
        live = {one.id: one.engagement for one in self._agent.conversations.values()}
        try:
            # What is taken from now on stands in the file before it stands in an engagement.
            found = await self._unknown(pool, live)
            await self.give_back([one.id for one in found if one.id not in self._meanwhile[pool]])
        finally:
            del self._meanwhile[pool]

    async def _unknown(self, pool: str, live: Mapping[EngagementId, Engagement]) -> list[Reservation]:
        """What this agent took there for no offer of these engagements."""
        found: list[Reservation] = []
        for one in await self.taken(pool, f"{self._agent.identity.did} "):
            _, engagement, digest = one.id.split(" ")[:3]
            if engagement not in live or digest not in live[engagement].reserved:
                found.append(one)
        return found

    async def close(self) -> None:
        """Lets go of the shared file."""
        if self.shared is not None:
            await self.shared.close()

    async def give_back(self, ids: Collection[str]) -> None:
        """Releases in the shared file, after what gave it back is stored. What cannot be now is at the next start."""
        for id in ids:
            try:
                await self.books.release(id)
            except LedgerError as error:
                _log.warning("a reservation was not given back", reservation=id, error=str(error))

    async def book_shared(self, books: Ledger, engagement: Engagement, booked: Booked) -> Booked:
        """Writes this to the shared file, before the turn that it belongs to is stored; gives what is to be given back
        after it is.

        Raises:
            ScopeError: There is not so much left.
            LedgerError: The file cannot be written.
        """
        settle = {one.id: one.amounts for one in booked.settle}
        for one in booked.reserve:
            if one.id in settle:
                try:
                    await books.reserve(one)
                except LedgerConflict:
                    del settle[one.id]  # by a process that was killed before it stored the end
                continue
            # A turn that was not stored may have taken something for an offer that never left.
            for other in await self.taken(one.contract, f"{self._agent.identity.did} {engagement.id} "):
                if other.id.split(" ")[2] not in engagement.reserved:
                    await books.release(other.id)
            if one.contract in self._meanwhile:
                self._meanwhile[one.contract].add(one.id)
            await books.reserve(one)
        for id, amounts in settle.items():
            await books.settle(id, amounts)
        if engagement.state in ENDED:
            # Until the end is stored, what stands on the table may still be accepted.
            return Booked(later=booked.release)
        for id in booked.release:
            await books.release(id)
        return Booked()

    def id(self, engagement: Engagement, digest: str) -> str:
        """Whose, for which engagement, for which offer: a shared file holds those of many."""
        return f"{self._agent.identity.did} {engagement.id} {digest}"

    def reservation(
        self,
        pool: str,
        id: str,
        draws: tuple[Draw, ...],
        effect: Reserve,
        kind: Literal["action", "capacity"] = "capacity",
    ) -> Reservation:
        """What is taken of a pool until the effect says."""
        return Reservation(pool, id, draws, effect.until, self._agent.clock.now(), kind)

    async def taken(self, pool: str, prefix: str = "") -> list[Reservation]:
        """What is taken of a pool and was not given back, by the beginning of its name."""
        return list(await self.books.open_reservations(pool, prefix))
