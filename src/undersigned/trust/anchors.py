"""Whom we believe without anybody's word, about what, and until when: the roots of the trust graph.

Source: protocol-spec/02-identity-and-keys.md, section 2.8; protocol-spec/12-trust.md, section 12.2
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct

from undersigned.encoding import Did, Instant, to_struct, write_canonical
from undersigned.errors import ConfigurationError, FormatError
from undersigned.trust.edge import MAX_DEPTH
from undersigned.trust.written import DecisionInput

__all__ = ["ANY", "Anchor", "Anchors"]

ANY = MAX_DEPTH + 1
"""Reach of an anchor that is believed about any type or any capability."""

Name = Annotated[str, Meta(min_length=1, max_length=256)]


class Anchor(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One issuer, and what it is believed about. What is at its default is not written, and not in the digest."""

    issuer: Did
    types: Annotated[tuple[Name, ...], Meta(max_length=64)] = ()
    """Of credentials. Empty: any type."""
    capabilities: Annotated[tuple[Name, ...], Meta(max_length=64)] = ()
    """Empty: any capability, and claims about none. Otherwise only claims about one of these."""
    depth: Annotated[int, Meta(ge=0, le=MAX_DEPTH)] = MAX_DEPTH
    """How many links of authority may hang below it; with 0 only what it issued itself is believed."""
    until: Instant | None = None
    """Last second in which it is believed."""

    def covers(self, credential_type: str, capability: str | None, now: Instant | None) -> bool:
        """Whether it is believed about this. Without a time, an anchor that ends is not."""
        return (
            (not self.types or credential_type in self.types)
            and (not self.capabilities or capability in self.capabilities)
            and (self.until is None or (now is not None and now <= self.until))
        )

    @property
    def reach(self) -> int:
        """How far a mistake with it would go: its depth, or 5 where it is not tied to types and capabilities."""
        return self.depth if self.types and self.capabilities else ANY


class Anchors(DecisionInput, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All anchors; nobody else is believed about anything without a chain from one of them."""

    anchors: tuple[Anchor, ...] = ()

    @classmethod
    def of(cls, *issuers: Did) -> Anchors:
        """These issuers, believed about any type."""
        return cls(anchors=tuple(Anchor(issuer=issuer) for issuer in sorted(set(issuers))))

    @classmethod
    def from_toml(cls, entries: Iterable[Mapping[str, Any]]) -> Anchors:
        """The anchors in parsed TOML, `[[anchor]]` with `issuer` and perhaps the other members.

        Raises:
            ConfigurationError: `bad_configuration`, and what was expected.
        """
        try:
            return cls(anchors=tuple(to_struct(dict(entry), Anchor) for entry in entries))
        except FormatError as exc:
            raise ConfigurationError("bad_configuration", f"anchor{exc.path}: {exc.message}") from exc

    def with_anchors(self, more: Iterable[Anchor]) -> Anchors:
        """These and `more`, each once, in an order that does not depend on how they came."""
        every = {write_canonical(anchor): anchor for anchor in (*self.anchors, *more)}
        return Anchors(anchors=tuple(every[key] for key in sorted(every)))

    def believed(
        self, issuer: Did, credential_type: str, *, capability: str | None = None, now: Instant | None = None
    ) -> bool:
        """Whether what `issuer` says in a credential of this type, about this capability, counts."""
        return any(
            anchor.issuer == issuer and anchor.covers(credential_type, capability, now) for anchor in self.anchors
        )

    def issuers(self, credential_type: str, *, now: Instant | None = None) -> tuple[Did, ...]:
        """Who is believed about this type; sorted."""
        return tuple(sorted({one.issuer for one in self.anchors if one.covers(credential_type, None, now)}))
