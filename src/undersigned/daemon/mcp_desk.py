"""What a gate process asks the running peer, over its control listener.

Whatever keeps the peer from answering is a no: nothing passes a gate that could not ask.

Source: protocol-spec/15-mcp-gate.md, section 15.6
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout

from undersigned.bridges.http_signatures import Headers
from undersigned.encoding import Did, Digest, JsonObject, decode_json
from undersigned.errors import ConfigurationError, FormatError, ProofError, ScopeError, TransportError
from undersigned.scope import Action

__all__ = ["McpDesk", "Requester"]

ASK_SECONDS: Final = 30.0


class Requester(msgspec.Struct, frozen=True):
    """Whose call it is: the provider of a contract, and the actions that the contract's grants name."""

    contract: Digest
    provider: Did
    actions: tuple[str, ...]


class McpDesk:
    """Enter it; it asks the control listener at `url` with `token`."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}

    async def __aenter__(self) -> McpDesk:
        # The environment may name a proxy, and the token is for the peer alone.
        self._session = ClientSession(trust_env=False, timeout=ClientTimeout(total=ASK_SECONDS), headers=self._headers)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def of_contract(self, contract: Digest) -> Requester:
        """The provider of a contract that the peer gave.

        Raises:
            ScopeError: `contract_expired`, no such contract is in force.
            TransportError, ConfigurationError: The peer was not asked.
        """
        said = await self._ask("contract", {"contract": contract})
        return Requester(contract, str(said["provider"]), tuple(said["actions"]))

    async def requester(self, method: str, url: str, headers: Headers, body_sha256: bytes | None) -> Requester:
        """Who signed this HTTP request, and for which contract.

        Raises:
            ProofError: Nobody who may ask; its code is what the requester may hear.
            ScopeError, TransportError, ConfigurationError: As `of_contract`.
        """
        asked: JsonObject = {"method": method, "url": url, "headers": [list(pair) for pair in headers]}
        if body_sha256 is not None:
            asked["bodySha256"] = body_sha256.hex()
        said = await self._ask("requester", asked)
        return Requester(str(said["contract"]), str(said["provider"]), tuple(said["actions"]))

    async def admit(self, contract: Digest, action: Action) -> str:
        """The permit of an action, booked.

        Raises:
            ScopeError: The contract does not allow it; clause and what would pass are in its detail.
            TransportError, ConfigurationError: As `of_contract`.
        """
        asked = {"contract": contract, "action": msgspec.to_builtins(action)}
        return str((await self._ask("admit", asked))["permit"])

    async def refused(self, contract: Digest, asked: str, error: ScopeError) -> None:
        """Records what the gate's own rules refused."""
        clause = str(error.detail.get("clause") or "scope")
        told = {"asked": asked[:400], "code": error.code, "clause": clause, "reason": error.message[:1000]}
        await self._ask("refused", {"contract": contract, **told})

    async def settle(self, permit: str) -> None:
        """What was admitted was done."""
        await self._ask("settle", {"permit": permit})

    async def release(self, permit: str) -> None:
        """What was admitted was not done."""
        await self._ask("release", {"permit": permit})

    async def _ask(self, what: str, body: Any) -> dict[str, Any]:
        try:
            url = f"{self._url}/gate/{what}"
            async with self._session.post(url, json=body, allow_redirects=False) as answer:
                status, raw = answer.status, await answer.read()
            said = decode_json(raw)
        except (ClientError, OSError, TimeoutError, FormatError) as exc:
            raise TransportError("unreachable", f"the peer was not asked at {self._url}: {exc!r}") from exc
        if status == 200 and isinstance(said, dict):
            return said
        told: dict[str, Any] = said if isinstance(said, dict) else {}
        code, why = str(told.get("code", "internal")), str(told.get("reason") or told.get("title") or status)
        if "wouldPass" in told:
            raise ScopeError(code, why, clause=told.get("clause"), would_pass=told["wouldPass"])
        if status == 401 and code != "unauthorized":
            raise ProofError(code, "the request is signed by nobody who may ask")
        if code in ("unauthorized", "forbidden_origin", "bad_path"):
            raise ConfigurationError(code, f"the peer at {self._url} does not take this gate: {why}")
        raise TransportError("unreachable", f"the peer at {self._url} did not answer: {code}: {why}")
