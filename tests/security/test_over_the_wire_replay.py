"""SC-37 to SC-50 on a running peer: messages that were good once, elsewhere, or before another one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest

from security.wire_attacker import Attacker, Hiring, Line, Stranger, hiring_at, quiet_logs, refused, still_open
from security.wire_world import Kept, World, world_in
from undersigned.encoding import canonicalize, digest_bytes, shift
from undersigned.messages import Withdraw
from undersigned.testing import Say, acceptance, delivery, offer, profile, seal, start, withdraw
from unit.cli.running import run

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

NEVER = digest_bytes(b"nothing that was ever said")
_numbers = count(1)


async def lined(world: World) -> Line:
    """A fresh attacker's connection."""
    return await Line.to(world, Attacker(f"replaying {next(_numbers)}"))


def said_by(hiring: Hiring) -> list[bytes]:
    """Every move that the attacker made, oldest first."""
    return [hiring.party.stored[digest].raw for digest in hiring.party.engagement.sent]


def made(hiring: Hiring, move: Say, **members: Any) -> bytes:
    """A move signed, legal or not, and not recorded."""
    message = move._replace(members=move.members | members).message(hiring.party)
    return hiring.who.sign(message, hiring.party.now).raw


# --- SC-37 ----------------------------------------------------------------------------------------------------------


async def replayed(hiring: Hiring, raws: list[bytes]) -> None:
    """Each of these again: a receipt, what may have been missed in the very bytes it had, and nothing kept."""
    world, line = hiring.line.world, hiring.line
    before = await world.kept(hiring.who.did)
    with quiet_logs():
        for raw in raws:
            at = len(line.frames)
            await line.send(raw)
            digest = hiring.party.stored[digest_of(raw)].digest

            def receipt(at: int = at, digest: str = digest) -> bool | None:
                frames = [json.loads(frame) for frame in line.frames[at:]]
                assert all(frame["type"] not in ("Fault", "Problem") for frame in frames), frames
                return any(digest in frame.get("of", ()) for frame in frames if frame["type"] == "Receipt") or None

            await line.wait(receipt)
            moves = [frame for frame in line.frames[at:] if json.loads(frame)["type"] not in ("Receipt", "Sync")]
            known = {message.raw for message in hiring.party.stored.values()}
            assert set(moves) <= known
    assert await world.kept(hiring.who.did) == before
    await still_open(line)


def digest_of(raw: bytes) -> str:
    content = json.loads(raw)
    del content["proof"]
    return digest_bytes(canonicalize(content))


@pytest.mark.parametrize("price", ["4", "3"])
async def test_sc_37_a_plain_replay(world: World, price: str) -> None:
    """Every move of a negotiation that made a contract: on the same connection, and on a new one."""
    line = await lined(world)
    hiring = await Hiring(line).up_to("sealed", price)
    await replayed(hiring, said_by(hiring))
    await line.hang_up()
    await hiring.come_back()
    await replayed(hiring, said_by(hiring) * 2)
    await hiring.go_on()  # the start
    await replayed(hiring, said_by(hiring)[::-1])
    assert len((await world.kept(hiring.who.did)).contracts) == 1
    await hiring.line.hang_up()


async def test_sc_37_the_stored_answer_goes_out_again(world: World) -> None:
    """In the same bytes: one profile, one acceptance, however often it is asked for."""
    line = await lined(world)
    hiring = Hiring(line)
    for state, kind in (("profiled", "Profile"), ("ready", "Presentation"), ("accepted-by-provider", "Acceptance")):
        await hiring.up_to(state)
        for _ in range(3):
            await replayed(hiring, said_by(hiring)[-1:])
        frames = [(json.loads(frame), frame) for frame in line.frames]
        answers = [raw for frame, raw in frames if frame["type"] == kind and frame["engagement"] == hiring.id]
        assert len(answers) == 4
        assert len(set(answers)) == 1
    await line.hang_up()


async def test_sc_37_a_replay_of_what_has_ended(world: World) -> None:
    """Withdrawn is withdrawn: the moves before it get their receipts, and nothing begins again."""
    line = await lined(world)
    hiring = await Hiring(line).up_to("ready")
    await hiring.give_up()
    await replayed(hiring, said_by(hiring))
    (summary,) = (one for one in (await world.kept(line.who.did)).summaries if one.engagement == hiring.id)
    assert summary.state == "withdrawn"
    await line.hang_up()


