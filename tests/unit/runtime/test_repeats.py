"""What a side says again, and how it goes on: after a restart, without a receipt, when it is connected anew."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from runtimes import Node, folded, lingers, messages, moves
from undersigned.encoding import digest_bytes, parse_duration
from undersigned.errors import ScopeError
from undersigned.messages import Closing, Progress, recorded_message
from undersigned.protocol import REPEAT_SECONDS, pending
from undersigned.runtime import Job
from undersigned.testing import progress, receipt, sync
from undersigned.transport import Allowance
from unit.runtime.stories import Open, forge, over, story

WAITS = (
    *((0, "inquired"), (1, "profiled"), (0, "presented"), (1, "ready"), (0, "offered-by-hirer")),
    *((1, "offered-by-provider"), (0, "accepted-by-hirer"), (1, "sealed"), (0, "working"), (1, "delivered")),
    (0, "closing"),
)
"""Who waits in which state, in a hire in which the provider makes a counter-offer: 0 is the hirer."""


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


@pytest.mark.parametrize("ends", ["work", "Cancel", "offered late", "offered in Suspend", "offered after Cancel"])
def test_work_that_a_start_has_no_handler_for_waits_for_one_that_has(
    ends: str, open_world: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asked something with the folder of a provider whose program was down had failed all that it had to do.
    And what a program offered a moment after its start, as one that opens two peers does, waited at every start anew.
    """
    attempts: list[str | None] = []

    async def work(job: Job) -> None:
        attempts.append(job.cursor)
        if job.cursor is None:
            await job.progress(cursor="chapter 3")
            await asyncio.Event().wait()
        await job.deliver("summary.txt", b"from chapter 3")

    world = open_world(handler=work)
    name = world.begin().id
    with monkeypatch.context() as patched, capture_logs() as logs:
        patched.setattr(Node, "offers", lambda *_, **__: lambda handler: handler)
        world.restart(world.provider)
        world.settle(10)
    assert [one["error"] for one in logs if one["event"] == "work waits"] == [
        "nothing here does 'summary'; it goes on once something offers it, here or at a later start"
    ]
    assert folded(world.provider, name).state == folded(world.hirer, name).state == "working"
    if ends.endswith("Cancel"):
        world.run(world.hirer.cancel(world.hirer.the(name)))
    elif ends.endswith("Suspend"):
        world.run(world.hirer.changes.suspend(world.hirer.the(name), seconds=3600), 1)
    if ends.startswith("offered"):

        async def offered() -> None:
            world.provider.offers("another")(work)
            assert attempts == [None]
            world.provider.offers("summary", **world.service)(work)

        world.run(offered())
        if ends.endswith("Suspend"):
            world.settle(10)
            assert attempts == [None]
            world.run(world.hirer.changes.resume(world.hirer.the(name)))
    elif ends == "work":
        world.restart(world.provider)
    world.settle(10)
    over(world, name)
    assert attempts == ([None] if ends.endswith("Cancel") else [None, "chapter 3"])
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

    world = open_world(handler=lingers)
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


def test_who_answers_for_what_it_put_away_gets_what_it_lacks(open_world: Open) -> None:
    """HIRE-SYN-02: a side that put its books away before the other's came says no `Sync`, and its `Receipt` says as
    much: what it lacks comes at once, and not with the next repeat.
    """
    world = open_world(held=True)
    name = world.begun("closed", world.provider)
    assert folded(world.hirer, name).state == "closing"
    world.cut = True
    offer = folded(world.hirer, name).offer
    assert offer is not None
    world.settle(parse_duration(offer.terms.deadlines.close) + 1)
    world.hirer.conversations[name].put_away()
    world.settle()
    assert name not in world.hirer.conversations
    world.cut, world.asked = False, len(world.network.sent)
    count, at = len(world.network.sent), world.clock.now()
    world.reconnect()
    world.settle()
    world.deliver_all()
    said = [(one.sender, recorded_message(one.raw).message.type) for one in world.network.sent[count:]]
    assert said[:3] == [(world.provider.did, "Sync"), (world.hirer.did, "Receipt"), (world.provider.did, "Closing")]
    assert folded(world.hirer, name).state == "closed"
    assert world.clock.now() == at


def test_what_was_put_away_says_nothing_of_its_own(open_world: Open) -> None:
    """HIRE-LIM-02: one side's store went back, so that it takes no receipt of the other's any more. Each receipt had it
    repeat its last move, and each of these had a receipt: they answered each other without end.
    """
    world = open_world(held=True)
    name = world.begun("closing", world.hirer)
    world.cut = True
    world.settle(25 * 3600)
    assert name not in world.hirer.conversations
    assert folded(world.hirer, name).unreceipted, "there is something that it would say again"
    world.cut = False
    count = len(world.network.sent)
    for said in (receipt(seen=digest_bytes(b"an entry that is lost")), sync(seen=None)):
        world.tell(forge(world, world.hirer, name, said), world.provider.did, world.hirer)
    sent = [recorded_message(one.raw).message.type for one in world.network.sent[count:]]
    assert sent == ["Review", "Closing"], "what a `Sync` asks for, and nothing else"


def test_who_comes_back_after_it_was_given_up_hears_that_it_was_withdrawn(open_world: Open) -> None:
    """Its answer was lost, so that nothing was ever heard of it; and the hirer's process was another one since."""
    world = open_world(held=True)
    name = world.begin().id
    world.until("profiled", name, world.provider)
    world.cut = True
    world.run(world.hirer.cancel(world.hirer.the(name)), 1)
    world.settle(sum(REPEAT_SECONDS) + 1)
    assert name not in world.hirer.conversations
    world.restart(world.hirer)
    world.asked = len(world.network.sent)
    world.reconnect()
    world.settle()
    world.deliver_all()
    assert [folded(node, name).state for node in world.nodes] == ["withdrawn", "withdrawn"]
    world.settle(REPEAT_SECONDS[-1])
    world.deliver_all()
    assert world.hirer.conversations == world.provider.conversations == {}


def test_a_sync_that_contradicts_us_changes_nothing(open_world: Open) -> None:
    """HIRE-SEC-02, HIRE-SEC-08: it is a notice, so nothing is said about it either."""
    world = open_world(held=True)
    name = world.begun("ready", world.provider)
    raw = forge(world, world.provider, name, sync(), previous=digest_bytes(b"another"))
    before, count = world.provider.the(name).engagement, len(world.network.sent)
    assert world.tell(raw, world.hirer.did, world.provider) == []
    assert world.provider.the(name).engagement == before
    assert len(world.network.sent) == count


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
