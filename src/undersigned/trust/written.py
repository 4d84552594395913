"""One form for each value: what is at its default is left out, be it the same object as the default or an equal one.

msgspec leaves out what *is* the default. A text that was read is equal to it and another object, so that equal values
would have two digests.
"""

from __future__ import annotations

from typing import Any, cast

from msgspec import NODEFAULT, Struct
from msgspec.structs import fields, replace

from undersigned.encoding import write_canonical

__all__ = ["canonical_bytes"]


def canonical_bytes(value: Struct) -> bytes:
    """The canonical JSON of a value; equal values give equal bytes."""
    return write_canonical(_plain(value))


def _plain(value: Any) -> Any:
    if isinstance(value, Struct):
        members: dict[str, Any] = {}
        for field in fields(value):
            member = getattr(value, field.name)
            at_default = field.default is not NODEFAULT and member == field.default
            members[field.name] = field.default if at_default else _plain(member)
        return replace(value, **members)
    if isinstance(value, tuple):
        items = cast("tuple[Any, ...]", value)
        plain = [_plain(item) for item in items]
        return items._make(plain) if hasattr(items, "_make") else tuple(plain)  # pyright: ignore
    return value
