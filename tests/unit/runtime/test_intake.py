"""Messages on their way in: how fresh the keys are that they are checked with."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from runtimes import Node, World, folded, last, messages, moves
from support import refuses
from undersigned.encoding import Did, Instant, decode_json, digest_bytes, shift
from undersigned.errors import ProofError
from undersigned.evidence import verify_pack
from undersigned.messages import Inquiry, Message, Offer, draft, recorded_message
from undersigned.runtime import Conversation, export_pack
from undersigned.runtime.fetching.gather import Known
from undersigned.testing import Actor, sync, terminate, withdraw
from undersigned.transport import Allowance, Channel, FailureBudget, memory_pair
from unit.runtime.stories import forge, story

Open = Callable[..., World]
FRESH, USUAL = 300, 3600
BINDING = {"Offer", "Acceptance", "Seal"}


def watch_ages(node: Node) -> dict[str, set[float]]:
    """How old the sender's DID document may be for a message, by the message's type, as the intake asks."""
    ages: dict[str, set[float]] = defaultdict(set)
    reading: list[str] = []
    read, remembered = node.intake.read, node.gatherer.remembered

    async def watched_read(channel: Channel, raw: bytes) -> None:
        content = decode_json(raw)
        assert isinstance(content, dict)
        reading.append(str(content["type"]))
        await read(channel, raw)

    def watched_remembered(did: Did, max_age_seconds: float) -> Known | None:
        if reading:  # nothing is asked between the bytes and their sender's keys; later ones are for other checks
            ages[reading.pop()].add(max_age_seconds)
        return remembered(did, max_age_seconds)

    node.intake.read = watched_read
    node.gatherer.remembered = watched_remembered
    return ages


def test_what_binds_is_checked_with_a_document_of_five_minutes_and_the_rest_with_one_of_an_hour(
    open_world: Open,
) -> None:
    """HIRE-KEY-06: by the type of each message, on both sides."""
    world = open_world()
    ages = {node.office.name: watch_ages(node) for node in world.nodes}
    world.begun("closed", opening="3 EUR")
    assert {kind for kinds in ages.values() for kind in kinds} >= BINDING | {
        "Inquiry",
        "Profile",
        "Delivery",
        "Closing",
    }
    for kinds in ages.values():
        assert kinds == {kind: {FRESH if kind in BINDING else USUAL} for kind in kinds}


def test_nothing_is_read_of_a_connection_that_is_not_proved(open_world: Open) -> None:
    world = open_world(held=True)
    world.begin()
    ours, _ = memory_pair()
    with refuses(ProofError, "proof_missing"):
        world.run(world.provider.intake.read(ours, world.network.sent[0].raw))
    assert not world.provider.conversations


def resigned(node: Node, message: Message, at: Instant, suite: str = "eddsa-jcs-2022", seconds: int = 600) -> bytes:
    """The same content, as `node` signs it at another time or in another suite, or for fewer `seconds`."""
    actor = node.office.actor
    unsigned = draft(message, actor.method, suite, "Ed25519", at, shift(at, seconds))
    return unsigned.signed(actor.signature(unsigned.to_sign)).raw


def test_a_suite_that_was_not_agreed_on_is_refused_when_all_is_over_too(open_world: Open) -> None:
    """HIRE-PRF-02: what was put away is read from the ledger, and is agreed on all the same."""
    world = open_world()
    name = world.begun("closed", opening="3 EUR")
    assert name not in world.provider.conversations
    late = recorded_message(forge(world, world.provider, name, terminate())).message
    before = moves(world.provider, name)
    told = world.tell(
        resigned(world.hirer, late, world.clock.now(), "eddsa-rdfc-2022"), world.hirer.did, world.provider
    )
    assert [fault["code"] for fault in told] == ["suite_not_allowed"]
    assert moves(world.provider, name) == before
    # In the right one it is for the engagement to say.
    assert world.tell(resigned(world.hirer, late, world.clock.now()), world.hirer.did, world.provider) == []


def test_what_was_put_away_is_read_so_often_for_one_peer(open_world: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """10, section 10.4: each message took the time of the whole journal, however long, in which all others waited."""
    world = open_world()
    name = world.begun("closed")
    provider, lines = world.provider, len(world.run(world.provider.ledger.rows(name)))
    provider.intake._lines = Allowance(3 * lines)
    read: list[float] = []
    stored = Conversation.stored

    async def counted(*given: Any) -> Conversation:
        read.append(world.loop.time())
        return await stored(*given)

    monkeypatch.setattr(Conversation, "stored", counted)
    channel, _ = world.channel(world.hirer.did, provider.did)
    world.cut = True  # the other side would read its own for each answer
    since = world.loop.time()
    for number in range(9):
        late = recorded_message(forge(world, provider, name, sync())).message
        raw = resigned(world.hirer, late, shift(world.clock.now(), -number))
        world.run(provider.intake.read(channel, raw), 60)
        world.settle(0.5)
    waited = [at - since for at in read]
    assert len(waited) == 9
    assert waited[2] < 5
    assert 60 <= waited[6] < waited[8] < 180, "three at once, and three in a minute"


def test_nothing_is_read_for_who_is_no_party(open_world: Open) -> None:
    """HIRE-SEC-07: how long it takes tells no stranger that the engagement exists."""
    world = open_world()
    name = world.begun("closed")
    provider, stranger = world.provider, Actor("a stranger")
    said = replace(recorded_message(forge(world, provider, name, sync())).message, sender=stranger.did, proof=None)
    raw = stranger.sign(said, world.clock.now()).raw
    reads: list[str] = []
    rows = provider.ledger.rows

    async def counted(engagement: str, *more: Any) -> Any:
        reads.append(engagement)
        return await rows(engagement, *more)

    provider.ledger.rows = counted  # type: ignore[method-assign]
    told = world.tell(raw, stranger.did, provider)
    assert [fault["code"] for fault in told] == ["wrong_negotiation"]
    assert reads == []


def test_an_inquiry_in_an_engagement_of_others_is_no_message_of_it(open_world: Open) -> None:
    """Decision 0373: a `Problem` would be signed in an engagement that may be another's. Nothing is kept of it."""
    world = open_world(held=True)
    name = world.begun("ready", world.provider)
    said = replace(last(world.provider, name, Inquiry), engagement=f"urn:hire:engagement:{digest_bytes(b'of others')}")
    told = world.tell(resigned(world.hirer, said, world.clock.now()), world.hirer.did, world.provider)
    assert [(one["type"], one["code"]) for one in told] == [("Fault", "wrong_negotiation")]
    assert world.run(world.provider.ledger.summary(said.engagement)) is None


