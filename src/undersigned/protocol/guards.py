"""Guards: what a move must say besides being in its turn. One named function for each `check` of the tables.

A guard gets the engagement as it was, the move, and when it is judged; it returns nothing or raises `Refused`. Guards
that ask a clock ask ours only for what we judge: both sides must reach the same state, so a move that comes late is
taken all the same and gives its receiver a right (rules C8 and N5).

Source: protocol-spec/05-negotiation.md, sections 5.3 to 5.5, and 07-contract.md, sections 7.5 to 7.7
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, cast

from undersigned.contract import Place, Transcript, canonical_document, check_document
from undersigned.encoding import Digest, Instant, digest_bytes, digest_of, from_struct, parse_duration, shift
from undersigned.errors import ContractError
from undersigned.messages import (
    VERSIONS,
    Acceptance,
    Bid,
    Closing,
    Delivery,
    Inquiry,
    Offer,
    Presentation,
    Profile,
    Review,
    Seal,
    Start,
    Terminate,
    VerifiedMessage,
    Withdraw,
    engagement_id,
)
from undersigned.protocol.deadlines import passed, review_ends
from undersigned.protocol.engagement import Contract, Engagement, Essentials, Offered, Talks, chain_of
from undersigned.protocol.states import HIRER, OTHER, PROVIDER

__all__ = ["DEFAULT_SEAL_GRACE_SECONDS", "GUARDS", "Case", "Refused", "offered"]

DEFAULT_SEAL_GRACE_SECONDS: Final = 120
"""Where no document says it yet: what a sealed bid has to reach beyond `awardBy`."""


class Refused(Exception):
    """The move is not taken; `apply` turns it into the error of the side that made it."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Case(NamedTuple):
    """What a guard judges."""

    engagement: Engagement
    move: VerifiedMessage
    mine: bool
    at: Instant
    seen: int
    """How many moves of the receiving side the sender had recorded."""
    crossed: bool
    """Whether the sender had not seen all of them."""


def _expect(same: bool, code: str, what: str, expected: object, came: object) -> None:
    if not same:
        raise Refused(code, f"{what}: expected {expected}, came {came}")


def _talks(case: Case) -> Talks:
    talks = case.engagement.talks
    if talks is None:
        raise Refused("wrong_state", "nothing was opened yet")
    return talks


def _live(case: Case) -> Offered:
    offer = case.engagement.offer
    if offer is None:
        raise Refused("stale_offer", "no offer is live")
    return offer


def _contract(case: Case) -> Contract:
    contract = case.engagement.contract
    if contract is None:
        raise Refused("wrong_state", "there is no contract")
    return contract


# --- opening


def opens_engagement(case: Case) -> None:
    """The engagement's id belongs to these parties and nonce; a version of ours is among those offered."""
    engagement, move = case.engagement, cast(Inquiry, case.move.message)
    made = engagement_id(engagement.hirer, engagement.provider, move.nonce)
    _expect(made == engagement.id, "wrong_negotiation", "engagement of these parties and nonce", engagement.id, made)
    if not set(move.versions) & set(VERSIONS):
        raise Refused("version_not_supported", f"versions: expected one of {VERSIONS}, came {move.versions}")
    tender = move.tender
    if tender is not None:
        _expect(move.opens == PROVIDER, "schema_violation", "who opens in a tender", PROVIDER, move.opens)
        _expect(move.limits.rounds == 1, "schema_violation", "rounds of a tender", 1, move.limits.rounds)
        in_order = tender.bids_close <= tender.reveal_by <= tender.award_by
        _expect(in_order, "schema_violation", "order of the tender", "bidsClose, revealBy, awardBy", tender)


def echoes_and_picks(case: Case) -> None:
    """Nobody between us shortened a list, and what was chosen was offered."""
    talks, move = _talks(case), cast(Profile, case.move.message)
    inquiry = chain_of(case.engagement, HIRER)[-1]
    _expect(move.inquiry == inquiry, "wrong_negotiation", "the inquiry answered", inquiry, move.inquiry)
    for what, offered_list, echo, choice in (
        ("versions", talks.offered_versions, move.versions, move.version),
        ("suites", talks.offered_suites, move.suites, move.suite),
    ):
        _expect(offered_list == echo, "version_not_supported", f"echo of the {what} offered", offered_list, echo)
        _expect(choice in offered_list, "version_not_supported", f"choice among the {what}", offered_list, choice)


