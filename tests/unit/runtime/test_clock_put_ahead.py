"""What a deadline asks for is done though the clock came to it otherwise than the loop that waits: it was put ahead, or
the machine slept, and timers did not count that.
"""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from runtimes import World, offices, summarise
from undersigned.contract import Settlement
from undersigned.evidence import verify_pack
from undersigned.messages import Closing, Delivery, Terminate
from undersigned.runtime import Job, export_pack
from undersigned.runtime.engagement.conversation import HEARING_SECONDS
from undersigned.runtime.execution.settlement import Manual
from unit.runtime.test_presence import waits

DAY = 24 * 3600
LOOKED = 61
"""Seconds within which the clock is looked at."""
BETWEEN = 800
"""Past these, what has no receipt is not said again for longer than that."""


def test_the_hirer_ends_what_is_overdue(tmp_path: Path) -> None:
    """HIRE-LIF-09: the provider is out of reach, and `finish` passes while the hirer's machine sleeps."""
    world = World(offices(tmp_path), handler=waits)
    try:
        order = world.order()
        id = world.begun("working", order=replace(order, timing=replace(order.timing, heartbeat="PT12H")))
        with world.silence():
            world.settle(BETWEEN)
            world.clock.ahead += DAY * 30
            world.settle(LOOKED + HEARING_SECONDS)
            assert world.hirer.the(id).last("Terminate", Terminate).cause == "deadline"
    finally:
        world.close()


def test_the_provider_closes_what_nobody_reviewed(tmp_path: Path) -> None:
    """HIRE-LIF-07: `review` passes while the provider's machine sleeps."""

    async def is_cut_off(job: Job) -> None:
        await summarise(job)
        world.cut = True

    world = World(offices(tmp_path), handler=is_cut_off)
    try:
        id = world.begun("delivered", world.provider)
        world.settle(BETWEEN)
        world.clock.ahead += DAY * 30
        world.settle(LOOKED + HEARING_SECONDS)
        assert world.provider.the(id).last("Closing", Closing, "provider").basis == "silence"
    finally:
        world.close()


def test_work_that_is_overdue_fails(tmp_path: Path) -> None:
    """The work ends by the clock, though nothing else happens for hours."""
    world = World(offices(tmp_path), handler=waits)
    try:
        order = world.order()
        id = world.begun("working", order=replace(order, timing=replace(order.timing, heartbeat="PT12H")))
        world.settle(LOOKED)
        with world.silence():
            world.clock.ahead += order.timing.finish_seconds
            world.settle(LOOKED)
            assert world.provider.the(id).last("Delivery", Delivery).outcome == "failed"
    finally:
        world.close()


def test_a_sign_of_life_is_given_when_the_machine_wakes(tmp_path: Path) -> None:
    """HIRE-LIF-24: by the clock the last one is long ago, whatever the loop says."""
    world = World(offices(tmp_path), handler=waits)
    try:
        order = world.order()
        id = world.begin(
            replace(order, timing=replace(order.timing, heartbeat="PT4H", finish_seconds=DAY, until_seconds=DAY))
        ).id
        world.until("working", id)
        world.settle(LOOKED)
        before = world.provider.said().count("Progress")
        world.clock.ahead += 3 * 3600
        world.settle(LOOKED)
        assert world.provider.said().count("Progress") == before + 1
    finally:
        world.close()


def test_what_is_signed_after_the_machine_slept_is_recorded_no_earlier(tmp_path: Path) -> None:
    """It slept in the middle of a turn: the move stood in the journal before its own proof was made, and
    no pack of either side held.
    """

    class Slept(Manual):
        def check(self, agreed: Settlement) -> None:
            world.clock.ahead += 100

    world = World(offices(tmp_path))
    try:
        world.provider.settlements.methods["manual"] = Slept()
        id = world.begun("closing", order=replace(world.order(), settlement=Settlement(method="manual")))
        for node in world.nodes:
            pack = world.run(export_pack(node.ledger, node.artifacts, node.did, id), 5)
            assert verify_pack(pack, now=world.clock.now()).ok
    finally:
        world.close()
