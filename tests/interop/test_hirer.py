"""The scenarios in which the implementation is the hirer: our own peer is told to hire by the adapter of its hook."""

from __future__ import annotations

import ast
import asyncio
import json
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from integration.hires import did_of, free_ports
from interop.worlds import QUICK, adapter
from support import ROOT
from undersigned.daemon import Peer
from undersigned.errors import ConfigurationError
from undersigned.interop import Failure, RunLimits, Silent, Stage, Subject, bearing, chosen, faulty_wire, play_all
from undersigned.runtime import create_home, issue_membership
from undersigned.runtime.agent import intake
from undersigned.testing import GUILD, Actor
from undersigned.transport import SUBPROTOCOL


@asynccontextmanager
async def hooked(folder: Path, token: str = "t", limits: RunLimits = QUICK) -> AsyncGenerator[Stage]:
    port, hook_port = free_ports(2)
    home = create_home(folder, name="Acme", local=True, port=port, anchors=(GUILD.did,), max_price="10 EUR")
    await issue_membership(home)
    subject = Subject(
        url=f"ws://localhost:{port}/hire",
        did=did_of(port),
        local=True,
        hook=f"http://127.0.0.1:{hook_port}",
        token=token,
    )
    async with Peer.open(home) as peer, Stage(subject, seed="a seed", limits=limits) as stage:
        runner = web.AppRunner(adapter().app(peer, "t"))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", hook_port).start()
        try:
            yield stage
        finally:
            await runner.cleanup()


@pytest.mark.timeout(120)
async def test_our_own_peer_passes_as_the_hirer(tmp_path: Path) -> None:
    """HIRE-CLS-01, HIRE-VER-02."""
    async with hooked(tmp_path / "acme") as stage:
        results = await play_all(stage, chosen("hirer"))
    assert [(one.scenario.id, one.outcome, one.detail) for one in results if one.outcome != "passed"] == []


@pytest.mark.timeout(90)
async def test_a_hirer_that_goes_on_over_the_same_connection_is_not_waited_for_over_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-NEG-12: what follows from a refusal comes before its connection ends or over the next one, and one that was
    refused over a connection that is gone by then ends no other.
    """
    monkeypatch.setattr(intake, "PARTING", frozenset[str]())
    wanted = ("hirer-accepts-another-document", "hirer-other-transcript")
    async with hooked(tmp_path / "acme") as stage:
        results = await play_all(stage, chosen("hirer", only=wanted, every=True))
    assert [(one.outcome, one.detail) for one in results] == [("passed", "")] * 2


async def test_a_hook_is_asked_with_its_token(tmp_path: Path) -> None:
    """One that is not the hook's is a mistake of whoever tests: the command ends with 2."""
    async with hooked(tmp_path / "acme", token="another") as stage:
        with pytest.raises(ConfigurationError, match=r"--token-file: its hook does not take the token \(401"):
            await play_all(stage, chosen("hirer", only=("hirer-whole-hire",)))
        with pytest.raises(Failure, match="401"):
            await stage.ask("GET", "/hires/x")


async def test_what_a_hook_does_not_know(tmp_path: Path) -> None:
    async with hooked(tmp_path / "acme") as stage:
        for method, path, status in (("GET", "/hires/nothing", 404), ("POST", "/hire", 400)):
            with pytest.raises(Failure, match=f"with {status}"):
                await stage.ask(method, path, {} if method == "POST" else None)
        with pytest.raises(Silent, match="does not answer GET /nothing"):
            await stage.ask("GET", "/nothing")


async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: bytes) -> None:
    """A hook that reads, and says this."""
    await reader.read(65536)
    writer.write(said)
    await writer.drain()
    if not said:
        await reader.read()
    writer.close()


ACCEPTED = b'HTTP/1.1 202 Accepted\r\nContent-Length: 10\r\n\r\n{"id":"x"}'


