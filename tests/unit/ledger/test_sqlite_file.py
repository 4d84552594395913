"""The file of the SQLite ledger: its version, its lock, its spare room and head."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from backends.moves import AT, BEFORE_6, OWN, PEER, move
from support import file_size_limit, refuses
from undersigned.errors import LedgerError, LedgerUnavailable
from undersigned.ledger import (
    Head,
    Seen,
    SqliteLedger,
    Stated,
    copy_database,
    open_books,
    open_ledger,
    require_unwritten,
    sqlite_copy,
    sqlite_file,
    surely_unwritten,
)
from undersigned.ledger.sqlite_file import (
    APPLICATION_ID,
    VERSION,
    HeadFile,
    Lock,
    Spare,
    bring_up_to_date,
    create_empty,
)
from undersigned.transparency import leaf_hash
from unit.ledger.outside import NAME, elsewhere


def content_of(path: Path) -> bytes:
    return path.read_bytes()


def fill(path: Path, data: bytes) -> None:
    path.write_bytes(data)


async def test_a_newer_ledger_is_not_opened(ledger: SqliteLedger, path: Path) -> None:
    """And stays as it is (HIRE-SEC-03)."""
    await ledger.commit(move(NAME, 1))
    await ledger.close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.close()
    before = content_of(path)
    for read_only in (False, True):
        with pytest.raises(LedgerError) as refused:
            await open_ledger(f"sqlite://{path}", read_only=read_only)
        assert (refused.value.code, "upgrade" in refused.value.message) == ("store_version", False)
    assert content_of(path) == before


async def test_a_ledger_of_version_1_is_brought_up_to_date(ledger: SqliteLedger, path: Path) -> None:
    """By whoever opens it to write; a reader of this release says which version it is."""
    await ledger.commit(move(NAME, 1))
    rows = await ledger.rows(NAME)
    await ledger.close()
    db = sqlite3.connect(path)
    db.executescript(
        f"{BEFORE_6} DROP INDEX journal_withdrawal; DROP INDEX reservation_promised;"
        " ALTER TABLE tree DROP COLUMN secret; ALTER TABLE tree DROP COLUMN seal; ALTER TABLE tree DROP COLUMN unseen;"
        " DROP TABLE seen_log; PRAGMA user_version = 1;"
    )
    db.close()
    with pytest.raises(LedgerError, match="schema version 1"):
        await open_ledger(f"sqlite://{path}", read_only=True)
    opened = await open_ledger(f"sqlite://{path}")
    assert await opened.rows(NAME) == rows
    assert await opened.withdrawal(rows[0].digest) is None
    assert (await opened.check()).ok
    await opened.close()


async def test_what_version_4_saw_of_other_logs_is_kept(ledger: SqliteLedger, path: Path) -> None:
    """HIRE-LOG-09: the line that was agreed, and beside it the newest head, if nothing had connected it."""
    await ledger.commit(move(NAME, 1))
    await ledger.close()
    db = sqlite3.connect(path)
    text = files("undersigned.ledger.schema").joinpath("sqlite_0004.sql").read_text("utf-8")
    db.executescript(
        f"{BEFORE_6} ALTER TABLE tree DROP COLUMN seal; ALTER TABLE tree DROP COLUMN unseen; DROP TABLE seen_log;"
        f"{text[text.index('CREATE TABLE seen_head') :]} PRAGMA user_version = 4;"
    )
    one, other = bytes([1]) * 32, bytes([2]) * 32
    for log, *agreed in ((PEER, 5, one), (OWN, 3, other)):
        db.execute("INSERT INTO seen_head VALUES (?, 5, ?, ?, 'a note', ?, ?)", (log, one, AT, *agreed))
    db.commit()
    db.close()
    opened = await open_ledger(f"sqlite://{path}")
    whole, parted = await opened.seen(PEER), await opened.seen(OWN)
    assert (await opened.check()).ok
    await opened.close()
    newest = Stated(log=PEER, size=5, root=one, at=AT, note="a note")
    assert whole == Seen(agreed=newest)
    assert parted is not None
    assert parted.agreed is not None
    assert (parted.agreed.head, parted.open) == (Head(3, other), (replace(newest, log=OWN),))


async def test_the_tree_of_version_5_is_kept(ledger: SqliteLedger, path: Path) -> None:
    """Each inner node is with the leaf that completes it; a leaf whose engagement was not kept is found too."""
    leaves = [b"leaf %d" % at for at in range(13)]
    for at, leaf in enumerate(leaves, 1):
        await ledger.commit(move(NAME, at, leaves=(leaf,)))
    root, nodes = await ledger.root(), [await ledger.nodes(level, 0, 99) for level in range(5)]
    await ledger.close()
    db = sqlite3.connect(path)
    rows = db.execute("SELECT id, hash, inner, data FROM leaf ORDER BY id").fetchall()
    db.executescript(f"{BEFORE_6} PRAGMA user_version = 5;")
    for level in range(1, 5):
        db.executemany("INSERT INTO node VALUES (?, ?, ?)", [(level, *one) for one in enumerate(nodes[level])])
    db.commit()
    db.close()
    opened = await open_ledger(f"sqlite://{path}")
    assert await opened.root() == root
    assert [await opened.nodes(level, 0, 99) for level in range(5)] == nodes
    assert [await opened.index_of(NAME, leaf_hash(leaf)) for leaf in leaves] == list(range(13))
    again = await opened.commit(move(NAME, 14, leaves=(leaves[3], b"a new one")))
    assert again.leaves == (3, 13)
    assert (await opened.commit(move(NAME, 15, leaves=(b"a new one", leaves[12])))).leaves == (13, 12)
    assert (await opened.check()).ok
    await opened.close()
    db = sqlite3.connect(path)
    assert db.execute("SELECT id, hash, inner, data FROM leaf WHERE id < 13 ORDER BY id").fetchall() == rows
    db.close()


async def test_books_of_an_older_release_are_brought_up_to_date_by_whoever_comes_first(path: Path) -> None:
    """Of several that share them nobody is their writer, and two may come at once."""
    books = await open_books(f"sqlite://{path}", create=True)
    await books.close()
    db = sqlite3.connect(path)
    db.executescript(f"{BEFORE_6} PRAGMA user_version = 5;")
    db.close()
    with pytest.raises(LedgerError, match="ledger upgrade"):
        await open_books(f"sqlite://{path}")
    both = await asyncio.gather(*(open_books(f"sqlite://{path}", create=True) for _ in range(4)))
    for one in both:
        await one.close()
    again = await open_ledger(f"sqlite://{path}")
    assert (await again.check()).ok
    await again.close()


async def test_a_ledger_is_made_where_a_file_has_one_name_only(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.link", no_links)
    opened = await open_ledger(f"sqlite://{path}")
    assert (await opened.check()).ok
    await opened.close()
    assert [file.name for file in path.parent.iterdir() if file.name.startswith(".")] == []


def test_a_ledger_whose_name_finds_no_room_is_not_made(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.link", full)
    with refuses(LedgerUnavailable, "store_full"):
        create_empty(path)
    assert list(path.parent.iterdir()) == []


async def test_what_another_process_brought_up_to_date_is_not_done_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looked at the version before, and was told then that there is something to do."""
    create_empty(path)
    real, told = sqlite_file._version, [5]  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(sqlite_file, "_version", lambda db: told.pop() if told else real(db))
    opened = await open_ledger(f"sqlite://{path}")
    assert told == []
    assert (await opened.check()).ok
    await opened.close()


