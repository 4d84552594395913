"""Two parties, an adversary, and a network that delivers anything any number of times: what must hold after each step.

The network is the set of all messages ever sent. Steps are: somebody says something, anything is delivered anywhere,
time passes, a side loses all but its journal, the adversary tries. Invariants I1 to I6 and I9 are checked after each.
`UNDERSIGNED_EXAMPLES` is how many examples each machine runs, in place of the usual.
"""

from __future__ import annotations

import os
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from doubts import owed_in_doubt
from undersigned.encoding import shift
from undersigned.errors import LocalProtocolError, RemoteProtocolError, UndersignedError, VerificationError
from undersigned.protocol import (
    HIRER,
    OTHER,
    PROVIDER,
    ROLES,
    STATES,
    Engagement,
    Received,
    Role,
    Sent,
    apply,
    legal,
    outcome,
    owed,
    pending,
    position,
    wake_at,
)
from undersigned.testing import (
    PATHS,
    Actor,
    Party,
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
    inquiry,
    minutes,
    offer,
    presentation,
    profile,
    progress,
    receipt,
    release,
    resume,
    review,
    ruling,
    seal,
    start,
    suspend,
    sync,
    terminate,
    withdraw,
)

MOVES: dict[str, tuple[Say, ...]] = {
    "Inquiry": (inquiry(), inquiry(opens=PROVIDER)),
    "Profile": (profile(),),
    "Presentation": (presentation(),),
    "Offer": (offer(), offer(price="9", valid_for=minutes(1))),
    "Acceptance": (acceptance(),),
    "Seal": (seal(),),
    "Withdraw": (withdraw("declined"), withdraw("offer_expired"), withdraw("revoked")),
    "Start": (start(),),
    "Cancel": (cancel(),),
    "Terminate": (terminate("key_compromised"), terminate("deadline"), terminate("late_seal")),
    "Delivery": (delivery(), delivery("failed")),
    "Review": (review("accepted"), review("rework")),
    "Closing": (closing(),),
    "Suspend": (suspend(),),
    "Resume": (resume(),),
    "ApprovalRequest": (approval_request(),),
    "Approval": (approval(), approval(granted=False)),
    "Breach": (breach(),),
    "Dispute": (dispute(),),
    "Ruling": (ruling(),),
}
ORDER = ("out_of_order", "ledger_diverged", "proof_expired")
"""What a network alone can bring about."""
NOTES = (receipt(), sync(), progress(3, "here"))

EXAMPLES = int(os.environ.get("UNDERSIGNED_EXAMPLES", "0"))

roles = st.sampled_from(ROLES)


def variants_of(kind: str, party: Party) -> tuple[Say, ...]:
    """Ways to say it; under a contract an offer is one of a document that changes it."""
    if kind == "Offer" and party.engagement.contract is not None:
        return (release() if party.state == "disputed" else amendment(),)
    return MOVES[kind]


