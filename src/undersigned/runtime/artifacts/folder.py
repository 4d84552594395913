"""The files of artifacts in a folder, written off the event loop.

A file is named by its own digest and by nothing a peer said, so no name leads outside the folder, and a link in it is
no file. It has its name when it is on disk, and a name is on disk when whoever put it is told so.

Beside an artifact that was fetched stands an empty file, named by the two digests of what came and of the engagement
under which it did (`mark_of`). It has its name on disk by the same sync of the folder as the artifact, so that it costs
neither a commit nor a sync of its own.

What is put in one round of the event loop goes to a thread as one, with one sync of the folder for all.

Source: protocol-spec/08-attestation-and-evidence.md, section "Artifacts"
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Generator
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Final, NamedTuple

from undersigned.encoding import Digest, EngagementId, digest_bytes
from undersigned.errors import UndersignedError
from undersigned.runtime.files import hold, open_file, private_opener, sync_folder, write_all

from .incoming import part_name

__all__ = ["MAX_GROUP", "Files", "checked_digest", "mark_of", "read_file"]

MAX_GROUP: Final = 16
"""Artifacts that one thread writes together; what is put beside them goes to another thread."""
MAX_OPEN: Final = 4
"""How many of them are open at a time: of what a process may have open it needs most for others, however many threads
there are.
"""
STEPS: Final = ("its bytes are written", "they are on disk", "it has its name")
"""What becomes of each file, one after the other."""


class _Put(NamedTuple):
    digest: Digest
    data: bytes
    under: EngagementId | None
    written: asyncio.Future[None]
    """Done once it is on disk."""


class Files:
    """The files of a folder. What raises `OSError` here is told by the store, which knows where it is for people."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._gathered: tuple[asyncio.AbstractEventLoop, list[_Put]] | None = None
        """What is put in this round of a loop."""
        self._writing = set[asyncio.Task[None]]()

    def path(self, digest: Digest) -> str:
        """Where an artifact is, if it is there."""
        return f"{self.folder}/{checked_digest(digest)}"

    async def put(self, digest: Digest, data: bytes, under: EngagementId | None) -> None:
        """Returns once `data` is on disk, and with it that it came under this engagement.

        Raises:
            OSError: It is not.
        """
        loop = asyncio.get_running_loop()
        gathered = self._gathered
        if gathered is None or gathered[0] is not loop or len(gathered[1]) == MAX_GROUP:
            gathered = self._gathered = loop, []
            task = loop.create_task(self._write_together(gathered[1]))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)
        put = _Put(digest, data, under, loop.create_future())
        gathered[1].append(put)
        await put.written

    async def _write_together(self, puts: list[_Put]) -> None:
        """Has a thread write what was put until now, and says to whom it is on disk."""
        self._gathered = None
        try:
            errors = await asyncio.to_thread(self._write_all, puts)
        except Exception as exc:  # no thread can be had
            errors = [exc] * len(puts)
        for put, error in zip(puts, errors, strict=True):
            if put.written.done():
                continue  # who put it has given up
            if error is None:
                put.written.set_result(None)
            else:
                put.written.set_exception(error)

    def publish(self, path: Path, digest: Digest, under: EngagementId | None) -> None:
        """Gives a whole file of the same file system, whose digest is right, its name; for a thread.

        Raises:
            OSError: It has none; then the file is where it was.
        """
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._rename(path, digest, under)
        sync_folder(self.folder)

    def _write_all(self, puts: list[_Put]) -> list[Exception | None]:
        """What went wrong with each; all others are on disk then."""
        errors: list[Exception | None] = []
        for first in range(0, len(puts), MAX_OPEN):
            errors += self._write_some(puts[first : first + MAX_OPEN])
        try:
            # A new name survives a power cut only once its folder is on disk, too; and whoever gave one to what was
            # there already may be about to sync it, or have failed to.
            if None in errors:
                sync_folder(self.folder)
        except OSError as exc:
            return [error or exc for error in errors]
        return errors

    def _write_some(self, puts: list[_Put]) -> list[Exception | None]:
        """What went wrong with each; all others are on disk then, but for their names."""
        errors: list[Exception | None] = [None] * len(puts)
        written = [self._write(put.digest, put.data, put.under) for put in puts]
        # All of them step by step: the first sync has that there are new files on disk for the others, too, and no name
        # that changes meanwhile makes another one do it again.
        for _ in STEPS:
            for place, one in enumerate(written):
                try:
                    next(one, None)
                except Exception as exc:
                    errors[place] = exc
        return errors

    def _write(self, digest: Digest, data: bytes, under: EngagementId | None) -> Generator[None]:
        """Has the file there, on disk but for its name, in `STEPS`."""
        path = self.path(digest)
        # Nearly always there is nothing, and to be told so by opening it takes longer.
        if os.path.lexists(path):
            # What is there already may be damaged, or a link; then it is replaced.
            whole = False
            with suppress(OSError):
                whole = digest_bytes(read_file(path)) == digest
            if whole:
                self._mark_came(digest, under)
                return
        beside = f"{self.folder}/{part_name()}"
        try:
            with self._open(beside) as file:
                hold(file)
                write_all(file, data)
                yield
                os.fsync(file)
                yield  # and until it has its name this one is held
            self._rename(beside, digest, under)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(beside)
            raise

    def _open(self, path: str) -> FileIO:
        """A new file of the folder, which is made if there is none."""
        try:
            return open(path, "xb", buffering=0, opener=private_opener)
        except FileNotFoundError:
            self.folder.mkdir(parents=True, exist_ok=True)
            return open(path, "xb", buffering=0, opener=private_opener)

    def _rename(self, whole: Path | str, digest: Digest, under: EngagementId | None) -> None:
        """Puts a file that is on disk in its place, where a power cut may still take its name."""
        os.replace(whole, self.path(digest))
        self._mark_came(digest, under)

    def _mark_came(self, digest: Digest, under: EngagementId | None) -> None:
        if under is not None:
            os.close(os.open(f"{self.folder}/{mark_of(digest, under)}", os.O_CREAT | os.O_WRONLY, 0o600))


def checked_digest(digest: Digest) -> Digest:
    """The same. A digest is of a fixed alphabet and length (checked where it was decoded), so it is a file name.

    Raises:
        UndersignedError: `bad_path`: it is none.
    """
    if "/" in digest or not digest.startswith("uEi"):
        raise UndersignedError("bad_path", f"{digest!r} is not a digest")
    return digest


def mark_of(digest: Digest, under: EngagementId) -> str:
    """The name that says that `digest` came under an engagement, whose id ends with a digest."""
    return f"{checked_digest(digest)}.{checked_digest(under.rpartition(':')[2])}"


def read_file(path: str) -> bytes:
    """What a regular file holds.

    Raises:
        OSError: It is none: a link leads to what somebody else chose, and a pipe has no end.
    """
    with open_file(path, links=False) as file:
        return file.read()
