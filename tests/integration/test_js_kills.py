"""SIGKILL of the implementation in interop/js-peer, and of ours, at every sync of a disk.

They have a contract with each other, which is suspended, cancelled, disputed or simply done: after a restart there is
one, with the same moves and one end. `make test` takes one sync of some ways, `make sweep` every one of all.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any, Literal

import pytest

from integration.hires import free_ports, until
from integration.test_js_peer import SLOW, Js, assert_one_story, company
from support import ROOT, program
from undersigned.daemon import Peer
from undersigned.encoding import Digest
from undersigned.errors import UndersignedError
from undersigned.ledger import open_ledger
from undersigned.protocol import Role
from undersigned.runtime import ContractOrder, Home, Job, OfferPart, SystemClock, leave_order
from undersigned.testing import ARBITER

Side = Literal["it", "ours"]
KILLER = Path(__file__).with_name("kill_at_sync.mjs")
STRACE = ("-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e")
MOST_SYNCS = 60
PATIENCE_SECONDS = 90
SEED, SOME, FIRST_SYNCS = 25, 6, 9
"""How chance picks the ways of which `make test` takes one sync, among the first ones."""


async def slow(job: Job) -> None:
    """Goes on until there is the file that its input names."""
    file = Path((await job.read("report")).decode())
    while not file.exists():  # noqa: ASYNC110, ASYNC240 - another process writes it
        await asyncio.sleep(0.05)
    await job.deliver("summary.txt", b"It is there.", media_type="text/plain")


class Hired:
    """A contract at work between it and us; of either, the process is started anew where it was killed."""

    def __init__(self, role: Role, js: Js, home: Home, options: tuple[str, ...], port: int) -> None:
        """`role` is ours."""
        self.role, self.js, self.home, self.id, self.contract = role, js, home, "", ""
        self.here = AsyncExitStack()
        """What we run."""
        self.killed = False
        self._options, self._port = options, port
        self._there = AsyncExitStack()

    async def serve(self, **env: str) -> None:
        await self._there.enter_async_context(self.js.serving(*self._options, port=self._port, env=env))

    async def aclose(self) -> None:
        await self._there.aclose()

    @asynccontextmanager
    async def killing(self, side: Side, sync: int) -> AsyncGenerator[None]:
        """One side is started anew, killed after that many syncs, and started again."""
        reviving = asyncio.ensure_future(await (self._killing_it(sync) if side == "it" else self._killing_ours(sync)))
        try:
            yield
        finally:
            reviving.cancel()
            with suppress(asyncio.CancelledError):
                await reviving
            await self.here.aclose()

    async def _killing_it(self, sync: int) -> Awaitable[None]:
        async def reviving() -> None:
            await self.js.ended()
            self.killed = True
            await self._there.aclose()
            await self.serve()

        await self.js.kill()
        await self._there.aclose()
        with suppress(ValueError):  # it may be killed before it says that it serves
            await self.serve(NODE_OPTIONS=f"--import {KILLER.as_uri()}", KILL_AT=str(sync))
        return reviving()

    async def _killing_ours(self, sync: int) -> Awaitable[None]:
        async def reviving() -> None:
            await traced.wait()
            self.killed = True
            await self._served()

        await self.here.aclose()
        traced = await self._served(program("strace"), *STRACE, f"inject=fdatasync:signal=SIGKILL:when={sync}")
        return reviving()

    async def _served(self, *before: str) -> asyncio.subprocess.Process:
        command = [*before, sys.executable, "-m", "undersigned.cli", "serve", "--home", str(self.home.path), "--json"]
        env = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"}
        with (self.home.path / "process.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *command, stdout=log, stderr=log, env=env, start_new_session=True
            )
        self.here.push_async_callback(_ended, process)
        return process

    async def told(self) -> dict[str, Any]:
        """Where it stands there; nothing while nobody is there to say so."""
        with suppress(OSError):
            return await self.js.ask(f"/hires/{self.id}")
        return {}

    async def comes_to(self, state: str) -> dict[str, Any]:
        while (told := await self.told()).get("state") != state:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
        return told

    async def says(self, type: str, **members: Any) -> Digest:
        """Its owner says something, and again if nobody was there to hear it, until it is recorded here."""
        while True:
            ledger = await open_ledger(self.home.ledger_url, read_only=True)
            try:
                found = [row.digest for row in await ledger.rows(self.id) if row.type == type]
            finally:
                await ledger.close()
            if found:
                assert len(found) == 1
                return found[0]
            with suppress(OSError):  # also its no, where it has said that already
                await self.js.ask(f"/hires/{self.id}/say", {"type": type, **members})
            await asyncio.sleep(0.1)

    async def ordered(self, act: str, **body: Any) -> None:
        """Our owner orders something, once; whichever process is there carries it out, and answers."""
        answer = leave_order(self.home.orders, act, ContractOrder(act=act, contract=self.contract, body=body))
        while not answer.exists():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
        answered = json.loads(answer.read_bytes())
        assert answered["ok"], answered

    async def over(self) -> dict[str, Any]:
        """What it tells, once it is over for both."""
        while True:
            ledger = await open_ledger(self.home.ledger_url, read_only=True)
            try:
                live = await ledger.summaries(live_only=True)
            finally:
                await ledger.close()
            told = await self.told()
            if not live and told.get("over"):
                return told
            await asyncio.sleep(0.1)

    def work_may_end(self) -> None:
        (self.js.folder / "may-end").touch()


async def _ended(process: asyncio.subprocess.Process) -> None:
    """A session of its own: strace ignores signals that are meant for what it traces."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    await process.wait()


