"""Receipts, repeats, reservations and who owes what: `pending`, `owed` and `wake_at` by themselves."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from undersigned.encoding import parse_duration, shift
from undersigned.messages import Tender
from undersigned.protocol import (
    HIRER,
    PROVIDER,
    REPEAT_SECONDS,
    Acknowledge,
    Child,
    Finished,
    Free,
    Owe,
    Repeat,
    Reserve,
    owed,
    pending,
    wake_at,
)
from undersigned.protocol.put_away import PUT_AWAY_SECONDS
from undersigned.protocol.receipts import _attempts, next_repeat
from undersigned.testing import (
    ARTIFACT,
    NOON,
    PATHS,
    Playbook,
    Say,
    acceptance,
    amendment,
    approval_request,
    bid,
    breach,
    closing,
    delivery,
    inquiry,
    minutes,
    offer,
    receipt,
    review,
    seal,
    start,
    suspend,
    sync,
    terminate,
    terms_for,
    withdraw,
)

OWED = {
    "-": ((HIRER,), ("Inquiry",)),
    "inquired": ((PROVIDER,), ("Profile", "Withdraw")),
    "profiled": ((HIRER,), ("Presentation", "Withdraw")),
    "presented": ((PROVIDER,), ("Presentation", "Withdraw")),
    "ready": ((HIRER,), ("Offer", "Withdraw")),
    "offered-by-hirer": ((PROVIDER,), ("Offer", "Acceptance", "Withdraw")),
    "offered-by-provider": ((HIRER,), ("Offer", "Acceptance", "Withdraw")),
    "accepted-by-provider": ((HIRER,), ("Seal", "Withdraw")),
    "accepted-by-hirer": ((PROVIDER,), ("Seal", "Withdraw")),
    "withdrawn": ((), ()),
    "sealed": ((HIRER,), ("Start", "Cancel")),
    "working": ((PROVIDER,), ("Delivery",)),
    "suspended": ((HIRER,), ("Resume", "Cancel")),
    "disputed": ((HIRER, PROVIDER), ("Ruling",)),
    "cancelling": ((PROVIDER,), ("Delivery",)),
    "delivered": ((HIRER,), ("Review",)),
    "closing": ((HIRER, PROVIDER), ("Closing",)),
    "closed": ((), ()),
}


@pytest.mark.parametrize("state", PATHS)
def test_every_wait_shows_who_owes_what_by_when(state: str) -> None:
    """Both sides see the same owner, the same moves and a deadline; only the owner is asked to move (HIRE-NEG-20)."""
    playbook = Playbook(state)
    who, moves = OWED[state]
    for party in playbook.parties.values():
        shown = owed(party.engagement)
        assert (shown.who, shown.moves) == (who, moves)
        assert (shown.by is not None) == (state not in ("-", "withdrawn", "closed")), shown
        assert shown.why
        asked = [effect for effect in party.pending() if isinstance(effect, Owe)]
        assert [effect.moves for effect in asked] == ([moves] if party.role in who else [])
        assert all(effect.by == shown.by for effect in asked)


def test_the_work_is_owed_by_its_own_deadline() -> None:
    """HIRE-NEG-20: the next sign of life is not when the work is owed."""
    for party in Playbook("working").parties.values():
        offered = party.engagement.offer
        assert offered is not None
        assert owed(party.engagement).by == offered.terms.deadlines.finish


@pytest.mark.parametrize("state", PATHS)
def test_the_same_state_asks_for_the_same(state: str) -> None:
    """Twice, and after a restart: same effects, same keys; no key twice in one answer (HIRE-LIF-13)."""
    playbook = Playbook(state)
    for party in playbook.parties.values():
        first = party.pending()
        assert party.pending() == first
        party.crash()
        assert party.pending() == first
        keys = [effect.key for effect in first]
        assert len(set(keys)) == len(keys)


def test_an_answer_within_a_second_is_the_receipt() -> None:
    """C5: due a second after, gone once a move that has seen it is made (HIRE-CHN-08)."""
    playbook = Playbook("offered-by-hirer")
    provider = playbook.provider.party
    due = shift(provider.now, 1)
    assert wake_at(provider.engagement) == due
    assert not _of(provider, Acknowledge)
    playbook.advance(1)
    assert [(effect.of, effect.due) for effect in _of(provider, Acknowledge)] == [(provider.engagement.got[-1:], due)]
    playbook.provider >> offer()
    assert not _of(provider, Acknowledge)


def test_any_notice_that_has_seen_it_is_a_receipt_too() -> None:
    """A `Sync` states the whole position."""
    playbook = Playbook("offered-by-hirer")
    playbook.advance(1)
    playbook.provider >> sync()
    assert not _of(playbook.provider.party, Acknowledge)
    assert playbook.hirer.party.engagement.outbox == ()


@pytest.mark.parametrize(("state", "move"), [("accepted-by-provider", seal), ("offered-by-provider", withdraw)])
def test_what_has_no_answer_is_receipted_at_once(state: str, move) -> None:
    """C5: a seal, a withdrawal."""
    playbook = Playbook(state)
    playbook.hirer >> move()
    assert len(_of(playbook.provider.party, Acknowledge)) == 1


def test_repeats_come_in_growing_intervals_until_the_receipt() -> None:
    """Oldest first, each attempt with a key of its own; the last interval goes on for a day (HIRE-CHN-12)."""
    playbook = Playbook("offered-by-hirer")
    hirer = playbook.hirer.party
    said = hirer.engagement.sent[-1]
    keys: list[str] = []
    elapsed = 0
    for step in (*REPEAT_SECONDS, REPEAT_SECONDS[-1]):
        playbook.advance(step - 1)
        assert len({effect.key for effect in _of(hirer, Repeat)} - set(keys)) == 0
        playbook.advance(1)
        elapsed += step
        repeat = _of(hirer, Repeat)
        assert [effect.digest for effect in repeat] == [said]
        keys.append(repeat[0].key)
    assert len(set(keys)) == len(keys)
    playbook.provider >> receipt()
    assert not _of(hirer, Repeat)


def test_of_several_moves_without_a_receipt_the_oldest_is_repeated() -> None:
    """HIRE-CHN-12: the other side cannot take a later one before it, and would refuse it."""
    playbook = Playbook("accepted-by-provider")
    hirer = playbook.hirer.party
    playbook.hold()
    sealed = playbook.hirer >> seal()
    begun = playbook.hirer >> start()
    playbook.lose()
    playbook.advance(REPEAT_SECONDS[0])
    assert [effect.digest for effect in _of(hirer, Repeat)] == [sealed.digest]
    playbook.repeat(sealed)
    playbook.provider >> receipt()
    assert [effect.digest for effect in _of(hirer, Repeat)] == [begun.digest]


@pytest.mark.parametrize(
    "elapsed",
    [0, 4, 5, 19, 20, 64, 65, 184, 185, 484, 485, 785, 10_000, *range(86_000, 87_000, 99), 86_399, 86_400, 172_799],
)
def test_attempts_and_the_next_one_agree(elapsed: int) -> None:
    """The next repeat is the first instant at which one more is due."""
    following = next_repeat(elapsed)
    assert following > elapsed
    assert _attempts(following) == _attempts(elapsed) + 1
    assert _attempts(following - 1) == _attempts(elapsed)


def test_after_a_day_what_nobody_takes_is_said_once_a_day() -> None:
    """HIRE-CHN-12, HIRE-NEG-13: an acceptance in doubt goes on, and costs nobody more than that."""
    day, elapsed, dues = 24 * 3600, 0, list[int]()
    while elapsed < 5 * day:
        dues.append(elapsed := next_repeat(elapsed))
    assert [due // day for due in dues if due >= day] == [1, 2, 3, 4, 5]


def test_an_acceptor_asks_on_after_its_receipt() -> None:
    """N4: receipted is not answered (HIRE-NEG-13)."""
    playbook = Playbook("accepted-by-provider")
    playbook.hirer >> receipt()
    provider = playbook.provider.party
    assert provider.engagement.outbox == ()
    playbook.advance(minutes(30))
    assert [effect.digest for effect in _of(provider, Repeat)] == [provider.engagement.acceptance]
    assert "in doubt" in owed(provider.engagement).why


def test_an_ended_engagement_wakes_nobody() -> None:
    """When both have everything, there is nothing to wait for."""
    playbook = Playbook("closed")
    for side in (playbook.hirer, playbook.provider):
        side >> sync()
    for party in playbook.parties.values():
        assert wake_at(party.engagement) is None
        assert [type(effect) for effect in party.pending() if not hasattr(effect, "name")] == [Finished]


def test_a_hire_under_it_is_waited_for_a_day_though_both_have_everything() -> None:
    """A provider whose contract is over stays while a hire under it lives, and wakes to be put away all the same.
    Nothing else may happen, as where that hire is in doubt.
    """
    playbook = Playbook("closed")
    for side in (playbook.hirer, playbook.provider):
        side >> sync()
    ended = playbook.provider.party.engagement
    assert ended.contract is not None
    child = Child(engagement=ended.id, provider=ended.peer, task="summary", key="one")
    engagement = replace(ended, contract=replace(ended.contract, children=(child,)))
    a_day = shift(engagement.since, PUT_AWAY_SECONDS)
    assert wake_at(engagement) == shift(a_day, 1)
    assert Finished not in [type(effect) for effect in pending(engagement, a_day)]
    assert Finished in [type(effect) for effect in pending(engagement, shift(a_day, 1))]


@pytest.mark.parametrize("state", ["withdrawn", "closed"])
def test_a_receipt_that_never_comes_is_waited_for_a_day(state: str) -> None:
    """The peer may be gone for good. Whoever ended last asks for a day, and then puts the engagement away."""
    playbook = Playbook(state)
    (waiting,) = [party for party in playbook.parties.values() if party.engagement.unreceipted]
    engagement = waiting.engagement
    a_day = shift(engagement.since, PUT_AWAY_SECONDS)
    before = pending(engagement, a_day)
    assert [type(effect) for effect in before if not hasattr(effect, "name")] == [Repeat]
    assert wake_at(engagement, a_day) == shift(a_day, 1)
    assert Finished in [type(effect) for effect in pending(engagement, shift(a_day, 1))]


def test_books_that_are_closed_late_are_asked_about_for_a_day_too() -> None:
    """HIRE-CHN-12: both were away for days, and each put its books away in the second in which it closed them: neither
    ever had the other's.
    """
    playbook = Playbook("closing")
    hirer = playbook.hirer.party
    for side in (playbook.hirer, playbook.provider):
        side >> sync()
    assert hirer.engagement.offer is not None
    playbook.advance(parse_duration(hirer.engagement.offer.terms.deadlines.close) + 2 * PUT_AWAY_SECONDS)
    playbook.hirer >> closing()
    (said,) = hirer.engagement.unreceipted
    a_day = shift(said, PUT_AWAY_SECONDS)
    assert wake_at(hirer.engagement, said) == shift(said, REPEAT_SECONDS[0])
    assert Finished not in [type(effect) for effect in pending(hirer.engagement, a_day)]
    assert wake_at(hirer.engagement, a_day) == shift(a_day, 1)
    assert Finished in [type(effect) for effect in pending(hirer.engagement, shift(a_day, 1))]
    playbook.provider >> closing()
    assert hirer.engagement.state == "closed"


def test_who_never_said_anything_is_told_of_the_end_until_the_pauses_grow_no_more() -> None:
    """Nobody listens there, most likely: each start of ours dialled it for a day, and no command ended that."""
    playbook = Playbook("inquired")
    assert not playbook.hirer.party.engagement.got
    playbook.hirer >> withdraw("changed")
    engagement = playbook.hirer.party.engagement
    last = shift(engagement.since, sum(REPEAT_SECONDS))
    assert Finished not in [type(effect) for effect in pending(engagement, last)]
    assert wake_at(engagement, last) == shift(last, 1)
    assert Finished in [type(effect) for effect in pending(engagement, shift(last, 1))]


def test_who_said_that_it_has_the_inquiry_is_told_of_the_end_for_a_day() -> None:
    """A `Receipt` is no move; but its sender holds the negotiation, and may be away while we withdraw."""
    playbook = Playbook("inquired")
    playbook.provider >> receipt()
    assert not playbook.hirer.party.engagement.got
    playbook.hirer >> withdraw("changed")
    engagement = playbook.hirer.party.engagement
    a_day = shift(engagement.since, PUT_AWAY_SECONDS)
    assert Finished not in [type(effect) for effect in pending(engagement, a_day)]
    assert wake_at(engagement, a_day) == shift(a_day, 1)
    assert Finished in [type(effect) for effect in pending(engagement, shift(a_day, 1))]


def test_a_past_deadline_does_not_wake_again() -> None:
    """`wake_at` looks forward from the time it is given, so a policy that lets a deadline pass is not woken for it."""
    playbook = Playbook("inquired")
    hirer = playbook.hirer.party
    playbook.provider >> sync()
    passed = shift(hirer.engagement.talks.respond_by, 1)
    assert wake_at(hirer.engagement) == passed
    assert wake_at(hirer.engagement, passed) is None


def test_time_given_before_the_last_entry_counts_as_that() -> None:
    """Time never runs back behind the journal (HIRE-CLK-01)."""
    playbook = Playbook("ready")
    playbook.hirer >> offer(valid_for=minutes(5))
    playbook.advance(minutes(6))
    playbook.provider >> acceptance()
    hirer = playbook.hirer.party
    early = pending(hirer.engagement, shift(hirer.now, -minutes(6)))
    assert early == hirer.pending()


def test_a_start_that_is_past_is_not_offered_any_more() -> None:
    """The hirer may still cancel."""
    playbook = Playbook("sealed")
    playbook.advance(minutes(60, seconds=1))
    assert [effect.moves for effect in _of(playbook.hirer.party, Owe)] == [("Cancel",)]


def _tender(to: str) -> Playbook:
    closes = shift(NOON, minutes(30))
    tender = Tender(
        id="urn:uuid:11111111-1111-4111-8111-111111111111",
        sealed=True,
        bids_close=closes,
        reveal_by=shift(NOON, minutes(60)),
        award_by=shift(NOON, minutes(90)),
        rule={"lowest": "price"},
    )
    playbook = Playbook("ready", first=inquiry(opens=PROVIDER, rounds=1, tender=tender))
    if to == "committed":
        playbook.provider >> bid(ARTIFACT, valid_for=minutes(120))
    return playbook


def _after(state: str, *said: tuple[str, Say]) -> Callable[[], Playbook]:
    def made() -> Playbook:
        playbook = Playbook(state)
        for role, say in said:
            playbook.side(role) >> say
        return playbook

    return made


REACHED: dict[str, Callable[[], Playbook]] = {
    **{state: _after(state) for state in PATHS},
    "a tender": lambda: _tender("ready"),
    "a sealed bid": lambda: _tender("committed"),
    "somebody waits": _after("offered-by-hirer", (PROVIDER, receipt(waiting_until=shift(NOON, minutes(30))))),
    "a change offered": _after("working", (PROVIDER, amendment())),
    "a change accepted": _after("working", (PROVIDER, amendment()), (HIRER, acceptance())),
    "a change accepted, and work delivered": _after(
        "working", (HIRER, amendment()), (PROVIDER, acceptance()), (PROVIDER, delivery())
    ),
    "a question": _after("working", (PROVIDER, approval_request())),
    "a question while it is suspended": _after("working", (PROVIDER, approval_request()), (HIRER, suspend())),
    "a breach": _after("working", (HIRER, breach())),
    "a rework": _after("delivered", (HIRER, review("rework"))),
    "one has closed": _after("closing", (HIRER, closing())),
}


@pytest.mark.parametrize("heard", [True, False])
@pytest.mark.parametrize("reached", REACHED)
def test_nothing_becomes_due_or_ends_at_an_instant_that_wakes_nobody(reached: str, heard: bool) -> None:
    """From one waking to the next, exclusive, the same is due: else it would be done late, or not at all."""
    playbook = REACHED[reached]()
    if heard:
        for side in (playbook.hirer, playbook.provider):
            side >> sync()
    for party in playbook.parties.values():
        at, engagement = party.now, party.engagement
        for _ in range(60):
            due, then = pending(engagement, at), wake_at(engagement, at)
            last = shift(then or at, -1) if then else shift(at, 400 * 24 * 3600)
            assert pending(engagement, last) == due, f"{party.role}: something changed between {at} and {last}"
            if then is None:
                break
            at = then


@pytest.mark.parametrize(
    ("reached", "who", "moves", "reason"),
    [
        ("a sealed bid", PROVIDER, ("Withdraw",), None),
        ("a change accepted, and work delivered", HIRER, ("Withdraw",), "overtaken"),
        ("a question while it is suspended", HIRER, ("Approval",), None),
    ],
)
def test_what_is_owed_beside_the_state(reached: str, who: str, moves: tuple[str, ...], reason: str | None) -> None:
    """A bid is not opened before bids close; what was overtaken, or ended, is answered with that."""
    playbook = REACHED[reached]()
    assert (moves, reason) in [(one.moves, one.reason) for one in _of(playbook.side(who).party, Owe)]


def test_after_an_end_an_accepted_change_is_answered_with_it() -> None:
    """HIRE-LAN-04: its offerer owes that to whoever accepted, and nothing else."""
    playbook = REACHED["a change accepted"]()
    playbook.hirer >> terminate("key_compromised")
    (answer,) = [one for one in _of(playbook.provider.party, Owe) if one.about is not None]
    assert (answer.moves, answer.reason) == (("Withdraw",), "ended")


def test_an_acceptance_that_came_late_is_answered_with_that() -> None:
    """HIRE-NEG-09: and with nothing else."""
    playbook = Playbook("ready")
    playbook.hirer >> offer(valid_for=minutes(5))
    playbook.advance(minutes(5, seconds=1))
    playbook.provider >> acceptance()
    assert [(one.moves, one.reason) for one in _of(playbook.hirer.party, Owe)] == [(("Withdraw",), "offer_expired")]


@pytest.mark.parametrize(("after", "kept"), [(0, True), (1, False)])
def test_what_was_offered_stays_reserved_if_it_was_accepted_in_time(after: int, kept: bool) -> None:
    """HIRE-NEG-21, HIRE-NEG-17: whoever can still seal it has promised it, past `validUntil` too."""
    playbook = Playbook("ready")
    made = playbook.hirer >> offer(valid_for=minutes(5))
    playbook.advance(minutes(5) + after)
    playbook.provider >> acceptance()
    playbook.advance(minutes(1))
    of_offer = [one for one in _of(playbook.hirer.party, Reserve) if one.digest == made.digest]
    assert bool(of_offer) is kept
    assert bool(_of(playbook.hirer.party, Free)) is not kept


def test_both_wake_when_work_may_begin() -> None:
    """HIRE-LIF-04: no other instant need be near, and a hirer that sleeps past `start` has missed it."""
    playbook = Playbook("ready")
    opens, terms = shift(NOON, minutes(20)), terms_for(playbook.hirer.party)
    playbook.hirer >> offer(terms=replace(terms, deadlines=replace(terms.deadlines, not_before=opens)))
    playbook.provider >> acceptance()
    playbook.hirer >> seal()
    for party in playbook.parties.values():
        assert wake_at(party.engagement, shift(opens, -1)) == opens


def test_what_somebody_waited_for_is_over_with_the_next_move() -> None:
    """HIRE-NEG-10: the other side's offer has its own patience."""
    playbook = REACHED["somebody waits"]()
    assert "waits for person" in owed(playbook.hirer.party.engagement).why
    playbook.provider >> offer()
    for party in playbook.parties.values():
        assert party.engagement.pause is None


def test_repeats_count_from_the_oldest_move_without_a_receipt() -> None:
    """HIRE-CHN-12: a later one does not put it off."""
    playbook = Playbook("accepted-by-provider")
    playbook.hold()
    playbook.hirer >> seal()
    playbook.advance(REPEAT_SECONDS[0] - 1)
    playbook.hirer >> start()
    playbook.lose()
    playbook.advance(1)
    assert len(_of(playbook.hirer.party, Repeat)) == 1


def test_what_a_countered_offer_held_is_free() -> None:
    """HIRE-NEG-21: and what the offer on the table holds is not."""
    playbook = Playbook("offered-by-hirer")
    hirer, first = playbook.hirer.party, playbook.hirer.party.engagement.sent[-1]
    assert _of(hirer, Free) == []
    playbook.provider >> offer()
    assert [one.digest for one in _of(hirer, Free)] == [first]
    assert [one.digest for one in _of(playbook.provider.party, Reserve)] == [hirer.engagement.got[-1]]


def _of(party, kind) -> list:
    return [effect for effect in party.pending() if isinstance(effect, kind)]
