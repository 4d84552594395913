"""Files that somebody named or that are in the state folder, read and written whole or not at all.

A pipe or a device has no end that could be waited for, and a running peer that waits for one does nothing else. What is
written has its name only once all of it is on disk: a disk that is full leaves no half of a file.
"""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import stat
import sys
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

from undersigned.errors import ConfigurationError

if sys.platform != "win32":
    import fcntl

__all__ = [
    "MAX_FILE_BYTES",
    "files_of",
    "hold",
    "in_thread",
    "just_now",
    "left_over",
    "naming",
    "of_the_system",
    "open_file",
    "open_private",
    "private_opener",
    "put_in_place",
    "read_file",
    "state_of",
    "sync_folder",
    "whole_file",
    "why",
    "write_all",
    "write_new",
    "write_whole",
]

T = TypeVar("T")

MAX_FILE_BYTES: Final = 1 << 20
"""Most that a file holds where nothing else is said."""
TICK_NANOSECONDS: Final = 20_000_000
"""Two changes that are nearer to each other may leave a file or folder the same time."""
NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
"""What a file system says on which a file has one name only."""
_AT_ONCE: Final = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


async def in_thread(work: Callable[[], T]) -> T:
    """What `work` returns, which a thread does, once that is over; so too where whoever waits for it is cancelled,
    twice as well.

    What it works on may be closed then. A SQLite connection that is closed while another thread reads by it ends the
    process (SIGSEGV).
    """
    running = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(running)
    finally:
        while not running.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([running])


@contextmanager
def naming(path: Path) -> Generator[None]:
    """Around what is read from a file or written to it: the system names it only where it is opened.

    Raises:
        OSError: What the system says, with the name of the file.
    """
    try:
        yield
    except OSError as exc:
        if exc.filename is None and exc.errno is not None:
            raise OSError(exc.errno, exc.strerror, str(path)) from exc
        raise


def why(exc: BaseException) -> str:
    """What went wrong with a file, for whoever has named it already."""
    if isinstance(exc, UnicodeDecodeError):
        return f"expected UTF-8 text; came the byte 0x{exc.object[exc.start]:02x} at place {exc.start}"
    return (exc.strerror if isinstance(exc, OSError) else None) or str(exc)


def of_the_system(error: BaseException) -> bool:
    """Whether this is because a file could not be read, of which nothing tells when it can be: for want of descriptors,
    say.
    """
    cause = error.__cause__
    return cause is not None and (isinstance(cause, OSError) or of_the_system(cause))


def read_file(path: Path, most: int = MAX_FILE_BYTES) -> bytes:
    """What a regular file of at most `most` bytes holds.

    Raises:
        OSError: It cannot be read, is no regular file, or holds more.
    """
    with open_file(path) as file, naming(path):
        # No more is asked for than there is: all of it would be taken from the memory first.
        size = os.fstat(file.fileno()).st_size
        data = file.read(size + 1) if size <= most else b""
        if len(data) > size:  # it grew meanwhile, or is of those that never say how large they are
            data += file.read(most + 1 - len(data))
    if max(size, len(data)) > most:
        raise OSError(errno.EINVAL, f"larger than {most} bytes", str(path))
    return data


def files_of(folder: Path, pattern: str) -> list[Path]:
    """The files of a folder whose names match, in order of their names; none if there is no folder.

    Raises:
        OSError: It cannot be listed. `Path.glob` takes such a folder for an empty one.
    """
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return [folder / name for name in sorted(names) if fnmatchcase(name, pattern)]


def open_file(path: Path | str, *, links: bool = True) -> BinaryIO:
    """A regular file, opened for reading; without `links`, not by a link to it.

    Raises:
        OSError: It cannot be opened, or is no regular file.
    """
    return open(path, "rb", opener=_regular if links else _regular_itself)


@contextmanager
def open_private(path: Path) -> Generator[BinaryIO]:
    """A regular file that nobody but this user may read, opened for reading until the block ends.

    Raises:
        ConfigurationError: `bad_configuration`, others may read it.
        OSError: It cannot be opened, or is no regular file.
    """
    with open_file(path) as file:
        if os.name == "posix" and os.fstat(file.fileno()).st_mode & 0o077:
            raise ConfigurationError("bad_configuration", f"others may read {path}: make its mode 0600")
        yield file


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