async def test_sc_37_a_replay_after_a_restart_and_after_a_day(tmp_path: Path) -> None:
    """After a restart as before it; after a day the proofs are past, and that is all that is said."""
    async with world_in(tmp_path) as world:
        line = await lined(world)
        hiring = await Hiring(line).up_to("sealed")
        kept = await world.kept(line.who.did)
        await line.hang_up()
        await world.restart()
        await hiring.come_back()
        assert (await world.kept(line.who.did)).rows == kept.rows
        await replayed(hiring, said_by(hiring))
        world.clock.held = shift(world.clock.now(), 86_401)
        for raw in said_by(hiring):
            told = await refused(hiring.line, raw, "proof_expired")
            assert told.path == ""


# --- SC-38, SC-39 ---------------------------------------------------------------------------------------------------


async def test_sc_38_to_another_recipient(world: World) -> None:
    """What was signed for Acme is not Globex's, whoever brings it."""
    async with hiring_at(world, "ready") as hiring:
        line, acme = hiring.line, world.acme.identity.did
        for raw in (
            made(hiring, hiring.next_move(), recipient=acme),
            made(hiring, Hiring(line)._first, recipient=acme),
        ):
            await refused(line, raw, "wrong_recipient")


async def test_sc_38_brought_by_somebody_else(world: World) -> None:
    """A good message for Globex from the wrong side of a connection: closed before its proof is looked at (SC-01)."""
    async with hiring_at(world, "ready") as hiring:
        raw = hiring.next_message().raw
        other = await lined(world)
        before = await world.kept(hiring.who.did)
        await refused(other, raw, "proof_invalid", how="close", close_code=1008, logged="key_not_authorized")
        assert await world.kept(hiring.who.did) == before


async def test_sc_39_into_another_negotiation(world: World) -> None:
    """An acceptance of one engagement in another with the same terms: as it is, renamed, and renamed and signed."""
    line = await lined(world)
    first = await Hiring(line).up_to("offered-by-provider", "3")
    second = await Hiring(line).up_to("offered-by-provider", "3")
    accepted = first.next_json()
    moved = accepted | {"engagement": second.id, "previous": second.party.engagement.sent[-1]}
    moved["seen"] = second.party.engagement.got[-1]
    await refused(line, canonicalize(moved), "proof_invalid")
    now = world.clock.now()
    # Its offer is not on the table here; and if it names the one that is, the second signature is for another document.
    await refused(line, canonicalize(line.who.signed(moved, now)), "stale_offer", how="Problem")
    live = second.party.engagement.offer
    assert live is not None
    moved |= {"offer": live.digest, "document": live.document}
    await refused(line, canonicalize(line.who.signed(moved, now)), "proof_invalid", how="Problem")
    for hiring in (first, second):
        await hiring.up_to("sealed")
    assert len((await world.kept(line.who.did)).contracts) == 2
    await line.hang_up()


async def test_sc_39_an_engagement_of_others_is_as_one_that_does_not_exist(world: World) -> None:
    async with hiring_at(world, "ready") as hiring:
        other = await lined(world)
        own = await Hiring(other).up_to("ready")
        replies = []
        for engagement in (hiring.id, f"urn:hire:engagement:{NEVER}"):
            raw = made(own, own.next_move(), engagement=engagement)
            told = await refused(other, raw, "wrong_negotiation")
            frame = json.loads(told.raw)
            del frame["of"]
            replies.append(frame)
        assert replies[0] == replies[1]
        await other.hang_up()


# --- SC-40, SC-48, SC-50, SC-53 -------------------------------------------------------------------------------------


def two_bodies(hiring: Hiring, how: str) -> bytes:
    """The last move again, with the same id or another, and something else in it."""
    message = json.loads(said_by(hiring)[-1])
    if how == "another id":
        message["id"] = hiring.who.message_id()
    elif message["type"] == "Offer":
        message["validUntil"] = shift(message["validUntil"], 1)
    else:
        message["presentation"]["id"] = hiring.who.message_id()
    return canonicalize(hiring.who.signed(message, hiring.party.now))


