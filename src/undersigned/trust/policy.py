"""The rules by which a peer and its terms are judged; small, in TOML, and the same for both sides.

Everything not written is cautious: a membership credential from an anchor is required, self-issued ones do not count,
and no price, lifetime or action is limited only because it is limited by the scope that we offer ourselves.

Source: protocol-spec/02-identity-and-keys.md, section 2.8
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any

from msgspec import Meta, Struct

from undersigned.encoding import Amount, Did, Digest, Duration, digest_bytes, to_struct, write_canonical
from undersigned.errors import ConfigurationError, FormatError

__all__ = ["Policy"]

Name = Annotated[str, Meta(min_length=1, max_length=128)]


class Policy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What has to be so; each field is one clause, and decisions name it."""

    name: Name = "default"
    version: Name = "1"
    require: Annotated[tuple[Name, ...], Meta(max_length=64)] = ("MembershipCredential",)
    """Types of credential, each to be shown once at least, valid, and from an anchor for that type."""
    allow_self_issued: bool = False
    """Whether a credential that its own holder issued counts, without being an anchor's."""
    refuse: Annotated[tuple[Did, ...], Meta(max_length=1024)] = ()
    """Parties, or issuers, that are always refused."""
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
    actions: Annotated[tuple[Name, ...], Meta(max_length=256)] | None = None
    """Actions that a scope may grant; absent: any."""
    max_duration: Duration | None = None
    """From now to the end of authority."""
    allow_subcontracting: bool = True
    ask: bool = False
    """A person decides about every contract that is not refused."""

    @classmethod
    def from_toml(cls, table: Mapping[str, Any]) -> Policy:
        """The policy in a parsed TOML table.

        Raises:
            ConfigurationError: `bad_configuration`, and what was expected.
        """
        try:
            policy = to_struct(dict(table), cls)
        except FormatError as exc:
            raise ConfigurationError("bad_configuration", f"policy{exc.path}: {exc.message}") from exc
        return policy.checked()

    def checked(self) -> Policy:
        """The same policy, once what it limits has a unit: ten of what?

        Raises:
            ConfigurationError: `bad_configuration`.
        """
        limits = (self.max_price, self.min_price, self.ask_above, self.two_above)
        if self.currency is None and any(limit is not None for limit in limits):
            raise ConfigurationError("bad_configuration", "policy: a limited price needs its `currency`")
        return self

    @property
    def asks(self) -> bool:
        """Whether there are terms that it puts to people."""
        return self.ask or self.ask_above is not None or self.two_above is not None

    @property
    def digest(self) -> Digest:
        """Names this policy in contracts and decisions."""
        return _digest(self)


@lru_cache(maxsize=64)
def _digest(policy: Policy) -> Digest:
    return digest_bytes(write_canonical(policy))
