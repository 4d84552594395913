"""What a provider hands over of work that was cancelled is fetched, and a part of the price may be owed for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from runtimes import World, last, messages
from undersigned.contract import Milestone, Settlement
from undersigned.encoding import EngagementId, digest_bytes
from undersigned.messages import Closing, Delivery, Review
from undersigned.runtime import Job, Reviewed
from unit.runtime.test_fetched_for_review import Between, answered

Open = Callable[..., World]
HALF = b"The first half."
IN_HALVES = Settlement(method="none", milestones=(Milestone(name="half", percent=50, criteria=("begun",)),))


async def stops_in_order(job: Job) -> None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await job.deliver("summary.txt", HALF)
        raise


async def finds_a_half(done: Reviewed) -> dict[str, bool]:
    return {"begun": done.artifacts["summary.txt"] == HALF, "whole": False}


def cancelled(world: World, **options: object) -> EngagementId:
    id = world.begun("working", **options)
    world.run(world.hirer.cancel(world.hirer.the(id)), 1)
    return id


def test_it_is_kept_by_who_cancelled(open_world: Open) -> None:
    """It was left where it was, and could not be asked for once the contract was over."""
    world = open_world(handler=stops_in_order)
    id = cancelled(world)
    world.until("closed", id)
    assert last(world.provider, id, Delivery).outcome == "cancelled"
    assert world.run(world.hirer.artifacts.get(digest_bytes(HALF)), 1) == HALF
    assert last(world.hirer, id, Review).verdict == "rejected"


def test_a_milestone_that_was_reached_before_is_owed(open_world: Open) -> None:
    """HIRE-PAY-03: nobody looked, and the review said that nothing was met."""
    world = open_world(handler=stops_in_order)
    world.hirer.reviewers["summary"] = finds_a_half
    id = cancelled(world, criteria={"begun": "a half", "whole": "all of it"}, settlement=IN_HALVES)
    world.until("closed", id)
    review = last(world.hirer, id, Review)
    assert review.verdict == "rejected"
    assert {one.id: one.met for one in review.criteria} == {"begun": True, "whole": False}
    books = [one.message for one in messages(world.hirer, id) if isinstance(one.message, Closing)]
    assert [one.settlement.amount for one in books] == ["2", "2"]


def test_a_person_says_it_where_no_program_does(open_world: Open) -> None:
    world = open_world(handler=stops_in_order)
    options = {"criteria": {"begun": "a half", "whole": "all of it"}, "settlement": IN_HALVES}
    order = world.order(**options)
    world.hirer.reviewers.clear()
    id = cancelled(world, order=order)
    world.until("delivered", id)
    ours = world.hirer.the(id)
    said = world.run(world.hirer.reviews.by_person(ours, {"begun": True, "whole": False}), 1)
    world.run(ours.ask(lambda _: said), 1)
    world.until("closed", id)
    assert last(world.hirer, id, Closing).settlement.amount == "2"


@pytest.mark.parametrize("end", ["cancelled", "failed"])
def test_a_milestone_that_was_reached_is_owed_also_where_rework_comes_to_nothing(open_world: Open, end: str) -> None:
    """HIRE-PAY-03: the review of nothing said that nothing was met, and took back what the one before had found."""
    again, go = asyncio.Event(), asyncio.Event()

    async def halves(job: Job) -> None:
        if job.review is None:
            await job.deliver("summary.txt", HALF)
            return
        again.set()
        await go.wait()
        raise RuntimeError("the second half is too hard")

    world = open_world(handler=halves)
    world.hirer.reviewers["summary"] = finds_a_half
    criteria = {"begun": "a half", "whole": "all of it"}
    id = world.begun("working", criteria=criteria, settlement=IN_HALVES, reworks=1)
    world.run(again.wait(), 5)
    if end == "cancelled":
        world.run(world.hirer.cancel(world.hirer.the(id)), 1)
    go.set()
    world.until("closed", id)
    delivery, review = (last(world.hirer, id, kind) for kind in (Delivery, Review))
    assert (delivery.outcome, delivery.round, review.verdict) == (end, 2, "rejected")
    assert {one.id: one.met for one in review.criteria} == {"begun": True, "whole": False}
    for node in world.nodes:
        books = [one.message for one in messages(node, id) if isinstance(one.message, Closing)]
        assert [one.settlement.amount for one in books] == ["2", "2"]


@pytest.mark.parametrize("settlement", [Settlement(method="none"), IN_HALVES], ids=["none", "milestones"])
def test_one_that_does_not_come_is_not_waited_for(open_world: Open, settlement: Settlement) -> None:
    """Who cancels would else wait, with its money, for as long as the review may take."""
    world = open_world(handler=stops_in_order)
    world.hirer.reviewers["summary"] = finds_a_half
    between = world.hirer.other_side = Between(world, answered(404), 10**6)
    id = cancelled(world, criteria={"begun": "a half", "whole": "all of it"}, settlement=settlement)
    world.until("closed", id, most=20)
    assert len(between.asked) == 1
    assert last(world.hirer, id, Closing).settlement.amount == "0"
