"""Whatever binds a side is judged by its policy as it is then: also by one that was changed since the last step."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from approving import TABLE
from runtimes import Node, Office, World, lingers, tabled, worlds_in
from undersigned.contract import Price
from undersigned.errors import ScopeError, UndersignedError
from undersigned.runtime.engagement.turn import Say

Worlds = Callable[..., World]
EUR = 'currency = "EUR"\n'
SIX = Price(amount="6", currency="EUR")
HIRER, PROVIDER = 0, 1


def cedar(text: str) -> str:
    return f"cedar = '''permit (principal, action, resource); {text}'''\n"


RULES: dict[str, tuple[str, str]] = {
    "none": ("", ""),  # each way is one: without a rule that refuses it is gone
    "refuse": ('refuse = ["AGENT"]', "refuse"),
    "refuse its organisation": ('refuse = ["OFFICE"]', "refuse"),
    "red line": ('refuse_capabilities = ["summary"]', "refuse_capabilities"),
    "require": ('rule = [{ name = "audited", credentials = [{ type = "AuditCredential" }] }]', "rule audited"),
    "currency": ('currency = "USD"', "currency"),
    "max_price": (f'{EUR}max_price = "1"', "max_price"),
    "min_price": (f'{EUR}min_price = "9"', "min_price"),
    "actions": ("actions = []", "actions"),
    "max_duration": ('max_duration = "PT1S"', "max_duration"),
    "ask": (f"ask = true\n{TABLE}", "ask"),
    "ask_above": (f'{EUR}ask_above = "1"\n{TABLE}', "ask_above"),
    "two_above": (f'{EUR}two_above = "1"\n{TABLE}', "two_above"),
    "cedar does not meet": (cedar('forbid (principal, action == Action::"meet", resource);'), "cedar:policy1"),
    "cedar asks whom it meets": (
        cedar('@outcome("ask") forbid (principal, action == Action::"meet", resource);'),
        "cedar:policy1",
    ),
    "cedar does not sign": (cedar('forbid (principal, action == Action::"sign", resource);'), "cedar:policy1"),
    "cedar permits only meeting": (
        "cedar = 'permit (principal, action == Action::\"meet\", resource);'\n",
        "cedar",
    ),
    "cedar permits only signing": (
        "cedar = 'permit (principal, action == Action::\"sign\", resource);'\n",
        "cedar",
    ),
}
OF_TERMS = frozenset(
    name
    for name in RULES
    if name.split(" ")[0]
    in ("currency", "max_price", "min_price", "actions", "max_duration", "ask", "ask_above", "two_above")
) | {"cedar does not sign", "cedar permits only meeting"}


EACH = ("none", "refuse", "require", "max_price", "ask_above", "cedar does not meet", "cedar does not sign")
"""One of each kind; a way or two are tried with the others as well, for all are judged by one function."""
EVERY_RULE = ("hirer seals", "provider accepts")
ASKED = frozenset({"ask", "ask_above", "two_above"})


class Way(NamedTuple):
    who: int
    before: str
    """The message that waits for this side when its policy is changed."""
    opening: str


WAYS = {
    "hirer offers": Way(HIRER, "Presentation", "4 EUR"),
    "hirer seals": Way(HIRER, "Acceptance", "4 EUR"),
    "hirer accepts a counter-offer": Way(HIRER, "Offer", "3 EUR"),
    "hirer counters": Way(HIRER, "Offer", "2 EUR"),
    "provider presents": Way(PROVIDER, "Presentation", "4 EUR"),
    "provider accepts": Way(PROVIDER, "Offer", "4 EUR"),
    "provider counters": Way(PROVIDER, "Offer", "3 EUR"),
    "provider seals": Way(PROVIDER, "Acceptance", "3 EUR"),
}


@pytest.fixture
def worlds(tmp_path: Path) -> Iterator[Worlds]:
    with worlds_in(tmp_path, handler=lingers) as make:
        yield make


def judges_by(world: World, who: int, policy: str) -> Node:
    """This side starts again with another policy."""
    before, other = world.nodes[who], world.nodes[1 - who]
    name, peer = before.office.name, other.office.name
    text = policy.replace("AGENT", other.did).replace("OFFICE", other.office.organisation.did)
    offices = list(world._offices)
    offices[who] = Office(before.office.path, name, trusts=(peer,), policy=text)
    world._offices = tuple(offices)  # type: ignore[assignment]
    return world.restart(before)


def kind(raw: bytes) -> str:
    return str(json.loads(raw).get("type"))


def deliver_until(world: World, node: Node, before: str) -> None:
    """Delivers up to a message of this type for `node`, which waits."""
    for _ in range(50):
        world.settle()
        waiting = world.network.sent[world.asked]
        if (waiting.recipient, kind(waiting.raw)) == (node.did, before):
            return
        world.next_parcel()
    raise AssertionError(before)


def said_since(world: World, node: Node, since: int) -> set[str]:
    return {kind(one.raw) for one in world.network.sent[since:] if one.sender == node.did}


def clauses(node: Node, id: str) -> set[str]:
    rows = [row for row in node.kept.journal(id) if (row.kind, row.type) == ("noted", "decision")]
    if not rows:
        return set()
    return {one["clause"] for one in json.loads(rows[-1].raw)["reasons"] if one["code"] != "met"}


@pytest.mark.parametrize(
    ("way", "rule"),
    [
        *((way, rule) for way in WAYS for rule in EACH),
        *((way, rule) for way in EVERY_RULE for rule in RULES if rule not in EACH),
    ],
)
def test_what_is_about_to_bind_is_judged_by_the_policy_of_now(worlds: Worlds, way: str, rule: str) -> None:
    """HIRE-APR-05, HIRE-POL-02: the other side's message is on its way when the policy is changed."""
    who, before, opening = WAYS[way]
    text, clause = RULES[rule]
    world = worlds(held=True)
    hire = world.begin(opening=opening)
    deliver_until(world, world.nodes[who], before)
    since = len(world.network.sent)
    node = judges_by(world, who, text)
    for _ in range(20):
        world.deliver_all()
        world.settle(30)
    said = said_since(world, node, since)
    binding = {"Offer", "Acceptance", "Seal"} | ({"Presentation"} if rule not in OF_TERMS else set())
    if rule == "none":
        assert said & binding
        return
    assert not said & binding
    if not (before == "Acceptance" and rule in ASKED):  # who accepted is told at once that there is no seal
        assert clause in clauses(node, hire.id)


