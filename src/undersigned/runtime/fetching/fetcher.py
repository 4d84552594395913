"""Fetches from servers that strangers name.

Only https is used (http to loopback in local state), only addresses that may be dialled (`transport/addresses.py`
judges the address, not the name), redirects are not followed, nothing is inflated, and size, time and the number of
hosts are bounded. Nothing is sent but the request itself: no cookies, no credentials, no proxy from the environment.

Source: protocol-spec/02-identity-and-keys.md, section 2.2
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from contextvars import ContextVar
from functools import partial
from ssl import SSLContext
from typing import Any, Final, NamedTuple, Self
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import msgspec
from aiohttp import ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from undersigned.encoding import Instant
from undersigned.errors import ResolutionError
from undersigned.runtime.clock import SystemClock
from undersigned.transport import STRANGERS, addresses_of, is_loopback_name, is_odd_number, may_dial

from .bodies import (
    FAILURES,
    Body,
    BodyTransfer,
    FinalAnswer,
    answered,
    code_told,
    failed,
    not_fetched,
    require_plain,
)

__all__ = ["FetchAnswer", "Fetcher", "GathererLimits", "asker", "looked_up_for", "parse_url", "strangers"]

_READ_BYTES: Final = 16 * 1024
CLOSE_SECONDS: Final = 2.0
"""For what was written to leave, when this side closes."""
KEEP_SECONDS: Final = 15.0
"""How long a connection to a checked address waits for the next request."""
_VISIBLE: Final = re.compile(r"[!-~]+")
"""What may stand in a request as it is: no space, no control character, ASCII."""
_OWN: Final = ""
_asker: Final[ContextVar[str]] = ContextVar("asker", default=_OWN)


def asker() -> str:
    """The peer for whose sake something is looked up here, or where strangers are; empty: for our own."""
    return _asker.get()


def strangers(place: str) -> str:
    """The name under which all strangers of one place count together."""
    return f"{STRANGERS}{place}"


class looked_up_for:
    """What is looked up inside is named by what `peer` said, a DID or the place of a stranger, and counts as its: if
    nothing answers, it waits alone. To be entered once; by hand, since every message comes by.
    """

    __slots__ = ("_before", "_peer")

    def __init__(self, peer: str) -> None:
        self._peer = peer

    def __enter__(self) -> None:
        self._before = _asker.set(self._peer)

    def __exit__(self, *_: object) -> None:
        _asker.reset(self._before)


class GathererLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of everything that is fetched."""

    document_bytes: int = 64 * 1024
    history_bytes: int = 512 * 1024
    """Of each file of a DID whose method keeps its history."""
    seconds: float = 5.0
    """For one DID document, and for all of one gathering together."""
    hosts: int = 8
    """Different hosts that one gathering may lead to."""
    connections: int = 32
    """At the same time, of all gatherings."""
    per_asker: int = 4
    """Of those that one peer, or strangers of one place, had us make, or whoever names slow hosts would take all."""
    strangers: int = 16
    """Of those for strangers of all places together: an IPv6 network has as many places as look-ups are made."""
    transfers: int = 256
    """Beside them, for long bodies and for what work asks of its hirer's servers, which may come as slowly as is borne:
    no document waits for those.
    """
    per_host: int = 24
    """Of both together, at the same time to one host: fewer than a peer lets in from one address, so that one who hires
    it many times at once is not refused as a flood.
    """
    transfers_per_host: int = 16
    cached: int = 4096
    """DID documents remembered."""
    cached_bytes: int = 64 * 1024 * 1024
    """Bytes of all that is remembered: a history may be as long as hundreds of documents."""


class FetchAnswer(NamedTuple):
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    """By name in lower case; of a field that stands twice the last one."""
    body: bytes


class _GuardedResolver(AbstractResolver):
    """Gives aiohttp only addresses that may be dialled; it dials what it is given and asks nobody else."""

    def __init__(self, local: bool) -> None:
        self._local = local

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await addresses_of(host, port, local=self._local, whose=asker())
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=kind,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, address in found
        ]

    async def close(self) -> None:
        """Nothing is held."""


