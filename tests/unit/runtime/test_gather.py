"""Guarded fetching and DID resolution: SC-05, SC-06, SC-07, and what is remembered for how long."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from histories import Log, document_at
from integration.hires import until
from parties import Party
from undersigned.daemon.door import ListenerLimits
from undersigned.did import did_key, make_document
from undersigned.did.methods import webvh
from undersigned.encoding import canonicalize
from undersigned.errors import ResolutionError, UndersignedError, VerificationError
from undersigned.runtime.fetching.fetcher import GathererLimits, asked_by
from undersigned.runtime.fetching.gather import Gatherer
from undersigned.runtime.signers import generate_key
from undersigned.transport import addresses_of, dial, may_dial
from undersigned.transport.names import LOOKUPS, LOOKUPS_FOR_ONE, OWN_LOOKUPS, _under_way

Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Site:
    """A web server that answers as it is told, and counts."""

    answer: Answer | None = None
    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    @property
    def did(self) -> str:
        return f"did:web:localhost%3A{self.port}"

    def url(self, path: str = "/.well-known/did.json") -> str:
        return f"http://localhost:{self.port}{path}"

    def serves(self, body: bytes, *, status: str = "200 OK", fields: str = "") -> None:
        async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{fields}\r\n".encode() + body)

        self.answer = answer


@asynccontextmanager
async def site() -> AsyncIterator[Site]:
    found = Site()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.writers.append(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            found.requests.append(head)
            if found.answer is not None:
                await found.answer(head, writer)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        for writer in found.writers:
            writer.transport.abort()
            with suppress(ConnectionError):
                await writer.wait_closed()


@asynccontextmanager
async def gathering(*, local: bool = True, **options) -> AsyncIterator[Gatherer]:
    gatherer = Gatherer(local=local, limits=GathererLimits(**{"seconds": 2.0, **options}))
    try:
        yield gatherer
    finally:
        await gatherer.close()


def document_of(did: str) -> bytes:
    key = generate_key().public_key
    return canonicalize(make_document(did, authentication={"key-1": key}, assertion_method={"key-1": key}))


async def refused(awaited: Awaitable[object], code: str) -> UndersignedError:
    with pytest.raises(UndersignedError) as caught:
        await awaited
    assert caught.value.code == code, caught.value
    return caught.value


# --- addresses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_may_be_dialled(address) -> None:
    assert may_dial(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.255.255", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255",
        "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.127.255.255", "224.0.0.1", "239.1.1.1", "240.0.0.1",
        "255.255.255.255", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "192.0.0.1",
        "::", "::1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
        "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:7f00:1::", "2001:db8::1",
        "100::1", "", "localhost", "1.1.1", "01.1.1.1",
    ],
)  # fmt: skip
def test_sc_05_addresses_that_are_not_dialled(address) -> None:
    assert not may_dial(address)


LOOPBACK_SPELLINGS = [
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "017700000001", "0177.0.0.1", "127.0.0.1.",
    "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "localhost", "LOCALHOST", "①②⑦.⓪.⓪.①", "0", "0.0.0.0",
    "127。0。0。1",
]  # fmt: skip


@pytest.mark.parametrize("host", LOOPBACK_SPELLINGS)
async def test_sc_05_no_spelling_of_loopback_is_connected_to(host) -> None:
    """Whatever the name looks like: the server that listens there sees nothing (HIRE-DID-05)."""
    async with site() as here, gathering(local=False) as gatherer:
        await refused(gatherer.fetch(f"https://{host}:{here.port}/"), "did_forbidden_address")
        with pytest.raises(ResolutionError):
            await dial(host.strip("[]"), here.port, seconds=1)
        await asyncio.sleep(0)
        assert here.writers == []


@pytest.mark.parametrize("host", ["169.254.169.254", "10.0.0.1", "[fd00::1]", "[fe80::1]", "100.64.0.1", "224.0.0.1"])
async def test_sc_05_private_addresses_are_not_connected_to(host) -> None:
    """HIRE-DID-05."""
    async with gathering(local=False) as gatherer:
        await refused(gatherer.fetch(f"https://{host}/"), "did_forbidden_address")


def answering(monkeypatch, *answers: list[str]) -> list[str]:
    """Has the resolver give these addresses, one list for each question; the names it was asked for."""
    asked: list[str] = []
    given = iter(answers)

    def getaddrinfo(host, port, **options):
        asked.append(host)
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in next(given)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


async def test_a_name_that_nobody_answers_for_holds_up_nothing_else(monkeypatch) -> None:
    """HIRE-LIM-02: whoever names a host chooses the server that is asked for it, and no look-up can be stopped. One
    that nobody waits for any more counts as long as it goes on; what is stored is written meanwhile.
    """
    usual, answers, begun = socket.getaddrinfo, threading.Event(), threading.Semaphore(0)

    def getaddrinfo(host, port, **options):
        if not str(host).endswith(".slow.example"):
            return usual(host, port, **options)
        begun.release()
        answers.wait()
        raise OSError("no answer")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    try:
        async with asyncio.timeout(10):
            for peer in range(4):
                for number in range(LOOKUPS_FOR_ONE):
                    asked = asyncio.create_task(addresses_of(f"{number}.slow.example", 443, whose=f"peer {peer}"))
                    await asyncio.sleep(0)
                    asked.cancel()
                await refused(addresses_of("more.slow.example", 443, whose=f"peer {peer}"), "did_unresolvable")
            assert await asyncio.to_thread(lambda: 1) == 1
            await refused(addresses_of("localhost", 443, whose="somebody else"), "did_forbidden_address")
            others = LOOKUPS - OWN_LOOKUPS - 4 * LOOKUPS_FOR_ONE
            for number in range(others):
                asked = asyncio.create_task(addresses_of("a.slow.example", 443, whose=f"one of many {number}"))
                await asyncio.sleep(0)
                asked.cancel()
            await refused(addresses_of("localhost", 443, whose="somebody else"), "did_unresolvable")
            await refused(addresses_of("localhost", 443), "did_forbidden_address")
    finally:
        answers.set()
    await until(lambda: not _under_way)
    await refused(addresses_of("more.slow.example", 443, whose="peer 1"), "did_unresolvable")
    assert begun.acquire(blocking=False)


async def test_sc_05_a_name_that_leads_home_is_not_followed(monkeypatch) -> None:
    async with site() as here, gathering(local=False) as gatherer:
        asked = answering(monkeypatch, ["127.0.0.1", "::1"], ["10.1.2.3"])
        await refused(gatherer.fetch(f"https://evil.example:{here.port}/"), "did_forbidden_address")
        await refused(gatherer.document(f"did:web:evil.example%3A{here.port}"), "did_forbidden_address")
        assert asked == ["evil.example", "evil.example"]
        assert here.writers == []


async def test_sc_05_in_local_state_too_only_localhost_is_loopback(monkeypatch) -> None:
    async with site() as here, gathering(local=True) as gatherer:
        answering(monkeypatch, ["127.0.0.1"])
        await refused(gatherer.fetch(f"https://evil.example:{here.port}/"), "did_forbidden_address")
        await refused(gatherer.fetch(f"http://evil.example:{here.port}/"), "did_forbidden_address")
        await refused(gatherer.fetch(f"http://127.0.0.2:{here.port}/"), "did_forbidden_address")
        assert here.writers == []


async def test_sc_05_of_several_addresses_only_those_that_may_be_dialled_are(monkeypatch) -> None:
    answering(monkeypatch, ["10.0.0.1", "8.8.8.8", "8.8.8.8", "::1", "2606:4700::1"])
    assert await addresses_of("mixed.example", 443) == ((socket.AF_INET, "8.8.8.8"), (socket.AF_INET6, "2606:4700::1"))


async def test_sc_05_a_name_is_asked_for_again_each_time(monkeypatch) -> None:
    """Rebinding: a first, harmless answer opens no door for a second one."""
    async with gathering(local=False, seconds=0.2) as gatherer:
        asked = answering(monkeypatch, ["127.0.0.1"], ["127.0.0.1"])
        for _ in range(2):
            await refused(gatherer.fetch("https://rebind.example/"), "did_forbidden_address")
        assert len(asked) == 2


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://acme.example/", "did_forbidden_address"),
        ("ftp://localhost/", "did_forbidden_address"),
        ("file:///etc/passwd", "did_unresolvable"),
        ("https://user:secret@acme.example/", "did_forbidden_address"),
        ("https:///x", "did_unresolvable"),
        ("https://acme.example:99999/", "did_unresolvable"),
        ("https://[/", "did_unresolvable"),
        ("", "did_unresolvable"),
    ],
)
async def test_sc_05_other_urls_are_not_fetched(url, code) -> None:
    async with gathering(local=False) as gatherer:
        await refused(gatherer.fetch(url), code)


# --- answers --------------------------------------------------------------------------------------------------------


async def test_bytes_are_fetched_as_they_are() -> None:
    async with site() as here, gathering() as gatherer:
        here.serves(b"\x00\xffwhole")
        assert await gatherer.fetch(here.url()) == b"\x00\xffwhole"
        assert await gatherer.fetch(f"http://127.0.0.1:{here.port}/") == b"\x00\xffwhole"
        (head, _) = here.requests
        assert head.startswith(b"GET /.well-known/did.json HTTP/1.1\r\n")
        assert b"cookie" not in head.lower()
        assert b"accept-encoding: identity\r\n" in head.lower()


@pytest.mark.parametrize(
    "location",
    ["http://169.254.169.254/", "http://localhost:{port}/other", "https://acme.example/", "/.well-known/did.json"],
    ids=["private", "another path", "another host", "loop"],
)
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Again", "308 There"])
async def test_sc_06_redirects_are_not_followed(location, status) -> None:
    """HIRE-DID-04."""
    async with site() as here, gathering() as gatherer:
        here.serves(b"", status=status, fields=f"Location: {location.format(port=here.port)}\r\n")
        await refused(gatherer.document(here.did), "did_unresolvable")
        assert len(here.requests) == 1


@pytest.mark.parametrize("status", ["404 Not Found", "500 Broken", "204 Nothing", "206 Part", "203 Other"])
async def test_only_200_is_an_answer(status) -> None:
    async with site() as here, gathering() as gatherer:
        here.serves(document_of(here.did), status=status)
        await refused(gatherer.document(here.did), "did_unresolvable")


async def test_sc_07_an_endless_document_is_cut_at_the_limit() -> None:
    """No more is read than the limit and a buffer or two (HIRE-DID-04)."""
    sent = 0
    async with site() as here, gathering() as gatherer:

        async def endless(head: bytes, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
            while True:
                writer.write(b"x" * 16_384)
                sent += 16_384
                await writer.drain()

        here.answer = endless
        await refused(gatherer.document(here.did), "did_unresolvable")
        assert sent < 16 * 1024 * 1024


async def test_sc_07_fifty_megabytes_announced_are_not_read() -> None:
    async with site() as here, gathering() as gatherer:

        async def announced(head: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 52428800\r\n\r\n" + b"x" * 70_000)
            await writer.drain()
            await asyncio.sleep(30)

        here.answer = announced
        await refused(gatherer.fetch(here.url()), "did_unresolvable")


async def test_sc_07_a_dribble_is_cut_at_the_deadline() -> None:
    async with site() as here, gathering(seconds=0.3) as gatherer:

        async def dribble(head: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)

        here.answer = dribble
        await refused(gatherer.document(here.did), "did_unresolvable")


async def test_sc_07_a_server_that_is_about_to_answer_for_ever_is_cut_at_once() -> None:
    """A few interim answers are borne; to read them without end would cost a core until the deadline."""
    for count, code in ((3, ""), (100, "did_unresolvable")):
        async with site() as web, gathering() as gatherer:

            async def about_to(head: bytes, writer: asyncio.StreamWriter, count: int = count) -> None:
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * count)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

            web.answer = about_to
            if code:
                await refused(gatherer.fetch(web.url()), code)
            else:
                assert await gatherer.fetch(web.url()) == b"{}"


async def test_sc_07_a_server_that_says_nothing_is_cut_at_the_deadline() -> None:
    async with site() as here, gathering(seconds=0.2) as gatherer:

        async def silent(head: bytes, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(30)

        here.answer = silent
        await refused(gatherer.document(here.did), "did_unresolvable")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "x"])
async def test_sc_07_nothing_is_inflated(encoding) -> None:
    async with site() as here, gathering() as gatherer:
        here.serves(gzip.compress(b"\0" * 10_000_000), fields=f"Content-Encoding: {encoding}\r\n")
        await refused(gatherer.document(here.did), "did_unresolvable")


async def test_sc_07_a_document_cut_short_is_none() -> None:
    async with site() as here, gathering() as gatherer:

        async def short(head: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")

        here.answer = short
        await refused(gatherer.document(here.did), "did_unresolvable")


@pytest.mark.parametrize("answer", [b"", b"junk\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"])
async def test_an_answer_that_is_no_http_is_none(answer) -> None:
    async with site() as here, gathering() as gatherer:

        async def junk(head: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(answer)

        here.answer = junk
        await refused(gatherer.fetch(here.url()), "did_unresolvable")


@pytest.mark.parametrize(
    "target", ["/a%26b", "/x%3Ay", "/%7Eme", "/%c3%a9", "/a/../b", "/q?x=%2f&y=a+b%20", "/a%", "/"]
)
async def test_what_is_asked_for_is_spelled_as_it_was_given(target: str) -> None:
    """HIRE-GTS-09: a signature covers one spelling, and the server compares it with the one that came."""
    async with site() as here, gathering() as gatherer:
        here.serves(b"")
        await gatherer.fetch(here.url(target))
        await gatherer.exchange("GET", here.url(target), max_bytes=10, timeout_seconds=2)
        assert [head.split(b" ")[1].decode() for head in here.requests] == [target, target]


@pytest.mark.parametrize("target", ["/a b", "/é", "/x\r\nHost: evil", "/a\tb"])
async def test_what_cannot_stand_in_a_request_is_encoded(target: str) -> None:
    async with site() as here, gathering() as gatherer:
        here.serves(b"")
        with suppress(ResolutionError):
            await gatherer.fetch(here.url(target))
        for head in here.requests:
            assert head.count(b"\r\nHost:") == 1
            assert head.split(b"\r\n")[0].count(b" ") == 2


async def test_the_limit_is_inclusive_and_can_be_given() -> None:
    async with site() as here, gathering(document_bytes=100) as gatherer:
        here.serves(b"x" * 101)
        await refused(gatherer.fetch(here.url()), "did_unresolvable")
        assert len(await gatherer.fetch(here.url(), max_bytes=101)) == 101
        here.serves(b"x" * 100)
        assert len(await gatherer.fetch(here.url())) == 100


async def test_nobody_listening_is_unresolvable() -> None:
    async with gathering() as gatherer:
        await refused(gatherer.fetch("http://localhost:1/"), "did_unresolvable")


# --- DID documents --------------------------------------------------------------------------------------------------


class Seconds:
    """A clock set by hand."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


