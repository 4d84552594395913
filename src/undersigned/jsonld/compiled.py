"""Canonical N-Quads of our own documents, straight from their members.

The hire context is compiled once into a table: for each term its predicate and the one JSON shape that its value may
have. A document of ours then needs no JSON-LD processor and no RDFC-1.0: every node has an id, nested values are JSON
literals, so there is nothing to label. The exceptions are the options of a proof, which are one blank node, and the
proofs that a chain builds on, each in a graph of its own whose label follows from a hash.

Two documents of different JSON never give the same quads, because everything that RDF would merge is refused: another
JSON type for a value, an IRI written out where a term stands, a set that is empty, out of order or with repeats, a
node without members or with the id of another. So a signature over the quads binds the JSON that digests are taken of.

Source: protocol-spec/04-envelope-and-digests.md, section 4.7; protocol-spec/decisions/0002-json-literals.md
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final, NamedTuple, cast

from pyoxigraph import NamedNode

from undersigned.encoding import canonicalize
from undersigned.errors import FormatError
from undersigned.jsonld.contexts import CONTEXTS, HIRE_CONTEXT, code_of_unknown

__all__ = ["compiled_quads", "compiled_table", "escaped", "is_iri"]

NODES: Final = frozenset({"terms", "scope"})
"""Terms whose value is one node; the context alone does not tell it from an IRI."""
NODE_SETS: Final = frozenset({"constraint", "duty", "grants", "obligations", "prohibitions"})
"""Terms whose value is a set of nodes, sorted by id."""

MAX_INTEGER: Final = 2**53 - 1
MAX_NODE_DEPTH: Final = 8
"""Document, terms, scope, rule, constraint, and room."""

_RDF_TYPE: Final = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>"
_RDF_JSON: Final = "^^<http://www.w3.org/1999/02/22-rdf-syntax-ns#JSON>"
_PROOF_TYPE: Final = "<https://w3id.org/security#DataIntegrityProof>"
_XSD: Final = "http://www.w3.org/2001/XMLSchema#"

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_SPECIAL: Final = re.compile(r"[\x00-\x1f\x7f\ufffe\uffff]")
_OWN_GRAPH: Final = " _:a .\n"
"""The end of a line about a graph that has no label yet: as its object, or as the graph it stands in."""
_ESCAPES: Final = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


class _Term(NamedTuple):
    """How one member becomes quads."""

    predicate: str
    shape: str
    """text, typed, integer, boolean, iri, json, node, nodes, texts or vocab."""
    datatype: str = ""
    words: Mapping[str, str] = MappingProxyType({})
    """For vocab: the IRI of each word."""
    vocab: str = ""
    """For vocab: what stands before a word that is not listed, if any such is taken."""


class _Table(NamedTuple):
    """The hire context, compiled."""

    terms: Mapping[str, _Term]
    types: Mapping[str, str]
    """Types of nodes, that of a proof not among them."""
    proof: _Term
    options: Mapping[str, _Term]
    """The terms of a proof's options."""


def compiled_quads(document: Mapping[str, Any], *, algorithm: str = "sha256") -> bytes:
    """The canonical N-Quads (RDFC-1.0) of a message, contract document or proof configuration in the hire context.

    `document` has `@context` exactly the hire context. Its `proof`, if there is one, is the list of proofs that a
    chain builds on; each of those has an id. `algorithm` (`sha256`, `sha384`) decides labels only if there are two or
    more of them.

    Raises:
        FormatError: `context_not_allowed` (another `@context`), `unknown_term` (a member the context does not
            define), `schema_violation` (a value of another shape, a relative IRI, a set out of order),
            `number_out_of_range`, `bad_unicode`.

    Source: protocol-spec/04-envelope-and-digests.md, section 4.7
    """
    if document.get("@context") != HIRE_CONTEXT:
        raise FormatError("context_not_allowed", f"expected @context {HIRE_CONTEXT}", path="/@context")
    table = _compiled()
    lines: list[str] = []
    try:
        if document.get("type") == "DataIntegrityProof":
            # Options without an id are the one blank node of their graph, so its label is known.
            own = document.get("id")
            subject = "_:c14n0" if own is None else _iri(own, "/id")
            _options(table, subject, document, " .\n", lines, "")
        else:
            if "type" not in document:
                raise FormatError("schema_violation", "expected a document with a type", path="/type")
            subject = _node(table, document, lines, "", set(), 0)
            if "proof" in document:
                _previous(table, subject, document["proof"], lines, algorithm)
        # By code point, which is the order of the UTF-8 bytes too.
        lines.sort()
        return "".join(lines).encode()
    except UnicodeEncodeError as exc:
        raise FormatError("bad_unicode", "expected text without lone surrogates") from exc


def compiled_table() -> dict[str, Any]:
    """The compiled hire context as JSON, for the verifier page: terms, types, options, and the predicate of a proof."""

    def written(terms: Mapping[str, _Term]) -> dict[str, Any]:
        return {name: {**term._asdict(), "words": dict(term.words)} for name, term in terms.items()}

    table = _compiled()
    return {
        "terms": written(table.terms),
        "types": dict(table.types),
        "options": written(table.options),
        "proof": table.proof.predicate,
    }


