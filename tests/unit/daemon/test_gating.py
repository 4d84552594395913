"""What a gate keeps of what the peer said of contracts: anybody can name one, before anything is verified."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import ExitStack
from typing import Any

import pytest
from structlog.testing import capture_logs

from support import refuses
from undersigned.bridges.gate_rules import read_rules
from undersigned.bridges.gates import ContractKeys, request_of
from undersigned.bridges.http_messages import Headers, Request
from undersigned.bridges.http_signatures import VerifiedRequest, draft_request
from undersigned.daemon import gating
from undersigned.daemon.gate_desk import GateRefusal, RequestSigner, Visit
from undersigned.daemon.gating import Gatekeeper, RequestGate, VerifiedHead
from undersigned.encoding import Digest, digest_bytes
from undersigned.errors import FormatError, ProofError, ScopeError, TransportError, VerificationError
from undersigned.runtime import SystemClock, generate_key
from undersigned.runtime.signers import PrivateKey

A, B, C = (digest_bytes(name) for name in (b"a", b"b", b"c"))
ORIGIN, PROVIDER = "https://api.acme.example", "did:web:globex.example"


class Asked:
    """As much of a desk as is asked before an action is asked for: it knows no contract."""

    def __init__(self) -> None:
        self.asked: list[Digest] = []
        self.answers = asyncio.Event()
        self.answers.set()
        self.failure: BaseException | None = None
        self.known: ContractKeys | None = None
        self.done_with: list[tuple[str, bool]] = []
        self.turned: list[GateRefusal] = []

    async def refused(self, turned: GateRefusal) -> None:
        self.turned.append(turned)

    async def done(self, permit: str, *, happened: bool) -> None:
        self.done_with.append((permit, happened))
        if self.failure is not None:
            raise self.failure

    async def keys(self, contract: Digest, keyid: str | None = None) -> ContractKeys | None:
        self.asked.append(contract)
        await self.answers.wait()
        if self.failure is not None:
            raise self.failure
        return self.known


class World:
    def __init__(self) -> None:
        self.desk, self.now = Asked(), 0.0
        desk: Any = self.desk
        self.gate = Gatekeeper(desk, ticks=lambda: self.now)

    async def knock(self, contract: Digest) -> None:
        """An unsigned request, which is refused in the end."""
        with refuses(ProofError, "proof_missing"):
            await self.gate.knock("https://api.acme.example", "GET", "/x", (("Hire-Contract", contract),))


async def signed(keyid: str, key: PrivateKey) -> Headers:
    """The fields of a request for `/x` under the contract `A`."""
    asks = Request("GET", f"{ORIGIN}/x")
    draft = draft_request(asks, keyid, "Ed25519", contract=A, now=SystemClock().now(), nonce="n" * 16)
    return draft.signed(await key.sign(draft.to_sign)).headers


@pytest.fixture
async def world() -> World:
    return World()


async def test_of_contracts_a_bounded_number_is_known(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-GTS-03: the one that was asked for longest ago is forgotten, whoever names others."""
    monkeypatch.setattr(gating, "KNOWN_CONTRACTS", 2)
    for contract in (A, B, A, C, B, A):
        await world.knock(contract)
    assert world.desk.asked == [A, B, C, A]
    assert len(world.gate._known) == 2
    world.now += 10
    for contract in (C, B, C, A):  # `C` was the older one, and is newer than `A` now
        await world.knock(contract)
    assert world.desk.asked[4:] == [C, B, A]


async def test_a_contract_is_asked_for_again_after_ten_seconds(world: World) -> None:
    """HIRE-GTS-16."""
    for seconds, asked in ((0, 1), (9.9, 1), (0.1, 2), (9.9, 2), (1, 3)):
        world.now += seconds
        await world.knock(A)
        assert len(world.desk.asked) == asked


async def test_who_asks_at_once_asks_once(world: World) -> None:
    """And who leaves takes the answer from nobody."""
    world.desk.answers.clear()
    some = [asyncio.create_task(world.knock(A)) for _ in range(3)]
    await asyncio.sleep(0)
    some[0].cancel()
    await asyncio.wait(some[:1])
    world.desk.answers.set()
    await asyncio.gather(*some[1:])
    assert (some[0].cancelled(), world.desk.asked) == (True, [A])


