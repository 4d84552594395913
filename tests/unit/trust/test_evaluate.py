import tomllib
from typing import Any

import pytest
from msgspec.structs import replace

from contracts import ENGAGEMENT, terms
from parties import NOW, Party
from undersigned.contract import Price, Subcontracting, Task, Termination
from undersigned.credentials import (
    Ceiling,
    ClearStatus,
    Membership,
    VerifiedPresentation,
    claim_credential,
    membership,
    read_credential,
    status_entry,
)
from undersigned.encoding import digest_bytes, from_struct, to_struct, write_canonical
from undersigned.errors import ConfigurationError
from undersigned.scope import Scope
from undersigned.trust import (
    Anchor,
    Anchors,
    Answers,
    Decision,
    Edge,
    Fetched,
    Graph,
    Policy,
    Rule,
    Viewpoint,
    approvals_needed,
    asked_about,
)
from undersigned.trust import evaluate as decide

ORGANISATION, AGENT, STRANGER = Party("acme-org"), Party("acme"), Party("mallory")
ANCHORS = Anchors.of(ORGANISATION.did)
MEMBER = "MembershipCredential"
JUDGE = "did:web:judge.example"


def fee(amount: str) -> Termination:
    """Against this an end without cause is allowed."""
    return Termination(convenience="fee", fee=Price(amount=amount, currency="EUR"), cure="PT1H")


def credential(by: Party = ORGANISATION, **changes: Any):
    document = membership(
        id="urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b01",
        organisation=by.did,
        agent=AGENT.did,
        valid_from="2026-11-01T00:00:00Z",
        valid_until="2026-12-01T00:00:00Z",
    )
    return read_credential(document | changes)


def presented(*credentials: Any) -> VerifiedPresentation:
    return VerifiedPresentation(
        holder=AGENT.did,
        engagement=ENGAGEMENT,
        credentials=credentials,
        digest=digest_bytes(repr([one.digest for one in credentials]).encode()),
    )


SHOWN = presented(credential())


def evaluate(shown: VerifiedPresentation, anchors: Anchors, policy: Policy, now: str, **more: Any) -> Decision:
    """The decision with the answers that the graph of these `edges` gives now."""
    graph = Graph(more.pop("edges", ()))
    answers = Answers.of(
        asked_about(shown, policy), Viewpoint(anchors=anchors, now=now, refused=frozenset()), graph.read
    )
    return decide(shown, anchors, policy, now, answers=answers, **more)


def test_a_member_of_an_anchor_is_allowed() -> None:
    decision = evaluate(SHOWN, ANCHORS, Policy(), NOW)
    assert decision.outcome == "allow"
    assert [(reason.code, reason.clause) for reason in decision.reasons] == [("met", "require")]
    assert decision.needed == ()
    assert decision.peer == AGENT.did


@pytest.mark.parametrize(
    ("shown", "anchors", "now"),
    [
        (presented(), ANCHORS, NOW),
        (presented(credential(STRANGER)), ANCHORS, NOW),
        (presented(credential(AGENT)), ANCHORS, NOW),
        (presented(credential(AGENT)), Anchors.of(AGENT.did), NOW),
        (SHOWN, Anchors(), NOW),
        (SHOWN, Anchors(anchors=(Anchor(issuer=ORGANISATION.did, types=("OtherCredential",)),)), NOW),
        (SHOWN, ANCHORS, "2026-12-01T00:00:01Z"),
        (SHOWN, ANCHORS, "2026-10-31T23:59:59Z"),
        (presented(credential(type=["VerifiableCredential"])), ANCHORS, NOW),
        (presented(credential(credentialStatus={"type": "BitstringStatusListEntry"})), ANCHORS, NOW),
    ],
)
def test_without_a_valid_credential_of_an_anchor_the_answer_is_no(
    shown: VerifiedPresentation, anchors: Anchors, now: str
) -> None:
    """HIRE-CRD-07."""
    decision = evaluate(shown, anchors, Policy(), now)
    assert decision.outcome == "deny"
    assert decision.reasons[0].code == "policy_denied"
    assert decision.reasons[0].would_pass.startswith("one by ")
    assert (decision.needed[0].code, decision.needed[0].credential) == ("credential", MEMBER)


