"""SC-01 to SC-11 and SC-113 on a running peer: whose key it is, where its document comes from, and when it counted.

The attacker here has a DID whose document lies on a web server of its own, so it can publish what it likes.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from histories import Log, document_at
from parties import Party as Keys
from security.wire_attacker import (
    Attacker,
    Hiring,
    Line,
    Stranger,
    attacked,
    checked_reply,
    quiet_logs,
    refused,
    still_open,
)
from security.wire_world import World, world_in
from undersigned.did import DidDocument
from undersigned.encoding import Did, JsonObject, canonicalize, multibase_encode, shift
from undersigned.errors import UndersignedError
from undersigned.evidence import read_pack, verify_pack
from undersigned.messages import decode_message, verify_message
from undersigned.runtime import PrivateKey, export_pack
from undersigned.runtime.fetching.fetcher import GathererLimits

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]

LEDGER = "memory://"
METHODS = ("did:web", "did:webvh:Qm" + "1" * 44)
_numbers = count(1)

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Web:
    """A web server on loopback: what it was asked for, and what it answers at each path."""

    def __init__(self) -> None:
        self.port = 0
        self.files: dict[str, bytes] = {}
        self.answer: Answer | None = None
        """In place of any file."""
        self.asked: list[str] = []
        self._writers: list[asyncio.StreamWriter] = []

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator[Web]:
        web = cls()
        server = await asyncio.start_server(web._handle, "127.0.0.1", 0)
        web.port = server.sockets[0].getsockname()[1]
        try:
            yield web
        finally:
            server.close()
            for writer in web._writers:
                writer.transport.abort()

    @property
    def host(self) -> str:
        return f"localhost%3A{self.port}"

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
            self.asked.append(path)
            if self.answer is not None:
                await self.answer(writer)
            else:
                body = self.files.get(path)
                status = "200 OK" if body is not None else "404 Not Found"
                writer.write(
                    f"HTTP/1.1 {status}\r\nContent-Length: {len(body or b'')}\r\n\r\n".encode() + (body or b"")
                )
            await writer.drain()
        writer.close()

    def publish(self, log: Log) -> None:
        self.files["/.well-known/did.jsonl"] = log.raw


@pytest_asyncio.fixture(loop_scope="module")
async def web() -> AsyncIterator[Web]:
    async with Web.open() as opened:
        yield opened


@pytest.fixture(autouse=True)
def nothing_spent(world: World) -> None:
    """Every attack here comes from one address, which would have spent its failures before long (SC-105)."""
    world.globex._listener._door._budget._windows.clear()  # type: ignore[union-attr]


class Published(Attacker):
    """An attacker known by a DID with a document, whose key and name of it can be exchanged."""

    def __init__(self, did: Did, *, keys: Keys | PrivateKey | None = None) -> None:
        super().__init__(f"published {next(_numbers)}")
        self.did = did
        self.use("key-1", self.key if keys is None else keys)

    def use(self, fragment: str, keys: Keys | PrivateKey) -> None:
        """Signs by another key, named so."""
        self.key = keys if isinstance(keys, PrivateKey) else PrivateKey("Ed25519", bytes(keys._ed))
        self.public_key = self.key.public_key
        self.method = f"{self.did}#{fragment}"

    def shows(self, web: Web, **changes: Any) -> None:
        """Publishes a did:web document with its key, changed."""
        method = {
            "id": self.method,
            "type": "Multikey",
            "controller": self.did,
            "publicKeyMultibase": self.public_key.multikey,
        }
        document = {
            "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"],
            "id": self.did,
            "verificationMethod": [method],
            "authentication": [self.method],
            "assertionMethod": [self.method],
        }
        web.files["/.well-known/did.json"] = canonicalize({**document, **changes})


def on_the_web(web: Web) -> Published:
    who = Published(f"did:web:{web.host}")
    who.shows(web)
    return who


async def hiring(world: World, who: Attacker, state: str) -> Hiring:
    return await Hiring(await Line.to(world, who)).up_to(state)


@contextmanager
def later(world: World, seconds: float) -> Iterator[None]:
    """So much later for what remembers documents, and for nothing else."""
    gatherer = world.globex.gatherer
    before = gatherer._clock
    gatherer._clock = lambda: time.monotonic() + seconds
    try:
        yield
    finally:
        gatherer._clock = before


async def turned_away(
    world: World, who: Attacker, code: str, *, heard: str = "proof_invalid", known: bool = False
) -> None:
    """Whoever opens a connection as `who` is not proved, and hears no reason; Globex logs it.

    Nothing is remembered of the DID, unless it is `known` and only the key is wrong.
    """
    async with Stranger.at(world, who) as stranger:
        with quiet_logs() as logs:
            assert await stranger.sends(canonicalize(stranger.opening())) == (1008, heard)
    told = [f"{entry.get('code')}: {entry.get('reason')}" for entry in logs]
    assert any(one.startswith(code) for one in told), logs
    assert known or who.did not in world.globex.gatherer._documents


async def turned_down(line: Line, raw: bytes, code: str, *, heard: str = "proof_invalid") -> None:
    """A message by a key that is nobody's any more: one code is heard, another one logged, and nothing changes.

    `refused` would begin another engagement on the connection, which such a key cannot.
    """
    told, before, after, logs = await attacked(line, raw)
    assert (told.how, told.code, told.path) == ("Fault", heard, ""), told
    assert before == after
    assert any(str(entry.get("error", "")).startswith(code) for entry in logs), logs
    checked_reply(line, told, raw)


# --- SC-01 ----------------------------------------------------------------------------------------------------------


async def test_sc_01_the_signer_is_not_the_sender(world: World, web: Web) -> None:
    """A good proof by X on a message of Y, on X's connection and on Y's: refused, and the connection is closed."""
    victim, thief = on_the_web(web), Attacker("signs for others")
    engaged = await hiring(world, victim, "ready")
    message = engaged.next_json()
    raw = canonicalize(thief.signed(message, world.clock.now()))
    before = await world.kept(victim.did)
    line = await Line.to(world, thief)
    await refused(line, raw, "proof_invalid", how="close", close_code=1008, logged="key_not_authorized")
    assert await world.kept(victim.did) == before
    # From the victim's own side: its connection, another's key.
    told = await refused(engaged.line, raw, "proof_invalid", logged="key_not_authorized")
    assert told.path == ""
    await engaged.up_to("sealed")
    await engaged.line.hang_up()


# --- SC-02, SC-03 ---------------------------------------------------------------------------------------------------


async def test_sc_02_listed_but_not_for_this_relationship(world: World, web: Web) -> None:
    """A key that may authenticate opens the connection and binds nobody."""
    who = on_the_web(web)
    other = Keys("asserts")
    listed = json.loads(web.files["/.well-known/did.json"])
    asserting = {**listed["verificationMethod"][0], "id": f"{who.did}#key-2", "publicKeyMultibase": other.key.multikey}
    methods = [*listed["verificationMethod"], asserting]
    who.shows(web, verificationMethod=methods, assertionMethod=[f"{who.did}#key-2"])
    engaged = await hiring(world, who, "ready")
    await refused(engaged.line, engaged.next_message().raw, "key_not_authorized", how="Problem")
    assert not (await world.kept(who.did)).contracts
    # The same offer, its document by the key that may.
    await engaged.line.send(by_two_keys(engaged, "key-2", other))
    await engaged.line.wait(lambda: True if any(b'"Acceptance"' in raw for raw in engaged.line.frames) else None)
    await engaged.line.hang_up()


def by_two_keys(engaged: Hiring, fragment: str, keys: Keys | PrivateKey) -> bytes:
    """The next offer, with its document signed by another key of the same party."""
    who = engaged.who
    assert isinstance(who, Published)
    with as_key(who, fragment, keys):
        message = engaged.next_json()
    return canonicalize(who.signed(message, engaged.party.now))


@contextmanager
def as_key(who: Published, fragment: str, keys: Keys | PrivateKey) -> Iterator[None]:
    before = who.key, who.method.partition("#")[2]
    who.use(fragment, keys)
    yield
    who.use(before[1], before[0])


@pytest.mark.parametrize(
    "controller", ["did:web:victim.example", "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"]
)
async def test_sc_03_a_foreign_controller(world: World, web: Web, controller: str) -> None:
    """To list somebody's key does not make it one's own, for opening a connection or for a contract."""
    who = on_the_web(web)
    (method,) = json.loads(web.files["/.well-known/did.json"])["verificationMethod"]
    foreign = {**method, "controller": controller}
    who.shows(web, verificationMethod=[foreign])
    await turned_away(world, who, "key_not_authorized", known=True)
    second = {**foreign, "id": f"{who.did}#key-2"}
    who.shows(web, verificationMethod=[method, second], assertionMethod=[f"{who.did}#key-2"])
    with later(world, 20):
        engaged = await hiring(world, who, "ready")
        await refused(engaged.line, by_two_keys(engaged, "key-2", who.key), "key_not_authorized", how="Problem")
    await engaged.line.hang_up()


# --- SC-04 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        "did:web:victim.example",
        "did:web:LOCALHOST%3A{port}",
        "did:web:localhost%3a{port}",
        "did:web:localhost.%3A{port}",
        "did:web:localhost%3A{port}#",
        "DID:web:localhost%3A{port}",
    ],
)
async def test_sc_04_a_document_for_another_did(world: World, web: Web, other: str) -> None:
    """Refused, and nothing is remembered: as soon as the right one is there, it is used."""
    who = on_the_web(web)
    who.shows(web, id=other.format(port=web.port))
    await turned_away(world, who, "did_document_invalid")
    who.shows(web)
    line = await Line.to(world, who)
    await still_open(line)
    await line.hang_up()


# --- SC-05 ----------------------------------------------------------------------------------------------------------

PRIVATE = [
    "127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "2130706433", "0x7f000001",
    "0x7f.1", "017700000001", "127.1", "%5B::1%5D",
]  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE)
@pytest.mark.parametrize("method", METHODS, ids=("web", "webvh"))
async def test_sc_05_a_host_that_is_an_address(world: World, web: Web, method: str, host: str) -> None:
    """In every notation, with and without the port of a server that would answer."""
    for location in (host, f"{host}%3A{web.port}"):
        await turned_away(world, Published(f"{method}:{location}"), "did_")
    assert not web.asked


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "::1", "fd00::1", "fe80::1", "::ffff:127.0.0.1"],
)
async def test_sc_05_a_name_that_leads_to_one(
    world: World, web: Web, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """The rule is applied to the address that is dialled."""
    usual = socket.getaddrinfo

    def resolve(host: str, port: int, **options: Any) -> Any:
        if host != "inside.example":
            return usual(host, port, **options)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    for method in ("did:web", "did:webvh:Qm" + "1" * 44):
        await turned_away(world, Published(f"{method}:inside.example%3A{web.port}"), "did_forbidden_address")
    assert not web.asked


# --- SC-06, SC-07 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "where", ["http://127.0.0.1:{port}/x", "http://localhost:{port}/x", "https://example.com/", "loop"]
)
@pytest.mark.parametrize("method", METHODS, ids=("web", "webvh"))
async def test_sc_06_redirects(world: World, web: Web, method: str, where: str) -> None:
    """One error, one request, and it is not asked for anywhere else."""
    async with Web.open() as beyond:
        who = Published(f"{method}:{web.host}")
        file = "did.json" if method == "did:web" else "did.jsonl"
        here = f"http://localhost:{web.port}/.well-known/{file}"
        location = here if where == "loop" else where.format(port=beyond.port)

        async def answer(writer: asyncio.StreamWriter) -> None:
            writer.write(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())

        web.answer = answer
        await turned_away(world, who, "did_unresolvable")
        assert web.asked == [f"/.well-known/{file}"]
        assert not beyond.asked


async def _endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b" " * 65536)
        await writer.drain()


async def _dribble(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.1)


async def _bomb(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08")


async def _huge(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 52428800\r\n\r\n" + b" " * 65536)
    await writer.drain()


@pytest.mark.parametrize("answer", [_endless, _dribble, _bomb, _huge], ids=lambda answer: answer.__name__)
@pytest.mark.parametrize("method", METHODS, ids=("web", "webvh"))
async def test_sc_07_an_endless_document(
    world: World, web: Web, monkeypatch: pytest.MonkeyPatch, method: str, answer: Answer
) -> None:
    """Ended at the limit or the deadline, and meanwhile others are served."""
    monkeypatch.setattr(world.globex.gatherer, "limits", GathererLimits(seconds=2.0))
    web.answer = answer
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        tasks.create_task(turned_away(world, Published(f"{method}:{web.host}"), "did_unresolvable"))
        tasks.create_task(world.honest())


# --- SC-08, SC-09 ---------------------------------------------------------------------------------------------------

WEAK = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


class Bent(Attacker):
    """Somebody with a did:key that is none, and one signature for everything."""

    def __init__(self, multikey: str) -> None:
        super().__init__(f"bent {next(_numbers)}")
        self.did = f"did:key:{multikey}"
        self.method = f"{self.did}#{multikey}"

    def signed(self, content: Any, now: Any, **options: Any) -> JsonObject:
        document = super().signed(content, now, **options)
        identity = multibase_encode("z", b"\x01" + bytes(63))
        return {**document, "proof": {**document["proof"], "proofValue": identity}}


@pytest.mark.parametrize("raw", WEAK)
async def test_sc_08_a_weak_key(world: World, web: Web, raw: str) -> None:
    """Refused when it is decoded; with it, the one signature holds for every message."""
    multikey = multibase_encode("z", b"\xed\x01" + bytes.fromhex(raw))
    await turned_away(world, Bent(multikey), "key_weak", heard="key_weak")
    who = on_the_web(web)
    (method,) = json.loads(web.files["/.well-known/did.json"])["verificationMethod"]
    who.shows(web, verificationMethod=[{**method, "publicKeyMultibase": multikey}])
    await turned_away(world, who, "key_weak", heard="key_weak", known=True)


GOOD = Keys("good").key.raw


@pytest.mark.parametrize(
    "multikey",
    [
        multibase_encode("z", b"\xec\x01" + GOOD),  # X25519
        multibase_encode("z", b"\xeb\x01" + GOOD),  # BLS
        multibase_encode("z", b"\x85\x24" + GOOD),  # RSA
        multibase_encode("z", b"\xff\x7f" + GOOD),
        multibase_encode("z", b"\xed\x81\x00" + GOOD),  # a longer spelling of the same number
        multibase_encode("z", b"\xed\x01" + GOOD[:31]),
        multibase_encode("z", b"\xed\x01" + GOOD + b"\x00"),
        "z0OIl" + multibase_encode("z", b"\xed\x01" + GOOD)[5:],
        "z1" + multibase_encode("z", b"\xed\x01" + GOOD)[1:],
        "u" + multibase_encode("u", b"\xed\x01" + GOOD)[1:],
        "z",
    ],
)
async def test_sc_09_a_wrong_multicodec_or_length(world: World, multikey: str) -> None:
    """Refused by the decoder; no text of an exception reaches the peer."""
    await turned_away(world, Bent(multikey), "did_document_invalid")


# --- SC-10, SC-113, and deactivation --------------------------------------------------------------------------------

CONTROLLER, KEY_1, KEY_2 = Keys("controller"), Keys("key-1"), Keys("key-2")


def with_history(world: World, web: Web, **parameters: Any) -> tuple[Published, Log]:
    """A party with a did:webvh, and its log, which began an hour ago."""
    log = Log(web.host, controller=CONTROLLER, key=KEY_1, now=shift(world.clock.now(), -3600), **parameters)
    web.publish(log)
    return Published(log.did, keys=KEY_1), log


def rotated(world: World, web: Web, who: Published, log: Log | None) -> None:
    """Publishes that `key-1` is removed and `key-2` there."""
    if log is not None:
        log.add(document_at(who.did, KEY_2), controller=CONTROLLER, now=shift(world.clock.now(), -60))
        web.publish(log)
    else:
        with as_key(who, "key-2", KEY_2):
            who.shows(web)


@pytest.mark.parametrize("method", ["web", "webvh"])
async def test_sc_10_a_rotated_key(tmp_path: Path, web: Web, method: str) -> None:
    """New messages by it are refused; the contract that it signed verifies from what was stored with it, and goes on
    with the new key (HIRE-KEY-07).
    """
    async with world_in(tmp_path) as world:
        who, log = with_history(world, web) if method == "webvh" else (on_the_web(web), None)
        engaged = await hiring(world, who, "sealed")
        (contract,) = (await world.kept(who.did)).contracts
        rotated(world, web, who, log)
        with later(world, 3601):
            raw = engaged.next_message().raw
            await turned_down(engaged.line, raw, "key_not_authorized")
            who.use("key-2", KEY_2)
            await engaged.go_on()
            assert engaged.state == "working"
        pack = await export_pack(world.globex.ledger, world.globex.artifacts, world.globex.own.id, engaged.id)
        report = verify_pack(pack, now=world.clock.now())
        # Archive, documents, messages, transcript, contract and work. Proofs of the ledger come after: this hirer made
        # up the place in a log that its seal promises.
        assert all(step.ok for step in report.steps[:7]), report.document()
        assert report.contract == contract
        # Who knows one of the two documents takes no other: a forger would pack the real one beside its own.
        held = [
            DidDocument(who.did, raw) for _, raw in read_pack(pack).of_kind("did-document") if who.did in raw.decode()
        ]
        assert len(held) == 2
        assert all(verify_pack(pack, now=world.clock.now(), known=held).steps[place].ok for place in range(7))
        for known in held:
            step = verify_pack(pack, now=world.clock.now(), known=[known]).steps[1]
            assert (step.ok, step.code) == (False, "evidence_invalid")
        await engaged.line.hang_up()


@pytest.mark.parametrize("method", ["web", "webvh"])
async def test_sc_113_a_stolen_key_back_dates(world: World, web: Web, method: str) -> None:
    """The time of receipt counts and not `created`: with the removed key nothing is signed, whatever it says."""
    who, log = with_history(world, web) if method == "webvh" else (on_the_web(web), None)
    engaged = await hiring(world, who, "ready")
    offer = engaged.next_json()
    rotated(world, web, who, log)
    now = world.clock.now()
    with later(world, 3601):
        # Dated before the removal and still fresh: the key is gone. Dated so that it is long past: expired.
        fresh = who.signed(offer, now, created=shift(now, -120), expires=shift(now, 600))
        await turned_down(engaged.line, canonicalize(fresh), "key_not_authorized")
        old = who.signed(offer, now, created=shift(now, -7200), expires=shift(now, -3600))
        await turned_down(engaged.line, canonicalize(old), "key_not_authorized")
        who.use("key-2", KEY_2)
        expired = who.signed(offer, now, created=shift(now, -7200), expires=shift(now, -3600))
        await refused(engaged.line, canonicalize(expired), "proof_expired")
    if log is not None:
        # And for whoever looks it up afterwards: what decides is when it was received.
        history = await world.globex.gatherer.history(who.did)
        received = decode_message(canonicalize(fresh))
        globex = world.globex.own
        for at, held in ((shift(now, -120), True), (now, False)):
            documents = {who.did: history.at(at), globex.id: globex}
            if held:
                assert verify_message(received, documents, now=at, recipient=globex.id).digest == received.digest
                continue
            with pytest.raises(UndersignedError) as caught:
                verify_message(received, documents, now=at, recipient=globex.id)
            assert caught.value.code == "key_not_authorized"
    await engaged.line.hang_up()


@pytest.mark.parametrize("state", ["profiled", "ready", "offered-by-provider"])
async def test_a_deactivated_did_stops_a_hire(world: World, web: Web, state: str) -> None:
    """HIRE-WVH-09: wherever the negotiation stands, no contract comes of it; and nobody is let in by that name."""
    who, log = with_history(world, web)
    engaged = await Hiring(await Line.to(world, who)).up_to(state, "3" if state.startswith("offered") else "4")
    log.add(document_at(who.did), controller=CONTROLLER, now=world.clock.now(), deactivated=True, updateKeys=[])
    web.publish(log)
    with later(world, 3601):
        await turned_down(engaged.line, engaged.next_message("3").raw, "did_deactivated")
        await turned_away(world, who, "did_deactivated", known=True)
    assert not (await world.kept(who.did)).contracts


async def test_a_history_that_is_shown_in_another_way_during_a_contract(tmp_path: Path, web: Web) -> None:
    """HIRE-WVH-10: whoever has an old update key and the place of the log moves nothing, before a restart and after it;
    what was signed stays evidence, and whom it was agreed with goes on.
    """
    async with world_in(tmp_path) as world:
        who, log = with_history(world, web)
        first = list(log.entries)
        engaged = await hiring(world, who, "sealed")
        (contract,) = (await world.kept(who.did)).contracts
        log.add(document_at(who.did, KEY_1), controller=CONTROLLER, now=shift(world.clock.now(), -60))
        web.publish(log)
        with later(world, 3601):
            await world.globex.gatherer.document(who.did, 300)
        genuine, log.entries = log.entries, first
        log.add(document_at(who.did, KEY_1, KEY_2), controller=CONTROLLER, now=shift(world.clock.now(), -50))
        web.publish(log)
        thief = Published(who.did, keys=KEY_2)
        thief.use("key-2", KEY_2)
        raw = engaged.next_message().raw
        with later(world, 7202):
            await turned_down(engaged.line, raw, "did_document_invalid")
            await turned_away(world, thief, "did_document_invalid", known=True)
        await world.restart()
        world.globex._listener._door._budget._windows.clear()  # type: ignore[union-attr]
        for shown in (first, first[:1]):
            log.entries = shown
            web.publish(log)
            for one in (who, thief):
                await turned_away(world, one, "did_document_invalid")
        pack = await export_pack(world.globex.ledger, world.globex.artifacts, world.globex.own.id, engaged.id)
        assert all(step.ok for step in verify_pack(pack, now=world.clock.now()).steps[:7])
        log.entries = genuine
        web.publish(log)
        await engaged.come_back()
        await engaged.go_on()
        assert engaged.state == "working"
        assert (await world.kept(who.did)).contracts == {contract}
        await engaged.line.hang_up()


async def test_a_did_that_ends_during_a_contract_ends_the_part_of_its_owner(tmp_path: Path, web: Web) -> None:
    """HIRE-WVH-09: and one that comes alive again is refused, after a restart too."""
    async with world_in(tmp_path) as world:
        who, log = with_history(world, web)
        engaged = await hiring(world, who, "sealed")
        before = list(log.entries)
        log.add(document_at(who.did), controller=CONTROLLER, now=world.clock.now(), deactivated=True, updateKeys=[])
        web.publish(log)
        raw = engaged.next_message().raw
        with later(world, 3601):
            await turned_down(engaged.line, raw, "did_deactivated")
            await turned_away(world, who, "did_deactivated", known=True)
        log.entries = before
        for code in ("did_document_invalid", "did_document_invalid"):
            web.publish(log)
            with later(world, 7202):
                await turned_down(engaged.line, raw, code)
            log.add(document_at(who.did, KEY_1), controller=CONTROLLER, now=shift(world.clock.now(), 1))
        await world.restart()
        world.globex._listener._door._budget._windows.clear()  # type: ignore[union-attr]
        await turned_away(world, who, "did_document_invalid")


async def test_a_party_moves_during_a_contract_and_the_contract_stays_in_force(world: World, web: Web) -> None:
    """HIRE-WVH-11, HIRE-WVH-12: under its former name, with the keys of its new place; the old place is gone."""
    async with Web.open() as there:
        who, log = with_history(world, web, portable=True)
        engaged = await hiring(world, who, "sealed")
        (contract,) = (await world.kept(who.did)).contracts
        latest = f"did:webvh:{log.scid}:{there.host}"
        moved_at = shift(world.clock.now(), -60)
        log.add(document_at(latest, KEY_2, also=(who.did,)), controller=CONTROLLER, now=moved_at)
        there.publish(log)
        web.files.clear()
        gatherer = world.globex.gatherer
        with later(world, 3601):
            raw = engaged.next_message().raw
            await turned_down(engaged.line, raw, "did_unresolvable")
            gatherer._moved = {who.did: latest}
            try:
                # The key of before the move is not one of today.
                await turned_down(engaged.line, raw, "key_not_authorized")
                who.use("key-2", KEY_2)
                line = await engaged.come_back()
                assert line.closed is None
                await engaged.go_on()
                assert engaged.state == "working"
                assert (await world.kept(who.did)).contracts == {contract}
                assert world.globex.conversations.contracts.get(contract) is not None
                # A new engagement, under the new name.
                renamed = Published(latest, keys=KEY_2)
                renamed.use("key-2", KEY_2)
                fresh = await hiring(world, renamed, "sealed")
                await fresh.line.hang_up()
                await engaged.line.hang_up()
            finally:
                gatherer._moved = {}


# --- SC-11 ----------------------------------------------------------------------------------------------------------


async def test_sc_11_one_key_under_two_dids(world: World, web: Web) -> None:
    """Globex's own key under another DID: hirer and provider would be one."""
    stolen = world.globex.home.key("agent")
    who = Published(f"did:web:{web.host}", keys=stolen)
    who.shows(web)
    line = await Line.to(world, who)
    await turned_down(line, Hiring(line).next_message().raw, "self_dealing", heard="self_dealing")
    await line.hang_up()
    assert not (await world.kept(who.did)).summaries
