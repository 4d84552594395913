"""What a conversation needs from the peer that runs it: its store and keys, its judgement, and its work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from undersigned.did import DidDocument
from undersigned.encoding import Did, Instant
from undersigned.ledger import Blob, Ledger, Stated
from undersigned.messages import Acceptance, Closing, LogHead, Offer, Seal, VerifiedMessage
from undersigned.protocol import Cascade, Engagement, Finished, Free, Owe, Reserve, Work
from undersigned.transport import Identity

from .clock import Clock
from .turn import Booked, Event, Say

if TYPE_CHECKING:
    from .conversation import Conversation

__all__ = ["Shell"]


class Shell(Protocol):
    """What a conversation needs from the peer that runs it."""

    clock: Clock
    identity: Identity
    own: DidDocument

    @property
    def ledger(self) -> Ledger:
        """The open store."""
        ...

    secret: bytes
    """The ledger's own, which salts the leaves of decisions."""

    async def deliver(self, peer: Did, raw: bytes) -> bool:
        """Sends bytes to a proved connection of `peer`, if there is one."""
        ...

    def may_ask_again(self, peer: Did, size: int = 0) -> bool:
        """Whether `peer` may have moves sent that were sent before; `size` bytes of them are counted."""
        ...

    async def check(
        self, conversation: Conversation, message: VerifiedMessage, document: DidDocument, now: Instant
    ) -> tuple[bytes | None, tuple[Blob, ...]]:
        """Verifies what a received move carries, before it is folded and recorded as of `now`; returns a leaf for the
        log and evidence.

        Raises:
            UndersignedError: It does not hold; the move is refused and not recorded.
        """
        ...

    async def watched(self, move: Offer | Acceptance | Seal | Closing, document: DidDocument) -> Stated | None:
        """What a received move says of its sender's log, held against what was seen of it before.

        Raises:
            LogProofError: It contradicts that, or does not hold.
        """
        ...

    async def log_head(self, peer: Did) -> LogHead:
        """Our log as it stands, for a message to `peer`."""
        ...

    async def decide(self, conversation: Conversation, engagement: Engagement, owed: Owe) -> Say | None:
        """What this side says now, or None to wait."""
        ...

    def work(self, conversation: Conversation, work: Work) -> None:
        """Begins or resumes the work of a contract."""
        ...

    async def book(
        self, conversation: Conversation, engagement: Engagement, effect: Reserve | Free | Finished
    ) -> Booked:
        """What an offer, acceptance or contract takes of what this side promises at most, gives back, or has spent.

        Raises:
            ScopeError: There is not so much left.
        """
        ...

    async def give_back(self, ids: Sequence[str]) -> None:
        """Gives back what is not in the ledger, now that the ledger holds why."""
        ...

    def cascade(self, conversation: Conversation, effect: Cascade) -> None:
        """Says to a hire under this contract what was said to the contract."""
        ...

    def stored(self, engagement: Engagement, evidence: Sequence[Blob]) -> None:
        """Hears what is on disk now, before anything is sent that follows from it."""
        ...

    def happened(self, conversation: Conversation, event: Event) -> None:
        """Tells whoever watches."""
        ...

    def rests(self, conversation: Conversation) -> None:
        """Nothing happens in the negotiation; what the journal gives again need not be kept for it."""
        ...

    def finished(self, conversation: Conversation) -> None:
        """The engagement can be put away."""
        ...
