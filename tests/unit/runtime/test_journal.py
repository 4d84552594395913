"""What of an engagement is written with the next commit, and what becomes of it when that is refused."""

from __future__ import annotations

import pytest

from undersigned.errors import LedgerConflict, ScopeError
from undersigned.ledger import Draw, MemoryLedger, Reservation, Settlement
from undersigned.protocol import Engagement, begin
from undersigned.runtime.engagement.journal import Journal
from undersigned.runtime.engagement.turn import Turn

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
    turn = journal.turn(engagement, NOW)
    turn.fact(OWN, "note", name)
    return turn


async def test_what_an_action_used_is_booked_though_the_turn_beside_it_finds_no_room(engagement: Engagement) -> None:
    """The action happened; without this it would stay spent at the most that it might have used."""
    ledger, journal = MemoryLedger(), Journal()
    await ledger.reserve(reservation("action", "6"))
    journal.settle(Settlement("action", {"EUR": "1"}))
    turn = noting(journal, engagement, "first")
    turn.reserve.append(reservation("too much", "20"))
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
