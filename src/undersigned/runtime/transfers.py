"""Artifacts from the other side: fetched under a contract, straight into a store.

A transfer that was cut goes on where it stopped, as long as each attempt brings it further. What has come is nobody's
until it is whole and its digest is right.

Source: protocol-spec/03-connection.md, section 3.6
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import structlog

from undersigned.encoding import Digest
from undersigned.errors import ResolutionError, ScopeError

from .artifacts import SMALL_BYTES, Incoming
from .bodies import Body

__all__ = ["Fetcher", "Meter", "Tell", "transfer", "untold"]

Fetcher: TypeAlias = Callable[[str, Digest, int, int], Awaitable[AbstractAsyncContextManager[Body]]]
"""Asks for an artifact: URL, contract, first byte wanted, and the most bytes that it may have in all."""

Tell: TypeAlias = Callable[[int, int | None], None]
"""Hears how many bytes have come, and of how many."""


def untold(_done: int, _total: int | None) -> None:
    """Nobody wants to know."""


UNKNOWN_STEP: Final = 64 * 1024 * 1024
LEAST_BYTES: Final = 64 * 1024
"""An attempt that brings less and is cut is a failure, and whoever asked decides whether there is another."""
PAUSE_SECONDS: Final = 0.5
_REFUSED: Final = (401, 403)
_GONE: Final = 416
"""Of a part that the server does not have: what came so far is not the beginning of what it has."""

_log = structlog.get_logger()


class Meter:
    """Tells how far something large has come: about every tenth of it, or every 64 MiB where nobody says how large."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._next = 0

    def at(self, done: int, total: int | None) -> None:
        """So many bytes of `total` are there now."""
        if done < self._next or (total if total is not None else done) <= SMALL_BYTES:
            return
        step = UNKNOWN_STEP if total is None else max(1, -(-total // 10))
        self._next = done - done % step + step
        if total is not None and done < total:
            self._next = min(self._next, total)
        self._tell(done, total)


async def transfer(fetcher: Fetcher, url: str, contract: Digest, incoming: Incoming, tell: Tell = untold) -> None:
    """Fetches what `incoming` lacks, and tells how far it is.

    Raises:
        FormatError: `too_large`.
        ScopeError: The other side's gate refused; with its code.
        ResolutionError: Not reached, or cut; `incoming` has what came.
    """
    meter = Meter(tell)
    while True:
        before = incoming.size
        try:
            async with await fetcher(url, contract, before, incoming.max_bytes) as body:
                if body.start != before:
                    await incoming.restart()
                async for chunk in body.chunks:
                    await incoming.add(chunk)
                    meter.at(incoming.size, body.total)
            return
        except ResolutionError as error:
            status = error.detail.get("status")
            if status in _REFUSED:
                code = str(error.detail.get("told") or "scope_exceeded")
                raise ScopeError(
                    code, f"the gate of {urlsplit(url).netloc} refused: {code}", clause="(the other side's gate)"
                ) from error
            if status == _GONE:
                await incoming.restart()
            if not error.detail.get("cut") or incoming.size < before + LEAST_BYTES:
                raise
            _log.warning("a transfer was cut and goes on", url=url, bytes=incoming.size, error=str(error))
        await asyncio.sleep(PAUSE_SECONDS)
