"""How a hire ended, in words for the hirer's application: a result, or the error that says why there is none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from undersigned.contract import Price, Terms, plain, read_ruling
from undersigned.encoding import Did, Digest, EngagementId, compare_amounts
from undersigned.errors import CODES, LedgerError, LogProofError, PolicyError, UndersignedError, VerificationError
from undersigned.messages import Cancel, Closing, Delivery, Need, Problem, Profile, Review, Ruling, Withdraw
from undersigned.protocol import Ending, owed
from undersigned.runtime.artifacts.contents import Contents
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.receiving import OF_OUR_LOG
from undersigned.runtime.engagement.remembered import contract_of
from undersigned.runtime.engagement.turn import EARLY, Event
from undersigned.runtime.execution.books import Differs, books_differ
from undersigned.runtime.execution.budget import no_room_in
from undersigned.runtime.execution.review import REVIEW_FAILED
from undersigned.runtime.execution.settlement import owed_price
from undersigned.runtime.negotiation.order import order_in
from undersigned.scope import whole_scope
from undersigned.trust import Decision

from .hirer import asked_by

if TYPE_CHECKING:
    from .agent import Agent
    from .hearing import Hearing

__all__ = ["DIVERGED", "HireResult", "disputable", "hint_of", "hire_result", "needed_text", "not_hired", "unclosed_by"]

DIVERGED = "ledger_diverged"
_OURS_WENT_BACK = "it has seen another history of our log: was this state folder put back from an old copy?"
_ITS_WENT_BACK = "it does not have what it signed and we hold: was its state folder put back from an old copy?"
_ONE_WENT_BACK = "one of the two state folders was put back from an old copy, this one or its"
_HINTS = {
    "changed": "; whoever runs it has other plans now",
    "not_offered": "; 'undersigned discover' shows what it does",
    "revoked": "; it finds what we showed, or a key of ours, withdrawn: have it issued anew",
    "status_unavailable": "; it could not look up whether what we showed is withdrawn: does the peer of whoever issued "
    "that run ('undersigned serve'), in reach of others?",
    "version_not_supported": "; it has no version of ours, or no suite for our kind of key: who has Ed25519, and who "
    "has P-256 or P-384, have none in common",
}
"""What to do where a provider withdraws for this reason; of what it looked up, that it is about us."""
SHOWN_CLAUSES = 8
"""Clauses that are told of those that refused something, and bounds of those that may have been in the way."""


class HireResult(msgspec.Struct, frozen=True, kw_only=True):
    """How a hire ended. Only an accepted one becomes a result; every other end is an error."""

    engagement: EngagementId
    provider: Did
    contract: Digest
    """Digest of the sealed contract."""
    artifacts: Contents
    """What was delivered, by name; each was checked against its digest and statement. `artifacts[name]` is all bytes of
    one; `read`, `pieces` and `save` do for what is large.
    """
    price: str
    """What is owed, `4 EUR`."""
    criteria: dict[str, bool]
    """Of each acceptance criterion, by its id, whether it was met."""
    books: tuple[Differs, ...] = ()
    """What the provider's books say otherwise than ours, as far as they have come."""
    unclosed: UndersignedError | None = None
    """Why the books of one side were not taken by the other, though the work was: `ledger_diverged`."""

    def __getitem__(self, name: str) -> bytes:
        """The bytes of one artifact, whole.

        Raises:
            KeyError: Nothing of that name was delivered.
            UndersignedError, VerificationError: It is not there any more, or damaged.
        """
        return self.artifacts[name]

    def __contains__(self, name: object) -> bool:
        return name in self.artifacts

    def __iter__(self) -> Iterator[str]:
        """The names of what was delivered."""
        return iter(self.artifacts)

    def explain(self) -> str:
        """The result in a few lines."""
        lines = [f"contract {self.contract} with {self.provider}", f"owed {self.price}"]
        lines += [f"the books differ: {one.explain()}" for one in self.books]
        lines += [f"artifact {plain(name)}: {self.artifacts.size(name)} bytes" for name in self.artifacts]
        lines += [f"criterion {plain(name)}: {'met' if met else 'not met'}" for name, met in self.criteria.items()]
        return "\n".join(lines)


def disputable(conversation: Conversation) -> bool:
    """Whether we rejected what was delivered under terms that name an arbiter."""
    if not conversation.said("Review", "hirer") or conversation.offered().terms.arbiter is None:
        return False
    return conversation.last("Review", Review, "hirer").verdict == "rejected"


