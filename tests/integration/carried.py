"""A whole hire between two companies, whatever carries it, and what both ledgers must say afterwards."""

from __future__ import annotations

import shutil
import socket
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec.structs import replace

from integration.hires import REPORT, assert_one_contract_or_none, summarise, two_homes, until
from undersigned.daemon import HireResult, Peer
from undersigned.did import make_document
from undersigned.encoding import canonicalize, format_instant
from undersigned.evidence import Report, verify_pack
from undersigned.ledger import Row, open_ledger
from undersigned.messages import recorded_message
from undersigned.protocol import Noted, Received, Sent, apply, begin
from undersigned.runtime import ArtifactStore, Clock, Home, export_pack


class Companies:
    """Acme, which hires, and Globex, which summarises for 4 EUR; both in this process, on real sockets and ledgers.

    Both peers are open while entered.
    """

    acme: Peer
    globex: Peer

    def __init__(self, acme: Home, globex: Home, clock: Clock | None = None) -> None:
        self.homes = acme, globex
        self._clock = clock
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Companies:
        acme, globex = self.homes
        self.globex = Peer.open(globex, clock=self._clock)
        self.globex.offers("summary", price="4.00 EUR", delivers="summary.txt")(summarise)
        self.acme = Peer.open(acme, clock=self._clock)
        for peer in (self.globex, self.acme):
            # Where time is hurried, what is fetched still takes as long as it does.
            peer.gatherer.limits = replace(peer.gatherer.limits, seconds=60.0)
        await self._open.enter_async_context(self.globex)
        await self._open.enter_async_context(self.acme)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    @property
    def urls(self) -> tuple[str, str]:
        """Acme's and Globex's own URLs, for a carrier to dial."""
        acme, globex = (f"ws://localhost:{port_of(home)}/hire" for home in self.homes)
        return acme, globex

    async def hire(self, at: str) -> HireResult:
        """Acme, which reaches Globex at `at`, offers 3 EUR and takes the 4 EUR of the counter-offer."""
        return await self.acme.hire(
            self.globex.identity.did,
            task="summary",
            inputs={"report": REPORT},
            price="5.00 EUR",
            opening="3.00 EUR",
            at=at,
        )

    async def over(self, seconds: float = 600.0) -> None:
        """Returns once nothing is unfinished on either side."""
        await until(lambda: not self.acme.conversations and not self.globex.conversations, seconds)


async def two_companies(folder: Path, clock: Clock | None = None) -> Companies:
    """Both companies. Acme's DID document names no listener, so that Globex cannot come back past a carrier."""
    acme, globex = await _made(folder)
    listed(acme, None)
    return Companies(acme, globex, clock)


_kept: dict[str, tuple[int, bytes]] = {}


async def _made(folder: Path) -> tuple[Home, Home]:
    """`two_homes`, made once and written again for the next test: sealing keys is slow on purpose."""
    if _kept:
        for name, (mode, content) in _kept.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file.write_bytes(content)
            file.chmod(mode)
        homes = Home(folder / "acme"), Home(folder / "globex")
        if all(_free(port_of(home)) for home in homes):
            return homes
        shutil.rmtree(folder / "acme")
        shutil.rmtree(folder / "globex")
        _kept.clear()
    homes = await two_homes(folder)
    for home in homes:
        for file in home.path.rglob("*"):
            if file.is_file():
                _kept[str(file.relative_to(folder))] = file.stat().st_mode & 0o777, file.read_bytes()
    return homes


def _free(port: int) -> bool:
    """Whether a listener may have this port."""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def listed(home: Home, url: str | None) -> None:
    """Publishes `url` as the only one where the peer of a home is reached. Not while it is open."""
    old = home.document()
    (method,) = old.methods("authentication")
    keys = {method.partition("#")[2]: old.key_for(method, "authentication", now=None)}
    services = () if url is None else (("HireService", url),)
    document = make_document(old.id, authentication=keys, assertion_method=keys, services=services)
    (home.path / "did.json").write_bytes(canonicalize(document))


def port_of(home: Home) -> int:
    """Where the peer of a home listens."""
    return home.configuration.listen.port


async def rows_of(home: Home) -> tuple[Row, ...]:
    """The journal of a home's only engagement. Its peer must have been closed."""
    ledger = await open_ledger(home.ledger_url, read_only=True)
    try:
        (summary,) = await ledger.summaries()
        return await ledger.rows(summary.engagement)
    finally:
        await ledger.close()


async def heads(home: Home) -> tuple[str, dict[str, tuple[str, ...]]]:
    """State, and for each role the digests of its moves, as one side's journal folds. Its peer must be closed."""
    ledger = await open_ledger(home.ledger_url, read_only=True)
    try:
        (summary,) = await ledger.summaries()
        rows = await ledger.rows(summary.engagement)
    finally:
        await ledger.close()
    role, other = ("hirer", "provider") if summary.role == "hirer" else ("provider", "hirer")
    engagement = begin(role, home.configuration.did, summary.peer, summary.engagement)
    for row in rows:
        if row.kind == "noted":
            engagement = apply(engagement, Noted(row.type, row.raw.decode(), row.at))
        else:
            entry = Sent if row.kind == "sent" else Received
            engagement = apply(engagement, entry(recorded_message(row.raw), row.at))
    assert engagement.state == summary.state
    return engagement.state, {engagement.role: engagement.sent, other: engagement.got}


async def judged(home: Home) -> Report:
    """What the offline verifier says of the evidence of a home's only engagement. Its peer must be closed."""
    ledger = await open_ledger(home.ledger_url, read_only=True)
    try:
        (summary,) = await ledger.summaries()
        pack = await export_pack(ledger, ArtifactStore(home.artifacts), home.configuration.did, summary.engagement)
    finally:
        await ledger.close()
    # What ran in a hurry was signed ahead of this machine's clock.
    return verify_pack(pack, now=format_instant(datetime.now(UTC) + timedelta(hours=2)))


async def assert_one_hire(acme: Home, globex: Home) -> str:
    """One contract, closed by both; the transcripts the same, move for move; and every proof in what each side stored
    verifies for somebody who has only its evidence pack. Returns the contract's digest."""
    (contract,) = await assert_one_contract_or_none(acme, globex)
    assert contract is not None, "there is no contract"
    ours, theirs = await heads(acme), await heads(globex)
    assert ours == theirs, "the transcript heads differ"
    assert ours[0] == "closed"
    assert all(ours[1].values())
    for home in (acme, globex):
        report = await judged(home)
        assert report.ok, [step for step in report.steps if not step.ok]
        assert report.contract == contract
    return contract
