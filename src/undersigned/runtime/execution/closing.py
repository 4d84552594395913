"""The `Closing` of this side: what was used, what is owed, what becomes of the inputs, and how much was promised.

Source: protocol-spec/07-contract.md
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from undersigned.contract import plain
from undersigned.encoding import Instant, parse_duration, shift
from undersigned.messages import Handled, Profile, Served, Start
from undersigned.protocol import Engagement, Owe
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.remembered import Remembered, contract_of
from undersigned.runtime.engagement.turn import Say

from .objections import objects
from .settlement import MAX_NOTE, Paid, owed_price

if TYPE_CHECKING:
    from undersigned.runtime.agent.agent import Agent

__all__ = ["advertised", "close_books"]


async def close_books(agent: Agent, conversation: Conversation, engagement: Engagement, owed: Owe) -> Say | None:
    """The `Closing` of this side; None while it waits for a word about the payment, or for who may decide otherwise."""
    contract = contract_of(engagement)
    if conversation.distrusted:
        return None  # another one would be refused as well, and so on
    # After a delivery without a review this `Closing` is itself what ends it.
    paid = owed_price(conversation, engagement, owed.reason if engagement.state == "delivered" else None)
    objection = objects(conversation.facts, engagement)
    word = agent.settlements.word(conversation, engagement, owed, paid, asks=objection is None)
    if not isinstance(word, Paid):
        return word
    if agent.objections.holds(conversation, engagement):
        return None
    said_why = plain("; ".join(filter(None, (objection, word.note))), MAX_NOTE) or None
    usage = await agent.gate.usage(contract.digest)
    handled = _to_destroy(conversation, engagement, agent.clock.now())
    served = None
    if engagement.role == "provider" and (slots := advertised(conversation)) is not None:
        served = Served(advertised=slots, met=agent.bookings.places.met(engagement))
    said = await agent.papers.closing(
        engagement,
        owed.reason or "review",
        usage,
        paid,
        said_why,
        cosignatures=await agent.witness.cosignatures(engagement.peer),
        told=partial(agent.witness.told, engagement.peer),
        handled=handled,
        served=served,
        reference=word.reference,
        recorded=conversation.recorded(),
    )
    return msgspec.structs.replace(said, evidence=agent.witnesses.documents())


def advertised(conversation: Remembered) -> int | None:
    """How many contracts at a time the provider's `Profile` says that it takes of this task."""
    task = conversation.offered().terms.task.kind
    for capability in conversation.last("Profile", Profile, "provider").capabilities:
        slots = capability.get("capacity")
        if capability.get("task") == task and isinstance(slots, int) and not isinstance(slots, bool):
            return slots
    return None


def _to_destroy(conversation: Conversation, engagement: Engagement, now: Instant) -> Handled | None:
    """What of the inputs the provider has to destroy, and by when: the end, which is `now` where this `Closing` itself
    is it, and the retention agreed on.
    """
    end = engagement.since if engagement.state == "closing" else now
    if end is None or not conversation.said("Start", "hirer"):
        return None
    inputs = conversation.last("Start", Start, "hirer").inputs
    if not inputs:
        return None
    retention = parse_duration(conversation.offered(engagement).terms.data_handling.retention)
    return Handled(destroy=tuple(item.digest for item in inputs), by=shift(end, retention))
