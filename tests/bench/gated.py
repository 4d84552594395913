"""What the way through a gate costs: the same signed requests to the same server, with a gate before it and without.

Everything is real and in this process: two peers with SQLite ledgers, a contract at work, the gate that asks the
hirer's peer over loopback, the server, and who asks. So a figure without a gate is the floor of the one with it.
Requests are signed beforehand: signing is the agent's cost.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import structlog
from aiohttp import ClientSession, TCPConnector, web

from gate_world import ORIGIN, World, at_work
from undersigned.bridges.gate_rules import read_rules
from undersigned.bridges.mcp_rules import Rules
from undersigned.daemon import GateProxy, HttpGate, RequestGate
from undersigned.daemon.serving import signed_headers
from undersigned.scope import Grant, Limit, Scope

REQUESTS, CALLERS = 600, 16
SCOPE = Scope(
    grants=(
        Grant("free", "file:read", f"{ORIGIN}/free/*"),
        Grant("limited", "file:read", f"{ORIGIN}/limited/*", limits=(Limit("count", "1000000"),)),
        Grant("tool", "note:read", f"{ORIGIN}/notes/*"),
    )
)
RULES = {
    "origin": ORIGIN,
    "rule": [{"method": "GET", "path": f"/{kind}/*", "action": "file:read"} for kind in ("free", "limited")],
}
TOOLS = {
    "tool": [{"name": "read", "action": "note:read", "target": f"{ORIGIN}/notes/{{note}}", "arguments": {"note": {}}}]
}


class Asked(NamedTuple):
    """A request that is signed already."""

    method: str
    path: str
    fields: tuple[tuple[str, str], ...]
    body: bytes | None


async def _answer(request: web.BaseRequest) -> web.StreamResponse:
    """The server: a small file, or what a tool answers."""
    if request.method == "GET":
        return web.Response(body=b"x" * 500)
    asked = json.loads(await request.read())
    result = {"content": [{"type": "text", "text": "x" * 400}], "isError": False}
    return web.json_response({"jsonrpc": "2.0", "id": asked["id"], "result": result})


async def _ask(base: str, asked: Sequence[Asked]) -> tuple[float, float]:
    """Requests a second, and milliseconds of this process's CPU for each."""
    left = iter(asked)

    async def caller(session: ClientSession) -> None:
        for one in left:
            async with session.request(one.method, base + one.path, headers=one.fields, data=one.body) as answer:
                await answer.read()
                if answer.status != 200:
                    raise RuntimeError(f"{one.path}: {answer.status} {await answer.text()}")

    async with ClientSession(connector=TCPConnector(limit=CALLERS)) as session:
        wall, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(caller(session) for _ in range(CALLERS)))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return len(asked) / wall, 1000 * cpu / len(asked)


async def _signed(
    world: World, url: str, method: str, paths: Sequence[str], bodies: Sequence[bytes | None]
) -> list[Asked]:
    found: list[Asked] = []
    for path, body in zip(paths, bodies, strict=True):
        now = world.provider.clock.now()
        fields = await signed_headers(world.provider.identity, method, url + path, world.contract, now, body)
        kind = () if body is None else (("Content-Type", "application/json"),)
        found.append(Asked(method, path, (*fields, *kind), body))
    return found


@asynccontextmanager
async def _server() -> AsyncIterator[str]:
    server = web.Server(_answer, access_log=None)
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()
        await server.shutdown(1.0)


async def measured(folder: Path) -> list[tuple[str, tuple[float, float], tuple[float, float]]]:
    """Of each way: its name, the figures with the gate, and those without."""
    found: list[tuple[str, tuple[float, float], tuple[float, float]]] = []
    async with at_work(folder, scope=SCOPE) as world, world.desk() as desk, _server() as server:
        async with GateProxy(RequestGate(desk, read_rules(RULES)), server) as proxy:
            for name, kind in (("no limit", "free"), ("a limit", "limited")):
                paths = [f"/{kind}/{number}" for number in range(REQUESTS)]
                asked = await _signed(world, ORIGIN, "GET", paths, [None] * REQUESTS)
                found.append((f"HTTP, {name}", await _ask(proxy.url, asked), await _ask(server, asked)))
        async with HttpGate(desk, Rules.from_toml(TOOLS), f"{server}/mcp") as gate:
            bodies: list[bytes] = [json.dumps(_call(number)).encode() for number in range(REQUESTS)]
            base = gate.url.removesuffix("/mcp")
            asked = await _signed(world, base, "POST", ["/mcp"] * REQUESTS, bodies)
            found.append(("MCP, no limit", await _ask(base, asked), await _ask(server, asked)))
    return found


def _call(number: int) -> dict[str, Any]:
    params = {"name": "read", "arguments": {"note": f"n{number}"}}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


def show_gated(folder: str | None, run: Any) -> None:
    """Prints the figures; `run` runs a coroutine on the loop that is measured."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as place:
        rows = run(measured(Path(place)))
    print(
        f"through a gate, with {CALLERS} callers; CPU of all in one process: who asks, gate, hirer's peer, and server"
    )
    for name, (rate, cpu), (bare_rate, bare_cpu) in rows:
        print(
            f"{name:<15} {rate:8,.0f} requests a second, {cpu:5.2f} ms CPU; without the gate {bare_rate:8,.0f} and "
            f"{bare_cpu:.2f} ms: {bare_rate / rate:.1f} times as many, {cpu / bare_cpu:.1f} times the CPU"
        )
