"""Where gates ask: the hirer's peer, which holds the contracts, says who may sign under one and books what is done.

`Desk` is what a gate needs of it, whatever protocol it stands in. `GateDesk` answers in the peer's own process, and as
routes of a listener of its own for gates elsewhere; `RemoteDesk` asks those routes. So limits are counted once for all
servers of the hirer, a nonce is used once at all of them, and a contract that ends is over at all of them at once.

Source: protocol-spec/14-gates.md, section 14.4
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Annotated, Final, Protocol

import msgspec

from undersigned.bridges.gates import ContractKeys
from undersigned.bridges.http_answers import draft_answer
from undersigned.bridges.http_messages import Headers, Request, Response
from undersigned.bridges.nonces import NonceWindows
from undersigned.encoding import Amount, Did, DidUrl, Digest, EngagementId, JsonObject, to_struct
from undersigned.errors import ProofError, ScopeError, VerificationError
from undersigned.keys import PublicKey
from undersigned.runtime import Agent, Conversation, NewKeys, Permit
from undersigned.scope import Action

from .control import ControlAnswer, Route

__all__ = [
    "AnswerToSign",
    "Ask",
    "Desk",
    "DeskAnswer",
    "Done",
    "GateDesk",
    "GateRefusal",
    "Granted",
    "No",
    "RequestSigner",
    "Visit",
]

KEYS_SECONDS: Final = 10.0
"""How old the provider's DID document may be, by which a request is judged."""
OPEN_PERMITS: Final = 10_000
"""Of gates together; the oldest are given up then, and what they hold stays spent."""
OPEN_OF_ONE_CONTRACT: Final = 1_000
"""As many of these belong to one contract, whose own oldest is given up before anybody else's."""


class _Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What goes between a gate and the peer."""


class RequestSigner(_Wire, frozen=True, kw_only=True):
    """Whose a request is, once the gate has verified its signature."""

    keyid: DidUrl
    nonce: str


class Visit(_Wire, frozen=True, kw_only=True, omit_defaults=True):
    """A request at a gate, which asks for no action of the contract: its name and target are words for the record."""

    contract: Digest
    signed: RequestSigner | None = None
    """None: nothing is signed, since the gate serves one client under one contract, over its standard input."""
    action: str
    target: str


class Ask(Visit, frozen=True, kw_only=True):
    """One action that a gate asks for."""

    amounts: Mapping[str, Amount] = {}
    facts: Mapping[str, str] = {}

    @classmethod
    def of(cls, contract: Digest, signed: RequestSigner | None, action: Action) -> Ask:
        """Asks for `action` under `contract`."""
        return cls(
            contract=contract,
            signed=signed,
            action=action.name,
            target=action.target,
            amounts=action.amounts,
            facts=action.facts,
        )


class GateRefusal(Visit, frozen=True, kw_only=True):
    """What a gate refused by its own rules."""

    code: str
    message: str
    clause: str
    would_pass: str

    @classmethod
    def by(cls, error: ScopeError, visit: Visit) -> GateRefusal:
        """`visit`, refused by `error`."""
        return cls(
            contract=visit.contract,
            signed=visit.signed,
            action=visit.action,
            target=visit.target,
            code=error.code,
            message=error.message,
            clause=error.clause,
            would_pass=error.would_pass,
        )


class Granted(_Wire, frozen=True, kw_only=True):
    """An action that is booked. `permit` is also the idempotency key for the server behind the gate."""

    permit: str
    contract: Digest
    provider: Did
    action: str
    target: str
    clause: str
    amounts: Mapping[str, Amount] = {}


class Done(_Wire, frozen=True, kw_only=True):
    """How a booked action ended."""

    permit: str
    happened: bool


class AnswerToSign(_Wire, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to a request under a contract, to be signed."""

    contract: Digest
    method: str
    url: str
    fields: Headers
    """Those of the request that say for which contract it is made, what its body is, and who signed it."""
    status: int
    content_type: str | None = None
    body_sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    """Hexadecimal; of nothing, if the answer has no body."""


class No(_Wire, frozen=True, kw_only=True):
    """A refusal on its way to a gate, which is the hirer's own: it hears the reason, too."""

    code: str
    message: str
    clause: str
    would_pass: str


class DeskAnswer(_Wire, frozen=True, kw_only=True, omit_defaults=True):
    """Any answer of the routes."""

    provider: Did | None = None
    keys: ContractKeys | None = None
    granted: Granted | None = None
    fields: Headers = ()
    refused: No | None = None


