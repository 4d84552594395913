"""Vectors of histories: the messages so far, one more, and the state after it or the code it is refused with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from example_messages import conversation
from example_parties import (
    BEGIN,
    ENGAGEMENT,
    HIRER,
    PROVIDER,
    SUITE,
    Talk,
    contract,
    nonce,
    presentation,
    proof_on,
    statement,
)
from vector_parts import Vector, changed, resigned, signers

from undersigned.attestation import accepted
from undersigned.contract import Milestone, Settlement
from undersigned.encoding import Digest, canonicalize, digest_bytes, digest_of, shift
from undersigned.messages import (
    Acceptance,
    Cancel,
    CriterionVerdict,
    Delivery,
    Inquiry,
    Limits,
    Message,
    Offer,
    Presentation,
    PresentationRequest,
    Profile,
    Receipt,
    Review,
    Start,
    Terminate,
    VerifiedMessage,
    Withdraw,
    decode_message,
    engagement_id,
)

__all__ = ["as_json", "journal", "journal_vectors", "ready", "rework", "second_round", "talk_after", "up_to"]

# A hire's messages in order; `up_to(name)` are those before and with `name`.
ORDER = (
    *("inquiry", "profile", "presentation-hirer", "presentation-provider", "offer", "offer-counter"),
    *("receipt-waiting", "acceptance", "seal", "receipt-inclusion", "start", "progress", "progress-bare"),
    *("delivery", "review", "closing-hirer", "closing-provider"),
)


def journal_vectors() -> Iterator[Vector]:
    """All of them."""
    yield from _whole()
    yield from _chain()
    yield from _opening()
    yield from _agreeing()
    yield from _working()


def up_to(name: str, suite: str = SUITE) -> list[dict[str, Any]]:
    said = conversation(suite)
    return [json.loads(said[each].raw) for each in ORDER[: ORDER.index(name) + 1]]


def talk_after(name: str) -> Talk:
    """Both chains as they stand after a message of the hire, to go on differently from there."""
    said = conversation()
    talk = Talk()
    for each in ORDER[: ORDER.index(name) + 1]:
        talk.count += 1
        if not said[each].message.notice:
            talk.moves[said[each].message.role].append(said[each])
    talk.count += 100  # so that ids and times are not those of the hire
    return talk


def at_of(message: dict[str, Any]) -> str:
    return message["proof"]["created"]


def journal(name: str, says: str, before: list[dict[str, Any]], message: dict[str, Any], **expected: Any) -> Vector:
    """A message as a side sees it (`view`), by default the one that it is for, at a time (`at`), by default its own."""
    at, receiver = expected.pop("at", at_of(message)), "hirer" if message["recipient"] == HIRER.did else "provider"
    lines = [{"at": at_of(one), "message": one} for one in before]
    case = {
        "kind": "journal",
        "view": expected.pop("view", receiver),
        "hirer": HIRER.did,
        "provider": PROVIDER.did,
        "engagement": ENGAGEMENT,
        "at": at,
        "keys": signers(HIRER, PROVIDER),
    }
    files = {"journal.json": (json.dumps(lines, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode()}
    return Vector(f"journals/{name}", says, canonicalize(message), case, {"type": message["type"], **expected}, files)


def as_json(said: VerifiedMessage) -> dict[str, Any]:
    return json.loads(said.raw)


def _verified(message: dict[str, Any]) -> VerifiedMessage:
    received = decode_message(canonicalize(message))
    return VerifiedMessage(message=received.message, digest=received.digest, raw=received.raw)


def seen_by_both(
    name: str, says: str, messages: Callable[[str], list[dict[str, Any]]], states: list[str]
) -> Iterator[Vector]:
    """A whole history in each suite, as each side sees it; `states` are those after each of its messages."""
    for suite in (SUITE, "eddsa-rdfc-2022"):
        for view in ("hirer", "provider"):
            *before, last = messages(suite)
            yield journal(
                f"{name}-{suite.split('-')[1]}-{view}",
                f"{says} under {suite}, as the {view} sees it",
                before,
                last,
                view=view,
                outcome="applies",
                states=states,
                state=states[-1],
            )


OPENING: Final = (
    *("inquired", "profiled", "presented", "ready", "offered-by-hirer", "offered-by-provider"),
    *("offered-by-provider", "accepted-by-hirer", "sealed", "sealed", "working"),
)
"""The states of the example, until work begins."""


def _whole() -> Iterator[Vector]:
    states = [*OPENING, "working", "working", "delivered", "closing", "closing", "closed"]
    yield from seen_by_both("one-hire", "a whole hire", lambda suite: up_to("closing-provider", suite), states)


def _chain() -> Iterator[Vector]:
    """Places, repeats, equivocation, crossing, late moves."""
    before = up_to("presentation-provider")
    offer = as_json(conversation()["offer"])
    yield journal(
        "repeat",
        "a move that was recorded before",
        up_to("acceptance"),
        before[0],
        outcome="repeat",
        state="accepted-by-hirer",
        at=at_of(up_to("acceptance")[-1]),
    )
    again = resigned(before[0], created=shift(BEGIN, 3600), expires=shift(BEGIN, 7200))
    yield journal(
        "repeat-signed-again",
        "the same content under another proof",
        up_to("acceptance"),
        again,
        outcome="repeat",
        state="accepted-by-hirer",
    )
    methods = changed(offer["document"], methods__provider=[f"{PROVIDER.did}#before"], proof=...)
    kept = {name: offer["document"]["proof"][name] for name in ("created", "id")}
    named = proof_on(methods, HIRER, kept["created"], "assertionMethod", SUITE, id=kept["id"])
    yield journal(
        "offer-naming-no-key-of-its-reader",
        "an Offer whose document lists no key of the other side's: recorded, and not accepted",
        before,
        resigned({**offer, "document": named}),
        outcome="applies",
        state="offered-by-hirer",
    )
    ahead = resigned(changed(offer, sequence=4))
    yield journal("number-too-high", "a place after the next one", before, ahead, code="out_of_order", state="ready")
    other = resigned(changed(offer, previous=digest_bytes(b"another move")))
    yield journal(
        "previous-of-another-chain",
        "the next place after another move",
        before,
        other,
        code="conflicting_message",
        state="ready",
    )
    twice = resigned(changed(before[2], answers=before[1]["inquiry"]))
    yield journal(
        "equivocation",
        "another move in a taken place",
        before,
        twice,
        code="conflicting_message",
        state="ready",
    )
    unheard = resigned(changed(offer, seen=digest_bytes(b"nothing that was ever said")))
    yield journal(
        "seen-of-nothing",
        "a move that has seen what its reader never said",
        before,
        unheard,
        code="ledger_diverged",
        state="ready",
    )
    leaving = talk_after("offer-counter").say(Withdraw, "hirer", reason="changed")
    yield journal(
        "seen-goes-back",
        "a move that has seen less than the one before it",
        up_to("offer-counter"),
        resigned(changed(as_json(leaving), seen=before[2]["seen"])),
        code="conflicting_message",
        state="offered-by-provider",
    )
    away = talk_after("presentation-provider").say(Withdraw, "hirer", reason="changed")
    for name, says, code, members in (
        ("withdrawal-in-a-later-place", "a Withdraw after the next place", "out_of_order", {"sequence": 4}),
        (
            "withdrawal-after-another-move",
            "a Withdraw in the next place, after another move",
            "conflicting_message",
            {"previous": digest_bytes(b"another move")},
        ),
    ):
        wrong = resigned(changed(as_json(away), **members))
        yield journal(name, says, before, wrong, code=code, state="ready")
    yield journal(
        "role-of-the-other",
        "a hirer that speaks as the provider",
        before,
        resigned(changed(as_json(away), role="provider"), HIRER),
        code="wrong_party",
        state="ready",
    )
    foreign = resigned(changed(as_json(away), engagement=engagement_id(HIRER.did, PROVIDER.did, nonce("another"))))
    yield journal(
        "message-of-another-engagement",
        "a move of another engagement of the two",
        before,
        foreign,
        code="wrong_negotiation",
        state="ready",
    )
    talk = talk_after("start")
    cancel = talk.say(
        Cancel,
        "hirer",
        contract=as_json(conversation()["start"])["contract"],
        reason="budget",
        wind_down=shift(talk.now, 3600),
    )
    yield journal(
        "void-crossing-delivery",
        "a Cancel that crossed the Delivery is recorded and moves nothing",
        up_to("delivery"),
        as_json(cancel),
        outcome="void",
        state="delivered",
    )
    talk = talk_after("offer")
    ending = talk.say(Withdraw, "provider", reason="capacity")
    unaware = talk_after("offer")
    unaware.count += 1
    other = unaware.say(Withdraw, "hirer", reason="changed")
    yield journal(
        "late",
        "a move that was legal when it was sent and comes after the end is recorded and moves nothing",
        [*up_to("offer"), as_json(ending)],
        as_json(other),
        outcome="late",
        state="withdrawn",
    )


def _opening() -> Iterator[Vector]:
    """From the inquiry to state ready."""
    said = conversation()
    inquiry, profile = as_json(said["inquiry"]), as_json(said["profile"])
    start = resigned(changed(as_json(said["start"]), sequence=2, previous=said["inquiry"].digest, seen=...))
    yield journal(
        "start-after-inquiry",
        "work before a contract",
        [inquiry],
        start,
        code="wrong_state",
        state="inquired",
    )
    shortened = resigned(changed(profile, suites=[SUITE]))
    yield journal(
        "lists-not-echoed",
        "a Profile that repeats a shorter list",
        [inquiry],
        shortened,
        code="version_not_supported",
        state="inquired",
    )
    chosen = resigned(changed(profile, suite="ecdsa-jcs-2019"))
    yield journal(
        "suite-not-offered",
        "a choice that was not offered",
        [inquiry],
        chosen,
        code="version_not_supported",
        state="inquired",
    )
    shown = resigned(changed(as_json(said["presentation-hirer"]), answers=said["inquiry"].digest))
    yield journal(
        "presentation-for-another-question",
        "a Presentation that answers another move",
        [inquiry, profile],
        shown,
        code="challenge_mismatch",
        state="profiled",
    )
    talk = talk_after("presentation-provider")
    offer = talk.say(Offer, "provider", document=contract(talk, "provider", "25"), valid_until=shift(talk.now, 3600))
    yield journal(
        "offer-by-the-other-side",
        "a first offer by the side that does not open",
        up_to("presentation-provider"),
        as_json(offer),
        code="wrong_party",
        state="ready",
    )


def _agreeing() -> Iterator[Vector]:
    """Offers, acceptance and seal."""
    said = conversation()
    offer, counter = as_json(said["offer"]), as_json(said["offer-counter"])
    acceptance, seal = as_json(said["acceptance"]), as_json(said["seal"])
    before_offer, before_counter = up_to("presentation-provider"), up_to("offer")
    before_acceptance, before_seal = up_to("receipt-waiting"), up_to("acceptance")
    before_unread = up_to("offer-counter")

    talk = talk_after("offer")
    own = talk.say(
        Offer,
        "hirer",
        document=contract(talk, "hirer", "19"),
        valid_until=shift(talk.now, 3600),
        in_reply_to=said["offer"].digest,
    )
    yield journal(
        "offer-replaced-by-its-owner",
        "an offer over one's own offer",
        before_counter,
        as_json(own),
        code="wrong_party",
        state="offered-by-hirer",
    )
    aside = resigned(changed(counter, inReplyTo=said["profile"].digest))
    yield journal(
        "counter-offer-to-another",
        "a counter-offer that does not name the live offer",
        before_counter,
        aside,
        code="stale_offer",
        state="offered-by-hirer",
    )
    wrong = resigned(changed(acceptance, offer=said["offer"].digest))
    yield journal(
        "acceptance-of-an-offer-that-was-answered",
        "an Acceptance of the live document that names the offer before",
        before_acceptance,
        wrong,
        code="stale_offer",
        state="offered-by-provider",
    )
    talk = talk_after("profile")
    elsewhere = Talk(moves={"hirer": talk.moves["hirer"], "provider": talk.moves["provider"]}, count=talk.count)
    document = contract(elsewhere, "hirer", "20")
    talk = talk_after("presentation-provider")
    early = talk.say(Offer, "hirer", document=document, valid_until=shift(talk.now, 3600))
    yield journal(
        "document-of-another-place",
        "a document that was made for another place",
        before_offer,
        as_json(early),
        code="terms_mismatch",
        state="ready",
    )
    for name, what, percent, code in (
        ("offer-with-milestones", "an offer that pays in parts, by milestones", 60, None),
        ("milestones-above-the-price", "an offer whose milestones come to more than the price", 61, "schema_violation"),
    ):
        talk = talk_after("presentation-provider")
        both = Settlement(
            method="invoice",
            milestones=(
                Milestone(name="listed", percent=40, criteria=("valid",)),
                Milestone(name="checked", percent=percent, criteria=("valid",)),
            ),
        )
        parts = contract(talk, "hirer", "20", both)
        paid = talk.say(Offer, "hirer", document=parts, valid_until=shift(talk.now, 3600))
        expected = {"code": code, "state": "ready"} if code else {"outcome": "applies", "state": "offered-by-hirer"}
        yield journal(name, what, before_offer, as_json(paid), **expected)
    stale = resigned(changed(acceptance, offer=said["offer"].digest))
    yield journal(
        "acceptance-of-a-superseded-offer",
        "an Acceptance of an offer that was answered",
        before_acceptance,
        stale,
        code="stale_offer",
        state="offered-by-provider",
    )
    mismatch = resigned(changed(acceptance, document=digest_bytes(b"other terms")))
    yield journal(
        "acceptance-of-other-terms",
        "an Acceptance of the live offer with another document",
        before_acceptance,
        mismatch,
        code="terms_mismatch",
        state="offered-by-provider",
    )
    blind = resigned(changed(acceptance, seen=said["presentation-provider"].digest))
    yield journal(
        "acceptance-that-has-not-seen-the-offer",
        "an Acceptance of the live offer by who had not seen it: nobody else would take what is sealed for a contract",
        before_unread,
        blind,
        code="terms_mismatch",
        state="offered-by-provider",
    )
    own_offer = resigned(
        changed(acceptance, offer=said["offer"].digest, sequence=4, previous=said["offer"].digest, seen=offer["seen"])
    )
    yield journal(
        "acceptance-of-ones-own-offer",
        "an Acceptance by the owner of the live offer",
        before_counter,
        own_offer,
        code="wrong_party",
        state="offered-by-hirer",
    )
    for member, says in (
        ("acceptance", "a Seal of another acceptance"),
        ("document", "a Seal of other terms"),
        ("offer", "a Seal of another offer"),
    ):
        other = resigned(changed(seal, **{member: digest_bytes(b"another")}))
        yield journal(
            f"seal-of-another-{member}",
            says,
            before_seal,
            other,
            code="terms_mismatch",
            state="accepted-by-hirer",
        )
    blind = resigned(changed(seal, seen=said["offer"].digest))
    yield journal(
        "seal-that-has-not-seen-the-acceptance",
        "a Seal by who had not seen the acceptance that it names",
        before_seal,
        blind,
        code="terms_mismatch",
        state="accepted-by-hirer",
    )
    talk = talk_after("acceptance")
    regret = talk.say(Withdraw, "provider", reason="changed", offer=said["offer-counter"].digest)
    yield journal(
        "withdrawal-without-reason",
        "an acceptance answered by a change of mind",
        before_seal,
        as_json(regret),
        code="wrong_state",
        state="accepted-by-hirer",
    )
    yield journal(
        "withdrawal-of-no-offer",
        "an acceptance answered by a Withdraw that does not name the offer",
        before_seal,
        as_json(talk_after("acceptance").say(Withdraw, "provider", reason="revoked")),
        code="stale_offer",
        state="accepted-by-hirer",
    )
    sealed_offer = said["acceptance"].message
    again = {"offer": sealed_offer.offer, "document": sealed_offer.document}
    for name, says, role in (
        ("acceptance-of-the-contract", "a second Acceptance of the offer that was sealed", "hirer"),
        ("acceptance-of-the-contract-by-its-offerer", "an Acceptance by whoever sealed it", "provider"),
    ):
        second = talk_after("seal").say(Acceptance, role, **again, contract_proof=sealed_offer.contract_proof)
        yield journal(name, says, up_to("seal"), as_json(second), code="already_contracted", state="sealed")
    talk = talk_after("acceptance")
    expired = talk.say(Withdraw, "provider", reason="offer_expired", offer=said["offer-counter"].digest)
    yield journal(
        "withdrawal-of-a-late-acceptance",
        "an acceptance that came too late by the offerer's clock, answered",
        before_seal,
        as_json(expired),
        outcome="applies",
        state="withdrawn",
    )
    both = talk_after("acceptance")
    answered = both.say(Withdraw, "provider", reason="revoked", offer=said["offer-counter"].digest)
    yield journal(
        "seal-after-withdrawal",
        "a Seal in the place of the withdrawal",
        [*before_seal, as_json(answered)],
        resigned(seal, created=both.now, expires=shift(both.now, 3600)),
        code="conflicting_message",
        state="withdrawn",
    )
    talk = talk_after("seal")
    undo = talk.say(Withdraw, "hirer", reason="changed")
    yield journal(
        "withdrawal-after-the-seal",
        "a Withdraw when the contract exists",
        up_to("seal"),
        as_json(undo),
        code="wrong_state",
        state="sealed",
    )
    one, few = Limits(rounds=1, bytes=2_097_152), Limits(rounds=16, bytes=13_000)
    yield _limited("one-offer-too-many", "a counter-offer where one round was agreed on", one, "round_limit")
    yield _limited("more-bytes-than-agreed", "a counter-offer beyond the bytes that were agreed on", few, "too_large")


def _limited(name: str, says: str, limits: Limits, code: str) -> Vector:
    """A counter-offer that is beyond what the inquiry allows; the first offer is not."""
    talk, before = ready(limits=limits)
    first = talk.say(Offer, "hirer", document=contract(talk, "hirer", "20"), valid_until=shift(BEGIN, 3600))
    second = talk.say(
        Offer,
        "provider",
        document=contract(talk, "provider", "25"),
        valid_until=shift(BEGIN, 3600),
        in_reply_to=first.digest,
    )
    return journal(name, says, [*before, as_json(first)], as_json(second), code=code, state="offered-by-hirer")


def rework(talk: Talk, delivery: Digest) -> VerifiedMessage:
    """The hirer asks for another round."""
    said = conversation()
    failed = accepted(
        contract=as_json(said["delivery"])["contract"],
        document_id=as_json(said["offer-counter"])["document"]["id"],
        verifier=HIRER.did,
        passed=False,
        statements=(),
        time_verified=talk.now,
    )
    return talk.say(
        Review,
        "hirer",
        delivery=delivery,
        verdict="rework",
        criteria=tuple(CriterionVerdict(id=one["id"], met=False) for one in as_json(said["review"])["criteria"]),
        statement=statement(HIRER, failed),
    )


def second_round(talk: Talk) -> VerifiedMessage:
    """The same delivered once more."""
    first = conversation()["delivery"]
    told = as_json(first)
    return talk.say(
        Delivery,
        "provider",
        contract=told["contract"],
        outcome="complete",
        artifacts=first.message.artifacts,
        statements=tuple(told["statements"]),
        usage=(),
        round=2,
    )


def ready(**members: Any) -> tuple[Talk, list[dict[str, Any]]]:
    """Both have shown who they are, after an inquiry with some other members."""
    talk = Talk()
    inquiry = _opened(talk, Inquiry, "hirer", "inquiry", **members)
    profile = _opened(talk, Profile, "provider", "profile", inquiry=inquiry.digest)
    shown = talk.say(
        Presentation,
        "hirer",
        answers=profile.digest,
        presentation=presentation(talk, HIRER, PROVIDER, profile.digest),
        request=PresentationRequest(needs=()),
    )
    back = talk.say(
        Presentation,
        "provider",
        answers=shown.digest,
        presentation=presentation(talk, PROVIDER, HIRER, shown.digest),
    )
    return talk, [as_json(one) for one in (inquiry, profile, shown, back)]


def _opened(talk: Talk, of: type[Message], role: str, name: str, **other: Any) -> VerifiedMessage:
    """A message of the hire with some other members, said in another talk."""
    message = conversation()[name].message
    envelope = (*Message.__struct_fields__, "proof")
    body = {member: getattr(message, member) for member in message.__struct_fields__ if member not in envelope}
    return talk.say(of, role, **{**body, **other})


def _working() -> Iterator[Vector]:
    """From the seal to the closings."""
    said = conversation()
    sealed = as_json(said["start"])["contract"]
    talk = talk_after("receipt-inclusion")
    foreign = talk.say(Start, "hirer", contract=digest_bytes(b"another contract"), inputs=())
    yield journal(
        "start-of-another-contract",
        "work under a contract of another engagement",
        up_to("receipt-inclusion"),
        as_json(foreign),
        code="conflicting_contract",
        state="sealed",
    )
    late = "2026-11-24T12:00:01Z"
    started = resigned(as_json(said["start"]), created=late, expires=shift(late, 3600))
    yield journal(
        "start-too-late",
        "a Start one second past its deadline is recorded and begins the work",
        up_to("receipt-inclusion"),
        started,
        outcome="applies",
        state="working",
    )
    stop = talk_after("progress-bare").say(
        Cancel, "provider", contract=sealed, reason="budget", wind_down="2026-11-24T15:00:00Z"
    )
    yield journal(
        "cancel-by-the-provider",
        "only the hirer cancels",
        up_to("progress-bare"),
        as_json(stop),
        code="wrong_party",
        state="working",
    )
    late = "2026-11-26T00:00:00Z"
    silent = changed(as_json(said["closing-provider"]), basis="silence", seen=said["start"].digest)
    unheard = resigned(silent, created=late, expires=shift(late, 3600))
    yield journal(
        "review-after-silence",
        "a Review that comes after a Closing by silence that had not seen it",
        [*up_to("delivery"), unheard],
        resigned(as_json(said["review"]), created=shift(late, 60), expires=shift(late, 3600)),
        outcome="void",
        state="closing",
        basis="silence",
    )
    seen = as_json(said["closing-provider"]) | {"seen": said["review"].digest}
    for name, says, basis in (
        (
            "closing-crossing-a-closing",
            "a Closing that has seen the Review, and not the other side's Closing",
            "review",
        ),
        ("silence-after-the-review", "the same with basis silence, which it is not by what it has seen", "silence"),
    ):
        yield journal(
            name,
            says,
            up_to("closing-hirer"),
            resigned(changed(seen, basis=basis)),
            outcome="applies",
            state="closed",
            basis="review",
        )
    yield journal(
        "silence-crossing-the-review",
        "a Closing by silence that had not seen the Review, after the other side's Closing",
        up_to("closing-hirer"),
        resigned(changed(silent, seen=said["start"].digest)),
        outcome="applies",
        state="closed",
        basis="silence",
    )
    told = talk_after("review").say(Receipt, "provider", of=(said["review"].digest,), received_at=late)
    told_besides = changed(
        as_json(told), seen=said["start"].digest, of=[digest_bytes(b"a move that nobody made"), said["review"].digest]
    )
    told_of_both = changed(as_json(told), sequence=told.message.sequence + 1, previous=digest_of(silent))
    for name, says, receipt, expected in (
        (
            "seen-goes-back-after-a-receipt",
            "a move that has seen less than a Receipt before it",
            as_json(told),
            {"code": "conflicting_message", "state": "closing"},
        ),
        (
            "receipt-of-what-nobody-made",
            "a move that has seen less than a Receipt before it, which names a move that its reader never made as well",
            told_besides,
            {"code": "conflicting_message", "state": "closing"},
        ),
        (
            "receipt-before-the-move-that-it-counts",
            "a move that was made before a Receipt that came before it, and has seen less",
            told_of_both,
            {"outcome": "applies", "state": "closing", "basis": "silence"},
        ),
    ):
        arrived = resigned(receipt, created=late, expires=shift(late, 3600))
        yield journal(name, says, [*up_to("review"), arrived], unheard, **expected)
    delivery = as_json(said["delivery"])
    elsewhere = resigned(changed(as_json(said["progress"]), contract=digest_bytes(b"another contract"), number=3))
    yield journal(
        "delivery-after-progress-elsewhere",
        "a Progress of another contract is passed over, and what is delivered after it is taken",
        [*up_to("progress-bare"), elsewhere],
        delivery,
        outcome="applies",
        state="delivered",
    )
    wrong_round = resigned(changed(delivery, round=2))
    yield journal(
        "delivery-of-another-round",
        "a second round that nobody asked for",
        up_to("progress-bare"),
        wrong_round,
        code="terms_mismatch",
        state="working",
    )
    yield journal(
        "delivery-after-the-review",
        "another delivery when the first was accepted",
        up_to("review"),
        as_json(second_round(talk_after("review"))),
        code="already_fulfilled",
        state="closing",
    )
    review = as_json(said["review"])
    other = resigned(changed(review, delivery=digest_bytes(b"another delivery")))
    yield journal(
        "review-of-another-delivery",
        "a verdict on another delivery",
        up_to("delivery"),
        other,
        code="terms_mismatch",
        state="delivered",
    )
    yield journal(
        "rework",
        "a Review that asks for another round",
        up_to("delivery"),
        as_json(rework(talk_after("delivery"), said["delivery"].digest)),
        outcome="applies",
        state="working",
    )
    second = resigned(
        changed(
            as_json(said["closing-hirer"]),
            id=as_json(said["closing-provider"])["id"],
            sequence=8,
            previous=said["closing-hirer"].digest,
        )
    )
    yield journal(
        "closing-twice",
        "a second Closing by one side",
        up_to("closing-hirer"),
        second,
        code="wrong_state",
        state="closing",
    )
    before, closing = up_to("review"), as_json(said["closing-hirer"])
    abroad = resigned(changed(closing, settlement={**closing["settlement"], "currency": "USD"}))
    yield journal(
        "closing-in-another-currency",
        "what is owed in another currency than the price",
        before,
        abroad,
        code="terms_mismatch",
        state="closing",
    )
    talk = talk_after("start")
    unable = talk.say(Terminate, "hirer", contract=sealed, cause="unable", evidence=())
    yield journal(
        "cause-of-the-other-side",
        "the hirer cannot be unable to do the provider's work",
        up_to("start"),
        as_json(unable),
        code="wrong_party",
        state="working",
    )
    talk = talk_after("start")
    easy = talk.say(Terminate, "provider", contract=sealed, cause="convenience", evidence=())
    yield journal(
        "cause-not-in-the-terms",
        "an end without cause that the terms do not allow",
        up_to("start"),
        as_json(easy),
        code="terms_mismatch",
        state="working",
    )
