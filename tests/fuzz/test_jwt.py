"""Any text in an envelope is read, or refused with an error of ours; so is any JSON as header, payload, credential."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from parties import NOW, Party, documents
from support import examples
from undersigned.credentials import (
    enveloped_credential,
    enveloped_presentation,
    membership,
    read_credential,
    read_presentation,
    verify_credential,
)
from undersigned.encoding import base64url_encode
from undersigned.errors import UndersignedError

ISSUER = Party("acme-org")
HEADER = {"alg": "Ed25519", "cty": "vc", "kid": ISSUER.method, "typ": "vc+jwt"}
MEMBER = membership(
    id="urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b01",
    organisation=ISSUER.did,
    agent=Party("acme").did,
    valid_from="2026-11-01T00:00:00Z",
    valid_until="2026-12-01T00:00:00Z",
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from([ISSUER.did, NOW]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "type", "@value", "@language", "x:y"]) | st.text(max_size=4), inner, max_size=3
        )
    ),
    max_leaves=8,
)
CLAIMS = ("iss", "sub", "jti", "iat", "nbf", "exp", "vc", "proof", "credentialSchema", "credentialStatus", "name")


def tried(document: dict[str, Any]) -> None:
    for read in (
        read_credential,
        read_presentation,
        lambda it: verify_credential(it, documents=documents(ISSUER), now=NOW),
    ):
        with suppress(UndersignedError):
            read(document)


def part(value: Any) -> str:
    return base64url_encode(json.dumps(value).encode())


@given(st.text(max_size=200) | st.text(alphabet="eyJ0.-_=", max_size=60))
def test_any_text(text: str) -> None:
    tried(enveloped_credential(text))
    tried(enveloped_presentation(text))


@settings(max_examples=examples(300))
@given(
    st.dictionaries(st.sampled_from([*HEADER, "crit", "jwk", "b64"]), VALUES, max_size=3),
    st.dictionaries(st.sampled_from([*MEMBER, *CLAIMS]), VALUES, max_size=3),
)
def test_any_json_as_header_and_payload(header: dict[str, Any], payload: dict[str, Any]) -> None:
    text = f"{part(HEADER | header)}.{part(MEMBER | payload)}"
    tried(enveloped_credential(f"{text}.{base64url_encode(ISSUER.sign(text.encode()))}"))


@settings(max_examples=examples(300))
@given(st.dictionaries(st.sampled_from([*MEMBER, *CLAIMS, "verifiableCredential", "holder"]), VALUES, max_size=4))
def test_any_json_as_credential_and_presentation(changes: dict[str, Any]) -> None:
    tried(MEMBER | changes)
    tried({"@context": MEMBER["@context"], "type": "VerifiablePresentation", "holder": ISSUER.did} | changes)
