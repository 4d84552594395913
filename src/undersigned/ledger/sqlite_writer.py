"""The thread that writes a SQLite ledger: one at a time, and all that queued up during a sync with the next one.

Nobody waits for a timer. What the event loop asks for in a few of its rounds comes as one, and while a transaction is
being synced, further writes queue up; they make the next group, so a slow disk makes larger groups and a quiet ledger
has groups of one. Each answer goes back after its group's COMMIT, one wake-up of the event loop for the whole group.

The thread is the only one that writes journals and tree (the lock sees to it), so heads of live engagements, what was
last drawn on limits and the right edge of the tree are kept in memory and checked there. What a group changes in them
is staged and adopted after COMMIT. Uniqueness is checked by the database's own keys: if they refuse a group, each of
its writes is tried by itself, and only the one at fault fails.

Beside it, gates in other processes may book on limits (`beside=True`), and do nothing else. SQLite lets one transaction
write at a time and says if another connection has written since the last one; then what is kept in memory of limits is
read again.

After a sync error nothing that SQLite or the system has cached can be believed. The handle is thrown away, the file
is opened and read again, and a checkpoint rewrites what the write-ahead log holds before anything is acknowledged.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

from undersigned.encoding import Amount
from undersigned.errors import LedgerConflict, LedgerError, LedgerUnavailable, UndersignedError
from undersigned.ledger import usage as limits
from undersigned.ledger.base import Commit, Committed, Counters, Reservation, Settlement
from undersigned.ledger.chain import check_commit, first_link, link
from undersigned.ledger.seen import Head, Seen, saw
from undersigned.ledger.sqlite_file import (
    HeadFile,
    Lock,
    Spare,
    connect,
    create_empty,
    disk_trouble,
    prepare,
    translated,
)
from undersigned.ledger.sqlite_rows import (
    RESERVATION,
    USAGE,
    Insert,
    Limits,
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

__all__ = ["Release", "SeenChange", "SignedHead", "Write", "Writer"]

MAX_GROUP: Final = 256
"""A group takes no more once it has so many writes."""
GATHER_ROUNDS: Final = 6
"""Rounds of the event loop that a write waits for others. A message takes three from its arrival to the write that it
causes, so what arrived together is written together; beyond six hardly anything joins (`make bench`)."""
MAX_HEADS: Final = 65_536
MAX_LIMITS: Final = 8192
"""Reservations, and keys of limits, that are kept in memory; beyond it they are read again."""
MAX_NODES: Final = 8192
"""Nodes of the tree that are kept in memory."""
PROBE_SECONDS: Final = 1.0


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


Write: TypeAlias = Commit | Reservation | Settlement | Release | SignedHead | SeenChange
Item: TypeAlias = tuple[Write, "asyncio.Future[Any]"]
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


class Stage:
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
        "nodes",
        "rows",
        "seen",
        "turned",
    )

    def __init__(self) -> None:
        self.heads: dict[str, EngagementHead] = {}
        self.engagements: dict[str, tuple[Any, ...]] = {}
        self.turned: set[int] = set()
        """Engagements that are new, or live and were not, or the other way round."""
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
        self.limits = Limits()


class Writer(threading.Thread):
    """Owns the writing connection. `start` it, await `opened`, `submit` writes, `stop` it."""

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop, *, beside: bool = False) -> None:
        super().__init__(name="undersigned-ledger", daemon=True)
        self._beside = beside
        self.counters = Counters()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.stopped: asyncio.Future[None] = loop.create_future()
        self.trouble: UndersignedError | None = None
        """Why the last attempt to write failed; None while all is well."""
        self.damage: LedgerError | None = None
        """Why this ledger is not written any more."""
        self.head: Head | None = None
        """Head of the tree as it is on disk; None before it was read. Replaced whole, so any thread may read it."""
        self.nodes: dict[tuple[int, int], bytes] = {}
        """Complete nodes that are on disk, by level and place, as far as they are in memory; any thread may read it."""
        self._loop = loop
        self._path = path
        self._queue: queue.SimpleQueue[list[Item] | None] = queue.SimpleQueue()
        self._gathered: list[Item] = []
        self._db: sqlite3.Connection | None = None
        self._heads: dict[str, EngagementHead] = {}
        self._seen: dict[str, Seen] = {}
        self._limits = Limits()
        self._others: int | None = None
        """SQLite's count of what other connections wrote, as of our last transaction."""
        self._nameless = False
        """Whether leaves are of a time when their engagement was not kept: any of them may be of any."""
        self._next_engagement = 1
        self._frontier = Frontier()
        self._spare = Spare(path.with_name(path.name + ".spare"))
        self._head_file = HeadFile(path.with_name(path.name + ".head"))

    def submit(self, write: Write) -> asyncio.Future[Any]:
        """Queue a write; the future is done once it is durable or refused.

        It reaches the thread a few rounds of the event loop later, together with what the other engagements that are
        awake write meanwhile: one sync for all of them. A loop that has nothing else to do turns in microseconds.
        """
        future = self._loop.create_future()
        if not self._gathered:
            self._loop.call_soon(self._gather, GATHER_ROUNDS)
        self._gathered.append((write, future))
        return future

    def remember(self, nodes: Mapping[tuple[int, int], bytes]) -> None:
        """Keeps in memory complete nodes that are on disk; any thread may do so."""
        if len(self.nodes) > MAX_NODES:
            self.nodes = {}
        self.nodes.update(nodes)

    def stop(self) -> None:
        """Write what is queued, then end."""
        self._hand_over()
        self._queue.put(None)

    def _gather(self, rounds: int) -> None:
        if rounds > 1 and len(self._gathered) < MAX_GROUP:
            self._loop.call_soon(self._gather, rounds - 1)
        else:
            self._hand_over()

    def _hand_over(self) -> None:
        gathered, self._gathered = self._gathered, []
        if gathered:
            # As one: put one by one, the first would wake the thread, which would begin without the others.
            self._queue.put(gathered)

    # the thread

    def run(self) -> None:
        """Open the ledger, then write groups until told to stop."""
        lock = None
        try:
            if not self._beside:
                lock = Lock(self._path.with_name(self._path.name + ".lock"))
                if not self._path.exists():
                    create_empty(self._path)  # whole or not at all, also where the disk is full
            self._open()
        except Exception as exc:
            if lock is not None:
                lock.release()
            error = exc if isinstance(exc, UndersignedError) else translated(exc, self._path)
            self._post(lambda: self.opened.set_exception(error))
            return
        self._post(lambda: self.opened.set_result(None))
        going = True
        while going:
            group, going = self._take()
            if group:
                self._answer(group, self._write([write for write, _ in group]))
            elif going:
                self._probe()
        self._drop()
        if lock is not None:
            lock.release()
        self._post(lambda: self.stopped.set_result(None))

    def _take(self) -> tuple[list[Item], bool]:
        """The next group, and whether to go on. While something is wrong an empty group comes every second."""
        group: list[Item] = []
        try:
            items = self._queue.get(timeout=PROBE_SECONDS if self.trouble and not self.damage else None)
            while items is not None:
                group += items
                if len(group) >= MAX_GROUP:
                    return group, True
                items = self._queue.get_nowait()
        except queue.Empty:
            return group, True
        return group, False

    def _answer(self, group: Sequence[Item], outcomes: Sequence[Outcome]) -> None:
        def resolve() -> None:
            for (_, future), outcome in zip(group, outcomes, strict=True):
                if future.done():
                    continue
                if isinstance(outcome, UndersignedError):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)

        self._post(resolve)

    def _post(self, callback: Callable[[], None]) -> None:
        # The loop may be gone before its ledger; what was written is written.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback)

    # opening, and opening again

    def _open(self) -> None:
        if self._beside and not self._path.exists():
            raise LedgerUnavailable("store_unavailable", f"there is no ledger {self._path} to book in")
        db = connect(self._path, writing=True)
        self._others = None
        try:
            prepare(db, self._path, writing=not self._beside)
            if self._beside:
                self._db, self._limits = db, Limits()
                return
            # Whatever the log holds is written to the database and synced, or opening fails.
            busy = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            if busy:
                raise LedgerUnavailable("store_unavailable", f"another connection keeps {self._path} busy")
            self._heads, self._limits, self.nodes = {}, Limits(), {}
            self._next_engagement = 1 + db.execute("SELECT ifnull(max(id), 0) FROM engagement").fetchone()[0]
            self._frontier = load_tree(db, self._head_file.at_opening())
            self._nameless = db.execute("SELECT 1 FROM leaf WHERE engagement = 0 LIMIT 1").fetchone() is not None
        except BaseException:
            db.close()
            raise
        self._db = db
        self.head = Head(self._frontier.size, self._frontier.root)
        self._spare.hold()

    def _ensure_open(self) -> sqlite3.Connection:
        if self._db is None:
            self._open()
        assert self._db is not None  # noqa: S101  (_open sets it or raises)
        return self._db

    def _drop(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            with suppress(sqlite3.Error):
                db.close()

    def _probe(self) -> None:
        """Nobody writes, and something was wrong: see whether it still is."""
        if self.damage is None:
            try:
                db = self._ensure_open()
                db.execute("UPDATE tree SET size = size")
                self.trouble = None if self._room() else self.trouble
            except (sqlite3.Error, OSError, UndersignedError) as exc:
                self._failed(exc)

    def _failed(self, exc: BaseException) -> UndersignedError:
        """Take note that the disk refused; returns the error for everybody whose write was lost."""
        error = exc if isinstance(exc, UndersignedError) else translated(exc, self._path)
        self.trouble = error
        self.counters.failures += 1
        if error.code in ("store_corrupt", "ledger_diverged") and isinstance(error, LedgerError):
            self.damage = error
        if error.code == "store_full" and self._db is not None:
            # Room was missing before the sync: nothing was written and the handle is sound.
            try:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                return error
            except sqlite3.Error:
                pass
        self._drop()
        return error

    # writing

    def _write(self, writes: Sequence[Write]) -> list[Outcome]:
        if self.damage is not None:
            return [self.damage] * len(writes)
        # With the spare room given up, only what is urgent may use the disk, until the room is held again.
        if self.trouble is not None and not self._room():
            return self._write_urgent(writes, self.trouble)
        outcomes, error = self._attempt(writes)
        if error is None:
            self.trouble = None
        elif error.code == "store_full" and not self._beside:
            self._spare.give_up()
            return self._write_urgent(writes, error)
        return outcomes

    def _room(self) -> bool:
        """Whether the spare room is held; it is the only one's who writes journals."""
        return self._beside or self._spare.hold()

    def _write_urgent(self, writes: Sequence[Write], error: UndersignedError) -> list[Outcome]:
        outcomes: list[Outcome] = [error] * len(writes)
        urgent = [at for at, write in enumerate(writes) if isinstance(write, Commit) and write.urgent]
        if urgent:
            written, _ = self._attempt([writes[at] for at in urgent])
            for at, outcome in zip(urgent, written, strict=True):
                outcomes[at] = outcome
        return outcomes

    def _attempt(self, writes: Sequence[Write]) -> tuple[list[Outcome], UndersignedError | None]:
        """Outcomes of all `writes`, and what was wrong with the disk, if anything."""
        try:
            db = self._ensure_open()
            try:
                return self._together(db, writes), None
            except Exception as exc:
                if disk_trouble(exc):
                    raise
                if db.in_transaction:
                    db.execute("ROLLBACK")
                if len(writes) == 1:
                    return [self._refusal(exc)], None
            # A key or a value was refused. Who is at fault shows when each is alone; the others are written.
            outcomes: list[Outcome] = []
            for write in writes:
                made, error = self._attempt([write])
                outcomes += made
                if error is not None:
                    return [*outcomes, *[error] * (len(writes) - len(outcomes))], error
            return outcomes, None
        except (sqlite3.Error, OSError, UndersignedError) as exc:
            error = self._failed(exc)
            return [error] * len(writes), error

    def _refusal(self, exc: Exception) -> UndersignedError:
        if not isinstance(exc, sqlite3.Error):
            return LedgerError("internal", f"not something a ledger can write: {exc!r}")
        error = translated(exc, self._path)
        if isinstance(error, LedgerConflict):
            self.counters.conflicts += 1
        return error

    def _together(self, db: sqlite3.Connection, writes: Sequence[Write]) -> list[Outcome]:
        """All `writes` in one transaction; a refusal known before anything is written takes only its own place."""
        stage = Stage()
        outcomes: list[Outcome] = []
        before = db.total_changes
        db.execute("BEGIN IMMEDIATE")
        others = db.execute("PRAGMA data_version").fetchone()[0]
        if others != self._others:
            # Another process booked since: what is in memory of limits may be less than what is used.
            self._others, self._limits = others, Limits()
        for write in writes:
            try:
                outcomes.append(self._apply(db, stage, write))
            except UndersignedError as exc:
                outcomes.append(exc)
                if exc.code == "store_corrupt" and isinstance(exc, LedgerError):
                    self.damage = exc
        self._flush(db, stage)
        db.execute("COMMIT")
        self._adopt(stage)
        self.counters.groups += db.total_changes > before
        for outcome in outcomes:
            if isinstance(outcome, Committed):
                self.counters.commits += 1
            elif isinstance(outcome, LedgerConflict):
                self.counters.conflicts += 1
        return outcomes

    def _apply(self, db: sqlite3.Connection, stage: Stage, write: Write) -> Outcome:
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
        elif isinstance(write, Settlement):
            limits.settle(book, write)
        else:
            limits.release(book, write.id)
        book.keep()
        return totals

    def _apply_commit(self, db: sqlite3.Connection, stage: Stage, commit: Commit) -> Committed:
        name = commit.engagement
        head = stage.heads.get(name) or self._heads.get(name) or self._stored_head(db, name)
        if head is None:
            check_commit(commit, 0, 0, None)
            # Within a group, ids are counted up from what is stored.
            new_id = self._next_engagement + sum(other.new for other in stage.heads.values())
            head = EngagementHead(new_id, 0, 0, 0, first_link(name), 0, (), {}, True)
        else:
            check_commit(commit, head.own, head.peer, head.length)
        if commit.reserve or commit.settle or commit.release:
            book = StagedBook(SqliteBook(db), self._limits, stage.limits)
            limits.book(book, commit)
            if commit.freed:
                _free(db, head.id, commit)
            book.keep()
        elif commit.freed:
            _free(db, head.id, commit)
        seen: dict[str, Seen] = {}
        for one in commit.seen:
            seen[one.log] = saw(seen.get(one.log) or self._seen_of(db, stage, one.log), one)
        # From here on nothing is refused but by the database's keys.
        stage.seen.update(seen)
        id, at = head.id, head.link
        places: dict[str, int] = {}
        for row in commit.rows:
            at = link(at, row)
            stage.rows.append(
                (id, row.place, row.kind, row.at, row.sender, row.sequence, row.type, row.digest, row.raw, at)
            )
            places[row.digest] = row.place
        own, peer = commit.position
        length = head.length + len(commit.rows)
        outbox = head.outbox
        if commit.outbox or commit.receipted or commit.freed:
            gone = commit.receipted + commit.freed
            waiting = [item for item in outbox if item[1] not in gone]
            for digest in commit.outbox:
                if digest not in gone:
                    waiting.append((places[digest], digest))
            outbox = tuple(waiting)
        summary, live = msgspec.json.encode(commit.summary), int(commit.summary.live)
        stage.heads[name] = EngagementHead(id, own, peer, length, at, live, outbox, head.leaves, head.new)
        if head.new or live != head.live:
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

    def _seen_of(self, db: sqlite3.Connection, stage: Stage, log: str) -> Seen | None:
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

    def _append(self, db: sqlite3.Connection, stage: Stage, name: str, leaves: Sequence[bytes]) -> tuple[int, ...]:
        head, places = stage.heads[name], list[int]()
        added = stage.leaf_index.setdefault(name, {})
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

    def _keep_checkpoint(self, db: sqlite3.Connection, stage: Stage, signed: SignedHead) -> None:
        stored = node_source(db)

        def node(level: int, place: int) -> bytes:
            return stage.nodes.get((level, place)) or stored(level, place)

        head = signed.head
        size = (stage.frontier or self._frontier).size
        if not 0 <= head.size <= size or root_at(head.size, node) != head.root:
            raise LedgerError("ledger_diverged", f"the tree never had this root at {head.size} leaves")
        require_tree_seal(db)
        db.execute(
            "UPDATE tree SET checkpoint_size = ?1, checkpoint_root = ?2, checkpoint = ?3"
            " WHERE checkpoint IS NULL OR checkpoint_size < ?1",
            (head.size, head.root, signed.note),
        )
        db.execute("UPDATE tree SET seal = ?", (tree_seal(db),))

    def _flush(self, db: sqlite3.Connection, stage: Stage) -> None:
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

    def _adopt(self, stage: Stage) -> None:
        if len(self._heads) > MAX_HEADS:
            self._heads.clear()
        for name, added in stage.leaf_index.items():
            stage.heads[name].leaves.update(added)
        for name, head in stage.heads.items():
            if head.new:
                head.new = False
                self._next_engagement += 1
            if head.live:
                self._heads[name] = head
            else:
                self._heads.pop(name, None)
        if len(self._seen) > MAX_HEADS:
            self._seen.clear()
        self._seen.update(stage.seen)
        if len(self._limits.entries) > MAX_LIMITS or len(self._limits.totals) > MAX_LIMITS:
            self._limits = Limits()
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
