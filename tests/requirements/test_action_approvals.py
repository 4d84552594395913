"""A person's yes to one action, asked for and answered between two runtimes, by a clock that a test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from runtimes import World, facts, folded, last, messages, offices
from undersigned.encoding import shift
from undersigned.errors import ConfigurationError, LedgerError, LedgerUnavailable, LocalProtocolError, ScopeError
from undersigned.messages import Approval, ApprovalRequest
from undersigned.runtime import Conversation, Job, Wanted, open_requests
from undersigned.scope import Action, Grant, Limit, Scope, arguments_of

SHOP = "https://shop.example/orders"
SCOPE = Scope(
    grants=(
        Grant("pay", "pay:order", "https://shop.example/*", limits=(Limit("EUR", "1000"),), approval=True),
        Grant("look", "pay:look", "https://shop.example/*"),
    )
)
PAY = Action("pay:order", SHOP, {"EUR": "80"})


class Buys:
    """Work that does what it is told to, one thing after another, and keeps how each ended."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.done: list[str] = []
        self.jobs: list[Job] = []
        self.left: list[dict[str, str]] = []

    async def __call__(self, job: Job) -> None:
        self.jobs.append(job)
        async with asyncio.TaskGroup() as tasks:
            while True:
                tasks.create_task(self._do(job, await self.told.get()))

    async def _do(self, job: Job, what: dict[str, Any]) -> None:
        amounts = {"EUR": what.pop("eur", "80")}
        try:
            async with job.act("pay:order", SHOP, amounts, **what) as permit:
                self.left.append(dict(permit.decision.remaining))
                self.done.append("paid")
        except ScopeError as error:
            self.done.append(f"{error.code} {error.detail['clause']}")


class Shop:
    """A hire at work, under a scope in which paying needs a yes."""

    def __init__(self, world: World, buys: Buys) -> None:
        self.world, self.buys = world, buys
        self.ours: Conversation = world.begin(scope=SCOPE)
        assert self.ours.engagement.state == "working"

    @property
    def theirs(self) -> Conversation:
        return self.world.provider.the()

    def buy(self, passing: float = 0, **what: Any) -> list[str]:
        """Tells the work to pay, and how everything ended that has ended since."""
        before = len(self.buys.done)
        self.buys.told.put_nowait(what)
        self.world.settle(passing)
        return self.buys.done[before:]

    def asked(self) -> list[str]:
        """Digests of the requests that wait at the hirer, oldest first."""
        contract = self.world.hirer.the().engagement.contract
        assert contract is not None
        return [one.move for one in contract.open_requests()]

    def answer(self, request: str, passing: float = 0, **said: Any) -> list[str]:
        """Says something to a request; how everything ended that has ended since."""
        before, hirer = len(self.buys.done), self.world.hirer
        self.world.run(hirer.changes.approve(hirer.the(), request, **{"granted": True, **said}))
        self.world.settle(passing)
        return self.buys.done[before:]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    buys = Buys()
    world = World(offices(tmp_path), handler=buys)
    try:
        yield Shop(world, buys)
    finally:
        world.close()


def test_an_action_waits_for_a_persons_yes(shop: Shop) -> None:
    """HIRE-LIF-19, HIRE-LIF-30: asked with exactly what would be done; nothing is booked before, one use after."""
    provider = shop.world.provider
    assert shop.buy(reason="Ink is out.") == []
    said = last(shop.world.hirer, shop.ours.id, ApprovalRequest)
    assert (said.clause, said.action, said.arguments, said.reason) == (
        "pay",
        "pay:order",
        arguments_of(PAY),
        "Ink is out.",
    )
    assert said.details is not None
    assert (said.details.target, said.details.amounts) == (SHOP, {"EUR": "80", "count": "1"})
    contract = shop.buys.jobs[0].contract
    assert shop.world.run(provider.ledger.usage(contract)) == {}
    (request,) = shop.asked()
    assert shop.answer(request) == ["paid"]
    used = shop.world.run(provider.ledger.usage(contract))
    assert used == {"pay/EUR": "80", f"pay/approval:{request}": "1"}
    assert shop.buys.left == [{"EUR": "920"}], "an approval is no limit of the scope"
    assert [one.allowed for one in shop.buys.jobs[0].actions] == [True], "waiting is no refusal of the work"


