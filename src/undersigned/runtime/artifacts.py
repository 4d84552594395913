"""Contents by digest: what goes into work and what comes out of it.

A file is named by its own digest and by nothing a peer said, so no name leads outside the folder, and a link in it is
no file. Reading checks the digest again; a file that was changed on disk is not served.

What is small is held in memory and written at once. Everything larger goes through a private file, piece by piece, and
gets its name once it is whole and its digest is right; until then nobody can ask for it. It is read in pieces as well,
of which the last is given only when the digest of all is known to be right.

Source: protocol-spec/08-attestation-and-evidence.md, section "Artifacts"
"""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import stat
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator, Mapping
from contextlib import aclosing, suppress
from hashlib import new, sha256
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, Protocol

from undersigned.encoding import Digest, digest_bytes, digest_from_hex, digest_hex
from undersigned.errors import NO_ROOM, FormatError, LedgerError, LedgerUnavailable, UndersignedError, VerificationError

from .files import open_file, put_in_place, why

__all__ = [
    "MAX_WHOLE_BYTES",
    "PIECE_BYTES",
    "SMALL_BYTES",
    "ArtifactStore",
    "Contents",
    "Incoming",
    "Stored",
    "of_store",
]

RECENT_BYTES: Final = 16 * 1024 * 1024
"""Artifacts that are kept in memory beside the disk, all together."""
SMALL_BYTES: Final = RECENT_BYTES // 8
"""Up to here an artifact is held in memory as a whole; nothing of a larger one is, but a few pieces."""
PIECE_BYTES: Final = 256 * 1024
MAX_WHOLE_BYTES: Final = 64 * 1024 * 1024
"""Most that is read into memory for who asks for all bytes at once."""
STALE_SECONDS: Final = 86_400.0
"""A file on its way that nobody wrote to for so long was left by a process that ended."""
_NOT_THERE: Final = frozenset({errno.ENOENT, errno.ELOOP, errno.EINVAL, errno.ENXIO})
"""What opening a file says where there is none, or something that is none; all else is a store that is away."""


class Stored(NamedTuple):
    """What is in a store."""

    digest: Digest
    size: int
    """In bytes."""


class Hasher(Protocol):
    """What `hashlib` gives."""

    def update(self, data: bytes | bytearray, /) -> None:
        """Takes the next bytes."""
        ...

    def hexdigest(self) -> str:
        """The digest of what was taken."""
        ...


