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

from runtimes import FIRST_LINE, REPORT, Wire, World, facts, folded, messages, offices
from undersigned.encoding import Digest, digest_bytes
from undersigned.evidence import read_pack
from undersigned.messages import Artifact, Review
from undersigned.runtime import ABSENT, Absent, Body, Conversation, Job, Reviewed, export_pack
from undersigned.runtime.fetching.bodies import not_fetched
from undersigned.testing import delivery
from unit.runtime.stories import forge

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
        raise not_fetched(f"answered {status}", status=status, told=told)
        yield

    return answer


def away() -> Any:
    async def answer() -> AsyncGenerator[Body]:
        raise not_fetched("was not fetched: no route to host")
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


def test_who_watches_hears_that_our_own_store_takes_nothing(fresh: Open) -> None:
    """A disk that is full: `hire` stood still at a third of a file until the review was over, and did not say why."""
    world = fresh()
    ours, _ = delivered(world, away(), times=1)
    folder = world.hirer.artifacts.folder
    folder.rename(folder.with_name("aside"))
    folder.touch()
    world.settle(60)
    said = [one.detail for one in world.hirer.events if (one.kind, one.type) == ("noted", "review-waits")]
    assert len([text for text in said if text.startswith("store_unavailable") and str(folder) in text]) == 1
    assert verdicts(world, ours) == []
    folder.unlink()
    folder.with_name("aside").rename(folder)
    world.settle(60)
    assert verdicts(world, ours) == ["accepted"]


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


def test_one_that_begins_to_dribble_when_it_is_asked_for_the_last_time_does_not_either(fresh: Open) -> None:
    """By then there is no time to ask again, and some to say no. Silence would pay for what nobody could look at."""
    world = fresh()
    ours, between = delivered(world, answered(503))
    world.settle(LAST - 5)
    between.answer = dribbles()
    world.settle(300)
    assert verdicts(world, ours) == ["rejected"]
    assert dict(facts(world.hirer, ours.id))["rejected"].startswith("upstream_failed")
    assert folded(world.hirer, ours.id).state == "closed"


def breaks() -> Any:
    async def answer() -> AsyncGenerator[Body]:
        raise ValueError("a defect of ours")
        yield

    return answer


def test_a_defect_of_ours_on_the_way_is_told_and_is_no_verdict(fresh: Open) -> None:
    """Nor the end of the review: silence would accept."""
    world = fresh()
    ours, _ = delivered(world, breaks(), times=3)
    world.settle(3)
    assert verdicts(world, ours) == []
    assert "ValueError: a defect of ours" in dict(facts(world.hirer, ours.id))["review-failed"]
    world.settle(60)
    assert verdicts(world, ours) == ["accepted"]


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
    """Section 8.3, step 1: its names show it, and the bytes are not needed for that.

    HIRE-ATT-13: it is recorded all the same, and the verdict says no.
    """
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


async def raises(_: Reviewed) -> dict[str, bool]:
    raise TypeError("a defect")


async def whole(_: Reviewed) -> dict[str, bool]:
    return {"whole": True}


def packed(world: World, name: str) -> tuple[set[str], list[Absent]]:
    """Artifacts in the hirer's pack, and what it was told is not there."""
    node, absent = world.hirer, list[Absent]()
    pack = world.run(export_pack(node.ledger, node.artifacts, node.did, name, absent=absent.append))
    return {path for path, _ in read_pack(pack).of_kind("artifact")}, absent


@pytest.mark.parametrize("whence", ["of the hirer's own", "of another engagement"])
def test_hire_att_12_what_the_hirer_has_already_is_delivered_by_nobody_else(fresh: Open, whence: str) -> None:
    """HIRE-ATT-12: whoever names its digest is asked for it all the same, learns nothing, and is paid for nothing."""
    world = fresh()
    if whence == "of another engagement":
        honest, _ = delivered(world, answered(404), times=0)
        world.settle(60)
        assert verdicts(world, honest) == ["accepted"]
        assert packed(world, honest.id) == ({f"artifacts/{digest_bytes(FIRST_LINE)}"}, [])
    else:
        world.run(world.hirer.artifacts.put(FIRST_LINE))
    ours, between = delivered(world, answered(404))
    world.settle(LAST + 5)
    assert len(between.asked) > 10
    assert verdicts(world, ours) == ["rejected"]
    assert dict(facts(world.hirer, ours.id))["rejected"].startswith("upstream_failed")
    there, absent = packed(world, ours.id)
    assert there == set(), "the other side named the digest; its pack shows nothing of another engagement"
    assert [one.why for one in absent] == ["elsewhere"]
    assert ABSENT["elsewhere"]


def test_hire_att_12_what_came_before_a_restart_is_not_asked_for_again(fresh: Open) -> None:
    """HIRE-ATT-12: between the fetch and the review the provider may have gone, and is paid all the same."""
    world = fresh()
    world.hirer.reviewers["summary"] = raises
    ours = world.begin(world.order(deliverable="summary.txt", criteria={"whole": "nothing is missing"}))
    world.settle(30)
    assert verdicts(world, ours) == []
    world.restart(world.hirer)
    world.hirer.reviewers["summary"] = whole
    between = world.hirer.other_side = Between(world, answered(404), 10**6)
    world.settle(120)
    assert between.asked == []
    assert verdicts(world, ours) == ["accepted"]


@pytest.mark.parametrize("damage", [b"", b"other"])
def test_hire_att_12_a_copy_that_was_damaged_since_is_asked_for_again(fresh: Open, damage: bytes) -> None:
    """That it came is no proof that it is still there."""
    world = fresh()
    world.hirer.reviewers["summary"] = raises
    ours = world.begin(world.order(deliverable="summary.txt", criteria={"whole": "nothing is missing"}))
    world.settle(30)
    file = world.hirer.artifacts.folder / digest_bytes(FIRST_LINE)
    if damage:
        file.write_bytes(damage)
    else:
        file.unlink()
    world.restart(world.hirer)
    world.hirer.reviewers["summary"] = whole
    between = world.hirer.other_side = Between(world, answered(503), 2)
    world.settle(120)
    assert len(between.asked) == 2
    assert verdicts(world, ours) == ["accepted"]


async def hands_back(job: Job) -> None:
    await job.deliver("summary.txt", await job.read("report"), media_type="text/plain")


@pytest.mark.parametrize("served", [True, False])
def test_hire_att_12_an_input_that_comes_back_is_delivered_like_anything_else(fresh: Open, served: bool) -> None:
    """HIRE-ATT-12: the hirer has it, and handed it out under this engagement; who says that this is its work has it."""
    world = fresh(handler=hands_back)
    assert world.run(world.hirer.artifacts.put(REPORT))
    ours, between = delivered(world, answered(404), times=0 if served else 10**6)
    world.settle(LAST + 5)
    assert bool(between.asked) is not served
    assert verdicts(world, ours) == ["accepted" if served else "rejected"]


def test_hire_att_12_an_input_that_is_only_a_material_is_not_asked_for(fresh: Open) -> None:
    """A statement names the inputs by digest; these are the hirer's, and nobody has to hand them back."""
    world = fresh()
    ours, _ = delivered(world, answered(404), times=0)
    urls: list[str] = []
    opened = world.hirer.other_side.open

    async def open(url: str, *given: Any) -> Any:
        urls.append(url.rpartition("/")[2])
        return await opened(url, *given)

    world.hirer.other_side.open = open  # type: ignore[method-assign]
    world.settle(30)
    assert verdicts(world, ours) == ["accepted"]
    assert set(urls) <= {digest_bytes(FIRST_LINE)}
