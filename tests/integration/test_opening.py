"""What a peer offers is offered to the first who comes."""

from __future__ import annotations

import asyncio
import gc
import threading
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from integration.hires import REPORT, linger, summarise, two_homes, until
from integration.interrupted import Interrupted
from trust_graphs import edge
from undersigned import Peer
from undersigned.errors import ConfigurationError, LedgerUnavailable
from undersigned.ledger import Admitted, TrustStore
from undersigned.ledger.sqlite_file import Lock
from undersigned.runtime import ControlPart, StatusRegister
from undersigned.runtime.engagement.conversations import Conversations
from undersigned.testing import free_ports

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


async def test_whoever_comes_while_a_peer_is_opened_finds_what_it_offers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The listener is there before the application has said what it offers: a connection waits for that."""
    provides, hires = await two_homes(tmp_path)
    async with Peer.open(hires) as hirer:
        provider = Peer.open(provides)
        orders: list[asyncio.Future[Any]] = []

        async def is_late() -> None:
            order = hirer.hire(provider.own.id, task="summary", inputs={"report": REPORT}, price="5 EUR")
            orders.append(asyncio.ensure_future(order))
            await until(lambda: door().unproved)  # its connection is there, and waits

        def door() -> Any:
            return provider._listener.door  # type: ignore[union-attr]

        monkeypatch.setattr(provider, "_start_gates", is_late)
        async with provider:
            provider.offers("summary", price="4.00 EUR", delivers="summary.txt")(summarise)
            result = await orders[0]
            assert result["summary.txt"] == REPORT.split(b"\n", 1)[0]


async def test_work_that_goes_on_is_done_by_what_is_offered_once_the_peer_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was cut off, and goes on with the start, which takes its time: it does not fail for want of a handler."""
    provides, hires = await two_homes(tmp_path)
    async with Peer.open(hires) as hirer:
        async with Peer.open(provides) as provider:
            provider.offers("summary", price="4.00 EUR", delivers="summary.txt")(linger)
            order = hirer.hire(provider.own.id, task="summary", inputs={"report": REPORT}, price="5 EUR")
            done = asyncio.ensure_future(order)
            await until(lambda: provider.worker.at_work)
        provider = Peer.open(provides)

        async def takes_long() -> None:
            await until(lambda: provider.worker.at_work)
            for _ in range(1000):
                await asyncio.sleep(0)

        monkeypatch.setattr(provider, "_start_gates", takes_long)
        async with provider:
            provider.offers("summary", price="4.00 EUR", delivers="summary.txt")(summarise)
            assert (await done)["summary.txt"] == REPORT.split(b"\n", 1)[0]


async def test_what_is_fetched_of_a_peer_that_is_being_opened_is_no_verdict_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before its engagements are there it does not say that there is none: honest work would be rejected for that."""
    answered: list[int] = []
    artifact = Peer._artifact

    async def answers(self: Peer, asked: Any) -> Any:
        answer = await artifact(self, asked)
        if self is provider:
            answered.append(answer.status)
        return answer

    monkeypatch.setattr(Peer, "_artifact", answers)
    provides, hires = await two_homes(tmp_path)
    provider = Peer.open(provides)
    provider.offers("summary", price="4.00 EUR", delivers="summary.txt")(summarise)
    async with Peer.open(hires) as hirer, provider:
        order = hirer.hire(provider.own.id, task="summary", inputs={"report": REPORT}, price="5 EUR")
        done = asyncio.ensure_future(order)
        async for event in order:
            if (event.kind, event.type) == ("received", "Delivery"):
                provider.ready.clear()  # as while it starts
                provider.conversations, there = Conversations(), provider.conversations
                break
        await until(lambda: len(answered) > 1)  # it asked again, so the first answer was none
        assert not done.done()
        provider.conversations = there
        provider.ready.set()
        result = await done
        assert result["summary.txt"] == REPORT.split(b"\n", 1)[0]


async def test_a_log_that_is_not_open_yet_is_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks hears that, and nothing is taken for a defect."""
    provides, _ = await two_homes(tmp_path)
    provider = Peer.open(provides)
    statuses: list[int] = []

    async def is_asked() -> None:
        async with ClientSession() as session, session.get(f"{provider.base_url}/ledger/checkpoint") as answer:
            statuses.append(answer.status)

    monkeypatch.setattr(provider, "_start_control", is_asked)
    async with provider:
        await is_asked()
    assert statuses == [503, 200]


async def test_where_gates_ask_may_be_said_as_text(tmp_path: Path) -> None:
    """As the command's `--gates HOST:PORT`; what is none is refused, and the state folder is free again."""
    home, _ = await two_homes(tmp_path)
    for said in ("9000", "127.0.0.1", "10.0.0.1:0"):
        peer = Peer.open(home)
        peer.gates = said
        with pytest.raises(ConfigurationError, match=r"gates: |not controlled from"):
            await peer.start()
    peer = Peer.open(home)
    peer.gates, peer.control = "localhost:0", "127.0.0.1:0"
    async with peer:
        assert peer.gates_url.startswith("http://127.0.0.1:")
        assert peer.control_url not in ("", peer.gates_url)


@pytest.mark.timeout(180)
async def test_a_start_that_is_cancelled_leaves_nothing_open(tmp_path: Path) -> None:
    """At whatever it waits for, as `asyncio.timeout` around it does: the state folder can be opened at once."""
    faults: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    home, _ = await two_homes(tmp_path)
    control, gates = free_ports(2)
    for number in count():
        peer = Peer.open(home)
        peer.control, peer.gates = ControlPart(port=control), ControlPart(port=gates)
        start = Interrupted(peer.start(), number)

        async def started(start: Interrupted = start) -> None:
            await start

        task = asyncio.create_task(started())
        try:
            await task
        except asyncio.CancelledError:
            assert peer._ledger is None, number
            Lock(home.path / "ledger.db.lock").release()
        else:
            await peer.close()
        if not start.reached:
            break
    async with Peer.open(home):
        pass
    gc.collect()
    assert number > 10
    assert faults == []


@pytest.mark.parametrize("store", [StatusRegister, TrustStore])
async def test_what_a_start_that_is_cancelled_looks_at_is_closed_when_that_was_seen(
    store: type[StatusRegister | TrustStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread goes on when nobody waits for it any more. SQLite was closed under it, and the process died of that."""
    began, goes_on, seen = threading.Event(), threading.Event(), list[int]()
    check = store.check

    def checks(self: Any) -> None:
        if not seen:
            began.set()
            goes_on.wait(30)
        check(self)
        seen.append(1)

    monkeypatch.setattr(store, "check", checks)
    home, _ = await two_homes(tmp_path)
    with TrustStore(home.trust) as graph:
        graph.admit([Admitted(edge("n1", "n2"), None)])
    peer = Peer.open(home)
    start = asyncio.create_task(peer.start())
    assert await asyncio.to_thread(began.wait, 30)
    for _ in range(2):
        start.cancel()
        await asyncio.wait([start], timeout=0.1)  # it may not end, and nobody says that it does not
    ended = start.done()
    goes_on.set()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert (ended, seen) == (False, [1])
    async with Peer.open(home):
        pass


async def test_who_opens_a_state_folder_twice_hears_that_it_is_this_process(tmp_path: Path) -> None:
    """And not its own number, as of a program that would have to be looked for."""
    home, _ = await two_homes(tmp_path)
    async with Peer.open(home):
        with pytest.raises(LedgerUnavailable, match="another peer of this process has this state folder open"):
            await Peer.open(home).start()
