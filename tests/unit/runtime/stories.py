"""What several tests of conversations do: read what happened, and say a move as the other side would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from runtimes import Node, World, folded, messages, moves
from undersigned.encoding import EngagementId
from undersigned.protocol import OTHER
from undersigned.runtime import Conversation
from undersigned.testing import HandClock, Party
from undersigned.testing import Say as Move

Open = Callable[..., World]


def story(node: Node, engagement: EngagementId) -> list[str]:
    return [row.type for row in moves(node, engagement)]


def over(world: World, engagement: EngagementId, state: str = "closed") -> None:
    """Both sides hold `state`, and have put the engagement away."""
    for node in world.nodes:
        summary = node.kept.summary_of(engagement)
        assert summary is not None
        assert (summary.state, summary.live) == (state, False)
        assert engagement not in node.conversations


def forge(world: World, node: Node, engagement: EngagementId, move: Move, **members: Any) -> bytes:
    """A move as the other side of `node` would sign it now."""
    held = folded(node, engagement)
    other = world.other(node)
    party = Party(OTHER[held.role], other.office.actor, node.office.actor, engagement, HandClock(world.clock.now()))
    party.engagement = replace(held, role=party.role, own=held.peer, peer=held.own, sent=held.got, got=held.sent)
    party.stored.update({message.digest: message for message in messages(node, engagement)})
    return party.actor.sign(move._replace(members=move.members | members).message(party), party.now).raw


def away_twice(monkeypatch: pytest.MonkeyPatch, node: Node, what: str, move: str, error: Exception) -> list[Exception]:
    """The service that keeps the key of `node` is away, twice, for its next `statement`, or else for its next move of
    this type; what is left of that.
    """
    left, stated, say = [error, error], node.papers.stated, Conversation._say

    async def states(*given: Any) -> Any:
        if left:
            raise left.pop()
        return await stated(*given)

    async def says(self: Conversation, turn: Any, said: Any) -> None:
        if said.type == move and left:
            raise left.pop()
        await say(self, turn, said)

    if what == "statement":
        monkeypatch.setattr(node.papers, "stated", states)
    else:
        monkeypatch.setattr(Conversation, "_say", says)
    return left
