"""The closed loader: contexts come from a registry, and nothing else is ever opened.

There is no fall-back to the network or to files: an IRI that differs from a listed one in a fragment, a query, the
scheme or a letter is another IRI.

Source: protocol-spec/04-envelope-and-digests.md, section 4.7
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from undersigned.errors import FormatError
from undersigned.jsonld.contexts import CONTEXTS, Contexts

__all__ = ["check_context", "closed_loader"]


def closed_loader(contexts: Contexts = CONTEXTS) -> Callable[[str, Any], dict[str, Any]]:
    """A document loader for pyld that knows exactly `contexts`.

    The loader raises FormatError `context_not_allowed` for any other IRI, and `context_tampered` for a bundled
    context that differs from its digest.
    """

    def load(iri: str, options: Any) -> dict[str, Any]:
        if iri not in contexts:
            raise _refused(iri)
        return {
            "contentType": "application/ld+json",
            "contextUrl": None,
            "documentUrl": iri,
            "document": {"@context": contexts[iri]["@context"]},
            "tag": "static",
        }

    return load


def check_context(value: Any, contexts: Contexts) -> None:
    """Return if `value` is the IRI of a context in the registry, or a list of such.

    Raises:
        FormatError: `context_not_allowed`: another IRI, an inline context, null, or an empty list.
    """
    listed = cast("list[Any]", value if isinstance(value, list | tuple) else [value])
    if not listed:
        raise _refused(value)
    for item in listed:
        if not isinstance(item, str) or item not in contexts:
            raise _refused(item)


def _refused(value: Any) -> FormatError:
    return FormatError("context_not_allowed", f"expected a bundled context; came {value!a:.128}", path="/@context")
