"""Instants and durations of the wire, in whole seconds of UTC.

Instants compare as strings; arithmetic goes through here. The same few instants are asked about over and over (a
deadline at every step of its engagement), so answers are remembered.

Source: protocol-spec/04-envelope-and-digests.md, section 4.1
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from undersigned.encoding.types import DURATION_PATTERN, INSTANT_PATTERN, Duration, Instant
from undersigned.errors import FormatError

__all__ = [
    "format_duration",
    "format_instant",
    "parse_duration",
    "parse_instant",
    "read_moment",
    "seconds_between",
    "shift",
]

_INSTANT: Final = re.compile(INSTANT_PATTERN)
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?"
    r"(Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
)
_MAX_MOMENT: Final = 35
"""Characters of the longest."""
_DURATION: Final = re.compile(DURATION_PATTERN)
_PART: Final = re.compile("([0-9]+)([DHMS])")
_FIRST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(2999, 12, 31, 23, 59, 59, tzinfo=UTC)
_ALL_SECONDS: Final = 1000 * 366 * 86400
_SECONDS: Final = {"D": 86400, "H": 3600, "M": 60, "S": 1}


@lru_cache(maxsize=4096)
def parse_instant(instant: Instant) -> datetime:
    """The instant as an aware `datetime` in UTC.

    Raises:
        FormatError: `schema_violation`: another spelling, or no such second.
    """
    if not _INSTANT.search(instant):
        raise FormatError(
            "schema_violation", f"expected YYYY-MM-DDThh:mm:ssZ, years 2000 to 2999, got {instant[:40]!a}"
        )
    return datetime.fromisoformat(instant)


def read_moment(text: object) -> datetime | None:
    """The time in a date-time as others write it (`xsd:dateTimeStamp`), to the microsecond; None if it is none, or
    outside the years 1 to 9999 of UTC.
    """
    return _read_moment(text) if isinstance(text, str) and len(text) <= _MAX_MOMENT else None


@lru_cache(maxsize=1024)
def _read_moment(text: str) -> datetime | None:
    if not _MOMENT.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def format_instant(moment: datetime) -> Instant:
    """The second in which `moment`, an aware `datetime`, lies.

    Raises:
        FormatError: `schema_violation`: without a time zone, or outside the years 2000 to 2999.
    """
    if moment.utcoffset() is None:
        raise FormatError("schema_violation", f"expected a time with its zone, got {moment.isoformat()}")
    try:
        utc = moment.astimezone(UTC)
    except OverflowError as exc:
        raise FormatError("schema_violation", f"expected a year from 2000 to 2999, got {moment.year}") from exc
    if not 2000 <= utc.year <= 2999:
        raise FormatError("schema_violation", f"expected a year from 2000 to 2999, got {utc.year}")
    return utc.isoformat(timespec="seconds")[:19] + "Z"


@lru_cache(maxsize=4096)
def shift(instant: Instant, seconds: int) -> Instant:
    """The instant `seconds` later; earlier if negative. Beyond the years that instants have, the first or last of them:
    a deadline so far away never comes, and is no reason to refuse or to fail.

    Raises:
        FormatError: `schema_violation`: not an instant.
    """
    # A span that `timedelta` has; longer ones reach beyond the years from any instant.
    by = timedelta(seconds=max(-_ALL_SECONDS, min(seconds, _ALL_SECONDS)))
    return format_instant(max(_FIRST, min(parse_instant(instant) + by, _LAST)))


def seconds_between(start: Instant, end: Instant) -> int:
    """Seconds from `start` to `end`; negative if `end` is earlier.

    Raises:
        FormatError: `schema_violation`: not an instant.
    """
    span = parse_instant(end) - parse_instant(start)
    return span.days * 86400 + span.seconds


@lru_cache(maxsize=1024)
def parse_duration(duration: Duration) -> int:
    """Seconds of a duration such as `PT1M`, `P1D` or `P1DT12H`.

    Raises:
        FormatError: `schema_violation`: another spelling, or years, months, weeks or fractions.
    """
    if not _DURATION.search(duration):
        raise FormatError("schema_violation", f"expected a duration PnDTnHnMnS, got {duration[:40]!a}")
    return sum(int(number) * _SECONDS[unit] for number, unit in _PART.findall(duration))


def format_duration(seconds: int) -> Duration:
    """The shortest duration of so many seconds, 0 up to 99,999 days.

    Raises:
        FormatError: `schema_violation`: negative or longer.
    """
    if not 0 <= seconds < 100_000 * 86400:
        raise FormatError("schema_violation", f"expected 0 to 99,999 days, got {seconds} s")
    days, rest = divmod(seconds, 86400)
    parts = [(rest // 3600, "H"), (rest % 3600 // 60, "M"), (rest % 60, "S")]
    time = "".join(f"{number}{unit}" for number, unit in parts if number)
    date = f"{days}D" if days else ""
    return f"P{date}T{time}" if time else f"P{date}" if date else "PT0S"
