"""Status of credentials, over running peers: withdrawn while it is negotiated, not to be had, and made to burst.

Acme hires Globex. Where the list has to misbehave, it is at a host of its own (`status_host`), which does what the test
says; else it is the one that the peers serve.
"""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from integration.hires import REPORT, until
from security.wire_attacker import quiet_logs
from security.wire_world import World, world_in
from status_host import PLACE, StatusHost, status_host
from undersigned.credentials import MAX_LIST_BYTES, decode_list
from undersigned.daemon import HireResult, Peer
from undersigned.encoding import canonicalize, multibase_encode, shift
from undersigned.errors import CredentialError, PolicyError, ScopeError, UndersignedError
from undersigned.ledger import Blob
from undersigned.messages import Terminate, Withdraw, recorded_message
from undersigned.protocol import Answer, Concede, Moment
from undersigned.runtime import SystemClock, generate_key
from undersigned.scope import Action
from undersigned.trust import Anchors

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(90)]

MIB = 1024 * 1024


class Before:
    """Does something right before this side answers an offer: whatever was judged before is judged already."""

    def __init__(self, act: Callable[[], None], steps: tuple[str, ...] = ()) -> None:
        self._act = act
        self._loop = asyncio.get_running_loop()
        self._then = Concede(steps=steps)

    def answer(self, moment: Moment) -> Answer:
        async def act() -> None:
            self._act()  # what it touches is of the loop, and a strategy thinks in a thread

        asyncio.run_coroutine_threadsafe(act(), self._loop).result(10)
        return self._then.answer(moment)


def withdraw_member(peer: Peer) -> None:
    """The peer's organisation withdraws its membership, as the command does: from another connection."""
    register = peer.home.register()
    (one,) = register.issued()
    register.revoke(one.id, peer.clock.now())
    register.close()


async def hire(world: World, *, opening: str | None = None, task: str = "summary") -> HireResult:
    return await world.acme.hire(
        world.globex.identity.did, task=task, inputs={"report": REPORT}, price="5.00 EUR", opening=opening
    )


async def refused(world: World, **options: Any) -> str:
    """The code that a hire ends with; no contract came of it, on either side."""
    with pytest.raises(UndersignedError) as caught, quiet_logs():
        await hire(world, **options)
    for peer in (world.acme, world.globex):
        assert {summary.contract for summary in await peer.ledger.summaries()} <= {None}
    return caught.value.code


async def said(peer: Peer, kind: str) -> list[tuple[str, Any]]:
    """Moves of a type in the journal of a peer: who said it, and what."""
    found: list[tuple[str, Any]] = []
    for summary in await peer.ledger.summaries():
        for row in await peer.ledger.rows(summary.engagement):
            if row.type == kind and row.kind in ("sent", "received"):
                found.append((row.sender, recorded_message(row.raw).message))
    return found


# --- SC-60


async def test_sc_60_the_providers_credential_is_revoked_before_the_seal(tmp_path: Path) -> None:
    """HIRE-STA-05. Acme judged Globex and made its offer; before Globex's acceptance comes, Globex is withdrawn."""
    async with world_in(tmp_path) as world:
        world.globex.bargaining.strategy = Before(lambda: withdraw_member(world.globex))
        assert await refused(world) == "revoked"
        (who, move), *more = await said(world.globex, "Withdraw")
        assert (who, move.reason, more) == (world.acme.identity.did, "revoked", [])
        assert isinstance(move, Withdraw)
        assert await said(world.globex, "Acceptance"), "it was accepted, so that there was something to seal"
        assert world.acme.links.connected(world.globex.identity.did), "the connection is kept"


async def test_sc_60_the_hirers_credential_is_revoked_before_the_acceptance(tmp_path: Path) -> None:
    """HIRE-STA-05. Globex judged Acme before it showed itself, and again when it is about to sign."""
    async with world_in(tmp_path) as world:
        world.globex.bargaining.strategy = Before(lambda: withdraw_member(world.acme))
        assert await refused(world) == "revoked"
        ((who, move),) = await said(world.acme, "Withdraw")
        assert (who, move.reason) == (world.globex.identity.did, "revoked")
        assert not await said(world.acme, "Acceptance")


