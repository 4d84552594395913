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
    Hypothetical,
    Needed,
    Policy,
    SupposedEdge,
    Viewpoint,
    accused,
    answer,
    answers_again,
    asked_about,
    decide,
    entitled,
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
    view = Viewpoint(anchors=anchors, now=NOW, refused=frozenset())
    answers = Answers.of(asked_about(shown, policy), view, Graph(edges).read)
    return evaluate(shown, anchors, policy, NOW, answers=answers)


NOTHING_SHOWN = replace(SHOWN, credentials=())


def belonging(to: Actor = ORGANISATION, **more: str) -> Edge:
    name = digest_bytes(repr((to.did, sorted(more.items()))).encode())
    return Edge(digest=name, source=to.did, target=AGENT.did, kind="membership", **more)  # type: ignore[arg-type]


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
    assert decision.needed == (NEED,)


@pytest.mark.parametrize("policy", [POLICY, Policy(require=())])
def test_an_organisation_that_it_does_not_show_is_known(policy: Policy) -> None:
    """HIRE-TRU-25: a party shows what it is asked for; by other anchors the answer comes out of what was recorded."""
    edges = accusing(ORGANISATION), belonging()
    decision = judged(*edges, policy=policy, shown=NOTHING_SHOWN)
    (reason,) = [one for one in decision.reasons if one.clause == "accused"]
    assert (decision.outcome, decision.accusations, decision.needed) == ("deny", edges[:1], (NEED,))
    assert reason.value == f"{BODY.did} accuses {ORGANISATION.did} of breach, to which {AGENT.did} belongs"
    both = judged(*edges, policy=policy)
    assert [one.clause for one in both.reasons].count("accused") == 1, "shown as well as known, it is said once"

    asked = asked_about(NOTHING_SHOWN, policy)
    given = Answers.of(asked, Viewpoint(anchors=ANCHORS, now=NOW, refused=frozenset()), Graph(edges).read)
    for anchors, verdict in ((ANCHORS, "yes"), (Anchors.of(STRANGER.did), "no")):
        (again,) = answers_again(given, anchors, (), NOW, frozenset()).accused
        assert again.verdict == verdict
        (whole,) = Answers.of(
            asked, Viewpoint(anchors=anchors, now=NOW, refused=frozenset()), Graph(edges).read
        ).accused
        assert (again.dissent, again.members) == (whole.dissent, whole.members)


@pytest.mark.parametrize(
    "edge",
    [
        belonging(status="revoked"),
        belonging(status="suspended"),
        belonging(valid_until="2020-01-01T00:00:00Z"),
        belonging(STRANGER),
    ],
    ids=["revoked", "suspended", "over", "of another organisation"],
)
def test_a_membership_that_does_not_stand_is_none(edge: Edge) -> None:
    """HIRE-TRU-03."""
    found = judged(accusing(ORGANISATION), edge, policy=Policy(require=()), shown=NOTHING_SHOWN)
    assert found.outcome == "allow"


def test_an_answer_ends_with_what_it_knows_of_memberships() -> None:
    """HIRE-TRU-12: one that begins tomorrow is not in today's answer, which is kept no longer."""
    tomorrow = belonging(valid_from="2026-11-26T12:00:00Z")
    found = answer(accused(AGENT.did, Viewpoint(anchors=ANCHORS, now=NOW, refused=frozenset())), Graph([tomorrow]).read)
    assert (found.verdict, found.until) == ("no", "2026-11-26T11:59:59Z")


def test_a_case_with_a_graph_knows_it_too() -> None:
    """A policy that is tried out decides as one that is met."""
    member = SupposedEdge(type="MembershipCredential", issuer=ORGANISATION.did, about=AGENT.did)
    claims = {"kind": "breach", "evidence": digest_bytes(b"ruling")}
    against = SupposedEdge(type="AccusationCredential", issuer=BODY.did, about=ORGANISATION.did, claims=claims)
    supposed = Hypothetical(now=NOW, peer=AGENT.did, anchors=(BODY.did,), graph=(member, against))
    assert decide(supposed, Policy(require=())).outcome == "deny"
    assert decide(replace(supposed, graph=(against,)), Policy(require=())).outcome == "allow"


def test_a_request_hears_of_accusations_too() -> None:
    """Whoever relies on such an answer looks up whether they were withdrawn: HIRE-TRU-26."""
    edge = accusing(ORGANISATION)
    found = answer(
        entitled("MembershipCredential", None, Viewpoint(anchors=ANCHORS, now=NOW, refused=frozenset())),
        Graph([edge]).read,
    )
    assert (found.issuers, found.dissent) == ((BODY.did,), (edge,))


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
    heard = anchors.with_anchors([Anchor(issuer=BODY.did, types=("AccusationCredential",))])
    assert judged(accusing(AGENT), anchors=heard).outcome == "deny"


def test_what_could_not_be_found_out_is_no() -> None:
    """HIRE-TRU-11, HIRE-TRU-25: too much work, another party's answer, an answer of another time, none."""
    view = Viewpoint(anchors=ANCHORS, now=NOW, limit=2, refused=frozenset())
    many = Graph(accusing(AGENT, valid_until=f"2027-01-01T00:00:0{number}Z") for number in range(4))
    assert answer(accused(AGENT.did, view), many.read).verdict == "indeterminate"
    asked = asked_about(SHOWN, POLICY)
    whole = Answers.of(asked, Viewpoint(anchors=ANCHORS, now=NOW, refused=frozenset()), Graph(()).read)
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