async def hire_result(peer: Agent, conversation: Conversation, heard: Hearing) -> HireResult:
    """What the hire came to, by its conversation and by what was heard of it.

    Raises:
        PolicyError: One side withdrew, or the work was not done.
        VerificationError: The delivery was rejected.
    """
    engagement = conversation.engagement
    contract = engagement.contract
    if contract is None:
        last = heard.undecided if conversation.said("Withdraw", "hirer") else None
        if last is not None and (last.code == DIVERGED or last.code.startswith("store_")):
            why = f"of its {last.type}" if last.message else "we could not decide"
            raise PolicyError(last.code, f"we withdrew, because {why}: {_cause(last)}", engagement=engagement.id)
        raise not_hired(conversation, heard.refused, last, heard.decision)
    price, cancelled = owed_price(conversation, engagement), ""
    if conversation.said("Cancel", "hirer"):
        cancelled = f"we cancelled it: {conversation.last('Cancel', Cancel, 'hirer').reason}"
    if not conversation.said("Review", "hirer"):
        raise _unreviewed(conversation, price, cancelled)
    review = conversation.last("Review", Review, "hirer")
    delivery = conversation.last("Delivery", Delivery, "provider")
    if cancelled and delivery.outcome != "complete":
        kept = "; what was handed over is in 'contract show'" if delivery.artifacts else ""
        text = f"{cancelled}; the delivery is {delivery.outcome}, owed {price}{kept}"
        raise PolicyError("policy_denied", text)
    if delivery.outcome != "complete":
        told = f"the provider did not finish the work: the delivery is {delivery.outcome}"
        hints = await _refusals(peer, engagement.id) + _bounds(conversation.offered().terms, delivery)
        raise PolicyError("upstream_failed", told + (hints or "; why, only whoever runs it can say"))
    if review.verdict != "accepted":
        raise _rejected(conversation, review, price)
    return HireResult(
        engagement=engagement.id,
        provider=engagement.peer,
        contract=contract.digest,
        artifacts=await Contents.of(peer.artifacts, {a.name: a.digest for a in delivery.artifacts}),
        price=str(price),
        criteria={criterion.id: criterion.met for criterion in review.criteria},
        books=books_differ(conversation.facts),
        unclosed=heard.unclosed,
    )


def _unreviewed(conversation: Conversation, price: Price, cancelled: str) -> PolicyError:
    """How a contract ended of which we made no review, `cancelled` by us or not."""
    engagement = conversation.engagement
    endings = contract_of(engagement).endings
    ends = ", ".join(_ending(conversation, each) for each in endings) or engagement.state
    if (failed := conversation.facts.get(REVIEW_FAILED)) is not None:
        text = f"our own review failed ({failed}), and the contract ended without one: {ends}"
        return PolicyError("decision_failed", f"{text}; owed by it: {price}")
    if cancelled:
        return PolicyError("policy_denied", f"{cancelled}; the contract ended without a review: {ends}")
    early = ""
    if EARLY in conversation.facts:
        early = "; what ended it came before its time by our record, and our books object: see 'contract show'"
    differ = "".join(f"; the books differ in {one.explain()}" for one in books_differ(conversation.facts))
    text = f"the contract ended without a review: {ends}; owed by it: {price}"
    return PolicyError("upstream_failed", text + early + differ)


def _rejected(conversation: Conversation, review: Review, price: Price) -> VerificationError:
    """That what was delivered was not accepted, why, and what follows."""
    notes = sorted({criterion.note for criterion in review.criteria if criterion.note})
    missed = ", ".join(criterion.id for criterion in review.criteria if not criterion.met)
    why = conversation.facts.get("rejected") or ""
    notes += [code for code in ("too_large",) if why.startswith(code)]  # without criteria there are no notes
    code = next((code for code in ("digest_mismatch", "too_large") if code in notes), "evidence_invalid")
    found = why or (f"not met: {missed}" if missed else "")
    if (verifier := conversation.offered().terms.evidence.verifier) is not None:
        ours = f"our own check: {found}" if found else "our own check found nothing"
        found = f"by {verifier}, the verifier of the contract; {ours}"
    later = ""
    if (state := conversation.engagement.state) in ("closing", "disputed") and disputable(conversation):
        by = owed(conversation.engagement).by
        told = "its provider may put that before" if state == "closing" else "that is before"
        later = f"; {told} the arbiter until {by}: keep a peer running"
    owed_all_the_same = f"; owed {price}" if price.amount != "0" else ""
    return VerificationError(code, f"the delivery was rejected: {found}{owed_all_the_same}{later}")


