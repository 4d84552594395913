"""Fixtures of the security cases."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from security.wire_world import World, world_in


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Globex, which is attacked, and Acme; open for a whole module. Afterwards an honest hire still works.

    A module that asks for nothing of the store but that it stays as it was names another one in `LEDGER`.
    """
    ledger = getattr(request.module, "LEDGER", None)
    async with world_in(tmp_path_factory.mktemp("world"), ledger=ledger) as opened:
        yield opened
        await opened.honest()
        for peer in (opened.globex, opened.acme):
            report = await peer.ledger.check()
            assert report.ok, report.defects


@pytest.fixture(autouse=True)
def looked_at(logs_as_they_come: None) -> None:
    """What is logged is looked at here."""