async def test_sc_60_the_providers_credential_is_revoked_before_the_hirer_accepts(tmp_path: Path) -> None:
    """HIRE-STA-05. The hirer signs the acceptance of a counter-offer."""
    async with world_in(tmp_path) as world:
        world.acme.bargaining.strategy = Before(lambda: withdraw_member(world.globex), ("5",))
        assert await refused(world, opening="3.00 EUR") == "revoked"
        assert not await said(world.acme, "Acceptance")


async def test_sc_60_the_hirers_credential_is_revoked_before_the_provider_seals(tmp_path: Path) -> None:
    """HIRE-STA-05."""
    async with world_in(tmp_path) as world:
        world.acme.bargaining.strategy = Before(lambda: withdraw_member(world.acme), ("5",))
        assert await refused(world, opening="3.00 EUR") == "revoked"
        assert await said(world.globex, "Acceptance")
        ((who, move),) = await said(world.acme, "Withdraw")
        assert (who, move.reason) == (world.globex.identity.did, "revoked")


async def test_sc_60_who_is_not_revoked_is_hired(tmp_path: Path) -> None:
    """The control: the same world, another member withdrawn; and the decision names the status answers."""
    async with world_in(tmp_path) as world:

        def other() -> None:
            register = world.globex.home.register()
            try:
                now = world.globex.clock.now()
                made = register.issue("MembershipCredential", "did:web:other.example", {}, now=now, until=now)
                register.revoke(str(made["id"]), now)
            finally:
                register.close()

        world.globex.bargaining.strategy = Before(other)
        assert (await hire(world)).contract is not None
        for summary in await world.acme.ledger.summaries():
            noted = [row.raw for row in await world.acme.ledger.rows(summary.engagement) if row.kind == "noted"]
            assert any(b"statusLists" in raw for raw in noted)


# --- SC-61


def _down(host: StatusHost) -> None:
    asyncio.ensure_future(host.down())  # noqa: RUF006 - it only closes sockets, and the world outlives it


def _foreign(host: StatusHost) -> None:
    host.body = canonicalize(host.signed(host.list(), generate_key("Ed25519")))


def _expired(host: StatusHost) -> None:
    host.body = canonicalize(host.signed(host.list(valid_from=shift(host.now, -7200))))


def _future(host: StatusHost) -> None:
    host.body = canonicalize(host.signed(host.list(valid_from=shift(host.now, 3600))))


def _unsigned(host: StatusHost) -> None:
    host.body = canonicalize(host.list())


def _of_another(host: StatusHost) -> None:
    host.body = canonicalize(host.signed(host.list() | {"issuer": host.home.configuration.did}))


def _setting(name: str, value: Any) -> Callable[[StatusHost], None]:
    return lambda host: setattr(host, name, value)


FAILURES: dict[str, Callable[[StatusHost], None]] = {
    "down": _down,
    "times out": _setting("hangs", True),
    "404": _setting("status", "404 Not Found"),
    "500": _setting("status", "500 Internal Server Error"),
    "redirect": _setting("status", "302 Found"),
    "expired": _expired,
    "not yet valid": _future,
    "wrongly signed": _foreign,
    "unsigned": _unsigned,
    "another issuer's": _of_another,
}


async def failing(stack: AsyncExitStack, folder: Path, ttl_seconds: int = 300) -> tuple[World, StatusHost]:
    """A world, and the host of the list that Globex's membership points to."""
    world = World(folder)
    await stack.enter_async_context(world)
    host = await stack.enter_async_context(status_host(world.globex.home, SystemClock().now(), ttl_seconds=ttl_seconds))
    host.vouch()
    await world.restart()
    return world, host


def fail(name: str, world: World, host: StatusHost) -> None:
    """From now on the list is not to be had."""
    FAILURES[name](host)
    if name == "times out":  # before the test does; what answers has the usual time
        world.acme.gatherer.limits = msgspec.structs.replace(world.acme.gatherer.limits, seconds=1.0)


