"""A provider that listens elsewhere in the middle of a contract, as its DID document says by then."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from integration.hires import REPORT, did_of, two_homes, until
from undersigned import Peer
from undersigned.runtime import HireResult, Job
from undersigned.testing import Wire

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


async def test_a_hirer_that_was_given_a_url_finds_whom_it_has_a_contract_with(tmp_path: Path) -> None:
    """It is reached by nobody itself. Whoever answers where the document says proves the same DID."""
    acme, globex = await two_homes(tmp_path)
    document = json.loads((acme.path / "did.json").read_text())
    del document["service"]
    (acme.path / "did.json").write_text(json.dumps(document))
    may = asyncio.Event()

    async def work(job: Job) -> None:
        await may.wait()
        await job.deliver("summary.txt", b"short", media_type="text/plain")

    port = globex.configuration.listen.port
    async with Peer.open(globex, handlers={"summary": work}) as provider, Peer.open(acme) as hirer:
        async with Wire(("127.0.0.1", port)) as wire:

            async def hiring() -> HireResult:
                at = f"ws://localhost:{wire.port}/hire"
                return await hirer.hire(did_of(port), task="summary", inputs={"report": REPORT}, price="5 EUR", at=at)

            hire = asyncio.create_task(hiring())
            await until(lambda: any(one.engagement.state == "working" for one in provider.conversations.values()))
        await until(lambda: not hirer.links.connected(did_of(port)))
        may.set()
        assert (await hire).contract is not None