async def test_a_step_that_fails_is_not_taken_for_done(path: Path) -> None:
    create_empty(path)
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {VERSION - 1}")
    with refuses(LedgerError, "internal"):
        await open_ledger(f"sqlite://{path}")
    assert db.execute("PRAGMA user_version").fetchone() == (VERSION - 1,)
    db.close()


async def test_a_step_that_could_be_done_twice_is_done_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often two processes find the same work at once: whoever comes second sees what is there by then."""
    (path.parent / f"sqlite_{VERSION + 1:04d}.sql").write_text(
        "CREATE TABLE IF NOT EXISTS done (at INTEGER); INSERT INTO done VALUES (1);"
    )
    create_empty(path)
    bring_up_to_date(path)
    monkeypatch.setattr(sqlite_file, "files", lambda _: path.parent)
    monkeypatch.setattr(sqlite_file, "VERSION", VERSION + 1)
    bring_up_to_date(path)
    real, told = sqlite_file._version, [VERSION]  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(sqlite_file, "_version", lambda db: told.pop() if told else real(db))
    bring_up_to_date(path)
    assert told == []
    db = sqlite3.connect(path)
    assert db.execute("SELECT count(*) FROM done").fetchone() == (1,)
    db.close()


def test_a_copy_is_of_the_moment_when_it_began(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is committed meanwhile is no part of it, and does not make it begin anew."""
    monkeypatch.setattr(sqlite_copy, "PAGES", 1)
    create_empty(path)
    db, told = sqlite3.connect(path), list[int]()

    def tell(copied: int) -> None:
        told.append(copied)
        if len(told) <= 3:
            db.execute(f"CREATE TABLE later_{len(told)} (x)")

    copy_database(path, path.with_name("copy"), tell)
    assert told == sorted(set(told))
    assert len(told) > 3
    made = path.with_name("copy").stat()
    assert (told[-1], made.st_mode & 0o777) == (made.st_size, 0o600)
    db.close()
    db = sqlite3.connect(path.with_name("copy"))
    assert db.execute("SELECT name FROM sqlite_schema WHERE name LIKE 'later%'").fetchall() == []
    assert db.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    db.close()


