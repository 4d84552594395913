"""What goes over the wire: one frozen struct per message type, and their way to and from bytes.

`decode_message` makes a `SignedMessage` of bytes, `verify_message` a `VerifiedMessage` of that, and `draft` a message
to be signed. `MESSAGE_TYPES` lists the types; any other is refused.

Source: protocol-spec/05-messages.md
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from undersigned.messages.attestation import Artifact, Closing, Criterion, Delivery, Review, Settlement
from undersigned.messages.base import CONTEXT, VERSIONS, Message, Move, Need, Notice, Proof, Purpose, Role
from undersigned.messages.discovery import Inquiry, Limits, Profile, Task, Tender
from undersigned.messages.execution import Cancel, Input, Start, Terminate, Usage
from undersigned.messages.negotiation import Acceptance, Bid, LedgerPlace, Offer, Seal, Withdraw
from undersigned.messages.presentation import Presentation, PresentationRequest
from undersigned.messages.problem import Inclusion, Problem, Progress, Receipt, Sync, Waiting
from undersigned.messages.reasons import (
    BASES,
    CANCEL_REASONS,
    CAUSES,
    OUTCOMES,
    REASONS,
    VERDICTS,
    WAITING_FOR,
)

__all__ = [
    "BASES",
    "CANCEL_REASONS",
    "CAUSES",
    "CONTEXT",
    "MESSAGE_TYPES",
    "OUTCOMES",
    "REASONS",
    "VERDICTS",
    "VERSIONS",
    "WAITING_FOR",
    "Acceptance",
    "Artifact",
    "Bid",
    "Cancel",
    "Closing",
    "Criterion",
    "Delivery",
    "Inclusion",
    "Input",
    "Inquiry",
    "LedgerPlace",
    "Limits",
    "Message",
    "Move",
    "Need",
    "Notice",
    "Offer",
    "Presentation",
    "PresentationRequest",
    "Problem",
    "Profile",
    "Progress",
    "Proof",
    "Purpose",
    "Receipt",
    "Review",
    "Role",
    "Seal",
    "Settlement",
    "Start",
    "Sync",
    "Task",
    "Tender",
    "Terminate",
    "Usage",
    "Waiting",
    "Withdraw",
]

MESSAGE_TYPES: Final[Mapping[str, type[Message]]] = MappingProxyType(
    {
        of.__name__: of
        for of in (
            Inquiry,
            Profile,
            Presentation,
            Bid,
            Offer,
            Acceptance,
            Seal,
            Withdraw,
            Start,
            Cancel,
            Terminate,
            Delivery,
            Review,
            Closing,
            Receipt,
            Problem,
            Sync,
            Progress,
        )
    }
)
"""Every type of message, by its name on the wire. A new type is a struct and a line here."""
