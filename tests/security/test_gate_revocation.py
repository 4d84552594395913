"""How fast what is taken back is taken back at a gate, and what a gate looks up meanwhile: SC-59 and SC-62."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gate_world import Service, World, at_work, served
from histories import Log, document_at
from parties import Party
from support import refuses
from undersigned.bridges.gates import ContractKeys
from undersigned.daemon import Ask, GateProxy, Granted, RemoteDesk, RequestGate
from undersigned.daemon.answers import Document
from undersigned.did import DidDocument, make_document
from undersigned.encoding import Digest, Instant, canonicalize, digest_bytes, seconds_between, shift
from undersigned.errors import VerificationError
from undersigned.runtime import NewKeys, SystemClock
from undersigned.runtime.negotiation.new_keys import LOOK_UPS
from undersigned.runtime.signers import generate_key
from undersigned.transport import Identity
from unit.runtime.sites import publish, site

APP = "/repos/app/files/readme"


class Ticks:
    """A monotonic clock by hand. It begins where the steady one is, by which something was read already."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def __call__(self) -> float:
        return self.now


class Moved:
    """The machine's clock, set ahead or back by hand."""

    def __init__(self) -> None:
        self.by = 0

    def now(self) -> Instant:
        return shift(SystemClock().now(), self.by)


class Counting(RemoteDesk):
    """Asks the peer, and counts what for."""

    def __init__(self, url: str, token: str) -> None:
        super().__init__(url, token)
        self.looked_up = self.asked = 0

    async def keys(self, contract: Digest, keyid: str | None = None) -> ContractKeys | None:
        self.looked_up += 1
        return await super().keys(contract, keyid)

    async def admit(self, ask: Ask) -> Granted:
        self.asked += 1
        return await super().admit(ask)


@asynccontextmanager
async def gated(world: World, service: Service, ticks: Ticks, **options: Any) -> AsyncIterator[tuple[str, Counting]]:
    desk = Counting(world.hirer.gates_url, world.hirer.home.gate_token())
    gate = RequestGate(desk, world.rules, ticks=ticks, **options)
    async with desk, served(service) as upstream, GateProxy(gate, upstream) as proxy:
        yield proxy.url, desk


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with at_work(tmp_path) as made:
        yield made


def fetched(world: World) -> list[str]:
    """The paths of documents that the provider is asked for from now on."""
    paths: list[str] = []
    serve = world.provider._listener._documents

    def counted(path: str) -> Any:
        paths.append(path)
        return serve(path)

    world.provider._listener._documents = counted
    return paths


def with_another_key(world: World) -> Identity:
    """The provider publishes a document with a new key, and without the one that it had; what signs by the new one."""
    did, key = world.provider.own.id, generate_key()
    keys = {"key-2": key.public_key}
    world.provider.own = DidDocument(did, canonicalize(make_document(did, authentication=keys, assertion_method=keys)))
    return replace(world.provider.identity, method=f"{did}#key-2", sign=key.sign)


async def test_keys_are_looked_up_every_ten_seconds_and_actions_each_time(world: World) -> None:
    """HIRE-GTS-11: counted, at the gate and at the provider's listener."""
    service, ticks = Service(), Ticks()
    world.hirer.gatherer._clock = ticks
    await world.hirer.document_of(world.provider.own.id, 0)
    paths = fetched(world)
    async with gated(world, service, ticks) as (url, desk):
        for moved, looked_up in ((0, 1), (0, 1), (9.9, 1), (0.2, 2), (5, 2), (4, 2)):
            ticks.now += moved
            assert (await world.ask(url, "GET", APP)).status == 200
            assert desk.looked_up == looked_up
        assert desk.asked == 6
    assert len(service.asked) == 6
    assert len(paths) == 1, "the DID document, after ten seconds and not before"


async def test_sc_62_a_revoked_contract_stops_at_once_at_every_gate(world: World) -> None:
    """HIRE-GTS-11: what the gates know is new, and none of them looks anything up; suspended, resumed, revoked."""
    first, second, ticks = Service(), Service(), Ticks()
    (conversation,) = world.hirer.conversations.values()
    async with gated(world, first, ticks) as (one, desk), gated(world, second, ticks) as (two, other):
        assert [(await world.ask(url, "GET", APP)).status for url in (one, two)] == [200, 200]
        await world.hirer.changes.suspend(conversation, seconds=600)
        answers = [await world.ask(url, "GET", APP) for url in (one, two)]
        assert [answer.no for answer in answers] == [(403, "contract_expired", "state")] * 2
        await world.hirer.changes.resume(conversation)
        assert [(await world.ask(url, "GET", APP)).status for url in (one, two)] == [200, 200]
        await world.hirer.changes.revoke(conversation)
        answers = [await world.ask(url, "GET", APP) for url in (one, two)]
        assert [answer.no[:2] for answer in answers] == [(403, "contract_expired")] * 2
        assert (desk.looked_up, other.looked_up) == (1, 1)
    assert (len(first.asked), len(second.asked)) == (2, 2)


