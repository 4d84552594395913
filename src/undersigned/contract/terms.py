"""The terms of a contract, complete: nothing that is enforced is implied by a default.

`Terms` is a node with an id; its `scope` and what is inside it are nodes too. Every other nested object is one JSON
literal for the RDF suites, so it may hold lists in any order. Times are instants where a day is meant (`start`,
`finish`, `until`) and durations where something is counted from a move (`review`: from the `Delivery`).

Source: protocol-spec/07-contract.md, section 7.2
"""

from __future__ import annotations

from operator import attrgetter
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from undersigned.encoding import Did, Digest, Duration, Instant, Owed
from undersigned.scope import WireScope

__all__ = [
    "MAX_REWORKS",
    "Criterion",
    "DataHandling",
    "Deadlines",
    "Deliverable",
    "Evidence",
    "Milestone",
    "Price",
    "Settlement",
    "Subcontracting",
    "Task",
    "Termination",
    "Terms",
]

MAX_ITEMS: Final = 64
MAX_TEXT: Final = 4096
"""Characters of what is written for people."""
MAX_REWORKS: Final = 16

Name = Annotated[str, Meta(min_length=1, max_length=128)]
Text = Annotated[str, Meta(max_length=MAX_TEXT)]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}(?!\n)$")]
MediaType = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}(?!\n)$")]
CriterionId = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,63}(?!\n)$")]
Uri = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9+.-]{0,31}:[!-~]{1,2000}(?!\n)$")]


class _Part(
    Struct, frozen=True, kw_only=True, gc=False, rename="camel", forbid_unknown_fields=True, omit_defaults=True
):
    """What all parts of the terms have in common: closed, camelCase, absent when not given."""


class Task(_Part, frozen=True, kw_only=True):
    """What is to be done, as the `Inquiry` put it."""

    kind: Name
    """What the provider's profile calls this kind of work, such as `sbom`."""
    summary: Text
    inputs: Annotated[tuple[Digest, ...], Meta(max_length=MAX_ITEMS)]
    """Digests of what the work starts from, in the order the task means."""


class Criterion(_Part, frozen=True, kw_only=True):
    """One thing that must be true of a deliverable; the `Review` answers each by its id."""

    id: CriterionId
    text: Text


class Deliverable(_Part, frozen=True, kw_only=True):
    """One artifact that the provider owes."""

    name: Name
    media_type: MediaType
    max_bytes: Annotated[int, Meta(ge=1, le=2**53 - 1)] | None = None
    """The most bytes that it may have; absent: what the hirer takes without saying."""
    criteria: Annotated[tuple[Criterion, ...], Meta(max_length=MAX_ITEMS)]


class Price(_Part, frozen=True, kw_only=True):
    """What the work costs, whole."""

    amount: Owed
    currency: Currency

    def __str__(self) -> str:
        """As people read and write it: `4 EUR`."""
        return f"{self.amount} {self.currency}"


class Milestone(_Part, frozen=True, kw_only=True):
    """A part of the price that is due once its criteria were found met, whatever becomes of the rest."""

    name: Name
    percent: Annotated[int, Meta(ge=1, le=100)]
    """Of the price in force, so that a counter-offer changes no milestone."""
    criteria: Annotated[tuple[CriterionId, ...], Meta(min_length=1, max_length=MAX_ITEMS)]
    """Ids of acceptance criteria."""


class Settlement(_Part, frozen=True, kw_only=True):
    """How the price is paid. Undersigned moves no money: `hook` names what does."""

    method: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,31}(?!\n)$")]
    """`none`, `invoice`, or a word the two parties share."""
    hook: Uri | None = None
    milestones: Annotated[tuple[Milestone, ...], Meta(min_length=1, max_length=MAX_ITEMS)] = ()
    """Parts of the price, all together at most the whole of it; left out where there is none."""


