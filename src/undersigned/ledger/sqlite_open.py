"""How the SQLite ledger that a URL names is opened, and whether some process writes it just now."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from undersigned.errors import ConfigurationError, LedgerUnavailable
from undersigned.ledger.base import Ledger
from undersigned.ledger.sqlite import SqliteLedger
from undersigned.ledger.sqlite_file import Lock, bring_up_to_date, create_empty, next_to

__all__ = ["open_beside", "open_sqlite", "require_unwritten", "surely_unwritten"]


async def open_sqlite(url: str, read_only: bool = False) -> Ledger:
    """The ledger in the file that `url` names: `sqlite:///absolute/path` or `sqlite:relative/path`.

    Raises:
        ConfigurationError: `bad_configuration`: the URL names no file.
        LedgerUnavailable: `store_unavailable`: written by another process, or it cannot be opened.
        LedgerError: `store_version`, `store_corrupt`, `ledger_diverged`.
    """
    ledger = SqliteLedger(_path(url), read_only=read_only)
    await ledger.open()
    return ledger


async def open_beside(url: str, create: bool = False) -> Ledger:
    """The ledger in that file, for booking on limits while another process may be writing it. With `create` the file is
    made, or brought up to date if it is of an older release; without, it has to be there as it is needed.

    Raises:
        As `open_sqlite`.
    """
    path = _path(url)
    if create:
        await asyncio.to_thread(bring_up_to_date if path.exists() else create_empty, path)
    ledger = SqliteLedger(path, beside=True)
    await ledger.open()
    return ledger


def require_unwritten(url: str) -> None:
    """Returns if no process writes the ledger that `url` names just now, or none can be told.

    Raises:
        LedgerUnavailable: `store_unavailable`, one does; as `Lock`.
    """
    if not url.startswith("sqlite:"):
        return
    file = next_to(_path(url), ".lock")
    if file.exists():  # none is made
        try:
            Lock(file).release()
        except LedgerUnavailable as error:
            if "pid" in error.detail:
                raise


def surely_unwritten(url: str) -> bool:
    """Whether no process writes the ledger that `url` names just now; False too where that cannot be told.

    Nothing is locked to find out, which would keep out whoever begins to write meanwhile. Who lets go of the lock
    leaves its file empty; who was killed does not.
    """
    if not url.startswith("sqlite:"):
        return False
    file = next_to(_path(url), ".lock")
    try:
        return file.stat().st_size == 0
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _path(url: str) -> Path:
    parts = urlsplit(url)
    if parts.netloc or not parts.path or parts.query or parts.fragment:
        raise ConfigurationError("bad_configuration", f"{url!r} names no file: write sqlite:///absolute/path")
    return Path(os.fsdecode(unquote_to_bytes(parts.path)))
