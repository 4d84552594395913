"""Places and money are promised once: to whom, until when, and what is left of them at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from runtimes import KeptLedger, World, facts, folded, last, lingers, messages
from undersigned.contract import Price, Settlement
from undersigned.encoding import EngagementId, JsonObject, seconds_between, shift
from undersigned.errors import ConfigurationError, LedgerUnavailable, LocalProtocolError, PolicyError
from undersigned.ledger import Draw, Reservation
from undersigned.messages import Closing, Offer, Problem, Profile, Served, Withdraw, recorded_message
from undersigned.runtime import Conversation, Home, Job, room_in
from undersigned.runtime.engagement.turn import Say, withdrawal
from undersigned.runtime.execution.budget import no_room_in
from undersigned.runtime.home.parsing import budget_limits
from undersigned.scope import Limit
from undersigned.testing import ARBITER, closing
from unit.runtime.stories import forge, over

Open = Callable[..., World]


@pytest.fixture
def books(monkeypatch: pytest.MonkeyPatch) -> KeptLedger:
    """A file that several processes book in; it is in memory, for the loop waits for no thread of SQLite's."""
    ledger = KeptLedger()

    async def opened(_url: str, *, create: bool) -> KeptLedger:
        return ledger.opened()

    monkeypatch.setattr("undersigned.runtime.execution.pools.open_books", opened)
    return ledger


def spent(world: World) -> dict[str, str]:
    return spent_in(world, world.hirer.kept)


def spent_in(world: World, ledger: KeptLedger) -> dict[str, str]:
    return dict(world.run(ledger.usage("budget", world.clock.now())))


def budget(*limits: Limit) -> dict[str, Any]:
    return {"hirer_options": {"budget": limits}}


def test_money_is_promised_once_to_two_hires_at_once(open_world: Open) -> None:
    """HIRE-CAP-01, HIRE-CAP-02: the second hire sends no offer, and says nothing of the budget."""
    world = open_world(held=True, handler=lingers, **budget(Limit("EUR", "7")))
    hires = [world.begin().id for _ in range(2)]
    world.deliver_all()
    states = sorted(folded(world.hirer, one).state for one in hires)
    assert states == ["withdrawn", "working"]
    assert spent(world) == {"EUR": "4"}
    (lost,) = (one for one in hires if folded(world.hirer, one).state == "withdrawn")
    said = last(world.provider, lost, Withdraw)
    assert (said.role, said.reason, said.needed) == ("hirer", "capacity", None)
    (why,) = (value for name, value in facts(world.hirer, lost) if name == "budget")
    assert "4 held" not in why or "limit of 7" in why
    assert "7" in why


@pytest.mark.parametrize("restart", [False, True])
def test_what_is_owed_at_the_end_is_spent_and_the_next_period_begins_anew(open_world: Open, restart: bool) -> None:
    """HIRE-CAP-01: committed at the seal, spent at the end; a day later there is as much again."""
    limits = (Limit("EUR", "5", "P1D"), Limit("count", "10"))
    world = open_world(held=True, **budget(*limits))

    def room() -> list[tuple[str, str, str]]:
        found = world.run(room_in(limits, world.hirer.kept, world.clock.now()))
        assert [one.anew for one in found] == [shift(f"{world.clock.now()[:10]}T00:00:00Z", 24 * 3600), None]
        return [(one.spent, one.held, one.left) for one in found]

    assert room() == [("0", "0", "5"), ("0", "0", "10")]
    first = world.begun("working", world.hirer)
    assert room() == [("0", "4", "1"), ("0", "1", "9")]
    if restart:
        world.restart(world.hirer)
        world.reconnect()
    world.until("closed", first)
    world.settle(5)
    world.deliver_all()
    over(world, first)
    day = f"EUR.P1D@{world.clock.now()[:10]}T00:00:00Z"
    assert spent(world) == {day: "4", "count": "1"}
    assert world.run(world.hirer.kept.open_reservations("budget")) == ()
    assert room() == [("4", "0", "1"), ("1", "0", "9")]
    second = world.begin().id
    world.deliver_all()
    assert folded(world.hirer, second).state == "withdrawn"
    world.clock.ahead += 24 * 3600
    next_day = f"EUR.P1D@{world.clock.now()[:10]}T00:00:00Z"
    world.begun("closed")
    assert spent(world)[day] == "4"
    assert spent(world)[next_day] == "4"


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("refused", ["not_offered", "capacity"])
def test_an_ending_before_any_offer_is_stored_with_a_budget(
    open_world: Open, books: KeptLedger, capsys: pytest.CaptureFixture[str], refused: str, shared: bool
) -> None:
    """HIRE-CAP-01: where nothing was promised nothing is owed, and the end is the end."""
    named = {"books": "kept:"} if shared else {}
    world = open_world(handler=lingers, capacity=1, hirer_options={"budget": (Limit("EUR", "9"),), **named})
    if refused == "capacity":
        world.begin()
        world.settle(5)
    before = spent_in(world, books if shared else world.hirer.kept)
    conversation = world.begin(task="summary" if refused == "capacity" else "translation")
    world.settle(5)
    assert last(world.hirer, conversation.id, Withdraw).reason == refused
    summary = world.hirer.kept.summary_of(conversation.id)
    assert summary is not None
    assert (summary.state, summary.live) == ("withdrawn", False)
    assert conversation.id not in world.hirer.conversations
    assert spent_in(world, books if shared else world.hirer.kept) == before
    assert "a turn failed" not in capsys.readouterr().out


def test_what_an_offer_took_that_never_left_is_free_at_the_end(open_world: Open) -> None:
    """HIRE-CAP-01: no offer gives it back that was stored."""
    world = open_world(held=True, **budget(Limit("EUR", "5")))
    hire, kept, now = world.begin(), world.hirer.kept, world.clock.now()
    id = world.hirer.bookings.pools.id(hire.engagement, "uEi")
    world.run(kept.reserve(Reservation("budget", id, (Draw("EUR", "2"),), shift(now, 10_000), now, "capacity")))
    world.deliver_all()
    assert folded(world.hirer, hire.id).state == "withdrawn"
    assert world.run(kept.open_reservations("budget")) == ()


