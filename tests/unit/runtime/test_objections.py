"""Ends that come before their time are taken, and the other side's books are not silent about them. HIRE-LIF-34."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
from msgspec.structs import replace

from runtimes import Node, World, facts, folded, last, messages
from undersigned.contract import Terms
from undersigned.encoding import EngagementId, base64url_encode, from_struct, shift
from undersigned.errors import PolicyError, VerificationError
from undersigned.evidence import verify_pack
from undersigned.messages import Closing, Dispute
from undersigned.protocol import HIRER, OTHER, PROVIDER, Role
from undersigned.runtime import Conversation, Hire, HireResult, Order, came_early, export_pack, held_until
from undersigned.runtime.engagement.turn import Hears
from undersigned.runtime.execution.reviewers import Reviewed
from undersigned.runtime.execution.settlement import Paid
from undersigned.testing import ARBITER, HandClock, Party, Say, closing, dispute, terminate
from unit.runtime.test_contract import amend, not_whole, unreviewed, working

Open = Callable[..., World]


def lies(world: World, node: Node, engagement: EngagementId, *said: Say) -> None:
    """What the other side of `node` signs next, one after the other, and `node` takes."""
    held = folded(node, engagement)
    other = world.other(node)
    party = Party(OTHER[held.role], other.office.actor, node.office.actor, engagement, HandClock(world.clock.now()))
    party.engagement = replace(held, role=party.role, own=held.peer, peer=held.own, sent=held.got, got=held.sent)
    party.stored.update({message.digest: message for message in messages(node, engagement)})
    raws: list[bytes] = []
    for one in said:
        signed = party.actor.sign(one.message(party), party.now)
        party.engagement = replace(party.engagement, sent=(*party.engagement.sent, signed.digest))
        raws.append(signed.raw)
    world.cut = True  # whoever lies does not say what it would
    for raw in raws:
        assert world.tell(raw, other.did, node) == []


def books(world: World, node: Node) -> Say:
    """A `Closing` by silence of the provider, with its log as it stands."""
    note = world.run(node.papers.checkpoint())
    return closing(basis="silence", checkpoint="u" + base64url_encode(note.encode()), checkpoint_at=world.clock.now())


def waiting(world: World, ours: Conversation) -> asyncio.Task[HireResult]:
    """The hirer's application, which waits for what becomes of this engagement."""

    async def order() -> Order:
        return world.hirer.hirer.order(ours)

    async def begin(_: Order, hears: Hears) -> Conversation:
        world.hirer.watchers.follow(ours.id, hears)
        return ours

    async def result() -> HireResult:
        return await Hire(world.hirer, order, None, begin=begin)

    waits = world.loop.create_task(result())
    world.settle()
    return waits


def reviewed_by_nobody(open_world: Open, *, arbiter: bool, method: str = "none") -> tuple[World, Conversation]:
    """Delivered, and the hirer looks at it still."""

    def named(terms: Terms) -> Terms:
        return replace(terms, arbiter=ARBITER.did)

    return unreviewed(open_world, named if arbiter else None, method=method, review="PT30M", close="PT2H")


def closed(node: Node, engagement: EngagementId) -> list[Closing]:
    role = folded(node, engagement).role
    return [m.message for m in messages(node, engagement) if isinstance(m.message, Closing) and m.message.role == role]


def test_a_review_that_is_cut_short_is_objected_to(open_world: Open) -> None:
    """State and what is owed come out as its sender said; the books, the owner and the pack hear what is wrong."""
    world, ours = reviewed_by_nobody(open_world, arbiter=False)
    lies(world, world.hirer, ours.id, books(world, world.provider))
    assert ours.engagement.state == "closed"
    (wrong,) = came_early(dict(facts(world.hirer, ours.id)))
    assert (wrong.type, wrong.what) == ("Closing", "review")
    noted = [event for event in world.hirer.events if (event.kind, event.type) == ("noted", "early")]
    assert len(noted) == 1
    (ours_,) = closed(world.hirer, ours.id)
    assert ours_.objection == wrong.explain()
    assert (ours_.basis, ours_.settlement.amount) == ("silence", ours.offered().terms.price.amount)
    pack = world.run(export_pack(world.hirer.ledger, world.hirer.artifacts, world.hirer.did, ours.id), 5)
    report = verify_pack(pack, now=world.clock.now())
    assert report.early == (wrong,)
    assert report.document()["early"] == [from_struct(wrong)]
    again = world.restart(world.hirer)
    assert came_early(dict(facts(again, ours.id))) == (wrong,)


