"""Parties, chain, notices and facts: the steps of `apply` that come before any table."""

from __future__ import annotations

import pytest
from msgspec.json import encode
from msgspec.structs import replace

from support import refuses
from undersigned.encoding import shift
from undersigned.errors import LocalProtocolError, RemoteProtocolError
from undersigned.messages import Need, VerifiedMessage, engagement_id
from undersigned.protocol import (
    HIRER,
    OTHER,
    PROVIDER,
    Child,
    Noted,
    Received,
    Sent,
    apply,
    begin,
    fold,
    legal,
    outcome,
    position,
)
from undersigned.testing import (
    ARTIFACT,
    Actor,
    Playbook,
    Say,
    acceptance,
    amendment,
    breach,
    cancel,
    closing,
    delivery,
    offer,
    presentation,
    problem,
    progress,
    receipt,
    resume,
    review,
    seal,
    start,
    suspend,
    sync,
    terminate,
    withdraw,
)


def forged(side, say, **members):
    """Signed by this side, with these members, recorded by nobody."""
    return side.forge(say._replace(members=say.members | members))


def test_nothing_is_changed_in_place() -> None:
    """The value from before a move still stands, also when the move is taken."""
    playbook = Playbook("ready")
    party = playbook.hirer.party
    before = party.engagement
    copy = replace(before)
    playbook.hirer >> offer()
    assert before == copy
    assert party.engagement != before


def test_hirer_and_provider_are_two() -> None:
    """Nobody hires itself."""
    actor = Actor("alone")
    with refuses(LocalProtocolError, "self_dealing"):
        begin(HIRER, actor.did, actor.did, engagement_id(actor.did, actor.did, actor.nonce()))


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"engagement": f"urn:hire:engagement:{ARTIFACT}"}, "wrong_negotiation"),
        ({"recipient": Actor("else").did}, "wrong_recipient"),
        ({"sender": Actor("else").did}, "wrong_party"),
        ({"role": PROVIDER}, "wrong_party"),
        ({"sequence": 9}, "out_of_order"),
        ({"previous": ARTIFACT}, "conflicting_message"),
        ({"seen": ARTIFACT}, "ledger_diverged"),
    ],
)
def test_the_envelope_is_held_to(members: dict, code: str) -> None:
    """Whose, for whom, in which place, after which move, having seen which: for the peer's moves and for ours.

    HIRE-ENV-09, HIRE-SEC-10, HIRE-CHN-13.
    """
    playbook = Playbook("ready")
    wrong = forged(playbook.hirer, withdraw(), **members)
    playbook.refused(code, lambda: playbook.provider.party.take(wrong))
    with refuses(LocalProtocolError, code):
        apply(playbook.hirer.party.engagement, Sent(wrong, playbook.clock.now()))


def test_silence_is_measured_by_who_waits() -> None:
    """HIRE-LIF-07: a provider does not close over a hirer that may still review; if it waited only it can know."""
    playbook = Playbook("delivered")
    playbook.refused("wrong_state", lambda: playbook.provider >> closing(basis="silence"))
    posed = forged(playbook.provider, closing(basis="silence"))
    assert playbook.hirer.party.take(posed) == "applies"


def test_a_peer_does_not_unsee() -> None:
    """A later move that has seen less than an earlier one contradicts it (HIRE-CHN-13)."""
    playbook = Playbook("ready")
    first = playbook.provider.party.engagement.sent[0]
    wrong = forged(playbook.hirer, withdraw(), seen=first)
    assert playbook.provider.party.engagement.peer_saw == 1
    playbook.provider >> receipt()
    playbook.hirer >> offer()
    assert playbook.provider.party.engagement.peer_saw == 2
    later = forged(playbook.hirer, withdraw(), seen=first)
    playbook.refused("conflicting_message", lambda: playbook.provider.party.take(later))
    assert wrong.digest != later.digest


@pytest.mark.parametrize(
    ("state", "said", "move"),
    [("delivered", review("rejected"), closing(basis="silence")), ("working", suspend(), delivery())],
    ids=["a verdict", "a suspension"],
)
@pytest.mark.parametrize("names", ["seen", "of"])
def test_a_peer_does_not_unsee_what_it_acknowledged(state: str, said: Say, move: Say, names: str) -> None:
    """A `Receipt` says what was seen as a move does, by its `seen` and by its `of` (HIRE-CHN-13)."""
    playbook = Playbook(state)
    before = playbook.provider.party.engagement.got[-1]
    playbook.hirer >> said
    playbook.provider >> (receipt(of=()) if names == "seen" else receipt(seen=before))
    unseen = forged(playbook.provider, move, seen=before)
    playbook.refused("conflicting_message", lambda: playbook.hirer.party.take(unseen))


