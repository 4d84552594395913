"""Two programs with one key are told from one that opened another connection."""

from __future__ import annotations

import pytest

from undersigned.runtime.agent.taking_turns import APART_SECONDS, TURNS, TakingTurns

PEER, OTHER = "did:web:globex.example", "did:web:acme.example"


def test_it_is_told_once_until_the_peer_is_gone() -> None:
    turns, told = TakingTurns(), []
    for place in range(20):
        told.append(turns.heard(PEER, place % 2, place * APART_SECONDS))
        assert not turns.heard(OTHER, 0, place * APART_SECONDS)
    assert [place for place, said in enumerate(told) if said] == [TURNS]
    turns.forget(PEER)
    assert any(turns.heard(PEER, place % 2, 100 + place * APART_SECONDS) for place in range(20))


@pytest.mark.parametrize(
    "spoken",
    [
        [("old", at) for at in range(50)] + [("new", at) for at in range(50, 100)],
        [(("old", "new")[place % 2], place * 0.01) for place in range(100)],
        [("old", 0), ("new", 10), ("old", 11), *(("new", 12 + at) for at in range(50))],
    ],
    ids=["another one after it", "a carrier that was slow with many", "a carrier that was slow with one"],
)
def test_one_that_came_again_is_none(spoken: list[tuple[str, float]]) -> None:
    turns = TakingTurns()
    assert not any(turns.heard(PEER, name, at) for name, at in spoken)
