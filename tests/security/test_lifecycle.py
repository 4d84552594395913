"""A contract while it is performed: what each side may say of it. Security cases SC-44, SC-45, SC-54, SC-62, SC-63."""

from __future__ import annotations

from itertools import product

import pytest
from msgspec.structs import replace

from pack_cases import disputed_once_closed
from undersigned.contract import verify_ruling
from undersigned.encoding import shift
from undersigned.errors import LocalProtocolError, ProofError, RemoteProtocolError, UndersignedError
from undersigned.messages import CriterionVerdict, Ruling, Settled, VerifiedMessage
from undersigned.protocol import (
    HIRER,
    LANE,
    LANE_TYPES,
    OTHER,
    PROVIDER,
    ROLES,
    Owe,
    Received,
    Role,
    apply,
    basis,
    legal,
    owed,
)
from undersigned.testing import (
    ARBITER,
    ARTIFACT,
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
    terms_for,
    withdraw,
)

LANES: dict[str, tuple[tuple[str, Say], ...]] = {
    "idle": (),
    "offered-by-hirer": ((HIRER, amendment()),),
    "offered-by-provider": ((PROVIDER, release()),),
    "accepted-by-provider": ((HIRER, amendment()), (PROVIDER, acceptance())),
    "accepted-by-hirer": ((PROVIDER, amendment()), (HIRER, acceptance())),
}
"""For each state of the lane, what leads there."""
PERFORMED = ("sealed", "working", "suspended", "cancelling", "delivered")


def at(state: str, lane: str = "idle", **options: object) -> Playbook:
    """Both sides in this state, with the documents in that one."""
    playbook = Playbook(state, **options)  # type: ignore[arg-type]
    for role, say in LANES[lane]:
        playbook.side(role) >> say
    return playbook


def forged(party: Party, say: Say, **members: object) -> VerifiedMessage:
    """What this party says, having seen everything, signed whether legal or not."""
    return party.actor.sign(say._replace(members=say.members | members).message(party), party.now)


# --- SC-44: the whole matrix


@pytest.mark.parametrize("state", PERFORMED)
@pytest.mark.parametrize("lane", LANES)
def test_sc_44_every_message_in_every_state_of_the_lane(lane: str, state: str) -> None:
    """Each type about a document, by each side: what the lane's table has moves it, all else changes nothing.

    HIRE-LIF-01, HIRE-LAN-02, HIRE-LAN-03.
    """
    playbook = at(state, lane)
    says = {"Offer": amendment(), "Acceptance": acceptance(), "Seal": seal(), "Withdraw": withdraw("revoked")}
    for role, kind in product(ROLES, LANE_TYPES):
        sender, receiver = playbook.parties[role], playbook.parties[OTHER[role]]
        before, lines = receiver.engagement, list(receiver.journal)
        assert before.lane == lane
        message = forged(sender, says[kind])
        row = LANE.get((lane, kind, role))
        assert (row is not None) == (kind in legal(before, role))
        if row is not None:
            after = apply(before, Received(message, receiver.now))
            ends = kind == "Seal" and before.tabled is not None and before.tabled.kind == "Release"
            assert (after.lane, after.state) == (row.next, "closing" if ends else state)
        else:
            with pytest.raises(RemoteProtocolError) as refused:
                apply(before, Received(message, receiver.now))
            assert refused.value.code in ("wrong_state", "wrong_party", "already_contracted", "stale_offer")
            assert f"{role} sent {kind}" in refused.value.message
        assert receiver.engagement is before
        assert receiver.journal == lines


@pytest.mark.parametrize("lane", [lane for lane in LANES if lane != "idle"])
@pytest.mark.parametrize("state", ["disputed", "closing"])
def test_sc_44_an_ended_contract_is_not_changed(state: str, lane: str) -> None:
    """In disputed only a release, in closing nothing but the answer to an acceptance (HIRE-LAN-04)."""
    playbook = at("delivered", lane)
    playbook.provider >> (dispute() if state == "disputed" else terminate("unable"))
    playbook.agree(state)
    for role in ROLES:
        party, other = playbook.parties[role], playbook.parties[OTHER[role]]
        for say in (amendment(), seal(), acceptance()):
            possible = state == "disputed" and lane == "offered-by-provider" and say.type == "Acceptance"
            if not (possible and role == HIRER):
                with pytest.raises(LocalProtocolError):
                    party.send(say.message(party))
                with pytest.raises(RemoteProtocolError):
                    other.take(forged(party, say))
    if lane.startswith("accepted-by-"):
        owner = OTHER[lane.removeprefix("accepted-by-")]
        assert playbook.parties[OTHER[owner]].engagement.in_doubt
        playbook.expect(withdraw("ended"), state=state)
        assert not any(party.engagement.in_doubt for party in playbook.parties.values())


