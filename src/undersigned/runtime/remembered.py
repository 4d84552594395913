"""What an engagement's moves said, as far as later steps ask for it: the last move of each type and side, the facts."""

from __future__ import annotations

from typing import TypeVar

from undersigned.contract import ContractDocument
from undersigned.encoding import Digest, JsonObject, from_struct
from undersigned.errors import LocalProtocolError
from undersigned.messages import Delivery, Message, Offer
from undersigned.protocol import Engagement

__all__ = ["Remembered"]

M = TypeVar("M", bound=Message)

NO_JSON: tuple[Digest, JsonObject] = ("", {})
"""No document was written out yet."""


class Remembered:
    """The last move of each type and side. A restart reads them back from the journal."""

    def __init__(self, engagement: Engagement) -> None:
        self.engagement = engagement
        self.facts: dict[str, str] = {}
        """The last value of each fact noted."""
        self._last: dict[tuple[str, str], Message] = {}
        self._json = NO_JSON

    def last(self, type: str, of: type[M], role: str | None = None) -> M:
        """The last move of a type (and of a role, if both sides send such) that was recorded.

        Raises:
            LocalProtocolError: There is none.
        """
        for (kind, sender), message in self._last.items():
            if kind == type and role in (None, sender) and isinstance(message, of):
                return message
        raise LocalProtocolError("not_found", f"{self.engagement.id} has no {type} of {role or 'either side'}")

    def said(self, type: str, role: str) -> bool:
        """Whether a side has sent a move of this type."""
        return (type, role) in self._last

    def delivered(self) -> frozenset[Digest]:
        """Digests of the artifacts of the last delivery."""
        found = self._last.get(("Delivery", "provider"))
        artifacts = found.artifacts if isinstance(found, Delivery) else ()
        return frozenset(artifact.digest for artifact in artifacts)

    def offered(self, engagement: Engagement | None = None) -> ContractDocument:
        """The document of the live offer; after the seal, the contract.

        Raises:
            LocalProtocolError: There is no offer.
        """
        live = (engagement or self.engagement).offer
        if live is None:
            raise LocalProtocolError("wrong_state", f"{self.engagement.id} has no offer on the table")
        # The live offer is always its owner's last one, which is decoded already.
        return self.last("Offer", Offer, live.owner).document

    def offered_json(self, engagement: Engagement | None = None) -> JsonObject:
        """The same as the JSON that was signed. Not to be changed."""
        live = (engagement or self.engagement).offer
        if live is None or self._json[0] != live.digest:
            document = from_struct(self.offered(engagement))
            self._json = (live.digest if live is not None else "", document)
        return self._json[1]

    def remember(self, message: Message) -> None:
        """Keeps a move that was recorded."""
        if not message.notice:
            self._last[message.type, message.role] = message

    def forget(self) -> None:
        """Drops what the journal holds as well, to be recalled from there."""
        self._last, self.facts, self._json = {}, {}, NO_JSON

    def recall(self, moves: list[Message], facts: dict[str, str]) -> None:
        """What the journal holds, instead of what was remembered before."""
        self.forget()
        self.facts = facts
        for move in moves:
            self.remember(move)

    def snapshot(self) -> tuple[dict[tuple[str, str], Message], dict[str, str]]:
        """What is remembered now, for `restore`."""
        return dict(self._last), dict(self.facts)

    def restore(self, snapshot: tuple[dict[tuple[str, str], Message], dict[str, str]]) -> None:
        """Forgets what was said since: the turn that said it was not stored."""
        self._last, self.facts = snapshot
