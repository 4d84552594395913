"""A contract at work, a real MCP server of somebody else's, and the gate between them.

Acme hires Globex to look at its repositories; until the world is left, Globex is at work. `git_log` costs commits,
`git_status` may be called so often, and the payroll is nobody's business.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

from integration.commands import UNDERSIGNED
from integration.hires import two_homes
from undersigned.attestation import RefusalPredicate, verify_statement
from undersigned.bridges.mcp_rules import Rules
from undersigned.daemon import Peer, RemoteDesk
from undersigned.encoding import Digest, decode_json
from undersigned.ledger import Row
from undersigned.runtime import ControlPart, Job, read_toml
from undersigned.scope import Grant, Limit, Prohibition, Scope

HOST = "https://git.acme.example"
RULES = """
[[tool]]
name = "git_log"
action = "repo:log"
target = "https://git.acme.example/{+repo_path}"
amounts = { commits = "{max_count}" }
arguments = { repo_path = {}, max_count = { max = 50 } }

[[tool]]
name = "git_status"
action = "repo:status"
target = "https://git.acme.example/{+repo_path}"
arguments = { repo_path = {} }

[[tool]]
name = "git_commit"
action = "repo:write"
target = "https://git.acme.example/{+repo_path}"
arguments = { repo_path = {}, message = {} }
"""


class World(NamedTuple):
    acme: Peer
    globex: Peer
    contract: Digest
    folder: Path
    desk: RemoteDesk
    rules: Rules

    @property
    def app(self) -> str:
        return str(self.folder / "git" / "app")

    @property
    def payroll(self) -> str:
        return str(self.folder / "git" / "payroll")

    def gate(self, *server: str, more: Sequence[str] = ()) -> list[str]:
        """The command of a gate over stdio in front of `server`."""
        home = ["--home", str(self.acme.home.path), "--peer", self.acme.gates_url]
        named = ["--rules", str(self.folder / "rules.toml"), "--contract", self.contract]
        return [*UNDERSIGNED, "mcp-gate", *home, *named, *more, "--", *server]

    async def engagement(self) -> str:
        (summary,) = await self.acme.ledger.summaries()
        return summary.engagement

    async def rows(self) -> list[Row]:
        """The refusals in Acme's journal."""
        rows = await self.acme.ledger.rows(await self.engagement())
        return [row for row in rows if row.type == "refused-action"]

    async def refusals(self) -> list[tuple[str, str]]:
        """(action, clause) of each."""
        found = [json.loads(row.raw) for row in await self.rows()]
        return [(one["action"], one["clause"]) for one in found]

    async def signed_refusals(self) -> int:
        """How many refusals under this contract are statements that verify, of Acme."""
        kept = [one.raw for one in await self.acme.ledger.evidence(await self.engagement()) if one.kind == "refusal"]
        for raw in kept:
            document: Any = decode_json(raw)
            verify_statement(
                document,
                attester=self.acme.own.id,
                keys=self.acme.own.keys("assertionMethod", now=self.acme.clock.now()),
                contract=self.contract,
                artifacts={"contract": self.contract},
                predicates={RefusalPredicate.PREDICATE_TYPE: RefusalPredicate},
            )
        return len(kept)

    async def used(self) -> dict[str, str]:
        return dict(await self.acme.ledger.usage(self.contract))

    async def signed(self, url: str, body: bytes, method: str = "POST", **more: str) -> dict[str, str]:
        headers = dict(await self.globex.sign_request(method, url, self.contract, body))
        return {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"} | headers | more


class Signing(httpx2.Auth):
    """How a stock MCP client comes to sign what it sends."""

    requires_request_body = True

    def __init__(self, peer: Peer, contract: Digest) -> None:
        self._peer, self._contract = peer, contract

    async def async_auth_flow(self, request: httpx2.Request) -> Any:
        fields = await self._peer.sign_request(request.method, str(request.url), self._contract, request.content)
        request.headers.update(dict(fields))
        yield request


def repository(folder: Path, commits: int) -> None:
    folder.mkdir(parents=True)

    def git(*arguments: str) -> None:
        who = ["-c", "user.name=Acme", "-c", "user.email=acme@acme.example"]
        subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, timeout=60)

    git("init", "--quiet")
    for number in range(commits):
        git("commit", "--quiet", "--allow-empty", "-m", f"change {number}")


def scope_for(folder: Path) -> Scope:
    root = f"{HOST}{folder}/git"
    return Scope(
        grants=(
            Grant("read-log", "repo:log", f"{root}/*", limits=(Limit("commits", "5"),)),
            Grant("see-status", "repo:status", f"{root}/*", limits=(Limit("count", "2"),)),
        ),
        prohibitions=(Prohibition("no-payroll", "repo:log", f"{root}/payroll"),),
    )


@asynccontextmanager
async def at_work(folder: Path) -> AsyncIterator[World]:
    repository(folder / "git" / "app", 8)
    repository(folder / "git" / "payroll", 1)
    (folder / "rules.toml").write_text(RULES)
    acme_home, globex_home = await two_homes(folder)
    begun: asyncio.Future[Job] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()

    async def review(job: Job) -> None:
        begun.set_result(job)
        await done.wait()
        await job.deliver("review.txt", b"reviewed")

    acme, globex = Peer.open(acme_home), Peer.open(globex_home)
    acme.gates = ControlPart()
    async with acme, globex:
        globex.offers("review", price="4.00 EUR", delivers="review.txt")(review)
        hire = acme.hire(globex.own.id, task="review", price="5.00 EUR", scope=scope_for(folder))
        hiring = asyncio.ensure_future(hire)
        await asyncio.wait({hiring, begun}, return_when=asyncio.FIRST_COMPLETED)
        contract = begun.result().contract if begun.done() else (await hiring).contract
        async with RemoteDesk(acme.gates_url, acme_home.gate_token()) as desk:
            rules = Rules.from_toml(read_toml(folder / "rules.toml"))
            yield World(acme, globex, contract, folder, desk, rules)
        done.set()
        await asyncio.gather(hiring, return_exceptions=True)


SERVER = [sys.executable, "-m", "mcp_server_git"]
