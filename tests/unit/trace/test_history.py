"""What the evidence says of one agent: each line with its contract, and whose word it is."""

from __future__ import annotations

from typing import Any

import pytest

from packs import NAME, Hire, refused_action
from undersigned.attestation import ActionTaken
from undersigned.testing import ARTIFACT, terminate
from undersigned.trace import LINES, HistoryLine, history, history_steps
from unit.trace.test_walk import DIGEST, evidence

OPEN: dict[str, Any] = {"checkpoint": None, "inclusion": None}


def lines(hire: Hire, did: str, **change: Any) -> list[HistoryLine]:
    found = history(did, evidence(hire, **change)).lines
    assert {line.kind for line in found} <= set(LINES)
    assert [line.at for line in found] == sorted(line.at for line in found)
    assert {line.contract for line in found} <= {hire.contract}
    return list(found)


def of_kind(found: list[HistoryLine], kind: str) -> list[tuple[str, str, str]]:
    return [(line.name, line.text, line.verdict) for line in found if line.kind == kind]


@pytest.fixture(scope="module")
def hire() -> Hire:
    return Hire().whole()


def test_each_side_of_a_hire_has_its_own(hire: Hire) -> None:
    """HIRE-TRC-01."""
    provider = lines(hire, hire.provider.actor.did)
    assert of_kind(provider, "delivered") == [(DIGEST, NAME, "")]
    (statement,) = of_kind(provider, "statement")
    assert statement[2] == "accepted"
    assert [name for name, *_ in of_kind(provider, "worked-on")] == [ARTIFACT]
    hirer = lines(hire, hire.hirer.actor.did)
    assert of_kind(hirer, "received") == [(DIGEST, NAME, "")]
    assert [name for name, *_ in of_kind(hirer, "given")] == [ARTIFACT]
    assert [verdict for *_, verdict in of_kind(hirer, "statement")] == ["accepted"]
    assert not of_kind(hirer, "delivered")


def test_whoever_is_no_party_has_none(hire: Hire) -> None:
    assert lines(hire, "did:web:umbrella.example") == []
    assert history_steps("did:web:umbrella.example", evidence(hire)) == ()


@pytest.mark.parametrize(
    ("then", "verdict"),
    [
        (lambda hire: hire, "not reviewed; how it went on after {} is not known"),
        (lambda hire: hire.reviewed("rejected"), "rejected; how it went on after {} is not known"),
        (lambda hire: hire.reviewed().closed(), "accepted"),
        (
            lambda hire: hire.book.hirer >> terminate("key_compromised"),
            "not reviewed; the contract was ended: key_compromised",
        ),
    ],
)
def test_a_statement_has_what_came_of_it_as_far_as_the_evidence_goes(then: Any, verdict: str) -> None:
    """HIRE-TRC-08: and as of when; a review says so too."""
    hire = Hire().sealed().delivered()
    then(hire)
    more = {} if hire.hirer.engagement.state == "closed" else OPEN
    last = hire.lines()[-1].at
    (statement,) = [one for one in lines(hire, hire.provider.actor.did, **more) if one.kind == "statement"]
    assert (statement.verdict, statement.as_of) == (verdict.format(last), last)
    reviews = [one for one in lines(hire, hire.hirer.actor.did, **more) if one.kind == "statement"]
    assert [(one.verdict, one.as_of) for one in reviews] == (
        [] if verdict.startswith("not reviewed") else [(verdict.format(last), last)]
    )


def test_refusals_of_both_gates_are_the_providers(hire: Hire) -> None:
    hire = Hire().sealed()
    at = hire.book.clock.now()
    refused = ActionTaken(at=at, action="artifact:read", target="urn:x", clause="read", allowed=False, reason="no")
    hire.delivered(hire.claims(actions=(refused,))).reviewed()
    pack = {**OPEN, "refusals": [refused_action(hire)]}
    found = lines(hire, hire.provider.actor.did, **pack)
    assert sorted(verdict for *_, verdict in of_kind(found, "refusal")) == ["refused", "scope_exceeded"]
    assert of_kind(lines(hire, hire.hirer.actor.did, **pack), "refusal") == []


def test_its_steps_are_the_traces_of_its_artifacts(hire: Hire) -> None:
    (tree,) = history_steps(hire.provider.actor.did, evidence(hire))
    assert (tree.kind, tree.name) == ("artifact", DIGEST)
