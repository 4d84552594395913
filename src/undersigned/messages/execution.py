"""Moves while work is done: its start, approvals of single actions, suspension, and an early end.

Source: protocol-spec/messages/, pages start, approvalrequest, approval, suspend, resume, cancel, terminate
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from undersigned.encoding import Amount, Digest, Instant, compare_amounts
from undersigned.messages.base import MAX_ITEMS, Count, Digests, Move, Name, Note, Owed, Part, Purpose, Uri, violated
from undersigned.messages.reasons import CAUSES_NAMED, CancelReason, Cause, ResumeReason, SuspendReason

__all__ = [
    "Approval",
    "ApprovalRequest",
    "Cancel",
    "Details",
    "Input",
    "Resume",
    "Start",
    "Suspend",
    "Terminate",
    "Usage",
    "Usages",
    "check_usage",
]


class Input(Part, frozen=True, kw_only=True):
    """One thing to work on."""

    name: Name
    """Its name in this contract."""
    digest: Digest
    """Of the bytes."""
    uri: Uri | None = None
    """Where the bytes are; reading them is an action under the scope."""


class Usage(Part, frozen=True, kw_only=True):
    """How much of one grant's one unit was used."""

    clause: Name
    """Short name of the grant."""
    unit: Name
    """`count`, a currency, or what else the grant limits."""
    amount: Owed
    """Total so far, the unproved part included. Never less than nothing, as what a gate books."""
    unproved: Owed | None = None
    """The part whose outcome the resource could not tell after a crash; spent until proved otherwise."""


Usages = Annotated[tuple[Usage, ...], Meta(max_length=MAX_ITEMS)]


def check_usage(usage: Usages) -> None:
    """Passes the member `usage` of a message if each unit of a clause has one total, and no part of it is more.

    Raises:
        FormatError: `schema_violation`; `path` says which line.

    Source: protocol-spec/messages/delivery.md, HIRE-MSG-06
    """
    named: set[tuple[str, str]] = set()
    for place, line in enumerate(usage):
        if not isinstance(line, Usage):  # pyright: ignore[reportUnnecessaryIsInstance]
            return  # made here of plain objects: `draft` reads it again, as what the schema makes of them
        # Two lines of one unit have no one total: their readers would take the first, the last or the sum.
        if (line.clause, line.unit) in named:
            raise violated(f"/usage/{place}", f"one line for each unit of {line.clause!a}", line.unit)
        named.add((line.clause, line.unit))
        if line.unproved is not None and compare_amounts(line.unproved, line.amount) > 0:
            raise violated(f"/usage/{place}/unproved", f"at most the amount {line.amount}", line.unproved)


class Start(Move, frozen=True, kw_only=True):
    """The hirer's word that work begins: from here on the scope gives authority.

    Source: protocol-spec/messages/start.md
    """

    contract: Digest
    """Of the contract as first sealed, for its whole life."""
    inputs: Annotated[tuple[Input, ...], Meta(max_length=MAX_ITEMS)]
    """What there is to work on, as contracted."""

    def __post_init__(self) -> None:
        """Refuse two inputs of one name: one reader would work on the first, another state the last."""
        super().__post_init__()
        named: set[str] = set()
        for place, given in enumerate(self.inputs):
            if not isinstance(given, Input):  # pyright: ignore[reportUnnecessaryIsInstance]
                return  # as in `check_usage`
            if given.name in named:
                raise violated(f"/inputs/{place}/name", "another name for each input", given.name)
            named.add(given.name)


class Details(Part, frozen=True, kw_only=True):
    """One action, whole: its digest is what an approval is good for (HIRE-SCO-13)."""

    action: Uri
    """As the grant names it."""
    target: Annotated[str, Meta(min_length=1, max_length=2048)]
    """What it is done to, a URI in its only spelling."""
    amounts: Annotated[dict[str, Amount], Meta(min_length=1, max_length=MAX_ITEMS)]
    """How much of each unit; `count` always."""


class ApprovalRequest(Move, frozen=True, kw_only=True):
    """The provider's question whether it may do one thing that the contract lets it do only with approval.

    Source: protocol-spec/messages/approvalrequest.md
    """

    contract: Digest
    """As in `Start`."""
    clause: Name
    """Short name of the grant that asks for approval."""
    action: Uri
    """What would be done, as the grant names it."""
    arguments: Digest
    """Of what it would be done with; the approval is good for that and nothing else."""
    details: Details | None = None
    """What `arguments` is the digest of, for who decides."""
    reason: Note
    """Why, for the person or program that decides."""
    answer_by: Instant
    """Last instant for the answer, by the provider's clock; after it the answer is no."""


class Approval(Move, frozen=True, kw_only=True):
    """The hirer's answer to one `ApprovalRequest`.

    Source: protocol-spec/messages/approval.md
    """

    purpose: ClassVar[Purpose] = "assertionMethod"

    request: Digest
    """Digest of the `ApprovalRequest`."""
    granted: bool
    """Whether it may be done."""
    reason: Note | None = None
    uses: Count
    """How often it may be done; 0 exactly if not granted."""
    until: Instant
    """Last instant at which it may be done."""

    def __post_init__(self) -> None:
        """Refuse a yes that allows nothing, and a no that allows something."""
        super().__post_init__()
        if (self.uses > 0) != self.granted:
            raise violated("/uses", "0 exactly if not granted", self.uses)


class Suspend(Move, frozen=True, kw_only=True):
    """The hirer's word that the contract gives no authority for now.

    Source: protocol-spec/messages/suspend.md
    """

    purpose: ClassVar[Purpose] = "assertionMethod"

    contract: Digest
    """As in `Start`."""
    reason: SuspendReason
    """Why, in a word of the list."""
    until: Instant
    """Last instant for `Resume` or an end, by the provider's clock; after it the provider may end the contract."""


class Resume(Move, frozen=True, kw_only=True):
    """The hirer's word that a suspended contract gives authority again.

    Source: protocol-spec/messages/resume.md
    """

    purpose: ClassVar[Purpose] = "assertionMethod"

    contract: Digest
    """As in `Start`."""
    reason: ResumeReason
    """Why, in a word of the list."""


class Cancel(Move, frozen=True, kw_only=True):
    """The hirer's order to stop and hand over what there is.

    Source: protocol-spec/messages/cancel.md
    """

    purpose: ClassVar[Purpose] = "assertionMethod"

    contract: Digest
    """As in `Start`."""
    reason: CancelReason
    """Why, in a word of the list."""
    wind_down: Instant
    """Last instant for the `Delivery`, by the hirer's clock."""


class Terminate(Move, frozen=True, kw_only=True):
    """One side's end of the contract, for a cause that the contract allows.

    Source: protocol-spec/messages/terminate.md
    """

    purpose: ClassVar[Purpose] = "assertionMethod"

    contract: Digest
    """As in `Start`."""
    cause: Cause
    """What allows it."""
    names: Digest | None = None
    """The breach, the evidence of a revocation, or the parent's ending; required for these causes."""
    evidence: Digests
    """Digests of what shows the cause."""

    def __post_init__(self) -> None:
        """Refuse a cause that points at something without saying at what."""
        super().__post_init__()
        if self.names is None and self.cause in CAUSES_NAMED:
            raise violated("/names", f"the digest that the cause {self.cause} points at", None)