async def test_a_did_key_needs_no_network() -> None:
    did = did_key(generate_key().public_key)
    async with gathering(local=False) as gatherer:
        assert (await gatherer.document(did)).id == did


async def test_a_document_is_remembered_as_long_as_the_caller_allows() -> None:
    clock = Seconds()
    gatherer = Gatherer(local=True, clock=clock)
    async with site() as here:
        here.serves(document_of(here.did))
        first = await gatherer.document(here.did)
        assert first.id == here.did
        clock.at += 300
        assert await gatherer.document(here.did, max_age_seconds=300) is first
        assert len(here.requests) == 1
        clock.at += 1
        assert await gatherer.document(here.did, max_age_seconds=300) is not first
        assert len(here.requests) == 2
        await gatherer.document(here.did)
        assert len(here.requests) == 2
    await gatherer.close()


async def test_a_failure_is_not_remembered_and_does_not_replace() -> None:
    clock = Seconds()
    gatherer = Gatherer(local=True, clock=clock)
    async with site() as here:
        here.serves(b"", status="500 Broken")
        await refused(gatherer.document(here.did), "did_unresolvable")
        here.serves(document_of(here.did))
        kept = await gatherer.document(here.did)
        clock.at += 400
        here.serves(b"{}")
        await refused(gatherer.document(here.did, max_age_seconds=300), "did_document_invalid")
        assert await gatherer.document(here.did) is kept
    await gatherer.close()


