"""What ends a contract, what is owed by it, and what work and orders may do under it: in two whole runtimes."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec.structs import replace

from bills import cyclonedx, spdx
from media import Authority, png
from runtimes import Node, World, facts, folded, last, lingers, messages, moves
from undersigned.attestation import bills
from undersigned.attestation.bills import LIMITS
from undersigned.attestation.media import read_manifest
from undersigned.contract import ARTIFACT_READ, Deliverable, Milestone, Price, Settlement, Terms
from undersigned.encoding import base64_decode, decode_json, digest_bytes, parse_duration, shift
from undersigned.errors import ConfigurationError, FormatError, LedgerError, LocalProtocolError, ScopeError
from undersigned.evidence import verify_pack
from undersigned.messages import Acceptance, Approval, Cancel, Closing, Delivery, Offer, Review
from undersigned.protocol import PROVIDER
from undersigned.runtime import ContractOrder, Conversation, Job, Say, export_pack, leave_order
from undersigned.runtime.execution import contract_orders
from undersigned.runtime.execution.counted import used_so_far
from undersigned.runtime.execution.reviewers import Reviewed
from undersigned.runtime.execution.settlement import owed_price
from undersigned.runtime.log.logbook import logged
from undersigned.scope import Grant, Scope
from undersigned.testing import HandClock, Party, release
from unit.runtime.stories import away_twice

Open = Callable[..., World]


def working(open_world: Open, handler: Callable[[Job], Any] = lingers, **timing: Any) -> tuple[World, Conversation]:
    """A contract that is worked on."""
    world = open_world(handler=handler)
    order = world.order()
    conversation = world.begin(replace(order, timing=replace(order.timing, **timing)))
    world.until("working", conversation.id)
    return world, conversation


def amend(world: World, change: Callable[[Terms], Terms]) -> None:
    """The hirer offers this, and the provider accepts it."""
    world.run(world.hirer.changes.amend(world.hirer.the(), change), 1)
    world.settle()
    theirs = world.provider.the()
    tabled = theirs.engagement.tabled
    assert tabled is not None
    world.run(world.provider.changes.accept(theirs, tabled.document), 1)
    world.settle()
    for node in world.nodes:
        contract = node.the().engagement.contract
        assert contract is not None
        assert contract.in_force == tabled.document


def unreviewed(
    open_world: Open, change: Callable[[Terms], Terms] | None = None, *, method: str = "none", **timing: Any
) -> tuple[World, Conversation]:
    """Delivered ten seconds ago, under terms amended by `change`, and the hirer looks at it for ever."""
    may_end = asyncio.Event()

    async def works(job: Job) -> None:
        await may_end.wait()
        await job.deliver("summary.txt", b"done")

    world = open_world(handler=works)
    world.hirer.reviewers["summary"] = never
    order = world.order(criteria={"whole": "nothing is missing"}, settlement=Settlement(method=method))
    ours = world.begin(replace(order, timing=replace(order.timing, **timing)))
    world.until("working", ours.id)
    if change is not None:
        amend(world, change)
    may_end.set()
    world.settle(10)
    assert ours.engagement.state == "delivered"
    return world, ours


async def not_whole(reviewed: Reviewed) -> dict[str, bool]:
    return dict.fromkeys(reviewed.document.terms.criteria, False)


# --- what is owed


def test_what_is_owed_is_the_amount_of_the_release_that_was_sealed(open_world: Open) -> None:
    """HIRE-LAN-05: not of another one that crossed its seal; also after a restart, which reads the void one last."""
    world, ours = working(open_world)
    hirer, provider, id = world.hirer, world.provider, ours.id
    world.run(hirer.changes.release(ours, Price(amount="3", currency="EUR"), "That will do."), 1)
    world.settle()
    tabled = provider.the().engagement.tabled
    assert tabled is not None
    world.cut = True
    world.run(provider.changes.accept(provider.the(), tabled.document), 1)
    accepted = next(one for one in reversed(messages(provider, id)) if isinstance(one.message, Acceptance))
    party = Party(PROVIDER, provider.office.actor, hirer.office.actor, id, HandClock(world.clock.now()))
    party.engagement = folded(provider, id)
    party.stored.update({one.digest: one for one in messages(provider, id)})
    other = party.actor.sign(release(amount="0").message(party), party.now)
    world.tell(accepted.raw, provider.did, hirer)
    assert ours.engagement.state == "closing"
    world.tell(other.raw, provider.did, hirer)
    assert folded(hirer, id).got[-1] == other.digest
    assert owed_price(ours, ours.engagement) == Price(amount="3", currency="EUR")
    again = world.restart(hirer).the()
    assert again.engagement.got[-1] == other.digest
    assert owed_price(again, again.engagement) == Price(amount="3", currency="EUR")


def test_an_amendment_is_sealed_with_the_acceptance_that_was_recorded_first(open_world: Open) -> None:
    """HIRE-LAN-10: a second one that crosses something is refused, and void where it names another offer, so it makes
    no leaf: not for the seal, not for a pack, and not in the list of what is in the log.
    """
    world, ours = working(open_world)
    hirer, provider, id = world.hirer, world.provider, ours.id
    world.run(hirer.changes.amend(ours, lambda terms: replace(terms, price=Price(amount="6", currency="EUR"))), 1)
    world.settle()
    world.cut = True
    tabled = provider.the().engagement.tabled
    assert tabled is not None
    world.run(provider.changes.accept(provider.the(), tabled.document), 1)
    accepted = next(one for one in reversed(messages(provider, id)) if isinstance(one.message, Acceptance))
    first = next(one for one in messages(provider, id) if isinstance(one.message, Offer))
    world.run(hirer.changes.suspend(ours, seconds=3600), 1)
    said, raws, before = accepted.message, [accepted.raw], accepted.digest
    assert isinstance(said, Acceptance)
    for number, (offer, place) in enumerate(((said.offer, 1), (first.digest, 1), (digest_bytes(b"no offer"), 2))):
        proof = {**said.contract_proof, "proofValue": f"z{'1' * 80}{number + 2}"}
        again = replace(said, id=f"{said.id[:-1]}{number}", sequence=said.sequence + place, previous=before)
        signed = provider.office.actor.sign(replace(again, offer=offer, contract_proof=proof), world.clock.now())
        raws.append(signed.raw)
        if offer == said.offer:
            refused = signed.digest
        else:
            before = signed.digest
    ends, _ = world.channel(provider.did, hirer.did)

    async def all_at_once() -> None:
        for raw in raws:
            await hirer.intake.read(ends, raw)

    world.run(all_at_once())
    world.settle()
    assert before in folded(hirer, id).got
    assert refused not in folded(hirer, id).got
    assert contract_of(ours).in_force == said.document
    rows, evidence = world.run(hirer.ledger.rows(id)), world.run(hirer.ledger.evidence(id))
    found = world.run(logged(hirer.ledger, rows, evidence))
    assert [one.digest for one in found if one.what == "contract"] == [contract_of(ours).digest, said.document]
    pack = world.run(export_pack(hirer.ledger, hirer.artifacts, hirer.did, id))
    report = verify_pack(pack, now=world.clock.now())
    assert report.ok, report.steps


def delivered_and_not_whole(world: World) -> Conversation:
    """What the hirer will reject, as its provider has delivered it, with five minutes for a review."""
    world.hirer.reviewers["summary"] = not_whole
    order = world.order(criteria={"whole": "nothing is missing"})
    ours = world.begin(replace(order, timing=replace(order.timing, review="PT5M")))
    world.until("delivered", ours.id, world.provider)
    return ours


def test_both_sides_owe_the_same_when_a_review_and_the_silence_cross(open_world: Open) -> None:
    """HIRE-LIF-11: the Closing by silence is the stronger one, whichever was recorded first."""
    world = open_world(held=True)
    ours = delivered_and_not_whole(world)
    world.until("closing", ours.id, world.hirer)
    theirs = world.provider.the()
    assert theirs.engagement.state == "delivered"
    world.settle(301)
    assert theirs.engagement.state == "closing"
    world.until("closed", ours.id)
    views = [(one, [ending.basis for ending in contract_of(one).endings]) for one in (ours, theirs)]
    assert [bases for _, bases in views] == [["review", "silence"], ["silence", "review"]]
    assert ours.offered().terms.on_silence == "accepted"
    assert [owed_price(one, one.engagement) for one, _ in views] == [ours.offered().terms.price] * 2


def test_after_silence_what_is_to_be_destroyed_has_its_time_from_the_closing(open_world: Open) -> None:
    """HIRE-LIF-23: that is the end, and no delivery of five minutes before."""
    world = open_world(held=True)
    ours = delivered_and_not_whole(world)
    world.settle(301)
    theirs = world.provider.the()
    assert theirs.engagement.state == "closing"
    said = theirs.last("Closing", Closing, "provider")
    assert (said.basis, theirs.offered().terms.data_handling.retention) == ("silence", "PT0S")
    assert said.data_handling is not None
    assert said.data_handling.by == said.checkpoint_at == theirs.engagement.since
    world.until("closed", ours.id)
    counted = ours.last("Closing", Closing, "hirer").data_handling
    assert counted is not None, "each side states it by its own books"
    assert counted.destroy == said.data_handling.destroy


def contract_of(conversation: Conversation) -> Any:
    contract = conversation.engagement.contract
    assert contract is not None
    return contract


HALVES = Settlement(
    method="none",
    milestones=(
        Milestone(name="first", percent=40, criteria=("whole",)),
        Milestone(name="rest", percent=60, criteria=("whole", "plain")),
    ),
)
CRITERIA = {"whole": "nothing is missing", "plain": "no foreign words"}


class Drafts:
    """Work that delivers another draft in each round, and knows what the last one missed."""

    def __init__(self) -> None:
        self.missed: list[list[str]] = []

    async def __call__(self, job: Job) -> None:
        review = job.review
        self.missed.append([] if review is None else [one.id for one in review.criteria if not one.met])
        await job.deliver("summary.txt", b"draft %d" % job.round)


async def first_half(_: Reviewed) -> dict[str, bool]:
    return {"whole": True, "plain": False}


async def second_draft(reviewed: Reviewed) -> dict[str, bool]:
    return {"whole": True, "plain": reviewed.artifacts["summary.txt"] == b"draft 2"}


def test_of_a_rejected_delivery_the_milestones_that_were_met_are_owed(open_world: Open) -> None:
    """HIRE-PAY-03: by both sides alike, and after a restart."""
    world = open_world()
    world.hirer.reviewers["summary"] = first_half
    ours = world.begin(criteria=CRITERIA, settlement=HALVES)
    world.until("closed", ours.id)
    assert [
        m.message.settlement.amount for m in messages(world.provider, ours.id) if isinstance(m.message, Closing)
    ] == [
        "1.6",
        "1.6",
    ]
    assert last(world.provider, ours.id, Review).verdict == "rejected"


def test_without_a_review_no_milestone_was_met(open_world: Open) -> None:
    """HIRE-PAY-03."""
    world = open_world(handler=lingers)
    ours = world.begin(criteria=CRITERIA, settlement=HALVES)
    world.until("working", ours.id)
    world.run(world.hirer.changes.revoke(ours), 1)
    world.until("closed", ours.id)
    assert last(world.hirer, ours.id, Closing).settlement.amount == "0"


def test_what_misses_a_criterion_is_asked_for_again_as_often_as_agreed(open_world: Open) -> None:
    """HIRE-LIF-23: the work of the next round knows what was not met, and an acceptance owes the whole price."""
    drafts = Drafts()
    world = open_world(handler=drafts)
    world.hirer.reviewers["summary"] = second_draft
    ours = world.begin(criteria=CRITERIA, settlement=HALVES, reworks=1)
    world.until("closed", ours.id)
    assert drafts.missed == [[], ["plain"]]
    verdicts = [m.message.verdict for m in messages(world.provider, ours.id) if isinstance(m.message, Review)]
    assert verdicts == ["rework", "accepted"]
    assert last(world.provider, ours.id, Closing).settlement.amount == "4"


def test_what_still_misses_it_is_rejected(open_world: Open) -> None:
    drafts = Drafts()
    world = open_world(handler=drafts)
    world.hirer.reviewers["summary"] = not_whole
    ours = world.begin(criteria=CRITERIA, reworks=2)
    world.until("closed", ours.id)
    verdicts = [m.message.verdict for m in messages(world.provider, ours.id) if isinstance(m.message, Review)]
    assert verdicts == ["rework", "rework", "rejected"]
    assert last(world.provider, ours.id, Closing).settlement.amount == "0"


def test_each_round_reads_its_inputs_as_often_as_the_first(open_world: Open) -> None:
    """Four times in all, so that the fourth rework of work that reads once failed, whatever was agreed."""
    rounds: list[int] = []

    async def reads(job: Job) -> None:
        for _ in range(4):
            await job.read("report")
        await job.deliver("summary.txt", b"as asked")

    async def the_last(_: Reviewed) -> dict[str, bool]:
        rounds.append(len(rounds))
        return {"whole": len(rounds) == 5}

    world = open_world(handler=reads)
    world.hirer.reviewers["summary"] = the_last
    ours = world.begin(criteria={"whole": "nothing is missing"}, reworks=4)
    world.until("closed", ours.id)
    verdicts = [m.message.verdict for m in messages(world.provider, ours.id) if isinstance(m.message, Review)]
    assert verdicts == ["rework"] * 4 + ["accepted"]


async def never(_: Reviewed) -> dict[str, bool]:
    await asyncio.Event().wait()
    return {}


@pytest.mark.parametrize(
    ("means", "method", "amount"), [("accepted", "none", "4"), ("rejected", "none", "0"), ("accepted", "manual", "4")]
)
def test_a_provider_closes_by_silence_without_anybodys_help(
    open_world: Open, means: str, method: str, amount: str
) -> None:
    """HIRE-LIF-07, HIRE-LIF-09: past `review` of a hirer that does not, never before; for what silence means."""

    def silence(terms: Terms) -> Terms:
        return replace(terms, on_silence=means)

    world, ours = unreviewed(open_world, silence, method=method, review="PT5M", close="PT10M")
    world.settle(290)
    assert ours.engagement.state == "delivered"
    world.settle(5)
    views = {m.message.role: m.message for m in messages(world.hirer, ours.id) if isinstance(m.message, Closing)}
    assert views["provider"].basis == "silence"
    assert views["provider"].settlement.amount == amount
    assert (views["provider"].objection is None) == (method == "none")  # nobody could say yet whether it was paid
    world.settle(600)
    books = last(world.provider, ours.id, Closing)
    assert (books.role, books.basis, books.settlement.amount) == ("hirer", "silence", amount)
    assert [folded(node, ours.id).state for node in world.nodes] == ["closed", "closed"]


def test_silence_accepts_nothing_that_its_provider_calls_failed(open_world: Open) -> None:
    """HIRE-LIF-07: the hirer is out of reach until its review is over, and owes nothing, by the books of both."""

    async def fails(_: Job) -> None:
        world.cut = True
        raise RuntimeError

    world = open_world(handler=fails)
    order = world.order()
    ours = world.begin(replace(order, timing=replace(order.timing, review="PT5M", heartbeat="PT1H")))
    world.until("delivered", ours.id, world.provider)
    world.settle(301)
    assert folded(world.provider, ours.id).state == "closing"
    world.cut = False
    world.settle(600)
    assert [folded(node, ours.id).state for node in world.nodes] == ["closed", "closed"]
    books = {m.message.role: m.message for m in messages(world.hirer, ours.id) if isinstance(m.message, Closing)}
    assert books["provider"].basis == "silence"
    assert {role: one.settlement.amount for role, one in books.items()} == {"provider": "0", "hirer": "0"}


# --- what is refused is not done


def test_a_move_that_is_refused_notes_nothing(open_world: Open) -> None:
    """HIRE-LIF-13: an order is done once its move stands, and not before."""
    world, ours = working(open_world)
    body = {"contract": contract_of(ours).digest, "reason": "resolved"}
    with pytest.raises(LocalProtocolError):
        world.run(ours.ask(lambda _: Say("Resume", body, facts=(("done", "order:x"),))), 1)
    world.run(ours.settled(), 1)
    world.run(world.hirer.changes.suspend(ours, seconds=600), 1)  # whose turn would store it
    assert ("done", "order:x") not in facts(world.hirer, ours.id)
    assert "order:x" not in ours.engagement.done
    assert "done" not in ours.facts
    world.run(ours.ask(lambda _: Say("Resume", body, facts=(("done", "order:x"),))), 1)
    assert ("done", "order:x") in facts(world.hirer, ours.id)


@pytest.mark.parametrize("by", ["hirer", "provider"])
def test_a_contract_is_amended_long_after_both_were_started_again(open_world: Open, by: str) -> None:
    """What each showed was checked while its proof was good: it stands as long as the credentials in it do."""
    world, ours = working(open_world, finish_seconds=9000, until_seconds=9000)
    world.settle(1200)
    for node in world.nodes:
        world.restart(node)
    world.reconnect()
    world.settle(5)
    offers = getattr(world, by)
    accepts = world.other(offers)
    world.run(offers.changes.amend(offers.the(), lambda terms: replace(terms, reworks=2)), 1)
    world.settle()
    tabled = accepts.the().engagement.tabled
    assert tabled is not None
    world.run(accepts.changes.accept(accepts.the(), tabled.document), 1)
    world.settle()
    for node in world.nodes:
        assert node.the().offered().terms.reworks == 2
        pack = world.run(export_pack(node.ledger, node.artifacts, node.did, ours.id))
        report = verify_pack(pack, now=world.clock.now())
        assert report.ok, report.steps


def test_an_amendment_that_something_came_between_is_made_again(
    open_world: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-NEG-07: the guard refuses the first, made on another position; the second is offered, and noted once."""
    world, ours = working(open_world)
    hirer, theirs = world.hirer, world.provider.the()
    made, refused = hirer.papers.change, [0]

    async def interrupted(*given: Any, **options: Any) -> Say:
        said = await made(*given, **options)
        refused[0] += 1
        if refused[0] == 1:
            before = len(ours.engagement.got)
            await world.provider.changes.claim_breach(theirs, "price", seconds=7200)
            while len(ours.engagement.got) == before:  # noqa: ASYNC110 - by the clock of the world
                await asyncio.sleep(0.01)
        return said

    monkeypatch.setattr(hirer.papers, "change", interrupted)
    orders = hirer.changes.noting("order:x")
    world.run(orders.amend(ours, lambda terms: replace(terms, reworks=3)), 5)
    world.settle()
    assert refused == [2]
    for node in world.nodes:
        assert node.the().engagement.lane == "offered-by-hirer"
    assert facts(hirer, ours.id).count(("done", "order:x")) == 1


