"""`undersigned gate`, and the servers of `examples/guarded_server`, in processes of their own."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from gate_world import RULES, Service, World, at_work, served
from integration.commands import UNDERSIGNED, Process, environment, running, serving
from integration.hires import free_ports, two_homes, until
from support import ROOT
from undersigned.bridges.gate_rules import read_rules
from undersigned.cli.desk import told_when_reached, unheard
from undersigned.cli.output import Out
from undersigned.daemon import GateProxy, RemoteDesk, RequestGate
from undersigned.daemon.door import OWN_FILES, ListenerLimits
from undersigned.runtime import create_home
from undersigned.scope import Grant, Limit, Scope

EXAMPLE = ROOT / "examples" / "guarded_server"
APP = "/repos/app/files/readme"
REPORTS = Grant("reports", "report:read", "http://localhost:8080/reports/*", limits=(Limit("count", "2"),))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with at_work(tmp_path) as made:
        yield made


@pytest.mark.parametrize("as_json", [True, False])
async def test_the_command_stands_in_front_of_a_service(world: World, as_json: bool, tmp_path: Path) -> None:
    """HIRE-GTS-09, HIRE-GTS-14: it tells each request, with what let it pass or did not, and signs its answers."""
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES)
    service = Service()
    async with served(service) as upstream:
        named = ("--upstream", upstream, "--rules", str(rules), "--peer", world.hirer.gates_url)
        process = Process(
            [*UNDERSIGNED, "gate", *named, "--home", str(world.hirer.home.path), "--sign-answers"]
            + ["--json"] * as_json,
            tmp_path,
        )
        try:
            await until(lambda: process.lines)
            url = json.loads(process.lines[0])["url"] if as_json else process.lines[0].split()[4]
            fields = await world.signed("GET", APP)
            answers = [await world.send(url, "GET", APP, fields), await world.ask(url, "GET", "/nothing")]
            assert await world.judged(answers[0], "GET", APP, fields) == "good"
            await until(lambda: sum("GET" in line for line in process.lines) == 2)
        finally:
            ended = await asyncio.to_thread(process.end, signal.SIGTERM)
    assert [answer.status for answer in answers] == [200, 403]
    if as_json:
        told = [json.loads(line) for line in process.lines[-2:]]
        assert [(line["status"], line.get("clause"), line["local"]) for line in told] == [
            (200, "read-app", True),
            (403, "rules", True),
        ]
        assert ["why" in line for line in told] == [False, True]
    else:
        passed, refused = process.lines[-2:]
        assert passed == f"local | 200  GET {APP}  repo:read on https://git.acme.example/app, read-app"
        assert refused.startswith("local | 403  GET /nothing  scope_exceeded, rules: ")
    assert len(service.asked) == 1
    assert (ended.code, ended.err) == (0, "")


def test_a_gate_whose_reader_leaves_answers_what_it_was_asked_and_ends(tmp_path: Path) -> None:
    """`undersigned gate ... | head -1`: who was refused was told of a defect, and it went on, telling nobody."""
    home = create_home(tmp_path / "acme", name="Acme", local=True, port=free_ports(1)[0])
    (tmp_path / "rules.toml").write_text(RULES)
    named = ("--upstream", "http://127.0.0.1:1", "--rules", "rules.toml", "--peer", "http://127.0.0.1:1", "--json")
    command = [*UNDERSIGNED, "gate", *named, "--home", str(home.path)]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url = json.loads(process.stdout.readline())["url"]
        process.stdout.close()
        with pytest.raises(HTTPError) as caught:
            urlopen(url + APP)
        assert (caught.value.code, json.load(caught.value)["code"]) == (401, "proof_missing")
        told = process.stderr.read()
    assert process.returncode == 130
    assert told.strip() == "local | stopped, because what it tells of requests is taken by nobody any more"


async def test_a_gate_that_would_let_in_nobody_says_so(world: World, tmp_path: Path) -> None:
    """It does not begin with the token of another folder; of a peer that does not answer yet it says so, and waits."""
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES)
    tools = tmp_path / "tools.toml"
    tools.write_text('[[tool]]\nname = "look"\naction = "repo:read"\ntarget = "https://git.acme.example/app"\n')
    (port,) = free_ports(1)
    mine, other = world.hirer.home.path, world.provider.home.path
    for command, upstream, file in (
        ("gate", "http://127.0.0.1:1", rules),
        ("mcp-gate", "http://127.0.0.1:1/mcp", tools),
    ):
        named = [*UNDERSIGNED, command, "--upstream", upstream, "--rules", str(file), "--json"]
        wrong = Process([*named, "--home", str(other), "--peer", world.hirer.gates_url], tmp_path)
        ended = await asyncio.to_thread(wrong.end)
        assert (ended.code, ended.error["code"]) == (2, "unauthorized"), ended
        assert "another state folder" in ended.error["message"]
        early = Process([*named, "--home", str(mine), "--peer", f"http://127.0.0.1:{port}"], tmp_path)
        await asyncio.to_thread(early.until, '"ready"')
        ended = await asyncio.to_thread(early.end, signal.SIGTERM)
        assert ended.code == 0, ended
        assert ended.values[0]["warning"] == (
            f"nothing passes yet: the peer at http://127.0.0.1:{port} was not reached: Connection refused"
        )

    named = ("--rules", tools, "--home", mine, "--peer", world.hirer.gates_url, "--json")
    unknown = Process(
        [*UNDERSIGNED, "mcp-gate", "--contract", f"uEi{'A' * 44}", *map(str, named), "--", "true"], tmp_path
    )
    ended = await asyncio.to_thread(unknown.end)
    assert (ended.code, ended.error["code"], "gave no contract" in ended.error["message"]) == (
        3,
        "contract_expired",
        True,
    )


async def test_a_gate_tells_that_its_peer_is_reached(tmp_path: Path) -> None:
    """Once, when it runs: it went on to say that nothing passes. Of one that runs with another folder it tells that."""
    acme, globex = await two_homes(tmp_path)
    (tmp_path / "rules.toml").write_text(RULES)
    tool = '[[tool]]\nname = "look"\naction = "repo:read"\ntarget = "https://git.acme.example/app"\n'
    (tmp_path / "tools.toml").write_text(tool)
    (port,) = free_ports(1)
    named = ("--upstream", "http://127.0.0.1:1/mcp", "--peer", f"http://127.0.0.1:{port}", "--json")
    gates = [
        Process([*UNDERSIGNED, command, "--rules", f"{rules}.toml", "--home", str(home.path), *named], tmp_path)
        for command, rules, home in (("gate", "rules", acme), ("mcp-gate", "tools", acme), ("gate", "rules", globex))
    ]
    for gate in gates:
        await asyncio.to_thread(gate.until, "nothing passes yet")
    with serving(acme.path, "--gates", f"127.0.0.1:{port}"):
        for gate in gates:
            await asyncio.to_thread(gate.until, 'reached"')
    ended = [await asyncio.to_thread(gate.end, signal.SIGTERM) for gate in gates]
    told = {"peer": f"http://127.0.0.1:{port}", "local": True}
    reached, refused = {"kind": "reached", **told}, {"kind": "unreached", "error": "unauthorized", **told}
    shown = [
        (one.code, [{**said, "error": said["error"]["code"]} if "error" in said else said for said in one.values[1:]])
        for one in ended
    ]
    assert shown == [(0, [reached]), (0, [reached]), (0, [refused])]


async def test_a_gate_that_lets_somebody_in_has_said_before_that_its_peer_is_reached(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It said that nothing passes until it looked again, up to fifteen seconds after the first request had passed."""
    looks, told = list[bool](), list[str]()

    class Watched(RemoteDesk):
        async def greet(self) -> None:
            try:
                await super().greet()
            finally:
                looks.append(True)

    monkeypatch.setattr(Out, "line", lambda _, text: told.append(text))
    (port,) = free_ports(1)
    desk, rules = Watched(f"http://127.0.0.1:{port}", world.hirer.home.gate_token()), read_rules(tomllib.loads(RULES))
    async with desk, served(Service()) as upstream:
        waits = await unheard(desk)
        async with told_when_reached(Out(as_json=False), desk, waits):
            await until(lambda: len(looks) == 2)
            desk.url = world.hirer.gates_url  # as if it listened there from now on
            gate = GateProxy(RequestGate(desk, rules), upstream, told=lambda said: told.append(str(said["status"])))
            async with gate:
                assert (await world.ask(gate.url, "GET", APP)).status == 200
    assert waits.startswith("nothing passes yet")
    assert told == [f"the peer at {desk.url} is reached: what its contracts allow passes from now on", "200"]


