"""How a contract is made: bids, offers, the acceptance, and the seal or withdrawal that answers it.

The same four moves amend or release a contract later; they are then about a document of another type.

Source: protocol-spec/messages/, pages bid, offer, acceptance, seal, withdraw
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta

from undersigned.contract import Document
from undersigned.encoding import Digest, Instant
from undersigned.messages.base import (
    MAX_ITEMS,
    Consistency,
    Count,
    Foreign,
    Move,
    Multibase,
    Name,
    Need,
    Nonce,
    Note,
    Part,
    Purpose,
)
from undersigned.messages.reasons import WithdrawReason

__all__ = ["Acceptance", "Bid", "LedgerPlace", "LogHead", "Offer", "Seal", "Withdraw"]


class Bid(Move, frozen=True, kw_only=True):
    """A sealed tender's commitment to terms that a later `Offer` opens.

    Source: protocol-spec/messages/bid.md
    """

    commitment: Digest
    """Digest of the JSON object with `salt` and `terms`."""
    valid_until: Instant
    """How long it binds its sender: to 120 seconds past `awardBy`, or longer."""


class LogHead(Part, frozen=True, kw_only=True):
    """A log as it stood at one moment; of two, the later one is never smaller."""

    at: Instant
    """The moment, by its owner's clock. A message that is signed again still states the same."""
    size: Count
    """Its leaves."""
    root: Digest
    """Root of the tree that they make."""
    consistency: Consistency | None = None
    """Proof from what the recipient was told last."""


Cosignatures = Annotated[tuple[Multibase, ...], Meta(max_length=16)]
"""Of the recipient's log, by the sender."""


class Offer(Move, frozen=True, kw_only=True):
    """A contract document put on the table; a counter-offer while the other's stands.

    Source: protocol-spec/messages/offer.md
    """

    document: Document
    """The whole document, not a difference, with its sender's proof: it can be read and verified alone."""
    valid_until: Instant
    """Last instant, UTC, at which it may be accepted; inclusive, by the offerer's clock."""
    in_reply_to: Digest | None = None
    """Digest of the offer answered, which stops being open once this is sent; required when one stands."""
    salt: Nonce | None = None
    """Opens the commitment; required after `Bid`."""
    note: Note | None = None
    """For the person or program that decides."""
    parents: Annotated[tuple[Foreign, ...], Meta(min_length=1, max_length=MAX_ITEMS)] | None = None
    """Where the document names a parent and its sender is the hirer: the parent's `document` in force, `acceptance` and
    `seal`, then those of its parent, up to the root."""
    head: LogHead | None = None
    """The sender's log, for who may contract with it to hold against what it saw before."""


class Acceptance(Move, frozen=True, kw_only=True):
    """The second signature, given to exactly one offer. It binds its sender until the offerer answers.

    Source: protocol-spec/messages/acceptance.md
    """

    offer: Digest
    """Digest of the live offer."""
    document: Digest
    """Digest of the document of that offer."""
    contract_proof: Foreign
    """The acceptor's proof on the document; its `previousProof` names the offerer's."""
    head: LogHead | None = None
    """The sender's log before this."""
    cosignatures: Cosignatures | None = None
    """Cosignatures of the recipient's log, by this side: a checkpoint's text and one signature line each."""


class LedgerPlace(Part, frozen=True, kw_only=True):
    """Where the offerer's ledger holds the contract."""

    log: Name
    """Origin of the log, as its checkpoints name it."""
    index: Count
    leaf: Digest
    """Digest of the leaf, which is made of the document and both parties' proofs."""


class Seal(Move, frozen=True, kw_only=True):
    """The offerer's decision that makes the contract.

    Source: protocol-spec/messages/seal.md
    """

    purpose: ClassVar[Purpose] = "assertionMethod"

    offer: Digest
    """Digest of the offer that was accepted."""
    document: Digest
    """Digest of its document."""
    acceptance: Digest
    """Digest of the acceptance."""
    ledger: LedgerPlace
    """A promise of place; the inclusion proof may follow in a `Receipt`."""
    cosignatures: Cosignatures | None = None
    """Cosignatures of the recipient's log, by this side: a checkpoint's text and one signature line each."""


class Withdraw(Move, frozen=True, kw_only=True):
    """An end of the negotiation, or of the document on the table, with the reason.

    Source: protocol-spec/messages/withdraw.md
    """

    reason: WithdrawReason
    """Why, in a word of the list."""
    offer: Digest | None = None
    """The offer it ends; required in the document lane and after an acceptance."""
    needed: Annotated[tuple[Need, ...], Meta(max_length=MAX_ITEMS)] | None = None
    """What would change the answer."""
    award: Foreign | None = None
    """For a loser of a tender: each bid's commitment, score and reason, and the rule."""
    refused: Digest | None = None
    """Digest of the move whose refusal led to this."""
