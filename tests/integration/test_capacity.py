"""One free place, many hires at once, several processes that offer it, some of which are killed in the middle of it."""

from __future__ import annotations

import asyncio
import random
import signal
from pathlib import Path

import pytest

from integration.commands import UNDERSIGNED, Process
from integration.hires import REPORT, did_of, free_ports
from undersigned.daemon import Hire, Peer
from undersigned.errors import PolicyError
from undersigned.ledger import open_books, open_ledger
from undersigned.messages import Need
from undersigned.runtime import Home, OfferPart, create_home, issue_membership

pytestmark = pytest.mark.timeout(300)
PROVIDERS, HIRES, KILLS = 3, 20, 6


async def homes(folder: Path) -> tuple[Home, list[Home]]:
    """Acme, and three agents of Globex that share one place."""
    acme_port, *ports = free_ports(1 + PROVIDERS)
    anchors = tuple(f"{did_of(port)}:org" for port in ports)
    acme = create_home(folder / "acme", name="Acme", local=True, port=acme_port, anchors=anchors, max_price="10 EUR")
    offer = OfferPart(
        task="summary", handler="integration.hires:linger", price="4.00 EUR", delivers="summary.txt", capacity=1
    )
    providers: list[Home] = []
    for number, port in enumerate(ports):
        path = folder / f"globex-{number}"
        create_home(
            path, name=f"Globex {number}", local=True, port=port, anchors=(f"{did_of(acme_port)}:org",), offers=(offer,)
        )
        settings = path / "undersigned.toml"
        settings.write_text(f'books = "../books.db"\n{settings.read_text()}')
        providers.append(Home(path))
    for home in (acme, *providers):
        await issue_membership(home)
    return acme, providers


def serve(home: Home) -> Process:
    process = Process([*UNDERSIGNED, "serve", "--home", str(home.path), "--json"], home.path.parent)
    process.until('"ready"')
    return process


class Killer:
    """Kills a provider after so many of its messages came, again and again, and starts it anew each time."""

    def __init__(self, peer: Peer, home: Home, process: Process, after: list[int]) -> None:
        self.home, self.process, self._did, self._after = home, process, home.document().id, after
        self._peer = peer
        self.kills = 0

    async def run(self) -> None:
        came = 0
        async for event in self._peer.watch():
            came += event.kind == "received" and event.message is not None and event.message.sender == self._did
            if self._after and came >= self._after[0]:
                self._after.pop(0)
                ended = await asyncio.to_thread(self.process.end, signal.SIGKILL)
                assert ended.code == -signal.SIGKILL
                self.kills += 1
                self.process = await asyncio.to_thread(serve, self.home)


@pytest.mark.parametrize("seed", [1, 2])
async def test_one_place_is_sold_once_by_three_processes_with_kills(tmp_path: Path, seed: int) -> None:
    """HIRE-NEG-21, HIRE-NEG-23: of twenty hires one is sealed; the others are told `capacity`, and until when."""
    chance = random.Random(seed)
    acme, providers = await homes(tmp_path)
    processes = await asyncio.gather(*(asyncio.to_thread(serve, home) for home in providers))
    killers: list[Killer] = []
    try:
        async with Peer.open(acme) as peer:
            peer.reach_seconds = 120
            for home, process in zip(providers, processes, strict=True):
                after = sorted(chance.randint(1, 18) for _ in range(KILLS // PROVIDERS))
                killers.append(Killer(peer, home, process, after))
            killing = [asyncio.create_task(killer.run()) for killer in killers]

            async def hire(number: int) -> PolicyError | None:
                """What it was refused with; None for the one that works."""
                error = await attempt(number)
                for _ in range(20):
                    if error is None or error.code != "status_unavailable":
                        break
                    await asyncio.sleep(1)  # the other side was away when its list was asked for
                    error = await attempt(number)
                return error

            async def attempt(number: int) -> PolicyError | None:
                # Some begin below the price: then it is the provider's offer that takes the place.
                opening = "3 EUR" if number % 2 else None
                hire: Hire = peer.hire(
                    providers[number % PROVIDERS].document().id,
                    task="summary",
                    inputs={"report": REPORT},
                    price="5 EUR",
                    opening=opening,
                )
                try:
                    async for event in hire:
                        if event.state == "working":
                            return None
                except PolicyError as error:
                    return error
                with pytest.raises(PolicyError) as caught:
                    await hire
                return caught.value

            outcomes = await asyncio.wait_for(asyncio.gather(*map(hire, range(HIRES))), 200)
            for task in killing:
                task.cancel()
            await asyncio.gather(*killing, return_exceptions=True)
        assert sum(killer.kills for killer in killers) >= PROVIDERS
    finally:
        for killer in killers:
            await asyncio.to_thread(killer.process.end, signal.SIGTERM)

    refused = [error for error in outcomes if error is not None]
    assert len(refused) == HIRES - 1, [str(error) for error in refused]
    assert all("the provider withdrew: capacity" in str(error) for error in refused)
    for error in refused:
        (need,) = error.detail["needed"]
        assert isinstance(need, Need)
        assert (need.code, need.capability) == ("capacity", "summary")
        assert need.after is not None

    ledgers = [await open_ledger(home.ledger_url, read_only=True) for home in (acme, *providers)]
    sealed = [[one.contract for one in await ledger.summaries() if one.contract is not None] for ledger in ledgers]
    assert len(sealed[0]) == 1, "the hirer holds one contract"
    assert [one for held in sealed[1:] for one in held] == sealed[0], "and one of the providers the same"
    for ledger in ledgers:
        report = await ledger.check()
        assert report.ok, report.defects
        await ledger.close()
    books = await open_books(f"sqlite://{tmp_path}/books.db")
    assert await books.usage("capacity:summary") == {"summary": "1"}
    assert len(await books.open_reservations("capacity:summary")) == 1
    await books.close()