def escaped(text: str) -> str:
    """A literal's text as canonical N-Quads writes it between the quotation marks."""
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    if '"' in text:
        text = text.replace('"', '\\"')
    if _SPECIAL.search(text):
        text = _SPECIAL.sub(lambda found: _ESCAPES.get(found[0]) or f"\\u{ord(found[0]):04X}", text)
    return text


def is_iri(value: object) -> bool:
    """Whether it is an absolute IRI (RFC 3987), as strictly as readers of RDF take it."""
    if not isinstance(value, str):
        return False
    try:
        NamedNode(value)
    except ValueError:
        return False
    return True


def _node(table: _Table, node: Mapping[str, Any], lines: list[str], path: str, ids: set[str], depth: int) -> str:
    """Append the quads of a node and of those inside it; its id as a term of N-Quads."""
    own = node.get("id")
    subject = _iri(own, f"{path}/id")
    if subject in ids or depth > MAX_NODE_DEPTH or len(node) < 2:
        # Equal ids would merge two nodes, and a node of an id alone would say what the bare IRI says.
        raise FormatError("schema_violation", "expected a node with an id of its own and members", path=path)
    ids.add(subject)
    terms = table.terms
    for name, value in node.items():
        if name == "id" or (depth == 0 and name in ("@context", "proof")):
            continue
        if name == "type":
            kind = table.types.get(value) if isinstance(value, str) else None
            if kind is None:
                raise FormatError("schema_violation", f"expected a known type; came {value!a:.64}", path=f"{path}/type")
            lines.append(f"{subject} {_RDF_TYPE} {kind} .\n")
            continue
        term = terms.get(name)
        if term is None:
            raise _unknown(name, path)
        shape = term.shape
        if shape == "node" or shape == "nodes":
            for place, inner in _inner_nodes(value, shape, f"{path}/{name}"):
                object_ = _node(table, inner, lines, place, ids, depth + 1)
                lines.append(f"{subject} {term.predicate} {object_} .\n")
        elif shape == "texts":
            for text in _texts(value, f"{path}/{name}"):
                lines.append(f'{subject} {term.predicate} "{escaped(text)}" .\n')
        else:
            lines.append(f"{subject} {term.predicate} {_object(term, value, path, name)} .\n")
    return subject


def _object(term: _Term, value: Any, path: str, name: str) -> str:
    """A value as a term of N-Quads; exactly one JSON type per shape."""
    shape = term.shape
    if shape == "json":
        return f'"{escaped(canonicalize(value).decode())}"{_RDF_JSON}'
    kind: type[Any] = type(value)  # pyright: ignore[reportUnknownVariableType]  (a cast is a call for each value)
    if kind is str:
        if shape == "text" or shape == "typed":
            return f'"{escaped(value)}"{term.datatype}'
        if shape == "iri":
            return _iri(value, f"{path}/{name}")
        if shape == "vocab":
            word = term.words.get(value)
            if word is not None:
                return word
            if term.vocab and _NAME.fullmatch(value):
                return f"<{term.vocab}{value}>"
    elif kind is int and shape == "integer":
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise FormatError("number_out_of_range", "expected an integer within 2^53-1", path=f"{path}/{name}")
        return f'"{value}"{term.datatype}'
    elif kind is bool and shape == "boolean":
        return f'"{"true" if value else "false"}"{term.datatype}'
    raise FormatError("schema_violation", f"expected {shape}; came {kind.__name__}", path=f"{path}/{name}")


def _inner_nodes(value: Any, shape: str, path: str) -> list[tuple[str, Mapping[str, Any]]]:
    """The nodes of a member with their paths: one, or a set sorted by id without repeats."""
    if shape == "node":
        if not isinstance(value, Mapping):
            raise FormatError("schema_violation", "expected an object with an id", path=path)
        return [(path, cast("Mapping[str, Any]", value))]
    if not isinstance(value, list | tuple) or not value:
        raise FormatError("schema_violation", "expected an array of at least one object with an id", path=path)
    found: list[tuple[str, Mapping[str, Any]]] = []
    last = ""
    for place, inner in enumerate(cast("list[Any]", value)):
        own: Any = cast("Mapping[str, Any]", inner).get("id") if isinstance(inner, Mapping) else None
        if not isinstance(own, str) or own <= last:
            raise FormatError("schema_violation", "expected objects sorted by id", path=f"{path}/{place}")
        last = own
        found.append((f"{path}/{place}", cast("Mapping[str, Any]", inner)))
    return found


def _texts(value: Any, path: str) -> list[str]:
    """A set of texts: at least one, sorted by code point, no repeats."""
    items = cast("list[Any]", value) if isinstance(value, list | tuple) else []
    last = ""
    for place, item in enumerate(items):
        if not isinstance(item, str) or (place and item <= last):
            raise FormatError("schema_violation", "expected text, sorted, without repeats", path=f"{path}/{place}")
        last = item
    if not items:
        raise FormatError("schema_violation", "expected an array of at least one text", path=path)
    return list(items)