async def finished(at: Hired) -> None:
    at.work_may_end()


async def suspended(at: Hired) -> None:
    if at.role == "hirer":
        await at.ordered("suspend", seconds=600)
        await at.comes_to("suspended")
        await at.ordered("resume")
    else:
        await at.says("Suspend")
        await at.says("Resume")
    await at.comes_to("working")
    at.work_may_end()


async def cancelled(at: Hired) -> None:
    if at.role == "hirer":
        await at.ordered("cancel")
    else:
        await at.says("Cancel")


async def disputed(at: Hired) -> None:
    dispute = await at.says("Dispute", claim="It is not what was agreed on.")
    await at.comes_to("disputed")
    ruling = ARBITER.rule(at.contract, dispute, SystemClock().now(), outcome="divided", amount="2.5")
    await at.says("Ruling", ruling=ruling)


WAYS: dict[str, tuple[Callable[[Hired], Awaitable[None]], str]] = {
    "finished": (finished, "review"),
    "suspended": (suspended, "review"),
    "cancelled": (cancelled, "review"),
    "disputed": (disputed, "ruling"),
}
"""What happens from `working` on, and what the end rests on."""
PLAYED: list[tuple[Role, Side, str]] = [
    *(("hirer", "it", way) for way in WAYS),
    *(("provider", "it", way) for way in WAYS),
    *(("provider", "ours", way) for way in WAYS),
    *(("hirer", "ours", way) for way in WAYS),
]
"""The role that is ours, the side that is killed, and what happens."""


@asynccontextmanager
async def at_work(role: Role, way: str, folder: Path) -> AsyncGenerator[Hired]:
    js = Js(folder / "js")
    offer = OfferPart(task="slow", handler="integration.test_js_kills:slow", price="4 EUR", delivers="summary.txt")
    home, organisation = await company(folder, js, offer)
    (port,) = free_ports(1)
    arbiter = {"arbiter": ARBITER.did} if way == "disputed" else {}
    report = str(js.folder / "may-end").encode()
    at = Hired(role, js, home, ("--trust", organisation, *SLOW), port)
    await at.serve()
    hire: asyncio.Future[Any] | None = None
    try:
        peer = await at.here.enter_async_context(Peer.open(home))
        if role == "hirer":
            order: Any = {"task": "slow", "inputs": {"report": report}, "price": "5 EUR", "at": js.url}
            hire = asyncio.ensure_future(peer.hire(js.did, **arbiter, **order))
        else:
            wanted = {"provider": peer.identity.did, "task": "slow", "price": {"amount": "5", "currency": "EUR"}}
            await js.ask("/hire", {**wanted, "inputs": {"report": base64.b64encode(report).decode()}, **arbiter})
        await until(lambda: [one.engagement.state for one in peer.conversations.values()] == ["working"])
        (at.id,) = peer.conversations
        at.contract = (await at.comes_to("working"))["contract"]
        yield at
    finally:
        await at.here.aclose()
        if hire is not None:
            hire.cancel()
            with suppress(UndersignedError, asyncio.CancelledError):
                await hire
        await at.aclose()


async def killed_at(sync: int, role: Role, side: Side, way: str, folder: Path) -> bool:
    """Whether that side came to so many syncs from when it is started anew at work; it is killed there."""
    happens, rests_on = WAYS[way]
    async with asyncio.timeout(PATIENCE_SECONDS), at_work(role, way, folder) as at:
        async with at.killing(side, sync):
            await happens(at)
            told = await at.over()
        assert told["basis"] == rests_on
    await assert_one_story(at.home, at.js, told, "eddsa-jcs-2022")
    return at.killed


@pytest.mark.parametrize(("role", "side", "way"), Random(SEED).sample(PLAYED, SOME))
async def test_it_goes_on_where_it_was_killed(role: Role, side: Side, way: str, tmp_path: Path) -> None:
    """HIRE-CHN-07, HIRE-LIF-13: at one sync of each of these."""
    sync = Random(f"{SEED} {role} {side} {way}").randint(1, FIRST_SYNCS)
    await killed_at(sync, role, side, way, tmp_path / "one")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("role", "side", "way"), PLAYED)
async def test_it_goes_on_wherever_it_was_killed(role: Role, side: Side, way: str, tmp_path: Path) -> None:
    """HIRE-CHN-07, HIRE-LIF-13: at every sync."""
    sync = 1
    while await killed_at(sync, role, side, way, tmp_path / str(sync)):
        sync += 1
    assert 1 < sync < MOST_SYNCS
