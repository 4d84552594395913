"""Hires whose inputs and results are too large to be held, on real sockets and disks."""

from __future__ import annotations

import asyncio
import gzip
import os
import sys
import tracemalloc
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from integration.hires import did_of, two_homes, until
from integration.test_readme import text_of
from support import ROOT
from undersigned.daemon import HireResult, Peer
from undersigned.encoding import Digest, digest_bytes
from undersigned.runtime import Home, Job, Reviewed

BLOCK = bytes(range(256)) * 4096
SIZE = 12 * len(BLOCK)
"""12 MiB: six times what is held of one in memory."""


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


async def test_a_transfer_that_is_cut_goes_on(tmp_path: Path) -> None:
    """On either side the connection ends in the middle, twice; what had come is not asked for again."""
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
