"""What makes an edge, and what makes none."""

from typing import Any

import pytest

from parties import NOW, Party
from support import refuses
from undersigned.credentials import build_credential, read_credential
from undersigned.encoding import digest_bytes
from undersigned.errors import CredentialError, FormatError
from undersigned.trust import UNIT, Edge, edge_of
from undersigned.trust.edge import written

ISSUER, SUBJECT = Party("acme-org"), Party("globex")
CONTRACT = digest_bytes(b"contract")

WHOLE = {
    "MembershipCredential": {"memberOf": ISSUER.did},
    "AttestationAuthorityCredential": {"mayAttest": "sbom", "depth": 2},
    "EndorsementCredential": {"capability": "sbom", "weight": "0.25"},
    "PerformanceCredential": {"contract": CONTRACT, "outcome": "accepted", "capability": "sbom"},
    "AccusationCredential": {"kind": "breach", "evidence": CONTRACT},
    "PartOfCredential": {"partOf": ISSUER.did},
    "SuppliesToCredential": {"suppliesTo": ISSUER.did},
    "AccreditedByCredential": {"accreditedFor": "sbom"},
    "AuditedByCredential": {"auditedFor": "ISO 27001:2022"},
}


def made(type: str, subject: dict[str, Any], /, **changes: Any) -> Edge:
    document = build_credential(
        id="urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b01",
        type=type,
        issuer=ISSUER.did,
        subject={"id": SUBJECT.did, **subject},
        valid_from="2026-11-01T00:00:00Z",
        valid_until="2026-12-01T00:00:00Z",
    )
    return edge_of(read_credential(document | changes), contracts={CONTRACT}, evidence={CONTRACT})