if sys.platform == "win32":  # where no file is removed that somebody has open

    def hold(file: BinaryIO) -> None:
        """Nothing: who opens a file holds it."""

    def left_over(path: Path) -> bool:
        """Whether there is a file: one that is held cannot be removed."""
        return path.exists()

else:

    def hold(file: BinaryIO) -> None:
        """Says of a file that somebody is writing it, until it is closed or this process ends, however it does."""
        with suppress(OSError):  # a file system without locks: there nothing is known to be left over
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def left_over(path: Path) -> bool:
        """Whether nobody holds a file; False where that cannot be told."""
        try:
            with open_file(path, links=False) as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


@contextmanager
def whole_file(path: Path, *, private: bool = False, new: bool = False) -> Generator[BinaryIO]:
    """A file to write to, which takes its name, and the place of what is there, once the block ends. If anything fails
    nothing is changed; after a crash it is the old one or the new one, and once this returns the new one. One that is
    `private` only this user may read; if it has to be `new`, what is there by then stays.

    Raises:
        OSError: It cannot be written, or `path` is something else than a regular file; `FileExistsError`: it has to be
            new, and something is there.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    beside = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}")
    try:
        with open(beside, "xb", opener=private_opener if private else None) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        put_in_place(beside, path, new=new)
        sync_folder(path.parent)
    except OSError as exc:
        if exc.filename in (None, str(beside)):
            raise OSError(exc.errno, exc.strerror, str(path)) from exc
        raise
    finally:
        with suppress(OSError):  # where nothing could be made, it may not be to take it away that is told
            beside.unlink()


def put_in_place(made: Path, path: Path, *, new: bool = False) -> None:
    """Gives a file its name, in place of what has it; if it has to be `new`, only a name that nothing has.

    Raises:
        FileExistsError: It has to be new, and something has that name.
        OSError: What the system says.
    """
    if not new:
        made.replace(path)
        return
    try:
        os.link(made, path, follow_symlinks=False)
    except OSError as exc:
        if exc.errno not in NO_LINKS:
            raise
        # On a file system where a file has one name only, somebody can still come in between.
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from exc
        made.replace(path)
    else:
        made.unlink()


def sync_folder(folder: Path) -> None:
    """Returns once the names in a folder are on disk.

    Raises:
        OSError: What the system says, with the name of the folder.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with naming(folder):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def private_opener(path: str, flags: int) -> int:
    """Opener of files that only this user may read."""
    return os.open(path, flags, 0o600)


def write_all(file: BinaryIO, data: bytes | bytearray) -> None:
    """Writes all of `data`; an unbuffered file may take less than it is given."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def write_new(path: Path, data: bytes) -> None:
    """Writes a file that is not there yet, and that only this user may read.

    Raises:
        OSError: What the system says, with the name of the file; `FileExistsError`: it is there.
    """
    with naming(path), open(path, "xb", opener=private_opener) as file:
        file.write(data)


def write_whole(path: Path, data: bytes, *, private: bool = False) -> None:
    """Writes or replaces a file, as `whole_file`, in a folder that is made if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path, private=private) as file:
        file.write(data)


def state_of(paths: Iterable[Path | str]) -> tuple[tuple[int, int], ...]:
    """Of each file or folder when it was changed, in nanoseconds, and its number: others once it is another, or zeros
    where nothing can be seen of it.
    """
    found: list[tuple[int, int]] = []
    for path in paths:
        try:
            status = os.stat(path)
            found.append((status.st_mtime_ns, status.st_ino))
        except OSError:
            found.append((0, 0))
    return tuple(found)


def just_now(state: tuple[tuple[int, int], ...]) -> bool:
    """Whether any of them was changed so short ago that another change since would not show in `state_of`."""
    now = time.time_ns()
    for changed, _ in state:  # noqa: SIM110 - each decision asks this, and a generator is entered thrice
        if 0 <= now - changed < TICK_NANOSECONDS:
            return True
    return False
