"""One provider at a gate, and what is left for the others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from aiohttp import ClientSession, TCPConnector, web

from gate_world import ORIGIN, SCOPE, Service, at_work, hire, lines, proxied, serving, under_uvicorn
from integration.hires import until
from security.raw_peer import Streams
from undersigned.daemon import AsgiGate, Ask, GateProxy, RemoteDesk, RequestGate, aiohttp_gate, gate_proxy, gate_remote
from undersigned.daemon.door import ListenerLimits
from undersigned.daemon.gate_desk import GateRefusal, RequestSigner, Visit
from undersigned.daemon.gate_remote import CONNECTIONS, SHARE
from undersigned.daemon.gating import UNDER_WAY
from undersigned.daemon.near import NearListener
from undersigned.encoding import digest_bytes
from undersigned.errors import ScopeError, TransportError

Handler: TypeAlias = Callable[[Any], Awaitable[web.StreamResponse]]


async def test_a_provider_whose_did_document_does_not_come_holds_up_nobody_else(tmp_path: Path) -> None:
    """HIRE-GTS-17: it asks as often as it likes, and the peer waits for its document each time."""
    ahead = 0.0
    async with at_work(tmp_path) as world, world.desk() as desk:
        world.hirer.gatherer._clock = lambda: time.monotonic() + ahead
        assert await desk.keys(world.contract) is not None

        async def silent(_: Any) -> Any:
            await asyncio.Event().wait()

        world.provider._listener._answer = silent  # its own server is its own affair
        ahead = 3600.0
        asks = [
            Ask(
                contract=world.contract,
                signed=RequestSigner(keyid=f"{world.provider.own.id}#{number}", nonce=f"nonce-{number:020}"),
                action="customer:read",
                target=f"{ORIGIN}/customers/a",
            )
            for number in range(2 * CONNECTIONS)
        ]
        visits = [Visit(**{name: getattr(ask, name) for name in Visit.__struct_fields__}) for ask in asks]
        no = ScopeError("scope_exceeded", "no rule", clause="rules")
        waiting: list[asyncio.Task[Any]] = [asyncio.create_task(desk.admit(ask)) for ask in asks]
        waiting += [asyncio.create_task(desk.enter(visit)) for visit in visits]
        waiting += [asyncio.create_task(desk.refused(GateRefusal.by(no, visit))) for visit in visits]
        waiting += [asyncio.create_task(desk.keys(world.contract)) for _ in range(SHARE)]
        await asyncio.sleep(0)
        other = asyncio.create_task(desk.keys(digest_bytes(b"another provider's contract")))
        done, _ = await asyncio.wait({other, *waiting}, return_when=asyncio.FIRST_COMPLETED)
        assert done == {other}
        assert await other is None
        assert list(desk._shares) == [world.provider.own.id], "whatever it asks for, and by whichever key"
        late = await asyncio.gather(*waiting, return_exceptions=True)
        for found in late:
            assert isinstance(found, TransportError), "nothing is let in that could not be asked, nor waited for long"
        assert str(late[-1]).endswith(" was not reached: no answer in 10.0 s"), "nor did it get its turn"
        assert not desk._shares


async def test_nor_does_one_whose_contracts_are_not_known_at_the_gate_yet(tmp_path: Path) -> None:
    """HIRE-GTS-17: whatever it is asked for first, nobody waits behind it whose contract is not known either."""
    async with at_work(tmp_path) as world, world.desk() as desk:

        async def silent(_: Any) -> Any:
            await asyncio.Event().wait()

        world.provider._listener._answer = silent
        world.hirer.gatherer._clock = lambda: time.monotonic() + 3600.0
        waiting = [asyncio.create_task(desk.keys(world.contract)) for _ in range(2 * SHARE)]
        await until(lambda: bool(world.hirer.gatherer._under_way))
        other = asyncio.create_task(desk.keys(digest_bytes(b"another provider's contract")))
        done, _ = await asyncio.wait({other, *waiting}, return_when=asyncio.FIRST_COMPLETED)
        assert done == {other}
        assert await other is None
        for one in waiting:
            one.cancel()
        await asyncio.wait(waiting)
        assert not desk._shares


@asynccontextmanager
async def behind_a_proxy(gate: RequestGate, slow: Handler) -> AsyncIterator[str]:
    async with serving(slow) as upstream, GateProxy(gate, upstream) as proxy:
        yield proxy.url


@asynccontextmanager
async def under_aiohttp(gate: RequestGate, slow: Handler) -> AsyncIterator[str]:
    async with serving(slow, middlewares=[aiohttp_gate(gate)]) as url:
        yield url


@asynccontextmanager
async def under_asgi(gate: RequestGate, slow: Handler) -> AsyncIterator[str]:
    async def app(scope: Any, _: Any, send: Any) -> None:
        await slow(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async with under_uvicorn(AsgiGate(app, gate), "off") as url:
        yield url


@pytest.mark.parametrize("gated", [behind_a_proxy, under_aiohttp, under_asgi])
async def test_a_provider_that_has_many_requests_under_way_takes_no_place_of_others(tmp_path: Path, gated: Any) -> None:
    """HIRE-GTS-17: the service is slow, or the provider reads slowly; what is more than its part is refused at once."""
    asked, answered = 0, asyncio.Event()

    async def slow(_: Any) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        await answered.wait()
        return web.Response(text="done")

    async with at_work(tmp_path) as world, world.desk() as desk:
        gate = RequestGate(desk, world.rules)
        async with gated(gate, slow) as url, ClientSession(connector=TCPConnector(limit=0)) as session:
            here = world._replace(session=session)
            asks = [asyncio.create_task(here.ask(url, "GET", "/customers/a")) for _ in range(2 * UNDER_WAY)]
            await until(lambda: asked == UNDER_WAY and sum(one.done() for one in asks) == UNDER_WAY)
            assert {one.result().no[:2] for one in asks if one.done()} == {(503, "overloaded")}
            answered.set()
            assert (
                sorted(heard.status for heard in await asyncio.gather(*asks)) == [200] * UNDER_WAY + [503] * UNDER_WAY
            )
            assert (await here.ask(url, "GET", "/customers/a")).status == 200, "and then there is room"
            await gate.close()
        assert not gate._under_way


async def test_a_provider_that_reads_slowly_keeps_its_part_of_an_aiohttp_application(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """HIRE-GTS-17: what a handler returned is under way until it is read, and that who asked leaves is no error."""

    body = bytes(16_000_000)

    async def large(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body)

    async with at_work(tmp_path) as world, world.desk() as desk:
        gate = RequestGate(desk, world.rules)
        app = web.Application(middlewares=[aiohttp_gate(gate)])
        app.router.add_get("/customers/a", large)
        runner = web.AppRunner(app)  # and no `TestServer`, which ends the handler of who leaves
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()

        async def asks() -> tuple[bytes, asyncio.StreamWriter]:
            reader, writer = await asyncio.open_connection(*runner.addresses[0])
            fields = lines(await world.signed("GET", "/customers/a"))
            writer.write(f"GET /customers/a HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n".encode())
            return (await reader.readuntil(b"\r\n"))[9:12], writer

        heard = [await asks() for _ in range(UNDER_WAY + 1)]
        for _, writer in heard:
            writer.transport.abort()
        await until(lambda: not gate._under_way)
        heard.append(await asks())
        heard[-1][1].transport.abort()
        await runner.cleanup()
        await gate.close()
    assert [status for status, _ in heard] == [b"200"] * UNDER_WAY + [b"503", b"200"], "and then there is room"
    assert not [one for one in caplog.records if one.name == "aiohttp.server"]


async def test_who_leaves_gives_its_place_back(tmp_path: Path) -> None:
    async with at_work(tmp_path) as world, world.desk() as desk:
        for _ in range(2 * SHARE):
            asked = asyncio.create_task(desk.keys(world.contract))
            await asyncio.sleep(0)
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
        assert not desk._shares
        assert await desk.keys(world.contract) is not None


async def test_contracts_that_are_not_known_yet_take_one_share_together() -> None:
    """HIRE-GTS-17: whoever names them. What the peer asks nobody for passes beside, on no more connections than are
    taken of one gate.
    """
    asked: list[str] = []
    open_, most, answered = 0, 0, asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        nonlocal open_, most
        asked.append(request.path)
        open_, most = open_ + 1, max(most, open_ + 1)
        await answered.wait()
        open_ -= 1
        return web.json_response({})

    async with serving(slow) as url, RemoteDesk(url, "token") as desk:
        unknown = [asyncio.create_task(desk.keys(digest_bytes(b"%d" % number))) for number in range(2 * CONNECTIONS)]
        await until(lambda: len(asked) == SHARE)
        said = [asyncio.create_task(desk.done("permit", happened=True)) for _ in range(2 * CONNECTIONS)]
        await until(lambda: open_ == CONNECTIONS)
        assert (asked.count("/gate/whose"), asked.count("/gate/done")) == (SHARE, CONNECTIONS - SHARE)
        answered.set()
        await asyncio.gather(*said)
        assert await asyncio.gather(*unknown) == [None] * len(unknown)
        session = desk._session
        assert session is not None
    assert most == CONNECTIONS
    assert not desk._shares
    assert session.closed


async def test_whose_a_contract_is_is_asked_once() -> None:
    """And its keys each time: those may change."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return web.json_response({"provider": "did:web:globex.example"} if request.path == "/gate/whose" else {})

    async with serving(answer) as url, RemoteDesk(url, "token") as desk:
        for _ in range(2):
            assert await desk.keys(digest_bytes(b"contract")) is None
    assert asked == ["/gate/whose", "/gate/keys", "/gate/keys"]