class TwoParties(RuleBasedStateMachine):
    """Both honest; the adversary holds other keys, and every message that was ever sent."""

    dishonest: Role | None = None

    @initialize(state=st.sampled_from(["-", "ready", "offered-by-provider", "accepted-by-provider", "working"]))
    def begin(self, state: str) -> None:
        self.book = Playbook(state)
        self.other = Playbook("offered-by-hirer", seed=1)
        self.stranger = Actor("stranger")
        self.contracts: dict[Role, str] = {}
        self.ends: dict[Role, str] = {}
        self.signed: dict[Role, set[str]] = {role: set() for role in ROLES}
        self.book.hold()

    @rule(role=roles, kind=st.integers(0, 20), variant=st.integers(0, 2))
    def say(self, role: Role, kind: int, variant: int) -> None:
        """A legal move, if its guard lets it out."""
        party = self.book.parties[role]
        moves = legal(party.engagement, role)
        if not moves:
            return
        variants = variants_of(moves[kind % len(moves)], party)
        changes = party.engagement.contract is not None
        with suppress(LocalProtocolError):
            said = self.book.say(party, variants[variant % len(variants)])
            # Under a contract it is a document that changes it: another one, as often as both agree.
            if said.message.type in ("Acceptance", "Seal") and not changes:
                self.signed[role].add(said.message.document)

    @rule(role=roles, which=st.integers(0, 2))
    def notice(self, role: Role, which: int) -> None:
        self.book.say(self.book.parties[role], NOTES[which])

    @rule(data=st.data())
    @precondition(lambda self: self.book.network.sent)
    def deliver(self, data: st.DataObject) -> None:
        """Any message that was ever sent, to whom it is for."""
        parcel = data.draw(st.sampled_from(self.book.network.sent[-12:]) | st.sampled_from(self.book.network.sent))
        self.take(next(p for p in self.book.parties.values() if p.actor.did == parcel.recipient), parcel.raw)

    @rule()
    def deliver_all(self) -> None:
        """What is missing on each side, in order, as after a reconnect."""
        for role in ROLES:
            sender = self.book.parties[role]
            for digest in sender.engagement.outbox:
                self.take(self.book.parties[OTHER[role]], sender.stored[digest].raw)

    @rule(data=st.data(), role=roles)
    @precondition(lambda self: self.book.network.sent)
    def attack(self, data: st.DataObject, role: Role) -> None:
        """Foreign signatures, other recipients, other engagements: refused, each, and nothing changes."""
        victim = self.book.parties[role]
        before = victim.engagement
        stored = data.draw(st.sampled_from(list(victim.stored.values()) or [None]))
        other = self.other.parties[role]
        for raw in (
            self.stranger.sign(sync().message(self.book.parties[OTHER[role]]), victim.now).raw,
            *(parcel.raw for parcel in self.other.network.to(other.actor.did)[-2:]),
            *((stored.raw,) if stored is not None and stored.message.sender == victim.actor.did else ()),
        ):
            with pytest.raises(UndersignedError):
                victim.receive(raw)
        assert victim.engagement is before

    @rule(seconds=st.sampled_from([1, 59, minutes(2), minutes(11), minutes(130)]))
    def advance(self, seconds: int) -> None:
        self.book.advance(seconds)

    @rule(role=roles)
    def crash(self, role: Role) -> None:
        """The journal gives the same engagement, and that asks for the same."""
        party = self.book.parties[role]
        live, asked = party.engagement, party.pending()
        party.crash()
        assert party.engagement == live
        assert party.pending() == asked

    def take(self, party: Party, raw: bytes) -> None:
        """Deliver; a refusal changes nothing, and a repeat changes nothing twice."""
        before, lines = party.engagement, len(party.journal)
        refused: str | None = None
        became = "refused"
        try:
            became = party.receive(raw)
        except (VerificationError, RemoteProtocolError) as error:
            refused = error.code
        if refused is not None:
            # An honest peer's moves are refused for their order only, and for proofs that have grown old.
            assert self.dishonest is not None or refused in ("out_of_order", "ledger_diverged", "proof_expired"), (
                refused
            )
            assert party.engagement is before
            assert len(party.journal) == lines
            return
        if became in ("void", "late"):
            assert party.state == before.state
        again = party.actor.verify(raw, party.peer, party.now)
        if not again.message.notice:
            after = party.engagement
            assert outcome(after, again, party.now) == "repeat"
            assert apply(after, Received(again, party.now)) is after

    def honest(self) -> tuple[Party, ...]:
        return tuple(party for role, party in self.book.parties.items() if role != self.dishonest)

    @invariant()
    def one_contract(self) -> None:
        """I1, I2: no two contracts, not on one side over time and not on both."""
        for party in self.honest():
            contract = party.engagement.contract
            if contract is not None:
                assert self.contracts.setdefault(party.role, contract.digest) == contract.digest
            else:
                assert party.role not in self.contracts
        assert len(set(self.contracts.values())) <= 1

    @invariant()
    def one_signature(self) -> None:
        """I3: nobody honest signs two documents as agreed where there is no contract yet."""
        for party in self.honest():
            assert len(self.signed[party.role]) <= 1

    @invariant()
    def no_half_contract(self) -> None:
        """I4: where one side holds a contract, the other holds it, or is in doubt and will."""
        if self.dishonest is not None:
            return
        one, two = self.book.parties[HIRER].engagement, self.book.parties[PROVIDER].engagement
        for holds, other in ((one, two), (two, one)):
            if holds.contract is not None and other.contract is None:
                assert other.in_doubt
                assert other.offer is not None
                assert other.offer.document == holds.contract.digest

    @invariant()
    def authority_needs_a_seal(self) -> None:
        """I6: no authority without a contract, none outside `working`."""
        for party in self.honest():
            engagement = party.engagement
            assert engagement.authority == (engagement.state == "working")
            if engagement.authority:
                # What is stored says so, and not only the state that was made of it.
                stored = [entry for entry in party.journal if isinstance(entry, Sent | Received)]
                assert {"Acceptance", "Seal", "Start"} <= {entry.message.message.type for entry in stored}
                # Whoever cancelled and then asked for rework gave it anew.
                types = [entry.message.message.type for entry in stored]
                since = len(types) - types[::-1].index("Review") if "Review" in types else 0
                own = {entry.message.message.type for entry in stored[since:] if isinstance(entry, Sent)}
                assert not own & {"Cancel", "Terminate", "Closing"}
                assert engagement.contract is not None
                assert {entry.message.message.document for entry in stored if entry.message.message.type == "Seal"} >= {
                    engagement.contract.digest
                }

    @invariant()
    def ends_stay(self) -> None:
        """Terminal states are final, and a side in doubt owes nothing of what it is in doubt about, but asks."""
        for party in self.honest():
            if party.state in ("withdrawn", "closed"):
                assert self.ends.setdefault(party.role, party.state) == party.state
            else:
                assert party.role not in self.ends
            if party.engagement.in_doubt:
                assert not any(owed_in_doubt(party.engagement, effect) for effect in party.pending())

    @invariant()
    def somebody_owes(self) -> None:
        """Every wait has an owner."""
        for party in self.honest():
            assert party.state in STATES
            assert owed(party.engagement).who or party.state in ("withdrawn", "closed")

    def teardown(self) -> None:
        """In the end all is delivered: then both hold the same."""
        if self.dishonest is not None or not hasattr(self, "book"):
            return
        one, two = self.book.parties[HIRER], self.book.parties[PROVIDER]
        for sender, receiver in ((one, two), (two, one), (one, two)):
            for entry in list(sender.journal):
                if isinstance(entry, Sent) and not entry.message.message.notice:
                    with suppress(RemoteProtocolError):
                        receiver.take(entry.message)
        assert one.state == two.state
        assert (one.engagement.sent, one.engagement.got) == (two.engagement.got, two.engagement.sent)
        assert one.engagement == one.replayed()


