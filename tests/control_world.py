"""A daemon with a control listener, and somebody who speaks to it over a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import ClientSession

from integration.hires import free_ports
from undersigned.daemon import Peer
from undersigned.encoding import JsonObject
from undersigned.keys import KeyKind
from undersigned.runtime import ControlPart, Home, create_home

CREDENTIALS = "https://www.w3.org/ns/credentials/v2"
SUBJECT = "did:key:z6MktKwz7Ge1Yxzr4JHavN33wiwa8y81QdcMRLXQsrH9T53b"
ENTRY = {"type": "BitstringStatusListEntry", "statusPurpose": "revocation"}


class Heard(NamedTuple):
    """An answer."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def code(self) -> str:
        """Of a problem, or of the first one in a verdict."""
        return (self.body.get("problemDetails") or [self.body])[0].get("code", "")


class Control(NamedTuple):
    """The caller."""

    peer: Peer
    session: ClientSession
    token: str

    @property
    def organisation(self) -> str:
        assert self.peer.organisation is not None
        return self.peer.organisation.id

    async def post(self, path: str, body: object, **headers: str) -> Heard:
        """`headers` replace the usual ones; `_` stands for `-`, and an empty text leaves one out."""
        usual = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        usual |= {name.replace("_", "-"): value for name, value in headers.items()}
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.session.post(
            self.peer.control_url + path,
            data=sent,
            headers={name: value for name, value in usual.items() if value},
            skip_auto_headers=("Content-Type",),
        ) as answer:
            return Heard(answer.status, dict(answer.headers), await answer.json(content_type=None))

    async def raw(self, sent: bytes) -> bytes:
        """All that comes back for these bytes until the listener closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", int(self.peer.control_url.rpartition(":")[2]))
        try:
            writer.write(sent)
            await writer.drain()
            return await asyncio.wait_for(reader.read(), 20)
        finally:
            writer.close()

    async def issue(self, credential: JsonObject, **options: str) -> JsonObject:
        heard = await self.post("/credentials/issue", {"credential": credential, "options": options})
        assert heard.status == 201, heard
        return heard.body["verifiableCredential"]

    async def verify(self, credential: JsonObject) -> Heard:
        return await self.post("/credentials/verify", {"verifiableCredential": credential, "options": {}})

    def unsigned(self, **more: Any) -> JsonObject:
        """A credential of the organisation that says little."""
        return {
            "@context": [CREDENTIALS],
            "id": "urn:uuid:86294362-4254-4f36-854f-3952fe42555d",
            "type": ["VerifiableCredential"],
            "issuer": self.organisation,
            "credentialSubject": {"id": SUBJECT, "name": "Example"},
            **more,
        }


def make_home(folder: Path, *, kind: KeyKind = "Ed25519", local: bool = True) -> Home:
    (port,) = free_ports(1)
    return create_home(folder, name="Acme", local=local, port=port, kind=kind)


@asynccontextmanager
async def controlled(home: Home, part: ControlPart | None = None) -> AsyncIterator[Control]:
    """The running daemon of a state folder, and who has its token."""
    peer = Peer.open(home)
    peer.control = part or home.configuration.control or ControlPart()
    async with peer, ClientSession() as session:
        yield Control(peer, session, home.control_token())