def equivocated(before: Kept, after: Kept, raw: bytes) -> None:
    """Everything stands as it was; in addition both messages are kept, and a note that they are."""
    assert [(one.state, one.position, one.contract) for one in before.summaries] == [
        (one.state, one.position, one.contract) for one in after.summaries
    ]
    assert (before.outbox, before.folded, before.tree_size) == (after.outbox, after.folded, after.tree_size)
    (rows,), (old,) = after.rows, before.rows
    assert rows[: len(old)] == old
    fresh = rows[len(old) :]
    noted = [row for row in fresh if row.kind == "noted"]
    assert [(row.type, row.raw.decode()) for row in noted] == [("equivocation", digest_of(raw))]
    assert all(row.sequence is None for row in fresh)
    blobs = [blob for blob in after.evidence[0] if blob.kind == "equivocation"]
    assert [blob.raw for blob in blobs] == [raw]
    assert not [blob for blob in before.evidence[0] if blob.kind == "equivocation"]


@pytest.mark.parametrize("how", ["the same id", "another id"])
@pytest.mark.parametrize("state", ["ready", "accepted-by-provider"])
async def test_sc_40_same_place_different_body(world: World, state: str, how: str) -> None:
    """Refused, kept as proof, the connection closed; the first one stands, and the negotiation goes on."""
    line = await lined(world)
    hiring = await Hiring(line).up_to(state)
    before = await world.kept(line.who.did)
    raw = two_bodies(hiring, how)
    with quiet_logs():
        await line.send(raw)
        closed = await line.wait(lambda: line.closed)
        assert closed.detail["close_code"] == 1008
        told = line.answer({digest_of(raw)})
        assert told is not None
        assert (told.how, told.code) == ("Problem", "conflicting_message")
        after = await world.kept(line.who.did)
    equivocated(before, after, raw)
    # One proof is enough: a second one, and a third, fill no store.
    for _ in range(2):
        line = await hiring.come_back()
        message = json.loads(raw) | {"id": hiring.who.message_id()}
        other = canonicalize(hiring.who.signed(message, hiring.party.now))
        kept = await world.kept(line.who.did)
        await line.send(other)
        await line.wait(lambda line=line: line.closed)
        again = await world.kept(line.who.did)
        assert again.evidence == kept.evidence
        assert again.rows == kept.rows
    await hiring.come_back()
    await hiring.up_to("sealed")
    await hiring.line.hang_up()


async def test_sc_48_the_same_acceptance_twice_and_another_one(world: World) -> None:
    """Of a counter-offer: one contract, however often; another acceptance in a later place is one too many."""
    line = await lined(world)
    hiring = await Hiring(line).up_to("sealed", "3")
    await replayed(hiring, said_by(hiring)[-1:] * 2)
    document = hiring.offered()
    live = hiring.party.engagement.offer
    assert live is not None
    proof = hiring.who.prove_acceptance(document, hiring.party.now)
    raw = made(hiring, acceptance(), offer=live.digest, document=live.document, contract_proof=proof)
    await refused(line, raw, "already_contracted", how="Problem")
    assert len((await world.kept(line.who.did)).contracts) == 1
    await line.hang_up()


async def test_sc_50_two_offers_in_one_place(world: World) -> None:
    """The second one at another price, after the first was accepted: the contract is the first."""
    line = await lined(world)
    hiring = await Hiring(line).up_to("ready")
    cheaper = made(hiring, offer(terms=hiring.terms("1")))
    await hiring.up_to("accepted-by-provider")
    before = await world.kept(line.who.did)
    await refused(line, cheaper, "conflicting_message", how="Problem", close_code=1008, unchanged=False)
    await hiring.come_back()
    await hiring.up_to("sealed")
    kept = await world.kept(line.who.did)
    assert len(kept.contracts) == 1
    # Both are there, signed, for whoever is to judge.
    place = next(number for number, one in enumerate(kept.summaries) if one.engagement == hiring.id)
    assert cheaper in [blob.raw for blob in kept.evidence[place]]
    assert said_by(hiring)[2] in [row.raw for row in kept.rows[place]]
    assert before.tree_size <= kept.tree_size
    await hiring.line.hang_up()


