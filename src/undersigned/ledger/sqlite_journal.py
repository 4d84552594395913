"""Reading journals and evidence in SQLite, each checked against what names it.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.4
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final

import msgspec

from undersigned.encoding import Digest, digest_bytes
from undersigned.errors import LedgerError
from undersigned.ledger.base import Blob, Row, Summary
from undersigned.ledger.chain import first_link, verify_links

__all__ = [
    "COLUMNS",
    "EVIDENCE",
    "OF_ENGAGEMENT",
    "intact",
    "read_evidence",
    "read_summary",
    "read_waiting",
    "verify_rows",
]

COLUMNS: Final = "j.place, j.kind, j.at, j.sender, j.sequence, j.type, j.digest, j.raw, j.link"
OF_ENGAGEMENT: Final = "FROM journal j JOIN engagement e ON e.id = j.engagement WHERE e.name = ?"
EVIDENCE: Final = (
    "SELECT v.digest, b.raw, v.kind, v.name FROM evidence v JOIN engagement e ON e.id = v.engagement"
    " JOIN blob b ON b.digest = v.digest WHERE e.name = ?"
)


def verify_rows(db: sqlite3.Connection, engagement: str, since: int, chained: list[tuple[Row, bytes]]) -> None:
    """Returns if these rows with their links, all after place `since`, end as the entry of the engagement says.

    Raises:
        LedgerError: `store_corrupt`, they do not.
    """
    head = db.execute("SELECT length, head FROM engagement WHERE name = ?", (engagement,)).fetchone()
    if head is None:
        return
    length, last = head
    if since >= length:
        return
    before = first_link(engagement)
    if since:
        found = db.execute(f"SELECT j.link {OF_ENGAGEMENT} AND j.place = ?", (engagement, since)).fetchone()
        before = found[0] if found else before
    end = verify_links(engagement, chained, before, since)
    if end != last or since + len(chained) != length:
        raise LedgerError("store_corrupt", f"the journal of {engagement} does not end as its entry says")


def read_summary(data: bytes) -> Summary:
    """The entry of an engagement.

    Raises:
        LedgerError: `store_corrupt`, it cannot be read.
    """
    try:
        return msgspec.json.decode(data, type=Summary)
    except msgspec.MsgspecError as exc:
        raise LedgerError("store_corrupt", "the entry of an engagement cannot be read") from exc


def read_waiting(db: sqlite3.Connection, engagement: str, place: int, digest: str) -> Row:
    """The row that an outbox names.

    Raises:
        LedgerError: `store_corrupt`, the journal does not hold it.
    """
    found = db.execute(f"SELECT {COLUMNS} {OF_ENGAGEMENT} AND j.place = ?", (engagement, place)).fetchone()
    row = Row(engagement, *found[:-1]) if found else None
    if row is None or row.digest != digest:
        raise LedgerError(
            "store_corrupt", f"the outbox of {engagement} names {digest}, which its journal does not hold"
        )
    return row


def read_evidence(db: sqlite3.Connection, sql: str, *given: str) -> tuple[Blob, ...]:
    """What was kept, as it was found by `EVIDENCE`.

    Raises:
        LedgerError: `store_corrupt`, as `intact`.
    """
    found: Iterable[tuple[str, bytes, str, str]] = db.execute(sql, given)
    return tuple([Blob(digest, intact(digest, raw), kind, name) for digest, raw, kind, name in found])


def intact(digest: Digest, raw: bytes) -> bytes:
    """These bytes, if they are those that were kept under this digest.

    Raises:
        LedgerError: `store_corrupt`, they are not.
    """
    if digest_bytes(raw) != digest:
        raise LedgerError("store_corrupt", f"evidence {digest} was changed", found=digest_bytes(raw))
    return raw
