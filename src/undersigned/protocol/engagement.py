"""An engagement as this side knows it: one frozen value, made by folding the journal.

It is kept small, because a peer may hold thousands: digests of the moves, and what later moves are compared with.
Everything else is in the journal.

Source: protocol-spec/04-envelope-and-digests.md, section 4.3
"""

from __future__ import annotations

from msgspec import Struct

from undersigned.contract import Deadlines
from undersigned.encoding import Did, Digest, EngagementId, Instant
from undersigned.errors import LocalProtocolError
from undersigned.messages import Tender
from undersigned.protocol.peer_view import PeerView, Transition
from undersigned.protocol.states import HIRER, IDLE, PROVIDER, START, Role
from undersigned.scope import Approved

__all__ = [
    "Asking",
    "Breached",
    "Child",
    "Contract",
    "Ending",
    "Engagement",
    "Essentials",
    "Mark",
    "Offered",
    "Pause",
    "Tabled",
    "Talks",
    "Were",
    "begin",
    "chain_of",
    "leads",
    "position",
]


class Talks(Struct, frozen=True, gc=False, kw_only=True):
    """What the opening moves settled about the negotiation itself."""

    opens: Role
    rounds: int
    """Offers allowed, both sides together."""
    bytes: int
    respond_by: Instant
    closes_at: Instant
    tender: Tender | None
    offered_versions: tuple[str, ...] = ()
    offered_suites: tuple[str, ...] = ()
    """The lists of the `Inquiry`, kept until the `Profile` has echoed them."""
    version: str = ""
    suite: str = ""
    """What the `Profile` chose; empty before."""
    offers: int = 0
    used: int = 0
    """Bytes of the moves so far."""
    bid: Digest | None = None
    commitment: Digest | None = None
    bid_until: Instant | None = None


class Essentials(Struct, frozen=True, gc=False, kw_only=True):
    """What the fold needs of a document's terms; durations in seconds."""

    deadlines: Deadlines
    seal_grace_seconds: int
    reworks: int
    convenience: bool
    """Whether it may be ended without cause, with the notice or fee of the terms."""
    inputs: tuple[Digest, ...]
    criteria: tuple[str, ...]
    """Ids of the acceptance criteria of all deliverables."""
    clauses: tuple[str, ...] = ()
    """What can be broken: ids of the clauses of the scope, and names of the members of the terms."""
    cure_seconds: int = 0
    """Least time that a `Breach` leaves."""
    arbiter: Did | None = None
    verifier: Did | None = None
    """Whose verdict a `Review` carries; None: the hirer's own."""
    parent: Digest | None = None
    currency: str = ""
    """Of the price."""


class Offered(Struct, frozen=True, gc=False, kw_only=True):
    """The live offer; after the seal, the one that became the contract."""

    owner: Role
    digest: Digest
    sequence: int
    document: Digest
    """Digest of its document."""
    valid_until: Instant
    terms: Essentials


class Tabled(Struct, frozen=True, gc=False, kw_only=True):
    """The document in the lane: an amendment or release that is offered, or accepted and not answered yet."""

    owner: Role
    digest: Digest
    """Of the offer."""
    sequence: int
    document: Digest
    kind: str
    """`Amendment` or `Release`."""
    valid_until: Instant
    terms: Essentials | None
    """Of an amendment."""
    currency: str | None = None
    """Of what a release says is owed."""
    acceptance: Digest | None = None
    accepted_at: Instant | None = None
    accepted_late: bool = False
    """The acceptance of our offer was recorded after `validUntil`."""
    agreed: Mark | None = None
    """The acceptance, and whose it is."""
    overtaken: Mark | None = None
    """The first `Delivery` or `Review` by a side that knew of the acceptance: who knows of that seals no more."""

    def offered(self) -> Mark:
        """Its offer, and whose it is."""
        return Mark(self.owner, self.sequence, self.digest)


class Mark(Struct, frozen=True, gc=False):
    """A move that what is recorded later is compared with: whose, and in which place of its chain."""

    role: Role
    sequence: int
    digest: Digest


class Breached(Struct, frozen=True, gc=False):
    """A breach that one side claims of the other."""

    role: Role
    """Who claims it."""
    move: Digest
    clause: str
    cure_by: Instant


class Asking(Struct, frozen=True, gc=False):
    """A question of the provider's for approval, and the hirer's answer once there is one."""

    move: Digest
    clause: str
    action: str
    arguments: Digest
    answer_by: Instant
    uses: int | None = None
    """How often it may be done; None while it is not answered."""
    until: Instant | None = None