def test_who_hires_hears_what_is_owed_after_it_and_that_the_books_object(open_world: Open) -> None:
    world, ours = reviewed_by_nobody(open_world, arbiter=False)

    waits = waiting(world, ours)
    lies(world, world.hirer, ours.id, books(world, world.provider))
    world.settle(5)
    error = waits.exception()
    assert isinstance(error, PolicyError)
    price = ours.offered().terms.price.amount
    assert f"silence; owed by it: {price} EUR; what ended it came before its time by our record" in error.message


def test_a_silence_that_was_none_is_told(open_world: Open) -> None:
    """A provider that is out of reach until the review has passed closes as if nobody had spoken. Who rejected has said
    in its books what it holds; its owner and the pack hear what came after that, and why it is wrong.
    """
    world = open_world(held=True)
    world.hirer.reviewers["summary"] = not_whole
    order = world.order(criteria={"whole": "nothing is missing"})
    ours = world.begin(replace(order, timing=replace(order.timing, review="PT5M")))
    world.until("delivered", ours.id, world.provider)
    world.until("closing", ours.id, world.hirer)
    reviewed = ours.engagement.since
    world.settle(301)
    world.until("closed", ours.id)
    (wrong,) = came_early(dict(facts(world.hirer, ours.id)))
    assert (wrong.type, wrong.what, wrong.allowed) == ("Closing", "unheard", reviewed)
    assert wrong.explain().endswith(f"our review was made {reviewed}, in time")
    (ours_,) = closed(world.hirer, ours.id)
    assert (ours_.basis, ours_.settlement.amount) == ("review", "0")
    assert came_early(dict(facts(world.provider, ours.id))) == ()
    pack = world.run(export_pack(world.hirer.ledger, world.hirer.artifacts, world.hirer.did, ours.id), 5)
    assert verify_pack(pack, now=world.clock.now()).early == (wrong,)


def test_books_wait_while_the_arbiter_can_be_asked(open_world: Open) -> None:
    """Until shortly before `close` is over: a dispute is possible before our own `Closing` only."""
    world, ours = reviewed_by_nobody(open_world, arbiter=True)
    lies(world, world.hirer, ours.id, books(world, world.provider))
    until = held_until(ours.facts, ours.engagement)
    assert until == shift(ours.engagement.since or "", 2 * 3600 - 60)
    world.settle(3600)
    assert (ours.engagement.state, closed(world.hirer, ours.id)) == ("closing", [])
    world.settle(3600)
    (ours_,) = closed(world.hirer, ours.id)
    assert "by our record not before" in (ours_.objection or "")


def test_books_wait_no_longer_than_for_the_owners_word(open_world: Open) -> None:
    """Who says what became of the payment lets it be: there is nothing that a dispute could be waited for."""
    world, ours = reviewed_by_nobody(open_world, arbiter=True, method="manual")
    lies(world, world.hirer, ours.id, books(world, world.provider))
    assert held_until(ours.facts, ours.engagement) is not None
    world.run(world.hirer.settlements.confirm(ours, Paid(paid=True, reference="transfer 7")), 1)
    assert held_until(ours.facts, ours.engagement) is None
    world.settle(5)
    (ours_,) = closed(world.hirer, ours.id)
    assert ours_.settlement.reference == "transfer 7"
    assert "by our record not before" in (ours_.objection or "")


