"""A whole hire with a crash, a loss or a repetition at every step of it: it ends as it does without."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from undersigned.protocol import HIRER, PROVIDER, ROLES, Received
from undersigned.testing import (
    Playbook,
    Say,
    acceptance,
    closing,
    delivery,
    inquiry,
    offer,
    presentation,
    profile,
    review,
    seal,
    start,
)

HIRE: tuple[tuple[str, Callable[[], Say]], ...] = (
    (HIRER, inquiry),
    (PROVIDER, profile),
    (HIRER, presentation),
    (PROVIDER, presentation),
    (HIRER, offer),
    (PROVIDER, offer),
    (HIRER, acceptance),
    (PROVIDER, seal),
    (HIRER, start),
    (PROVIDER, delivery),
    (HIRER, review),
    (HIRER, closing),
    (PROVIDER, closing),
)
"""One hire, with a counter-offer."""


def play(disturb: Callable[[Playbook, int, str], None]) -> Playbook:
    """The whole hire; after each move is committed and before it is delivered, `disturb` is called."""
    playbook = Playbook("-")
    for step, (role, recipe) in enumerate(HIRE):
        playbook.hold()
        playbook.side(role) >> recipe()
        disturb(playbook, step, role)
        playbook.deliver()
    return playbook


def as_it_should_be(playbook: Playbook) -> None:
    """Closed on both sides, with one contract, and no move more than the hire has."""
    playbook.agree("closed")
    contracts = {party.engagement.contract.digest for party in playbook.parties.values() if party.engagement.contract}
    assert len(contracts) == 1
    sent = sum(len(party.engagement.sent) for party in playbook.parties.values())
    assert sent == len(HIRE)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("at", range(len(HIRE)))
def test_a_crash_after_the_commit_and_before_the_sending(at: int, role: str) -> None:
    """What was committed is in the outbox after the restart, and goes out again."""

    def disturb(playbook: Playbook, step: int, sender: str) -> None:
        if step == at:
            playbook.crash(role)
            playbook.lose()
            if role == sender:
                assert playbook.side(sender).party.engagement.outbox
            playbook.resend()

    as_it_should_be(play(disturb))


@pytest.mark.parametrize("at", range(len(HIRE)))
def test_a_crash_before_the_commit(at: int) -> None:
    """A decision that was not committed is gone; the same is owed again, and made again as another message."""
    playbook = Playbook("-")
    for step, (role, recipe) in enumerate(HIRE):
        side = playbook.side(role)
        if step == at:
            before, asked = side.party.engagement, side.party.pending()
            side.party.actor.sign(_written(playbook, side.party, recipe()), side.party.now)
            side.party.crash()
            assert side.party.engagement == before
            assert side.party.pending() == asked
        side >> recipe()
    as_it_should_be(playbook)


def _written(playbook: Playbook, party, say: Say):
    return say.message(party) if say.type != "Inquiry" else inquiry(nonce=playbook._nonce).message(party)


@pytest.mark.parametrize("at", range(len(HIRE)))
def test_a_receiver_that_crashes_before_its_commit_gets_it_again(at: int) -> None:
    """Delivered and lost before it was recorded: it has no receipt, so it comes again."""

    def disturb(playbook: Playbook, step: int, sender: str) -> None:
        if step == at:
            receiver = playbook.parties[PROVIDER if sender == HIRER else HIRER]
            before = receiver.engagement
            held = playbook.network.sent[-1]
            receiver.receive(held.raw)
            del receiver.journal[-1]  # the transaction did not reach the disk
            receiver.crash()
            assert receiver.engagement == before

    as_it_should_be(play(disturb))


@pytest.mark.parametrize("at", range(len(HIRE)))
def test_a_crash_of_the_receiver_after_its_commit_and_before_its_receipt(at: int) -> None:
    """It has the move; the sender does not know, sends it again, and nothing happens twice."""

    def disturb(playbook: Playbook, step: int, sender: str) -> None:
        if step == at:
            receiver = playbook.parties[PROVIDER if sender == HIRER else HIRER]
            playbook.deliver()
            receiver.crash()
            lines = len(receiver.journal)
            playbook.resend()
            assert len(receiver.journal) == lines

    as_it_should_be(play(disturb))


def test_everything_at_once() -> None:
    """Both crash and everything is repeated at every step."""

    def disturb(playbook: Playbook, _step: int, _sender: str) -> None:
        playbook.deliver()
        for role in ROLES:
            playbook.crash(role)
        for parcel in playbook.network.shuffled(repeat=2):
            receiver = next(p for p in playbook.parties.values() if p.actor.did == parcel.recipient)
            assert receiver.receive(parcel.raw) == "repeat"

    playbook = play(disturb)
    as_it_should_be(playbook)
    for party in playbook.parties.values():
        assert len([entry for entry in party.journal if isinstance(entry, Received)]) == len(party.engagement.got)
