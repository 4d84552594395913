"""A ledger in memory: for tests and for peers that live as long as their process. URL `memory:`.

It keeps the same promises as the durable stores but one: it forgets.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from os import urandom

from undersigned.encoding import Amount, Did, Digest, EngagementId, Instant, digest_bytes
from undersigned.errors import LedgerConflict, LedgerError, LedgerUnavailable, LogProofError
from undersigned.ledger import usage as limits
from undersigned.ledger.base import (
    Blob,
    CheckReport,
    Commit,
    Committed,
    Counters,
    Defect,
    Reservation,
    Row,
    Spent,
    Summary,
)
from undersigned.ledger.chain import check_commit, content_defect
from undersigned.ledger.seen import Head, Seen, saw
from undersigned.transparency import Frontier, InclusionProof, consistency_path, inclusion_path, leaf_hash, root_at

__all__ = ["MemoryLedger"]


class MemoryBook:
    """Limits in dictionaries; see `undersigned.ledger.usage.Book`."""

    def __init__(self) -> None:
        self.entries: dict[str, limits.Entry] = {}
        self.totals: dict[tuple[str, str], tuple[Amount, Amount]] = {}

    def find(self, id: str) -> limits.Entry | None:
        return self.entries.get(id)

    def put(self, entry: limits.Entry) -> None:
        self.entries[entry.reservation.id] = entry

    def total(self, contract: str, key: str) -> tuple[Amount, Amount]:
        return self.totals.get((contract, key), ("0", "0"))

    def set_total(self, contract: str, key: str, used: Amount, held: Amount) -> None:
        self.totals[contract, key] = used, held

    def lapsed(self, contract: str, now: Instant) -> Sequence[limits.Entry]:
        return [
            entry
            for entry in self.entries.values()
            if entry.state == "open"
            and entry.reservation.kind == "capacity"
            and entry.reservation.contract == contract
            and entry.reservation.until < now
        ]

    @contextmanager
    def transaction(self) -> Generator[None]:
        """All that is written inside, or on an exception nothing."""
        before = dict(self.entries), dict(self.totals)
        try:
            yield
        except BaseException:
            self.entries, self.totals = before
            raise


class MemoryLedger:
    """A `Ledger` in dictionaries. Nothing in it waits, so that each method is one step for every task."""

    def __init__(self) -> None:
        self.counters = Counters()
        self._closed = False
        self._journal: dict[str, list[Row]] = {}
        self._summaries: dict[str, Summary] = {}
        self._places: dict[tuple[str, str, int | None], Row] = {}
        self._effects: dict[str, str] = {}
        self._outbox: dict[str, dict[str, Row]] = {}
        self._blobs: dict[str, bytes] = {}
        self._evidence: dict[str, dict[tuple[str, str, str], Blob]] = {}
        self._book = MemoryBook()
        self._frontier = Frontier()
        self._nodes: dict[tuple[int, int], bytes] = {}
        self._leaves: list[bytes] = []
        self._index: dict[tuple[EngagementId, bytes], int] = {}
        self._secret = urandom(32)
        self._seen: dict[str, Seen] = {}
        self._checkpoint: tuple[Head, str] | None = None

    @property
    def ready(self) -> bool:
        """Whether it is open."""
        return not self._closed

    async def commit(self, commit: Commit) -> Committed:
        """See `Ledger.commit`."""
        self._open()
        try:
            self._admit(commit)
            with self._book.transaction():
                limits.book(self._book, commit)
        except LedgerConflict:
            self.counters.conflicts += 1
            raise
        # Nothing below can fail.
        name = commit.engagement
        self._journal.setdefault(name, []).extend(commit.rows)
        self._summaries[name] = commit.summary
        for row in self._freed(commit):
            del self._places[name, row.sender, row.sequence]
        self._places.update(((name, row.sender, row.sequence), row) for row in commit.rows if row.sequence is not None)
        self._effects.update((key, name) for key in commit.effects)
        waiting = self._outbox.setdefault(name, {})
        sent = {row.digest: row for row in commit.rows if row.kind == "sent"}
        waiting.update((digest, sent[digest]) for digest in commit.outbox)
        for digest in (*commit.receipted, *commit.freed):
            waiting.pop(digest, None)
        for blob in commit.evidence:
            self._blobs.setdefault(blob.digest, blob.raw)
            self._evidence.setdefault(name, {}).setdefault((blob.digest, blob.kind, blob.name), blob)
        for one in commit.seen:
            self._seen[one.log] = saw(self._seen.get(one.log), one)
        places = tuple(self._append(commit.engagement, leaf) for leaf in commit.leaves)
        self.counters.commits += 1
        self.counters.groups += 1
        return Committed(places)

    def _admit(self, commit: Commit) -> None:
        """Raise unless everything about `commit` can be written."""
        stored = self._summaries.get(commit.engagement)
        own, peer = stored.position if stored else (0, 0)
        check_commit(commit, own, peer, len(self._journal[commit.engagement]) if stored else None)
        freed = self._freed(commit)
        if len(freed) < len(commit.freed):
            raise LedgerError("not_found", f"not all of {commit.freed} hold a place of ours")
        given = {(row.engagement, row.sender, row.sequence) for row in freed}
        places = [(row.engagement, row.sender, row.sequence) for row in commit.rows if row.sequence is not None]
        if len(set(places)) < len(places) or any(place in self._places and place not in given for place in places):
            raise LedgerConflict("store_conflict", f"a move stands in one of the places already: {places}")
        if len(set(commit.effects)) < len(commit.effects) or any(key in self._effects for key in commit.effects):
            raise LedgerConflict("store_conflict", f"one of the effects was done already: {commit.effects}")

    def _freed(self, commit: Commit) -> list[Row]:
        """Rows of the moves that the commit frees, as far as they hold a place of ours."""
        own = (row for row in self._journal.get(commit.engagement, ()) if row.sender != commit.summary.peer)
        held = (row for row in own if self._places.get((row.engagement, row.sender, row.sequence)) is row)
        return [row for row in held if row.digest in commit.freed] if commit.freed else []

    def _append(self, engagement: EngagementId, leaf: bytes) -> int:
        value = leaf_hash(leaf)
        index = self._index.get((engagement, value))
        if index is None:
            index = self._index[engagement, value] = len(self._leaves)
            self._leaves.append(leaf)
            self._nodes.update(((level, at), node) for level, at, node in self._frontier.append(value))
        return index

    async def rows(self, engagement: str, since: int = 0, *, verify: bool = True) -> tuple[Row, ...]:
        """See `Ledger.rows`."""
        self._open()
        return tuple(self._journal.get(engagement, ())[since:])

    async def summaries(self, live_only: bool = False) -> tuple[Summary, ...]:
        """See `Ledger.summaries`."""
        self._open()
        return tuple(item for item in self._summaries.values() if item.live or not live_only)

    async def summary(self, engagement: str) -> Summary | None:
        """See `Ledger.summary`."""
        self._open()
        return self._summaries.get(engagement)

    async def withdrawal(self, digest: Digest) -> Row | None:
        """See `Ledger.withdrawal`."""
        self._open()
        rows = (row for journal in self._journal.values() for row in journal)
        return next((row for row in rows if row.type == "Withdraw" and row.digest == digest), None)

    async def outbox(self, engagement: str) -> tuple[Row, ...]:
        """See `Ledger.outbox`."""
        self._open()
        return tuple(sorted(self._outbox.get(engagement, {}).values(), key=lambda row: row.place))

    async def effects(self, engagement: str) -> frozenset[str]:
        """See `Ledger.effects`."""
        self._open()
        return frozenset(key for key, name in self._effects.items() if name == engagement)

    async def blob(self, digest: Digest) -> bytes | None:
        """See `Ledger.blob`."""
        self._open()
        return self._blobs.get(digest)

    async def evidence(self, engagement: str) -> tuple[Blob, ...]:
        """See `Ledger.evidence`."""
        self._open()
        return tuple(self._evidence.get(engagement, {}).values())

    async def documents(self, engagement: str, did: str) -> tuple[Blob, ...]:
        """See `Ledger.documents`."""
        kept = await self.evidence(engagement)
        return tuple(one for one in kept if one.kind == "did-document" and one.name == did)

    async def reserve(self, reservation: Reservation) -> Mapping[str, Amount]:
        """See `Ledger.reserve`."""
        self._open()
        with self._book.transaction():
            return limits.reserve(self._book, reservation)

    async def settle(self, id: str, amounts: Mapping[str, Amount]) -> None:
        """See `Ledger.settle`."""
        self._open()
        with self._book.transaction():
            limits.settle(self._book, Spent(id, amounts))

    async def release(self, id: str) -> None:
        """See `Ledger.release`."""
        self._open()
        with self._book.transaction():
            limits.release(self._book, id)

    async def usage(self, contract: str, now: Instant | None = None) -> Mapping[str, Amount]:
        """See `Ledger.usage`."""
        self._open()
        totals = {key: pair for (name, key), pair in self._book.totals.items() if name == contract}
        lapsed = self._book.lapsed(contract, now) if now else ()
        return limits.counted(totals, lapsed)

    async def last_at(self) -> Instant | None:
        """See `Ledger.last_at`."""
        self._open()
        recorded = [row.at for journal in self._journal.values() for row in journal]
        return max([*recorded, *(entry.reservation.at for entry in self._book.entries.values())], default=None)

    async def owner(self) -> Did | None:
        """See `Ledger.owner`."""
        self._open()
        ours = [row for journal in self._journal.values() for row in journal if row.kind != "received"]
        return max(ours, key=lambda row: row.at).sender if ours else None

    async def open_reservations(self, contract: str, prefix: str = "") -> tuple[Reservation, ...]:
        """See `Ledger.open_reservations`."""
        self._open()
        held = (entry.reservation for entry in self._book.entries.values() if entry.state == "open")
        return tuple(item for item in held if item.contract == contract and item.id.startswith(prefix))

    async def tree_size(self) -> int:
        """See `Ledger.tree_size`."""
        self._open()
        return self._frontier.size

    async def secret(self) -> bytes:
        """See `Ledger.secret`."""
        self._open()
        return self._secret

    async def root(self, size: int | None = None) -> bytes:
        """See `Ledger.root`."""
        self._open()
        return root_at(self._size(size), self._node)

    async def head(self) -> Head:
        """See `Ledger.head`."""
        self._open()
        return Head(self._frontier.size, self._frontier.root)

    async def leaves(self, start: int, count: int) -> tuple[bytes, ...]:
        """See `Ledger.leaves`."""
        self._open()
        return tuple(self._leaves[start : start + count])

    async def nodes(self, level: int, start: int, count: int) -> tuple[bytes, ...]:
        """See `Ledger.nodes`."""
        self._open()
        complete = min(start + count, self._frontier.size >> level)
        return tuple(self._node(level, index) for index in range(start, complete))

    async def index_of(self, engagement: EngagementId, leaf_hash: bytes) -> int | None:
        """See `Ledger.index_of`."""
        self._open()
        return self._index.get((engagement, leaf_hash))

    async def inclusion(self, index: int, size: int | None = None) -> InclusionProof:
        """See `Ledger.inclusion`."""
        self._open()
        total = self._size(size)
        path = inclusion_path(index, total, self._node)
        return InclusionProof.of(self._node(0, index), index, total, path)

    async def consistency(self, old: int, size: int) -> tuple[bytes, ...]:
        """See `Ledger.consistency`."""
        self._open()
        total = self._size(size)
        return consistency_path(old, total, self._node) if old else ()

    async def put_checkpoint(self, head: Head, note: str) -> None:
        """See `Ledger.put_checkpoint`."""
        self._open()
        if head.size > self._frontier.size or root_at(head.size, self._node) != head.root:
            raise LedgerError("ledger_diverged", f"the tree never had this root at {head.size} leaves")
        if self._checkpoint is None or self._checkpoint[0].size <= head.size:
            self._checkpoint = head, note

    async def checkpoint(self) -> str | None:
        """See `Ledger.checkpoint`."""
        self._open()
        return self._checkpoint[1] if self._checkpoint else None

    async def seen(self, log: Did) -> Seen | None:
        """See `Ledger.seen`."""
        self._open()
        return self._seen.get(log)

    async def logs_seen(self) -> tuple[tuple[Did, Seen], ...]:
        """See `Ledger.logs_seen`."""
        self._open()
        return tuple(sorted(self._seen.items()))

    async def update_seen(self, log: Did, change: Callable[[Seen | None], Seen]) -> None:
        """See `Ledger.update_seen`."""
        self._open()
        self._seen[log] = change(self._seen.get(log))

    async def check(self) -> CheckReport:
        """See `Ledger.check`."""
        self._open()
        rows = [row for journal in self._journal.values() for row in journal]
        defects = [defect for row in rows if (defect := content_defect(row))]
        defects += [
            Defect("store_corrupt", f"evidence {digest}", "the bytes are of another digest")
            for digest, raw in self._blobs.items()
            if digest_bytes(raw) != digest
        ]
        again = Frontier()
        for leaf in self._leaves:
            again.append(leaf_hash(leaf))
        if again.root != self._frontier.root:
            defects.append(Defect("store_corrupt", "tree", "the leaves do not lead to the root"))
        return CheckReport(len(rows), len(self._leaves), len(self._blobs), tuple(defects))

    async def close(self) -> None:
        """See `Ledger.close`. What was kept stays readable to nobody."""
        self._closed = True

    def _open(self) -> None:
        if self._closed:
            raise LedgerUnavailable("store_unavailable", "the ledger is closed")

    def _node(self, level: int, index: int) -> bytes:
        return self._nodes[level, index]

    def _size(self, size: int | None) -> int:
        total = self._frontier.size if size is None else size
        if not 0 <= total <= self._frontier.size:
            raise LogProofError("log_proof_invalid", f"the tree has {self._frontier.size} leaves, not {total}")
        return total
