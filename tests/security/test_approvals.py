"""SC-112: who may run the peer, and even write into its state folder, signs nothing that people have to approve."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from msgspec.structs import replace

from approving import ALICE, ASKS, BOB, LONG, MALLORY, TABLE, TWO, says, signed, waits
from runtimes import Node, World, last, lingers, worlds_in
from undersigned.contract import Price
from undersigned.encoding import JsonObject, canonicalize, decode_json, digest_bytes, from_struct
from undersigned.errors import PolicyError, ProofError, ScopeError
from undersigned.ledger import Row
from undersigned.messages import Offer, Withdraw, recorded_message
from undersigned.proof import attach, prepare
from undersigned.runtime import Home, WaitingTerms, drop_approval, waiting_terms
from undersigned.trust import Put, approval, record_config

Worlds = Callable[..., World]
CHEAP = 'currency = "EUR"\nask_above = "5"\n' + TABLE
SIGNING = {"Offer", "Acceptance", "Seal"}


@pytest.fixture
def worlds(tmp_path: Path) -> Iterator[Worlds]:
    with worlds_in(tmp_path) as make:
        yield make


def slip(node: Node, waiting: WaitingTerms, document: JsonObject) -> None:
    """Puts anything where approvals are looked for, past every check of the command."""
    folder = node.office.approvals / waiting.about.terms
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{uuid4()}.json").write_bytes(canonicalize(document))


def rows(node: Node, engagement: str) -> list[Row]:
    return [row for row in node.kept.journal(engagement) if row.kind == "sent" and row.type in SIGNING]


def by_the_agent(node: Node, about: Put) -> JsonObject:
    """What whoever runs the peer can have signed: a statement by the agent's own key."""
    document = approval(id=f"urn:uuid:{uuid4()}", verdict="approve", about=about, given=node.clock.now())
    config = record_config("eddsa-jcs-2022", node.identity.method, node.clock.now())
    return attach(document, config, node.office.key("agent").sign_now(prepare(document, config, "Ed25519")))


def test_sc_112_without_the_second_approver_nothing_is_signed(worlds: Worlds) -> None:
    """HIRE-APR-01, HIRE-APR-02: twice by one person is once; a stranger, the agent and a forged name are nobody."""
    world = worlds(hirer=TWO)
    hire, node = world.begin(), world.hirer
    waiting, now = waits(node), node.clock.now()
    says(node, ALICE)
    again = says(node, ALICE)
    slip(node, waiting, again)
    slip(node, waiting, signed(MALLORY, waiting.about, now))
    slip(node, waiting, by_the_agent(node, waiting.about))
    bobs = {"verificationMethod": BOB.method}
    slip(node, waiting, again | {"proof": again["proof"] | bobs})  # type: ignore[operator]
    slip(node, waiting, {"verdict": "approve"})
    world.settle(60)
    assert (waits(node).standing.state, waits(node).standing.approved) == ("waits", ("alice",))
    assert rows(node, hire.id) == []
    noted = [row for row in node.kept.journal(hire.id) if row.type == "approvals"]
    assert len(decode_json(noted[-1].raw)) == 1, "what she says again makes the journal no longer"  # type: ignore[arg-type]
    world.settle(2 * LONG)
    assert rows(node, hire.id) == []
    assert node.kept.summary_of(hire.id).state == "withdrawn"  # type: ignore[union-attr]


def test_sc_112_the_control_case_with_both_approvers(worlds: Worlds) -> None:
    """The same hire with both approvals is signed, so the test above can fail."""
    world = worlds(hirer=TWO)
    hire, node = world.begin(), world.hirer
    for person in (ALICE, BOB):
        says(node, person)
    world.settle(LONG)
    assert [row.type for row in rows(node, hire.id)] == ["Offer", "Seal"]


@pytest.mark.parametrize("owed", [Price(amount="1000", currency="EUR"), Price(amount="4", currency="BTC")])
def test_sc_112_what_changes_a_contract_is_no_way_around_people(worlds: Worlds, owed: Price) -> None:
    """HIRE-APR-01, HIRE-APR-08: a hire that was begun below the amount ends for no more, whoever offers it."""
    world = worlds(hirer=CHEAP, handler=lingers)
    hire, (node, other) = world.begin(), world.nodes
    world.until("working", hire.id)
    node.changes.consents = other.changes.consents = agrees
    with pytest.raises((PolicyError, ScopeError)):
        world.run(node.changes.release(hire, owed, "That will do."), 5)
    with pytest.raises((PolicyError, ScopeError)):
        world.run(node.changes.amend(hire, lambda terms: replace(terms, price=owed)), 5)
    world.run(other.changes.release(other.the(), owed, "That will do."), 5)
    world.settle(60)
    assert hire.engagement.state == "working"
    assert [row.type for row in rows(node, hire.id)] == ["Offer", "Seal"]
    world.settle(3600)  # what was offered is over
    world.run(node.changes.release(hire, Price(amount="4", currency="EUR"), "That will do."), 5)
    world.settle(60)
    assert hire.engagement.state == "closed"


async def agrees(*_: object) -> bool:
    return True


