"""Recompute everything that a SQLite ledger holds, and say what does not agree.

What is chained or sealed is recomputed from the values themselves; what only repeats something is compared with it.
SQLite's own check goes first: it finds damage in pages and indexes that no row shows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from undersigned.did import DidDocument
from undersigned.encoding import FOREIGN_LIMITS, base64url_decode, decode_json, digest_bytes
from undersigned.errors import UndersignedError
from undersigned.ledger import usage as limits
from undersigned.ledger.base import CheckReport, Defect, Row, Summary
from undersigned.ledger.chain import content_defect, first_link, link
from undersigned.ledger.seen import Head
from undersigned.ledger.sqlite_file import HeadFile
from undersigned.ledger.sqlite_rows import (
    Outbox,
    engagement_seal,
    load_tree,
    read_entry,
    read_seen,
    reservation_row,
    seal,
)
from undersigned.transparency import Frontier, leaf_hash, read_checkpoint, read_note

__all__ = ["check_database"]


def check_database(db: sqlite3.Connection, head: HeadFile) -> CheckReport:
    """Everything that is wrong with the database, and with the head that is kept beside it.

    Source: protocol-spec/08-attestation-and-evidence.md, section 8.4
    """
    counts = {"rows": 0, "leaves": 0, "blobs": 0}
    defects: list[Defect] = []
    known, gone = None, False
    try:
        known = head.beside()  # before the database, which may have gone on when it is read
        gone = known is None
    except (UndersignedError, OSError) as exc:
        code = exc.code if isinstance(exc, UndersignedError) else "store_unavailable"
        defects.append(Defect(code, "head file", str(exc)))
    parts: tuple[tuple[str, Callable[[], Iterator[Defect]]], ...] = (
        ("database", lambda: _pages(db)),
        ("journal", lambda: _journal(db, counts)),
        ("effects", lambda: _effects(db)),
        ("evidence", lambda: _evidence(db, counts)),
        ("limits", lambda: _limits(db)),
        ("logs of others", lambda: _seen(db)),
        ("tree", lambda: _tree(db, counts, known)),
    )
    for name, part in parts:
        try:
            defects += part()
        except (sqlite3.Error, UndersignedError, ValueError, TypeError, msgspec.MsgspecError) as exc:
            # A part that cannot be read is a finding, and the others are still looked at.
            code = exc.code if isinstance(exc, UndersignedError) else "store_corrupt"
            defects.append(Defect(code, name, str(exc)))
    missing = str(head.path) if gone and counts["leaves"] else ""
    return CheckReport(counts["rows"], counts["leaves"], counts["blobs"], tuple(defects), missing)


def _pages(db: sqlite3.Connection) -> Iterator[Defect]:
    for (line,) in db.execute("PRAGMA integrity_check(20)"):
        if line != "ok":
            yield Defect("store_corrupt", "database", line)


def _journal(db: sqlite3.Connection, counts: dict[str, int]) -> Iterator[Defect]:
    last, rows = db.execute("SELECT ifnull(max(id), 0), count(*) FROM journal").fetchone()
    if last != rows:
        yield Defect("store_corrupt", "journal", f"{last - rows} of {last} rows are missing")
    known: set[int] = set()
    for id, name, own, peer, length, head, live, summary, outbox, mark in db.execute("SELECT * FROM engagement"):
        known.add(id)
        if engagement_seal(name, own, peer, length, head, live, summary, outbox) != mark:
            yield Defect("store_corrupt", f"entry of {name}", "was changed")
            continue
        yield from _one_journal(db, (id, name, own, peer, length, head), (summary, outbox), counts)
    for (id,) in db.execute("SELECT DISTINCT engagement FROM journal"):
        if id not in known:
            yield Defect("store_corrupt", "journal", f"rows of engagement {id} have no entry")


def _one_journal(
    db: sqlite3.Connection,
    entry: tuple[int, str, int, int, int, bytes],
    texts: tuple[bytes, bytes],
    counts: dict[str, int],
) -> Iterator[Defect]:
    id, name, own, peer, length, head = entry
    other = msgspec.json.decode(texts[0], type=Summary).peer
    waiting = dict(msgspec.json.decode(texts[1], type=Outbox))
    at, place, moves = first_link(name), 0, [0, 0]
    found = db.execute(
        "SELECT place, kind, at, sender, sequence, type, digest, raw, link, freed"
        " FROM journal WHERE engagement = ? ORDER BY place",
        (id,),
    )
    for *values, stored, freed in found:
        row = Row(name, *values)
        place += 1
        counts["rows"] += 1
        at = link(at, row)
        if row.place != place or at != stored:
            yield Defect("store_corrupt", f"journal of {name}, place {place}", "does not follow the row before")
            return
        if row.sequence is not None and not freed:
            moves[row.sender == other] += 1
        if waiting.pop(place, row.digest) != row.digest:
            yield Defect("store_corrupt", f"journal of {name}, place {place}", "is not the move in the outbox")
        defect = content_defect(row)
        if defect is not None:
            yield defect
    for missing in waiting:
        yield Defect("store_corrupt", f"journal of {name}, place {missing}", "is in the outbox and not there")
    if (place, at) != (length, head):
        yield Defect("store_corrupt", f"journal of {name}", f"ends at place {place}; {length} were recorded")
    elif moves != [own, peer]:
        yield Defect("store_corrupt", f"journal of {name}", f"holds {moves} moves; {[own, peer]} were recorded")


def _effects(db: sqlite3.Connection) -> Iterator[Defect]:
    for id, key, mark in db.execute("SELECT engagement, key, seal FROM effect"):
        if seal(id, key) != mark:
            yield Defect("store_corrupt", "effects", f"{key} was changed")


def _evidence(db: sqlite3.Connection, counts: dict[str, int]) -> Iterator[Defect]:
    for digest, raw in db.execute("SELECT digest, raw FROM blob"):
        counts["blobs"] += 1
        if digest_bytes(raw) != digest:
            yield Defect("store_corrupt", f"evidence {digest}", "the bytes are of another digest")
    named = db.execute("SELECT v.*, b.id FROM evidence v LEFT JOIN blob b ON b.digest = v.digest")
    for _, id, digest, kind, name, mark, blob in named:
        if seal(id, digest, kind, name) != mark or blob is None:
            yield Defect("store_corrupt", f"evidence {digest}", "its entry was changed, or its bytes are gone")
    # What was deleted whole has no seal that could be wrong; what it was kept for is still there.
    for (digest,) in db.execute("SELECT digest FROM blob WHERE digest NOT IN (SELECT digest FROM evidence)"):
        yield Defect("store_corrupt", f"evidence {digest}", "its entry is gone")
    for id, name in db.execute("SELECT id, name FROM engagement"):
        yield from _missing(db, id, name)


def _missing(db: sqlite3.Connection, id: int, name: str) -> Iterator[Defect]:
    """Evidence that the journal of an engagement says was kept: each move's key, and both copies of an equivocation."""
    found: list[tuple[str, bytes]] = db.execute(
        "SELECT v.kind, b.raw FROM evidence v JOIN blob b ON b.digest = v.digest WHERE v.engagement = ?", (id,)
    ).fetchall()
    kept = {method for kind, raw in found if kind == "did-document" for method in _methods(raw)}
    rows = db.execute("SELECT raw FROM journal WHERE engagement = ? AND sequence IS NOT NULL", (id,))
    signed_with = {msgspec.json.decode(raw, type=_Signed).proof.verification_method for (raw,) in rows}
    for method in sorted(signed_with - kept - {""}):
        yield Defect("store_corrupt", f"evidence of {name}", f"the DID document that lists {method} is gone")
    noted = "SELECT count(*) FROM journal WHERE engagement = ? AND kind = 'noted' AND type = 'equivocation'"
    if db.execute(noted, (id,)).fetchone()[0] and not any(kind == "equivocation" for kind, _ in found):
        yield Defect("store_corrupt", f"evidence of {name}", "the message that proves an equivocation is gone")


