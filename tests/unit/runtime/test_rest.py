"""A negotiation in which nothing happens: what it still holds, and that it goes on as if it had held everything."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from runtimes import KeptLedger, World, last, messages, moves
from undersigned.credentials import VerifiedPresentation
from undersigned.encoding import EngagementId
from undersigned.errors import LedgerUnavailable
from undersigned.ledger import Row, Summary
from undersigned.messages import Acceptance, Message, Presentation
from undersigned.runtime import Say
from undersigned.runtime.engagement.waking import REST_SECONDS
from undersigned.runtime.negotiation.order import Timing

Open = Callable[..., World]
IDLE = 12
QUIET_SECONDS = REST_SECONDS + 2
"""The receipts follow a second later, and from then on nothing happens."""
WAITS = (
    *((0, "inquired"), (1, "profiled"), (0, "presented"), (1, "ready"), (0, "offered-by-hirer")),
    *((1, "offered-by-provider"), (0, "accepted-by-hirer")),
)
"""Who waits in which state before there is a contract: 0 is the hirer."""


class Reading(KeptLedger):
    """Counts how often an engagement is looked up, which comes before its journal is read for its moves, and fails at
    reading as often as it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[EngagementId] = []
        self.unreadable = 0

    async def summary(self, engagement: EngagementId) -> Summary | None:
        self.read.append(engagement)
        return await super().summary(engagement)

    async def rows(self, engagement: EngagementId, since: int = 0, *, verify: bool = True) -> tuple[Row, ...]:
        if not since and self.unreadable:
            self.unreadable -= 1
            raise LedgerUnavailable("store_unavailable", "not now")
        return await super().rows(engagement, since, verify=verify)


def undecided(world: World) -> list[str]:
    """Has the provider answer no offer for now, as when a person is asked first; gives who asked for an answer."""
    asked: list[str] = []

    async def silent(conversation: Any, engagement: Any) -> None:
        assert conversation.offered(engagement).terms.price.amount == "3"
        asked.append(conversation.id)

    world.provider.provider._answer = silent  # type: ignore[method-assign, assignment]
    return asked


def reading(world: World) -> tuple[Reading, Reading]:
    """The same world, with ledgers that count."""
    world.ledgers = (Reading(), Reading())
    for node in tuple(world.nodes):
        world.restart(node)
    return world.ledgers  # type: ignore[return-value]


def alive(*kinds: type) -> dict[int, object]:
    """What there is of them. What is kept so stays, and so nothing that is made later has its identity."""
    gc.collect()
    return {id(value): value for value in gc.get_objects() if isinstance(value, kinds)}


def test_what_idle_negotiations_hold(open_world: Open) -> None:
    """No task, no decoded message, no presentation and nothing to be stored, however many there are; one timer."""
    world = open_world()
    undecided(world)
    before = alive(Message, VerifiedPresentation)
    for _ in range(IDLE):
        world.begin(opening="3 EUR")
    assert len(alive(Message, VerifiedPresentation).keys() - before) > IDLE
    world.settle(QUIET_SECONDS)
    for node in world.nodes:
        node.events.clear()
        assert len(node.conversations) == IDLE
        assert not [task for task in asyncio.all_tasks(world.loop) if task.get_name().startswith("engagement")]
        for name, conversation in node.conversations.items():
            assert conversation.resting
            assert conversation._task is None
            assert conversation._alarm._timer is not None
            assert (conversation._last, conversation.facts, conversation.inbox._taken) == ({}, {}, None)
            assert node.meeting._shown[name].presentation is None
            assert len(conversation._served) <= 1
            assert (conversation.journal.kept_back, conversation.journal._trying) == ([], b"")
    assert alive(Message, VerifiedPresentation).keys() == before.keys()


@pytest.mark.parametrize(("side", "state"), WAITS)
def test_a_negotiation_that_rested_goes_on(side: int, state: str, open_world: Open) -> None:
    """From every state before the seal, on both sides: the hire ends as it would have, and nothing is said twice."""
    world = open_world(held=True)
    name = world.begun(state, world.nodes[side], opening="3 EUR")
    world.settle(QUIET_SECONDS)
    assert all(node.conversations[name].resting for node in world.nodes if name in node.conversations)
    world.until("closed", name)
    for node in world.nodes:
        story = [row.type for row in moves(node, name)]
        assert (len(story), story.count("Acceptance"), story.count("Seal")) == (13, 1, 1)


def test_the_journal_is_read_once_for_each_time_it_rested(open_world: Open) -> None:
    world = open_world(held=True)
    ledgers = reading(world)
    name = world.begun("offered-by-hirer", world.hirer, opening="3 EUR")
    for ledger in ledgers:
        ledger.read.clear()  # the inquiry was looked up
    world.settle(QUIET_SECONDS)
    assert [ledger.read for ledger in ledgers] == [[], []]
    world.until("accepted-by-hirer", name, world.hirer)
    assert [ledger.read for ledger in ledgers] == [[name], [name]]


