"""Hurried time: the loop and its clock agree, sockets are as they were."""

from __future__ import annotations

import asyncio
import selectors
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


def test_what_runs_on_the_loop_takes_as_long_as_it_does() -> None:
    """A busy machine is no slow peer: limits of a second are a second of work, whatever the hurry."""

    async def main(_: HurriedClock) -> float:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(1)
        ahead = loop.time() - time.monotonic()
        time.sleep(0.01)  # noqa: ASYNC251 - it is what is measured
        return loop.time() - time.monotonic() - ahead

    assert abs(hurry(main, factor=1000)) < 0.005


def test_nobody_waits_for_longer_than_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that lets the process run late, as one that sleeps does: a short pause is not made a long one."""
    select = selectors.DefaultSelector.select

    def late(self: selectors.DefaultSelector, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout:
            time.sleep(0.1)
        return select(self, timeout)

    async def main(_: HurriedClock) -> float:
        loop = asyncio.get_running_loop()
        began, real = loop.time(), time.monotonic()
        await asyncio.sleep(1)
        return loop.time() - began - (time.monotonic() - real)

    monkeypatch.setattr(selectors.DefaultSelector, "select", late)
    assert 0 <= hurry(main, factor=1000) <= 1