@pytest.mark.parametrize("lost", [False, True])
def test_a_receipt_may_overtake_a_move(lost: bool) -> None:
    """What was made before it is not held to it, whenever that arrives; an older notice takes nothing back."""
    playbook = Playbook("working")
    early = forged(playbook.provider, receipt(), of=())
    playbook.hold()
    playbook.hirer >> suspend()
    made = playbook.provider >> delivery()
    playbook.lose()
    playbook.provider.party.receive(playbook.hirer.party.stored[playbook.hirer.party.engagement.sent[-1]].raw)
    late = playbook.provider >> receipt()
    if lost:
        playbook.hirer.party.take(late)
    playbook.hirer.party.take(early)
    assert playbook.hirer.party.take(made) == "applies"
    playbook.hirer.party.take(late)
    playbook.hirer.party.take(early)
    assert playbook.hirer.party.engagement.peer_saw == len(playbook.hirer.party.engagement.sent)
    playbook.agree("delivered")


def test_what_was_seen_is_known_after_a_move_is_taken_back() -> None:
    """The moves before the refused one were seen all the same (rule N9)."""
    playbook = Playbook("working")
    hirer, provider = playbook.hirer.party, playbook.provider.party
    playbook.hold()
    said = [playbook.hirer >> suspend(), playbook.hirer >> resume()]
    provider.receive(said[0].raw)
    hirer.take(playbook.provider >> receipt())
    hirer.take(forged(playbook.provider, problem(said[1].digest)))
    assert (hirer.state, hirer.engagement.peer_saw) == ("suspended", len(hirer.engagement.sent))


def test_we_decide_only_on_the_latest_position() -> None:
    """C1: a move of ours that has not seen everything recorded was decided on an older position (HIRE-CHN-06)."""
    playbook = Playbook("offered-by-hirer")
    decided = forged(playbook.hirer, withdraw())
    playbook.provider >> acceptance()
    with refuses(LocalProtocolError, "out_of_order"):
        apply(playbook.hirer.party.engagement, Sent(decided, playbook.clock.now()))


def test_our_own_second_content_for_a_place_is_refused() -> None:
    """Seal or withdraw, never both: the fold says so before the store does."""
    playbook = Playbook("accepted-by-provider")
    other = forged(playbook.hirer, withdraw("revoked"))
    said = playbook.hirer >> seal()
    engagement = playbook.hirer.party.engagement
    with refuses(LocalProtocolError, "conflicting_message"):
        apply(engagement, Sent(other, playbook.clock.now()))
    assert apply(engagement, Sent(said, playbook.clock.now())) is engagement


def test_outcome_says_what_apply_does() -> None:
    """Applies, repeat, void, late; or the error that `apply` raises."""
    playbook = Playbook("working")
    provider, hirer = playbook.provider.party, playbook.hirer.party
    playbook.hold()
    said = playbook.provider >> delivery()
    assert outcome(hirer.engagement, said) == "applies"
    ended = playbook.hirer >> terminate("key_compromised")
    assert outcome(hirer.engagement, said) == "void"
    assert outcome(hirer.engagement, ended) == "repeat"
    assert outcome(provider.engagement, ended) == "applies"
    playbook.deliver()
    assert outcome(hirer.engagement, said) == "repeat"
    with pytest.raises(RemoteProtocolError):
        outcome(hirer.engagement, forged(playbook.provider, start()))
    early = Playbook("offered-by-hirer")
    early.hold()
    accepted = early.provider >> acceptance()
    early.hirer >> withdraw()
    assert outcome(early.hirer.party.engagement, accepted) == "late"


def test_a_void_move_takes_its_place_and_moves_nothing() -> None:
    """C7: recorded and receipted; the next move of its sender follows it (HIRE-CHN-09)."""
    playbook = Playbook("working")
    with playbook.held():
        playbook.provider >> delivery()
        playbook.hirer >> terminate("key_compromised")
    hirer, provider = playbook.hirer.party.engagement, playbook.provider.party.engagement
    assert position(hirer) == (position(provider)[1], position(provider)[0])
    assert hirer.contract is not None
    assert hirer.contract.delivery is None
    assert hirer.answered < len(hirer.got)


