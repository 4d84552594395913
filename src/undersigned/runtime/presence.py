"""Notes when the connection to the other side of a contract is lost, and when it is back.

A loss is noted in the journal once it has lasted, so that a network that flickers fills no store; a return only where a
loss was noted. So a contract whose connection holds has no line about it, and anybody who reads the ledger can tell a
peer that is offline, and since when.

Source: protocol-spec/07-contract.md, section 7.8
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from undersigned.encoding import Did, Instant
from undersigned.errors import LocalProtocolError
from undersigned.protocol import ENDED

from .conversation import Conversation
from .turn import Say

if TYPE_CHECKING:
    from .agent import Agent

__all__ = ["LOST_SECONDS", "Presences", "lost_at"]

LOST_SECONDS = 5.0
"""How long a connection has to be away until that is noted."""
FACT = "connection"
"""Its value is `lost` or `back`, and the instant."""


def lost_at(facts: Mapping[str, str]) -> Instant | None:
    """Since when there is no connection, by the facts of an engagement; None if no loss was noted, or it is back."""
    what, _, at = facts.get(FACT, "").partition(" ")
    return at if what == "lost" else None


class Presences:
    """The connections of one agent, as far as its contracts are concerned."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def lost(self, peer: Did) -> None:
        """There is no connection any more; that is noted if it stays so."""
        self._agent.spawn(self._note_loss(peer, self._agent.clock.now()), f"connection lost {peer[-12:]}")

    async def _note_loss(self, peer: Did, at: Instant) -> None:
        await asyncio.sleep(LOST_SECONDS)
        if not self._agent.links.connected(peer):
            for conversation in self._under_contract(peer):
                if lost_at(conversation.facts) is None:
                    await self._note(conversation, f"lost {at}")

    def back(self, peer: Did) -> None:
        """There is a connection."""
        for conversation in self._under_contract(peer):
            if lost_at(conversation.facts) is not None:
                now = self._agent.clock.now()
                self._agent.spawn(self._note(conversation, f"back {now}"), f"connection back {peer[-12:]}")

    def _under_contract(self, peer: Did) -> list[Conversation]:
        return [
            one
            for one in self._agent.conversations.values()
            if one.engagement.peer == peer and one.engagement.contract is not None and one.engagement.state not in ENDED
        ]

    @staticmethod
    async def _note(conversation: Conversation, value: str) -> None:
        try:
            await conversation.ask(lambda _: Say("", {}, facts=((FACT, value),)))
        except LocalProtocolError:
            return  # it is over
