"""An engagement as its journal gives it: folded from its rows, with what they say of it.

Source: protocol-spec/10-security.md, "Order of storing and sending"
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

from undersigned.contract import ContractDocument, Document
from undersigned.encoding import Did, Digest, Instant, digest_bytes
from undersigned.errors import LedgerError, UndersignedError
from undersigned.ledger import Ledger, Row, Summary
from undersigned.messages import Message, Offer, VerifiedMessage, recorded_message
from undersigned.protocol import Engagement, Entry, Noted, Received, Sent, apply, begin

__all__ = ["PACKED", "Loaded", "Packed", "counts", "entry_of", "load_engagement", "place_in_force"]

Packed: TypeAlias = frozenset[tuple[str, Digest]]
"""Facts that go into the evidence pack: name and digest."""

PACKED: Final = frozenset({"decision", "refused-action"})
"""Names of facts that go into the evidence pack."""


class Loaded(NamedTuple):
    """An engagement as its journal gives it."""

    engagement: Engagement
    places: int
    """Rows of the journal."""
    facts: dict[str, str]
    """The last value of each fact noted."""
    packed: Packed
    """Facts that go into the evidence pack."""
    timed: list[tuple[Message, Instant]]
    """Moves of both sides, and when each was recorded, in the order of the journal."""
    notices: set[Digest]
    """Notices of the peer that were recorded."""

    @property
    def moves(self) -> list[Message]:
        """Moves of both sides, in the order of the journal."""
        return [move for move, _ in self.timed]

    def offered(self) -> ContractDocument | None:
        """The document of the live offer; after the seal, what is in force; None if there is none."""
        document = self._document(place_in_force(self.engagement))
        return document if isinstance(document, ContractDocument) else None

    def tabled(self) -> Document | None:
        """The amendment or release that is on the table, if one is."""
        tabled = self.engagement.tabled
        return self._document((tabled.owner, tabled.sequence)) if tabled is not None else None

    def _document(self, place: tuple[str, int] | None) -> Document | None:
        """Of the offer in a place: of two the first was refused, and gave it up (rule N9)."""
        offers = (move for move in reversed(self.moves) if isinstance(move, Offer))
        return next((move.document for move in offers if (move.role, move.sequence) == place), None)


async def load_engagement(ledger: Ledger, summary: Summary, own: Did) -> Loaded:
    """The engagement folded from its journal.

    Raises:
        LedgerError: As `Ledger.rows`; `store_corrupt`, the journal holds what is no message, or what the rules refuse.
    """
    engagement = begin("hirer" if summary.role == "hirer" else "provider", own, summary.peer, summary.engagement)
    facts: dict[str, str] = {}
    packed: set[tuple[str, Digest]] = set()
    timed: list[tuple[Message, Instant]] = []
    notices: set[Digest] = set()
    rows = await ledger.rows(summary.engagement)
    for place, row in enumerate(rows, start=1):
        try:
            entry = entry_of(row)
            engagement = apply(engagement, entry)
        except UndersignedError as error:  # who writes here has judged it, maybe by older rules
            where = f"line {place} of the journal of {summary.engagement}"
            raise LedgerError("store_corrupt", f"{where} is none by the rules of this version: {error}") from error
        if isinstance(entry, Noted):
            facts[entry.name] = entry.value
            if entry.name in PACKED:
                packed.add((entry.name, digest_bytes(row.raw)))
        elif not entry.message.message.notice:
            if counts(entry.message, engagement):
                timed.append((entry.message.message, row.at))
        elif row.kind == "received" and row.type != "Progress":
            notices.add(row.digest)
    return Loaded(engagement, len(rows), facts, frozenset(packed), timed, notices)


def entry_of(row: Row) -> Entry:
    """The entry that a journal row stands for. Its proof was checked when it was written."""
    if row.kind == "noted":
        return Noted(row.type, row.raw.decode(), row.at)
    message = recorded_message(row.raw)
    return Sent(message, row.at) if row.kind == "sent" else Received(message, row.at)


def counts(move: VerifiedMessage, engagement: Engagement) -> bool:
    """Whether a move that led to `engagement` is one to be remembered: a second acceptance crosses a move that its
    sender has not seen, moves nothing, and takes the place of the first in nothing.
    """
    if move.message.type != "Acceptance":
        return True
    tabled = engagement.tabled
    return move.digest == (tabled.acceptance if tabled is not None else engagement.acceptance)


def place_in_force(engagement: Engagement) -> tuple[str, int] | None:
    """Side and place of the live offer; after the seal, of the one whose document is in force."""
    contract, live = engagement.contract, engagement.offer
    if contract is not None and contract.in_force_by is not None:
        return contract.in_force_by
    return (live.owner, live.sequence) if live is not None else None