def test_a_credential_with_a_status_counts_if_it_was_looked_up_now() -> None:
    """HIRE-STA-06. The lists are an input by digest: another list is another decision."""
    one = credential(credentialStatus=status_entry("https://acme.example/status/1", 40))
    lists = [digest_bytes(b"one list"), digest_bytes(b"another")]
    answers = [ClearStatus(credential=one.digest, lists=(name,), at=NOW, verified=(NOW,)) for name in lists]
    decisions = [evaluate(presented(one), ANCHORS, Policy(), NOW, statuses=[answer]) for answer in answers]
    assert [decision.outcome for decision in decisions] == ["allow", "allow"]
    assert [decision.inputs.status_lists for decision in decisions] == [(lists[0],), (lists[1],)]
    assert [decision.inputs.lists_verified for decision in decisions] == [(NOW,)] * 2
    assert decisions[0].digest != decisions[1].digest
    assert evaluate(presented(one), ANCHORS, Policy(), NOW, statuses=answers[:1]) == decisions[0]
    assert evaluate(presented(one), ANCHORS, Policy(), NOW).outcome == "deny"
    earlier = replace(answers[0], at="2026-11-25T11:59:59Z")
    assert evaluate(presented(one), ANCHORS, Policy(), NOW, statuses=[earlier]).outcome == "deny"
    others = replace(answers[0], credential=credential().digest)
    assert evaluate(presented(one), ANCHORS, Policy(), NOW, statuses=[others]).outcome == "deny"
    # Without a status nothing had to be looked up, and the decision reads as it always did.
    assert evaluate(SHOWN, ANCHORS, Policy(), NOW).inputs.status_lists == ()


def test_what_is_needed_names_who_would_be_believed() -> None:
    decision = evaluate(presented(), ANCHORS, Policy(), NOW)
    assert decision.needed[0].issuers == (ORGANISATION.did,)
    assert evaluate(presented(), Anchors(), Policy(), NOW).needed[0].issuers is None


def test_a_self_issued_credential_counts_only_if_the_policy_says_so() -> None:
    own = presented(credential(AGENT))
    assert evaluate(own, ANCHORS, Policy(allow_self_issued=True), NOW).outcome == "allow"
    assert evaluate(own, ANCHORS, Policy(require=()), NOW).outcome == "allow"


def test_a_refused_party_stays_refused() -> None:
    for listed in (AGENT.did, ORGANISATION.did):
        decision = evaluate(SHOWN, ANCHORS, Policy(refuse=(listed,)), NOW)
        assert (decision.outcome, decision.reasons[0].clause) == ("deny", "refuse")
        assert {need.code for need in decision.needed} <= {"credential"}, "no member of any terms would change it"


