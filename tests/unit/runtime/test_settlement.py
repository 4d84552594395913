"""Payment is made elsewhere: both sides say in their closings what became of it, and each reads the other's word."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import cast

import msgspec
import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from runtimes import KeptLedger, Node, World, facts, folded, last, messages
from undersigned.contract import Settlement, carried, read_payment
from undersigned.encoding import digest_of
from undersigned.errors import ConfigurationError, FormatError, LedgerUnavailable, LocalProtocolError, PolicyError
from undersigned.messages import Closing, Withdraw
from undersigned.runtime import Conversation
from undersigned.runtime.execution.settlement import Due, Manual, Paid, said_of_payment
from undersigned.testing import ARBITER
from unit.runtime.test_contract import UntilTold, amend

Open = Callable[..., World]
MANUAL = Settlement(method="manual")
X402 = {
    "scheme": "exact",
    "network": "eip155:84532",
    "amount": "4000000",
    "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
    "payTo": "0x209693Bc6afc0C5328bA36FaF03C514EF312287C",
    "maxTimeoutSeconds": 60,
}
CART = {
    "contents": {
        "id": "cart-1",
        "user_cart_confirmation_required": True,
        "payment_request": {"details": {"total": {"label": "Total", "amount": {"currency": "EUR", "value": 4.0}}}},
        "cart_expiry": "2026-12-01T00:00:00Z",
        "merchant_name": "Globex",
    },
    "merchant_authorization": "eyJhbGciOiJFZERTQSJ9.e30.c2ln",
}


def waiting(open_world: Open, settlement: Settlement = MANUAL) -> World:
    world = open_world()
    world.begin(settlement=settlement)
    world.settle(10)
    assert folded(world.hirer, world.hirer.the().id).state == "closing"
    return world


def say(world: World, node: Node, **word: object) -> None:
    world.run(node.changes.settle(node.the(), **word), 2)  # type: ignore[arg-type]
    world.settle(2)


def books(node: Node, engagement: str) -> dict[str, Closing]:
    return {m.message.role: m.message for m in messages(node, engagement) if isinstance(m.message, Closing)}


def test_both_owners_confirm_and_both_sides_hold_it_signed(open_world: Open) -> None:
    """HIRE-PAY-01: what is due comes with its evidence; the provider confirms the payment that the hirer named."""
    world = waiting(open_world)
    id = world.hirer.the().id
    assert books(world.hirer, id) == {}
    (due,) = [json.loads(value) for name, value in facts(world.hirer, id) if name == "due"]
    contract = folded(world.hirer, id).contract
    assert contract is not None
    assert (due["amount"], due["currency"], due["role"]) == ("4", "EUR", "hirer")
    assert due["evidence"] == [contract.digest, contract.delivery, contract.endings[0].move]
    say(world, world.hirer, paid=True, reference="SEPA 4711")
    assert books(world.provider, id)["hirer"].settlement.reference == "SEPA 4711"
    say(world, world.provider, paid=True)
    for node in world.nodes:
        assert folded(node, id).state == "closed"
        for closing in books(node, id).values():
            assert (closing.settlement.reference, closing.objection) == ("SEPA 4711", None)


def test_what_was_not_paid_is_objected_to_and_the_hirer_reads_it(open_world: Open) -> None:
    """HIRE-PAY-01: the hirer says that it paid; nothing came in. Each holds both words, signed."""
    world = waiting(open_world)
    id = world.hirer.the().id
    say(world, world.hirer, paid=True, reference="SEPA 4711")
    say(world, world.provider, paid=False, note="nothing came in")
    held = books(world.hirer, id)
    assert held["hirer"].settlement.reference == "SEPA 4711"
    assert (held["provider"].settlement.reference, held["provider"].objection) == (None, "nothing came in")
    assert books(world.provider, id) == held


def test_a_payment_without_a_name_is_said_to_be_made(open_world: Open) -> None:
    """HIRE-PAY-01: either a reference or an objection reaches the other side; and no bare no is taken."""
    world = waiting(open_world)
    id = world.hirer.the().id
    with pytest.raises(FormatError, match="says why"):
        world.run(world.hirer.changes.settle(world.hirer.the(), paid=False), 2)
    say(world, world.hirer, paid=True)
    assert books(world.provider, id)["hirer"].settlement.reference == "paid"
    assert books(world.provider, id)["hirer"].objection is None


def test_of_two_words_at_once_one_is_noted(open_world: Open) -> None:
    """HIRE-PAY-01: the other is refused; and nothing waits on for a word that was given."""
    world = waiting(open_world)
    conversation = world.hirer.the()
    changes = world.hirer.changes

    async def both() -> list[object]:
        words = ({"paid": True, "reference": "SEPA 4711"}, {"paid": False, "note": "nothing came in"})
        said = [changes.settle(conversation, **word) for word in words]  # type: ignore[arg-type]
        return list(await asyncio.gather(*said, return_exceptions=True))

    first, second = world.run(both(), 2)
    assert first is None
    assert isinstance(second, LocalProtocolError)
    assert len([name for name, _ in facts(world.hirer, conversation.id) if name == "paid"]) == 1
    waits = [one.get_name() for one in asyncio.all_tasks(world.loop) if not one.done()]
    assert sum(name.startswith("settlement") for name in waits) == 1  # the provider's


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_word_survives_a_crash_and_is_said_once(open_world: Open, when: str) -> None:
    """HIRE-PAY-01: killed before the word was stored it is asked for again; killed after, it stands."""
    world = waiting(open_world)
    id, ledger = world.hirer.the().id, world.hirer.kept
    assert isinstance(ledger, KeptLedger)
    ledger.dies = when
    task = world.loop.create_task(world.hirer.changes.settle(world.hirer.the(), paid=True, reference="SEPA 4711"))
    world.settle(2)
    assert ledger.dead
    task.cancel()
    world.restart(world.hirer)
    world.reconnect()
    world.settle(2)
    if when == "before":
        assert "hirer" not in books(world.hirer, id)
        say(world, world.hirer, paid=True, reference="SEPA 4711")
    else:
        with pytest.raises(LocalProtocolError):
            world.run(world.hirer.changes.settle(world.hirer.the(), paid=False), 2)
    assert books(world.hirer, id)["hirer"].settlement.reference == "SEPA 4711"
    assert books(world.provider, id)["hirer"].settlement.reference == "SEPA 4711"


def test_without_a_word_the_books_are_closed_in_time(open_world: Open) -> None:
    """HIRE-PAY-01: `close` leaves an hour; what nobody said is said as that."""
    world = waiting(open_world)
    id = world.hirer.the().id
    world.settle(3600)
    held = books(world.hirer, id)
    assert {role: one.objection for role, one in held.items()} == dict.fromkeys(
        ("hirer", "provider"), "nobody said whether it was paid"
    )


def arbitrated(open_world: Open, bank: Manual | None = None) -> tuple[World, Conversation]:
    """A hire under terms that name an arbiter, paid by hand or by this bank, and accepted by its hirer."""
    work = UntilTold()
    world = open_world(handler=work)
    for node in world.nodes:
        node.settlements.methods["bank"] = bank
    ours = world.begin(settlement=MANUAL if bank is None else Settlement(method="bank"))
    world.until("working", ours.id)
    amend(world, lambda terms: replace(terms, arbiter=ARBITER.did))
    work.told.set()
    world.until("closing", ours.id)
    return world, ours


def ruled(world: World, ours: Conversation, amount: str) -> None:
    contract = ours.engagement.contract
    assert contract is not None
    given = ARBITER.rule(contract.digest, contract.disputes[0].digest, world.clock.now(), amount=amount)
    world.run(world.provider.changes.rule(world.provider.the(), given), 1)
    world.settle(5)


@pytest.mark.parametrize("amount", ["6", "4"])
def test_a_word_is_about_the_amount_that_was_due(open_world: Open, amount: str) -> None:
    """HIRE-PAY-01: who said that it paid 4 EUR has not said so of the 6 that an arbiter finds due; of 4 it has."""
    world, ours = arbitrated(open_world)
    world.run(world.provider.changes.dispute(world.provider.the(), "It is worth more."), 1)
    say(world, world.hirer, paid=True, reference="SEPA 4711")
    assert books(world.hirer, ours.id) == {}
    ruled(world, ours, amount)
    if amount == "6":
        assert "hirer" not in books(world.hirer, ours.id)
        assert [json.loads(value)["amount"] for name, value in facts(world.hirer, ours.id) if name == "due"] == [
            "4",
            "6",
        ]
        say(world, world.hirer, paid=True, reference="SEPA 4712")
    settled = books(world.hirer, ours.id)["hirer"].settlement
    assert (settled.amount, settled.reference) == (amount, "SEPA 4712" if amount == "6" else "SEPA 4711")


def test_of_two_rulings_that_crossed_both_are_asked_about_what_counts(open_world: Open) -> None:
    """HIRE-PAY-01: whoever carried the ruling that does not count was asked about its sum, and said that it came in."""
    world, ours = arbitrated(open_world)
    world.run(world.provider.changes.dispute(world.provider.the(), "It is worth more."), 5)
    contract = ours.engagement.contract
    assert contract is not None
    about = contract.digest, contract.disputes[0].digest, world.clock.now()
    given = sorted((ARBITER.rule(*about, amount=amount) for amount in ("5", "9")), key=digest_of)
    with world.silence():
        for node, one in zip(world.nodes, given, strict=True):
            world.run(node.changes.rule(node.the(), one), 1)
    world.reconnect()
    world.settle(30)
    counts = given[0]["amount"]
    for node in world.nodes:
        asked = [json.loads(value)["amount"] for name, value in facts(node, ours.id) if name == "due"]
        assert asked[-1] == counts
        say(world, node, paid=True, reference="SEPA 4711")
    for node in world.nodes:
        settled = {role: one.settlement for role, one in books(node, ours.id).items()}
        assert {(one.amount, one.reference) for one in settled.values()} == {(counts, "SEPA 4711")}
        assert len(settled) == 2


def test_where_nothing_is_due_nobody_is_asked(open_world: Open) -> None:
    """HIRE-PAY-01: an arbiter finds that nothing is owed: the books are closed at once, and name no payment."""
    world, ours = arbitrated(open_world)
    world.run(world.hirer.changes.dispute(ours, "It is worth nothing."), 1)
    ruled(world, ours, "0")
    held = books(world.hirer, ours.id)
    assert {role: (one.settlement.reference, one.objection) for role, one in held.items()} == dict.fromkeys(
        ("hirer", "provider"), (None, None)
    )


def test_a_word_counts_again_once_its_amount_is_due_again(open_world: Open) -> None:
    """HIRE-PAY-01: of two rulings that cross the second may make due what was paid; nobody is asked for ever then."""
    world, ours = arbitrated(open_world)
    say(world, world.hirer, paid=True, reference="SEPA 4711")
    noted = dict(facts(world.hirer, ours.id))
    due = json.loads(noted["due"])
    other = {**noted, "due": json.dumps({**due, "amount": "6"})}
    assert said_of_payment(other) is None
    said = said_of_payment(other, msgspec.convert(due, Due))
    assert said is not None
    assert said.reference == "SEPA 4711"


def test_nobody_is_late_with_a_word_while_the_arbiter_decides(open_world: Open) -> None:
    """HIRE-PAY-01: what `close` gave for a word before a dispute is given anew after it."""
    world, ours = arbitrated(open_world)
    world.run(world.provider.changes.dispute(world.provider.the(), "It is worth more."), 1)
    world.settle(5 * 3600)
    assert "paid" not in dict(facts(world.hirer, ours.id))
    ruled(world, ours, "4")
    assert "hirer" not in books(world.hirer, ours.id)
    say(world, world.hirer, paid=True, reference="SEPA 4711")
    assert books(world.hirer, ours.id)["hirer"].settlement.reference == "SEPA 4711"


def test_a_method_of_ones_own_answers_at_once(open_world: Open) -> None:
    """An application's `Settlement` hears what is due and its word goes into the closing."""
    heard: list[Due] = []

    class Bank:
        def check(self, agreed: Settlement) -> None: ...

        async def due(self, due: Due) -> Paid | None:
            heard.append(due)
            return Paid(paid=True, reference=f"{due.role} 1")

    world = open_world()
    for node in world.nodes:
        node.settlements.methods["bank"] = Bank()
    world.begin(settlement=Settlement(method="bank"))
    world.settle(10)
    assert {due.role for due in heard} == {"hirer", "provider"}
    assert last(world.hirer, heard[0].engagement, Closing).settlement.reference in ("hirer 1", "provider 1")