@pytest.mark.parametrize(
    ("failure", "raised"),
    [(TransportError("unreachable", "no peer"), ProofError), (asyncio.CancelledError(), asyncio.CancelledError)],
)
async def test_what_the_peer_did_not_say_is_asked_again_at_once(
    world: World, failure: BaseException, raised: type[BaseException]
) -> None:
    """HIRE-GTS-11: nothing is kept of that it was not reached."""
    world.desk.failure = failure
    for _ in range(2):
        with pytest.raises(raised):
            await world.gate.knock("https://api.acme.example", "GET", "/x", (("Hire-Contract", A),))
    world.desk.failure = None
    await world.knock(A)
    assert world.desk.asked == [A, A, A]


@pytest.mark.parametrize(
    ("wrong", "code", "asked"), [("signature", "proof_invalid", 1), ("key", "key_not_authorized", 2)]
)
async def test_who_signs_wrongly_has_the_peer_asked_no_more_than_who_signs_by_a_new_key(
    world: World, wrong: str, code: str, asked: int
) -> None:
    """HIRE-GTS-16: a key that is known may not be newer than what is known of it."""
    key, keyid = generate_key(), f"{PROVIDER}#1"
    named = keyid if wrong == "signature" else f"{PROVIDER}#2"
    world.desk.known = ContractKeys(contract=A, provider=PROVIDER, keys={keyid: key.public_key.multikey})
    headers = await signed(named, generate_key())
    for _ in range(2):
        with refuses(VerificationError, code):
            await world.gate.knock(ORIGIN, "GET", "/x", headers)
        world.now += 0.5
    assert len(world.desk.asked) == asked


@pytest.mark.parametrize("happened", [True, False])
async def test_what_the_peer_cannot_be_told_is_logged_once(world: World, happened: bool) -> None:
    """HIRE-GTS-10: it stays spent, and nobody waits for it any longer."""
    world.desk.failure = TransportError("unreachable", "no peer")
    with capture_logs() as logs:
        world.gate.done("a permit", happened=happened)
        await world.gate.close()
    assert [(line["log_level"], line["error"]) for line in logs] == [("warning", "unreachable: no peer")]
    assert world.desk.done_with == [("a permit", happened)]


async def test_what_the_rules_refuse_is_recorded_as_its_signer_asked_for_it(world: World) -> None:
    """HIRE-GTS-12: with key and nonce, which are used up by it; and what is asked for again is no other one."""
    desk: Any = world.desk
    rules = read_rules({"origin": ORIGIN, "rule": [{"method": "GET", "path": "/y", "action": "order:read"}]})
    gate = RequestGate(desk, rules, ticks=lambda: world.now)
    key = generate_key()
    world.desk.known = ContractKeys(contract=A, provider=PROVIDER, keys={f"{PROVIDER}#1": key.public_key.multikey})
    knock = await gate.head("GET", "/x", await signed(f"{PROVIDER}#1", key))
    with pytest.raises(ScopeError) as refused:
        await gate.admit(knock, hashlib.sha256(b"").digest(), 0)
    (told,) = world.desk.turned
    signer = RequestSigner(keyid=f"{PROVIDER}#1", nonce="n" * 16)
    assert told == GateRefusal.by(refused.value, Visit(contract=A, signed=signer, action="GET", target=f"{ORIGIN}/x"))
    for length in (0, rules.max_body_bytes):
        gate.check_length(length)
    with refuses(FormatError, "too_large"):
        gate.check_length(rules.max_body_bytes + 1)


def test_a_bounded_part_of_a_refused_request_is_logged() -> None:
    """Whoever sends it wrote it."""
    with capture_logs() as logs:
        Gatekeeper.refused(TransportError("unreachable", "y" * 1000), "M" * 100, "/" * 1000)
    assert [len(logs[0][name]) for name in ("method", "path", "error")] == [20, 200, 500]


async def test_where_one_request_of_many_ends_there_is_room_for_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others of its provider count as before; and nobody is remembered who has none under way."""
    monkeypatch.setattr(gating, "UNDER_WAY", 2)
    request = request_of("https://api.acme.example", "GET", "/x", ())
    verified = VerifiedRequest("did:web:globex.example#1", A, "2026-11-25T12:00:00Z", "nonce", ())
    knock = VerifiedHead(request, verified, ContractKeys(contract=A, provider="did:web:globex.example", keys={}))
    with ExitStack() as others:
        others.enter_context(world.gate.turn(knock))
        for _ in range(2):
            with world.gate.turn(knock), refuses(TransportError, "overloaded"), world.gate.turn(knock):
                pass
    assert not world.gate._under_way
