"""Any text decodes to bits or to the documented error, and any JSON gives a list or an error of the status family."""

from __future__ import annotations

import gzip
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.test_decoder import tried
from parties import NOW, Party, documents
from support import examples
from undersigned.credentials import (
    MAX_LIST_BYTES,
    MIN_LIST_BITS,
    build_status_list,
    credential_config,
    decode_list,
    membership,
    read_credential,
    status_entries,
    status_entry,
    verify_status_list,
)
from undersigned.encoding import canonicalize, multibase_encode
from undersigned.errors import CODES, CredentialError, UndersignedError

T = TypeVar("T")
ISSUER = Party("acme-org")
URL = "https://acme.example/status/1"
GOOD = gzip.compress(bytes(MIN_LIST_BITS // 8), mtime=0)
relaxed = settings(max_examples=examples(400), deadline=None, suppress_health_check=[HealthCheck.too_slow])
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=40)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner))


def edited(raw: bytes, at: int, new: bytes) -> bytes:
    place = at % (len(raw) + 1)
    return raw[:place] + new + raw[place + len(new) :]


def decoded(text: str) -> None:
    came = tried(lambda: decode_list(text))
    if isinstance(came, UndersignedError):
        assert isinstance(came, CredentialError)
        assert came.code == "status_invalid"
    else:
        assert MIN_LIST_BITS <= 8 * len(came) <= 8 * MAX_LIST_BYTES


@relaxed
@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda raw: multibase_encode("u", raw)))
def test_any_text_decodes_or_is_refused(text: str) -> None:
    decoded(text)


@relaxed
@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=4), st.binary(max_size=30))
def test_a_list_that_was_damaged_decodes_or_is_refused(at: int, new: bytes, more: bytes) -> None:
    decoded(multibase_encode("u", edited(GOOD, at, new) + more))


@relaxed
@given(st.sampled_from(["type", "id", "credentialSubject", "issuer", "ttl", "encodedList", "statusPurpose"]), values)
def test_any_list_credential_is_read_or_refused(name: str, value: Any) -> None:
    document = build_status_list(
        url=URL, issuer=ISSUER.did, bits=bytes(MIN_LIST_BITS // 8), valid_from=NOW, valid_until=NOW, ttl_seconds=1
    )
    inner: Any = document if name in document else document["credentialSubject"]
    inner[name] = value
    try:
        canonicalize(document)
        signed = ISSUER.prove(document, credential_config("eddsa-jcs-2022", ISSUER.method, NOW))
    except (UndersignedError, ValueError):
        return  # nobody could have signed it
    came = tried(lambda: verify_status_list(signed, url=URL, issuer=ISSUER.did, documents=documents(ISSUER), now=NOW))
    if isinstance(came, UndersignedError):
        assert CODES[came.code].family == "status"


@relaxed
@given(st.sampled_from([*status_entry(URL, 1), "statusSize"]), values)
def test_any_entry_is_read_or_refused(name: str, value: Any) -> None:
    document = membership(id="urn:x:1", organisation=ISSUER.did, agent="did:key:z6Mk", valid_from=NOW, valid_until=NOW)
    changed = document | {"credentialStatus": status_entry(URL, 1) | {name: value}}
    credential = tried(lambda: read_credential(changed))
    if isinstance(credential, UndersignedError):
        assert CODES[credential.code].family in ("schema", "parse", "limit")
        return
    came = tried(lambda: status_entries(credential))
    if isinstance(came, UndersignedError):
        assert CODES[came.code].family == "status"
    else:
        assert came[0].index >= 0


def test_the_damage_is_real() -> None:
    with pytest.raises(CredentialError):
        decode_list(multibase_encode("u", edited(GOOD, 30, b"\xff")))