@pytest.mark.parametrize("name", FAILURES)
async def test_sc_61_a_list_that_is_not_to_be_had(name: str, tmp_path: Path) -> None:
    """HIRE-STA-03, HIRE-STA-05. From the beginning, and only when it is signed: both times no contract, and both times
    another code than that of a revocation.
    """
    async with AsyncExitStack() as stack:
        world, host = await failing(stack, tmp_path)
        world.clock.held = now = world.clock.now()

        def fails() -> None:
            fail(name, world, host)
            world.clock.held = shift(now, 300)  # the offer is at its end: there is no time to ask again

        world.globex.bargaining.strategy = Before(fails)
        assert await refused(world) == "status_unavailable"
        ((who, move),) = await said(world.globex, "Withdraw")
        assert (who, move.reason) == (world.acme.identity.did, "status_unavailable")
        assert len(await said(world.globex, "Acceptance")) == 1
        # It fails still, and this time before there is an offer; what was fetched once does not count for ever.
        world.clock.held = None  # it is asked for once more, two seconds later
        world.globex.bargaining.strategy = None
        world.acme.statuses._kept.clear()
        with pytest.raises(UndersignedError, match=r"we withdrew: status_unavailable; \S") as caught, quiet_logs():
            await hire(world)
        assert caught.value.code == "status_unavailable"
        assert len(await said(world.globex, "Acceptance")) == 1
        assert world.acme.links.connected(world.globex.identity.did)


@pytest.mark.parametrize("name", ["down", "times out", "500", "expired"])
@pytest.mark.parametrize("revoked", [False, True])
async def test_sc_61_a_list_that_is_back_is_asked_before_the_seal(name: str, revoked: bool, tmp_path: Path) -> None:
    """HIRE-NEG-14. It cannot be had when the acceptance comes, and soon after it can: then what it says counts."""
    async with AsyncExitStack() as stack:
        world, host = await failing(stack, tmp_path)
        world.globex.bargaining.strategy = Before(lambda: fail(name, world, host))
        hiring = asyncio.create_task(refused(world) if revoked else hire(world))
        events = world.acme.watchers.listen()
        while (event := await asyncio.wait_for(events.get(), 10)).kind != "refused":
            pass
        assert (event.type, event.code) == ("Seal", "status_unavailable")
        if revoked:
            host.places.add(PLACE)
        host.body, host.status, host.hangs = None, "200 OK", False
        if name == "down":
            await host.up()
        found = await asyncio.wait_for(hiring, 20)
        assert found == "revoked" if isinstance(found, str) else found.contract is not None


async def test_sc_61_it_is_back_and_who_is_revoked_is_told_apart(tmp_path: Path) -> None:
    """HIRE-STA-03. The same peer, the same list: not to be had, there, and with the bit set."""
    async with AsyncExitStack() as stack:
        world, host = await failing(stack, tmp_path)
        host.status = "503 Service Unavailable"
        assert await refused(world) == "status_unavailable"
        host.status = "200 OK"
        host.places.add(PLACE + 1)
        assert (await hire(world)).contract is not None
        host.places.add(PLACE)
        world.acme.statuses._kept.clear()
        with pytest.raises(PolicyError) as caught, quiet_logs():
            await hire(world)
        assert caught.value.code == "revoked"


@pytest.mark.parametrize("met", [False, True])
async def test_sc_60_what_was_revoked_once_stays_so_after_a_restart(met: bool, tmp_path: Path) -> None:
    """HIRE-STA-05. Whether it ever counted or not: who holds the place of the list serves the one from before that,
    which is valid still.
    """
    async with AsyncExitStack() as stack:
        world, host = await failing(stack, tmp_path)
        before = canonicalize(host.signed(host.list()))
        assert not met or (await hire(world)).contract is not None
        host.places.add(PLACE)
        world.acme.statuses._kept.clear()
        with pytest.raises(PolicyError) as caught, quiet_logs():
            await hire(world)
        assert caught.value.code == "revoked"
        await world.restart()
        host.body = before
        with pytest.raises(UndersignedError, match="had revoked before") as caught, quiet_logs():
            await hire(world)
        assert caught.value.code == "status_unavailable"
        host.body = None
        world.acme.statuses._kept.clear()
        with pytest.raises(PolicyError) as caught, quiet_logs():
            await hire(world)
        assert caught.value.code == "revoked"