class Fetcher:
    """Makes requests, one at a time or many; `close` it at the end.

    `local` is for state made for one machine: `http://localhost:PORT` and `http://127.0.0.1:PORT` are fetched, too.
    `now` gives the present instant. `ssl` replaces the system's certificate authorities.
    """

    def __init__(
        self,
        *,
        local: bool,
        limits: GathererLimits | None,
        ssl: SSLContext | None,
        now: Callable[[], Instant] | None,
    ) -> None:
        self.local = local
        self.limits = limits or GathererLimits()
        self._ssl = ssl
        self._now = now or SystemClock().now
        self._times: OrderedDict[str, tuple[str, Instant]] = OrderedDict()
        """What servers said of the time when they last answered, and our time then; read only where it is asked for."""
        self._session: ClientSession | None = None
        self._closed = False
        self._lookups = asyncio.Semaphore(self.limits.connections)
        self._lookups_of_strangers = asyncio.Semaphore(self.limits.strangers)
        self._lookups_for: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._transfers = asyncio.Semaphore(self.limits.transfers)
        self._transfers_from: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def fetch(
        self,
        url: str,
        *,
        max_bytes: int | None = None,
        timeout_seconds: float | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes | None = None,
    ) -> bytes:
        """The bytes at `url`, at most `max_bytes` (default `document_bytes`), within `timeout_seconds`
        (default `seconds`) from the first look-up to the last byte. With a `body`, of the answer to posting it.

        Raises:
            ResolutionError: `did_forbidden_address`, the URL or every address of its host is one that is not dialled.
            TransportError: `unreachable`, anything else but 200 and whole, plain bytes, redirects included; of 429 and
                503 `overloaded`. `detail` has the `status` of an answer that is not 200, as `told` the code of one of
                ours, and `unfit` if an answer of 200 was too long or encoded.
        """
        limit = self.limits.document_bytes if max_bytes is None else max_bytes
        seconds = self.limits.seconds if timeout_seconds is None else timeout_seconds
        method = "GET" if body is None else "POST"
        answer = await self._bounded(url, seconds, lambda target: self._ask(method, target, limit, headers, body))
        if answer.status != 200:
            told = code_told(answer.body[:256])
            text = answered(url, answer.status, told)
            raise not_fetched(text, status=answer.status, told=told)
        return answer.body

    async def exchange(
        self,
        method: str,
        url: str,
        *,
        max_bytes: int,
        timeout_seconds: float,
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes | None = None,
        transfer: bool = False,
    ) -> FetchAnswer:
        """The whole answer to a request, whatever its status; a redirect is not followed. As a `transfer` it takes none
        of the places of look-ups.

        Raises:
            ResolutionError, TransportError: As `fetch`, without the status.
        """
        return await self._bounded(
            url,
            timeout_seconds,
            lambda target: self._ask(method, target, max_bytes, headers, body, whole=True, transfer=transfer),
        )

    def open(
        self,
        url: str,
        *,
        max_bytes: int,
        timeout_seconds: float,
        start: int = 0,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> AbstractAsyncContextManager[Body]:
        """The body at `url`, from byte `start` on if the server can; nobody holds more of it than a few chunks.
        `timeout_seconds` are for the answer to begin, and then for each 64 KiB to come.

        Raises:
            FormatError: `too_large`: the server says that it is more than `max_bytes`; whoever reads the chunks counts.
            ResolutionError: As `fetch`.
            TransportError: As `fetch`; while chunks are read `connection_closed`, with `cut` in `detail`.
        """
        target = self._checked(url)
        asked = (*headers, ("Range", f"bytes={start}-")) if start else headers

        def ask() -> Awaitable[ClientResponse]:
            return self._open_session().get(target, allow_redirects=False, headers=asked)

        # Whoever waits for a slow host takes no place from the others.
        places = self._place_at(target.raw_authority), self._transfers
        refused = partial(self._note_time, target.authority)
        return BodyTransfer(ask, places, url, start, max_bytes, timeout_seconds, refused)

    @asynccontextmanager
    async def _lookup(self, peer: str) -> AsyncGenerator[None]:
        of_strangers = self._lookups_of_strangers if peer.startswith(STRANGERS) else nullcontext()
        async with self._place_for(peer), of_strangers, self._lookups:
            yield

    @asynccontextmanager
    async def _transfer(self, host: str) -> AsyncGenerator[None]:
        async with self._place_at(host), self._transfers:
            yield

    def _place_for(self, peer: str) -> AbstractAsyncContextManager[Any]:
        if peer == _OWN:
            return nullcontext()
        places = self._lookups_for.get(peer)
        if places is None:
            places = self._lookups_for[peer] = asyncio.Semaphore(self.limits.per_asker)
        return places

    def _place_at(self, host: str) -> asyncio.Semaphore:
        places = self._transfers_from.get(host)
        if places is None:
            places = self._transfers_from[host] = asyncio.Semaphore(self.limits.transfers_per_host)
        return places

    async def _bounded(self, url: str, seconds: float, ask: Callable[[URL], Awaitable[FetchAnswer]]) -> FetchAnswer:
        target = self._checked(url)
        try:
            async with asyncio.timeout(seconds):
                return await ask(target)
        except FAILURES as exc:
            raise failed(exc, url, seconds) from exc

    def _checked(self, url: str) -> URL:
        """The URL as aiohttp will use it, if its form may be used at all; the address is checked when it is dialled."""
        parsed = parse_url(url)
        host = parsed.raw_host or ""
        plain = parsed.scheme == "http" and self.local and is_loopback_name(host)
        if parsed.scheme != "https" and not plain:
            raise ResolutionError("did_forbidden_address", f"{url} is not https")
        if parsed.user is not None or parsed.password is not None:
            raise ResolutionError("did_forbidden_address", f"{url} carries credentials")
        if is_odd_number(host):
            raise ResolutionError("did_forbidden_address", f"the host of {url} is a number, and not a name")
        return parsed

    async def _ask(
        self,
        method: str,
        url: URL,
        limit: int,
        headers: tuple[tuple[str, str], ...],
        body: bytes | None,
        *,
        whole: bool = False,
        transfer: bool = False,
    ) -> FetchAnswer:
        """The answer; if `whole` says so, with its headers, and all of one that is not 200, too."""
        async with (
            self._transfer(url.raw_authority) if transfer else self._lookup(asker()),
            self._open_session().request(method, url, allow_redirects=False, headers=headers, data=body) as response,
        ):
            self._note_time(url.authority, response.headers)
            fields = {name.lower(): value for name, value in response.headers.items()} if whole else {}
            if response.status != 200 and not whole:
                return FetchAnswer(response.status, fields, await response.content.read(256))
            require_plain(response, url)
            read = bytearray()
            while chunk := await response.content.readany():
                read += chunk
                if len(read) > limit:
                    raise not_fetched(f"{url} is longer than {limit} bytes", unfit=True)
            return FetchAnswer(response.status, fields, bytes(read))

    def _note_time(self, host: str, fields: Mapping[str, str]) -> None:
        """Keeps what a server calls the time, beside ours; what a cache answered says nothing."""
        if "Date" in fields and "Age" not in fields:
            self._times.pop(host, None)
            self._times[host] = fields["Date"][:64], self._now()
            while len(self._times) > self.limits.cached:
                self._times.popitem(last=False)

    def _open_session(self) -> ClientSession:
        if self._closed:
            raise not_fetched("this side is closing, and fetches nothing more")
        if self._session is None:
            self._session = ClientSession(
                connector=TCPConnector(
                    resolver=_GuardedResolver(self.local),
                    socket_factory=self._socket,
                    # aiohttp would remember addresses beyond the check that let them pass.
                    use_dns_cache=False,
                    keepalive_timeout=KEEP_SECONDS,
                    limit=self.limits.connections + self.limits.transfers,
                    limit_per_host=self.limits.per_host,
                    ssl=self._ssl if self._ssl is not None else True,
                ),
                response_class=FinalAnswer,
                cookie_jar=DummyCookieJar(),
                headers={"Accept-Encoding": "identity", "User-Agent": "hire"},
                auto_decompress=False,
                trust_env=False,
                read_bufsize=_READ_BYTES,
                timeout=ClientTimeout(total=None),
            )
        return self._session

    def _socket(self, where: tuple[Any, ...]) -> socket.socket:
        """A socket for the address that aiohttp is about to dial: the last check, which nothing gets around.

        A host that is an address already is never shown to the resolver.
        """
        family, kind, proto, _, address = where
        if not may_dial(address[0]) and not (self.local and address[0] == "127.0.0.1"):
            refusal = ResolutionError("did_forbidden_address", f"{address[0]} is not dialled")
            raise PermissionError(str(refusal)) from refusal
        return socket.socket(family, kind, proto)

    def reopen(self) -> None:
        """After `close`, lets it fetch again."""
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends what is under way; nothing more is fetched until it is opened again."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            # It waits until all that was written has left, and a server need not take it.
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await session.close()


def parse_url(url: str) -> URL:
    """`url` as aiohttp reads it, so that what is checked is what is used. Path and query stay as they are spelled: a
    signature covers that spelling.
    """
    try:
        parsed = URL(url)
        host = parsed.raw_host
        # What reads as it is written need not be put together again.
        if str(parsed) != url and _VISIBLE.fullmatch(url):
            spelled = urlsplit(url)
            query = f"?{spelled.query}" if spelled.query else ""
            parsed = URL(f"{parsed.scheme}://{parsed.raw_authority}{spelled.path or '/'}{query}", encoded=True)
    except ValueError as exc:
        raise not_fetched(f"not a URL: {url!r}") from exc
    if not host:
        raise not_fetched(f"no host in {url!r}")
    return parsed
