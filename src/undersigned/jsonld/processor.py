"""The general path: any JSON-LD document to quads, with nothing lost on the way.

JSON-LD drops what it does not understand. What is dropped is not signed, so here it is an error: a member that no
context defines, a null, an empty array, a relative IRI, a repeated value of a set, text direction, an index. pyld
expands the document (`strict`); the walk over the expanded form either makes quads of what it meets or refuses it.
Messages and contracts of ours do not come through here but by `compiled_quads`.

Source: protocol-spec/04-envelope-and-digests.md, section 4.7
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

import pyoxigraph as ox

from undersigned.encoding import canonicalize
from undersigned.errors import FormatError
from undersigned.jsonld.canonical import CANON_LIMITS, CanonLimits, canonical_quads
from undersigned.jsonld.compiled import MAX_INTEGER, is_iri
from undersigned.jsonld.contexts import CONTEXTS, Contexts
from undersigned.jsonld.loader import check_context
from undersigned.jsonld.losses import lost

__all__ = ["document_quads", "expand", "to_quads"]


_RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XSD: Final = "http://www.w3.org/2001/XMLSchema#"
_TYPE: Final = ox.NamedNode(f"{_RDF}type")
_FIRST: Final = ox.NamedNode(f"{_RDF}first")
_REST: Final = ox.NamedNode(f"{_RDF}rest")
_NIL: Final = ox.NamedNode(f"{_RDF}nil")
_MEMBERS_OF_LITERALS: Final = frozenset({"@value", "@type", "@language"})


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
    from undersigned.jsonld.strict import StrictProcessor, closed_options, translated

    with translated():
        # Without a base a relative IRI stays relative, and is seen.
        processor: Any = StrictProcessor(contexts, limits.max_quads)
        expanded: list[dict[str, Any]] = processor.expand(document, closed_options(contexts, {"base": None}))
        writer = _Quads()
        for node in expanded:
            writer.node(node, ox.DefaultGraph())
    if not writer.quads:
        raise FormatError("schema_violation", "expected a document that says something; came one without a quad")
    return canonical_quads(writer.quads, limits=limits, algorithm=algorithm)


def expand(document: Any, *, contexts: Contexts = CONTEXTS, **options: Any) -> list[Any]:
    """JSON-LD 1.1 expansion as the standard has it, dropped members included; contexts only from the registry.

    For looking at a document, not for signing one. `options` are those of the JSON-LD API.

    Raises:
        FormatError: `schema_violation`: not JSON-LD; `detail["jsonld_code"]` is the code of the JSON-LD API.
            `context_not_allowed`: a context that is not in the registry.
    """
    from undersigned.jsonld.strict import JsonLdProcessor, closed_options, translated

    with translated():
        return cast("Any", JsonLdProcessor()).expand(document, closed_options(contexts, options))


def to_quads(document: Any, *, contexts: Contexts = CONTEXTS, **options: Any) -> list[ox.Quad]:
    """The quads of a document as JSON-LD 1.1 has it, dropped members included; for looking at it, as `expand`.

    Raises:
        FormatError: As `expand`.
    """
    from undersigned.jsonld.strict import JsonLdProcessor, closed_options, translated

    with translated():
        processor: Any = JsonLdProcessor()
        dataset: dict[str, list[dict[str, Any]]] = processor.to_rdf(document, closed_options(contexts, options))
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


class _Quads:
    """The quads of an expanded document. Every member of it becomes some, or is refused."""

    def __init__(self) -> None:
        self.quads: list[ox.Quad] = []
        self._labels: dict[str, ox.BlankNode] = {}

    def node(self, node: dict[str, Any], graph: Any) -> Any:
        """Append what is said of a node, and of those inside it; its name."""
        subject = self._name(node["@id"]) if "@id" in node else ox.BlankNode()
        for member, inner in node.items():
            if member == "@id":
                continue
            if inner == []:
                raise lost(member, "an empty array")
            if member == "@type":
                # A type that no context defines comes out as a relative IRI.
                objects = [self._name(of, "unknown_term") for of in inner]
                self._add(subject, _TYPE, objects, graph, member)
            elif member == "@graph":
                for item in inner:
                    if "@value" in item or "@list" in item or not item.keys() - {"@id"}:
                        raise lost("a graph", "a thing of which it says nothing")
                    self.node(item, subject)
            elif member[0] == "@":
                raise lost(member, "no place in the graph")
            else:
                objects = [self._value(item, graph, member) for item in inner]
                self._add(subject, self._predicate(member), objects, graph, member)
        return subject

    def _add(self, subject: Any, predicate: ox.NamedNode, objects: list[Any], graph: Any, member: str) -> None:
        if len(set(objects)) != len(objects):
            # A set has no repeats; with them two documents would say the same.
            raise lost(member, "a repeated value")
        self.quads += [ox.Quad(subject, predicate, object_, graph) for object_ in objects]

    def _value(self, item: dict[str, Any], graph: Any, member: str) -> Any:
        if "@value" in item:
            return self._literal(item, member)
        if "@list" not in item:
            return self.node(item, graph)
        if len(item) > 1:
            raise lost(member, "a list with something beside it")
        rest: Any = _NIL
        for inner in reversed(item["@list"]):
            cell = ox.BlankNode()
            self.quads.append(ox.Quad(cell, _FIRST, self._value(inner, graph, member), graph))
            self.quads.append(ox.Quad(cell, _REST, rest, graph))
            rest = cell
        return rest

    def _literal(self, item: dict[str, Any], member: str) -> ox.Literal:
        """RDF from values, as the JSON-LD API has it (section 8.2.2), but for integers no reader keeps exactly."""
        value, kind = item["@value"], item.get("@type")
        if not item.keys() <= _MEMBERS_OF_LITERALS:
            raise lost(member, "an index or a direction")
        if kind == "@json":
            return ox.Literal(canonicalize(value).decode(), datatype=ox.NamedNode(f"{_RDF}JSON"))
        if isinstance(value, bool):
            value, default = ("true" if value else "false"), "boolean"
        elif isinstance(value, int | float):
            if abs(value) > MAX_INTEGER and value == int(value):
                raise FormatError("number_out_of_range", f"expected an integer within 2^53-1 in {member[:128]}")
            if value != int(value) or kind == f"{_XSD}double":
                value, default = _double(float(value)), "double"
            else:
                value, default = str(int(value)), "integer"
        elif "@language" in item:
            return ox.Literal(value, language=item["@language"])
        elif kind == f"{_XSD}double":
            # The standard keeps the text, and processors in wide use write it as a number.
            raise lost(member, "a number written as text")
        else:
            default = "string"
        if kind is not None and not is_iri(kind):
            raise lost(member, f"the datatype {kind!a:.64}")
        return ox.Literal(value, datatype=ox.NamedNode(kind or f"{_XSD}{default}"))

    def _name(self, text: str, code: str = "schema_violation") -> ox.NamedNode | ox.BlankNode:
        if text.startswith("_:"):
            return self._labels.setdefault(text, ox.BlankNode())
        if not is_iri(text):
            raise lost("a member", f"the relative IRI {text!a:.64}", code)
        return ox.NamedNode(text)

    def _predicate(self, text: str) -> ox.NamedNode:
        if not is_iri(text):
            raise lost(text, "no IRI")
        return ox.NamedNode(text)


def _double(value: float) -> str:
    """The canonical form of an `xsd:double`: `1.5E0`."""
    mantissa, _, exponent = f"{value:.15E}".partition("E")
    mantissa = mantissa.rstrip("0")
    return f"{mantissa}0E{int(exponent)}" if mantissa.endswith(".") else f"{mantissa}E{int(exponent)}"


def _resource(text: str) -> ox.NamedNode | ox.BlankNode:
    return ox.BlankNode(text[2:]) if text.startswith("_:") else ox.NamedNode(text)


def _object(found: Mapping[str, Any]) -> ox.NamedNode | ox.BlankNode | ox.Literal:
    if found["type"] != "literal":
        return _resource(found["value"])
    if "language" in found:
        return ox.Literal(found["value"], language=found["language"])
    return ox.Literal(found["value"], datatype=ox.NamedNode(found["datatype"]))