async def test_sc_61_a_stranger_does_not_say_whom_we_call(tmp_path: Path) -> None:
    """HIRE-STA-04. A membership of an organisation that Acme does not believe names a list: nobody asks for it."""
    async with AsyncExitStack() as stack:
        world, host = await failing(stack, tmp_path)
        world.acme.meeting.beliefs._followed.found = Anchors.of("did:web:somebody.example")
        assert await refused(world) == "policy_denied"
        assert host.asked == 0


async def test_sc_61_suspended_is_no_as_well(tmp_path: Path) -> None:
    """HIRE-STA-02: for now is for now; who signs now does not sign."""
    async with AsyncExitStack() as stack:
        world, host = await failing(stack, tmp_path)
        host.vouch(purpose="suspension")
        await world.restart()
        document = host.list()
        document["credentialSubject"]["statusPurpose"] = "suspension"  # type: ignore[index,call-overload]
        host.body = canonicalize(host.signed(document))
        assert (await hire(world)).contract is not None
        host.places.add(PLACE)
        document = host.list()
        document["credentialSubject"]["statusPurpose"] = "suspension"  # type: ignore[index,call-overload]
        host.body = canonicalize(host.signed(document))
        world.acme.statuses._kept.clear()
        with pytest.raises(PolicyError) as caught, quiet_logs():
            await hire(world)
        assert caught.value.code == "revoked"


# --- during a contract


async def working(world: World) -> tuple[asyncio.Task[HireResult], Any, Any]:
    """A hire whose work has begun and does not end, and the conversation on either side."""
    task = asyncio.create_task(hire(world, task="idle"))

    def state(peer: Peer) -> str:
        return next((c.engagement.state for c in peer.conversations.values()), "")

    await until(lambda: state(world.acme) == state(world.globex) == "working")
    (acme,) = world.acme.conversations.values()
    (globex,) = world.globex.conversations.values()
    return task, acme, globex


async def asked(world: World, conversation: Any) -> str:
    """What Acme's gate says to the provider's reading of its input: `allowed`, or the code."""
    order = world.acme.hirer.order(conversation)
    document = conversation.offered()
    try:
        await world.acme.gate.admit(
            conversation.engagement.contract.digest,
            document,
            conversation.engagement.state,
            Action(name="artifact:read", target=order.inputs[0].uri),
        )
    except ScopeError as error:
        return error.code
    return "allowed"


async def test_a_revocation_during_a_contract_ends_it(tmp_path: Path) -> None:
    """HIRE-STA-08, HIRE-STA-09. The gate refuses at once, and the contract ends with what shows it."""
    async with AsyncExitStack() as stack:
        world, host = await failing(stack, tmp_path, ttl_seconds=0)
        world.acme.status_watch.every_seconds = 3600.0
        world.acme.status_watch.renewal_seconds = 0.0
        task, acme, globex = await working(world)
        (credential,) = world.acme.meeting.relied(acme, "provider")
        assert credential.digest in acme.offered().terms.must_stay_valid
        assert len(acme.offered().terms.must_stay_valid) == 2
        assert await asked(world, acme) == "allowed"
        host.places.add(PLACE)
        assert await asked(world, acme) == "revoked"
        assert acme.engagement.state == "working"
        with quiet_logs():
            await world.acme.status_watch.look(acme)
            with pytest.raises(PolicyError) as caught:
                await task
        assert "terminate revoked" in str(caught.value)
        await until(lambda: not world.globex.conversations)
        ((who, move),) = await said(world.globex, "Terminate")
        assert isinstance(move, Terminate)
        assert (who, move.cause, move.evidence) == (world.acme.identity.did, "revoked", (credential.digest,))
        (shown,) = [blob for blob in await world.acme.ledger.evidence(acme.id) if blob.kind == "status-list"]
        assert isinstance(shown, Blob)
        assert shown.digest == move.names
        assert b"encodedList" in shown.raw
        assert globex.engagement.state == "closed"


