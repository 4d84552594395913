"""Orders of the owner for a contract, beside the running peer: files in the state folder, as approvals are.

`undersigned contract suspend …` leaves `orders/<name>.json`; the running peer takes it (`.taken`), does what it says
and leaves `orders/<name>.answer` beside it. So the ledger keeps its one writer. Only the user of the state folder can
write into `orders/`, and can use its keys as well, so an order needs no signature of its own.

An order is carried out once: its name is noted in the transaction of the move that it makes. A peer that was killed
between that and the answer finds the name in the journal and answers with what was done then.

Source: protocol-spec/07-contract.md, sections 7.9 to 7.11
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

import structlog
from msgspec import MsgspecError, Struct, convert

from undersigned.contract import Price, Terms
from undersigned.encoding import Digest, EngagementId, JsonObject, canonicalize, in_words
from undersigned.errors import ConfigurationError, LedgerError, UndersignedError
from undersigned.ledger import Row
from undersigned.runtime.engagement.conversation import Conversation
from undersigned.runtime.files import write_whole
from undersigned.runtime.home.anchors import read_document

from .changes import Changes

if TYPE_CHECKING:
    from undersigned.runtime.base import AgentBase

__all__ = ["ACTS", "Answered", "ContractOrder", "ContractOrders", "leave_order", "take_back"]

_log = structlog.get_logger()

LOOK_SECONDS: Final = 0.5
"""Between two looks at the folder."""
ENDING_SECONDS: Final = 1.0
"""An order that is being carried out when the peer ends may take so long for its answer."""
MAX_FILES: Final = 64
"""Orders that are looked at in one look."""
WITHDRAW: Final = "withdraw"


class ContractOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be done about one contract, or about a negotiation, of which there is none yet."""

    act: str
    """One of `ACTS`."""
    contract: Digest | None = None
    engagement: EngagementId | None = None
    """Of a negotiation, in place of its contract."""
    body: Mapping[str, Any] = {}
    """Arguments of the method of `Changes`."""


