"""Amendments and releases that wait for people, in two whole runtimes: from either side, over restarts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from approving import ALICE, BOB, TABLE, says, signed, told, waits
from runtimes import Node, World, facts, last, lingers, tabled, worlds_in
from support import refuses
from undersigned.contract import AmendmentDocument, Document, Price, Settlement, Terms
from undersigned.credentials import Credential
from undersigned.encoding import shift
from undersigned.errors import (
    CredentialError,
    FormatError,
    LocalProtocolError,
    PolicyError,
    ScopeError,
    VerificationError,
)
from undersigned.messages import Withdraw
from undersigned.protocol import owed
from undersigned.runtime import (
    Conversation,
    WaitingTerms,
    drop_approval,
    issue_membership,
    load_engagement,
    waiting_terms,
)
from undersigned.runtime.negotiation.meeting import Meeting
from undersigned.scope import Limit
from undersigned.trust import release_digest, terms_digest

Worlds = Callable[..., World]
ASKS = 'currency = "EUR"\nask_above = "5"\n' + TABLE
TWO = 'currency = "EUR"\nask_above = "5"\ntwo_above = "5.5"\n' + TABLE
OF = {"hirer": 0, "provider": 1}
SIX = Price(amount="6", currency="EUR")
BOTH = pytest.mark.parametrize("who", ["hirer", "provider"])


@pytest.fixture
def worlds(tmp_path: Path) -> Iterator[Worlds]:
    with worlds_in(tmp_path, handler=lingers) as make:
        yield make


def working(world: World) -> str:
    hire = world.begin()
    world.until("working", hire.id)
    return hire.id


def amends(node: Node, price: Price = SIX, **options: Any) -> None:
    """The node offers another price for its only contract."""
    changes, conversation = node.changes, node.the(options.pop("id", None))
    node.world.run(changes.amend(conversation, lambda terms: replace(terms, price=price), **options), 1)
    node.world.settle()


def releases(node: Node, owed: Price = SIX, reason: str = "That will do.", **options: Any) -> None:
    node.world.run(node.changes.release(node.the(options.pop("id", None)), owed, reason, **options), 1)
    node.world.settle()


def accepts(node: Node, id: str | None = None) -> None:
    node.world.run(node.changes.accept(node.the(id), tabled(node, id)), 1)
    node.world.settle()


def asks(work: Callable[..., None], *arguments: Any, **options: Any) -> None:
    """It waits for people now."""
    with refuses(ScopeError, "approval_required"):
        work(*arguments, **options)


def put(node: Node, opens: bool) -> None:
    """A change waits for people of this node: its own, or the other side's."""
    if opens:
        asks(amends, node)
    else:
        amends(node.world.other(node))
        asks(accepts, node)


def price(node: Node, id: str | None = None) -> str:
    return node.the(id).offered().terms.price.amount


def all_waits(node: Node) -> list[WaitingTerms]:
    return node.world.run(waiting_terms(node.kept, node.office, node.clock.now()))


def nothing_waits(node: Node) -> bool:
    return not all_waits(node)


def withdrawn(node: Node, id: str) -> str:
    """Why the other side took the last document from the table."""
    return last(node, id, Withdraw).reason


def dropped(node: Node, id: str) -> str:
    """Why the last draft is not offered, as it is noted."""
    return str(noted(node, id, "change-drafted")[-1].get("dropped"))


def noted(node: Node, id: str, name: str) -> list[dict[str, Any]]:
    return [json.loads(value)["change"] for fact, value in facts(node, id) if fact == name]


# --- what the other side offers


