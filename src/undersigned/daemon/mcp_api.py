"""The gate of a running peer, on its control listener: for gates that run as processes of their own.

Such a process holds no key, resolves no DID and opens no ledger. It asks the peer, who knows what state a contract is
in, whether the provider's credentials still hold, and what was used; and who books, and records refusals, in one
ledger.

Source: protocol-spec/15-mcp-gate.md, section 15.6
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
import structlog

from undersigned.bridges.http_signatures import NonceWindow, Request, VerifiedRequest, claimed_key, verify_request
from undersigned.encoding import DidUrl, Digest, Instant, JsonObject, JsonValue, to_struct
from undersigned.errors import LocalProtocolError, ScopeError, UndersignedError
from undersigned.runtime import Agent, Conversation, Permit, Say
from undersigned.scope import Action

from .control import Answer, Route

__all__ = ["McpApi"]

MAX_PERMITS: Final = 10_000
"""Open at a time, of all gates. What is forgotten stays booked: it counts as used."""
_log: Final = structlog.get_logger("undersigned.gate")


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A request of a gate."""


class _Requester(_Body, frozen=True):
    method: str
    url: str
    """The target URI, by the gate's own origin."""
    headers: tuple[tuple[str, str], ...]
    body_sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")] | None = None
    """Hexadecimal; absent: no body."""


class _Contract(_Body, frozen=True):
    contract: Digest


class _Asked(_Body, frozen=True):
    name: str
    target: str
    amounts: Mapping[str, str] = {}
    facts: Mapping[str, str] = {}


class _Admit(_Body, frozen=True):
    contract: Digest
    action: _Asked


class _Refused(_Body, frozen=True):
    contract: Digest
    asked: Annotated[str, msgspec.Meta(max_length=400)]
    code: str
    clause: str
    reason: Annotated[str, msgspec.Meta(max_length=1000)]


class _Permit(_Body, frozen=True):
    permit: str


