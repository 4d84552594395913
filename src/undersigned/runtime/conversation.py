"""One engagement while it runs: an inbox, the folded state, and the one task that does what is pending.

A turn takes what came, folds it, does what that makes due, and commits all of it in one transaction: journal rows,
position, outbox, effects, evidence. Only then do messages leave. Nothing that failed to commit was ever sent, and a
message that came is not acknowledged before it is stored.

Receipts are kept back until the next commit writes them along: losing one costs a repeat, and a commit for each would
cost as much as a move.

Source: protocol-spec/05-negotiation.md and 10-security.md, "Order of storing and sending"
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec
import structlog

from undersigned.did import DidDocument
from undersigned.encoding import Digest, Instant, digest_bytes, parse_duration, seconds_between, shift
from undersigned.errors import (
    FormatError,
    LedgerConflict,
    LedgerError,
    LocalProtocolError,
    ScopeError,
    UndersignedError,
    VerificationError,
)
from undersigned.ledger import Blob, Committed, Row, Settlement, Summary
from undersigned.messages import (
    Acceptance,
    Closing,
    Offer,
    Problem,
    Progress,
    Receipt,
    Recorded,
    Seal,
    Sync,
    VerifiedMessage,
)
from undersigned.protocol import (
    PUT_AWAY,
    START,
    Acknowledge,
    Cascade,
    Early,
    Effect,
    Engagement,
    Finished,
    Free,
    Missed,
    Offered,
    Owe,
    Received,
    Repeat,
    Reserve,
    Tabled,
    Work,
    begin,
    early,
    judge,
    missed_since,
    pending,
    position,
    wake_at,
)

from .alarm import Alarm
from .pace import progress_seconds
from .remembered import counts
from .saying import Speaker, tells
from .told import told_of_decision, told_of_message
from .turn import EARLY, Say, Turn, load_engagement
from .untaken import Untaken

if TYPE_CHECKING:
    from .shell import Shell

__all__ = ["Arrived", "Asked", "Conversation", "closing_error"]

_log = structlog.get_logger()

MAX_LAZY = 64
"""Notices that are kept back for the next commit. A peer that repeats itself gets its receipts; they are not kept."""
MAX_NOTICES = 1024
"""Notices of the other side, beside `Progress`, that the journal of an engagement keeps."""
REST_SECONDS = 5
"""So long nothing happens in a negotiation until it is laid to rest."""
STATING = (Offer, Acceptance, Seal, Closing)
"""Moves that state the log of who says them."""
STATING_TYPES = frozenset(move.__name__ for move in STATING)
BROUGHT_BY = {"Offer": "/parents", "Review": "/statement", "Ruling": "/ruling"}
"""Where a message has what was checked by the document of another DID."""
NOTHING: frozenset[str] = frozenset()
"""One for all: each empty set takes as much as a set of four."""
LATE_SECONDS = 5
"""So much later than it should a turn begins only where this side stood still: its store, its machine or its clock."""
SIGNS_KEPT = 4
"""As many signs of life are stored in one heartbeat."""
RETRY_SECONDS = 1.0
"""Between attempts while the store does not take anything."""
LOOK_SECONDS = 10
"""So long before an offer ends, and what it held is free, its owner looks a last time whether to seal."""


class Arrived(msgspec.Struct, frozen=True):
    """A verified message of the peer, with the DID document its proof was checked against."""

    message: VerifiedMessage
    document: DidDocument


class Asked(msgspec.Struct, frozen=True):
    """Something this side's application wants: a move, or facts to note."""

    make: Callable[[Engagement], Say | None]
    """Makes it for the engagement as it stands then; may raise."""
    done: asyncio.Future[None]


