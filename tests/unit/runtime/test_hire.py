"""A hire hears what happens where it happens, and ends with what decides it: in two whole runtimes."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from msgspec.structs import replace

from runtimes import World, lingers, offices
from undersigned.cli.telling import event_json, event_line
from undersigned.contract import Milestone, Settlement
from undersigned.errors import (
    CredentialError,
    LedgerUnavailable,
    LocalProtocolError,
    PolicyError,
    RemoteProtocolError,
    TransportError,
    UndersignedError,
)
from undersigned.protocol import Answer, Moment
from undersigned.runtime import Conversation, Event, Hire, HireResult, Job, Order, Reviewed
from undersigned.runtime.agent.hire import Begin
from undersigned.runtime.engagement.turn import Hears
from undersigned.scope import Limit

Open = Callable[..., World]


def hired(world: World, *, begin: Begin | None = None, **options: Any) -> tuple[Hire, asyncio.Task[HireResult]]:
    """A hire under way, and a task that waits for it."""
    wanted = world.order(**options)

    async def order() -> Order:
        return wanted

    hire = Hire(world.hirer, order, None, begin=begin)

    async def result() -> HireResult:
        return await hire

    return hire, world.loop.create_task(result())


def unchecked(world: World) -> None:
    """Our hirer cannot check what the provider shows, because an issuer does not resolve."""
    conversation = world.hirer.the()
    world.loop.call_soon(world.hirer.shell.happened, conversation, refused(world, conversation))
    world.settle()


def refused(world: World, conversation: Conversation) -> Event:
    """That its presentation could not be checked."""
    return Event(
        engagement=conversation.id,
        kind="refused",
        type="Presentation",
        at=world.clock.now(),
        state=conversation.engagement.state,
        detail="did_unresolvable: no such host",
        code="did_unresolvable",
    )


@pytest.mark.parametrize("seconds", [0, 5])
@pytest.mark.parametrize("code", ["status_unavailable", "registry_unavailable", "did_unresolvable"])
def test_who_hires_is_told_what_could_not_be_looked_up(code: str, seconds: int, open_world: Open) -> None:
    """And not what had kept us from deciding before that: a store that could be read again. Where it is waited for,
    the negotiation is laid to rest as soon as it ended.
    """
    world = open_world(held=True)
    _, result = hired(world, opening="5 EUR")
    world.settle(0)
    name = next(iter(world.hirer.conversations))
    world.until("accepted-by-provider", name, world.provider)
    asked: list[str] = []

    async def away(*_: Any, **__: Any) -> Any:
        asked.append(code)
        if len(asked) == 1:
            raise LocalProtocolError("store_unavailable", "the trust graph cannot be read")
        await asyncio.sleep(seconds)
        raise UndersignedError(code, "it was not had")

    world.hirer.statuses.lists = away  # type: ignore[method-assign]
    world.deliver_all()
    world.settle(500)
    world.deliver_all()
    world.settle(10)
    error = result.exception()
    assert isinstance(error, PolicyError)
    assert error.code == "status_unavailable"
    assert "it was not had" in str(error)


def test_who_hires_is_told_why_nothing_was_decided(open_world: Open) -> None:
    """Which a strategy of ours that fails and people who do not answer have in common."""

    class Fails:
        def answer(self, _: Any) -> Any:
            sleep(0.1)  # in a thread, of which the loop of these tests knows nothing
            raise ValueError("no price list")

    world = open_world(hirer_options={"strategy": Fails()})
    _, result = hired(world, opening="2 EUR", price="5 EUR")
    world.settle(10)
    assert isinstance(error := result.exception(), PolicyError)
    assert error.message.startswith("we withdrew: decision_failed; ")
    assert "the strategy failed: ValueError('no price list')" in error.message


def test_who_hires_is_told_that_its_own_trust_graph_cannot_be_read(open_world: Open, tmp_path: Path) -> None:
    """By a code that says what to mend, and not as a refusal of the terms."""
    world = open_world(*offices(tmp_path))
    world.hirer.home.trust.write_bytes(b"no database at all" * 100)  # once it runs: it would not start
    _, result = hired(world)
    world.settle(10)
    assert isinstance(error := result.exception(), PolicyError)
    assert error.code == "store_corrupt"
    assert error.message.startswith("we withdrew, because we could not decide: ")
    assert str(world.hirer.home.trust) in error.message


def test_who_hires_is_told_what_would_have_been_enough(open_world: Open) -> None:
    """And what was to be paid: `declined` alone says of neither side why."""
    world = open_world()
    _, result = hired(world, price="3 EUR")
    world.settle(10)
    assert isinstance(error := result.exception(), PolicyError)
    asked = "its last offer was 4 EUR, and 3 EUR is the most that was to be paid"
    assert error.message == f"we withdrew: declined; {asked}"


def test_who_walked_away_from_less_is_not_told_that_it_was_too_much(open_world: Open) -> None:
    """A strategy that takes the best of several offers declines the others for none of its limits."""

    class Leaves:
        def answer(self, moment: Moment) -> Answer:
            return Answer(act="withdraw")

    world = open_world(hirer_options={"strategy": Leaves()})
    _, result = hired(world, opening="2 EUR", price="5 EUR")
    world.settle(10)
    assert isinstance(error := result.exception(), PolicyError)
    assert error.message == "we withdrew: declined; its last offer was 4 EUR"


def test_who_bargains_too_hard_is_told_what_was_asked_for(open_world: Open) -> None:
    """A provider names its price once, and says no to less: `declined` alone told a strategy's author nothing."""

    class Haggles:
        def answer(self, moment: Moment) -> Answer:
            price = replace(moment.ours.price, amount="3")
            return Answer(act="counter", terms=replace(moment.ours, price=price))

    world = open_world(hirer_options={"strategy": Haggles()})
    _, result = hired(world, opening="2 EUR", price="5 EUR")
    world.settle(10)
    assert isinstance(error := result.exception(), PolicyError)
    assert error.message == "the provider withdrew: declined; it asks for 4 EUR"