async def test_contracts_are_looked_at_from_time_to_time(tmp_path: Path) -> None:
    """HIRE-STA-09: nobody acts under the contract, and it ends all the same."""
    async with AsyncExitStack() as stack:
        world, host = await failing(stack, tmp_path, ttl_seconds=0)
        await world.acme.close()
        world.acme.status_watch.every_seconds = 0.2
        world.acme.status_watch.renewal_seconds = 0.0
        await world.acme.start()
        task, *_ = await working(world)
        asked = host.asked
        await until(lambda: host.asked >= asked + 3)
        assert not task.done()
        host.places.add(PLACE)
        with pytest.raises(PolicyError), quiet_logs():
            await task
        assert [move.cause for _, move in await said(world.acme, "Terminate")] == ["revoked"]


async def test_the_provider_looks_after_the_hirers(tmp_path: Path) -> None:
    """HIRE-STA-08, HIRE-STA-09, from the other side: its own gate refuses, and it ends the contract."""
    async with world_in(tmp_path) as world:
        task, _, globex = await working(world)
        contract = globex.engagement.contract.digest
        await world.globex.status_watch.require(contract)
        withdraw_member(world.acme)
        world.globex.statuses._kept.clear()  # as after its `ttl`
        world.globex.status_watch.renewal_seconds = 0.0
        with pytest.raises(ScopeError) as caught:
            await world.globex.status_watch.require(contract)
        assert (caught.value.code, caught.value.detail["clause"]) == ("revoked", "mustStayValid")
        with quiet_logs():
            await world.globex.status_watch.look(globex)
            with pytest.raises(PolicyError):
                await task
        ((who, move),) = await said(world.acme, "Terminate")
        assert (who, move.cause) == (world.globex.identity.did, "revoked")


async def test_a_list_that_stays_away_stops_actions_and_ends_nothing(tmp_path: Path) -> None:
    """HIRE-STA-08. Until it is back; also for a peer that was started again and holds no list at all."""
    async with AsyncExitStack() as stack:
        world, host = await failing(stack, tmp_path, ttl_seconds=0)
        task, acme, _ = await working(world)
        host.status = "503 Service Unavailable"
        with quiet_logs():
            assert await asked(world, acme) == "status_unavailable"
            await world.acme.status_watch.look(acme)
            assert acme.engagement.state == "working"
        host.status = "200 OK"
        assert await asked(world, acme) == "allowed"
        host.status = "503 Service Unavailable"
        task.cancel()
        with quiet_logs():
            await world.acme.close()
            await world.acme.start()
            (again,) = world.acme.conversations.values()
            assert await asked(world, again) == "status_unavailable"
        host.status = "200 OK"
        assert await asked(world, again) == "allowed"
        assert not await said(world.acme, "Terminate")


async def test_a_suspension_stops_actions_and_ends_nothing(tmp_path: Path) -> None:
    """HIRE-STA-08, HIRE-STA-09: it is lifted, and the contract goes on."""
    async with AsyncExitStack() as stack:
        world, host = await failing(stack, tmp_path, ttl_seconds=0)
        host.vouch(purpose="suspension")
        await world.restart()

        def suspend(*places: int) -> None:
            host.places = set(places)
            document = host.list()
            document["credentialSubject"]["statusPurpose"] = "suspension"  # type: ignore[index,call-overload]
            host.body = canonicalize(host.signed(document))

        suspend()
        task, acme, _ = await working(world)
        suspend(PLACE)
        with quiet_logs():
            assert await asked(world, acme) == "revoked"
            await world.acme.status_watch.look(acme)
        await acme.settled()
        contract = acme.engagement.contract
        assert contract is not None
        assert acme.engagement.state == "suspended"
        assert contract.suspended_until == acme.offered().terms.deadlines.until, "for as long as it takes"
        suspend()
        await world.acme.status_watch.look(acme)
        await acme.settled()
        assert acme.engagement.state == "working"
        assert await asked(world, acme) == "allowed"
        task.cancel()


# --- SC-104


