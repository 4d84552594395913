"""Where gates ask: the hirer's peer, which holds the contracts, says who may sign under one and books what is done.

`Desk` is what a gate needs of it. `GateDesk` answers in the peer's own process, and as routes of a listener of its own
for gates elsewhere; `RemoteDesk` asks those routes. So limits are counted once for all servers of the hirer, a nonce
is used once at all of them, and a contract that ends is over at all of them at once.

Source: protocol-spec/14-gates.md, section 14.4
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
import structlog
from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from undersigned.bridges.gates import ContractKeys
from undersigned.bridges.http_signatures import NonceWindow
from undersigned.encoding import FOREIGN_LIMITS, Amount, Did, DidUrl, Digest, JsonObject, decode_json, to_struct
from undersigned.errors import CODES, ProofError, ScopeError, TransportError, UndersignedError
from undersigned.runtime import Conversation, Permit
from undersigned.scope import Action

from .control import Answer, Route

if TYPE_CHECKING:
    from .peer import Peer

__all__ = ["Ask", "Desk", "GateDesk", "Granted", "RemoteDesk"]

KEYS_SECONDS: Final = 300.0
"""How old the provider's DID document may be, by which its keys are told to gates."""
OPEN_PERMITS: Final = 10_000
"""Of gates together; the oldest are given up then, and what they hold stays spent."""
ASK_SECONDS: Final = 10.0
MAX_ANSWER_BYTES: Final = 64 * 1024
_log: Final = structlog.get_logger("undersigned.gates")