@pytest.mark.parametrize("rule", ["refuse", "red line"])
def test_whom_the_policy_of_now_refuses_whatever_it_shows_is_shown_nothing(worlds: Worlds, rule: str) -> None:
    """Its `Profile` is on its way when the policy is changed; a hirer shows first."""
    world = worlds(held=True)
    world.begin()
    deliver_until(world, world.hirer, "Profile")
    since = len(world.network.sent)
    node = judges_by(world, HIRER, RULES[rule][0])
    for _ in range(20):
        world.deliver_all()
        world.settle(30)
    said = said_since(world, node, since)
    assert ("Withdraw" in said, "Presentation" in said) == (True, False)


CHANGES = ["amends", "accepts an amendment", "agrees to an amendment", "seals an amendment"]
RELEASES = ["releases", "accepts a release", "agrees to a release", "seals a release"]


CHANGED = [(who, way) for who in (HIRER, PROVIDER) for way in (*CHANGES, *RELEASES)]


@pytest.mark.parametrize(
    ("who", "way", "rule"),
    [
        *((who, way, rule) for who, way in CHANGED for rule in EACH),
        *((who, way, rule) for who, way in (CHANGED[0], CHANGED[-1]) for rule in RULES if rule not in EACH),
    ],
)
def test_what_changes_a_contract_is_judged_by_the_policy_of_now(worlds: Worlds, who: int, way: str, rule: str) -> None:
    """HIRE-APR-08: of releases, those by which the hirer owes more than the price, by either side."""
    text, clause = RULES[rule]
    world = worlds()
    hire = world.begin()
    world.until("working", hire.id)
    node, other = world.nodes[who], world.nodes[1 - who]
    releases, verb = "release" in way, way.split(" ")[0]

    def offer(side: Node) -> None:
        changes, at = side.changes, side.the(hire.id)
        if releases:
            work = changes.release(at, SIX, "That will do.")
        else:
            work = changes.amend(at, lambda terms: replace(terms, price=SIX))
        world.run(work, 1)
        world.settle()

    if verb == "seals":
        offer(node)
        world.cut = True
        world.run(other.changes.accept(other.the(hire.id), tabled(other, hire.id)), 1)
    elif verb in ("accepts", "agrees"):
        offer(other)
    since = len(world.network.sent)
    node = judges_by(world, who, text)
    refusal = None
    if verb == "agrees":

        async def agrees(*_: Any) -> bool:
            return True

        node.changes.consents = agrees
        world.run(node.the(hire.id).reconsider(Say("", {})), 1)
    try:
        if verb in ("amends", "releases"):
            offer(node)
        elif verb == "accepts":
            world.run(node.changes.accept(node.the(hire.id), tabled(node, hire.id)), 1)
    except UndersignedError as error:
        refusal = error
    world.reconnect()
    world.settle(60)
    if rule == "none":
        assert said_since(world, node, since) & {"Offer", "Acceptance", "Seal"}
        return
    assert not said_since(world, node, since) & {"Offer", "Acceptance", "Seal"}
    assert node.the(hire.id).offered().terms.price.amount == "4"
    if refusal is not None:
        assert refusal.code == ("approval_required" if rule in ASKED else "policy_denied")
        assert clause in refusal.message
    elif verb != "seals":
        found = clauses(node, hire.id)
        assert clause in found, found


