"""A body that is fetched: from its request to its last chunk, in the time and to the length that it may have.

Source: protocol-spec/02-identity-and-keys.md, section 2.2
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple, Self

import msgspec
from aiohttp import ClientError, ClientPayloadError, ClientResponse
from aiohttp.connector import Connection

from undersigned.errors import CODES, FormatError, ResolutionError, TransportError, UndersignedError
from undersigned.transport import why_unreached

__all__ = [
    "FAILURES",
    "Body",
    "BodyTransfer",
    "FinalAnswer",
    "answered",
    "code_told",
    "failed",
    "not_fetched",
    "require_plain",
]

_MAX_TOLD: Final = 200
"""Characters of what a library says of an answer, which repeats what a stranger sent."""
_WINDOW_BYTES: Final = 64 * 1024
"""So much of a long body has to come within the time that a whole short one has."""
_RANGE: Final = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18})", re.ASCII)
_BUSY: Final = (429, 503)
FAILURES: Final = (TimeoutError, ClientError, OSError, ValueError)
"""What a library raises."""


INTERIM_ANSWERS: Final = 8
"""That a server may give before its answer (`100 Continue`, `103 Early Hints`)."""


class FinalAnswer(ClientResponse):
    """An answer that comes after few interim ones. aiohttp reads those without end, which takes half a core each."""

    async def start(self, connection: Connection) -> ClientResponse:
        """See `ClientResponse.start`."""
        protocol: Any = connection.protocol
        read, left = protocol.read, INTERIM_ANSWERS

        async def counted() -> Any:
            nonlocal left
            if left < 0:
                raise ClientPayloadError(f"expected an answer after at most {INTERIM_ANSWERS} interim ones")
            left -= 1
            return await read()

        protocol.read = counted
        try:
            return await super().start(connection)
        finally:
            del protocol.read


class Body(NamedTuple):
    """A body that is on its way."""

    start: int
    """Which of its bytes comes first: 0, unless another was asked for and the server could."""
    total: int | None
    """How many bytes it has in all, as the server says; None if it does not."""
    chunks: AsyncIterator[bytes]
    """The bytes from there on, as they come."""


class BodyTransfer:
    """What `Gatherer.open` gives: a body from its request to its last chunk. Not made of generators, since the event
    loop keeps a record of each that is begun.
    """

    def __init__(
        self,
        ask: Callable[[], Awaitable[ClientResponse]],
        places: Iterable[asyncio.Semaphore],
        url: str,
        start: int,
        max_bytes: int,
        seconds: float,
        refused: Callable[[Mapping[str, str]], None],
    ) -> None:
        """`ask` sends the request, once there is one of each of `places`; `refused` gets the fields of an answer that
        has no body of what was asked for.
        """
        self._ask, self._places, self._refused = ask, places, refused
        self._url, self._start, self._max_bytes, self._seconds = url, start, max_bytes, seconds
        self._left, self._came = seconds, 0
        self._taken: list[asyncio.Semaphore] = []
        self._response: ClientResponse | None = None

    async def __aenter__(self) -> Body:
        try:
            for places in self._places:
                await places.acquire()
                self._taken.append(places)
            try:
                async with asyncio.timeout(self._seconds):
                    self._response = await self._ask()
                    begins, total = await self._begun(self._response)
            except FAILURES as exc:
                raise failed(exc, self._url, self._seconds) from exc
            if total is not None and total > self._max_bytes:
                raise FormatError("too_large", f"expected at most {self._max_bytes} bytes; {self._url} has {total}")
        except BaseException:
            self._end()
            raise
        return Body(begins, total, self)

    async def __aexit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        if self._response is not None:
            self._response.close()  # of what was read to its end, the connection was given back before
        while self._taken:
            self._taken.pop().release()

    async def _begun(self, response: ClientResponse) -> tuple[int, int | None]:
        """Where the body of an answer begins, and how long the whole is, if it is one that was asked for."""
        if response.status not in (200, 206):
            self._refused(response.headers)
            told = code_told(await response.content.read(256))
            text = answered(self._url, response.status, told)
            raise not_fetched(text, status=response.status, told=told)
        require_plain(response, self._url)
        if response.status == 200:
            return 0, response.content_length
        found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if not self._start or found is None or int(found[1]) != self._start:
            raise not_fetched(f"{self._url} answered with a part that was not asked for")
        return self._start, int(found[2])

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        response = self._response
        if response is None or response.content.at_eof():
            raise StopAsyncIteration  # of what is small nothing is waited for after its first chunk
        try:
            chunk = response.content.read_nowait()
            if not chunk:
                loop = asyncio.get_running_loop()
                began = loop.time()
                async with asyncio.timeout(self._left):
                    chunk = await response.content.readany()
                # What the reader does in between is not the server's time.
                self._left -= loop.time() - began
        except FAILURES as exc:
            raise failed(exc, self._url, self._seconds, cut=True) from exc
        if not chunk:
            raise StopAsyncIteration
        self._came += len(chunk)
        if self._came >= _WINDOW_BYTES:
            self._left, self._came = self._seconds, 0
        return chunk


def require_plain(response: ClientResponse, url: object) -> None:
    """A body that has to be inflated first can be a thousand times what was read; we asked for none."""
    if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise not_fetched(f"{url} is encoded though that was not asked for", unfit=True)


def code_told(body: bytes) -> str:
    """The error code in an answer of ours, `{"code": …}`, if it is one that we know; else nothing."""
    try:
        code = msgspec.json.decode(body, type=dict[str, str]).get("code", "")
    except msgspec.MsgspecError:
        return ""
    return code if code in CODES else ""


def answered(url: str, status: int, told: str) -> str:
    """What a server said that has not given what was asked for, in words."""
    moved = "; no redirect is followed" if 300 <= status < 400 else ""
    return f"{url} answered {status}{f' {told}' if told else ''}{moved}"


def not_fetched(text: str, **detail: Any) -> TransportError:
    """What was asked for did not come: `overloaded`, as the server says; `connection_closed`, it was `cut`;
    `unreachable`, nobody is there, or nothing that serves it.
    """
    code = "connection_closed" if detail.get("cut") else "unreachable"
    if detail.get("status") in _BUSY:
        code = "overloaded"
    return TransportError(code, text, **detail)


def failed(exc: Exception, url: str, seconds: float, *, cut: bool = False) -> UndersignedError:
    """The same as an error of ours."""
    if isinstance(exc, TimeoutError):
        return not_fetched(f"{url} did not answer within {seconds:g} s", cut=cut, unreached="silent")
    # aiohttp names its setting for TLS, and of plain http as well.
    text = f"{url} was not fetched: {str(exc).replace(' ssl:default', '')[:_MAX_TOLD]}"
    return _forbidden(exc) or not_fetched(text, cut=cut, unreached=why_unreached(exc))


def _forbidden(exc: BaseException) -> ResolutionError | None:
    """The guard's refusal, if that is what aiohttp wrapped."""
    inner: BaseException | None = exc
    while inner is not None:
        if isinstance(inner, ResolutionError):
            return inner
        inner = inner.__cause__  # what was being handled before is another question's
    return None
