"""What holds at the last instant and no longer a second after it, and what each half of a condition is there for."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from undersigned.encoding import shift
from undersigned.protocol import (
    HIRER,
    PROVIDER,
    Missed,
    Owe,
    Received,
    Role,
    Work,
    early,
    legal,
    missed_since,
    outcome,
    pending,
    presence,
    rights,
    wake_at,
)
from undersigned.testing import (
    PATHS,
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
    progress,
    release,
    review,
    ruling,
    seal,
    suspend,
    terminate,
    withdraw,
)
from undersigned.testing.moves import terms_for

HOUR, DAY = minutes(60), minutes(24 * 60)


def owes(party) -> list[tuple[tuple[str, ...], str | None]]:
    return [(effect.moves, effect.reason) for effect in party.pending() if isinstance(effect, Owe)]


@pytest.mark.parametrize(("after", "late"), [(minutes(10), False), (minutes(10) + 1, True)])
def test_a_change_is_accepted_in_time_until_its_last_instant(after: int, late: bool) -> None:
    """By the offerer's clock; then a seal is no answer any more, and a withdrawal for being late is (HIRE-LAN-03)."""
    playbook = Playbook("working")
    playbook.hirer >> amendment(valid_for=minutes(10))
    playbook.hold()
    accepted = playbook.provider >> acceptance()
    playbook.advance(after)
    hirer = playbook.hirer.party
    assert hirer.take(accepted) == "applies"
    assert ("Seal" in legal(hirer.engagement, HIRER)) == (not late)
    assert [moves for moves, _ in owes(hirer) if "Withdraw" in moves] == [
        ("Withdraw",) if late else ("Seal", "Withdraw")
    ]
    playbook.refused(
        "offer_expired" if late else "wrong_state",
        lambda: playbook.hirer >> (seal() if late else withdraw("offer_expired")),
    )


def test_an_offer_of_a_change_is_taken_back_when_nobody_answers() -> None:
    """A minute after its end and not before; who was asked is asked until that end."""
    playbook = Playbook("working")
    playbook.hirer >> amendment(valid_for=minutes(10))
    hirer, provider = playbook.hirer.party, playbook.provider.party
    tabled = hirer.engagement.tabled
    assert tabled is not None
    ends = tabled.valid_until
    answer, back = ("Offer", "Acceptance", "Withdraw"), ("Withdraw",)

    def asked(party, at: str) -> list[tuple[str, ...]]:
        return [one.moves for one in pending(party.engagement, at) if isinstance(one, Owe) and one.about is not None]

    assert asked(provider, ends) == [answer]
    assert asked(provider, shift(ends, 1)) == []
    assert asked(hirer, shift(ends, 60)) == []
    assert asked(hirer, shift(ends, 61)) == [back]
    woken = wake_at(provider.engagement, shift(ends, -1))
    assert woken == shift(ends, 1)
    assert wake_at(hirer.engagement, shift(ends, 60)) == shift(ends, 61)


@pytest.mark.parametrize(("after", "granted"), [(minutes(30), True), (minutes(30) + 1, False)])
def test_an_approval_counts_until_the_last_instant_of_its_answer(after: int, granted: bool) -> None:
    """By the clock of the provider, which waited (HIRE-LIF-19)."""
    playbook = Playbook("working")
    playbook.provider >> approval_request()
    playbook.provider >> approval_request(clause="write")
    playbook.hold()
    answered = playbook.hirer >> approval()
    playbook.advance(after)
    provider = playbook.provider.party
    provider.take(answered)
    contract = provider.engagement.contract
    assert contract is not None
    first, *others = (one.move for one in contract.asked) if granted else ("", *(one.move for one in contract.asked))
    assert [one.request for one in contract.approvals()] == ([first] if granted else [])
    assert [one.move for one in contract.open_requests()] == others  # the other question is open as before
    assert len(others) == 1


def test_a_refused_question_is_over_and_gives_nothing() -> None:
    """Silence, and a no, are no (HIRE-LIF-19)."""
    playbook = Playbook("working")
    playbook.provider >> approval_request()
    assert "Approval" in legal(playbook.hirer.party.engagement, HIRER)
    playbook.hirer >> approval(granted=False)
    for party in playbook.parties.values():
        contract = party.engagement.contract
        assert contract is not None
        assert (contract.asked, contract.approvals()) == ((), ())


def test_what_was_granted_asks_for_no_other_answer() -> None:
    """The question stays known, since the gate asks for it; it is not open any more."""
    playbook = Playbook("working")
    playbook.provider >> approval_request()
    playbook.hirer >> approval()
    hirer = playbook.hirer.party
    contract = hirer.engagement.contract
    assert contract is not None
    assert len(contract.asked) == len(contract.approvals()) == 1
    assert "Approval" not in legal(hirer.engagement, HIRER)
    assert ("Approval",) not in [moves for moves, _ in owes(hirer)]