async def test_many_callers_cause_one_fetch() -> None:
    async with site() as here, gathering() as gatherer:
        here.serves(document_of(here.did))
        found = await asyncio.gather(*(gatherer.document(here.did) for _ in range(50)))
        assert all(one is found[0] for one in found)
        assert len(here.requests) == 1


async def test_a_caller_that_gives_up_does_not_take_the_answer_from_others() -> None:
    async with site() as here, gathering() as gatherer:
        going = asyncio.Event()

        async def slow(head: bytes, writer: asyncio.StreamWriter) -> None:
            await going.wait()
            body = document_of(here.did)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

        here.answer = slow
        first, second = (asyncio.create_task(gatherer.document(here.did)) for _ in range(2))
        await until(lambda: here.requests)
        first.cancel()
        going.set()
        assert (await second).id == here.did
        with pytest.raises(asyncio.CancelledError):
            await first


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"id":"did:web:other.example"}', b"\xff", b"[" * 60_000, b'{"id":1}']
)
async def test_sc_04_a_document_that_is_not_of_this_did_is_refused(body) -> None:
    async with site() as here, gathering() as gatherer:
        here.serves(body)
        error = await refused(gatherer.document(here.did), "did_document_invalid")
        assert isinstance(error, VerificationError)


@pytest.mark.parametrize(
    ("did", "code"),
    [
        ("did:web:127.0.0.1", "did_forbidden_address"),
        ("did:web:localhost", "did_forbidden_address"),
        ("did:example:1", "did_unresolvable"),
        ("nothing", "did_document_invalid"),
    ],
)
async def test_dids_that_lead_nowhere(did, code) -> None:
    async with gathering(local=False) as gatherer:
        await refused(gatherer.document(did), code)