class ArtifactStore:
    """A folder of artifacts. Files are read and written off the event loop."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._recent: OrderedDict[Digest, bytes] = OrderedDict()
        self._held = 0

    @property
    def where(self) -> str:
        """Where it is, for people."""
        return str(self.folder)

    def place(self, digest: Digest) -> str:
        """Where an artifact is, if it is there, for people."""
        return f"{self.where}/{digest}"

    # ------------------------------------------------------------------ writing

    async def put(self, data: bytes) -> Digest:
        """Keeps `data`; returns its digest once it is on disk.

        Raises:
            LedgerUnavailable: `store_full`, `store_unavailable`.
        """
        digest = digest_bytes(data)
        if digest not in self._recent:
            await self._keep(digest, data)
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

    def receive(self, *, max_bytes: int, digest: Digest | None = None, hold_bytes: int = SMALL_BYTES) -> Incoming:
        """Something on its way into this store: `async with` it. What was not kept when the block ends is gone."""
        return Incoming(self, max_bytes, digest, hold_bytes)

    # ------------------------------------------------------------------ reading

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
        if recent is not None:
            return len(recent)
        try:
            found = os.lstat(self._path(digest))
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
        beside = _fresh(path.parent)
        try:
            async with aclosing(self.pieces(digest)) as pieces:
                # Not in a thread, which would still make it when nobody waits any more.
                with open(beside, "xb", buffering=0) as file:  # noqa: ASYNC230
                    written = 0
                    async for piece in pieces:
                        await asyncio.to_thread(_write_all, file, piece)
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
            beside = _fresh(self.folder)
            try:
                with open(beside, "xb", buffering=0, opener=_private) as file:
                    _write_all(file, b"?")
            finally:
                beside.unlink(missing_ok=True)

        await self._writes(written)

    def sweep(self) -> None:
        """Removes what a process that was killed left on its way; nothing that anybody still writes to."""
        before = time.time() - STALE_SECONDS
        for path in self.scratch.glob("*.part"):
            with suppress(OSError):  # it is finished or removed at this moment, by another process
                if path.lstat().st_mtime < before:
                    path.unlink()

    async def _keep(self, digest: Digest, data: bytes) -> None:
        await self._writes(self._write, digest, data)

    async def _writes(self, write: Callable[..., None], *given: object) -> None:
        try:
            await asyncio.to_thread(write, *given)
        except OSError as exc:
            raise unwritten(self.folder, exc) from exc

    async def publish(self, path: Path, digest: Digest) -> None:
        """Gives a whole file of `scratch`, whose digest is right, its name; for `Incoming`.

        Raises:
            LedgerUnavailable: `store_full`, `store_unavailable`; then the file is where it was.
        """

        def published() -> None:
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            self._rename(path, self._path(digest))

        await self._writes(published)

    async def _whole(self, digest: Digest) -> bytes:
        return await asyncio.to_thread(self._read, digest)

    async def _pieces(self, digest: Digest, hasher: Hasher) -> AsyncGenerator[bytes]:
        """The bytes as they are stored; each piece is in the hash before it is given."""
        path = self._path(digest)
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
            return _read(self._path(digest))
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

    def _path(self, digest: Digest) -> str:
        return f"{self.folder}/{checked_digest(digest)}"

    def _write(self, digest: Digest, data: bytes) -> None:
        path = self._path(digest)
        # Nearly always there is nothing, and to be told so by opening it takes longer.
        if os.path.lexists(path):
            # What is there already may be damaged, or a link; then it is replaced.
            whole = False
            with suppress(OSError):
                whole = digest_bytes(_read(path)) == digest
            if whole:
                self._sync_folder()  # whoever named it may be about to, or have failed to
                return
        elif not os.path.isdir(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        beside = f"{self.scratch}/{_part()}"
        try:
            with open(beside, "xb", buffering=0, opener=_private) as file:
                _write_all(file, data)
                os.fsync(file)
            self._rename(beside, path)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(beside)
            raise

    def _rename(self, whole: Path | str, path: str) -> None:
        """Puts a file that is on disk in its place."""
        os.replace(whole, path)
        self._sync_folder()

    def _sync_folder(self) -> None:
        """A new name survives a power cut only once its folder is on disk, too."""
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class Incoming:
    """Something on its way into a store: held in memory while it is small, then in a private file."""

    def __init__(self, store: ArtifactStore, max_bytes: int, digest: Digest | None, hold_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.size = 0
        """Bytes that came so far."""
        self._store = store
        self._wanted = digest
        self._hold_bytes = hold_bytes
        self._held = bytearray()
        self._hasher: Hasher | None = None
        """Of what is in the file."""
        self._path: Path | None = None
        self._file: BinaryIO | None = None
        self._writing: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Incoming:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.discard()

    async def add(self, chunk: bytes) -> None:
        """The next bytes.

        Raises:
            FormatError: `too_large`: with these it would be more than `max_bytes`.
            LedgerUnavailable: `store_full`, `store_unavailable`: there is no room for what came before. None of these
                are taken, and all that came is still here: they can be added again.
        """
        if self.size + len(chunk) > self.max_bytes:
            raise too_large(self.max_bytes)
        if len(self._held) + len(chunk) > (self._hold_bytes if self._file is None else PIECE_BYTES):
            await self._spill()
        self._held += chunk
        self.size += len(chunk)

    async def restart(self) -> None:
        """It begins again: what came so far does not count."""
        await self.discard()
        self.size, self._held, self._hasher = 0, bytearray(), None

    async def keep(self) -> Stored:
        """Ends it: it is in the store now.

        Raises:
            VerificationError: `digest_mismatch`.
            LedgerUnavailable: `store_full`, `store_unavailable`; then it can be ended again.
        """
        if self._file is None:
            data = self.whole()
            # Its digest is known to be right, or not known yet.
            return Stored(await self._store.put(data), len(data))
        path, digest = await self._ended()
        await self._store.publish(path, digest)
        self._path = None
        return Stored(digest, self.size)

    def whole(self) -> bytes:
        """All of it, if it is held in memory.

        Raises:
            VerificationError: `digest_mismatch`.
        """
        data = bytes(self._held)
        if self._wanted is not None and digest_bytes(data) != self._wanted:
            raise VerificationError("digest_mismatch", f"expected {self._wanted}; other bytes came")
        return data

    async def file(self) -> Path:
        """Ends it: a file that holds all of it, until the block ends.

        Raises:
            VerificationError: `digest_mismatch`.
        """
        path, _ = await self._ended()
        return path

    async def _ended(self) -> tuple[Path, Digest]:
        """Where all of it is, and its digest, once that is right."""
        await self._spill()
        assert self._path is not None and self._hasher is not None  # noqa: S101, PT018  (spilled)
        digest = digest_from_hex(self._hasher.hexdigest())
        if self._wanted is not None and digest != self._wanted:
            raise VerificationError("digest_mismatch", f"expected {self._wanted}; other bytes came")
        return self._path, digest

    async def discard(self) -> None:
        """Removes what was not kept."""
        if self._writing is not None:
            # Whoever waited for the thread may be gone; it still writes, and may be about to make the file.
            await asyncio.wait({self._writing})
            if not self._writing.cancelled():
                self._writing.exception()  # whoever waited for it has it, or gave up
            self._writing = None
        if self._file is not None:
            with suppress(OSError):  # what is kept of it was synced before
                self._file.close()
            self._file = None
        if self._path is not None:
            with suppress(OSError):  # where the folder is away, it is swept later
                await asyncio.to_thread(self._path.unlink, missing_ok=True)
            self._path = None

    async def _spill(self) -> None:
        self._writing = asyncio.ensure_future(asyncio.to_thread(self._append, self._held))
        try:
            await asyncio.shield(self._writing)
        except OSError as exc:
            raise unwritten(self._store.scratch, exc) from exc
        self._writing, self._held = None, bytearray()

    def _append(self, data: bytearray) -> None:
        if self._file is None or self._hasher is None:
            self._store.scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path, self._hasher = _fresh(self._store.scratch), sha256()
            self._file = open(self._path, "xb", buffering=0, opener=_private)  # noqa: SIM115 - `discard` closes it
        place = self._file.tell()
        try:
            _write_all(self._file, data)
        except OSError:
            # What did not fit is still held, and comes again; half of it is not to stand before it.
            self._file.truncate(place)
            self._file.seek(place)
            raise
        self._hasher.update(data)


class Contents(Mapping[str, bytes]):
    """Artifacts of a store under the names that a contract gives them.

    `contents[name]` is all bytes of one: those of a small one are at hand, a larger one is read from the store at that
    moment, and blocks. `pieces` and `save` hold no more of it than a piece.
    """

    def __init__(self, store: ArtifactStore, stored: Mapping[str, Stored], at_hand: Mapping[str, bytes]) -> None:
        self._store = store
        self._stored = dict(stored)
        self._at_hand = dict(at_hand)

    @classmethod
    async def of(cls, store: ArtifactStore, digests: Mapping[str, Digest]) -> Contents:
        """The artifacts of these digests, by name.

        Raises:
            UndersignedError, VerificationError: As `ArtifactStore.get`.
        """
        stored: dict[str, Stored] = {}
        at_hand: dict[str, bytes] = {}
        for name, digest in digests.items():
            size = await store.size(digest)
            if size is None:
                raise missing(digest)
            stored[name] = Stored(digest, size)
            if size <= SMALL_BYTES:
                at_hand[name] = await store.get(digest)
        return cls(store, stored, at_hand)

    def __getitem__(self, name: str) -> bytes:
        found = self._at_hand.get(name)
        return found if found is not None else self._store.read_now(self._stored[name].digest)

    def __contains__(self, name: object) -> bool:
        return name in self._stored

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)

    def digest(self, name: str) -> Digest:
        """The digest of one."""
        return self._stored[name].digest

    def size(self, name: str) -> int:
        """How many bytes one has."""
        return self._stored[name].size

    async def read(self, name: str, max_bytes: int = MAX_WHOLE_BYTES) -> bytes:
        """All bytes of one, without blocking.

        Raises:
            FormatError: `too_large`: they are more than `max_bytes`.
            UndersignedError, VerificationError: As `ArtifactStore.get`.
        """
        if self.size(name) > max_bytes:
            raise too_large(max_bytes, f"{name!a:.200} has {self.size(name)} bytes")
        found = self._at_hand.get(name)
        return found if found is not None else await self._store.get(self.digest(name))

    def pieces(self, name: str) -> AsyncGenerator[bytes]:
        """The bytes of one in pieces, as `ArtifactStore.pieces`."""
        return self._store.pieces(self.digest(name))

    async def save(
        self, name: str, path: Path, tell: Callable[[int], None] | None = None, *, new: bool = False
    ) -> None:
        """Writes one to `path`, which is yours to choose: `name` is text of the other side. As `ArtifactStore.copy`."""
        await self._store.copy(self.digest(name), path, tell, new=new)

    async def stated(self, algorithms: frozenset[str]) -> dict[str, bytes | Mapping[str, str]]:
        """Each as the check of a statement needs it: its bytes if they are at hand, else its digests by `algorithms`.

        Raises:
            UndersignedError, VerificationError: As `ArtifactStore.get`.
        """
        found: dict[str, bytes | Mapping[str, str]] = dict(self._at_hand)
        for name in self._stored.keys() - found.keys():
            found[name] = await self._store.digests(self.digest(name), algorithms)
        return found


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


def checked_digest(digest: Digest) -> Digest:
    """The same. A digest is of a fixed alphabet and length (checked where it was decoded), so it is a file name.

    Raises:
        UndersignedError: `bad_path`: it is none.
    """
    if "/" in digest or not digest.startswith("uEi"):
        raise UndersignedError("bad_path", f"{digest!r} is not a digest")
    return digest


def too_large(max_bytes: int, what: str = "there are more") -> FormatError:
    """That something has more bytes than are taken."""
    return FormatError("too_large", f"expected at most {max_bytes} bytes; {what}")


def missing(digest: Digest) -> UndersignedError:
    """That something is not in a store."""
    return UndersignedError("not_found", f"no artifact {digest} here", stored=digest)


def _damaged(digest: Digest) -> VerificationError:
    return VerificationError("digest_mismatch", f"the file of artifact {digest} has other bytes", stored=digest)


def of_store(error: UndersignedError) -> bool:
    """Whether an error says something about a store of ours, what is in it and what is not, and about nobody's work."""
    return isinstance(error, LedgerError) or "stored" in error.detail


def unwritten(folder: Path, exc: OSError) -> LedgerUnavailable:
    """What the system says against writing in a folder, as an error of ours: `store_full`, `store_unavailable`."""
    code = "store_full" if exc.errno in NO_ROOM else "store_unavailable"
    return LedgerUnavailable(code, f"the artifacts at {folder} cannot be written: {why(exc)}")


def _fresh(folder: Path) -> Path:
    return folder / _part()


def _part() -> str:
    """The name of a file on its way."""
    return f".{secrets.token_hex(16)}.part"


def _write_all(file: BinaryIO, data: bytes | bytearray) -> None:
    """An unbuffered file may take less than it is given."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


def _read(path: str) -> bytes:
    """What a regular file holds.

    Raises:
        OSError: It is none: a link leads to what somebody else chose, and a pipe has no end.
    """
    with open_file(path, links=False) as file:
        return file.read()


def _private(path: str, flags: int) -> int:
    """Opener of files that only this user may read."""
    return os.open(path, flags, 0o600)
