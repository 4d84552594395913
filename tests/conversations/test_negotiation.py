"""Negotiations as two honest or careless parties hold them, with the clock by hand."""

from __future__ import annotations

import pytest

from undersigned.encoding import shift
from undersigned.protocol import HIRER, PROVIDER, Acknowledge, Finished, Free, Owe, Reserve, owed
from undersigned.testing import (
    Playbook,
    acceptance,
    inquiry,
    minutes,
    offer,
    presentation,
    problem,
    profile,
    receipt,
    seal,
    withdraw,
)


def owes(party) -> list[Owe]:
    return [effect for effect in party.pending() if isinstance(effect, Owe)]


def of_type(party, kind) -> list:
    return [effect for effect in party.pending() if isinstance(effect, kind)]


def test_one_counter_offer_and_a_seal() -> None:
    """The shape of the example: offer, counter-offer, acceptance, seal (HIRE-NEG-01)."""
    playbook = Playbook("-")
    playbook.expect(inquiry(), state="inquired")
    playbook.expect(profile(), state="profiled")
    playbook.expect(presentation(), state="presented")
    playbook.expect(presentation(), state="ready")
    playbook.expect(offer(price="10"), state="offered-by-hirer")
    playbook.expect(offer(price="12"), state="offered-by-provider")
    playbook.expect(acceptance(), state="accepted-by-hirer")
    playbook.expect(seal(), state="sealed")
    for party in playbook.parties.values():
        contract, live = party.engagement.contract, party.engagement.offer
        assert contract is not None
        assert live is not None
        assert contract.digest == live.document
        assert party.offered().terms.price.amount == "12"


def test_a_provider_that_opens_need_not_be_asked_twice() -> None:
    """N1: after its presentation the opening provider owes the offer; the hirer may not make it (HIRE-NEG-02)."""
    playbook = Playbook("ready", first=inquiry(opens=PROVIDER))
    playbook.refused("wrong_party", lambda: playbook.hirer >> offer())
    assert owed(playbook.hirer.party.engagement).who == (PROVIDER,)
    playbook.provider >> offer()
    playbook.hirer >> acceptance()
    playbook.provider >> seal()
    playbook.agree("sealed")


def test_nobody_accepts_or_replaces_its_own_offer() -> None:
    """N2: only the side that does not own the live offer may answer it (HIRE-NEG-05)."""
    playbook = Playbook("offered-by-hirer")
    playbook.refused("wrong_party", lambda: playbook.hirer >> acceptance())
    playbook.refused("wrong_party", lambda: playbook.hirer >> offer())


def test_a_late_acceptance_is_answered() -> None:
    """The offerer's clock decides, and the acceptor always gets a signed answer (HIRE-NEG-09, HIRE-NEG-12)."""
    playbook = Playbook("ready")
    playbook.hirer >> offer(valid_for=minutes(5))
    playbook.advance(minutes(5, seconds=1))
    playbook.provider >> acceptance()
    playbook.expect(withdraw("offer_expired"), state="withdrawn")


def test_a_timely_acceptance_may_not_be_called_late() -> None:
    """N3: what the offerer recorded first decides; it may not hide behind its clock (HIRE-NEG-15)."""
    playbook = Playbook("accepted-by-provider")
    playbook.refused("wrong_state", lambda: playbook.hirer >> withdraw("offer_expired"))
    playbook.refused("wrong_state", lambda: playbook.hirer >> withdraw("declined"))
    playbook.hirer >> withdraw("status_unavailable")
    playbook.agree("withdrawn")


def test_a_slow_offerer_may_still_seal_what_came_in_time() -> None:
    """What counts is when the acceptance was recorded, not when the seal is made; the acceptor may then leave."""
    playbook = Playbook("ready")
    playbook.hirer >> offer(valid_for=minutes(5), seal_grace="PT2M")
    playbook.provider >> acceptance()
    playbook.advance(minutes(7))
    with playbook.held():
        playbook.hirer >> seal()
        playbook.advance(1)
    playbook.agree("sealed")
    contract = playbook.provider.party.engagement.contract
    assert contract is not None
    assert contract.late_seal
    assert "may end it" in owed(playbook.provider.party.engagement).why


@pytest.mark.parametrize(("after", "late"), [(minutes(7), False), (minutes(7, seconds=1), True)])
def test_a_late_seal_is_judged_by_the_acceptor_inclusive(after: int, late: bool) -> None:
    """N5: recorded by `validUntil` and `sealGrace` it is in time (HIRE-NEG-17)."""
    playbook = Playbook("ready")
    playbook.hirer >> offer(valid_for=minutes(5), seal_grace="PT2M")
    playbook.provider >> acceptance()
    playbook.advance(after)
    playbook.hirer >> seal()
    contract = playbook.provider.party.engagement.contract
    assert contract is not None
    assert contract.late_seal is late