class Deadlines(_Part, frozen=True, kw_only=True):
    """By when what is owed; each is judged, inclusive, by the clock of the side that waits."""

    not_before: Instant | None = None
    """`Start` is not sent before this."""
    start: Instant
    """Last instant for `Start`."""
    finish: Instant
    """Last instant for `Delivery`."""
    heartbeat: Duration
    """Longest silence of the provider while it works."""
    review: Duration
    """From `Delivery`: time to review it. After that the provider may close by silence."""
    rework: Duration
    """From a `Review` that asks for rework: time to deliver again."""
    wind_down: Duration
    """From `Cancel`: least time that the provider has to stop in order."""
    close: Duration
    """From the end: time for both `Closing`s, and for the children's."""
    until: Instant
    """Last instant of any authority under this contract."""


class Subcontracting(_Part, frozen=True, kw_only=True):
    """Whether the provider may hire others for this, and how deep."""

    allowed: bool
    depth: Annotated[int, Meta(ge=0, le=5)]
    """Levels below this contract; 0 if not allowed."""


class Evidence(_Part, frozen=True, kw_only=True):
    """What must come with a `Delivery`."""

    predicates: Annotated[tuple[Uri, ...], Meta(max_length=MAX_ITEMS)]
    """Predicate types of the statements required, each over every artifact; with none it is that of work."""
    sbom: Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9 .-]{0,63}(?!\n)$")] | None = None
    """Format and version of a bill of materials, such as `CycloneDX 1.6`."""
    c2pa: bool
    """Whether media must carry a manifest that names this contract."""
    anchors: Annotated[tuple[Digest, ...], Meta(max_length=16)] = ()
    """Digests of certificates in DER from which the signers of such manifests come; empty: the agent's proof alone."""
    verifier: Did | None = None
    """Who states whether the work is accepted, neither party; absent: the hirer."""


class DataHandling(_Part, frozen=True, kw_only=True):
    """Duties about the hirer's data."""

    purpose: Text
    classes: Annotated[tuple[Name, ...], Meta(max_length=MAX_ITEMS)]
    """Data classes that may be handled; empty: any that the scope reaches."""
    retention: Duration
    """From the end: how long the provider may keep it; `PT0S` is not at all."""
    onward: bool
    """Whether it may be passed on to a subcontractor."""
    training: bool
    """Whether models may be trained on it."""


class Termination(_Part, frozen=True, kw_only=True):
    """How this may end early."""

    convenience: Literal["none", "notice", "fee"]
    """Without cause: not at all, after `notice`, or against `fee`."""
    notice: Duration | None = None
    fee: Price | None = None
    cure: Duration
    """Least time that a `Breach` leaves to cure it."""


class Terms(_Part, frozen=True, kw_only=True):
    """Everything the two agree on; compared member by member, and only ever whole."""

    id: Annotated[str, Meta(min_length=1, max_length=512)]
    """`<document id>#terms`."""
    task: Task
    deliverables: Annotated[tuple[Deliverable, ...], Meta(min_length=1, max_length=MAX_ITEMS)]
    scope: WireScope
    price: Price
    settlement: Settlement
    deadlines: Deadlines
    reworks: Annotated[int, Meta(ge=0, le=MAX_REWORKS)]
    """How often the hirer may ask for rework."""
    seal_grace: Duration
    """Past `validUntil`: a `Seal` recorded by the acceptor still later lets it end the contract at once."""
    subcontracting: Subcontracting
    must_stay_valid: Annotated[tuple[Digest, ...], Meta(max_length=16)]
    """Digests of the credentials whose end lets the other side suspend or terminate; a sorted set."""
    evidence: Evidence
    data_handling: DataHandling
    termination: Termination
    arbiter: Did | None = None
    on_silence: Literal["accepted", "rejected"]
    """What it means if the hirer lets `review` pass; a delivery that is not complete is not accepted by it."""
    policies: Annotated[tuple[Digest, ...], Meta(max_length=16)]
    """Digests of the policies that judged this offer, of the side that wrote it; a sorted set."""

    @property
    def criteria(self) -> tuple[CriterionId, ...]:
        """Ids of all acceptance criteria, in order."""
        found: list[CriterionId] = []
        for item in self.deliverables:
            found.extend(map(attrgetter("id"), item.criteria))
        return tuple(found)
