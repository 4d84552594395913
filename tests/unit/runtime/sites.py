"""A server of somebody else on this machine, and a gatherer that may fetch from it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest

from histories import Log
from undersigned.did import make_document
from undersigned.encoding import canonicalize
from undersigned.errors import UndersignedError
from undersigned.runtime.fetching.fetcher import GathererLimits
from undersigned.runtime.fetching.gather import Gatherer
from undersigned.runtime.signers import generate_key

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


def answers(document: object, **metadata: object) -> bytes:
    return json.dumps({"didDocument": document, "didDocumentMetadata": metadata}).encode()