def test_sc_45_the_middle_of_a_change_cannot_be_skipped() -> None:
    """A seal without an acceptance, an approval without a question, a ruling without a dispute, a needless Resume."""
    playbook = at("working", "offered-by-hirer")
    hirer, provider = playbook.hirer.party, playbook.provider.party
    for say in (seal(), approval(), ruling(), resume()):
        playbook.refused("wrong_state", lambda say=say: provider.take(forged(hirer, say)))
    assert provider.engagement.contract is not None
    assert provider.engagement.contract.in_force == provider.engagement.contract.digest


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("state", ["sealed", "working", "suspended", "cancelling", "delivered", "disputed", "closing"])
def test_sc_54_a_document_on_the_table_is_no_way_out(state: str, role: str) -> None:
    """With no document on the table Withdraw is refused; with one it ends that and nothing else (HIRE-LAN-03)."""
    playbook = Playbook(state)
    party, other = playbook.parties[role], playbook.parties[OTHER[role]]
    for named in (None, party.engagement.offer and party.engagement.offer.digest):
        playbook.refused("wrong_state", lambda named=named: other.take(forged(party, withdraw(), offer=named)))
        playbook.refused("wrong_state", lambda named=named: party.send(withdraw(offer=named).message(party)))
    if state in PERFORMED:
        playbook.hirer >> amendment()
        playbook.side(role) >> withdraw("declined")
        playbook.agree(state)
        assert (party.engagement.lane, party.engagement.tabled) == ("idle", None)


@pytest.mark.parametrize("lane", ["accepted-by-provider", "accepted-by-hirer"])
@pytest.mark.parametrize("state", PERFORMED)
def test_sc_54_an_accepted_document_is_not_taken_back_at_will(state: str, lane: str) -> None:
    """HIRE-LAN-03: for what the offerer cannot help; `ended` is no such reason while the contract goes on."""
    playbook = at(state, lane)
    owner = OTHER[lane.removeprefix("accepted-by-")]
    side, other = playbook.side(owner), playbook.parties[OTHER[owner]]
    for reason in ("ended", "declined"):
        playbook.refused("wrong_state", lambda reason=reason: side >> withdraw(reason))
        playbook.refused("wrong_state", lambda reason=reason: other.take(side.forge(withdraw(reason))))
    side >> withdraw("status_unavailable")
    playbook.agree(state)
    assert [party.engagement.lane for party in playbook.parties.values()] == ["idle", "idle"]


OVERTAKING = [
    ("accepted-by-provider", PROVIDER, "working", delivery()),
    ("accepted-by-hirer", PROVIDER, "working", delivery()),
    ("accepted-by-provider", HIRER, "delivered", review("rework")),
    ("accepted-by-hirer", HIRER, "delivered", review("rework")),
]
"""What overtakes the seal of a document: the lane, who makes the move, in which state, and the move."""


@pytest.mark.parametrize(("lane", "role", "state", "say"), OVERTAKING)
def test_sc_54_a_seal_is_not_held_back_until_it_is_known_what_it_is_worth(
    lane: str, role: str, state: str, say: Say
) -> None:
    """HIRE-LAN-08: after a delivery or review that it made or has seen, the offerer can only withdraw."""
    playbook = at(state, lane)
    owner = OTHER[lane.removeprefix("accepted-by-")]
    side, other = playbook.side(owner), playbook.parties[OTHER[owner]]
    before = other.engagement.contract
    playbook.refused("wrong_state", lambda: side >> withdraw("overtaken"))
    playbook.refused("wrong_state", lambda: other.take(side.forge(withdraw("overtaken"))))
    playbook.side(role) >> say
    asked = [one for one in side.party.pending() if isinstance(one, Owe) and "Withdraw" in one.moves]
    assert [(one.moves, one.reason) for one in asked] == [(("Withdraw",), "overtaken")]
    assert "Seal" not in legal(side.party.engagement, owner)
    playbook.refused("wrong_state", lambda: side >> seal())
    playbook.refused("wrong_state", lambda: other.take(side.forge(seal())))
    assert other.engagement.in_doubt
    side >> withdraw("overtaken")
    for party in playbook.parties.values():
        after = party.engagement.contract
        assert (party.engagement.lane, party.engagement.in_doubt) == ("idle", False)
        assert before is not None
        assert after is not None
        assert after.in_force == before.in_force


def test_a_review_answers_every_criterion_once() -> None:
    """HIRE-LIF-06: none left out, none twice, none that the terms have not, by whoever is asked."""
    playbook = Playbook("delivered")
    hirer, provider = playbook.hirer, playbook.provider
    one, other = (CriterionVerdict(id=name, met=True) for name in ("complete", "another"))
    for criteria in ((), (one, one), (one, other), (other,)):
        say = review(criteria=criteria)
        playbook.refused("terms_mismatch", lambda say=say: hirer >> say)
        playbook.refused("terms_mismatch", lambda say=say: provider.party.take(hirer.forge(say)))
    hirer >> review(criteria=(one,))
    playbook.agree("closing")


