"""The bundled contexts mean what the published ones mean, term by term; every other context is refused."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from support import ROOT, conformance_dir, refuses
from undersigned.errors import FormatError
from undersigned.jsonld import CONTEXTS, HIRE_CONTEXT, canonical_quads, closed_loader, document_quads, to_quads
from undersigned.jsonld.canonical import CanonLimits
from undersigned.jsonld.contexts import context_bytes

pytestmark = pytest.mark.conformance

FOLDER = conformance_dir()
INDEX: list[dict[str, str]] = json.loads((FOLDER / "contexts/index.json").read_text()) if FOLDER else []
LIMITS = CanonLimits(max_blank_nodes=1_000)

NOT_BUNDLED = {
    "credentials-v1.jsonld": "VC 1.1: credentials here are 2.0",
    "credentials-examples-v2.jsonld": "a catch-all for examples; tests pass it as an extra context",
    "status-list-v1.jsonld": "its terms are part of credentials/v2",
    "ed25519-2020-v1.jsonld": "of a proof type that is refused",
    "citizenship-v4rc1.jsonld": "the vocabulary of an example; tests pass it as an extra context",
}
"""Published contexts that are not bundled, each with the reason."""


def published(entry: dict[str, str], folder: Path) -> dict[str, Any]:
    raw = (folder / "contexts" / entry["file"]).read_bytes()
    assert sha256(raw).hexdigest() == entry["sha256"]
    return json.loads(raw)


def bundled() -> list[Any]:
    return [pytest.param(entry, id=entry["file"]) for entry in INDEX if entry["file"] not in NOT_BUNDLED]


def test_every_bundled_context_has_its_published_one(conformance: Path) -> None:
    assert {entry["iri"] for entry in INDEX if entry["file"] not in NOT_BUNDLED} == set(CONTEXTS) - {HIRE_CONTEXT}
    assert set(NOT_BUNDLED) <= {entry["file"] for entry in INDEX}


@pytest.mark.parametrize("entry", bundled())
def test_same_quads_for_every_term(conformance: Path, entry: dict[str, str]) -> None:
    """A document that uses every term, in every scope, says the same under ours and under the published one."""
    theirs = published(entry, conformance)
    iri = entry["iri"]
    document = {"@context": iri, **every_term(theirs["@context"], f"urn:{entry['file']}:")}
    ours = canonical_quads(to_quads(document), limits=LIMITS)
    assert ours == canonical_quads(to_quads(document, contexts={iri: theirs}), limits=LIMITS)
    assert all(f"<{of}".encode() in ours for of in iris(theirs["@context"]))


@pytest.mark.parametrize("entry", bundled())
def test_a_changed_term_is_seen(conformance: Path, entry: dict[str, str]) -> None:
    """The comparison can fail: whichever IRI of the published context is changed, it does."""
    theirs = published(entry, conformance)
    iri = entry["iri"]
    document = {"@context": iri, **every_term(theirs["@context"], "urn:x:")}
    ours = canonical_quads(to_quads(document), limits=LIMITS)
    for of in iris(theirs["@context"]):
        changed = json.loads(json.dumps(theirs).replace(f'"{of}"', '"https://example.org/other#"'))
        assert ours != canonical_quads(to_quads(document, contexts={iri: changed}), limits=LIMITS)


@pytest.mark.parametrize("file", sorted(NOT_BUNDLED))
def test_others_are_refused(conformance: Path, file: str) -> None:
    iri = next(entry["iri"] for entry in INDEX if entry["file"] == file)
    for function in (lambda: closed_loader()(iri, {}), lambda: document_quads({"@context": iri, "@id": "urn:x:1"})):
        with refuses(FormatError, "context_not_allowed"):
            function()


def test_extra_contexts_are_an_argument(conformance: Path) -> None:
    """A document may be read with contexts of one's own, and the next one without them is refused again."""
    document = json.loads((conformance / "vc-di-eddsa/unsigned.json").read_text())
    extra = {entry["iri"]: published(entry, conformance) for entry in INDEX}
    for _ in range(2):
        assert document_quads(document, contexts={**CONTEXTS, **extra})
        with refuses(FormatError, "context_not_allowed"):
            document_quads(document)


def test_the_hire_context_is_published_as_it_is_bundled() -> None:
    assert (ROOT / "protocol-spec/context/hire-v1.jsonld").read_bytes() == context_bytes(HIRE_CONTEXT)


def every_term(context: dict[str, Any], base: str) -> dict[str, Any]:
    """A node that uses each term of a context, and inside each type and property the terms of its own context."""
    count = 0

    def node(scope: dict[str, Any], of_type: str | None) -> dict[str, Any]:
        nonlocal count
        count += 1
        made: dict[str, Any] = {"id": f"{base}{count}"}
        if of_type:
            made["type"] = of_type
        kinds: list[Any] = []
        for name, defined in scope.items():
            if name[0] == "@" or name in ("id", "type"):
                continue
            if name[0].isupper():
                inner = defined.get("@context") if isinstance(defined, dict) else None
                kinds.append(node(inner or {}, name))
            else:
                made[name] = value(name, defined)
        if kinds:
            # Types are said of nodes of their own, each with the terms of its scope, hung on any term that takes nodes.
            made["@included"] = kinds
        return made

    def value(name: str, defined: Any) -> Any:
        nonlocal count
        count += 1
        if isinstance(defined, str):
            return f"text {count}"
        kind = defined.get("@type")
        inner = defined.get("@context")
        if kind == "@json":
            return {"b": [1, "x"], "a": None}
        if kind == "@vocab":
            return sorted(word for word in inner if word[0] != "@" and word not in ("id", "type"))
        if inner is not None:
            return node(inner, None)
        if kind == "@id":
            return [f"{base}{count}", {"id": f"{base}node{count}", "type": f"{base}Type"}]
        return f"text {count}"

    if "@vocab" in context:
        return {"@id": f"{base}0", "anything": "text", "@type": "Thing"}
    return node(context, None)


def iris(context: dict[str, Any]) -> set[str]:
    """Every IRI of a context that stands for a term or a datatype."""
    found: set[str] = set()
    for name, defined in context.items():
        if name[0] == "@" and name != "@vocab":
            continue
        if isinstance(defined, str):
            found |= {defined} if defined[0] != "@" and name != "@vocab" else set()
            continue
        found.add(defined["@id"])
        if defined.get("@type", "@")[0] != "@":
            found.add(defined["@type"])
        if isinstance(defined.get("@context"), dict):
            found |= iris(defined["@context"])
    return found or {context["@vocab"]}
