"""What a command leaves in the state folder for the peer that runs there to carry out, and what becomes of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from uuid import uuid4

import msgspec

from undersigned.errors import CODES, ConfigurationError, LocalProtocolError, UndersignedError
from undersigned.ledger import Summary, surely_unwritten
from undersigned.protocol import ENDED
from undersigned.runtime import Answered, ContractOrder, Home, leave_order, take_back

from .interrupts import ended_gently
from .output import WAITS, Out, reading, summary_named
from .words import plain

__all__ = ["named_in", "ordered", "require_done", "require_whole"]

WAIT_SECONDS = 10.0
"""How long the running peer may take."""
LOOK_SECONDS = 0.05
TAKEN: Final = "the peer has taken it and not answered: it is carried out once, see 'contract show'"


async def ordered(out: Out, home: Home, order: ContractOrder, act: str, said: Callable[[Answered], int]) -> int:
    """Leaves an order and waits for what becomes of it, which `said` tells. Programs know what was ordered as `act`.

    Raises:
        ConfigurationError: `not_found`: there is no such contract or negotiation.
        LocalProtocolError: `wrong_state`: it is over.
    """
    if surely_unwritten(home.ledger_url):
        return await _nobody(out, home, order, act)
    with ended_gently():
        answer = leave_order(home.orders, uuid4().hex, order)
        try:
            answered = await _heard(answer)
        except asyncio.CancelledError:
            # Left there it would be carried out by whichever peer starts next, days later too.
            if not take_back(answer):
                _unanswered(out, order, act, TAKEN, taken=True)
            raise
    if answered is None:
        if take_back(answer):
            return await _nobody(out, home, order, act)
        return _unanswered(out, order, act, TAKEN, taken=True)
    if answered.code == "not_found":
        await _require_in_progress(home, order)
    return said(answered)


async def _heard(answer: Path) -> Answered | None:
    """What became of an order; None if nobody said so in time."""
    ends = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < ends:
        if answer.exists():
            answered = msgspec.json.decode(answer.read_bytes(), type=Answered)
            answer.unlink()
            return answered
        await asyncio.sleep(LOOK_SECONDS)
    return None


def require_done(said: Answered, hint: str = "") -> None:
    """Returns if an order was carried out.

    Raises:
        UndersignedError: It was not; `hint` is told as well.
    """
    if not said.ok:
        raise UndersignedError(said.code if said.code in CODES else "internal", said.message + hint)


async def require_whole(home: Home, engagement: str) -> None:
    """Returns if it is the id of an engagement in the ledger, in whole.

    Raises:
        ConfigurationError: `not_found`; `bad_configuration`: it is a part, or a contract's.
    """
    found = await named_in(home, engagement)
    if engagement != found.engagement:
        text = f"who ends a negotiation names it in whole: {found.engagement}"
        raise ConfigurationError("bad_configuration", text)


async def named_in(home: Home, name: str) -> Summary:
    """The engagement of this name, as the ledger has it.

    Raises:
        ConfigurationError: `not_found`.
    """
    async with reading(home) as ledger:
        return await summary_named(ledger, name)


async def _nobody(out: Out, home: Home, order: ContractOrder, act: str) -> int:
    """What is said where no peer runs; that it should be started only if it could then do something."""
    await _require_in_progress(home, order)
    text = "no peer runs here that could carry it out: start 'serve', then say it again"
    return _unanswered(out, order, act, text, taken=False)


def _unanswered(out: Out, order: ContractOrder, act: str, text: str, *, taken: bool) -> int:
    """What a peer has `taken` is not to be said again."""
    about = {"engagement": order.engagement} if order.contract is None else {"contract": order.contract}
    out.value({"act": act, **about, "ok": False, "code": "timeout", "taken": taken, "message": text})
    out.line(text, style="yellow")
    return WAITS


async def _require_in_progress(home: Home, order: ContractOrder) -> None:
    name = order.contract or order.engagement or ""
    state = (await named_in(home, name)).state
    if state in ENDED:
        see = (
            "contract show" if order.contract is not None else "watch --no-follow"
        )  # of a negotiation there is no other
        text = f"{plain(name, 100)} is {state}: nothing of it is left to be done, see '{see}'"
        raise LocalProtocolError("wrong_state", text)
