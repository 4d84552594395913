"""DSSE: the protocol's vector (in `tests/unit/attestation/test_dsse.py` too), links of in-toto, and Sigstore's bundles.

A bundle is judged by the key in its certificate: nothing here asks Sigstore's roots or log, so a certificate proves
nothing by itself, and a verifier pins keys.
"""

from __future__ import annotations

import json
from base64 import b64decode
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from foreign import key_of, payload_of, sample, stated
from support import refuses
from undersigned.attestation import pae, verify_envelope, verify_foreign_statement
from undersigned.errors import ProofError
from undersigned.keys import public_key_from_raw

pytestmark = [pytest.mark.conformance, pytest.mark.usefixtures("conformance")]

BUNDLES = {
    "happy-path-intoto-in-dsse-v3": None,
    "intoto-with-custom-trust-root": None,
    "dsse-invalid-sig_fail": "proof_invalid",
}
"""Folder -> the code with which what is labelled `_fail` is refused."""
SIGNED_BY_RSA = {
    "demo.dsse.layout": "alice",
    "clone-dsse.776a00e2.link": None,
    "update-version-dsse.776a00e2.link": None,
    "package-dsse.2f89b927.link": None,
}
"""Exceptions, one by one: RSA is no kind of key here (section 2.3), so none of our keys could have signed them. The
layout's key is published beside it; those of the three links are not, and no key that is there signed them."""


def test_the_vector_of_the_protocol(conformance: Path) -> None:
    vector = json.loads((conformance / "dsse" / "protocol-vector.json").read_text())
    body, document = vector["body_utf8"].encode(), vector["envelope"]
    assert pae(vector["payloadType"], body).decode() == vector["pae_utf8"]
    point = bytes([2 + int(vector["key"]["y"]) % 2]) + int(vector["key"]["x"]).to_bytes(32)
    keys = {"key": public_key_from_raw("P-256", point)}
    assert verify_envelope(document, keys=keys, payload_type=vector["payloadType"]).payload == body
    with pytest.raises(ProofError):
        verify_envelope(document | {"payload": "aGVsbG8gd29ybGU="}, keys=keys, payload_type=vector["payloadType"])


@pytest.mark.parametrize("name", BUNDLES)
def test_a_bundle_is_taken_as_labelled(conformance: Path, name: str) -> None:
    path = conformance / "dsse" / "sigstore-bundles" / name / "bundle.sigstore.json"
    given: dict[str, Any] = {
        "keys": key_of(path),
        "artifact": stated(path),
        "predicate_types": {payload_of(path)["predicateType"]},
    }
    code = BUNDLES[name]
    assert name.endswith("_fail") == (code is not None)
    if code is None:
        assert verify_foreign_statement(sample(path), **given).signers == ("pinned",)
    else:
        with refuses(ProofError, code):
            verify_foreign_statement(sample(path), **given)


@pytest.mark.parametrize("name", SIGNED_BY_RSA)
def test_what_rsa_signed_is_refused(conformance: Path, name: str) -> None:
    """Its signatures are over the bytes that we would sign, where the key is there to see it."""
    folder = conformance / "dsse"
    document = json.loads((folder / "in-toto-golang" / name).read_text())
    with refuses(ProofError, "attester_not_trusted"):
        verify_envelope(
            document, keys=key_of(folder / "sigstore-bundles/happy-path-intoto-in-dsse-v3/bundle.sigstore.json")
        )
    signed = pae(document["payloadType"], b64decode(document["payload"]))
    (signature,) = (b64decode(one["sig"]) for one in document["signatures"])
    made_by: list[str] = []
    for path in sorted((folder / "in-toto-golang" / "keys").glob("*.pub")):
        key = load_pem_public_key(path.read_bytes())
        if isinstance(key, RSAPublicKey):
            with suppress(InvalidSignature):
                key.verify(signature, signed, PSS(MGF1(SHA256()), PSS.AUTO), SHA256())
                made_by.append(path.stem)
    assert made_by == ([SIGNED_BY_RSA[name]] if SIGNED_BY_RSA[name] else [])


def test_every_case_is_looked_at(conformance: Path) -> None:
    folder = conformance / "dsse"
    assert {one.name for one in (folder / "sigstore-bundles").iterdir()} == set(BUNDLES)
    assert {one.name for one in (folder / "in-toto-golang").iterdir() if one.is_file()} == set(SIGNED_BY_RSA)
