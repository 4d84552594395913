"""Identities of minutes, over running peers: they hire while they last, not beyond their ceiling, and not afterwards.

Acme's peer serves the list; each identity has a state folder and a peer of its own; Globex judges by what it is shown.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from integration.hires import REPORT, until
from security.wire_attacker import quiet_logs
from security.wire_world import World, world_in
from undersigned.contract import Price
from undersigned.credentials import Ceiling
from undersigned.daemon import HireResult, Peer
from undersigned.encoding import shift
from undersigned.errors import PolicyError, UndersignedError
from undersigned.messages import recorded_message
from undersigned.runtime import Conversation, Home, Job, Organisation, Swarm

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(90)]

CEILING = Ceiling(amount="4", currency="EUR", actions=("artifact:read",))


@asynccontextmanager
async def worker(world: World, home: Home) -> AsyncIterator[Peer]:
    async with Peer.open(home, clock=world.clock) as peer:
        yield peer


async def hire(world: World, peer: Peer, price: str = "4.00 EUR", **options: Any) -> HireResult:
    return await peer.hire(world.globex.identity.did, task="summary", inputs={"report": REPORT}, price=price, **options)


async def refused(world: World, home: Home, **options: Any) -> str:
    """The code that the hire of a worker ends with; Globex holds no contract with it."""
    async with worker(world, home) as peer:
        with pytest.raises(UndersignedError) as caught, quiet_logs():
            await hire(world, peer, **options)
    assert not await contracts(world, home)
    return caught.value.code


async def contracts(world: World, home: Home) -> set[str]:
    """Those that Globex holds with a worker."""
    return {
        one.contract
        for one in await world.globex.ledger.summaries()
        if one.peer == home.configuration.did and one.contract is not None
    }


async def said(world: World, home: Home) -> list[tuple[str, Any]]:
    """What Globex said to a worker."""
    found: list[tuple[str, Any]] = []
    for one in await world.globex.ledger.summaries():
        rows = await world.globex.ledger.rows(one.engagement) if one.peer == home.configuration.did else ()
        found += [(row.type, recorded_message(row.raw).message) for row in rows if row.kind == "sent"]
    return found


def lift(home: Home) -> Home:
    """The folder of an identity without the rules that it was given."""
    file = home.path / "undersigned.toml"
    file.write_text(re.sub(r"policy = .*", 'policy = { "require" = ["MembershipCredential"] }', file.read_text()))
    return Home(home.path)


def spawned(world: World, **options: Any) -> tuple[Organisation, Swarm]:
    acme = Organisation(world.acme.home, clock=world.clock)
    return acme, acme.spawn(options.pop("count", 1), **options)


async def test_it_hires_while_it_lasts_and_a_stolen_one_is_useless_afterwards(tmp_path: Path) -> None:
    """HIRE-SWM-02. The thief has the whole state folder: key, passphrase and membership."""
    async with world_in(tmp_path) as world:
        acme, swarm = spawned(world, ceiling=CEILING)
        with acme, swarm:
            home = swarm.write(swarm.identities[0], tmp_path / "worker")
            async with worker(world, home) as peer:
                assert (await hire(world, peer)).contract is not None
            shutil.copytree(home.path, tmp_path / "stolen")  # its log too, or that would give it away
        held = await contracts(world, home)
        assert len(held) == 1
        # Globex looked the list up a moment ago and may use it for minutes; before it signs, it asks again.
        async with worker(world, Home(tmp_path / "stolen")) as thief:
            with pytest.raises(PolicyError) as caught, quiet_logs():
                await hire(world, thief)
        assert caught.value.code == "revoked"
        assert await contracts(world, home) == held
        # And when Globex has not met it before, or asks anew, it does not even come to an offer.
        world.globex.statuses._kept.clear()
        before = len(await said(world, home))
        async with worker(world, Home(tmp_path / "stolen")) as thief:
            with pytest.raises(PolicyError) as caught, quiet_logs():
                await hire(world, thief)
        assert caught.value.code == "revoked"
        assert "Presentation" not in [kind for kind, _ in (await said(world, home))[before:]]


async def test_one_ends_before_the_others(tmp_path: Path) -> None:
    """HIRE-SWM-01, HIRE-SWM-02. One is withdrawn early. The others go on until their minutes are over, and no longer,
    also where the process that should have withdrawn them was killed.
    """
    async with world_in(tmp_path) as world:
        acme, swarm = spawned(world, minutes=1)
        with acme:
            swarm.add(2)
            first, second = (swarm.write(one, tmp_path / one.did[-8:]) for one in swarm.identities)
            acme.register.revoke(str(swarm.identities[0].membership["id"]), world.clock.now())
            assert await refused(world, first) == "revoked"
            async with worker(world, second) as peer:
                assert (await hire(world, peer)).contract is not None
        world.clock.held = shift(swarm.until, 1)
        held = await contracts(world, second)
        async with worker(world, second) as peer:
            with pytest.raises(PolicyError) as caught, quiet_logs():
                await hire(world, peer)
        assert caught.value.code == "policy_denied"
        assert await contracts(world, second) == held


async def test_a_contract_above_the_ceiling_is_refused_by_the_peer(tmp_path: Path) -> None:
    """HIRE-CRD-09. The identity lifted its own rules; Globex holds it to what its organisation said. The first test of
    this file is the control: the same hire, within the ceiling.
    """
    async with world_in(tmp_path) as world:
        acme = Organisation(world.acme.home, clock=world.clock)
        low, other = Ceiling(amount="3.99", currency="EUR"), Ceiling(actions=("repo:read",))
        with acme, acme.spawn(2, ceiling=low) as cheap, acme.spawn(1, ceiling=other) as narrow:
            honest = cheap.write(cheap.identities[0], tmp_path / "honest")
            assert await refused(world, honest) == "policy_denied", "its own folder says no already"
            lifted = [
                cheap.write(cheap.identities[1], tmp_path / "cheap"),
                narrow.write(narrow.identities[0], tmp_path / "narrow"),
            ]
            for home in lifted:
                assert await refused(world, lift(home)) == "policy_denied"
                kind, move = (await said(world, home))[-1]
                assert (kind, move.reason) == ("Withdraw", "policy_denied")


async def test_a_release_above_the_ceiling_is_refused_by_the_peer(tmp_path: Path) -> None:
    """HIRE-APR-08, HIRE-CRD-09: a contract within the ceiling is not ended for more. Within it, it is."""

    async def lingers(_: Job) -> None:
        await asyncio.Event().wait()

    async with world_in(tmp_path) as world:
        world.globex.offers("vigil", price="1 EUR")(lingers)
        acme, swarm = spawned(world, ceiling=CEILING)
        with acme, swarm:
            async with worker(world, lift(swarm.write(swarm.identities[0], tmp_path / "worker"))) as peer:
                hired = peer.hire(world.globex.identity.did, task="vigil", price="1 EUR")
                async for event in hired:
                    if event.state == "working":
                        break
                ours, theirs = (one.conversations[event.engagement] for one in (peer, world.globex))
                for amount in ("4.01", "4"):
                    await peer.changes.release(ours, Price(amount=amount, currency="EUR"), "That will do.")
                    offered = ours.engagement.tabled
                    assert offered is not None
                    await until(lambda name=offered.document: tabled(theirs) == name)
                    accepting = world.globex.changes.accept(theirs, offered.document)
                    if amount == "4":
                        await accepting
                    else:
                        with pytest.raises(PolicyError, match="at most 4, as"):
                            await accepting
                        await peer.changes.decline(ours)
                with pytest.raises(PolicyError, match="owed by it: 4 EUR"):
                    await hired


def tabled(conversation: Conversation) -> str | None:
    found = conversation.engagement.tabled
    return found.document if found is not None else None
