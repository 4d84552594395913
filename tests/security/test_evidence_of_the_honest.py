"""What the other side says must not take from an honest one the evidence of it: whatever is recorded, its pack holds.

Globex is attacked by who hires it, with good keys on proved connections.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from integration.hires import until
from security.test_over_the_wire_contract import Contracted, contracted
from security.test_over_the_wire_replay import digest_of, made
from security.wire_attacker import Attacker, Line, attacked
from security.wire_world import World
from undersigned.attestation import PAYLOAD_TYPE, accepted, envelope, make_statement, pae
from undersigned.contract import Price, Terms
from undersigned.encoding import Digest, JsonObject, shift
from undersigned.errors import ScopeError
from undersigned.evidence import Report, read_archive, verify_pack
from undersigned.messages import Closing, Delivery
from undersigned.runtime import Job, export_pack
from undersigned.runtime.engagement import receiving
from undersigned.runtime.evidence import export
from undersigned.runtime.execution import refusals
from undersigned.scope import Action
from undersigned.testing import (
    ARTIFACT,
    acceptance,
    breach,
    cancel,
    dispute,
    receipt,
    resume,
    review,
    start,
    suspend,
    terminate,
)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]


async def packed(world: World, hiring: Contracted) -> bytes:
    """The pack that Globex makes of this engagement."""
    globex = world.globex
    return await export_pack(globex.ledger, globex.artifacts, globex.identity.did, hiring.id)


async def report_on(world: World, hiring: Contracted) -> Report:
    """The report on it."""
    return verify_pack(await packed(world, hiring), now=world.globex.clock.now())


def verdict(hiring: Contracted, *, passed: bool = False, about: dict[str, Digest] | None = None) -> JsonObject:
    """The attacker's statement about what Globex delivered, which is nothing."""
    contract = hiring.party.engagement.contract
    assert contract is not None
    predicate = accepted(
        contract=contract.digest,
        document_id=f"{hiring.id}:hirer:1",
        verifier=hiring.who.did,
        passed=passed,
        statements=(),
        time_verified=hiring.party.now,
    )
    payload = make_statement(about or {"contract": contract.digest}, predicate)
    return envelope(payload, [(hiring.who.method, hiring.who.signature(pae(PAYLOAD_TYPE, payload)))])


async def delivered(world: World) -> Contracted:
    """A contract whose work was cancelled: Globex has delivered what there is, which is nothing, and waits."""
    hiring = await contracted(world, "working")
    await hiring.do(cancel())
    await hiring.hear("Delivery")
    return hiring


@pytest.mark.parametrize(
    ("of", "members", "code"),
    [
        ("no statement", {"statement": {}}, "schema_violation"),
        ("another verdict", {"verdict": "accepted"}, "terms_mismatch"),
        ("another delivery", {"delivery": ARTIFACT}, "terms_mismatch"),
        ("no criterion", {"criteria": ()}, "terms_mismatch"),
    ],
)
async def test_hire_att_06_a_review_that_moves_nothing_is_held_to_what_it_says(
    world: World, of: str, members: dict[str, Any], code: str
) -> None:
    """HIRE-ATT-06: it crossed the end of the contract, so it is void; one that does not hold is refused all the same,
    for no pack with it would hold. One that holds is recorded, and the pack holds.
    """
    hiring = await delivered(world)
    globex = world.globex
    whole = {"statement": verdict(hiring)}
    bad, good = (made(hiring, review("rejected"), **given) for given in (whole | members, whole))
    await globex.changes.revoke(globex.conversations[hiring.id])
    told, before, after, _ = await attacked(hiring.line, bad)
    assert (told.how, told.code) == ("Problem", code), of
    assert before == after
    if hiring.line.closed is not None or code == "terms_mismatch":
        await hiring.line.wait(lambda: hiring.line.closed)
        await hiring.come_back()
    await hiring.said(good)
    conversation = globex.conversations[hiring.id]
    await until(lambda: len(conversation.engagement.got) == len(hiring.party.engagement.sent))
    report = await report_on(world, hiring)
    assert report.ok, report.steps


async def test_hire_att_06_nothing_that_was_delivered_may_be_accepted(world: World) -> None:
    """HIRE-ATT-06: a hirer may pay for what came to nothing: the pack of who was paid holds."""
    hiring = await delivered(world)
    await hiring.do(review("accepted", statement=verdict(hiring, passed=True)))
    await hiring.hear("Closing")
    report = await report_on(world, hiring)
    assert report.ok, report.steps