def test_what_crossed_something_else_is_held_to_what_its_sender_knew() -> None:
    """HIRE-LAN-02, HIRE-LAN-03, HIRE-LAN-10: of another offer it is void, of the one on the table it is judged."""
    playbook = at("working", "accepted-by-provider")
    hirer, provider = playbook.hirer, playbook.provider
    known = provider.party.engagement.tabled
    assert known is not None
    regret, answer = hirer.forge(withdraw("changed")), hirer.forge(acceptance())
    stray = hirer.forge(withdraw("changed", offer=ARTIFACT))
    with playbook.held():
        provider >> breach()
        playbook.refused("wrong_state", lambda: provider.party.take(regret))
        playbook.refused("wrong_state", lambda: provider.party.take(answer))
        assert provider.party.take(stray) == "void"
    assert provider.party.engagement.tabled == known


@pytest.mark.parametrize("role", ROLES)
def test_an_end_that_a_dispute_took_up_is_none_for_a_release(role: str) -> None:
    """HIRE-LAN-04: both know of the review, and the release that ends the dispute over it is sealed all the same."""
    playbook = Playbook("closing")
    side, other = playbook.side(role), playbook.side(OTHER[role])
    other >> dispute()
    side >> release()
    other >> acceptance()
    side >> seal()
    playbook.agree("closing")
    assert basis(other.party.engagement) == "release"


@pytest.mark.parametrize(("lane", "role", "state", "say"), OVERTAKING)
def test_sc_54_a_seal_counts_whose_sender_had_not_seen_the_delivery(lane: str, role: str, state: str, say: Say) -> None:
    """HIRE-LAN-08: what crossed the seal, or was made before its maker knew of the acceptance, overtakes nothing."""
    owner = OTHER[lane.removeprefix("accepted-by-")]
    playbook = Playbook(state)
    side, other = playbook.side(owner), playbook.side(OTHER[owner])
    side >> amendment()
    if role == owner:
        with playbook.held():
            side >> say
            other >> acceptance()
        side >> seal()
    else:
        other >> acceptance()
        with playbook.held():
            other >> say
            side >> seal()
    for party in playbook.parties.values():
        contract = party.engagement.contract
        assert contract is not None
        assert contract.in_force != contract.digest


# --- SC-62, SC-63: revocation


@pytest.mark.parametrize(("move", "state"), [(terminate("key_compromised"), "closing"), (suspend(), "suspended")])
def test_sc_62_a_revocation_ends_authority_at_both_sides(move: Say, state: str) -> None:
    """At the hirer's when it is sent, at the provider's when it is received, before anything else (HIRE-LIF-03)."""
    playbook = Playbook("working")
    with playbook.held():
        playbook.hirer >> move
        assert not playbook.hirer.party.engagement.authority
        assert playbook.provider.party.engagement.authority
    assert not playbook.provider.party.engagement.authority
    playbook.agree(state)
    for say in (approval_request(), delivery()) if state == "closing" else ():
        playbook.refused("wrong_state", lambda say=say: playbook.provider >> say)


def test_sc_62_what_is_done_after_a_revocation_is_no_delivery() -> None:
    """The provider was offline and delivers without having seen the end: recorded, and it moves nothing."""
    playbook = Playbook("working")
    with playbook.held():
        playbook.hirer >> terminate("key_compromised")
        playbook.provider >> delivery()
    playbook.agree("closing")
    assert playbook.hirer.party.engagement.contract is not None
    assert playbook.hirer.party.engagement.contract.delivery is None


@pytest.mark.parametrize("say", [suspend(), resume(), cancel(), terminate("key_compromised")])
def test_sc_63_nobody_else_revokes(say: Say) -> None:
    """By a third party, by the provider where only the hirer may, or for another contract."""
    playbook = Playbook("suspended" if say.type == "Resume" else "working")
    hirer, provider = playbook.hirer.party, playbook.provider.party
    stranger = Actor("stranger")
    posed = say._replace(members=say.members | {"sender": stranger.did}).message(hirer)
    playbook.refused("wrong_party", lambda: provider.take(stranger.sign(posed, hirer.now)))
    other = forged(hirer, say, contract=ARTIFACT)
    playbook.refused("conflicting_contract", lambda: provider.take(other))
    if say.type != "Terminate":
        playbook.refused("wrong_party", lambda: hirer.take(forged(provider, say)))


def test_sc_63_a_cause_of_the_other_side_ends_nothing() -> None:
    """A breach that the other side claimed, and one that nobody did (HIRE-LIF-20)."""
    playbook = Playbook("working")
    claimed = playbook.hirer >> breach(cure=minutes(60))
    playbook.advance(minutes(61))
    hirer, provider = playbook.hirer.party, playbook.provider.party
    other = forged(provider, terminate("breach"), names=claimed.digest)
    playbook.refused("wrong_state", lambda: hirer.take(other))
    playbook.refused("wrong_state", lambda: provider.take(forged(hirer, terminate("breach"))))
    playbook.hirer >> terminate("breach", names=claimed.digest)
    playbook.agree("closing")


# --- suspension, approvals, breaches


def test_what_is_due_moves_by_the_time_suspended() -> None:
    """HIRE-LIF-18: by each side's own clock; the end of all authority does not move."""
    playbook = Playbook("working")
    before = playbook.hirer.party.engagement.contract
    playbook.hirer >> suspend()
    playbook.advance(minutes(90))
    playbook.hirer >> resume()
    playbook.agree("working")
    after = playbook.hirer.party.engagement.contract
    assert before is not None
    assert after is not None
    assert (before.due, after.due) == ("2026-03-03T12:00:00Z", "2026-03-03T13:30:00Z")