def _ending(conversation: Conversation, ending: Ending) -> str:
    """What ended the contract, in words: of a ruling what it says, and not only its digest."""
    if ending.basis != "ruling":
        return f"{ending.basis} {ending.detail}".strip()
    ruling = read_ruling(conversation.last("Ruling", Ruling, ending.role).ruling)
    return f"the arbiter ruled {ruling.outcome.replace('_', ' ')} ({ruling.reasons})"


def _bounds(terms: Terms, delivery: Delivery) -> str:
    """What the work was bounded by, by the contract and the provider's own count. Its failure gives no reason, and this
    may be one: bytes of a deliverable, a limit that is used up.
    """
    used = {(one.clause, one.unit): one.amount for one in delivery.usage}
    told = [f"{item.name} has at most {item.max_bytes} bytes" for item in terms.deliverables if item.max_bytes]
    told += [
        f"{grant.id} is used up, {limit.explain()}"
        for grant in whole_scope(terms.scope).grants
        for limit in grant.limits
        if limit.per is None and compare_amounts(used.get((grant.id, limit.unit), "0"), limit.max) >= 0
    ]
    shown = "; ".join(told[:SHOWN_CLAUSES])
    return f"; by the contract: {shown}" if shown else ""


class _RefusedAction(msgspec.Struct, frozen=True):
    """Of a refusal that our gate noted: the clause that decided."""

    clause: str


async def _refusals(peer: Agent, engagement: EngagementId) -> str:
    """What our own gate said no to under the contract, by clause. A `Delivery` gives no reason for its failure, and
    this may be one: a term of ours that the work could not keep.
    """
    try:
        rows = await peer.ledger.rows(engagement)
    except LedgerError:
        return ""  # that the delivery is failed is said all the same
    facts = [msgspec.json.decode(row.raw, type=_RefusedAction) for row in rows if row.type == "refused-action"]
    clauses = ", ".join(sorted({fact.clause for fact in facts})[:SHOWN_CLAUSES])
    return f"; our own gate refused what it tried, by the clauses: {clauses}" if clauses else ""


def _cause(undecided: Event) -> str:
    return undecided.detail.removeprefix(f"{undecided.code}: ")


def _explains(undecided: Event, reason: str) -> bool:
    """Whether our `Withdraw` for this reason came of it. What is tried again ends a negotiation only as what could not
    be looked up; what is not tried again ends it at once.
    """
    if reason in ("status_unavailable", "decision_failed"):
        return True
    code = CODES.get(undecided.code)
    return reason in ("revoked", "policy_denied") and code is not None and not code.retryable


def not_hired(
    conversation: Conversation,
    refused: Problem | None,
    undecided: Event | None = None,
    decision: Decision | None = None,
) -> UndersignedError:
    """Why an engagement ended before a contract."""
    for role in ("provider", "hirer"):
        if conversation.said("Withdraw", role):
            withdraw = conversation.last("Withdraw", Withdraw, role)
            hint = hint_of(withdraw)
            same = ("offer_expired", "round_limit", "revoked", "status_unavailable")
            code = withdraw.reason if withdraw.reason in same else "policy_denied"
            if refused is not None and refused.code == DIVERGED:
                code, hint = DIVERGED, f"{hint}; {_went_back(refused, conversation)}"
            who, told = ("the provider", "") if role == "provider" else ("we", "")
            if refused is not None:  # the provider said so in either case
                after = "after refusing" if role == "provider" else "after the provider refused"
                told = f" {after} a message of ours ({refused.code})"
            full = conversation.facts.get("budget")
            asked = f"; by {no_room_in(full)}" if full is not None else ""
            if role == "hirer" and conversation.said("Offer", "provider"):
                price = conversation.offered().terms.price
                asked += f"; its last offer was {price}"
                most = order.ceiling if (order := order_in(conversation.facts)) is not None else price
                if withdraw.reason == "declined" and _above(price, most):
                    asked += f", and {most} is the most that was to be paid"
            if role == "provider" and (price := _asked_more(conversation, withdraw.reason)) is not None:
                asked += f"; it asks for {price}"
            ours = role == "hirer" and withdraw.reason == "policy_denied"
            if ours and decision is not None and decision.outcome == "deny":
                asked += f"; {decision.refusal}"
            elif role == "hirer" and undecided is not None and _explains(undecided, withdraw.reason):
                asked += f"; {_cause(undecided)}"
            engagement = conversation.engagement
            return PolicyError(
                code,
                f"{who} withdrew: {withdraw.reason}{told}{hint}{asked}",
                engagement=engagement.id,
                # The last move of whoever withdrew.
                withdrawal=(engagement.sent if engagement.role == role else engagement.got)[-1],
                needed=withdraw.needed or (),
                ours=role == "hirer",
            )
    if refused is not None:
        hint = f"; {_went_back(refused, conversation)}" if refused.code == DIVERGED else ""
        what = "the inquiry" if len(conversation.engagement.sent) <= 1 else "a message of ours"
        text = f"{conversation.engagement.peer} refused {what}: {refused.code}{hint}"
        return PolicyError(refused.code, text)
    return PolicyError("policy_denied", "the negotiation ended without a contract")