def test_a_notice_of_before_the_profile_is_in_any_suite(open_world: Open) -> None:
    """HIRE-PRF-02: the hirer that sends it does not know yet what was chosen; once it does it goes by that. So does the
    provider, whose own notice may come after a `Profile` that was made later.
    """
    world, other = open_world(held=True), "eddsa-rdfc-2022"
    name = world.begun("ready", world.provider)
    for sender, reader in (world.nodes, reversed(world.nodes)):
        notice = recorded_message(forge(world, reader, name, sync())).message
        assert (notice.role == "hirer") == (sender is world.hirer)
        earlier = {"seen": None} if sender is world.hirer else {"sequence": 0, "previous": None}
        for said, codes in ((replace(notice, **earlier), []), (notice, ["suite_not_allowed"])):
            told = world.tell(resigned(sender, said, world.clock.now(), other), sender.did, reader)
            assert [fault["code"] for fault in told] == codes


def test_what_can_succeed_later_is_no_failure(open_world: Open) -> None:
    """03, section 3.5: a message ahead of our time is refused, and its sender is not sent away for it."""
    world = open_world(held=True)
    name = world.begun("ready", world.provider)
    world.provider.intake._budget = FailureBudget(3)
    early = resigned(world.hirer, last(world.provider, name, Inquiry), shift(world.clock.now(), 90))
    for _ in range(4):
        assert [fault["code"] for fault in world.tell(early, world.hirer.did, world.provider)] == ["proof_from_future"]
    assert folded(world.provider, name).state == "ready"