def test_rejected_work_costs_nothing_of_the_budget(open_world: Open) -> None:
    """HIRE-CAP-01: of what was committed, what is not owed is free again."""

    async def nothing(_: Any) -> dict[str, bool]:
        return {"short": False}

    world = open_world(**budget(Limit("EUR", "4")))
    world.hirer.reviewers["summary"] = nothing
    conversation = world.begin(criteria={"short": "one line"})
    world.settle(10)
    ends = folded(world.hirer, conversation.id).contract
    assert ends is not None
    assert [one.detail for one in ends.endings] == ["rejected"]
    assert spent(world) == {"EUR": "0"}


def test_what_was_promised_in_one_period_counts_there_though_the_seal_comes_in_the_next(open_world: Open) -> None:
    """HIRE-CAP-01: of each day there is as much as was not promised on it."""
    world = open_world(held=True, handler=lingers, **budget(Limit("EUR", "5", "P1D")))
    day = world.clock.now()[:10]
    world.clock.ahead += int(seconds_between(world.clock.now(), f"{day}T23:59:50Z"))
    hire = world.begin().id
    while not spent(world):
        assert world.next_parcel()
    world.clock.ahead += 20
    world.until("working", hire)
    assert world.clock.now()[:10] != day
    assert spent(world) == {f"EUR.P1D@{day}T00:00:00Z": "4"}


def test_what_an_offer_took_in_a_shared_file_is_taken_once_though_it_was_not_stored_at_first(
    open_world: Open, books: KeptLedger
) -> None:
    """HIRE-CAP-01, HIRE-NEG-21: the turn comes again, and finds what it took."""
    options = {"budget": (Limit("EUR", "5"), Limit("count", "1")), "books": "kept:"}
    world = open_world(held=True, handler=lingers, hirer_options=options)
    hire = world.begin(opening="2 EUR").id
    while spent_in(world, books) != {"EUR": "4", "count": "1"}:
        world.hirer.kept.failures = ["refused"]
        if not world.next_parcel():
            world.settle(5)
    assert not world.hirer.kept.failures
    world.until("working", hire)
    assert spent_in(world, books) == {"EUR": "4", "count": "1"}
    assert len(world.run(books.open_reservations("budget"))) == 1


def test_what_a_seal_took_in_a_shared_file_is_counted_though_it_is_stored_when_it_is_too_late(
    open_world: Open, books: KeptLedger
) -> None:
    """HIRE-CAP-01, HIRE-NEG-13: the process was killed as it stored the seal, which comes again after the room that the
    acceptance held was given back. Both signed it, so it is a contract, and counts until its end.
    """
    world = open_world(held=True, handler=lingers, hirer_options={"budget": (Limit("EUR", "9"),), "books": "kept:"})
    hire = world.begin(opening="2 EUR").id
    world.until("accepted-by-hirer", hire, world.hirer)
    while not world.hirer.kept.dead:
        if any(row.type == "Seal" for row in world.provider.kept.journal(hire)):
            world.hirer.kept.dies = "before"
        assert world.next_parcel()
        world.settle(1)
    world.cut = True
    world.restart(world.hirer)
    world.settle(2 * 3600)
    assert world.hirer.the(hire).engagement.in_doubt
    world.restart(world.hirer)
    world.reconnect()
    while folded(world.hirer, hire).contract is None:
        if not world.next_parcel():
            world.settle(5)
    contract = folded(world.hirer, hire).contract
    assert contract is not None
    assert contract.late_seal
    assert spent_in(world, books) == {"EUR": "4"}
    while hire in world.hirer.conversations:
        if not world.next_parcel():
            world.settle(600)
    assert spent_in(world, books) == {"EUR": "0"}
    assert world.run(books.open_reservations("budget")) == ()


@pytest.mark.parametrize("shared", [False, True])
def test_a_counter_offer_takes_the_room_of_the_offer_before_it(
    open_world: Open, books: KeptLedger, shared: bool
) -> None:
    """HIRE-NEG-21: one place and 5 EUR are enough for a negotiation of several offers, on either side."""
    named = {"books": "kept:"} if shared else {}
    world = open_world(capacity=1, hirer_options={"budget": (Limit("EUR", "5"),), **named}, provider_options=named)
    conversation = world.begin(opening="2 EUR")
    world.settle(10)
    over(world, conversation.id)
    assert sum(row.type == "Offer" for row in world.hirer.kept.journal(conversation.id)) > 1
    assert world.run((books if shared else world.hirer.kept).usage("budget")) == {"EUR": "4"}
    assert world.run((books if shared else world.provider.kept).usage("capacity:summary")) == {"summary": "0"}


def test_a_price_without_a_budget_in_its_currency_is_not_offered(open_world: Open) -> None:
    """HIRE-CAP-01: what cannot be counted is not spent."""
    world = open_world(**budget(Limit("USD", "100")))
    conversation = world.begin()
    world.settle(5)
    assert folded(world.hirer, conversation.id).state == "withdrawn"
    assert not conversation.said("Offer", "hirer")


@pytest.mark.parametrize(
    "limits", [(Limit("USD", "1"),), (Limit("count", "1"),), (Limit("EUR", "1"), Limit("count", "1"))]
)
def test_what_costs_nothing_takes_no_money_of_any_budget(open_world: Open, limits: tuple[Limit, ...]) -> None:
    """HIRE-CAP-01: it is a contract all the same, where those are counted."""
    world = open_world(price="0 EUR", **budget(*limits))
    hire = world.begun("closed")
    world.settle(5)
    over(world, hire)
    assert {key: one for key, one in spent(world).items() if one != "0"} == (
        {"count": "1"} if limits[-1].unit == "count" else {}
    )


def test_what_is_left_is_as_of_now(open_world: Open) -> None:
    """What was promised until a moment is held up to it, and what is committed until it is settled."""
    limits = (Limit("EUR", "5"),)
    world = open_world(**budget(*limits))
    now, kept = world.clock.now(), world.hirer.kept
    earlier = shift(now, -1)
    for amount, until, kind in (("0.5", now, "capacity"), ("1.5", earlier, "action"), ("3", earlier, "capacity")):
        draws = (Draw("EUR", amount),)
        world.run(kept.reserve(Reservation("budget", amount, draws, until, earlier, kind)))
    (room,) = world.run(room_in(limits, kept, now))
    assert (room.spent, room.held, room.left) == ("0", "2", "3")


