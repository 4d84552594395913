"""Artifacts from the other side: fetched under a contract, straight into a store.

A transfer that was cut goes on where it stopped, as long as each attempt brings it further. What has come is nobody's
until it is whole and its digest is right.

Source: protocol-spec/03-connection.md, section 3.6
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TYPE_CHECKING, Final, TypeAlias, cast
from urllib.parse import urlsplit

import structlog

from undersigned.encoding import Did, Digest, EngagementId
from undersigned.errors import FormatError, ScopeError, TransportError, VerificationError
from undersigned.runtime.fetching.bodies import Body

from .incoming import SMALL_BYTES, Incoming, too_large

if TYPE_CHECKING:
    from .store import ArtifactStore

__all__ = ["Asks", "Meter", "Tell", "Transfers", "transfer", "untold"]

Asks: TypeAlias = Callable[[str, Digest, int, int], Awaitable[AbstractAsyncContextManager[Body]]]
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


async def transfer(ask: Asks, url: str, contract: Digest, incoming: Incoming, tell: Tell = untold) -> None:
    """Fetches what `incoming` lacks, and tells how far it is.

    Raises:
        FormatError: `too_large`.
        ScopeError: The other side's gate refused; with its code.
        TransportError: It may be asked again later, and `incoming` has what came: `overloaded`, as the server says;
            `connection_closed`, it was cut; `unreachable`, nobody is there, or nothing that serves it.
        ResolutionError: `did_forbidden_address`: it leads to where nothing is dialled.
    """
    meter = Meter(tell)
    while True:
        before = incoming.size
        try:
            async with await ask(url, contract, before, incoming.max_bytes) as body:
                incoming.total = body.total
                if body.start != before:
                    await incoming.restart()
                async for chunk in body.chunks:
                    await incoming.add(chunk)
                    meter.at(incoming.size, body.total)
            return
        except TransportError as error:
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


class Transfers:
    """What is fetched for one review. What was cut goes on where it stopped when the review is tried again."""

    def __init__(
        self,
        store: ArtifactStore,
        ask: Asks,
        locate: Callable[[Did, Digest], Awaitable[str]],
        engagement: EngagementId,
        contract: Digest,
    ) -> None:
        """`locate` says where a party serves an artifact."""
        self._store, self._ask, self._locate = store, ask, locate
        self._engagement = engagement
        self._contract = contract
        self._begun: dict[Digest, Incoming] = {}
        self._whole: set[Digest] = set()
        """Of those that are begun: what came to its end, and is not in the store yet."""
        self._sound: set[Digest] = set()
        """What is in the store, every byte."""

    async def __aenter__(self) -> Transfers:
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self._begun:
            return
        # What one cannot be discarded for, such as a second stop, keeps none of the others.
        async with AsyncExitStack() as stack:
            for incoming in self._begun.values():
                stack.push_async_callback(incoming.discard)

    async def fetch(self, peer: Did, uri: str | None, digest: Digest, most: int, tell: Tell) -> None:
        """Has an artifact in the store, unless it came there under this engagement already (HIRE-ATT-11); what is
        damaged there is replaced.

        What is there for any other reason is fetched all the same: else whoever names its digest could find out that we
        have it, and be paid for what it never had (HIRE-ATT-12).

        Raises:
            FormatError: `too_large`: it has more than `most` bytes.
            LedgerUnavailable: `store_full`, `store_unavailable`: it cannot be looked up or kept.
        """
        if digest in self._sound:
            return
        there = None
        if digest not in self._begun and await self._store.came(digest, self._engagement):
            there = await self._store.sound(digest)
        if there is not None:
            if there > most:
                raise too_large(most, f"{digest} has {there}")
            self._sound.add(digest)
            return
        url = uri or await self._locate(peer, digest)
        incoming = self._begun.get(digest)
        if incoming is None:
            incoming = self._begun[digest] = self._store.receive(max_bytes=most, digest=digest, under=self._engagement)
        try:
            if digest not in self._whole:
                await transfer(self._ask, url, self._contract, incoming, tell)
                self._whole.add(digest)
            await incoming.keep()
        except (FormatError, VerificationError, asyncio.CancelledError):
            await self._drop(digest)  # what came is not what was wanted: the next time begins at the beginning
            raise
        await self._drop(digest)
        self._sound.add(digest)

    async def _drop(self, digest: Digest) -> None:
        """Lets go of what came."""
        self._whole.discard(digest)
        await self._begun.pop(digest).discard()

    def doubt(self, digest: object) -> None:
        """Looks at this again when it is fetched next: the review found it missing or damaged."""
        self._sound.discard(cast("Digest", digest))
