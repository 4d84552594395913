"""Guards of the contract: what its moves must say while it is performed, disputed and closed.

Source: protocol-spec/07-contract.md, sections 7.5 to 7.9 and 7.11
"""

from __future__ import annotations

from typing import Any, Final, cast

from undersigned.contract import read_ruling
from undersigned.encoding import digest_of, from_struct, parse_duration, shift
from undersigned.errors import FormatError
from undersigned.messages import (
    Approval,
    ApprovalRequest,
    Breach,
    Cancel,
    Closing,
    Delivery,
    Dispute,
    Review,
    Ruling,
    Start,
    Terminate,
)
from undersigned.protocol.case import Case, Refused, contract_of, expect, in_force, knows, live_of, of_this
from undersigned.protocol.deadlines import BREACH_SECONDS, passed, review_ends
from undersigned.protocol.engagement import Contract
from undersigned.protocol.states import HIRER, PROVIDER

__all__ = [
    "LONGEST_RULING_SECONDS",
    "MAX_OPEN",
    "answers_open_request",
    "asks_approval",
    "asks_for_rework",
    "cause_allowed",
    "closes_by_silence",
    "closes_once",
    "delivers_round",
    "leaves_time_to_cure",
    "leaves_time_to_stop",
    "may_dispute",
    "names_contract",
    "reviews_delivery",
    "rules_after_all",
    "rules_on_dispute",
    "starts_as_contracted",
]

MAX_OPEN: Final = 64
"""Requests for approval that may be open at a time, and breaches that one side may claim."""

RULING_SECONDS: Final = 24 * 3600
"""Least time that a `Dispute` leaves its arbiter."""
LONGEST_RULING_SECONDS: Final = 180 * 24 * 3600
"""How long an arbiter is waited for at most, whatever a `Dispute` says: who wrote it may mean it never to end."""


def names_contract(case: Case) -> None:
    """The move is about this contract."""
    of_this(case, cast(Any, case.move.message).contract)


def starts_as_contracted(case: Case) -> None:
    """The inputs are those of the terms; we do not start too early or too late ourselves."""
    move = cast(Start, case.move.message)
    of_this(case, move.contract)
    terms = live_of(case).terms
    allowed = {digest for one in in_force(case) for digest in one.terms.inputs}
    foreign = [given.digest for given in move.inputs if given.digest not in allowed]
    expect(not foreign, "terms_mismatch", "inputs", f"among {sorted(allowed)}", foreign)
    if case.mine:
        deadlines = terms.deadlines
        if deadlines.not_before is not None and case.at < deadlines.not_before:
            raise Refused("wrong_state", f"Start before {deadlines.not_before}, at {case.at}")
        if case.at > deadlines.start:
            raise Refused("contract_expired", f"Start after {deadlines.start}, at {case.at}; legal here: Cancel")


def leaves_time_to_stop(case: Case) -> None:
    """It is about this contract, and leaves the time agreed on to stop in order, as its sender judges."""
    move = cast(Cancel, case.move.message)
    of_this(case, move.contract)
    least = shift(case.at, parse_duration(live_of(case).terms.deadlines.wind_down))
    if case.mine and move.wind_down < least:
        raise Refused("terms_mismatch", f"a wind-down by {move.wind_down} is too soon: the terms leave until {least}")


def delivers_round(case: Case) -> None:
    """The delivery is of this contract and of the round that is due."""
    move = cast(Delivery, case.move.message)
    contract = of_this(case, move.contract)
    expect(move.round == contract.round, "terms_mismatch", "round", contract.round, move.round)


def reviews_delivery(case: Case) -> None:
    """The review is of the delivery that waits for it, and answers every criterion once."""
    move, contract = cast(Review, case.move.message), contract_of(case)
    expect(move.delivery == contract.delivery, "terms_mismatch", "delivery", contract.delivery, move.delivery)
    answered = tuple(sorted(one.id for one in move.criteria))
    criteria = [tuple(sorted(one.terms.criteria)) for one in in_force(case)]
    expect(answered in criteria, "terms_mismatch", "criteria answered", criteria[0], answered)


def asks_for_rework(case: Case) -> None:
    """Rework is asked for no more often than agreed."""
    reviews_delivery(case)
    contract, allowed = contract_of(case), max(one.terms.reworks for one in in_force(case))
    if contract.round > allowed:
        raise Refused("round_limit", f"rework {contract.round} of {allowed}; legal here: accepted or rejected")


