"""Contracts from seal to closing, on every path that the core class has."""

from __future__ import annotations

import pytest

from undersigned.encoding import Digest, shift
from undersigned.messages import CriterionVerdict
from undersigned.protocol import HIRER, PROVIDER, Acknowledge, Finished, Owe, Repeat, Work, basis, owed
from undersigned.testing import (
    ARTIFACT,
    Playbook,
    Say,
    acceptance,
    cancel,
    closing,
    delivery,
    dispute,
    minutes,
    offer,
    progress,
    receipt,
    resume,
    review,
    seal,
    start,
    terminate,
)


def owes(party) -> list[Owe]:
    return [effect for effect in party.pending() if isinstance(effect, Owe)]


def work(party) -> list[Work]:
    return [effect for effect in party.pending() if isinstance(effect, Work)]


def both_close(playbook: Playbook, rests_on: str) -> None:
    """Both say what it rests on, and both books are closed."""
    for party in playbook.parties.values():
        assert basis(party.engagement) == rests_on
    playbook.expect(closing(), closing(), state="closed")


def test_work_delivered_accepted_and_closed() -> None:
    """The straight way (HIRE-LIF-01)."""
    playbook = Playbook("sealed")
    playbook.expect(start(), state="working")
    assert [effect.round for effect in work(playbook.provider.party)] == [1]
    assert work(playbook.hirer.party) == []
    playbook.expect(delivery(), state="delivered")
    assert work(playbook.provider.party) == []
    playbook.expect(review("accepted"), state="closing")
    both_close(playbook, "review")
    playbook.hirer >> receipt()
    for party in playbook.parties.values():
        assert any(isinstance(effect, Finished) for effect in party.pending())


def test_rework_is_asked_for_as_often_as_agreed() -> None:
    """Each round is work of its own, with its own key and number; one more is refused (HIRE-LIF-05, HIRE-LIF-06)."""
    playbook = Playbook("ready")
    playbook.hirer >> offer(reworks=1)
    playbook.provider >> acceptance()
    playbook.hirer >> seal()
    playbook.hirer >> start()
    first = work(playbook.provider.party)
    playbook.provider >> delivery()
    playbook.hirer >> review("rework")
    playbook.agree("working")
    second = work(playbook.provider.party)
    assert [effect.round for effect in first + second] == [1, 2]
    assert first[0].key != second[0].key
    playbook.refused("terms_mismatch", lambda: playbook.provider >> delivery(round=1))
    playbook.provider >> delivery()
    playbook.refused("round_limit", lambda: playbook.hirer >> review("rework"))
    playbook.hirer >> review("rejected")
    both_close(playbook, "review")


def test_a_cancelled_contract_winds_down() -> None:
    """The provider hands over what there is; the hirer still reviews it."""
    playbook = Playbook("working")
    playbook.hirer >> cancel()
    assert not playbook.provider.party.engagement.authority
    assert work(playbook.provider.party) == []
    playbook.expect(delivery("cancelled"), state="delivered")
    playbook.hirer >> review("accepted")
    both_close(playbook, "review")


def test_a_contract_cancelled_before_its_start_winds_down_too() -> None:
    """`sealed` may be cancelled; a delivery of nothing follows."""
    playbook = Playbook("sealed")
    playbook.hirer >> cancel()
    playbook.provider >> delivery("cancelled")
    playbook.agree("delivered")


def test_a_silent_hirer_is_closed_over() -> None:
    """At `review` nothing yet; a second later the provider closes by silence, and a late review is void.

    HIRE-LIF-07.
    """
    playbook = Playbook("delivered")
    playbook.advance(minutes(120))
    playbook.refused("wrong_state", lambda: playbook.provider >> closing())
    assert owes(playbook.provider.party) == []
    playbook.advance(1)
    with playbook.held():
        playbook.expect(closing())
        playbook.hirer >> review("rejected")
    playbook.agree("closing")
    for party in playbook.parties.values():
        assert basis(party.engagement) == "silence"
    playbook.hirer >> closing()
    playbook.agree("closed")


def test_a_closing_by_silence_crosses_a_rework() -> None:
    """The provider had not seen the review: its closing stands, the rework is void."""
    playbook = Playbook("delivered")
    playbook.advance(minutes(121))
    with playbook.held():
        playbook.hirer >> review("rework")
        playbook.provider >> closing()
    playbook.agree("closing")


