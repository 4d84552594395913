"""The rules for every case, on a running peer: what a refusal may say, to whom, how often, and of what size.

Rule 2: one code, and a reply smaller than its cause. Rule 3: errors are never answered with errors, and nobody who has
not proved itself is answered under signature. Rule 4: before a proof verified, what depends on us has one code.
Rule 5: failures are counted, and a connection that ends changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, NamedTuple

import pytest

from security.wire_attacker import (
    Attacker,
    Hiring,
    Line,
    Stranger,
    attacked,
    checked_reply,
    hiring_at,
    quiet_logs,
    refused,
    still_open,
)
from security.wire_world import World
from undersigned.encoding import base58_decode, base58_encode, canonicalize, digest_bytes, shift
from undersigned.messages import Need, Withdraw
from undersigned.testing import Say, acceptance, delivery, problem, receipt, seal, start, sync, withdraw

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

LEDGER = "memory://"
NEVER = digest_bytes(b"nothing that was ever said")
UNKNOWN = f"urn:hire:engagement:{NEVER}"
_numbers = count(1)


async def lined(world: World) -> Line:
    return await Line.to(world, Attacker(f"against the rules {next(_numbers)}"))


def made(hiring: Hiring, move: Say, **members: Any) -> dict[str, Any]:
    """A move signed, legal or not."""
    message = move._replace(members=move.members | members).message(hiring.party)
    return json.loads(hiring.who.sign(message, hiring.party.now).raw)


def broken(message: dict[str, Any]) -> bytes:
    """The same with a signature that does not hold."""
    value = bytearray(base58_decode(message["proof"]["proofValue"][1:]))
    value[0] ^= 1
    return canonicalize({**message, "proof": {**message["proof"], "proofValue": "z" + base58_encode(bytes(value))}})


def refusals(frames: list[bytes]) -> list[dict[str, Any]]:
    found = (json.loads(frame) for frame in frames)
    return [frame for frame in found if frame["type"] in ("Fault", "Problem")]


OTHERWISE: list[tuple[dict[str, Any], str, tuple[Need, ...]]] = [
    ({"opens": "provider"}, "opens", (Need(code="opens", member="opens"),)),
    ({"suites": ("ecdsa-jcs-2019",)}, "version_not_supported", ()),
    ({"need": "nothing that is offered"}, "not_offered", ()),
]


@pytest.mark.parametrize(("members", "reason", "needed"), OTHERWISE, ids=[reason for _, reason, _ in OTHERWISE])
async def test_what_a_provider_does_not_do_is_no_error(
    world: World, members: dict[str, Any], reason: str, needed: tuple[Need, ...]
) -> None:
    """HIRE-NEG-02, HIRE-VER-03: whoever asked is told what would do, if anything would, and the negotiation ends."""
    line = await lined(world)
    hiring = Hiring(line, **members)
    await hiring.say(hiring.next_move())
    withdrawal = await hiring.hear("Withdraw")
    assert isinstance(withdrawal, Withdraw)
    assert (withdrawal.reason, withdrawal.needed or (), hiring.state) == (reason, needed, "withdrawn")
    await line.hang_up()


# --- rule 2 ---------------------------------------------------------------------------------------------------------


async def test_rule_2_no_reply_is_larger_than_its_cause(world: World) -> None:
    """Of bytes that are nothing, one to two hundred of them: the reply is shorter, or there is none."""
    for start_at in range(0, 200, 10):
        line = await lined(world)
        for size in range(start_at, start_at + 10):
            raw = b"{" + b"x" * size
            await line.send(raw)
            await still_open(line)  # what comes of it has come by then
            (*said,) = refusals(line.frames)
            line.frames.clear()
            assert len(said) <= 1
            for frame in said:
                assert frame["code"] == "bad_json"
                assert len(canonicalize(frame)) < len(raw)
            assert bool(said) is (len(raw) > 34)
        await line.hang_up()


# --- rule 3 ---------------------------------------------------------------------------------------------------------


class Refusing(NamedTuple):
    name: str
    make: Callable[[Hiring], bytes]


def _dumped(value: Any, **options: Any) -> bytes:
    return json.dumps(value, **options).encode()


REFUSALS = [
    Refusing("a fault", lambda _: canonicalize({"type": "Fault", "code": "bad_json", "of": NEVER, "path": ""})),
    Refusing("with a space", lambda _: _dumped({"type": "Fault", "code": "bad_json"}, indent=1)),
    Refusing("in another order", lambda _: b'{"code":"bad_json","padding":"%s","type":"Fault"}' % (b"x" * 300)),
    Refusing("escaped", lambda _: b'{"ty\\u0070e":"F\\u0061ult","code":"%s"}' % (b"x" * 300)),
    Refusing("signed", lambda h: canonicalize(h.who.signed({"type": "Fault", "code": "bad_json"}, h.party.now))),
    Refusing("a problem", lambda h: canonicalize(made(h, problem(NEVER)))),
    Refusing("of nothing here", lambda h: canonicalize(made(h, problem(NEVER), engagement=UNKNOWN))),
    Refusing("for somebody else", lambda h: canonicalize(made(h, problem(NEVER), recipient=h.line.world.acme.own.id))),
    Refusing("a broken problem", lambda h: broken(made(h, problem(NEVER)))),
    Refusing("of no schema", lambda h: canonicalize({**made(h, problem(NEVER)), "liability": "none"})),
    Refusing("with a twist", lambda h: canonicalize({**made(h, problem(NEVER)), "class": 7})),
    Refusing("that contradicts", lambda h: canonicalize(made(h, problem(NEVER), sequence=1, previous=NEVER))),
    Refusing("too late", lambda h: canonicalize(h.who.signed(made(h, problem(NEVER)), shift(h.party.now, -9000)))),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.name)
async def test_rule_3_an_error_is_not_answered_with_an_error(world: World, refusal: Refusing) -> None:
    async with hiring_at(world, "ready") as hiring:
        line = hiring.line
        raw = refusal.make(hiring)
        before = await world.kept(line.who.did)
        with quiet_logs():
            await line.send(raw)
            await still_open(line)
        assert not refusals(line.frames)
        after = await world.kept(line.who.did)
        assert mine(hiring, before) == mine(hiring, after)


def mine(hiring: Hiring, kept: Any) -> Any:
    """State and moves of one engagement; a problem that is well made is told to the operator, and may be kept."""
    place = next(number for number, one in enumerate(kept.summaries) if one.engagement == hiring.id)
    moves = tuple(row for row in kept.rows[place] if row.sequence is not None)
    return kept.summaries[place].state, kept.summaries[place].position, moves, kept.outbox[place]


@pytest.mark.parametrize(
    "notice",
    [receipt(of=(NEVER,)), sync(sequence=1, previous=NEVER), sync(seen=NEVER), receipt(role="provider")],
    ids=["of nothing", "another position", "more than there is", "the other role"],
)
async def test_rule_3_a_notice_that_does_not_fit_is_not_answered(world: World, notice: Say) -> None:
    async with hiring_at(world, "ready") as hiring:
        line = hiring.line
        before = await world.kept(line.who.did)
        with quiet_logs():
            await line.send(canonicalize(made(hiring, notice)))
            await still_open(line)
        assert not refusals(line.frames)
        assert mine(hiring, before) == mine(hiring, await world.kept(line.who.did))


async def test_rule_3_a_flood_of_faults_is_ended(world: World) -> None:
    """They are not answered, and they are counted."""
    line = await lined(world)
    with quiet_logs():
        for number in range(20):
            await line.send(_dumped({"type": "Fault", "code": "bad_json", "number": number}))
        closed = await line.wait(lambda: line.closed)
    assert (closed.code, closed.detail["close_code"]) == ("rate_limited", 1008)
    assert not refusals(line.frames)


UNPROVED: dict[str, Callable[[Stranger], bytes]] = {
    "an inquiry": lambda _: b'{"@context":"https://w3id.org/hire/v1","type":"Inquiry"}',
    "a fault": lambda _: b'{"type":"Fault","code":"bad_json"}',
    "nothing": lambda _: b"{}",
    "no proof": lambda s: canonicalize({k: v for k, v in s.opening().items() if k != "proof"}),
    "a broken proof": lambda s: broken(s.opening()),
    "another's name": lambda s: canonicalize(s.opening(sender=s.world.acme.identity.did)),
    "our own name": lambda s: canonicalize(s.opening(sender=s.world.globex.identity.did)),
    "for somebody else": lambda s: canonicalize(s.opening(recipient=s.world.acme.identity.did)),
    "for nobody": lambda s: canonicalize(s.opening(recipient="did:web:nobody.example")),
    "as the acceptor": lambda s: canonicalize(s.opening(part="acceptor")),
    "a member too many": lambda s: canonicalize(s.opening(liability="none")),
    "another version": lambda s: canonicalize(s.opening(versions=["0.9"])),
    "the challenge back": lambda s: canonicalize(s.frames[0]),
}


@pytest.mark.parametrize("name", UNPROVED)
async def test_rule_3_who_is_not_proved_is_not_answered_under_signature(world: World, name: str) -> None:
    """A close, with a code that its own bytes decide or the one that says nothing; and no oracle that signs."""
    async with Stranger.at(world, Attacker(f"not proved: {name}")) as stranger:
        with quiet_logs():
            code, reason = await stranger.sends(UNPROVED[name](stranger))
    assert code == 1008
    assert reason in ("proof_invalid", "proof_missing", "schema_violation", "version_not_supported")


async def test_rule_3_whether_a_did_is_here_is_not_told(world: World) -> None:
    """A recipient that is not here and a proof that does not hold look alike."""
    seen = set()
    for name in ("for somebody else", "for nobody", "a broken proof", "our own name"):
        async with Stranger.at(world, Attacker("asks around")) as stranger:
            seen.add(await stranger.sends(UNPROVED[name](stranger)))
    assert seen == {(1008, "proof_invalid")}


# --- rule 4 ---------------------------------------------------------------------------------------------------------


class Depends(NamedTuple):
    """An attack whose refusal depends on what Globex holds."""

    name: str
    make: Callable[[Hiring], dict[str, Any]]
    code: str
    """Told once the proof holds."""
    how: str = "Problem"
    closes: int | None = None


def _next(hiring: Hiring, **members: Any) -> dict[str, Any]:
    return made(hiring, hiring.next_move(), **members)


def _past(hiring: Hiring, seconds: int) -> dict[str, Any]:
    return hiring.who.signed(_next(hiring), shift(hiring.party.now, seconds))


DEPENDS = [
    Depends("no such engagement", lambda h: _next(h, engagement=UNKNOWN), "wrong_negotiation", "Fault"),
    Depends("another recipient", lambda h: _next(h, recipient="did:web:nobody.example"), "wrong_recipient", "Fault"),
    Depends("past", lambda h: _past(h, -9000), "proof_expired", "Fault"),
    Depends("ahead", lambda h: _past(h, 9000), "proof_from_future", "Fault"),
    Depends("another role", lambda h: _next(h, role="provider"), "wrong_party"),
    Depends("not legal here", lambda h: made(h, start()), "wrong_state"),
    Depends("nothing accepted", lambda h: made(h, seal()), "wrong_state"),
    Depends("nothing offered", lambda h: made(h, acceptance()), "wrong_state"),
    Depends("nothing begun", lambda h: made(h, delivery()), "wrong_state"),
    Depends("too early", lambda h: _next(h, sequence=9), "out_of_order"),
    Depends("has seen what is not", lambda h: _next(h, seen=NEVER), "ledger_diverged"),
    Depends("another chain", lambda h: _next(h, previous=NEVER), "conflicting_message", closes=1008),
]


@pytest.mark.parametrize("attack", DEPENDS, ids=lambda attack: attack.name)
async def test_rule_4_before_a_proof_holds_there_is_one_code(world: World, attack: Depends) -> None:
    """With a broken signature each of these hears the same; with one that holds, its own code."""
    async with hiring_at(world, "ready") as hiring:
        message = attack.make(hiring)
        told = await refused(hiring.line, broken(message), "proof_invalid")
        assert told.path == ""
        # That two histories differ is kept, to be shown: these two say so.
        unchanged = attack.code not in ("conflicting_message", "ledger_diverged")
        await refused(
            hiring.line,
            canonicalize(message),
            attack.code,
            how=attack.how,
            close_code=attack.closes,
            unchanged=unchanged,
        )


async def test_rule_4_a_broken_signature_hears_the_same_of_everything(world: World) -> None:
    """Byte for byte, but for the digest of what was sent."""
    async with hiring_at(world, "ready") as hiring:
        heard = set()
        for attack in DEPENDS:
            told, before, after, _ = await attacked(hiring.line, raw := broken(attack.make(hiring)))
            assert before == after
            checked_reply(hiring.line, told, raw)
            frame = json.loads(told.raw)
            assert frame.pop("of") == digest_bytes(raw)
            heard.add(canonicalize(frame))
        assert heard == {b'{"code":"proof_invalid","path":"","type":"Fault"}'}


async def test_rule_4_parse_comes_before_parties_and_state(world: World) -> None:
    """What is wrong in several ways is told the first: size, JSON, schema, and only then whose it is."""
    async with hiring_at(world, "ready") as hiring:
        stranger, line = world.acme.identity.did, hiring.line
        message = _next(hiring, sender=stranger, engagement=UNKNOWN)
        raw = canonicalize(message)
        await refused(line, raw.replace(b'"sequence":3', b'"sequence":3e400'), "number_out_of_range")
        await refused(line, raw.replace(b'"version":"1.0"', b'"version":"1.0","version":"1.0"'), "bad_json")
        await refused(line, canonicalize({**message, "liability": "none"}), "unknown_term")
        await refused(line, canonicalize({**message, "proof": {}}), "proof_missing")
        await refused(line, raw, "proof_invalid", how="close", close_code=1008, logged="key_not_authorized")


def texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value, names included."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)
    elif isinstance(value, str):
        yield value


async def test_rule_2_nothing_of_ours_is_told(world: World) -> None:
    """Every text of a refusal is a word of the protocol, or the peer's own, or who Globex is."""
    words = {"Fault", "Problem", "provider", "hirer", "1.0", "https://w3id.org/hire/v1", "DataIntegrityProof", ""}
    words |= {
        "type",
        "code",
        "of",
        "path",
        "@context",
        "class",
        "engagement",
        "final",
        "id",
        "previous",
        "proof",
        "seen",
    }
    words |= {
        "retryable",
        "recipient",
        "role",
        "sender",
        "sequence",
        "version",
        "authentication",
        "eddsa-jcs-2022",
        "seen",
    }
    words |= {"created", "cryptosuite", "expires", "proofPurpose", "proofValue", "verificationMethod", "rate_limited"}
    async with hiring_at(world, "ready") as hiring:
        own = {*texts(json.loads(b"".join([b"[", b",".join(hiring.line.frames), b"]"])))}
        own |= {world.globex.identity.did, world.globex.identity.method, hiring.who.did}
        own |= {*hiring.party.engagement.sent, *hiring.party.engagement.got}
        for attack in DEPENDS[:9]:
            for raw in (broken(attack.make(hiring)), canonicalize(attack.make(hiring))):
                told, _, _, _ = await attacked(hiring.line, raw)
                frame = json.loads(told.raw)
                fresh = {frame["of"], frame["code"], frame.get("class"), frame.get("id")}
                if "proof" in frame:
                    fresh |= {frame["proof"][name] for name in ("created", "expires", "proofValue")}
                assert set(texts(frame)) <= words | own | fresh


# --- rule 5 ---------------------------------------------------------------------------------------------------------


async def test_rule_5_a_connection_that_ends_changes_nothing(world: World) -> None:
    """Closed for what was sent on it, cut, and left: the negotiation goes on where it was, on the next one."""
    line = await lined(world)
    hiring = Hiring(line)
    for state in ("profiled", "ready", "accepted-by-provider", "sealed"):
        await hiring.up_to(state)
        before = await world.kept(line.who.did)
        message = made(hiring, withdraw(), sender=world.acme.identity.did)
        await refused(
            hiring.line,
            canonicalize(message),
            "proof_invalid",
            how="close",
            close_code=1008,
            logged="key_not_authorized",
        )
        await hiring.come_back()
        assert mine(hiring, await world.kept(line.who.did)) == mine(hiring, before)
    assert len((await world.kept(line.who.did)).contracts) == 1