def test_a_copy_that_fails_names_the_file_that_failed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there already stays as it is, and what is not there is not made."""
    create_empty(path)
    none, taken, full = path.with_name("none"), path.with_name("taken"), path.with_name("full")
    taken.write_bytes(b"of another")
    real = sqlite3.connect

    def connect(file: Any, **more: Any) -> sqlite3.Connection:
        db = real(file, **more)
        if file == full:
            db.execute("PRAGMA max_page_count = 1")
        return db

    monkeypatch.setattr(sqlite3, "connect", connect)
    for source, copy, code, named in (
        (none, path.with_name("copy"), "store_unavailable", none),
        (path, taken, "store_unavailable", taken),
        (path, full, "store_full", full),
    ):
        with pytest.raises(LedgerUnavailable, match=f"the database {named}") as caught:
            copy_database(source, copy, lambda _: None)
        assert caught.value.code == code
    assert (none.exists(), taken.read_bytes()) == (False, b"of another")


async def test_another_programs_database_is_not_touched(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE mine (x)")
    db.close()
    with refuses(LedgerError, "store_version"):
        await open_ledger(f"sqlite://{path}")
    db = sqlite3.connect(path)
    assert db.execute("SELECT name FROM sqlite_schema").fetchall() == [("mine",)]
    db.close()


@pytest.mark.parametrize(
    ("application", "version", "code"),
    [
        (0, 0, None),
        (0, VERSION, "store_version"),
        (1, 0, "store_version"),
        (APPLICATION_ID, VERSION + 1, "store_version"),
    ],
)
async def test_an_empty_database_is_taken_if_it_is_nobodys(
    path: Path, application: int, version: int, code: str | None
) -> None:
    """HIRE-SEC-03."""
    db = sqlite3.connect(path)
    db.executescript(f"PRAGMA application_id = {application}; PRAGMA user_version = {version};")
    db.close()
    if code is None:
        opened = await open_ledger(f"sqlite://{path}")
        assert (await opened.check()).ok
        await opened.close()
        return
    with refuses(LedgerError, code):
        await open_ledger(f"sqlite://{path}")
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA user_version").fetchone() == (version,)
    assert db.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
    db.close()


async def test_who_writes_a_ledger_is_told_from_outside(path: Path) -> None:
    """Without making anything, and a store of another kind is written by nobody that can be seen."""
    url = f"sqlite://{path}"
    require_unwritten(url)
    assert surely_unwritten(url)
    assert list(path.parent.iterdir()) == []
    ledger = await open_ledger(url)
    assert not surely_unwritten(url)
    with pytest.raises(LedgerUnavailable):
        require_unwritten(url)
    await ledger.close()
    require_unwritten(url)
    assert surely_unwritten(url)
    path.with_name(f"{path.name}.lock").write_text("1\n")
    assert not surely_unwritten(url), "it was killed, or has only begun"
    require_unwritten(url)
    require_unwritten("memory:")
    assert not surely_unwritten("memory:")
    (path.parent / "file").touch()
    assert not surely_unwritten(f"sqlite://{path.parent}/file/ledger.db"), "that cannot be told"


async def test_a_log_that_cannot_be_written_back_is_not_gone_on_with(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a crash left in it is on disk before anything is decided on it; a reader of old may hold that up."""
    monkeypatch.setattr(sqlite_file, "BUSY_MILLISECONDS", 50)
    ledger = await open_ledger(f"sqlite://{path}")
    await ledger.commit(move(NAME, 1))
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM journal").fetchone()
    await ledger.commit(move(NAME, 2))
    await ledger.close()
    with pytest.raises(LedgerUnavailable, match="busy"):
        await open_ledger(f"sqlite://{path}")
    await (await open_books(f"sqlite://{path}")).close()  # which leaves the log to who writes
    reader.execute("COMMIT")
    reader.close()
    again = await open_ledger(f"sqlite://{path}")
    assert len(await again.rows(NAME)) == 2
    await again.close()


