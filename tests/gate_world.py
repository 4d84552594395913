"""A hirer with a server behind a gate, and the agent it hired, which is at work and asks that server for things."""

from __future__ import annotations

import asyncio
import json
import socket
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

import uvicorn
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from yarl import URL

from integration.hires import did_of, two_homes, until
from undersigned.bridges.gate_rules import GateRules, read_rules
from undersigned.daemon import GateProxy, Peer, RemoteDesk, RequestGate
from undersigned.daemon.serving import signed_headers
from undersigned.encoding import Digest, shift
from undersigned.errors import UndersignedError
from undersigned.keys import KeyKind
from undersigned.runtime import Clock, ControlPart, Job
from undersigned.scope import Grant, Limit, Prohibition, Scope
from undersigned.transport import Identity

ORIGIN = "https://api.acme.example"
RULES = """
origin = "https://api.acme.example"
max_body_bytes = 1000000
forward = ["x-trace"]

[[rule]]
method = ["GET", "HEAD"]
path = "/repos/{repo}/files/*"
action = "repo:read"
target = "https://git.acme.example/{repo}"

[[rule]]
method = "POST"
path = "/orders"
action = "order:place"
amounts = { EUR = "0.5" }

[[rule]]
method = "GET"
path = "/customers/*"
action = "customer:read"

[[rule]]
method = "PUT"
path = "/files/*"
action = "file:write"
amounts = { bytes = "body" }
"""
SCOPE = Scope(
    grants=(
        Grant("read-app", "repo:read", "https://git.acme.example/app", limits=(Limit("count", "10"),)),
        Grant("orders", "order:place", f"{ORIGIN}/orders", limits=(Limit("EUR", "1"),)),
        Grant("write", "file:write", f"{ORIGIN}/files/*", limits=(Limit("bytes", "2000000"),)),
        Grant("customers", "customer:read", f"{ORIGIN}/customers/*"),
    ),
    prohibitions=(Prohibition("no-payroll", "customer:read", f"{ORIGIN}/customers/payroll"),),
)


class Heard(NamedTuple):
    """An answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        assert self.headers["Content-Type"] == "application/problem+json", self
        return json.loads(self.body)

    @property
    def no(self) -> tuple[int, str, str]:
        """Status, code and clause of a refusal."""
        return self.status, self.problem["code"], self.problem.get("clause", "")


class Service:
    """A server of the hirer that believes whoever reaches it, and keeps what reached it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        self.asked.append((request.method, request.raw_path, dict(request.headers), body))
        return web.Response(
            body=b"done: " + request.raw_path.encode(),
            headers={"X-Kept": "yes", "Connection": "X-Gone", "X-Gone": "hop", "Set-Cookie": "session=1"},
        )


class World(NamedTuple):
    """All of it, while the contract is in force."""

    hirer: Peer
    provider: Peer
    contract: Digest
    rules: GateRules
    session: ClientSession
    finish: asyncio.Event
    hiring: asyncio.Task[Any]
    jobs: list[Job]

    @property
    def job(self) -> Job:
        return self.jobs[-1]

    def desk(self) -> RemoteDesk:
        """How a server on another machine asks."""
        return RemoteDesk(self.hirer.gates_url, self.hirer.home.gate_token())

    async def signed(
        self, method: str, path: str, body: bytes | None = None, *, by: Identity | None = None, **options: Any
    ) -> tuple[tuple[str, str], ...]:
        """The fields of a request; `ago` seconds old, for another `contract` or `origin` if named."""
        now = shift(self.provider.clock.now(), -options.get("ago", 0))
        url = options.get("origin", ORIGIN) + path
        contract = options.get("contract", self.contract)
        return await signed_headers(by or self.provider.identity, method, url, contract, now, body)

    async def send(
        self, at: str, method: str, path: str, fields: Any = (), body: bytes | None = None, **more: str
    ) -> Heard:
        """Sends a request as it is; `_` in a name of `more` stands for `-`."""
        headers = [*fields, *((name.replace("_", "-"), value) for name, value in more.items())]
        url = URL(at + path, encoded=True)
        async with self.session.request(method, url, data=body, headers=headers, allow_redirects=False) as answer:
            return Heard(answer.status, dict(answer.headers), await answer.read())

    async def ask(self, at: str, method: str, path: str, body: bytes | None = None, **options: Any) -> Heard:
        """Signs a request and sends it."""
        return await self.send(at, method, path, await self.signed(method, path, body, **options), body)

    async def judged(self, heard: Heard, method: str, path: str, fields: Any) -> str:
        """What the agent finds of an answer to the request that these fields signed: `good`, or a code."""
        try:
            sent = method, ORIGIN + path, fields
            await self.job.check_answer(sent, heard.status, heard.headers.items(), heard.body)
        except UndersignedError as error:
            return error.code
        return "good"

    async def records(self) -> list[dict[str, Any]]:
        """The refused actions in the hirer's journal."""
        conversation = next(iter(self.hirer.conversations.values()))
        rows = await self.hirer.ledger.rows(conversation.id)
        return [json.loads(row.raw) for row in rows if row.type == "refused-action"]

    async def used(self) -> dict[str, str]:
        """What is booked at the hirer."""
        return dict(await self.hirer.ledger.usage(self.contract))


