"""One side's store is put back from an older copy in the middle of a hire: nothing is lost or said for ever.

What the copy does not know was signed all the same, so there may be no way on; that is for people to see. Each run
takes a copy behind one commit of a hire, goes on for some steps, begins a new process on the copy, and lets three days
pass. `UNDERSIGNED_EXAMPLES` is how many such runs are drawn, in place of a few.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from runtimes import KeptLedger, Node, World, folded, lingers, messages, offices
from undersigned.cli.contract_show import diverged_by
from undersigned.encoding import EngagementId
from undersigned.errors import LogProofError
from undersigned.ledger import Commit, Committed
from undersigned.messages import Problem, recorded_message
from undersigned.runtime import Event
from undersigned.runtime.agent.outcome import unclosed_by

EXAMPLES = int(os.environ.get("UNDERSIGNED_EXAMPLES", "4"))
HOUR = 3600
DAY = 24 * HOUR
MANY = 16
"""Messages of one day, of both sides together: some once, and their answers."""
ENDLESS = [
    pytest.param(0, 0, 4, id="hirer-knows-nothing-of-an-acceptance"),
    pytest.param(0, 1, 4, id="hirer-knows-its-inquiry-alone"),
    pytest.param(0, 4, 6, id="hirer-knows-no-start"),
    pytest.param(1, 3, 7, id="provider-knows-no-seal"),
]
"""Which side, its commits that the copy has, and the steps of the hire before it is put back."""


class Copied(KeptLedger):
    """A ledger that keeps a copy of itself behind each commit."""

    def __init__(self) -> None:
        super().__init__()
        self.copies: list[KeptLedger] = [self.copied()]

    async def commit(self, commit: Commit) -> Committed:
        done = await super().commit(commit)
        self.copies.append(self.copied())
        return done


def moved_on(world: World, steps: int) -> None:
    """The hire goes on by so many messages; where there is none, a minute passes."""
    for _ in range(steps):
        if world.next_parcel() is None:
            world.settle(60)


def said_in_a_day(world: World) -> Counter[tuple[str, str]]:
    """Let a day pass; what was said in it, by role and type."""
    before = len(world.network.sent)
    world.settle(DAY)
    said = [recorded_message(parcel.raw).message for parcel in world.network.sent[before:]]
    return Counter((message.role, message.type) for message in said)


def put_back(world: World, side: int, kept: KeptLedger) -> Node:
    """The process of a side ends, and another begins on this store."""
    ledgers = list(world.ledgers)
    ledgers[side] = kept
    world.ledgers = (ledgers[0], ledgers[1])
    return world.restart(world.nodes[side])


@pytest.fixture
def open_hire(tmp_path: Path) -> Iterator[Callable[..., tuple[World, EngagementId]]]:
    """Begins a hire whose messages are delivered one by one, between stores that keep copies."""
    opened: list[World] = []

    def begin(**options: Any) -> tuple[World, EngagementId]:
        world = World(offices(tmp_path), held=True, ledgers=(Copied(), Copied()))
        opened.append(world)
        name = world.run(world.hirer.begin(world.order(**options))).id
        world.settle()
        return world, name

    yield begin
    for world in opened:
        world.close()


def drawn() -> Iterator[Any]:
    """Runs drawn by chance, the same each time."""
    for seed in range(EXAMPLES):
        chance = random.Random(seed)
        yield pytest.param(chance.randrange(2), chance.random(), chance.randrange(2, 20), id=f"drawn-{seed}")


@pytest.mark.parametrize(("side", "commits", "steps"), [*ENDLESS, *drawn()])
def test_whose_store_was_put_back_is_not_told_the_same_for_ever(
    open_hire: Callable[..., tuple[World, EngagementId]], side: int, commits: int | float, steps: int
) -> None:
    """HIRE-CHN-12, HIRE-SEC-10: an acceptance in doubt, and what was refused, went 288 times a day for ever.

    The moves that the other side holds are still there, whatever came from where the copy is.
    """
    world, name = open_hire(opening="4 EUR")
    moved_on(world, steps)
    store = world.ledgers[side]
    assert isinstance(store, Copied)
    kept = store.copies[commits if isinstance(commits, int) else int(commits * len(store.copies))]
    other = world.nodes[1 - side]
    had = folded(other, name).sent if other.kept.summary_of(name) is not None else ()
    put_back(world, side, kept)
    world.deliver_all()
    world.held = False
    world.reconnect()
    world.settle(DAY + 2 * HOUR)  # of each move the first day counts from when it was said
    for _ in range(2):
        said = said_in_a_day(world)
        assert said.total() <= MANY, said
    if had:
        assert folded(other, name).sent[: len(had)] == had


def test_whose_peer_was_put_back_closes_its_books(open_hire: Callable[..., tuple[World, EngagementId]]) -> None:
    """HIRE-SEC-10: its delivery is refused for the start that the hirer forgot, which says nothing of its own log: once
    the review has passed its place and the price are free.
    """
    world, name = open_hire(opening="4 EUR")
    moved_on(world, 6)
    store = world.ledgers[0]
    assert isinstance(store, Copied)
    put_back(world, 0, store.copies[4])
    world.deliver_all()
    world.held = False
    world.reconnect()
    world.settle(3 * DAY)
    assert (folded(world.provider, name).state, len(world.provider.conversations)) == ("closing", 0)


def test_both_operators_are_told_what_may_be_the_matter(open_hire: Callable[..., tuple[World, EngagementId]]) -> None:
    """HIRE-SEC-10: the side that was put back by each message that it refuses, the other one once."""
    world, name = open_hire(opening="4 EUR")
    moved_on(world, 6)
    store = world.ledgers[0]
    assert isinstance(store, Copied)
    with capture_logs() as logs:
        put_back(world, 0, store.copies[4])
        world.held = False
        world.deliver_all()
        world.reconnect()
        world.settle(DAY)
    refused = [one["error"] for one in logs if one["event"] == "message refused" and "older copy" in one["error"]]
    assert refused
    told = [one for one in logs if one["event"] == "the peer refused a message" and one["code"] == "ledger_diverged"]
    assert [("hint" in one) for one in told] == [True] + [False] * (len(told) - 1)
    (kept,) = {m.message.code for m in messages(world.provider, name) if isinstance(m.message, Problem)}
    assert kept == "ledger_diverged", "'ledger show' has it too"
    for node in world.nodes:
        by = diverged_by(folded(node, name), node.kept.journal(name))
        assert by == ("hirer",), "and so has 'contract show'"


def test_who_hires_is_told_that_it_is_the_provider_whose_store_went_back(
    open_hire: Callable[..., tuple[World, EngagementId]],
) -> None:
    """HIRE-SEC-10: its own folder is the newest; its review is refused for a delivery that the other side forgot."""
    world, name = open_hire(opening="4 EUR")
    world.until("closing", name, world.hirer)
    store = world.ledgers[1]
    assert isinstance(store, Copied)
    before = store.copies[-2]
    assert (folded_in(before, name), folded_in(store, name)) == ("working", "delivered")
    found: list[LogProofError] = []

    def hears(event: Event) -> None:
        error = unclosed_by(event, world.hirer.the(name))
        if error is not None:
            found.append(error)

    world.hirer.watchers.follow(name, hears)
    world.handler = lingers  # once it has said another delivery, it contradicts itself, and no word of its is taken
    put_back(world, 1, before)
    world.deliver_all()
    assert [error.message for error in found[:1]] == [
        "the provider does not take our Review: it does not have what it signed and we hold: "
        "was its state folder put back from an old copy?"
    ]


def folded_in(store: KeptLedger, name: EngagementId) -> str:
    """The state that a store has of an engagement."""
    summary = store.summary_of(name)
    return summary.state if summary is not None else ""


@pytest.mark.parametrize(("side", "commits", "steps"), ENDLESS)
def test_who_has_its_newer_store_again_goes_on(
    open_hire: Callable[..., tuple[World, EngagementId]], side: int, commits: int, steps: int
) -> None:
    """What it was refused meanwhile is said again on the connection that a start opens (HIRE-SYN-03)."""
    world, name = open_hire(opening="4 EUR")
    moved_on(world, steps)
    newest = world.ledgers[side]
    assert isinstance(newest, Copied)
    put_back(world, side, newest.copies[commits])
    world.deliver_all()
    world.held = False
    world.reconnect()
    world.settle(60)
    put_back(world, side, newest)
    world.reconnect()
    world.settle(2 * DAY)
    assert {folded(node, name).state for node in world.nodes} == {"closed"}
