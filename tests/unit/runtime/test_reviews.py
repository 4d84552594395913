"""A review that could not be made is no verdict: nothing is signed for it, and who waits hears why."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from runtimes import REPORT, World, facts, folded, last, messages
from undersigned.errors import ConfigurationError, FormatError, LocalProtocolError, PolicyError
from undersigned.messages import Closing, Review, recorded_message
from undersigned.runtime import Conversation, Event, Hire, HireResult, Job, Order, Reviewed, hire_order
from undersigned.runtime.engagement.inbox import Arrived
from undersigned.runtime.execution.inspection import Inspection
from undersigned.testing import terminate
from unit.runtime.stories import away_twice, forge

Open = Callable[..., World]
CRITERIA = {"whole": "nothing is missing"}


async def whole(_: Reviewed) -> dict[str, bool]:
    return {"whole": True}


async def raises(_: Reviewed) -> dict[str, bool]:
    raise TypeError("a defect")


async def exits(_: Reviewed) -> dict[str, bool]:
    sys.exit(1)


async def gives_up(_: Reviewed) -> dict[str, bool]:
    raise asyncio.CancelledError


async def cancels_itself(_: Reviewed) -> dict[str, bool]:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    await asyncio.sleep(0)
    return {"whole": True}


async def misconfigured(_: Reviewed) -> dict[str, bool]:
    raise ConfigurationError("missing_extra", "what reads it is not installed")


async def refused(_: Reviewed) -> dict[str, bool]:
    raise PolicyError("policy_denied", "a service that it asks let it not in")


async def nothing(_: Reviewed) -> None: ...


async def a_word(_: Reviewed) -> str:
    return "yes"


async def misspelt(_: Reviewed) -> dict[str, bool]:
    return {"hole": True}


async def not_quite_true(_: Reviewed) -> dict[str, Any]:
    return {"whole": 1}


async def more(_: Reviewed) -> dict[str, bool]:
    return {"whole": True, "hole": False}


async def left_out(_: Reviewed) -> dict[str, bool]:
    return {}


def plain(_: Reviewed) -> dict[str, bool]:
    return {"whole": True}


def reviews(world: World, name: str) -> list[str]:
    return [one.message.verdict for one in messages(world.hirer, name) if isinstance(one.message, Review)]


def waiting(open_world: Open, review: Any) -> tuple[World, Conversation]:
    """A delivery whose review is tried again and again."""
    world = open_world()
    world.hirer.reviewers["summary"] = review
    ours = world.begin(criteria=CRITERIA)
    world.settle(30)
    assert folded(world.hirer, ours.id).state == "delivered"
    assert reviews(world, ours.id) == []
    return world, ours


@pytest.mark.parametrize(
    ("review", "why"),
    [
        (raises, "TypeError: a defect"),
        (exits, "SystemExit: 1"),
        (gives_up, "it gave up something it waited for"),
        (cancels_itself, "it gave up something it waited for"),
        (misconfigured, "missing_extra: what reads it is not installed"),
        (refused, "policy_denied: a service that it asks let it not in"),
        (nothing, "expected a dict with True or False for each criterion, such as {'whole': True}; got None"),
        (a_word, "such as {'whole': True}; got 'yes'"),
        (misspelt, "expected whole; got 'hole' in its place"),
        (left_out, "expected whole; got nothing about it"),
        (not_quite_true, "whole: expected True or False; got 1"),
        ("no function", "TypeError: "),
    ],
)
def test_a_defect_of_the_hirers_own_is_no_verdict(open_world: Open, review: Any, why: str) -> None:
    """It is noted once and logged each time; with a function that works it is reviewed, and accepted."""
    with capture_logs() as logs:
        world, ours = waiting(open_world, review)
    told = [one for one in logs if one["event"] == "review failed"]
    assert 3 <= len(told) <= 5, "ever more slowly"
    assert all(why in one["error"] and "'contract review'" in one["hint"] for one in told)
    assert all((one["exc_info"] is None) == ("answered wrongly" in one["error"]) for one in told)
    noted = [text for kind, text in facts(world.hirer, ours.id) if kind == "review-failed"]
    assert len(noted) == 1
    assert why in noted[0]
    world.hirer.reviewers["summary"] = whole
    world.settle(120)
    assert reviews(world, ours.id) == ["accepted"]


@pytest.mark.parametrize("error", [ConfigurationError("key_unavailable", "the key is away"), OSError("away")])
@pytest.mark.parametrize("what", ["statement", "move"])
@pytest.mark.parametrize("refuses", [False, True])
def test_one_that_cannot_be_signed_now_is_signed_later(
    open_world: Open, monkeypatch: pytest.MonkeyPatch, refuses: bool, what: str, error: Exception
) -> None:
    """The service that keeps the key is away for a moment: silence would accept work that was found to be bad. The
    function, which may cost money, has said what it found, and is not asked again.
    """
    world, asked = open_world(), 0

    async def finds_nothing(_: Reviewed) -> dict[str, bool]:
        nonlocal asked
        asked += 1
        if refuses:
            raise FormatError("bad_encoding", "it is no text")
        return {"whole": False}

    left = away_twice(monkeypatch, world.hirer, what, "Review", error)
    world.hirer.reviewers["summary"] = finds_nothing
    ours = world.begin(criteria=CRITERIA)
    world.settle(60)
    assert not left
    assert asked == 1
    assert reviews(world, ours.id) == ["rejected"]
    assert "away" in dict(facts(world.hirer, ours.id))["review-failed"]


@pytest.mark.parametrize("again", [whole, raises, None])
def test_it_is_made_after_a_restart(open_world: Open, again: Any) -> None:
    """The order was taken because of a reviewer of the peer, or of the hire: without one nobody says no."""
    world, ours = waiting(open_world, raises)
    world.restart(world.hirer)
    if again is not None:
        world.hirer.reviewers["summary"] = again
    world.settle(120)
    assert reviews(world, ours.id) == (["accepted"] if again is whole else [])


def test_what_it_finds_wrong_with_the_work_is_a_verdict(open_world: Open) -> None:
    async def finds(_: Reviewed) -> dict[str, bool]:
        raise FormatError("bad_request", "not a summary")

    world = open_world()
    world.hirer.reviewers["summary"] = finds
    with capture_logs() as logs:
        ours = world.begin(criteria=CRITERIA)
        world.settle(30)
    assert reviews(world, ours.id) == ["rejected"]
    # It is no failure of the hirer's, and is told to whoever waits or watches.
    assert ("rejected", "bad_request: not a summary") in facts(world.hirer, ours.id)
    assert logs == []


def test_an_end_that_comes_just_before_it_is_no_defect(open_world: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider ends the contract, and its end has its turn together with the review."""
    world = open_world()
    make, commit = world.hirer.reviews._review, world.hirer.kept.commit

    async def not_at_once(stored: Any) -> Any:
        await asyncio.sleep(0.1)
        return await commit(stored)

    async def just_too_late(seen: Inspection, *given: Any) -> Any:
        said, conversation = await make(seen, *given), seen.conversation
        end = recorded_message(forge(world, world.hirer, conversation.id, terminate("unable")))
        conversation.post(Arrived(end, world.provider.own))
        monkeypatch.setattr(world.hirer.kept, "commit", not_at_once)
        return said

    monkeypatch.setattr(world.hirer.reviews, "_review", just_too_late)
    world.hirer.reviewers["summary"] = whole
    with capture_logs() as logs:
        ours = world.begin(criteria=CRITERIA)
        world.settle(30)
    assert folded(world.hirer, ours.id).state in ("closing", "closed")
    assert reviews(world, ours.id) == []
    assert [one["event"] for one in logs if one["event"].startswith("a review")] == ["a review was not sent"]
    assert [one for one in logs if one["log_level"] == "error"] == []
    assert "review-failed" not in dict(facts(world.hirer, ours.id))


