"""What only the SQLite ledger has: its file, its lock, reading beside a writer, groups, and its version."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from backends.moves import AT, BEFORE_6, OWN, PEER, answer, engagement, move, reservation, summary
from support import ROOT, file_size_limit
from undersigned.encoding import base64url_encode, canonicalize, digest_bytes, digest_of, shift
from undersigned.errors import ConfigurationError, LedgerError, LedgerUnavailable, ScopeError
from undersigned.ledger import (
    Blob,
    Head,
    Ledger,
    Seen,
    SqliteLedger,
    Stated,
    decided,
    open_books,
    open_ledger,
    require_unwritten,
    sqlite_file,
    sqlite_group,
    sqlite_writer,
    surely_unwritten,
)
from undersigned.ledger.base import Row
from undersigned.ledger.chain import link
from undersigned.ledger.sqlite_file import (
    APPLICATION_ID,
    VERSION,
    HeadFile,
    Lock,
    Spare,
    bring_up_to_date,
    connect,
    create_empty,
    require,
)
from undersigned.testing import Actor
from undersigned.transparency import Frontier, checkpoint_text, leaf_hash, verify_consistency

NAME = engagement()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
async def ledger(path: Path) -> AsyncIterator[SqliteLedger]:
    opened = SqliteLedger(path)
    await opened.open()
    yield opened
    await opened.close()


def elsewhere(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run code in another process."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"}
    start = "import asyncio, sys; from undersigned.ledger import open_ledger; from backends.moves import *\n"
    command = [sys.executable, "-c", start + code, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def content_of(path: Path) -> bytes:
    return path.read_bytes()


def fill(path: Path, data: bytes) -> None:
    path.write_bytes(data)


# file


@pytest.mark.parametrize("url", ["sqlite:", "sqlite://", "sqlite://host/ledger.db", "sqlite:///l.db?mode=ro"])
async def test_a_url_that_names_no_file_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await open_ledger(url)
    assert caught.value.code == "bad_configuration"


async def test_a_relative_url_is_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ledger = await open_ledger("sqlite:state/ledger.db")
    await ledger.close()
    assert (tmp_path / "state" / "ledger.db").exists()


@pytest.mark.parametrize("busy", ["reader", "writer"])
async def test_who_is_cancelled_while_it_closes_takes_the_end_from_nobody(
    path: Path, busy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever closes it again waits until nothing of it is left: then it can be opened."""
    faults: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    ledger, go_on = SqliteLedger(path), threading.Event()
    await ledger.open()
    await ledger.summaries()
    if busy == "reader":
        ledger._reader._pool.submit(go_on.wait, 30)
    else:
        really = sqlite_writer.Writer._drop
        monkeypatch.setattr(sqlite_writer.Writer, "_drop", lambda self: (go_on.wait(30), really(self)))
    closing = asyncio.create_task(ledger.close())
    await asyncio.wait({closing}, timeout=0.05)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    again = asyncio.create_task(ledger.close())
    await asyncio.sleep(0)
    assert not again.done()
    go_on.set()
    await again
    assert ledger._reader._reader is None
    assert not path.with_name(f"{path.name}-wal").exists(), "whoever copies the file copies all of it"
    opened = SqliteLedger(path)
    await opened.open()
    await opened.close()
    assert faults == []


async def test_nobody_else_may_read_the_files(ledger: SqliteLedger, path: Path) -> None:
    await ledger.commit(move(NAME, 1, leaves=(b"leaf",)))
    for name in (path.name, *(path.name + end for end in ("-wal", ".lock", ".head", ".spare"))):
        assert stat.S_IMODE((path.parent / name).stat().st_mode) == 0o600, name


async def test_both_pragmas_are_in_force(ledger: SqliteLedger, path: Path) -> None:
    db = connect(path, writing=True)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert db.execute("PRAGMA synchronous").fetchone() == (2,)
    db.close()


