"""Every crossing of honest moves, explored: both sides come to the same, and nobody honest is ever refused.

Each side's moves reach the other once and in order, as the chain sees to it, so what is left open is when. From a start
state all interleavings of up to so many moves per side are tried. Deadlines are free choices: a provider may close by
silence at any time, and an acceptance may be recorded in time or late.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

import pytest

from undersigned.encoding import shift
from undersigned.errors import LocalProtocolError, RemoteProtocolError
from undersigned.messages import VerifiedMessage
from undersigned.protocol import (
    HIRER,
    OTHER,
    PROVIDER,
    ROLES,
    Engagement,
    Owe,
    Received,
    Role,
    Sent,
    apply,
    basis,
    facts,
    fold,
    lane,
    legal,
    outcome,
    owed,
    pending,
    waits,
)
from undersigned.protocol.lane import may_change
from undersigned.testing import (
    NOON,
    Playbook,
    Say,
    acceptance,
    amendment,
    approval,
    approval_request,
    breach,
    cancel,
    closing,
    delivery,
    dispute,
    minutes,
    offer,
    release,
    resume,
    review,
    ruling,
    seal,
    start,
    suspend,
    terminate,
    withdraw,
)

pytestmark = pytest.mark.timeout(600)
LATE = shift(NOON, minutes(11))
"""After `validUntil` of every offer here."""


class World(NamedTuple):
    """Both views, and what is under way to each side."""

    hirer: Engagement
    provider: Engagement
    to_hirer: tuple[VerifiedMessage, ...]
    to_provider: tuple[VerifiedMessage, ...]
    sent: tuple[int, int]

    def view(self, role: Role) -> Engagement:
        return self.hirer if role == HIRER else self.provider

    def to(self, role: Role) -> tuple[VerifiedMessage, ...]:
        return self.to_hirer if role == HIRER else self.to_provider

    def after(self, role: Role, view: Engagement, *, took: bool = False, said: VerifiedMessage | None = None) -> World:
        """`role` has this view now, because it took its next message or said one."""
        inbox = {one: self.to(one) for one in ROLES}
        views = {one: self.view(one) for one in ROLES} | {role: view}
        count = dict(zip(ROLES, self.sent, strict=True))
        if took:
            inbox[role] = inbox[role][1:]
        if said is not None:
            inbox[OTHER[role]] = (*inbox[OTHER[role]], said)
            count[role] += 1
        return World(views[HIRER], views[PROVIDER], inbox[HIRER], inbox[PROVIDER], (count[HIRER], count[PROVIDER]))


class Explorer:
    """Walks every world that honest parties can come to from one state."""

    def __init__(self, state: str, limit: int, without: frozenset[str] = frozenset(), *said: tuple[Role, Say]) -> None:
        """From `state`, once both sides have what was `said` there."""
        self.limit = limit
        self.without = without
        self.playbook = Playbook(state)
        for role, say in said:
            self.playbook.side(role) >> say  # pyright: ignore[reportUnusedExpression]
        self.signed: dict[str, VerifiedMessage] = {}
        views = [self.playbook.parties[role].engagement for role in ROLES]
        self.stored = {digest: one for party in self.playbook.parties.values() for digest, one in party.stored.items()}
        for party in self.playbook.parties.values():
            party.stored = self.stored  # whatever was signed anywhere, as each view has what was offered in it
        self.first = World(views[0], views[1], (), (), (0, 0))
        self.quiet = 0

    def run(self) -> None:
        """Raise AssertionError at the first world that is wrong."""
        seen, todo = {self.first}, deque([self.first])
        while todo:
            world = todo.popleft()
            if not world.to_hirer and not world.to_provider:
                self.quiet += 1
                agree(world)
            for further in self.steps(world):
                if further not in seen:
                    seen.add(further)
                    todo.append(further)

    def steps(self, world: World) -> Iterator[World]:
        for number, role in enumerate(ROLES):
            if world.sent[number] < self.limit:
                for say, at in honest(world.view(role), role):
                    in_lane = say.type == "Offer" and world.view(role).contract is not None
                    if (say.type in self.without and say.type != "Offer") or ("Offer" in self.without and in_lane):
                        continue
                    said = self.sign(world.view(role), role, say)
                    try:
                        view = apply(world.view(role), Sent(said, at))
                    except LocalProtocolError:
                        continue  # the guard of its own table holds an honest side back
                    yield world.after(role, view, said=said)
            if world.to(role):
                message = world.to(role)[0]
                for at in (NOON, LATE) if message.message.type == "Acceptance" else (NOON,):
                    view = world.view(role)
                    try:
                        became = outcome(view, message, at)
                    except RemoteProtocolError as refused:
                        raise AssertionError(f"an honest move was refused: {refused}") from refused
                    assert became != "repeat"
                    after = apply(view, Received(message, at))
                    assert (became == "applies") or (after.state == view.state)
                    yield world.after(role, after, took=True)

    def sign(self, view: Engagement, role: Role, say: Say) -> VerifiedMessage:
        """The message of this side at this point; the same content at the same point is the same message."""
        point = repr((say.type, say.members, sorted(say_of(say)), role, view.sent[-1:], view.got[-1:]))
        if point not in self.signed:
            party = self.playbook.parties[role]
            party.engagement = view
            name = UUID(bytes=sha256(point.encode()).digest()[:16], version=4).urn
            signed = party.actor.sign(say._replace(members=say.members | {"id": name}).message(party), NOON)
            self.signed[point] = self.stored[signed.digest] = signed
        return self.signed[point]


def say_of(say: Say) -> tuple[str, ...]:
    """What distinguishes two moves of one type here: the words their recipes closed over."""
    return tuple(str(cell.cell_contents) for cell in say.write.__closure__ or () if isinstance(cell.cell_contents, str))


def honest(view: Engagement, role: Role) -> Iterator[tuple[Say, str]]:
    """What an honest side may say in this view, and when."""
    for kind in legal(view, role):
        match kind:
            case "Offer" if view.contract is not None:
                yield release(), NOON
                if view.state != "disputed":
                    yield amendment(), NOON
            case "Offer":
                yield offer(), NOON
            case "Acceptance":
                yield acceptance(), NOON
            case "Seal":
                yield seal(), NOON
            case "Withdraw" if view.state.startswith("accepted-by-"):
                yield withdraw("offer_expired" if view.accepted_late else "revoked"), NOON
            case "Withdraw" if view.tabled is not None and view.tabled.acceptance is not None:
                possible = may_change(view.state, view.tabled.kind)
                late = view.tabled.accepted_late
                yield withdraw("offer_expired" if late else "revoked" if possible else "ended"), NOON
                if view.tabled.overtaken is not None:
                    yield withdraw("overtaken"), NOON
            case "Withdraw":
                yield withdraw("declined"), NOON
            case "Suspend":
                yield suspend(), NOON
            case "Resume":
                yield resume(), NOON
            case "ApprovalRequest":
                yield approval_request(), NOON
            case "Approval":
                yield approval(), NOON
            case "Breach":
                yield breach(), NOON
            case "Dispute":
                yield dispute(), NOON
            case "Ruling":
                yield ruling(), NOON
            case "Start":
                yield start(), NOON
            case "Cancel":
                yield cancel(), NOON
            case "Terminate" if view.state == "disputed" and view.contract is not None:
                yield terminate("no_ruling"), shift(view.contract.ruling_by or NOON, 1)
            case "Terminate":
                yield terminate("key_compromised"), NOON
            case "Delivery":
                yield delivery(), NOON
            case "Review":
                yield review("accepted"), NOON
                yield review("rework"), NOON
            case "Closing":
                silence = next((wait.by for wait in waits(view) if wait.name == "review"), None)
                yield closing(), shift(silence, 1) if silence is not None else NOON


def agree(world: World) -> None:
    """All has arrived: then both hold the same, somebody owes the next move, and nobody is in doubt for nothing."""
    one, two = world.hirer, world.provider
    assert what_counts(one) == what_counts(two)
    assert (one.sent, one.got) == (two.got, two.sent)
    assert owed(one).who == owed(two).who
    assert one.state in ("closed", "withdrawn") or owed(one).who, f"nobody owes the next move in {one.state}"
    for view, other in ((one, two), (two, one)):
        if view.in_doubt:
            owed_now = [one for one in pending(other, LATE) if isinstance(one, Owe)]
            assert any({"Seal", "Withdraw"} & set(one.moves) for one in owed_now), "nobody ends the doubt"


def what_counts(view: Engagement) -> tuple[object, ...]:
    """What both sides must hold alike; times and outboxes are each side's own."""
    contract = view.contract
    if view.state == "withdrawn":
        return (view.state,)
    if contract is None:
        return view.state, view.offer.digest if view.offer else None, view.acceptance
    ended = (
        basis(view),
        frozenset(contract.closed_by),
        {one.move for one in contract.endings if one.basis in ("terminate", "ruling", "release")},
        contract.in_force,
        contract.released,
        # A release makes a dispute that crossed it void, so one side only may know of one.
        contract.released or {one.digest for one in contract.disputes},
        # An offer that nobody accepted is void with the contract's end, wherever it got to.
        _on_the_table(view),
    )
    # What crossed an ending is evidence and no delivery: only one side took it for one.
    over = view.state in ("disputed", "closing", "closed")
    work = () if over else (contract.round, contract.delivery)
    return view.state, contract.digest, *ended, *work


