"""SC-76 to SC-83 and SC-105: strangers on the socket. Everything here speaks raw bytes to a real listener."""

from __future__ import annotations

import asyncio
import gzip
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from undersigned.daemon.door import Door, Ticket
from undersigned.daemon.listener import (
    TOLD,
    ArtifactRequest,
    ArtifactResponse,
    Document,
    ListenerLimits,
    PublicListener,
)
from undersigned.encoding import digest_bytes
from undersigned.errors import Closed, ProofError, TransportError, UndersignedError, VerificationError
from undersigned.transport import NO_PROXIES, Allowance, Budget, Channel, ChannelLimits, Proxies, Watch, admit, connect

LIMITS = ChannelLimits(local=True, max_message_bytes=64 * 1024, message_seconds=0.3, close_seconds=0.3, proof_seconds=2)
LISTENING = ListenerLimits(channel=LIMITS, head_seconds=5)
HURRIED = ListenerLimits(channel=LIMITS, head_seconds=0.5)
BIG = os.urandom(24 * 1024 * 1024)
DIGEST = digest_bytes(b"artifact")


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


def named(pieces: Callable[[int], AsyncGenerator[bytes]]) -> str:
    return digest_bytes(pieces.__name__.encode())


@dataclass
class Served:
    """A listener, and what reached the code behind it."""

    listener: PublicListener
    messages: list[bytes] = field(default_factory=list)
    ended: list[Closed] = field(default_factory=list)
    channels: list[Channel] = field(default_factory=list)
    asked: list[ArtifactRequest] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

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
        return Document(b'{"id":"did:web:here"}', "application/did+json") if path == "/.well-known/did.json" else None

    async def artifacts(request: ArtifactRequest) -> ArtifactResponse:
        serving.asked.append(request)
        if request.digest == DIGEST:
            return ArtifactResponse(200, BIG)
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


