"""The compiled path gives what a JSON-LD processor and an RDFC-1.0 engine give, and never one result for two texts."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support import examples
from undersigned.encoding import canonicalize
from undersigned.errors import FormatError
from undersigned.jsonld import CONTEXTS, HIRE_CONTEXT, canonical_quads, compiled_quads, document_quads, to_quads
from undersigned.jsonld.compiled import _compiled, is_iri

TABLE = _compiled()
PURPOSES = sorted(TABLE.options["proofPurpose"].words)

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    [
        '"',
        "\\",
        "\\\\n",
        "a\nb\r\t\b\f",
        "\x00\x01\x1f\x7f",
        "\u0085\u2028\u2029",
        "\ufffe\uffff",
        "é€😀",
        "",
        "_:a .",
        "{}",
    ]
)
integers = st.integers(min_value=-(2**53) + 1, max_value=2**53 - 1)
scalars = texts | integers | st.booleans()
names = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=6)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3))
iris = st.builds(
    "{}:{}".format,
    st.sampled_from(["urn", "did", "https", "x-y.z+1", "sender", "unit"]),
    st.text(alphabet="abz019:/?#@.-_~%é😀*()!$&',;=+", max_size=12),
).filter(is_iri)
words = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,6}", fullmatch=True) | st.sampled_from(
    sorted({"id", "type"} | set(TABLE.terms) | set(TABLE.types))
)
"""Units; also such as are terms of the context, which a processor must not take for them."""


@cache
def value(name: str) -> st.SearchStrategy[Any]:
    """Values that a term of the hire context may have, but for nodes. A strategy that is made again for each draw costs
    more than all that is drawn of it.
    """
    term = TABLE.terms.get(name) or TABLE.options[name]
    if term.shape == "vocab":
        return words if term.vocab else st.sampled_from(sorted(term.words))
    if term.shape == "texts":
        return st.lists(texts, min_size=1, max_size=4, unique=True).map(sorted)
    by_shape: dict[str, st.SearchStrategy[Any]] = {
        "text": texts,
        "typed": texts,
        "integer": integers,
        "boolean": st.booleans(),
        "iri": iris,
        "json": values,
    }
    return by_shape[term.shape]


FLAT = sorted(name for name, term in TABLE.terms.items() if term.shape not in ("node", "nodes"))
SETS = sorted(name for name, term in TABLE.terms.items() if term.shape == "nodes")
TYPES = sorted(TABLE.types)
SOME_SETS = st.lists(st.sampled_from(SETS), unique=True)
SOME_OPTIONS = st.lists(st.sampled_from(sorted(set(TABLE.options) - {"proofPurpose", "proofValue"})), unique=True)
SOME_PROOFS = st.lists(iris, min_size=1, max_size=3)


@cache
def members(least: int = 0) -> st.SearchStrategy[dict[str, Any]]:
    names = st.lists(st.sampled_from(FLAT), unique=True, min_size=least, max_size=8)
    return names.flatmap(lambda chosen: st.fixed_dictionaries({name: value(name) for name in chosen}))


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A flat message, or a document with terms, scope, rules and constraints as nodes."""
    document: dict[str, Any] = {
        "@context": HIRE_CONTEXT,
        "id": "urn:uuid:0",
        "type": draw(st.sampled_from(TYPES)),
        **draw(members()),
    }
    if draw(st.booleans()):
        scope: dict[str, Any] = {"id": "urn:uuid:0#scope", "type": "Scope"}
        for name in draw(SOME_SETS):
            rules = [
                {
                    "id": f"urn:uuid:0#{name}{place}",
                    **draw(members(least=1)),
                    **(
                        {
                            "constraint": [
                                {"id": f"urn:uuid:0#{name}{place}/{other}", **draw(members(least=1))}
                                for other in range(count)
                            ]
                        }
                        if (count := draw(st.integers(0, 2)))
                        else {}
                    ),
                }
                for place in range(draw(st.integers(1, 3)))
            ]
            scope[name] = rules
        document["terms"] = {"id": "urn:uuid:0#terms", **draw(members(least=1)), "scope": scope}
    return document


@st.composite
def options(draw: st.DrawFn, *, named: str | None = None) -> dict[str, Any]:
    """The options of a proof, or with a name a whole one."""
    chosen = draw(SOME_OPTIONS)
    proof: dict[str, Any] = {"type": "DataIntegrityProof", "proofPurpose": draw(st.sampled_from(PURPOSES))}
    proof |= {name: draw(value(name)) for name in chosen}
    if "previousProof" in proof and draw(st.booleans()):
        proof["previousProof"] = draw(SOME_PROOFS)
    if named:
        proof |= {"id": named, "proofValue": draw(texts)}
    return proof