@pytest.mark.parametrize(
    ("word", "says"),
    [
        (Paid(paid=True, reference="SEPA\n4711"), "reference: expected"),
        (Paid(paid=True, reference="x" * 129), "reference: expected at most 128 characters, got 129"),
        (Paid(paid=False, note="x" * 1025), "note: expected at most 1024 characters, got 1025"),
    ],
    ids=["two-lines", "too-long", "a-note-too-long"],
)
def test_a_word_of_a_method_that_no_message_holds_is_none(open_world: Open, word: Paid, says: str) -> None:
    """Its owner is waited for, and the books are closed in time: they stayed open for ever, or the other side was told
    the beginning of a note as if it were all of it.
    """

    class Bank:
        def check(self, agreed: Settlement) -> None: ...

        async def due(self, due: Due) -> Paid | None:
            return word

    world = open_world()
    for node in world.nodes:
        node.settlements.methods["bank"] = Bank()
    ours = world.begin(settlement=Settlement(method="bank"))
    world.until("closing", ours.id)
    with pytest.raises(ConfigurationError, match=says):
        say(world, world.hirer, paid=word.paid, reference=word.reference, note=word.note)
    say(world, world.hirer, paid=True, reference="SEPA 4711")
    world.settle(3600)
    held = books(world.hirer, ours.id)
    assert held["hirer"].settlement.reference == "SEPA 4711"
    assert held["provider"].objection == "nobody said whether it was paid"