class Conversation(Speaker):
    """One engagement and its task.

    A negotiation in which nothing happens is laid to rest, because a peer may hold thousands: the task ends, and what
    the moves said is left to the journal. Whatever comes, from outside or by time, starts the task again.
    """

    # They are more than instances share a table for, and without it each would hold 1.3 KB of its own.
    __slots__ = (
        "_alarm",
        "_called",
        "_due",
        "_heard",
        "_inbox",
        "_lazy",
        "_lazy_receipts",
        "_live",
        "_loop",
        "_mark",
        "_places",
        "_reconnected",
        "_served",
        "_settled",
        "_sign_kept",
        "_signs_up_to",
        "_stopped",
        "_stored",
        "_taken",
        "_task",
        "_trying",
        "_untaken",
        "_wake",
        "doubts",
        "forgot",
        "full",
        "head",
        "leaf",
        "over",
        "resting",
    )

    def __init__(self, shell: Shell, engagement: Engagement) -> None:
        """An engagement of which nothing is stored yet."""
        super().__init__(shell, engagement)
        self._loop = asyncio.get_running_loop()
        self.head: Committed | None = None
        """What the last commit made."""
        self.leaf: tuple[bytes, int] | None = None
        """The last leaf of a contract that this process put into the log, and its place there."""
        self.doubts: frozenset[str] = NOTHING
        """Codes of faults that came without a signature."""
        self.over = False
        self.full = ""
        """Why there was no room, or no money, for what was decided last; empty if there was."""
        self.resting = False
        """Whether the task has ended until something comes."""
        self.forgot = False
        """Whether what the moves and facts say is in the journal alone; the next turn that asks for it reads it."""
        self._mark = self.snapshot()
        """What was remembered when the last turn was stored."""
        self._trying = b""
        """The first row of the commit that is under way, or failed last."""
        self._places = 0
        self._stored: tuple[int, int] | None = None
        """The position that the ledger holds."""
        self._inbox: list[Arrived | Asked] = []
        self._taken: list[Arrived | Asked] | None = None
        """What the turn that is under way took from the inbox; None while none is."""
        self._called = False
        """Whether something came since the last turn began."""
        self._stopped = False
        """Whether this side is closing, so that no turn is to come."""
        self._wake: asyncio.Future[None] | None = None
        """What the task waits for, while it does."""
        self._alarm = Alarm(self._loop)
        self._untaken: Untaken | None = None
        """What the store refuses now, one turn after the other."""
        self._due: tuple[Engagement | None, Instant | None] = (None, None)
        """What the last commit said of when to look again, and for which state."""
        self._served: frozenset[str] = NOTHING
        self._settled: list[Settlement] = []
        self._lazy: list[Row] = []
        self._lazy_receipts: list[Digest] = []
        self._reconnected = False
        self._heard: frozenset[Digest] = NOTHING
        self._signs_up_to = float("-inf")
        """Time of the loop until which the `Progress` that came use up what may come."""
        self._sign_kept: Instant = ""
        """When the provider was last heard of, as far as that is stored."""
        self._live = True
        """Whether the ledger holds it as not over."""
        self._task: asyncio.Task[None] | None = None

    @classmethod
    async def stored(cls, shell: Shell, summary: Summary) -> Conversation:
        """An engagement that the ledger holds.

        Raises:
            LedgerError: `store_corrupt`.
        """
        conversation = cls(shell, begin("hirer", shell.identity.did, summary.peer, summary.engagement))
        await conversation._load(summary)
        return conversation

    async def _load(self, summary: Summary) -> None:
        loaded = await load_engagement(self.shell.ledger, summary, self.shell.identity.did)
        self.engagement, self._places, facts, packed, moves, heard = loaded
        self._stored = position(self.engagement) if self._places else None
        self._heard = frozenset(heard) or NOTHING
        self._live = summary.live
        self._sign_kept = _heard_at(self.engagement)
        self._lazy.clear()
        self._lazy_receipts.clear()
        self.recall(moves, facts, packed)
        self._mark = self.snapshot()
        self.forgot = False

    # ------------------------------------------------------------------ from outside

    def recorded(self) -> Recorded:
        """How much beside the moves is stored for the evidence pack, so that the log has it; equal ones are one."""
        *_, packed = self._mark
        decisions = sum(name == "decision" for name, _ in packed)
        return Recorded(decisions=decisions, refusals=len(packed) - decisions)

    def start(self) -> None:
        """Starts the task; it ends by itself when the engagement is over."""
        if self._task is None:
            self._task = self._loop.create_task(self._run(), name=f"engagement {self.id[-8:]}")

    def post(self, item: Arrived | Asked) -> None:
        """Puts something into the inbox."""
        if isinstance(item, Arrived) and isinstance(item.message.message, Progress):
            self._signs_up_to = max(self._signs_up_to, self._loop.time()) + progress_seconds(self.engagement)
        self._inbox.append(item)
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
        self.post(Asked(make, done))
        await done

    async def settled(self) -> None:
        """Returns once the turn that is under way is stored, and all that came before.

        Raises:
            LocalProtocolError: The engagement is over, or this side is closing.
        """
        if self._taken is None or self._inbox or self._stopped:
            await self.ask(lambda _: None)
            return
        done: asyncio.Future[None] = self._loop.create_future()
        self._taken.append(Asked(lambda _: None, done))
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

    def put_away(self) -> None:
        """Asks for no receipt of its end any more; what is owed to the other side stands in the ledger."""
        done: asyncio.Future[None] = self._loop.create_future()
        done.add_done_callback(lambda _: done.cancelled() or done.exception())  # it may be over by then
        self.post(Asked(lambda _: Say("", {}, facts=(("done", PUT_AWAY),)), done))

    def settle(self, settlement: Settlement) -> None:
        """Books what an action used, with the next turn that is stored."""
        self._settled.append(settlement)

    async def stop(self) -> None:
        """Ends the task, once what was being committed is; nothing else is said. Whoever asked hears so."""
        task, self._task, self.resting, self._stopped = self._task, None, False, True
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._fail([*(self._taken or ()), *self._inbox], closing_error())
        self._alarm.cancel()

    @property
    def waiting(self) -> int:
        """How many items are in the inbox."""
        return len(self._inbox)

    def reconnected(self) -> None:
        """A connection to the peer was opened: whenever the next turn is made, our position goes first."""
        self._reconnected = True

    def greet(self) -> None:
        """Says our position now, unless it was said since the connection was opened."""
        if self._reconnected:
            self._rouse()

    # ------------------------------------------------------------------ the task

    async def _run(self) -> None:
        # What came during the last turn is answered as what comes later: a stored move or a refusal, never silence.
        while not self.over or any(isinstance(item, Arrived) for item in self._inbox):
            self._called = False
            items = self._taken = self._take()
            greets, self._reconnected = self._reconnected, False
            try:
                await self._turn(items, greets)
            except LedgerConflict as error:
                # Somebody else wrote to this engagement: what was decided here was decided on an old position.
                _log.warning("decided on an old position", engagement=self.id, error=str(error))
                self._undo(items, greets)
                before = self._places
                await self._reload()
                if self._places == before:
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
                self.full = error.message
                continue
            except Exception as exc:
                # A defect of ours must not stop this engagement for good, nor be tried for ever on the same input.
                _log.exception("a turn failed", engagement=self.id)
                self._undo([], greets)
                self._fail(items, exc if isinstance(exc, UndersignedError) else UndersignedError("internal", repr(exc)))
                # What came is stored, and has its receipt: nobody says it again to have us try again.
                self._alarm.put_off(self._alarm.next_attempt(self.shell.clock.now()))
                await asyncio.sleep(RETRY_SECONDS)
            else:
                if not self._alarm.again_at:
                    self._alarm.fails_since = ""
                if self._untaken is not None:
                    self._untaken.taken()
                    self._untaken = None
            self._taken = None
            for item in items:
                if isinstance(item, Asked) and not item.done.done():
                    item.done.set_result(None)  # it came while the turn went on, and waits for no more than that
            if not self._inbox and not self.over:
                if not items and not greets and self._idle():
                    self._rest()
                    return
                self._set_alarm()
                if not self._called:
                    self._wake = self._loop.create_future()
                    try:
                        await self._wake
                    finally:
                        self._wake = None
        self._alarm.cancel()  # or it would hold all this until it rings
        self._fail(self._inbox, self._ended())

    def _take(self) -> list[Arrived | Asked]:
        """What came, up to a refusal that is not the first: it may take back what a turn says before it, and a place is
        given up once it is stored (rule N9).
        """
        items, end = self._inbox, 1
        while end < len(items) and not _refuses(items[end]):
            end += 1
        self._inbox = items[end:]
        return items[:end]

    def _rouse(self) -> None:
        """Something came: there is a turn to be made."""
        self._called = True
        if self.resting:
            self.resting = False
            self._alarm.cancel()  # it knows nothing of the next rest
            self.start()
        elif self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def _rests_at(self) -> Instant | None:
        """When it may be laid to rest, if nothing happens until then; under a contract never. What ended rests, too,
        until its peer says that it knows: nothing makes a peer say so, and each would be held for a day.
        """
        engagement = self.engagement
        if engagement.contract is not None or not self._places:
            return None
        return shift(engagement.last_at or "", REST_SECONDS)

    def _idle(self) -> bool:
        """Whether it is time, and nothing came while the last turn looked."""
        rests_at = self._rests_at()
        return rests_at is not None and rests_at <= self.shell.clock.now() and not self._called

    def _rest(self) -> None:
        """Lets go of the task and of all that the journal gives again."""
        self.resting = self.forgot = True
        self._task = None
        self.forget()
        self._mark = self.snapshot()
        self._trying = b""
        self._due = (None, None)
        self._documents.forget()
        # What an effect's key stood for is over once nothing asks for the effect.
        asked = pending(self.engagement, self.shell.clock.now())
        self._served = frozenset(effect.key for effect in asked if effect.key in self._served) or NOTHING
        self.shell.rests(self)
        self._set_alarm()

    async def _read_back(self) -> None:
        """Before anything asks what was said: it is read from the journal, where it was left.

        Raises:
            LedgerError: It cannot be read now.
        """
        ledger = self.shell.ledger
        summary = await ledger.summary(self.id)
        if summary is not None:
            loaded = await load_engagement(ledger, summary, self.shell.identity.did)
            self.recall(loaded.moves, loaded.facts, loaded.packed)
        self.forgot = False
        self._mark = self.snapshot()  # nothing of this turn was remembered before

    def _undo(self, items: list[Arrived | Asked], greets: bool) -> None:
        """Goes back to what is stored; `items` are looked at again."""
        self.restore(self._mark)
        self._taken = None
        self._inbox[:0] = items
        self._reconnected = self._reconnected or greets

    async def _look_again(self, items: list[Arrived | Asked]) -> None:
        """After a sync error nobody knows whether the commit stands. If it does, nothing of it is done twice."""
        try:
            rows = await self.shell.ledger.rows(self.id, self._places)
        except LedgerError:
            return  # the next turn fails the same way, and looks again
        if not rows or rows[0].raw != self._trying:
            return
        await self._reload()
        for item in items:
            if isinstance(item, Asked) and not item.done.done():
                item.done.set_result(None)

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

    def _ended(self) -> LocalProtocolError:
        return LocalProtocolError("wrong_state", f"{self.id} is over: {self.engagement.state}")

    def _fail(self, items: list[Arrived | Asked], error: UndersignedError) -> None:
        for item in items:
            if isinstance(item, Asked) and not item.done.done():
                item.done.set_exception(error)

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

    async def _turn(self, items: list[Arrived | Asked], greets: bool) -> None:
        places = self._places + len(self._lazy)
        turn = Turn(self.engagement, self.shell.clock.now(), places, self._stored)
        turn.over = self.over  # what came during the last turn opens nothing again
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
                await self._say_asked(turn, item)
        if turn.now > alarm.rings_at:
            self._note_absence(turn)
        asked: Engagement | None = None
        effects: tuple[Effect, ...] = ()
        while True:
            if turn.engagement is not asked:
                asked = turn.engagement
                effects = pending(asked, turn.now)
            for effect in effects:
                if effect.key not in self._served and effect.key not in turn.served:
                    break
            else:
                break
            if turn.leaves and isinstance(effect, Owe) and not STATING_TYPES.isdisjoint(effect.moves):
                # A seal states the place of the leaf, and a closing a log with it: so the leaf is stored first.
                await self._commit(turn)
                turn = Turn(self.engagement, self.shell.clock.now(), self._places, self._stored)
            turn.served.add(effect.key)
            if self.forgot and isinstance(effect, Owe | Reserve | Free | Missed | Finished):
                await self._read_back()
            match effect:
                case Owe():
                    try:
                        await self._do_owed(turn, effect)
                    except (LedgerError, ScopeError):
                        raise
                    except Exception:
                        turn.served.discard(effect.key)
                        await self._commit(turn)  # whatever keeps us from an answer, what came is stored
                        raise
                case Acknowledge(of=of):
                    await self._say(turn, Say("Receipt", {"of": of, "received_at": turn.now}))
                case Repeat(digest=digest):
                    await self._repeat(turn, digest)
                case Work():
                    self.shell.worker.begin(self, effect)
                case Reserve():
                    turn.book(await self.shell.book(self, turn.engagement, effect))
                case Free():
                    if self._live:  # what is over gave it back with its end
                        turn.book(await self.shell.book(self, turn.engagement, effect))
                case Missed(since=since):
                    if self.facts.get("missed-heartbeat") != since:  # after a restart it is asked for again
                        await self._say(turn, Say("", {}, facts=(("missed-heartbeat", since),)))
                case Cascade():
                    self.shell.cascade(self, effect)
                case Finished():
                    if self._live:
                        turn.book(await self.shell.book(self, turn.engagement, effect))
                    turn.over = True
                    turn.durable = turn.durable or self._live
                    break
        if turn.engagement.state == START and (turn.engagement.role == "provider" or self._places):
            turn.over = True  # what should have opened it was refused, now or before
        elif not self._live and not turn.durable:
            turn.over = True  # it was over before, and has answered what came
        if self._lazy and not items and not greets and self._idle():
            turn.durable = True  # it is laid to rest, and no next turn is near
        await self._commit(turn)
        if self.engagement.state == START and self.engagement.role == "provider":
            # What came meanwhile may be what opens it: then it is not put away before that is answered.
            self.over = not any(isinstance(item, Arrived) for item in self._inbox)
        if self.over:
            self.shell.finished(self)

    def _note_absence(self, turn: Turn) -> None:
        """After a start, or when nothing was done here for a while, what the provider said meanwhile may still be under
        way: only from now on does silence count (HIRE-LIF-24).
        """
        rings_at = self._alarm.rings_at
        away = not rings_at or turn.now > shift(rings_at, LATE_SECONDS)
        beat = missed_since(turn.engagement) if away else None
        if beat is not None and turn.now >= beat[1]:
            turn.fact(self.shell.identity.did, "listening", turn.now)

    async def _say_asked(self, turn: Turn, item: Asked) -> None:
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
        _log.warning("nothing could be decided", engagement=self.id, moves=owed.moves, error=str(error), again=again)
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
        if "Withdraw" not in owed.moves:
            return self._alarm.next_attempt(now)  # nothing else can be said, and only what others do makes an end of it
        if "Seal" not in owed.moves or live is None:
            return None
        last = shift(live.valid_until, -LOOK_SECONDS)
        return min(self._alarm.next_attempt(now), last) if now < last else None

    # ------------------------------------------------------------------ receiving

    async def _receive(self, turn: Turn, item: Arrived) -> None:
        message, body, now = item.message, item.message.message, turn.now
        if message.digest in self._heard or message.digest in turn.notices:
            # A carrier delivered it again. A notice has no place in the chain, so only this keeps it from the journal.
            return
        try:
            before = turn.engagement
            how, after = judge(before, Received(message, now))
            if how == "repeat":
                await self._answer_repeat(turn, message)
                return
            leaf, evidence, brought = None, (), ()
            await self._documents.require(item.document, self.shell.ledger, self.engagement, turn)
            # A ruling and a verdict count although they move nothing; with one that does not hold, no pack holds.
            if how == "applies" or body.type in ("Ruling", "Review"):
                leaf, evidence = await self.shell.check(self, message, item.document, now)
                brought = await self._brought(turn, body.type, evidence)
            # Whatever moves something or not: what it states of a log is stated.
            if isinstance(body, STATING):
                stated = await self.shell.witness.check(body, item.document)
                if stated is not None:
                    turn.seen.append(stated)
            turn.engagement = after
        except LedgerError:
            raise
        except UndersignedError as error:
            await self._refuse(turn, item, error)
            return
        told = not body.notice or isinstance(body, Problem) or tells(before, after)
        # A peer may say for ever what lets us know a little more, and no pack holds that: past so many it is heard, and
        # only what takes a move back is kept. `Progress` has a limit of its own.
        kept = told and (
            not body.notice
            or isinstance(body, Progress)
            or len(self._heard) + len(turn.notices) < MAX_NOTICES
            or len(after.sent) < len(before.sent)
        )
        if kept:
            turn.message("received", message)
            self._documents.keep(turn, item.document)
        if not body.notice:
            turn.durable = True
            turn.evidence.extend(one for one in evidence if one.kind != "did-document")
            for document in brought:
                self._documents.keep(turn, document)
            if leaf is not None:
                turn.leaves.append(leaf)
            if counts(message, after):
                self.remember(body)
            turn.event("received" if how == "applies" else how, body.type, message=body)
            if how == "applies" and (found := early(before, Received(message, now))) is not None:
                self._note_early(turn, found)
            return
        if kept and not isinstance(body, Progress):  # an older number of which tells nothing
            turn.notices.add(message.digest)
        if isinstance(body, Receipt) and told:
            turn.receipted.extend(body.of)
            if turn.engagement.pause is not None and before.pause is None and after.contract is None:
                turn.durable = True  # how long a person is waited for is known after a restart too
        elif isinstance(body, Progress) and told:
            turn.durable = turn.durable or self._is_new_sign(turn.engagement)
        elif isinstance(body, Problem):
            _log.warning("the peer refused a message", engagement=self.id, code=body.code)
            self.distrusted = self.distrusted or body.code == "ledger_diverged"
        elif isinstance(body, Sync):
            again = await self._say_again(turn)
            if again == 0 and (turn.over or not self._live):
                # What is over says no `Sync` of its own, and the peer would not hear what we have (HIRE-SYN-02).
                await self._say(turn, Say("Receipt", {"of": (), "received_at": now}))
        turn.event("problem" if body.type == "Problem" else "received", body.type, message=body)
        if freed := before.sent[len(turn.engagement.sent) :]:
            turn.freed.extend(freed)
            await self._taken_back(turn, *freed)

    def _note_early(self, turn: Turn, found: Early) -> None:
        """It is taken, and our books will not be silent about it."""
        others = msgspec.json.decode(self.facts.get(EARLY, "[]"), type=tuple[Early, ...])
        said = msgspec.json.encode((*others, found)).decode()
        _log.warning("before its time", engagement=self.id, type=found.type, error=found.explain())
        turn.fact(self.shell.identity.did, EARLY, said)
        self.note(EARLY, said)

    def _is_new_sign(self, engagement: Engagement) -> bool:
        """Whether a sign of life is to be known after a crash too, and to who reads the ledger; not each of many is."""
        if engagement.offer is None or not self._sign_kept:
            return True
        seconds = seconds_between(self._sign_kept, _heard_at(engagement))
        return SIGNS_KEPT * seconds >= parse_duration(engagement.offer.terms.deadlines.heartbeat)

    async def _brought(self, turn: Turn, type: str, evidence: Sequence[Blob]) -> Sequence[DidDocument]:
        """The DID documents by which it was checked what a message carries: those of the contracts above, a verifier or
        an arbiter. The peer may have chosen whose they are, so that they are held to what its own are.

        Raises:
            VerificationError, FormatError: As `Documents.require`.
        """
        found = [DidDocument(one.name, one.raw) for one in evidence if one.kind == "did-document"]
        for document in found:
            try:
                await self._documents.require(document, self.shell.ledger, self.engagement, turn)
            except (VerificationError, FormatError) as error:
                error.path = BROUGHT_BY.get(type, "")
                raise
        return found

    async def require_document(self, document: DidDocument) -> None:
        """Returns if what a document of the peer's proves can be shown later. Raises as `Documents.require`."""
        await self._documents.require(document, self.shell.ledger, self.engagement)

    async def _refuse(self, turn: Turn, item: Arrived, error: UndersignedError) -> None:
        """A refused message is not recorded; its sender hears the code, unless it was a notice."""
        body = item.message.message
        _log.warning("message refused", engagement=self.id, type=body.type, error=str(error))
        turn.event("refused", body.type, message=body, detail=str(error), code=error.code)
        if self.forgot and error.code == "conflicting_message":
            await self._read_back()
        two = error.code == "conflicting_message" and _in_a_taken_place(turn.engagement, item.message)
        if two and "equivocation" not in self.facts:
            # HIRE-CHN-05: two moves in one place, and nothing else that contradicts itself. Both copies are the
            # proof; the first one is in the journal. One pair is enough, and more would fill the store as fast as the
            # peer can sign.
            turn.evidence.append(
                Blob(digest=digest_bytes(item.message.raw), raw=item.message.raw, kind="equivocation", name=body.type)
            )
            turn.fact(self.shell.identity.did, "equivocation", item.message.digest)
            self.note("equivocation", item.message.digest)
        if error.code == "ledger_diverged" and error.path in ("/checkpoint", "/head") and "fork" not in self.facts:
            # With what its sender signed before it is the proof that a log was rewritten.
            raw = item.message.raw
            turn.evidence.append(Blob(digest=digest_bytes(raw), raw=raw, kind="fork", name=body.type))
            turn.fact(self.shell.identity.did, "fork", item.message.digest)
            self.note("fork", item.message.digest)
        if body.notice:
            return
        for said in told_of_message(item.message, error):
            await self._say(turn, said)

    # ------------------------------------------------------------------ storing

    async def _commit(self, turn: Turn) -> None:
        """Writes the turn, then sends what it says. A turn of receipts alone waits for the next one."""
        if turn.durable:
            settled, self._settled = self._settled, []
            commit = turn.commit(self._lazy, self._lazy_receipts, settled, self.shell.secret)
            self._trying = commit.rows[0].raw if commit.rows else b""
            try:
                self.head = await self.shell.ledger.commit(commit)
            except LedgerError:
                self._settled[:0] = settled
                raise
            self._trying = b""
            self.shell.stored(turn.engagement, turn.evidence)
            self._due = turn.engagement, commit.summary.wake_at
            if turn.engagement.contract is not None:
                self._sign_kept = turn.engagement.contract.heard_at or ""
            self._places, self._stored = turn.places + len(turn.rows), commit.position
            self._lazy, self._lazy_receipts = [], []
        else:
            if len(self._lazy) < MAX_LAZY:
                self._lazy.extend(turn.rows)
            else:
                turn.notices.clear()  # it is no line of the journal, so there is none to be kept apart from
            self._lazy_receipts.extend(turn.receipted)
        self.engagement = turn.engagement
        self.tidy()
        self._mark = self.snapshot()
        if turn.leaves and self.head is not None:
            self.leaf = turn.leaves[-1], self.head.leaves[-1]
        self._documents.stored(turn)
        if turn.notices:
            self._heard |= turn.notices
        self._served |= turn.served
        if turn.later:
            await self.shell.bookings.give_back(turn.later)
        self.over = turn.over
        self.full = ""
        for raw in turn.sends:
            await self.shell.deliver(self.engagement.peer, raw)
        for done in turn.done:
            if not done.done():
                done.set_result(None)
        for event in turn.events:
            self.shell.happened(self, event)


def closing_error() -> LocalProtocolError:
    """What is said to whoever begins something on a side that is closing."""
    return LocalProtocolError("connection_closed", "this side is closing")


def _refuses(item: Arrived | Asked) -> bool:
    return isinstance(item, Arrived) and isinstance(item.message.message, Problem)


def _in_a_taken_place(engagement: Engagement, message: VerifiedMessage) -> bool:
    """Whether another move of the peer's stands where this one says that it stands."""
    place, got = message.message.sequence, engagement.got
    return not message.message.notice and 0 < place <= len(got) and got[place - 1] != message.digest


def _heard_at(engagement: Engagement) -> Instant:
    """When the provider was last heard of in its work; empty before that."""
    return (engagement.contract.heard_at if engagement.contract is not None else None) or ""
