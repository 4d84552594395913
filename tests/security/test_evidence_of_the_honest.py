"""What the other side says must not take from an honest one the evidence of it: whatever is recorded, its pack holds.

Globex is attacked by who hires it, with good keys on proved connections.
"""

from __future__ import annotations

from typing import Any

import pytest

from integration.hires import until
from security.test_over_the_wire_contract import Contracted, contracted
from security.test_over_the_wire_replay import made
from security.wire_attacker import attacked
from security.wire_world import World
from undersigned.attestation import PAYLOAD_TYPE, accepted, envelope, make_statement, pae
from undersigned.encoding import Digest, JsonObject
from undersigned.evidence import Report, verify_pack
from undersigned.runtime import export_pack
from undersigned.testing import ARTIFACT, cancel, review

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]


async def report_on(world: World, hiring: Contracted) -> Report:
    """The report on the pack that Globex makes of this engagement."""
    globex = world.globex
    data = await export_pack(globex.ledger, globex.artifacts, globex.identity.did, hiring.id)
    return verify_pack(data, now=globex.clock.now())


def verdict(hiring: Contracted, *, passed: bool = False, about: dict[str, Digest] | None = None) -> JsonObject:
    """The attacker's statement about what Globex delivered, which is nothing."""
    contract = hiring.party.engagement.contract
    assert contract is not None
    predicate = accepted(
        contract=contract.digest,
        document_id="urn:example:contract",
        verifier=hiring.who.did,
        passed=passed,
        statements=(),
        time_verified=hiring.party.now,
    )
    payload = make_statement(about or {"contract": contract.digest}, predicate)
    return envelope(payload, [(hiring.who.method, hiring.who.signature(pae(PAYLOAD_TYPE, payload)))])


async def delivered(world: World) -> Contracted:
    """A contract whose work was cancelled: Globex has delivered what there is, which is nothing, and waits."""
    hiring = await contracted(world, "working")
    await hiring.do(cancel())
    await hiring.hear("Delivery")
    return hiring


@pytest.mark.parametrize(
    ("of", "members", "code"),
    [
        ("no statement", {"statement": {}}, "schema_violation"),
        ("another verdict", {"verdict": "accepted"}, "terms_mismatch"),
        ("another delivery", {"delivery": ARTIFACT}, "terms_mismatch"),
        ("no criterion", {"criteria": ()}, "terms_mismatch"),
    ],
)
async def test_hire_att_06_a_review_that_moves_nothing_is_held_to_what_it_says(
    world: World, of: str, members: dict[str, Any], code: str
) -> None:
    """It crossed the end of the contract, so it is void; one that does not hold is refused all the same, for a pack
    with it would not hold. One that holds is recorded, and the pack holds.
    """
    hiring = await delivered(world)
    globex = world.globex
    whole = {"statement": verdict(hiring)}
    bad, good = (made(hiring, review("rejected"), **given) for given in (whole | members, whole))
    await globex.changes.revoke(globex.conversations[hiring.id])
    told, before, after, _ = await attacked(hiring.line, bad)
    assert (told.how, told.code) == ("Problem", code), of
    assert before == after
    if hiring.line.closed is not None or code == "terms_mismatch":
        await hiring.line.wait(lambda: hiring.line.closed)
        await hiring.come_back()
    await hiring.said(good)
    conversation = globex.conversations[hiring.id]
    await until(lambda: len(conversation.engagement.got) == len(hiring.party.engagement.sent))
    report = await report_on(world, hiring)
    assert report.ok, report.steps


async def test_hire_att_06_nothing_that_was_delivered_may_be_accepted(world: World) -> None:
    """A hirer may pay for what came to nothing: the pack of who was paid holds."""
    hiring = await delivered(world)
    await hiring.do(review("accepted", statement=verdict(hiring, passed=True)))
    await hiring.hear("Closing")
    report = await report_on(world, hiring)
    assert report.ok, report.steps
