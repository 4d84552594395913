"""The gate before an MCP server that speaks streamable HTTP: signed requests in, what passes goes on.

Each POST is verified, read and asked for by itself, and answered with one JSON message: the server may stream, the gate
waits for the answer within it. There is no stream for what a server would say unasked, because it says nothing unasked.
A session of the server belongs to the contract and provider that opened it.

Source: protocol-spec/15-mcp-gate.md, section 15.5; Model Context Protocol, transport Streamable HTTP
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from typing import Final
from urllib.parse import urlsplit

import structlog
from aiohttp import (
    ClientConnectionError,
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    DummyCookieJar,
    TCPConnector,
    web,
)

from undersigned.bridges.gates import check_body
from undersigned.bridges.mcp import CLIENT_LIMITS, SERVER_LIMITS, VERSIONS, Dropped, ToClient, ToServer
from undersigned.bridges.mcp_rules import Rules
from undersigned.errors import FormatError, TransportError, UndersignedError
from undersigned.runtime import FinalAnswer

from .edge import arriving, error_response, go_on, json_response, problem_response, text_fields
from .gate_answers import sign_response
from .gate_desk import Desk, Visit
from .gating import Gatekeeper, VerifiedHead
from .mcp_passage import Passage
from .mcp_sessions import Owner, Sessions
from .mcp_stdio import GateLimits
from .near import NearListener, checked_server

__all__ = ["HttpGate"]

SESSION: Final = "Mcp-Session-Id"
VERSION: Final = "MCP-Protocol-Version"
_SESSION: Final = re.compile(r"[\x21-\x7e]{1,256}")
_log: Final = structlog.get_logger("undersigned.gates")


class HttpGate:
    """Listens at `host`:`port` (0 picks a free one) once entered, and speaks to the server at `upstream`."""

    def __init__(
        self,
        desk: Desk,
        rules: Rules,
        upstream: str,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        public: str | None = None,
        limits: GateLimits | None = None,
        sign_answers: bool = False,
    ) -> None:
        """`public` is the URL by which clients call it, which they sign; by default its address and `/mcp`.

        Raises:
            ConfigurationError: `bad_configuration`, a URL is none of http or https, or has more than a path.
        """
        self._keeper = Gatekeeper(desk, sign_answers=sign_answers)
        self._rules, self._upstream = rules, checked_server(upstream, "upstream", path=True)
        self._public = checked_server(public, "public", path=True) if public is not None else None
        self._limits = limits or GateLimits()
        self._near = NearListener(self._handle, host, port, connections=self._limits.connections)
        self._sessions = Sessions()

    @property
    def url(self) -> str:
        """Where clients call it, and what they sign."""
        return self._public or f"{self._near.url}/mcp"

    async def __aenter__(self) -> HttpGate:
        """Raises ConfigurationError if the address cannot be listened on."""
        await self._near.start()
        # Who does not take the connection in half of the time was not reached, which is known then.
        timeout = ClientTimeout(total=self._limits.answer_seconds, sock_connect=self._limits.answer_seconds / 2)
        # The operator named the server; a proxy that the environment names is not it.
        # As many connections as requests are under way, and one more each, by which a question is answered. Each is for
        # one, so that nothing which the server sends too much is taken for the answer to another client.
        self._client = ClientSession(
            connector=TCPConnector(limit=0, force_close=True),
            cookie_jar=DummyCookieJar(),  # what the server gives one client to keep is not sent for the next one
            trust_env=False,
            timeout=timeout,
            auto_decompress=False,
            response_class=FinalAnswer,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Whoever is cancelled here leaves no connection open."""
        try:
            await self._near.stop()
            await self._keeper.close()
        finally:
            await self._client.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except UndersignedError as error:
            return problem_response(*self._keeper.refused(error, request.method, request.raw_path))
        except Exception:
            _log.exception("a request at the gate was not answered")
            return error_response(500, "internal")

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        # Step 1: what is no request of an MCP client costs nothing more.
        url = urlsplit(self.url)
        if request.raw_path != url.path or "Origin" in request.headers:
            raise TransportError("bad_path", "no such path, or out of a page")
        if request.method not in ("POST", "DELETE"):
            response = error_response(405, "bad_request")
            response.headers["Allow"] = "POST, DELETE"
            return response
        if any(version not in VERSIONS for version in request.headers.getall(VERSION, [])):
            raise TransportError("version_not_supported", "a revision that is not spoken here")
        # Step 2: who signed it, and for which contract. Our own URL, never the Host field.
        fields = text_fields(request.raw_headers)
        knock = await self._keeper.knock(f"{url.scheme}://{url.netloc}", request.method, request.raw_path, fields)
        self._near.welcome(request, knock.keys.provider)
        try:
            with self._keeper.turn(knock):
                response = await self._inside(request, knock)
        except UndersignedError as error:
            response = problem_response(*self._keeper.refused(error, request.method, request.raw_path))
        await sign_response(self._keeper, knock, response)
        return response

    async def _inside(self, request: web.BaseRequest, knock: VerifiedHead) -> web.StreamResponse:
        """The answer to a request whose head is verified."""
        body = await self._body(request)
        check_body(knock.request, hashlib.sha256(body).digest())
        # Step 3: the session, if it names one, is this requester's. Another's is as unknown as none.
        session = request.headers.get(SESSION)
        if session is not None and not self._sessions.is_open(session, _owner(knock)):
            raise TransportError("bad_path", "no such session")
        if request.method == "DELETE":
            return await self._ended(session, knock)
        # Step 4: the message in it.
        passage = Passage(self._keeper, knock.keys, self._rules, knock.signed, in_session=session is not None)
        step = await passage.from_client(body)
        if isinstance(step, Dropped):
            return web.Response(status=202)
        if isinstance(step, ToClient):
            return json_response(200, step.raw)
        return await self._passed(request, knock, passage, step, session)

    async def _body(self, request: web.BaseRequest) -> bytes:
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise TransportError("bad_request", "the body is encoded")
        go_on(request)
        found = bytearray()
        async with arriving(self._limits.body_seconds):
            async for chunk in request.content.iter_any():
                found += chunk
                if len(found) > CLIENT_LIMITS.max_bytes:
                    raise FormatError("too_large", f"expected at most {CLIENT_LIMITS.max_bytes} bytes")
        return bytes(found)

    async def _passed(
        self,
        request: web.BaseRequest,
        knock: VerifiedHead,
        passage: Passage,
        step: ToServer,
        session: str | None,
    ) -> web.StreamResponse:
        """The server's answer to what may be sent, as far as it passes."""
        headers = _headers(request.headers.get(VERSION), session)
        answer: ToClient | None = None
        opened, status = None, 200
        try:
            async with self._client.post(
                self._upstream, data=step.raw, headers=headers | _named(step), allow_redirects=False
            ) as heard:
                if step.id is None and not 300 <= heard.status < 400:  # what points elsewhere took nothing
                    return web.Response(status=202 if heard.status < 400 else heard.status)
                status = heard.status if heard.status in (400, 404) else 200
                async for raw in _messages(heard):
                    said = await passage.from_server(raw)
                    if isinstance(said, ToServer):
                        await self._told(said, headers)
                    elif isinstance(said, ToClient) and said.answers is not None:
                        answer = said
                        break
                if step.method == "initialize" and answer is not None and status == 200:
                    opened = self._opened(heard.headers.get(SESSION), knock)
        except (ClientConnectorError, ConnectionTimeoutError) as exc:
            _log.error("the MCP server was not reached", error=repr(exc))
            answer = passage.not_sent(step)
        except (ClientError, OSError, TimeoutError, FormatError) as exc:
            _log.error("the MCP server did not answer", error=repr(exc))
            answer = passage.fail(step.id, "timeout" if isinstance(exc, TimeoutError) else "upstream_failed")
        answer = answer or passage.fail(step.id, "upstream_failed")
        if answer is None:
            raise TransportError("upstream_failed", "the MCP server did not take a notification")
        response = json_response(status, answer.raw)
        if opened is not None:
            response.headers[SESSION] = opened
        return response

    def _opened(self, session: str | None, knock: VerifiedHead) -> str | None:
        usable = session is not None and _SESSION.fullmatch(session) and self._sessions.opened(session, _owner(knock))
        return session if usable else None

    async def _told(self, step: ToServer, headers: Mapping[str, str]) -> None:
        """Answers a request of the server, which waits for that before it goes on."""
        try:
            async with self._client.post(self._upstream, data=step.raw, headers=headers, allow_redirects=False):
                pass
        except (ClientConnectorError, ConnectionTimeoutError) as exc:
            # The server has the call that it asked this about: not to be taken for one that never reached it.
            raise ClientConnectionError(str(exc)) from exc

    async def _ended(self, session: str | None, knock: VerifiedHead) -> web.Response:
        if session is None:
            raise TransportError("bad_request", "expected the session that ends")
        visit = Visit(contract=knock.keys.contract, signed=knock.signed, action="DELETE", target=self.url)
        await self._keeper.desk.enter(visit)
        self._sessions.ended(session)
        try:
            async with self._client.delete(self._upstream, headers={SESSION: session}, allow_redirects=False) as heard:
                return web.Response(status=heard.status if heard.status in (200, 202, 204, 405) else 204)
        except (ClientError, OSError, TimeoutError) as exc:
            _log.error("the MCP server was not told that a session ended", error=repr(exc))
            return web.Response(status=204)


