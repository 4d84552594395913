"""A file is read whole or not at all, and nothing is waited for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from undersigned.runtime.files import MAX_FILE_BYTES, open_file, read_file


def test_all_of_a_file(tmp_path: Path) -> None:
    for data in (b"", b"{}", bytes(MAX_FILE_BYTES)):
        (tmp_path / "file").write_bytes(data)
        assert read_file(tmp_path / "file") == data
        with open_file(tmp_path / "file") as file:
            assert file.read() == data
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert read_file(tmp_path / "link") == bytes(MAX_FILE_BYTES)


def test_no_more_than_was_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert read_file(tmp_path / "file", 5) == b"12345"
    with pytest.raises(OSError, match="larger than 4 bytes") as caught:
        read_file(tmp_path / "file", 4)
    assert caught.value.filename == str(tmp_path / "file")
    with (tmp_path / "endless").open("wb") as file:
        file.truncate(1 << 40)  # without a block on the disk
    with pytest.raises(OSError, match="larger than"):
        read_file(tmp_path / "endless")


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
