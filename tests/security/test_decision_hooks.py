"""What the application's own strategy may do to a negotiation, to the others, and to what it was shown."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from integration.hires import REPORT, two_homes, until
from runtimes import World, folded, last, offices
from undersigned import Peer
from undersigned.errors import PolicyError
from undersigned.ledger import open_ledger
from undersigned.messages import Withdraw
from undersigned.protocol import Answer, Concede, Moment


class Hook:
    """A strategy that does what it is told, and after that takes what it is offered."""

    def __init__(self, does: Callable[[Moment], Any]) -> None:
        self.does = does
        self.asked = 0

    def answer(self, moment: Moment) -> Any:
        self.asked += 1
        return self.does(moment) if self.asked == 1 else Answer(act="accept")


def raises(_: Moment) -> Answer:
    raise RuntimeError("the model is away")


def changes_what_it_was_shown(moment: Moment) -> Answer:
    moment.theirs.price.amount = "0"  # type: ignore[misc]
    return Answer(act="accept")


def changes_a_list(moment: Moment) -> Answer:
    moment.theirs.deliverables.clear()  # type: ignore[attr-defined]
    return Answer(act="accept")


def calls_back(_: Moment) -> Answer:
    asyncio.get_running_loop()
    return Answer(act="accept")


@pytest.mark.parametrize(
    "does",
    [
        raises,
        changes_what_it_was_shown,
        changes_a_list,
        calls_back,
        lambda _: None,
        lambda _: True,
        lambda _: "accept",
        lambda _: {"act": "accept"},
        lambda _: Answer(act="counter"),
        lambda moment: Answer(act="accept", terms=moment.theirs),
        lambda _: Answer(act="seal"),  # type: ignore[arg-type]
        lambda _: Answer(act="withdraw", reason="the dog ate it"),
    ],
)
def test_sc_115_a_hook_that_gives_no_answer_ends_its_own_negotiation(
    does: Callable[[Moment], Any], tmp_path: Path
) -> None:
    """SC-115: with `decision_failed`; what it was shown stays as it was signed, and another negotiation goes on."""
    hook = Hook(does)
    world = World(offices(tmp_path), price="4 EUR", hirer_options={"strategy": hook})
    try:
        first = world.begin(opening="2 EUR", price="5 EUR")
        second = world.begin(opening="2 EUR", price="5 EUR")
        world.settle(5)
        assert hook.asked == 2
        ended = [folded(world.hirer, one.id) for one in (first, second)]
        (failed,) = [one for one in ended if one.contract is None]
        (agreed,) = [one for one in ended if one.contract is not None]
        assert failed.state == "withdrawn"
        assert last(world.hirer, failed.id, Withdraw).reason == "decision_failed"
        offers = {one.offered().terms.price.amount for one in (first, second)}
        assert offers == {"4"}, "what the other side signed"
        assert folded(world.provider, agreed.id).contract is not None
    finally:
        world.close()


def test_a_side_that_concedes_goes_from_what_it_said_last(tmp_path: Path) -> None:
    """It was shown what it said at first as what it said last, and said its first step until no round was left."""
    seen: list[tuple[str, str, str]] = []

    class Heard:
        def __init__(self, strategy: Any) -> None:
            self.strategy = strategy

        def answer(self, moment: Moment) -> Answer:
            prices = [terms.price.amount for terms in (moment.ours, moment.theirs)]
            seen.append((moment.role, prices[0], prices[1]))
            return self.strategy.answer(moment)

    class Dear:
        """Asks for more each time."""

        def answer(self, moment: Moment) -> Answer:
            amount = "7" if moment.ours.price.amount == "4" else str(int(moment.ours.price.amount) + 1)
            price = structs.replace(moment.ours.price, amount=amount)
            return Answer(act="counter", terms=structs.replace(moment.ours, price=price))

    options = {"strategy": Heard(Concede(steps=("3", "4", "5")))}
    world = World(offices(tmp_path), price="4 EUR", hirer_options=options, provider_options={"strategy": Heard(Dear())})
    try:
        name = world.begin(opening="2 EUR", price="5 EUR").id
        world.settle(10)
        assert folded(world.hirer, name).state == "withdrawn"
        assert [(ours, theirs) for role, ours, theirs in seen if role == "hirer"] == [
            ("2", "7"),
            ("3", "8"),
            ("4", "9"),
            ("5", "10"),
        ]
        assert [(ours, theirs) for role, ours, theirs in seen if role == "provider"] == [
            ("4", "2"),
            ("7", "3"),
            ("8", "4"),
            ("9", "5"),
        ]
    finally:
        world.close()


@pytest.mark.timeout(120)
async def test_sc_115_a_hook_that_does_not_come_back_holds_up_nobody_else(tmp_path: Path) -> None:
    """SC-115: it is waited for as long as was said, and the loop goes on meanwhile."""
    homes = await two_homes(tmp_path)
    let_go = threading.Event()
    hook = Hook(lambda _: let_go.wait(60))
    async with Peer.open(homes[0], strategy=hook) as acme, Peer.open(homes[1]) as globex:
        acme.bargaining.seconds = 2.0

        def hire() -> Any:
            options = {"task": "summary", "inputs": {"report": REPORT}, "price": "5 EUR", "opening": "2 EUR"}
            return acme.hire(globex.own.id, **options)

        async def refused() -> PolicyError:
            with pytest.raises(PolicyError) as caught:
                await hire()
            return caught.value

        began = time.monotonic()
        stuck = asyncio.ensure_future(refused())
        await until(lambda: hook.asked == 1)
        done = await hire()
        assert not stuck.done() or time.monotonic() - began > 2.0
        assert done["summary.txt"]
        error = await stuck
        assert error.code == "policy_denied"
        let_go.set()
    (ended,) = [one for one in await summaries(homes[0]) if one.contract is None]
    assert ended.state == "withdrawn"


async def summaries(home: Any) -> Any:
    store = await open_ledger(home.ledger_url, read_only=True)
    try:
        return await store.summaries()
    finally:
        await store.close()


@pytest.mark.timeout(120)
async def test_sc_115_a_hook_may_ask_the_runtime_from_its_thread(tmp_path: Path) -> None:
    """SC-115: another hire in the middle of a decision, waited for, ends; nothing waits for itself."""
    homes = await two_homes(tmp_path)
    loop = asyncio.get_running_loop()
    found: list[bytes] = []

    def hires(_: Moment) -> Answer:
        async def other() -> bytes:
            result = await acme.hire(globex.own.id, task="summary", inputs={"report": REPORT}, price="5 EUR")
            return result["summary.txt"]

        found.append(asyncio.run_coroutine_threadsafe(other(), loop).result(30))
        return Answer(act="accept")

    async with Peer.open(homes[0], strategy=Hook(hires)) as acme, Peer.open(homes[1]) as globex:
        acme.bargaining.seconds = 60.0
        options = {"task": "summary", "inputs": {"report": REPORT}, "price": "5 EUR", "opening": "2 EUR"}
        result = await acme.hire(globex.own.id, **options)  # type: ignore[arg-type]
        assert found == [result["summary.txt"]]


@pytest.mark.timeout(120)
def test_sc_115_a_program_ends_though_its_hook_does_not_come_back() -> None:
    """SC-115: the thread in which it thinks is not waited for when the process ends."""
    program = """
