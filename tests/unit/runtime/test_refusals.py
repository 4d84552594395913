"""What a side refuses, what becomes of what was refused, and what a stranger learns."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from issuing import issued
from runtimes import KeptLedger, Node, World, facts, folded, last, lingers, messages
from undersigned.credentials import Accusation, read_credential
from undersigned.did import DidDocument
from undersigned.encoding import (
    Digest,
    EngagementId,
    base64url_encode,
    canonicalize,
    digest_bytes,
    digest_from_hash,
    shift,
)
from undersigned.errors import ScopeError, UndersignedError
from undersigned.evidence import verify_pack
from undersigned.ledger import Commit, Committed, Stated, saw
from undersigned.messages import Inclusion, Inquiry, Offer, Seal, Terminate, Withdraw, draft, recorded_message
from undersigned.protocol import PROVIDER, Engagement
from undersigned.runtime import Conversation, Say, equivocation_proof, export_pack, proved
from undersigned.runtime.engagement.told import told_of_message
from undersigned.runtime.negotiation.papers import Papers
from undersigned.scope import Action
from undersigned.testing import Actor, acceptance, inquiry, offer, problem, receipt, start, sync, withdraw
from undersigned.testing import Say as Move
from undersigned.transparency import Frontier, checkpoint_text, leaf_digest, leaf_hash, signed_note
from unit.runtime.stories import Open, forge, over, story


def test_an_inquiry_that_comes_again_while_it_is_refused_opens_an_engagement(open_world: Open) -> None:
    """One that is looked after: its deadlines count, and it goes on after a restart."""
    world = open_world(held=True)
    name = world.begin(opening="3 EUR").id
    check, asked = world.provider.shell.check, list[str]()

    async def busy(*received: Any) -> Any:
        asked.append(name)
        if len(asked) == 1:
            await asyncio.sleep(1)
            raise UndersignedError("overloaded", "later")
        return await check(*received)

    world.provider.shell.check = busy
    parcel = world.network.sent[0]
    for _ in range(2):
        world.deliver(parcel.raw, parcel.sender, parcel.recipient)
        world.settle(0.2)
    world.settle(3)
    assert story(world.provider, name) == ["Inquiry", "Profile"]
    summary = world.provider.kept.summary_of(name)
    assert summary is not None
    assert summary.live
    assert name in world.provider.conversations
    world.until("closed", name)


def test_what_is_put_away_twice_takes_no_other_with_it(open_world: Open) -> None:
    """What came during the last turn is answered after it was put away; until then more may have come."""
    world = open_world(held=True)
    begun = world.begin(opening="3 EUR")
    world.until("sealed", begun.id, world.provider)
    seen = world.provider.the(begun.id)
    summary = world.provider.kept.summary_of(begun.id)
    assert summary is not None
    assert summary.contract is not None
    world.provider.shell.finished(seen)
    again = world.run(Conversation.stored(world.provider.shell, summary))
    world.provider.conversations[begun.id] = again
    world.provider.conversations.bind(summary.contract, begun.id)
    world.provider.shell.finished(seen)
    assert world.provider.conversations[begun.id] is again
    assert world.provider.conversations.contracts.get(summary.contract) is again


def test_a_refused_move_changes_nothing_and_its_sender_hears_why(open_world: Open) -> None:
    """HIRE-NEG-19, HIRE-SEC-02: state, journal and outbox are as before, and the `Problem` says for which move."""
    world = open_world(held=True)
    name = world.begun("ready", world.provider)
    raw = forge(world, world.provider, name, start())
    kept = world.provider.kept
    before = kept.journal(name), kept.waiting(name), world.provider.the(name).engagement.state
    count = len(world.network.sent)
    world.tell(raw, world.hirer.did, world.provider)
    assert (kept.journal(name), kept.waiting(name), world.provider.the(name).engagement.state) == before
    (answer,) = [recorded_message(p.raw).message for p in world.network.sent[count:]]
    assert answer.type == "Problem"
    assert (answer.of, answer.code) == (recorded_message(raw).digest, "wrong_state")  # type: ignore[attr-defined]
    world.until("closed", name)


def test_what_comes_while_the_end_is_stored_is_answered_and_keeps_nothing_alive(open_world: Open) -> None:
    """HIRE-NEG-19: it is refused after the last turn, and the engagement stays over."""
    late: list[bytes] = []

    class Ending(KeptLedger):
        async def commit(self, commit: Commit) -> Committed:
            if not commit.summary.live and late:
                world.deliver(late.pop(), world.hirer.did, world.provider.did)
                await asyncio.sleep(0)
            return await super().commit(commit)

    world = open_world(held=True)
    world.ledgers = (world.ledgers[0], Ending())
    world.restart(world.provider)
    name = world.begun("ready", world.provider)
    ends = forge(world, world.provider, name, withdraw("changed"))
    sequence, previous = len(folded(world.provider, name).got) + 2, recorded_message(ends).digest
    bad = forge(world, world.provider, name, start(), sequence=sequence, previous=previous)
    late.append(bad)
    world.tell(ends, world.hirer.did, world.provider)
    assert not late
    said = [recorded_message(one.raw).message for one in world.network.sent]
    answers = [one for one in said if one.type == "Problem"]
    assert [(one.of, one.code) for one in answers] == [(recorded_message(bad).digest, "wrong_state")]  # type: ignore[attr-defined]
    assert name not in world.provider.conversations
    tasks = [one for one in asyncio.all_tasks(world.loop) if one.get_name().startswith("engagement ")]
    assert len(tasks) == len(world.hirer.conversations) == 1


@pytest.mark.parametrize("unseen", [False, True], ids=["of another document", "of an unseen offer"])
def test_an_acceptance_that_makes_no_contract_ends_the_negotiation(unseen: bool, open_world: Open) -> None:
    """HIRE-NEG-11, rule N9: it is not recorded, and the offerer withdraws with `terms_mismatch`."""
    world = open_world(held=True)
    name = world.begun("offered-by-hirer", world.hirer, opening="5 EUR")
    says = {"seen": folded(world.hirer, name).sent[-2]} if unseen else {"document": digest_bytes(b"other terms")}
    raw = forge(world, world.hirer, name, acceptance(**says))
    world.tell(raw, world.provider.did, world.hirer)
    assert folded(world.hirer, name).state == "withdrawn"
    assert last(world.hirer, name, Withdraw).reason == "terms_mismatch"
    assert "Acceptance" not in story(world.hirer, name)
    assert folded(world.hirer, name).contract is None


def note_of(actor: Actor, *leaves: bytes, origin: str = "") -> str:
    """What the actor signs as a checkpoint of a log of these leaves."""
    tree = Frontier()
    for leaf in leaves:
        tree.append(leaf_hash(leaf))
    text = checkpoint_text(origin or actor.did, tree.size, tree.root)
    note = signed_note(text, origin or actor.did, actor.public_key, actor._key.sign(text).signature)
    return "u" + base64url_encode(note.encode())


def shown(*path: bytes, index: int = 0, size: int = 2) -> Inclusion:
    """That a leaf of one byte stands there."""
    return Inclusion(
        leaf=leaf_digest(b"0"), index=index, size=size, path=tuple(digest_from_hash(leaf_hash(one)) for one in path)
    )


FALSE_NOTICES: dict[str, Callable[[Actor], Move]] = {
    "a Receipt with no note": lambda _: receipt(checkpoint="uAAAA"),
    "a Receipt with what is no base64": lambda _: receipt(checkpoint="uBB"),
    "a Receipt with a stranger's note": lambda _: receipt(checkpoint=note_of(Actor("stranger"), b"0")),
    "a Receipt with a stranger's signature": lambda by: receipt(checkpoint=note_of(Actor("x"), b"0", origin=by.did)),
    "a Receipt with another path": lambda by: receipt(checkpoint=note_of(by, b"0", b"1"), inclusion=shown(b"2")),
    "a Receipt with another place": lambda by: receipt(
        checkpoint=note_of(by, b"0", b"1"), inclusion=shown(b"1", index=1)
    ),
    "a Receipt with a proof of another size": lambda by: receipt(
        checkpoint=note_of(by, b"0", b"1"), inclusion=shown(size=1)
    ),
    "a Sync with no note": lambda _: sync(checkpoint="uAAAA"),
    "a Sync with a stranger's note": lambda _: sync(checkpoint=note_of(Actor("stranger"), b"0")),
}


@pytest.mark.parametrize("what", FALSE_NOTICES)
def test_a_notice_that_shows_a_false_log_is_not_recorded_and_spoils_no_pack(what: str, open_world: Open) -> None:
    """HIRE-LOG-03: its sender's word would stand in the evidence of whoever got it."""
    world = open_world(held=True)
    name = world.begun("accepted-by-provider", world.provider, opening="5 EUR")
    move = FALSE_NOTICES[what](world.hirer.office.actor)
    moved = folded(world.provider, name).sent[-1]
    of = {"of": (moved,)} if move.type == "Receipt" else {"seen": moved}
    before = world.provider.the(name).engagement
    world.tell(forge(world, world.provider, name, move, **of), world.hirer.did, world.provider)
    assert world.provider.the(name).engagement == before
    refused = [event for event in world.provider.events if event.kind == "refused"]
    assert [(event.type, event.code) for event in refused] == [(move.type, "log_proof_invalid")]
    world.until("closed", name)
    world.settle()
    for node in world.nodes:
        assert move.members.get("checkpoint") not in [
            getattr(message.message, "checkpoint", None) for message in messages(node, name)
        ]
        report = verify_pack(packed(world, node, name), now=world.clock.now())
        assert report.ok, report.steps


