"""The default ledger: one SQLite file, durable at each commit, never waited for by the event loop. URL `sqlite:PATH`.

Writes go to the writer thread (`sqlite_writer`), reads to a thread of their own (`sqlite_reader`). A ledger opened for
reading only has no writer and takes no lock: `watch` and `ledger` look into a running peer's file with it.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.4
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from undersigned.encoding import Amount, Did, Digest, EngagementId, Instant
from undersigned.errors import LedgerError, LedgerUnavailable
from undersigned.ledger import usage as limits
from undersigned.ledger.base import (
    Blob,
    CheckReport,
    Commit,
    Committed,
    Counters,
    Reservation,
    Row,
    Spent,
    Summary,
)
from undersigned.ledger.seen import Head, Seen
from undersigned.ledger.sqlite_check import check_database
from undersigned.ledger.sqlite_file import HeadFile, next_to
from undersigned.ledger.sqlite_group import Release, SeenChange, SignedHead, Write
from undersigned.ledger.sqlite_journal import (
    COLUMNS,
    EVIDENCE,
    OF_ENGAGEMENT,
    intact,
    read_evidence,
    read_summary,
    read_waiting,
    verify_rows,
)
from undersigned.ledger.sqlite_reader import Reader
from undersigned.ledger.sqlite_rows import Outbox, SqliteBook, find_leaf, node_source, read_seen, size_of, tree_size
from undersigned.ledger.sqlite_writer import Writer
from undersigned.transparency import InclusionProof, NodeSource, consistency_path, inclusion_path, root_at

__all__ = ["SqliteLedger"]

T = TypeVar("T")

_ALL: Final = "SELECT summary FROM engagement ORDER BY id"
_LIVE: Final = "SELECT summary FROM engagement WHERE live = 1 ORDER BY id"


class SqliteLedger:
    """A `Ledger` in one SQLite file, used from the event loop on which `open` was awaited."""

    def __init__(self, path: Path, *, read_only: bool = False, beside: bool = False) -> None:
        self._path = path
        self._read_only = read_only
        self._beside = beside
        self._writer: Writer | None = None
        self._reader = Reader(path, self._damaged)
        self._ending: asyncio.Task[None] | None = None
        """What closing waits for, once it began."""

    async def open(self) -> None:
        """Open the file; must be done once, before anything else. See `open_ledger` for what it raises."""
        self._reader.closed = False
        if self._read_only:
            await self._reader.read(lambda db: None)
            return
        writer = Writer(self._path, asyncio.get_running_loop(), beside=self._beside)
        writer.start()
        try:
            await asyncio.shield(writer.opened)
        except asyncio.CancelledError:
            writer.stop()
            await writer.stopped  # nothing of it is left then, and whoever opens it again finds it free
            raise
        self._writer = writer

    @property
    def ready(self) -> bool:
        """Whether the last attempt to write worked and no damage is known."""
        writer = self._writer
        return not self._reader.closed and writer is not None and writer.trouble is None and writer.damage is None

    @property
    def counters(self) -> Counters:
        """Counts since it was opened."""
        return self._writer.counters if self._writer else Counters()

    # writing

    def _submit(self, write: Write) -> asyncio.Future[Any]:
        if self._reader.closed or self._writer is None:
            why = "closed" if self._reader.closed else "open for reading only"
            raise LedgerUnavailable("store_unavailable", f"the ledger is {why}")
        if self._beside and isinstance(write, Commit | SignedHead | SeenChange):
            raise LedgerUnavailable("store_unavailable", "the ledger is open for booking on limits only")
        return self._writer.submit(write)

    def commit(self, commit: Commit) -> Awaitable[Committed]:
        """See `Ledger.commit`."""
        return self._submit(commit)

    async def reserve(self, reservation: Reservation) -> Mapping[str, Amount]:
        """See `Ledger.reserve`."""
        return await self._submit(reservation)

    async def settle(self, id: str, amounts: Mapping[str, Amount]) -> None:
        """See `Ledger.settle`."""
        await self._submit(Spent(id, amounts))

    async def release(self, id: str) -> None:
        """See `Ledger.release`."""
        await self._submit(Release(id))

    async def put_checkpoint(self, head: Head, note: str) -> None:
        """See `Ledger.put_checkpoint`."""
        await self._submit(SignedHead(head, note))

    # reading

    def _damaged(self, error: LedgerError) -> None:
        """Damage that a reader finds ends the writing too: nothing is signed from a damaged ledger."""
        if error.code == "store_corrupt" and self._writer is not None:
            self._writer.damage = error

    async def rows(self, engagement: str, since: int = 0, *, verify: bool = True) -> tuple[Row, ...]:
        """See `Ledger.rows`."""

        def query(db: sqlite3.Connection) -> tuple[Row, ...]:
            found = db.execute(
                f"SELECT {COLUMNS} {OF_ENGAGEMENT} AND j.place > ? ORDER BY j.place", (engagement, since)
            )
            chained = [(Row(engagement, *values), at) for *values, at in found]
            if verify:
                verify_rows(db, engagement, since, chained)
            return tuple(row for row, _ in chained)

        return await self._reader.read(query)

    async def summaries(self, live_only: bool = False) -> tuple[Summary, ...]:
        """See `Ledger.summaries`."""
        sql = _LIVE if live_only else _ALL
        return await self._reader.read(lambda db: tuple(read_summary(row[0]) for row in db.execute(sql)))

    async def summary(self, engagement: str) -> Summary | None:
        """See `Ledger.summary`."""

        def query(db: sqlite3.Connection) -> Summary | None:
            found = db.execute("SELECT summary FROM engagement WHERE name = ?", (engagement,)).fetchone()
            return read_summary(found[0]) if found else None

        return await self._reader.glance(query)

    async def withdrawal(self, digest: Digest) -> Row | None:
        """See `Ledger.withdrawal`."""
        sql = (
            f"SELECT e.name, {COLUMNS} FROM journal j INDEXED BY journal_withdrawal "  # noqa: S608 - names of ours
            "JOIN engagement e ON e.id = j.engagement WHERE j.type = 'Withdraw' AND j.digest = ?"
        )

        def query(db: sqlite3.Connection) -> Row | None:
            found = db.execute(sql, (digest,)).fetchone()
            return Row(*found[:-1]) if found else None

        return await self._reader.read(query)

    async def outbox(self, engagement: str) -> tuple[Row, ...]:
        """See `Ledger.outbox`."""

        def query(db: sqlite3.Connection) -> tuple[Row, ...]:
            found = db.execute("SELECT outbox FROM engagement WHERE name = ?", (engagement,)).fetchone()
            listed = msgspec.json.decode(found[0], type=Outbox) if found else ()
            return tuple(read_waiting(db, engagement, place, digest) for place, digest in listed)

        return await self._reader.read(query)

    async def effects(self, engagement: str) -> frozenset[str]:
        """See `Ledger.effects`."""
        sql = "SELECT key FROM effect JOIN engagement e ON e.id = effect.engagement WHERE e.name = ?"
        return await self._reader.read(lambda db: frozenset(row[0] for row in db.execute(sql, (engagement,))))

    async def blob(self, digest: Digest) -> bytes | None:
        """See `Ledger.blob`."""

        def query(db: sqlite3.Connection) -> bytes | None:
            found = db.execute("SELECT raw FROM blob WHERE digest = ?", (digest,)).fetchone()
            return intact(digest, found[0]) if found else None

        return await self._reader.read(query)

    async def evidence(self, engagement: str) -> tuple[Blob, ...]:
        """See `Ledger.evidence`."""
        return await self._reader.read(lambda db: read_evidence(db, f"{EVIDENCE} ORDER BY v.id", engagement))

    async def documents(self, engagement: str, did: str) -> tuple[Blob, ...]:
        """See `Ledger.documents`. They are few, and are read on the spot."""
        sql = f"{EVIDENCE} AND v.kind = 'did-document' AND v.name = ? ORDER BY v.id"
        return await self._reader.glance(lambda db: read_evidence(db, sql, engagement, did))

    async def usage(self, contract: str, now: Instant | None = None) -> Mapping[str, Amount]:
        """See `Ledger.usage`."""

        def query(db: sqlite3.Connection) -> dict[str, Amount]:
            found = db.execute("SELECT key, used, held FROM usage WHERE contract = ?", (contract,))
            totals = {key: (used, held) for key, used, held in found}
            return limits.counted(totals, SqliteBook(db).lapsed(contract, now) if now else ())

        return await (self._reader.read(query) if now else self._reader.glance(query))

    async def last_at(self) -> Instant | None:
        """See `Ledger.last_at`."""

        def query(db: sqlite3.Connection) -> Instant | None:
            # It is written in the order of a clock that does not run back, so the last row has the latest time.
            row = db.execute("SELECT at FROM journal ORDER BY id DESC LIMIT 1").fetchone()
            booked = SqliteBook(db).last_at()
            return max([*(row or ()), *(() if booked is None else (booked,))], default=None)

        return await self._reader.read(query)

    async def owner(self) -> Did | None:
        """See `Ledger.owner`."""

        def query(db: sqlite3.Connection) -> Did | None:
            newest = "SELECT sender FROM journal WHERE kind != 'received' ORDER BY id DESC LIMIT 1"
            row = db.execute(newest).fetchone()
            return None if row is None else row[0]

        return await self._reader.read(query)

    async def open_reservations(self, contract: str, prefix: str = "") -> tuple[Reservation, ...]:
        """See `Ledger.open_reservations`."""
        found = await self._reader.read(lambda db: tuple(SqliteBook(db).open(contract, prefix)))
        return tuple(entry.reservation for entry in found)

    def _head(self) -> Head | None:
        """The writer's head of the tree, unless something is wrong with the file; then it has to be read."""
        return self._writer.held.head if self._writer is not None and self.ready else None

    def _nodes(self, db: sqlite3.Connection) -> NodeSource:
        """Complete nodes of the tree, which is asked only for those that are not in the writer's memory."""
        stored, writer = node_source(db), self._writer
        if writer is None or not self.ready:
            return stored

        def node(level: int, place: int) -> bytes:
            found = writer.held.nodes.get((level, place))
            if found is None:
                found = stored(level, place)
                writer.held.remember({(level, place): found})
            return found

        return node

    async def tree_size(self) -> int:
        """See `Ledger.tree_size`."""
        head = self._head()
        return head.size if head is not None else await self._reader.read(tree_size)

    async def secret(self) -> bytes:
        """See `Ledger.secret`."""
        return await self._reader.read(lambda db: db.execute("SELECT secret FROM tree").fetchone()[0])

    async def root(self, size: int | None = None) -> bytes:
        """See `Ledger.root`."""
        head = self._head()
        if head is not None and size in (None, head.size):
            return head.root
        return await self._reader.glance(lambda db: root_at(size_of(db, size, head), self._nodes(db)))

    async def head(self) -> Head:
        """See `Ledger.head`."""

        def query(db: sqlite3.Connection) -> Head:
            size = tree_size(db)
            return Head(size, root_at(size, node_source(db)))

        return self._head() or await self._reader.read(query)

    async def leaves(self, start: int, count: int) -> tuple[bytes, ...]:
        """See `Ledger.leaves`."""
        sql = "SELECT data FROM leaf WHERE id >= ? AND id < ? ORDER BY id"
        return await self._reader.read(lambda db: tuple(row[0] for row in db.execute(sql, (start, start + count))))

    async def nodes(self, level: int, start: int, count: int) -> tuple[bytes, ...]:
        """See `Ledger.nodes`."""

        def query(db: sqlite3.Connection) -> tuple[bytes, ...]:
            if not level:  # side by side, as no other level is
                sql = "SELECT hash FROM leaf WHERE id >= ? AND id < ? ORDER BY id"
                return tuple(row[0] for row in db.execute(sql, (start, start + count)))
            node, complete = node_source(db), tree_size(db) >> level
            return tuple(node(level, place) for place in range(start, min(start + count, complete)))

        return await self._reader.read(query)

    async def index_of(self, engagement: EngagementId, leaf_hash: bytes) -> int | None:
        """See `Ledger.index_of`."""

        def query(db: sqlite3.Connection) -> int | None:
            id = db.execute("SELECT id FROM engagement WHERE name = ?", (engagement,)).fetchone()
            return find_leaf(db, id[0], leaf_hash) if id else None

        return await self._reader.glance(query)

    async def inclusion(self, index: int, size: int | None = None) -> InclusionProof:
        """See `Ledger.inclusion`."""

        def query(db: sqlite3.Connection) -> InclusionProof:
            total, node = size_of(db, size), node_source(db)
            path = inclusion_path(index, total, node)
            return InclusionProof.of(node(0, index), index, total, path)

        return await self._reader.read(query)

    async def consistency(self, old: int, size: int) -> tuple[bytes, ...]:
        """See `Ledger.consistency`."""

        def query(db: sqlite3.Connection) -> tuple[bytes, ...]:
            total = size_of(db, size, self._head())
            return consistency_path(old, total, self._nodes(db)) if old else ()

        return await self._reader.glance(query)  # of all moments the same: a complete node never changes

    async def checkpoint(self) -> str | None:
        """See `Ledger.checkpoint`."""
        return await self._reader.read(lambda db: db.execute("SELECT checkpoint FROM tree").fetchone()[0])

    async def seen(self, log: Did) -> Seen | None:
        """See `Ledger.seen`."""
        return await self._reader.glance(lambda db: read_seen(db, log))

    async def logs_seen(self) -> tuple[tuple[Did, Seen], ...]:
        """See `Ledger.logs_seen`."""

        def query(db: sqlite3.Connection) -> tuple[tuple[Did, Seen], ...]:
            found = [(log, read_seen(db, log)) for (log,) in db.execute("SELECT log FROM seen_log ORDER BY log")]
            return tuple((log, seen) for log, seen in found if seen is not None)

        return await self._reader.read(query)

    async def update_seen(self, log: Did, change: Callable[[Seen | None], Seen]) -> None:
        """See `Ledger.update_seen`."""
        await self._submit(SeenChange(log, change))

    async def check(self) -> CheckReport:
        """See `Ledger.check`."""
        head = HeadFile(next_to(self._path, ".head"))
        report = await self._reader.read(lambda db: check_database(db, head))
        if report.defects and self._writer is not None:
            first = report.defects[0]
            self._writer.damage = LedgerError(first.code, f"{first.where}: {first.detail}")
        return report

    async def close(self) -> None:
        """See `Ledger.close`."""
        if not self._reader.closed:
            self._reader.closed = True
            self._ending = asyncio.create_task(self._end())
        if self._ending is not None:
            await asyncio.shield(self._ending)  # it ends, though who waits is cancelled; who closes it then waits again

    async def _end(self) -> None:
        try:
            await self._reader.close()
        finally:
            if self._writer is not None:
                self._writer.stop()  # the last connection, for it writes the log back into the database
                await asyncio.shield(self._writer.stopped)
