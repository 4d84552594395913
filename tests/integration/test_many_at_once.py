"""Many hires at once between two peers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog
from msgspec.structs import replace

from integration.hires import assert_one_contract_or_none, summarise, two_homes
from undersigned.daemon import Peer
from undersigned.daemon.door import ListenerLimits

AT_ONCE = ListenerLimits().unproved_per_address * 3


async def test_more_hires_at_once_than_strangers_are_let_in_from_one_address(tmp_path: Path) -> None:
    """Each fetches an input, a result and what the other shows; the provider takes none of it for a flood."""
    acme_home, globex_home = await two_homes(tmp_path)
    inputs = [f"Report {number}: fine.\n".encode() for number in range(AT_ONCE)]
    with structlog.testing.capture_logs() as told:
        async with Peer.open(acme_home) as acme, Peer.open(globex_home) as globex:
            globex.offers("summary", price="4.00 EUR", delivers="summary.txt", capacity=AT_ONCE)(summarise)
            for peer in (acme, globex):
                peer.gatherer.limits = replace(peer.gatherer.limits, seconds=60.0)  # all of it in one process
            results = await asyncio.gather(
                *(
                    acme.hire(globex.identity.did, task="summary", inputs={"report": one}, price="5.00 EUR")
                    for one in inputs
                )
            )
        assert [result["summary.txt"] for result in results] == [one.rstrip() for one in inputs]
    assert not [entry for entry in told if entry.get("code") == "overloaded" or "overloaded" in str(entry.get("error"))]
    assert len(await assert_one_contract_or_none(acme_home, globex_home)) == AT_ONCE
