"""How a journal is chained, and what a commit must satisfy before any store looks at it.

Each row's link is SHA-256 over the link before, the row's fields and its raw bytes. The first follows a hash of the
engagement id. A changed, missing or swapped row breaks every link after it.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

import msgspec

from undersigned.encoding import decode_json, digest_bytes, digest_of
from undersigned.errors import LedgerConflict, LedgerError, UndersignedError
from undersigned.ledger.base import Commit, Defect, Row

__all__ = ["check_commit", "content_defect", "first_link", "link", "verify_links"]

HASHED_AT_ONCE: Final = 2047
"""From 2048 bytes on `hashlib` gives up the interpreter, and getting it back from a busy thread takes far longer."""


def first_link(engagement: str) -> bytes:
    """What the first row of an engagement is chained to."""
    return sha256(b"hire/v1 journal\n" + engagement.encode()).digest()


def link(before: bytes, row: Row) -> bytes:
    """32-byte link of `row`, given the link of the row before."""
    fields = (row.place, row.kind, row.at, row.sender, row.sequence, row.type, row.digest)
    # A JSON array ends where it ends, so that no byte can move between the fields and the raw bytes.
    text = before + msgspec.json.encode(fields) + row.raw
    made = sha256(text[:HASHED_AT_ONCE])
    for start in range(HASHED_AT_ONCE, len(text), HASHED_AT_ONCE):
        made.update(text[start : start + HASHED_AT_ONCE])
    return made.digest()


def verify_links(engagement: str, rows: Iterable[tuple[Row, bytes]], before: bytes, place: int) -> bytes:
    """The last link, once every (row, stored link) after `place`, whose link is `before`, follows from the one before.

    Raises:
        LedgerError: `store_corrupt`: a place is missing, or a link does not recompute.
    """
    at = before
    for row, stored in rows:
        place += 1
        at = link(at, row)
        if row.place != place or at != stored:
            raise LedgerError("store_corrupt", f"journal of {engagement}: place {place} does not follow", place=place)
    return at


def content_defect(row: Row) -> Defect | None:
    """What is wrong between a row's raw bytes and the digest beside them, or None."""
    where = f"journal of {row.engagement}, place {row.place}"
    if row.kind == "noted":
        return None
    try:
        content = decode_json(row.raw)
        found = digest_of(content) if isinstance(content, dict) else ""
    except UndersignedError as exc:
        return Defect("store_corrupt", where, f"not a message: {exc}")
    return None if found == row.digest else Defect("store_corrupt", where, f"is {found}, recorded as {row.digest}")


def check_commit(commit: Commit, own: int, peer: int, length: int | None) -> None:
    """`commit` was decided on what is stored: (`own`, `peer`) moves in `length` rows, None if nothing is.

    Raises:
        LedgerConflict: It was decided on something else.
        LedgerError: `internal`: rows, position and outbox of the commit contradict each other; `digest_mismatch`.
    """
    if commit.expected is None:
        if length is not None:
            raise LedgerConflict("store_conflict", f"{commit.engagement} is in the ledger already")
    elif commit.expected != (own, peer):
        raise LedgerConflict(
            "store_conflict", f"decided on position {commit.expected}, stored is {(own, peer)}: {commit.engagement}"
        )
    place = length or 0
    expected_own, expected_peer = own - len(commit.freed), peer
    for row in commit.rows:
        place += 1
        if row.place != place:
            raise LedgerConflict("store_conflict", f"place {row.place} decided on, the next is {place}")
        if row.engagement != commit.engagement or (row.kind == "noted" and row.sequence is not None):
            raise LedgerError("internal", f"row {row.place} is not a row of {commit.engagement}")
        if row.sequence is not None:
            if row.sender == commit.summary.peer:
                expected_peer += 1
            else:
                expected_own += 1
    if commit.position != (expected_own, expected_peer) or commit.summary.position != commit.position:
        raise LedgerError(
            "internal",
            f"the rows lead to position {(expected_own, expected_peer)}, the commit says {commit.position}, "
            f"its summary {commit.summary.position}",
        )
    if commit.summary.engagement != commit.engagement:
        raise LedgerError("internal", "the summary is of another engagement")
    if commit.outbox:
        sent = [row.digest for row in commit.rows if row.kind == "sent"]
        for digest in commit.outbox:
            if digest not in sent:
                raise LedgerError("not_found", f"{digest} goes into the outbox but is no row sent by this commit")
    for blob in commit.evidence:
        if digest_bytes(blob.raw) != blob.digest:
            raise LedgerError("digest_mismatch", f"evidence {blob.kind} {blob.name} is not of digest {blob.digest}")