async def test_of_contracts_a_bounded_number_is_known_at_a_gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider of the one that was asked for longest ago is asked for again, and of one that nobody knows nothing
    is kept.
    """
    monkeypatch.setattr(gate_remote, "PROVIDERS", 2)
    async with at_work(tmp_path) as world, world.desk() as desk:
        others = [asyncio.create_task(hire(world.hirer, world.provider, SCOPE)) for _ in range(2)]
        await until(lambda: len(world.jobs) == 3)
        a, b, c = (job.contract for job in world.jobs)
        for contract, kept in ((a, [a]), (b, [a, b]), (a, [b, a]), (c, [a, c]), (b, [c, b])):
            assert await desk.keys(contract) is not None
            assert await desk.keys(digest_bytes(b"another")) is None
            assert list(desk._providers) == kept
        world.finish.set()
        await asyncio.gather(*others)


async def test_who_signs_nothing_takes_no_connection_of_who_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HIRE-GTS-17: a crowd comes to a proxy, and the agent goes on where it is."""
    monkeypatch.setattr(gate_proxy, "CONNECTIONS", 4)
    path = "/customers/a"
    async with at_work(tmp_path) as world, proxied(world, Service()) as (url, _):
        at = ("127.0.0.1", int(url.rpartition(":")[2]))
        reader, writer = await asyncio.open_connection(*at)

        async def asks() -> bytes:
            fields = (("Host", "localhost"), *await world.signed("GET", path))
            head = "".join(f"{name}: {value}\r\n" for name, value in fields)
            writer.write(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
            await reader.readuntil(b"\r\n\r\n")
            return await reader.readexactly(len(b"done: " + path.encode()))

        for crowd in (0, 8):
            strangers = [await asyncio.open_connection(*at) for _ in range(crowd)]
            if strangers:
                assert await strangers[0][0].read() == b"", "it made room for another one"
            assert await asks() == b"done: /customers/a"
        for _, one in (*strangers, (reader, writer)):
            one.close()


async def test_where_there_is_room_nobody_makes_room() -> None:
    """HIRE-GTS-17: also of more than one address may have elsewhere, since here it says nothing. One more is refused
    where all are welcome.
    """

    async def answer(request: web.BaseRequest) -> web.Response:
        near.welcome(request)
        return web.Response()

    near = NearListener(answer, "127.0.0.1", 0, connections=ListenerLimits().unproved_per_address + 1)
    async with near:
        where = ("127.0.0.1", near.port)
        crowd = [await asyncio.open_connection(*where) for _ in range(ListenerLimits().unproved_per_address + 1)]
        for reader, writer in crowd:
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        crowd.append(await asyncio.open_connection(*where))
        assert await crowd[-1][0].read() == b""
        for _, writer in crowd:
            writer.close()


async def test_some_providers_together_keep_no_other_out() -> None:
    """HIRE-GTS-17: four hold a quarter each, and say nothing more; a fifth comes in, and goes on where it is."""

    async def answer(request: web.BaseRequest) -> web.Response:
        near.welcome(request, request.headers["Whose"])
        return web.Response()

    near = NearListener(answer, "127.0.0.1", 0, connections=8)
    async with near:

        async def asked(whose: str) -> Streams:
            reader, writer = await asyncio.open_connection("127.0.0.1", near.port)
            return await again((reader, writer), whose)

        async def again(streams: Streams, whose: str) -> Streams:
            streams[1].write(f"GET / HTTP/1.1\r\nHost: localhost\r\nWhose: {whose}\r\n\r\n".encode())
            assert (await streams[0].readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            return streams

        crowd = [await asked(f"did:web:{number % 4}.example") for number in range(8)]
        other = await asked("did:web:globex.example")
        await again(other, "did:web:globex.example")
        assert near._welcome.total() == 6, "a quarter is always of those that make room"
        crowd[0][1].close()
        await until(lambda: near._welcome["did:web:0.example"] == 1)  # and it holds no more than two after that
        for _, writer in (*crowd[1:], other):
            writer.close()
        await until(lambda: not near._welcome and not near._strangers)
