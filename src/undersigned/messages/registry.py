"""The types of message there are.

Source: protocol-spec/04-envelope-and-digests.md, section 4.2
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from undersigned.messages.attestation import Closing, Delivery, Review
from undersigned.messages.base import Message
from undersigned.messages.conflict import Breach, Dispute, Ruling
from undersigned.messages.discovery import Inquiry, Profile
from undersigned.messages.execution import Approval, ApprovalRequest, Cancel, Resume, Start, Suspend, Terminate
from undersigned.messages.negotiation import Acceptance, Bid, Offer, Seal, Withdraw
from undersigned.messages.presentation import Presentation
from undersigned.messages.problem import Problem, Progress, Receipt, Sync

__all__ = ["MESSAGE_TYPES"]

_TYPES: Final[tuple[type[Message], ...]] = (
    Inquiry,
    Profile,
    Presentation,
    Bid,
    Offer,
    Acceptance,
    Seal,
    Withdraw,
    Start,
    ApprovalRequest,
    Approval,
    Suspend,
    Resume,
    Cancel,
    Delivery,
    Review,
    Closing,
    Breach,
    Terminate,
    Dispute,
    Ruling,
    Receipt,
    Problem,
    Sync,
    Progress,
)

MESSAGE_TYPES: Final[Mapping[str, type[Message]]] = MappingProxyType({of.__name__: of for of in _TYPES})
"""Every type of message, by its name on the wire; any other is refused. A new type is a struct and a line above."""
