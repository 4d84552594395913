"""Vectors of single members that guards look at: a move that is right but for one of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from example_messages import conversation
from example_parties import PARTIES, Party, Talk, contract, document_proof, presentation
from vector_changes import REQUEST, since_start
from vector_journals import as_json, journal, ready, rework, second_round, talk_after, up_to
from vector_parts import Vector, changed, content_of, resigned
from vector_subcontracts import first_below

from undersigned.contract import document_id
from undersigned.encoding import digest_bytes, from_struct, shift
from undersigned.messages import (
    ApprovalRequest,
    Bid,
    Breach,
    Offer,
    Presentation,
    PresentationRequest,
    Terminate,
)

__all__ = ["guard_vectors"]


def guard_vectors() -> Iterator[Vector]:
    """All of them."""
    said, other = conversation(), digest_bytes(b"another")
    profile = resigned(changed(as_json(said["profile"]), inquiry=other))
    yield journal(
        "profile-of-another-inquiry",
        "a Profile that names another Inquiry",
        [as_json(said["inquiry"])],
        profile,
        code="wrong_negotiation",
        state="inquired",
    )
    for name, says, members, code in (
        ("first-offer-in-reply-to-a-move", "a first Offer that answers one", {"reply": other}, "stale_offer"),
        (
            "transcript-of-another-own-move",
            "its sender's last move is another",
            {"transcript__hirer__digest": other},
            "terms_mismatch",
        ),
        (
            "transcript-of-another-move-seen",
            "the last move seen is another",
            {"transcript__provider__digest": other},
            "terms_mismatch",
        ),
        ("document-named-for-another-place", "the id of its document is of a later place", {"at": 9}, "terms_mismatch"),
    ):
        offer = _said(talk_after("presentation-provider"), "hirer", **members)
        yield journal(name, f"an Offer: {says}", up_to("presentation-provider"), offer, code=code, state="ready")
    engagement, stranger = f"urn:hire:engagement:{other}", Party("stranger")
    alone = {"provider": stranger.did, "methods__provider": [stranger.method]}
    for name, says, members, code in (
        ("document-of-another-engagement", "of another engagement", {"engagement": engagement}, "wrong_negotiation"),
        ("document-with-another-provider", "with another provider", alone, "wrong_negotiation"),
        ("transcript-of-a-later-own-place", "its sender's place", {"transcript__hirer__sequence": 3}, "terms_mismatch"),
        ("transcript-of-a-later-place", "the place seen", {"transcript__provider__sequence": 3}, "terms_mismatch"),
    ):
        offer = _said(talk_after("presentation-provider"), "hirer", **members)
        says = f"an Offer whose document names another one: {says}" if "transcript" in name else f"a document {says}"
        yield journal(name, says, up_to("presentation-provider"), offer, code=code, state="ready")
    talk = talk_after("profile")
    asked = said["inquiry"].digest
    shown = talk.say(
        Presentation,
        "hirer",
        answers=asked,
        presentation=presentation(talk, PARTIES["hirer"], PARTIES["provider"], asked),
        request=PresentationRequest(needs=()),
    )
    yield journal(
        "presentation-made-for-another-question",
        "a Presentation that was made for another move, and answers that",
        up_to("profile"),
        as_json(shown),
        code="challenge_mismatch",
        state="profiled",
    )
    start = resigned(changed(as_json(said["start"]), inputs__0__digest=other))
    yield journal(
        "start-with-another-input",
        "an input that the terms do not have",
        up_to("receipt-inclusion"),
        start,
        code="terms_mismatch",
        state="sealed",
    )
    late = "2026-11-26T00:00:00Z"
    silent = changed(as_json(said["closing-provider"]), basis="silence", seen=said["start"].digest, delivery=other)
    yield journal(
        "silence-on-another-delivery",
        "a Closing by silence that names another Delivery",
        up_to("delivery"),
        resigned(silent, created=late, expires=shift(late, 3600)),
        code="terms_mismatch",
        state="delivered",
    )
    change = {"type": "Amendment", "contract": other, "amends": other}
    yield journal(
        "change-offered-first",
        "a first Offer that changes a contract, where there is none",
        up_to("presentation-provider"),
        _said(talk_after("presentation-provider"), "hirer", **change),
        code="terms_mismatch",
        state="ready",
    )
    talk, before = ready(opens="provider")
    bid = talk.say(Bid, "provider", commitment=other, valid_until=shift(talk.now, 3600))
    yield journal(
        "bid-without-a-tender", "a Bid that nobody asked for", before, as_json(bid), code="wrong_state", state="ready"
    )
    yield from _of_a_parent()
    yield from _contradictions()
    yield from _under_way()


def _of_a_parent() -> Iterator[Vector]:
    """Parent and hirer stay the same, and the hirer offers first; it alone shows what stands above."""
    before, under = up_to("presentation-provider"), first_below()
    parent = as_json(under)["document"]["parent"]
    for name, says, members, code in (
        ("counter-without-its-parent", "a counter-offer that leaves the parent out", {}, "terms_mismatch"),
        (
            "counter-with-parents",
            "a counter-offer that shows parents, which its hirer has",
            {"parent": parent, "parents": as_json(under)["parents"]},
            "schema_violation",
        ),
    ):
        talk = talk_after("presentation-provider")
        talk.moves["hirer"].append(under)
        counter = _said(talk, "provider", under.digest, **members)
        yield journal(name, says, [*before, as_json(under)], counter, code=code, state="offered-by-hirer")
    talk, before = ready(opens="provider")
    first = _said(talk, "provider", parent=parent)
    yield journal(
        "parent-offered-by-the-provider",
        "a first offer under a parent, by the provider",
        before,
        first,
        code="terms_mismatch",
        state="ready",
    )


def _under_way() -> Iterator[Vector]:
    """Once there is a contract."""
    said, sealed = conversation(), as_json(conversation()["start"])["contract"]
    review = as_json(said["review"])
    yield journal(
        "review-of-other-criteria",
        "a Review that answers a criterion which the terms do not have",
        up_to("delivery"),
        resigned(changed(review, criteria__0__id="other")),
        code="terms_mismatch",
        state="delivered",
    )
    acceptance = changed(as_json(said["acceptance-amendment"]), document=digest_bytes(b"another"))
    yield journal(
        "acceptance-of-other-terms-of-a-change",
        "an Acceptance of the amendment on the table with another document",
        since_start("offer-amendment"),
        resigned(acceptance),
        code="terms_mismatch",
        state="working",
    )
    for cause, role, says, code in (
        ("late_seal", "provider", "who sealed ends it for a late seal", "wrong_party"),
        ("parent", "hirer", "an end of the parent, where there is none", "terms_mismatch"),
        ("no_ruling", "hirer", "no ruling came, where nobody asked for one", "wrong_state"),
    ):
        end = talk_after("start").say(Terminate, role, contract=sealed, cause=cause, evidence=(), **_named(cause))
        name = f"cause-{cause.replace('_', '-')}"
        yield journal(name, says, up_to("start"), as_json(end), code=code, state="working")
    yield _once_more()
    talk = talk_after("start")
    asked: Any = said["approvalrequest"].message
    body = {name: getattr(asked, name) for name in REQUEST}
    yield _one_too_many("request", "a 65th open request", talk, [(ApprovalRequest, body)] * 65)
    talk = talk_after("start")
    claim = {"contract": sealed, "clause": "price", "evidence": (), "cure_by": shift(talk.now, 86_400)}
    yield _one_too_many("breach", "a 65th breach that one side claims", talk, [(Breach, claim)] * 65)


def _named(cause: str) -> dict[str, Any]:
    return {"names": digest_bytes(b"what ended it")} if cause == "parent" else {}


def _one_too_many(name: str, says: str, talk: Talk, moves: list[tuple[Any, dict[str, Any]]]) -> Vector:
    *before, last = [as_json(talk.say(of, "provider", **body)) for of, body in moves]
    return journal(f"{name}-beyond-64", says, [*up_to("start"), *before], last, code="round_limit", state="working")


def _once_more() -> Vector:
    """The terms leave one rework."""
    talk = talk_after("delivery")
    first = rework(talk, conversation()["delivery"].digest)
    second = second_round(talk)
    return journal(
        "rework-beyond-the-terms",
        "a Review that asks for another round where the terms leave none",
        [*up_to("delivery"), as_json(first), as_json(second)],
        as_json(rework(talk, second.digest)),
        code="round_limit",
        state="delivered",
    )


def _contradictions() -> Iterator[Vector]:
    """First offers whose terms contradict themselves (HIRE-CTR-12)."""
    half = {"percent": 50, "criteria": ["valid"]}
    for name, says, members in (
        ("start-before-it-may", "a start before notBefore", {"deadlines__notBefore": "2026-11-24T12:00:01Z"}),
        ("notice-of-none", "a notice where nobody may end it without cause", {"termination__notice": "P1D"}),
        (
            "criterion-twice",
            "two criteria of one id",
            {"deliverables__0__criteria": [{"id": "valid", "text": "One."}, {"id": "valid", "text": "Two."}]},
        ),
        (
            "milestone-twice",
            "two milestones of one name",
            {"settlement__milestones": [{"name": "listed", **half}, {"name": "listed", **half}]},
        ),
        (
            "criterion-twice-in-a-milestone",
            "a milestone that names a criterion twice",
            {"settlement__milestones": [{"name": "listed", "percent": 50, "criteria": ["valid", "valid"]}]},
        ),
        (
            "criterion-of-no-deliverable",
            "a milestone that names a criterion of no deliverable",
            {"settlement__milestones": [{"name": "listed", "percent": 50, "criteria": ["other"]}]},
        ),
        ("policies-unsorted", "a set in another order", {"policies": [digest_bytes(b"1"), digest_bytes(b"0")]}),
    ):
        talk = talk_after("presentation-provider")
        terms = {f"terms__{path}": value for path, value in members.items()}
        offer = _said(talk, "hirer", **terms)
        before = up_to("presentation-provider")
        yield journal(f"terms-{name}", f"an Offer: {says}", before, offer, code="schema_violation", state="ready")


def _said(
    talk: Talk, role: str, reply: str | None = None, parents: Any = None, at: int | None = None, **members: Any
) -> dict[str, Any]:
    """An offer whose document has other members, or is named for place `at`, signed as it is."""
    plain = contract(talk, role, "20")
    document = changed(content_of(from_struct(plain)), **members)
    if at is not None:
        document = _renamed(document, document["id"], document_id(document["engagement"], role, at))
    signed = document_proof(document, PARTIES[role], talk)
    offer = talk.say(Offer, role, document=plain, valid_until=shift(talk.now, 3600))
    shown = {name: value for name, value in (("inReplyTo", reply), ("parents", parents)) if value}
    return resigned(changed(as_json(offer), document=signed, **shown))


def _renamed(value: Any, old: str, new: str) -> Any:
    """The document with another id, and those of its parts, which begin with it."""
    if isinstance(value, dict):
        return {name: _renamed(inner, old, new) for name, inner in value.items()}
    if isinstance(value, list):
        return [_renamed(inner, old, new) for inner in value]
    return new + value[len(old) :] if isinstance(value, str) and value.startswith(old) else value