async def test_documents_come_all_or_none() -> None:
    keys = [did_key(generate_key().public_key) for _ in range(3)]
    async with site() as here, gathering() as gatherer:
        here.serves(document_of(here.did))
        found = await gatherer.documents([*keys, here.did, keys[0]])
        assert {did: document.id for did, document in found.items()} == {did: did for did in (*keys, here.did)}
        await refused(gatherer.documents([*keys, "did:web:localhost%3A1"]), "did_unresolvable")


async def test_sc_103_one_gathering_leads_to_few_hosts() -> None:
    """Counted before anything is fetched."""
    async with gathering(local=False, hosts=3) as gatherer:
        error = await refused(
            gatherer.documents([f"did:web:host{number}.example" for number in range(4)]), "did_unresolvable"
        )
        assert "4 hosts" in error.message


async def test_one_gathering_has_one_deadline() -> None:
    async with site() as here, gathering(seconds=0.2) as gatherer:

        async def silent(head: bytes, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(30)

        here.answer = silent
        await refused(gatherer.documents([here.did]), "did_unresolvable")


async def test_many_fetches_from_one_host_are_no_flood() -> None:
    """However many are wanted at once: fewer connections than a peer lets in, and documents do not wait for long
    bodies that are slow.
    """
    wanted, limits = 60, GathererLimits()
    assert limits.per_host < ListenerLimits().unproved_per_address
    opened: set[asyncio.StreamWriter] = set()
    most, go = 0, asyncio.Event()

    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal most
        opened.add(writer)
        most = max(most, len(opened))
        if b"/long" in head:
            await go.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        await writer.drain()
        opened.discard(writer)

    async def whole(gatherer: Gatherer, url: str) -> bytes:
        async with gatherer.open(url, max_bytes=10, timeout_seconds=10) as body:
            return b"".join([chunk async for chunk in body.chunks])

    async with site() as web, gathering(seconds=10.0) as gatherer:
        web.answer = answer
        long = asyncio.gather(*(whole(gatherer, web.url("/long")) for _ in range(wanted)))
        while len(opened) < limits.transfers_per_host:  # noqa: ASYNC110
            await asyncio.sleep(0)
        short = await asyncio.gather(*(gatherer.fetch(web.url("/short")) for _ in range(wanted)))
        assert not long.done()
        go.set()
        assert short == await long == [b"{}"] * wanted
    assert limits.transfers_per_host < most <= limits.per_host


async def test_a_slow_host_takes_no_place_from_others() -> None:
    """As many transfers as may be at once are wanted from one that says nothing; another answers meanwhile."""
    async with site() as slow, site() as quick, gathering(transfers=4, transfers_per_host=2) as gatherer:
        quick.serves(b"{}")
        waiting = [asyncio.create_task(_opened(gatherer, slow.url())) for _ in range(8)]
        while len(slow.writers) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert await _opened(gatherer, quick.url()) == 2
        assert len(slow.writers) == 2
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_whoever_names_slow_hosts_waits_for_them_alone() -> None:
    """SC-103: a few look-ups at a time for one peer. Others have theirs, even of what it asked for before them."""
    go = asyncio.Event()

    async def waits(_head: bytes, writer: asyncio.StreamWriter) -> None:
        await go.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    async with site() as slow, site() as quick, gathering(connections=4, per_asker=2, seconds=30) as gatherer:
        slow.answer = waits
        quick.serves(document_of(quick.did))
        with asked_by("did:web:mallory.example"):
            named = [asyncio.create_task(gatherer.fetch(slow.url(f"/{number}"))) for number in range(8)]
            same = asyncio.create_task(gatherer.document(quick.did))
        while len(slow.requests) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0)
        with asked_by("did:web:acme.example"):
            assert (await gatherer.document(quick.did)).id == quick.did
        assert (await gatherer.document(quick.did, 0.0)).id == quick.did
        assert len(slow.requests) == 2
        assert not same.done()
        go.set()
        await asyncio.gather(same, *named)
        assert len(slow.requests) == 8