def test_who_hires_is_told_which_limit_of_its_own_policy_said_no(open_world: Open, tmp_path: Path) -> None:
    """And that it was its own: what the terms would have to say another side may have asked for, too."""
    world = open_world(*offices(tmp_path, hirer_policy='max_price = "3"\ncurrency = "EUR"'))
    _, result = hired(world, price="5 EUR")
    world.settle(10)
    assert isinstance(error := result.exception(), PolicyError)
    assert error.message.endswith("; by our own policy default/1: max_price 4 EUR (would pass: at most 3)")
    assert error.detail["ours"] is True


def test_who_hires_is_told_that_its_own_budget_said_no(open_world: Open) -> None:
    world = open_world(hirer_options={"budget": (Limit("EUR", "3"),)})
    _, result = hired(world, price="5 EUR")
    world.settle(10)
    assert isinstance(error := result.exception(), PolicyError)
    why = "by our own budget: EUR: 0 used and 0 held; 4 more is above the limit of 3"
    assert error.message == f"we withdrew: capacity; {why}"


def test_who_hires_is_told_when_its_own_budget_begins_anew(open_world: Open) -> None:
    world = open_world(hirer_options={"budget": (Limit("EUR", "3", "P1D"),)})
    _, result = hired(world, price="5 EUR")
    world.settle(10)
    assert isinstance(error := result.exception(), PolicyError)
    why = "EUR per P1D, anew at 2026-03-03T00:00:00Z: 0 used and 0 held; 4 more is above the limit of 3"
    assert error.message == f"we withdrew: capacity; by our own budget: {why}"