def test_a_database_in_memory_is_refused() -> None:
    """A store without WAL is not durable at COMMIT as this one promises."""
    db = sqlite3.connect(":memory:")
    with pytest.raises(LedgerUnavailable, match="journal_mode at 'memory'"):
        require(db, "journal_mode", "wal", "wal")
    db.close()


# version


async def test_a_newer_ledger_is_not_opened(ledger: SqliteLedger, path: Path) -> None:
    """And stays as it is (HIRE-SEC-03)."""
    await ledger.commit(move(NAME, 1))
    await ledger.close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.close()
    before = content_of(path)
    for read_only in (False, True):
        with pytest.raises(LedgerError) as caught:
            await open_ledger(f"sqlite://{path}", read_only=read_only)
        assert caught.value.code == "store_version"
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


async def test_what_another_process_brought_up_to_date_is_not_done_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looked at the version before, and was told then that there is something to do."""
    create_empty(path)
    real, told = sqlite_file._version, [5]  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(sqlite_file, "_version", lambda db: told.pop() if told else real(db))
    bring_up_to_date(path)
    assert told == []
    opened = await open_ledger(f"sqlite://{path}")
    assert (await opened.check()).ok
    await opened.close()


async def test_another_programs_database_is_not_touched(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE mine (x)")
    db.close()
    with pytest.raises(LedgerError) as caught:
        await open_ledger(f"sqlite://{path}")
    assert caught.value.code == "store_version"
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
    with pytest.raises(LedgerError) as caught:
        await open_ledger(f"sqlite://{path}")
    assert caught.value.code == code
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
    reader.execute("COMMIT")
    reader.close()
    again = await open_ledger(f"sqlite://{path}")
    assert len(await again.rows(NAME)) == 2
    await again.close()


@pytest.mark.parametrize("content", [b"not a database, but long enough to look at" * 50, os.urandom(8192)])
async def test_a_file_that_is_no_database_is_damage(path: Path, content: bytes) -> None:
    fill(path, content)
    with pytest.raises(LedgerError) as caught:
        await open_ledger(f"sqlite://{path}")
    assert caught.value.code == "store_corrupt"
    assert content_of(path) == content


async def test_the_file_says_what_it_is(ledger: SqliteLedger, path: Path) -> None:
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    assert db.execute("PRAGMA user_version").fetchone() == (VERSION,)
    db.close()


# lock


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
    await (await open_ledger(f"sqlite://{path}")).close()


async def test_a_refused_opening_leaves_no_lock(path: Path) -> None:
    fill(path, b"x" * 4096)
    for _ in range(2):
        with pytest.raises(LedgerError) as caught:
            await open_ledger(f"sqlite://{path}")
        assert caught.value.code == "store_corrupt"


# reading beside a writer


async def test_another_process_reads_while_one_writes(ledger: SqliteLedger, path: Path) -> None:
    """`watch` and `ledger` of another process see each commit, and write nothing."""
    reader = await open_ledger(f"sqlite://{path}", read_only=True)
    for number in range(1, 4):
        await ledger.commit(move(NAME, number, leaves=(b"%d" % number,)))
        assert len(await reader.rows(NAME)) == number
        assert await reader.tree_size() == number
    count = "async def main():\n l = await open_ledger(sys.argv[1], read_only=True)\n"
    count += " print(len(await l.rows(engagement())), (await l.check()).ok, l.ready)\nasyncio.run(main())"
    assert elsewhere(count, f"sqlite://{path}").stdout == "3 True False\n"
    for write in (reader.commit(move(NAME, 4)), reader.release("r"), reader.settle("r", {})):
        with pytest.raises(LedgerUnavailable, match="reading only"):
            await write
    await reader.close()


async def test_a_closed_ledger_is_read(path: Path) -> None:
    ledger = await open_ledger(f"sqlite://{path}")
    await ledger.commit(move(NAME, 1))
    await ledger.close()
    reader = await open_ledger(f"sqlite://{path}", read_only=True)
    assert await reader.root() == await reader.root(await reader.tree_size())
    assert len(await reader.rows(NAME)) == 1
    assert reader.counters.commits == 0
    await reader.close()


async def test_reading_creates_nothing(path: Path) -> None:
    with pytest.raises(LedgerUnavailable) as caught:
        await open_ledger(f"sqlite://{path}", read_only=True)
    assert caught.value.code == "store_unavailable"
    assert list(path.parent.iterdir()) == []


async def test_a_reader_sees_that_the_database_is_gone(path: Path) -> None:
    """HIRE-LOG-05: the head beside it says that there was a log; nobody reads an empty one, and none is begun."""
    ledger = await open_ledger(f"sqlite://{path}")
    await ledger.commit(move(NAME, 1, leaves=(b"leaf",)))
    await ledger.close()
    os.unlink(path)
    for read_only in (True, False):
        with pytest.raises(LedgerError) as caught:
            await open_ledger(f"sqlite://{path}", read_only=read_only)
        assert caught.value.code == "ledger_diverged"
        assert path.name not in os.listdir(path.parent)


# what is gone


def says(size: int) -> dict[str, Any]:
    """Members of a message that says how large its sender's log was: by its head, or in a signed note."""
    return {"head": {"size": size}}