def test_withdrawal_and_acceptance_cross() -> None:
    """N3: the offerer withdrew first; its acceptance is late, the acceptor is out of doubt, both have receipts.

    HIRE-NEG-15.
    """
    playbook = Playbook("offered-by-hirer")
    with playbook.held():
        playbook.hirer >> withdraw("changed")
        playbook.provider >> acceptance()
        assert playbook.provider.party.engagement.in_doubt
    playbook.agree("withdrawn")
    hirer = playbook.hirer.party
    assert len(hirer.engagement.got) == len(playbook.provider.party.engagement.sent)
    assert [effect.of for effect in of_type(hirer, Acknowledge)] == [hirer.engagement.got[-1:]]
    playbook.refused("wrong_state", lambda: playbook.provider >> acceptance())


def test_withdrawal_and_counter_offer_cross() -> None:
    """The counter-offer of a withdrawn negotiation is late and moves nothing."""
    playbook = Playbook("offered-by-hirer")
    with playbook.held():
        playbook.provider >> offer()
        playbook.hirer >> withdraw("changed")
    playbook.agree("withdrawn")
    assert playbook.hirer.party.engagement.offer.owner == HIRER


def test_two_withdrawals_cross() -> None:
    """Both end it at once; both are recorded, both sides hold the end."""
    playbook = Playbook("ready")
    with playbook.held():
        playbook.provider >> withdraw("capacity")
        playbook.hirer >> withdraw("changed")
    playbook.agree("withdrawn")
    for party in playbook.parties.values():
        assert len(party.engagement.got) == 3


@pytest.mark.parametrize(
    ("state", "waits", "passed", "reason"),
    [
        ("inquired", HIRER, minutes(10), "no_answer"),
        ("profiled", PROVIDER, minutes(10), "no_answer"),
        ("presented", HIRER, minutes(120), "no_answer"),
        ("ready", PROVIDER, minutes(120), "no_answer"),
        ("offered-by-hirer", HIRER, minutes(11), "offer_expired"),
        ("offered-by-provider", PROVIDER, minutes(11), "offer_expired"),
    ],
)
def test_silence_has_an_end(state: str, waits: str, passed: int, reason: str) -> None:
    """N10, N6: at the deadline nothing happens; a second later the side that waits, and only it, withdraws.

    HIRE-NEG-20, HIRE-OVR-02.
    """
    playbook = Playbook(state)
    waiting = playbook.parties[waits]
    playbook.advance(passed)
    assert not [owe for owe in owes(waiting) if owe.reason]
    playbook.advance(1)
    assert [(owe.moves, owe.reason) for owe in owes(waiting)] == [(("Withdraw",), reason)]
    playbook.expect(withdraw(reason), state="withdrawn")


def test_the_other_side_may_still_counter_an_expired_offer() -> None:
    """N6, N7: an expired offer ends no negotiation; its acceptance is not worth sending any more."""
    playbook = Playbook("offered-by-hirer")
    playbook.advance(minutes(10, seconds=30))
    assert [owe.moves for owe in owes(playbook.provider.party)] == [("Offer", "Withdraw")]
    playbook.provider >> offer()
    playbook.agree("offered-by-provider")


def test_a_person_is_waited_for() -> None:
    """N7: `waiting` moves the offerer's patience to `until`, and everybody sees who is waited for (HIRE-NEG-10)."""
    playbook = Playbook("offered-by-hirer")
    until = shift(playbook.clock.now(), minutes(30))
    playbook.provider >> receipt(waiting_until=until)
    assert owed(playbook.hirer.party.engagement).why == f"waits for person until {until}"
    playbook.advance(minutes(30))
    assert owes(playbook.hirer.party) == []
    playbook.advance(1)
    assert [owe.reason for owe in owes(playbook.hirer.party)] == ["offer_expired"]


def test_patience_ends_with_the_negotiation() -> None:
    """`closesAt` bounds what a person may take, but an offer is never withdrawn by the clock before its own end."""
    playbook = Playbook("ready")
    playbook.hirer >> offer(valid_for=minutes(150))
    playbook.provider >> receipt(waiting_until=shift(playbook.clock.now(), minutes(400)))
    playbook.advance(minutes(150))
    assert owes(playbook.hirer.party) == []
    playbook.advance(1)
    assert [owe.reason for owe in owes(playbook.hirer.party)] == ["offer_expired"]


