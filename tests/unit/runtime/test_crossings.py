"""What one side says while the seal of an amendment by the other is on its way, in two runtimes and in both packs."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from parties import Party
from runtimes import Node, Office, World, last, lingers, messages
from support import refuses
from undersigned.attestation import ProvenancePredicate, WorkPredicate, accepted, make_statement
from undersigned.contract import Deliverable, Price, Terms
from undersigned.encoding import decode_json, parse_duration
from undersigned.errors import PolicyError, VerificationError
from undersigned.evidence import verify_pack
from undersigned.messages import Acceptance, Closing, Delivery, Dispute, Message, Offer, Review, Ruling, Seal
from undersigned.runtime import Conversation, Job, Reviewed, export_pack, rule_on_pack
from undersigned.testing import Actor

Open = Callable[..., World]
Change = Callable[[Terms], Terms]
JUDGE = Party("judge")
BEFORE, AFTER = Actor("arbiter before"), Actor("arbiter after")


def seals_unseen(world: World, by: Node, change: Change) -> None:
    """`by` has sealed an amendment that the other side accepted, and its seal is not there yet: the line is cut."""
    other = world.other(by)
    world.run(by.changes.amend(by.the(), change), 1)
    world.settle()
    tabled = other.the().engagement.tabled
    assert tabled is not None
    world.cut = True
    world.run(other.changes.accept(other.the(), tabled.document), 1)
    hand(world, other, Acceptance)
    contract = by.the().engagement.contract
    assert contract is not None
    assert contract.in_force == tabled.document


def hand(world: World, sender: Node, kind: type[Message]) -> object:
    """Hands the last move of this type over, although the line is cut: what the sender is told."""
    said = next(one for one in reversed(messages(sender, sender.the().id)) if isinstance(one.message, kind))
    return world.tell(said.raw, sender.did, world.other(sender))


def packs_hold(world: World, ours: Conversation) -> None:
    for node in world.nodes:
        pack = world.run(export_pack(node.ledger, node.artifacts, node.did, ours.id))
        report = verify_pack(pack, now=world.clock.now())
        assert report.ok, [step for step in report.steps if not step.ok]


def renamed(terms: Terms) -> Terms:
    """The deliverable under another name."""
    return replace(terms, deliverables=(replace(terms.deliverables[0], name="other.txt"),))


def smaller(terms: Terms) -> Terms:
    return replace(terms, deliverables=(replace(terms.deliverables[0], max_bytes=1),))


def another_task(terms: Terms) -> Terms:
    return replace(terms, task=replace(terms.task, kind="translation"))


def provenance_too(terms: Terms) -> Terms:
    both = (WorkPredicate.PREDICATE_TYPE, ProvenancePredicate.PREDICATE_TYPE)
    return replace(terms, evidence=replace(terms.evidence, predicates=both))


async def whole(_: Reviewed) -> dict[str, bool]:
    return {"whole": True}


async def raises(_: Reviewed) -> dict[str, bool]:
    raise TypeError("a defect")


def test_a_review_that_is_tried_again_goes_by_the_terms_of_then(open_world: Open) -> None:
    """HIRE-ATT-13: what was agreed on meanwhile is what its statement is of."""
    world = open_world()
    world.hirer.reviewers["summary"] = raises
    ours = world.begin(criteria={"whole": "nothing is missing"})
    world.until("delivered", ours.id)
    world.run(world.provider.changes.amend(world.provider.the(), provenance_too), 1)
    world.settle()
    tabled = ours.engagement.tabled
    assert tabled is not None
    world.run(world.hirer.changes.accept(ours, tabled.document), 1)
    world.settle(1)
    amended = ours.offered().id
    assert amended == world.provider.the().offered().id
    world.hirer.reviewers["summary"] = whole
    world.until("closed", ours.id)
    stated = decode_json(b64decode(last(world.hirer, ours.id, Review).statement["payload"]))
    assert stated["predicate"]["resourceUri"] == amended  # type: ignore[index,call-overload]
    packs_hold(world, ours)


@pytest.mark.parametrize("change", [renamed, smaller, another_task, provenance_too])
def test_a_delivery_that_crosses_the_seal_of_other_terms_is_judged_by_those_before_too(
    open_world: Open, change: Change
) -> None:
    """Page 07, section 7.5: its provider waited for the seal, and made what it knew of."""
    told = asyncio.Event()

    async def works(job: Job) -> None:
        await told.wait()
        await job.deliver("summary.txt", b"done")

    world = open_world(handler=works)
    ours = world.begin()
    world.until("working", ours.id)
    seals_unseen(world, world.hirer, change)
    told.set()
    world.settle(150)
    hand(world, world.provider, Delivery)
    assert ours.engagement.state == "delivered"
    world.cut = False
    world.until("closed", ours.id)
    assert last(world.provider, ours.id, Review).verdict == "accepted"
    packs_hold(world, ours)


@pytest.mark.parametrize("to", [AFTER, None], ids=["another", "none"])
@pytest.mark.parametrize("by", [BEFORE, AFTER], ids=["by-the-one-before", "by-the-one-after"])
@pytest.mark.parametrize("carried", ["provider", "hirer", "crossing"])
def test_a_dispute_that_crosses_the_seal_of_another_arbiter_is_ruled_on_by_either(
    open_world: Open, to: Actor | None, by: Actor, carried: str
) -> None:
    """HIRE-LIF-22: of the terms that its sender knew of and those in force, whoever carries the ruling, and when."""
    world = open_world(handler=lingers)
    ours = world.begin(arbiter=BEFORE.did)
    world.until("working", ours.id)
    hirer, provider = world.hirer, world.provider
    theirs = provider.the()
    seals_unseen(world, hirer, lambda terms: replace(terms, arbiter=to.did if to is not None else None))
    disputed = world.run(provider.changes.dispute(theirs, "It is not what was agreed on."), 1)
    hand(world, provider, Dispute)
    assert ours.engagement.state == "disputed"
    if carried != "crossing":
        hand(world, hirer, Seal)
    contract = ours.engagement.contract
    assert contract is not None
    ruling = by.rule(contract.digest, disputed, world.clock.now())
    side, conversation = (hirer, ours) if carried == "hirer" else (provider, theirs)
    knows = carried != "crossing"
    if by is AFTER and not (knows and to is not None):
        with refuses(VerificationError, "key_not_authorized"):
            world.run(side.changes.rule(conversation, ruling), 1)
        return
    world.run(side.changes.rule(conversation, ruling), 1)
    hand(world, side, Ruling)
    world.cut = False
    world.reconnect()
    world.until("closed", ours.id)
    for node in world.nodes:
        assert last(node, ours.id, Closing).basis == "ruling"
    packs_hold(world, ours)


def test_who_closes_by_silence_owes_what_a_seal_that_crosses_it_says(open_world: Open) -> None:
    """HIRE-LAN-04: it waits for the answer to its acceptance, since it says what is owed only once."""
    world = open_world()
    world.hirer.reviewers["summary"] = raises
    ours = world.begin(criteria={"whole": "nothing is missing"})
    world.until("delivered", ours.id)
    seals_unseen(world, world.hirer, lambda terms: replace(terms, price=replace(terms.price, amount="1")))
    theirs, deadlines = world.provider.the(), ours.offered().terms.deadlines
    world.settle(parse_duration(deadlines.review) + 120)
    assert theirs.engagement.state == "delivered"
    world.cut = False
    world.reconnect()
    world.until("closed", ours.id)
    closings = [one.message for one in messages(world.hirer, ours.id) if isinstance(one.message, Closing)]
    assert [(one.basis, one.settlement.amount) for one in closings] == [("silence", "1")] * 2
    packs_hold(world, ours)


def test_what_comes_with_the_seal_of_another_verifier_is_judged_after_it(open_world: Open) -> None:
    """HIRE-ATT-06: the verdict knows of the seal, and both are taken in one turn, as after a connection was away."""
    world = open_world()
    world.hirer.reviewers["summary"] = raises
    ours = world.begin(criteria={"whole": "nothing is missing"})
    world.until("delivered", ours.id)
    hirer, provider = world.hirer, world.provider
    seals_unseen(world, hirer, lambda terms: replace(terms, evidence=replace(terms.evidence, verifier=JUDGE.did)))
    world.settle(120)
    delivery = last(hirer, ours.id, Delivery)
    predicate = accepted(
        contract=delivery.contract,
        document_id=ours.offered().id,
        verifier=JUDGE.did,
        passed=True,
        statements=(),
        time_verified=world.clock.now(),
    )
    artifacts = {one.name: one.digest for one in delivery.artifacts}
    world.run(hirer.changes.judge(ours, JUDGE.seal_statement(make_statement(artifacts, predicate))), 1)
    channel, _ = world.channel(hirer.did, provider.did)
    said = [one.raw for one in messages(hirer, ours.id) if isinstance(one.message, Seal | Review)][-2:]

    async def together() -> None:
        await asyncio.gather(*[provider.intake.read(channel, raw) for raw in said])

    world.run(together())
    world.settle()
    assert last(provider, ours.id, Review).verdict == "accepted"
    assert "refused" not in [event.kind for event in provider.events]
    world.cut = False
    world.reconnect()
    world.until("closed", ours.id)
    packs_hold(world, ours)


def test_who_rules_by_a_pack_is_either_arbiter_whoever_packed_it(open_world: Open, tmp_path: Path) -> None:
    """HIRE-LIF-22: of a dispute that crossed the seal of another arbiter; and no third one."""
    offices = [Office(tmp_path / name, name) for name in ("before", "after", "another")]
    before, after, another = offices
    world = open_world(handler=lingers)
    ours = world.begin(arbiter=before.actor.did)
    world.until("working", ours.id)
    seals_unseen(world, world.hirer, lambda terms: replace(terms, arbiter=after.actor.did))
    world.run(world.provider.changes.dispute(world.provider.the(), "It is not what was agreed on."), 1)
    world.cut = False
    world.reconnect()
    world.settle(5)
    for node in world.nodes:
        pack = world.run(export_pack(node.ledger, node.artifacts, node.did, ours.id))
        given = {"outcome": "divided", "owed": Price(amount="1", currency="EUR"), "reasons": "Both."}
        for office in (before, after):
            ruling = world.run(rule_on_pack(office, pack, now=world.clock.now(), **given))
            assert ruling["amount"] == "1"
        with refuses(PolicyError, "attester_not_trusted"):
            world.run(rule_on_pack(another, pack, now=world.clock.now(), **given))


def test_a_change_of_its_criteria_that_crossed_a_delivery_is_not_accepted(open_world: Open) -> None:
    """HIRE-LAN-06: what waits for its review is judged by what it was made for, so its provider does not sign that."""
    told = asyncio.Event()

    async def works(job: Job) -> None:
        await told.wait()
        await job.deliver("summary.txt", b"done")

    world = open_world(handler=works)
    ours = world.begin(criteria={"whole": "nothing is missing"})
    world.until("working", ours.id)
    world.hirer.reviewers["summary"] = whole
    hirer, provider = world.hirer, world.provider
    world.cut = True
    world.run(hirer.changes.amend(ours, lambda terms: replace(terms, deliverables=(another(terms),))), 1)
    told.set()
    world.settle(5)
    hand(world, hirer, Offer)
    theirs = provider.the()
    assert theirs.engagement.state == "delivered"
    tabled = theirs.engagement.tabled
    assert tabled is not None
    with refuses(PolicyError, "policy_denied"):
        world.run(provider.changes.accept(theirs, tabled.document), 1)
    world.cut = False
    world.reconnect()
    world.until("closed", ours.id)
    assert last(provider, ours.id, Review).verdict == "accepted"
    packs_hold(world, ours)


def another(terms: Terms) -> Deliverable:
    """The deliverable with another criterion."""
    (deliverable,) = terms.deliverables
    return replace(deliverable, criteria=(replace(deliverable.criteria[0], id="another"),))
