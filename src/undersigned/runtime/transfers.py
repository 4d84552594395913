"""Artifacts from the other side: fetched under a contract, straight into a store.

A transfer that was cut goes on where it stopped, as long as each attempt brings it further. What has come is nobody's
until it is whole and its digest is right.

Source: protocol-spec/03-connection.md, section 3.6
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Final, TypeAlias

import structlog

from undersigned.encoding import Digest
from undersigned.errors import ResolutionError

from .artifacts import Incoming
from .gather import Body

__all__ = ["Fetcher", "transfer"]

Fetcher: TypeAlias = Callable[[str, Digest, int, int], AbstractAsyncContextManager[Body]]
"""Asks for an artifact: URL, contract, first byte wanted, and the most bytes that it may have in all."""

LEAST_BYTES: Final = 64 * 1024
"""An attempt that brings less and is cut is a failure, and whoever asked decides whether there is another."""
PAUSE_SECONDS: Final = 0.5
_GONE: Final = 416
"""Of a part that the server does not have: what came so far is not the beginning of what it has."""

_log = structlog.get_logger()


async def transfer(fetcher: Fetcher, url: str, contract: Digest, incoming: Incoming) -> None:
    """Fetches what `incoming` lacks.

    Raises:
        FormatError: `too_large`.
        ScopeError: The other side's gate refused; with its code.
        ResolutionError: Not reached, or cut; `incoming` has what came.
    """
    while True:
        before = incoming.size
        try:
            async with (
                fetcher(url, contract, before, incoming.max_bytes) as body,
                aclosing(body.chunks) as chunks,
            ):
                if body.start != before:
                    await incoming.restart()
                async for chunk in chunks:
                    await incoming.add(chunk)
            return
        except ResolutionError as error:
            if error.detail.get("status") == _GONE:
                await incoming.restart()
            if not error.detail.get("cut") or incoming.size < before + LEAST_BYTES:
                raise
            _log.warning("a transfer was cut and goes on", url=url, bytes=incoming.size, error=str(error))
        await asyncio.sleep(PAUSE_SECONDS)
