"""One provider at a gate, and what is left for the others."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from gate_world import ORIGIN, at_work
from undersigned.daemon import Ask
from undersigned.daemon.gate_desk import Signed
from undersigned.daemon.gate_remote import CONNECTIONS, SHARE
from undersigned.encoding import digest_bytes
from undersigned.errors import TransportError


async def test_a_provider_whose_did_document_does_not_come_holds_up_nobody_else(tmp_path: Path) -> None:
    """HIRE-GTS-17: it asks as often as it likes, and the peer waits for its document each time."""
    ahead = 0.0
    async with at_work(tmp_path) as world, world.desk() as desk:
        world.hirer.gatherer._clock = lambda: time.monotonic() + ahead
        assert await desk.keys(world.contract) is not None

        async def silent(_: Any) -> Any:
            await asyncio.Event().wait()

        world.provider._listener._answer = silent  # its own server is its own affair
        ahead = 3600.0
        asks = [
            Ask(
                contract=world.contract,
                signed=Signed(keyid=world.provider.identity.method, nonce=f"nonce-{number:020}"),
                action="customer:read",
                target=f"{ORIGIN}/customers/a",
            )
            for number in range(2 * CONNECTIONS)
        ]
        waiting = [asyncio.create_task(desk.admit(ask)) for ask in asks]
        waiting += [asyncio.create_task(desk.keys(world.contract)) for _ in range(SHARE)]
        await asyncio.sleep(0)
        other = asyncio.create_task(desk.keys(digest_bytes(b"another provider's contract")))
        done, _ = await asyncio.wait({other, *waiting}, return_when=asyncio.FIRST_COMPLETED)
        assert done == {other}
        assert await other is None
        for found in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(found, TransportError), "nothing is let in that could not be asked, nor waited for long"
        assert not desk._shares


async def test_who_leaves_gives_its_place_back(tmp_path: Path) -> None:
    async with at_work(tmp_path) as world, world.desk() as desk:
        for _ in range(2 * SHARE):
            asked = asyncio.create_task(desk.keys(world.contract))
            await asyncio.sleep(0)
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
        assert not desk._shares
        assert await desk.keys(world.contract) is not None