def answers_request(case: Case) -> None:
    """A presentation answers the move that asked, which is the other side's last."""
    move = cast(Presentation, case.move.message)
    asked = chain_of(case.engagement, OTHER[move.role])[-1]
    _expect(move.answers == asked, "challenge_mismatch", "the move that asked", asked, move.answers)


# --- bids and offers


def commits_in_time(case: Case) -> None:
    """A sealed bid, before `bidsClose` by the hirer's clock, that stands until the award can be sealed (T2 to T4)."""
    talks, move = _talks(case), cast(Bid, case.move.message)
    tender = talks.tender
    if tender is None or not tender.sealed:
        raise Refused("wrong_state", "provider sent Bid, and there is no sealed tender; legal here: Offer, Withdraw")
    if case.engagement.role == HIRER and case.at > tender.bids_close:
        raise Refused("offer_expired", f"bids closed at {tender.bids_close}; recorded at {case.at}")
    reach = shift(tender.award_by, DEFAULT_SEAL_GRACE_SECONDS)
    _expect(move.valid_until >= reach, "terms_mismatch", "the bid stands until", f"{reach} or later", move.valid_until)


def opens_commitment(case: Case) -> None:
    """The offer opens the bid, between `bidsClose` and `revealBy` by the hirer's clock."""
    talks, move = _talks(case), cast(Offer, case.move.message)
    tender = talks.tender
    if tender is None or talks.bid_until is None:
        raise Refused("wrong_state", "there is no bid to open")
    if case.engagement.role == HIRER and not tender.bids_close < case.at <= tender.reveal_by:
        raise Refused("offer_expired", f"bids open from {tender.bids_close} to {tender.reveal_by}; came at {case.at}")
    terms = from_struct(move.document.terms)
    opened = digest_of({"salt": move.salt, "terms": terms}) if move.salt is not None else None
    _expect(opened == talks.commitment, "terms_mismatch", "what salt and terms open", talks.commitment, opened)
    _expect(move.valid_until >= talks.bid_until, "terms_mismatch", "offer stands", talks.bid_until, move.valid_until)
    _binds(case, move, None)


def opens_bargaining(case: Case) -> None:
    """The first offer, by the side that the inquiry's `opens` names."""
    talks, move = _talks(case), cast(Offer, case.move.message)
    if talks.opens != move.role:
        raise Refused("wrong_party", f"{move.role} sent the first Offer; expected {talks.opens}, whom `opens` names")
    if talks.tender is not None and talks.tender.sealed:
        raise Refused("wrong_state", "provider sent Offer in a sealed tender; legal here: Bid, Withdraw")
    _binds(case, move, None)


def replies_to_live_offer(case: Case) -> None:
    """A counter-offer answers the live offer, while rounds are left; a tender has none."""
    move = cast(Offer, case.move.message)
    if _talks(case).tender is not None:
        raise Refused("wrong_state", f"{move.role} sent a counter-offer in a tender; legal here: Acceptance, Withdraw")
    _binds(case, move, _live(case).digest)


def _binds(case: Case, move: Offer, live: Digest | None) -> None:
    """What every offer has to say: which one it answers, in which round, and a document of this place and no other."""
    engagement, talks = case.engagement, _talks(case)
    _expect(move.in_reply_to == live, "stale_offer", "the live offer answered", live, move.in_reply_to)
    if talks.offers >= talks.rounds:
        raise Refused("round_limit", f"offer {talks.offers + 1} of {talks.rounds}; legal here: Acceptance, Withdraw")
    if case.mine and move.valid_until < case.at:
        raise Refused("offer_expired", f"an offer that ended at {move.valid_until}, made at {case.at}")
    document = move.document
    sent, seen = _place(move.sequence - 1, move.previous), _place(case.seen, move.seen)
    try:
        check_document(
            document,
            engagement=engagement.id,
            hirer=engagement.hirer,
            provider=engagement.provider,
            role=move.role,
            sequence=move.sequence,
            # The contract binds the negotiation that led to it, as the envelope of its offer states it.
            transcript=Transcript(hirer=sent, provider=seen)
            if move.role == HIRER
            else Transcript(hirer=seen, provider=sent),
        )
    except ContractError as exc:
        raise Refused(exc.code, exc.message) from None


