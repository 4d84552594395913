"""Trust establishment documents: who said it, what it says, and which version counts."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from parties import NOW, Party
from undersigned.credentials import (
    AccreditedBy,
    Authority,
    Claim,
    Endorsement,
    Membership,
    Performance,
    claim_credential,
    read_credential,
    schema_id,
)
from undersigned.encoding import digest_bytes, digest_of, from_struct
from undersigned.errors import UndersignedError
from undersigned.trust import (
    Establishment,
    check_newer,
    edge_of,
    established,
    established_names,
    is_establishment,
    read_establishment,
    record_config,
    verify_establishment,
)

GUILD, ISSUER, MALLORY = Party("guild"), Party("issuer"), Party("mallory")
OTHERS = "https://example.com/trusted-issuers.schema.json"


def document(*claims: Claim, **changes: Any) -> dict[str, Any]:
    entries: dict[str, dict[str, Any]] = {}
    for claim in claims:
        said = from_struct(claim)
        entries.setdefault(schema_id(claim.type), {})[said.pop("id")] = said
    return {
        "id": "32f54163-7166-48f1-93d8-ff217bdb0653",
        "author": GUILD.did,
        "created": "2026-11-01T00:00:00Z",
        "validFrom": "2026-11-01T00:00:00Z",
        "validUntil": "2027-11-01T00:00:00Z",
        "version": 3,
        "entries": entries,
    } | changes


CLAIMS = (
    Authority(id=ISSUER.did, may_attest="sbom", depth=1),
    Endorsement(id=ISSUER.did, capability="sbom", weight="0.5"),
    Membership(id=MALLORY.did, member_of=GUILD.did),
    AccreditedBy(id=MALLORY.did, accredited_for="sbom"),
)


def signed(made: dict[str, Any], by: Party = GUILD, suite: str = "eddsa-jcs-2022") -> dict[str, Any]:
    return by.prove(made, record_config(suite, by.method, NOW))


def verified(made: dict[str, Any], *, pinned: tuple[str, ...] = (), now: str = NOW) -> Establishment:
    documents = {one.did: one.document for one in (GUILD, MALLORY)}
    return verify_establishment(made, pinned=pinned, documents=documents, now=now)


def refused(made: dict[str, Any], **options: Any) -> str:
    with pytest.raises(UndersignedError) as caught:
        established(verified(made, **options))
    return caught.value.code


def test_each_entry_is_the_edge_of_such_a_credential() -> None:
    """HIRE-TED-03."""
    made = document(*CLAIMS)
    found = established(verified(signed(made)))
    assert found.skipped == ()
    alone = [
        claim_credential(
            claim,
            id="urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b02",
            issuer=GUILD.did,
            valid_from=made["validFrom"],
            valid_until=made["validUntil"],
        )
        for claim in CLAIMS
    ]
    expected = [replace(edge_of(read_credential(one)), digest="") for one in alone]
    assert {replace(edge, digest="") for edge in found.edges} == set(expected)
    for edge in found.edges:
        assert (edge.valid_from, edge.valid_until) == (made["validFrom"], made["validUntil"])
        assert edge.digest in established_names(read_establishment(made))
    authority = next(edge for edge in found.edges if edge.kind == "authority")
    assert authority.digest == digest_of(
        {"document": digest_of(made), "schema": schema_id("AttestationAuthorityCredential"), "subject": ISSUER.did}
    )


def test_it_is_told_by_its_author_and_its_entries() -> None:
    made = document(*CLAIMS)
    assert is_establishment(made)
    for member in ("author", "entries"):
        assert not is_establishment({name: value for name, value in made.items() if name != member})


def test_without_an_end_it_has_none() -> None:
    made = document(*CLAIMS)
    del made["validUntil"]
    assert {edge.valid_until for edge in established(verified(signed(made))).edges} == {None}


def test_it_holds_until_its_end() -> None:
    """HIRE-TED-02."""
    made = signed(document(*CLAIMS))
    assert verified(made, now=made["validUntil"]).valid_until == made["validUntil"]
    assert refused(made, now="2027-11-01T00:00:01Z") == "policy_denied"


def test_who_said_it() -> None:
    """HIRE-TED-02."""
    made = document(*CLAIMS)
    assert len(established(verified(made, pinned=(digest_of(made),))).edges) == 4
    assert refused(made) == "proof_missing"
    assert refused(made, pinned=(digest_bytes(b"another"),)) == "proof_missing"
    assert refused(signed(made, MALLORY)) == "key_not_authorized"
    assert refused(signed(made, MALLORY), pinned=(digest_of(made),)) == "key_not_authorized", (
        "what is signed is checked"
    )
    changed = signed(made)
    changed["entries"] = document(Authority(id=MALLORY.did, may_attest="sbom", depth=1))["entries"]
    assert refused(changed) == "proof_invalid"
    assert refused(made | {"proof": []}, pinned=(digest_of(made),)) in ("proof_missing", "proof_invalid")
    other = dict(signed(made))
    other["proof"] = [other["proof"], signed(made, MALLORY)["proof"]]
    assert refused(other) == "proof_invalid"
    assert refused(signed(made | {"author": MALLORY.did})) == "key_not_authorized"
    for options, code in (
        ({"cryptosuite": "eddsa-rdfc-2022"}, "suite_not_allowed"),
        ({"created": "2030-01-01T00:00:00Z"}, "proof_from_future"),
    ):
        proof = signed(made)["proof"] | options
        assert refused(made | {"proof": proof}) == code


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "0.0.1"},
        {"version": 1.5},
        {"version": True},
        {"author": "guild"},
        {"created": "yesterday"},
        {"validFrom": "2026-11-01"},
        {"validFrom": "2026-11-01T00:00:00"},
        {"validUntil": "soon"},
        {"validUntil": ""},
        {"id": ""},
        {"entries": []},
        {"entries": {OTHERS: []}},
        {"entries": {"no uri": {}}},
        {"entries": {"https://example.com/a b": {}}},
        {"unless": "revoked"},
    ],
)
def test_what_has_another_shape(changes: dict[str, Any]) -> None:
    """HIRE-TED-01."""
    made = document(*CLAIMS, **changes)
    assert refused(made, pinned=()) in ("schema_violation", "unknown_term")


@pytest.mark.parametrize("member", ["id", "author", "created", "validFrom", "version", "entries"])
def test_what_lacks_a_member(member: str) -> None:
    """HIRE-TED-01."""
    made = document(*CLAIMS)
    del made[member]
    assert refused(made) == "schema_violation"


def entries(type: str, did: str, said: Any) -> dict[str, Any]:
    made = document(*CLAIMS)
    return made | {"entries": {**made["entries"], schema_id(type): {did: said}}}


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (entries("EndorsementCredential", ISSUER.did, {"capability": ""}), "schema_violation"),
        (entries("EndorsementCredential", ISSUER.did, {"capability": "sbom", "unless": "x"}), "unknown_term"),
        (entries("EndorsementCredential", ISSUER.did, "sbom"), "schema_violation"),
        (entries("EndorsementCredential", ISSUER.did, {"id": GUILD.did, "capability": "x"}), "schema_violation"),
        (entries("EndorsementCredential", "issuer", {"capability": "sbom"}), "schema_violation"),
        (entries("MembershipCredential", ISSUER.did, {"memberOf": MALLORY.did}), "schema_violation"),
        (
            entries(
                "PerformanceCredential",
                ISSUER.did,
                {"contract": digest_bytes(b"contract"), "outcome": "accepted"},
            ),
            "policy_denied",
        ),
    ],
)
def test_one_bad_entry_and_the_document_says_nothing(made: dict[str, Any], code: str) -> None:
    """HIRE-TED-03."""
    assert refused(signed(made)) == code


def test_a_performance_beside_its_contract() -> None:
    """HIRE-TED-03."""
    contract = digest_bytes(b"contract")
    made = document(Performance(id=ISSUER.did, contract=contract, outcome="accepted"))
    (edge,) = established(verified(signed(made)), contracts={contract}).edges
    assert edge.kind == "performance"


def test_schemas_of_others_make_no_edge() -> None:
    """HIRE-TED-03."""
    made = document(CLAIMS[0])
    made["entries"][OTHERS] = {ISSUER.did: {"pass_rate": 88.5, "credentials": ["sbom"]}}
    made["entries"][f"{schema_id('EndorsementCredential')}#"] = {ISSUER.did: {"capability": "sbom"}}
    found = established(verified(signed(made)))
    assert ([edge.kind for edge in found.edges], len(found.skipped)) == (["authority"], 2)


def test_what_has_ended_is_refused() -> None:
    made = signed(document(*CLAIMS))
    assert refused(made, now="2027-11-01T00:00:01Z") == "policy_denied"


def test_a_newer_version_replaces() -> None:
    """HIRE-TED-04."""
    old = read_establishment(document(*CLAIMS))
    check_newer(old, old)
    check_newer(old, read_establishment(document(version=4)))
    for other in (
        document(version=3),
        document(*CLAIMS, version=2),
        document(*CLAIMS, version=4, id="another"),
        document(*CLAIMS, version=4, author=MALLORY.did),
    ):
        with pytest.raises(UndersignedError) as caught:
            check_newer(old, read_establishment(other))
        assert caught.value.code == "policy_denied"
    names = established_names(old)
    assert not names & established_names(read_establishment(document(*CLAIMS, version=4)))
