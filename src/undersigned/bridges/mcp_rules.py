"""Rules by which a tool of an MCP server is an action on a target: written by the server's operator, in TOML.

    [[tool]]
    name = "git_log"
    action = "repo:log"
    target = "https://git.acme.example/{+repo_path}"
    amounts = { commits = "{max_count}" }

    [tool.arguments]
    repo_path = { pattern = "/srv/git/*" }
    max_count = { max = 50 }

What no rule names does not pass: no tool, no argument, no method. A name is compared as it is spelled, for two names
that look alike are two names to the server as well. What an argument adds to a target has one spelling as a URI, or it
is refused; so what a prohibition names cannot be reached under another name.

Source: protocol-spec/15-mcp-gate.md, section 15.3
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from undersigned.encoding import OWED_PATTERN, JsonObject, JsonValue, in_names
from undersigned.errors import ConfigurationError, FormatError, ScopeError
from undersigned.scope import ACTION_PATTERN, CONDITIONS, Action, Target, inside, parse_pattern, parse_target

__all__ = ["Argument", "Rules", "ToolRule", "outside"]

RULES: Final = "rules"
"""The clause that decides where a rule, or the lack of one, says no. No clause of a scope is meant."""

_TOOL: Final = re.compile(r"[A-Za-z0-9_./-]{1,128}")
_METHOD: Final = re.compile(r"(?:resources|prompts|completion|logging)/[A-Za-z/]{1,64}")
_ARGUMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,127}")
_ACTION: Final = re.compile(ACTION_PATTERN)
_UNIT: Final = re.compile(r"[A-Z]{3}|[a-z][a-z0-9-]{0,31}")
_AMOUNT: Final = re.compile(OWED_PATTERN)
_PLACE: Final = re.compile(r"\{(\+?)([A-Za-z_][A-Za-z0-9_-]{0,127})\}")
_SEGMENT: Final = re.compile(r"[A-Za-z0-9._~ -]+")
"""Characters that a URI spells in one way only: as they are, or, for the space, never so."""
_PATHS: Final = "https://path.invalid"
"""Stands before a path where it is compared as the path of a URI."""

Scalar = str | int | bool


class Argument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an argument may be. Without any member: text, a number or a boolean."""

    equals: Scalar | None = None
    one_of: tuple[Scalar, ...] | None = None
    pattern: str | None = None
    """A URI as a scope's targets are, or an absolute path; segments may be `*`."""
    min: int | None = None
    max: int | None = None
    """With `min` or `max`: a whole number, as JSON writes one. Without `min`, not negative."""
    max_length: int = 4096
    """Of text, in characters."""
    any: bool = False
    """Lists, objects and null as well; nothing of it is looked at."""
    required: bool = False

    def __post_init__(self) -> None:
        if self.pattern is not None:
            _pattern(self.pattern)
        for value in (self.equals, *(self.one_of or ())):
            if value is not None and type(value) not in (str, int, bool):
                raise FormatError("schema_violation", "expected text, a whole number or a boolean")

    def wanted(self) -> str:
        """In words, what would pass."""
        if self.equals is not None:
            return f"exactly {self.equals!r}"
        if self.one_of is not None:
            return " or ".join(repr(value) for value in self.one_of)
        if self.pattern is not None:
            return f"within {self.pattern}"
        if self.min is not None or self.max is not None:
            return f"a whole number from {self.min or 0}" + ("" if self.max is None else f" to {self.max}")
        return f"text of at most {self.max_length} characters, a number or a boolean"

    def passes(self, value: JsonValue) -> bool:
        """Whether `value` may go to the server. Types count: the text "5" is no number, and true is not 1."""
        if self.equals is not None:
            return type(value) is type(self.equals) and value == self.equals
        if self.one_of is not None:
            return any(type(value) is type(one) and value == one for one in self.one_of)
        if self.pattern is not None:
            return isinstance(value, str) and _within(value, self.pattern)
        if self.min is not None or self.max is not None:
            low = self.min or 0
            return type(value) is int and low <= value and (self.max is None or value <= self.max)
        if isinstance(value, str):
            return self.any or len(value) <= self.max_length
        return self.any or isinstance(value, bool | int | float)


class ToolRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One tool, or one other method, as an action."""

    name: str
    action: str
    target: str
    """A URI. A segment may be `{argument}`, the last one `{+argument}`, an absolute path; or the whole is `{argument}`,
    a URI itself.
    """
    arguments: Mapping[str, Argument] = {}
    amounts: Mapping[str, str] = {}
    """Unit -> decimal text or `{argument}`; `count` is 1 anyway."""
    facts: Mapping[str, str] = {}
    """Condition -> the fact, such as `dataClass`: what the operator knows about what the tool touches."""

    def __post_init__(self) -> None:
        if not _ACTION.fullmatch(self.action):
            raise _wrong(self, f"expected an action such as `repo:read`, got {self.action!r:.120}")
        for name in self.arguments:
            if not _ARGUMENT.fullmatch(name):
                raise _wrong(self, f"not a name of an argument: {name!a:.80}")
        whole = _PLACE.fullmatch(self.target)
        if whole is None:
            head, _, path = self.target.partition("://")
            authority, *segments = path.split("/")
            # A placeholder anywhere else could change the host, or be read as two segments.
            if "{" in head + authority or any("{" in one and not _PLACE.fullmatch(one) for one in segments):
                raise _wrong(self, "target: an argument stands for a whole segment of the path, and nowhere else")
            if any(one.startswith("{+") for one in segments[:-1]):
                raise _wrong(self, "target: a path stands last")
            parse_target(_PLACE.sub("x", self.target))
        elif whole[1]:
            raise _wrong(self, "target: write {argument} for a whole URI")
        for unit, amount in self.amounts.items():
            if not _UNIT.fullmatch(unit) or not (_PLACE.fullmatch(amount) or _AMOUNT.fullmatch(amount)):
                raise _wrong(self, f"amounts: expected decimal text or {{argument}}, got {unit!r:.40}: {amount!r:.80}")
        if not set(self.facts) <= set(CONDITIONS):
            raise _wrong(self, f"facts: expected some of {', '.join(CONDITIONS)}, got {sorted(self.facts)!r:.200}")
        if missing := self.needed - set(self.arguments):
            raise _wrong(self, f"`{min(missing)}` is used, and not among the arguments")

    @property
    def needed(self) -> frozenset[str]:
        """Arguments without which nobody could say what is asked."""
        used = {name for text in (self.target, *self.amounts.values()) for _, name in _PLACE.findall(text)}
        return frozenset(used | {name for name, argument in self.arguments.items() if argument.required})

    def action_of(self, arguments: JsonObject) -> Action:
        """The action that a call with these arguments is, once each of them may pass.

        Raises:
            ScopeError: `scope_exceeded`, with the clause `rules`, and what would pass.
        """
        for name in arguments:
            if name not in self.arguments:
                known = ", ".join(sorted(self.arguments)) or "none"
                raise outside(f"argument {name!a:.80} does not pass", f"arguments {known}")
        if missing := self.needed - set(arguments):
            raise outside(f"argument {min(missing)} is missing", f"argument {min(missing)}")
        for name, value in arguments.items():
            if not self.arguments[name].passes(value):
                raise outside(f"argument {name} does not pass", f"argument {name} {self.arguments[name].wanted()}")
        amounts = {unit: self._amount(text, arguments) for unit, text in self.amounts.items()}
        return Action(name=self.action, target=self._filled(arguments), amounts=amounts, facts=dict(self.facts))

    def _amount(self, text: str, arguments: JsonObject) -> str:
        place = _PLACE.fullmatch(text)
        if place is None:
            return text
        value = arguments[place[2]]
        written = "" if isinstance(value, bool) else str(value) if isinstance(value, str | int | float) else ""
        # Servers write 5.00 and 5.0; an amount has no trailing zeros. An exponent is no amount.
        if re.fullmatch(r"[0-9]+\.[0-9]+", written):
            written = written.rstrip("0").removesuffix(".")
        if not _AMOUNT.fullmatch(written):
            raise outside(f"argument {place[2]} is no amount", f"argument {place[2]} a decimal amount, not negative")
        return written

    def _filled(self, arguments: JsonObject) -> str:
        if (whole := _PLACE.fullmatch(self.target)) is not None:
            return _text(whole[2], arguments)

        def fill(place: re.Match[str]) -> str:
            name, text = place[2], _text(place[2], arguments)
            return _path(name, text)[1:] if place[1] else _segment(name, text)

        return _PLACE.sub(fill, self.target)


class Rules(msgspec.Struct, frozen=True):
    """The rules for one server."""

    tools: Mapping[str, ToolRule] = {}
    methods: Mapping[str, ToolRule] = {}
    """Other methods that are let through as actions: `resources/read`, whose arguments are its params."""

    @classmethod
    def from_toml(cls, table: Mapping[str, Any]) -> Rules:
        """The rules in a parsed TOML file: `[[tool]]` and `[[method]]` with the members of `ToolRule`.

        Raises:
            ConfigurationError: `bad_configuration`, and what was expected.

        Source: protocol-spec/15-mcp-gate.md, section 15.3
        """
        try:
            if unknown := set(table) - {"tool", "method"}:
                raise FormatError("schema_violation", f"unknown `{min(unknown)}`; known are [[tool]] and [[method]]")
            return cls(tools=_read(table.get("tool", []), _TOOL), methods=_read(table.get("method", []), _METHOD))
        except (FormatError, msgspec.ValidationError) as exc:
            message = exc.message if isinstance(exc, FormatError) else in_names(str(exc), list[ToolRule])
            raise ConfigurationError("bad_configuration", f"rules: {message}") from exc


def _read(entries: object, names: re.Pattern[str]) -> dict[str, ToolRule]:
    found: dict[str, ToolRule] = {}
    for rule in msgspec.convert(entries, list[ToolRule]):
        if not names.fullmatch(rule.name):
            raise _wrong(rule, f"expected a name like {names.pattern}")
        if rule.name in found:
            raise _wrong(rule, "a name stands once")
        found[rule.name] = rule
    return found


def _text(name: str, arguments: JsonObject) -> str:
    value = arguments[name]
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise outside(f"argument {name} names no target", f"argument {name} as text")
    return str(value)


def _segment(name: str, part: str) -> str:
    """One segment of a path; what has two spellings, or means another place, is refused and never repaired."""
    if not _SEGMENT.fullmatch(part) or part in (".", ".."):
        raise outside(
            f"argument {name} has no one spelling in a target",
            f"argument {name} with segments of letters, digits, spaces and -._~, none of them empty, '.' or '..'",
        )
    return part.replace(" ", "%20")


def _path(name: str, text: str) -> str:
    """The path of a URI for an absolute path of a file system."""
    if not text.startswith("/"):
        raise outside(f"argument {name} is no absolute path", f"argument {name} an absolute path")
    return "".join(f"/{_segment(name, part)}" for part in text[1:].split("/"))


def _pattern(text: str) -> Target:
    return parse_pattern(_PATHS + text.replace(" ", "%20") if text.startswith("/") else text)


def _within(value: str, pattern: str) -> bool:
    try:
        uri = _PATHS + _path("", value) if pattern.startswith("/") else value
        return inside(_pattern(pattern), parse_target(uri))
    except (FormatError, ScopeError):
        return False


def outside(reason: str, would_pass: str) -> ScopeError:
    """The refusal of what the rules do not let through."""
    return ScopeError("scope_exceeded", reason, clause=RULES, would_pass=would_pass)


def _wrong(rule: ToolRule, message: str) -> FormatError:
    return FormatError("schema_violation", f"{rule.name!r:.80}: {message}")
