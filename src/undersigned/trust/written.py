"""One form for each value: what is at its default is left out, be it the same object as the default or an equal one.

msgspec leaves out what *is* the default. A text that was read is equal to it and another object, so that equal values
would have two digests.
"""

from __future__ import annotations

from functools import cache, cached_property
from typing import Any, cast

from msgspec import NODEFAULT, Struct
from msgspec.structs import fields, replace

from undersigned.encoding import Digest, digest_bytes, write_canonical

__all__ = ["DecisionInput"]


class DecisionInput(Struct, frozen=True, dict=True):
    """What a decision is made by: kept with it, and named in it by its digest."""

    @cached_property
    def canonical(self) -> bytes:
        """Canonical JSON; equal values give equal bytes. Every decision that is made before it is stored keeps it."""
        return write_canonical(_plain(self))

    @cached_property
    def digest(self) -> Digest:
        """Names it in decisions."""
        return digest_bytes(self.canonical)


@cache
def _defaults(of: type[Struct]) -> tuple[tuple[str, Any], ...]:
    """Names and defaults of its fields; to find them out, msgspec evaluates every annotation."""
    return tuple((field.name, field.default) for field in fields(of))


def _plain(value: Any) -> Any:
    if isinstance(value, Struct):
        members: dict[str, Any] = {}
        for name, default in _defaults(type(value)):
            member = getattr(value, name)
            members[name] = default if default is not NODEFAULT and member == default else _plain(member)
        return replace(value, **members)
    if isinstance(value, tuple):
        items = cast("tuple[Any, ...]", value)
        plain = [_plain(item) for item in items]
        return items._make(plain) if hasattr(items, "_make") else tuple(plain)  # pyright: ignore
    return value
