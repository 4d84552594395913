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


class Provider:
    """A process that is killed after so many of its messages came, again and again, and started anew each time."""

    def __init__(self, home: Home, after: list[int]) -> None:
        self.home, self._after = home, after
        self.kills = 0
        self.process = self._begun()

    def _begun(self) -> Process:
        return Process([*UNDERSIGNED, "serve", "--home", str(self.home.path), "--json"], self.home.path.parent)

    async def ready(self) -> None:
        await asyncio.to_thread(self.process.until, '"ready"')

    async def killed_by(self, peer: Peer) -> None:
        """Goes on until it is cancelled; what it raises is why the provider is not there any more."""
        came, did = 0, self.home.document().id
        events = peer.watchers.listen()
        while True:
            event = await events.get()
            came += event.kind == "received" and event.message is not None and event.message.sender == did
            if self._after and came >= self._after[0]:
                self._after.pop(0)
                ended = await asyncio.to_thread(self.process.end, signal.SIGKILL)
                assert ended.code == -signal.SIGKILL, ended
                self.kills += 1
                self.process = self._begun()  # before it is waited for: whoever is cancelled there leaves it to `end`
                await self.ready()


@pytest.mark.parametrize("seed", [1, 2])
async def test_one_place_is_sold_once_by_three_processes_with_kills(tmp_path: Path, seed: int) -> None:
    """HIRE-NEG-21, HIRE-NEG-23: of twenty hires one is sealed; the others are told `capacity`, and until when."""
    chance = random.Random(seed)
    acme, globex = await homes(tmp_path)
    providers = [Provider(home, sorted(chance.randint(1, 18) for _ in range(KILLS // PROVIDERS))) for home in globex]
    try:
        await asyncio.gather(*(provider.ready() for provider in providers))
        async with Peer.open(acme) as peer:
            peer.reach_seconds = 120

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
                    globex[number % PROVIDERS].document().id,
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

            hires = asyncio.gather(*map(hire, range(HIRES)))
            killing = [asyncio.create_task(provider.killed_by(peer)) for provider in providers]
            try:
                async with asyncio.timeout(200):
                    await asyncio.wait((hires, *killing), return_when=asyncio.FIRST_COMPLETED)
                    for failed in filter(asyncio.Task.done, killing):
                        await failed  # why a provider did not come back, for which hires would wait in vain
                    outcomes = await hires
                    # It works by the hirer's view; a provider that was just killed hears of it once it is back.
                    while any(one.engagement.unreceipted for one in peer.conversations.contracts.values()):  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
            finally:
                for one in (hires, *killing):
                    one.cancel()
                await asyncio.gather(hires, *killing, return_exceptions=True)
        assert sum(provider.kills for provider in providers) >= PROVIDERS
    finally:
        for provider in providers:
            await asyncio.to_thread(provider.process.end, signal.SIGTERM)

    refused = [error for error in outcomes if error is not None]
    assert len(refused) == HIRES - 1, [str(error) for error in refused]
    assert all("the provider withdrew: capacity" in str(error) for error in refused)
    for error in refused:
        (need,) = error.detail["needed"]
        assert isinstance(need, Need)
        assert (need.code, need.capability) == ("capacity", "summary")
        assert need.after is not None

    ledgers = [await open_ledger(home.ledger_url, read_only=True) for home in (acme, *globex)]
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