def packed(world: World, node: Node, engagement: EngagementId) -> bytes:
    return world.run(export_pack(node.ledger, node.artifacts, node.did, engagement), 5)


def test_equivocation_is_kept_as_proof_once(open_world: Open) -> None:
    """HIRE-CHN-05, SC-50: the first stands, both copies are kept, and more of the same fill nothing."""
    world = open_world(held=True)
    name = world.begun("ready", world.provider)
    held = folded(world.provider, name)
    forged = [
        forge(world, world.provider, name, withdraw(reason), sequence=len(held.got), previous=held.got[-2])
        for reason in ("declined", "changed", "capacity")
    ]
    for raw in forged:
        world.tell(raw, world.hirer.did, world.provider)
    assert folded(world.provider, name).got == held.got
    assert [fact for fact in facts(world.provider, name) if fact[0] == "equivocation"] == [
        ("equivocation", recorded_message(forged[0]).digest)
    ]
    blobs = [b for b in world.run(world.provider.ledger.evidence(name)) if b.kind == "equivocation"]
    assert [blob.raw for blob in blobs] == forged[:1]


def test_two_histories_of_a_log_are_kept_as_proof_once(open_world: Open) -> None:
    """HIRE-LOG-09: with the document of the key that signed the second, and more of the same fill nothing."""
    world = open_world(held=True)
    name = world.begun("ready", world.provider)
    actor = world.hirer.office.actor
    held = Stated(log=actor.did, size=2, root=bytes(32), at=world.clock.now(), note="a note")
    world.run(world.provider.witness.update(actor.did, partial(saw, said=held)))
    moved = folded(world.provider, name).sent[-1]
    forged = [
        forge(world, world.provider, name, sync(checkpoint=note_of(actor, *leaves)), seen=moved)
        for leaves in ((b"0", b"1"), (b"0", b"2"))
    ]
    for raw in forged:
        world.tell(raw, world.hirer.did, world.provider)
    assert [event.code for event in world.provider.events if event.kind == "refused"] == ["ledger_diverged"] * 2
    (fact,) = [digest for kind, digest in facts(world.provider, name) if kind == "fork"]
    assert fact == recorded_message(forged[0]).digest
    kept = world.run(world.provider.ledger.evidence(name))
    assert [blob.raw for blob in kept if blob.kind == "fork"] == forged[:1]


