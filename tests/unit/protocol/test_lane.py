"""The lane of documents: what names something else than what is on the table, and when it may be said at all."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from undersigned.encoding import parse_duration, shift
from undersigned.protocol import HIRER, PROVIDER, Owe, Repeat, Reserve, legal, pending, review_ends, wake_at
from undersigned.testing import (
    ARTIFACT,
    Playbook,
    Say,
    acceptance,
    amendment,
    closing,
    delivery,
    dispute,
    minutes,
    release,
    review,
    seal,
    terms_for,
    withdraw,
)


def tabled(*said: tuple[str, Say], state: str = "working") -> Playbook:
    playbook = Playbook(state)
    for role, say in said:
        playbook.side(role) >> say
    return playbook


OFFERED = ((HIRER, amendment()),)
ACCEPTED = (*OFFERED, (PROVIDER, acceptance()))


@pytest.mark.parametrize(
    ("said", "role", "say", "code"),
    [
        ((), PROVIDER, lambda p: acceptance(offer=p.hirer.party.engagement.offer.digest), "already_contracted"),
        ((), PROVIDER, lambda _: acceptance(offer=ARTIFACT), "wrong_state"),
        (OFFERED, PROVIDER, lambda _: acceptance(offer=ARTIFACT), "stale_offer"),
        (OFFERED, PROVIDER, lambda _: acceptance(document=ARTIFACT), "terms_mismatch"),
        (OFFERED, HIRER, lambda _: acceptance(), "wrong_party"),
        (ACCEPTED, PROVIDER, lambda _: acceptance(), "already_contracted"),
        (ACCEPTED, HIRER, lambda _: acceptance(), "wrong_state"),
        (OFFERED, PROVIDER, lambda _: amendment(in_reply_to=None), "stale_offer"),
        (OFFERED, PROVIDER, lambda _: amendment(in_reply_to=ARTIFACT), "stale_offer"),
        ((), PROVIDER, lambda _: amendment(in_reply_to=ARTIFACT), "stale_offer"),
        (OFFERED, PROVIDER, lambda _: withdraw("declined", offer=ARTIFACT), "stale_offer"),
        (ACCEPTED, HIRER, lambda _: seal(offer=ARTIFACT), "terms_mismatch"),
        (ACCEPTED, HIRER, lambda _: seal(document=ARTIFACT), "terms_mismatch"),
        (ACCEPTED, HIRER, lambda _: seal(acceptance=ARTIFACT), "terms_mismatch"),
        (ACCEPTED, PROVIDER, lambda _: seal(), "wrong_party"),
        (ACCEPTED, HIRER, lambda _: withdraw("declined"), "wrong_state"),
        (ACCEPTED, HIRER, lambda _: withdraw("ended"), "wrong_state"),
        (ACCEPTED, HIRER, lambda _: withdraw("overtaken"), "wrong_state"),
        ((*OFFERED, (HIRER, dispute())), PROVIDER, lambda _: acceptance(), "wrong_state"),
        ((*ACCEPTED, (HIRER, dispute())), HIRER, lambda _: seal(), "wrong_state"),
    ],
)
def test_what_is_said_of_a_document_is_about_what_is_on_the_table(
    said: tuple[tuple[str, Say], ...], role: str, say: Callable[[Playbook], Say], code: str
) -> None:
    """HIRE-NEG-11, HIRE-LAN-01: with the code that the page has for it, by both sides alike."""
    playbook = tabled(*said)
    side, other = playbook.side(role), playbook.side(PROVIDER if role == HIRER else HIRER)
    posed = say(playbook)
    playbook.refused(code, lambda: side >> posed)
    forged = side.forge(posed)
    playbook.refused(code, lambda: other.party.take(forged))


def test_an_offerer_may_withdraw_from_what_was_accepted_in_time_for_what_it_cannot_help() -> None:
    """HIRE-LAN-03: `offer_expired` alone says that it came late."""
    playbook = tabled(*ACCEPTED)
    playbook.refused("wrong_state", lambda: playbook.hirer >> withdraw("offer_expired"))
    playbook.hirer >> withdraw("revoked")
    assert playbook.provider.party.engagement.lane == "idle"


def test_what_is_legal_in_the_lane_follows_the_state_of_the_contract() -> None:
    """HIRE-LAN-04: in a dispute a release goes on; after an end only an acceptance is answered."""

    def of(playbook: Playbook, role: str) -> set[str]:
        return {"Offer", "Acceptance", "Seal", "Withdraw"} & set(legal(playbook.side(role).party.engagement, role))

    disputed = tabled((HIRER, release()), state="disputed")
    assert of(disputed, HIRER) == {"Withdraw"}
    assert of(disputed, PROVIDER) == {"Offer", "Acceptance", "Withdraw"}
    assert of(tabled(*OFFERED, (HIRER, dispute())), PROVIDER) == {"Offer", "Withdraw"}
    overtaken = tabled(*ACCEPTED, (PROVIDER, delivery()))
    assert of(overtaken, HIRER) == {"Withdraw"}
    assert "Seal" in legal(overtaken.provider.party.engagement, HIRER)


def test_only_who_accepted_asks_for_the_seal() -> None:
    """HIRE-NEG-13: the other side's acceptance is not ours to repeat."""
    playbook = tabled(*ACCEPTED)
    playbook.advance(minutes(1))

    def repeated(role: str) -> list[str]:
        party = playbook.side(role).party
        return [one.digest for one in pending(party.engagement, party.now) if isinstance(one, Repeat)]

    assert repeated(HIRER) == []
    assert repeated(PROVIDER) == [playbook.provider.party.engagement.sent[-1]]


