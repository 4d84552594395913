"""Acceptance by a verifier that the contract names: what the hirer carries, and what the provider takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from parties import Party
from runtimes import Node, World, facts, folded, last, messages
from undersigned.attestation import PAYLOAD_TYPE, accepted, envelope, make_statement, pae
from undersigned.contract import Milestone, Settlement, Terms
from undersigned.did import DidDocument, document_from, make_document
from undersigned.encoding import JsonObject, base64url_encode, canonicalize, decode_json, digest_bytes
from undersigned.errors import ConfigurationError, LocalProtocolError, UndersignedError
from undersigned.evidence import Report, verify_pack
from undersigned.keys import PublicKey
from undersigned.ledger import Blob
from undersigned.messages import Acceptance, Closing, Delivery, Review
from undersigned.runtime import Conversation, Job, export_pack
from undersigned.runtime.engagement.documents import document_blob

Open = Callable[..., World]
REVOKED = {"revoked": "2026-01-01T00:00:00Z"}
ENDED = {"expires": "2026-01-01T00:00:00Z"}
JUDGE = Party("judge")
TWIN = Party("twin")


async def halves(reviewed: Any) -> dict[str, bool]:
    return {"whole": False}


def delivered(open_world: Open, handler: Any = None, **options: Any) -> tuple[World, Conversation]:
    """A delivery that waits for the judge."""
    world = open_world(**({"handler": handler} if handler else {}))
    world.hirer.reviewers["summary"] = halves
    ours = world.begin(verifier=JUDGE.did, criteria={"whole": "nothing is missing"}, **options)
    world.until("delivered", ours.id)
    world.settle()
    return world, ours


def verdict(world: World, by: Party = JUDGE, passed: bool = True, **changes: Any) -> JsonObject:
    delivery = last(world.hirer, world.hirer.the().id, Delivery)
    fields: dict[str, Any] = {
        "contract": delivery.contract,
        "document_id": world.hirer.the().offered().id,
        "verifier": JUDGE.did,
        "passed": passed,
        "statements": (),
        "time_verified": world.clock.now(),
    }
    artifacts = changes.pop("artifacts", {one.name: one.digest for one in delivery.artifacts})
    return by.seal_statement(make_statement(artifacts, accepted(**(fields | changes))))


def test_a_damaged_copy_of_the_hirers_is_no_answer_to_the_verifier(open_world: Open) -> None:
    """HIRE-ATT-06, HIRE-ATT-11: what it had before is made right, and the verdict finds what was delivered."""
    made, digest = b"what was made", digest_bytes(b"what was made")

    async def handler(job: Job) -> None:
        await job.deliver("summary.txt", made)
        folder = world.hirer.artifacts.folder
        folder.mkdir(exist_ok=True)
        await asyncio.to_thread((folder / digest).write_bytes, b"?" + made[1:])

    world = open_world(handler=handler)
    ours = world.begin(verifier=JUDGE.did, deliverable="summary.txt")
    world.until("delivered", ours.id)
    world.settle()
    assert (world.hirer.artifacts.folder / digest).read_bytes() == made
    assert acts(world, ours, verdict(world)) == ""
    world.until("closed", ours.id)
    assert last(world.provider, ours.id, Review).verdict == "accepted"


def pack_of(world: World, node: Node, ours: Conversation) -> Report:
    pack = world.run(export_pack(node.ledger, node.artifacts, node.did, ours.id))
    return verify_pack(pack, now=world.clock.now())


def acts(world: World, ours: Conversation, statement: JsonObject) -> str:
    try:
        world.run(world.hirer.changes.judge(ours, statement), 1)
    except UndersignedError as error:
        return error.code
    return ""


@pytest.mark.parametrize(("passed", "verdict_is"), [(True, "accepted"), (False, "rejected")])
def test_the_verifiers_word_is_the_review(open_world: Open, passed: bool, verdict_is: str) -> None:
    """HIRE-ATT-06: the hirer says nothing before; its own view of a criterion gives way to a yes."""
    world, ours = delivered(open_world)
    assert ("verdict-awaited", JUDGE.did) in facts(world.hirer, ours.id)
    world.settle(60)
    assert folded(world.hirer, ours.id).state == "delivered"
    assert acts(world, ours, verdict(world, passed=passed)) == ""
    world.until("closed", ours.id)
    assert not world.hirer.reviews._found, "nothing is kept of what is over"
    review = last(world.provider, ours.id, Review)
    assert review.verdict == verdict_is
    assert [one.met for one in review.criteria] == [passed]
    for node in (world.hirer, world.provider):
        report = pack_of(world, node, ours)
        assert report.ok, [step for step in report.steps if not step.ok]


def test_a_review_of_our_own_that_fails_is_not_in_the_verifiers_way(open_world: Open) -> None:
    world = open_world()
    world.hirer.reviewers["summary"] = raises
    ours = world.begin(verifier=JUDGE.did, criteria={"whole": "nothing is missing"})
    world.until("delivered", ours.id)
    world.settle()
    assert ("review-failed", "TypeError: a defect") in facts(world.hirer, ours.id)
    assert acts(world, ours, verdict(world)) == ""
    world.until("closed", ours.id)
    assert last(world.provider, ours.id, Review).verdict == "accepted"


HALVES = Settlement(
    method="none",
    milestones=(
        Milestone(name="first", percent=40, criteria=("whole",)),
        Milestone(name="rest", percent=60, criteria=("whole", "plain")),
    ),
)
CRITERIA = {"whole": "nothing is missing", "plain": "no foreign words"}


async def raises(_: Any) -> dict[str, bool]:
    raise TypeError("a defect")


async def first_half(_: Any) -> dict[str, bool]:
    return {"whole": True, "plain": False}


def awaiting(open_world: Open, **options: Any) -> tuple[World, Conversation]:
    """A delivery with two criteria that waits for the judge, and a function of the hirer's own that raises."""
    world = open_world()
    world.hirer.reviewers["summary"] = raises
    ours = world.begin(verifier=JUDGE.did, criteria=CRITERIA, **options)
    world.until("delivered", ours.id)
    world.settle()
    return world, ours


