"""What the options of `hire` say of the terms, turned into checked values."""

from __future__ import annotations

from collections.abc import Iterable

from undersigned.contract import MAX_ITEMS, PAYMENTS, Criterion, Milestone, Settlement, check_milestones, read_payment
from undersigned.encoding import compare_amounts, to_struct
from undersigned.errors import ConfigurationError, FormatError
from undersigned.runtime import checked_text, parse_price

from .output import checking
from .words import plain

__all__ = ["check_prices", "read_criteria", "read_milestone", "read_settlement"]


def check_prices(price: str, opening: str | None) -> None:
    """Returns if the first offer can be of `opening`, where `price` is the most that is paid.

    Raises:
        ConfigurationError: `bad_configuration`.
    """
    most = parse_price(price, "--price")
    first = most if opening is None else parse_price(opening, "--opening")
    if first.currency != most.currency or compare_amounts(first.amount, most.amount) > 0:
        raise ConfigurationError(
            "bad_configuration", f"--opening {opening} is more than --price {price}, or other money"
        )


def read_settlement(
    method: str, hook: str | None, milestones: tuple[Milestone, ...], criteria: Iterable[str]
) -> Settlement:
    """What `--settlement`, `--hook` and `--milestone` say together.

    Raises:
        ConfigurationError: `bad_configuration`.
    """
    if method in PAYMENTS:
        with checking("--hook"):
            read_payment(method, hook)
    elif hook is not None:
        raise ConfigurationError("bad_configuration", f"--hook goes with --settlement {' or '.join(PAYMENTS)}")
    with checking("--milestone"):
        check_milestones(milestones, criteria)
    return Settlement(method=method, hook=hook, milestones=milestones)


def read_criteria(given: tuple[str, ...]) -> dict[str, str]:
    """The criteria of `--criterion`, text by id.

    Raises:
        ConfigurationError: `bad_configuration`.
    """
    found: dict[str, str] = {}
    for one in given:
        id, _, text = one.partition("=")
        try:
            if not text:
                raise FormatError("schema_violation", "no text")
            made = to_struct({"id": id, "text": text}, Criterion)
        except FormatError as error:
            expected = "ID=TEXT, an id of lower-case letters, digits and hyphens and at most 4,096 characters"
            raise ConfigurationError(
                "bad_configuration", f"--criterion: expected {expected}; got {plain(one, 60)}"
            ) from error
        if id in found:
            raise ConfigurationError("bad_configuration", f"--criterion: {id} is there twice")
        found[made.id] = checked_text("--criterion", made.text)
    if len(found) > MAX_ITEMS:
        text = f"--criterion: a contract has at most {MAX_ITEMS}, and {len(found)} are named"
        raise ConfigurationError("bad_configuration", text)
    return found


def read_milestone(text: str) -> Milestone:
    """The milestone in `NAME=PERCENT:CRITERION,...`.

    Raises:
        ConfigurationError: `bad_configuration`, with what was expected.
    """
    name, _, rest = text.partition("=")
    percent, _, criteria = rest.partition(":")
    try:
        said = {"name": name, "percent": int(percent), "criteria": [one.strip() for one in criteria.split(",")]}
        made = to_struct(said, Milestone)
    except (ValueError, FormatError) as error:
        raise ConfigurationError(
            "bad_configuration", f"--milestone: expected NAME=PERCENT:CRITERION,..., got {text!r}"
        ) from error
    checked_text("--milestone", made.name)
    return made
