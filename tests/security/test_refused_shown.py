"""What a peer shows to no avail: refused, or recorded and declined. Whoever was honest makes a pack of it that holds,
and that says what became of it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from integration.hires import free_ports
from security.wire_attacker import Attacker, Hiring, Line, quiet_logs, vouched
from security.wire_world import GUILD, World, world_in
from status_host import StatusHost
from undersigned.credentials import credential_config, membership, status_entry
from undersigned.did import make_document
from undersigned.encoding import JsonObject, canonicalize, digest_bytes, shift
from undersigned.proof import attach, prepare
from undersigned.runtime.engagement.loading import load_engagement
from unit.cli.running import run

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

HELD = "1 presentation is by its holder; 1 credential holds"
PAST = "1 presentation is by its holder; 1 credential was not valid then"
NOTHING = "no decision in this pack, and nothing withheld"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world_in(tmp_path_factory.mktemp("shown")) as opened:
        yield opened


def member(hiring: Hiring, **members: Any) -> JsonObject:
    """The guild's word that whoever attacks is one of its own, with other members, and without those that are `...`."""
    now = hiring.line.world.clock.now()
    made = membership(
        id=hiring.who.message_id(),
        organisation=GUILD.did,
        agent=hiring.who.did,
        valid_from=shift(now, -7200),
        valid_until=shift(now, 86_400),
    )
    return {name: value for name, value in {**made, **members}.items() if value is not ...}


def by_guild(suite: str = "eddsa-jcs-2022", *, past: bool = False, **members: Any) -> Callable[[Hiring], JsonObject]:
    """It with the guild's proof."""

    def made(hiring: Hiring) -> JsonObject:
        now = hiring.line.world.clock.now()
        ends = {"validUntil": shift(now, -3600)} if past else {}
        return vouched(member(hiring, **ends, **members), now, suite=suite)

    return made


def of_the_holder(**members: Any) -> Callable[[Hiring], JsonObject]:
    """What whoever attacks says of itself."""
    return lambda hiring: hiring.who.issue(
        member(hiring, issuer=hiring.who.did, type=["VerifiableCredential"], **members), hiring.line.world.clock.now()
    )


def forged(make: Callable[[Hiring], JsonObject]) -> Callable[[Hiring], JsonObject]:
    """One bit of the signature is another."""

    def made(hiring: Hiring) -> JsonObject:
        one: Any = make(hiring)
        if "proof" not in one:
            text = one["id"]
            return {**one, "id": text[:-20] + ("A" if text[-20] != "A" else "B") + text[-19:]}
        value = one["proof"]["proofValue"]
        return {**one, "proof": {**one["proof"], "proofValue": value[:-1] + ("2" if value[-1] != "2" else "3")}}

    return made


def in_list(make: Callable[[Hiring], JsonObject]) -> Callable[[Hiring], JsonObject]:
    return lambda hiring: {**(one := make(hiring)), "proof": [one["proof"]]}


def shows(*makes: Callable[[Hiring], JsonObject]) -> Callable[[Hiring], dict[str, Any]]:
    return lambda hiring: {"credentials": tuple(make(hiring) for make in makes)}


def says(**options: Any) -> Callable[[Hiring], dict[str, Any]]:
    return lambda _: options


SCHEMA = {"id": "https://schemas.example/one", "type": "JsonSchema"}
NOWHERE = "http://localhost:9/list"
UNKNOWN = ["https://www.w3.org/ns/credentials/v2", "https://nobody.example/v1"]
WORD_MORE = {"memberOf": GUILD.did, "role": "chief"}


def with_subject(claims: JsonObject) -> Callable[[Hiring], JsonObject]:
    return lambda hiring: by_guild(past=True, credentialSubject={"id": hiring.who.did, **claims})(hiring)


def away(unsigned: JsonObject) -> JsonObject:
    return {**unsigned, "engagement": f"urn:hire:engagement:{digest_bytes(b'another')}"}