async def _opened(gatherer: Gatherer, url: str) -> int | None:
    async with gatherer.open(url, max_bytes=10, timeout_seconds=10) as body:
        return body.total


async def test_what_is_remembered_is_bounded() -> None:
    async with gathering(cached=5) as gatherer:
        dids = [did_key(generate_key().public_key) for _ in range(20)]
        for did in dids:
            await gatherer.document(did)
        assert list(gatherer._documents) == dids[-5:]


async def test_what_is_remembered_is_bounded_in_bytes() -> None:
    """A history is long; a thousand of them are not kept because each is one DID."""
    async with site() as here, gathering(cached_bytes=3000) as gatherer:
        logs = [Log(f"localhost%3A{here.port}:{number}", controller=CONTROLLER, key=KEY_1) for number in range(5)]
        assert all(1000 < len(log.raw) <= 1500 for log in logs)
        for log in logs:
            here.serves(log.raw)
            await gatherer.document(log.did)
        assert list(gatherer._documents) == [log.did for log in logs[-2:]]
        here.serves(logs[-1].raw)
        await gatherer.document(logs[-1].did, max_age_seconds=-1)
        assert gatherer._documents_bytes == sum(one.size for one in gatherer._documents.values())


async def test_closing_ends_what_is_under_way() -> None:
    async with site() as here:
        gatherer = Gatherer(local=True)

        async def silent(head: bytes, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(30)

        here.answer = silent
        waiting = asyncio.create_task(gatherer.document(here.did))
        await until(lambda: here.requests)
        await gatherer.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting


async def test_what_is_asked_for_after_closing_is_not_fetched() -> None:
    """Neither by who comes then, nor by who waited for a place until then."""
    async with site() as here:
        gatherer = Gatherer(local=True, limits=GathererLimits(transfers_per_host=1))
        here.serves(b"{}")
        async with gatherer.open(here.url(), max_bytes=10, timeout_seconds=10):
            waiting = asyncio.create_task(_opened(gatherer, here.url()))
            await asyncio.sleep(0)
            assert not waiting.done()
            await gatherer.close()
        await refused(waiting, "did_unresolvable")
        await refused(gatherer.fetch(here.url(), max_bytes=10), "did_unresolvable")
        await refused(_opened(gatherer, here.url()), "did_unresolvable")
        assert len(here.requests) == 1
        gatherer.reopen()
        assert await _opened(gatherer, here.url()) == 2
        await gatherer.close()


# --- histories ------------------------------------------------------------------------------------------------------


CONTROLLER, KEY_1, KEY_2 = Party("controller"), Party("key-1"), Party("key-2")
WITNESS = Party("witness")
NOW = "2026-11-25T12:00:00Z"


def log_at(here: Site, **parameters) -> Log:
    """A log of a DID that lies at the site, which serves it."""
    log = Log(f"localhost%3A{here.port}", controller=CONTROLLER, key=KEY_1, **parameters)
    publish(here, log)
    return log


def publish(here: Site, log: Log) -> None:
    """Serves the two files of a log, and nothing else."""
    files = {"/.well-known/did.jsonl": log.raw}
    if log.witnessed:
        files["/.well-known/did-witness.json"] = json.dumps(log.witnessed).encode()

    async def answer(head: bytes, writer: asyncio.StreamWriter) -> None:
        body = files.get(head.split(b" ")[1].decode())
        status = "200 OK" if body is not None else "404 Not Found"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body or b'')}\r\n\r\n".encode() + (body or b""))

    here.answer = answer


