"""An agent under contract uses somebody else's MCP server, as far as its contract goes and no further.

    .venv/bin/python examples/guarded_mcp/run.py [FOLDER]

Everything is real: two peers with ledgers, a contract, the published server `mcp-server-git`, the stock client of the
MCP SDK, and the gate between them as a process of its own, over HTTP and over standard input and output. FOLDER keeps
the state; by default it is a new temporary one. What happens here is told in README.md.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

from undersigned import Job, Peer, create_home, issue_membership
from undersigned.encoding import Digest
from undersigned.errors import UndersignedError
from undersigned.runtime import configure_logs
from undersigned.scope import Grant, Label, Labels, Limit, Prohibition, Scope
from undersigned.testing import free_ports

try:
    import httpx2
    import uvicorn
    from mcp import Client, MCPError, StdioServerParameters
    from mcp.client.stdio import stdio_client
    from mcp.client.streamable_http import streamable_http_client
    from mcp_server_git.server import create_server
except ImportError as exc:
    sys.exit(
        f"It needs an MCP client and server, which are no part of undersigned: "
        f"{sys.executable} -m pip install mcp mcp-server-git ({exc})"
    )

RULES = Path(__file__).with_name("rules.toml")
REFUSAL = "org.w3id.hire/refusal"
ACTIONS = {"git_log": "repo:log", "git_status": "repo:status"}
UNDERSIGNED = (sys.executable, "-m", "undersigned.cli")


class Signing(httpx2.Auth):
    """All that a stock client needs to be known as the hired agent: each request is signed for the contract."""

    requires_request_body = True

    def __init__(self, job: Job) -> None:
        self.job = job

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        fields = await self.job.sign(request.method, str(request.url), request.content)
        request.headers.update(dict(fields))
        yield request


def scope(folder: Path) -> Scope:
    """What Acme lets the agent do with its repositories."""
    repositories = f"https://git.acme.example{folder}/git"
    return Scope(
        grants=(
            Grant(
                "read-log",
                "repo:log",
                f"{repositories}/*",
                limits=(Limit("commits", "8"),),
                conditions={"dataClass": ("public", "internal")},
            ),
            Grant("see-status", "repo:status", f"{repositories}/*", limits=(Limit("count", "3"),)),
        ),
        prohibitions=(Prohibition("no-payroll", "repo:log", f"{repositories}/payroll"),),
    )


def labels(folder: Path) -> Labels:
    """What Acme knows of its own data; what nobody names counts as restricted."""
    repositories = f"https://git.acme.example{folder}/git"
    return Labels(
        rules=(
            Label(f"{repositories}/app", {"dataClass": "internal"}),
            Label(f"{repositories}/customers", {"dataClass": "restricted"}),
        )
    )


async def use(job: Job, client: Client, tool: str, **arguments: str | int) -> None:
    """Calls a tool as the contract has it: Globex asks its own gate first, which counts as Acme's does, so that the
    books of both say the same. It has no labels; it was told that what it looks at is internal.
    """
    amounts = {"commits": str(arguments["max_count"])} if "max_count" in arguments else None
    target = f"https://git.acme.example{arguments['repo_path']}"
    async with job.act(ACTIONS[tool], target, amounts, dataClass="internal"):
        await call(client, tool, **arguments)


async def call(client: Client, tool: str, **arguments: str | int) -> None:
    """Calls a tool, and prints what came of it: the answer's first line, or the clause that refused."""
    asked = ", ".join(f"{name}={Path(str(value)).name}" for name, value in arguments.items())
    try:
        result = await client.call_tool(tool, arguments)
        told = (result.meta or {}).get(REFUSAL)
        text = getattr(result.content[0], "text", "").splitlines()[0]
    except MCPError as error:
        told, text = (error.error.data or {}).get(REFUSAL), error.error.message
    if told is None:
        print(f"  {tool}({asked}): {text}")
    else:
        would = f"; would pass: {told['wouldPass']}" if told["wouldPass"] else "; nothing would pass"
        print(f"  {tool}({asked}): REFUSED, {told['code']}, clause {told['clause']}{would}")


@asynccontextmanager
async def upstream() -> AsyncIterator[str]:
    """Somebody else's MCP server over HTTP, in this process for brevity; it knows nothing of contracts."""
    app = create_server(None).streamable_http_app()
    with free_socket() as sock:
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        try:
            yield f"http://127.0.0.1:{sock.getsockname()[1]}/mcp"
        finally:
            server.should_exit = True
            await serving