def test_what_no_earlier_state_allowed_is_not_called_crossed() -> None:
    """C7: an unseen move of ours excuses only what its sender's state before it allowed (HIRE-CHN-11)."""
    playbook = Playbook("working")
    playbook.hold()
    posed = forged(playbook.provider, start(), role=PROVIDER)
    playbook.hirer >> terminate("key_compromised")
    playbook.refused("wrong_state", lambda: playbook.hirer.party.take(posed))


def test_the_error_says_what_was_expected() -> None:
    """Who sent what in which state, and what is legal there (HIRE-ERR-04)."""
    playbook = Playbook("ready")
    posed = forged(playbook.hirer, acceptance())
    with pytest.raises(RemoteProtocolError) as refused:
        playbook.provider.party.take(posed)
    assert refused.value.message == "hirer sent Acceptance in state ready; legal here: Offer, Withdraw"
    assert refused.value.detail["digest"] == posed.digest


def test_notices_take_no_place() -> None:
    """All four, from both sides: chains, state and offer stay as they are (HIRE-CHN-02)."""
    playbook = Playbook("working")
    for side, say in (
        (playbook.provider, receipt()),
        (playbook.provider, progress()),
        (playbook.hirer, sync()),
        (playbook.hirer, problem(ARTIFACT)),
    ):
        before = [(p.engagement.state, position(p.engagement)) for p in playbook.parties.values()]
        side >> say
        assert [(p.engagement.state, position(p.engagement)) for p in playbook.parties.values()] == before


def test_a_notice_states_its_senders_whole_position() -> None:
    """HIRE-CHN-02: its `seen` is a receipt for all up to it; one that contradicts ours, old or new, is refused."""
    playbook = Playbook("offered-by-hirer")
    hirer = playbook.hirer.party
    assert len(hirer.engagement.outbox) == 1
    playbook.provider >> sync()
    assert hirer.engagement.outbox == ()
    liar = forged(playbook.provider, sync(), previous=ARTIFACT)
    playbook.refused("conflicting_message", lambda: hirer.take(liar))
    older = forged(playbook.provider, sync(), sequence=1, previous=ARTIFACT)
    playbook.refused("conflicting_message", lambda: hirer.take(older))
    ahead = forged(playbook.provider, sync(), sequence=7)
    assert hirer.take(ahead) == "applies"
    blind = forged(playbook.provider, sync(), seen=ARTIFACT)
    playbook.refused("ledger_diverged", lambda: hirer.take(blind))


def test_time_never_runs_back() -> None:
    """HIRE-CLK-01: what a clock that was set back dates earlier is recorded at the time of the entry before it."""
    playbook = Playbook("offered-by-hirer")
    engagement = playbook.hirer.party.engagement
    assert engagement.last_at is not None
    earlier = shift(engagement.last_at, -3600)
    for entry in (Noted("done", "x", earlier), Received(forged(playbook.provider, sync()), earlier)):
        assert apply(engagement, entry).last_at == engagement.last_at


def test_a_receipt_for_an_older_move_leaves_the_younger_in_the_outbox() -> None:
    """The outbox keeps what the peer has not said it has, oldest first."""
    playbook = Playbook("accepted-by-provider")
    hirer = playbook.hirer.party
    playbook.hold()
    sealed = playbook.hirer >> seal()
    begun = playbook.hirer >> start()
    playbook.lose()
    assert hirer.engagement.outbox == (sealed.digest, begun.digest)
    playbook.repeat(sealed)
    playbook.provider >> receipt()
    assert hirer.engagement.outbox == (begun.digest,)
    assert len(hirer.engagement.unreceipted) == 1


def test_a_receipt_of_what_was_never_made_counts_for_the_rest() -> None:
    """HIRE-CHN-14."""
    playbook = Playbook("accepted-by-provider")
    hirer = playbook.hirer.party
    sealed = playbook.hirer >> seal()
    assert hirer.engagement.outbox == (sealed.digest,)
    hirer.take(forged(playbook.provider, receipt(), of=(ARTIFACT,), seen=hirer.engagement.sent[-2]))
    assert hirer.engagement.outbox == (sealed.digest,)
    hirer.take(forged(playbook.provider, receipt(), of=(ARTIFACT, sealed.digest), seen=hirer.engagement.sent[-2]))
    assert hirer.engagement.outbox == ()