def shows(size: int) -> dict[str, Any]:
    note = f"{checkpoint_text(PEER, size, bytes(32)).decode()}\n\u2014 {PEER} AAAAAAA=\n"
    return {"checkpoint": f"u{base64url_encode(note.encode())}"}


@pytest.mark.parametrize(
    ("kind", "type", "said", "held", "whole"),
    [
        ("received", "Offer", says(3), 3, True),
        ("received", "Acceptance", says(3), 4, True),
        ("received", "Offer", says(3), 2, False),
        ("received", "Acceptance", says(3), None, False),
        ("received", "Closing", shows(5), 5, True),
        ("received", "Closing", shows(5), 4, False),
        ("received", "Closing", says(3) | shows(5), 4, False),
        ("received", "Closing", {}, None, True),
        ("sent", "Offer", says(3), None, True),
    ],
)
async def test_what_was_seen_of_a_log_is_as_large_as_its_messages_say(
    ledger: SqliteLedger, kind: Any, type: str, said: dict[str, Any], held: int | None, whole: bool
) -> None:
    """HIRE-LOG-09: what was taken out whole has no seal that could be wrong; until our operator begins it anew."""
    document = {"engagement": NAME, "type": type, **said}
    sender = PEER if kind == "received" else OWN
    row = Row(NAME, 1, kind, AT, sender, 1, type, digest_of(document), canonicalize(document))
    position = (0, 1) if kind == "received" else (1, 0)
    seen = () if held is None else (Stated(log=PEER, size=held, root=bytes(32), at=AT, note="a note"),)
    await ledger.commit(
        replace(move(NAME, 1), rows=(row,), outbox=(), position=position, seen=seen, summary=summary(NAME, position))
    )
    found = await ledger.check()
    assert [defect.where for defect in found.defects] == ([] if whole else [f"log of {PEER}"])
    reader = await open_ledger(f"sqlite://{ledger._path}", read_only=True)
    assert (await reader.check()).ok == whole
    await reader.close()


async def test_a_log_that_begins_anew_may_be_smaller(ledger: SqliteLedger) -> None:
    document = {"engagement": NAME, **says(3)}
    row = Row(NAME, 1, "received", AT, PEER, 1, "Offer", digest_of(document), canonicalize(document))
    await ledger.commit(replace(move(NAME, 1), rows=(row,), outbox=(), position=(0, 1), summary=summary(NAME, (0, 1))))
    await ledger.update_seen(PEER, lambda seen: decided(seen, AT, anew=True, reason="it was lost"))
    assert (await ledger.check()).ok


