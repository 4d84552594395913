"""What the work of a contract may do: the gate is asked when a block is entered, and the hirer where that needs a yes.

Who never enters it has asked nobody.

Source: protocol-spec/06-scope.md
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Final

import structlog

from undersigned.attestation import ActionTaken
from undersigned.contract import plain
from undersigned.encoding import Digest, Instant
from undersigned.errors import LedgerUnavailable, ScopeError, UndersignedError
from undersigned.protocol import PROVIDER, Engagement
from undersigned.runtime.clock import clock_hint
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.remembered import contract_of
from undersigned.scope import Action

from .gate import Permit
from .requests import Requests

if TYPE_CHECKING:
    from undersigned.runtime.agent.agent import Agent

__all__ = [
    "APPROVAL_SECONDS",
    "LONGEST_WAIT_SECONDS",
    "RETRY_SECONDS",
    "Acting",
    "Admission",
    "changed_unheard",
]

_log: Final = structlog.get_logger()

APPROVAL_SECONDS = 3600
"""How long an action waits for a person's yes, unless it says otherwise."""
RETRY_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 5.0
"""Between attempts while the contract is suspended: our own gate is asked, which costs little."""
MAX_REASON = 1024
"""Characters of a reason on the wire."""
NO_REASON = "The contract asks for it."
SUSPENDING_CLAUSE = "mustStayValid"
"""Clause of our own gate, of the hirer's credentials."""
SUSPENDING_CLAUSES = frozenset({"state", "parent", SUSPENDING_CLAUSE})
"""Of the hirer's gate: it has suspended the contract or that above it, or our credentials do not hold."""
UNTIMELY_CODES = frozenset({"proof_invalid", "overloaded"})
"""What gates of the hirer say of a request that was signed too long ago, or in the future."""
AGAIN_CODES = frozenset({"overloaded", "status_unavailable"})
"""Of the hirer's gate, which has let nothing in: it can ask nobody now, since the hirer starts anew, say."""


class Acting(AbstractAsyncContextManager[Permit]):
    """Permission for one action, once it is entered."""

    __slots__ = ("_inner", "_unasked", "name")

    def __init__(self, name: str, inner: AbstractAsyncContextManager[Permit], unasked: dict[Acting, None]) -> None:
        """It stands in `unasked`, of its job, until it is entered."""
        self.name = name
        """What is to be done, as scopes name it."""
        self._inner = inner
        self._unasked = unasked
        unasked[self] = None

    async def __aenter__(self) -> Permit:
        self._unasked.pop(self, None)
        return await self._inner.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._inner.__aexit__(kind, error, trace)


