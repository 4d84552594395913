"""A group of writes to a SQLite ledger: worked out in memory, written as one transaction, adopted once that is on disk.

Heads of live engagements, what was last drawn on limits and the right edge of the tree are kept in memory and checked
there. What a group changes in them is staged until after COMMIT, so of a group that fails nothing is left.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec
import structlog

from undersigned.encoding import Amount
from undersigned.errors import LedgerError, UndersignedError
from undersigned.ledger import usage as limits
from undersigned.ledger.base import Commit, Committed, Reservation, Spent
from undersigned.ledger.chain import check_commit, first_link, link
from undersigned.ledger.seen import Head, Seen, saw
from undersigned.ledger.sqlite_file import HeadFile
from undersigned.ledger.sqlite_rows import (
    RESERVATION,
    USAGE,
    Insert,
    LimitRows,
    Outbox,
    SqliteBook,
    StagedBook,
    engagement_seal,
    find_leaf,
    load_tree,
    node_source,
    read_seen,
    require_tree_seal,
    reservation_row,
    seal,
    seen_row,
    tree_seal,
)
from undersigned.transparency import Frontier, leaf_hash, root_at

__all__ = ["GroupChanges", "Outcome", "Release", "SeenChange", "SignedHead", "Write", "WriterState"]

_log = structlog.get_logger()

MAX_HEADS: Final = 65_536
MAX_LIMITS: Final = 8192
"""Reservations, and keys of limits, that are kept in memory; beyond it they are read again."""
MAX_NODES: Final = 8192
"""Nodes of the tree that are kept in memory."""


class Release(msgspec.Struct, frozen=True):
    """Asks for a reservation to be released."""

    id: str


class SignedHead(msgspec.Struct, frozen=True):
    """Asks for a signed checkpoint to be kept."""

    head: Head
    note: str


class SeenChange(msgspec.Struct, frozen=True):
    """Asks for what is kept of another log to be changed."""

    log: str
    change: Callable[[Seen | None], Seen]


Write: TypeAlias = Commit | Reservation | Spent | Release | SignedHead | SeenChange
Outcome: TypeAlias = Committed | Mapping[str, Amount] | UndersignedError | None


class EngagementHead(msgspec.Struct):
    """Where an engagement's journal ends."""

    id: int
    own: int
    peer: int
    length: int
    link: bytes
    live: int
    outbox: Outbox
    leaves: dict[bytes, int]
    """Place in the tree of each of its leaves, by hash."""
    new: bool = False


class GroupChanges:
    """What one group is about to change: rows to be written, and what memory will hold once they are."""

    __slots__ = (
        "blobs",
        "effects",
        "engagements",
        "evidence",
        "frontier",
        "heads",
        "leaf_index",
        "leaves",
        "limits",
        "new",
        "nodes",
        "rows",
        "seen",
        "turned",
    )

    def __init__(self) -> None:
        self.heads: dict[str, EngagementHead] = {}
        self.engagements: dict[str, tuple[Any, ...]] = {}
        self.new = 0
        """How many of them are new."""
        self.turned: set[int] = set()
        """Engagements that are live and were not, or the other way round."""
        self.rows: list[tuple[Any, ...]] = []
        self.effects: list[tuple[int, str, bytes]] = []
        self.blobs: dict[str, bytes] = {}
        self.evidence: list[tuple[int, str, str, str, bytes]] = []
        self.seen: dict[str, Seen] = {}
        self.frontier: Frontier | None = None
        self.leaf_index: dict[str, dict[bytes, int]] = {}
        """What is added to the leaves of engagements."""
        self.leaves: list[tuple[int, int, bytes, bytes, bytes]] = []
        self.nodes: dict[tuple[int, int], bytes] = {}
        self.limits = LimitRows()


