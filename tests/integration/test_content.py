"""Hires whose inputs and results are too large to be held, on real sockets and disks."""

from __future__ import annotations

import asyncio
import errno
import gzip
import os
import resource
import sys
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from integration.chains import homes_of, peers_of
from integration.hires import REPORT, did_of, soon_reviewed, summarise, two_homes, until
from integration.test_readme import text_of
from support import ROOT
from undersigned.daemon import HireResult, Peer
from undersigned.encoding import Digest, EngagementId, digest_bytes
from undersigned.errors import FormatError, LedgerUnavailable, PolicyError, ScopeError, UndersignedError
from undersigned.evidence import verify_pack
from undersigned.ledger import Commit
from undersigned.messages import Artifact
from undersigned.runtime import SMALL_BYTES, ArtifactStore, Home, Job, Reviewed, export_pack
from undersigned.runtime.artifacts.incoming import Incoming
from undersigned.runtime.artifacts.transfers import transfer
from undersigned.runtime.evidence import delivered
from undersigned.scope import Grant, Limit, Scope

BLOCK = bytes(range(256)) * 4096
SIZE = 12 * len(BLOCK)
"""12 MiB: six times what is held of one in memory."""
LIMIT = SMALL_BYTES + 1
"""More than is held in memory; what is limited below it takes the other way (`SHORT`)."""
SHORT = 1000


def write(path: Path, size: int = SIZE, first: bytes = b"") -> Path:
    with path.open("wb") as file:
        file.write(first)
        left = size - len(first)
        while left:
            left -= file.write(BLOCK[:left])
    return path


async def turned(job: Job) -> None:
    """Delivers as many bytes as it was given, and others: its file begins with another byte."""
    async with job.file("report") as path:
        size = (await asyncio.to_thread(os.stat, path)).st_size
        made = path.with_name("made")
        await asyncio.to_thread(write, made, size, b"!")
    assert not path.exists(), "it is the hirer's, and nothing of it stays"
    await job.deliver("summary.txt", made)
    await asyncio.to_thread(made.unlink)


async def looked_at(reviewed: Reviewed) -> dict[str, bool]:
    """Reads result and input in pieces, and holds neither."""
    first: list[bytes] = []
    for contents, name in ((reviewed.artifacts, "summary.txt"), (reviewed.inputs, "report")):
        pieces = [piece[:1] async for piece in contents.pieces(name)]
        first.append(pieces[0])
    return {"turned": first == [b"!", b"\0"]}


@asynccontextmanager
async def peers(folder: Path, work: Any = turned, **limits: int) -> AsyncIterator[tuple[Peer, Peer]]:
    """Acme hires Globex; `limits` are the most bytes that one of them takes of one thing."""
    homes = await two_homes(folder)
    for home in homes:
        if (most := limits.get(home.path.name)) is not None:
            file = home.path / "undersigned.toml"
            file.write_text(f"{file.read_text()}\n[artifacts]\nmax_bytes = {most}\n")
    acme, globex = (Home(home.path) for home in homes)
    async with Peer.open(acme) as hirer, Peer.open(globex, handlers={"summary": work}) as provider:
        yield hirer, provider


async def hired(hirer: Peer, provider: Peer, given: Path | bytes, **options: Any) -> HireResult:
    async with asyncio.timeout(60):
        return await hirer.hire(
            did_of(provider.home.configuration.listen.port),
            task="summary",
            inputs={"report": given},
            price="5 EUR",
            deliverable="summary.txt",
            **options,
        )


def unfinished(*peers: Peer) -> list[str]:
    return [path.name for peer in peers for path in peer.home.path.rglob("*.part")]


async def test_nothing_large_is_held_by_either_side(tmp_path: Path) -> None:
    """Given by path, fetched, worked on, delivered by path, fetched, reviewed and written out. What Python allocates
    for both sides together, at most, is what four small artifacts may take.
    """
    given = write(tmp_path / "given")
    async with peers(tmp_path) as (acme, globex):
        tracemalloc.start()
        try:
            result = await hired(acme, globex, given, review=looked_at, criteria={"turned": "it begins otherwise"})
            await result.artifacts.save("summary.txt", tmp_path / "out")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert result.criteria == {"turned": True}
        assert result.artifacts.size("summary.txt") == (tmp_path / "out").stat().st_size == SIZE
        assert peak < SIZE, "neither input nor result was ever there as a whole"
        assert unfinished(acme, globex) == []
        assert len(os.listdir(globex.home.artifacts)) == 1, "what it made, and not what it was given"