def signed(name: str, place: int, method: str) -> Row:
    """A move of ours whose proof names a key."""
    document = {"engagement": name, "place": place}
    raw = canonicalize({**document, "proof": {"verificationMethod": method}})
    return Row(name, place, "sent", AT, OWN, place, "Offer", digest_of(document), raw)


DELETIONS = {
    "every entry": "DELETE FROM evidence",
    "one entry": "DELETE FROM evidence WHERE engagement = 2",
    "the first key's document": "DELETE FROM evidence WHERE id = 1",
    "the second key's document": "DELETE FROM evidence WHERE id = 2",
    "the proof of an equivocation": "DELETE FROM evidence WHERE kind = 'equivocation'",
    "the proof of an equivocation, with its bytes": "DELETE FROM blob WHERE digest IN"
    " (SELECT digest FROM evidence WHERE kind = 'equivocation'); DELETE FROM evidence WHERE kind = 'equivocation'",
    "the bytes with the entries": "DELETE FROM blob; DELETE FROM evidence",
    "the bytes": "DELETE FROM blob",
}


@pytest.mark.parametrize("deletion", DELETIONS)
async def test_deleted_evidence_is_a_defect(deletion: str, path: Path) -> None:
    """The journal says which keys signed: each has its DID document, also the one from before a rotation."""
    name, other = engagement("first"), engagement("second")
    ledger = await open_ledger(f"sqlite://{path}")
    old, new = Actor("old key"), Actor("new key")
    blobs = [Blob(a.document.raw_digest, a.document.raw, "did-document", a.did) for a in (old, new)]
    for number, actor, blob in ((1, old, blobs[0]), (2, new, blobs[1])):
        row = signed(name, number, actor.method)
        await ledger.commit(replace(move(name, number), rows=(row,), outbox=(row.digest,), evidence=(blob,)))
    row = signed(other, 1, old.method)
    fact = Row(other, 2, "noted", AT, OWN, None, "equivocation", digest_bytes(b"x"), b"x")
    twice = Blob(digest_bytes(b"the other copy"), b"the other copy", "equivocation", "Offer")
    said = replace(move(other, 1), rows=(row, fact), outbox=(row.digest,), evidence=(blobs[0], twice))
    await ledger.commit(said)
    report = await ledger.check()
    assert report.ok, report.defects
    await ledger.close()
    db = sqlite3.connect(path)
    db.executescript(DELETIONS[deletion])
    db.close()
    reader = await open_ledger(f"sqlite://{path}", read_only=True)
    report = await reader.check()
    await reader.close()
    assert {defect.code for defect in report.defects} == {"store_corrupt"}
    assert all(defect.where.startswith("evidence") for defect in report.defects)


# groups


async def test_what_queues_up_shares_a_sync(ledger: SqliteLedger) -> None:
    """Counted, not timed: a hundred commits at once need far fewer transactions than a hundred."""
    await asyncio.gather(*(ledger.commit(move(engagement(at), 1)) for at in range(100)))
    assert ledger.counters.commits == 100
    assert ledger.counters.groups <= 25


async def test_a_group_holds_commits_that_follow_each_other(ledger: SqliteLedger) -> None:
    """Moves of one engagement, queued without waiting, are written in order."""
    work = [ledger.commit(move(NAME, number)) for number in range(1, 30)]
    work += [ledger.commit(answer(NAME, 1, own=29))]
    await asyncio.gather(*work)
    assert [row.place for row in await ledger.rows(NAME)] == list(range(1, 31))
    assert (await ledger.check()).ok


