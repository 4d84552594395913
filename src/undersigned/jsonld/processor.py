"""The general path: any JSON-LD document to quads, by pyld, with nothing lost on the way.

JSON-LD drops what it does not understand. What is dropped is not signed, so here it is an error: a member that no
context defines, a null, an empty array, a relative IRI, a repeated value of a set, text direction, an index. Messages
and contracts of ours do not come through here but by `compiled_quads`.

Source: protocol-spec/04-envelope-and-digests.md, section 4.7
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, Final, cast

import pyoxigraph as ox
from pyld.jsonld import JsonLdError, JsonLdProcessor

from undersigned.encoding import canonicalize
from undersigned.errors import FormatError, UndersignedError
from undersigned.jsonld.canonical import CANON_LIMITS, CanonLimits, canonical_quads
from undersigned.jsonld.compiled import MAX_INTEGER, is_iri
from undersigned.jsonld.contexts import CONTEXTS, Contexts
from undersigned.jsonld.loader import check_context, closed_loader, resolver

__all__ = ["document_quads", "expand", "to_quads"]

KEYWORDS: Final = frozenset({"@context", "@id", "@language", "@list", "@set", "@type", "@value"})
"""Keywords that a signed document may have. The others wrap, smuggle or drop."""

_RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"


def document_quads(
    document: Mapping[str, Any],
    *,
    contexts: Contexts = CONTEXTS,
    limits: CanonLimits = CANON_LIMITS,
    algorithm: str = "sha256",
) -> bytes:
    """The canonical N-Quads (RDFC-1.0) of a document, every member of which they cover.

    `contexts` are those it may name; none is fetched and none may be written inline. `algorithm` is the hash of
    RDFC-1.0: `sha256`, or `sha384` with P-384 keys.

    Raises:
        FormatError: `context_not_allowed`, `context_tampered`, `unknown_term` (a member without a definition),
            `schema_violation` (anything else that would be dropped, or is not JSON-LD), `number_out_of_range`,
            `too_deep`, `canon_limit`.

    Source: protocol-spec/04-envelope-and-digests.md, section 4.7
    """
    check_context(document.get("@context"), contexts)
    quads = _quads(_StrictProcessor(contexts), document, contexts, {})
    if not quads:
        raise FormatError("schema_violation", "expected a document that says something; came one without a quad")
    return canonical_quads(quads, limits=limits, algorithm=algorithm)


def expand(document: Any, *, contexts: Contexts = CONTEXTS, **options: Any) -> list[Any]:
    """JSON-LD 1.1 expansion as the standard has it, dropped members included; contexts only from the registry.

    For looking at a document, not for signing one. `options` are those of the JSON-LD API.

    Raises:
        FormatError: `schema_violation`: not JSON-LD; `detail["jsonld_code"]` is the code of the JSON-LD API.
            `context_not_allowed`: a context that is not in the registry.
    """
    with _translated():
        return cast("Any", JsonLdProcessor()).expand(document, _options(contexts, options))


def to_quads(document: Any, *, contexts: Contexts = CONTEXTS, **options: Any) -> list[ox.Quad]:
    """The quads of a document as JSON-LD 1.1 has it, dropped members included; for looking at it, as `expand`.

    Raises:
        FormatError: As `expand`.
    """
    return _quads(JsonLdProcessor(), document, contexts, options)


class _StrictProcessor(JsonLdProcessor):
    """pyld, stopped where it would drop something."""

    def __init__(self, contexts: Contexts) -> None:
        super().__init__(on_property_dropped=self._dropped)
        self._contexts = contexts

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
        elif element == [] and not _in_list(active_ctx, active_property, more):
            raise _lost(active_property, "an empty array")
        expanded: Any = cast("Any", super())._expand(*found, **more)
        if expanded is None:
            raise _lost(active_property, "null or a value without effect")
        return expanded

    def expand(self, input_: Any, options: Any) -> Any:
        expanded: Any = cast("Any", super()).expand(input_, options)
        _check(expanded, "")
        return expanded


def _in_list(active_ctx: Any, name: Any, more: Mapping[str, Any]) -> bool:
    container: Any = cast("Any", JsonLdProcessor).get_context_value(active_ctx, name, "@container") if name else None
    return bool(more.get("inside_list")) or "@list" in (container or ())


def _check(value: Any, name: str) -> None:
    """Walk an expanded document; refuse what the quads would leave out, and put JSON literals in canonical form."""
    if isinstance(value, list):
        items = cast("list[Any]", value)
        for item in items:
            _check(item, name)
        if len(items) > 1 and name != "@list":
            _check_repeats(items, name)
        return
    if not isinstance(value, dict):
        return
    node = cast("dict[str, Any]", value)
    if "@value" in node:
        _check_literal(node, name)
        return
    for member, inner in node.items():
        if member == "@id" or member == "@type":
            for iri in cast("list[Any]", inner if isinstance(inner, list) else [inner]):
                if not is_iri(iri) and not str(iri).startswith("_:"):
                    # A type that no context defines comes out as a relative IRI.
                    code = "unknown_term" if member == "@type" else "schema_violation"
                    raise _lost(member, f"the relative IRI {iri!a:.64}", code)
        elif member == "@index":
            raise _lost(name, "an index")
        elif member == "@graph":
            for item in cast("list[Any]", inner):
                if "@value" in item or "@list" in item or not item.keys() - {"@id"}:
                    raise _lost(name, "a graph that says nothing of what is in it")
        elif member[0] != "@" and not is_iri(member):
            raise _lost(member, "a property that is no IRI")
        if inner == [] and member != "@list":
            raise _lost(member, "an empty array")
        _check(inner, member)


def _check_literal(node: dict[str, Any], name: str) -> None:
    value = node["@value"]
    if "@index" in node or "@direction" in node:
        raise _lost(name, "an index or a direction")
    if node.get("@type") == "@json":
        # The canonical form is RFC 8785; said here, so that it is ours and not the processor's.
        node["@value"] = canonicalize(value).decode()
        node["@type"] = f"{_RDF}JSON"
    elif isinstance(value, int) and not isinstance(value, bool) and not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise FormatError("number_out_of_range", f"expected an integer within 2^53-1 in {name[:128]}")


def _check_repeats(items: list[Any], name: str) -> None:
    """A set has no repeats: they would vanish, and 1 and true are one to the processor."""
    seen: set[Any] = set()
    for item in items:
        key: Any = item
        if isinstance(item, dict):
            found = cast("dict[str, Any]", item)
            if "@value" in found:
                value = found["@value"]
                key = (value, found.get("@type"), found.get("@language"))
            elif "@id" in found:
                key = found["@id"]
            else:
                continue
        if key in seen:
            raise _lost(name, "a repeated value")
        seen.add(key)


def _lost(name: Any, what: str, code: str = "schema_violation") -> FormatError:
    return FormatError(code, f"expected members that are signed whole; {name!a:.128} has {what}")


def _options(contexts: Contexts, options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "base": "",
        **options,
        "documentLoader": closed_loader(contexts),
        "contextResolver": resolver(contexts),
    }


def _quads(processor: JsonLdProcessor, document: Any, contexts: Contexts, options: Mapping[str, Any]) -> list[ox.Quad]:
    """The quads of a document, made one by one: no text between the two libraries to be written and read back."""
    with _translated():
        dataset: dict[str, list[dict[str, Any]]] = cast("Any", processor).to_rdf(document, _options(contexts, options))
        return [
            ox.Quad(
                _resource(triple["subject"]["value"]),
                ox.NamedNode(triple["predicate"]["value"]),
                _object(triple["object"]),
                ox.DefaultGraph() if name == "@default" else _resource(name),
            )
            for name, triples in dataset.items()
            for triple in triples
        ]


def _resource(text: str) -> ox.NamedNode | ox.BlankNode:
    return ox.BlankNode(text[2:]) if text.startswith("_:") else ox.NamedNode(text)


def _object(found: Mapping[str, Any]) -> ox.NamedNode | ox.BlankNode | ox.Literal:
    if found["type"] != "literal":
        return _resource(found["value"])
    if "language" in found:
        return ox.Literal(found["value"], language=found["language"])
    return ox.Literal(found["value"], datatype=ox.NamedNode(found["datatype"]))


@contextmanager
def _translated() -> Generator[None]:
    """What the libraries raise, as an error of ours. They wrap each other's, so the causes are looked through."""
    try:
        yield
    except UndersignedError:
        raise
    except RecursionError as exc:
        raise FormatError("too_deep", "nested deeper than can be processed") from exc
    except (JsonLdError, Warning, ValueError, TypeError, KeyError, AttributeError, IndexError) as exc:
        code = ""
        inner: BaseException | None = exc
        while inner is not None:
            if isinstance(inner, UndersignedError):
                raise inner from exc
            code = code or getattr(inner, "code", None) or ""
            inner = inner.__cause__
        text = f"expected JSON-LD: {code or type(exc).__name__}"
        raise FormatError("schema_violation", text, jsonld_code=code) from exc
