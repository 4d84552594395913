"""What comes to one conversation, from its peer and from this side's application, and waits for its turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeAlias

import msgspec

from undersigned.did import DidDocument
from undersigned.errors import UndersignedError
from undersigned.messages import Problem, VerifiedMessage
from undersigned.protocol import Engagement

from .turn import Say

__all__ = ["Arrived", "Inbox", "Item", "Wish", "fail"]


class Arrived(msgspec.Struct, frozen=True):
    """A verified message of the peer, with the DID document its proof was checked against."""

    message: VerifiedMessage
    document: DidDocument


class Wish(msgspec.Struct, frozen=True):
    """Something this side's application wants: a move, or facts to note."""

    make: Callable[[Engagement], Say | None]
    """Makes it for the engagement as it stands then; may raise."""
    done: asyncio.Future[None]


Item: TypeAlias = Arrived | Wish


class Inbox:
    """What has had no turn yet, and what the turn has that is under way."""

    __slots__ = ("_loop", "_taken", "_wake", "called", "items")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.items: list[Item] = []
        """In the order in which they came. Who adds one says so to whoever makes the turns."""
        self.called = False
        """Whether something came since the last turn began."""
        self._taken: list[Item] | None = None
        """What the turn that is under way took; None while none is."""
        self._wake: asyncio.Future[None] | None = None

    @property
    def arrived(self) -> bool:
        """Whether a message of the peer waits."""
        return any(isinstance(item, Arrived) for item in self.items)

    def take(self) -> list[Item]:
        """What the turn that begins now has: what came, up to a refusal that is not the first. That may take back what
        a turn says before it, and a place is given up once it is stored (rule N9).
        """
        items, end = self.items, 1
        while end < len(items) and not _refuses(items[end]):
            end += 1
        self.called, self.items, self._taken = False, items[end:], items[:end]
        return self._taken

    def put_back(self, items: list[Item]) -> None:
        """The turn is not stored: `items` of it are looked at again."""
        self._taken = None
        self.items[:0] = items

    def end_turn(self, items: list[Item]) -> None:
        """The turn is stored, and so is what was asked of it; who joined it while it went on waits for no more."""
        self._taken = None
        for item in items:
            if isinstance(item, Wish) and not item.done.done():
                item.done.set_result(None)

    def join(self) -> asyncio.Future[None] | None:
        """Is done with the turn that is under way; None if there is none, or more came since."""
        if self._taken is None or self.items:
            return None
        done: asyncio.Future[None] = self._loop.create_future()
        self._taken.append(Wish(lambda _: None, done))
        return done

    def fail(self, error: UndersignedError) -> None:
        """Tells everybody who waits for a turn that none is to come."""
        fail([*(self._taken or ()), *self.items], error)

    def rouse(self) -> None:
        """There is a turn to be made."""
        self.called = True
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def roused(self) -> asyncio.Future[None]:
        """Is done with the next `rouse`."""
        self._wake = self._loop.create_future()
        return self._wake


def fail(items: Iterable[Item], error: UndersignedError) -> None:
    """Tells whoever asked for something why it did not come to that."""
    for item in items:
        if isinstance(item, Wish) and not item.done.done():
            item.done.set_exception(error)


def _refuses(item: Item) -> bool:
    return isinstance(item, Arrived) and isinstance(item.message.message, Problem)
