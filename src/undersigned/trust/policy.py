"""The rules by which a peer and its terms are judged; small, in TOML, and the same for both sides.

Everything not written is cautious: a membership credential from an anchor is required, self-issued ones do not count,
and no price, lifetime or action is limited only because it is limited by the scope that we offer ourselves.

    [policy]
    currency = "EUR"
    refuse_capabilities = ["face-recognition"]

    [[policy.rule]]
    name = "large"
    capabilities = ["sbom"]
    above = "100"
    min_reputation = "0.2"
    credentials = [{ type = "AccreditedByCredential", capability = "sbom", max_age = "P90D", max_links = 1 }]

Source: protocol-spec/02-identity-and-keys.md, section 2.8; protocol-spec/12-trust.md, section 12.9
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any

from msgspec import Meta, Struct
from msgspec.structs import replace

from undersigned.contract import Price, Terms
from undersigned.encoding import (
    FOREIGN_LIMITS,
    Amount,
    Did,
    Duration,
    compare_amounts,
    decode_json,
    to_struct,
)
from undersigned.errors import ConfigurationError, FormatError
from undersigned.scope import ACTION_PATTERN
from undersigned.trust.cedar import CedarPolicy, read_cedar
from undersigned.trust.edge import MAX_DEPTH
from undersigned.trust.written import DecisionInput

__all__ = ["Demand", "Policy", "Rule", "Stake"]

MAX_DEMANDS = 32
"""Of all rules together; a request names each, and asks for reputation beside them."""

MAX_ASKED = 63
"""Types of credential that a request may name; it has one place more, for what is asked beside them."""

_SHOWN = replace(FOREIGN_LIMITS, max_bytes=8 * 1024 * 1024, max_string=8 * 1024 * 1024)

Name = Annotated[str, Meta(min_length=1, max_length=128)]
Score = Annotated[str, Meta(pattern=r"^(0|1|0\.[0-9]{0,8}[1-9])(?!\n)$")]


class Stake(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, cache_hash=True):
    """What is at stake while there are no terms yet: what the work is, and the price thought of."""

    capability: Name
    """What the provider's profile calls it."""
    price: Price | None = None
    """None: it could be any."""

    @classmethod
    def of(cls, terms: Terms) -> Stake:
        """What these terms put at stake."""
        return cls(capability=terms.task.kind, price=terms.price)