@pytest.mark.parametrize("kept", [0, 8192])
async def test_limits_are_the_same_from_memory_and_from_the_file(
    ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    """What is no longer in memory is read again, and a reservation refused leaves nothing there."""
    monkeypatch.setattr(sqlite_group, "MAX_LIMITS", kept)
    for number in range(3):
        await ledger.reserve(reservation(f"r{number}", "3", "10"))
    with pytest.raises(ScopeError):
        await ledger.reserve(reservation("r3", "3", "10"))
    await ledger.settle("r0", {"read/EUR": "1"})
    await ledger.release("r1")
    await ledger.reserve(reservation("r3", "6", "10"))
    assert await ledger.usage("uEiContract") == {"read/EUR": "10"}
    assert [entry.id for entry in await ledger.open_reservations("uEiContract")] == ["r2", "r3"]
    assert (await ledger.check()).ok


Booking = tuple[str, str, str, int, int, bool]
bookings = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "reserve", "settle", "release"]),
        st.sampled_from(["x", "y"]),
        st.sampled_from(["1", "2", "3"]),
        st.integers(0, 4),
        st.integers(0, 3),
        st.booleans(),
    ),
    max_size=14,
)


async def booked(ledger: Ledger, number: int, booking: Booking) -> object:
    """What became of the booking that was made in that minute; `lasts` counts minutes."""
    what, contract, id, amount, lasts, promised = booking
    now, name = shift(AT, 60 * number), f"{contract}/{id}"
    try:
        if what == "settle":
            return await ledger.settle(name, {"read/EUR": str(amount)})
        if what == "release":
            return await ledger.release(name)
        kind = "capacity" if promised else "action"
        until = shift(now, 60 * lasts)
        return await ledger.reserve(
            reservation(name, str(amount), "6", contract=contract, at=now, until=until, kind=kind)
        )
    except (LedgerError, ScopeError) as refused:
        return refused.code


@given(bookings, st.integers(0, 14))
@settings(max_examples=40, deadline=None)
def test_bookings_come_to_the_same_together_or_one_by_one(some: list[Booking], cut: int) -> None:
    """HIRE-SCO-08, HIRE-NEG-21: in one group or in several, each counts what those before it took and gave back."""

    async def run(ledger: Ledger, *groups: list[Booking]) -> list[object]:
        done: list[object] = []
        for group in groups:
            done += await asyncio.gather(*(booked(ledger, number, one) for number, one in enumerate(group, len(done))))
        now = shift(AT, 60 * len(some))
        for contract in "xy":
            done += [await ledger.usage(contract), await ledger.usage(contract, now)]
            done += await ledger.open_reservations(contract)
        assert (await ledger.check()).ok
        await ledger.close()
        return done

    async def both() -> None:
        with tempfile.TemporaryDirectory() as folder:
            expected = await run(await open_ledger("memory:"), *([one] for one in some))
            written = await open_ledger(f"sqlite://{folder}/ledger.db")
            assert await run(written, some[:cut], some[cut:]) == expected

    asyncio.run(both())


async def test_what_a_group_saw_of_a_log_follows_on_itself(ledger: SqliteLedger) -> None:
    """HIRE-LOG-22: moves that are written together, each with a head of the same log."""
    heads = [
        Stated(
            log=PEER,
            size=size,
            root=bytes([size]) * 32,
            at=AT,
            note=f"note {size}",
            continues=(Head(size - 1, bytes([size - 1]) * 32),),
        )
        for size in (3, 4, 6, 5)
    ]
    await asyncio.gather(*(ledger.commit(move(engagement(one.size), 1, seen=(one,))) for one in heads))
    found = await ledger.seen(PEER)
    assert found is not None
    assert [one.size for one in found.held] == [5, 6]
    assert ledger.counters.groups == 1


async def test_a_checkpoint_is_of_what_its_group_writes(ledger: SqliteLedger) -> None:
    empty, tree = await ledger.head(), Frontier()
    await ledger.put_checkpoint(empty, "note 0")
    assert await ledger.checkpoint() == "note 0"
    leaves = [b"%d" % at for at in range(5)]
    for leaf in leaves:
        tree.append(leaf_hash(leaf))
    work = [ledger.commit(move(engagement(leaf), 1, leaves=(leaf,))) for leaf in leaves]
    await asyncio.gather(*work, ledger.put_checkpoint(Head(5, tree.root), "note 5"))
    assert await ledger.checkpoint() == "note 5"
    assert ledger.counters.groups == 2
    assert (await ledger.check()).ok


