"""What a ledger keeps and what every store does: one transaction for all that a move changes, then an answer.

An engagement has one journal. Its rows are what the engagement is folded from, and each is chained to the one before
by digest. Everything else that a move changes (position, outbox, effect keys, evidence, leaves of the tree, usage,
summary) goes into the same `Commit`, so that after a crash there is all of it or nothing.

Three things are decided in the store and nowhere else, because only there they hold on many replicas too: one move
per (engagement, sender, sequence), one effect per key, and a commit only on the position it was decided on.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.4
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

from undersigned.encoding import Amount, Did, Digest, EngagementId, Instant
from undersigned.ledger.seen import Head, Seen, Stated
from undersigned.transparency import InclusionProof

__all__ = [
    "Blob",
    "CheckReport",
    "Commit",
    "Committed",
    "Counters",
    "Defect",
    "Draw",
    "Head",
    "Ledger",
    "Reservation",
    "Row",
    "Seen",
    "Spent",
    "Stated",
    "Summary",
    "booked",
]

RowKind: TypeAlias = Literal["sent", "received", "noted"]


class Row(Struct, frozen=True):
    """One line of an engagement's journal."""

    engagement: EngagementId
    place: int
    """1, 2, 3 … without a gap, per engagement."""
    kind: RowKind
    at: Instant
    """When it was recorded, by the clock of the shell that never runs back."""
    sender: Did
    """Who signed it; our own DID for a fact noted."""
    sequence: int | None
    """Number of the move in its sender's chain; None for notices and facts, which take no place."""
    type: str
    """Message type; for a fact its name."""
    digest: str
    """Digest of the message; may be empty for a fact."""
    raw: bytes
    """The message byte for byte as sent or received; for a fact its value."""


class Blob(Struct, frozen=True):
    """Bytes kept as evidence, once per digest however many engagements name them."""

    digest: Digest
    """`digest_bytes(raw)`; another digest is refused."""
    raw: bytes
    kind: str = "other"
    """What it is to this engagement: `did-document`, `statement`, `artifact`, `decision`, …"""
    name: str = ""
    """Name among its kind: the DID of a DID document, the file name of an artifact."""


class Draw(Struct, frozen=True):
    """What one reservation takes from one limit."""

    key: str
    """Names the limit inside its contract, for instance grant and unit."""
    amount: Amount
    """Taken at most; not negative."""
    max: Amount | None = None
    """The limit. Refused if what is used, what is held and this together are more. None: counted, not limited."""
    beside: str | None = None
    """Another key whose use counts against `max` as well, though this draws nothing from it."""


class Reservation(Struct, frozen=True):
    """A claim on limits, made before the action and settled after it.

    An `action` stays spent after `until` unless it is settled or released: nobody knows that it did not happen. A
    `capacity` is a promise that ends by itself once `until` has passed.
    """

    contract: str
    """Digest of the contract, or the name of a pool (for instance of the peer's own capacity)."""
    id: str
    """Also the idempotency key that goes to the resource. Reserving it again with the same content changes nothing,
    except that a capacity may be promised for longer, and again after it ended or was given back if there is room."""
    draws: tuple[Draw, ...]
    until: Instant
    at: Instant
    """Now."""
    kind: Literal["action", "capacity"] = "action"


class Spent(Struct, frozen=True):
    """What a reserved action really used, for each key drawn on; a key left out used nothing.

    More than was reserved is recorded as it is, since it happened; what is left under the limit is then less, or none.
    """

    id: str
    amounts: Mapping[str, Amount]


class Summary(Struct, frozen=True):
    """One engagement at a glance. The journal decides; this is what lists and timers read without folding it."""

    engagement: EngagementId
    role: str
    peer: Did
    state: str
    lane: str
    position: tuple[int, int]
    """(own moves, peer's moves) recorded."""
    wake_at: Instant | None
    updated: Instant
    contract: Digest | None = None
    live: bool = True
    """False once nothing is owed by either side any more."""


