"""The Web5 vectors for credentials as JWTs, which are of the data model 1.1: an older form than the one taken here.

Each is looked at three times. As a JWS of their type (`JWT`), header and signature are judged as labelled. What stands
in its `vc` claim is judged as a credential, once what 2.0 renamed is renamed. And as a `vc+jwt` none of them is taken,
the good ones neither: their payload has every statement in two places, which 2.0 did away with.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from support import conformance_dir
from undersigned.credentials import CREDENTIALS_CONTEXT, enveloped_credential, read_credential, verify_credential
from undersigned.credentials.jws import JwsKind, read_jws, verify_jws
from undersigned.did import document_from
from undersigned.encoding import base64url_decode
from undersigned.errors import UndersignedError

pytestmark = [pytest.mark.conformance, pytest.mark.usefixtures("conformance")]

OLD = JwsKind("JWT", "JWT", 64 * 1024)
NOW = "2026-11-25T12:00:00Z"
FILES = ("vc_jwt-verify", "vc_jwt-decode", "credentials-verify")


def vectors() -> dict[str, tuple[str, bool]]:
    """File and description -> the text, and whether it is labelled good."""
    found: dict[str, tuple[str, bool]] = {}
    for name in FILES if (folder := conformance_dir()) else ():
        for vector in json.loads((folder / "vc-jwt" / f"{name}.json").read_text())["vectors"]:
            given = vector["input"]
            text = given if isinstance(given, str) else given["vcJwt"]
            found[f"{name}: {vector['description']}"] = text, not vector.get("errors")
    return found


VECTORS = vectors()
WRONG_AS_JWS = {
    "vc_jwt-verify: no typ header": "proof_purpose_mismatch",
    "vc_jwt-verify: invalid typ header": "proof_purpose_mismatch",
    "vc_jwt-decode: fail to decode jwt": "schema_violation",
    "credentials-verify: bad vcJwt structure": "schema_violation",
    "credentials-verify: bad missing alg": "suite_not_allowed",
    "credentials-verify: invalid signature": "proof_invalid",
    "credentials-verify: invalid signature from another jwt": "proof_invalid",
    "credentials-verify: signature from a different jwt": "proof_invalid",
}
"""Labelled as errors, and wrong in their header or signature."""
WRONG_AS_CREDENTIAL = {
    "vc_jwt-verify: issuance date in future": "not valid",
    "vc_jwt-verify: no context": "context_not_allowed",
    "vc_jwt-verify: no type": "schema_violation",
    "vc_jwt-verify: missing base type": "schema_violation",
    "vc_jwt-decode: no claims": "context_not_allowed",
    "vc_jwt-decode: vc claim wrong type": "schema_violation",
}
"""Labelled as errors, and wrong in what they say."""
EXCEPTIONS = {
    # ES256K, over secp256k1, is no algorithm and no kind of key here (section 2.3).
    "credentials-verify: verify a jwt verifiable credential signed with a did:jwk": "suite_not_allowed",
    "credentials-verify: kyc credential from web5-kt": "suite_not_allowed",
}
"""Labelled good, and refused as a JWS."""
GOOD = [name for name, (_, good) in VECTORS.items() if good and name not in EXCEPTIONS]


def as_jws(text: str) -> str:
    try:
        signed = read_jws(text, OLD)
        did = signed.method.partition("#")[0]
        verify_jws(signed, document_from(did, {}).key_for(signed.method, "assertionMethod", now=NOW))
    except UndersignedError as error:
        return error.code
    return "good"


def as_credential(text: str) -> str:
    claims = json.loads(base64url_decode(text.split(".")[1]))
    try:
        read = read_credential(renamed(claims.get("vc", {})))
    except UndersignedError as error:
        return error.code
    return "good" if read.valid_at(NOW) else "not valid"


def renamed(old: dict[str, Any]) -> dict[str, Any]:
    """What 1.1 says, in the words of 2.0: another context, and other names for the ends of its validity."""
    new = {name: value for name, value in old.items() if name not in ("issuanceDate", "expirationDate")}
    for before, after in (("issuanceDate", "validFrom"), ("expirationDate", "validUntil")):
        if old.get(before):
            new[after] = old[before]
    if "@context" in old:
        assert old["@context"][0] == "https://www.w3.org/2018/credentials/v1"
        new["@context"] = [CREDENTIALS_CONTEXT]
    return new


@pytest.mark.parametrize("name", WRONG_AS_JWS)
def test_what_is_wrong_in_header_or_signature_is_refused(name: str) -> None:
    text, good = VECTORS[name]
    assert not good
    assert as_jws(text) == WRONG_AS_JWS[name]


@pytest.mark.parametrize("name", WRONG_AS_CREDENTIAL)
def test_what_is_wrong_in_what_it_says_is_refused(name: str) -> None:
    text, good = VECTORS[name]
    assert not good
    assert as_credential(text) == WRONG_AS_CREDENTIAL[name]


@pytest.mark.parametrize("name", GOOD)
def test_what_is_good_is_taken_in_each_part(name: str) -> None:
    """`EdDSA`, the old name of the algorithm, is read."""
    assert as_jws(VECTORS[name][0]) == "good"
    assert as_credential(VECTORS[name][0]) == "good"


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_exceptions(name: str) -> None:
    text, good = VECTORS[name]
    assert good
    assert as_jws(text) == EXCEPTIONS[name]


@pytest.mark.parametrize("name", VECTORS)
def test_none_is_a_credential_of_this_data_model(name: str) -> None:
    """Exceptions, all that are labelled good among them: `typ` is `JWT`, which may be anything."""
    with pytest.raises(UndersignedError) as caught:
        verify_credential(enveloped_credential(VECTORS[name][0]), documents={}, now=NOW)
    if VECTORS[name][1] and name not in EXCEPTIONS:
        assert caught.value.code == "proof_purpose_mismatch"


def test_every_vector_is_looked_at(conformance: object) -> None:
    assert len(VECTORS) == 19
    assert len(GOOD) == 3
    assert {*WRONG_AS_JWS, *WRONG_AS_CREDENTIAL, *EXCEPTIONS, *GOOD} == set(VECTORS)