def _place(sequence: int, digest: Digest | None) -> Place:
    if digest is None:
        raise Refused("wrong_state", "an offer before both sides have spoken")
    return Place(sequence=sequence, digest=digest)


def offered(move: VerifiedMessage) -> Offered:
    """What the fold keeps of an offer."""
    message = cast(Offer, move.message)
    terms = message.document.terms
    return Offered(
        owner=message.role,
        digest=move.digest,
        sequence=message.sequence,
        document=digest_bytes(canonical_document(message.document)),
        valid_until=message.valid_until,
        terms=Essentials(
            deadlines=terms.deadlines,
            seal_grace_seconds=parse_duration(terms.seal_grace),
            reworks=terms.reworks,
            convenience=terms.termination.convenience != "none",
            inputs=terms.task.inputs,
            criteria=tuple(criterion.id for item in terms.deliverables for criterion in item.criteria),
        ),
    )


# --- acceptance and its answer


def names_live_offer(case: Case) -> None:
    """An acceptance is of exactly one offer and one document (rules N2 and N9)."""
    live, move = _live(case), cast(Acceptance, case.move.message)
    _expect(move.offer == live.digest, "stale_offer", "the live offer", live.digest, move.offer)
    _expect(move.document == live.document, "terms_mismatch", "the live offer's document", live.document, move.document)


def names_acceptance(case: Case) -> None:
    """A seal is of exactly one acceptance, and an offerer does not seal one that it recorded late (rule N6)."""
    engagement, live, move = case.engagement, _live(case), cast(Seal, case.move.message)
    for what, expected, came in (
        ("offer sealed", live.digest, move.offer),
        ("document sealed", live.document, move.document),
        ("acceptance sealed", engagement.acceptance, move.acceptance),
    ):
        _expect(came == expected, "terms_mismatch", what, expected, came)
    if case.mine and engagement.accepted_late:
        raise Refused("offer_expired", f"the acceptance came after {live.valid_until}; legal here: Withdraw")


def answers_acceptance(case: Case) -> None:
    """After an acceptance only what the offerer cannot help is a reason; one that crossed it needed no such reason."""
    engagement, live, move = case.engagement, _live(case), cast(Withdraw, case.move.message)
    if case.crossed:
        return
    _expect(move.offer == live.digest, "stale_offer", "the offer withdrawn", live.digest, move.offer)
    allowed = ("offer_expired", "revoked", "status_unavailable")
    if move.reason not in allowed:
        raise Refused("wrong_state", f"withdrawal after an acceptance: expected {allowed}, came {move.reason}")
    if case.mine and move.reason == "offer_expired" and not engagement.accepted_late:
        raise Refused("wrong_state", f"the acceptance came in time, by {live.valid_until}; offer_expired is not true")


# --- contract


def _of_this(case: Case, named: Digest) -> Contract:
    contract = _contract(case)
    _expect(named == contract.digest, "conflicting_contract", "the contract", contract.digest, named)
    return contract


def names_contract(case: Case) -> None:
    """The move is about this contract."""
    _of_this(case, cast(Any, case.move.message).contract)


def starts_as_contracted(case: Case) -> None:
    """The inputs are those of the terms; we do not start too early or too late ourselves."""
    move = cast(Start, case.move.message)
    _of_this(case, move.contract)
    terms = _live(case).terms
    foreign = [given.digest for given in move.inputs if given.digest not in terms.inputs]
    _expect(not foreign, "terms_mismatch", "inputs", f"among {terms.inputs}", foreign)
    if case.mine:
        deadlines = terms.deadlines
        if deadlines.not_before is not None and case.at < deadlines.not_before:
            raise Refused("wrong_state", f"Start before {deadlines.not_before}, at {case.at}")
        if case.at > deadlines.start:
            raise Refused("contract_expired", f"Start after {deadlines.start}, at {case.at}; legal here: Cancel")


