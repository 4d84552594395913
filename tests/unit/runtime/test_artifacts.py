"""Contents by digest: kept, read back, and never mistaken for others."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from undersigned.encoding import digest_bytes
from undersigned.errors import UndersignedError, VerificationError
from undersigned.runtime import ArtifactStore
from undersigned.runtime.artifacts import RECENT_BYTES

DATA = b"what was made"


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
    with pytest.raises(UndersignedError) as refused:
        await store.get(digest)
    assert refused.value.code == "not_found"


@pytest.mark.parametrize(
    "change", [lambda raw: raw[:-1], lambda raw: raw + b"!", lambda raw: b"", lambda raw: b"?" + raw[1:]]
)
async def test_a_file_that_was_changed_is_not_served(change, store: ArtifactStore) -> None:
    """HIRE-ART-03: reading checks the digest again."""
    digest = await store.put(DATA)
    (file,) = files(store)
    file.write_bytes(change(DATA))
    with pytest.raises(VerificationError) as refused:
        await ArtifactStore(store.folder).get(digest)
    assert refused.value.code == "digest_mismatch"


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
    with pytest.raises(OSError, match="No space"):
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