def test_an_open_question_wakes_the_side_that_answers() -> None:
    """Though no document is on the table; a second after `answerBy` there is nothing to answer."""
    playbook = Playbook("working")
    playbook.provider >> approval_request(answer_by=shift(playbook.clock.now(), minutes(7)))
    hirer = playbook.hirer.party
    until = shift(hirer.now, minutes(7))
    at = wake_at(hirer.engagement)
    while at is not None and at <= until:
        at = wake_at(hirer.engagement, at)
    assert at == shift(until, 1)
    assert [one.moves for one in pending(hirer.engagement, until) if isinstance(one, Owe)] == [("Approval",)]
    assert [one for one in pending(hirer.engagement, at) if isinstance(one, Owe)] == []


def test_who_has_closed_its_books_closes_them_once() -> None:
    """Of the two only the other one may, and it is the only one that is asked."""
    playbook = Playbook("closing")
    playbook.hirer >> closing()
    for party in playbook.parties.values():
        assert "Closing" not in legal(party.engagement, HIRER)
        assert "Closing" in legal(party.engagement, PROVIDER)
    assert owes(playbook.hirer.party) == []


def test_a_dispute_that_crosses_a_release_moves_nothing() -> None:
    """Both let each other go: what had not seen it is void (HIRE-LAN-05)."""
    playbook = Playbook("delivered")
    playbook.hirer >> release()
    playbook.provider >> acceptance()
    with playbook.held():
        playbook.hirer >> seal()
        disputed = playbook.provider >> dispute()
        assert outcome(playbook.hirer.party.engagement, disputed) == "void"
    playbook.agree("closing")
    for party in playbook.parties.values():
        contract = party.engagement.contract
        assert contract is not None
        assert contract.released


def test_a_release_is_agreed_on_in_a_dispute_as_well() -> None:
    """And no amendment: nothing is worked on meanwhile (HIRE-LAN-04)."""
    playbook = Playbook("disputed")
    playbook.refused("wrong_state", lambda: playbook.hirer >> amendment())
    playbook.hirer >> release()
    assert set(legal(playbook.provider.party.engagement, PROVIDER)) >= {"Acceptance", "Withdraw"}
    playbook.provider >> acceptance()
    playbook.hirer >> seal()
    playbook.agree("closing")
    idle = Playbook("working").provider.party.engagement
    assert not {"Acceptance", "Seal"} & set(legal(idle, PROVIDER))


@pytest.mark.parametrize("state", [state for state in PATHS if state != "working"])
def test_a_heartbeat_is_owed_in_working_alone_and_to_the_hirer(state: str) -> None:
    """Nobody else misses one (HIRE-LIF-24)."""
    for party in Playbook(state).parties.values():
        assert missed_since(party.engagement) is None
        assert presence(party.engagement, shift(party.now, DAY)).word == "here"


def test_a_heartbeat_is_missed_a_second_after_its_time() -> None:
    """It counts from when the provider was heard last, and each word of it counts anew."""
    playbook = Playbook("working")
    hirer, provider = playbook.hirer.party, playbook.provider.party
    began = hirer.now
    assert missed_since(provider.engagement) is None
    assert presence(provider.engagement, shift(began, DAY)).word == "here"

    def missing(at: str) -> list[str]:
        return [one.since for one in pending(hirer.engagement, at) if isinstance(one, Missed)]

    assert missing(shift(began, minutes(10))) == []
    assert missing(shift(began, minutes(10) + 1)) == [began]
    assert wake_at(hirer.engagement, shift(began, minutes(10))) == shift(began, minutes(10) + 1)
    playbook.advance(minutes(9))
    playbook.provider >> progress()
    heard = hirer.now
    assert missed_since(hirer.engagement) == (heard, shift(heard, minutes(10) + 1))
    assert missing(shift(heard, minutes(10))) == []
    for after, word, missed in ((600, "here", 0), (601, "silent", 1), (1800, "silent", 2), (1801, "gone", 3)):
        seen = presence(hirer.engagement, shift(heard, after))
        assert (seen.word, seen.missed, seen.gone_after) == (word, missed, shift(heard, 1800)), after
        assert seen.since == (heard if missed else None)
    away = presence(hirer.engagement, shift(heard, 60), lost_at=shift(heard, 30))
    assert (away.word, away.since) == ("offline", shift(heard, 30))


def test_work_begins_with_the_start_and_not_before_the_time_that_was_agreed() -> None:
    """It is the provider's alone."""
    playbook = Playbook("working")
    assert [one for one in playbook.hirer.party.pending() if isinstance(one, Work)] == []
    (work,) = [one for one in playbook.provider.party.pending() if isinstance(one, Work)]
    contract = playbook.provider.party.engagement.contract
    assert contract is not None
    assert (work.contract, work.start, work.round) == (contract.digest, contract.start, 1)