def test_what_contradicts_itself_otherwise_is_no_equivocation(open_world: Open) -> None:
    """HIRE-CHN-05: `seen` that went back, another `previous`, or a position that is not so, are refused and no more;
    two moves in one place are still kept as proof after them.
    """
    world = open_world(held=True)
    name = world.begun("ready", world.provider)
    held = folded(world.provider, name)
    again = {"sequence": len(held.got), "previous": held.got[-2]}
    for raw in (
        forge(world, world.provider, name, withdraw("declined"), seen=None),
        forge(world, world.provider, name, withdraw("declined"), previous=held.got[0]),
        forge(world, world.provider, name, sync(), sequence=len(held.got), previous=held.got[0]),
    ):
        world.tell(raw, world.hirer.did, world.provider)
    refused = [event.code for event in world.provider.events if event.kind == "refused"]
    assert refused == ["conflicting_message"] * 3
    assert not [fact for fact in facts(world.provider, name) if fact[0] == "equivocation"]
    other = forge(world, world.provider, name, withdraw("declined"), **again)
    world.tell(other, world.hirer.did, world.provider)
    blobs = [b for b in world.run(world.provider.ledger.evidence(name)) if b.kind == "equivocation"]
    assert [blob.raw for blob in blobs] == [other]


def test_what_proves_an_equivocation_is_the_evidence_of_an_accusation(open_world: Open) -> None:
    """HIRE-TRU-27: of the two moves and nothing less; of nobody else; and not with a word changed."""
    world = open_world(held=True)
    name, body = world.begin().id, Actor("Body organisation")
    world.until("ready", name, world.provider)
    held, accused = folded(world.provider, name), world.hirer.did

    def seen(evidence: bytes, of: str = accused) -> frozenset[Digest]:
        claim = Accusation(id=of, kind="equivocation", evidence=digest_bytes(evidence))
        said = read_credential(issued(body, claim, world.clock.now()))

        async def documents_of(did: str) -> list[DidDocument]:
            return [await world.provider.document_of(did, 0.0)]

        return world.run(
            proved(
                said,
                evidence,
                ledger=world.provider.ledger,
                own=world.provider.did,
                documents_of=documents_of,
                now=world.clock.now(),
            )
        )

    with pytest.raises(UndersignedError, match="no two moves"):
        world.run(equivocation_proof(world.provider.ledger, name))
    raw = forge(world, world.provider, name, withdraw("declined"), sequence=len(held.got), previous=held.got[-2])
    world.tell(raw, world.hirer.did, world.provider)
    proof = world.run(equivocation_proof(world.provider.ledger, name))
    assert seen(proof) == {digest_bytes(proof)}
    first, second = (canonicalize(one) for one in json.loads(proof))
    forged = canonicalize(json.loads(second) | {"reason": "changed"})
    for false in (b"[" + first + b"," + first + b"]", b"[" + first + b"]", b"[" + first + b"," + forged + b"]"):
        with pytest.raises(UndersignedError) as caught:
            seen(false)
        assert caught.value.code in ("evidence_invalid", "schema_violation", "proof_invalid")
    with pytest.raises(UndersignedError) as caught:
        seen(proof, of=world.provider.did)
    assert caught.value.code == "evidence_invalid"