CASES: dict[str, tuple[Callable[[Hiring], dict[str, Any]], tuple[str, str], str]] = {
    "past": (shows(by_guild(past=True)), ("Withdraw", "policy_denied"), PAST),
    "past, as a JWT": (shows(by_guild("jwt", past=True)), ("Withdraw", "policy_denied"), PAST),
    "past and forged": (shows(forged(by_guild(past=True))), ("Problem", "proof_invalid"), NOTHING),
    "past and forged, as a JWT": (shows(forged(by_guild("jwt", past=True))), ("Problem", "proof_invalid"), NOTHING),
    "past and forged, RDF": (
        shows(forged(by_guild("eddsa-rdfc-2022", past=True))),
        ("Problem", "proof_invalid"),
        NOTHING,
    ),
    "past, a forged one behind it": (
        shows(by_guild(past=True), forged(by_guild())),
        ("Problem", "proof_invalid"),
        NOTHING,
    ),
    "past, a word more": (shows(with_subject(WORD_MORE)), ("Problem", "unknown_term"), NOTHING),
    "a schema that nobody has": (shows(by_guild(credentialSchema=SCHEMA)), ("Withdraw", "policy_denied"), HELD),
    "the same, forged": (shows(forged(by_guild(credentialSchema=SCHEMA))), ("Problem", "proof_invalid"), NOTHING),
    "forged": (shows(forged(by_guild())), ("Problem", "proof_invalid"), NOTHING),
    "by nobody": (shows(of_the_holder()), ("Withdraw", "policy_denied"), HELD),
    "no place that is known": (
        shows(by_guild(credentialStatus={"type": "SomeEntry"})),
        ("Withdraw", "status_unavailable"),
        HELD,
    ),
    "a list that is not there": (
        shows(by_guild(credentialStatus=status_entry(NOWHERE, 3))),
        ("Withdraw", "status_unavailable"),
        HELD,
    ),
    "nine places": (
        shows(by_guild(credentialStatus=[status_entry(NOWHERE, place) for place in range(9)])),
        ("Withdraw", "status_unavailable"),
        HELD,
    ),
    "an issuer that nobody finds": (
        shows(by_guild(), lambda hiring: {**by_guild()(hiring), "issuer": "did:web:localhost%3A9:none"}),
        ("Problem", "did_unresolvable"),
        NOTHING,
    ),
    "without an issuer": (shows(by_guild(issuer=...)), ("Problem", "schema_violation"), NOTHING),
    "about another": (
        shows(by_guild(credentialSubject={"id": GUILD.did, "memberOf": GUILD.did})),
        ("Problem", "holder_mismatch"),
        NOTHING,
    ),
    "a context that nobody has": (
        shows(lambda hiring: {**by_guild()(hiring), "@context": UNKNOWN}),
        ("Problem", "context_not_allowed"),
        NOTHING,
    ),
    "past, RDF that nobody can read": (
        shows(lambda hiring: {**by_guild("eddsa-rdfc-2022", past=True)(hiring), "undefined": "x"}),
        ("Problem", "unknown_term"),
        NOTHING,
    ),
    "another question": (says(challenge=digest_bytes(b"another")), ("Problem", "challenge_mismatch"), NOTHING),
    "for another": (says(domain=GUILD.did), ("Problem", "challenge_mismatch"), NOTHING),
    "another engagement": (says(change=away), ("Problem", "wrong_negotiation"), NOTHING),
    "of another": (says(change=lambda one: {**one, "holder": GUILD.did}), ("Problem", "holder_mismatch"), NOTHING),
    "another question, as a JWT": (
        says(challenge=digest_bytes(b"another"), jwt=True),
        ("Problem", "challenge_mismatch"),
        NOTHING,
    ),
    "over, as a JWT": (says(expires="2020-01-01T00:00:00Z", jwt=True), ("Problem", "proof_expired"), NOTHING),
}
"""What is shown, what Globex says to it (type, and code or reason), and what step 10 says of its pack."""


