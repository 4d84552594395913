"""One engagement while it runs: what it stores, sends, repeats and answers, whatever fails around it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from issuing import issued
from runtimes import FIRST_LINE, KeptLedger, Node, World, facts, folded, last, lingers, messages, moves
from undersigned.contract import countersigned
from undersigned.credentials import Accusation, read_credential
from undersigned.did import DidDocument
from undersigned.encoding import (
    Digest,
    EngagementId,
    base64url_encode,
    canonicalize,
    digest_bytes,
    digest_from_hash,
    from_struct,
    parse_duration,
    seconds_between,
    shift,
)
from undersigned.errors import ConfigurationError, CredentialError, LocalProtocolError, ScopeError, UndersignedError
from undersigned.evidence import verify_pack
from undersigned.ledger import Commit, Committed, Draw, Reservation
from undersigned.messages import (
    Acceptance,
    Closing,
    Delivery,
    Inclusion,
    Inquiry,
    LedgerPlace,
    Offer,
    Progress,
    Review,
    Seal,
    Withdraw,
    draft,
    recorded_message,
)
from undersigned.proof import CRYPTOSUITES
from undersigned.protocol import OTHER, pending
from undersigned.runtime import Conversation, Job, Say, equivocation_proof, export_pack, proved
from undersigned.runtime.agent.intake import MAX_INBOX
from undersigned.runtime.execution.job import run_handler
from undersigned.runtime.execution.reviewers import Reviewed
from undersigned.runtime.execution.work import contracts_to_deliver
from undersigned.testing import (
    Actor,
    HandClock,
    Party,
    acceptance,
    closing,
    inquiry,
    offer,
    problem,
    progress,
    receipt,
    review,
    seal,
    start,
    sync,
    terminate,
    withdraw,
)
from undersigned.testing import Say as Move
from undersigned.transparency import Frontier, checkpoint_text, contract_leaf, leaf_digest, leaf_hash, signed_note
from undersigned.transport import Allowance

Open = Callable[..., World]
WAITS = (
    *((0, "inquired"), (1, "profiled"), (0, "presented"), (1, "ready"), (0, "offered-by-hirer")),
    *((1, "offered-by-provider"), (0, "accepted-by-hirer"), (1, "sealed"), (0, "working"), (1, "delivered")),
    (0, "closing"),
)
"""Who waits in which state, in a hire in which the provider makes a counter-offer: 0 is the hirer."""
GRACE_SECONDS = 500
"""Longer than an offer holds, and its grace together."""


def story(node: Node, engagement: EngagementId) -> list[str]:
    return [row.type for row in moves(node, engagement)]


def over(world: World, engagement: EngagementId, state: str = "closed") -> None:
    """Both sides hold `state`, and have put the engagement away."""
    for node in world.nodes:
        summary = node.kept.summary_of(engagement)
        assert summary is not None
        assert (summary.state, summary.live) == (state, False)
        assert engagement not in node.conversations


def forge(world: World, node: Node, engagement: EngagementId, move: Move, **members: Any) -> bytes:
    """A move as the other side of `node` would sign it now."""
    held = folded(node, engagement)
    other = world.other(node)
    party = Party(OTHER[held.role], other.office.actor, node.office.actor, engagement, HandClock(world.clock.now()))
    party.engagement = replace(held, role=party.role, own=held.peer, peer=held.own, sent=held.got, got=held.sent)
    party.stored.update({message.digest: message for message in messages(node, engagement)})
    return party.actor.sign(move._replace(members=move.members | members).message(party), party.now).raw


class Counting(KeptLedger):
    """Fails at one commit, by number."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.at = 0
        self.how = "refused"

    async def commit(self, commit: Commit) -> Committed:
        self.count += 1
        if self.count == self.at:
            self.failures.append(self.how)
        return await super().commit(commit)


# --- the order of things


def test_a_hire_runs_by_itself(open_world: Open) -> None:
    """So the failures below are for the reason they name."""
    world = open_world()
    name = world.begin(opening="3 EUR").id
    over(world, name)
    assert story(world.hirer, name) == [
        *("Inquiry", "Profile", "Presentation", "Presentation", "Offer", "Offer", "Acceptance", "Seal"),
        *("Start", "Delivery", "Review", "Closing", "Closing"),
    ]
    assert {row.digest for row in moves(world.hirer, name)} == {row.digest for row in moves(world.provider, name)}
    assert last(world.hirer, name, Delivery).artifacts[0].digest == digest_bytes(FIRST_LINE)


def test_nothing_is_sent_before_it_is_stored(open_world: Open) -> None:
    """HIRE-CHN-03 and the order of storing and sending: whoever has it from us finds it in our ledger."""
    seen: list[str] = []
    world = open_world()
    carried = world.carry

    def carry(sender: Node, recipient: str, raw: bytes) -> bool:
        said = recorded_message(raw)
        if not said.message.notice:
            stored = {row.digest: row.raw for row in moves(sender, said.message.engagement)}
            assert stored[said.digest] == raw
            seen.append(said.message.type)
        return carried(sender, recipient, raw)

    world.carry = carry  # type: ignore[method-assign]
    world.begin()
    assert {"Inquiry", "Offer", "Acceptance", "Seal", "Delivery", "Closing"} <= set(seen)


@pytest.mark.parametrize("how", ["refused", "full", "unknown"])
@pytest.mark.parametrize("side", [0, 1], ids=["hirer", "provider"])
@pytest.mark.parametrize("number", range(1, 11))
def test_sc_86_one_commit_that_fails_stops_nothing(number: int, side: int, how: str, open_world: Open) -> None:
    """SC-86, SC-87, SC-91: refused, on a full disk, or written though the store said no. Nothing is acknowledged that
    is not stored, nothing is decided twice, and the hire goes on by itself."""
    world = open_world()
    ledger = Counting()
    ledger.at, ledger.how = number, how
    world.ledgers = (ledger, world.ledgers[1]) if side == 0 else (world.ledgers[0], ledger)
    world.restart(world.nodes[side])
    order = world.order(opening="3 EUR")
    begun = world.run(world.hirer.begin(order), 10)
    world.settle(30)
    over(world, begun.id)
    assert story(world.hirer, begun.id)[-3:] == ["Review", "Closing", "Closing"]
    assert {row.digest for row in moves(world.hirer, begun.id)} == {
        row.digest for row in moves(world.provider, begun.id)
    }
    for node in world.nodes:
        assert len({row.sequence for row in moves(node, begun.id) if row.sender == node.did}) == len(
            [row for row in moves(node, begun.id) if row.sender == node.did]
        )


def test_while_the_store_takes_nothing_nothing_is_said(open_world: Open) -> None:
    """SC-86: the peer hears neither answer nor receipt; once the store is back, it does."""
    world = open_world()
    world.provider.kept.failures.extend(["refused"] * 5)
    name = world.begin().id
    assert world.provider.kept.engagements() == ()
    assert [parcel for parcel in world.network.sent if parcel.sender == world.provider.did] == []
    world.settle(10)
    over(world, name)


def test_a_store_that_takes_nothing_is_logged_less_and_less(open_world: Open) -> None:
    """Each engagement asks each second, for as long as the disk is full; and once it is written again, that is said."""
    world = open_world()
    world.provider.kept.failures.extend(["full"] * 40)
    with capture_logs() as told:
        name = world.begin().id
        world.settle(60)
    over(world, name)
    lines = [(line["event"], line.get("times", line.get("refused"))) for line in told if "the store" in line["event"]]
    assert lines == [
        *(("the store does not take it", times) for times in (1, 2, 4, 8, 16, 32)),
        ("the store takes it again", 40),
    ]


def test_what_failed_for_a_defect_is_told_and_stops_nothing(open_world: Open) -> None:
    """An application's request that breaks is an error for who asked, and the engagement goes on."""
    world = open_world(held=True)
    conversation = world.begin()

    def broken(_: Any) -> Say:
        return Say("Withdraw", {"reason": object()})

    with pytest.raises(UndersignedError):
        world.run(conversation.ask(broken), 5)
    world.until("closed", conversation.id)


def test_what_came_is_stored_though_it_cannot_be_answered(open_world: Open) -> None:
    """HIRE-CHN-03: a key that cannot be used for a while keeps a start from being said, and not the seal before it from
    being recorded when it came.
    """
    world = open_world(held=True)
    name = world.begun("accepted-by-hirer", world.hirer, opening="3 EUR")
    identity = world.hirer.identity

    async def locked(_: bytes) -> bytes:
        raise UndersignedError("internal", "the key is locked")

    world.hirer.shell.identity = replace(identity, sign=locked)
    world.until("sealed", name, world.hirer)
    assert story(world.hirer, name)[-1] == "Seal"
    world.hirer.shell.identity = identity
    world.until("closed", name)


