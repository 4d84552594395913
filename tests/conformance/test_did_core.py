"""DID Core: implementers' documents and results of resolving, read as theirs and judged as ours."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from support import conformance_dir, refuses
from undersigned.did import DidDocument, document_from, fetches, methods_for, parse_did_url
from undersigned.encoding import FOREIGN_LIMITS, decode_json
from undersigned.errors import UndersignedError

pytestmark = pytest.mark.conformance

RESOLVER = "https://resolver.example"
NOW = "2026-11-25T12:00:00Z"

USABLE = {
    ("did:example:123", "#key-0"),
    (
        "did:webvh:QmVJ5nUYb9iugnUz4yDfbe8UFbhmnsvS2EAzSpSfPScRAn:opsecid.github.io",
        "#z6MkijT9pkV3BWDDWbMVm3qrDjYR8JEUgYzfjhnGPKN7gk5N",
    ),
}
"""Keys of these documents that may sign here. All others are of kinds that are not used (RSA, BLS, secp256k1), or of
suites of before 2020 (`Ed25519VerificationKey2018`, `publicKeyBase58`)."""

DIFFERENT = {
    "resolver-spruce-key.json 1": "a secp256k1 key, which no suite here uses",
    "dereferencer-dif-webvh.json 0": "a service is not dereferenced by name; the URL is read",
}
"""Labelled as good and refused here; with the reason."""


@cache
def _files() -> dict[str, Any]:
    folder = conformance_dir()
    if folder is None:
        return {}
    return {path.name: json.loads(path.read_text()) for path in sorted((folder / "did-core").glob("*.json"))}


def _representations() -> list[object]:
    if not _files():
        return [pytest.param(None, None, id="vectors absent")]
    return [
        pytest.param(did, form["representation"], id=f"{name} {did[:40]} {kind}")
        for name, file in _files().items()
        for did in file.get("dids", ())
        for kind, form in file[did].items()
        if "representation" in form
    ]


def _executions(function: str) -> list[object]:
    if not _files():
        return [pytest.param(None, None, None, id="vectors absent")]
    return [
        pytest.param(f"{name} {number}", execution, outcome, id=f"{name} {number}")
        for name, file in _files().items()
        for outcome, numbers in file.get("expectedOutcomes", {}).items()
        for number in numbers
        for execution in [file["executions"][number]]
        if execution["function"].startswith(function)
    ]


@pytest.mark.parametrize(("did", "representation"), _representations())
def test_documents(conformance: Path, did: str, representation: str) -> None:
    """Each is read as that DID's; which of its keys may sign is decided when one is asked for."""
    raw = representation.encode()
    document = DidDocument(did, raw)
    assert document.json == decode_json(raw, FOREIGN_LIMITS)
    usable: set[tuple[str, str]] = set()
    for method in document.methods("assertionMethod"):
        try:
            document.key_for(method, "assertionMethod", now=None)
        except UndersignedError as refusal:
            assert refusal.code == "did_document_invalid"  # noqa: PT017
        else:
            usable.add((did, method.removeprefix(did)))
    assert usable == {one for one in USABLE if one[0] == did}
    with refuses(UndersignedError, "did_document_invalid"):
        DidDocument(f"{did}x", raw)


@pytest.mark.parametrize(("name", "execution", "outcome"), _executions("resolve"))
def test_resolution(conformance: Path, name: str, execution: dict[str, Any], outcome: str) -> None:
    """Over the method here, or over a resolver that answers what the fixture says."""
    did, output = execution["input"]["did"], execution["output"]
    document: Any = output.get("didDocument")
    stream = output.get("didDocumentStream")
    if document is None and stream and "cbor" not in str(output["didResolutionMetadata"].get("contentType")):
        document = json.loads(stream)
    answer = {**output, "didDocument": document}

    def resolve() -> DidDocument:
        methods = methods_for(did, RESOLVER)
        served = document if did.startswith("did:web:") else answer
        fetched = {url: json.dumps(served).encode() for url in fetches(did, methods=methods) if served is not None}
        return document_from(did, fetched, now=NOW, methods=methods)

    expected = {
        "defaultOutcome": None,
        "invalidDidErrorOutcome": "did_document_invalid",
        "notFoundErrorOutcome": "did_unresolvable",
        "deactivatedOutcome": "did_deactivated",
    }[outcome]
    if "cbor" in str(output["didResolutionMetadata"].get("contentType")):
        expected = "did_unresolvable"  # No representation but JSON is read.
    if name in DIFFERENT:
        expected = "did_document_invalid"
    if expected is None:
        assert resolve().id == did
        return
    with refuses(UndersignedError, expected):
        resolve()


@pytest.mark.parametrize(("name", "execution", "outcome"), _executions("dereference"))
def test_dereferencing(conformance: Path, name: str, execution: dict[str, Any], outcome: str) -> None:
    url = execution["input"]["didUrl"]
    if outcome == "invalidDidUrlErrorOutcome":
        with refuses(UndersignedError, "did_document_invalid"):
            parse_did_url(url)
        return
    parsed = parse_did_url(url)
    if name in DIFFERENT:
        assert parsed.query == "service=whois"
        return
    document = document_from(parsed.did, {})
    if parsed.fragment is not None:
        assert document.methods("assertionMethod") == (url,)
        document.key_for(url, "assertionMethod", now=None)


def test_every_published_case_is_run(conformance: Path) -> None:
    assert len(_files()) == 10
    assert len(_representations()) == 12
    assert len(_executions("resolve")) == 15
    assert len(_executions("dereference")) == 4
