"""What anybody may ask of the door that hands out artifacts: it uses up nothing of others, and fills no log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from runtimes import REPORT, Node, World, folded, summarise
from runtimes import ask as runtimes_ask
from undersigned.bridges.nonces import NonceWindow
from undersigned.daemon.answers import ArtifactRequest, ArtifactResponse
from undersigned.daemon.gate_desk import Ask, GateDesk, RequestSigner, Visit
from undersigned.daemon.listener import TOLD
from undersigned.daemon.serving import MAX_TOLD, ArtifactDoor, signed_headers
from undersigned.did import DidDocument
from undersigned.encoding import Digest, digest_bytes
from undersigned.errors import ProofError, ResolutionError, ScopeError, UndersignedError
from undersigned.runtime import Job
from undersigned.runtime.fetching.fetcher import asker, strangers
from undersigned.runtime.negotiation.new_keys import LOOK_UPS
from undersigned.scope import Grant, Limit, Scope

pytestmark = pytest.mark.usefixtures("logs_as_they_come")

Open = Callable[..., World]
NOTHING = digest_bytes(b"no artifact, and no contract")
PATH = f"/artifacts/{NOTHING}"


def ask(world: World, owner: Node, headers: tuple[tuple[str, str], ...]) -> ArtifactResponse:
    return world.run(owner.door.answer(ArtifactRequest(NOTHING, "GET", PATH, headers, "memory")))


def test_whoever_is_no_party_of_the_contract_uses_up_no_nonces(open_world: Open) -> None:
    """It hears the same of a nonce that it used before: none was kept."""
    world = open_world(held=True)
    world.until("profiled", world.begin(opening="3 EUR").id, world.provider)
    owner, asks = world.provider, world.hirer
    url = f"{owner.base_url}{PATH}"
    headers = world.run(signed_headers(asks.identity, "GET", url, NOTHING, world.clock.now()))
    for _ in range(2):
        answer = ask(world, owner, headers)
        assert (answer.status, answer.code) == (403, "contract_expired")


@pytest.mark.parametrize("state", ["profiled", "working"])
def test_whose_key_is_named_is_looked_up_for_its_own_sake(
    open_world: Open, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """SC-103: before there is a contract it counts with all who come from there; anybody may write any name."""
    world = open_world(held=True, handler=lambda _: asyncio.Event().wait())
    world.until(state, world.begin().id, world.provider)
    owner, asks, whose = world.provider, world.hirer, list[str]()
    document_of = owner.document_of

    async def noted(*given: Any) -> DidDocument:
        whose.append(asker())
        return await document_of(*given)

    monkeypatch.setattr(owner, "document_of", noted)
    monkeypatch.setattr(owner, "known_document", lambda *_: None)  # else nothing is looked up
    url = f"{owner.base_url}{PATH}"
    ask(world, owner, world.run(signed_headers(asks.identity, "GET", url, NOTHING, world.clock.now())))
    assert whose == [asks.identity.did if state == "working" else strangers("memory:pair")]


def test_refusals_fill_no_log(open_world: Open) -> None:
    """HIRE-SEC-02: a few lines in a minute, each of bounded length; the next one says how many there were not."""
    world = open_world()
    named = f"did:key:z{'A' * 1900}"
    written = f'sig1=("@method" "@target-uri");created=1;nonce="n";keyid="{named}#a";tag="hire"'
    headers = (("Signature-Input", written), ("Signature", f"sig1=:{'A' * 86}==:"))
    with capture_logs() as told:
        for _ in range(3 * TOLD):
            assert ask(world, world.provider, headers).status == 401
        assert len(told) == TOLD
        assert max(len(entry["error"]) for entry in told) <= MAX_TOLD
        world.settle(61)
        ask(world, world.provider, headers)
    assert told[-1]["untold"] == 2 * TOLD


def at_work(open_world: Open, **options: Any) -> tuple[World, Digest]:
    """A contract under which the provider works for ever; its digest."""
    world = open_world(held=True, handler=lambda _: asyncio.Event().wait())
    begun = world.begin(**options)
    world.until("working", begun.id, world.hirer)
    contract = world.hirer.the(begun.id).engagement.contract
    assert contract is not None
    return world, contract.digest


def test_what_a_contract_lets_its_party_read_no_other_party_reads(
    open_world: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-ART-02: nor learns that there is such a contract, whoever has its digest and an engagement of its own."""
    world, contract = at_work(open_world)
    owner, digest = world.hirer, digest_bytes(REPORT)
    engagements = tuple(owner.conversations.of(world.provider.did))
    monkeypatch.setattr(owner.conversations, "of", lambda _: engagements)  # the hirer stands for a party of another one
    path = f"/artifacts/{digest}"

    def asked_by(node: Node, named: Digest) -> tuple[int, str]:
        headers = world.run(signed_headers(node.identity, "GET", f"{owner.base_url}{path}", named, world.clock.now()))
        answer = world.run(owner.door.answer(ArtifactRequest(digest, "GET", path, headers, "memory")))
        return answer.status, answer.code

    assert asked_by(world.provider, contract) == (200, "")
    assert asked_by(world.hirer, contract) == asked_by(world.hirer, NOTHING) == (403, "contract_expired")


