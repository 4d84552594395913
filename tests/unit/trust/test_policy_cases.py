"""Cases of a policy: what is supposed, what `evaluate` says to it, and how that is held against what must come."""

from __future__ import annotations

from typing import Any

import pytest

from parties import NOW, Party
from undersigned.contract import Price
from undersigned.credentials import MEMBERSHIP
from undersigned.encoding import digest_bytes, from_struct, shift
from undersigned.errors import ConfigurationError
from undersigned.trust import (
    Anchors,
    Hypothetical,
    Policy,
    Rule,
    Stake,
    SupposedCredential,
    SupposedEdge,
    decide,
    read_cases,
    run_case,
)

PEER, ORGANISATION = Party("acme").did, Party("acme-org").did
MEMBER = {"type": MEMBERSHIP, "issuer": ORGANISATION}
GRANT = {"id": "read", "action": "artifact:read", "target": "https://acme.example/*"}


def supposed(*credentials: dict[str, Any], **more: Any) -> Hypothetical:
    given: dict[str, Any] = {"now": NOW, "peer": PEER, "anchors": (ORGANISATION,)}
    return Hypothetical(credentials=tuple(SupposedCredential(**one) for one in credentials), **(given | more))


def case(expect: dict[str, Any], **more: Any) -> Any:
    table: dict[str, Any] = {"name": "a case", "now": NOW, "peer": PEER, "anchors": [ORGANISATION], "expect": expect}
    (read,) = read_cases({"case": [table | more]})
    return read


def test_a_hypothetical_is_decided_as_a_peer_is() -> None:
    """HIRE-POL-08."""
    decision = decide(supposed(MEMBER), Policy())
    assert (decision.outcome, decision.peer, decision.at) == ("allow", PEER, NOW)
    assert decision.inputs.anchors == Anchors.of(ORGANISATION).digest
    assert decision.inputs.policy == Policy().digest
    assert decide(supposed(MEMBER), Policy()) == decision
    assert decide(supposed(), Policy()).outcome == "deny"
    assert decide(supposed(MEMBER, anchors=()), Policy()).outcome == "deny"


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, "allow"),
        ({"valid_from": shift(NOW, 1)}, "deny"),
        ({"valid_until": NOW}, "allow"),
        ({"valid_until": shift(NOW, -1)}, "deny"),
        ({"status": "clear"}, "allow"),
        ({"status": "unknown"}, "deny"),
        ({"issuer": PEER}, "deny"),
    ],
)
def test_a_supposed_credential_counts_as_a_real_one_would(changes: dict[str, Any], outcome: str) -> None:
    """HIRE-POL-08."""
    assert decide(supposed(MEMBER | changes), Policy()).outcome == outcome


def test_only_a_credential_that_could_be_shown_is_supposed() -> None:
    for wrong in (
        {"claims": {"memberOf": PEER}},
        {"claims": {"role": "any"}},
        {"type": "EndorsementCredential"},
        {"type": "two words"},
        {"issuer": "nobody"},
        {"valid_from": shift(NOW, 9), "valid_until": NOW},
    ):
        with pytest.raises(ConfigurationError) as caught:
            decide(supposed(MEMBER | wrong), Policy())
        assert caught.value.code == "bad_configuration"
        assert "/credentials/0" in caught.value.message
    endorsed = {"type": "EndorsementCredential", "issuer": ORGANISATION, "claims": {"capability": "sbom"}}
    assert decide(supposed(endorsed), Policy(require=("EndorsementCredential",))).outcome == "allow"


def test_terms_are_laid_over_cautious_ones() -> None:
    policy = Policy(currency="EUR", max_price="5", actions=("artifact:read",), allow_subcontracting=False)

    def clauses(terms: dict[str, Any]) -> list[str]:
        return [r.clause for r in decide(supposed(MEMBER, terms=terms), policy).reasons if r.code != "met"]

    assert clauses({}) == []
    assert clauses({"price": {"amount": "6"}}) == ["max_price"]
    assert clauses({"price": from_struct(Price(amount="1", currency="USD"))}) == ["currency"]
    assert clauses({"scope": {"grant": [GRANT]}}) == []
    assert clauses({"scope": {"grant": [GRANT | {"action": "repo:push"}]}}) == ["actions"]
    assert clauses({"subcontracting": {"allowed": True, "depth": 1}}) == ["allow_subcontracting"]
    assert clauses({"deadlines": {"until": shift(NOW, -1)}}) == ["until"]
    for wrong in (
        {"prise": 1},
        {"price": {"amount": 1}},
        {"price": "6"},
        {"task": {"kind": {"a": 1}}},
        {"scope": {"grants": []}},
    ):
        with pytest.raises(ConfigurationError):
            clauses(wrong)


