"""Ledgers: where an engagement's journal, outbox, evidence, limits and the tree of contracts are kept.

`open_ledger(url)` opens one; `LEDGERS` lists them by URL scheme. `open_books(url)` opens one for gates that book on its
limits beside the process that writes it.
"""

from undersigned.ledger.base import (
    Blob,
    Commit,
    Committed,
    Defect,
    Draw,
    Ledger,
    Reservation,
    Row,
    Spent,
    Summary,
    booked,
)
from undersigned.ledger.memory import MemoryLedger
from undersigned.ledger.registry import LEDGERS, Opener, open_books, open_ledger
from undersigned.ledger.seen import Fork, Head, Seen, Stated, connected, contradicted, decided, saw
from undersigned.ledger.sqlite import SqliteLedger
from undersigned.ledger.sqlite_copy import BESIDE_DATABASE, copy_database
from undersigned.ledger.sqlite_file import Lock, connect, open_database, translated
from undersigned.ledger.sqlite_open import require_unwritten, surely_unwritten
from undersigned.ledger.trust_store import Admitted, TrustStore

__all__ = [
    "BESIDE_DATABASE",
    "LEDGERS",
    "Admitted",
    "Blob",
    "Commit",
    "Committed",
    "Defect",
    "Draw",
    "Fork",
    "Head",
    "Ledger",
    "Lock",
    "MemoryLedger",
    "Opener",
    "Reservation",
    "Row",
    "Seen",
    "Spent",
    "SqliteLedger",
    "Stated",
    "Summary",
    "TrustStore",
    "booked",
    "connect",
    "connected",
    "contradicted",
    "copy_database",
    "decided",
    "open_books",
    "open_database",
    "open_ledger",
    "require_unwritten",
    "saw",
    "surely_unwritten",
    "translated",
]
