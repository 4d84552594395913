"""Guards: what a move must say besides being in its turn. One named function for each `check` of the tables.

A guard gets the engagement as it was, the move, and when it is judged; it returns nothing or raises `Refused`. Guards
that ask a clock ask ours only for what we judge: both sides must reach the same state, so a move that comes late is
taken all the same and gives its receiver a right (rules C8 and N5). Here are those of the negotiation; `performance`
has those of the contract, `lane` those about documents on the table.

Source: protocol-spec/05-negotiation.md, sections 5.3 to 5.5, and 07-contract.md, sections 7.5 to 7.7
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, cast

from undersigned.contract import ContractDocument, canonical_document
from undersigned.encoding import Digest, digest_bytes, digest_of, from_struct, shift
from undersigned.messages import (
    Acceptance,
    Bid,
    Inquiry,
    Offer,
    Presentation,
    Profile,
    Seal,
    VerifiedMessage,
    Withdraw,
    engagement_id,
)
from undersigned.protocol.case import Case, Refused, check_offered, expect, live_of, talks_of, terms_of
from undersigned.protocol.engagement import Offered, chain_of
from undersigned.protocol.lane import accepts_document, seals_document, tables_document, withdraws_document
from undersigned.protocol.performance import (
    answers_open_request,
    asks_approval,
    asks_for_rework,
    cause_allowed,
    closes_by_silence,
    closes_once,
    delivers_round,
    leaves_time_to_cure,
    leaves_time_to_stop,
    may_dispute,
    names_contract,
    reviews_delivery,
    rules_after_all,
    rules_on_dispute,
    starts_as_contracted,
)
from undersigned.protocol.states import HIRER, OTHER

__all__ = ["GUARDS", "offered"]

DEFAULT_SEAL_GRACE_SECONDS: Final = 120
"""Where no document says it yet: what a sealed bid has to reach beyond `awardBy`."""


# --- opening


def opens_engagement(case: Case) -> None:
    """The engagement's id belongs to these parties and nonce. That a version of ours is offered says its envelope."""
    engagement, move = case.engagement, cast(Inquiry, case.move.message)
    made = engagement_id(engagement.hirer, engagement.provider, move.nonce)
    expect(made == engagement.id, "wrong_negotiation", "engagement of these parties and nonce", engagement.id, made)


def echoes_and_picks(case: Case) -> None:
    """Nobody between us shortened a list, and what was chosen was offered."""
    talks, move = talks_of(case), cast(Profile, case.move.message)
    inquiry = chain_of(case.engagement, HIRER)[-1]
    expect(move.inquiry == inquiry, "wrong_negotiation", "the inquiry answered", inquiry, move.inquiry)
    for what, offered_list, echo, choice in (
        ("versions", talks.offered_versions, move.versions, move.version),
        ("suites", talks.offered_suites, move.suites, move.suite),
    ):
        expect(offered_list == echo, "version_not_supported", f"echo of the {what} offered", offered_list, echo)
        expect(choice in offered_list, "version_not_supported", f"choice among the {what}", offered_list, choice)


def answers_request(case: Case) -> None:
    """A presentation answers the move that asked, which is the other side's last."""
    move = cast(Presentation, case.move.message)
    asked = chain_of(case.engagement, OTHER[move.role])[-1]
    expect(move.answers == asked, "challenge_mismatch", "the move that asked", asked, move.answers)


# --- bids and offers


def commits_in_time(case: Case) -> None:
    """A sealed bid, before `bidsClose` by the hirer's clock, that stands until the award can be sealed (T2 to T4)."""
    talks, move = talks_of(case), cast(Bid, case.move.message)
    tender = talks.tender
    if tender is None or not tender.sealed:
        raise Refused("wrong_state", "provider sent Bid, and there is no sealed tender; legal here: Offer, Withdraw")
    if case.engagement.role == HIRER and case.at > tender.bids_close:
        raise Refused("offer_expired", f"bids closed at {tender.bids_close}; recorded at {case.at}")
    reach = shift(tender.award_by, DEFAULT_SEAL_GRACE_SECONDS)
    expect(move.valid_until >= reach, "terms_mismatch", "the bid stands until", f"{reach} or later", move.valid_until)


def opens_commitment(case: Case) -> None:
    """The offer opens the bid, between `bidsClose` and `revealBy` by the hirer's clock."""
    talks, move = talks_of(case), cast(Offer, case.move.message)
    tender = talks.tender
    if tender is None or talks.bid_until is None:
        raise Refused("wrong_state", "there is no bid to open")
    if case.engagement.role == HIRER and not tender.bids_close < case.at <= tender.reveal_by:
        raise Refused("offer_expired", f"bids open from {tender.bids_close} to {tender.reveal_by}; came at {case.at}")
    _binds(case, move, None)
    terms = from_struct(cast(ContractDocument, move.document).terms)
    opened = digest_of({"salt": move.salt, "terms": terms}) if move.salt is not None else None
    expect(opened == talks.commitment, "terms_mismatch", "what salt and terms open", talks.commitment, opened)
    expect(move.valid_until >= talks.bid_until, "terms_mismatch", "offer stands", talks.bid_until, move.valid_until)