class Child(Struct, frozen=True, gc=False, kw_only=True):
    """A hire that the provider began under this contract, while and after it lasts."""

    engagement: EngagementId
    provider: Did
    task: str
    key: str
    """Which of the hires of the work it is, so that work that begins again does not hire again."""
    contract: Digest | None = None
    """Known once it is over, if one was made."""
    outcome: str | None = None
    """How it ended, such as `review accepted` or `withdrawn`; None while it is live."""


class Were(Struct, frozen=True, gc=False):
    """What was in force before we sealed an amendment, for what the peer says without having seen that."""

    sequence: int
    """Of our `Seal`."""
    in_force: Digest
    offered: tuple[Role, int]
    """Side and place of the offer that carried it."""
    terms: Essentials


class Ending(Struct, frozen=True, gc=False, kw_only=True):
    """One move that ends a contract; several may cross, and the strongest decides."""

    basis: str
    role: Role
    move: Digest
    detail: str
    """The cause of a `Terminate`, the verdict of a `Review`, the digest of a ruling or release, else empty."""


class Contract(Struct, frozen=True, gc=False, kw_only=True):
    """What happened under the seal."""

    digest: Digest
    """Of the document as first sealed: the contract's name for its whole life."""
    in_force: Digest
    sealed_at: Instant
    late_seal: bool = False
    """We are the acceptor and recorded the seal later than `validUntil` and `sealGrace`: we may end it at once."""
    start: Digest | None = None
    began: Digest | None = None
    """The move that began the current round: the `Start`, or the `Review` that asked for rework."""
    round: int = 1
    works_from: Instant | None = None
    """When the work was begun, or gone on with: by our clock or, if that is earlier, by the proof of the move."""
    delivery: Digest | None = None
    delivered_from: Instant | None = None
    """The same of the last delivery."""
    delivered_under: tuple[tuple[Role, int], ...] = ()
    """Side and place of the offers whose documents that is held against: of before a seal that it crossed, if it did;
    and the one in force when it was recorded.
    """
    review_sequence: int = 0
    """The hirer's sequence of the last `Review` that asked for rework."""
    due: Instant | None = None
    """Last instant for the next `Delivery`: `finish`, after rework or `Cancel` another."""
    heard_at: Instant | None = None
    """When the provider was last heard of in its work."""
    listens_since: Instant | None = None
    """Since when this side is there to hear it, after a time in which it was not."""
    cursor: str | None = None
    progress: int = 0
    missed: tuple[str, ...] = ()
    """Deadlines that the peer's move kept too late by our clock: we have the right to `Terminate`."""
    endings: tuple[Ending, ...] = ()
    closed_by: tuple[Role, ...] = ()

    in_force_by: tuple[Role, int] | None = None
    """Side and place of the offer that carried the amendment in force; None while it is the contract itself."""
    were: Were | None = None
    hirer_offer: int = 0
    """The hirer's sequence of its last `Offer` in the lane."""
    said_bytes: tuple[int, int] = (0, 0)
    """Bytes of the moves so far that end nothing, or moved nothing: of the hirer, and of the provider."""
    released: Mark | None = None
    """The seal of the release."""
    children: tuple[Child, ...] = ()
    """What the provider hired under it, on the provider's side; the hirer does not know of them."""
    suspensions: tuple[tuple[int, Instant], ...] = ()
    """The hirer's place and the end of each, also once it is over: a `Terminate` that crossed the `Resume`, or another
    `Suspend`, waited for that.
    """
    breaches: tuple[Breached, ...] = ()
    asked: tuple[Asking, ...] = ()
    """Questions for approval: open ones, and those granted."""
    disputes: tuple[Mark, ...] = ()
    """The first is the one that counts; one that crossed it is kept beside it."""
    resolved: tuple[Mark, ...] = ()
    """What ended the dispute, of either side."""
    arbiters: tuple[Did, ...] = ()
    """Who may rule on it: whom the terms name that were in force for either side since it was made."""
    ruling_by: Instant | None = None
    owed_in: tuple[str, ...] = ()
    """Currencies of what rulings and a release say is owed."""

    @property
    def suspended_until(self) -> Instant | None:
        """The end of the last suspension, also once it is over."""
        return self.suspensions[-1][1] if self.suspensions else None

    def open_requests(self) -> tuple[Asking, ...]:
        """Questions for approval that were not answered yet."""
        return tuple(one for one in self.asked if one.uses is None)

    def live_children(self) -> tuple[Child, ...]:
        """Hires under this contract that are not known to be over."""
        return tuple(child for child in self.children if child.outcome is None)

    def approvals(self) -> tuple[Approved, ...]:
        """What the hirer has approved, as a gate takes it; whether it is used up or over is for the gate to say."""
        return tuple(
            Approved(request=one.move, clause=one.clause, arguments=one.arguments, uses=one.uses, until=one.until)
            for one in self.asked
            if one.uses is not None and one.until is not None
        )


