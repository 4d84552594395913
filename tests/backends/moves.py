"""Commits to feed to a ledger: real JSON with real digests, of two made-up parties."""

from __future__ import annotations

from typing import Any

from undersigned.encoding import canonicalize, digest_bytes, digest_of
from undersigned.ledger import Commit, Draw, Reservation, Row, Summary

OWN = "did:web:acme.example"
PEER = "did:web:globex.example"
AT = "2026-11-25T12:00:00Z"
LATER = "2026-11-25T13:00:00Z"

BEFORE_6 = (
    "ALTER TABLE leaf RENAME TO leaf_after; DROP INDEX leaf_hash;"
    " CREATE TABLE leaf (id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, data BLOB NOT NULL) STRICT;"
    " INSERT INTO leaf SELECT id, hash, data FROM leaf_after; DROP TABLE leaf_after;"
    " CREATE TABLE node (level INTEGER NOT NULL, place INTEGER NOT NULL, hash BLOB NOT NULL,"
    " PRIMARY KEY (level, place)) STRICT, WITHOUT ROWID;"
)
"""Takes the tables of the tree back to how version 5 had them; the nodes are not carried over."""


def engagement(name: object = "a") -> str:
    return "urn:hire:engagement:" + digest_bytes(str(name).encode())


def row(name: str, place: int, *, own: bool = True, sequence: int | None = None, text: str = "") -> Row:
    sender = OWN if own else PEER
    document = {"engagement": name, "place": place, "sender": sender, "sequence": sequence or 0, "text": text}
    raw = canonicalize({**document, "proof": {"proofValue": "z1"}})
    return Row(name, place, "sent" if own else "received", AT, sender, sequence, "Offer", digest_of(document), raw)


def summary(name: str, position: tuple[int, int], **more: Any) -> Summary:
    fields: dict[str, Any] = {"state": "offered-by-hirer", "lane": "idle", "wake_at": LATER, **more}
    return Summary(engagement=name, role="hirer", peer=PEER, position=position, updated=AT, **fields)


def move(name: str, number: int, *, peer: int = 0, place: int | None = None, text: str = "", **more: Any) -> Commit:
    """Own move `number` of an engagement in which the peer made `peer` moves; it goes into the outbox."""
    made = row(name, place or number + peer, sequence=number, text=text)
    before = (number - 1, peer)
    fields: dict[str, Any] = {
        "expected": before if before != (0, 0) else None,
        "position": (number, peer),
        "rows": (made,),
        "summary": summary(name, (number, peer)),
        "outbox": (made.digest,),
        **more,
    }
    return Commit(engagement=name, **fields)


def answer(name: str, number: int, *, own: int, receipted: tuple[str, ...] = (), **more: Any) -> Commit:
    """The peer's move `number`, after `own` moves of ours."""
    made = row(name, number + own, own=False, sequence=number)
    fields: dict[str, Any] = {
        "expected": (own, number - 1),
        "position": (own, number),
        "rows": (made,),
        "summary": summary(name, (own, number)),
        "receipted": receipted,
        **more,
    }
    return Commit(engagement=name, **fields)


def reservation(id: str, amount: str, maximum: str | None, *, key: str = "read/EUR", **more: Any) -> Reservation:
    fields: dict[str, Any] = {"contract": "uEiContract", "until": LATER, "at": AT, **more}
    return Reservation(id=id, draws=(Draw(key, amount, maximum),), **fields)