def test_what_each_side_says_under_a_contract_is_counted_for_itself() -> None:
    """HIRE-LIM-01: what the hirer says takes nothing from what the provider may say, and the other way round. What ends
    something is not counted.
    """
    playbook = Playbook("working")
    before = said(playbook)
    moves = playbook.hirer >> amendment(), playbook.hirer >> withdraw("declined")
    hirers = before[0] + sum(len(move.raw) for move in moves)
    assert said(playbook) == (hirers, before[1])
    second = playbook.provider >> amendment(price="14.25")
    assert said(playbook) == (hirers, before[1] + len(second.raw))
    playbook.provider >> delivery()
    assert said(playbook) == (hirers, before[1] + len(second.raw))


def said(playbook: Playbook) -> tuple[int, int]:
    """Bytes of the hirer and of the provider, of which both know the same."""
    both = {party.engagement.contract.said_bytes for party in playbook.parties.values() if party.engagement.contract}
    (found,) = both
    return found


def test_a_provider_may_offer_again_what_it_took_back() -> None:
    """HIRE-LAN-02: what stands in its way is an offer of the hirer that it has not seen, and none of its own."""
    playbook = Playbook("working")
    for _ in range(3):
        playbook.provider >> amendment()
        assert playbook.hirer.party.engagement.lane == "offered-by-provider"
        playbook.provider >> withdraw("declined")
    assert playbook.hirer.party.engagement.lane == "idle"


def test_after_a_release_nothing_is_offered() -> None:
    """HIRE-LAN-05: what crossed it is void; what has seen it is refused."""
    playbook = Playbook("working")
    playbook.hirer >> release()
    playbook.provider >> acceptance()
    posed = playbook.provider.forge(amendment())
    playbook.hold()
    playbook.hirer >> seal()
    assert outcome(playbook.hirer.party.engagement, posed) == "void"
    playbook.deliver()
    posed = playbook.provider.forge(amendment())
    playbook.refused("wrong_state", lambda: playbook.hirer.party.take(posed))


def test_who_has_seen_a_release_delivers_nothing_more() -> None:
    """Though it crossed what came after: there is no state of its own in which it might have (HIRE-CHN-11)."""
    playbook = Playbook("working")
    playbook.hirer >> release()
    playbook.provider >> acceptance()
    playbook.hirer >> seal()
    posed = playbook.provider.forge(delivery("cancelled"))
    playbook.hold()
    playbook.hirer >> closing(basis="release")
    playbook.refused("wrong_state", lambda: playbook.hirer.party.take(posed))


def _amended(playbook: Playbook, by: Role) -> None:
    other = PROVIDER if by == HIRER else HIRER
    playbook.side(by) >> amendment(terms=_later(playbook, by))
    playbook.side(other) >> acceptance()
    playbook.side(by) >> seal()


def _later(playbook: Playbook, by: Role):
    """Terms like those in force, but for a later finish."""
    terms = terms_for(playbook.side(by).party)
    return replace(terms, deadlines=replace(terms.deadlines, finish=shift(terms.deadlines.finish, HOUR)))


def test_an_amendment_moves_the_end_of_the_first_round_and_not_of_a_rework() -> None:
    """A rework has its own time, and so has what is wound down."""
    playbook = Playbook("working")
    _amended(playbook, HIRER)
    finish = playbook.hirer.party.engagement.offer.terms.deadlines.finish  # type: ignore[union-attr]
    assert [party.engagement.contract.due for party in playbook.parties.values()] == [finish, finish]  # type: ignore[union-attr]
    playbook.provider >> delivery()
    playbook.hirer >> review("rework")
    due = [party.engagement.contract.due for party in playbook.parties.values()]  # type: ignore[union-attr]
    assert due == [shift(playbook.clock.now(), minutes(240))] * 2
    _amended(playbook, PROVIDER)
    assert [party.engagement.contract.due for party in playbook.parties.values()] == due  # type: ignore[union-attr]

    winding = Playbook("working")
    winding.hirer >> cancel()
    due = [party.engagement.contract.due for party in winding.parties.values()]  # type: ignore[union-attr]
    _amended(winding, HIRER)
    assert [party.engagement.contract.due for party in winding.parties.values()] == due  # type: ignore[union-attr]

    # Before the start nothing is due yet, and an amendment makes nothing due.
    sealed = Playbook("sealed")
    _amended(sealed, HIRER)
    assert [party.engagement.contract.due for party in sealed.parties.values()] == [None, None]  # type: ignore[union-attr]


def _early(playbook: Playbook, by: Role, say: Say, after: int) -> str | None:
    playbook.advance(after)
    other = playbook.parties[PROVIDER if by == HIRER else HIRER]
    found = early(other.engagement, Received(playbook.side(by).forge(say), other.now))
    return found.allowed if found is not None else None


