"""What was delivered, in a folder of the hirer: what stands where, and what is said of what does not."""

from __future__ import annotations

import os
from pathlib import Path

from undersigned.cli.delivered import not_written, write_artifacts
from undersigned.encoding import digest_bytes
from undersigned.errors import LedgerUnavailable
from undersigned.runtime import ArtifactStore
from undersigned.runtime.artifacts.contents import Contents
from undersigned.runtime.artifacts.incoming import SMALL_BYTES
from unit.cli.running import files

LONG = "b" * 100
"""A name that fits every folder but a `tight` one."""


def tight(folder: Path) -> Path:
    """A folder so deep that a short name in it is one that the system takes, and a long one is not."""
    deep = os.pathconf(folder, "PC_PATH_MAX") - 60
    while (left := deep - len(str(folder))) > 1:
        folder /= "d" * min(left - 1, 100)
    folder.mkdir(parents=True)
    return folder


async def delivered(folder: Path, artifacts: dict[str, bytes]) -> Contents:
    store = ArtifactStore(folder)
    for data in artifacts.values():
        await store.put(data)
    return await Contents.of(store, {name: digest_bytes(data) for name, data in artifacts.items()})


async def test_one_that_cannot_be_written_keeps_no_other_from_it(tmp_path: Path) -> None:
    """Neither one before it nor one after it; and nothing of it is left."""
    artifacts = await delivered(tmp_path / "store", {"a": b"first", LONG: b"second", "c": b"third"})
    out = tight(tmp_path)
    written, failed = await write_artifacts(artifacts, out)
    assert {name: one.path for name, one in written.items()} == {"a": out / "a", "c": out / "c"}
    assert files(out) == {"a": b"first", "c": b"third"}
    assert [*failed] == [LONG]
    error = not_written(failed, out, "the store")
    assert (type(error), error.code) == (LedgerUnavailable, "store_unavailable")
    assert error.message == (
        f"--out: {LONG} is not written: {out / LONG}: File name too long; all is kept in the store"
    )


async def test_of_many_that_cannot_be_written_some_are_named(tmp_path: Path) -> None:
    artifacts = await delivered(tmp_path / "store", {f"{LONG}{number}": b"%d" % number for number in range(8)})
    out = tight(tmp_path)
    written, failed = await write_artifacts(artifacts, out)
    assert (written, len(failed)) == ({}, 8)
    message = not_written(failed, out, "the store").message
    assert message.count(" is not written: ") == 5
    assert message.endswith("; and 3 more are not; all is kept in the store")


async def test_one_that_our_store_has_no_more_keeps_no_other_from_it(tmp_path: Path) -> None:
    """What our store says is the error, and nothing is said to be kept there; unless the system refused another."""
    large = b"x" * (SMALL_BYTES + 1)
    artifacts = await delivered(tmp_path / "store", {"a": large, LONG: b"second", "c": b"third"})
    for file in (tmp_path / "store").rglob("*"):
        if file.is_file() and file.stat().st_size == len(large):
            file.unlink()
    (tmp_path / "out").mkdir()
    written, failed = await write_artifacts(artifacts, tmp_path / "out")
    assert ([*written], [*failed]) == ([LONG, "c"], ["a"])
    error = not_written(failed, tmp_path / "out", "the store")
    assert error.code == "not_found"
    assert error.message.startswith("--out: a is not written: ")
    assert "is kept in" not in error.message
    out = tight(tmp_path)
    written, failed = await write_artifacts(artifacts, out)
    assert ([*written], [*failed]) == (["c"], ["a", LONG])
    error = not_written(failed, out, "the store")
    assert error.code == "store_unavailable"
    assert "is kept in" not in error.message
