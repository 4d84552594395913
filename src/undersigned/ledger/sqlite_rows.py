"""What is kept beside the journal in SQLite: seals of rows, the stored tree, and the tables of limits.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.4
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, Final, TypeAlias

import msgspec

from undersigned.encoding import Amount, Instant
from undersigned.errors import LedgerError
from undersigned.ledger import usage as limits
from undersigned.ledger.base import Head
from undersigned.transparency import Frontier, root_at

__all__ = ["Outbox", "SqliteBook", "engagement_seal", "load_tree", "node_source", "read_entry", "seal"]

Outbox: TypeAlias = tuple[tuple[int, str], ...]
"""(place, digest) of each own move without a receipt, oldest first."""


def seal(*values: object) -> bytes:
    """SHA-256 over a row's values, so that a changed bit in it shows."""
    return sha256(msgspec.json.encode(values)).digest()


def engagement_seal(
    name: str, own: int, peer: int, length: int, head: bytes, live: int, summary: bytes, outbox: bytes
) -> bytes:
    """The same for the row of an engagement, over two JSON texts and a hash of fixed length."""
    return sha256(msgspec.json.encode((name, own, peer, length, live)) + head + summary + outbox).digest()


def node_source(db: sqlite3.Connection) -> Callable[[int, int], bytes]:
    """Complete nodes of the stored tree."""

    def node(level: int, place: int) -> bytes:
        if level:
            found = db.execute("SELECT hash FROM node WHERE level = ? AND place = ?", (level, place)).fetchone()
        else:
            found = db.execute("SELECT hash FROM leaf WHERE id = ?", (place,)).fetchone()
        if found is None:
            raise LedgerError("store_corrupt", f"the tree misses node {place} of level {level}")
        return found[0]

    return node


def load_tree(db: sqlite3.Connection, known: Head | None) -> Frontier:
    """The stored tree's right edge, once it agrees with the heads kept inside and beside the database.

    Raises:
        LedgerError: `store_corrupt`: it does not lead to its own root; `ledger_diverged`: it is shorter than, or
            another than, the signed checkpoint or the head beside it says.
    """
    size, root, signed_size, signed_root = db.execute(
        "SELECT size, root, checkpoint_size, checkpoint_root FROM tree"
    ).fetchone()
    leaves = db.execute("SELECT ifnull(max(id), -1) + 1 FROM leaf").fetchone()[0]
    node = node_source(db)
    if leaves != size:
        raise LedgerError("ledger_diverged", f"the tree has {leaves} leaves; {size} were recorded")
    frontier = Frontier.load(size, node) if size else Frontier()
    if frontier.root != root:
        raise LedgerError("store_corrupt", f"the tree of {size} leaves does not lead to its root")
    for what, head in (("signed checkpoint", Head(signed_size, signed_root)), ("head file", known)):
        if head is None:
            continue
        if head.size > size or root_at(head.size, node) != head.root:
            raise LedgerError(
                "ledger_diverged",
                f"the {what} says {head.size} leaves, the database holds {size} or others: it was cut, replaced or"
                " restored from an older copy. Nothing is written until the operator decides",
            )
    return frontier


class SqliteBook:
    """Limits in tables; see `undersigned.ledger.usage.Book`."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def find(self, id: str) -> limits.Entry | None:
        """See `Book.find`."""
        found = self._db.execute(f"{_RESERVATION} WHERE id = ?", (id,)).fetchone()
        return None if found is None else read_entry(found)

    def put(self, entry: limits.Entry) -> None:
        """See `Book.put`."""
        item, body = entry.reservation, msgspec.json.encode(entry)
        values = (item.id, item.contract, item.kind, entry.state, item.until, body)
        self._db.execute(
            "INSERT INTO reservation VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE"
            " SET state = excluded.state, until = excluded.until, body = excluded.body, seal = excluded.seal",
            (*values, seal(*values)),
        )

    def total(self, contract: str, key: str) -> tuple[Amount, Amount]:
        """See `Book.total`."""
        found = self._db.execute("SELECT used, held FROM usage WHERE contract = ? AND key = ?", (contract, key))
        return found.fetchone() or ("0", "0")

    def set_total(self, contract: str, key: str, used: Amount, held: Amount) -> None:
        """See `Book.set_total`."""
        self._db.execute("INSERT OR REPLACE INTO usage VALUES (?, ?, ?, ?)", (contract, key, used, held))

    def lapsed(self, contract: str, now: Instant) -> Sequence[limits.Entry]:
        """See `Book.lapsed`."""
        found = self._db.execute(
            f"{_RESERVATION} WHERE state = 'open' AND contract = ? AND kind = 'capacity' AND until < ?", (contract, now)
        )
        return [read_entry(row) for row in found]

    def open(self, contract: str) -> Sequence[limits.Entry]:
        """Open entries of a contract, oldest first."""
        found = self._db.execute(f"{_RESERVATION} WHERE state = 'open' AND contract = ? ORDER BY rowid", (contract,))
        return [read_entry(row) for row in found]


_RESERVATION: Final = "SELECT id, contract, kind, state, until, body, seal FROM reservation"


def read_entry(row: Sequence[Any]) -> limits.Entry:
    """The entry in a row of `reservation`.

    Raises:
        LedgerError: `store_corrupt`: the row was changed.
    """
    if seal(*row[:6]) != row[6]:
        raise LedgerError("store_corrupt", f"reservation {row[0]} was changed")
    return msgspec.json.decode(row[5], type=limits.Entry)
