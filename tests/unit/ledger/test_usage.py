"""The arithmetic of limits by itself, for what no store lets happen."""

from __future__ import annotations

from backends.moves import reservation
from undersigned.ledger.usage import Entry, recounted

C = "uEiContract"


def test_what_is_noted_as_used_counts_though_nothing_was_held_of_it() -> None:
    """In a store that somebody else wrote in: a sum that is checked by it is found to be wrong."""
    entries = [
        Entry(reservation("r", "2", "5"), "settled", {"read/EUR": "1", "read/bytes": "7"}),
        Entry(reservation("s", "3", "5")),
        Entry(reservation("t", "4", "5"), "released"),
        Entry(reservation("u", "1", "5"), "settled", {"read/bytes": "2", "read/EUR": "1"}),
    ]
    assert recounted(entries) == {(C, "read/EUR"): ("2", "3"), (C, "read/bytes"): ("9", "0")}
