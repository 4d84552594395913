"""Disputes, ends and books between the implementation in interop/js-peer and this one, over real sockets."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from integration.hires import REPORT, free_ports, until
from integration.test_js_peer import SLOW, Js, assert_one_story, company
from undersigned.daemon import Peer
from undersigned.encoding import Digest, JsonObject
from undersigned.errors import UndersignedError
from undersigned.messages import Closing
from undersigned.runtime import Conversation, Home, Job
from undersigned.testing import ARBITER


class Hired:
    """A contract at work that names an arbiter, between it and us."""

    def __init__(self, js: Js, peer: Peer, options: tuple[str, ...], port: int) -> None:
        self.js, self.peer = js, peer
        self._options, self._port = options, port
        self._serving = AsyncExitStack()

    @property
    def conversation(self) -> Conversation:
        (conversation,) = self.peer.conversations.values()
        return conversation

    async def serve(self) -> None:
        await self._serving.enter_async_context(self.js.serving(*self._options, port=self._port))

    async def killed(self) -> None:
        """Ends it as a power cut does, and starts it again."""
        await self.js.kill()
        await self._serving.aclose()
        await self.serve()

    async def aclose(self) -> None:
        await self._serving.aclose()

    async def says(self, type: str, **members: Any) -> Digest:
        """Has its owner say something."""
        said = await self.js.ask(f"/hires/{self.conversation.id}/say", {"type": type, **members})
        return said["digest"]

    async def both(self, conversation: Conversation, state: str) -> dict[str, Any]:
        await until(lambda: conversation.engagement.state == state)
        return await self.js.until(conversation.id, lambda found: found["state"] == state)

    def ruled(self, dispute: Digest, outcome: str, amount: str) -> JsonObject:
        contract = self.conversation.engagement.contract
        assert contract is not None
        return ARBITER.rule(contract.digest, dispute, self.peer.clock.now(), outcome=outcome, amount=amount)


async def _never_ends(job: Job) -> None:
    await job.read("report")
    await asyncio.sleep(3600)


@asynccontextmanager
async def at_work(role: str, folder: Path) -> AsyncGenerator[tuple[Hired, Home]]:
    """`role` is ours. What was begun ends with it, however it ends."""
    js = Js(folder / "js")
    home, organisation = await company(folder, js)
    (port,) = free_ports(1)
    async with Peer.open(home) as peer:
        found = Hired(js, peer, ("--trust", organisation, *SLOW), port)
        await found.serve()
        hire: asyncio.Future[Any] | None = None
        if role == "hirer":
            order: Any = {"task": "slow", "inputs": {"report": REPORT}, "price": "5 EUR", "at": js.url}
            hire = asyncio.ensure_future(peer.hire(js.did, arbiter=ARBITER.did, **order))
        else:
            peer.offers("slow", price="4 EUR", delivers="summary.txt")(_never_ends)
            wanted = {"provider": peer.identity.did, "task": "slow", "price": {"amount": "5", "currency": "EUR"}}
            given = {"report": base64.b64encode(REPORT).decode()}
            await js.ask("/hire", {**wanted, "inputs": given, "arbiter": ARBITER.did})
        try:
            await until(lambda: [one.engagement.state for one in peer.conversations.values()] == ["working"])
            await found.both(found.conversation, "working")
            yield found, home
        finally:
            if hire is not None:
                hire.cancel()
                with suppress(UndersignedError, asyncio.CancelledError):
                    await hire
            await found.aclose()


@pytest.mark.parametrize(
    ("role", "by", "carrier"),
    [("hirer", "ours", "it"), ("hirer", "it", "ours"), ("provider", "ours", "ours"), ("provider", "it", "it")],
)
async def test_a_ruling_is_what_both_close_their_books_by(role: str, by: str, carrier: str, tmp_path: Path) -> None:
    """HIRE-LIF-21, HIRE-LIF-22: whoever disputes and whoever carries it; it is killed in the dispute, and goes on."""
    async with at_work(role, tmp_path) as (at, home):
        conversation, claim = at.conversation, "It is not what was agreed on."
        if by == "ours":
            dispute = await at.peer.changes.dispute(conversation, claim, seconds=86_500)
        else:
            dispute = await at.says("Dispute", claim=claim)
        await at.both(conversation, "disputed")
        await at.killed()
        ruling = at.ruled(dispute, "divided", "2.5")
        if carrier == "ours":
            await at.peer.changes.rule(conversation, ruling)
        else:
            await at.says("Ruling", ruling=ruling)
        told = await at.both(conversation, "closed")
        assert (told["basis"], told["owed"]) == ("ruling", {"amount": "2.5", "currency": "EUR"})
        books = [conversation.last("Closing", Closing, one) for one in ("hirer", "provider")]
        assert [(one.basis, one.settlement.amount, one.objection) for one in books] == [("ruling", "2.5", None)] * 2
        await until(lambda: not at.peer.conversations)
        told = await at.js.over(conversation.id)
    await assert_one_story(home, at.js, told, "eddsa-jcs-2022")