@pytest.mark.parametrize(
    "says",
    [ValueError("no route to the bank"), LedgerUnavailable("store_full", "ours"), "paid", Paid(paid=False)],
    ids=["a-fault", "one-of-ours", "no-word", "not-paid-and-not-why"],
)
def test_a_method_that_raises_is_asked_once_and_the_books_are_closed(open_world: Open, says: object) -> None:
    """It was asked every minute, and for ever: nobody was waited for, and no `Closing` went."""
    asked: list[Due] = []

    class Bank:
        def check(self, agreed: Settlement) -> None: ...

        async def due(self, due: Due) -> Paid | None:
            asked.append(due)
            if isinstance(says, Exception):
                raise says
            return cast("Paid", says)

    world = open_world()
    for node in world.nodes:
        node.settlements.methods["bank"] = Bank()
    with capture_logs() as logged:
        ours = world.begin(settlement=Settlement(method="bank"))
        world.until("closing", ours.id)
        say(world, world.hirer, paid=True, reference="SEPA 4711")
        world.settle(3600)
    assert sorted(due.role for due in asked) == ["hirer", "provider"]
    assert [one["event"] for one in logged if one["log_level"] == "error"] == ["no word about a payment"] * 2
    held = books(world.hirer, ours.id)
    assert held["hirer"].settlement.reference == "SEPA 4711"
    assert held["provider"].objection == "nobody said whether it was paid"