def test_who_hires_is_told_what_was_withdrawn(open_world: Open) -> None:
    """And by whom: a bare `revoked` leaves open whether it was the provider's word or our own."""
    world = open_world()

    async def gone(*_: Any, **__: Any) -> Any:
        raise CredentialError("revoked", "revoked by did:web:guild.example: place 7 of its list")

    world.hirer.statuses.lists = gone  # type: ignore[method-assign]
    _, result = hired(world, opening="5 EUR")
    world.settle(10)
    assert isinstance(error := result.exception(), PolicyError)
    assert error.code == "revoked"
    assert error.message.startswith("we withdrew: revoked; ")
    assert "revoked by did:web:guild.example: place 7 of its list" in error.message


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("revoked", "it finds what we showed, or a key of ours, withdrawn: have it issued anew"),
        ("status_unavailable", "does the peer of whoever issued that run ('undersigned serve'), in reach of others?"),
    ],
)
def test_who_hires_is_told_that_it_is_about_what_we_showed(code: str, says: str, open_world: Open) -> None:
    """The provider looked it up, and who reads its word alone looks for the fault at the provider."""
    world = open_world()

    async def no(*_: Any, **__: Any) -> Any:
        raise CredentialError(code, "it was looked up")

    world.provider.statuses.lists = no  # type: ignore[method-assign]
    _, result = hired(world, opening="5 EUR")
    world.settle(500)
    assert isinstance(error := result.exception(), PolicyError)
    assert error.code == code
    assert error.message.startswith(f"the provider withdrew: {code}; ")
    assert says in error.message


async def all_of(hire: Hire) -> list[Event]:
    return [event async for event in hire]


def test_all_that_happened_is_told_and_then_there_is_a_result(open_world: Open) -> None:
    world = open_world()
    hire, task = hired(world)
    listening = world.loop.create_task(all_of(hire))
    world.settle(5)
    assert listening.result() == world.hirer.events
    assert listening.result()[-1].kind == "over"
    assert (task.result().price, task.result().unclosed) == ("4 EUR", None)
    assert hire.decision is not None


def test_its_engagement_is_known_with_the_first_event(open_world: Open) -> None:
    world = open_world(held=True)
    hire, _ = hired(world)

    async def first() -> Event:
        return await anext(aiter(hire))

    assert world.run(first()).engagement == hire.engagement


def test_what_was_put_away_before_anybody_asked_is_not_waited_for(open_world: Open) -> None:
    """Also where the other side never closed its books: it stays in `closing`, and nothing is told of it any more."""
    world = open_world(held=True)
    name = world.begun("closing", world.hirer)
    world.cut = True
    world.settle(10 * 24 * 3600)
    assert name not in world.hirer.conversations
    summary = world.hirer.kept.summary_of(name)
    assert summary is not None
    assert summary.state == "closing"

    async def again(_order: Order, _hears: Hears) -> Conversation:
        return await Conversation.stored(world.hirer.shell, summary)

    wanted = world.order()

    async def order() -> Order:
        return wanted

    async def result() -> HireResult:
        return await Hire(world.hirer, order, None, begin=again)

    assert world.run(result(), 5).price == "4 EUR"


def test_who_does_not_answer_is_given_up(open_world: Open) -> None:
    world = open_world(held=True)
    _, task = hired(world)
    world.settle(29)
    assert not task.done()
    world.settle(2)
    with pytest.raises(TransportError, match=r"did not answer; tried for 30 s, then withdrawn: nothing binds"):
        task.result()
    assert world.hirer.said()[-1] == "Withdraw"


def test_who_cannot_store_the_answer_does_not_say_that_there_was_none(open_world: Open) -> None:
    """It came, and each second our own store refuses it: the one that is waited for is this side."""
    world = open_world(held=True)
    _, task = hired(world)
    world.settle()
    world.hirer.kept.failures.extend(["full"] * 100)
    world.deliver_all()
    world.settle(31)
    (status,) = world.hirer.status()
    assert (status["state"], status["untaken"]) == ("inquired", "store_full: told to: full")
    world.hirer.kept.failures.clear()  # for the withdrawal there is room
    world.settle(2)
    with pytest.raises(LedgerUnavailable, match=r"tried for 30 s, then withdrawn: nothing binds") as caught:
        task.result()
    assert caught.value.code == "store_full"


def test_what_is_given_up_has_ended_before_that_is_waited_for(open_world: Open) -> None:
    world = open_world(held=True)
    wanted, states = world.order(), list[str]()

    async def order() -> Order:
        return wanted

    async def over(conversation: Conversation) -> None:
        states.append(conversation.engagement.state)

    async def result() -> HireResult:
        return await Hire(world.hirer, order, None, over=over)

    task = world.loop.create_task(result())
    world.settle(31)
    assert isinstance(task.exception(), TransportError)
    assert states == ["withdrawn"]