@pytest.mark.parametrize("suite", ["eddsa-jcs-2022", "eddsa-rdfc-2022"])
@pytest.mark.parametrize("real", [True, False], ids=["an engagement", "none"])
def test_a_stranger_hears_the_same_whether_it_exists(suite: str, real: bool, open_world: Open) -> None:
    """HIRE-SEC-07: nor by the suite that its parties agreed on."""
    world = open_world(held=True)
    name = world.begun("offered-by-hirer", world.hirer)
    said = last(world.hirer, name, Offer)
    stranger = Actor("a stranger")
    engagement = name if real else "urn:hire:engagement:" + digest_bytes(b"none")
    now = world.clock.now()
    forged = replace(said, engagement=engagement, sender=stranger.did, recipient=world.provider.did)
    unsigned = draft(forged, stranger.method, suite, "Ed25519", now, shift(now, 600))
    raw = unsigned.signed(stranger.signature(unsigned.to_sign)).raw
    told = world.tell(raw, stranger.did, world.provider)
    assert [fault["code"] for fault in told] == ["wrong_negotiation"]


def test_a_move_that_was_refused_for_good_gives_up_its_place(open_world: Open) -> None:
    """HIRE-NEG-19: with the peer's signed `Problem` in hand, another move takes the place; here it ends the matter."""
    world = open_world(held=True)
    name = world.begun("offered-by-hirer", world.hirer)
    refused = folded(world.hirer, name).sent[-1]
    world.tell(forge(world, world.hirer, name, problem(refused)), world.provider.did, world.hirer)
    held = folded(world.hirer, name)
    assert held.state == "withdrawn"
    assert refused not in held.sent
    withdrawn = last(world.hirer, name, Withdraw)
    assert withdrawn.refused == refused
    assert withdrawn.sequence == last(world.hirer, name, Offer).sequence