def test_only_what_was_delivered_is_handed_to_the_hirer(open_world: Open) -> None:
    """HIRE-ART-02: not what else the provider's store has, nor what it has not delivered yet."""
    world = open_world(handler=lambda _: asyncio.Event().wait())
    begun = world.begin()
    world.settle(5)
    owner, contract = world.provider, folded(world.provider, begun.id).contract
    assert contract is not None
    digest = world.run(owner.artifacts.put(b"of another contract"))
    path = f"/artifacts/{digest}"
    url = f"{owner.base_url}{path}"
    headers = world.run(signed_headers(world.hirer.identity, "GET", url, contract.digest, world.clock.now()))
    answer = world.run(owner.door.answer(ArtifactRequest(digest, "GET", path, headers, "memory")))
    assert (answer.status, answer.code) == (403, "scope_exceeded")


@pytest.mark.parametrize("lost", [True, False], ids=["lost", "damaged"])
def test_what_is_gone_from_our_own_store_is_an_error_of_ours(open_world: Open, lost: bool) -> None:
    """A hire shows no less: else whoever hires hears that the provider failed, and of its gate that it said no."""
    world, contract = at_work(open_world)
    owner, asks = world.hirer, world.provider
    digest = digest_bytes(REPORT)
    owner.artifacts._recent.clear()
    file = owner.artifacts.folder / digest
    if lost:
        file.unlink()
    else:
        file.write_bytes(b"something else")
    url = f"{owner.base_url}/artifacts/{digest}"
    headers = world.run(signed_headers(asks.identity, "GET", url, contract, world.clock.now()))
    with capture_logs() as told:
        answer = world.run(runtimes_ask(owner, url, headers))
    assert (answer.status, answer.code) == ((404, "bad_path") if lost else (503, "digest_mismatch"))
    assert [(one["event"], one["log_level"]) for one in told] == [("artifact refused", "error")]
    assert world.run(owner.gate.usage(contract)) == (), "nothing was handed out, so nothing is used"


