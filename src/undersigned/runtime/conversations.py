"""The engagements of one agent that are not put away, by their id and by who the other side is.

A peer may hold thousands, and what is asked for each of its messages must not look at all of everybody's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, MutableMapping

from undersigned.encoding import Did, EngagementId

from .conversation import Conversation

__all__ = ["Conversations"]


class Conversations(MutableMapping[EngagementId, Conversation]):
    """By id, in the order in which they came."""

    def __init__(self) -> None:
        self._all: dict[EngagementId, Conversation] = {}
        self._of: dict[Did, dict[EngagementId, Conversation]] = {}

    def of(self, peer: Did) -> Collection[Conversation]:
        """Those with `peer`, as they are now; copy it before anything that waits."""
        return self._of.get(peer, {}).values()

    def bound_to(self, peer: Did) -> bool:
        """Whether one of these is under a contract."""
        return any(one.engagement.contract is not None for one in self.of(peer))

    def __getitem__(self, id: EngagementId) -> Conversation:
        return self._all[id]

    def __setitem__(self, id: EngagementId, conversation: Conversation) -> None:
        self._all[id] = conversation
        self._of.setdefault(conversation.engagement.peer, {})[id] = conversation

    def __delitem__(self, id: EngagementId) -> None:
        peer = self._all.pop(id).engagement.peer
        mine = self._of[peer]
        del mine[id]
        if not mine:
            del self._of[peer]

    def __iter__(self) -> Iterator[EngagementId]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)
