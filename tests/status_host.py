"""A host of status lists that does what a test says: serve, be slow, answer with an error, or serve something else.

It is apart from the peers, so a list can go away while its issuer's documents stay.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from undersigned.credentials import MEMBERSHIP, build_credential, build_status_list, credential_config, status_entry
from undersigned.encoding import Did, Instant, JsonObject, base64url_encode, canonicalize, parse_instant, shift
from undersigned.proof import attach, prepare
from undersigned.runtime import Home, PrivateKey

PLACE = 40


class StatusHost:
    """Serves one list of one organisation, the same at every path."""

    def __init__(self, home: Home, now: Instant, *, ttl_seconds: int = 300) -> None:
        self.home = home
        self.now = now
        self.ttl_seconds = ttl_seconds
        self.places: set[int] = set()
        self.purpose = "revocation"
        self.status = "200 OK"
        self.fields = ""
        self.as_text = False
        """Whether it is served as a JWT."""
        self.body: bytes | None = None
        """Served instead of the list."""
        self.hangs = False
        self.asked = 0
        self.key: PrivateKey = home.key("organisation")
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0

    @property
    def issuer(self) -> Did:
        document = self.home.organisation_document()
        assert document is not None
        return document.id

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}/status/7"

    def signed(self, unsigned: JsonObject, key: PrivateKey | None = None) -> JsonObject:
        config = credential_config("eddsa-jcs-2022", f"{self.issuer}#office", self.now)
        return attach(unsigned, config, (key or self.key).sign_now(prepare(unsigned, config, "Ed25519")))

    def list(self, *, valid_from: Instant | None = None, encoded: str | None = None) -> JsonObject:
        """The list as it is now, without its proof."""
        bits = bytearray(16_384)
        for place in self.places:
            bits[place >> 3] |= 0x80 >> (place & 7)
        begins = valid_from or shift(self.now, -60)
        document = build_status_list(
            url=self.url,
            issuer=self.issuer,
            bits=bits,
            valid_from=begins,
            valid_until=shift(begins, 3600),
            ttl_seconds=self.ttl_seconds,
            purpose=self.purpose,
        )
        if encoded is not None:
            document["credentialSubject"]["encodedList"] = encoded  # type: ignore[index,call-overload]
        return document

    def text(self, unsigned: JsonObject, *, key: PrivateKey | None = None, **header: str) -> bytes:
        """A JWT of it, made now, with other members of the header."""
        named = {"alg": "Ed25519", "cty": "vc", "kid": f"{self.issuer}#office", "typ": "vc+jwt", **header}
        claims = {"iat": int(parse_instant(self.now).timestamp()), **unsigned}
        to_sign = ".".join(base64url_encode(canonicalize(one)) for one in (named, claims))
        return f"{to_sign}.{base64url_encode((key or self.key).sign_now(to_sign.encode()))}".encode()

    def served(self) -> bytes:
        """The list as it is served now."""
        if self.body is not None:
            return self.body
        return self.text(self.list()) if self.as_text else canonicalize(self.signed(self.list()))

    def vouch(self, *, purpose: str = "revocation", listed: bool = True) -> None:
        """Gives the agent of this state folder a membership that points here, or nowhere, in place of what it had."""
        document = build_credential(
            id="urn:uuid:0b3d2b4e-6c1f-4b52-9c2c-6f4d3f5e9a10",
            type=MEMBERSHIP,
            issuer=self.issuer,
            subject={"id": self.home.configuration.did, "memberOf": self.issuer},
            valid_from=shift(self.now, -60),
            valid_until=shift(self.now, 86_400),
            status=status_entry(self.url, PLACE, purpose) if listed else None,
        )
        folder = self.home.path / "credentials"
        folder.mkdir(exist_ok=True)
        (folder / "membership.json").write_bytes(canonicalize(self.signed(document)))

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.asked += 1
                if self.hangs:
                    await asyncio.Event().wait()
                body = self.served()
                kind = "application/vc+jwt" if self.as_text else "application/vc"
                fields = f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n{self.fields}"
                head = f"HTTP/1.1 {self.status}\r\n{fields}\r\n"
                writer.write(head.encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            self._open.discard(writer)

    async def up(self) -> None:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in tuple(self._open):
                writer.transport.abort()
            self._server = None


@asynccontextmanager
async def status_host(home: Home, now: Instant, *, ttl_seconds: int = 300) -> AsyncIterator[StatusHost]:
    host = StatusHost(home, now, ttl_seconds=ttl_seconds)
    await host.up()
    try:
        yield host
    finally:
        await host.down()
