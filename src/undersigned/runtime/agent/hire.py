"""A hire as the hirer's application sees it: events while it goes on, and a result at the end (`outcome`)."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from undersigned.encoding import EngagementId, seconds_between
from undersigned.errors import (
    ConfigurationError,
    CredentialError,
    LocalProtocolError,
    LogProofError,
    PolicyError,
    RemoteProtocolError,
    TransportError,
    UndersignedError,
)
from undersigned.messages import CANCEL_REASONS, Problem
from undersigned.protocol import ENDED
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.turn import Event, Hears
from undersigned.runtime.execution.requests import Approves
from undersigned.runtime.execution.reviewers import Reviewer
from undersigned.runtime.negotiation.order import Order
from undersigned.runtime.unread import Unread
from undersigned.trust import Decision

from .links import given_up
from .outcome import DIVERGED, HireResult, disputable, hire_result, unclosed_by

if TYPE_CHECKING:
    from .agent import Agent

__all__ = ["Hire", "unread", "unresolved"]

LAST_RECEIPT_SECONDS = 2.0
"""How long a hire that has ended waits for the receipt of its last word, or for books that need not be closed yet."""


def unresolved(event: Event) -> CredentialError | None:
    """What to say of a presentation that one side could not check because an issuer did not resolve; None of all else.

    The side that showed it has done nothing wrong, and is reached.
    """
    code = "did_unresolvable"
    if (event.kind, event.type, event.code) == ("refused", "Presentation", code):
        return CredentialError(code, f"what the peer shows cannot be checked: {event.detail.removeprefix(f'{code}: ')}")
    if event.kind == "problem" and isinstance(event.message, Problem) and event.message.code == code:
        return CredentialError(code, "the peer cannot check what was shown to it: an issuer did not resolve there")
    return None


def unread(event: Event) -> RemoteProtocolError | None:
    """What to say of the peer's answer if it was no message of the engagement; None of all else."""
    if event.kind != "unread":
        return None
    return RemoteProtocolError(event.code, f"what the peer answers cannot be taken: {event.detail}")


Begin: TypeAlias = Callable[[Order, Hears], Awaitable[Conversation]]
"""Opens the engagement of an order, and has its events heard."""


