"""SC-77, SC-81, SC-82 and SC-18: what a server may do to whoever dials it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from security.raw_peer import LIMITS, frame
from support import refuses
from undersigned.errors import Closed, ResolutionError, TransportError
from undersigned.transport import ChannelLimits, connect


@pytest.mark.parametrize("cut", [None, 40, -2], ids=["whole", "in its head", "in its end"])
async def test_sc_77_a_slow_server_is_not_waited_for_either(cut: int | None) -> None:
    """The same watch stands before what we dialled, in however many pieces the server's answer came."""

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer_upgrade(reader, writer, cut=cut)
        writer.write(frame(b"x", length=60_000, mask=False))
        with suppress(ConnectionError):
            await reader.read(-1)
        writer.close()

    async with serving_raw(slow) as url:
        channel = await connect(url, limits=LIMITS)
        with refuses(Closed, "timeout"):
            async with asyncio.timeout(5):
                await channel.receive()


async def test_sc_81_a_server_that_pings_and_reads_nothing_is_let_go() -> None:
    """However many pings we take of what we dialled, what waits for it is bounded by `queue_bytes`."""
    pings = (b"\x89\x7d" + b"x" * 125) * 500

    async def floods(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer_upgrade(reader, writer)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        while True:
            writer.write(pings)
            await writer.drain()

    async with serving_raw(floods) as url:
        limits = ChannelLimits(local=True, queue_bytes=256 * 1024, send_seconds=3600, max_controls=10_000_000)
        channel = await connect(url, limits=limits)
        transport = channel._socket.transport  # type: ignore[attr-defined]
        most = 0

        async def measured() -> None:
            nonlocal most
            while not channel.closed:
                most = max(most, transport.get_write_buffer_size())
                await asyncio.sleep(0)

        with refuses(Closed, "overloaded"):
            async with asyncio.timeout(20):
                await asyncio.gather(measured(), channel.receive())
        assert most <= 2 * 256 * 1024


@pytest.mark.parametrize(
    "url", ["ws://acme.example/hire", "http://acme.example/hire", "ws://127.0.0.1:1/hire", "ws://localhost:1/hire"]
)
async def test_sc_82_plain_websockets_are_refused(url) -> None:
    """HIRE-CNX-01."""
    with refuses(TransportError, "version_not_supported"):
        await connect(url)


async def test_sc_82_local_state_means_loopback_and_no_more() -> None:
    with refuses(TransportError, "version_not_supported"):
        await connect("ws://acme.example/hire", limits=LIMITS)


@pytest.mark.parametrize(
    "url",
    [
        "wss://user@127.0.0.1:1/hire",
        "wss://:secret@127.0.0.1:1/hire",
        "wss://127.0.0.1:1/hire#x",
        "wss:///hire",
        "wss://127.0.0.1:99999/hire",
    ],
)
async def test_what_is_no_url_of_a_peer_is_not_dialled(url: str) -> None:
    with refuses(TransportError, "bad_request"):
        await connect(url)


async def test_no_local_state_is_needed_for_what_is_encrypted() -> None:
    with refuses(ResolutionError, "did_forbidden_address"):
        await connect("wss://127.0.0.1:1/hire")


async def answer_upgrade(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    protocol: bytes = b"Sec-WebSocket-Protocol: hire.v1\r\n",
    cut: int | None = None,
) -> None:
    """`cut`: where the answer is divided in two that arrive one after the other."""
    import base64
    import hashlib

    head = await reader.readuntil(b"\r\n\r\n")
    key = next(
        line.partition(b": ")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")
    )
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    answer = (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n" + protocol + b"\r\n"
    )
    if cut is not None:
        writer.write(answer[:cut])
        await asyncio.sleep(0.02)
    writer.write(answer[cut or 0 :])


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
        with refuses(TransportError, "version_not_supported"):
            await connect(url, limits=LIMITS)


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
        with refuses(TransportError, code):
            await connect(url, limits=LIMITS)
    assert visits == [1]


async def test_sc_82_an_answer_whose_head_does_not_end_is_left() -> None:
    """Line after line, each as long as a line may be: it is not kept until there are as many as a library takes."""
    left = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\n" + (b"X: " + b"x" * 4000 + b"\r\n") * 5)
        with suppress(ConnectionError):
            await reader.read(-1)
        left.set()

    async with serving_raw(handler) as url:
        with refuses(TransportError, "unreachable"):
            await connect(url, limits=LIMITS)
        await asyncio.wait_for(left.wait(), 20)


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
        with refuses(TransportError, "timeout"):
            await connect(url, limits=ChannelLimits(local=True, open_seconds=0.2))


@pytest.mark.parametrize(
    "url", ["ws://u:p@localhost/", "ws://localhost/#a", "ws:///hire", "ws://localhost:99999/", "ws://["]
)
async def test_a_url_that_is_none_of_a_peer_is_refused(url) -> None:
    with refuses(TransportError, "bad_request"):
        await connect(url, limits=LIMITS)


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
        with refuses(Closed, "bad_request"):
            await channel.receive()


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
        with refuses(Closed, code):
            async with asyncio.timeout(5):
                await channel.receive()
