"""Whatever stands where an implementation should: the harness ends, and says what it found."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from undersigned.daemon import PublicListener
from undersigned.did import DidDocument, document_from
from undersigned.encoding import Did
from undersigned.errors import Closed
from undersigned.interop import Limits, Result, Stage, Subject, chosen, play_all
from undersigned.runtime import SystemClock
from undersigned.testing import Actor, Attacker
from undersigned.transport import Channel, admit

pytestmark = pytest.mark.timeout(60)

SOMEBODY = Actor("somebody").did
HURRIED = Limits(answer=0.5, scenario=3.0, upgrade=0.5)
Handler = Callable[[Any], Awaitable[None]]


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes the connection, and says nothing."""
    try:
        while await reader.read(4096):
            pass
    finally:
        writer.close()


async def closing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def garbage(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(bytes(range(256)) * 64)
    await writer.drain()
    writer.close()


async def a_web_page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(4096)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    await writer.drain()
    writer.close()


async def open_and_silent(socket: ServerConnection) -> None:
    await socket.wait_closed()


async def open_and_garbage(socket: ServerConnection) -> None:
    with suppress(ConnectionClosed):
        await socket.send("\x00" * 64)
        await socket.wait_closed()


async def open_and_flood(socket: ServerConnection) -> None:
    with suppress(ConnectionClosed):
        while True:
            await socket.send('{"type":"Fault","code":"bad_json"}')


async def a_challenge_and_no_more(socket: ServerConnection) -> None:
    await socket.send(json.dumps({"type": "Challenge", "subprotocol": "hire.v1", "nonce": "u" + "A" * 43}))
    await socket.wait_closed()


@asynccontextmanager
async def tcp(handler: Handler) -> AsyncIterator[str]:
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    async with server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/hire"


@asynccontextmanager
async def websocket(handler: Handler) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0, subprotocols=["hire.v1"], close_timeout=0.1) as server:  # type: ignore[list-item]
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/hire"


async def against(url: str) -> tuple[Result, ...]:
    async with Stage(Subject(url=url, did=SOMEBODY, local=True), seed="x", limits=HURRIED) as stage:
        return await play_all(stage, chosen("provider"))


@pytest.mark.parametrize("handler", [silent, closing, garbage, a_web_page], ids=lambda one: one.__name__)
async def test_what_is_no_websocket(handler: Handler) -> None:
    async with tcp(handler) as url:
        results = await against(url)
    assert {one.outcome for one in results} == {"failed"}
    assert {one.detail.split(":")[0] for one in results} == {"no connection"}


@pytest.mark.parametrize(
    "handler",
    [open_and_silent, open_and_garbage, open_and_flood, a_challenge_and_no_more],
    ids=lambda one: one.__name__,
)
async def test_a_websocket_that_proves_nothing(handler: Handler) -> None:
    async with websocket(handler) as url:
        results = await against(url)
    assert {one.outcome for one in results} == {"failed"}
    (detail,) = {one.detail.split(":")[0] for one in results}
    assert detail in ("the connection was not proved", "no connection")


async def test_nobody_listens(tmp_path: Path) -> None:
    results = await against("ws://127.0.0.1:9/hire")
    assert len(results) == len(chosen("provider"))
    assert all("no connection" in one.detail for one in results)


async def test_one_that_proves_itself_and_says_nothing() -> None:
    """It is given up once it left an Inquiry unanswered, and not once for each scenario."""
    actor = Attacker("somebody silent")
    met: list[str] = []

    async def accept(channel: Channel) -> None:
        async def resolve(did: Did) -> DidDocument:
            return document_from(did, {})

        met.append((await admit(channel, {actor.did: actor.identity}, resolve, SystemClock().now)).peer)
        with suppress(Closed):
            while True:
                await channel.receive()

    listener = PublicListener("127.0.0.1", 0, documents=lambda _: None, accept=accept)
    await listener.start()
    try:
        subject = Subject(url=f"ws://127.0.0.1:{listener.port}/hire", did=actor.did, local=True)
        async with Stage(subject, seed="x", limits=HURRIED) as stage:
            results = await play_all(stage, chosen("provider"))
    finally:
        await listener.stop()
    assert len(met) == 1
    assert {one.detail for one in results} == {"nothing came within 0.5 s; expected an answer to an Inquiry"}