@asynccontextmanager
async def recalling(clock: Callable[[], float], **options) -> AsyncIterator[Gatherer]:
    gatherer = Gatherer(local=True, clock=clock, now=lambda: NOW, **options)
    try:
        yield gatherer
    finally:
        await gatherer.close()


async def test_a_history_is_fetched_and_its_witnesses_only_if_named() -> None:
    """HIRE-WVH-02: and the two files count as one host, under one deadline (HIRE-DID-08)."""
    async with site() as here, recalling(Seconds(), limits=GathererLimits(hosts=1)) as gatherer:
        log = log_at(here)
        assert (await gatherer.documents([log.did]))[log.did].id == log.did
        assert len(here.requests) == 1
        witnessed = Log(f"localhost%3A{here.port}", controller=CONTROLLER, key=KEY_2,
                        witness={"threshold": 1, "witnesses": [{"id": WITNESS.did}]})  # fmt: skip
        publish(here, witnessed)
        await refused(gatherer.document(witnessed.did), "did_unresolvable")
        witnessed.witness(1, WITNESS)
        publish(here, witnessed)
        assert list(await gatherer.documents([witnessed.did])) == [witnessed.did]
        assert [one.split(b" ")[1].rpartition(b"/")[2] for one in here.requests[-2:]] == [
            b"did.jsonl",
            b"did-witness.json",
        ]