class Pause(Struct, frozen=True, gc=False, kw_only=True):
    """A side has said that its answer waits for something."""

    role: Role
    waits_for: str
    until: Instant


class Engagement(Struct, frozen=True, gc=False, kw_only=True):
    """One side's view. Equal journals give equal values."""

    role: Role
    own: Did
    peer: Did
    id: EngagementId
    state: str = START
    lane: str = IDLE
    last_at: Instant | None = None
    """Time of the last entry; time never runs back behind it."""
    since: Instant | None = None
    """When the state was entered, by this side's clock."""
    cause: Digest | None = None
    """The move that led to this state."""

    sent: tuple[Digest, ...] = ()
    got: tuple[Digest, ...] = ()
    unreceipted: tuple[Instant, ...] = ()
    """When the own moves that the peer has not yet said it has were sent, oldest first."""
    answered: int = 0
    """How many of the peer's moves this side has said it has."""
    unanswered_since: Instant | None = None
    answer_follows: bool = True
    """Whether a move of ours is expected to answer soon what is unanswered."""
    peer_saw: int = 0
    """How many own moves the peer's next move must have seen: those that its last one had, or a notice before it."""
    crossing: tuple[Transition, ...] = ()
    """Own moves that no move of the peer has seen (rule C7)."""
    peer_view: PeerView = PeerView()
    """The state that the peer was in after its last move, without those."""
    before: Engagement | None = None
    """The value before the last own move, while the peer may still refuse that for good (rule N9). It has one itself,
    if the peer may still refuse the move before as well.
    """
    pause: Pause | None = None

    talks: Talks | None = None
    offer: Offered | None = None
    """The live offer; after the seal, the one that became the contract, with the terms that are in force."""
    acceptance: Digest | None = None
    accepted_late: bool = False
    """The acceptance of our offer was recorded after `validUntil`."""
    contract: Contract | None = None
    tabled: Tabled | None = None
    reserved: tuple[Digest, ...] = ()
    """Reservations made and not yet known to be given back."""
    done: tuple[str, ...] = ()
    """Keys of effects that were noted as done."""
    ended: str | None = None
    """The reason of the `Withdraw` that ended it."""

    @property
    def in_doubt(self) -> bool:
        """Whether we accepted and the offerer has not yet said seal or withdrawal (rule N4)."""
        return f"accepted-by-{self.role}" in (self.state, self.lane)

    @property
    def hirer(self) -> Did:
        """The hirer's DID."""
        return self.own if self.role == HIRER else self.peer

    @property
    def provider(self) -> Did:
        """The provider's DID."""
        return self.own if self.role == PROVIDER else self.peer

    @property
    def outbox(self) -> tuple[Digest, ...]:
        """Own moves without a receipt, oldest first."""
        return self.sent[len(self.sent) - len(self.unreceipted) :]

    @property
    def authority(self) -> bool:
        """Whether the scope gives authority now, as far as the state says it: in `working` and nowhere else."""
        return self.state == "working"


def begin(role: Role, own: Did, peer: Did, engagement: EngagementId) -> Engagement:
    """An engagement of which nothing was said yet.

    Raises:
        LocalProtocolError: `self_dealing`: both parties are one.
    """
    if own == peer:
        raise LocalProtocolError("self_dealing", f"hirer and provider must be two; both are {own}")
    return Engagement(role=role, own=own, peer=peer, id=engagement)


def position(engagement: Engagement) -> tuple[int, int]:
    """How many own and how many of the peer's moves are recorded; a decision holds only where it was made."""
    return len(engagement.sent), len(engagement.got)


def chain_of(engagement: Engagement, role: Role) -> tuple[Digest, ...]:
    """Digests of one side's moves, in order."""
    return engagement.sent if role == engagement.role else engagement.got


def leads(engagement: Engagement) -> bool:
    """Whether a hire of ours under this contract is not over."""
    contract = engagement.contract
    return contract is not None and engagement.role == PROVIDER and bool(contract.live_children())