def test_a_suspension_without_end_lets_the_provider_go() -> None:
    """HIRE-LIF-09: past `until` the provider may end it, and its runtime does."""
    playbook = Playbook("working")
    playbook.hirer >> suspend(lasts=minutes(30))
    playbook.advance(minutes(30))
    playbook.refused("wrong_state", lambda: playbook.provider >> terminate("deadline"))
    playbook.advance(1)
    playbook.expect(terminate("deadline"), state="closing")


def test_an_approval_answers_one_question_once() -> None:
    """HIRE-LIF-19: granted it stays with what it is for; refused it is over; 64 at a time; silence is no."""
    playbook = Playbook("working")
    provider, hirer = playbook.provider.party, playbook.hirer.party
    asked = playbook.provider >> approval_request()
    owed = [effect for effect in hirer.pending() if isinstance(effect, Owe) and effect.about == asked.digest]
    assert [effect.moves for effect in owed] == [("Approval",)]
    playbook.hirer >> approval(uses=2)
    playbook.refused("wrong_state", lambda: provider.take(forged(hirer, approval(), request=asked.digest)))
    contract = provider.engagement.contract
    assert contract is not None
    assert [(one.clause, one.uses) for one in contract.asked] == [("read", 2)]
    playbook.provider >> approval_request()
    playbook.hirer >> approval(granted=False)
    assert provider.engagement.contract == hirer.engagement.contract or len(provider.engagement.contract.asked) == 1
    for _ in range(64):
        playbook.provider >> approval_request()
    playbook.refused("round_limit", lambda: playbook.provider >> approval_request())
    playbook.refused("round_limit", lambda: hirer.take(forged(provider, approval_request())))
    playbook.advance(minutes(31))
    assert not any(isinstance(effect, Owe) and "Approval" in effect.moves for effect in hirer.pending())


@pytest.mark.parametrize("role", ROLES)
def test_a_breach_is_of_a_clause_that_there_is(role: str) -> None:
    """HIRE-LIF-20: of the scope or a member of the terms; neither side signs or takes another."""
    playbook = Playbook("working")
    side, other = playbook.side(role), playbook.side(OTHER[role])
    for clause in ("professionalism", "", "urn:hire:sketch#read", "data_handling", "parent"):
        claim = breach(clause=clause)
        if clause:
            playbook.refused("terms_mismatch", lambda claim=claim: side >> claim)
        code = "terms_mismatch" if clause else "schema_violation"
        with pytest.raises(UndersignedError) as refused:
            other.party.take(forged(side.party, claim))
        assert refused.value.code == code
    for clause in ("read", "price", "mustStayValid"):
        side >> breach(clause=clause)
    playbook.agree("working")


def test_a_member_that_the_terms_leave_out_is_no_clause() -> None:
    """HIRE-LIF-20: the one that they may leave out names an arbiter."""
    playbook = Playbook("ready")
    playbook.hirer >> offer(terms=replace(terms_for(playbook.hirer.party), arbiter=None))
    playbook.provider >> acceptance()
    playbook.hirer >> seal()
    playbook.refused("terms_mismatch", lambda: playbook.hirer >> breach(clause="arbiter"))
    claim = playbook.hirer.forge(breach(clause="arbiter"))
    playbook.refused("terms_mismatch", lambda: playbook.provider.party.take(claim))


@pytest.mark.parametrize("role", ROLES)
def test_a_breach_gives_a_right_once_it_was_not_cured(role: str) -> None:
    """HIRE-LIF-20: it leaves the time agreed on, moves nothing, and is good for 30 days from `cureBy`."""
    playbook = Playbook("working")
    side = playbook.side(role)
    playbook.refused("terms_mismatch", lambda: side >> breach(cure=minutes(59)))
    claimed = side >> breach(cure=minutes(60))
    playbook.agree("working")
    end = terminate("breach", names=claimed.digest)
    playbook.advance(minutes(60))
    playbook.refused("wrong_state", lambda: side >> end)
    playbook.advance(30 * 24 * 3600 + 1)
    playbook.refused("wrong_state", lambda: side >> end)
    for after in (1, 30 * 24 * 3600):  # the first second and the last
        playbook = Playbook("working")
        side = playbook.side(role)
        claimed = side >> breach(cure=minutes(60))
        playbook.advance(minutes(60) + after)
        side >> terminate("breach", names=claimed.digest)
        playbook.agree("closing")


# --- documents


