"""What the two sides of a contract agree on while it is performed: documents that amend it, or release both from it.

One of the peer's is accepted only if the owner said so: `consents` of the application decides, or somebody with
`accept`. It is judged again when it is signed.

Source: protocol-spec/07-contract.md, sections 7.9 to 7.11
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import structlog
from msgspec.structs import replace

from undersigned.contract import (
    ContractDocument,
    Document,
    Price,
    ReleaseDocument,
    Terms,
    canonical_document,
    check_terms,
    countersigned,
)
from undersigned.encoding import Did, Digest, compare_amounts, digest_bytes
from undersigned.errors import LocalProtocolError, PolicyError, UndersignedError
from undersigned.messages import Acceptance, Note, check_member
from undersigned.protocol import HIRER, OTHER, Engagement, Owe, position
from undersigned.runtime.application import contained, decided, in_short
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.remembered import Remembered, contract_of
from undersigned.runtime.engagement.turn import Say, fact
from undersigned.runtime.fetching.gather import FRESH_SECONDS
from undersigned.runtime.negotiation.approvals import ApprovalWanted
from undersigned.runtime.negotiation.asked import (
    OFFERED,
    AskedChange,
    Change,
    ChangeTo,
    ReleaseTerms,
    drafted,
    tabled_change,
    waiting_change,
)
from undersigned.runtime.negotiation.decided import recorded
from undersigned.runtime.negotiation.known_tasks import unstated
from undersigned.runtime.negotiation.sealing import accept
from undersigned.transparency import contract_leaf
from undersigned.trust import parties_of

from .budget import no_budget
from .counted import check_counted, used_so_far
from .moves import Moves

if TYPE_CHECKING:
    from undersigned.runtime.agent.agent import Agent

__all__ = ["Changes", "Consent"]

_log = structlog.get_logger()

Consent = Callable[[Conversation, Document], Awaitable[bool | None]]
"""The owner's word about a change that the other side offers: True accepts, False declines, None leaves it on the table
for somebody to decide."""
Facts: TypeAlias = tuple[tuple[str, str], ...]
VALID_SECONDS = 3600
"""How long a change that we offer may be accepted."""


async def nobody_decides(_conversation: Conversation, _document: Document) -> bool | None:
    """Without a word of the owner nothing is agreed to."""
    return None


class Changes(Moves):
    """The changes of one agent's contracts, with what it says about them by itself."""

    def __init__(self, agent: Agent) -> None:
        super().__init__(agent)
        self.consents: Consent = nobody_decides

    async def amend(
        self, conversation: Conversation, terms: Callable[[Terms], Terms], *, seconds: int = VALID_SECONDS
    ) -> None:
        """Offers other terms: what `terms` makes of those in force. Where the policy puts them to people, these are
        asked first, and have `seconds`; it is offered once they approved, also after a restart.

        Raises:
            PolicyError: `policy_denied`: a limit lies below what is used, or policy or budget do not carry it.
            ScopeError: `approval_required`: it waits for people now.
            VerificationError: What the other side showed does not hold any more.
            LocalProtocolError: Not ours to say now.
            FormatError: No document can hold it: here, since people would be asked about what cannot be offered.
        """
        wanted = terms(conversation.offered().terms)
        check_terms(wanted)
        await self._propose(conversation, wanted, seconds)

    async def release(
        self, conversation: Conversation, owed: Price, reason: str, *, seconds: int = VALID_SECONDS
    ) -> None:
        """Offers to let each other go for `owed`. Raises as `amend`."""
        check_member("reason", reason, Note)
        await self._propose(conversation, ReleaseTerms(owed, reason), seconds)

    async def approved(self, conversation: Conversation, asked: AskedChange) -> None:
        """Offers what people approved, while it is what they are asked about. Raises as `amend`."""
        change = asked.change
        _require_waiting(conversation, change)
        what = asked.terms if change.owed is None else ReleaseTerms(change.owed, change.reason)
        await self.noting(change.order)._propose(conversation, what, change.seconds)

    async def _propose(self, conversation: Conversation, what: ChangeTo, seconds: int) -> None:
        engagement = conversation.engagement
        of = conversation.offered(engagement)
        change = drafted(conversation, engagement, what, seconds, self._key)
        waits = waiting_change(conversation.facts, engagement, change.name) is not None
        async with self._agent.bookings.budget.changing(conversation):
            try:
                # Whether what binds by its seal alone may be offered at all: people are asked before the other side is.
                with ExitStack() as weighed:
                    await self._judge(conversation, engagement, what, change, weighed, offering=True)
            except ApprovalWanted as wanted:
                await self._wait(conversation, wanted)
                raise
            await self._offer(conversation, of, what, seconds, change, waits=waits)

    async def _wait(self, conversation: Conversation, wanted: ApprovalWanted) -> None:
        agent = self._agent
        if full := await agent.bookings.budget.lacking(conversation.engagement, wanted.terms.price):
            raise no_budget(wanted.terms.price, full)

        def make(engagement: Engagement) -> Say | None:
            said = agent.approvals.wait(conversation, engagement, wanted)
            return agent.kept_inputs.with_inputs(conversation.id, said)

        await conversation.ask(make)

    async def _offer(
        self,
        conversation: Conversation,
        of: ContractDocument,
        what: ChangeTo,
        seconds: int,
        change: Change,
        *,
        waits: bool,
    ) -> None:
        agent = self._agent

        def make(said: Say) -> Say:
            # Judging and drawing it up took a while, in which our owner may have taken it back.
            if waits:
                _require_waiting(conversation, change)
            return said

        # Made on the position as it is now; if anything comes between, the guard refuses it and it is made again.
        for attempt in range(3):
            engagement = conversation.engagement
            if conversation.offered(engagement) != of:
                raise LocalProtocolError(
                    "stale_offer", "what is in force was changed meanwhile: look at it, and say it again"
                )
            peer = await agent.document_of(engagement.peer, max_age_seconds=FRESH_SECONDS)
            said = await agent.papers.change(
                engagement, of, what, peer, valid_seconds=seconds, parents=await agent.above.shown(conversation)
            )
            said = replace(said, facts=_offered(conversation, change, said))
            try:
                await self._ask(conversation, lambda _, said=said: make(said))
                return
            except LocalProtocolError as error:
                if attempt == 2 or error.code not in ("terms_mismatch", "stale_offer"):
                    raise

    async def accept(self, conversation: Conversation, document: Digest) -> None:
        """Signs the change on the table, which must be `document`; where the policy puts it to people, once they
        approved.

        Raises:
            LocalProtocolError: `stale_offer`: another or none is on the table.
            PolicyError, VerificationError: Our policy says no, or a limit lies below what is used.
            ScopeError: `approval_required`: it waits for people now.
        """
        engagement = conversation.engagement
        tabled = engagement.tabled
        if tabled is None or tabled.document != document:
            there = "nothing is on the table"
            if tabled is not None:
                there = f"{tabled.document} is on the table, and 'undersigned contract show' tells what it would change"
            raise LocalProtocolError("stale_offer", f"expected the document on the table; got {document}: {there}")
        async with self._agent.bookings.budget.changing(conversation):
            with ExitStack() as weighed:
                try:
                    said = await self._acceptance(conversation, engagement, weighed)
                except ApprovalWanted as wanted:
                    await self._wait(conversation, wanted)
                    raise
                said = self._agent.kept_inputs.with_inputs(conversation.id, said) or said
                await self._ask(conversation, lambda _: said)

    async def decline(self, conversation: Conversation) -> None:
        """Takes the change from the table, ours or the other side's, while nobody accepted it; with none there, takes
        back what we would offer once people approve it.

        Raises:
            LocalProtocolError: `wrong_state`: there is none.
        """
        if self._key in conversation.engagement.done:
            return  # what is there now is not what it was said of
        if conversation.engagement.tabled is None and await self._agent.approvals.take_back(conversation, self._done):
            return

        def make(engagement: Engagement) -> Say:
            if engagement.tabled is None:
                raise LocalProtocolError("wrong_state", "no document is on the table")
            return Say("Withdraw", {"reason": "declined", "offer": engagement.tabled.digest})

        await self._ask(conversation, make)

    async def decide(self, conversation: Conversation, engagement: Engagement, owed: Owe) -> Say | None:
        """What this side says about the document in the lane, or None to wait."""
        tabled = engagement.tabled
        if "Approval" in owed.moves:
            if owed.about is not None:
                self.answers.wanted(conversation, owed.about)
            return None
        if tabled is None:
            return None
        if owed.reason is not None:
            return Say("Withdraw", {"reason": owed.reason, "offer": tabled.digest})
        if "Seal" in owed.moves:
            return await self._seal(conversation, engagement)
        if not self._agent.papers.may_sign(engagement, conversation.tabled(engagement)):
            # Our acceptance would be refused, and with it all that we say after it; it may be offered anew.
            return Say("Withdraw", {"reason": "declined", "offer": tabled.digest})
        if not self._agent.approvals.waits(conversation, tabled.document):
            try:
                asks = partial(self.consents, conversation, conversation.tabled(engagement))
                word = decided(await contained(asks), "consents")
            except UndersignedError:
                raise
            except Exception as exc:  # the application's code: asked again it would raise it again, each minute
                hint = "it stays on the table: contract accept or decline"
                error = in_short(exc)
                _log.error("nobody decided about a change", engagement=conversation.id, error=error, hint=hint)
                return None
            if word is None:
                return None
            if not word:
                return Say("Withdraw", {"reason": "declined", "offer": tabled.digest})
        return await self._acceptance(conversation, engagement)

    async def _acceptance(
        self, conversation: Conversation, engagement: Engagement, weighed: ExitStack | None = None
    ) -> Say:
        facts = await self._judge_tabled(conversation, engagement, weighed)
        return await accept(self._agent, conversation, engagement, facts)

    async def _seal(self, conversation: Conversation, engagement: Engagement) -> Say:
        await self._agent.document_of(engagement.peer, max_age_seconds=FRESH_SECONDS)
        facts = await self._judge_tabled(conversation, engagement)
        cosignatures = await self._agent.witness.cosignatures(engagement.peer)
        said = await self._agent.papers.seal(engagement, self.leaf(conversation, engagement), cosignatures=cosignatures)
        return replace(said, facts=facts)

    async def _judge_tabled(
        self, conversation: Conversation, engagement: Engagement, weighed: ExitStack | None = None
    ) -> Facts:
        tabled, change = engagement.tabled, tabled_change(conversation, engagement)
        if tabled is None or change is None:
            return ()
        document = conversation.tabled(engagement)
        what: ChangeTo = (
            ReleaseTerms(document.settlement, document.reason)
            if isinstance(document, ReleaseDocument)
            else document.terms
        )
        sealing = tabled.owner == engagement.role
        return await self._judge(conversation, engagement, what, change, weighed, sealing=sealing)

    async def _judge(
        self,
        conversation: Conversation,
        engagement: Engagement,
        what: ChangeTo,
        change: Change,
        weighed: ExitStack | None,
        *,
        offering: bool = False,
        sealing: bool = False,
    ) -> Facts:
        """Judges a change and promises what it costs more than what is in force; the decision, as facts.

        Until `weighed` ends, what is hired under the contract lies inside the new terms too; None in a turn, which says
        at once what follows.

        A release by which more is owed than the price is judged as an amendment to that price would be (HIRE-APR-08):
        else it is a way around policy, people, budget, and what an organisation lets its agent owe. Without that there
        is nothing to be judged of it.

        Raises:
            PolicyError, ScopeError, VerificationError: As `amend` and `Meeting.recheck`.
        """
        agent, now = self._agent, conversation.offered(engagement).terms
        if isinstance(what, Terms):
            terms = what
            if (
                not sealing
                and not offering
                and engagement.state == "delivered"
                and {*terms.criteria} != {*now.criteria}
            ):
                # HIRE-LAN-06: it crossed what was delivered, which is judged by what it was made for.
                raise PolicyError("policy_denied", "it changes the criteria of what waits for its review")
            if not sealing and terms.settlement != now.settlement:
                self._require_settles(terms)
            if engagement.role != HIRER and not sealing and (member := unstated(terms)) is not None:
                raise PolicyError("policy_denied", f"no delivery of ours could have what it asks for in {member}")
            if not sealing:
                own = await agent.gate.usage(contract_of(engagement).digest)
                check_counted(now, terms, await used_so_far(conversation, agent.ledger, own))
            if not sealing and not offering and terms.evidence.verifier != now.evidence.verifier:
                self._require_another_judge(conversation, terms.evidence.verifier)
        else:
            owed = what.owed
            more = owed.currency != now.price.currency or compare_amounts(owed.amount, now.price.amount) > 0
            if not more or owed.amount == "0":
                return ()
            terms = replace(now, price=owed)
        answers = weighed is None
        with ExitStack() as failed:
            (failed if weighed is None else weighed).callback(
                agent.subcontracts.shares.weigh(conversation.id, terms, position(engagement) if answers else None)
            )
            await agent.subcontracts.amended(conversation, terms)
            decision = await agent.meeting.recheck(conversation, engagement, terms, offering=offering, change=change)
            # Last: what waits for people holds nothing of the budget, and is a no if that is spent meanwhile.
            if not (sealing and isinstance(what, Terms)):
                at = engagement if answers else conversation.engagement
                await agent.bookings.budget.promise_more(conversation, at, terms.price, answers=answers)
            failed.pop_all()
        return recorded(decision)

    def _require_another_judge(self, conversation: Conversation, verifier: Did | None) -> None:
        """Returns unless we hire, and the other side would say itself whether its work is accepted (HIRE-POL-09)."""
        engagement = conversation.engagement
        if engagement.role != HIRER or verifier is None:
            return
        relied = self._agent.meeting.relied(conversation, OTHER[engagement.role])
        if verifier in parties_of(engagement.peer, relied):
            text = f"its verifier, {verifier}, is of the other side, and would judge its own work"
            raise PolicyError("policy_denied", text)

    def _require_settles(self, terms: Terms) -> None:
        try:
            self._agent.settlements.check(terms.settlement)
        except UndersignedError as error:
            raise PolicyError("policy_denied", f"its settlement: {error.message}") from error

    @staticmethod
    def leaf(conversation: Remembered, engagement: Engagement) -> bytes:
        """The leaf of the accepted document in the lane."""
        tabled = engagement.tabled
        if tabled is None:
            raise LocalProtocolError("wrong_state", "no document is on the table")
        acceptance = conversation.last("Acceptance", Acceptance, OTHER[tabled.owner])
        return contract_leaf(countersigned(conversation.tabled_json(engagement), acceptance.contract_proof))


def _require_waiting(conversation: Conversation, change: Change) -> None:
    if waiting_change(conversation.facts, conversation.engagement, change.name) is None:
        text = f"people are not asked about {change.name} any more: it was taken back, or another one is in its place"
        raise LocalProtocolError("wrong_state", text)


def _offered(conversation: Conversation, change: Change, said: Say) -> Facts:
    """What is noted with the offer of what people approved: by which name they know the document."""
    asked = waiting_change(conversation.facts, conversation.engagement, change.name)
    if asked is None:
        return ()
    document = digest_bytes(canonical_document(said.body["document"]))
    return (fact(OFFERED, replace(asked, change=replace(change, document=document))),)