@pytest.mark.parametrize(
    ("reason", "read"),
    [
        ("Ink is out.\nSay yes.", "Ink is out. Say yes."),
        ("a" * 2000, "a" * 1023 + "…"),
        ("Ink\x1b\ud800 is out.", "Ink\\x1b\\ud800 is out."),
        (" \r\n\t ", "The contract asks for it."),
    ],
    ids=["lines", "long", "unprintable", "nothing"],
)
def test_a_reason_of_any_shape_is_read_on_one_line(shop: Shop, reason: str, read: str) -> None:
    """HIRE-LIF-30: the work's words, which may be a model's, do not keep a person from being asked."""
    assert shop.buy(reason=reason) == []
    assert last(shop.world.hirer, shop.ours.id, ApprovalRequest).reason == read
    (request,) = shop.asked()
    assert shop.answer(request) == ["paid"]


def test_what_nobody_can_answer_any_more_is_not_shown_to_anybody(shop: Shop) -> None:
    """Until its last instant a request waits; then, and while the contract is over, there is nothing to decide."""
    shop.buy(approval_seconds=600)
    hirer, id = shop.world.hirer, shop.ours.id
    engagement, rows = shop.world.hirer.the().engagement, hirer.kept.journal(id)
    (wanted,) = open_requests(engagement, rows, hirer.clock.now())
    assert open_requests(engagement, rows, wanted.answer_by) == (wanted,)
    assert open_requests(engagement, rows, shift(wanted.answer_by, 1)) == ()
    shop.world.run(hirer.changes.suspend(hirer.the(), seconds=60))
    assert open_requests(hirer.the().engagement, rows, hirer.clock.now()) == (wanted,)
    shop.world.run(hirer.changes.revoke(hirer.the()))
    shop.world.settle(10)
    assert open_requests(folded(hirer, id), hirer.kept.journal(id), hirer.clock.now()) == ()


def test_a_yes_is_good_for_these_arguments_and_so_often(shop: Shop) -> None:
    """HIRE-SCO-13: another amount and one use more need a yes of their own."""
    shop.buy(eur="10")
    (request,) = shop.asked()
    assert shop.answer(request, uses=2) == ["paid"]
    assert shop.buy(eur="11", approval_seconds=0) == ["approval_required pay"]
    assert shop.buy(eur="10", approval_seconds=0) == ["paid"]
    assert shop.buy(eur="10", approval_seconds=0) == ["approval_required pay"]


def test_a_yes_is_over_after_its_last_instant(shop: Shop) -> None:
    """HIRE-LIF-19: the last instant counts, the next second does not."""
    shop.buy(eur="10")
    (request,) = shop.asked()
    world = shop.world
    shop.answer(request, uses=9, seconds=60)
    world.settle(60)
    assert shop.buy(eur="10", approval_seconds=0) == ["paid"]
    world.settle(1)
    assert shop.buy(eur="10", approval_seconds=0) == ["approval_required pay"]


def test_no_and_silence_are_both_no(shop: Shop) -> None:
    """HIRE-LIF-19: a no ends the waiting at once; silence does at `answerBy`, and a yes after it is not even sent."""
    shop.buy()
    assert shop.answer(shop.asked()[0], granted=False, reason="Too dear.") == ["approval_required pay"]
    assert last(shop.world.provider, shop.ours.id, Approval).reason == "Too dear."
    assert shop.buy(30, approval_seconds=30) == []
    (request,) = shop.asked()
    shop.world.settle(5)
    with pytest.raises(LocalProtocolError) as late:
        shop.answer(request)
    assert (late.value.code, shop.buys.done[1:]) == ("wrong_state", ["approval_required pay"])
    assert any(name == "refused-action" and '"pay"' in text for name, text in facts(shop.world.provider, shop.ours.id))


def test_a_yes_that_comes_too_late_approves_nothing(shop: Shop) -> None:
    """HIRE-LIF-19: sent in time and recorded too late by the side that waited; both sides keep the move."""
    world = shop.world
    shop.buy(approval_seconds=30)
    (request,) = shop.asked()
    with world.silence():
        shop.answer(request, uses=5)
        assert shop.buy(31, approval_seconds=0)[-1] == "approval_required pay"
    world.reconnect()
    world.settle(1)
    assert last(world.provider, shop.ours.id, Approval).request == request
    contract = shop.theirs.engagement.contract
    assert contract is not None
    assert (contract.approvals(), contract.open_requests()) == ((), ())
    assert shop.buy(approval_seconds=0) == ["approval_required pay"]


def test_a_suspension_wins_over_an_approval(shop: Shop) -> None:
    """HIRE-LIF-19: approved while it is suspended, the action is done once the contract goes on."""
    world, hirer = shop.world, shop.world.hirer
    shop.buy()
    world.run(hirer.changes.suspend(hirer.the(), seconds=600))
    world.settle()
    assert shop.answer(shop.asked()[0], 3) == []
    world.run(hirer.changes.resume(hirer.the()))
    world.settle(10)
    assert shop.buys.done == ["paid"]