@pytest.mark.parametrize(
    ("expect", "difference"),
    [
        ({"outcome": "deny"}, ()),
        ({"outcome": "deny", "reasons": ["policy_denied require", "policy_denied max_price"]}, ()),
        ({"outcome": "allow"}, ("- outcome allow", "+ outcome deny")),
        (
            {"outcome": "deny", "reasons": ["policy_denied max_price", "policy_denied require"]},
            (
                "  outcome deny",
                "+ reason policy_denied require",
                "  reason policy_denied max_price",
                "- reason policy_denied require",
            ),
        ),
        ({"outcome": "deny", "reasons": []}, 3),
        ({"outcome": "deny", "needed": []}, 3),
        (
            {
                "outcome": "deny",
                "needed": [
                    {"code": "credential", "credential": MEMBERSHIP, "issuers": [ORGANISATION]},
                    {"code": "member", "member": "/price/amount"},
                ],
            },
            (),
        ),
        (
            {
                "outcome": "deny",
                "needed": [
                    {"code": "credential", "credential": MEMBERSHIP, "issuers": [ORGANISATION], "member": "/"},
                    {"code": "member", "member": "/price/amount"},
                ],
            },
            4,
        ),
    ],
)
def test_a_case_passes_if_all_that_it_expects_came(expect: dict[str, Any], difference: tuple[str, ...] | int) -> None:
    """HIRE-POL-08. What is not expected is not looked at."""
    result = run_case(case(expect, terms={"price": {"amount": "6"}}), Policy(currency="EUR", max_price="5"))
    assert result.decision.outcome == "deny"
    assert result.passed is (difference == ())
    if isinstance(difference, int):
        assert len(result.difference) == difference
        assert any(line.startswith(("-", "+")) for line in result.difference)
    else:
        assert result.difference == difference


