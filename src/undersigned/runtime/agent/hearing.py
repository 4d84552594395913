"""What a hire hears of its engagement, and why nothing more of it is waited for: it ended, or was given up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from undersigned.encoding import EngagementId, seconds_between
from undersigned.errors import (
    CredentialError,
    LocalProtocolError,
    LogProofError,
    PolicyError,
    RemoteProtocolError,
    TransportError,
    UndersignedError,
)
from undersigned.messages import Problem
from undersigned.protocol import ENDED, Engagement
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.turn import Event
from undersigned.runtime.unread import Unread
from undersigned.trust import Decision

from .outcome import DIVERGED, disputable, unclosed_by

if TYPE_CHECKING:
    from .agent import Agent

__all__ = ["Hearing", "unread", "unresolved"]

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


class Hearing:
    """Hears the events of one engagement for a hire."""

    def __init__(self, peer: Agent) -> None:
        self._peer = peer
        self.events: Unread[Event | None] = Unread()
        """For whoever iterates; None, which stays for whoever comes later: there are no more."""
        self._over = asyncio.Event()
        """Set once nothing is waited for any more."""
        self._timer: asyncio.TimerHandle | None = None
        """Of what is waited for: the first answer, or the last receipt."""
        self.cut_short: UndersignedError | None = None
        """Why it is not waited for any more, though the engagement goes on: this side closes, or is left in doubt."""
        self.in_vain: UndersignedError | None = None
        """Why it is given up."""
        self.unclosed: LogProofError | None = None
        """Why the books will not be closed by both."""
        self.undecided: Event | None = None
        """What kept us from deciding, when that was tried last; the log of the provider, once it was that."""
        self.refused: Problem | None = None
        """The last message of ours that the provider refused, as it said so."""
        self._decided: str | None = None
        """The decision that was noted last, as it was noted."""
        self._stuck: CredentialError | None = None
        """What of a presentation cannot be checked, and keeps the provider's answer away."""
        self._unread: UndersignedError | None = None
        """What came in place of an answer."""
        self._doubts = False
        """Whether an acceptance of ours waits for its answer."""
        self._ends = False
        """Whether the engagement has ended, and only what is still told of it is waited for."""

    @property
    def decision(self) -> Decision | None:
        """Our own latest judgement of the provider, yes or no; None while there is none."""
        return None if self._decided is None else msgspec.json.decode(self._decided, type=Decision)

    async def to_the_end(self, conversation: Conversation) -> None:
        """Returns once nothing more is waited for: the attributes say why."""
        self._set_timer(self._peer.reach_seconds, partial(self._give_up, conversation))
        self._heed_doubt(conversation)
        with self._peer.links.heeding(conversation.engagement.peer, partial(self._give_up, conversation)):
            await self._over.wait()

    def stop(self) -> None:
        """Whoever iterates is told that there are no more."""
        if self._timer is not None:
            self._timer.cancel()
        self.events.put_nowait(None)

    def close(self) -> None:
        """From now on there are no events: our side closes."""
        if not self._over.is_set():
            text = "this side is closing; the hire goes on when it runs again"
            self.cut_short = LocalProtocolError("connection_closed", text)
            self._over.set()

    def hear(self, event: Event) -> None:
        """Hears an event where it is told, so that the task of this hire is woken only by what decides it."""
        self.events.put_nowait(event)
        if event.kind == "noted" and event.type == "decision":
            self._decided = event.detail
        if event.kind == "refused" and (event.code == DIVERGED or event.message is None):
            diverged = self.undecided is not None and self.undecided.code == DIVERGED
            if event.code == DIVERGED or not diverged:
                self.undecided = event
        if event.kind == "over":
            self._ends = True
            self._over.set()
        elif not self._ends:
            if event.kind in ("refused", "problem", "unread"):
                self._hear_trouble(event)
            elif event.kind == "received" and event.message is not None and not event.message.notice:
                self._stuck = None
            elif event.kind == "noted" and event.type == "due":
                self._over.set()  # the books wait for people
            elif event.kind == "sent" and event.type == "Closing":
                self._heed_books(event.engagement)
            if (event.state == "accepted-by-hirer") != self._doubts:
                conversation = self._peer.conversations.get(event.engagement)
                if conversation is not None:
                    self._heed_doubt(conversation)
            if event.state in ENDED:
                # What led to it is still told; and a last receipt under way spares the next start from waiting.
                self._ends = True
                self._set_timer(LAST_RECEIPT_SECONDS, self._over.set)
        elif event.kind == "problem":
            self._hear_unclosed(event)  # it may come after the closing of who does not take ours

    def _hear_trouble(self, event: Event) -> None:
        self._unread = unread(event) or self._unread
        if event.kind == "problem" and isinstance(event.message, Problem):
            self.refused = event.message
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
            self.unclosed = self.unclosed or unclosed_by(event, conversation)
        if self.unclosed is not None:
            self._over.set()

    def _give_up(self, conversation: Conversation) -> None:
        """Time is up for the first answer, or for the issuer without whom what is shown cannot be checked."""
        if self._over.is_set() or (conversation.engagement.got and self._stuck is None):
            return
        peer = conversation.engagement.peer
        # Nothing is sent, and nothing that came is read, before it is stored: then the silence is ours.
        last = conversation.untaken or self._stuck or self._unread or self._peer.links.last_error.get(peer)
        self.in_vain = last or TransportError("unreachable", f"{peer} did not answer")
        self._over.set()

    def _heed_books(self, engagement: EngagementId) -> None:
        """Whose work was rejected may think of the arbiter for as long as its books wait; no hire waits for that."""
        conversation = self._peer.conversations.get(engagement)
        if conversation is not None and disputable(conversation):
            self._set_timer(LAST_RECEIPT_SECONDS, self._over.set)

    def _heed_doubt(self, conversation: Conversation) -> None:
        """No time-out ends a doubt (HIRE-NEG-13), but the wait of whoever hires ends once what was reserved is free."""
        engagement = conversation.engagement
        doubts = engagement.contract is None and engagement.in_doubt
        if doubts == self._doubts:
            return
        self._doubts, live = doubts, engagement.offer
        if doubts and live is not None:
            left = seconds_between(self._peer.clock.now(), live.valid_until) + live.terms.seal_grace_seconds
            self._set_timer(max(0, left) + 1, partial(self._leave_in_doubt, engagement))
        elif self._timer is not None:
            self._timer.cancel()

    def _leave_in_doubt(self, of: Engagement) -> None:
        """It has waited for as long as anything is held for it."""
        if self._doubts and not self._over.is_set():
            text = f"{of.peer} has not answered our acceptance, and nothing is held for it any more"
            later = f"the answer may still come: {of.id} goes on when this peer runs, and a late one can be ended"
            self.cut_short = PolicyError("in_doubt", f"{text}; {later}", engagement=of.id)
            self._over.set()

    def _set_timer(self, seconds: float, then: Callable[[], None]) -> None:
        """In place of the one before."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, then)