@pytest.mark.parametrize("member", ["verdict", "terms", "engagement", "provider", "change"])
def test_sc_112_an_edited_approval_is_refused(worlds: Worlds, member: str) -> None:
    """HIRE-APR-02: what alice really signed about something else, made to say what is wanted."""
    world = worlds(hirer=ASKS)
    hire, node = world.begin(), world.hirer
    waiting, now = waits(node), node.clock.now()
    about = from_struct(waiting.about)
    elsewhere = {
        "terms": digest_bytes(b"other terms"),
        "engagement": f"urn:hire:engagement:{digest_bytes(b'another')}",
        "provider": MALLORY.did,
        "change": digest_bytes(b"a change"),
    }
    real_about = waiting.about if member == "verdict" else Put(**{**about, member: elsewhere[member]})  # type: ignore[arg-type]
    real = signed(ALICE, real_about, now, "refuse" if member == "verdict" else "approve")
    edited = real | {member: "approve" if member == "verdict" else about.get(member)}
    if edited[member] is None:
        del edited[member]
    assert edited != real
    with pytest.raises(ProofError) as caught:
        drop_approval(node.office, edited, now)
    assert caught.value.code == "proof_invalid"
    slip(node, waiting, edited)
    if member != "verdict":
        slip(node, waiting, real)
    world.settle(60)
    assert waits(node).standing.state == "waits"
    assert rows(node, hire.id) == []


def test_sc_112_approval_of_some_terms_signs_no_others(worlds: Worlds) -> None:
    """HIRE-APR-02: terms A were approved and offered; what the provider asks for instead is another question."""
    world = worlds(hirer=ASKS, price="4.5 EUR")
    hire, node = world.begin(opening="3.2 EUR"), world.hirer
    first = waits(node)
    says(node, ALICE)
    world.settle(30)
    assert [row.type for row in rows(node, hire.id)] == ["Offer"]
    second = waits(node)
    assert (second.asked.terms.price.amount, second.about.engagement) == ("4.5", hire.id)
    assert second.about.terms != first.about.terms
    slip(node, second, signed(ALICE, first.about, node.clock.now()))
    world.settle(60)
    assert waits(node).standing.state == "waits"
    assert [row.type for row in rows(node, hire.id)] == ["Offer"]
    says(node, BOB)
    world.settle(LONG)
    assert [row.type for row in rows(node, hire.id)] == ["Offer", "Acceptance"]
    said = [recorded_message(row.raw).message for row in node.kept.journal(hire.id) if row.type == "Offer"]
    assert [one.document.terms.price.amount for one in said if isinstance(one, Offer)] == ["3.2", "4.5"]


def test_sc_112_an_approval_is_for_one_engagement(worlds: Worlds) -> None:
    """HIRE-APR-02: the same terms, asked for twice, are approved twice or not at all."""
    world = worlds(hirer=ASKS)
    one, other, node = world.begin(), world.begin(), world.hirer
    found = world.run(waiting_terms(node.kept, node.office, node.clock.now()))
    assert [waiting.about.engagement for waiting in found] == [one.id, other.id]
    assert found[0].about.terms == found[1].about.terms, "what is asked for is the same to the letter"
    says(node, ALICE, about=found[1].about)
    world.settle(60)
    assert ([row.type for row in rows(node, other.id)][:1], rows(node, one.id)) == (["Offer"], [])
    says(node, ALICE, about=found[0].about)
    world.settle(60)
    assert [row.type for row in rows(node, one.id)][:1] == ["Offer"]


def test_sc_112_a_refusal_is_final_for_these_terms(worlds: Worlds) -> None:
    """HIRE-APR-04: in another engagement, with everybody else's approval, without the files, after a restart."""
    world = worlds(hirer=ASKS)
    one, other, node = world.begin(), world.begin(), world.hirer
    found = world.run(waiting_terms(node.kept, node.office, node.clock.now()))
    says(node, BOB, "refuse", found[0].about)
    world.settle(5)
    shutil.rmtree(node.office.approvals)
    for person in (ALICE, BOB):
        says(node, person, about=found[1].about)
    node = world.restart(node)
    world.reconnect()
    world.settle(LONG)
    for hire in (one, other):
        assert rows(node, hire.id) == []
        said = [row for row in node.kept.journal(hire.id) if row.kind == "sent" and row.type == "Withdraw"]
        (withdraw,) = [recorded_message(row.raw).message for row in said]
        assert isinstance(withdraw, Withdraw)
        assert withdraw.reason == "policy_denied"
    # Other terms are another question.
    third = world.begin(price="6 EUR", opening="5.5 EUR")
    says(node, ALICE)
    world.settle(LONG)
    assert [row.type for row in rows(node, third.id)] == ["Offer", "Seal"]


def test_sc_112_a_refusal_outlives_the_engagement_it_was_said_in(worlds: Worlds) -> None:
    """HIRE-APR-04: nobody is asked about the same terms once more."""
    world = worlds(hirer=ASKS)
    one, node = world.begin(), world.hirer
    says(node, BOB, "refuse")
    world.settle(5)
    assert one.over
    shutil.rmtree(node.office.approvals)
    world.clock.ahead -= 5  # the times in them are the same again
    other = world.begin()
    world.settle(1)
    assert world.run(waiting_terms(node.kept, node.office, node.clock.now())) == []
    assert last(world.provider, other.id, Withdraw).reason == "policy_denied"


def test_sc_112_who_is_no_approver_any_more_counts_no_more(worlds: Worlds) -> None:
    """HIRE-APR-02: noted in the journal, and not enough when it comes to the signature, in the peer that runs. Settings
    that cannot be read change nothing; and once they name her again, what she said counts.
    """
    world = worlds(hirer=TWO)
    hire, node = world.begin(), world.hirer
    says(node, ALICE)
    world.settle(5)
    assert waits(node).standing.approved == ("alice",)
    file = node.office.path / "undersigned.toml"
    file.write_text(file.read_text().replace(ALICE.did, MALLORY.did))
    node.office.approvers = Home(node.office.path).approvers
    says(node, BOB)
    world.settle(60)
    assert waits(node).standing.approved == ("bob",)
    assert rows(node, hire.id) == []
    named = file.read_text().replace(MALLORY.did, ALICE.did)
    file.write_text("[approvers")
    world.settle(10)
    assert rows(node, hire.id) == []
    file.write_text(named)
    world.settle(60)
    assert rows(node, hire.id)