@pytest.mark.parametrize("content", [b"not a database, but long enough to look at" * 50, os.urandom(8192)])
async def test_a_file_that_is_no_database_is_damage(path: Path, content: bytes) -> None:
    fill(path, content)
    with refuses(LedgerError, "store_corrupt"):
        await open_ledger(f"sqlite://{path}")
    assert content_of(path) == content


async def test_the_file_says_what_it_is(ledger: SqliteLedger, path: Path) -> None:
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    assert db.execute("PRAGMA user_version").fetchone() == (VERSION,)
    db.close()


async def test_a_second_writer_is_told_who_writes(ledger: SqliteLedger, path: Path) -> None:
    with pytest.raises(LedgerUnavailable) as caught:
        await open_ledger(f"sqlite://{path}")
    assert caught.value.code == "store_unavailable"
    assert f"this process itself ({os.getpid()}) writes this ledger" in caught.value.message
    done = elsewhere("asyncio.run(open_ledger(sys.argv[1]))", f"sqlite://{path}")
    assert f"process {os.getpid()} writes this ledger" in done.stderr
    # The first one does not notice.
    await ledger.commit(move(NAME, 1))


async def test_a_dead_writer_leaves_no_lock(path: Path) -> None:
    done = elsewhere(
        "async def main():\n ledger = await open_ledger(sys.argv[1])\n await ledger.commit(move(engagement(), 1))\n"
        " import os; os.kill(os.getpid(), 9)\nasyncio.run(main())",
        f"sqlite://{path}",
    )
    assert done.returncode == -9, done.stderr
    ledger = await open_ledger(f"sqlite://{path}")
    assert len(await ledger.rows(NAME)) == 1
    await ledger.close()


def test_a_lock_is_released_once(tmp_path: Path) -> None:
    holder = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    sqlite_file._lock(holder)  # pyright: ignore[reportPrivateUsage]
    with pytest.raises(LedgerUnavailable, match="another process writes this ledger"):
        Lock(tmp_path / "lock")
    os.close(holder)
    lock = Lock(tmp_path / "lock")
    lock.release()
    lock.release()
    Lock(tmp_path / "lock").release()


def test_a_lock_that_cannot_be_made_says_so_as_a_store_does(tmp_path: Path) -> None:
    """It is no other process, and no error of the system: who writes a store later tells them apart by the class."""
    with file_size_limit(0), pytest.raises(LedgerUnavailable, match=str(tmp_path / "full")) as full:
        Lock(tmp_path / "full")
    (tmp_path / "file").touch()
    with pytest.raises(LedgerUnavailable, match=str(tmp_path / "file" / "lock")) as none:
        Lock(tmp_path / "file" / "lock")
    assert [(one.value.code, one.value.detail) for one in (full, none)] == [
        ("store_full", {}),
        ("store_unavailable", {}),
    ]
    Lock(tmp_path / "full").release()


async def test_a_disk_too_full_to_open_a_ledger_is_told_as_full(path: Path) -> None:
    """What readers and the writer share of it has 32 KiB, and SQLite calls it an error of the device."""
    await (await open_ledger(f"sqlite://{path}")).close()
    for read_only in (True, False):
        with file_size_limit(4096), pytest.raises(LedgerUnavailable, match=r"SHMSIZE|no room") as full:
            await open_ledger(f"sqlite://{path}", read_only=read_only)
        assert full.value.code == "store_full"
        assert "to read it: make room, or copy the folder and read that" in full.value.message
    await (await open_ledger(f"sqlite://{path}")).close()


async def test_a_refused_opening_leaves_no_lock(path: Path) -> None:
    fill(path, b"x" * 4096)
    opening = asyncio.create_task(SqliteLedger(path).open())
    await asyncio.sleep(0)
    opening.cancel()
    async with asyncio.timeout(10):
        await asyncio.wait({opening})
    assert opening.cancelled(), "who gives up hears the end of it, too"
    for _ in range(2):
        with refuses(LedgerError, "store_corrupt"):
            await open_ledger(f"sqlite://{path}")


