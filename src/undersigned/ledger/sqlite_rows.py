"""What is kept beside the journal in SQLite: seals of rows, the stored tree, and the tables of limits.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.4
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from hashlib import sha256
from itertools import chain
from typing import Any, Final, TypeAlias

import msgspec

from undersigned.encoding import Amount, Instant
from undersigned.errors import LedgerError, LogProofError
from undersigned.ledger import usage as limits
from undersigned.ledger.seen import Head, Seen
from undersigned.ledger.sqlite_file import seal
from undersigned.transparency import Frontier, root_at

__all__ = [
    "RESERVATION",
    "USAGE",
    "Insert",
    "LimitRows",
    "Outbox",
    "SqliteBook",
    "StagedBook",
    "engagement_seal",
    "find_leaf",
    "load_tree",
    "node_source",
    "read_entry",
    "read_seen",
    "require_tree_seal",
    "reservation_row",
    "seal",
    "seen_row",
    "size_of",
    "tree_seal",
    "tree_size",
]

Outbox: TypeAlias = tuple[tuple[int, str], ...]
"""(place, digest) of each own move without a receipt, oldest first."""


def engagement_seal(
    name: str, own: int, peer: int, length: int, head: bytes, live: int, summary: bytes, outbox: bytes
) -> bytes:
    """Seals the row of an engagement, as `seal` does others, over two JSON texts and a hash of fixed length."""
    return sha256(msgspec.json.encode((name, own, peer, length, live)) + head + summary + outbox).digest()


_OF_TREE: Final = "secret, checkpoint_size, checkpoint_root, checkpoint, unseen"


def tree_seal(db: sqlite3.Connection) -> bytes:
    """Seals what of the tree's row does not follow from its leaves."""
    return seal(*db.execute(f"SELECT {_OF_TREE} FROM tree").fetchone())  # noqa: S608 - columns of ours


def require_tree_seal(db: sqlite3.Connection) -> None:
    """Returns if that was not changed.

    Raises:
        LedgerError: `store_corrupt`.
    """
    if tree_seal(db) != db.execute("SELECT seal FROM tree").fetchone()[0]:
        raise LedgerError("store_corrupt", "the secret of the tree or its signed checkpoint was changed")


def seen_row(log: str, seen: Seen) -> tuple[str, bytes, bytes]:
    """The row of what was seen of a log."""
    body = msgspec.json.encode(seen)
    return log, body, seal(log, body)


def read_seen(db: sqlite3.Connection, log: str) -> Seen | None:
    """What was seen of a log, or None.

    Raises:
        LedgerError: `store_corrupt`: the row was changed.
    """
    found = db.execute("SELECT body, seal FROM seen_log WHERE log = ?", (log,)).fetchone()
    if found is None:
        return None
    if seal(log, found[0]) != found[1]:
        raise LedgerError("store_corrupt", f"what was seen of the log of {log} was changed")
    return msgspec.json.decode(found[0], type=Seen)


def node_source(db: sqlite3.Connection) -> Callable[[int, int], bytes]:
    """Complete nodes of the stored tree."""

    def node(level: int, place: int) -> bytes:
        if level:
            last = ((place + 1) << level) - 1
            found = db.execute("SELECT substr(inner, ?, 32) FROM leaf WHERE id = ?", (32 * level - 31, last)).fetchone()
        else:
            found = db.execute("SELECT hash FROM leaf WHERE id = ?", (place,)).fetchone()
        if found is None or len(found[0] or b"") != 32:  # of no bytes at all SQLite gives no part
            raise LedgerError("store_corrupt", f"the tree misses node {place} of level {level}")
        return found[0]

    return node


def find_leaf(db: sqlite3.Connection, engagement: int, hash: bytes) -> int | None:
    """Place of a leaf of this engagement, or of a time when it was not kept whose a leaf is."""
    found = db.execute("SELECT id FROM leaf WHERE engagement IN (0, ?) AND hash = ?", (engagement, hash)).fetchone()
    return found[0] if found else None


def tree_size(db: sqlite3.Connection) -> int:
    """How many leaves the stored tree has."""
    return db.execute("SELECT size FROM tree").fetchone()[0]


