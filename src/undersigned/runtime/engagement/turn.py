"""A turn of an engagement: what one step says and changes, until all of it is committed together.

Source: protocol-spec/10-security.md, "Order of storing and sending"
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias, TypeVar

import msgspec

from undersigned.did import DidDocument
from undersigned.encoding import Did, Digest, EngagementId, Instant
from undersigned.errors import PolicyError
from undersigned.ledger import Blob, Commit, Reservation, Row, Spent, Stated, Summary
from undersigned.messages import Message, Need, VerifiedMessage
from undersigned.protocol import Engagement, Noted, position, wake_at
from undersigned.transparency import LOGGED_MOVES, decision_leaf, decision_salt, move_leaf, refusal_leaf

__all__ = [
    "EARLY",
    "NOTHING_BOOKED",
    "Booked",
    "Declined",
    "Event",
    "Hears",
    "Say",
    "Transfer",
    "Turn",
    "fact",
    "noting",
    "value_in",
    "withdrawal",
]

T = TypeVar("T")


class Say(msgspec.Struct, frozen=True, gc=False):
    """A move or notice to make: its type and the fields of its body."""

    type: str
    """Empty of facts that are noted alone (`noting`)."""
    body: dict[str, Any]
    evidence: tuple[Blob, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    """Facts noted before it, in the same transaction."""
    at: Instant | None = None
    """The time by which its body was reckoned: it is signed, and judged by us, as of then. None: by none."""


def fact(name: str, value: object) -> tuple[str, str]:
    """A fact that holds a value as JSON."""
    return name, msgspec.json.encode(value).decode()


def value_in(facts: Mapping[str, str], name: str, kind: type[T]) -> T | None:
    """The value that such a fact holds; None if none of this name was noted."""
    text = facts.get(name)
    return None if text is None else msgspec.json.decode(text, type=kind)


def noting(*facts: tuple[str, str], evidence: tuple[Blob, ...] = ()) -> Say:
    """Facts that this side notes while it says nothing."""
    return Say("", {}, evidence=evidence, facts=facts)


def withdrawal(engagement: Engagement, reason: str, **more: Any) -> Say:
    """The `Withdraw` from a negotiation, of the offer that is open, if one is."""
    live = engagement.offer
    return Say("Withdraw", {"reason": reason, "offer": live.digest if live is not None else None, **more})


class Declined(PolicyError):
    """A decision that is no yes: what would change it, for the `Withdraw`, and the decision as facts."""

    def __init__(
        self, message: str, *, needed: tuple[Need, ...] | None, facts: tuple[tuple[str, str], ...], retryable: bool
    ) -> None:
        super().__init__("policy_denied", message)
        self.needed = needed
        self.facts = facts
        self.evidence: tuple[Blob, ...] = ()
        """What the decision was made from, as far as it is not stored yet."""
        self._retryable = retryable

    @property
    def retryable(self) -> bool:
        """Whether it may be a yes once what could not be looked up is there again."""
        return self._retryable


class Transfer(msgspec.Struct, frozen=True, gc=False):
    """How far something large has come that goes from one side to the other."""

    name: str
    """As the contract calls it: text of whoever named it."""
    digest: Digest
    outward: bool
    """Whether it leaves us."""
    bytes: int
    total: int | None
    """How many bytes it has; None if the other side does not say."""


class Event(msgspec.Struct, frozen=True, gc=False):
    """Something that happened in an engagement, for whoever watches it."""

    engagement: EngagementId
    kind: str
    """`sent`, `received`, `noted`, `void`, `late`, `refused`, `problem`, `transfer`, `fault`, `unread`, `over`."""
    type: str
    at: Instant
    state: str
    message: Message | None = None
    detail: str = ""
    code: str = ""
    """Why a message of the peer was refused, or why there is no move of ours."""
    transfer: Transfer | None = None
    """Of the kind `transfer`."""
    waited: bool = False
    """Whether what was refused was good when it came, and is no fault of the peer's."""


Hears: TypeAlias = Callable[[Event], None]
"""Is told of each event as it happens: in the middle of what others do, so it waits for nothing and raises nothing."""


class Booked(msgspec.Struct, frozen=True, gc=False):
    """What one effect changes in what this side promises."""

    reserve: tuple[Reservation, ...] = ()
    settle: tuple[Spent, ...] = ()
    release: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    """To be given back in a file shared with others, once the turn is stored."""

    def beside(self, other: Booked) -> Booked:
        """Both together."""
        if other == NOTHING_BOOKED:
            return self
        return Booked(
            reserve=(*self.reserve, *other.reserve),
            settle=(*self.settle, *other.settle),
            release=(*self.release, *other.release),
            later=(*self.later, *other.later),
        )


NOTHING_BOOKED: Final = Booked()

EARLY: Final = "early"
"""Name of the fact that holds, as a JSON array, what of the other side came before its time (HIRE-LIF-34)."""


