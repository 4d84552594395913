"""Groups: what is written together, and what is kept in memory of it."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from backends.moves import AT, OWN, PEER, answer, engagement, move, reservation, summary
from support import refuses
from undersigned.encoding import digest_bytes, shift
from undersigned.errors import LedgerError, LedgerUnavailable, ScopeError
from undersigned.ledger import (
    Blob,
    Commit,
    Head,
    Ledger,
    SqliteLedger,
    Stated,
    open_ledger,
    sqlite_group,
    sqlite_writer,
)
from undersigned.ledger.base import Row
from undersigned.ledger.chain import link
from undersigned.ledger.sqlite_file import Spare
from undersigned.transparency import Frontier, leaf_hash, verify_consistency
from unit.ledger.outside import NAME


async def test_what_queues_up_shares_a_sync(ledger: SqliteLedger) -> None:
    """Counted, not timed: a hundred commits at once need far fewer transactions than a hundred."""
    await asyncio.gather(*(ledger.commit(move(engagement(at), 1)) for at in range(100)))
    assert ledger.counters.commits == 100
    assert ledger.counters.groups <= 25


async def test_more_than_a_group_takes_is_written_too(ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_writer, "MAX_GROUP", 4)
    async with asyncio.timeout(10):
        await asyncio.gather(*(ledger.commit(move(engagement(at), 1)) for at in range(20)))
        await ledger.commit(move(engagement(20), 1))
    assert ledger.counters.commits == 21


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


@pytest.mark.parametrize("kept", [0, 2, 65_536])
async def test_engagements_and_logs_are_the_same_from_memory_and_from_the_file(
    ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    """Only so many are in memory, whoever has been here; of the others the end is read again."""
    monkeypatch.setattr(sqlite_group, "MAX_HEADS", kept)
    logs = [f"did:web:{at}.example" for at in range(6)]
    for number in (1, 2, 3):
        for at, log in enumerate(logs):
            seen = Stated(log=log, size=number, root=bytes([number]) * 32, at=AT, note=f"note {number}")
            await ledger.commit(move(engagement(at), number, seen=(seen,), leaves=(b"%d" % at,)))
    assert ledger._writer is not None
    held = ledger._writer.held
    assert max(len(held._heads), len(held._seen)) <= kept + 1
    for at, log in enumerate(logs):
        assert [row.sequence for row in await ledger.rows(engagement(at))] == [1, 2, 3]
        found = await ledger.seen(log)
        assert found is not None
        assert [one.size for one in found.held] == [1, 2, 3]
    assert (await ledger.head()).size == 6
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


async def test_a_commit_that_a_damaged_row_refuses_is_no_part_of_its_group(path: Path) -> None:
    """HIRE-CHN-07: what it books, and the places that it gives up, are not written with the others."""
    seen = Stated(log=PEER, size=3, root=bytes(32), at=AT, note="a note")
    first = move(NAME, 1, seen=(seen,))
    ledger = SqliteLedger(path)
    await ledger.open()
    await ledger.commit(first)
    await ledger.close()
    db = sqlite3.connect(path)
    db.execute("UPDATE seen_log SET seal = zeroblob(32)")
    db.commit()
    ledger = SqliteLedger(path)
    await ledger.open()
    freed = (first.rows[0].digest,)
    more = {"reserve": (reservation("r", "1", "5"),), "seen": (replace(seen, size=4),)}
    refused = Commit(NAME, (1, 0), (0, 0), (), summary(NAME, (0, 0)), freed=freed, **more)
    done = await asyncio.gather(
        ledger.commit(refused), ledger.commit(move(engagement("other"), 1)), return_exceptions=True
    )
    assert [getattr(item, "code", "") for item in done] == ["store_corrupt", ""]
    assert await ledger.usage("uEiContract") == {}
    assert db.execute("SELECT count(*) FROM journal WHERE freed").fetchone() == (0,)
    db.close()
    await ledger.close()


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


async def test_a_tree_whose_row_was_changed_is_not_sealed_again(ledger: SqliteLedger, path: Path) -> None:
    """HIRE-SEC-03: a checkpoint beside it would make it look whole."""
    db = sqlite3.connect(path)
    db.execute("UPDATE tree SET secret = zeroblob(32)")
    db.commit()
    db.close()
    with refuses(LedgerError, "store_corrupt"):
        await ledger.put_checkpoint(await ledger.head(), "a note")
    assert not (await ledger.check()).ok


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
    assert ledger.counters.conflicts == 0
    assert len(await ledger.summaries()) == 3
    assert (await ledger.check()).ok


async def test_while_there_is_no_room_only_what_is_urgent_is_written(
    ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the spare room is held again all goes on, though nobody writes."""
    writer = ledger._writer
    assert writer is not None
    monkeypatch.setattr(sqlite_writer, "PROBE_SECONDS", 0.01)
    with monkeypatch.context() as full:
        full.setattr(Spare, "hold", lambda _: False)
        writer.trouble = LedgerUnavailable("store_full", "no room")
        with refuses(LedgerUnavailable, "store_full"):
            await ledger.commit(move(engagement("a"), 1))
        with refuses(LedgerUnavailable, "store_full"):
            await ledger.reserve(reservation("r", "1", None))
        await ledger.commit(move(engagement("b"), 1, urgent=True))
        assert writer.trouble is not None
    for _ in range(3000):
        if writer.trouble is None:
            break
        await asyncio.sleep(0.01)
    assert writer.trouble is None
    await ledger.commit(move(engagement("a"), 1))
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


async def test_those_who_begin_together_are_none_of_those_that_are_there(path: Path) -> None:
    """Also where a ledger is opened again: each keeps its own rows, by numbers from 1 on, as 0 is nobody's."""
    for first in (0, 20):
        ledger = SqliteLedger(path)
        await ledger.open()
        await asyncio.gather(*(ledger.commit(move(engagement(at), 1)) for at in range(first, first + 20)))
        for at in range(first + 20):
            assert [row.place for row in await ledger.rows(engagement(at))] == [1]
        assert (await ledger.check()).ok
        await ledger.close()
        with closing(sqlite3.connect(path)) as db:
            found = db.execute("SELECT min(id), max(id), count(*) FROM engagement").fetchone()
        assert found == (1, first + 20, first + 20)


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