class _SignedWith(msgspec.Struct, frozen=True, rename="camel"):
    verification_method: str = ""


class _Signed(msgspec.Struct, frozen=True):
    """As much of a message as says which key signed it."""

    proof: _SignedWith = _SignedWith()


def _methods(raw: bytes) -> tuple[str, ...]:
    """The keys with which messages may be signed by this DID document; none if it is not one."""
    try:
        value = decode_json(raw, FOREIGN_LIMITS)
        did = value.get("id") if isinstance(value, dict) else None
        document = DidDocument(did, raw) if isinstance(did, str) else None
    except UndersignedError:
        return ()
    return (*document.methods("authentication"), *document.methods("assertionMethod")) if document else ()


class _Stated(msgspec.Struct, frozen=True):
    size: int = 0


class _States(msgspec.Struct, frozen=True):
    """As much of a message as says how large its sender's log was."""

    head: _Stated | None = None
    checkpoint: str = ""


def _seen(db: sqlite3.Connection) -> Iterator[Defect]:
    """What was seen of others' logs is as large as the messages say that stand in the journal: a row that was taken out
    has no seal that could be wrong.
    """
    largest: dict[str, int] = {}
    for (log,) in db.execute("SELECT log FROM seen_log"):
        seen = read_seen(db, log)
        whole = seen is not None and not seen.past and not seen.missed
        largest[log] = max((one.size for one in seen.held), default=0) if seen is not None and whole else _ANY
    stated = db.execute(
        "SELECT sender, raw FROM journal, tree WHERE journal.id > unseen AND kind = 'received'"
        " AND type IN ('Offer', 'Acceptance', 'Closing')"
    )
    missing: set[str] = set()
    for sender, raw in stated:
        said = msgspec.json.decode(raw, type=_States)
        size = said.head.size if said.head is not None else 0
        if said.checkpoint:
            size = read_checkpoint(read_note(base64url_decode(said.checkpoint[1:]).decode()).text).size
        if size > largest.get(sender, 0):
            missing.add(sender)
    for log in sorted(missing):
        yield Defect("store_corrupt", f"log of {log}", "what was seen of it is gone, or less than its messages say")