def test_what_has_no_other_way_out_is_decided_again(open_world: Open) -> None:
    """Books that cannot be closed while whoever pays is away: nobody ends that by saying something else."""
    world = open_world(held=True)
    name = world.begun("working", world.hirer, opening="3 EUR")
    word, since, asked = world.hirer.settlements.word, world.loop.time(), list[float]()

    async def away(*about: Any, **_: Any) -> Any:
        asked.append(world.loop.time() - since)
        if asked[-1] < 20:
            raise UndersignedError("unreachable", "later")
        return await word(*about)

    world.hirer.settlements.word = away  # type: ignore[method-assign]
    world.deliver_all()
    world.settle(10)
    assert story(world.hirer, name).count("Closing") == 1, "the provider's"
    world.settle(60)
    assert story(world.hirer, name).count("Closing") == 2
    assert 3 <= len(asked) <= 8, asked
    world.until("closed", name)


@pytest.mark.parametrize(("side", "deadline"), [("hirer", "close"), ("provider", "review")])
def test_a_closing_is_owed_beyond_its_time(side: str, deadline: str, open_world: Open) -> None:
    """Nothing ends that debt but the closing, however late payment can be asked for again."""
    world = open_world(held=True)
    name = world.begun("working" if side == "hirer" else "delivered", world.nodes[side == "provider"], opening="3 EUR")
    node, offer = world.nodes[side == "provider"], folded(world.provider, name).offer
    assert offer is not None
    late = parse_duration(getattr(offer.terms.deadlines, deadline)) + 30
    word, since, asked = node.settlements.word, world.loop.time(), list[float]()

    async def away(*about: Any, **_: Any) -> Any:
        asked.append(world.loop.time() - since)
        if asked[-1] < late:
            raise UndersignedError("unreachable", "later")
        return await word(*about)

    node.settlements.word = away  # type: ignore[method-assign]
    if side == "hirer":
        world.deliver_all()
    world.settle(late + 400)
    assert any(row.type == "Closing" and row.sender == node.did for row in moves(node, name))


def test_who_repeats_its_acceptance_does_not_have_us_look_up_more_often(open_world: Open) -> None:
    """The pauses are counted from the first attempt, and not from what the other side says."""
    world = open_world(held=True)
    name = world.begun("accepted-by-hirer", world.hirer, opening="3 EUR")
    asked = looked_up(world, world.provider, 1e9)
    world.deliver_all()
    raw = next(row.raw for row in moves(world.hirer, name) if row.type == "Acceptance")
    for _ in range(310):
        world.deliver(raw, world.hirer.did, world.provider.did)
        world.settle(1)
    assert last(world.provider, name, Withdraw).reason == "status_unavailable"
    assert 8 <= len(asked) <= 12, asked


def test_a_seal_that_waits_over_a_restart_is_asked_for_soon(open_world: Open) -> None:
    """However long ago the acceptance came: whoever starts anew begins with short pauses."""
    world = open_world(held=True)
    name = world.begun("accepted-by-hirer", world.hirer, opening="3 EUR")
    looked_up(world, world.provider, 1e9)
    world.deliver_all()
    world.settle(130)
    world.run(world.provider.close(), 1)
    offer = folded(world.provider, name).offer
    assert offer is not None
    world.settle(seconds_between(world.clock.now(), offer.valid_until) - 45)
    asked = looked_up(world, world.restart(world.provider), 3)
    world.settle(10)
    assert "Seal" in story(world.provider, name)
    assert len(asked) <= 3, asked


def test_what_failed_before_and_was_mended_lengthens_no_pause(open_world: Open) -> None:
    """Each begins with short pauses anew."""
    world = open_world(held=True)
    name = world.begun("accepted-by-hirer", world.hirer, opening="3 EUR")
    asked = looked_up(world, world.provider, 40)
    world.deliver_all()
    world.settle(70)
    assert "Seal" in story(world.provider, name)
    assert len(asked) > 3
    identity, tried = world.provider.identity, list[float]()

    async def locked(raw: bytes) -> bytes:
        tried.append(world.loop.time())
        if len(tried) < 3:
            raise UndersignedError("internal", "the key is locked")
        return await identity.sign(raw)

    world.provider.shell.identity = replace(identity, sign=locked)
    world.until("closed", name)
    assert tried[1] - tried[0] < 5, tried


def test_the_last_look_before_a_seal_leaves_it_its_time(open_world: Open) -> None:
    """HIRE-NEG-14: what comes back only then is seen, and the seal is said before what is held for it is free."""
    world = open_world(held=True)
    name = world.begun("accepted-by-hirer", world.hirer, opening="3 EUR")
    offer = folded(world.provider, name).offer
    assert offer is not None
    left = seconds_between(world.clock.now(), offer.valid_until)
    asked = looked_up(world, world.provider, left - 12)
    world.deliver_all()
    world.settle(left + 5)
    (seal,) = [row for row in moves(world.provider, name) if row.type == "Seal"]
    assert seal.at < offer.valid_until
    assert any(left - 12 <= at <= left - 9 for at in asked), asked


def unsure(node: Node) -> None:
    """From now on what speaks for the other side cannot be looked up."""
    beliefs = node.meeting.beliefs
    settled = beliefs.settled

    async def unsettled(asked: Any, *, max_age_seconds: float) -> Any:
        found = await settled(asked, max_age_seconds=max_age_seconds)
        return found._replace(answers=replace(found.answers, authority=()), away=True)

    beliefs.settled = unsettled  # type: ignore[method-assign]


@pytest.mark.parametrize("away", [False, True])
def test_what_is_revoked_ends_though_something_else_is_away(away: bool, open_world: Open) -> None:
    """HIRE-STA-09: whoever keeps one accreditor's list down keeps nobody's contract alive."""
    world = open_world(held=True)
    name = world.begun("working", world.hirer, opening="3 EUR")
    meeting = world.hirer.meeting

    async def lists(credentials: Any, **_: Any) -> Any:
        raise CredentialError("revoked", "by its issuer", credential=credentials[0].digest)

    if away:
        unsure(world.hirer)
        with pytest.raises(CredentialError) as caught:
            world.run(meeting.stands(world.hirer.the(name)), 5)
        assert caught.value.code == "status_unavailable"
    world.hirer.statuses.lists = lists  # type: ignore[method-assign]
    with pytest.raises(CredentialError) as caught:
        world.run(meeting.stands(world.hirer.the(name)), 5)
    assert caught.value.code == "revoked"


@pytest.mark.parametrize("refused", [False, True])
def test_a_no_that_stays_one_is_said_at_once(refused: bool, open_world: Open) -> None:
    """HIRE-NEG-16: whatever is away beside it; what may turn is waited for."""
    world = open_world(held=True)
    name = world.begun("accepted-by-hirer", world.hirer, opening="3 EUR")
    meeting = world.provider.meeting
    unsure(world.provider)
    if refused:
        meeting.policy = replace(meeting.policy, currency="EUR", min_price="99")
    world.deliver_all()
    world.settle(5)
    assert ("Withdraw" in story(world.provider, name)) == refused
    if refused:
        assert last(world.provider, name, Withdraw).reason == "revoked"


def test_nobody_is_called_revoked_for_a_defect_of_ours(open_world: Open) -> None:
    """HIRE-NEG-16: a token for a registry that cannot be read says nothing of whoever accepted."""
    world = open_world(held=True)
    name = world.begun("accepted-by-hirer", world.hirer, opening="3 EUR")

    async def consult(_: Any) -> bool:
        raise ConfigurationError("key_unavailable", "the token of the registry cannot be read")

    beliefs = world.provider.meeting.beliefs
    beliefs.asks_registries, beliefs.consult = True, consult  # type: ignore[method-assign]
    world.deliver_all()
    world.settle(5)
    assert last(world.provider, name, Withdraw).reason == "status_unavailable"


def test_an_inquiry_that_comes_again_while_it_is_refused_opens_an_engagement(open_world: Open) -> None:
    """One that is looked after: its deadlines count, and it goes on after a restart."""
    world = open_world(held=True)
    name = world.begin(opening="3 EUR").id
    check, asked = world.provider.shell.check, list[str]()

    async def busy(*received: Any) -> Any:
        asked.append(name)
        if len(asked) == 1:
            await asyncio.sleep(1)
            raise UndersignedError("overloaded", "later")
        return await check(*received)

    world.provider.shell.check = busy
    parcel = world.network.sent[0]
    for _ in range(2):
        world.deliver(parcel.raw, parcel.sender, parcel.recipient)
        world.settle(0.2)
    world.settle(3)
    assert story(world.provider, name) == ["Inquiry", "Profile"]
    summary = world.provider.kept.summary_of(name)
    assert summary is not None
    assert summary.live
    assert name in world.provider.conversations
    world.until("closed", name)