async def close_of(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Code and reason of the close frame that comes next, other frames left aside."""
    while True:
        first, size = await reader.readexactly(2)
        payload = await reader.readexactly(size)
        if first & 0x0F == 8:
            return int.from_bytes(payload[:2], "big"), payload[2:]


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


# --- SC-76 ----------------------------------------------------------------------------------------------------------


async def test_sc_76_a_slow_handshake_is_ended_and_honest_peers_connect() -> None:
    async with served(HURRIED) as serving:
        streams = [await raw(serving) for _ in range(20)]

        async def dribble(writer: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError):
                for byte in UPGRADE:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(0.05)

        dribbling = [asyncio.create_task(dribble(writer)) for _, writer in streams]
        await goes_on(serving)
        for reader, _ in streams:
            assert b"101" not in await ended(reader)
        assert serving.listener.door.unproved == 0
        for task in dribbling:
            task.cancel()
        await asyncio.gather(*dribbling, return_exceptions=True)


async def test_sc_76_a_silent_connection_is_ended() -> None:
    async with served(HURRIED) as serving:
        reader, _ = await raw(serving)
        assert await ended(reader) == b""


async def test_sc_76_a_kept_alive_connection_is_ended_too() -> None:
    async with served(HURRIED) as serving:
        reader, writer = await raw(serving)
        writer.write(b"GET /.well-known/did.json HTTP/1.1\r\nHost: localhost\r\n\r\nGET /.well-kn")
        answer = await ended(reader)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.endswith(b'{"id":"did:web:here"}')


# --- SC-77 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "begun",
    [
        frame(b"x", length=60_000),
        frame(b"x", fin=False),
        frame(b"x", fin=False) + frame(b"", opcode=9) + frame(b"x", opcode=0, fin=False),
        b"\x81",
        b"\x81\xfe",
        frame(b"whole") + frame(b"x", length=60_000),
    ],
    ids=["payload", "no fin", "pings between", "half a header", "no length", "after a whole one"],
)
async def test_sc_77_a_message_that_does_not_end_is_not_waited_for(begun) -> None:
    async with served() as serving:
        reader, writer = await upgraded(serving)
        writer.write(begun)
        async with asyncio.timeout(5):
            assert await close_of(reader) == (1008, b"timeout")
        await ended(reader)
        assert [exc.code for exc in serving.ended] == ["timeout"]
        await goes_on(serving)


@pytest.mark.parametrize(
    ("begun", "more"),
    [(frame(b"", length=60_000), b"x"), (frame(b"x", fin=False), frame(b"x", opcode=0, fin=False))],
    ids=["bytes", "fragments"],
)
async def test_sc_77_a_dribble_does_not_extend_the_deadline(begun: bytes, more: bytes) -> None:
    """It goes on until the connection is closed: whoever stopped would be closed for that."""
    async with served() as serving:
        reader, writer = await upgraded(serving)
        writer.write(begun)
        closing = asyncio.create_task(close_of(reader))
        async with asyncio.timeout(5):
            while not closing.done():
                writer.write(more)
                await asyncio.sleep(0.02)
        assert await closing == (1008, b"timeout")


async def test_sc_77_many_messages_that_straddle_reads_are_no_slow_message() -> None:
    """Each message has its own time: a stream in which one is always unfinished goes on."""
    async with served() as serving:
        reader, writer = await upgraded(serving)
        whole = frame(b'"message"')
        for _ in range(12):
            writer.write(whole[-4:] if _ else whole[:0])
            writer.write(whole[:-4])
            await asyncio.sleep(0.05)
        writer.write(whole[-4:] + frame(b"\x03\xe8", opcode=8))
        assert (await close_of(reader))[0] == 1000
        assert serving.messages == [b'"message"'] * 12


async def test_sc_77_fragments_are_counted() -> None:
    async with served() as serving:
        reader, writer = await upgraded(serving)
        pieces = [frame(b"x", fin=False)] + [frame(b"x", opcode=0, fin=False)] * 62 + [frame(b"x", opcode=0)]
        writer.write(b"".join(pieces))
        assert await reader.readexactly(2 + len(b'"thanks"')) == b'\x81\x08"thanks"'
        assert serving.messages == [b"x" * 64]
        writer.write(b"".join(pieces[:-1]) + frame(b"", opcode=0, fin=False) * 2)
        assert await close_of(reader) == (1008, b"too_large")


async def test_sc_77_a_slow_server_is_not_waited_for_either() -> None:
    """The same watch stands before what we dialled."""

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer_upgrade(reader, writer)
        writer.write(frame(b"x", length=60_000, mask=False))
        with suppress(ConnectionError):
            await reader.read(-1)
        writer.close()

    async with serving_raw(slow) as url:
        channel = await connect(url, limits=LIMITS)
        with pytest.raises(Closed) as caught:
            async with asyncio.timeout(5):
                await channel.receive()
        assert caught.value.code == "timeout"


# --- SC-78 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [LIMITS.max_message_bytes + 1, 2**31, 2**63 - 1, 2**63, 2**64 - 1])
async def test_sc_78_an_announced_length_is_believed_before_it_is_buffered(size) -> None:
    """HIRE-CNX-03."""
    async with served() as serving:
        reader, writer = await upgraded(serving)
        writer.write(frame(b"", length=size))
        async with asyncio.timeout(5):
            assert (await close_of(reader))[0] == 1009
        await ended(reader)
        assert [exc.code for exc in serving.ended] == ["too_large"]
        assert serving.messages == []


async def test_sc_78_fragments_add_up() -> None:
    async with served() as serving:
        reader, writer = await upgraded(serving)
        piece = b"x" * (LIMITS.max_message_bytes // 63)
        writer.write(frame(piece, fin=False))
        for number in range(63):
            writer.write(frame(piece, opcode=0, fin=number == 62))
        assert (await close_of(reader))[0] == 1009
        assert serving.messages == []
        await goes_on(serving)


async def test_sc_78_a_stranger_may_send_what_a_proof_needs_and_no_more() -> None:
    """HIRE-LIM-02: until the peer has proved itself a message is at most 8 KiB, whatever the limit is afterwards."""
    async with served(proves=False) as serving:
        reader, writer = await upgraded(serving)
        writer.write(frame(b"x" * 8192))
        assert await reader.readexactly(10) == b'\x81\x08"thanks"'
        writer.write(frame(b"", length=8193))
        assert await close_of(reader) == (1009, b"too_large")
        reader, writer = await upgraded(serving)
        writer.write(
            frame(b"x" * 4000, fin=False) + frame(b"x" * 4000, opcode=0, fin=False) + frame(b"", length=193, opcode=0)
        )
        assert await close_of(reader) == (1009, b"too_large")
        assert [len(data) for data in serving.messages] == [8192]


# --- SC-79 ----------------------------------------------------------------------------------------------------------


async def test_sc_79_compression_is_not_negotiated() -> None:
    """HIRE-CNX-02."""
    async with served() as serving:
        reader, writer = await raw(serving)
        writer.write(UPGRADE[:-2] + b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"extensions" not in head.lower()
        assert b"\r\nServer: hire\r\n" in head, "as every other answer, and no more"
        compressed = bytearray(frame(b"x" * 10))
        compressed[0] |= 0x40
        writer.write(bytes(compressed))
        assert (await close_of(reader))[0] == 1002


async def test_sc_79_a_body_is_not_inflated() -> None:
    body = gzip.compress(b"\0" * 1_000_000)
    async with served() as serving:
        reader, writer = await raw(serving)
        writer.write(
            b"GET /.well-known/did.json HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: gzip\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        answer = await ended(reader)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.endswith(b'{"code":"bad_request"}')


# --- SC-80 ----------------------------------------------------------------------------------------------------------


async def test_sc_80_strangers_are_counted_by_address_and_altogether() -> None:
    """HIRE-LIM-02."""
    limits = ListenerLimits(channel=LIMITS, unproved=6, unproved_per_address=4, head_seconds=5)
    async with served(limits) as serving:
        door = serving.listener.door
        first = [await raw(serving) for _ in range(4)]
        await settled(lambda: door.unproved == 4)
        refused_reader, _ = await raw(serving)
        refused = await ended(refused_reader)
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert refused.endswith(b'{"code":"overloaded"}')
        with pytest.raises(TransportError) as caught:
            await connect(serving.url, limits=LIMITS)
        assert caught.value.code in ("overloaded", "unreachable")
        other = [await raw(serving, source="127.0.0.2") for _ in range(2)]
        await settled(lambda: door.unproved == 6)
        third, _ = await raw(serving, source="127.0.0.3")
        assert (await ended(third)).startswith(b"HTTP/1.1 503 ")
        for _, writer in first + other:
            writer.close()
        await settled(lambda: door.unproved == 0)
        await goes_on(serving)


async def test_sc_80_a_proved_peer_is_no_stranger() -> None:
    limits = ListenerLimits(channel=LIMITS, unproved_per_address=2)
    async with served(limits) as serving:
        channels = []
        for _ in range(6):
            channels.append(await connect(serving.url, limits=LIMITS))
            await settled(lambda: serving.listener.door.unproved == 0)
        assert serving.listener.door.connections == 6
        for channel in channels:
            await channel.send(b"{}")
            assert await channel.receive() == b'"thanks"'
            await channel.close()
        await settled(lambda: serving.listener.door.connections == 0)


async def test_sc_80_where_somebody_is_proved_a_crowd_shuts_nobody_out() -> None:
    """A few more strangers are let in from there, and only while the peer is."""
    limits = ListenerLimits(channel=LIMITS, unproved=2, reserved=1, head_seconds=5)
    async with served(limits) as serving:
        door = serving.listener.door
        channel = await connect(serving.url, limits=LIMITS)
        await settled(lambda: door.unproved == 0)
        for _ in range(2):
            await raw(serving, source="127.0.0.2")
        await settled(lambda: door.unproved == 2)
        crowd, _ = await raw(serving, source="127.0.0.2")
        assert (await ended(crowd)).startswith(b"HTTP/1.1 503 ")
        reader, writer = await raw(serving)
        writer.write(GET + b"Connection: close\r\n\r\n")
        assert (await ended(reader)).startswith(b"HTTP/1.1 200 ")
        await settled(lambda: door.unproved == 2)
        await raw(serving)
        await settled(lambda: door.unproved == 3)
        one_more, _ = await raw(serving)
        assert (await ended(one_more)).startswith(b"HTTP/1.1 503 ")
        await channel.close()
        await settled(lambda: door.connections == 3)
        gone, _ = await raw(serving)
        assert (await ended(gone)).startswith(b"HTTP/1.1 503 ")


async def test_proved_peers_from_one_address_are_bounded_too() -> None:
    """HIRE-LIM-02: a name costs nothing; who is there stays, and other addresses have their own share."""
    limits = ListenerLimits(channel=LIMITS, proved_per_address=2)
    async with served(limits) as serving:
        there = [await connect(serving.url, limits=LIMITS) for _ in range(2)]
        await settled(lambda: serving.listener.door.unproved == 0)
        more = await connect(serving.url, limits=LIMITS)
        with pytest.raises(Closed) as caught:
            await more.receive()
        assert (caught.value.code, caught.value.detail["close_code"]) == ("overloaded", 1008)
        await settled(lambda: serving.listener.door.connections == 2)
        for channel in there:
            await channel.send(b"{}")
            assert await channel.receive() == b'"thanks"'
        await raw(serving, source="127.0.0.2")
        await settled(lambda: serving.listener.door.connections == 3)
        await there[0].close()
        await settled(lambda: serving.listener.door.connections == 2)
        again = await connect(serving.url, limits=LIMITS)
        await again.send(b"{}")
        assert await again.receive() == b'"thanks"'


async def test_sc_80_everybody_together_is_bounded() -> None:
    limits = ListenerLimits(channel=LIMITS, connections=3)
    async with served(limits) as serving:
        channels = [await connect(serving.url, limits=LIMITS) for _ in range(3)]
        with pytest.raises(TransportError):
            await connect(serving.url, limits=LIMITS)
        for channel in channels:
            await channel.close()


async def settled(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for is a count of the listener's
            await asyncio.sleep(0.005)


# --- behind a proxy --------------------------------------------------------------------------------------------------


BEHIND = Proxies(["127.0.0.1"])
"""What connects from 127.0.0.1 is a proxy, and says who calls; what connects from elsewhere does not."""


def said(field: str, request: bytes = GET) -> bytes:
    """A request with such a field in its head."""
    return request.rstrip() + (f"\r\n{field}\r\n\r\n" if field else "\r\n\r\n").encode()


async def status(serving: Served, request: bytes, *, source: str = "127.0.0.1") -> int:
    """The status that a connection of its own is answered with."""
    reader, writer = await raw(serving, source=source)
    writer.write(request)
    return int((await reader.readline()).split()[1])


async def fail(serving: Served, field: str, times: int, *, source: str = "127.0.0.1") -> None:
    """So many connections that prove nothing."""
    for _ in range(times):
        reader, writer = await raw(serving, source=source)
        writer.write(said(field, UPGRADE))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        writer.write(frame(b"", opcode=8))
        await ended(reader)


async def test_failures_of_one_caller_shut_out_nobody_else_behind_the_proxy() -> None:
    """HIRE-LIM-02."""
    async with served(msgspec.structs.replace(LISTENING, failures=3), proves=False, proxies=BEHIND) as serving:
        await fail(serving, "X-Forwarded-For: 203.0.113.7", 3)
        assert await status(serving, said("X-Forwarded-For: 203.0.113.7")) == 429
        assert await status(serving, said("X-Forwarded-For: 198.51.100.1, 203.0.113.7", UPGRADE)) == 429
        assert await status(serving, said('Forwarded: for="203.0.113.7:99";proto=https')) == 429
        assert await status(serving, said("X-Forwarded-For: 203.0.113.8")) == 200
        assert await status(serving, said("X-Forwarded-For: 203.0.113.8", UPGRADE)) == 101
        assert await status(serving, said("")) == 200


async def test_callers_behind_a_proxy_are_one_for_each_ipv6_network() -> None:
    async with served(msgspec.structs.replace(LISTENING, failures=2), proves=False, proxies=BEHIND) as serving:
        await fail(serving, "X-Forwarded-For: 2001:db8:0:1::1", 1)
        await fail(serving, "X-Forwarded-For: [2001:db8:0:1:ffff::2]:4711", 1)
        assert await status(serving, said("X-Forwarded-For: 2001:db8:0:1::3")) == 429
        assert await status(serving, said("X-Forwarded-For: 2001:db8:0:2::1")) == 200


@pytest.mark.parametrize("field", ["", "X-Forwarded-For: unknown", "X-Forwarded-For: 127.0.0.2", "Forwarded: for"])
async def test_who_is_not_named_counts_as_the_proxy(field: str) -> None:
    async with served(msgspec.structs.replace(LISTENING, failures=2), proves=False, proxies=BEHIND) as serving:
        await fail(serving, field, 2)
        assert await status(serving, said("")) == 429
        assert await status(serving, said("X-Forwarded-For: what, 127.0.0.1")) == 429
        assert await status(serving, said(""), source="127.0.0.2") == 200
        assert await status(serving, said("X-Forwarded-For: 203.0.113.7")) == 200


async def test_a_field_from_who_is_no_proxy_of_ours_is_not_looked_at() -> None:
    async with served(msgspec.structs.replace(LISTENING, failures=2), proves=False, proxies=BEHIND) as serving:
        for n in range(2):
            await fail(serving, f"X-Forwarded-For: 203.0.113.{n}", 1, source="127.0.0.2")
        assert await status(serving, said("X-Forwarded-For: 203.0.113.9"), source="127.0.0.2") == 429
        assert await status(serving, said("X-Forwarded-For: 203.0.113.0")) == 200


async def test_strangers_behind_a_proxy_are_counted_by_caller_and_altogether() -> None:
    limits = ListenerLimits(channel=LIMITS, unproved=6, unproved_per_address=2, head_seconds=5)
    async with served(limits, proves=False, proxies=BEHIND) as serving:
        door = serving.listener.door
        for _ in range(2):
            assert await status(serving, said("X-Forwarded-For: 203.0.113.7", UPGRADE)) == 101
        assert await status(serving, said("X-Forwarded-For: 203.0.113.7")) == 503
        await settled(lambda: door.unproved == 2)
        # Who has not said who calls counts nowhere yet but among all.
        waiting = [await raw(serving) for _ in range(4)]
        await settled(lambda: door.unproved == 6)
        assert await status(serving, said("X-Forwarded-For: 203.0.113.8")) == 503
        reader, writer = waiting[0]
        writer.write(said("X-Forwarded-For: 203.0.113.8"))
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")


async def test_where_a_caller_is_proved_a_crowd_behind_the_same_proxy_shuts_nobody_out() -> None:
    limits = ListenerLimits(channel=LIMITS, unproved=2, reserved=1, head_seconds=5)
    async with served(limits, proxies=BEHIND) as serving:
        door = serving.listener.door
        assert await status(serving, said("X-Forwarded-For: 203.0.113.7", UPGRADE)) == 101
        await settled(lambda: (door.connections, door.unproved) == (1, 0))
        for n in range(2):
            reader, writer = await raw(serving)
            writer.write(said(f"X-Forwarded-For: 203.0.113.{8 + n}"))
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        assert await status(serving, said("X-Forwarded-For: 203.0.113.9")) == 503
        await settled(lambda: door.unproved == 2)
        assert await status(serving, said("X-Forwarded-For: 203.0.113.7")) == 200


async def test_a_connection_of_a_proxy_counts_where_its_last_caller_is() -> None:
    """A proxy sends requests of one caller after the other's on one connection, and an upgrade behind them."""
    limits = ListenerLimits(channel=LIMITS, failures=1, unproved_per_address=1, head_seconds=5)
    async with served(limits, proves=False, proxies=BEHIND) as serving:
        reader, writer = await raw(serving)
        await fail(serving, "X-Forwarded-For: 203.0.113.6", 1)
        for n in (7, 8):
            writer.write(said(f"X-Forwarded-For: 203.0.113.{n}"))
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
            await reader.readexactly(len(b'{"id":"did:web:here"}'))
        assert await status(serving, said("X-Forwarded-For: 203.0.113.8")) == 503
        writer.write(said("X-Forwarded-For: 203.0.113.9", UPGRADE))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        writer.write(frame(b'"said"'))
        assert await reader.readexactly(10) == b'\x81\x08"thanks"'
        assert await status(serving, said("X-Forwarded-For: 203.0.113.9")) == 503
        writer.write(frame(b"", opcode=8))
        await ended(reader)
        assert await status(serving, said("X-Forwarded-For: 203.0.113.9")) == 429
        # Who was let in before is not let in again once its address is closed, also where it was the last caller.
        assert await status(serving, said("X-Forwarded-For: 203.0.113.8")) == 200


async def test_a_proxy_s_connection_is_closed_to_a_caller_that_failed_meanwhile() -> None:
    async with served(msgspec.structs.replace(LISTENING, failures=1), proves=False, proxies=BEHIND) as serving:
        request = said("X-Forwarded-For: 203.0.113.7")
        reader, writer = await raw(serving)
        writer.write(request)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        await reader.readexactly(len(b'{"id":"did:web:here"}'))
        await fail(serving, "X-Forwarded-For: 203.0.113.7", 1)
        writer.write(request)
        assert (await ended(reader)).startswith(b"HTTP/1.1 429 ")


@pytest.mark.parametrize(
    "before",
    [said("X-Forwarded-For: 203.0.113.7"), said("X-Forwarded-For: 203.0.113.7") * 2],
    ids=["one request", "two requests"],
)
async def test_what_follows_a_head_is_no_upgrade_behind_a_proxy_either(before: bytes) -> None:
    """Frames that were not seen are never read: not behind the head, nor behind requests that were not waited for."""
    upgrade = said("X-Forwarded-For: 203.0.113.7", UPGRADE)
    async with served(proves=False, proxies=BEHIND) as serving:
        for tail in (frame(b'"x"'), frame(b"\r\n\r\n"), b"\r\n\r\n"):
            reader, writer = await raw(serving)
            writer.write(before + upgrade + tail)
            assert b"HTTP/1.1 101 " not in await ended(reader)
        assert serving.messages == []


async def test_a_caller_leaves_no_connection_of_a_proxy_that_takes_no_upgrade() -> None:
    """A head that is more than is kept: the connection ends with its answer, and the next caller gets another."""
    async with served(LISTENING, proves=False, proxies=BEHIND) as serving:
        reader, writer = await raw(serving)
        long = "".join(f"\r\nX-{n}: {'x' * 7000}" for n in range(3))
        writer.write(said(f"X-Forwarded-For: 203.0.113.7{long}"))
        answer = await ended(reader)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nConnection: close\r\n" in answer


async def test_a_frame_that_looks_like_the_end_of_a_head_is_not_one() -> None:
    """Two requests at once, and a frame while the first of them is answered: it was not watched, so it is not read."""
    asked, answered = asyncio.Event(), asyncio.Event()

    async def slowly(request: ArtifactRequest) -> ArtifactResponse:
        asked.set()
        await answered.wait()
        return ArtifactResponse(200, b"")

    field = "X-Forwarded-For: 203.0.113.7"
    request = GET.replace(b"/.well-known/did.json", b"/artifacts/" + DIGEST.encode())
    async with served(proves=False, proxies=BEHIND) as serving:
        serving.listener._artifacts = slowly
        reader, writer = await raw(serving)
        writer.write(said(field, request) + said(field, UPGRADE))
        await asked.wait()
        writer.write(frame(b"\r\n\r\n"))
        assert await status(serving, said(field)) == 200, "what was sent before is there"
        answered.set()
        assert b"HTTP/1.1 101 " not in await ended(reader)
        assert serving.messages == []


def test_what_was_lost_before_its_request_was_looked_at_is_counted_nowhere() -> None:
    door = Door(LISTENING, lambda: 0.0, BEHIND)
    ticket = door.enter("127.0.0.1")
    assert isinstance(ticket, Ticket)
    ticket.leave()
    ticket.remote = "203.0.113.7"
    assert door.moved(ticket) is None
    assert (door.connections, door.unproved) == (0, 0)


async def test_an_upgrade_behind_another_request_is_none_where_no_proxy_is() -> None:
    async with served(proves=False, proxies=BEHIND) as serving:
        reader, writer = await raw(serving, source="127.0.0.2")
        writer.write(said(""))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        await reader.readexactly(len(b'{"id":"did:web:here"}'))
        writer.write(UPGRADE)
        assert (await ended(reader)).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("proxies", [NO_PROXIES, BEHIND], ids=["not listed", "listed"])
async def test_who_is_proved_stays_when_the_door_closes_to_its_address(proxies: Proxies) -> None:
    """Only who is let in changes: a hire that is under way goes on beside strangers from the same place that fail."""
    field = "X-Forwarded-For: 203.0.113.7"
    async with served(msgspec.structs.replace(LISTENING, failures=3), proxies=proxies) as serving:
        reader, writer = await raw(serving)
        writer.write(said(field, UPGRADE))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        await settled(lambda: len(serving.channels) == 1)

        async def refuse(channel: Channel) -> None:
            raise ProofError("proof_invalid", "not theirs")

        serving.listener._accept = refuse
        await fail(serving, field, 3)
        assert await status(serving, said(field)) == 429
        writer.write(frame(b'"still here"'))
        assert await reader.readexactly(10) == b'\x81\x08"thanks"'
        assert serving.messages == [b'"still here"']


async def test_that_the_door_is_closed_to_an_address_is_said_with_what_may_be_wrong() -> None:
    """Once, however many failures were told before it: the proxy is not listed, or names nobody."""

    def closed() -> list[dict[str, Any]]:
        return [dict(line) for line in logs if line["event"] == "closed to an address"]

    limits = msgspec.structs.replace(LISTENING, failures=TOLD + 2)
    with capture_logs() as logs:
        async with served(limits, proves=False, proxies=Proxies(["127.0.0.9"])) as serving:
            await fail(serving, "", TOLD + 1)
            assert closed() == []
            await fail(serving, "", 1)
            for _ in range(3):
                assert await status(serving, said("")) == 429
            (line,) = closed()
            assert (line["remote"], line["seconds"], line["log_level"]) == ("127.0.0.1", 60.0, "warning")
            assert line["hint"].endswith('in [listen] of the settings: proxies = ["127.0.0.1"]')
            await fail(serving, "", TOLD + 2, source="127.0.0.9")
            assert [one["remote"] for one in closed()] == ["127.0.0.1", "127.0.0.9"]
            assert closed()[1]["hint"].endswith("names no caller: let it set X-Forwarded-For")


async def test_that_too_many_come_from_an_address_is_said_with_what_may_be_wrong() -> None:
    with capture_logs() as logs:
        async with served(ListenerLimits(channel=LIMITS, unproved_per_address=1, unproved=2)) as serving:
            await raw(serving)
            await settled(lambda: serving.listener.door.unproved == 1)
            await ended((await raw(serving))[0])
            await raw(serving, source="127.0.0.2")
            await settled(lambda: serving.listener.door.unproved == 2)
            await ended((await raw(serving, source="127.0.0.3"))[0])
    told = [line for line in logs if line["event"] == "handshake failed"]
    assert [(line["remote"], line["code"], "hint" in line) for line in told] == [
        ("127.0.0.1", "overloaded", True),
        ("127.0.0.3", "overloaded", False),  # because of everybody together
    ]


async def test_what_asks_for_an_artifact_is_told_who_calls() -> None:
    async with served(proxies=BEHIND) as serving:
        request = GET.replace(b"/.well-known/did.json", b"/artifacts/" + digest_bytes(b"another").encode())
        await status(serving, said("X-Forwarded-For: 203.0.113.7", request))
        await status(serving, said("X-Forwarded-For: 203.0.113.7", request), source="127.0.0.2")
        assert [one.address for one in serving.asked] == ["203.0.113.7", "127.0.0.2"]


# --- SC-81 ----------------------------------------------------------------------------------------------------------


async def test_sc_81_an_answer_nobody_reads_is_given_up() -> None:
    """An artifact of 24 MB, and a client that does not read: `send_seconds` later its connection is gone."""
    channel = ChannelLimits(local=True, send_seconds=0.2)
    async with served(ListenerLimits(channel=channel)) as serving:
        _, writer = await raw(serving)
        writer.transport.pause_reading()
        writer.write(b"GET /artifacts/%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % DIGEST.encode())
        await settled(lambda: len(serving.asked) == 1)
        await settled(lambda: serving.listener.door.connections == 0)
        writer.transport.abort()


async def test_sc_81_requests_without_reading_fill_no_memory() -> None:
    """A peer that asks for ever and never reads is closed, and others are served meanwhile."""
    channel = ChannelLimits(local=True, send_seconds=0.3, queue_bytes=256 * 1024)
    async with served(ListenerLimits(channel=channel)) as serving:

        async def answer(own: Channel) -> None:
            own.proved("did:web:mallory.example")
            with suppress(Closed):
                while True:
                    await own.receive()
                    await own.send(b'"' + b"x" * 200_000 + b'"')

        serving.listener._accept = answer
        reader, writer = await upgraded(serving)
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        with suppress(ConnectionError):
            for _ in range(200):
                writer.write(frame(b'"more"'))
                await writer.drain()
        await settled(lambda: serving.listener.door.connections == 0)


async def test_sc_81_a_server_that_pings_and_reads_nothing_is_let_go() -> None:
    """What we dialled may ping as fast as it likes: what waits for it is bounded by `queue_bytes`."""
    pings = (b"\x89\x7d" + b"x" * 125) * 500

    async def floods(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer_upgrade(reader, writer)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        while True:
            writer.write(pings)
            await writer.drain()

    async with serving_raw(floods) as url:
        channel = await connect(url, limits=ChannelLimits(local=True, queue_bytes=256 * 1024, send_seconds=3600))
        transport = channel._socket.transport  # type: ignore[attr-defined]
        most = 0

        async def measured() -> None:
            nonlocal most
            while not channel.closed:
                most = max(most, transport.get_write_buffer_size())
                await asyncio.sleep(0)

        with pytest.raises(Closed) as caught:
            async with asyncio.timeout(20):
                await asyncio.gather(measured(), channel.receive())
        assert caught.value.code == "overloaded"
        assert most <= 2 * 256 * 1024


# --- SC-82 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["ws://acme.example/hire", "http://acme.example/hire", "ws://127.0.0.1:1/hire", "ws://localhost:1/hire"]
)
async def test_sc_82_plain_websockets_are_refused(url) -> None:
    """HIRE-CNX-01."""
    with pytest.raises(TransportError) as caught:
        await connect(url)
    assert caught.value.code == "version_not_supported"


async def test_sc_82_local_state_means_loopback_and_no_more() -> None:
    with pytest.raises(TransportError) as caught:
        await connect("ws://acme.example/hire", limits=LIMITS)
    assert caught.value.code == "version_not_supported"


@pytest.mark.parametrize(
    ("old", "new", "status", "code"),
    [
        (b"Sec-WebSocket-Protocol: hire.v1\r\n", b"", b"400", b"version_not_supported"),
        (b"hire.v1", b"hire.v0, chat", b"400", b"version_not_supported"),
        (b"Version: 13", b"Version: 8", b"426", b"version_not_supported"),
        (b"Upgrade: websocket\r\n", b"", b"400", b"bad_request"),
        (b"AAAAAAAAAAAAAAAAAAAAAA==", b"short", b"400", b"bad_request"),
        (b"GET /hire", b"HEAD /hire", b"400", b""),
    ],
)
async def test_sc_82_the_listener_insists_on_the_subprotocol(old, new, status, code) -> None:
    """HIRE-CNX-02."""
    async with served() as serving:
        reader, writer = await raw(serving)
        writer.write(UPGRADE.replace(old, new))
        answer = await ended(reader)
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert answer.endswith(b'{"code":"' + code + b'"}') or not code
        assert serving.channels == []


async def test_sc_82_a_list_of_subprotocols_may_hold_others() -> None:
    async with served() as serving:
        reader, writer = await raw(serving)
        writer.write(UPGRADE.replace(b"hire.v1", b"chat, hire.v1"))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"sec-websocket-protocol: hire.v1\r\n" in head.lower()
        writer.close()


async def answer_upgrade(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    protocol: bytes = b"Sec-WebSocket-Protocol: hire.v1\r\n",
) -> None:
    import base64
    import hashlib

    head = await reader.readuntil(b"\r\n\r\n")
    key = next(
        line.partition(b": ")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")
    )
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n" + protocol + b"\r\n"
    )


@asynccontextmanager
async def serving_raw(handler) -> AsyncIterator[str]:
    writers: list[asyncio.StreamWriter] = []
    tasks: list[asyncio.Task[None] | None] = []

    async def handling(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        tasks.append(asyncio.current_task())
        with suppress(ConnectionError, asyncio.CancelledError):
            await handler(reader, writer)

    server = await asyncio.start_server(handling, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/hire"
    finally:
        server.close()
        for task in tasks:
            if task is not None:
                task.cancel()
        for writer in writers:
            writer.transport.abort()
            with suppress(ConnectionError):
                await writer.wait_closed()


@pytest.mark.parametrize(
    "protocol",
    [
        b"",
        b"Sec-WebSocket-Protocol: hire.v0\r\n",
        b"Sec-WebSocket-Protocol: hire.v1\r\nSec-WebSocket-Extensions: permessage-deflate\r\n",
    ],
)
async def test_sc_82_a_server_that_chooses_something_else_is_left(protocol) -> None:
    """HIRE-CNX-01."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer_upgrade(reader, writer, protocol=protocol)
        with suppress(ConnectionError):
            await reader.read(-1)
        writer.close()

    async with serving_raw(handler) as url:
        with pytest.raises(TransportError) as caught:
            await connect(url, limits=LIMITS)
        assert caught.value.code == "version_not_supported"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:%d/hire\r\nContent-Length: 0\r\n\r\n", "unreachable"),
        (b"HTTP/1.1 301 Moved\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n", "unreachable"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", "overloaded"),
        (b"HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n", "rate_limited"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "unreachable"),
        (b"\x16\x03\x01\x00\x00", "unreachable"),
        (b"", "unreachable"),
        (b"HTTP/1.1 101 Switching Protocols\r\nX: " + b"x" * 100_000, "unreachable"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "unreachable"),
    ],
)
async def test_sc_82_an_answer_that_is_no_upgrade_ends_the_dial(answer, code) -> None:
    """Redirects above all: the address that they lead to was never checked (HIRE-CNX-01)."""
    visits: list[int] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.append(1)
        await reader.readuntil(b"\r\n\r\n")
        port = writer.get_extra_info("sockname")[1]
        writer.write(answer % port if b"%d" in answer else answer)
        writer.close()

    async with serving_raw(handler) as url:
        with pytest.raises(TransportError) as caught:
            await connect(url, limits=LIMITS)
        assert caught.value.code == code
    assert visits == [1]


@pytest.mark.parametrize(("status", "code"), [(429, "rate_limited"), (503, "overloaded")])
async def test_who_is_refused_before_it_asks_hears_why(status: int, code: str) -> None:
    """As our listener does it: nothing of the request is read, and often nothing of it is sent yet."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 %d No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n" % status)
        writer.close()

    async with serving_raw(handler) as url:
        for _ in range(20):
            with pytest.raises(TransportError) as caught:
                await connect(url, limits=LIMITS)
            assert (caught.value.code, caught.value.detail) == (code, {"status": status})


async def test_a_server_that_says_nothing_is_given_up() -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.read(-1)
        writer.close()

    async with serving_raw(handler) as url:
        with pytest.raises(TransportError) as caught:
            await connect(url, limits=ChannelLimits(local=True, open_seconds=0.2))
        assert caught.value.code == "timeout"


@pytest.mark.parametrize(
    "url", ["ws://u:p@localhost/", "ws://localhost/#a", "ws:///hire", "ws://localhost:99999/", "ws://["]
)
async def test_a_url_that_is_none_of_a_peer_is_refused(url) -> None:
    with pytest.raises(TransportError) as caught:
        await connect(url, limits=LIMITS)
    assert caught.value.code == "bad_request"


# --- what the operator hears ------------------------------------------------------------------------------------------


async def test_each_failed_handshake_is_one_line_and_there_are_not_any_number() -> None:
    """Code, address and the beginning of why; after so many in a minute the next line says how many were left out."""

    async def accept(channel: Channel) -> None:
        await channel.receive()
        raise ProofError("proof_invalid", "not theirs" * 100)

    with capture_logs() as logs:
        async with served(msgspec.structs.replace(LISTENING, failures=1000)) as serving:
            serving.listener._accept = accept
            reader, writer = await raw(serving)
            writer.write(UPGRADE.replace(b"hire.v1", b"hire.v9"))
            await reader.read()
            for _ in range(TOLD + 4):
                reader, writer = await upgraded(serving)
                writer.write(frame(b"{}"))
                assert await close_of(reader) == (1008, b"proof_invalid")
            serving.listener._told = Budget(1)  # the minute is over
            reader, writer = await raw(serving)
            writer.write(UPGRADE.replace(b"Version: 13", b"Version: 12"))
            await reader.read()
    told = [line for line in logs if line["event"] == "handshake failed"]
    assert {line["remote"] for line in told} == {"127.0.0.1"}
    assert [line["code"] for line in told[:2]] == ["version_not_supported", "proof_invalid"]
    assert [line["untold"] for line in told] == [0] * TOLD + [5]
    assert told[0]["log_level"] == "warning"
    assert "came 'hire.v9" in told[0]["reason"]
    assert told[-1]["reason"] == "expected version 13 of WebSocket; came '12'"
    assert told[1]["reason"] == ("not theirs" * 100)[:256]


# --- frames that are not ours (SC-18 and rule 5) --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "close_code"),
    [
        (frame(b'"\xff"'), 1007),
        (frame(b"\xc0\xaf"), 1007),
        (frame(b"\xed\xa0\x80"), 1007),
        (frame(b'"whole"', opcode=2), 1003),
        (frame(b'"whole"', mask=False), 1002),
        (frame(b"x", opcode=3), 1002),
        (frame(b"x", opcode=0), 1002),
        (frame(b"x", opcode=9, fin=False), 1002),
        (frame(b"x" * 126, opcode=9), 1002),
    ],
)
async def test_sc_18_frames_that_are_not_text_close_with_their_code(sent, close_code) -> None:
    """HIRE-CNX-03."""
    async with served() as serving:
        reader, writer = await upgraded(serving)
        writer.write(sent)
        async with asyncio.timeout(5):
            assert (await close_of(reader))[0] == close_code
        assert serving.messages == []
        await goes_on(serving)


@pytest.mark.parametrize("sent", [frame(b"x", opcode=2, mask=False), frame(b"x", mask=True)])
async def test_sc_18_frames_of_a_server_are_watched_too(sent) -> None:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer_upgrade(reader, writer)
        writer.write(sent)
        with suppress(ConnectionError):
            await reader.read(-1)
        writer.close()

    async with serving_raw(handler) as url:
        channel = await connect(url, limits=LIMITS)
        with pytest.raises(Closed) as caught:
            await channel.receive()
        assert caught.value.code == "bad_request"


@pytest.mark.parametrize(
    ("sent", "code"), [(frame(b"\xff", mask=False), "bad_unicode"), (frame(b"x", opcode=3, mask=False), "bad_request")]
)
async def test_a_server_that_broke_the_rules_is_not_waited_for(sent, code) -> None:
    """It is told why, and has `close_seconds` to hang up."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer_upgrade(reader, writer)
        writer.write(sent)
        await asyncio.sleep(30)

    async with serving_raw(handler) as url:
        channel = await connect(url, limits=LIMITS)
        with pytest.raises(Closed) as caught:
            async with asyncio.timeout(5):
                await channel.receive()
        assert caught.value.code == code


async def test_frames_before_the_answer_are_refused() -> None:
    """They could not be watched from their start, so a client has to wait, as RFC 6455 says."""
    for early in (frame(b'"early"'), b"\x81", frame(b"\r\n\r\n", length=1000)):
        async with served() as serving:
            reader, writer = await raw(serving)
            writer.write(UPGRADE + early)
            assert (await ended(reader)).startswith(b"HTTP/1.1 400 ")
            assert serving.messages == []


async def test_an_upgrade_is_the_first_request_of_a_connection() -> None:
    async with served() as serving:
        reader, writer = await raw(serving)
        writer.write(b"GET /.well-known/did.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"}")
        writer.write(UPGRADE)
        assert (await ended(reader)).startswith(b"HTTP/1.1 400 ")


async def test_a_handshake_in_single_bytes_works_if_it_is_quick() -> None:
    async with served() as serving:
        reader, writer = await raw(serving)
        for byte in UPGRADE:
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        for byte in frame(b'"bytes"'):
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert await reader.readexactly(10) == b'\x81\x08"thanks"'
        assert serving.messages == [b'"bytes"']
        writer.close()


# --- SC-83 ----------------------------------------------------------------------------------------------------------

SECOND = b"GET /artifacts/" + DIGEST.encode() + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        GET + b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SECOND,
        GET + b"Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n" + SECOND,
        GET + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SECOND,
        GET + b"Transfer-Encoding: xchunked\r\n\r\n" + SECOND,
        GET + b"Transfer-Encoding : chunked\r\n\r\n" + SECOND,
        GET + b"Transfer-Encoding:\x0bchunked\r\n\r\n" + SECOND,
        GET + b"Content-Length: %d\r\n\r\n" % len(SECOND) + SECOND,
        GET + b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(SECOND) + SECOND,
        GET + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n" + SECOND,
        GET + b"Content-Length: 0, 0\r\n\r\n" + SECOND,
        GET + b"Content-Length: +0\r\n\r\n" + SECOND,
        GET + b"Content-Length: -1\r\n\r\n" + SECOND,
        GET + b"Host: other\r\n\r\n" + SECOND,
        GET + b"Host: localhost\r\n\r\n" + SECOND,
        GET.replace(b"Host: localhost\r\n", b"") + b"\r\n" + SECOND,
        GET.replace(b"Host: localhost\r\n", b"").replace(b"/1.1", b"/1.0") + b"\r\n" + SECOND,
        GET + b"X: " + b"x" * 100_000 + b"\r\n\r\n" + SECOND,
        GET + b"".join(b"X-%d: 1\r\n" % number for number in range(1000)) + b"\r\n" + SECOND,
        GET + b"X: 1\r\n folded: 2\r\n\r\n" + SECOND,
        GET + b"X\0: 1\r\n\r\n" + SECOND,
        GET + b"X: 1\0\r\n\r\n" + SECOND,
        GET + b"no colon\r\n\r\n" + SECOND,
        GET + b": empty\r\n\r\n" + SECOND,
        GET + b"X: 1\rY: 2\r\n\r\n" + SECOND,
        GET.replace(b"/.well", b"http://localhost/.well") + b"\r\n" + SECOND,
        GET.replace(b"/.well", b"//localhost/.well") + b"\r\n" + SECOND,
        GET.replace(b"/.well-known/did.json", b"*") + b"\r\n" + SECOND,
        GET.replace(b"/.well-known/did.json", b"localhost:80") + b"\r\n" + SECOND,
        GET.replace(b"/.well-known/did.json", b"/" + b"x" * 100_000) + b"\r\n" + SECOND,
        GET.replace(b"/.well", b"/ .well") + b"\r\n" + SECOND,
        GET.replace(b"HTTP/1.1", b"HTTP/1.1 HTTP/1.1") + b"\r\n" + SECOND,
        GET.replace(b"HTTP/1.1", b"HTTP/9.9") + b"\r\n" + SECOND,
        GET.replace(b"GET", b"POST") + b"\r\n" + SECOND,
        GET.replace(b"GET", b"CONNECT") + b"\r\n" + SECOND,
        GET.replace(b"GET", b"OPTIONS") + b"\r\n" + SECOND,
        GET.replace(b"GET", b"get") + b"\r\n" + SECOND,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + SECOND,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SECOND,
        b"\0" * 1000 + SECOND,
    ],
)
async def test_sc_83_one_request_never_becomes_two(sent) -> None:
    """4xx and close; the request hidden behind it is not answered, and the answer is a code and no more."""
    async with served() as serving:
        reader, writer = await raw(serving)
        with suppress(ConnectionError):
            writer.write(sent)
            await writer.drain()
        answer = await ended(reader)
        assert re.match(rb"HTTP/1\.[01] 4", answer), answer[:200]
        assert answer.count(b"HTTP/1.") == 1
        assert answer.endswith(b'{"code":"bad_request"}')
        assert serving.asked == []
        await goes_on(serving)


async def test_sc_83_two_whole_requests_are_two() -> None:
    """Not every pair is an attack."""
    async with served() as serving:
        reader, writer = await raw(serving)
        writer.write((GET + b"\r\n") * 2 + GET + b"Connection: close\r\n\r\n")
        assert (await ended(reader)).count(b"HTTP/1.1 200 ") == 3


@pytest.mark.parametrize(
    "path",
    [
        "/", "/did.json", "/.well-known/", "/.well-known/did.json/", "/.well-known/%64id.json", "/artifacts/", "/hire/",
        "/artifacts/..%2f..%2fetc", "/artifacts/" + "u" * 47, "/artifacts/../.well-known/did.json", "/%00",
    ],
)  # fmt: skip
async def test_everything_else_is_not_there(path) -> None:
    async with served() as serving:
        reader, writer = await raw(serving)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        answer = await ended(reader)
        assert answer.startswith(b"HTTP/1.1 404 ")
        assert answer.endswith(b'{"code":"bad_path"}')


async def test_documents_and_artifacts_are_served() -> None:
    """HIRE-ART-01."""
    async with served() as serving:
        reader, writer = await raw(serving)
        writer.write(GET.replace(b"GET", b"HEAD") + b"\r\n" + GET + b"X-A: b\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"content-length: 21\r\n" in head.lower()
        assert b"application/did+json" in head
        assert b"nosniff" in head
        assert (await reader.readuntil(b"}")).endswith(b'\r\n\r\n{"id":"did:web:here"}')
        other = digest_bytes(b"other")
        writer.write(b"GET /artifacts/%s?x=1 HTTP/1.1\r\nHost: localhost\r\nSignature: a\r\n\r\n" % other.encode())
        answer = await ended(reader)
        assert answer.startswith(b"HTTP/1.1 403 ")
        assert answer.endswith(b'{"code":"scope_exceeded"}')
        (asked,) = serving.asked
        assert asked.digest == other
        assert asked.path == f"/artifacts/{other}?x=1"
        assert asked.headers == (("Host", "localhost"), ("Signature", "a"))


@pytest.mark.parametrize(
    ("method", "range", "status", "expected"),
    [
        ("GET", "", b"200", b"0123456789"),
        ("GET", "Range: bytes=0-", b"206", b"0123456789"),
        ("GET", "Range: bytes=3-", b"206", b"3456789"),
        ("GET", "Range: bytes=9-", b"206", b"9"),
        ("GET", "Range: bytes=10-", b"416", b'{"code":"bad_request"}'),
        ("GET", f"Range: bytes={'9' * 18}-", b"416", b'{"code":"bad_request"}'),
        # Whatever else may be said there may be ignored, and then all of it comes.
        ("GET", f"Range: bytes={'9' * 19}-", b"200", b"0123456789"),
        ("GET", "Range: bytes=3-4", b"200", b"0123456789"),
        ("GET", "Range: bytes=-3", b"200", b"0123456789"),
        ("GET", "Range: bytes=1-,3-", b"200", b"0123456789"),
        ("GET", "Range: bytes=\u0663-", b"200", b"0123456789"),
        ("GET", "Range: bytes=3-\r\nRange: bytes=4-", b"200", b"0123456789"),
        ("HEAD", "", b"200", b""),
        ("HEAD", "Range: bytes=3-", b"200", b""),
    ],
)
async def test_the_rest_of_an_artifact_is_given(method: str, range: str, status: bytes, expected: bytes) -> None:
    """Whether it is held whole or read in pieces."""
    async with served() as serving:
        reader, writer = await raw(serving)
        lines = (f"{method} /artifacts/{named(ten)} HTTP/1.1", "Host: localhost", "Connection: close", range)
        writer.write("".join(f"{line}\r\n" for line in lines if line).encode() + b"\r\n")
        answer = await ended(reader)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert (head.split(b" ")[1], body) == (status, expected)
        length = 10 if method == "HEAD" else len(expected)
        assert b"content-length: %d" % length in head.lower()
        if status == b"206":
            assert b"content-range: bytes %d-9/10" % (10 - len(expected)) in head.lower()
        assert (b"content-range: bytes */10" in head.lower()) == (status == b"416")


@pytest.mark.parametrize("pieces", [damaged, grown])
async def test_an_artifact_that_turns_out_damaged_is_never_whole(pieces: Any) -> None:
    """HIRE-ART-03: the answer was told to be of 10 bytes, and ends before; so nobody takes it for one."""
    async with served() as serving:
        reader, writer = await raw(serving)
        writer.write(f"GET /artifacts/{named(pieces)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        with suppress(ConnectionError):
            answer = await ended(reader)
            assert b"content-length: 10" in answer.lower()
            assert len(answer.partition(b"\r\n\r\n")[2]) < 10


async def test_sc_81_pieces_are_read_as_they_are_taken() -> None:
    """Of an artifact without an end, to a client that does not read, no more is read than the socket takes."""
    channel = ChannelLimits(local=True, send_seconds=0.2)
    async with served(ListenerLimits(channel=channel)) as serving:
        _, writer = await raw(serving)
        writer.transport.pause_reading()
        writer.write(f"GET /artifacts/{named(endless)} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await settled(lambda: len(serving.asked) == 1)
        await settled(lambda: serving.listener.door.connections == 0)
        writer.transport.abort()


async def test_a_defect_of_ours_shows_a_code_and_no_trace() -> None:
    """HIRE-SEC-07."""
    async with served() as serving:

        def documents(path: str) -> Document | None:
            raise ZeroDivisionError("secret")

        serving.listener._documents = documents
        reader, writer = await raw(serving)
        writer.write(GET + b"\r\n")
        answer = await ended(reader)
        assert answer.startswith(b"HTTP/1.1 500 ")
        assert answer.endswith(b'{"code":"internal"}')
        assert b"secret" not in answer
        assert b"Python" not in answer


async def test_stopping_says_so_and_frees_everything() -> None:
    async with served() as serving:
        channel = await connect(serving.url, limits=LIMITS)
        waiting = asyncio.create_task(channel.receive())
        await raw(serving)
        await asyncio.sleep(0)
        await serving.listener.stop()
        with pytest.raises(Closed) as caught:
            await waiting
        assert caught.value.detail["close_code"] == 1001


# --- SC-105 ---------------------------------------------------------------------------------------------------------


async def test_sc_105_failed_proofs_use_up_the_budget_of_an_address() -> None:
    """After `failures` of them the address is refused before anything of it is read; others are not (HIRE-LIM-02)."""
    limits = ListenerLimits(channel=LIMITS, failures=3)
    async with served(limits) as serving:

        async def accept(channel: Channel) -> None:
            await admit(channel, {}, unresolved, lambda: "2026-11-25T12:00:00Z")

        serving.listener._accept = accept
        for _ in range(3):
            channel = await connect(serving.url, limits=LIMITS)
            await channel.receive()
            await channel.send(b'{"type":"Connection"}')
            with pytest.raises(Closed) as caught:
                await channel.receive()
            assert caught.value.code == "schema_violation"
        await settled(lambda: serving.listener.door.connections == 0)
        reader, _ = await raw(serving)
        answer = await ended(reader)
        assert answer.startswith(b"HTTP/1.1 429 ")
        assert answer.endswith(b'{"code":"rate_limited"}')
        reader, writer = await raw(serving, source="127.0.0.2")
        writer.write(GET + b"Connection: close\r\n\r\n")
        assert (await ended(reader)).startswith(b"HTTP/1.1 200 ")


async def unresolved(did: str):
    raise AssertionError(did)


def test_sc_105_a_budget_counts_failures_in_a_window() -> None:
    budget = Budget(3, 60.0)
    for at in (0.0, 10.0):
        budget.spend("did:web:mallory.example", at)
        assert not budget.exhausted("did:web:mallory.example", at)
    with pytest.raises(TransportError) as caught:
        budget.spend("did:web:mallory.example", 20.0)
    assert caught.value.code == "rate_limited"
    assert budget.exhausted("did:web:mallory.example", 59.9)
    assert not budget.exhausted("did:web:globex.example", 20.0)
    assert not budget.exhausted("did:web:mallory.example", 60.0)
    budget.spend("did:web:mallory.example", 60.0)
    assert not budget.exhausted("did:web:mallory.example", 60.0)


def test_an_allowance_says_how_long_to_wait() -> None:
    """So much at once, and then no faster than it comes back; what was brought meanwhile counts."""
    allowance = Allowance(600)
    assert allowance.take("127.0.0.1", 600, 0.0) == 0.0
    assert allowance.take("127.0.0.1", 100, 0.0) == 10.0
    assert allowance.take("127.0.0.1", 100, 0.0) == 20.0
    assert allowance.take("127.0.0.2", 600, 0.0) == 0.0
    assert allowance.take("127.0.0.1", 0, 20.0) == 0.0
    assert allowance.take("127.0.0.1", 600, 80.0) == 0.0
    assert allowance.take("127.0.0.1", 601, 10_000.0) == 0.1


def test_an_allowance_holds_a_bounded_number_of_keys() -> None:
    allowance = Allowance(60, max_keys=10)
    for number in range(1000):
        allowance.take(f"key {number}", 60, 1.0)
    assert allowance.take("key 999", 1, 1.0) == 1.0
    assert allowance.take("key 0", 1, 1.0) == 0.0
    assert len(allowance._taken) == 10


def test_sc_105_a_budget_holds_a_bounded_number_of_keys() -> None:
    budget = Budget(2, 60.0, max_keys=10)
    for number in range(1000):
        budget.spend(f"key {number}", 1.0)
    with pytest.raises(TransportError):
        budget.spend("key 999", 1.0)
    assert not budget.exhausted("key 0", 1.0)
    assert len(budget._windows) == 10


# --- the watch alone ------------------------------------------------------------------------------------------------


async def test_the_watch_reads_frames_however_they_are_cut() -> None:
    """Any cut of a good stream is the same stream: no frame is misread as another."""
    stream = b"".join(
        [
            frame(b"x" * 125), frame(b"x" * 126), frame(b"y" * 70_000), frame(b""), frame(b"", opcode=9),
            frame(b"a", fin=False), frame(b"ping", opcode=9), frame(b"", opcode=0), frame(b'"end"'),
        ]
    )  # fmt: skip
    for step in (1, 2, 3, 7, 1000, len(stream)):
        broken: list[tuple[object, ...]] = []
        watch = Watch(
            ChannelLimits(), lambda *why, to=broken: to.append(why), masked=True, paused_reading=lambda: False
        )
        assert all(watch.received(stream[at : at + step]) for at in range(0, len(stream), step))
        assert broken == []
        assert watch._message_timer is None
        watch.received(frame(b"x", opcode=2))
        assert broken == [(1003, "bad_request")]


async def test_the_watch_gives_time_while_we_do_not_read() -> None:
    """It is the peer's time that is bounded, not ours."""
    broken: list[str] = []
    paused = True
    limits = ChannelLimits(message_seconds=0.02)
    watch = Watch(limits, lambda code, reason: broken.append(reason), masked=True, paused_reading=lambda: paused)
    watch.received(frame(b"", length=100))
    await asyncio.sleep(0.06)
    assert broken == []
    paused = False
    await settled(lambda: broken == ["timeout"])


def test_errors_of_this_page_are_in_the_table() -> None:
    for code in ("timeout", "too_large", "overloaded", "version_not_supported", "bad_request", "rate_limited"):
        assert UndersignedError(code, "").row.told == "at once"


@pytest.mark.parametrize(
    "asked", [UPGRADE, GET + b"\r\n", b"GET /artifacts/" + DIGEST.encode() + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"]
)
async def test_who_leaves_before_the_answer_leaves_no_defect_in_the_log(asked: bytes) -> None:
    """Anybody can, and a peer that slept finds many who did."""
    async with served() as serving:
        with capture_logs() as logs:
            for _ in range(50):
                _, writer = await raw(serving)
                writer.write(asked)
                writer.transport.abort()
            await asyncio.sleep(0.3)
    assert [entry for entry in logs if entry["log_level"] == "error"] == []
