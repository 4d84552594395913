"""What was seen of somebody else's log, and whether all of it is one history.

A log is one history as far as every head that its owner signed to us lies on one line. The line is known up to the
head `agreed`. Every other head waits in `open` until a proof connects it, so none is forgotten because its proof could
not be had; and two that contradict each other are kept for good, until our operator decides.

Each function gives the state after something happened and changes nothing; stores apply them in their transaction.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.5
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from undersigned.encoding import Did, EngagementId, Instant
from undersigned.transparency import EMPTY_ROOT

__all__ = ["MAX_OPEN", "Fork", "Head", "LogDecision", "Seen", "Stated", "connected", "contradicted", "decided", "saw"]

MAX_OPEN = 32
"""Heads of one log that wait to be connected. One more is counted in `missed`: it is in the journal all the same."""
MAX_PAST = 8
"""Decisions about one log that are kept, the last ones."""


class Head(Struct, frozen=True):
    """Size and root of a tree at one moment."""

    size: int
    root: bytes
    """32 bytes."""


_EMPTY: Final = Head(0, EMPTY_ROOT)


class Stated(Struct, frozen=True, kw_only=True):
    """A head of somebody else's log, as its owner signed it in a message to us."""

    log: Did
    size: int
    root: bytes
    at: Instant | None
    """When the message that carried it was signed; None, it is not known any more."""
    note: str
    """As its owner signed it; the bare text of the checkpoint, if the message's own proof is its signature."""
    engagement: EngagementId | None = None
    """In whose journal or evidence the message stands; None, as above."""
    continues: tuple[Head, ...] = ()
    """What the message proves to be continued by it. Not kept."""

    @property
    def head(self) -> Head:
        """Size and root alone."""
        return Head(self.size, self.root)


class Fork(Struct, frozen=True, kw_only=True):
    """Two heads of one log that no single history has."""

    held: Stated
    came: Stated
    path: tuple[bytes, ...] = ()
    """If `came` has more leaves and was not signed later than it should: leads to its root, and from other first leaves
    than those of `held` (RFC 9162, 2.1.4.2). Empty: another root of the same size, or fewer leaves signed later.
    """


class LogDecision(Struct, frozen=True, kw_only=True):
    """What our operator decided about a log that shows two histories."""

    at: Instant
    anew: bool
    """What is seen next is where it begins; else it goes on from what was agreed before."""
    reason: str
    fork: Fork | None
    """What it was about; None: heads that could not be connected."""


class Seen(Struct, frozen=True, kw_only=True):
    """What was seen of one log."""

    agreed: Stated | None = None
    """The largest head that is known to continue all on its line. The first one is taken as such."""
    open: tuple[Stated, ...] = ()
    """Heads that are not known to lie on that line, smaller ones too."""
    missed: int = 0
    """How many more there were than `open` takes."""
    fork: Fork | None = None
    past: tuple[LogDecision, ...] = ()

    @property
    def held(self) -> tuple[Stated, ...]:
        """All heads that are kept of it."""
        return (self.agreed, *self.open) if self.agreed is not None else self.open

    @property
    def one_history(self) -> bool:
        """Whether every head that was seen is known to lie on one line."""
        return self.fork is None and not self.open and not self.missed


def saw(before: Seen | None, said: Stated) -> Seen:
    """After a head that contradicts none of those held."""
    seen, head = before or Seen(), said.head
    agreed = None if seen.agreed is None else seen.agreed.head
    if agreed is not None and (head in (agreed, _EMPTY) or any(one.head == head for one in seen.open)):
        return seen
    kept = replace(said, continues=())
    if agreed is None:
        return replace(seen, agreed=kept)
    open = tuple(one for one in seen.open if one.head not in said.continues)
    if agreed.size == 0 or agreed in said.continues:
        return replace(seen, agreed=kept, open=open)
    if len(open) == MAX_OPEN:
        return replace(seen, missed=seen.missed + 1)
    return replace(seen, open=(*open, kept))


def connected(before: Seen | None, line: Iterable[Stated], missed: int = 0) -> Seen:
    """After a proof that these heads, the agreed one among them, lie on one line; `missed` of them are not listed."""
    seen, heads = before or Seen(), {one.head: one for one in line}
    if seen.agreed is None or seen.agreed.head not in heads:
        return seen  # it has moved on meanwhile
    return replace(
        seen,
        agreed=max(heads.values(), key=lambda one: one.size),
        open=tuple(one for one in seen.open if one.head not in heads),
        missed=max(0, seen.missed - missed),
    )


def contradicted(before: Seen | None, fork: Fork) -> Seen:
    """After two heads that contradict each other; the first two stay."""
    seen = before or Seen()
    return replace(seen, fork=seen.fork or fork)


def decided(before: Seen | None, at: Instant, *, anew: bool, reason: str) -> Seen:
    """After our operator decided that it is one history again: what was agreed, or what comes next."""
    seen = before or Seen()
    past = (*seen.past, LogDecision(at=at, anew=anew, reason=reason, fork=seen.fork))[-MAX_PAST:]
    return Seen(agreed=None if anew else seen.agreed, past=past)