class DishonestHirer(TwoParties):
    """The hirer signs whatever it likes: what the provider, who is honest, holds is still right."""

    dishonest: Role | None = HIRER

    @rule(kind=st.sampled_from(sorted(MOVES)), variant=st.integers(0, 2), stale=st.booleans(), same=st.booleans())
    def forge(self, kind: str, variant: int, stale: bool, same: bool) -> None:
        """Any type in any state, in the next place or in the one before, having seen all or claiming less."""
        hirer, provider = self.book.parties[HIRER], self.book.parties[PROVIDER]
        saved = hirer.engagement
        hirer.engagement = mirrored(provider.engagement, stale)
        try:
            variants = variants_of(kind, hirer)
            say = variants[variant % len(variants)]
            members = dict(say.members)
            if kind == "Inquiry":
                members["nonce"] = hirer.actor.nonce()
            got = provider.engagement.got
            if same and got:
                members |= {"sequence": len(got), "previous": got[-2] if len(got) > 1 else None}
            message = hirer.actor.sign(say._replace(members=members).message(hirer), hirer.now)
        except LocalProtocolError:
            return  # it has not got the offer that it would answer
        finally:
            hirer.engagement = saved
        hirer.stored.setdefault(message.digest, message)  # who lies remembers what it said
        self.book.network.send(hirer.actor.did, provider.actor.did, message.raw)
        self.take(provider, message.raw)

    @invariant()
    def nothing_unsigned(self) -> None:
        """A provider holds a contract only if it signed exactly that document, as acceptor or with its seal."""
        provider = self.book.parties[PROVIDER]
        contract, live = provider.engagement.contract, provider.engagement.offer
        if contract is None or live is None:
            return
        own = [entry.message.message for entry in provider.journal if isinstance(entry, Sent)]
        signs = "Seal" if live.owner == PROVIDER else "Acceptance"
        signed = [move.document for move in own if move.type == signs]
        assert signed[:1] == [contract.digest]
        assert contract.digest not in signed[1:], "what came after was agreed in the lane"


