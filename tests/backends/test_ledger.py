"""One suite that every ledger passes. Those that outlive their process are opened again before they are asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from backends.moves import AT, LATER, OWN, PEER, answer, engagement, move, reservation, row, summary
from support import refuses
from undersigned.encoding import digest_bytes, shift
from undersigned.errors import (
    ConfigurationError,
    LedgerConflict,
    LedgerError,
    LedgerUnavailable,
    LogProofError,
    ScopeError,
)
from undersigned.ledger import (
    Blob,
    Commit,
    Draw,
    Fork,
    Head,
    Ledger,
    Reservation,
    Row,
    Spent,
    Stated,
    connected,
    contradicted,
    decided,
    open_ledger,
)
from undersigned.ledger.seen import MAX_OPEN
from undersigned.transparency import leaf_hash, node_hash, verify_consistency

Again = Callable[[Ledger], Awaitable[Ledger]]
C = "uEiContract"


@pytest.fixture(params=["memory", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory:" if request.param == "memory" else f"sqlite://{tmp_path}/peer%20a/ledger.db"


@pytest.fixture
async def ledger(url: str) -> AsyncIterator[Ledger]:
    opened = await open_ledger(url)
    yield opened
    await opened.close()


@pytest.fixture
async def again(url: str) -> AsyncIterator[Again]:
    """Closes a durable ledger and opens it again, so that what is read was written."""
    made: list[Ledger] = []

    async def reopened(ledger: Ledger) -> Ledger:
        if url == "memory:":
            return ledger
        await ledger.close()
        made.append(await open_ledger(url))
        return made[-1]

    yield reopened
    for item in made:
        await item.close()


async def everything(ledger: Ledger) -> Any:
    """All that can be read, to show that nothing changed."""
    found: list[Any] = [await ledger.tree_size(), await ledger.root(), await ledger.usage(C), await ledger.checkpoint()]
    for item in await ledger.summaries():
        name = item.engagement
        found += [item, await ledger.rows(name), await ledger.outbox(name), await ledger.effects(name)]
        found.append(await ledger.evidence(name))
    return found


def blob(data: bytes, **more: Any) -> Blob:
    return Blob(digest_bytes(data), data, **more)


# commits


async def test_what_is_committed_is_read_back(ledger: Ledger, again: Again) -> None:
    """Every part of a commit is there afterwards, also after the store was opened again."""
    name = engagement()
    first = move(name, 1, effects=("d1/start",), evidence=(blob(b"{}", kind="did-document", name=PEER),))
    await ledger.commit(first)
    second = answer(name, 1, own=1, effects=("d2/reserve",))
    await ledger.commit(second)
    fact = Row(name, 3, "noted", AT, OWN, None, "decision", "", b"allow")
    await ledger.commit(Commit(name, (1, 1), (1, 1), (fact,), summary(name, (1, 1), state="ready")))
    ledger = await again(ledger)
    rows = (*first.rows, *second.rows, fact)
    assert await ledger.rows(name) == rows
    assert await ledger.rows(name, 2) == (fact,)
    assert await ledger.rows(name, 3) == ()
    assert await ledger.rows(name, 5) == ()
    assert await ledger.rows(name, verify=False) == rows
    assert await ledger.summary(name) == summary(name, (1, 1), state="ready")
    assert await ledger.summaries() == (summary(name, (1, 1), state="ready"),)
    assert await ledger.outbox(name) == first.rows
    assert (await ledger.check()).ok, "a fact is of no digest"
    await ledger.commit(move(engagement("other"), 1, effects=("d3/start",)))
    assert await ledger.effects(name) == {"d1/start", "d2/reserve"}
    assert await ledger.evidence(name) == first.evidence
    assert await ledger.blob(digest_bytes(b"{}")) == b"{}"


async def test_what_is_not_there_is_empty(ledger: Ledger) -> None:
    name = engagement("nobody")
    assert await ledger.rows(name) == ()
    assert await ledger.summary(name) is None
    assert await ledger.summaries() == ()
    assert await ledger.outbox(name) == ()
    assert await ledger.effects(name) == frozenset()
    assert await ledger.evidence(name) == ()
    assert await ledger.blob(digest_bytes(b"?")) is None
    assert await ledger.usage(C) == {}
    assert await ledger.leaves(0, 9) == await ledger.nodes(0, 0, 9) == ()
    assert await ledger.index_of(name, bytes(32)) is None
    assert await ledger.checkpoint() is None
    assert await ledger.root() == sha256(b"").digest()


async def test_only_live_engagements_are_listed_when_asked(ledger: Ledger, again: Again) -> None:
    for at, live in enumerate((True, False, True)):
        name = engagement(at)
        await ledger.commit(move(name, 1, summary=summary(name, (1, 0), live=live)))
    ledger = await again(ledger)
    assert [item.engagement for item in await ledger.summaries()] == [engagement(at) for at in range(3)]
    assert [item.engagement for item in await ledger.summaries(live_only=True)] == [engagement(0), engagement(2)]


async def test_an_engagement_that_ends_leaves_the_live_list(ledger: Ledger) -> None:
    name = engagement()
    await ledger.commit(move(name, 1))
    await ledger.commit(move(name, 2, summary=summary(name, (2, 0), live=False, wake_at=None)))
    assert await ledger.summaries(live_only=True) == ()
    await ledger.commit(move(name, 3))  # what is written of it afterwards follows on that
    assert len(await ledger.summaries(live_only=True)) == 1


def _conflicts(name: str) -> dict[str, Commit]:
    """Commits that do not follow `move(1)`, `answer(1)`; each would change something of every kind."""
    more: dict[str, Any] = {
        "effects": ("fresh",),
        "evidence": (blob(b"new"),),
        "leaves": (b"new leaf",),
        "reserve": (reservation("new", "1", None),),
    }
    good = row(name, 3, sequence=2)
    return {
        "older position": move(name, 1, text="other", place=3, **more),
        "newer position": move(name, 3, peer=1, place=3, **more),
        "peer moved meanwhile": move(name, 2, peer=0, place=3, **more),
        "claims to be first": move(name, 2, peer=1, place=3, **{**more, "expected": None}),
        "place taken": move(name, 2, peer=1, place=2, **more),
        "place skipped": move(name, 2, peer=1, place=4, **more),
        "move stands already": move(name, 2, peer=1, rows=(row(name, 3, sequence=1),), outbox=(), **more),
        "two moves in one place": Commit(
            name, (1, 1), (3, 1), (good, row(name, 4, sequence=2, text="other")), summary(name, (3, 1)), **more
        ),
        "effect done already": move(name, 2, peer=1, **{**more, "effects": ("fresh", "done")}),
        "effect twice": move(name, 2, peer=1, **{**more, "effects": ("fresh", "fresh")}),
        "reservation of another kind": move(name, 2, peer=1, **{**more, "reserve": (reservation("r", "2", None),)}),
    }


@pytest.mark.parametrize("case", _conflicts(engagement()))
async def test_a_commit_decided_on_something_else_writes_nothing(ledger: Ledger, again: Again, case: str) -> None:
    """C1: unique places, unique effects, and the position a decision was made on must still be the position.

    HIRE-CHN-06.
    """
    name = engagement()
    await ledger.commit(move(name, 1, effects=("done",), reserve=(reservation("r", "1", "5"),)))
    await ledger.commit(answer(name, 1, own=1))
    before = await everything(ledger)
    with refuses(LedgerConflict, "store_conflict"):
        await ledger.commit(_conflicts(name)[case])
    assert ledger.counters.conflicts == 1
    assert ledger.ready
    ledger = await again(ledger)
    assert await everything(ledger) == before
    # The right move still fits.
    await ledger.commit(move(name, 2, peer=1))


async def test_nothing_follows_on_an_engagement_that_is_not_there(ledger: Ledger) -> None:
    """HIRE-CHN-06."""
    name = engagement()
    for case, code in (
        (move(name, 2), "store_conflict"),
        (move(name, 1, place=2), "store_conflict"),
        (move(name, 1, position=(2, 0)), "internal"),
    ):
        with refuses(LedgerError, code):
            await ledger.commit(case)
    assert await ledger.summaries() == ()
    await ledger.commit(move(name, 1))


def _refusals(name: str) -> dict[str, tuple[Commit, str]]:
    fact = Row(name, 2, "noted", AT, OWN, 2, "decision", "", b"x")
    more: dict[str, Any] = {"evidence": (blob(b"new"),), "leaves": (b"new leaf",)}
    return {
        "evidence of another digest": (move(name, 2, evidence=(Blob(digest_bytes(b"a"), b"b"),)), "digest_mismatch"),
        "outbox without row": (move(name, 2, outbox=(digest_bytes(b"?"),), **more), "not_found"),
        "outbox of what came": (
            answer(name, 1, own=1, outbox=(row(name, 2, own=False, sequence=1).digest,)),
            "not_found",
        ),
        "rows lead elsewhere": (move(name, 2, position=(3, 0), **more), "internal"),
        "rows lead elsewhere than all say": (
            move(name, 2, position=(3, 0), summary=summary(name, (3, 0)), **more),
            "internal",
        ),
        "summary says otherwise": (move(name, 2, summary=summary(name, (1, 0)), **more), "internal"),
        "summary of another": (move(name, 2, summary=summary(engagement("b"), (2, 0)), **more), "internal"),
        "row of another": (move(name, 2, rows=(row(engagement("b"), 2, sequence=2),), outbox=(), **more), "internal"),
        "a fact with a place": (Commit(name, (1, 0), (2, 0), (fact,), summary(name, (2, 0)), **more), "internal"),
        "settles what is not reserved": (move(name, 2, settle=(Spent("none", {}),), **more), "not_found"),
        "over a limit": (move(name, 2, reserve=(reservation("r", "6", "5"),), **more), "scope_exceeded"),
        "second reservation over": (
            move(name, 2, reserve=(reservation("r", "3", "5"), reservation("s", "3", "5")), **more),
            "scope_exceeded",
        ),
    }


@pytest.mark.parametrize("case", _refusals(engagement()))
async def test_a_commit_that_contradicts_itself_writes_nothing(ledger: Ledger, again: Again, case: str) -> None:
    name = engagement()
    await ledger.commit(move(name, 1))
    before = await everything(ledger)
    commit, code = _refusals(name)[case]
    with refuses((LedgerError, ScopeError), code):
        await ledger.commit(commit)
    ledger = await again(ledger)
    assert await everything(ledger) == before
    await ledger.commit(move(name, 2))


async def test_notices_take_no_place(ledger: Ledger) -> None:
    """Any number of rows without a sequence, and the position stays."""
    name = engagement()
    await ledger.commit(move(name, 1))
    for place in (2, 3, 4):
        notice = row(name, place, own=False)
        await ledger.commit(Commit(name, (1, 0), (1, 0), (notice,), summary(name, (1, 0))))
    assert len(await ledger.rows(name)) == 4


async def test_a_place_refused_for_good_is_taken_again(ledger: Ledger, again: Again) -> None:
    """N9: once the peer's final refusal is recorded, another move may stand in that place. Both rows are kept.

    HIRE-NEG-19.
    """
    name = engagement()
    refused = move(name, 1)
    await ledger.commit(refused)
    (first,) = refused.rows
    problem = row(name, 2, own=False)
    back = Commit(name, (1, 0), (0, 0), (problem,), summary(name, (0, 0)), freed=(first.digest,))
    with refuses(LedgerError, "not_found"):
        await ledger.commit(Commit(name, (1, 0), (0, 0), (problem,), summary(name, (0, 0)), freed=(problem.digest,)))
    await ledger.commit(back)
    assert await ledger.outbox(name) == ()
    other = move(name, 1, place=3, text="another", expected=(0, 0))
    ledger = await again(ledger)
    await ledger.commit(other)
    assert await ledger.rows(name) == (first, problem, *other.rows)
    assert (await ledger.check()).ok
    with refuses(LedgerError, "not_found"):
        await ledger.commit(Commit(name, (1, 0), (0, 0), (), summary(name, (0, 0)), freed=(first.digest,)))
    with pytest.raises(LedgerConflict):
        await ledger.commit(move(name, 2, place=4, rows=(row(name, 4, sequence=1, text="third"),), outbox=()))


async def test_of_places_none_is_given_up_if_one_is_not_held(ledger: Ledger, again: Again) -> None:
    name = engagement()
    one, two = move(name, 1), move(name, 2)
    await ledger.commit(one)
    await ledger.commit(two)
    freed = (two.rows[0].digest, digest_bytes(b"of no move"))
    with refuses(LedgerError, "not_found"):
        await ledger.commit(Commit(name, (2, 0), (0, 0), (), summary(name, (0, 0)), freed=freed))
    ledger = await again(ledger)
    assert (await ledger.check()).ok
    await ledger.commit(move(name, 3))
    assert await ledger.outbox(name) == (*one.rows, *two.rows, *move(name, 3).rows)


@pytest.mark.parametrize("booked", [{}, {"release": ("r",)}, {"reserve": (reservation("s", "1", "5"),)}])
async def test_a_place_is_given_up_and_taken_in_one_commit(ledger: Ledger, again: Again, booked: Any) -> None:
    """HIRE-NEG-19: the answer to the refusal stands where the refused move stood."""
    name = engagement()
    refused = move(name, 1, reserve=(reservation("r", "1", "5"),))
    await ledger.commit(refused)
    (first,) = refused.rows
    problem, other = row(name, 2, own=False), row(name, 3, sequence=1, text="another")
    rows = (problem, other)
    of = summary(name, (1, 0))
    await ledger.commit(Commit(name, (1, 0), (1, 0), rows, of, outbox=(other.digest,), freed=(first.digest,), **booked))
    ledger = await again(ledger)
    assert await ledger.rows(name) == (first, *rows)
    assert await ledger.outbox(name) == (other,)
    assert (await ledger.check()).ok


async def test_one_of_many_decisions_on_a_position_counts(ledger: Ledger) -> None:
    """However many tasks decide on the same position, one commit is written and the others conflict (HIRE-CHN-06)."""
    name = engagement()
    await ledger.commit(move(name, 1))
    tries = [ledger.commit(move(name, 2, text=str(at), effects=(f"e{at}",))) for at in range(40)]
    done = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(item, LedgerConflict) for item in done) == 39
    assert len(await ledger.rows(name)) == 2
    assert len(await ledger.effects(name)) == 1


async def test_a_conflict_fails_alone(ledger: Ledger, again: Again) -> None:
    """In a crowd, each commit that conflicts fails and every other is written."""
    shared = [move(engagement(at), 1, effects=(f"once-{at // 2}",), leaves=(b"leaf %d" % at,)) for at in range(60)]
    done = await asyncio.gather(*map(ledger.commit, shared), return_exceptions=True)
    written = [commit for commit, outcome in zip(shared, done, strict=True) if not isinstance(outcome, Exception)]
    assert [isinstance(item, LedgerConflict) for item in done] == [at % 2 == 1 for at in range(60)]
    ledger = await again(ledger)
    assert len(await ledger.summaries()) == 30
    assert await ledger.tree_size() == 30
    for commit in written:
        assert await ledger.rows(commit.engagement) == commit.rows
    assert (await ledger.check()).ok


async def test_a_cancelled_task_does_not_take_its_commit_back(ledger: Ledger) -> None:
    name = engagement()
    task, other = (asyncio.ensure_future(ledger.commit(move(one, 1))) for one in (name, engagement("other")))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with asyncio.timeout(10):
        await other  # what was written with it is answered
    await ledger.commit(move(name, 2))
    assert len(await ledger.rows(name)) == 2


# outbox


async def test_a_withdrawal_is_found_by_its_digest(ledger: Ledger, again: Again) -> None:
    """HIRE-NEG-23: in whichever engagement it was sent or received; another move is not found."""
    names = [engagement(number) for number in range(3)]
    withdrawn: list[Row] = []
    for name in names:
        made = move(name, 1)
        theirs = answer(name, 1, own=1)
        (first,) = theirs.rows
        withdrawn.append(msgspec.structs.replace(first, type="Withdraw"))
        await ledger.commit(made)
        await ledger.commit(msgspec.structs.replace(theirs, rows=(withdrawn[-1],)))
    ledger = await again(ledger)
    for row_ in withdrawn:
        assert await ledger.withdrawal(row_.digest) == row_
    (offer,) = [one for one in await ledger.rows(names[0]) if one.type == "Offer"]
    assert await ledger.withdrawal(offer.digest) is None
    assert await ledger.withdrawal(digest_bytes(b"never")) is None


async def test_the_outbox_is_oldest_first_and_shrinks_by_receipts(ledger: Ledger, again: Again) -> None:
    """HIRE-CHN-12."""
    name = engagement()
    moves = [move(name, number) for number in (1, 2, 3)]
    for commit in moves:
        await ledger.commit(commit)
    assert await ledger.outbox(name) == tuple(commit.rows[0] for commit in moves)
    receipted = (moves[0].rows[0].digest, moves[2].rows[0].digest, digest_bytes(b"unknown"))
    await ledger.commit(answer(name, 1, own=3, receipted=receipted))
    ledger = await again(ledger)
    assert await ledger.outbox(name) == (moves[1].rows[0],)
    await ledger.commit(answer(name, 2, own=3, receipted=receipted))
    assert await ledger.outbox(name) == (moves[1].rows[0],)


# evidence


async def test_evidence_is_kept_once_and_named_by_each(ledger: Ledger, again: Again) -> None:
    """One blob for a digest, however many engagements and names it has."""
    a, b = engagement("a"), engagement("b")
    document = blob(b'{"id":"did:web:globex.example"}', kind="did-document", name=PEER)
    await ledger.commit(move(a, 1, evidence=(document, blob(b"x", kind="statement"))))
    await ledger.commit(move(a, 2, evidence=(document,)))
    await ledger.commit(move(b, 1, evidence=(document,)))
    ledger = await again(ledger)
    assert await ledger.evidence(a) == (document, blob(b"x", kind="statement"))
    assert await ledger.evidence(b) == (document,)
    assert (await ledger.check()).blobs == 2


async def test_the_documents_of_one_did_are_given_alone(ledger: Ledger, again: Again) -> None:
    """Neither those of others, nor what else has its name, nor those of another engagement."""
    a, b = engagement("a"), engagement("b")
    old, new = (blob(raw, kind="did-document", name=PEER) for raw in (b"2", b"1"))
    others = (blob(b"3", kind="did-document", name=OWN), blob(b"2", kind="statement", name=PEER))
    await ledger.commit(move(a, 1, evidence=(old, *others)))
    await ledger.commit(move(a, 2, evidence=(new,)))
    await ledger.commit(move(b, 1, evidence=(blob(b"4", kind="did-document", name=PEER),)))
    ledger = await again(ledger)
    assert await ledger.documents(a, PEER) == (old, new)
    assert await ledger.documents(engagement("c"), PEER) == ()


async def test_the_newest_time_is_of_an_entry_or_of_a_reservation(ledger: Ledger, again: Again) -> None:
    """HIRE-GAT-03: what a clock does not run back behind."""
    assert await ledger.last_at() is None
    await ledger.commit(move(engagement(), 1))
    assert await ledger.last_at() == AT
    for id, at in (("q", AT), ("r", LATER)):
        await ledger.reserve(msgspec.structs.replace(reservation(id, "1", "5"), at=at))
    ledger = await again(ledger)
    assert await ledger.last_at() == LATER


async def test_whose_ledger_it_is_is_seen_by_who_spoke_in_it(ledger: Ledger, again: Again) -> None:
    assert await ledger.owner() is None
    inquiry = msgspec.structs.replace(answer(engagement(), 1, own=0), expected=None)
    await ledger.commit(inquiry)
    assert await ledger.owner() is None, "that somebody wrote to it"
    await ledger.commit(move(engagement("b"), 1))
    ledger = await again(ledger)
    assert await ledger.owner() == OWN


async def test_what_is_promised_again_later_counts_for_the_newest_time(ledger: Ledger, again: Again) -> None:
    """HIRE-GAT-03: another reservation was made since it was first; an action that is reserved again stays as it is."""
    promise, action = reservation("p", "1", "9", kind="capacity"), reservation("r", "1", "9")
    for one in (promise, action, msgspec.structs.replace(action, at=LATER)):
        await ledger.reserve(one)
    assert await ledger.last_at() == AT
    await ledger.reserve(msgspec.structs.replace(promise, at=LATER, until=LATER))
    ledger = await again(ledger)
    assert await ledger.last_at() == LATER


# limits


async def test_reserving_says_what_is_taken_now(ledger: Ledger) -> None:
    assert await ledger.reserve(reservation("a", "1", "5")) == {"read/EUR": "1"}
    assert await ledger.reserve(reservation("b", "2.5", "5")) == {"read/EUR": "3.5"}
    assert await ledger.reserve(reservation("b", "2.5", "5")) == {"read/EUR": "3.5"}
    await ledger.settle("a", {"read/EUR": "0.5"})
    assert await ledger.reserve(reservation("c", "1", "5")) == {"read/EUR": "4"}


async def test_a_limit_is_reached_exactly_and_never_passed(ledger: Ledger, again: Again) -> None:
    """Amounts are decimal: three tenths fit into 0.3, and not a billionth more (HIRE-SCO-08)."""
    for id in ("a", "b", "c"):
        await ledger.reserve(reservation(id, "0.1", "0.3"))
    with pytest.raises(ScopeError) as caught:
        await ledger.reserve(reservation("d", "0.000000001", "0.3"))
    assert (caught.value.code, caught.value.detail["key"]) == ("scope_exceeded", "read/EUR")
    assert caught.value.message == "read/EUR: 0 used and 0.3 held; 0.000000001 more is above the limit of 0.3"
    ledger = await again(ledger)
    assert await ledger.usage(C) == {"read/EUR": "0.3"}
    assert await ledger.usage("another") == {}


async def test_a_refused_reservation_takes_from_no_limit(ledger: Ledger) -> None:
    """All limits of a reservation or none."""
    two = Reservation(C, "r", (Draw("count", "1", "10"), Draw("EUR", "6", "5")), LATER, AT)
    with pytest.raises(ScopeError) as caught:
        await ledger.reserve(two)
    assert caught.value.detail["key"] == "EUR"
    assert await ledger.usage(C) == {}
    assert await ledger.open_reservations(C) == ()


async def test_a_key_drawn_twice_in_one_reservation_counts_twice(ledger: Ledger) -> None:
    twice = Reservation(C, "r", (Draw("EUR", "3", "5"), Draw("EUR", "3", "5")), LATER, AT)
    with pytest.raises(ScopeError):
        await ledger.reserve(twice)
    assert await ledger.usage(C) == {}


async def test_many_tasks_never_pass_a_limit(ledger: Ledger, again: Again) -> None:
    """I7: whatever the order, what is used and held together stays within the limit at every moment (HIRE-SCO-08)."""

    async def spend(id: int) -> int:
        held = reservation(f"r{id}", "0.7", "10")
        try:
            await ledger.reserve(held)
        except ScopeError:
            return 0
        if id % 3 == 0:
            await ledger.release(held.id)
            return 0
        await ledger.settle(held.id, {"read/EUR": "0.7" if id % 3 == 1 else "0.2"})
        return 7 if id % 3 == 1 else 2

    tenths = sum(await asyncio.gather(*(spend(id) for id in range(120))))
    used = await ledger.usage(C)
    assert tenths <= 100
    assert used == {"read/EUR": str(tenths // 10) + (f".{tenths % 10}" if tenths % 10 else "")}
    ledger = await again(ledger)
    assert await ledger.usage(C) == used
    assert (await ledger.check()).ok


async def test_many_tasks_at_once_get_what_fits(ledger: Ledger) -> None:
    """Of a hundred that each want three of a hundred, thirty-three get it."""
    tries = [ledger.reserve(reservation(f"r{at}", "3", "100")) for at in range(100)]
    done = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(not isinstance(item, BaseException) for item in done) == 33
    assert await ledger.usage(C) == {"read/EUR": "99"}


async def test_settling_replaces_what_was_held(ledger: Ledger, again: Again) -> None:
    await ledger.reserve(reservation("r", "5", "5"))
    await ledger.settle("r", {"read/EUR": "1.5"})
    await ledger.settle("r", {"read/EUR": "1.5"})
    ledger = await again(ledger)
    assert await ledger.usage(C) == {"read/EUR": "1.5"}
    await ledger.reserve(reservation("s", "3.5", "5"))
    with refuses(LedgerConflict, "store_conflict"):
        await ledger.settle("r", {"read/EUR": "1"})
    with refuses(LedgerConflict, "store_conflict"):
        await ledger.release("r")
    with refuses(LedgerConflict, "store_conflict"):
        # Done already: reserving it again would let it be done twice.
        await ledger.reserve(reservation("r", "5", "5"))
    assert await ledger.usage(C) == {"read/EUR": "5"}


async def test_more_than_was_held_is_recorded_as_it_is(ledger: Ledger) -> None:
    """It happened. What is left under the limit is then nothing."""
    await ledger.reserve(reservation("r", "4", "5"))
    await ledger.settle("r", {"read/EUR": "6"})
    assert await ledger.usage(C) == {"read/EUR": "6"}
    with pytest.raises(ScopeError):
        await ledger.reserve(reservation("s", "0.1", "5"))


@pytest.mark.parametrize("amounts", [{}, {"read/EUR": "0"}])
async def test_what_used_nothing_is_settled_all_the_same(ledger: Ledger, again: Again, amounts: dict[str, str]) -> None:
    await ledger.reserve(reservation("r", "4", "5"))
    await ledger.settle("r", amounts)
    ledger = await again(ledger)
    assert await ledger.usage(C) == {"read/EUR": "0"}
    assert await ledger.open_reservations(C) == ()
    with pytest.raises(LedgerConflict):
        await ledger.release("r")


@pytest.mark.parametrize("amounts", [{"other": "1"}, {"read/EUR": "-1"}])
async def test_a_settlement_of_what_was_not_held_is_refused(ledger: Ledger, amounts: dict[str, str]) -> None:
    await ledger.reserve(reservation("r", "4", "5"))
    with refuses(LedgerError, "not_found"):
        await ledger.settle("r", amounts)
    assert await ledger.usage(C) == {"read/EUR": "4"}


async def test_a_negative_amount_widens_no_limit(ledger: Ledger) -> None:
    with pytest.raises(ScopeError):
        await ledger.reserve(reservation("r", "-1", "5"))
    assert await ledger.usage(C) == {}


async def test_releasing_gives_back_once(ledger: Ledger) -> None:
    await ledger.reserve(reservation("r", "2", "5"))
    await ledger.reserve(reservation("s", "2", "5"))
    await ledger.release("r")
    await ledger.release("r")
    await ledger.release("unknown")
    assert await ledger.usage(C) == {"read/EUR": "2"}
    for done in (lambda: ledger.settle("r", {"read/EUR": "1"}), lambda: ledger.reserve(reservation("r", "2", "5"))):
        with pytest.raises(LedgerConflict):
            await done()
    assert await ledger.usage(C) == {"read/EUR": "2"}


async def test_the_same_reservation_again_changes_nothing(ledger: Ledger) -> None:
    """The id is the idempotency key: after a crash the same reservation is made again (HIRE-LIF-14)."""
    await ledger.reserve(reservation("r", "2", "5"))
    await ledger.reserve(reservation("r", "2", "5", at=LATER))
    assert await ledger.usage(C) == {"read/EUR": "2"}
    for other in (reservation("r", "1", "5"), reservation("r", "2", "6"), reservation("r", "2", "5", until=AT)):
        with pytest.raises(LedgerConflict):
            await ledger.reserve(other)
    assert await ledger.usage(C) == {"read/EUR": "2"}


async def test_an_action_past_its_time_stays_spent(ledger: Ledger, again: Again) -> None:
    """After a crash nobody knows that it did not happen: spent until proved otherwise (HIRE-LIF-14)."""
    await ledger.reserve(reservation("r", "4", "5"))
    ledger = await again(ledger)
    with pytest.raises(ScopeError):
        await ledger.reserve(reservation("s", "4", "5", at="2026-12-25T00:00:00Z", until="2026-12-25T01:00:00Z"))
    assert await ledger.usage(C, "2026-12-25T00:00:00Z") == {"read/EUR": "4"}
    assert [item.id for item in await ledger.open_reservations(C)] == ["r"]


async def test_capacity_ends_by_itself_after_its_last_instant(ledger: Ledger, again: Again) -> None:
    """`until` is inclusive (HIRE-NEG-21)."""
    await ledger.reserve(reservation("r", "4", "5", kind="capacity"))
    with pytest.raises(ScopeError):
        await ledger.reserve(reservation("s", "4", "5", kind="capacity", at=LATER))
    after = "2026-11-25T13:00:01Z"
    assert await ledger.usage(C) == {"read/EUR": "4"}
    assert await ledger.usage(C, LATER) == {"read/EUR": "4"}
    assert await ledger.usage(C, after) == {"read/EUR": "0"}
    await ledger.reserve(reservation("s", "4", "5", kind="capacity", at=after, until="2026-11-26T00:00:00Z"))
    await ledger.release("r")
    ledger = await again(ledger)
    assert await ledger.usage(C) == {"read/EUR": "4"}
    assert [item.id for item in await ledger.open_reservations(C)] == ["s"]


async def test_what_is_reserved_under_one_contract_is_nothing_to_another(ledger: Ledger, again: Again) -> None:
    """Its promises end with it, its open actions are asked about by its name, and its keys are its own."""
    await ledger.reserve(reservation("pool", "4", "5", kind="capacity"))
    await ledger.reserve(reservation("pay/1", "3", "5", contract="other"))
    await ledger.reserve(reservation("read/1", "1", "5", contract="other"))
    after = "2026-11-25T13:00:01Z"
    assert await ledger.usage("other", after) == {"read/EUR": "4"}
    await ledger.reserve(reservation("pay/2", "1", "5", contract="other", at=after))
    ledger = await again(ledger)
    assert await ledger.usage(C) == {"read/EUR": "4"}
    assert [item.id for item in await ledger.open_reservations("other")] == ["pay/1", "read/1", "pay/2"]
    assert [item.id for item in await ledger.open_reservations("other", "pay/")] == ["pay/1", "pay/2"]
    assert [item.id for item in await ledger.open_reservations(C, "p")] == ["pool"]


async def test_limits_change_with_the_commit(ledger: Ledger) -> None:
    """What a move reserves, settles and releases is written with it."""
    name = engagement()
    await ledger.commit(move(name, 1, reserve=(reservation("r", "2", "5"), reservation("s", "1", "5"))))
    await ledger.commit(move(name, 2, settle=(Spent("r", {"read/EUR": "1"}),), release=("s",)))
    assert await ledger.usage(C) == {"read/EUR": "1"}
    await ledger.commit(move(name, 3, reserve=(reservation("t", "2", "5"),)))
    await ledger.commit(move(name, 4, release=("t",)))
    assert await ledger.usage(C) == {"read/EUR": "1"}


# heads of others' logs


def stated(size: int, *continues: int) -> Stated:
    return Stated(
        log=PEER,
        size=size,
        root=bytes([size]) * 32,
        at=AT,
        note=f"note {size}",
        engagement=engagement(size),
        continues=tuple(Head(one, bytes([one]) * 32) for one in continues),
    )


async def held(ledger: Ledger) -> tuple[int, list[int], int]:
    found = await ledger.seen(PEER)
    assert found is not None
    assert found.agreed is not None
    return found.agreed.size, [one.size for one in found.open], found.missed


async def test_every_head_of_a_log_is_kept_until_it_is_connected(ledger: Ledger, again: Again) -> None:
    """HIRE-LOG-09, HIRE-LOG-22: the first one is where the line begins. One that proves to continue it moves it on, one
    that continues another takes its place, and nothing else takes out what waits, whatever comes after it.
    """
    steps: list[tuple[Stated, tuple[int, list[int], int]]] = [
        (stated(3), (3, [], 0)),
        (stated(5), (3, [5], 0)),
        (stated(7, 3), (7, [5], 0)),
        (stated(7), (7, [5], 0)),
        (stated(4), (7, [5, 4], 0)),
        (stated(4), (7, [5, 4], 0)),
        (stated(9, 5), (7, [4, 9], 0)),
        (stated(5), (7, [4, 9, 5], 0)),
        (stated(10, 6), (7, [4, 9, 5, 10], 0)),
    ]
    for at, (one, expected) in enumerate(steps):
        await ledger.commit(move(engagement(at), 1, seen=(one,)))
        assert await held(ledger) == expected, one
    ledger = await again(ledger)
    assert await held(ledger) == steps[-1][1]
    found = await ledger.seen(PEER)
    assert found is not None
    assert ([one.size for one in found.held], found.one_history) == ([7, 4, 9, 5, 10], False)
    assert not any(one.continues for one in found.held), "what a message proves is used once, and not kept"
    await ledger.commit(move(engagement(99), 1, seen=(stated(11, 7), stated(12, 11))))
    assert await held(ledger) == (12, [4, 9, 5, 10], 0)
    heads = [stated(size) for size in (12, 4, 9, 10)]
    await ledger.update_seen(PEER, lambda seen: connected(seen, heads))
    assert await held(ledger) == (12, [5], 0)
    await ledger.update_seen(PEER, lambda seen: connected(seen, [stated(5)]))
    assert await held(ledger) == (12, [5], 0), "what does not lead to the line connects nothing"


async def test_heads_are_stored_in_another_order_than_they_came(ledger: Ledger) -> None:
    """HIRE-LOG-22: each says which of those before it continues, so that the order of the commits does not matter."""
    for at, one in enumerate((stated(3), stated(7, 5, 3), stated(5, 3))):
        await ledger.commit(move(engagement(at), 1, seen=(one,)))
    assert await held(ledger) == (7, [5], 0)
    await ledger.commit(move(engagement(9), 1, seen=(stated(8, 7, 5, 3),)))
    assert await held(ledger) == (8, [], 0)


async def test_heads_that_find_no_room_are_counted(ledger: Ledger, again: Again) -> None:
    """HIRE-LOG-22: beyond that bound nothing is forgotten in silence, and a proof about the others is not enough."""
    await ledger.commit(move(engagement(1), 1, seen=tuple(stated(size) for size in range(1, MAX_OPEN + 4))))
    assert await held(ledger) == (1, [*range(2, MAX_OPEN + 2)], 2)
    line = [stated(size) for size in range(1, MAX_OPEN + 2)]
    await ledger.update_seen(PEER, lambda seen: connected(seen, line))
    ledger = await again(ledger)
    assert await held(ledger) == (MAX_OPEN + 1, [], 2)
    found = await ledger.seen(PEER)
    assert found is not None
    assert not found.one_history
    for _ in range(2):  # a second proof of the same counts for nothing that comes later
        await ledger.update_seen(PEER, lambda seen: connected(seen, line, missed=2))
        assert await held(ledger) == (MAX_OPEN + 1, [], 0)
    found = await ledger.seen(PEER)
    assert found is not None
    assert found.one_history


async def test_two_histories_are_kept_until_it_is_decided(ledger: Ledger, again: Again) -> None:
    """HIRE-LOG-09: and then too: what was decided says what it was about."""
    first, second = Fork(held=stated(3), came=stated(2)), Fork(held=stated(3), came=stated(1))
    await ledger.commit(move(engagement(1), 1, seen=(stated(3),)))
    for fork in (first, second):
        await ledger.update_seen(PEER, lambda seen, fork=fork: contradicted(seen, fork))
    await ledger.commit(move(engagement(2), 1, seen=(stated(5, 3),)))
    ledger = await again(ledger)
    ((log, seen),) = await ledger.logs_seen()
    assert (log, seen.fork, seen.one_history) == (PEER, first, False)
    await ledger.update_seen(PEER, lambda seen: decided(seen, AT, anew=False, reason="put back"))
    assert await held(ledger) == (5, [], 0)
    await ledger.update_seen(PEER, lambda seen: decided(seen, LATER, anew=True, reason="lost"))
    ledger = await again(ledger)
    ((_, seen),) = await ledger.logs_seen()
    assert (seen.agreed, seen.one_history) == (None, True)
    assert [(one.fork, one.anew, one.reason) for one in seen.past] == [(first, False, "put back"), (None, True, "lost")]


async def test_a_log_begins_empty(ledger: Ledger, again: Again) -> None:
    """HIRE-LOG-09: every log continues the empty one, and says nothing by coming back to it."""
    empty = Stated(log=PEER, size=0, root=sha256(b"").digest(), at=AT, note="note 0", engagement=engagement())
    for at, (one, expected) in enumerate(
        ((empty, (0, [], 0)), (stated(3), (3, [], 0)), (empty, (3, [], 0)), (stated(5), (3, [5], 0)))
    ):
        await ledger.commit(move(engagement(at), 1, seen=(one,)))
        assert await held(ledger) == expected, one
    ledger = await again(ledger)
    assert await held(ledger) == (3, [5], 0)


async def test_of_a_log_that_was_never_seen_there_is_something_to_say(ledger: Ledger, again: Again) -> None:
    """HIRE-LOG-09: two heads of it in a pack of somebody else, and what our operator thinks of that."""
    assert await ledger.seen(OWN) is None
    fork = Fork(held=stated(3), came=stated(2))
    await ledger.update_seen(PEER, lambda seen: contradicted(seen, fork))
    await ledger.update_seen(OWN, lambda seen: decided(seen, AT, anew=True, reason="known to us"))
    await ledger.update_seen(engagement(), lambda seen: connected(seen, [stated(3)]))
    ledger = await again(ledger)
    found = dict(await ledger.logs_seen())
    assert (found[PEER].fork, found[PEER].one_history, found[PEER].held) == (fork, False, ())
    assert (found[OWN].one_history, [one.reason for one in found[OWN].past]) == (True, ["known to us"])
    assert found[engagement()].held == ()


# tree


async def newest(ledger: Ledger) -> Head:
    return Head(await ledger.tree_size(), await ledger.root())


async def test_every_leaf_is_proved_in_every_tree_after_it(ledger: Ledger, again: Again) -> None:
    """HIRE-LOG-02."""
    heads: list[Head] = []
    leaves = [b"leaf %d" % at for at in range(21)]
    for at, leaf in enumerate(leaves):
        done = await ledger.commit(move(engagement(at), 1, leaves=(leaf,)))
        assert done.leaves == (at,)
        heads.append(await newest(ledger))
    ledger = await again(ledger)
    assert await ledger.tree_size() == len(leaves)
    assert await ledger.root() == heads[-1].root
    assert await ledger.head() == heads[-1]
    for at, leaf in enumerate(leaves):
        assert await ledger.leaves(at, 1) == (leaf,)
        assert await ledger.index_of(engagement(at), leaf_hash(leaf)) == at
        assert await ledger.index_of(engagement(at + 1), leaf_hash(leaf)) is None
        for head in heads[at:]:
            assert head.root == await ledger.root(head.size)
            proof = await ledger.inclusion(at, head.size)
            proof.verify(head.root)
            assert proof.leaf_hash == leaf_hash(leaf)
        assert await ledger.inclusion(at) == await ledger.inclusion(at, len(leaves))
    assert await ledger.leaves(0, 99) == tuple(leaves)
    assert await ledger.nodes(0, 3, 2) == tuple(map(leaf_hash, leaves[3:5]))
    hashes = await ledger.nodes(0, 0, 99)
    assert await ledger.nodes(1, 2, 99) == tuple(node_hash(*hashes[at : at + 2]) for at in range(4, len(leaves) - 1, 2))
    assert await ledger.nodes(5, 0, 1) == ()
    assert len(await ledger.secret()) == 32
    with pytest.raises(LogProofError):
        await ledger.inclusion(5, 5)
    with pytest.raises(LogProofError):
        await ledger.inclusion(0, 22)
    with pytest.raises(LogProofError):
        await ledger.root(-1)
    with pytest.raises(LogProofError):
        await ledger.root(22)
    total = await ledger.tree_size()
    for old in range(total + 1):
        path = await ledger.consistency(old, total)
        verify_consistency(old, await ledger.root(old), total, await ledger.root(), path)
    for old, size in ((2, 1), (0, 99), (1, 99)):
        with pytest.raises(LogProofError):
            await ledger.consistency(old, size)


async def test_a_leaf_keeps_its_place(ledger: Ledger, again: Again) -> None:
    """Appended again after a crash between commit and use, a leaf is where it was (HIRE-LOG-02)."""
    done = await ledger.commit(move(engagement("a"), 1, leaves=(b"x", b"y", b"x")))
    assert (done.leaves, await ledger.tree_size()) == ((0, 1, 0), 2)
    ledger = await again(ledger)
    after = (move(engagement("a"), 2, leaves=(b"z", b"y")), move(engagement("b"), 1, leaves=(b"z", b"y")))
    both = await asyncio.gather(*map(ledger.commit, after))
    # What another engagement has is not looked through.
    assert [item.leaves for item in both] == [(2, 1), (3, 4)]
    assert await ledger.tree_size() == 5


async def test_a_commit_without_leaves_leaves_the_tree_as_it_is(ledger: Ledger) -> None:
    await ledger.commit(move(engagement("a"), 1, leaves=(b"x",)))
    before = await newest(ledger)
    done = await ledger.commit(move(engagement("b"), 1))
    assert (done.leaves, await newest(ledger)) == ((), before)


async def test_the_newest_checkpoint_is_kept(ledger: Ledger, again: Again) -> None:
    heads: list[Head] = []
    await ledger.put_checkpoint(await newest(ledger), "note 0")
    assert await ledger.checkpoint() == "note 0"
    for at in range(3):
        await ledger.commit(move(engagement(at), 1, leaves=(b"%d" % at,)))
        heads.append(await newest(ledger))
    await ledger.put_checkpoint(heads[1], "note 2")
    await ledger.put_checkpoint(heads[0], "note 1")
    assert await ledger.checkpoint() == "note 2"
    await ledger.put_checkpoint(heads[1], "note 2, and one more line")
    ledger = await again(ledger)
    assert await ledger.checkpoint() == "note 2, and one more line"
    await ledger.put_checkpoint(heads[2], "note 3")
    assert await ledger.checkpoint() == "note 3"


async def test_a_checkpoint_of_another_history_is_refused(ledger: Ledger) -> None:
    """HIRE-LOG-05."""
    await ledger.commit(move(engagement(), 1, leaves=(b"x",)))
    for other in (Head(1, bytes(32)), Head(2, await ledger.root())):
        with refuses(LedgerError, "ledger_diverged"):
            await ledger.put_checkpoint(other, "note")
    assert await ledger.checkpoint() is None


# whole


async def test_check_recomputes_everything(ledger: Ledger) -> None:
    for at in range(5):
        await ledger.commit(move(engagement(at), 1, leaves=(b"%d" % at,), evidence=(blob(b"%d" % at),)))
        await ledger.commit(answer(engagement(at), 1, own=1))
    report = await ledger.check()
    assert (report.ok, report.rows, report.leaves, report.blobs) == (True, 10, 5, 5)


@pytest.mark.parametrize("raw", [row(engagement(), 1).raw, b"[]", b"{"], ids=["a message", "no object", "no JSON"])
async def test_check_finds_a_row_whose_digest_is_not_its_own(ledger: Ledger, raw: bytes) -> None:
    """The ledger takes the digest that `messages` computed; `check` computes it again."""
    name = engagement()
    wrong = Row(name, 1, "sent", AT, OWN, None, "Offer", digest_bytes(b"other"), raw)
    await ledger.commit(move(name, 1, rows=(wrong,), position=(0, 0), summary=summary(name, (0, 0)), outbox=()))
    report = await ledger.check()
    assert [item.code for item in report.defects] == ["store_corrupt"]


async def test_a_closed_ledger_says_so(ledger: Ledger) -> None:
    await ledger.commit(move(engagement(), 1))
    await ledger.close()
    await ledger.close()
    assert not ledger.ready
    name = engagement()
    for asked in (
        lambda: ledger.commit(move(name, 2)),
        lambda: ledger.reserve(reservation("r", "1", "5")),
        lambda: ledger.rows(name),
        lambda: ledger.summary(name),
        lambda: ledger.summaries(),
        lambda: ledger.usage(C),
        lambda: ledger.usage(C, AT),
        lambda: ledger.root(),
        lambda: ledger.head(),
        lambda: ledger.tree_size(),
        lambda: ledger.seen(PEER),
        lambda: ledger.index_of(name, bytes(32)),
        lambda: ledger.consistency(0, 0),
        lambda: ledger.check(),
    ):
        with refuses(LedgerUnavailable, "store_unavailable"):
            await asked()


async def test_commits_are_counted(ledger: Ledger) -> None:
    for number in (1, 2, 3):
        await ledger.commit(move(engagement(), number))
    assert (ledger.counters.commits, ledger.counters.groups) == (3, 3)
    await ledger.reserve(reservation("r", "1", None))
    assert ledger.counters.conflicts == 0


async def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(ConfigurationError) as caught:
        await open_ledger("oracle://somewhere")
    assert "memory, sqlite" in caught.value.message


async def test_a_promise_of_capacity_can_be_made_for_longer(ledger: Ledger) -> None:
    """HIRE-NEG-21: from the offer to the contract one reservation stands, and takes room once."""

    def minute(number: int) -> str:
        return shift(AT, 60 * number)

    offer = Reservation("capacity:sbom", "offer", (Draw("sbom", "1", "1"),), minute(5), minute(0), "capacity")
    await ledger.reserve(offer)
    longer = msgspec.structs.replace(offer, until=minute(50), at=minute(1))
    await ledger.reserve(longer)
    # Of a service that was configured anew meanwhile.
    await ledger.reserve(msgspec.structs.replace(longer, draws=(Draw("sbom", "1", "2"),)))
    other = msgspec.structs.replace(offer, id="other", at=minute(10))
    with pytest.raises(ScopeError):
        await ledger.reserve(other)
    assert await ledger.usage("capacity:sbom") == {"sbom": "1"}
    # It ended, somebody else has the room, and it does not come back by itself.
    await ledger.reserve(msgspec.structs.replace(other, at=minute(51), until=minute(60)))
    with pytest.raises(ScopeError):
        await ledger.reserve(msgspec.structs.replace(longer, at=minute(52), until=minute(70)))


@pytest.mark.parametrize("ended", ["released", "lapsed", "settled"])
async def test_a_promise_that_ended_is_made_again_as_it_was(ledger: Ledger, again: Again, ended: str) -> None:
    """HIRE-NEG-21: not as another one of the same name, and not once it was used."""
    after, later = "2026-11-25T13:00:01Z", "2026-11-26T00:00:00Z"
    promise = reservation("offer", "4", "5", kind="capacity")
    await ledger.reserve(promise)
    if ended == "released":
        await ledger.release("offer")
    elif ended == "settled":
        await ledger.settle("offer", {"read/EUR": "1"})
    else:
        await ledger.reserve(reservation("other", "0", "5", kind="capacity", at=after, until=later))
    ledger = await again(ledger)
    for other in (reservation("offer", "3", "5", kind="capacity"), reservation("offer", "4", "5")):
        with pytest.raises(LedgerConflict):
            await ledger.reserve(msgspec.structs.replace(other, at=after, until=later))
    once_more = msgspec.structs.replace(promise, at=after, until=later)
    if ended == "settled":
        with pytest.raises(LedgerConflict):
            await ledger.reserve(once_more)
        assert await ledger.usage(C) == {"read/EUR": "1"}
    else:
        assert await ledger.reserve(once_more) == {"read/EUR": "4"}


async def test_a_limit_counts_what_stands_beside_it(ledger: Ledger) -> None:
    """HIRE-SUB-04: what children may take in any period and what is used in this one are together within the limit."""

    async def take(name: str, key: str, beside: str, amount: str) -> None:
        draw = Draw(key, amount, "10", beside)
        await ledger.reserve(Reservation(contract=C, id=name, draws=(draw,), until=LATER, at=AT))

    await take("own", "read/count.PT1M@now", "read/count.PT1M@children", "4")
    with pytest.raises(ScopeError):
        await take("child", "read/count.PT1M@children", "read/count.PT1M@now", "7")
    await take("child", "read/count.PT1M@children", "read/count.PT1M@now", "6")
    for key in ("now", "next"):
        with pytest.raises(ScopeError):
            await take(f"more {key}", f"read/count.PT1M@{key}", "read/count.PT1M@children", "5")
    await take("next", "read/count.PT1M@next", "read/count.PT1M@children", "4")