def deflated_zeros(size: int) -> bytes:
    """A gzip member of so many zeros, made without compressing each: whole flushed blocks are repeated."""
    block = 64 * MIB
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    one = packer.compress(bytes(block)) + packer.flush(zlib.Z_FULL_FLUSH)
    end = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS).flush()
    header = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff"
    return header + one * (size // block) + end + bytes(4) + (size % 2**32).to_bytes(4, "little")


def nested(times: int, data: bytes) -> bytes:
    for _ in range(times):
        data = gzip.compress(data, mtime=0)
    return data


BOMBS: dict[str, Callable[[], bytes]] = {
    "10 GB": lambda: deflated_zeros(160 * 64 * MIB),
    "640 MB": lambda: deflated_zeros(10 * 64 * MIB),
    "zeros": lambda: gzip.compress(bytes(100 * MIB), mtime=0),
    "one byte too many": lambda: gzip.compress(bytes(MAX_LIST_BYTES + 1), mtime=0),
    "concatenated": lambda: gzip.compress(bytes(MAX_LIST_BYTES), mtime=0) * 200,
    "concatenated small": lambda: gzip.compress(bytes(16_384), mtime=0) * 2,
    "10 nested": lambda: nested(10, bytes(16_384)),
    "10 nested of a bomb": lambda: nested(9, deflated_zeros(10 * 64 * MIB)),
    "nested noise": lambda: nested(2, __import__("secrets").token_bytes(40_000)),
}


@pytest.mark.parametrize("name", BOMBS)
async def test_sc_104_a_list_that_bursts(name: str) -> None:
    """HIRE-STA-01. Refused, and memory stays below twice the cap: nothing is kept that is not known to fit."""
    encoded = multibase_encode("u", BOMBS[name]())
    tracemalloc.start()
    try:
        with pytest.raises(CredentialError) as caught:
            decode_list(encoded)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.code == "status_invalid"
    assert peak < 2 * MAX_LIST_BYTES


async def test_sc_104_the_largest_list_is_read_in_as_little() -> None:
    """The control: what is allowed is read, below the same bound."""
    encoded = multibase_encode("u", gzip.compress(bytes(MAX_LIST_BYTES), mtime=0))
    tracemalloc.start()
    try:
        assert decode_list(encoded) == bytes(MAX_LIST_BYTES)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * MAX_LIST_BYTES + MAX_LIST_BYTES  # the list, a copy at most, and what it is compared with


@pytest.mark.parametrize("name", [*BOMBS, "encoded ten times", "no list", "no end"])
async def test_sc_104_a_list_that_bursts_over_the_wire(name: str, tmp_path: Path) -> None:
    """HIRE-STA-01. A peer whose membership points to it is not hired; the connection stays, and so does the hirer.

    Signed by the issuer: an organisation that is believed may be the attacker.
    """
    async with AsyncExitStack() as stack:
        world, host = await failing(stack, tmp_path)
        world.acme.gatherer.limits = msgspec.structs.replace(world.acme.gatherer.limits, seconds=20.0)
        if name in BOMBS:
            host.body = canonicalize(host.signed(host.list(encoded=multibase_encode("u", BOMBS[name]()))))
        elif name == "encoded ten times":
            host.body = nested(10, canonicalize(host.signed(host.list())))
            host.fields = f"Content-Encoding: {', '.join(['gzip'] * 10)}\r\n"
        else:
            host.body = b"[1" if name == "no list" else b'{"a":"' + b"x" * (2 * MIB)
        _, shown = await world.acme.ledger.tree_size(), world.acme.statuses
        codes: list[str] = []
        lists = shown.lists

        async def watched(*args: Any, **options: Any) -> Any:
            try:
                return await lists(*args, **options)
            except CredentialError as error:
                codes.append(error.code)
                raise

        shown.lists = watched  # type: ignore[method-assign]
        tracemalloc.start()
        try:
            # A word of its own for the other side there is not: to it, status could not be checked (decision 0131).
            assert await refused(world) == "status_unavailable"
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert codes == ["status_invalid"]
        # Two whole peers and the host, its answer included, run in this process; the bound is the same.
        assert peak - 2 * len(host.body or b"") < 2 * MAX_LIST_BYTES
        assert world.acme.links.connected(world.globex.identity.did)
        host.body, host.fields = None, ""
        assert (await hire(world)).contract is not None
