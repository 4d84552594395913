"""Whom we believe about what: for now a configured list of issuers.

Source: protocol-spec/02-identity-and-keys.md, section 2.8
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Annotated, Any

from msgspec import Meta, Struct

from undersigned.encoding import Did, Digest, digest_bytes, to_struct, write_canonical
from undersigned.errors import ConfigurationError, FormatError

__all__ = ["Anchor", "Anchors"]


class Anchor(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One issuer, and the types of credential it is believed about."""

    issuer: Did
    types: Annotated[tuple[str, ...], Meta(max_length=64)] = ()
    """Empty: any type."""


class Anchors(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All configured issuers; nobody else is believed about anything."""

    anchors: tuple[Anchor, ...] = ()

    @classmethod
    def of(cls, *issuers: Did) -> Anchors:
        """These issuers, believed about any type."""
        return cls(anchors=tuple(Anchor(issuer=issuer) for issuer in sorted(set(issuers))))

    @classmethod
    def from_toml(cls, entries: Iterable[Mapping[str, Any]]) -> Anchors:
        """The anchors in parsed TOML, `[[anchor]]` with `issuer` and perhaps `types`.

        Raises:
            ConfigurationError: `bad_configuration`, and what was expected.
        """
        try:
            return cls(anchors=tuple(to_struct(dict(entry), Anchor) for entry in entries))
        except FormatError as exc:
            raise ConfigurationError("bad_configuration", f"anchor{exc.path}: {exc.message}") from exc

    @property
    def digest(self) -> Digest:
        """Names these anchors in decisions that were made by them."""
        return _digest(self)

    def believed(self, issuer: Did, credential_type: str) -> bool:
        """Whether what `issuer` says in a credential of this type counts."""
        return any(
            anchor.issuer == issuer and (not anchor.types or credential_type in anchor.types) for anchor in self.anchors
        )

    def issuers(self, credential_type: str) -> tuple[Did, ...]:
        """Who is believed about this type; sorted."""
        return tuple(sorted({one.issuer for one in self.anchors if not one.types or credential_type in one.types}))


@lru_cache(maxsize=64)
def _digest(anchors: Anchors) -> Digest:
    return digest_bytes(write_canonical(anchors))