def test_a_method_that_the_provider_does_not_know_is_declined(open_world: Open) -> None:
    """HIRE-PAY-02: with what would have to differ."""
    world = open_world()
    world.hirer.settlements.methods["bank"] = None
    conversation = world.begin(settlement=Settlement(method="bank"))
    world.settle(5)
    said = last(world.hirer, conversation.id, Withdraw)
    (need,) = said.needed or ()
    assert (said.reason, need.code, need.member) == ("declined", "settlement", "/terms/settlement")


def test_a_change_that_asks_for_what_no_delivery_could_have_is_not_accepted(open_world: Open) -> None:
    """HIRE-ATT-05: as little as such an offer is."""
    world = open_world(handler=UntilTold())
    ours = world.begin()
    world.until("working", ours.id)
    strange = ("https://nobody.example/statement",)
    with pytest.raises(PolicyError, match="/evidence/predicates"):
        amend(world, lambda terms: replace(terms, evidence=replace(terms.evidence, predicates=strange)))


def test_a_method_that_takes_its_time_holds_nothing_up(open_world: Open) -> None:
    """Its engagement took no message meanwhile and no word of its owner, and its books stayed open for ever."""
    asked: list[Due] = []

    class Bank(Manual):
        async def due(self, due: Due) -> Paid | None:
            asked.append(due)
            await asyncio.Event().wait()

    world = open_world()
    for node in world.nodes:
        node.settlements.methods["bank"] = Bank()
    ours = world.begin(settlement=Settlement(method="bank"))
    world.until("closing", ours.id)
    say(world, world.hirer, paid=True, reference="SEPA 4711")
    assert books(world.provider, ours.id)["hirer"].settlement.reference == "SEPA 4711"
    world.settle(3600)
    assert books(world.hirer, ours.id)["provider"].objection == "nobody said whether it was paid"
    assert sorted(due.role for due in asked) == ["hirer", "provider"]


