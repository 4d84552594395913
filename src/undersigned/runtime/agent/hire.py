"""A hire as the hirer's application sees it: events while it goes on, and a result at the end (`outcome`)."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from undersigned.encoding import EngagementId
from undersigned.errors import (
    ConfigurationError,
    LocalProtocolError,
    PolicyError,
    UndersignedError,
)
from undersigned.messages import CANCEL_REASONS
from undersigned.protocol import ENDED
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.turn import Event, Hears
from undersigned.runtime.execution.requests import Approves
from undersigned.runtime.execution.reviewers import Reviewer
from undersigned.runtime.negotiation.order import Order
from undersigned.trust import Decision

from .hearing import Hearing
from .links import given_up
from .outcome import HireResult, hire_result

if TYPE_CHECKING:
    from .agent import Agent

__all__ = ["Hire"]

Begin: TypeAlias = Callable[[Order, Hears], Awaitable[Conversation]]
"""Opens the engagement of an order, and has its events heard."""
_ENDING = ENDED | {"cancelling", "closing"}


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
        self._heard = Hearing(peer)
        self.engagement: EngagementId | None = None
        """Known once the `Inquiry` is stored."""
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
        return self._heard.decision

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
            event = await self._heard.events.get()
            if event is None:
                break
            yield event
        self._heard.events.put_nowait(None)

    async def cancel(self, reason: str = "no_longer_needed") -> None:
        """Withdraws before there is a contract; afterwards orders the provider to stop and hand over what there is.
        Before anybody was asked, nobody is. What is over, or is cancelled already, stays as it is. `reason` is
        `no_longer_needed`, `superseded`, `budget`, `policy_denied` or `revoked`.

        Raises:
            ConfigurationError: `bad_configuration`, it is none.
            LocalProtocolError: `wrong_state`: it cannot be ended now, as an acceptance waits for its answer, or what
                was delivered for its review; or the peer was started in another event loop.
        """
        # That the contract above has ended the peer says by itself. Said now, not only once there is a contract.
        words = [one for one in CANCEL_REASONS if one != "parent"]
        if reason not in words:
            told = f"reason: expected one of {', '.join(words)}; got {reason!r:.60}"
            raise ConfigurationError("bad_configuration", told)
        self._peer.require_loop()
        if self.engagement is None:
            self._called_off = reason
        elif conversation := self._peer.conversations.get(self.engagement):
            try:
                await self._peer.cancel(conversation, reason)
            except LocalProtocolError:
                if conversation.engagement.state not in _ENDING:
                    raise  # else it came after another, or after what ends it by itself

    def _started(self) -> asyncio.Task[HireResult]:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="hire")
            # Its end is told, and stands in the ledger: who iterates need not await it too, nor who waits no longer.
            self._task.add_done_callback(lambda task: task.cancelled() or task.exception())
        elif not self._task.done():
            self._peer.require_loop()  # nobody would wake who waits in another one
        return self._task

    async def _run(self) -> HireResult:
        peer, heard = self._peer, self._heard
        peer.waits.add(heard.close)
        try:
            order = await self._order()
            if self._called_off is not None:
                raise PolicyError("policy_denied", f"it was cancelled before anybody was asked: {self._called_off}")
            conversation = await self._begin(order, heard.hear)
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
            peer.waits.discard(heard.close)
            peer.watchers.unfollow(heard.hear)
            if self.engagement is not None:
                peer.reviewers.pop(self.engagement, None)
                peer.changes.answers.by.pop(self.engagement, None)
            heard.stop()

    async def _follow(self, conversation: Conversation) -> HireResult:
        peer, heard = self._peer, self._heard
        # It may have been over before anybody asked, or been put away with open books: then nothing more is told of it.
        if conversation.id in peer.conversations and conversation.engagement.state not in ENDED:
            await heard.to_the_end(conversation)
        if heard.cut_short is not None:
            raise heard.cut_short
        if heard.in_vain is not None:
            await self.cancel()  # of a machine that slept its own time is up as well: then it is over
        if self._over is not None:
            await self._over(conversation)
        if heard.in_vain is not None:
            raise given_up(heard.in_vain, peer.reach_seconds)
        if conversation.forgot:
            with suppress(LocalProtocolError):  # this side closes, and what is known is told
                await conversation.ask(lambda _: None)  # it rests, and reads back what was said
        if heard.unclosed is not None and not conversation.said("Review", "hirer"):
            raise heard.unclosed
        return await hire_result(peer, conversation, heard)