def test_what_is_put_away_twice_takes_no_other_with_it(open_world: Open) -> None:
    """What came during the last turn is answered after it was put away; until then more may have come."""
    world = open_world(held=True)
    begun = world.begin(opening="3 EUR")
    world.until("sealed", begun.id, world.provider)
    seen = world.provider.the(begun.id)
    summary = world.provider.kept.summary_of(begun.id)
    assert summary is not None
    assert summary.contract is not None
    world.provider.shell.finished(seen)
    again = world.run(Conversation.stored(world.provider.shell, summary))
    world.provider.conversations[begun.id] = again
    world.provider.conversations.bind(summary.contract, begun.id)
    world.provider.shell.finished(seen)
    assert world.provider.conversations[begun.id] is again
    assert world.provider.conversations.contracts.get(summary.contract) is again


def test_what_is_stored_and_could_not_be_answered_is_tried_again(open_world: Open) -> None:
    """The peer has its receipt and says nothing again, so a trouble of ours that passes must not last until the offer
    has expired.
    """
    world = open_world(held=True)
    name = world.begun("offered-by-hirer", world.hirer, opening="3 EUR")
    decide, tries = world.provider.shell.decide, list[str]()

    async def broken(*_: Any) -> Say | None:
        tries.append(world.clock.now())
        raise OSError("no descriptors left")

    world.provider.shell.decide = broken  # type: ignore[method-assign]
    for _ in range(90):
        if not world.next_parcel():
            world.settle(1)
    assert story(world.provider, name)[-1] == "Offer"
    assert len(tries) < 12
    offered = last(world.hirer, name, Offer)
    world.provider.shell.decide = decide  # type: ignore[method-assign]
    world.until("closed", name)
    assert [row.type for row in moves(world.provider, name)].count("Offer") == 2
    answered = [row.at for row in moves(world.provider, name) if row.type == "Offer"][1]
    assert answered < offered.valid_until


# --- restarts


@pytest.mark.parametrize(("side", "state"), WAITS)
def test_a_restart_goes_on_from_every_state(side: int, state: str, open_world: Open) -> None:
    """HIRE-OVR-01, HIRE-LIF-13: what was pending is pending again, and the hire ends as it would have."""
    world = open_world(held=True)
    name = world.begin(opening="3 EUR").id
    node = world.nodes[side]
    world.until(state, name, node)
    asked = pending(folded(node, name), world.clock.now())
    again = world.restart(node)
    assert again is not node
    loaded = again.the(name).engagement
    assert (loaded.state, loaded.sent, loaded.got) == (state, folded(node, name).sent, folded(node, name).got)
    assert asked == pending(folded(again, name), world.clock.now())
    world.reconnect()
    world.until("closed", name)
    assert story(world.hirer, name).count("Acceptance") == 1
    assert story(world.hirer, name).count("Seal") == 1
    assert len(moves(world.provider, name)) == 13


def test_a_closing_counts_what_was_recorded_also_before_a_restart(open_world: Open) -> None:
    """HIRE-PCK-10: the decisions and refusals of each side's journal, equal ones once."""

    async def work(job: Job) -> None:
        for place in range(3):
            with pytest.raises(ScopeError):
                async with job.act("artifact:read", f"https://acme.example/payroll/{place}"):
                    pass
        if job.cursor is None:
            await job.progress(cursor="refused")
            await asyncio.Event().wait()
        await job.deliver("summary.txt", b"without the payroll")

    world = open_world(handler=work)
    name = world.begin().id
    world.restart(world.provider)
    world.settle(10)
    over(world, name)
    for node in world.nodes:
        noted = {(row.type, row.raw) for row in node.kept.journal(name) if row.kind == "noted"}
        counts = {of: sum(type == of for type, _ in noted) for of in ("decision", "refused-action")}
        closings = [one.message for one in messages(node, name) if isinstance(one.message, Closing)]
        (said,) = [one.recorded for one in closings if one.sender == node.did]
        assert said is not None
        assert {"decision": said.decisions, "refused-action": said.refusals} == counts
        assert counts["decision"] > 0
    assert counts["refused-action"] >= 3


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("side", [0, 1], ids=["hirer", "provider"])
@pytest.mark.parametrize("number", range(1, 9))
def test_sc_84_a_process_that_ends_at_a_commit(number: int, side: int, when: str, open_world: Open) -> None:
    """SC-84, SC-85: before it was written or before it was answered; another process goes on."""
    world = open_world(held=True)
    name = world.begin(opening="3 EUR").id
    for _ in range(2 * number):
        world.next_parcel()
    node = world.nodes[side]
    node.kept.dies = when
    for _ in range(6):
        world.next_parcel()
    world.restart(node)
    world.reconnect()
    world.until("closed", name)
    assert {row.digest for row in moves(world.hirer, name)} == {row.digest for row in moves(world.provider, name)}


def test_work_goes_on_from_its_cursor(open_world: Open) -> None:
    """HIRE-LIF-15: the next attempt gets what the last one kept."""
    seen: list[str | None] = []

    async def work(job: Job) -> None:
        seen.append(job.cursor)
        if job.cursor is None:
            await job.progress(cursor="chapter 3", percent=50)
            await asyncio.Event().wait()
        await job.deliver("summary.txt", b"from chapter 3")

    world = open_world(handler=work)
    name = world.begin().id
    assert folded(world.provider, name).state == "working"
    world.restart(world.provider)
    world.settle(10)
    assert seen == [None, "chapter 3"]
    over(world, name)
    assert story(world.provider, name).count("Delivery") == 1


def test_what_a_job_says_too_often_is_told_in_its_time(open_world: Open) -> None:
    """HIRE-LIM-04: at once what comes first, after 5 seconds the newest of what came since; a cursor is kept."""

    async def work(job: Job) -> None:
        if job.cursor is None:
            for chapter in range(1, 9):
                await job.progress(cursor=f"chapter {chapter}", percent=10 * chapter)
            await job.progress(note="the last one")
            await asyncio.Event().wait()
        await job.deliver("summary.txt", job.cursor.encode())

    world = open_world(handler=work)
    name = world.begin().id

    def heard() -> list[tuple[int, str | None, int | None, str | None]]:
        said = [event.message for event in world.hirer.events if isinstance(event.message, Progress)]
        return [(one.number, one.cursor, one.percent, one.note) for one in said]

    first = (1, "chapter 1", 10, None)
    assert heard() == [first]
    contract = folded(world.provider, name).contract
    assert contract is not None
    assert contract.cursor == "chapter 8"
    world.settle(6)
    assert heard() == [first, (2, "chapter 8", 80, "the last one")]
    world.restart(world.provider)
    world.settle(10)
    over(world, name)


def test_signs_of_life_that_come_too_often_are_dropped(open_world: Open) -> None:
    """HIRE-LIM-01, HIRE-LIM-04: two may come close to each other; more are read no further and told to nobody."""

    async def work(job: Job) -> None:
        await asyncio.Event().wait()

    world = open_world(handler=work)
    name = world.begin().id
    world.settle(20)
    said = len(world.network.sent)
    before = folded(world.hirer, name).contract
    assert before is not None
    for number in range(1, 60):
        raw = forge(world, world.hirer, name, progress(), number=before.progress + number)
        world.deliver(raw, world.provider.did, world.hirer.did)
    world.settle(1)
    after = world.hirer.the(name).engagement.contract
    assert after is not None
    assert after.progress == before.progress + 2
    assert len(world.network.sent) == said
    world.settle(5)
    world.deliver(forge(world, world.hirer, name, progress(), number=100), world.provider.did, world.hirer.did)
    world.settle(1)
    assert world.hirer.the(name).engagement.contract.progress == 100


def test_sc_93_what_is_over_is_not_loaded_again(open_world: Open) -> None:
    world = open_world()
    name = world.begin().id
    again = world.restart(world.provider)
    assert again.conversations == {}
    assert again.kept.engagements() == (name,)


# --- repeats and receipts


def test_a_repeat_gets_the_stored_answer_and_is_no_line_of_the_journal(open_world: Open) -> None:
    """HIRE-CHN-04, SC-37: each message of a finished hire again, as often as anybody likes."""
    world = open_world()
    name = world.begin(opening="3 EUR").id
    before = [node.kept.journal(name) for node in world.nodes]
    commits = [node.kept.counters.commits for node in world.nodes]
    for parcel in tuple(world.network.sent) * 3:
        world.deliver(parcel.raw, parcel.sender, parcel.recipient)
        world.settle()
    assert [node.kept.journal(name) for node in world.nodes] == before
    assert [node.kept.counters.commits for node in world.nodes] == commits
    over(world, name)


def test_a_repeat_is_answered_by_a_receipt_first(open_world: Open) -> None:
    """Two sides that repeat to each other stop, since each then knows that the other has it."""
    world = open_world(held=True)
    name = world.begin().id
    (sent,) = world.network.sent
    for _ in range(2):
        world.deliver(sent.raw, sent.sender, sent.recipient)
        world.settle()
    types = [recorded_message(p.raw).message.type for p in world.network.sent if p.sender == world.provider.did]
    assert types == ["Profile", "Receipt", "Profile"]
    assert world.provider.the(name).engagement.state == "profiled"


