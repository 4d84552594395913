"""What a hirer says at each step, from its order and its policy.

Source: protocol-spec/05-negotiation.md and 07-contract.md
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from undersigned.contract import ContractDocument, Deadlines, Deliverable, Price, Terms, same_terms
from undersigned.encoding import EngagementId, base64url_encode, seconds_between, shift
from undersigned.errors import LocalProtocolError
from undersigned.messages import Delivery, Input, Limits, Need, Offer, Presentation, Profile, engagement_id
from undersigned.messages.discovery import Task
from undersigned.proof import CRYPTOSUITES
from undersigned.protocol import ROLES, Bounds, Concede, Engagement, Moment, Owe
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.turn import Say, fact, withdrawal
from undersigned.runtime.execution.closing import close_books
from undersigned.runtime.fetching.gather import FRESH_SECONDS
from undersigned.runtime.home.configuration import HOLD_SECONDS
from undersigned.runtime.negotiation.continuing import continued
from undersigned.runtime.negotiation.decided import declined, recorded
from undersigned.runtime.negotiation.order import ORDER, Order, order_in
from undersigned.runtime.negotiation.sealing import accept, seal
from undersigned.trust import Decision, Stake

if TYPE_CHECKING:
    from .agent import Agent

__all__ = ["HirerSide"]

MAX_MUST_STAY_VALID = 16
"""Credentials that terms can name."""


class HirerSide:
    """Decides for engagements in which this agent is the hirer."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    async def begin(self, order: Order) -> tuple[EngagementId, Say]:
        """A fresh engagement for an order, and its `Inquiry`.

        Raises:
            ConfigurationError: `bad_configuration`: no contract can be made of it.
            Declined: As `Meeting.require_dealings`.
            VerificationError: `wrong_negotiation`: what it continues is no withdrawal of these two.
        """
        agent = self._agent
        order.check(agent.clock.now())
        agent.meeting.require_dealings(order.provider, _stake(order))
        earlier = ()
        if order.continues is not None:
            earlier = (await continued(agent.ledger, order.continues, order.provider),)
        now = agent.clock.now()
        nonce = "u" + base64url_encode(secrets.token_bytes(32))
        identity = agent.identity
        offered = (
            identity.suite,
            *(s for s in CRYPTOSUITES if s != identity.suite and identity.kind in CRYPTOSUITES[s].kinds),
        )
        return engagement_id(identity.did, order.provider, nonce), Say(
            "Inquiry",
            {
                "nonce": nonce,
                "need": order.task,
                "task": Task(
                    kind=order.task, summary=order.summary, inputs=tuple(item.digest for item in order.inputs)
                ),
                "scope_sketch": order.scope,
                "versions": ("1.0",),
                "suites": offered,
                "extensions": (),
                "opens": "hirer",
                "limits": Limits(rounds=order.rounds, bytes=2 * 1024 * 1024),
                "respond_by": shift(now, order.timing.answer_seconds),
                "closes_at": shift(now, order.timing.negotiation_seconds),
                "continues": order.continues,
            },
            evidence=earlier,
            facts=(fact(ORDER, order),),
        )

    @staticmethod
    def order(conversation: Conversation) -> Order:
        """The order that an engagement was begun with.

        Raises:
            LocalProtocolError: The journal holds none.
        """
        order = order_in(conversation.facts)
        if order is None:
            raise LocalProtocolError("not_found", f"the journal of {conversation.id} holds no order")
        return order

    async def decide(self, conversation: Conversation, engagement: Engagement, owed: Owe) -> Say | None:
        """What the hirer says now, or None to wait for something that is under way."""
        agent, order = self._agent, self.order(conversation)
        match engagement.state:
            case "profiled":
                profile = conversation.last("Profile", Profile, "provider")
                agent.meeting.require_dealings(engagement.peer, _stake(order))  # a start may bring another policy
                return Say(
                    "Presentation",
                    {
                        "answers": engagement.got[-1],
                        "presentation": await agent.meeting.present(engagement, profile.request),
                        "request": await agent.meeting.request(_stake(order)),
                    },
                )
            case "ready":
                shown = conversation.last("Presentation", Presentation, "provider")
                if order.probe:
                    decision = await agent.meeting.evaluate(engagement, shown, stake=_stake(order))
                    if decision.outcome != "allow":
                        return declined(decision)
                    await agent.renewals.take(engagement, shown)
                    return Say("Withdraw", {"reason": "changed"}, facts=recorded(decision))
                terms = agent.approvals.put(conversation, engagement) or self._terms(conversation, order)
                decision = await agent.meeting.recheck(conversation, engagement, terms, offering=True)
                await agent.renewals.take(engagement, shown)
                return await self._offer(conversation, engagement, order, terms, decision)
            case "offered-by-provider":
                return await self._answer(conversation, engagement, order)
            case "accepted-by-provider":
                return await seal(agent, conversation, engagement)
            case "sealed":
                contract = engagement.contract
                if not agent.above.working(conversation):
                    return None  # until the contract above goes on, or ends
                if "Start" not in owed.moves:
                    return None  # too early, or so late that the provider ends it
                return Say(
                    "Start",
                    {
                        "contract": contract.digest if contract is not None else "",
                        "inputs": tuple(Input(name=i.name, digest=i.digest, uri=i.uri) for i in order.inputs),
                    },
                )
            case "delivered":
                delivery = conversation.last("Delivery", Delivery, "provider")
                agent.spawn(agent.reviews.review(conversation, delivery), f"review {conversation.id[-8:]}")
                return None
            case "closing":
                return await close_books(agent, conversation, engagement, owed)
            case _:
                return None

    async def _offer(
        self, conversation: Conversation, engagement: Engagement, order: Order, terms: Terms, decision: Decision
    ) -> Say:
        """These terms as our offer, once it was decided that we bind ourselves to them."""
        agent, within = self._agent, order.within
        agent.subcontracts.shares.require(conversation, terms)
        said = await agent.papers.offer(
            engagement,
            terms,
            await agent.document_of(engagement.peer, FRESH_SECONDS),
            valid_seconds=order.timing.offer_seconds,
            parent=within.contract if within is not None else None,
            parents=await agent.above.shown(conversation),
        )
        return msgspec.structs.replace(said, facts=recorded(decision))

    async def _answer(self, conversation: Conversation, engagement: Engagement, order: Order) -> Say:
        """To the provider's offer: take it, counter it, or walk away; never past the order's ceiling."""
        agent, live, talks = self._agent, engagement.offer, engagement.talks
        if live is None or talks is None:
            raise LocalProtocolError("wrong_state", "there is no offer to answer")
        put = agent.approvals.put(conversation, engagement)
        if put is not None:
            decision = await agent.meeting.recheck(conversation, engagement, put, offering=True)
            return await self._offer(conversation, engagement, order, put, decision)
        now = agent.clock.now()
        document = conversation.offered(engagement)
        theirs, ours = document.terms, self._terms(conversation, order)
        said = conversation.last("Offer", Offer, "hirer").document
        if not isinstance(said, ContractDocument) or not _only_price_differs(theirs, ours, said.terms.deadlines):
            return withdrawal(engagement, "declined")
        if document.organisations != said.organisations:  # whom either speaks for is nothing that the other may write
            return withdrawal(engagement, "declined")
        if seconds_between(now, live.valid_until) + live.terms.seal_grace_seconds > _longest_doubt(order):
            return withdrawal(engagement, "declined", needed=(Need(code="too_long", member="/validUntil"),))
        ours = msgspec.structs.replace(ours, price=said.terms.price)  # it goes on from what it said last
        answer = await agent.bargaining.answer(
            Concede(steps=(order.ceiling.amount,)),
            Moment(role="hirer", now=now, theirs=theirs, ours=ours, rounds_left=talks.rounds - talks.offers),
            Bounds(role="hirer", limit=order.ceiling),
        )
        if answer.act == "accept":
            decision = await agent.meeting.recheck(conversation, engagement, theirs)
            late = agent.clock.now() > live.valid_until
            may = agent.papers.may_sign(engagement, document) and agent.above.is_shown(conversation, theirs)
            if late or not may:
                # Too late to accept, while people decided, or it names a key that was replaced meanwhile, or nobody
                # could tell that it lies inside the contract above, which was amended since: the same terms as our own
                # offer (HIRE-NEG-10, HIRE-SUB-03).
                if talks.offers >= talks.rounds:
                    return withdrawal(engagement, "offer_expired" if late else "round_limit")
                return await self._offer(conversation, engagement, order, theirs, decision)
            agent.subcontracts.shares.require(conversation, theirs)
            return await accept(agent, conversation, engagement, recorded(decision))
        if answer.act == "counter" and answer.terms is not None:
            decision = await agent.meeting.recheck(conversation, engagement, answer.terms, offering=True)
            return await self._offer(conversation, engagement, order, answer.terms, decision)
        return withdrawal(engagement, answer.reason)

    def _terms(self, conversation: Conversation, order: Order) -> Terms:
        """What we would offer now, for what the provider says that it delivers."""
        agent = self._agent
        profile = conversation.last("Profile", Profile, "provider")
        delivers: tuple[Deliverable, ...] = ()
        asked: Price | None = None
        for capability in profile.capabilities:
            if capability.get("task") == order.task:
                delivers, asked = delivered_by(capability), asked_by(capability)
        shown = {one.digest for role in ROLES for one in agent.meeting.relied(conversation, role)}
        return order.terms(
            agent.clock.now(),
            delivers=delivers,
            asked=asked,
            policies=(agent.meeting.policy.digest,),
            must_stay_valid=tuple(sorted(shown)[:MAX_MUST_STAY_VALID]),
        )


