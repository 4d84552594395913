"""The desk of the hirer's peer, asked by a gate in another process over the peer's listener for gates.

Whatever keeps the peer from answering is a no: nothing passes a gate that could not ask.

Source: protocol-spec/14-gates.md, section 14.4
"""

from __future__ import annotations

import os
from typing import Any, Final

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from undersigned.bridges.gates import ContractKeys
from undersigned.bridges.http_messages import Headers
from undersigned.encoding import FOREIGN_LIMITS, Digest, decode_json, to_struct
from undersigned.errors import CODES, ProofError, ScopeError, TransportError, UndersignedError, VerificationError

from .gate_desk import Ask, Granted, Heard, No, Said, Turned, Visit

__all__ = ["RemoteDesk"]

ASK_SECONDS: Final = 10.0
MAX_ANSWER_BYTES: Final = 64 * 1024


class RemoteDesk:
    """The desk of a peer that listens for gates at `url`; `token` is that of its state folder, for gates.

    To be entered with `async with`, or closed.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = url.rstrip("/")
        self._token = token
        self._session: ClientSession | None = None

    async def keys(self, contract: Digest) -> ContractKeys | None:
        """See `Desk.keys`."""
        return (await self._post("/gate/keys", {"contract": contract})).keys

    async def admit(self, ask: Ask) -> Granted:
        """See `Desk.admit`."""
        said = await self._post("/gate/admit", msgspec.to_builtins(ask))
        if said.granted is None:
            raise TransportError("unreachable", "the peer answered neither yes nor no")
        return said.granted

    async def enter(self, visit: Visit) -> None:
        """See `Desk.enter`."""
        await self._post("/gate/enter", msgspec.to_builtins(visit))

    async def refused(self, turned: Turned) -> None:
        """See `Desk.refused`."""
        await self._post("/gate/refused", msgspec.to_builtins(turned))

    async def sign(self, heard: Heard) -> Headers:
        """See `Desk.sign`."""
        return (await self._post("/gate/sign", msgspec.to_builtins(heard))).fields

    async def done(self, permit: str, *, happened: bool) -> None:
        """See `Desk.done`."""
        await self._post("/gate/done", {"permit": permit, "happened": happened})

    async def close(self) -> None:
        """Closes its connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def __aenter__(self) -> RemoteDesk:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _post(self, path: str, body: Any) -> Said:
        if self._session is None:
            # No more at a time than the listener takes; the others wait their turn.
            self._session = ClientSession(
                connector=TCPConnector(limit=32), timeout=ClientTimeout(total=ASK_SECONDS), trust_env=False
            )
        try:
            async with self._session.post(
                self.url + path,
                data=msgspec.json.encode(body),
                headers={"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
                allow_redirects=False,
            ) as answer:
                raw = await answer.content.read(MAX_ANSWER_BYTES + 1)
                while len(raw) <= MAX_ANSWER_BYTES and (more := await answer.content.read(MAX_ANSWER_BYTES)):
                    raw += more
        except (ClientError, OSError) as exc:
            raise TransportError("unreachable", f"the peer at {self.url} was not reached: {_why(exc)}") from exc
        if answer.status != 200:
            raise TransportError(
                "unreachable",
                f"the peer at {self.url} answered {answer.status}: {raw[:200].decode('ascii', 'replace')!a}",
            )
        try:
            said = to_struct(decode_json(raw, FOREIGN_LIMITS), Said)
        except UndersignedError as exc:
            raise TransportError("unreachable", f"the peer at {self.url} gave no answer of ours: {exc}") from exc
        if said.refused is not None:
            raise _raised(said.refused)
        return said


def _why(exc: Exception) -> str:
    """In words for an operator; those of the libraries are for programmers."""
    if isinstance(exc, TimeoutError):
        return f"no answer in {ASK_SECONDS} s"
    number = getattr(exc, "errno", None)
    return os.strerror(number) if number else "the connection failed"


def _raised(no: No) -> UndersignedError:
    """The refusal as the peer raised it."""
    if no.code not in CODES:
        return TransportError("unreachable", "the peer answered neither yes nor no")
    if CODES[no.code].family in ("proof", "replay"):
        return ProofError(no.code, no.message)
    if CODES[no.code].family == "identity":
        return VerificationError(no.code, no.message)
    return ScopeError(no.code, no.message, clause=no.clause, would_pass=no.would_pass)