def test_a_seen_rework_is_not_closed_over() -> None:
    """After it has seen the review the provider works; silence is no basis any more."""
    playbook = Playbook("delivered")
    playbook.advance(minutes(121))
    playbook.hirer >> review("rework")
    playbook.refused("wrong_state", lambda: playbook.provider >> closing(basis="silence"))
    posed = playbook.provider.forge(closing(basis="silence"))
    playbook.refused("wrong_state", lambda: playbook.hirer.party.take(posed))


def _crossing(*before: Say, unseen: Say) -> tuple[Playbook, Digest]:
    """The hirer has said all of these, and the provider has heard all but the last; with what it heard last."""
    playbook = Playbook("delivered" if before else "working")
    heard = [playbook.hirer >> say for say in before]
    playbook.hold()
    playbook.hirer >> unseen
    return playbook, heard[-1].digest if heard else playbook.provider.party.engagement.got[-1]


@pytest.mark.parametrize(
    ("before", "unseen", "became", "rests_on"),
    [
        ((review("rejected"),), closing(), "applies", "review"),
        ((review("rejected"),), dispute(), "void", "review"),
        ((review("rework"),), dispute(), "void", None),
        ((), terminate("key_compromised"), "applies", "terminate"),
    ],
    ids=["after the verdict", "after the verdict, disputed", "after a rework, disputed", "before any delivery"],
)
def test_who_waits_for_no_review_closes_by_no_silence(before, unseen: Say, became: str, rests_on: str | None) -> None:
    """Whatever of the hirer's it crosses: it has seen the `Review`, or delivered nothing (HIRE-LIF-11)."""
    playbook, seen = _crossing(*before, unseen=unseen)
    posed = playbook.provider.forge(closing(basis="silence", seen=seen))
    assert playbook.hirer.party.take(posed) == became
    assert basis(playbook.hirer.party.engagement) == rests_on


def test_a_second_closing_is_none_by_silence() -> None:
    """HIRE-LIF-08: it is refused, though it crossed the one that closed the contract, and says nothing about how that
    ended.
    """
    playbook = Playbook("closing")
    seen = playbook.provider.party.engagement.got[-1]
    playbook.provider >> closing()
    playbook.hold()
    playbook.hirer >> closing()
    posed = playbook.provider.forge(closing(basis="silence", seen=seen))
    playbook.refused("wrong_state", lambda: playbook.hirer.party.take(posed))
    assert basis(playbook.hirer.party.engagement) == "review"


def test_a_delivery_crosses_a_cancel() -> None:
    """The delivery stands, the cancel is void (HIRE-LIF-12)."""
    playbook = Playbook("working")
    with playbook.held():
        playbook.hirer >> cancel()
        playbook.provider >> delivery()
    playbook.agree("delivered")


def test_a_delivery_crosses_a_termination() -> None:
    """It is evidence for the closing and no delivery; the state is the same on both sides (HIRE-LIF-12)."""
    playbook = Playbook("working")
    with playbook.held():
        playbook.hirer >> terminate("key_compromised")
        playbook.provider >> delivery()
    playbook.agree("closing")
    both_close(playbook, "terminate")


def test_two_terminations_cross_and_both_causes_are_kept() -> None:
    """State is the same whatever the order, and neither cause is lost (HIRE-LIF-11)."""
    playbook = Playbook("working")
    with playbook.held():
        playbook.hirer >> terminate("key_compromised")
        playbook.provider >> terminate("unable")
    playbook.agree("closing")
    for party in playbook.parties.values():
        contract = party.engagement.contract
        assert contract is not None
        assert {(ending.role, ending.detail) for ending in contract.endings} == {
            (HIRER, "key_compromised"),
            (PROVIDER, "unable"),
        }


def test_a_review_is_stronger_than_a_termination_that_crossed_it() -> None:
    """Both sides come to the same basis (HIRE-LIF-11)."""
    playbook = Playbook("delivered")
    with playbook.held():
        playbook.hirer >> review("accepted")
        playbook.provider >> terminate("key_compromised")
    playbook.agree("closing")
    both_close(playbook, "review")