def test_what_followed_a_move_that_was_refused_for_good_is_taken_back_with_it(open_world: Open) -> None:
    """HIRE-NEG-19: the peer can record neither, so neither is repeated; a restart knows it too."""
    world = open_world(held=True)
    name = world.begun("offered-by-hirer", world.hirer)
    refused = folded(world.hirer, name).sent[-1]
    world.run(world.hirer.the(name).ask(lambda _: Say("Withdraw", {"reason": "changed", "offer": refused})))
    followed = folded(world.hirer, name).sent[-1]
    world.tell(forge(world, world.hirer, name, problem(refused)), world.provider.did, world.hirer)
    held = folded(world.hirer, name)
    assert held.state == "withdrawn"
    assert not {refused, followed} & set(held.sent)
    assert last(world.hirer, name, Withdraw).refused == refused
    left = [row.digest for row in world.run(world.hirer.ledger.outbox(name))]
    assert not {refused, followed} & set(left), "what cannot be recorded is not sent again"
    world.restart(world.hirer)
    assert folded(world.hirer, name).sent == held.sent
    world.until("withdrawn", name)


@pytest.mark.usefixtures("logs_as_they_come")
def test_a_start_that_was_refused_is_not_tried_after_its_time(open_world: Open) -> None:
    """HIRE-LIF-04, HIRE-NEG-19: its place is free, and nothing takes it; the contract ends by the provider's deadline,
    or by its own. Nor is it after a restart, where it had not been said in time.
    """
    world = open_world(held=True)
    name = world.begun("working", world.hirer)
    refused = folded(world.hirer, name).sent[-1]
    world.cut = True  # so that the provider does not end it
    world.tell(forge(world, world.hirer, name, problem(refused)), world.provider.did, world.hirer)
    assert folded(world.hirer, name).state == "sealed"
    with capture_logs() as told:
        world.settle(700)
        world.restart(world.hirer)
        world.settle(60)
    assert [one for one in told if one["log_level"] == "error"] == []
    assert folded(world.hirer, name).state == "sealed"
    assert last(world.hirer, name, Seal).sequence == len(folded(world.hirer, name).sent)


@pytest.mark.usefixtures("logs_as_they_come")
def test_what_stands_and_rests_on_what_was_refused_is_not_said_again(open_world: Open) -> None:
    """HIRE-NEG-19: the work was late, and now it was never begun. There is no deadline of it that could have passed."""
    world = open_world(held=True)
    name = world.begun("working", world.hirer)
    refused = folded(world.hirer, name).sent[-1]
    world.cut = True
    world.settle(1200)
    assert last(world.hirer, name, Terminate).cause == "deadline"
    with capture_logs() as told:
        world.tell(forge(world, world.hirer, name, problem(refused)), world.provider.did, world.hirer)
    assert [one for one in told if one["log_level"] == "error"] == []
    assert folded(world.hirer, name).state == "sealed"
    assert last(world.hirer, name, Seal).sequence == len(folded(world.hirer, name).sent)


@pytest.mark.parametrize("state", ["accepted-by-hirer", "sealed"])
def test_a_binding_signature_is_not_taken_back(state: str, open_world: Open) -> None:
    """HIRE-NEG-19: never in the place of an `Acceptance` or a `Seal`, whatever the peer says about it."""
    world = open_world(held=True)
    name = world.begin(opening="3 EUR").id
    node = world.hirer if state == "accepted-by-hirer" else world.provider
    world.until(state, name, node)
    before = folded(node, name)
    world.tell(forge(world, node, name, problem(before.sent[-1])), world.other(node).did, node)
    after = node.the(name).engagement
    assert (after.state, after.sent) == (before.state, before.sent)


