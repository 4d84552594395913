"""Moves to be said: each is a recipe that writes the next message of a party from where that party stands.

`offer(valid_for=minutes(5))` is a value; `playbook.hirer >> offer(...)` makes the message, signs and delivers it. What
is left out gets what an honest party would say; keywords replace any member of the message, to say something wrong.

Source: protocol-spec/messages/
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

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
    build_document,
    countersigned,
    draft_terms,
)
from undersigned.encoding import Digest, JsonObject, digest_bytes, from_struct, shift
from undersigned.messages import (
    MESSAGE_TYPES,
    Acceptance,
    Artifact,
    CriterionVerdict,
    Input,
    LedgerPlace,
    Limits,
    Message,
    PresentationRequest,
    Settled,
    Tender,
    Waiting,
)
from undersigned.messages import Task as Asked
from undersigned.protocol import HIRER, OTHER, Engagement, basis
from undersigned.scope import SKETCH_BASE, Grant, Limit, Scope, compile_scope
from undersigned.testing.actors import SUITE, Actor
from undersigned.testing.clock import minutes
from undersigned.testing.party import Party
from undersigned.transparency import contract_leaf, leaf_digest

__all__ = [
    "ARBITER",
    "ARTIFACT",
    "Say",
    "acceptance",
    "bid",
    "cancel",
    "closing",
    "contract_document",
    "contract_of",
    "delivery",
    "inquiry",
    "offer",
    "offered_at",
    "presentation",
    "problem",
    "profile",
    "progress",
    "receipt",
    "review",
    "seal",
    "start",
    "sync",
    "terminate",
    "terms_for",
    "withdraw",
]

ARTIFACT: Digest = digest_bytes(b"the artifact of the example")
"""What there is to work on."""

ARBITER: Final = Actor("arbiter")
"""Whom the terms name for disputes."""


class Say(NamedTuple):
    """A move not said yet: its type and the function that writes it for a party."""

    type: str
    write: Callable[[Party], dict[str, Any]]
    members: dict[str, Any]
    """Members of the message that replace what `write` gives, the envelope's included."""

    def message(self, party: Party) -> Message:
        """The message as this party would send it now, unsigned."""
        members = envelope(party, self.type) | self.write(party) | self.members
        return MESSAGE_TYPES[self.type](**members)


def envelope(party: Party, kind: str) -> dict[str, Any]:
    """The envelope of the next message of this party."""
    engagement = party.engagement
    notice = MESSAGE_TYPES[kind].notice
    return {
        "id": party.actor.message_id(),
        "engagement": engagement.id,
        "sender": engagement.own,
        "recipient": engagement.peer,
        "role": party.role,
        "sequence": len(engagement.sent) + (0 if notice else 1),
        "previous": engagement.sent[-1] if engagement.sent else None,
        "seen": engagement.got[-1] if engagement.got else None,
    }


def terms_for(party: Party, *, price: str = "12.5", reworks: int = 1, seal_grace: str = "PT2M") -> Terms:
    """Terms that an honest party may agree to: one artifact to read, one list to make, a day to do it."""
    now = party.now
    return draft_terms(
        task=Task(kind="sbom", summary="List what is in the artifact", inputs=(ARTIFACT,)),
        deliverables=(
            Deliverable(
                name="sbom.json",
                media_type="application/json",
                criteria=(Criterion(id="complete", text="Every component is listed"),),
            ),
        ),
        scope=Scope(
            grants=(Grant("read", "artifact:read", f"urn:hire:artifact:{ARTIFACT}", limits=(Limit("count", "3"),)),)
        ),
        price=Price(amount=price, currency="EUR"),
        deadlines=Deadlines(
            start=shift(now, minutes(60)),
            finish=shift(now, minutes(24 * 60)),
            heartbeat="PT10M",
            review="PT2H",
            rework="PT4H",
            wind_down="PT10M",
            close="PT1H",
            until=shift(now, minutes(72 * 60)),
        ),
        reworks=reworks,
        seal_grace=seal_grace,
        arbiter=ARBITER.did,
    )


def inquiry(*, opens: str = HIRER, rounds: int = 16, tender: Tender | None = None, **members: Any) -> Say:
    """The hirer's need."""

    def write(party: Party) -> dict[str, Any]:
        return {
            "nonce": "",
            "need": "sbom",
            "task": Asked(kind="sbom", summary="List what is in the artifact", inputs=(ARTIFACT,)),
            "scope_sketch": compile_scope(Scope(), SKETCH_BASE),
            "versions": ("1.0",),
            "suites": (SUITE,),
            "extensions": (),
            "opens": opens,
            "limits": Limits(rounds=rounds, bytes=2 * 1024 * 1024),
            "respond_by": shift(party.now, minutes(10)),
            "closes_at": shift(party.now, minutes(120)),
            "tender": tender,
        }

    return Say("Inquiry", write, members)