async def test_a_pack_names_what_is_too_large_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It proves the hire without the bytes, which anybody can hold against the digest in it."""
    monkeypatch.setattr("undersigned.runtime.evidence.delivered.MAX_WHOLE_BYTES", SIZE - 1)
    async with peers(tmp_path) as (acme, globex):
        result = await hired(acme, globex, write(tmp_path / "given"))
        await until(lambda: not acme.conversations)
        pack = await export_pack(acme.ledger, acme.artifacts, acme.identity.did, result.engagement)
        report = verify_pack(pack, now=acme.clock.now(), known=(acme.own, globex.own))
        assert report.ok, report.steps
        assert len(pack) < SMALL_BYTES
        assert result.artifacts.digest("summary.txt").encode() in pack


async def test_hire_lim_05_a_pack_has_room_for_what_was_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-LIM-05: many artifacts of which none is too large must not make the pack one that nobody can write."""
    monkeypatch.setattr(delivered, "MAX_DELIVERED_BYTES", 2500)
    store, told = ArtifactStore(tmp_path), list[delivered.Absent]()
    reading = delivered.Delivered(store, told.append)
    items = [
        Artifact(name=name, digest=await store.put(name.encode() * 1000), media_type="text/plain") for name in "abc"
    ]
    read = [await reading.read("urn:hire:engagement:e", item, True) for item in (*items, items[0])]
    assert [data is not None for data in read] == [True, True, False, True]
    assert [(one.name, one.why) for one in told] == [("c", "large")]


async def test_both_sides_are_told_how_far_it_is(tmp_path: Path) -> None:
    """Input and result, going and coming: each tenth of it, up to the end."""
    given = write(tmp_path / "given")
    async with peers(tmp_path) as (acme, globex):
        heard = {peer.home.path.name: peer.watchers.listen() for peer in (acme, globex)}
        result = await hired(acme, globex, given)
        digests = {"report": digest_bytes(given.read_bytes()), "summary.txt": result.artifacts.digest("summary.txt")}
        for side, queue in heard.items():
            events = [event for event in (queue.get_nowait() for _ in range(queue.qsize())) if event.transfer]
            for name, kind, outward in (
                ("report", "input", side == "acme"),
                ("summary.txt", "artifact", side != "acme"),
            ):
                told = [event.transfer for event in events if event.type == kind]
                assert {(one.name, one.digest, one.outward, one.total) for one in told if one is not None} == {
                    (name, digests[name], outward, SIZE)
                }
                done = [one.bytes for one in told if one is not None]
                assert done == sorted(set(done))
                assert (done[-1], 8 <= len(done) <= 12) == (SIZE, True), done


async def test_a_transfer_that_is_cut_goes_on(tmp_path: Path) -> None:
    """On either side the connection ends in the middle, twice; what had come is not asked for again. The provider was
    told that the books differ: its gate had booked the three requests as one.
    """
    given = write(tmp_path / "given")
    async with peers(tmp_path) as (acme, globex):
        asked: dict[str, list[int]] = {}

        def cutting(peer: Peer) -> None:
            real, starts = peer.artifacts.pieces, asked.setdefault(peer.home.path.name, [])

            async def pieces(digest: Digest, start: int = 0) -> AsyncGenerator[bytes]:
                starts.append(start)
                sent = 0
                async for piece in real(digest, start):
                    if len(starts) < 3 and sent > SIZE // 3:
                        raise OSError("the cable was pulled")
                    sent += len(piece)
                    yield piece

            peer.artifacts.pieces = pieces  # type: ignore[method-assign]

        cutting(acme)
        cutting(globex)
        result = await hired(acme, globex, given)
        assert result.artifacts.size("summary.txt") == SIZE
        for starts in asked.values():
            assert starts == sorted(set(starts))
            assert len(starts) == 3
        assert unfinished(acme, globex) == []
        assert not result.books


async def test_a_large_file_that_was_changed_is_not_delivered(tmp_path: Path) -> None:
    """HIRE-ART-03: who serves it sees it while it is read, so it never comes to its end; the hirer waits, and keeps
    nothing.
    """

    async def work(job: Job) -> None:
        await turned(job)
        (made,) = job._agent.home.artifacts.iterdir()
        await asyncio.to_thread(write, made, SIZE, b"?")

    given = write(tmp_path / "given")
    async with peers(tmp_path, work) as (acme, globex):
        asked, real = [], globex.artifacts.pieces
        globex.artifacts.pieces = lambda *of: asked.append(of) or real(*of)  # type: ignore[func-returns-value, method-assign]
        hiring = asyncio.create_task(hired(acme, globex, given))
        await until(lambda: len(asked) > 1)
        assert [path.name for path in acme.home.artifacts.glob("uEi*")] == [digest_bytes(given.read_bytes())]
        hiring.cancel()