def test_what_has_no_answer_is_said_again_until_it_has(open_world: Open) -> None:
    """HIRE-CHN-06: the same bytes, at growing intervals, from the oldest on."""
    world = open_world(held=True)
    world.begin()
    world.settle(4)
    assert len(world.network.sent) == 1
    world.settle(1)
    assert len(world.network.sent) == 2
    world.settle(14)
    assert len(world.network.sent) == 2
    world.settle(1)
    assert len(world.network.sent) == 3
    assert len({parcel.raw for parcel in world.network.sent}) == 1


def test_a_move_whose_proof_has_ended_is_signed_again(open_world: Open) -> None:
    """Rule C9: the same content, the same id and digest, another proof; the peer takes it, and takes it once."""
    world = open_world(held=True, price="5 EUR")
    world.begun("accepted-by-provider", world.provider, opening="5 EUR")
    sent = next(p for p in world.network.sent if recorded_message(p.raw).message.type == "Acceptance")
    count = len(world.network.sent)
    world.settle(2 * 3600)
    # The acceptor is in doubt and has said nothing else since; it asks until it is told.
    said = [recorded_message(p.raw) for p in world.network.sent[count:] if p.sender == world.provider.did]
    again = [one for one in said if one.message.type == "Acceptance"]
    assert {one.digest for one in again} == {recorded_message(sent.raw).digest}
    assert again[-1].raw != sent.raw
    old, new = recorded_message(sent.raw).message.proof, again[-1].message.proof
    assert old is not None
    assert new is not None
    assert old.expires < new.expires


def test_a_receipt_is_due_after_a_second_without_an_answer(open_world: Open) -> None:
    """Rule C5: the answer is the receipt; a `Seal` has none, so its receipt is sent at once."""
    world = open_world()
    world.begin(opening="3 EUR")
    said = [(e.kind, e.type) for e in world.hirer.events]
    assert said[said.index(("received", "Seal")) + 1 :][:1] == [("sent", "Start")]
    notices = [e.type for e in world.provider.events if e.kind == "sent" and e.type == "Receipt"]
    assert len(notices) <= 3


# --- being connected


def test_a_connection_begins_with_where_we_stand(open_world: Open) -> None:
    """HIRE-SYN-01: a `Sync` of each engagement with this peer, and of nobody else's."""
    world = open_world(held=True)
    name = world.begun("profiled", world.provider)
    count = len(world.network.sent)
    world.reconnect()
    world.settle()
    said = [recorded_message(p.raw).message for p in world.network.sent[count:]]
    # The hirer has not heard of the provider yet, so it says again what opens the engagement.
    assert {(m.role, m.type, m.sequence) for m in said} == {("hirer", "Inquiry", 1), ("provider", "Sync", 1)}
    world.until("offered-by-hirer", name, world.hirer)
    count = len(world.network.sent)
    world.reconnect()
    world.settle()
    said = [recorded_message(p.raw).message for p in world.network.sent[count:]]
    assert {(m.role, m.type, m.sequence) for m in said} == {("hirer", "Sync", 3), ("provider", "Sync", 2)}


def test_who_was_never_heard_gets_what_opens_the_engagement(open_world: Open) -> None:
    """A `Sync` about an engagement that the peer does not know would be refused."""
    world = open_world(held=True)
    world.begin()
    count = len(world.network.sent)
    world.reconnect()
    world.settle()
    assert [recorded_message(p.raw).message.type for p in world.network.sent[count:]] == ["Inquiry"]


def test_what_the_peer_lacks_goes_to_it(open_world: Open) -> None:
    """HIRE-SYN-02: a `Sync` is answered by moves, the oldest first, and never by a `Sync`."""
    world = open_world(held=True)
    name = world.begun("closing", world.hirer)
    assert folded(world.provider, name).state == "delivered"
    count = len(world.network.sent)
    has = folded(world.hirer, name).sent[-3]
    world.deliver(forge(world, world.hirer, name, sync(), seen=has), world.provider.did, world.hirer.did)
    world.settle()
    said = [recorded_message(p.raw).message.type for p in world.network.sent[count:] if p.sender == world.hirer.did]
    assert said == ["Review", "Closing"]
    world.until("closed", name)


def test_a_sync_of_what_is_over_here_hears_that_we_have_everything(open_world: Open) -> None:
    """HIRE-SYN-02: by one `Receipt`, as long as the `Sync`; who asks learns it without waiting to repeat itself."""
    world = open_world(held=True)
    name = world.begun("closed")

    def live() -> list[Node]:
        return [node for node in world.nodes if (one := node.kept.summary_of(name)) is not None and one.live]

    while len(live()) == 2:
        assert world.next_parcel() or world.settle(1) is None
    (waits,) = live()
    count, at = len(world.network.sent), world.clock.now()
    world.asked = count  # what was under way is lost
    world.reconnect()
    world.settle()
    world.deliver_all()
    parcels = world.network.sent[count:]
    said = [(one.sender, recorded_message(one.raw).message.type) for one in parcels]
    assert said == [(waits.did, "Sync"), (world.other(waits).did, "Receipt")]
    assert len(parcels[1].raw) < len(parcels[0].raw) + 32, "nobody is made to send more than he is sent"
    assert not live()
    assert world.clock.now() == at


def test_a_sync_that_contradicts_us_changes_nothing(open_world: Open) -> None:
    """HIRE-SEC-02, HIRE-SEC-08: it is a notice, so nothing is said about it either."""
    world = open_world(held=True)
    name = world.begun("ready", world.provider)
    raw = forge(world, world.provider, name, sync(), previous=digest_bytes(b"another"))
    before, count = world.provider.the(name).engagement, len(world.network.sent)
    assert world.tell(raw, world.hirer.did, world.provider) == []
    assert world.provider.the(name).engagement == before
    assert len(world.network.sent) == count


# --- refusing


def test_a_refused_move_changes_nothing_and_its_sender_hears_why(open_world: Open) -> None:
    """HIRE-NEG-19, HIRE-SEC-02: state, journal and outbox are as before, and the `Problem` says for which move."""
    world = open_world(held=True)
    name = world.begun("ready", world.provider)
    raw = forge(world, world.provider, name, start())
    kept = world.provider.kept
    before = kept.journal(name), kept.waiting(name), world.provider.the(name).engagement.state
    count = len(world.network.sent)
    world.tell(raw, world.hirer.did, world.provider)
    assert (kept.journal(name), kept.waiting(name), world.provider.the(name).engagement.state) == before
    (answer,) = [recorded_message(p.raw).message for p in world.network.sent[count:]]
    assert answer.type == "Problem"
    assert (answer.of, answer.code) == (recorded_message(raw).digest, "wrong_state")  # type: ignore[attr-defined]
    world.until("closed", name)


def test_what_comes_while_the_end_is_stored_is_answered_and_keeps_nothing_alive(open_world: Open) -> None:
    """HIRE-NEG-19: it is refused after the last turn, and the engagement stays over."""
    late: list[bytes] = []

    class Ending(KeptLedger):
        async def commit(self, commit: Commit) -> Committed:
            if not commit.summary.live and late:
                world.deliver(late.pop(), world.hirer.did, world.provider.did)
                await asyncio.sleep(0)
            return await super().commit(commit)

    world = open_world(held=True)
    world.ledgers = (world.ledgers[0], Ending())
    world.restart(world.provider)
    name = world.begun("ready", world.provider)
    ends = forge(world, world.provider, name, withdraw("changed"))
    sequence, previous = len(folded(world.provider, name).got) + 2, recorded_message(ends).digest
    bad = forge(world, world.provider, name, start(), sequence=sequence, previous=previous)
    late.append(bad)
    world.tell(ends, world.hirer.did, world.provider)
    assert not late
    said = [recorded_message(one.raw).message for one in world.network.sent]
    answers = [one for one in said if one.type == "Problem"]
    assert [(one.of, one.code) for one in answers] == [(recorded_message(bad).digest, "wrong_state")]  # type: ignore[attr-defined]
    assert name not in world.provider.conversations
    tasks = [one for one in asyncio.all_tasks(world.loop) if one.get_name().startswith("engagement ")]
    assert len(tasks) == len(world.hirer.conversations) == 1


def test_an_acceptance_of_another_document_ends_the_negotiation(open_world: Open) -> None:
    """HIRE-NEG-11, rule N9: it is not recorded, and the offerer withdraws with `terms_mismatch`."""
    world = open_world(held=True)
    name = world.begun("offered-by-hirer", world.hirer, opening="5 EUR")
    raw = forge(world, world.hirer, name, acceptance(document=digest_bytes(b"other terms")))
    world.tell(raw, world.provider.did, world.hirer)
    assert folded(world.hirer, name).state == "withdrawn"
    assert last(world.hirer, name, Withdraw).reason == "terms_mismatch"
    assert "Acceptance" not in story(world.hirer, name)
    assert folded(world.hirer, name).contract is None


