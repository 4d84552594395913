"""Records, anchor sets and approvals as JSON that somebody signs.

They are of our own and in no JSON-LD vocabulary, so only the suites that sign JSON itself cover them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from undersigned.encoding import JsonObject, canonicalize, to_struct
from undersigned.errors import FormatError
from undersigned.jsonld import HIRE_CONTEXT

__all__ = ["read_signed", "write_signed"]

MAX_BYTES: Final = 256 * 1024


def write_signed(type: str, of: Any, max_bytes: int = MAX_BYTES, /, **members: Any) -> JsonObject:
    """The document with these members, without proofs, once `read_signed` reads it."""
    document: JsonObject = {"@context": HIRE_CONTEXT, "type": type, "version": "1.0", **members}
    read_signed(document, type, of, max_bytes=max_bytes)
    return document


def read_signed(document: Mapping[str, Any], type: str, of: Any, *, max_bytes: int = MAX_BYTES) -> Any:
    """The members as a struct. Type and context make sure that a proof for something else is none for this.

    Raises:
        FormatError: `too_large`, `schema_violation`, `unknown_term`: it is no such document.
    """
    size = len(canonicalize(document))
    if size > max_bytes:
        raise FormatError("too_large", f"expected at most {max_bytes} bytes; came {size}")
    for name, expected in (("@context", HIRE_CONTEXT), ("type", type)):
        if document.get(name) != expected:
            raise FormatError(
                "schema_violation", f"expected {expected}; came {document.get(name)!a:.120}", path=f"/{name}"
            )
    return to_struct({name: value for name, value in document.items() if name not in ("@context", "type", "proof")}, of)