@pytest.mark.parametrize(
    ("policy", "changes", "outcome", "clause"),
    [
        ({}, {}, "allow", ""),
        ({"currency": "EUR", "max_price": "12.5"}, {}, "allow", ""),
        ({"currency": "EUR", "max_price": "12.499999999"}, {}, "deny", "max_price"),
        ({"currency": "EUR", "min_price": "12.5"}, {}, "allow", ""),
        ({"currency": "EUR", "min_price": "13"}, {}, "deny", "min_price"),
        ({"currency": "EUR", "ask_above": "12.5"}, {}, "allow", ""),
        ({"currency": "EUR", "ask_above": "12"}, {}, "ask", "ask_above"),
        ({"currency": "EUR", "two_above": "12.5"}, {}, "allow", ""),
        ({"currency": "EUR", "two_above": "12"}, {}, "ask", "two_above"),
        ({"currency": "EUR", "ask_above": "12", "max_price": "12.1"}, {}, "deny", "max_price"),
        ({"currency": "USD", "max_price": "100"}, {}, "deny", "currency"),
        ({"actions": ("artifact:read",)}, {}, "allow", ""),
        ({"actions": ("artifact:write",)}, {}, "deny", "actions"),
        ({"actions": ()}, {}, "deny", "actions"),
        ({"max_duration": "PT2H"}, {}, "allow", ""),
        ({"max_duration": "PT1H59M59S"}, {}, "deny", "max_duration"),
        (
            {"allow_subcontracting": False},
            {"subcontracting": Subcontracting(allowed=True, depth=1)},
            "deny",
            "allow_subcontracting",
        ),
        ({}, {"subcontracting": Subcontracting(allowed=True, depth=1)}, "allow", ""),
        ({}, {"termination": fee("1000")}, "allow", ""),
        ({"currency": "EUR", "max_fee": "3"}, {"termination": fee("3")}, "allow", ""),
        ({"currency": "EUR", "max_fee": "3"}, {"termination": fee("3.01")}, "deny", "max_fee"),
        ({"currency": "EUR", "max_fee": "0"}, {"termination": fee("0.01")}, "deny", "max_fee"),
        ({"currency": "EUR", "max_price": "20"}, {"termination": fee("20.01")}, "deny", "max_fee"),
        ({"currency": "EUR", "max_price": "20", "max_fee": "30"}, {"termination": fee("20.01")}, "allow", ""),
        ({"currency": "EUR", "ask_above": "20", "two_above": "20"}, {"termination": fee("20")}, "allow", ""),
        ({"currency": "EUR", "ask_above": "20"}, {"termination": fee("20.01")}, "ask", "ask_above"),
        ({"currency": "EUR", "two_above": "20"}, {"termination": fee("20.01")}, "ask", "two_above"),
        ({"currency": "EUR", "ask_above": "20", "max_fee": "3"}, {"termination": fee("20.01")}, "deny", "ask_above"),
        ({}, {"arbiter": JUDGE}, "allow", ""),
        ({"arbiters": (JUDGE,)}, {"arbiter": JUDGE}, "allow", ""),
        ({"arbiters": (JUDGE,)}, {}, "allow", ""),
        ({"arbiters": (JUDGE,)}, {"arbiter": f"{JUDGE}s"}, "deny", "arbiters"),
        ({"arbiters": ()}, {"arbiter": JUDGE}, "deny", "arbiters"),
        ({"refuse": (JUDGE,)}, {"arbiter": JUDGE}, "deny", "refuse"),
        ({}, {"arbiter": SHOWN.holder}, "deny", "arbiters"),
        ({}, {"arbiter": ORGANISATION.did}, "deny", "arbiters"),
        ({"arbiters": (ORGANISATION.did,)}, {"arbiter": ORGANISATION.did}, "deny", "arbiters"),
        ({"ask": True}, {}, "ask", "ask"),
        (
            {},
            {"scope": Scope(extensions={"https://x.example/e": 1}, critical=("https://x.example/e",))},
            "deny",
            "scope",
        ),
    ],
)
def test_terms_are_held_against_the_policy(
    policy: dict[str, Any], changes: dict[str, Any], outcome: str, clause: str
) -> None:
    """HIRE-POL-09: a fee and an arbiter of the terms as well."""
    decision = evaluate(SHOWN, ANCHORS, Policy(**policy), NOW, terms=terms(**changes))
    assert decision.outcome == outcome
    if outcome == "ask":
        assert (approvals_needed(decision), Policy(**policy).asks) == (2 if clause == "two_above" else 1, True)
    elif outcome == "allow":
        assert approvals_needed(decision) == 0
    named = [reason.clause for reason in decision.reasons if reason.code != "met"]
    assert clause in named if clause else named == []
    if outcome == "deny":
        assert decision.needed[0].member


@pytest.mark.parametrize(
    ("policy", "changes", "came", "would_pass"),
    [
        ({"currency": "USD"}, {}, "12.5 EUR", "USD"),
        ({"actions": ("net:connect",)}, {}, "artifact:read", "net:connect"),
        (
            {"allow_subcontracting": False},
            {"subcontracting": Subcontracting(allowed=True, depth=1)},
            "allowed",
            "not allowed",
        ),
        ({"refuse": (JUDGE,)}, {"arbiter": JUDGE}, JUDGE, "another arbiter, or none"),
        ({"ask": True}, {}, "every contract is put to a person", "a person's approval"),
    ],
)
def test_what_would_pass_is_told_beside_what_came(
    policy: dict[str, Any], changes: dict[str, Any], came: str, would_pass: str
) -> None:
    decision = evaluate(SHOWN, ANCHORS, Policy(**policy), NOW, terms=terms(**changes))
    assert [(one.value, one.would_pass) for one in decision.reasons if one.code != "met"] == [(came, would_pass)]


def test_nobody_judges_the_work_whom_the_policy_refuses() -> None:
    """HIRE-POL-09: what a verifier states decides what is paid, as an arbiter's ruling does."""
    given, judge = terms(), "did:web:judge.example"
    given = replace(given, evidence=replace(given.evidence, verifier=judge))
    assert evaluate(SHOWN, ANCHORS, Policy(), NOW, terms=given).outcome == "allow"
    decision = evaluate(SHOWN, ANCHORS, Policy(refuse=(judge,)), NOW, terms=given)
    assert [(one.code, one.clause) for one in decision.reasons if one.code != "met"] == [("policy_denied", "refuse")]
    assert [need.member for need in decision.needed] == ["/evidence/verifier"]


