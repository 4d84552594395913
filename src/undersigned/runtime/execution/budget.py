"""Money of this side's budget: promised until an offer ends, committed at the seal, spent at the end.

At the end of the engagement what is owed counts as spent; the rest is free again.

Source: protocol-spec/05-negotiation.md, section 5.6
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

import structlog
from msgspec.structs import replace

from undersigned.contract import Price, ReleaseDocument
from undersigned.encoding import (
    Amount,
    EngagementId,
    Instant,
    add_amounts,
    compare_amounts,
    parse_duration,
    shift,
    subtract_amounts,
)
from undersigned.errors import LedgerError, PolicyError, ScopeError
from undersigned.ledger import Draw, Ledger, Reservation, Spent, booked
from undersigned.protocol import Engagement, Reserve, position
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.turn import Booked
from undersigned.runtime.home.parsing import budget_limits
from undersigned.scope import Limit, anew, counter

from .pools import ALWAYS, Pools
from .settlement import owed_price

if TYPE_CHECKING:
    from undersigned.runtime.base import AgentBase

__all__ = ["MONEY", "Budget", "Room", "is_signed", "no_budget", "no_room_in", "passed", "room_in"]

MONEY: Final = "budget"
"""Under this name all budgets are booked."""
SIGNED: Final = "contract"
"""Marks what is committed to a contract, in place of what was promised for its offer."""

_log = structlog.get_logger()


class Budget:
    """The budget of one agent."""

    def __init__(self, agent: AgentBase, pools: Pools, limits: Iterable[Limit]) -> None:
        """`limits` are on money, by currency, and on the `count` of contracts."""
        self._agent, self._pools = agent, pools
        self.limits = budget_limits(limits)
        self._changing: Counter[EngagementId] = Counter()
        """How many changes of a contract are being judged and said by somebody outside its turns."""
        self._answering: dict[EngagementId, tuple[int, int]] = {}
        """The position on which a turn last promised something for its answer."""
        self._tidying = asyncio.Lock()

    async def take(self, conversation: Conversation, engagement: Engagement, effect: Reserve) -> Booked:
        """Promised while an offer stands; committed, whatever is left, once both signed."""
        id = self._pools.id(engagement, effect.digest)
        price = conversation.offered(engagement).terms.price
        if effect.name != "contract":
            self._require_budget(price)
            draws = self._draws(price)
            name = f"{id} {'/'.join(draw.key for draw in draws)}"
            return Booked(reserve=(self._pools.reservation(MONEY, name, draws, effect),) if draws else ())
        taken = await self._pools.taken(MONEY, id)
        promised = [one for one in taken if not is_signed(one)]
        signed = [one for one in taken if is_signed(one)]
        if not signed:
            # The window in which it was promised at first is the one that it counts in.
            draws = promised[0].draws if promised else self._draws(price)
            name = f"{id} {SIGNED}"
        else:
            # An amendment may cost more than what is committed.
            draws = self._draws(_more(price, signed), contracts=0)
            name = f"{id} {SIGNED} {engagement.contract.in_force if engagement.contract else ''}"
        draws = tuple(replace(draw, max=None) for draw in draws)
        return Booked(
            reserve=(self._pools.reservation(MONEY, name, draws, effect, kind="action"),) if draws else (),
            # What an accepted change costs more stays promised; after a start this is asked for again.
            release=() if _bound(engagement) else tuple(one.id for one in promised),
        )

    async def lacking(self, engagement: Engagement, price: Price) -> str:
        """What of a price there is no room for now, beside what others hold; empty if there is room. Under a contract
        the price is of a change to it.

        Nothing is taken: it is asked before people are, whose yes would come to nothing.

        Raises:
            LedgerError: The books cannot be read.
        """
        if not self.limits or engagement.role != "hirer":
            return ""
        taken = await self._pools.books.usage(MONEY, self._agent.clock.now())
        mine = await self._pools.taken(MONEY, self._pools.id(engagement, ""))
        signed = [one for one in mine if is_signed(one)]
        wanted = _more(price, signed)
        try:
            self._require_budget(wanted)
        except ScopeError as error:
            return error.message
        # What a turn that was not stored promised, or a change that came to nothing, is given back by the next.
        promised = [draw for one in mine if not is_signed(one) for draw in one.draws]
        for draw in self._draws(wanted, contracts=0 if signed else 1):
            others = subtract_amounts(
                taken.get(draw.key, "0"), add_amounts(*(one.amount for one in promised if one.key == draw.key))
            )
            if draw.max is not None and compare_amounts(add_amounts(others, draw.amount), draw.max) > 0:
                return f"{draw.key}: {others} used and held; {draw.amount} more is above the limit of {draw.max}"
        return ""

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
        if not self.limits or engagement.role != "hirer" or engagement.offer is None or contract is None:
            return
        at = self._answering.get(engagement.id)
        answers = at is not None and not passed(engagement, at)
        # A release that is sealed is never committed: what it promised is spent at the end.
        if answers or contract.released or self._changing[engagement.id] > own:
            return
        taken = await self._pools.taken(MONEY, self._pools.id(engagement, engagement.offer.digest))
        kept = self._needed_for(conversation, engagement, taken) if _bound(engagement) else None
        await self._pools.give_back([one.id for one in taken if not is_signed(one) and _taken(one) != kept])

    def _needed_for(
        self, conversation: Conversation, engagement: Engagement, taken: Iterable[Reservation]
    ) -> set[tuple[str, str]]:
        """What the change on the table, which may be sealed, costs more than what is committed, as `_taken` gives it.
        Of two that were asked for at once only one is there.
        """
        document = conversation.tabled(engagement)
        price = document.settlement if isinstance(document, ReleaseDocument) else document.terms.price
        more = _more(price, filter(is_signed, taken))
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
        if not self.limits or engagement.role != "hirer" or engagement.offer is None:
            return
        id = self._pools.id(engagement, engagement.offer.digest)
        async with self._tidying:
            await self._tidied(conversation, engagement, own=0 if answers else 1)
            if answers:
                self._answering[engagement.id] = position(engagement)
            try:
                signed = [one for one in await self._pools.taken(MONEY, id) if is_signed(one)]
                more = _more(price, signed)
                self._require_budget(more)
                draws = self._draws(more, contracts=0)
                if not draws:
                    return
                # Named by what it takes, so that one name never means two amounts.
                name = f"{id} more {'/'.join(f'{draw.key}={draw.amount}' for draw in draws)}"
                wanted = Reservation(MONEY, name, draws, ALWAYS, self._agent.clock.now(), "capacity")
                await self._pools.books.reserve(wanted)
            except ScopeError as error:
                raise no_budget(price, error.message) from error

    async def spend(self, conversation: Conversation, engagement: Engagement) -> Booked:
        """What is owed at the end was spent; without a contract nothing is, and there may not even be an offer."""
        self._answering.pop(engagement.id, None)
        taken = await self._pools.taken(MONEY, f"{self._agent.identity.did} {engagement.id} ")
        if engagement.contract is None:
            return Booked(release=tuple(one.id for one in taken))
        owed = owed_price(conversation, engagement)
        used, counted, settle = {owed.currency: owed.amount, "count": "1"}, set[str](), list[Spent]()
        ruled = f"{self._pools.id(engagement, engagement.offer.digest)} {SIGNED} owed" if engagement.offer else ""
        for one in taken:
            if is_signed(one) and one.id != ruled:
                # Each limit counts it once, in the window in which it was committed first.
                new = [draw for draw in one.draws if _limit(draw) not in counted and _unit(draw) in used]
                settle.append(Spent(one.id, {draw.key: used[_unit(draw)] for draw in new}))
                counted |= {_limit(draw) for draw in new}
        # What the price counts in was committed at the seal: if it is not open any more, it was settled before a kill.
        price = conversation.offered(engagement).terms.price
        committed = price.currency == owed.currency and price.amount != "0"
        for one in taken if not committed else ():
            # Of a release in another currency nothing was committed, only promised.
            if not is_signed(one):
                new = [draw for draw in one.draws if _limit(draw) not in counted and _unit(draw) == owed.currency]
                settle.append(Spent(one.id, {draw.key: owed.amount for draw in new}))
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
                if draws:
                    reserve.append(found)
            if reserve or found in taken:
                settle.append(Spent(ruled, {draw.key: draw.amount for draw in found.draws}))
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
        money = {limit.unit for limit in self.limits} - {"count"}
        if money and price.currency not in money and price.amount != "0":
            raise ScopeError("scope_exceeded", f"there is no budget in {price.currency}", key=price.currency)

    def _draws(self, price: Price, contracts: int = 1) -> tuple[Draw, ...]:
        """What a price, and so many contracts more, take of the budget."""
        now = self._agent.clock.now()
        amounts = {"count": str(contracts), price.currency: price.amount}
        return tuple(
            Draw(counter(limit, now), amounts[limit.unit], limit.max)
            for limit in self.limits
            if amounts.get(limit.unit, "0") != "0"
        )


def is_signed(one: Reservation) -> bool:
    """Whether it is committed to a contract, and not only promised."""
    return one.id.split(" ")[3:4] == [SIGNED]


def _taken(one: Reservation) -> set[tuple[str, str]]:
    """How much of each unit: the limits on it may be others since a start."""
    return {(_unit(draw), draw.amount) for draw in one.draws}


def in_its_time(full: str) -> str:
    """What a budget has no room for; of one per period, when that begins anew, and not its counter."""
    name, _, why = full.partition(": ")
    limit, _, began = name.partition("@")
    unit, _, per = limit.partition(".")
    return f"{unit} per {per}, anew at {shift(began, parse_duration(per))}: {why}" if began else full


def no_budget(price: Price, full: str) -> PolicyError:
    """That a budget does not carry a change."""
    text = f"a change to {price}, by our own budget: {in_its_time(full)}"
    return PolicyError("policy_denied", text)


def no_room_in(full: str) -> str:
    """What has no room, and why: our own budget, or the contract above, whose counters are named by their clause."""
    name, _, why = full.partition(": ")
    if "/" in name:
        return f"the contract above: {name.partition('@')[0].lstrip('/')}: {why}"
    return f"our own budget: {in_its_time(full)}"


class Room(NamedTuple):
    """How much there is left of one limit of a budget."""

    limit: Limit
    spent: Amount
    held: Amount
    """Promised in offers that stand, and committed to contracts whose books are not closed."""
    left: Amount
    """Below 0 where an arbiter ruled for more."""
    anew: Instant | None
    """When its period begins again."""


async def room_in(limits: Iterable[Limit], books: Ledger, now: Instant) -> tuple[Room, ...]:
    """How much there is left of a budget that is counted in these books.

    Raises:
        LedgerError: They cannot be read.
    """
    taken, open_ = await booked(books, MONEY, now)
    stands = [one for one in open_ if one.kind == "action" or one.until >= now]
    found: list[Room] = []
    for limit in limits:
        key = counter(limit, now)
        held = add_amounts(*(draw.amount for one in stands for draw in one.draws if draw.key == key))
        both = taken.get(key, "0")
        left = subtract_amounts(limit.max, both)
        found.append(Room(limit, spent=subtract_amounts(both, held), held=held, left=left, anew=anew(limit, now)))
    return tuple(found)


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
