"""All that is made of pyld: an expansion that stops where something would be lost.

Only the functions that need this module import it, when they are called. With the HTTP clients and the HTML parser that
pyld brings along, none of which is used, it would be a sixth of the start of each command, and most never read a
document that comes through here.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final, cast

from cachetools import LRUCache
from pyld.context_resolver import ContextResolver
from pyld.jsonld import JsonLdError, JsonLdProcessor

from undersigned.errors import FormatError, UndersignedError
from undersigned.jsonld.contexts import CONTEXTS, Contexts
from undersigned.jsonld.loader import check_context, closed_loader
from undersigned.jsonld.losses import KEYWORDS, lost

__all__ = ["JsonLdProcessor", "StrictProcessor", "closed_options", "translated"]

_RESOLVED: Final[LRUCache[Any, Any]] = LRUCache(maxsize=256)
"""Processed forms of the bundled contexts only. The cache of pyld itself is shared by everybody in the process who
uses pyld, and what another loader put there would be believed."""


class StrictProcessor(JsonLdProcessor):
    """pyld, stopped where it would drop something or go on for too long."""

    def __init__(self, contexts: Contexts, max_values: int) -> None:
        super().__init__(on_property_dropped=self._dropped)
        self._contexts = contexts
        self._left = max_values

    def _dropped(self, name: str | None) -> None:
        raise FormatError("unknown_term", f"expected terms that a context defines; came {name!a:.64}")

    def _expand(self, *found: Any, **more: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] always called so
        active_ctx, active_property, element, *_ = found
        # JSON literals are not expanded, so what stands in them never comes here.
        if isinstance(element, dict):
            for name in cast("dict[str, Any]", element):
                if name[:1] == "@" and name not in KEYWORDS:
                    raise FormatError("schema_violation", f"expected no {name[:32]} in a signed document")
                if name == "@context":
                    check_context(element[name], self._contexts)
        if element == [] and not _in_list(active_ctx, active_property, more):
            raise lost(active_property, "an empty array")
        if not isinstance(element, list):
            # Each of these makes a quad at least, so more of them than quads are allowed need not be looked at.
            self._left -= 1
            if self._left < 0:
                raise FormatError("canon_limit", "expected fewer values")
        expanded: Any = cast("Any", super())._expand(*found, **more)
        if expanded is None:
            raise lost(active_property, "null or a value without effect")
        if isinstance(element, dict) and _has_lost_types(cast("Any", element), expanded):
            raise lost(active_property, "an empty array")
        return expanded


def _has_lost_types(element: dict[str, Any], expanded: Any) -> bool:
    """Whether an empty array left no trace: one of types does not, that of a list or in a JSON literal does."""
    if [] not in element.values() or not isinstance(expanded, dict):
        return False
    return len(cast("dict[str, Any]", expanded)) < len(element) - ("@context" in element)


def _in_list(active_ctx: Any, name: Any, more: Mapping[str, Any]) -> bool:
    container: Any = cast("Any", JsonLdProcessor).get_context_value(active_ctx, name, "@container") if name else None
    return bool(more.get("inside_list")) or "@list" in (container or ())


@contextmanager
def translated() -> Generator[None]:
    """What the libraries raise, as an error of ours. They wrap each other's, so the causes are looked through."""
    try:
        yield
    except UndersignedError:
        raise
    except RecursionError as exc:
        raise FormatError("too_deep", "nested deeper than can be processed") from exc
    except (JsonLdError, Warning, ArithmeticError, ValueError, TypeError, LookupError, AttributeError) as exc:
        code = ""
        inner: BaseException | None = exc
        while inner is not None:
            if isinstance(inner, UndersignedError):
                raise inner from exc
            code = code or getattr(inner, "code", None) or ""
            inner = inner.__cause__
        text = f"expected JSON-LD: {code or type(exc).__name__}"
        raise FormatError("schema_violation", text, jsonld_code=code) from exc


def closed_options(contexts: Contexts, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of pyld with which it has no contexts but those of a registry; what it makes of the bundled ones is kept
    for the next document.
    """
    load = closed_loader(contexts)
    resolver = ContextResolver(_RESOLVED if contexts is CONTEXTS else {}, load)
    return {**options, "documentLoader": load, "contextResolver": resolver}
