"""The links of a journal's rows."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from backends.moves import engagement, row
from support import refuses
from undersigned.errors import LedgerError
from undersigned.ledger import Row
from undersigned.ledger.chain import first_link, link, verify_links

NAME = engagement(1)
Chained = list[tuple[Row, bytes]]


def chained(*places: int) -> Chained:
    """Rows at these places, each linked to the one before it."""
    found: Chained = []
    at = first_link(NAME)
    for place in places:
        made = row(NAME, place)
        at = link(at, made)
        found.append((made, at))
    return found


def test_links_that_follow_lead_to_the_last() -> None:
    whole = chained(1, 2, 3)
    assert verify_links(NAME, whole, first_link(NAME), 0) == whole[-1][1]
    assert verify_links(NAME, whole[1:], whole[0][1], 1) == whole[-1][1]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda: chained(1, 3),
        lambda: chained(2, 3),
        lambda: chained(1, 1),
        lambda: [*chained(1), *chained(1, 2, 3)[2:]],
        lambda: [(row(NAME, 1, text="another"), chained(1)[0][1])],
    ],
    ids=["linked past a missing place", "from a later place", "one place twice", "a row taken out", "another row"],
)
def test_rows_that_do_not_follow_are_found(spoil: Callable[[], Chained]) -> None:
    """Also where whoever took a row out linked the others again."""
    with refuses(LedgerError, "store_corrupt"):
        verify_links(NAME, spoil(), first_link(NAME), 0)
