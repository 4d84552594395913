"""A policy in plain words: every clause is told, with its value."""

from __future__ import annotations

from typing import Any

import pytest

from parties import NOW
from undersigned.trust import Anchor, Anchors, Demand, Policy, Rule, explain_policy
from undersigned.trust.policy_words import CLAUSES

ISSUER = "did:web:acme.example"


def test_every_clause_has_words_of_its_own() -> None:
    """A clause that is added to the policy is added here."""
    always = {"accused"}  # a clause of every policy, which none can leave out
    assert set(CLAUSES) - always == set(Policy.__struct_fields__) - {"name", "version", "rule", "cedar"}
    assert [clause for clause, _ in explain_policy(Policy())] == list(CLAUSES)


@pytest.mark.parametrize(
    ("policy", "clause", "says"),
    [
        ({}, "require", "each is shown, valid and not withdrawn: MembershipCredential"),
        ({"require": ()}, "require", "no credential is required"),
        ({}, "max_price", "a price may be as high as it likes"),
        ({"currency": "EUR", "max_price": "5"}, "max_price", "at most 5 EUR is paid"),
        ({"currency": "EUR", "min_price": "5"}, "min_price", "at least 5 EUR is taken"),
        ({"currency": "EUR", "ask_above": "5"}, "ask_above", "above 5 EUR a person decides"),
        ({"actions": ()}, "actions", "a scope may grant no action"),
        ({"actions": ("repo:read",)}, "actions", "a scope may grant only: repo:read"),
        ({"max_duration": "PT8H"}, "max_duration", "authority ends at most PT8H from now"),
        ({}, "allow_subcontracting", "the provider may be allowed to subcontract"),
        ({"allow_subcontracting": False}, "allow_subcontracting", "no subcontracting"),
        ({"currency": "EUR", "max_price": "5"}, "max_fee", "a fee for an end without cause is at most 5 EUR"),
        ({"currency": "EUR", "max_fee": "2"}, "max_fee", "a fee for an end without cause is at most 2 EUR"),
        ({}, "max_fee", "such a fee may be any"),
        ({"arbiters": ()}, "arbiters", "nobody may be named to rule on disputes"),
        ({"arbiters": (ISSUER,)}, "arbiters", f"may be named to rule on disputes: {ISSUER}"),
        ({"ask": True}, "ask", "a person decides about every contract that is not refused"),
        ({"refuse": (ISSUER,)}, "refuse", f"refused as party, issuer, arbiter and verifier: {ISSUER}"),
        ({"allow_self_issued": True}, "allow_self_issued", "what its holder issued itself counts"),
        ({}, "allow_self_issued", "what its holder issued itself counts for nothing"),
        ({}, "currency", "prices are in any currency"),
        ({"currency": "EUR"}, "currency", "prices are in EUR"),
        ({}, "max_duration", "authority may last any time"),
        ({}, "ask", "a person is asked only where a clause says so"),
    ],
)
def test_a_clause_says_what_it_demands(policy: dict[str, Any], clause: str, says: str) -> None:
    assert dict(explain_policy(Policy(**policy)))[clause] == says


def freely(*listed: Anchor, least: str = "0.5") -> list[str]:
    policy = Policy(rule=(Rule(name="known", min_reputation=least),))
    told = explain_policy(policy, Anchors().with_anchors(listed), NOW)
    return [says for clause, says in told if clause == "rule known"][1:]


def test_who_gives_a_reputation_by_membership_alone_is_told() -> None:
    """An anchor for everything makes all its members as well known as anybody can be, for whatever work."""
    (told,) = freely(Anchor(issuer=ISSUER))
    assert told.startswith(
        f"beware: a MembershipCredential or PartOfCredential or AuditedByCredential by {ISSUER} is enough for that"
    )
    (told,) = freely(Anchor(issuer=ISSUER, types=("SuppliesToCredential",)), least="0.25")
    assert told.startswith(f"beware: a SuppliesToCredential by {ISSUER}")
    assert freely(Anchor(issuer=ISSUER, types=("SuppliesToCredential",)), least="0.26") == []
    assert freely(Anchor(issuer=ISSUER, types=("EndorsementCredential",))) == []
    assert freely(Anchor(issuer=ISSUER, capabilities=("sbom",))) == []
    assert freely(Anchor(issuer=ISSUER, until="2026-01-01T00:00:00Z")) == []
    assert freely(Anchor(issuer=ISSUER), least="0") == [], "nothing is demanded"


