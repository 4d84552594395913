import json
from typing import Any

import pytest

from parties import NOW, Party
from support import refuses
from undersigned.credentials import CREDENTIALS_CONTEXT, build_credential, membership, read_credential
from undersigned.errors import CredentialError, FormatError

ORGANISATION, AGENT = Party("acme-org"), Party("acme")
CREDENTIAL = membership(
    id="urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b01",
    organisation=ORGANISATION.did,
    agent=AGENT.did,
    valid_from="2026-11-01T00:00:00Z",
    valid_until="2026-12-01T00:00:00Z",
)


def test_a_membership_says_who_operates_whom() -> None:
    read = read_credential(CREDENTIAL)
    assert read.types == ("MembershipCredential",)
    assert read.issuer == ORGANISATION.did
    assert read.claims(AGENT.did) == {"id": AGENT.did, "memberOf": ORGANISATION.did}
    assert read.claims(ORGANISATION.did) == {}
    assert not read.has_status
    described = read_credential(CREDENTIAL | {"issuer": {"id": ORGANISATION.did, "name": "ACME"}})
    assert described.issuer == ORGANISATION.did


@pytest.mark.parametrize(
    ("now", "valid"),
    [
        ("2026-10-31T23:59:59Z", False),
        ("2026-11-01T00:00:00Z", True),
        ("2026-12-01T00:00:00Z", True),
        ("2026-12-01T00:00:01Z", False),
    ],
)
def test_validity_is_inclusive(now: str, valid: bool) -> None:
    assert read_credential(CREDENTIAL).valid_at(now) is valid


def test_times_of_others_are_read_with_their_zone() -> None:
    read = read_credential(CREDENTIAL | {"validFrom": "2026-11-25T13:00:00.5+01:00"})
    assert not read.valid_at(NOW)
    assert read.valid_at("2026-11-25T12:00:01Z")


def test_two_readings_of_one_credential_are_equal() -> None:
    assert read_credential(CREDENTIAL) == read_credential(json.loads(json.dumps(CREDENTIAL)))
    assert read_credential(CREDENTIAL) != read_credential(CREDENTIAL | {"validUntil": NOW})
    assert len({read_credential(CREDENTIAL), read_credential(CREDENTIAL)}) == 1
    assert read_credential(CREDENTIAL) != CREDENTIAL


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in CREDENTIAL.items() if key != name}


def test_a_validity_may_be_open_at_either_end() -> None:
    begins, ends = read_credential(without("validUntil")), read_credential(without("validFrom"))
    assert begins.last_instant is None
    assert ends.last_instant == "2026-12-01T00:00:00Z"
    assert begins.age_seconds("2026-11-01T00:00:05Z") == 5
    assert ends.age_seconds(NOW) == float("inf")
    assert [read.valid_at("2026-10-31T23:59:59Z") for read in (begins, ends)] == [False, True]
    assert [read.valid_at("2026-12-01T00:00:01Z") for read in (begins, ends)] == [True, False]


def test_one_type_may_be_written_as_text() -> None:
    assert read_credential(CREDENTIAL | {"type": "VerifiableCredential"}).types == ()