def _headers(version: str | None, session: str | None) -> dict[str, str]:
    """What goes along with a message. Of the client's own fields nothing does: the message alone is what was judged."""
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "Accept-Encoding": "identity",  # what is compressed is not read here
    }
    if session is not None:
        headers[SESSION] = session
    if version is not None:
        headers[VERSION] = version
    return headers


def _named(step: ToServer) -> dict[str, str]:
    """What a request says of itself in the headers too, in the revisions that have that; an answer does not."""
    if not step.modern:
        return {}
    return {"Mcp-Method": step.method, **({"Mcp-Name": step.tool} if step.tool else {})}


async def _messages(heard: ClientResponse) -> AsyncIterator[bytes]:
    """The messages in the server's answer: one, or those of its event stream.

    Raises:
        FormatError: `too_large`, or neither JSON nor a stream of events.
    """
    kind = heard.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind not in ("application/json", "text/event-stream"):
        raise FormatError("bad_json", f"the MCP server answered {heard.status} with {kind!a:.80}")
    held, data, whole = bytearray(), bytearray(), 0
    async for chunk in heard.content.iter_any():
        whole += len(chunk)
        if whole > SERVER_LIMITS.max_bytes:
            raise FormatError("too_large", f"the MCP server answered with more than {SERVER_LIMITS.max_bytes} bytes")
        if kind == "application/json":
            held += chunk
            continue
        # What is held is not looked through again: a long line in small pieces would cost its square.
        ended, *later = chunk.split(b"\n")
        held += ended
        for begun in later:
            line, held = held.removesuffix(b"\r"), bytearray(begun)
            if line.startswith(b"data:"):
                data += line[5:].removeprefix(b" ") + b"\n"
            elif not line and data:
                yield bytes(data)
                data.clear()
    if kind == "application/json":
        yield bytes(held)


def _owner(knock: VerifiedHead) -> Owner:
    return knock.keys.provider, knock.keys.contract