def test_an_amendment_is_in_force_from_its_seal() -> None:
    """HIRE-LAN-05: terms and deadlines are the new ones, the name of the contract is the old one; chained."""
    playbook = Playbook("working")
    contract = playbook.hirer.party.engagement.contract
    assert contract is not None
    named = contract.digest
    for number, side in enumerate((playbook.hirer, playbook.provider), start=1):
        other = playbook.side(OTHER[side.party.role])
        later = terms_for(side.party, price=f"2{number}", reworks=number + 1)
        offered = side >> amendment(terms=later)
        other >> acceptance()
        assert other.party.engagement.in_doubt
        side >> seal()
        playbook.agree("working")
        for party in playbook.parties.values():
            engagement = party.engagement
            assert engagement.contract is not None
            assert engagement.offer is not None
            assert (engagement.contract.digest, engagement.lane) == (named, "idle")
            assert engagement.contract.in_force_by == (side.party.role, offered.message.sequence)
            assert engagement.offer.terms.reworks == number + 1
    stale = forged(playbook.hirer.party, amendment())
    document = stale.message.document  # type: ignore[attr-defined]
    for changed, code in (({"amends": named}, "terms_mismatch"), ({"contract": ARTIFACT}, "conflicting_contract")):
        members = {name: getattr(document, name) for name in document.__struct_fields__} | changed
        other = playbook.hirer.party.actor.prove_offer(type(document)(**members), playbook.clock.now())
        message = forged(playbook.hirer.party, amendment(), document=other)
        playbook.refused(code, lambda said=message: playbook.provider.party.take(said))  # HIRE-LAN-01


def test_a_lost_seal_of_an_amendment_leaves_doubt_and_ends_in_the_amendment() -> None:
    """The acceptor asks again, also after a restart, and gets the same answer; work goes on meanwhile."""
    playbook = Playbook("working")
    playbook.hirer >> amendment()
    playbook.provider >> acceptance()
    playbook.hold()
    playbook.hirer >> seal()
    playbook.lose()
    playbook.crash(PROVIDER)
    playbook.advance(minutes(5))
    assert playbook.provider.party.engagement.in_doubt
    assert playbook.provider.state == "working"
    playbook.resend()
    playbook.agree("working")
    assert not playbook.provider.party.engagement.in_doubt
    views = [party.engagement.contract for party in playbook.parties.values()]
    assert views[0] is not None
    assert views[1] is not None
    assert views[0].in_force == views[1].in_force != views[0].digest


def test_a_late_acceptance_of_an_amendment_is_answered() -> None:
    """The offerer's clock decides, and the contract stays as it was."""
    playbook = Playbook("working")
    playbook.hirer >> amendment(valid_for=minutes(10))
    playbook.advance(minutes(10) + 1)
    playbook.provider >> acceptance()
    playbook.refused("offer_expired", lambda: playbook.hirer >> seal())
    playbook.expect(withdraw("offer_expired"), state="working")
    playbook.hirer >> amendment(valid_for=minutes(1))
    playbook.advance(minutes(2) + 1)
    playbook.expect(withdraw("offer_expired"), state="working")  # nobody answered


def test_a_release_ends_it_for_what_it_says() -> None:
    """HIRE-LAN-05, HIRE-LIF-11: it is stronger than what crosses it but a ruling."""
    playbook = Playbook("working")
    playbook.provider >> release(amount="3")
    playbook.hirer >> acceptance()
    with playbook.held():
        playbook.provider >> seal()
        playbook.hirer >> terminate("key_compromised")
    playbook.agree("closing")
    for side in (playbook.hirer, playbook.provider):
        playbook.expect(closing(basis="release"))
        assert side.party.engagement.contract is not None
    playbook.agree("closed")


def test_what_crossed_an_amendment_is_judged_by_the_terms_before() -> None:
    """The acceptor had not seen the seal: it starts, and closes, by what was in force for it."""
    playbook = Playbook("sealed")
    playbook.provider >> amendment(terms=terms_for(playbook.provider.party, reworks=3))
    playbook.hirer >> acceptance()
    with playbook.held():
        playbook.provider >> seal()
        playbook.hirer >> start()
        playbook.hirer >> terminate("key_compromised")
        playbook.hirer >> closing()
    playbook.provider >> closing()
    playbook.agree("closed")


def test_what_was_delivered_is_reviewed_by_what_it_was_made_for() -> None:
    """HIRE-LAN-06: an amendment that changes the criteria of a delivery is not offered by an honest side."""
    playbook = Playbook("delivered")
    terms = terms_for(playbook.hirer.party)
    (deliverable,) = terms.deliverables
    criterion = replace(deliverable.criteria[0], id="another")
    other = replace(terms, deliverables=(replace(deliverable, criteria=(criterion,)),))
    playbook.refused("terms_mismatch", lambda: playbook.hirer >> amendment(terms=other))
    playbook.hirer >> amendment()
    playbook.agree("delivered")


# --- disputes


@pytest.mark.parametrize("state", [*PERFORMED, "closing"])
@pytest.mark.parametrize("role", ROLES)
def test_a_dispute_waits_for_the_arbiter(state: str, role: str) -> None:
    """HIRE-LIF-21, HIRE-LIF-22: once; a ruling ends it, whoever carries it; the books close by the ruling."""
    playbook = Playbook(state)
    playbook.side(role) >> dispute()
    playbook.agree("disputed")
    playbook.refused("wrong_state", lambda: playbook.side(OTHER[role]) >> dispute())
    playbook.side(OTHER[role]) >> ruling()
    playbook.agree("closing")
    playbook.refused("wrong_state", lambda: playbook.side(role) >> dispute())
    playbook.expect(closing(basis="ruling"), closing(basis="ruling"), state="closed")


