"""A copy of a SQLite database as it is at one moment, while others read and write it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from .sqlite_file import connect, translated

__all__ = ["BESIDE_DATABASE", "copy_database"]

BESIDE_DATABASE: Final = ("-wal", "-shm", "-journal", ".lock", ".spare", ".head")
"""What the names of the files beside a database end with, which say nothing of a copy."""
PAGES: Final = 1024
"""Pages between two calls of `tell`: 4 MiB."""


def copy_database(path: Path, copy: Path, tell: Callable[[int], None]) -> None:
    """Writes all that was committed to the database `path` at one moment to the new file `copy`, and returns once that
    is on disk. The copy can be read where nothing can be written. Nobody waits for it: what is written meanwhile stays
    in SQLite's log until it ends, and of a database that has none the copy begins anew. `tell` hears how many bytes
    were copied, and ends it by what it raises.

    Raises:
        LedgerError: `store_corrupt`, `store_full`, `store_unavailable`; `ledger_diverged`, as `connect`.
    """
    try:
        os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with closing(connect(path, writing=False)) as source, closing(sqlite3.connect(copy)) as target:
            if source.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
                # What begins anew with each write would not end while others write all the time. In other modes they
                # would wait for who reads, or fail: there it does, for what is seldom written, as what was issued is.
                source.execute("BEGIN")
                source.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            size = source.execute("PRAGMA page_size").fetchone()[0]
            source.backup(target, pages=PAGES, progress=lambda _, left, total: tell((total - left) * size))
            # Beside one in WAL mode, as ledgers are, whoever only reads it makes files too.
            target.execute("PRAGMA journal_mode = DELETE")
    except (sqlite3.Error, OSError) as exc:
        written = isinstance(exc, OSError) or exc.sqlite_errorcode & 0xFF == sqlite3.SQLITE_FULL
        raise translated(exc, copy if written else path, "the database") from exc
