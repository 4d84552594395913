"""What a policy demands, clause by clause, in plain words.

Source: protocol-spec/13-policy.md, section 13.1
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from undersigned.credentials import CLAIMS
from undersigned.encoding import Instant, from_struct
from undersigned.trust.anchors import Anchors
from undersigned.trust.cedar import CedarPolicy, read_cedar
from undersigned.trust.edge import KINDS, units_of
from undersigned.trust.policy import Demand, Policy, Rule

__all__ = ["CLAUSES", "Clause", "explain_policy"]


class Clause(NamedTuple):
    """One demand of a policy."""

    clause: str
    """As reasons name it."""
    says: str
    """The demand, for a person."""


Says = Callable[[Policy], str]

CLAUSES: Final[Mapping[str, Says]] = MappingProxyType(
    {
        "require": lambda of: _each(
            of.require, "no credential is required", "each is shown, valid and not withdrawn: "
        ),
        "allow_self_issued": lambda of: (
            "what its holder issued itself counts"
            if of.allow_self_issued
            else "what its holder issued itself counts for nothing"
        ),
        "accused": lambda _: "refused, whatever is shown: who is accused by somebody whose accusations count",
        "refuse": lambda of: _each(
            of.refuse, "nobody is refused by name", "refused as party, issuer, arbiter and verifier: "
        ),
        "refuse_capabilities": lambda of: _each(
            of.refuse_capabilities, "no work is refused by its kind", "refused, for whatever price: "
        ),
        "currency": lambda of: f"prices are in {of.currency}" if of.currency else "prices are in any currency",
        "max_price": lambda of: _limit(of.max_price, of, "at most {} is paid", "a price may be as high as it likes"),
        "min_price": lambda of: _limit(of.min_price, of, "at least {} is taken", "a price may be as low as it likes"),
        "ask_above": lambda of: _limit(
            of.ask_above, of, "above {} a person decides", "no price is put to a person because of its amount"
        ),
        "two_above": lambda of: _limit(of.two_above, of, "above {} two people decide", "no price is put to two people"),
        "max_fee": lambda of: _limit(
            of.max_fee or of.max_price, of, "a fee for an end without cause is at most {}", "such a fee may be any"
        ),
        "arbiters": lambda of: (
            "anybody may be named to rule on disputes who is not of the other side; a ruling may be for any amount"
            if of.arbiters is None
            else _each(of.arbiters, "nobody may be named to rule on disputes", "may be named to rule on disputes: ")
        ),
        "actions": lambda of: (
            "a scope may grant any action"
            if of.actions is None
            else _each(of.actions, "a scope may grant no action", "a scope may grant only: ")
        ),
        "max_duration": lambda of: (
            f"authority ends at most {of.max_duration} from now" if of.max_duration else "authority may last any time"
        ),
        "allow_subcontracting": lambda of: (
            "the provider may be allowed to subcontract" if of.allow_subcontracting else "no subcontracting"
        ),
        "ask": lambda of: (
            "a person decides about every contract that is not refused"
            if of.ask
            else "a person is asked only where a clause says so"
        ),
    }
)
"""Every clause but those in Cedar, in the order in which it is told."""
_TOLD_APART: Final = frozenset({"name", "version", "rule", "cedar"})


def explain_policy(policy: Policy, anchors: Anchors | None = None, now: Instant | None = None) -> tuple[Clause, ...]:
    """Every demand of `policy`; with `anchors`, whose word counts about each required type at `now`.

    Raises:
        ConfigurationError: `missing_extra`: the policy has Cedar, and the extra is not installed.

    Source: protocol-spec/13-policy.md, section 13.1
    """
    told: list[Clause] = []
    for name, says in CLAUSES.items():
        told.append(Clause(name, says(policy)))
        if name == "require" and anchors is not None:
            told += [Clause(name, _believed(required, anchors, now)) for required in policy.require]
        if name == "require":
            told += [Clause(name, text) for required in policy.require for text in _open(required, anchors)]
    # A clause without words of its own is shown as it is written rather than not at all.
    unsaid: dict[str, Any] = from_struct(policy)
    told += [Clause(name, str(value)) for name, value in unsaid.items() if name not in {*CLAUSES, *_TOLD_APART}]
    for rule in policy.rule:
        told.append(Clause(f"rule {rule.name}", _rule(rule, policy)))
        demanded = dict.fromkeys(demand.type for demand in rule.credentials if not demand.issuers)
        told += [Clause(f"rule {rule.name}", text) for type in demanded for text in _open(type, anchors)]
        if rule.min_reputation is not None and anchors is not None:
            told += [Clause(f"rule {rule.name}", text) for text in _given_freely(rule.min_reputation, anchors, now)]
    if policy.cedar is not None:
        told.append(Clause("cedar", f"a peer is asked to show: {', '.join(policy.types) or 'nothing'}"))
        told.append(Clause("cedar", "whatever the clauses above allow, these policies have to permit as well"))
        told += [Clause(f"cedar:{one.id}", _cedar(one)) for one in read_cedar(policy.cedar).policies]
    return tuple(told)


def _each(listed: tuple[str, ...], none: str, some: str) -> str:
    return f"{some}{', '.join(listed)}" if listed else none


def _limit(amount: str | None, of: Policy, limited: str, unlimited: str) -> str:
    return unlimited if amount is None else limited.format(f"{amount} {of.currency}")


def _believed(required: str, anchors: Anchors, now: Instant | None) -> str:
    issuers = anchors.issuers(required, now=now)
    if not issuers:
        return f"{required}: from nobody, because no anchor is believed about it"
    return f"{required}: from {' or '.join(issuers)}, or whom a chain from there entitles"


def _open(required: str, anchors: Anchors | None) -> list[str]:
    """What to say of a type that neither we nor an anchor name. Types are open: one that is misspelled is one."""
    if required in CLAIMS or (anchors is not None and any(required in one.types for one in anchors.anchors)):
        return []
    near = get_close_matches(required, CLAIMS, 1)
    hint = f"; is {near[0]} meant?" if near else ""
    return [f"{required}: no type that is known here, so no rule here says who may issue it, nor what it holds{hint}"]


def _rule(rule: Rule, of: Policy) -> str:
    where = [f"for {' or '.join(rule.capabilities)}" if rule.capabilities else "for any work"]
    if rule.above is not None:
        where.append(f"above {rule.above} {of.currency}")
    needs = [_demand(demand) for demand in rule.credentials]
    if rule.min_reputation is not None:
        needs.append(f"a reputation of at least {rule.min_reputation}")
    return f"{' '.join(where)}: {'; '.join(needs) or 'nothing more'}"


def _given_freely(least: str, anchors: Anchors, now: Instant | None) -> list[str]:
    """Which anchors give this reputation for any work, by what they say about no capability."""
    enough = [of for of in KINDS.values() if of.capability is None and 0 < units_of(least) <= of.weight]
    said: dict[str, list[str]] = {}
    for of in enough:
        for issuer in anchors.issuers(of.claim.type, now=now):
            said.setdefault(issuer, []).append(of.claim.type)
    return [
        f"beware: a {' or '.join(types)} by {issuer} is enough for that, whatever the work; an anchor that names types "
        "or capabilities gives less"
        for issuer, types in sorted(said.items())
    ]


def _demand(demand: Demand) -> str:
    parts = [demand.type]
    if demand.capability is not None:
        parts.append(f"about {demand.capability}")
    if demand.issuers:
        parts.append(f"by {' or '.join(demand.issuers)}")
    return " ".join([*parts, *demand.bounds])


def _cedar(policy: CedarPolicy) -> str:
    does = "asks a person about what it matches" if policy.asks else f"{policy.effect}s what it matches"
    needs = f"; what would change that: {policy.needs}" if policy.needs else ""
    would_pass = f"; would pass: {policy.would_pass}" if policy.would_pass else ""
    body = " ".join(line for line in policy.text.splitlines() if not line.startswith("@"))
    return f"{does}{needs}{would_pass}: {body}"
