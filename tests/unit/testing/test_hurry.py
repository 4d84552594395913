"""Hurried time: the loop and its clock agree, sockets are as they were."""

from __future__ import annotations

import asyncio
import time

import pytest

from undersigned.encoding import seconds_between
from undersigned.testing import HurriedClock, hurry


def test_a_pause_takes_a_part_of_its_time_and_all_of_it_by_the_clock() -> None:
    async def main(clock: HurriedClock) -> tuple[int, float]:
        before, began = clock.now(), asyncio.get_running_loop().time()
        await asyncio.sleep(20)
        return seconds_between(before, clock.now()), asyncio.get_running_loop().time() - began

    started = time.monotonic()
    by_clock, by_loop = hurry(main, factor=100)
    took = time.monotonic() - started
    assert 0.15 < took < 5
    assert by_clock >= 19
    assert by_loop >= 19.9


def test_a_timeout_comes_sooner_and_an_error_comes_through() -> None:
    async def main(_: HurriedClock) -> None:
        async with asyncio.timeout(30):
            await asyncio.Event().wait()

    started = time.monotonic()
    with pytest.raises(TimeoutError):
        hurry(main, factor=100)
    assert time.monotonic() - started < 5
