"""Hires under a contract, as the pure protocol sees them: facts of a journal, and what each has to be told."""

from __future__ import annotations

import msgspec
import pytest

from undersigned.encoding import digest_bytes, shift
from undersigned.protocol import Cascade, Child, Engagement, Noted, Owe, apply, pending, wake_at
from undersigned.testing import Playbook, cancel, resume, suspend

CHILD = Child(
    engagement=f"urn:hire:engagement:{digest_bytes(b'child')}",
    provider="did:web:initech.example",
    task="summary",
    key="1",
)


def with_child(engagement: Engagement, child: Child = CHILD) -> Engagement:
    return apply(engagement, Noted("child", msgspec.json.encode(child).decode(), engagement.last_at or ""))


def told(engagement: Engagement) -> list[Cascade]:
    found = pending(engagement, engagement.last_at or "")
    return [effect for effect in found if isinstance(effect, Cascade)]


@pytest.mark.parametrize(
    ("state", "move"),
    [
        ("suspended", "Suspend"),
        ("cancelling", "Cancel"),
        ("disputed", "Terminate"),
        ("closing", "Terminate"),
        ("closed", "Terminate"),
        ("working", None),
        ("delivered", None),
    ],
)
def test_a_child_is_told_what_became_of_its_parent(state: str, move: str | None) -> None:
    """HIRE-SUB-06: by the provider, under a key of the child and the parent's move, until it is done."""
    playbook = Playbook(state)
    engagement = with_child(playbook.provider.party.engagement)
    (effect,) = told(engagement) or [None]
    assert (effect and effect.move) == move
    if effect is None:
        return
    assert effect.names == engagement.cause
    assert effect.key == f"cascade:{CHILD.engagement}:{engagement.cause}"
    assert told(apply(engagement, Noted("done", effect.key, engagement.last_at or ""))) == []
    assert told(with_child(playbook.hirer.party.engagement)) == []


def test_each_move_of_the_parent_is_told_apart() -> None:
    """HIRE-SUB-06: suspended, on again, suspended, and cancelled: four keys."""
    playbook = Playbook("working")
    keys: list[str] = []
    for move in (suspend, resume, suspend, cancel):
        playbook.hirer >> move()
        (effect,) = told(with_child(playbook.provider.party.engagement))
        keys.append(effect.key)
    assert len(set(keys)) == 4


def test_the_books_wait_for_the_children_until_close() -> None:
    """HIRE-SUB-07."""
    engagement = with_child(Playbook("closing").provider.party.engagement)
    ends = shift(engagement.since or "", 3600)

    def closes(at: str, of: Engagement = engagement) -> bool:
        return any(isinstance(effect, Owe) and "Closing" in effect.moves for effect in pending(of, at))

    assert not closes(engagement.last_at or "")
    assert not closes(shift(ends, -1))
    assert closes(ends)
    assert wake_at(engagement, shift(ends, -1)) == ends
    over = with_child(engagement, msgspec.structs.replace(CHILD, outcome="review accepted"))
    assert over.contract is not None
    assert [child.outcome for child in over.contract.children] == ["review accepted"]
    assert closes(engagement.last_at or "", over)
    assert told(over) == []
