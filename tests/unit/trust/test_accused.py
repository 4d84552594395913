"""Who is accused is not dealt with, whatever else the policy says: HIRE-TRU-25."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from contracts import ENGAGEMENT
from issuing import issued
from parties import NOW
from undersigned.credentials import Membership, VerifiedPresentation, read_credential
from undersigned.encoding import digest_bytes
from undersigned.testing import Actor
from undersigned.trust import (
    Anchor,
    Anchors,
    Answers,
    Decision,
    Edge,
    Graph,
    Needed,
    Policy,
    Viewpoint,
    accused,
    answer,
    asked_about,
    evaluate,
)

BODY, ORGANISATION, AGENT, STRANGER = Actor("body"), Actor("organisation"), Actor("agent"), Actor("stranger")
ANCHORS = Anchors.of(BODY.did, ORGANISATION.did)
MEMBER = read_credential(issued(ORGANISATION, Membership(id=AGENT.did, member_of=ORGANISATION.did), NOW))
SHOWN = VerifiedPresentation(
    holder=AGENT.did, engagement=ENGAGEMENT, credentials=(MEMBER,), digest=digest_bytes(b"presentation")
)
POLICY = Policy(require=("MembershipCredential",))
NEED = Needed(code="not_accused")


def accusing(of: Actor, by: Actor = BODY, **more: str) -> Edge:
    name = digest_bytes(repr((of.did, by.did, sorted(more.items()))).encode())
    return Edge(digest=name, source=by.did, target=of.did, kind="accusation", says="breach", **more)  # type: ignore[arg-type]


def judged(
    *edges: Edge,
    policy: Policy = POLICY,
    shown: VerifiedPresentation = SHOWN,
    anchors: Anchors = ANCHORS,
) -> Decision:
    view = Viewpoint(anchors=anchors, now=NOW)
    answers = Answers.of(asked_about(shown, policy), view, Graph(edges).read)
    return evaluate(shown, anchors, policy, NOW, answers=answers)


def test_without_an_accusation_nothing_is_said_of_it() -> None:
    decision = judged()
    assert (decision.outcome, decision.accusations) == ("allow", ())
    assert [reason.clause for reason in decision.reasons] == ["require"]


@pytest.mark.parametrize("policy", [POLICY, Policy(require=()), Policy(require=(), ask=True)])
@pytest.mark.parametrize("of", [AGENT, ORGANISATION], ids=["the agent", "its organisation"])
def test_an_accusation_that_counts_denies(of: Actor, policy: Policy) -> None:
    """HIRE-TRU-06, HIRE-TRU-16, HIRE-TRU-25: also where the policy demands nothing, and no person is asked about it."""
    edge = accusing(of)
    decision = judged(edge, policy=policy)
    (reason,) = [one for one in decision.reasons if one.clause == "accused"]
    assert (decision.outcome, decision.accusations, NEED in decision.needed) == ("deny", (edge,), True)
    assert reason.value == f"{BODY.did} accuses {of.did} of breach"
    assert f"against: {BODY.did} accuses {of.did} of breach" in decision.explain()
    assert all(BODY.did not in (need.issuers or ()) for need in decision.needed if need.code == "not_accused")


@pytest.mark.parametrize(
    "edge",
    [
        accusing(AGENT, STRANGER),
        accusing(STRANGER),
        accusing(AGENT, status="revoked"),
        accusing(AGENT, valid_until="2020-01-01T00:00:00Z"),
    ],
    ids=["by nobody we hear", "of somebody else", "revoked", "over"],
)
def test_what_does_not_count_denies_nothing(edge: Edge) -> None:
    """HIRE-TRU-03, HIRE-TRU-06."""
    assert judged(edge).outcome == "allow"


def test_an_anchor_that_is_not_believed_about_accusations_accuses_nobody() -> None:
    """Decision 0141: standing comes from the anchors alone."""
    anchors = Anchors().with_anchors(
        [
            Anchor(issuer=BODY.did, types=("EndorsementCredential",)),
            Anchor(issuer=ORGANISATION.did, types=("MembershipCredential",)),
        ]
    )
    assert judged(accusing(AGENT), anchors=anchors).outcome == "allow"


def test_what_could_not_be_found_out_is_no() -> None:
    """HIRE-TRU-11, HIRE-TRU-25: too much work, another party's answer, an answer of another time, none."""
    view = Viewpoint(anchors=ANCHORS, now=NOW, limit=2)
    many = Graph(accusing(AGENT, valid_until=f"2027-01-01T00:00:0{number}Z") for number in range(4))
    assert answer(accused(AGENT.did, view), many.read).verdict == "indeterminate"
    asked = asked_about(SHOWN, POLICY)
    whole = Answers.of(asked, Viewpoint(anchors=ANCHORS, now=NOW), Graph(()).read)
    assert evaluate(SHOWN, ANCHORS, POLICY, NOW, answers=whole).outcome == "allow"
    lacking = [
        replace(whole, accused=()),
        replace(whole, accused=whole.accused[:1]),
        replace(whole, accused=(*whole.accused[1:], answer(accused(AGENT.did, view), many.read))),
        replace(whole, accused=tuple(replace(one, anchors=digest_bytes(b"others")) for one in whole.accused)),
        replace(whole, accused=tuple(replace(one, until="2026-01-01T00:00:00Z") for one in whole.accused)),
    ]
    for answers in lacking:
        decision = evaluate(SHOWN, ANCHORS, POLICY, NOW, answers=answers)
        assert (decision.outcome, NEED in decision.needed) == ("deny", True)
        assert any(one.clause == "accused" and "could not be found out" in one.value for one in decision.reasons)
