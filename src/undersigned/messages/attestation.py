"""Moves about the result: what was made, what the hirer says to it, and the closing of the books.

Source: protocol-spec/messages/, pages delivery, review, closing
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from undersigned.encoding import Digest, Instant
from undersigned.messages.base import (
    MAX_ITEMS,
    Consistency,
    Count,
    Currency,
    Digests,
    Foreign,
    Foreigns,
    MediaType,
    Move,
    Multibase,
    Name,
    Note,
    Number,
    Owed,
    Part,
    Purpose,
    Uri,
)
from undersigned.messages.execution import Usages, check_usage
from undersigned.messages.reasons import Basis, Outcome, Verdict

__all__ = ["Artifact", "Closing", "CriterionVerdict", "Delivery", "Handled", "Review", "Served", "Settled"]


class Artifact(Part, frozen=True, kw_only=True):
    """One thing that was made."""

    name: Name
    """As the contract's deliverables name it."""
    digest: Digest
    """Of the bytes."""
    media_type: MediaType
    """What the bytes are."""
    uri: Uri | None = None
    """Where the bytes are, if not at the sender's listener."""


class Delivery(Move, frozen=True, kw_only=True):
    """What the provider made, by digest, with its signed statements and what it used.

    Source: protocol-spec/messages/delivery.md
    """

    purpose: ClassVar[Purpose] = "assertionMethod"

    contract: Digest
    """As in `Start`."""
    outcome: Outcome
    """How far the work got."""
    artifacts: Annotated[tuple[Artifact, ...], Meta(max_length=MAX_ITEMS)]
    """What was made; may be empty."""
    statements: Foreigns
    """DSSE envelopes of in-toto statements."""
    usage: Usages
    """All that was used so far."""
    round: Number
    """1, and one more after each rework."""

    def __post_init__(self) -> None:
        """Refuse an account of what was used that has no one total."""
        super().__post_init__()
        check_usage(self.usage)


class CriterionVerdict(Part, frozen=True, kw_only=True):
    """The verdict on one acceptance criterion."""

    id: Name
    """As the contract names it."""
    met: bool
    """Whether the delivery meets it."""
    note: Note | None = None


class Review(Move, frozen=True, kw_only=True):
    """The hirer's verdict on a delivery, criterion by criterion, with the verifier's statement.

    Source: protocol-spec/messages/review.md
    """

    purpose: ClassVar[Purpose] = "assertionMethod"

    delivery: Digest
    """Digest of the delivery."""
    verdict: Verdict
    """What follows from the criteria."""
    criteria: Annotated[tuple[CriterionVerdict, ...], Meta(max_length=MAX_ITEMS)]
    """One for each criterion of the contract."""
    statement: Foreign
    """DSSE envelope of the acceptance, by another key of the hirer or by the verifier named in the contract."""
    credential: Foreign | None = None
    """The performance credential."""


class Settled(Part, frozen=True, kw_only=True):
    """What is owed, all told."""

    amount: Owed
    """What the hirer owes, never less than nothing; may be 0."""
    currency: Currency
    """That of the price in force, or of a ruling or release that says what is owed."""
    reference: Name | None = None
    """The payment's name where it is made."""

    def __str__(self) -> str:
        """What is owed, as a price is written: `4 EUR`."""
        return f"{self.amount} {self.currency}"


class Handled(Part, frozen=True, kw_only=True):
    """What of the hirer's data the provider has to destroy."""

    destroy: Digests
    """Digests of inputs that the provider got."""
    by: Instant
    """Last instant for it: the end of the contract and the retention agreed on."""


class Served(Part, frozen=True, kw_only=True):
    """What the provider said that it takes at a time of this task, and what came of it."""

    advertised: Count
    """Contracts at a time, as its `Profile` said."""
    met: Count
    """The most that it had under way at once, this one among them, while it performed this one."""


class Recorded(Part, frozen=True, kw_only=True):
    """What its sender has recorded of the engagement beside the moves, so far. Its pack has as many (HIRE-PCK-10)."""

    decisions: Count
    """Its own."""
    refusals: Count
    """Of actions, by its own gates."""


class Closing(Move, frozen=True, kw_only=True):
    """One side's books: how it ended, what was used and is owed, and the state of its ledger.

    Source: protocol-spec/messages/closing.md
    """

    purpose: ClassVar[Purpose] = "assertionMethod"

    contract: Digest
    """Of the document in force: the contract, or its last sealed amendment. A release is none."""
    basis: Basis
    """What it rests on, the strongest of what happened."""
    delivery: Digest | None = None
    """Digest of the delivery that was reviewed, or not reviewed in time."""
    usage: Usages
    """All that was used, as this side counts it."""
    settlement: Settled
    """What is owed, as this side counts it."""
    checkpoint: Multibase
    """The sender's signed checkpoint note."""
    checkpoint_at: Instant | None = None
    """When `checkpoint` was all of its log, by its clock; without it, when the message was signed. What is signed again
    later needs it."""
    cosignatures: Annotated[tuple[Multibase, ...], Meta(max_length=16)]
    """Cosignatures of the recipient's log, by this side: a checkpoint's text and one signature line each; or empty."""
    data_handling: Handled | None = None
    """What is to be destroyed, if anything was handed over."""
    capacity: Served | None = None
    """The provider's, if its `Profile` said how many contracts it takes at a time."""
    objection: Note | None = None
    """Where this side does not agree."""
    consistency: Consistency | None = None
    """Proof that `checkpoint` continues what the recipient was told last."""
    recorded: Recorded | None = None
    """How much its sender's evidence pack has beside the moves."""

    def __post_init__(self) -> None:
        """Refuse an account of what was used that has no one total."""
        super().__post_init__()
        check_usage(self.usage)
