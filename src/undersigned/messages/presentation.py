"""Showing credentials: each side asks, and answers the other's fresh challenge with what was asked and no more.

The challenge is the digest of the move that asked and the domain is the verifier's DID, so a presentation fits one
question of one engagement and no other.

Source: protocol-spec/messages/presentation.md
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from undersigned.encoding import Digest
from undersigned.messages.base import MAX_ITEMS, Foreign, Move, Need, Part, violated

__all__ = ["Presentation", "PresentationRequest"]


class PresentationRequest(Part, frozen=True, kw_only=True):
    """What one side wants to be shown. An empty list asks for a presentation without credentials."""

    needs: Annotated[tuple[Need, ...], Meta(max_length=MAX_ITEMS)]
    """All of them are wanted."""


class Presentation(Move, frozen=True, kw_only=True):
    """A verifiable presentation in answer to a request; the hirer's carries its own request.

    Source: protocol-spec/messages/presentation.md
    """

    answers: Digest
    """Digest of the move that asked, which is also the challenge of the presentation."""
    presentation: Foreign
    """A verifiable presentation, with a proof of its own over the challenge."""
    request: PresentationRequest | None = None
    """The hirer's, and required there."""

    def __post_init__(self) -> None:
        """Refuse a hirer's presentation that asks nothing back, and a provider's that does."""
        super().__post_init__()
        if (self.request is None) != (self.role == "provider"):
            raise violated("/request", "a request exactly if the sender is the hirer", self.request)