class Commit(Struct, frozen=True):
    """Everything that one decision changes, written whole or not at all."""

    engagement: EngagementId
    expected: tuple[int, int] | None
    """(own, peer) moves that the decision was made on; None: the engagement is not in the ledger yet."""
    position: tuple[int, int]
    """(own, peer) moves afterwards."""
    rows: tuple[Row, ...]
    """The first one's `place` follows the last one stored, which makes the journal's length part of the condition."""
    summary: Summary
    outbox: tuple[Digest, ...] = ()
    """Digests of own moves among `rows` that wait for a receipt from now on."""
    receipted: tuple[Digest, ...] = ()
    """Digests that leave the outbox; one that is not in it changes nothing."""
    freed: tuple[Digest, ...] = ()
    """Own moves that the peer refused for good: their rows stay, their places may be taken again (rule N9)."""
    effects: tuple[str, ...] = ()
    """Keys of effects done with this commit; each can be done once."""
    evidence: tuple[Blob, ...] = ()
    seen: tuple[Stated, ...] = ()
    """Heads of others' logs, kept as `saw` says."""
    leaves: tuple[bytes, ...] = ()
    """Leaf data for the tree, in order. One that is in the tree already keeps its place."""
    reserve: tuple[Reservation, ...] = ()
    settle: tuple[Spent, ...] = ()
    release: tuple[str, ...] = ()
    urgent: bool = False
    """May use the room kept back for refusals, revocations and endings when the disk is full."""


class Committed(Struct, frozen=True):
    """What a commit made."""

    leaves: tuple[int, ...]
    """Place in the tree of each leaf of the commit, in its order."""


class Defect(Struct, frozen=True):
    """One thing that `check` found."""

    code: str
    """`store_corrupt`, or `ledger_diverged` if it disagrees with a checkpoint."""
    where: str
    detail: str


class CheckReport(Struct, frozen=True):
    """What `check` went through and found."""

    rows: int
    leaves: int
    blobs: int
    defects: tuple[Defect, ...]
    missing: str = ""
    """File that would say how long the ledger was, if that is not there; without it one that was cut may look whole."""

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.defects


class Counters(Struct):
    """How often the store did what costs time; benchmarks and checks compare them."""

    commits: int = 0
    """Commits acknowledged."""
    groups: int = 0
    """Transactions written; each is one sync."""
    conflicts: int = 0
    failures: int = 0
    """Groups that the disk refused."""