def test_terms_that_are_over_are_refused() -> None:
    assert evaluate(SHOWN, ANCHORS, Policy(), "2026-11-25T14:00:00Z", terms=terms()).outcome == "allow"
    decision = evaluate(SHOWN, ANCHORS, Policy(), "2026-11-25T14:00:01Z", terms=terms())
    assert (decision.outcome, decision.reasons[-1].clause) == ("deny", "until")


def test_the_same_inputs_give_the_same_decision_again() -> None:
    """HIRE-CRD-08."""
    policy = Policy(currency="EUR", ask_above="1")
    first = evaluate(SHOWN, ANCHORS, policy, NOW, terms=terms())
    again = evaluate(SHOWN, Anchors.of(ORGANISATION.did), Policy(currency="EUR", ask_above="1"), NOW, terms=terms())
    assert first == again
    assert first.digest == again.digest
    assert to_struct(from_struct(first), Decision) == first
    assert first.inputs.policy == policy.digest != Policy().digest
    assert first.inputs.anchors != Anchors().digest
    for other in (
        evaluate(SHOWN, ANCHORS, policy, NOW),
        evaluate(SHOWN, ANCHORS, policy, "2026-11-25T12:00:01Z", terms=terms()),
        evaluate(SHOWN, ANCHORS, policy, NOW, terms=terms(price=Price(amount="2", currency="EUR"))),
        evaluate(presented(credential(), credential()), ANCHORS, policy, NOW, terms=terms()),
    ):
        assert other.digest != first.digest


def test_a_decision_names_the_terms_and_the_logs_that_it_was_made_from() -> None:
    """HIRE-CRD-08. Whom we refuse does not fill our store with its history."""
    fetched = (Fetched(did=AGENT.did, url="https://acme.example/did.jsonl", digest=digest_bytes(b"log")),)
    shown = replace(SHOWN, verified="2026-11-25T11:59:59Z")
    inputs = evaluate(shown, ANCHORS, Policy(), NOW, terms=terms(), logs=fetched).inputs
    assert (inputs.terms, inputs.logs) == (digest_bytes(write_canonical(terms())), fetched)
    assert inputs.verified == shown.verified
    assert evaluate(SHOWN, ANCHORS, Policy(), NOW).inputs.terms is None
    refused = evaluate(presented(), ANCHORS, Policy(), NOW, logs=fetched)
    assert (refused.outcome, refused.inputs.logs) == ("deny", ())


def test_order_of_credentials_does_not_matter() -> None:
    one, other = credential(), credential(STRANGER)
    assert evaluate(presented(one, other), ANCHORS, Policy(), NOW).outcome == "allow"
    assert evaluate(presented(other, one), ANCHORS, Policy(), NOW).outcome == "allow"


def test_a_decision_explains_itself() -> None:
    decision = evaluate(presented(), ANCHORS, Policy(), NOW)
    said = f"by our own policy default/1: require no {MEMBER} (would pass: one by {ORGANISATION.did})"
    assert decision.refusal == said
    dear = evaluate(SHOWN, ANCHORS, Policy(currency="EUR", max_price="12"), NOW, terms=terms())
    assert dear.refusal == "by our own policy default/1: max_price 12.5 EUR (would pass: at most 12)", "no more"
    text = decision.explain()
    assert text.startswith(f"deny: {AGENT.did} by default/1 at {NOW}")
    assert f"policy_denied [require] no {MEMBER}; would pass: one by {ORGANISATION.did}" in text


def test_what_the_other_side_named_is_told_as_text() -> None:
    """HIRE-SEC-09: programs print their decisions."""
    work = terms(task=Task(kind="sbom\u202e", summary="", inputs=()))
    decision = evaluate(SHOWN, ANCHORS, Policy(rule=(Rule(name="known", min_reputation="0.5"),)), NOW, terms=work)
    told = r"reputation 0 for sbom\u202e"
    assert (told in decision.explain(), told in decision.refusal) == (True, True), decision