def test_a_no_waits_until_our_own_review_says_what_it_leaves(open_world: Open) -> None:
    """HIRE-ATT-06, HIRE-PAY-03: what nobody looked at is not signed as not met where pay rests on it."""
    world, ours = awaiting(open_world, settlement=HALVES)
    no = verdict(world, passed=False)
    assert acts(world, ours, no) == "decision_failed"
    world.settle(10)
    assert folded(world.hirer, ours.id).state == "delivered"
    assert [kind for kind, _ in facts(world.hirer, ours.id)].count("verdict-awaited") == 1
    world.hirer.reviewers["summary"] = first_half
    world.settle(120)
    assert acts(world, ours, no) == ""
    world.until("closed", ours.id)
    assert [one.met for one in last(world.provider, ours.id, Review).criteria] == [True, False]
    assert last(world.provider, ours.id, Closing).settlement.amount == "1.6"


def test_a_yes_waits_for_no_review_of_our_own(open_world: Open) -> None:
    """All that can be owed is owed then, whatever our own function would have said."""
    world, ours = awaiting(open_world, settlement=HALVES)
    assert acts(world, ours, verdict(world)) == ""
    world.until("closed", ours.id)
    assert last(world.provider, ours.id, Closing).settlement.amount == "4"


@pytest.mark.parametrize("restarted", [False, True])
def test_what_a_person_said_in_its_place_stays_until_the_verifier_speaks(open_world: Open, restarted: bool) -> None:
    """Our function that goes on failing does not put itself in its place, nor does a restart lose it."""
    world, ours = awaiting(open_world, settlement=HALVES)
    world.run(world.hirer.changes.review(ours, {"whole": True, "plain": False}), 5)
    if restarted:
        again = world.restart(world.hirer)
        again.reviewers["summary"] = raises
        ours = again.the(ours.id)
    world.settle(120)
    assert acts(world, ours, verdict(world, passed=False)) == ""
    world.until("closed", ours.id)
    assert [one.met for one in last(world.provider, ours.id, Review).criteria] == [True, False]
    assert last(world.provider, ours.id, Closing).settlement.amount == "1.6"


