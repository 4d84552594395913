"""What only the SQLite ledger has: a URL that names a file, reading beside a writer, and what is seen to be gone."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from backends.moves import AT, OWN, PEER, engagement, move, reservation, summary
from support import refuses
from undersigned.encoding import base64url_encode, canonicalize, digest_bytes, digest_of
from undersigned.errors import ConfigurationError, LedgerError, LedgerUnavailable
from undersigned.ledger import (
    Blob,
    Head,
    SqliteLedger,
    Stated,
    copy_database,
    decided,
    open_books,
    open_ledger,
    sqlite_writer,
)
from undersigned.ledger.base import Row
from undersigned.ledger.chain import first_link, link
from undersigned.ledger.seen import MAX_OPEN
from undersigned.ledger.sqlite_file import HeadFile, connect, next_to, require
from undersigned.ledger.sqlite_rows import engagement_seal
from undersigned.testing import Actor
from undersigned.transparency import checkpoint_text
from unit.ledger.outside import NAME, elsewhere

# file


@pytest.mark.parametrize(
    "url", ["sqlite:", "sqlite://", "sqlite://host/ledger.db", "sqlite:///l.db?mode=ro", "sqlite:///l.db#x"]
)
async def test_a_url_that_names_no_file_is_refused(url: str) -> None:
    with refuses(ConfigurationError, "bad_configuration"):
        await open_ledger(url)


async def test_a_relative_url_is_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ledger = await open_ledger("sqlite:of/state/ledger.db")
    await ledger.close()
    assert (tmp_path / "of" / "state" / "ledger.db").exists()


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
    assert ledger._reader._far is None
    assert not path.with_name(f"{path.name}-wal").exists(), "whoever copies the file copies all of it"
    opened = SqliteLedger(path)
    await opened.open()
    await opened.close()
    assert faults == []


async def test_nobody_else_may_read_the_files(ledger: SqliteLedger, path: Path) -> None:
    await ledger.commit(move(NAME, 1, leaves=(b"leaf",)))
    for name in (path.name, *(path.name + end for end in ("-wal", ".lock", ".head", ".spare"))):
        assert stat.S_IMODE((path.parent / name).stat().st_mode) == 0o600, name


async def test_nobody_else_may_look_into_the_folder_that_is_made_for_it(tmp_path: Path) -> None:
    await (await open_ledger(f"sqlite://{tmp_path}/made/ledger.db")).close()
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o700


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
    writes = (lambda: reader.commit(move(NAME, 4)), lambda: reader.release("r"), lambda: reader.settle("r", {}))
    for write in writes:
        with pytest.raises(LedgerUnavailable, match="reading only"):
            await write()
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
    with refuses(LedgerUnavailable, "store_unavailable"):
        await open_ledger(f"sqlite://{path}", read_only=True)
    assert list(path.parent.iterdir()) == []


async def test_a_reader_sees_that_the_database_is_gone(path: Path) -> None:
    """HIRE-LOG-05: the head beside it says that there was a log; nobody reads an empty one, and none is begun."""
    ledger = await open_ledger(f"sqlite://{path}")
    await ledger.commit(move(NAME, 1, leaves=(b"leaf",)))
    await ledger.close()
    os.unlink(path)
    for read_only in (True, False):
        with refuses(LedgerError, "ledger_diverged"):
            await open_ledger(f"sqlite://{path}", read_only=read_only)
        assert path.name not in os.listdir(path.parent)


@pytest.mark.parametrize("there", ["nothing", "a copy"])
async def test_what_was_moved_away_is_not_written_on(tmp_path: Path, there: str) -> None:
    """HIRE-CHN-07: what is acknowledged is found again. The files are open, and would take it wherever they are."""
    folder, away = tmp_path / "state", tmp_path / "away"
    ledger = await open_ledger(f"sqlite://{folder}/ledger.db")
    books = await open_books(f"sqlite://{folder}/ledger.db")
    await ledger.commit(move(NAME, 1))
    await books.reserve(reservation("before", "1", "5"))
    folder.rename(away)
    if there == "a copy":
        folder.mkdir()
        copy_database(away / "ledger.db", folder / "ledger.db", lambda _: None)
    for _ in range(2):
        with refuses(LedgerUnavailable, "store_unavailable"):
            await ledger.commit(move(NAME, 2))
    with refuses(LedgerUnavailable, "store_unavailable"):
        await books.reserve(reservation("meanwhile", "1", "5"))
    assert not ledger.ready
    assert folder.exists() == (there == "a copy"), "none is begun anew"
    if there == "a copy":
        shutil.rmtree(folder)
    away.rename(folder)
    await ledger.commit(move(NAME, 2))
    assert await books.reserve(reservation("after", "1", "5")) == {"read/EUR": "2"}
    assert (ledger.ready, len(await ledger.rows(NAME))) == (True, 2)
    await books.close()
    await ledger.close()


async def test_a_database_that_became_empty_is_not_begun_anew(path: Path) -> None:
    """HIRE-LOG-05: with tables made in it, it would be one that is whole and holds nothing, to whoever only reads."""
    ledger = await open_ledger(f"sqlite://{path}")
    await ledger.commit(move(NAME, 1, leaves=(b"leaf",)))
    await ledger.close()
    os.truncate(path, 0)
    for read_only in (True, False, True):
        with refuses(LedgerError, "ledger_diverged"):
            await open_ledger(f"sqlite://{path}", read_only=read_only)
        assert (path.parent / path.name).stat().st_size == 0


@pytest.mark.parametrize(
    ("head", "code", "where"),
    [(b"another text\n", "store_corrupt", "head file"), (Head(2, bytes(32)), "ledger_diverged", "tree")],
)
async def test_a_head_of_another_ledger_is_found_by_who_only_reads(
    path: Path, head: bytes | Head, code: str, where: str
) -> None:
    """The next start is refused for it."""
    ledger = await open_ledger(f"sqlite://{path}")
    await ledger.commit(move(NAME, 1, leaves=(b"leaf",)))
    await ledger.close()
    beside = path.with_name(f"{path.name}.head")
    HeadFile(beside).write(head) if isinstance(head, Head) else beside.write_bytes(head)
    reader = await open_ledger(f"sqlite://{path}", read_only=True)
    found = await reader.check()
    await reader.close()
    assert [(defect.code, defect.where) for defect in found.defects] == [(code, where)]
    assert found.missing == ""


def says(size: int) -> dict[str, Any]:
    """Members of a message that says how large its sender's log was: by its head, or in a signed note."""
    return {"head": {"size": size}}