class WriterState:
    """What the writing thread holds in memory of a ledger, and how a group of writes changes it."""

    def __init__(self, head_file: HeadFile) -> None:
        self.head: Head | None = None
        """Head of the tree as it is on disk; None before it was read. Replaced whole, so any thread may read it."""
        self.nodes: dict[tuple[int, int], bytes] = {}
        """Complete nodes that are on disk, by level and place, as far as they are in memory; any thread may read it."""
        self._heads: dict[str, EngagementHead] = {}
        self._seen: dict[str, Seen] = {}
        self._limits = LimitRows()
        self._others: int | None = None
        """SQLite's count of what other connections wrote, as of our last transaction."""
        self._nameless = False
        """Whether leaves are of a time when their engagement was not kept: any of them may be of any."""
        self._next_engagement = 1
        self._frontier = Frontier()
        self._head_file = head_file

    def read(self, db: sqlite3.Connection, *, beside: bool) -> None:
        """Begins with what a database holds that was opened now, and again holds no less of the tree than it did;
        `beside` the process that writes its journals, with limits alone.

        Raises:
            LedgerError: `store_corrupt`, `ledger_diverged`: as `load_tree`.
        """
        self._others, self._limits = None, LimitRows()
        if beside:
            return
        self._heads, self._seen, self.nodes = {}, {}, {}
        self._next_engagement = 1 + db.execute("SELECT ifnull(max(id), 0) FROM engagement").fetchone()[0]
        known = self.head or self._head_file.at_opening()
        self._frontier = load_tree(db, known)
        if known is None and self._frontier.size:
            hint = "so it is in a copy, and after a power cut; if it was taken away, a ledger that was cut looks whole"
            _log.warning("nothing beside the ledger says how long it was", missing=str(self._head_file.path), hint=hint)
        self._nameless = db.execute("SELECT 1 FROM leaf WHERE engagement = 0 LIMIT 1").fetchone() is not None
        self.head = Head(self._frontier.size, self._frontier.root)

    def remember(self, nodes: Mapping[tuple[int, int], bytes]) -> None:
        """Keeps in memory complete nodes that are on disk; any thread may do so."""
        if len(self.nodes) > MAX_NODES:
            self.nodes = {}
        self.nodes.update(nodes)

    def begin(self, db: sqlite3.Connection) -> GroupChanges:
        """Begins a transaction, for which other processes have to wait."""
        db.execute("BEGIN IMMEDIATE")
        others = db.execute("PRAGMA data_version").fetchone()[0]
        if others != self._others:
            # Another process booked since: what is in memory of limits may be less than what is used.
            self._others, self._limits = others, LimitRows()
        return GroupChanges()

    def apply(self, db: sqlite3.Connection, stage: GroupChanges, write: Write) -> Outcome:
        """Works out what a write changes.

        Raises:
            UndersignedError: It is refused, and changes nothing.
        """
        if isinstance(write, Commit):
            return self._apply_commit(db, stage, write)
        if isinstance(write, SignedHead):
            self._keep_checkpoint(db, stage, write)
            return None
        if isinstance(write, SeenChange):
            stage.seen[write.log] = write.change(self._seen_of(db, stage, write.log))
            return None
        book = StagedBook(SqliteBook(db), self._limits, stage.limits)
        totals: Mapping[str, Amount] | None = None
        if isinstance(write, Reservation):
            totals = limits.reserve(book, write)
        elif isinstance(write, Spent):
            limits.settle(book, write)
        else:
            limits.release(book, write.id)
        book.keep()
        return totals

    def _apply_commit(self, db: sqlite3.Connection, stage: GroupChanges, commit: Commit) -> Committed:
        name = commit.engagement
        head = stage.heads.get(name) or self._heads.get(name) or self._stored_head(db, name)
        if head is None:
            check_commit(commit, 0, 0, None)
            # Within a group, ids are counted up from what is stored.
            head = EngagementHead(self._next_engagement + stage.new, 0, 0, 0, first_link(name), 0, (), {}, True)
        else:
            check_commit(commit, head.own, head.peer, head.length)
        seen: dict[str, Seen] = {}
        for one in commit.seen:
            seen[one.log] = saw(seen.get(one.log) or self._seen_of(db, stage, one.log), one)
        if commit.reserve or commit.settle or commit.release:
            book = StagedBook(SqliteBook(db), self._limits, stage.limits)
            limits.book(book, commit)
            if commit.freed:
                _free(db, head.id, commit)
            book.keep()
        elif commit.freed:
            _free(db, head.id, commit)
        # From here on nothing is refused but by the database's keys.
        stage.seen |= seen
        id, at = head.id, head.link
        for row in commit.rows:
            at = link(at, row)
            stage.rows.append(
                (id, row.place, row.kind, row.at, row.sender, row.sequence, row.type, row.digest, row.raw, at)
            )
        own, peer = commit.position
        length = head.length + len(commit.rows)
        outbox = head.outbox
        if commit.outbox or commit.receipted or commit.freed:
            gone = commit.receipted + commit.freed
            places = {row.digest: row.place for row in commit.rows}
            waiting = (*outbox, *[(places[digest], digest) for digest in commit.outbox])
            outbox = tuple([item for item in waiting if item[1] not in gone]) if gone else waiting
        summary, live = msgspec.json.encode(commit.summary), int(commit.summary.live)
        stage.new += head.new and name not in stage.heads
        stage.heads[name] = EngagementHead(id, own, peer, length, at, live, outbox, head.leaves, head.new)
        if live != head.live:
            stage.turned.add(id)
        listed = msgspec.json.encode(outbox)
        mark = engagement_seal(name, own, peer, length, at, live, summary, listed)
        stage.engagements[name] = (id, name, own, peer, length, at, live, summary, listed, mark)
        if commit.effects:
            stage.effects += [(id, key, seal(id, key)) for key in commit.effects]
        for blob in commit.evidence:
            stage.blobs[blob.digest] = blob.raw
            stage.evidence.append((id, blob.digest, blob.kind, blob.name, seal(id, blob.digest, blob.kind, blob.name)))
        return Committed(self._append(db, stage, name, commit.leaves) if commit.leaves else ())

    def _seen_of(self, db: sqlite3.Connection, stage: GroupChanges, log: str) -> Seen | None:
        return stage.seen.get(log) or self._seen.get(log) or read_seen(db, log)

    def _stored_head(self, db: sqlite3.Connection, name: str) -> EngagementHead | None:
        found = db.execute(
            "SELECT id, own, peer, length, head, live, summary, outbox, seal FROM engagement WHERE name = ?", (name,)
        ).fetchone()
        if found is None:
            return None
        id, own, peer, length, at, live, summary, outbox, mark = found
        if engagement_seal(name, own, peer, length, at, live, summary, outbox) != mark:
            raise LedgerError("store_corrupt", f"the entry of {name} was changed")
        leaves = dict(db.execute("SELECT hash, id FROM leaf WHERE engagement = ?", (id,)).fetchall())
        return EngagementHead(id, own, peer, length, at, live, msgspec.json.decode(outbox, type=Outbox), leaves)

    def _append(
        self, db: sqlite3.Connection, stage: GroupChanges, name: str, leaves: Sequence[bytes]
    ) -> tuple[int, ...]:
        head, added = stage.heads[name], stage.leaf_index.setdefault(name, {})
        places: list[int] = []
        for data in leaves:
            value = leaf_hash(data)
            known = added.get(value, head.leaves.get(value))
            if known is None and self._nameless:
                known = find_leaf(db, 0, value)
            if known is None:
                if stage.frontier is None:
                    stage.frontier = self._frontier.copy()
                known = added[value] = stage.frontier.size
                inner = b""
                for level, at, node in stage.frontier.append(value):
                    stage.nodes[level, at] = node
                    if level:
                        inner += node
                stage.leaves.append((known, head.id, value, inner, data))
            places.append(known)
        return tuple(places)

    def _keep_checkpoint(self, db: sqlite3.Connection, stage: GroupChanges, signed: SignedHead) -> None:
        stored = node_source(db)

        def node(level: int, place: int) -> bytes:
            return stage.nodes.get((level, place)) or stored(level, place)

        head = signed.head
        size = (stage.frontier or self._frontier).size
        if not 0 <= head.size <= size or root_at(head.size, node) != head.root:
            raise LedgerError("ledger_diverged", f"the tree never had this root at {head.size} leaves")
        require_tree_seal(db)
        db.execute(
            "UPDATE tree SET checkpoint_size = ?, checkpoint_root = ?, checkpoint = ?"
            " WHERE checkpoint IS NULL OR checkpoint_size <= ?",
            (head.size, head.root, signed.note, head.size),
        )
        db.execute("UPDATE tree SET seal = ?", (tree_seal(db),))

    def flush(self, db: sqlite3.Connection, stage: GroupChanges) -> None:
        """Writes the rows of a group, which are not there before COMMIT."""
        engagements = stage.engagements.values()
        for insert, rows in (
            (_ENGAGEMENT, [row for row in engagements if row[0] in stage.turned]),
            (_GOES_ON, [row for row in engagements if row[0] not in stage.turned]),
            (_ROW, stage.rows),
            (_EFFECT, stage.effects),
            (_BLOB, list(stage.blobs.items())),
            (_EVIDENCE, stage.evidence),
            (_SEEN, [seen_row(log, seen) for log, seen in stage.seen.items()]),
            (_LEAF, stage.leaves),
            (RESERVATION, [reservation_row(entry) for entry in stage.limits.entries.values()]),
            (USAGE, [(*key, *total) for key, total in stage.limits.totals.items()]),
        ):
            if rows:
                insert.all(db, rows)
        if stage.frontier is not None:
            db.execute("UPDATE tree SET size = ?, root = ?", (stage.frontier.size, stage.frontier.root))

    def adopt(self, stage: GroupChanges) -> None:
        """Takes over what a group changed, which is on disk now."""
        if len(self._heads) > MAX_HEADS:
            self._heads.clear()
        for name, added in stage.leaf_index.items():
            stage.heads[name].leaves.update(added)
        self._next_engagement += stage.new
        for name, head in stage.heads.items():
            if head.new:
                head.new = False
            if head.live:
                self._heads[name] = head
            else:
                self._heads.pop(name, None)
        if len(self._seen) > MAX_HEADS:
            self._seen.clear()
        self._seen.update(stage.seen)
        if len(self._limits.entries) > MAX_LIMITS or len(self._limits.totals) > MAX_LIMITS:
            self._limits = LimitRows()
        self._limits.update(stage.limits)
        if stage.frontier is not None:
            self._frontier = stage.frontier
            self.remember(stage.nodes)
            self.head = Head(stage.frontier.size, stage.frontier.root)
            self._head_file.write(self.head)


