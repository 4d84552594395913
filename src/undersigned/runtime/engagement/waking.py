"""What wakes one engagement: what comes to it, what is asked of it here, and time; and how it is laid to rest.

Nothing is done here: it is put into the inbox, and the task that does it is started or roused.

Source: protocol-spec/05-negotiation.md
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from undersigned.encoding import Instant, shift
from undersigned.errors import LocalProtocolError
from undersigned.protocol import PUT_AWAY, Engagement, pending, wake_at

from .alarm import NOTHING, Alarm
from .inbox import Arrived, Inbox, Item, Wish
from .pace import progress_seconds
from .receiving import Receiver
from .turn import Say, noting

if TYPE_CHECKING:
    from undersigned.runtime.agent.shell import Shell

__all__ = ["Wakeful", "closing_error"]

REST_SECONDS = 5
"""So long nothing happens in a negotiation until it is laid to rest."""


class Wakeful(Receiver, ABC):
    """One side of an engagement, as far as it is woken.

    A negotiation in which nothing happens is laid to rest, because a peer may hold thousands: the task ends, and what
    the moves said is left to the journal. Whatever comes, from outside or by time, starts the task again.
    """

    # They are more than instances share a table for, and without it each would hold 1.3 KB of its own.
    __slots__ = (
        "_alarm",
        "_due",
        "_loop",
        "_reconnected",
        "_served",
        "_signs_up_to",
        "_stopped",
        "_task",
        "inbox",
        "over",
        "resting",
    )

    def __init__(self, shell: Shell, engagement: Engagement) -> None:
        super().__init__(shell, engagement)
        self._loop = asyncio.get_running_loop()
        self.inbox = Inbox(self._loop)
        self.over = False
        self.resting = False
        """Whether the task has ended until something comes."""
        self._stopped = False
        """Whether this side is closing, so that no turn is to come."""
        self._alarm = Alarm(self._loop)
        self._due: tuple[Engagement | None, Instant | None] = (None, None)
        """What the last commit said of when to look again, and for which state."""
        self._served: frozenset[str] = NOTHING
        """Keys of the effects that are done with."""
        self._reconnected = False
        self._signs_up_to = float("-inf")
        """Time of the loop until which the `Progress` that came use up what may come."""
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def _run(self) -> None:
        """The task: a turn after the other, until the engagement is over or laid to rest."""

    # ------------------------------------------------------------------ from outside

    def start(self) -> None:
        """Starts the task; it ends by itself when the engagement is over."""
        if self._task is None:
            self._task = self._loop.create_task(self._run(), name=f"engagement {self.id[-8:]}")

    def post(self, item: Item) -> None:
        """Puts something into the inbox."""
        if isinstance(item, Arrived) and item.message.message.type == "Progress":
            self._signs_up_to = max(self._signs_up_to, self._loop.time()) + progress_seconds(self.engagement)
        self.inbox.items.append(item)
        self._rouse()

    def hears_progress(self) -> bool:
        """Whether a `Progress` is taken now. There is room for one more than its time allows: what a carrier was slow
        with comes close before the next.
        """
        return self._signs_up_to <= self._loop.time() + progress_seconds(self.engagement)

    async def ask(self, make: Callable[[Engagement], Say | None]) -> None:
        """Has the conversation say something, and returns when it is stored.

        Raises:
            LocalProtocolError: It is not legal now, the engagement is over, or this side is closing.
        """
        if self.over:
            raise self._ended()
        if self._stopped:
            raise closing_error()
        done: asyncio.Future[None] = self._loop.create_future()
        self.post(Wish(make, done))
        await done

    def say(self, said: Say) -> Awaitable[None]:
        """As `ask`, of what is said wherever the engagement stands."""
        return self.ask(lambda _: said)

    async def settled(self) -> None:
        """Returns once the turn that is under way is stored, and all that came before.

        Raises:
            LocalProtocolError: The engagement is over, or this side is closing.
        """
        done = None if self._stopped else self.inbox.join()
        if done is None:
            await self.ask(lambda _: None)
            return
        await done
        if self.over:
            raise self._ended()

    async def reconsider(self, said: Say) -> None:
        """Notes what somebody outside decided and, in the same turn, decides again what had to wait for it.

        Raises:
            LocalProtocolError: As `ask`.
        """

        def make(_: Engagement) -> Say:
            self._served = frozenset([key for key in self._served if not key.startswith("owe-")]) or NOTHING
            return said

        await self.ask(make)

    def asks_again(self, key: str) -> None:
        """Has what is pending under this key done anew, as soon as it is pending."""
        self._served -= {key}
        self._rouse()

    def put_away(self) -> None:
        """Asks for no receipt of its end any more; what is owed to the other side stands in the ledger."""
        done: asyncio.Future[None] = self._loop.create_future()
        done.add_done_callback(lambda _: done.cancelled() or done.exception())  # it may be over by then
        self.post(Wish(lambda _: noting(("done", PUT_AWAY)), done))

    async def stop(self) -> None:
        """Ends the task, once what was being committed is; nothing else is said. Whoever asked hears so."""
        task, self._task, self.resting, self._stopped = self._task, None, False, True
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self.inbox.fail(closing_error())
        self._alarm.cancel()

    def reconnected(self) -> None:
        """A connection to the peer was opened: whenever the next turn is made, our position goes first."""
        self._reconnected = True

    def greet(self) -> None:
        """Says our position now, unless it was said since the connection was opened."""
        if self._reconnected:
            self._rouse()

    # ------------------------------------------------------------------ waking and resting

    def _rouse(self) -> None:
        """Something came: there is a turn to be made."""
        self.inbox.rouse()
        if self.resting:
            self.resting = False
            self._alarm.cancel()  # it knows nothing of the next rest
            self.start()

    def _rests_at(self) -> Instant | None:
        """When it may be laid to rest, if nothing happens until then; under a contract never. What ended rests, too,
        until its peer says that it knows: nothing makes a peer say so, and each would be held for a day.
        """
        engagement = self.engagement
        if engagement.contract is not None or not self.journal.places:
            return None
        return shift(engagement.last_at or "", REST_SECONDS)

    def _idle(self) -> bool:
        """Whether it is time, and nothing came while the last turn looked."""
        rests_at = self._rests_at()
        return rests_at is not None and rests_at <= self.shell.clock.now() and not self.inbox.called

    def _rest(self) -> None:
        """Lets go of the task and of all that the journal gives again."""
        self.resting = True
        self._task = None
        self.forget()
        self.journal.forget()
        self._due = (None, None)
        self._documents.forget()
        # What an effect's key stood for is over once nothing asks for the effect.
        asked = pending(self.engagement, self.shell.clock.now())
        self._served = frozenset(effect.key for effect in asked if effect.key in self._served) or NOTHING
        self.shell.rests(self.id)
        self._set_alarm()

    def _set_alarm(self) -> None:
        """Has the next turn made once something is due, unless the alarm rings early enough to be set then."""
        of, due = self._due
        if of is not self.engagement:
            due = wake_at(self.engagement, self.shell.clock.now())
        if self._alarm.rings_by(due):
            return
        now = self.shell.clock.now()
        if due is not None and due <= now:
            due = wake_at(self.engagement, now)
        self._alarm.set(self.shell.clock, self._rouse, due, None if self.resting else self._rests_at())

    def _ended(self) -> LocalProtocolError:
        return LocalProtocolError("wrong_state", f"{self.id} is over: {self.engagement.state}")


def closing_error() -> LocalProtocolError:
    """What is said to whoever begins something on a side that is closing."""
    return LocalProtocolError("connection_closed", "this side is closing")
