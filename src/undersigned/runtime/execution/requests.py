"""A person's yes to one action, on its way: the provider's runtime asks, somebody of the hirer answers.

The request says which clause asks, and what exactly would be done; both moves are durable before either side goes on,
so a restart between them loses nothing. Whether an approval still counts is for the gates of both sides to say.

Source: protocol-spec/07-contract.md, section 7.9
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

import structlog
from msgspec import Struct

from undersigned.encoding import Digest, EngagementId, Instant, seconds_between, shift
from undersigned.errors import LocalProtocolError, ScopeError, UndersignedError
from undersigned.ledger import Row
from undersigned.messages import ApprovalRequest, Details, recorded_message
from undersigned.protocol import HIRER, Asking, Contract, Engagement, legal
from undersigned.runtime.application import contained, decided, in_short
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.turn import Say
from undersigned.scope import Action, arguments_of, stated

if TYPE_CHECKING:
    from undersigned.runtime.base import AgentBase

__all__ = ["Approves", "RequestAnswers", "Requests", "Wanted", "open_requests"]

LOOK_SECONDS: Final = 5.0
"""The longest time between two looks at the clock while an answer is waited for."""
RETRY_SECONDS: Final = 2.0
"""From the first attempt at an answer to the second; each later pause is twice as long."""
LONGEST_RETRY_SECONDS: Final = 60.0
"""Most time between two."""
GOOD_SECONDS: Final = 3600
"""How long after it was said a yes of the application may be used."""
HINT: Final = "it stays open: contract approve CONTRACT REQUEST"
_log: Final = structlog.get_logger()


class Wanted(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a provider asks for, to be shown to who decides."""

    move: Digest
    """Digest of the request, which names it in the answer."""
    clause: str
    """The grant under which it would be done."""
    action: str
    details: Details | None
    """What would be done, whole, checked against what the answer is good for; None if the provider does not say it."""
    reason: str
    """The provider's words."""
    answer_by: Instant
    """Without an answer by then it is no."""

    def explain(self) -> str:
        """On one line: what would be done, and under which clause."""
        if self.details is None:
            return f"[{self.clause}] {self.action}, on what is not said"
        amounts = ", ".join(f"{amount} {unit}" for unit, amount in sorted(self.details.amounts.items()))
        return f"[{self.clause}] {self.action} on {self.details.target} ({amounts})"


Approves = Callable[[Wanted], Awaitable[bool | None]]
"""The application's answer: True is yes, once, within the hour; False no; None leaves it to whoever else answers."""


def open_requests(engagement: Engagement, rows: Iterable[Row], now: Instant) -> tuple[Wanted, ...]:
    """The requests that can still be answered at `now`, oldest first; `rows` are those of the journal."""
    waiting = {one.move for one in _waiting(engagement, now)}
    found: list[Wanted] = []
    for row in rows:
        if row.type != ApprovalRequest.type or row.digest not in waiting:
            continue
        message = recorded_message(row.raw).message
        if isinstance(message, ApprovalRequest):
            found.append(
                Wanted(
                    move=row.digest,
                    clause=message.clause,
                    action=message.action,
                    details=message.details,
                    reason=message.reason,
                    answer_by=message.answer_by,
                )
            )
    return tuple(found)


def _waiting(engagement: Engagement, now: Instant) -> tuple[Asking, ...]:
    contract = engagement.contract
    asked = contract.open_requests() if contract is not None and "Approval" in legal(engagement, HIRER) else ()
    return tuple([one for one in asked if now <= one.answer_by])


