"""Bitstring Status Lists: built, read, and looked up; what could not be checked is no."""

from __future__ import annotations

import gzip
import re
import secrets
from typing import Any

import pytest

from parties import NOW, Party, documents
from undersigned.credentials import (
    MIN_LIST_BITS,
    Credential,
    StatusList,
    build_status_list,
    check_status,
    credential_config,
    decode_list,
    encode_list,
    membership,
    read_credential,
    status_entries,
    status_entry,
    status_urls,
    verify_credential,
    verify_status_list,
)
from undersigned.encoding import multibase_encode
from undersigned.errors import CODES, CredentialError, UndersignedError

ISSUER, AGENT, STRANGER = Party("acme-org"), Party("acme"), Party("mallory")
DOCUMENTS = documents(ISSUER, STRANGER)
URL, OTHER = "https://acme.example/status/1", "https://acme.example/status/2"
EMPTY = bytes(MIN_LIST_BITS // 8)


def with_bits(*places: int) -> bytes:
    bits = bytearray(EMPTY)
    for place in places:
        bits[place >> 3] |= 0x80 >> (place & 7)
    return bytes(bits)


def made(*places: int, url: str = URL, by: Party = ISSUER, **changes: Any) -> dict[str, Any]:
    """A signed list credential."""
    subject = changes.pop("subject", {})
    fields: dict[str, Any] = {
        "issuer": by.did,
        "valid_from": "2026-11-25T00:00:00Z",
        "valid_until": "2026-11-26T00:00:00Z",
        "ttl_seconds": 300,
        "purpose": "revocation",
    }
    given = {name: changes.pop(name) for name in tuple(changes) if name in fields}
    document = build_status_list(url=url, bits=with_bits(*places), **(fields | given))
    document["credentialSubject"] |= subject  # type: ignore[operator]
    signer = changes.pop("signer", by)
    return signer.prove(document | changes, credential_config("eddsa-jcs-2022", by.method, NOW))


def listed(document: dict[str, Any], url: str = URL, issuer: str = ISSUER.did, now: str = NOW) -> StatusList:
    return verify_status_list(document, url=url, issuer=issuer, documents=DOCUMENTS, now=now)


def credential(*entries: Any) -> Credential:
    document = membership(
        id="urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b01",
        organisation=ISSUER.did,
        agent=AGENT.did,
        valid_from="2026-11-01T00:00:00Z",
        valid_until="2026-12-01T00:00:00Z",
    )
    if entries:
        document["credentialStatus"] = entries[0] if len(entries) == 1 else list(entries)
    return read_credential(document)


def code_of(step: Any, *args: Any, **options: Any) -> str:
    with pytest.raises(UndersignedError) as caught:
        step(*args, **options)
    assert CODES[caught.value.code].family == "status"
    return caught.value.code


# --- the bits


@pytest.mark.parametrize(
    "bits", [EMPTY, with_bits(0), with_bits(MIN_LIST_BITS - 1), EMPTY + b"\1", bytes(4 * 1024 * 1024)]
)
def test_bits_come_back(bits: bytes) -> None:
    """HIRE-STA-01."""
    assert decode_list(encode_list(bits)) == bits


def test_the_first_place_is_the_most_significant_bit() -> None:
    found = listed(made(0, 9, MIN_LIST_BITS - 1))
    assert found.bits[0] == 0x80
    assert [place for place in range(MIN_LIST_BITS) if found.is_set(place)] == [0, 9, MIN_LIST_BITS - 1]
    assert code_of(found.is_set, MIN_LIST_BITS) == "status_invalid"
    assert code_of(found.is_set, -1) == "status_invalid"


PACKED = gzip.compress(EMPTY, mtime=0)
NOT_LISTS = {
    "another base": "z" + encode_list(EMPTY)[1:],
    "no base": encode_list(EMPTY)[1:],
    "padded": encode_list(EMPTY) + "=",
    "nothing": "",
    "no gzip": multibase_encode("u", EMPTY),
    "zlib instead": multibase_encode("u", __import__("zlib").compress(EMPTY)),
    "cut short": multibase_encode("u", PACKED[:-1]),
    "cut to its header": multibase_encode("u", PACKED[:10]),
    "wrong checksum": multibase_encode("u", PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:]),
    "a byte more": multibase_encode("u", PACKED + b"\0"),
    "two members": multibase_encode("u", PACKED + PACKED),
    "an empty member more": multibase_encode("u", PACKED + gzip.compress(b"")),
    "one byte too few": multibase_encode("u", gzip.compress(EMPTY[1:])),
    "one byte too many": multibase_encode("u", gzip.compress(bytes(4 * 1024 * 1024 + 1))),
    "gzip inside": multibase_encode("u", gzip.compress(gzip.compress(secrets.token_bytes(20_000)))),
    "long": "u" * 1_100_000,
}