def _above(price: Price, most: Price) -> bool:
    """Whether that is why: a strategy of ours may decline for less, and for another reason."""
    return price.currency != most.currency or compare_amounts(price.amount, most.amount) > 0


def _asked_more(conversation: Conversation, reason: str) -> Price | None:
    """What the provider asks for, if our offer was in another currency, to which it has no answer but no, or less than
    that, and it says so in the same way.
    """
    if not conversation.said("Offer", "hirer"):
        return None
    terms = conversation.offered().terms
    for capability in conversation.last("Profile", Profile, "provider").capabilities:
        asked = asked_by(capability) if capability.get("task") == terms.task.kind else None
        if asked is None:
            continue
        if asked.currency != terms.price.currency:
            return asked
        if reason == "declined" and compare_amounts(terms.price.amount, asked.amount) < 0:
            return asked
    return None


def unclosed_by(event: Event, conversation: Conversation) -> LogProofError | None:
    """Why the books will not be closed by both, if one side does not take those of the other for its log."""
    if conversation.engagement.contract is None:
        return None
    if (event.kind, event.type, event.code) == ("refused", "Closing", DIVERGED):
        told = event.detail.removeprefix(DIVERGED).lstrip(": ")
        return LogProofError(DIVERGED, f"the provider's closing of the books was refused: {told}")
    if event.kind == "problem" and isinstance(event.message, Problem) and event.message.code == DIVERGED:
        move = conversation.move_of(event.message.of)
        what = "closing of the books" if isinstance(move, Closing) else move.type if move is not None else "word"
        why = _went_back(event.message, conversation)
        return LogProofError(DIVERGED, f"the provider does not take our {what}: {why}")
    return None


def _went_back(refused: Problem, conversation: Conversation) -> str:
    """Whose store went back, where the provider refused a move of ours with `ledger_diverged`. What says nothing of our
    log is refused for the move of its own that we have seen; of what does, the place tells, if it is named.
    """
    if (refused.path or "").startswith(("/head", "/checkpoint")):
        return _OURS_WENT_BACK
    move = conversation.move_of(refused.of)
    return _ONE_WENT_BACK if move is None or isinstance(move, OF_OUR_LOG) else _ITS_WENT_BACK


def hint_of(withdraw: Withdraw) -> str:
    """What to do about the no of the other side or of ours, to stand behind its reason; empty if that is not known."""
    needed = "; ".join(map(needed_text, withdraw.needed or ()))
    hint = f"; would change the answer: {needed}" if needed else ""
    return hint + (_HINTS.get(withdraw.reason, "") if withdraw.role == "provider" else "")


def needed_text(need: Need) -> str:
    """One need in words: `AccreditedByCredential about sbom from did:… or did:…, no older than P90D`."""
    text = need.credential or need.member or need.code
    if text == need.member != need.code:  # a place alone does not say what is wrong there
        text += f" ({need.code})"
    if need.code == "member":
        text = f"another {need.member} in the terms"
    if need.code == "reputation":
        text = f"more reputation, such as by {text}"
    if need.capability:
        text += f" about {need.capability}"
    if need.issuers:
        text += f" from {' or '.join(need.issuers)}"
    if need.after:
        text += f", free by {need.after}"
    return f"{text}, no older than {need.max_age}" if need.max_age else text
