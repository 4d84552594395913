"""From an artifact to whoever was believed: what each step says was checked of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.json import encode
from msgspec.structs import replace

import pack_cases
from pack_cases import wide
from pack_credentials import FROM, credential
from packs import MADE, NAME, Hire, judged_anew, refused_action
from undersigned.attestation import ActionTaken, SubcontractLine
from undersigned.attestation.predicates.work import MAX_ACTIONS
from undersigned.encoding import digest_bytes, shift
from undersigned.errors import CODES, VerificationError
from undersigned.evidence import read_archive, tamper
from undersigned.proof import MAX_SKEW_SECONDS
from undersigned.runtime.evidence.tracing import verified_pack
from undersigned.testing import (
    ARBITER,
    ARTIFACT,
    Actor,
    Say,
    acceptance,
    amendment,
    breach,
    dispute,
    minutes,
    presentation,
    ruling,
    seal,
    terminate,
    terms_for,
)
from undersigned.testing.moves import contract_document
from undersigned.trace import KINDS, ProvedEngagement, TraceEvidence, TraceStep, history, trace
from undersigned.trust import Decision, Edge, Ground, Inputs, Policy

DIGEST = digest_bytes(MADE)


@pytest.fixture(scope="module")
def hire() -> Hire:
    return Hire().whole()


def evidence(hire: Hire, **change: Any) -> TraceEvidence:
    return TraceEvidence.of(
        [ProvedEngagement(verified_pack(hire.pack(**change), "a pack", now=hire.book.clock.now()), "a pack")]
    )


def decided(hire: Hire, *grounds: Ground) -> bytes:
    """The hirer's decision to work with the provider."""
    decision = Decision(
        outcome="allow",
        peer=hire.provider.actor.did,
        policy="acme/1",
        at=hire.book.clock.now(),
        reasons=(),
        needed=(),
        grounds=grounds,
        inputs=Inputs(policy=Policy().digest, anchors=digest_bytes(b"a")),
    )
    return encode(decision)


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


def test_a_pack_that_does_not_hold_gives_no_answer() -> None:
    """HIRE-TRC-01: the code is that of the step; the exit code is not the one by which an artifact is denied."""
    broken = {code: data for data, code in pack_cases.hired_under().values() if code}
    assert CODES["scope_exceeded"].exit_code == 3
    with pytest.raises(VerificationError) as refused:
        verified_pack(broken["scope_exceeded"], "a pack", now=pack_cases.LATER)
    assert (refused.value.code, refused.value.exit_code) == ("scope_exceeded", 4)


def test_one_contract_in_two_packs_is_told_once(hire: Hire) -> None:
    now = hire.book.clock.now()
    both = [ProvedEngagement(verified_pack(hire.pack(role), role, now=now), role) for role in ("provider", "hirer")]
    tree = trace(DIGEST, TraceEvidence.of(both))
    assert [step.why.rpartition(" in ")[2] for step in of_kind(tree, "delivery")] == ["provider"]


def test_a_packs_decision_is_the_word_of_its_packer(hire: Hire) -> None:
    """HIRE-TRC-02: nobody here made it again; and what is no decision is none."""
    tree = trace(DIGEST, evidence(hire, decisions=[decided(hire), b"{}"], policies=[Policy().canonical]))
    told = [(step.state, step.by, step.text.partition(" ")[0]) for step in of_kind(tree, "decision")]
    hirer, provider = hire.hirer.actor.did, hire.provider.actor.did
    assert told == [("stated", (hirer,), "allow"), ("missing", (provider,), "whether")]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ([breach()], ["a breach is claimed of dataHandling"]),
        ([dispute(), ruling(by=ARBITER)], ["put before the arbiter", "the arbiter ruled"]),
        ([terminate("key_compromised")], ["terminated: key_compromised"]),
    ],
)
def test_what_ended_it_or_speaks_against_it_is_told(said: list[Say], told: list[str]) -> None:
    """HIRE-TRC-02."""
    hire = Hire().sealed().delivered()
    for say in said:
        hire.book.hirer >> say
    found = of_kind(trace(DIGEST, evidence(hire, checkpoint=None, inclusion=None)), "ending")
    assert [step.text for step in found] == told
    assert {(step.state, step.by) for step in found} == {("verified", (hire.hirer.actor.did,))}


def test_what_a_gate_refused_is_the_word_of_whose_gate_it_was(hire: Hire) -> None:
    """HIRE-TRC-02."""
    (step,) = of_kind(trace(DIGEST, evidence(hire, refusals=[refused_action(hire)])), "refusal")
    assert (step.state, step.by) == ("stated", (hire.hirer.actor.did,))
    assert "refused by [" in step.text