def test_a_heartbeat_that_was_not_sent_is_a_reason_as_soon_as_three_were_missed() -> None:
    """HIRE-LIF-34: not what was due alone; from when work began, since what the hirer heard only it knows."""
    began = Playbook("working").clock.now()
    assert _early(Playbook("working"), HIRER, terminate("deadline"), minutes(30) - 121) == shift(began, minutes(30))
    assert _early(Playbook("working"), HIRER, terminate("deadline"), minutes(30) - 120) is None


def test_before_the_start_the_hirer_waits_for_the_end_of_the_contract_alone() -> None:
    """HIRE-LIF-34: nothing is due before work was begun; a wind-down that never began is due all the same."""
    sealed = Playbook("sealed")
    until = sealed.hirer.party.engagement.offer.terms.deadlines.until  # type: ignore[union-attr]
    assert _early(sealed, HIRER, terminate("deadline"), 25 * HOUR) == until
    winding = Playbook("sealed")
    winding.hirer >> cancel()
    assert _early(winding, HIRER, terminate("deadline"), minutes(10) - 120) is None


def test_a_review_that_never_came_is_a_reason_in_delivered_alone() -> None:
    """HIRE-LIF-34: after its time; and it ends with a `Closing`, or with the contract."""
    playbook = Playbook("delivered")
    assert _early(playbook, PROVIDER, closing(basis="silence"), 2 * HOUR - 121) is not None
    working = Playbook("working")
    until = working.hirer.party.engagement.offer.terms.deadlines.until  # type: ignore[union-attr]
    start_by = working.hirer.party.engagement.offer.terms.deadlines.start  # type: ignore[union-attr]
    assert start_by < until
    suspended = Playbook("suspended")
    assert _early(suspended, PROVIDER, terminate("deadline"), 0) is not None


def test_a_rejection_made_in_time_is_named_when_silence_follows() -> None:
    """HIRE-LIF-34: what we rejected, or asked again for; what we accepted needs no word."""
    for verdict, named in (("rejected", True), ("rework", True), ("accepted", False)):
        playbook = Playbook("delivered")
        seen = playbook.provider.party.engagement.got[-1]
        playbook.hold()
        playbook.hirer >> review(verdict)
        made = playbook.clock.now()
        playbook.advance(2 * HOUR + 1)
        hirer = playbook.hirer.party
        silent = playbook.provider.forge(closing(basis="silence", seen=seen))
        found = early(hirer.engagement, Received(silent, hirer.now))
        assert (found is not None) == named, verdict
        assert found is None or (found.what, found.allowed) == ("unheard", made)


def test_the_right_for_a_breach_is_for_who_told_of_it() -> None:
    """After `cureBy`, and by nobody on its own."""
    playbook = Playbook("working")
    playbook.provider >> breach(cure=HOUR)
    cured = shift(playbook.clock.now(), HOUR)
    for party in playbook.parties.values():
        (right,) = [one for one in rights(party.engagement, cured) if one.name == "cure"]
        assert (right.role, right.after, right.passed, right.by_itself) == (PROVIDER, cured, False, False)
        (right,) = [one for one in rights(party.engagement, shift(cured, 1)) if one.name == "cure"]
        assert right.passed


def test_while_it_is_suspended_only_the_hirer_answers_questions() -> None:
    """And of what it was asked before (HIRE-LIF-19)."""
    playbook = Playbook("working")
    playbook.provider >> approval_request()
    playbook.hirer >> suspend()
    assert ("Approval",) in [moves for moves, _ in owes(playbook.hirer.party)]
    assert ("Approval",) not in [moves for moves, _ in owes(playbook.provider.party)]


def test_a_ruling_names_its_currency_once_each() -> None:
    """What is owed may be owed in the currency of the contract, and in that of a ruling."""
    playbook = Playbook("disputed")
    playbook.hirer >> ruling()
    for party in playbook.parties.values():
        contract = party.engagement.contract
        assert contract is not None
        assert contract.owed_in == ("EUR",)
        assert len(contract.resolved) == 1


def test_what_ends_a_dispute_is_marked() -> None:
    """So that books which had not seen it are void (HIRE-LIF-11); an end of what was not disputed is no such thing."""
    playbook = Playbook("disputed")
    playbook.advance(DAY + 1)
    playbook.hirer >> terminate("no_ruling")
    for party in playbook.parties.values():
        assert len(party.engagement.contract.resolved) == 1  # type: ignore[union-attr]
    playbook = Playbook("working")
    playbook.hirer >> terminate("key_compromised")
    for party in playbook.parties.values():
        assert party.engagement.contract.resolved == ()  # type: ignore[union-attr]