def profile(**members: Any) -> Say:
    """The provider's answer to it."""

    def write(party: Party) -> dict[str, Any]:
        talks = party.engagement.talks
        return {
            "nonce": party.actor.nonce(),
            "inquiry": last_of(party.engagement.got),
            "versions": (talks.offered_versions if talks else ()) or ("1.0",),
            "suites": (talks.offered_suites if talks else ()) or (SUITE,),
            "suite": SUITE,
            "hybrid": False,
            "capabilities": (),
            "request": PresentationRequest(needs=()),
            "respond_by": shift(party.now, minutes(10)),
        }

    return Say("Profile", write, members)


def presentation(*credentials: JsonObject, **members: Any) -> Say:
    """What the other side asked to be shown: these credentials, by default none."""

    def write(party: Party) -> dict[str, Any]:
        engagement, answers = party.engagement, last_of(party.engagement.got)
        shown = party.actor.present(
            engagement.id, party.now, credentials=credentials, challenge=answers, domain=engagement.peer
        )
        asked = PresentationRequest(needs=()) if party.role == HIRER else None
        return {"answers": answers, "presentation": shown, "request": asked}

    return Say("Presentation", write, members)


def bid(commitment: Digest = ARTIFACT, *, valid_for: int = minutes(60), **members: Any) -> Say:
    """A sealed commitment."""

    def write(party: Party) -> dict[str, Any]:
        return {"commitment": commitment, "valid_until": shift(party.now, valid_for)}

    return Say("Bid", write, members)


def offer(
    *,
    valid_for: int = minutes(10),
    terms: Terms | None = None,
    price: str = "12.5",
    reworks: int = 1,
    seal_grace: str = "PT2M",
    **members: Any,
) -> Say:
    """A contract document put on the table."""

    def write(party: Party) -> dict[str, Any]:
        engagement = party.engagement
        said = terms or terms_for(party, price=price, reworks=reworks, seal_grace=seal_grace)
        document = contract_document(party, said)
        live = engagement.offer if engagement.state.startswith("offered-by-") else None
        return {
            "document": party.actor.prove_offer(document, party.now),
            "valid_until": shift(party.now, valid_for),
            "in_reply_to": live.digest if live else None,
        }

    return Say("Offer", write, members)


def contract_document(party: Party, terms: Terms) -> ContractDocument:
    """The document of `terms` that this party would offer next."""
    engagement = party.engagement
    return build_document(
        engagement=engagement.id, hirer=engagement.hirer, provider=engagement.provider, terms=terms, **offered_at(party)
    )


def offered_at(party: Party) -> dict[str, Any]:
    """What a document that this party offers next says of its place in the conversation and of both parties' keys."""
    engagement = party.engagement
    own = Place(sequence=max(1, len(engagement.sent)), digest=last_of(engagement.sent))
    theirs = Place(sequence=max(1, len(engagement.got)), digest=last_of(engagement.got))
    hirer, provider = (own, theirs) if party.role == HIRER else (theirs, own)
    return {
        "role": party.role,
        "sequence": len(engagement.sent) + 1,
        "methods": Methods(**{party.role: (party.actor.method,), OTHER[party.role]: (party.peer.method,)}),
        "transcript": Transcript(hirer=hirer, provider=provider),
    }


def acceptance(**members: Any) -> Say:
    """The second signature, on the live offer."""

    def write(party: Party) -> dict[str, Any]:
        live = party.engagement.tabled or party.engagement.offer
        if live is None:
            return {"offer": ARTIFACT, "document": ARTIFACT, "contract_proof": {}}
        document = from_struct(party.offered())
        return {
            "offer": live.digest,
            "document": live.document,
            "contract_proof": party.actor.prove_acceptance(document, party.now),
        }

    return Say("Acceptance", write, members)


def seal(**members: Any) -> Say:
    """The offerer's decision. Its log holds nothing but this contract."""

    def write(party: Party) -> dict[str, Any]:
        engagement = party.engagement
        tabled, live = engagement.tabled, engagement.tabled or engagement.offer
        accepted = tabled.acceptance if tabled else engagement.acceptance
        return {
            "offer": live.digest if live else ARTIFACT,
            "document": live.document if live else ARTIFACT,
            "acceptance": accepted or ARTIFACT,
            "ledger": LedgerPlace(log=party.actor.did, index=0, leaf=_leaf_of(party, accepted)),
        }

    return Say("Seal", write, members)


def _leaf_of(party: Party, accepted: Digest | None) -> Digest:
    """Of the contract that this acceptance makes; of none, where there is no acceptance."""
    message = party.stored[accepted].message if accepted in party.stored else None
    if not isinstance(message, Acceptance):
        return ARTIFACT
    return leaf_digest(contract_leaf(countersigned(from_struct(party.offered()), message.contract_proof)))