def shows(size: int) -> dict[str, Any]:
    note = f"{checkpoint_text(PEER, size, bytes(32)).decode()}\n\u2014 {PEER} AAAAAAA=\n"
    return {"checkpoint": f"u{base64url_encode(note.encode())}"}


# what is gone


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


@pytest.mark.parametrize("more", [0, 1, 3])
async def test_of_a_log_whose_heads_find_no_room_nothing_is_gone(ledger: SqliteLedger, more: int) -> None:
    """HIRE-LOG-09: one whose tiles cannot be had grows all the same; what was missed is in the journal."""
    for size in range(1, MAX_OPEN + 2 + more):
        document = {"engagement": NAME, "type": "Offer", **says(size)}
        row = Row(NAME, size, "received", AT, PEER, size, "Offer", digest_of(document), canonicalize(document))
        position, stated = (0, size), Stated(log=PEER, size=size, root=bytes(32), at=AT, note="a note")
        before = None if size == 1 else (0, size - 1)
        one = replace(move(NAME, 1), expected=before, rows=(row,), outbox=(), position=position, seen=(stated,))
        await ledger.commit(replace(one, summary=summary(NAME, position)))
    seen = await ledger.seen(PEER)
    assert seen is not None
    assert seen.missed == more
    assert (await ledger.check()).defects == ()


async def test_a_log_that_begins_anew_may_be_smaller(ledger: SqliteLedger) -> None:
    document = {"engagement": NAME, **says(3)}
    row = Row(NAME, 1, "received", AT, PEER, 1, "Offer", digest_of(document), canonicalize(document))
    await ledger.commit(replace(move(NAME, 1), rows=(row,), outbox=(), position=(0, 1), summary=summary(NAME, (0, 1))))
    await ledger.update_seen(PEER, lambda seen: decided(seen, AT, anew=True, reason="it was lost"))
    assert (await ledger.check()).ok


