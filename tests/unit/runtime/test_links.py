"""Whoever keeps a connection to a peer goes on, whatever this machine is short of meanwhile."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from typing import Any

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from runtimes import World, lingers
from support import no_descriptor
from undersigned.did import DidDocument, make_document
from undersigned.encoding import Did
from undersigned.errors import TransportError
from undersigned.runtime import Shell, SystemClock
from undersigned.runtime.agent import taking_turns
from undersigned.runtime.agent.links import READ_AT_ONCE, Links
from undersigned.runtime.fetching.fetcher import GathererLimits
from undersigned.runtime.fetching.gather import Gatherer
from undersigned.runtime.signers import generate_key
from undersigned.testing import LOOSE, Attacker
from undersigned.transport import Channel, Identity, Proved, dial, memory_pair, prove

PEER = "did:web:globex.example"
KEEPER = Attacker("whoever keeps")


def keeping(who: Attacker = KEEPER, **options: Any) -> Links:
    """Whoever keeps connections, and proves none; `options` replace what it is given."""

    async def resolve(did: Did) -> DidDocument:
        raise AssertionError(did)

    given: dict[str, Any] = {"clock": SystemClock(), "resolve": resolve, "limits": LOOSE}
    given |= {
        "read": _nothing,
        "opened": lambda _: None,
        "heard": lambda _: None,
        "lost": lambda _: None,
        "locate": _nothing,
    }
    given |= {"wanted": lambda _: False, "spent": lambda _: False, "ahead_of": lambda _: None}
    return Links(who.identity, **given | options)


@pytest.mark.asyncio
async def test_who_sends_without_a_pause_takes_turns_with_everybody() -> None:
    """HIRE-LIM-02: of what lies there already a few messages are read at a time. A peer that repeated itself kept all
    others waiting for a second.
    """
    read, others = 0, list[int]()

    async def reads(_channel: Channel, _raw: bytes) -> None:
        nonlocal read
        read += 1
        if read % READ_AT_ONCE == 1:
            asyncio.get_running_loop().call_soon(lambda: others.append(read))

    links = keeping(read=reads)
    ours, theirs = memory_pair()
    ours.proved(PEER)
    for _ in range(6 * READ_AT_ONCE):
        await theirs.send(b"{}")
    await theirs.close()
    await links._serve(ours)
    assert others == [READ_AT_ONCE * turn for turn in range(1, 7)]


@pytest.mark.asyncio
@pytest.mark.parametrize(("said", "seen"), [(0, ["lost"]), (2, ["heard", "read", "read", "lost"])])
async def test_who_dialled_is_there_once_it_has_said_something(said: int, seen: list[str]) -> None:
    """HIRE-LIF-24: one that finds no DID document of ours proves itself, refuses our proof, and comes again for as long
    as a contract is open. Each time the journal had two lines more: that it was back, and that it was lost.
    """
    came: list[str] = []

    async def reads(_channel: Channel, _raw: bytes) -> None:
        came.append("read")

    links = keeping(read=reads, heard=lambda _: came.append("heard"), lost=lambda _: came.append("lost"))
    ours, theirs = memory_pair()
    ours.proved(PEER)
    for _ in range(said):
        await theirs.send(b"{}")
    await theirs.close(1008, "proof_invalid")
    await links._serve(ours)
    assert came == seen


@pytest.mark.asyncio
async def test_without_a_descriptor_nobody_is_reached() -> None:
    """It is said as all else that keeps from a peer, so that it is tried again."""
    with no_descriptor(), pytest.raises(TransportError) as caught:
        await dial("127.0.0.1", 9, seconds=1, local=True)
    assert caught.value.code == "unreachable"
    assert "Too many open files" in str(caught.value)


@pytest.mark.asyncio
async def test_what_the_machine_is_short_of_is_tried_again() -> None:
    tried = 0
    again = asyncio.Event()

    async def locate(_: Did) -> tuple[str, ...]:
        nonlocal tried
        tried += 1
        if tried == 1:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        again.set()
        return ()

    links = keeping(locate=locate, wanted=lambda _: True)
    links.keep(PEER)
    async with asyncio.timeout(10):
        await again.wait()
    await links.close()


@pytest.mark.asyncio
async def test_strangers_who_name_slow_hosts_keep_nobody_elsewhere_out() -> None:
    """HIRE-LIM-02: whose DID it says before it has proved it costs a stranger nothing, so those of one address share
    what may be looked up for one.
    """

    async def answers(request: web.BaseRequest) -> web.StreamResponse:
        if "quick" in request.path:
            return web.json_response(make_document(quick, authentication=keys, assertion_method=keys))
        slow.append(request.path)
        await asyncio.Event().wait()
        raise AssertionError

    slow: list[str] = []
    key = generate_key()
    keys = {"key-1": key.public_key}
    gatherer = Gatherer(local=True, limits=GathererLimits(connections=4, per_asker=2, seconds=60))
    async with RawTestServer(answers) as host:
        quick = f"did:web:localhost%3A{host.port}:quick"
        links = keeping(resolve=gatherer.document)

        def comes(name: str, address: str) -> tuple[asyncio.Task[None], asyncio.Task[Proved]]:
            here, there = memory_pair(LOOSE, name=address)
            who = Identity(name, f"{name}#key-1", "eddsa-jcs-2022", "Ed25519", key.sign)
            return asyncio.create_task(links.accept(there)), asyncio.create_task(
                prove(here, who, gatherer.document, SystemClock().now, expect=links._identity.did)
            )

        crowd = [
            task for number in range(8) for task in comes(f"did:web:localhost%3A{host.port}:{number}", "198.51.100.7")
        ]
        async with asyncio.timeout(10):
            while len(slow) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0)
            serving, honest = comes(quick, "203.0.113.9")
            assert (await honest).peer == links._identity.did
        assert len(slow) == 2
        for task in (*crowd, serving):
            task.cancel()
        await asyncio.gather(*crowd, serving, return_exceptions=True)
        await links.close()
        await gatherer.close()


async def _nothing(*_: object) -> None: ...


@pytest.mark.parametrize(
    ("state", "goes"),
    [
        *(("profiled", False), ("ready", False), ("withdrawn", False), ("offered-by-provider", False)),
        *(("accepted-by-provider", True), ("working", True)),
    ],
)
def test_a_provider_dials_its_hirer_from_an_acceptance_on(
    state: str, goes: bool, open_world: Callable[..., World]
) -> None:
    """HIRE-LIM-02: before that whoever wants something comes for it, as it can; a hirer always goes to its provider."""
    world = open_world(held=True, handler=lingers)
    conversation = world.begin(opening="3 EUR" if state == "offered-by-provider" else "5 EUR")
    if state == "withdrawn":
        world.until("profiled", conversation.id, world.provider)
        world.run(world.hirer.cancel(conversation))
    world.until(state, conversation.id, world.provider)
    dialled: list[tuple[Did, Did]] = []
    for node, peer in zip(world.nodes, reversed(world.nodes), strict=True):

        def keep(to: Did, *, patience_seconds: float = 0.0, node: Any = node) -> None:
            dialled.append((node.did, to))

        node.links.keep = keep  # type: ignore[method-assign]
        world.run(Shell.deliver(node.shell, peer.did, b"{}"))
    here, there = world.hirer.did, world.provider.did
    assert dialled == [(here, there), *([(there, here)] if goes else [])]


@pytest.mark.asyncio
async def test_two_programs_with_one_key_are_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is answered goes to the connection that came last, and nobody else finds out why hires stand still."""
    monkeypatch.setattr(taking_turns, "APART_SECONDS", 0.0)
    who = Attacker("whoever has two programs")
    heard = asyncio.Queue[bytes]()

    async def read(_: Channel, raw: bytes) -> None:
        heard.put_nowait(raw)

    async def resolve(_: Did) -> DidDocument:
        return who.document

    us = Attacker("who is dialled")
    links = keeping(us, resolve=resolve, read=read)

    async def ours(_: Did) -> DidDocument:
        return us.document

    ends: list[Channel] = []
    serving: list[asyncio.Task[None]] = []
    with structlog.testing.capture_logs() as logged:
        for address in ("198.51.100.7", "203.0.113.9"):
            here, there = memory_pair(LOOSE, name=address)
            serving.append(asyncio.create_task(links.accept(there)))
            await prove(here, who.identity, ours, SystemClock().now, expect=us.did)
            ends.append(here)
        for place in range(12):
            await ends[place % 2].send(b"{}")
            await heard.get()
    (told,) = [one for one in logged if one["event"] == "a peer speaks on two connections by turns"]
    assert (told["peer"], told["log_level"]) == (who.did, "warning")
    assert told["places"] == ["memory:198.51.100.7", "memory:203.0.113.9"]
    await links.close()
    await asyncio.gather(*serving, return_exceptions=True)


@pytest.mark.asyncio
async def test_why_a_peer_was_not_reached_is_kept_while_it_is_wanted() -> None:
    """A peer runs for months, and any number of others are away meanwhile."""
    told, over, heard = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def locate(_: Did) -> tuple[str, ...]:
        told.set()
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    def wanted(_: Did) -> bool:
        if over.is_set():
            heard.set()
        return not over.is_set()

    links = keeping(locate=locate, wanted=wanted)
    links.keep(PEER)
    async with asyncio.timeout(10):
        await told.wait()
        assert PEER in links.last_error
        over.set()
        await heard.wait()
    assert not links.last_error
    await links.close()
