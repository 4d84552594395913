"""What the books of the other side say otherwise than what this side holds, for its owner.

Each side signs its own books and neither can refuse the other's for their sums, so an owner who is not told finds out
when somebody asks for the money. Of usage only one thing is told: that the hirer's gates counted more than the provider
says. A provider may use what no gate of the hirer's sees, and has booked what never arrived there.

Source: protocol-spec/07-contract.md, section 7.5
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec
import structlog

from undersigned.encoding import compare_amounts
from undersigned.messages import Closing, Usage
from undersigned.protocol import HIRER, Engagement, basis
from undersigned.runtime.engagement.remembered import Remembered
from undersigned.runtime.engagement.turn import fact, value_in

from .settlement import owed_price

__all__ = ["BOOKS", "Differs", "books_differ", "compared"]

_log = structlog.get_logger()

BOOKS: Final = "books"
"""Name of the fact that holds, as a JSON array, what the other side's last `Closing` says otherwise."""


class Differs(msgspec.Struct, frozen=True, gc=False):
    """One thing of which the two sides say different things."""

    what: str
    """`owed`, `basis`, `delivery`, or `usage of` a clause and unit, which may be text of the peer, escaped."""
    ours: str
    theirs: str

    def explain(self) -> str:
        """One line for people."""
        return f"{self.what}: {self.theirs} by the other side, {self.ours} by ours"


def books_differ(facts: Mapping[str, str]) -> tuple[Differs, ...]:
    """What the other side's `Closing` says otherwise, as it was noted."""
    return value_in(facts, BOOKS, tuple[Differs, ...]) or ()


def compared(
    conversation: Remembered, engagement: Engagement, theirs: Closing, usage: Iterable[Usage]
) -> tuple[tuple[str, str], ...]:
    """The fact to be noted of a `Closing` that was just taken; none if it says what we hold. `usage` is our own."""
    found = tuple(_differences(conversation, engagement, theirs, usage))
    if not found and BOOKS not in conversation.facts:
        return ()
    noted = fact(BOOKS, found)
    if noted in conversation.facts.items():
        return ()
    if found:
        told = "; ".join(one.explain() for one in found)
        _log.warning("the books of the other side differ", engagement=engagement.id, error=told)
    return (noted,)


def _differences(
    conversation: Remembered, engagement: Engagement, theirs: Closing, usage: Iterable[Usage]
) -> Iterator[Differs]:
    contract = engagement.contract
    if contract is None:
        return
    owed, said = owed_price(conversation, engagement), theirs.settlement
    if (owed.amount, owed.currency) != (said.amount, said.currency):
        yield Differs("owed", str(owed), str(said))
    rests_on = basis(engagement) or "nothing"
    if rests_on != theirs.basis:
        yield Differs("basis", rests_on, theirs.basis)
    # One that crossed a Terminate is none for the side that said it (HIRE-LIF-12), unless it was decided on.
    crossed = rests_on not in ("review", "silence") and any(one.basis == "terminate" for one in contract.endings)
    if not crossed and contract.delivery != theirs.delivery:
        yield Differs("delivery", contract.delivery or "none", theirs.delivery or "none")
    ours, others = _totals(usage), _totals(theirs.usage)
    counted, told = (ours, others) if engagement.role == HIRER else (others, ours)
    for key in sorted(counted):
        if compare_amounts(counted[key], told.get(key, "0")) > 0:
            yield Differs(f"usage of {key[0]!a} in {key[1]!a}", ours.get(key, "0"), others.get(key, "0"))


def _totals(usage: Iterable[Usage]) -> dict[tuple[str, str], str]:
    return {(line.clause, line.unit): line.amount for line in usage}
