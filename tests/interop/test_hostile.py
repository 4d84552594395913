"""Whatever stands where an implementation should: the harness ends, and says what it found."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from html import escape
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from integration.commands import serving
from interop.worlds import QUICK, peer_home, subject_of
from undersigned.daemon import PublicListener
from undersigned.did import DidDocument, document_from
from undersigned.encoding import Did
from undersigned.errors import Closed
from undersigned.interop import (
    Result,
    Run,
    RunLimits,
    Stage,
    Subject,
    chosen,
    compatibility,
    play_all,
    transcript,
    verdict,
    write_reports,
)
from undersigned.runtime import SystemClock
from undersigned.testing import Actor, Attacker
from undersigned.transport import Channel, admit

pytestmark = pytest.mark.timeout(60)

SOMEBODY = Actor("somebody").did
HURRIED = RunLimits(answer=0.5, scenario=3.0, upgrade=0.5)
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


async def a_long_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(4096)
    writer.write(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: gopher://" + b"x" * 6000 + b"\r\n\r\n")
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


async def against(
    url: str,
    told: Callable[[dict[str, Any]], None] = lambda _: None,
    did: Did = SOMEBODY,
    limits: RunLimits = HURRIED,
) -> tuple[Result, ...]:
    async with Stage(Subject(url=url, did=did, local=True), seed="x", limits=limits) as stage:
        return await play_all(stage, chosen("provider"), told=told)


@pytest.mark.parametrize("handler", [silent, closing, garbage, a_web_page], ids=lambda one: one.__name__)
async def test_what_is_no_websocket(handler: Handler) -> None:
    async with tcp(handler) as url:
        results = await against(url)
    assert {one.outcome for one in results} == {"given up"}
    assert {one.detail.split(":")[0] for one in results} == {"no connection"}


@pytest.mark.parametrize(
    "handler",
    [open_and_silent, open_and_garbage, open_and_flood, a_challenge_and_no_more],
    ids=lambda one: one.__name__,
)
async def test_a_websocket_that_proves_nothing(handler: Handler) -> None:
    async with websocket(handler) as url:
        # A flood is read until the connection is closed, by the loop that makes it: that takes seconds.
        results = await against(url, limits=replace(HURRIED, scenario=30.0))
    assert {one.outcome for one in results} == {"given up"}
    (detail,) = {one.detail.split(":")[0] for one in results}
    assert detail in ("the connection was not proved", "no connection")


MARKUP = "hello <script>alert(1)</script>"


@pytest.mark.parametrize(
    ("frame", "noted"),
    [
        (MARKUP, {"text": MARKUP}),
        (MARKUP.encode(), {"text": MARKUP, "binary": True, "unread": True}),
        (b"\x00\xff", {"base64": "AP8=", "binary": True, "unread": True}),
        ([b"two ", b"pieces"], {"text": "two pieces", "binary": True, "unread": True}),
    ],
    ids=["text", "binary", "bytes", "pieces"],
)
async def test_what_cannot_be_read_is_in_the_transcript(frame: Any, noted: dict[str, Any], tmp_path: Path) -> None:
    """Every frame that came is, and on the page it is text and nothing else."""
    said: list[dict[str, Any]] = []

    async def say(socket: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            await socket.send(frame)
            await socket.wait_closed()

    async with websocket(say) as url:
        results = await against(url, said.append)
    (received,) = [one for one in said if one["what"] == "received"]
    assert received == {"scenario": "first-contact", "at": received["at"], "what": "received", "line": "first"} | {
        "connection": 1,
        "unproved": True,
        **noted,
    }
    hostile = tuple(replace(one, detail=f"{one.detail} {MARKUP}") for one in results)
    about = Run(
        implementation=MARKUP,
        version=MARKUP,
        did=SOMEBODY,
        role="provider",
        profile="core",
        seed=MARKUP,
        began="2026-03-01T12:00:00Z",
        ended="2026-03-01T12:00:00Z",
    )
    write_reports(tmp_path, compatibility(about, hostile), hostile, transcript(said))
    page = (tmp_path / "compatibility.html").read_text()
    assert "<script" not in page
    assert escape(MARKUP) in page
    assert [json.loads(line) for line in (tmp_path / "transcript.jsonl").open()] == [*said, {"what": "end"}]


async def test_what_cannot_be_read_after_the_proof_is_in_the_transcript_too() -> None:
    """Text that is no UTF-8, on a connection of somebody who proved itself."""
    actor = Attacker("somebody who is no text")
    said: list[dict[str, Any]] = []

    async def accept(channel: Channel) -> None:
        async def resolve(did: Did) -> DidDocument:
            return document_from(did, {})

        await admit(channel, {actor.did: actor.identity}, resolve, SystemClock().now)
        with suppress(Closed):
            await channel.receive()
            await channel.send(b'{"type":"\xff"}')
            await channel.receive()

    listener = PublicListener("127.0.0.1", 0, documents=lambda _: None, accept=accept)
    await listener.start()
    try:
        await against(f"ws://127.0.0.1:{listener.port}/hire", said.append, actor.did)
    finally:
        await listener.stop()
    frames = [one for one in said if one["what"] in ("sent", "received")]
    assert [(one["what"], one.get("unproved", False)) for one in frames] == [
        ("received", True),
        ("sent", True),
        ("received", True),
        ("sent", False),
        ("received", False),
    ]
    assert (frames[-1]["base64"], frames[-1]["unread"]) == ("eyJ0eXBlIjoi/yJ9", True)


@pytest.mark.parametrize("handler", [garbage, a_long_head], ids=lambda one: one.__name__)
async def test_no_more_is_told_of_an_answer_than_helps(handler: Handler) -> None:
    """Where the DID document and the channel should be are many bytes of something else."""
    async with tcp(handler) as url:
        port = url.rpartition(":")[2].removesuffix("/hire")
        for did in (f"did:web:localhost%3A{port}", SOMEBODY):
            results = await against(url, did=did)
            assert {one.outcome for one in results} == {"given up"}
            assert max(len(one.detail) for one in results) < 300


async def test_nobody_listens(tmp_path: Path) -> None:
    results = await against("ws://127.0.0.1:9/hire")
    assert len(results) == len(chosen("provider"))
    assert all("no connection" in one.detail for one in results)


async def test_one_that_ends_in_the_middle_is_given_up(tmp_path: Path) -> None:
    """It failed the scenario in which it was not there any more, and breaks none of the rules that follow."""
    home = await peer_home(tmp_path / "globex")
    with serving(home.path) as served:

        def done(result: Result) -> None:
            if result.outcome == "passed":
                served.end(signal.SIGKILL)

        async with Stage(subject_of(home), seed="x", limits=QUICK) as stage:
            results = await play_all(stage, chosen("provider", only=["happy"]), at_a_time=1, done=done)
    outcomes = [one.outcome for one in results]
    assert outcomes == ["passed", "failed", *["given up"] * (len(outcomes) - 2)]
    assert results[2].detail.startswith("it answers no more: no connection: ")
    assert verdict(results) == "not judged to the end"


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
    assert {one.detail for one in results} == {
        "nothing came within 0.5 s; expected an answer to an Inquiry; sent before: Inquiry"
    }
