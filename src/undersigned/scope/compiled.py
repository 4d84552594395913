"""Between the two forms of a scope: what people write and what is signed.

Compiling writes every id from the clause's short name and sorts every set; reading accepts exactly what compiling
writes. So the two forms stand for each other one to one, and a scope that says more than this release understands is
refused whole instead of being read as a wider one.

Source: protocol-spec/06-scope.md, section 6.2
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final, Literal, cast

from undersigned.encoding import from_struct
from undersigned.errors import FormatError
from undersigned.scope.model import Grant, Limit, Obligation, Prohibition, Scope, Window
from undersigned.scope.wire import OBTAIN_CONSENT, SKETCH_BASE, WireConstraint, WireDuty, WireRule, WireScope

__all__ = ["compile_scope", "read_scope", "sketch", "whole_scope"]

MAX_READ: Final = 512
"""Scopes that are remembered."""
_id: Final = attrgetter("id")
_WINDOW: Final = {"gteq": "not-before", "lteq": "until"}
_CONDITION: Final[Mapping[str, Literal["dataClass", "egress", "region"]]] = {
    "dataClass": "dataClass",
    "egress": "egress",
    "region": "region",
}
_last_about: Final[dict[tuple[str, ...], Scope]] = {}
"""What was read or sketched last for grants of these targets, without extensions."""


def compile_scope(scope: Scope, base_id: str) -> WireScope:
    """The scope as the document named `base_id` carries it; ids are `<base_id>#<name>`.

    Source: protocol-spec/06-scope.md, section 6.2
    """
    return WireScope(
        id=f"{base_id}#scope",
        type="Scope",
        grants=tuple([_granted(grant, base_id) for grant in scope.grants]),
        prohibitions=tuple([_rule(f"{base_id}#{rule.id}", rule, []) for rule in scope.prohibitions]),
        obligations=tuple([_obliged(rule, base_id) for rule in scope.obligations]),
        extensions=dict(scope.extensions) or None,
        critical=scope.critical or None,
    )


def sketch(scope: Scope) -> WireScope:
    """The scope as an `Inquiry` sketches it: the same form, under ids that belong to no document."""
    wire = compile_scope(scope, SKETCH_BASE)
    if wire.extensions is None:
        _remember(wire, scope)  # whoever sketches it is about to check the terms in which it stands, and to offer them
    return wire


def read_scope(wire: WireScope) -> Scope:
    """The scope that was compiled into `wire`, for who decides by it.

    Raises:
        FormatError: `schema_violation`: it has a critical extension, and none is understood here; or as `whole_scope`.

    Source: protocol-spec/06-scope.md, section 6.2
    """
    if wire.critical:
        text = f"scope: critical extension {min(wire.critical)!r:.200} is not understood here"
        raise FormatError("schema_violation", text)
    return whole_scope(wire)


def whole_scope(wire: WireScope) -> Scope:
    """The same with its critical extensions, for who compares, counts or shows it, and allows nothing by it.

    Raises:
        FormatError: `schema_violation`: compiling writes it otherwise (an id that is not the derived one, a set out of
            order, a target or constraint that is not known).
    """
    return _read_again(wire) if wire.extensions is None else _read(wire)


def _read(wire: WireScope) -> Scope:
    base = _base(wire)
    scope = Scope(
        grants=tuple([_grant(rule, base) for rule in wire.grants]),
        prohibitions=tuple([Prohibition(_name(rule.id, base), rule.action, rule.target) for rule in wire.prohibitions]),
        obligations=tuple([_obligation(rule, base) for rule in wire.obligations]),
        extensions=wire.extensions or {},
        critical=wire.critical or (),
    )
    # One comparison stands for every rule of form: derived ids, order, repeats, spelling, members that do not belong.
    if (written := compile_scope(scope, base)) != wire:
        path, expected, came = _first_difference(from_struct(written), from_struct(wire))
        text = f"scope: not in the form that compiling it gives: expected {expected!r:.200}, came {came!r:.200}"
        raise FormatError("schema_violation", text, path=path)
    return scope


def _first_difference(expected: Any, came: Any) -> tuple[str, Any, Any]:
    """A JSON pointer to where two values that are not equal first differ, and what each has there; None for nothing."""
    one, other = _members(expected), _members(came)
    if type(expected) is not type(came) or one is None or other is None:
        return "", expected, came
    name = next((name for name in (*one, *other) if one.get(name) != other.get(name)), None)
    if name is None:
        return "", expected, came
    path, expected, came = _first_difference(one.get(name), other.get(name))
    return f"/{name}{path}", expected, came


def _members(value: Any) -> dict[str, Any] | None:
    """By name or place; None for what has none."""
    if isinstance(value, dict):
        return cast("dict[str, Any]", value)
    if isinstance(value, list):
        return {str(place): one for place, one in enumerate(cast("list[Any]", value))}
    return None


def _base(wire: WireScope) -> str:
    base, _, name = wire.id.rpartition("#")
    if not (base and name == "scope"):
        raise FormatError("schema_violation", f"scope: expected an id that ends in #scope, got {wire.id!r:.200}")
    return base


@lru_cache(maxsize=MAX_READ)
def _read_again(wire: WireScope) -> Scope:
    """The same scope is read several times while an offer is built, checked and compared, and meanwhile those of all
    other hires that are under way; and each offer has it under ids of its own. Extensions cannot be hashed.
    """
    known = _last_about.get(_about(wire))
    # The two forms stand for each other one to one: whatever compiles to this is what reading it would give.
    if known is not None and compile_scope(known, _base(wire)) == wire:
        return known
    scope = _read(wire)
    _remember(wire, scope)
    return scope


def _about(wire: WireScope) -> tuple[str, ...]:
    return tuple([rule.target for rule in wire.grants])


def _remember(wire: WireScope, scope: Scope) -> None:
    if len(_last_about) >= MAX_READ:
        _last_about.clear()
    _last_about[_about(wire)] = scope


def _rule(
    identifier: str,
    rule: Grant | Prohibition | Obligation,
    constraints: list[WireConstraint],
    *,
    approval: bool = False,
) -> WireRule:
    return WireRule(
        id=identifier,
        action=rule.action,
        target=rule.target,
        constraint=tuple(sorted(constraints, key=_id)),
        duty=(WireDuty(id=f"{identifier}.approval", action=OBTAIN_CONSENT),) if approval else (),
    )


def _granted(grant: Grant, base: str) -> WireRule:
    identifier = f"{base}#{grant.id}"
    constraints: list[WireConstraint] = []
    for limit in grant.limits:
        operand, unit = _operand(limit)
        constraints.append(
            WireConstraint(
                id=f"{identifier}.limit.{limit.name}",
                left_operand=operand,
                operator="lteq",
                right_operand=(limit.max,),
                unit=unit,
                per=limit.per,
            )
        )
    window = grant.window
    if window is not None and window.not_before is not None:
        constraints.append(_instant(identifier, "not-before", window.not_before))
    if window is not None and window.until is not None:
        constraints.append(_instant(identifier, "until", window.until))
    for name, values in grant.conditions.items():
        constraints.append(
            WireConstraint(
                id=f"{identifier}.condition.{name}",
                left_operand=_CONDITION[name],
                operator="isAnyOf",
                right_operand=tuple(values),
            )
        )
    return _rule(identifier, grant, constraints, approval=grant.approval)


def _obliged(obligation: Obligation, base: str) -> WireRule:
    identifier = f"{base}#{obligation.id}"
    until = obligation.until
    return _rule(identifier, obligation, [] if until is None else [_instant(identifier, "until", until)])


def _instant(rule: str, edge: str, instant: str) -> WireConstraint:
    return WireConstraint(
        id=f"{rule}.window.{edge}",
        left_operand="dateTime",
        operator="gteq" if edge == "not-before" else "lteq",
        right_operand=(instant,),
    )


def _operand(limit: Limit):
    if limit.unit == "count":
        return "count", None
    return ("payAmount" if limit.unit.isupper() else "amount"), limit.unit


def _name(identifier: str, base: str) -> str:
    if not identifier.startswith(f"{base}#"):
        raise FormatError("schema_violation", f"scope: expected an id below {base[:200]}#, got {identifier!r:.200}")
    return identifier[len(base) + 1 :]


def _grant(rule: WireRule, base: str) -> Grant:
    limits: list[Limit] = []
    edges: dict[str, str] = {}
    conditions: dict[str, tuple[str, ...]] = {}
    for constraint in rule.constraint:
        match constraint.left_operand, constraint.operator:
            case ("count" | "payAmount" | "amount") as operand, "lteq":
                unit = "count" if operand == "count" else constraint.unit or ""
                limits.append(Limit(unit, constraint.right_operand[0], constraint.per))
            case "dateTime", ("gteq" | "lteq") as operator:
                edges[_WINDOW[operator]] = constraint.right_operand[0]
            case ("dataClass" | "egress" | "region") as condition, "isAnyOf":
                conditions[condition] = constraint.right_operand
            case operand, operator:
                raise FormatError("schema_violation", f"scope: no constraint has {operand} with {operator}")
    window = Window(not_before=edges.get("not-before"), until=edges.get("until")) if edges else None
    return Grant(
        _name(rule.id, base), rule.action, rule.target, tuple(limits), window, conditions, approval=bool(rule.duty)
    )


def _obligation(rule: WireRule, base: str) -> Obligation:
    until = next((constraint.right_operand[0] for constraint in rule.constraint), None)
    return Obligation(_name(rule.id, base), rule.action, rule.target, until)
