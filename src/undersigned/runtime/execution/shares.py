"""What the hires under a contract of ours may take of it, held in its books.

The contract's limits and its price are shared with what is hired under it and not copied. What a child may take is held
when we offer it, in the transaction that stores the offer: of a limit in all under the key of our own actions, of one
per period, and of the price, beside them. When the child is over, what it used takes the place of what was held.

Source: protocol-spec/16-subcontracts.md, section 16.3
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

import structlog
from msgspec.structs import replace

from undersigned.contract import AmendmentDocument, Terms, check_within, drawn
from undersigned.encoding import Amount, Digest, EngagementId, Instant, add_amounts, compare_amounts
from undersigned.errors import ContractError, LedgerConflict, ScopeError, UndersignedError
from undersigned.ledger import Draw, Reservation
from undersigned.messages import Closing, Delivery, Usage
from undersigned.protocol import Engagement, Finished, Free, Reserve
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.remembered import Remembered, contract_of
from undersigned.runtime.engagement.turn import NOTHING_BOOKED, Booked
from undersigned.runtime.negotiation.order import Within, order_in
from undersigned.scope import Limit, counter, whole_scope

from .budget import passed
from .counted import grants_of
from .gate import CHILDREN
from .pools import ALWAYS
from .settlement import owed_price

if TYPE_CHECKING:
    from undersigned.runtime.base import AgentBase

__all__ = ["Paused", "Shares", "draws_on", "fits_inside"]

_log = structlog.get_logger()


class _Weighed(NamedTuple):
    terms: Terms
    at: tuple[int, int] | None
    """Ends once the engagement is past this position; None: by a call."""


class Paused(ScopeError):
    """`contract_expired`, for now: the contract above is suspended, and may go on."""

    @property
    def retryable(self) -> bool:
        """See `UndersignedError.retryable`."""
        return True


class Shares:
    """The shares of an agent's contracts that it gave to hires under them."""

    def __init__(self, agent: AgentBase, counted: Callable[[Digest], Awaitable[Iterable[Usage]]]) -> None:
        """`counted` says what this side's gate counted under a contract."""
        self._agent, self._counted = agent, counted
        self._weighed: dict[EngagementId, list[_Weighed]] = {}
        """Terms that a contract may get next; several may be judged at once."""

    def within(self, conversation: Remembered) -> Within | None:
        """What an engagement of ours is ordered under; None if it is no subcontract."""
        order = order_in(conversation.facts) if conversation.engagement.role == "hirer" else None
        return None if order is None else order.within

    def weigh(self, engagement: EngagementId, terms: Terms, at: tuple[int, int] | None) -> Callable[[], None]:
        """Whether a contract of ours gets these terms is decided from now on: what is hired under it lies inside them
        too, for its children are checked once and may not become more. It ends with a call of what is returned, or once
        more was said or heard than `at` this position. An offer of ours is weighed again before its seal.
        """
        one = _Weighed(terms, at)
        self._weighed.setdefault(engagement, []).append(one)

        def over() -> None:
            self._keep(engagement, [other for other in self._weighed.get(engagement, ()) if other is not one])

        return over

    def _keep(self, engagement: EngagementId, weighed: list[_Weighed]) -> None:
        if weighed:
            self._weighed[engagement] = weighed
        else:
            self.forget(engagement)

    def forget(self, engagement: EngagementId) -> None:
        """It is put away."""
        self._weighed.pop(engagement, None)

    def agreed(self, conversation: Conversation) -> tuple[Terms, ...]:
        """The terms of amendments that we accepted or may be about to, and that are not sealed yet."""
        engagement = conversation.engagement
        weighed = self._weighed.get(conversation.id)
        if weighed is not None:
            weighed = [one for one in weighed if one.at is None or not passed(engagement, one.at)]
            self._keep(conversation.id, weighed)
        found = tuple(one.terms for one in weighed or ())
        tabled = engagement.tabled
        document = conversation.tabled() if tabled is not None and tabled.acceptance is not None else None
        return (*found, document.terms) if isinstance(document, AmendmentDocument) else found

    def require(self, conversation: Conversation, terms: Terms) -> None:
        """Returns if we may bind ourselves to these terms under the contract that they were ordered under, if any.

        Raises:
            ScopeError: `scope_exceeded`, they go beyond it, or beyond an amendment of it that we agree to;
                `contract_expired`, it gives no authority now; `Paused`, it is suspended.
        """
        within = self.within(conversation)
        if within is None:
            return
        parent = self._agent.conversations.get(within.engagement)
        if parent is None or not parent.engagement.authority:
            paused = parent is not None and parent.engagement.state == "suspended"
            text = f"the contract above, {within.contract}, gives no authority now"
            raise (Paused if paused else ScopeError)("contract_expired", text)
        self._inside(parent, terms)

    def _inside(self, parent: Conversation, terms: Terms) -> None:
        """Returns if terms lie inside a contract, and inside an amendment of it that we agree to."""
        for above in (parent.offered().terms, *self.agreed(parent)):
            fits_inside(terms, above)

    async def room(self, conversation: Conversation, terms: Terms) -> None:
        """Returns if terms would fit under a contract as its books stand now; the store has the last word.

        Raises:
            ScopeError: `scope_exceeded`, with the clause or the place in the terms.
        """
        self._inside(conversation, terms)
        contract = contract_of(conversation.engagement).digest
        held = await self._agent.ledger.usage(contract, self._agent.clock.now())
        for draw in self._drawn(terms, conversation):
            total = add_amounts(add_amounts(held.get(draw.key, "0"), held.get(draw.beside or "", "0")), draw.amount)
            if draw.max is not None and compare_amounts(total, draw.max) > 0:
                what = draw.key.removesuffix(f"@{CHILDREN}").lstrip("/")
                text = f"{what}: {total} with this hire is more than the {draw.max} of the contract"
                raise ScopeError("scope_exceeded", text, clause=draw.key.partition("/")[0] or "price")

    async def sums_fit(self, contract: Digest, terms: Terms) -> None:
        """Returns if what children hold fits under these terms of their contract.

        Raises:
            ScopeError: `scope_exceeded`: it does not.
        """
        limits = _limits(terms)
        for key, amount in (await self._agent.ledger.usage(contract, self._agent.clock.now())).items():
            if key in limits or key.endswith(f"@{CHILDREN}"):
                most = limits.get(key, "0")
                if compare_amounts(amount, most) > 0:
                    raise ScopeError("scope_exceeded", f"{key}: {amount} are used or held for hires, it allows {most}")

    def book(self, conversation: Conversation, engagement: Engagement, effect: Reserve | Free | Finished) -> Booked:
        """What is to be written with the turn that does this; nothing for what is no subcontract."""
        within = self.within(conversation)
        if within is None:
            return NOTHING_BOOKED
        match effect:
            case Reserve():
                return Booked(reserve=self._reservations(conversation, engagement, within, effect))
            case Free(name="contract") | Finished():
                return NOTHING_BOOKED  # what was used is settled when the child is noted as over
            case Free():
                return Booked(release=(_held(effect.digest),))

    def _reservations(
        self, conversation: Conversation, engagement: Engagement, within: Within, effect: Reserve
    ) -> tuple[Reservation, ...]:
        """What the terms on the table take of the contract above. What is sealed is held since before; a seal that came
        too late finds it given back, and is counted though the room may be another's now.
        """
        parent = self._agent.conversations.get(within.engagement)
        if parent is None:
            return ()
        sealed = engagement.contract
        if sealed is not None and not sealed.late_seal:
            return ()
        now, terms, known = self._agent.clock.now(), conversation.offered(engagement).terms, conversation.engagement
        live = known.offer
        if not known.in_doubt and (live is None or live.owner != known.role or live.digest != effect.digest):
            # It was drawn up, which takes a while; what it stands under may have changed meanwhile.
            self.require(conversation, terms)
        try:
            draws = self._drawn(terms, parent)
        except UndersignedError as error:
            # Both signed it before; what no longer fits is ended, and takes nothing.
            _log.warning("a subcontract does not fit any more", engagement=conversation.id, error=str(error))
            return ()
        if sealed is not None:
            draws = tuple(replace(draw, max=None) for draw in draws)
        return (
            Reservation(
                contract=within.contract, id=_held(effect.digest), draws=draws, until=ALWAYS, at=now, kind="capacity"
            ),
        )

    def _drawn(self, terms: Terms, parent: Conversation) -> tuple[Draw, ...]:
        """As `draws_on`, inside an amendment of the parent that was agreed to as well: its seal may come at any time
        (HIRE-SUB-08).
        """
        draws = list(draws_on(terms, parent.offered().terms, self._agent.clock.now()))
        for agreed in self.agreed(parent):
            limits = _limits(agreed)
            draws = [replace(draw, max=_less(draw.max, limits.get(draw.key, "0"))) for draw in draws]
        return tuple(draws)

    async def settle(self, child: Conversation, within: Within) -> None:
        """Puts what a child used in the place of what was held for it."""
        engagement, parent = child.engagement, self._agent.conversations.get(within.engagement)
        if engagement.offer is None or engagement.contract is None or parent is None:
            return  # what no contract held was given back with the offer
        ledger, identifier = self._agent.ledger, _held(engagement.offer.digest)
        under_way = {one.id: one for one in await ledger.open_reservations(within.contract, identifier)}
        held = under_way.get(identifier)
        if held is None:
            return
        terms, above = child.offered().terms, parent.offered().terms
        used = await self._used(child, terms, above)
        price = owed_price(child, engagement)
        amounts = {
            draw.key: used.get(draw.key, "0" if draw.key.endswith(f"@{CHILDREN}") else draw.amount)
            for draw in held.draws
        }
        if f"/{price.currency}@{CHILDREN}" in amounts:
            amounts[f"/{price.currency}@{CHILDREN}"] = price.amount
        await self._count_period(held, above, under_way.get(_period(identifier)))
        await ledger.settle(identifier, amounts)

    async def _count_period(self, held: Reservation, above: Terms, known: Reservation | None) -> None:
        """Counts what was held of each limit per period as used in this one, which no `usage` tells; before it is given
        back, so that nobody takes it in between. `known` is what an interrupted attempt left.
        """
        now, ledger = self._agent.clock.now(), self._agent.ledger
        wides = whole_scope(above.scope).grants
        own = {_key(g.id, limit): f"{g.id}/{counter(limit, now)}" for g in wides for limit in g.limits if limit.per}
        draws = tuple(Draw(own[draw.key], draw.amount) for draw in held.draws if draw.key in own)
        if not draws:
            return
        wanted = known or Reservation(held.contract, _period(held.id), draws, ALWAYS, now)
        try:
            await ledger.reserve(wanted)
        except LedgerConflict:
            return  # an interrupted attempt counted it
        await ledger.settle(wanted.id, {draw.key: draw.amount for draw in wanted.draws})

    async def _used(self, child: Conversation, terms: Terms, above: Terms) -> dict[str, Amount]:
        """What a child used of each limit of the contract above: what it said itself, no less than what we counted, and
        no more than it might. A child that said nothing has used all that.
        """
        told: tuple[Usage, ...] | None = None
        if child.said("Closing", "provider"):
            told = child.last("Closing", Closing, "provider").usage
        elif child.said("Delivery", "provider"):
            told = child.last("Delivery", Delivery, "provider").usage
        if told is None:
            return {}
        counted = await self._counted(contract_of(child.engagement).digest)
        most: dict[tuple[str, str], Amount] = {}
        for one in (*told, *counted):
            known = most.get((one.clause, one.unit), "0")
            most[one.clause, one.unit] = one.amount if compare_amounts(one.amount, known) > 0 else known
        used: dict[str, Amount] = {}
        for own, limit, key in _pairs(terms, above):
            if limit.per is None:
                said = most.get((own, limit.unit), "0")
                might = said if compare_amounts(said, limit.max) < 0 else limit.max
                used[key] = add_amounts(used.get(key, "0"), might)
        return used


