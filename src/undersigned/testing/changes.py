"""Moves that change or question a contract while it is performed, as recipes: see `moves`.

Source: protocol-spec/messages/
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from undersigned.contract import (
    AmendmentDocument,
    ContractDocument,
    Price,
    ReleaseDocument,
    Terms,
    build_amendment,
    build_release,
)
from undersigned.encoding import Digest, shift
from undersigned.testing.actors import Actor
from undersigned.testing.clock import minutes
from undersigned.testing.moves import ARBITER, ARTIFACT, Say, contract_document, contract_of, offered_at, terms_for
from undersigned.testing.party import Party

__all__ = [
    "amendment",
    "approval",
    "approval_request",
    "breach",
    "dispute",
    "release",
    "resume",
    "ruling",
    "suspend",
]

NO_CONTRACT: Final = {"contract": ARTIFACT, "amends": ARTIFACT}


def suspend(reason: str = "incident", *, lasts: int = minutes(120), **members: Any) -> Say:
    """No authority for now."""

    def write(party: Party) -> dict[str, Any]:
        return {"contract": contract_of(party.engagement), "reason": reason, "until": shift(party.now, lasts)}

    return Say("Suspend", write, members)


def resume(reason: str = "resolved", **members: Any) -> Say:
    """It goes on."""

    def write(party: Party) -> dict[str, Any]:
        return {"contract": contract_of(party.engagement), "reason": reason}

    return Say("Resume", write, members)


def approval_request(**members: Any) -> Say:
    """May this be done?"""

    def write(party: Party) -> dict[str, Any]:
        return {
            "contract": contract_of(party.engagement),
            "clause": "read",
            "action": "artifact:read",
            "arguments": ARTIFACT,
            "reason": "the contract asks for it",
            "answer_by": shift(party.now, minutes(30)),
        }

    return Say("ApprovalRequest", write, members)


def approval(*, granted: bool = True, **members: Any) -> Say:
    """The answer to the oldest open question."""

    def write(party: Party) -> dict[str, Any]:
        contract = party.engagement.contract
        asked = contract.open_requests() if contract else ()
        until = shift(party.now, minutes(60))
        request = asked[0].move if asked else ARTIFACT
        return {"request": request, "granted": granted, "uses": 1 if granted else 0, "until": until}

    return Say("Approval", write, members)


def breach(*, cure: int = minutes(60), **members: Any) -> Say:
    """The other side broke a clause."""

    def write(party: Party) -> dict[str, Any]:
        return {
            "contract": contract_of(party.engagement),
            "clause": "dataHandling",
            "evidence": (),
            "cure_by": shift(party.now, cure),
        }

    return Say("Breach", write, members)


def dispute(**members: Any) -> Say:
    """The arbiter is asked."""

    def write(party: Party) -> dict[str, Any]:
        return {
            "contract": contract_of(party.engagement),
            "about": contract_of(party.engagement),
            "claim": "The list is not complete.",
            "evidence": (),
            "ruling_by": shift(party.now, minutes(24 * 60)),
        }

    return Say("Dispute", write, members)


def ruling(outcome: str = "divided", *, amount: str = "6", by: Actor = ARBITER, **members: Any) -> Say:
    """What the arbiter decided, signed by it."""

    def write(party: Party) -> dict[str, Any]:
        contract = party.engagement.contract
        disputed: Digest = contract.disputes[0].digest if contract and contract.disputes else ARTIFACT
        # The arbiter is one for all, so the name is drawn by whoever says it: what it says depends on nobody else.
        named = {"id": party.actor.message_id(), "outcome": outcome, "amount": amount}
        document = by.rule(contract_of(party.engagement), disputed, party.now, **named)
        return {"dispute": disputed, "ruling": document}

    return Say("Ruling", write, members)


def amendment(*, valid_for: int = minutes(10), terms: Terms | None = None, price: str = "13.5", **members: Any) -> Say:
    """Other terms for the contract, put on the table."""

    def write(party: Party) -> dict[str, Any]:
        said = terms or terms_for(party, price=price)

        def build(of: ContractDocument, **where: Any) -> AmendmentDocument:
            return build_amendment(of, said, **where)

        return _offered(party, valid_for, build)

    return Say("Offer", write, members)


def release(*, valid_for: int = minutes(10), amount: str = "3", currency: str = "EUR", **members: Any) -> Say:
    """Both let each other go, for so much."""

    def write(party: Party) -> dict[str, Any]:
        owed = Price(amount=amount, currency=currency)

        def build(of: ContractDocument, **where: Any) -> ReleaseDocument:
            return build_release(of, owed, "No longer needed.", **where)

        return _offered(party, valid_for, build)

    return Say("Offer", write, members)


def _offered(party: Party, valid_for: int, build: Callable[..., AmendmentDocument | ReleaseDocument]) -> dict[str, Any]:
    engagement = party.engagement
    contract = engagement.contract
    under = {"contract": contract.digest, "amends": contract.in_force} if contract else NO_CONTRACT
    document = build(contract_document(party, terms_for(party)), **offered_at(party), **under)
    return {
        "document": party.actor.prove_offer(document, party.now),
        "valid_until": shift(party.now, valid_for),
        "in_reply_to": engagement.tabled.digest if engagement.tabled else None,
    }