def note_of(actor: Actor, *leaves: bytes, origin: str = "") -> str:
    """What the actor signs as a checkpoint of a log of these leaves."""
    tree = Frontier()
    for leaf in leaves:
        tree.append(leaf_hash(leaf))
    text = checkpoint_text(origin or actor.did, tree.size, tree.root)
    note = signed_note(text, origin or actor.did, actor.public_key, actor._key.sign(text).signature)
    return "u" + base64url_encode(note.encode())


def shown(*path: bytes, index: int = 0, size: int = 2) -> Inclusion:
    """That a leaf of one byte stands there."""
    return Inclusion(
        leaf=leaf_digest(b"0"), index=index, size=size, path=tuple(digest_from_hash(leaf_hash(one)) for one in path)
    )


FALSE_NOTICES: dict[str, Callable[[Actor], Move]] = {
    "a Receipt with no note": lambda _: receipt(checkpoint="uAAAA"),
    "a Receipt with what is no base64": lambda _: receipt(checkpoint="uBB"),
    "a Receipt with a stranger's note": lambda _: receipt(checkpoint=note_of(Actor("stranger"), b"0")),
    "a Receipt with a stranger's signature": lambda by: receipt(checkpoint=note_of(Actor("x"), b"0", origin=by.did)),
    "a Receipt with another path": lambda by: receipt(checkpoint=note_of(by, b"0", b"1"), inclusion=shown(b"2")),
    "a Receipt with another place": lambda by: receipt(
        checkpoint=note_of(by, b"0", b"1"), inclusion=shown(b"1", index=1)
    ),
    "a Receipt with a proof of another size": lambda by: receipt(
        checkpoint=note_of(by, b"0", b"1"), inclusion=shown(size=1)
    ),
    "a Sync with no note": lambda _: sync(checkpoint="uAAAA"),
    "a Sync with a stranger's note": lambda _: sync(checkpoint=note_of(Actor("stranger"), b"0")),
}


@pytest.mark.parametrize("what", FALSE_NOTICES)
def test_a_notice_that_shows_a_false_log_is_not_recorded_and_spoils_no_pack(what: str, open_world: Open) -> None:
    """HIRE-LOG-03: its sender's word would stand in the evidence of whoever got it."""
    world = open_world(held=True)
    name = world.begun("accepted-by-provider", world.provider, opening="5 EUR")
    move = FALSE_NOTICES[what](world.hirer.office.actor)
    moved = folded(world.provider, name).sent[-1]
    of = {"of": (moved,)} if move.type == "Receipt" else {"seen": moved}
    before = world.provider.the(name).engagement
    world.tell(forge(world, world.provider, name, move, **of), world.hirer.did, world.provider)
    assert world.provider.the(name).engagement == before
    refused = [event for event in world.provider.events if event.kind == "refused"]
    assert [(event.type, event.code) for event in refused] == [(move.type, "log_proof_invalid")]
    world.until("closed", name)
    world.settle()
    for node in world.nodes:
        assert move.members.get("checkpoint") not in [
            getattr(message.message, "checkpoint", None) for message in messages(node, name)
        ]
        report = verify_pack(packed(world, node, name), now=world.clock.now())
        assert report.ok, report.steps


def packed(world: World, node: Node, engagement: EngagementId) -> bytes:
    return world.run(export_pack(node.ledger, node.artifacts, node.did, engagement), 5)


@pytest.mark.parametrize("members", [{"leaf": digest_bytes(b"another")}, {"log": "did:web:elsewhere.example"}])
def test_a_seal_that_states_a_false_place_is_refused(members: dict[str, Any], open_world: Open) -> None:
    """HIRE-LOG-02: it would make a contract whose evidence does not hold; the true one is taken afterwards."""
    world = open_world(held=True)
    name = world.begun("accepted-by-provider", world.provider, opening="5 EUR")
    said = last(world.provider, name, Acceptance)
    document = countersigned(from_struct(last(world.provider, name, Offer).document), said.contract_proof)
    place = {"log": world.hirer.did, "index": 0, "leaf": leaf_digest(contract_leaf(document))}
    raw = forge(world, world.provider, name, seal(ledger=LedgerPlace(**place | members)))
    count = len(world.network.sent)
    world.tell(raw, world.hirer.did, world.provider)
    held = folded(world.provider, name)
    assert held.in_doubt
    assert held.contract is None
    told = [recorded_message(one.raw).message for one in world.network.sent[count:]]
    assert [(one.type, one.of, one.code) for one in told if one.type == "Problem"] == [  # type: ignore[attr-defined]
        ("Problem", recorded_message(raw).digest, "log_proof_invalid")
    ]
    world.until("closed", name)


def test_equivocation_is_kept_as_proof_once(open_world: Open) -> None:
    """HIRE-CHN-05, SC-50: the first stands, both copies are kept, and more of the same fill nothing."""
    world = open_world(held=True)
    name = world.begun("ready", world.provider)
    held = folded(world.provider, name)
    forged = [
        forge(world, world.provider, name, withdraw(reason), sequence=len(held.got), previous=held.got[-2])
        for reason in ("declined", "changed", "capacity")
    ]
    for raw in forged:
        world.tell(raw, world.hirer.did, world.provider)
    assert folded(world.provider, name).got == held.got
    assert [fact for fact in facts(world.provider, name) if fact[0] == "equivocation"] == [
        ("equivocation", recorded_message(forged[0]).digest)
    ]
    blobs = [b for b in world.run(world.provider.ledger.evidence(name)) if b.kind == "equivocation"]
    assert [blob.raw for blob in blobs] == forged[:1]


def test_what_contradicts_itself_otherwise_is_no_equivocation(open_world: Open) -> None:
    """HIRE-CHN-05: `seen` that went back, another `previous`, or a position that is not so, are refused and no more;
    two moves in one place are still kept as proof after them.
    """
    world = open_world(held=True)
    name = world.begun("ready", world.provider)
    held = folded(world.provider, name)
    again = {"sequence": len(held.got), "previous": held.got[-2]}
    for raw in (
        forge(world, world.provider, name, withdraw("declined"), seen=None),
        forge(world, world.provider, name, withdraw("declined"), previous=held.got[0]),
        forge(world, world.provider, name, sync(), sequence=len(held.got), previous=held.got[0]),
    ):
        world.tell(raw, world.hirer.did, world.provider)
    refused = [event.code for event in world.provider.events if event.kind == "refused"]
    assert refused == ["conflicting_message"] * 3
    assert not [fact for fact in facts(world.provider, name) if fact[0] == "equivocation"]
    other = forge(world, world.provider, name, withdraw("declined"), **again)
    world.tell(other, world.hirer.did, world.provider)
    blobs = [b for b in world.run(world.provider.ledger.evidence(name)) if b.kind == "equivocation"]
    assert [blob.raw for blob in blobs] == [other]


def test_what_proves_an_equivocation_is_the_evidence_of_an_accusation(open_world: Open) -> None:
    """HIRE-TRU-27: of the two moves and nothing less; of nobody else; and not with a word changed."""
    world = open_world(held=True)
    name, body = world.begin().id, Actor("Body organisation")
    world.until("ready", name, world.provider)
    held, accused = folded(world.provider, name), world.hirer.did

    def seen(evidence: bytes, of: str = accused) -> frozenset[Digest]:
        claim = Accusation(id=of, kind="equivocation", evidence=digest_bytes(evidence))
        said = read_credential(issued(body, claim, world.clock.now()))

        async def document_of(did: str) -> DidDocument:
            return await world.provider.document_of(did, 0.0)

        return world.run(
            proved(
                said,
                evidence,
                ledger=world.provider.ledger,
                own=world.provider.did,
                document_of=document_of,
                now=world.clock.now(),
            )
        )

    with pytest.raises(UndersignedError, match="no two moves"):
        world.run(equivocation_proof(world.provider.ledger, name))
    raw = forge(world, world.provider, name, withdraw("declined"), sequence=len(held.got), previous=held.got[-2])
    world.tell(raw, world.hirer.did, world.provider)
    proof = world.run(equivocation_proof(world.provider.ledger, name))
    assert seen(proof) == {digest_bytes(proof)}
    first, second = (canonicalize(one) for one in json.loads(proof))
    forged = canonicalize(json.loads(second) | {"reason": "changed"})
    for false in (b"[" + first + b"," + first + b"]", b"[" + first + b"]", b"[" + first + b"," + forged + b"]"):
        with pytest.raises(UndersignedError) as caught:
            seen(false)
        assert caught.value.code in ("evidence_invalid", "schema_violation", "proof_invalid")
    with pytest.raises(UndersignedError) as caught:
        seen(proof, of=world.provider.did)
    assert caught.value.code == "evidence_invalid"


