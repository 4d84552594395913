"""What reads a SQLite ledger: a thread, with a connection that cannot write, so that reading never waits for a sync.

A few rows by their key are read on the spot, by another such connection: a thread would take ten times as long to be
told of it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from undersigned.errors import LedgerError, LedgerUnavailable
from undersigned.ledger.sqlite_file import connect, prepare, translated

__all__ = ["Reader"]

T = TypeVar("T")


class Reader:
    """Owns the reading connections, which are opened when they are needed. Closed until `closed` says otherwise."""

    def __init__(self, path: Path, damaged: Callable[[LedgerError], None]) -> None:
        """`damaged` hears what is wrong with the file."""
        self._path, self._damaged = path, damaged
        self._pool = ThreadPoolExecutor(1, "undersigned-ledger-reads")
        self._far: sqlite3.Connection | None = None
        """For `read`; used by the thread alone."""
        self._near: sqlite3.Connection | None = None
        """For `glance`; used by the event loop's thread alone."""
        self.closed = True

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """What `query` gives, in the thread; all that it reads is of one moment.

        Raises:
            LedgerError: `store_corrupt`, of which who owns this is told too; `store_unavailable`, also once closed.
        """
        if self.closed:
            raise LedgerUnavailable("store_unavailable", "the ledger is closed")
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._query, query)

    async def glance(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """As `read`, for one statement that finds a few rows by their key, which sees one moment by itself.

        Readers of a write-ahead log wait for nobody.
        """
        if self.closed:
            raise LedgerUnavailable("store_unavailable", "the ledger is closed")
        try:
            if self._near is None:
                self._near = self._connected()
                self._near.execute("PRAGMA busy_timeout = 0")
            return query(self._near)
        except (sqlite3.Error, OSError, LedgerError):
            # What is wrong, or only busy, the other thread finds out and says.
            self._drop_near()
            return await self.read(query)

    def _connected(self) -> sqlite3.Connection:
        reader = connect(self._path, writing=False)
        try:
            prepare(reader, self._path, writing=False)
        except BaseException:
            reader.close()
            raise
        return reader

    def _query(self, query: Callable[[sqlite3.Connection], T]) -> T:
        try:
            if self._far is None:
                self._far = self._connected()
            return _snapshot(self._far, query)
        except (sqlite3.Error, OSError) as exc:
            # Opened anew for the next query, since this handle may never work again.
            self._drop_far()
            error = translated(exc, self._path)
            self._damaged(error)
            raise error from exc
        except LedgerError as exc:
            self._damaged(exc)
            raise

    def _drop_far(self) -> None:
        far, self._far = self._far, None
        _close(far)

    def _drop_near(self) -> None:
        near, self._near = self._near, None
        _close(near)

    async def close(self) -> None:
        """Lets go of the file; `closed` is set before."""
        self._drop_near()
        try:
            await asyncio.get_running_loop().run_in_executor(self._pool, self._drop_far)
        finally:
            self._pool.shutdown(wait=False)


def _snapshot(db: sqlite3.Connection, query: Callable[[sqlite3.Connection], T]) -> T:
    """What `query` gives; all that it reads is of one moment."""
    db.execute("BEGIN")
    try:
        return query(db)
    finally:
        db.execute("COMMIT")


def _close(db: sqlite3.Connection | None) -> None:
    if db is not None:
        with suppress(sqlite3.Error):
            db.close()
