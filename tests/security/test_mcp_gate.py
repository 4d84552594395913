"""Attacks on the gate of an MCP server: by its client, by its server, and over HTTP by strangers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import httpx2
import pytest
import pytest_asyncio
from aiohttp import ClientSession, web

from gate_world import about_to_answer, lines, raw, serving, taking_nobody
from integration.commands import environment
from integration.hires import until
from integration.interrupted import Interrupted
from mcp_world import World, at_work
from support import ROOT, program
from undersigned.bridges.mcp import CLIENT_LIMITS, MAX_OWED, SERVER_LIMITS, Dropped, Exchange, ToClient, ToServer
from undersigned.bridges.mcp_answers import REFUSAL
from undersigned.bridges.mcp_rules import Rules
from undersigned.daemon import GateLimits, HttpGate, RemoteDesk, gating, mcp_http
from undersigned.daemon.mcp_sessions import Sessions
from undersigned.encoding import digest_bytes
from undersigned.errors import FormatError, ProofError

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOSTILE = str(ROOT / "tests" / "mcp_hostile.py")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with at_work(tmp_path_factory.mktemp("mcp")) as found:
        yield found


def exchange() -> Exchange:
    tool = {"name": "pay", "action": "money:pay", "target": "https://bank.acme.example/{to}"}
    return Exchange(Rules.from_toml({"tool": [{**tool, "arguments": {"to": {}, "sum": {"max": 9}}}]}), ["money:pay"])


def call(name: object = "pay", id: object = 1, **arguments: object) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": name, "arguments": arguments}}


def sent(message: object) -> bytes:
    return message if isinstance(message, bytes) else json.dumps(message).encode()


# ---------------------------------------------------------------------- by the client


@pytest.mark.parametrize(
    "name",
    [
        "Pay",
        "PAY",
        "pay ",
        " pay",
        "pay\n",
        "pay\u0000",
        "раy",
        "ｐａｙ",
        "pay\u200b",
        "p\u0061y/",
        "./pay",
        "",
        None,
        ["pay"],
        1,
    ],
)
async def test_a_name_that_looks_like_a_tool_is_none(name: object) -> None:
    """HIRE-MCP-02: names are compared as they are spelled."""
    assert isinstance(exchange().from_client(sent(call("pay", to="a"))), ToServer)
    assert isinstance(exchange().from_client(sent(call(name, to="a"))), ToClient)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"pay"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"pay","arguments":{"to":"a","to":"b"}}}',
        b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","m\\u0065thod":"tools/call"}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping"}{"jsonrpc":"2.0","id":2,"method":"tools/call"}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":' + b"[" * 40 + b"]" * 40 + b"}}",
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":NaN}}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"\xff"}}',
        b"\xef\xbb\xbf" + b'{"jsonrpc":"2.0","id":1,"method":"ping"}',
        b"",
        b"null",
        b'"tools/call"',
        json.dumps([call(to="a")]).encode(),
        json.dumps([{"jsonrpc": "2.0", "id": 1, "method": "ping"}, call(to="a", id=2)]).encode(),
        b"[]",
    ],
)
async def test_what_can_be_read_in_two_ways_does_not_pass(raw: bytes) -> None:
    """HIRE-MCP-01, HIRE-MCP-08: repeated names, several messages in one, batches."""
    step = exchange().from_client(raw)
    assert isinstance(step, ToClient)
    assert json.loads(step.raw)["error"]["code"] in (-32700, -32600)


@pytest.mark.parametrize(
    "message",
    [
        {**call(to="a"), "id": None},
        {**call(to="a"), "id": True},
        {**call(to="a"), "id": 1.5},
        {**call(to="a"), "id": {}},
        {**call(to="a"), "id": "x" * 129},
        {**call(to="a"), "jsonrpc": "1.0"},
        {**call(to="a"), "extra": 1},
        {**call(to="a"), "result": {}},
        {**call(), "params": ["pay", {"to": "a"}]},
        {**call(), "params": {"name": "pay", "arguments": {"to": "a"}, "task": {"ttl": 1}}},
        {**call(), "params": {"name": "pay", "arguments": {"to": "a"}, "inputResponses": {}}},
        {**call(), "params": {"name": "pay", "arguments": {"to": "a"}, "Name": "steal"}},
        {**call(), "params": {"name": "pay", "arguments": [{"to": "a"}]}},
        {**call(), "params": {"name": "pay", "arguments": {"to": "a"}, "_meta": []}},
        {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"name": "pay"}},
    ],
)
async def test_a_call_in_another_shape_does_not_pass(message: dict[str, Any]) -> None:
    """HIRE-MCP-01, HIRE-MCP-08."""
    step = exchange().from_client(sent(message))
    assert isinstance(step, ToClient), step


async def test_a_notification_carries_no_call() -> None:
    """HIRE-MCP-01: nobody would answer it, and a server may do it all the same. It is a refusal, to be recorded."""
    for method in ("tools/call", "resources/read", "initialize"):
        step = exchange().from_client(sent({"jsonrpc": "2.0", "method": method, "params": call(to="a")["params"]}))
        assert isinstance(step, Dropped)
        assert step.refused is not None
    ours = exchange()
    ours.from_client(sent(call(to="a")))
    hidden = {"requestId": 1, "name": "pay", "arguments": {"to": "b"}}
    step = ours.from_client(sent({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": hidden}))
    assert isinstance(step, ToServer)
    assert json.loads(step.raw)["params"] == {"requestId": 1}
    for other in (2, "1", True, None):
        taken = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": other}}
        assert isinstance(ours.from_client(sent(taken)), Dropped)


async def test_an_id_is_used_once_at_a_time_and_answers_are_for_what_was_asked() -> None:
    """HIRE-MCP-08."""
    ours = exchange()
    first = ours.from_client(sent(call(to="a")))
    assert isinstance(first, ToServer)
    ours.let_in(first, "first")
    assert isinstance(ours.from_client(sent(call(to="b"))), ToClient)
    second = ours.from_client(sent(call(to="b", id="1")))
    assert isinstance(second, ToServer)
    ours.let_in(second, "second")
    for id in (2, True, 1.5, None, "2"):
        try:
            answer = ours.from_server(sent({"jsonrpc": "2.0", "id": id, "result": {}}))
        except ValueError:
            continue
        assert isinstance(answer, Dropped), id
    found = [ours.from_server(sent({"jsonrpc": "2.0", "id": id, "result": {}})) for id in ("1", 1.0, 1)]
    assert [one.permit if isinstance(one, ToClient) else None for one in found] == ["second", "first", None]
    assert isinstance(ours.from_client(sent({"jsonrpc": "2.0", "id": "s1", "result": {"role": "user"}})), Dropped)


@pytest.mark.parametrize(
    "late", [b'{"jsonrpc":"2.0","id":1,"result":{}}', b'{"jsonrpc":"2.0","id":1,"result":{"a":1,"a":2}}']
)
async def test_an_answer_that_comes_late_is_none_to_a_later_call(late: bytes) -> None:
    """HIRE-MCP-08: the id of a call that was given up is free again once the server has answered."""
    ours = exchange()
    assert isinstance(ours.from_client(sent(call(to="a"))), ToServer)
    assert ours.fail(1, "timeout") is not None
    again = ours.from_client(sent(call(to="b")))
    assert isinstance(again, ToClient)
    assert json.loads(again.raw)["error"]["code"] == -32600
    with suppress(FormatError):  # which its caller drops
        assert isinstance(ours.from_server(late), Dropped)
    step = ours.from_client(sent(call(to="b")))
    assert isinstance(step, ToServer)
    ours.let_in(step, "third")
    assert isinstance(ours.from_server(b'{"jsonrpc":"2.0","id":1,"result":{}}'), ToClient)


async def test_of_ids_that_were_given_up_a_bounded_number_is_kept() -> None:
    ours = exchange()
    for id in range(MAX_OWED + 1):
        assert isinstance(ours.from_client(sent(call(to="a", id=id))), ToServer)
        ours.fail(id, "timeout")
    assert isinstance(ours.from_client(sent(call(to="a", id=1))), ToClient)
    assert isinstance(ours.from_client(sent(call(to="a", id=0))), ToServer)


@pytest.mark.parametrize("number", [-32042, -32042.0])
async def test_an_error_that_has_a_page_opened_does_not_pass(number: float) -> None:
    """HIRE-MCP-07: an elicitation by URL, as revision 2025-11-25 has it in an error."""
    ours = exchange()
    step = ours.from_client(sent(call(to="a")))
    assert isinstance(step, ToServer)
    ours.let_in(step, "permit")
    pages = {"elicitations": [{"mode": "url", "elicitationId": "1", "url": "https://evil.example", "message": "go"}]}
    error = {"code": number, "message": "https://evil.example", "data": pages}
    answer = ours.from_server(sent({"jsonrpc": "2.0", "id": 1, "error": error}))
    assert isinstance(answer, ToClient)
    assert json.loads(answer.raw)["error"]["code"] == -32603
    assert b"evil.example" not in answer.raw


# ---------------------------------------------------------------------- by the server, over stdio


class Talk:
    """A gate over stdio in a process of its own, in front of the hostile server, and who speaks to it by hand."""

    def __init__(self, process: asyncio.subprocess.Process, seen: Path) -> None:
        self.process, self._seen = process, seen

    async def say(self, message: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(sent(message) + b"\n")
        await self.process.stdin.drain()

    async def hear(self, seconds: float = 60) -> dict[str, Any]:
        assert self.process.stdout is not None
        async with asyncio.timeout(seconds):
            return json.loads(await self.process.stdout.readline())

    async def end(self) -> tuple[int, str]:
        """Its exit code, and what the operator read."""
        assert self.process.stderr is not None
        async with asyncio.timeout(60):
            told = (await self.process.stderr.read()).decode()
            code = await self.process.wait()
        assert "Traceback" not in told, told
        return code, told

    @property
    def seen(self) -> list[dict[str, Any]]:
        """What got through to the server."""
        return [json.loads(line) for line in self._seen.read_text().splitlines()]


@asynccontextmanager
async def talking(world: World, folder: Path, how: str, *more: str) -> AsyncIterator[Talk]:
    seen = folder / "seen"
    process = await asyncio.create_subprocess_exec(
        *world.gate(sys.executable, HOSTILE, how, str(seen), more=more),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(UNDERSIGNED_SECRET="secret"),
        limit=8 * 1024 * 1024,
    )
    try:
        yield Talk(process, seen)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


def status(world: World, id: int = 1) -> dict[str, Any]:
    return call("git_status", id, repo_path=world.app)


async def test_a_server_asks_the_client_for_nothing(world: World, tmp_path: Path) -> None:
    """HIRE-MCP-07, HIRE-MCP-09: the gate answers it; and the server has none of the gate's secrets."""
    async with talking(world, tmp_path, "asks") as talk:
        await talk.say({"jsonrpc": "2.0", "id": 1, "method": "ping"})
        assert "result" in await talk.hear()
        await talk.say({"jsonrpc": "2.0", "id": 2, "method": "ping"})
        assert talk.process.stdin is not None
        talk.process.stdin.close()
        assert (await talk.hear())["id"] == 2, "what was asked before the client left is answered"
        code, told = await talk.end()
    assert code == 0
    assert "the server says hello to its operator" in told
    assert {"ours": []} in talk.seen
    assert next(one for one in talk.seen if one.get("id") == "s1")["error"]["code"] == -32601
    assert {"jsonrpc": "2.0", "id": 1, "result": {}} in talk.seen