@pytest.mark.parametrize("move", [seal(), review(), closing(), terminate(), withdraw("declined")], ids=lambda m: m.type)
def test_sc_52_in_doubt_only_the_answer_is_taken(move: Move, open_world: Open) -> None:
    """HIRE-NEG-12 to HIRE-NEG-16: the acceptor waits durably, says nothing else, and no other move lets it go."""
    world = open_world(held=True)
    name = world.begun("accepted-by-provider", world.provider, opening="5 EUR")
    if move.type == "Seal":
        move = seal(acceptance=digest_bytes(b"another"))
    raw = forge(world, world.provider, name, move)
    world.tell(raw, world.hirer.did, world.provider)
    held = folded(world.provider, name)
    assert held.in_doubt
    assert held.contract is None
    (row,) = [one for one in world.provider.status() if one["engagement"] == name]
    assert row["inDoubt"]
    assert row["owes"] == ["hirer"]


def test_nobody_in_doubt_is_let_go_by_time(open_world: Open) -> None:
    """HIRE-NEG-13: no time-out ends it; it asks, and the operator can see it."""
    world = open_world(held=True)
    name = world.begun("accepted-by-provider", world.provider, opening="5 EUR")
    count = len(world.network.sent)
    for _ in range(24):
        world.settle(3600)
    assert folded(world.provider, name).in_doubt
    mine = [recorded_message(p.raw).message for p in world.network.sent[count:] if p.sender == world.provider.did]
    assert {m.type for m in mine} <= {"Acceptance", "Receipt"}
    with pytest.raises(LocalProtocolError):
        world.run(world.provider.the(name).ask(lambda _: Say("Withdraw", {"reason": "changed"})), 5)


def looked_up(
    world: World,
    node: Node,
    away_seconds: float,
    then: UndersignedError | None = None,
    code: str = "status_unavailable",
) -> list[float]:
    """From the acceptance on nothing that `node` has to look up can be had, for so long; then it can, or `then` is what
    it says. When it was asked for, in seconds. `code` is that of what cannot be had.
    """
    lists, since, asked = node.statuses.lists, world.loop.time(), list[float]()

    async def away(credentials: Any, *, max_age_seconds: float) -> Any:
        asked.append(world.loop.time() - since)
        if asked[-1] < away_seconds:
            raise UndersignedError(code, "it was not had")
        if then is not None:
            raise then
        return await lists(credentials, max_age_seconds=max_age_seconds)

    node.statuses.lists = away  # type: ignore[method-assign]
    return asked


@pytest.mark.parametrize("side", [0, 1], ids=["hirer", "provider"])
@pytest.mark.parametrize("rests", [False, True], ids=["awake", "restarted"])
def test_a_seal_waits_for_what_cannot_be_looked_up_for_a_moment(rests: bool, side: int, open_world: Open) -> None:
    """HIRE-NEG-04, HIRE-NEG-14: nothing is signed meanwhile, and the hire goes on by itself once it can be."""
    world = open_world(held=True)
    state, opening = ("accepted-by-provider", "5 EUR") if side == 0 else ("accepted-by-hirer", "3 EUR")
    name = world.begun(state, world.nodes[1 - side], opening=opening)
    asked = looked_up(world, world.nodes[side], 40)
    world.deliver_all()
    world.settle(20)
    assert folded(world.nodes[side], name).state.startswith("accepted-by-")
    assert 3 <= len(asked) <= 6
    if rests:
        world.restart(world.nodes[side])
        asked = looked_up(world, world.nodes[side], 20)
    world.deliver_all()
    assert "Seal" not in story(world.nodes[side], name)
    world.settle(60)
    assert "Seal" in story(world.nodes[side], name)
    world.until("closed", name)


@pytest.mark.parametrize("code", ["status_unavailable", "registry_unavailable", "unreachable"])
@pytest.mark.parametrize("side", [0, 1], ids=["hirer", "provider"])
def test_a_seal_is_given_up_before_the_offer_ends(side: int, code: str, open_world: Open) -> None:
    """HIRE-NEG-16: whoever accepted is told in the time for which it holds what it promised; and once it can be looked
    up and is a no, at once."""
    for away, reason in ((1e9, "status_unavailable"), (30, "revoked")):
        world = open_world(held=True)
        state, opening = ("accepted-by-provider", "5 EUR") if side == 0 else ("accepted-by-hirer", "3 EUR")
        name = world.begun(state, world.nodes[1 - side], opening=opening)
        node, no = world.nodes[side], CredentialError("revoked", "withdrawn")
        asked = looked_up(world, node, away, no, code)
        world.deliver_all()
        world.settle(GRACE_SECONDS)
        held = folded(node, name)
        assert held.offer is not None
        (said,) = [row for row in moves(node, name) if row.type == "Withdraw"]
        assert last(node, name, Withdraw).reason == reason
        assert said.at <= held.offer.valid_until
        assert len(asked) < 20, "who has to say it is not asked all the time"
        world.until("withdrawn", name)


def test_work_is_owed_with_a_key_from_the_acceptance_on(open_world: Open) -> None:
    """HIRE-ATT-02: who accepted is bound before the seal is here, and the delivery takes the key that is named."""
    world = open_world(held=True)
    provider = world.provider
    name = world.begin(opening="5 EUR").id
    key = provider.identity.method

    def owed_with(method: str) -> tuple[Digest, ...]:
        return world.run(contracts_to_deliver(provider.kept, provider.did, method), 5)

    world.until("ready", name, provider)
    assert owed_with(key) == ()
    world.until("accepted-by-provider", name, provider)
    offer = folded(provider, name).offer
    assert offer is not None
    assert owed_with(key) == (offer.document,)
    assert owed_with(f"{key}-2") == ()
    world.until("closed", name)
    contract = folded(provider, name).contract
    assert contract is not None
    assert contract.digest == offer.document
    assert owed_with(key) == ()


@pytest.mark.parametrize("taken", [False, True], ids=["free", "taken"])
def test_a_seal_after_the_grace_makes_the_contract(taken: bool, open_world: Open) -> None:
    """HIRE-NEG-13: what the acceptor held of its capacity has lapsed by then, and may be another's; it is bound."""
    world = open_world(held=True, capacity=1)
    name = world.begun("working", world.hirer, opening="5 EUR")
    world.settle(GRACE_SECONDS)
    assert folded(world.provider, name).in_doubt
    if taken:
        other = Reservation(
            "capacity:summary", "other", (Draw("summary", "1", "1"),), shift(world.clock.now(), 3600), world.clock.now()
        )
        world.run(world.provider.kept.reserve(replace(other, kind="capacity")))
    world.until("closed", name)
    assert last(world.provider, name, Seal) == last(world.hirer, name, Seal)
    assert "Start" in story(world.provider, name)
    # Held for the contract, and given back with its end.
    assert world.run(world.provider.kept.usage("capacity:summary")) == {"summary": "1" if taken else "0"}


def test_a_promise_outlives_a_change_of_the_capacity(open_world: Open) -> None:
    """A service that is configured for less after a restart keeps what it promised before."""
    world = open_world(held=True, capacity=2)
    name = world.begun("working", world.hirer, opening="5 EUR")
    world.service["capacity"] = 1
    world.restart(world.provider)
    world.reconnect()
    world.until("sealed", name, world.provider)
    assert world.run(world.provider.kept.usage("capacity:summary")) == {"summary": "1"}


# --- what an application's code does


async def test_a_handler_that_gives_up_what_it_waits_for_has_failed() -> None:
    """A cancelled task of the handler's own is no end of this process: the hirer hears that the work failed."""

    async def work(job: Job) -> None:
        inner = asyncio.ensure_future(asyncio.Event().wait())
        inner.cancel()
        await inner

    job: Any = SimpleNamespace(task="summary", ends=lambda: None)
    with pytest.raises(UndersignedError) as caught:
        await run_handler(work, job)
    assert caught.value.code == "decision_failed"

    async def waits(job: Job) -> None:
        await asyncio.Event().wait()

    closing = asyncio.ensure_future(run_handler(waits, job))
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ({}, "rejected"),
        ({"whole": False}, "rejected"),
        ({"whole": True}, "accepted"),
    ],
)
def test_a_criterion_is_met_by_true_alone(found: Any, verdict: str, open_world: Open) -> None:
    """Not by being left out. What is neither true nor false is no verdict."""
    world = open_world()

    async def looks(_: Reviewed) -> Any:
        return found

    world.hirer.reviewers["summary"] = looks
    name = world.begin(criteria={"whole": "nothing is missing"}).id
    world.settle(10)
    over(world, name)
    assert last(world.hirer, name, Review).verdict == verdict