_INTO: Final = "INTO engagement (id, name, own, peer, length, head, live, summary, outbox, seal)"
_CHANGED: Final = (
    " ON CONFLICT (id) DO UPDATE SET own = excluded.own, peer = excluded.peer, length = excluded.length,"
    " head = excluded.head, summary = excluded.summary, outbox = excluded.outbox, seal = excluded.seal"
)
_BYTES: Final = ("head", "summary", "outbox", "seal")
_GOES_ON: Final = Insert(_INTO, _CHANGED, blobs=_BYTES)
_ENGAGEMENT: Final = Insert(_INTO, _CHANGED + ", live = excluded.live", blobs=_BYTES)
"""What sets `live` writes to the index of those that are, whether it changes or not."""
_ROW: Final = Insert(
    "INTO journal (engagement, place, kind, at, sender, sequence, type, digest, raw, link)", blobs=("raw", "link")
)
_EFFECT: Final = Insert("INTO effect (engagement, key, seal)", blobs=("seal",))
_BLOB: Final = Insert("OR IGNORE INTO blob (digest, raw)", blobs=("raw",))
_EVIDENCE: Final = Insert("OR IGNORE INTO evidence (engagement, digest, kind, name, seal)", blobs=("seal",))
_SEEN: Final = Insert("OR REPLACE INTO seen_log (log, body, seal)", blobs=("body", "seal"))
_LEAF: Final = Insert("INTO leaf (id, engagement, hash, inner, data)", blobs=("hash", "inner", "data"))
_FREE: Final = (
    "UPDATE journal SET freed = 1"
    " WHERE engagement = ? AND digest = ? AND sender <> ? AND sequence IS NOT NULL AND freed = 0"
)


def _free(db: sqlite3.Connection, engagement: int, commit: Commit) -> None:
    """Gives up the places of moves that the peer refused; if one holds none, nothing is given up."""
    db.execute("SAVEPOINT free")
    for digest in commit.freed:
        if db.execute(_FREE, (engagement, digest, commit.summary.peer)).rowcount != 1:
            db.execute("ROLLBACK TO free")
            db.execute("RELEASE free")
            raise LedgerError("not_found", f"{digest} holds no place of ours")
    db.execute("RELEASE free")
