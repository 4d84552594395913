"""One engagement while it runs: what it stores, sends and answers, whatever fails around it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from runtimes import FIRST_LINE, KeptLedger, Node, folded, last, lingers, messages, moves
from undersigned.encoding import digest_bytes, parse_duration
from undersigned.errors import LocalProtocolError, UndersignedError
from undersigned.ledger import Commit, Committed
from undersigned.messages import Delivery, Offer, Review, recorded_message
from undersigned.proof import CRYPTOSUITES
from undersigned.protocol import Effect, Engagement, pending
from undersigned.runtime import Conversation, Job, Say, Shell
from undersigned.runtime.agent.intake import MAX_INBOX
from undersigned.runtime.engagement import conversation as conversation_module
from undersigned.runtime.execution.reviewers import Reviewed
from undersigned.runtime.execution.work import Worker, run_handler
from undersigned.testing import problem, receipt, sync, terminate, withdraw
from unit.runtime.stories import Open, forge, over, story


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


ORDERS: dict[str, Callable[[tuple[Effect, ...]], tuple[Effect, ...]]] = {
    "as they are": lambda due: due,
    "the last first": lambda due: due[::-1],
    "the second first": lambda due: due[1:] + due[:1],
    "by their keys": lambda due: tuple(sorted(due, key=lambda effect: effect.key)),
}


@pytest.mark.parametrize("order", ORDERS)
def test_what_falls_due_while_other_things_are_done_is_done_once(
    order: str, open_world: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each effect changes the engagement, and what is due is asked for anew: in whatever order that gives them."""
    done: Counter[tuple[str, str]] = Counter()
    asked = Counter[int]()

    def due(engagement: Engagement, now: Any) -> tuple[Effect, ...]:
        found = ORDERS[order](pending(engagement, now))
        asked[len(found)] += 1
        return found

    def counted(owner: Any, name: str, place: int) -> None:
        does = getattr(owner, name)

        def doing(*given: Any) -> Any:
            effect, conversation = given[place], next(one for one in given if isinstance(one, Conversation))
            done[conversation.shell.identity.did, f"{conversation.id} {effect.key}"] += 1
            return does(*given)

        monkeypatch.setattr(owner, name, doing)

    monkeypatch.setattr(conversation_module, "pending", due)
    counted(Conversation, "_do_owed", 2)
    counted(Shell, "book", 3)
    counted(Worker, "begin", 2)
    world = open_world()
    name = world.begin(opening="3 EUR").id
    over(world, name)
    assert story(world.hirer, name)[-3:] == ["Review", "Closing", "Closing"]
    assert max(asked) > 1, "else there was no order"
    assert {row.digest for row in moves(world.hirer, name)} == {row.digest for row in moves(world.provider, name)}
    assert {key: times for key, times in done.items() if times != 1} == {}


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

    def away(*about: Any, **_: Any) -> Any:
        asked.append(world.loop.time() - since)
        if asked[-1] < 20:
            raise UndersignedError("unreachable", "later")
        return word(*about)

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

    def away(*about: Any, **_: Any) -> Any:
        asked.append(world.loop.time() - since)
        if asked[-1] < late:
            raise UndersignedError("unreachable", "later")
        return word(*about)

    node.settlements.word = away  # type: ignore[method-assign]
    if side == "hirer":
        world.deliver_all()
    world.settle(late + 400)
    assert any(row.type == "Closing" and row.sender == node.did for row in moves(node, name))


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

    closing = asyncio.ensure_future(run_handler(lingers, job))
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ({"whole": False}, "rejected"),
        ({"whole": True}, "accepted"),
    ],
)
def test_a_criterion_is_met_by_true_alone(found: Any, verdict: str, open_world: Open) -> None:
    """What is neither true nor false is no verdict."""
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


# --- asking


def test_who_asks_an_engagement_that_is_over_hears_so(open_world: Open) -> None:
    """Work that ends later than its contract does not wait for ever."""
    world = open_world()
    conversation = world.begin()
    over(world, conversation.id)
    with pytest.raises(LocalProtocolError) as refused:
        world.run(conversation.ask(lambda _: Say("Withdraw", {"reason": "changed"})))
    assert refused.value.code == "wrong_state"


def test_for_who_does_not_wait_any_more_nothing_is_said(open_world: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that was cancelled before its turn came has changed its mind."""
    world = open_world(held=True)
    name = world.begun("offered-by-hirer", world.hirer)
    conversation = world.hirer.the(name)
    with monkeypatch.context() as asleep:
        asleep.setattr(Conversation, "_rouse", lambda _: None)
        body = {"reason": "changed", "offer": folded(world.hirer, name).sent[-1]}
        asking = world.loop.create_task(conversation.ask(lambda _: Say("Withdraw", body)))
        world.settle()
        asking.cancel()
        world.settle()
    conversation._rouse()
    world.settle(5)
    assert folded(world.hirer, name).state == "offered-by-hirer"
    world.until("closed", name)


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


def test_a_notice_that_a_carrier_delivers_again_is_stored_once(open_world: Open) -> None:
    """HIRE-LIM-02: at once, later, and after a restart."""
    world = open_world(held=True)
    name = world.begun("offered-by-hirer", world.hirer, opening="5 EUR")
    raw = forge(world, world.hirer, name, problem(messages(world.hirer, name)[-1].digest, "overloaded", final=False))

    for again in range(3):
        for _ in range(3):
            world.deliver(raw, world.provider.did, world.hirer.did)
        world.settle()
        stored = Say("", {}, facts=((f"note {again}", "and with it what came"),))
        world.run(world.hirer.the(name).ask(lambda _, said=stored: said), 5)
        assert [row.type for row in world.hirer.kept.journal(name)].count("Problem") == 1
        if again == 1:
            world.restart(world.hirer)
            world.reconnect()


@pytest.mark.parametrize("count", [1, 3])
def test_several_hires_do_not_disturb_each_other(count: int, open_world: Open) -> None:
    world = open_world(held=True)
    names = [world.begin(opening="3 EUR").id for _ in range(count + 1)]
    world.until("working", names[0], world.hirer)
    world.tell(forge(world, world.hirer, names[0], terminate("unable")), world.provider.did, world.hirer)
    for name in names[1:]:
        world.until("closed", name)
    assert folded(world.hirer, names[0]).state == "closing"