def test_a_refused_amendment_takes_back_no_end_that_was_said_after_it(open_world: Open) -> None:
    """HIRE-NEG-19: the peer can have recorded neither; the end is said again where the amendment stood."""

    world = open_world(held=True, handler=lingers)
    name = world.begun("working", opening="3 EUR")
    hirer, ours = world.hirer, world.hirer.the(name)
    world.run(hirer.changes.amend(ours, lambda terms: replace(terms, reworks=2)), 1)
    offered = folded(hirer, name).sent[-1]
    world.run(hirer.changes.suspend(ours, seconds=3600), 1)
    world.run(hirer.cancel(ours), 1)
    world.network.sent.clear()
    world.tell(forge(world, hirer, name, problem(offered)), world.provider.did, hirer)
    assert (ours.engagement.state, offered in ours.engagement.sent) == ("cancelling", False)
    world.restart(hirer)
    assert folded(hirer, name) == hirer.the(name).engagement
    world.until("closed", name)  # the provider has heard it


def test_an_inquiry_that_was_refused_for_good_is_the_end(open_world: Open) -> None:
    """Nothing was opened, so there is nothing to withdraw from; and nobody waits for it, after a restart either."""
    world = open_world(held=True)
    name = world.begin().id
    (sent,) = world.network.sent
    raw = forge(world, world.hirer, name, problem(recorded_message(sent.raw).digest, "schema_violation"))
    world.tell(raw, world.provider.did, world.hirer)
    assert world.hirer.conversations == {}
    assert world.hirer.said("over") == [""]
    summary = world.hirer.kept.summary_of(name)
    assert summary is not None
    assert (summary.state, summary.live) == ("-", False)
    kept = world.run(world.hirer.ledger.evidence(name))
    assert {blob.name for blob in kept} == {world.hirer.did, world.provider.did}, "who said no can be shown"
    assert world.restart(world.hirer).conversations == {}


def test_an_inquiry_that_was_taken_back_is_opened_again_by_nothing(open_world: Open) -> None:
    """Whoever refuses one thing more makes an engagement live in the store that nothing would ever end."""
    world = open_world(held=True)
    name = world.begin().id
    (sent,) = world.network.sent
    for refused in (recorded_message(sent.raw).digest, digest_bytes(b"another"), digest_bytes(b"and another")):
        world.tell(forge(world, world.hirer, name, problem(refused)), world.provider.did, world.hirer)
        summary = world.hirer.kept.summary_of(name)
        assert summary is not None
        assert (summary.state, summary.live) == ("-", False)
        assert world.hirer.conversations == {}


def test_a_message_of_another_engagement_id_does_not_open_one(open_world: Open) -> None:
    """HIRE-ENV-05: the id cannot belong to other parties; nothing is kept of it."""
    world = open_world(held=True)
    name = world.begin().id
    said = last(world.hirer, name, Inquiry)
    made = "urn:hire:engagement:" + digest_bytes(b"made up")
    raw = world.hirer.office.actor.sign(replace(said, engagement=made), world.clock.now()).raw
    world.tell(raw, world.hirer.did, world.provider)
    assert world.provider.conversations == {}
    assert world.provider.kept.engagements() == ()


def test_an_inquiry_by_the_provider_of_an_engagement_is_refused(open_world: Open) -> None:
    world = open_world(held=True)
    name = world.begin().id
    raw = forge(world, world.hirer, name, inquiry(nonce=world.hirer.office.actor.nonce()), role="provider")
    world.tell(raw, world.provider.did, world.hirer)
    assert "Profile" not in story(world.hirer, name)


def test_an_offer_of_the_one_whose_turn_it_is_not_is_refused(open_world: Open) -> None:
    """HIRE-NEG-05: an offer cannot be replaced by its owner."""
    world = open_world(held=True)
    name = world.begun("accepted-by-provider", world.provider, opening="5 EUR")
    raw = forge(world, world.provider, name, offer(price="1"))
    live = folded(world.provider, name).offer
    world.tell(raw, world.hirer.did, world.provider)
    assert folded(world.provider, name).offer == live


