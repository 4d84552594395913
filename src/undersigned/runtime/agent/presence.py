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
from undersigned.protocol import ENDED, Engagement
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.turn import Say, noting

if TYPE_CHECKING:
    from undersigned.runtime.base import AgentBase

__all__ = ["Presences", "lost_at"]

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

    def __init__(self, agent: AgentBase) -> None:
        self._agent = agent
        self._away: dict[Did, object] = {}
        """Peers without a connection, of a contract or what may soon be one, each with a mark of this absence."""

    def lost(self, peer: Did) -> None:
        """There is no connection any more; that is noted if it stays so."""
        if peer not in self._away and self._agent.conversations.of(peer):
            absence = self._away[peer] = object()
            self._agent.spawn(self._note_loss(peer, absence, self._agent.clock.now()), f"connection lost {peer[-12:]}")

    async def _note_loss(self, peer: Did, absence: object, at: Instant) -> None:
        await asyncio.sleep(LOST_SECONDS)
        noted = self._under_contract(peer)
        if not noted and self._away.get(peer) is absence:
            del self._away[peer]  # names cost nothing, and there may be any number that came once
            return
        for conversation in noted:
            if self._away.get(peer) is absence and lost_at(conversation.facts) is None:
                await self._note(conversation, f"lost {at}")
        if peer not in self._away:
            self.back(peer)  # while that was noted

    def back(self, peer: Did) -> None:
        """There is a connection, on which it says where it stands (HIRE-SYN-01)."""
        self._away.pop(peer, None)
        for conversation in self._under_contract(peer):
            if lost_at(conversation.facts) is not None:
                now = self._agent.clock.now()
                self._agent.spawn(self._note(conversation, f"back {now}"), f"connection back {peer[-12:]}")

    def _under_contract(self, peer: Did) -> list[Conversation]:
        return [
            one
            for one in self._agent.conversations.of(peer)
            if one.engagement.contract is not None and one.engagement.state not in ENDED
        ]

    @staticmethod
    async def _note(conversation: Conversation, value: str) -> None:
        what = value.partition(" ")[0]

        def make(_: Engagement) -> Say | None:
            noted = conversation.facts.get(FACT, "").partition(" ")[0]
            return None if noted == what else noting((FACT, value))

        try:
            await conversation.ask(make)
        except LocalProtocolError:
            return  # it is over
