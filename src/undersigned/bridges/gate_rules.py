"""Rules that turn an HTTP request into the action it asks for: method and path in, action and target out.

    origin = "https://api.acme.example"

    [[rule]]
    method = ["GET", "HEAD"]
    path = "/repos/{repo}/files/*"
    action = "repo:read"
    target = "https://git.acme.example/{repo}"

Paths are compared segment by segment, in the one spelling that targets have, and never as text. What no rule maps is no
action, and is not let through; nor is what some servers take for the path of an earlier rule than the one that fits.

Source: protocol-spec/14-gates.md, section 14.3
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec

from undersigned.encoding import in_names, is_amount, to_struct
from undersigned.errors import ConfigurationError, FormatError, ScopeError
from undersigned.scope import ACTION_PATTERN, CONDITIONS, Action, Limit, Target, parse_target, plain_segments

__all__ = ["BODY", "GateRules", "RequestRule", "read_rules"]

BODY: Final = "body"
"""In place of an amount: the length of the request's body, in bytes."""

_METHOD: Final = re.compile(r"(?!CONNECT$|TRACE$)[A-Z]{1,20}")
_HOLE: Final = re.compile(r"\{([a-z][a-z0-9_]{0,31})\}")
_ACTION: Final = re.compile(ACTION_PATTERN)
_FIELD: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_ORIGIN: Final = re.compile(r"https?://[^/?#@]+")
_FORBIDDEN: Final = frozenset(
    {"connection", "content-length", "host", "idempotency-key", "keep-alive", "te", "trailer", "transfer-encoding"}
    | {"upgrade", "proxy-authorization", "proxy-connection", "hire-agent", "hire-contract", "signature"}
    | {"signature-input", "content-digest", "expect"}
)


class RequestRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way to ask for an action."""

    method: str | tuple[str, ...]
    path: str
    """Segments: text, `{name}` for any one, and `*` at the end for one or more."""
    action: str
    target: str | None = None
    """What the action is done to, with segments `{name}` out of the path; by default the request's own URI."""
    query: bool = False
    """Whether a query may come with it; it is part of the target only where that is the request's own URI."""
    amounts: Mapping[str, str] = {}
    """Unit -> decimal text, or `body`: its length in bytes."""
    facts: Mapping[str, str] = {}
    """Condition -> the fact, such as `dataClass = "public"`: what the server knows of the target."""

    @property
    def methods(self) -> tuple[str, ...]:
        """All of them."""
        return (self.method,) if isinstance(self.method, str) else self.method


class GateRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a server lets be asked of it. The first rule that fits a request says what it asks for."""

    origin: str
    """Scheme, host and port by which others reach the server; never taken from a request."""
    rule: Annotated[tuple[RequestRule, ...], msgspec.Meta(min_length=1, max_length=1024)]
    max_body_bytes: Annotated[int, msgspec.Meta(ge=0)] = 1024 * 1024
    """Longest body of a request."""
    max_answer_bytes: Annotated[int, msgspec.Meta(ge=0)] = 1024 * 1024 * 1024
    """Longest body of an answer that a proxy carries."""
    forward: tuple[str, ...] = ()
    """Fields of the request that a proxy passes on beside the usual ones; lower case."""

    def action_of(self, method: str, url: str, body_bytes: int) -> tuple[Action, Target]:
        """The action that a request to `url` (absolute, below our origin) asks for, and that URL in its one spelling.

        Raises:
            ScopeError: `scope_exceeded`, clause `rules`: none maps it, or its path has more than one reading.
        """
        try:
            asked = parse_target(url)
        except FormatError as exc:
            raise _unmapped(exc.message) from exc
        rules = [rule for rule in self.rule if method in rule.methods]
        for number, rule in enumerate(rules):
            holes = _fits(_segments(rule.path), asked.segments)
            if holes is None or (asked.query is not None and not rule.query):
                continue
            for earlier in rules[:number]:
                if _evades(earlier.path, rule.path, asked.segments):
                    raise _unmapped(f"a server may take it for what the rule of {earlier.path} maps")
            target = str(asked) if rule.target is None else rule.target
            for name, segment in holes.items():
                target = target.replace(f"{{{name}}}", segment)  # a segment holds no braces: they are not in a URI
            amounts = {unit: str(body_bytes) if text == BODY else text for unit, text in rule.amounts.items()}
            return Action(name=rule.action, target=target, amounts=amounts, facts=rule.facts), asked
        takes_it = "" if asked.query is None else " that takes a query"
        raise _unmapped(f"no rule{takes_it} maps this method and path")


def read_rules(table: Mapping[str, Any]) -> GateRules:
    """The rules of a TOML table, checked.

    Raises:
        ConfigurationError: `bad_configuration`, with the rule and what is wrong with it.
    """
    if not isinstance(table, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - callers' code is not checked by us
        text = f"rules: expected a table, as tomllib.loads() makes of a file, got {table!r:.80}"
        raise ConfigurationError("bad_configuration", text)
    try:
        rules = to_struct(dict(table), GateRules)
        if _ORIGIN.fullmatch(rules.origin) is None:
            raise FormatError("schema_violation", "expected a scheme and a host, such as https://api.acme.example")
        parse_target(rules.origin)
    except FormatError as exc:
        text = f"{exc.path or ': origin'}: {exc.message}"
        if exc.code == "unknown_term":
            text = f": {in_names(str(exc.__cause__), GateRules)}"
        raise ConfigurationError("bad_configuration", f"rules{text}") from exc
    for number, rule in enumerate(rules.rule, 1):
        try:
            _check(rule)
        except FormatError as exc:
            raise ConfigurationError("bad_configuration", f"rule {number} ({rule.path}): {exc.message}") from exc
    for name in rules.forward:
        if _FIELD.fullmatch(name) is None or name in _FORBIDDEN:
            raise ConfigurationError("bad_configuration", f"forward: {name!a} is not a field that can be passed on")
    return rules


def _check(rule: RequestRule) -> None:
    for method in rule.methods or ("",):
        if _METHOD.fullmatch(method) is None:
            raise FormatError("schema_violation", f"{method!a} is not a method that can be mapped")
    if _ACTION.fullmatch(rule.action) is None:
        raise FormatError("schema_violation", f"{rule.action!a} is not an action such as repo:read")
    segments = _segments(rule.path)
    holes = [found[1] for found in map(_HOLE.fullmatch, segments) if found]
    if len(set(holes)) != len(holes):
        raise FormatError("schema_violation", "a name stands for two segments")
    # With its holes filled it is a path like a request's, in the one spelling of targets.
    filled = "/".join("x" if _HOLE.fullmatch(part) else part for part in rule.path.split("/"))
    filled = filled.removesuffix("*") + "x" if filled.endswith("/*") else filled
    filled = "" if filled == "/" else filled
    spelled = rule.path.startswith("/") and "?" not in filled
    if not spelled or str(parse_target(f"https://host{filled}")) != f"https://host{filled}":
        raise FormatError("schema_violation", "expected a path from /, spelled as targets are, and no query")
    if rule.target is not None:
        # A hole that were part of a segment could be filled so that two requests give one target.
        parts = rule.target.split("/")
        named = [found[1] for found in map(_HOLE.fullmatch, parts) if found]
        if any("{" in part and not _HOLE.fullmatch(part) for part in parts) or set(named) - set(holes):
            raise FormatError("schema_violation", "target: {name} is a whole segment and stands in the path, too")
        if _HOLE.search("/".join(parts[:3])):
            raise FormatError("schema_violation", "target: no {name} before the path")
        parse_target(_HOLE.sub("x", rule.target))
    if not set(rule.facts) <= set(CONDITIONS):
        what = f"facts: expected some of {', '.join(CONDITIONS)}, got {sorted(rule.facts)!r:.200}"
        raise FormatError("schema_violation", what)
    for unit, text in rule.amounts.items():
        Limit(unit, "1")  # of no other unit has a grant a limit
        if text != BODY and (not is_amount(text) or text.startswith("-")):
            raise FormatError(
                "schema_violation", f"amounts: {unit}: expected `body`, or decimal text as in 0.5, got {text!a}"
            )


def _segments(path: str) -> tuple[str, ...]:
    return tuple(path.removeprefix("/").split("/")) if path != "/" else ()


def _evades(earlier: str, path: str, segments: tuple[str, ...]) -> bool:
    """Whether a request for which a rule of `path` was found gets past an `earlier` one by its spelling or its query.
    Not where all that `path` maps is what the earlier one is about: then the rules themselves tell the spellings apart.
    """
    wide, narrow = plain_segments(_segments(earlier)), plain_segments(_segments(path))
    if _fits(wide, plain_segments(segments)) is None:
        return False
    deeper = narrow[-1:] == ("*",) and wide[-1:] != ("*",)
    return deeper or _fits(wide, narrow) is None


def _fits(wanted: tuple[str, ...], segments: tuple[str, ...]) -> dict[str, str] | None:
    """What the holes of a rule's path stand for in a request's, or None if it is another path."""
    if wanted[-1:] == ("*",):
        wanted = wanted[:-1]
        if len(segments) <= len(wanted) or segments[len(wanted)] == "":
            return None
    elif len(segments) != len(wanted):
        return None
    holes: dict[str, str] = {}
    for want, came in zip(wanted, segments, strict=False):
        hole = _HOLE.fullmatch(want)
        if hole is not None and came:
            holes[hole[1]] = came
        elif want != came:
            return None
    return holes


def _unmapped(why: str) -> ScopeError:
    return ScopeError("scope_exceeded", why, clause="rules")