@pytest.mark.parametrize(
    ("document", "path"),
    [
        (without("type"), "/type"),
        (without("issuer"), "/issuer"),
        (without("credentialSubject"), "/credentialSubject"),
        (CREDENTIAL | {"type": ["MembershipCredential"]}, "/type"),
        (CREDENTIAL | {"type": [1, "VerifiableCredential"]}, "/type"),
        (CREDENTIAL | {"id": ["urn:a:1", "urn:a:2"]}, "/id"),
        (CREDENTIAL | {"id": "relative"}, "/id"),
        (CREDENTIAL | {"issuer": "acme"}, "/issuer"),
        (CREDENTIAL | {"issuer": {"id": None}}, "/issuer"),
        (CREDENTIAL | {"credentialSubject": {}}, "/credentialSubject"),
        (CREDENTIAL | {"credentialSubject": []}, "/credentialSubject"),
        (CREDENTIAL | {"credentialSubject": [{}, {"id": "did:a:b"}]}, "/credentialSubject"),
        (CREDENTIAL | {"credentialSubject": "did:a:b"}, "/credentialSubject"),
        (CREDENTIAL | {"validFrom": "2026-11-01T00:00:00"}, "/validFrom"),
        (CREDENTIAL | {"validFrom": "2026-11-31T00:00:00Z"}, "/validFrom"),
        (CREDENTIAL | {"validUntil": "9999-12-31T23:59:60Z"}, "/validUntil"),
        (CREDENTIAL | {"validUntil": 1}, "/validUntil"),
        (CREDENTIAL | {"validUntil": "2026-10-01T00:00:00Z"}, "/validUntil"),
        (CREDENTIAL | {"credentialStatus": {"id": "urn:a:b"}}, "/credentialStatus/type"),
        (CREDENTIAL | {"credentialSchema": {"type": "JsonSchema"}}, "/credentialSchema/id"),
        (CREDENTIAL | {"evidence": [{"type": "a b"}]}, "/evidence/type"),
        (CREDENTIAL | {"evidence": [{"type": []}]}, "/evidence/type"),
        (CREDENTIAL | {"evidence": [{"type": 1}]}, "/evidence/type"),
        (CREDENTIAL | {"evidence": [{"type": "X", "id": "no url"}]}, "/evidence/id"),
        (CREDENTIAL | {"type": 1}, "/type"),
        (CREDENTIAL | {"credentialSubject": {"id": "acme"}}, "/credentialSubject/id"),
        (CREDENTIAL | {"validFrom": None}, "/validFrom"),
        (CREDENTIAL | {"validUntil": None}, "/validUntil"),
    ],
)
def test_what_is_no_credential_is_refused(document: dict[str, Any], path: str) -> None:
    with pytest.raises(CredentialError) as caught:
        read_credential(document)
    assert (caught.value.code, caught.value.path) == ("schema_violation", path)


@pytest.mark.parametrize(
    "context",
    [
        None,
        [],
        CREDENTIALS_CONTEXT,
        {"0": CREDENTIALS_CONTEXT},
        ["https://w3id.org/hire/v1", CREDENTIALS_CONTEXT],
        [CREDENTIALS_CONTEXT, "https://evil.example/v1"],
        [CREDENTIALS_CONTEXT, f"{CREDENTIALS_CONTEXT}#"],
        [CREDENTIALS_CONTEXT, {"memberOf": "https://evil.example/#x"}],
        [CREDENTIALS_CONTEXT, None],
    ],
)
def test_sc_20_contexts_are_taken_by_exact_value(context: Any) -> None:
    with refuses(FormatError, "context_not_allowed"):
        read_credential(CREDENTIAL | {"@context": context})


def test_sc_102_a_credential_has_a_size() -> None:
    with refuses(FormatError, "too_large"):
        read_credential(CREDENTIAL | {"name": "x" * 66_000})


@pytest.mark.parametrize(
    ("until", "last"),
    [
        ("2026-12-01T00:59:59.9+01:00", "2026-11-30T23:59:59Z"),
        ("2999-12-31T23:59:59Z", "2999-12-31T23:59:59Z"),
        ("3000-01-01T00:00:00Z", None),
        ("9999-12-31T23:59:59Z", None),
    ],
)
def test_a_validity_of_any_length(until: str, last: str | None) -> None:
    """HIRE-JSN-06: as issuers write that something does not end."""
    read = read_credential(CREDENTIAL | {"validFrom": "0001-01-01T00:00:00Z", "validUntil": until})
    assert read.last_instant == last
    assert read.valid_at(NOW)


def test_what_is_built_is_checked() -> None:
    with pytest.raises(CredentialError):
        build_credential(
            id="no url",
            type="X",
            issuer=ORGANISATION.did,
            subject={"id": AGENT.did},
            valid_from=NOW,
            valid_until=NOW,
        )


@pytest.mark.parametrize(
    "value",
    [
        1,
        None,
        {},
        [],
        ["a", 1],
        {"@language": "en"},
        {"@value": "a", "url": "urn:a:b"},
        {"@value": {"a": "b"}},
        [["a"]],
    ],
)
def test_names_are_text(value: Any) -> None:
    for member in ("name", "description"):
        with pytest.raises(CredentialError) as caught:
            read_credential(CREDENTIAL | {member: value})
        assert caught.value.path == f"/{member}"
    with pytest.raises(CredentialError):
        read_credential(CREDENTIAL | {"issuer": {"id": ORGANISATION.did, "name": value}})
    words = [{"@value": "a", "@language": "en"}, {"@value": "b", "@language": "ar", "@direction": "rtl"}]
    assert read_credential(CREDENTIAL | {"name": words, "description": "text"})