def test_a_connection_wakes_it_without_its_journal(open_world: Open) -> None:
    """Many may have one peer: when that comes back, each says where it stands, which takes none of its moves."""
    world = open_world()
    ledgers = reading(world)
    asked = undecided(world)
    name = world.begin(opening="3 EUR").id
    world.settle(QUIET_SECONDS)
    for node, ledger in zip(world.nodes, ledgers, strict=True):
        node.events.clear()
        ledger.read.clear()
    world.reconnect()
    world.settle()
    for node, ledger in zip(world.nodes, ledgers, strict=True):
        assert "Sync" in node.said()
        assert not node.the(name).resting
        assert ledger.read == []
    world.settle(QUIET_SECONDS)
    assert all(node.the(name).resting for node in world.nodes)
    assert asked == [name]  # what was asked for once is not asked for again


def test_who_asks_wakes_it(open_world: Open) -> None:
    world = open_world()
    undecided(world)
    conversation = world.begin(opening="3 EUR")
    world.settle(QUIET_SECONDS)
    assert conversation.resting

    def changed(_: Any) -> Say:
        assert conversation.last("Presentation", Presentation, "provider").type == "Presentation"
        assert "order" in conversation.facts
        live = conversation.engagement.offer
        return Say("Withdraw", {"reason": "changed", "offer": live.digest if live else None})

    world.run(conversation.ask(changed), 5)
    world.until("withdrawn", conversation.id)


def test_time_wakes_it(open_world: Open) -> None:
    """An offer that nobody answered ends, though nobody was there to see it."""
    world = open_world()
    asked = undecided(world)
    name = world.begin(opening="3 EUR").id
    world.settle(QUIET_SECONDS)
    assert world.hirer.the(name).resting
    world.settle(1000)
    assert asked == [name, name]  # again once the offer had lapsed, and with the offer to be looked at
    for node in world.nodes:
        assert name not in node.conversations
        summary = node.kept.summary_of(name)
        assert summary is not None
        assert summary.state == "withdrawn"


def test_what_ended_rests_until_the_other_side_says_that_it_knows(open_world: Open) -> None:
    """Whoever says nothing has it held for a day; it is not to hold all that was said meanwhile."""
    world = open_world()
    undecided(world)
    conversation = world.begin(opening="3 EUR")
    world.settle(QUIET_SECONDS)
    with world.silence():
        world.run(world.hirer.cancel(conversation))
        assert conversation.engagement.state == "withdrawn"
        world.settle(QUIET_SECONDS)
        assert conversation.resting
        assert (conversation._last, conversation.facts) == ({}, {})
    world.settle(1000)
    assert not any(node.conversations for node in world.nodes)
    for node in world.nodes:
        said = [row.type for row in moves(node, conversation.id)]
        assert said.count("Withdraw") == 1


def test_what_was_not_stored_yet_is_stored_before_it_rests(open_world: Open) -> None:
    """A receipt is kept back for the next commit; none is near, so it is written by itself, once."""
    world = open_world()
    undecided(world)
    conversation = world.begin(opening="3 EUR")
    world.settle(REST_SECONDS - 1)
    (kept,) = conversation.journal.kept_back
    assert kept.digest not in {row.digest for row in world.hirer.kept.journal(conversation.id)}
    world.settle(QUIET_SECONDS)
    assert conversation.resting
    assert [row.digest for row in world.hirer.kept.journal(conversation.id)].count(kept.digest) == 1
    world.run(world.hirer.cancel(conversation), 5)
    assert [row.digest for row in world.hirer.kept.journal(conversation.id)].count(kept.digest) == 1


@pytest.mark.parametrize("failures", [1, 3])
def test_a_journal_that_cannot_be_read_is_read_later(failures: int, open_world: Open) -> None:
    """What came is not lost and not answered from nothing."""
    world = open_world(held=True)
    ledgers = reading(world)
    name = world.begun("offered-by-hirer", world.hirer, opening="3 EUR")
    world.settle(QUIET_SECONDS)
    ledgers[1].unreadable = failures
    world.until("closed", name)
    assert ledgers[1].unreadable == 0


@pytest.mark.parametrize("how", ["a-rest", "a-restart"])
def test_what_was_shown_in_time_stands_long_after(open_world: Open, how: str) -> None:
    """The holder's proof is good for ten minutes; it was checked in them, and is no worse for having been let go of."""
    world = open_world(held=True)
    timing = Timing(
        answer_seconds=3000,
        offer_seconds=2400,
        negotiation_seconds=3000,
        start_seconds=4000,
        finish_seconds=8000,
        until_seconds=9000,
    )
    name = world.begun("offered-by-hirer", world.hirer, order=replace(world.order(opening="4 EUR"), timing=timing))
    found = [m.message for m in messages(world.provider, name) if isinstance(m.message, Presentation)]
    proof: Any = found[0].presentation["proof"]
    conversation = world.provider.the(name)
    world.settle(1200)
    assert conversation.resting
    assert proof["expires"] < world.clock.now()
    if how == "a-restart":
        world.restart(world.provider)
    world.until("accepted-by-provider", name, world.provider)
    assert last(world.provider, name, Acceptance).type == "Acceptance"
