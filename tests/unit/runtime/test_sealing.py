"""What waits for a seal, for as long as it may, and what ends that."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from runtimes import Node, World, folded, last, messages, moves
from support import refuses
from undersigned.contract import countersigned
from undersigned.encoding import Digest, EngagementId, digest_bytes, from_struct, seconds_between, shift
from undersigned.errors import ConfigurationError, CredentialError, LocalProtocolError, UndersignedError
from undersigned.ledger import Draw, Reservation
from undersigned.messages import Acceptance, LedgerPlace, Offer, Seal, Withdraw, recorded_message
from undersigned.runtime import Say
from undersigned.runtime.execution.work import contracts_to_deliver
from undersigned.testing import Say as Move
from undersigned.testing import acceptance, closing, review, seal, terminate, withdraw
from undersigned.transparency import contract_leaf, leaf_digest
from unit.runtime.stories import Open, forge, story

GRACE_SECONDS = 500
"""Longer than an offer holds, and its grace together."""


def test_who_repeats_its_acceptance_does_not_have_us_look_up_more_often(open_world: Open) -> None:
    """The pauses are counted from the first attempt, and not from what the other side says."""
    world = open_world(held=True)
    name = world.begun("accepted-by-hirer", world.hirer, opening="3 EUR")
    asked = looked_up(world, world.provider, 1e9)
    world.deliver_all()
    raw = next(row.raw for row in moves(world.hirer, name) if row.type == "Acceptance")
    for _ in range(310):
        world.deliver(raw, world.hirer.did, world.provider.did)
        world.settle(1)
    assert last(world.provider, name, Withdraw).reason == "status_unavailable"
    assert 8 <= len(asked) <= 12, asked


def test_a_seal_that_waits_over_a_restart_is_asked_for_soon(open_world: Open) -> None:
    """However long ago the acceptance came: whoever starts anew begins with short pauses."""
    world = open_world(held=True)
    name = world.begun("accepted-by-hirer", world.hirer, opening="3 EUR")
    looked_up(world, world.provider, 1e9)
    world.deliver_all()
    world.settle(130)
    world.run(world.provider.close(), 1)
    offer = folded(world.provider, name).offer
    assert offer is not None
    world.settle(seconds_between(world.clock.now(), offer.valid_until) - 45)
    asked = looked_up(world, world.restart(world.provider), 3)
    world.settle(10)
    assert "Seal" in story(world.provider, name)
    assert len(asked) <= 3, asked


def test_what_failed_before_and_was_mended_lengthens_no_pause(open_world: Open) -> None:
    """Each begins with short pauses anew."""
    world = open_world(held=True)
    name = world.begun("accepted-by-hirer", world.hirer, opening="3 EUR")
    asked = looked_up(world, world.provider, 40)
    world.deliver_all()
    world.settle(70)
    assert "Seal" in story(world.provider, name)
    assert len(asked) > 3
    identity, tried = world.provider.identity, list[float]()

    async def locked(raw: bytes) -> bytes:
        tried.append(world.loop.time())
        if len(tried) < 3:
            raise UndersignedError("internal", "the key is locked")
        return await identity.sign(raw)

    world.provider.shell.identity = replace(identity, sign=locked)
    world.until("closed", name)
    assert tried[1] - tried[0] < 5, tried


def test_the_last_look_before_a_seal_leaves_it_its_time(open_world: Open) -> None:
    """HIRE-NEG-14: what comes back only then is seen, and the seal is said before what is held for it is free."""
    world = open_world(held=True)
    name = world.begun("accepted-by-hirer", world.hirer, opening="3 EUR")
    offer = folded(world.provider, name).offer
    assert offer is not None
    left = seconds_between(world.clock.now(), offer.valid_until)
    asked = looked_up(world, world.provider, left - 12)
    world.deliver_all()
    world.settle(left + 5)
    (seal,) = [row for row in moves(world.provider, name) if row.type == "Seal"]
    assert seal.at < offer.valid_until
    assert any(left - 12 <= at <= left - 9 for at in asked), asked


def unsure(node: Node) -> None:
    """From now on what speaks for the other side cannot be looked up."""
    beliefs = node.meeting.beliefs
    settled = beliefs.settled

    async def unsettled(asked: Any, *, max_age_seconds: float) -> Any:
        found = await settled(asked, max_age_seconds=max_age_seconds)
        return found._replace(answers=replace(found.answers, authority=()), away=True)

    beliefs.settled = unsettled  # type: ignore[method-assign]


@pytest.mark.parametrize("away", [False, True])
def test_what_is_revoked_ends_though_something_else_is_away(away: bool, open_world: Open) -> None:
    """HIRE-STA-09: whoever keeps one accreditor's list down keeps nobody's contract alive."""
    world = open_world(held=True)
    name = world.begun("working", world.hirer, opening="3 EUR")
    meeting = world.hirer.meeting

    async def lists(credentials: Any, **_: Any) -> Any:
        raise CredentialError("revoked", "by its issuer", credential=credentials[0].digest)

    if away:
        unsure(world.hirer)
        with refuses(CredentialError, "status_unavailable"):
            world.run(meeting.stands(world.hirer.the(name)), 5)
    world.hirer.statuses.lists = lists  # type: ignore[method-assign]
    with refuses(CredentialError, "revoked"):
        world.run(meeting.stands(world.hirer.the(name)), 5)


@pytest.mark.parametrize("refused", [False, True])
def test_a_no_that_stays_one_is_said_at_once(refused: bool, open_world: Open) -> None:
    """HIRE-NEG-16: whatever is away beside it; what may turn is waited for."""
    world = open_world(held=True)
    name = world.begun("accepted-by-hirer", world.hirer, opening="3 EUR")
    meeting = world.provider.meeting
    unsure(world.provider)
    if refused:
        meeting.policy = replace(meeting.policy, currency="EUR", min_price="99")
    world.deliver_all()
    world.settle(5)
    assert ("Withdraw" in story(world.provider, name)) == refused
    if refused:
        assert last(world.provider, name, Withdraw).reason == "revoked"


def test_what_is_not_shown_is_not_waited_for_where_nothing_is_away(open_world: Open) -> None:
    """HIRE-NEG-16: a registry that could not be asked may have more to say; one that was asked has said all."""
    world = open_world(held=True)
    name = world.begun("accepted-by-hirer", world.hirer, opening="3 EUR")
    meeting = world.provider.meeting
    meeting.policy = replace(meeting.policy, require=("EndorsementCredential",))
    world.deliver_all()
    world.settle(5)
    assert last(world.provider, name, Withdraw).reason == "revoked"


def test_nobody_is_called_revoked_for_a_defect_of_ours(open_world: Open) -> None:
    """HIRE-NEG-16: a token for a registry that cannot be read says nothing of whoever accepted."""
    world = open_world(held=True)
    name = world.begun("accepted-by-hirer", world.hirer, opening="3 EUR")

    async def consult(_: Any) -> bool:
        raise ConfigurationError("key_unavailable", "the token of the registry cannot be read")

    beliefs = world.provider.meeting.beliefs
    beliefs.asks_registries, beliefs.consult = True, consult  # type: ignore[method-assign]
    world.deliver_all()
    world.settle(5)
    assert last(world.provider, name, Withdraw).reason == "status_unavailable"


@pytest.mark.parametrize("members", [{"leaf": digest_bytes(b"another")}, {"log": "did:web:elsewhere.example"}])
def test_a_seal_that_states_a_false_place_is_refused(members: dict[str, Any], open_world: Open) -> None:
    """HIRE-LOG-02: it would make a contract whose evidence does not hold; the true one is taken afterwards."""
    world = open_world(held=True)
    name = world.begun("accepted-by-provider", world.provider, opening="5 EUR")
    said = last(world.provider, name, Acceptance)
    document = countersigned(from_struct(last(world.provider, name, Offer).document), said.contract_proof)
    place = {"log": world.hirer.did, "index": 0, "leaf": leaf_digest(contract_leaf(document))}
    raw = forge(world, world.provider, name, seal(ledger=LedgerPlace(**place | members)))
    count = len(world.network.sent)
    world.tell(raw, world.hirer.did, world.provider)
    held = folded(world.provider, name)
    assert held.in_doubt
    assert held.contract is None
    told = [recorded_message(one.raw).message for one in world.network.sent[count:]]
    assert [(one.type, one.of, one.code) for one in told if one.type == "Problem"] == [  # type: ignore[attr-defined]
        ("Problem", recorded_message(raw).digest, "log_proof_invalid")
    ]
    world.until("closed", name)


@pytest.mark.parametrize("move", [seal(), review(), closing(), terminate(), withdraw("declined")], ids=lambda m: m.type)
def test_sc_52_in_doubt_only_the_answer_is_taken(move: Move, open_world: Open) -> None:
    """HIRE-NEG-12 to HIRE-NEG-16: the acceptor waits durably, says nothing else, and no other move lets it go."""
    world = open_world(held=True)
    name = world.begun("accepted-by-provider", world.provider, opening="5 EUR")
    if move.type == "Seal":
        move = seal(acceptance=digest_bytes(b"another"))
    raw = forge(world, world.provider, name, move)
    world.tell(raw, world.hirer.did, world.provider)
    held = folded(world.provider, name)
    assert held.in_doubt
    assert held.contract is None
    (row,) = [one for one in world.provider.status() if one["engagement"] == name]
    assert row["inDoubt"]
    assert row["owes"] == ["hirer"]


def test_nobody_in_doubt_is_let_go_by_time(open_world: Open) -> None:
    """HIRE-NEG-13: no time-out ends it; it asks, and the operator can see it."""
    world = open_world(held=True)
    name = world.begun("accepted-by-provider", world.provider, opening="5 EUR")
    count = len(world.network.sent)
    for _ in range(24):
        world.settle(3600)
    assert folded(world.provider, name).in_doubt
    mine = [recorded_message(p.raw).message for p in world.network.sent[count:] if p.sender == world.provider.did]
    assert {m.type for m in mine} <= {"Acceptance", "Receipt"}
    with pytest.raises(LocalProtocolError):
        world.run(world.provider.the(name).ask(lambda _: Say("Withdraw", {"reason": "changed"})), 5)


def looked_up(
    world: World,
    node: Node,
    away_seconds: float,
    then: UndersignedError | None = None,
    code: str = "status_unavailable",
) -> list[float]:
    """From the acceptance on nothing that `node` has to look up can be had, for so long; then it can, or `then` is what
    it says. When it was asked for, in seconds. `code` is that of what cannot be had.
    """
    lists, since, asked = node.statuses.lists, world.loop.time(), list[float]()

    async def away(credentials: Any, *, max_age_seconds: float) -> Any:
        asked.append(world.loop.time() - since)
        if asked[-1] < away_seconds:
            raise UndersignedError(code, "it was not had")
        if then is not None:
            raise then
        return await lists(credentials, max_age_seconds=max_age_seconds)

    node.statuses.lists = away  # type: ignore[method-assign]
    return asked


@pytest.mark.parametrize("away_seconds", [1, 1e9])
def test_what_cannot_be_looked_up_before_a_yes_is_asked_for_once_more(away_seconds: float, open_world: Open) -> None:
    """Who starts anew, and serves its status list itself, is back by then; nobody is kept waiting for longer."""
    world = open_world(held=True)
    name = world.begun("offered-by-hirer", world.hirer, opening="3 EUR")
    asked = looked_up(world, world.provider, away_seconds)
    world.deliver_all()
    world.settle(10)
    assert (story(world.provider, name)[-1], len(asked)) == ("Offer" if away_seconds < 2 else "Withdraw", 2)


@pytest.mark.parametrize("side", [0, 1], ids=["hirer", "provider"])
@pytest.mark.parametrize("rests", [False, True], ids=["awake", "restarted"])
def test_a_seal_waits_for_what_cannot_be_looked_up_for_a_moment(rests: bool, side: int, open_world: Open) -> None:
    """HIRE-NEG-04, HIRE-NEG-14: nothing is signed meanwhile, and the hire goes on by itself once it can be."""
    world = open_world(held=True)
    state, opening = ("accepted-by-provider", "5 EUR") if side == 0 else ("accepted-by-hirer", "3 EUR")
    name = world.begun(state, world.nodes[1 - side], opening=opening)
    asked = looked_up(world, world.nodes[side], 40)
    world.deliver_all()
    world.settle(20)
    assert folded(world.nodes[side], name).state.startswith("accepted-by-")
    assert 3 <= len(asked) <= 6
    if rests:
        world.restart(world.nodes[side])
        asked = looked_up(world, world.nodes[side], 20)
    world.deliver_all()
    assert "Seal" not in story(world.nodes[side], name)
    world.settle(60)
    assert "Seal" in story(world.nodes[side], name)
    world.until("closed", name)


@pytest.mark.parametrize("code", ["status_unavailable", "registry_unavailable", "unreachable"])
@pytest.mark.parametrize("side", [0, 1], ids=["hirer", "provider"])
def test_a_seal_is_given_up_before_the_offer_ends(side: int, code: str, open_world: Open) -> None:
    """HIRE-NEG-16: whoever accepted is told in the time for which it holds what it promised; and once it can be looked
    up and is a no, at once."""
    for away, reason in ((1e9, "status_unavailable"), (30, "revoked")):
        world = open_world(held=True)
        state, opening = ("accepted-by-provider", "5 EUR") if side == 0 else ("accepted-by-hirer", "3 EUR")
        name = world.begun(state, world.nodes[1 - side], opening=opening)
        node, no = world.nodes[side], CredentialError("revoked", "withdrawn")
        asked = looked_up(world, node, away, no, code)
        world.deliver_all()
        world.settle(GRACE_SECONDS)
        held = folded(node, name)
        assert held.offer is not None
        (said,) = [row for row in moves(node, name) if row.type == "Withdraw"]
        assert last(node, name, Withdraw).reason == reason
        assert said.at <= held.offer.valid_until
        assert len(asked) < 20, "who has to say it is not asked all the time"
        world.until("withdrawn", name)


def test_work_is_owed_with_a_key_from_the_acceptance_on(open_world: Open) -> None:
    """HIRE-ATT-02: who accepted is bound before the seal is here, and the delivery takes the key that is named."""
    world = open_world(held=True)
    provider = world.provider
    name = world.begin(opening="5 EUR").id
    key = provider.identity.method

    def owed_with(method: str) -> tuple[Digest, ...]:
        return world.run(contracts_to_deliver(provider.kept, provider.did, method), 5)

    world.until("ready", name, provider)
    assert owed_with(key) == ()
    world.until("accepted-by-provider", name, provider)
    offer = folded(provider, name).offer
    assert offer is not None
    assert owed_with(key) == (offer.document,)
    assert owed_with(f"{key}-2") == ()
    world.until("closed", name)
    contract = folded(provider, name).contract
    assert contract is not None
    assert contract.digest == offer.document
    assert owed_with(key) == ()


@pytest.mark.parametrize("taken", [False, True], ids=["free", "taken"])
def test_a_seal_after_the_grace_makes_the_contract(taken: bool, open_world: Open) -> None:
    """HIRE-NEG-13: what the acceptor held of its capacity has lapsed by then, and may be another's; it is bound."""
    world = open_world(held=True, capacity=1)
    name = world.begun("working", world.hirer, opening="5 EUR")
    world.settle(GRACE_SECONDS)
    assert folded(world.provider, name).in_doubt
    if taken:
        other = Reservation(
            "capacity:summary", "other", (Draw("summary", "1", "1"),), shift(world.clock.now(), 3600), world.clock.now()
        )
        world.run(world.provider.kept.reserve(replace(other, kind="capacity")))
    world.until("closed", name)
    assert last(world.provider, name, Seal) == last(world.hirer, name, Seal)
    assert "Start" in story(world.provider, name)
    # Held for the contract, and given back with its end.
    assert world.run(world.provider.kept.usage("capacity:summary")) == {"summary": "1" if taken else "0"}


def test_a_promise_outlives_a_change_of_the_capacity(open_world: Open) -> None:
    """A service that is configured for less after a restart keeps what it promised before."""
    world = open_world(held=True, capacity=2)
    name = world.begun("working", world.hirer, opening="5 EUR")
    world.service["capacity"] = 1
    world.restart(world.provider)
    world.reconnect()
    world.until("sealed", name, world.provider)
    assert world.run(world.provider.kept.usage("capacity:summary")) == {"summary": "1"}


def seen_acceptances(node: Node, name: EngagementId) -> set[Digest]:
    return {m.digest for m in messages(node, name) if isinstance(m.message, Acceptance)}


def test_one_acceptance_is_all_there_can_be(open_world: Open) -> None:
    """SC-48: the same again changes nothing, another is refused."""
    world = open_world(held=True)
    name = world.begun("working", world.hirer, opening="5 EUR")
    raw = forge(world, world.hirer, name, acceptance())
    before = seen_acceptances(world.hirer, name)
    world.tell(raw, world.provider.did, world.hirer)
    assert seen_acceptances(world.hirer, name) == before
    world.until("closed", name)