async def test_sc_62_a_key_that_is_taken_out_stops_within_ten_seconds(world: World) -> None:
    """HIRE-GTS-16: by pull; the peer looks at the key with each action, whatever the gate knows."""
    service, ticks = Service(), Ticks()
    world.hirer.gatherer._clock = ticks
    await world.hirer.document_of(world.provider.own.id, 0)
    async with gated(world, service, ticks, keys_seconds=3600) as (url, desk):
        assert (await world.ask(url, "GET", APP)).status == 200
        with_another_key(world)
        ticks.now += 10
        assert (await world.ask(url, "GET", APP)).status == 200, "the last moment"
        ticks.now += 0.1
        heard = await world.ask(url, "GET", APP)
        assert desk.looked_up == 1
    assert heard.no == (401, "proof_invalid", "")
    assert len(service.asked) == 2


async def test_sc_62_a_key_that_the_peer_knows_to_be_gone_stops_at_once(world: World) -> None:
    """HIRE-GTS-16: by push; the peer read the document for another reason, such as a connection."""
    service, ticks = Service(), Ticks()
    async with gated(world, service, ticks) as (url, desk):
        assert (await world.ask(url, "GET", APP)).status == 200
        with_another_key(world)
        await world.hirer.document_of(world.provider.own.id, 0)
        heard = await world.ask(url, "GET", APP)
        assert desk.looked_up == 1
    assert heard.no == (401, "proof_invalid", "")
    assert len(service.asked) == 1


async def test_a_new_key_counts_at_once(world: World) -> None:
    """HIRE-GTS-16: work that goes on after a restart asks with it before its connection is proved by it. A key that is
    none stays none; a gate asks for it once a second, and the peer looks it up a few times in a minute.
    """
    service, ticks = Service(), Ticks()
    async with gated(world, service, ticks) as (url, desk):
        assert (await world.ask(url, "GET", APP)).status == 200
        new, paths = with_another_key(world), fetched(world)
        for _ in range(2):
            assert (await world.ask(url, "GET", APP, by=new)).status == 200
            assert (desk.looked_up, len(paths)) == (2, 1)
        for moved, looked_up in ((0.9, 2), (0.1, 3), (0, 3), *((1, number) for number in range(4, LOOK_UPS + 4))):
            ticks.now += moved
            heard = await world.ask(url, "GET", APP)
            assert (heard.no, desk.looked_up) == ((401, "proof_invalid", ""), looked_up)
            assert len(paths) == min(looked_up - 1, LOOK_UPS)
    assert len(service.asked) == 3


async def test_a_new_key_counts_at_a_gate_that_is_asked_for_the_first_time(world: World) -> None:
    """HIRE-GTS-16: its peer goes by a document of a moment ago, which another gate had it read."""
    service, ticks = Service(), Ticks()
    await world.hirer.document_of(world.provider.own.id, 0)
    new = with_another_key(world)
    async with gated(world, service, ticks) as (url, desk):
        assert (await world.ask(url, "GET", APP, by=new)).status == 200
        assert desk.looked_up == 2
    assert len(service.asked) == 1


async def test_a_provider_whose_document_is_none_any_more_is_refused_wherever_the_gate_stands(world: World) -> None:
    """HIRE-GTS-08: a gate in a process of its own took that for a peer that could not be asked, and said so."""
    world.provider._listener._documents = lambda _: Document(b"{}")
    async with world.desk() as remote:
        for desk in (remote, world.hirer.desk):
            world.hirer.gatherer._documents.clear()
            with refuses(VerificationError, "did_document_invalid"):
                await desk.keys(world.contract)


