"""Terms that wait for people, in two whole runtimes: who is told what, how it ends, what a restart does."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from approving import ALICE, ASKS, BOB, LONG, TABLE, TWO, put_down, says, signed, told, waits
from runtimes import Node, World, facts, last, lingers, messages, moves, offices, worlds_in
from undersigned.contract import Price, same_terms
from undersigned.encoding import Instant, shift
from undersigned.errors import ConfigurationError, CredentialError
from undersigned.ledger import Draw, Reservation
from undersigned.messages import Offer, Withdraw
from undersigned.runtime import Home, load_approvers, waiting_terms
from undersigned.runtime.negotiation.beliefs import Beliefs
from undersigned.runtime.negotiation.meeting import Meeting
from undersigned.scope import Limit
from undersigned.trust import IssuerAuthority, terms_digest

Worlds = Callable[..., World]
OF = {"hirer": 0, "provider": 1}


@pytest.fixture
def worlds(tmp_path: Path) -> Iterator[Worlds]:
    with worlds_in(tmp_path) as make:
        yield make


def ended(world: World, engagement: str) -> tuple[str, str]:
    """The state that both sides have stored."""
    found = [node.kept.summary_of(engagement) for node in world.nodes]
    return tuple(summary.state if summary else "" for summary in found)  # type: ignore[return-value]


def asked(node: Node, engagement: str) -> int:
    return [name for name, _ in facts(node, engagement)].count("approval-asked")


@pytest.mark.parametrize("who", ["hirer", "provider"])
def test_a_side_says_that_a_person_is_waited_for_and_goes_on_with_the_yes(worlds: Worlds, who: str) -> None:
    """HIRE-APR-01, HIRE-APR-07: nothing is signed meanwhile; what is signed then is what the person saw."""
    world = worlds(**{who: ASKS})
    hire = world.begin()
    node = world.nodes[OF[who]]
    waiting = waits(node)
    assert [(one.for_, one.until) for one in told(world.other(node))] == [("person", waiting.asked.until)]
    signing = "Offer" if who == "hirer" else "Acceptance"
    world.settle(120)
    assert signing not in node.said()
    assert (waiting.standing.state, waiting.standing.needed) == ("waits", 1)
    says(node, ALICE)
    world.settle(LONG)
    assert ended(world, hire.id) == ("closed", "closed")
    assert terms_digest(last(node, hire.id, Offer).document.terms) == waiting.about.terms
    assert asked(node, hire.id) == 1
    kept = world.run(node.kept.evidence(hire.id))
    assert [blob.name for blob in kept if blob.kind == "approval"] == ["approve"]


def test_above_the_amount_two_people_are_needed(worlds: Worlds) -> None:
    """HIRE-APR-01."""
    world = worlds(provider=TWO)
    hire = world.begin()
    says(world.provider, ALICE)
    world.settle(60)
    assert waits(world.provider).standing.approved == ("alice",)
    assert "Acceptance" not in world.provider.said()
    says(world.provider, BOB)
    world.settle(LONG)
    assert ended(world, hire.id) == ("closed", "closed")


def test_a_price_below_the_amounts_is_put_to_nobody(worlds: Worlds) -> None:
    world = worlds(provider=TWO, price="3 EUR")
    hire = world.begin()
    world.settle(LONG)
    assert (ended(world, hire.id), told(world.hirer)) == (("closed", "closed"), [])


@pytest.mark.parametrize("who", ["hirer", "provider"])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_list_that_is_away_for_a_while_ends_nothing_that_people_are_asked_about(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch, who: str, restarted: bool
) -> None:
    """HIRE-APR-05, HIRE-APR-06: nor does a restart meanwhile; they are asked once, and what they say counts."""
    world = worlds(**{who: ASKS})
    hire = world.begin()
    node = world.nodes[OF[who]]
    about = waits(node).about

    async def away(*_: Any, **__: Any) -> Any:
        raise CredentialError("status_unavailable", "the list is away")

    with monkeypatch.context() as patch:
        for name in ("evaluate", "recheck"):
            patch.setattr(Meeting, name, away)
        if restarted:
            node = world.restart(node)
            world.reconnect()
            world.settle(20)
        says(node, ALICE, about=about)
        world.settle(20)
        assert not {"withdrawn"} & set(ended(world, hire.id))
    world.settle(LONG)
    assert ended(world, hire.id) == ("closed", "closed")
    assert asked(node, hire.id) == 1


@pytest.mark.parametrize("who", ["hirer", "provider"])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_registry_that_is_away_for_a_while_ends_nothing_that_people_are_asked_about(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch, who: str, restarted: bool
) -> None:
    """HIRE-APR-05, HIRE-REG-04: that nobody says who may issue what was shown is a no, and no last one."""
    world = worlds(**{who: ASKS})
    hire = world.begin()
    node = world.nodes[OF[who]]
    about = waits(node).about
    knows = Beliefs._answer

    async def away(*_: object) -> bool:
        return True

    def nobody(*given: Any, **how: Any) -> Any:
        found = knows(*given, **how)
        return replace(found, verdict="no", paths=()) if isinstance(found, IssuerAuthority) else found

    with monkeypatch.context() as patch:
        patch.setattr(Beliefs, "consult", away)
        patch.setattr(Beliefs, "_answer", nobody)
        node.meeting.beliefs.asks_registries = True
        if restarted:
            node = world.restart(node)
            node.meeting.beliefs.asks_registries = True
            world.reconnect()
            world.settle(20)
        says(node, ALICE, about=about)
        world.settle(20)
        assert not {"withdrawn"} & set(ended(world, hire.id))
    node.meeting.beliefs._forget()  # as when a registry answers something new
    world.settle(LONG)
    assert ended(world, hire.id) == ("closed", "closed")
    assert asked(node, hire.id) == 1


@pytest.mark.parametrize("who", ["hirer", "provider"])
def test_a_refusal_ends_it_on_both_sides(worlds: Worlds, who: str) -> None:
    """HIRE-APR-04: the other side hears that policy says no, and nothing about people."""
    world = worlds(**{who: TWO})
    hire = world.begin()
    node = world.nodes[OF[who]]
    says(node, ALICE)
    with capture_logs() as logged:
        says(node, BOB, "refuse")
        world.settle(5)
    assert ended(world, hire.id) == ("withdrawn", "withdrawn")
    assert last(world.other(node), hire.id, Withdraw).reason == "policy_denied"
    assert [one for one in logged if one["log_level"] != "info"] == [], "as if something were wrong with the peer"


@pytest.mark.parametrize("given", ["2999-12-31T23:59:59Z", "2001-01-01T00:00:00Z"])
def test_when_a_person_says_to_have_refused_is_no_time_of_ours(worlds: Worlds, given: str) -> None:
    """HIRE-APR-04: no clock here runs back behind the last entry of a ledger, and a start would wait until then."""
    world = worlds(hirer=ASKS)
    hire = world.begin()
    node = world.hirer
    document = signed(ALICE, waits(node).about, node.clock.now(), "refuse", {"given": given})
    put_down(node.office, document, node.clock.now())
    world.settle(5)
    assert ended(world, hire.id) == ("withdrawn", "withdrawn")
    last_at = world.run(node.ledger.last_at())
    assert last_at is not None
    assert last_at <= node.clock.now()


@pytest.mark.parametrize("who", ["hirer", "provider"])
def test_what_nobody_decides_ends_on_both_sides(worlds: Worlds, who: str) -> None:
    """HIRE-APR-07."""
    world = worlds(**{who: ASKS})
    hire = world.begin()
    node = world.nodes[OF[who]]
    until: Instant = waits(node).asked.until
    world.settle(590)
    assert "withdrawn" not in ended(world, hire.id)
    world.settle(2 * LONG)
    assert ended(world, hire.id) == ("withdrawn", "withdrawn")
    # Both may give up in the same second: whose offer it is, because the time that it was asked for is over.
    reasons = {"decision_failed"} if who == "hirer" else {"decision_failed", "offer_expired"}
    assert last(world.other(node), hire.id, Withdraw).reason in reasons
    assert moves(node, hire.id)[-1].at > until


def test_an_offer_that_expires_meanwhile_is_answered_by_the_same_terms(worlds: Worlds) -> None:
    """HIRE-NEG-10, HIRE-APR-01: what came too late for an acceptance is our own offer; nobody is asked again."""
    world = worlds(provider=ASKS)
    hire = world.begin()
    world.settle(400)
    assert "withdrawn" not in ended(world, hire.id), "the offerer knows how long a person is waited for"
    says(world.provider, ALICE)
    world.settle(LONG)
    assert ended(world, hire.id) == ("closed", "closed")
    assert "Acceptance" not in world.provider.said()
    said = [one.message for one in messages(world.provider, hire.id)]
    theirs, ours = [one.document for one in said if isinstance(one, Offer)]
    assert (theirs.id, ours.id) == (f"{hire.id}:hirer:3", f"{hire.id}:provider:3")
    assert same_terms(ours.terms, theirs.terms)
    assert asked(world.provider, hire.id) == 1


def test_an_offer_that_expires_meanwhile_in_the_last_round_is_let_go(worlds: Worlds) -> None:
    """HIRE-NEG-10: there is no round left for an offer of our own."""
    world = worlds(provider=ASKS)
    hire = world.begin(replace(world.order(), rounds=1))
    world.settle(400)
    says(world.provider, ALICE)
    world.settle(LONG)
    assert ended(world, hire.id) == ("withdrawn", "withdrawn")
    assert last(world.provider, hire.id, Withdraw).reason == "offer_expired"
    assert not {"Acceptance", "Offer"} & set(world.provider.said())


@pytest.mark.parametrize("who", ["hirer", "provider"])
@pytest.mark.parametrize("given", ["before", "meanwhile"])
def test_a_restart_goes_on_with_what_waits(worlds: Worlds, who: str, given: str) -> None:
    """HIRE-APR-06: one approval is noted before the process ends, the other comes before it or while nothing runs."""
    world = worlds(**{who: TWO})
    hire = world.begin()
    node = world.nodes[OF[who]]
    waiting = waits(node)
    says(node, ALICE)
    world.settle(3)
    if given == "before":
        node.kept.dead = True
    says(node, BOB)
    node = world.restart(node)
    world.reconnect()
    world.settle(LONG)
    assert ended(world, hire.id) == ("closed", "closed")
    assert asked(node, hire.id) == 1
    assert terms_digest(last(node, hire.id, Offer).document.terms) == waiting.about.terms


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize(("who", "listed", "end"), [("hirer", "6 EUR", "withdrawn"), ("provider", "4 EUR", "closed")])
def test_a_counter_offer_of_ours_that_people_approved_is_the_one_that_is_made(
    worlds: Worlds, who: str, listed: str, end: str, restarted: bool
) -> None:
    """HIRE-APR-07: the hirer goes up to 5 EUR, which is not enough for the one and too much to be asked for nobody."""
    world = worlds(**{who: ASKS}, price=listed)
    hire = world.begin(opening="2 EUR")
    node = world.nodes[OF[who]]
    world.settle(20)
    waiting = waits(node)
    assert waiting.about.terms not in [terms_digest(one.document.terms) for one in offers_of(node, hire.id)]
    if restarted:
        node = world.restart(node)
        world.reconnect()
    says(node, ALICE)
    world.settle(LONG)
    assert ended(world, hire.id) == (end, end)
    assert waiting.about.terms in [terms_digest(one.document.terms) for one in offers_of(node, hire.id)]
    assert asked(node, hire.id) == 1


def offers_of(node: Node, engagement: str) -> list[Offer]:
    """Those that a side made."""
    said = [message.message for message in messages(node, engagement)]
    return [one for one in said if isinstance(one, Offer) and one.sender == node.did]


@pytest.mark.parametrize("dies", ["before", "after"])
def test_a_crash_while_an_approval_is_noted_loses_nothing(worlds: Worlds, dies: str) -> None:
    """HIRE-APR-06: the process ends at the very commit."""
    world = worlds(provider=ASKS)
    hire = world.begin()
    says(world.provider, ALICE)
    world.provider.kept.dies = dies
    world.settle(5)
    assert world.provider.kept.dead
    world.restart(world.provider)
    world.reconnect()
    world.settle(LONG)
    assert ended(world, hire.id) == ("closed", "closed")


def test_the_offerer_knows_after_a_restart_that_a_person_is_waited_for(worlds: Worlds) -> None:
    """HIRE-NEG-10."""
    world = worlds(provider=ASKS)
    hire = world.begin()
    world.restart(world.hirer)
    world.reconnect()
    world.settle(420)
    assert "withdrawn" not in ended(world, hire.id)
    says(world.provider, ALICE)
    world.settle(LONG)
    assert ended(world, hire.id) == ("closed", "closed")


@pytest.mark.parametrize(
    ("limit", "asks"), [("EUR 7", False), ("EUR 8", True), ("USD 9", False), ("count 1", False), ("count 2", True)]
)
def test_people_are_not_asked_for_what_could_not_be_paid(worlds: Worlds, limit: str, asks: bool) -> None:
    """HIRE-CAP-01: a first hire for 4 EUR lies within the budget; of a second they would be asked in vain."""
    unit, most = limit.split()
    world = worlds(hirer=ASKS, hirer_options={"budget": (Limit(unit, most),)}, handler=lingers)
    first = world.begin()
    if unit != "USD":
        says(world.hirer, ALICE)
        world.settle(60)
        assert ended(world, first.id) == ("working", "working")
    hire = world.begin() if unit != "USD" else first
    world.settle(5)
    assert asked(world.hirer, hire.id) == asks
    assert "withdrawn" not in ended(world, hire.id) if asks else ended(world, hire.id) == ("withdrawn", "withdrawn")
    if not asks:
        assert last(world.provider, hire.id, Withdraw).reason == "capacity"


def test_who_is_asked_has_the_time_whatever_is_spent_meanwhile(worlds: Worlds) -> None:
    """HIRE-APR-05: decided again, as after a restart, it waits on; the money is looked for at the yes."""
    world = worlds(hirer=ASKS, hirer_options={"budget": (Limit("EUR", "4"),)})
    hire, node = world.begin(), world.hirer
    about, engagement = waits(node).about, hire.engagement
    until, now = shift(node.clock.now(), 60), node.clock.now()
    world.run(node.kept.reserve(Reservation("budget", "another's", (Draw("EUR", "3", "4"),), until, now, "capacity")))
    assert world.run(node.bookings.budget.lacking(engagement, Price(amount="4", currency="EUR")))
    node = world.restart(node)
    world.reconnect()
    world.settle(20)
    assert "withdrawn" not in ended(world, hire.id)
    assert asked(node, hire.id) == 1
    world.settle(60)
    says(node, ALICE, about=about)
    world.settle(LONG)
    assert ended(world, hire.id) == ("closed", "closed")


def test_what_an_offer_took_that_never_left_is_there_for_the_next(worlds: Worlds) -> None:
    """HIRE-NEG-21: killed between the shared books and its own, a peer finds what it took for this negotiation."""
    world = worlds(hirer=ASKS, hirer_options={"budget": (Limit("EUR", "5"), Limit("count", "1"))})
    hire, node = world.begin(), world.hirer
    engagement, until, now = hire.engagement, shift(node.clock.now(), LONG), node.clock.now()
    budget = node.bookings.budget
    drawn = Draw("EUR", "3", "5"), Draw("count", "1")
    for id, lacking in ((node.bookings.pools.id(engagement, "uEi"), ""), ("another's", "EUR: 3 used and held; 4 more")):
        world.run(node.kept.reserve(Reservation("budget", id, drawn, until, now, "capacity")))
        found = world.run(budget.lacking(engagement, Price(amount="4", currency="EUR")))
        assert found.startswith(lacking), found
        assert bool(found) == bool(lacking)
        world.run(node.kept.release(id))
    for id, draws in ((node.bookings.pools.id(engagement, "uEi"), drawn), ("one more", drawn[1:])):
        world.run(node.kept.reserve(Reservation("budget", id, draws, until, now, "capacity")))
    found = world.run(budget.lacking(engagement, Price(amount="4", currency="EUR")))
    assert found == "count: 1 used and held; 1 more is above the limit of 1"


def test_what_a_provider_may_spend_is_not_about_what_it_is_paid(worlds: Worlds) -> None:
    """HIRE-CAP-01: one that hires as well has a budget."""
    world = worlds(provider=ASKS, provider_options={"budget": (Limit("EUR", "1"),)})
    hire = world.begin()
    world.settle(5)
    assert asked(world.provider, hire.id) == 1


def test_an_approval_changes_no_rule(worlds: Worlds) -> None:
    """HIRE-APR-05: the policy is asked again before the signature, and its no stands."""
    world = worlds(provider=ASKS)
    hire = world.begin()
    says(world.provider, ALICE)
    file = world.provider.office.path / "undersigned.toml"
    file.write_text(file.read_text().replace("ask_above", 'max_price = "3.9"\nask_above'))
    node = world.provider
    node.meeting.policy = Home(node.office.path).configuration.policy
    world.settle(LONG)
    assert ended(world, hire.id) == ("withdrawn", "withdrawn")
    assert last(world.hirer, hire.id, Withdraw).reason == "policy_denied"
    assert "Acceptance" not in node.said()


def test_an_acceptance_is_answered_though_people_would_have_to_be_asked(worlds: Worlds) -> None:
    """HIRE-APR-01, HIRE-NEG-16: whoever accepted is not kept in doubt; without a yes there is no seal."""
    world = worlds(hirer=f'currency = "EUR"\n{TABLE}', provider=ASKS)
    hire, node = world.begin(), world.hirer
    file = node.office.path / "undersigned.toml"
    file.write_text(file.read_text().replace("[approvers]", 'ask_above = "3"\n[approvers]'))
    node.meeting.policy = Home(node.office.path).configuration.policy
    says(world.provider, ALICE)
    world.settle(5)
    assert "Acceptance" in world.provider.said()
    assert "Seal" not in node.said()
    assert ended(world, hire.id) == ("withdrawn", "withdrawn")
    assert last(world.provider, hire.id, Withdraw).reason == "status_unavailable", "nobody is revoked"


def test_without_anybody_to_ask_the_answer_is_no(worlds: Worlds) -> None:
    """HIRE-APR-01: what cannot be approved does not wait."""
    asks = '@id("dear") @outcome("ask") forbid (principal, action == Action::"sign", resource);'
    world = worlds(provider=f"cedar = 'permit (principal, action, resource); {asks}'")
    hire = world.begin()
    world.settle(5)
    assert ended(world, hire.id) == ("withdrawn", "withdrawn")
    assert told(world.hirer) == []


def test_people_get_an_hour_if_our_own_policy_asks(worlds: Worlds) -> None:
    """HIRE-APR-07: the hour is all the time until both are bound, and a caller may say another one."""
    plain, asking = worlds(), worlds(hirer=ASKS)
    usual, longer, named = plain.order().timing, asking.order().timing, asking.order(decide_seconds=20).timing
    assert (longer.negotiation_seconds, named.negotiation_seconds) == (3600, 20)
    assert named.answer_seconds == named.offer_seconds == 20, "nothing before it ends later"
    for name in ("start_seconds", "finish_seconds", "until_seconds"):
        assert getattr(longer, name) - getattr(usual, name) == 3600, "work begins after it, with as much time as ever"
        assert getattr(named, name) - getattr(usual, name) == 20
    with pytest.raises(ConfigurationError):
        plain.order(decide_seconds=0)


@pytest.mark.parametrize("seconds", [120, 1200])
@pytest.mark.parametrize("who", ["hirer", "provider"])
def test_the_time_to_decide_is_one_total(worlds: Worlds, who: str, seconds: int) -> None:
    """HIRE-APR-07: from the inquiry on, people's time included; with one who never answers it is over then."""
    world = worlds(**{who: ASKS})
    begun = world.hirer.clock.now()
    hire = world.begin(decide_seconds=seconds)
    assert waits(world.nodes[OF[who]]).asked.until == shift(begun, seconds - 5), "what is signed then still arrives"
    world.settle(seconds - 10)
    assert "withdrawn" not in ended(world, hire.id)
    world.settle(10)
    assert ended(world, hire.id) == ("withdrawn", "withdrawn")