def test_a_yes_that_is_over_before_it_is_used_is_not_asked_for_again(shop: Shop) -> None:
    """HIRE-LIF-19: the contract was suspended for longer than it was good for."""
    world, hirer = shop.world, shop.world.hirer
    shop.buy()
    world.run(hirer.changes.suspend(hirer.the(), seconds=600))
    world.settle()
    assert shop.answer(shop.asked()[0], seconds=60) == []
    world.settle(61)
    world.run(hirer.changes.resume(hirer.the()))
    world.settle(10)
    assert (shop.buys.done, shop.asked()) == (["approval_required pay"], [])


def test_without_waiting_nobody_is_asked(shop: Shop) -> None:
    """The caller is told which clause asks, and the hirer hears nothing."""
    assert shop.buy(approval_seconds=0) == ["approval_required pay"]
    assert shop.asked() == []
    assert shop.buys.jobs[0].actions[-1].reason.startswith("a person of the hirer has to agree")


def test_nobody_is_waited_for_beyond_the_contract(shop: Shop) -> None:
    shop.buy(approval_seconds=366 * 24 * 3600)
    said = last(shop.world.hirer, shop.ours.id, ApprovalRequest)
    assert said.answer_by == shop.ours.offered().terms.deadlines.until


def test_each_action_needs_its_own_yes(shop: Shop) -> None:
    """Two that are alike ask twice, and one yes lets one of them pass."""
    shop.buy(eur="10")
    shop.buy(eur="10")
    first, second = shop.asked()
    assert shop.answer(second) == ["paid"]
    assert shop.answer(first, granted=False) == ["approval_required pay"]


@pytest.mark.parametrize("side", ["hirer", "provider", "both"])
def test_a_request_outlives_a_restart(shop: Shop, side: str) -> None:
    """Asked, restarted, answered: the work that begins anew takes up the same request, and is let through once."""
    world = shop.world
    shop.buy()
    (request,) = shop.asked()
    if side in ("provider", "both"):
        world.restart(world.provider)
    if side in ("hirer", "both"):
        world.restart(world.hirer)
    world.reconnect()
    world.settle(1)
    if side != "hirer":
        assert shop.buy() == []
    assert shop.asked() == [request], "nobody is asked twice"
    assert shop.answer(request) == ["paid"]
    assert shop.buy(approval_seconds=0) == ["approval_required pay"]


def test_an_answer_outlives_a_restart(shop: Shop) -> None:
    """Answered while the provider was away: what it then does needs no second question, and the use stays counted."""
    world = shop.world
    shop.buy()
    world.cut = True
    shop.answer(shop.asked()[0])
    world.restart(world.provider)
    world.reconnect()
    world.settle(1)
    assert shop.buy(approval_seconds=0) == ["paid"]
    world.restart(world.provider)
    world.settle(1)
    assert shop.buy(approval_seconds=0) == ["approval_required pay"]


