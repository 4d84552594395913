"""A peer of ours that believes the harness's organisation, and a run of the harness against it."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from integration.hires import did_of, free_ports
from support import ROOT
from undersigned.daemon import Peer
from undersigned.interop import RunLimits, Stage, Subject
from undersigned.runtime import Home, OfferPart, create_home, issue_membership
from undersigned.testing import GUILD

QUICK = RunLimits(answer=10.0, scenario=40.0)


def adapter() -> ModuleType:
    """The hook of a peer of ours, and what its owner agrees to."""
    spec = importlib.util.spec_from_file_location("hook", ROOT / "interop" / "hook.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def peer_home(
    folder: Path,
    *,
    handler: str = "integration.hires:summarise",
    capacity: int = 10_000,
    anchors: tuple[str, ...] = (GUILD.did,),
) -> Home:
    """The state folder of a provider that was made to be tested."""
    (port,) = free_ports(1)
    offered = OfferPart(
        task="summary",
        handler=handler,
        price="4.00 EUR",
        delivers="summary.txt",
        media_type="text/plain",
        capacity=capacity,
    )
    home = create_home(folder, name="Globex", local=True, port=port, anchors=anchors, offers=(offered,))
    await issue_membership(home)
    return home


def subject_of(home: Home, **members: Any) -> Subject:
    """How the harness finds it."""
    port = home.configuration.listen.port
    return Subject(url=f"ws://localhost:{port}/hire", did=did_of(port), local=True, **members)


@asynccontextmanager
async def stage_at(folder: Path, seed: str = "a seed") -> AsyncIterator[Stage]:
    """A stage before a peer of ours that runs."""
    home = await peer_home(folder)
    async with Peer.open(home) as peer, Stage(subject_of(home), seed=seed, limits=QUICK) as stage:
        peer.changes.consents = adapter().agrees
        yield stage