def test_the_spare_room_is_taken_and_given_up(tmp_path: Path) -> None:
    spare = Spare(tmp_path / "spare")
    assert spare.hold()
    assert spare.hold(), "it is held already"
    assert (tmp_path / "spare").stat().st_blocks * 512 >= 1 << 20
    spare.give_up()
    spare.give_up()
    assert not (tmp_path / "spare").exists()
    with file_size_limit(1 << 19):
        assert not spare.hold()
    assert not (tmp_path / "spare").exists(), "half of it is of no use, and takes room"


@pytest.mark.parametrize(
    "text", ["", "\n", "1", "1\nAAAA\n", "x\n" + "A" * 43 + "=\n", "-1\n" + "A" * 43 + "=\n", "1\n!\n", "é"]
)
def test_an_unreadable_head_is_none(tmp_path: Path, text: str) -> None:
    """After a power cut it may be empty; the checkpoint in the database still speaks."""
    (tmp_path / "head").write_text(text)
    if not text:
        assert HeadFile(tmp_path / "head").beside() is None
        return
    with refuses(LedgerError, "store_corrupt"):
        HeadFile(tmp_path / "head").beside()


@pytest.mark.parametrize("head", [Head(0, sha256(b"").digest()), Head(3, bytes(32)), Head(1 << 60, bytes([255]) * 32)])
def test_a_head_reads_back_unless_a_part_of_it_is_of_another(tmp_path: Path, head: Head) -> None:
    """Who reads while it is written sees half of one and half of another, and reads it once more."""
    path = tmp_path / "head"
    HeadFile(path).write(head)
    assert HeadFile(path).beside() == HeadFile(path).at_opening() == head
    whole = path.read_bytes()
    HeadFile(path).write(Head(head.size + 1, bytes([7]) * 32))
    other = path.read_bytes()
    assert len(other) == len(whole)
    for cut in (20, 21, 40, 65, 66, 80):
        path.write_bytes(other[:cut] + whole[cut:])
        with refuses(LedgerError, "store_corrupt"):
            HeadFile(path).beside()


def test_a_head_that_is_being_written_is_read_once_more(tmp_path: Path) -> None:
    class HalfWritten(type(tmp_path)):  # type: ignore[misc]
        reads = 0

        def read_bytes(self) -> bytes:
            type(self).reads += 1
            return b"half of another\n" if self.reads == 1 else super().read_bytes()

    path = HalfWritten(tmp_path / "head")
    HeadFile(path).write(Head(3, bytes(32)))
    assert HeadFile(path).beside() == Head(3, bytes(32))
    assert path.reads == 2


@pytest.mark.parametrize("head", [Head(3, bytes(31)), Head(3, bytes(33)), Head(-1, bytes(32))])
def test_no_head_is_of_another_form_though_its_sum_fits(tmp_path: Path, head: Head) -> None:
    HeadFile(tmp_path / "head").write(head)
    with refuses(LedgerError, "store_corrupt"):
        HeadFile(tmp_path / "head").beside()


@pytest.mark.parametrize(("held", "taken"), [(b"", True), (bytes(90), True), (b"another text\n", False)])
async def test_what_a_power_cut_leaves_of_the_head_is_no_damage(
    ledger: SqliteLedger, path: Path, held: bytes, taken: bool
) -> None:
    await ledger.commit(move(NAME, 1, leaves=(b"leaf",)))
    await ledger.close()
    path.with_name(f"{path.name}.head").write_bytes(held)
    if taken:
        again = await open_ledger(f"sqlite://{path}")
        assert await again.tree_size() == 1
        await again.close()
        return
    with refuses(LedgerError, "store_corrupt"):
        await open_ledger(f"sqlite://{path}")


def test_a_head_that_cannot_be_read_for_the_moment_is_not_damaged(tmp_path: Path) -> None:
    """With too many files open, say: who is told to take it away would lose what shows that a ledger was cut."""

    class OnceRefused(type(tmp_path)):  # type: ignore[misc]
        refused = False

        def open(self, *args: Any, **options: Any) -> Any:
            if not type(self).refused:
                type(self).refused = True
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(self))
            return super().open(*args, **options)

    path = OnceRefused(tmp_path / "head")
    HeadFile(path).write(Head(3, bytes(32)))
    with pytest.raises(OSError, match="Too many open files"):
        HeadFile(path).at_opening()
    assert HeadFile(path).at_opening() == Head(3, bytes(32))