def withdraw(reason: str = "declined", **members: Any) -> Say:
    """The end of the negotiation, or of the document on the table."""

    def write(party: Party) -> dict[str, Any]:
        tabled = party.engagement.tabled
        accepted = tabled is not None or party.engagement.state.startswith("accepted-by-")
        live = tabled or party.engagement.offer
        return {"reason": reason, "offer": live.digest if accepted and live else None}

    return Say("Withdraw", write, members)


def start(**members: Any) -> Say:
    """Work begins."""
    given = (Input(name="artifact", digest=ARTIFACT),)

    def write(party: Party) -> dict[str, Any]:
        return {"contract": contract_of(party.engagement), "inputs": given}

    return Say("Start", write, members)


def cancel(reason: str = "no_longer_needed", **members: Any) -> Say:
    """Stop, and hand over what there is."""

    def write(party: Party) -> dict[str, Any]:
        return {
            "contract": contract_of(party.engagement),
            "reason": reason,
            "wind_down": shift(party.now, minutes(10)),
        }

    return Say("Cancel", write, members)


def terminate(cause: str = "key_compromised", **members: Any) -> Say:
    """One side's end of the contract."""
    needs = cause in ("breach", "revoked", "parent")

    def write(party: Party) -> dict[str, Any]:
        named = ARTIFACT if needs else None
        return {"contract": contract_of(party.engagement), "cause": cause, "names": named, "evidence": ()}

    return Say("Terminate", write, members)


def delivery(outcome: str = "complete", **members: Any) -> Say:
    """What was made."""

    def write(party: Party) -> dict[str, Any]:
        contract = party.engagement.contract
        return {
            "contract": contract_of(party.engagement),
            "outcome": outcome,
            "artifacts": (Artifact(name="sbom.json", digest=ARTIFACT, media_type="application/json"),),
            "statements": (),
            "usage": (),
            "round": contract.round if contract else 1,
        }

    return Say("Delivery", write, members)


def review(verdict: str = "accepted", **members: Any) -> Say:
    """The hirer's verdict."""

    def write(party: Party) -> dict[str, Any]:
        contract = party.engagement.contract
        live = party.engagement.offer
        asked = live.terms.criteria if live else ()
        return {
            "delivery": (contract.delivery if contract else None) or ARTIFACT,
            "verdict": verdict,
            "criteria": tuple(CriterionVerdict(id=name, met=verdict == "accepted") for name in asked),
            "statement": {"payload": ""},
        }

    return Say("Review", write, members)


def closing(**members: Any) -> Say:
    """One side's books."""

    def write(party: Party) -> dict[str, Any]:
        contract = party.engagement.contract
        return {
            "contract": contract.in_force if contract else ARTIFACT,
            "basis": basis(party.engagement) or "silence",
            "delivery": contract.delivery if contract else None,
            "usage": (),
            "settlement": Settled(amount="12.5", currency="EUR"),
            "checkpoint": "uAAAA",
            "cosignatures": (),
        }

    return Say("Closing", write, members)


def receipt(*, waiting_until: str | None = None, **members: Any) -> Say:
    """These moves are recorded; with `waiting_until`, a person decides by then."""

    def write(party: Party) -> dict[str, Any]:
        engagement = party.engagement
        waiting = Waiting(for_="person", until=waiting_until) if waiting_until else None
        return {"of": engagement.got[engagement.answered :], "received_at": party.now, "waiting": waiting}

    return Say("Receipt", write, members)


def problem(of: Digest, code: str = "policy_denied", *, final: bool = True, **members: Any) -> Say:
    """A message was refused."""
    body: dict[str, Any] = {"of": of, "code": code, "class_": "policy", "retryable": False, "final": final}

    def write(_party: Party) -> dict[str, Any]:
        return body

    return Say("Problem", write, members)


def sync(**members: Any) -> Say:
    """Where this side stands."""

    def write(party: Party) -> dict[str, Any]:
        return {"state": party.engagement.state, "lane": party.engagement.lane}

    return Say("Sync", write, members)


def progress(number: int = 1, cursor: str | None = None, **members: Any) -> Say:
    """Work goes on."""

    def write(party: Party) -> dict[str, Any]:
        return {"contract": contract_of(party.engagement), "number": number, "cursor": cursor}

    return Say("Progress", write, members)


def last_of(chain: tuple[Digest, ...]) -> Digest:
    """The last move of a chain, or something else that has a digest."""
    return chain[-1] if chain else ARTIFACT


def contract_of(engagement: Engagement) -> Digest:
    """The contract's name, or something else that has a digest."""
    return engagement.contract.digest if engagement.contract else ARTIFACT