async def test_who_listens_has_files_for_all_its_callers(tmp_path: Path) -> None:
    """A shell allows a process few open files, and more if it asks: it would take fewer callers than it is set to."""
    acme, _ = await two_homes(tmp_path)
    (tmp_path / "rules.toml").write_text(RULES)
    tool = '[[tool]]\nname = "look"\naction = "repo:read"\ntarget = "https://git.acme.example/app"\n'
    (tmp_path / "tools.toml").write_text(tool)
    (tmp_path / "registry.toml").write_text("")
    home, (port, *ports) = str(acme.path), free_ports(3)
    named = ("--upstream", "http://127.0.0.1:1/mcp", "--peer", f"http://127.0.0.1:{port}", "--home", home)
    few = ("sh", "-c", 'ulimit -Sn 256; exec "$@"', "sh")
    programs = [
        ("gate", "--rules", "rules.toml", *named),
        ("mcp-gate", "--rules", "tools.toml", *named),
        ("witness", "serve", "--log", acme.configuration.did, "--home", home, "--listen", f"127.0.0.1:{ports[0]}"),
        ("registry", "serve", "--file", "registry.toml", "--listen", f"127.0.0.1:{ports[1]}"),
    ]
    for program in programs:
        with running([*few, *UNDERSIGNED, *program, "--json"], tmp_path, '"ready"') as process:
            soft, hard = resource.prlimit(process.id, resource.RLIMIT_NOFILE)
        assert soft == min(ListenerLimits().connections + OWN_FILES, hard), program