_ANY: Final = 1 << 62
"""Our operator decided about it, and it may have begun anew; or more heads came than are kept."""


def _limits(db: sqlite3.Connection) -> Iterator[Defect]:
    entries: list[limits.Entry] = []
    rows: list[Any] = db.execute("SELECT id, contract, kind, state, until, body, seal FROM reservation").fetchall()
    for row in rows:
        entry = read_entry(row)
        if reservation_row(entry)[:5] != row[:5]:
            yield Defect("store_corrupt", f"reservation {row[0]}", "its columns and its body differ")
        entries.append(entry)
    expected = limits.recounted(entries)
    stored = {(contract, key): (used, held) for contract, key, used, held in db.execute("SELECT * FROM usage")}
    for place in expected.keys() | stored.keys():
        if expected.get(place) != stored.get(place):
            yield Defect("store_corrupt", f"limit {place[1]} of {place[0]}", "is not the sum of its reservations")


def _tree(db: sqlite3.Connection, counts: dict[str, int], known: Head | None) -> Iterator[Defect]:
    again = Frontier()
    lost = "SELECT id FROM leaf WHERE engagement NOT IN (SELECT 0 UNION SELECT id FROM engagement)"
    for (id,) in db.execute(lost):
        yield Defect("store_corrupt", f"leaf {id}", "is of no engagement")
    for id, value, inner, data in db.execute("SELECT id, hash, inner, data FROM leaf ORDER BY id"):
        counts["leaves"] += 1
        if id != again.size or leaf_hash(data) != value:
            yield Defect("store_corrupt", f"leaf {id}", "was changed, or one before it is missing")
            return
        if inner != b"".join(node for level, _, node in again.append(value) if level):
            yield Defect("store_corrupt", f"leaf {id}", "the nodes that it completes do not follow from the leaves")
    load_tree(db, known)  # whose root follows from the same nodes