def test_what_waited_too_long_is_said_again_and_is_no_failure(open_world: Open) -> None:
    """HIRE-PRF-03, HIRE-PRF-05: an offer that had come in time was refused for good, which ended the negotiation; and
    who was slow counted it against who was not.
    """
    world = open_world(held=True)
    world.provider.intake._budget = FailureBudget(2)
    name = world.begun("offered-by-hirer", world.hirer)
    checks, busy = world.provider.witness.check_notice, 5

    async def long(*given: Any) -> None:
        await asyncio.sleep(busy)
        await checks(*given)

    world.provider.witness.check_notice = long
    offer = last(world.hirer, name, Offer)
    with capture_logs() as logged:
        for _ in range(4):
            world.deliver(forge(world, world.provider, name, sync()), world.hirer.did, world.provider.did)
            world.settle(1)
            brief = resigned(world.hirer, offer, world.clock.now(), seconds=2)
            world.deliver(brief, world.hirer.did, world.provider.did)
            world.settle(10)
    assert [one["event"] for one in logged].count("message refused") == 1, "what costs nothing is no line each time"
    assert folded(world.provider, name).state == "ready"
    refused = [event.code for event in world.provider.events if event.kind == "refused"]
    assert refused == ["proof_expired"] * 4
    assert not world.provider.intake._budget.exhausted(world.hirer.did, world.loop.time())
    for parcel in list(world.network.sent):
        if parcel.sender == world.provider.did and recorded_message(parcel.raw).message.type == "Problem":
            world.deliver(parcel.raw, world.provider.did, world.hirer.did)
    world.settle(1)
    assert folded(world.hirer, name).state == "offered-by-hirer"
    busy, world.held = 0, False
    world.settle(600)
    assert folded(world.provider, name).state == "closed"


def test_what_can_succeed_later_does_not_fill_the_log(open_world: Open) -> None:
    """HIRE-LIM-02: it costs its sender nothing, and is sent as often as the line takes it."""
    world = open_world(held=True)
    name = world.begun("ready", world.provider)
    now = world.clock.now()
    early = resigned(world.hirer, last(world.provider, name, Inquiry), shift(now, 90))
    shown = [m.message for m in messages(world.provider, name) if m.message.sender == world.hirer.did][-1]
    gap = resigned(world.hirer, replace(shown, sequence=9), now)
    for raw, code, most in ((early, "proof_from_future", 20), (gap, "out_of_order", 1)):
        with capture_logs() as logs:
            for _ in range(50):
                world.tell(raw, world.hirer.did, world.provider)
        told = [one["error"] for one in logs if one["event"] == "message refused"]
        assert len(told) == most
        assert all(one.startswith(code) for one in told)
    world.settle(61)
    early = resigned(world.hirer, last(world.provider, name, Inquiry), shift(world.clock.now(), 90))
    with capture_logs() as logs:
        world.tell(early, world.hirer.did, world.provider)
    assert [one["untold"] for one in logs if one["event"] == "message refused"] == [30]


def test_strangers_of_one_address_do_not_fill_the_log_by_new_names(open_world: Open) -> None:
    """HIRE-LIM-02: what is refused costs a name, and names cost nothing."""
    world = open_world(held=True)
    with capture_logs() as logs:
        for number in range(30):
            ours, _ = memory_pair()
            ours.proved(Actor(f"stranger-{number}").did)
            for _ in range(3):
                world.run(world.provider.intake.read(ours, b'{"type":"Inquiry"}'))
    assert [one["event"] for one in logs].count("message refused") == 20


def test_a_proof_that_ends_while_its_message_waits_is_refused(open_world: Open) -> None:
    """HIRE-PRF-03, HIRE-PCK-01: a pack holds it against the time at which it was recorded. So who keeps our turn busy,
    and signs for two seconds, would leave us without evidence.
    """
    world = open_world(held=True)
    name = world.begun("ready", world.provider)
    checks = world.provider.witness.check_notice

    async def long(notice: Any, peer: Any) -> None:
        await asyncio.sleep(5)
        await checks(notice, peer)

    world.provider.witness.check_notice = long
    body = recorded_message(forge(world, world.provider, name, withdraw())).message
    before, sent = story(world.provider, name), len(world.network.sent)
    world.deliver(forge(world, world.provider, name, sync()), world.hirer.did, world.provider.did)
    world.settle(1)
    world.deliver(resigned(world.hirer, body, world.clock.now(), seconds=2), world.hirer.did, world.provider.did)
    world.settle(10)
    assert story(world.provider, name) == before
    said = [decode_json(parcel.raw) for parcel in world.network.sent[sent:]]
    problems = [one for one in said if isinstance(one, dict) and one["type"] == "Problem"]
    assert [(one["code"], one["final"]) for one in problems] == [("proof_expired", False)]
    pack = world.run(export_pack(world.provider.ledger, world.provider.artifacts, world.provider.did, name), 5)
    report = verify_pack(pack, now=world.clock.now())
    assert report.ok, report.steps
    world.deliver(resigned(world.hirer, body, world.clock.now()), world.hirer.did, world.provider.did)
    world.settle(10)
    assert story(world.provider, name) == [*before, "Withdraw"]
