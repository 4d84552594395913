"""Contents by digest: what goes into work and what comes out of it.

A file is named by its own digest and by nothing a peer said, so no name leads outside the folder, and a link in it is
no file. Reading checks the digest again; a file that was changed on disk is not served.

Source: protocol-spec/08-attestation-and-evidence.md, section "Artifacts"
"""

from __future__ import annotations

import asyncio
import os
import secrets
import stat
from collections import OrderedDict
from pathlib import Path

from undersigned.encoding import Digest, digest_bytes
from undersigned.errors import UndersignedError, VerificationError

from .files import open_file

__all__ = ["ArtifactStore"]

RECENT_BYTES = 16 * 1024 * 1024
"""Artifacts that are kept in memory beside the disk, all together."""


class ArtifactStore:
    """A folder of artifacts. Files are read and written off the event loop."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._recent: OrderedDict[Digest, bytes] = OrderedDict()
        self._held = 0

    async def put(self, data: bytes) -> Digest:
        """Keeps `data`; returns its digest once it is on disk."""
        digest = digest_bytes(data)
        if digest not in self._recent:
            await asyncio.to_thread(self._write, digest, data)
        self._remember(digest, data)
        return digest

    async def get(self, digest: Digest) -> bytes:
        """The bytes of `digest`.

        Raises:
            UndersignedError: `not_found`.
            VerificationError: `digest_mismatch`, the file on disk is damaged.
        """
        recent = self._recent.get(digest)
        if recent is not None:
            return recent
        try:
            data = await asyncio.to_thread(_read, self._path(digest))
        except OSError as exc:
            raise UndersignedError("not_found", f"no artifact {digest} here") from exc
        if digest_bytes(data) != digest:
            raise VerificationError("digest_mismatch", f"the file of artifact {digest} has other bytes")
        self._remember(digest, data)
        return data

    def size(self, digest: Digest) -> int | None:
        """How many bytes `digest` has, or None if it is not here."""
        recent = self._recent.get(digest)
        if recent is not None:
            return len(recent)
        try:
            found = self._path(digest).lstat()
        except OSError:
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def _remember(self, digest: Digest, data: bytes) -> None:
        """Small artifacts are asked for soon after they came: by the other side, by the review, by the application."""
        if len(data) > RECENT_BYTES // 8 or digest in self._recent:
            return
        self._recent[digest] = data
        self._held += len(data)
        while self._held > RECENT_BYTES:
            self._held -= len(self._recent.popitem(last=False)[1])

    def _path(self, digest: Digest) -> Path:
        # A digest is of a fixed alphabet and length (checked where it was decoded), so it is a file name.
        if "/" in digest or not digest.startswith("uEi"):
            raise UndersignedError("bad_path", f"{digest!r} is not a digest")
        return self.folder / digest

    def _write(self, digest: Digest, data: bytes) -> None:
        path = self._path(digest)
        try:
            # What is there already may be damaged, or a link; then it is replaced.
            if digest_bytes(_read(path)) == digest:
                return
        except OSError:
            self.folder.mkdir(parents=True, exist_ok=True)
        new = f"{path}.{secrets.token_hex(8)}"
        try:
            with open(new, "xb", buffering=0, opener=_private) as file:
                left = memoryview(data)
                while left:
                    left = left[file.write(left) :]
                os.fsync(file)
            os.replace(new, path)
            # A new name survives a power cut only once its folder is on disk, too.
            folder = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except BaseException:
            Path(new).unlink(missing_ok=True)
            raise


def _read(path: Path) -> bytes:
    """What a regular file holds.

    Raises:
        OSError: It is none: a link leads to what somebody else chose, and a pipe has no end.
    """
    with open_file(path, links=False) as file:
        return file.read()


def _private(path: str, flags: int) -> int:
    """Opener of files that only this user may read."""
    return os.open(path, flags, 0o600)