@pytest.mark.parametrize("answer", ["seal", "withdraw"])
def test_the_books_wait_for_what_becomes_of_an_acceptance(answer: str) -> None:
    """HIRE-LAN-04: a seal that crossed the end counts for what is owed, and who closed before it came owed another
    price than the other side's books say.
    """
    playbook = tabled((PROVIDER, amendment()), (HIRER, acceptance()), state="delivered")
    hirer = playbook.hirer.party

    def closes(at: str) -> bool:
        return any(isinstance(one, Owe) and "Closing" in one.moves for one in pending(hirer.engagement, at))

    playbook.hold()
    playbook.hirer >> review("accepted")
    if answer == "seal":
        playbook.provider >> seal()
    ends = shift(hirer.engagement.since or "", 3600)
    assert not closes(hirer.now)
    assert not closes(shift(ends, -1))
    assert closes(ends)
    assert wake_at(hirer.engagement, shift(ends, -1)) == ends
    playbook.deliver()
    if answer == "withdraw":
        playbook.provider >> withdraw("ended")
    assert closes(hirer.now)
    playbook.agree("closing")


def test_silence_waits_for_what_becomes_of_an_acceptance() -> None:
    """HIRE-LAN-04: for as long as other books, and while there is authority."""
    playbook = tabled((HIRER, amendment()), (PROVIDER, acceptance()), state="delivered")
    provider = playbook.provider.party
    assert provider.engagement.offer is not None
    deadlines = provider.engagement.offer.terms.deadlines
    ends = review_ends(provider.engagement) or ""
    last = min(shift(ends, parse_duration(deadlines.close)), deadlines.until)
    assert last > shift(ends, 1)

    def closes(at: str) -> bool:
        return any(isinstance(one, Owe) and "Closing" in one.moves for one in pending(provider.engagement, at))

    assert not closes(shift(ends, 1))
    assert not closes(shift(last, -1))
    assert closes(last)
    assert wake_at(provider.engagement, shift(last, -1)) == last
    playbook.hirer >> seal()
    assert not closes(ends)
    assert closes(shift(ends, 1))
    playbook.agree("delivered")


def test_a_changed_contract_is_reserved_again() -> None:
    """HIRE-NEG-21: its end or its price may be others now."""
    playbook = tabled(*ACCEPTED)
    party = playbook.hirer.party

    def key() -> str:
        (one,) = [one for one in pending(party.engagement, party.now) if isinstance(one, Reserve)]
        return one.key

    before = key()
    playbook.hirer >> seal()
    assert key() != before


def test_what_a_release_owes_is_in_its_currency() -> None:
    """HIRE-PAY-04: which need not be that of the price."""
    playbook = tabled((HIRER, release(currency="CHF")), (PROVIDER, acceptance()), (HIRER, seal()))
    for party in playbook.parties.values():
        contract = party.engagement.contract
        assert contract is not None
        assert contract.owed_in == ("CHF",)
    playbook.hirer >> closing()


@pytest.mark.parametrize("rework", ["P1D", "PT1H"])
def test_a_rework_that_crossed_a_seal_has_one_time_on_both_sides(rework: str) -> None:
    """HIRE-LAN-05: that of the terms before, by which the hirer, who waits, has set it; else work that its provider
    holds to be in time would be ended as late.
    """
    book = Playbook("delivered")
    terms = terms_for(book.hirer.party)
    book.provider >> amendment(terms=replace(terms, deadlines=replace(terms.deadlines, rework=rework)))
    book.hirer >> acceptance()
    with book.held():
        book.provider >> seal()
        book.hirer >> review("rework")
    due = {side.engagement.contract.due for side in book.parties.values() if side.engagement.contract}
    assert due == {shift(book.clock.now(), 4 * 3600)}
