"""The inputs of a contract as its work reads them: through the grant of the contract, checked against their digests.

Source: protocol-spec/06-scope.md and 08-attestation-and-evidence.md
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, TypeAlias

import structlog

from undersigned.contract import ARTIFACT_READ
from undersigned.encoding import Digest
from undersigned.errors import FormatError, LedgerUnavailable, UndersignedError
from undersigned.messages import Input
from undersigned.runtime.artifacts.incoming import Incoming
from undersigned.runtime.artifacts.transfers import Tell, transfer
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.fetching.bodies import Body
from undersigned.runtime.negotiation.order import bytes_limits
from undersigned.scope import Action

from .acting import LONGEST_WAIT_SECONDS, RETRY_SECONDS, Admission, changed_unheard
from .gate import Permit

if TYPE_CHECKING:
    from undersigned.runtime.agent.agent import Agent

__all__ = ["Reading"]

LONGEST_RETRY_SECONDS = 30.0
SUSPENDING_CODES = frozenset({"contract_expired", "revoked", "policy_denied", "status_unavailable", "status_invalid"})
"""What the hirer's gate answers where ours do not hold, or it has suspended the contract; it names no clause."""

_Answer: TypeAlias = AbstractAsyncContextManager[Body]

_log = structlog.get_logger()


class _Requests:
    """Asks for one input. Each request that was answered is one more for both gates, also where its answer was cut."""

    def __init__(
        self,
        agent: Agent,
        conversation: Conversation,
        admission: Admission,
        uri: str,
        incoming: Incoming,
        most: int | None,
    ) -> None:
        """`most` bytes of it may be read, or None are counted."""
        self.incoming = incoming
        self.answered = False
        """Whether the last request was, as far as is known: then it is spent."""
        self._agent, self._conversation, self._admission = agent, conversation, admission
        self._uri, self._most = uri, most
        self._start = 0
        """Which byte the last request asked for first."""
        self.permit: Permit | None = None
        """Of the next request, or the last, until that is settled."""

    def wanted(self, start: int = 0) -> Action:
        """What the next request asks for, which has to be booked before it is made."""
        amounts: dict[str, str] = {}
        if self._most is not None:
            # How many there are is known with an answer. Until then all are booked that there may be.
            known = self.incoming.total
            amounts["bytes"] = str((self._most if known is None else known) - start)
        return Action(name=ARTIFACT_READ, target=self._uri, amounts=amounts)

    def ask(self, url: str, contract: Digest, start: int, max_bytes: int) -> Awaitable[_Answer]:
        """As `OtherSide.open`."""
        if self.answered or not self.incoming.hold_bytes:
            return self._ask_after(url, contract, start, max_bytes)
        self._start, self.answered = start, True  # until `heard` says that it was not
        return self._agent.other_side.open(url, contract, start, max_bytes)

    async def _ask_after(self, url: str, contract: Digest, start: int, max_bytes: int) -> _Answer:
        if not self.incoming.hold_bytes:
            await self.incoming.spill()  # where our store takes nothing, nothing is asked for that would be spent
        if self.answered:  # and cut, or nobody would ask again
            await self.book()
            self.permit = await self._admission.permit(self.wanted(start))
        self._start, self.answered = start, True
        return await self._agent.other_side.open(url, contract, start, max_bytes)

    async def book(self) -> None:
        """What was booked is spent: of bytes those that the answer was to bring, which the other side booked."""
        permit, self.permit = self.permit, None
        if permit is None:
            return
        if self._most is None:
            self._conversation.journal.settle(permit.used())
        else:
            until = self.incoming.size if self.incoming.total is None else self.incoming.total
            amounts = {"bytes": str(max(0, until - self._start))}
            try:
                # At once: what was reserved too much is wanted elsewhere.
                await self._agent.gate.settle(permit, amounts)
            except LedgerUnavailable:  # with the next thing that is stored, then
                self._conversation.journal.settle(permit.used(amounts))

    def heard(self, error: BaseException) -> None:
        """Why the last request brought no more. What it got no answer to may be booked there or not: then it is not."""
        if isinstance(error, LedgerUnavailable):
            return  # which is our own store, before a request was made or while its answer came
        cut = isinstance(error, UndersignedError) and bool(error.detail.get("cut"))
        self.answered = cut or self.incoming.size > self._start

    async def give_up(self) -> None:
        """It is not read to its end."""
        if self.permit is not None and not self.answered:
            permit, self.permit = self.permit, None
            await self._agent.gate.release(permit)
        await self.book()


