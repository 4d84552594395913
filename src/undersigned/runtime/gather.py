"""Fetches what a check needs from outside: DID documents, and whatever else a DID or credential points to.

What is fetched is named by strangers. So only https is used (http to loopback in local state), only to addresses that
may be dialled (`transport/addresses.py` judges the address, not the name), redirects are not followed, nothing is
inflated, and size, time and the number of hosts are bounded. Nothing is sent but the request itself: no cookies, no
credentials, no proxy from the environment.

Source: protocol-spec/02-identity-and-keys.md, section 2.2
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from ssl import SSLContext
from typing import Any, Final

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from undersigned.did import DidDocument, document_from, fetches
from undersigned.encoding import Did
from undersigned.errors import CODES, ResolutionError, UndersignedError, VerificationError
from undersigned.transport import addresses_of, is_loopback_name, is_odd_number, may_dial

__all__ = ["Gatherer", "GathererLimits"]

_READ_BYTES: Final = 16 * 1024
KEEP_SECONDS: Final = 15.0
"""How long a connection to a checked address waits for the next request."""


class GathererLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of everything that is fetched."""

    document_bytes: int = 64 * 1024
    seconds: float = 5.0
    """For one DID document, and for all of one gathering together."""
    hosts: int = 8
    """Different hosts that one gathering may lead to."""
    connections: int = 32
    """At the same time, of all gatherings."""
    cached: int = 4096
    """DID documents remembered."""


class _GuardedResolver(AbstractResolver):
    """Gives aiohttp only addresses that may be dialled; it dials what it is given and asks nobody else."""

    def __init__(self, local: bool) -> None:
        self._local = local

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await addresses_of(host, port, local=self._local)
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