class Demand(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A credential that has to be shown: one that is all of this, valid, and by somebody entitled to it."""

    type: Name
    capability: Name | None = None
    """What it has to be about; None: anything."""
    issuers: Annotated[tuple[Did, ...], Meta(max_length=64)] = ()
    """Only by one of these. It narrows whom the anchors entitle, and entitles nobody by itself."""
    max_age: Duration | None = None
    """How long ago its validity may have begun."""
    max_links: Annotated[int, Meta(ge=0, le=MAX_DEPTH)] = MAX_DEPTH
    """How far from an anchor its issuer may be; with 0 only an anchor's own credential will do."""

    @property
    def bounds(self) -> list[str]:
        """How old, and how far from an anchor, it may be, in words; neither, if it may be any."""
        age = [f"no older than {self.max_age}"] if self.max_age is not None else []
        return [*age, *([f"at most {self.max_links} links from an anchor"] if self.max_links < MAX_DEPTH else [])]


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What has to be so beside the rest, where these capabilities and such amounts are at stake."""

    name: Name
    """How decisions name it: `rule NAME`."""
    capabilities: Annotated[tuple[Name, ...], Meta(max_length=64)] = ()
    """Kinds of work; empty: any."""
    above: Amount | None = None
    """Only for a higher price than this; None: for any."""
    credentials: Annotated[tuple[Demand, ...], Meta(max_length=MAX_DEMANDS)] = ()
    min_reputation: Score | None = None
    """Of the other side, for the capability at stake; 0 to 1."""

    def covers(self, stake: Stake | None, currency: str | None) -> bool:
        """Whether it holds for this; what is not known, or is in another currency, could be it."""
        if stake is None:
            return True
        if self.capabilities and stake.capability not in self.capabilities:
            return False
        price = stake.price
        if self.above is None or price is None or price.currency != currency:
            return True
        return compare_amounts(price.amount, self.above) > 0


class Policy(DecisionInput, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, cache_hash=True):
    """What has to be so; each field is one clause, and decisions name it."""

    name: Name = "default"
    version: Name = "1"
    require: Annotated[tuple[Name, ...], Meta(max_length=64)] = ("MembershipCredential",)
    """Types of credential, each to be shown once at least, valid, and from an anchor for that type."""
    allow_self_issued: bool = False
    """Whether a credential that its own holder issued counts, without being an anchor's."""
    refuse: Annotated[tuple[Did, ...], Meta(max_length=1024)] = ()
    """Who is refused, and whoever shows a credential that one of these issued; nor does a chain count that leads
    through one, nor may terms name one as arbiter or verifier. Nobody named here is asked for work, or shown anything.
    """
    refuse_capabilities: Annotated[tuple[Name, ...], Meta(max_length=256)] = ()
    """Kinds of work that are never dealt in, or asked for, for whatever price."""
    rule: Annotated[tuple[Rule, ...], Meta(max_length=64)] = ()
    """What has to be so beside, by capability and by amount at stake."""
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}(?!\n)$")] | None = None
    """The one currency that is dealt in; needed if a price is limited."""
    max_price: Amount | None = None
    """Most that is paid. Inclusive."""
    min_price: Amount | None = None
    """Least that is taken. Inclusive."""
    ask_above: Amount | None = None
    """A person decides about a higher price."""
    two_above: Amount | None = None
    """Two people decide about a higher price."""
    max_fee: Amount | None = None
    """Most that terms may state as the fee of an end without cause, inclusive; absent: as much as a price may be."""
    arbiters: Annotated[tuple[Did, ...], Meta(max_length=256)] | None = None
    """Who may be named to rule on disputes; absent: anybody who is not refused and not of the other side."""
    actions: Annotated[tuple[Name, ...], Meta(max_length=256)] | None = None
    """Actions that a scope may grant; absent: any."""
    max_duration: Duration | None = None
    """From now to the end of authority."""
    allow_subcontracting: bool = True
    ask: bool = False
    """A person decides about every contract that is not refused."""
    cedar: Annotated[str, Meta(min_length=1, max_length=65_536)] | None = None
    """Policies in Cedar, which have to permit it as well."""

    @classmethod
    def from_toml(cls, table: Mapping[str, Any]) -> Policy:
        """The policy in a parsed TOML table.

        Raises:
            ConfigurationError: `bad_configuration`, and what was expected.
        """
        if not isinstance(table, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - callers' code is not checked by us
            text = f"policy: expected a table, as tomllib.loads() makes of a file, got {table!r:.80}"
            raise ConfigurationError("bad_configuration", text)
        try:
            policy = to_struct(dict(table), cls)
            # Packs show it, and nobody reads one with a text that JSON leaves out.
            decode_json(policy.canonical, _SHOWN)
        except FormatError as exc:
            raise ConfigurationError("bad_configuration", f"policy{exc.path}: {exc.message}") from exc
        return policy.checked()

    def checked(self) -> Policy:
        """The same policy, once what it limits has a unit (ten of what?), its actions are such, its rules can be named
        and asked for, and its Cedar can be meant.

        Raises:
            ConfigurationError: `bad_configuration`; `missing_extra`: it has Cedar, and the extra is not installed.
        """
        prices = (self.max_price, self.min_price, self.max_fee, self.ask_above, self.two_above)
        limits = (*prices, *(rule.above for rule in self.rule))
        if self.currency is None and any(limit is not None for limit in limits):
            raise ConfigurationError("bad_configuration", "policy: a limited price needs its `currency`")
        if (
            below := next((limit for limit in limits if limit is not None and limit.startswith("-")), None)
        ) is not None:
            raise ConfigurationError(
                "bad_configuration", f"policy: expected a limit of a price, 0 or more; got {below}"
            )
        if strange := [one for one in self.actions or () if not re.fullmatch(ACTION_PATTERN, one)]:
            raise ConfigurationError(
                "bad_configuration", f"policy: expected actions such as artifact:read, got {strange[0]!a:.80}"
            )
        if len({rule.name for rule in self.rule}) < len(self.rule):
            raise ConfigurationError("bad_configuration", "policy: two rules have one name")
        if sum(len(rule.credentials) for rule in self.rule) > MAX_DEMANDS:
            raise ConfigurationError("bad_configuration", f"policy: rules demand more than {MAX_DEMANDS} credentials")
        _in_cedar(self)  # whatever is remembered of it, it has to be read where it is to be used
        if len(self.asked(None)) > MAX_ASKED:
            raise ConfigurationError("bad_configuration", f"policy: it asks for more than {MAX_ASKED} types")
        return self

    def rules(self, stake: Stake | None) -> tuple[Rule, ...]:
        """The rules that hold where this is at stake."""
        return tuple([rule for rule in self.rule if rule.covers(stake, self.currency)])

    def demands(self, stake: Stake | None) -> tuple[tuple[str, Demand], ...]:
        """The credentials that have to be shown where this is at stake, each with its clause."""
        return _demands(self, stake)

    def asked(self, stake: Stake | None) -> tuple[Demand, ...]:
        """What a peer is asked to show: what is demanded, and what policies in Cedar look for."""
        return _asked(self, stake)

    @property
    def types(self) -> tuple[str, ...]:
        """Every type of credential that a clause is about, whatever is at stake."""
        return tuple(dict.fromkeys(demand.type for demand in self.asked(None)))

    def rates(self, stake: Stake | None) -> bool:
        """Whether the other side's reputation is read."""
        return _rates(self, stake)

    @property
    def asks(self) -> bool:
        """Whether there are terms that it puts to people."""
        return self.ask or self.ask_above is not None or self.two_above is not None


# All this is asked several times in each negotiation.


@lru_cache(maxsize=256)
def _demands(policy: Policy, stake: Stake | None) -> tuple[tuple[str, Demand], ...]:
    required = [("require", Demand(type=name)) for name in policy.require]
    return (*required, *((f"rule {rule.name}", one) for rule in policy.rules(stake) for one in rule.credentials))


@lru_cache(maxsize=256)
def _asked(policy: Policy, stake: Stake | None) -> tuple[Demand, ...]:
    demanded = [demand for _, demand in policy.demands(stake)]
    listed = (type for one in _in_cedar(policy) for type in (one.needs, *one.looks_for) if type is not None)
    looked_for = [Demand(type=type) for type in dict.fromkeys(listed)]
    return (*demanded, *(one for one in looked_for if one not in demanded))


@lru_cache(maxsize=256)
def _rates(policy: Policy, stake: Stake | None) -> bool:
    by_rule = any(rule.min_reputation is not None for rule in policy.rules(stake))
    return by_rule or any(one.reads_reputation for one in _in_cedar(policy))


def _in_cedar(policy: Policy) -> tuple[CedarPolicy, ...]:
    return () if policy.cedar is None else read_cedar(policy.cedar).policies