def closes_by_silence(case: Case) -> None:
    """The hirer's review is overdue by the provider's clock, and the provider has not seen one."""
    engagement, move = case.engagement, cast(Closing, case.move.message)
    contract = contract_of(case)
    _expect_in_force(case, contract, move)
    if engagement.state != "delivered" and (case.mine or case.seen >= contract.review_sequence):
        raise Refused("wrong_state", f"closing by silence in {engagement.state}; no delivery waits for its review")
    expect(move.delivery == contract.delivery, "terms_mismatch", "delivery", contract.delivery, move.delivery)
    ends = review_ends(engagement)
    if case.mine and ends is not None and case.at <= ends:
        raise Refused("wrong_state", f"closing by silence at {case.at}; the hirer may review until {ends}")


def closes_once(case: Case) -> None:
    """Each side closes once."""
    move, contract = cast(Closing, case.move.message), contract_of(case)
    _expect_in_force(case, contract, move)
    if move.role in contract.closed_by:
        raise Refused("wrong_state", f"{move.role} sent a second Closing")


def cause_allowed(case: Case) -> None:
    """The contract allows this cause to this side. Whether a deadline passed is judged by its sender's clock alone."""
    engagement, move = case.engagement, cast(Terminate, case.move.message)
    contract, offer = of_this(case, move.contract), live_of(case)
    cause, role = move.cause, move.role
    if (cause == "no_ruling") != (engagement.state == "disputed"):
        raise Refused("wrong_state", f"Terminate {cause} in {engagement.state}; no_ruling ends a dispute, nothing else")
    if cause == "no_ruling" and case.mine and case.at <= (contract.ruling_by or ""):
        raise Refused("wrong_state", f"Terminate no_ruling: the arbiter may rule until {contract.ruling_by}")
    if cause == "breach":
        _after_breach(case, contract, move)
    if cause == "unable" and role != PROVIDER:
        raise Refused("wrong_party", "hirer sent Terminate unable; only the provider may")
    if cause == "parent" and role != HIRER:
        raise Refused("wrong_party", "provider sent Terminate parent; only the hirer of a subcontract may")
    if cause == "parent" and offer.terms.parent is None:
        raise Refused("terms_mismatch", "Terminate parent: the contract stands under none")
    if cause == "convenience" and not any(one.terms.convenience for one in in_force(case)):
        raise Refused("terms_mismatch", "Terminate for convenience: the terms state no notice and no fee")
    if cause == "late_seal":
        if role == offer.owner:
            raise Refused("wrong_party", f"{role} sent Terminate late_seal; only the acceptor may")
        if case.mine and not contract.late_seal:
            raise Refused("wrong_state", "Terminate late_seal: the seal came in time")
    if cause == "deadline" and case.mine and not passed(engagement, role, case.at):
        raise Refused("wrong_state", f"Terminate deadline at {case.at}: none that {role} waits for has passed")


def _after_breach(case: Case, contract: Contract, move: Terminate) -> None:
    """It names a breach that its sender claimed; that it was not cured in time is judged by that side alone."""
    breach = next((one for one in contract.breaches if (one.move, one.role) == (move.names, move.role)), None)
    if breach is None:
        raise Refused("wrong_state", f"Terminate for a breach: {move.role} claimed none that is {move.names}")
    last = shift(breach.cure_by, BREACH_SECONDS)
    if case.mine and not breach.cure_by < case.at <= last:
        raise Refused("wrong_state", f"Terminate for a breach: after {breach.cure_by}, to {last}; it is {case.at}")


# --- approvals, breaches, disputes


def asks_approval(case: Case) -> None:
    """A question about this contract, which says what would be done as its digest does, while not too many are open."""
    move = cast(ApprovalRequest, case.move.message)
    contract, told = of_this(case, move.contract), move.details
    if told is not None:
        expect(digest_of(from_struct(told)) == move.arguments, "digest_mismatch", "details", move.arguments, told)
        expect(told.action == move.action, "digest_mismatch", "action in the details", move.action, told.action)
    if len(contract.open_requests()) >= MAX_OPEN:
        raise Refused("round_limit", f"{MAX_OPEN} requests for approval are open; legal here: their answers")


