"""A file is read or written whole or not at all, and nothing is waited for."""

from __future__ import annotations

import errno
import os
import tracemalloc
from io import DEFAULT_BUFFER_SIZE
from pathlib import Path

import pytest

from support import file_size_limit
from undersigned.runtime.files import MAX_FILE_BYTES, open_file, read_file, whole_file, write_whole


def test_all_of_a_file(tmp_path: Path) -> None:
    for data in (b"", b"{}", bytes(MAX_FILE_BYTES)):
        (tmp_path / "file").write_bytes(data)
        assert read_file(tmp_path / "file") == data
        with open_file(tmp_path / "file") as file:
            assert file.read() == data
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert read_file(tmp_path / "link") == bytes(MAX_FILE_BYTES)


def test_a_small_file_takes_little_memory(tmp_path: Path) -> None:
    """Python takes all that it is asked to read up to: with 64 MiB for a key, little memory was not enough for any."""
    (tmp_path / "file").write_bytes(b"12345")
    tracemalloc.start()
    try:
        assert read_file(tmp_path / "file") == b"12345"
        assert tracemalloc.get_traced_memory()[1] < DEFAULT_BUFFER_SIZE + 10_000
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="such files are Linux's")
def test_a_file_that_does_not_say_how_large_it_is_is_read_whole() -> None:
    assert Path("/proc/self/status").stat().st_size == 0
    assert b"VmPeak" in read_file(Path("/proc/self/status"))
    with pytest.raises(OSError, match="larger than 4 bytes"):
        read_file(Path("/proc/self/status"), 4)


def test_no_more_than_was_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert read_file(tmp_path / "file", 5) == b"12345"
    with pytest.raises(OSError, match="larger than 4 bytes") as caught:
        read_file(tmp_path / "file", 4)
    assert caught.value.filename == str(tmp_path / "file")
    with (tmp_path / "endless").open("wb") as file:
        file.truncate(1 << 40)  # without a block on the disk
    tracemalloc.start()
    try:
        with pytest.raises(OSError, match="larger than"):
            read_file(tmp_path / "endless")
        assert tracemalloc.get_traced_memory()[1] < DEFAULT_BUFFER_SIZE + 10_000, "nothing of it was read"
    finally:
        tracemalloc.stop()


def test_what_has_no_end_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    descriptors = len(os.listdir("/proc/self/fd"))
    for path in (tmp_path / "pipe", tmp_path / "folder", Path("/dev/zero"), Path("/dev/null")):
        with pytest.raises(OSError, match="not a regular file") as caught:
            read_file(path)
        assert caught.value.filename == str(path)
    assert len(os.listdir("/proc/self/fd")) == descriptors, "none is left open"
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "missing")


def test_what_is_written_has_its_name_when_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "made" / "file"
    write_whole(file, b"first")
    with whole_file(file) as written:
        written.write(b"second")
        assert file.read_bytes() == b"first"
    assert file.read_bytes() == b"second"

    def fails() -> None:
        with whole_file(file) as written:
            written.write(b"third")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fails()
    assert [(one.name, one.read_bytes()) for one in file.parent.iterdir()] == [("file", b"second")]


@pytest.mark.parametrize("links", [True, False])
def test_what_has_to_be_new_stays_if_it_came_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, links: bool
) -> None:
    """Also where a file has one name only."""

    def no_link(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "one name only")

    if not links:
        monkeypatch.setattr(os, "link", no_link)
    file = tmp_path / "file"

    def made(meanwhile: bytes | None) -> None:
        with whole_file(file, new=True) as written:
            written.write(b"ours")
            if meanwhile is not None:
                file.write_bytes(meanwhile)

    with pytest.raises(FileExistsError) as caught:
        made(b"theirs")
    assert caught.value.filename == str(file)
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == {"file": b"theirs"}
    file.unlink()
    made(None)
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == {"file": b"ours"}


@pytest.mark.parametrize("before", [None, b"before"])
def test_a_full_disk_leaves_what_was_there(tmp_path: Path, before: bytes | None) -> None:
    file = tmp_path / "file"
    if before is not None:
        file.write_bytes(before)
    with file_size_limit(4096), pytest.raises(OSError, match="File too large") as caught:
        write_whole(file, bytes(9000))
    assert caught.value.filename == str(file)
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == ({} if before is None else {"file": before})


def test_what_cannot_be_made_is_told_by_the_name_that_was_asked_for(tmp_path: Path) -> None:
    """Also where what there is not cannot be taken away either, as on a disk that is read-only."""
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "made"
    with pytest.raises(NotADirectoryError) as caught, whole_file(path):
        pass
    assert caught.value.filename == str(path)


def test_nothing_is_written_in_place_of_a_pipe_or_a_device(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/null")):
        with pytest.raises(OSError, match="not a regular file") as caught:
            write_whole(path, b"x")
        assert caught.value.filename == str(path)
    assert not Path("/dev/null").is_file()
