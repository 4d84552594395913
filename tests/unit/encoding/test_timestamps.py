"""Instants and durations: one spelling, only seconds that exist, and text order is time order."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moments import MOMENTS
from support import refuses
from undersigned.encoding import (
    DURATION_PATTERN,
    INSTANT_PATTERN,
    format_duration,
    format_instant,
    parse_duration,
    parse_instant,
    read_moment,
    seconds_between,
    shift,
)
from undersigned.errors import FormatError

moments = st.datetimes(datetime(2000, 1, 1), datetime(2999, 12, 31, 23, 59, 59), timezones=st.just(UTC))


def test_calendar_is_exact():
    """Every day of eight hundred years by the pattern, against the calendar of the standard library."""
    for year in [*range(2000, 2030), 2100, 2200, 2300, 2400, 2800, 2900, 2999]:
        for month in range(0, 14):
            for day in range(0, 33):
                text = f"{year}-{month:02d}-{day:02d}T00:00:00Z"
                try:
                    datetime(year, month, day)
                except ValueError:
                    assert not re.search(INSTANT_PATTERN, text), text
                else:
                    assert re.search(INSTANT_PATTERN, text), text


@given(moments)
def test_round_trip(moment: datetime):
    text = format_instant(moment)
    assert parse_instant(text) == moment.replace(microsecond=0)
    assert format_instant(parse_instant(text)) == text


@given(moments, moments)
def test_text_order_is_time_order(one: datetime, other: datetime):
    first, second = format_instant(one), format_instant(other)
    assert (first < second) == (one.replace(microsecond=0) < other.replace(microsecond=0))


@given(moments, st.integers(-(10**9), 10**9))
def test_shift_and_span_agree(moment: datetime, seconds: int):
    start = format_instant(moment)
    if not 2000 <= moment.year + seconds / (366 * 86400) <= 2999:
        return  # Near the ends, and past them: the next test.
    end = shift(start, seconds)
    assert seconds_between(start, end) == seconds
    assert seconds_between(end, start) == -seconds


@pytest.mark.parametrize("seconds", [1000 * 366 * 86400, 10**18, 10**40])
def test_a_shift_beyond_the_years_ends_with_them(seconds: int):
    """A deadline that never comes is no error: who adds one to what another said has to get an answer."""
    assert shift("2026-01-01T00:00:00Z", seconds) == shift("2000-01-01T00:00:00Z", seconds) == "2999-12-31T23:59:59Z"
    assert shift("2026-01-01T00:00:00Z", -seconds) == shift("2999-12-31T23:59:59Z", -seconds) == "2000-01-01T00:00:00Z"


def test_shift_to_the_ends():
    assert shift("2999-12-31T23:59:58Z", 1) == shift("2999-12-31T23:59:59Z", 1) == "2999-12-31T23:59:59Z"
    assert shift("2000-01-01T00:00:01Z", -1) == shift("2000-01-01T00:00:00Z", -1) == "2000-01-01T00:00:00Z"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00+00:00",
        "2026-01-01T00:00:00.0Z",
        "2026-01-01T00:00:00z",
        "2026-01-01t00:00:00Z",
        "2026-01-01 00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2016-12-31T23:59:60Z",
        "2026-02-29T00:00:00Z",
        "1999-12-31T23:59:59Z",
        "9999-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z\n",
        " 2026-01-01T00:00:00Z",
        "20260101T000000Z",
        "２026-01-01T00:00:00Z",
    ],
)
def test_not_an_instant(text: str):
    with refuses(FormatError, "schema_violation"):
        parse_instant(text)


def test_a_moment_needs_its_zone_and_is_cut_to_the_second():
    with pytest.raises(FormatError):
        format_instant(datetime(2026, 1, 1))
    east = timezone(timedelta(hours=2))
    assert format_instant(datetime(2026, 1, 1, 1, 0, 0, 999999, east)) == "2025-12-31T23:00:00Z"
    for year in (1, 1999, 3000, 9999):
        with pytest.raises(FormatError):
            format_instant(datetime(year, 6, 1, tzinfo=UTC))
    with pytest.raises(FormatError):
        format_instant(datetime.max.replace(tzinfo=timezone(-timedelta(hours=2))))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("PT0S", 0), ("PT1M", 60), ("P1D", 86400), ("P1DT12H", 129600), ("PT1H30M5S", 5405), ("PT90S", 90), ("P0D", 0)],
)
def test_duration(text: str, seconds: int):
    assert parse_duration(text) == seconds


@given(st.integers(0, 99_999 * 86400))
def test_duration_round_trip(seconds: int):
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "P",
        "PT",
        "P1Y",
        "P1M",
        "P1W",
        "PT1.5S",
        "P-1D",
        "-P1D",
        "+P1D",
        "pt1m",
        "1D",
        "P1DT",
        "PT1S1M",
        "P1D1H",
        "PT1M\n",
        "P\n",
        "PT\n",
        " PT1M",
        "PT1M ",
        "P999999D",
        "PT" + "9" * 11 + "S",
        "PT１M",
    ],
)
def test_not_a_duration(text: str):
    assert not re.search(DURATION_PATTERN, text)
    with refuses(FormatError, "schema_violation"):
        parse_duration(text)


@pytest.mark.parametrize("seconds", [-1, 100_000 * 86400])
def test_duration_out_of_range(seconds: int):
    with refuses(FormatError, "schema_violation"):
        format_duration(seconds)


@pytest.mark.parametrize(("text", "at"), MOMENTS.items())
def test_times_as_others_write_them(text: str, at: datetime | None):
    """HIRE-JSN-06."""
    assert read_moment(text) == at


@pytest.mark.parametrize("text", ["1999-12-31T23:59:59Z", "3000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_what_an_instant_lacks_is_told(text: str):
    with pytest.raises(FormatError, match=f"years 2000 to 2999, got '{text}'"):
        parse_instant(text)
