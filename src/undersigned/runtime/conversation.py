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
from collections.abc import Callable
from typing import Any, Protocol, TypeVar
from uuid import uuid4

import msgspec
import structlog

from undersigned.contract import ContractDocument
from undersigned.did import DidDocument
from undersigned.encoding import (
    Did,
    Digest,
    EngagementId,
    Instant,
    JsonObject,
    digest_bytes,
    from_struct,
    seconds_between,
    shift,
)
from undersigned.errors import (
    CODES,
    LedgerConflict,
    LedgerError,
    LocalProtocolError,
    ResolutionError,
    UndersignedError,
)
from undersigned.ledger import Blob, Commit, Committed, Ledger, Reservation, Row, Summary
from undersigned.messages import (
    MESSAGE_TYPES,
    Delivery,
    Message,
    Offer,
    Problem,
    Progress,
    Receipt,
    Sync,
    VerifiedMessage,
    draft,
    recorded_message,
    redraft,
)
from undersigned.protocol import (
    Acknowledge,
    Engagement,
    Entry,
    Finished,
    Free,
    Noted,
    Owe,
    Received,
    Repeat,
    Reserve,
    Sent,
    Work,
    apply,
    begin,
    legal,
    outcome,
    pending,
    position,
    wake_at,
)
from undersigned.transport import Identity

from .clock import Clock

__all__ = ["Arrived", "Asked", "Conversation", "Event", "Say", "Shell", "load_engagement"]

_log = structlog.get_logger()
M = TypeVar("M", bound=Message)

PROOF_SECONDS = 3600
"""How long the proof of a message is good for; the same content can be signed again after that."""
RETRY_SECONDS = 1.0
"""Between attempts while the store does not take anything."""


