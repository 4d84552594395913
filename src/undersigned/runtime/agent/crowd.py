"""Negotiations that others began and that led to no contract yet, counted by where they came from.

A name costs nothing, so what one name may have bounds nobody who has many. Places cost something: who comes from one
address has so many at a time, and what came to nothing may begin again only so fast. Of those that have ended, and
whose end has no receipt, the oldest makes room: its peer finds it in the ledger.

Source: protocol-spec/10-security.md, section 10.4
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from undersigned.encoding import Did, EngagementId
from undersigned.errors import UndersignedError
from undersigned.protocol import ENDED
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.fetching.fetcher import strangers
from undersigned.transport import Allowance

__all__ = ["Crowd"]

FROM_ONE_PLACE = 2048
"""Hundreds of hires may begin at once, and several who hire may have one address."""
ALTOGETHER = 16_384
"""Each holds some 10 KB."""
IN_VAIN_A_MINUTE: Final = 600
"""Of one place: each is some lines in our journal, for good."""
FULL_SECONDS: Final = 1.0
"""Where nothing can make room, nothing is looked for again for so long."""

_EVERYWHERE: Final = None


class Crowd:
    """Those at one agent. Times are seconds of a clock that does not run back."""

    def __init__(self, conversations: Mapping[EngagementId, Conversation]) -> None:
        self._conversations = conversations
        self._places: dict[EngagementId, str | None] = {}
        """The oldest first."""
        self._from: dict[str, dict[EngagementId, None]] = {}
        self._full_until: dict[str | None, float] = {}
        self._in_vain = Allowance(IN_VAIN_A_MINUTE)

    def came(self, engagement: EngagementId, place: str | None) -> None:
        """Somebody with whom there is no contract began one; None: before we were started, from wherever."""
        self._places[engagement] = place
        if place is not None:
            self._from.setdefault(place, {})[engagement] = None

    def left(self, engagement: EngagementId, at: float, *, in_vain: bool) -> None:
        """It is put away, or it led to a contract. Saying so twice does nothing."""
        place = self._places.pop(engagement, None)
        if place is None:
            return
        mine = self._from[place]
        del mine[engagement]
        if not mine:
            del self._from[place]
            self._full_until.pop(place, None)
        if in_vain:
            self._in_vain.take(place, 1, at)

    def whose(self, engagement: EngagementId, peer: Did) -> str:
        """In whose name is looked up what `peer` says in an engagement: while it is one of these, its place's. A few
        names together would take all that may be looked up at a time.
        """
        return strangers(self._places[engagement] or "other times") if engagement in self._places else peer

    def waits(self, place: str, at: float) -> float:
        """How many seconds the next one from there waits, for those that came to nothing."""
        return self._in_vain.take(place, 0, at)

    def require_room(self, place: str, at: float) -> None:
        """Returns if one more may begin from there; one that has ended is put away for it.

        Raises:
            UndersignedError: `overloaded`.
        """
        counts = ((place, self._from.get(place, {}), FROM_ONE_PLACE), (_EVERYWHERE, self._places, ALTOGETHER))
        for key, held, most in counts:
            if len(held) >= most and not self._make_room(key, held, at):
                of = "everybody together" if key is None else f"those at {key}"
                raise UndersignedError("overloaded", f"{len(held)} negotiations of {of} are open", proved=True)

    def _make_room(self, key: str | None, held: Mapping[EngagementId, object], at: float) -> bool:
        if at < self._full_until.get(key, at):
            return False
        for id in held:
            conversation = self._conversations.get(id)
            if conversation is None or conversation.engagement.state in ENDED:
                if conversation is not None:
                    conversation.put_away()
                self.left(id, at, in_vain=True)
                return True
        self._full_until[key] = at + FULL_SECONDS
        return False