async def test_the_files_of_one_did_have_one_deadline() -> None:
    """HIRE-DID-08: each alone would be in time."""
    async with site() as here, gathering(seconds=0.5) as gatherer:
        log = Log(f"localhost%3A{here.port}", controller=CONTROLLER, key=KEY_1,
                  witness={"threshold": 1, "witnesses": [{"id": WITNESS.did}]})  # fmt: skip
        log.witness(1, WITNESS)
        publish(here, log)
        quick = here.answer
        assert quick is not None

        async def slow(head: bytes, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(0.35)
            await quick(head, writer)

        here.answer = slow
        error = await refused(gatherer.document(log.did), "did_unresolvable")
        assert "within 0.5 s" in error.message
        assert len(here.requests) == 2


async def test_a_history_may_be_longer_than_a_document() -> None:
    """HIRE-WVH-05: each file has its own limit."""
    async with site() as here, recalling(Seconds(), limits=GathererLimits(document_bytes=10)) as gatherer:
        log = log_at(here)
        assert (await gatherer.document(log.did)).id == log.did
    async with site() as here, recalling(Seconds(), limits=GathererLimits(history_bytes=1000)) as gatherer:
        await refused(gatherer.document(log_at(here).did), "did_unresolvable")


async def test_a_history_that_was_rewritten_is_refused() -> None:
    """HIRE-WVH-10: also one that is valid, and only shorter."""
    clock = Seconds()
    async with site() as here, recalling(clock) as gatherer:
        log = log_at(here)
        log.add(document_at(log.did, KEY_2), controller=CONTROLLER)
        publish(here, log)
        kept = await gatherer.document(log.did)
        clock.at += 400
        full = list(log.entries)
        del log.entries[1:]
        publish(here, log)
        error = await refused(gatherer.document(log.did, 300), "did_document_invalid")
        assert "seen before" in error.message
        log.add(document_at(log.did, KEY_1, KEY_2), controller=CONTROLLER)
        publish(here, log)
        await refused(gatherer.document(log.did, 300), "did_document_invalid")
        assert await gatherer.document(log.did) is kept
        log.entries = full
        publish(here, log)
        assert await gatherer.document(log.did, 300) == kept


@pytest.mark.parametrize("ttl", [0, 1, 9])
async def test_a_controller_does_not_have_each_message_fetch_its_history(ttl: int) -> None:
    """HIRE-WVH-10: a long one is the work of a tenth of a second, and with a `ttl` of none each message caused it."""
    clock = Seconds()
    async with site() as here, recalling(clock) as gatherer:
        log = log_at(here, ttl=ttl)
        for _ in range(11):
            await gatherer.document(log.did)
            clock.at += 1
        assert len(here.requests) == 1
        await gatherer.document(log.did)
        await gatherer.document(log.did, 0)
        assert len(here.requests) == 3


async def test_what_is_long_is_read_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step of it: a log of half a megabyte that is not in canonical form takes a tenth of a second to read."""
    read, where = webvh.read_log, list[bool]()

    def reading(raw: bytes) -> Any:
        where.append(threading.current_thread() is threading.main_thread())
        return read(raw)

    monkeypatch.setattr(webvh, "read_log", reading)
    async with site() as here, recalling(Seconds()) as gatherer:
        log = log_at(here)
        assert (await gatherer.document(log.did)).id == log.did
    assert where == [False] * len(where)
    assert where


@pytest.mark.parametrize(("ttl", "fetched"), [(0, 3), (100, 2), (86_400, 1)])
async def test_a_controller_says_how_long_its_document_is_remembered(ttl, fetched) -> None:
    """HIRE-WVH-10: never longer than the caller allows."""
    clock = Seconds()
    async with site() as here, recalling(clock) as gatherer:
        log = log_at(here, ttl=ttl)
        for later in (0, 100, 101):
            clock.at += later
            await gatherer.document(log.did)
        assert len(here.requests) == fetched
        clock.at += 3600
        await gatherer.document(log.did)
        assert len(here.requests) == fetched + 1


async def test_a_deactivated_did_stays_so() -> None:
    """HIRE-WVH-09: what was remembered is no longer given, and the log without its end is refused."""
    clock = Seconds()
    async with site() as here, recalling(clock) as gatherer:
        log = log_at(here)
        await gatherer.document(log.did)
        log.add(document_at(log.did), controller=CONTROLLER, deactivated=True, updateKeys=[])
        publish(here, log)
        clock.at += 400
        await refused(gatherer.document(log.did, 300), "did_deactivated")
        await refused(gatherer.document(log.did), "did_deactivated")
        assert len(here.requests) == 2
        history = await gatherer.history(log.did)
        assert history.at("2026-11-02T00:00:00Z").methods("assertionMethod") == (f"{log.did}#key-1",)
        del log.entries[1:]
        publish(here, log)
        clock.at += 400
        await refused(gatherer.document(log.did, 300), "did_document_invalid")
        await refused(gatherer.history(here.did), "did_unresolvable")


async def test_a_did_that_moved_is_found_where_it_is_now() -> None:
    """HIRE-WVH-12: by the operator's word, checked against the history; the former place is not asked."""
    async with site() as former_place, site() as here:
        log = Log(f"localhost%3A{former_place.port}", controller=CONTROLLER, key=KEY_1, portable=True)
        former, latest = log.did, f"did:webvh:{log.scid}:localhost%3A{here.port}"
        publish(former_place, log)
        clock = Seconds()
        moved: dict[str, str] = {}
        async with recalling(clock, moved=moved) as gatherer:
            assert (await gatherer.document(former)).methods("authentication") == (f"{former}#key-1",)
            log.add(document_at(latest, KEY_2, also=(former,)), controller=CONTROLLER)
            publish(here, log)
            former_place.serves(b"", status="302 Found", fields=f"Location: {here.url('/.well-known/did.jsonl')}\r\n")
            clock.at += 400
            # A redirect is not followed, and nobody else's word is taken.
            await refused(gatherer.document(former, 300), "did_unresolvable")
            assert (await gatherer.document(latest)).id == latest
            await refused(gatherer.document(former, 300), "did_unresolvable")
            asked = len(former_place.requests)
            moved[former] = latest
            document = await gatherer.document(former, 300)
            assert document.id == former
            assert document.methods("authentication") == (f"{former}#key-2",)
            assert len(former_place.requests) == asked
            # Another history with both names, made with a key that was known before, is none that continues it.
            del log.entries[1:]
            log.add(document_at(latest, KEY_1, also=(former,)), controller=CONTROLLER)
            publish(here, log)
            clock.at += 400
            await refused(gatherer.document(former, 300), "did_document_invalid")
        strangers = {former: f"did:webvh:{log.scid}:localhost%3A{former_place.port}:other", here.did: latest}
        async with recalling(clock, moved=strangers) as gatherer:
            await refused(gatherer.document(former), "did_unresolvable")
            await refused(gatherer.document(here.did), "did_unresolvable")
        other = Log(f"localhost%3A{here.port}", controller=CONTROLLER, key=KEY_2)
        publish(here, other)
        async with recalling(clock, moved={former: other.did}) as gatherer:
            await refused(gatherer.document(former), "did_document_invalid")


# --- a universal resolver -------------------------------------------------------------------------------------------


def answers(document: object, **metadata: object) -> bytes:
    return json.dumps({"didDocument": document, "didDocumentMetadata": metadata}).encode()


async def test_a_resolver_is_asked_about_other_methods_alone() -> None:
    """HIRE-DID-09: what is implemented here is resolved here."""
    async with site() as resolver, site() as here:
        async with recalling(Seconds(), resolver=f"{resolver.url('/')}") as gatherer:
            resolver.serves(answers(json.loads(document_of("did:example:globex:a%2Fb"))))
            document = await gatherer.document("did:example:globex:a%2Fb")
            assert document.id == "did:example:globex:a%2Fb"
            assert document.methods("authentication") == ("did:example:globex:a%2Fb#key-1",)
            assert resolver.requests[0].startswith(b"GET /1.0/identifiers/did:example:globex:a%252Fb HTTP/1.1")
            resolver.serves(document_of("did:example:plain"))
            assert (await gatherer.document("did:example:plain")).id == "did:example:plain"
            asked = len(resolver.requests)
            for did in (here.did, "did:web:localhost%3A1", "did:webvh:x", "did:jwk:x", "did:key:x"):
                with pytest.raises(UndersignedError):
                    await gatherer.document(did)
            assert len(resolver.requests) == asked
        async with gathering() as gatherer:
            await refused(gatherer.document("did:example:globex"), "did_unresolvable")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (answers({"id": "did:example:other"}), "did_document_invalid"),
        (answers({"id": "did:example:Globex"}), "did_document_invalid"),
        (answers(None), "did_unresolvable"),
        (answers({"id": "did:example:globex"}, deactivated=True), "did_deactivated"),
        (answers({"id": "did:example:globex"}, deactivated="true"), "did_deactivated"),
        (b'{"id":"did:example:other"}', "did_document_invalid"),
        (b"{}", "did_document_invalid"),
        (b"[]", "did_document_invalid"),
        (b"", "did_document_invalid"),
        (b" " * 65_537, "did_unresolvable"),
    ],
)
async def test_what_a_resolver_says_is_checked(body, code) -> None:
    """HIRE-DID-09."""
    async with site() as resolver, recalling(Seconds(), resolver=resolver.url("")) as gatherer:
        resolver.serves(body)
        await refused(gatherer.document("did:example:globex"), code)


