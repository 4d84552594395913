"""Strategies propose; what policy allows bounds them."""

from __future__ import annotations

import inspect

import pytest
from msgspec.structs import replace

from undersigned.contract import Price
from undersigned.errors import PolicyError
from undersigned.protocol import HIRER, PROVIDER, Answer, Bounds, Concede, Moment, Strategy, bounded
from undersigned.testing import Playbook, terms_for

PARTY = Playbook("ready").hirer.party
FINISH = terms_for(PARTY).deadlines.finish


def moment(theirs: str, ours: str, role: str = HIRER, rounds_left: int = 4) -> Moment:
    return Moment(
        role=role,
        now=PARTY.now,
        theirs=terms_for(PARTY, price=theirs),
        ours=terms_for(PARTY, price=ours),
        rounds_left=rounds_left,
    )


def limit(amount: str, role: str = HIRER, currency: str = "EUR") -> Bounds:
    return Bounds(role=role, limit=Price(amount=amount, currency=currency))


@pytest.mark.parametrize(
    ("role", "theirs", "ours", "steps", "act", "price"),
    [
        (HIRER, "20", "8", ("8", "10", "12"), "counter", "10"),
        (HIRER, "10", "8", ("8", "10", "12"), "accept", None),
        (HIRER, "9", "8", ("8", "10", "12"), "accept", None),
        (HIRER, "20", "12", ("8", "10", "12"), "withdraw", None),
        (HIRER, "12", "12", ("8", "10", "12"), "accept", None),
        (PROVIDER, "5", "14", ("14", "12", "11"), "counter", "12"),
        (PROVIDER, "12.5", "14", ("14", "12", "11"), "accept", None),
        (PROVIDER, "5", "11", ("14", "12", "11"), "withdraw", None),
    ],
)
def test_concessions_step_by_step(role: str, theirs: str, ours: str, steps, act: str, price: str | None) -> None:
    """Take what is no worse than the next step, else propose it, and walk away after the last."""
    answer = Concede(steps=steps).answer(moment(theirs, ours, role))
    assert answer.act == act
    assert (answer.terms.price.amount if answer.terms else None) == price


def test_no_round_is_left_for_a_counter_offer() -> None:
    """Then it says why it leaves."""
    answer = Concede(steps=("8", "10")).answer(moment("20", "8", rounds_left=0))
    assert (answer.act, answer.reason) == ("withdraw", "round_limit")


class Says:
    """A strategy that says one thing."""

    def __init__(self, answer: object) -> None:
        self.said = answer

    def answer(self, moment: Moment) -> Answer:
        if isinstance(self.said, BaseException):
            raise self.said
        return self.said  # what an application's program may do


@pytest.mark.parametrize(
    ("theirs", "bounds", "act"),
    [
        ("10", limit("10"), "accept"),
        ("10.01", limit("10"), "withdraw"),
        ("10", limit("10", PROVIDER), "accept"),
        ("9.99", limit("10", PROVIDER), "withdraw"),
        ("1", limit("10", currency="USD"), "withdraw"),
        ("10", replace(limit("10"), latest_finish="2026-03-02T13:00:00Z"), "withdraw"),
        ("10", replace(limit("10"), latest_finish="2026-03-09T13:00:00Z"), "accept"),
        ("10", replace(limit("10", PROVIDER), latest_finish="2026-03-09T13:00:00Z"), "withdraw"),
        ("10", replace(limit("10"), latest_finish=FINISH), "accept"),
        ("10", replace(limit("10", PROVIDER), latest_finish=FINISH), "accept"),
    ],
)
def test_a_strategy_cannot_widen_policy(theirs: str, bounds: Bounds, act: str) -> None:
    """Accepting, or proposing, what policy does not allow becomes a withdrawal."""
    answer = bounded(Says(Answer(act="accept")), moment(theirs, "8"), bounds)
    assert answer.act == act
    proposal = Answer(act="counter", terms=terms_for(PARTY, price=theirs))
    expected = "counter" if act == "accept" else "withdraw"
    answer = bounded(Says(proposal), moment("999", "8"), bounds)
    assert answer.act == expected
    if expected == "withdraw":
        assert answer.reason == "policy_denied"


@pytest.mark.parametrize(
    "answer",
    [
        RuntimeError("broken"),
        SystemExit(1),
        GeneratorExit(),
        None,
        "accept",
        Answer(act="counter"),
        Answer(act="accept", terms=terms_for(PARTY)),
    ],
)
def test_a_strategy_that_fails_is_an_error_of_its_own(answer: object) -> None:
    """It raises, or answers what is no answer: `decision_failed`, and nothing is agreed."""
    with pytest.raises(PolicyError) as failed:
        bounded(Says(answer), moment("10", "8"), limit("100"))
    assert failed.value.code == "decision_failed"


def test_a_strategy_sees_no_key() -> None:
    """What it is given are terms, times and numbers."""
    assert set(Moment.__struct_fields__) == {"role", "now", "theirs", "ours", "rounds_left"}
    assert set(inspect.signature(Strategy.answer).parameters) == {"self", "moment"}
    with pytest.raises(AttributeError):
        moment("10", "8").rounds_left = 99
