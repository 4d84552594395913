"""The scenarios in which the implementation is the hirer: our own peer is told to hire by the adapter of its hook."""

from __future__ import annotations

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
from undersigned.interop import Failure, Silent, Stage, Subject, chosen, play_all
from undersigned.runtime import create_home, issue_membership
from undersigned.testing import GUILD


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


def test_an_adapter_is_short() -> None:
    """Whoever has another implementation has as much to write."""
    lines = (ROOT / "interop" / "hook.py").read_text().splitlines()
    assert len([line for line in lines if line.strip()]) <= 60
