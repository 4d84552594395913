"""The engagements of one agent that are not put away, by their id, by who the other side is, and by their contract.

A peer may hold thousands, and what is asked for each of its messages must not look at all of everybody's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, MutableMapping

from undersigned.encoding import Did, Digest, EngagementId

from .conversation import Conversation

__all__ = ["Conversations"]


class Conversations(MutableMapping[EngagementId, Conversation]):
    """By id, in the order in which they came."""

    def __init__(self) -> None:
        self._all: dict[EngagementId, Conversation] = {}
        self.get = self._all.get  # for each message: that of `Mapping` raises and catches an error for who is not here
        self._of: dict[Did, dict[EngagementId, Conversation]] = {}
        self._bound: Counter[Did] = Counter()
        self.contracts: dict[Digest, Conversation] = {}
        """Those under a contract, by its digest. `bind` adds to it."""

    def of(self, peer: Did) -> Collection[Conversation]:
        """Those with `peer`, as they are now; copy it before anything that waits."""
        return self._of.get(peer, {}).values()

    def bound_to(self, peer: Did) -> bool:
        """Whether one of these is under a contract."""
        return self._bound[peer] > 0

    def bind(self, contract: Digest, id: EngagementId) -> None:
        """From now on an engagement is under this contract. Nothing happens if it is put away, or if that is known."""
        conversation = self._all.get(id)
        if conversation is not None and contract not in self.contracts:
            self.contracts[contract] = conversation
            self._bound[conversation.engagement.peer] += 1

    def __getitem__(self, id: EngagementId) -> Conversation:
        return self._all[id]

    def __setitem__(self, id: EngagementId, conversation: Conversation) -> None:
        self._all[id] = conversation
        self._of.setdefault(conversation.engagement.peer, {})[id] = conversation

    def __delitem__(self, id: EngagementId) -> None:
        engagement = self._all.pop(id).engagement
        peer, contract = engagement.peer, engagement.contract
        if contract is not None and self.contracts.pop(contract.digest, None) is not None:
            self._bound[peer] -= 1
            if not self._bound[peer]:
                del self._bound[peer]
        mine = self._of[peer]
        del mine[id]
        if not mine:
            del self._of[peer]

    def __iter__(self) -> Iterator[EngagementId]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)