class Answered(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What became of an order."""

    ok: bool
    state: str = ""
    lane: str = ""
    move: Digest | None = None
    """The move that was made."""
    code: str = ""
    message: str = ""


async def _amend(changes: Changes, conversation: Conversation, *, terms: object, **body: Any) -> None:
    new = convert(terms, Terms)
    await changes.amend(conversation, lambda _: new, **body)


async def _release(changes: Changes, conversation: Conversation, *, owed: object, **body: Any) -> None:
    await changes.release(conversation, convert(owed, Price), **body)


ACTS: Final[Mapping[str, Callable[..., Awaitable[object]]]] = MappingProxyType(
    {
        "suspend": Changes.suspend,
        "resume": Changes.resume,
        "cancel": Changes.cancel,
        "revoke": Changes.revoke,
        "breach": Changes.claim_breach,
        "dispute": Changes.dispute,
        "rule": Changes.rule,
        "judge": Changes.judge,
        "review": Changes.review,
        "approve": Changes.approve,
        "amend": _amend,
        "release": _release,
        "accept": Changes.accept,
        "settle": Changes.settle,
        "decline": Changes.decline,
        WITHDRAW: Changes.withdraw,
    }
)
"""What can be ordered, by name; all but the last about a contract."""


def leave_order(folder: Path, name: str, order: ContractOrder) -> Path:
    """Puts an order where the running peer finds it; the path at which its answer will be."""
    # As closed as the keys are: a state folder that its owner made may let others of a group in.
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    named = {"contract": order.contract} if order.engagement is None else {"engagement": order.engagement}
    body: JsonObject = {"act": order.act, **named, "body": dict(order.body)}
    write_whole(folder / f"{name}.json", canonicalize(body))
    return folder / f"{name}.answer"


def take_back(answer: Path) -> bool:
    """Takes back the order to which this would be the answer; False if the running peer has it already."""
    try:
        answer.with_suffix(".json").unlink()
    except FileNotFoundError:
        return False
    return True


def _taken(file: Path) -> Path | None:
    """Takes an order; None if whoever left it has taken it back."""
    try:
        return file.rename(file.with_suffix(".taken"))
    except FileNotFoundError:
        return None


def _as_left(file: Path) -> tuple[bool, int, str]:
    """Taken ones before others, then by when they were written; their names are random."""
    try:
        written = file.lstat().st_mtime_ns
    except OSError:  # taken back
        written = 0
    return file.suffix != ".taken", written, file.name


def _answer(file: Path, raw: bytes) -> None:
    """Answers an order, and takes it away: the answer first, so that none is carried out without one."""
    write_whole(file.with_suffix(".answer"), raw)
    with suppress(OSError):
        file.unlink()


class ContractOrders:
    """The orders left for one agent."""

    def __init__(self, agent: AgentBase, changes: Changes) -> None:
        self._agent, self._changes = agent, changes
        self._folder = agent.home.orders
        self._under_way: set[str] = set()
        """Names of those that are being carried out."""
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        """Of what is said about one contract more than once, the last word is the one that was said last."""
        self.look_seconds = LOOK_SECONDS

    async def run(self) -> None:
        """Looks for orders, for ever; first for those that the process before this one took and did not answer. Each
        is carried out beside the others: a review may have to fetch what was delivered, for as long as its sender
        likes, and no cancellation or revocation waits for that. The same about the same contract waits: else whoever
        draws it out chooses which of two reviews stands.
        """
        while True:
            for file in self._left():
                if file.stem not in self._under_way:
                    self._under_way.add(file.stem)
                    self._agent.spawn(self._carried_out(file), f"order {file.stem}")
            await asyncio.sleep(self.look_seconds)

    async def _carried_out(self, file: Path) -> None:
        try:
            if (taken := _taken(file)) is not None:
                await self._answered(taken)
        except Exception as error:
            # It stays taken, and the next look tries it again.
            _log.error("an order was not carried out", file=str(file), error=repr(error))
        finally:
            self._under_way.discard(file.stem)

    def _left(self) -> list[Path]:
        """Orders to look at, taken ones first and each as they were left, without those under way, of which each may
        wait for another peer. Every peer looks twice a second, and mostly there are none.
        """
        try:
            names = os.listdir(self._folder)
        except OSError:  # not even a folder
            return []
        found = [self._folder / name for name in names if name.endswith((".taken", ".json"))]
        new = [file for file in found if file.stem not in self._under_way]
        return sorted(new, key=_as_left)[:MAX_FILES]

    async def _answered(self, file: Path) -> None:
        """Carries one out and answers it. What ends a `hire` ends its peer too, and whoever said it would hear nothing:
        so the end waits a moment for the answer.
        """
        taking = asyncio.ensure_future(self._take(file))
        try:
            await asyncio.shield(taking)
        except asyncio.CancelledError:
            await asyncio.wait({taking}, timeout=ENDING_SECONDS)
            if not taking.cancel() and not taking.cancelled() and (error := taking.exception()) is not None:
                _log.error("an order was not carried out", file=str(file), error=repr(error))
            raise

    async def _take(self, file: Path) -> None:
        try:
            answer = await self._once(file.stem, convert(read_document(file), ContractOrder))
        except UndersignedError as error:
            if isinstance(error, LedgerError) and error.retryable:
                raise  # nobody knows whether it stands; it stays taken, and the next look finds out
            answer = Answered(ok=False, code=error.code, message=error.message)
        except (MsgspecError, TypeError, KeyError, ValueError) as error:
            what = f"an order that cannot be read: {in_words(str(error))}"
            answer = Answered(ok=False, code="bad_configuration", message=what)
        _log.info("order for a contract", file=file.name, ok=answer.ok, code=answer.code)
        said = {name: value for name in answer.__struct_fields__ if (value := getattr(answer, name)) is not None}
        _answer(file, canonicalize(said))

    async def _once(self, file: str, order: ContractOrder) -> Answered:
        """Carries it out, unless the journal says that it was."""
        act, key = ACTS.get(order.act), f"order:{file}"
        if act is None:
            raise ConfigurationError("bad_configuration", f"no such order: {order.act[:40]!a}")
        name, conversation = self._named(order)
        async with self._turns.setdefault((order.act, name), asyncio.Lock()):
            if (before := await self._before(key, name)) is not None:
                return before
            if conversation is None:
                what = f"contract {name} is performed" if order.contract else f"negotiation {name} goes on"
                raise ConfigurationError("not_found", f"no {what} here")
            await act(self._changes.noting(key), conversation, **order.body)
            return await self._before(key, name) or Answered(ok=True)

    def _named(self, order: ContractOrder) -> tuple[str, Conversation | None]:
        """What the order names, and the conversation that it is about; None if that is over, or there is none."""
        conversations = self._agent.conversations
        if order.act == WITHDRAW and order.engagement is not None:
            return order.engagement, conversations.get(order.engagement)
        if order.contract is None:
            raise ConfigurationError("bad_configuration", f"an order to {order.act} names a contract")
        return order.contract, conversations.contracts.get(order.contract)

    async def _before(self, key: str, name: str) -> Answered | None:
        """What came of it, by the journal: the move behind the key; None if it was not carried out."""
        for summary in await self._agent.ledger.summaries():
            if name in (summary.contract, summary.engagement):
                rows = await self._agent.ledger.rows(summary.engagement)
                place = next((n for n, row in enumerate(rows) if _notes(row, key)), None)
                if place is None:
                    return None
                move = next(
                    (row.digest for row in rows[place:] if row.kind == "sent" and row.sequence is not None), None
                )
                return Answered(ok=True, state=summary.state, lane=summary.lane, move=move)
        return None


def _notes(row: Row, key: str) -> bool:
    return row.kind == "noted" and row.type == "done" and row.raw == key.encode()