@asynccontextmanager
async def gate(acme: Peer, url: str) -> AsyncIterator[str]:
    """`undersigned mcp-gate` in front of `url`; where it listens."""
    process = await asyncio.create_subprocess_exec(
        *gate_command(acme), "--upstream", url, "--json", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        line = (await process.stdout.readline()).decode()
        yield line.split('"url": "')[1].split('"')[0]
    finally:
        process.terminate()
        await process.wait()


def gate_command(acme: Peer) -> list[str]:
    home = ["--home", str(acme.home.path), "--peer", acme.gates_url]
    return [*UNDERSIGNED, "mcp-gate", "--rules", str(RULES), *home]


async def use_it(job: Job, client: Client, folder: Path) -> None:
    """What the agent does over HTTP, and what it tries without asking its own gate, which would say no."""
    app, payroll = f"{folder}/git/app", f"{folder}/git/payroll"
    print("  tools:", ", ".join(tool.name for tool in (await client.list_tools()).tools))
    await use(job, client, "git_status", repo_path=app)
    await use(job, client, "git_status", repo_path=app)
    await use(job, client, "git_log", repo_path=app, max_count=5)
    await call(client, "git_log", repo_path=app, max_count=5)
    await call(client, "git_log", repo_path=payroll, max_count=1)
    await call(client, "git_log", repo_path=f"{folder}/git/customers", max_count=1)
    await call(client, "git_log", repo_path=app, max_count=5000)
    await call(client, "git_commit", repo_path=app, message="mine now")


async def main(folder: Path) -> None:
    acme, globex = await two_peers(folder)  # first: it says so if the folder was used before
    for name, commits in (("app", 9), ("payroll", 1), ("customers", 1)):
        repository(folder / "git" / name, commits)
    acme.gates = "127.0.0.1:0"
    print(f"State folders are in {folder}")
    async with acme, globex:
        acme.gate.labels = labels(folder)
        seen = asyncio.Event()

        @globex.offers("review", price="4.00 EUR", delivers="review.txt", media_type="text/plain")
        async def review(job: Job) -> None:
            """Globex's work: with a stock MCP client it looks at Acme's repositories."""
            print("\n1. Globex is at work, and uses Acme's MCP server over HTTP, through the gate:")
            async with (
                upstream() as url,
                gate(acme, url) as address,
                httpx2.AsyncClient(auth=Signing(job), timeout=30) as http,
                Client(streamable_http_client(address, http_client=http)) as client,
            ):
                await use_it(job, client, folder)
            print("\n2. The same contract in front of a server over standard input and output; the count goes on:")
            program, *arguments = gate_command(acme)
            arguments += ["--contract", job.contract, "--", sys.executable, "-m", "mcp_server_git"]
            started = StdioServerParameters(command=program, args=arguments, env=dict(os.environ))
            with (folder / "gate.log").open("w") as log:
                async with Client(stdio_client(started, errlog=log)) as client:
                    await use(job, client, "git_status", repo_path=f"{folder}/git/app")
                    await call(client, "git_status", repo_path=f"{folder}/git/app")
                    await use(job, client, "git_log", repo_path=f"{folder}/git/app", max_count=3)
            await job.deliver("review.txt", b"Nine changes, none of them explained.\n")
            seen.set()

        result = await acme.hire(globex.own.id, task="review", price="5.00 EUR", scope=scope(folder))
        assert seen.is_set()
        print(f"\n3. Delivered, and paid: {result.price}")
        for one in result.books:
            print(f"  the books of both differ: {one.explain()}")
        await what_acme_kept(acme, result.engagement, result.contract)


async def what_acme_kept(acme: Peer, engagement: str, contract: Digest) -> None:
    """Use and refusals are in the hirer's ledger."""
    for key, amount in sorted((await acme.ledger.usage(contract)).items()):
        print(f"  used of {key.replace('/', ': ')}: {amount}")
    refused = [row for row in await acme.ledger.rows(engagement) if row.type == "refused-action"]
    print(f"  refusals in Acme's journal: {len(refused)}")


# --- The scene: two repositories, two companies that trust each other's organisation.


def repository(folder: Path, commits: int) -> None:
    folder.mkdir(parents=True)
    git = ("git", "-c", "user.name=Acme", "-c", "user.email=acme@acme.example")
    subprocess.run([*git, "init", "--quiet"], cwd=folder, check=True)  # noqa: S603
    for number in range(commits):
        said = [*git, "commit", "--quiet", "--allow-empty", "-m", f"change {number}"]
        subprocess.run(said, cwd=folder, check=True)  # noqa: S603


async def two_peers(folder: Path) -> tuple[Peer, Peer]:
    ports = dict(zip(("acme", "globex"), free_ports(2), strict=True))
    dids = {name: f"did:web:{quote(f'localhost:{port}', safe='')}:org" for name, port in ports.items()}
    peers: list[Peer] = []
    for name, other_name in (("acme", "globex"), ("globex", "acme")):
        home = create_home(
            folder / name,
            name=name.title(),
            local=True,
            port=ports[name],
            anchors=(dids[other_name],),
            max_price="10 EUR",
        )
        await issue_membership(home)
        peers.append(Peer.open(home))
    return peers[0], peers[1]


def free_socket() -> socket.socket:
    """Listens where nobody else does."""
    return socket.create_server(("127.0.0.1", 0))


if __name__ == "__main__":
    # The SDK tells of each request, and our gate of each refusal: here they are printed where they happen.
    logging.disable(logging.INFO)
    configure_logs(logging.ERROR, force=True)
    named = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="guarded-mcp-"))
    try:
        asyncio.run(main(named.resolve()))
    except UndersignedError as error:
        sys.exit(f"\nIt ends here: {error}")