@BOTH
@pytest.mark.parametrize("word", ["command", "program"])
def test_an_amendment_waits_until_a_person_approves_it(worlds: Worlds, who: str, word: str) -> None:
    """HIRE-APR-01, HIRE-APR-09: nothing is signed meanwhile, the other side hears why, and nobody is asked twice."""
    world = worlds(**{who: ASKS})
    id, node = working(world), world.nodes[OF[who]]
    other, heard = world.other(node), list[Document]()

    async def agrees(_: Conversation, document: Document) -> bool | None:
        heard.append(document)
        return True if word == "program" else None

    node.changes.consents = agrees
    amends(other)
    if word == "command":
        assert nothing_waits(node), "nobody of ours wants it yet"
        asks(accepts, node)
    waiting = waits(node)
    assert waiting.asked.until == shift(node.the().engagement.tabled.valid_until, -5)  # type: ignore[union-attr]
    assert [(one.for_, one.until) for one in told(other)] == [("person", waiting.asked.until)]
    assert (waiting.about.change, waiting.about.terms) == (tabled(node), terms_digest(waiting.asked.terms))
    assert waiting.in_force is not None
    assert (waiting.in_force.price.amount, waiting.asked.terms.price.amount) == ("4", "6")
    assert [owed(one.the().engagement).why for one in world.nodes] == ["the work", "the work"]
    world.settle(600)
    assert (price(node), tabled(node)) == ("4", waiting.about.change)
    assert node.the().engagement.tabled.acceptance is None  # type: ignore[union-attr]
    says(node, ALICE)
    world.settle(10)
    assert [price(one) for one in world.nodes] == ["6", "6"]
    assert nothing_waits(node)
    assert len(heard) == 1
    assert [name for name, _ in facts(node, id)].count("change-asked") == 1
    kept = world.run(node.kept.evidence(id))
    assert [blob.name for blob in kept if blob.kind == "approval"] == ["approve"]


@BOTH
def test_a_refused_amendment_is_withdrawn_and_the_contract_goes_on(worlds: Worlds, who: str) -> None:
    """HIRE-APR-04: the same terms are refused at once when they come again, and when we would offer them."""
    world = worlds(**{who: TWO})
    id, node = working(world), world.nodes[OF[who]]
    other = world.other(node)
    amends(other)
    asks(accepts, node)
    says(node, ALICE)
    world.settle(3)
    assert waits(node).standing.approved == ("alice",)
    says(node, BOB, "refuse")
    world.settle(3)
    assert withdrawn(other, id) == "policy_denied"
    assert (node.the().engagement.state, price(node), nothing_waits(node)) == ("working", "4", True)
    amends(other)
    for again in (lambda: accepts(node), lambda: amends(node)):
        with refuses(PolicyError, "policy_denied"):
            again()
    assert nothing_waits(node)