@pytest.mark.parametrize("name", NOT_LISTS)
def test_what_is_no_list_is_refused(name: str) -> None:
    """HIRE-STA-01."""
    assert code_of(decode_list, NOT_LISTS[name]) == "status_invalid"


def test_no_list_is_made_that_would_be_refused() -> None:
    for bits in (EMPTY[1:], bytes(4 * 1024 * 1024 + 1), b"\x1f\x8b\x08" + EMPTY):
        assert code_of(encode_list, bits) == "status_invalid"


# --- the entries


def test_a_credential_says_where_its_status_is() -> None:
    one, two = status_entry(URL, 94567), status_entry(OTHER, 12, "suspension")
    found = status_entries(credential(one, two))
    assert [(entry.purpose, entry.index, entry.url) for entry in found] == [
        ("revocation", 94567, URL),
        ("suspension", 12, OTHER),
    ]
    assert status_urls([credential(one, two), credential(one)]) == {URL: ISSUER.did, OTHER: ISSUER.did}
    assert status_entries(credential()) == ()
    listed_type = status_entry(URL, 40) | {"type": ["BitstringStatusListEntry", "OtherEntry"]}
    assert status_entries(credential(listed_type)) == status_entries(credential(status_entry(URL, 40)))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"type": "StatusList2021Entry"}, "status_unavailable"),
        ({"statusPurpose": "refresh"}, "status_unavailable"),
        ({"statusPurpose": "message", "statusSize": 2}, "status_unavailable"),
        ({"statusSize": 2}, "status_unavailable"),
        ({"statusSize": True}, "status_unavailable"),
        ({"statusPurpose": ["revocation"]}, "status_unavailable"),
        ({"statusListIndex": 94567}, "status_invalid"),
        ({"statusListIndex": "-1"}, "status_invalid"),
        ({"statusListIndex": "01"}, "status_invalid"),
        ({"statusListIndex": "1\n"}, "status_invalid"),
        ({"statusListIndex": "9" * 40}, "status_invalid"),
        ({"statusListCredential": "did:example:1"}, "status_invalid"),
        ({"statusListCredential": None}, "status_invalid"),
    ],
)
def test_an_entry_that_is_not_understood_is_no(change: dict[str, Any], code: str) -> None:
    """HIRE-STA-02."""
    one = credential(status_entry(URL, 40), status_entry(URL, 41) | change)
    assert code_of(status_entries, one) == code
    assert code_of(check_status, one, {URL: listed(made())}, NOW) == code


def test_entries_are_counted() -> None:
    """HIRE-STA-02."""
    assert len(status_entries(credential(*[status_entry(URL, place) for place in range(8)]))) == 8
    assert code_of(status_entries, credential(*[status_entry(URL, place) for place in range(9)])) == "status_invalid"


# --- the list


def test_a_list_is_its_issuers() -> None:
    """HIRE-STA-03; SC-61: an expired or wrongly signed list says nothing."""
    assert listed(made()).ttl_seconds == 300
    assert code_of(listed, made(signer=STRANGER)) == "status_unavailable"
    assert code_of(listed, made(by=STRANGER)) == "status_unavailable"
    assert code_of(listed, made(by=STRANGER), issuer=AGENT.did) == "status_unavailable"
    assert code_of(listed, made() | {"proof": []}) == "status_unavailable"
    assert code_of(listed, made(), now="2026-11-26T00:00:01Z") == "status_unavailable"
    assert code_of(listed, made(), now="2026-11-24T23:59:59Z") == "status_unavailable"
    edited = made()
    edited["credentialSubject"]["encodedList"] = encode_list(with_bits(7))
    assert code_of(listed, edited) == "status_unavailable"
    with pytest.raises(UndersignedError):
        verify_status_list(made(), url=URL, issuer=ISSUER.did, documents={}, now=NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"type": ["VerifiableCredential"]},
        {"id": OTHER},
        {"credentialStatus": status_entry(OTHER, 1)},
        {"credentialSubject": [{"id": "urn:x:1"}, {"id": "urn:x:2"}]},
        {"subject": {"type": "StatusList2021"}},
        {"subject": {"encodedList": 7}},
        {"subject": {"encodedList": "u"}},
        {"subject": {"statusPurpose": []}},
        {"subject": {"statusPurpose": 1}},
        {"subject": {"statusPurpose": ["revocation", 1]}},
        {"subject": {"statusPurpose": ["revocation", ""]}},
        {"subject": {"ttl": "300000"}},
        {"subject": {"ttl": -1}},
        {"subject": {"ttl": True}},
        {"@context": ["https://mallory.example/v1"]},
        {"credentialSubject": "none"},
        {"name": "x" * 1_050_000},
    ],
)
def test_what_its_issuer_signed_and_is_no_list_is_invalid(change: dict[str, Any]) -> None:
    """HIRE-STA-01, HIRE-STA-03. Where in it is in the words: a pointer is one into a message (HIRE-SEC-07)."""
    with pytest.raises(CredentialError, match=r"expected|no status of its own") as refused:
        listed(made(**change))
    assert (refused.value.code, refused.value.path) == ("status_invalid", "")


