"""A provider that listens elsewhere in the middle of a contract, as its DID document says by then.

The hirer is reached by nobody here: it has to find its provider. Whoever answers there proves the same DID.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from integration.hires import REPORT, Patient, did_of, two_homes, until
from undersigned import Peer
from undersigned.runtime import HireResult, Home, create_home
from undersigned.runtime.agent import whereabouts
from undersigned.testing import Wire, free_ports

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


def listed(home: Home, *urls: str) -> None:
    """Has the DID document say that the agent listens there."""
    document = json.loads((home.path / "did.json").read_text())
    kept = [one for one in document.get("service", ()) if one["type"] != "HireService"]
    added = [{"id": f"#hire-{at}", "type": "HireService", "serviceEndpoint": url} for at, url in enumerate(urls)]
    (home.path / "did.json").write_text(json.dumps({**document, "service": [*kept, *added]}))


async def homes_in(folder: Path) -> tuple[Home, Home]:
    """Acme, which says nowhere that it listens, and Globex."""
    acme, globex = await two_homes(folder)
    listed(acme)
    return acme, globex


async def test_a_hirer_that_was_given_a_url_finds_whom_it_has_a_contract_with(tmp_path: Path) -> None:
    acme, globex = await homes_in(tmp_path)
    work, port = Patient(), globex.configuration.listen.port
    async with Peer.open(globex, handlers={"summary": work}) as provider, Peer.open(acme) as hirer:
        async with Wire(("127.0.0.1", port)) as wire:
            hire = asyncio.create_task(hired(hirer, port, at=f"ws://localhost:{wire.port}/hire"))
            await until(lambda: any(one.engagement.state == "working" for one in provider.conversations.values()))
        await until(lambda: not hirer.links.connected(did_of(port)))
        work.may.set()
        assert (await hire).contract is not None


async def hired(hirer: Peer, port: int, at: str | None = None) -> HireResult:
    return await hirer.hire(did_of(port), task="summary", inputs={"report": REPORT}, price="5 EUR", at=at)


async def working(hirer: Peer, globex: Home, work: Patient, wire: Wire) -> asyncio.Task[HireResult]:
    """A hire under whose contract Globex worked, as long as it was there, where the wire is."""
    listed(globex, f"ws://localhost:{wire.port}/hire")
    async with Peer.open(Home(globex.path), handlers={"summary": work}) as provider:
        hire = asyncio.create_task(hired(hirer, globex.configuration.listen.port))
        await until(lambda: any(one.engagement.state == "working" for one in provider.conversations.values()))
    return hire


async def test_a_document_that_is_remembered_keeps_nobody_from_where_its_owner_listens_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour is for what proofs are checked by; a contract may be over before."""
    monkeypatch.setattr(whereabouts, "PROVING_SECONDS", 0)  # the test does not wait for ten
    acme, globex = await homes_in(tmp_path)
    work, port = Patient(), globex.configuration.listen.port
    async with Peer.open(acme) as hirer:
        async with Wire(("127.0.0.1", port)) as wire:
            hire = await working(hirer, globex, work, wire)
        listed(globex, f"ws://localhost:{port}/hire")
        work.may.set()
        async with Peer.open(Home(globex.path), handlers={"summary": work}):
            assert (await hire).contract is not None


@pytest.mark.parametrize(
    ("url", "code"),
    [("ws://localhost:{}/hire", "proof_invalid"), ("wss://169.254.169.254/hire", "did_forbidden_address")],
    ids=["somebody else", "at home"],
)
async def test_a_document_that_leads_elsewhere_during_a_contract_moves_nothing(
    url: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SC-05, HIRE-CNX-06: nothing of the contract is said there, and it goes on once its owner is found again."""
    monkeypatch.setattr(whereabouts, "PROVING_SECONDS", 0)
    acme, globex = await homes_in(tmp_path)
    (other_port,) = free_ports(1)
    initech = create_home(tmp_path / "initech", name="Initech", local=True, port=other_port)
    work, port = Patient(), globex.configuration.listen.port
    async with Peer.open(initech) as stranger, Peer.open(acme) as hirer:
        async with Wire(("127.0.0.1", port)) as wire:
            hire = await working(hirer, globex, work, wire)
        listed(globex, url.format(other_port))
        async with Peer.open(Home(globex.path), handlers={"summary": work}):
            await until(lambda: code in str(hirer.links.last_error.get(did_of(port))))
            assert not hire.done()
            assert not stranger.conversations
            assert not await stranger.ledger.summaries()
        listed(globex, f"ws://localhost:{port}/hire")
        work.may.set()
        async with Peer.open(Home(globex.path), handlers={"summary": work}):
            assert (await hire).contract is not None
