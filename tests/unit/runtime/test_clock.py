"""The clock of a running peer."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from undersigned.encoding import format_instant, seconds_between
from undersigned.errors import LocalProtocolError
from undersigned.runtime import clock as clock_module
from undersigned.runtime.clock import CONFIRM_SECONDS, LEAP_SECONDS, ClockHeld, SystemClock

START = 1_764_000_000.0


def text(seconds: float) -> str:
    return format_instant(datetime.fromtimestamp(seconds, UTC))


class Machine:
    """The two clocks of a machine, set by hand; `pass_` moves both."""

    def __init__(self) -> None:
        self.wall, self.steady = START, 50.0

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def clock(machine: Machine) -> SystemClock:
    return SystemClock(wall=lambda: machine.wall, steady=lambda: machine.steady)


def test_it_shows_the_second(clock: SystemClock, machine: Machine) -> None:
    assert clock.now() == text(START)
    machine.pass_(0.9)
    assert clock.now() == text(START)
    machine.pass_(0.2)
    assert clock.now() == text(START + 1)


def test_a_machine_that_was_not_told_the_time_is_named(clock: SystemClock, machine: Machine) -> None:
    """It is the clock's fault, and nothing that was read is: a message with such a time would be, and the peer's."""
    machine.wall = 60.0
    for asked in (SystemClock(wall=lambda: 60.0).now, clock.held):
        with pytest.raises(LocalProtocolError, match="the clock of this machine says 1970-01-01: set it") as caught:
            asked()
        assert caught.value.code == "wrong_state"


@pytest.mark.parametrize("back", [1, 60, 7200, 10_000_000])
def test_it_never_runs_back(clock: SystemClock, machine: Machine, back: float) -> None:
    """HIRE-CLK-01, HIRE-GAT-03: what is over stays over, and time goes on from there once it has caught up."""
    clock.now()
    machine.wall -= back
    assert clock.now() == text(START)
    machine.pass_(back + 1)
    assert clock.now() == text(START + 1)


@pytest.mark.parametrize(("back", "told"), [(60, 0), (62, 1), (7200, 1)])
def test_a_clock_that_is_set_back_is_told_once(clock: SystemClock, machine: Machine, back: float, told: int) -> None:
    """HIRE-CLK-01: while a peer runs too, for others refuse what it says meanwhile, and it what they say."""
    machine.pass_(100)
    clock.now()
    with capture_logs() as logs:
        machine.wall -= back
        for _ in range(20):
            clock.now()
            machine.pass_(30)
    assert [(entry["log_level"], entry["seconds"]) for entry in logs] == [("error", back)] * told
    assert not told or text(START + 100) in logs[0]["hint"]


def test_it_begins_where_the_ledger_ended(clock: SystemClock, machine: Machine) -> None:
    """HIRE-CLK-01: after a restart on a clock that was set back."""
    clock.hold(text(START + 500))
    assert clock.now() == text(START + 500)
    machine.pass_(501)
    assert clock.now() == text(START + 501)
    clock.hold(text(START))
    assert clock.now() == text(START + 501)


@pytest.mark.parametrize(("ahead", "stands"), [(0, False), (60, False), (61, True), (40_000_000, True)])
def test_a_clock_that_stands_still_says_so(clock: SystemClock, machine: Machine, ahead: float, stands: bool) -> None:
    """HIRE-CLK-01: as long as others refuse what is dated by it, and no longer."""
    clock.hold(text(START + ahead))
    held = clock.held()
    assert held == (ClockHeld(text(START + ahead), text(START)) if stands else None)
    machine.pass_(max(0, ahead - 60))
    assert clock.held() is None


def test_a_clock_that_leapt_and_came_back_stands_still(clock: SystemClock, machine: Machine) -> None:
    """HIRE-CLK-02: the leap was believed, and all since then is dated by it."""
    clock.now()
    machine.wall += LEAP_SECONDS + 1
    clock.now()
    assert clock.held() is None, "not believed yet"
    machine.pass_(CONFIRM_SECONDS)
    at = clock.now()
    machine.wall -= LEAP_SECONDS + 1
    assert clock.held() == ClockHeld(at, text(START + CONFIRM_SECONDS))


def test_a_leap_counts_once_it_has_lasted(clock: SystemClock, machine: Machine) -> None:
    """HIRE-CLK-02: two readings say so, some seconds apart; until then the time goes on as it did."""
    clock.now()
    machine.wall += LEAP_SECONDS + 10
    assert clock.now() == text(START)
    machine.pass_(CONFIRM_SECONDS - 1)
    assert clock.now() == text(START + CONFIRM_SECONDS - 1)
    machine.pass_(1)
    assert clock.now() == text(START + LEAP_SECONDS + 10 + CONFIRM_SECONDS)


def test_a_leap_that_is_taken_back_leaves_no_trace(clock: SystemClock, machine: Machine) -> None:
    """HIRE-CLK-02: nothing expired by it."""
    clock.now()
    machine.wall += 86_400
    assert clock.now() == text(START)
    machine.pass_(2)
    machine.wall -= 86_400
    assert clock.now() == text(START + 2)
    machine.pass_(CONFIRM_SECONDS)
    machine.wall += 86_400
    assert clock.now() == text(START + 2 + CONFIRM_SECONDS)


def test_an_hour_is_believed(clock: SystemClock, machine: Machine) -> None:
    """A correction, or a machine that slept for a while; more than that is a leap (HIRE-CLK-02)."""
    assert LEAP_SECONDS == 3600
    clock.now()
    machine.wall += LEAP_SECONDS
    assert clock.now() == text(START + LEAP_SECONDS)


def test_a_long_time_without_a_reading_is_no_leap(clock: SystemClock, machine: Machine) -> None:
    clock.now()
    machine.pass_(10 * LEAP_SECONDS)
    assert clock.now() == text(START + 10 * LEAP_SECONDS)


def test_a_clock_that_the_kernel_does_not_have_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: int) -> float:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(time, "clock_gettime", unknown)
    assert clock_module._steady() is time.monotonic


def test_to_have_slept_is_no_leap(monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-CLK-02: what a machine knows to have slept is time like any other, and counts at the first reading."""
    if not hasattr(time, "CLOCK_BOOTTIME"):
        pytest.skip("this system counts such time by itself, or not at all")
    slept, read, wall = 0.0, time.clock_gettime, time.time

    def counted(clock: int) -> float:
        return read(clock) + (slept if clock == time.CLOCK_BOOTTIME else 0)

    monkeypatch.setattr(time, "clock_gettime", counted)
    steady = clock_module._steady()
    clock = SystemClock(wall=lambda: wall() + slept, steady=steady)
    before, began = clock.now(), steady()
    slept = 3.0 * 24 * 3600
    assert seconds_between(before, clock.now()) >= slept
    assert steady() - began >= slept