class Say(msgspec.Struct, frozen=True):
    """A move or notice to make: its type and the fields of its body."""

    type: str
    body: dict[str, Any]
    leaf: bytes | None = None
    """Leaf to be appended to the log with it."""
    evidence: tuple[Blob, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    """Facts noted before it, in the same transaction."""


class Arrived(msgspec.Struct, frozen=True):
    """A verified message of the peer, with the DID document its proof was checked against."""

    message: VerifiedMessage
    document: DidDocument


class Asked(msgspec.Struct, frozen=True):
    """Something this side's application wants: a move, or facts to note."""

    make: Callable[[Engagement], Say | None]
    """Makes it for the engagement as it stands then; may raise."""
    done: asyncio.Future[None]


class Event(msgspec.Struct, frozen=True):
    """Something that happened in an engagement, for whoever watches it."""

    engagement: EngagementId
    kind: str
    """`sent`, `received`, `noted`, `void`, `late`, `refused`, `problem`."""
    type: str
    at: Instant
    state: str
    message: Message | None = None
    detail: str = ""


class Shell(Protocol):
    """What a conversation needs from the peer that runs it."""

    clock: Clock
    identity: Identity
    own: DidDocument

    @property
    def ledger(self) -> Ledger:
        """The open store."""
        ...

    async def deliver(self, peer: Did, raw: bytes) -> bool:
        """Sends bytes to a proved connection of `peer`, if there is one."""
        ...

    async def check(
        self, conversation: Conversation, message: VerifiedMessage, document: DidDocument
    ) -> tuple[bytes | None, tuple[Blob, ...]]:
        """Verifies what a received move carries, before it is folded; returns a leaf for the log and evidence.

        Raises:
            UndersignedError: It does not hold; the move is refused and not recorded.
        """
        ...

    async def decide(self, conversation: Conversation, engagement: Engagement, owed: Owe) -> Say | None:
        """What this side says now, or None to wait."""
        ...

    def work(self, conversation: Conversation, work: Work) -> None:
        """Begins or resumes the work of a contract."""
        ...

    def happened(self, conversation: Conversation, event: Event) -> None:
        """Tells whoever watches."""
        ...

    def finished(self, conversation: Conversation) -> None:
        """The engagement can be put away."""
        ...


class _Turn:
    """What one turn changes, until it is committed."""

    def __init__(self, engagement: Engagement) -> None:
        self.engagement = engagement
        self.rows: list[Row] = []
        self.outbox: list[Digest] = []
        self.receipted: list[Digest] = []
        self.effects: list[str] = []
        self.evidence: list[Blob] = []
        self.leaves: list[bytes] = []
        self.reserve: list[Reservation] = []
        self.release: list[str] = []
        self.sends: list[bytes] = []
        self.events: list[Event] = []
        self.done: list[asyncio.Future[None]] = []
        self.durable = False
        """Whether anything in it has to be on disk before this side goes on."""


async def load_engagement(
    ledger: Ledger, summary: Summary, own: Did
) -> tuple[Engagement, int, tuple[tuple[str, str], ...]]:
    """The engagement folded from its journal, the journal's length, and the facts noted in it."""
    role = "hirer" if summary.role == "hirer" else "provider"
    engagement = begin(role, own, summary.peer, summary.engagement)
    rows = await ledger.rows(summary.engagement)
    facts: list[tuple[str, str]] = []
    for row in rows:
        if row.kind == "noted":
            facts.append((row.type, row.raw.decode()))
        engagement = apply(engagement, entry_of(row))
    return engagement, len(rows), tuple(facts)


def entry_of(row: Row) -> Entry:
    """The entry that a journal row stands for. Its proof was checked when it was written."""
    if row.kind == "noted":
        return Noted(row.type, row.raw.decode(), row.at)
    message = recorded_message(row.raw)
    return Sent(message, row.at) if row.kind == "sent" else Received(message, row.at)


class Conversation:
    """One engagement and its task."""

    def __init__(
        self,
        shell: Shell,
        engagement: Engagement,
        *,
        places: int = 0,
        facts: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.shell = shell
        self.engagement = engagement
        self.facts: dict[str, str] = dict(facts)
        """The last value of each fact noted."""
        self.head: Committed | None = None
        """What the last commit made."""
        self._places = places
        self._inbox: list[Arrived | Asked] = []
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._served: set[str] = set()
        self._lazy: list[Row] = []
        self._lazy_receipts: list[Digest] = []
        self._reconnected = False
        self._documents: set[Digest] = set()
        self._last: dict[tuple[str, str], Message] = {}
        self._json: tuple[Digest, JsonObject] = ("", {})
        self._task: asyncio.Task[None] | None = None
        self.over = False

    # ------------------------------------------------------------------ from outside

    @property
    def id(self) -> EngagementId:
        """The engagement's id."""
        return self.engagement.id

    def start(self) -> None:
        """Starts the task; it ends by itself when the engagement is over."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"engagement {self.id[-8:]}")

    def post(self, item: Arrived | Asked) -> None:
        """Puts something into the inbox."""
        self._inbox.append(item)
        self._wake.set()

    async def ask(self, make: Callable[[Engagement], Say | None]) -> None:
        """Has the conversation say something, and returns when it is stored.

        Raises:
            LocalProtocolError: It is not legal now.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.post(Asked(make, done))
        await done

    async def settled(self) -> None:
        """Returns once the turn that is under way is stored."""
        await self.ask(lambda _: None)

    async def stop(self) -> None:
        """Ends the task, once what was being committed is; nothing else is said."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()

    @property
    def waiting(self) -> int:
        """How many items are in the inbox."""
        return len(self._inbox)

    def last(self, type: str, of: type[M], role: str | None = None) -> M:
        """The last move of a type (and of a role, if both sides send such) that was recorded.

        Raises:
            LocalProtocolError: There is none.
        """
        for (kind, sender), message in self._last.items():
            if kind == type and role in (None, sender) and isinstance(message, of):
                return message
        raise LocalProtocolError("not_found", f"{self.id} has no {type} of {role or 'either side'}")

    def said(self, type: str, role: str) -> bool:
        """Whether a side has sent a move of this type."""
        return (type, role) in self._last

    def delivered(self) -> frozenset[Digest]:
        """Digests of the artifacts of the last delivery."""
        found = self._last.get(("Delivery", "provider"))
        artifacts = found.artifacts if isinstance(found, Delivery) else ()
        return frozenset(artifact.digest for artifact in artifacts)

    def offered(self, engagement: Engagement | None = None) -> ContractDocument:
        """The document of the live offer; after the seal, the contract.

        Raises:
            LocalProtocolError: There is no offer.
        """
        live = (engagement or self.engagement).offer
        if live is None:
            raise LocalProtocolError("wrong_state", f"{self.id} has no offer on the table")
        # The live offer is always its owner's last one, which is decoded already.
        return self.last("Offer", Offer, live.owner).document

    def offered_json(self, engagement: Engagement | None = None) -> JsonObject:
        """The same as the JSON that was signed. Not to be changed."""
        live = (engagement or self.engagement).offer
        if live is None or self._json[0] != live.digest:
            document = from_struct(self.offered(engagement))
            self._json = (live.digest if live is not None else "", document)
        return self._json[1]

    async def recall(self) -> None:
        """Reads back from the journal what `last` gives."""
        for row in await self.shell.ledger.rows(self.id):
            if row.kind != "noted" and row.sequence is not None:
                self._remember(recorded_message(row.raw).message)

    def _remember(self, message: Message) -> None:
        if not message.notice:
            self._last[message.type, message.role] = message

    def connected(self) -> None:
        """A connection to the peer was opened: it hears our position before anything else."""
        self._reconnected = True
        self._wake.set()

    # ------------------------------------------------------------------ the task

    async def _run(self) -> None:
        while not self.over:
            self._wake.clear()
            items, self._inbox = self._inbox, []
            try:
                await self._turn(items)
            except LedgerConflict as error:
                # Somebody else wrote to this engagement: what was decided here was decided on an old position.
                _log.warning("decided on an old position", engagement=self.id, error=str(error))
                await self._reload()
                self._inbox[:0] = items
                continue
            except LedgerError as error:
                _log.error("the store does not take it", engagement=self.id, error=str(error))
                self._inbox[:0] = items
                await asyncio.sleep(RETRY_SECONDS)
                continue
            except UndersignedError as error:
                _log.error("a turn failed", engagement=self.id, error=str(error))
                self._fail(items, error)
                await asyncio.sleep(RETRY_SECONDS)
            if not self._inbox and not self.over:
                self._set_timer()
                await self._wake.wait()

    def _fail(self, items: list[Arrived | Asked], error: UndersignedError) -> None:
        for item in items:
            if isinstance(item, Asked) and not item.done.done():
                item.done.set_exception(error)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = wake_at(self.engagement, self.shell.clock.now())
        if due is not None:
            delay = max(0.05, seconds_between(self.shell.clock.now(), due))
            self._timer = asyncio.get_running_loop().call_later(delay, self._wake.set)

    async def _reload(self) -> None:
        summary = await self.shell.ledger.summary(self.id)
        if summary is not None:
            self.engagement, self._places, facts = await load_engagement(
                self.shell.ledger, summary, self.shell.identity.did
            )
            self.facts = dict(facts)
            self._lazy.clear()

    async def _turn(self, items: list[Arrived | Asked]) -> None:
        turn = _Turn(self.engagement)
        if self._reconnected:
            self._reconnected = False
            await self._reconnect(turn)
        for item in items:
            if isinstance(item, Arrived):
                await self._receive(turn, item)
            else:
                await self._say_asked(turn, item)
        while True:
            now = self.shell.clock.now()
            effect = next((e for e in pending(turn.engagement, now) if e.key not in self._served), None)
            if effect is None:
                break
            match effect:
                case Owe():
                    if turn.leaves:
                        # The seal states the place of the leaf, so the leaf is stored first.
                        await self._commit(turn)
                        turn = _Turn(self.engagement)
                    self._served.add(effect.key)
                    said = await self._decide(turn, effect)
                    if said is not None:
                        await self._say(turn, said)
                case Acknowledge(of=of):
                    self._served.add(effect.key)
                    await self._say(turn, Say("Receipt", {"of": of, "received_at": now}))
                case Repeat(digest=digest):
                    self._served.add(effect.key)
                    await self._repeat(turn, digest)
                case Work():
                    self._served.add(effect.key)
                    self.shell.work(self, effect)
                case Reserve(digest=digest, until=until, name=name):
                    self._served.add(effect.key)
                    _log.debug("reserve", engagement=self.id, name=name, digest=digest, until=until)
                case Free():
                    self._served.add(effect.key)
                case Finished():
                    self.over = True
                    turn.durable = True
                    break
        await self._commit(turn)
        if self.over:
            self.shell.finished(self)

    async def _decide(self, turn: _Turn, owed: Owe) -> Say | None:
        try:
            return await self.shell.decide(self, turn.engagement, owed)
        except LedgerError:
            raise
        except UndersignedError as error:
            _log.warning("no decision", engagement=self.id, moves=owed.moves, error=str(error))
            turn.events.append(self._event(turn, "refused", owed.moves[0], detail=str(error)))
            if "Withdraw" in owed.moves:
                live = turn.engagement.offer
                if "Seal" in owed.moves:
                    # An acceptance is answered in any case, and only by what the offerer cannot help (HIRE-NEG-16).
                    unchecked = isinstance(error, ResolutionError) or error.code == "status_unavailable"
                    reason = "status_unavailable" if unchecked else "revoked"
                elif error.code in ("revoked", "status_unavailable", "policy_denied"):
                    reason = error.code
                else:
                    reason = "decision_failed"
                return Say("Withdraw", {"reason": reason, "offer": live.digest if live is not None else None})
            return None

    # ------------------------------------------------------------------ receiving

    async def _receive(self, turn: _Turn, item: Arrived) -> None:
        message, now = item.message, self.shell.clock.now()
        body = message.message
        try:
            how = outcome(turn.engagement, message, now)
            if how == "repeat":
                await self._answer_repeat(turn, message)
                return
            leaf, evidence = await self.shell.check(self, message, item.document) if how == "applies" else (None, ())
            before = turn.engagement
            turn.engagement = apply(before, Received(message, now))
        except LedgerError:
            raise
        except UndersignedError as error:
            await self._refuse(turn, item, error)
            return
        row = self._row(turn, "received", now, message)
        turn.rows.append(row)
        if isinstance(body, Receipt):
            turn.receipted.extend(body.of)
        elif isinstance(body, Problem):
            _log.warning("the peer refused a message", engagement=self.id, code=body.code)
        if not body.notice:
            turn.durable = True
            turn.evidence.extend(evidence)
            self._keep_document(turn, item.document)
            if leaf is not None:
                turn.leaves.append(leaf)
        self._remember(body)
        if isinstance(body, Sync):
            # What the peer lacks goes to it, oldest first.
            turn.sends.extend([await self._fresh(waiting.raw) for waiting in await self._unreceipted(turn)])
        kind = "received" if how == "applies" else how
        if body.type == "Problem":
            kind = "problem"
        turn.events.append(self._event(turn, kind, body.type, message=body))
        if len(turn.engagement.sent) < len(before.sent):
            await self._taken_back(turn, before.sent[-1])

    async def _taken_back(self, turn: _Turn, refused: Digest) -> None:
        """Our last move was refused for good and its place is free (rule N9); saying it again helps nobody."""
        turn.durable = True
        engagement = turn.engagement
        if "Withdraw" in legal(engagement, engagement.role):
            live = engagement.offer
            body = {"reason": "changed", "refused": refused, "offer": live.digest if live is not None else None}
            await self._say(turn, Say("Withdraw", body))

    def _keep_document(self, turn: _Turn, document: DidDocument) -> None:
        digest = document.raw_digest
        if digest not in self._documents:
            self._documents.add(digest)
            turn.evidence.append(Blob(digest=digest, raw=document.raw, kind="did-document", name=document.id))

    async def _reconnect(self, turn: _Turn) -> None:
        """First on a connection: our position; to a peer that does not know the engagement yet, what opened it."""
        engagement = turn.engagement
        waiting = await self._unreceipted(turn)
        if engagement.got or not waiting:
            # Without anything of the peer's and with nothing to send, a `Sync` of the peer has confirmed the inquiry.
            await self._say(turn, Say("Sync", {"state": engagement.state, "lane": engagement.lane}))
        else:
            turn.sends.extend([await self._fresh(row.raw) for row in waiting])

    async def _answer_repeat(self, turn: _Turn, move: VerifiedMessage) -> None:
        """A move that was recorded already: its receipt, and the stored answer if the peer may not have it.

        The receipt goes first, so that two sides that repeat to each other stop.
        """
        await self._say(turn, Say("Receipt", {"of": (move.digest,), "received_at": self.shell.clock.now()}))
        turn.sends.extend([await self._fresh(row.raw) for row in await self._unreceipted(turn)])

    async def _unreceipted(self, turn: _Turn) -> list[Row]:
        """Own moves that the peer has not said it has, oldest first. Receipts may not be in the store yet."""
        wanted = set(turn.engagement.outbox)
        return [row for row in await self.shell.ledger.outbox(self.id) if row.digest in wanted]

    async def _refuse(self, turn: _Turn, item: Arrived, error: UndersignedError) -> None:
        """A refused message is not recorded; its sender hears the code, unless it was a notice."""
        body = item.message.message
        _log.warning("refused", engagement=self.id, type=body.type, error=str(error))
        turn.events.append(self._event(turn, "refused", body.type, message=body, detail=str(error)))
        if error.code == "conflicting_message":
            # Both copies are the proof of equivocation; the first one is in the journal.
            turn.evidence.append(
                Blob(digest=digest_bytes(item.message.raw), raw=item.message.raw, kind="equivocation", name=body.type)
            )
            turn.rows.append(self._fact(turn, "equivocation", item.message.digest))
            turn.engagement = apply(turn.engagement, Noted("equivocation", item.message.digest, self.shell.clock.now()))
            turn.durable = True
        if body.notice:
            return
        code = error.code if error.row.told != "never" else "decision_failed"
        row = CODES[code]
        problem: dict[str, Any] = {
            "of": item.message.digest,
            "code": code,
            "class_": row.family,
            "retryable": row.retryable,
            "final": not row.retryable and body.type not in ("Acceptance", "Seal"),
        }
        if error.path:
            problem["path"] = error.path
        await self._say(turn, Say("Problem", problem))
        if error.code == "terms_mismatch" and body.type == "Acceptance":
            await self._say(turn, Say("Withdraw", {"reason": "terms_mismatch", "offer": getattr(body, "offer", None)}))

    # ------------------------------------------------------------------ saying

    async def _say_asked(self, turn: _Turn, item: Asked) -> None:
        if item.done.cancelled():
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

    async def _say(self, turn: _Turn, said: Say) -> None:
        """Signs a message and folds it in; it leaves after the commit.

        Raises:
            LocalProtocolError: The tables do not allow it.
        """
        engagement, identity, now = turn.engagement, self.shell.identity, self.shell.clock.now()
        for name, value in said.facts:
            turn.rows.append(self._fact(turn, name, value))
            turn.events.append(self._event(turn, "noted", name, detail=value))
            engagement = apply(engagement, Noted(name, value, now))
            self.facts[name] = value
            turn.durable = True
        if said.type == "":
            turn.engagement = engagement
            return
        of = MESSAGE_TYPES[said.type]
        own, _ = position(engagement)
        envelope: dict[str, Any] = {
            "id": f"urn:uuid:{uuid4()}",
            "engagement": engagement.id,
            "sender": identity.did,
            "recipient": engagement.peer,
            "role": engagement.role,
            "sequence": own if of.notice else own + 1,
            "previous": engagement.sent[-1] if engagement.sent else None,
            "seen": engagement.got[-1] if engagement.got else None,
        }
        message = of(**envelope, **{k: v for k, v in said.body.items() if v is not None})
        unsigned = draft(
            message,
            method=identity.method,
            suite=self._suite(engagement),
            kind=identity.kind,
            created=now,
            expires=shift(now, PROOF_SECONDS),
        )
        signed = unsigned.signed(await identity.sign(unsigned.to_sign))
        engagement = apply(engagement, Sent(signed, now))
        turn.engagement = engagement
        self._remember(signed.message)
        row = self._row(turn, "sent", now, signed)
        turn.sends.append(signed.raw)
        turn.rows.append(row)
        turn.evidence.extend(said.evidence)
        if said.leaf is not None:
            turn.leaves.append(said.leaf)
        if not of.notice:
            turn.outbox.append(signed.digest)
            turn.durable = True
            # Whoever checks this later needs the key that signed it, even if it is replaced by then.
            self._keep_document(turn, self.shell.own)
        elif of is Progress:
            # Its cursor is where the work goes on after a crash.
            turn.durable = True
        turn.events.append(self._event(turn, "sent", said.type, message=message))

    def _suite(self, engagement: Engagement) -> str:
        talks = engagement.talks
        return talks.suite if talks is not None and talks.suite else self.shell.identity.suite

    async def _repeat(self, turn: _Turn, digest: Digest) -> None:
        """Sends an own move again. An acceptance is repeated though it has its receipt: that is no answer (rule N4)."""
        for row in await self.shell.ledger.rows(self.id):
            if row.kind == "sent" and row.digest == digest:
                turn.sends.append(await self._fresh(row.raw))

    async def _fresh(self, raw: bytes) -> bytes:
        """The stored bytes; if their proof is past its end, the same content with a new one (rule C9)."""
        message, now = recorded_message(raw), self.shell.clock.now()
        proof = message.message.proof
        if proof is not None and proof.expires > now:
            return raw
        identity = self.shell.identity
        suite = proof.cryptosuite if proof is not None else identity.suite
        again = redraft(
            message,
            method=identity.method,
            suite=suite,
            kind=identity.kind,
            created=now,
            expires=shift(now, PROOF_SECONDS),
        )
        return again.signed(await identity.sign(again.to_sign)).raw

    # ------------------------------------------------------------------ storing

    def _row(self, turn: _Turn, kind: Any, at: Instant, message: VerifiedMessage) -> Row:
        body = message.message
        return Row(
            engagement=body.engagement,
            place=0,
            kind=kind,
            at=at,
            sender=body.sender,
            sequence=None if body.notice else body.sequence,
            type=body.type,
            digest=message.digest,
            raw=message.raw,
        )

    def _fact(self, turn: _Turn, name: str, value: str) -> Row:
        return Row(
            engagement=turn.engagement.id,
            place=0,
            kind="noted",
            at=self.shell.clock.now(),
            sender=self.shell.identity.did,
            sequence=None,
            type=name,
            digest="",
            raw=value.encode(),
        )

    def _event(self, turn: _Turn, kind: str, type: str, *, message: Message | None = None, detail: str = "") -> Event:
        return Event(
            engagement=self.id,
            kind=kind,
            type=type,
            at=self.shell.clock.now(),
            state=turn.engagement.state,
            message=message,
            detail=detail,
        )

    async def _commit(self, turn: _Turn) -> None:
        """Writes the turn, then sends what it says. A turn of receipts alone waits for the next one."""
        if turn.durable:
            await self._write(turn)
        else:
            self._lazy.extend(turn.rows)
            self._lazy_receipts.extend(turn.receipted)
        self.engagement = turn.engagement
        for raw in turn.sends:
            await self.shell.deliver(self.engagement.peer, raw)
        for done in turn.done:
            if not done.done():
                done.set_result(None)
        for event in turn.events:
            self.shell.happened(self, event)

    async def _write(self, turn: _Turn) -> None:
        before = position(self.engagement)
        rows = [*self._lazy, *turn.rows]
        placed = tuple(
            msgspec.structs.replace(row, place=self._places + number) for number, row in enumerate(rows, start=1)
        )
        engagement = turn.engagement
        commit = Commit(
            engagement=self.id,
            expected=None if self._places == 0 else before,
            position=position(engagement),
            rows=placed,
            summary=Summary(
                engagement=self.id,
                role=engagement.role,
                peer=engagement.peer,
                state=engagement.state,
                lane=engagement.lane,
                position=position(engagement),
                wake_at=wake_at(engagement),
                updated=self.shell.clock.now(),
                contract=engagement.contract.digest if engagement.contract is not None else None,
                live=not self.over,
            ),
            outbox=tuple(turn.outbox),
            receipted=(*self._lazy_receipts, *turn.receipted),
            # N9: a move that the peer refused for good keeps its row and gives up its place.
            freed=_freed(self.engagement.sent, engagement.sent),
            effects=tuple(turn.effects),
            evidence=tuple(turn.evidence),
            leaves=tuple(turn.leaves),
            reserve=tuple(turn.reserve),
            release=tuple(turn.release),
            urgent=engagement.state in ("withdrawn", "closing", "closed"),
        )
        self.head = await self.shell.ledger.commit(commit)
        self._places += len(placed)
        self._lazy.clear()
        self._lazy_receipts.clear()


def _freed(before: tuple[Digest, ...], after: tuple[Digest, ...]) -> tuple[Digest, ...]:
    """Own moves that stood in the chain before and no longer do."""
    return () if after[: len(before)] == before else tuple(digest for digest in before if digest not in after)