import asyncio, threading
from undersigned.errors import PolicyError
from undersigned.protocol import Concede, Moment, Bounds
from undersigned.runtime.negotiation.bargaining import Bargaining
from undersigned.testing import NOON, Playbook, terms_for

class Hook:
    def answer(self, moment):
        threading.Event().wait()

async def main():
    bargaining = Bargaining(Hook())
    bargaining.seconds = 0.1
    terms = terms_for(Playbook("ready").hirer.party)
    moment = Moment(role="hirer", now=NOON, theirs=terms, ours=terms, rounds_left=3)
    try:
        await bargaining.answer(Concede(steps=()), moment, Bounds(role="hirer", limit=terms.price))
    except PolicyError as error:
        print(error.code)
    bargaining.close()

asyncio.run(main())
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (ran.returncode, ran.stdout) == (0, "decision_failed\n"), ran.stderr


async def test_sc_115_a_peer_that_is_started_again_asks_its_hook(tmp_path: Path) -> None:
    """SC-115: what was put away at the end is there anew."""
    homes = await two_homes(tmp_path)
    hook = Hook(lambda _: Answer(act="accept"))
    acme = Peer.open(homes[0], strategy=hook)
    async with acme:
        pass
    async with acme, Peer.open(homes[1]) as globex:
        done = await acme.hire(globex.own.id, task="summary", inputs={"report": REPORT}, price="5 EUR", opening="2 EUR")
    assert hook.asked == 1
    assert done.price == "4 EUR"
