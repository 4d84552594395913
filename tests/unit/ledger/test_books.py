"""Ledgers that several processes book in: one writes journals, any number book on limits beside it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from backends.moves import AT, LATER, engagement, move, reservation
from undersigned.errors import ConfigurationError, LedgerConflict, LedgerUnavailable, ScopeError
from undersigned.ledger import Head, Ledger, Reservation, Seen, SqliteLedger, open_books, open_ledger
from undersigned.ledger.sqlite_file import HeadFile, connect, create_empty, next_to
from undersigned.ledger.sqlite_group import Release, WriterState
from undersigned.transparency import EMPTY_ROOT

C = "uEiContract"


@pytest.fixture
async def url(tmp_path: Path) -> str:
    return f"sqlite://{tmp_path}/ledger.db"


@pytest.fixture
async def three(url: str) -> AsyncIterator[tuple[Ledger, Ledger, Ledger]]:
    """The writer, and two that book beside it."""
    writer = await open_ledger(url)
    one, other = await open_books(url), await open_books(url)
    yield writer, one, other
    for ledger in (one, other, writer):
        await ledger.close()


async def test_all_count_together(three: tuple[Ledger, ...]) -> None:
    """HIRE-GAT-04: each sees what the others booked a moment ago, whatever it holds in memory."""
    for number, ledger in enumerate([*three, *reversed(three)]):
        assert await ledger.reserve(reservation(f"r{number}", "1", "6")) == {"read/EUR": str(number + 1)}
    for ledger in three:
        with pytest.raises(ScopeError):
            await ledger.reserve(reservation("more", "0.000000001", "6"))
    await three[1].settle("r0", {"read/EUR": "0.5"})
    await three[2].release("r1")
    for ledger in three:
        assert await ledger.usage(C) == {"read/EUR": "4.5"}
    with pytest.raises(LedgerConflict):
        await three[0].settle("r0", {"read/EUR": "1"})


def test_what_others_booked_while_it_was_closed_counts(tmp_path: Path) -> None:
    """As when the disk failed: SQLite counts the writes of others for each connection anew, and so may say the same."""
    path = tmp_path / "ledger.db"
    create_empty(path)
    state, other = (WriterState(HeadFile(next_to(path, ".head"))) for _ in range(2))

    def book(who: WriterState, wanted: Reservation) -> None:
        with closing(connect(path, writing=True)) as db:
            who.read(db, beside=who is other)
            stage = who.begin(db)
            who.apply(db, stage, wanted)
            who.flush(db, stage)
            db.execute("COMMIT")
            who.adopt(stage)

    book(state, reservation("one", "3", "5"))
    book(other, reservation("two", "2", "5"))
    with pytest.raises(ScopeError):
        book(state, reservation("three", "1", "5"))


def test_a_promise_that_a_group_changed_is_as_the_group_left_it(tmp_path: Path) -> None:
    """And not as the table still has it: made for longer it stands, given back it is not given back once more."""
    path = tmp_path / "ledger.db"
    create_empty(path)
    state = WriterState(HeadFile(next_to(path, ".head")))

    def promise(id: str, amount: str, **more: Any) -> Reservation:
        return reservation(id, amount, "5", **{"kind": "capacity", "until": AT, **more})

    with closing(connect(path, writing=True)) as db:
        state.read(db, beside=False)
        stage = state.begin(db)
        for one in (promise("p", "3"), promise("q", "1")):
            state.apply(db, stage, one)
        state.flush(db, stage)
        db.execute("COMMIT")
        state.adopt(stage)
        stage = state.begin(db)
        for change in (promise("p", "3", until=LATER), Release("q"), promise("o", "1", contract="another")):
            state.apply(db, stage, change)
        assert state.apply(db, stage, promise("r", "1", at=LATER, until=LATER)) == {"read/EUR": "4"}
        assert state.apply(db, stage, promise("s", "1", contract="another")) == {"read/EUR": "2"}


async def test_what_is_kept_back_on_a_full_disk_is_the_writers(three: tuple[Ledger, ...], tmp_path: Path) -> None:
    """HIRE-GAT-04: who books beside it may not use that up, and needs none to go on."""
    beside = three[1]
    assert isinstance(beside, SqliteLedger)
    assert beside._writer is not None
    assert beside._writer._db is not None
    beside._writer._db.execute("PRAGMA max_page_count = 1")  # no more than there are
    some = [beside.reserve(reservation(f"r{number}", "1", None)) for number in range(300)]
    with pytest.raises(LedgerUnavailable) as full:
        await asyncio.gather(*some)
    assert (full.value.code, "it goes on once" in full.value.message) == ("store_full", False)
    assert (tmp_path / "ledger.db.spare").exists()
    beside._writer._db.execute("PRAGMA max_page_count = 1000000")
    (tmp_path / "ledger.db.spare").unlink()
    await beside.reserve(reservation("r", "1", None))
    assert not (tmp_path / "ledger.db.spare").exists()


async def test_at_once_they_get_what_fits(three: tuple[Ledger, ...]) -> None:
    """HIRE-SCO-08, HIRE-GAT-04: of ninety by three connections, at the same time, a third gets it."""
    tries = [three[number % 3].reserve(reservation(f"r{number}", "1", "30")) for number in range(90)]
    done = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(not isinstance(item, BaseException) for item in done) == 30
    assert {type(item) for item in done if isinstance(item, BaseException)} == {ScopeError}
    assert (await three[0].check()).ok


async def test_books_hold_no_journal(three: tuple[Ledger, ...]) -> None:
    writer, beside, _ = three
    refused = (
        lambda: beside.commit(move(engagement(), 1)),
        lambda: beside.put_checkpoint(Head(0, EMPTY_ROOT), "a note"),
        lambda: beside.update_seen("did:web:globex.example", lambda _: Seen()),
    )
    for ask in refused:
        with pytest.raises(LedgerUnavailable):
            await ask()
    assert await writer.checkpoint() is None
    await writer.commit(move(engagement(), 1))
    assert len(await beside.rows(engagement())) == 1


async def test_there_are_no_books_without_a_ledger(url: str, tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailable):
        await open_books(url)
    assert os.listdir(tmp_path) == []
    with pytest.raises(ConfigurationError):
        await open_books("memory:")


async def test_books_may_be_the_first_to_come(tmp_path: Path) -> None:
    """Where nobody has a journal yet, and in a folder that is not there either."""
    url = f"sqlite://{tmp_path}/new/ledger.db"
    books = await open_books(url, create=True)
    await books.reserve(reservation("a", "1", "3"))
    await books.close()
    writer = await open_ledger(url)
    assert await writer.usage(C) == {"read/EUR": "1"}
    await writer.close()


async def test_the_writer_may_come_and_go(url: str) -> None:
    """HIRE-GAT-04: gates go on while the peer restarts, and what they booked counts for it afterwards."""
    writer = await open_ledger(url)
    beside = await open_books(url)
    await writer.reserve(reservation("a", "1", "3"))
    await writer.close()
    await beside.reserve(reservation("b", "1", "3"))
    writer = await open_ledger(url)
    assert await writer.reserve(reservation("c", "1", "3")) == {"read/EUR": "3"}
    with pytest.raises(ScopeError):
        await beside.reserve(reservation("d", "1", "3"))
    await beside.close()
    await writer.close()


async def test_what_a_booking_looks_up_does_not_grow_with_open_actions(url: str, tmp_path: Path) -> None:
    """Promises that lapsed are found by an index that holds promises alone."""
    writer = await open_ledger(url)
    await writer.close()
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as db:
        plan = db.execute(
            "EXPLAIN QUERY PLAN SELECT * FROM reservation"
            " WHERE state = 'open' AND contract = ? AND kind = 'capacity' AND until < ?",
            ("a", "b"),
        ).fetchall()
    assert "USING INDEX reservation_promised (contract=? AND until<?)" in plan[0][3]