MEMBER = 'rule = [{ name = "as before", credentials = [{ type = "MembershipCredential", MORE }] }]'
STANDS = {
    "none": "",
    "members": MEMBER.replace("MORE", "max_links = 0"),
    "refuse": RULES["refuse"][0],
    "refuse its organisation": RULES["refuse its organisation"][0],
    "red line": RULES["red line"][0],
    "require": RULES["require"][0],
    "issuers": MEMBER.replace("MORE", 'issuers = ["did:web:other.example"]'),
    "capability": MEMBER.replace("MORE", 'capability = "sbom"'),
}


@pytest.mark.parametrize("rule", STANDS)
@pytest.mark.parametrize("who", [HIRER, PROVIDER])
def test_nobody_acts_under_a_contract_whom_the_policy_of_now_lets_do_nothing(
    worlds: Worlds, who: int, rule: str
) -> None:
    """HIRE-TRU-19, HIRE-TRU-28: it ends nothing; the hirer suspends it, and it goes on once the policy lets it."""
    world = worlds()
    hire = world.begin()
    world.until("working", hire.id)

    def admitted(policy: str) -> tuple[str, str]:
        node = judges_by(world, who, policy)
        world.reconnect()
        world.run(node.status_watch.look(node.the(hire.id)), 5)
        world.settle(5)
        contract = node.the(hire.id).engagement.contract
        assert contract is not None
        code = ""
        try:
            world.run(node.status_watch.require(contract.digest), 5)
        except ScopeError as error:
            code = error.code
        return code, node.the(hire.id).engagement.state

    refused = rule not in ("none", "members")
    waits = "suspended" if refused and who == HIRER else "working"
    assert admitted(STANDS[rule]) == ("policy_denied" if refused else "", waits)
    assert admitted("") == ("", "working")
