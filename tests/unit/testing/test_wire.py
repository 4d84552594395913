"""A wire does to bytes what it is told, and counts messages as RFC 6455 frames them."""

from __future__ import annotations

import asyncio
import struct
from contextlib import asynccontextmanager, suppress
from random import Random

import pytest

from undersigned.testing import Break, Stall, Wire, WireFaults

UPGRADE = b"GET /hire HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"
NO_FAULTS = WireFaults()
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"


def frame(payload: bytes, *, last: bool = True, opcode: int = 1, mask: bool = True) -> bytes:
    """One frame, as RFC 6455, section 5.2, writes it."""
    size, masked = len(payload), 0x80 if mask else 0
    if size < 126:
        head = bytes([masked | size])
    elif size < 1 << 16:
        head = bytes([masked | 126]) + struct.pack(">H", size)
    else:
        head = bytes([masked | 127]) + struct.pack(">Q", size)
    return bytes([(0x80 if last else 0) | opcode]) + head + (b"\0\0\0\0" if mask else b"") + payload


class Sink:
    """A server that answers the upgrade, keeps what it gets, and says nothing more."""

    def __init__(self) -> None:
        self.got = bytearray()
        self.reads: list[int] = []
        self.ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(SWITCHED)
        try:
            while data := await reader.read(1 << 16):
                self.got += data
                self.reads.append(len(data))
        except ConnectionError:
            pass
        self.ended.set()
        writer.close()


@asynccontextmanager
async def line(faults: WireFaults = NO_FAULTS, *, seed: int = 0):
    """A sink, a wire to it, and the two ends of a connection through it."""
    sink = Sink()
    server = await asyncio.start_server(sink.serve, "127.0.0.1", 0)
    async with server, Wire(server.sockets[0].getsockname()[:2], faults=faults, seed=seed) as wire:
        reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
        try:
            yield sink, wire, reader, writer
        finally:
            writer.close()


async def until(condition) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - nothing here has an event to wait for
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("seed", range(5))
async def test_messages_are_counted_however_the_bytes_are_cut(seed: int) -> None:
    """Every length form, fragments, empty messages; control frames between fragments are no messages."""
    random = Random(seed)
    sent = UPGRADE + b"".join(
        [
            frame(b"short"),
            frame(b""),
            frame(b"x" * 200, last=False),
            frame(b"ping", opcode=9),
            frame(b"y" * 70_000, opcode=0),
            frame(b"\x81\x05hello" * 10),
            frame(b"", opcode=8),
        ]
    )
    async with line(WireFaults(piece_bytes=random.choice([1, 3, 997])), seed=seed) as (sink, wire, _, writer):
        at = 0
        while at < len(sent):
            size = random.choice([1, 2, 5, 40_000])
            writer.write(sent[at : at + size])
            await writer.drain()
            await asyncio.sleep(0)
            at += size
        await until(lambda: len(sink.got) == len(sent))
    assert bytes(sink.got) == sent
    assert wire.passed == 4


async def test_what_is_no_websocket_is_carried_and_not_counted() -> None:
    sent = b"GET /a HTTP/1.1\r\n\r\n" + frame(b"only looks like one")
    async with line() as (sink, wire, _, writer):
        writer.write(sent)
        await until(lambda: len(sink.got) == len(sent))
        assert wire.passed == 0


async def test_a_break_at_the_end_of_a_message() -> None:
    """What came before arrives whole, what comes after does not, and both ends see the end."""
    first, second = frame(b"first"), frame(b"second")
    async with line(WireFaults(breaks=(Break(after=1),))) as (sink, _, reader, writer):
        writer.write(UPGRADE + first + second)
        async with asyncio.timeout(5):
            await sink.ended.wait()
            assert (await reader.read()) in (SWITCHED, b"")
        assert bytes(sink.got) == UPGRADE + first


async def test_a_break_inside_a_message() -> None:
    first, second = frame(b"first"), frame(b"second" * 9)
    async with line(WireFaults(breaks=(Break(after=1, inside=True),))) as (sink, _, _, writer):
        writer.write(UPGRADE + first + second)
        async with asyncio.timeout(5):
            await sink.ended.wait()
        came = bytes(sink.got).removeprefix(UPGRADE + first)
        assert 0 < len(came) < len(second)
        assert second.startswith(came)


async def test_a_stall_ends_nothing() -> None:
    """One direction goes quiet; the other still carries, and no end is told."""
    async with line(WireFaults(stalls=(Stall(after=1, direction="up"),))) as (sink, wire, reader, writer):
        writer.write(UPGRADE + frame(b"first"))
        await until(lambda: wire.passed == 1)
        writer.write(frame(b"second"))
        await asyncio.sleep(0.1)
        assert bytes(sink.got) == UPGRADE + frame(b"first")
        assert wire.connections == 1
        assert await reader.readexactly(len(SWITCHED)) == SWITCHED


async def test_connections_take_turns_and_cut_breaks_them() -> None:
    sinks = Sink(), Sink()
    servers = [await asyncio.start_server(sink.serve, "127.0.0.1", 0) for sink in sinks]
    async with servers[0], servers[1], Wire(*(one.sockets[0].getsockname()[:2] for one in servers)) as wire:
        ends = [await asyncio.open_connection("127.0.0.1", wire.port) for _ in range(3)]
        await until(lambda: wire.connections == 3)
        assert wire.taken == [0, 1, 0]
        assert wire.cut() == 3
        for reader, writer in ends:
            async with asyncio.timeout(5):
                # Broken or closed, as the platform has it; but not open.
                with suppress(ConnectionError):
                    assert (await reader.read()) in (SWITCHED, b"")
            writer.close()


async def test_bytes_are_held_to_a_rate_and_delayed() -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with line(WireFaults(bytes_per_second=20_000, piece_bytes=500)) as (sink, _, _, writer):
        writer.write(UPGRADE + frame(b"x" * 4_000))
        await until(lambda: len(sink.got) > 4_000)
    assert loop.time() - started > 0.15
    assert max(sink.reads) < 4_000
