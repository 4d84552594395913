"""From an artifact to whoever was believed: what each step says was checked of it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.json import encode
from msgspec.structs import replace

from packs import MADE, NAME, Hire, judged_anew
from undersigned.attestation import ActionTaken
from undersigned.encoding import digest_bytes, shift
from undersigned.errors import VerificationError
from undersigned.evidence import tamper
from undersigned.proof import MAX_SKEW_SECONDS
from undersigned.runtime.evidence.tracing import verified_pack
from undersigned.testing import ARTIFACT, acceptance, amendment, minutes, seal
from undersigned.trace import KINDS, ProvedEngagement, TraceEvidence, TraceStep, history, trace
from undersigned.trust import Decision, Inputs, Policy

DIGEST = digest_bytes(MADE)


@pytest.fixture(scope="module")
def hire() -> Hire:
    return Hire().whole()


def evidence(hire: Hire, **change: Any) -> TraceEvidence:
    return TraceEvidence.of(
        [ProvedEngagement(verified_pack(hire.pack(**change), "a pack", now=hire.book.clock.now()), "a pack")]
    )


def of_kind(tree: TraceStep, kind: str) -> list[TraceStep]:
    return [step for step in tree.every if step.kind == kind]


def test_it_leads_from_the_artifact_to_the_contract(hire: Hire) -> None:
    """HIRE-TRC-02."""
    tree = trace(DIGEST, evidence(hire))
    assert (tree.kind, tree.name, tree.text, tree.state) == ("artifact", DIGEST, NAME, "verified")
    (delivery,) = tree.steps
    assert (delivery.state, delivery.by, delivery.of) == (
        "verified",
        (hire.provider.actor.did,),
        (hire.hirer.actor.did,),
    )
    assert [step.kind for step in delivery.steps] == ["statement", "acceptance", "contract"]
    assert [step.state for step in delivery.steps] == ["verified"] * 3
    statement, acceptance, contract = delivery.steps
    assert acceptance.text == "accepted"
    assert contract.name == hire.contract
    (given,) = statement.steps
    assert (given.kind, given.name, given.state) == ("input", ARTIFACT, "missing")
    assert {step.kind for step in tree.every} <= set(KINDS)


def test_what_is_not_there_is_said(hire: Hire) -> None:
    """HIRE-TRC-02: where a pack holds no decision, nothing stands in for it."""
    tree = trace(DIGEST, evidence(hire))
    decisions = of_kind(tree, "decision")
    assert [(step.state, step.by) for step in decisions] == [
        ("missing", (hire.hirer.actor.did,)),
        ("missing", (hire.provider.actor.did,)),
    ]
    assert of_kind(tree, "anchor") == []
    (nothing,) = trace(digest_bytes(b"another"), evidence(hire)).every
    assert nothing.state == "missing"


def test_a_delivery_that_nobody_accepted_is_no_accepted_one() -> None:
    hire = Hire().sealed().delivered()
    (step,) = of_kind(trace(DIGEST, evidence(hire, checkpoint=None, inclusion=None)), "acceptance")
    assert (step.state, step.text) == ("missing", "not accepted")


def test_a_rejected_one_is_said_to_be_rejected() -> None:
    hire = Hire().sealed().delivered().reviewed("rejected")
    (step,) = of_kind(trace(DIGEST, evidence(hire, checkpoint=None, inclusion=None)), "acceptance")
    assert (step.state, step.text.partition(",")[0]) == ("verified", "rejected")


def test_a_verdict_that_crossed_a_seal_is_of_who_stated_it() -> None:
    """HIRE-TRC-02: the amendment names another one, of whom the evidence has no word."""
    hire = judged_anew(crossing=True)
    found = evidence(hire, role="provider", checkpoint=None, inclusion=None)
    (step,) = of_kind(trace(DIGEST, found), "acceptance")
    assert (step.state, step.by) == ("verified", (hire.hirer.actor.did,))
    assert f"stated by {hire.hirer.actor.did} " in step.why
    said = [line for line in history(hire.hirer.actor.did, found).lines if line.text.startswith("review of ")]
    assert [line.by for line in said] == [hire.hirer.actor.did]


@pytest.mark.parametrize(
    ("target", "state"),
    [(f"urn:hire:artifact:{ARTIFACT}", "stated"), (f"urn:hire:artifact:{DIGEST}", "failed")],
)
def test_an_action_is_held_against_the_scope(target: str, state: str) -> None:
    """HIRE-TRC-02: a statement may claim that a gate allowed what the contract never did."""
    hire = Hire().sealed()
    at = hire.book.clock.now()
    taken = ActionTaken(at=at, action="artifact:read", target=target, clause="read-artifact", allowed=True)
    hire.delivered(hire.claims(actions=(taken,))).reviewed()
    (step,) = of_kind(trace(DIGEST, evidence(hire, checkpoint=None, inclusion=None)), "action")
    assert step.state == state
    assert ("outside the scope" in step.why) == (state == "failed")


def test_an_action_is_held_against_the_scope_of_its_time() -> None:
    """HIRE-TRC-02, HIRE-TRC-05: an amendment takes nothing from what was done before it, and gives it nothing."""
    hire = Hire().sealed()
    first = hire.hirer.offered().terms
    (grant,) = first.scope.grants
    more = f"urn:hire:artifact:{digest_bytes(b'more')}"
    widened = replace(first, scope=replace(first.scope, grants=(replace(grant, target=more),)))
    began = hire.book.clock.now()
    hire.book.advance(minutes(30))
    hire.book.hirer >> amendment(terms=widened)
    hire.book.provider >> acceptance()
    hire.book.hirer >> seal()
    changed = hire.book.clock.now()
    hire.book.advance(minutes(30))
    ended = hire.book.clock.now()
    at_once = [shift(changed, -MAX_SKEW_SECONDS), shift(changed, MAX_SKEW_SECONDS)]
    times = [began, shift(at_once[0], -1), *at_once, shift(at_once[1], 1), ended]
    actions = [
        ActionTaken(at=at, action="artifact:read", target=target, clause="read-artifact", allowed=True)
        for target in (f"urn:hire:artifact:{ARTIFACT}", more)
        for at in times
    ]
    hire.delivered(hire.claims(actions=actions)).reviewed()
    found = of_kind(trace(DIGEST, evidence(hire, checkpoint=None, inclusion=None)), "action")
    before, after = ["stated"] * 4 + ["failed"] * 2, ["failed"] * 2 + ["stated"] * 4
    assert [step.state for step in found] == [*before, *after]


@pytest.mark.parametrize("kind", ["artifact", "statement", "contract"])
def test_a_pack_that_does_not_hold_is_refused_whole(hire: Hire, kind: str) -> None:
    """HIRE-TRC-01."""
    with pytest.raises(VerificationError, match=r"does not hold \(step"):
        verified_pack(tamper(hire.pack(), kind), "a pack", now=hire.book.clock.now())


def test_one_contract_in_two_packs_is_told_once(hire: Hire) -> None:
    now = hire.book.clock.now()
    both = [ProvedEngagement(verified_pack(hire.pack(role), role, now=now), role) for role in ("provider", "hirer")]
    tree = trace(DIGEST, TraceEvidence.of(both))
    assert [step.why.rpartition(" in ")[2] for step in of_kind(tree, "delivery")] == ["provider"]


def test_a_packs_decision_is_the_word_of_its_packer(hire: Hire) -> None:
    """HIRE-TRC-02: nobody here made it again; and what is no decision is none."""
    decision = Decision(
        outcome="allow",
        peer=hire.provider.actor.did,
        policy="acme/1",
        at=hire.book.clock.now(),
        reasons=(),
        needed=(),
        inputs=Inputs(policy=Policy().digest, anchors=digest_bytes(b"a")),
    )
    tree = trace(DIGEST, evidence(hire, decisions=[encode(decision), b"{}"], policies=[Policy().canonical]))
    told = [(step.state, step.by, step.text.partition(" ")[0]) for step in of_kind(tree, "decision")]
    hirer, provider = hire.hirer.actor.did, hire.provider.actor.did
    assert told == [("stated", (hirer,), "allow"), ("missing", (provider,), "whether")]
