"""Contents by digest: kept, read back, and never mistaken for others."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import stat
import subprocess
import sys
import threading
import tracemalloc
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from support import refuses
from undersigned.daemon.door import OWN_FILES
from undersigned.encoding import digest_bytes
from undersigned.errors import FormatError, LedgerUnavailable, UndersignedError, VerificationError
from undersigned.runtime import SMALL_BYTES, ArtifactStore, Body, Contents
from undersigned.runtime.artifacts.folder import MAX_GROUP, MAX_OPEN, Files
from undersigned.runtime.artifacts.incoming import PIECE_BYTES, Incoming
from undersigned.runtime.artifacts.store import RECENT_BYTES, SETTLED_SECONDS, STALE_SECONDS
from undersigned.runtime.artifacts.transfers import Transfers

DATA = b"what was made"
LARGE = bytes(range(256)) * (SMALL_BYTES // 64)
"""Four times what is held in memory."""
ENGAGEMENT = f"urn:hire:engagement:{digest_bytes(b'an engagement')}"


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def files(store: ArtifactStore) -> list[Path]:
    return [path for path in store.folder.rglob("*") if path.is_file()]


async def test_what_is_put_is_got(store: ArtifactStore) -> None:
    digest = await store.put(DATA)
    assert digest == digest_bytes(DATA)
    assert await store.get(digest) == DATA
    assert await store.size(digest) == len(DATA)


async def test_another_process_finds_it(store: ArtifactStore) -> None:
    digest = await store.put(DATA)
    again = ArtifactStore(store.folder)
    assert await again.size(digest) == len(DATA)
    assert await again.get(digest) == DATA


async def test_the_same_twice_is_one_file(store: ArtifactStore) -> None:
    await asyncio.gather(*(store.put(DATA) for _ in range(8)))
    assert len(files(store)) == 1


async def test_what_was_never_put_is_not_found(store: ArtifactStore) -> None:
    digest = digest_bytes(b"never")
    assert await store.size(digest) is None
    with refuses(UndersignedError, "not_found"):
        await store.get(digest)


@pytest.mark.parametrize(
    "change", [lambda raw: raw[:-1], lambda raw: raw + b"!", lambda raw: b"", lambda raw: b"?" + raw[1:]]
)
async def test_a_file_that_was_changed_is_not_served(change, store: ArtifactStore) -> None:
    """HIRE-ART-03: reading checks the digest again."""
    digest = await store.put(DATA)
    (file,) = files(store)
    file.write_bytes(change(DATA))
    with refuses(VerificationError, "digest_mismatch"):
        await ArtifactStore(store.folder).get(digest)


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "uEi/../../x", "uEiA/x", "", "..", "x" * 50, "uEX"]
)
async def test_no_name_leads_outside(name: str, store: ArtifactStore) -> None:
    """HIRE-ART-01, SC-98: a file is named by a digest and by nothing else."""
    for ask in (store.get, store.size):
        with pytest.raises(UndersignedError) as refused:
            await ask(name)
        assert refused.value.code in ("bad_path", "not_found")


async def test_what_was_not_written_whole_is_not_there(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk leaves no half a file and no temporary one."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(LedgerUnavailable, match="No space"):
        await store.put(DATA)
    assert await store.size(digest_bytes(DATA)) is None
    assert files(store) == []
    monkeypatch.undo()
    assert await store.get(await store.put(DATA)) == DATA


async def test_a_damaged_file_is_replaced_by_what_is_put(store: ArtifactStore) -> None:
    """What `put` says is kept can be read afterwards."""
    digest = await store.put(DATA)
    (file,) = files(store)
    file.write_bytes(b"damaged")
    again = ArtifactStore(store.folder)
    assert await again.put(DATA) == digest
    assert await ArtifactStore(store.folder).get(digest) == DATA


async def test_memory_is_bounded(store: ArtifactStore) -> None:
    """Recent artifacts are at hand, and no more of them than the bound; the disk has them all."""
    size = RECENT_BYTES // 16
    digests = [await store.put(bytes([number]) * size) for number in range(24)]
    assert store._held <= RECENT_BYTES
    assert sum(len(data) for data in store._recent.values()) == store._held
    assert [await store.get(digest) for digest in digests] == [bytes([number]) * size for number in range(24)]
    assert store._held <= RECENT_BYTES


# --- in pieces ------------------------------------------------------------------------------------------------------


async def in_chunks(data: bytes, size: int = 10_000) -> AsyncIterator[bytes]:
    for place in range(0, len(data), size):
        yield data[place : place + size]


async def read(store: ArtifactStore, digest: str, start: int = 0) -> bytes:
    return b"".join([piece async for piece in store.pieces(digest, start)])


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES, SMALL_BYTES, SMALL_BYTES + 1, SMALL_BYTES + PIECE_BYTES + 1])
async def test_what_comes_in_chunks_is_what_was_put(size: int, store: ArtifactStore, tmp_path: Path) -> None:
    data = LARGE[:size]
    kept = await store.put_chunks(in_chunks(data), max_bytes=size, digest=digest_bytes(data))
    assert kept == (digest_bytes(data), size)
    for one in (store, ArtifactStore(store.folder)):
        assert await one.size(kept.digest) == size
        assert await one.get(kept.digest) == one.read_now(kept.digest) == await read(one, kept.digest) == data
    (file,) = files(store)
    assert file.stat().st_mode & 0o777 == 0o600
    path = tmp_path / "a file"
    await asyncio.to_thread(path.write_bytes, data)
    assert await ArtifactStore(tmp_path / "other").put_file(path, max_bytes=size) == kept


@pytest.mark.parametrize("size", [100, len(LARGE)])
async def test_one_byte_beyond_the_limit_is_refused_and_nothing_is_left(size: int, store: ArtifactStore) -> None:
    """SC-69: at the first byte beyond; what comes after it is not read."""
    came: list[int] = []

    async def endless() -> AsyncIterator[bytes]:
        async for chunk in in_chunks(LARGE[:size]):
            yield chunk
        while True:
            came.append(1)
            yield b"!"

    with pytest.raises(FormatError) as refused:
        await store.put_chunks(endless(), max_bytes=size)
    assert (refused.value.code, came) == ("too_large", [1])
    assert files(store) == []


@pytest.mark.parametrize("data", [DATA, LARGE], ids=["small", "large"])
async def test_other_bytes_than_named_are_not_kept(data: bytes, store: ArtifactStore) -> None:
    """HIRE-ART-03."""
    for other in (data[:-1], data + b"!", b"?" + data[1:]):
        with refuses(VerificationError, "digest_mismatch"):
            await store.put_chunks(in_chunks(other), max_bytes=2 * len(data), digest=digest_bytes(data))
    assert files(store) == []
    assert await store.size(digest_bytes(data)) is None


@pytest.mark.parametrize("after", [10, SMALL_BYTES + 10 * PIECE_BYTES])
async def test_what_ends_early_leaves_nothing(after: int, store: ArtifactStore) -> None:
    async def broken() -> AsyncIterator[bytes]:
        async for chunk in in_chunks(LARGE[:after]):
            yield chunk
        raise ConnectionResetError("cut")

    with pytest.raises(ConnectionResetError):
        await store.put_chunks(broken(), max_bytes=len(LARGE))
    assert files(store) == []


async def test_a_full_disk_leaves_nothing_of_what_is_large(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(LedgerUnavailable, match="No space"):
        await store.put_chunks(in_chunks(LARGE), max_bytes=len(LARGE))
    assert files(store) == []


async def test_nothing_large_is_ever_held(store: ArtifactStore, tmp_path: Path) -> None:
    """Neither while it is kept nor while it is read, copied or hashed: counted in bytes that Python allocated."""
    path, out = tmp_path / "given", tmp_path / "out"
    size, block = 16 * len(LARGE), len(LARGE)
    with path.open("wb") as file:
        for _ in range(size // block):
            file.write(LARGE)
    tracemalloc.start()
    try:
        kept = await store.put_file(path, max_bytes=size)
        async for piece in store.pieces(kept.digest):
            assert len(piece) <= PIECE_BYTES
        await store.copy(kept.digest, out)
        await store.digests(kept.digest, frozenset({"sha256", "sha512"}))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert out.stat().st_size == kept.size == size
    assert peak < 3 * SMALL_BYTES < size // 10


async def test_the_event_loop_turns_while_something_large_is_kept(store: ArtifactStore, tmp_path: Path) -> None:
    """No piece is read, hashed or written by it: others have a turn at each."""
    path, turns, places = tmp_path / "given", 0, list[int]()
    await asyncio.to_thread(path.write_bytes, LARGE)

    async def turning() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(turning())
    kept = await store.put_file(path, max_bytes=len(LARGE))
    places.append(turns)
    async for _ in store.pieces(kept.digest):
        pass
    places.append(turns)
    await store.copy(kept.digest, tmp_path / "out")
    places.append(turns)
    ticking.cancel()
    pieces = (len(LARGE) - SMALL_BYTES) // PIECE_BYTES
    assert all(after - before >= pieces for before, after in zip([0, *places], places, strict=False)), places


@pytest.mark.parametrize(
    "change", [lambda raw: raw[:-1], lambda raw: raw + b"!", lambda raw: b"", lambda raw: b"?" + raw[1:]]
)
@pytest.mark.parametrize("start", [0, 10, len(LARGE) - 10])
async def test_the_end_of_a_file_that_was_changed_is_not_given(change: Any, start: int, store: ArtifactStore) -> None:
    """HIRE-ART-03: whoever counts the bytes never takes the rest for the whole."""
    kept = await store.put_chunks(in_chunks(LARGE), max_bytes=len(LARGE))
    (file,) = files(store)
    file.write_bytes(change(LARGE))
    given: list[int] = []

    async def reading() -> None:
        async for piece in store.pieces(kept.digest, start):
            given.append(len(piece))

    with refuses(VerificationError, "digest_mismatch"):
        await reading()
    there = max(0, len(change(LARGE)) - start)
    assert sum(given) < there or not there
    with pytest.raises(VerificationError):
        await store.copy(kept.digest, file.with_name("copied"))
    assert [path.name for path in files(store)] == [file.name]


@pytest.mark.parametrize("start", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, len(LARGE) - 1])
async def test_reading_goes_on_from_any_byte(start: int, store: ArtifactStore) -> None:
    kept = await store.put_chunks(in_chunks(LARGE), max_bytes=len(LARGE))
    assert await read(store, kept.digest, start) == LARGE[start:]


async def test_a_file_that_cannot_be_closed_is_removed_all_the_same(store: ArtifactStore) -> None:
    async with store.receive(max_bytes=len(LARGE), hold_bytes=0) as incoming:
        await incoming.add(DATA)
        await incoming.add(DATA)
        assert incoming._file is not None
        os.close(incoming._file.fileno())  # from now on the system has a word against every use of it
    assert files(store) == []


async def test_what_a_review_fetched_is_discarded_although_one_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever stops a review a second time, while it waits for the thread that writes, stops no more than that wait."""
    store, append, begun, go = ArtifactStore(tmp_path), Incoming._append, asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slowly(self: Incoming, data: bytearray) -> None:
        loop.call_soon_threadsafe(begun.set)
        go.wait(10)
        append(self, data)

    async def chunks() -> AsyncGenerator[bytes]:
        for _ in range(2):  # the second finds no room in memory, and makes or lengthens a file
            yield LARGE[:SMALL_BYTES]
        raise UndersignedError("unresolvable", "the line was cut")

    async def cut(url: str, contract: str, start: int, max_bytes: int) -> AbstractAsyncContextManager[Body]:
        return nullcontext(Body(start, None, chunks()))

    async def locate(peer: str, digest: str) -> str:
        raise AssertionError("each has a URL")

    async def review() -> None:
        async with Transfers(store, cut, locate, ENGAGEMENT, "contract") as transfers:
            for name in ("first", "slow", "last", "slow"):
                with suppress(UndersignedError):
                    await transfers.fetch("did:web:p", name, digest_bytes(name.encode()), 2 * len(LARGE), print)
                if name == "last":
                    monkeypatch.setattr(Incoming, "_append", slowly)

    reviewing = asyncio.create_task(review())
    try:
        await asyncio.wait_for(begun.wait(), 10)
        assert len(files(store)) == 3
        for _ in range(2):
            reviewing.cancel()
            await asyncio.sleep(0.05)
        with pytest.raises(asyncio.CancelledError):
            await reviewing
        assert len(files(store)) == 1, "that one is still written to, and is swept later"
    finally:
        go.set()