def test_who_was_not_reached_is_told_why(open_world: Open) -> None:
    world = open_world(held=True)
    _, task = hired(world)
    world.hirer.links.last_error[world.provider.did] = TransportError("handshake_failed", "no TLS there")
    world.settle(1)
    (status,) = world.hirer.status()
    assert (status["connected"], status["unreached"]) == (False, "handshake_failed: no TLS there")
    world.settle(31)
    with pytest.raises(TransportError, match=r"no TLS there; tried for 30 s") as caught:
        task.result()
    assert caught.value.code == "handshake_failed"


def test_an_answer_that_is_no_message_is_why_it_is_given_up(open_world: Open) -> None:
    """Not that nobody answered: whoever hires sees it when it comes, once for each code, and in the engagement that it
    names.
    """
    world = open_world(held=True)
    hire, task = hired(world)
    world.settle()
    heard = world.hirer.watchers.listen()
    peer = world.provider.did
    here, elsewhere = (f'{{"engagement":"{name}","type":"Profile"}}' for name in (hire.engagement, "urn:elsewhere"))
    for raw in ("no JSON", elsewhere, here, here):
        world.tell(raw.encode(), peer, world.hirer)
    told = [heard.get_nowait() for _ in range(heard.qsize())]
    assert [(one.engagement, one.kind, one.type, one.code) for one in told] == [
        (hire.engagement, "unread", "message", "bad_json"),
        (hire.engagement, "unread", "Profile", "proof_missing"),
    ]
    assert "CANNOT BE TAKEN: proof_missing at /proof: " in event_line(told[1])
    assert event_json(told[1])["summary"].startswith("CANNOT BE TAKEN: proof_missing at /proof: ")
    world.settle(31)
    with pytest.raises(RemoteProtocolError, match=r"what the peer answers cannot be taken.*; tried for 30 s") as caught:
        task.result()
    assert caught.value.code == "proof_missing"


async def fails(_: Job) -> None:
    raise ValueError("no such page")


async def is_missed(_: Reviewed) -> dict[str, bool]:
    return {"whole": False}


def under(world: World, what: str) -> dict[str, Any]:
    """A world in which a hire ends so, and what more is ordered."""
    if what == "rejected":
        world.hirer.reviewers["summary"] = is_missed
        return {"criteria": {"whole": "nothing is missing"}}
    return {"price": "1 EUR"} if what == "denied" else {}


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("failed", "upstream_failed"),
        ("rejected", "evidence_invalid"),
        ("denied", "policy_denied"),
        ("away", "unreachable"),
    ],
)
def test_whatever_it_ends_with_names_the_engagement(what: str, code: str, open_world: Open) -> None:
    """Two at a time: each has its own, though what keeps the provider away is the same."""
    world = open_world(held=what == "away", **({"handler": fails} if what == "failed" else {}))
    world.hirer.links.last_error[world.provider.did] = TransportError("unreachable", "nobody listens")
    options = under(world, what)
    both = [hired(world, **options) for _ in range(2)]
    world.settle(60)
    errors = [task.exception() for _, task in both]
    assert [error.code for error in errors if isinstance(error, UndersignedError)] == [code, code]
    told = [error.detail.get("engagement") for error in errors if isinstance(error, UndersignedError)]
    assert told == [hire.engagement for hire, _ in both]
    assert told[0] != told[1]


def test_who_gives_up_what_is_over_by_its_own_time_says_why_it_gave_up(open_world: Open) -> None:
    """As on a machine that slept: what it waited for, and the time of the negotiation, are over at once."""
    world = open_world(held=True)
    gives_up = world.hirer.cancel

    async def late(conversation: Conversation, reason: str) -> None:
        await gives_up(conversation)  # what is due says the same, and was first
        await gives_up(conversation, reason)

    world.hirer.cancel = late  # type: ignore[method-assign, assignment]
    _, task = hired(world)
    world.settle(60)
    assert isinstance(error := task.exception(), UndersignedError)
    assert error.code == "unreachable"


def test_who_has_answered_may_take_its_time(open_world: Open) -> None:
    world = open_world(held=True)
    hired(world)
    world.settle()
    while not world.hirer.the().engagement.got:
        world.next_parcel()
    world.settle(60)
    assert world.hirer.the().engagement.state != "withdrawn"


