"""What the books of the other side say otherwise is told to this side's owner while it runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from structlog.testing import capture_logs

from runtimes import Node, World, facts, messages
from undersigned.contract import Price
from undersigned.encoding import base64url_encode, digest_bytes
from undersigned.ledger import Draw, Reservation
from undersigned.messages import Acceptance, Closing, Settled, Terminate, Usage
from undersigned.runtime import ArtifactStore, Contents, Conversation, Differs, HireResult, Job, books_differ
from undersigned.runtime.artifacts.incoming import Stored
from undersigned.runtime.engagement.conversation import HEARING_SECONDS
from undersigned.runtime.engagement.remembered import contract_of
from undersigned.testing import Say, closing
from unit.runtime.test_contract import working
from unit.runtime.test_objections import lies, waiting

Open = Callable[..., World]
COUNT = "usage of 'read-1' in 'count'"


async def reads(job: Job) -> None:
    """Uses the grant once, and delivers."""
    await job.deliver("summary.txt", await job.read("report"))


def reviewed(open_world: Open) -> tuple[World, Conversation]:
    """The hirer has said what it makes of the delivery, which the provider has not heard."""
    world = open_world(handler=reads, held=True)
    ours = world.begin(world.order())
    world.until("delivered", ours.id, world.provider)
    world.until("closing", ours.id, world.hirer)
    return world, ours


def books(world: World, node: Node, **members: Any) -> Say:
    """A `Closing` with the log of `node` as it stands."""
    note = world.run(node.papers.checkpoint())
    return closing(checkpoint="u" + base64url_encode(note.encode()), checkpoint_at=world.clock.now(), **members)


def told(node: Node, ours: Conversation) -> tuple[Differs, ...]:
    return books_differ(dict(facts(node, ours.id)))


def test_books_that_agree_are_not_told_of(open_world: Open) -> None:
    world = open_world(handler=reads)
    ours = world.begin(world.order())
    world.until("closed", ours.id)
    for node in world.nodes:
        assert told(node, ours) == ()
        assert [event for event in node.events if event.type == "books"] == []


def test_other_books_are_told_as_they_come(open_world: Open) -> None:
    """What is owed, what was delivered, and usage below what our own gate counted; once, and after a restart too."""
    world, ours = reviewed(open_world)
    lie = books(world, world.provider, settlement=Settled(amount="400", currency="EUR"), delivery=None, usage=())
    with capture_logs() as logged:
        lies(world, world.hirer, ours.id, lie)
    found = {one.what: one for one in told(world.hirer, ours)}
    assert found.keys() == {"owed", "delivery", COUNT}
    assert found["owed"] == Differs("owed", "4 EUR", "400 EUR")
    assert found["delivery"].theirs == "none"
    assert found[COUNT] == Differs(COUNT, "1", "0")
    (event,) = (event for event in world.hirer.events if (event.kind, event.type) == ("noted", "books"))
    assert "400 EUR" in event.detail
    (warned,) = (one for one in logged if one["event"] == "the books of the other side differ")
    assert "owed: 400 EUR by the other side, 4 EUR by ours" in warned["error"]
    again = world.restart(world.hirer)
    assert {one.what for one in told(again, ours)} == found.keys()


def test_books_are_held_against_what_we_signed(open_world: Open) -> None:
    """What is booked after our `Closing` stands in no books: nobody is told that these differ by it."""
    world, ours = reviewed(open_world)
    assert ours.said("Closing", "hirer")
    draws, contract = (Draw("read-1/count", "1"),), contract_of(ours.engagement).digest
    late = Reservation(contract=contract, id="late", draws=draws, until=world.clock.now(), at=world.clock.now())
    world.run(world.hirer.kept.reserve(late))
    usage = (Usage(clause="read-1", unit="count", amount="1"),)
    delivery = contract_of(ours.engagement).delivery
    same = books(world, world.provider, settlement=settled(ours), usage=usage, delivery=delivery)
    lies(world, world.hirer, ours.id, same)
    assert told(world.hirer, ours) == ()


def test_a_provider_may_use_what_no_gate_of_the_hirers_sees(open_world: Open) -> None:
    world, ours = reviewed(open_world)
    usage = (Usage(clause="read-1", unit="count", amount="9"), Usage(clause="own", unit="tokens", amount="7"))
    lies(world, world.hirer, ours.id, books(world, world.provider, settlement=settled(ours), usage=usage))
    assert told(world.hirer, ours) == ()


def test_a_provider_hears_of_a_hirer_that_counts_more_and_owes_less(open_world: Open) -> None:
    """What a hirer writes into its names is told in one line of ASCII."""
    world = open_world(handler=reads, held=True)
    ours = world.begin(world.order())
    world.until("closing", ours.id, world.provider)
    usage = (Usage(clause="read-1", unit="count", amount="9"), Usage(clause="\u202eeno", unit="count", amount="1"))
    lie = books(world, world.hirer, settlement=Settled(amount="0", currency="EUR"), usage=usage)
    lies(world, world.provider, ours.id, lie)
    found = told(world.provider, ours)
    assert [one.what for one in found] == ["owed", COUNT, "usage of '\\u202eeno' in 'count'"]
    assert (found[0].ours, found[0].theirs) == ("4 EUR", "0 EUR")


def test_a_head_that_is_not_its_senders_is_no_proof_that_a_log_was_rewritten(open_world: Open) -> None:
    """It is refused, and nobody is accused by it."""
    world, ours = reviewed(open_world)
    lies(world, world.hirer, ours.id, books(world, world.hirer))
    (refused,) = (event for event in world.hirer.events if event.kind == "refused")
    assert (refused.type, refused.code) == ("Closing", "log_proof_invalid")
    assert "fork" not in dict(facts(world.hirer, ours.id))
    assert "fork" not in {blob.kind for blob in world.run(world.hirer.kept.evidence(ours.id))}


def test_who_hires_hears_of_it_with_the_result(open_world: Open) -> None:
    world, ours = reviewed(open_world)

    waits = waiting(world, ours)
    lies(world, world.hirer, ours.id, books(world, world.provider, settlement=Settled(amount="400", currency="EUR")))
    world.settle(5)
    hired = waits.result()
    assert hired.price == "4 EUR"
    assert [one.theirs for one in hired.books if one.what == "owed"] == ["400 EUR"]
    assert "the books differ: owed: 400 EUR by the other side, 4 EUR by ours" in hired.explain()


def test_a_result_tells_names_of_others_as_text() -> None:
    """HIRE-SEC-09: a provider names what it delivers, and programs print what they are told."""
    here = Contents(ArtifactStore(Path("artifacts")), {"x\u202etxt.exe": Stored(digest_bytes(b""), 7)}, {})
    result = HireResult(
        engagement="",
        provider="",
        contract=digest_bytes(b""),
        artifacts=here,
        price="4 EUR",
        criteria={"c\u2066": True},
    )
    assert result.explain().splitlines()[2:] == [r"artifact x\u202etxt.exe: 7 bytes", r"criterion c\u2066: met"]


def settled(ours: Conversation) -> Settled:
    price = ours.offered().terms.price
    return Settled(amount=price.amount, currency=price.currency)


def test_a_delivery_that_crossed_a_termination_makes_no_books_differ(open_world: Open) -> None:
    """It is none for who ended the contract (HIRE-LIF-12), and nothing that is owed rests on it."""

    async def is_cut_off(job: Job) -> None:
        await reads(job)
        world.cut = True

    world = open_world(handler=is_cut_off)
    order = world.order()
    soon = replace(order, timing=replace(order.timing, finish_seconds=600))
    id = world.begun("delivered", world.provider, order=soon)
    ours = world.hirer.the(id)
    assert ours.engagement.state == "working"
    world.clock.ahead += 900
    world.settle(60 + HEARING_SECONDS)
    assert ours.last("Terminate", Terminate).cause == "deadline"
    world.reconnect()
    world.until("closed", id)
    said = [one.message for one in messages(world.hirer, id) if isinstance(one.message, Closing)]
    assert {one.role: one.delivery is None for one in said} == {"hirer": True, "provider": False}
    for node in world.nodes:
        assert told(node, ours) == ()


def test_a_delivery_that_one_side_alone_tells_of_makes_them_differ_whatever_ended_the_contract(
    open_world: Open,
) -> None:
    world, ours = working(open_world)
    hirer, provider, price = world.hirer, world.provider, Price(amount="3", currency="EUR")
    world.run(hirer.changes.release(ours, price, "That will do."), 1)
    world.settle()
    tabled = provider.the().engagement.tabled
    assert tabled is not None
    world.cut = True
    world.run(provider.changes.accept(provider.the(), tabled.document), 1)
    (accepted,) = (one for one in messages(provider, ours.id)[-4:] if isinstance(one.message, Acceptance))
    world.tell(accepted.raw, provider.did, hirer)
    invented, three = digest_bytes(b"a delivery"), Settled(amount=price.amount, currency=price.currency)
    lies(world, hirer, ours.id, books(world, provider, settlement=three, delivery=invented))
    assert told(hirer, ours) == (Differs("delivery", "none", invented),)
