"""Decoded JSON into closed structs, with our errors: which member, what was expected, what came.

Source: protocol-spec/04-envelope-and-digests.md, section 4.2
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, TypeVar, cast

from msgspec import ValidationError, convert
from msgspec.json import decode, encode

from undersigned.encoding.strict_json import pointer_step
from undersigned.encoding.types import in_words
from undersigned.errors import FormatError

__all__ = ["from_struct", "to_struct"]

T = TypeVar("T")

_UNKNOWN: Final = re.compile(r"contains unknown field `(.*?)`", re.DOTALL)
_STEP: Final = re.compile(r"\.([^.\[\]`]+)|\[([0-9]+|\.\.\.)\]")
_MAX_SHOWN: Final = 300  # The text may quote the peer, and an error must not grow with its cause.


def to_struct(value: object, of: type[T], path: str = "", *, text: bytes | None = None) -> T:
    """The JSON value as an `of`; `path`, a JSON pointer, is where the value itself stands.

    `null` is refused everywhere: in memory None means that a member is absent, and absent has one spelling. `text` is
    JSON that the value is read from or was written to, alone or inside another, if the caller has it.

    Raises:
        FormatError: `unknown_term`: a member that the struct does not define; `bad_unicode`: a lone surrogate, which no
            JSON read here has; `schema_violation`: anything else.

    Source: protocol-spec/04-envelope-and-digests.md, section 4.2
    """
    if (_may_hold_null(value) if text is None else text.find(b"null") >= 0) and (null := _null(value)) is not None:
        raise FormatError("schema_violation", "expected a value or no member; came null", path=path + null)
    try:
        return convert(value, of)
    except UnicodeEncodeError as exc:
        raise FormatError("bad_unicode", "expected text without lone surrogates", path=path) from exc
    except ValidationError as exc:
        # The place is the last such part: what stands before it may quote the peer.
        what, found, place = str(exc).rpartition(" - at `")
        if not found:
            what, place = place, ""
        steps = "".join(f"/{name or index}" for name, index in _STEP.findall(place[:_MAX_SHOWN]))
        unknown = _UNKNOWN.search(what)
        if unknown is not None:
            raise FormatError(
                "unknown_term", "no such member is defined", path=path + steps + pointer_step(unknown[1])
            ) from exc
        raise FormatError("schema_violation", in_words(what)[:_MAX_SHOWN], path=path + steps) from exc


def from_struct(struct: object) -> dict[str, Any]:
    """The struct as a JSON object: names of the wire, arrays as lists, absent members left out.

    Raises:
        FormatError: `bad_unicode`: a text in it has a lone surrogate.
    """
    try:
        return decode(encode(struct))  # by way of JSON, because to_builtins keeps tuples, which equal no list
    except UnicodeEncodeError as exc:
        raise FormatError("bad_unicode", "expected text without lone surrogates") from exc


def _may_hold_null(value: object) -> bool:
    """False if there is no null in it. Writing it and looking at the text takes a fraction of a walk."""
    try:
        return encode(value).find(b"null") >= 0  # not `in`, which takes it for a number first
    except (TypeError, ValueError, OverflowError, RecursionError):
        return True


def _null(value: object) -> str | None:
    """Pointer of the first null. The value was decoded under a depth limit, so this ends soon."""
    if value is None:
        return ""
    members: Iterable[tuple[object, object]] = ()
    if isinstance(value, dict):
        members = cast("dict[object, object]", value).items()
    elif isinstance(value, list | tuple):
        members = enumerate(cast("list[object]", value))
    for name, member in members:
        if (found := _null(member)) is not None:
            return pointer_step(str(name)) + found
    return None
