"""Whether an action is inside a scope: one pure function, and the decision it gives.

No by default; a prohibition wins; a limit counts what was used and what is asked now together, so it is never
overshot. There are three answers: yes, no, and "a person has to agree first". The decision says which clause decided,
what is left, and on no what would pass. On yes it lists the charges, which the caller books before it acts
(`ledger.reserve`): the decision is made on a usage that others may be changing.

Source: protocol-spec/06-scope.md, section 6.5
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, Literal, cast

from msgspec import Struct
from msgspec.structs import force_setattr

from undersigned.encoding import (
    Digest,
    Instant,
    compare_amounts,
    digest_of,
    parse_duration,
    parse_instant,
    shift,
    subtract_amounts,
)
from undersigned.errors import FormatError, ScopeError
from undersigned.scope.model import CONDITIONS, Grant, Limit, Scope, amount_in_words
from undersigned.scope.target import forbids, inside, parse_pattern, parse_target

__all__ = [
    "APPROVAL",
    "Action",
    "Approved",
    "Charge",
    "GateDecision",
    "Usage",
    "anew",
    "arguments_of",
    "counter",
    "permits",
    "stated",
]

Usage = Mapping[str, Mapping[str, str]]
"""Clause -> counter -> amount used so far, decimal text; what is missing is none. Counters are named by `counter`."""

NOTHING: Final = "scope"
"""The clause that decides when no grant comes near: the scope itself. No clause can have this name."""

APPROVAL: Final = "approval"
"""What a use of an approval is counted under, followed by a colon and the name of the request."""


class Action(Struct, frozen=True, gc=False):
    """One thing to be done, as the one who asks puts it."""

    name: str
    """As grants name it, such as `artifact:read`."""
    target: str
    amounts: Mapping[str, str] = {}
    """Unit -> decimal text, or an integer, which becomes text. `count` is 1 if not given; any other unit that the grant
    limits has to be stated. A float is refused like anything that cannot be parsed."""
    facts: Mapping[str, str] = {}
    """Condition -> the fact, such as `{"dataClass": "public"}`."""

    def __post_init__(self) -> None:
        given = cast("Mapping[str, object]", self.amounts)
        if not all(isinstance(amount, str) for amount in given.values()):
            # Callers' code is not checked by us; what is no amount stays readable, for the record of its refusal.
            force_setattr(self, "amounts", {unit: _text(amount) for unit, amount in given.items()})


class Approved(Struct, frozen=True, gc=False, kw_only=True):
    """A person's yes to one action, as `ApprovalRequest` and `Approval` say it together."""

    request: Digest
    """Names it: the digest of the request."""
    clause: str
    """Short name of the grant under which the action is done."""
    arguments: Digest
    """`arguments_of` the action."""
    uses: int
    """How often the action may be done."""
    until: Instant
    """Last instant at which it may be begun."""


class Charge(Struct, frozen=True, gc=False):
    """What one action takes of one limit."""

    clause: str
    counter: str
    amount: str
    maximum: str
    limit: str
    """Name of the limit, as `GateDecision.remaining` has it."""


