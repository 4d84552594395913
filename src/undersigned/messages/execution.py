"""Moves while work is done: its start, and the two ways in which one side ends it early.

Source: protocol-spec/messages/, pages start, cancel, terminate
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from undersigned.encoding import Amount, Digest, Instant
from undersigned.messages.base import MAX_ITEMS, Digests, Move, Name, Part, Purpose, Uri, violated
from undersigned.messages.reasons import CancelReason, Cause

__all__ = ["Cancel", "Input", "Start", "Terminate", "Usage"]


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
    """Id of the grant."""
    unit: Name
    """`count`, a currency, or what else the grant limits."""
    amount: Amount
    """Total so far, the unproved part included."""
    unproved: Amount | None = None
    """The part whose outcome the resource could not tell after a crash; spent until proved otherwise."""


class Start(Move, frozen=True, kw_only=True):
    """The hirer's word that work begins: from here on the scope gives authority.

    Source: protocol-spec/messages/start.md
    """

    contract: Digest
    """Of the contract as first sealed, for its whole life."""
    inputs: Annotated[tuple[Input, ...], Meta(max_length=MAX_ITEMS)]
    """What there is to work on, as contracted."""


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
        if self.names is None and self.cause in ("breach", "revoked", "parent"):
            raise violated("/names", f"the digest that the cause {self.cause} points at", None)
