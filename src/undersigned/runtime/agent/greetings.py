"""Says where each engagement stands, first on every connection (HIRE-SYN-01), a few engagements at a time.

A peer may hold thousands of them, and a connection costs it nothing: if all were woken at once, nobody else would be
answered until the last one had spoken. Each of them speaks before it says anything else, whenever its turn comes.

Source: protocol-spec/03-connection.md, section 3.4; 10-security.md, section 10.4
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from undersigned.encoding import Did
from undersigned.runtime.engagement.conversation import Conversation

if TYPE_CHECKING:
    from undersigned.runtime.base import AgentBase

__all__ = ["SLICE", "Greetings"]

SLICE = 16
"""Engagements that are woken together."""
PAUSE_SECONDS = 0.05
"""Between two slices, of whomever: everything else has its turn, and is answered."""


class Greetings:
    """What is still to be said on the connections of one agent."""

    def __init__(self, agent: AgentBase) -> None:
        self._agent = agent
        self._waiting: OrderedDict[Did, deque[Conversation]] = OrderedDict()
        self._task: asyncio.Task[None] | None = None

    def begin(self, peer: Did) -> None:
        """There is a new connection to `peer`. The first slice is woken now; those under a contract come first."""
        mine = sorted(self._agent.conversations.of(peer), key=lambda one: one.engagement.contract is None)
        for one in mine:
            one.reconnected()
        rest = deque(mine)
        self._wake(rest)
        if rest:
            self._waiting[peer] = rest
        else:
            self._waiting.pop(peer, None)
        if self._waiting and (self._task is None or self._task.done()):
            self._task = self._agent.spawn(self._run(), "greetings")

    def lost(self, peer: Did) -> None:
        """There is no connection to `peer` any more: whoever did not speak yet speaks first on the next."""
        self._waiting.pop(peer, None)

    async def _run(self) -> None:
        while self._waiting:
            await asyncio.sleep(PAUSE_SECONDS)
            if not self._waiting:
                return
            peer, rest = self._waiting.popitem(last=False)
            self._wake(rest)
            if rest:
                self._waiting[peer] = rest  # behind those of others

    @staticmethod
    def _wake(rest: deque[Conversation]) -> None:
        for _ in range(min(SLICE, len(rest))):
            rest.popleft().greet()
