"""One engagement while it runs: the folded state, and the one task that does what is pending.

A turn takes what came, folds it, does what that makes due, and commits all of it in one transaction: journal rows,
position, outbox, effects, evidence. Only then do messages leave. Nothing that failed to commit was ever sent, and a
message that came is not acknowledged before it is stored.

Source: protocol-spec/05-negotiation.md and 10-security.md, "Order of storing and sending"
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

import structlog

from undersigned.encoding import Instant, shift
from undersigned.errors import LedgerConflict, LedgerError, LocalProtocolError, ScopeError, UndersignedError
from undersigned.ledger import Summary
from undersigned.protocol import (
    START,
    Acknowledge,
    Cascade,
    Effect,
    Engagement,
    Finished,
    Free,
    Missed,
    Offered,
    Owe,
    Repeat,
    Reserve,
    Tabled,
    Work,
    begin,
    missed_since,
    pending,
)
from undersigned.runtime.untaken import Untaken

from .inbox import Arrived, Item, Wish, fail
from .loading import load_engagement
from .outgoing import require_suite
from .receiving import STATING
from .told import told_of_decision
from .turn import Declined, Say, Turn, noting
from .waking import Wakeful

if TYPE_CHECKING:
    from undersigned.runtime.agent.shell import Shell

__all__ = ["Conversation"]

_log = structlog.get_logger()

LATE_SECONDS = 5
"""So much later than it should a turn begins only where this side stood still: its store, its machine or its clock."""
HEARING_SECONDS = 60
"""So long a side that was not there to hear waits for what the other said in time: twice the longest pause between two
attempts to dial.
"""
BY_THE_CLOCK = frozenset(("deadline", "silence", "no_ruling"))
"""Why a contract, or its dispute, ends because nothing came in time."""
RETRY_SECONDS = 1.0
"""Between attempts while the store does not take anything."""
LOOK_SECONDS = 10
"""So long before an offer ends, and what it held is free, its owner looks a last time whether to seal."""


class Conversation(Wakeful):
    """One engagement and its task."""

    __slots__ = ("_hears_until", "_mute", "_untaken", "full")

    def __init__(self, shell: Shell, engagement: Engagement) -> None:
        """An engagement of which nothing is stored yet."""
        super().__init__(shell, engagement)
        self._hears_until: Instant = ""
        """Until when what was said while this side was not there to hear may still be under way; empty if it was."""
        self._mute = False
        """Whether the operator was told that nothing can be signed in this engagement."""
        self.full = ""
        """Why there was no room, or no money, for what was decided last; empty if there was."""
        self._untaken: Untaken | None = None
        """What the store refuses now, one turn after the other."""

    @classmethod
    async def stored(cls, shell: Shell, summary: Summary) -> Conversation:
        """An engagement that the ledger holds.

        Raises:
            LedgerError: `store_corrupt`.
        """
        conversation = cls(shell, begin("hirer", shell.identity.did, summary.peer, summary.engagement))
        await conversation._load(summary)
        conversation._hears_until = shift(shell.clock.now(), HEARING_SECONDS)
        return conversation

    async def _load(self, summary: Summary) -> None:
        loaded = await load_engagement(self.shell.ledger, summary, self.shell.identity.did)
        self.engagement = loaded.engagement
        self.journal.read(loaded, live=summary.live)
        self.recall(loaded)

    @property
    def untaken(self) -> LedgerError | None:
        """Why our own store does not take what comes next; None while it does."""
        return self._untaken.error if self._untaken is not None else None

    # ------------------------------------------------------------------ the task

    async def _run(self) -> None:
        # What came during the last turn is answered as what comes later: a stored move or a refusal, never silence.
        inbox = self.inbox
        while not self.over or inbox.arrived:
            items = inbox.take()
            greets, self._reconnected = self._reconnected, False
            try:
                await self._turn(items, greets)
            except LedgerConflict as error:
                # Somebody else wrote to this engagement: what was decided here was decided on an old position.
                _log.warning("decided on an old position", engagement=self.id, error=str(error))
                self._undo(items, greets)
                before = self.journal.places
                await self._reload()
                if self.journal.places == before:
                    await asyncio.sleep(RETRY_SECONDS)  # nothing new to decide on
                continue
            except LedgerError as error:
                self._untaken = self._untaken or Untaken(self.id)
                self._untaken.refused(error)
                self._undo(items, greets)
                await asyncio.sleep(RETRY_SECONDS)
                await self._look_again(items)
                continue
            except ScopeError as error:
                # The store has the last word on what is left; decide again, knowing that it is too little.
                _log.info("no room for what was decided", engagement=self.id, error=str(error))
                self._undo(items, greets)
                if self.full:
                    await asyncio.sleep(RETRY_SECONDS)  # it was known, and there is nothing else to say
                # What is only paused has room again once it goes on: what is decided anew waits for that.
                self.full = "" if error.retryable else error.message
                continue
            except Exception as exc:
                # A defect of ours must not stop this engagement for good, nor be tried for ever on the same input.
                if not (isinstance(exc, LocalProtocolError) and exc.code == "suite_not_allowed"):
                    _log.exception("a turn failed", engagement=self.id)
                elif not self._mute:  # it is tried on; only a start brings another key
                    self._mute = True
                    _log.error("nothing can be said", engagement=self.id, error=str(exc))
                self._undo([], greets)
                fail(items, exc if isinstance(exc, UndersignedError) else UndersignedError("internal", repr(exc)))
                # What came is stored, and has its receipt: nobody says it again to have us try again.
                self._alarm.put_off(self._alarm.next_attempt(self.shell.clock.now()))
                await asyncio.sleep(RETRY_SECONDS)
            else:
                if not self._alarm.again_at:
                    self._alarm.fails_since = ""
                if self._untaken is not None:
                    self._untaken.taken()
                    self._untaken = None
            inbox.end_turn(items)
            if not inbox.items and not self.over:
                if not items and not greets and self._idle():
                    self._rest()
                    return
                self._set_alarm()
                if not inbox.called:
                    await inbox.roused()
        self._alarm.cancel()  # or it would hold all this until it rings
        inbox.fail(self._ended())

    def _undo(self, items: list[Item], greets: bool) -> None:
        """Goes back to what is stored; `items` are looked at again."""
        self.go_back()
        self.inbox.put_back(items)
        self._reconnected = self._reconnected or greets

    async def _look_again(self, items: list[Item]) -> None:
        """After a sync error nobody knows whether the commit stands. If it does, nothing of it is done twice."""
        try:
            stands = await self.journal.stands(self.id, self.shell.ledger)
        except LedgerError:
            return  # the next turn fails the same way, and looks again
        if stands:
            await self._reload()
            self.inbox.end_turn(items)

    async def _reload(self) -> None:
        """Goes on from what the ledger holds; nothing more is to be done if it holds the end."""
        try:
            summary = await self.shell.ledger.summary(self.id)
            if summary is None:
                return
            await self._load(summary)
            self._documents.look_again()
            self.shell.stored(self.engagement, ())
        except LedgerError as error:
            _log.error("the store cannot be read", engagement=self.id, error=str(error))
            await asyncio.sleep(RETRY_SECONDS)  # until then every commit is refused for its position
            return
        if not summary.live:
            self.over = True
            self.shell.finished(self)

    # ------------------------------------------------------------------ a turn

    async def _turn(self, items: list[Item], greets: bool) -> None:
        turn = self.journal.turn(self.engagement, self.shell.clock.now())
        turn.over = self.over  # what came during the last turn opens nothing again
        self._unsaid = None
        alarm = self._alarm
        if alarm.again_at and turn.now >= alarm.again_at:
            self._served -= alarm.take_up()
        if greets:
            await self._reconnect(turn)
        if self.forgot and not all(isinstance(item, Arrived) and item.message.message.notice for item in items):
            await self._read_back()
        for item in items:
            if isinstance(item, Arrived):
                await self._receive(turn, item)
            else:
                await self._say_wished(turn, item)
        if turn.now > alarm.rings_at:
            self._note_absence(turn)
        turn = await self._do_pending(turn)
        if turn.engagement.state == START and (turn.engagement.role == "provider" or self.journal.places):
            turn.over = True  # what should have opened it was refused, now or before
        elif not self.journal.live and not turn.durable:
            turn.over = True  # it was over before, and has answered what came
        if self.journal.kept_back and not items and not greets and self._idle():
            turn.durable = True  # it is laid to rest, and no next turn is near
        await self._commit(turn)
        if self.engagement.state == START and self.engagement.role == "provider":
            # What came meanwhile may be what opens it: then it is not put away before that is answered.
            self.over = not self.inbox.arrived
        if self.over:
            self.shell.finished(self)
        elif self._unsaid is not None:
            raise self._unsaid

    async def _do_pending(self, turn: Turn) -> Turn:
        """Does all that is due and was not done before; the turn to be committed, which is another one where a part had
        to be stored first.
        """
        if not self.journal.live and not turn.durable:
            # It was put away, and has answered what came. Two sides that then did what they have still to do, each
            # time anything is heard of the other, would answer each other for ever: nothing keeps that it was done.
            return turn
        asked: Engagement | None = None
        left: Iterator[Effect] = iter(())
        unsaid = ""
        while True:
            if turn.engagement is not asked:
                asked = turn.engagement
                left = iter(pending(asked, turn.now))
            for effect in left:
                if effect.key not in self._served and effect.key not in turn.served and effect.key != unsaid:
                    break
            else:
                break
            if turn.leaves and isinstance(effect, Owe) and not STATING.isdisjoint(effect.moves):
                # A seal states the place of the leaf, and a closing a log with it: so the leaf is stored first.
                await self._commit(turn)
                turn = self.journal.turn(self.engagement, self.shell.clock.now())
            turn.served.add(effect.key)
            if self.forgot and isinstance(effect, Owe | Reserve | Free | Missed | Finished):
                await self._read_back()
            match effect:
                case Owe() if self._hears_until and self._listens(turn, effect):
                    self._alarm.put_off(self._hears_until, effect.key)
                case Owe():
                    try:
                        await self._do_owed(turn, effect)
                    except (LedgerError, ScopeError):
                        raise
                    except Exception:
                        turn.served.discard(effect.key)
                        await self._commit(turn)  # whatever keeps us from an answer, what came is stored
                        raise
                case Reserve():
                    turn.book(await self.shell.book(self, turn.engagement, effect))
                case Free():
                    if self.journal.live:  # what is over gave it back with its end
                        turn.book(await self.shell.book(self, turn.engagement, effect))
                case Finished():
                    if self.journal.live:
                        turn.book(await self.shell.book(self, turn.engagement, effect))
                    turn.over = True
                    turn.durable = turn.durable or self.journal.live
                    break
                case Acknowledge(of=of):
                    await self._say(turn, Say("Receipt", {"of": of, "received_at": turn.now}))
                    if self._unsaid is not None:  # it is tried again, if it does not end meanwhile
                        turn.served.discard(effect.key)
                        unsaid = effect.key
                case Work():
                    self.shell.worker.begin(self, effect)
                case Repeat(digest=digest):
                    await self._repeat(turn, digest)
                case Missed(since=since):
                    if self.facts.get("missed-heartbeat") != since:  # after a restart it is asked for again
                        await self._say(turn, noting(("missed-heartbeat", since)))
                case Cascade():
                    self.shell.cascade(self, effect)
        return turn

    def _note_absence(self, turn: Turn) -> None:
        """After a start, or when nothing was done here for a while, what the other side said meanwhile may still be
        under way: only from now on does a provider's silence count (HIRE-LIF-24), and nothing ends at once for a time
        that passed.
        """
        rings_at = self._alarm.rings_at
        away = not rings_at or turn.now > shift(rings_at, LATE_SECONDS)
        if away and rings_at:
            self._hears_until = shift(turn.now, HEARING_SECONDS)
        beat = missed_since(turn.engagement) if away else None
        if beat is not None and turn.now >= beat[1]:
            self._note(turn, noting(("listening", turn.now)))

    def _listens(self, turn: Turn, owed: Owe) -> bool:
        """Whether it ends something because nothing came in time, and what did may still be under way."""
        ends = owed.reason in BY_THE_CLOCK and turn.engagement.state != "closing"
        return ends and turn.now < self._hears_until

    async def _say_wished(self, turn: Turn, item: Wish) -> None:
        if item.done.done():
            return
        try:
            said = item.make(turn.engagement)
            if said is not None:
                await self._say(turn, said)
        except UndersignedError as error:
            if not item.done.done():
                item.done.set_exception(error)
            return
        turn.done.append(item.done)

    async def _do_owed(self, turn: Turn, owed: Owe) -> None:
        """Decides and says it. What was decided and cannot be said, such as terms of no form, ends the negotiation as
        what could not be decided: it would be decided again, and for ever.
        """
        require_suite(self.shell.identity, turn.engagement.talks)  # or it would be decided, and not said, every minute
        try:
            said = await self.shell.decide(self, turn.engagement, owed)
        except LedgerError:
            raise
        except UndersignedError as error:
            said = self._undecided(turn, owed, error)
        if said is None:
            return
        try:
            await self._say(turn, said)
        except UndersignedError as error:
            instead = None if error.retryable or said.type == "Withdraw" else self._undecided(turn, owed, error)
            if instead is None:
                raise
            await self._say(turn, instead)

    def _undecided(self, turn: Turn, owed: Owe, error: UndersignedError) -> Say | None:
        """The `Withdraw` for what could not be decided; None where it is decided later, or there is nothing to end."""
        live = turn.engagement.offer if owed.about is None else turn.engagement.tabled
        again = self._later(owed, live, error)
        if error.retryable or not isinstance(error, Declined):  # else it was decided, and is a no
            if "person" not in error.detail:  # who decided as well
                _log.warning(
                    "nothing could be decided", engagement=self.id, moves=owed.moves, error=str(error), again=again
                )
            turn.event("refused", owed.moves[0], detail=str(error), code=error.code)
        if again is not None:
            self._alarm.put_off(again, owed.key)
            return None
        if "Withdraw" not in owed.moves:
            return None
        return told_of_decision(owed, live.digest if live is not None else None, error)

    def _later(self, owed: Owe, live: Offered | Tabled | None, error: UndersignedError) -> Instant | None:
        """When to decide anew what is owed; None if it is not, and a `Withdraw` says so where there is one."""
        if not error.retryable:
            return None
        now = self.shell.clock.now()
        failed_before, again = self._alarm.fails_since, self._alarm.next_attempt(now)
        if "Withdraw" not in owed.moves:
            return again  # nothing else can be said, and only what others do makes an end of it
        if "Seal" not in owed.moves or live is None:
            return None if failed_before else again  # nobody is bound yet; who only starts anew is back by then
        last = shift(live.valid_until, -LOOK_SECONDS)
        return min(again, last) if now < last else None

    # ------------------------------------------------------------------ storing

    async def _commit(self, turn: Turn) -> None:
        """Writes the turn, then sends what it says. A turn of receipts alone waits for the next one."""
        if turn.durable:
            due = await self.journal.write(turn, self.shell.ledger, self.shell.secret)
            self._due = turn.engagement, due
            self.shell.stored(turn.engagement, turn.evidence)
        else:
            self.journal.keep_back(turn)
        self.engagement = turn.engagement
        self.mark()
        if turn.documents:
            self._documents.stored(turn)
        if turn.notices:
            self.journal.notices |= turn.notices
        if turn.served:
            self._served |= turn.served
        if turn.booked.later:
            await self.shell.bookings.pools.give_back(turn.booked.later)
        self.over = turn.over
        self.full = ""
        for raw in turn.sends:
            await self.shell.deliver(self.engagement.peer, raw)
        for done in turn.done:
            if not done.done():
                done.set_result(None)
        for event in turn.events:
            self.shell.happened(self, event)
