"""What a verifier signs about a delivery that does not hold, and an arbiter about disputes that crossed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import pack_cases
from packs import OTHER_ENGAGEMENT, Hire
from runtimes import Node, Office, World, last, lingers
from support import refuses
from undersigned.attestation import ProvenancePredicate, WorkPredicate
from undersigned.contract import Price
from undersigned.encoding import JsonObject
from undersigned.errors import LedgerUnavailable, LocalProtocolError, PolicyError, VerificationError
from undersigned.evidence import verify_pack
from undersigned.messages import Closing
from undersigned.runtime import Home, PrivateKey, create_home, export_pack, judge_pack, rotate_key, rule_on_pack
from undersigned.testing import acceptance, amendment, dispute, free_ports, seal, terminate
from unit.runtime.test_objections import lies


@pytest.mark.parametrize(
    "wrong",
    [
        lambda hire: hire.claims(engagement=OTHER_ENGAGEMENT),
        lambda hire: {**hire.claims(), "payload": "AAA"},
    ],
)
async def test_a_verifier_passes_nothing_that_does_not_hold(tmp_path: Path, wrong: Callable[[Hire], Any]) -> None:
    """HIRE-ATT-04, HIRE-ATT-06: its no is a verdict all the same."""
    judge = Office(tmp_path / "judge", "Judge")
    hire = Hire(verifier=judge.actor.did).sealed()
    hire.delivered(wrong(hire))
    pack, now = hire.pack(), hire.book.clock.now()
    with refuses(VerificationError, "attestation_binding"):
        await judge_pack(judge, pack, passed=True, now=now)
    assert await judge_pack(judge, pack, passed=False, now=now)


async def test_of_a_pack_that_does_not_hold_nobody_has_a_no(tmp_path: Path) -> None:
    """Page 09, section 9.2: a verifier and an arbiter hear the code of the step, and no command says `denied` by it."""
    office, now = Office(tmp_path / "office", "Office"), pack_cases.LATER
    (pack, *_) = (data for data, code in pack_cases.hired_under().values() if code == "scope_exceeded")
    owed = Price(amount="1", currency="EUR")
    for signs in (
        judge_pack(office, pack, passed=True, now=now),
        rule_on_pack(office, pack, outcome="divided", owed=owed, reasons="Late.", now=now),
    ):
        with pytest.raises(VerificationError, match=r"does not hold \(step 5") as refused:
            await signs
        assert (refused.value.code, refused.value.exit_code) == ("scope_exceeded", 4)


async def test_a_verifier_passes_what_holds(tmp_path: Path) -> None:
    judge = Office(tmp_path / "judge", "Judge")
    hire = Hire(verifier=judge.actor.did).sealed().delivered()
    assert await judge_pack(judge, hire.pack(), passed=True, now=hire.book.clock.now())


async def test_a_verifier_is_whom_the_terms_in_force_name(tmp_path: Path) -> None:
    """HIRE-ATT-06: an amendment after the delivery names another one, whose verdict alone the hirer can carry."""
    before, judge = (Office(tmp_path / name, name) for name in ("Before", "Judge"))
    hire = Hire(verifier=before.actor.did).sealed().delivered()
    terms = hire.hirer.offered().terms
    hire.book.provider >> amendment(terms=replace(terms, evidence=replace(terms.evidence, verifier=judge.actor.did)))
    hire.book.hirer >> acceptance()
    hire.book.provider >> seal()
    pack, now = hire.pack(), hire.book.clock.now()
    with refuses(PolicyError, "attester_not_trusted"):
        await judge_pack(before, pack, passed=True, now=now)
    statement = await judge_pack(judge, pack, passed=True, now=now)
    hire.reviewed(statement=statement).closed()
    for role in ("hirer", "provider"):
        assert verify_pack(hire.pack(role), now=hire.book.clock.now()).ok


async def test_a_verifier_passes_what_holds_by_terms_that_were_agreed_since(tmp_path: Path) -> None:
    """HIRE-ATT-13, HIRE-PCK-12: by those the hirer reviews; its provider has evidence of it too, before that."""
    judge = Office(tmp_path / "judge", "Judge")
    demanding = (WorkPredicate.PREDICATE_TYPE, ProvenancePredicate.PREDICATE_TYPE)
    hire = Hire(
        verifier=judge.actor.did,
        changing=lambda terms: replace(terms, evidence=replace(terms.evidence, predicates=demanding)),
    )
    hire.sealed().delivered()
    now = hire.book.clock.now()
    with refuses(VerificationError, "attestation_binding"):
        await judge_pack(judge, hire.pack(), passed=True, now=now)
    assert not verify_pack(hire.pack("provider"), now=now).ok
    terms = hire.hirer.offered().terms
    hire.book.provider >> amendment(terms=replace(terms, evidence=replace(terms.evidence, predicates=())))
    hire.book.hirer >> acceptance()
    hire.book.provider >> seal()
    assert verify_pack(hire.pack("provider"), now=now).ok
    assert await judge_pack(judge, hire.pack(), passed=True, now=now)


async def test_of_two_verdicts_at_a_time_one_is_signed(tmp_path: Path) -> None:
    """HIRE-ATT-06: the second finds the first, or is told to ask again; so it is of rulings."""

    class Away:
        """The key, in a service that takes its time."""

        def __init__(self, key: PrivateKey) -> None:
            self.public_key, self._key = key.public_key, key
            self.asked, self.answers = asyncio.Event(), asyncio.Event()

        async def sign(self, data: bytes) -> bytes:
            self.asked.set()
            await self.answers.wait()
            return await self._key.sign(data)

    judge = Office(tmp_path / "judge", "Judge")
    hire = Hire(verifier=judge.actor.did).sealed().delivered()
    pack, now = hire.pack(), hire.book.clock.now()
    away = judge._keys["agent"] = Away(judge._keys["agent"])  # type: ignore[assignment]
    first = asyncio.create_task(judge_pack(judge, pack, passed=True, now=now))
    await away.asked.wait()
    with refuses(LedgerUnavailable, "store_unavailable"):
        await judge_pack(judge, pack, passed=False, now=now)
    away.answers.set()
    assert await first
    with refuses(LocalProtocolError, "conflicting_message"):
        await judge_pack(judge, pack, passed=False, now=now)


def test_disputes_that_crossed_are_ruled_on_once(open_world: Callable[..., World], tmp_path: Path) -> None:
    """HIRE-LIF-22: each pack begins with another dispute; two rulings on one contract would be chosen from."""
    arbiter = Office(tmp_path / "arbiter", "Arbiter")
    world = open_world(handler=lingers)
    ours = world.begin(arbiter=arbiter.actor.did)
    world.until("working", ours.id)
    with world.silence():
        for node in world.nodes:
            world.run(node.changes.dispute(node.the(), "It is the other's fault."), 1)
        before = [packed(world, node, ours.id) for node in world.nodes]
    world.reconnect()
    world.settle(5)
    assert [len(node.the().engagement.contract.disputes) for node in world.nodes] == [2, 2]  # type: ignore[union-attr]

    def ruled(pack: bytes, owed: str) -> JsonObject:
        due, now = Price(amount=owed, currency="EUR"), world.clock.now()
        said = rule_on_pack(arbiter, pack, outcome="divided", owed=due, reasons="Both are right.", now=now)
        return world.run(said)

    first = ruled(before[0], "1")
    for pack in (before[1], *[packed(world, node, ours.id) for node in world.nodes]):
        assert ruled(pack, "1") == first
        with refuses(LocalProtocolError, "conflicting_message"):
            ruled(pack, "2")
    world.run(world.provider.changes.rule(world.provider.the(), first), 1)
    world.settle(30)
    for node in world.nodes:
        assert last(node, ours.id, Closing).settlement.amount == "1"


def test_a_ruling_of_before_a_rotation_is_signed_again(open_world: Callable[..., World], tmp_path: Path) -> None:
    """HIRE-LIF-22: nobody takes the former key any more. It is the same ruling, and still no other one."""
    arbiter = create_home(tmp_path / "arbiter", name="Arbiter", local=True, port=free_ports(1)[0])
    world = open_world(handler=lingers)
    ours = world.begin(arbiter=arbiter.configuration.did)
    world.until("working", ours.id)
    world.run(world.provider.changes.dispute(world.provider.the(), "It was well done."), 1)
    pack = packed(world, world.provider, ours.id)

    def ruled(owed: str = "1") -> tuple[JsonObject, JsonObject]:
        due, now = Price(amount=owed, currency="EUR"), world.clock.now()
        said = rule_on_pack(Home(arbiter.path), pack, outcome="divided", owed=due, reasons="So it is.", now=now)
        ruling = world.run(said)
        proof = ruling.pop("proof")
        assert isinstance(proof, dict)
        return ruling, proof

    (first, by), method = ruled(), rotate_key(arbiter)
    for _ in range(2):
        again, proof = ruled()
        assert again == first
        assert proof["verificationMethod"] == method != by["verificationMethod"]
    with refuses(LocalProtocolError, "conflicting_message"):
        ruled("2")


def test_a_dispute_that_ended_for_want_of_a_ruling_is_ruled_on_until_the_books_are_closed(
    open_world: Callable[..., World], tmp_path: Path
) -> None:
    """HIRE-LIF-33: and before there is one, nothing is."""
    arbiter = Office(tmp_path / "arbiter", "Arbiter")
    world = open_world(handler=lingers)
    ours = world.begin(arbiter=arbiter.actor.did)
    world.until("working", ours.id)

    def ruled() -> JsonObject:
        due, pack = Price(amount="1", currency="EUR"), packed(world, world.hirer, ours.id)
        said = rule_on_pack(arbiter, pack, outcome="divided", owed=due, reasons="Late.", now=world.clock.now())
        return world.run(said)

    with refuses(PolicyError, "wrong_state"):
        ruled()
    lies(world, world.hirer, ours.id, dispute(ruling_by=world.clock.now()), terminate("no_ruling"))
    assert ours.engagement.state == "closing"
    assert ruled()["amount"] == "1"


def packed(world: World, node: Node, id: str) -> bytes:
    return world.run(export_pack(node.ledger, node.artifacts, node.did, id))