def test_a_refused_move_frees_its_place() -> None:
    """N9: after a final `Problem` its sender is where it was and may put another move there (HIRE-NEG-19)."""
    playbook = Playbook("ready")
    hirer = playbook.hirer.party
    before = hirer.engagement
    playbook.hold()
    refused = playbook.hirer >> offer(price="1")
    playbook.lose()
    playbook.provider >> problem(refused.digest)
    assert (hirer.state, hirer.engagement.sent) == (before.state, before.sent)
    assert [effect.digest for effect in of_type(hirer, Free)] == [refused.digest]
    playbook.hirer >> offer(price="12")
    playbook.agree("offered-by-hirer")


@pytest.mark.parametrize(("state", "move"), [("offered-by-hirer", acceptance), ("accepted-by-provider", seal)])
def test_a_binding_signature_is_not_taken_back_by_an_error(state: str, move) -> None:
    """N9: a final `Problem` about an acceptance or a seal frees nothing (HIRE-NEG-19, HIRE-NEG-12)."""
    playbook = Playbook(state)
    side, other = (playbook.provider, playbook.hirer) if move is acceptance else (playbook.hirer, playbook.provider)
    playbook.hold()
    said = side >> move()
    playbook.lose()
    state = side.state
    other >> problem(said.digest)
    assert side.state == state
    assert side.party.engagement.sent[-1] == said.digest
    playbook.refused("conflicting_message", lambda: side.party.take(_again(side.party, said)))


def _again(party, said):
    """The other side has recorded the move after all and says so: the chain must still have it."""
    from undersigned.testing import sync

    other = party.peer
    posed = sync(
        sender=party.engagement.peer,
        recipient=party.engagement.own,
        role="provider" if party.role == "hirer" else "hirer",
        sequence=len(party.engagement.got),
        previous=said.digest,
        seen=said.digest,
    ).message(party)
    return other.sign(posed, party.now)


def test_a_problem_about_a_recorded_move_frees_nothing() -> None:
    """Once its receipt is in, a move stands, whatever the peer says afterwards."""
    playbook = Playbook("ready")
    said = playbook.hirer >> offer()
    playbook.provider >> receipt()
    playbook.provider >> problem(said.digest)
    playbook.agree("offered-by-hirer")


def test_capacity_is_reserved_for_what_was_signed_and_freed_after() -> None:
    """N5, N6: an offer holds until `validUntil`, an acceptance until its answer, a contract until its end.

    HIRE-NEG-21.
    """
    playbook = Playbook("ready")
    hirer, provider = playbook.hirer.party, playbook.provider.party
    first = playbook.hirer >> offer(valid_for=minutes(5))
    held = of_type(hirer, Reserve)
    assert [(one.name, one.digest) for one in held] == [("offer", first.digest)]
    assert held[0].until == shift(playbook.clock.now(), minutes(5))
    assert of_type(provider, Reserve) == []
    second = playbook.provider >> offer(valid_for=minutes(5))
    assert [one.digest for one in of_type(hirer, Free)] == [first.digest]
    hirer.note("freed", first.digest)
    assert of_type(hirer, Free) == []
    playbook.advance(minutes(5, seconds=1))
    assert [one.digest for one in of_type(provider, Free)] == [second.digest]
    playbook.hirer >> offer(valid_for=minutes(5), price="11")
    playbook.provider >> acceptance()
    assert [one.name for one in of_type(provider, Reserve)] == ["acceptance"]
    playbook.hirer >> seal()
    for party in (hirer, provider):
        assert [one.name for one in of_type(party, Reserve)] == ["contract"]
    done = of_type(hirer, Reserve)[0].key
    hirer.note("done", done)
    assert of_type(hirer, Reserve) == []


def test_a_withdrawn_negotiation_holds_nothing_and_finishes() -> None:
    """When both have each other's moves, nothing is owed and nothing held."""
    playbook = Playbook("offered-by-hirer")
    playbook.provider >> withdraw("declined")
    hirer, provider = playbook.hirer.party, playbook.provider.party
    assert [one.digest for one in of_type(hirer, Free)] == [hirer.engagement.sent[-1]]
    assert of_type(hirer, Finished) == []
    playbook.hirer >> receipt()
    assert len(of_type(hirer, Finished)) == 1
    assert len(of_type(provider, Finished)) == 1
    assert owed(provider.engagement).who == ()


def test_a_problem_about_an_answered_move_frees_nothing() -> None:
    """The peer's own answer has seen the move; it cannot be unsaid afterwards (HIRE-NEG-19)."""
    playbook = Playbook("ready")
    said = playbook.hirer >> offer()
    playbook.provider >> offer()
    playbook.provider >> problem(said.digest)
    playbook.agree("offered-by-provider")
