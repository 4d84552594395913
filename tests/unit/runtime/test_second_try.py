"""Who is declined hears what is needed, obtains it, and comes back naming the refusal: in whole runtimes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from issuing import edge, issued
from runtimes import NOON, Office, World, facts, last, messages, offices
from support import refuses
from undersigned.credentials import AccreditedBy, Authority, Endorsement
from undersigned.encoding import JsonObject, canonicalize, digest_bytes
from undersigned.errors import ConfigurationError, PolicyError, VerificationError
from undersigned.ledger import TrustStore
from undersigned.messages import Inquiry, Need, Presentation, Profile, Withdraw
from undersigned.runtime import issue_membership
from undersigned.runtime.negotiation.continuing import EARLIER
from undersigned.testing import Actor, HandClock
from undersigned.trust import Decision

Open = Callable[..., World]
BODY, LAB = Actor("Body organisation"), Actor("lab")
RULES = """
currency = "EUR"
[[policy.rule]]
name = "large"
capabilities = ["summary"]
above = "{above}"
credentials = [{{ type = "AccreditedByCredential", capability = "summary", max_age = "P90D" }}]
"""


def give(office: Office, document: JsonObject, name: str = "more") -> None:
    """The agent of this office holds a credential from its next start on."""
    (office.path / "credentials" / f"{name}.json").write_bytes(canonicalize(document))


def believing(folder: Path, side: int, above: str = "3") -> tuple[Office, Office]:
    """Acme and Globex; one of them asks for an accreditation by somebody whom the body lets accredit."""
    policies = ["", ""]
    bodies: list[tuple[str, ...]] = [(), ()]
    policies[side], bodies[side] = RULES.format(above=above), ("Body",)
    acme = Office(folder / "acme", "Acme", trusts=("Globex", *bodies[0]), policy=policies[0])
    globex = Office(folder / "globex", "Globex", trusts=("Acme", *bodies[1]), policy=policies[1])
    for office in (acme, globex):
        asyncio.run(issue_membership(office, clock=HandClock()))
    with TrustStore((acme, globex)[side].trust) as store:
        store.admit([edge(BODY, Authority(id=LAB.did, may_attest="summary", depth=0), NOON)])
    return acme, globex


def first_decision(node: Any, name: str) -> Decision:
    return msgspec.json.decode(next(text for fact, text in facts(node, name) if fact == "decision"), type=Decision)


def asked(world: World, name: str, of: type[Presentation] | type[Profile]) -> tuple[Need, ...]:
    """What was asked for by the moves of a type."""
    found = [m.message for m in messages(world.hirer, name) if isinstance(m.message, of)]
    return tuple(need for move in found if move.request is not None for need in move.request.needs)


@pytest.mark.parametrize("side", [0, 1], ids=["the-hirer-declines", "the-provider-declines"])
def test_who_was_declined_comes_back_with_what_was_needed(open_world: Open, tmp_path: Path, side: int) -> None:
    """HIRE-NEG-23, HIRE-NEG-24, HIRE-TRU-21, HIRE-TRU-22: asked for, not there, said, obtained, and hired."""
    made = believing(tmp_path, side)
    world = open_world(*made)
    declined = world.begin().id
    said = last(world.nodes[side], declined, Withdraw)
    need = Need(
        code="credential",
        credential="AccreditedByCredential",
        # Its own word it believes too, and that of the other's organisation, which is an anchor for anything.
        issuers=tuple(sorted([BODY.did, LAB.did, made[side].actor.did, *(one.organisation.did for one in made)])),
        capability="summary",
        max_age="P90D",
    )
    assert (said.reason, said.role, said.needed) == ("policy_denied", ("hirer", "provider")[side], (need,))
    decision = first_decision(world.nodes[side], declined) if side else None
    if decision is not None:
        assert [reason.clause for reason in decision.reasons if reason.code != "met"] == ["rule large"]
    assert need in asked(world, declined, (Presentation, Profile)[side]), "it had been asked for in the same words"

    other = world.nodes[1 - side]
    give(other.office, issued(LAB, AccreditedBy(id=other.did, accredited_for="summary"), NOON))
    world.restart(other)
    again = world.begin(continues=declined)
    assert again.engagement.contract is not None
    (digest,) = [m.digest for m in messages(world.hirer, declined) if m.message.type == "Withdraw"]
    for node in world.nodes:
        assert last(node, again.id, Inquiry).continues == digest
        (link,) = [blob for blob in world.run(node.ledger.evidence(again.id)) if blob.kind == EARLIER]
        assert link.name == declined
        assert json.loads(link.raw)["type"] == "Withdraw"
    grounds = first_decision(world.nodes[side], again.id).grounds
    assert [one.capability for one in grounds] == [None, "summary"]
    assert [len(path) for path in grounds[1].paths] == [1]


def test_below_the_price_nobody_asks(open_world: Open, tmp_path: Path) -> None:
    """HIRE-TRU-20: at 5 EUR most, a rule above 5 asks for nothing."""
    world = open_world(*believing(tmp_path, 0, above="5"))
    conversation = world.begin()
    assert conversation.engagement.contract is not None
    needs = asked(world, conversation.id, Presentation)
    assert [need.credential for need in needs] == ["MembershipCredential"]


def test_an_offer_above_the_asking_price_is_judged_again(open_world: Open, tmp_path: Path) -> None:
    """HIRE-TRU-22: the provider asks 4 EUR, where no rule holds; who offers 5 hears what that needs."""
    world = open_world(*believing(tmp_path, 1, above="4"))
    assert world.begin(opening="4 EUR").engagement.contract is not None
    name = world.begin(opening="5 EUR").id
    said = last(world.provider, name, Withdraw)
    assert said.reason == "policy_denied"
    assert [need.credential for need in said.needed or ()] == ["AccreditedByCredential"]
    assert facts(world.provider, name)[-1][0] == "decision", "the no is recorded, with its reasons"


def test_only_a_withdrawal_of_these_two_that_says_what_it_needs_is_continued(
    open_world: Open, companies: tuple[Office, Office], tmp_path: Path
) -> None:
    """HIRE-NEG-23: what this side would send is looked at before it is sent."""
    world = open_world()
    never = digest_bytes(b"nothing")
    for named in (never, "urn:hire:engagement:" + never, world.begin().id):
        with refuses(ConfigurationError, "not_found"):
            world.order(continues=named)
    without = world.begin(world.order(price="1 EUR")).id
    assert last(world.hirer, without, Withdraw).needed is None
    with pytest.raises(ConfigurationError, match="says what it needs"):
        world.order(continues=without)
    order = msgspec.structs.replace(world.order(), continues=never)
    with refuses(VerificationError, "wrong_negotiation"):
        world.run(world.hirer.begin(order))


def test_a_reputation_is_asked_for_and_what_is_shown_for_it_counts_at_once(open_world: Open, tmp_path: Path) -> None:
    """HIRE-TRU-17, HIRE-TRU-21: an endorsement by somebody who is spoken of, though nobody entitles him."""
    rules = '[[policy.rule]]\nname = "known"\nmin_reputation = "0.5"'
    made = (Office(tmp_path / "acme", "Acme", trusts=("Body",), policy=rules), offices(tmp_path / "two")[1])
    asyncio.run(issue_membership(made[0], clock=HandClock()))
    with TrustStore(made[0].trust) as store:
        may = Authority(id=made[1].organisation.did, may_attest="MembershipCredential", depth=0)
        store.admit([edge(BODY, may, NOON)])
    world = open_world(*made)
    friend = Actor("friend")
    name = world.begin().id
    assert [need.code for need in last(world.hirer, name, Withdraw).needed or ()] == ["reputation"]

    give(made[1], issued(friend, Endorsement(id=world.provider.did, capability="summary"), NOON))
    world.restart(world.provider)
    assert world.begin().engagement.contract is None, "nobody speaks for the friend"
    world.settle(2)
    with TrustStore(made[0].trust) as store:
        assert all(one.source != friend.did for one in store.edges()), "so it is not learned"
        said = Endorsement(id=friend.did, capability="summary", weight="0.5")
        store.admit([edge(made[0].organisation, said, NOON)])
    again = world.begin(continues=name)
    assert again.engagement.contract is not None
    (rating,) = first_decision(world.hirer, again.id).ratings
    assert (rating.score, [len(path) for path in rating.paths]) == ("0.5", [2])


def test_a_red_line_of_either_side(open_world: Open, tmp_path: Path) -> None:
    made = offices(tmp_path, provider_policy='refuse_capabilities = ["summary"]')
    world = open_world(*made)
    said = last(world.provider, world.begin().id, Withdraw)
    assert [need.member for need in said.needed or ()] == ["/task/kind"]


@pytest.mark.parametrize("line", ['refuse = ["AGENT"]', 'refuse_capabilities = ["summary"]'])
def test_who_is_refused_whatever_it_shows_is_shown_nothing(open_world: Open, tmp_path: Path, line: str) -> None:
    """Nor asked for anything: a hirer shows who it is before it judges."""
    world = open_world(*offices(tmp_path, hirer_policy=line.replace("AGENT", Actor("Globex").did)))
    with refuses(PolicyError, "policy_denied"):
        world.begin()
    assert world.network.sent == []
