"""What options say of the terms of a contract, scope and settlement, turned into checked values."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable
from itertools import count
from pathlib import Path

from msgspec.structs import replace

from undersigned.contract import MAX_ITEMS, PAYMENTS, Criterion, Milestone, Settlement, check_milestones, read_payment
from undersigned.encoding import compare_amounts, to_struct
from undersigned.errors import ConfigurationError, FormatError
from undersigned.runtime import checked_text, parse_price, read_file, why
from undersigned.scope import Grant, Limit, Scope, read_limit

from .output import checking
from .words import plain

__all__ = [
    "check_prices",
    "parse_allow",
    "read_criteria",
    "read_milestone",
    "read_scope_options",
    "read_settlement",
    "with_grants",
]


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


def parse_allow(number: int, text: str) -> Grant:
    """The grant in `ACTION=TARGET[;UNIT<=MAX]...`, such as `repo:read=https://git.example/app/*;count<=100`.

    Raises:
        ConfigurationError: `bad_configuration`, with an example.
    """
    head, *limits = text.split(";")
    action, equals, target = head.partition("=")
    if not equals or not all("<=" in limit for limit in limits):
        example = "repo:read=https://git.example/app/*;count<=100"
        raise ConfigurationError(
            "bad_configuration", f"--allow: expected ACTION=TARGET[;UNIT<=MAX], such as {example}, got {text!r}"
        )
    with checking(f"--allow {text!r}"):
        return Grant(f"allow-{number}", action.strip(), target.strip(), limits=_limits(limits))


def _limits(texts: Iterable[str]) -> tuple[Limit, ...]:
    """The limits in `UNIT<=MAX`, each."""
    parts = [text.partition("<=") for text in texts]
    return tuple(read_limit({"unit": unit.strip(), "max": most.strip()}) for unit, _, most in parts)


def read_scope_options(allow: tuple[str, ...], scope_file: Path | None) -> Scope:
    """The scope that `--allow` and `--scope` give together."""
    grants = tuple(parse_allow(number, text) for number, text in enumerate(allow, start=1))
    if scope_file is None:
        return Scope(grants=grants)
    try:
        with checking(str(scope_file)):
            written = Scope.from_toml(tomllib.loads(read_file(scope_file).decode()))
    except ValueError as exc:  # or not even text
        raise ConfigurationError("bad_configuration", f"{scope_file}: not TOML: {why(exc)}") from exc
    if written == Scope():  # of a file that is not written yet, what it was to forbid would be allowed
        raise ConfigurationError("bad_configuration", f"{scope_file}: no scope: it grants, forbids and asks nothing")
    return Scope(
        grants=(*written.grants, *grants),
        prohibitions=written.prohibitions,
        obligations=written.obligations,
        extensions=written.extensions,
        critical=written.critical,
    )


def with_grants(scope: Scope, allow: tuple[str, ...], drop: tuple[str, ...], limit: tuple[str, ...] = ()) -> Scope:
    """A scope without the grants that `--drop` names, with other limits for those of `--limit`, and with those of
    `--allow`, each under a name that no clause of the scope has, not even one that is dropped: what was used under that
    is not counted for it.

    Raises:
        ConfigurationError: `bad_configuration`: there is no such grant, or no scope can hold them.
    """
    taken = {clause.id for clause in (*scope.grants, *scope.prohibitions, *scope.obligations)}
    free = (number for number in count(1) if f"allow-{number}" not in taken)
    kept = {grant.id: grant for grant in scope.grants}
    for name in drop:
        _require_grant("--drop", name, [grant.id for grant in scope.grants])
        kept.pop(name, None)
    try:
        for text in limit:
            name, *limits = text.split(";")
            _require_grant("--limit", name, kept)
            if not limits or not all("<=" in one for one in limits):
                said = f"--limit: expected CLAUSE;UNIT<=MAX, such as read-1;count<=10, got {text!r}"
                raise ConfigurationError("bad_configuration", said)
            kept[name] = _limited(kept[name], _limits(limits))
        return replace(scope, grants=(*kept.values(), *[parse_allow(next(free), text) for text in allow]))
    except FormatError as error:
        raise ConfigurationError("bad_configuration", error.message) from error


def _require_grant(option: str, name: str, named: Collection[str]) -> None:
    if name not in named:
        there = ", ".join(named) or "there are none"
        raise ConfigurationError("bad_configuration", f"{option}: expected a grant, {there}; got {plain(name, 80)!r}")


def _limited(grant: Grant, limits: tuple[Limit, ...]) -> Grant:
    """The grant with these limits in place of those of the same unit, in all."""
    named = {one.name for one in limits}
    return replace(grant, limits=(*(one for one in grant.limits if one.name not in named), *limits))
