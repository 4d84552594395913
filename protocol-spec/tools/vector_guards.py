"""Vectors of single members that guards look at: a move that is right but for one of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from example_messages import conversation
from example_parties import PARTIES, contract, document_proof
from vector_journals import as_json, journal, talk_after, up_to
from vector_parts import Vector, changed, content_of, resigned

from undersigned.contract import document_id
from undersigned.encoding import digest_bytes, from_struct, shift
from undersigned.messages import Offer

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
        ("first-offer-in-reply-to-a-move", "a first Offer that answers one", {"inReplyTo": other}, "stale_offer"),
        ("transcript-of-another-own-move", "its sender's last move is another", {"hirer": other}, "terms_mismatch"),
        ("transcript-of-another-move-seen", "the last move seen is another", {"provider": other}, "terms_mismatch"),
        ("document-named-for-another-place", "the id of its document is of a later place", {"at": 9}, "terms_mismatch"),
    ):
        yield journal(
            name, f"an Offer: {says}", up_to("presentation-provider"), _offer(**members), code=code, state="ready"
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


def _offer(at: int | None = None, **members: str) -> dict[str, Any]:
    """The first offer, whose document is for place `at` or has other digests in its `transcript`, signed as it is."""
    talk = talk_after("presentation-provider")
    document = from_struct(contract(talk, "hirer", "20"))
    if at is not None:
        name = document_id(document["engagement"], "hirer", at)
        document = _renamed(document, document["id"], name)
    for role in members.keys() & PARTIES.keys():
        document = changed(document, **{f"transcript__{role}__digest": members[role]})
    signed = document_proof(content_of(document), PARTIES["hirer"], talk)
    reply = members.get("inReplyTo")
    offer = talk.say(Offer, "hirer", document=contract(talk, "hirer", "20"), valid_until=shift(talk.now, 3600))
    return resigned(changed(as_json(offer), document=signed, **({"inReplyTo": reply} if reply else {})))


def _renamed(value: Any, old: str, new: str) -> Any:
    """The document with another id, and those of its parts, which begin with it."""
    if isinstance(value, dict):
        return {name: _renamed(inner, old, new) for name, inner in value.items()}
    if isinstance(value, list):
        return [_renamed(inner, old, new) for inner in value]
    return new + value[len(old) :] if isinstance(value, str) and value.startswith(old) else value