async def shown(
    world: World, name: str, make: Callable[[Hiring], dict[str, Any]], *, under_way: int = 0
) -> tuple[Hiring, tuple[str, str]]:
    """The engagement, and what Globex answered; what was shown was `under_way` for so many seconds."""
    line = await Line.to(world, Attacker(f"who shows: {name}"))
    hiring = await Hiring(line).up_to("profiled")
    heard = len(line.frames)
    with quiet_logs():
        message = hiring.next_message(presentation=hiring.who.shown(hiring.party, **make(hiring)))
        if under_way:
            world.clock.held = shift(world.clock.now(), under_way)
        await line.send(message.raw)

        def answer() -> Any:
            came = [json.loads(raw) for raw in line.frames[heard:]]
            return next((one for one in came if one["type"] in ("Problem", "Withdraw", "Presentation")), None)

        said = await line.wait(answer)
    return hiring, (said["type"], said.get("code") or said.get("reason") or "")


async def packed(world: World, hiring: Hiring, folder: Path) -> str:
    """What step 10 says of Globex's pack, which holds."""
    pack = folder / "one.zip"
    made = await asyncio.to_thread(
        run, "export", hiring.id, "--home", world.globex.home.path, "--out", pack, "--force", "--json"
    )
    assert made.code == 0, made
    verified = await asyncio.to_thread(run, "verify", pack, "--json")
    assert verified.code == 0, verified
    (step,) = [step for step in verified.values[0]["steps"] if step["number"] == 10]
    return str(step["detail"])


@pytest.mark.parametrize("name", CASES)
async def test_a_pack_of_what_was_refused_holds(world: World, tmp_path: Path, name: str) -> None:
    """HIRE-CRD-01, HIRE-PCK-09: nothing that a peer shows makes the other side's pack one that does not hold."""
    make, expected, said = CASES[name]
    hiring, heard = await shown(world, name, make)
    assert heard == expected
    assert said in await packed(world, hiring, tmp_path)
    await hiring.line.hang_up()


@pytest.mark.parametrize("ended", [{"past": True}, {"credentialSchema": SCHEMA}])
async def test_what_counts_for_nothing_is_asked_for(world: World, ended: dict[str, Any]) -> None:
    """HIRE-CRD-01, HIRE-TRU-22: who shows what has ended hears what is wanted in its place."""
    hiring, heard = await shown(world, f"ended {ended}", shows(by_guild(**ended)))
    assert heard == ("Withdraw", "policy_denied")
    (said,) = [one for raw in hiring.line.frames if (one := json.loads(raw))["type"] == "Withdraw"]
    assert [(need["code"], need["credential"]) for need in said["needed"]] == [("credential", "MembershipCredential")]
    home = world.globex.home.path
    (denied,) = (await asyncio.to_thread(run, "decision", "list", hiring.id, "--home", home, "--json")).values
    replayed = await asyncio.to_thread(run, "decision", "replay", denied["id"], "--home", home)
    assert replayed.code == 0, replayed
    await hiring.line.hang_up()


async def test_what_ended_is_as_if_it_had_not_been_shown(world: World, tmp_path: Path) -> None:
    """HIRE-CRD-01, HIRE-PCK-09: the decision is by what holds beside it; and so it is after a restart."""
    hiring, heard = await shown(world, "ended, beside a good one", shows(by_guild(past=True), by_guild()))
    assert heard == ("Presentation", "")
    meeting, conversation = world.globex.meeting, world.globex.conversations[hiring.id]
    (relied,) = meeting.relied(conversation, "hirer")
    assert relied.valid_at(world.clock.now())
    meeting.let_go(hiring.id)
    assert meeting.relied(conversation, "hirer") == (relied,), "by what was recorded"
    assert "1 credential holds; 1 credential was not valid then" in await packed(world, hiring, tmp_path)
    home = world.globex.home.path
    (allowed,) = (await asyncio.to_thread(run, "decision", "list", hiring.id, "--home", home, "--json")).values
    replayed = await asyncio.to_thread(run, "decision", "replay", allowed["id"], "--home", home)
    assert (allowed["decision"]["outcome"], replayed.code) == ("allow", 0), replayed
    await hiring.line.hang_up()


