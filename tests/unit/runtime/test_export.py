"""A pack that is made beside a running peer, which records meanwhile."""

from __future__ import annotations

from typing import Any

from runtimes import World
from undersigned.evidence import read_pack, verify_pack
from undersigned.ledger import Ledger, Row
from undersigned.runtime import export_pack
from undersigned.runtime.log.logbook import noted
from unit.runtime.stories import Open


class Growing:
    """A ledger whose first answer about a journal is from before the work was delivered."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._asked = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    async def rows(self, engagement: str) -> tuple[Row, ...]:
        rows, first = await self._ledger.rows(engagement), not self._asked
        self._asked = True
        place = next(row.place for row in rows if row.type == "Delivery")
        return rows[: place - 1] if first else rows


def test_what_is_recorded_while_a_pack_is_made_is_not_in_it(open_world: Open) -> None:
    """HIRE-PCK-06: no proof is of a move that the pack does not have, though witnesses have cosigned that already."""
    world: World = open_world()
    name = world.begin().id
    world.settle()
    node = world.hirer

    async def cosigned() -> None:
        head = await node.ledger.head()
        await node.ledger.put_checkpoint(head, await noted(node.ledger, node.did, node.log_key, head))

    world.run(cosigned())
    pack = world.run(export_pack(Growing(node.ledger), node.artifacts, node.did, name))
    assert {one.message.type for one in read_pack(pack).transcript} & {"Seal", "Delivery"} == {"Seal"}
    report = verify_pack(pack, now=world.clock.now())
    assert report.ok, [(step.number, step.code, step.detail) for step in report.steps if not step.ok]