SEAL = "UPDATE engagement SET seal = sealed(name, own, peer, length, head, live, summary, outbox) WHERE id = 1"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("DELETE FROM journal WHERE engagement = 1; DELETE FROM engagement WHERE id = 1", "1 of 2 rows are missing"),
        ("DELETE FROM engagement WHERE id = 1", "rows of engagement 1 have no entry"),
        ("UPDATE engagement SET live = 0 WHERE id = 1", "was changed"),
        (f"UPDATE engagement SET head = zeroblob(32) WHERE id = 1; {SEAL}", "ends at place 1; 1 were recorded"),
        (f"UPDATE engagement SET own = 0 WHERE id = 1; {SEAL}", "holds [1, 0] moves; [0, 0] were recorded"),
        (f"UPDATE engagement SET peer = 1 WHERE id = 1; {SEAL}", "holds [1, 0] moves; [1, 1] were recorded"),
        ("UPDATE journal SET link = zeroblob(32) WHERE id = 1", "does not follow the row before"),
        ("UPDATE journal SET at = '2026-11-25T12:00:01Z' WHERE id = 1", "does not follow the row before"),
        (
            "UPDATE journal SET place = 2, link = moved() WHERE id = 1;"
            f" UPDATE engagement SET head = moved() WHERE id = 1; {SEAL}",
            "does not follow the row before",
        ),
        (
            f"UPDATE engagement SET outbox = CAST('[[1,\"uEi\"]]' AS BLOB) WHERE id = 1; {SEAL}",
            "is not the move in the outbox",
        ),
        (
            f"UPDATE engagement SET outbox = CAST('[[9,\"uEi\"]]' AS BLOB) WHERE id = 1; {SEAL}",
            "is in the outbox and not there",
        ),
    ],
)
async def test_an_engagement_that_is_gone_or_changed_is_a_defect(change: str, found: str, path: Path) -> None:
    """Though it has nothing in the tree, no evidence and no limit that could miss it, and though whoever can write the
    file linked and sealed it again.
    """
    name = engagement(0)
    ledger = await open_ledger(f"sqlite://{path}")
    for one in (name, engagement(1)):
        await ledger.commit(move(one, 1))
    report = await ledger.check()
    assert (report.ok, report.rows, report.missing) == (True, 2, "")
    await ledger.close()
    with closing(sqlite3.connect(path)) as db:
        db.create_function("sealed", 8, engagement_seal)
        db.create_function("moved", 0, lambda: link(first_link(name), replace(move(name, 1).rows[0], place=2)))
        db.executescript(change)
    reader = await open_ledger(f"sqlite://{path}", read_only=True)
    report = await reader.check()
    await reader.close()
    assert [(one.code, one.detail) for one in report.defects] == [("store_corrupt", found)]


async def test_a_part_that_cannot_be_read_is_a_defect(path: Path) -> None:
    """The head beside the database, or a text that is sealed and no JSON; the others are looked at."""
    ledger = await open_ledger(f"sqlite://{path}")
    await ledger.commit(move(engagement(), 1, evidence=(Blob(digest_bytes(b"x"), b"x", "did-document", OWN),)))
    await ledger.close()
    next_to(path, ".head").mkdir()
    with closing(sqlite3.connect(path)) as db:
        db.create_function("sealed", 8, engagement_seal)
        db.executescript(f"UPDATE engagement SET summary = CAST('{{' AS BLOB); {SEAL}")
    reader = await open_ledger(f"sqlite://{path}", read_only=True)
    report = await reader.check()
    await reader.close()
    found = [("store_unavailable", "head file"), ("store_corrupt", "journal")]
    assert ([(one.code, one.where) for one in report.defects], report.blobs) == (found, 1)


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM usage",
        "DELETE FROM reservation",
        "DELETE FROM reservation WHERE state = 'released'",
        "DELETE FROM usage WHERE held = '0'",
        "UPDATE usage SET held = '1'",
        "UPDATE usage SET used = '1'",
        "INSERT INTO usage VALUES ('another', 'read/EUR', '1', '0')",
    ],
)
async def test_a_sum_that_is_not_of_its_reservations_is_a_defect(change: str, path: Path) -> None:
    ledger = await open_ledger(f"sqlite://{path}")
    await ledger.reserve(reservation("one", "3", "10"))
    await ledger.reserve(replace(reservation("two", "3", "10"), contract="second"))
    await ledger.release("two")
    assert (await ledger.check()).ok
    await ledger.close()
    with closing(sqlite3.connect(path)) as db:
        db.executescript(change)
    reader = await open_ledger(f"sqlite://{path}", read_only=True)
    report = await reader.check()
    await reader.close()
    assert {(one.code, one.where[:6]) for one in report.defects} == {("store_corrupt", "limit ")}


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
    "an entry that nothing else names": "DELETE FROM evidence WHERE kind = 'status-list'",
    "what the bytes were": "UPDATE blob SET raw = x'00' WHERE digest IN"
    " (SELECT digest FROM evidence WHERE kind = 'equivocation')",
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
    bits = Blob(digest_bytes(b"a status list"), b"a status list", "status-list", "its address")
    said = replace(move(other, 1), rows=(row, fact), outbox=(row.digest,), evidence=(blobs[0], twice, bits))
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
