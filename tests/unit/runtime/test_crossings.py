"""What one side says while the seal of an amendment by the other is on its way, in two runtimes and in both packs."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from runtimes import Node, World, last, messages
from undersigned.attestation import ProvenancePredicate, WorkPredicate
from undersigned.contract import Terms
from undersigned.encoding import decode_json
from undersigned.evidence import verify_pack
from undersigned.messages import Acceptance, Delivery, Message, Review
from undersigned.runtime import Conversation, Job, Reviewed, export_pack

Open = Callable[..., World]
Change = Callable[[Terms], Terms]


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
