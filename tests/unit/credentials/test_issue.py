"""What somebody else wrote and an issuer here is asked to sign."""

from __future__ import annotations

from typing import Any

import pytest

from support import refuses
from undersigned.credentials import read_unsigned
from undersigned.errors import CredentialError

WRITTEN: dict[str, Any] = {
    "@context": ["https://www.w3.org/ns/credentials/v2", "https://w3id.org/hire/v1"],
    "type": ["VerifiableCredential", "MembershipCredential"],
    "issuer": "did:web:acme.example",
    "validFrom": "2026-11-25T12:00:00Z",
    "credentialSubject": {"id": "did:web:agents.acme.example", "memberOf": "did:web:acme.example"},
}
ENTRY: dict[str, Any] = {
    "id": "https://acme.example/status/1#7",
    "type": "BitstringStatusListEntry",
    "statusPurpose": "revocation",
    "statusListIndex": "7",
    "statusListCredential": "https://acme.example/status/1",
}
LIST: dict[str, Any] = {"type": "BitstringStatusList", "statusPurpose": "revocation", "encodedList": "uAAAA"}


def test_a_credential_of_others_is_taken() -> None:
    """So the refusals below are for what they add."""
    assert read_unsigned(WRITTEN).issuer == "did:web:acme.example"


@pytest.mark.parametrize(
    "added",
    [
        {"proof": {"type": "DataIntegrityProof", "cryptosuite": "eddsa-jcs-2022", "proofValue": "z1"}},
        {"type": "EnvelopedVerifiableCredential", "id": "data:application/vc+jwt,e30.e30.e30"},
        {"credentialStatus": ENTRY},
        {"type": ["VerifiableCredential", "BitstringStatusListCredential"]},
        {"type": ["VerifiableCredential"], "credentialSubject": LIST},
        {"credentialSubject": {**WRITTEN["credentialSubject"], "memberOf": "did:web:globex.example"}},
        {"credentialSubject": [WRITTEN["credentialSubject"]] * 2},
    ],
    ids=[
        "a proof",
        "an envelope",
        "a status",
        "a status list by its type",
        "a status list by its content",
        "of another",
        "two subjects",
    ],
)
def test_what_is_not_for_others_to_write_is_not_signed(added: dict[str, Any]) -> None:
    with refuses(CredentialError, "schema_violation"):
        read_unsigned(WRITTEN | added)
