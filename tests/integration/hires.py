"""What the integration tests share: two companies on one machine, and what must be true after any of their hires."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import quote

from msgspec.structs import replace

from undersigned.encoding import Did, Instant, parse_instant, shift
from undersigned.keys import KeyKind
from undersigned.ledger import Ledger, Row, open_ledger
from undersigned.protocol import REPEAT_SECONDS
from undersigned.runtime import (
    Agent,
    Hire,
    Home,
    Job,
    OfferPart,
    Order,
    SystemClock,
    create_home,
    hire_order,
    issue_membership,
)
from undersigned.testing import free_ports

REPORT = b"Quarterly report: everything is fine, says the report that nobody has read.\n"


async def summarise(job: Job) -> None:
    """A task without any library: the first line of the input `report`."""
    text = await job.read("report")
    await job.deliver("summary.txt", text.split(b"\n", 1)[0], media_type="text/plain")


class Hands:
    """The time of this machine, put forward by hand."""

    ahead = 0

    def now(self) -> Instant:
        return shift(SystemClock().now(), self.ahead)


def clear_of_an_hours_end() -> Hands:
    """For what is counted per hour or day: the time of this machine, or as much later as an hour that is about to end
    has left.
    """
    clock = Hands()
    left = 3600 - int(parse_instant(clock.now()).timestamp()) % 3600
    clock.ahead = left if left < 300 else 0
    return clock


async def much_later(clock: Hands, *peers: Agent) -> None:
    """Time goes by for these peers, past every pause after which something is said again, and they say it."""
    for seconds in REPEAT_SECONDS:
        clock.ahead += seconds + 1
        for peer in peers:
            for conversation in tuple(peer.conversations.values()):
                await conversation.settled()
        for peer in peers:
            for conversation in tuple(peer.conversations.values()):
                await conversation.settled()  # what came of the other side's meanwhile


async def linger(job: Job) -> None:
    """Work that does not come to its end."""
    await asyncio.Event().wait()


class Patient:
    """A handler that delivers when it is let."""

    def __init__(self) -> None:
        self.may = asyncio.Event()

    async def __call__(self, job: Job) -> None:
        await self.may.wait()
        await job.deliver("summary.txt", b"short", media_type="text/plain")


def did_of(port: int) -> str:
    """The DID of a local agent."""
    return "did:web:" + quote(f"localhost:{port}", safe="")


async def two_homes(
    folder: Path,
    *,
    handler: str = "integration.hires:summarise",
    kind: KeyKind = "Ed25519",
    offers: tuple[OfferPart, ...] = (),
    believed: tuple[str, ...] = (),
) -> tuple[Home, Home]:
    """State folders of a hirer (acme) and a provider (globex) that trust each other's organisation; the provider
    offers a summary by `handler`, unless `offers` says what, and believes those of `believed` too.
    """
    acme_port, globex_port = free_ports(2)
    acme = create_home(
        folder / "acme",
        name="Acme",
        local=True,
        port=acme_port,
        kind=kind,
        anchors=(f"{did_of(globex_port)}:org",),
        max_price="10 EUR",
    )
    globex = create_home(
        folder / "globex",
        name="Globex",
        local=True,
        port=globex_port,
        kind=kind,
        anchors=(f"{did_of(acme_port)}:org", *believed),
        offers=offers or (OfferPart(task="summary", handler=handler, price="4.00 EUR", delivers="summary.txt"),),
    )
    await issue_membership(acme)
    await issue_membership(globex)
    return acme, globex


def soon_reviewed(hirer: Agent, provider: Did, time: str = "PT8S", **options: Any) -> Hire:
    """A hire whose review may take this long and no longer: what cannot be fetched until shortly before that is
    rejected.
    """

    async def order() -> Order:
        made = await hire_order(hirer, provider, **options)
        return replace(made, timing=replace(made.timing, review=time))

    return Hire(hirer, order, options.get("review"))


async def moves(ledger: Ledger) -> dict[str, list[tuple[str, int, str, str]]]:
    """The moves in a ledger, per engagement: sender, sequence, digest, type; in order of sender and sequence."""
    found: dict[str, list[tuple[str, int, str, str]]] = {}
    for summary in await ledger.summaries():
        rows: tuple[Row, ...] = await ledger.rows(summary.engagement)
        found[summary.engagement] = sorted(
            (row.sender, row.sequence, row.digest, row.type) for row in rows if row.sequence is not None
        )
    return found


async def assert_one_contract_or_none(acme: Home, globex: Home) -> set[str | None]:
    """I1, I2, I4, I8: both ledgers tell one story, and it holds one contract or none per engagement.

    Returns the contracts. Both peers must have been closed.
    """
    ledgers = [await open_ledger(home.ledger_url, read_only=True) for home in (acme, globex)]
    try:
        stories = [await moves(ledger) for ledger in ledgers]
        assert stories[0] == stories[1], "the two transcripts differ"
        for engagement, story in stories[0].items():
            places = [(sender, sequence) for sender, sequence, _, _ in story]
            assert len(set(places)) == len(places), f"two moves in one place of {engagement}"
            assert sum(1 for *_, kind in story if kind == "Seal") <= 1, f"two seals in {engagement}"
        contracts: list[dict[str, str | None]] = []
        for ledger in ledgers:
            report = await ledger.check()
            assert report.ok, report.defects
            contracts.append({s.engagement: s.contract for s in await ledger.summaries()})
        assert contracts[0] == contracts[1], "the two sides hold different contracts"
        return set(contracts[0].values())
    finally:
        for ledger in ledgers:
            await ledger.close()


async def until(condition, seconds: float = 20.0) -> None:
    """Returns once `condition()` holds; fails after `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for knows nothing of events
            await asyncio.sleep(0.02)