@pytest.mark.parametrize(
    ("said", "detail"),
    [
        (b"", "does not answer POST /hire"),
        (b"\x00garbage", "does not answer POST /hire"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "answers POST /hire with 200"),
        (ACCEPTED, "it did not connect to us within 0.5 s"),
    ],
    ids=("silence", "garbage", "a list", "a promise"),
)
async def test_a_hirer_that_does_not_come(tmp_path: Path, said: bytes, detail: str) -> None:
    """It is given up at once, and each scenario says why. A hook that never answers is waited for twice."""
    server = await asyncio.start_server(lambda reader, writer: answering(reader, writer, said), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    who = Actor("somebody").did
    subject = Subject(url="ws://localhost:9/hire", did=who, local=True, hook=f"http://127.0.0.1:{port}", token="t")
    limits = RunLimits(answer=20.0 if said else 0.5, arrival=0.5, scenario=60.0)
    async with server, Stage(subject, seed="x", limits=limits) as stage:
        results = await play_all(stage, chosen("hirer"))
    assert len(results) == len(chosen("hirer"))
    assert {one.outcome for one in results} == {"failed" if "with 200" in detail else "given up"}
    assert all(detail in one.detail for one in results), results[0]


async def test_each_request_to_a_hook_has_a_connection_of_its_own(tmp_path: Path) -> None:
    """One that was kept is closed by some hooks just as it is used again, which says nothing of the implementation."""

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(ACCEPTED)
        await writer.drain()
        await reader.read(1)
        writer.transport.abort()

    server = await asyncio.start_server(once, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    who = Actor("somebody").did
    subject = Subject(url="ws://localhost:9/hire", did=who, local=True, hook=f"http://127.0.0.1:{port}", token="t")
    async with server, Stage(subject, seed="x", limits=QUICK) as stage:
        assert [await stage.ask("POST", "/hire", {}) for _ in range(3)] == [{"id": "x"}] * 3


@asynccontextmanager
async def replacing(url: str, kind: str, number: int) -> AsyncGenerator[str]:
    """A way to `url` on which the message of this kind and number is lost once: in its place both ends hear an orderly
    end of the connection, as when whoever dials puts another one in its place.
    """
    seen = 0

    async def passed(source: Any, target: Any, *, lost: bool) -> None:
        nonlocal seen
        with suppress(ConnectionClosed):
            async for text in source:
                seen += lost and json.loads(text).get("type") == kind
                if lost and seen == number:
                    seen += 1
                    break
                await target.send(text)
        await source.close(1000)
        await target.close(1000)

    async def handled(socket: ServerConnection) -> None:
        async with connect(url, subprotocols=[Subprotocol(SUBPROTOCOL)], compression=None) as onwards:
            await asyncio.gather(passed(onwards, socket, lost=True), passed(socket, onwards, lost=False))

    options: dict[str, Any] = {"subprotocols": [Subprotocol(SUBPROTOCOL)], "compression": None}
    async with serve(handled, "localhost", 0, **options) as server:
        yield f"ws://localhost:{next(iter(server.sockets)).getsockname()[1]}/hire"
        assert seen > number, "it was lost, and the hire went on"


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("scenario", "kind", "number"),
    [("hirer-repeat-acceptance", "Acceptance", 2), ("hirer-other-transcript", "Offer", 1)],
)
async def test_a_hirer_may_put_another_connection_in_the_place_of_one(
    tmp_path: Path, scenario: str, kind: str, number: int
) -> None:
    """HIRE-CNX-10: it came back already where the scenario says so, and what was not answered is said again."""
    async with hooked(tmp_path / "acme") as stage, replacing(stage.own_url, kind, number) as url:
        stage.met_at = url
        (result,) = await play_all(stage, chosen("hirer", only=(scenario,)))
    assert (result.outcome, result.detail) == ("passed", "")


@pytest.mark.timeout(240)
async def test_a_hirer_over_a_bad_network(tmp_path: Path) -> None:
    """HIRE-SYN-03: what breaks on the way to us, by seed, makes it come back."""
    # Each cut makes the next attempt wait longer, and a busy machine adds to it.
    patient = RunLimits(answer=30.0, scenario=90.0, arrival=60.0)
    async with hooked(tmp_path / "acme", limits=patient) as stage:
        stage.breaks = True
        async with faulty_wire(stage.own_url, "cuts", "a seed") as wire:
            stage.met_at = f"ws://localhost:{wire.port}/hire"
            results = await play_all(stage, bearing(chosen("hirer", every=True), "cuts"), at_a_time=2)
            assert wire.passed > 20
            assert len(wire.taken) > len(results)
    assert {one.scenario.id for one in results} >= {"hirer-whole-hire", "hirer-provider-walks-away"}
    assert [(one.scenario.id, one.detail) for one in results if one.outcome != "passed"] == []


@pytest.mark.timeout(60)
async def test_who_heard_all_just_before_its_connection_broke_is_asked_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-SYN-03: it has nothing to say again, so it does not come; its hook may have answered just before."""
    async with hooked(tmp_path / "acme") as stage:
        stage.breaks = True
        answered, ask = list[Any](), stage.ask
        async with faulty_wire(stage.own_url, "none", "a seed") as wire:

            async def before(method: str, path: str, body: Any = None) -> Any:
                said = await ask(method, path, body)
                if method == "POST":
                    return said
                if not answered:
                    while said.get("over") is not True:
                        said = await ask(method, path, body)
                    assert wire.cut() > 0
                    await asyncio.sleep(0.5)  # the stage sees its end before it hears this
                    said = {"over": False, "state": "offered-by-hirer"}
                answered.append(said["over"])
                return said

            monkeypatch.setattr(stage, "ask", before)
            stage.met_at = f"ws://localhost:{wire.port}/hire"
            (result,) = await play_all(stage, chosen("hirer", only=("hirer-provider-walks-away",)))
    assert (result.outcome, result.detail) == ("passed", "")
    assert answered == [False, True]


def test_an_adapter_is_as_short_as_the_page_says() -> None:
    """Whoever has another implementation has as much to write; comments, docstrings and blank lines are not counted."""
    source = (ROOT / "interop" / "hook.py").read_text()
    strings = [node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Expr)]
    told = {
        number
        for one in strings
        if isinstance(one, ast.Constant)
        for number in range(one.lineno, (one.end_lineno or one.lineno) + 1)
    }
    lines = enumerate(source.splitlines(), start=1)
    code = [line for number, line in lines if number not in told and not re.match(r"\s*(#|$)", line)]
    page = (ROOT / "protocol-spec" / "harness.md").read_text()
    assert f"`interop/hook.py`, {len(code)} lines of code, is" in page
