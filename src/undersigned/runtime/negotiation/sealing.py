"""The signatures that bind this side: its `Acceptance`, and the `Seal` that makes an acceptance a contract.

Source: protocol-spec/07-contract.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from undersigned.contract import countersigned
from undersigned.encoding import write_canonical
from undersigned.errors import LocalProtocolError
from undersigned.messages import Acceptance
from undersigned.protocol import PROVIDER, Engagement
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.remembered import Remembered
from undersigned.runtime.engagement.turn import Say
from undersigned.transparency import contract_leaf

from .decided import recorded

if TYPE_CHECKING:
    from undersigned.runtime.agent.agent import Agent

__all__ = ["accept", "contract_leaf_of", "seal"]


async def accept(
    agent: Agent, conversation: Conversation, engagement: Engagement, facts: tuple[tuple[str, str], ...]
) -> Say:
    """The `Acceptance` of what is on the table, an offer or a change of a contract. `facts` are of the decision."""
    tabled = engagement.tabled is not None
    document = conversation.tabled_json(engagement) if tabled else conversation.offered_json(engagement)
    cosignatures = await agent.witness.cosignatures(engagement.peer)
    said = await agent.papers.acceptance(engagement, document, cosignatures)
    return msgspec.structs.replace(said, facts=facts)


async def seal(agent: Agent, conversation: Conversation, engagement: Engagement) -> Say:
    """The `Seal`, once everything that was checked before still holds (status is checked again at signing).

    Raises:
        LocalProtocolError: `wrong_state`: there is no offer, or what a contract above says stands in the way.
        PolicyError: As `Meeting.recheck`.
        ContractError: `scope_exceeded`: the hirer accepted what lies outside the contract above as it showed that, and
            nobody could tell that it may.
    """
    if engagement.offer is None:
        raise LocalProtocolError("wrong_state", "there is no offer to seal")
    document = conversation.offered(engagement)
    terms = document.terms
    if engagement.role == PROVIDER and document.parent is not None:
        agent.above.require_shown(conversation, terms)
    decision = await agent.meeting.recheck(conversation, engagement, terms)
    leaf, index = conversation.journal.leaf or (contract_leaf_of(conversation), None)
    cosignatures = await agent.witness.cosignatures(engagement.peer)
    agent.subcontracts.shares.require(conversation, terms)  # last: what it stands under may change meanwhile
    said = await agent.papers.seal(engagement, leaf, index, cosignatures)
    return msgspec.structs.replace(said, facts=recorded(decision))


def contract_leaf_of(conversation: Remembered) -> bytes:
    """The leaf of the live offer's contract, made of the one acceptance that was recorded."""
    acceptance = conversation.last("Acceptance", Acceptance)
    document = countersigned(conversation.offered_json(), acceptance.contract_proof)
    return contract_leaf(document, jcs=write_canonical(document))
