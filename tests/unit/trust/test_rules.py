"""Rules of a policy: what is demanded where this is at stake, what a refusal says, and what a request asks for."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from msgspec.structs import replace

from contracts import ENGAGEMENT, terms
from issuing import issued
from parties import NOW
from undersigned.contract import Price
from undersigned.credentials import (
    AccreditedBy,
    Accusation,
    Authority,
    Endorsement,
    Membership,
    VerifiedPresentation,
    read_credential,
)
from undersigned.encoding import digest_bytes, from_struct, to_struct
from undersigned.errors import ConfigurationError
from undersigned.testing import Actor
from undersigned.trust import (
    Anchors,
    Answers,
    Decision,
    Edge,
    Graph,
    Needed,
    Policy,
    Questions,
    Rated,
    Stake,
    Viewpoint,
    asked_about,
    edge_of,
    evaluate,
    lapsed,
    needs,
)

BODY, LAB, AGENT, OTHER = Actor("body"), Actor("lab"), Actor("agent"), Actor("other")
ACCREDITED = "AccreditedByCredential"
ANCHORS = Anchors.of(BODY.did)
VIEW = Viewpoint(anchors=ANCHORS, now=NOW, refused=frozenset())
LINK = edge_of(read_credential(issued(BODY, Authority(id=LAB.did, may_attest="sbom", depth=0), NOW)))

POLICY = Policy.from_toml(
    tomllib.loads(
        """
        require = []
        currency = "EUR"
        refuse_capabilities = ["face-recognition"]

        [[rule]]
        name = "large"
        capabilities = ["sbom"]
        above = "10"
        credentials = [{ type = "AccreditedByCredential", capability = "sbom", max_age = "P90D", max_links = 1 }]
        """
    )
)
LARGE = Stake(capability="sbom", price=Price(amount="10.01", currency="EUR"))


def ruled(**changes: Any) -> Policy:
    """The policy with another demand in its rule."""
    (rule,) = POLICY.rule
    return replace(POLICY, rule=(replace(rule, credentials=(replace(rule.credentials[0], **changes),)),))


def accredited(by: Actor = BODY, capability: str = "sbom", **more: Any) -> Any:
    return read_credential(issued(by, AccreditedBy(id=AGENT.did, accredited_for=capability), NOW, **more))


def showing(*shown: Any) -> VerifiedPresentation:
    return VerifiedPresentation(
        holder=AGENT.did, engagement=ENGAGEMENT, credentials=shown, digest=digest_bytes(b"shown")
    )


def judged(
    *shown: Any, policy: Policy = POLICY, stake: Stake | None = LARGE, edges: tuple[Edge, ...] = (LINK,), **more: Any
) -> Decision:
    presented = showing(*shown)
    about = Stake.of(more["terms"]) if "terms" in more else stake
    answers = Answers.of(asked_about(presented, policy, about), VIEW, Graph(edges).read)
    return evaluate(presented, ANCHORS, policy, NOW, stake=stake, answers=answers, **more)


def test_a_rule_holds_for_its_work_above_its_price() -> None:
    """HIRE-TRU-20: what is not known could be it."""
    covered = [
        LARGE,
        None,
        Stake(capability="sbom"),
        Stake(capability="sbom", price=Price(amount="1", currency="USD")),
    ]
    for stake in covered:
        assert judged(stake=stake).outcome == "deny", stake
        assert judged(accredited(), stake=stake).outcome == "allow", stake
    for stake in (
        Stake(capability="sbom", price=Price(amount="10", currency="EUR")),
        Stake(capability="translation", price=Price(amount="1000", currency="EUR")),
    ):
        assert judged(stake=stake).outcome == "allow", stake
    everywhere = replace(POLICY, rule=(replace(POLICY.rule[0], capabilities=()),))
    assert judged(policy=everywhere, stake=replace(LARGE, capability="translation")).outcome == "deny"


def test_terms_are_what_is_at_stake_once_there_are_any() -> None:
    cheap, dear = terms(price=Price(amount="10", currency="EUR")), terms(price=Price(amount="12", currency="EUR"))
    assert judged(terms=cheap, stake=LARGE).outcome == "allow"
    decision = judged(terms=dear, stake=None)
    assert (decision.outcome, decision.inputs.stake) == ("deny", None)
    assert judged().inputs.stake == LARGE


@pytest.mark.parametrize(
    ("changes", "shown", "flaw"),
    [
        ({}, {"by": OTHER}, "whom our anchors do not entitle"),
        ({}, {"by": AGENT}, "self-issued"),
        ({}, {"capability": "translation"}, "about something else"),
        ({}, {"age": 91 * 86_400}, "older than P90D"),
        ({}, {"age": 100, "seconds": -1}, "not valid"),
        ({"max_links": 0}, {"by": LAB}, "1 links from an anchor"),
        ({"issuers": (BODY.did,)}, {"by": LAB}, "not one of the issuers asked for"),
    ],
    ids=lambda value: "" if isinstance(value, str) else "-".join(value) or "as-it-is",
)
def test_a_refusal_says_the_clause_the_value_and_what_would_pass(
    changes: dict[str, Any], shown: dict[str, Any], flaw: str
) -> None:
    """HIRE-TRU-22."""
    policy = ruled(**changes)
    decision = judged(accredited(**shown), policy=policy)
    (reason,) = decision.reasons
    assert (decision.outcome, reason.clause, reason.code) == ("deny", "rule large", "policy_denied")
    assert reason.value.startswith(f"{ACCREDITED} by ")
    assert flaw in reason.value
    assert reason.would_pass.startswith("one by ")
    assert ", about sbom, no older than P90D, at most" in reason.would_pass
    wanted = (BODY.did,) if changes else tuple(sorted([BODY.did, LAB.did]))
    need = Needed(code="credential", credential=ACCREDITED, issuers=wanted, capability="sbom", max_age="P90D")
    assert decision.needed == (need,)
    assert needs(policy, LARGE, Answers.of(asked_about(NOBODY, policy, LARGE), VIEW, Graph([LINK]).read)) == (need,), (
        "what a refusal names is what a request asks for"
    )
    assert judged(accredited(), policy=policy).outcome == "allow"


NOBODY = VerifiedPresentation(holder=AGENT.did, engagement=ENGAGEMENT, credentials=(), digest=digest_bytes(b"nothing"))


def test_a_request_says_exactly_what_is_needed() -> None:
    """HIRE-TRU-21."""
    policy = replace(ruled(capability=None), require=("MembershipCredential", "OtherCredential"))
    asked = needs(policy, LARGE, Answers.of(asked_about(NOBODY, policy, LARGE), VIEW, Graph([LINK]).read))
    assert asked == (
        Needed(code="credential", credential="MembershipCredential", issuers=(BODY.did,)),
        Needed(code="credential", credential="OtherCredential"),
        Needed(code="credential", credential=ACCREDITED, max_age="P90D"),
    ), "about which capability is not said, so nobody can be listed who is entitled to it"
    assert needs(POLICY, Stake(capability="other"), Answers()) == ()
    for listed, named in (((BODY, OTHER), BODY), ((OTHER,), OTHER)):
        policy = ruled(issuers=tuple(one.did for one in listed))
        (need,) = needs(policy, LARGE, Answers.of(asked_about(NOBODY, policy, LARGE), VIEW, Graph([LINK]).read))
        assert need.issuers == (named.did,), "of those asked for, whom our anchors entitle, if there are any"


def test_nobody_is_asked_for_a_credential_by_whom_the_policy_refuses() -> None:
    """HIRE-TRU-21: an anchor of a set cannot be taken out of it, and what it issued is refused."""
    view = replace(VIEW, anchors=Anchors.of(BODY.did, OTHER.did))
    policy = Policy(refuse=(OTHER.did,))
    answers = Answers.of(asked_about(NOBODY, policy, LARGE), view, Graph().read)
    need = Needed(code="credential", credential="MembershipCredential", issuers=(BODY.did,))
    assert needs(policy, LARGE, answers) == (need,)
    assert evaluate(NOBODY, view.anchors, policy, NOW, answers=answers).needed == (need,)
    neither = evaluate(NOBODY, view.anchors, Policy(refuse=(BODY.did, OTHER.did)), NOW, answers=answers).reasons[-1]
    assert neither.would_pass is not None
    assert neither.would_pass.startswith("one by nobody")
    for listed, named in (((LAB, OTHER), (LAB.did,)), ((OTHER,), None)):  # of whom our anchors entitle nobody else
        policy = replace(ruled(issuers=tuple(one.did for one in listed)), refuse=(OTHER.did,))
        answers = Answers.of(asked_about(NOBODY, policy, LARGE), VIEW, Graph().read)
        (need,) = needs(policy, LARGE, answers)
        assert need.issuers == named
    for known in (answers, Answers()):  # nor where nobody can say whom our anchors entitle
        denied = evaluate(NOBODY, ANCHORS, policy, NOW, answers=known, stake=LARGE).reasons[-1]
        assert denied.would_pass is not None
        assert denied.would_pass.startswith("one by nobody")


def test_one_that_is_valid_stands_in_for_none_of_another_type() -> None:
    policy = Policy(require=("MembershipCredential",))
    member = Membership(id=AGENT.did, member_of=BODY.did)
    valid, ended = (read_credential(issued(BODY, member, NOW, seconds=left)) for left in (60, -30))
    assert judged(valid, policy=policy).outcome == "allow"
    assert judged(ended, accredited(), policy=policy).outcome == "deny"
    given = Answers.of(asked_about(showing(valid, accredited()), policy), VIEW, Graph((LINK,)).read)
    assert lapsed(showing(accredited()), policy, given, LARGE) == "MembershipCredential"
    assert lapsed(showing(accredited(), valid), policy, given, LARGE) is None


def test_a_credential_is_too_old_after_its_age_and_not_at_it() -> None:
    """HIRE-TRU-22."""
    for seconds, outcome in ((90 * 86_400, "allow"), (90 * 86_400 + 1, "deny")):
        assert judged(accredited(age=seconds)).outcome == outcome


def test_a_chain_through_somebody_who_is_refused_does_not_count() -> None:
    """HIRE-TRU-23."""
    via = edge_of(read_credential(issued(BODY, Authority(id=OTHER.did, may_attest="sbom", depth=1), NOW)))
    then = edge_of(read_credential(issued(OTHER, Authority(id=LAB.did, may_attest="sbom", depth=0), NOW)))
    policy = ruled(max_links=4)
    led = judged(accredited(LAB), policy=policy, edges=(via, then))
    assert led.outcome == "allow"
    assert f"    {ACCREDITED} by {BODY.did} -> {OTHER.did} -> {LAB.did}" in led.explain().splitlines()
    lone = judged(accredited(LAB), policy=policy, edges=())
    assert f"    missing: {lone.grounds[0].missing[0]}" in lone.explain().splitlines()
    breach = Accusation(id=OTHER.did, kind="breach", evidence=digest_bytes(b"a ruling"))
    said = edge_of(read_credential(issued(BODY, breach, NOW)), evidence=(breach.evidence,))
    barred = judged(accredited(LAB), policy=policy, edges=(via, then, said))
    assert (barred.outcome, barred.grounds[0].dissent) == ("deny", (said,))
    assert f"    against: {said.accusation}" in barred.explain().splitlines()
    policy = replace(policy, refuse=(OTHER.did,))
    decision = judged(accredited(LAB), policy=policy, edges=(via, then))
    assert "entitled only through somebody who is refused" in decision.reasons[-1].value
    for allowed in (policy, ruled(max_links=1)):
        assert judged(accredited(LAB), policy=allowed, edges=(via, then, LINK)).outcome == "allow"


def test_all_that_a_decision_is_made_from_can_be_written_down() -> None:
    """HIRE-CRD-08: and read again, for the same decision."""
    (rule,) = POLICY.rule
    policy = replace(POLICY, rule=(replace(rule, min_reputation="0.1"),))
    spoken = edge_of(read_credential(issued(BODY, Endorsement(id=AGENT.did, capability="sbom"), NOW)))
    presented = replace(NOBODY, credentials=(accredited(LAB),))
    answers = Answers.of(asked_about(presented, policy, LARGE), VIEW, Graph([LINK, spoken]).read)
    again = to_struct(from_struct(answers), Answers)
    assert again == answers
    assert (len(answers.authority), len(answers.entitled), len(answers.reputation)) == (1, 1, 1)
    first = evaluate(presented, ANCHORS, policy, NOW, stake=LARGE, answers=answers)
    assert first.outcome == "allow"
    second = evaluate(
        presented,
        to_struct(from_struct(ANCHORS), Anchors),
        to_struct(from_struct(policy), Policy),
        NOW,
        stake=to_struct(from_struct(LARGE), Stake),
        answers=again,
    )
    assert second == first == to_struct(from_struct(first), Decision)


def test_a_red_line_is_no_whatever_else_is_there() -> None:
    stake = Stake(capability="face-recognition", price=Price(amount="1", currency="EUR"))
    decision = judged(accredited(), stake=stake)
    assert (decision.outcome, decision.reasons[0].clause) == ("deny", "refuse_capabilities")
    assert decision.needed[0].member == "/task/kind"


def test_a_rule_may_ask_for_a_reputation() -> None:
    """HIRE-TRU-21, HIRE-TRU-22; and the decision says by which ways, or what is missing."""
    (rule,) = POLICY.rule
    policy = replace(POLICY, rule=(replace(rule, credentials=(), min_reputation="0.25"),))

    def spoken(weight: str) -> Edge:
        return edge_of(read_credential(issued(BODY, Endorsement(id=AGENT.did, capability="sbom", weight=weight), NOW)))

    enough = judged(policy=policy, edges=(spoken("0.25"),))
    assert (enough.outcome, enough.reasons[0].value) == ("allow", "reputation 0.25 for sbom")
    assert [rating.paths for rating in enough.ratings] == [((spoken_edge(enough),),)]
    assert f"    spoken of: {BODY.did} -> {AGENT.did}" in enough.explain().splitlines()
    less = judged(policy=policy, edges=(spoken("0.249999999"),))
    assert (less.outcome, less.reasons[0].would_pass) == ("deny", "at least 0.25")
    need = Needed(code="reputation", credential="EndorsementCredential", capability="sbom")
    assert less.needed == (need,)
    assert needs(policy, LARGE, Answers()) == (need,)
    assert needs(policy, None, Answers()) == (), "for which capability is not known yet"
    nobody = judged(policy=policy, edges=())
    assert (nobody.outcome, nobody.ratings[0].score) == ("deny", "0")
    assert nobody.ratings[0].missing == (f"a chain of at most 4 links from an anchor to {AGENT.did}",)
    assert "missing: " in nobody.explain()
    breach = Accusation(id=AGENT.did, kind="breach", evidence=digest_bytes(b"a ruling"))
    said = edge_of(read_credential(issued(BODY, breach, NOW)), evidence=(breach.evidence,))
    accused = judged(policy=policy, edges=(spoken("1"), said))
    assert (accused.outcome, [rating.dissent for rating in accused.ratings]) == ("deny", [(said,)])
    assert accused.explain().splitlines().count(f"    against: {said.accusation}") == 2, "also of whom it rates"
    presented = replace(NOBODY)
    unasked = evaluate(presented, ANCHORS, policy, NOW, stake=LARGE)
    assert (unasked.outcome, unasked.ratings[0].missing) == ("deny", ("an answer that stands",))
    about = Endorsement(id=AGENT.did, capability="translation", weight="1")
    praise = Graph((edge_of(read_credential(issued(BODY, about, NOW))),))
    other = Answers.of(Questions((), (), (Rated(AGENT.did, "translation"),), ()), VIEW, praise.read)
    assert other.reputation[0].score == "1"
    assert evaluate(presented, ANCHORS, policy, NOW, stake=LARGE, answers=other).ratings == unasked.ratings


def spoken_edge(decision: Decision) -> Edge:
    return decision.ratings[0].paths[0][0]


def test_as_many_credentials_as_may_be_demanded_can_be() -> None:
    rules = "\n".join(f'[[rule]]\nname = "{n}"\ncredentials = [{{ type = "X" }}]' for n in range(32))
    assert len(Policy.from_toml(tomllib.loads(rules)).demands(None)) == 33


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ('[[rule]]\nname = "a"\nabove = "10"', "currency"),
        ('[[rule]]\nname = "a"\n[[rule]]\nname = "a"', "one name"),
        ('[[rule]]\nname = "a"\ncredentials = [{ type = "X", max_age = "P1Y" }]', "max_age"),
        ('[[rule]]\nname = "a"\ncredentials = [{ type = "X", max_links = 5 }]', "max_links"),
        ('[[rule]]\nname = "a"\nmin_reputation = "1.5"', "min_reputation"),
        ('[[rule]]\nname = "a"\ncolour = "red"', "colour"),
        ("\n".join(f'[[rule]]\nname = "{n}"\ncredentials = [{{ type = "X" }}]' for n in range(33)), "more than 32"),
        ('name = "\\uFFFE"', "policy/name"),
        ('[[rule]]\nname = "\\u0000"', "policy/rule/0/name"),
    ],
)
def test_a_policy_that_cannot_be_used_is_refused(toml: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Policy.from_toml(tomllib.loads(toml))
    assert caught.value.code == "bad_configuration"
    assert says.lower() in str(caught.value).lower()
