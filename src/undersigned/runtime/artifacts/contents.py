"""Artifacts of a store under the names that a contract gives them.

Source: protocol-spec/08-attestation-and-evidence.md, section "Artifacts"
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from undersigned.encoding import Digest

from .incoming import SMALL_BYTES, Stored, too_large
from .store import ArtifactStore, missing

__all__ = ["MAX_WHOLE_BYTES", "Contents"]

MAX_WHOLE_BYTES: Final = 64 * 1024 * 1024
"""Most that is read into memory for who asks for all bytes at once."""


class Contents(Mapping[str, bytes]):
    """Artifacts of a store under the names that a contract gives them.

    `contents[name]` is all bytes of one: those of a small one are at hand, a larger one is read from the store at that
    moment, and blocks. `pieces` and `save` hold no more of it than a piece. Of a name that is none of them there is a
    `KeyError`.
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
        return found if found is not None else self._store.read_now(self.digest(name))

    def __contains__(self, name: object) -> bool:
        return name in self._stored

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)

    def _one(self, name: str) -> Stored:
        found = self._stored.get(name)
        if found is None:
            raise KeyError(
                f"no {name!a:.200} was delivered; there is {', '.join(map(ascii, self._stored)) or 'nothing'}"
            )
        return found

    def digest(self, name: str) -> Digest:
        """The digest of one."""
        return self._one(name).digest

    def size(self, name: str) -> int:
        """How many bytes one has."""
        return self._one(name).size

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
        self, name: str, path: Path | str, tell: Callable[[int], None] | None = None, *, new: bool = False
    ) -> None:
        """Writes one to `path`, which is yours to choose: `name` is text of the other side. As `ArtifactStore.copy`."""
        await self._store.copy(self.digest(name), Path(path), tell, new=new)

    async def stated(self, algorithms: Callable[[], frozenset[str]]) -> dict[str, bytes | Mapping[str, str]]:
        """Each as the check of a statement needs it: its bytes if they are at hand, else its digests by `algorithms`,
        which are asked for only then.

        Raises:
            UndersignedError, VerificationError: As `ArtifactStore.get`.
        """
        found: dict[str, bytes | Mapping[str, str]] = dict(self._at_hand)
        if larger := self._stored.keys() - found.keys():
            wanted = algorithms()
            for name in larger:
                found[name] = await self._store.digests(self.digest(name), wanted)
        return found
