"""The company that is attacked, an honest one beside it, and everything the attacked one keeps, to be compared.

Globex does two tasks: `summary`, and `idle`, whose handler waits for ever. It believes the organisation of Acme, which
is honest, and the guild, which vouches for anybody, also for attackers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from integration.hires import REPORT, linger, summarise, two_homes
from undersigned.daemon import HireResult, Peer
from undersigned.encoding import Did, Instant
from undersigned.keys import KeyKind
from undersigned.ledger import Blob, Row, Summary
from undersigned.runtime import Home, OfferPart, SystemClock
from undersigned.testing import GUILD


class HeldClock:
    """The time of this machine, until it is held; or another time, a constant off."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self.held: Instant | None = None

    def now(self) -> Instant:
        return self.held or self._clock.now()


class Kept(NamedTuple):
    """Everything a peer holds of its engagements with one other, and the tree of all."""

    summaries: tuple[Summary, ...]
    rows: tuple[tuple[Row, ...], ...]
    outbox: tuple[tuple[Row, ...], ...]
    effects: tuple[frozenset[str], ...]
    evidence: tuple[tuple[Blob, ...], ...]
    folded: tuple[Any, ...]
    tree_size: int
    root: bytes

    @property
    def contracts(self) -> set[str]:
        return {summary.contract for summary in self.summaries if summary.contract is not None}


class World:
    """Globex and Acme, both open; and the clock that both read."""

    def __init__(
        self, folder: Path, clock: Any = None, *, ledger: str | None = None, kind: KeyKind = "Ed25519"
    ) -> None:
        self._ledger = ledger
        self._kind: KeyKind = kind
        self.clock = clock or HeldClock()
        self._folder = folder
        self._open = AsyncExitStack()
        self._homes: tuple[Home, Home] | None = None

    async def __aenter__(self) -> World:
        if self._homes is None:
            self._homes = await homes_in(self._folder, self._kind)
        acme, globex = self._homes
        handlers = {"summary": summarise, "idle": linger}
        self.globex = await self._open.enter_async_context(
            Peer.open(globex, clock=self.clock, handlers=handlers, ledger_url=self._ledger)
        )
        self.acme = await self._open.enter_async_context(Peer.open(acme, clock=self.clock))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def restart(self) -> None:
        """Closes both companies and opens them again."""
        await self._open.aclose()
        await self.__aenter__()

    @property
    def port(self) -> int:
        """Where Globex listens."""
        return self.globex.home.configuration.listen.port

    @property
    def url(self) -> str:
        return f"ws://localhost:{self.port}/hire"

    async def honest(self) -> HireResult:
        """Acme hires Globex; one contract comes of it, and both books are closed."""
        result = await self.acme.hire(
            self.globex.identity.did, task="summary", inputs={"report": REPORT}, price="5.00 EUR"
        )
        assert result.contract is not None
        return result

    async def kept(self, peer: Did) -> Kept:
        """What Globex holds of its engagements with `peer`, once what is under way is stored."""
        ledger = self.globex.ledger
        folded = []
        for conversation in tuple(self.globex.conversations.values()):
            if conversation.engagement.peer == peer:
                await conversation.settled()
                engagement = conversation.engagement
                folded.append((engagement.id, engagement.state, engagement.lane, engagement.sent, engagement.got))
        summaries = tuple(summary for summary in await ledger.summaries() if summary.peer == peer)
        ids = [summary.engagement for summary in summaries]
        return Kept(
            summaries,
            tuple([await ledger.rows(one) for one in ids]),
            tuple([await ledger.outbox(one) for one in ids]),
            tuple([await ledger.effects(one) for one in ids]),
            tuple([await ledger.evidence(one) for one in ids]),
            tuple(sorted(folded)),
            await ledger.tree_size(),
            await ledger.root(),
        )


async def homes_in(folder: Path, kind: KeyKind = "Ed25519") -> tuple[Home, Home]:
    """State folders as of `two_homes`; the provider has room for thousands, and believes the guild of strangers."""
    offers = [
        OfferPart(
            task=task,
            handler=f"security.wire_world:{task}",
            price="4.00 EUR",
            delivers="summary.txt",
            capacity=10_000,
        )
        for task in ("summary", "idle")
    ]
    return await two_homes(folder, kind=kind, offers=tuple(offers), believed=(GUILD.did,))


@asynccontextmanager
async def world_in(folder: Path, clock: Any = None, **options: Any) -> AsyncIterator[World]:
    """A world, open. `options` as of `World`."""
    async with World(folder, clock, **options) as world:
        yield world
