"""What nobody talks an agent into: to spend more than its owner's budget."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runtimes import World, folded, offices
from undersigned.protocol import Answer, Moment
from undersigned.scope import Limit


class Persuaded:
    """A strategy that was talked into paying whatever is asked."""

    def answer(self, moment: Moment) -> Answer:
        return Answer(act="accept")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    options = {"budget": (Limit("EUR", "3"),), "strategy": Persuaded()}
    made = World(offices(tmp_path), price="4 EUR", hirer_options=options)
    yield made
    made.close()


def test_sc_114_a_persuaded_strategy_spends_no_more_than_the_budget(world: World) -> None:
    """SC-114: the budget is kept by the ledger after the strategy has spoken (HIRE-CAP-01)."""
    conversation = world.begin(opening="2 EUR", price="5 EUR")
    world.settle(5)
    assert conversation.said("Offer", "provider")
    assert folded(world.hirer, conversation.id).state == "withdrawn"
    assert not conversation.said("Acceptance", "hirer")
    assert world.run(world.hirer.kept.usage("budget", world.clock.now())) == {"EUR": "0"}
