"""How long a provider's places may be held by who seals nothing, starts nothing or closes nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from runtimes import World, folded, last
from undersigned.errors import ConfigurationError
from undersigned.messages import Need, Withdraw

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
        assert f"offer other: {name}: expected 1 or more" in refused.value.message
