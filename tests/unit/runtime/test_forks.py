"""What is shown to anybody of a log with two histories."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import pytest
from msgspec.structs import replace

from contracts import ENGAGEMENT
from parties import NOW, Party
from runtimes import KeptLedger
from support import refuses
from undersigned.encoding import EngagementId, canonicalize, digest_from_hash
from undersigned.errors import LogProofError
from undersigned.ledger.seen import Fork, Stated, contradicted, decided
from undersigned.runtime.log.forks import fork_document, fork_in, fork_of
from undersigned.transparency import Frontier, checkpoint_text, leaf_hash, signed_note

OWNER = Party("owner of a log")


def stated(size: int, root: bytes) -> Stated:
    text = checkpoint_text(OWNER.did, size, root)
    note = signed_note(text, OWNER.did, OWNER.key, OWNER.sign(text))
    return Stated(log=OWNER.did, size=size, root=root, at=None, note=note)


async def test_messages_are_not_shown_where_two_signed_heads_prove_it() -> None:
    """HIRE-LOG-08: what the parties said is for nobody else to read. So nothing is read in the ledger either."""
    nothing = cast(Any, None)
    held, came = stated(5, bytes(32)), stated(5, b"x" * 32)
    document = {"contradiction": OWNER.did, "size": 5, "notes": [held.note, came.note]}
    assert await fork_document(nothing, Fork(held=held, came=came)) == document
    more, path = stated(6, bytes(32)), (b"y" * 32,)
    assert await fork_document(nothing, Fork(held=held, came=more, path=path)) == {
        **document,
        "size": 6,
        "notes": [held.note, more.note],
        "path": [digest_from_hash(one) for one in path],
    }


@pytest.mark.parametrize("over", [False, True], ids=["open", "decided on"])
async def test_a_contradiction_is_found_by_the_engagement_that_showed_it(over: bool) -> None:
    """HIRE-LOG-08: also before somebody has decided what becomes of that log."""
    ledger = KeptLedger()
    fork = Fork(held=replace(stated(5, bytes(32)), engagement=ENGAGEMENT), came=stated(5, b"x" * 32))
    await ledger.update_seen(OWNER.did, partial(contradicted, fork=fork))
    if over:
        await ledger.update_seen(OWNER.did, partial(decided, at=NOW, anew=False, reason="a mistake"))
    assert await fork_in(ledger, ENGAGEMENT) == canonicalize(await fork_document(ledger, fork))
    assert await fork_in(ledger, EngagementId("urn:hire:engagement:uEiOther")) is None


class Tiles:
    """What a log serves: the one tile that a small tree has."""

    def __init__(self, *leaves: bytes) -> None:
        self._hashes = [leaf_hash(leaf) for leaf in leaves]

    async def fetch(self, _: str, *, max_bytes: int) -> bytes:
        return b"".join(self._hashes)[:max_bytes]

    def stated(self, size: int) -> Stated:
        tree = Frontier()
        for one in self._hashes[:size]:
            tree.append(one)
        return stated(size, tree.root)


async def test_a_head_is_held_against_the_tiles_of_a_newer_one() -> None:
    """HIRE-LOG-09: what they do not continue is a fork; tiles of another tree than was signed say nothing."""
    served, other = Tiles(b"a", b"b", b"c", b"d", b"e"), Tiles(b"a", b"x", b"c", b"d", b"e")

    async def fork(new: Stated, *old: Stated) -> Fork | None:
        return await fork_of(cast(Any, served), "https://owner.example/log", new, old)

    new = served.stated(5)
    assert await fork(new, *map(served.stated, range(6))) is None
    for size in (2, 3, 4):
        found = await fork(new, served.stated(1), other.stated(size))
        assert found is not None
        assert (found.held, found.came, bool(found.path)) == (other.stated(size), new, True)
    assert await fork(new, other.stated(5)) == Fork(held=other.stated(5), came=new)
    with refuses(LogProofError, "log_proof_invalid"):
        await fork(other.stated(5), served.stated(3))
