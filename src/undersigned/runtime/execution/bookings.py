"""What this side promises at most: places of what it offers, and money of its budget.

An offer or acceptance of ours takes what it needs before it leaves, under the digest of the offer; a contract keeps it
until its end. The store counts, so nothing is promised twice, whatever is negotiated at once. By default that is the
ledger of this agent, and what is taken is written in one transaction with the move. With `books` in the settings
several processes count in one file: then it is taken before the move is stored, and given back after the end is. A
process killed between the two has taken too much and never too little; its next start gives that back, and without one
it ends by itself.

Money is promised until an offer ends, committed at the seal, and at the end of the engagement what is owed counts as
spent; the rest is free again.

Source: protocol-spec/05-negotiation.md, section 5.6
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Literal

import structlog
from msgspec.structs import replace

from undersigned.contract import Price, ReleaseDocument
from undersigned.encoding import EngagementId, compare_amounts, shift, subtract_amounts
from undersigned.errors import LedgerConflict, LedgerError, PolicyError, ScopeError
from undersigned.ledger import Draw, Ledger, Reservation, Settlement, open_books
from undersigned.messages import Need
from undersigned.protocol import ENDED, Engagement, Finished, Free, Reserve, position
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.turn import NOTHING_BOOKED, Booked, Say
from undersigned.runtime.home.parsing import budget_limits
from undersigned.scope import Limit, counter

from .services import Service
from .settlement import owed_price

if TYPE_CHECKING:
    from undersigned.runtime.base import AgentBase

__all__ = ["ALWAYS", "Bookings", "passed"]

ALWAYS: Final = "2999-12-31T23:59:59Z"
"""What has no end by itself is held until it is given back, or it is known what it took."""

MONEY: Final = "budget"
"""Under this name all budgets are booked."""
SIGNED: Final = "contract"
"""Marks what is committed to a contract, in place of what was promised for its offer."""

_log = structlog.get_logger()


class Bookings:
    """The promises of one agent."""

    def __init__(
        self, agent: AgentBase, services: Mapping[str, Service], budget: Iterable[Limit], books: str | None
    ) -> None:
        """`budget` are limits on money, by currency, and on the `count` of contracts; `books` is the URL of a file that
        other processes book in as well, None the agent's own ledger.
        """
        self._agent, self._services = agent, services
        self.budget = budget_limits(budget)
        self._url = books
        self._shared: Ledger | None = None
        self._meanwhile: dict[str, set[str]] = {}
        """What was taken of a pool while it is looked at what was taken of it for nothing."""
        self._most: dict[str, int] = {}
        """How many contracts of a task were seen under way at once, by engagement."""
        self._changing: Counter[EngagementId] = Counter()
        """How many changes of a contract are being judged and said by somebody outside its turns."""
        self._answering: dict[EngagementId, tuple[int, int]] = {}
        """The position on which a turn last promised something for its answer."""
        self._tidying = asyncio.Lock()

    # ------------------------------------------------------------------ life

    async def open(self, live: Iterable[Conversation]) -> None:
        """Opens the shared file. What this agent took there, and no engagement that is `live` knows of, is given back.

        Raises:
            LedgerError: It cannot be opened.
        """
        if self._url is None:
            return
        self._shared = await open_books(self._url, create=True)
        known = {one.id: one.engagement for one in live}
        for pool in (MONEY, *map(_slots, self._services)):
            await self.give_back([one.id for one in await self._unknown(pool, known)])

    def offered(self, task: str) -> None:
        """The application offers a task that was not known at the start: what was taken for nothing before is given
        back now.
        """
        if self._shared is not None:
            self._meanwhile[_slots(task)] = set()
            self._agent.spawn(self._tidy(_slots(task)), f"places of {task}")

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
        for one in await self._open(pool, f"{self._agent.identity.did} "):
            _, engagement, digest = one.id.split(" ")[:3]
            if engagement not in live or digest not in live[engagement].reserved:
                found.append(one)
        return found

    async def close(self) -> None:
        """Lets go of the shared file."""
        if self._shared is not None:
            await self._shared.close()

    # ------------------------------------------------------------------ what effects ask for

    async def book(
        self, conversation: Conversation, engagement: Engagement, effect: Reserve | Free | Finished
    ) -> Booked:
        """What is to be written with the turn that does this, or after it.

        Raises:
            ScopeError: `scope_exceeded`: there is no room, or no money.
            LedgerError: The shared file cannot be written.
        """
        booked = NOTHING_BOOKED
        if isinstance(effect, Finished):
            self._answering.pop(engagement.id, None)
        if engagement.role == "provider":
            match effect:
                case Reserve():
                    booked = self._take_slot(conversation, engagement, effect)
                case Free():
                    booked = Booked(release=(self._id(engagement, effect.digest),))
                case Finished():
                    self._most.pop(engagement.id, None)
        elif self.budget:
            match effect:
                case Reserve():
                    booked = await self._take_money(conversation, engagement, effect)
                case Free(name="contract"):
                    pass  # what a release owes may be of what was only promised, and is spent at the end
                case Free():
                    taken = await self._open(MONEY, self._id(engagement, effect.digest))
                    booked = Booked(release=tuple(one.id for one in taken if not _signed(one)))
                case Finished():
                    booked = await self._spend(conversation, engagement)
        return booked if self._shared is None else await self._book_shared(self._shared, engagement, booked)

    async def give_back(self, ids: Collection[str]) -> None:
        """Releases in the shared file, after what gave it back is stored. What cannot be now is at the next start."""
        for id in ids:
            try:
                await (self._shared or self._agent.ledger).release(id)
            except LedgerError as error:
                _log.warning("a reservation was not given back", reservation=id, error=str(error))

    async def _book_shared(self, books: Ledger, engagement: Engagement, booked: Booked) -> Booked:
        settle = {one.id: one.amounts for one in booked.settle}
        for one in booked.reserve:
            if one.id in settle:
                try:
                    await books.reserve(one)
                except LedgerConflict:
                    del settle[one.id]  # by a process that was killed before it stored the end
                continue
            # A turn that was not stored may have taken something for an offer that never left.
            for other in await self._open(one.contract, f"{self._agent.identity.did} {engagement.id} "):
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

    # ------------------------------------------------------------------ places

    async def full(self, task: str) -> bool:
        """Whether as many contracts are promised or made as this service takes at a time."""
        service = self._services[task]
        if self._shared is None:
            if len(self._agent.conversations) < service.capacity:
                return False  # whatever they are
            return len(self._performing(task)) >= service.capacity  # what is only offered may come to nothing
        taken = await self._shared.usage(_slots(task), self._agent.clock.now())
        return compare_amounts(taken.get(task, "0"), str(service.capacity)) >= 0

    async def no_room(self, conversation: Conversation, engagement: Engagement, task: str | None = None) -> Say:
        """The `Withdraw` of a side that has no room, or no money. A hirer's budget is nobody else's business."""
        live = engagement.offer
        body: dict[str, Any] = {"reason": "capacity", "offer": live.digest if live is not None else None}
        if engagement.role == "hirer":
            return Say("Withdraw", body, facts=(("budget", conversation.full),))
        task = task or conversation.offered(engagement).terms.task.kind
        return Say("Withdraw", {**body, "needed": await self._needed(task)})

    async def _needed(self, task: str) -> tuple[Need, ...]:
        """What a hirer is told for which there is no room: when there is some again, at the latest."""
        service, now = self._services.get(task), self._agent.clock.now()
        ends = sorted(one.until for one in await self._open(_slots(task)) if one.until >= now)
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
            if self._most.get(id, 0) < at_once:
                self._most[id] = at_once

    async def resume(self) -> None:
        """After a start: counts the contracts under way again, and gives back what changes promised that came to
        nothing. What was over before is not known any more.
        """
        for conversation in tuple(self._agent.conversations.contracts.values()):
            await self.tidied(conversation)
        for task in self._services:
            for conversation in self._performing(task)[:1]:
                self.seen(conversation)

    def met(self, engagement: Engagement) -> int:
        """The most contracts of its task that were seen under way at once while this one was."""
        return max(1, self._most.get(engagement.id, 0))

    def _performing(self, task: str) -> list[Conversation]:
        """The contracts of a task that we do and that are not over."""
        return [
            conversation
            for conversation in self._agent.conversations.contracts.values()
            if conversation.engagement.role == "provider"
            and conversation.engagement.state not in ("closing", "closed")
            and conversation.offered().terms.task.kind == task
        ]

    def _take_slot(self, conversation: Conversation, engagement: Engagement, effect: Reserve) -> Booked:
        task = conversation.offered(engagement).terms.task.kind
        service = self._services.get(task)
        if service is None:
            return Booked()
        # Both signed it: a contract is counted even if what was held for it has lapsed and is another's now.
        limit = None if effect.name == "contract" else str(service.capacity)
        draws = (Draw(task, "1", limit),)
        return Booked(reserve=(self._reservation(_slots(task), self._id(engagement, effect.digest), draws, effect),))

    # ------------------------------------------------------------------ money

    async def _take_money(self, conversation: Conversation, engagement: Engagement, effect: Reserve) -> Booked:
        """Promised while an offer stands; committed, whatever is left, once both signed."""
        id = self._id(engagement, effect.digest)
        price = conversation.offered(engagement).terms.price
        taken = await self._open(MONEY, id)
        promised = [one for one in taken if not _signed(one)]
        signed = [one for one in taken if _signed(one)]
        if effect.name != "contract":
            if signed:
                return Booked()  # the process ended after it was committed and before the seal was stored
            if not promised:
                self._require_budget(price)
            # The window in which it was promised at first is the one that it counts in.
            draws = promised[0].draws if promised else self._draws(price)
            kept = promised[0].id if promised else f"{id} {'/'.join(draw.key for draw in draws)}"
            return Booked(reserve=(self._reservation(MONEY, kept, draws, effect),) if draws else ())
        if not signed:
            draws = promised[0].draws if promised else self._draws(price)
            name = f"{id} {SIGNED}"
        else:
            # An amendment may cost more than what is committed.
            draws = self._draws(_more(price, signed), contracts=0)
            name = f"{id} {SIGNED} {engagement.contract.in_force if engagement.contract else ''}"
        draws = tuple(replace(draw, max=None) for draw in draws)
        return Booked(
            reserve=(self._reservation(MONEY, name, draws, effect, kind="action"),) if draws else (),
            # What an accepted change costs more stays promised; after a start this is asked for again.
            release=() if signed and _bound(engagement) else tuple(one.id for one in promised),
        )

    @asynccontextmanager
    async def changing(self, conversation: Conversation) -> AsyncGenerator[None]:
        """While a change is judged and said, what it promises is not taken for what came to nothing; if it was not
        said, that is given back.
        """
        self._changing[conversation.id] += 1
        try:
            yield
        finally:
            self._changing[conversation.id] -= 1
            if not self._changing[conversation.id]:
                del self._changing[conversation.id]
            await self.tidied(conversation)

    async def tidied(self, conversation: Conversation) -> None:
        """Gives back what changes of a contract promised that came to nothing; what cannot be now, with the next one
        or at the next start.
        """
        try:
            async with self._tidying:
                await self._tidied(conversation, conversation.engagement)
        except LedgerError as error:
            _log.warning("what a change promised was not given back", engagement=conversation.id, error=str(error))

    async def _tidied(self, conversation: Conversation, engagement: Engagement, *, own: int = 0) -> None:
        """`own` of those who change it are the one who asks."""
        contract = engagement.contract
        if not self.budget or engagement.role != "hirer" or engagement.offer is None or contract is None:
            return
        at = self._answering.get(engagement.id)
        answers = at is not None and not passed(engagement, at)
        # A release that is sealed is never committed: what it promised is spent at the end.
        if answers or contract.released or self._changing[engagement.id] > own:
            return
        taken = await self._open(MONEY, self._id(engagement, engagement.offer.digest))
        kept = self._needed_for(conversation, engagement, taken) if _bound(engagement) else None
        await self.give_back([one.id for one in taken if not _signed(one) and _taken(one) != kept])

    def _needed_for(
        self, conversation: Conversation, engagement: Engagement, taken: Iterable[Reservation]
    ) -> set[tuple[str, str]]:
        """What the change on the table, which may be sealed, costs more than what is committed, as `_taken` gives it.
        Of two that were asked for at once only one is there.
        """
        document = conversation.tabled(engagement)
        price = document.settlement if isinstance(document, ReleaseDocument) else document.terms.price
        more = _more(price, filter(_signed, taken))
        return {(more.currency, more.amount)}

    async def promise_more(
        self, conversation: Conversation, engagement: Engagement, price: Price, *, answers: bool
    ) -> None:
        """Promises what an amendment to this price, or a release for it, costs more than what is committed, before it
        is signed: in a turn that `answers`, else inside `changing`.

        It is promised until the change has come to something or nothing, for no time ends it: a seal counts however
        late it comes.

        Raises:
            PolicyError: `policy_denied`: the budget does not carry it.
            LedgerError: The books cannot be written.
        """
        if not self.budget or engagement.role != "hirer" or engagement.offer is None:
            return
        id = self._id(engagement, engagement.offer.digest)
        async with self._tidying:
            await self._tidied(conversation, engagement, own=0 if answers else 1)
            if answers:
                self._answering[engagement.id] = position(engagement)
            try:
                signed = [one for one in await self._open(MONEY, id) if _signed(one)]
                more = _more(price, signed)
                self._require_budget(more)
                draws = self._draws(more, contracts=0)
                if not draws:
                    return
                # Named by what it takes, so that one name never means two amounts.
                name = f"{id} more {'/'.join(f'{draw.key}={draw.amount}' for draw in draws)}"
                wanted = Reservation(MONEY, name, draws, ALWAYS, self._agent.clock.now(), "capacity")
                await (self._shared or self._agent.ledger).reserve(wanted)
            except ScopeError as error:
                raise PolicyError("policy_denied", f"a change to {price.amount} {price.currency}: {error}") from error

    async def _spend(self, conversation: Conversation, engagement: Engagement) -> Booked:
        """What is owed at the end was spent; without a contract nothing is, and there may not even be an offer."""
        taken = await self._open(MONEY, f"{self._agent.identity.did} {engagement.id} ")
        if engagement.contract is None:
            return Booked(release=tuple(one.id for one in taken))
        owed = owed_price(conversation, engagement)
        used, counted, settle = {owed.currency: owed.amount, "count": "1"}, set[str](), list[Settlement]()
        ruled = f"{self._id(engagement, engagement.offer.digest)} {SIGNED} owed" if engagement.offer else ""
        for one in taken:
            if _signed(one) and one.id != ruled:
                # Each limit counts it once, in the window in which it was committed first.
                new = [draw for draw in one.draws if _limit(draw) not in counted and _unit(draw) in used]
                settle.append(Settlement(one.id, {draw.key: used[_unit(draw)] for draw in new}))
                counted |= {_limit(draw) for draw in new}
        # What the price counts in was committed at the seal: if it is not open any more, it was settled before a kill.
        price = conversation.offered(engagement).terms.price
        committed = price.currency == owed.currency and price.amount != "0"
        for one in taken if not committed else ():
            # Of a release in another currency nothing was committed, only promised.
            if not _signed(one) and any(_unit(draw) == owed.currency for draw in one.draws):
                new = [draw for draw in one.draws if _limit(draw) not in counted and _unit(draw) == owed.currency]
                settle.append(Settlement(one.id, {draw.key: owed.amount for draw in new}))
                counted |= {_limit(draw) for draw in new}
        reserve = list[Reservation]()
        if not (committed or engagement.contract.released) and ruled:
            # Of what an arbiter found owed nothing was promised. Where that was counted already, nothing is named here,
            # by which it is known after a kill.
            found = next((one for one in taken if one.id == ruled), None)
            if found is None:
                draws = (replace(d, max=None) for d in self._draws(owed, contracts=0))
                draws = tuple(replace(draw, amount="0") if _limit(draw) in counted else draw for draw in draws)
                found = Reservation(MONEY, ruled, draws, ALWAYS, self._agent.clock.now())
                if any(draw.amount != "0" for draw in draws) or (draws and self._shared is not None):
                    reserve.append(found)
            if reserve or found in taken:
                settle.append(Settlement(ruled, {draw.key: draw.amount for draw in found.draws}))
        done = {one.id for one in settle}
        # What counts comes last: after a kill in between it is there to count again.
        return Booked(
            reserve=tuple(reserve),
            settle=tuple(reversed(settle)),
            release=tuple(one.id for one in taken if one.id not in done),
        )

    def _require_budget(self, price: Price) -> None:
        """Returns if a price is in a currency of the budget, or that counts no money.

        Raises:
            ScopeError: `scope_exceeded`: there is a budget for money, and none in this currency.
        """
        money = {limit.unit for limit in self.budget} - {"count"}
        if money and price.currency not in money and price.amount != "0":
            raise ScopeError("scope_exceeded", f"there is no budget in {price.currency}", key=price.currency)

    def _draws(self, price: Price, contracts: int = 1) -> tuple[Draw, ...]:
        """What a price, and so many contracts more, take of the budget."""
        now = self._agent.clock.now()
        amounts = {"count": str(contracts), price.currency: price.amount}
        return tuple(
            Draw(counter(limit, now), amounts[limit.unit], limit.max)
            for limit in self.budget
            if amounts.get(limit.unit, "0") != "0"
        )

    # ------------------------------------------------------------------ both

    def _id(self, engagement: Engagement, digest: str) -> str:
        """Whose, for which engagement, for which offer: a shared file holds those of many."""
        return f"{self._agent.identity.did} {engagement.id} {digest}"

    def _reservation(
        self,
        pool: str,
        id: str,
        draws: tuple[Draw, ...],
        effect: Reserve,
        kind: Literal["action", "capacity"] = "capacity",
    ) -> Reservation:
        return Reservation(pool, id, draws, effect.until, self._agent.clock.now(), kind)

    async def _open(self, pool: str, prefix: str = "") -> list[Reservation]:
        books = self._shared or self._agent.ledger
        return list(await books.open_reservations(pool, prefix))


def _slots(task: str) -> str:
    return f"capacity:{task}"


def _signed(one: Reservation) -> bool:
    return one.id.split(" ")[3:4] == [SIGNED]


def _taken(one: Reservation) -> set[tuple[str, str]]:
    """How much of each unit: the limits on it may be others since a start."""
    return {(_unit(draw), draw.amount) for draw in one.draws}


def passed(engagement: Engagement, at: tuple[int, int]) -> bool:
    """Whether more was said or heard than on a position: a turn that decided something there is stored, or decides
    again.
    """
    return any(now > then for now, then in zip(position(engagement), at, strict=True))


def _bound(engagement: Engagement) -> bool:
    """Whether a change is on the table that we offered or accepted: its seal may come, or may be ours to make."""
    tabled = engagement.tabled
    return tabled is not None and (tabled.owner == engagement.role or tabled.acceptance is not None)


def _limit(draw: Draw) -> str:
    return draw.key.partition("@")[0]


def _unit(draw: Draw) -> str:
    return _limit(draw).partition(".")[0]


def _more(price: Price, signed: Iterable[Reservation]) -> Price:
    """What of a price is not committed yet; nothing if it is less."""
    rest = price.amount
    for one in signed:
        # Two budgets in one currency hold the same amount each.
        rest = subtract_amounts(rest, next((d.amount for d in one.draws if _unit(d) == price.currency), "0"))
    return replace(price, amount=rest if compare_amounts(rest, "0") > 0 else "0")