class McpApi:
    """The routes of one agent's gate. Only contracts that it gave as hirer are asked about here."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._nonces = NonceWindow()
        self._permits: dict[str, tuple[Digest, Permit]] = {}

    @property
    def routes(self) -> Mapping[tuple[str, str], Route]:
        """What answers which request."""
        return {
            ("POST", "/gate/requester"): self._requester,
            ("POST", "/gate/contract"): self._contract,
            ("POST", "/gate/admit"): self._admit,
            ("POST", "/gate/refused"): self._refused,
            ("POST", "/gate/settle"): self._settle,
            ("POST", "/gate/release"): self._release,
        }

    async def _requester(self, body: JsonObject) -> Answer:
        """Whose request this is, by its signature: 401 with a code if it is nobody's who may ask."""
        asked = to_struct(body, _Requester)
        request = Request(asked.method, asked.url, asked.headers, bytes.fromhex(asked.body_sha256 or "") or None)
        try:
            verified = await self._verified(request)
            signer = verified.keyid.partition("#")[0]
            found = self._provided(verified.contract, signer)
        except UndersignedError as error:
            _log.warning("a request at a gate is refused", url=asked.url[:200], error=str(error)[:500])
            code = error.code if error.row.told == "at once" or error.code == "replayed" else "proof_invalid"
            if isinstance(error, ScopeError):
                return _no(error, 403)
            return Answer(401, {"code": code})
        return Answer(
            200, {"contract": verified.contract, "provider": signer, "actions": self._actions(verified.contract, found)}
        )

    async def _verified(self, request: Request) -> VerifiedRequest:
        signer = claimed_key(request).partition("#")[0]
        # Only parties of our engagements are looked up: a stranger has nobody resolve a DID of its choice.
        if not any(c.engagement.peer == signer for c in self._agent.conversations.values()):
            raise ScopeError("contract_expired", f"{signer} is a party of no engagement here", clause="contract")
        document = await self._agent.document_of(signer)

        def first(method: DidUrl, nonce: str) -> bool:
            return self._nonces.first(method, nonce, self._agent.clock.now())

        return verify_request(
            request,
            lambda method: document.key_for(method, "authentication"),
            now=self._agent.clock.now(),
            fresh=first,
        )

    def _provided(self, contract: Digest, provider: str | None = None) -> Conversation:
        """The engagement of a contract that we gave, to `provider` if one is named.

        Raises:
            ScopeError: `contract_expired`; whoever is no party does not learn whether the contract exists.
        """
        found = self._agent.conversation_of(contract)
        if found is None or found.engagement.role != "hirer" or provider not in (None, found.engagement.peer):
            raise ScopeError("contract_expired", "no contract in force of this name and party", clause="contract")
        return found

    async def _contract(self, body: JsonObject) -> Answer:
        """Who works under a contract, and which actions its grants name."""
        asked = to_struct(body, _Contract)
        try:
            found = self._provided(asked.contract)
        except ScopeError as error:
            return _no(error, 403)
        return Answer(200, {"provider": found.engagement.peer, "actions": self._actions(asked.contract, found)})

    def _actions(self, contract: Digest, found: Conversation) -> list[JsonValue]:
        """The actions that the grants of the contract name."""
        grants = self._agent.gate.scope(contract, found.offered()).grants
        return [*sorted({grant.action for grant in grants})]

    async def _admit(self, body: JsonObject) -> Answer:
        """A permit, booked before it is given; or 403 with the clause and what would pass, recorded."""
        asked = to_struct(body, _Admit)
        action = Action(**msgspec.structs.asdict(asked.action))
        try:
            found = self._provided(asked.contract)
            document = found.offered()
            permit = await self._agent.gate.admit(
                asked.contract, document, found.engagement.state, action, until=document.terms.deadlines.until
            )
        except ScopeError as error:
            _log.warning("the gate refuses", contract=asked.contract, action=action.name, error=str(error))
            return _no(error, 403)
        if len(self._permits) >= MAX_PERMITS:
            del self._permits[next(iter(self._permits))]
        self._permits[permit.id] = asked.contract, permit
        return Answer(200, {"permit": permit.id, "clause": permit.decision.clause})

    async def _refused(self, body: JsonObject) -> Answer:
        """Records what a gate refused by its own rules, before anybody had to be asked."""
        asked = to_struct(body, _Refused)
        error = ScopeError(asked.code, asked.reason, clause=asked.clause)
        await self._record(asked.contract, asked.asked, "", error)
        return Answer(200, {})

    async def _settle(self, body: JsonObject) -> Answer:
        """What was admitted was done. A permit that is not known (any more) stays booked, which is as much."""
        contract, permit = self._permits.pop(to_struct(body, _Permit).permit, (None, None))
        found = self._agent.conversation_of(contract) if contract is not None else None
        if found is not None and permit is not None:
            found.settle(permit.used())
        return Answer(200, {})

    async def _release(self, body: JsonObject) -> Answer:
        """What was admitted is known not to have been done."""
        _, permit = self._permits.pop(to_struct(body, _Permit).permit, (None, None))
        if permit is not None:
            await self._agent.gate.release(permit)
        return Answer(200, {})

    async def _record(self, contract: Digest, action: str, target: str, error: ScopeError) -> None:
        """A refusal leaves a record: what was asked, and the clause that said no."""
        found = self._agent.conversation_of(contract)
        if found is None:
            return  # no engagement in whose journal it could stand; it is in the log
        at: Instant = self._agent.clock.now()
        record: dict[str, Any] = {
            "action": action,
            "target": target,
            "code": error.code,
            "clause": error.detail.get("clause"),
            "reason": error.message,
            "at": at,
        }
        text = msgspec.json.encode(record).decode()
        try:
            await found.ask(lambda _: Say("", {}, facts=(("refused-action", text),)))
        except LocalProtocolError as exc:
            _log.warning("a refusal is not recorded: the engagement is over", contract=contract, error=str(exc))


def _no(error: ScopeError, status: int) -> Answer:
    detail = error.detail
    told: JsonObject = {
        "code": error.code,
        "clause": str(detail.get("clause") or "scope"),
        "reason": error.message[:1000],
        "wouldPass": str(detail.get("would_pass") or ""),
    }
    return Answer(status, told)
