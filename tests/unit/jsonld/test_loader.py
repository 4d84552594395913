"""The closed loader and the registry of contexts."""

from __future__ import annotations

from typing import Any

import pytest

from support import refuses
from undersigned.errors import FormatError
from undersigned.jsonld import CONTEXTS, HIRE_CONTEXT, closed_loader, document_quads
from undersigned.jsonld.contexts import PINNED
from undersigned.jsonld.loader import check_context


def test_the_bundled_contexts_are_read_only() -> None:
    assert set(CONTEXTS) == set(PINNED)
    with pytest.raises(TypeError):
        CONTEXTS["urn:x:1"] = {}  # type: ignore[index]
    with pytest.raises(TypeError):
        CONTEXTS[HIRE_CONTEXT]["@context"] = {}  # type: ignore[index]


def test_the_loader_gives_listed_contexts_only() -> None:
    load = closed_loader()
    for iri in CONTEXTS:
        assert load(iri, {})["document"]["@context"] == CONTEXTS[iri]["@context"]
    with refuses(FormatError, "context_not_allowed"):
        load("https://example.org/context", {})


def test_a_registry_of_ones_own() -> None:
    """Passed as an argument; ours is not changed by it."""
    mine = {"urn:x:terms": {"@context": {"text": "urn:x:text"}}}
    document = {"@context": "urn:x:terms", "@id": "urn:x:1", "text": "x"}
    assert document_quads(document, contexts=mine) == b'<urn:x:1> <urn:x:text> "x" .\n'
    other = {"urn:x:terms": {"@context": {"text": "urn:x:other"}}}
    assert document_quads(document, contexts=other) == b'<urn:x:1> <urn:x:other> "x" .\n'
    with refuses(FormatError, "context_not_allowed"):
        document_quads(document)


@pytest.mark.parametrize("value", [HIRE_CONTEXT, [HIRE_CONTEXT], list(CONTEXTS), (HIRE_CONTEXT,)])
def test_listed_contexts_pass(value: Any) -> None:
    check_context(value, CONTEXTS)


@pytest.mark.parametrize("value", [None, [], {}, "", 0, [HIRE_CONTEXT, {}], [HIRE_CONTEXT, None], [[HIRE_CONTEXT]]])
def test_anything_else_is_refused(value: Any) -> None:
    with refuses(FormatError, "context_not_allowed"):
        check_context(value, CONTEXTS)


def test_no_term_of_ours_is_a_prefix_or_clashes_with_credentials() -> None:
    """A prefix would give one IRI two spellings; a clash would stop a credential that uses both contexts."""
    hire = CONTEXTS[HIRE_CONTEXT]["@context"]
    theirs = CONTEXTS["https://www.w3.org/ns/credentials/v2"]["@context"]
    for name, defined in hire.items():
        iri = defined if isinstance(defined, str) else isinstance(defined, dict) and defined.get("@id")
        if isinstance(iri, str) and iri[0] != "@":
            assert iri[-1] not in ":/?#[]@"
        assert name not in theirs or theirs[name] == defined
    scoped = {term for of in theirs.values() if isinstance(of, dict) for term in of.get("@context") or ()}
    shared = {name for name in hire if name in scoped and name[0] != "@" and name not in ("id", "type")}
    # In a credential these mean what the credentials context says, so ours must give way there.
    assert shared == {"evidence", "nonce", "proof", "validUntil"}
    for name in shared - {"proof"}:
        assert hire[name]["@protected"] is False