def test_a_word_about_what_is_not_due_any_more_is_not_said(open_world: Open) -> None:
    """HIRE-PAY-01: while the program pays 4 EUR an arbiter finds 6 due: of those it has to say something, too."""
    paid = {"4": asyncio.Event(), "6": asyncio.Event()}

    class Bank(Manual):
        async def due(self, due: Due) -> Paid | None:
            await paid[due.amount].wait()
            return Paid(paid=True, reference=f"for {due.amount}")

    world, ours = arbitrated(open_world, Bank())
    world.run(world.provider.changes.dispute(world.provider.the(), "It is worth more."), 1)
    ruled(world, ours, "6")
    paid["4"].set()
    world.settle(2)
    assert "paid" not in dict(facts(world.hirer, ours.id))
    paid["6"].set()
    world.settle(2)
    assert books(world.hirer, ours.id)["hirer"].settlement.reference == "for 6"


def test_what_is_being_paid_is_not_paid_again(open_world: Open) -> None:
    """HIRE-PAY-01: a dispute begins the time for a word anew, and leaves the amount as it was."""
    asked, paid = list[str](), asyncio.Event()

    class Bank(Manual):
        async def due(self, due: Due) -> Paid | None:
            asked.append(due.role)
            await paid.wait()
            return Paid(paid=True, reference="4711")

    world, ours = arbitrated(open_world, Bank())
    world.run(world.provider.changes.dispute(world.provider.the(), "It is worth more."), 1)
    ruled(world, ours, "4")
    paid.set()
    world.settle(2)
    assert sorted(asked) == ["hirer", "provider"]
    assert {one.settlement.reference for one in books(world.hirer, ours.id).values()} == {"4711"}


def test_a_method_whose_check_fails_is_declined(open_world: Open) -> None:
    """HIRE-PAY-02: it was tried every minute until the offer ended, and the hirer heard nothing."""

    class Bank(Manual):
        def check(self, agreed: Settlement) -> None:
            raise ValueError("no route to the bank")

    world = open_world()
    world.hirer.settlements.methods["bank"], world.provider.settlements.methods["bank"] = None, Bank()
    with capture_logs() as logged:
        conversation = world.begin(settlement=Settlement(method="bank"))
        world.settle(5)
    said = last(world.hirer, conversation.id, Withdraw)
    assert [need.code for need in said.needed or ()] == ["settlement"]
    assert [one["error"] for one in logged if one["log_level"] == "error"] == ["ValueError: no route to the bank"]
    world.hirer.settlements.methods["bank"] = Bank()
    with pytest.raises(ConfigurationError, match="settlement: its check failed: ValueError: no route to the bank"):
        world.order(settlement=Settlement(method="bank"))


@pytest.mark.parametrize(("method", "value"), [("x402", X402), ("ap2", CART)])
def test_what_another_payment_protocol_wrote_is_carried_by_value(open_world: Open, method: str, value: dict) -> None:
    """HIRE-PAY-02: to the byte, in the terms that both signed; another shape is not offered."""
    raw = json.dumps(value).encode()
    world = waiting(open_world, Settlement(method=method, hook=carried(raw)))
    terms = world.provider.the().offered().terms
    assert read_payment(method, terms.settlement.hook) == raw
    broken = dict(value)
    del broken[next(iter(broken))]
    for hook in (None, "https://pay.example", carried(json.dumps(broken).encode()), carried(b'{"a":1,"a":1}')):
        with pytest.raises(FormatError):
            read_payment(method, hook)
        with pytest.raises(ConfigurationError):
            world.order(settlement=Settlement(method=method, hook=hook))
