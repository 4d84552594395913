"""Security case SC-98: no name that somebody gives an artifact leads out of the folder where it is kept."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from packs import Hire
from undersigned.cli.hiring import write_artifacts
from undersigned.encoding import digest_bytes
from undersigned.errors import UndersignedError, VerificationError
from undersigned.evidence import check_pack
from undersigned.runtime import ArtifactStore, Contents
from undersigned.trace import Evidence, Held, draw_trace, trace
from unit.cli.running import files

NAMES = [
    "../../x",
    "/etc/x",
    "C:\\x",
    "\\\\host\\x",
    "..\\..\\x",
    "a\x00b",
    "%2e%2e%2fx",
    "n" * 300,
    "CON",
    "nul.txt",
    ".hidden",
    "",
    "a/b",
    "artifact-1",
    "‮gpj.exe",
    "a\r\nb\x1b[2J",
    "x\u2028y",
    "..",
    "-rf",
    "con .txt",
    "COM1",
    "a.",
    "aux.tar.gz",
    "~",
    ".000.part",
]
DATA, OUTSIDE = b"what was made", b"what is nobody's business"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    path = tmp_path / "outside"
    path.write_bytes(OUTSIDE)
    return path


@pytest.mark.parametrize("name", NAMES, ids=ascii)
async def test_sc98_the_store_knows_digests_and_no_names(name: str, tmp_path: Path) -> None:
    """HIRE-ART-01: nothing is read by a name, and nothing is written."""
    store = ArtifactStore(tmp_path / "artifacts")
    await store.put(DATA)
    before = files(tmp_path)
    for ask in (store.get, store.size):
        with pytest.raises(UndersignedError) as refused:
            await ask(name)
        assert refused.value.code == "bad_path"
    assert files(tmp_path) == before


@pytest.mark.parametrize("of", [OUTSIDE, DATA], ids=["other bytes", "the same bytes"])
async def test_sc98_a_link_in_the_store_is_no_file(of: bytes, tmp_path: Path, outside: Path) -> None:
    """Not even one to the very bytes: whoever made it can change what it leads to after the digest was checked."""
    folder, digest = tmp_path / "artifacts", digest_bytes(DATA)
    folder.mkdir()
    await asyncio.to_thread(outside.write_bytes, of)
    (folder / digest).symlink_to(outside)
    store = ArtifactStore(folder)
    assert await store.size(digest) is None
    with pytest.raises(UndersignedError, match="no artifact"):
        await store.get(digest)
    # What is put takes the link's place, and what it led to is as it was.
    assert await store.put(DATA) == digest
    assert not (folder / digest).is_symlink()
    assert await ArtifactStore(folder).get(digest) == DATA
    assert await asyncio.to_thread(outside.read_bytes) == of


async def test_sc98_a_pipe_in_the_store_is_waited_for_by_nobody(tmp_path: Path) -> None:
    folder, digest = tmp_path / "artifacts", digest_bytes(DATA)
    folder.mkdir()
    os.mkfifo(folder / digest)
    store = ArtifactStore(folder)
    async with asyncio.timeout(10):
        assert await store.size(digest) is None
        with pytest.raises(UndersignedError, match="no artifact"):
            await store.get(digest)
        assert await store.put(DATA) == digest
        assert await store.get(digest) == DATA


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
async def test_sc98_what_is_read_in_pieces_is_a_file(make: Callable[[Path], None], tmp_path: Path) -> None:
    """Neither waited for, nor followed, nor without an end; nor is it taken from where the operator named it."""
    store, digest = ArtifactStore(tmp_path / "artifacts"), digest_bytes(DATA)
    store.folder.mkdir()
    make(store.folder / digest)
    make(tmp_path / "given")
    async with asyncio.timeout(10):
        with pytest.raises(UndersignedError, match="no artifact"):
            assert not [piece async for piece in store.pieces(digest)]
        with pytest.raises(OSError):  # noqa: PT011 - each of them says it in other words
            await store.put_file(tmp_path / "given", max_bytes=100)
    assert os.listdir(store.folder) == [digest]


async def test_sc98_a_second_name_of_a_file_elsewhere_changes_nothing_there(tmp_path: Path, outside: Path) -> None:
    """A hard link is the file itself, so it is judged by its bytes; what is put replaces the name and not the file."""
    store, digest = ArtifactStore(tmp_path / "artifacts"), digest_bytes(DATA)
    store.folder.mkdir()
    os.link(outside, store.folder / digest)
    with pytest.raises(VerificationError):
        await store.get(digest)
    assert await store.put(DATA) == digest
    assert await asyncio.to_thread(outside.read_bytes) == OUTSIDE


async def delivered(folder: Path, *names: str) -> Contents:
    store = ArtifactStore(folder / "artifacts")
    made = {name: await store.put(f"{DATA!r} {place}".encode()) for place, name in enumerate(names)}
    return await Contents.of(store, made)


async def test_sc98_what_is_written_out_stays_in_its_folder(tmp_path: Path, outside: Path) -> None:
    """Each under a name of its own, and all of them there."""
    folder = tmp_path / "out"
    folder.mkdir()
    given = await delivered(tmp_path, *NAMES)
    written = await write_artifacts(given, folder)
    assert set(written) == set(NAMES)
    assert {name: files(folder)[os.path.basename(path)] for name, path in written.items()} == dict(given)
    assert len(files(folder)) == len(NAMES)
    assert all(Path(path).parent == folder for path in written.values())
    assert set(os.listdir(tmp_path)) == {"artifacts", "out", "outside"}
    assert not {"con", "nul.txt"} & {name.lower() for name in files(folder)}


async def test_sc98_a_link_where_it_is_written_is_replaced(tmp_path: Path, outside: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "sbom.json").symlink_to(outside)
    await write_artifacts(await delivered(tmp_path, "sbom.json"), folder)
    assert await asyncio.to_thread(outside.read_bytes) == OUTSIDE
    assert not (folder / "sbom.json").is_symlink()


@pytest.mark.parametrize("name", ["../../x", "C:\\x", "%2e%2e%2fx", "CON"])
def test_sc98_evidence_shows_it_as_text(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pack names its members by digest, whatever the artifact is called; a trace shows the name and no more."""
    monkeypatch.setattr("packs.NAME", name)
    hire = Hire().sealed()
    hire.delivered(hire.claims(), name=name).reviewed()
    data = hire.pack(checkpoint=None, inclusion=None)
    report, case = check_pack(data, now=hire.book.clock.now())
    assert report.ok, report
    assert case.pack is not None
    assert not [path for path in case.pack.members if name in path]
    tree = trace(digest_bytes(hire.made[0]), Evidence.of([Held(case, "a pack")]))
    assert tree.text == name
    assert draw_trace(tree)
