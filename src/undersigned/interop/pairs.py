"""Implementations hire each other: every pair, in both roles, over their own connections.

We only tell the hirer to hire, and hold what both tell afterwards against each other: where it ended, the moves of
both, the contract, what is owed, and each message that they kept.

Source: protocol-spec/harness.md, "Matrix"
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, cast

import msgspec
from msgspec import to_builtins
from msgspec.structs import replace

from undersigned.encoding import Did, Instant, JsonObject
from undersigned.errors import UndersignedError
from undersigned.messages import recorded_message
from undersigned.protocol import ROLES
from undersigned.runtime import parse_price

from .back_channel import BackChannel
from .failures import Failure, Silent
from .programs import Instance
from .report import MATRIX_FORMAT

__all__ = ["HIRES", "Cell", "Hired", "Order", "matrix_report", "play_pairs"]

CONTENT: Final = b"A report of one line.\n"
CENT: Final = "0.01"
PAUSE_SECONDS: Final = 0.1
OVER: Final = ("withdrawn", "closed")
SHARED: Final = ("state", "contract", "basis", "owed")
"""What both have to tell alike, where both tell it."""
Outcome = Literal["passed", "failed", "left out"]


class Order(msgspec.Struct, frozen=True):
    """One way to hire."""

    id: str
    title: str
    opening: str = ""
    """Amount of the first offer; empty for the price."""
    most: str = ""
    """Amount that is paid at most; empty for the price of the provider's entry."""
    ends: tuple[str, ...] = OVER
    """In which of these states it is over."""


HIRES: Final = (
    Order("whole", "At the price: closed books", ends=("closed",)),
    Order("counter", "The first offer is of a cent: they agree on the price, or part", opening=CENT),
    Order("too-little", "No more than a cent is paid: they part", most=CENT, ends=("withdrawn",)),
)
"""What each pair does."""


class Hired(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one hire."""

    order: Order
    outcome: Outcome
    detail: str = ""
    silent: bool = False
    """A hook could not be reached, or said nothing that could be judged."""
    engagement: str = ""
    state: str = ""
    moves: int = 0
    """Of both."""
    seconds: float = 0.0


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one pair."""

    hirer: str
    provider: str
    outcome: Outcome
    detail: str = ""
    hires: tuple[Hired, ...] = ()
    transcript: tuple[Mapping[str, Any], ...] = ()
    """What both kept, line by line."""

    @property
    def name(self) -> str:
        """As it stands in names of files."""
        return f"{self.hirer}--{self.provider}"


async def play_pairs(
    instances: Sequence[Instance],
    *,
    local: bool,
    seconds: float,
    at_a_time: int = 2,
    done: Callable[[Cell], None] = lambda _: None,
) -> tuple[Cell, ...]:
    """Has every implementation hire every one, itself included; `seconds` for one hire. Row by row. With `local` a hook
    may be plain http to loopback.
    """
    hirers = [one for one in instances if one.role in (None, "hirer")]
    providers = [one for one in instances if one.role in (None, "provider")]
    gate = asyncio.Semaphore(at_a_time)

    async def one(hirer: Instance, provider: Instance) -> Cell:
        async with gate:
            cell = await _Pair(hirer, provider, local, seconds).play()
        done(cell)
        return cell

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(hirer, provider)) for hirer in hirers for provider in providers]
    return tuple(task.result() for task in tasks)


class _Pair:
    """One hirer and one provider."""

    def __init__(self, hirer: Instance, provider: Instance, local: bool, seconds: float) -> None:
        self._hirer, self._provider, self._seconds = hirer, provider, seconds
        self._at = {
            role: BackChannel(one.hook, one.token, seconds, local=local) if one.hook else None
            for role, one in zip(ROLES, (hirer, provider), strict=True)
        }
        self._transcript: list[Mapping[str, Any]] = []

    async def play(self) -> Cell:
        """Each way to hire, at the same time."""
        hirer, provider = self._hirer, self._provider
        blank = Cell(hirer=hirer.entry.name, provider=provider.entry.name, outcome="left out")
        for role, one in (("hirer", hirer), ("provider", provider)):
            if one.trouble:
                return replace(blank, outcome="failed", detail=f"the {role}: {one.trouble}")
        if self._at["hirer"] is None:
            return replace(blank, detail="the hirer has no hook, by which it is told to hire")
        if hirer is provider:
            return replace(blank, detail="there is one instance, which does not hire itself")
        hires = await asyncio.gather(*(self._hire(order, self._at["hirer"]) for order in HIRES))
        failed = [f"{one.order.id}: {one.detail}" for one in hires if one.outcome == "failed"]
        self._transcript.sort(key=lambda line: [order.id for order in HIRES].index(str(line["hire"])))
        return replace(
            blank,
            outcome="failed" if failed else "passed",
            detail="; ".join(failed),
            hires=tuple(hires),
            transcript=tuple(self._transcript),
        )

    async def _hire(self, order: Order, channel: BackChannel) -> Hired:
        began = time.monotonic()
        engagement, told = "", dict[str, dict[str, Any]]()
        outcome, detail, silent = cast("Outcome", "passed"), "", False
        try:
            engagement = str((await channel.ask("POST", "/hire", self._body(order))).get("id"))
            await self._followed(engagement, told)
            _agreed(order, told)
        except Failure as end:
            outcome, detail, silent = "failed", str(end), isinstance(end, Silent)
        for role in told:
            self._keep(order, role, told[role])
        of = told.get("hirer", {})
        return Hired(
            order=order,
            outcome=outcome,
            detail=detail,
            silent=silent,
            engagement=engagement,
            state=str(of.get("state", "")),
            moves=sum(len(_heads(of, role)) for role in ROLES),
            seconds=time.monotonic() - began,
        )

    def _body(self, order: Order) -> dict[str, Any]:
        entry = self._provider.entry
        price = parse_price(entry.price)
        most = {"amount": order.most or price.amount, "currency": price.currency}
        return {
            "provider": self._provider.did,
            "url": self._provider.url,
            "task": entry.task,
            "inputs": {entry.input: base64.b64encode(CONTENT).decode()},
            "price": most,
            "criteria": {"delivered": "It is delivered"},
            **({"opening": {**most, "amount": order.opening}} if order.opening else {}),
        }

    async def _followed(self, engagement: str, told: dict[str, dict[str, Any]]) -> None:
        """Asks both until it is over for both.

        Raises:
            Failure: It is not in time, or a hook does not say.
        """
        until = time.monotonic() + self._seconds
        while True:
            for role, channel in self._at.items():
                if channel is not None and told.get(role, {}).get("over") is not True:
                    try:
                        told[role] = await channel.ask("GET", f"/hires/{engagement}")
                    except Silent:
                        raise
                    except Failure:
                        if time.monotonic() > until or role == "hirer":
                            raise  # the provider may not have heard of it yet
            if told and all(one.get("over") is True for one in told.values()) and told.keys() >= self._telling():
                return
            if time.monotonic() > until:
                stand = ", ".join(f"{role} {told[role].get('state')} {told[role].get('problems')}" for role in told)
                raise Failure(f"not over within {self._seconds:g} s: {stand}")
            await asyncio.sleep(PAUSE_SECONDS)

    def _telling(self) -> set[str]:
        return {role for role, channel in self._at.items() if channel is not None}

    def _keep(self, order: Order, role: str, told: Mapping[str, Any]) -> None:
        line: dict[str, Any] = {"hire": order.id, "keptBy": role}
        self._transcript.append({**line, "told": {name: told[name] for name in told if name != "messages"}})
        self._transcript += [{**line, "text": text} for text in _texts(told)]


