"""When a conversation is woken, and what is tried again then."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from undersigned.encoding import Instant, seconds_between, shift
from undersigned.runtime.engagement.alarm import Alarm
from undersigned.testing import HandClock

NOW = "2026-07-27T12:00:00Z"


def later(seconds: int) -> Instant:
    return shift(NOW, seconds)


@pytest.fixture
def alarm() -> Iterator[Alarm]:
    """On a loop that is not run: it never rings."""
    loop = asyncio.new_event_loop()
    yield Alarm(loop)
    loop.close()


def woken() -> None:
    raise AssertionError


def test_each_pause_is_as_long_as_all_before_it_up_to_a_minute(alarm: Alarm) -> None:
    now, pauses = NOW, list[float]()
    for _ in range(8):
        at = alarm.next_attempt(now)
        pauses.append(seconds_between(now, at))
        now = at
    assert pauses == [2, 2, 4, 8, 16, 32, 60, 60]
    alarm.fails_since = ""
    assert alarm.next_attempt(now) == shift(now, 2)


def test_all_that_was_put_off_is_taken_up_at_the_first_time_and_once(alarm: Alarm) -> None:
    alarm.put_off(later(9), "a")
    alarm.put_off(later(5), "b")
    alarm.put_off(later(7))
    assert alarm.again_at == later(5)
    assert alarm.take_up() == {"a", "b"}
    assert (alarm.again_at, alarm.take_up()) == ("", frozenset())


def test_it_rings_at_the_first_time_or_for_what_was_put_off(alarm: Alarm) -> None:
    alarm.set(HandClock(NOW), woken, None, later(20), later(30))
    assert (alarm._timer is not None, alarm.rings_at) == (True, later(20))
    assert alarm.rings_by(later(20))
    assert not alarm.rings_by(later(19))
    assert not alarm.rings_by(None)  # nothing is due: it may ring later, or not at all
    alarm.put_off(later(10), "a")
    assert not alarm.rings_by(later(20))
    alarm.set(HandClock(NOW), woken, later(20))
    assert alarm.rings_at == later(10)


def test_it_is_known_when_it_should_have_rung_though_it_is_set_to_nothing(alarm: Alarm) -> None:
    alarm.set(HandClock(NOW), woken, later(20))
    alarm.set(HandClock(NOW), woken, None)
    assert (alarm._timer is not None, alarm.rings_at) == (False, later(20))
    assert not alarm.rings_by(later(30))
