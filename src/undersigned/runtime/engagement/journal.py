"""The journal of one engagement while it runs: how far it is written, and what the next commit writes along.

Receipts are kept back until then: losing one costs a repeat, and a commit for each would cost as much as a move.

Source: protocol-spec/10-security.md, "Order of storing and sending"
"""

from __future__ import annotations

from undersigned.encoding import Digest, EngagementId, Instant
from undersigned.errors import LedgerError, ScopeError
from undersigned.ledger import Ledger, Row, Spent
from undersigned.protocol import Engagement, position

from .alarm import NOTHING
from .loading import Loaded
from .turn import Turn

__all__ = ["Journal", "heard_at"]

MAX_KEPT_BACK = 64
"""Notices that are kept back for the next commit. A peer that repeats itself gets its receipts; they are not kept."""


class Journal:
    """That of one engagement, of which nothing is stored yet, until `read`."""

    __slots__ = (
        "_receipts",
        "_settled",
        "_trying",
        "heard_at",
        "kept_back",
        "leaf",
        "live",
        "notices",
        "places",
        "stored",
    )

    def __init__(self) -> None:
        self.places = 0
        """Rows that the ledger holds."""
        self.stored: tuple[int, int] | None = None
        """The position that the ledger holds."""
        self.live = True
        """Whether the ledger holds it as not over."""
        self.leaf: tuple[bytes, int] | None = None
        """The last leaf of a contract that this process put into the log, and its place there."""
        self.notices: frozenset[Digest] = NOTHING
        """Notices of the peer that were recorded."""
        self.heard_at: Instant = ""
        """When the provider was last heard of, as far as that is stored."""
        self.kept_back: list[Row] = []
        """What waits for the next commit."""
        self._receipts: list[Digest] = []
        """What the peer has of ours, as far as that is kept back."""
        self._settled: list[Spent] = []
        self._trying = b""
        """The first row of the commit that is under way, or failed last."""

    def read(self, loaded: Loaded, *, live: bool) -> None:
        """It is as the ledger gave it."""
        self.places, self.live = loaded.places, live
        self.stored = position(loaded.engagement) if loaded.places else None
        self.notices = frozenset(loaded.notices) or NOTHING
        self.heard_at = heard_at(loaded.engagement)
        self.kept_back.clear()
        self._receipts.clear()

    def forget(self) -> None:
        """Nothing is tried any more."""
        self._trying = b""

    def settle(self, spent: Spent) -> None:
        """Books what an action used, with the next turn that is stored."""
        self._settled.append(spent)

    def turn(self, engagement: Engagement, now: Instant) -> Turn:
        """A turn whose rows come behind all that there are."""
        return Turn(engagement, now, self.places + len(self.kept_back), self.stored)

    async def write(self, turn: Turn, ledger: Ledger, secret: bytes) -> Instant | None:
        """Commits the turn with all that waited for it; when to look at the engagement again, as the ledger has it.

        Raises:
            LedgerError, ScopeError: As `Ledger.commit`. After the first it may have been stored: `stands`.
        """
        settled, self._settled = self._settled, []
        commit = turn.commit(self.kept_back, self._receipts, settled, secret)
        self._trying = commit.rows[0].raw if commit.rows else b""
        try:
            head = await ledger.commit(commit)
        except (LedgerError, ScopeError):
            self._settled[:0] = settled  # whatever else was refused, that happened
            raise
        self._trying, self.kept_back, self._receipts = b"", [], []
        self.places, self.stored = turn.places + len(turn.rows), commit.position
        if turn.leaves:
            self.leaf = turn.leaves[-1], head.leaves[-1]
        if turn.engagement.contract is not None:
            self.heard_at = turn.engagement.contract.heard_at or ""
        return commit.summary.wake_at

    def keep_back(self, turn: Turn) -> None:
        """Has a turn of receipts alone wait for the next one."""
        if len(self.kept_back) < MAX_KEPT_BACK:
            self.kept_back.extend(turn.rows)
        else:
            turn.notices.clear()  # it is no line of the journal, so there is none to be kept apart from
        self._receipts.extend(turn.receipted)

    async def stands(self, engagement: EngagementId, ledger: Ledger) -> bool:
        """Whether the commit that failed last was stored all the same.

        Raises:
            LedgerError: It cannot be read now.
        """
        rows = await ledger.rows(engagement, self.places)
        return bool(rows) and rows[0].raw == self._trying


def heard_at(engagement: Engagement) -> Instant:
    """When the provider was last heard of in its work; empty before that."""
    return (engagement.contract.heard_at if engagement.contract is not None else None) or ""