def test_an_answer_that_comes_after_the_gates_no_is_not_asked_for_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The yes arrives when the gate was asked and nobody yet: it is taken, and nobody is asked twice."""
    world = shop.world
    shop.buy()
    world.cut = True
    shop.answer(shop.asked()[0])
    provider = world.restart(world.provider)
    admit, arrived = provider.admit, asyncio.Event()

    async def admits_later(*given: Any) -> Any:
        try:
            return await admit(*given)
        except ScopeError:
            await arrived.wait()
            raise

    monkeypatch.setattr(provider, "admit", admits_later)
    assert shop.buy() == []
    world.reconnect()
    world.settle(1)
    assert shop.buys.done == []
    arrived.set()
    world.settle(1)
    assert shop.buys.done == ["paid"]
    assert shop.asked() == []


def test_the_application_may_answer(shop: Shop) -> None:
    """It sees what the yes is good for; what is no answer, and what fails, is told and left to a person."""
    seen: list[Wanted] = []
    words: list[Any] = [True, False, "yes", None, RuntimeError("no database")]

    async def decide(wanted: Wanted) -> Any:
        seen.append(wanted)
        word = words.pop(0)
        if isinstance(word, Exception):
            raise word
        return word

    shop.world.hirer.changes.answers.by["summary"] = decide
    no = "approval_required pay"
    with capture_logs() as logged:
        assert [shop.buy(eur=str(n)) for n in range(1, 6)] == [["paid"], [no], [], [], []]
    errors = [one["error"] for one in logged if one["log_level"] == "error"]
    assert errors == ["TypeError: approve: expected True, False or None; got 'yes'", "RuntimeError: no database"]
    assert seen[0].explain() == f"[pay] pay:order on {SHOP} (1 EUR, 1 count)"
    assert len(shop.asked()) == 3
    said = [one.message for one in messages(shop.world.hirer, shop.ours.id)]
    assert [one.granted for one in said if isinstance(one, Approval)] == [True, False]


@pytest.mark.parametrize("word", [True, False])
def test_an_answer_that_cannot_be_signed_now_is_given_later(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, word: bool
) -> None:
    """The service that keeps the key is away for a moment. Who decides has said it, and is not asked again."""
    say, left, asked = Conversation._say, 2, 0

    async def decide(_: Wanted) -> bool:
        nonlocal asked
        asked += 1
        return word

    async def says(self: Conversation, turn: Any, said: Any) -> None:
        nonlocal left
        if said.type == "Approval":
            left -= 1
            if left >= 0:
                raise ConfigurationError("key_unavailable", "the key is away")
        await say(self, turn, said)

    shop.world.hirer.changes.answers.by["summary"] = decide
    monkeypatch.setattr(Conversation, "_say", says)
    assert shop.buy(20) == ["paid" if word else "approval_required pay"]
    assert (left, asked) == (-1, 1)


def test_an_application_is_asked_once_the_store_can_be_read(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is away for a moment does not leave a request without its answer."""
    ledger, left, asked = shop.world.hirer.ledger, 2, 0
    rows = ledger.rows

    async def decide(_: Wanted) -> bool:
        nonlocal asked
        asked += 1
        return True

    async def away(*given: Any, **options: Any) -> Any:
        nonlocal left
        left -= 1
        if left >= 0:
            raise LedgerUnavailable("store_unavailable", "it is away")
        return await rows(*given, **options)

    shop.world.hirer.changes.answers.by["summary"] = decide
    monkeypatch.setattr(ledger, "rows", away)
    assert shop.buy(20) == ["paid"]
    assert (left < 0, asked) == (True, 1)


def test_nobody_tries_to_answer_what_waits_for_no_answer_any_more(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is damaged, and nothing says that it will ever be read again; so it was tried for ever."""
    tried = 0

    async def damaged(*_: Any, **__: Any) -> Any:
        nonlocal tried
        tried += 1
        raise LedgerError("store_corrupt", "it is damaged")

    monkeypatch.setattr(shop.world.hirer.ledger, "rows", damaged)
    assert shop.buy(70, approval_seconds=60) == ["approval_required pay"]
    assert tried > 3, "as long as it could be answered"
    shop.world.settle(120)
    tried = 0
    shop.world.settle(600)
    assert tried == 0


class Key:
    """The service that keeps the hirer's key: no approval can be signed while it is away."""

    away = True


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> Key:
    say, key = Conversation._say, Key()

    async def says(self: Conversation, turn: Any, said: Any) -> None:
        if said.type == "Approval" and key.away:
            raise ConfigurationError("key_unavailable", "the key is away")
        await say(self, turn, said)

    monkeypatch.setattr(Conversation, "_say", says)
    return key


@pytest.mark.parametrize("minutes", [5, 15])
def test_a_yes_of_the_application_is_good_from_when_it_was_said(
    shop: Shop, key: Key, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    """For an hour, here for ten minutes, however long the key is away that signs it."""

    async def decide(_: Wanted) -> bool:
        return True

    shop.world.hirer.changes.answers.by["summary"] = decide
    monkeypatch.setattr("undersigned.runtime.execution.requests.GOOD_SECONDS", 600)
    began = shop.world.clock.now()
    assert shop.buy(minutes * 60, approval_seconds=7200) == []
    key.away = False
    shop.world.settle(120)
    said = [one.message for one in messages(shop.world.hirer, shop.ours.id)]
    assert [one.until for one in said if isinstance(one, Approval)] == ([shift(began, 600)] if minutes == 5 else [])


def test_an_answer_that_cannot_be_signed_now_is_left_where_somebody_else_gave_one(shop: Shop, key: Key) -> None:
    """The request has its answer: nothing is said of it any more."""

    async def decide(_: Wanted) -> bool:
        return False

    shop.world.hirer.changes.answers.by["summary"] = decide
    assert shop.buy() == []
    key.away = False
    assert shop.answer(shop.asked()[0], 20) == ["paid"]
    said = [one.message for one in messages(shop.world.hirer, shop.ours.id)]
    assert [one.granted for one in said if isinstance(one, Approval)] == [True]