class Ledger(Protocol):
    """A store. Every method may raise LedgerUnavailable (`store_unavailable`, `store_full`) or LedgerError
    (`store_corrupt`); then nothing was acknowledged, and after `store_unavailable` a commit may still be found done.

    Source: protocol-spec/08-attestation-and-evidence.md, section 8.4
    """

    @property
    def ready(self) -> bool:
        """Whether the last attempt to write worked and no damage is known."""
        ...

    @property
    def counters(self) -> Counters:
        """Counts since it was opened."""
        ...

    def commit(self, commit: Commit) -> Awaitable[Committed]:
        """Write all of `commit` in one transaction; returns once it is durable.

        A task cancelled while it waits does not take the commit back.

        Raises:
            LedgerConflict: `store_conflict`: the position, journal length, place of a move or effect key is taken.
            ScopeError: `scope_exceeded`: a reservation of the commit is over its limit; `detail["key"]` names it.
            LedgerError: `digest_mismatch`: evidence that is not of its digest; `not_found`: a digest put into the
                outbox that is no row, a move to be freed that holds no place, or a settlement of an unknown
                reservation; `internal`: rows, position and summary contradict each other.
        """
        ...

    async def rows(self, engagement: EngagementId, since: int = 0, *, verify: bool = True) -> tuple[Row, ...]:
        """The journal after place `since`, in order; empty if the engagement is unknown.

        Raises:
            LedgerError: `store_corrupt`: the rows do not chain. `verify=False` reads them all the same.
        """
        ...

    async def summaries(self, live_only: bool = False) -> tuple[Summary, ...]:
        """Every engagement, oldest first."""
        ...

    async def summary(self, engagement: EngagementId) -> Summary | None:
        """One engagement, or None."""
        ...

    async def withdrawal(self, digest: Digest) -> Row | None:
        """The `Withdraw` of this digest, sent or received in any engagement, or None."""
        ...

    async def outbox(self, engagement: EngagementId) -> tuple[Row, ...]:
        """Own moves that no receipt covers, oldest first."""
        ...

    async def effects(self, engagement: EngagementId) -> frozenset[str]:
        """Keys of the effects done for an engagement."""
        ...

    async def blob(self, digest: Digest) -> bytes | None:
        """Evidence by digest, or None.

        Raises:
            LedgerError: `store_corrupt`: the stored bytes are no longer those of the digest.
        """
        ...

    async def evidence(self, engagement: EngagementId) -> tuple[Blob, ...]:
        """All evidence kept for an engagement, in the order it came."""
        ...

    async def documents(self, engagement: EngagementId, did: Did) -> tuple[Blob, ...]:
        """The DID documents of `did` among the evidence kept for an engagement, in the order they came."""
        ...

    async def reserve(self, reservation: Reservation) -> Mapping[str, Amount]:
        """Take from limits, if all of them allow it; for each key drawn on, used and held together afterwards.

        Raises:
            ScopeError: `scope_exceeded`; `detail["key"]` names the first limit that would be passed. Nothing is taken.
            LedgerConflict: `store_conflict`: the id stands for another reservation.
        """
        ...

    async def settle(self, id: str, amounts: Mapping[str, Amount]) -> None:
        """Replace what was reserved by what was used. Settling again with the same amounts changes nothing.

        Raises:
            LedgerError: `not_found`: no such reservation.
            LedgerConflict: `store_conflict`: settled with other amounts, or released.
        """
        ...

    async def release(self, id: str) -> None:
        """Give back what was reserved: the action is known not to have happened. Unknown or released: no change.

        Raises:
            LedgerConflict: `store_conflict`: it was settled.
        """
        ...

    async def usage(self, contract: str, now: Instant | None = None) -> Mapping[str, Amount]:
        """For each key: used and held together. With `now`, capacity that ended before it is not counted."""
        ...

    async def last_at(self) -> Instant | None:
        """When the newest line of a journal was recorded, reservation made, or open capacity promised again, whichever
        is later; None in an empty ledger. No clock that reads it runs back behind it.
        """
        ...

    async def owner(self) -> Did | None:
        """Whose ledger this is: who said or noted the newest line of a journal that was not received; None if there is
        no such line.
        """
        ...

    async def open_reservations(self, contract: str, prefix: str = "") -> tuple[Reservation, ...]:
        """Reservations neither settled nor released whose id begins with `prefix`, oldest first: after a crash, what
        has to be asked about.
        """
        ...

    async def tree_size(self) -> int:
        """Leaves in the tree."""
        ...

    async def secret(self) -> bytes:
        """32 random bytes of this ledger's own, which salt the leaves of decisions. Never to be shown."""
        ...

    async def root(self, size: int | None = None) -> bytes:
        """Root of the first `size` leaves (default: all), 32 bytes.

        Raises:
            LogProofError: The tree has fewer leaves.
        """
        ...

    async def head(self) -> Head:
        """Size and root of the tree, both of one moment."""
        ...

    async def leaves(self, start: int, count: int) -> tuple[bytes, ...]:
        """Data of up to `count` leaves from `start` on."""
        ...

    async def nodes(self, level: int, start: int, count: int) -> tuple[bytes, ...]:
        """Hashes of up to `count` complete nodes of a level from `start` on; level 0 are the leaves' hashes."""
        ...

    async def index_of(self, engagement: EngagementId, leaf_hash: bytes) -> int | None:
        """Place of the leaf with this hash that came with a commit of this engagement, or None."""
        ...

    async def inclusion(self, index: int, size: int | None = None) -> InclusionProof:
        """Proof that leaf `index` is in the tree of the first `size` leaves (default: all).

        Raises:
            LogProofError: No such leaf in that tree.
        """
        ...

    async def consistency(self, old: int, size: int) -> tuple[bytes, ...]:
        """Hashes that show the first `old` leaves to be a prefix of the first `size`; none if `old` is 0 or `size`.

        Raises:
            LogProofError: The tree never had so many leaves, or `old` is more than `size`.
        """
        ...

    async def put_checkpoint(self, head: Head, note: str) -> None:
        """Keep the newest signed checkpoint, of one head the last; an older one than is kept changes nothing.

        Raises:
            LedgerError: `ledger_diverged`: the tree never had this head.
        """
        ...

    async def checkpoint(self) -> str | None:
        """The newest signed checkpoint kept, or None."""
        ...

    async def seen(self, log: Did) -> Seen | None:
        """What was seen of another log, or None."""
        ...

    async def logs_seen(self) -> tuple[tuple[Did, Seen], ...]:
        """What was seen of each other log, by its owner's DID."""
        ...

    async def update_seen(self, log: Did, change: Callable[[Seen | None], Seen]) -> None:
        """Keep what `change` makes of what is kept of another log, in one step; it may run in another thread."""
        ...

    async def check(self) -> CheckReport:
        """Recompute everything: digests and chain of each row, evidence, tree and checkpoint. Damage found makes the
        ledger refuse to write from then on.
        """
        ...

    async def close(self) -> None:
        """Finish what is queued and let go of the store; doing it twice changes nothing."""
        ...


async def booked(
    ledger: Ledger, contract: str, now: Instant | None = None
) -> tuple[Mapping[str, Amount], tuple[Reservation, ...]]:
    """What is used and held, as `Ledger.usage` counts it, and what is open of it, both as of one moment: others may
    book between one look and the next.

    Raises:
        LedgerError: It cannot be read.
    """
    while True:
        taken, stands = await ledger.usage(contract, now), await ledger.open_reservations(contract)
        if await ledger.usage(contract, now) == taken:
            return taken, stands