def test_policy_and_anchors_are_written_in_toml() -> None:
    table = tomllib.loads(
        """
        [policy]
        name = "acme"
        require = ["MembershipCredential", "AuditCredential"]
        currency = "EUR"
        max_price = "50"
        [[anchor]]
        issuer = "did:web:acme.example"
        types = ["MembershipCredential"]
        """
    )
    policy, anchors = Policy.from_toml(table["policy"]), Anchors.from_toml(table["anchor"])
    assert policy.require == ("MembershipCredential", "AuditCredential")
    assert anchors.believed("did:web:acme.example", "MembershipCredential")
    assert not anchors.believed("did:web:acme.example", "AuditCredential")
    assert anchors.issuers("MembershipCredential") == ("did:web:acme.example",)


@pytest.mark.parametrize(
    "table",
    [
        {"max_price": "5"},
        {"max_price": 5, "currency": "EUR"},
        {"max_prise": "5"},
        {"require": "MembershipCredential"},
        {"max_duration": "1 day"},
        {"actions": ["artifact:read", "read"]},
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused(table: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Policy.from_toml(table)
    assert caught.value.code == "bad_configuration"
    with pytest.raises(ConfigurationError):
        Anchors.from_toml([{"issuer": "acme"}])


BODY = Party("body")
LINK = Edge(digest_bytes(b"link"), BODY.did, ORGANISATION.did, "authority", MEMBER, valid_until="2026-11-30T00:00:00Z")


def test_who_is_entitled_by_a_chain_counts_and_the_decision_says_by_which() -> None:
    """HIRE-TRU-15, HIRE-TRU-16."""
    anchors = Anchors.of(BODY.did)
    decision = evaluate(SHOWN, anchors, Policy(), NOW, edges=[LINK])
    assert (decision.outcome, decision.grounds[0].paths) == ("allow", ((LINK,),))
    assert decision.inputs.anchors == anchors.digest
    refused = evaluate(SHOWN, anchors, Policy(), NOW)
    assert (refused.outcome, refused.grounds[0].verdict) == ("deny", "no")
    assert refused.grounds[0].missing == (f"a chain of authority for {MEMBER} from an anchor to {ORGANISATION.did}",)
    assert refused.needed[0].issuers == (BODY.did,)
    assert evaluate(presented(), anchors, Policy(), NOW, edges=[LINK]).needed[0].issuers == tuple(
        sorted([BODY.did, ORGANISATION.did])
    )
    assert to_struct(from_struct(decision), Decision) == decision


def test_an_answer_that_does_not_stand_is_no() -> None:
    """HIRE-TRU-12, HIRE-TRU-15: of other anchors, of a later time, past its end, of too much work, or of none."""
    anchors = Anchors.of(BODY.did)
    asked = asked_about(SHOWN, Policy())

    def given(view: Viewpoint, *, by: Anchors = anchors, now: str = NOW) -> Decision:
        return decide(SHOWN, by, Policy(), now, answers=Answers.of(asked, view, Graph([LINK]).read))

    view = Viewpoint(anchors=anchors, now=NOW, refused=frozenset())
    assert given(view).outcome == "allow"
    assert given(view, now="2026-11-30T00:00:00Z").outcome == "allow"
    for decision in (
        given(view, now="2026-11-30T00:00:01Z"),
        given(view, now="2026-11-25T11:59:59Z"),
        given(view, by=Anchors.of(BODY.did, STRANGER.did)),
        given(Viewpoint(anchors=anchors, now=NOW, limit=0, refused=frozenset())),
        decide(SHOWN, anchors, Policy(), NOW),
    ):
        assert (decision.outcome, decision.grounds[0].verdict) == ("deny", "indeterminate"), decision.explain()


def test_of_several_answers_those_that_stand_are_kept() -> None:
    """HIRE-TRU-12."""
    anchors = Anchors(anchors=(Anchor(issuer=ORGANISATION.did, until="2026-11-25T12:00:01Z"),))
    asked = asked_about(SHOWN, Policy())
    assert len(asked.accused) == 2, "the agent, and the organisation that it shows"
    now, later = (
        Answers.of(asked, Viewpoint(anchors=anchors, now=at, refused=frozenset()), Graph().read)
        for at in (NOW, "2026-11-25T12:00:01Z")
    )
    ended = replace(now.accused[1], until="2026-11-25T11:59:59Z")
    mixed = Answers(accused=(now.accused[0], later.accused[1], ended), authority=later.authority, entitled=now.entitled)
    assert mixed.standing(anchors, NOW) == Answers(accused=now.accused[:1], entitled=now.entitled)
    assert mixed.standing(anchors, "2026-11-25T12:00:01Z") == replace(mixed, accused=mixed.accused[:2])


def test_nothing_is_asked_about_a_credential_that_is_not_demanded() -> None:
    other = credential(STRANGER, type=["VerifiableCredential", "OtherCredential"])
    assert asked_about(presented(other, credential()), Policy()) == asked_about(SHOWN, Policy())
    assert asked_about(presented(credential(AGENT)), Policy()) == asked_about(presented(), Policy()), "nor of its own"


def limited(by: Party = ORGANISATION, **limits: Any):
    claim = Membership(id=AGENT.did, member_of=by.did, limits=Ceiling(**limits))
    document = claim_credential(
        claim,
        id="urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b02",
        issuer=by.did,
        valid_from="2026-11-01T00:00:00Z",
        valid_until="2026-12-01T00:00:00Z",
    )
    return read_credential(document)


def priced(amount: str, currency: str = "EUR"):
    return replace(terms(), price=Price(amount=amount, currency=currency))


@pytest.mark.parametrize(
    ("limits", "amount", "member"),
    [
        ({}, "9", None),
        ({"amount": "5", "currency": "EUR"}, "5", None),
        ({"amount": "5", "currency": "EUR"}, "5.01", "/price/amount"),
        ({"amount": "5", "currency": "USD"}, "1", "/price/currency"),
        ({"currency": "EUR"}, "5000", None),
        ({"actions": tuple(sorted({grant.action for grant in terms().scope.grants}))}, "5", None),
        ({"actions": ("net:connect",)}, "5", "/scope/grants"),
        ({"actions": ()}, "5", "/scope/grants"),
    ],
)
def test_terms_beyond_the_limits_of_a_membership_are_refused(
    limits: dict[str, Any], amount: str, member: str | None
) -> None:
    """HIRE-CRD-09. The limits of one that is shown beside another, or by somebody whom nobody believes, hold too."""
    for shown in (
        [limited(**limits)],
        [credential(), limited(**limits)],
        [limited(**limits), limited(amount="1000000", currency="EUR")],
        [credential(), limited(STRANGER, **limits)],
    ):
        decision = evaluate(presented(*shown), ANCHORS, Policy(), NOW, terms=priced(amount))
        assert decision.outcome == ("allow" if member is None else "deny"), decision.explain()
        assert {need.member for need in decision.needed} == ({member} if member else set())
        assert all(reason.clause == "limits" for reason in decision.reasons if reason.code != "met")
        assert evaluate(presented(*shown), ANCHORS, Policy(), NOW).outcome == "allow", "without terms nothing is passed"


def test_a_fee_beyond_the_limits_of_a_membership_is_refused() -> None:
    """HIRE-CRD-09: its agent could owe it."""
    shown = presented(credential(), limited(amount="12.5", currency="EUR"))
    for amount, outcome, members in (("12.5", "allow", []), ("12.51", "deny", ["/termination/fee"])):
        decision = evaluate(shown, ANCHORS, Policy(), NOW, terms=terms(termination=fee(amount)))
        assert (decision.outcome, [one.member for one in decision.needed]) == (outcome, members)


def test_only_the_limits_of_a_membership_are_limits_and_those_not_understood_are_no() -> None:
    """HIRE-CRD-09."""
    stranger_to_us = {"id": AGENT.did, "memberOf": ORGANISATION.did, "colour": "red"}
    odd = credential(credentialSubject=stranger_to_us)
    other = credential(type=["VerifiableCredential", "OtherCredential"], credentialSubject={"limits": {"colour": 1}})
    decision = evaluate(presented(credential(), odd, other), ANCHORS, Policy(), NOW, terms=terms())
    assert decision.outcome == "allow", decision.explain()
    unread = credential(credentialSubject=stranger_to_us | {"limits": {"amount": "5", "currency": "EUR"}})
    beside = credential(credentialSubject=[stranger_to_us, {"limits": {"amount": "5", "currency": "EUR"}}])
    for shown in (unread, beside):
        decision = evaluate(presented(credential(), shown), ANCHORS, Policy(), NOW, terms=terms())
        assert (decision.outcome, decision.reasons[-1].clause, decision.needed) == ("deny", "limits", ())