async def test_a_store_that_is_away_for_a_moment_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hirer's, when its input is asked for and when it looks at the result: that could not be looked up is no
    answer, the other side hears of it no more than that it may ask again, and nobody is blamed.
    """
    heard: list[str] = []
    async with peers(tmp_path, read_and_count) as (acme, globex):
        size, asked = acme.artifacts.size, list[Digest]()

        async def sometimes(digest: Digest) -> int | None:
            asked.append(digest)
            if asked.count(digest) == 1:
                raise LedgerUnavailable("store_unavailable", "away")
            return await size(digest)

        async def hearing(*of: Any) -> None:
            try:
                await transfer(*of)
            except UndersignedError as error:
                heard.append(str(error.detail.get("told")))
                raise

        acme.artifacts.size = sometimes  # type: ignore[method-assign]
        monkeypatch.setattr("undersigned.runtime.execution.reading.transfer", hearing)
        result = await hired(acme, globex, write(tmp_path / "given", SHORT))
        assert (result["summary.txt"], heard) == (b"1000", ["overloaded"])
        assert asked.count(digest_bytes(b"1000")) > 1


# --- what is wrong with the own store is nobody's fault else ----------------------------------------------------------


@pytest.mark.parametrize("change", [lambda raw: raw[:-1], lambda raw: b"?" + raw[1:], lambda raw: raw + b"!"])
@pytest.mark.parametrize("size", [SHORT, SIZE], ids=["small", "large"])
async def test_what_is_damaged_in_the_own_store_is_fetched_again(size: int, change: Any, tmp_path: Path) -> None:
    """HIRE-ATT-11: what is there counts as there once it is known to be right; and then it is right again."""

    async def work(job: Job) -> None:
        made = await asyncio.to_thread(write, job._agent.home.path / "made", size, b"!")
        await job.deliver("summary.txt", made)

    homes = await two_homes(tmp_path)
    for turn in (1, 2):
        acme, globex = (Home(home.path) for home in homes)
        async with Peer.open(acme) as hirer, Peer.open(globex, handlers={"summary": work}) as provider:
            result = await hired(hirer, provider, b"x", max_bytes=size)
        file = acme.artifacts / result.artifacts.digest("summary.txt")
        raw = await asyncio.to_thread(file.read_bytes)
        assert (digest_bytes(raw), len(raw)) == (file.name, size), turn
        await asyncio.to_thread(file.write_bytes, change(raw))
    assert unfinished(hirer, provider) == []


async def test_an_input_that_is_damaged_here_is_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hirer's own copy, which it judges the work by: it waits until that is right again, and signs nothing."""
    monkeypatch.setattr("undersigned.runtime.execution.review.RETRY_SECONDS", 0.05)
    given = write(tmp_path / "given")
    met: list[str] = []

    async def work(job: Job) -> None:
        await turned(job)
        await asyncio.to_thread(write, acme.home.artifacts / digest_bytes(given.read_bytes()), SIZE, b"?")

    async def look(reviewed: Reviewed) -> dict[str, bool]:
        copy = acme.home.artifacts / reviewed.inputs.digest("report")
        try:
            return await looked_at(reviewed)
        except UndersignedError as error:
            met.append(error.code)
            if len(met) == 2:
                await asyncio.to_thread(write, copy)
            raise

    async with peers(tmp_path, work) as (acme, globex):
        result = await hired(acme, globex, given, review=look, criteria={"turned": "it begins otherwise"})
        assert result.criteria == {"turned": True}
    assert met == ["digest_mismatch", "digest_mismatch"]