class Requests:
    """What the work of one contract asks the hirer for."""

    def __init__(self, agent: AgentBase, conversation: Conversation) -> None:
        self._agent = agent
        self._conversation = conversation
        self._awaited: set[Digest] = set()
        """Requests that somebody here waits for; one from before a restart is taken up by who asks the same."""

    def answered(self) -> frozenset[Digest]:
        """The requests that have an answer, to be taken before the gate is asked."""
        contract = self._conversation.engagement.contract
        return frozenset(one.move for one in contract.asked if one.uses is not None) if contract else frozenset()

    async def ask(self, clause: str, action: Action, *, reason: str, seconds: int, known: frozenset[Digest]) -> bool:
        """True once a person of the hirer has agreed to `action` under `clause`; silence for `seconds` is no.

        `known` are the requests that had an answer when the gate said no. A yes that came since is not asked for once
        more: False, and the gate has to be asked again.

        Raises:
            ScopeError: `approval_required`: nobody has agreed, or it cannot be asked for now.
        """
        target, amounts = stated(action)
        arguments, details = arguments_of(action), Details(action=action.name, target=target, amounts=amounts)
        now = self._agent.clock.now()

        def alike(contract: Contract) -> list[Asking]:
            return [one for one in contract.asked if (one.clause, one.arguments) == (clause, arguments)]

        def fits(contract: Contract) -> Digest | None:
            waiting = [one for one in alike(contract) if one.uses is None and now <= one.answer_by]
            return next((one.move for one in waiting if one.move not in self._awaited), None)

        def since(contract: Contract) -> list[int]:
            return [one.uses for one in alike(contract) if one.uses is not None and one.move not in known]

        def make(engagement: Engagement) -> Say | None:
            contract = engagement.contract
            if contract is None or fits(contract) is not None or since(contract):
                return None
            body = {"contract": contract.digest, "clause": clause, "action": action.name, "arguments": arguments}
            by = min(shift(now, seconds), self._conversation.offered(engagement).terms.deadlines.until)
            return Say("ApprovalRequest", {**body, "details": details, "reason": reason, "answer_by": by})

        try:
            await self._conversation.ask(make)
        except LocalProtocolError as error:
            raise ScopeError("approval_required", f"it cannot be asked for: {error}", clause=clause) from error
        contract = self._conversation.engagement.contract
        request = fits(contract) if contract is not None else None
        if request is None:
            if contract is not None and any(since(contract)):
                return False
            raise ScopeError("approval_required", "nobody can be asked any more", clause=clause)
        self._awaited.add(request)
        try:
            no = await self._refusal(request)
        finally:
            self._awaited.discard(request)
        if no:
            raise ScopeError("approval_required", no, clause=clause)
        return True

    async def _refusal(self, request: Digest) -> str:
        """Waits for the answer: empty if it is yes, else what became of the question."""
        events = self._agent.watchers.listen(self._conversation.id)
        try:
            while True:
                contract = self._conversation.engagement.contract
                asked = next((one for one in contract.asked if one.move == request), None) if contract else None
                if asked is None:
                    return "the hirer said no"
                if asked.uses is not None:
                    return ""
                left = seconds_between(self._agent.clock.now(), asked.answer_by)
                if left < 0:
                    return "nobody did in time"
                # Not `wait_for`: before Python 3.12 it loses a cancellation that comes together with an event.
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left + 1.0, LOOK_SECONDS)):
                        await events.get()
        finally:
            self._agent.watchers.unlisten(events)


class RequestAnswers:
    """What the hirer's application says to requests, if it says anything; otherwise a person does, with `approve`."""

    def __init__(self, agent: AgentBase, approve: Callable[..., Awaitable[object]]) -> None:
        """`approve` is that of `Changes`."""
        self._agent, self._approve = agent, approve
        self.by: dict[str, Approves] = {}
        """Who answers, by engagement or by kind of task."""
        self._begun: dict[EngagementId, set[Digest]] = {}

    def forget(self, engagement: EngagementId) -> None:
        """It is put away, and asks for nothing any more."""
        self._begun.pop(engagement, None)

    def wanted(self, conversation: Conversation, request: Digest) -> None:
        """Has it answered, in the background: who decides may take its time."""
        begun = self._begun.setdefault(conversation.id, set())
        if request not in begun:  # a turn that was not stored asks for it again
            begun.add(request)
            self._agent.spawn(self._answer(conversation, request), f"approval {request[-8:]}")

    async def _answer(self, conversation: Conversation, request: Digest) -> None:
        word: bool | None = None
        pause, until = RETRY_SECONDS, ""
        while True:
            try:
                if word is None:
                    word = await self._word(conversation, request)
                    until = shift(self._agent.clock.now(), GOOD_SECONDS)
                left = seconds_between(self._agent.clock.now(), until)
                if word and left <= 0:
                    _log.error("a yes is too old to be given", request=request, hint=HINT)
                elif word is not None:
                    await self._approve(conversation, request, granted=word, seconds=max(left, 1))
                return
            except LocalProtocolError as error:
                # It is over, it is too late, or somebody else answered.
                _log.warning("a request was not answered", request=request, error=str(error))
                return
            except UndersignedError as error:
                # Such as a key or a store that is away. What is decided stays so, and nobody is asked again.
                if not self._is_open(conversation.engagement, request):
                    _log.warning("a request was not answered", request=request, error=str(error))
                    return
                _log.error("an answer to a request waits", request=request, error=str(error))
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_RETRY_SECONDS)

    def _is_open(self, engagement: Engagement, request: Digest) -> bool:
        """Whether it can still be answered, as far as is known without the store."""
        return any(one.move == request for one in _waiting(engagement, self._agent.clock.now()))

    async def _word(self, conversation: Conversation, request: Digest) -> bool | None:
        """What the application says; None if it says nothing, or the request waits for no answer any more."""
        await conversation.settled()
        approves = self.by.get(conversation.id) or self.by.get(conversation.offered().terms.task.kind)
        rows = await self._agent.ledger.rows(conversation.id)
        waiting = open_requests(conversation.engagement, rows, self._agent.clock.now())
        wanted = next((one for one in waiting if one.move == request), None)
        if wanted is None:
            return None
        _log.info("a request for approval", engagement=conversation.id, request=request, asks=wanted.explain()[:500])
        if approves is None:
            return None
        try:
            return decided(await contained(partial(approves, wanted)), "approve")
        except Exception as exc:
            # The application's code; what it cannot decide is left to a person, and past its time it is no.
            _log.error("nobody decided about a request", request=request, error=in_short(exc), hint=HINT)
            return None
