"""did:web: every published vector gives its document or its error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support import conformance_dir
from undersigned.did import document_from, fetches
from undersigned.errors import ResolutionError

pytestmark = pytest.mark.conformance


def _cases() -> list[object]:
    folder = conformance_dir()
    if folder is None:
        return [pytest.param(None, id="vectors absent")]
    vectors = json.loads((folder / "did-web" / "did_web-resolve.json").read_text())["vectors"]
    return [pytest.param(vector, id=vector["description"]) for vector in vectors]


@pytest.mark.parametrize("vector", _cases())
def test_resolution(conformance: Path, vector: dict):
    did, served = vector["input"]["didUri"], vector["input"].get("mockServer", {})
    expected = vector["output"]
    if not vector.get("errors"):
        fetched = {url: json.dumps(served[url]).encode() for url in fetches(did)}
        assert document_from(did, fetched).json == expected["didDocument"]
        return
    with pytest.raises(ResolutionError) as caught:
        document_from(did, {url: served[url] for url in fetches(did) if url in served})
    assert caught.value.code == "did_unresolvable"
    is_method_error = expected["didResolutionMetadata"]["error"] == "methodNotSupported"
    assert ("expected one of did:" in caught.value.message) is is_method_error


def test_every_published_case_is_run(conformance: Path):
    assert len(_cases()) == 4