def test_an_issuer_has_as_long_to_come_back_however_often_it_fails(open_world: Open) -> None:
    world = open_world(held=True)
    _, task = hired(world)
    world.settle(20)
    unchecked(world)
    world.settle(20)
    unchecked(world)
    assert not task.done()
    world.settle(11)
    with pytest.raises(CredentialError, match=r"cannot be checked: no such host; tried for 30 s"):
        task.result()


def test_an_issuer_that_came_back_has_as_long_again(open_world: Open) -> None:
    world = open_world(held=True)
    _, task = hired(world)
    world.settle(20)
    unchecked(world)
    while not world.hirer.the().engagement.got:
        world.next_parcel()
    world.settle(20)
    unchecked(world)
    world.settle(29)
    assert not task.done()
    world.settle(2)
    assert isinstance(task.exception(), CredentialError)


def test_the_last_receipt_is_waited_for_and_not_for_ever(open_world: Open) -> None:
    world = open_world(held=True)
    _, task = hired(world, price="1 EUR")
    world.settle()
    ours = world.hirer.the()
    while ours.engagement.state != "withdrawn":
        assert world.next_parcel()
    assert world.hirer.said()[-1] == "Withdraw"
    assert not task.done()
    world.settle(1)
    assert not task.done()
    world.settle(2)
    assert not ours.over
    with pytest.raises(PolicyError, match="we withdrew"):
        task.result()


def test_what_was_put_away_and_refuses_what_came_too_late_is_heard_too(open_world: Open) -> None:
    """A hire is told in the middle of a turn, so it raises nothing: a subcontract that is taken up again may be of an
    engagement that was put away just now.
    """
    world = open_world(held=True)
    hire, task = hired(world)
    world.settle()
    conversation = world.hirer.the()
    del world.hirer.conversations[conversation.id]
    world.hirer.shell.happened(conversation, refused(world, conversation))
    assert not task.done()
    assert hire.engagement == conversation.id
    world.hirer.conversations[conversation.id] = conversation


def test_who_waits_no_longer_ends_the_wait_and_nothing_else(open_world: Open) -> None:
    """Whoever waits beside it goes on, and so does whoever iterates; and the result is there for all who ask later."""
    world = open_world(held=True)
    hire, task = hired(world)
    heard: list[Event] = []

    async def listen() -> None:
        async for event in hire:
            heard.append(event)

    async def patient() -> HireResult:
        return await hire

    listening, other = world.loop.create_task(listen()), world.loop.create_task(patient())
    world.settle()
    task.cancel()
    world.settle()
    assert task.cancelled()
    assert not listening.done()
    assert not other.done()
    while world.next_parcel():
        world.settle(1)
    world.settle(5)
    assert listening.done()
    assert heard == world.hirer.events
    assert other.result().price == "4 EUR"
    assert world.run(patient()) is other.result()


@pytest.mark.parametrize("later", [False, True])
def test_an_error_that_nobody_waits_for_any_more_is_there_for_who_asks_again(open_world: Open, *, later: bool) -> None:
    """And is no task whose exception was never looked at, if nobody does."""
    world = open_world(held=True)
    told: list[dict[str, Any]] = []
    world.loop.set_exception_handler(lambda _, context: told.append(context))
    hire, task = hired(world)
    world.settle()
    task.cancel()
    world.settle()
    world.run(hire.cancel())
    while world.next_parcel():
        world.settle(1)
    world.settle(5)

    async def again(hire: Hire) -> HireResult:
        return await hire

    if later:
        for _ in range(2):
            with pytest.raises(PolicyError, match="we withdrew"):
                world.run(again(hire))
    del hire, task
    gc.collect()
    assert told == []


def test_who_iterates_later_or_beside_another_is_told_that_there_is_no_more(open_world: Open) -> None:
    world = open_world()
    hire, task = hired(world)
    both = [world.loop.create_task(all_of(hire)) for _ in range(2)]
    world.settle(5)
    assert task.done()
    assert sum(len(one.result()) for one in both) == len(world.hirer.events)
    assert world.run(all_of(hire)) == []


