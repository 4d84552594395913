"""The kit itself: that it is repeatable, hostile where it should be, and fails when it should."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from undersigned.encoding import Instant
from undersigned.errors import FormatError, ProofError
from undersigned.protocol import HIRER, PROVIDER
from undersigned.testing import (
    NOON,
    PATHS,
    Actor,
    HandClock,
    HurriedClock,
    Mischief,
    Network,
    Playbook,
    Say,
    acceptance,
    breach,
    cancel,
    dispute,
    hurry,
    minutes,
    offer,
    seal,
    withdraw,
)


def test_one_seed_gives_the_same_bytes() -> None:
    """Keys, ids, nonces and so every message."""
    one, two, other = Playbook("closed"), Playbook("closed"), Playbook("closed", seed=1)
    assert [parcel.raw for parcel in one.network.sent] == [parcel.raw for parcel in two.network.sent]
    assert not {parcel.raw for parcel in one.network.sent} & {parcel.raw for parcel in other.network.sent}


@pytest.mark.parametrize(
    ("make", "kind", "expected"),
    [
        (lambda: HandClock("noon"), FormatError, "got 'noon'"),
        (lambda: HandClock().set("2026-13-01T00:00:00Z"), FormatError, "got '2026-13-01T00:00:00Z'"),
        (lambda: Mischief(drop=30), ValueError, "drop: expected how often, from 0 to 1; got 30"),
        (lambda: Mischief(repeat="often"), ValueError, "repeat: expected how often"),  # type: ignore[arg-type]
        (lambda: Playbook("ready", skew={"alice": 3}), ValueError, "expected hirer or provider, got 'alice'"),  # type: ignore[dict-item]
        (lambda: Playbook("ready", skew={HIRER: 61}), ProofError, "expected at most 60 s after"),
        (lambda: list(Network(0).shuffled(repeat=0)), ValueError, "repeat: expected at least 1, got 0"),
        (lambda: Playbook("ready").side("alice"), ValueError, "expected hirer or provider, got 'alice'"),
        (lambda: hurry(nothing, factor=0), ValueError, "factor: expected more than 0"),
    ],
)
def test_what_no_test_means_is_refused_where_it_is_written(
    make: Callable[[], Any], kind: type[Exception], expected: str
) -> None:
    """It went on: a network that lost all, a clock that nobody could read, the other side of an engagement."""
    with pytest.raises(kind, match=expected):
        make()


async def nothing(_: HurriedClock) -> None:
    """Takes no time."""


async def test_hurried_time_is_for_who_has_no_loop() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeError, match="an event loop runs here"):
            hurry(nothing)
        gc.collect()


@pytest.mark.parametrize("state", PATHS)
def test_paths_lead_where_they_say(state: str) -> None:
    """And both sides agree there."""
    Playbook(state).agree(state)


@pytest.mark.parametrize("move", [offer, "offer", None])
def test_what_is_no_move_is_told_as_that(move: object) -> None:
    """It was told that a function has no attribute `type`."""
    with pytest.raises(TypeError, match=r"expected a move such as offer\(\.\.\.\), got "):
        Playbook("ready").hirer >> move  # type: ignore[operator]


def test_actors_have_keys_of_their_own() -> None:
    """A message of one does not verify as another's."""
    one, two = Actor("one"), Actor("two")
    assert one.did != two.did
    assert one.did == Actor("one").did
    assert one.did != Actor("one", seed=1).did
    assert one.message_id() != one.message_id()
    assert one.nonce() != one.nonce()


def test_the_network_gives_anything_any_number_of_times() -> None:
    """Delivering takes nothing away; one seed gives one order."""
    one, two = Network(7), Network(7)
    for network in (one, two):
        assert network.pick() is None
        for number in range(20):
            network.send("a", "b" if number % 2 else "c", bytes([number]))
    first = [parcel.number for parcel in one.shuffled(drop=0.3, repeat=3)]
    assert first == [parcel.number for parcel in two.shuffled(drop=0.3, repeat=3)]
    assert first != sorted(first)
    assert len(set(first)) < 20
    assert len(first) > len(set(first))
    assert [parcel.number for parcel in one.to("b")] == list(range(1, 20, 2))
    assert one.pick() in one.sent
    assert {parcel.recipient for parcel in one.shuffled(only=lambda parcel: parcel.recipient == "c")} == {"c"}


def test_the_clock_moves_by_hand() -> None:
    """Both ways, and a skewed clock keeps its distance."""
    clock = HandClock()
    fast = clock.skewed(30)
    assert clock.now() == NOON
    assert clock.advance(minutes(1, seconds=1)) == "2026-03-02T12:01:01Z"
    assert fast.now() == "2026-03-02T12:01:31Z"
    clock.set("2026-03-02T11:00:00Z")
    assert fast.now() == "2026-03-02T11:00:30Z"
    assert clock.since("2026-03-02T10:59:00Z") == 60


def test_expect_fails_for_what_nobody_owes() -> None:
    """The playbook is a test: it says no."""
    playbook = Playbook("offered-by-hirer")
    with pytest.raises(AssertionError, match="nobody owes Seal"):
        playbook.expect(seal())
    with pytest.raises(AssertionError, match="state of the hirer"):
        playbook.agree("sealed")
    late = Playbook("ready")
    late.hirer >> offer(valid_for=minutes(5))
    late.advance(minutes(6, seconds=1))
    with pytest.raises(AssertionError, match="owes Withdraw"):
        late.expect(withdraw("changed"))


def test_refused_fails_for_what_is_taken() -> None:
    """And for another code."""
    playbook = Playbook("offered-by-hirer")
    with pytest.raises(AssertionError, match="it was taken"):
        playbook.refused("wrong_state", lambda: playbook.provider >> acceptance())
    with pytest.raises(AssertionError, match="code of"):
        playbook.refused("stale_offer", lambda: playbook.provider >> acceptance())


def test_a_playbook_begins_where_a_path_leads() -> None:
    with pytest.raises(ValueError, match=r"no path leads to 'offered'; there are -, inquired, .*offered-by-hirer"):
        Playbook("offered")


def test_each_side_has_its_own_clock() -> None:
    """`skew` is per role."""
    playbook = Playbook("ready", skew={HIRER: 20, PROVIDER: -20})
    assert playbook.hirer.party.now == "2026-03-02T12:00:20Z"
    assert playbook.provider.party.now == "2026-03-02T11:59:40Z"


class TickingClock(HandClock):
    """A clock that is a second further on each time somebody looks."""

    def now(self) -> Instant:
        """The present instant."""
        return self.advance(1)


@pytest.mark.parametrize("say", [breach, cancel, dispute])
def test_what_leaves_the_least_time_leaves_enough_on_any_clock(say: Callable[[], Say]) -> None:
    """A move is written and recorded at one time, so that a second between the two makes it no refused one."""
    playbook = Playbook("working")
    party = playbook.hirer.party
    party.clock = TickingClock()
    signed = party.say(say().message)
    assert party.engagement.sent[-1] == signed.digest