def test_a_no_that_leaves_nothing_is_carried_and_says_who_judged(open_world: Open) -> None:
    """Without milestones nothing is owed after a no, whatever our own review would have found."""
    world, ours = awaiting(open_world)
    assert acts(world, ours, verdict(world, passed=False)) == ""
    world.until("closed", ours.id)
    criteria = last(world.provider, ours.id, Review).criteria
    assert {(one.met, one.note) for one in criteria} == {(False, "judged by the verifier, as a whole")}


def test_a_review_that_failed_in_one_round_is_not_that_of_the_next(open_world: Open) -> None:
    world, ours = awaiting(open_world, reworks=1)
    assert acts(world, ours, verdict(world, passed=False)) == ""
    world.hirer.reviewers["summary"] = first_half
    world.until("delivered", ours.id)
    world.settle(200)
    assert last(world.hirer, ours.id, Delivery).round == 2
    assert world.hirer.reviews._found[ours.id].round == 2
    assert acts(world, ours, verdict(world, passed=False)) == ""
    world.until("closed", ours.id)
    assert [one.met for one in last(world.provider, ours.id, Review).criteria] == [True, False]


def test_a_function_that_went_with_the_hire_is_missed(open_world: Open) -> None:
    """After a restart the verifier's no waits for somebody who reviews, as the order said."""
    world = open_world()
    wanted = world.order(verifier=JUDGE.did, criteria=CRITERIA, settlement=HALVES, review=first_half)
    ours = world.begin(wanted)
    world.until("delivered", ours.id)
    again = world.restart(world.hirer)
    world.settle()
    ours = again.the(ours.id)
    assert acts(world, ours, verdict(world, passed=False)) == "decision_failed"
    again.reviewers["summary"] = first_half
    world.settle(120)
    assert acts(world, ours, verdict(world, passed=False)) == ""


def test_who_leaves_it_to_the_verifier_carries_its_no(open_world: Open) -> None:
    world = open_world()
    wanted = world.order(verifier=JUDGE.did, criteria=CRITERIA, settlement=HALVES)
    world.hirer.reviewers.clear()
    ours = world.begin(replace(wanted, reviewed=False))
    world.until("delivered", ours.id)
    world.settle()
    assert acts(world, ours, verdict(world, passed=False)) == ""
    world.until("closed", ours.id)
    assert last(world.provider, ours.id, Closing).settlement.amount == "0"


def test_a_no_asks_for_rework_while_there_is_some(open_world: Open) -> None:
    world, ours = delivered(open_world, reworks=1)
    assert acts(world, ours, verdict(world, passed=False)) == ""
    world.until("delivered", ours.id)
    world.settle()
    assert last(world.provider, ours.id, Delivery).round == 2
    assert acts(world, ours, verdict(world, passed=True)) == ""
    world.until("closed", ours.id)
    assert last(world.provider, ours.id, Review).verdict == "accepted"
    assert pack_of(world, world.provider, ours).ok


def did_jwk(key: PublicKey) -> str:
    return "did:jwk:" + base64url_encode(canonicalize(key.jwk))