def test_who_waits_may_dispute_it(open_world: Open) -> None:
    """And after the ruling there is nothing to object to."""
    world, ours = reviewed_by_nobody(open_world, arbiter=True)
    lies(world, world.hirer, ours.id, books(world, world.provider))
    world.run(world.hirer.changes.dispute(ours, "The review was cut short."), 1)
    assert ours.engagement.state == "disputed"
    assert held_until(ours.facts, ours.engagement) is None
    contract = ours.engagement.contract
    assert contract is not None
    given = ARBITER.rule(contract.digest, contract.disputes[0].digest, world.clock.now(), amount="1")
    world.run(world.hirer.changes.rule(ours, given), 1)
    world.settle(5)
    (ours_,) = closed(world.hirer, ours.id)
    assert (ours_.basis, ours_.settlement.amount, ours_.objection) == ("ruling", "1", None)


def test_nothing_is_paid_by_a_program_for_what_is_objected_to(open_world: Open) -> None:
    """Its owner may: it is asked, as of a payment by hand."""
    asked: list[Any] = []

    class Payer:
        def check(self, agreed: object) -> None: ...

        async def due(self, due: object) -> None:
            asked.append(due)

    world, ours = reviewed_by_nobody(open_world, arbiter=False, method="manual")
    world.hirer.settlements.methods["manual"] = Payer()
    lies(world, world.hirer, ours.id, books(world, world.provider))
    assert [name for name, _ in facts(world.hirer, ours.id)].count("due") == 1
    world.settle(2 * 3600)
    (ours_,) = closed(world.hirer, ours.id)
    assert asked == []
    assert (ours_.objection or "").endswith("; nobody said whether it was paid")


def test_a_contract_that_is_ended_too_soon_is_objected_to(open_world: Open) -> None:
    """By the provider as well; it owes nothing else for it."""
    world, ours = working(open_world)
    provider = world.provider
    lies(world, provider, ours.id, terminate("deadline"))
    (books_,) = closed(provider, ours.id)
    assert (books_.basis, books_.settlement.amount) == ("terminate", "0")
    assert (books_.objection or "").startswith("Terminate (deadline) came ")


@pytest.mark.parametrize("liar", [HIRER, PROVIDER])
def test_a_dispute_that_is_ended_at_once_leaves_time_for_the_ruling(open_world: Open, liar: Role) -> None:
    """HIRE-LIF-33: the other side's books wait for the day that the arbiter has, and take its ruling."""
    world, ours = working(open_world)
    amend(world, lambda terms: replace(terms, arbiter=ARBITER.did))
    node = world.provider if liar == HIRER else world.hirer
    now = world.clock.now()
    lies(world, node, ours.id, dispute(ruling_by=now), terminate("no_ruling"))
    view = node.the()
    assert view.engagement.state == "closing"
    assert [one.what for one in came_early(view.facts)] == ["rulingBy"]
    until = held_until(view.facts, view.engagement)
    assert until is not None
    assert until >= shift(now, 24 * 3600)
    world.settle(12 * 3600)
    assert closed(node, ours.id) == []
    disputed = last(node, ours.id, Dispute)
    contract = view.engagement.contract
    assert contract is not None
    given = ARBITER.rule(disputed.contract, contract.disputes[0].digest, world.clock.now(), amount="2")
    world.run(node.changes.rule(view, given), 1)
    world.settle(5)
    (books_,) = closed(node, ours.id)
    assert (books_.basis, books_.settlement.amount, books_.objection) == ("ruling", "2", None)


def rejected(
    open_world: Open, *, arbiter: bool = True, heard: bool = True, seconds: float = 5
) -> tuple[World, Conversation, asyncio.Task[HireResult]]:
    """Work that the provider calls whole, and the hirer does not; `heard`: and it hears of that."""
    look = asyncio.Event()

    async def not_whole(_: Reviewed) -> dict[str, bool]:
        await look.wait()
        return {"whole": False}

    world = open_world()
    world.hirer.reviewers["summary"] = not_whole
    order = world.order(criteria={"whole": "nothing is missing"}, arbiter=ARBITER.did if arbiter else None)
    ours = world.begin(replace(order, timing=replace(order.timing, close="PT2H")))
    world.until("delivered", ours.id)
    waits = waiting(world, ours)
    look.set()
    with nullcontext() if heard else world.silence():
        world.settle(seconds)
    return world, ours, waits