async def test_who_names_keys_that_are_none_has_a_party_looked_up_a_few_times_in_a_minute(world: World) -> None:
    """HIRE-KEY-10: whoever shows something writes what it likes into it. What is refused otherwise is no reason."""
    did, now = world.provider.own.id, SystemClock().now()
    document = await world.hirer.document_of(did)
    paths, new_keys = fetched(world), world.hirer.new_keys
    for number in range(LOOK_UPS + 2):
        with pytest.raises(VerificationError) as refused:
            document.key_for(f"{did}#none-{number}", "assertionMethod", now=now)
        assert await new_keys.renewed(refused.value) is None
    assert len(paths) == LOOK_UPS
    with pytest.raises(VerificationError) as elsewhere:
        document.key_for(document.methods("assertionMethod")[0], "keyAgreement", now=now)
    for error in (elsewhere.value, VerificationError("key_not_authorized", "of somebody else")):
        assert await NewKeys(world.provider).renewed(error) is None
    assert len(paths) == LOOK_UPS, "what is our own is looked up nowhere"
    with_another_key(world)
    await world.hirer.document_of(did, 0)
    assert await new_keys.renewed(refused.value) == did, "it was looked up meanwhile, for something else"
    assert len(paths) == LOOK_UPS + 1


async def test_a_document_that_was_deactivated_is_looked_up_no_more_often(world: World) -> None:
    """HIRE-GTS-11: with each request it was, whoever sent that, and without a limit."""
    controller, key = Party("controller"), Party("key-1")
    async with site() as here:
        log = Log(f"localhost%3A{here.port}", controller=controller, key=key)
        log.add(document_at(log.did), controller=controller, deactivated=True, updateKeys=[])
        publish(here, log)
        for keyid in (f"{log.did}#key-1", None, f"{log.did}#key-2"):
            with refuses(VerificationError, "did_deactivated"):
                await NewKeys(world.hirer).document_of(log.did, keyid, 10.0)
        assert len(here.requests) == 1


async def test_who_signs_nothing_does_not_hear_that_a_contract_is_known(world: World) -> None:
    """HIRE-GTS-08, HIRE-GTS-03: nor while its provider's document cannot be had, which a signed request hears."""

    async def gone(_: object) -> Any:
        raise ConnectionResetError

    world.provider._listener._answer = gone
    world.hirer.gatherer._documents.clear()
    async with gated(world, Service(), Ticks()) as (url, _):
        for contract in (world.contract, digest_bytes(b"another")):
            heard = await world.send(url, "GET", APP, (("Hire-Contract", contract),))
            assert heard.no == (401, "proof_missing", "")
        assert (await world.ask(url, "GET", APP)).no == (503, "status_unavailable", "")


async def test_a_key_with_an_end_counts_until_then(world: World) -> None:
    """HIRE-GTS-01: a method with `expires` is one of the provider's keys before it, and none after."""
    service, ticks = Service(), Ticks()
    now = world.hirer.clock.now()
    for end, status in ((shift(now, 3600), 200), (shift(now, -1), 401)):
        document: Any = world.provider.own.json
        for method in document["verificationMethod"]:
            method["expires"] = end
        world.provider.own = DidDocument(world.provider.own.id, canonicalize(document))
        await world.hirer.document_of(world.provider.own.id, 0)
        async with gated(world, service, ticks) as (url, _):
            assert (await world.ask(url, "GET", APP)).status == status
    assert len(service.asked) == 1


async def test_sc_59_time_moved_back_revives_no_contract_at_a_gate(tmp_path: Path) -> None:
    """HIRE-GAT-03: past its end it gives nothing; nor once the operator sets the clock back by two hours."""
    clock, service = Moved(), Service()
    async with at_work(tmp_path, clock=clock) as world, gated(world, service, Ticks(), clock=clock) as (url, _):
        assert (await world.ask(url, "GET", APP)).status == 200
        until = world.job.document.terms.deadlines.until
        clock.by = int(seconds_between(clock.now(), until)) + 1
        late = await world.ask(url, "GET", APP)
        clock.by -= 7200
        back = await world.ask(url, "GET", APP)
    assert [answer.no[:2] for answer in (late, back)] == [(403, "contract_expired")] * 2
    assert len(service.asked) == 1


async def test_only_keys_for_authentication_sign_requests(tmp_path: Path) -> None:
    """HIRE-RQS-01: the provider's document has others as well, such as the one that signs its log."""
    async with at_work(tmp_path, kind="P-256") as world:
        document, now = world.provider.own, world.provider.clock.now()
        keys = await world.hirer.desk.keys(world.contract)
    assert keys is not None
    assert set(keys.keys) == set(document.keys("authentication", now=now))
    assert not set(keys.keys) & (set(document.keys("assertionMethod", now=now)) - set(keys.keys))
    assert set(document.keys("assertionMethod", now=now)) - set(keys.keys)
