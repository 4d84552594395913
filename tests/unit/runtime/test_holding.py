"""How long one side may be held by the other, that seals nothing, starts nothing or closes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from runtimes import World, folded, last
from undersigned.encoding import seconds_between
from undersigned.errors import ConfigurationError, PolicyError
from undersigned.messages import Need, Withdraw
from undersigned.runtime import Hire, HireResult, Order

HOUR, DAY = 3600, 86400


def ordered(open_world: Callable[..., World], service: dict[str, Any], **timing: Any) -> tuple[World, str]:
    world = open_world()
    world.provider.services["summary"] = replace(world.provider.services["summary"], **service)
    order = world.order()
    # Long enough for whatever comes before; what is tried stands after it.
    usual = {"negotiation_seconds": 400 * DAY, "finish_seconds": 400 * DAY, "until_seconds": 401 * DAY}
    return world, world.begin(replace(order, timing=replace(order.timing, **{**usual, **timing}))).id


@pytest.mark.parametrize(
    ("timing", "member"),
    [
        ({"offer_seconds": 4 * HOUR}, "/validUntil"),
        ({"offer_seconds": 300 * DAY}, "/validUntil"),
        ({"start_seconds": 31 * DAY}, "/terms/deadlines/start"),
        ({"review": "P31D"}, "/terms/deadlines/review"),
        ({"close": "P99999D"}, "/terms/deadlines/close"),
    ],
)
def test_n5_nobody_holds_a_place_for_longer_than_is_waited_for(
    open_world: Callable[..., World], timing: dict[str, Any], member: str
) -> None:
    """N5: an acceptance keeps its place until the answer. Who asks for too long hears what would have to differ."""
    world, engagement = ordered(open_world, {}, **timing)
    assert folded(world.provider, engagement).state == "withdrawn"
    said = last(world.provider, engagement, Withdraw)
    assert (said.reason, said.needed) == ("declined", (Need(code="too_long", member=member),))
    assert folded(world.provider, engagement).contract is None


@pytest.mark.parametrize(
    "timing",
    [
        {"offer_seconds": 4 * HOUR - 300},
        {"start_seconds": 30 * DAY},
        {"review": "P30D"},
        {"close": "P30D"},
    ],
)
def test_what_people_take_to_decide_and_do_is_waited_for(
    open_world: Callable[..., World], timing: dict[str, Any]
) -> None:
    world, engagement = ordered(open_world, {}, **timing)
    assert folded(world.hirer, engagement).contract is not None


def test_an_offer_of_ours_may_say_otherwise(open_world: Callable[..., World]) -> None:
    world, engagement = ordered(
        open_world, {"hold_seconds": 20 * DAY, "wait_seconds": 90 * DAY}, offer_seconds=10 * DAY, review="P90D"
    )
    assert folded(world.hirer, engagement).contract is not None
    for name in ("hold_seconds", "wait_seconds"):
        with pytest.raises(ConfigurationError) as refused:
            world.provider.offers("other", **{name: 0})(lambda job: world.handler(job))
        assert f"offer other: {name}: expected 1 to " in refused.value.message


@pytest.mark.parametrize(("seconds", "takes"), [(4 * HOUR - 300, True), (4 * HOUR, False), (3650 * DAY, False)])
def test_n5_nobody_is_in_doubt_for_longer_than_is_waited_for(
    open_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch, seconds: int, takes: bool
) -> None:
    """N5: a hirer that accepts has its price reserved until the answer, and cannot withdraw."""
    monkeypatch.setattr("undersigned.runtime.agent.provider.OFFER_SECONDS", seconds)
    world = open_world()
    engagement = world.begin(opening="3 EUR").id
    assert (folded(world.hirer, engagement).contract is not None) is takes
    if not takes:
        said = last(world.hirer, engagement, Withdraw)
        assert (said.reason, said.needed) == ("declined", (Need(code="too_long", member="/validUntil"),))


@pytest.mark.parametrize("answer", [False, True])
def test_a_hire_waits_for_the_answer_to_its_acceptance_as_long_as_anything_is_held_for_it(
    open_world: Callable[..., World], answer: bool
) -> None:
    """The engagement stays in doubt (HIRE-NEG-13); whoever called hears so, and is not kept for ever."""
    world = open_world(held=True)
    wanted = world.order(opening="3 EUR")

    async def order() -> Order:
        return wanted

    hire = Hire(world.hirer, order, None)

    async def result() -> HireResult:
        return await hire

    waits = world.loop.create_task(result())
    world.settle()
    engagement = hire.engagement
    assert engagement is not None
    world.until("accepted-by-hirer", engagement, world.hirer)
    live = folded(world.hirer, engagement).offer
    assert live is not None
    if answer:
        world.until("closed", engagement)
        world.settle(60)
        assert waits.result().price == "4 EUR"
        return
    held = seconds_between(world.hirer.clock.now(), live.valid_until) + live.terms.seal_grace_seconds
    world.settle(held - 5)
    assert not waits.done()
    world.settle(10)
    assert waits.done()
    error = waits.exception()
    assert isinstance(error, PolicyError)
    assert (error.code, error.exit_code) == ("in_doubt", 7)
    assert folded(world.hirer, engagement).state == "accepted-by-hirer"