def _heads(told: Mapping[str, Any], role: str) -> list[str]:
    of = told.get("heads")
    found = cast("dict[str, Any]", of).get(role) if isinstance(of, dict) else None
    return [str(one) for one in cast("list[Any]", found)] if isinstance(found, list) else []


def _texts(told: Mapping[str, Any]) -> list[str]:
    found = told.get("messages")
    return [str(one) for one in cast("list[Any]", found)] if isinstance(found, list) else []


def _agreed(order: Order, told: Mapping[str, Mapping[str, Any]]) -> None:
    """Returns if both tell one story, and the one that was wanted.

    Raises:
        Failure: They do not.
    """
    for role, one in told.items():
        if one.get("state") not in order.ends:
            raise Failure(f"the {role} says {one.get('state')} {one.get('withdrawn', '')}".rstrip())
        kept = {digest for text in _texts(one) if (digest := _digest(role, text))}
        moves = {digest for of in ROLES for digest in _heads(one, of)}
        if not moves:
            raise Failure(f"the {role} tells no moves")
        if "messages" in one and moves - kept:
            raise Failure(f"the {role} names moves that it did not keep: {len(moves - kept)}")
    hirer = told["hirer"]
    lost = [name for name, data in dict(hirer.get("artifacts") or {}).items() if data is None]
    if lost:
        raise Failure(f"the hirer has not what was delivered: {', '.join(lost)}")
    for other in (one for role, one in told.items() if role != "hirer"):
        for role in ROLES:
            if _heads(hirer, role) != _heads(other, role):
                raise Failure(f"the moves of the {role} differ")
        for name in SHARED:
            if name in hirer and name in other and hirer[name] != other[name]:
                raise Failure(f"{name} differs: hirer {hirer[name]}, provider {other[name]}")


def _digest(role: str, text: str) -> str:
    """The digest of a message that was kept.

    Raises:
        Failure: It is none.
    """
    try:
        return recorded_message(text.encode("utf-8", "surrogatepass")).digest
    except UndersignedError as error:
        raise Failure(f"the {role} keeps what is no message: {error.message} ({error.code})") from error


def matrix_report(
    cells: Iterable[Cell], instances: Iterable[Instance], *, version: str, began: Instant, ended: Instant
) -> JsonObject:
    """`interop.json`, without a proof."""
    played = tuple(cells)
    peers: dict[str, dict[str, Any]] = {}
    for one in instances:
        dids: list[Did] = peers.setdefault(one.entry.name, {"version": one.version, "dids": []})["dids"]
        dids += [one.did] if one.did else []
    value: Mapping[str, Any] = {
        "format": MATRIX_FORMAT,
        "harness": {"name": "undersigned", "version": version},
        "began": began,
        "ended": ended,
        "peers": [{"name": name, **of} for name, of in peers.items()],
        "passed": all(one.outcome != "failed" for one in played) and any(one.outcome == "passed" for one in played),
        "cells": [_told(one) for one in played],
    }
    return dict(value)


def _told(cell: Cell) -> Mapping[str, Any]:
    return {
        "hirer": cell.hirer,
        "provider": cell.provider,
        "outcome": cell.outcome,
        "detail": cell.detail,
        **({"transcript": f"transcripts/{cell.name}.jsonl"} if cell.transcript else {}),
        "hires": [
            {
                **to_builtins(one.order, str_keys=True),
                "outcome": one.outcome,
                "detail": one.detail,
                "engagement": one.engagement,
                "state": one.state,
                "moves": one.moves,
                "milliseconds": round(1000 * one.seconds),
            }
            for one in cell.hires
        ],
    }