async def test_what_was_shown_counts_as_of_when_it_was_recorded(world: World) -> None:
    """HIRE-CRD-01: also after a restart. An issuer's clock may be ahead of a holder's, and a message long under way."""

    def both(hiring: Hiring) -> dict[str, Any]:
        now = hiring.line.world.clock.now()
        begins, ends = by_guild(validFrom=shift(now, 5)), by_guild(validUntil=shift(now, 5))
        return {"credentials": (begins(hiring), ends(hiring))}

    try:
        hiring, heard = await shown(world, "under way", both, under_way=10)
        assert heard == ("Presentation", "")
        meeting, conversation = world.globex.meeting, world.globex.conversations[hiring.id]
        (relied,) = meeting.relied(conversation, "hirer")
        meeting.forget(hiring.id)
        assert meeting.relied(conversation, "hirer") == (relied,)
        summary = await world.globex.ledger.summary(hiring.id)
        assert summary is not None
        conversation.recall(await load_engagement(world.globex.ledger, summary, world.globex.own.id))
        meeting.forget(hiring.id)
        assert meeting.relied(conversation, "hirer") == (relied,)
        await hiring.line.hang_up()
    finally:
        world.clock.held = None


async def test_a_proof_in_a_list_is_one_proof(world: World, tmp_path: Path) -> None:
    """HIRE-PCK-09: it is taken, in each suite, and so is the pack of it."""
    for suite, said in (("eddsa-jcs-2022", "1 credential holds"), ("eddsa-rdfc-2022", "a proof of another suite")):
        hiring, heard = await shown(world, suite, shows(in_list(by_guild(suite))))
        assert heard == ("Presentation", "")
        assert said in await packed(world, hiring, tmp_path)
        await hiring.line.hang_up()


async def test_a_strangers_word_on_a_list_of_others(tmp_path: Path) -> None:
    """HIRE-PCK-09: what is shown beside and counts for nothing names places as it likes; the contract's pack holds."""
    async with world_in(tmp_path / "world") as world:
        host = StatusHost(world.acme.home, world.clock.now())
        await host.up()
        place = status_entry(host.url, 40)
        beside = [
            of_the_holder(credentialStatus=place),
            of_the_holder(credentialStatus={**place, "statusListIndex": "some"}),
            of_the_holder(credentialStatus=[status_entry(host.url, number) for number in range(9)]),
        ]
        try:
            host.body = _list_of_guild(host, world)
            hiring, heard = await shown(world, "a stranger", shows(by_guild(credentialStatus=place), *beside))
            assert heard == ("Presentation", "")
            said = await packed(world, hiring, tmp_path)
            assert "4 credentials hold; 1 status list holds; not checked: a status that nobody looked up" in said
            await hiring.line.hang_up()
        finally:
            await host.down()


def _list_of_guild(host: StatusHost, world: World) -> bytes:
    now = world.clock.now()
    listed = {**host.list(), "issuer": GUILD.did}
    config = credential_config("eddsa-jcs-2022", GUILD.method, now)
    return canonicalize(attach(listed, config, GUILD.signature(prepare(listed, config, "Ed25519"))))


async def test_it_is_verified_as_of_when_it_is_recorded(world: World, tmp_path: Path) -> None:
    """HIRE-PCK-09: an issuer that takes its time with its keys does not make a proof of later one of now."""
    (port,) = free_ports(1)
    did = f"did:web:localhost%3A{port}:slow"
    document = canonicalize(make_document(did, authentication={}, assertion_method={"key": GUILD.public_key}))

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        world.clock.held = shift(world.clock.now(), 3)
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(document) + document)
        await writer.drain()
        writer.close()

    def ahead(hiring: Hiring) -> dict[str, Any]:
        now = hiring.line.world.clock.now()
        unsigned = member(hiring, issuer=did, type=["VerifiableCredential"])
        config = credential_config("eddsa-jcs-2022", f"{did}#key", shift(now, 62))
        made = attach(unsigned, config, GUILD.signature(prepare(unsigned, config, "Ed25519")))
        return {"credentials": (by_guild()(hiring), made)}

    server = await asyncio.start_server(slowly, "127.0.0.1", port)
    try:
        world.clock.held = world.clock.now()
        hiring, heard = await shown(world, "slow", ahead)
        world.clock.held = None
        assert heard == ("Problem", "proof_from_future")
        assert NOTHING in await packed(world, hiring, tmp_path)
        await hiring.line.hang_up()
    finally:
        world.clock.held = None
        server.close()
