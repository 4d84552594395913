"""Security case SC-98: no name that somebody gives an artifact leads out of the folder where it is kept."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from packs import Hire
from support import file_size_limit
from undersigned.cli.delivered import write_artifacts
from undersigned.contract import Terms
from undersigned.encoding import digest_bytes
from undersigned.errors import UndersignedError, VerificationError
from undersigned.evidence import check_pack
from undersigned.runtime import ArtifactStore, Contents
from undersigned.trace import ProvedEngagement, TraceEvidence, draw_trace, trace
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
    "a ",
    "a:b",
    "what?",
    "COM¹.txt",
    "-",
    "\ud800",
]
HARMLESS = ["app.txt", "ü 名.txt", "a'b (1).txt", "x" * 200, "名" * 66, "_1", "concert.txt", "com10", "a..b", "100%"]
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
    written, failed = await write_artifacts(given, folder)
    assert (set(written), failed) == (set(NAMES), {})
    assert {name: files(folder)[one.path.name] for name, one in written.items()} == dict(given)
    assert len(files(folder)) == len(NAMES)
    assert all(one.path.parent == folder for one in written.values())
    assert set(os.listdir(tmp_path)) == {"artifacts", "out", "outside"}
    assert {name for name in NAMES if written[name].path.name == name} == {"%2e%2e%2fx"}


@pytest.mark.parametrize("name", HARMLESS, ids=ascii)
async def test_a_harmless_name_is_kept(name: str, tmp_path: Path) -> None:
    written, _ = await write_artifacts(await delivered(tmp_path, name), tmp_path)
    assert (written[name].path, written[name].instead_of) == (tmp_path / name, None)


async def test_sc98_a_name_is_kept_once_where_case_and_form_do_not_count(tmp_path: Path) -> None:
    """Where a file system takes them for one, the second would write over the first; so it does nowhere."""
    given = await delivered(tmp_path, "App.txt", "app.TXT", "e\u0301", "\u00e9")
    for force in (False, True):
        folder = tmp_path / f"out-{force}"
        folder.mkdir()
        written, _ = await write_artifacts(given, folder, force=force)
        assert [one.path.name for one in written.values()] == ["App.txt", "app-2.TXT", "e\u0301", "\u00e9-2"]
        assert not any(one.instead_of for one in written.values())


@pytest.mark.parametrize(
    ("name", "beside"),
    [
        ("app.txt", "app-2.txt"),
        ("sbom.cdx.json", "sbom-2.cdx.json"),
        ("greeting-1.0-py3-none-any.whl", "greeting-1.0-py3-none-any-2.whl"),
        ("result", "result-2"),
        ("名.txt", "名-2.txt"),
        (".bashrc", "artifact-1-2"),
    ],
)
@pytest.mark.parametrize("kind", ["file", "link", "link to nothing", "folder"])
async def test_sc98_what_is_there_is_never_lost(
    name: str, beside: str, kind: str, tmp_path: Path, outside: Path
) -> None:
    """The name is the provider's; what it delivers is paid for, and so it is written all the same, beside it."""
    folder = tmp_path / "out"
    folder.mkdir()
    place = folder / ("artifact-1" if name == ".bashrc" else name)
    if kind == "file":
        place.write_bytes(OUTSIDE)
    elif kind == "folder":
        place.mkdir()
    else:
        place.symlink_to(outside if kind == "link" else tmp_path / "nowhere")
    given = await delivered(tmp_path, name)
    for was_there in (False, True):  # again: neither another copy nor another name
        (written,) = (await write_artifacts(given, folder))[0].values()
        assert written == (folder / beside, place, was_there)
    assert {one.name for one in folder.iterdir()} == {place.name, beside}
    assert (folder / beside).read_bytes() == given[name]
    assert place.is_symlink() if kind.startswith("link") else place.is_dir() or place.read_bytes() == OUTSIDE
    assert await asyncio.to_thread(outside.read_bytes) == OUTSIDE
    assert not (tmp_path / "nowhere").exists()


async def test_what_is_there_already_is_left(tmp_path: Path) -> None:
    given = await delivered(tmp_path, "app.txt", "other.txt")
    first, _ = await write_artifacts(given, tmp_path)

    def as_written() -> list[tuple[int, ...]]:
        """Not when it was read last: it is read to be compared, and the system notes that as it likes."""
        found = [one.path.stat() for one in first.values()]
        return [(one.st_ino, one.st_mode, one.st_size, one.st_mtime_ns, one.st_ctime_ns) for one in found]

    before = as_written()
    for force in (False, True):
        again, _ = await write_artifacts(given, tmp_path, force=force)
        assert again == {name: one._replace(was_there=True) for name, one in first.items()}
        assert as_written() == before


@pytest.mark.parametrize("linked", [False, True])
async def test_sc98_a_file_is_replaced_by_force_and_not_written_through(
    linked: bool, tmp_path: Path, outside: Path
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    place = folder / "sbom.json"
    if linked:
        place.symlink_to(outside)
    else:
        place.write_bytes(OUTSIDE)
    given = await delivered(tmp_path, "sbom.json")
    assert await write_artifacts(given, folder, force=True) == ({"sbom.json": (place, None, False)}, {})
    assert (place.read_bytes(), place.is_symlink()) == (given["sbom.json"], False)
    assert await asyncio.to_thread(outside.read_bytes) == OUTSIDE


async def test_a_folder_is_not_written_over_by_force(tmp_path: Path) -> None:
    (tmp_path / "app.txt").mkdir()
    written, _ = await write_artifacts(await delivered(tmp_path, "app.txt"), tmp_path, force=True)
    assert written == {"app.txt": (tmp_path / "app-2.txt", tmp_path / "app.txt", False)}


async def test_what_has_to_be_new_replaces_nothing(tmp_path: Path) -> None:
    """Also what somebody made after it was seen that nothing is there; and no part of it is left."""
    given = await delivered(tmp_path, "app.txt")
    folder = tmp_path / "out"
    folder.mkdir()
    place = folder / "app.txt"
    await asyncio.to_thread(place.write_bytes, OUTSIDE)
    with pytest.raises(FileExistsError) as refused:
        await given.save("app.txt", place, new=True)
    assert refused.value.filename == str(place)
    assert files(folder) == {"app.txt": OUTSIDE}
    with file_size_limit(8), pytest.raises(OSError, match="too large") as full:
        await given.save("app.txt", place)
    assert full.value.filename == str(place)
    assert files(folder) == {"app.txt": OUTSIDE}


@pytest.mark.parametrize("name", ["../../x", "C:\\x", "%2e%2e%2fx", "CON"])
def test_sc98_evidence_shows_it_as_text(name: str) -> None:
    """A pack names its members by digest, whatever the artifact is called; a trace shows the name and no more."""

    def called_so(terms: Terms) -> Terms:
        return replace(terms, deliverables=(replace(terms.deliverables[0], name=name),))

    hire = Hire(changing=called_so).sealed()
    hire.delivered(hire.claims(name=name), name=name).reviewed(statement=hire.verdict(name=name))
    data = hire.pack(checkpoint=None, inclusion=None)
    report, case = check_pack(data, now=hire.book.clock.now())
    assert report.ok, report
    assert case.pack is not None
    assert not [path for path in case.pack.members if name in path]
    tree = trace(digest_bytes(hire.made[0]), TraceEvidence.of([ProvedEngagement(case, "a pack")]))
    assert tree.text == name
    assert draw_trace(tree)
