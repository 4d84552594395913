"""The thread that writes a SQLite ledger: one at a time, and all that queued up during a sync with the next one.

Nobody waits for a timer. What the event loop asks for in a few of its rounds comes as one, and while a transaction is
being synced, further writes queue up; they make the next group, so a slow disk makes larger groups and a quiet ledger
has groups of one. Each answer goes back after its group's COMMIT, one wake-up of the event loop for the whole group.

The thread is the only one that writes journals and tree (the lock sees to it), so what it holds of them in memory
(`sqlite_group`) is what is there. Uniqueness is checked by the database's own keys: if they refuse a group, each of its
writes is tried by itself, and only the one at fault fails.

Beside it, gates in other processes may book on limits (`beside=True`), and do nothing else. SQLite lets one transaction
write at a time and says if another connection has written since the last one; then what is kept in memory of limits is
read again.

After a sync error nothing that SQLite or the system has cached can be believed. The handle is thrown away, the file
is opened and read again, and a checkpoint rewrites what the write-ahead log holds before anything is acknowledged.
"""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

from undersigned.errors import LedgerConflict, LedgerError, LedgerUnavailable, UndersignedError
from undersigned.ledger.base import Commit, Committed, Counters
from undersigned.ledger.sqlite_file import (
    SPARE_BYTES,
    HeadFile,
    Lock,
    Spare,
    connect,
    create_empty,
    disk_trouble,
    next_to,
    prepare,
    translated,
)
from undersigned.ledger.sqlite_group import Outcome, Write, WriterState

__all__ = ["Writer"]

MAX_GROUP: Final = 256
"""A group takes no more once it has so many writes."""
GATHER_ROUNDS: Final = 6
"""Rounds of the event loop that a write waits for others. A message takes three from its arrival to the write that it
causes, so what arrived together is written together; beyond six hardly anything joins (`make bench`)."""
PROBE_SECONDS: Final = 1.0


Item: TypeAlias = tuple[Write, "asyncio.Future[Any]"]


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
        self.held = WriterState(HeadFile(next_to(path, ".head")))
        self._loop = loop
        self._path = path
        self._queue: queue.SimpleQueue[list[Item] | None] = queue.SimpleQueue()
        self._gathered: list[Item] = []
        self._db: sqlite3.Connection | None = None
        self._opened_as: os.stat_result | None = None
        self._spare = Spare(next_to(path, ".spare"))

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

    def stop(self) -> None:
        """Write what is queued, then end."""
        self._gather(0)
        self._queue.put(None)

    def _gather(self, rounds: int) -> None:
        if rounds > 1 and len(self._gathered) < MAX_GROUP:
            self._loop.call_soon(self._gather, rounds - 1)
            return
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
                lock = Lock(next_to(self._path, ".lock"))
                if not self._path.exists():
                    create_empty(self._path)  # whole or not at all, also where the disk is full
            self._open()
        except Exception as exc:
            if lock is not None:
                lock.release()
            error = exc if isinstance(exc, UndersignedError) else translated(exc, self._path)
            self._post(lambda: self.opened.set_exception(error))
            self._post(lambda: self.stopped.set_result(None))
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
        if not self._beside:
            self._require_in_place()  # of another, though it be a copy, we have no lock
        if not self._path.exists():
            # Opened again, it is not begun anew: its volume may be gone, and this is where that was.
            raise LedgerUnavailable("store_unavailable", f"there is no ledger {self._path}")
        db = connect(self._path, writing=True)
        try:
            prepare(db, self._path, writing=not self._beside)
            # Whatever the log holds is written to the database and synced, or opening fails.
            if not self._beside and db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                raise LedgerUnavailable("store_unavailable", f"another connection keeps {self._path} busy")
            self.held.read(db, beside=self._beside)
            self._opened_as = self._path.stat()
        except BaseException:
            db.close()
            raise
        self._db = db
        if not self._beside:
            self._spare.hold()

    def _ensure_open(self) -> sqlite3.Connection:
        if self._db is None:
            self._open()
        else:
            self._require_in_place()
        assert self._db is not None  # noqa: S101  (_open sets it or raises)
        return self._db

    def _require_in_place(self) -> None:
        """Returns if what was opened is the file of this name: in one that was moved or deleted SQLite writes on, and
        nobody finds that again.
        """
        if self._opened_as is None:
            return
        try:
            in_place = os.path.samestat(self._opened_as, self._path.stat())
        except OSError:
            in_place = False
        if not in_place:
            text = f"{self._path} was moved or deleted under this process: nothing is written until it is back"
            raise LedgerUnavailable("store_unavailable", text)

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
            # Or somebody who made some room, and less than that, would look for another fault.
            error.message += f"; it goes on once {SPARE_BYTES >> 20} MiB is free"
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
        held, before = self.held, db.total_changes
        outcomes: list[Outcome] = []
        stage = held.begin(db)
        for write in writes:
            try:
                outcomes.append(held.apply(db, stage, write))
            except UndersignedError as exc:
                outcomes.append(exc)
                if exc.code == "store_corrupt" and isinstance(exc, LedgerError):
                    self.damage = exc
        held.flush(db, stage)
        db.execute("COMMIT")
        held.adopt(stage)
        self.counters.groups += db.total_changes > before
        for outcome in outcomes:
            if isinstance(outcome, Committed):
                self.counters.commits += 1
            elif isinstance(outcome, LedgerConflict):
                self.counters.conflicts += 1
        return outcomes
