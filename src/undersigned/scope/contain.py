"""Whether one scope lies inside another, decided by structure and never by trying actions.

Every grant of the narrower scope draws on one grant of the wider one. Limits are shared and not copied: grants that
draw on the same grant never total more than its limit. The answer may be no where a cleverer assignment of grants
would have found a yes; it is never yes where the narrower scope permits more.

Source: protocol-spec/06-scope.md, section 6.4
"""

from __future__ import annotations

from undersigned.encoding import canonicalize, compare_amounts, subtract_amounts
from undersigned.errors import ScopeError
from undersigned.scope.model import Grant, Limit, Prohibition, Scope, Window
from undersigned.scope.target import forbids, inside, parse_pattern

__all__ = ["attenuate", "contains", "draws"]


def contains(parent: Scope, child: Scope) -> bool:
    """Whether whatever `child` permits, `parent` permits, use counted together.

    Raises:
        FormatError: As `canonicalize`: an extension of both is no JSON.
    """
    try:
        draws(parent, child)
    except ScopeError:
        return False
    return True


def attenuate(scope: Scope, to: Scope) -> Scope:
    """The narrower scope `to`, once it is known to lie inside `scope`.

    Raises:
        ScopeError: `scope_exceeded`: it does not; `detail["clause"]` is the first clause that has no place.
        FormatError: As `contains`.

    Source: protocol-spec/06-scope.md, section 6.4
    """
    draws(scope, to)
    return to


def draws(parent: Scope, child: Scope) -> dict[str, str]:
    """For each grant of `child` the grant of `parent` it draws on, by short name: its use is use of that one.

    Raises:
        ScopeError: `scope_exceeded`: `child` does not lie inside `parent`; `detail["clause"]` names the clause.
        FormatError: As `contains`.

    Source: protocol-spec/06-scope.md, section 6.4
    """
    # Step 1: what the parent forbids or demands, the child forbids and demands.
    for prohibition in parent.prohibitions:
        if not any(_forbids(own, prohibition) for own in child.prohibitions):
            raise _outside(
                prohibition.id, f"the prohibition of {prohibition.action} {prohibition.target} is not carried over"
            )
    kept = {(duty.action, duty.target, duty.until) for duty in child.obligations}
    for obligation in parent.obligations:
        if (obligation.action, obligation.target, obligation.until) not in kept:
            raise _outside(obligation.id, f"the obligation {obligation.action} {obligation.target} is not carried over")

    # Step 2: an extension may narrow, in a way that only those who understand it know. It is carried over whole.
    for uri, value in parent.extensions.items():
        # As JSON: what is left out is no `null`, and `true` is no 1.
        same = uri in child.extensions and canonicalize(child.extensions[uri]) == canonicalize(value)
        if not same or (uri in parent.critical and uri not in child.critical):
            raise _outside("scope", f"the extension {uri} is not carried over")

    # Step 3: each grant finds one to draw on, with what is left of its limits.
    left = {grant.id: {limit.name: limit.max for limit in grant.limits} for grant in parent.grants}
    found: dict[str, str] = {}
    for own in child.grants:
        for wide in parent.grants:
            if _covers(wide, own) and _fits(wide, own, left[wide.id]):
                for limit in wide.limits:
                    taken = _own(own, limit)
                    if taken is not None:
                        left[wide.id][limit.name] = subtract_amounts(left[wide.id][limit.name], taken.max)
                found[own.id] = wide.id
                break
        else:
            raise _outside(own.id, f"no grant covers {own.action} {own.target} so far{_short(parent, own, left)}")
    return found


def _covers(wide: Grant, narrow: Grant) -> bool:
    """Action, target, window, conditions and approval; limits apart."""
    if wide.action != narrow.action or not inside(parse_pattern(wide.target), parse_pattern(narrow.target)):
        return False
    if wide.window is not None and not _within(wide.window, narrow.window):
        return False
    if wide.approval and not narrow.approval:
        return False
    return all(
        name in narrow.conditions and set(narrow.conditions[name]) <= set(values)
        for name, values in wide.conditions.items()
    )


def _within(wide: Window, narrow: Window | None) -> bool:
    if narrow is None:
        return False
    if wide.not_before is not None and (narrow.not_before is None or narrow.not_before < wide.not_before):
        return False
    return wide.until is None or (narrow.until is not None and narrow.until <= wide.until)


def _fits(wide: Grant, narrow: Grant, left: dict[str, str]) -> bool:
    """Every limit of the wider grant stands in the narrower one too, and within what is left of it."""
    for limit in wide.limits:
        own = _own(narrow, limit)
        if own is None or compare_amounts(own.max, left[limit.name]) > 0:
            return False
    return True


def _short(parent: Scope, narrow: Grant, left: dict[str, dict[str, str]]) -> str:
    """Which limit is missing or too high, where only limits keep a grant out."""
    for wide in parent.grants:
        for limit in wide.limits if _covers(wide, narrow) else ():
            own, room = _own(narrow, limit), left[wide.id][limit.name]
            if own is None:
                return f": the limit {limit.name} of {wide.id} is left out"
            if compare_amounts(own.max, room) > 0:
                return f": {limit.name} up to {own.max} is more than what is left of {wide.id}, {room}"
    return ""


def _own(grant: Grant, limit: Limit) -> Limit | None:
    """The grant's limit of the same unit and the same period; periods begin together, so their counts compare."""
    for own in grant.limits:
        if own.name == limit.name:
            return own
    return None


def _forbids(own: Prohibition, prohibition: Prohibition) -> bool:
    return own.action == prohibition.action and forbids(parse_pattern(own.target), parse_pattern(prohibition.target))


def _outside(clause: str, why: str) -> ScopeError:
    return ScopeError("scope_exceeded", why, clause=clause)
