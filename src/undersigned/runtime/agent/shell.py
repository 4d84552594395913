"""What the conversations of one agent have from it: its store and keys, its judgement, its books, and its work.

A conversation knows this and nothing else of its agent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import structlog

from undersigned.encoding import Did, EngagementId
from undersigned.errors import LedgerError, UndersignedError
from undersigned.ledger import Blob, Ledger
from undersigned.messages import Closing
from undersigned.protocol import ENDED, Cascade, Engagement, Finished, Free, Owe, Reserve
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.remembered import Remembered
from undersigned.runtime.engagement.turn import NOTHING_BOOKED, Booked, Declined, Event, Say, withdrawal
from undersigned.runtime.execution.books import compared
from undersigned.runtime.execution.shares import Paused
from undersigned.runtime.negotiation.approvals import ApprovalWanted
from undersigned.transport import Allowance

from .intake import LOOKED_UP
from .received import check_received

if TYPE_CHECKING:
    from .agent import Agent
    from .witnessing import CrossWitness

__all__ = ["Shell"]

_log = structlog.get_logger()

AGAIN_A_MINUTE = 64 * 1024 * 1024
"""Bytes of moves that one peer may have sent again because it asks; what is more comes again by time."""
DIAL_BACK_SECONDS = 5.0
"""How long a provider leaves it to the hirer to come back."""


class Shell:
    """What one agent is to its conversations. `open` it before there are any."""

    ledger: Ledger
    """The open store."""
    secret: bytes
    """The ledger's own, which salts the leaves of decisions."""
    witness: CrossWitness
    """Whom a received move's log is held against, and who says how ours stands."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self.clock, self.identity, self.own = agent.clock, agent.identity, agent.own
        self.bookings, self.worker = agent.bookings, agent.worker
        self.check = partial(check_received, agent)
        """As `check_received`, of a conversation of this agent."""
        self.again = Allowance(AGAIN_A_MINUTE)
        """What each peer has sent again because it asks."""

    async def open(self, ledger: Ledger, witness: CrossWitness) -> None:
        """What is said and taken is stored there from now on.

        Raises:
            LedgerError: It does not open.
        """
        self.ledger, self.secret, self.witness = ledger, await ledger.secret(), witness
        self._loop = asyncio.get_running_loop()

    # ------------------------------------------------------------------ sending

    async def deliver(self, peer: Did, raw: bytes) -> None:
        """Sends bytes to a proved connection of `peer`; without one it makes sure that one is being opened."""
        if not await self._agent.links.send(peer, raw):
            self.dial(peer)

    def dial(self, peer: Did) -> None:
        """Has a connection to `peer` kept, if this side is to come to it for anything."""
        agent = self._agent
        if agent.closing:  # `Links.close` waits for all who dial, and has cancelled only those that there were
            return
        if not agent.whereabouts.wanted(peer):
            return
        hirer = any(one.engagement.role == "hirer" for one in agent.conversations.of(peer))
        agent.links.keep(peer, patience_seconds=0.0 if hirer else DIAL_BACK_SECONDS)

    def may_ask_again(self, peer: Did, size: int = 0) -> bool:
        """Whether `peer` may have moves sent that were sent before; `size` bytes of them are counted."""
        return not self.again.take(peer, size, self._loop.time())

    # ------------------------------------------------------------------ what is said

    async def decide(self, conversation: Conversation, engagement: Engagement, owed: Owe) -> Say | None:
        """What this side says now, or None to wait."""
        agent = self._agent
        side = agent.hirer if engagement.role == "hirer" else agent.provider
        if owed.reason is not None and owed.about is None:
            if owed.moves[0] == "Closing":
                return await side.decide(conversation, engagement, owed)
            return _must(engagement, owed.moves[0], owed.reason)
        if conversation.full and "Withdraw" in owed.moves and owed.about is None:
            return await self.bookings.no_room(conversation, engagement)
        if engagement.contract is None:
            await self.witness.require(engagement.peer)
        try:
            try:
                if owed.about is not None:
                    said = await agent.changes.decide(conversation, engagement, owed)
                else:
                    said = await side.decide(conversation, engagement, owed)
            except Paused:
                if "Seal" in owed.moves or owed.about is not None:
                    raise  # whoever accepted is in doubt, and not for longer than the offer is good
                said = None  # until the contract above goes on, or ends
            except ApprovalWanted as wanted:
                if "Seal" in owed.moves:
                    raise  # whoever accepted is in doubt and cannot be kept waiting
                said = await self._ask_people(conversation, engagement, wanted, owed)
            except LedgerError:
                raise
            except UndersignedError as error:
                # People have their time, and what they said stays: what cannot be looked up in one moment is no no.
                if "Seal" in owed.moves or not error.retryable or not agent.approvals.again(conversation, engagement):
                    raise
                _log.warning("what people are asked about waits", engagement=conversation.id, error=str(error))
                return None
            return agent.kept_inputs.with_inputs(conversation.id, said)
        except Declined as error:
            error.evidence = agent.kept_inputs.of(conversation.id)
            raise
        finally:
            agent.kept_inputs.drop(conversation.id)

    async def _ask_people(
        self, conversation: Conversation, engagement: Engagement, wanted: ApprovalWanted, owed: Owe
    ) -> Say | None:
        """Has it wait for people, unless there is no money now for what they would say yes to. Once they are asked they
        have their time: what is spent meanwhile may be free again by then.
        """
        approvals = self._agent.approvals
        negotiates = engagement.contract is None and "Withdraw" in owed.moves
        if negotiates and not approvals.asks(conversation, engagement):
            full = await self.bookings.budget.lacking(engagement, wanted.terms.price)
            if full:
                conversation.full = full
                return await self.bookings.no_room(conversation, engagement)
        return approvals.wait(conversation, engagement, wanted)

    async def book(
        self, conversation: Conversation, engagement: Engagement, effect: Reserve | Free | Finished
    ) -> Booked:
        """What an offer, acceptance or contract takes of what this side promises at most, gives back, or has spent.

        Raises:
            ScopeError: There is not so much left.
        """
        booked = await self.bookings.book(conversation, engagement, effect)
        above = self._agent.subcontracts.shares.book(conversation, engagement, effect)
        return booked if above is NOTHING_BOOKED else booked.beside(above)

    def cascade(self, conversation: Conversation, effect: Cascade) -> None:
        """Says to a hire under this contract what was said to the contract."""
        agent = self._agent

        async def told() -> None:
            await agent.resumed.wait()  # the child may be read after its parent
            await agent.subcontracts.tell(conversation, effect)

        agent.spawn(told(), f"cascade {effect.child[-8:]}")

    async def compared(
        self, conversation: Remembered, engagement: Engagement, theirs: Closing
    ) -> tuple[tuple[str, str], ...]:
        """What is to be noted of a `Closing` that was taken, if it says something else than what we hold: than our own
        `Closing`, once that is said.
        """
        contract, role = engagement.contract, engagement.role
        if conversation.said("Closing", role):
            usage = conversation.last("Closing", Closing, role).usage
        else:
            usage = () if contract is None else await self._agent.gate.usage(contract.digest)
        return compared(conversation, engagement, theirs, usage)

    # ------------------------------------------------------------------ what became of it

    def stored(self, engagement: Engagement, evidence: Sequence[Blob]) -> None:
        """Hears what is on disk now, before anything is sent that follows from it."""
        agent, contract = self._agent, engagement.contract
        if evidence:
            agent.kept_inputs.stored(evidence)
        if contract is not None and contract.digest not in agent.conversations.contracts:
            agent.conversations.bind(contract.digest, engagement.id)
            self._left(engagement.id, in_vain=False)

    def happened(self, conversation: Conversation, event: Event) -> None:
        """Hands an event to whoever watches; who does not read loses the oldest. What was refused has consequences."""
        agent, engagement, type = self._agent, conversation.engagement, event.type
        if event.code:
            self._refused(engagement, event)
        if type == "Seal":
            contract = engagement.contract
            if engagement.role == "provider" and contract is not None and contract.in_force_by is None:
                self.bookings.places.seen(conversation)
        elif type in ("Offer", "Acceptance", "Closing") and event.kind == "received":
            self.witness.follow(engagement.peer, engagement.id)
        if type in ("Offer", "Withdraw") and engagement.contract is not None and event.kind in ("sent", "received"):
            agent.spawn(self.bookings.budget.tidied(conversation), f"budget of {conversation.id[-8:]}")
        if engagement.state in ENDED or event.kind == "over":
            agent.subcontracts.noticed(conversation.id)
        if agent.watchers.hearing:
            agent.watchers.tell(event)

    def _refused(self, engagement: Engagement, event: Event) -> None:
        """Has whoever lets peers in know of it."""
        agent = self._agent
        if event.message is not None and not event.waited:
            refused = agent.intake.refused(engagement.peer, event.code, notice=event.message.notice)
            agent.spawn(refused, f"refused {event.code}")
        if event.kind == "refused" and event.code in LOOKED_UP and engagement.role == "provider":
            agent.spawn(agent.intake.in_vain(engagement.peer, event.code), f"refused {event.code}")

    def rests(self, engagement: EngagementId) -> None:
        """Nothing happens in the negotiation; what the journal gives again need not be kept for it."""
        self._agent.meeting.let_go(engagement)

    def finished(self, conversation: Conversation) -> None:
        """Puts an engagement away; the ledger keeps it."""
        agent, id = self._agent, conversation.id
        if agent.conversations.get(id, conversation) is not conversation:
            return  # it was put away before, and what came since then has another one at work
        agent.conversations.pop(id, None)
        self._left(id, in_vain=True)
        contract = conversation.engagement.contract
        if contract is not None:
            agent.gate.forget(contract.digest)
        holding = (agent.meeting, agent.worker, agent.changes.answers, agent.reviews, agent.subcontracts.shares)
        for part in (*holding, agent.whereabouts, agent.renewals, agent.status_watch):
            part.forget(id)
        if not agent.conversations.of(conversation.engagement.peer):
            agent.links.forget(conversation.engagement.peer)
        state = conversation.engagement.state
        self.happened(conversation, Event(engagement=id, kind="over", type="", at=self.clock.now(), state=state))

    def _left(self, engagement: EngagementId, *, in_vain: bool) -> None:
        """It is not among the negotiations of strangers any more."""
        self._agent.crowd.left(engagement, self._loop.time(), in_vain=in_vain)


def _must(engagement: Engagement, move: str, reason: str) -> Say | None:
    """What is owed when there is only one thing to say."""
    contract = engagement.contract
    if move == "Withdraw":
        return withdrawal(engagement, reason)
    if move == "Terminate" and contract is not None:
        return Say("Terminate", {"contract": contract.digest, "cause": reason, "evidence": ()})
    return None