def fits_inside(terms: Terms, above: Terms, what: str = "") -> None:
    """`check_within`, as a gate says it."""
    try:
        check_within(terms, above)
    except ContractError as error:
        clause = error.detail.get("clause") or error.path
        where = f"{error.path}: " if error.path else ""  # in words, since a path is told to the other side
        raise ScopeError(error.code, f"{what}{where}{error.message}", clause=clause) from error


def _pairs(terms: Terms, above: Terms) -> list[tuple[str, Limit, str]]:
    """(grant of the child, its limit, key in the books of the contract above) for each limit that is drawn on."""
    grants, wides = grants_of(terms), grants_of(above)
    found: list[tuple[str, Limit, str]] = []
    for own, wide in drawn(terms, above).items():
        limits = {limit.name: limit for limit in grants[own].limits}
        for limit in wides[wide].limits:
            found.append((own, limits[limit.name], _key(wide, limit)))
    return found


def draws_on(terms: Terms, above: Terms, now: Instant) -> tuple[Draw, ...]:
    """What a child takes of the limits and of the price of the contract above.

    Raises:
        ContractError: `scope_exceeded`: it does not lie inside it.
    """
    wides = whole_scope(above.scope).grants
    most = {_key(grant.id, limit): (limit, grant.id) for grant in wides for limit in grant.limits}
    totals: dict[str, Amount] = {}
    for _, limit, key in _pairs(terms, above):
        totals[key] = add_amounts(totals.get(key, "0"), limit.max)
    draws: list[Draw] = []
    for key, amount in sorted(totals.items()):
        limit, grant = most[key]
        beside = None if limit.per is None else f"{grant}/{counter(limit, now)}"
        draws.append(Draw(key, amount, limit.max, beside))
    if compare_amounts(terms.price.amount, "0") > 0:
        draws.append(Draw(f"/{terms.price.currency}@{CHILDREN}", terms.price.amount, above.price.amount))
    return tuple(draws)


def _limits(terms: Terms) -> dict[str, Amount]:
    """What terms allow of each limit, and the price, by the keys in the books."""
    limits = {f"/{terms.price.currency}@{CHILDREN}": terms.price.amount}
    for grant in whole_scope(terms.scope).grants:
        limits |= {_key(grant.id, limit): limit.max for limit in grant.limits}
    return limits


def _less(one: Amount | None, other: Amount) -> Amount:
    return other if one is None or compare_amounts(other, one) < 0 else one


def _key(grant: str, limit: Limit) -> str:
    """A limit in all is one count for ourselves and for those below; one per period is held apart, for every period."""
    return f"{grant}/{limit.unit}" if limit.per is None else f"{grant}/{limit.name}@{CHILDREN}"


def _held(offer: Digest) -> str:
    """The id of what is held in the books of the contract above."""
    return f"{offer}:parent"


def _period(held: str) -> str:
    """The id of what of it counts as used in the period in which the child ended."""
    return f"{held}:period"