def test_who_is_bound_in_time_has_the_usual_time_to_work(worlds: Worlds) -> None:
    world = worlds(provider=ASKS)
    hire = world.begin(decide_seconds=1200)
    world.settle(1150)
    says(world.provider, ALICE)
    world.settle(LONG)
    assert ended(world, hire.id) == ("closed", "closed")


@pytest.mark.parametrize("whose", ["agent", "organisation"])
def test_a_key_of_the_folder_is_no_approvers(tmp_path: Path, whose: str) -> None:
    """HIRE-APR-03: what runs could approve to itself."""
    acme, _ = offices(tmp_path)
    did = acme.actor.did if whose == "agent" else acme.organisation.did
    file = acme.path / "undersigned.toml"
    file.write_text(f'{file.read_text()}[approvers]\ncarol = "{did}"\n')
    with pytest.raises(ConfigurationError) as caught:
        load_approvers(Home(acme.path))
    assert "carol" in caught.value.message


@pytest.mark.parametrize("lines", ["two_above = '3'\ncurrency = 'EUR'", "[approvers]\nalice = 'nobody'"])
def test_a_configuration_that_can_never_be_approved_is_refused(tmp_path: Path, lines: str) -> None:
    """HIRE-APR-01, HIRE-APR-03."""
    acme, _ = offices(tmp_path)
    file = acme.path / "undersigned.toml"
    file.write_text(f"{file.read_text()}{lines}\n")
    with pytest.raises(ConfigurationError) as caught:
        Home(acme.path)
    assert caught.value.code == "bad_configuration"


