"""The gate as a proxy in front of any HTTP service that listens where only it can reach.

A request is verified before its body is read, and its body before the service hears of it: until then it lies here, in
memory or, if it is long, in a file. Of its fields only listed ones go on, so nothing of what is not signed can change
what is asked for. The answer is carried as it comes.

Source: protocol-spec/14-gates.md, section 14.6
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Final, TypeAlias

import msgspec
import structlog
from aiohttp import (
    ClientConnectionError,
    ClientConnectorError,
    ClientError,
    ClientHandlerType,
    ClientOSError,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    DummyCookieJar,
    ServerDisconnectedError,
    TCPConnector,
    web,
)
from yarl import URL

from undersigned.errors import FormatError, TransportError, UndersignedError, text_of
from undersigned.runtime import FinalAnswer

from .edge import arriving, go_on, problem_response, text_fields
from .gate_answers import OWN_FIELDS, bodiless, sign_response
from .gate_desk import Granted
from .gating import RequestGate, VerifiedHead
from .near import NearListener, checked_server

__all__ = ["GateProxy"]

Fields: TypeAlias = list[tuple[str, str]]

_log: Final = structlog.get_logger("undersigned.gates")

CONNECTIONS: Final = 1024
UPSTREAM_SECONDS: Final = 60.0
"""For the service to be reached, and for each further piece of its answer."""
MEMORY_BYTES: Final = 256 * 1024
"""Of one body; what is longer waits in a file."""
CHUNK_BYTES: Final = 64 * 1024
UNANSWERED: Final = 499
"""Told in place of a status where who asked left before the answer was there; as proxies have it, and never sent."""

FORWARDED: Final = frozenset(
    {
        *("accept", "accept-charset", "accept-encoding", "accept-language", "cache-control", "content-encoding"),
        *("content-language", "content-type", "if-match", "if-modified-since", "if-none-match", "if-range"),
        *("if-unmodified-since", "prefer", "range", "user-agent"),
    }
)
"""Fields of a request that go on to the service, beside those that the rules name."""
HOP_BY_HOP: Final = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te"),
        *("trailer", "transfer-encoding", "upgrade"),
    }
)
"""Fields of an answer that are between the service and this proxy (RFC 9110, section 7.6.1)."""


class GateProxy(NearListener):
    """Listens at `host`:`port` (0 picks a free one) once started, and carries to `upstream` what `gate` allows.

    `told` hears of each request: method, path, status (`UNANSWERED` if who asked left), and what was granted or
    refused.
    """

    def __init__(
        self,
        gate: RequestGate,
        upstream: str,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        told: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self._gate = gate
        self._upstream = checked_server(upstream, "upstream", path=False).rstrip("/")
        self._told = told
        self._session: ClientSession | None = None
        super().__init__(self._handle, host, port, connections=CONNECTIONS)

    async def start(self) -> None:
        """Listens.

        Raises:
            ConfigurationError: `bad_configuration`, the address cannot be listened on.
        """
        self._session = ClientSession(
            # As many as there are requests under way, which are counted; each for one, so that nothing that the
            # service sends too much is taken for the answer to another agent.
            connector=TCPConnector(limit=0, force_close=True),
            auto_decompress=False,
            cookie_jar=DummyCookieJar(),  # one agent's session is not the next one's
            timeout=ClientTimeout(total=None, sock_connect=UPSTREAM_SECONDS, sock_read=UPSTREAM_SECONDS),
            trust_env=False,
            middlewares=(_once,),
            response_class=FinalAnswer,
        )
        try:
            await super().start()
        except BaseException:  # whoever is cancelled here has nothing to stop
            await self.stop()
            raise

    async def stop(self) -> None:
        """Takes nothing more, lets answers under way finish, and returns; at once, if whoever waits for that is
        cancelled.
        """
        try:
            await super().stop()
            await self._gate.close()
        finally:
            session, self._session = self._session, None
            if session is not None:
                await session.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers one request."""
        knock: VerifiedHead | None = None
        granted: Granted | None = None
        try:
            fields = text_fields(request.raw_headers)
            knock = await self._gate.head(request.method, request.raw_path, fields)
            self.welcome(request, knock.keys.provider)
            with self._gate.turn(knock), _spooled() as body:
                granted, length = await self._admitted(knock, request, body)
                response = await self._carried(knock, request, granted, body if length else None, length)
        except UndersignedError as error:
            status, problem = self._gate.refused(error, request.method, request.raw_path)
            self._tell(request, status, granted, msgspec.json.decode(problem) | {"why": error.message})
            refused = problem_response(status, problem)
            await sign_response(self._gate, knock, refused)
            return refused
        except asyncio.CancelledError:
            if granted is not None:  # the service may have acted
                self._tell(request, UNANSWERED, granted, None)
            raise
        self._tell(request, response.status, granted, None)
        return response

    async def _admitted(self, knock: VerifiedHead, request: web.BaseRequest, body: IO[bytes]) -> tuple[Granted, int]:
        """What is granted, once the whole body is in `body`, and its length."""
        self._gate.check_length(request.content_length or 0)
        go_on(request)
        digest, length = hashlib.sha256(), 0
        async with arriving(self._gate.body_seconds):
            async for chunk in request.content.iter_chunked(CHUNK_BYTES):
                length += len(chunk)
                self._gate.check_length(length)
                digest.update(chunk)
                await _write(body, chunk, length, "overloaded")
        with _our_disk("overloaded"):
            body.seek(0)
        return await self._gate.admit(knock, digest.digest(), length), length

    async def _carried(
        self, knock: VerifiedHead, request: web.BaseRequest, granted: Granted, body: IO[bytes] | None, length: int
    ) -> web.StreamResponse:
        session = self._session
        if session is None:
            raise TransportError("overloaded", "the proxy is ending")
        # The one spelling by which it was judged, and not the one that was sent.
        _, target = self._gate.rules.action_of(request.method, f"{self._gate.rules.origin}{request.raw_path}", length)
        query = "" if target.query is None else f"?{target.query}"
        url = URL(f"{self._upstream}/{'/'.join(target.segments)}{query}", encoded=True)
        forwarded = FORWARDED | frozenset(self._gate.rules.forward)
        headers = [(name, value) for name, value in request.headers.items() if name.lower() in forwarded]
        headers += [
            ("Hire-Agent", granted.provider),
            ("Hire-Contract", granted.contract),
            ("Idempotency-Key", f'"{granted.permit}"'),
        ]
        if body is not None:
            headers.append(("Content-Length", str(length)))
        try:
            async with session.request(
                request.method,
                url,
                data=body.read() if body is not None and length <= MEMORY_BYTES else body,
                headers=headers,
                allow_redirects=False,
                skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            ) as answer:
                fields = _kept(answer.raw_headers)
                # What the service did is done, however far its answer gets.
                self._gate.done(granted.permit)
                if answer.status < 200:
                    # Whatever stands before us would take a 101 for the end of requests on this connection.
                    answer.close()
                    raise TransportError("upstream_failed", f"the service answered {answer.status}, and nothing more")
                chunks = answer.content.iter_chunked(CHUNK_BYTES)
                if self._gate.sign_answers:
                    return await self._signed(knock, request, answer, fields, chunks)
                response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=fields)
                await self._stream(request, chunks, response)
                return response
        except (ClientConnectorError, ConnectionTimeoutError) as exc:
            self._gate.done(granted.permit, happened=False)
            raise TransportError("upstream_failed", f"the service was not reached: {exc}") from exc
        except (ClientError, TimeoutError, OSError) as exc:
            # It may have acted: what was booked stays spent.
            raise TransportError("upstream_failed", f"the service did not answer: {exc!r}") from exc

    async def _signed(
        self, knock: VerifiedHead, request: web.BaseRequest, answer: ClientResponse, fields: Fields, chunks: Any
    ) -> web.StreamResponse:
        """Carries an answer once all of it is here, because its digest is signed."""
        digest, length = hashlib.sha256(), 0
        with _spooled() as held:  # if that fails the service has acted: nobody is told to try again
            async for chunk in chunks:
                length += len(chunk)
                if length > self._gate.rules.max_answer_bytes:
                    raise TransportError("upstream_failed", "the service's answer is longer than what is carried")
                digest.update(chunk)
                await _write(held, chunk, length, "upstream_failed")
            with _our_disk("upstream_failed"):
                held.seek(0)
            kept = [(name, value) for name, value in fields if name.lower() not in OWN_FIELDS]
            kind = next((value for name, value in kept if name.lower() == "content-type"), None)
            if kind is None and not bodiless(request.method, answer.status):
                kind = "application/octet-stream"  # which aiohttp would send, and the signature would not cover
                kept.append(("Content-Type", kind))
            kept += await self._gate.answer_fields(knock, answer.status, kind, digest.digest())
            response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=kept)
            await self._stream(request, _pieces(held, length), response)
        return response

    async def _stream(self, request: web.BaseRequest, chunks: Any, response: web.StreamResponse) -> None:
        """Carries an answer. Once it has begun, a failure is told by its not ending as it should."""
        try:
            await response.prepare(request)
        except ValueError as exc:
            raise TransportError(
                "upstream_failed", f"a field of the service's answer cannot be carried: {exc}"
            ) from exc
        carried = 0
        try:
            async for chunk in chunks:
                carried += len(chunk)
                if carried > self._gate.rules.max_answer_bytes:
                    raise FormatError("too_large", "the service's answer is longer than what is carried")
                await response.write(chunk)
            await response.write_eof()
        except (ClientError, TimeoutError, OSError, UndersignedError) as exc:
            _log.warning("an answer was cut off", path=request.raw_path[:200], error=repr(exc))
            if request.transport is not None:
                request.transport.abort()

    def _tell(
        self, request: web.BaseRequest, status: int, granted: Granted | None, problem: dict[str, Any] | None
    ) -> None:
        if self._told is None:
            return
        said: dict[str, Any] = {"method": request.method, "path": request.raw_path, "status": status}
        if granted is not None:
            said |= msgspec.to_builtins(granted)
        if problem is not None:
            said |= {name: problem[name] for name in ("code", "clause", "wouldPass", "why") if name in problem}
        try:
            self._told(said)
        except Exception as exc:  # who asked is answered all the same, and once
            _log.error("a request was not told of", path=request.raw_path[:200], error=text_of(exc, repr))