def test_whose_word_counts_is_told_where_anchors_are_known() -> None:
    types = ("EndorsementCredential", "MembershipCredential")
    policy = Policy(require=types)
    told = [says for clause, says in explain_policy(policy, Anchors.of(ISSUER), NOW) if clause == "require"]
    assert told[1:] == [f"{name}: from {ISSUER}, or whom a chain from there entitles" for name in types]
    told = [says for clause, says in explain_policy(policy, Anchors(), NOW) if clause == "require"]
    assert told[1] == "EndorsementCredential: from nobody, because no anchor is believed about it"


def test_policies_in_cedar_are_told_one_by_one() -> None:
    text = """
    @id("all") permit (principal, action, resource);
    @id("dear") @outcome("ask") @would_pass("at most 5 EUR") @needs("AuditCredential")
    forbid (principal, action, resource) unless { principal.hasTag("AuditCredential") };
    """
    told = [one for one in explain_policy(Policy(cedar=text)) if one.clause.startswith("cedar")]
    assert [one.clause for one in told] == ["cedar", "cedar", "cedar:all", "cedar:dear"]
    assert told[0].says == "a peer is asked to show: MembershipCredential, AuditCredential"
    assert told[2].says == "permits what it matches: permit(principal, action, resource);"
    assert told[3].says.startswith(
        "asks a person about what it matches; what would change that: AuditCredential; would pass: at most 5 EUR: "
    )


def test_rules_are_told_one_by_one() -> None:
    demand = Demand(type="AuditedByCredential", capability="sbom", issuers=(ISSUER,), max_age="P90D", max_links=1)
    policy = Policy(
        currency="EUR",
        rule=(
            Rule(name="dear", capabilities=("sbom", "audit"), above="50", credentials=(demand,), min_reputation="0.2"),
            Rule(name="all", credentials=(Demand(type="MembershipCredential"),)),
        ),
    )
    told = dict(explain_policy(policy))
    assert told["rule dear"] == (
        "for sbom or audit above 50 EUR: AuditedByCredential about sbom by did:web:acme.example no older than P90D "
        "at most 1 links from an anchor; a reputation of at least 0.2"
    )
    assert told["rule all"] == "for any work: MembershipCredential"


UNKNOWN = "no type that is known here, so no rule here says who may issue it, nor what it holds"


@pytest.mark.parametrize(
    ("type", "anchor", "says"),
    [
        ("Nope", None, f"Nope: {UNKNOWN}"),
        ("Nope", Anchor(issuer=ISSUER), f"Nope: {UNKNOWN}"),
        ("MembershipCredental", None, f"MembershipCredental: {UNKNOWN}; is MembershipCredential meant?"),
        ("MembershipCredential", None, None),
        ("AuditCredential", Anchor(issuer=ISSUER, types=("AuditCredential",)), None),
    ],
)
def test_a_type_that_nobody_here_knows_is_told_as_one(type: str, anchor: Anchor | None, says: str | None) -> None:
    """It may be somebody's own, and it may be misspelled."""
    anchors = None if anchor is None else Anchors(anchors=(anchor,))
    rule = Rule(name="dear", credentials=(Demand(type=type),))
    told = explain_policy(Policy(require=(type,), rule=(rule,)), anchors, NOW)
    found = [(clause, text) for clause, text in told if UNKNOWN in text]
    assert found == ([] if says is None else [("require", says), ("rule dear", says)])
