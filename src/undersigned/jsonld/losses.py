"""What a JSON-LD processor would drop without a word, and the error that is raised in place of that."""

from __future__ import annotations

from typing import Any, Final

from undersigned.errors import FormatError

__all__ = ["KEYWORDS", "lost"]

KEYWORDS: Final = frozenset({"@context", "@id", "@language", "@list", "@set", "@type", "@value"})
"""Keywords that a signed document may have. The others wrap, smuggle or drop."""


def lost(name: Any, what: str, code: str = "schema_violation") -> FormatError:
    """The error for a member of which something would not be signed."""
    return FormatError(code, f"expected members that are signed whole; {name!a:.128} has {what}")