def answers_open_request(case: Case) -> None:
    """The answer to one question, once."""
    move, contract = cast(Approval, case.move.message), contract_of(case)
    asked = next((one for one in contract.open_requests() if one.move == move.request), None)
    if asked is None:
        raise Refused("wrong_state", f"hirer sent Approval of {move.request}, which is no open request")
    if case.mine and move.granted and case.at > asked.answer_by:
        raise Refused("wrong_state", f"Approval at {case.at} of what was to be answered by {asked.answer_by}: it is no")


def leaves_time_to_cure(case: Case) -> None:
    """A claim about a clause of this contract that leaves the time that was agreed; how much it left is judged by who
    makes it.
    """
    move = cast(Breach, case.move.message)
    contract = of_this(case, move.contract)
    if not any(move.clause in one.terms.clauses for one in in_force(case)):
        known = ", ".join(sorted(live_of(case).terms.clauses))
        raise Refused("terms_mismatch", f"a breach of {move.clause!a:.80}; the clauses are {known}")
    if len([one for one in contract.breaches if one.role == move.role]) >= MAX_OPEN:
        raise Refused("round_limit", f"{move.role} has claimed {MAX_OPEN} breaches; legal here: Terminate, Dispute")
    least = shift(case.at, live_of(case).terms.cure_seconds)
    if case.mine and move.cure_by < least:
        raise Refused("terms_mismatch", f"a cure by {move.cure_by} is too soon: the terms leave until {least}")


def may_dispute(case: Case) -> None:
    """The first dispute of a contract that names an arbiter, by a side that has not closed its books."""
    move = cast(Dispute, case.move.message)
    contract = of_this(case, move.contract)
    if all(one.terms.arbiter is None for one in in_force(case)):
        raise Refused("terms_mismatch", "Dispute: the terms name no arbiter")
    if contract.disputes or contract.released or move.role in contract.closed_by:
        raise Refused("wrong_state", "Dispute: only the first, before a release, and before the own Closing")
    least = shift(case.at, RULING_SECONDS)
    if case.mine and move.ruling_by < least:
        raise Refused("terms_mismatch", f"a ruling by {move.ruling_by}; the arbiter is left until {least}")
    longest = shift(case.at, LONGEST_RULING_SECONDS)
    if case.mine and move.ruling_by > longest:
        raise Refused(
            "terms_mismatch", f"a ruling by {move.ruling_by}; it is waited for until {longest}, and no longer"
        )


def rules_on_dispute(case: Case) -> None:
    """The arbiter's document is about this contract and a dispute of it. Whose proof it bears is checked beside it."""
    move, contract = cast(Ruling, case.move.message), contract_of(case)
    named = [mark.digest for mark in contract.disputes]
    expect(move.dispute in named, "terms_mismatch", "the dispute ruled on", named, move.dispute)
    try:
        ruling = read_ruling(move.ruling)
    except FormatError as exc:
        raise Refused(exc.code, exc.message, f"/ruling{exc.path}") from None
    expect(ruling.dispute == move.dispute, "terms_mismatch", "dispute in the ruling", move.dispute, ruling.dispute)
    expect(ruling.contract == contract.digest, "conflicting_contract", "contract", contract.digest, ruling.contract)


def rules_after_all(case: Case) -> None:
    """A dispute ended without a ruling, and here it is: by a side that knows of no ruling or release and has not closed
    its books, so that none comes once all is closed.
    """
    contract, role = contract_of(case), case.move.message.role
    decided = {ending.move for ending in contract.endings if ending.basis in ("ruling", "release")}
    known = knows(case, tuple([mark for mark in contract.resolved if mark.digest in decided]))
    if known and contract.disputes:
        raise Refused("wrong_state", f"{role} sent Ruling: the dispute has ended, by a ruling or a release")
    if known or not contract.disputes or role in contract.closed_by:
        raise Refused("wrong_state", f"{role} sent Ruling: no dispute of before its Closing ended for want of one")
    rules_on_dispute(case)


# --- what is in force


def _expect_in_force(case: Case, contract: Contract, move: Closing) -> None:
    """Books name what is in force. What is owed is of its price, unless a ruling or a release says it in another
    currency (HIRE-PAY-04).
    """
    known, came = in_force(case), move.settlement.currency
    named = [one.digest for one in known]
    expect(move.contract in named, "conflicting_contract", "the document in force", named[0], move.contract)
    allowed = [*[one.terms.currency for one in known], *contract.owed_in]
    expect(came in allowed, "terms_mismatch", "currency of what is owed", allowed[0], came)
