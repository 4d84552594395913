"""Contents by digest in an object store: S3, Google Cloud Storage or Azure, through obstore (extra `artifacts`).

An artifact is one object, named by its digest below the prefix of the store. What comes is whole and checked in a local
file first, so an object is never there before it is right, and none has to be taken back; a large one goes up in parts.
What is read comes in ranges, each a request of its own that ends soon, and is checked as what is read from a folder is.

Credentials are the library's affair: it finds them in the environment, and nothing here reads, keeps or tells them.

Source: protocol-spec/08-attestation-and-evidence.md, section "Artifacts"
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Generator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import unquote, urlsplit

from undersigned.encoding import Digest, EngagementId, digest_bytes
from undersigned.errors import ConfigurationError, LedgerUnavailable

from .folder import checked_digest, mark_of
from .incoming import PIECE_BYTES, SMALL_BYTES, Hasher
from .store import ArtifactStore, missing

__all__ = ["ObjectArtifacts", "checked_store", "open_store"]

SCHEMES: Final = ("s3", "gs", "az")
"""URL schemes of stores that obstore opens; `file` is a folder."""
RANGE_BYTES: Final = SMALL_BYTES
"""What one request reads."""
PART_BYTES: Final = 8 * 1024 * 1024
"""What one request writes; more of an object that would have more parts than a store takes."""
MAX_PARTS: Final = 9000
AT_ONCE: Final = 4
"""Parts of one object that go up at the same time; each is held in memory."""
RETRIES: Final = 2
RETRY_SECONDS: Final = 10
_QUERY: Final = re.compile(r"\?[^\s\"')]+")
"""Of a URL: what may hold a signature that opens the store."""
_MAX_TOLD: Final = 300


def open_store(url: str | None, folder: Path, scratch: Path) -> ArtifactStore:
    """The store at `url`; without one the folder `folder`. What is on its way into a store that is not on this machine
    waits in `scratch`.

    Raises:
        ConfigurationError: `missing_extra`, it needs something not installed; `bad_configuration`, it cannot be used.
    """
    if url is None:
        return ArtifactStore(folder)
    parts = urlsplit(url)
    if parts.scheme == "file":
        return ArtifactStore(Path(unquote(parts.path)))
    try:
        from obstore.store import from_url
    except ImportError as exc:
        text = f"artifacts at {url} need the extra: undersigned[artifacts]"
        raise ConfigurationError("missing_extra", text) from exc
    retries = {"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_SECONDS)}
    try:
        opened: Any = cast("Any", from_url)(url, retry_config=retries)
    except Exception as exc:
        # The library tells a wrong setting of its environment by exceptions of many kinds.
        raise ConfigurationError("bad_configuration", f"artifacts at {url}: {_said(exc)}") from None
    return ObjectArtifacts(opened, url, scratch)


def checked_store(url: str | None) -> None:
    """Returns if artifacts can be kept at a URL, as far as it says.

    Raises:
        ValueError: It is of another kind, or holds what belongs into the environment.
    """
    if url is None:
        return
    parts = urlsplit(url)
    if parts.scheme not in (*SCHEMES, "file"):
        raise ValueError(f"artifacts: expected a store of {', '.join(SCHEMES)} or file, got {parts.scheme or 'none'}")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("artifacts: the URL of the store holds more than its place; credentials go into environment")
    if parts.scheme == "file" and (parts.netloc or not parts.path.startswith("/") or parts.path == "/"):
        raise ValueError("artifacts: expected file:/// and an absolute path")
    if parts.scheme != "file" and not parts.netloc:
        raise ValueError(f"artifacts: expected {parts.scheme}://NAME/PREFIX")


class ObjectArtifacts(ArtifactStore):
    """Artifacts as objects. `store` is one of obstore's, `url` says where it is, `scratch` is a local folder."""

    def __init__(self, store: Any, url: str, scratch: Path) -> None:
        import obstore

        super().__init__(scratch)
        self._store = store
        self._url = url
        self._lib: Any = obstore

    @property
    def where(self) -> str:
        """Where it is, for people."""
        return self._url

    async def check(self) -> None:
        """Returns if the store answers whether something is there.

        Raises:
            LedgerUnavailable: `store_unavailable`.
        """
        await self.size(digest_bytes(b""))

    async def _size_kept(self, digest: Digest) -> int | None:
        with self._told():
            try:
                return int((await self._lib.head_async(self._store, checked_digest(digest)))["size"])
            except FileNotFoundError:
                return None

    async def came(self, digest: Digest, under: EngagementId) -> bool:
        """See `ArtifactStore.came`: an empty object says so."""
        with self._told():
            try:
                await self._lib.head_async(self._store, mark_of(digest, under))
            except FileNotFoundError:
                return False
        return True

    async def _keep(self, digest: Digest, data: bytes, under: EngagementId | None) -> None:
        with self._told():
            await self._lib.put_async(self._store, digest, data, use_multipart=False)
        await self._mark(digest, under)

    async def _mark(self, digest: Digest, under: EngagementId | None) -> None:
        if under is not None:
            with self._told():
                await self._lib.put_async(self._store, mark_of(digest, under), b"", use_multipart=False)

    async def publish(self, path: Path, digest: Digest, under: EngagementId | None = None) -> None:
        """Sends a whole file up, in parts; the store shows it once it has them all."""
        size = (await asyncio.to_thread(path.stat)).st_size
        part = max(PART_BYTES, -(-size // MAX_PARTS))
        try:
            with self._told():
                await self._lib.put_async(self._store, digest, path, chunk_size=part, max_concurrency=AT_ONCE)
        except LedgerUnavailable:
            # Azure forgets the parts of whoever sends the same up and comes second; then it is there all the same.
            if await self.sound(digest) != size:
                raise
        await self._mark(digest, under)
        await asyncio.to_thread(path.unlink)

    async def _whole(self, digest: Digest) -> bytes:
        with self._told():
            try:
                found = await self._lib.get_async(self._store, checked_digest(digest))
                return bytes(await found.bytes_async())
            except FileNotFoundError as exc:
                raise missing(digest) from exc

    async def _pieces(self, digest: Digest, hasher: Hasher) -> AsyncGenerator[bytes]:
        size = await self.size(digest)
        if size is None:
            raise missing(digest)
        for start in range(0, size, RANGE_BYTES):
            with self._told():
                try:
                    end = min(size, start + RANGE_BYTES)
                    read = bytes(await self._lib.get_range_async(self._store, digest, start=start, end=end))
                except FileNotFoundError as exc:
                    raise missing(digest) from exc
            await asyncio.to_thread(hasher.update, read)
            for place in range(0, len(read), PIECE_BYTES):
                yield read[place : place + PIECE_BYTES]

    def _read(self, digest: Digest) -> bytes:
        with self._told():
            try:
                return bytes(self._lib.get(self._store, checked_digest(digest)).bytes())
            except FileNotFoundError as exc:
                raise missing(digest) from exc

    @contextmanager
    def _told(self) -> Generator[None]:
        """What the library raises, as an error of ours: that something could not be looked up is no answer."""
        try:
            yield
        except (self._lib.exceptions.BaseError, OSError) as exc:
            text = f"the artifacts at {self._url} cannot be reached: {_said(exc)}"
            raise LedgerUnavailable("store_unavailable", text) from None


def _said(exc: BaseException) -> str:
    """The first line of what the library says, without what may open the store."""
    first = ""
    with suppress(IndexError):
        first = str(exc).splitlines()[0]
    return _QUERY.sub("?…", first)[:_MAX_TOLD] or type(exc).__name__
