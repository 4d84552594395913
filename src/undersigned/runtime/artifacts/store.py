"""Contents by digest: what goes into work and what comes out of it.

What is named by its digest (`folder`) is checked against it again when it is read; a file that was changed on disk is
not served.

What is small is held in memory and written at once. Everything larger comes through a private file (`incoming`), piece
by piece. It is read in pieces as well, of which the last is given only when the digest of all is known to be right.

What came under an engagement says so (`came`): what is here for another reason, nobody is paid for.

Source: protocol-spec/08-attestation-and-evidence.md, section "Artifacts"
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from contextlib import aclosing, suppress
from functools import partial
from hashlib import new, sha256
from pathlib import Path
from typing import BinaryIO, Final

from undersigned.encoding import Digest, EngagementId, digest_bytes, digest_from_hex, digest_hex
from undersigned.errors import LedgerError, LedgerUnavailable, UndersignedError, VerificationError
from undersigned.runtime.files import left_over, open_file, private_opener, put_in_place, why, write_all

from .folder import Files, mark_of, read_file
from .incoming import PIECE_BYTES, SMALL_BYTES, Hasher, Incoming, Stored, fresh_part, unwritten

__all__ = ["ArtifactStore", "missing", "of_store"]

RECENT_BYTES: Final = 8 * SMALL_BYTES
"""Artifacts that are kept in memory beside the disk, all together."""
STALE_SECONDS: Final = 86_400.0
"""A file on its way that nobody wrote to for so long was left by a process that ended."""
SETTLED_SECONDS: Final = 1.0
"""So was one that nobody holds, if it is no small one that is written in a moment, or one that is just being made."""
_NOT_THERE: Final = frozenset({errno.ENOENT, errno.ELOOP, errno.EINVAL, errno.ENXIO})
"""What opening a file says where there is none, or something that is none; all else is a store that is away."""


class ArtifactStore:
    """A folder of artifacts. Files are read and written off the event loop."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._recent: OrderedDict[Digest, bytes] = OrderedDict()
        self._held = 0
        self._files = Files(folder)

    @property
    def where(self) -> str:
        """Where it is, for people."""
        return str(self.folder)

    def place(self, digest: Digest) -> str:
        """Where an artifact is, if it is there, for people."""
        return f"{self.where}/{digest}"

    # ------------------------------------------------------------------ writing

    async def put(self, data: bytes, under: EngagementId | None = None, digest: Digest | None = None) -> Digest:
        """Keeps `data`; returns its digest once it is on disk, and with it that it came under this engagement. `digest`
        is given by whoever has just found it right.

        Raises:
            LedgerUnavailable: `store_full`, `store_unavailable`.
        """
        digest = digest or digest_bytes(data)
        # What is in memory may be gone where it is kept: somebody made room there, or a bucket let it expire.
        if digest not in self._recent or under is not None or await self._size_kept(digest) != len(data):
            await self._keep(digest, data, under)
        self._remember(digest, data)
        return digest

    async def put_chunks(self, chunks: AsyncIterable[bytes], *, max_bytes: int, digest: Digest | None = None) -> Stored:
        """Keeps what comes, once it is whole; with `digest` nothing else than that. No more of it is held in memory
        than `SMALL_BYTES` and a chunk, and if anything fails, nothing of it is left.

        Raises:
            FormatError: `too_large`, at the first byte beyond `max_bytes`.
            VerificationError: `digest_mismatch`.
            LedgerUnavailable: `store_full`, `store_unavailable`.
        """
        async with self.receive(max_bytes=max_bytes, digest=digest) as incoming:
            async for chunk in chunks:
                await incoming.add(chunk)
            return await incoming.keep()

    async def put_file(self, path: Path, *, max_bytes: int) -> Stored:
        """Keeps a copy of what a regular file holds now.

        Raises:
            OSError: It cannot be read, or is no regular file.
            FormatError: `too_large`.
            LedgerUnavailable: `store_full`, `store_unavailable`.
        """
        async with aclosing(read_pieces(path)) as chunks:
            return await self.put_chunks(chunks, max_bytes=max_bytes)

    def receive(
        self,
        *,
        max_bytes: int,
        digest: Digest | None = None,
        hold_bytes: int = SMALL_BYTES,
        under: EngagementId | None = None,
    ) -> Incoming:
        """Something on its way into this store, from the other side of the engagement `under`, if it is named: `async
        with` it. What was not kept when the block ends is gone.
        """
        return Incoming(self, max_bytes, digest, hold_bytes, under)

    # ------------------------------------------------------------------ reading

    async def came(self, digest: Digest, under: EngagementId) -> bool:
        """Whether `digest` came here whole from the other side of this engagement, whatever became of it since.

        Raises:
            LedgerUnavailable: `store_unavailable`: that could not be looked up.
        """
        try:
            os.lstat(f"{self.folder}/{mark_of(digest, under)}")
        except OSError as exc:
            if exc.errno not in _NOT_THERE:
                raise self._unread(exc) from exc
            return False
        return True

    async def get(self, digest: Digest) -> bytes:
        """The bytes of `digest`.

        Raises:
            UndersignedError: `not_found`.
            VerificationError: `digest_mismatch`, the file on disk is damaged.
            LedgerUnavailable: `store_unavailable`.
        """
        recent = self._recent.get(digest)
        if recent is not None:
            return recent
        data = await self._whole(digest)
        if digest_bytes(data) != digest:
            raise _damaged(digest)
        self._remember(digest, data)
        return data

    async def size(self, digest: Digest) -> int | None:
        """How many bytes `digest` has, or None if it is not here. They are not looked at: see `sound`.

        Raises:
            LedgerUnavailable: `store_unavailable`: that could not be looked up.
        """
        recent = self._recent.get(digest)
        return len(recent) if recent is not None else await self._size_kept(digest)

    async def _size_kept(self, digest: Digest) -> int | None:
        """As `size`, whatever is in memory."""
        try:
            found = os.lstat(self._files.path(digest))
        except OSError as exc:
            if exc.errno not in _NOT_THERE:
                raise self._unread(exc) from exc
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    async def sound(self, digest: Digest) -> int | None:
        """How many bytes `digest` has, once all of them were read and are right; None if it is not here, or damaged.

        Raises:
            LedgerUnavailable: `store_unavailable`.
        """
        size = await self.size(digest)
        try:
            if size is not None and size <= SMALL_BYTES:
                return len(await self.get(digest))
            if size is not None:
                async for _ in self.pieces(digest):
                    pass
        except UndersignedError as error:
            if not of_store(error) or error.retryable:
                raise
            return None
        return size

    async def pieces(self, digest: Digest, start: int = 0) -> AsyncGenerator[bytes]:
        """The bytes of `digest` from `start` on, in pieces of at most `PIECE_BYTES`. The last one is given only once
        the digest of all is known to be right, so nobody who reads to the end has read anything else.

        Raises:
            UndersignedError, VerificationError: As `get`.
        """
        hasher, place, held = sha256(), 0, b""
        async with aclosing(self._pieces(digest, hasher)) as pieces:
            async for piece in pieces:
                if held:
                    yield held
                place, begins = place + len(piece), max(0, start - place)
                held = piece[begins:]
        if digest_from_hex(hasher.hexdigest()) != digest:
            raise _damaged(digest)
        if held:
            yield held

    async def copy(
        self, digest: Digest, path: Path, tell: Callable[[int], None] | None = None, *, new: bool = False
    ) -> None:
        """Writes the bytes of `digest` to `path`, whole or not at all. What is there is replaced, and not written
        through: it may be a link; if it has to be `new`, it stays. `tell` hears how many are written.

        Raises:
            UndersignedError, VerificationError: As `get`; then nothing is written.
            OSError: It cannot be written; `FileExistsError`: it has to be new, and something is there.
        """
        beside = fresh_part(path.parent)
        try:
            async with aclosing(self.pieces(digest)) as pieces:
                # Not in a thread, which would still make it when nobody waits any more.
                with open(beside, "xb", buffering=0) as file:  # noqa: ASYNC230
                    written = 0
                    async for piece in pieces:
                        await asyncio.to_thread(write_all, file, piece)
                        written += len(piece)
                        if tell is not None:
                            tell(written)
                    # The name does not come before the bytes, whatever happens to the machine.
                    await asyncio.to_thread(os.fsync, file.fileno())
            await asyncio.to_thread(put_in_place, beside, path, new=new)
        except BaseException as exc:
            await asyncio.to_thread(beside.unlink, missing_ok=True)
            if isinstance(exc, OSError) and exc.errno and exc.filename in (None, str(beside)):
                raise OSError(exc.errno, exc.strerror, str(path)) from exc  # what was asked for, and not the way to it
            raise

    async def digests(self, digest: Digest, algorithms: frozenset[str]) -> dict[str, str]:
        """Digests of the bytes of `digest` by these algorithms, in lower-case hex, without holding them.

        Raises:
            UndersignedError, VerificationError: As `get`.
        """
        known = {"sha256": digest_hex(digest)}
        if algorithms <= known.keys():
            return known
        hashers = {name: new(name) for name in algorithms - known.keys()}

        def update(piece: bytes) -> None:
            for hasher in hashers.values():
                hasher.update(piece)

        async for piece in self.pieces(digest):
            await asyncio.to_thread(update, piece)
        return known | {name: hasher.hexdigest() for name, hasher in hashers.items()}

    def read_now(self, digest: Digest) -> bytes:
        """As `get`, for callers without asyncio: it blocks, and remembers nothing."""
        recent = self._recent.get(digest)
        if recent is not None:
            return recent
        data = self._read(digest)
        if digest_bytes(data) != digest:
            raise _damaged(digest)
        return data

    # ------------------------------------------------------------------ the folder

    @property
    def scratch(self) -> Path:
        """Folder of what is on its way; on the file system of what is here, so that one becomes the other."""
        return self.folder

    async def check(self) -> None:
        """Returns if the store can be used: something can be written there.

        Raises:
            LedgerUnavailable: `store_unavailable`, `store_full`.
        """

        def written() -> None:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            beside = fresh_part(self.folder)
            try:
                with open(beside, "xb", buffering=0, opener=private_opener) as file:
                    write_all(file, b"?")
            finally:
                beside.unlink(missing_ok=True)

        await self._writes(written)

    def sweep(self) -> None:
        """Removes what a process that was killed left on its way; nothing that anybody still writes to."""
        now = time.time()
        for path in self.scratch.glob("*.part"):
            with suppress(OSError):  # it is finished or removed at this moment, by another process
                idle = now - path.lstat().st_mtime
                if idle > STALE_SECONDS or (idle > SETTLED_SECONDS and left_over(path)):
                    path.unlink()

    async def _keep(self, digest: Digest, data: bytes, under: EngagementId | None) -> None:
        try:
            await self._files.put(digest, data, under)
        except OSError as exc:
            raise unwritten(self.folder, exc) from exc

    async def _writes(self, write: Callable[[], None]) -> None:
        try:
            await asyncio.to_thread(write)
        except OSError as exc:
            raise unwritten(self.folder, exc) from exc

    async def publish(self, path: Path, digest: Digest, under: EngagementId | None = None) -> None:
        """Gives a whole file of `scratch`, whose digest is right, its name; for `Incoming`.

        Raises:
            LedgerUnavailable: `store_full`, `store_unavailable`; then the file is where it was.
        """
        await self._writes(partial(self._files.publish, path, digest, under))

    async def _whole(self, digest: Digest) -> bytes:
        return await asyncio.to_thread(self._read, digest)

    async def _pieces(self, digest: Digest, hasher: Hasher) -> AsyncGenerator[bytes]:
        """The bytes as they are stored; each piece is in the hash before it is given."""
        path = self._files.path(digest)
        try:
            file = await asyncio.to_thread(open_file, path, links=False)
        except OSError as exc:
            raise self._unread(exc, digest) from exc

        def read() -> bytes:
            try:
                piece = file.read(PIECE_BYTES)
            except OSError as exc:
                raise self._unread(exc) from exc
            hasher.update(piece)
            return piece

        try:
            while piece := await asyncio.to_thread(read):
                yield piece
        finally:
            file.close()

    def _read(self, digest: Digest) -> bytes:
        try:
            return read_file(self._files.path(digest))
        except OSError as exc:
            raise self._unread(exc, digest) from exc

    def _unread(self, exc: OSError, digest: Digest | None = None) -> UndersignedError:
        """Why nothing is read: `digest` is not there, or it cannot be known whether it is."""
        if digest is not None and exc.errno in _NOT_THERE:
            return missing(digest)
        text = f"the artifacts at {self.folder} cannot be read: {why(exc)}"
        return LedgerUnavailable("store_unavailable", text)

    def _remember(self, digest: Digest, data: bytes) -> None:
        """Small artifacts are asked for soon after they came: by the other side, by the review, by the application."""
        if len(data) > SMALL_BYTES or digest in self._recent:
            return
        self._recent[digest] = data
        self._held += len(data)
        while self._held > RECENT_BYTES:
            self._held -= len(self._recent.popitem(last=False)[1])


async def read_pieces(path: Path) -> AsyncGenerator[bytes]:
    """What a regular file holds, off the event loop: at first as much as is held in memory, then in pieces.

    Raises:
        OSError: It cannot be read, or is no regular file.
    """

    def first() -> tuple[BinaryIO, bytes]:
        file = open_file(path)
        try:
            return file, file.read(SMALL_BYTES)
        except BaseException:
            file.close()
            raise

    file, piece = await asyncio.to_thread(first)
    with file:
        yield piece
        # A small file ended in the first read, and is not asked again.
        while len(piece) in (SMALL_BYTES, PIECE_BYTES):
            piece = await asyncio.to_thread(file.read, PIECE_BYTES)
            if piece:
                yield piece


def missing(digest: Digest) -> UndersignedError:
    """That something is not in a store."""
    return UndersignedError("not_found", f"no artifact {digest} here", stored=digest)


def _damaged(digest: Digest) -> VerificationError:
    return VerificationError("digest_mismatch", f"the file of artifact {digest} has other bytes", stored=digest)


def of_store(error: UndersignedError) -> bool:
    """Whether an error says something about a store of ours, what is in it and what is not, and about nobody's work."""
    return isinstance(error, LedgerError) or "stored" in error.detail