@pytest.mark.parametrize("role", ROLES)
def test_who_was_let_go_disputes_nothing(role: str) -> None:
    """HIRE-LIF-21: after a release neither side signs a `Dispute` or takes one; what is owed is agreed on."""
    playbook = Playbook("working")
    playbook.provider >> release(amount="3")
    playbook.hirer >> acceptance()
    playbook.provider >> seal()
    playbook.agree("closing")
    _disputes_nothing(playbook, role)


@pytest.mark.parametrize("role", ROLES)
def test_who_has_closed_its_books_disputes_nothing(role: str) -> None:
    """HIRE-LIF-21: not after its own `Closing`; the other side, which has not closed its own, still may."""
    playbook = Playbook("closing")
    playbook.side(role) >> closing()
    _disputes_nothing(playbook, role)
    playbook.side(OTHER[role]) >> dispute()
    playbook.agree("disputed")


@pytest.mark.parametrize("role", ROLES)
def test_who_has_closed_its_books_disputes_nothing_whatever_it_crosses(role: Role) -> None:
    """HIRE-LIF-21, HIRE-CHN-11: its own tables forbid it, so that our `Closing` crossed it excuses nothing."""
    playbook, posed = disputed_once_closed(role)
    playbook.refused("wrong_state", lambda: playbook.parties[OTHER[role]].take(posed))


def _disputes_nothing(playbook: Playbook, role: str) -> None:
    side, other = playbook.side(role), playbook.parties[OTHER[role]]
    assert "Dispute" not in legal(other.engagement, role)
    playbook.refused("wrong_state", lambda: side >> dispute())
    playbook.refused("wrong_state", lambda: other.take(side.forge(dispute())))


def test_closings_before_a_dispute_do_not_count() -> None:
    """HIRE-LIF-17, HIRE-LIF-21: a side that has closed its books closes them again, by what the dispute comes to."""
    playbook = Playbook("closing")
    with playbook.held():
        playbook.hirer >> closing()
        playbook.provider >> dispute()
    playbook.agree("disputed")
    playbook.provider >> ruling()
    playbook.expect(closing(basis="ruling"), closing(basis="ruling"), state="closed")


@pytest.mark.parametrize(
    ("state", "soon", "agreed", "by", "end"),
    [
        ("working", minutes(59), minutes(60), "breach", "breach"),
        ("delivered", minutes(24 * 60) - 1, minutes(24 * 60), "dispute", "no_ruling"),
        ("working", minutes(10) - 1, minutes(10), "cancel", "deadline"),
    ],
)
def test_a_least_time_is_left_by_us_and_judged_of_nobody_else(
    state: str, soon: int, agreed: int, by: str, end: str
) -> None:
    """HIRE-LIF-10, HIRE-LIF-20, HIRE-LIF-31, HIRE-LIF-32: what leaves less is refused of ours, and taken of the peer's
    with the end that follows, so that no two sides differ by their clocks or by a proof that was renewed."""
    say, member = {"breach": (breach, "cure_by"), "dispute": (dispute, "ruling_by"), "cancel": (cancel, "wind_down")}[
        by
    ]
    playbook = Playbook(state)
    hirer, provider = playbook.hirer.party, playbook.provider.party

    def leaving(seconds: int) -> Say:
        return say(**{member: shift(hirer.now, seconds)})

    playbook.refused("terms_mismatch", lambda: playbook.hirer >> leaving(soon))
    hasty = playbook.hirer.forge(leaving(-1))
    assert provider.take(hasty) == "applies"
    names = {"names": hasty.digest} if end == "breach" else {}
    then = terminate(end, sequence=len(hirer.engagement.sent) + 2, previous=hasty.digest, **names)
    assert provider.take(playbook.hirer.forge(then)) == "applies"
    assert provider.state == "closing"
    playbook = Playbook(state)
    hirer, provider = playbook.hirer.party, playbook.provider.party
    playbook.hirer >> leaving(agreed)
    assert hirer.state == provider.state


def test_an_arbiter_that_does_not_rule_is_not_waited_for_for_ever() -> None:
    """Past `rulingBy` each side may end it, for want of a ruling and for nothing else."""
    playbook = Playbook("disputed")
    playbook.refused("wrong_state", lambda: playbook.hirer >> terminate("no_ruling"))
    playbook.refused("wrong_state", lambda: playbook.hirer >> terminate("key_compromised"))
    playbook.advance(24 * 3600)
    playbook.refused("wrong_state", lambda: playbook.hirer >> terminate("no_ruling"))
    playbook.advance(1)
    playbook.expect(terminate("no_ruling"), state="closing")