def _stake(order: Order) -> Stake:
    """The most that an order can come to: what is asked of a provider holds for whatever price is agreed on."""
    return Stake(capability=order.task, price=order.ceiling)


def _longest_doubt(order: Order) -> int:
    """Seconds for which an acceptance of ours may wait for its answer: until then the price is reserved, and nothing
    ends the wait (rule N5). A provider that never seals would have us wait as long as it wrote.
    """
    return max(HOLD_SECONDS, order.timing.negotiation_seconds)


def delivered_by(capability: Mapping[str, Any]) -> tuple[Deliverable, ...]:
    """What a capability of a `Profile` says that it delivers; nothing if it says so in no form that we know."""
    try:
        listed = msgspec.convert(capability.get("delivers", []), list[dict[str, str]])
        return tuple(
            msgspec.convert({"name": item["name"], "mediaType": item["mediaType"], "criteria": ()}, Deliverable)
            for item in listed[:64]
        )
    except (msgspec.ValidationError, KeyError):
        return ()


def asked_by(capability: Mapping[str, Any]) -> Price | None:
    """The price that a capability of a `Profile` names; None if it names none in a form that we know."""
    try:
        return msgspec.convert(capability.get("price"), Price)
    except msgspec.ValidationError:
        return None


def _only_price_differs(theirs: Terms, ours: Terms, said: Deadlines) -> bool:
    """Whether a counter-offer changed nothing but the price and the instants that count from the offer.

    `ours` is what we would offer now, `said` the times of our last offer: who counters later may count from later, so
    an instant may lie anywhere between the two. A duration or an order of its own would bind us to what we did not ask
    for, such as a review that ends before we can look.
    """
    return _times_of_ours(theirs.deadlines, said, ours.deadlines) and same_terms(
        msgspec.structs.replace(theirs, price=ours.price, deadlines=ours.deadlines, policies=ours.policies), ours
    )


def _times_of_ours(theirs: Deadlines, said: Deadlines, now: Deadlines) -> bool:
    instants = (
        (theirs.start, said.start, now.start),
        (theirs.finish, said.finish, now.finish),
        (theirs.until, said.until, now.until),
    )
    return all(
        early <= given <= max(early, late) for given, early, late in instants
    ) and theirs == msgspec.structs.replace(said, start=theirs.start, finish=theirs.finish, until=theirs.until)