def test_a_criterion_that_the_contract_lacks_is_nothing(open_world: Open) -> None:
    world = open_world()
    world.hirer.reviewers["summary"] = more
    ours = world.begin(criteria=CRITERIA)
    world.settle(30)
    assert reviews(world, ours.id) == ["accepted"]


def hired(world: World, function: Any, **timing: Any) -> tuple[list[Event], asyncio.Task[HireResult]]:
    """A hire under way, its events, and a task that waits for its end."""
    wanted = world.order(criteria=CRITERIA, review=function)
    wanted = replace(wanted, timing=replace(wanted.timing, **timing))
    events: list[Event] = []

    async def order() -> Order:
        return wanted

    hire = Hire(world.hirer, order, function)

    async def result() -> HireResult:
        async for event in hire:
            events.append(event)
        return await hire

    return events, world.loop.create_task(result())


def test_when_the_time_for_it_is_over_the_contract_decides_and_the_hire_says_why(open_world: Open) -> None:
    """HIRE-LIF-07: silence accepts, so the price is owed; it is never the hirer's signature that says no."""
    world = open_world()
    events, result = hired(world, raises, review="PT5M")
    world.settle(200)
    assert [(one.type, one.detail) for one in events if one.kind == "noted" and "failed" in one.type] == [
        ("review-failed", "TypeError: a defect")
    ]
    world.settle(200)
    name = events[0].engagement
    assert reviews(world, name) == []
    assert last(world.provider, name, Closing).settlement.amount == "4"
    error = result.exception()
    assert isinstance(error, PolicyError)
    assert error.code == "decision_failed"
    assert "our own review failed (TypeError: a defect)" in error.message
    assert "silence" in error.message
    assert "owed by it: 4 EUR" in error.message