@pytest.mark.parametrize("first", ["Withdraw", "Seal"])
async def test_sc_53_a_refusal_and_a_contract_in_one_place(world: World, first: str) -> None:
    """Whichever comes first stands; the other is kept as proof."""
    line = await lined(world)
    hiring = await Hiring(line).up_to("accepted-by-provider")
    says = {"Withdraw": withdraw("revoked"), "Seal": seal()}
    late = made(hiring, says.pop("Seal" if first == "Withdraw" else "Withdraw"))
    await hiring.say(says[first])
    await hiring.hear("Receipt")
    await refused(line, late, "conflicting_message", how="Problem", close_code=1008, unchanged=False)
    kept = await world.kept(line.who.did)
    place = next(number for number, one in enumerate(kept.summaries) if one.engagement == hiring.id)
    assert kept.summaries[place].state == ("withdrawn" if first == "Withdraw" else "sealed")
    assert len(kept.contracts) == (0 if first == "Withdraw" else 1)
    assert [blob.raw for blob in kept.evidence[place] if blob.kind == "equivocation"] == [late]


async def test_sc_50_what_was_kept_accuses_whoever_signed_both(tmp_path: Path) -> None:
    """HIRE-TRU-27: written out of the store, named by an accusation, and taken in beside it alone."""
    proof, accusation = tmp_path / "proof.json", tmp_path / "accusation.json"
    async with world_in(tmp_path / "world") as world:
        line = await lined(world)
        hiring = await Hiring(line).up_to("ready")
        with quiet_logs():
            await line.send(two_bodies(hiring, "another id"))
            await line.wait(lambda: line.closed)

        async def ran(*command: object) -> int:
            return (await asyncio.to_thread(run, *command, "--home", world.globex.home.path, "--json")).code

        assert await ran("export", hiring.id, "--equivocation", "--out", proof) == 0
        of = ("--type", "accusation", "--kind", "equivocation", "--evidence", proof)
        assert await ran("credentials", "issue", line.who.did, *of, "--out", accusation) == 0
        assert await ran("trust", "import", accusation) != 0
        assert await ran("trust", "import", accusation, "--evidence", proof) == 0
        again = await shown_anew(world, line.who)
        assert [need.code for need in again.needed or ()] == ["not_accused"]


async def shown_anew(world: World, who: Attacker) -> Withdraw:
    """What is said to it in another engagement, once it has shown what it has."""
    hiring = await Hiring(await Line.to(world, who)).up_to("profiled")
    await hiring.said(hiring.next_message().raw)
    said = await hiring.hear("Withdraw")
    assert isinstance(said, Withdraw)
    return said


# --- SC-41, SC-42 ---------------------------------------------------------------------------------------------------


async def test_sc_41_reordering(world: World) -> None:
    """A start before its seal is too early, which is no offence; in order both are taken."""
    line = await lined(world)
    hiring = await Hiring(line).up_to("accepted-by-provider")
    sealed = hiring.party.say(seal().message).raw
    started = hiring.party.say(start().message).raw
    for _ in range(25):
        told = await refused_early(line, started)
        assert told["retryable"] is True
        assert told["final"] is False
    await line.send(sealed)
    await line.send(started)
    await line.wait(lambda: line.world.globex.conversations[hiring.id].engagement.state == "working" or None)
    await still_open(line)
    await line.hang_up()


async def refused_early(line: Line, raw: bytes) -> dict[str, Any]:
    before, at = await line.world.kept(line.who.did), len(line.frames)
    await line.send(raw)

    def problem() -> dict[str, Any] | None:
        frames = [json.loads(frame) for frame in line.frames[at:]]
        return next((frame for frame in frames if frame["type"] == "Problem"), None)

    told = await line.wait(problem)
    assert told["code"] == "out_of_order"
    assert await line.world.kept(line.who.did) == before
    return told