class GateDecision(Struct, frozen=True, gc=False, kw_only=True):
    """The answer to one action; frozen, and recorded as it is."""

    allowed: bool
    action: str
    target: str
    clause: str
    """Short name of the grant or prohibition that decided; `scope` if none came near."""
    code: str = ""
    """Empty when allowed, else the error code for the peer: `scope_exceeded`, `contract_expired` or
    `approval_required`."""
    reason: str
    """In one sentence, for our operator."""
    would_pass: str = ""
    """On no: what would have passed; empty if nothing does."""
    remaining: Mapping[str, str] = {}
    """Name of each limit of the clause, such as `count.PT1M` -> what is left of it: on yes after this action. Less than
    nothing if an action turned out to use more than was reserved for it."""
    charges: tuple[Charge, ...] = ()
    """On yes: what has to be reserved before acting."""

    @property
    def answer(self) -> Literal["yes", "no", "ask"]:
        """`ask`: it would be a yes, once a person has agreed."""
        return "yes" if self.allowed else "ask" if self.code == "approval_required" else "no"

    def require(self) -> GateDecision:
        """The decision itself, if it allows.

        Raises:
            ScopeError: It does not; `detail` has `clause`, `would_pass` and `remaining`.
        """
        if self.allowed:
            return self
        raise ScopeError(
            self.code, self.reason, clause=self.clause, would_pass=self.would_pass, remaining=dict(self.remaining)
        )

    def explain(self) -> str:
        """For a person, on one line: the answer, the clause, what is left and what would pass."""
        said = f"{self.answer}: {self.action} on {self.target} [{self.clause}] {self.reason}"
        if self.remaining:
            left = (name.partition(".") for name in self.remaining)
            words = (
                amount_in_words(amount, unit, per or None)
                for (unit, _, per), amount in zip(left, self.remaining.values(), strict=True)
            )
            said += f"; left: {', '.join(words)}"
        return said + (f"; would pass: {self.would_pass}" if self.would_pass else "")


def counter(limit: Limit, now: str) -> str:
    """The name under which use of this limit is counted now: `bytes`, or with the period's first instant.

    Periods begin at multiples of their length since 1970-01-01T00:00:00Z, so two parties count the same ones.
    """
    if limit.per is None:
        return limit.unit
    return f"{limit.name}@{_began(limit.per, now)}"


def anew(limit: Limit, now: str) -> Instant | None:
    """When the next period of a limit begins, in which it is counted anew; None: it has none."""
    return None if limit.per is None else shift(_began(limit.per, now), parse_duration(limit.per))


def _began(per: str, now: str) -> Instant:
    return shift(now, -(int(parse_instant(now).timestamp()) % parse_duration(per)))


def arguments_of(action: Action) -> Digest:
    """Names what is asked for, exactly: name, target in its only spelling, and amounts. Facts are each gate's own.

    Raises:
        FormatError: `schema_violation`: the target or an amount cannot be parsed.

    Source: protocol-spec/06-scope.md, section 6.5
    """
    target, amounts = stated(action)
    return digest_of({"action": action.name, "target": target, "amounts": amounts})


def stated(action: Action) -> tuple[str, dict[str, str]]:
    """Target in its only spelling, and all amounts, `count` among them. Raises as `arguments_of`."""
    return str(parse_target(action.target)), _amounts(action)