@pytest.mark.parametrize("said", ["Cancel", "Breach"])
def test_the_least_time_that_the_terms_leave_is_enough(
    open_world: Open, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    """Also where a second begins between reckoning with it and signing it: one does at every look at this clock."""
    world, ours = working(open_world)
    hirer, terms = world.hirer, ours.offered().terms
    still, looks = world.clock.now, count()
    monkeypatch.setattr(world.clock, "now", lambda: shift(still(), next(looks)))
    if said == "Cancel":
        made = hirer.changes.cancel(ours)
    else:
        made = hirer.changes.claim_breach(ours, "price", seconds=parse_duration(terms.termination.cure))
    world.run(made)
    world.settle()
    assert any(row.type == said for row in world.provider.kept.journal(ours.id))


@pytest.mark.parametrize("act", ["amend", "release"])
def test_an_order_without_a_member_is_answered_and_not_tried_again(open_world: Open, act: str) -> None:
    """What cannot be read does not get better: `bad_configuration`, and the order is gone."""
    world, ours = working(open_world)
    folder = world.hirer.home.orders
    folder.mkdir(parents=True, exist_ok=True)
    answer = leave_order(folder, f"no-{act}", ContractOrder(act=act, contract=contract_of(ours).digest, body={}))
    looks = world.loop.create_task(world.hirer.orders.run())
    world.settle(30)
    looks.cancel()
    told = decode_json(answer.read_bytes())
    answer.unlink()
    assert isinstance(told, dict)
    assert (told["ok"], told["code"]) == (False, "bad_configuration")
    assert not list(folder.glob(f"no-{act}*"))
    assert ours.engagement.state == "working"


def test_a_contract_is_named_by_its_digest_in_all_that_is_ordered_about_it(open_world: Open) -> None:
    """The engagement is named to withdraw from a negotiation alone, of which there is no contract."""
    world, ours = working(open_world)
    orders = (
        ContractOrder(act="suspend", engagement=ours.id),
        ContractOrder(act="withdraw", contract=contract_of(ours).digest),
        ContractOrder(act="withdraw", engagement=ours.id),
        ContractOrder(act="withdraw", engagement=f"urn:hire:engagement:{digest_bytes(b'')}"),
        ContractOrder(act="withdraw"),
    )
    answers = [leave_order(world.hirer.home.orders, f"o{n}", order) for n, order in enumerate(orders)]
    looks = world.loop.create_task(world.hirer.orders.run())
    world.settle(30)
    looks.cancel()
    told = [decode_json(answer.read_bytes()) for answer in answers]
    codes = [one["code"] for one in told if isinstance(one, dict)]
    assert codes == ["bad_configuration", "wrong_state", "wrong_state", "not_found", "bad_configuration"]
    assert ours.engagement.state == "working"


def test_an_order_over_a_damaged_store_is_answered_and_not_tried_again(
    open_world: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only of a store that is away nobody knows yet what stands in it."""
    world, ours = working(open_world)
    folder, orders = world.hirer.home.orders, world.hirer.orders
    folder.mkdir(parents=True, exist_ok=True)
    codes = ["store_unavailable", "store_corrupt"]

    async def damaged() -> None:
        raise LedgerError(codes.pop(0), "told to")

    monkeypatch.setattr(world.hirer.ledger, "summaries", damaged)
    answer = leave_order(folder, "damaged", ContractOrder(act="suspend", contract=contract_of(ours).digest, body={}))
    orders.look_seconds = 1
    looks = world.loop.create_task(orders.run())
    world.settle(2)
    looks.cancel()
    told = decode_json(answer.read_bytes())
    assert isinstance(told, dict)
    assert (told["ok"], told["code"], codes) == (False, "store_corrupt", [])


@pytest.mark.parametrize("many", [1, contract_orders.MAX_FILES], ids=["one", "as-many-as-are-looked-at"])
def test_no_order_waits_for_another(open_world: Open, monkeypatch: pytest.MonkeyPatch, many: int) -> None:
    """A review has to fetch what was delivered, and who delivered it can take its time: the work could not be ended
    meanwhile, nor any other contract, and whoever tried was told that no peer runs.
    """
    world, ours = working(open_world)
    orders, fetched = world.hirer.orders, asyncio.Event()
    reviewed: list[Conversation] = []

    async def reviews(_: Any, conversation: Conversation, **__: Any) -> None:
        await fetched.wait()
        reviewed.append(conversation)

    monkeypatch.setattr(contract_orders, "ACTS", {**contract_orders.ACTS, "review": reviews})
    world.hirer.home.orders.mkdir(parents=True, exist_ok=True)
    *slow, ends = (
        leave_order(world.hirer.home.orders, name, ContractOrder(act=act, contract=contract_of(ours).digest, body=body))
        for name, act, body in (
            *((f"{many}-{n}", "review", {}) for n in range(many)),
            (f"{many}-suspend", "suspend", {"seconds": 600}),
        )
    )
    orders.look_seconds = 1
    looks = world.loop.create_task(orders.run())
    world.settle(5)
    assert ours.engagement.state == "suspended"
    assert ends.exists()
    assert not any(one.exists() for one in slow)
    fetched.set()
    world.settle(5)
    looks.cancel()
    assert all(one.exists() for one in slow)
    assert reviewed == many * [ours], "each is carried out once"


def test_what_a_delivery_states_as_used_counts_against_an_amendment(open_world: Open) -> None:
    """HIRE-LAN-06: by no gate of the hirer's it went, such as an input that it has elsewhere."""

    async def reads(job: Job) -> None:
        await job.deliver("summary.txt", await job.read("report"))

    world = open_world(handler=reads)
    world.hirer.reviewers["summary"] = never
    ours = world.begin(criteria={"whole": "nothing is missing"})
    world.until("delivered", ours.id)
    assert world.run(used_so_far(ours, world.hirer.ledger, ())) == {("read-1", "count"): "1"}


def test_the_provenance_names_no_clause_by_which_something_was_refused(open_world: Open) -> None:
    """The statement about the work does."""

    async def tries(job: Job) -> None:
        with pytest.raises(ScopeError):
            async with job.act("mail:send", "https://acme.example/payroll"):
                pass
        await job.deliver("summary.txt", await job.read("report"))

    world = open_world(handler=tries)
    name = world.begun("closed")
    said: list[Any] = [
        decode_json(base64_decode(one["payload"])) for one in last(world.hirer, name, Delivery).statements
    ]
    done, made = (one["predicate"] for one in said)
    assert [(one["clause"], one["allowed"]) for one in done["actions"]] == [("scope", False), ("read-1", True)]
    assert made["buildDefinition"]["externalParameters"]["clauses"] == ["read-1"]


@pytest.mark.parametrize(
    ("action", "target"),
    [
        ("mail:send", "https://acme.example/" + "x" * 3000),
        ("mail:send", ""),
        ("", "https://acme.example/payroll"),
        ("x" * 300, "https://acme.example/payroll"),
        ("\ud800", "https://acme.example/\ud800"),
    ],
    ids=["a-long-target", "no-target", "no-action", "a-long-action", "no-text"],
)
def test_what_no_grant_could_name_is_refused_and_spoils_no_delivery(open_world: Open, action: str, target: str) -> None:
    """Its statement was rejected by the hirer, or could not be made: the work was lost over what was refused."""

    async def tries(job: Job) -> None:
        with pytest.raises(ScopeError):
            async with job.act(action, target):
                pass
        await job.deliver("summary.txt", await job.read("report"))

    world = open_world(handler=tries)
    name = world.begun("closed")
    assert last(world.hirer, name, Review).verdict == "accepted"
    said: Any = decode_json(base64_decode(last(world.hirer, name, Delivery).statements[0]["payload"]))
    refused, read = said["predicate"]["actions"]
    assert (refused["allowed"], read["allowed"]) == (False, True)
    assert 1 <= len(refused["action"]) <= 256
    assert 1 <= len(refused["target"]) <= 2048


@pytest.mark.parametrize("taken", [False, True], ids=["left", "taken-before-a-restart"])
def test_of_two_reviews_of_one_contract_the_last_one_is_made_last(
    open_world: Open, monkeypatch: pytest.MonkeyPatch, taken: bool
) -> None:
    """Whoever delivered draws out the one that it likes less, and where others give the verdict the word of both is
    noted: the person's last word was followed by the one before.
    """
    world, ours = working(open_world)
    orders, folder, fetched = world.hirer.orders, world.hirer.home.orders, asyncio.Event()
    made: list[str] = []

    async def reviews(_: Any, __: Conversation, *, said: str) -> None:
        if said == "first":
            await fetched.wait()
        made.append(said)

    monkeypatch.setattr(contract_orders, "ACTS", {"review": reviews})
    answers: list[Path] = []
    for when, said in enumerate(("first", "last")):
        order = ContractOrder(act="review", contract=contract_of(ours).digest, body={"said": said})
        answers.append(leave_order(folder, f"{taken}-{1 - when}", order))
        file = answers[-1].with_suffix(".json")
        os.utime(file, (when, when))
        if taken:
            file.rename(file.with_suffix(".taken"))
    looks = world.loop.create_task(orders.run())
    world.settle(5)
    fetched.set()
    world.settle(5)
    looks.cancel()
    assert made == ["first", "last"]
    assert all(one.exists() for one in answers)


# --- what is in force


def progress(world: World) -> int:
    return world.provider.said().count("Progress")


def test_signs_of_life_come_as_often_as_an_amendment_asks(open_world: Open) -> None:
    """HIRE-LIF-24, HIRE-LAN-05: PT1H at first, then PT1M, without the work beginning again."""
    world, _ = working(open_world, heartbeat="PT1H")
    world.settle(300)
    assert progress(world) == 0
    amend(world, lambda terms: replace(terms, deadlines=replace(terms.deadlines, heartbeat="PT1M")))
    world.settle(300)
    assert 9 <= progress(world) <= 11


class UntilTold:
    """Work that is done when the test says so."""

    def __init__(self, *, fails: bool = False) -> None:
        self.told, self.fails = asyncio.Event(), fails

    async def __call__(self, job: Job) -> None:
        await self.told.wait()
        if self.fails:
            raise ValueError("it does not work")
        await job.deliver("summary.txt", b"done")


@pytest.mark.parametrize("comes", [True, False], ids=["sealed", "not-sealed"])
def test_a_delivery_waits_for_the_seal_of_what_was_accepted(open_world: Open, comes: bool) -> None:
    """HIRE-LAN-08: as long as a seal may take; then it overtakes that, and whoever offered takes the change back."""
    work = UntilTold()
    world, ours = working(open_world, work)
    hirer, provider = world.hirer, world.provider
    more = Price(amount="6", currency="EUR")
    world.run(hirer.changes.amend(ours, lambda terms: replace(terms, price=more)), 1)
    world.settle()
    theirs = provider.the()
    tabled = theirs.engagement.tabled
    assert tabled is not None
    world.cut = True
    world.run(provider.changes.accept(theirs, tabled.document), 1)
    work.told.set()
    grace = theirs.offered().terms.seal_grace
    assert grace == "PT2M"
    world.settle(110)
    assert theirs.engagement.in_doubt
    assert "Delivery" not in provider.said()
    if comes:
        world.cut = False
    else:
        world.settle(20)
        assert "Delivery" in provider.said()
        world.cut = False
    world.until("closed", ours.id)
    owed = more if comes else Price(amount="4", currency="EUR")
    assert [owed_price(one, one.engagement) for one in (ours, theirs)] == [owed, owed]


@pytest.mark.parametrize("comes", [True, False], ids=["sealed", "not-sealed"])
@pytest.mark.parametrize("after", ["work", "crash", "failure"])
def test_what_there_is_after_a_cancel_waits_for_the_seal_as_well(open_world: Open, after: str, comes: bool) -> None:
    """HIRE-LAN-08: any delivery takes a change from the table: of work that was stopped, of work that is not under way
    any more, and of work that failed.
    """
    work = UntilTold(fails=after == "failure")
    world, ours = working(open_world, work)
    hirer, provider = world.hirer, world.provider
    world.run(hirer.changes.amend(ours, lambda terms: replace(terms, price=Price(amount="6", currency="EUR"))), 1)
    world.settle()
    theirs = provider.the()
    tabled = theirs.engagement.tabled
    assert tabled is not None
    world.cut = True
    world.run(provider.changes.accept(theirs, tabled.document), 1)
    if after == "failure":
        work.told.set()
    else:
        world.run(hirer.changes.cancel(ours, seconds=600), 1)
        said = next(one for one in reversed(messages(hirer, ours.id)) if isinstance(one.message, Cancel))
        world.tell(said.raw, hirer.did, provider)
    if after == "crash":
        theirs = world.restart(provider).the()
        provider = world.provider
    world.settle(100)
    assert theirs.engagement.in_doubt
    assert "Delivery" not in [one.message.type for one in messages(provider, ours.id)]
    if not comes:
        world.settle(30)
        assert "Delivery" in [one.message.type for one in messages(provider, ours.id)]
    world.cut = False
    world.until("closed", ours.id)
    contracts = [one.engagement.contract for one in (ours, theirs)]
    assert [one is not None and one.in_force == tabled.document for one in contracts] == [comes, comes]
    assert not provider.worker.at_work, "what waited is over"


def test_the_gate_goes_by_the_scope_of_the_document_in_force(open_world: Open) -> None:
    """HIRE-LAN-05: at once, and not when somebody is told of the seal."""
    world, ours = working(open_world)
    gate, digest = world.provider.gate, contract_of(ours).digest
    before = ours.offered()
    assert gate.scope(digest, before) is gate.scope(digest, before)
    assert gate.scope(digest, before).grants
    less = replace(before, terms=replace(before.terms, scope=replace(before.terms.scope, grants=())))
    assert gate.scope(digest, less).grants == ()
    assert gate.scope(digest, before).grants


# --- work that is over


class Leaves:
    """Work whose first round leaves something behind that waits to act."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.came: list[tuple[str, str]] = []
        self.may_act, self.may_end = asyncio.Event(), asyncio.Event()
        self.left: asyncio.Task[None] | None = None

    async def __call__(self, job: Job) -> None:
        self.jobs.append(job)
        if job.round > 1:
            await asyncio.Event().wait()
        self.left = asyncio.get_running_loop().create_task(self._act(job))
        await job.deliver("summary.txt", b"done")
        await self.may_end.wait()

    async def _act(self, job: Job) -> None:
        await self.may_act.wait()
        try:
            async with job.act(ARTIFACT_READ, job.input("report").uri or ""):
                self.came.append(("done", ""))
        except ScopeError as error:
            self.came.append((error.code, str(error.detail["clause"])))


def test_what_work_left_behind_does_nothing_when_the_contract_works_again(open_world: Open) -> None:
    """HIRE-LIF-23: it waited in `act` for the contract to go on, which it does in another round with another job."""
    leaves = Leaves()
    world = open_world(handler=leaves)
    world.hirer.reviewers["summary"] = not_whole
    ours = world.begin(criteria={"whole": "nothing is missing"}, reworks=1)
    world.until("working", ours.id)
    world.run(world.hirer.changes.suspend(ours, seconds=600), 1)
    leaves.may_act.set()
    world.settle()
    assert "refused-action" in world.provider.the().facts  # it waits
    assert leaves.came == []
    leaves.may_end.set()
    world.settle()
    assert ours.engagement.state == "working"
    assert [job.round for job in leaves.jobs] == [1, 2]
    world.settle(120)
    assert leaves.came == [("contract_expired", "job")]


def test_a_job_that_has_ended_signs_nothing_and_hires_nobody(open_world: Open) -> None:
    """HIRE-LIF-23: what the handler left running holds a job that is over, while the contract is worked on."""
    jobs: list[Job] = []

    async def works(job: Job) -> None:
        jobs.append(job)
        await asyncio.Event().wait()

    world, ours = working(open_world, works)
    (job,) = jobs
    job.ends()
    with pytest.raises(ScopeError) as refused:
        world.run(job.sign("GET", "https://acme.example/artifacts/x"), 1)
    assert (refused.value.code, ours.engagement.state) == ("contract_expired", "working")
    with pytest.raises(ScopeError) as nobody:
        job.hire(world.hirer.did, task="summary", price="1 EUR")
    assert nobody.value.code == "contract_expired"


# --- looks


@pytest.mark.parametrize("number", [0, 1])
def test_a_look_at_a_healthy_contract_takes_no_turn(
    open_world: Open, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Thousands of contracts are looked at all the time; one that was suspended for a credential goes on by a turn."""
    world, _ = working(open_world)
    node: Node = world.nodes[number]
    held, asked = node.the(), [0]
    ask = Conversation.ask

    async def counted(conversation: Conversation, make: Any) -> None:
        asked[0] += 1
        await ask(conversation, make)

    monkeypatch.setattr(Conversation, "ask", counted)
    stored = len(moves(node, held.id))
    for _ in range(3):
        world.run(node.status_watch.look(held), 1)
    assert (asked, len(moves(node, held.id))) == ([0], stored)


BILLS = [("SPDX 2.3", spdx, "bill.spdx.json"), ("CycloneDX 1.6", cyclonedx, "bill.cdx.json")]


@pytest.mark.parametrize(("sbom", "make", "name"), BILLS)
def test_a_bill_that_was_asked_for_is_checked(
    open_world: Open, sbom: str, make: Callable[[bytes], bytes], name: str
) -> None:
    """HIRE-ATT-09: it comes with the work and describes it; one of something else is rejected, as is none."""
    made: list[bytes | None] = [make(b"done"), make(b"something else"), None]

    async def delivers(job: Job) -> None:
        await job.deliver("summary.txt", b"done", media_type="text/plain")
        bill = made.pop(0)
        if bill is not None:
            await job.deliver(name, bill)

    world = open_world(handler=delivers)
    ends: list[tuple[str, str]] = []
    while made:
        ours = world.begin(sbom=sbom)
        world.until("closed", ours.id)
        told = dict(facts(world.hirer, ours.id)).get("rejected", "")
        ends.append((last(world.provider, ours.id, Review).verdict, told.partition(":")[0]))
    assert ends == [("accepted", ""), ("rejected", "digest_mismatch"), ("rejected", "digest_mismatch")]


@pytest.mark.parametrize(("sbom", "make", "name"), BILLS)
def test_a_bill_that_is_too_large_to_be_read_is_none(
    open_world: Open, sbom: str, make: Callable[[bytes], bytes], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SC-69: bills are read whole, so they have a limit of their own; what they describe has none by it."""
    limit = len(make(bytes(5000)))

    async def delivers(job: Job) -> None:
        await job.deliver("summary.txt", bytes(5000), media_type="text/plain")
        await job.deliver(name, make(bytes(5000)))

    world = open_world(handler=delivers)
    ends: list[tuple[str, str]] = []
    for most in (limit, limit - 1):
        monkeypatch.setattr("undersigned.attestation.bills.LIMITS", replace(LIMITS, max_bytes=most))
        ours = world.begin(sbom=sbom)
        world.until("closed", ours.id)
        told = dict(facts(world.hirer, ours.id)).get("rejected", "")
        ends.append((last(world.provider, ours.id, Review).verdict, told.partition(":")[0]))
    assert limit < 5000
    assert ends == [("accepted", ""), ("rejected", "too_large")]


def test_all_bills_of_a_delivery_have_a_limit_together(open_world: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """SC-69: the provider says how many there are, and what of a delivery is a bill."""
    bill = cyclonedx(b"done")

    async def delivers(job: Job) -> None:
        for name in ("summary.txt", "bill.cdx.json"):
            await job.deliver(name, bill, media_type="application/vnd.cyclonedx+json")

    world = open_world(handler=delivers)
    monkeypatch.setattr("undersigned.attestation.bills.MAX_BILLS_BYTES", 2 * len(bill) - 1)
    ours = world.begin(sbom="CycloneDX 1.6")
    world.until("closed", ours.id)
    assert dict(facts(world.hirer, ours.id))["rejected"].startswith("too_large: ")


def test_a_bill_that_nothing_here_reads_any_more_is_no_verdict(
    open_world: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An honest provider was told that its work is bad, and lost its price, because its hirer lacked a library."""

    async def delivers(job: Job) -> None:
        await job.deliver("summary.txt", b"done", media_type="text/plain")
        await job.deliver("bill.cdx.json", cyclonedx(b"done"))

    world = open_world(handler=delivers)
    with monkeypatch.context() as removed:
        bills._cyclonedx_schema.cache_clear()
        removed.setitem(sys.modules, "cyclonedx.schema", None)
        ours = world.begin(sbom="CycloneDX 1.6")
        world.settle(30)
        assert folded(world.hirer, ours.id).state == "delivered"
        assert "undersigned[prov]" in dict(facts(world.hirer, ours.id))["review-failed"]
    world.until("closed", ours.id)
    assert last(world.provider, ours.id, Review).verdict == "accepted"


def test_a_bill_that_cannot_be_checked_is_not_asked_for(open_world: Open) -> None:
    world = open_world()
    with pytest.raises(ConfigurationError, match=r"CycloneDX 1\.6 or SPDX 2\.3"):
        world.order(sbom="SPDX 3.0")


ROOT = Authority()


def test_media_carry_the_contract_that_they_were_made_under(open_world: Open) -> None:
    """HIRE-ATT-10: the manifest is by a certificate of the contract's anchors and by the provider, or rejected."""
    signers = [ROOT.signer(), Authority("Other").signer(), None]

    async def draws(job: Job) -> None:
        signer = signers.pop(0)
        if signer is None:
            await job.deliver("summary.txt", png(), media_type="image/png")
        else:
            with pytest.raises(FormatError, match="say what it is with media_type in what is offered"):
                await job.deliver_media("summary.txt", png(), signer)
            await job.deliver_media("summary.txt", png(), signer, media_type="image/png")

    world = open_world(handler=draws)
    ends: list[tuple[str, str]] = []
    pem = x509.load_der_x509_certificate(ROOT.der).public_bytes(Encoding.PEM)
    while signers:
        ours = world.begin(c2pa=[pem])
        world.until("closed", ours.id)
        told = dict(facts(world.hirer, ours.id)).get("rejected", "")
        ends.append((last(world.provider, ours.id, Review).verdict, told.partition(":")[0]))
    assert ends == [("accepted", ""), ("rejected", "attester_not_trusted"), ("rejected", "digest_mismatch")]
    made = last(world.hirer, ours.id, Delivery).contract
    assert ours.offered().terms.evidence.anchors == (digest_bytes(ROOT.der),)
    (first, *_) = world.hirer.kept.engagements()
    picture = last(world.hirer, first, Delivery)
    read = read_manifest(world.run(world.hirer.artifacts.get(picture.artifacts[0].digest)), "image/png", [ROOT.der])
    assert read.assertion is not None
    assert (read.assertion.contract, read.assertion.agent) == (picture.contract, world.provider.did)
    assert picture.contract != made


def test_what_the_terms_call_a_picture_is_one_whatever_it_is_delivered_as(open_world: Open) -> None:
    """HIRE-ATT-10: with a picture beside it that has its manifest, the one that was hired for needed none."""

    async def draws(job: Job) -> None:
        await job.deliver("summary.txt", png(), media_type="application/octet-stream")
        await job.deliver_media("beside.png", png(), ROOT.signer(), media_type="image/png")

    world = open_world(handler=draws)
    pictures = [Deliverable(name=name, media_type="image/png", criteria=()) for name in ("summary.txt", "beside.png")]
    ours = world.begin(replace(world.order(c2pa=[]), deliverables=tuple(pictures)))
    world.until("closed", ours.id)
    assert dict(facts(world.hirer, ours.id))["rejected"].startswith("digest_mismatch: ")


def test_a_picture_of_another_contract_is_none_of_this(open_world: Open) -> None:
    """SC-66 inside the media: the same picture, made under the first contract, fulfils nothing under the second."""
    kept: list[bytes] = []

    async def draws(job: Job) -> None:
        if kept:
            await job.deliver("summary.txt", kept[0], media_type="image/png")
            return
        digest = await job.deliver_media("summary.txt", png(), ROOT.signer(), media_type="image/png")
        kept.append(await job._agent.artifacts.get(digest))

    world = open_world(handler=draws)
    codes: list[str] = []
    for _ in range(2):
        ours = world.begin(c2pa=[])
        world.until("closed", ours.id)
        codes.append(dict(facts(world.hirer, ours.id)).get("rejected", "").partition(":")[0])
    assert codes == ["", "attestation_binding"]


def test_anchors_are_certificates(open_world: Open) -> None:
    world = open_world()
    with pytest.raises(ConfigurationError, match="certificates in PEM"):
        world.order(c2pa=[b"no certificate"])
    pem = x509.load_der_x509_certificate(ROOT.der).public_bytes(Encoding.PEM)
    anchors = [world.order(c2pa=[given]).anchors for given in (pem, pem.decode())]
    assert anchors == [(digest_bytes(ROOT.der),)] * 2, "text of that form is no name of a file"


def test_orders_lie_where_nobody_else_leaves_any(tmp_path: Path) -> None:
    """They need no signature, as only who has the keys can leave one: whatever files may be by default, and whoever may
    look into a state folder that its owner made.
    """
    before = os.umask(0)
    try:
        leave_order(tmp_path / "orders", "one", ContractOrder(act="suspend", contract=digest_bytes(b"")))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "orders").stat().st_mode) == 0o700


@pytest.mark.parametrize("error", [ConfigurationError("key_unavailable", "the key is away"), OSError("away")])
@pytest.mark.parametrize("what", ["statement", "move"])
def test_a_delivery_that_cannot_be_signed_now_is_sent_later(
    open_world: Open, monkeypatch: pytest.MonkeyPatch, what: str, error: Exception
) -> None:
    """The service that keeps the key is away for a moment: what was made was lost, and nobody paid for it."""
    made = 0

    async def works(job: Job) -> None:
        nonlocal made
        made += 1
        await job.deliver("summary.txt", b"done", media_type="text/plain")

    world = open_world(handler=works)
    left = away_twice(monkeypatch, world.provider, what, "Delivery", error)
    ours = world.begin()
    world.settle(60)
    assert not left
    assert made == 1
    assert last(world.hirer, ours.id, Delivery).outcome == "complete"


def test_work_goes_on_where_a_sign_of_life_cannot_be_signed(open_world: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-LIF-24: the service that keeps the key is away for a moment: the work was ended, and told as failed."""
    leave, say, left = asyncio.Event(), Conversation._say, 1

    async def works(job: Job) -> None:
        await leave.wait()
        await job.deliver("summary.txt", b"done", media_type="text/plain")

    world, ours = working(open_world, works)

    async def says(self: Conversation, turn: Any, said: Any) -> None:
        nonlocal left
        if said.type == "Progress":
            left -= 1
            if left >= 0:
                raise ConfigurationError("key_unavailable", "the key is away")
        await say(self, turn, said)

    monkeypatch.setattr(Conversation, "_say", says)
    world.settle(60)
    assert left < 0, "given again"
    assert ours.engagement.state == "working"
    world.loop.call_soon(leave.set)
    world.settle(5)
    assert last(world.hirer, ours.id, Delivery).outcome == "complete"


def test_nothing_of_what_was_begun_is_kept_once_it_is_over(open_world: Open) -> None:
    """A peer runs for months: what each contract left would be all of them."""

    async def works(job: Job) -> None:
        async with job.act("pay:order", "https://shop.example/orders"):
            await job.deliver("summary.txt", b"done", media_type="text/plain")

    async def yes(_: object) -> bool:
        return True

    world = open_world(handler=works)
    world.hirer.changes.answers.by["summary"] = yes
    ours = world.begin(scope=Scope(grants=(Grant("pay", "pay:order", "https://shop.example/*", approval=True),)))
    world.until("closed", ours.id)
    assert last(world.hirer, ours.id, Approval).granted
    world.settle(24 * 3600)
    assert not world.provider.conversations
    assert not world.provider.worker._begun
    assert not world.hirer.reviews._begun
    assert not world.hirer.changes.answers._begun