def test_an_amendment_beyond_the_budget_is_not_offered(open_world: Open) -> None:
    """HIRE-CAP-01: nor can a contract grow past it; amended it is still one."""
    world = open_world(held=True, handler=lingers, **budget(Limit("EUR", "6"), Limit("count", "1")))
    conversation = world.begin()
    world.until("working", conversation.id)

    async def amend(amount: str) -> None:
        await world.hirer.changes.amend(
            conversation, lambda terms: replace(terms, price=Price(amount=amount, currency="EUR"))
        )

    with pytest.raises(PolicyError, match="limit of 6"):
        world.run(amend("7"), 5)
    world.run(amend("6"), 5)
    assert spent(world) == {"EUR": "6", "count": "1"}


def test_who_amends_beyond_a_budget_per_period_is_told_when_that_begins_anew(open_world: Open) -> None:
    """It read the name under which it is counted."""
    world = open_world(held=True, handler=lingers, **budget(Limit("EUR", "6", "P1D")))
    conversation = world.begin()
    world.until("working", conversation.id)
    amends = world.hirer.changes.amend
    price = Price(amount="7", currency="EUR")
    why = "a change to 7 EUR, by our own budget: EUR per P1D, anew at 2026-03-03T00:00:00Z: 0 used and 4 held; 3 more"
    with pytest.raises(PolicyError, match=why):
        world.run(amends(conversation, lambda terms: replace(terms, price=price)), 5)


def test_a_change_to_a_currency_without_a_budget_is_not_offered(open_world: Open) -> None:
    """HIRE-CAP-01: as an offer in it."""
    world = open_world(held=True, handler=lingers, **budget(Limit("EUR", "6")))
    conversation = world.begin()
    world.until("working", conversation.id)
    price = Price(amount="1", currency="USD")
    with pytest.raises(PolicyError, match="there is no budget in USD"):
        world.run(world.hirer.changes.amend(conversation, lambda terms: replace(terms, price=price)), 5)
    assert spent(world) == {"EUR": "4"}


def test_what_one_change_promises_is_not_given_back_by_another(open_world: Open) -> None:
    """HIRE-CAP-01: each promises what it costs more, as long as it is judged and said."""
    world, ours = waiting(open_world, asyncio.Event(), **budget(Limit("EUR", "20")))
    booked = world.hirer.bookings.budget

    async def promised(amount: str, *, answers: bool = False) -> None:
        await booked.promise_more(ours, ours.engagement, Price(amount=amount, currency="EUR"), answers=answers)

    async def both() -> None:
        async with booked.changing(ours):
            await promised("7")
            async with booked.changing(ours):
                pass
            assert await world.hirer.kept.usage("budget") == {"EUR": "7"}
            await promised("9", answers=True)
            assert await world.hirer.kept.usage("budget") == {"EUR": "12"}

    world.run(both(), 5)
    assert not booked._changing


