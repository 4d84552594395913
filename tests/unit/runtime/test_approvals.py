"""Terms that wait for people, in two whole runtimes: who waits, what is said meanwhile, how it ends, what a crash does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from approving import ASKS, TWO, ALICE, BOB, LONG, says, waits
from runtimes import World, facts, last, moves, offices
from undersigned.messages import Offer, Receipt, Withdraw
from undersigned.trust import terms_digest

Worlds = Callable[..., World]


def world_of(path: Path, **policies: str) -> World:
    return World(offices(path, **policies))


def test_a_provider_waits_for_a_person_and_then_accepts(tmp_path: Path) -> None:
    world = world_of(tmp_path, provider_policy=ASKS)
    hire = world.begin()
    provider = world.provider
    assert (world.hirer.the().engagement.state, provider.the().engagement.state) == ("offered-by-hirer",) * 2
    told = last(world.hirer, hire.id, Receipt).waiting
    assert told is not None
    assert (told.for_, told.until) == ("person", waits(provider).asked.until)
    world.settle(30)
    says(provider, ALICE)
    world.settle(LONG)
    assert world.hirer.kept.summary_of(hire.id).state == "closed"
    world.close()
