"""Exact arithmetic on amounts, which are decimal text. No floats, and no rounding but in `percent_of`.

Source: protocol-spec/04-envelope-and-digests.md, section 4.1
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from undersigned.encoding.types import AMOUNT_PATTERN, Amount
from undersigned.errors import FormatError

__all__ = ["add_amounts", "compare_amounts", "is_amount", "percent_of", "subtract_amounts"]

_AMOUNT: Final = re.compile(AMOUNT_PATTERN)
_PLACES: Final = 9
_UNIT: Final = 10**_PLACES
_LIMIT: Final = 10**18 * _UNIT


def is_amount(text: object) -> bool:
    """Whether `text` is an amount in its one spelling. Numbers are none: 0.1 is not what it seems."""
    return isinstance(text, str) and bool(_AMOUNT.search(text))


def compare_amounts(left: Amount, right: Amount) -> int:
    """-1, 0 or 1 as `left` is less than, equal to or more than `right`.

    Raises:
        FormatError: `schema_violation`: not an amount.
    """
    one, other = _units(left), _units(right)
    return (one > other) - (one < other)


def add_amounts(*amounts: Amount) -> Amount:
    """The exact sum; "0" of nothing.

    Raises:
        FormatError: `schema_violation`: not an amount; `number_out_of_range`: the sum has more than 18 digits before
            the point.
    """
    return _written(sum(map(_units, amounts)))


def subtract_amounts(left: Amount, right: Amount) -> Amount:
    """`left` less `right`, exactly.

    Raises:
        FormatError: As `add_amounts`.
    """
    return _written(_units(left) - _units(right))


def percent_of(amount: Amount, percent: int) -> Amount:
    """So many hundredths of an amount that is not negative, cut after nine places.

    Raises:
        FormatError: As `add_amounts`.
    """
    return _written(_units(amount) * percent // 100)


@lru_cache(maxsize=1024)
def _units(amount: Amount) -> int:
    """Billionths. The same few amounts are compared again at each step."""
    if not is_amount(amount):
        text = f"expected a decimal amount such as 5 or 4.5, with no zeros that say nothing, got {amount!a:.40}"
        raise FormatError("schema_violation", text)
    whole, _, fraction = amount.partition(".")
    units = int(whole.lstrip("-")) * _UNIT + int(fraction.ljust(_PLACES, "0"))
    return -units if amount.startswith("-") else units


def _written(units: int) -> Amount:
    if not -_LIMIT < units < _LIMIT:
        raise FormatError("number_out_of_range", "expected a sum of at most 18 digits before the point")
    whole, fraction = divmod(abs(units), _UNIT)
    sign = "-" if units < 0 else ""
    places = f".{fraction:09d}".rstrip("0") if fraction else ""
    return f"{sign}{whole}{places}"
