"""A real listener and raw bytes to it: what a stranger on the socket can say."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from undersigned.daemon.answers import ArtifactRequest, ArtifactResponse, Document
from undersigned.daemon.edge import EdgeProtocol
from undersigned.daemon.listener import ListenerLimits, PublicListener
from undersigned.encoding import digest_bytes
from undersigned.errors import Closed, VerificationError
from undersigned.transport import NO_PROXIES, Channel, ChannelLimits, Proxies, connect

LIMITS = ChannelLimits(local=True, max_message_bytes=64 * 1024, message_seconds=0.3, close_seconds=0.3, proof_seconds=2)
LISTENING = ListenerLimits(channel=LIMITS, head_seconds=5)
BIG = os.urandom(24 * 1024 * 1024)
LONG = bytes(60_000)
"""Less than what a program holds of an answer before it waits for its reader."""
DIGEST = digest_bytes(b"artifact")
EMPTY = digest_bytes(b"")
SLOW = digest_bytes(b"an artifact that is looked for as long as a test likes")


async def ten(start: int) -> AsyncGenerator[bytes]:
    for byte in b"0123456789"[start:]:
        yield bytes([byte])


async def damaged(start: int) -> AsyncGenerator[bytes]:
    yield b"01234"
    raise VerificationError("digest_mismatch", "other bytes")


async def endless(start: int) -> AsyncGenerator[bytes]:
    while True:
        yield bytes(100_000)


async def grown(start: int) -> AsyncGenerator[bytes]:
    while True:
        yield b"0123"


PIECES: dict[str, ArtifactResponse] = {
    digest_bytes(pieces.__name__.encode()): ArtifactResponse(200, size=size, pieces=pieces)
    for pieces, size in ((ten, 10), (damaged, 10), (grown, 10), (endless, 1 << 40))
}


@dataclass
class Served:
    """A listener, and what reached the code behind it."""

    listener: PublicListener
    messages: list[bytes] = field(default_factory=list)
    ended: list[Closed] = field(default_factory=list)
    channels: list[Channel] = field(default_factory=list)
    asked: list[ArtifactRequest] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    found: asyncio.Event = field(default_factory=asyncio.Event)
    """Once it is set, `SLOW` is answered."""

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.listener.port}/hire"


@asynccontextmanager
async def served(
    limits: ListenerLimits = LISTENING, *, proves: bool = True, proxies: Proxies = NO_PROXIES
) -> AsyncIterator[Served]:
    async def accept(channel: Channel) -> None:
        serving.channels.append(channel)
        if proves:
            channel.proved("did:web:acme.example")
        try:
            while True:
                serving.messages.append(await channel.receive())
                await channel.send(b'"thanks"')
        except Closed as exc:
            serving.ended.append(exc)

    def documents(path: str) -> Document | None:
        if path == "/.well-known/did.jsonl":
            return Document(LONG, "text/jsonl")
        return Document(b'{"id":"did:web:here"}', "application/did+json") if path == "/.well-known/did.json" else None

    async def artifacts(request: ArtifactRequest) -> ArtifactResponse:
        serving.asked.append(request)
        if request.digest == DIGEST:
            return ArtifactResponse(200, BIG)
        if request.digest == EMPTY:
            return ArtifactResponse(200)
        if request.digest == SLOW:
            await serving.found.wait()
        if request.digest in PIECES:
            return PIECES[request.digest]
        return ArtifactResponse(403, code="scope_exceeded")

    serving = Served(
        PublicListener(
            "127.0.0.1", 0, documents=documents, accept=accept, artifacts=artifacts, limits=limits, proxies=proxies
        )
    )
    await serving.listener.start()
    try:
        yield serving
    finally:
        serving.found.set()
        await serving.listener.stop()
        for writer in serving.writers:
            writer.transport.abort()
            with suppress(ConnectionError):
                await writer.wait_closed()
    assert serving.listener.door.connections == 0
    assert serving.listener.door.unproved == 0


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def raw(serving: Served, *, source: str = "127.0.0.1") -> Streams:
    streams = await asyncio.open_connection("127.0.0.1", serving.listener.port, local_addr=(source, 0))
    serving.writers.append(streams[1])
    return streams


async def asking(serving: Served, *, source: str = "127.0.0.1", field: str = "") -> Streams:
    """A stranger who is being answered, for as long as the test likes."""
    count = len(serving.asked) + 1
    reader, writer = await raw(serving, source=source)
    lines = (f"GET /artifacts/{SLOW} HTTP/1.1", "Host: localhost", *([field] if field else []), "", "")
    writer.write("\r\n".join(lines).encode())
    await settled(lambda: len(serving.asked) == count)
    return reader, writer


async def unread(serving: Served, *, source: str = "127.0.0.1") -> Streams:
    """A stranger who asks until a part of an answer waits to be taken, and takes nothing."""
    reader, writer = await raw(serving, source=source)
    writer.transport.pause_reading()
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    ours = edge(serving, writer).transport
    assert ours is not None
    ours.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)
    async with asyncio.timeout(20):
        while not ours.get_write_buffer_size():
            writer.write(b"GET /.well-known/did.jsonl HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await asyncio.sleep(0.02)
    assert ours.get_write_buffer_size() <= len(LONG) + 512
    return reader, writer


def edge(serving: Served, writer: asyncio.StreamWriter) -> EdgeProtocol:
    """Our side of a stranger's connection."""
    server, name = serving.listener._server, writer.get_extra_info("sockname")
    assert server is not None
    (found,) = [
        one
        for one in server.connections
        if one.transport is not None and one.transport.get_extra_info("peername") == name
    ]
    assert isinstance(found, EdgeProtocol)
    return found


GET = b"GET /.well-known/did.json HTTP/1.1\r\nHost: localhost\r\n"
UPGRADE = (
    b"GET /hire HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: hire.v1\r\n\r\n"
)


async def upgraded(serving: Served) -> Streams:
    reader, writer = await raw(serving)
    writer.write(UPGRADE)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    return reader, writer


def frame(
    payload: bytes = b"", *, opcode: int = 1, fin: bool = True, length: int | None = None, mask: bool = True
) -> bytes:
    """One frame as a client sends it; `length` may announce something else than what follows."""
    size = len(payload) if length is None else length
    first = bytes([(0x80 if fin else 0) | opcode])
    masked = 0x80 if mask else 0
    if size < 126:
        head = first + bytes([masked | size])
    elif size < 2**16:
        head = first + bytes([masked | 126]) + size.to_bytes(2, "big")
    else:
        head = first + bytes([masked | 127]) + size.to_bytes(8, "big")
    return head + (b"\0\0\0\0" if mask else b"") + payload


async def ended(reader: asyncio.StreamReader) -> bytes:
    """What comes until the server hangs up; it has to."""
    with suppress(ConnectionError):
        async with asyncio.timeout(5):
            return await reader.read(-1)
    return b""


async def goes_on(serving: Served) -> None:
    """An honest peer still gets through."""
    channel = await connect(serving.url, limits=LIMITS)
    await channel.send(b'"honest"')
    assert await channel.receive() == b'"thanks"'
    await channel.close()


async def settled(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for is a count of the listener's
            await asyncio.sleep(0.005)


async def status(serving: Served, request: bytes, *, source: str = "127.0.0.1") -> int:
    """The status that a connection of its own is answered with."""
    reader, writer = await raw(serving, source=source)
    writer.write(request)
    return int((await reader.readline()).split()[1])