def test_a_delivery_that_names_something_twice_is_not_accepted(
    open_world: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No pack would hold with it (step 6), so work that is owed could not be shown to anybody."""
    world = open_world()
    made = world.provider.worker._delivery

    async def twice(*given: Any) -> Any:
        said = await made(*given)
        return replace(said, body={**said.body, "artifacts": said.body["artifacts"] * 2})

    monkeypatch.setattr(world.provider.worker, "_delivery", twice)
    name = world.begin().id
    world.settle(10)
    over(world, name)
    assert len(last(world.hirer, name, Delivery).artifacts) == 2
    assert last(world.hirer, name, Review).verdict == "rejected"


def test_a_delivery_that_does_not_say_where_it_is_lies_beside_the_listener(
    open_world: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-ART-01: at `/artifacts/<digest>` of the origin that the hirer dialled."""
    world = open_world()
    made = world.provider.worker._delivery

    async def bare(*given: Any) -> Any:
        said = await made(*given)
        return replace(said, body={**said.body, "artifacts": [replace(a, uri=None) for a in said.body["artifacts"]]})

    monkeypatch.setattr(world.provider.worker, "_delivery", bare)
    name = world.begin(at=world.provider.base_url.replace("https:", "wss:") + "/hire").id
    world.settle(10)
    over(world, name)
    assert [one.uri for one in last(world.hirer, name, Delivery).artifacts] == [None]
    assert last(world.hirer, name, Review).verdict == "accepted"


@pytest.mark.parametrize("kept", [True, False])
def test_a_profile_is_signed_in_a_suite_that_was_offered(
    kept: bool, open_world: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-PRF-02: the provider's own suite is another one; if it signs by that all the same it is refused."""
    suite = "eddsa-rdfc-2022"
    monkeypatch.setattr("undersigned.runtime.agent.hirer.CRYPTOSUITES", {suite: CRYPTOSUITES[suite]})
    world = open_world()
    world.hirer.identity = world.hirer.shell.identity = replace(world.hirer.identity, suite=suite)
    assert world.provider.identity.suite != suite
    if not kept:
        monkeypatch.setattr("undersigned.runtime.engagement.outgoing.first_suite", lambda names, kind: None)
    name = world.begin().id
    if kept:
        over(world, name)
        said = [one.message for one in messages(world.hirer, name)]
        assert {one.proof.cryptosuite for one in said if one.proof is not None} == {suite}
    else:
        assert story(world.hirer, name) == ["Inquiry"]


# --- a stranger


@pytest.mark.parametrize("suite", ["eddsa-jcs-2022", "eddsa-rdfc-2022"])
@pytest.mark.parametrize("real", [True, False], ids=["an engagement", "none"])
def test_a_stranger_hears_the_same_whether_it_exists(suite: str, real: bool, open_world: Open) -> None:
    """HIRE-SEC-07: nor by the suite that its parties agreed on."""
    world = open_world(held=True)
    name = world.begun("offered-by-hirer", world.hirer)
    said = last(world.hirer, name, Offer)
    stranger = Actor("a stranger")
    engagement = name if real else "urn:hire:engagement:" + digest_bytes(b"none")
    now = world.clock.now()
    forged = replace(said, engagement=engagement, sender=stranger.did, recipient=world.provider.did)
    unsigned = draft(forged, stranger.method, suite, "Ed25519", now, shift(now, 600))
    raw = unsigned.signed(stranger.signature(unsigned.to_sign)).raw
    told = world.tell(raw, stranger.did, world.provider)
    assert [fault["code"] for fault in told] == ["wrong_negotiation"]


# --- too much


def test_who_sends_faster_than_it_is_answered_is_refused(open_world: Open) -> None:
    """While the store hangs, what came waits in memory, up to a number; the sender of more is told so at once."""
    world = open_world(held=True)
    name = world.begun("offered-by-hirer", world.hirer)
    world.hirer.kept.dies = "before"
    peer, raw = world.provider.did, forge(world, world.hirer, name, withdraw("declined"))
    assert world.tell(raw, peer, world.hirer) == []
    for waiting in range(1, MAX_INBOX + 2):
        assert world.tell(raw, peer, world.hirer) == []
        assert len(world.hirer.the(name).inbox.items) == waiting
    (fault,) = world.tell(raw, peer, world.hirer)
    assert fault["code"] == "overloaded"  # type: ignore[index]
    assert len(world.hirer.the(name).inbox.items) == MAX_INBOX + 1


# --- taken back


def test_a_move_that_was_refused_for_good_gives_up_its_place(open_world: Open) -> None:
    """HIRE-NEG-19: with the peer's signed `Problem` in hand, another move takes the place; here it ends the matter."""
    world = open_world(held=True)
    name = world.begun("offered-by-hirer", world.hirer)
    refused = folded(world.hirer, name).sent[-1]
    world.tell(forge(world, world.hirer, name, problem(refused)), world.provider.did, world.hirer)
    held = folded(world.hirer, name)
    assert held.state == "withdrawn"
    assert refused not in held.sent
    withdrawn = last(world.hirer, name, Withdraw)
    assert withdrawn.refused == refused
    assert withdrawn.sequence == last(world.hirer, name, Offer).sequence


def test_what_followed_a_move_that_was_refused_for_good_is_taken_back_with_it(open_world: Open) -> None:
    """HIRE-NEG-19: the peer can record neither, so neither is repeated; a restart knows it too."""
    world = open_world(held=True)
    name = world.begun("offered-by-hirer", world.hirer)
    refused = folded(world.hirer, name).sent[-1]
    world.run(world.hirer.the(name).ask(lambda _: Say("Withdraw", {"reason": "changed", "offer": refused})))
    followed = folded(world.hirer, name).sent[-1]
    world.tell(forge(world, world.hirer, name, problem(refused)), world.provider.did, world.hirer)
    held = folded(world.hirer, name)
    assert held.state == "withdrawn"
    assert not {refused, followed} & set(held.sent)
    assert last(world.hirer, name, Withdraw).refused == refused
    left = [row.digest for row in world.run(world.hirer.ledger.outbox(name))]
    assert not {refused, followed} & set(left), "what cannot be recorded is not sent again"
    world.restart(world.hirer)
    assert folded(world.hirer, name).sent == held.sent
    world.until("withdrawn", name)


@pytest.mark.parametrize("state", ["accepted-by-hirer", "sealed"])
def test_a_binding_signature_is_not_taken_back(state: str, open_world: Open) -> None:
    """HIRE-NEG-19: never in the place of an `Acceptance` or a `Seal`, whatever the peer says about it."""
    world = open_world(held=True)
    name = world.begin(opening="3 EUR").id
    node = world.hirer if state == "accepted-by-hirer" else world.provider
    world.until(state, name, node)
    before = folded(node, name)
    world.tell(forge(world, node, name, problem(before.sent[-1])), world.other(node).did, node)
    after = node.the(name).engagement
    assert (after.state, after.sent) == (before.state, before.sent)


def test_a_refused_amendment_takes_back_no_end_that_was_said_after_it(open_world: Open) -> None:
    """HIRE-NEG-19: the peer can have recorded neither; the end is said again where the amendment stood."""

    world = open_world(held=True, handler=lingers)
    name = world.begun("working", opening="3 EUR")
    hirer, ours = world.hirer, world.hirer.the(name)
    world.run(hirer.changes.amend(ours, lambda terms: replace(terms, reworks=2)), 1)
    offered = folded(hirer, name).sent[-1]
    world.run(hirer.changes.suspend(ours, seconds=3600), 1)
    world.run(hirer.cancel(ours), 1)
    world.network.sent.clear()
    world.tell(forge(world, hirer, name, problem(offered)), world.provider.did, hirer)
    assert (ours.engagement.state, offered in ours.engagement.sent) == ("cancelling", False)
    world.restart(hirer)
    assert folded(hirer, name) == hirer.the(name).engagement
    world.until("closed", name)  # the provider has heard it


def test_an_inquiry_that_was_refused_for_good_is_the_end(open_world: Open) -> None:
    """Nothing was opened, so there is nothing to withdraw from; and nobody waits for it, after a restart either."""
    world = open_world(held=True)
    name = world.begin().id
    (sent,) = world.network.sent
    raw = forge(world, world.hirer, name, problem(recorded_message(sent.raw).digest, "schema_violation"))
    world.tell(raw, world.provider.did, world.hirer)
    assert world.hirer.conversations == {}
    assert world.hirer.said("over") == [""]
    summary = world.hirer.kept.summary_of(name)
    assert summary is not None
    assert (summary.state, summary.live) == ("-", False)
    kept = world.run(world.hirer.ledger.evidence(name))
    assert {blob.name for blob in kept} == {world.hirer.did, world.provider.did}, "who said no can be shown"
    assert world.restart(world.hirer).conversations == {}


def test_an_inquiry_that_was_taken_back_is_opened_again_by_nothing(open_world: Open) -> None:
    """Whoever refuses one thing more makes an engagement live in the store that nothing would ever end."""
    world = open_world(held=True)
    name = world.begin().id
    (sent,) = world.network.sent
    for refused in (recorded_message(sent.raw).digest, digest_bytes(b"another"), digest_bytes(b"and another")):
        world.tell(forge(world, world.hirer, name, problem(refused)), world.provider.did, world.hirer)
        summary = world.hirer.kept.summary_of(name)
        assert summary is not None
        assert (summary.state, summary.live) == ("-", False)
        assert world.hirer.conversations == {}


# --- asking


def test_who_asks_an_engagement_that_is_over_hears_so(open_world: Open) -> None:
    """Work that ends later than its contract does not wait for ever."""
    world = open_world()
    conversation = world.begin()
    over(world, conversation.id)
    with pytest.raises(LocalProtocolError) as refused:
        world.run(conversation.ask(lambda _: Say("Withdraw", {"reason": "changed"})))
    assert refused.value.code == "wrong_state"


def test_who_asked_hears_when_the_process_closes(open_world: Open) -> None:
    world = open_world(held=True)
    conversation = world.begin()
    world.hirer.kept.dies = "before"
    asking = world.loop.create_task(conversation.ask(lambda _: Say("Withdraw", {"reason": "changed"})))
    world.settle()
    assert not asking.done()
    world.restart(world.hirer)
    assert isinstance(asking.exception(), LocalProtocolError)


def test_a_move_that_is_not_legal_is_an_error_and_leaves_no_trace(open_world: Open) -> None:
    """Local and remote are held to the same tables."""
    world = open_world(held=True)
    conversation = world.begin()
    journal, count = world.hirer.kept.journal(conversation.id), len(world.network.sent)
    with pytest.raises(LocalProtocolError) as refused:
        world.run(conversation.ask(lambda _: Say("Start", {"contract": digest_bytes(b"none"), "inputs": ()})))
    assert refused.value.code == "wrong_state"
    assert world.hirer.kept.journal(conversation.id) == journal
    assert len(world.network.sent) == count
    world.until("closed", conversation.id)


def test_a_decision_made_on_an_old_position_is_made_again(open_world: Open) -> None:
    """HIRE-CHN-01, rule C1: another process of ours wrote first; the store refuses ours, and we read what stands."""
    world = open_world(held=True)
    conversation = world.begin()
    name = conversation.id
    world.until("ready", name, world.provider)
    node = world.provider
    # The other process recorded the hirer's next move while this one slept.
    rows = node.kept.journal(name)
    raw = forge(world, node, name, withdraw("changed"))
    summary = node.kept.summary_of(name)
    assert summary is not None
    said = recorded_message(raw)
    row = replace(rows[-1], place=len(rows) + 1, kind="received", sender=world.hirer.did, sequence=3)
    row = replace(row, type="Withdraw", digest=said.digest, raw=raw)
    position = (summary.position[0], summary.position[1] + 1)
    world.run(
        node.kept.commit(
            Commit(
                engagement=name,
                expected=summary.position,
                position=position,
                rows=(row,),
                summary=replace(summary, position=position, state="withdrawn"),
            )
        )
    )
    with pytest.raises(LocalProtocolError):
        world.run(node.the(name).ask(lambda _: Say("Withdraw", {"reason": "changed"})), 5)
    assert story(node, name)[-1] == "Withdraw"
    assert story(node, name).count("Withdraw") == 1


def test_a_flood_of_notices_fills_nothing(open_world: Open) -> None:
    """HIRE-LIM-02: what tells nothing new is no line of the journal, on disk or in memory."""
    world = open_world(held=True)
    name = world.begun("offered-by-hirer", world.hirer, opening="5 EUR")
    conversation = world.hirer.the(name)
    for _ in range(200):
        world.deliver(forge(world, world.hirer, name, sync()), world.provider.did, world.hirer.did)
        world.deliver(forge(world, world.hirer, name, receipt()), world.provider.did, world.hirer.did)
        world.settle()
    assert len(conversation.journal.kept_back) <= 4
    assert len(world.hirer.kept.journal(name)) < 25


def test_what_is_asked_for_again_without_end_is_not_sent_without_end(open_world: Open) -> None:
    """HIRE-LIM-02: a `Sync` is small, and a peer that gives no receipt may have much sent for each. What is not sent at
    once comes again by time.
    """
    world = open_world(held=True)
    id = world.begun("inquired", world.hirer)
    world.until("profiled", id, world.provider)
    raw = next(one.raw for one in world.network.sent if one.sender == world.provider.did)
    world.provider.shell.again = Allowance(4 * len(raw))
    world.cut = True
    syncs = [forge(world, world.provider, id, sync(seen=None)) for _ in range(20)]
    before = len(world.network.sent)
    for one in syncs:
        world.deliver(one, world.hirer.did, world.provider.did)
        world.settle()
    sent = [one.raw for one in world.network.sent[before:] if one.sender == world.provider.did]
    assert [recorded_message(one).message.type for one in sent] == ["Profile"] * 5
    world.settle(30)
    assert len([one for one in world.network.sent[before:] if one.raw == raw]) > 5


def test_a_message_of_another_engagement_id_does_not_open_one(open_world: Open) -> None:
    """HIRE-ENV-05: the id cannot belong to other parties; nothing is kept of it."""
    world = open_world(held=True)
    name = world.begin().id
    said = last(world.hirer, name, Inquiry)
    made = "urn:hire:engagement:" + digest_bytes(b"made up")
    raw = world.hirer.office.actor.sign(replace(said, engagement=made), world.clock.now()).raw
    world.tell(raw, world.hirer.did, world.provider)
    assert world.provider.conversations == {}
    assert world.provider.kept.engagements() == ()


@pytest.mark.parametrize("count", [1, 3])
def test_several_hires_do_not_disturb_each_other(count: int, open_world: Open) -> None:
    world = open_world(held=True)
    names = [world.begin(opening="3 EUR").id for _ in range(count + 1)]
    world.until("working", names[0], world.hirer)
    world.tell(forge(world, world.hirer, names[0], terminate("unable")), world.provider.did, world.hirer)
    for name in names[1:]:
        world.until("closed", name)
    assert folded(world.hirer, names[0]).state == "closing"


def seen_acceptances(node: Node, name: EngagementId) -> set[Digest]:
    return {m.digest for m in messages(node, name) if isinstance(m.message, Acceptance)}


def test_one_acceptance_is_all_there_can_be(open_world: Open) -> None:
    """SC-48: the same again changes nothing, another is refused."""
    world = open_world(held=True)
    name = world.begun("working", world.hirer, opening="5 EUR")
    raw = forge(world, world.hirer, name, acceptance())
    before = seen_acceptances(world.hirer, name)
    world.tell(raw, world.provider.did, world.hirer)
    assert seen_acceptances(world.hirer, name) == before
    world.until("closed", name)


def test_an_inquiry_by_the_provider_of_an_engagement_is_refused(open_world: Open) -> None:
    world = open_world(held=True)
    name = world.begin().id
    raw = forge(world, world.hirer, name, inquiry(nonce=world.hirer.office.actor.nonce()), role="provider")
    world.tell(raw, world.provider.did, world.hirer)
    assert "Profile" not in story(world.hirer, name)


def test_an_offer_of_the_one_whose_turn_it_is_not_is_refused(open_world: Open) -> None:
    """HIRE-NEG-05: an offer cannot be replaced by its owner."""
    world = open_world(held=True)
    name = world.begun("accepted-by-provider", world.provider, opening="5 EUR")
    raw = forge(world, world.provider, name, offer(price="1"))
    live = folded(world.provider, name).offer
    world.tell(raw, world.hirer.did, world.provider)
    assert folded(world.provider, name).offer == live


@pytest.mark.parametrize("asks_first", [True, False])
def test_a_refusal_that_came_with_a_move_of_ours_takes_back_what_is_stored(
    open_world: Open, monkeypatch: pytest.MonkeyPatch, asks_first: bool
) -> None:
    """HIRE-NEG-19: whichever of them came first, and though both wait when the conversation wakes."""
    world = open_world(held=True)
    name = world.begun("offered-by-hirer", world.hirer)
    refused = folded(world.hirer, name).sent[-1]
    conversation = world.hirer.the(name)
    raw = forge(world, world.hirer, name, problem(refused))

    def asked() -> asyncio.Task[None]:
        body = {"reason": "changed", "offer": refused}
        task = world.loop.create_task(conversation.ask(lambda _: Say("Withdraw", body)))
        world.settle()
        return task

    with monkeypatch.context() as asleep:
        asleep.setattr(Conversation, "_rouse", lambda _: None)
        asking = asked() if asks_first else None
        world.tell(raw, world.provider.did, world.hirer)
        asking = asking or asked()
    conversation._rouse()
    world.settle(5)
    held = folded(world.hirer, name)
    assert (asking.done(), held.state) == (True, "withdrawn")
    assert refused not in held.sent
    asking.exception()  # an offer that the peer refused meanwhile cannot be withdrawn any more
