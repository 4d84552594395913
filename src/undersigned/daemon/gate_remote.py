"""The desk of the hirer's peer, asked by a gate in another process over the peer's listener for gates.

Whatever keeps the peer from answering is a no: nothing passes a gate that could not ask.

Source: protocol-spec/14-gates.md, section 14.4
"""

from __future__ import annotations

import asyncio
import os
import re
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
from aiohttp import ClientError, ClientSession, TCPConnector

from undersigned.bridges.gates import ContractKeys
from undersigned.bridges.http_messages import Headers
from undersigned.encoding import FOREIGN_LIMITS, Did, Digest, decode_json, digest_bytes, to_struct
from undersigned.errors import (
    CODES,
    ConfigurationError,
    ProofError,
    ScopeError,
    TransportError,
    UndersignedError,
    VerificationError,
)
from undersigned.runtime import FinalAnswer

from .edge import read_at_most
from .gate_desk import AnswerToSign, Ask, DeskAnswer, GateRefusal, Granted, No, Visit
from .near import checked_server

__all__ = ["RemoteDesk"]

ASK_SECONDS: Final = 10.0
CONNECTIONS: Final = 32
"""At a time, no more than the listener takes of each gate."""
SHARE: Final = 8
"""Of them, for what one provider asks, or all whose contract is not known here yet: who publishes its DID document as
slowly as is borne holds up nobody else."""
PROVIDERS: Final = 4096
"""Contracts of which it is remembered whose they are."""
MAX_ANSWER_BYTES: Final = 64 * 1024
_TOKEN: Final = re.compile("[!-~]+")
_NO_CONTRACT: Final = digest_bytes(b"")


class _Share:
    """The connections that may be used for one provider."""

    def __init__(self) -> None:
        self.places = asyncio.Semaphore(SHARE)
        self.users = 0


class RemoteDesk:
    """The desk of a peer that listens for gates at `url`; `token` is that of its state folder, for gates.

    To be entered with `async with`, or closed.

    Raises:
        ConfigurationError: `bad_configuration`, these are no URL and no token: the peer would be out of reach for ever.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = checked_server(url, "url", path=False).rstrip("/")
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError("bad_configuration", "token: expected text, as gate_token() of a Home gives it")
        self._token = token
        self.answered = asyncio.Event()
        """Set once the peer has answered anything."""
        self._session: ClientSession | None = None
        self._shares: dict[str, _Share] = {}
        self._providers: OrderedDict[Digest, Did] = OrderedDict()

    async def greet(self) -> None:
        """Returns if the peer answers, and takes the token.

        Raises:
            TransportError: `unreachable`: it does not answer now; `unauthorized`: the token is another folder's.
        """
        await self._post("/gate/keys", {"contract": _NO_CONTRACT})

    async def keys(self, contract: Digest, keyid: str | None = None) -> ContractKeys | None:
        """See `Desk.keys`."""
        # Whose it is comes first, for which nobody else is asked: who waits for keys waits in its provider's share.
        provider = self._providers.get(contract)
        if provider is None:
            provider = (await self._post("/gate/whose", {"contract": contract}, of="")).provider
            if provider is None:
                return None
            self._providers[contract] = provider
            if len(self._providers) > PROVIDERS:
                self._providers.popitem(last=False)
        self._providers.move_to_end(contract)
        asked = {"contract": contract} if keyid is None else {"contract": contract, "keyid": keyid}
        return (await self._post("/gate/keys", asked, of=provider)).keys

    async def admit(self, ask: Ask) -> Granted:
        """See `Desk.admit`."""
        said = await self._post("/gate/admit", msgspec.to_builtins(ask), of=_asks(ask))
        if said.granted is None:
            raise TransportError("unreachable", "the peer answered neither yes nor no")
        return said.granted

    async def enter(self, visit: Visit) -> None:
        """See `Desk.enter`."""
        await self._post("/gate/enter", msgspec.to_builtins(visit), of=_asks(visit))

    async def refused(self, turned: GateRefusal) -> None:
        """See `Desk.refused`."""
        await self._post("/gate/refused", msgspec.to_builtins(turned), of=_asks(turned))

    async def sign(self, heard: AnswerToSign) -> Headers:
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

    @asynccontextmanager
    async def _turn(self, of: str | None) -> AsyncGenerator[None]:
        """Inside the block, one connection of the share is taken; None: for what the peer asks nobody."""
        if of is None:
            yield
            return
        share = self._shares.setdefault(of, _Share())
        share.users += 1
        try:
            async with share.places:
                yield
        finally:
            share.users -= 1
            if not share.users:
                del self._shares[of]

    async def _post(self, path: str, body: Any, *, of: str | None = None) -> DeskAnswer:
        if self._session is None:
            # The others wait their turn.
            self._session = ClientSession(
                connector=TCPConnector(limit=CONNECTIONS),
                trust_env=False,
                response_class=FinalAnswer,
            )
        try:
            async with (
                asyncio.timeout(ASK_SECONDS),
                self._turn(of),
                self._session.post(
                    self.url + path,
                    data=msgspec.json.encode(body),
                    headers={"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
                    allow_redirects=False,
                ) as answer,
            ):
                raw = await read_at_most(answer.content, MAX_ANSWER_BYTES)
        except (ClientError, OSError) as exc:
            raise TransportError("unreachable", f"the peer at {self.url} was not reached: {_why(exc)}") from exc
        if answer.status == 401:
            raise TransportError(
                "unauthorized", f"the peer at {self.url} takes another token: it runs with another state folder"
            )
        if answer.status != 200:
            raise TransportError(
                "unreachable",
                f"the peer at {self.url} answered {answer.status}: {raw[:200].decode('ascii', 'replace')!a}",
            )
        try:
            said = to_struct(decode_json(raw, FOREIGN_LIMITS), DeskAnswer)
        except UndersignedError as exc:
            raise TransportError("unreachable", f"the peer at {self.url} gave no answer of ours: {exc}") from exc
        self.answered.set()
        if said.refused is not None:
            raise _raised(said.refused)
        return said


def _asks(visit: Visit) -> str:
    """Whose share an ask is of. A gate of one client has a desk of its own."""
    return visit.signed.keyid.partition("#")[0] if visit.signed is not None else visit.contract


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