class Desk(Protocol):
    """What a gate asks the hirer's peer.

    Every method may raise TransportError (`unreachable`, `timeout`) or LedgerError: then nothing is to be done.
    """

    async def keys(self, contract: Digest, keyid: str | None = None) -> ContractKeys | None:
        """Who may sign under `contract`; None unless the peer is the hirer of such a contract and it is not over.
        `keyid` is what a request names as its key, where it was not among them: it may be new.

        Raises:
            VerificationError: The provider's DID document is none any more.
        """
        ...

    async def admit(self, ask: Ask) -> Granted:
        """Books the action, if the contract allows it now; a no is recorded.

        Raises:
            ScopeError: As `Gate.admit`.
            ProofError: `replayed`, the nonce was used, at this gate or at another one of the hirer.
            VerificationError: `key_not_authorized`, the provider took the key out of its DID document.
        """
        ...

    async def enter(self, visit: Visit) -> None:
        """Returns if the contract is in force: a request that asks for no action may go on. A no is recorded.

        Raises:
            UndersignedError: As `admit`.
        """
        ...

    async def refused(self, turned: GateRefusal) -> None:
        """Records what a gate refused by its own rules, as the refusals of `admit` are."""
        ...

    async def sign(self, heard: AnswerToSign) -> Headers:
        """The fields that sign an answer as the hirer's.

        Raises:
            ScopeError: `contract_expired`, no contract of this name is known any more.
            ProofError, FormatError: The request is not a signed one, or the answer cannot be signed.
        """
        ...

    async def done(self, permit: str, *, happened: bool) -> None:
        """Settles what was booked, or gives it back because it is known not to have happened. What is never settled
        stays spent. A permit that is not known changes nothing.
        """
        ...