def test_actions_that_a_statement_leaves_out_are_missing() -> None:
    """HIRE-TRC-02: what was refused among those that it holds was refused, whatever the scope says."""
    hire = Hire().sealed()
    line = {"at": hire.book.clock.now(), "action": "artifact:read", "target": f"urn:hire:artifact:{ARTIFACT}"}
    taken = [ActionTaken(**line, clause="read", allowed=allowed) for allowed in (False, True)]
    hire.delivered(hire.claims(actions=taken * (MAX_ACTIONS // 2 + 1))).reviewed().closed()
    found = of_kind(trace(DIGEST, evidence(hire)), "action")
    assert [(step.state, step.text) for step in found[MAX_ACTIONS:]] == [
        ("missing", "2 more actions than the statement holds")
    ]
    assert {step.why for step in found[:MAX_ACTIONS:2]} == {"the provider's word: its gate said no"}


def hired_under(above: Hire) -> Hire:
    """A hire by the provider of `above`, under that contract."""
    contract = json.loads(read_archive(above.pack(checkpoint=None, inclusion=None))["contract.json"])

    def stating(hire: Hire, move: str) -> dict[str, Any]:
        if move != "Offer":
            return {}
        party = hire.hirer
        document = replace(contract_document(party, terms_for(party)), parent=above.contract)
        return {"document": party.actor.prove_offer(document, party.now), "parents": (contract,)}

    return Hire(stating=stating, actors=(above.provider.actor, Actor("below"))).whole()


def test_the_contract_above_is_as_the_offer_showed_it() -> None:
    """HIRE-TRC-02: whoever has no pack of it has what both of them signed."""
    above = Hire(changing=wide).sealed()
    below = hired_under(above)
    _, found = of_kind(trace(DIGEST, evidence(below)), "contract")
    assert (found.name, found.state) == (above.contract, "verified")
    assert found.by == (above.hirer.actor.did, above.provider.actor.did)
    assert "as the offer showed it" in found.why
    with_its_pack = TraceEvidence.of([*evidence(below).held, *evidence(above, checkpoint=None, inclusion=None).held])
    _, found = of_kind(trace(DIGEST, with_its_pack), "contract")
    assert (found.name, found.state) == (above.contract, "verified")
    assert "both proofs, the acceptance and the seal hold; in a pack" in found.why


def test_a_subcontract_that_is_no_such_hire_fails() -> None:
    """HIRE-TRC-02: the provider names a contract that is of somebody else, or of another contract."""
    other = Hire(actors=(Actor("hirer"), Actor("another provider"))).whole()
    hire = Hire().sealed()
    hired = {"provider": other.provider.actor.did, "task": "sbom"}
    lines = [
        SubcontractLine(**hired, contract=other.contract, outcome="review accepted"),
        SubcontractLine(**hired, contract=digest_bytes(b"another"), outcome="review accepted"),
        SubcontractLine(**hired, outcome="not begun"),
    ]
    hire.delivered(hire.claims(subcontracts=lines)).reviewed().closed()
    both = TraceEvidence.of([*evidence(hire).held, *evidence(other).held])
    found = of_kind(trace(DIGEST, both), "subcontract")
    assert [step.state for step in found] == ["failed", "missing", "stated"]


def test_what_counted_for_nothing_when_it_was_shown_is_no_step() -> None:
    """HIRE-TRC-02, HIRE-CRD-01: what had ended, beside what holds, is nothing that does not hold."""

    def shown(hire: Hire) -> Say:
        return presentation(credential(hire, validUntil=FROM), credential(hire))

    (step,) = of_kind(trace(DIGEST, evidence(Hire(shown=shown).whole())), "credential")
    assert step.state == "verified"


def test_who_was_believed_is_told_link_by_link(hire: Hire) -> None:
    """HIRE-TRC-02: from the issuer up to the anchor; and what was missing, where nobody was."""
    root, middle, issuer = (f"did:web:{name}.example" for name in ("root", "middle", "issuer"))
    path = tuple(
        Edge(
            digest=digest_bytes(source.encode()),
            source=source,
            target=target,
            kind="authority",
            capability="AgentMembership",
        )
        for source, target in ((root, middle), (middle, issuer))
    )
    of = {"issuer": issuer, "credential_type": "AgentMembership"}
    grounds = (
        Ground(credential=digest_bytes(b"1"), verdict="yes", paths=(path,), **of),
        Ground(credential=digest_bytes(b"2"), verdict="no", missing=("nobody lets it",), **of),
    )
    tree = trace(DIGEST, evidence(hire, decisions=[decided(hire, *grounds)], policies=[Policy().canonical]))
    (first, second) = [step.steps[0] for step in of_kind(tree, "credential")]
    assert [(step.kind, step.by, step.state) for step in first.every] == [
        ("link", (middle,), "stated"),
        ("link", (root,), "stated"),
        ("anchor", (hire.hirer.actor.did,), "stated"),
    ]
    assert (second.kind, second.state, second.why) == ("anchor", "missing", "nobody lets it")