def opens_bargaining(case: Case) -> None:
    """The first offer, by the side that the inquiry's `opens` names."""
    talks, move = talks_of(case), cast(Offer, case.move.message)
    if talks.opens != move.role:
        raise Refused("wrong_party", f"{move.role} sent the first Offer; expected {talks.opens}, whom `opens` names")
    if talks.tender is not None and talks.tender.sealed:
        raise Refused("wrong_state", "provider sent Offer in a sealed tender; legal here: Bid, Withdraw")
    _binds(case, move, None)


def replies_to_live_offer(case: Case) -> None:
    """A counter-offer answers the live offer, while rounds are left; a tender has none."""
    move = cast(Offer, case.move.message)
    if talks_of(case).tender is not None:
        raise Refused("wrong_state", f"{move.role} sent a counter-offer in a tender; legal here: Acceptance, Withdraw")
    _binds(case, move, live_of(case).digest)


def _binds(case: Case, move: Offer, live: Digest | None) -> None:
    """What every offer has to say: which one it answers, in which round, and a document of this place and no other."""
    talks = talks_of(case)
    expect(move.in_reply_to == live, "stale_offer", "the live offer answered", live, move.in_reply_to)
    if talks.offers >= talks.rounds:
        raise Refused("round_limit", f"offer {talks.offers + 1} of {talks.rounds}; legal here: Acceptance, Withdraw")
    if case.mine and move.valid_until < case.at:
        raise Refused("offer_expired", f"an offer that ended at {move.valid_until}, made at {case.at}")
    check_offered(case, move)


def offered(move: VerifiedMessage) -> Offered:
    """What the fold keeps of an offer."""
    message = cast(Offer, move.message)
    document = cast(ContractDocument, message.document)  # the guard saw that it makes a contract
    return Offered(
        owner=message.role,
        digest=move.digest,
        sequence=message.sequence,
        document=digest_bytes(canonical_document(document)),
        valid_until=message.valid_until,
        terms=terms_of(document),
    )


# --- acceptance and its answer


def names_live_offer(case: Case) -> None:
    """An acceptance is of exactly one offer and one document (rules N2 and N9), right behind that offer: else nobody
    without the journal would take what is sealed for a contract (HIRE-CTR-10).
    """
    live, move = live_of(case), cast(Acceptance, case.move.message)
    expect(move.offer == live.digest, "stale_offer", "the live offer", live.digest, move.offer)
    expect(move.document == live.document, "terms_mismatch", "the live offer's document", live.document, move.document)
    expect(move.seen == live.digest, "terms_mismatch", "the last move seen, the offer", live.digest, move.seen)


def names_acceptance(case: Case) -> None:
    """A seal is of exactly one acceptance, and an offerer does not seal one that it recorded late (rule N6)."""
    engagement, live, move = case.engagement, live_of(case), cast(Seal, case.move.message)
    for what, expected, came in (
        ("offer sealed", live.digest, move.offer),
        ("document sealed", live.document, move.document),
        ("acceptance sealed", engagement.acceptance, move.acceptance),
        ("the last move seen, the acceptance", engagement.acceptance, move.seen),
    ):
        expect(came == expected, "terms_mismatch", what, expected, came)
    if case.mine and engagement.accepted_late:
        raise Refused("offer_expired", f"the acceptance came after {live.valid_until}; legal here: Withdraw")


def answers_acceptance(case: Case) -> None:
    """After an acceptance only what the offerer cannot help is a reason; one that crossed it needed no such reason."""
    engagement, live, move = case.engagement, live_of(case), cast(Withdraw, case.move.message)
    if case.crossed:
        return
    expect(move.offer == live.digest, "stale_offer", "the offer withdrawn", live.digest, move.offer)
    allowed = ("offer_expired", "revoked", "status_unavailable")
    if move.reason not in allowed:
        raise Refused("wrong_state", f"withdrawal after an acceptance: expected {allowed}, came {move.reason}")
    if case.mine and move.reason == "offer_expired" and not engagement.accepted_late:
        raise Refused("wrong_state", f"the acceptance came in time, by {live.valid_until}; offer_expired is not true")


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
            asks_approval,
            answers_open_request,
            leaves_time_to_cure,
            leaves_time_to_stop,
            may_dispute,
            rules_after_all,
            rules_on_dispute,
            tables_document,
            accepts_document,
            seals_document,
            withdraws_document,
        )
    }
)
"""Every guard by the name that `tables.json` gives it."""
