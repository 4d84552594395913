"""What was delivered, as far as it goes into a pack, and why the rest does not.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.6
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Final, NamedTuple

from undersigned.encoding import Digest, EngagementId
from undersigned.errors import UndersignedError
from undersigned.evidence import MAX_PACK_BYTES
from undersigned.ledger import Row
from undersigned.messages import Artifact, Delivery, Review, recorded_message
from undersigned.runtime.artifacts.contents import MAX_WHOLE_BYTES
from undersigned.runtime.artifacts.store import ArtifactStore, of_store

__all__ = ["ABSENT", "Absent", "Delivered"]

MAX_DELIVERED_BYTES: Final = MAX_PACK_BYTES // 2
"""Of artifacts in a pack and in those within it: their provider chooses how large they are, and what was signed has to
have room beside them.
"""
ABSENT: Final = {
    "missing": "it is not in the store",
    "elsewhere": "it did not come under this engagement, though it is in the store",
    "damaged": "the copy in the store is damaged",
    "large": "it is more than a pack has room for, and stays where artifacts are kept",
    "unavailable": "the store cannot be read",
}
"""Why something that was delivered is not in a pack, where nobody withheld it."""


class Absent(NamedTuple):
    """An artifact that was delivered, and that a pack names by its digest alone."""

    engagement: EngagementId
    digest: Digest
    name: str
    """As the provider called it; nothing is read or written by it."""
    why: str
    """One of `ABSENT`."""
    place: str
    """Where it is, or would be."""


class Delivered:
    """Reads what was delivered, and tells what cannot be had. That concerns the bytes and nothing that was signed."""

    def __init__(self, store: ArtifactStore | None, tell: Callable[[Absent], None]) -> None:
        self._store = store
        self._tell = tell
        self._told: set[tuple[EngagementId, Digest]] = set()
        self._room = MAX_DELIVERED_BYTES
        self._taken: set[tuple[EngagementId, Digest]] = set()
        self._away = False

    async def under(self, engagement: EngagementId, rows: Collection[Row]) -> dict[Digest, bytes | None]:
        """All that was delivered under an engagement, whose journal these rows are, as `read` has it."""
        taken = _accepted(rows)
        found: dict[Digest, bytes | None] = {}
        for row in rows:
            for item in _artifacts_of(row):
                data = await self.read(engagement, item, row.kind == "sent" or row.digest in taken)
                if data is not None or item.digest not in found:
                    found[item.digest] = data
        return found

    async def read(self, engagement: EngagementId, item: Artifact, ours: bool) -> bytes | None:
        """All bytes of one; None if they do not go into the pack. It is `ours` if we made it, or took it; of anything
        else in the store the other side may have named the digest, and is not to see it in a pack.
        """
        if self._store is None:
            return None
        why = "unavailable"
        try:
            if not self._away and not ours and not await self._store.came(item.digest, engagement):
                return self._left_out(
                    engagement, item, "missing" if await self._store.size(item.digest) is None else "elsewhere"
                )
            # One that did not answer is not asked again for each.
            size = None if self._away else await self._store.size(item.digest)
            if size is not None and (engagement, item.digest) in self._taken:
                return await self._store.get(item.digest)
            if size is not None and size <= min(MAX_WHOLE_BYTES, self._room):
                data = await self._store.get(item.digest)
                self._taken.add((engagement, item.digest))
                self._room -= size
                return data
            # A pack is read whole, so what is large stays in the store, named by its digest.
            why = "unavailable" if self._away else "missing" if size is None else "large"
        except UndersignedError as error:
            if not of_store(error):
                raise
            why = {"digest_mismatch": "damaged", "not_found": "missing"}.get(error.code, "unavailable")
            self._away = why == "unavailable"
        return self._left_out(engagement, item, why)

    def _left_out(self, engagement: EngagementId, item: Artifact, why: str) -> None:
        """Tells why one does not go into the pack, once."""
        if (engagement, item.digest) not in self._told:
            self._told.add((engagement, item.digest))
            place = self._store.place(item.digest) if self._store is not None else ""
            self._tell(Absent(engagement, item.digest, item.name, why, place))


def _accepted(rows: Iterable[Row]) -> set[Digest]:
    """The deliveries that we accepted."""
    said = [recorded_message(row.raw).message for row in rows if row.type == "Review" and row.kind == "sent"]
    return {one.delivery for one in said if isinstance(one, Review) and one.verdict == "accepted"}


def _artifacts_of(row: Row) -> tuple[Artifact, ...]:
    """What a delivery says that it delivers; nothing of any other row."""
    if row.type != "Delivery" or row.kind == "noted":
        return ()
    delivery = recorded_message(row.raw).message
    return delivery.artifacts if isinstance(delivery, Delivery) else ()
