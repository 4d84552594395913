"""A party: an actor, its journal, and the engagement that the journal folds to.

It stands for a peer without the shell around it: it signs, keeps, applies and sends, and does nothing by itself.
`crash` drops everything but the journal.

Source: protocol-spec/04-envelope-and-digests.md, section 4.3
"""

from __future__ import annotations

from collections.abc import Callable

from undersigned.contract import Document
from undersigned.encoding import Digest, EngagementId, Instant
from undersigned.errors import LocalProtocolError
from undersigned.messages import Message, Offer, VerifiedMessage
from undersigned.protocol import (
    Effect,
    Engagement,
    Entry,
    Noted,
    Outcome,
    Received,
    Role,
    Sent,
    apply,
    begin,
    outcome,
    pending,
)
from undersigned.runtime import Clock
from undersigned.testing.actors import Actor, Counterpart

__all__ = ["Party"]


class Party:
    """One side of one engagement."""

    def __init__(self, role: Role, actor: Actor, peer: Counterpart, engagement: EngagementId, clock: Clock) -> None:
        self.role: Role = role
        self.actor = actor
        self.peer = peer
        self.clock = clock
        self._moment: Instant | None = None
        """The time of what is being said, while it is."""
        self.journal: list[Entry] = []
        self.stored: dict[Digest, VerifiedMessage] = {}
        """Every message in the journal, by digest: what the store can read again."""
        self._first = begin(role, actor.did, peer.did, engagement)
        self.engagement: Engagement = self._first
        self.equivocations: list[tuple[VerifiedMessage, VerifiedMessage]] = []
        """Pairs that were signed for one place."""

    @property
    def state(self) -> str:
        """The state that this side holds."""
        return self.engagement.state

    @property
    def now(self) -> Instant:
        """The time on this side's clock; while something is said, when that began."""
        return self._moment or self.clock.now()

    def offered(self) -> Document:
        """The document of the live offer, as the store has it; under a contract, what is on the table in the lane.

        Raises:
            LocalProtocolError: There is no offer, or this side has not got it.
        """
        live = self.engagement.tabled or self.engagement.offer
        found = self.stored.get(live.digest) if live is not None else None
        if found is None or not isinstance(found.message, Offer):
            raise LocalProtocolError("wrong_state", f"{self.engagement.id} has no offer on the table")
        return found.message.document

    def send(self, message: Message) -> VerifiedMessage:
        """Sign and record a message of ours. Nothing is delivered by that.

        Raises:
            LocalProtocolError: The move is not ours to make; nothing was recorded.
        """
        signed = self.actor.sign(message, self.now)
        self._record(Sent(signed, self.now))
        return signed

    def say(self, write: Callable[[Party], Message]) -> VerifiedMessage:
        """As `send`, of what `write` makes, at one time: a clock that goes on meanwhile makes nothing too short.

        Raises:
            LocalProtocolError: The move is not ours to make; nothing was recorded.
        """
        self._moment = self.clock.now()
        try:
            return self.send(write(self))
        finally:
            self._moment = None

    def receive(self, raw: bytes) -> Outcome:
        """Verify and record bytes of the peer's; what became of them.

        Raises:
            FormatError, VerificationError, RemoteProtocolError: They are not taken; nothing was recorded.
        """
        return self.take(self.actor.verify(raw, self.peer, self.now))

    def take(self, message: VerifiedMessage) -> Outcome:
        """As `receive`, for a message that was verified before."""
        place = message.message.sequence
        chain = self.engagement.got
        if not message.message.notice and 0 < place <= len(chain) and chain[place - 1] != message.digest:
            self.equivocations.append((self.stored[chain[place - 1]], message))
        became = outcome(self.engagement, message, self.now)
        self._record(Received(message, self.now), keep=became != "repeat")
        return became

    def note(self, name: str, value: str) -> None:
        """Record a fact."""
        self._record(Noted(name, value, self.now))

    def pending(self) -> tuple[Effect, ...]:
        """What this side owes now."""
        return pending(self.engagement, self.now)

    def crash(self) -> None:
        """Lose everything but the journal, and read that again."""
        self.engagement = self.replayed()

    def replayed(self) -> Engagement:
        """The engagement that the journal folds to."""
        engagement = self._first
        for entry in self.journal:
            engagement = apply(engagement, entry)
        return engagement

    def _record(self, entry: Entry, *, keep: bool = True) -> None:
        self.engagement = apply(self.engagement, entry)
        if keep:
            self.journal.append(entry)
            if not isinstance(entry, Noted):
                self.stored[entry.message.digest] = entry.message
