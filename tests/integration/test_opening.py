"""What a peer offers is offered to the first who comes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from integration.hires import REPORT, summarise, two_homes
from undersigned import Peer

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


async def test_whoever_comes_while_a_peer_is_opened_finds_what_it_offers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The listener is there before the application has said what it offers: a connection waits for that."""
    provides, hires = await two_homes(tmp_path)
    async with Peer.open(hires) as hirer:
        provider = Peer.open(provides)
        orders: list[asyncio.Future[Any]] = []

        async def is_late() -> None:
            order = hirer.hire(provider.own.id, task="summary", inputs={"report": REPORT}, price="5 EUR")
            orders.append(asyncio.ensure_future(order))
            await asyncio.sleep(1)

        monkeypatch.setattr(provider, "_start_gates", is_late)
        async with provider:
            provider.offers("summary", price="4.00 EUR", delivers="summary.txt")(summarise)
            result = await orders[0]
            assert result["summary.txt"] == REPORT.split(b"\n", 1)[0]
