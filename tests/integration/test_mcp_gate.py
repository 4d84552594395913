"""Stock MCP clients and somebody else's MCP server, with the gate between them, over both transports."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
import uvicorn
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_server_git.server import create_server
from msgspec.structs import replace

from integration.hires import free_ports, until
from mcp_world import SERVER, Signing, World, at_work
from undersigned.bridges.mcp_answers import REFUSAL
from undersigned.contract import Terms
from undersigned.daemon import HttpGate
from undersigned.scope import Grant, compile_scope, read_scope

MODES = ["legacy", "2026-07-28"]


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with at_work(tmp_path) as found:
        yield found


@asynccontextmanager
async def over_stdio(world: World, mode: Any) -> AsyncIterator[Client]:
    program, *arguments = world.gate(*SERVER)
    async with Client(StdioServerParameters(command=program, args=arguments), mode=mode) as client:
        yield client


@asynccontextmanager
async def over_http(world: World, mode: Any) -> AsyncIterator[Client]:
    (port,) = free_ports(1)
    app = create_server(None).streamable_http_app()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", lifespan="on"))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - it knows nothing of events
        await asyncio.sleep(0.01)
    try:
        async with (
            HttpGate(world.desk, world.rules, f"http://127.0.0.1:{port}/mcp") as gate,
            httpx2.AsyncClient(auth=Signing(world.globex, world.contract), timeout=30) as http,
            Client(streamable_http_client(gate.url, http_client=http), mode=mode) as client,
        ):
            yield client
    finally:
        server.should_exit = True
        await serving


async def refused(client: Client, tool: str, **arguments: Any) -> tuple[str, str]:
    """The clause that refused a call, and what would pass."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error, result
    told = (result.meta or {})[REFUSAL]
    assert told["code"] == "scope_exceeded"
    return told["clause"], told["wouldPass"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("through", [over_stdio, over_http])
async def test_sc_56_the_contract_holds_in_front_of_somebody_elses_server(
    world: World, through: Any, mode: str
) -> None:
    """HIRE-MCP-02, HIRE-MCP-05, HIRE-MCP-06, HIRE-MCP-12: a count, an amount and a prohibition, each by its clause."""
    async with through(world, mode) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["git_status", "git_log"]
        for _ in range(2):
            assert not (await client.call_tool("git_status", {"repo_path": world.app})).is_error
        assert await refused(client, "git_status", repo_path=world.app) == ("see-status", "")
        log = await client.call_tool("git_log", {"repo_path": world.app, "max_count": 3})
        assert not log.is_error
        assert await refused(client, "git_log", repo_path=world.app, max_count=3) == ("read-log", "commits up to 2")
        assert await refused(client, "git_log", repo_path=world.payroll, max_count=1) == ("no-payroll", "")
        clause, would = await refused(client, "git_log", repo_path=world.app, max_count=51)
        assert (clause, would) == ("rules", "argument max_count a whole number from 0 to 50")
        with pytest.raises(MCPError, match="Unknown tool"):
            await client.call_tool("git_commit", {"repo_path": world.app, "message": "x"})
        with pytest.raises(MCPError, match="Method not found"):
            await client.list_prompts()
    assert await world.used() == {"read-log/commits": "3", "see-status/count": "2"}
    await until(lambda: not world.acme.desk._open)  # what was answered is settled
    clauses = [clause for _, clause in await world.refusals()]
    assert clauses == ["see-status", "read-log", "no-payroll", "rules", "rules", "rules"]
    assert await world.signed_refusals() == 6


async def test_what_runs_it_wrongly_is_told_so(world: World) -> None:
    """Without a client at its standard input, with what is no digest, with the token of another folder."""
    command = world.gate(*SERVER)
    elsewhere = [str(world.globex.home.path) if part == str(world.acme.home.path) else part for part in command]
    nonsense = ["nonsense" if part == world.contract else part for part in command]
    for wrong, code, says in (
        (command, 2, "expected a pipe, socket or terminal"),
        (nonsense, 2, "--contract: expected a digest"),
        (elsewhere, 2, "it runs with another state folder"),
    ):
        ran = await asyncio.to_thread(
            subprocess.run, wrong, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
        )
        assert (ran.returncode, "Traceback" in ran.stderr) == (code, False), ran
        assert says in ran.stderr, ran


@pytest.mark.parametrize("output", ["answers.txt", os.devnull])
async def test_a_file_as_its_standard_output_is_told(world: World, tmp_path: Path, output: str) -> None:
    """A loop on which nothing is heard of a file (uvloop) ended the process there, without a word."""
    with (tmp_path / output).open("wb") as file:
        ran = await asyncio.to_thread(
            subprocess.run,
            world.gate(*SERVER),
            input=b"",
            stdout=file,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert ran.returncode == 2, ran
    assert b"expected a pipe, socket or terminal" in ran.stderr, ran


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_a_client_that_reads_no_more_has_left(world: World, tmp_path: Path, loop: str) -> None:
    """As of every command whose reader leaves, and with it its server: it ended in a defect of ours (uvloop)."""
    if loop == "asyncio":
        (tmp_path / "uvloop.py").write_text("raise ImportError")
    reads, writes = os.pipe()
    os.close(reads)
    request = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"nothing"}}\n'
    with os.fdopen(writes, "wb") as output:
        ran = await asyncio.to_thread(
            subprocess.run,
            world.gate(sys.executable, "-c", "import time; time.sleep(600)"),
            input=request,
            stdout=output,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
        )
    assert (ran.returncode, ran.stderr) == (130, b"")


