"""One client's way through the gate of an MCP server: what it sends is read, asked for, booked, and answered.

Booked before it goes on, settled when the server answered, released only where the server cannot have seen it.

Source: protocol-spec/15-mcp-gate.md, section 15.5
"""

from __future__ import annotations

from typing import Final

import structlog

from undersigned.bridges.mcp import Dropped, Exchange, ToClient, ToServer
from undersigned.bridges.mcp_answers import RequestId
from undersigned.bridges.mcp_rules import Rules
from undersigned.errors import FormatError, ScopeError, UndersignedError

from .mcp_desk import McpDesk, Requester

__all__ = ["Passage"]

_log: Final = structlog.get_logger("undersigned.gate")


class Passage:
    """An `Exchange` of one requester, with the peer that is asked for it."""

    def __init__(self, desk: McpDesk, requester: Requester, rules: Rules) -> None:
        self._desk = desk
        self._contract = requester.contract
        self._exchange = Exchange(rules, requester.actions)

    async def from_client(self, raw: bytes) -> ToServer | ToClient | Dropped:
        """What becomes of a message of the client; a `ToServer` is admitted and may be sent."""
        step = self._exchange.from_client(raw)
        if not isinstance(step, ToServer):
            if isinstance(step, Dropped):
                _log.warning("dropped from the client", contract=self._contract, why=step.why)
            if step.refused is not None:
                asked = step.asked if isinstance(step, ToClient) else step.why
                await self._record(asked, step.refused)
            return step
        if step.asks is None:
            return step
        try:
            permit = await self._desk.admit(self._contract, step.asks)
        except ScopeError as error:
            # The peer has recorded it.
            return self._exchange.refuse(step, error)
        except UndersignedError as error:
            _log.error("the gate could not ask, and refuses", contract=self._contract, error=str(error))
            return self._failed(step, "overloaded")
        self._exchange.admitted(step, permit)
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
            try:
                await self._desk.settle(step.permit)
            except UndersignedError as error:
                # It stays reserved, which counts as used.
                _log.warning("not settled", contract=self._contract, error=str(error))
        return step

    async def not_sent(self, step: ToServer, code: str = "upstream_failed") -> ToClient | None:
        """`step` never reached the server: what was booked for it is given back. The answer to the client."""
        permit = self._exchange.permit(step.id) if step.id is not None else None
        if permit is not None:
            try:
                await self._desk.release(permit)
            except UndersignedError as error:
                _log.warning("not released", contract=self._contract, error=str(error))
        return self.fail(step.id, code)

    def fail(self, id: RequestId | None, code: str) -> ToClient | None:
        """The server does not answer `id`; what was booked for it stays booked. None if it was answered."""
        return self._exchange.fail(id, code) if id is not None else None

    @property
    def open(self) -> tuple[RequestId, ...]:
        """Requests that the server has not answered."""
        return self._exchange.open

    def _failed(self, step: ToServer, code: str) -> ToClient | Dropped:
        return self.fail(step.id, code) or Dropped("answered already")

    def _dropped(self, why: str) -> Dropped:
        _log.warning("dropped from the server", contract=self._contract, why=why)
        return Dropped(why)

    async def _record(self, asked: str, error: ScopeError) -> None:
        try:
            await self._desk.refused(self._contract, asked, error)
        except UndersignedError as failure:
            _log.error("a refusal is not recorded", contract=self._contract, asked=asked, error=str(failure))