def test_what_could_not_be_given_back_is_with_the_next_change(
    open_world: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-CAP-01: before that promises anything."""
    world, ours = waiting(open_world, asyncio.Event(), **budget(Limit("EUR", "8")))
    world.provider.changes.consents = declines
    booked, kept = world.hirer.bookings.budget, world.hirer.kept

    async def refused(*_: object) -> None:
        raise LedgerUnavailable("ledger_unavailable", "somebody else writes")

    async def unread() -> None:
        async with booked.changing(ours):
            busy.setattr(kept, "open_reservations", refused)

    with monkeypatch.context() as busy:
        busy.setattr(kept, "release", refused)
        costing(world, ours, "7")
        world.run(unread(), 5)
    assert spent(world) == {"EUR": "7"}
    costing(world, ours, "8")
    assert spent(world) == {"EUR": "4"}


def test_a_release_beyond_the_budget_is_not_agreed_to(open_world: Open) -> None:
    """HIRE-APR-08: nor is it spent by letting each other go, whoever of the two offers it; what is, is counted."""
    world = open_world(handler=lingers, **budget(Limit("EUR", "6"), Limit("USD", "3")))
    conversation = world.begin()
    world.until("working", conversation.id)
    ours, theirs = world.hirer.changes, world.provider.changes
    ours.consents = theirs.consents = agrees
    for price in (Price(amount="7", currency="EUR"), Price(amount="4", currency="USD")):
        with pytest.raises(PolicyError, match="limit of"):
            world.run(ours.release(conversation, price, "That will do."), 5)
        world.run(theirs.release(world.provider.the(), price, "That will do."), 5)
        world.settle(30)
        assert conversation.engagement.state == "working"
    world.run(ours.release(conversation, Price(amount="3", currency="USD"), "That will do."), 5)
    world.settle(30)
    assert folded(world.hirer, conversation.id).state == "closed"
    assert spent(world) == {"EUR": "0", "USD": "3"}
    assert not world.hirer.bookings.budget._answering


def test_what_a_sealed_release_promised_is_held_over_a_restart(open_world: Open) -> None:
    """HIRE-CAP-01: nothing of it was committed, and it is owed at the end."""
    world = open_world(held=True, handler=lingers, **budget(Limit("EUR", "6"), Limit("USD", "3")))
    conversation = world.begin()
    world.until("working", conversation.id)
    world.provider.changes.consents = agrees
    world.run(world.hirer.changes.release(conversation, Price(amount="3", currency="USD"), "That will do."), 5)
    world.until("closing", conversation.id, world.hirer)
    world.restart(world.hirer)
    assert spent(world) == {"EUR": "4", "USD": "3"}
    world.reconnect()
    world.until("closed", conversation.id)
    world.settle(5)
    world.deliver_all()
    over(world, conversation.id)
    assert spent(world) == {"EUR": "0", "USD": "3"}


def test_what_another_release_promised_is_not_spent_beside_the_one_that_is_sealed(
    open_world: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-CAP-01: it was declined, and could not be given back; what is owed is counted once."""
    world = open_world(handler=lingers, **budget(Limit("EUR", "6"), Limit("USD", "9")))
    conversation = world.begin()
    world.until("working", conversation.id)

    async def refused(_id: str) -> None:
        raise LedgerUnavailable("ledger_unavailable", "somebody else writes")

    monkeypatch.setattr(world.hirer.kept, "release", refused)
    for amount, currency, answers in (("6", "EUR", declines), ("2", "USD", declines), ("3", "USD", agrees)):
        world.provider.changes.consents = answers
        price = Price(amount=amount, currency=currency)
        world.run(world.hirer.changes.release(conversation, price, "That will do."), 5)
        world.settle(30)
    assert folded(world.hirer, conversation.id).state == "closed"
    assert spent(world) == {"EUR": "0", "USD": "3"}


async def agrees(*_: object) -> bool:
    return True


async def declines(*_: object) -> bool:
    return False


def costing(world: World, conversation: Conversation, amount: str) -> None:
    """The hirer offers this price instead, and the provider answers."""
    price = Price(amount=amount, currency="EUR")
    world.run(world.hirer.changes.amend(conversation, lambda terms: replace(terms, price=price)), 5)
    world.settle(5)


def waiting(open_world: Open, leave: asyncio.Event, **options: Any) -> tuple[World, Conversation]:
    """A contract that is worked under until `leave`; its provider agrees to what is offered."""

    async def wait(job: Job) -> None:
        await leave.wait()
        await job.deliver("summary.txt", b"done", media_type="text/plain")

    world = open_world(handler=wait, **options)
    conversation = world.begin()
    world.settle(5)
    world.provider.changes.consents = agrees
    return world, conversation


def names_arbiter(world: World, ours: Conversation) -> None:
    """The contract gets one, and nothing else changes."""
    world.run(world.hirer.changes.amend(ours, lambda terms: replace(terms, arbiter=ARBITER.did)), 1)
    world.settle(1)


def found_owed(world: World, ours: Conversation, amount: str, currency: str) -> JsonObject:
    """The provider begins a dispute: what its arbiter rules."""
    world.run(world.provider.changes.dispute(world.provider.the(), "It is worth more."), 1)
    world.settle(1)
    contract = ours.engagement.contract
    assert contract is not None
    disputed = contract.disputes[0].digest
    return ARBITER.rule(contract.digest, disputed, world.clock.now(), amount=amount, currency=currency)


@pytest.mark.parametrize(("price", "first"), [("4 EUR", "4"), ("0 EUR", None)])
def test_each_amendment_is_committed_and_what_is_owed_is_spent(open_world: Open, price: str, first: str | None) -> None:
    """HIRE-CAP-01: two amendments with one end, one after the other; at the end the whole price was spent."""
    leave = asyncio.Event()
    limits = (Limit("EUR", "20"), Limit("EUR", "20", "P1D"), Limit("count", "5"))
    # What the provider may spend as a hirer is not about what it is paid.
    provider = {"budget": (Limit("EUR", "1"),)}
    world, conversation = waiting(open_world, leave, price=price, provider_options=provider, **budget(*limits))
    assert spent(world).get("EUR") == first
    for amount in ("6", "9"):
        costing(world, conversation, amount)
        assert conversation.offered().terms.price.amount == amount
        assert (spent(world)["EUR"], spent(world)["count"]) == (amount, "1")
        assert {one.kind for one in world.run(world.hirer.kept.open_reservations("budget"))} == {"action"}  # committed
    world.loop.call_soon(leave.set)
    world.settle(10)
    over(world, conversation.id)
    assert spent(world) == {"EUR": "9", f"EUR.P1D@{world.clock.now()[:10]}T00:00:00Z": "9", "count": "1"}
    assert world.run(world.hirer.kept.open_reservations("budget")) == ()
    world.until("closed", conversation.id)
    assert spent_in(world, world.provider.kept) == {}
    for node in (world.hirer, world.provider):
        assert conversation.id not in node.conversations
        assert not node.subcontracts.shares._weighed, "terms that were weighed are kept no longer than the contract"


def test_what_is_amended_in_the_next_period_counts_in_the_one_of_the_seal(open_world: Open) -> None:
    """HIRE-CAP-01: each limit counts it once."""

    def late(**options: Any) -> World:
        world = open_world(**options)
        midnight = f"{world.clock.now()[:10]}T23:59:00Z"
        world.clock.ahead += int(seconds_between(world.clock.now(), midnight))
        return world

    leave = asyncio.Event()
    world, ours = waiting(late, leave, **budget(Limit("EUR", "20", "P1D")))
    day = world.clock.now()[:10]
    world.clock.ahead += 120
    costing(world, ours, "9")
    world.loop.call_soon(leave.set)
    world.settle(10)
    over(world, ours.id)
    assert {key: one for key, one in spent(world).items() if one != "0"} == {f"EUR.P1D@{day}T00:00:00Z": "9"}


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(
    ("price", "amount", "currency", "counted"),
    [
        ("4 EUR", "6", "EUR", {"EUR": "6"}),
        ("4 EUR", "3", "USD", {"EUR": "0", "USD": "3"}),
        ("0 EUR", "3", "EUR", {"EUR": "3"}),
    ],
)
def test_what_an_arbiter_finds_owed_is_spent(
    open_world: Open, books: KeptLedger, shared: bool, price: str, amount: str, currency: str, counted: dict[str, str]
) -> None:
    """HIRE-CAP-01: also above the price, in another currency, and where nothing was to be paid."""
    limits = (Limit("EUR", "5"), Limit("USD", "2"), Limit("count", "1"))  # beyond them, too
    named = {"books": "kept:"} if shared else {}
    world, ours = waiting(open_world, asyncio.Event(), price=price, hirer_options={"budget": limits, **named})
    names_arbiter(world, ours)
    given = found_owed(world, ours, amount, currency)
    world.run(world.provider.changes.rule(world.provider.the(), given), 1)
    world.until("closed", ours.id)
    world.settle(60)
    held = books if shared else world.hirer.kept
    assert spent_in(world, held) == {**counted, "count": "1"}
    assert world.run(held.open_reservations("budget")) == ()


@pytest.mark.parametrize(
    ("amount", "currency", "at"), [("6", "EUR", 1), ("3", "USD", 0), ("3", "USD", 1), ("3", "USD", 2)]
)
def test_what_was_spent_in_a_shared_file_is_counted_once(
    open_world: Open, books: KeptLedger, monkeypatch: pytest.MonkeyPatch, amount: str, currency: str, at: int
) -> None:
    """HIRE-CAP-01: by a process that is killed before it has stored the end, and by the next one."""
    limits = (Limit("EUR", "20"), Limit("USD", "20"))
    options = {"budget": limits, "books": "kept:"}
    world, ours = waiting(open_world, asyncio.Event(), hirer_options=options)
    names_arbiter(world, ours)
    given = found_owed(world, ours, amount, currency)
    settle, left = books.settle, at

    async def killed(*given: Any) -> None:
        nonlocal left
        if left:
            await settle(*given)
            left -= 1
        if not left:
            world.hirer.kept.dies = "before"

    monkeypatch.setattr(books, "settle", killed)
    world.run(world.provider.changes.rule(world.provider.the(), given), 1)
    world.settle(60)
    assert world.hirer.kept.dead
    monkeypatch.setattr(books, "settle", settle)
    world.restart(world.hirer)
    world.reconnect()
    world.until("closed", ours.id)
    world.settle(60)
    assert ours.id not in world.hirer.conversations
    assert {key: one for key, one in spent_in(world, books).items() if one != "0"} == {currency: amount}
    assert world.run(books.open_reservations("budget")) == ()


@pytest.mark.parametrize("at", [0, 1, 2, 3])
@pytest.mark.parametrize("released", [False, True])
@pytest.mark.parametrize("prices", [("0",), ("6",), ("6", "0"), ("0", "6"), ("6", "9")])
def test_what_was_amended_and_spent_in_a_shared_file_is_counted_once(
    open_world: Open,
    books: KeptLedger,
    monkeypatch: pytest.MonkeyPatch,
    prices: tuple[str, ...],
    released: bool,
    at: int,
) -> None:
    """HIRE-CAP-01: whatever was committed and promised before, and wherever the process was killed in between."""
    options = {"budget": (Limit("EUR", "20"), Limit("count", "5")), "books": "kept:"}
    world, ours = waiting(open_world, asyncio.Event(), hirer_options=options)
    names_arbiter(world, ours)
    for price in prices:
        costing(world, ours, price)
        assert ours.offered().terms.price.amount == price
    settle, left = books.settle, at

    async def killed(*given: Any) -> None:
        nonlocal left
        if left:
            await settle(*given)
            left -= 1
        if not left:
            world.hirer.kept.dead = True
            await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(books, "settle", killed)
    if released:
        price = Price(amount="7", currency="EUR")
        world.run(world.hirer.changes.release(ours, price, "That will do."), 1)
    else:
        given = found_owed(world, ours, "7", "EUR")
        world.run(world.provider.changes.rule(world.provider.the(), given), 1)
    world.settle(60)
    monkeypatch.setattr(books, "settle", settle)
    if world.hirer.kept.dead:
        world.restart(world.hirer)
        world.reconnect()
    world.until("closed", ours.id)
    world.settle(60)
    assert ours.id not in world.hirer.conversations
    assert {key: one for key, one in spent_in(world, books).items() if one != "0"} == {"EUR": "7", "count": "1"}
    assert world.run(books.open_reservations("budget")) == ()


def test_amendments_that_were_declined_hold_nothing(open_world: Open) -> None:
    """HIRE-CAP-01: and the same price may be offered again, also when it costs another amount more."""
    world, conversation = waiting(open_world, asyncio.Event(), **budget(Limit("EUR", "7")))
    world.provider.changes.consents = declines
    for _ in range(2):
        costing(world, conversation, "7")
        assert conversation.offered().terms.price.amount == "4"
        assert spent(world) == {"EUR": "4"}
    world.provider.changes.consents = agrees
    costing(world, conversation, "6")
    assert spent(world) == {"EUR": "6"}
    costing(world, conversation, "7")
    assert conversation.offered().terms.price.amount == "7"
    assert spent(world) == {"EUR": "7"}


async def silent(*_: object) -> None: ...


def test_a_change_that_costs_nothing_more_needs_no_books(open_world: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-CAP-01: it promises nothing, so it is offered also while nothing can be promised."""
    world, conversation = waiting(open_world, asyncio.Event(), **budget(Limit("EUR", "8")))

    async def refused(_wanted: Reservation) -> None:
        raise LedgerUnavailable("ledger_unavailable", "somebody else writes")

    monkeypatch.setattr(world.hirer.kept, "reserve", refused)
    world.provider.changes.consents = silent
    costing(world, conversation, "3")
    assert conversation.engagement.tabled is not None


def test_two_changes_at_once_hold_what_the_one_on_the_table_costs(open_world: Open) -> None:
    """HIRE-CAP-01: of two owners who change the price at once only one is heard; what the other one promised and took
    back is not that one's. Else both would have been hired for what only one could be paid with. Nor is it held until
    the one on the table came to something.
    """
    world, conversation = waiting(open_world, asyncio.Event(), **budget(Limit("EUR", "8")))
    world.provider.changes.consents = silent

    async def amend(amount: str) -> str:
        try:
            await world.hirer.changes.amend(
                conversation, lambda terms: replace(terms, price=Price(amount=amount, currency="EUR"))
            )
        except LocalProtocolError:
            return "0"
        return amount

    async def both() -> list[str]:
        return await asyncio.gather(amend("7"), amend("5"))

    (said,) = (amount for amount in world.run(both(), 5) if amount != "0")
    world.settle(5)
    assert spent(world) == {"EUR": said}
    second = world.begin()
    world.settle(5)
    assert folded(world.hirer, second.id).state == "withdrawn"


@pytest.mark.parametrize("how", ["declined", "not answered", "not said", "killed"])
def test_what_a_change_promised_that_came_to_nothing_is_free_at_once(
    open_world: Open, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """HIRE-CAP-01: it is not held until its time ends, nor until the next change."""
    world, conversation = waiting(open_world, asyncio.Event(), **budget(Limit("EUR", "8")))
    price = Price(amount="7", currency="EUR")

    async def fails(*_: object, **__: object) -> None:
        raise ConfigurationError("key_unavailable", "the key is not at hand")

    match how:
        case "declined":
            world.provider.changes.consents = declines
            costing(world, conversation, "7")
        case "not answered":
            world.provider.changes.consents = silent
            world.run(world.hirer.changes.amend(conversation, lambda terms: replace(terms, price=price), seconds=60), 5)
            world.settle(30)
            assert spent(world) == {"EUR": "7"}
            world.settle(400)
        case "not said":
            monkeypatch.setattr(world.hirer.papers, "change", fails)
            with pytest.raises(ConfigurationError):
                costing(world, conversation, "7")
        case _:
            monkeypatch.setattr(world.hirer.bookings.budget, "tidied", silent)
            world.provider.changes.consents = declines
            costing(world, conversation, "7")
            assert spent(world) == {"EUR": "7"}
            world.restart(world.hirer)
    assert world.hirer.the().engagement.lane == "idle"
    assert spent(world) == {"EUR": "4"}


@pytest.mark.parametrize("beside", [False, True])
def test_what_a_change_promised_that_was_never_stored_is_free_after_the_next_start(
    open_world: Open, monkeypatch: pytest.MonkeyPatch, beside: bool
) -> None:
    """HIRE-CAP-01: the process was killed as it was drawn up; what another costs that may be sealed stays promised."""
    world, conversation = waiting(open_world, asyncio.Event(), **budget(Limit("EUR", "10")))
    world.provider.changes.consents = silent
    if beside:
        costing(world, conversation, "6")

    async def killed(*_: object, **__: object) -> None:
        world.hirer.kept.dead = True
        await asyncio.Event().wait()

    monkeypatch.setattr(world.hirer.papers, "change", killed)
    price = Price(amount="7", currency="EUR")
    world.loop.create_task(world.hirer.changes.amend(conversation, lambda terms: replace(terms, price=price)))
    world.settle(5)
    assert world.hirer.kept.dead
    assert spent(world) == {"EUR": "9" if beside else "7"}
    world.restart(world.hirer)
    assert spent(world) == {"EUR": "6" if beside else "4"}


def test_what_an_answer_promised_that_was_never_said_is_free_at_once(
    open_world: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-CAP-01, HIRE-SUB-08: the turn that would have accepted it failed, and then the change was taken back: that
    we said nothing since does not mean that the answer may still leave.
    """
    world, conversation = waiting(open_world, asyncio.Event(), **budget(Limit("EUR", "8")))
    world.hirer.changes.consents = agrees

    async def fails(*_: object, **__: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(world.hirer.papers, "acceptance", fails)
    theirs, price = world.provider.the(), Price(amount="7", currency="EUR")
    world.run(world.provider.changes.amend(theirs, lambda terms: replace(terms, price=price)), 5)
    world.settle(1)
    assert spent(world) == {"EUR": "7"}
    world.run(world.provider.changes.decline(theirs), 5)
    world.settle(5)
    assert conversation.engagement.lane == "idle"
    assert spent(world) == {"EUR": "4"}
    assert world.hirer.subcontracts.shares.agreed(conversation) == ()


LIMITS = (Limit("EUR", "8"), Limit("EUR", "100", "P1D"))


@pytest.mark.parametrize("now", [LIMITS[:1], LIMITS, None])
@pytest.mark.parametrize("before", [LIMITS[:1], LIMITS])
def test_what_an_accepted_change_costs_is_held_however_late_its_seal_comes(
    open_world: Open, monkeypatch: pytest.MonkeyPatch, before: tuple[Limit, ...], now: tuple[Limit, ...] | None
) -> None:
    """HIRE-CAP-01: a provider may hold its seal back past the end of its offer, and the seal counts: meanwhile nobody
    else was hired with that money, nor after a start with another limit beside.
    """
    world, conversation = waiting(open_world, asyncio.Event(), **budget(*before))
    world.hirer.changes.consents = agrees
    theirs, seal = world.provider.the(), world.provider.changes._seal
    monkeypatch.setattr(world.provider.changes, "_seal", silent)
    price = Price(amount="7", currency="EUR")
    world.run(world.provider.changes.amend(theirs, lambda terms: replace(terms, price=price), seconds=60), 5)
    world.settle(5)
    assert conversation.engagement.lane == "accepted-by-hirer"
    if now is not None:
        world.restart(world.hirer, budget=now)
        world.reconnect()
    world.settle(600)
    assert spent(world)["EUR"] == "7"
    hired = world.begin(price="4 EUR")
    world.settle(5)
    assert folded(world.hirer, hired.id).state == "withdrawn"
    monkeypatch.setattr(world.provider.changes, "_seal", seal)
    world.run(theirs.reconsider(Say("", {})), 5)
    world.settle(5)
    assert world.hirer.conversations[conversation.id].offered().terms.price == price
    assert spent(world)["EUR"] == "7"


def test_a_second_judgement_does_not_free_the_first(open_world: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-SUB-08: while it is signed that a contract gets other terms, hires under it lie inside them; another change
    that is judged at the same time, and a sign of life that is sent, change nothing of that.
    """
    world, conversation = waiting(open_world, asyncio.Event())
    theirs, changes, shares = world.provider.the(), world.provider.changes, world.provider.subcontracts.shares
    world.provider.changes.consents = silent
    costing(world, conversation, "3")
    sign, bound = world.provider.papers.acceptance, list[str]()

    async def slow(*given: Any) -> Any:
        with pytest.raises(PolicyError):
            await changes.amend(theirs, lambda terms: replace(terms, arbiter=theirs.engagement.peer))
        contract = theirs.engagement.contract
        assert contract is not None
        await theirs.ask(lambda _: Say("Progress", {"contract": contract.digest, "number": 1, "usage": ()}))
        bound.extend(one.price.amount for one in shares.agreed(theirs))
        return await sign(*given)

    monkeypatch.setattr(world.provider.papers, "acceptance", slow)
    tabled = theirs.engagement.tabled
    assert tabled is not None
    world.run(changes.accept(theirs, tabled.document), 5)
    assert bound == ["3"]
    world.settle(5)
    assert shares.agreed(theirs) == ()
    assert conversation.offered().terms.price.amount == "3"


def test_terms_that_could_not_be_offered_bind_nothing(open_world: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-SUB-08: what is hired next lies inside what is in force, and not inside what nobody was told of."""
    world, conversation = waiting(open_world, asyncio.Event())

    async def fails(*_: object, **__: object) -> None:
        raise ConfigurationError("key_unavailable", "the key is not at hand")

    monkeypatch.setattr(world.hirer.papers, "change", fails)
    with pytest.raises(ConfigurationError):
        costing(world, conversation, "2")
    assert world.hirer.subcontracts.shares.agreed(conversation) == ()


def test_a_contract_outlives_a_budget_without_its_currency(open_world: Open) -> None:
    """HIRE-CAP-01: both signed it; with another budget after a restart it is committed all the same."""
    world = open_world(held=True)
    conversation = world.begin()
    world.until("working", conversation.id, world.hirer)
    world.restart(world.hirer, budget=(Limit("USD", "100"),))
    world.reconnect()
    world.until("closed", conversation.id)


def test_the_refused_are_told_when_there_is_room(open_world: Open) -> None:
    """HIRE-CAP-02: the one place is under contract, and that ends at `until` at the latest."""
    world = open_world(capacity=1, handler=lingers)
    first = world.begin()
    world.settle(2)
    second = world.begin()
    world.settle(2)
    assert (folded(world.hirer, first.id).state, folded(world.hirer, second.id).state) == ("working", "withdrawn")
    (need,) = last(world.hirer, second.id, Withdraw).needed or ()
    until = last(world.hirer, first.id, Offer).document.terms.deadlines.until  # type: ignore[union-attr]
    assert (need.code, need.capability, need.after) == ("capacity", "summary", shift(until, 1))


def test_whose_places_are_taken_in_a_shared_file_is_full(open_world: Open, books: KeptLedger) -> None:
    """HIRE-CAP-01: it asks nothing and bargains for nothing that it could not take."""
    world = open_world(capacity=1, handler=lingers, provider_options={"books": "kept:"})
    assert not world.run(world.provider.bookings.places.full("summary"))
    world.until("working", world.begin().id)
    assert world.run(world.provider.bookings.places.full("summary"))


def test_what_a_killed_process_took_for_nothing_is_given_back_at_its_start(open_world: Open, books: KeptLedger) -> None:
    """HIRE-CAP-01: taken, and killed before the move was stored; what others took stays."""
    world = open_world(capacity=2, handler=lingers, provider_options={"books": "kept:"})
    conversation = world.begin()
    world.settle(2)
    held = world.run(books.open_reservations("capacity:summary"))
    assert len(held) == 1
    ours = f"{world.provider.did} {conversation.id} uEiDead"
    for id in (ours, f"{world.provider.did} urn:hire:engagement:uEiOther uEiDead", "did:key:another urn:x uEiDead"):
        draws = (Draw("summary", "1", None),)
        world.run(
            books.reserve(
                Reservation("capacity:summary", id, draws, shift(world.clock.now(), 300), world.clock.now(), "capacity")
            )
        )
    world.restart(world.provider)
    left = {one.id for one in world.run(books.open_reservations("capacity:summary"))}
    assert left == {held[0].id, "did:key:another urn:x uEiDead"}


def test_a_place_in_a_shared_file_is_free_once_the_end_is_stored(open_world: Open, books: KeptLedger) -> None:
    """HIRE-CAP-01: until then what stands on the table may still be accepted, also after a kill."""
    world = open_world(held=True, capacity=1, handler=lingers, provider_options={"books": "kept:"})
    hire = world.begin(opening="2 EUR").id
    while not world.run(books.open_reservations("capacity:summary")):
        assert world.next_parcel()
    world.settle(1)
    world.provider.kept.dies = "before"
    world.loop.create_task(world.provider.the(hire).ask(lambda engagement: withdrawal(engagement, "changed")))
    world.settle(1)
    assert world.provider.kept.dead
    assert len(world.run(books.open_reservations("capacity:summary"))) == 1
    world.restart(world.provider)
    assert len(world.run(books.open_reservations("capacity:summary"))) == 1
    world.run(world.provider.the(hire).ask(lambda engagement: withdrawal(engagement, "changed")), 1)
    world.settle(1)
    assert world.run(books.open_reservations("capacity:summary")) == ()


def test_places_of_a_task_that_is_offered_after_the_start_are_given_back_too(
    open_world: Open, books: KeptLedger
) -> None:
    """HIRE-CAP-01: the settings say nothing of it, and nobody else knows whose those places were."""
    world = open_world(capacity=2, handler=lingers, provider_options={"books": "kept:"})
    now = world.clock.now()

    def take(name: str) -> str:
        id = f"{name} urn:hire:engagement:uEiOther uEiDead"
        draws = (Draw("late", "1", None),)
        until, at = shift(now, 30 * 24 * 3600), world.clock.now()
        world.run(books.reserve(Reservation("capacity:late", id, draws, until, at, "capacity")))
        return id

    take(world.provider.did)
    others = take("did:key:another")
    world.restart(world.provider)

    async def offered() -> None:
        world.provider.offers("late", price="1 EUR", delivers="it")(lingers)

    world.run(offered(), 1)
    world.settle()
    assert [one.id for one in world.run(books.open_reservations("capacity:late"))] == [others]


@pytest.mark.parametrize("at_once", [True, False])
def test_what_is_taken_of_such_a_task_at_once_is_not_given_back(
    open_world: Open, books: KeptLedger, at_once: bool
) -> None:
    """HIRE-CAP-01: whoever is hired while it is looked at keeps its place."""
    world = open_world(capacity=2, handler=lingers, provider_options={"books": "kept:"})
    service = world.provider.services.pop("summary")

    async def offered() -> None:
        options = {"price": "4 EUR", "delivers": "summary.txt", "media_type": "text/plain", "capacity": 2}
        world.provider.offers("summary", **options)(service.handler)

    world.run(offered())
    if not at_once:
        world.settle(1)
    world.until("working", world.begin().id)
    world.settle(5)
    assert len(world.run(books.open_reservations("capacity:summary"))) == 1
    assert not world.provider.bookings.pools._meanwhile


def test_what_is_taken_while_the_books_are_read_is_not_given_back(
    open_world: Open, books: KeptLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-CAP-01: it stands in the file, and in no engagement that was there when the reading began."""
    world = open_world(capacity=2, handler=lingers, provider_options={"books": "kept:"})
    read, taken, waiting = books.open_reservations, asyncio.Event(), list[str]()

    async def late(pool: str, prefix: str = "") -> Sequence[Reservation]:
        task = asyncio.current_task()
        if task is not None and task.get_name() == "places of summary":
            waiting.append(pool)
            await taken.wait()
        return await read(pool, prefix)

    monkeypatch.setattr(books, "open_reservations", late)

    async def offered() -> None:
        world.provider.bookings.places.offered("summary")

    world.run(offered(), 1)
    world.until("working", world.begin().id)
    assert waiting == ["capacity:summary"]

    async def goes_on() -> None:
        taken.set()

    world.run(goes_on())
    world.settle(5)
    assert len(world.run(read("capacity:summary"))) == 1


def test_a_contract_of_which_only_the_books_are_open_takes_no_place(open_world: Open) -> None:
    """HIRE-CAP-01: its work is over, whatever is waited for until both have closed them."""
    world = open_world(capacity=1)
    first = world.begin(settlement=Settlement(method="manual"))
    world.settle(10)
    assert folded(world.provider, first.id).state == "closing"
    second = world.begin()
    world.settle(10)
    over(world, second.id)


def test_what_is_done_for_us_takes_no_place_of_what_we_do(open_world: Open) -> None:
    """HIRE-CAP-01: an agent may have others do what it does itself."""
    world = open_world(handler=lingers)

    async def offered() -> None:
        world.hirer.offers("summary", price="1 EUR", delivers="it", capacity=1)(lingers)

    world.run(offered(), 1)
    world.begun("working")
    assert not world.run(world.hirer.bookings.places.full("summary"))


def test_contracts_of_another_task_take_no_place_of_this_one(open_world: Open) -> None:
    """HIRE-CAP-01, HIRE-CAP-03: each task has places of its own."""
    leave = asyncio.Event()

    async def wait(job: Job) -> None:
        await leave.wait()
        await job.deliver("summary.txt", b"done", media_type="text/plain")

    world = open_world(capacity=1, handler=wait)
    service = world.provider.services["summary"]
    world.provider.services["other"] = replace(service, task="other")
    hires = [world.begin(task=task).id for task in ("other", "summary")]
    world.settle(5)
    assert [folded(world.hirer, id).state for id in hires] == ["working", "working"]
    world.loop.call_soon(leave.set)
    world.settle(10)
    for id in hires:
        over(world, id)
        closings = {one.role: one for one in _closings(world, id)}
        assert closings["provider"].capacity == Served(advertised=1, met=1)


@pytest.mark.parametrize("restarts", [False, True])
def test_the_closing_says_what_was_advertised_and_met(open_world: Open, restarts: bool) -> None:
    """HIRE-CAP-03: as the profile said; two were under way at once, which is counted again after a restart."""
    leave = asyncio.Event()

    async def wait(job: Job) -> None:
        await leave.wait()
        await job.deliver("summary.txt", b"done", media_type="text/plain")

    world = open_world(capacity=3, handler=wait)
    hires = [world.begin().id for _ in range(2)]
    world.settle(2)
    if restarts:
        world.restart(world.provider)
        world.reconnect()
        world.settle(2)
    world.loop.call_soon(leave.set)
    world.settle(10)
    for id in hires:
        over(world, id)
        (capability,) = last(world.hirer, id, Profile).capabilities
        assert capability["capacity"] == 3
        closings = {one.role: one for one in _closings(world, id)}
        assert closings["provider"].capacity == Served(advertised=3, met=2)
        assert closings["hirer"].capacity is None


@pytest.mark.parametrize("role", ["provider", "hirer"])
def test_a_closing_that_says_otherwise_is_refused(open_world: Open, role: str) -> None:
    """HIRE-CAP-03: another number than the profile's, and a hirer's."""
    world = open_world(held=True, capacity=3)
    conversation = world.begin()
    victim = world.hirer if role == "provider" else world.provider
    world.until("closing", conversation.id, victim)
    raw = forge(world, victim, conversation.id, closing(), capacity=Served(advertised=30, met=1))
    before = folded(victim, conversation.id)
    world.deliver(raw, world.other(victim).did, victim.did)
    world.settle()
    assert folded(victim, conversation.id).got == before.got
    assert last_problem(world, victim) == "terms_mismatch"


def last_problem(world: World, node: Any) -> str:
    said = [recorded_message(parcel.raw).message for parcel in world.network.sent if parcel.sender == node.did]
    return [one.code for one in said if isinstance(one, Problem)][-1]


def _closings(world: World, id: EngagementId) -> list[Closing]:
    return [one.message for one in messages(world.hirer, id) if isinstance(one.message, Closing)]


@pytest.mark.parametrize("limits", [(Limit("bytes", "5"),), (Limit("EUR", "5"), Limit("EUR", "6"))])
def test_a_budget_is_of_money_and_contracts_once_each(limits: tuple[Limit, ...]) -> None:
    with pytest.raises(ConfigurationError):
        budget_limits(limits)


def test_budget_and_books_stand_in_the_settings(companies: tuple[Home, Home], tmp_path: Path) -> None:
    settings = (companies[0].path / "undersigned.toml").read_text()
    (tmp_path / "undersigned.toml").write_text(
        f'books = "../books.db"\nbudget = [{{ unit = "EUR", max = "100.00", per = "P1D" }}]\n{settings}'
    )
    home = Home(tmp_path)
    assert home.budget == (Limit("EUR", "100", "P1D"),)
    assert home.books_url == f"sqlite://{tmp_path}/../books.db"
    (tmp_path / "undersigned.toml").write_text(f'budget = [{{ unit = "EUR" }}]\n{settings}')
    with pytest.raises(ConfigurationError):
        Home(tmp_path)


@pytest.mark.parametrize(
    ("full", "told"),
    [
        ("EUR: 4 more", "our own budget: EUR: 4 more"),
        ("EUR.P1D@2026-03-02T00:00:00Z: 4 more", "our own budget: EUR per P1D, anew at 2026-03-03T00:00:00Z: 4 more"),
        ("/EUR@children: 4 more", "the contract above: EUR: 4 more"),
        ("read-1/count.PT1M@children: 4 more", "the contract above: read-1/count.PT1M: 4 more"),
    ],
)
def test_whose_room_is_not_there_is_told(full: str, told: str) -> None:
    assert no_room_in(full) == told