async def test_hire_lim_05_notices_without_end_are_not_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-LIM-05: each says something new, with moves between: the journal keeps so many, and its pack holds."""
    monkeypatch.setattr(receiving, "MAX_NOTICES", 20)
    hiring = await contracted(world, "working")
    conversation, of = world.globex.conversations[hiring.id], hiring.party.engagement.got[-1:]
    for say in (suspend(), resume(), breach()):
        for number in range(30):
            until_then = shift(hiring.party.now, 60 + number)
            await hiring.line.send(made(hiring, receipt(waiting_until=until_then, of=of)))
        await hiring.do(say)
    heard = [row for row in await world.globex.ledger.rows(hiring.id) if row.kind == "received" and not row.sequence]
    assert 20 <= len(heard) <= 22
    assert len(conversation.journal.notices) <= 22
    report = await report_on(world, hiring)
    assert report.ok, report.steps


async def test_hire_lim_05_a_pack_has_room_for_the_moves(world: World) -> None:
    """HIRE-LIM-05: where there are more messages, our own receipts and signs of life stay out, and it holds."""
    hiring = await contracted(world, "working")
    await hiring.do(suspend(), resume(), cancel())
    await hiring.hear("Delivery")
    rows = [row for row in await world.globex.ledger.rows(hiring.id) if row.kind != "noted"]
    kept = export._fitting(rows, world.globex.identity.did, len(rows) - 1)
    assert len(kept) == len(rows) - 1
    assert [row for row in kept if row.sequence] == [row for row in rows if row.sequence]
    report = await report_on(world, hiring)
    assert report.ok, report.steps


async def test_hire_lim_05_a_pack_has_room_for_the_refusals(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-LIM-05: whatever is asked for, and however often this side starts, so many are stated under one contract."""
    monkeypatch.setattr(refusals, "MAX_REFUSALS", 20)
    hiring, globex = await contracted(world, "working"), world.globex
    contract = hiring.party.engagement.contract
    assert contract is not None
    for start_of in range(2):
        for number in range(15):
            asked = Action("artifact:read", f"https://acme.example/{start_of}/{number}")
            await globex.gate.refuse(contract.digest, asked, ScopeError("scope_exceeded", "outside", clause="read"))
        globex.gate.forget(contract.digest)  # as a start does
    assert sum(blob.kind == "refusal" for blob in await globex.ledger.evidence(hiring.id)) == 20
    await hiring.do(terminate())
    closing = await hiring.hear("Closing")
    assert isinstance(closing, Closing)
    assert closing.recorded is not None
    assert closing.recorded.refusals == 20
    report = await report_on(world, hiring)
    assert report.ok, report.steps


async def test_hire_chn_08_more_moves_at_once_than_a_receipt_names(world: World) -> None:
    """HIRE-CHN-08: all of them are recorded, and a receipt says so of more than it names."""
    hiring = await contracted(world, "working")
    said = [hiring.party.send((resume() if number % 2 else suspend()).message(hiring.party)) for number in range(80)]
    conversation = world.globex.conversations[hiring.id]
    for message in said:
        await hiring.line.send(message.raw)
    await until(lambda: conversation.engagement.got[-1] == said[-1].digest)
    await until(lambda: not conversation.engagement.unanswered_since)
    while hiring.party.engagement.unreceipted:  # one does, unless the machine is so busy that they came in two lots
        await hiring.hear("Receipt")


class OfTwo(Contracted):
    """A contract of two deliverables."""

    def terms(self, price: str = "4") -> Terms:
        terms = super().terms(price)
        (one,) = terms.deliverables
        return replace(terms, deliverables=(one, replace(one, name="notes.txt", criteria=())))


async def test_hire_att_06_who_accepts_accepts_everything(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-ATT-06: an acceptance of one of two is refused, for no pack with it would hold; one of both is taken."""

    async def both(job: Job) -> None:
        for name in ("summary.txt", "notes.txt"):
            await job.deliver(name, b"done", media_type="text/plain")

    service = world.globex.services["idle"]
    monkeypatch.setitem(world.globex.services, "idle", replace(service, handler=both))
    hiring = await OfTwo(await Line.to(world, Attacker("accepts a part"))).up_to("sealed")
    await hiring.do(start())
    delivery = await hiring.hear("Delivery")
    assert isinstance(delivery, Delivery)
    whole = {one.name: one.digest for one in delivery.artifacts}
    assert len(whole) == 2
    part = verdict(hiring, passed=True, about={"summary.txt": whole["summary.txt"]})
    told, before, after, _ = await attacked(hiring.line, made(hiring, review("accepted", statement=part)))
    assert (told.how, told.code) == ("Problem", "attestation_binding")
    assert before == after
    await hiring.do(review("accepted", statement=verdict(hiring, passed=True, about=whole)))
    await hiring.hear("Closing")
    report = await report_on(world, hiring)
    assert report.ok, report.steps


@pytest.mark.parametrize("of", ["the contract", "an offer before it"])
@pytest.mark.parametrize("proved", [False, True])
async def test_hire_chn_09_an_acceptance_that_moves_nothing_takes_no_contract_away(
    world: World, of: str, proved: bool
) -> None:
    """It crossed what ended the contract, so it is recorded, whatever it carries: the pack shows the contract as
    before, and that it is in the log.
    """
    line = await Line.to(world, Attacker(f"accepts twice: {of}, {proved}"))
    hiring = await Contracted(line).up_to("sealed", "4" if of == "the contract" else "3")
    await hiring.do(start())
    seen = hiring.party.engagement.got[-1]
    await hiring.do(terminate())
    await hiring.hear("Closing")
    before = await packed(world, hiring)
    offers = [row for row in await world.globex.ledger.rows(hiring.id) if row.type == "Offer"]
    again = json.loads(offers[0].raw)
    first = again["document"]["proof"]
    given = {"previousProof": first["id"], "proofValue": "z" + "1" * 88} if proved else {}
    raw = made(hiring, acceptance(), seen=seen, offer=offers[0].digest, document=ARTIFACT, contract_proof=given)
    await hiring.line.send(raw)
    conversation = world.globex.conversations[hiring.id]
    await until(lambda: conversation.engagement.got[-1] == digest_of(raw))
    report = await report_on(world, hiring)
    assert report.ok, report.steps
    assert read_archive(await packed(world, hiring)).keys() >= read_archive(before).keys()


async def test_hire_log_05_a_dispute_after_the_books_takes_no_evidence_away(world: World) -> None:
    """HIRE-LOG-05: who has closed its books and is disputed then offers a release; its pack has the checkpoint of the
    books, which is older than what the offer states.
    """
    hiring, changes = await contracted(world, "closing"), world.globex.changes
    await hiring.do(dispute())
    await changes.release(world.globex.conversations[hiring.id], Price(amount="0", currency="EUR"), "let go")
    await hiring.hear("Offer")
    report = await report_on(world, hiring)
    assert report.ok, report.steps