async def test_a_commit_is_as_long_as_it_is(ledger: SqliteLedger, path: Path) -> None:
    """Rows are written many at once, of each kind: none is left out, whatever their number."""
    for count in (1, 31, 32, 33, 70):
        name = engagement(f"of {count}")
        facts = tuple(Row(name, at, "noted", AT, OWN, None, "fact", "", b"%d" % at) for at in range(2, count + 1))
        first = move(name, 1)
        blobs = tuple(Blob(digest_bytes(data), data) for data in (b"%d of %d" % (at, count) for at in range(count)))
        leaves = tuple(blob.raw for blob in blobs)
        effects = tuple(f"{count}/{at}" for at in range(count))
        taken = tuple(reservation(f"{count}/{at}", "1", None, contract=name) for at in range(count))
        made = replace(first, rows=(*first.rows, *facts), evidence=blobs, leaves=leaves, effects=effects, reserve=taken)
        await ledger.commit(made)
    await ledger.close()
    again = SqliteLedger(path)
    await again.open()
    for count in (1, 31, 32, 33, 70):
        name = engagement(f"of {count}")
        assert [row.place for row in await again.rows(name)] == list(range(1, count + 1))
        assert len(await again.evidence(name)) == len(await again.effects(name)) == count
        assert await again.usage(name) == {"read/EUR": str(count)}
    assert (await again.check()).ok
    await again.close()