@asynccontextmanager
async def at_work(
    folder: Path,
    *,
    scope: Scope = SCOPE,
    clock: Clock | None = None,
    provider_clock: Clock | None = None,
    kind: KeyKind = "Ed25519",
) -> AsyncIterator[World]:
    """The contract is in force inside the block, and both peers run, by one clock unless the provider has its own."""
    finish, begun = asyncio.Event(), asyncio.Event()
    jobs: list[Job] = []

    async def work(job: Job) -> None:
        jobs.append(job)
        begun.set()
        await finish.wait()
        await job.deliver("summary.txt", b"done", media_type="text/plain")

    acme, globex = await two_homes(folder, kind=kind)
    hirer = Peer.open(acme, clock=clock)
    hirer.gates = ControlPart()
    async with (
        hirer,
        Peer.open(globex, clock=provider_clock or clock, handlers={"summary": work}) as provider,
        ClientSession() as session,
    ):
        hiring = asyncio.create_task(hire(hirer, provider, scope))
        await begun.wait()
        await until(lambda: any(c.engagement.state == "working" for c in hirer.conversations.values()))
        rules = read_rules(tomllib.loads(RULES))
        try:
            yield World(hirer, provider, jobs[0].contract, rules, session, finish, hiring, jobs)
        finally:
            hiring.cancel()
            await asyncio.gather(hiring, return_exceptions=True)


async def hire(hirer: Peer, provider: Peer, scope: Scope) -> Any:
    """Returns when the work is done, at the end of the world."""
    return await hirer.hire(
        did_of(provider.home.configuration.listen.port),
        task="summary",
        inputs={"report": b"Quarterly.\n"},
        price="5 EUR",
        deliverable="summary.txt",
        scope=scope,
    )


@asynccontextmanager
async def proxied(world: World, service: Service, **options: Any) -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """The URL of a proxy in front of the service, and what it tells of each request."""
    told: list[dict[str, Any]] = []
    async with world.desk() as desk, served(service) as upstream:
        gate = RequestGate(desk, options.pop("rules", world.rules), **options)
        async with GateProxy(gate, upstream, told=told.append) as proxy:
            yield proxy.url, told


@asynccontextmanager
async def served(service: Service) -> AsyncIterator[str]:
    """The URL of a service on a socket of its own."""
    async with serving(service.answer) as url:
        yield url


@asynccontextmanager
async def serving(answer: Callable[[web.Request], Awaitable[web.StreamResponse]], **options: Any) -> AsyncIterator[str]:
    """The URL of what answers every request, on a socket of its own."""
    app = web.Application(client_max_size=16 * 1024 * 1024, **options)
    app.router.add_route("*", "/{tail:.*}", answer)
    server = TestServer(app)
    await server.start_server()
    try:
        yield str(server.make_url("/")).rstrip("/")
    finally:
        await server.close()


@asynccontextmanager
async def under_uvicorn(app: Any, lifespan: Literal["on", "off"]) -> AsyncIterator[str]:
    """The URL of an ASGI application under a real server."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan=lifespan))
    # Else it takes Ctrl-C, and at its end gives it back to the loop that ran when it began, whatever runs by then.
    server.capture_signals = nullcontext
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - it says so nowhere else
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


@contextmanager
def taking_nobody() -> Iterator[str]:
    """A server that takes no connection, and refuses none: as many wait there as may."""
    with socket.socket() as listening, ExitStack() as waiting:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@asynccontextmanager
async def about_to_answer() -> AsyncIterator[str]:
    """A server that says without end that it is about to answer."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        with suppress(OSError):
            while True:
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 20)
                await writer.drain()
                await asyncio.sleep(0.01)

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def lines(fields: tuple[tuple[str, str], ...]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in fields)


async def raw(url: str, sent: str, *, half: bool = False) -> bytes:
    """All that comes back for these bytes; with `half` the sender leaves in the middle."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    try:
        writer.write(sent.encode())
        await writer.drain()
        if half:
            writer.write_eof()
        return await asyncio.wait_for(reader.read(), 20)
    finally:
        writer.close()