class Reading:
    """Reads what the hirer gave for one contract."""

    def __init__(self, agent: Agent, conversation: Conversation, contract: Digest, admission: Admission) -> None:
        self._agent, self._conversation = agent, conversation
        self._contract, self._admission = contract, admission

    async def whole(self, item: Input, max_bytes: int, *, hold_bytes: int = 0) -> Incoming:
        """An input, whole, that is kept in no store: `async with` it."""
        if item.uri is None:
            raise FormatError("schema_violation", f"the hirer did not say where input {item.name!r} is")
        most = await self._bytes_left(item.uri, max_bytes)
        incoming = self._agent.artifacts.receive(
            max_bytes=max_bytes if most is None else most, digest=item.digest, hold_bytes=hold_bytes
        )
        requests = _Requests(self._agent, self._conversation, self._admission, item.uri, incoming, most)
        try:
            requests.permit = await self._admission.permit(requests.wanted())
            tell = self._agent.watchers.tells(self._conversation, item.name, item.digest)
            try:
                await self._fetch(item.uri, requests, tell)
            except FormatError:  # it is too large, which is seen once the hirer's gate has let us in and booked it
                await requests.book()
                raise
            except BaseException:  # also where the work waits no longer
                await requests.give_up()
                raise
            await requests.book()
        except BaseException as error:
            await incoming.discard()
            own = self._agent.max_artifact_bytes
            if isinstance(error, FormatError) and error.code == "too_large" and max_bytes == own != most:
                error.message += f"; [artifacts] max_bytes of our settings says so of input {item.name!r}"
            raise
        return incoming

    async def _bytes_left(self, uri: str, max_bytes: int) -> int | None:
        """How many bytes of what may be read there are left by the contract; None if it does not count them."""
        gate, document = self._agent.gate, self._conversation.offered()
        grants = gate.scope(self._contract, document).grants
        counted = {grant.id: limits for grant in grants if (limits := bytes_limits(grant, uri))}
        if not counted:
            return None
        # The grant that one byte would be read by: what others have left holds nothing back of it.
        told = await gate.foresee(
            self._contract, document, Action(name=ARTIFACT_READ, target=uri, amounts={"bytes": "1"})
        )
        room = [told.remaining[limit.name] for limit in counted.get(told.clause, ())]
        left = [int(amount.partition(".")[0]) + told.allowed for amount in room]
        # Of nothing that is left one byte is asked for, so that the gate says no, and by which clause.
        return max(1, min(max_bytes, *left)) if left else max_bytes

    async def _fetch(self, uri: str, requests: _Requests, tell: Tell) -> None:
        """Fetches an input; a hirer that is away for a moment, for whom our credential or our clock does not hold now,
        or that may not have what we sealed yet, is tried again, and so is our own store, until the work's deadline.
        """
        pause, incoming, came = RETRY_SECONDS, requests.incoming, False
        while True:
            self._admission.goes_on()
            before = self._conversation.engagement
            try:
                if not came:
                    await transfer(requests.ask, uri, self._contract, incoming, tell)
                    came = True
                if not incoming.hold_bytes:
                    await incoming.spill()
                return
            except BaseException as error:
                if not came:
                    requests.heard(error)
                if not isinstance(error, UndersignedError):
                    raise
                state = self._conversation.engagement.state
                # The hirer's gate goes by what it sent and has taken, so it may know of a suspension before we do, and
                # of what we sealed after us; and we may hear of it while an answer is on its way that was given before.
                apart = self._admission.clocks_apart(error, uri)
                waits = apart or error.code in SUSPENDING_CODES or changed_unheard(before)
                suspended = waits and state in ("working", "suspended")
                if not error.retryable and not suspended:
                    raise
                _log.warning("an input was not fetched yet", engagement=self._conversation.id, error=str(error))
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_WAIT_SECONDS if suspended else LONGEST_RETRY_SECONDS)