async def test_a_resolver_is_fetched_from_like_anybody() -> None:
    """HIRE-DID-09: neither at home nor by redirect."""
    async with site() as resolver, gathering(local=False) as gatherer:
        gatherer._resolver = f"https://127.0.0.1:{resolver.port}"
        await refused(gatherer.document("did:example:globex"), "did_forbidden_address")
        gatherer._resolver = resolver.url("")
        await refused(gatherer.document("did:example:globex"), "did_forbidden_address")
    async with site() as resolver, recalling(Seconds(), resolver=resolver.url("")) as gatherer:
        resolver.serves(b"", status="302 Found", fields="Location: https://example.com/\r\n")
        await refused(gatherer.document("did:example:globex"), "did_unresolvable")


class Narrow(Gatherer):
    """One whose machine keeps few of the bytes that a server does not take."""

    def _socket(self, where) -> socket.socket:
        found = super()._socket(where)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        return found


async def test_a_server_that_reads_nothing_holds_up_no_close(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is still to be written may never leave."""
    monkeypatch.setattr("undersigned.runtime.fetching.fetcher.CLOSE_SECONDS", 0.05)
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.setblocking(False)
        url = f"http://localhost:{listening.getsockname()[1]}/"
        gatherer = Narrow(local=True)
        asking = gatherer.exchange("POST", url, max_bytes=1024, timeout_seconds=600, body=bytes(1024 * 1024))
        task = asyncio.create_task(asking)
        taken, _ = await asyncio.get_running_loop().sock_accept(listening)
        with taken:
            assert await asyncio.get_running_loop().sock_recv(taken, 1)
            await gatherer.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