@pytest.mark.parametrize(
    ("state", "waits", "passed", "move", "reason"),
    [
        ("sealed", PROVIDER, minutes(60), terminate, "deadline"),
        ("cancelling", HIRER, minutes(10), terminate, "deadline"),
        ("delivered", PROVIDER, minutes(120), closing, "silence"),
    ],
)
def test_a_deadline_gives_the_side_that_waits_its_move(state, waits, passed, move, reason) -> None:
    """At the instant itself nothing has passed; a second later there is one thing to say (HIRE-LIF-09, HIRE-OVR-02)."""
    playbook = Playbook(state)
    party = playbook.parties[waits]
    playbook.advance(passed)
    assert [owe for owe in owes(party) if owe.reason] == []
    say = move("deadline") if move is terminate else move()
    playbook.refused("wrong_state", lambda: playbook.side(waits) >> say)
    playbook.advance(1)
    assert [owe.reason for owe in owes(party)] == [reason]
    playbook.expect(say, state="closing")


def test_the_finish_is_kept_alive_by_heartbeats() -> None:
    """Progress restarts the heartbeat timer; the finish stays what it is."""
    playbook = Playbook("working")
    hirer = playbook.hirer.party
    for number in range(1, 6):
        playbook.advance(minutes(29))
        assert owes(hirer) == []
        playbook.provider >> progress(number, cursor=f"item {number}")
    playbook.advance(minutes(30))
    assert owes(hirer) == []
    playbook.advance(1)
    assert [owe.reason for owe in owes(hirer)] == ["deadline"]
    playbook.provider >> progress(6)
    assert owes(hirer) == []
    playbook.clock.set(hirer.engagement.offer.terms.deadlines.finish)
    playbook.provider >> progress(7)
    assert owes(hirer) == []
    playbook.advance(1)
    playbook.expect(terminate("deadline"), state="closing")


def test_an_expired_contract_is_ended_by_the_hirer_and_an_hour_later_by_the_provider() -> None:
    """`until` in a state where nothing else ends it sooner."""
    playbook = Playbook("sealed")
    deadlines = playbook.hirer.party.engagement.offer.terms.deadlines
    playbook.clock.set(deadlines.until)
    assert [owe for owe in owes(playbook.hirer.party) if owe.reason] == []
    playbook.advance(1)
    assert [owe.reason for owe in owes(playbook.hirer.party)] == ["deadline"]
    playbook.hirer >> terminate("deadline")
    playbook.agree("closing")


def test_a_late_start_is_taken_and_gives_the_provider_its_right() -> None:
    """No state splits by the clock: the start is recorded, and what is owed is the termination.

    HIRE-OVR-02.

    HIRE-LIF-16.
    """
    playbook = Playbook("sealed")
    playbook.advance(minutes(60))
    playbook.hold()
    playbook.hirer >> start()
    playbook.advance(1)
    playbook.deliver()
    provider = playbook.provider.party
    playbook.agree("working")
    assert [(owe.moves, owe.reason) for owe in owes(provider)] == [(("Terminate",), "deadline")]
    assert work(provider) == []


def test_nobody_starts_late_or_early_itself() -> None:
    """`notBefore` and `start` bind the hirer by its own clock (HIRE-LIF-04)."""
    playbook = Playbook("sealed")
    playbook.advance(minutes(60, seconds=1))
    playbook.refused("contract_expired", lambda: playbook.hirer >> start())
    assert [owe.moves for owe in owes(playbook.hirer.party)] == [("Cancel",)]


def test_a_start_with_foreign_inputs_is_refused() -> None:
    """Inputs as contracted, and no others (HIRE-LIF-04)."""
    from undersigned.messages import Input

    playbook = Playbook("sealed")
    other = Input(name="other", digest=playbook.hirer.party.engagement.sent[0])
    playbook.refused("terms_mismatch", lambda: playbook.hirer >> start(inputs=(other,)))


@pytest.mark.parametrize(
    ("role", "cause", "code"),
    [
        (HIRER, "unable", "wrong_party"),
        (PROVIDER, "convenience", "terms_mismatch"),
        (HIRER, "breach", "wrong_state"),
        (HIRER, "no_ruling", "wrong_state"),
        (HIRER, "late_seal", "wrong_party"),
        (PROVIDER, "late_seal", "wrong_state"),
        (HIRER, "deadline", "wrong_state"),
        (HIRER, "parent", "terms_mismatch"),
        (PROVIDER, "parent", "wrong_party"),
    ],
)
def test_a_cause_that_the_contract_does_not_allow(role: str, cause: str, code: str) -> None:
    """Each cause to the side, and at the time, that has it (HIRE-LIF-10)."""
    playbook = Playbook("sealed")
    playbook.refused(code, lambda: playbook.side(role) >> terminate(cause))


