"""One client's way through the gate of an MCP server: what it sends is read, asked for, booked, and answered.

Booked before it goes on, settled when the server answered, given back only where the server cannot have seen it.

Source: protocol-spec/15-mcp-gate.md, section 15.5
"""

from __future__ import annotations

from typing import Final

import structlog

from undersigned.bridges.gates import ContractKeys
from undersigned.bridges.mcp import Dropped, Exchange, ToClient, ToServer
from undersigned.bridges.mcp_answers import RequestId
from undersigned.bridges.mcp_rules import Rules
from undersigned.errors import FormatError, ScopeError, UndersignedError, VerificationError

from .gate_desk import Ask, RequestSigner, Visit
from .gating import Gatekeeper

__all__ = ["Passage"]

_log: Final = structlog.get_logger("undersigned.gates")


class Passage:
    """An `Exchange` of who works under a contract. `signed` is whose request it is, where each one is signed."""

    def __init__(
        self,
        keeper: Gatekeeper,
        keys: ContractKeys,
        rules: Rules,
        signed: RequestSigner | None = None,
        *,
        in_session: bool = False,
    ) -> None:
        self._keeper = keeper
        self._contract = keys.contract
        self._signed = signed
        self._exchange = Exchange(rules, keys.actions, in_session=in_session)

    async def from_client(self, raw: bytes) -> ToServer | ToClient | Dropped:
        """What becomes of a message of the client; a `ToServer` is let in, and booked if it asks for an action.

        Raises:
            VerificationError: `replayed`, `key_not_authorized`: the peer knows more of the signature than the gate.
        """
        step = self._exchange.from_client(raw)
        if isinstance(step, ToServer) and step.lists:
            await self._renew()
        elif isinstance(step, ToClient) and step.unnamed:
            await self._renew()
            step = self._exchange.from_client(raw)
        if isinstance(step, ToServer):
            return await self._let_in(step)
        if isinstance(step, Dropped):
            _log.warning("dropped from the client", contract=self._contract, why=step.why)
        if step.refused is not None:
            asked = step.asked if isinstance(step, ToClient) else step.why
            await self._keeper.turned(self._visit(asked), step.refused)
        return step

    async def _renew(self) -> None:
        """Asks what the grants name now: the contract may have been amended since."""
        try:
            keys = await self._keeper.desk.keys(self._contract)
        except UndersignedError as error:
            _log.warning("the gate could not ask what is granted now", contract=self._contract, error=str(error))
            return
        if keys is not None:
            self._exchange.grants(keys.actions)

    async def _let_in(self, step: ToServer) -> ToServer | ToClient | Dropped:
        try:
            if step.asks is None:
                await self._keeper.desk.enter(self._visit(step.method))
                self._exchange.let_in(step)
                return step
            granted = await self._keeper.desk.admit(Ask.of(self._contract, self._signed, step.asks))
        except ScopeError as error:
            # The peer has recorded it.
            return self._exchange.refuse(step, error)
        except VerificationError:
            raise
        except UndersignedError as error:
            _log.error("the gate could not ask, and refuses", contract=self._contract, error=str(error))
            return self.fail(step.id, "status_unavailable") or Dropped("nobody could be asked")
        self._exchange.let_in(step, granted.permit)
        return step

    async def from_server(self, raw: bytes) -> ToServer | ToClient | Dropped:
        """What becomes of a message of the server; a `ToServer` answers a request of its own."""
        try:
            step = self._exchange.from_server(raw)
        except FormatError as exc:
            return self._dropped(f"not read: {exc}")
        if isinstance(step, Dropped):
            return self._dropped(step.why)
        if isinstance(step, ToClient) and step.permit is not None:
            self._keeper.done(step.permit)
        return step

    def not_sent(self, step: ToServer) -> ToClient | None:
        """`step` never reached the server: what was booked for it is given back. The answer to the client."""
        permit = self._exchange.permit(step.id) if step.id is not None else None
        if permit is not None:
            self._keeper.done(permit, happened=False)
        return self.fail(step.id, "upstream_failed")

    def fail(self, id: RequestId | None, code: str) -> ToClient | None:
        """The server does not answer `id`; what was booked for it stays booked. None if it was answered."""
        return self._exchange.fail(id, code) if id is not None else None

    @property
    def open(self) -> tuple[RequestId, ...]:
        """Requests that the server has not answered."""
        return self._exchange.open

    def _visit(self, asked: str) -> Visit:
        return Visit(contract=self._contract, signed=self._signed, action=asked, target="")

    def _dropped(self, why: str) -> Dropped:
        _log.warning("dropped from the server", contract=self._contract, why=why)
        return Dropped(why)
