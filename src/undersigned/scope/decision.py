"""Whether an action is inside a scope: one pure function, and the decision it gives.

No by default; a prohibition wins; a limit counts what was used and what is asked now together, so it is never
overshot. The decision says which clause decided, and on no what would pass. On yes it lists the charges, which the
caller books before it acts (`ledger.reserve`): the decision is made on a usage that others may be changing.

Source: protocol-spec/06-scope.md, section 6.5
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from undersigned.encoding import compare_amounts, parse_duration, parse_instant, shift, subtract_amounts
from undersigned.errors import FormatError, ScopeError
from undersigned.scope.model import Grant, Limit, Scope
from undersigned.scope.target import matches, parse_pattern, parse_target

__all__ = ["Action", "Charge", "GateDecision", "Usage", "counter", "permits"]

Usage = Mapping[str, Mapping[str, str]]
"""Clause -> counter -> amount used so far, decimal text; what is missing is none. Counters are named by `counter`."""

NOTHING: Final = "scope"
"""The clause that decides when no grant comes near: the scope itself. No clause can have this name."""


class Action(Struct, frozen=True, gc=False):
    """One thing to be done, as the one who asks puts it."""

    name: str
    """As grants name it, such as `artifact:read`."""
    target: str
    amounts: Mapping[str, str] = {}
    """Unit -> decimal text. `count` is 1 if not given; any other unit that the grant limits has to be stated."""
    facts: Mapping[str, str] = {}
    """Condition -> the fact, such as `{"dataClass": "public"}`."""


class Charge(Struct, frozen=True, gc=False):
    """What one action takes of one limit."""

    clause: str
    counter: str
    amount: str
    maximum: str


class GateDecision(Struct, frozen=True, gc=False, kw_only=True):
    """The answer to one action; frozen, and recorded as it is."""

    allowed: bool
    action: str
    target: str
    clause: str
    """Short name of the grant or prohibition that decided; `scope` if none came near."""
    code: str = ""
    """Empty when allowed, else the error code for the peer: `scope_exceeded` or `contract_expired`."""
    reason: str
    """In one sentence, for our operator."""
    would_pass: str = ""
    """On no: what would have passed; empty if nothing does."""
    charges: tuple[Charge, ...] = ()
    """On yes: what has to be reserved before acting."""

    def require(self) -> GateDecision:
        """The decision itself, if it allows.

        Raises:
            ScopeError: It does not; `detail["clause"]` and `detail["would_pass"]` say more.
        """
        if self.allowed:
            return self
        raise ScopeError(self.code, self.reason, clause=self.clause, would_pass=self.would_pass)


def counter(limit: Limit, now: str) -> str:
    """The name under which use of this limit is counted now: `bytes`, or with the period's first instant.

    Periods begin at multiples of their length since 1970-01-01T00:00:00Z, so two parties count the same ones.
    """
    if limit.per is None:
        return limit.unit
    elapsed = int(parse_instant(now).timestamp()) % parse_duration(limit.per)
    return f"{limit.name}@{shift(now, -elapsed)}"


def permits(scope: Scope, usage: Usage, action: Action, now: str) -> GateDecision:
    """Whether `action` lies inside `scope` at `now`, after `usage`.

    The first grant that allows it decides; on no, the one that came nearest. Instants are inclusive. A request that
    cannot be parsed is refused like any other.

    Source: protocol-spec/06-scope.md, section 6.5
    """
    parse_instant(now)

    # Step 1: the request is what it seems. Its amounts cannot lower a counter, its target has one reading.
    try:
        target = parse_target(action.target)
        amounts = _amounts(action)
    except FormatError as exc:
        return _no(action, NOTHING, exc.message, "a plain request")

    # Step 2: prohibitions win.
    for prohibition in scope.prohibitions:
        if prohibition.action == action.name and matches(parse_pattern(prohibition.target), target):
            return _no(action, prohibition.id, f"{action.name} on {prohibition.target} is prohibited", "")

    # Step 3: the first grant that allows decides.
    nearest: tuple[int, GateDecision] | None = None
    for grant in scope.grants:
        if grant.action != action.name:
            continue
        if not matches(parse_pattern(grant.target), target):
            reached, decision = 0, _no(action, grant.id, "the target is outside the grant", f"target {grant.target}")
        else:
            reached, decision = _weigh(grant, usage.get(grant.id, {}), action, amounts, now)
        if decision.allowed:
            return decision
        if nearest is None or reached > nearest[0]:
            nearest = reached, decision
    if nearest is not None:
        return nearest[1]

    # Step 4: no by default.
    actions = ", ".join(sorted({grant.action for grant in scope.grants}))
    return _no(action, NOTHING, f"no grant names {action.name!r:.80}", f"action {actions}" if actions else "")


def _weigh(
    grant: Grant, used: Mapping[str, str], action: Action, amounts: Mapping[str, str], now: str
) -> tuple[int, GateDecision]:
    """How far the grant carries the action (more is nearer), and what it says."""
    window = grant.window
    if window is not None and window.not_before is not None and now < window.not_before:
        return 1, _no(action, grant.id, "the grant has not begun", f"from {window.not_before}")
    if window is not None and window.until is not None and now > window.until:
        return 1, _no(action, grant.id, "the grant has ended", f"until {window.until}")
    for name, values in grant.conditions.items():
        fact = action.facts.get(name)
        if fact not in values:
            return 2, _no(
                action,
                grant.id,
                f"{name} is not stated" if fact is None else f"{name} is {fact!r:.80}",
                f"{name} {' or '.join(values)}",
            )
    charges: list[Charge] = []
    for limit in grant.limits:
        amount = amounts.get(limit.unit)
        name = counter(limit, now)
        spent = used.get(name, "0")
        per = "" if limit.per is None else f" per {limit.per}"
        left = subtract_amounts(limit.max, spent)
        if amount is None:
            return 3, _no(
                action, grant.id, f"an amount of {limit.unit} is not stated", f"{limit.unit} up to {left}{per}"
            )
        if compare_amounts(amount, left) > 0:
            return 3, _no(
                action,
                grant.id,
                f"{amount} {limit.unit}{per} is more than what is left: {limit.max} granted, {spent} used",
                f"{limit.unit} up to {left}{per}" if compare_amounts(left, "0") > 0 else "",
            )
        charges.append(Charge(grant.id, name, amount, limit.max))
    return 4, GateDecision(
        allowed=True,
        action=action.name,
        target=action.target,
        clause=grant.id,
        reason=f"granted by {grant.id}",
        charges=tuple(charges),
    )


def _amounts(action: Action) -> dict[str, str]:
    amounts = {"count": "1", **action.amounts}
    for unit, amount in amounts.items():
        if compare_amounts(amount, "0") < 0:
            raise FormatError(
                "schema_violation", f"{unit!r:.40}: expected an amount that is not negative, got {amount}"
            )
    if "." in amounts["count"] or amounts["count"] == "0":
        raise FormatError("schema_violation", f"count: expected a whole number from 1, got {amounts['count']}")
    return amounts


def _no(action: Action, clause: str, reason: str, would_pass: str) -> GateDecision:
    return GateDecision(
        allowed=False,
        action=action.name,
        target=action.target,
        clause=clause,
        code="scope_exceeded",
        reason=reason,
        would_pass=would_pass,
    )
