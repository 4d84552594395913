"""What is on its way into a store: nobody's until it is whole and its digest is right.

What is small is held in memory. Everything larger goes through a private file beside the store, piece by piece, which
becomes the artifact once it is whole.

Source: protocol-spec/08-attestation-and-evidence.md, section "Artifacts"
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from hashlib import sha256
from os import urandom
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, Protocol

from undersigned.encoding import Digest, EngagementId, digest_bytes, digest_from_hex
from undersigned.errors import NO_ROOM, FormatError, LedgerUnavailable, VerificationError
from undersigned.runtime.files import hold, private_opener, why, write_all

__all__ = [
    "PIECE_BYTES",
    "SMALL_BYTES",
    "Hasher",
    "Incoming",
    "Keeps",
    "Stored",
    "fresh_part",
    "part_name",
    "too_large",
    "unwritten",
]

SMALL_BYTES: Final = 2 * 1024 * 1024
"""Up to here an artifact is held in memory as a whole; nothing of a larger one is, but a few pieces."""
PIECE_BYTES: Final = 256 * 1024
"""Most that one step reads or writes of a large one."""


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


class Keeps(Protocol):
    """The store that something is on its way into."""

    @property
    def scratch(self) -> Path:
        """Folder of what is on its way."""
        ...

    async def put(self, data: bytes, under: EngagementId | None = None, digest: Digest | None = None) -> Digest:
        """Keeps `data`, and says its digest, which is computed if it is not given. `under` is the engagement from whose
        other side it came, if it did.

        Raises:
            LedgerUnavailable: `store_full`, `store_unavailable`.
        """
        ...

    async def publish(self, path: Path, digest: Digest, under: EngagementId | None = None) -> None:
        """Keeps a whole file of `scratch`, whose digest is right, and takes it away there. `under`: as `put`.

        Raises:
            LedgerUnavailable: `store_full`, `store_unavailable`; then the file is where it was.
        """
        ...


class Incoming:
    """Something on its way into a store: held in memory while it is small, then in a private file."""

    def __init__(
        self,
        store: Keeps,
        max_bytes: int,
        digest: Digest | None,
        hold_bytes: int,
        under: EngagementId | None = None,
    ) -> None:
        self.max_bytes = max_bytes
        self.hold_bytes = hold_bytes
        """Up to here it is held in memory."""
        self.size = 0
        """Bytes that came so far."""
        self.total: int | None = None
        """Bytes that it has in all, as the last answer said; None if none did."""
        self._store = store
        self._wanted = digest
        self._under = under
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
        if len(self._held) + len(chunk) > (self.hold_bytes if self._file is None else PIECE_BYTES):
            await self.spill()
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
            return Stored(await self._store.put(data, self._under, self._wanted), len(data))
        path, digest = await self._ended()
        await self._store.publish(path, digest, self._under)
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
            LedgerUnavailable: As `spill`.
        """
        path, _ = await self._ended()
        return path

    async def _ended(self) -> tuple[Path, Digest]:
        """Where all of it is, and its digest, once that is right."""
        await self.spill()
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

    async def spill(self) -> None:
        """Writes what is held to its file, which is there from then on.

        Raises:
            LedgerUnavailable: `store_full`, `store_unavailable`; then all that came is still here.
        """
        if self._file is not None and not self._held:
            return
        self._writing = asyncio.ensure_future(asyncio.to_thread(self._append, self._held))
        try:
            await asyncio.shield(self._writing)
        except OSError as exc:
            raise unwritten(self._store.scratch, exc) from exc
        self._writing, self._held = None, bytearray()

    def _append(self, data: bytearray) -> None:
        if self._file is None or self._hasher is None:
            self._store.scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path, self._hasher = fresh_part(self._store.scratch), sha256()
            self._file = open(self._path, "xb", buffering=0, opener=private_opener)  # noqa: SIM115 - `discard` closes it
            hold(self._file)
        place = self._file.tell()
        try:
            write_all(self._file, data)
        except OSError:
            # What did not fit is still held, and comes again; half of it is not to stand before it.
            self._file.truncate(place)
            self._file.seek(place)
            raise
        self._hasher.update(data)


def too_large(max_bytes: int, what: str = "there are more") -> FormatError:
    """That something has more bytes than are taken."""
    return FormatError("too_large", f"expected at most {max_bytes} bytes; {what}")


def unwritten(folder: Path, exc: OSError) -> LedgerUnavailable:
    """What the system says against writing in a folder, as an error of ours: `store_full`, `store_unavailable`."""
    code = "store_full" if exc.errno in NO_ROOM else "store_unavailable"
    return LedgerUnavailable(code, f"the artifacts at {folder} cannot be written: {why(exc)}")


def fresh_part(folder: Path) -> Path:
    """A file on its way, in a folder."""
    return folder / part_name()


def part_name() -> str:
    """The name of a file on its way."""
    return f".{urandom(16).hex()}.part"
