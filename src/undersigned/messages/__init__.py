"""What goes over the wire: one frozen struct per message type, and their way to and from bytes.

`decode_message` makes a `SignedMessage` of bytes, `verify_message` a `VerifiedMessage` of that, and `draft` a message
to be signed. `MESSAGE_TYPES` lists the types; any other is refused.

Source: protocol-spec/04-envelope-and-digests.md
"""

from __future__ import annotations

from undersigned.contract import Task
from undersigned.messages.attestation import (
    Artifact,
    Closing,
    CriterionVerdict,
    Delivery,
    Handled,
    Recorded,
    Review,
    Served,
    Settled,
)
from undersigned.messages.base import VERSIONS, Consistency, Message, Name, Need, Note, Percent, Proof, check_member
from undersigned.messages.codec import check_sealing, decode_message, recorded_message
from undersigned.messages.conflict import Breach, Dispute, Ruling
from undersigned.messages.discovery import Inquiry, Limits, Profile, Tender
from undersigned.messages.drafts import draft
from undersigned.messages.execution import (
    Approval,
    ApprovalRequest,
    Cancel,
    Details,
    Input,
    Resume,
    Start,
    Suspend,
    Terminate,
    Usage,
)
from undersigned.messages.negotiation import Acceptance, Bid, LedgerPlace, LogHead, Offer, Seal, Withdraw
from undersigned.messages.presentation import Presentation, PresentationRequest
from undersigned.messages.problem import Inclusion, Problem, Progress, Receipt, Sync, Waiting
from undersigned.messages.reasons import CANCEL_REASONS, CAUSES, REASONS, SUSPEND_REASONS, SuspendReason
from undersigned.messages.registry import MESSAGE_TYPES
from undersigned.messages.signed import SignedMessage, VerifiedMessage, engagement_id
from undersigned.messages.verify import check_recordable, problem_code_told, problem_path_told, verify_message

__all__ = [
    "CANCEL_REASONS",
    "CAUSES",
    "MESSAGE_TYPES",
    "REASONS",
    "SUSPEND_REASONS",
    "VERSIONS",
    "Acceptance",
    "Approval",
    "ApprovalRequest",
    "Artifact",
    "Bid",
    "Breach",
    "Cancel",
    "Closing",
    "Consistency",
    "CriterionVerdict",
    "Delivery",
    "Details",
    "Dispute",
    "Handled",
    "Inclusion",
    "Input",
    "Inquiry",
    "LedgerPlace",
    "Limits",
    "LogHead",
    "Message",
    "Name",
    "Need",
    "Note",
    "Offer",
    "Percent",
    "Presentation",
    "PresentationRequest",
    "Problem",
    "Profile",
    "Progress",
    "Proof",
    "Receipt",
    "Recorded",
    "Resume",
    "Review",
    "Ruling",
    "Seal",
    "Served",
    "Settled",
    "SignedMessage",
    "Start",
    "Suspend",
    "SuspendReason",
    "Sync",
    "Task",
    "Tender",
    "Terminate",
    "Usage",
    "VerifiedMessage",
    "Waiting",
    "Withdraw",
    "check_member",
    "check_recordable",
    "check_sealing",
    "decode_message",
    "draft",
    "engagement_id",
    "problem_code_told",
    "problem_path_told",
    "recorded_message",
    "verify_message",
]
