"""did:key: identifier, key and relationships of every published vector, or refusal for the listed reason.

The published documents are of 2018 and 2020 form (one method type per suite); ours are Multikey. So what is compared is
what they say: the key, the method's id, its controller, and what the key may do.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support import conformance_dir
from undersigned.did import did_key, document_from, fetches
from undersigned.encoding import base58_decode
from undersigned.errors import VerificationError
from undersigned.keys import PublicKey, public_key_from_jwk, public_key_from_multikey, public_key_from_raw

pytestmark = pytest.mark.conformance

SIGNING = ("authentication", "assertionMethod", "capabilityInvocation", "capabilityDelegation")

# One line per vector that is refused, named by the first characters of its identifier.
EXPECTED_EXCEPTIONS = {
    "z5TcCmGLu7HrkT5FTnej": "BLS12-381: a pairing key, no cryptosuite of this protocol uses it",
    "zUC77uxiMKceQoxciSy1": "BLS12-381: a pairing key, no cryptosuite of this protocol uses it",
    "zUC7FNFB7UinoJ5tqkeE": "BLS12-381: a pairing key, no cryptosuite of this protocol uses it",
    "zUC7K4ndUaGZgV7Cp2yJ": "BLS12-381: a pairing key, no cryptosuite of this protocol uses it",
    "z4MXj1wBzi9jUstyPMS4": "RSA: no cryptosuite of this protocol uses it",
    "zQ3shZc2QzApp2oymGvQ": "secp256k1: no cryptosuite of this protocol uses it",
    "zQ3shadCps5JLAHcZiuX": "secp256k1: no cryptosuite of this protocol uses it",
    "zQ3shokFTS3brHcDQrn8": "secp256k1: no cryptosuite of this protocol uses it",
    "zQ3shptjE6JwdkeKN4fc": "secp256k1: no cryptosuite of this protocol uses it",
    "z6LSeu9HkTHSfLLeUs2n": "X25519: for key agreement, it signs nothing",
    "z6LSoMdmJz2Djah2P4L9": "X25519: for key agreement, it signs nothing",
    "z6LStiZsmxiK4odS4Sb6": "X25519: for key agreement, it signs nothing",
    "z2J9gaYxrKVpdoG9A4gR": "P-521: no cryptosuite of this protocol uses it",
    "z2J9gcGdb2nEyMDmzQYv": "P-521: no cryptosuite of this protocol uses it",
}


def _vectors() -> dict[str, tuple[dict, dict]]:
    """Identifier to its published document and the rest of its entry."""
    folder = conformance_dir()
    found: dict[str, tuple[dict, dict]] = {}
    for path in sorted((folder / "did-key").glob("*.json")) if folder else ():
        for did, entry in json.loads(path.read_text()).items():
            if did == "didDocument":  # One file keeps its documents under this name.
                found |= {inner: (document, {}) for inner, document in entry.items()}
            else:
                found[did] = (entry["didDocument"], entry)
    return found


VECTORS = _vectors()
DIDS = list(VECTORS) or ["vectors absent"]


def _is_exception(did: str) -> bool:
    return any(did.startswith(f"did:key:{start}") for start in EXPECTED_EXCEPTIONS)


def _published_key(did: str, method: dict) -> PublicKey:
    if "publicKeyJwk" in method:
        return public_key_from_jwk(method["publicKeyJwk"])
    kind = public_key_from_multikey(did.removeprefix("did:key:")).kind
    return public_key_from_raw(kind, base58_decode(method["publicKeyBase58"]))


def test_every_exception_is_a_published_case(conformance: Path):
    assert sum(map(_is_exception, DIDS)) == len(EXPECTED_EXCEPTIONS)
    assert len(DIDS) == 21


@pytest.mark.parametrize("did", DIDS)
def test_document(conformance: Path, did: str):
    if _is_exception(did):
        for step in (fetches, lambda refused: document_from(refused, {})):
            with pytest.raises(VerificationError) as caught:
                step(did)
            assert caught.value.code == "did_document_invalid"
        return
    published, _ = VECTORS[did]
    assert fetches(did) == ()
    document = document_from(did, {})
    assert document.id == published["id"]
    method = next(entry for entry in published["verificationMethod"] if entry["id"] in published["authentication"])
    key = document.key_for(method["id"], "authentication", now=None)
    assert key == _published_key(did, method)
    assert did_key(key) == did
    assert [entry["id"] for entry in document.json["verificationMethod"]] == [method["id"]]
    assert [entry["controller"] for entry in document.json["verificationMethod"]] == [method["controller"]]
    for relationship in SIGNING:
        assert list(document.methods(relationship)) == published[relationship] == [method["id"]]


@pytest.mark.parametrize("did", DIDS)
def test_key_agreement_is_not_derived(conformance: Path, did: str):
    """The published documents add an X25519 key made from the Ed25519 key: reusing a signing key is not done here."""
    if not _is_exception(did):
        assert "keyAgreement" not in document_from(did, {}).json
