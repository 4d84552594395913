"""The stores, by URL scheme."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from undersigned.errors import ConfigurationError
from undersigned.ledger.base import Ledger
from undersigned.ledger.memory import MemoryLedger
from undersigned.ledger.sqlite_open import open_beside, open_sqlite

__all__ = ["LEDGERS", "Opener", "open_books", "open_ledger"]

Opener: TypeAlias = Callable[[str, bool], Awaitable[Ledger]]
"""Opens the ledger of a URL; the second argument asks for reading only."""


async def _memory(url: str, read_only: bool) -> Ledger:
    return MemoryLedger()


LEDGERS: Final[Mapping[str, Opener]] = MappingProxyType({"memory": _memory, "sqlite": open_sqlite})

BOOKS: Final[Mapping[str, Callable[[str, bool], Awaitable[Ledger]]]] = MappingProxyType({"sqlite": open_beside})


async def open_ledger(url: str, *, read_only: bool = False, ledgers: Mapping[str, Opener] = LEDGERS) -> Ledger:
    """The ledger at `url`: `memory:`, or `sqlite:` and a file path (`sqlite:///var/lib/peer/ledger.db`).

    With `read_only` another process may be writing it; nothing can be written here.

    Raises:
        ConfigurationError: `bad_configuration`: no store of this scheme.
        LedgerUnavailable: `store_unavailable`: another process writes it, or it cannot be opened.
        LedgerError: `store_version`: written by another release; `store_corrupt`, `ledger_diverged`: damaged.
    """
    opener = ledgers.get(urlsplit(url).scheme)
    if opener is None:
        raise ConfigurationError("bad_configuration", f"no ledger of {url!r}; there are {', '.join(sorted(ledgers))}")
    return await opener(url, read_only)


async def open_books(url: str, *, create: bool = False) -> Ledger:
    """The ledger at `url`, for reading and for booking on limits, while another process may be writing it.

    `commit` and `put_checkpoint` are refused. As many processes as there are gates may have it open, and what one of
    them books counts for all.

    Raises:
        ConfigurationError: `bad_configuration`: no store of this scheme is shared between processes.
        LedgerUnavailable: `store_unavailable`: there is none, or it cannot be opened.
        LedgerError: `store_version`: written by another release.
    """
    opener = BOOKS.get(urlsplit(url).scheme)
    if opener is None:
        raise ConfigurationError("bad_configuration", f"{url!r} is shared by nobody; {', '.join(sorted(BOOKS))} can be")
    return await opener(url, create)
