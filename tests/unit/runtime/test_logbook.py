"""What is known of another's log, by which it is audited."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from msgspec.structs import replace

from backends.moves import engagement, summary
from message_examples import conversation
from undersigned.encoding import canonicalize, digest_of
from undersigned.ledger import Commit, MemoryLedger, Row
from undersigned.runtime.log.logbook import audited, held_heads
from undersigned.transparency import Checkpoint, Frontier, leaf_digest, leaf_hash


async def test_of_two_leaves_that_were_promised_one_place_neither_is_forgotten() -> None:
    """HIRE-LOG-08: it is the place that each `Seal` promised, in whatever order they came."""
    seal, leaf = conversation()["seal"], b"a leaf"
    tree = Frontier()
    tree.append(leaf_hash(leaf))
    head = Checkpoint(seal.message.sender, 1, tree.root)
    for order in ((leaf, b"another"), (b"another", leaf)):
        ledger = MemoryLedger()
        for number, promised in enumerate(order):
            said = json.loads(seal.raw)
            place = {"log": said["sender"], "index": 0, "leaf": leaf_digest(promised)}
            said |= {"engagement": engagement(number), "ledger": place}
            raw, at = canonicalize(said), "2026-11-25T12:00:00Z"
            row = Row(said["engagement"], 1, "received", at, said["sender"], 1, "Seal", digest_of(said), raw)
            about = replace(summary(row.engagement, (0, 1)), peer=row.sender)
            await ledger.commit(
                Commit(engagement=row.engagement, expected=None, position=(0, 1), rows=(row,), summary=about)
            )

        async def leaves() -> AsyncIterator[tuple[bytes, ...]]:
            yield (leaf,)

        heads, places = await held_heads(ledger, seal.message.sender)
        found = await audited(head, leaves(), heads, places)
        second = engagement(order.index(b"another"))
        assert (found.compared, found.defects) == (2, (f"Seal of {second}: it promised another leaf at 0",))
