"""What comes before its time by our own record, and what only seems to. HIRE-LIF-34."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from undersigned.encoding import shift
from undersigned.messages import VerifiedMessage
from undersigned.protocol import HIRER, OTHER, PROVIDER, Early, Received, Role, apply, early
from undersigned.testing import (
    Playbook,
    Say,
    acceptance,
    breach,
    cancel,
    closing,
    delivery,
    dispute,
    minutes,
    offer,
    resume,
    review,
    seal,
    start,
    suspend,
    terminate,
    terms_for,
)

HOUR, DAY = minutes(60), minutes(24 * 60)


def found(playbook: Playbook, by: Role, say: Say, after: int = 0) -> Early | None:
    """What the other side makes of this move of a liar, `after` so many seconds."""
    playbook.advance(after)
    party = playbook.parties[OTHER[by]]
    entry = Received(playbook.side(by).forge(say), party.now)
    apply(party.engagement, entry)  # it is taken, whatever is said of it
    return early(party.engagement, entry)


@pytest.mark.parametrize(
    ("state", "by", "say", "what", "soon", "later"),
    [
        ("delivered", PROVIDER, closing(basis="silence"), "review", 2 * HOUR - 121, 2 * HOUR),
        ("working", HIRER, terminate("deadline"), "deadline", 0, DAY),
        ("sealed", PROVIDER, terminate("deadline"), "deadline", HOUR - 121, HOUR),
        ("disputed", HIRER, terminate("no_ruling"), "no_ruling", DAY - 121, DAY),
        ("delivered", HIRER, terminate("deadline"), "deadline", HOUR, DAY),
    ],
)
def test_an_end_before_its_time_is_seen(state: str, by: Role, say: Say, what: str, soon: int, later: int) -> None:
    """By our own clock, with a leeway for two clocks that are off; at its time it is right."""
    wrong = found(Playbook(state), by, say, soon)
    assert wrong is not None
    assert (wrong.type, wrong.what) == (say.type, what)
    assert wrong.allowed > shift(wrong.said, 120)
    assert f"by our record not before {wrong.allowed}" in wrong.explain()
    assert found(Playbook(state), by, say, later + 1) is None
    assert found(Playbook(state), by, say, later - 120) is None


@pytest.mark.parametrize(
    ("state", "by", "say", "member", "least"),
    [
        ("working", HIRER, breach, "cureBy", HOUR),
        ("delivered", PROVIDER, dispute, "rulingBy", DAY),
        ("working", HIRER, cancel, "windDown", minutes(10)),
    ],
)
def test_too_little_time_is_seen(state: str, by: Role, say, member: str, least: int) -> None:
    """What a move leaves is counted from when it was signed, or recorded if that is earlier."""
    names = {"cureBy": "cure_by", "rulingBy": "ruling_by", "windDown": "wind_down"}
    for left, wrong in ((0, True), (least - 121, True), (least - 120, False), (least, False)):
        playbook = Playbook(state)
        made = found(playbook, by, say(**{names[member]: shift(playbook.parties[by].now, left)}))
        assert (made is not None) == wrong, left
        assert made is None or (made.what, made.said) == (member, shift(playbook.parties[by].now, left))


@pytest.mark.parametrize(("state", "by", "say"), [("working", HIRER, breach()), ("delivered", PROVIDER, dispute())])
def test_too_little_time_is_counted_from_when_it_was_signed(state: str, by: Role, say: Say) -> None:
    """Not from when it arrived: a carrier may have had it for longer than it leaves."""
    playbook = Playbook(state)
    party, said = playbook.parties[OTHER[by]], playbook.side(by).forge(say)
    playbook.advance(2 * DAY)
    assert early(party.engagement, Received(said, party.now)) is None


def test_a_clock_that_was_set_back_makes_nothing_early() -> None:
    """What was recorded last has been, so it is no earlier now."""
    playbook = Playbook("delivered")
    hirer = playbook.hirer.party
    playbook.advance(2 * HOUR + 1)
    silent = playbook.provider.forge(closing(basis="silence"))
    before = replace(hirer.engagement, last_at=hirer.now)
    assert early(before, Received(silent, shift(hirer.now, -HOUR))) is None
    assert early(hirer.engagement, Received(silent, shift(hirer.now, -HOUR))) is not None


@pytest.mark.parametrize(("after", "what"), [(2 * HOUR - 121, "review"), (2 * HOUR - 120, "unheard")])
def test_silence_that_was_claimed_too_early_is_not_what_was_unheard(after: int, what: str) -> None:
    """The hirer said no in time: whoever closes by its silence at the time for it did not hear that."""
    playbook = Playbook("delivered")
    playbook.hold()
    playbook.hirer >> review("rejected")
    wrong = found(playbook, PROVIDER, closing(basis="silence"), after)
    assert wrong is not None
    assert wrong.what == what


def test_the_end_for_a_breach_has_its_time() -> None:
    """It is the one that the breach named."""
    playbook = Playbook("working")
    claimed = playbook.hirer >> breach()
    ended = terminate("breach", names=claimed.digest)
    assert found(playbook, HIRER, ended) is not None
    assert found(playbook, HIRER, ended, HOUR) is None


def test_what_was_long_under_way_is_not_called_early() -> None:
    """Who delivered hours ago, and waited, is in time although both moves come at once."""
    playbook = Playbook("working")
    hirer, provider = playbook.hirer.party, playbook.provider.party
    playbook.hold()
    delivered = playbook.provider >> delivery()
    playbook.advance(2 * HOUR + 1)
    silent = playbook.provider >> closing(basis="silence")
    assert hirer.take(delivered) == "applies"
    assert early(hirer.engagement, Received(silent, hirer.now)) is None
    assert provider.state == "closing"


def test_a_deadline_of_a_rework_counts_from_when_it_was_asked_for() -> None:
    """A review that was long under way took its time with it."""
    playbook = Playbook("delivered")
    hirer, provider = playbook.hirer.party, playbook.provider.party
    playbook.hold()
    again: VerifiedMessage = playbook.hirer >> review("rework")
    playbook.advance(DAY)
    assert provider.take(again) == "applies"
    contract = provider.engagement.contract
    assert contract is not None
    assert contract.works_from == again.message.proof.created  # type: ignore[union-attr]
    assert found(playbook, HIRER, terminate("deadline")) is None
    assert hirer.state == "working"


def test_a_rework_that_was_long_under_way_has_its_time_although_signs_of_life_are_rare() -> None:
    """By its own deadline, which the hirer counts from when it asked, and not from when that was heard."""
    playbook = Playbook("ready")
    terms = terms_for(playbook.hirer.party)
    terms = replace(terms, deadlines=replace(terms.deadlines, heartbeat="PT3H"))
    playbook.hirer >> offer(terms=terms)
    playbook.provider >> acceptance()
    playbook.hirer >> seal()
    playbook.hirer >> start()
    playbook.provider >> delivery()
    playbook.hold()
    again: VerifiedMessage = playbook.hirer >> review("rework")
    playbook.advance(4 * HOUR + 1)
    assert playbook.provider.party.take(again) == "applies"
    assert found(playbook, HIRER, terminate("deadline")) is None


def test_what_is_suspended_ends_no_earlier_than_was_said() -> None:
    """And for what goes on, silence counts anew."""
    playbook = Playbook("working")
    playbook.hirer >> suspend(lasts=HOUR // 2)
    assert found(playbook, PROVIDER, terminate("deadline")) is not None
    assert found(playbook, PROVIDER, terminate("deadline"), HOUR // 2) is None
    playbook.hirer >> resume()
    assert found(playbook, HIRER, terminate("deadline")) is not None


@pytest.mark.parametrize("waited", [HOUR // 2 + 1, HOUR // 2 - 121])
def test_an_end_of_what_goes_on_meanwhile_had_its_time(waited: int) -> None:
    """A provider ends what was suspended for too long, and the hirer lets it go on: neither has heard of the other."""
    playbook = Playbook("working")
    playbook.hirer >> suspend(lasts=HOUR // 2)
    playbook.hold()
    playbook.advance(waited)
    hirer, ended = playbook.hirer.party, playbook.provider.forge(terminate("deadline"))
    playbook.hirer >> resume()
    entry = Received(ended, hirer.now)
    assert (early(hirer.engagement, entry) is None) == (waited > HOUR // 2)
    assert hirer.take(ended) == "applies"


@pytest.mark.parametrize("waited", [HOUR // 2 + 1, HOUR // 2 - 121])
def test_an_end_that_crossed_a_second_suspension_had_the_time_of_the_first(waited: int) -> None:
    """It was made by whoever had heard of neither that it goes on, nor that it does not again."""
    playbook = Playbook("working")
    playbook.hirer >> suspend(lasts=HOUR // 2)
    playbook.hold()
    playbook.advance(waited)
    hirer, ended = playbook.hirer.party, playbook.provider.forge(terminate("deadline"))
    playbook.hirer >> resume()
    playbook.hirer >> suspend(lasts=HOUR)
    entry = Received(ended, hirer.now)
    assert (early(hirer.engagement, entry) is None) == (waited > HOUR // 2)
    assert hirer.take(ended) == "applies"


def test_the_end_of_a_first_suspension_is_none_of_the_second() -> None:
    playbook = Playbook("working")
    playbook.hirer >> suspend(lasts=HOUR // 2)
    playbook.hirer >> resume()
    playbook.hirer >> suspend(lasts=HOUR)
    assert found(playbook, PROVIDER, terminate("deadline"), HOUR // 2 + 1) is not None


def test_what_is_judged_otherwise_is_never_early() -> None:
    """Causes without a time, and books that close what was reviewed."""
    assert found(Playbook("working"), HIRER, terminate("key_compromised")) is None
    assert found(Playbook("closing"), PROVIDER, closing()) is None