class Turn(msgspec.Struct):
    """What one turn changes, until it is committed."""

    engagement: Engagement
    now: Instant
    """When it began: all that is recorded in it is recorded then."""
    places: int
    """Rows of the journal that its own come behind, those not stored yet among them."""
    stored: tuple[int, int] | None
    """The position that the ledger holds, None while it holds nothing."""
    rows: list[Row] = []
    outbox: list[Digest] = []
    receipted: list[Digest] = []
    freed: list[Digest] = []
    """Own moves that the peer refused for good: each keeps its row and gives up its place (rule N9)."""
    evidence: list[Blob] = []
    leaves: list[bytes] = []
    seen: list[Stated] = []
    booked: Booked = NOTHING_BOOKED
    """By all its effects together."""
    sends: list[bytes] = []
    events: list[Event] = []
    done: list[asyncio.Future[None]] = []
    documents: set[Digest] = set()
    """DID documents among the evidence."""
    published: list[DidDocument] = []
    """Those of the peer's that are new."""
    notices: set[Digest] = set()
    """Those of the peer."""
    served: set[str] = set()
    """Keys of the effects served in it; they count once it is stored."""
    over: bool = False
    durable: bool = False
    """Whether anything in it has to be on disk before this side goes on."""

    def message(self, kind: Literal["sent", "received"], message: VerifiedMessage) -> None:
        """Adds the row of a message."""
        body = message.message
        row = Row(
            engagement=body.engagement,
            place=self.places + len(self.rows) + 1,
            kind=kind,
            at=self.now,
            sender=body.sender,
            sequence=None if body.notice else body.sequence,
            type=body.type,
            digest=message.digest,
            raw=message.raw,
        )
        self.rows.append(row)

    def noted(self, own: Did, fact: Noted) -> None:
        """Adds the row and the event of a fact that is folded with what it is noted for."""
        row = Row(
            engagement=self.engagement.id,
            place=self.places + len(self.rows) + 1,
            kind="noted",
            at=self.now,
            sender=own,
            sequence=None,
            type=fact.name,
            digest="",
            raw=fact.value.encode(),
        )
        self.rows.append(row)
        self.event("noted", fact.name, detail=fact.value)
        self.durable = True

    def book(self, booked: Booked) -> None:
        """Adds what an effect books. The store gives back before it takes, so of one id only the last word stays."""
        if booked == NOTHING_BOOKED:
            return
        if self.booked is not NOTHING_BOOKED:
            before, again = self.booked, {one.id for one in booked.reserve}
            left = Booked(
                reserve=tuple([one for one in before.reserve if one.id not in booked.release]),
                settle=before.settle,
                release=tuple([id for id in before.release if id not in again]),
                later=before.later,
            )
            booked = left.beside(booked)
        self.booked = booked
        self.durable = True

    def event(
        self,
        kind: str,
        type: str,
        *,
        message: Message | None = None,
        detail: str = "",
        code: str = "",
        waited: bool = False,
    ) -> None:
        """Adds an event for whoever watches."""
        self.events.append(
            Event(
                engagement=self.engagement.id,
                kind=kind,
                type=type,
                at=self.now,
                state=self.engagement.state,
                message=message,
                detail=detail,
                code=code,
                waited=waited,
            )
        )

    def commit(self, carried: list[Row], receipted: list[Digest], settle: list[Spent], secret: bytes) -> Commit:
        """The transaction, with the rows carried over from turns before; `secret` salts the leaves of decisions."""
        engagement = self.engagement
        here = position(engagement)
        rows = (*carried, *self.rows)
        contract = engagement.contract
        return Commit(
            engagement=engagement.id,
            expected=self.stored,
            position=here,
            rows=rows,
            summary=Summary(
                engagement=engagement.id,
                role=engagement.role,
                peer=engagement.peer,
                state=engagement.state,
                lane=engagement.lane,
                position=here,
                wake_at=wake_at(engagement, self.now),
                updated=self.now,
                contract=contract.digest if contract is not None else None,
                live=not self.over,
            ),
            outbox=tuple(self.outbox),
            receipted=(*receipted, *self.receipted),
            freed=tuple(self.freed),
            evidence=tuple(self.evidence),
            seen=tuple(self.seen),
            # Contracts last: a `Seal` states the place of the last leaf.
            leaves=(*leaves_of(rows, self.evidence, secret), *self.leaves),
            reserve=self.booked.reserve,
            settle=(*settle, *self.booked.settle),
            release=self.booked.release,
            urgent=engagement.state in ("withdrawn", "closing", "closed"),
        )


def leaves_of(rows: Iterable[Row], evidence: Iterable[Blob], secret: bytes) -> list[bytes]:
    """The leaves of what is recorded, beside those of contracts (HIRE-LOG-06)."""
    leaves: list[bytes] = []
    for row in rows:
        if row.type in LOGGED_MOVES and row.kind != "noted":
            leaves.append(move_leaf(row.raw))
        elif row.type == "decision" and row.kind == "noted":
            leaves.append(decision_leaf(row.raw, decision_salt(row.raw, secret)))
    for blob in evidence:
        if blob.kind == "refusal":
            leaves.append(refusal_leaf(blob.raw))
    return leaves
