"""The contracts above: those under which a contract of ours was made, or one that is offered to us.

What stands above is shown with an offer, its receiver holds the offer against it, and at the gate it has to allow an
action too. What is below, the hires under a contract of ours, is in `subcontracts`.

Source: protocol-spec/16-subcontracts.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from undersigned.contract import (
    ContractDocument,
    ReleaseDocument,
    Terms,
    check_within,
    hands_over,
    read_parents,
    verify_parents,
)
from undersigned.encoding import Digest, Instant, JsonObject
from undersigned.errors import ContractError, ScopeError, UndersignedError
from undersigned.evidence import sealed_documents, showing, transcribed
from undersigned.ledger import Blob
from undersigned.messages import Offer, check_sealing, recorded_message
from undersigned.protocol import Engagement
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.documents import document_blob
from undersigned.runtime.engagement.remembered import Remembered
from undersigned.runtime.execution.shares import Shares
from undersigned.runtime.fetching.fetcher import looked_up_for
from undersigned.runtime.fetching.gather import FRESH_SECONDS
from undersigned.runtime.negotiation.papers import key_lookup
from undersigned.scope import Action, permits, read_scope

if TYPE_CHECKING:
    from .agent import Agent

__all__ = ["ContractsAbove"]


class ContractsAbove:
    """Those above the contracts of one agent; `shares` knows which stands under which."""

    def __init__(self, agent: Agent, shares: Shares) -> None:
        self._agent, self._shares = agent, shares

    def working(self, conversation: Conversation) -> bool:
        """Whether the contract that an engagement stands under, if any, gives authority now."""
        within = self._shares.within(conversation)
        if within is None:
            return True
        parent = self._agent.conversations.get(within.engagement)
        return parent is not None and parent.engagement.authority

    async def received(self, conversation: Remembered, engagement: Engagement, offer: Offer) -> tuple[Blob, ...]:
        """Holds an offer of the other side against the contracts above; the DID documents by which they were verified.

        What an offer that stands has shown was verified when that was recorded, and is not again: who signed it may
        have replaced its key since (HIRE-KEY-07).

        Raises:
            ContractError, FormatError, ProofError, VerificationError: `scope_exceeded`, or they do not hold.
            ResolutionError: A DID document could not be had.
        """
        document, agent = offer.document, self._agent
        within = self._shares.within(conversation)
        if within is not None and isinstance(document, ContractDocument):
            parent = agent.conversations.get(within.engagement)
            if parent is not None:
                check_within(document.terms, parent.offered().terms)
        if not offer.parents:
            return ()
        parents = read_parents(offer.parents)
        if conversation.said("Offer", "hirer"):
            recorded = await self._shown_to_us(engagement)
            parents = tuple(one for one, came in zip(parents, offer.parents, strict=True) if came not in recorded)
        dids = {did for one in parents for did in (one.document.hirer, one.document.provider)}
        # Whoever it names is looked up for the sake of who says it.
        with looked_up_for(agent.whose(engagement.id, engagement.peer)):
            documents = await agent.documents_of(sorted(dids), FRESH_SECONDS)
        try:
            for one in parents:
                check_sealing(one.acceptance, one.seal)
            verify_parents(parents, keys=key_lookup(*documents.values(), now=agent.clock.now()))
        except UndersignedError as error:
            error.path = "/parents"  # it says where in one of them, and the peer is told where in its offer
            raise
        return tuple(document_blob(one) for one in documents.values())

    async def _shown_to_us(self, engagement: Engagement) -> tuple[JsonObject, ...]:
        """The contracts above as they were shown with the offer on the table, or with what is in force."""
        rows = [row for row in await self._agent.ledger.rows(engagement.id) if row.type == "Offer"]
        said = {row.digest: one for row in rows if isinstance(one := recorded_message(row.raw).message, Offer)}
        contract, live = engagement.contract, engagement.offer
        by = contract.in_force_by if contract is not None else None
        standing = {digest for digest, one in said.items() if (one.role, one.sequence) == by}
        found = [showing(said, digest) for digest in (standing | {live.digest} if live is not None else standing)]
        return tuple(one for offer in found if offer is not None for one in offer.parents or ())

    async def shown(self, conversation: Conversation) -> tuple[JsonObject, ...]:
        """What stands above an engagement, as our offers carry it: the parent in force, sealed, and what it was offered
        with.

        Raises:
            ScopeError: `contract_expired`: the parent is over.
        """
        within = self._shares.within(conversation)
        if within is None:
            return ()
        rows = await self._agent.ledger.rows(within.engagement)
        moves = [row for row in rows if row.kind != "noted" and row.type in ("Offer", "Acceptance", "Seal")]
        transcript = transcribed(moves)
        sealed = [parts for _, parts in sealed_documents(transcript) if parts[0]["type"] != ReleaseDocument.type]
        if not sealed:
            raise ScopeError("contract_expired", f"there is no contract {within.contract}")
        document, acceptance, seal = sealed[-1]
        above: tuple[JsonObject, ...] = ()
        for one in transcript:
            if isinstance(one.message, Offer) and one.message.parents:
                above = one.message.parents
        return ({"document": document, "acceptance": acceptance, "seal": seal}, *above)

    def is_shown(self, conversation: Conversation, terms: Terms) -> bool:
        """Whether terms lie inside the contract above as our last offer shows it, if there is one above."""
        try:
            self.require_shown(conversation, terms)
        except ContractError:
            return False
        return True

    @staticmethod
    def require_shown(conversation: Conversation, terms: Terms) -> None:
        """Returns if terms lie inside the contract above as the hirer's last offer shows it, if there is one above.

        Raises:
            ContractError: `scope_exceeded`.
        """
        parents = conversation.last("Offer", Offer, "hirer").parents
        for parent in read_parents(parents or ())[:1]:
            check_within(terms, parent.document.terms)

    async def admits(self, contract: Digest, action: Action | None, now: Instant) -> None:
        """Returns if the contract above the one asked for is in force and allows the action, if it is one, too. What
        the child may take is held there already.

        Raises:
            ScopeError: `contract_expired`, `scope_exceeded` and others, as of the parent.
        """
        child = self._agent.conversations.contracts.get(contract)
        within = self._shares.within(child) if child is not None else None
        if child is None or within is None:
            return
        parent = self._agent.conversations.get(within.engagement)
        if parent is None or not parent.engagement.authority:
            state = "over" if parent is None else parent.engagement.state
            raise ScopeError(
                "contract_expired", f"the contract above gives no authority while it is {state}", clause="parent"
            )
        terms = parent.offered().terms
        if now > terms.deadlines.until:
            raise ScopeError("contract_expired", "the contract above is past its end", clause="parent")
        if action is not None and not hands_over(action.name, action.target, child.offered().terms.task.inputs):
            permits(read_scope(terms.scope), {}, action, now).require()
        await self._agent.status_watch.require(within.contract)