@pytest.mark.parametrize("seed", range(3))
async def test_sc_42_a_storm_of_duplicates(world: World, seed: int) -> None:
    """Every move of eight engagements goes out one to five times, between each other's: one contract each."""
    random = Random(seed)
    line = await lined(world)
    send, sent = line.send, list[bytes]()

    async def storm(raw: bytes) -> None:
        sent.append(raw)
        for one in [raw, *random.choices(sent, k=random.randint(0, 4))]:
            await send(one)

    line.send = storm  # type: ignore[method-assign]
    hirings = [Hiring(line) for _ in range(8)]
    prices = {hiring.id: random.choice(["3", "4"]) for hiring in hirings}
    while unfinished := [hiring for hiring in hirings if hiring.state != "sealed"]:
        hiring = random.choice(unfinished)
        await hiring.go_on(prices[hiring.id])
    kept = await world.kept(line.who.did)
    assert len(kept.contracts) == len(kept.summaries) == 8
    for rows in kept.rows:
        moves = [(row.sender, row.sequence) for row in rows if row.sequence is not None]
        assert len(moves) == len(set(moves))
        assert sum(1 for row in rows if row.type == "Seal") == 1
        assert sum(1 for row in rows if row.type == "Acceptance") == 1
    assert not [frame for frame in line.frames if json.loads(frame)["type"] in ("Fault", "Problem")]
    await line.hang_up()


# --- SC-43, SC-64 ---------------------------------------------------------------------------------------------------


async def test_sc_43_a_challenge_is_answered_once(world: World) -> None:
    """By one frame, on one connection, for one peer, and soon."""
    who = Attacker("answers twice")
    async with Stranger.at(world, who) as stranger:
        used = canonicalize(stranger.opening())
        await stranger.channel.send(used)
        assert json.loads(await stranger.channel.receive())["part"] == "acceptor"
        line = Line(world, who, stranger.channel)
        await refused(line, used, "schema_violation", path="/type")
    async with Stranger.at(world, who) as stranger:
        assert await stranger.sends(used) == (1008, "proof_invalid")
    now = world.clock.now()
    for wrong in (
        {"domain": world.acme.identity.did},
        {"challenge": who.nonce()},
        {"created": shift(now, -600), "expires": shift(now, -540)},
        {"created": shift(now, 120), "expires": shift(now, 180)},
        {"expires": shift(now, 3600)},
    ):
        async with Stranger.at(world, who) as stranger:
            frame = stranger.opening()
            proof: Any = frame["proof"]
            right = {name: proof[name] for name in ("challenge", "domain", "created", "expires")}
            assert await stranger.sends(canonicalize(who.signed(frame, now, **right | wrong))) == (
                1008,
                "proof_invalid",
            )
    async with Stranger.at(world, who) as stranger:
        frame = stranger.opening(recipient=world.acme.identity.did)
        assert await stranger.sends(canonicalize(frame)) == (1008, "proof_invalid")


async def test_sc_43_a_presentation_answers_one_move(world: World) -> None:
    """Made for another engagement, for somebody else, or in answer to something else: the connection ends."""
    async with hiring_at(world, "profiled") as hiring:
        other = await Hiring(hiring.line).up_to("profiled")
        acme = world.acme.identity.did
        for shown, code in (
            (hiring.who.shown(hiring.party, challenge=NEVER), "challenge_mismatch"),
            (hiring.who.shown(hiring.party, challenge=other.party.engagement.got[-1]), "challenge_mismatch"),
            (hiring.who.shown(hiring.party, domain=acme), "challenge_mismatch"),
        ):
            raw = hiring.next_message(presentation=shown).raw
            await refused(hiring.line, raw, code, how="Problem", close_code=1008)
            await hiring.come_back()
        raw = hiring.next_message(presentation=hiring.who.shown(other.party)).raw
        await refused(hiring.line, raw, "wrong_negotiation", how="Problem")
        for name in ("challenge", "domain"):
            message = hiring.next_json()
            del message["presentation"]["proof"][name]
            raw = canonicalize(hiring.who.signed(message, hiring.party.now))
            await refused(hiring.line, raw, "challenge_mismatch", how="Problem", close_code=1008)
            await hiring.come_back()


async def test_sc_64_a_borrowed_credential(world: World) -> None:
    async with hiring_at(world, "profiled") as hiring:
        who, victim = hiring.who, Attacker("somebody whose credential was seen")
        theirs = who.member(hiring.party.now, of=victim.did)
        raw = hiring.next_message(presentation=who.shown(hiring.party, credentials=(theirs,))).raw
        told = await refused(hiring.line, raw, "holder_mismatch", how="Problem", close_code=1008)
        assert told.path == "/presentation/verifiableCredential/0/credentialSubject"
        await hiring.come_back()
        # Whoever else it names is not looked up: then the code would be that of a name that leads nowhere.
        of_another = {**who.shown(hiring.party), "holder": "did:web:nobody.example"}
        await refused(
            hiring.line,
            hiring.next_message(presentation=of_another).raw,
            "holder_mismatch",
            how="Problem",
            close_code=1008,
        )