async def test_a_folder_that_is_away_for_a_moment_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("undersigned.runtime.execution.review.RETRY_SECONDS", 0.05)

    async def work(job: Job) -> None:
        await read_and_count(job)
        folder = acme.home.artifacts
        folder.rename(folder.with_name("aside"))
        folder.write_bytes(b"something else is here")

    async with peers(tmp_path, work) as (acme, globex):
        came, asked = acme.artifacts.came, list[Digest]()

        async def counted(digest: Digest, under: EngagementId) -> bool:
            asked.append(digest)
            if len(asked) == 3:
                acme.home.artifacts.unlink()
                acme.home.artifacts.with_name("aside").rename(acme.home.artifacts)
            return await came(digest, under)

        acme.artifacts.came = counted  # type: ignore[method-assign]
        result = await hired(acme, globex, bytes(SHORT))
        assert (result["summary.txt"], len(asked)) == (b"1000", 3)


async def test_a_folder_that_is_full_for_a_moment_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What had come until then is kept, and not asked for again."""
    monkeypatch.setattr("undersigned.runtime.execution.review.RETRY_SECONDS", 0.05)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    given = write(tmp_path / "given")
    async with peers(tmp_path) as (acme, globex):
        met: list[tuple[str, int]] = []

        async def full(*of: Any) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft if len(met) == 2 else SIZE // 2 + 1, hard))
            try:
                await transfer(*of)
            except UndersignedError as error:
                met.append((error.code, of[3].size))
                raise

        monkeypatch.setattr("undersigned.runtime.artifacts.transfers.transfer", full)
        try:
            result = await hired(acme, globex, given)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        await result.artifacts.save("summary.txt", tmp_path / "out")
        assert (tmp_path / "out").stat().st_size == SIZE
        assert [code for code, _ in met] == ["store_full", "store_full"]
        assert SIZE // 2 <= met[0][1] <= met[1][1] <= SIZE // 2 + 3 * SMALL_BYTES
        assert unfinished(acme, globex) == []


class NoRoom:
    """Stands before a method of a ledger, and gives the store's error the first time that it is called; `after` says
    whether the ledger did it all the same, as after a sync that failed.
    """

    def __init__(self, real: Any, wanted: Any = lambda *_: True, *, after: bool = False) -> None:
        self.real, self.wanted, self.after = real, wanted, after
        self.calls = 0

    async def __call__(self, *of: Any) -> Any:
        if not self.wanted(*of):
            return await self.real(*of)
        self.calls += 1
        if self.calls > 1:
            return await self.real(*of)
        if self.after:
            await self.real(*of)
        raise LedgerUnavailable("store_unavailable", "away")


def says(kind: str, commit: Commit) -> bool:
    return any(row.type == kind for row in commit.rows)


async def test_work_waits_for_a_store_of_its_own(tmp_path: Path) -> None:
    """A provider's, where it books what it reads, keeps a cursor, books an action, asks for a yes, and keeps what it
    made: whatever cannot be stored for a moment is stored after it, nothing is done again, and nothing stays booked
    that was not done.
    """
    runs: list[str | None] = []
    pay = Grant("pay", "bank:pay", "urn:bank:1", approval=True)
    look = Grant("look", "bank:look", "urn:bank:1", limits=(Limit("count", 1),))

    async def paid(job: Job) -> None:
        async with job.act("bank:pay", "urn:bank:1"):
            pass

    async def works(job: Job) -> None:
        runs.append(job.cursor)
        agent = job._agent
        ledger, folder = agent.ledger, agent.artifacts.folder
        ledger.settle = settles = NoRoom(ledger.settle)  # type: ignore[method-assign]
        report = await job.read("report")
        ledger.reserve = reserves = NoRoom(ledger.reserve, after=True)  # type: ignore[method-assign]
        async with job.act("bank:look", "urn:bank:1"):
            pass
        assert (settles.calls, reserves.calls) == (1, 2)
        real = ledger.commit
        for kind, doing in (("Progress", job.progress(cursor="half")), ("ApprovalRequest", paid(job))):
            ledger.commit = commits = NoRoom(real, partial(says, kind))  # type: ignore[method-assign]
            await doing
            assert commits.calls > 1, kind
        folder.rename(away := folder.with_name("away"))
        folder.touch()
        job.loop.call_later(0.2, lambda: (folder.unlink(), away.rename(folder)))
        await job.deliver("summary.txt", str(len(report)).encode())

    async def yes(_: Any) -> bool:
        return True

    async with peers(tmp_path, works) as (acme, globex):
        sized = Grant("sized", "artifact:read", f"{acme.base_url}/artifacts/*", limits=(Limit("bytes", SHORT),))
        result = await hired(acme, globex, bytes(SHORT), scope=Scope(grants=(pay, look, sized)), approve=yes)
        assert (result["summary.txt"], runs) == (b"1000", [None])
        assert await globex.ledger.open_reservations(result.contract) == ()
        assert (await globex.ledger.usage(result.contract))["look/count"] == "1"


async def test_what_a_handler_left_waiting_for_the_store_delivers_nothing(tmp_path: Path) -> None:
    """It ends with the work, though the store never comes back."""
    left: list[asyncio.Task[Digest]] = []

    async def works(job: Job) -> None:
        await job.deliver("summary.txt", b"first")
        folder = job._agent.artifacts.folder
        folder.rename(folder.with_name("away"))
        folder.touch()
        left.append(asyncio.create_task(job.deliver("summary.txt", b"second")))
        await asyncio.sleep(0.1)

    async with peers(tmp_path, works) as (acme, globex):
        hire = asyncio.create_task(hired(acme, globex, bytes(SHORT)))
        await until(lambda: bool(left) and left[0].done())
        with pytest.raises(ScopeError, match="the work of this job has ended"):
            left[0].result()
        folder = globex.artifacts.folder
        folder.unlink()
        folder.with_name("away").rename(folder)
        assert (await hire)["summary.txt"] == b"first"


# --- limits ---------------------------------------------------------------------------------------------------------


async def read_and_count(job: Job) -> None:
    """Takes what it was given as a file, and delivers how many bytes it has."""
    async with job.file("report") as path:
        size = (await asyncio.to_thread(os.stat, path)).st_size
    await job.deliver("summary.txt", str(size).encode())


async def test_a_folder_that_takes_nothing_for_a_moment_spends_no_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each attempt spent one of the four reads, which only the hirer's gate booked: the work failed by
    `scope_exceeded`, and both were told that their books differ.
    """
    monkeypatch.setattr("undersigned.runtime.execution.reading.RETRY_SECONDS", 0.02)
    used: list[Any] = []

    async def work(job: Job) -> None:
        folder = globex.home.artifacts
        folder.rename(folder.with_name("aside"))
        folder.write_bytes(b"something else is here")
        reading = asyncio.create_task(read_and_count(job))
        await until(lambda: len(met) >= 6, 10)
        folder.unlink()
        folder.with_name("aside").rename(folder)
        await reading
        used.extend([await agent.gate.usage(job.contract) for agent in (globex, acme)])

    async with peers(tmp_path, work) as (acme, globex):
        met: list[str] = []
        real = Incoming._append

        def met_by(incoming: Incoming, data: bytearray) -> None:
            try:
                real(incoming, data)
            except OSError as error:
                met.append(type(error).__name__)
                raise

        monkeypatch.setattr(Incoming, "_append", met_by)
        result = await hired(acme, globex, bytes(SHORT))
    assert result["summary.txt"] == b"1000"
    assert [[(one.unit, one.amount) for one in side] for side in used] == [[("count", "1")]] * 2
    assert not result.books


