"""What was said in time counts, though the other side was not there to hear it until the time had passed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runtimes import Node, World, facts, folded, last, moves, offices
from undersigned.encoding import parse_duration, seconds_between
from undersigned.messages import Closing, Dispute
from undersigned.protocol import basis
from undersigned.runtime import Job, Reviewed
from undersigned.runtime.clock import LOOK_SECONDS
from undersigned.runtime.engagement.conversation import HEARING_SECONDS
from undersigned.testing import ARBITER

DAY = 86400


@contextmanager
def until_told(folder: Path) -> Iterator[tuple[World, asyncio.Event, asyncio.Event]]:
    """A world whose provider goes on once it is told by the first, and the review of its hirer by the second."""
    told, seen = asyncio.Event(), asyncio.Event()

    async def works(job: Job) -> None:
        text = await job.read("report")
        await told.wait()
        await job.deliver("summary.txt", text, media_type="text/plain")

    async def reviews(_: Reviewed) -> dict[str, bool]:
        await seen.wait()
        return {"short": False}

    world = World(offices(folder), handler=works)
    world.hirer.reviewers["summary"] = reviews
    try:
        yield world, told, seen
    finally:
        world.close()


@contextmanager
def away(world: World, node: Node, absence: str, seconds: int) -> Iterator[None]:
    """`node` hears nothing of what is said inside, and is there again so much later."""
    if absence == "down":
        world.run(node.close(), 1)
    world.cut = True
    yield
    world.clock.ahead += seconds
    if absence == "down":
        world.restart(node)
    world.settle(1)  # it looks at the clock before anything comes


@pytest.mark.parametrize("absence", ["down", "asleep"])
def test_a_delivery_is_reviewed_though_the_hirer_was_away_when_its_time_passed(tmp_path: Path, absence: str) -> None:
    """HIRE-LIF-09: the contract was ended for the deadline, and what was delivered in time was owed nothing."""
    with until_told(tmp_path) as (world, told, _):
        order = world.order()
        id = world.begun("working", order=order)
        world.settle(1)  # the input is read
        with away(world, world.hirer, absence, order.timing.finish_seconds):
            told.set()
            world.settle(1)
            assert folded(world.provider, id).state == "delivered"
        world.reconnect()
        world.until("closed", id)
        for node in world.nodes:
            (ending,) = folded(node, id).contract.endings  # type: ignore[union-attr]
            assert (ending.basis, ending.detail) == ("review", "accepted")


@pytest.mark.parametrize("absence", ["down", "asleep"])
def test_a_review_is_heard_though_the_provider_was_away_when_its_time_passed(tmp_path: Path, absence: str) -> None:
    """HIRE-LIF-09: the books were closed by silence, and both sides objected to each other's for good."""
    with until_told(tmp_path) as (world, told, seen):
        order = world.order(criteria={"short": "one line"})
        id = world.begun("working", order=order)
        told.set()
        world.until("delivered", id)
        review = parse_duration(folded(world.provider, id).offer.terms.deadlines.review)  # type: ignore[union-attr]
        with away(world, world.provider, absence, review):
            seen.set()
            world.settle(1)
            assert folded(world.hirer, id).state == "closing"
        world.reconnect()
        world.until("closed", id)
        for node in world.nodes:
            (ending,) = folded(node, id).contract.endings  # type: ignore[union-attr]
            assert (ending.basis, ending.detail) == ("review", "rejected")
        assert not [fact for fact in facts(world.hirer, id) if fact[0] == "unheard"]


@pytest.mark.parametrize("absence", ["down", "asleep"])
def test_who_is_not_heard_then_is_waited_for_no_longer(tmp_path: Path, absence: str) -> None:
    """HIRE-LIF-09: the provider is gone, and the hirer ends the contract by itself a minute after it is back."""
    with until_told(tmp_path) as (world, *_):
        order = world.order()
        id = world.begun("working", order=order)
        with away(world, world.hirer, absence, order.timing.finish_seconds):
            pass
        back = world.clock.now()
        world.settle(HEARING_SECONDS - 5)
        assert folded(world.hirer, id).state == "working"
        world.settle(10 + LOOK_SECONDS)
        assert folded(world.hirer, id).state == "closing"
        ended = next(row.at for row in moves(world.hirer, id) if row.type == "Terminate")
        assert seconds_between(back, ended) <= HEARING_SECONDS + LOOK_SECONDS


@pytest.mark.parametrize("absence", ["down", "asleep"])
def test_a_ruling_is_carried_though_its_carrier_was_away_when_its_time_passed(tmp_path: Path, absence: str) -> None:
    """HIRE-LIF-09, HIRE-LIF-33: it closed its books in the first second of its start, and nobody took the ruling."""
    with until_told(tmp_path) as (world, *_):
        id = world.begun("working", order=world.order(arbiter=ARBITER.did))
        world.run(world.provider.changes.dispute(world.provider.the(id), "It was well done.", seconds=DAY), 1)
        world.until("disputed", id)
        (disputed,) = folded(world.provider, id).contract.disputes  # type: ignore[union-attr]
        said = last(world.provider, id, Dispute)
        ruling = ARBITER.rule(said.contract, disputed.digest, world.clock.now(), amount="2")
        with away(world, world.provider, absence, DAY):
            pass
        world.run(world.provider.changes.rule(world.provider.the(id), ruling), 1)
        world.reconnect()
        world.until("closed", id)
        for node in world.nodes:
            assert basis(folded(node, id)) == "ruling"
            assert last(node, id, Closing).settlement.amount == "2"
