"""What verified credentials say, on its way into the trust graph.

It is written a little later, in one transaction for all that came meanwhile: one that is lost with the process is shown
again. What its issuer has withdrawn counts no more at once, written or not.

Source: protocol-spec/12-trust.md, section 12.8
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import structlog

from undersigned.credentials import Credential
from undersigned.did import DidDocument
from undersigned.encoding import Did, Digest, Instant, canonicalize
from undersigned.errors import CredentialError, LedgerError, LedgerUnavailable, UndersignedError
from undersigned.ledger import Admitted, TrustStore
from undersigned.proof import proofs_of
from undersigned.runtime.fetching.gather import FRESH_SECONDS
from undersigned.trust import Status, edge_of

if TYPE_CHECKING:
    from undersigned.runtime.base import AgentBase

__all__ = ["Learned", "admission", "withdrawn_as"]

_log = structlog.get_logger()

WRITE_SECONDS: Final = 1.0
"""From the first edge that is learned to the write of all that came by then."""
MAX_WAITING: Final = 16_384
"""Edges that wait to be written, twice that where they are withdrawn, and credentials of which it is remembered that
theirs were."""


def admission(
    credential: Credential,
    document: DidDocument,
    now: Instant,
    *,
    contracts: Collection[Digest] = (),
    evidence: Collection[Digest] = (),
) -> Admitted:
    """The edge of a credential that was verified by `document`, its issuer's, with the key that signed it.

    Raises:
        CredentialError, FormatError: As `edge_of`: it makes no edge.
    """
    edge = edge_of(credential, contracts=contracts, evidence=evidence)
    if credential.jws is not None:
        method = credential.jws.method
    else:
        (proof,) = proofs_of(credential.json)  # that there is exactly one, and what it has, was verified
        method = str(proof["verificationMethod"])
    raw = canonicalize(credential.shown) if credential.has_status else None
    return Admitted(edge, document.key_for(method, "assertionMethod", now=now), raw)


def withdrawn_as(error: CredentialError) -> Status | None:
    """The status that the issuer's list gave a credential, if this is what `check_status` raised about it."""
    if error.code != "revoked":
        return None
    return "suspended" if error.detail.get("purpose") == "suspension" else "revoked"


def _bound(kept: dict[Digest, Any], most: int) -> None:
    while len(kept) > most:
        del kept[next(iter(kept))]


class Learned:
    """Edges and statuses that wait to be written. `forget` is called when what was believed may count no more."""

    def __init__(self, agent: AgentBase, forget: Callable[[], None]) -> None:
        self._agent = agent
        self._forget = forget
        self._known: dict[Digest, None] = {}
        self._waiting: dict[Digest, Admitted] = {}
        self._statuses: dict[Digest, Status] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        """Of writes: the file is for one at a time, and a decision that needs one must not fail for another of ours."""

    def bad(self) -> set[Digest]:
        """Edges that are not written yet as what they are."""
        return {digest for digest, status in self._statuses.items() if status != "good"}

    def revoked(self, credential: Digest) -> bool:
        """Whether it is one that was found to be revoked, and that is not written yet."""
        return self._statuses.get(credential) == "revoked"

    async def learn(self, credentials: Iterable[Credential], *, holder: Did, now: bool = False) -> None:
        """Takes the edges of credentials that are verified, can count, are clear now, and are not its `holder`'s own.

        They are asked about with the next write, which is made soon; or `now`, if what is asked next depends on it.
        """
        for one in credentials:
            if one.digest in self._known or one.issuer == holder:
                continue
            if max(len(self._waiting), len(self._statuses)) >= MAX_WAITING:
                break  # nothing could be written for long: it is learned when it is shown again
            try:
                document = await self._agent.document_of(one.issuer, FRESH_SECONDS)
                self._waiting[one.digest] = admission(one, document, self._agent.clock.now())
            except UndersignedError as error:
                # Most often it is of no type that makes one.
                _log.debug("a credential makes no edge", credential=one.digest, error=str(error))
            if one.has_status and self._statuses.get(one.digest) != "revoked":
                self._statuses[one.digest] = "good"  # it may have been suspended when it was shown last
            self._known[one.digest] = None
            _bound(self._known, MAX_WAITING)
        if now:
            await self.write()
        else:
            self._write_soon()

    def withdrawn(self, credential: Credential, status: Status) -> None:
        """Takes it that the issuer of a verified credential has revoked or suspended it; its edge counts no more, at
        once, and is stored as withdrawn also where it never counted.
        """
        self._statuses[credential.digest] = status
        self._known.pop(credential.digest, None)
        with suppress(UndersignedError):  # most often it is of no type that makes one
            if credential.digest not in self._waiting:
                self._waiting[credential.digest] = Admitted(edge_of(credential), None, canonicalize(credential.shown))
        # What is withdrawn finds room also where nothing more is learned.
        _bound(self._waiting, 2 * MAX_WAITING)
        _bound(self._statuses, 2 * MAX_WAITING)
        self._forget()
        self._write_soon()

    def _write_soon(self) -> None:
        if self._timer is None and (self._waiting or self._statuses):
            self._timer = asyncio.get_running_loop().call_later(WRITE_SECONDS, self._begin)

    def _begin(self) -> None:
        self._timer = None
        self._writing = asyncio.create_task(self.write(), name="trust graph")

    async def write(self) -> None:
        """Writes what was learned; if another process keeps it from being written, it waits."""
        async with self._turn:
            await self._write()

    async def _write(self) -> None:
        waiting, statuses = dict(self._waiting), dict(self._statuses)
        if not waiting and not statuses:
            return

        def run() -> None:
            with TrustStore(self._agent.home.trust) as store:
                store.admit(waiting.values(), statuses)

        try:
            await asyncio.to_thread(run)
        except LedgerUnavailable as error:
            _log.info("the trust graph is written later", error=str(error))
            self._write_soon()
            return
        except LedgerError as error:
            _log.error("the trust graph was not written", error=str(error))
            # What is withdrawn counts no more, written or not.
            for digest in self.bad():
                waiting.pop(digest, None)
                statuses.pop(digest, None)
        for digest, admitted in waiting.items():
            if self._waiting.get(digest) is admitted:  # else it was learned meanwhile with the key that signed it
                del self._waiting[digest]
        for digest, status in statuses.items():
            if self._statuses.get(digest) == status:
                del self._statuses[digest]

    async def close(self) -> None:
        """Writes what waits."""
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)
        await self.write()
        if self._timer is not None:
            self._timer.cancel()