@pytest.mark.parametrize(("size", "failing", "reads"), [(SHORT, (1, 2), "1"), (SIZE, (1, 5, 6, 7), "2")])
async def test_a_folder_without_room_for_a_moment_spends_no_more_than_was_answered(
    size: int, failing: tuple[int, ...], reads: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is asked for, in the middle, and with the last piece: what came is asked for no second time."""
    monkeypatch.setattr("undersigned.runtime.execution.reading.RETRY_SECONDS", 0.02)
    used: list[Any] = []

    async def work(job: Job) -> None:
        await read_and_count(job)
        used.extend([await agent.gate.usage(job.contract) for agent in (globex, acme)])

    async with peers(tmp_path, work) as (acme, globex):
        tried, last = 0, 0
        real = Incoming._append

        def full(incoming: Incoming, data: bytearray) -> None:
            nonlocal tried, last
            if incoming._store is globex.artifacts:
                tried += 1
                last += incoming.size == size
                if tried in failing or (incoming.size == size and last < 3):
                    raise OSError(errno.ENOSPC, "No space left on device")
            real(incoming, data)

        monkeypatch.setattr(Incoming, "_append", full)
        result = await hired(acme, globex, write(tmp_path / "given", size))
        assert unfinished(acme, globex) == []
    assert result["summary.txt"] == str(size).encode()
    assert last == 3
    assert [[(one.unit, one.amount) for one in side] for side in used] == [[("count", reads)]] * 2
    assert not result.books


@pytest.mark.parametrize("most", [SHORT, LIMIT])
async def test_sc_69_a_provider_takes_as_much_as_its_settings_say(most: int, tmp_path: Path) -> None:
    """SC-69: as many bytes as that, and not one more; then nothing of it is left, and the work failed."""
    seen: list[str] = []

    async def work(job: Job) -> None:
        try:
            await read_and_count(job)
        except FormatError as error:
            seen.extend((error.code, error.message.rpartition("; ")[2]))
            assert not [path for path in job._agent.home.artifacts.rglob("*") if path.stat().st_size > 10]
            raise

    async with peers(tmp_path, work, globex=most) as (acme, globex):
        result = await hired(acme, globex, write(tmp_path / "given", most))
        assert result["summary.txt"] == str(most).encode()
        with pytest.raises(UndersignedError) as refused:
            await hired(acme, globex, write(tmp_path / "given", most + 1))
        said = "[artifacts] max_bytes of our settings says so of input 'report'"
        assert (refused.value.code, seen) == ("upstream_failed", ["too_large", said])


async def test_an_input_that_is_too_large_was_read_by_both_books(tmp_path: Path) -> None:
    """The hirer's gate lets in before anybody sees how large it is. Both were told that their books differ."""
    used: list[Any] = []

    async def work(job: Job) -> None:
        with pytest.raises(FormatError):
            await job.read("report")
        used.extend([await agent.gate.usage(job.contract) for agent in (job._agent, acme)])
        await job.deliver("summary.txt", b"too large for us")

    async with peers(tmp_path, work, globex=SHORT) as (acme, globex):
        result = await hired(acme, globex, bytes(SHORT + 1))
    assert [[(one.unit, one.amount) for one in side] for side in used] == [[("count", "1")]] * 2
    assert not result.books


async def test_a_hirer_gives_no_more_than_its_settings_say(tmp_path: Path) -> None:
    """Told before anybody is asked for anything."""
    async with peers(tmp_path, read_and_count, acme=SHORT) as (acme, globex):
        assert (await hired(acme, globex, write(tmp_path / "given", SHORT)))["summary.txt"] == b"1000"
        with pytest.raises(UndersignedError) as refused:
            await hired(acme, globex, write(tmp_path / "given", SHORT + 1))
        assert refused.value.code == "bad_configuration"
        assert "input report: expected at most 1000 bytes" in refused.value.message


@pytest.mark.parametrize("most", [SHORT, LIMIT])
async def test_a_provider_delivers_no_more_than_the_contract_says(most: int, tmp_path: Path) -> None:
    """HIRE-ATT-11: from memory and from a file; the limit of the contract stands above that of the settings."""
    seen: list[str] = []
    size = most

    async def work(job: Job) -> None:
        assert [one.max_bytes for one in job.document.terms.deliverables] == [most]
        data = bytes(size)
        made = job._agent.home.path / "made"
        await asyncio.to_thread(made.write_bytes, data)
        for given in (data, made):
            try:
                await job.deliver("summary.txt", given)
            except FormatError as error:
                seen.append(error.code)

    async with peers(tmp_path, work, acme=SHORT - 1, globex=SHORT - 1) as (acme, globex):
        result = await hired(acme, globex, b"x", max_bytes=most)
        assert (result.artifacts.size("summary.txt"), seen) == (most, [])
        size = most + 1
        with pytest.raises(UndersignedError) as refused:
            await hired(acme, globex, b"x", max_bytes=most)
        assert (refused.value.code, seen) == ("upstream_failed", ["too_large", "too_large"])
        assert f"by the contract: summary.txt has at most {most} bytes" in refused.value.message


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("where", ["contract", "settings"])
@pytest.mark.parametrize("most", [SHORT, LIMIT])
async def test_sc_69_a_hirer_takes_no_more_than_was_agreed(
    most: int, where: str, held: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-ATT-11, SC-69: of a provider that keeps to no limit; or that made what the hirer has already."""
    size = most

    async def work(job: Job) -> None:
        await job.deliver("summary.txt", bytes(size))

    async def unlimited(job: Job, data: bytes, most: int) -> Digest:
        return await job._agent.artifacts.put(data)

    monkeypatch.setattr(Job, "_kept", unlimited)
    limits = {"acme": most} if where == "settings" else {}
    options = {"max_bytes": most} if where == "contract" else {}
    async with peers(tmp_path, work, **limits) as (acme, globex):
        result = await hired(acme, globex, b"x", **options)
        assert result.artifacts.size("summary.txt") == most
        size = most + 1
        if held:
            await acme.artifacts.put(bytes(size))
        before = set(os.listdir(acme.home.artifacts))
        given = {
            "task": "summary",
            "inputs": {"report": b"x"},
            "price": "5 EUR",
            "deliverable": "summary.txt",
            "criteria": {},
        }
        with pytest.raises(UndersignedError) as refused:
            await soon_reviewed(acme, did_of(globex.home.configuration.listen.port), **given, **options)
        assert refused.value.code == "too_large"
        assert set(os.listdir(acme.home.artifacts)) == before


async def test_bytes_that_may_be_read_are_counted_by_both_gates(tmp_path: Path) -> None:
    """A grant that limits bytes holds back as many as there may be, and books those that there were."""
    codes: list[str] = []

    async def work(job: Job) -> None:
        for _ in range(4 + 2):  # four by the grant of the input, which counts no bytes
            await job.read("report")
        usage = {(one.clause, one.unit): one.amount for one in await job._agent.gate.usage(job.contract)}
        assert usage["sized", "bytes"] == str(2 * SHORT)
        there = {(one.clause, one.unit): one.amount for one in await acme.gate.usage(job.contract)}
        assert there["sized", "bytes"] == str(2 * SHORT)
        try:
            await job.read("report")
        except UndersignedError as error:
            codes.append(error.code)
        await job.deliver("summary.txt", b"done")

    async with peers(tmp_path, work) as (acme, globex):
        most = Limit("bytes", str(2 * SHORT + SHORT - 1))
        grant = Grant("sized", "artifact:read", f"{acme.base_url}/artifacts/*", limits=(most,))
        await hired(acme, globex, bytes(SHORT), scope=Scope(grants=(grant,)))
    assert codes == ["scope_exceeded"], "999 bytes are left, and it has a thousand"


async def test_bytes_of_an_answer_that_was_cut_are_counted_by_both_gates(tmp_path: Path) -> None:
    """A request for the rest is one more, for what is left; of what its answer was to bring all is spent, however much
    came: the hirer cannot know it.
    """
    came: list[str] = []
    used: list[Any] = []

    async def work(job: Job) -> None:
        for _ in range(3):
            try:
                async with job.file("report") as path:
                    came.append(str(path.stat().st_size))
            except ScopeError as error:
                came.append(error.code)
        used.extend([await agent.gate.usage(job.contract) for agent in (job._agent, acme)])
        await job.deliver("summary.txt", b"done")

    given = write(tmp_path / "given")
    async with peers(tmp_path, work) as (acme, globex):
        starts: list[int] = []
        real = acme.artifacts.pieces

        async def pieces(digest: Digest, start: int = 0) -> AsyncGenerator[bytes]:
            starts.append(start)
            sent = 0
            async for piece in real(digest, start):
                if sent > SIZE // 3:
                    raise OSError("the cable was pulled")
                sent += len(piece)
                yield piece

        acme.artifacts.pieces = pieces  # type: ignore[method-assign]
        limits = (Limit("bytes", str(SIZE)), Limit("count", "100"))
        grant = Grant("sized", "artifact:read", f"{acme.base_url}/artifacts/*", limits=limits)
        result = await hired(acme, globex, given, scope=Scope(grants=(grant,)))
    assert came == [str(SIZE), str(SIZE), "scope_exceeded"]
    first, second, third, *again = starts
    assert (first, again) == (0, [0, second, third])
    # Of six requests four are taken from the grant of the input, which counts no bytes.
    rest = {("sized", "bytes"): str(2 * SIZE - second - third), ("sized", "count"): "2", ("read-1", "count"): "4"}
    assert [{(one.clause, one.unit): one.amount for one in side} for side in used] == [rest, rest]
    assert not result.books


async def test_bytes_of_a_period_are_booked_as_many_as_were_read(tmp_path: Path) -> None:
    """HIRE-SCO-10: what was held back was counted in the period, so that nothing of it could be read any more; and what
    was read in all periods counted as read in this one.
    """
    told: list[str] = []
    long = "P10000D"  # it does not end during a test

    async def work(job: Job) -> None:
        for _ in range(4 + 3):  # four by the grant of the input, which counts no bytes
            await job.read("report")
        used = await job._agent.ledger.usage(job.contract)
        told.extend(f"{key.partition('@')[0]} {amount}" for key, amount in used.items() if key.startswith("sized/"))
        with pytest.raises(UndersignedError) as refused:
            await job.read("report")
        told.append(refused.value.code)
        await job.deliver("summary.txt", b"done")

    async with peers(tmp_path, work) as (acme, globex):
        limits = (Limit("bytes", str(4 * SHORT - 1), per=long), Limit("bytes", str(100 * SHORT)))
        grant = Grant("sized", "artifact:read", f"{acme.base_url}/artifacts/*", limits=limits)
        await hired(acme, globex, bytes(SHORT), scope=Scope(grants=(grant,)))
    assert sorted(told) == ["scope_exceeded", f"sized/bytes {3 * SHORT}", f"sized/bytes.{long} {3 * SHORT}"]


async def test_what_one_grant_has_left_holds_back_nothing_of_another(tmp_path: Path) -> None:
    """Of an input with a grant of its own no more was taken than a wider grant had left, which nobody asked."""

    async def work(job: Job) -> None:
        for _ in range(4 + 1):  # the last one by the wider grant, of which nothing is left then
            await job.read("report")
        assert await job.read("other") == bytes(SHORT + 1)
        with pytest.raises(UndersignedError) as refused:
            await job.read("report")
        assert refused.value.code == "scope_exceeded"
        await job.deliver("summary.txt", b"done")

    async with peers(tmp_path, work) as (acme, globex):
        wide = Grant("wide", "artifact:read", f"{acme.base_url}/artifacts/*", limits=(Limit("bytes", str(SHORT)),))
        inputs = {"report": bytes(SHORT), "other": bytes(SHORT + 1)}
        async with asyncio.timeout(60):
            await acme.hire(
                did_of(globex.home.configuration.listen.port),
                task="summary",
                inputs=inputs,
                price="5 EUR",
                deliverable="summary.txt",
                scope=Scope(grants=(wide,)),
            )


async def test_a_hirer_hears_which_limit_was_used_up_when_the_work_failed(tmp_path: Path) -> None:
    """A delivery that failed gives no reason, and this may be it."""

    async def work(job: Job) -> None:
        while True:
            await job.read("report")

    async with peers(tmp_path, work) as (acme, globex):
        with pytest.raises(PolicyError) as refused:
            await hired(acme, globex, b"x")
    assert refused.value.code == "upstream_failed"
    assert "by the contract: " in refused.value.message
    assert refused.value.message.endswith(" is used up, at most 4 times")


async def test_the_program_of_the_readme(tmp_path: Path) -> None:
    """It packs a file, as it is written there."""
    homes = await two_homes(tmp_path)
    text = text_of("python large").replace('Peer.open("globex")', f"Peer.open({str(homes[1].path)!r})")
    await asyncio.to_thread((tmp_path / "program.py").write_text, text)
    env = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"}
    async with Peer.open(homes[0]) as acme:
        process = await asyncio.create_subprocess_exec(sys.executable, "program.py", cwd=tmp_path, env=env)
        try:
            async with asyncio.timeout(60):
                result = await acme.hire(
                    did_of(homes[1].configuration.listen.port),
                    task="pack",
                    inputs={"disk": write(tmp_path / "given")},
                    price="5 EUR",
                )
            assert gzip.decompress(result["disk.gz"]) == (tmp_path / "given").read_bytes()
        finally:
            process.terminate()
            await process.wait()


async def test_a_party_of_one_contract_reads_nothing_under_that_of_others(tmp_path: Path) -> None:
    """HIRE-ART-02: it is known here, signs with its own key, and names a contract in force that is not its own. It
    hears what it would of one that there is not.
    """
    asked: list[tuple[int, str]] = []

    async def works(job: Job) -> None:
        for who in (peers[2], peers[0]):
            url = str(job.input("report").uri)
            fields = dict(await who.sign_request("GET", url, job.contract))
            async with ClientSession() as session, session.get(url, headers=fields) as answer:
                asked.append((answer.status, (await answer.text()).strip()))
        await summarise(job)

    async def hires(job: Job) -> None:
        text = await job.read("report")
        result = await middle.hire(peers[2].own.id, task="summary", inputs={"report": text + b"!"}, price="9 EUR")
        await job.deliver("summary.txt", result["summary.txt"])

    async with peers_of(await homes_of(tmp_path, 3), [None, hires, works]) as peers:
        middle = peers[1]
        await peers[0].hire(middle.own.id, task="summary", inputs={"report": REPORT}, price="20 EUR")
    assert [status for status, _ in asked] == [200, 403]
    assert "contract_expired" in asked[1][1]
