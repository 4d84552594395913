"""The general path: what JSON-LD says, with nothing lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proofs import credential, replaced
from undersigned.errors import FormatError
from undersigned.jsonld import CONTEXTS, CanonLimits, canonical_quads, document_quads, expand, to_quads

TERMS = "urn:x:terms"
CONTEXT = {
    "@context": {
        "id": "@id",
        "type": "@type",
        "text": "urn:x:text",
        "link": {"@id": "urn:x:link", "@type": "@id"},
        "list": {"@id": "urn:x:list", "@container": "@list"},
        "json": {"@id": "urn:x:json", "@type": "@json"},
        "double": {"@id": "urn:x:double", "@type": "http://www.w3.org/2001/XMLSchema#double"},
        "index": {"@id": "urn:x:index", "@container": "@index"},
        "graph": {"@id": "urn:x:graph", "@container": "@graph"},
        "nothing": None,
        "Thing": "urn:x:Thing",
    }
}
REGISTRY = {**CONTEXTS, TERMS: CONTEXT}


def document(**members: Any) -> dict[str, Any]:
    return {"@context": TERMS, "id": "urn:x:1", "text": "said", **members}


def code_of(found: Any, **given: Any) -> str:
    with pytest.raises(FormatError) as raised:
        document_quads(found, **{"contexts": REGISTRY, **given})
    return raised.value.code


@pytest.mark.parametrize(
    "members",
    [
        {"text": ["a", "b", "", "é😀\u2028", 1, True, False, 0, -5, 1.5, 1e-7, 123456.75]},
        {"text": [2**53 - 1, 1 - 2**53]},
        {"text": [{"@value": "a", "@language": "de-CH"}, {"@value": "a", "@language": "en"}, "a"]},
        {"text": {"@value": "5", "@type": "urn:x:Kind"}},
        {"double": [5, 1.5, 0.5]},
        {"link": ["urn:x:2", {"id": "urn:x:3", "type": "Thing", "text": "x"}, {}, {"text": "nameless"}]},
        {"link": [{"id": "_:b0", "text": "x"}, {"id": "_:b1", "link": "_:b0"}]},
        {"list": ["a", "a", "b", 1, {"text": "x"}]},
        {"list": []},
        {"list": [["a", "b"], [], ["c"]]},
        {"text": {"@list": ["x", "y"]}},
        {"text": {"@set": ["x", "y"]}},
        {"json": {"b": [1, None, {"@id": "x", "@graph": []}], "a": 1.0}},
        {"json": None},
        {"json": []},
        {"graph": [{"id": "urn:x:4", "text": "in it"}, {"text": "in another"}]},
        {"type": ["Thing", "urn:x:Other"]},
        {"@type": "Thing", "@context": [TERMS]},
    ],
    ids=json.dumps,
)
def test_the_same_as_the_processor(members: dict[str, Any]) -> None:
    """Where nothing is lost, the quads are those of pyld."""
    given = document(**members)
    assert document_quads(given, contexts=REGISTRY) == canonical_quads(to_quads(given, contexts=REGISTRY))


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"unheard": "x"}, "unknown_term"),
        ({"nothing": "x"}, "unknown_term"),
        ({"link": {"unheard": "x"}}, "unknown_term"),
        ({"type": "Unheard"}, "unknown_term"),
        ({"link": {"type": ["Thing", "Unheard"], "text": "x"}}, "unknown_term"),
        ({"text": None}, "schema_violation"),
        ({"text": ["a", None]}, "schema_violation"),
        ({"text": []}, "schema_violation"),
        ({"text": [[]]}, "schema_violation"),
        ({"text": {"@value": None}}, "schema_violation"),
        ({"text": {"@language": "de"}}, "schema_violation"),
        ({"text": {"@set": []}}, "schema_violation"),
        ({"text": ["a", "a"]}, "schema_violation"),
        ({"json": [{"@value": 1}], "text": [1, 1.0]}, "schema_violation"),
        ({"text": {"@value": "x", "@direction": "ltr"}}, "schema_violation"),
        ({"text": {"@value": "x", "@index": "i"}}, "schema_violation"),
        ({"text": {"@value": "x", "@type": "relative"}}, "schema_violation"),
        ({"text": {"@value": "x", "@language": "not a language"}}, "schema_violation"),
        ({"text": {"@value": ["x"]}}, "schema_violation"),
        ({"index": {"a": "x", "b": "y"}}, "schema_violation"),
        ({"double": "1.5"}, "schema_violation"),
        ({"id": "relative"}, "schema_violation"),
        ({"id": ""}, "schema_violation"),
        ({"id": 5}, "schema_violation"),
        ({"link": "relative"}, "schema_violation"),
        ({"link": "#fragment"}, "schema_violation"),
        ({"link": "?query"}, "schema_violation"),
        ({"link": "//host/path"}, "schema_violation"),
        ({"link": "urn:%"}, "schema_violation"),
        ({"link": ["urn:x:2", "urn:x:2"]}, "schema_violation"),
        ({"link": ["urn:x:2", {"id": "urn:x:2"}]}, "schema_violation"),
        ({"graph": {"id": "urn:x:4"}}, "schema_violation"),
        ({"graph": {}}, "schema_violation"),
        ({"graph": "text"}, "schema_violation"),
        ({"type": []}, "schema_violation"),
        ({"type": None}, "schema_violation"),
        ({"type": 1}, "schema_violation"),
        ({"type": ["Thing", "Thing"]}, "schema_violation"),
        ({"text": 2**53}, "number_out_of_range"),
        ({"text": -(2**60)}, "number_out_of_range"),
        ({"text": 1e21}, "number_out_of_range"),
        ({"json": 2**53}, "number_out_of_range"),
        ({"@version": 1.1}, "schema_violation"),
        ({"@unheard": "x"}, "schema_violation"),
        ({"link": {"@context": {"text": "urn:x:other"}, "text": "x"}}, "context_not_allowed"),
        ({"link": {"@context": None, "text": "x"}}, "context_not_allowed"),
        ({"text": "\ud800"}, "schema_violation"),
    ],
    ids=repr,
)
def test_what_would_be_lost_is_refused(members: dict[str, Any], code: str) -> None:
    assert code_of(document(**members)) == code


def test_a_document_says_something() -> None:
    assert code_of({"@context": TERMS}) == "schema_violation"
    assert code_of({"@context": TERMS, "id": "urn:x:1"}) == "schema_violation"
    assert code_of({"text": "x"}) == "context_not_allowed"


def test_deep_nesting_is_an_error_of_ours() -> None:
    deep: Any = {"text": "x"}
    for _ in range(5000):
        deep = {"link": deep}
    assert code_of(document(link=deep)) in ("too_deep", "canon_limit")
    assert code_of(document(link=deep), limits=CanonLimits(max_quads=10**6)) == "too_deep"


def test_work_grows_with_what_is_allowed_only() -> None:
    """More values than quads are not looked at, however short they are."""
    assert code_of(document(text=[str(number) for number in range(5000)])) == "canon_limit"
    assert code_of(document(link=[{} for _ in range(5000)])) == "canon_limit"
    assert document_quads(document(text=[str(number) for number in range(4000)]), contexts=REGISTRY)


def test_contexts_in_the_document_are_listed_ones() -> None:
    """A credential inside a presentation brings its own, by IRI."""
    presentation = {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "id": "urn:x:1",
        "type": "VerifiablePresentation",
        "verifiableCredential": [credential()],
    }
    assert document_quads(presentation).count(b"_:c14n0") > 4
    for context in (None, {}, "https://example.org/context", ["https://www.w3.org/ns/credentials/v2", {}]):
        changed = replaced(presentation, ("verifiableCredential", 0, "@context"), context)
        assert code_of(changed) == "context_not_allowed"
    without = replaced(
        presentation, ("verifiableCredential",), [{"type": ["VerifiableCredential"], "issuer": "urn:x:2"}]
    )
    assert code_of(without) == "unknown_term"


def test_looking_at_a_document_drops_what_json_ld_drops() -> None:
    """`expand` and `to_quads` follow the standard; they are not for signing."""
    given = document(unheard="x", text=None)
    assert expand(given, contexts=REGISTRY) == []
    assert to_quads(given, contexts=REGISTRY) == []


def test_another_users_cache_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """pyld keeps contexts by URL for the whole process; what somebody else put there is not believed."""
    from pyld import jsonld

    iri = "https://www.w3.org/ns/credentials/v2"
    evil = {"@context": {"@vocab": "urn:evil:"}}

    def loader(url: str, options: Any) -> dict[str, Any]:
        return {"contextUrl": None, "documentUrl": url, "document": evil, "tag": "static"}

    expected = document_quads(credential())
    assert jsonld.expand({"@context": iri, "unheard": "x"}, {"documentLoader": loader})
    assert document_quads(credential()) == expected
    with pytest.raises(FormatError):
        document_quads({"@context": iri, "id": "urn:x:1", "unheard": "x"})