async def test_what_is_small_costs_one_thread_and_two_syncs(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As few as can be: a file and its folder are on disk, and nothing of it is done twice."""
    counted: Counter[str] = Counter()
    to_thread, fsync = asyncio.to_thread, os.fsync

    async def counting(function: Any, *given: Any, **options: Any) -> Any:
        counted["thread"] += 1
        return await to_thread(function, *given, **options)

    def syncing(file: Any) -> None:
        counted["fsync"] += 1
        fsync(file)

    def hashing(data: bytes) -> str:
        counted["hash"] += 1
        return digest_bytes(data)

    monkeypatch.setattr("asyncio.to_thread", counting)
    monkeypatch.setattr("os.fsync", syncing)
    for module in ("incoming", "store", "folder"):
        monkeypatch.setattr(f"undersigned.runtime.artifacts.{module}.digest_bytes", hashing)
    async with store.receive(max_bytes=100, digest=digest_bytes(DATA), under=ENGAGEMENT) as incoming:
        await incoming.add(DATA)
        kept = await incoming.keep()
    assert await store.came(kept.digest, ENGAGEMENT)
    found = await Contents.of(store, {"a": kept.digest})
    assert (await store.size(kept.digest), await found.read("a"), found["a"]) == (len(DATA), DATA, DATA)
    assert counted == {"thread": 1, "fsync": 2, "hash": 1}


async def test_what_is_put_together_costs_one_thread_and_one_sync_of_the_folder(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And each has its own answer: what cannot be written takes nothing else with it. No name changes between the
    syncs of those that are open together, each of which would have that on disk, too.
    """
    counted: Counter[str] = Counter()
    order = list[str]()
    write, fsync, replace = Files._write, os.fsync, os.replace

    def writing(self: Files, digest: str, data: bytes, under: str | None) -> Generator[None]:
        counted[threading.current_thread().name] += 1
        if data == b"3":
            raise OSError(errno.ENOSPC, "No space left on device")
        yield from write(self, digest, data, under)

    def syncing(file: Any) -> None:
        order.append("folder" if isinstance(file, int) else "file")
        fsync(file)

    def naming(old: str, new: str) -> None:
        order.append("name")
        replace(old, new)

    monkeypatch.setattr(Files, "_write", writing)
    monkeypatch.setattr("os.fsync", syncing)
    monkeypatch.setattr("os.replace", naming)
    puts = [store.put(str(number).encode(), under=ENGAGEMENT) for number in range(MAX_GROUP)]
    kept = await asyncio.gather(*puts, return_exceptions=True)
    assert isinstance(kept[3], LedgerUnavailable)
    assert kept[3].code == "store_full"
    others = [one for one in kept if isinstance(one, str)]
    assert [await ArtifactStore(store.folder).get(digest) for digest in others] == [
        str(number).encode() for number in range(MAX_GROUP) if number != 3
    ]
    together = [MAX_OPEN - 1] + [MAX_OPEN] * (MAX_GROUP // MAX_OPEN - 1)  # but for the one that failed
    assert order == [step for many in together for step in ["file"] * many + ["name"] * many] + ["folder"]
    assert list(counted.values()) == [MAX_GROUP], "in one thread"


async def test_however_much_is_put_at_once_leaves_descriptors_for_others(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all threads that a loop has of itself on a large machine, each in the middle of a group."""
    threads = 32
    opened = list[FileIO]()
    all_write, all_counted = threading.Barrier(threads), threading.Barrier(threads)
    counted = list[int]()
    met = threading.local()
    opens, fsync = Files._open, os.fsync

    def opening(self: Files, path: str) -> FileIO:
        opened.append(opens(self, path))
        return opened[-1]

    def syncing(file: Any) -> None:
        if not hasattr(met, "here"):
            met.here = True
            all_write.wait(60)
            counted.append(sum(not one.closed for one in opened))
            all_counted.wait(60)
        fsync(file)

    monkeypatch.setattr(Files, "_open", opening)
    monkeypatch.setattr("os.fsync", syncing)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(threads))
    kept = await asyncio.gather(*(store.put(str(number).encode()) for number in range(threads * MAX_GROUP)))
    assert len(set(kept)) == threads * MAX_GROUP
    assert counted == [threads * MAX_OPEN] * threads
    assert threads * MAX_OPEN <= OWN_FILES // 2


async def test_who_no_longer_waits_for_what_is_put_takes_nothing_else_with_it(store: ArtifactStore) -> None:
    first, second = (asyncio.create_task(store.put(data)) for data in (b"1", b"2"))
    await asyncio.sleep(0)  # both have begun
    first.cancel()
    assert await second == digest_bytes(b"2")
    assert first.cancelled()
    assert await ArtifactStore(store.folder).get(digest_bytes(b"1")) == b"1", "it is written all the same"


@pytest.mark.parametrize("size", [SMALL_BYTES + 1, 2 * SMALL_BYTES])
async def test_who_gives_up_while_it_is_written_leaves_nothing(
    size: int, store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before there is a file, and after: the thread that writes is waited for, and what it wrote is removed."""
    append, begun, go = Incoming._append, asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slowly(self: Incoming, data: bytearray) -> None:
        if self.size == size:
            loop.call_soon_threadsafe(begun.set)
            go.wait(10)
        append(self, data)

    monkeypatch.setattr(Incoming, "_append", slowly)
    keeping = asyncio.create_task(store.put_chunks(in_chunks(LARGE[:size], SMALL_BYTES + 1), max_bytes=size))
    await begun.wait()
    keeping.cancel()
    loop.call_later(0, go.set)
    with pytest.raises(asyncio.CancelledError):
        await keeping
    assert files(store) == []


async def test_what_a_killed_process_left_is_removed_once_it_is_old(store: ArtifactStore) -> None:
    await store.put(DATA)
    async with store.receive(max_bytes=len(LARGE)) as incoming:
        await incoming.add(LARGE)
        (left,) = [path for path in files(store) if path.suffix == ".part"]
        store.sweep()
        assert left.exists(), "it is being written"
        os.utime(left, (0, left.stat().st_mtime - STALE_SECONDS - 1))
        store.sweep()
        assert not left.exists()
    assert await store.get(digest_bytes(DATA)) == DATA


async def test_what_a_killed_process_left_is_removed_at_the_next_start(store: ArtifactStore) -> None:
    """A gigabyte of a delivery that was cut short, at each kill, kept the next one from finding room for a day."""
    writes = (
        "import asyncio, sys; from pathlib import Path; from undersigned.runtime import ArtifactStore\n"
        "async def main():\n"
        "    incoming = ArtifactStore(Path(sys.argv[1])).receive(max_bytes=1 << 30)\n"
        f"    for _ in range(2): await incoming.add(bytes({len(LARGE)}))\n"
        "    print('written', flush=True); await asyncio.Event().wait()\n"
        "asyncio.run(main())"
    )
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", writes, store.folder, stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert await child.stdout.readline() == b"written\n"
    (left,) = files(store)
    os.utime(left, (0, left.stat().st_mtime - SETTLED_SECONDS - 1))
    store.sweep()
    assert left.exists(), "it is being written, if slowly"
    child.kill()
    await child.wait()
    store.sweep()
    assert files(store) == []


async def test_contents_are_read_as_they_are_wanted(store: ArtifactStore, tmp_path: Path) -> None:
    small, large = await store.put(DATA), (await store.put_chunks(in_chunks(LARGE), max_bytes=len(LARGE))).digest
    found = await Contents.of(store, {"small": small, "large": large})
    assert (list(found), len(found), "large" in found, "other" in found) == (["small", "large"], 2, True, False)
    assert (found["small"], found["large"]) == (DATA, LARGE)
    assert (found.digest("large"), found.size("large")) == (large, len(LARGE))
    assert await found.read("large") == LARGE
    with refuses(FormatError, "too_large"):
        await found.read("large", max_bytes=len(LARGE) - 1)
    await found.save("large", tmp_path / "saved")
    assert await asyncio.to_thread((tmp_path / "saved").read_bytes) == LARGE
    for name, data in (("small", DATA), ("large", LARGE)):
        stated: Any = (await found.stated(lambda: frozenset({"sha256", "sha512"})))[name]
        if not isinstance(stated, bytes):
            assert stated == {name: hashlib.new(name, data).hexdigest() for name in ("sha256", "sha512")}
    with pytest.raises(KeyError):
        found["other"]
    with pytest.raises(UndersignedError, match="no artifact"):
        await Contents.of(store, {"gone": digest_bytes(b"gone")})


async def test_what_is_there_is_kept_only_once_its_name_is_on_disk(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by who finds it there: whoever gave it its name was told that the folder cannot be synced."""
    really, refused = os.fsync, list[str]()

    def synced(file: Any) -> None:
        number = file if isinstance(file, int) else file.fileno()
        if stat.S_ISDIR(os.fstat(number).st_mode) and len(refused) < 2:
            refused.append("folder")
            raise OSError(errno.EIO, "no")
        really(file)

    monkeypatch.setattr("os.fsync", synced)
    for again in (store, ArtifactStore(store.folder)):
        with pytest.raises(LedgerUnavailable):
            await again.put(DATA)
    assert await store.put(DATA) == digest_bytes(DATA)