@pytest.mark.parametrize("cause", ["revoked", "key_compromised"])
@pytest.mark.parametrize("role", [HIRER, PROVIDER])
@pytest.mark.parametrize("state", ["sealed", "working", "cancelling", "delivered"])
def test_a_cause_of_either_side_ends_it(state: str, role: str, cause: str) -> None:
    """Whoever says it, from wherever, both close."""
    playbook = Playbook(state)
    playbook.side(role) >> terminate(cause)
    playbook.agree("closing")
    both_close(playbook, "terminate")


def test_moves_about_another_contract_are_refused() -> None:
    """The contract is named by the digest under which it was sealed."""
    playbook = Playbook("working")
    playbook.refused("conflicting_contract", lambda: playbook.hirer >> cancel(contract=ARTIFACT))
    playbook.refused("conflicting_contract", lambda: playbook.provider >> delivery(contract=ARTIFACT))
    playbook.refused("conflicting_contract", lambda: playbook.provider >> terminate("unable", contract=ARTIFACT))
    playbook.provider >> delivery()
    playbook.refused("terms_mismatch", lambda: playbook.hirer >> review(delivery=ARTIFACT))
    playbook.refused("terms_mismatch", lambda: playbook.hirer >> review(criteria=()))
    twice = (CriterionVerdict(id="complete", met=True), CriterionVerdict(id="complete", met=False))
    playbook.refused("terms_mismatch", lambda: playbook.hirer >> review(criteria=twice))  # HIRE-LIF-06
    playbook.hirer >> review()
    playbook.refused("conflicting_contract", lambda: playbook.hirer >> closing(contract=ARTIFACT))


def test_each_side_closes_once_and_one_is_enough_after_the_deadline() -> None:
    """After `close` the books of the side that closed are done; the state stays (HIRE-LIF-08)."""
    playbook = Playbook("closing")
    hirer = playbook.hirer.party
    playbook.hirer >> closing()
    playbook.provider >> receipt()
    playbook.refused("wrong_state", lambda: playbook.hirer >> closing())
    assert owed(hirer.engagement).who == (PROVIDER,)
    playbook.advance(minutes(60))
    assert not any(isinstance(effect, Finished) for effect in hirer.pending())
    playbook.advance(1)
    assert any(isinstance(effect, Finished) for effect in hirer.pending())
    playbook.agree("closing")
    playbook.provider >> closing()
    playbook.agree("closed")


def test_a_closing_that_the_peer_may_not_have_is_repeated_for_a_day() -> None:
    """Both may have ended the contract on a line that was down; when it is up, each still gets the other's story."""
    playbook = Playbook("closing")
    hirer = playbook.hirer.party
    playbook.hirer >> closing()
    playbook.advance(minutes(60) + 1)
    assert not any(isinstance(effect, Finished) for effect in hirer.pending())
    assert any(isinstance(effect, Repeat) for effect in hirer.pending())
    playbook.advance(minutes(60 * 23))
    assert any(isinstance(effect, Finished) for effect in hirer.pending())


def test_work_resumes_at_its_cursor_after_a_crash() -> None:
    """The last cursor sent or noted is in the journal; the key stays, so it is the same work.

    HIRE-LIF-13, HIRE-LIF-15.
    """
    playbook = Playbook("working")
    provider = playbook.provider.party
    before = work(provider)
    playbook.provider >> progress(1, cursor="7 of 12")
    provider.note("cursor", "8 of 12")
    playbook.crash(PROVIDER)
    after = work(provider)
    assert [effect.cursor for effect in before + after] == [None, "8 of 12"]
    assert before[0].key == after[0].key
    assert after[0].start == playbook.hirer.party.engagement.sent[-1]