def test_progress_counts_only_forward() -> None:
    """An old or foreign `Progress` restarts nothing, and no other notice is a sign of life. HIRE-LIF-35."""
    playbook = Playbook("working")
    hirer = playbook.hirer.party
    playbook.advance(60)
    playbook.provider >> progress(2, "second")
    contract = hirer.engagement.contract
    playbook.advance(60)
    playbook.provider >> progress(1, "first")
    hirer.take(forged(playbook.provider, progress(3), contract=ARTIFACT))
    for notice in (receipt(), sync()):
        playbook.provider >> notice
    assert hirer.engagement.contract == contract
    playbook.provider >> progress(3)
    assert hirer.engagement.contract is not None
    assert hirer.engagement.contract.cursor == "second"


def test_a_refusal_for_good_keeps_what_was_noted_and_heard_meanwhile() -> None:
    """HIRE-NEG-19: it takes back our move and what follows; not a hire under the contract, nor a sign of life."""
    child = Child(engagement=f"urn:hire:engagement:{ARTIFACT}", provider=Actor("below").did, task="part", key="one")
    playbook = Playbook("working")
    for side, say in ((playbook.hirer, breach()), (playbook.provider, breach())):
        party, other = side.party, playbook.side(OTHER[side.party.role])
        before = party.engagement
        with playbook.held():
            said = side >> say
            playbook.lose()
        playbook.advance(60)
        party.note("child", encode(child).decode())
        if side is playbook.hirer:
            playbook.provider >> progress(1, "half")
        else:
            party.note("cursor", "half")
        now = party.engagement.contract
        assert now is not None
        other >> problem(said.digest)
        contract = party.engagement.contract
        assert contract is not None
        assert (party.state, party.engagement.sent) == (before.state, before.sent)
        assert contract.breaches == ()
        assert [one.engagement for one in contract.children] == [child.engagement]
        kept = (contract.heard_at, contract.progress, contract.cursor)
        assert kept == (now.heard_at, now.progress, now.cursor)
        assert contract.cursor == "half"


@pytest.mark.parametrize(
    ("state", "role", "say"),
    [
        ("offered-by-hirer", HIRER, withdraw()),
        ("working", HIRER, suspend()),
        ("working", HIRER, cancel()),
        ("working", HIRER, terminate()),
        ("working", PROVIDER, delivery()),
        ("delivered", HIRER, review("rejected")),
        ("closing", HIRER, closing()),
        ("closing", PROVIDER, closing()),
    ],
)
def test_what_ends_narrows_or_judges_stands_whatever_the_peer_says(state: str, role: str, say) -> None:
    """HIRE-NEG-19: or who was told that he may do no more would have it back by saying no."""
    playbook = Playbook(state)
    side, other = playbook.side(role), playbook.side(OTHER[role])
    playbook.hold()
    said = side >> say
    playbook.lose()
    stood = side.state
    other >> problem(said.digest)
    assert (side.state, side.party.engagement.sent[-1]) == (stood, said.digest)


def test_what_stands_does_not_keep_the_place_of_what_was_said_before_it() -> None:
    """HIRE-NEG-19: an offer may be refused although more followed; the peer can have recorded none of it."""
    playbook = Playbook("working")
    party, before = playbook.hirer.party, playbook.hirer.party.engagement
    playbook.hold()
    offered = playbook.hirer >> amendment()
    playbook.hirer >> suspend()
    playbook.lose()
    playbook.provider >> problem(offered.digest)
    assert (party.state, party.engagement.sent) == ("working", before.sent)


def test_what_was_said_before_a_binding_signature_keeps_its_place() -> None:
    """HIRE-NEG-19: the signature is never said again in another place, so a refusal of what precedes it frees none."""
    playbook = Playbook("working")
    playbook.hirer >> amendment()
    party = playbook.provider.party
    with playbook.held():
        said = playbook.provider >> breach()
        playbook.provider >> acceptance()
        playbook.lose()
    stood = party.engagement.sent
    playbook.hirer >> problem(said.digest)
    assert (party.engagement.lane, party.engagement.sent) == ("accepted-by-provider", stood)


def test_facts() -> None:
    """A cursor needs a contract; done and freed are remembered once."""
    playbook = Playbook("ready")
    party = playbook.hirer.party
    party.note("cursor", "nowhere")
    assert party.engagement.contract is None
    party.note("done", "one")
    party.note("done", "one")
    assert party.engagement.done == ("one",)
    assert apply(party.engagement, Noted("freed", "one", party.now)).done == ()