def general(document: dict[str, Any], algorithm: str = "sha256") -> bytes:
    return canonical_quads(to_quads(document), algorithm=algorithm)


@given(documents())
@settings(max_examples=examples(300), deadline=None)
def test_documents(document: dict[str, Any]) -> None:
    """Byte for byte what pyld and RDFC-1.0 give (HIRE-LD-01)."""
    assert compiled_quads(document) == general(document)


@given(options(), st.booleans())
@settings(max_examples=examples(200), deadline=None)
def test_proof_configurations(config: dict[str, Any], named: bool) -> None:
    """With an id, and without one, where the options are a blank node."""
    document = {"@context": HIRE_CONTEXT, **({"id": "urn:uuid:1"} if named else {}), **config}
    assert compiled_quads(document) == general(document)


@given(documents(), st.data(), st.sampled_from(["sha256", "sha384"]))
@settings(max_examples=examples(200), deadline=None)
def test_documents_in_a_chain(document: dict[str, Any], data: st.DataObject, algorithm: str) -> None:
    """With the proofs that a chain builds on, each in a graph whose label is decided by a hash."""
    count = data.draw(st.integers(1, 4))
    document["proof"] = [data.draw(options(named=f"urn:uuid:p{place}")) for place in range(count)]
    assert compiled_quads(document, algorithm=algorithm) == general(document, algorithm)


@given(documents(), documents())
@settings(max_examples=examples(200), deadline=None)
def test_two_documents_never_say_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Another canonical JSON, so other quads (HIRE-LD-02)."""
    if canonicalize(one) != canonicalize(other):
        assert compiled_quads(one) != compiled_quads(other)


@given(documents(), st.data())
@settings(max_examples=examples(300), deadline=None)
def test_another_spelling_is_refused_or_says_something_else(document: dict[str, Any], data: st.DataObject) -> None:
    """What a relay may try: write it so that RDF reads the same. The processor is shown to read the same in many.

    HIRE-LD-04.
    """
    changed = respell(document, data)
    if changed is None or canonicalize(changed) == canonicalize(document):
        return
    try:
        found = compiled_quads(changed)
    except FormatError:
        return
    assert found != compiled_quads(document)


def test_the_generator_reaches_every_term() -> None:
    """All terms have a strategy, and no two terms share a predicate."""
    for name in (*FLAT, *TABLE.options):
        assert value(name) is not None
    predicates = [term.predicate for term in TABLE.terms.values()]
    assert len(set(predicates)) == len(predicates)
    context = CONTEXTS[HIRE_CONTEXT]["@context"]
    known = {*TABLE.terms, *TABLE.types, "DataIntegrityProof", "proof", "id", "type", "@protected"}
    assert known == set(context)


def test_the_strict_path_agrees_too() -> None:
    """The path for foreign documents, asked for one of ours."""
    document = {"@context": HIRE_CONTEXT, "id": "urn:uuid:0", "type": "Seal", "sequence": 3, "ledger": {"index": 1}}
    assert document_quads(document) == compiled_quads(document)


@pytest.mark.parametrize(
    "respelled",
    [
        {"sequence": "3"},
        {"sender": {"id": "did:web:a.example"}},
        {"role": {"@value": "hirer"}},
        {"role": ["hirer"]},
        {"type": "https://w3id.org/hire#Seal"},
        {"type": ["Seal"]},
    ],
)
def test_spellings_that_a_processor_takes_for_the_same(respelled: dict[str, Any]) -> None:
    """Each gives the same quads in general JSON-LD, and is refused here."""
    document = {
        "@context": HIRE_CONTEXT,
        "id": "urn:uuid:0",
        "type": "Seal",
        "sequence": 3,
        "sender": "did:web:a.example",
        "role": "hirer",
    }
    assert general({**document, **respelled}) == general(document)
    with pytest.raises(FormatError) as raised:
        compiled_quads({**document, **respelled})
    assert raised.value.code == "schema_violation"


def respell(document: dict[str, Any], data: st.DataObject) -> dict[str, Any] | None:
    """One member written another way."""
    name = data.draw(st.sampled_from(sorted(set(document) - {"@context"})))
    old = document[name]
    new = data.draw(
        st.sampled_from(
            [
                [old],
                {"@value": old},
                {"@list": [old]},
                {"@set": [old]},
                {"@id": old},
                {"id": old},
                str(old),
                None,
                [old, old],
            ]
        )
    )
    if data.draw(st.booleans()) and isinstance(old, dict) and name == "terms":
        scope = old.get("scope", {})
        for member in SETS:
            if len(scope.get(member, [])) > 1:
                swapped = {**scope, member: scope[member][::-1]}
                return {**document, "terms": {**old, "scope": swapped}}
    return {**document, name: new}