def test_what_is_in_force_is_not_what_was_refused_in_its_place(worlds: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-NEG-19: a refused offer gives up its place, where the one stands that was sealed; its row stays."""
    world = worlds(hirer=ASKS)
    working(world)
    node, other = world.nodes
    failing = VerificationError("key_not_authorized", "not by this key", path="/document")

    def refuses_it(*_: object) -> None:
        raise failing

    with monkeypatch.context() as once:
        once.setattr(other.papers, "check_offer", refuses_it)
        amends(node, Price(amount="4.5", currency="EUR"))
    assert node.the().engagement.tabled is None
    amends(node, Price(amount="5", currency="EUR"))
    (summary,) = world.run(node.kept.summaries())
    on_the_table = world.run(load_engagement(node.kept, summary, node.did)).tabled()
    assert isinstance(on_the_table, AmendmentDocument)
    assert on_the_table.terms.price.amount == "5"
    accepts(other)
    assert [price(one) for one in world.nodes] == ["5", "5"]
    asks(amends, node)
    in_force = waits(node).in_force
    assert in_force is not None
    assert in_force.price.amount == "5"


@BOTH
def test_what_nobody_decides_is_withdrawn_before_it_ends(worlds: Worlds, who: str) -> None:
    """HIRE-APR-09: an approval that comes after the last instant is none, however soon."""
    world = worlds(**{who: ASKS})
    id, node = working(world), world.nodes[OF[who]]
    amends(world.other(node), seconds=300)
    asks(accepts, node)
    waiting = waits(node)
    world.settle(295)
    assert not nothing_waits(node)
    node.clock.ahead += 1
    drop_approval(node.office, signed(ALICE, waiting.about, node.clock.now()), node.clock.now())
    world.settle(2)
    assert withdrawn(world.other(node), id) == "decision_failed"
    assert (price(node), nothing_waits(node)) == ("4", True)


def test_a_release_dearer_than_the_price_waits_for_people(worlds: Worlds) -> None:
    """HIRE-APR-08, HIRE-APR-09: what is approved is what is owed by this release."""
    world = worlds(hirer=ASKS)
    id, node = working(world), world.hirer
    releases(world.provider)
    asks(accepts, node)
    waiting, contract = waits(node), node.the().engagement.contract
    assert contract is not None
    assert (waiting.about.change, waiting.about.terms) == (tabled(node), release_digest(contract.digest, SIX))
    says(node, ALICE)
    world.settle(30)
    assert [node.kept.summary_of(id).state for node in world.nodes] == ["closed", "closed"]  # type: ignore[union-attr]


@BOTH
def test_what_is_withdrawn_meanwhile_and_made_again_is_another_question(worlds: Worlds, who: str) -> None:
    """HIRE-APR-09: what was approved of the first signs nothing of the second, though every word is the same."""
    world = worlds(**{who: ASKS})
    working(world)
    node = world.nodes[OF[who]]
    other = world.other(node)
    amends(other)
    asks(accepts, node)
    first = waits(node)
    world.run(other.changes.decline(other.the()), 1)
    world.settle(3)
    assert nothing_waits(node)
    amends(other)
    asks(accepts, node)
    second = waits(node)
    assert (first.about.terms, first.about.change) != (second.about.terms, second.about.change)
    assert first.about.terms == second.about.terms
    drop_approval(node.office, signed(ALICE, first.about, node.clock.now()), node.clock.now())
    world.settle(5)
    assert (price(node), waits(node).standing.state) == ("4", "waits")
    says(node, ALICE)
    world.settle(5)
    assert price(node) == "6"


# --- what we would offer


@BOTH
def test_what_we_would_offer_is_offered_once_it_is_approved(worlds: Worlds, who: str) -> None:
    """HIRE-APR-09: the other side hears nothing before; what is sealed then is asked of nobody again."""
    world = worlds(**{who: TWO})
    id, node = working(world), world.nodes[OF[who]]
    other = world.other(node)
    asks(amends, node, seconds=1200)
    waiting = waits(node)
    assert waiting.asked.until == shift(node.clock.now(), 1200)
    asks(amends, node, seconds=1200)
    assert waits(node).about == waiting.about, "asked for once more, it waits as before"
    says(node, ALICE)
    world.settle(600)
    assert waits(node).standing.approved == ("alice",)
    assert (other.the().engagement.tabled, told(other)) == (None, [])
    says(node, BOB)
    world.settle(5)
    assert nothing_waits(node)
    accepts(other)
    assert [price(one) for one in world.nodes] == ["6", "6"]
    assert [name for name, _ in facts(node, id)].count("change-offered") == 1
    asks(amends, node, replace(SIX, amount="7"))
    with pytest.raises(ScopeError):  # back to the former price is another question, of which nothing was asked
        amends(node, replace(SIX, amount="5.2"))
    assert waits(node).asked.terms.price.amount == "5.2", "the newer one is asked about"


@BOTH
@pytest.mark.parametrize("said", ["refuse", "nothing", "taken back"])
def test_what_is_not_approved_is_not_offered(worlds: Worlds, who: str, said: str) -> None:
    """HIRE-APR-09: why not is noted, and what is approved later comes too late."""
    world = worlds(**{who: ASKS})
    id, node = working(world), world.nodes[OF[who]]
    asks(amends, node, seconds=300)
    waiting = waits(node)
    if said == "refuse":
        says(node, ALICE, "refuse")
        world.settle(3)
    elif said == "nothing":
        world.settle(302)
    else:
        world.run(node.changes.decline(node.the()), 1)
    assert nothing_waits(node)
    assert {"refuse": "refused", "nothing": "nobody decided", "taken back": "taken back"}[said] in dropped(node, id)
    drop_approval(node.office, signed(BOB, waiting.about, node.clock.now()), node.clock.now())
    world.settle(10)
    assert world.other(node).the().engagement.tabled is None
    again = world.restart(node)
    world.reconnect()
    world.settle(10)
    assert (again.the().engagement.tabled, price(again)) == (None, "4")


@pytest.mark.parametrize(("change", "beyond"), [(amends, False), (releases, True)], ids=["amendment", "release"])
def test_nobody_is_asked_about_an_amendment_beyond_the_end_of_the_contract(
    worlds: Worlds, change: Callable[..., None], beyond: bool
) -> None:
    """Nothing is amended then; a dispute may take longer, and ends with a release."""
    world = worlds(hirer=ASKS)
    working(world)
    asks(change, world.hirer, seconds=366 * 24 * 3600)
    asked, until = waits(world.hirer).asked, world.hirer.the().offered().terms.deadlines.until
    assert (asked.until > until, asked.until == until) == (beyond, not beyond)


def test_what_people_were_asked_about_before_does_not_keep_another_change_waiting(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-APR-05: nobody is asked about the second, so a list that is away is a no as anywhere."""
    world = worlds(hirer=ASKS)
    id, node, other = working(world), world.hirer, world.provider
    amends(other)
    asks(accepts, node)
    world.run(other.changes.decline(other.the()), 1)
    world.settle(3)

    async def away(*_: Any, **__: Any) -> Any:
        raise CredentialError("status_unavailable", "the list is away")

    async def agrees(*_: object) -> bool:
        return True

    node.changes.consents = agrees
    monkeypatch.setattr(node.meeting, "recheck", away)
    amends(other, replace(SIX, amount="4.5"))
    world.settle(3)  # it is asked for once more
    assert withdrawn(other, id) == "status_unavailable"


def test_a_release_that_costs_nothing_is_put_to_nobody_in_whatever_currency(worlds: Worlds) -> None:
    world = worlds(hirer=ASKS)
    id = working(world)
    releases(world.hirer, Price(amount="0", currency="USD"))
    accepts(world.provider)
    world.until("closed", id)


@pytest.mark.parametrize(
    ("text", "code"),
    [("two\nlines", "bad_unicode"), ("x" * 1025, "schema_violation"), ("", "schema_violation")],
    ids=["two-lines", "too-long", "none"],
)
def test_nobody_is_asked_about_what_no_document_holds(worlds: Worlds, text: str, code: str) -> None:
    """HIRE-APR-09: people approved it, and it could not be offered."""
    world = worlds(hirer=ASKS)
    working(world)
    node, changes = world.hirer, world.hirer.changes

    def said(terms: Terms) -> Terms:
        return replace(terms, price=SIX, data_handling=replace(terms.data_handling, purpose=text + "\n"))

    with refuses(FormatError, code):
        world.run(changes.release(node.the(), SIX, text), 1)
    with refuses(FormatError, "bad_unicode"):
        world.run(changes.amend(node.the(), said), 1)
    assert nothing_waits(node)


def test_a_dearer_release_of_ours_waits_as_well(worlds: Worlds) -> None:
    """HIRE-APR-08, HIRE-APR-09: with an approval of an amendment to that price it is not offered, nor the reverse."""
    world = worlds(hirer=ASKS)
    id, node = working(world), world.hirer
    asks(amends, node)
    amendment = waits(node)
    asks(releases, node)
    release = waits(node)
    assert release.about.terms != amendment.about.terms
    for about in (amendment.about, replace(amendment.about, change=release.about.change)):
        drop_approval(node.office, signed(ALICE, about, node.clock.now()), node.clock.now())
        folder = node.office.approvals
        for file in (folder / about.terms).iterdir():  # where those of the release are looked for
            (folder / release.about.terms).mkdir(exist_ok=True)
            (folder / release.about.terms / file.name).write_bytes(file.read_bytes())
    world.settle(5)
    assert world.provider.the().engagement.tabled is None
    says(node, ALICE)
    world.settle(5)
    accepts(world.provider)
    world.settle(30)
    assert [node.kept.summary_of(id).state for node in world.nodes] == ["closed", "closed"]  # type: ignore[union-attr]


# --- both, and what comes between


@pytest.mark.parametrize("back", [True, False])
def test_what_cannot_be_offered_now_is_offered_later(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch, back: bool
) -> None:
    """HIRE-APR-05: a list that cannot be had is no no; people are not asked again, nor told that they said nothing."""
    world = worlds(hirer=ASKS)
    id, node = working(world), world.hirer
    asks(amends, node, seconds=300)
    real, failures = node.meeting.recheck, [3 if back else 1000]

    async def away(*given: Any, **options: Any) -> Any:
        if failures[0] > 0:
            failures[0] -= 1
            raise CredentialError("status_unavailable", "the list is away")
        return await real(*given, **options)

    monkeypatch.setattr(node.meeting, "recheck", away)
    says(node, ALICE)
    world.settle(20)
    if not back:
        world.settle(290)
        assert dropped(node, id).startswith("it was approved, and could not be offered by ")
        assert world.provider.the().engagement.tabled is None
        return
    assert failures[0] == 1, "it is not asked for every second"
    world.settle(40)
    accepts(world.provider)
    assert price(node) == "6"
    assert len(noted(node, id, "change-drafted")) == 1


def test_the_newer_draft_is_asked_about_and_the_older_is_offered_no_more(worlds: Worlds) -> None:
    """HIRE-APR-09: also where that is approved in the same moment."""
    world = worlds(hirer=ASKS)
    working(world)
    node = world.hirer
    asks(amends, node)
    older = waits(node).about
    asks(amends, node, replace(SIX, amount="7"))
    for about in (older, waits(node).about):
        drop_approval(node.office, signed(ALICE, about, node.clock.now()), node.clock.now())
    world.settle(5)
    accepts(world.provider)
    world.settle(30)
    assert price(node) == "7"
    assert world.provider.the().engagement.tabled is None


@BOTH
@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("back", [True, False])
def test_what_cannot_be_accepted_now_is_accepted_later(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch, who: str, restarted: bool, back: bool
) -> None:
    """HIRE-APR-05, HIRE-APR-07: also after a restart a list that cannot be had is no no while people have time."""
    world = worlds(**{who: ASKS})
    id, node = working(world), world.nodes[OF[who]]
    other = world.other(node)
    amends(other, seconds=300)
    asks(accepts, node)
    real, tried, is_away = Meeting.recheck, list[str](), [True]

    async def away(*given: Any, **options: Any) -> Any:
        if is_away[0]:
            tried.append(node.clock.now())
            raise CredentialError("status_unavailable", "the list is away")
        return await real(*given, **options)

    monkeypatch.setattr(Meeting, "recheck", away)
    if restarted:
        node = world.restart(node)
        world.reconnect()
        world.settle(20)
    says(node, ALICE)
    world.settle(40)
    assert 3 <= len(tried) <= 6, "it is not asked for every second"
    assert node.the().engagement.tabled is not None
    is_away[0] = not back
    world.settle(20 if back else 260)
    if back:
        assert [price(one) for one in world.nodes] == ["6", "6"]
        assert [name for name, _ in facts(node, id)].count("change-asked") == 1
    else:
        assert withdrawn(other, id) == "status_unavailable"
        assert price(node) == "4"


def test_an_older_draft_does_not_push_the_newer_one_aside(worlds: Worlds) -> None:
    """HIRE-APR-09: it was approved just when the newer one was made."""
    world = worlds(hirer=ASKS)
    working(world)
    node = world.hirer
    asks(amends, node)
    older = waits(node)
    asks(amends, node, replace(SIX, amount="7"))
    newer = waits(node)
    with pytest.raises(LocalProtocolError, match="not asked about"):
        world.run(node.changes.approved(node.the(), older.asked), 1)
    assert waits(node).about == newer.about


@pytest.mark.parametrize("by", ["taken back", "a newer one"])
def test_what_is_taken_back_while_it_is_judged_is_not_offered(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """HIRE-APR-09: people approved it, and their server takes a while."""
    world = worlds(hirer=ASKS)
    id, node = working(world), world.hirer
    asks(amends, node)
    real = node.meeting.recheck

    async def slow(*given: Any, **options: Any) -> Any:
        decision = await real(*given, **options)
        await asyncio.sleep(5)
        return decision

    with monkeypatch.context() as patch:
        patch.setattr(node.meeting, "recheck", slow)
        says(node, ALICE)
        world.settle(3)
    if by == "taken back":
        world.run(node.changes.decline(node.the()), 1)
    else:
        asks(amends, node, replace(SIX, amount="7"))
    world.settle(20)
    assert world.provider.the().engagement.tabled is None
    if by == "taken back":
        assert (dropped(node, id), nothing_waits(node)) == ("it was taken back", True)
    else:
        assert waits(node).asked.terms.price.amount == "7"


@BOTH
def test_two_changes_wait_at_once_and_each_has_its_own_answer(worlds: Worlds, who: str) -> None:
    """HIRE-APR-09: theirs on the table and ours beside it."""
    world = worlds(**{who: ASKS})
    id, node = working(world), world.nodes[OF[who]]
    other = world.other(node)
    asks(amends, node, replace(SIX, amount="7"))
    amends(other)
    asks(accepts, node)
    theirs, ours = all_waits(node)
    assert [one.asked.terms.price.amount for one in (theirs, ours)] == ["6", "7"]
    says(node, ALICE, "refuse", theirs.about)
    world.settle(3)
    assert withdrawn(other, id) == "policy_denied"
    assert waits(node).about == ours.about
    says(node, ALICE, about=ours.about)
    world.settle(5)
    accepts(other)
    assert [price(one) for one in world.nodes] == ["7", "7"]


def test_a_draft_of_what_is_not_in_force_any_more_is_dropped(worlds: Worlds) -> None:
    """HIRE-APR-09, HIRE-LAN-01: people saw another contract."""
    world = worlds(hirer=ASKS)
    id, node = working(world), world.hirer
    asks(amends, node)
    before = waits(node)
    amends(world.provider, replace(SIX, amount="4.5"))
    accepts(node)
    world.settle(3)
    assert (price(node), nothing_waits(node)) == ("4.5", True)
    assert "in force" in dropped(node, id)
    drop_approval(node.office, signed(ALICE, before.about, node.clock.now()), node.clock.now())
    world.settle(5)
    assert node.the().engagement.tabled is None


def test_the_same_change_in_two_contracts_is_two_questions(worlds: Worlds) -> None:
    """HIRE-APR-02: what is approved for one contract changes no other."""
    world = worlds(hirer=ASKS)
    first, second = working(world), working(world)
    node = world.hirer
    same = node.the(first).offered().terms
    for id in (first, second):
        conversation = node.the(id)
        with pytest.raises(ScopeError):
            world.run(node.changes.amend(conversation, lambda _: replace(same, price=SIX)), 1)
    one, other = all_waits(node)
    assert one.about.terms == other.about.terms
    assert one.about.change != other.about.change
    for about in (one.about, replace(one.about, engagement=second)):
        drop_approval(node.office, signed(ALICE, about, node.clock.now()), node.clock.now())
    world.settle(5)
    assert world.provider.the(first).engagement.tabled is not None
    assert world.provider.the(second).engagement.tabled is None
    assert waits(node).about == other.about


@pytest.mark.parametrize("opens", [True, False])
def test_what_waits_holds_no_budget_and_is_a_no_without_it(worlds: Worlds, opens: bool) -> None:
    """HIRE-APR-05: another hire may spend it meanwhile; an approval makes no money."""
    budget = {"budget": (Limit("EUR", max="9"),)}
    world = worlds(hirer=ASKS, hirer_options=budget)
    id, node = working(world), world.hirer
    put(node, opens)
    other = world.begin()  # 4 more, and 1 is left
    world.until("working", other.id)
    says(node, ALICE)
    world.settle(5)
    if opens:
        assert "budget" in dropped(node, id) or "EUR" in dropped(node, id)
        assert world.provider.the(id).engagement.tabled is None
    else:
        assert withdrawn(world.provider, id) == "policy_denied"
    assert (price(node, id), nothing_waits(node)) == ("4", True)


@pytest.mark.parametrize(("most", "opens"), [("5.9", True), ("5.9", False), ("6", True), ("6", False)])
def test_people_are_not_asked_about_what_the_budget_does_not_carry(worlds: Worlds, most: str, opens: bool) -> None:
    """HIRE-CAP-01: 4 EUR are committed, and the change is to 6; it is no contract more."""
    world = worlds(hirer=ASKS, hirer_options={"budget": (Limit("EUR", max=most), Limit("count", max="1"))})
    id, node = working(world), world.hirer
    if not opens:
        amends(world.provider)
    work = amends if opens else accepts
    if most == "6":
        asks(work, node)
        assert waits(node).about.engagement == id
    else:
        why = "a change to 6 EUR, by our own budget: EUR: 4 used and held; 2 more is above the limit of 5.9"
        with pytest.raises(PolicyError, match=why):
            work(node)
        assert nothing_waits(node)
    assert dict(world.run(node.kept.usage("budget"))) == {"EUR": "4", "count": "1"}


def test_the_end_of_the_contract_ends_the_question(worlds: Worlds) -> None:
    world = worlds(hirer=ASKS)
    id, node = working(world), world.hirer
    asks(amends, node)
    about = waits(node).about
    world.run(node.changes.revoke(node.the()), 1)
    world.settle(10)
    assert node.kept.summary_of(id).state in ("closing", "closed")  # type: ignore[union-attr]
    assert nothing_waits(node)
    drop_approval(node.office, signed(ALICE, about, node.clock.now()), node.clock.now())
    world.settle(10)
    if id in node.conversations:
        with pytest.raises(LocalProtocolError):
            amends(node)


@BOTH
def test_who_may_rule_and_for_what_fee_is_judged_in_an_amendment(worlds: Worlds, who: str) -> None:
    """HIRE-POL-09: for the price of before nobody signs a million for its end, nor the other side's own arbiter."""
    world = worlds(**{who: 'currency = "EUR"\nmax_price = "10"\narbiters = ["did:web:judge.example"]'})
    working(world)
    node = world.nodes[OF[who]]
    other = world.other(node)

    def offered(change: Callable[[Terms], Terms]) -> None:
        world.run(other.changes.amend(other.the(), change), 1)
        world.settle()

    def fee(amount: str) -> Callable[[Terms], Terms]:
        ending = {"convenience": "fee", "fee": Price(amount=amount, currency="EUR")}
        return lambda terms: replace(terms, termination=replace(terms.termination, **ending))

    def by(arbiter: str) -> Callable[[Terms], Terms]:
        return lambda terms: replace(terms, arbiter=arbiter)

    stranger = "did:web:stranger.example"
    for change in (fee("1000000"), by(stranger), by(other.office.organisation.did)):
        offered(change)
        with refuses(PolicyError, "policy_denied"):
            accepts(node)
        world.run(node.changes.decline(node.the()), 1)
        world.settle()
    for change in (fee("10"), by("did:web:judge.example")):
        offered(change)
        accepts(node)
    terms = other.the().offered().terms
    assert (terms.arbiter, terms.termination.convenience) == ("did:web:judge.example", "fee")


@BOTH
def test_no_amendment_is_agreed_to_by_whose_method_nobody_here_settles(worlds: Worlds, who: str) -> None:
    """HIRE-PAY-02: under a contract too, whoever offers it."""
    world = worlds()
    working(world)
    node = world.nodes[OF[who]]
    other = world.other(node)

    def barter(terms: Terms) -> Terms:
        return replace(terms, settlement=Settlement(method="barter"))

    with refuses(PolicyError, "policy_denied"):
        world.run(node.changes.amend(node.the(), barter), 1)
    other.settlements.methods["barter"] = None
    world.run(other.changes.amend(other.the(), barter), 1)
    world.settle()
    with refuses(PolicyError, "policy_denied"):
        accepts(node)
    node.settlements.methods["barter"] = None
    accepts(node)
    assert node.the().offered().terms.settlement.method == "barter"


def test_no_amendment_of_a_provider_makes_its_organisation_the_judge_of_its_work(worlds: Worlds) -> None:
    """HIRE-POL-09: neither where somebody accepts it, nor where a program does; who hires may offer it."""
    world = worlds()
    working(world)
    hirer, provider = world.nodes
    judge = provider.office.organisation.did

    def judged(terms: Terms) -> Terms:
        return replace(terms, evidence=replace(terms.evidence, verifier=judge))

    world.run(provider.changes.amend(provider.the(), judged), 1)
    world.settle()
    with refuses(PolicyError, "policy_denied"):
        accepts(hirer)

    async def consents(_: Conversation, __: Document) -> bool:
        return True

    hirer.changes.consents = consents
    world.run(provider.changes.decline(provider.the()), 1)
    world.run(provider.changes.amend(provider.the(), judged), 1)
    world.settle(5)
    assert hirer.the().engagement.lane == "idle"
    assert hirer.the().offered().terms.evidence.verifier is None
    world.run(hirer.changes.amend(hirer.the(), judged), 1)
    world.settle()
    accepts(provider)
    assert hirer.the().offered().terms.evidence.verifier == judge
    amends(provider)  # which leaves it as both have it
    world.settle(5)
    assert hirer.the().offered().terms.price == SIX


@BOTH
@pytest.mark.parametrize("amended", [False, True])
def test_what_people_approved_needs_no_word_of_theirs_for_a_credential_issued_anew(
    worlds: Worlds, who: str, amended: bool
) -> None:
    """HIRE-REN-01: they were asked about the terms, and those are the same. Nobody approved them for two to decide."""
    table = ASKS if amended else ASKS.replace('ask_above = "5"', 'ask_above = "3"')
    world = worlds(**{who: table})
    hire, node = world.begin(), world.nodes[OF[who]]
    other = world.other(node)
    if not amended:
        says(node, ALICE)
    world.until("working", hire.id)
    if amended:
        amends(other)
        asks(accepts, node)
        says(node, ALICE)
        world.settle(10)
        assert price(node, hire.id) == "6"

    def taken() -> tuple[Credential, ...]:
        """What counts of the other side, once it has shown what its organisation issued anew."""
        world.clock.ahead += 600
        world.run(issue_membership(other.office, clock=world.clock), 1)
        world.run(world.hirer.renewals.ask(world.hirer.the(hire.id), last=True), 5)
        world.settle(20)
        return node.meeting.relied(node.the(hire.id), other.the(hire.id).engagement.role)

    policy, before = node.meeting.policy, node.meeting.relied(node.the(hire.id), other.the(hire.id).engagement.role)
    node.meeting.policy = replace(policy, two_above="3")
    assert taken() == before
    node.meeting.policy = policy
    assert taken() != before


@pytest.mark.parametrize("word", ["no", 1, 0, "", ValueError("no database")])
def test_what_is_no_answer_leaves_a_change_on_the_table(worlds: Worlds, word: object) -> None:
    """What the program meant nobody knows: nothing is signed for it and nothing withdrawn, and its operator is told."""
    world = worlds()
    working(world)

    async def says_so(*_: object) -> Any:
        if isinstance(word, Exception):
            raise word
        return word

    world.provider.changes.consents = says_so
    with capture_logs() as logged:
        amends(world.hirer)
        world.settle(100)
    assert world.hirer.the().engagement.lane == "offered-by-hirer"
    (error,) = [one for one in logged if one["log_level"] == "error"]
    told = f"TypeError: consents: expected True, False or None; got {word!r}"
    assert error["error"] == (told if not isinstance(word, Exception) else "ValueError: no database")
    accepts(world.provider)
    assert price(world.hirer) == "6"


def test_an_order_that_took_a_draft_back_takes_nothing_else_when_it_is_carried_out_again(worlds: Worlds) -> None:
    """HIRE-LIF-13: its process was killed before it answered, and what is on the table since nobody has seen."""
    world = worlds(hirer=ASKS)
    id, node = working(world), world.hirer
    asks(amends, node)
    order = node.changes.noting("order:1")
    world.run(order.decline(node.the()), 1)
    assert dropped(node, id) == "it was taken back"
    amends(world.provider)
    world.run(order.decline(node.the()), 1)
    world.settle()
    assert node.the().engagement.lane == "offered-by-provider"
    world.run(node.changes.noting("order:2").decline(node.the()), 1)
    world.settle()
    assert node.the().engagement.lane == "idle"


@BOTH
def test_what_is_on_the_table_is_declined_before_a_draft_is_taken_back(worlds: Worlds, who: str) -> None:
    """Who declines means what both see."""
    world = worlds(**{who: ASKS})
    id, node = working(world), world.nodes[OF[who]]
    asks(amends, node)
    amends(world.other(node), replace(SIX, amount="4.5"))
    world.run(node.changes.decline(node.the()), 1)
    world.settle()
    assert withdrawn(node, id) == "declined"
    assert len(all_waits(node)) == 1
    world.run(node.changes.decline(node.the()), 1)
    assert dropped(node, id) == "it was taken back"


# --- restarts


@BOTH
@pytest.mark.parametrize("opens", [True, False])
@pytest.mark.parametrize("given", ["before", "meanwhile"])
def test_a_restart_goes_on_with_a_change_that_waits(worlds: Worlds, who: str, opens: bool, given: str) -> None:
    """HIRE-APR-06: one approval is noted before the process ends, the other comes before it or while nothing runs."""
    world = worlds(**{who: TWO})
    id, node = working(world), world.nodes[OF[who]]
    other = world.other(node)
    put(node, opens)
    asked = waits(node).about
    says(node, ALICE)
    world.settle(3)
    if given == "before":
        node.kept.dead = True
    says(node, BOB)
    node = world.restart(node)
    world.reconnect()
    world.settle(5)
    if opens:
        accepts(other)
    world.settle(5)
    assert [price(one) for one in world.nodes] == ["6", "6"]
    name = "change-drafted" if opens else "change-asked"
    assert [one["name"] for one in noted(node, id, name)] == [asked.change]


@pytest.mark.parametrize("opens", [True, False])
@pytest.mark.parametrize("dies", ["before", "after"])
@pytest.mark.parametrize("commit", [1, 2])
def test_a_crash_while_an_approval_is_noted_or_used_loses_nothing(
    worlds: Worlds, opens: bool, dies: str, commit: int
) -> None:
    """HIRE-APR-06: the process ends at the very commit, and nothing is offered or signed twice."""
    world = worlds(hirer=ASKS)
    id, node, other = working(world), world.hirer, world.provider
    put(node, opens)
    says(node, ALICE)
    _dies_at(node, commit, dies)
    world.settle(5)
    node = world.restart(node)
    world.reconnect()
    world.settle(5)
    if opens:
        accepts(other)
    world.settle(5)
    assert [price(one) for one in world.nodes] == ["6", "6"]
    sent = [row.type for row in node.kept.journal(id) if row.kind == "sent" and row.sequence is not None]
    assert sent.count("Offer") == (2 if opens else 1)
    assert sent.count("Acceptance") == (0 if opens else 1)


def _dies_at(node: Node, commit: int, dies: str) -> None:
    """The process ends at that commit from now on, if there are so many."""
    store, before = node.kept, node.kept.commit
    left = [commit]

    async def commits(one: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            store.dies = dies
        return await before(one)

    store.commit = commits  # type: ignore[method-assign]