def test_whoever_cannot_be_looked_up_now_is_asked_to_come_again(
    open_world: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-ART-02: where its documents are served may be away for a moment, and nothing is wrong with its signature: a
    provider that hears so fails, and the work is lost.
    """
    world, contract = at_work(open_world)
    owner, asks = world.hirer, world.provider

    async def away(*_: Any) -> DidDocument:
        raise ResolutionError("did_unresolvable", "nobody is there")

    with monkeypatch.context() as patched:
        patched.setattr(owner, "document_of", away)
        patched.setattr(owner, "known_document", lambda *_: None)  # else nothing is looked up
        url = f"{owner.base_url}/artifacts/{digest_bytes(REPORT)}"
        headers = world.run(signed_headers(asks.identity, "GET", url, contract, world.clock.now()))
        answer = world.run(runtimes_ask(owner, url, headers))
    assert (answer.status, answer.code) == (503, "overloaded")
    again = world.run(runtimes_ask(owner, url, headers))
    assert (again.status, again.body) == (200, REPORT), "the nonce was not used"


def test_what_took_too_long_is_not_used(open_world: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that hangs: whoever listens gives up, and says so to whoever asked, who asks again."""
    world, contract = at_work(open_world)
    owner, asks = world.hirer, world.provider
    monkeypatch.setattr(owner.artifacts, "get", lambda _: asyncio.Event().wait())
    url = f"{owner.base_url}/artifacts/{digest_bytes(REPORT)}"
    headers = world.run(signed_headers(asks.identity, "GET", url, contract, world.clock.now()))
    answer = world.loop.create_task(runtimes_ask(owner, url, headers))
    world.settle()
    assert [one.amount for one in world.run(owner.gate.usage(contract))] == ["1"], "reserved"
    answer.cancel()
    world.settle()
    assert world.run(owner.gate.usage(contract)) == ()


def test_what_was_not_read_is_not_used(open_world: Open) -> None:
    """HIRE-GAT-04: who asks again once it is there is not refused for having asked, neither here nor there."""
    said: list[str] = []

    async def work(job: Job) -> None:
        file = world.hirer.artifacts.folder / digest_bytes(REPORT)
        file.rename(file.with_suffix(".away"))
        world.hirer.artifacts._recent.clear()
        for _ in range(9):
            with pytest.raises(UndersignedError) as refused:
                await job.read("report")
            said.append(refused.value.code)
        file.with_suffix(".away").rename(file)
        await summarise(job)

    world = open_world(handler=work)
    name = world.begin().id
    world.settle(60)
    assert said == ["bad_path"] * 9
    for node in world.nodes:
        contract = folded(node, name).contract
        assert contract is not None
        assert [one.amount for one in world.run(node.gate.usage(contract.digest))] == ["1"]
        assert world.run(node.ledger.open_reservations(contract.digest)) == (), "what was read is no more under way"


def test_what_the_work_did_not_wait_for_is_not_used(open_world: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """HIRE-GAT-04: its hirer sends nothing, and the work asks again later, as often as it likes."""
    gave_up = 0

    async def work(job: Job) -> None:
        nonlocal gave_up
        with monkeypatch.context() as hangs:
            hangs.setattr(world.provider.other_side, "open", lambda *_: asyncio.Event().wait())
            for _ in range(9):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(1):
                        await job.read("report")
                gave_up += 1
        await summarise(job)

    world = open_world(handler=work)
    name = world.begin().id
    world.settle(60)
    assert gave_up == 9
    contract = folded(world.provider, name).contract
    assert contract is not None
    assert contract.delivery is not None
    assert [one.amount for one in world.run(world.provider.gate.usage(contract.digest))] == ["1"]


def test_what_is_kept_of_nonces_goes_with_its_contract(open_world: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("undersigned.daemon.serving.TIDIED", 2)
    world = open_world(held=True)
    owner, asks = world.hirer, world.provider
    owner.door = door = ArtifactDoor(owner)  # type: ignore[arg-type] - as in a node
    url = f"{owner.base_url}{PATH}"
    for _ in range(6):
        begun = world.begin(opening="3 EUR")
        world.until("working", begun.id, owner)
        contract = owner.the(begun.id).engagement.contract
        assert contract is not None
        headers = world.run(signed_headers(asks.identity, "GET", url, contract.digest, world.clock.now()))
        assert [ask(world, owner, headers).code for _ in range(2)] == ["scope_exceeded", "proof_invalid"]
        world.until("closed", begun.id, owner)
        world.settle(121)  # none of them could come again
    assert len(door._nonces) <= 3


def test_who_fills_what_a_gate_keeps_of_nonces_keeps_no_other_contract_out(
    open_world: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-LIM-02: a provider may have many keys, and as many nonces as it likes; they are its own contract's."""
    monkeypatch.setitem(NonceWindow.__init__.__kwdefaults__, "max_entries", 3)
    world = open_world(held=True, handler=lambda _: asyncio.Event().wait())
    desk = GateDesk(world.hirer)  # type: ignore[arg-type] - it needs no more than an agent has
    visits: list[Visit] = []
    for _ in range(2):
        begun = world.begin(opening="3 EUR")
        world.until("working", begun.id, world.hirer)
        contract = world.hirer.the(begun.id).engagement.contract
        assert contract is not None
        visits.append(Visit(contract=contract.digest, action="POST", target="https://acme.example/"))

    def enter(visit: Visit, nonce: str) -> str:
        signed = RequestSigner(keyid=world.provider.identity.method, nonce=nonce)
        try:
            world.run(desk.enter(msgspec.structs.replace(visit, signed=signed)))
        except ProofError as error:
            return error.code
        return ""

    flood, other = visits
    assert [enter(flood, f"{number}" * 16) for number in range(5)] == ["", "", "", "replayed", "replayed"]
    assert [enter(other, "a" * 16), enter(other, "a" * 16)] == ["", "replayed"]


def test_who_leaves_actions_open_takes_no_place_from_another_contract(
    open_world: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An action that did not happen is given back, however many another provider has begun meanwhile (HIRE-GTS-05)."""
    monkeypatch.setattr("undersigned.daemon.gate_desk.OPEN_PERMITS", 5)
    monkeypatch.setattr("undersigned.daemon.gate_desk.OPEN_OF_ONE_CONTRACT", 3)
    world = open_world(held=True, handler=lambda _: asyncio.Event().wait())
    desk = GateDesk(world.hirer)  # type: ignore[arg-type] - it needs no more than an agent has
    orders = Grant("orders", "orders:create", "https://acme.example/orders", limits=(Limit("count", "50"),))
    asks: list[Ask] = []
    for _ in range(2):
        begun = world.begin(opening="3 EUR", scope=Scope(grants=(orders,)))
        world.until("working", begun.id, world.hirer)
        contract = world.hirer.the(begun.id).engagement.contract
        assert contract is not None
        asks.append(Ask(contract=contract.digest, action="orders:create", target="https://acme.example/orders"))

    def begins(ask: Ask, number: int) -> str:
        signed = RequestSigner(keyid=world.provider.identity.method, nonce=f"{number:016}")
        return world.run(desk.admit(msgspec.structs.replace(ask, signed=signed))).permit

    def used(ask: Ask) -> str:
        return world.run(world.hirer.ledger.usage(ask.contract, world.clock.now()))["orders/count"]

    flood, other = asks
    honest = begins(other, 1)
    begun_by_flood = [begins(flood, number) for number in range(8)]
    for permit in (honest, *begun_by_flood):
        world.run(desk.done(permit, happened=False))
    assert (used(other), used(flood)) == ("0", "5")  # its last three are given back, the others stay spent
    assert not desk._open
    assert not desk._open_of


def test_however_wide_a_grant_is_only_the_inputs_of_the_contract_are_handed_out(open_world: Open) -> None:
    """HIRE-ART-02: the hirer's store has what belongs to others, and whoever guesses a digest is not told so."""
    said: list[str] = []

    async def work(job: Job) -> None:
        base = str(job.input("report").uri).rpartition("/")[0]
        for data in (REPORT, b"of another contract", b"of nobody"):
            try:
                said.append(f"{len(await job.send_past_gate(f'{base}/{digest_bytes(data)}'))} bytes")
            except ScopeError as error:
                said.append(error.code)
        await summarise(job)

    world = open_world(handler=work)
    world.run(world.hirer.artifacts.put(b"of another contract"))
    wide = Scope(grants=(Grant("all", "artifact:read", f"{world.hirer.base_url}/artifacts/*"),))
    ours = world.begin(scope=wide)
    world.settle(60)
    assert said == [f"{len(REPORT)} bytes", "scope_exceeded", "scope_exceeded"]
    refusals = [blob for blob in world.run(world.hirer.ledger.evidence(ours.id)) if blob.kind == "refusal"]
    assert len(refusals) == 2


def test_a_request_for_an_artifact_is_taken_once_also_across_a_restart(open_world: Open) -> None:
    """HIRE-RQS-01: its nonce was kept in memory; what was booked for it is in the ledger."""
    world, contract = at_work(open_world)
    url = f"{world.hirer.base_url}/artifacts/{digest_bytes(REPORT)}"
    headers = world.run(signed_headers(world.provider.identity, "GET", url, contract, world.clock.now()))
    assert world.run(runtimes_ask(world.hirer, url, headers)).status == 200
    world.restart(world.hirer)
    again = world.run(runtimes_ask(world.hirer, url, headers))
    assert again.status == 401
    assert [one.amount for one in world.run(world.hirer.gate.usage(contract))] == ["1"]


def test_of_a_transfer_that_goes_on_the_rest_is_counted(open_world: Open) -> None:
    """HIRE-ART-02: a limit on `bytes` is on those that are sent."""
    wide = Scope(
        grants=(Grant("all", "artifact:read", "https://acme.example/artifacts/*", limits=(Limit("bytes", "99"),)),)
    )
    world, contract = at_work(open_world, scope=wide)
    digest = digest_bytes(REPORT)
    url = f"{world.hirer.base_url}/artifacts/{digest}"
    headers = world.run(signed_headers(world.provider.identity, "GET", url, contract, world.clock.now()))
    asked = ArtifactRequest(digest, "GET", f"/artifacts/{digest}", headers, "memory", start=10)
    assert world.run(world.hirer.door.answer(asked)).status == 200
    used = {one.unit: one.amount for one in world.run(world.hirer.gate.usage(contract))}
    assert used["bytes"] == str(len(REPORT) - 10)


def test_who_asks_with_keys_that_are_none_is_looked_up_a_few_times_in_a_minute(
    open_world: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-SEC-02: anybody can write the name of a party, and as many keys as it likes."""
    world, contract = at_work(open_world)
    owner, asks, looked = world.hirer, world.provider, list[float]()
    document_of = owner.document_of

    async def noted(did: str, age: float = 0.0) -> DidDocument:
        looked.append(age)
        return await document_of(did, age)

    monkeypatch.setattr(owner, "document_of", noted)
    url = f"{owner.base_url}/artifacts/{digest_bytes(REPORT)}"
    for number in range(LOOK_UPS + 2):
        stranger = msgspec.structs.replace(asks.identity, method=f"{asks.identity.did}#{number}")
        headers = world.run(signed_headers(stranger, "GET", url, contract, world.clock.now()))
        assert world.run(runtimes_ask(owner, url, headers)).status == 401
    assert looked == [0.0] * LOOK_UPS
    headers = world.run(signed_headers(asks.identity, "GET", url, contract, world.clock.now()))
    assert world.run(runtimes_ask(owner, url, headers)).status == 200, "the key that is one counts on"