class Posing:
    """A DID of its own, and the key of a party."""

    def __init__(self, did: str, node: Node) -> None:
        self.did = did
        self.method = document_from(did, {}).methods("assertionMethod")[0]
        self.node = node

    def states(self, world: World, delivery: Delivery, ours: Conversation) -> JsonObject:
        predicate = accepted(
            contract=delivery.contract,
            document_id=ours.offered().id,
            verifier=self.did,
            passed=True,
            statements=(),
            time_verified=world.clock.now(),
        )
        payload = make_statement({one.name: one.digest for one in delivery.artifacts}, predicate)
        return envelope(payload, [(self.method, world.run(self.node.identity.sign(pae(PAYLOAD_TYPE, payload))))])


def test_what_is_not_the_verifiers_is_not_carried(open_world: Open) -> None:
    """HIRE-ATT-06: of a stranger, of a party, of another contract or artifact; and nothing of it changes anything."""
    world, ours = delivered(open_world)
    stranger = Party("stranger")
    other = {"summary.txt": digest_bytes(b"another")}
    for statement, code in (
        (verdict(world, by=stranger, verifier=stranger.did), "attester_not_trusted"),
        (verdict(world, by=stranger), "attester_not_trusted"),
        (verdict(world, verifier=world.hirer.did), "attester_not_trusted"),
        (verdict(world, contract=digest_bytes(b"another")), "attestation_binding"),
        (verdict(world, artifacts=other), "digest_mismatch"),
        ({"payload": ""}, "schema_violation"),
    ):
        assert acts(world, ours, statement) == code
    assert folded(world.hirer, ours.id).state == "delivered"
    assert acts(world, ours, verdict(world)) == ""
    assert acts(world, ours, verdict(world)) == "wrong_state"