def test_after_so_many_moves_only_what_ends_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engagement can always end (HIRE-LIM-01)."""
    playbook = Playbook("sealed")
    monkeypatch.setattr(fold, "MAX_CONTRACT_MOVES", 7)
    playbook.refused("round_limit", lambda: playbook.hirer >> start())
    playbook.hirer >> terminate("key_compromised")
    playbook.agree("closing")


def test_past_the_limit_a_withdrawal_needs_something_that_it_takes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-LIM-01: one that crossed what ended its offer is void, and of these there would be no end."""
    playbook = Playbook("working")
    with playbook.held():
        playbook.provider >> breach()
        party, receiver = playbook.hirer.party, playbook.provider.party

        def withdrawn() -> VerifiedMessage:
            said = withdraw("declined", offer=ARTIFACT).message(party)
            return party.actor.sign(said, party.now)

        assert outcome(receiver.engagement, withdrawn()) == "void"
        count = len(receiver.engagement.sent) + len(receiver.engagement.got)
        monkeypatch.setattr(fold, "MAX_CONTRACT_MOVES", count)
        with refuses(RemoteProtocolError, "round_limit"):
            apply(receiver.engagement, Received(withdrawn(), receiver.now))


def test_offers_under_a_contract_have_so_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-LIM-01: each side's own, whether they stand, are taken back or are void; the contract goes on without."""
    playbook = Playbook("working")
    size = len((playbook.hirer >> amendment()).raw)
    playbook.hirer >> withdraw("declined")
    so_far = playbook.provider.party.engagement.contract.said_bytes[0]  # type: ignore[union-attr]
    monkeypatch.setattr(fold, "MAX_CONTRACT_BYTES", so_far + size + 500)
    playbook.hirer >> amendment()
    playbook.hirer >> withdraw("declined")
    playbook.refused("too_large", lambda: playbook.hirer >> amendment())
    playbook.provider >> amendment()
    playbook.provider >> withdraw("declined")
    playbook.hirer >> cancel()
    playbook.agree("cancelling")


def test_withdrawals_under_a_contract_count_with_the_offers(monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-LIM-01, HIRE-LIM-05: what is on the table can be withdrawn whatever its size, and then no more is offered;
    nor is anything withdrawn that is not there.
    """
    playbook = Playbook("working")
    needed = tuple([Need(code="x", member=f"/{'m' * 200}") for _ in range(40)])
    monkeypatch.setattr(fold, "MAX_CONTRACT_BYTES", 8000)
    playbook.hirer >> amendment()
    playbook.hirer >> withdraw("declined", needed=needed)
    playbook.refused("too_large", lambda: playbook.hirer >> amendment())
    with playbook.held():
        playbook.provider >> breach()
        party, receiver = playbook.hirer.party, playbook.provider.party
        said = withdraw("declined", offer=ARTIFACT, needed=needed).message(party)
        with refuses(RemoteProtocolError, "too_large"):
            apply(receiver.engagement, Received(party.actor.sign(said, party.now), receiver.now))
    playbook.provider >> amendment()
    playbook.hirer >> withdraw("declined", needed=needed)
    playbook.agree("working")


def test_the_version_chosen_is_kept_to() -> None:
    """After the profile every message names the version that was picked (HIRE-VER-04)."""
    playbook = Playbook("profiled")
    party = playbook.provider.party
    assert party.engagement.talks is not None
    other = replace(party.engagement, talks=replace(party.engagement.talks, version="1.1"))
    with refuses(RemoteProtocolError, "version_not_supported"):
        apply(other, Received(forged(playbook.hirer, presentation()), party.now))


def test_legal_is_what_the_tables_say_now() -> None:
    """The turn, the opener and the rounds are in it."""
    playbook = Playbook("ready")
    assert legal(playbook.hirer.party.engagement, HIRER) == ("Offer", "Withdraw")
    assert legal(playbook.hirer.party.engagement, PROVIDER) == ("Withdraw",)
    assert legal(Playbook("-").hirer.party.engagement, HIRER) == ("Inquiry",)
    assert legal(Playbook("-").hirer.party.engagement, PROVIDER) == ()
    assert legal(Playbook("inquired").hirer.party.engagement, PROVIDER) == ("Profile", "Withdraw")
    assert legal(Playbook("accepted-by-provider").hirer.party.engagement, PROVIDER) == ()
    assert legal(Playbook("working").hirer.party.engagement, PROVIDER) == (
        *("ApprovalRequest", "Delivery", "Breach", "Terminate", "Dispute", "Offer"),
    )
    assert legal(Playbook("closed").hirer.party.engagement, HIRER) == ()
