"""Artifacts fetched from a server on real sockets: whole or not at all, whatever the server does."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from undersigned.encoding import digest_bytes
from undersigned.errors import UndersignedError
from undersigned.runtime import SMALL_BYTES, ArtifactStore, Body, Gatherer, Meter
from undersigned.runtime.artifacts.transfers import LEAST_BYTES, transfer
from unit.runtime.sites import Site, gathering, refused, site

DATA = bytes(range(256)) * (4 * 1024)
"""One MiB: as many attempts are allowed as bring 64 KiB each."""
DIGEST = digest_bytes(DATA)


def fetcher(gatherer: Gatherer) -> Callable[[str, str, int, int], Awaitable[AbstractAsyncContextManager[Body]]]:
    async def fetch(url: str, _contract: str, start: int, max_bytes: int) -> AbstractAsyncContextManager[Body]:
        return gatherer.open(url, start=start, max_bytes=max_bytes, timeout_seconds=2.0)

    return fetch


@asynccontextmanager
async def fetching(folder: Path) -> AsyncIterator[tuple[Site, Callable[..., object]]]:
    """A site, and what fetches from it into a store."""
    store = ArtifactStore(folder)
    async with site() as here, gathering() as gatherer:

        async def fetch(max_bytes: int = len(DATA)) -> bytes:
            async with store.receive(max_bytes=max_bytes, digest=DIGEST, hold_bytes=LEAST_BYTES) as incoming:
                await transfer(fetcher(gatherer), here.url("/artifacts/x"), "contract", incoming)
                kept = await incoming.keep()
            return await store.get(kept.digest)

        yield here, fetch
    # Whatever happened, there is the whole, or nothing.
    assert set(await asyncio.to_thread(os.listdir, folder)) <= {DIGEST}


def asked(head: bytes) -> int:
    found = re.search(rb"\r\nRange: bytes=(\d+)-\r\n", head)
    return int(found[1]) if found else 0


def part(start: int, *, total: int = len(DATA), claims: int | None = None) -> bytes:
    first = start if claims is None else claims
    range = b"Content-Range: bytes %d-%d/%d\r\n" % (first, total - 1, total) if start else b""
    status = b"206 Partial Content" if start else b"200 OK"
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n" % (status, total - start, range)


async def test_a_transfer_that_is_cut_goes_on_where_it_stopped(tmp_path: Path) -> None:
    sent: list[int] = []

    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        start = asked(head)
        some = DATA[start : start + 300_000]
        sent.append(len(some))
        writer.write(part(start) + some)

    async with fetching(tmp_path) as (here, fetch):
        here.answer = answer
        assert await fetch() == DATA
        starts = [asked(head) for head in here.requests]
    assert starts[0] == 0
    assert starts == sorted(starts)
    assert sum(sent) < len(DATA) + 300_000, "what had come was not sent again"


async def test_a_server_without_ranges_begins_again(tmp_path: Path) -> None:
    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        whole = len(here.requests) > 1
        writer.write(part(0) + (DATA if whole else DATA[:500_000]))

    async with fetching(tmp_path) as (here, fetch):
        here.answer = answer
        assert await fetch() == DATA
        assert [bool(asked(head)) for head in here.requests] == [False, True]


async def test_a_server_that_lost_it_is_asked_from_the_beginning(tmp_path: Path) -> None:
    """416: what came is not the beginning of what it has now. The next try fetches it whole."""

    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        if asked(head):
            writer.write(b"HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n")
        else:
            writer.write(part(0) + (DATA[:500_000] if len(here.requests) == 1 else DATA))

    store = ArtifactStore(tmp_path)
    async with site() as here, gathering() as gatherer:
        here.answer = answer
        async with store.receive(max_bytes=len(DATA), digest=DIGEST) as incoming:
            error = await refused(transfer(fetcher(gatherer), here.url(), "contract", incoming), "unreachable")
            assert (error.detail["status"], incoming.size) == (416, 0)
            await transfer(fetcher(gatherer), here.url(), "contract", incoming)
            assert (await incoming.keep()).digest == DIGEST


@pytest.mark.parametrize("status", [b"429 Too Many Requests", b"503 Service Unavailable"])
@pytest.mark.parametrize("code", ["overloaded", "digest_mismatch", ""])
async def test_a_server_that_takes_no_more_for_now_is_overloaded(status: bytes, code: str, tmp_path: Path) -> None:
    """Whatever it says of why. It was told as a DID that did not resolve."""
    told = b'{"code": "%b"}' % code.encode() if code else b"<html>no backend</html>"

    async def answer(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(told), told))

    async with fetching(tmp_path) as (here, fetch):
        here.answer = answer
        error = await refused(fetch(), "overloaded")
    assert (error.detail["status"], error.detail["told"], error.retryable) == (int(status[:3]), code, True)


@pytest.mark.parametrize("status", [b"404 Not Found", b"500 Internal Server Error", b"302 Found", b"502 Bad Gateway"])
async def test_a_server_that_has_it_not_is_not_the_one_that_serves_it(status: bytes, tmp_path: Path) -> None:
    """A proxy whose peer is away, say: it may be asked again. It was told as a DID that did not resolve."""

    async def answer(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 %b\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n" % status)

    async with fetching(tmp_path) as (here, fetch):
        here.answer = answer
        error = await refused(fetch(), "unreachable")
        assert len(here.requests) == 1
    assert (error.detail["status"], error.retryable) == (int(status[:3]), True)
    assert f"answered {int(status[:3])}" in error.message


async def test_where_nobody_listens_nothing_is_said_of_a_did(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    async with gathering() as gatherer, store.receive(max_bytes=1, digest=DIGEST) as incoming:
        for url, code in (("http://localhost:1/x", "unreachable"), ("http://10.0.0.1/x", "did_forbidden_address")):
            await refused(transfer(fetcher(gatherer), url, "contract", incoming), code)


@pytest.mark.parametrize("claims", [0, 1, 10**9])
async def test_a_part_that_was_not_asked_for_is_not_taken(claims: int, tmp_path: Path) -> None:
    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        start = asked(head)
        writer.write((part(start, claims=claims) + DATA[start:]) if start else (part(0) + DATA[:500_000]))

    async with fetching(tmp_path) as (here, fetch):
        here.answer = answer
        await refused(fetch(), "unreachable")
        assert len(here.requests) == 2


async def test_one_that_never_gets_further_is_given_up(tmp_path: Path) -> None:
    """Less than 64 KiB an attempt: whoever asked decides whether there is another one."""

    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        start = asked(head)
        writer.write(part(start) + DATA[start : start + LEAST_BYTES - 1])

    async with fetching(tmp_path) as (here, fetch):
        here.answer = answer
        error = await refused(fetch(), "connection_closed")
        assert error.detail["cut"]
        assert len(here.requests) == 1


@pytest.mark.parametrize("length", ["", "Content-Length: 1048576\r\n", "Transfer-Encoding: chunked\r\n"])
async def test_the_limit_is_exact(length: str, tmp_path: Path) -> None:
    """SC-69: whether the server says how much comes or not. As many as are taken come; one less is too few."""
    body = DATA if "chunked" not in length else b"%x\r\n%b\r\n0\r\n\r\n" % (len(DATA), DATA)

    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\nConnection: close\r\n{length}\r\n".encode() + body)

    async with fetching(tmp_path) as (here, fetch):
        here.answer = answer
        assert await fetch() == DATA
    (tmp_path / DIGEST).unlink()
    async with fetching(tmp_path) as (here, fetch):
        here.answer = answer
        await refused(fetch(len(DATA) - 1), "too_large")
        assert len(here.requests) == 1, "it is not asked for again"


@pytest.mark.parametrize("says", [len(DATA) + 1, 10**12, 2**63])
async def test_too_much_is_refused_before_it_comes(says: int, tmp_path: Path) -> None:
    """SC-69: by what the server says, so that nothing has to be read to know it; also of the rest of something."""

    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        start = asked(head)
        writer.write(part(start, total=says if start else len(DATA)) + DATA[start : start + 100_000])

    async with fetching(tmp_path) as (here, fetch):
        here.answer = answer
        await refused(fetch(), "too_large" if says < 2**60 else "unreachable")
        assert len(here.requests) == 2
    async with site() as here, gathering() as gatherer:
        here.answer = lambda _, writer: asyncio.sleep(0, writer.write(part(0, total=says)))
        opened = gatherer.open(here.url(), max_bytes=len(DATA), timeout_seconds=2.0)
        await refused(opened.__aenter__(), "too_large")


async def test_without_a_length_no_more_is_read_than_the_limit(tmp_path: Path) -> None:
    """SC-69: a server that never ends is left, once it has sent a byte too many."""
    sent = 0

    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while True:
            writer.write(bytes(100_000))
            sent += 100_000
            await writer.drain()

    async with fetching(tmp_path) as (here, fetch):
        here.answer = answer
        await refused(fetch(), "too_large")
    assert sent < 64 * len(DATA), "what is in the sockets between the two is all that it sent for nothing"


@pytest.mark.parametrize("says", [len(DATA) - 1, len(DATA) + 1])
async def test_a_length_that_lies_makes_nothing_of_it(says: int, tmp_path: Path) -> None:
    """Too short, and other bytes came; too long, and it is waited for what never comes."""

    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        start = asked(head)
        writer.write(part(start, total=says) + DATA[start:])

    async with fetching(tmp_path) as (here, fetch):
        here.answer = answer
        with pytest.raises(UndersignedError) as caught:
            await fetch(2 * len(DATA))
        assert caught.value.code == ("digest_mismatch" if says < len(DATA) else "connection_closed")


async def test_other_bytes_are_not_kept(tmp_path: Path) -> None:
    """HIRE-ART-03."""
    async with fetching(tmp_path) as (here, fetch):
        here.serves(DATA[:-1] + b"!")
        await refused(fetch(), "digest_mismatch")


async def test_one_that_comes_too_slowly_is_cut(tmp_path: Path) -> None:
    """64 KiB have to come in the time of a whole small answer: a byte now and then holds nobody."""

    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(part(0))
        while not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with fetching(tmp_path) as (here, fetch):
        here.answer = answer
        assert (await refused(fetch(), "connection_closed")).detail["cut"]


async def test_a_body_that_would_have_to_be_inflated_is_not_read(tmp_path: Path) -> None:
    """SC-79: what was not asked for may be a thousand times as long as it is."""
    async with fetching(tmp_path) as (here, fetch):
        here.serves(DATA, fields="Content-Encoding: gzip\r\n")
        await refused(fetch(), "unreachable")


# --- how far it is --------------------------------------------------------------------------------------------------


def told(done: list[int], total: int | None) -> list[tuple[int, int | None]]:
    said: list[tuple[int, int | None]] = []
    meter = Meter(lambda *at: said.append(at))
    for one in done:
        meter.at(one, total)
    return said


def test_a_meter_tells_each_tenth_once_and_the_end() -> None:
    total = 10 * SMALL_BYTES
    every = [*range(1000, total, 1000), total]
    said = [done for done, _ in told(every, total)]
    assert len(said) == 11
    assert said[0] == 1000
    assert said[-1] == total
    assert [10 * one // total for one in said] == [0, *range(1, 11)]
    assert [done for done, _ in told([total], total)] == [total]


def test_a_meter_tells_nothing_of_what_is_small() -> None:
    assert told([1, SMALL_BYTES], SMALL_BYTES) == []
    assert told([1, SMALL_BYTES], None) == []


def test_without_a_length_each_step_is_told() -> None:
    step = SMALL_BYTES // 2
    said = [done for done, _ in told(list(range(step, 200 * 1024 * 1024, step)), None)]
    assert len(said) == 1 + 200 // 64


def test_what_begins_again_is_told_once_it_is_further_than_before() -> None:
    total = 10 * SMALL_BYTES
    said = [done for done, _ in told([total // 2, 1000, total // 2 + 1000, total], total)]
    assert said == [total // 2, total]
