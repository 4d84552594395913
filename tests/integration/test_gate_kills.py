"""`kill -9` of a gate, or of the peer that it asks, in the middle of a request, with real processes.

What passed is counted once, what was signed once passes once, and what is started again serves as before.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession, web

from gate_world import ORIGIN, RULES, serving
from integration.commands import UNDERSIGNED, Process
from integration.hires import did_of, free_ports, two_homes, until
from undersigned import Peer
from undersigned.daemon.serving import signed_headers
from undersigned.ledger import open_ledger
from undersigned.runtime import Home, Job

APP = "/repos/app/files/readme"
ALLOWED = "repo:read=https://git.acme.example/app;count<=20"


class Held:
    """A server that answers when it is let, and keeps under which permits it was asked."""

    def __init__(self) -> None:
        self.permits: list[str] = []
        self.may = asyncio.Event()
        self.may.set()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.permits.append(request.headers["Idempotency-Key"])
        await self.may.wait()
        return web.Response(text="done")


class World:
    """A contract in force, whose hirer has a server behind a gate; peer and gate are processes that can be killed."""

    def __init__(self, acme: Home, provider: Peer, contract: str, session: ClientSession, upstream: str) -> None:
        self.acme, self.provider, self.contract, self.session = acme, provider, contract, session
        self.desk, self.port = free_ports(2)
        gate = ("gate", "--upstream", upstream, "--rules", "rules.toml", "--peer", f"http://127.0.0.1:{self.desk}")
        self.programs: dict[str, Sequence[str]] = {
            "peer": ("serve", "--gates", f"127.0.0.1:{self.desk}"),
            "gate": (*gate, "--listen", f"127.0.0.1:{self.port}"),
        }
        self.running: dict[str, Process] = {}

    async def start(self, *names: str) -> None:
        for name in names:
            program = [*UNDERSIGNED, *self.programs[name], "--home", str(self.acme.path), "--json"]
            self.running[name] = Process(program, self.acme.path.parent)
            await asyncio.to_thread(self.running[name].until, '"ready"')

    async def kill(self, *names: str) -> None:
        for name in names:
            ended = await asyncio.to_thread(self.running.pop(name).end, signal.SIGKILL)
            assert "Traceback" not in ended.err, ended.err

    async def signed(self) -> Any:
        return await signed_headers(
            self.provider.identity, "GET", ORIGIN + APP, self.contract, self.provider.clock.now(), None
        )

    async def ask(self, fields: Any = None) -> int:
        """The status of the answer; 0 where the connection broke."""
        try:
            async with self.session.get(
                f"http://127.0.0.1:{self.port}{APP}", headers=fields or await self.signed()
            ) as a:
                return a.status
        except ClientError:
            return 0

    async def used(self) -> int:
        ledger = await open_ledger(self.acme.ledger_url, read_only=True)
        try:
            return int((await ledger.usage(self.contract, self.provider.clock.now())).get("allow-1/count", "0"))
        finally:
            await ledger.close()


@asynccontextmanager
async def at_work(folder: Path, service: Held) -> AsyncIterator[World]:
    acme, globex = await two_homes(folder)
    (folder / "rules.toml").write_text(RULES)
    begun: asyncio.Future[Job] = asyncio.get_running_loop().create_future()

    async def work(job: Job) -> None:
        if not begun.done():
            begun.set_result(job)
        await asyncio.Event().wait()

    async with (
        Peer.open(globex, handlers={"summary": work}) as provider,
        ClientSession() as session,
        serving(service.answer) as upstream,
    ):
        named = ("--task", "summary", "--price", "5 EUR", "--input", "report=rules.toml", "--allow", ALLOWED)
        hiring = [*UNDERSIGNED, "hire", did_of(globex.configuration.listen.port), *named, "--home", str(acme.path)]
        hire = Process(hiring, folder)
        try:
            contract = (await asyncio.wait_for(begun, 60)).contract
        finally:
            await asyncio.to_thread(hire.end, signal.SIGKILL)
        world = World(acme, provider, contract, session, upstream)
        try:
            await world.start("peer", "gate")
            async with asyncio.timeout(60):
                while await world.ask() != 200:  # noqa: ASYNC110 - the peer may have to hear first that work has begun
                    await asyncio.sleep(0.05)
            yield world
        finally:
            await world.kill(*world.running)


@pytest.mark.parametrize("killed", [("peer",), ("gate",), ("gate", "peer")], ids="+".join)
async def test_what_passed_is_counted_once_whoever_is_killed(tmp_path: Path, killed: tuple[str, ...]) -> None:
    """HIRE-GTS-03, HIRE-GTS-10, HIRE-GTS-11: while the server has it; what cannot be asked for is not let in."""
    service = Held()
    async with at_work(tmp_path, service) as world:
        service.may.clear()
        before, fields = len(service.permits), await world.signed()
        asked = asyncio.create_task(world.ask(fields))
        await until(lambda: len(service.permits) == before + 1)
        await world.kill(*killed)
        assert await world.used() == before + 1
        unheard = await world.ask()
        service.may.set()
        heard = await asked
        if "gate" in killed:
            assert (heard, unheard) == (0, 0)
        else:
            assert (heard, unheard) == (200, 503)
        assert len(service.permits) == before + 1
        await world.start(*reversed(killed))
        assert [await world.ask(fields), await world.ask()] == [401, 200]
        assert len(set(service.permits)) == len(service.permits) == before + 2
        assert await world.used() == before + 2