def _options(table: _Table, subject: str, proof: Mapping[str, Any], end: str, lines: list[str], path: str) -> None:
    """Append the quads of a proof, or of its options; `end` names the graph."""
    for name, value in proof.items():
        if name == "id" or name == "@context":
            continue
        if name == "type":
            if value != "DataIntegrityProof":
                raise FormatError("schema_violation", "expected a DataIntegrityProof", path=f"{path}/type")
            lines.append(f"{subject} {_RDF_TYPE} {_PROOF_TYPE}{end}")
            continue
        term = table.options.get(name)
        if term is None:
            raise _unknown(name, path)
        if name == "previousProof" and isinstance(value, list | tuple):
            items = _texts(sorted(set(map(str, cast("list[Any]", value)))), f"{path}/{name}")
        else:
            items = [value]
        for item in items:
            lines.append(f"{subject} {term.predicate} {_object(term, item, path, name)}{end}")


def _previous(table: _Table, subject: str, proofs: Any, lines: list[str], algorithm: str) -> None:
    """Append the proofs that a chain builds on, each in a graph that has no name of its own."""
    if not isinstance(proofs, list | tuple) or not proofs:
        raise FormatError("schema_violation", "expected the list of proofs that are built on", path="/proof")
    graphs: list[tuple[str, list[str]]] = []
    for place, proof in enumerate(cast("list[Any]", proofs)):
        path = f"/proof/{place}"
        if not isinstance(proof, Mapping):
            raise FormatError("schema_violation", "expected a proof", path=path)
        found = cast("Mapping[str, Any]", proof)
        mine: list[str] = [f"{subject} {table.proof.predicate}{_OWN_GRAPH}"]
        _options(table, _iri(found.get("id"), f"{path}/id"), found, _OWN_GRAPH, mine, path)
        # RDFC-1.0, section 4.6: the hash of what is said with this label, itself written as _:a. No two are equal,
        # since no two proofs have the same id, so labels go by the order of the hashes.
        mine.sort()
        graphs.append((hashlib.new(algorithm, "".join(mine).encode()).hexdigest(), mine))
    graphs.sort()
    if any(one[0] == other[0] for one, other in pairwise(graphs)):
        raise FormatError("schema_violation", "expected proofs with an id of their own", path="/proof")
    for label, (_, mine) in enumerate(graphs):
        lines += [line.removesuffix(_OWN_GRAPH) + f" _:c14n{label} .\n" for line in mine]


def _iri(value: Any, path: str) -> str:
    try:
        NamedNode(value)  # as `is_iri`, without a call for each of hundreds
    except (TypeError, ValueError):
        raise FormatError("schema_violation", f"expected an absolute IRI; came {value!a:.64}", path=path) from None
    return f"<{value}>"


def _unknown(name: str, path: str) -> FormatError:
    return FormatError(code_of_unknown(name), f"expected terms of the hire context; came {name[:64]!r}", path=path)


@cache
def _compiled() -> _Table:
    """The hire context as tables, once its digest was checked."""
    context: Mapping[str, Any] = CONTEXTS[HIRE_CONTEXT]["@context"]
    terms: dict[str, _Term] = {}
    types: dict[str, str] = {}
    for name, defined in context.items():
        if name[0].isupper() and name != "DataIntegrityProof":
            types[name] = f"<{defined if isinstance(defined, str) else defined['@id']}>"
        elif name[0].islower() and name not in ("id", "type"):
            terms[name] = _term(name, defined)
    proof = terms.pop("proof")
    inner: Mapping[str, Any] = context["DataIntegrityProof"]["@context"]
    options = {name: _term(name, of) for name, of in inner.items() if name[0] != "@" and name not in ("id", "type")}
    return _Table(terms, types, proof, options)


def _term(name: str, defined: Any) -> _Term:
    if isinstance(defined, str):
        return _Term(f"<{defined}>", "text")
    predicate = f"<{defined['@id']}>"
    kind: str | None = defined.get("@type")
    if name in NODES or name in NODE_SETS:
        return _Term(predicate, "node" if name in NODES else "nodes")
    if defined.get("@container") == "@set":
        return _Term(predicate, "texts")
    if kind == "@vocab":
        # A scope that begins with null forgets the other terms, so that none of them can stand for a word.
        given = cast(
            "list[Any]", defined["@context"] if isinstance(defined["@context"], list) else [defined["@context"]]
        )
        scoped: Mapping[str, Any] = given[-1]
        words = {
            word: f"<{of if isinstance(of, str) else of['@id']}>"
            for word, of in scoped.items()
            if word[0] != "@" and word not in ("id", "type")
        }
        return _Term(predicate, "vocab", words=words, vocab=str(scoped.get("@vocab", "")))
    if kind is None:
        return _Term(predicate, "text")
    shapes: dict[str, str] = {
        "@id": "iri",
        "@json": "json",
        f"{_XSD}integer": "integer",
        f"{_XSD}boolean": "boolean",
    }
    return _Term(predicate, shapes.get(kind, "typed"), datatype=f"^^<{kind}>")
