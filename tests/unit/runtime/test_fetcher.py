"""What is fetched from servers that strangers name, SC-05 to SC-07: who is dialled, and what counts as an answer."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading

import pytest

from integration.hires import until
from undersigned.errors import ResolutionError
from undersigned.runtime.fetching.fetcher import strangers
from undersigned.runtime.fetching.gather import Gatherer
from undersigned.transport import addresses_of, dial, is_https_base, may_dial
from undersigned.transport.names import LOOKUPS, LOOKUPS_FOR_ONE, OWN_LOOKUPS, STRANGERS_LOOKUPS, _under_way
from unit.runtime.sites import document_of, gathering, refused, site


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_may_be_dialled(address) -> None:
    assert may_dial(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.255.255", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255",
        "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.127.255.255", "224.0.0.1", "239.1.1.1", "240.0.0.1",
        "255.255.255.255", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "192.0.0.1",
        "192.0.0.8", "192.0.0.192", "192.88.99.1", "3fff::1",
        "::", "::1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
        "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:7f00:1::", "2001:db8::1",
        "100::1", "", "localhost", "1.1.1", "01.1.1.1",
    ],
)  # fmt: skip
def test_sc_05_addresses_that_are_not_dialled(address) -> None:
    """HIRE-DID-05, in every spelling."""
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
                await refused(addresses_of("more.slow.example", 443, whose=f"peer {peer}"), "unreachable")
            assert await asyncio.to_thread(lambda: 1) == 1
            await refused(addresses_of("localhost", 443, whose="somebody else"), "did_forbidden_address")
            others = LOOKUPS - OWN_LOOKUPS - 4 * LOOKUPS_FOR_ONE
            for number in range(others):
                asked = asyncio.create_task(addresses_of("a.slow.example", 443, whose=f"one of many {number}"))
                await asyncio.sleep(0)
                asked.cancel()
            await refused(addresses_of("localhost", 443, whose="somebody else"), "unreachable")
            await refused(addresses_of("localhost", 443), "did_forbidden_address")
    finally:
        answers.set()
    await until(lambda: not _under_way)
    await refused(addresses_of("more.slow.example", 443, whose="peer 1"), "unreachable")
    assert begun.acquire(blocking=False)


async def test_strangers_of_many_places_leave_names_to_peers(monkeypatch) -> None:
    """HIRE-LIM-02: whoever has an IPv6 network comes from as many places as it likes."""
    usual, answers = socket.getaddrinfo, threading.Event()

    def getaddrinfo(host, port, **options):
        if not str(host).endswith(".slow.example"):
            return usual(host, port, **options)
        answers.wait()
        raise OSError("no answer")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    try:
        async with asyncio.timeout(10):
            for number in range(STRANGERS_LOOKUPS):
                asked = asyncio.create_task(
                    addresses_of("a.slow.example", 443, whose=strangers(f"2001:db8:{number}::"))
                )
                await asyncio.sleep(0)
                asked.cancel()
            await refused(addresses_of("localhost", 443, whose=strangers("203.0.113.9")), "unreachable")
            await refused(addresses_of("localhost", 443, whose="did:web:acme.example"), "did_forbidden_address")
    finally:
        answers.set()
    await until(lambda: not _under_way)


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


async def test_an_address_is_dialled_as_what_it_is() -> None:
    """Brackets are of URLs, and what has colons is no IPv4."""
    assert await addresses_of("[2606:4700::1]", 443) == ((socket.AF_INET6, "2606:4700::1"),)
    assert await addresses_of("8.8.8.8", 443) == ((socket.AF_INET, "8.8.8.8"),)


async def test_sc_05_a_name_is_asked_for_again_each_time(monkeypatch) -> None:
    """Rebinding: a first, harmless answer opens no door for a second one."""
    async with gathering(local=False) as gatherer:
        asked = answering(monkeypatch, ["127.0.0.1"], ["127.0.0.1"])
        for _ in range(2):
            await refused(gatherer.fetch("https://rebind.example/"), "did_forbidden_address")
        assert len(asked) == 2


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://acme.example/", "did_forbidden_address"),
        ("ftp://localhost/", "did_forbidden_address"),
        ("file:///etc/passwd", "unreachable"),
        ("https://user:secret@acme.example/", "did_forbidden_address"),
        ("https://user@acme.example/", "did_forbidden_address"),
        ("https://:secret@acme.example/", "did_forbidden_address"),
        ("https:///x", "unreachable"),
        ("https://acme.example:99999/", "unreachable"),
        ("https://[/", "unreachable"),
        ("", "unreachable"),
    ],
)
async def test_sc_05_other_urls_are_not_fetched(url, code) -> None:
    async with gathering(local=False) as gatherer:
        await refused(gatherer.fetch(url), code)


@pytest.mark.parametrize(
    ("url", "local", "stands"),
    [
        ("https://acme.example", False, True),
        ("https://acme.example:8443/a/", False, True),
        ("https://acme.example/?q", False, False),
        ("https://acme.example/#a", False, False),
        ("https:///a", False, False),
        ("http://acme.example", True, False),
        ("http://127.0.0.1:80", False, False),
        ("http://127.0.0.1:80", True, True),
        ("ftp://acme.example", True, False),
        ("https://acme.example:0", True, False),
        ("https://acme.example\n", True, False),
        (" https://acme.example", False, False),
        ("https://ann:secret@acme.example", False, False),
    ],
)
def test_other_urls_stand_below_https_without_more(url: str, local: bool, stands: bool) -> None:
    assert is_https_base(url, local) is stands


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
        with pytest.raises(ResolutionError, match=rf"answered {status[:3]}; no redirect is followed$") as caught:
            await gatherer.document(here.did)
        assert caught.value.code == "did_unresolvable"
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
        await refused(gatherer.fetch(here.url()), "unreachable")


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
    for count, code in ((3, ""), (100, "unreachable")):
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
        await refused(gatherer.fetch(here.url()), "unreachable")


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
        await gatherer.fetch(here.url(target))
        (head,) = here.requests
        assert head.count(b"\r\nHost:") == 1
        assert head.split(b"\r\n")[0].count(b" ") == 2


async def test_the_limit_is_inclusive_and_can_be_given() -> None:
    async with site() as here, gathering(document_bytes=100) as gatherer:
        here.serves(b"x" * 101)
        await refused(gatherer.fetch(here.url()), "unreachable")
        assert len(await gatherer.fetch(here.url(), max_bytes=101)) == 101
        here.serves(b"x" * 100)
        assert len(await gatherer.fetch(here.url())) == 100


async def test_nobody_listening_is_unreachable() -> None:
    async with gathering() as gatherer:
        await refused(gatherer.fetch("http://localhost:1/"), "unreachable")


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
