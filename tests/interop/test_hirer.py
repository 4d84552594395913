"""The scenarios in which the implementation is the hirer: our own peer is told to hire by the adapter of its hook."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType

import pytest
from aiohttp import web

from integration.hires import did_of, free_ports
from interop.worlds import QUICK
from support import ROOT
from undersigned.daemon import Peer
from undersigned.interop import (
    Failure,
    Limits,
    Silent,
    Stage,
    Subject,
    bearing,
    chosen,
    faulty_wire,
    play_all,
)
from undersigned.runtime import create_home, issue_membership
from undersigned.testing import GUILD, Actor


def adapter() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hook", ROOT / "interop" / "hook.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@asynccontextmanager
async def hooked(folder: Path, token: str = "t") -> AsyncIterator[Stage]:
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
    async with Peer.open(home) as peer, Stage(subject, seed="a seed", limits=QUICK) as stage:
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


async def test_a_hook_is_asked_with_its_token(tmp_path: Path) -> None:
    async with hooked(tmp_path / "acme", token="another") as stage:
        (result,) = await play_all(stage, chosen("hirer", only=("hirer-whole-hire",)))
        assert "with 401" in result.detail
        with pytest.raises(Failure, match="with 401"):
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
    if said:
        writer.close()
    else:
        await reader.read()


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
    """It is given up at once, and each scenario says why."""
    server = await asyncio.start_server(lambda reader, writer: answering(reader, writer, said), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    who = Actor("somebody").did
    subject = Subject(url="ws://localhost:9/hire", did=who, local=True, hook=f"http://127.0.0.1:{port}", token="t")
    async with server, Stage(subject, seed="x", limits=Limits(answer=0.5, arrival=0.5, scenario=3.0)) as stage:
        results = await play_all(stage, chosen("hirer"))
    assert len(results) == len(chosen("hirer"))
    assert {one.outcome for one in results} == {"failed"}
    assert all(detail in one.detail for one in results), results[0]


@pytest.mark.timeout(120)
async def test_a_hirer_over_a_bad_network(tmp_path: Path) -> None:
    """HIRE-SYN-03: what breaks on the way to us, by seed, makes it come back."""
    async with hooked(tmp_path / "acme") as stage:
        stage.breaks = True
        async with faulty_wire(stage.own_url, "cuts", "a seed") as wire:
            stage.met_at = f"ws://localhost:{wire.port}/hire"
            results = await play_all(stage, bearing(chosen("hirer", every=True), "cuts"), at_a_time=2)
            assert wire.passed > 20
            assert len(wire.taken) > len(results)
    assert {one.scenario.id for one in results} >= {"hirer-whole-hire", "hirer-provider-walks-away"}
    assert [(one.scenario.id, one.detail) for one in results if one.outcome != "passed"] == []


def test_an_adapter_is_short() -> None:
    """Whoever has another implementation has as much to write."""
    lines = (ROOT / "interop" / "hook.py").read_text().splitlines()
    assert len([line for line in lines if line.strip()]) <= 60
