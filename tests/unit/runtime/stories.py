"""What several tests of conversations do: read what happened, and say a move as the other side would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from runtimes import Node, World, folded, messages, moves
from undersigned.encoding import EngagementId
from undersigned.protocol import OTHER
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