@pytest.mark.parametrize("cause", ["no_ruling", "deadline"])
def test_whether_a_deadline_passed_is_judged_by_who_ends(cause: str) -> None:
    """A clock that is behind holds nobody to a contract that the other side has ended, whosever it is."""
    playbook = Playbook("disputed" if cause == "no_ruling" else "working")
    playbook.refused("wrong_state", lambda: playbook.hirer >> terminate(cause))
    assert playbook.provider.party.take(playbook.hirer.forge(terminate(cause))) == "applies"
    assert playbook.provider.state == "closing"


@pytest.mark.parametrize(("over", "said"), [(0, True), (1, False)])
def test_an_arbiter_may_be_left_180_days_to_the_last(over: int, said: bool) -> None:
    """HIRE-LIF-31."""
    playbook = Playbook("delivered")
    last = dispute(ruling_by=shift(playbook.clock.now(), 180 * 24 * 3600 + over))
    if said:
        playbook.hirer >> last
    else:
        playbook.refused("terms_mismatch", lambda: playbook.hirer >> last)


@pytest.mark.parametrize("role", ROLES)
def test_an_arbiter_is_not_waited_for_until_the_end_of_time(role: str) -> None:
    """HIRE-LIF-31: a side may not say so, and one that is told so ends it after half a year."""
    playbook = Playbook("delivered")
    other, never = playbook.side(OTHER[role]), "2900-01-01T00:00:00Z"
    playbook.refused("terms_mismatch", lambda: other >> dispute(ruling_by=never))
    honest = playbook.parties[role]
    assert honest.take(other.forge(dispute(ruling_by=never))) == "applies"
    waits = owed(honest.engagement).by
    assert waits == shift(honest.now, 180 * 24 * 3600)
    with pytest.raises(LocalProtocolError):
        honest.say(terminate("no_ruling").message)
    playbook.advance(180 * 24 * 3600 + 1)
    ended = honest.say(terminate("no_ruling").message)
    assert honest.state == "closing"
    assert ended.message.type == "Terminate"


@pytest.mark.parametrize("role", ROLES)
def test_a_dispute_that_its_maker_ends_at_once_shuts_out_no_arbiter(role: str) -> None:
    """HIRE-LIF-33: the ruling counts on both sides, until who carries it has closed its books."""
    playbook = Playbook("delivered")
    liar, honest = playbook.parties[OTHER[role]], playbook.parties[role]
    hasty = playbook.side(OTHER[role]).forge(dispute(ruling_by=shift(liar.now, -1)))
    assert honest.take(hasty) == "applies"
    ends = terminate("no_ruling", sequence=hasty.message.sequence + 1, previous=hasty.digest)
    assert honest.take(playbook.side(OTHER[role]).forge(ends)) == "applies"
    assert honest.state == "closing"
    said = honest.say(ruling("divided", amount="6").message)
    assert (honest.state, basis(honest.engagement)) == ("closing", "ruling")
    with pytest.raises(LocalProtocolError) as refused:
        honest.say(ruling("divided", amount="7").message)
    assert refused.value.code == "wrong_state"
    assert said.digest == honest.engagement.sent[-1]


@pytest.mark.parametrize("role", ROLES)
def test_a_ruling_may_come_after_the_end_for_want_of_one(role: str) -> None:
    """HIRE-LIF-33, HIRE-LIF-11: both take it, beside books that rest on what was before, and nobody owes it."""
    playbook = Playbook("disputed")
    playbook.advance(24 * 3600 + 1)
    playbook.side(OTHER[role]) >> terminate("no_ruling")
    playbook.side(OTHER[role]) >> closing()
    for party in playbook.parties.values():
        assert "Ruling" not in owed(party.engagement).moves
    assert "Ruling" in legal(playbook.parties[role].engagement, role)
    assert "Ruling" not in legal(playbook.parties[OTHER[role]].engagement, OTHER[role])
    playbook.side(role) >> ruling(amount="6")
    playbook.agree("closing")
    for party in playbook.parties.values():
        assert basis(party.engagement) == "ruling"
    playbook.side(role) >> closing()
    playbook.agree("closed")


def test_a_ruling_comes_no_more_once_its_carrier_has_closed() -> None:
    """HIRE-LIF-33: also not from a side that had not seen that all is closed."""
    playbook = Playbook("disputed")
    playbook.advance(24 * 3600 + 1)
    playbook.hirer >> terminate("no_ruling")
    playbook.provider >> closing()
    playbook.hold()
    playbook.hirer >> closing()
    late = playbook.provider.forge(ruling(amount="6"))
    playbook.refused("wrong_state", lambda: playbook.hirer.party.take(late))
    assert playbook.hirer.state == "closed"


def test_what_is_owed_is_owed_in_the_currency_of_the_price() -> None:
    """HIRE-PAY-04: or in that of a ruling or of a release; in an amended one from its seal on."""
    yen = Settled(amount="900", currency="JPY")
    playbook = Playbook("closing")
    playbook.refused("terms_mismatch", lambda: playbook.hirer >> closing(settlement=yen))
    playbook.refused(
        "terms_mismatch", lambda: playbook.provider.party.take(playbook.hirer.forge(closing(settlement=yen)))
    )
    playbook = Playbook("delivered")
    silent = playbook.provider.forge(closing(settlement=yen))
    playbook.refused("terms_mismatch", lambda: playbook.hirer.party.take(silent))
    playbook = Playbook("working")
    playbook.hirer >> release(amount="900", currency="JPY")
    playbook.provider >> acceptance()
    playbook.hirer >> seal()
    playbook.provider >> closing(settlement=yen)
    playbook.hirer >> closing(settlement=yen)
    playbook.agree("closed")