def test_what_lies_among_the_approvals_and_is_no_file_keeps_nobody_waiting(worlds: Worlds) -> None:
    """HIRE-APR-01: nobody writes into the pipe, and everything else goes on."""
    world = worlds(provider=ASKS)
    hire = world.begin()
    world.settle(10)
    waiting = waits(world.provider).about
    folder = world.provider.office.approvals / waiting.terms
    folder.mkdir(parents=True)
    os.mkfifo(folder / "0.json")
    (folder / "1.json").symlink_to("/dev/zero")
    world.settle(10)
    assert waits(world.provider).about == waiting
    says(world.provider, ALICE)
    world.settle(LONG)
    assert ended(world, hire.id) == ("closed", "closed")


def test_an_approval_that_could_not_be_read_counts_once_it_can(worlds: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-APR-01: whoever may read its file says neither its size nor when it was written."""
    world = worlds(provider=ASKS)
    hire = world.begin()
    world.settle(10)

    def not_ours(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    with monkeypatch.context() as patched, capture_logs() as logged:
        patched.setattr("undersigned.runtime.home.anchors.read_file", not_ours)
        says(world.provider, ALICE)
        world.settle(10)
    assert [entry["event"] for entry in logged if entry["log_level"] == "warning"] == ["an approval does not count"]
    world.settle(LONG)
    assert ended(world, hire.id) == ("closed", "closed")


def test_an_approval_is_of_one_negotiation_and_no_news_to_the_others(worlds: Worlds) -> None:
    """HIRE-APR-06: with the same terms, each waits for its own; that one came for another is nobody's mistake."""
    world = worlds(hirer=ASKS)
    node = world.hirer
    hires = [world.begin(), world.begin()]
    world.settle(10)
    found = {one.about.engagement: one for one in world.run(waiting_terms(node.kept, node.office, node.clock.now()))}
    first, second = (found[hire.id] for hire in hires)
    assert first.about.terms == second.about.terms
    with capture_logs() as logged:
        says(node, ALICE, about=first.about)
        world.settle(60)
    assert "does not count" not in str(logged)
    assert ended(world, first.about.engagement) == ("closed", "closed")
    assert waits(node).about == second.about
