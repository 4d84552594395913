"""Credentials that are issued anew while a contract runs: shown again, judged again, and taken in the place of the old.

A presentation belongs to a negotiation, and under a contract no message carries one. So the hirer opens a negotiation
beside the contract, for the same task, in which both show what they hold now, and withdraws once both have. Whatever a
party shows there renews what it showed under its contracts with us. The contract does not move: who holds a good
credential again may act again.

Source: protocol-spec/02-identity-and-keys.md, section 2.14
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import structlog

from undersigned.credentials import Credential, ShownPresentation, VerifiedPresentation, renews
from undersigned.encoding import Did, Digest, EngagementId, Instant, seconds_between, shift
from undersigned.errors import UndersignedError
from undersigned.messages import Presentation
from undersigned.protocol import OTHER, Engagement
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.engagement.stand_ins import RENEWED, StandIn, as_shown, origin_of, stand_ins
from undersigned.runtime.engagement.turn import fact, noting

if TYPE_CHECKING:
    from undersigned.runtime.agent.agent import Agent

__all__ = ["RENEWABLE", "Renewals"]

_log = structlog.get_logger()

RENEWABLE: Final = frozenset({"sealed", "working", "suspended"})
"""States in which what was shown still matters."""
AHEAD_SECONDS: Final = 60
"""So long before the end of what the other side showed, it is asked for what comes after."""
PAUSE_SECONDS: Final = 30
"""After the first negotiation that brought nothing."""
STALE: Final = 8
"""After so many times its pause, a peer is asked as for the first time."""


class RenewalPause(NamedTuple):
    """How long a peer that had nothing new is left alone, unless there is something else to show to it."""

    since: Instant
    seconds: int
    held: tuple[Credential, ...]
    """What we held when it was asked."""


class Renewals:
    """Renewals in the contracts of one agent."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._open: dict[Did, EngagementId] = {}
        """The negotiation that is under way for this, by peer."""
        self._showed: dict[EngagementId, frozenset[Digest]] = {}
        """What we showed, beside a contract, to a provider that took it. After a restart it is shown once more."""
        self._pauses: dict[Did, RenewalPause] = {}
        self._noting = asyncio.Lock()

    # ------------------------------------------------------------------ what the other side shows

    async def take(self, engagement: Engagement, shown: Presentation) -> None:
        """Takes what the peer showed in `engagement`, where our decision about it was yes, in the place of what it
        renews under its contracts with us.
        """
        peer, read = engagement.peer, None
        for conversation in tuple(self._agent.conversations.contracts.values()):
            running = conversation.engagement
            if running.peer != peer or running.state not in RENEWABLE:
                continue
            beside = self._agent.conversations[engagement.id]
            if engagement.role == running.role == "hirer":
                # The provider has judged it, and answered.
                self._showed[conversation.id] = frozenset(
                    one.digest for one in self._agent.meeting.relied(beside, "hirer")
                )
            try:
                read = read or self._agent.meeting.verified(engagement.id) or as_shown(beside, OTHER[engagement.role])
                await self._take(conversation, engagement, shown, read)
            except UndersignedError as error:
                _log.warning("nothing was renewed", engagement=conversation.id, error=str(error))

    async def _take(
        self,
        conversation: Conversation,
        engagement: Engagement,
        shown: Presentation,
        read: ShownPresentation | VerifiedPresentation,
    ) -> None:
        meeting, role = self._agent.meeting, OTHER[conversation.engagement.role]
        found: dict[Digest, StandIn] = {}
        for stands in meeting.relied(conversation, role):
            later = next((one for one in read.credentials if renews(one, stands)), None)
            if later is not None:
                origin = origin_of(conversation, stands.digest)
                found[origin] = StandIn(
                    renews=origin, credential=later.shown, engagement=engagement.id, presentation=read.digest
                )
        if not found:
            return
        # Judged with the terms that were signed: our policy may ask for more where there is more at stake.
        decision = await meeting.evaluate(engagement, shown, conversation.offered().terms)
        approved = decision.outcome == "ask" and self._agent.approvals.cover(conversation, decision)
        if decision.outcome != "allow" and not approved:
            _log.warning("what was shown anew does not do", engagement=conversation.id, decision=decision.explain())
            return
        async with self._noting:  # another presentation may have been taken while this one was judged
            together = {one.renews: one for one in stand_ins(conversation)} | found
            await conversation.say(noting(fact(RENEWED, {"standIns": tuple(together.values())})))
        self._pauses.pop(engagement.peer, None)
        meeting.renewed(conversation)
        self._agent.status_watch.forget(conversation.id)  # what is wanted next is wanted anew
        self._agent.spawn(self._agent.status_watch.look(conversation), "look after a renewal")
        _log.info("credentials were renewed", engagement=conversation.id, count=len(found))

    # ------------------------------------------------------------------ what is asked for, and shown by us

    def under_contract(self, peer: Did) -> bool:
        """Whether a contract with `peer` runs: then it may come to show what it holds, however busy we are."""
        return any(
            one.engagement.peer == peer and one.engagement.state in RENEWABLE
            for one in self._agent.conversations.contracts.values()
        )

    async def ask(self, conversation: Conversation, *, last: bool = False) -> None:
        """As the hirer, opens a negotiation in which both sides show what they hold, unless one is under way.

        After each that brought nothing the pause before the next one with this peer is twice as long, however many
        contracts want something of it (HIRE-REN-03). `last`: the contract is about to end, so there is no pause.
        """
        engagement = conversation.engagement
        if engagement.role != "hirer" or engagement.peer in self._open:
            return
        now, held, pause = self._agent.clock.now(), self._agent.meeting.wallet.held(), PAUSE_SECONDS
        before = self._pauses.get(engagement.peer)
        if before is not None and before.held == held:
            passed = seconds_between(before.since, now)
            if 0 <= passed < before.seconds and not last:
                return
            if passed < STALE * before.seconds:
                pause = 2 * before.seconds
        self._pauses[engagement.peer] = RenewalPause(now, pause, held)
        order = msgspec.structs.replace(self._agent.hirer.order(conversation), probe=True)
        opened = await self._agent.begin(order)
        self._open[engagement.peer] = opened.id
        _log.info("asked to show again", engagement=conversation.id, beside=opened.id)

    def has_news(self, conversation: Conversation) -> bool:
        """Whether, as the hirer, we hold something issued anew that was not shown to the provider yet."""
        if conversation.engagement.role != "hirer":
            return False
        meeting, known = self._agent.meeting, self._showed.get(conversation.id, frozenset())
        held = [one for one in meeting.wallet.held() if one.digest not in known]
        return any(renews(one, old) for old in meeting.relied(conversation, "hirer") for one in held)

    def ends_soon(self, conversation: Conversation) -> bool:
        """Whether something that the other side showed ends within `AHEAD_SECONDS`."""
        then = shift(self._agent.clock.now(), AHEAD_SECONDS)
        relied = self._agent.meeting.relied(conversation, OTHER[conversation.engagement.role])
        return not all(one.valid_at(then) for one in relied)

    def forget(self, engagement: EngagementId) -> None:
        """Drops what is remembered of an engagement that is over."""
        self._showed.pop(engagement, None)
        for peer in [peer for peer, opened in self._open.items() if opened == engagement]:
            del self._open[peer]
