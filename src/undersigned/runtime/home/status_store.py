"""The file of a register of what was issued: opened on first use, by several processes at a time, and whole or not
written.

Source: protocol-spec/02-identity-and-keys.md, section 2.12
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from undersigned.errors import LedgerError
from undersigned.ledger import open_database, translated
from undersigned.runtime.files import write_new

__all__ = ["RegisterStore"]

_MADE: Final = ".made"
"""End of the name of the file beside a register that says that there is one, so that it is seen if that is gone."""

_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE issued (
    id TEXT PRIMARY KEY, type TEXT NOT NULL, subject TEXT NOT NULL, issued TEXT NOT NULL, until TEXT NOT NULL,
    list INTEGER, place INTEGER, revoked TEXT, raw BLOB NOT NULL, UNIQUE (list, place)
) STRICT;
CREATE INDEX withdrawn ON issued (list, place) WHERE revoked IS NOT NULL;
CREATE TABLE lists (
    number INTEGER PRIMARY KEY, revoked INTEGER NOT NULL, signed TEXT NOT NULL, raw BLOB NOT NULL
) STRICT;
"""


class RegisterStore:
    """One file; `close` it at the end.

    Raises:
        LedgerError: When used. `store_corrupt`, also where it was lost; `store_unavailable`, `store_version`,
            `store_full`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._made = path.with_name(f"{path.name}{_MADE}")
        self._db: sqlite3.Connection | None = None

    def exists(self) -> bool:
        """Whether anything was ever written, also if it was lost since."""
        return self._path.exists() or self._made.exists()

    @contextmanager
    def reading(self) -> Generator[sqlite3.Connection]:
        """The open database."""
        try:
            yield self._connected()
        except (sqlite3.Error, OSError) as exc:
            raise translated(exc, self._path, "what was issued") from exc

    @contextmanager
    def writing(self) -> Generator[sqlite3.Connection]:
        """One transaction: all of it is on disk afterwards, or nothing is."""
        with self.reading() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                db.rollback()
                raise

    def check(self) -> None:
        """Returns if all of it can be read; so does one that is not there yet."""
        if self.exists():
            with self.reading() as db:
                found = db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise LedgerError("store_corrupt", f"{self._path} is damaged: {found}")

    def close(self) -> None:
        """Closes it; it is opened again when it is used again."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _connected(self) -> sqlite3.Connection:
        if self._db is None:
            self._require_not_lost()
            db = open_database(self._path, making=True)
            try:
                # What was withdrawn stays withdrawn, whatever happens to the machine a moment later.
                db.execute("PRAGMA synchronous = EXTRA")
                db.execute("BEGIN IMMEDIATE")
                (version,) = db.execute("PRAGMA user_version").fetchone()
                if version == 0:
                    for statement in _SCHEMA.split(";"):
                        db.execute(statement)
                    db.execute(f"PRAGMA user_version = {_VERSION}")
                elif version != _VERSION:
                    raise LedgerError("store_version", f"{self._path} has version {version}; expected {_VERSION}")
                db.execute("COMMIT")
                with suppress(OSError):  # it is there, or whoever opens it next leaves it
                    write_new(self._made, b"issued.db holds what was issued and withdrawn; without it nobody knows.\n")
            except BaseException:
                db.close()
                raise
            self._db = db
        return self._db

    def _require_not_lost(self) -> None:
        if not self._made.exists() or (self._path.exists() and self._path.stat().st_size):
            return
        became = "is empty" if self._path.exists() else "is gone"
        raise LedgerError(
            "store_corrupt",
            f"{self._path} {became}, and {self._made.name} beside it says what it was: put it back; only if nothing was"
            f" ever withdrawn, take {self._made.name} away",
        )
