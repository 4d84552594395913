"""did:jwk: every published vector gives its document, or is refused for the listed reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support import conformance_dir
from undersigned.did import document_from, fetches
from undersigned.errors import VerificationError
from undersigned.keys import public_key_from_jwk

pytestmark = pytest.mark.conformance

EXPECTED_EXCEPTIONS = {"resolves did:jwk 1": "secp256k1: no cryptosuite of this protocol uses it"}


def _cases() -> list[object]:
    folder = conformance_dir()
    if folder is None:
        return [pytest.param(None, id="vectors absent")]
    vectors = json.loads((folder / "did-jwk" / "did_jwk-resolve.json").read_text())["vectors"]
    return [pytest.param(vector, id=vector["description"]) for vector in vectors]


def test_every_exception_is_a_published_case(conformance: Path):
    assert {case.id for case in _cases()} >= set(EXPECTED_EXCEPTIONS)
    assert len(_cases()) == 2


@pytest.mark.parametrize("vector", _cases())
def test_document(conformance: Path, vector: dict):
    did = vector["input"]
    if vector["description"] in EXPECTED_EXCEPTIONS:
        with pytest.raises(VerificationError) as caught:
            document_from(did, {})
        assert caught.value.code == "did_document_invalid"
        return
    assert fetches(did) == ()
    document = document_from(did, {})
    published = vector["output"]["didDocument"]
    # Ours names one context more: the published one alone does not define publicKeyJwk.
    assert document.json.pop("@context")[:1] == published["@context"]
    assert {name: value for name, value in document.json.items() if name != "@context"} == {
        name: value for name, value in published.items() if name != "@context"
    }
    method = published["verificationMethod"][0]
    assert method["id"] == f"{did}#0"
    assert document.key_for(method["id"], "assertionMethod", now=None) == public_key_from_jwk(method["publicKeyJwk"])
