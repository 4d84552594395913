"""What is shown to anybody of a log with two histories."""

from __future__ import annotations

from typing import Any, cast

from parties import Party
from undersigned.encoding import digest_from_hash
from undersigned.ledger.seen import Fork, Stated
from undersigned.runtime.log.forks import fork_document
from undersigned.transparency import checkpoint_text, signed_note

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