def test_a_start_is_receipted_because_its_answer_takes_long() -> None:
    """C5: an answer may take a second; a closing has none, so its receipt is due at once (HIRE-CHN-08)."""
    playbook = Playbook("sealed")
    provider = playbook.provider.party
    assert [effect.due for effect in provider.pending() if isinstance(effect, Acknowledge)] == [provider.now]
    playbook.provider >> receipt()
    playbook.hirer >> start()
    due = [effect for effect in provider.pending() if isinstance(effect, Acknowledge)]
    assert due == []
    playbook.advance(1)
    due = [effect for effect in provider.pending() if isinstance(effect, Acknowledge)]
    assert [(effect.of, effect.due) for effect in due] == [(provider.engagement.got[-1:], provider.now)]
    playbook.provider >> receipt()
    assert not any(isinstance(effect, Acknowledge) for effect in provider.pending())
    assert playbook.hirer.party.engagement.outbox == ()


def test_not_before_holds_back_start_and_work() -> None:
    """The hirer owes no `Start` before it, and may not send one."""
    from msgspec.structs import replace

    from undersigned.testing import terms_for

    playbook = Playbook("ready")
    terms = terms_for(playbook.hirer.party)
    opens = shift(playbook.clock.now(), minutes(20))
    terms = replace(terms, deadlines=replace(terms.deadlines, not_before=opens))
    playbook.hirer >> offer(terms=terms)
    playbook.provider >> acceptance()
    playbook.hirer >> seal()
    hirer = playbook.hirer.party
    assert [owe.moves for owe in owes(hirer)] == [("Cancel",)]
    playbook.refused("wrong_state", lambda: playbook.hirer >> start())
    playbook.clock.set(opens)
    assert [owe.moves for owe in owes(hirer)] == [("Start", "Cancel")]
    provider = playbook.provider.party
    provider.clock = playbook.clock.skewed(-30)
    playbook.hirer >> start()
    assert work(provider) == []
    playbook.advance(30)
    assert len(work(provider)) == 1


def test_a_rework_is_a_fresh_round() -> None:
    """It starts without the old cursor, and its heartbeat and deadline count from the review."""
    playbook = Playbook("working")
    provider, hirer = playbook.provider.party, playbook.hirer.party
    playbook.provider >> progress(1, cursor="last of the first round")
    playbook.provider >> delivery()
    playbook.advance(minutes(60))
    playbook.hirer >> review("rework")
    assert [effect.cursor for effect in work(provider)] == [None]
    playbook.advance(minutes(30))
    assert owes(hirer) == []
    playbook.advance(1)
    assert [owe.reason for owe in owes(hirer)] == ["deadline"]
    playbook.provider >> progress(2)
    for number in range(3, 11):
        playbook.advance(minutes(26))
        playbook.provider >> progress(number)
    assert owes(hirer) == []
    playbook.clock.set(shift(hirer.engagement.since, minutes(4 * 60)))
    assert owes(hirer) == []
    playbook.advance(1)
    assert [owe.reason for owe in owes(hirer)] == ["deadline"]


def test_after_a_delivery_the_end_of_the_contract_is_a_right_and_no_duty() -> None:
    """What is owed there is the review, which has a deadline of its own; `until` may be used all the same."""
    playbook = Playbook("suspended")  # `finish` moves by as long, and `until` does not
    hirer = playbook.hirer.party
    until = hirer.engagement.offer.terms.deadlines.until
    playbook.clock.set(shift(until, -minutes(60)))
    playbook.hirer >> resume()
    playbook.provider >> delivery()
    playbook.clock.set(until)
    playbook.refused("wrong_state", lambda: playbook.hirer >> terminate("deadline"))
    playbook.advance(1)
    assert [owe.moves for owe in owes(hirer)] == [("Review",)]
    playbook.hirer >> terminate("deadline")
    playbook.agree("closing")


def test_authority_begins_at_the_later_and_ends_at_the_earlier() -> None:
    """The hirer's side goes by what it has sent, the provider's by what it has received (HIRE-LIF-03)."""
    playbook = Playbook("sealed")
    hirer, provider = playbook.hirer.party, playbook.provider.party

    def both() -> bool:
        return hirer.engagement.authority and provider.engagement.authority

    playbook.hold()
    playbook.hirer >> start()
    assert (hirer.engagement.authority, provider.engagement.authority) == (True, False)
    playbook.deliver()
    assert both()
    playbook.hold()
    playbook.hirer >> cancel()
    assert (hirer.engagement.authority, provider.engagement.authority) == (False, True)
    assert not both()