class GateDesk:
    """The desk of a peer, which is the hirer. A key that the provider took out of its DID document counts for at most
    `KEYS_SECONDS`, and no longer than the peer has read the new document for any other reason.
    """

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._nonces = NonceWindows()
        self._new_keys = NewKeys(agent)
        self._open: OrderedDict[str, tuple[Conversation, Permit]] = OrderedDict()
        self._open_of: Counter[EngagementId] = Counter()

    async def keys(self, contract: Digest, keyid: str | None = None) -> ContractKeys | None:
        """See `Desk.keys`."""
        conversation = self._conversation(contract)
        if conversation is None:
            return None
        provider = conversation.engagement.peer
        grants = self._agent.gate.scope(contract, conversation.offered()).grants
        return ContractKeys(
            contract=contract,
            provider=provider,
            keys={method: key.multikey for method, key in (await self._keys(provider, keyid)).items()},
            actions=tuple(sorted({grant.action for grant in grants})),
        )

    async def admit(self, ask: Ask) -> Granted:
        """See `Desk.admit`."""
        conversation = await self._party(ask)
        action = Action(name=ask.action, target=ask.target, amounts=ask.amounts, facts=ask.facts)
        signed = ask.signed
        request = (signed.keyid, signed.nonce) if signed is not None else None
        permit = await self._agent.admit(conversation, action, request=request)
        self._open[permit.id] = conversation, permit
        self._open_of[conversation.id] += 1
        if self._open_of[conversation.id] > OPEN_OF_ONE_CONTRACT:
            self._given_up(next(id for id, (of, _) in self._open.items() if of.id == conversation.id))
        elif len(self._open) > OPEN_PERMITS:
            self._given_up(next(iter(self._open)))
        return Granted(
            permit=permit.id,
            contract=ask.contract,
            provider=conversation.engagement.peer,
            action=ask.action,
            target=ask.target,
            clause=permit.decision.clause,
            amounts=ask.amounts,
        )

    async def enter(self, visit: Visit) -> None:
        """See `Desk.enter`."""
        conversation = await self._party(visit)
        action = Action(name=visit.action, target=visit.target)
        above, known = self._agent.above, None
        while known != (now := (conversation.engagement.state, above.working(conversation))):
            known = now  # looking up what others say takes a while
            await self._agent.gate.enter(visit.contract, conversation.offered(), now[0], action)

    async def refused(self, turned: GateRefusal) -> None:
        """See `Desk.refused`."""
        await self._party(turned)
        error = ScopeError(turned.code, turned.message, clause=turned.clause, would_pass=turned.would_pass)
        await self._agent.gate.refuse(turned.contract, Action(name=turned.action, target=turned.target), error)

    async def sign(self, heard: AnswerToSign) -> Headers:
        """See `Desk.sign`. Nothing is signed but an answer, with the tag of answers: it is a request nowhere."""
        if self._conversation(heard.contract) is None:
            raise ScopeError("contract_expired", "no contract of this name", clause="contract")
        identity = self._agent.identity
        draft = draft_answer(
            Response(
                heard.status,
                (("Content-Type", heard.content_type),) if heard.content_type is not None else (),
                Request(heard.method, heard.url, heard.fields),
            ),
            bytes.fromhex(heard.body_sha256),
            identity.method,
            identity.kind,
            now=self._agent.clock.now(),
        )
        return draft.fields(await identity.sign(draft.to_sign))

    async def done(self, permit: str, *, happened: bool) -> None:
        """See `Desk.done`."""
        if permit not in self._open:
            return
        conversation, held = self._given_up(permit)
        if happened:
            conversation.journal.settle(held.used())
        else:
            await self._agent.gate.release(held)

    def _given_up(self, permit: str) -> tuple[Conversation, Permit]:
        conversation, held = self._open.pop(permit)
        self._open_of[conversation.id] -= 1
        if not self._open_of[conversation.id]:
            del self._open_of[conversation.id]
        return conversation, held

    def _conversation(self, contract: Digest) -> Conversation | None:
        found = self._agent.conversations.contracts.get(contract)
        return found if found is not None and found.engagement.role == "hirer" else None

    async def _keys(self, provider: Did, keyid: str | None = None) -> dict[DidUrl, PublicKey]:
        document = await self._new_keys.document_of(provider, keyid, KEYS_SECONDS)
        return document.keys("authentication", now=self._agent.clock.now())

    async def _party(self, visit: Visit) -> Conversation:
        """The engagement of the contract, once it is known that its provider asks, and for the first time.

        The key is looked at again, because the gate may have known it for a while.
        """
        conversation, signed = self._conversation(visit.contract), visit.signed
        if conversation is None or (
            signed is not None and conversation.engagement.peer != signed.keyid.partition("#")[0]
        ):
            raise ScopeError("contract_expired", "no contract in force of this name and party", clause="contract")
        if signed is not None:
            if signed.keyid not in await self._keys(conversation.engagement.peer):
                raise VerificationError("key_not_authorized", f"{signed.keyid[:160]!a} is no key of the provider")
            if not self._nonces.first(visit.contract, signed.keyid, signed.nonce, self._agent.clock.now()):
                raise ProofError("replayed", f"the nonce {signed.nonce!r} of {signed.keyid} was used before")
        return conversation

    @property
    def routes(self) -> Mapping[tuple[str, str], Route]:
        """What a listener for gates serves."""
        return {
            ("POST", "/gate/whose"): self._whose_route,
            ("POST", "/gate/keys"): _judged(self._keys_route),
            ("POST", "/gate/admit"): _judged(self._admit_route),
            ("POST", "/gate/enter"): _judged(self._enter_route),
            ("POST", "/gate/refused"): _judged(self._refused_route),
            ("POST", "/gate/sign"): _judged(self._sign_route),
            ("POST", "/gate/done"): self._done_route,
        }

    async def _whose_route(self, body: JsonObject) -> ControlAnswer:
        conversation = self._conversation(to_struct(body, _Contract).contract)
        return _said(DeskAnswer(provider=conversation.engagement.peer if conversation is not None else None))

    async def _keys_route(self, body: JsonObject) -> ControlAnswer:
        asked = to_struct(body, _Contract)
        return _said(DeskAnswer(keys=await self.keys(asked.contract, asked.keyid)))

    async def _admit_route(self, body: JsonObject) -> ControlAnswer:
        granted = await self.admit(to_struct(body, Ask))
        # A gate that did not wait for the answer has asked no server.
        return _said(DeskAnswer(granted=granted), partial(self.done, granted.permit, happened=False))

    async def _enter_route(self, body: JsonObject) -> ControlAnswer:
        await self.enter(to_struct(body, Visit))
        return _said(DeskAnswer())

    async def _refused_route(self, body: JsonObject) -> ControlAnswer:
        await self.refused(to_struct(body, GateRefusal))
        return _said(DeskAnswer())

    async def _sign_route(self, body: JsonObject) -> ControlAnswer:
        return _said(DeskAnswer(fields=await self.sign(to_struct(body, AnswerToSign))))

    async def _done_route(self, body: JsonObject) -> ControlAnswer:
        done = to_struct(body, Done)
        await self.done(done.permit, happened=done.happened)
        return _said(DeskAnswer())


class _Contract(_Wire, frozen=True, kw_only=True):
    contract: Digest
    keyid: str | None = None


def _said(said: DeskAnswer, unheard: Callable[[], Awaitable[None]] | None = None) -> ControlAnswer:
    return ControlAnswer(200, msgspec.to_builtins(said), unheard)


def _judged(route: Route) -> Route:
    """The route, whose no is an answer as well."""

    async def answer(body: JsonObject) -> ControlAnswer:
        try:
            return await route(body)
        except (ScopeError, VerificationError) as error:
            no = No(
                code=error.code,
                message=error.message,
                clause=str(error.detail.get("clause") or ""),
                would_pass=str(error.detail.get("would_pass") or ""),
            )
            return _said(DeskAnswer(refused=no))

    return answer
