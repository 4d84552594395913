"""What may happen to the contract of the example hire while it is performed, as messages.

One history that a contract can have, from the `Start` on: it is suspended and goes on, an approval is asked for, a
breach is claimed, an amendment that names an arbiter is sealed, and what remains is disputed and ruled on. And some
messages that it had no use for.
"""

from __future__ import annotations

from typing import Any

from example_parties import (
    BEGIN,
    ENGAGEMENT,
    HIRER,
    PARTIES,
    PROVIDER,
    Party,
    Talk,
    document_name,
    document_proof,
    places,
    proof_on,
    terms,
)
from msgspec import convert, to_builtins
from msgspec.structs import replace

from undersigned.contract import AmendmentDocument, Methods, Price, ReleaseDocument
from undersigned.encoding import digest_bytes, digest_of, shift
from undersigned.messages import (
    Acceptance,
    Approval,
    ApprovalRequest,
    Breach,
    Details,
    Dispute,
    LedgerPlace,
    Message,
    Offer,
    Resume,
    Ruling,
    Seal,
    Suspend,
    Terminate,
    VerifiedMessage,
)
from undersigned.transparency import contract_leaf, leaf_digest

__all__ = ["ARBITER", "CHANGES", "amendment", "arbiter_ruling", "changes", "countersigned", "release"]

ARBITER = Party("arbiter")
CHANGES = (
    *("suspend", "resume", "approvalrequest", "approval", "breach", "offer-amendment", "acceptance-amendment"),
    *("seal-amendment", "dispute", "ruling"),
)
"""The history, in its order; it follows the `Start` of the hire."""


def _document(talk: Talk, role: str) -> dict[str, Any]:
    return {
        "context": "https://w3id.org/hire/v1",
        "id": document_name(talk, role),
        "engagement": ENGAGEMENT,
        "hirer": HIRER.did,
        "provider": PROVIDER.did,
        "methods": Methods(hirer=(HIRER.method,), provider=(PROVIDER.method,)),
        "transcript": places(talk),
    }


def amendment(talk: Talk, role: str, of: str, /, **other: Any) -> AmendmentDocument:
    """The amendment that the next offer of `role` carries: a higher price, and an arbiter.

    `of` is the contract, which nothing has amended before.
    """
    members = _document(talk, role)
    changed = replace(terms(members["id"], "30"), arbiter=ARBITER.did)
    document = AmendmentDocument(**(members | {"terms": changed, "contract": of, "amends": of} | other))
    return convert(document_proof(to_builtins(document), PARTIES[role], talk), AmendmentDocument)


def release(talk: Talk, role: str, contract: str, amends: str, amount: str = "12") -> ReleaseDocument:
    """The release that the next offer of `role` carries."""
    document = ReleaseDocument(
        **_document(talk, role),
        contract=contract,
        amends=amends,
        settlement=Price(amount=amount, currency="EUR"),
        reason="Half of it is enough.",
    )
    return convert(document_proof(to_builtins(document), PARTIES[role], talk), ReleaseDocument)


def countersigned(document: AmendmentDocument | ReleaseDocument, by: Party, talk: Talk) -> dict[str, Any]:
    """The document with both proofs: the acceptor's names the offerer's."""
    json = to_builtins(document)
    return proof_on(json, by, talk.now, "assertionMethod", talk.suite, previous_proof=json["proof"]["id"])


def arbiter_ruling(contract: str, dispute: str, created: str, *, currency: str = "EUR") -> dict[str, Any]:
    """The ruling on a dispute."""
    document = {
        "@context": "https://w3id.org/hire/v1",
        "id": "urn:uuid:0a0b0c0d-0e0f-4a0b-8c0d-0e0f0a0b0c0d",
        "type": "ArbiterRuling",
        "contract": contract,
        "dispute": dispute,
        "outcome": "divided",
        "amount": "20",
        "currency": currency,
        "reasons": "The list was made, and late.",
    }
    return proof_on(document, ARBITER, created, "assertionMethod")


def changes(talk: Talk, sealed: str) -> dict[str, VerifiedMessage]:
    """Name -> message: what happens to the contract `sealed` after its `Start`, where `talk` stands."""
    said: dict[str, VerifiedMessage] = {}

    def say(name: str, of: type[Message], role: str, /, **body: Any) -> VerifiedMessage:
        said[name] = talk.say(of, role, **body)
        return said[name]

    say("suspend", Suspend, "hirer", contract=sealed, reason="incident", until=shift(talk.now, 7200))
    say("resume", Resume, "hirer", contract=sealed, reason="resolved")
    reading = Details(action="artifact:read", target="https://acme.example/artifacts/one", amounts={"count": "1"})
    asked = say(
        "approvalrequest",
        ApprovalRequest,
        "provider",
        contract=sealed,
        clause="read-input",
        action="artifact:read",
        arguments=digest_of(to_builtins(reading)),
        details=reading,
        reason="The contract asks for it.",
        answer_by=shift(talk.now, 1800),
    )
    say("approval", Approval, "hirer", request=asked.digest, granted=True, uses=2, until=shift(talk.now, 3600))
    say(
        "breach",
        Breach,
        "hirer",
        contract=sealed,
        clause="dataHandling",
        evidence=(digest_bytes(b"a log"),),
        cure_by=shift(talk.now, 7200),
    )
    document = amendment(talk, "hirer", sealed)
    offer = say("offer-amendment", Offer, "hirer", document=document, valid_until=shift(talk.now, 3600))
    json = to_builtins(document)
    both = countersigned(document, PROVIDER, talk)
    accepted = say(
        "acceptance-amendment",
        Acceptance,
        "provider",
        offer=offer.digest,
        document=digest_of(json),
        contract_proof=both["proof"][1],
    )
    say(
        "seal-amendment",
        Seal,
        "hirer",
        offer=offer.digest,
        document=digest_of(json),
        acceptance=accepted.digest,
        ledger=LedgerPlace(log=HIRER.did, index=5, leaf=leaf_digest(contract_leaf(both))),
    )
    disputed = say(
        "dispute",
        Dispute,
        "provider",
        contract=sealed,
        about=said["breach"].digest,
        claim="There was no breach, and the work is as good as done.",
        evidence=(),
        ruling_by=shift(talk.now, 2 * 86_400),
    )
    ruled = arbiter_ruling(sealed, disputed.digest, talk.now)
    say("ruling", Ruling, "hirer", dispute=disputed.digest, ruling=ruled)

    # What this contract had no use for.
    aside = Talk(suite=talk.suite, count=talk.count)
    aside.moves = {role: list(moves) for role, moves in talk.moves.items()}
    talk = aside
    say("approval-refused", Approval, "hirer", request=asked.digest, granted=False, uses=0, until=shift(BEGIN, 9000))
    say(
        "offer-release",
        Offer,
        "provider",
        document=release(talk, "provider", sealed, digest_of(json)),
        valid_until=shift(talk.now, 3600),
    )
    say(
        "terminate-breach",
        Terminate,
        "hirer",
        contract=sealed,
        cause="breach",
        names=said["breach"].digest,
        evidence=(digest_bytes(b"a log"),),
    )
    return said
