"""SC-81 to SC-83: requests to a real listener, and what becomes of an answer that nobody reads."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any

import pytest

from security.raw_peer import (
    DIGEST,
    EMPTY,
    GET,
    LIMITS,
    UPGRADE,
    damaged,
    ended,
    endless,
    frame,
    goes_on,
    grown,
    raw,
    served,
    settled,
    ten,
    unread,
    upgraded,
)
from undersigned.daemon.answers import Document
from undersigned.daemon.listener import ListenerLimits
from undersigned.encoding import digest_bytes
from undersigned.errors import Closed
from undersigned.transport import Channel, ChannelLimits, connect


def named(pieces: Callable[[int], AsyncGenerator[bytes]]) -> str:
    return digest_bytes(pieces.__name__.encode())


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


async def test_sc_81_nor_is_a_short_answer_waited_for_that_nobody_reads() -> None:
    """Less than what has us stop writing; to close the connection waits for them, too."""
    channel = ChannelLimits(local=True, send_seconds=0.2)
    async with served(ListenerLimits(channel=channel, head_seconds=0.1)) as serving:
        await unread(serving)
        await settled(lambda: serving.listener.door.connections == 0)


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


@pytest.mark.parametrize(
    ("old", "new", "status", "code"),
    [
        (b"Sec-WebSocket-Protocol: hire.v1\r\n", b"", b"400", b"version_not_supported"),
        (b"hire.v1", b"hire.v0, chat", b"400", b"version_not_supported"),
        (b"Version: 13", b"Version: 8", b"426", b"version_not_supported"),
        (b"Upgrade: websocket\r\n", b"", b"400", b"bad_request"),
        (b"AAAAAAAAAAAAAAAAAAAAAA==", b"short", b"400", b"bad_request"),
        (b"AAAAAAAAAAAAAAAAAAAAAA==", "ключ".encode(), b"400", b"bad_request"),
        (b"AAAAAAAAAAAAAAAAAAAAAA==", b"\xff\xfe", b"400", b"bad_request"),
        (b"GET /hire", b"HEAD /hire", b"400", b""),
        (b" HTTP/1.1", b" HTTP/1.0", b"400", b"bad_request"),
    ],
)
async def test_sc_82_the_listener_insists_on_the_subprotocol(old, new, status, code) -> None:
    """HIRE-CNX-02."""
    async with served() as serving:
        reader, writer = await raw(serving)
        writer.write(UPGRADE.replace(old, new))
        answer = await ended(reader)
        assert answer.split()[1] == status
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


async def test_an_empty_artifact_has_no_rest() -> None:
    """RFC 9110, section 15.5.17: that it has bytes 0 to -1 is no answer that a client can read."""
    async with served() as serving:
        request = f"GET /artifacts/{EMPTY} HTTP/1.1\r\nHost: localhost\r\n".encode()
        for range, expected in ((b"", b"200"), (b"Range: bytes=0-\r\n", b"416")):
            reader, writer = await raw(serving)
            writer.write(request + b"Connection: close\r\n" + range + b"\r\n")
            head = (await ended(reader)).partition(b"\r\n\r\n")[0]
            assert head.split(b" ")[1] == expected
            assert (b"content-range: bytes */0" in head.lower()) == (expected == b"416")


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