def _on_the_table(view: Engagement) -> tuple[object, ...] | None:
    tabled = view.tabled
    if tabled is None or (view.state in ("closing", "closed") and tabled.acceptance is None):
        return None
    return view.lane, tabled.digest, tabled.acceptance


WORK_ONLY = frozenset({"Suspend", "Resume", "ApprovalRequest", "Approval", "Breach", "Dispute", "Ruling", "Offer"})
"""Left out where the way from start to closing is explored deeply."""
QUIET = frozenset({"ApprovalRequest", "Breach", "Suspend", "Cancel"})
"""Left out where documents and disputes are explored deeply."""


@pytest.mark.parametrize(
    ("state", "limit", "without", "least"),
    [
        ("ready", 5, WORK_ONLY, 1000),
        ("offered-by-hirer", 4, WORK_ONLY, 500),
        ("accepted-by-hirer", 3, WORK_ONLY, 100),
        ("sealed", 4, WORK_ONLY, 300),
        ("working", 4, WORK_ONLY, 300),
        ("cancelling", 4, WORK_ONLY, 100),
        ("delivered", 4, WORK_ONLY, 100),
        ("working", 2, QUIET | {"ApprovalRequest"}, 1000),
        ("delivered", 2, QUIET, 1000),
        ("disputed", 2, QUIET, 500),
        ("closing", 2, QUIET, 300),
        pytest.param("working", 5, WORK_ONLY, 1000, marks=pytest.mark.slow),
        pytest.param("suspended", 2, QUIET, 3000, marks=pytest.mark.slow),
        pytest.param("disputed", 3, QUIET, 3000, marks=pytest.mark.slow),
        pytest.param("sealed", 2, frozenset(), 10_000, marks=pytest.mark.slow),
        pytest.param("working", 2, frozenset(), 10_000, marks=pytest.mark.slow),
        pytest.param("working", 3, QUIET - {"Suspend"} | {"Offer"}, 10_000, marks=pytest.mark.slow),
        pytest.param("delivered", 2, frozenset(), 10_000, marks=pytest.mark.slow),
        pytest.param("cancelling", 2, frozenset(), 10_000, marks=pytest.mark.slow),
        pytest.param("closing", 3, QUIET, 10_000, marks=pytest.mark.slow),
    ],
)
def test_all_crossings_converge(state: str, limit: int, without: frozenset[str], least: int) -> None:
    """No honest move is refused, and when all has arrived both sides hold the same.

    HIRE-CHN-09, HIRE-LIF-11, HIRE-LIF-17, HIRE-LAN-02, HIRE-LAN-03, HIRE-LAN-04.
    """
    explorer = Explorer(state, limit, without)
    explorer.run()
    assert explorer.quiet >= least, "the exploration came to too little to show anything"