def test_a_ruling_is_the_arbiters() -> None:
    """HIRE-LIF-22: by another key, under another DID's method, or changed, it is none."""
    playbook = Playbook("disputed")
    documents = {actor.did: actor.document for actor in (ARBITER, playbook.hirer.party.actor)}

    def keys(method: str, purpose: str):
        return documents[method.partition("#")[0]].key_for(method, purpose, now=None)

    good = ruling().message(playbook.hirer.party)
    assert isinstance(good, Ruling)
    assert verify_ruling(good.ruling, arbiter=ARBITER.did, keys=keys).amount == "6"
    forged_ruling = ruling(by=playbook.hirer.party.actor).message(playbook.hirer.party)
    assert isinstance(forged_ruling, Ruling)
    with pytest.raises(ProofError) as refused:
        verify_ruling(forged_ruling.ruling, arbiter=ARBITER.did, keys=keys)
    assert refused.value.code == "key_not_authorized"
    with pytest.raises(ProofError) as changed:
        verify_ruling({**good.ruling, "amount": "7"}, arbiter=ARBITER.did, keys=keys)
    assert changed.value.code == "proof_invalid"


def test_a_review_stands_beside_a_ruling() -> None:
    """HIRE-LIF-11: the strongest decides, and what else was said is kept."""
    playbook = Playbook("delivered")
    playbook.hirer >> review("rejected")
    playbook.provider >> dispute()
    playbook.hirer >> ruling("for_provider", amount="12.5")
    contract = playbook.provider.party.engagement.contract
    assert contract is not None
    assert [ending.basis for ending in contract.endings] == ["review", "ruling"]


def test_a_ruling_of_another_shape_is_refused() -> None:
    """A ruling that is not well-formed is refused with the code of what is wrong (HIRE-LIF-22)."""
    playbook = Playbook("disputed")
    message = ruling().message(playbook.hirer.party)
    assert isinstance(message, Ruling)
    posed = forged(playbook.hirer.party, ruling(), ruling={**message.ruling, "costs": "7"})
    playbook.refused("unknown_term", lambda: playbook.provider.party.take(posed))


@pytest.mark.parametrize("role", ROLES)
def test_a_ruling_that_crosses_the_end_of_a_dispute_is_checked_like_any_other(role: str) -> None:
    """HIRE-LIF-22: it decides what is owed although it moves nothing, so rubbish is not void but refused."""
    playbook = Playbook("disputed")
    view, sender = playbook.parties[OTHER[role]], playbook.parties[role]
    contract = sender.engagement.contract
    assert contract is not None
    mark = contract.disputes[0].digest
    playbook.hold()
    playbook.side(OTHER[role]) >> ruling(amount="6")
    good = ARBITER.rule(contract.digest, mark, sender.now, amount="5")
    before, lines = view.engagement, list(view.journal)
    for members, code in (
        ({"dispute": ARTIFACT, "ruling": {**good, "dispute": ARTIFACT}}, "terms_mismatch"),
        ({"ruling": ARBITER.rule(contract.digest, ARTIFACT, sender.now)}, "terms_mismatch"),
        ({"ruling": ARBITER.rule(ARTIFACT, mark, sender.now)}, "conflicting_contract"),
        ({"ruling": {**good, "costs": "7"}}, "unknown_term"),
        ({"ruling": {name: value for name, value in good.items() if name != "amount"}}, "schema_violation"),
    ):
        posed = forged(sender, ruling(), **members)
        with pytest.raises(RemoteProtocolError) as refused:
            view.take(posed)
        assert (refused.value.code, members) == (code, members)
        assert view.engagement is before
        assert view.journal == lines
    crossed = forged(sender, ruling(), ruling=good)
    assert view.take(crossed) == "void"
    held = view.engagement.contract
    assert held is not None
    assert (view.state, len(held.endings)) == ("closing", 2)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("say", [release(amount="0"), amendment()], ids=["release", "amendment"])
def test_an_offer_that_crosses_the_seal_of_a_release_is_void(role: str, say: Say) -> None:
    """HIRE-LAN-05: once both let each other go there is nothing more to agree on."""
    playbook = Playbook("working")
    view, sender = playbook.side(OTHER[role]), playbook.side(role)
    view >> release(amount="3")
    sender >> acceptance()
    playbook.hold()
    view >> seal()
    assert view.party.take(forged(sender.party, say)) == "void"
    engagement = view.party.engagement
    assert (engagement.state, engagement.lane, engagement.tabled) == ("closing", "idle", None)
    assert engagement.contract is not None
    assert [ending.basis for ending in engagement.contract.endings] == ["release"]
