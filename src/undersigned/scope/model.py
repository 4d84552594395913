"""The scope as people write it, in Python or TOML: grants with limits, windows and conditions, under short names.

Every value is checked when it is made and kept in its only spelling, so two scopes that mean the same are equal.

Source: protocol-spec/06-scope.md, section 6.1
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, cast

from msgspec import Struct
from msgspec.structs import force_setattr

from undersigned.encoding import canonicalize, compare_amounts, format_duration, parse_duration, parse_instant
from undersigned.errors import ConfigurationError, FormatError
from undersigned.scope.target import parse_pattern
from undersigned.scope.wire import ACTION_PATTERN, MAX_RULES, NAME_PATTERN

__all__ = [
    "CONDITIONS",
    "Grant",
    "Limit",
    "Obligation",
    "Prohibition",
    "Scope",
    "Window",
    "amount_in_words",
    "read_limit",
]

CONDITIONS: Final[Mapping[str, str]] = MappingProxyType(
    {"dataClass": "data class", "egress": "egress", "region": "region"}
)
"""Conditions that a grant may set and an action must have the fact for, and their names for people."""

MAX_INTEGER: Final = 10**18
"""What an amount is less than."""
_NAME: Final = re.compile(NAME_PATTERN)
_PERIODS: Final = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_ACTION: Final = re.compile(ACTION_PATTERN)
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_UNIT: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
_VALUE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,31}:[!-~]{1,500}")


class Limit(Struct, frozen=True, gc=False):
    """How much of something a grant allows, in all or per period."""

    unit: str
    """`count` of uses, a currency (`EUR`), or what is counted, in lower case (`bytes`)."""
    max: str
    """Decimal text, not negative; whole for `count`. An integer becomes text; a float is refused."""
    per: str | None = None
    """Duration of the period in which it counts anew, such as `PT1M`; periods begin at multiples of it, UTC."""

    def __post_init__(self) -> None:
        _require_text("limit", self.unit)
        _require_no_other("limit", self.per)
        maximum = cast("object", self.max)
        if isinstance(maximum, int) and not isinstance(maximum, bool):
            if abs(maximum) >= MAX_INTEGER:  # Python writes no integer of any length
                raise _wrong(f"limit of {self.unit}: expected a decimal amount of at most 18 digits")
            force_setattr(self, "max", str(maximum))
        elif not isinstance(maximum, str):
            raise _wrong(f"limit of {self.unit}: expected an integer or decimal text, got {maximum!r:.80}")
        if not (_CURRENCY.fullmatch(self.unit) or _UNIT.fullmatch(self.unit)) or self.unit in ("id", "type"):
            raise _wrong(f"limit: expected `count`, a currency or a unit in lower case, got {self.unit!r:.80}")
        if compare_amounts(self.max, "0") < 0:
            raise _wrong(f"limit of {self.unit}: expected an amount that is not negative, got {self.max}")
        if self.unit == "count" and "." in self.max:
            raise _wrong(f"limit of count: expected a whole number, got {self.max}")
        if self.per is not None:
            try:
                seconds = parse_duration(self.per)
            except FormatError as exc:
                text = f"limit of {self.unit}: per: expected days, hours, minutes or seconds, such as P30D or PT1H"
                raise _wrong(f"{text}, got {self.per!r:.80}") from exc
            if seconds == 0:
                raise _wrong(f"limit of {self.unit}: expected a period longer than nothing, got {self.per}")
            force_setattr(self, "per", format_duration(seconds))

    @property
    def name(self) -> str:
        """Unit and period, as in `count` or `count.PT1M`; once per grant."""
        return self.unit if self.per is None else f"{self.unit}.{self.per}"

    def explain(self) -> str:
        """For a person: `at most 10 times per minute`."""
        return f"at most {amount_in_words(self.max, self.unit, self.per)}"


class Window(Struct, frozen=True, gc=False, kw_only=True):
    """When a grant may be used: instants, `2026-11-28T09:00:00Z`, both inclusive; None where there is no such end."""

    not_before: str | None = None
    until: str | None = None

    def __post_init__(self) -> None:
        _require_no_other("window", self.not_before, self.until)
        for instant in (self.not_before, self.until):
            if instant is not None:
                parse_instant(instant)
        if self.not_before is None and self.until is None:
            raise _wrong("window: expected `not_before`, `until` or both")
        if self.not_before is not None and self.until is not None and self.not_before > self.until:
            raise _wrong(f"window: it ends ({self.until}) before it begins ({self.not_before})")

    def explain(self) -> str:
        """For a person: `from … until …`."""
        edges = (("from", self.not_before), ("until", self.until))
        return " ".join(f"{edge} {instant}" for edge, instant in edges if instant is not None)


class _Rule(Struct, frozen=True, gc=False):
    """What every clause has: a short name, an action, and the targets it is about."""

    id: str
    action: str
    """An absolute IRI in lower case, such as `artifact:read`."""
    target: str
    """A URI; a path segment may be `*`, and a last `*` reaches any depth (`target.py` has the rule)."""

    def _check(self) -> None:
        _require_text("clause", self.id, self.action, self.target)
        if not _NAME.fullmatch(self.id) or self.id in ("scope", "terms"):  # ids of other nodes of a document
            raise _wrong(f"clause: expected a name of lower-case letters, digits and hyphens, got {self.id!r:.80}")
        if not _ACTION.fullmatch(self.action):
            raise _wrong(f"clause {self.id}: expected an action such as `artifact:read`, got {self.action!r:.120}")
        force_setattr(self, "target", str(parse_pattern(self.target)))

    def explain(self) -> str:
        """For a person, on one line."""
        return f"{self.action} on {self.target}"


class Grant(_Rule, frozen=True):
    """One thing the provider may do, and how far."""

    limits: tuple[Limit, ...] = ()
    window: Window | None = None
    conditions: Mapping[str, Collection[str]] = {}
    """Name of a condition -> values that pass; an action without the fact is refused."""
    approval: bool = False
    """Whether a person of the hirer has to agree to each action that is done under it."""

    def __post_init__(self) -> None:
        self._check()
        named: dict[str, Limit] = {}
        try:
            for limit in self.limits:
                named[limit.name] = limit
            many = len(self.limits)
        except (AttributeError, TypeError) as exc:
            text = f"expected a list of limits, such as [Limit('count', 5)], got {self.limits!r:.80}"
            raise _wrong(f"grant {self.id}: {text}") from exc
        if self.window is not None and not isinstance(self.window, Window):  # pyright: ignore[reportUnnecessaryIsInstance] - callers' code is not checked by us
            raise _wrong(f"grant {self.id}: expected a Window, got {self.window!r:.80}")
        if len(named) < many:
            raise _wrong(f"grant {self.id}: one limit for each unit and period, not several")
        conditions: dict[str, tuple[str, ...]] = {}
        try:
            for name in sorted(self.conditions):
                values = self.conditions[name]
                if name not in CONDITIONS:
                    text = f"expected a condition among {', '.join(CONDITIONS)}, got {name!r:.80}"
                    raise _wrong(f"grant {self.id}: {text}")
                if isinstance(values, str) or not values or not all(_VALUE.fullmatch(value) for value in values):
                    raise _wrong(f"grant {self.id}: condition {name} needs a list of plain values, and at least one")
                conditions[name] = tuple(sorted(set(values)))
        except (TypeError, IndexError) as exc:
            text = f"expected conditions as lists of plain values by their names, got {self.conditions!r:.80}"
            raise _wrong(f"grant {self.id}: {text}") from exc
        if type(self.approval) is not bool:
            raise _wrong(f"grant {self.id}: expected approval to be true or false, got {self.approval!r:.80}")
        force_setattr(self, "limits", tuple([named[name] for name in sorted(named)]))
        force_setattr(self, "conditions", conditions)

    def explain(self) -> str:
        """For a person, on one line."""
        parts = [f"{self.action} on {self.target}", *(limit.explain() for limit in self.limits)]
        if self.window is not None:
            parts.append(self.window.explain())
        parts += [f"{CONDITIONS[name]} {' or '.join(values)}" for name, values in self.conditions.items()]
        if self.approval:
            parts.append("each time with a person's approval")
        return ", ".join(parts)


class Prohibition(_Rule, frozen=True):
    """One thing the provider may not do, whatever a grant says."""

    def __post_init__(self) -> None:
        self._check()


class Obligation(_Rule, frozen=True):
    """One thing the provider has to do: by `until`, an instant, inclusive, if that is given."""

    until: str | None = None

    def __post_init__(self) -> None:
        self._check()
        _require_no_other(f"obligation {self.id}", self.until)
        if self.until is not None:
            parse_instant(self.until)

    def explain(self) -> str:
        """For a person, on one line."""
        return f"{self.action} on {self.target}" + (f", by {self.until}" if self.until else "")


_CLAUSES: Final = (("grants", Grant), ("prohibitions", Prohibition), ("obligations", Obligation))
"""What a scope holds, and of which kind each clause there is: one of another kind would say something else."""


class Scope(Struct, frozen=True, gc=False, kw_only=True):
    """Everything a provider may do under a contract. What no grant allows is refused, and a prohibition wins."""

    grants: tuple[Grant, ...] = ()
    prohibitions: tuple[Prohibition, ...] = ()
    obligations: tuple[Obligation, ...] = ()
    extensions: Mapping[str, Any] = {}
    """URI -> any JSON; an unknown one is carried and ignored."""
    critical: tuple[str, ...] = ()
    """The extensions that must be understood by whoever decides by this scope."""

    def __post_init__(self) -> None:
        names: list[str] = []
        for field, kind in _CLAUSES:
            rules: tuple[_Rule, ...] = getattr(self, field)
            if rules == ():
                continue  # nothing to check, and most scopes have nothing but grants
            try:
                if len(rules) > MAX_RULES:
                    raise FormatError("too_large", f"scope: at most {MAX_RULES} {field}, got {len(rules)}")
                for rule in rules:
                    if not isinstance(rule, kind):
                        raise _wrong(f"scope: expected each of {field} to be a {kind.__name__}, got {rule!r:.80}")
                    names.append(rule.id)
            except TypeError as exc:
                raise _wrong(f"scope: expected a list as {field}, got {rules!r:.80}") from exc
            force_setattr(self, field, tuple(sorted(rules, key=lambda rule: rule.id)))
        if len(set(names)) < len(names):
            raise _wrong("scope: every clause has its own name; one is used twice")
        if not isinstance(self.extensions, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - callers' code is not checked by us
            raise _wrong(f"scope: expected extensions keyed by URI, got {self.extensions!r:.80}")
        for uri in self.extensions:
            if not isinstance(uri, str) or not _URI.fullmatch(uri):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise _wrong(f"scope: expected extensions keyed by URI, got {uri!r:.80}")
            try:
                canonicalize(self.extensions[uri])
            except FormatError as exc:
                raise _wrong(f"scope: extension {uri} is not JSON: {exc.message}") from exc
        # Of its own, as conditions are: what is read from a document is answered by a scope that somebody here made.
        force_setattr(self, "extensions", dict(self.extensions))
        if self.critical != ():
            listed = cast("object", self.critical)
            if not isinstance(listed, list | tuple) or not all(isinstance(uri, str) for uri in self.critical):  # pyright: ignore[reportUnnecessaryIsInstance] - callers' code is not checked by us
                raise _wrong(f"scope: expected critical as a list of extensions, got {listed!r:.80}")
            if not set(self.critical) <= set(self.extensions):
                raise _wrong("scope: `critical` lists an extension that is not there")
            force_setattr(self, "critical", tuple(sorted(set(self.critical))))

    def lines(self) -> Iterator[tuple[str, str]]:
        """(`May`, `May not`, `Must` or `Also`, what) for each clause, for people."""
        for label, clauses in (("May", self.grants), ("May not", self.prohibitions), ("Must", self.obligations)):
            for clause in clauses:
                yield label, f"[{clause.id}] {clause.explain()}"
        for uri in self.extensions:
            yield "Also", f"{uri}{', which has to be understood' if uri in self.critical else ''}"

    def explain(self) -> str:
        """The whole scope for people: a line for each clause, and that the rest is refused."""
        said = [*self.lines(), ("Else", "nothing: what no line allows is refused, and `May not` wins")]
        return "\n".join(f"{label.ljust(7)}  {text}" for label, text in said)

    @classmethod
    def from_toml(cls, table: Mapping[str, Any]) -> Scope:
        """The scope written in a parsed TOML table, with or without the `scope` level around it.

        `[[grant]]`, `[[prohibition]]` and `[[obligation]]` hold the fields of those classes; a limit's `max` is an
        integer or decimal text, never a float.

        Raises:
            ConfigurationError: `bad_configuration`, and what was expected.

        Source: protocol-spec/06-scope.md, section 6.1
        """
        if not isinstance(table, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - callers' code is not checked by us
            raise ConfigurationError("bad_configuration", f"scope: expected a table, got {table!r:.80}")
        if "scope" in table and len(table) > 1:
            # What stands beside it, a prohibition say, would be dropped without a word.
            names = ", ".join(f"`{name}`" for name in table if name != "scope")
            raise ConfigurationError("bad_configuration", f"scope: expected nothing beside it, got {names}")
        try:
            inner = _only(
                table.get("scope", table),
                "scope",
                required=(),
                optional=("grant", "prohibition", "obligation", "extensions", "critical"),
            )
            return cls(
                grants=tuple(map(_grant, _list(inner, "grant"))),
                prohibitions=tuple(Prohibition(**_only(entry, "prohibition")) for entry in _list(inner, "prohibition")),
                obligations=tuple(
                    Obligation(**_only(entry, "obligation", optional=("until",)))
                    for entry in _list(inner, "obligation")
                ),
                extensions=dict(inner.get("extensions", {})),
                critical=tuple(inner.get("critical", ())),
            )
        except FormatError as exc:
            raise ConfigurationError("bad_configuration", exc.message) from exc
        except (TypeError, AttributeError, ValueError) as exc:
            raise ConfigurationError("bad_configuration", f"scope: a value has another shape ({exc})") from exc


def amount_in_words(amount: str, unit: str, per: str | None = None) -> str:
    """`10 times per minute`, `5 EUR`."""
    what = ("time" if amount == "1" else "times") if unit == "count" else unit
    if per is None:
        return f"{amount} {what}"
    seconds = parse_duration(per)
    size, name = next(pair for pair in _PERIODS if seconds % pair[0] == 0)
    return f"{amount} {what} per {name if seconds == size else f'{seconds // size} {name}s'}"


def _grant(entry: Any) -> Grant:
    fields = _only(entry, "grant", optional=("limits", "window", "conditions", "approval"))
    limits = tuple(map(read_limit, _list(fields, "limits")))
    fields.pop("limits", None)
    window = fields.pop("window", None)
    if window is not None:
        window = Window(**_only(window, "window", required=(), optional=("not_before", "until")))
    return Grant(**fields, limits=limits, window=window)


def read_limit(entry: Any) -> Limit:
    """The limit that a table of people's TOML says: `unit`, `max`, and `per` if it counts anew.

    Raises:
        FormatError: `schema_violation`.
    """
    limit = _only(entry, "limit", required=("unit", "max"), optional=("per",))
    maximum = limit["max"]
    return Limit(limit["unit"], _plain(maximum) if isinstance(maximum, str) else maximum, limit.get("per"))


def _plain(amount: str) -> str:
    """People write `5.00`; an amount has no trailing zeros."""
    return amount.rstrip("0").removesuffix(".") if re.fullmatch(r"[0-9]+\.[0-9]+", amount) else amount


def _list(table: Mapping[str, Any], key: str) -> list[Any]:
    """What stands under a key that holds a list, if anything does."""
    found = table.get(key, [])
    if not isinstance(found, list):
        raise _wrong(f"{key}: expected a list, as [[{key}]] begins one, got {found!r:.80}")
    return cast("list[Any]", found)


def _only(
    entry: Any,
    what: str,
    *,
    required: tuple[str, ...] = ("id", "action", "target"),
    optional: tuple[str, ...] = (),
) -> dict[str, Any]:
    """The table, once it holds all it must and nothing else: an unknown key may be a misspelled limit."""
    if not isinstance(entry, Mapping):
        raise _wrong(f"{what}: expected a table, got {entry!r:.80}")
    table = dict(cast("Mapping[str, Any]", entry))
    if missing := [key for key in required if key not in table]:
        raise _wrong(f"{what}: `{missing[0]}` is missing")
    if unknown := set(table) - {*required, *optional}:
        raise _wrong(f"{what}: unknown `{min(unknown)}`; known are {', '.join((*required, *optional))}")
    return table


def _require_text(what: str, *values: object) -> None:
    """Returns if each value is text: TOML has dates and numbers of its own, and callers' code is not ours."""
    for value in values:
        if not isinstance(value, str):
            raise _wrong(f"{what}: expected text in quotes, got {type(value).__name__} {value!s:.60}")


def _require_no_other(what: str, *values: object) -> None:
    """As `_require_text`, where there may be None."""
    _require_text(what, *(value for value in values if value is not None))


def _wrong(message: str) -> FormatError:
    return FormatError("schema_violation", message)
