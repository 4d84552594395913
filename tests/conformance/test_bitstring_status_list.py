"""Bitstring Status List: the examples of the standard are read as they are labelled there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support import conformance_dir
from undersigned.credentials import (
    MIN_LIST_BITS,
    Credential,
    encode_list,
    read_credential,
    read_status_list,
    status_entries,
    status_urls,
)
from undersigned.jsonld import CONTEXTS

pytestmark = pytest.mark.conformance

ISSUER = "did:example:12345"
EXAMPLES_CONTEXT = "https://www.w3.org/ns/credentials/examples/v2"
LISTS = ("a-status-list-verifiable-credential", "example-bitstringstatuslistcredential")
ENTRIES = {
    "a-revocable-verifiable-credential": [("revocation", 94567, "https://example.com/credentials/status/3")],
    "associating-multiple-status-lists-with-a-single-verifiable-credential": [
        ("revocation", 94567, "https://example.com/credentials/status/3"),
        ("suspension", 12345, "https://example.com/credentials/status/4"),
    ],
}


def _example(folder: Path, name: str) -> dict[str, Any]:
    return json.loads((folder / "bitstring-status-list" / f"{name}.json").read_text())


def _read(document: dict[str, Any]) -> Credential:
    # The examples use a context that is made for examples; what we read of a status does not depend on it.
    assert set(document["@context"]) <= {*CONTEXTS, EXAMPLES_CONTEXT}
    return read_credential(document, contexts={**CONTEXTS, EXAMPLES_CONTEXT: {}})  # type: ignore[dict-item]


@pytest.mark.parametrize("name", LISTS)
def test_a_published_list_is_read_and_made(conformance: Path, name: str):
    document = _example(conformance, name)
    found = read_status_list(_read(document), url=document["id"])
    assert found.purposes == ("revocation",)
    assert found.bits == bytes(MIN_LIST_BITS // 8)
    assert not any(found.is_set(place) for place in (0, 94567, MIN_LIST_BITS - 1))
    # Two compressors may pack the same bits differently, so only what the text says is compared.
    again = json.loads(json.dumps(document))
    again["credentialSubject"]["encodedList"] = encode_list(found.bits)
    assert read_status_list(_read(again), url=document["id"]).bits == found.bits


@pytest.mark.parametrize("name", ENTRIES)
def test_published_entries_are_read(conformance: Path, name: str):
    credential = _read(_example(conformance, name))
    found = status_entries(credential)
    assert [(entry.purpose, entry.index, entry.url) for entry in found] == ENTRIES[name]
    assert status_urls([credential]) == {entry.url: ISSUER for entry in found}


def test_every_published_case_is_run(conformance: Path):
    names = {path.stem for path in (conformance / "bitstring-status-list").glob("*.json")}
    assert names == {*LISTS, *ENTRIES}
    assert conformance_dir() == conformance