class Admission:
    """Asks the gate for the work of one contract, and the hirer where a clause needs a person's yes."""

    def __init__(self, agent: Agent, conversation: Conversation) -> None:
        self._agent = agent
        self._conversation = conversation
        self._requests = Requests(agent, conversation)
        self.actions: list[ActionTaken] = []
        """What the gate said, for the statement about the work."""
        self.over = False
        """Whether the work has ended."""

    @asynccontextmanager
    async def acting(self, asked: Action, reason: str, approval_seconds: int) -> AsyncGenerator[Permit]:
        """As `Job.act`."""
        permit = await self.permit(asked, reason, approval_seconds)
        yield permit
        # Booked with the next thing that is stored; until then it counts as spent.
        self._conversation.journal.settle(permit.used())

    async def permit(self, asked: Action, reason: str = "", approval_seconds: int = APPROVAL_SECONDS) -> Permit:
        """The same permission, which whoever has it settles."""
        permit = await self._admitted(asked, reason, approval_seconds)
        at = self._agent.clock.now()
        self.actions.append(
            ActionTaken(action=asked.name, target=asked.target, allowed=True, clause=permit.decision.clause, at=at)
        )
        return permit

    async def _admitted(self, asked: Action, reason: str, approval_seconds: int) -> Permit:
        pause, away, told, may_ask = RETRY_SECONDS, 0.0, False, approval_seconds > 0
        while True:
            self.goes_on()
            now, before = self._agent.clock.now(), self._conversation.engagement
            known = self._requests.answered()
            try:
                return await self._agent.admit(self._conversation, asked)
            except LedgerUnavailable as error:
                away = await self.waits(error, away)
                continue
            except ScopeError as error:
                if error.code == "approval_required" and may_ask:
                    try:
                        may_ask = not await self._approved(asked, error, reason, approval_seconds, known)
                        continue
                    except ScopeError as no:
                        error.message += f"; {no.message}"
                # Since it was asked it may have been suspended, or resumed, or both.
                begun = contract_of(self._conversation.engagement).suspensions != contract_of(before).suspensions
                suspended = error.clause == SUSPENDING_CLAUSE or before.state == "suspended" or begun
                if not (suspended and told):
                    self.refused(asked, now, error)
                if not suspended:
                    raise
                told = True
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_WAIT_SECONDS)

    async def waits(self, error: LedgerUnavailable, paused: float = 0.0) -> float:
        """After our own store took nothing, `paused` seconds after the time before: for how long this waited. It is
        asked again until the work has to end, for a disk that is full for a minute costs no contract.

        Raises:
            ScopeError: As `goes_on`.
        """
        if not paused:
            text = "our own store takes nothing: it is asked again until the work has to end"
            _log.warning(text, engagement=self._conversation.id, error=str(error))
        pause = min(2 * paused or RETRY_SECONDS, LONGEST_WAIT_SECONDS)
        await asyncio.sleep(pause)
        self.goes_on()
        return pause

    def clocks_apart(self, error: UndersignedError, url: str) -> bool:
        """Whether what we sign is refused there since one of the clocks has leapt, which then stands in the error: it
        is mended soon, and what is sent meanwhile is not taken either, and said again.
        """
        hint = clock_hint(self._agent.gatherer.ahead_of_server(url)) if error.code in UNTIMELY_CODES else ""
        error.message += hint
        return bool(hint)

    async def refused_there(
        self, asked: Action, url: str, error: ScopeError, before: Engagement, paused: float
    ) -> float:
        """After the no of a gate of the hirer's, `paused` seconds after the one before: for how long this waited, if it
        is to be asked again. It goes by what the hirer sent and has taken, so it may know of a suspension before we do,
        and of what we sealed after us; and the hirer may be away for a moment. `before` is how the engagement was when
        that was asked.

        Raises:
            ScopeError: `error`: nothing is waited for.
        """
        away = error.code in AGAIN_CODES or self.clocks_apart(error, url)
        waits = away or error.clause in SUSPENDING_CLAUSES or changed_unheard(before)
        waits = waits and self._conversation.engagement.state in ("working", "suspended")
        if not (waits and paused):
            self.refused(asked, self._agent.clock.now(), error)
        if not waits:
            raise error
        if away and not paused:  # a gate that lacks its token, say, would be waited for in silence
            _log.warning(
                "a gate lets in nobody now: it is asked again until the work has to end",
                engagement=self._conversation.id,
                error=str(error),
            )
        pause = min(2 * paused or RETRY_SECONDS, LONGEST_WAIT_SECONDS)
        await asyncio.sleep(pause)
        return pause

    async def _approved(
        self, asked: Action, error: ScopeError, reason: str, seconds: int, known: frozenset[Digest]
    ) -> bool:
        clause, why = error.clause, " ".join(plain(reason, MAX_REASON).split())
        return await self._requests.ask(clause, asked, reason=why or NO_REASON, seconds=seconds, known=known)

    def goes_on(self, *, anywhere: bool = False) -> None:
        """Returns if the work has not ended, and, but for what waits for nothing, the peer's event loop runs here.

        Raises:
            ScopeError: `contract_expired`.
            LocalProtocolError: `wrong_state`.
        """
        if self.over:
            raise ScopeError("contract_expired", "the work of this job has ended", clause="job")
        if not anywhere:
            self._agent.require_loop()

    def refused(self, asked: Action, at: Instant, error: ScopeError) -> None:
        """For the statement about the work; the gate has recorded it already."""
        clause = error.clause or "scope"
        taken = ActionTaken.refused(asked.name, asked.target, clause=clause, at=at, reason=error.message)
        self.actions.append(taken)


def changed_unheard(engagement: Engagement) -> bool:
    """Whether we sealed what is in force, and the hirer may not have that yet."""
    contract = engagement.contract
    by = contract.in_force_by if contract is not None else None
    return by is not None and by[0] == PROVIDER and bool(engagement.unreceipted)