class Gatherer:
    """Fetches and remembers. One per peer; `close` it at the end.

    `local` is for state made for one machine: `http://localhost:PORT` and `http://127.0.0.1:PORT` are fetched, too.
    `clock` gives seconds and does not run back. `ssl` replaces the system's certificate authorities.
    """

    def __init__(
        self,
        *,
        local: bool = False,
        limits: GathererLimits | None = None,
        ssl: SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.local = local
        self.limits = limits or GathererLimits()
        self._ssl = ssl
        self._clock = clock
        self._documents: OrderedDict[Did, tuple[float, DidDocument]] = OrderedDict()
        self._under_way: dict[Did, asyncio.Task[DidDocument]] = {}
        self._session: ClientSession | None = None

    async def fetch(
        self,
        url: str,
        *,
        max_bytes: int | None = None,
        timeout_seconds: float | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> bytes:
        """The bytes at `url`, at most `max_bytes` (default `document_bytes`), within `timeout_seconds`
        (default `seconds`) from the first look-up to the last byte.

        Raises:
            ResolutionError: `did_forbidden_address`, the URL or every address of its host is one that is not dialled;
                `did_unresolvable`, anything else but 200 and whole, plain bytes, redirects included. `detail` has the
                `status` of an answer that is not 200, as `told` the code of one of ours, and `unfit` if an answer of
                200 was too long or encoded.
        """
        limit = self.limits.document_bytes if max_bytes is None else max_bytes
        seconds = self.limits.seconds if timeout_seconds is None else timeout_seconds
        target = self._checked(url)
        try:
            async with asyncio.timeout(seconds):
                return await self._read(target, limit, headers)
        except TimeoutError as exc:
            raise ResolutionError("did_unresolvable", f"{url} did not answer within {seconds:g} s") from exc
        except (ClientError, OSError, ValueError) as exc:
            raise _forbidden(exc) or ResolutionError("did_unresolvable", f"{url} was not fetched: {exc}") from exc

    def _checked(self, url: str) -> URL:
        """The URL as aiohttp will use it, if its form may be used at all; the address is checked when it is dialled."""
        parsed = _parse(url)
        host = parsed.raw_host or ""
        plain = parsed.scheme == "http" and self.local and is_loopback_name(host)
        if parsed.scheme != "https" and not plain:
            raise ResolutionError("did_forbidden_address", f"{url} is not https")
        if parsed.user is not None or parsed.password is not None:
            raise ResolutionError("did_forbidden_address", f"{url} carries credentials")
        if is_odd_number(host):
            raise ResolutionError("did_forbidden_address", f"the host of {url} is a number, and not a name")
        return parsed

    async def _read(self, url: URL, limit: int, headers: tuple[tuple[str, str], ...] = ()) -> bytes:
        session = self._open_session()
        async with session.get(url, allow_redirects=False, headers=headers) as response:
            if response.status != 200:
                told = _told(await response.content.read(256))
                raise ResolutionError(
                    "did_unresolvable", f"{url} answered {response.status} {told}", status=response.status, told=told
                )
            # A body that has to be inflated first can be a thousand times what was read; we asked for none.
            if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
                text = f"{url} is encoded though that was not asked for"
                raise ResolutionError("did_unresolvable", text, unfit=True)
            body = bytearray()
            async for chunk in response.content.iter_chunked(_READ_BYTES):
                body += chunk
                if len(body) > limit:
                    raise ResolutionError("did_unresolvable", f"{url} is longer than {limit} bytes", unfit=True)
            return bytes(body)

    def _open_session(self) -> ClientSession:
        if self._session is None:
            self._session = ClientSession(
                connector=TCPConnector(
                    resolver=_GuardedResolver(self.local),
                    socket_factory=self._socket,
                    # aiohttp would remember addresses beyond the check that let them pass.
                    use_dns_cache=False,
                    keepalive_timeout=KEEP_SECONDS,
                    limit=self.limits.connections,
                    ssl=self._ssl if self._ssl is not None else True,
                ),
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

    async def document(self, did: Did, max_age_seconds: float = 3600.0) -> DidDocument:
        """The DID document of `did`, fetched at most `max_age_seconds` ago.

        Many callers at once cause one fetch. A failure is not remembered, nor does it replace what is: who can live
        with an older document asks with a larger `max_age_seconds`.

        Raises:
            ResolutionError: `did_unresolvable`, `did_forbidden_address`.
            VerificationError: `did_document_invalid`, `key_weak`.
        """
        kept = self._documents.get(did)
        if kept is not None and self._clock() - kept[0] <= max_age_seconds:
            self._documents.move_to_end(did)
            return kept[1]
        under_way = self._under_way.get(did)
        if under_way is None:
            under_way = asyncio.get_running_loop().create_task(self._resolve(did))
            self._under_way[did] = under_way
            under_way.add_done_callback(lambda done: self._resolved(did, done))
        # A caller that gives up must not take the answer from the others.
        return await asyncio.shield(under_way)

    async def documents(self, dids: Iterable[Did], max_age_seconds: float = 3600.0) -> dict[Did, DidDocument]:
        """The DID documents of `dids`, all or none, as `document`; together they lead to at most `hosts` hosts.

        Raises:
            ResolutionError: As `document`; `did_unresolvable`, too many hosts.
            VerificationError: As `document`.
        """
        wanted = tuple(dict.fromkeys(dids))
        hosts = {_parse(url).authority for did in wanted for url in fetches(did, local=self.local)}
        if len(hosts) > self.limits.hosts:
            raise ResolutionError("did_unresolvable", f"{len(hosts)} hosts are more than {self.limits.hosts}")
        try:
            async with asyncio.timeout(self.limits.seconds):
                found = await asyncio.gather(
                    *(self.document(did, max_age_seconds) for did in wanted), return_exceptions=True
                )
        except TimeoutError as exc:
            raise ResolutionError("did_unresolvable", f"not resolved within {self.limits.seconds:g} s") from exc
        documents: dict[Did, DidDocument] = {}
        for did, document in zip(wanted, found, strict=True):
            if isinstance(document, BaseException):
                raise document
            documents[did] = document
        return documents

    async def _resolve(self, did: Did) -> DidDocument:
        fetched: dict[str, bytes] = {}
        started = self._clock()
        for url in fetches(did, local=self.local):
            fetched[url] = await self.fetch(url)
        try:
            document = document_from(did, fetched)
        except UndersignedError:
            raise
        except (ValueError, TypeError, RecursionError) as exc:
            raise VerificationError("did_document_invalid", f"the document of {did} was not understood") from exc
        # The time before the fetch, so that the age is never less than it really is.
        self._documents[did] = (started, document)
        self._documents.move_to_end(did)
        if len(self._documents) > self.limits.cached:
            self._documents.popitem(last=False)
        return document

    def _resolved(self, did: Did, done: asyncio.Task[DidDocument]) -> None:
        del self._under_way[did]
        if not done.cancelled():
            # Somebody may have stopped waiting; asking for the exception keeps the loop from reporting it as lost.
            done.exception()

    async def close(self) -> None:
        """Ends what is under way. Afterwards only what is remembered is given."""
        tasks = tuple(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None


def _told(body: bytes) -> str:
    """The error code in an answer of ours, `{"code": …}`, if it is one that we know; else nothing."""
    try:
        code = msgspec.json.decode(body, type=dict[str, str]).get("code", "")
    except msgspec.MsgspecError:
        return ""
    return code if code in CODES else ""


def _parse(url: str) -> URL:
    """`url` as aiohttp reads it, so that what is checked is what is used."""
    try:
        parsed = URL(url)
        host = parsed.raw_host
    except ValueError as exc:
        raise ResolutionError("did_unresolvable", f"not a URL: {url!r}") from exc
    if not host:
        raise ResolutionError("did_unresolvable", f"no host in {url!r}")
    return parsed


def _forbidden(exc: BaseException) -> ResolutionError | None:
    """The guard's refusal, if that is what aiohttp wrapped."""
    inner: BaseException | None = exc
    while inner is not None:
        if isinstance(inner, ResolutionError):
            return inner
        inner = inner.__cause__ or inner.__context__
    return None
