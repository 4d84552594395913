"""Moves when the two do not agree: a breach to be cured, a dispute, and the arbiter's ruling on it.

Source: protocol-spec/messages/, pages breach, dispute, ruling
"""

from __future__ import annotations

from typing import ClassVar

from undersigned.encoding import Digest, Instant
from undersigned.messages.base import Digests, Foreign, Move, Name, Purpose, Text

__all__ = ["Breach", "Dispute", "Ruling"]


class Breach(Move, frozen=True, kw_only=True):
    """One side's claim that the other broke a clause, and the time that it leaves to cure it.

    Source: protocol-spec/messages/breach.md
    """

    purpose: ClassVar[Purpose] = "assertionMethod"

    contract: Digest
    """As in `Start`."""
    clause: Name
    """Id of the clause of the scope, or name of the member of the terms."""
    evidence: Digests
    """Digests of what shows it."""
    cure_by: Instant
    """Last instant to cure it, by its sender's clock; not before `termination.cure` from now."""


class Dispute(Move, frozen=True, kw_only=True):
    """One side puts the outcome before the arbiter that the contract names.

    Source: protocol-spec/messages/dispute.md
    """

    purpose: ClassVar[Purpose] = "assertionMethod"

    contract: Digest
    """As in `Start`."""
    about: Digest
    """Digest of the move that is disputed."""
    claim: Text
    """What its sender asks for, and why."""
    evidence: Digests
    """Digests of what shows it."""
    ruling_by: Instant
    """Last instant for the `Ruling`, by the clock of the side that waits."""


class Ruling(Move, frozen=True, kw_only=True):
    """The arbiter's signed ruling, carried by either side.

    Source: protocol-spec/messages/ruling.md
    """

    purpose: ClassVar[Purpose] = "assertionMethod"

    dispute: Digest
    """Digest of the `Dispute` that it ends."""
    ruling: Foreign
    """The arbiter's document, with its proof: an `ArbiterRuling`."""
