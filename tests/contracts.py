"""A real contract between two real parties, for tests: document, both proofs, acceptance and seal."""

from __future__ import annotations

from typing import Any

from parties import NOW, Party
from undersigned.contract import (
    ContractDocument,
    Criterion,
    Deadlines,
    Deliverable,
    Methods,
    Place,
    Price,
    Task,
    Terms,
    Transcript,
    acceptance_config,
    build_document,
    countersigned,
    draft_terms,
    offer_config,
)
from undersigned.encoding import JsonObject, digest_bytes, digest_of, from_struct
from undersigned.proof import proof_config
from undersigned.scope import Grant, Limit, Scope

SUITE = "eddsa-jcs-2022"
ENGAGEMENT = f"urn:hire:engagement:{digest_bytes(b'engagement')}"
PROOF_ID = "urn:uuid:0b9a0a6e-3f0c-4a56-8a7e-1d1c5a3f6a01"
OFFER = digest_bytes(b"the offer")

HIRER, PROVIDER, STRANGER = Party("acme"), Party("globex"), Party("mallory")

SCOPE = Scope(
    grants=(
        Grant(
            "read-artifact",
            "artifact:read",
            "https://acme.example/artifacts/*",
            limits=(Limit("count", "10"), Limit("bytes", "1000000")),
        ),
    )
)
TRANSCRIPT = Transcript(
    hirer=Place(sequence=2, digest=digest_bytes(b"hirer 2")),
    provider=Place(sequence=2, digest=digest_bytes(b"provider 2")),
)
DEADLINES = Deadlines(
    start="2026-11-25T12:10:00Z",
    finish="2026-11-25T13:00:00Z",
    heartbeat="PT1M",
    review="PT10M",
    rework="PT30M",
    wind_down="PT1M",
    close="PT10M",
    until="2026-11-25T14:00:00Z",
)


def terms(**changes: Any) -> Terms:
    fields: dict[str, Any] = {
        "task": Task(kind="sbom", summary="A bill of materials of one wheel", inputs=(digest_bytes(b"wheel"),)),
        "deliverables": (
            Deliverable(
                name="sbom.cdx.json",
                media_type="application/vnd.cyclonedx+json",
                criteria=(Criterion(id="complete", text="names every component"),),
            ),
        ),
        "scope": SCOPE,
        "price": Price(amount="12.5", currency="EUR"),
        "deadlines": DEADLINES,
    }
    return draft_terms(**(fields | changes))


def document(role: str = "hirer", sequence: int = 3, **changes: Any) -> ContractDocument:
    fields: dict[str, Any] = {
        "engagement": ENGAGEMENT,
        "role": role,
        "sequence": sequence,
        "hirer": HIRER.did,
        "provider": PROVIDER.did,
        "methods": Methods(hirer=(HIRER.method,), provider=(PROVIDER.method,)),
        "transcript": TRANSCRIPT,
        "terms": terms(),
    }
    return build_document(**(fields | changes))


def sides(role: str) -> tuple[Party, Party]:
    """Offerer and acceptor."""
    return (HIRER, PROVIDER) if role == "hirer" else (PROVIDER, HIRER)


def offered(role: str = "hirer", suite: str = SUITE, **changes: Any) -> JsonObject:
    offerer, _ = sides(role)
    return offerer.prove(from_struct(document(role, **changes)), offer_config(suite, offerer.method, NOW, PROOF_ID))


def accepted(role: str = "hirer", suite: str = SUITE, **changes: Any) -> JsonObject:
    first, (_, acceptor) = offered(role, suite, **changes), sides(role)
    return countersigned(first, acceptor.proof(first, acceptance_config(first, suite, acceptor.method, NOW)))


def message(by: Party, purpose: str, suite: str = SUITE, /, **members: Any) -> JsonObject:
    """A signed message with these members, whatever they say."""
    bare = {
        "@context": "https://w3id.org/hire/v1",
        "id": "urn:uuid:6d6a9d0c-0a6d-4f0e-9b1a-0f6f2f5f7a10",
        "version": "1.0",
        "engagement": ENGAGEMENT,
        **members,
    }
    config = proof_config(suite, by.method, purpose, NOW, "2026-11-25T18:00:00Z")
    return by.prove({name: value for name, value in bare.items() if value is not None}, config)


def acceptance(contract: JsonObject, role: str = "hirer", suite: str = SUITE, /, **changes: Any) -> JsonObject:
    offerer, acceptor = sides(role)
    return message(
        changes.pop("by", acceptor),
        changes.pop("purpose", "authentication"),
        suite,
        **{
            "type": "Acceptance",
            "role": "provider" if role == "hirer" else "hirer",
            "sender": acceptor.did,
            "recipient": offerer.did,
            "sequence": 3,
            "previous": digest_bytes(b"acceptor 2"),
            "seen": OFFER,
            "offer": OFFER,
            "document": digest_of(contract),
            "contractProof": contract["proof"][1],
            **changes,
        },
    )


def seal(
    contract: JsonObject, agreed: JsonObject, role: str = "hirer", suite: str = SUITE, /, **changes: Any
) -> JsonObject:
    offerer, acceptor = sides(role)
    return message(
        changes.pop("by", offerer),
        changes.pop("purpose", "assertionMethod"),
        suite,
        **{
            "type": "Seal",
            "role": role,
            "sender": offerer.did,
            "recipient": acceptor.did,
            "sequence": 4,
            "previous": OFFER,
            "seen": digest_of(agreed),
            "offer": OFFER,
            "document": digest_of(contract),
            "acceptance": digest_of(agreed),
            "ledger": {"log": "acme.example", "index": 0, "leaf": digest_bytes(b"leaf")},
            **changes,
        },
    )