def mirrored(engagement: Engagement, stale: bool) -> Engagement:
    """The provider's engagement as the hirer would see it, or as it was one provider's move ago."""
    from msgspec.structs import replace

    sent = engagement.sent[:-1] if stale else engagement.sent
    return replace(
        engagement, role=HIRER, own=engagement.peer, peer=engagement.own, sent=engagement.got, got=sent, answered=0
    )


_often = settings(
    max_examples=EXAMPLES or 60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestTwoParties = TwoParties.TestCase
TestTwoParties.settings = _often
TestDishonestHirer = DishonestHirer.TestCase
TestDishonestHirer.settings = _often


@pytest.mark.parametrize("state", PATHS)
def test_replay_equals_live(state: str) -> None:
    """Whatever prefix of the journal is folded, it gives what this side held then; and it asks for the same.

    HIRE-OVR-01.
    """
    playbook = Playbook(state)
    for party in playbook.parties.values():
        engagement = party._first
        for entry in party.journal:
            engagement = apply(engagement, entry)
        assert engagement == party.engagement
        assert pending(engagement, party.now) == party.pending()
        assert position(engagement) == (len(engagement.sent), len(engagement.got))


@pytest.mark.parametrize("state", PATHS)
@given(offset=st.integers(0, 4 * 24 * 3600), further=st.integers(0, 3600))
@settings(max_examples=25, deadline=None)
def test_pending_changes_at_wake_at_and_nowhere_between(state: str, offset: int, further: int) -> None:
    """`wake_at` misses nothing: between now and then `pending` is the same at every instant (HIRE-OVR-02)."""
    playbook = SHARED.setdefault(state, Playbook(state))
    for party in playbook.parties.values():
        now = shift(party.now, offset)
        next_change = wake_at(party.engagement, now)
        later = shift(now, further)
        if next_change is None or later < next_change:
            assert pending(party.engagement, later) == pending(party.engagement, now)
        else:
            assert pending(party.engagement, shift(next_change, -1)) == pending(party.engagement, now)
            assert next_change > now


SHARED: dict[str, Playbook] = {}


@given(st.lists(st.integers(-7200, 7200), max_size=12))
@settings(max_examples=50, deadline=None)
def test_time_never_runs_back(jumps: list[int]) -> None:
    """However the clock jumps, entries are folded at the latest time known (HIRE-CLK-01)."""
    playbook = Playbook("ready")
    party = playbook.hirer.party
    latest = party.engagement.last_at
    for jump in jumps:
        playbook.advance(jump)
        party.note("anything", "")
        assert party.engagement.last_at is not None
        assert latest is not None
        assert party.engagement.last_at >= latest
        latest = party.engagement.last_at


@pytest.mark.parametrize("state", PATHS)
def test_a_fact_that_nobody_knows_changes_nothing(state: str) -> None:
    """Only the time of the last entry moves."""
    from msgspec.structs import replace

    party = Playbook(state).hirer.party
    before = party.engagement
    party.note("weather", "rain")
    assert replace(party.engagement, last_at=before.last_at) == before
