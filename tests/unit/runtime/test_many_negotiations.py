"""A peer with many negotiations: what one connection of its makes this side do at once, and how many it may have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from runtimes import Node, World, lingers
from undersigned.encoding import EngagementId, decode_json
from undersigned.errors import UndersignedError
from undersigned.runtime.agent import crowd, intake
from undersigned.runtime.agent.greetings import PAUSE_SECONDS, SLICE
from undersigned.runtime.engagement.waking import REST_SECONDS
from undersigned.runtime.fetching.fetcher import asker, strangers
from undersigned.transport import Allowance

Open = Callable[..., World]
MANY = 2 * SLICE + 8


def waiting(world: World, count: int) -> list[EngagementId]:
    """So many negotiations, each with an offer that the provider does not answer, and all at rest."""

    async def silent(*_: Any) -> None:
        return None

    world.provider.provider._answer = silent  # type: ignore[method-assign, assignment]
    names = [world.begin(opening="3 EUR").id for _ in range(count)]
    world.settle(REST_SECONDS + 2)
    for node in world.nodes:
        assert all(node.the(name).resting for name in names)
        node.events.clear()
    return names


def connected(world: World) -> None:
    """The hirer has connected to the provider, and all that is done at once is done."""
    world.loop.call_soon(world.provider._opened, world.hirer.did)
    world.settle(0)


def greeted(node: Node) -> list[EngagementId]:
    return [event.engagement for event in node.events if (event.kind, event.type) == ("sent", "Sync")]


def test_a_connection_wakes_a_few_at_a_time_and_all_in_the_end(open_world: Open) -> None:
    """HIRE-SYN-01: whoever else is there has a turn between."""
    world = open_world()
    names = waiting(world, MANY)
    connected(world)
    assert len(greeted(world.provider)) == SLICE
    world.settle(PAUSE_SECONDS)
    assert len(greeted(world.provider)) == 2 * SLICE
    world.settle(PAUSE_SECONDS)
    assert sorted(greeted(world.provider)) == sorted(names)
    world.settle(1)
    assert len(greeted(world.provider)) == MANY


def test_those_under_a_contract_are_woken_first(open_world: Open) -> None:
    """However many negotiations began before."""
    world = open_world(handler=lingers)
    waiting(world, MANY)
    del world.provider.provider._answer
    bound = world.begin(opening="5 EUR").id
    world.settle(1)
    assert world.provider.the(bound).engagement.contract is not None
    world.provider.events.clear()
    connected(world)
    assert greeted(world.provider)[0] == bound


def test_whoever_has_not_been_woken_speaks_first_all_the_same(open_world: Open) -> None:
    world = open_world()
    names = waiting(world, MANY)
    connected(world)
    late = next(name for name in names if name not in greeted(world.provider))
    world.provider.events.clear()
    before = len(world.network.sent)
    world.run(world.hirer.cancel(world.hirer.the(late)))
    said = [decode_json(one.raw) for one in world.network.sent[before:] if one.sender == world.provider.did]
    assert said[0]["type"] == "Sync"  # type: ignore[index, call-overload]
    world.settle(1)
    assert greeted(world.provider).count(late) == 1


def test_what_is_left_to_wake_is_left_to_the_next_connection(open_world: Open) -> None:
    world = open_world()
    waiting(world, MANY)
    connected(world)
    world.provider.greetings.lost(world.hirer.did)
    world.settle(1)
    assert len(greeted(world.provider)) == SLICE


def test_without_a_contract_there_may_be_so_many(open_world: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-LIM-02: the next one is told that it is too many now. That costs no failure, and comes again."""
    monkeypatch.setattr(intake, "MAX_NEGOTIATIONS", 3)
    world = open_world()
    names = waiting(world, 3)
    for _ in range(30):
        world.begin(opening="5 EUR")
    _, theirs = world.channel(world.hirer.did, world.provider.did)
    faults = [decode_json(frame) for frame in world.told(theirs)]
    assert [fault["code"] for fault in faults] == ["overloaded"] * 30  # type: ignore[index, call-overload]
    assert set(world.provider.conversations) == set(names)
    world.run(world.hirer.cancel(world.hirer.the(names[0])), 5)
    world.settle(30)
    assert "Inquiry" in world.provider.said("received")