def test_a_list_that_does_not_say_where_it_lies_could_be_any_of_its_issuer() -> None:
    """HIRE-STA-03: who serves it chooses which."""
    document = made()
    del document["id"], document["proof"]
    signed = ISSUER.prove(document, credential_config("eddsa-jcs-2022", ISSUER.method, NOW))
    with pytest.raises(CredentialError, match=f"{re.escape(URL)} holds no list at /id: ") as refused:
        listed(signed)
    assert (refused.value.code, refused.value.path) == ("status_invalid", "")


def test_how_long_it_may_be_kept() -> None:
    """HIRE-STA-05."""
    for milliseconds, seconds in ((0, 0), (999, 0), (1000, 1), (10**12, 86_400)):
        assert listed(made(subject={"ttl": milliseconds})).ttl_seconds == seconds
    without = made()
    del without["credentialSubject"]["ttl"], without["proof"]
    signed = ISSUER.prove(without, credential_config("eddsa-jcs-2022", ISSUER.method, NOW))
    assert listed(signed).ttl_seconds == 300


# --- looking up


def test_clear_in_every_list() -> None:
    """HIRE-STA-02: one bit that is set is enough, whatever the other entries say."""
    both = credential(status_entry(URL, 40), status_entry(OTHER, 41, "suspension"))

    def checked(first: tuple[int, ...], second: tuple[int, ...]) -> Any:
        lists = {
            URL: listed(made(*first)),
            OTHER: listed(made(*second, url=OTHER, purpose="suspension"), OTHER),
        }
        return check_status(both, lists, NOW), lists

    answer, lists = checked((39, 41), (40, 42))
    assert (answer.credential, answer.at) == (both.digest, NOW)
    assert answer.lists == (lists[URL].credential.digest, lists[OTHER].credential.digest)
    assert answer.verified == (NOW, NOW)
    assert answer.documents == tuple(one.by.raw_digest for one in lists.values() if one.by is not None) != ()
    for first, second, purpose in (((40,), (), "revocation"), ((), (41,), "suspension"), ((40,), (41,), "revocation")):
        with pytest.raises(UndersignedError) as caught:
            checked(first, second)
        assert caught.value.code == "revoked"
        assert caught.value.detail["purpose"] == purpose
        assert caught.value.detail["credential"] == both.digest
        assert (purpose == "revocation") is ("revoked by" in caught.value.message)
    assert code_of(check_status, both, {URL: listed(made(40))}, NOW) == "status_unavailable"


def test_a_list_speaks_only_about_its_own() -> None:
    """HIRE-STA-03."""
    one = credential(status_entry(URL, 40))
    assert check_status(credential(), {}, NOW).lists == ()
    assert code_of(check_status, one, {}, NOW) == "status_unavailable"
    assert code_of(check_status, one, {URL: listed(made(purpose="suspension"))}, NOW) == "status_invalid"
    endless = listed(made(subject={"statusPurpose": "x" * 60_000}))
    with pytest.raises(UndersignedError) as caught:  # and is logged, each time that it is asked
        check_status(one, {URL: endless}, NOW)
    assert len(caught.value.message) < 1024
    strangers = listed(made(by=STRANGER), issuer=STRANGER.did)
    assert code_of(check_status, one, {URL: strangers}, NOW) == "status_unavailable"
    beyond = credential(status_entry(URL, MIN_LIST_BITS))
    assert code_of(check_status, beyond, {URL: listed(made())}, NOW) == "status_invalid"
    assert code_of(check_status, one, {URL: listed(made())}, "2026-11-26T00:00:01Z") == "status_unavailable"
    both = listed(made(subject={"statusPurpose": ["suspension", "revocation"]}))
    assert check_status(one, {URL: both}, NOW).credential == one.digest


def test_two_issuers_do_not_share_a_list() -> None:
    """HIRE-STA-03: whoever of the two is meant to have signed it, it says nothing about the other's."""
    other = read_credential(credential(status_entry(URL, 41)).json | {"issuer": STRANGER.did})
    assert code_of(status_urls, [credential(status_entry(URL, 40)), other]) == "status_invalid"


def test_a_credential_verifies_with_its_lists() -> None:
    """HIRE-CRD-02."""
    unsigned = credential(status_entry(URL, 40)).json
    signed = ISSUER.prove(unsigned, credential_config("eddsa-jcs-2022", ISSUER.method, NOW))
    options: dict[str, Any] = {"documents": DOCUMENTS, "now": NOW}
    assert verify_credential(signed, lists={URL: listed(made())}, **options).has_status
    assert code_of(verify_credential, signed, lists={URL: listed(made(40))}, **options) == "revoked"
    assert code_of(verify_credential, signed, **options) == "status_unavailable"