@pytest.mark.parametrize("again", [False, True], ids=["", "after a restart"])
def test_whose_work_was_rejected_may_put_it_before_the_arbiter(open_world: Open, again: bool) -> None:
    """Its books wait for that, and both rest on the ruling."""
    world, ours, _ = rejected(open_world)
    assert [one.settlement.amount for one in closed(world.hirer, ours.id)] == ["0"]
    provider = world.restart(world.provider) if again else world.provider
    world.settle(600)
    view = provider.the()
    assert (view.engagement.state, closed(provider, ours.id)) == ("closing", [])
    assert held_until(view.facts, view.engagement) == shift(view.engagement.since or "", 2 * 3600 - 60)
    world.run(provider.changes.dispute(view, "Nothing is missing."), 1)
    contract = view.engagement.contract
    assert contract is not None
    assert held_until(view.facts, view.engagement) is None
    given = ARBITER.rule(contract.digest, contract.disputes[0].digest, world.clock.now(), amount="3")
    world.run(provider.changes.rule(view, given), 1)
    world.settle(5)
    for node in (world.hirer, provider):
        books_ = closed(node, ours.id)[-1]
        assert (books_.basis, books_.settlement.amount, books_.objection) == ("ruling", "3", None)
        pack = world.run(export_pack(node.ledger, node.artifacts, node.did, ours.id), 5)
        assert verify_pack(pack, now=world.clock.now()).early == ()


def test_who_lets_a_rejection_be_closes_in_time(open_world: Open) -> None:
    """Shortly before its books may wait no longer, and without a word against it."""
    world, ours, _ = rejected(open_world)
    world.settle(2 * 3600 - 120)
    assert closed(world.provider, ours.id) == []
    world.settle(120)
    (books_,) = closed(world.provider, ours.id)
    assert (books_.basis, books_.settlement.amount, books_.objection) == ("review", "0", None)
    assert ours.engagement.state == "closed"


def test_without_an_arbiter_a_rejection_is_closed_at_once(open_world: Open) -> None:
    _, ours, waits = rejected(open_world, arbiter=False)
    assert ours.engagement.state == "closed"
    assert "arbiter" not in str(waits.exception())


def test_without_an_arbiter_who_hired_waits_for_the_books_of_the_other_side(open_world: Open) -> None:
    """They are owed at once, and nobody has to think of anything."""
    world, ours, waits = rejected(open_world, arbiter=False, heard=False)
    assert closed(world.hirer, ours.id) != []
    assert not waits.done()
    world.reconnect()
    world.settle(5)
    assert "arbiter" not in str(waits.exception())


def test_who_hired_does_not_wait_for_those_books(open_world: Open) -> None:
    """It hears that its rejection may be disputed, and until when."""
    _, ours, waits = rejected(open_world)
    error = waits.exception()
    assert isinstance(error, VerificationError)
    until = shift(ours.engagement.since or "", 2 * 3600)
    assert error.message.endswith(f"may put that before the arbiter until {until}: keep a peer running")


def test_who_hired_hears_that_its_rejection_is_disputed(open_world: Open) -> None:
    """A program disputes at once; what was said of it then was that all is over."""
    world, ours, waits = rejected(open_world, seconds=1)
    assert not waits.done()
    world.run(world.provider.changes.dispute(world.provider.the(), "Nothing is missing.", seconds=86400), 1)
    world.settle(5)
    assert ours.engagement.state == "disputed"
    until = shift(ours.engagement.since or "", 86400)
    message = str(waits.exception())
    assert message.endswith(f"not met: whole; that is before the arbiter until {until}: keep a peer running")
