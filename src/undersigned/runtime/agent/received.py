"""What a received move carries, verified before the move is folded and recorded.

Source: protocol-spec/05-negotiation.md, 07-contract.md and 08-attestation-and-evidence.md
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Final

from undersigned.did import DidDocument
from undersigned.encoding import Did, Instant
from undersigned.errors import UndersignedError
from undersigned.ledger import Blob
from undersigned.messages import (
    Acceptance,
    Closing,
    Delivery,
    Inquiry,
    Offer,
    Presentation,
    Receipt,
    Review,
    Ruling,
    Seal,
    Sync,
    VerifiedMessage,
)
from undersigned.protocol import Engagement
from undersigned.runtime.engagement.receiving import Receiver
from undersigned.runtime.execution.closing import advertised
from undersigned.runtime.fetching.fetcher import looked_up_for
from undersigned.runtime.negotiation.continuing import continued
from undersigned.runtime.negotiation.sealing import contract_leaf_of

if TYPE_CHECKING:
    from .agent import Agent

__all__ = ["check_received"]

CARRIED: Final = {
    "Presentation": "/presentation",
    "Offer": "/document",
    "Acceptance": "/contractProof",
    "Review": "/statement",
}
"""Where a move carries what is verified by itself."""
PARENTS: Final = "/parents"
"""Where an offer carries what stands above its document."""
AT_HAND: Final = frozenset({Inquiry, Offer, Acceptance, Seal, Closing, Receipt, Sync})
"""What is checked by what is at hand: it names nobody who would have to be looked up. An offer that does says so where
that is read.
"""
BARE: Final = frozenset({"Profile", "Start", "Delivery"})
"""Moves of every hire in which nothing is to be verified beside their proof."""
MAX_RENEWED: Final = 2
"""So many who signed what a move carries may have replaced their keys just before: with each all is checked again."""
SECOND_PROOF: Final = "/proof/1"
"""Where the acceptor's proof is in the countersigned document."""


async def check_received(
    agent: Agent,
    conversation: Receiver,
    engagement: Engagement,
    message: VerifiedMessage,
    document: DidDocument,
    now: Instant,
    renewed: frozenset[Did] = frozenset(),
) -> tuple[bytes | None, tuple[Blob, ...]]:
    """Verifies what a received move carries, which is recorded `now`: the leaf that it makes for the log, if it makes
    one, and evidence to be kept with it. `engagement` is the conversation's before this move, with what came in the
    same turn. `renewed`: whose documents were looked up once more for it (HIRE-KEY-10).

    Raises:
        UndersignedError: It does not hold; its path says where in the message.
    """
    body = message.message
    if body.type in BARE:
        return None, ()
    try:
        # Whoever it names is looked up for the sake of who says it.
        with nullcontext() if type(body) in AT_HAND else looked_up_for(agent.whose(engagement.id, engagement.peer)):
            match body:  # what comes most often first: what a message is not takes longer to find out than what it is
                case Offer():
                    agent.papers.check_offer(engagement, body, document)
                    return None, await agent.above.received(conversation, engagement, body)
                case Presentation():
                    await agent.meeting.check(engagement, body, now)
                case Closing():
                    agent.papers.check_closing(body, advertised(conversation))
                case Inquiry():
                    await agent.witness.require(engagement.peer)
                    if body.continues is not None:
                        return None, (await continued(agent.ledger, body.continues, engagement.peer),)
                case Review():
                    delivery = conversation.last("Delivery", Delivery, "provider")
                    return None, await agent.reviews.check_review(conversation, engagement, body, document, delivery)
                case Receipt() | Sync():
                    await agent.witness.check_notice(body, document)
                case Acceptance():
                    if engagement.contract is None:
                        live, read = engagement.offer, conversation.offered(engagement)
                        offered = conversation.offered_json(engagement)
                    else:
                        live, read = engagement.tabled, conversation.tabled(engagement)
                        offered = conversation.tabled_json(engagement)
                    leaf = agent.papers.check_acceptance(engagement, offered, read, body.contract_proof, document)
                    # A late acceptance makes no contract, so it gets no leaf.
                    if live is not None and now <= live.valid_until:
                        return leaf, ()
                case Seal():
                    sealed = engagement.contract is not None
                    leaf = agent.changes.leaf(conversation, engagement) if sealed else contract_leaf_of(conversation)
                    return agent.papers.check_place(body, leaf), ()
                case Ruling():
                    return None, await agent.changes.check_ruling(engagement, body.ruling)
                case _:
                    pass
    except UndersignedError as error:
        if len(renewed) < MAX_RENEWED:
            with looked_up_for(agent.whose(engagement.id, engagement.peer)):
                newer = await agent.new_keys.renewed(error)
            if newer is not None and newer not in renewed:
                return await check_received(agent, conversation, engagement, message, document, now, renewed | {newer})
        # Whoever checks a document says where in it; the peer is told where in its message.
        carried = CARRIED.get(body.type, "")
        if carried and not error.path.startswith((carried, PARENTS)):
            error.path = carried + error.path.removeprefix(SECOND_PROOF)
        raise
    return None, ()