def test_what_is_cancelled_before_it_begins_asks_nobody(open_world: Open) -> None:
    world = open_world()
    hire, task = hired(world)
    world.run(hire.cancel())
    world.settle(5)
    with pytest.raises(PolicyError, match="cancelled before anybody was asked: no_longer_needed"):
        task.result()
    assert not world.hirer.events


def test_what_is_cancelled_while_it_begins_is_withdrawn(open_world: Open) -> None:
    world = open_world()

    async def late(order: Order, hears: Hears) -> Conversation:
        await hire.cancel()
        return await world.hirer.begin(order, hears)

    hire, task = hired(world, begin=late)
    world.settle(5)
    with pytest.raises(PolicyError, match="we withdrew"):
        task.result()
    assert world.hirer.said() == ["Inquiry", "Withdraw"]


def test_a_hire_that_was_cancelled_under_its_contract_says_that_it_was(open_world: Open) -> None:
    """The provider stopped as it was told, and did not fail."""

    world = open_world(handler=lingers)
    hire, task = hired(world)
    world.settle(5)
    assert not task.done()
    world.run(hire.cancel("superseded"))
    world.settle(120)
    with pytest.raises(PolicyError, match="we cancelled it: superseded; the delivery is cancelled, owed 0 EUR") as told:
        task.result()
    assert told.value.code == "policy_denied"


@pytest.mark.parametrize("contract", [False, True])
def test_who_cancels_twice_has_cancelled(open_world: Open, *, contract: bool) -> None:
    """The second was told which moves are legal, as if it had not been heard."""
    world = open_world(handler=lingers, held=not contract)
    hire, task = hired(world)
    world.settle(5)
    assert not task.done()
    for _ in range(2):
        world.run(hire.cancel())
    world.settle(120)
    with pytest.raises(PolicyError, match="we cancelled it" if contract else "we withdrew"):
        task.result()
    assert world.hirer.said().count("Cancel" if contract else "Withdraw") == 1
    world.run(hire.cancel())


@pytest.mark.parametrize("seconds", [0, 1])
def test_a_hire_ends_when_its_side_closes(open_world: Open, seconds: int) -> None:
    """What was begun goes on at the next start; what was not is not begun."""
    world = open_world(held=True)
    hire, task = hired(world)
    listening = world.loop.create_task(all_of(hire))
    if seconds:
        world.settle(seconds)
    world.run(world.hirer.close())
    world.settle(5)
    with pytest.raises(LocalProtocolError) as caught:
        task.result()
    assert caught.value.code in ("connection_closed", "store_unavailable")
    assert listening.done()
    for conversation in list(world.hirer.conversations.values()):
        with pytest.raises(LocalProtocolError, match="this side is closing"):
            world.run(conversation.ask(lambda _: None))


def test_a_hire_that_nobody_waits_for_ends_with_its_side_without_a_word(open_world: Open) -> None:
    """Who is interrupted closes its side, and does not come back to the hire."""
    world = open_world(held=True)
    wanted = world.order()
    told: list[dict[str, Any]] = []
    world.loop.set_exception_handler(lambda _, context: told.append(context))

    async def order() -> Order:
        return wanted

    async def interrupted() -> asyncio.Task[Any]:
        async for _ in Hire(world.hirer, order, None):
            break
        (task,) = (one for one in asyncio.all_tasks() if one.get_name() == "hire")
        return task

    task = world.run(interrupted())
    world.run(world.hirer.close())
    world.settle(1)
    assert task.done()
    del task
    gc.collect()
    assert told == []


async def is_begun(_: Reviewed) -> dict[str, bool]:
    return {"begun": True, "whole": False}


def test_what_is_owed_for_a_rejected_delivery_is_told(open_world: Open) -> None:
    """A milestone was reached: whoever waits would think that nothing is owed."""
    world = open_world()
    world.hirer.reviewers["summary"] = is_begun
    half = Settlement(method="none", milestones=(Milestone(name="half", percent=50, criteria=("begun",)),))
    _, task = hired(world, criteria={"begun": "a half", "whole": "all of it"}, settlement=half)
    world.settle(60)
    assert str(task.exception()) == "evidence_invalid: the delivery was rejected: not met: whole; owed 2 EUR"