@pytest.mark.parametrize("asks_first", [True, False])
def test_a_refusal_that_came_with_a_move_of_ours_takes_back_what_is_stored(
    open_world: Open, monkeypatch: pytest.MonkeyPatch, asks_first: bool
) -> None:
    """HIRE-NEG-19: whichever of them came first, and though both wait when the conversation wakes."""
    world = open_world(held=True)
    name = world.begun("offered-by-hirer", world.hirer)
    refused = folded(world.hirer, name).sent[-1]
    conversation = world.hirer.the(name)
    raw = forge(world, world.hirer, name, problem(refused))

    def asked() -> asyncio.Task[None]:
        body = {"reason": "changed", "offer": refused}
        task = world.loop.create_task(conversation.ask(lambda _: Say("Withdraw", body)))
        world.settle()
        return task

    with monkeypatch.context() as asleep:
        asleep.setattr(Conversation, "_rouse", lambda _: None)
        asking = asked() if asks_first else None
        world.tell(raw, world.provider.did, world.hirer)
        asking = asking or asked()
    conversation._rouse()
    world.settle(5)
    held = folded(world.hirer, name)
    assert (asking.done(), held.state) == (True, "withdrawn")
    assert refused not in held.sent
    asking.exception()  # an offer that the peer refused meanwhile cannot be withdrawn any more


def test_what_is_refused_by_no_clause_is_recorded_without_what_would_pass(open_world: Open) -> None:
    """Its statement is read by people and programs of the other side."""
    world = open_world(handler=lingers)
    ours = world.begin()
    contract = ours.engagement.contract
    assert contract is not None
    error = ScopeError("scope_exceeded", "the server does not take that")
    world.run(world.hirer.gate.refuse(contract.digest, Action("a", "https://acme.example/"), error))
    (said,) = (json.loads(value) for name, value in facts(world.hirer, ours.id) if name == "refused-action")
    assert (said["clause"], said.get("wouldPass")) == ("scope", None)


def test_books_that_were_refused_for_the_log_wait_whatever_else_is_refused(open_world: Open) -> None:
    """HIRE-LOG-09: until the next start; another refusal, for the crowd say, is no decision of somebody there."""
    world = open_world(held=True)
    name = world.begun("closing", world.hirer)
    conversation = world.hirer.conversations[name]
    refused = messages(world.hirer, name)[-1].digest
    for code in ("ledger_diverged", "overloaded"):
        world.tell(
            forge(world, world.hirer, name, problem(refused, code, final=False)), world.provider.did, world.hirer
        )
        world.settle()
        assert conversation.distrusted
    rows = world.run(world.hirer.ledger.rows(name))
    assert {row.type for row in rows if conversation._is_held_back(row)} == {"Closing"}, "all else is said again"


@pytest.mark.parametrize(("code", "told"), [("domain_not_linked", "decision_failed"), ("wrong_state", "wrong_state")])
def test_what_the_other_side_is_never_told_is_said_as_something_else(open_world: Open, code: str, told: str) -> None:
    """HIRE-ERR-02: how we are set up is nobody else's business, nor is the place that was looked at (HIRE-SEC-07)."""
    world = open_world(held=True)
    move = messages(world.provider, world.begun("ready", world.provider))[0]
    move = replace(move, raw=move.raw + b" " * 2048)  # longer than any refusal of it
    (said,) = told_of_message(move, UndersignedError(code, "of our own", path="/presentation"))
    assert (said.type, said.body["code"]) == ("Problem", told)
    assert said.body.get("path") == ("/presentation" if told == code else None)


def test_a_move_that_was_refused_is_one_of_our_own(open_world: Open) -> None:
    """Not the other side's of the same number."""
    world = open_world(held=True)
    name = world.begun("closing", world.hirer)
    for node in world.nodes:
        held = folded(node, name)
        found = [node.the(name).move_of(digest) for digest in held.sent]
        assert {move.role for move in found if move is not None} == {held.role}
        assert node.the(name).move_of(held.got[-1]) is None


def test_an_offer_that_does_not_let_our_key_sign_is_offered_back(
    open_world: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-CTR-04: what this side signs by another key than the document names would be signed by nobody."""
    place = Papers._place

    def by_another(papers: Papers, engagement: Engagement, peer: DidDocument) -> dict[str, Any]:
        found = place(papers, engagement, peer)
        if engagement.role == PROVIDER:
            return found
        return found | {"methods": replace(found["methods"], provider=(f"{peer.id}#another",))}

    monkeypatch.setattr(Papers, "_place", by_another)
    world = open_world()
    name = world.begin().id
    world.settle(60)
    assert [event for event in world.provider.events if event.kind == "refused"] == []
    assert story(world.provider, name)[4:8] == ["Offer", "Offer", "Acceptance", "Seal"]
    over(world, name)
