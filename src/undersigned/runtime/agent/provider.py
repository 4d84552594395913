"""What a provider says at each step, from what it offers and its policy.

Source: protocol-spec/05-negotiation.md and 07-contract.md
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from undersigned.contract import ContractDocument, Price, Terms
from undersigned.credentials import MEMBERSHIP
from undersigned.encoding import Did, Instant, base64url_encode, parse_duration, seconds_between, shift
from undersigned.errors import LocalProtocolError, UndersignedError
from undersigned.messages import Inquiry, Need, Offer, Presentation
from undersigned.proof import first_suite
from undersigned.protocol import Bounds, Concede, Engagement, Moment, Offered, Owe, Role
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.turn import Say, withdrawal
from undersigned.runtime.execution.closing import close_books
from undersigned.runtime.execution.services import Service
from undersigned.runtime.fetching.fetcher import looked_up_for
from undersigned.runtime.fetching.gather import FRESH_SECONDS
from undersigned.runtime.negotiation.decided import declined, recorded
from undersigned.runtime.negotiation.known_tasks import unstated
from undersigned.runtime.negotiation.sealing import accept, seal
from undersigned.trust import Decision, Stake

if TYPE_CHECKING:
    from .agent import Agent

__all__ = ["ProviderSide"]

ANSWER_SECONDS = 60
OFFER_SECONDS = 300


class ProviderSide:
    """Decides for engagements in which this agent is the provider."""

    def __init__(self, agent: Agent, services: Mapping[str, Service]) -> None:
        self._agent = agent
        self._services = services

    async def decide(self, conversation: Conversation, engagement: Engagement, owed: Owe) -> Say | None:
        """What the provider says now, or None to wait for something that is under way."""
        agent = self._agent
        match engagement.state:
            case "inquired":
                return await self._profile(conversation, conversation.last("Inquiry", Inquiry, "hirer"), engagement)
            case "presented":
                shown = conversation.last("Presentation", Presentation, "hirer")
                stake = self._stake(conversation.last("Inquiry", Inquiry, "hirer"))
                decision = await agent.meeting.evaluate(engagement, shown, stake=stake)
                if decision.outcome != "allow" or shown.request is None:
                    return declined(decision)
                await agent.renewals.take(engagement, shown)
                return Say(
                    "Presentation",
                    {
                        "answers": engagement.got[-1],
                        "presentation": await agent.meeting.present(engagement, shown.request),
                    },
                    facts=recorded(decision),
                )
            case "offered-by-hirer":
                return await self._answer(conversation, engagement)
            case "accepted-by-hirer":
                return await seal(agent, conversation, engagement)
            case "cancelling":
                return await agent.worker.stopped(conversation, engagement)
            case "delivered" if owed.reason == "silence":
                return await close_books(agent, conversation, engagement, owed)
            case "closing":
                return await close_books(agent, conversation, engagement, owed)
            case _:
                return None

    def _stake(self, inquiry: Inquiry) -> Stake:
        """What is asked for; an offer of more is judged again by its terms."""
        service = self._services.get(inquiry.need)
        return Stake(capability=inquiry.need, price=None if service is None else service.price)

    async def _profile(self, conversation: Conversation, inquiry: Inquiry, engagement: Engagement) -> Say:
        agent, identity = self._agent, self._agent.identity
        service = self._services.get(inquiry.need)
        if service is None:
            return Say("Withdraw", {"reason": "not_offered"})
        if inquiry.opens != "hirer" or inquiry.tender is not None:
            # Opening ourselves, and tenders, are for later; the hirer hears what would do.
            return Say("Withdraw", {"reason": "opens", "needed": (Need(code="opens", member="opens"),)})
        suite = first_suite(inquiry.suites, identity.kind)
        if suite is None:
            return Say("Withdraw", {"reason": "version_not_supported"})
        if not agent.renewals.under_contract(engagement.peer) and await agent.bookings.places.full(service.task):
            return await agent.bookings.no_room(conversation, engagement, service.task)
        return Say(
            "Profile",
            {
                "nonce": "u" + base64url_encode(secrets.token_bytes(32)),
                "inquiry": engagement.got[-1],
                "versions": inquiry.versions,
                "suites": inquiry.suites,
                "suite": suite,
                "hybrid": False,
                "capabilities": (
                    {
                        "task": service.task,
                        "summary": service.summary,
                        "price": {"amount": service.price.amount, "currency": service.price.currency},
                        "delivers": [{"name": name, "mediaType": service.media_type} for name in service.delivers],
                        "capacity": service.capacity,
                    },
                ),
                "request": await agent.meeting.request(self._stake(inquiry)),
                "respond_by": shift(agent.clock.now(), ANSWER_SECONDS),
            },
        )

    async def _offer(self, engagement: Engagement, terms: Terms, decision: Decision) -> Say:
        """These terms as our offer, once it was decided that we bind ourselves to them."""
        agent = self._agent
        with looked_up_for(agent.whose(engagement.id, engagement.peer)):
            peer = await agent.document_of(engagement.peer, FRESH_SECONDS)
        said = await agent.papers.offer(
            engagement,
            terms,
            peer,
            valid_seconds=OFFER_SECONDS,
            parent=engagement.offer.terms.parent if engagement.offer is not None else None,
        )
        return msgspec.structs.replace(said, facts=recorded(decision))

    async def _answer(self, conversation: Conversation, engagement: Engagement) -> Say:
        """To the hirer's offer: take it at our price or better, counter with our price, or walk away."""
        agent, live, talks = self._agent, engagement.offer, engagement.talks
        if live is None or talks is None:
            raise LocalProtocolError("wrong_state", "there is no offer to answer")
        theirs = conversation.offered(engagement).terms
        try:
            agent.settlements.check(theirs.settlement)
        except UndersignedError:
            return withdrawal(engagement, "declined", needed=(Need(code="settlement", member="/terms/settlement"),))
        if not self._vouched(conversation, engagement):
            needed = (Need(code="terms_mismatch", member="/document/organisations"),)
            return withdrawal(engagement, "declined", needed=needed)
        service = self._services.get(theirs.task.kind)
        if service is None:
            return withdrawal(engagement, "not_offered")
        if theirs.price.currency != service.price.currency:
            return withdrawal(engagement, "declined", needed=(Need(code="member", member="/price/currency"),))
        if (member := unstated(theirs)) is not None:
            return withdrawal(engagement, "declined", needed=(Need(code="member", member=member),))
        if (member := _too_long(service, theirs, live, agent.clock.now())) is not None:
            return withdrawal(engagement, "declined", needed=(Need(code="too_long", member=member),))
        if await agent.bookings.places.full(service.task):
            return await agent.bookings.no_room(conversation, engagement)
        # What we ask at first lies above our price list by nothing, so the first step of the concession is the list.
        ours = msgspec.structs.replace(theirs, price=self._said(conversation) or service.price)
        answer = await agent.bargaining.answer(
            Concede(steps=()),
            Moment(
                role="provider",
                now=agent.clock.now(),
                theirs=theirs,
                ours=ours,
                rounds_left=talks.rounds - talks.offers,
            ),
            Bounds(role="provider", limit=service.price),
        )
        if answer.act == "accept":
            decision = await agent.meeting.recheck(conversation, engagement, theirs)
            late = agent.clock.now() > live.valid_until
            if late or not agent.papers.may_sign(engagement, conversation.offered(engagement)):
                # Too late to accept, while people decided, or it names a key that was replaced meanwhile: the same
                # terms as our own offer (HIRE-NEG-10).
                if talks.offers >= talks.rounds:
                    return withdrawal(engagement, "offer_expired" if late else "round_limit")
                return await self._offer(engagement, theirs, decision)
            return await accept(agent, conversation, engagement, recorded(decision))
        terms = answer.terms
        if answer.act == "withdraw" and talks.offers < talks.rounds and not conversation.said("Offer", "provider"):
            # Our price was not named yet; say it once before giving up, if there is a round for it.
            terms = ours
        if terms is None:
            return withdrawal(engagement, answer.reason)
        decision = await agent.meeting.recheck(conversation, engagement, terms, offering=True)
        return await self._offer(engagement, terms, decision)

    def _vouched(self, conversation: Conversation, engagement: Engagement) -> bool:
        """Whether each organisation that the offer names vouches for its party, by what that party showed: both
        signatures cover it, and the contract's card shows it.
        """
        named = conversation.offered(engagement).organisations
        if named is None:
            return True

        def vouches(did: Did | None, role: Role) -> bool:
            shown = self._agent.meeting.relied(conversation, role) if did is not None else ()
            return did is None or any(MEMBERSHIP in one.types and one.issuer == did for one in shown)

        return vouches(named.hirer, "hirer") and vouches(named.provider, "provider")

    @staticmethod
    def _said(conversation: Conversation) -> Price | None:
        """The price that we named last; None before."""
        if not conversation.said("Offer", "provider"):
            return None
        document = conversation.last("Offer", Offer, "provider").document
        return document.terms.price if isinstance(document, ContractDocument) else None


def _too_long(service: Service, terms: Terms, live: Offered, now: Instant) -> str | None:
    """What of an offer would hold one of our places, or leave us unpaid, for longer than we are ready to wait for its
    hirer; None if nothing would.

    An acceptance keeps its place until the answer, and a hirer that never answers pays nothing for it (rule N5).
    """
    times, most = terms.deadlines, service.wait_seconds
    if seconds_between(now, live.valid_until) + live.terms.seal_grace_seconds > service.hold_seconds:
        return "/validUntil"
    if seconds_between(now, times.start) > most:
        return "/terms/deadlines/start"
    for name, duration in (("review", times.review), ("close", times.close)):
        if parse_duration(duration) > most:
            return f"/terms/deadlines/{name}"
    return None