def delivers_round(case: Case) -> None:
    """The delivery is of this contract and of the round that is due."""
    move = cast(Delivery, case.move.message)
    contract = _of_this(case, move.contract)
    _expect(move.round == contract.round, "terms_mismatch", "round", contract.round, move.round)


def reviews_delivery(case: Case) -> None:
    """The review is of the delivery that waits for it, and answers every criterion once."""
    move, contract = cast(Review, case.move.message), _contract(case)
    _expect(move.delivery == contract.delivery, "terms_mismatch", "delivery", contract.delivery, move.delivery)
    criteria, answered = _live(case).terms.criteria, tuple(one.id for one in move.criteria)
    _expect(sorted(answered) == sorted(criteria), "terms_mismatch", "criteria answered", criteria, answered)


def asks_for_rework(case: Case) -> None:
    """Rework is asked for no more often than agreed."""
    reviews_delivery(case)
    contract, allowed = _contract(case), _live(case).terms.reworks
    if contract.round > allowed:
        raise Refused("round_limit", f"rework {contract.round} of {allowed}; legal here: accepted or rejected")


def closes_by_silence(case: Case) -> None:
    """The hirer's review is overdue by the provider's clock, and the provider has not seen one."""
    engagement, move = case.engagement, cast(Closing, case.move.message)
    contract = _contract(case)
    _expect(move.contract == contract.in_force, "conflicting_contract", "contract", contract.in_force, move.contract)
    _expect(move.delivery == contract.delivery, "terms_mismatch", "delivery", contract.delivery, move.delivery)
    if engagement.state != "delivered" and (case.mine or case.seen >= contract.review_sequence):
        raise Refused("wrong_state", f"closing by silence in {engagement.state}, after the Review was seen")
    ends = review_ends(engagement)
    if case.mine and ends is not None and case.at <= ends:
        raise Refused("wrong_state", f"closing by silence at {case.at}; the hirer may review until {ends}")


def closes_once(case: Case) -> None:
    """Each side closes once."""
    move, contract = cast(Closing, case.move.message), _contract(case)
    _expect(move.contract == contract.in_force, "conflicting_contract", "contract", contract.in_force, move.contract)
    if move.role in contract.closed_by:
        raise Refused("wrong_state", f"{move.role} sent a second Closing")


def cause_allowed(case: Case) -> None:
    """The contract allows this cause to this side. Whether a deadline passed is judged by its sender's clock alone."""
    engagement, move = case.engagement, cast(Terminate, case.move.message)
    contract, offer = _of_this(case, move.contract), _live(case)
    cause, role = move.cause, move.role
    if cause == "breach":
        raise Refused("wrong_state", "Terminate for a breach: none is open and past its cureBy")
    if cause == "no_ruling":
        raise Refused("wrong_state", "Terminate for no_ruling: there is no dispute")
    if cause == "unable" and role != PROVIDER:
        raise Refused("wrong_party", "hirer sent Terminate unable; only the provider may")
    if cause == "convenience" and not offer.terms.convenience:
        raise Refused("terms_mismatch", "Terminate for convenience: the terms state no notice and no fee")
    if cause == "late_seal":
        if role == offer.owner:
            raise Refused("wrong_party", f"{role} sent Terminate late_seal; only the acceptor may")
        if case.mine and not contract.late_seal:
            raise Refused("wrong_state", "Terminate late_seal: the seal came in time")
    if cause == "deadline" and case.mine and not passed(engagement, role, case.at):
        raise Refused("wrong_state", f"Terminate deadline at {case.at}: none that {role} waits for has passed")


GUARDS: Final[Mapping[str, Callable[[Case], None]]] = MappingProxyType(
    {
        check.__name__: check
        for check in (
            opens_engagement,
            echoes_and_picks,
            answers_request,
            commits_in_time,
            opens_commitment,
            opens_bargaining,
            replies_to_live_offer,
            names_live_offer,
            names_acceptance,
            answers_acceptance,
            names_contract,
            starts_as_contracted,
            delivers_round,
            reviews_delivery,
            asks_for_rework,
            closes_by_silence,
            closes_once,
            cause_allowed,
        )
    }
)
"""Every guard by the name that `tables.json` gives it."""
