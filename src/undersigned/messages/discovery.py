"""How an engagement opens: the hirer's need, and the provider's answer to it.

Source: protocol-spec/messages/inquiry.md and profile.md
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from undersigned.contract import Task
from undersigned.encoding import Digest, Instant
from undersigned.messages.base import (
    MAX_ITEMS,
    Foreign,
    Foreigns,
    Move,
    Name,
    Nonce,
    Part,
    Role,
    SuiteName,
    Uri,
    Version,
    violated,
)
from undersigned.messages.presentation import PresentationRequest
from undersigned.scope import WireScope

__all__ = ["Inquiry", "Limits", "Profile", "Tender"]

MAX_ROUNDS = 64
MAX_NEGOTIATION_BYTES = 2 * 1024 * 1024


class Limits(Part, frozen=True, kw_only=True):
    """How long the negotiation may get, both sides together."""

    rounds: Annotated[int, Meta(ge=1, le=MAX_ROUNDS)]
    """Offers, counter-offers included; the one beyond is refused `round_limit`."""
    bytes: Annotated[int, Meta(ge=1, le=MAX_NEGOTIATION_BYTES)]
    """Bytes of all moves up to the seal or withdrawal."""


class Tender(Part, frozen=True, kw_only=True):
    """One need put to several providers, an engagement each."""

    id: Uri
    """The same in every inquiry of the tender."""
    sealed: bool
    """Whether bids are committed by `Bid` before they are opened by `Offer`."""
    bids_close: Instant
    """Last instant for a bid, by the hirer's clock."""
    reveal_by: Instant
    """Last instant to open a sealed bid, by the hirer's clock."""
    award_by: Instant
    """When the hirer has decided."""
    rule: Foreign
    """How bids are scored, stated before any is made."""


class Inquiry(Move, frozen=True, kw_only=True):
    """A hirer's need, put to one provider; the first message of an engagement.

    Source: protocol-spec/messages/inquiry.md
    """

    nonce: Nonce
    """The hirer's; with both DIDs it makes the engagement's id."""
    need: Name
    """The capability wanted, in a word the provider lists."""
    task: Task
    """What is to be done, as the contract will say it."""
    continues: Digest | None = None
    """Digest of an earlier `Withdraw` with `needed` that this answers."""
    scope_sketch: WireScope
    """The authority thought of; its ids begin with `urn:hire:sketch`, and it binds nobody."""
    versions: Annotated[tuple[Version, ...], Meta(min_length=1, max_length=16)]
    """Versions offered, best liked first."""
    suites: Annotated[tuple[SuiteName, ...], Meta(min_length=1, max_length=16)]
    """Cryptosuites offered, best liked first."""
    extensions: Annotated[tuple[Uri, ...], Meta(max_length=MAX_ITEMS)]
    """Extensions the hirer understands."""
    opens: Role
    """Who puts the first offer on the table."""
    limits: Limits
    """How long the negotiation may get."""
    respond_by: Instant
    """Last instant for the `Profile`, by the hirer's clock."""
    closes_at: Instant
    """When the negotiation ends whatever its state."""
    tender: Tender | None = None
    """Given if others are asked too."""

    def __post_init__(self) -> None:
        """Refuse an inquiry that contradicts itself."""
        super().__post_init__()
        if self.version != min(self.versions, key=_order):
            raise violated("/version", "the lowest version offered", self.version)
        if self.closes_at < self.respond_by:
            raise violated("/closesAt", "an instant not before respondBy", self.closes_at)
        tender, limits = self.tender, self.limits
        # Of plain objects it was made here: `draft` reads it again, as what the schema makes of them.
        if isinstance(tender, Tender) and isinstance(limits, Limits):  # pyright: ignore[reportUnnecessaryIsInstance]
            if self.opens != "provider":
                raise violated("/opens", "provider, who opens in a tender", self.opens)
            if limits.rounds != 1:
                raise violated("/limits/rounds", "1, since a tender has one round", limits.rounds)
            if not tender.bids_close <= tender.reveal_by <= tender.award_by:
                raise violated("/tender", "bidsClose, revealBy and awardBy in this order", tender)


class Profile(Move, frozen=True, kw_only=True):
    """The provider's answer: what it can do, what it chose from the lists offered, and what it wants to be shown.

    Source: protocol-spec/messages/profile.md
    """

    nonce: Nonce
    """The provider's own."""
    inquiry: Digest
    """Digest of the `Inquiry` it answers."""
    versions: Annotated[tuple[Version, ...], Meta(min_length=1, max_length=16)]
    """Echo of the list offered, so that nobody between could shorten it."""
    suites: Annotated[tuple[SuiteName, ...], Meta(min_length=1, max_length=16)]
    """Echo of the list offered."""
    suite: SuiteName
    """The suite chosen; `version` of the envelope is the version chosen."""
    hybrid: bool
    """Whether documents get a further, post-quantum proof from each party; in this version they have none: `false`."""
    capabilities: Foreigns
    """What the provider does, each in words of its kind."""
    terms_template: Foreign | None = None
    """Terms that the provider would sign, to start from."""
    request: PresentationRequest
    """What the hirer is to show."""
    respond_by: Instant
    """Last instant for the hirer's `Presentation`, by the provider's clock."""


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
