"""Names in the file of the trust graph: each text has a number there, and what was asked for once is remembered.

Source: protocol-spec/12-trust.md, section 12.6
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

__all__ = ["LISTED", "Names", "listed"]

LISTED: Final = "(SELECT value FROM json_each(?))"
"""Any number of values in one parameter, which `listed` makes."""
MAX_NAMES: Final = 1 << 18
"""Remembered; some 50 MB."""


def listed(values: Iterable[object]) -> str:
    """A parameter for `LISTED`."""
    return json.dumps(list(values))


class Names:
    """What the names of one file are. Numbers are never used again, so nothing that is remembered becomes wrong."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._texts: dict[int, str] = {}
        self._numbers: dict[str, int] = {}

    def numbers(self, texts: Iterable[str]) -> list[int]:
        """The numbers of those of these texts that have one: of the others nothing is said in the graph."""
        texts = list(texts)
        unknown = [text for text in texts if text not in self._numbers]
        if unknown:
            self._learn("text", unknown)
        return [self._numbers[text] for text in texts if text in self._numbers]

    def texts(self, *columns: Sequence[int]) -> list[list[str]]:
        """The texts of these numbers: columns of texts for columns of numbers."""
        if len(self._texts) > MAX_NAMES:
            self._texts.clear()
            self._numbers.clear()
        known = self._texts.__getitem__
        try:
            return [list(map(known, column)) for column in columns]
        except KeyError:
            self._learn("id", {number for column in columns for number in column} - self._texts.keys())
            return [list(map(known, column)) for column in columns]

    def _learn(self, column: str, values: Iterable[object]) -> None:
        sql = f"SELECT id, text FROM name WHERE {column} IN {LISTED}"  # noqa: S608 - names of ours
        for number, text in self._db.execute(sql, (listed(values),)):
            self._texts[number] = text
            self._numbers[text] = number
