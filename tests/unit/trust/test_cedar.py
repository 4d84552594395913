"""Policies in Cedar: what they are told, what they answer, and what is refused when they are loaded."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import ENGAGEMENT, terms
from parties import NOW, Party
from undersigned.contract import DataHandling, Price, Subcontracting, Task, Termination
from undersigned.credentials import (
    ClearStatus,
    Credential,
    VerifiedPresentation,
    build_credential,
    membership,
    read_credential,
    status_entry,
)
from undersigned.encoding import digest_bytes
from undersigned.errors import ConfigurationError
from undersigned.scope import Scope
from undersigned.trust import (
    Anchor,
    Anchors,
    Answers,
    Decision,
    Graph,
    Policy,
    Stake,
    Viewpoint,
    asked_about,
    edge_of,
    evaluate,
    read_cedar,
)
from undersigned.trust.cedar import judge_by_cedar
from undersigned.trust.cedar_request import cedar_request

ORGANISATION, AGENT, AUDITOR, STRANGER = Party("acme-org"), Party("acme"), Party("auditor"), Party("mallory")
ANCHORS = Anchors(anchors=(Anchor(issuer=ORGANISATION.did), Anchor(issuer=AUDITOR.did, types=("AuditCredential",))))
MEMBER, AUDIT = "MembershipCredential", "AuditCredential"
ANY = "permit (principal, action, resource);"
SIGN = 'action == Action::"sign"'
MEETS = '@id("meets") permit (principal, action == Action::"meet", resource);'


def credential(type: str = MEMBER, by: Party = ORGANISATION, **changes: Any) -> Credential:
    if type == MEMBER:
        document = membership(
            id="urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b01",
            organisation=by.did,
            agent=AGENT.did,
            valid_from="2026-11-01T00:00:00Z",
            valid_until="2026-12-01T00:00:00Z",
        )
    else:
        document = build_credential(
            id="urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b02",
            type=type,
            issuer=by.did,
            subject={"id": AGENT.did, "capability": "sbom"},
            valid_from="2026-11-20T00:00:00Z",
            valid_until="2027-01-01T00:00:00Z",
        )
    return read_credential(document | changes)


def judged(cedar: str, *credentials: Credential, policy: dict[str, Any] | None = None, **of: Any) -> Decision:
    shown = VerifiedPresentation(
        holder=AGENT.did, engagement=ENGAGEMENT, credentials=credentials, digest=digest_bytes(b"shown")
    )
    by = Policy(cedar=cedar, **({"require": ()} | (policy or {})))
    stake = Stake.of(of["terms"]) if "terms" in of else of.get("stake")
    graph = Graph(of.pop("edges", ()))
    answers = Answers.of(
        asked_about(shown, by, stake), Viewpoint(anchors=ANCHORS, now=NOW, refused=frozenset()), graph.read
    )
    return evaluate(shown, ANCHORS, by, NOW, answers=answers, **of)


def decided(decision: Decision) -> tuple[str, list[tuple[str, str]]]:
    """The outcome, and the code and clause of what Cedar had to say."""
    return decision.outcome, [(r.code, r.clause) for r in decision.reasons if r.clause.startswith("cedar")]


def priced(amount: str, currency: str = "EUR") -> Any:
    return terms(price=Price(amount=amount, currency=currency))


# -- the answer


def test_what_cedar_permits_is_allowed_and_the_reason_names_the_policy() -> None:
    """HIRE-POL-07."""
    assert decided(judged(f'@id("all") {ANY}')) == ("allow", [("met", "cedar:all")])
    assert decided(judged(f'{ANY} @id("too") {ANY}')) == ("allow", [("met", "cedar:policy0"), ("met", "cedar:too")])


def test_what_nothing_permits_is_denied() -> None:
    """HIRE-POL-02."""
    only_meeting = 'permit (principal, action == Action::"meet", resource);'
    assert decided(judged(only_meeting)) == ("allow", [("met", "cedar:policy0")])
    decision = judged(only_meeting, terms=terms())
    assert decided(decision) == ("deny", [("policy_denied", "cedar")])
    assert decision.reasons[-1].value == "no policy permits sbom for 12.5 EUR until 2026-11-25T14:00:00Z"
    assert decision.reasons[-1].would_pass == "what policy0 permits"
    said = f'@would_pass("meeting first") {only_meeting}'
    assert judged(said, terms=terms()).reasons[-1].would_pass == "meeting first"


def test_what_one_forbids_is_denied_whatever_else_permits() -> None:
    """HIRE-POL-02. All that forbid are named, sorted."""
    text = f'{ANY} @id("z") forbid (principal, {SIGN}, resource); @id("a") forbid (principal, {SIGN}, resource);'
    decision = judged(text, terms=terms())
    assert decided(decision) == ("deny", [("policy_denied", "cedar:a"), ("policy_denied", "cedar:z")])
    assert decided(judged(text))[0] == "allow"


def test_what_could_not_be_evaluated_is_denied_although_cedar_allows() -> None:
    """HIRE-POL-02. The policy that Cedar leaves out is the one that forbids."""
    overflows = "forbid (principal, action, resource) when { 9223372036854775807 + 1 > 0 };"
    engine = pytest.importorskip("cedarpy")
    asked = cedar_request(AGENT.did, ENGAGEMENT, (), NOW)
    alone = engine.is_authorized(asked.request, f"{ANY} {overflows}", asked.entities)
    assert alone.allowed
    decision = judged(f"{ANY} {overflows}")
    assert decided(decision) == ("deny", [("policy_denied", "cedar:policy1")])
    assert decision.reasons[0].value == "could not be evaluated on meeting"
    asking = f'{ANY} @id("odd") @outcome("ask") {overflows}'
    assert decided(judged(asking)) == ("deny", [("policy_denied", "cedar:odd")])


def test_a_request_that_the_engine_does_not_take_is_denied() -> None:
    """HIRE-POL-02."""
    asked = cedar_request(AGENT.did, ENGAGEMENT, (), NOW)
    asked.request["context"]["more"] = 1
    (found,) = judge_by_cedar(ANY, asked)
    assert (found.code, found.clause, found.value) == ("policy_denied", "cedar", "could not be evaluated on meeting")
    asked = cedar_request(AGENT.did, ENGAGEMENT, (), NOW)
    asked.entities[0]["attrs"]["did"] = 1
    assert judge_by_cedar(ANY, asked) == (found,)


@pytest.mark.parametrize(
    ("policy", "amount", "outcome"),
    [
        ({"require": (MEMBER,)}, "1", "deny"),
        ({"refuse": (AGENT.did,)}, "1", "deny"),
        ({"currency": "EUR", "max_price": "5"}, "6", "deny"),
        ({"currency": "EUR", "ask_above": "5"}, "6", "ask"),
        ({"ask": True}, "1", "ask"),
    ],
)
def test_cedar_narrows_and_never_widens(policy: dict[str, Any], amount: str, outcome: str) -> None:
    """HIRE-POL-01."""
    decision = judged(ANY, policy=policy, terms=priced(amount))
    assert decided(decision) == (outcome, [("met", "cedar:policy0")])
    forbidden = judged(f"{ANY} forbid (principal, action, resource);", policy=policy, terms=priced(amount))
    assert forbidden.outcome == "deny"


# -- asking a person

ASKS = f"""
{MEETS}
@id("small") permit (principal, {SIGN}, resource) when {{ context.terms.task == "sbom" }};
@id("dear") @outcome("ask") @would_pass("at most 20 EUR")
forbid (principal, {SIGN}, resource) when {{ context.terms.price.amount.greaterThan(decimal("20.0")) }};
@id("never") forbid (principal, {SIGN}, resource) when {{ context.terms.price.currency != "EUR" }};
"""


@pytest.mark.parametrize(
    ("changes", "outcome", "clauses"),
    [
        ({"price": Price(amount="20", currency="EUR")}, "allow", [("met", "cedar:small")]),
        ({"price": Price(amount="20.0001", currency="EUR")}, "ask", [("approval_required", "cedar:dear")]),
        # No person overrules a policy that does not ask, and none stands for a permit that is missing.
        ({"price": Price(amount="21", currency="USD")}, "deny", [("policy_denied", "cedar:never")]),
        (
            {"price": Price(amount="21", currency="EUR"), "task": Task(kind="audit", summary="", inputs=())},
            "deny",
            [("policy_denied", "cedar")],
        ),
    ],
)
def test_a_forbid_may_ask_a_person(changes: dict[str, Any], outcome: str, clauses: list[tuple[str, str]]) -> None:
    """HIRE-POL-03."""
    decision = judged(ASKS, terms=terms(**changes))
    assert decided(decision) == (outcome, clauses)
    if outcome == "ask":
        assert decision.reasons[-1].would_pass == "at most 20 EUR, or a person's approval"


@pytest.mark.parametrize("outcome", ["", '@outcome("ask")'])
def test_terms_are_signed_with_nobody_whom_we_do_not_meet(outcome: str) -> None:
    """HIRE-POL-02, HIRE-POL-03. Whoever judges terms asks about `meet` as well, and no person is asked about that."""
    unmet = judged(f'{ANY} @id("no") {outcome} forbid (principal, action == Action::"meet", resource);', terms=terms())
    assert decided(unmet) == ("deny", [("policy_denied", "cedar:no")])
    assert "meeting" in unmet.reasons[-1].value
    assert decided(judged(f"permit (principal, {SIGN}, resource);", terms=terms())) == (
        "deny",
        [("policy_denied", "cedar")],
    )


# -- what is told


def test_only_credentials_that_count_are_told() -> None:
    """HIRE-POL-05."""
    text = f'permit (principal, action, resource) when {{ principal.hasTag("{AUDIT}") }};'
    audit = credential(AUDIT, AUDITOR)
    assert judged(text, audit).outcome == "allow"
    for other in (
        credential(AUDIT, STRANGER),
        credential(AUDIT, AGENT),
        credential(AUDIT, AUDITOR, validUntil="2026-11-25T11:59:59Z"),
        credential("OtherCredential", AUDITOR),
    ):
        assert judged(text, other).outcome == "deny"
    # An anchor for audits is none for memberships.
    assert judged(text.replace(AUDIT, MEMBER), credential(MEMBER, AUDITOR)).outcome == "deny"
    assert judged(text, credential(AUDIT, AGENT), policy={"allow_self_issued": True}).outcome == "allow"
    other = text.replace(AUDIT, "OtherCredential")
    assert judged(other, credential(AUDIT, AGENT), policy={"allow_self_issued": True}).outcome == "deny"
    listed = credential(AUDIT, AUDITOR, credentialStatus=status_entry("https://auditor.example/status/1", 4))
    assert judged(text, listed).outcome == "deny"
    clear = ClearStatus(credential=listed.digest, lists=(digest_bytes(b"list"),), at=NOW)
    assert judged(text, listed, statuses=[clear]).outcome == "allow"


def test_a_party_is_in_the_organisation_whose_membership_counts() -> None:
    text = f'permit (principal in Party::"{ORGANISATION.did}", action, resource);'
    assert judged(text, credential()).outcome == "allow"
    assert judged(text, credential(AUDIT, ORGANISATION)).outcome == "deny"
    assert judged(text, credential(MEMBER, STRANGER)).outcome == "deny"
    assert judged(text).outcome == "deny"


def test_a_party_whose_own_membership_counts_is_judged() -> None:
    """Nobody is its own parent in Cedar: no policy could be evaluated on it, and the answer was no."""
    own = {"allow_self_issued": True, "require": (MEMBER,)}
    text = f'permit (principal in Party::"{AGENT.did}", action, resource) when {{ principal.hasTag("{MEMBER}") }};'
    assert judged(text, credential(MEMBER, AGENT), policy=own).outcome == "allow"
    assert judged(text, credential(MEMBER, AGENT), policy={}).outcome == "deny"


def test_type_and_issuer_come_from_one_credential() -> None:
    """A fresh credential of somebody else lends its freshness to nobody."""
    name = f"{AUDIT} by {AUDITOR.did}"
    fresh = """permit (principal, action, resource) when {
        principal.hasTag("%s") && principal.getTag("%s") has validFrom &&
        context.now.durationSince(principal.getTag("%s").validFrom) <= duration("30d")
    };"""
    old = {"validFrom": "2026-06-01T00:00:00Z"}
    by_auditor, by_acme = fresh.replace("%s", name), fresh.replace("%s", AUDIT)
    assert judged(by_auditor, credential(AUDIT, AUDITOR)).outcome == "allow"
    assert judged(by_auditor, credential(AUDIT, ORGANISATION)).outcome == "deny"
    assert judged(by_auditor, credential(AUDIT, AUDITOR, **old), credential(AUDIT, ORGANISATION)).outcome == "deny"
    # Under the type alone the oldest of all is told, in whatever order they come.
    two = [credential(AUDIT, AUDITOR, **old), credential(AUDIT, ORGANISATION)]
    assert judged(by_acme, *two).outcome == judged(by_acme, *reversed(two)).outcome == "deny"
    assert judged(by_acme, credential(AUDIT, ORGANISATION)).outcome == "allow"


def test_of_several_credentials_the_weakest_bounds_are_told() -> None:
    first = credential(AUDIT, AUDITOR, validFrom="2026-11-20T02:00:00.9+02:00", validUntil="2027-03-01T00:00:00Z")
    second = credential(AUDIT, ORGANISATION)
    open_ended = read_credential({name: value for name, value in second.json.items() if name != "validUntil"})
    asked = cedar_request(AGENT.did, ENGAGEMENT, [(AUDIT, first), (AUDIT, second)], NOW)
    tags = asked.entities[0]["tags"]
    assert set(tags) == {AUDIT, f"{AUDIT} by {AUDITOR.did}", f"{AUDIT} by {ORGANISATION.did}"}
    assert (tags[AUDIT]["validFrom"], tags[AUDIT]["validUntil"]) == ("2026-11-20T00:00:00Z", "2027-01-01T00:00:00Z")
    assert tags[AUDIT]["capabilities"] == ["sbom"]
    assert [one["id"] for one in tags[AUDIT]["issuers"]] == sorted([AUDITOR.did, ORGANISATION.did])
    asked = cedar_request(AGENT.did, ENGAGEMENT, [(AUDIT, first), (AUDIT, open_ended)], NOW)
    assert "validUntil" not in asked.entities[0]["tags"][AUDIT]


def test_all_terms_can_be_asked_about() -> None:
    text = f"""{MEETS}
    permit (principal == Party::"{AGENT.did}", {SIGN}, resource == Engagement::"{ENGAGEMENT}") when {{
        principal.did like "did:key:*" &&
        context.terms.task == "sbom" && context.terms.price.currency == "EUR" &&
        context.terms.price.amount.lessThanOrEqual(decimal("12.5")) &&
        ["artifact:read", "artifact:write"].containsAll(context.terms.actions) &&
        context.terms.until.durationSince(context.now) <= duration("2h") &&
        context.terms.subcontracting == 0 && !context.terms.onward && !context.terms.training &&
        ["public"].containsAll(context.terms.dataClasses)
    }};"""
    data = terms().data_handling
    assert judged(text, terms=terms()).outcome == "allow"
    for changes in (
        {"price": Price(amount="12.5001", currency="EUR")},
        {"price": Price(amount="12.5", currency="USD")},
        {"task": Task(kind="audit", summary="", inputs=())},
        {"scope": Scope.from_toml({"grant": [{"id": "a", "action": "repo:push", "target": "https://a.example/"}]})},
        {"subcontracting": Subcontracting(allowed=True, depth=1)},
        {
            "data_handling": DataHandling(
                purpose="", classes=("secret",), retention="PT0S", onward=False, training=False
            )
        },
        {"data_handling": DataHandling(purpose="", classes=(), retention="PT0S", onward=False, training=True)},
        {"data_handling": DataHandling(purpose="", classes=(), retention="PT0S", onward=True, training=False)},
    ):
        assert judged(text, terms=terms(**changes)).outcome == "deny", changes
    assert judged(text, terms=terms(data_handling=data)).outcome == "allow"


def test_a_fee_and_an_arbiter_can_be_asked_about() -> None:
    """HIRE-POL-06, HIRE-POL-09: told if the terms have them, and a fee exactly or not at all."""
    text = f"""{MEETS} permit (principal, {SIGN}, resource) when {{
        (if context.terms has fee then context.terms.fee.lessThan(decimal("3.0")) else true) &&
        (if context.terms has arbiter then context.terms.arbiter == Party::"{AUDITOR.did}" else true)
    }};"""
    for amount, outcome in (("2.9999", "allow"), ("3", "deny"), ("2.99999", "deny")):
        fee = Termination(convenience="fee", fee=Price(amount=amount, currency="EUR"), cure="PT1H")
        assert judged(text, terms=terms(termination=fee)).outcome == outcome, amount
    for arbiter, outcome in ((None, "allow"), (AUDITOR.did, "allow"), ("did:web:judge.example", "deny")):
        assert judged(text, terms=terms(arbiter=arbiter)).outcome == outcome, arbiter


@pytest.mark.parametrize(
    ("amount", "outcome"),
    [
        ("0", "allow"),
        ("0.0001", "allow"),
        ("-0.5", "allow"),
        ("922337203685476.9999", "allow"),
        ("922337203685477", "deny"),
        ("-922337203685477", "deny"),
        ("999999999999999999", "deny"),
        ("0.00001", "deny"),
        ("-7.000000001", "deny"),
    ],
)
def test_a_price_is_told_exactly_or_the_answer_is_no(amount: str, outcome: str) -> None:
    """HIRE-POL-06."""
    decision = judged(ANY, terms=priced(amount))
    assert decision.outcome == outcome
    if outcome == "deny":
        assert decision.reasons[-1].value == f"{amount} EUR has no exact form in Cedar"
        assert decision.needed[0].member == "/price/amount"


def test_a_scope_that_cannot_be_read_is_not_put_to_cedar() -> None:
    """HIRE-POL-02."""
    unread = Scope(extensions={"https://x.example/e": 1}, critical=("https://x.example/e",))
    assert decided(judged(ANY, terms=terms(scope=unread))) == ("deny", [("policy_denied", "cedar")])


@pytest.mark.parametrize(
    ("billionths", "told"), [(0, "0.0000"), (1_000_000_000, "1.0000"), (123_456_789, "0.1234"), (99_999, "0.0000")]
)
def test_a_reputation_is_never_told_too_high(billionths: int, told: str) -> None:
    """HIRE-POL-06."""
    asked = cedar_request(AGENT.did, ENGAGEMENT, (), NOW, reputation=billionths)
    assert asked.request["context"]["reputation"] == told
    good = f'context.reputation.greaterThanOrEqual(decimal("{told}"))'
    text = f"permit (principal, action, resource) when {{ context has reputation && {good} }};"
    assert [found.code for found in judge_by_cedar(text, asked)] == ["met"]
    unasked = cedar_request(AGENT.did, ENGAGEMENT, (), NOW)
    assert [found.code for found in judge_by_cedar(text, unasked)] == ["policy_denied"]


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=128))
def test_what_the_peer_writes_is_data_and_no_cedar(text: str) -> None:
    forbids = f'{ANY} forbid (principal, {SIGN}, resource) when {{ context.terms.task == "sbom" }};'
    handling = DataHandling(purpose="", classes=(text,), retention="PT0S", onward=False, training=False)
    offered = terms(task=Task(kind=text, summary="", inputs=()), data_handling=handling)
    assert judged(forbids, terms=offered).outcome == ("deny" if text == "sbom" else "allow")


def test_the_reputation_that_policies_read_is_asked_for_and_recorded() -> None:
    """HIRE-POL-06."""
    well = 'context has reputation && context.reputation.greaterThanOrEqual(decimal("0.3"))'
    text = f"permit (principal, action, resource) when {{ {well} }};"
    said = build_credential(
        id="urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b03",
        type="EndorsementCredential",
        issuer=ORGANISATION.did,
        subject={"id": AGENT.did, "capability": "sbom", "weight": "0.3"},
        valid_from="2026-11-20T00:00:00Z",
        valid_until="2027-01-01T00:00:00Z",
    )
    edge = edge_of(read_credential(said))
    decision = judged(text, edges=[edge], stake=Stake(capability="sbom"))
    assert (decision.outcome, decision.ratings[0].score, decision.ratings[0].capability) == ("allow", "0.3", "sbom")
    assert judged(text, edges=[edge], terms=terms()).outcome == "allow"
    assert judged(text, edges=[edge], stake=Stake(capability="audit")).outcome == "deny"
    assert judged(text).outcome == "deny"
    assert judged(ANY, edges=[edge]).ratings == ()


def test_an_issuer_that_a_chain_entitles_counts() -> None:
    """HIRE-POL-05."""
    said = build_credential(
        id="urn:uuid:9d0f9e1e-9a1a-4f0a-8f43-2f6f4a1f7b04",
        type="AttestationAuthorityCredential",
        issuer=ORGANISATION.did,
        subject={"id": STRANGER.did, "mayAttest": MEMBER, "depth": 0},
        valid_from="2026-11-20T00:00:00Z",
        valid_until="2027-01-01T00:00:00Z",
    )
    text = f'permit (principal in Party::"{STRANGER.did}", action, resource);'
    assert judged(text, credential(MEMBER, STRANGER)).outcome == "deny"
    link = edge_of(read_credential(said))
    assert judged(text, credential(MEMBER, STRANGER), edges=[link]).outcome == "allow"
    refused = {"refuse": (ORGANISATION.did,)}
    decision = judged(text, credential(MEMBER, STRANGER), edges=[link], policy=refused)
    assert ("policy_denied", "cedar") in decided(decision)[1], "no chain counts that leads through somebody refused"


# -- the decision


def test_the_policy_digest_covers_the_text() -> None:
    """HIRE-POL-07."""
    one, other = judged(ANY), judged(f"{ANY} // the same to Cedar")
    assert one.outcome == other.outcome
    assert one.inputs.policy != other.inputs.policy
    assert one.digest != other.digest
    assert judged(ANY) == one
    assert Policy(cedar=None).digest == Policy().digest


def test_what_is_needed_names_who_would_be_believed() -> None:
    text = f"""
    @needs("{MEMBER}") permit (principal, action, resource) when {{ principal.hasTag("{MEMBER}") }};
    @needs("PartOfCredential") @id("part")
    forbid (principal, {SIGN}, resource) unless {{ principal.hasTag("PartOfCredential") }};
    """
    (need,) = judged(text).needed
    assert (need.code, need.credential, need.issuers) == ("credential", MEMBER, (ORGANISATION.did,))
    decision = judged(text, credential(), terms=terms())
    (need,) = decision.needed
    assert (need.code, need.credential, need.issuers) == ("credential", "PartOfCredential", (ORGANISATION.did,))
    assert decision.reasons[0].would_pass == "one PartOfCredential that counts"
    # What `require` misses as well is told once.
    assert len(judged(text, policy={"require": (MEMBER,)}).needed) == 1


def test_what_the_policies_look_for_is_asked_for() -> None:
    """HIRE-POL-05."""
    text = f"""
    @needs("AccreditedByCredential")
    permit (principal, action, resource) when {{ principal.hasTag("{AUDIT} by did:a:b") }};
    permit (principal in Party::"did:a:b", action, resource);
    """
    assert Policy(cedar=text).types == (MEMBER, "AccreditedByCredential", AUDIT)
    assert Policy(cedar=text, require=()).types == ("AccreditedByCredential", AUDIT, MEMBER)
    assert Policy(require=(AUDIT,)).types == (AUDIT,)
    assert Policy(cedar=f'@would_pass("{"(" * 99}") {ANY}').checked()
    within = f'permit (principal, action, resource) when {{ principal in Party::"{ORGANISATION.did}" }};'
    assert Policy(cedar=within, require=()).types == (MEMBER,)
    # Names of a record are nobody's operators.
    record = 'permit (principal, action, resource) when { {hasTag: 1, "in": 2, getTag: principal.hasTag("A")}.getTag };'
    assert Policy(cedar=record, require=()).types == ("A",)


# -- loading


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("permit", "not read"),
        ("hiring.cedar", "a file of policies is named by cedar_file"),
        ("permit (principal == ?principal, action, resource);", "template"),
        ('permit (principal, action == Action::"sing", resource);', "unrecognized action"),
        ('permit (principal, action, resource) when { context.terms.task == "a" };', "`terms`"),
        ('permit (principal, action, resource) when { principal.getTag("A").issuers.isEmpty() };', "tag"),
        ('permit (principal, action, resource) when { context.reputation.lessThan(decimal("1.0")) };', "reputation"),
        (f"permit (principal, {SIGN}, resource) when {{ context.terms.price.amount < 5 }};", "unexpected type"),
        (f"permit (principal, {SIGN}, resource) when {{ principal.hasTag(context.terms.task) }};", "takes a text"),
        (f'@id("a") {ANY} @id("a") {ANY}', "two policies are called a"),
        (f'@id("policy1") {ANY} {ANY}', "two policies are called policy1"),
        (f"@id {ANY}", "@id needs a text"),
        (f'@id("a b") {ANY}', "@id takes letters"),
        (f'@outcom("ask") {ANY}', "came @outcom"),
        (f'@outcome("ask") {ANY}', "only a forbid"),
        ('@outcome("allow") forbid (principal, action, resource);', 'came @outcome("allow")'),
        (f'@needs("two words") {ANY}', "@needs takes the type"),
        (f'@would_pass("\\u{{7}}") {ANY}', "characters that print"),
        (f'@would_pass("{"x" * 1001}") {ANY}', "at most 1000 characters"),
        (f"permit (principal, action, resource) when {{ {' && '.join(['true'] * 100)} }};", "nested too deep"),
        (f"permit (principal, action, resource) when {{ {' && '.join(['true'] * 5000)} }};", "nested too deep"),
        (f"permit (principal, action, resource) when {{ context has {'.'.join(['now'] * 12_000)} }};", "too deep"),
        ("permit (principal, action, resource) when { context has now" + " // a\n. now" * 5000 + " };", "too deep"),
        (f"permit (principal, action, resource) when {{ {'(' * 12_000}true{')' * 12_000} }};", "nested deeper"),
        (f"// {'}' * 12_000}\npermit (principal, action, resource) when {{ {'[' * 12_000} }};", "nested deeper"),
        (f"permit (principal, action, resource) when {{ [{'[],' * 9_999}{'[' * 9_999} }};", "nested deeper"),
        (
            f'@would_pass("{")" * 999}") permit (principal, action, resource) when {{ {"{a:" * 9_999} }};',
            "nested deeper",
        ),
    ],
)
def test_cedar_that_cannot_be_meant_is_refused_when_it_is_loaded(text: str, said: str) -> None:
    """HIRE-POL-04."""
    with pytest.raises(ConfigurationError) as caught:
        Policy.from_toml({"cedar": text})
    assert caught.value.code == "bad_configuration"
    assert said in caught.value.message


def test_what_is_as_large_as_it_may_be_is_loaded() -> None:
    """HIRE-POL-04."""
    (policy,) = read_cedar(f'@would_pass("{"x" * 1000}") {ANY}').policies
    assert len(policy.would_pass) == 1000
    assert read_cedar(f"permit (principal, action, resource) when {{ {'(' * 63}true{')' * 63} }};").policies


def test_no_more_is_asked_for_than_a_request_may_name() -> None:
    one = 'permit (principal, action, resource) when {{ principal.hasTag("Type{}") }};'
    text = "".join(one.format(n) for n in range(60))
    more = f'{text} forbid (principal, action, resource) unless {{ principal.hasTag("A") || principal.hasTag("B") }};'
    assert len(Policy.from_toml({"cedar": text, "require": ["A", "B", "C"]}).types) == 63
    with pytest.raises(ConfigurationError, match="more than 63"):
        Policy.from_toml({"cedar": more, "require": ["C", "D"]})


def test_an_error_names_the_policy_as_people_do() -> None:
    with pytest.raises(ConfigurationError, match="`dear`"):
        read_cedar(f'{ANY} @id("dear") permit (principal, {SIGN}, resource) when {{ context.terms.prise > 5 }};')


def test_without_the_extra_a_policy_in_cedar_is_refused_and_any_other_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-POL-04."""
    monkeypatch.setitem(sys.modules, "cedarpy", None)
    read_cedar.cache_clear()
    with pytest.raises(ConfigurationError, match=r"undersigned\[cedar\]") as caught:
        Policy.from_toml({"cedar": ANY})
    assert caught.value.code == "missing_extra"
    with pytest.raises(ConfigurationError, match=r"undersigned\[cedar\]"):
        judged(ANY)
    assert Policy.from_toml({}).types == (MEMBER,)