@pytest.mark.parametrize(
    ("type", "kind", "capability", "depth", "weight", "says"),
    [
        ("MembershipCredential", "membership", None, 0, UNIT, ""),
        ("AttestationAuthorityCredential", "authority", "sbom", 2, 0, ""),
        ("EndorsementCredential", "endorsement", "sbom", 0, UNIT // 4, ""),
        ("PerformanceCredential", "performance", "sbom", 0, UNIT // 2, "accepted"),
        ("AccusationCredential", "accusation", None, 0, 0, "breach"),
        ("PartOfCredential", "partOf", None, 0, UNIT, ""),
        ("SuppliesToCredential", "suppliesTo", None, 0, UNIT // 4, ""),
        ("AccreditedByCredential", "accreditedBy", "sbom", 0, UNIT, ""),
        ("AuditedByCredential", "auditedBy", None, 0, UNIT // 2, "ISO 27001:2022"),
    ],
)
def test_each_type_makes_its_edge(
    type: str, kind: str, capability: str | None, depth: int, weight: int, says: str
) -> None:
    """HIRE-TRU-01."""
    edge = made(type, WHOLE[type])
    assert (edge.source, edge.target, edge.kind) == (ISSUER.did, SUBJECT.did, kind)
    assert (edge.capability, edge.depth, edge.weight, edge.says) == (capability, depth, weight, says)
    assert (edge.valid_from, edge.valid_until) == ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z")


@pytest.mark.parametrize("type", WHOLE)
def test_a_member_too_many_or_too_few_makes_no_edge(type: str) -> None:
    """HIRE-TRU-01."""
    first = next(iter(WHOLE[type]))
    for subject in (WHOLE[type] | {"note": "x"}, {n: v for n, v in WHOLE[type].items() if n != first}):
        with pytest.raises((CredentialError, FormatError)) as caught:
            made(type, subject)
        assert caught.value.code in ("schema_violation", "unknown_term")


@pytest.mark.parametrize(
    ("type", "change"),
    [
        ("MembershipCredential", {"memberOf": SUBJECT.did}),
        ("PartOfCredential", {"partOf": SUBJECT.did}),
        ("SuppliesToCredential", {"suppliesTo": SUBJECT.did}),
        ("AttestationAuthorityCredential", {"depth": -1}),
        ("AttestationAuthorityCredential", {"depth": True}),
        ("AttestationAuthorityCredential", {"depth": "1"}),
        ("AttestationAuthorityCredential", {"mayAttest": ""}),
        ("EndorsementCredential", {"weight": "1.1"}),
        ("EndorsementCredential", {"weight": "0.50"}),
        ("EndorsementCredential", {"weight": "-0.5"}),
        ("EndorsementCredential", {"weight": 1}),
        ("EndorsementCredential", {"capability": ["sbom"]}),
        ("PerformanceCredential", {"outcome": "great"}),
        ("PerformanceCredential", {"contract": "x"}),
        ("AccusationCredential", {"kind": "rumour"}),
        ("AccusationCredential", {"evidence": "x"}),
        ("AccreditedByCredential", {"accreditedFor": 1}),
        ("EndorsementCredential", {"id": "https://globex.example"}),
    ],
)
def test_a_member_of_another_shape_makes_no_edge(type: str, change: dict[str, Any]) -> None:
    """HIRE-TRU-01."""
    with pytest.raises((CredentialError, FormatError)) as caught:
        made(type, WHOLE[type] | change)
    assert caught.value.code in ("schema_violation", "unknown_term")


def test_what_could_be_two_edges_is_none() -> None:
    """HIRE-TRU-01."""
    subject = {"id": SUBJECT.did, "capability": "sbom"}
    for changes in (
        {"type": ["VerifiableCredential", "EndorsementCredential", "AccreditedByCredential"]},
        {"type": ["VerifiableCredential", "OtherCredential"]},
        {"credentialSubject": [subject, subject | {"id": ISSUER.did}]},
    ):
        with pytest.raises((CredentialError, FormatError)) as caught:
            made("EndorsementCredential", {"capability": "sbom"}, **changes)
        assert caught.value.code in ("schema_violation", "unknown_term")


def test_only_a_did_says_something() -> None:
    """HIRE-TRU-01."""
    with pytest.raises(CredentialError) as caught:
        made("EndorsementCredential", {"capability": "sbom"}, issuer="https://acme.example")
    assert (caught.value.code, caught.value.path) == ("schema_violation", "/issuer")


def test_a_performance_needs_the_countersigned_contract() -> None:
    """HIRE-TRU-02."""
    with refuses((CredentialError, FormatError), "policy_denied"):
        made("PerformanceCredential", WHOLE["PerformanceCredential"] | {"contract": digest_bytes(b"another")})
    assert made("PerformanceCredential", WHOLE["PerformanceCredential"] | {"outcome": "failed"}).weight == 0


def test_an_accusation_needs_its_evidence() -> None:
    """HIRE-TRU-27."""
    with refuses(CredentialError, "policy_denied"):
        made("AccusationCredential", WHOLE["AccusationCredential"] | {"evidence": digest_bytes(b"another")})


@pytest.mark.parametrize(
    ("bounds", "counts"),
    [
        ({"validFrom": NOW, "validUntil": NOW}, True),
        ({"validFrom": "2026-11-25T12:00:00.000001Z"}, False),
        ({"validFrom": "2026-11-25T11:59:59.000001Z"}, True),
        ({"validUntil": "2026-11-25T11:59:59.999Z"}, False),
        ({"validUntil": "2026-11-25T12:00:00.5Z"}, True),
        ({"validFrom": "2026-11-25T13:00:00+01:00"}, True),
        ({"validFrom": "1999-01-01T00:00:00Z", "validUntil": "9999-01-01T00:00:00Z"}, True),
    ],
)
def test_validity_in_whole_seconds(bounds: dict[str, str], counts: bool) -> None:
    """HIRE-TRU-03."""
    assert made("EndorsementCredential", {"capability": "sbom"}, **bounds).counts(NOW) is counts


@pytest.mark.parametrize(
    ("begins", "ends", "changes"),
    [
        ("2026-11-01T00:00:00Z", NOW, NOW),
        ("2026-11-01T00:00:00Z", "2026-11-25T11:59:59Z", None),
        (NOW, "2026-12-01T00:00:00Z", "2026-12-01T00:00:00Z"),
        ("2026-11-25T12:00:01Z", "2026-12-01T00:00:00Z", NOW),
    ],
)
def test_an_edge_changes_when_it_begins_and_when_it_ends(begins: str, ends: str, changes: str | None) -> None:
    """HIRE-TRU-12: the last second in which it is as it is now."""
    edge = made("EndorsementCredential", {"capability": "sbom"}, validFrom=begins, validUntil=ends)
    assert edge.changes(NOW) == changes


@pytest.mark.parametrize(
    ("begins", "ends", "bounds"),
    [
        ("9999-01-01T00:00:00Z", "9999-02-01T00:00:00Z", None),
        ("3000-01-01T00:00:00Z", "3001-01-01T00:00:00Z", None),
        ("1998-01-01T00:00:00Z", "1999-12-31T23:59:59Z", None),
        ("2999-12-31T23:59:59Z", "2999-12-31T23:59:59Z", ("2999-12-31T23:59:59Z", "2999-12-31T23:59:59Z")),
        ("2000-01-01T00:00:00Z", "2000-01-01T00:00:00Z", ("2000-01-01T00:00:00Z", "2000-01-01T00:00:00Z")),
        ("1999-12-31T23:59:59Z", "3000-01-01T00:00:00Z", (None, None)),
    ],
)
def test_a_validity_that_never_comes_makes_no_edge(begins: str, ends: str, bounds: tuple[str, str] | None) -> None:
    """HIRE-TRU-03."""
    if bounds is None:
        with pytest.raises(CredentialError):
            made("EndorsementCredential", {"capability": "sbom"}, validFrom=begins, validUntil=ends)
    else:
        edge = made("EndorsementCredential", {"capability": "sbom"}, validFrom=begins, validUntil=ends)
        assert (edge.valid_from, edge.valid_until) == bounds


def test_weights_are_exact() -> None:
    edge = made("EndorsementCredential", {"capability": "sbom", "weight": "0.123456789"})
    assert edge.weight == 123_456_789
    assert [written(units) for units in (0, 1, UNIT // 5, edge.weight, UNIT)] == [
        "0",
        "0.000000001",
        "0.2",
        "0.123456789",
        "1",
    ]
