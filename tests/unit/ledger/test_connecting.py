"""A connection to the file of a SQLite ledger: what it makes and may do, and what is said where it cannot be had."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from undersigned.errors import LedgerUnavailable
from undersigned.ledger import sqlite_file
from undersigned.ledger.sqlite_file import bring_up_to_date, connect, create_empty


def test_who_reads_writes_nothing_and_makes_nothing(path: Path) -> None:
    """Whoever writes makes the folder and the file, for its user alone."""
    create_empty(path)
    with closing(connect(path, writing=False)) as db, pytest.raises(sqlite3.OperationalError, match="readonly"):
        db.execute("CREATE TABLE mine (x)")
    new = path.parent / "new" / "ledger.db"
    with pytest.raises(sqlite3.OperationalError):
        connect(new, writing=False)
    assert not new.parent.exists()
    connect(new, writing=True).close()
    assert [one.stat().st_mode & 0o777 for one in (new.parent, new)] == [0o700, 0o600]


def test_a_connection_that_is_not_durable_is_let_go(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database in memory has no log that is written first."""
    opened = list[sqlite3.Connection]()

    def in_memory(_: Path, *, making: bool) -> sqlite3.Connection:
        opened.append(sqlite3.connect(":memory:", isolation_level=None))
        return opened[-1]

    monkeypatch.setattr(sqlite_file, "open_database", in_memory)
    with pytest.raises(LedgerUnavailable, match="keeps journal_mode at 'memory', not wal"):
        connect(path, writing=True)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened[0].execute("SELECT 1")


def test_what_cannot_be_brought_up_to_date_is_told_by_the_name_that_is_meant(path: Path) -> None:
    """Whether SQLite says so or the system does."""
    (path.parent / "file").touch()
    (path.parent / "folder").mkdir()
    inside = path.parent / "file" / "ledger.db"
    for at, meant, why in (
        (inside, None, "File exists"),
        (inside, path, "File exists"),
        (path.parent / "folder", None, "it is a folder"),
    ):
        with pytest.raises(LedgerUnavailable, match=f"the ledger {meant or at} cannot be read or written .*{why}"):
            bring_up_to_date(at, meant=meant)
