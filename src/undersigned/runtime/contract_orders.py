"""Orders of the owner for a contract, beside the running peer: files in the state folder, as approvals are.

`undersigned contract suspend …` leaves `orders/<name>.json`; the running peer does what it says and leaves
`orders/<name>.answer` beside it. So the ledger keeps its one writer. Whoever can write into the state folder can use
its keys as well, so an order needs no signature of its own.

Source: protocol-spec/07-contract.md, sections 7.9 to 7.11
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import structlog
from msgspec import MsgspecError, Struct, convert

from undersigned.contract import Price, Terms
from undersigned.encoding import Digest, JsonObject, canonicalize
from undersigned.errors import ConfigurationError, UndersignedError

from .anchors import read_document, write_whole
from .conversation import Conversation

if TYPE_CHECKING:
    from .agent import Agent
    from .changes import Changes

__all__ = ["ACTS", "Answered", "ContractOrder", "ContractOrders", "leave_order"]

_log = structlog.get_logger()

LOOK_SECONDS: Final = 0.5
"""Between two looks at the folder."""
MAX_FILES: Final = 64
"""Orders that are looked at in one look."""


class ContractOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be done about one contract."""

    act: str
    """One of `ACTS`."""
    contract: Digest
    body: Mapping[str, Any] = {}
    """Arguments of the method of `Changes`."""


class Answered(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What became of an order."""

    ok: bool
    state: str = ""
    lane: str = ""
    move: Digest | None = None
    """The last move of this side after it."""
    code: str = ""
    message: str = ""


Act = Callable[["Changes", Conversation, dict[str, Any]], Awaitable[object]]


async def _amend(changes: Changes, conversation: Conversation, body: dict[str, Any]) -> None:
    terms = convert(body.pop("terms"), Terms)
    await changes.amend(conversation, lambda _: terms, **body)


async def _release(changes: Changes, conversation: Conversation, body: dict[str, Any]) -> None:
    await changes.release(conversation, convert(body.pop("owed"), Price), **body)


ACTS: Final[Mapping[str, Act]] = MappingProxyType(
    {
        "suspend": lambda changes, conversation, body: changes.suspend(conversation, **body),
        "resume": lambda changes, conversation, body: changes.resume(conversation, **body),
        "revoke": lambda changes, conversation, body: changes.revoke(conversation, **body),
        "breach": lambda changes, conversation, body: changes.claim_breach(conversation, **body),
        "dispute": lambda changes, conversation, body: changes.dispute(conversation, **body),
        "rule": lambda changes, conversation, body: changes.rule(conversation, **body),
        "approve": lambda changes, conversation, body: changes.approve(conversation, **body),
        "amend": _amend,
        "release": _release,
        "accept": lambda changes, conversation, body: changes.accept(conversation, **body),
        "decline": lambda changes, conversation, body: changes.decline(conversation, **body),
    }
)
"""What can be ordered, by name."""


def leave_order(folder: Path, name: str, order: ContractOrder) -> Path:
    """Puts an order where the running peer finds it; the path at which its answer will be."""
    body: JsonObject = {"act": order.act, "contract": order.contract, "body": dict(order.body)}
    write_whole(folder / f"{name}.json", canonicalize(body))
    return folder / f"{name}.answer"


def _answer(file: Path, raw: bytes) -> None:
    """Answers an order, and takes it away: the answer first, so that none is carried out without one."""
    write_whole(file.with_suffix(".answer"), raw)
    with suppress(OSError):
        file.unlink()


class ContractOrders:
    """The orders left for one agent."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._folder = agent.home.orders

    async def run(self) -> None:
        """Looks for orders, for ever."""
        while True:
            for file in sorted(self._folder.glob("*.json"))[:MAX_FILES]:
                try:
                    await self._take(file)
                except Exception as error:
                    # One that cannot be carried out must not keep the others from it.
                    _log.error("an order was not carried out", file=str(file), error=repr(error))
            await asyncio.sleep(LOOK_SECONDS)

    async def _take(self, file: Path) -> None:
        try:
            answer = await self._carried_out(convert(read_document(file), ContractOrder))
        except UndersignedError as error:
            answer = Answered(ok=False, code=error.code, message=error.message)
        except (MsgspecError, TypeError) as error:
            answer = Answered(ok=False, code="bad_configuration", message=f"an order that cannot be read: {error}")
        _log.info("order for a contract", file=file.name, ok=answer.ok, code=answer.code)
        said = {name: value for name in answer.__struct_fields__ if (value := getattr(answer, name)) is not None}
        _answer(file, canonicalize(said))

    async def _carried_out(self, order: ContractOrder) -> Answered:
        act, conversation = ACTS.get(order.act), self._agent.conversation_of(order.contract)
        if act is None:
            raise ConfigurationError("bad_configuration", f"no such order: {order.act[:40]!a}")
        if conversation is None:
            raise ConfigurationError("not_found", f"no contract {order.contract} is performed here")
        await act(self._agent.changes, conversation, dict(order.body))
        engagement = conversation.engagement
        return Answered(ok=True, state=engagement.state, lane=engagement.lane, move=engagement.sent[-1])
