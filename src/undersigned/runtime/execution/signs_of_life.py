"""The signs of life that a provider gives of one job, no more often than its hirer hears them.

Source: protocol-spec/10-security.md, section 10.4
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from undersigned.encoding import Digest
from undersigned.errors import UndersignedError
from undersigned.messages import Name, Note, Percent, check_member
from undersigned.protocol import Engagement
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.pace import progress_seconds
from undersigned.runtime.engagement.turn import Say, noting

if TYPE_CHECKING:
    from undersigned.runtime.base import AgentBase

__all__ = ["SignsOfLife"]


class SignsOfLife:
    """Says `Progress` messages. What is given too early waits, and of each member the newest is told then."""

    def __init__(self, agent: AgentBase, conversation: Conversation, contract: Digest) -> None:
        self._agent = agent
        self._conversation = conversation
        self._contract = contract
        self._loop = asyncio.get_running_loop()
        self._untold: dict[str, Any] = {}
        """Newest members of a `Progress` that was not said yet."""
        self._told_at = float("-inf")
        self._telling: asyncio.Task[None] | None = None

    async def give(self, *, percent: int | None, note: str | None, cursor: str | None) -> None:
        """Tells how far the work is, now or soon; returns once a `cursor` is stored.

        Raises:
            FormatError: `schema_violation`: it is no percentage from 0 to 100, no note of 1 to 1,024 characters, or no
                cursor of 1 to 256; `bad_unicode`: no message can hold it.
            LocalProtocolError: As `Conversation.ask`.
        """
        for name, value, kind in (("percent", percent, Percent), ("note", note, Note), ("cursor", cursor, Name)):
            if value is not None:
                check_member(name, value, kind)  # it may be told later, when nobody hears that it cannot be
        for name, value in (("percent", percent), ("note", note), ("cursor", cursor)):
            if value is not None:
                self._untold[name] = value
        wait = self._told_at + progress_seconds(self._conversation.engagement) - self._loop.time()
        if wait <= 0:
            await self._tell()
            return
        if cursor is not None:
            await self._conversation.say(noting(("cursor", cursor)))
        if self._untold and self._telling is None:
            self._telling = self._agent.spawn(self._tell_later(wait), f"progress of {self._conversation.id[-8:]}")

    def end(self) -> None:
        """Tells nothing more."""
        if self._telling is not None:
            self._telling.cancel()

    async def _tell(self) -> None:
        body, self._untold, self._told_at = {"contract": self._contract, **self._untold}, {}, self._loop.time()

        def make(engagement: Engagement) -> Say:
            contract = engagement.contract
            return Say("Progress", {**body, "number": (contract.progress if contract is not None else 0) + 1})

        await self._conversation.ask(make)

    async def _tell_later(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._telling = None
        with suppress(UndersignedError):  # one that is lost costs nothing
            if self._untold:
                await self._tell()