async def test_two_clients_at_once_get_no_more_than_the_limit(world: World) -> None:
    """HIRE-MCP-06, HIRE-MCP-12: two gates are two processes, and one ledger counts."""
    async with over_stdio(world, "legacy") as one, over_stdio(world, "legacy") as other:
        calls = [client.call_tool("git_status", {"repo_path": world.app}) for client in (one, other) for _ in range(6)]
        answers = [result.is_error for result in await asyncio.gather(*calls)]
    assert sorted(map(bool, answers)) == [False] * 2 + [True] * 10


@pytest.mark.parametrize("through", [over_stdio, over_http])
async def test_sc_62_a_contract_that_is_stopped_lists_no_tools(world: World, through: Any) -> None:
    """HIRE-GTS-11, HIRE-GTS-13, HIRE-MCP-12: what takes nothing of a contract is asked about, too; with suspension, at
    once and until it is taken back; with the end, for good."""
    (conversation,) = world.acme.conversations.values()
    async with through(world, "legacy") as client:
        await client.list_tools()
        await world.acme.changes.suspend(conversation, seconds=600)
        with pytest.raises(MCPError, match="contract_expired"):
            await client.list_tools()
        result = await client.call_tool("git_status", {"repo_path": world.app})
        assert (result.meta or {})[REFUSAL] == {"code": "contract_expired", "clause": "state", "wouldPass": ""}
        await world.acme.changes.resume(conversation)
        assert not (await client.call_tool("git_status", {"repo_path": world.app})).is_error
        await world.acme.cancel(conversation)
        with pytest.raises(MCPError, match="contract_expired"):
            await client.list_tools()
    assert (await world.refusals())[:2] == [("tools/list", "state"), ("repo:status", "state")]


@pytest.mark.parametrize("through", [over_stdio, over_http])
async def test_what_a_contract_grants_since_it_was_amended_can_be_called(world: World, through: Any) -> None:
    """HIRE-MCP-02: at once, and without another gate; it was an unknown tool for as long as the gate over stdio ran."""
    (ours,) = world.acme.conversations.values()
    theirs = world.globex.conversations[ours.id]

    def wider(terms: Terms) -> Terms:
        scope = read_scope(terms.scope)
        writes = Grant("may-write", "repo:write", scope.grants[-1].target)
        scope = replace(scope, grants=(*scope.grants, writes))
        return replace(terms, scope=compile_scope(scope, terms.scope.id.removesuffix("#scope")))

    async with through(world, "legacy") as client:
        with pytest.raises(MCPError, match="Unknown tool"):
            await client.call_tool("git_commit", {"repo_path": world.app, "message": "x"})
        await world.acme.changes.amend(ours, wider)
        await until(lambda: theirs.engagement.tabled is not None)
        tabled = theirs.engagement.tabled
        assert tabled is not None
        await world.globex.changes.accept(theirs, tabled.document)
        await until(lambda: (sealed := ours.engagement.contract) is not None and sealed.in_force == tabled.document)
        # Nothing is staged there, which only the server can say.
        result = await client.call_tool("git_commit", {"repo_path": world.app, "message": "x"})
        assert REFUSAL not in (result.meta or {})
        assert [tool.name for tool in (await client.list_tools()).tools] == ["git_status", "git_commit", "git_log"]


async def test_an_agent_cannot_fill_the_journal_by_asking_for_what_the_rules_refuse(world: World) -> None:
    """HIRE-GTS-12: the same is recorded once a minute."""
    async with over_http(world, "legacy") as client:
        for number in range(20):
            with pytest.raises(MCPError, match="Unknown tool"):
                await client.call_tool("git_commit", {"repo_path": world.app, "message": f"{number}"})
    assert await world.refusals() == [("'tools/call'", "rules")]
    assert await world.signed_refusals() == 1


@pytest.mark.parametrize("through", [over_stdio, over_http])
async def test_where_the_peer_cannot_be_asked_nothing_is_let_in(world: World, through: Any) -> None:
    """HIRE-MCP-02: "could not ask" is no, and the client is told so at once."""
    async with through(world, "legacy") as client:
        assert not (await client.call_tool("git_status", {"repo_path": world.app})).is_error
        await world.acme.close()
        with pytest.raises(MCPError) as caught:
            await client.call_tool("git_status", {"repo_path": world.app})
        assert caught.value.error.data == {"code": "status_unavailable"}