def test_a_key_that_a_verifier_had_before_states_nothing(open_world: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-ATT-02: the message around it is the hirer's, and no key in force vouches for what it took out."""
    world, ours = delivered(open_world)
    former = Party("former")
    document = make_document(JUDGE.did, authentication={}, assertion_method={"former": former.key})

    async def recorded(*_: Any) -> tuple[DidDocument, ...]:
        return (DidDocument(JUDGE.did, canonicalize(document)),)

    monkeypatch.setattr("undersigned.runtime.execution.review.recorded_documents", recorded)
    assert acts(world, ours, verdict(world, by=former)) == "attester_not_trusted"
    assert folded(world.hirer, ours.id).state == "delivered"


@pytest.mark.parametrize("role", ["hirer", "provider"])
def test_a_verifier_with_a_key_of_a_party_is_none(open_world: Open, monkeypatch: pytest.MonkeyPatch, role: str) -> None:
    """HIRE-ATT-06: a DID costs nothing, so it is the key that counts; the hirer carries it not, the provider takes it
    not, and no pack holds with it.
    """
    world = open_world()
    node: Node = getattr(world, role)
    posing = Posing(did_jwk(node.office.key().public_key), node)
    ours = world.begin(verifier=posing.did)
    world.until("delivered", ours.id)
    world.settle()
    statement = posing.states(world, last(world.hirer, ours.id, Delivery), ours)
    assert acts(world, ours, statement) == "attester_not_trusted"

    async def unchecked(*_: Any, **__: Any) -> tuple[tuple[()], bool]:
        return (), True

    monkeypatch.setattr(world.hirer.reviews, "_verdict", unchecked)
    assert acts(world, ours, statement) == ""
    world.settle()
    assert folded(world.provider, ours.id).state == "delivered"
    assert "attester_not_trusted" in [event.code for event in world.provider.events if event.kind == "refused"]
    (failed, *_) = [step for step in pack_of(world, world.hirer, ours).steps if not step.ok]
    assert (failed.name, failed.code) == ("acceptance of the work", "attester_not_trusted")


@pytest.mark.parametrize("end", [{}, REVOKED, ENDED], ids=["good", "revoked", "ended"])
@pytest.mark.parametrize("role", ["hirer", "provider"])
def test_a_verifier_with_a_key_that_a_party_had_is_none(open_world: Open, role: str, end: dict[str, str]) -> None:
    """HIRE-ATT-06: a key that was replaced, and that a document recorded with the engagement lists, as good or as over:
    whose it was still has it. A pack has that too, so one that was taken left the provider without evidence.
    """
    world, ours = delivered(open_world)
    party: Node = getattr(world, role)
    document: Any = make_document(party.did, authentication={}, assertion_method={"before": JUDGE.key})
    document["verificationMethod"][0] |= end
    blob = document_blob(DidDocument(party.did, canonicalize(document)))
    acting, statement = world.hirer.ledger.evidence, verdict(world)

    async def recorded(engagement: str) -> tuple[Blob, ...]:
        return (*await acting(engagement), blob)

    world.hirer.ledger.evidence = recorded
    assert acts(world, ours, statement) == "attester_not_trusted"
    world.hirer.ledger.evidence, acting = acting, world.provider.ledger.evidence
    world.provider.ledger.evidence = recorded
    world.provider.the(ours.id)._documents.look_again()  # else it knows what it has stored itself
    assert acts(world, ours, statement) == ""
    world.settle()
    assert folded(world.provider, ours.id).state == "delivered"
    assert "attester_not_trusted" in [event.code for event in world.provider.events if event.kind == "refused"]


@pytest.mark.parametrize("to", [TWIN.did, None], ids=["another", "none"])
def test_a_verdict_that_crosses_the_seal_of_another_verifier_is_taken(open_world: Open, to: str | None) -> None:
    """HIRE-ATT-06: by the terms before as well, where the hirer had not seen the seal; and both packs hold."""
    world, ours = delivered(open_world)
    hirer, provider = world.hirer, world.provider
    theirs, judged = provider.the(), verdict(world)
    world.run(provider.changes.amend(theirs, lambda terms: judged_by(terms, to)), 1)
    world.settle()
    tabled = ours.engagement.tabled
    assert tabled is not None
    world.cut = True
    world.run(hirer.changes.accept(ours, tabled.document), 1)
    accepted = next(one for one in reversed(messages(hirer, ours.id)) if isinstance(one.message, Acceptance))
    world.tell(accepted.raw, hirer.did, provider)
    world.settle()
    contract = theirs.engagement.contract
    assert contract is not None
    assert contract.in_force == tabled.document
    assert acts(world, ours, judged) == ""
    world.cut = False
    world.until("closed", ours.id)
    assert last(provider, ours.id, Review).verdict == "accepted"
    for node in world.nodes:
        report = pack_of(world, node, ours)
        assert report.ok, [step for step in report.steps if not step.ok]


def judged_by(terms: Terms, verifier: str | None) -> Terms:
    return replace(terms, evidence=replace(terms.evidence, verifier=verifier))


def test_a_verifier_cannot_accept_what_does_not_hold(open_world: Open) -> None:
    """What was delivered is checked by the hirer all the same; a no of the verifier is carried."""

    async def nothing(job: Job) -> None:
        await job.deliver("summary.txt", b"done")

    world, ours = delivered(open_world, handler=nothing, sbom="SPDX 2.3")
    assert acts(world, ours, verdict(world)) == "digest_mismatch"
    assert acts(world, ours, verdict(world, passed=False)) == ""
    world.until("closed", ours.id)
    assert last(world.provider, ours.id, Review).verdict == "rejected"


def test_the_provider_takes_no_verdict_of_the_hirer(open_world: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hirer that judges itself, where the contract names another: its Review is refused before it is recorded."""
    world, ours = delivered(open_world)
    delivery = last(world.hirer, ours.id, Delivery)
    predicate = accepted(
        contract=delivery.contract,
        document_id=ours.offered().id,
        verifier=world.hirer.did,
        passed=False,
        statements=(),
        time_verified=world.clock.now(),
    )
    own = world.run(world.hirer.papers.stated({one.name: one.digest for one in delivery.artifacts}, predicate))

    async def unchecked(*_: Any, **__: Any) -> tuple[tuple[()], bool]:
        return (), False

    monkeypatch.setattr(world.hirer.reviews, "_verdict", unchecked)
    assert acts(world, ours, own) == ""
    world.settle()
    assert folded(world.provider, ours.id).state == "delivered"
    refused = [event.code for event in world.provider.events if event.kind == "refused"]
    assert "attester_not_trusted" in refused


@pytest.mark.parametrize("passed", [True, False])
def test_the_provider_takes_no_verdict_but_the_one_that_is_stated(
    open_world: Open, monkeypatch: pytest.MonkeyPatch, passed: bool
) -> None:
    """HIRE-ATT-06: what is owed rests on the verdict, and who audits reads the statement."""
    world, ours = delivered(open_world)

    async def turned(*_: Any, **__: Any) -> tuple[tuple[()], bool]:
        return (), not passed

    monkeypatch.setattr(world.hirer.reviews, "_verdict", turned)
    assert acts(world, ours, verdict(world, passed=passed)) == ""
    world.settle()
    assert folded(world.provider, ours.id).state == "delivered"
    assert "terms_mismatch" in [event.code for event in world.provider.events if event.kind == "refused"]


def test_after_a_restart_the_verdict_is_still_awaited(open_world: Open) -> None:
    world, ours = delivered(open_world)
    again = world.restart(world.hirer)
    world.settle()
    assert again.the(ours.id).engagement.state == "delivered"
    world.run(again.changes.judge(again.the(ours.id), verdict(world)), 1)
    world.until("closed", ours.id)
    assert last(world.provider, ours.id, Review).verdict == "accepted"


def test_a_verdict_that_comes_before_our_own_check_is_done_is_carried_after_it(open_world: Open) -> None:
    """Until then it is told what is waited for; and the provider that it carries none."""
    checked = asyncio.Event()

    async def slowly(done: Any) -> dict[str, bool]:
        await checked.wait()
        return {"whole": True}

    world = open_world()
    world.hirer.reviewers["summary"] = slowly
    ours = world.begin(verifier=JUDGE.did, criteria={"whole": "nothing is missing"})
    world.until("delivered", ours.id)
    for node, why in (
        (world.hirer, "our own check of the delivery is not done"),
        (world.provider, "in state delivered, where we are the provider"),
    ):
        with pytest.raises(LocalProtocolError, match=why):
            world.run(node.changes.judge(node.the(ours.id), verdict(world)), 1)
    checked.set()
    world.settle()
    assert acts(world, ours, verdict(world)) == ""
    world.until("closed", ours.id)


def test_a_verdict_on_the_next_round_waits_for_its_own_check(open_world: Open) -> None:
    """HIRE-ATT-06: what was found of the round before says nothing of this one."""
    world, ours = delivered(open_world, reworks=1)
    checked = asyncio.Event()

    async def slowly(_: Any) -> dict[str, bool]:
        await checked.wait()
        return {"whole": True}

    world.hirer.reviewers["summary"] = slowly
    assert acts(world, ours, verdict(world, passed=False)) == ""
    world.until("delivered", ours.id)
    world.settle(5)
    assert last(world.hirer, ours.id, Delivery).round == 2
    assert acts(world, ours, verdict(world)) == "wrong_state"
    checked.set()
    world.settle()
    assert acts(world, ours, verdict(world)) == ""
    world.until("closed", ours.id)
    assert last(world.provider, ours.id, Review).verdict == "accepted"


def test_who_may_be_a_verifier(open_world: Open) -> None:
    """HIRE-CTR-12: neither party. And where none is named, nobody's verdict is carried."""
    world = open_world()
    for named in (world.hirer.did, world.provider.did, "judge"):
        with pytest.raises(ConfigurationError, match="verifier"):
            world.order(verifier=named)
    ours = world.begin()
    world.until("closed", ours.id)
    with pytest.raises(LocalProtocolError):
        world.run(world.hirer.changes.judge(ours, decode_json(b"{}")), 1)