PUT_DOWN = QUIET | {"Terminate", "Dispute", "Closing", "Resume", "Approval", "Offer"}
"""Left out where what overtakes a document on the table is explored."""


@pytest.mark.parametrize("owner", ROLES)
@pytest.mark.parametrize("document", [amendment(), release()], ids=["amendment", "release"])
@pytest.mark.parametrize(
    ("state", "without", "least"),
    [
        ("working", PUT_DOWN, 400),
        ("delivered", PUT_DOWN, 200),
        ("delivered", PUT_DOWN - {"Dispute"}, 4000),
        pytest.param("working", PUT_DOWN - {"Dispute", "Closing"}, 10_000, marks=pytest.mark.slow),
        pytest.param("delivered", PUT_DOWN - {"Dispute", "Terminate"}, 20_000, marks=pytest.mark.slow),
        pytest.param("working", PUT_DOWN - {"Offer"}, 1000, marks=pytest.mark.slow),
        pytest.param("delivered", PUT_DOWN - {"Offer"}, 1000, marks=pytest.mark.slow),
    ],
)
def test_all_crossings_with_a_document_converge(
    state: str, without: frozenset[str], document: Say, owner: Role, least: int
) -> None:
    """HIRE-LAN-05, HIRE-LAN-08: whether a delivery or review overtook its seal is the same for both, whatever crosses
    what, and nobody who disputes meanwhile is refused a move.
    """
    explorer = Explorer(state, 3, without, (owner, document))
    explorer.run()
    assert explorer.quiet >= least, "the exploration came to too little to show anything"


@pytest.mark.parametrize("owner", ROLES)
def test_the_exploration_finds_a_seal_that_one_side_takes(monkeypatch: pytest.MonkeyPatch, owner: Role) -> None:
    """What was made before its maker knew of the acceptance overtakes nothing: else the sides would differ."""
    monkeypatch.setattr(lane, "knows", lambda _case, _marks: True)
    with pytest.raises(AssertionError, match="refused"):
        Explorer("working", 3, PUT_DOWN, (owner, amendment())).run()


@pytest.mark.parametrize(
    ("state", "module", "mutant", "finds"),
    [
        ("working", fold, ("allows", lambda _view, _step: False), "refused"),
        ("working", fold, ("goes_on", lambda view, _step: view), "refused"),
        ("delivered", fold, ("void_facts", lambda _case: {}), None),
        ("delivered", fold, ("_too_soon", lambda _case: False), None),
        ("disputed", facts, ("knows", lambda _case, _marks: False), None),
        ("working", lane, ("_hirer_offered", lambda _case, _message: {}), None),
    ],
)
def test_the_exploration_finds_a_missing_rule(
    monkeypatch: pytest.MonkeyPatch, state: str, module, mutant, finds: str | None
) -> None:
    """Without a rule about crossings an honest move is refused, or the sides differ: the exploration is not blind."""
    monkeypatch.setattr(module, *mutant)
    with pytest.raises(AssertionError, match=finds):
        Explorer(state, 2, QUIET).run()