class Ask(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One action that a gate asks for, under a signature that it has verified."""

    contract: Digest
    keyid: DidUrl
    nonce: str
    action: str
    target: str
    amounts: Mapping[str, Amount] = {}
    facts: Mapping[str, str] = {}


class Granted(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """An action that is booked. `permit` is also the idempotency key for the server behind the gate."""

    permit: str
    contract: Digest
    provider: Did
    action: str
    target: str
    clause: str
    amounts: Mapping[str, Amount] = {}


class Done(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How a booked action ended."""

    permit: str
    happened: bool


class Desk(Protocol):
    """What a gate asks the hirer's peer.

    Every method may raise TransportError (`unreachable`, `timeout`) or LedgerError: then nothing is to be done.
    """

    async def keys(self, contract: Digest) -> ContractKeys | None:
        """Who may sign under `contract`; None unless the peer is the hirer of such a contract and it is not over."""
        ...

    async def admit(self, ask: Ask) -> Granted:
        """Books the action, if the contract allows it now; a no is recorded.

        Raises:
            ScopeError: As `Gate.admit`.
            ProofError: `replayed`, the nonce was used, at this gate or at another one of the hirer.
        """
        ...

    async def done(self, permit: str, *, happened: bool) -> None:
        """Settles what was booked, or gives it back because it is known not to have happened. What is never settled
        stays spent. A permit that is not known changes nothing.
        """
        ...


class GateDesk:
    """The desk of a peer, which is the hirer."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._nonces = NonceWindow()
        self._open: OrderedDict[str, tuple[Conversation, Permit]] = OrderedDict()

    async def keys(self, contract: Digest) -> ContractKeys | None:
        """See `Desk.keys`."""
        conversation = self._conversation(contract)
        if conversation is None:
            return None
        provider = conversation.engagement.peer
        document = await self._peer.document_of(provider, KEYS_SECONDS)
        found: dict[DidUrl, str] = {}
        for method in document.methods("authentication"):
            try:
                found[method] = document.key_for(method, "authentication", now=self._peer.clock.now()).multikey
            except UndersignedError as error:  # of a kind not used here, or past its time: the others still count
                _log.info("a key is left out", method=method, error=str(error))
        return ContractKeys(contract=contract, provider=provider, keys=found)

    async def admit(self, ask: Ask) -> Granted:
        """See `Desk.admit`."""
        peer = self._peer
        conversation = self._conversation(ask.contract)
        if conversation is None or conversation.engagement.peer != ask.keyid.partition("#")[0]:
            raise ScopeError("contract_expired", "no contract in force of this name and party", clause="contract")
        if not self._nonces.first(ask.keyid, ask.nonce, peer.clock.now()):
            raise ProofError("replayed", f"the nonce {ask.nonce!r} of {ask.keyid} was used before")
        document = conversation.offered()
        action = Action(name=ask.action, target=ask.target, amounts=ask.amounts, facts=ask.facts)
        permit = await peer.gate.admit(
            ask.contract, document, conversation.engagement.state, action, until=document.terms.deadlines.until
        )
        self._open[permit.id] = conversation, permit
        while len(self._open) > OPEN_PERMITS:
            self._open.popitem(last=False)
        return Granted(
            permit=permit.id,
            contract=ask.contract,
            provider=conversation.engagement.peer,
            action=ask.action,
            target=ask.target,
            clause=permit.decision.clause,
            amounts=ask.amounts,
        )

    async def done(self, permit: str, *, happened: bool) -> None:
        """See `Desk.done`."""
        conversation, held = self._open.pop(permit, (None, None))
        if conversation is None or held is None:
            return
        if happened:
            conversation.settle(held.used())
        else:
            await self._peer.gate.release(held)

    def _conversation(self, contract: Digest) -> Conversation | None:
        found = self._peer.conversation_of(contract)
        return found if found is not None and found.engagement.role == "hirer" else None

    @property
    def routes(self) -> Mapping[tuple[str, str], Route]:
        """What a listener for gates serves."""
        return {
            ("POST", "/gate/keys"): self._keys_route,
            ("POST", "/gate/admit"): self._admit_route,
            ("POST", "/gate/done"): self._done_route,
        }

    async def _keys_route(self, body: JsonObject) -> Answer:
        asked = to_struct(body, _Contract)
        found = await self.keys(asked.contract)
        return Answer(200, {} if found is None else {"keys": msgspec.to_builtins(found)})

    async def _admit_route(self, body: JsonObject) -> Answer:
        ask = to_struct(body, Ask)
        try:
            return Answer(200, {"granted": msgspec.to_builtins(await self.admit(ask))})
        except (ScopeError, ProofError) as error:
            no = _No(
                code=error.code,
                message=error.message,
                clause=str(error.detail.get("clause") or ""),
                would_pass=str(error.detail.get("would_pass") or ""),
            )
            return Answer(200, {"refused": msgspec.to_builtins(no)})

    async def _done_route(self, body: JsonObject) -> Answer:
        done = to_struct(body, Done)
        await self.done(done.permit, happened=done.happened)
        return Answer(200, {})


class _Contract(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    contract: Digest


class _No(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A refusal on its way to a gate, which is the hirer's own: it hears the reason, too."""

    code: str
    message: str
    clause: str
    would_pass: str


class _Said(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Any answer of the routes."""

    keys: ContractKeys | None = None
    granted: Granted | None = None
    refused: _No | None = None


class RemoteDesk:
    """The desk of a peer that listens for gates at `url`; `token` is that of its state folder, for gates.

    To be entered with `async with`, or closed.
    """

    def __init__(self, url: str, token: str) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._session: ClientSession | None = None

    async def keys(self, contract: Digest) -> ContractKeys | None:
        """See `Desk.keys`."""
        return (await self._post("/gate/keys", {"contract": contract})).keys

    async def admit(self, ask: Ask) -> Granted:
        """See `Desk.admit`."""
        said = await self._post("/gate/admit", msgspec.to_builtins(ask))
        if said.granted is not None and said.refused is None:
            return said.granted
        no = said.refused
        if no is None or no.code not in CODES:
            raise TransportError("unreachable", "the peer answered neither yes nor no")
        if CODES[no.code].family in ("proof", "replay", "identity"):
            raise ProofError(no.code, no.message)
        raise ScopeError(no.code, no.message, clause=no.clause, would_pass=no.would_pass)

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

    async def _post(self, path: str, body: Any) -> _Said:
        if self._session is None:
            # No more at a time than the listener takes; the others wait their turn.
            self._session = ClientSession(
                connector=TCPConnector(limit=32), timeout=ClientTimeout(total=ASK_SECONDS), trust_env=False
            )
        try:
            async with self._session.post(
                self._url + path,
                data=msgspec.json.encode(body),
                headers={"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
                allow_redirects=False,
            ) as answer:
                raw = await answer.content.read(MAX_ANSWER_BYTES + 1)
                while len(raw) <= MAX_ANSWER_BYTES and (more := await answer.content.read(MAX_ANSWER_BYTES)):
                    raw += more
        except (ClientError, OSError) as exc:
            raise TransportError("unreachable", f"the peer at {self._url} was not reached: {exc!r}") from exc
        if answer.status != 200:
            raise TransportError("unreachable", f"the peer at {self._url} answered {answer.status}: {raw[:200]!a}")
        try:
            return to_struct(decode_json(raw, FOREIGN_LIMITS), _Said)
        except UndersignedError as exc:
            raise TransportError("unreachable", f"the peer at {self._url} gave no answer of ours: {exc}") from exc