@pytest.mark.parametrize("kept", [-1, 3, 8192])
async def test_the_tree_is_the_same_from_memory_and_from_the_file(
    ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    """Nodes that are no longer in memory are read again."""
    monkeypatch.setattr(sqlite_group, "MAX_NODES", kept)
    roots = [await ledger.root()]
    for at in range(11):
        await ledger.commit(move(engagement(at), 1, leaves=(b"%d" % at,)))
        roots.append(await ledger.root())
    assert [await ledger.root(size) for size in range(len(roots))] == roots
    for old in range(1, len(roots)):
        for size in range(old, len(roots)):
            verify_consistency(old, roots[old], size, roots[size], await ledger.consistency(old, size))


async def test_a_leaf_keeps_its_place_once_its_engagement_is_over(ledger: SqliteLedger) -> None:
    """What was forgotten of it is read again."""
    over = summary(NAME, (2, 0), live=False)
    both = (move(NAME, 1, leaves=(b"x",)), move(NAME, 2, leaves=(b"y", b"x"), summary=over))
    assert [done.leaves for done in await asyncio.gather(*map(ledger.commit, both))] == [(0,), (1, 0)]
    after = await ledger.commit(move(NAME, 3, leaves=(b"y", b"z", b"x")))
    assert after.leaves == (1, 2, 0)


@pytest.mark.parametrize("size", [0, 1900, 2047, 2048, 9000])
def test_a_link_is_one_hash_over_all_of_its_row(size: int) -> None:
    """However long a row is; it is hashed in pieces."""
    row = Row(NAME, 1, "sent", "2026-01-01T00:00:00Z", "did:web:a", 1, "Offer", "uEi", b"x" * size)
    fields = b'[1,"sent","2026-01-01T00:00:00Z","did:web:a",1,"Offer","uEi"]'
    assert link(bytes(32), row) == sha256(bytes(32) + fields + row.raw).digest()


async def test_conflicts_need_no_sync(ledger: SqliteLedger) -> None:
    await ledger.commit(move(NAME, 1))
    groups = ledger.counters.groups
    for _ in range(5):
        with pytest.raises(LedgerError):
            await ledger.commit(move(NAME, 1))
    assert ledger.counters.groups == groups


async def test_what_is_no_commit_harms_nobody(ledger: SqliteLedger) -> None:
    """A value that SQLite cannot take is a defect of ours: it is refused, and its neighbours are written."""
    bad = move(engagement("bad"), 1, effects=(object(),))
    worse = move(engagement("worse"), 1, receipted=None)
    work = [ledger.commit(item) for item in (move(engagement("a"), 1), bad, move(engagement("b"), 1), worse)]
    done = await asyncio.gather(*work, move_later(ledger), return_exceptions=True)
    refused = [item for item in done if isinstance(item, Exception)]
    assert [getattr(item, "code", item) for item in refused] == ["internal", "internal"]
    assert len(await ledger.summaries()) == 3
    assert (await ledger.check()).ok


async def move_later(ledger: SqliteLedger) -> None:
    await ledger.commit(move(engagement("later"), 1))


async def test_closing_writes_what_is_queued(path: Path) -> None:
    ledger = SqliteLedger(path)
    await ledger.open()
    work = [asyncio.ensure_future(ledger.commit(move(engagement(at), 1))) for at in range(20)]
    await asyncio.sleep(0)
    await ledger.close()
    await asyncio.gather(*work)
    again = await open_ledger(f"sqlite://{path}", read_only=True)
    assert len(await again.summaries()) == 20
    await again.close()


async def test_the_event_loop_never_waits_for_the_disk(ledger: SqliteLedger, path: Path) -> None:
    """While another connection holds the file, commits wait in their thread and the loop goes on."""
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    task = asyncio.ensure_future(ledger.commit(move(NAME, 1)))
    turns = 0
    while turns < 1000:
        await asyncio.sleep(0)
        turns += 1
    assert not task.done()
    holder.execute("ROLLBACK")
    holder.close()
    await task


# spare room and head


def test_the_spare_room_is_taken_and_given_up(tmp_path: Path) -> None:
    spare = Spare(tmp_path / "spare")
    assert spare.hold()
    assert spare.hold(), "it is held already"
    assert (tmp_path / "spare").stat().st_blocks * 512 >= 1 << 20
    spare.give_up()
    spare.give_up()
    assert not (tmp_path / "spare").exists()


@pytest.mark.parametrize(
    "text", ["", "\n", "1", "1\nAAAA\n", "x\n" + "A" * 43 + "=\n", "-1\n" + "A" * 43 + "=\n", "1\n!\n", "é"]
)
def test_an_unreadable_head_says_nothing(tmp_path: Path, text: str) -> None:
    """After a power cut it may be empty; the checkpoint in the database still speaks."""
    (tmp_path / "head").write_text(text)
    assert HeadFile(tmp_path / "head").read() is None


@pytest.mark.parametrize("head", [Head(0, sha256(b"").digest()), Head(3, bytes(32)), Head(1 << 60, bytes([255]) * 32)])
def test_a_head_reads_back_unless_a_part_of_it_is_of_another(tmp_path: Path, head: Head) -> None:
    """Who reads while it is written sees half of one and half of another, and takes it for none."""
    path = tmp_path / "head"
    HeadFile(path).write(head)
    assert HeadFile(path).read() == HeadFile(path).at_opening() == head
    whole = path.read_bytes()
    HeadFile(path).write(Head(head.size + 1, bytes([7]) * 32))
    other = path.read_bytes()
    assert len(other) == len(whole)
    for cut in (20, 21, 40, 65, 66, 80):
        path.write_bytes(other[:cut] + whole[cut:])
        assert HeadFile(path).read() is None, cut


@pytest.mark.parametrize("head", [Head(3, bytes(31)), Head(3, bytes(33)), Head(-1, bytes(32))])
def test_no_head_is_of_another_form_though_its_sum_fits(tmp_path: Path, head: Head) -> None:
    HeadFile(tmp_path / "head").write(head)
    assert HeadFile(tmp_path / "head").read() is None


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
    with pytest.raises(LedgerError) as caught:
        await open_ledger(f"sqlite://{path}")
    assert caught.value.code == "store_corrupt"


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