class Hire:
    """One hire under way: `await` it for its result, as often as you like, or iterate over its events. Who is cancelled
    while waiting, by a timeout say, ends that wait and nothing else; `cancel` ends the hire.
    """

    def __init__(
        self,
        peer: Agent,
        order: Callable[[], Awaitable[Order]],
        review: Reviewer | None,
        approve: Approves | None = None,
        *,
        begin: Begin | None = None,
        over: Callable[[Conversation], Awaitable[None]] | None = None,
    ) -> None:
        """`order` is called once somebody waits. `begin` opens the engagement of the order, or gives the one that was
        opened for it before; the end is told once `over`, if there is one, has returned.
        """
        self._peer = peer
        self._begin = begin or peer.begin
        self._over = over
        self._order = order
        self._review = review
        self._approve = approve
        self._task: asyncio.Task[HireResult] | None = None
        self._events: Unread[Event | None] = Unread()
        """For whoever iterates; None, which stays for whoever comes later: there are no more."""
        self._ended = asyncio.Event()
        """Set once nothing is waited for any more."""
        self._timer: asyncio.TimerHandle | None = None
        """Of what is waited for: the first answer, or the last receipt."""
        self.engagement: EngagementId | None = None
        """Known once the `Inquiry` is stored."""
        self._decided: str | None = None
        """The decision that was noted last, as it was noted."""
        self._undecided: Event | None = None
        """What kept us from deciding, when that was tried last; the log of the provider, once it was that."""
        self._refused: Problem | None = None
        """The last message of ours that the provider refused, as it said so."""
        self._stuck: CredentialError | None = None
        """What of a presentation cannot be checked, and keeps the provider's answer away."""
        self._unread: UndersignedError | None = None
        """What came in place of an answer."""
        self._in_vain: UndersignedError | None = None
        """Why it is given up."""
        self._unclosed: LogProofError | None = None
        """Why the books will not be closed by both."""
        self._doubts = False
        """Whether an acceptance of ours waits for its answer."""
        self._unanswered = False
        """Whether it has waited for as long as anything is held for it."""
        self._ends = False
        """Whether the engagement has ended, and only what is still told of it is waited for."""
        self._closed = False
        """Whether this side closes before there is an end."""
        self._called_off: str | None = None
        """Why it was cancelled, if that was before its engagement was there."""

    def __del__(self) -> None:
        if self.__dict__.get("_task", self) is None:
            warnings.warn(
                "a hire was neither awaited nor iterated over: nobody was asked", RuntimeWarning, stacklevel=2
            )

    @property
    def decision(self) -> Decision | None:
        """Our own latest judgement of the provider, yes or no; None while there is none."""
        return None if self._decided is None else msgspec.json.decode(self._decided, type=Decision)

    def __await__(self) -> Generator[Any, None, HireResult]:
        return self._waited().__await__()

    async def _waited(self) -> HireResult:
        task = self._started()
        if not task.done():
            await asyncio.wait([task])  # which leaves it alone when whoever waits is cancelled
        return task.result()

    async def __aiter__(self) -> AsyncIterator[Event]:
        self._started()
        while True:
            event = await self._events.get()
            if event is None:
                break
            yield event
        self._events.put_nowait(None)

    async def cancel(self, reason: str = "no_longer_needed") -> None:
        """Withdraws before there is a contract; afterwards orders the provider to stop and hand over what there is.
        Before anybody was asked, nobody is. `reason` is a word of `CANCEL_REASONS`.

        Raises:
            ConfigurationError: `bad_configuration`, it is none.
            LocalProtocolError: It cannot be ended now: an acceptance waits for its answer.
        """
        if reason not in tuple(CANCEL_REASONS):  # said whenever it is asked, not only once there is a contract
            words = ", ".join(CANCEL_REASONS)
            raise ConfigurationError("bad_configuration", f"reason: expected one of {words}; got {reason!r:.60}")
        if self.engagement is None:
            self._called_off = reason
        else:
            conversation = self._peer.conversations.get(self.engagement)
            if conversation is not None:
                await self._peer.cancel(conversation, reason)

    def _started(self) -> asyncio.Task[HireResult]:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="hire")
            # Its end is told, and stands in the ledger: who iterates need not await it too, nor who waits no longer.
            self._task.add_done_callback(lambda task: task.cancelled() or task.exception())
        elif not self._task.done():
            self._peer.require_loop()  # nobody would wake who waits in another one
        return self._task

    async def _run(self) -> HireResult:
        peer = self._peer
        peer.waits.add(self._close)
        try:
            order = await self._order()
            if self._called_off is not None:
                raise PolicyError("policy_denied", f"it was cancelled before anybody was asked: {self._called_off}")
            conversation = await self._begin(order, self._hear)
            self.engagement = conversation.id
            if self._review is not None:
                peer.reviewers[conversation.id] = self._review
            if self._approve is not None:
                peer.changes.answers.by[conversation.id] = self._approve
            if self._called_off is not None:
                await self.cancel(self._called_off)
            try:
                return await self._follow(conversation)
            except UndersignedError as error:
                error.detail.setdefault("engagement", conversation.id)
                raise
        finally:
            peer.waits.discard(self._close)
            peer.watchers.unfollow(self._hear)
            if self._timer is not None:
                self._timer.cancel()
            if self.engagement is not None:
                peer.reviewers.pop(self.engagement, None)
                peer.changes.answers.by.pop(self.engagement, None)
            self._events.put_nowait(None)

    async def _follow(self, conversation: Conversation) -> HireResult:
        # It may have been over before anybody asked, or been put away with open books: then nothing more is told of it.
        if conversation.id in self._peer.conversations and conversation.engagement.state not in ENDED:
            self._set_timer(self._peer.reach_seconds, partial(self._give_up, conversation))
            self._heed_doubt(conversation)
            with self._peer.links.heeding(conversation.engagement.peer, partial(self._give_up, conversation)):
                await self._ended.wait()
        if self._closed:
            raise LocalProtocolError("connection_closed", "this side is closing; the hire goes on when it runs again")
        if self._unanswered:
            engagement = conversation.engagement
            text = f"{engagement.peer} has not answered our acceptance, and nothing is held for it any more"
            later = (
                f"the answer may still come: {engagement.id} goes on when this peer runs, and a late one can be ended"
            )
            raise PolicyError("in_doubt", f"{text}; {later}", engagement=engagement.id)
        if self._in_vain is not None:
            try:
                await self._peer.cancel(conversation, "no_longer_needed")
            except LocalProtocolError:
                if conversation.engagement.state not in ENDED:
                    raise  # else its own time was up as well: a machine that slept finds both over at once
        if self._over is not None:
            await self._over(conversation)
        if self._in_vain is not None:
            raise given_up(self._in_vain, self._peer.reach_seconds)
        if conversation.forgot:
            with suppress(LocalProtocolError):  # this side closes, and what is known is told
                await conversation.ask(lambda _: None)  # it rests, and reads back what was said
        if self._unclosed is not None and not conversation.said("Review", "hirer"):
            raise self._unclosed
        return await hire_result(
            self._peer, conversation, self._undecided, self._refused, self._unclosed, self.decision
        )

    def _close(self) -> None:
        """From now on there are no events: our side closes."""
        if not self._ended.is_set():
            self._closed = True
            self._ended.set()

    def _hear(self, event: Event) -> None:
        """Hears an event where it is told, so that the task of this hire is woken only by what decides it."""
        self._events.put_nowait(event)
        if event.kind == "noted" and event.type == "decision":
            self._decided = event.detail
        if event.kind == "refused" and (event.code == DIVERGED or event.message is None):
            diverged = self._undecided is not None and self._undecided.code == DIVERGED
            if event.code == DIVERGED or not diverged:
                self._undecided = event
        if event.kind == "over":
            self._ends = True
            self._ended.set()
        elif not self._ends:
            if event.kind in ("refused", "problem", "unread"):
                self._hear_trouble(event)
            elif event.kind == "received" and event.message is not None and not event.message.notice:
                self._stuck = None
            elif event.kind == "noted" and event.type == "due":
                self._ended.set()  # the books wait for people
            elif event.kind == "sent" and event.type == "Closing":
                self._heed_books(event.engagement)
            if (event.state == "accepted-by-hirer") != self._doubts:
                conversation = self._peer.conversations.get(event.engagement)
                if conversation is not None:
                    self._heed_doubt(conversation)
            if event.state in ENDED:
                # What led to it is still told; and a last receipt under way spares the next start from waiting.
                self._ends = True
                self._set_timer(LAST_RECEIPT_SECONDS, self._ended.set)
        elif event.kind == "problem":
            self._hear_unclosed(event)  # it may come after the closing of who does not take ours

    def _hear_trouble(self, event: Event) -> None:
        self._unread = unread(event) or self._unread
        if event.kind == "problem" and isinstance(event.message, Problem):
            self._refused = event.message
        conversation = self._peer.conversations.get(event.engagement)
        if conversation is None:
            return  # it was put away, and answers what came too late
        found = unresolved(event) if conversation.engagement.offer is None else None
        if found is not None:
            # It is shown again and again. The issuer gets as long to come back as the peer to answer at first.
            if self._stuck is None:
                self._set_timer(self._peer.reach_seconds, partial(self._give_up, conversation))
            self._stuck = found
        self._hear_unclosed(event)

    def _hear_unclosed(self, event: Event) -> None:
        conversation = self._peer.conversations.get(event.engagement)
        if conversation is not None:
            self._unclosed = self._unclosed or unclosed_by(event, conversation)
        if self._unclosed is not None:
            self._ended.set()

    def _give_up(self, conversation: Conversation) -> None:
        """Time is up for the first answer, or for the issuer without whom what is shown cannot be checked."""
        if self._ended.is_set() or (conversation.engagement.got and self._stuck is None):
            return
        peer = conversation.engagement.peer
        # Nothing is sent, and nothing that came is read, before it is stored: then the silence is ours.
        last = conversation.untaken or self._stuck or self._unread or self._peer.links.last_error.get(peer)
        self._in_vain = last or TransportError("unreachable", f"{peer} did not answer")
        self._ended.set()

    def _heed_books(self, engagement: EngagementId) -> None:
        """Whose work was rejected may think of the arbiter for as long as its books wait; no hire waits for that."""
        conversation = self._peer.conversations.get(engagement)
        if conversation is not None and disputable(conversation):
            self._set_timer(LAST_RECEIPT_SECONDS, self._ended.set)

    def _heed_doubt(self, conversation: Conversation) -> None:
        """No time-out ends a doubt (HIRE-NEG-13), but the wait of whoever hires ends once what was reserved is free."""
        engagement = conversation.engagement
        doubts = engagement.contract is None and engagement.in_doubt
        if doubts == self._doubts:
            return
        self._doubts, live = doubts, engagement.offer
        if doubts and live is not None:
            left = seconds_between(self._peer.clock.now(), live.valid_until) + live.terms.seal_grace_seconds
            self._set_timer(max(0, left) + 1, self._leave_in_doubt)
        elif self._timer is not None:
            self._timer.cancel()

    def _leave_in_doubt(self) -> None:
        if self._doubts and not self._ended.is_set():
            self._unanswered = True
            self._ended.set()

    def _set_timer(self, seconds: float, then: Callable[[], None]) -> None:
        """In place of the one before."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, then)