def permits(scope: Scope, usage: Usage, action: Action, now: str, approved: Collection[Approved] = ()) -> GateDecision:
    """Whether `action` lies inside `scope` at `now`, after `usage`; `approved` are a person's answers so far.

    The first grant that allows it decides, before any that would ask a person; on no, the one that came nearest.
    Instants are inclusive. A request that cannot be parsed is refused like any other.

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
        if prohibition.action == action.name and forbids(parse_pattern(prohibition.target), target):
            return _no(action, prohibition.id, f"{action.name} on {prohibition.target} is prohibited", "")

    # Step 3: the first grant that allows decides; one that asks a person stands behind all that do not.
    nearest: tuple[int, GateDecision] | None = None
    for grant in scope.grants:
        if grant.action != action.name:
            continue
        if not inside(parse_pattern(grant.target), target):
            reached, decision = 0, _no(action, grant.id, "the target is outside the grant", f"target {grant.target}")
        else:
            reached, decision = _weigh(grant, usage.get(grant.id, {}), action, amounts, now, approved)
        if decision.allowed and not grant.approval:
            return decision
        if nearest is None or reached > nearest[0]:
            nearest = reached, decision
    if nearest is not None:
        return nearest[1]

    # Step 4: no by default.
    actions = ", ".join(sorted({grant.action for grant in scope.grants}))
    return _no(action, NOTHING, f"no grant names {action.name!r:.80}", f"action {actions}" if actions else "")


def _weigh(
    grant: Grant,
    used: Mapping[str, str],
    action: Action,
    amounts: Mapping[str, str],
    now: str,
    approved: Collection[Approved],
) -> tuple[int, GateDecision]:
    """How far the grant carries the action (more is nearer), and what it says."""
    names = {limit.name: counter(limit, now) for limit in grant.limits}
    left = {limit.name: subtract_amounts(limit.max, used.get(names[limit.name], "0")) for limit in grant.limits}
    window = grant.window
    if window is not None and window.not_before is not None and now < window.not_before:
        return 1, _no(action, grant.id, "the grant has not begun", f"from {window.not_before}", left)
    if window is not None and window.until is not None and now > window.until:
        return 1, _no(action, grant.id, "the grant has ended", "", left)
    for name, values in grant.conditions.items():
        fact = action.facts.get(name)
        if fact not in values:
            what = CONDITIONS[name]
            return 2, _no(
                action,
                grant.id,
                f"the {what} is not known" if fact is None else f"the {what} is {fact!r:.80}",
                f"{what} {' or '.join(values)}",
                left,
            )
    charges: list[Charge] = []
    for limit in grant.limits:
        amount = amounts.get(limit.unit)
        room = left[limit.name]
        words = f"{limit.unit} up to {room}{'' if limit.per is None else f' per {limit.per}'}"
        if amount is None:
            return 3, _no(action, grant.id, f"an amount of {limit.unit} is not stated", words, left)
        if compare_amounts(amount, room) > 0:
            return 3, _no(
                action,
                grant.id,
                f"{amount} {limit.unit} is more than what is left of {limit.explain()}",
                " or ".join([words] * (compare_amounts(room, "0") > 0) + _later(grant, limit, amount, now)),
                left,
            )
        charges.append(Charge(grant.id, names[limit.name], amount, limit.max, limit.name))
    if grant.approval:
        found = _approval(grant, action, used, now, approved)
        if found is None:
            return 4, _no(
                action,
                grant.id,
                "a person of the hirer has to agree to it first",
                "a person's approval",
                left,
                code="approval_required",
            )
        charges.append(Charge(grant.id, _uses(found), "1", str(found.uses), APPROVAL))
    return 5, GateDecision(
        allowed=True,
        action=action.name,
        target=action.target,
        clause=grant.id,
        reason=f"granted by {grant.id}",
        remaining={
            charge.limit: subtract_amounts(left[charge.limit], charge.amount)
            for charge in charges
            if charge.limit in left
        },
        charges=tuple(charges),
    )


def _approval(
    grant: Grant, action: Action, used: Mapping[str, str], now: str, approved: Collection[Approved]
) -> Approved | None:
    """An approval of this very action under this grant that is not used up."""
    wanted: Digest | None = None
    for one in approved:
        if one.clause != grant.id or now > one.until or compare_amounts(used.get(_uses(one), "0"), str(one.uses)) >= 0:
            continue
        wanted = wanted or arguments_of(action)
        if one.arguments == wanted:
            return one
    return None


def _uses(approved: Approved) -> str:
    return f"{APPROVAL}:{approved.request}"


def _text(amount: object) -> str:
    """`5` of 5; of what is neither text nor an integer, a text that is no amount."""
    if isinstance(amount, str) or (isinstance(amount, int) and not isinstance(amount, bool)):
        return str(amount)
    return f"{type(amount).__name__} {amount!r:.60}"


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


def _later(grant: Grant, limit: Limit, amount: str, now: str) -> list[str]:
    """When so much passes that does not now: once the next period has begun, if the grant lasts until then."""
    begins = anew(limit, now)
    if begins is None or compare_amounts(amount, limit.max) > 0:
        return []
    ends = grant.window.until if grant.window is not None else None
    return [f"as much from {begins}"] if ends is None or begins <= ends else []


def _no(
    action: Action,
    clause: str,
    reason: str,
    would_pass: str,
    left: Mapping[str, str] | None = None,
    code: str = "scope_exceeded",
) -> GateDecision:
    return GateDecision(
        allowed=False,
        action=action.name,
        target=action.target,
        clause=clause,
        code=code,
        reason=reason,
        would_pass=would_pass,
        remaining=left or {},
    )