def test_under_a_contract_there_may_be_more(open_world: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "MAX_NEGOTIATIONS", 3)
    world = open_world(handler=lingers)
    world.begin(opening="5 EUR")
    world.settle(1)
    assert world.provider.conversations.contracts
    for _ in range(4):
        world.begin(opening="5 EUR")
    world.settle(1)
    assert len(world.provider.conversations) == 5


def test_there_may_be_so_many_and_no_more_under_a_contract_either(
    open_world: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-LIM-02"""
    monkeypatch.setattr(intake, "MAX_NEGOTIATIONS", 2)
    monkeypatch.setattr(intake, "MAX_ENGAGEMENTS", 4)
    world = open_world(handler=lingers)
    for _ in range(6):
        world.begin(opening="5 EUR")
        world.settle(1)
    assert len(world.provider.conversations) == 4
    _, theirs = world.channel(world.hirer.did, world.provider.did)
    faults = [decode_json(frame) for frame in world.told(theirs)]
    assert [fault["code"] for fault in faults] == ["overloaded"] * 2  # type: ignore[index, call-overload]


def test_what_is_said_without_a_contract_is_read_no_faster_than_it_may_be(open_world: Open) -> None:
    """HIRE-LIM-02: nothing is refused for it."""
    world = open_world()
    waiting(world, 1)
    world.provider.intake._bytes = Allowance(8_000)
    for _ in range(12):
        world.begin(opening="3 EUR")
    world.settle(1)
    read = len(world.provider.conversations)
    assert 1 < read < 12
    assert world.provider.said("refused") == []
    world.settle(60)
    assert len(world.provider.conversations) > read


def test_what_came_to_nothing_begins_again_no_faster_than_it_may(open_world: Open) -> None:
    """HIRE-LIM-02: each is some lines in our journal, for good. Nothing is refused for it, and no hire counts."""
    world = open_world()
    world.provider.crowd._in_vain = Allowance(1)
    for _ in range(3):
        world.until("closed", world.begin(opening="5 EUR").id)
    for _ in range(2):
        (begun,) = waiting(world, 1)
        assert begun in world.provider.conversations
        world.run(world.hirer.cancel(world.hirer.the(begun)), 5)
        world.settle(2)
        assert begun not in world.provider.conversations
    begun = world.begin(opening="3 EUR").id
    world.settle(5)
    assert begun not in world.provider.conversations
    world.settle(60)
    assert begun in world.provider.conversations
    assert world.provider.said("refused") == []


def test_those_from_before_a_restart_count(open_world: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-LIM-02: where they came from is not known any more; among all they count."""
    monkeypatch.setattr(crowd, "ALTOGETHER", 2)
    world = open_world()
    waiting(world, 1)
    world.provider.crowd.require_room("anywhere", 0)
    waiting(world, 1)
    with world.silence():
        world.restart(world.provider)
        with pytest.raises(UndersignedError) as refused:
            world.provider.crowd.require_room("anywhere", 0)
    assert refused.value.code == "overloaded"


def test_what_is_said_under_a_contract_does_not_wait(open_world: Open) -> None:
    world = open_world(handler=lingers)
    world.begin(opening="5 EUR")
    world.settle(1)
    world.provider.intake._bytes = Allowance(1)
    world.begin(opening="5 EUR")
    world.settle(1)
    assert len(world.provider.conversations.contracts) == 2


def test_whatever_is_looked_up_before_there_is_a_contract_counts_for_where_it_came_from(
    open_world: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SC-103: from the first word on, and at each step: who counts for nobody has no limit but that of all."""
    world = open_world(handler=lingers)
    whose = set[str]()

    def noting(look_up: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*given: Any, **options: Any) -> Any:
            whose.add(asker())
            return look_up(*given, **options)

        return noted

    for name in ("document_of", "documents_of"):
        monkeypatch.setattr(world.provider, name, noting(getattr(world.provider, name)))
    conversation = world.begin(opening="3 EUR")
    world.settle(5)
    assert conversation.engagement.state == "working"
    assert whose == {strangers("memory:pair")}
