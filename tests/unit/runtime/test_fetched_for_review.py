"""What a hirer makes of a server that does not give what was delivered: nothing, while it can still ask again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from runtimes import FIRST_LINE, Wire, World, facts, messages, offices
from undersigned.encoding import Digest
from undersigned.errors import ResolutionError
from undersigned.messages import Artifact, Review
from undersigned.runtime import Body, Conversation, Job
from undersigned.testing import delivery
from unit.runtime.test_conversation import forge

Open = Callable[..., World]
HOUR = 3600
LAST = HOUR - 300
"""Seconds after the delivery at which it is asked for the last time."""


@pytest.fixture
def fresh(open_world: Open, tmp_path: Path) -> Open:
    """Companies whose stores hold nothing yet."""
    return partial(open_world, *offices(tmp_path))


def answered(status: int, told: str = "") -> Any:
    async def answer() -> AsyncGenerator[Body]:
        raise ResolutionError("did_unresolvable", f"answered {status}", status=status, told=told)
        yield

    return answer


def away() -> Any:
    async def answer() -> AsyncGenerator[Body]:
        raise ResolutionError("did_unresolvable", "was not fetched: no route to host")
        yield

    return answer


def gives(data: bytes) -> Any:
    async def answer() -> AsyncGenerator[Body]:
        async def chunks() -> AsyncGenerator[bytes]:
            yield data

        yield Body(0, len(data), chunks())

    return answer


def dribbles() -> Any:
    """A byte now and then, for ever."""

    async def answer() -> AsyncGenerator[Body]:
        async def chunks() -> AsyncGenerator[bytes]:
            while True:
                await asyncio.sleep(60)
                yield b"\0"

        yield Body(0, None, chunks())

    return answer


class Between(Wire):
    """What stands between the two and answers instead of the provider, `times` times."""

    def __init__(self, world: World, answer: Any, times: int) -> None:
        super().__init__(world)
        self.answer, self.times = answer, times
        self.asked: list[float] = []

    async def open(self, url: str, contract: Digest, start: int, max_bytes: int) -> AbstractAsyncContextManager[Body]:
        if "acme" in url or len(self.asked) >= self.times:
            return await super().open(url, contract, start, max_bytes)
        self.asked.append(asyncio.get_running_loop().time())
        return asynccontextmanager(self.answer)()


def delivered(world: World, answer: Any, times: int = 10**6) -> tuple[Conversation, Between]:
    """A hire whose delivery is there, and what answers when it is fetched."""
    between = world.hirer.other_side = Between(world, answer, times)
    order = world.order(deliverable="summary.txt", max_bytes=1000)
    return world.begin(replace(order, criteria={})), between


def verdicts(world: World, ours: Conversation) -> list[str]:
    return [one.message.verdict for one in messages(world.hirer, ours.id) if isinstance(one.message, Review)]


FAILS = [
    answered(401, "proof_invalid"),
    answered(403),
    answered(403, "scope_exceeded"),
    gives(b"hello"),
    gives(b"x" * 2000),
    gives(FIRST_LINE + b"!"),
    answered(503, "overloaded"),
    answered(404),
]
NAMES = ["401", "403", "refused", "other", "large", "longer", "503", "404"]


@pytest.mark.parametrize("answer", FAILS, ids=NAMES)
def test_sc_109_one_answer_of_anybody_in_between_costs_a_delay_and_no_verdict(fresh: Open, answer: Any) -> None:
    """SC-109: it is signed by nobody. It is asked for again, and who watches hears why."""
    world = fresh()
    ours, between = delivered(world, answer, times=3)
    world.settle(60)
    assert verdicts(world, ours) == ["accepted"]
    assert len(between.asked) == 3
    assert len([text for kind, text in facts(world.hirer, ours.id) if kind == "review-waits"]) == 1


@pytest.mark.parametrize(
    ("answer", "code"),
    list(
        zip(
            FAILS,
            [
                "proof_invalid",
                "scope_exceeded",
                "scope_exceeded",
                "digest_mismatch",
                "too_large",
                "digest_mismatch",
                "upstream_failed",
                "upstream_failed",
            ],
            strict=True,
        )
    ),
    ids=NAMES,
)
def test_what_cannot_be_had_until_shortly_before_the_end_is_rejected(fresh: Open, answer: Any, code: str) -> None:
    """Else the provider closes by silence, and is paid for what nobody could look at."""
    world = fresh()
    ours, between = delivered(world, answer)
    world.settle(LAST - 10)
    assert verdicts(world, ours) == []
    world.settle(15)
    assert verdicts(world, ours) == ["rejected"]
    assert 40 < len(between.asked) < 80, "ever more slowly"
    assert dict(facts(world.hirer, ours.id))["rejected"].startswith(code)


def test_one_that_gives_a_byte_now_and_then_does_not_outlast_the_review(fresh: Open) -> None:
    world = fresh()
    ours, between = delivered(world, dribbles())
    world.settle(LAST + 5)
    assert verdicts(world, ours) == ["rejected"]
    assert len(between.asked) == 1
    assert dict(facts(world.hirer, ours.id))["rejected"].startswith("upstream_failed")


def test_where_nothing_of_the_other_side_is_there_it_may_be_our_own_network(fresh: Open) -> None:
    """No answer at all and no connection: that says nothing about the provider."""
    world = fresh()
    ours, _ = delivered(world, away())
    world.settle(LAST + 200)
    assert verdicts(world, ours) == []


@pytest.mark.parametrize("answer", [answered(503), answered(403), gives(b"hello")], ids=["503", "403", "other"])
def test_a_restart_of_ours_shortly_before_the_end_provokes_no_verdict(fresh: Open, answer: Any) -> None:
    """Then it was asked for a few times only, in a short time; and what comes after that is accepted."""
    world = fresh()
    ours, _ = delivered(world, answer)
    world.settle(LAST - 30)
    world.restart(world.hirer)
    between = world.hirer.other_side = Between(world, answer, 10**6)
    world.settle(150)
    assert between.asked
    assert verdicts(world, ours) == []
    between.times = 0
    world.settle(60)
    assert verdicts(world, ours) == ["accepted"]


def test_in_a_short_review_it_is_a_quarter(fresh: Open) -> None:
    world = fresh()
    between = world.hirer.other_side = Between(world, answered(503), 10**6)
    order = world.order(deliverable="summary.txt")
    ours = world.begin(replace(order, criteria={}, timing=replace(order.timing, review="PT40S")))
    world.settle(25)
    assert verdicts(world, ours) == []
    world.settle(7)
    assert verdicts(world, ours) == ["rejected"]
    assert len(between.asked) >= 4


def test_sc_69_what_nobody_asked_for_is_not_fetched(fresh: Open) -> None:
    """SC-69: no contract says how much it may be. The delivery does not hold, and nothing of it was asked for."""

    async def work(job: Job) -> None:
        await job.deliver("summary.txt", b"small")
        digest = await job._agent.artifacts.put(b"unasked" * 1000)
        job.artifacts.append(Artifact(name="extra", digest=digest, media_type="text/plain"))

    world = fresh(handler=work)
    ours, between = delivered(world, answered(503))
    world.settle(10)
    assert between.asked == []
    assert verdicts(world, ours) == ["rejected"]
    assert dict(facts(world.hirer, ours.id))["rejected"] == "terms_mismatch: delivered and not agreed on: extra"


def test_what_lacks_a_deliverable_is_rejected_before_anything_is_fetched(fresh: Open) -> None:
    """Section 8.3, step 1: its names show it, and the bytes are not needed for that."""
    world = fresh(held=True)
    between = world.hirer.other_side = Between(world, answered(404), 10**6)
    ours = world.begin(replace(world.order(deliverable="summary.txt"), criteria={}))
    world.until("working", ours.id, world.hirer)
    raw = forge(world, world.hirer, ours.id, delivery())
    world.tell(raw, world.provider.did, world.hirer)
    world.settle(10)
    assert between.asked == []
    assert verdicts(world, ours) == ["rejected"]
    reasons = [text for kind, text in facts(world.hirer, ours.id) if kind == "rejected"]
    assert reasons
    assert "digest_mismatch: not delivered: summary.txt" in reasons[0]
