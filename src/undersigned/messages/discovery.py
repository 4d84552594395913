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


class Tender(Part, frozen=True, kw_only=True):
    """One need put to several providers, an engagement each."""

    id: Uri
    """The same in every inquiry of the tender."""
    sealed: bool
    """Whether bids are committed by `Bid` before they are opened by `Offer`."""
    bids_close: Instant
    reveal_by: Instant
    award_by: Instant
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
    respond_by: Instant
    closes_at: Instant
    """When the negotiation ends whatever its state."""
    tender: Tender | None = None

    def __post_init__(self) -> None:
        """Refuse an inquiry that contradicts itself."""
        super().__post_init__()
        if self.version != min(self.versions, key=_order):
            raise violated("/version", "the lowest version offered", self.version)
        if self.closes_at < self.respond_by:
            raise violated("/closesAt", "an instant not before respondBy", self.closes_at)


class Profile(Move, frozen=True, kw_only=True):
    """The provider's answer: what it can do, what it chose from the lists offered, and what it wants to be shown.

    Source: protocol-spec/messages/profile.md
    """

    nonce: Nonce
    """The provider's own."""
    inquiry: Digest
    versions: Annotated[tuple[Version, ...], Meta(min_length=1, max_length=16)]
    """Echo of the list offered, so that nobody between could shorten it."""
    suites: Annotated[tuple[SuiteName, ...], Meta(min_length=1, max_length=16)]
    """Echo of the list offered."""
    suite: SuiteName
    """The suite chosen; `version` of the envelope is the version chosen."""
    hybrid: bool
    """Whether documents get a second, post-quantum proof from each party."""
    capabilities: Foreigns
    terms_template: Foreign | None = None
    request: PresentationRequest
    respond_by: Instant


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
