"""The four notices: receipts, problems, positions after a reconnect, and signs of life.

Source: protocol-spec/messages/, pages receipt, problem, sync, progress
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from undersigned.encoding import Digest, Instant
from undersigned.messages.base import (
    MAX_ITEMS,
    Code,
    Count,
    Digests,
    Multibase,
    Name,
    Need,
    Note,
    Notice,
    Number,
    Part,
    Percent,
    Pointer,
    violated,
)
from undersigned.messages.execution import Usages, check_usage
from undersigned.messages.reasons import WaitingFor

__all__ = ["Inclusion", "Problem", "Progress", "Receipt", "Sync", "Waiting"]


class Waiting(Part, frozen=True, kw_only=True):
    """Why no answer came yet."""

    for_: WaitingFor = field(name="for")
    """What the answer waits for."""
    until: Instant
    """When the sender means to know more."""


class Inclusion(Part, frozen=True, kw_only=True):
    """An RFC 6962 inclusion proof, every hash as a digest."""

    leaf: Digest
    """Hash of the leaf."""
    index: Count
    """Its place, from 0."""
    size: Number
    """Leaves of the tree that the checkpoint beside it signs."""
    path: Annotated[tuple[Digest, ...], Meta(max_length=63)]
    """Hashes from the leaf's sibling up."""


class Receipt(Notice, frozen=True, kw_only=True):
    """The sender recorded these moves.

    Source: protocol-spec/messages/receipt.md
    """

    of: Digests
    """Digests of the moves recorded; empty in answer to a `Sync` after the end."""
    received_at: Instant
    """When the last of them was recorded, by the sender's clock."""
    waiting: Waiting | None = None
    """Given if an answer is owed and not there yet."""
    checkpoint: Multibase | None = None
    """The sender's signed checkpoint note."""
    inclusion: Inclusion | None = None
    """Proof that the contract is in the tree of `checkpoint`."""

    def __post_init__(self) -> None:
        """Refuse an inclusion proof without the checkpoint it leads to."""
        super().__post_init__()
        if self.inclusion is not None and self.checkpoint is None:
            raise violated("/checkpoint", "the checkpoint that the inclusion proof leads to", None)


class Problem(Notice, frozen=True, kw_only=True):
    """A message was refused. It moves nothing and is never answered with another.

    Source: protocol-spec/messages/problem.md
    """

    of: Digest
    """Digest of the refused message; of its bytes if they did not parse."""
    code: Code
    """Of the list of errors."""
    class_: Code = field(name="class")
    """The code's family, for a reader that does not know the code."""
    path: Pointer | None = None
    """The place in the refused message."""
    retryable: bool
    """Whether the same message can succeed later."""
    retry_after: Annotated[int, Meta(ge=0, le=86_400)] | None = None
    """Seconds."""
    final: bool
    """This content will never be accepted, so its sender may put another in its place (rule N9)."""
    supported: Annotated[tuple[Name, ...], Meta(max_length=MAX_ITEMS)] | None = None
    """Versions or suites that would do."""
    needed: Annotated[tuple[Need, ...], Meta(max_length=MAX_ITEMS)] | None = None
    """What would change the answer."""

    def __post_init__(self) -> None:
        """Refuse a problem that says both try again and never."""
        super().__post_init__()
        if self.final and self.retryable:
            raise violated("/final", "false when retryable is true", self.final)
        if self.retry_after is not None and not self.retryable:
            raise violated("/retryAfter", "nothing when retryable is false", self.retry_after)


class Sync(Notice, frozen=True, kw_only=True):
    """Where the sender stands: its envelope states its moves, `state` and `lane` what they led to.

    Source: protocol-spec/messages/sync.md
    """

    state: Name
    """Of the engagement, as the tables name it."""
    lane: Name
    """State of the document lane."""
    checkpoint: Multibase | None = None
    """The sender's signed checkpoint note."""


class Progress(Notice, frozen=True, kw_only=True):
    """Work goes on. It restarts the heartbeat timer; losing one costs nothing.

    Source: protocol-spec/messages/progress.md
    """

    contract: Digest
    """As in `Start`."""
    number: Number
    """Above that of every one before it in this contract, from 1."""
    cursor: Name | None = None
    """Where work can resume, in the provider's own words."""
    percent: Percent | None = None
    """How much is done, as far as that can be said."""
    usage: Usages | None = None
    """What was used so far."""
    note: Note | None = None
    """What is being done."""

    def __post_init__(self) -> None:
        """Refuse an account of what was used that has no one total."""
        super().__post_init__()
        if self.usage is not None:
            check_usage(self.usage)
