"""What a move that applies adds to the engagement besides its state. One function for each type that adds something.

Source: protocol-spec/05-negotiation.md, section 5.2, and 07-contract.md, section 7.5
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias, cast

from msgspec.structs import replace

from undersigned.encoding import Digest, Instant, digest_of, parse_duration, seconds_between, shift
from undersigned.messages import (
    Approval,
    ApprovalRequest,
    Bid,
    Breach,
    Cancel,
    Dispute,
    Inquiry,
    Profile,
    Review,
    Ruling,
    Suspend,
    Withdraw,
)
from undersigned.protocol.case import Case, in_force, knows, may_rule
from undersigned.protocol.engagement import Asking, Breached, Contract, Ending, Engagement, Mark, Talks
from undersigned.protocol.guards import offered
from undersigned.protocol.performance import LONGEST_RULING_SECONDS
from undersigned.protocol.states import PROVIDER

__all__ = ["FACTS_OF", "Changes", "void_facts"]

Changes: TypeAlias = dict[str, Any]
"""Members of the engagement that take new values."""


def _inquiry(case: Case) -> Changes:
    move = cast(Inquiry, case.move.message)
    return {
        "talks": Talks(
            opens=move.opens,
            rounds=move.limits.rounds,
            bytes=move.limits.bytes,
            respond_by=move.respond_by,
            closes_at=move.closes_at,
            tender=move.tender,
            offered_versions=move.versions,
            offered_suites=move.suites,
        )
    }


def _profile(case: Case) -> Changes:
    move = cast(Profile, case.move.message)
    chosen = {"version": move.version, "suite": move.suite, "respond_by": move.respond_by}
    return {"talks": replace(_talks(case), offered_versions=(), offered_suites=(), **chosen)}


def _bid(case: Case) -> Changes:
    move, engagement = cast(Bid, case.move.message), case.engagement
    talks = replace(_talks(case), bid=case.move.digest, commitment=move.commitment, bid_until=move.valid_until)
    return {"talks": talks, "reserved": _reserved(engagement, case, case.move.digest)}


def _offer(case: Case) -> Changes:
    talks = _talks(case)
    return {
        "talks": replace(talks, offers=talks.offers + 1),
        "offer": offered(case.move),
        "reserved": _reserved(case.engagement, case, case.move.digest),
    }


def _acceptance(case: Case) -> Changes:
    engagement, offer = case.engagement, case.engagement.offer
    if offer is None:
        raise AssertionError("the guard saw a live offer")
    return {
        "acceptance": case.move.digest,
        # Only the offerer's clock judges, when it records; the acceptor has no say in it.
        "accepted_late": not case.mine and case.at > offer.valid_until,
        "reserved": _reserved(engagement, case, offer.digest),
    }


def _seal(case: Case) -> Changes:
    offer = case.engagement.offer
    if offer is None:
        raise AssertionError("the guard saw a live offer")
    late = not case.mine and case.at > shift(offer.valid_until, offer.terms.seal_grace_seconds)
    contract = Contract(digest=offer.document, in_force=offer.document, sealed_at=case.at, late_seal=late)
    return {"contract": contract, "reserved": _add(case.engagement.reserved, offer.digest)}


def _withdraw(case: Case) -> Changes:
    return {"ended": cast(Withdraw, case.move.message).reason}


def _start(case: Case) -> Changes:
    contract, digest = _contract(case), case.move.digest
    return _under(
        replace(
            contract,
            start=digest,
            began=digest,
            works_from=_earliest(case),
            due=_deadlines(case).finish,
            heard_at=case.at,
            missed=_missed(case, contract, "start", _deadlines(case).start),
        )
    )


def _asks(case: Case) -> Changes:
    contract, move = _contract(case), cast(ApprovalRequest, case.move.message)
    asking = Asking(case.move.digest, move.clause, move.action, move.arguments, move.answer_by)
    return _under(replace(contract, asked=(*contract.asked, asking)))


def _approval(case: Case) -> Changes:
    contract, move = _contract(case), cast(Approval, case.move.message)
    # What was refused is over; so is what was granted too late by the clock of the side that waited (HIRE-LIF-19).
    asked = tuple(
        replace(one, uses=move.uses, until=move.until) if one.move == move.request else one
        for one in contract.asked
        if one.move != move.request or (move.granted and (case.mine or case.at <= one.answer_by))
    )
    return _under(replace(contract, asked=asked))


def _suspend(case: Case) -> Changes:
    contract, message = _contract(case), cast(Suspend, case.move.message)
    return _under(replace(contract, suspensions=(*contract.suspensions, (message.sequence, message.until))))


def _resume(case: Case) -> Changes:
    """What is due moves by the time suspended, which each side measures by its own clock (decision 0201)."""
    contract, since = _contract(case), case.engagement.since
    due = contract.due
    if due is not None and since is not None:
        due = shift(due, seconds_between(since, case.at))
    return _under(replace(contract, due=due, heard_at=case.at, works_from=_earliest(case)))


def _breach(case: Case) -> Changes:
    contract, move = _contract(case), cast(Breach, case.move.message)
    claimed = Breached(move.role, case.move.digest, move.clause, move.cure_by)
    return _under(replace(contract, breaches=(*contract.breaches, claimed)))


def _dispute(case: Case) -> Changes:
    # Books that were closed before are closed again, by what the dispute comes to.
    return _under(replace(_disputed(case), closed_by=()))


def _disputed(case: Case) -> Contract:
    contract, move = _contract(case), cast(Dispute, case.move.message)
    by = max(contract.ruling_by or "", min(move.ruling_by, shift(case.at, LONGEST_RULING_SECONDS)))
    named = [one.terms.arbiter for one in reversed(in_force(case))]
    return replace(
        contract,
        disputes=(*contract.disputes, _mark(case)),
        arbiters=may_rule(contract.arbiters, *named),
        ruling_by=by,
    )


def _ruling(case: Case) -> Changes:
    return _under(replace(_with_ending(case), resolved=(*_contract(case).resolved, _mark(case))))


def _mark(case: Case) -> Mark:
    return Mark(case.move.message.role, case.move.message.sequence, case.move.digest)


def void_facts(case: Case) -> Changes:
    """What is kept of a move that crossed another and moves nothing: how its sender wanted to end it, that it disputed
    it too, or another way out of a dispute, so that its sender's `Closing` counts.
    """
    contract, kind = _contract(case), case.move.message.type
    if kind == "Dispute":
        disputed = _disputed(case)
        if contract.released:  # which has ended it, and a ruling on it may be under way
            disputed = replace(disputed, resolved=(*contract.resolved, contract.released))
        return _under(disputed)
    changed = _with_ending(case)
    ends = case.engagement.state == "closing" and kind in ("Terminate", "Ruling")
    if ends and contract.disputes and knows(case, contract.disputes):
        changed = replace(changed, resolved=(*contract.resolved, _mark(case)))
    return _under(changed)


def _cancel(case: Case) -> Changes:
    return _under(replace(_contract(case), due=cast(Cancel, case.move.message).wind_down))


def _delivery(case: Case) -> Changes:
    contract = _contract(case)
    name = "windDown" if case.engagement.state == "cancelling" else "finish"
    return _under(
        replace(
            contract,
            delivery=case.move.digest,
            delivered_from=_earliest(case),
            delivered_under=tuple([one.offered for one in reversed(in_force(case))]),
            missed=_missed(case, contract, name, contract.due or _deadlines(case).finish),
        )
    )


def _review(case: Case) -> Changes:
    contract, move = _contract(case), cast(Review, case.move.message)
    if move.verdict != "rework":
        return _ends(case)
    return _under(
        replace(
            contract,
            round=contract.round + 1,
            began=case.move.digest,
            works_from=_earliest(case),
            review_sequence=move.sequence,
            # As its sender has it, who had not seen our seal, or had: the same time for both.
            due=shift(case.at, parse_duration(in_force(case)[-1].terms.deadlines.rework)),
            heard_at=case.at,
            cursor=None,
        )
    )


def _closing(case: Case) -> Changes:
    contract = _with_ending(case)
    return _under(replace(contract, closed_by=(*contract.closed_by, case.move.message.role)))


def _ends(case: Case) -> Changes:
    contract = _with_ending(case)
    if case.engagement.state == "disputed":
        contract = replace(contract, resolved=(*contract.resolved, _mark(case)))
    return _under(contract)


def _with_ending(case: Case) -> Contract:
    contract, ending = _contract(case), _ending_of(case)
    if ending is None:
        return contract
    move = case.move.message
    if isinstance(move, Ruling):
        contract = replace(contract, owed_in=(*contract.owed_in, str(move.ruling["currency"])))
    return replace(contract, endings=(*contract.endings, ending))


def _ending_of(case: Case) -> Ending | None:
    """What this move says about how the contract ends; None if nothing.

    Endings of both sides count, also those that crossed another and moved nothing. By silence closes who still waited
    for the review, which its `seen` says; what else of ours it had not seen takes no part in that.
    """
    message: Any = case.move.message
    waited = case.state == "delivered" and message.role == PROVIDER
    match message.type:
        case "Terminate":
            basis, detail = "terminate", message.cause
        case "Ruling":
            basis, detail = "ruling", digest_of(message.ruling)
        case "Review" if message.verdict != "rework":
            basis, detail = "review", message.verdict
        case "Closing" if message.basis == "silence" and waited:
            basis, detail = "silence", ""
        case _:
            return None
    return Ending(basis=basis, role=message.role, move=case.move.digest, detail=detail)


FACTS_OF: Final[Mapping[str, Callable[[Case], Changes]]] = MappingProxyType(
    {
        "Inquiry": _inquiry,
        "Profile": _profile,
        "Bid": _bid,
        "Offer": _offer,
        "Acceptance": _acceptance,
        "Seal": _seal,
        "Withdraw": _withdraw,
        "Start": _start,
        "ApprovalRequest": _asks,
        "Approval": _approval,
        "Suspend": _suspend,
        "Resume": _resume,
        "Breach": _breach,
        "Dispute": _dispute,
        "Ruling": _ruling,
        "Cancel": _cancel,
        "Delivery": _delivery,
        "Review": _review,
        "Closing": _closing,
        "Terminate": _ends,
    }
)
"""Type to function; a `Presentation` adds nothing. `lane` has those of moves about a document under a contract."""


def _under(contract: Contract) -> Changes:
    return {"contract": contract}


def _talks(case: Case) -> Talks:
    if case.engagement.talks is None:
        raise AssertionError("the guard saw an opened engagement")
    return case.engagement.talks


def _contract(case: Case) -> Contract:
    if case.engagement.contract is None:
        raise AssertionError("the guard saw a contract")
    return case.engagement.contract


def _deadlines(case: Case) -> Any:
    if case.engagement.offer is None:
        raise AssertionError("a contract has an offer")
    return case.engagement.offer.terms.deadlines


def _earliest(case: Case) -> Instant:
    """Since when its sender may count from this move: it may have been long under way before we recorded it."""
    proof = case.move.message.proof
    return min(case.at, proof.created) if proof is not None else case.at


def _missed(case: Case, contract: Contract, name: str, by: Instant) -> tuple[str, ...]:
    """The side that waits judges, when it records: a late move is taken, and gives the right to `Terminate`."""
    return (*contract.missed, name) if not case.mine and case.at > by else contract.missed


def _reserved(engagement: Engagement, case: Case, digest: Digest) -> tuple[Digest, ...]:
    return _add(engagement.reserved, digest) if case.mine else engagement.reserved


def _add(reserved: tuple[Digest, ...], digest: Digest) -> tuple[Digest, ...]:
    return reserved if digest in reserved else (*reserved, digest)