# --- SC-44 to SC-49, where the code is the peer's to see ------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "price", "move", "code"),
    [
        ("ready", "4", start(), "wrong_state"),
        ("ready", "4", seal(), "wrong_state"),
        ("ready", "4", acceptance(), "wrong_state"),
        ("ready", "4", delivery(), "wrong_state"),
        ("profiled", "4", profile(), "wrong_state"),
        ("offered-by-provider", "3", start(), "wrong_state"),
        ("accepted-by-provider", "4", acceptance(), "wrong_state"),
        ("sealed", "4", withdraw(), "wrong_state"),
        ("sealed", "4", delivery(), "wrong_state"),
    ],
)
async def test_sc_44_what_is_not_legal_here(world: World, state: str, price: str, move: Say, code: str) -> None:
    """SC-45, SC-54: also what skips the middle, and what would undo a contract."""
    async with hiring_at(world, state, price) as hiring:
        told = await refused(hiring.line, made(hiring, move), code, how="Problem")
        assert json.loads(told.raw)["final"] is (move.type not in ("Acceptance", "Seal"))


async def test_sc_44_the_other_role(world: World) -> None:
    async with hiring_at(world, "ready") as hiring:
        await refused(hiring.line, made(hiring, hiring.next_move(), role="provider"), "wrong_party", how="Problem")


async def test_sc_46_another_offer_than_the_live_one(world: World) -> None:
    """The attacker's own first offer, and one that never was."""
    async with hiring_at(world, "offered-by-provider", "3") as hiring:
        for named in (hiring.party.engagement.sent[-1], NEVER):
            await refused(hiring.line, made(hiring, acceptance(), offer=named), "stale_offer", how="Problem")


@pytest.mark.parametrize("member", ["document", "acceptance", "offer"])
async def test_sc_49_a_seal_of_something_else(world: World, member: str) -> None:
    """Refused, the connection closed; and the right one is taken afterwards."""
    async with hiring_at(world, "accepted-by-provider") as hiring:
        raw = made(hiring, seal(), **{member: NEVER})
        await refused(hiring.line, raw, "terms_mismatch", how="Problem", close_code=1008)


async def test_sc_49_an_acceptance_of_other_terms_ends_it(world: World) -> None:
    """The offerer says what is wrong with it, withdraws, and hangs up (HIRE-NEG-17)."""
    line = await lined(world)
    hiring = await Hiring(line).up_to("offered-by-provider", "3")
    raw = made(hiring, acceptance(), document=NEVER)
    await refused(line, raw, "terms_mismatch", how="Problem", close_code=1008, unchanged=False)
    said = [json.loads(frame) for frame in line.frames]
    assert [frame["reason"] for frame in said if frame["type"] == "Withdraw"] == ["terms_mismatch"]
    kept = await world.kept(line.who.did)
    assert not kept.contracts


REFUSED: list[Callable[[Hiring], bytes]] = [
    lambda hiring: made(hiring, start()),
    lambda hiring: made(hiring, hiring.next_move(), engagement=f"urn:hire:engagement:{NEVER}"),
]


def told(line: Line) -> int:
    """How many refusals came."""
    return sum(json.loads(frame)["type"] in ("Fault", "Problem") for frame in line.frames)


@pytest.mark.parametrize("attack", REFUSED, ids=["by the engagement", "before it"])
async def test_sc_105_refusals_use_up_the_budget(world: World, attack: Callable[[Hiring], bytes]) -> None:
    """Each is well signed. After twenty in a minute the connection is closed; nothing of it is kept."""
    line = await lined(world)
    hiring = await Hiring(line).up_to("ready")
    before = await world.kept(line.who.did)
    with quiet_logs():
        for _ in range(19):
            await line.send(attack(hiring))
        await line.wait(
            lambda: sum(json.loads(one)["type"] in ("Fault", "Problem") for one in line.frames) == 19 or None
        )
        await line.send(attack(hiring))
        closed = await line.wait(lambda: line.closed)
    assert (closed.code, closed.detail["close_code"]) == ("rate_limited", 1008)
    assert await world.kept(line.who.did) == before
