"""What of an engagement is written with the next commit, and what becomes of it when that is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from runtimes import World
from undersigned.errors import LedgerConflict, LedgerError, ScopeError
from undersigned.ledger import Draw, MemoryLedger, Reservation, Row, Spent
from undersigned.protocol import Engagement, Noted, apply, begin
from undersigned.runtime.engagement.journal import Journal
from undersigned.runtime.engagement.loading import load_engagement
from undersigned.runtime.engagement.turn import Booked, Turn

OWN, PEER, ID = "did:web:acme.example", "did:web:globex.example", "urn:hire:engagement:1"
NOW, LATER = "2026-11-25T12:00:00Z", "2026-11-25T13:00:00Z"
POOL = "uEiContract"


def reservation(id: str, amount: str) -> Reservation:
    return Reservation(POOL, id, (Draw("EUR", amount, "10"),), LATER, NOW)


@pytest.fixture
def engagement() -> Engagement:
    return begin("hirer", OWN, PEER, ID)


def noting(journal: Journal, engagement: Engagement, name: str) -> Turn:
    """A turn that has something to store."""
    said = Noted("note", name, NOW)
    turn = journal.turn(apply(engagement, said), NOW)
    turn.noted(OWN, said)
    return turn


async def test_what_an_action_used_is_booked_though_the_turn_beside_it_finds_no_room(engagement: Engagement) -> None:
    """The action happened; without this it would stay spent at the most that it might have used."""
    ledger, journal = MemoryLedger(), Journal()
    await ledger.reserve(reservation("action", "6"))
    journal.settle(Spent("action", {"EUR": "1"}))
    turn = noting(journal, engagement, "first")
    turn.book(Booked(reserve=(reservation("too much", "20"),)))
    with pytest.raises(ScopeError):
        await journal.write(turn, ledger, b"")
    assert journal.places == 0
    await journal.write(noting(journal, engagement, "second"), ledger, b"")
    assert await ledger.usage(POOL) == {"EUR": "1"}


async def test_a_commit_that_was_refused_is_told_from_one_that_stands(engagement: Engagement) -> None:
    ledger, journal, other = MemoryLedger(), Journal(), Journal()
    await other.write(noting(other, engagement, "theirs"), ledger, b"")
    with pytest.raises(LedgerConflict):
        await journal.write(noting(journal, engagement, "ours"), ledger, b"")
    assert not await journal.stands(ID, ledger)
    assert (journal.places, other.places) == (0, 1)


@pytest.mark.parametrize(
    "spoiled",
    [lambda said: said[1:], lambda said: [replace(said[0], raw=b"{}")]],
    ids=["against the rules", "no message"],
)
def test_a_journal_that_the_rules_refuse_is_told_as_a_damaged_store(
    spoiled: Callable[[list[Row]], list[Row]],
    open_world: Callable[..., World],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may have been written by a version whose rules took it. Nobody has to know the code of a refused message."""
    world = open_world()
    hirer = world.hirer
    id = world.begun("closed")
    summary, rows = hirer.kept.summary_of(id), spoiled([row for row in hirer.kept.journal(id) if row.kind != "noted"])
    assert summary is not None

    async def read(_: str) -> list[Row]:
        return rows

    monkeypatch.setattr(hirer.kept, "rows", read)
    with pytest.raises(LedgerError, match=id) as caught:
        world.run(load_engagement(hirer.kept, summary, hirer.did))
    assert caught.value.code == "store_corrupt"