def test_with_the_hire_gone_its_function_is_asked_of_the_peer(open_world: Open) -> None:
    """After a restart nobody has said yet how to review it; that is no verdict either. It is logged once, with the
    command for a person, though it is asked again and again.
    """
    done = asyncio.Event()

    async def works(job: Any) -> None:
        await done.wait()
        await job.deliver("summary.txt", b"done", media_type="text/plain")

    world = open_world(handler=works)
    events, result = hired(world, whole)
    world.settle(10)
    world.restart(world.hirer)
    assert isinstance(result.exception(), LocalProtocolError)
    name = events[0].engagement
    world.loop.call_soon(done.set)
    with capture_logs() as logs:
        world.settle(30)
    assert reviews(world, name) == []
    told = [one for one in logs if one["event"].startswith("review")]
    assert [(one["event"], one["log_level"]) for one in told] == [("review waits for a person", "warning")]
    contract = folded(world.hirer, name).contract
    assert contract is not None
    assert f"'undersigned contract show {contract.digest}'" in told[0]["hint"]
    assert "`reviewers` of this peer has none for 'summary'" in dict(facts(world.hirer, name))["review-failed"]
    world.hirer.reviewers["summary"] = whole
    world.settle(120)
    assert reviews(world, name) == ["accepted"]


def test_a_person_hears_what_keeps_us_from_looking(open_world: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is said of the work, which nobody looked at."""
    world, ours = waiting(open_world, raises)

    async def broken(*_: Any) -> None:
        raise TypeError("a defect of ours")

    with monkeypatch.context() as patch:
        patch.setattr(Inspection, "look", broken)
        with pytest.raises(PolicyError, match="TypeError: a defect of ours") as refused:
            world.run(world.hirer.changes.review(ours, {"whole": True}), 5)
    assert refused.value.code == "decision_failed"
    assert reviews(world, ours.id) == []


@pytest.mark.parametrize(("met", "verdict"), [(True, "accepted"), (False, "rejected")])
def test_where_the_program_is_gone_a_person_reviews(open_world: Open, met: bool, verdict: str) -> None:
    """Each criterion has to be said, and nothing else; nobody is asked twice."""
    world = open_world()
    events, _ = hired(world, raises)
    world.settle(5)
    name = events[0].engagement
    ours, theirs, reviewed = world.hirer.the(), world.provider.the(), world.hirer.changes.review
    for wrong, says in (
        ({}, "left out: whole"),
        ({"whole": True, "more": True}, "not among them: 'more'"),
        ({"wholly": True}, "left out: whole; not among them: 'wholly'"),
        ({"whole": 1}, "said to be neither met nor not met: whole"),
    ):
        with pytest.raises(ConfigurationError) as refused:
            world.run(reviewed(ours, wrong), 5)
        assert refused.value.message == f"the contract's criteria are whole; {says}"
    with pytest.raises(LocalProtocolError, match="where we are the provider"):
        world.run(world.provider.changes.review(theirs, {"whole": True}), 5)
    world.run(reviewed(ours, {"whole": met}), 5)
    world.settle(120)
    assert reviews(world, name) == [verdict]
    said = last(world.provider, name, Review)
    assert [(one.id, one.met) for one in said.criteria] == [("whole", met)]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"review": plain, "criteria": CRITERIA}, "review: expected a function that is awaited"),
        ({"review": "yes", "criteria": CRITERIA}, "'yes' cannot be called"),
        ({"review": whole}, "review says for each of the criteria whether it is met, and there are none"),
        ({"approve": plain}, "approve: expected a function that is awaited"),
        ({"inputs": [b"x"]}, "inputs: expected a path or bytes for each name, as a dict, got [b'x']"),
        ({"criteria": ["whole"]}, "criteria: expected a text for each name, as a dict"),
        ({"criteria": {"whole": "all of it"}}, "criteria are met if somebody says so, and nobody does"),
    ],
)
def test_what_no_hire_can_use_is_refused_before_anybody_is_asked(
    options: dict[str, Any], says: str, open_world: Open
) -> None:
    world = open_world()
    wanted: dict[str, Any] = {"task": "summary", "inputs": {"report": REPORT}, "price": "5 EUR", "criteria": {}}
    with pytest.raises(ConfigurationError) as refused:
        world.run(hire_order(world.hirer, world.provider.did, **{**wanted, **options}))
    assert refused.value.code == "bad_configuration"
    assert says in refused.value.message
    assert not world.network.sent


def test_what_does_not_hold_is_not_asked_for_again(open_world: Open) -> None:
    """Though the terms leave a rework: that is for work that somebody looked at."""

    async def no_bill(job: Job) -> None:
        await job.deliver("summary.txt", b"done")

    world = open_world(handler=no_bill)
    world.hirer.reviewers["summary"] = whole
    ours = world.begin(criteria=CRITERIA, reworks=1, sbom="SPDX 2.3")
    world.until("closed", ours.id)
    said = [one.message for one in messages(world.provider, ours.id)]
    assert [one.verdict for one in said if isinstance(one, Review)] == ["rejected"]
    assert last(world.provider, ours.id, Closing).settlement.amount == "0"