async def _once(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Sends a request once. By itself aiohttp repeats a GET, HEAD, PUT or DELETE whose connection broke, but one permit
    is for one request; and if the service was gone by then, the first would be taken for never sent.
    """
    try:
        return await handler(request)
    except ClientConnectorError:
        raise
    except (ClientOSError, ServerDisconnectedError) as exc:
        raise ClientConnectionError(f"the connection broke: {exc}") from exc  # which it does not repeat


@contextmanager
def _spooled() -> Generator[IO[bytes]]:
    """Where a body waits: in memory or, once it is longer than `MEMORY_BYTES`, in a file."""
    held = SpooledTemporaryFile(MEMORY_BYTES)  # noqa: SIM115
    try:
        yield held
    finally:
        with suppress(OSError):  # what could not be written was told
            held.close()


@contextmanager
def _our_disk(code: str) -> Generator[None]:
    """A block whose OSError is neither the client's nor the service's, and is told with this code."""
    try:
        yield
    except OSError as exc:
        _log.error("a body cannot be kept on disk", error=repr(exc))
        raise TransportError(code, "a body could not be kept here") from exc


async def _write(held: IO[bytes], chunk: bytes, length: int, code: str) -> None:
    """Adds `chunk`, with which `held` is `length` bytes long; `code` says that it did not."""
    with _our_disk(code):
        if length > MEMORY_BYTES:
            await asyncio.to_thread(held.write, chunk)
        else:
            held.write(chunk)


async def _pieces(held: IO[bytes], length: int) -> AsyncIterator[bytes]:
    in_file = length > MEMORY_BYTES
    while chunk := await asyncio.to_thread(held.read, CHUNK_BYTES) if in_file else held.read(CHUNK_BYTES):
        yield chunk


def _text(value: bytes) -> str:
    """What is written as UTF-8 goes on unchanged, as it is written again."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _kept(fields: Iterable[tuple[bytes, bytes]]) -> Fields:
    """The fields of an answer that are for the one who asked."""
    read = [(name.decode("latin-1"), _text(value)) for name, value in fields]
    named = {part.strip().lower() for name, value in read if name.lower() == "connection" for part in value.split(",")}
    kept = [(name, value) for name, value in read if name.lower() not in HOP_BY_HOP | named]
    # By whom ours is, and in which release, is nobody's affair.
    return kept if any(name.lower() == "server" for name, _ in kept) else [*kept, ("Server", "hire")]
