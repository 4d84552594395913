"""Files that somebody named or put into the state folder, read whole or not at all.

A pipe or a device has no end that could be waited for, and a running peer that waits for one does nothing else.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

__all__ = ["MAX_FILE_BYTES", "open_file", "read_file"]

MAX_FILE_BYTES: Final = 1 << 20
"""Most that a file holds where nothing else is said."""
_AT_ONCE: Final = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


def read_file(path: Path, most: int = MAX_FILE_BYTES) -> bytes:
    """What a regular file of at most `most` bytes holds.

    Raises:
        OSError: It cannot be read, is no regular file, or holds more.
    """
    with open_file(path) as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EINVAL, f"larger than {most} bytes", str(path))
    return data


def open_file(path: Path, *, links: bool = True) -> BinaryIO:
    """A regular file, opened for reading; without `links`, not by a link to it.

    Raises:
        OSError: It cannot be opened, or is no regular file.
    """
    return open(path, "rb", opener=_regular if links else _regular_itself)


def _regular_itself(path: str, flags: int) -> int:
    return _regular(path, flags | getattr(os, "O_NOFOLLOW", 0))


def _regular(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | _AT_ONCE)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