def test_what_stands_above_the_cases_is_for_those_that_do_not_say() -> None:
    expect = {"outcome": "allow"}
    first, second = read_cases(
        {
            "now": NOW,
            "peer": PEER,
            "anchors": [{"issuer": ORGANISATION, "types": ["A"]}],
            "case": [
                {"name": "a", "expect": expect},
                {"name": "b", "expect": expect, "peer": ORGANISATION, "anchors": []},
            ],
        }
    )
    assert (first.peer, len(first.anchors), second.peer, second.anchors) == (PEER, 1, ORGANISATION, ())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"case": []}, "/case"),
        ({"cases": []}, "/cases"),
        ({"now": "today"}, "/now"),
        ({"anchors": ["nobody"]}, "/anchors"),
        ({"case": [{"name": "a", "expect": {"outcome": "allow"}}] * 2}, "two cases are called 'a'"),
        ({"case": [{"name": "a"}]}, "/case/0"),
        ({"case": [{"name": "a", "expect": {"outcome": "yes"}}]}, "/case/0/expect/outcome"),
        ({"case": [{"name": "a", "expect": {"outcome": "allow", "reason": []}}]}, "/case/0/expect/reason"),
        ({"case": [{"name": "a", "expect": {"outcome": "allow"}, "credential": []}]}, "/case/0/credential"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(changes: dict[str, Any], said: str) -> None:
    """HIRE-POL-08."""
    good: dict[str, Any] = {"now": NOW, "peer": PEER, "case": [{"name": "a", "expect": {"outcome": "deny"}}]}
    assert read_cases(good)
    with pytest.raises(ConfigurationError) as caught:
        read_cases(good | changes)
    assert caught.value.code == "bad_configuration"
    assert said in caught.value.message


@pytest.mark.parametrize(("status", "outcome"), [("none", "allow"), ("clear", "allow"), ("unknown", "deny")])
def test_a_link_that_could_not_be_looked_up_entitles_nobody(status: Any, outcome: str) -> None:
    """HIRE-POL-08, HIRE-TRU-24: a case says of it what a peer would."""
    root = Party("body").did
    link = SupposedEdge(
        type="AttestationAuthorityCredential",
        issuer=root,
        about=ORGANISATION,
        claims={"mayAttest": MEMBERSHIP, "depth": 0},
        status=status,
    )
    assert decide(supposed(MEMBER, anchors=(root,), graph=(link,)), Policy()).outcome == outcome


def test_a_chain_in_the_supposed_graph_entitles_an_issuer() -> None:
    """HIRE-POL-08."""
    root, link = Party("root").did, {"type": "AttestationAuthorityCredential", "about": ORGANISATION}
    claims = {"mayAttest": MEMBERSHIP, "depth": 0}

    def outcome(**changes: Any) -> str:
        edge = SupposedEdge(**({"issuer": root, "claims": claims} | link | changes))
        return decide(supposed(MEMBER, anchors=(root,), graph=(edge,)), Policy()).outcome

    assert outcome() == "allow"
    assert outcome(issuer=PEER) == "deny"
    assert outcome(valid_until=shift(NOW, -1)) == "deny"
    assert outcome(claims=claims | {"mayAttest": "sbom"}) == "deny"


def test_a_chain_counts_beside_any_number_through_those_who_are_refused() -> None:
    """HIRE-TRU-23: an answer tells three chains, the shortest; the one that counts may be none of them."""
    root, *others = (Party(name).did for name in ("root", "first", "second", "third", "good", "better"))

    def link(issuer: str, about: str) -> SupposedEdge:
        claims = {"mayAttest": MEMBERSHIP, "depth": 4}
        return SupposedEdge(type="AttestationAuthorityCredential", issuer=issuer, about=about, claims=claims)

    *refused, good, better = others
    through = [one for other in refused for one in (link(root, other), link(other, ORGANISATION))]
    longer = (link(root, good), link(good, better), link(better, ORGANISATION))
    policy = Policy(refuse=tuple(refused))
    for graph, outcome in (((*through, *longer), "allow"), (tuple(through), "deny")):
        assert decide(supposed(MEMBER, anchors=(root,), graph=graph), policy).outcome == outcome


def test_what_is_supposed_of_work_and_accusations_has_its_contract_and_its_evidence() -> None:
    """HIRE-POL-08."""
    rule = Rule(name="all", min_reputation="0.5")
    worked = SupposedEdge(
        type="PerformanceCredential",
        issuer=ORGANISATION,
        about=PEER,
        claims={"contract": digest_bytes(b"contract"), "outcome": "accepted"},
    )
    accusing = SupposedEdge(
        type="AccusationCredential",
        issuer=ORGANISATION,
        about=PEER,
        claims={"kind": "breach", "evidence": digest_bytes(b"evidence")},
    )
    for graph, outcome in (((), "deny"), ((worked,), "allow"), ((worked, accusing), "deny")):
        decision = decide(supposed(graph=graph), Policy(require=(), rule=(rule,)))
        assert decision.outcome == outcome
        assert any(reason.clause == "accused" for reason in decision.reasons) is (accusing in graph)


def test_what_is_at_stake_is_supposed_while_there_are_no_terms() -> None:
    rule = Rule(name="sbom", capabilities=("sbom",), min_reputation="0.3")
    policy = Policy(rule=(rule,), require=())
    spoken = SupposedEdge(
        type="EndorsementCredential",
        issuer=ORGANISATION,
        about=PEER,
        claims={"capability": "sbom", "weight": "0.4"},
    )
    for stake, graph, outcome in (
        (Stake(capability="sbom"), (), "deny"),
        (Stake(capability="sbom"), (spoken,), "allow"),
        (Stake(capability="audit"), (), "allow"),
    ):
        assert decide(supposed(stake=stake, graph=graph), policy).outcome == outcome
    terms = {"task": {"kind": "sbom"}}
    assert decide(supposed(graph=(spoken,), terms=terms), policy).outcome == "allow"
    assert decide(supposed(terms=terms), policy).outcome == "deny"
