"""Canonical JSON (RFC 8785): the one byte string that a JSON value is hashed and signed as.

msgspec writes the same bytes as RFC 8785 for all but floats, unsafe integers and names outside ASCII; those go to
`rfc8785`. That there are none shows from the bytes, and from reading them back: what is no JSON value does not come
back as it was. Only where that does not show it a walk tells them apart. Both run after the encoder, so that a value
with a cycle in it ends there.

Source: RFC 8785
"""

from __future__ import annotations

from typing import Final, cast

import msgspec
import rfc8785

from undersigned.encoding.strict_json import MAX_INTEGER, decode_integers, has_long_number
from undersigned.encoding.types import JsonValue
from undersigned.errors import FormatError

__all__ = ["canonicalize", "write_canonical"]

_encode_sorted: Final = msgspec.json.Encoder(order="sorted").encode
_TEXT: Final = {str}

write_canonical: Final = msgspec.json.Encoder(order="sorted").encode
"""RFC 8785 form of what a strict reader gave, or will read, and of structs with such a schema: without floats, unsafe
integers and odd names msgspec writes the same bytes, and nothing needs to be looked at twice."""


def canonicalize(value: JsonValue) -> bytes:
    """The RFC 8785 form of a JSON value, in UTF-8. Tuples count as arrays.

    Raises:
        FormatError: `number_out_of_range` (an integer beyond ±(2^53-1), a float that is not finite), `bad_unicode` (a
            lone surrogate), `too_deep`, `bad_json` (not a JSON value).

    Source: RFC 8785
    """
    try:
        written = _encode_sorted(value)
        if written.isascii():
            # An object of texts alone, as the options of a proof are, needs no second look.
            if isinstance(value, dict) and {*map(type, value), *map(type, value.values())} == _TEXT:
                return written
            if _comes_back(written, value):
                return written
        if _is_common(value):
            return written
        return rfc8785.dumps(value)  # pyright: ignore[reportArgumentType] its own alias of the same shape
    except (rfc8785.IntegerDomainError, rfc8785.FloatDomainError) as exc:
        raise FormatError("number_out_of_range", f"expected a finite number within ±(2^53-1): {exc}") from exc
    except UnicodeError as exc:
        raise FormatError("bad_unicode", "expected text without lone surrogates") from exc
    except RecursionError as exc:
        raise FormatError("too_deep", "nested deeper than can be written") from exc
    except (rfc8785.CanonicalizationError, msgspec.MsgspecError, TypeError, OverflowError, ValueError) as exc:
        raise FormatError("bad_json", f"expected a JSON value: {exc}") from exc


def _comes_back(written: bytes, value: object) -> bool:
    """Whether this ASCII text without a float or an unsafe integer reads back as `value`."""
    try:
        return not has_long_number(written) and decode_integers(written) == value
    except msgspec.MsgspecError:
        return False


def _is_common(root: object) -> bool:
    """Whether msgspec writes it as RFC 8785 does. Raises TypeError for what is not JSON at all."""
    pending: list[object] = [root]
    while pending:
        value = pending.pop()
        kind = type(value)
        if kind is dict:
            for name, member in cast("dict[object, object]", value).items():
                if type(name) is not str:
                    raise TypeError(f"a name is {type(name).__name__}")
                if not name.isascii():
                    return False
                if type(member) is not str:
                    pending.append(member)
        elif kind is list or kind is tuple:
            pending += [item for item in cast("list[object]", value) if type(item) is not str]
        elif kind is int:
            if not -MAX_INTEGER <= cast("int", value) <= MAX_INTEGER:
                return False
        elif kind is float:
            return False
        elif not (value is None or kind is bool or kind is str):
            raise TypeError(f"{kind.__name__} is not a JSON type")
    return True