def size_of(db: sqlite3.Connection, size: int | None, head: Head | None = None) -> int:
    """The size that is asked for, of the tree as it is stored or as its `head` is known; that of all of it for None.

    Raises:
        LogProofError: `log_proof_invalid`, the tree is not so large.
    """
    total = tree_size(db) if head is None else head.size
    if size is None:
        return total
    if not 0 <= size <= total:
        raise LogProofError("log_proof_invalid", f"the tree has {total} leaves, not {size}")
    return size


def load_tree(db: sqlite3.Connection, known: Head | None) -> Frontier:
    """The stored tree's right edge, once it agrees with the heads kept inside and beside the database.

    Raises:
        LedgerError: `store_corrupt`: it does not lead to its own root; `ledger_diverged`: it is shorter than, or
            another than, the signed checkpoint or the head beside it says.
    """
    size, root, signed_size, signed_root = db.execute(
        "SELECT size, root, checkpoint_size, checkpoint_root FROM tree"
    ).fetchone()
    require_tree_seal(db)
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
                " restored from an older copy. Nothing is written, because it would contradict what was signed: put the"
                " newest ledger back, with the files beside it. If it is lost, this one can still be read and exported"
                " from, and the agent begins again in another state folder, under another DID",
            )
    return frontier


class Insert:
    """An INSERT of many rows as one statement: each statement costs the writing thread a turn of the interpreter."""

    ROWS_AT_ONCE: Final = 32

    def __init__(self, into: str, otherwise: str = "", *, blobs: tuple[str, ...] = ()) -> None:
        """`into` names table and columns, `blobs` those that are bytes; `otherwise` is an ON CONFLICT clause."""
        columns = into[into.index("(") + 1 : -1].split(", ")
        self._width = len(columns)
        self._blobs = [columns.index(name) for name in blobs]
        place = f"({', '.join('?' * self._width)})"
        self._sql = [
            f"INSERT {into} VALUES {', '.join([place] * count)}{otherwise}"  # noqa: S608 - all of it is written here
            for count in range(self.ROWS_AT_ONCE + 1)
        ]

    def all(self, db: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Inserts all `rows`."""
        for start in range(0, len(rows), self.ROWS_AT_ONCE):
            some = rows[start : start + self.ROWS_AT_ONCE]
            values = list(chain.from_iterable(some))
            for column in self._blobs:
                # A bytearray is taken as it is; for each bytes `sqlite3` looks how to adapt it, which takes longer.
                values[column :: self._width] = map(bytearray, values[column :: self._width])
            db.execute(self._sql[len(some)], values)


RESERVATION: Final = Insert(
    "INTO reservation (id, contract, kind, state, until, body, seal)",
    " ON CONFLICT (id) DO UPDATE"
    " SET state = excluded.state, until = excluded.until, body = excluded.body, seal = excluded.seal",
    blobs=("body", "seal"),
)
USAGE: Final = Insert("OR REPLACE INTO usage (contract, key, used, held)")


class SqliteBook:
    """Limits as the tables hold them; see `undersigned.ledger.usage.Book`."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def find(self, id: str) -> limits.Entry | None:
        """See `Book.find`."""
        found = self._db.execute(f"{_RESERVATION} WHERE id = ?", (id,)).fetchone()
        return None if found is None else read_entry(found)

    def total(self, contract: str, key: str) -> tuple[Amount, Amount]:
        """See `Book.total`."""
        found = self._db.execute("SELECT used, held FROM usage WHERE contract = ? AND key = ?", (contract, key))
        return found.fetchone() or ("0", "0")

    def lapsed(self, contract: str, now: Instant) -> Sequence[limits.Entry]:
        """See `Book.lapsed`."""
        found = self._db.execute(
            f"{_RESERVATION} WHERE state = 'open' AND contract = ? AND kind = 'capacity' AND until < ?", (contract, now)
        )
        return [read_entry(row) for row in found]

    def last_at(self) -> Instant | None:
        """When the last entry was made, or a promise that stands was made again, whichever is later."""
        newest = self._db.execute(f"{_RESERVATION} ORDER BY rowid DESC LIMIT 1").fetchall()
        # One that is made again keeps its row.
        promised = self._db.execute(f"{_RESERVATION} WHERE state = 'open' AND kind = 'capacity'").fetchall()
        return max([read_entry(row).reservation.at for row in newest + promised], default=None)

    def open(self, contract: str, prefix: str = "") -> Sequence[limits.Entry]:
        """Open entries of a contract whose id begins with `prefix`, oldest first."""
        found = self._db.execute(
            f"{_RESERVATION} WHERE state = 'open' AND contract = ? AND substr(id, 1, ?) = ? ORDER BY rowid",
            (contract, len(prefix), prefix),
        )
        return [read_entry(row) for row in found]


class LimitRows:
    """Rows of `reservation` and `usage` in memory: what a group changes, or what the tables are known to hold."""

    __slots__ = ("entries", "promised", "totals")

    def __init__(self) -> None:
        self.entries: dict[str, limits.Entry] = {}
        self.promised: dict[str, limits.Entry] = {}
        """Those of capacity."""
        self.totals: dict[tuple[str, str], tuple[Amount, Amount]] = {}

    def update(self, later: LimitRows) -> None:
        """Takes over what `later` holds."""
        self.entries.update(later.entries)
        self.promised.update(later.promised)
        self.totals.update(later.totals)


class StagedBook:
    """A `Book` for one write: changes stay in it until they are kept, and reach the tables with their group."""

    def __init__(self, stored: SqliteBook, known: LimitRows, group: LimitRows) -> None:
        """`known` is what `stored` need not be asked for, `group` what the group has changed; `keep` adds to that."""
        self._stored = stored
        self._known = known
        self._group = group
        self._own = LimitRows()

    def keep(self) -> None:
        """Adds the changes to those of the group; without this they are forgotten."""
        self._group.update(self._own)

    def find(self, id: str) -> limits.Entry | None:
        """See `Book.find`."""
        for held in (self._own, self._group, self._known):
            entry = held.entries.get(id)
            if entry is not None:
                return entry
        return self._stored.find(id)

    def put(self, entry: limits.Entry) -> None:
        """See `Book.put`."""
        self._own.entries[entry.reservation.id] = entry
        if entry.reservation.kind == "capacity":
            self._own.promised[entry.reservation.id] = entry

    def total(self, contract: str, key: str) -> tuple[Amount, Amount]:
        """See `Book.total`."""
        for held in (self._own, self._group, self._known):
            total = held.totals.get((contract, key))
            if total is not None:
                return total
        return self._stored.total(contract, key)

    def set_total(self, contract: str, key: str, used: Amount, held: Amount) -> None:
        """See `Book.set_total`."""
        self._own.totals[contract, key] = used, held

    def lapsed(self, contract: str, now: Instant) -> Sequence[limits.Entry]:
        """See `Book.lapsed`."""
        found = {entry.reservation.id: entry for entry in self._stored.lapsed(contract, now)}
        for id, entry in chain(self._group.promised.items(), self._own.promised.items()):
            wanted = entry.reservation
            if wanted.contract == contract and entry.state == "open" and wanted.until < now:
                found[id] = entry
            elif id in found:
                del found[id]
        return list(found.values())


def reservation_row(entry: limits.Entry) -> tuple[Any, ...]:
    """The columns of `reservation` for an entry."""
    item, body = entry.reservation, msgspec.json.encode(entry)
    values = (item.id, item.contract, item.kind, entry.state, item.until, body)
    return (*values, seal(*values))


_RESERVATION: Final = "SELECT id, contract, kind, state, until, body, seal FROM reservation"


def read_entry(row: Sequence[Any]) -> limits.Entry:
    """The entry in a row of `reservation`.

    Raises:
        LedgerError: `store_corrupt`: the row was changed.
    """
    if seal(*row[:6]) != row[6]:
        raise LedgerError("store_corrupt", f"reservation {row[0]} was changed")
    return msgspec.json.decode(row[5], type=limits.Entry)