async def test_a_server_that_lies_in_its_list_or_answers_what_nobody_asked(world: World, tmp_path: Path) -> None:
    """HIRE-MCP-02, HIRE-MCP-07, HIRE-MCP-08: and a result that asks for input is none."""
    for how, why in (("lists", "lists a tool twice"), ("others", "asked for input")):
        folder = tmp_path / how
        folder.mkdir()
        async with talking(world, folder, how) as talk:
            await talk.say({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
            heard = await talk.hear()
            assert why in heard["error"]["message"], heard


async def test_a_server_that_answers_before_it_was_asked_says_nothing(world: World, tmp_path: Path) -> None:
    """HIRE-MCP-08: the one answer to what the contract refuses is the refusal."""
    async with talking(world, tmp_path, "ahead") as talk:
        await talk.say({"jsonrpc": "2.0", "id": 1, "method": "ping"})
        assert (await talk.hear())["id"] == 1
        for id in range(2, 12):
            await talk.say(call("git_log", id, repo_path=world.payroll, max_count=1))
            heard = await talk.hear()
            assert (heard["id"], heard["result"].get("isError")) == (id, True)
        assert talk.process.stdin is not None
        talk.process.stdin.close()
        code, _ = await talk.end()
    assert code == 0


async def test_lines_without_end_end_the_gate_and_the_server(world: World, tmp_path: Path) -> None:
    """HIRE-MCP-09: whoever writes them."""
    (tmp_path / "server").mkdir()
    async with talking(world, tmp_path / "server", "endless") as talk:
        await talk.say({"jsonrpc": "2.0", "id": 1, "method": "ping"})
        assert (await talk.hear())["error"]["data"]["code"] == "upstream_failed"
        assert (await talk.end())[0] == 5
    async with talking(world, tmp_path, "silent") as talk:
        await talk.say(b"x" * (CLIENT_LIMITS.max_bytes + 10))
        assert (await talk.end())[0] == 5


def alive(pid: int) -> bool:
    """Whether it runs; one that ended and that nobody has asked after does not."""
    shown = subprocess.run([program("ps"), "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, timeout=60)
    return bool(shown.stdout.strip()) and not shown.stdout.strip().startswith("Z")


@pytest.mark.parametrize(
    "how",
    [
        "leaves-children",
        pytest.param("hides-children", marks=pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")),
    ],
)
async def test_the_server_and_what_it_started_end_with_the_gate(world: World, tmp_path: Path, how: str) -> None:
    """HIRE-MCP-09: what left its session and lost its parent, too."""
    async with talking(world, tmp_path, how) as talk:
        await talk.say({"jsonrpc": "2.0", "id": 1, "method": "ping"})
        await talk.hear()
        (pids,) = [one["pids"] for one in talk.seen if "pids" in one]
        talk.process.terminate()
        assert (await talk.end())[0] == 0
    assert not [pid for pid in pids if alive(pid)]


async def test_what_is_not_answered_stays_booked(world: World, tmp_path: Path) -> None:
    """HIRE-MCP-06: in time, or at all."""
    before = int((await world.used()).get("see-status/count", "0"))
    (tmp_path / "silent").mkdir()
    async with talking(world, tmp_path / "silent", "silent", "--answer-seconds", "0.5") as talk:
        await talk.say(status(world))
        assert (await talk.hear())["error"]["data"]["code"] == "timeout"
    async with talking(world, tmp_path, "ends") as talk:
        await talk.say(status(world))
        assert (await talk.hear())["error"]["data"]["code"] == "upstream_failed"
        code, told = await talk.end()
    assert code == 6
    assert "the MCP server ended before its client did" in told
    assert int((await world.used())["see-status/count"]) == before + 2
    async with talking(world, tmp_path, "silent") as talk:
        await talk.say(status(world))
        assert (await talk.hear())["result"]["_meta"][REFUSAL]["clause"] == "see-status"


async def test_what_a_server_that_has_ended_was_asked_is_given_back(world: World, tmp_path: Path) -> None:
    """HIRE-MCP-06: its output is held by a child of its own, so nobody hears of its end there."""
    before = (await world.used()).get("read-log/commits", "0")
    async with talking(world, tmp_path, "left") as talk:
        heard: dict[str, Any] = {}
        for id in count(1):  # what was written before its end was seen is answered by nobody
            await talk.say({"jsonrpc": "2.0", "id": id, "method": "ping"})
            with suppress(TimeoutError):
                heard = await talk.hear(0.1)
                break
        assert heard["error"]["data"]["code"] == "upstream_failed"
        await talk.say(call("git_log", 0, repo_path=world.app, max_count=1))
        while heard["id"] != 0:
            heard = await talk.hear()
        assert heard["error"]["data"]["code"] == "upstream_failed"
    assert (await world.used())["read-log/commits"] == before


async def test_a_server_that_reads_nothing_keeps_no_gate_whose_client_has_left(world: World, tmp_path: Path) -> None:
    """HIRE-MCP-06, HIRE-MCP-09: the gate waited for ever to be rid of what it had for the server. What it could not
    even write is given back.
    """
    before = (await world.used()).get("read-log/commits", "0")
    async with talking(world, tmp_path, "deaf", "--answer-seconds", "0.3") as talk:
        for id in (1, 2, 3):
            params = {"protocolVersion": "2025-06-18", "clientInfo": {"name": "x" * 120_000}}
            await talk.say({"jsonrpc": "2.0", "id": id, "method": "initialize", "params": params})
        await talk.say(call("git_log", 4, repo_path=world.app, max_count=1))
        for id in range(5, 65):
            await talk.say({"jsonrpc": "2.0", "id": id, "method": "ping"})
        assert talk.process.stdin is not None
        talk.process.stdin.close()
        async with asyncio.timeout(15):  # it waits once for the server, and not for each
            codes = {said["id"]: said["error"]["data"]["code"] for said in [await talk.hear() for _ in range(64)]}
        assert (codes[1], codes[4]) == ("timeout", "upstream_failed")
        os.kill(talk.seen[-1]["pids"][0], signal.SIGKILL)
        assert (await talk.end())[0] == 0
    assert (await world.used()).get("read-log/commits", "0") == before


# ---------------------------------------------------------------------- over HTTP


class Upstream:
    """A server that speaks streamable HTTP as far as these tests need, and keeps what it was sent."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.connections: set[object] = set()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        raw = await request.read()
        self.requests.append((dict(request.headers), raw))
        self.connections.add(request.transport)
        message = json.loads(raw or b"{}")
        if "id" not in message:
            return web.Response(status=202)
        result = {"protocolVersion": "2025-06-18", "capabilities": {}, "content": [], "tools": []}
        said = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result})
        session = {"Mcp-Session-Id": f"s{len(self.requests)}"} if message["method"] == "initialize" else {}
        cookie = {"Set-Cookie": f"of={len(self.requests)}; Path=/"}
        return web.Response(text=said, content_type="application/json", headers=session | cookie)


class Door:
    def __init__(self, gate: HttpGate, upstream: Upstream, client: httpx2.AsyncClient, world: World) -> None:
        self.gate, self.upstream, self.client, self.world = gate, upstream, client, world

    async def send(self, message: object, method: str = "POST", **more: str) -> httpx2.Response:
        body = sent(message) if message is not None else b""
        headers = await self.world.signed(self.gate.url, body, method, **more)
        return await self.client.request(method, self.gate.url, content=body, headers=headers)


@asynccontextmanager
async def door(world: World, **options: Any) -> AsyncIterator[Door]:
    upstream = Upstream()
    server = web.Server(upstream.answer)
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    try:
        async with (
            HttpGate(world.desk, world.rules, f"http://localhost:{port}/mcp", **options) as gate,
            httpx2.AsyncClient(timeout=30) as client,
        ):
            yield Door(gate, upstream, client, world)
    finally:
        listening.close()
        await server.shutdown(1)


PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
MODERN = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}
"""What is said beside each request in the revisions that have its method and tool in headers."""
BEGIN = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}}


async def test_only_the_provider_is_let_in_and_once_with_each_signature(world: World) -> None:
    """HIRE-MCP-10: without a signature, with one of others, over other bytes, for another place, or a second time."""
    async with door(world) as at:
        assert (await at.send(PING)).status_code == 200
        body = sent(PING)
        good = await world.signed(at.gate.url, body)
        assert (await at.client.post(at.gate.url, content=body, headers=good)).status_code == 200
        again = await at.client.post(at.gate.url, content=body, headers=good)
        assert (again.status_code, again.json()["code"]) == (401, "replayed")
        assert (await at.client.post(at.gate.url, content=body)).status_code == 401
        other = await world.signed(at.gate.url, body)
        assert (await at.client.post(at.gate.url, content=sent(BEGIN), headers=other)).status_code == 401
        elsewhere = await world.signed(at.gate.url.replace("127.0.0.1", "localhost"), body)
        assert (await at.client.post(at.gate.url, content=body, headers=elsewhere)).status_code == 401
        ours = dict(await world.acme.sign_request("POST", at.gate.url, world.contract, body))
        assert (await at.client.post(at.gate.url, content=body, headers=ours)).status_code in (401, 403)
        theirs = dict(await world.globex.sign_request("POST", at.gate.url, digest_bytes(b"another"), body))
        assert (await at.client.post(at.gate.url, content=body, headers=theirs)).status_code in (401, 403)
        assert len(at.upstream.requests) == 2


async def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(world: World) -> None:
    async with door(world) as at, ClientSession() as session:
        body, url = sent(PING), at.gate.url
        async with session.post(url, data=body, headers=await world.signed(url, body), expect100=True) as answer:
            assert answer.status == 200


async def test_what_is_no_request_of_a_client_is_refused(world: World) -> None:
    """HIRE-MCP-10."""
    async with door(world) as at:
        got = await at.send(None, "GET")
        assert (got.status_code, got.headers["Allow"]) == (405, "POST, DELETE")
        assert (await at.send(PING, Origin="https://evil.example")).status_code == 404
        assert (await at.send(b"x" * (CLIENT_LIMITS.max_bytes + 1))).status_code == 413
        assert (await at.send(PING, **{"Content-Encoding": "gzip"})).status_code == 400
        assert (await at.send(PING, **{"MCP-Protocol-Version": "2027-01-01"})).status_code == 400
        headers = await world.signed(at.gate.url, sent(PING))
        both = [*headers.items(), *(("MCP-Protocol-Version", one) for one in ("2025-06-18", "2027-01-01"))]
        assert (await at.client.post(at.gate.url, content=sent(PING), headers=both)).status_code == 400
        for path in ("?x", "/x", ";x"):
            assert (await at.client.post(at.gate.url + path, content=sent(PING), headers=headers)).status_code >= 400
        elsewhere = f"{at.gate.url}/x"
        headers = await world.signed(elsewhere, sent(PING))
        assert (await at.client.post(elsewhere, content=sent(PING), headers=headers)).status_code == 404
        assert at.upstream.requests == []


@pytest.mark.parametrize(
    ("status", "notified", "asked"),
    [
        (200, 202, 200),
        (204, 202, 200),
        (300, 502, 200),
        (400, 400, 400),
        (404, 404, 404),
        (405, 405, 200),
        (500, 500, 200),
    ],
)
async def test_what_the_server_says_of_a_message_is_told_as_its_status(
    world: World, monkeypatch: pytest.MonkeyPatch, status: int, notified: int, asked: int
) -> None:
    """Of a notification whether it was taken, of a request what is about the session."""

    async def answer(_: Upstream, request: web.BaseRequest) -> web.StreamResponse:
        id = json.loads(await request.read()).get("id")
        text = json.dumps({"jsonrpc": "2.0", "id": id, "result": {}}) if id is not None else ""
        return web.Response(status=status, text=text, content_type="application/json")

    monkeypatch.setattr(Upstream, "answer", answer)
    async with door(world) as at:
        assert (await at.send({"jsonrpc": "2.0", "method": "notifications/initialized"})).status_code == notified
        assert (await at.send(PING)).status_code == asked


async def test_a_session_that_ends_is_over_whatever_the_server_says(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-MCP-11: until then it is named to the server with each message, and the revision; 405 says that it is not
    for clients to end it.
    """
    statuses = [405, 200, 500, 0]
    answer = Upstream.answer

    async def ends(upstream: Upstream, request: web.BaseRequest) -> web.StreamResponse:
        if request.method != "DELETE":
            return await answer(upstream, request)
        upstream.requests.append((dict(request.headers), b""))
        if not statuses[0] and request.transport is not None:
            request.transport.abort()
        return web.Response(status=statuses[0] or 200)

    monkeypatch.setattr(Upstream, "answer", ends)
    async with door(world) as at:
        for heard in (405, 200, 204, 204):
            within = {"Mcp-Session-Id": (await at.send(BEGIN)).headers["Mcp-Session-Id"]}
            spoken = {"MCP-Protocol-Version": "2025-06-18"}
            assert (await at.send(PING, **within, **spoken, **{"Content-Encoding": "Identity"})).status_code == 200
            assert (within | spoken).items() <= at.upstream.requests[-1][0].items()
            assert (await at.send(None, "DELETE", **within)).status_code == heard
            assert within.items() <= at.upstream.requests[-1][0].items()
            assert (await at.send(PING, **within)).status_code == 404
            statuses.pop(0)


async def test_a_body_may_be_so_long_and_does_not_come_for_ever(world: World) -> None:
    """HIRE-MCP-10."""
    async with door(world, limits=GateLimits(body_seconds=1.0)) as at:
        long = sent(PING).ljust(CLIENT_LIMITS.max_bytes)
        assert (await at.send(long)).status_code == 200
        fields = lines(tuple((await world.signed(at.gate.url, long)).items()))
        host = at.gate.url.removeprefix("http://").removesuffix("/mcp")
        head = f"POST /mcp HTTP/1.1\r\nHost: {host}\r\n{fields}Content-Length: {len(long)}\r\n\r\n"
        heard = await raw(f"http://{host}", head + long[:-1].decode())
        assert (heard.split(b" ")[1], json.loads(heard.partition(b"\r\n\r\n")[2])["code"]) == (b"408", "timeout")
        assert len(at.upstream.requests) == 1


async def test_a_session_is_its_opener_s_and_no_header_goes_on(world: World) -> None:
    """HIRE-MCP-11."""
    async with door(world) as at:
        smuggled = {"Mcp-Name": "git_commit", "Mcp-Method": "tools/call", "Mcp-Param-X": "y", "Cookie": "a=b"}
        smuggled |= {"X-Forwarded-User": "root"}
        begun = await at.send(BEGIN, **smuggled)
        session = begun.headers["Mcp-Session-Id"]
        forwarded = {name.lower() for name in at.upstream.requests[0][0]}
        assert not forwarded & {name.lower() for name in (*smuggled, "Signature", "Hire-Contract", "Signature-Input")}
        assert (await at.send(PING, **{"Mcp-Session-Id": session})).status_code == 200
        takes_back = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7, "reason": "x"}}
        for within in ({"Mcp-Session-Id": session}, {}):  # without one, the id may be another client's
            assert (await at.send(takes_back, **within)).status_code == 202
            assert ("Mcp-Session-Id" in at.upstream.requests[2][0], len(at.upstream.requests)) == (True, 3)
        assert json.loads(at.upstream.requests[-1][1])["params"] == {"requestId": 7}
        assert (await at.send(PING, **{"Mcp-Session-Id": "s999"})).status_code == 404
        at.gate._sessions.ended(session)
        at.gate._sessions.opened(session, ("did:web:another.example", world.contract))  # as if another had opened it
        assert (await at.send(PING, **{"Mcp-Session-Id": session})).status_code == 404
        assert (await at.send(None, "DELETE", **{"Mcp-Session-Id": session})).status_code == 404
        assert (await at.send(None, "DELETE")).status_code == 400
        assert len(at.upstream.requests) == 3


async def test_a_signature_is_used_once_at_all_gates(world: World) -> None:
    """HIRE-GTS-13: also for what asks for no action, of which the peer is asked as well."""
    public, owner = "http://gate.acme.example/mcp", (world.globex.own.id, world.contract)
    async with door(world, public=public) as one, door(world, public=public) as other:
        assert one.gate._sessions.opened("s1", owner)
        assert other.gate._sessions.opened("s1", owner)
        for method, body, status in (("POST", sent(PING), 200), ("DELETE", b"", 202)):
            headers = await world.signed(public, body, method, **{"Mcp-Session-Id": "s1"})
            first, again = [
                await at.client.request(method, f"{at.gate._near.url}/mcp", content=body, headers=headers)
                for at in (one, other)
            ]
            assert first.status_code == status
            assert (again.status_code, again.json()["code"]) == (401, "replayed")
        assert not one.gate._sessions.is_open("s1", owner)
        assert other.gate._sessions.is_open("s1", owner)
        assert other.upstream.requests == []


async def test_a_session_is_opened_by_who_begins_one_that_is_new(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-MCP-11: whatever the server names."""
    status, name, answered = 200, "", 1

    async def answer(self: Upstream, request: web.BaseRequest) -> web.Response:
        result = {"protocolVersion": "2025-06-18", "capabilities": {}}
        said = sent({"jsonrpc": "2.0", "id": answered, "result": result})
        named = {"Mcp-Session-Id": name} if name else {}
        return web.Response(status=status, body=said, content_type="application/json", headers=named)

    monkeypatch.setattr(Upstream, "answer", answer)
    async with door(world) as at:
        at.gate._sessions.opened("theirs", ("did:web:another.example", world.contract))
        for message, status, name, answered, opens in (  # noqa: B007 - the server's answer has it
            (PING, 200, "s1", 1, False),
            (BEGIN, 400, "s1", 1, False),
            (BEGIN, 200, "", 1, False),
            (BEGIN, 200, "s 1", 1, False),
            (BEGIN, 200, "theirs", 1, False),
            (BEGIN, 200, "s" * 257, 1, False),
            (BEGIN, 200, "s1", 2, False),  # which answers another one
            (BEGIN, 200, "s1", 1, True),
            (BEGIN, 200, "s" * 256, 1, True),
        ):
            heard = await at.send(message)
            assert (heard.status_code, heard.headers.get("Mcp-Session-Id")) == (status, name if opens else None)
            assert at.gate._sessions.is_open(name, (world.globex.own.id, world.contract)) is opens


async def test_an_answer_of_the_server_is_read_as_it_is_written_and_no_longer_than_it_may_be(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-MCP-11: JSON in many lines is one message; what a stream says beside its messages counts as well."""
    message = {"jsonrpc": "2.0", "id": 1, "result": {}}
    event = b"\n\ndata: " + sent(message) + b"\n\n"
    room = SERVER_LIMITS.max_bytes - len(event) - 1
    says = [
        (json.dumps(message, indent=2).encode(), "application/json"),
        (b":" + b"x" * room + event, "text/event-stream"),
        (b":" + b"x" * (room + 1) + event, "text/event-stream"),
        (b"data: " + sent({"jsonrpc": "2.0", "method": "notifications/progress"}) + event, "text/event-stream"),
        (b"\n\n" + event, "Text/Event-Stream ; charset=utf-8"),
    ]

    async def answer(self: Upstream, request: web.BaseRequest) -> web.Response:
        said, kind = says.pop(0)
        return web.Response(body=said, headers={"Content-Type": kind})

    monkeypatch.setattr(Upstream, "answer", answer)
    async with door(world) as at:
        for passes in (True, True, False, True, True):
            assert ("result" in (await at.send(PING)).json()) is passes


async def test_a_notification_that_asks_for_an_action_goes_nowhere(world: World) -> None:
    """HIRE-MCP-02: nothing answers it, and it is recorded like any other refusal."""
    before = len(await world.refusals())
    async with door(world) as at:
        asked = {name: value for name, value in status(world).items() if name != "id"}
        heard = await at.send(asked)
        assert (heard.status_code, heard.content) == (202, b"")
        assert at.upstream.requests == []
    assert len(await world.refusals()) == before + 1


async def test_a_notification_under_a_contract_that_is_suspended_goes_nowhere(world: World) -> None:
    """HIRE-MCP-07, HIRE-MCP-12: it asks for no action, and the server hears nothing under what is not in force."""
    (conversation,) = world.acme.conversations.values()
    told = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    before = await world.refusals()
    async with door(world) as at:
        await world.acme.changes.suspend(conversation, seconds=600)
        heard = await at.send(told)
        assert (heard.status_code, heard.content, at.upstream.requests) == (202, b"", [])
        await world.acme.changes.resume(conversation)
        await at.send(told)
        assert len(at.upstream.requests) == 1
    assert await world.refusals() == [*before, ("notifications/initialized", "state")]


@pytest.mark.parametrize(
    ("events", "passes"),
    [
        (b"data:%s\n\n", True),
        (b": still at it\n\nevent: message\r\nid: 1\r\ndata: %s\r\n\r\n", True),
        (b"data: %s\n\ndata: none\n\n", True),
        (b"data: %s\n", False),
        (b"event: %s\n\n", False),
    ],
)
async def test_an_answer_comes_as_one_event_of_a_stream(
    world: World, events: bytes, passes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-MCP-11: with either end of line, and with the space that may be left out; without an end it is none."""

    async def answer(self: Upstream, request: web.BaseRequest) -> web.Response:
        said = sent({"jsonrpc": "2.0", "id": json.loads(await request.read())["id"], "result": {}})
        return web.Response(body=events % said, content_type="text/event-stream")

    monkeypatch.setattr(Upstream, "answer", answer)
    async with door(world) as at:
        heard = (await at.send(PING)).json()
    assert ("result" in heard, "error" in heard) == (passes, not passes)


async def test_what_a_server_asks_within_a_session_is_answered_in_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-MCP-10, HIRE-MCP-11: as a message of its own, at the place that the operator named and nowhere else."""
    begins = Upstream.answer

    async def answer(self: Upstream, request: web.BaseRequest) -> web.StreamResponse:
        message = json.loads(await request.read())
        if message.get("method") == "initialize":
            return await begins(self, request)
        self.requests.append((dict(request.headers), await request.read()))
        if "method" not in message:
            return web.Response(status=307, headers={"Location": "/elsewhere"})
        said = {"jsonrpc": "2.0", "id": "p", "method": "ping"}, {"jsonrpc": "2.0", "id": message["id"], "result": {}}
        return web.Response(
            body=b"".join(b"data: %s\n\n" % sent(one) for one in said), content_type="text/event-stream"
        )

    monkeypatch.setattr(Upstream, "answer", answer)
    async with door(world) as at:
        within = {"Mcp-Session-Id": (await at.send(BEGIN)).headers["Mcp-Session-Id"]}
        assert "result" in (await at.send(PING | {"params": {"_meta": MODERN}}, **within)).json()
        (begun, _), (asked, _), (headers, said) = at.upstream.requests
    assert [one.get("Mcp-Method") for one in (begun, asked, headers)] == [None, "ping", None]
    assert "Mcp-Name" not in asked
    assert json.loads(said) == {"jsonrpc": "2.0", "id": "p", "result": {}}
    assert (within | {"Content-Type": "application/json"}).items() <= headers.items()


@pytest.mark.parametrize("anyhow", [False, True])
async def test_a_server_that_compresses_what_it_may_is_understood(
    world: World, anyhow: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-MCP-11: what it may is what the gate says that it reads; what it compresses anyhow is no answer."""

    async def answer(self: Upstream, request: web.BaseRequest) -> web.Response:
        said = sent({"jsonrpc": "2.0", "id": json.loads(await request.read())["id"], "result": {}})
        response = web.Response(body=said, content_type="application/json")
        response.enable_compression(web.ContentCoding.gzip if anyhow else None)
        return response

    monkeypatch.setattr(Upstream, "answer", answer)
    async with door(world) as at:
        assert ("error" in (await at.send(PING)).json()) is anyhow


async def test_nothing_is_sent_but_to_the_server_that_the_operator_named(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-MCP-10: not where the server points, nor where the environment does."""
    strayed: list[str] = []
    answers = Upstream.answer

    async def elsewhere(request: web.BaseRequest) -> web.Response:
        strayed.append(request.raw_path)
        return web.Response(status=202)

    async def moved(self: Upstream, request: web.BaseRequest) -> web.StreamResponse:
        if b'"initialize"' in await request.read():
            return await answers(self, request)
        return web.Response(status=307, headers={"Location": other})

    async with serving(elsewhere) as other:
        monkeypatch.setenv("HTTP_PROXY", other)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")  # for the client here; the server is named by localhost
        monkeypatch.setattr(Upstream, "answer", moved)
        async with door(world) as at:
            session = (await at.send(BEGIN)).headers["Mcp-Session-Id"]
            assert (await at.send(PING)).json()["error"]["data"]["code"] == "upstream_failed"
            said = await at.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
            assert said.status_code == 502, "nobody took it"
            assert (await at.send(None, "DELETE", **{"Mcp-Session-Id": session})).status_code == 204
    assert strayed == []


@pytest.mark.parametrize("piece", [1, 7, 64])
async def test_a_stream_in_small_pieces_costs_no_more_than_its_length(
    piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-MCP-11: whose server it is sends as it likes, and others wait while its lines are put together."""
    copied = 0

    class Counted(bytearray):
        def __init__(self, given: bytes = b"") -> None:
            nonlocal copied
            copied += len(given)
            super().__init__(given)

    monkeypatch.setattr(mcp_http, "bytearray", Counted, raising=False)
    said = b'{"long": "' + 20_000 * b"x" + b'"}'
    whole = b": still at it\r\ndata: " + said + b"\r\n\r\ndata:1\nid: 7\ndata: 2\n\ndata: no end"

    class Heard:
        headers: ClassVar[dict[str, str]] = {"Content-Type": "text/event-stream"}

        @property
        def content(self) -> Heard:
            return self

        async def iter_any(self) -> AsyncIterator[bytes]:
            for at in range(0, len(whole), piece):
                yield whole[at : at + piece]

    heard: Any = Heard()
    assert [one async for one in mcp_http._messages(heard)] == [said + b"\n", b"1\n2\n"]
    assert copied < len(whole)


async def test_what_the_server_gives_one_client_to_keep_is_not_sent_for_another(world: World) -> None:
    """HIRE-MCP-11: a cookie may be a session as well, and nobody asked whose it is."""
    async with door(world) as at:
        begun = await at.send(BEGIN)
        assert "Set-Cookie" not in begun.headers
        assert (await at.send(PING)).status_code == 200
        assert (await at.send(None, "DELETE", **{"Mcp-Session-Id": begun.headers["Mcp-Session-Id"]})).status_code == 202
        assert [headers.get("Cookie") for headers, _ in at.upstream.requests] == [None] * 3


async def test_what_the_server_sends_too_much_answers_nobody_else(world: World) -> None:
    """HIRE-MCP-11: what comes behind an answer would be the beginning of the next one."""
    async with door(world) as at:
        assert [(await at.send(PING)).status_code for _ in range(3)] == [200] * 3
        assert len(at.upstream.connections) == 3


async def test_who_opens_sessions_without_end_loses_its_own() -> None:
    """HIRE-MCP-11: under one contract or under several, and nobody else's is forgotten."""
    kept, honest, flood = Sessions(most=10), "did:web:honest.example", "did:web:flood.example"
    for number in range(3):
        assert kept.opened(f"h{number}", (honest, digest_bytes(b"work")))
    for number in range(100):
        assert kept.opened(f"f{number}", (flood, digest_bytes(b"contract %d" % (number % 5))))
    assert len(kept) == 10
    assert all(kept.is_open(f"h{number}", (honest, digest_bytes(b"work"))) for number in range(3))
    assert kept.is_open("f99", (flood, digest_bytes(b"contract 4")))
    assert not kept.is_open("f92", (flood, digest_bytes(b"contract 2")))
    assert not kept.is_open("h0", (honest, digest_bytes(b"other work")))
    assert not kept.opened("h0", (flood, digest_bytes(b"work"))), "a name that the server gave twice"
    for session in ("h0", "h1", "h2", "h2", *(f"f{number}" for number in range(93, 100))):
        kept.ended(session)
    assert len(kept) == 0
    assert not kept._of


async def test_nothing_passes_a_gate_that_cannot_ask(world: World) -> None:
    """HIRE-MCP-12: a token that is not the peer's, or no peer."""
    for url, token in ((world.acme.gates_url, "x" * 40), ("http://127.0.0.1:1", "x" * 40)):
        async with door(world) as at, RemoteDesk(url, token) as desk:
            at.gate._keeper.desk = desk
            assert (await at.send(PING)).status_code >= 400
            assert at.upstream.requests == []
    async with door(world) as at, RemoteDesk("http://127.0.0.1:1", "x" * 40) as desk:
        assert (await at.send(PING)).status_code == 200
        at.gate._keeper.desk = desk  # whose key it was is known by now
        assert (await at.send({"jsonrpc": "2.0", "method": "notifications/initialized"})).status_code == 202
        heard = await at.send({"jsonrpc": "2.0", "id": 2, "method": "tools/list"})
        assert heard.json()["error"]["data"]["code"] == "status_unavailable"
        assert (await at.send(b"{}")).json()["error"]["code"] == -32600
        assert len(at.upstream.requests) == 1


async def test_who_signs_nothing_keeps_nobody_out(world: World) -> None:
    """All connections are taken by strangers who say nothing; the oldest make room."""
    async with door(world, limits=GateLimits(connections=4)) as at:
        port = int(at.gate.url.rpartition(":")[2].partition("/")[0])
        for _ in range(4):  # who came and left has no room to make
            _, gone = await asyncio.open_connection("127.0.0.1", port)
            gone.close()
            await gone.wait_closed()
        await until(lambda: not at.gate._near._strangers)
        crowd = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
        try:
            assert (await at.send(PING)).status_code == 200
            assert await crowd[0][0].read() == b""
        finally:
            for _, one in crowd:
                one.close()


async def test_one_provider_keeps_no_other_out(world: World) -> None:
    """HIRE-GTS-17: it has shown who it is on all connections that there may be, and says nothing more on them."""
    async with door(world, limits=GateLimits(connections=4)) as at, httpx2.AsyncClient(timeout=30) as other:
        body = sent(PING)

        async def asked(client: httpx2.AsyncClient) -> int:
            headers = await world.signed(at.gate.url, body)
            return (await client.post(at.gate.url, content=body, headers=headers)).status_code

        crowd = [httpx2.AsyncClient(timeout=30) for _ in range(4)]
        try:
            assert [await asked(one) for one in crowd] == [200] * 4
            assert await asked(other) == 200
            assert sum(at.gate._near._welcome.values()) == 1
        finally:
            for one in crowd:
                await one.aclose()
        await until(lambda: not at.gate._near._welcome)


async def test_a_provider_has_a_bounded_number_of_requests_under_way(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-GTS-17: one more is refused at once, and there is room again once one is answered."""
    monkeypatch.setattr(gating, "UNDER_WAY", 1)
    asked, may, answer = asyncio.Event(), asyncio.Event(), Upstream.answer

    async def slow(upstream: Upstream, request: web.BaseRequest) -> web.StreamResponse:
        asked.set()
        await may.wait()
        return await answer(upstream, request)

    monkeypatch.setattr(Upstream, "answer", slow)
    async with door(world) as at:
        first = asyncio.create_task(at.send(PING))
        await asked.wait()
        second = asyncio.create_task(at.send(PING))
        await asyncio.wait({second}, timeout=10)
        may.set()
        assert ((await second).status_code, (await second).json()["code"]) == (503, "overloaded")
        assert [(await first).status_code, (await at.send(PING)).status_code] == [200, 200]


async def test_more_are_under_way_than_a_client_has_connections_by_default(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """101 at once, whose answers the server has ready when all of them are there: what waited for a connection to it
    would hold up all the others.
    """
    monkeypatch.setattr(gating, "UNDER_WAY", 101)
    here, came, answer = asyncio.Event(), 0, Upstream.answer

    async def together(upstream: Upstream, request: web.BaseRequest) -> web.StreamResponse:
        nonlocal came
        came += 1
        if came == 101:
            here.set()
        await here.wait()
        return await answer(upstream, request)

    monkeypatch.setattr(Upstream, "answer", together)
    async with door(world) as at, httpx2.AsyncClient(timeout=30, limits=httpx2.Limits(max_connections=101)) as many:
        at.client = many
        said = [asyncio.create_task(at.send(PING)) for _ in range(101)]
        try:
            async with asyncio.timeout(20):
                await here.wait()
        finally:
            here.set()
        assert {(await one).status_code for one in said} == {200}


async def test_an_answer_over_http_is_signed_if_that_is_wanted(world: World) -> None:
    """HIRE-GTS-14, HIRE-GTS-15: a refusal as well."""
    async with door(world, sign_answers=True) as at:
        for method, body, status in (("POST", sent(PING), 200), ("DELETE", b"", 400)):
            headers = await world.signed(at.gate.url, body, method)
            heard = await at.client.request(method, at.gate.url, content=body, headers=headers)
            assert heard.status_code == status
            asked = method, at.gate.url, tuple(headers.items())
            checks = partial(world.globex.other_side.check_answer, world.contract, asked, status, heard.headers.items())
            await checks(heard.content)
            with pytest.raises(ProofError):
                await checks(heard.content + b" ")
    async with door(world) as at:
        assert "Signature" not in (await at.send(PING)).headers


async def test_what_never_reached_the_server_is_given_back(world: World) -> None:
    """HIRE-MCP-06."""
    before = await world.used()
    with taking_nobody() as silent:
        for upstream in ("http://127.0.0.1:1", silent):
            async with (
                HttpGate(world.desk, world.rules, f"{upstream}/mcp", limits=GateLimits(answer_seconds=1.0)) as gate,
                httpx2.AsyncClient(timeout=30) as client,
            ):
                body = sent(call("git_log", repo_path=world.app, max_count=1))
                answer = await client.post(gate.url, content=body, headers=await world.signed(gate.url, body))
                assert answer.json()["error"]["data"]["code"] == "upstream_failed"
            assert (await world.used()).get("read-log/commits", "0") == before.get("read-log/commits", "0")


async def test_what_reached_the_server_stays_booked_when_its_question_cannot_be_answered(world: World) -> None:
    """HIRE-MCP-06, HIRE-GTS-10: the call is there, whatever becomes of the second connection, which answers a ping.
    HIRE-MCP-11: method and tool stand in its headers as well, as in the message.
    """
    before = int((await world.used()).get("read-log/commits", "0"))
    asked: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        server.close()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        writer.write(b"data: " + sent({"jsonrpc": "2.0", "id": "p", "method": "ping"}) + b"\n\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    upstream = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"
    async with HttpGate(world.desk, world.rules, upstream) as gate, httpx2.AsyncClient(timeout=30) as client:
        asks = call("git_log", repo_path=world.app, max_count=1)
        asks["params"]["_meta"] = MODERN
        body = sent(asks)
        answer = await client.post(gate.url, content=body, headers=await world.signed(gate.url, body))
        assert answer.json()["error"]["data"]["code"] == "upstream_failed"
    (head,) = asked
    assert {b"Mcp-Method: tools/call", b"Mcp-Name: git_log"} <= set(head.split(b"\r\n"))
    assert int((await world.used())["read-log/commits"]) == before + 1


async def test_what_is_not_answered_in_time_is_told_as_over_stdio(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-MCP-06."""
    monkeypatch.setattr(Upstream, "answer", lambda *_: asyncio.sleep(60))
    async with door(world, limits=GateLimits(answer_seconds=0.3)) as at:
        assert (await at.send(PING)).json()["error"]["data"]["code"] == "timeout"


async def test_a_server_that_is_about_to_answer_for_ever_is_given_up(world: World) -> None:
    """HIRE-MCP-06: reading that would take half a core until the time for an answer is over."""
    async with (
        about_to_answer() as upstream,
        HttpGate(world.desk, world.rules, f"{upstream}/mcp") as gate,
        httpx2.AsyncClient(timeout=5) as client,
    ):
        body = sent(call("git_log", repo_path=world.app, max_count=1))
        answer = await client.post(gate.url, content=body, headers=await world.signed(gate.url, body))
        assert answer.json()["error"]["data"]["code"] == "upstream_failed"


async def test_a_gate_whose_end_is_cancelled_leaves_nothing_open(world: World) -> None:
    """At whatever it waits for, as `asyncio.timeout` around it does, with an answer under way."""
    hangs, leave = asyncio.Event(), asyncio.Event()

    async def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hangs.set()
        await leave.wait()
        writer.close()

    body, reached = sent(PING), 0
    async with await asyncio.start_server(take, "127.0.0.1", 0) as server, httpx2.AsyncClient(timeout=30) as client:
        upstream = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"
        for number in count():
            gate = await HttpGate(world.desk, world.rules, upstream).__aenter__()
            hangs.clear()
            headers = await world.signed(gate.url, body)
            asking = asyncio.create_task(client.post(gate.url, content=body, headers=headers))
            await hangs.wait()
            cut = Interrupted(gate.__aexit__(), number)
            await asyncio.wait({asyncio.create_task(cut.run())})
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            assert gate._client.closed, number
            reached += cut.reached
            if not cut.reached:
                break
        leave.set()
    assert reached