@pytest.mark.parametrize("server", ["asgi", "aiohttp"])
async def test_an_example_serves_what_the_contract_allows(server: str, tmp_path: Path) -> None:
    """As its page says: two reports, and not a third one. At its end nothing is left open."""
    (port,) = free_ports(1)
    async with at_work(tmp_path, scope=Scope(grants=(REPORTS,))) as world:
        token = world.hirer.home.path / "gate.token"
        program = {
            "asgi": [sys.executable, "-m", "uvicorn", "asgi_server:app", "--port", str(port)],
            "aiohttp": [sys.executable, "aiohttp_server.py"],
        }[server]
        process = Process(program, EXAMPLE, HIRE_PEER=world.hirer.gates_url, HIRE_TOKEN_FILE=str(token), PORT=str(port))
        try:
            url = f"http://127.0.0.1:{port}"
            await until_listening(port)
            heard = [await world.ask(url, "GET", "/reports/q3", origin="http://localhost:8080") for _ in range(3)]
        finally:
            ended = await asyncio.to_thread(process.end, signal.SIGINT)
            assert not {"Traceback", "Unclosed"} & set(ended.err.split()), ended.err
    assert [answer.status for answer in heard] == [200, 200, 403]
    assert json.loads(heard[0].body) == {"hello": world.provider.own.id, "clause": "reports"}
    assert heard[2].no == (403, "scope_exceeded", "reports")


async def until_listening(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return
