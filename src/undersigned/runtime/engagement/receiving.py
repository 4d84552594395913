"""What one side makes of each message of its peer: folded in, kept, answered, or refused.

Nothing is stored here: it is put into the turn.

Source: protocol-spec/05-negotiation.md and 10-security.md, "Order of storing and sending"
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeAlias, cast, get_args

import structlog

from undersigned.did import DidDocument
from undersigned.encoding import digest_bytes, parse_duration, seconds_between
from undersigned.errors import FormatError, LedgerError, UndersignedError, VerificationError
from undersigned.ledger import Blob
from undersigned.messages import (
    Acceptance,
    Closing,
    Message,
    Offer,
    Problem,
    Progress,
    Receipt,
    Seal,
    Sync,
    VerifiedMessage,
    check_recordable,
)
from undersigned.protocol import Early, Engagement, Received, early, judge
from undersigned.runtime.clock import AHEAD_HINT

from .inbox import Arrived
from .journal import Journal, heard_at
from .loading import counts, load_engagement
from .saying import Speaker, tells
from .told import told_of_message
from .turn import EARLY, Say, Turn, fact, noting, value_in

if TYPE_CHECKING:
    from undersigned.runtime.agent.shell import Shell

__all__ = ["OF_OUR_LOG", "STATING", "Receiver", "Stating"]

_log = structlog.get_logger()

MAX_NOTICES = 1024
"""Notices of the other side, beside `Progress`, that the journal of an engagement keeps."""
Stating: TypeAlias = Offer | Acceptance | Seal | Closing
"""Moves that state the log of who says them."""
STATING: Final = frozenset(one.__name__ for one in get_args(Stating))
"""Their types. What most messages are not is asked by its name: `isinstance` takes ten times as long to say no."""
OF_OUR_LOG = (Offer, Acceptance, Closing)
"""Moves that say how far the log of who says them has come."""
BROUGHT_BY = {"Offer": "/parents", "Review": "/statement", "Ruling": "/ruling"}
"""Where a message has what was checked by the document of another DID."""
DIVERGED_HINT = (
    "a state folder was put back from an older copy, the peer's or this one: whoever did so ends its program and puts "
    "the newest copy in place again; 'ledger show' has what both sides signed"
)
"""What the operator may do where two histories differ; once for each engagement, for the peer may say so for ever."""
SIGNS_KEPT = 4
"""As many signs of life are stored in one heartbeat."""


class Receiver(Speaker):
    """One side of an engagement, as far as it takes what the other one says."""

    __slots__ = ("doubts", "journal")

    def __init__(self, shell: Shell, engagement: Engagement) -> None:
        super().__init__(shell, engagement)
        self.journal = Journal()
        self.doubts: frozenset[tuple[str, str]] = frozenset()
        """Of faults that came without a signature (`fault`), of messages that were none of this (`unread`), and of what
        was refused (`refused`): that, and its code.
        """

    async def _receive(self, turn: Turn, item: Arrived) -> None:
        message, body, now = item.message, item.message.message, turn.now
        if message.digest in self.journal.notices or message.digest in turn.notices:
            # A carrier delivered it again. A notice has no place in the chain, so only this keeps it from the journal.
            return
        try:
            before = turn.engagement
            entry = Received(message, now)
            how, after = judge(before, entry)
            if how == "repeat":
                await self._answer_repeat(turn, message)
                return
            check_recordable(message, item.document, now=now)
            leaf, evidence, brought = None, (), ()
            await self._documents.require(item.document, self.shell.ledger, self.engagement, turn)
            # A ruling and a verdict count although they move nothing; with one that does not hold, no pack holds.
            if how == "applies" or body.type in ("Ruling", "Review"):
                leaf, evidence = await self.shell.check(self, before, message, item.document, now)
                if evidence:
                    brought = await self._brought(turn, body.type, evidence)
            # Whatever moves something or not: what it states of a log is stated.
            if body.type in STATING:
                stated = await self.shell.witness.check(cast("Stating", body), item.document)
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
        # only what takes a move back is kept. `Progress` has a limit of its own. Of what was put away none is kept:
        # with each that is stored it would say its own moves again, and the peer would refuse them again.
        kept = told and (
            not body.notice
            or len(after.sent) < len(before.sent)
            or (
                self.journal.live
                and (isinstance(body, Progress) or len(self.journal.notices) + len(turn.notices) < MAX_NOTICES)
            )
        )
        if kept:
            turn.message("received", message)
            self._documents.keep(turn, item.document)
        if not body.notice:
            turn.durable = True
            if evidence:
                turn.evidence += [one for one in evidence if one.kind != "did-document"]
            for document in brought:
                self._documents.keep(turn, document)
            if leaf is not None:
                turn.leaves.append(leaf)
            if counts(message, after):
                self.remember(body, entry.at)
            turn.event("received" if how == "applies" else how, body.type, message=body)
            if how == "applies" and (found := early(before, entry)) is not None:
                self._note_early(turn, found)
            if how == "applies" and body.type == "Closing":
                differ = await self.shell.compared(self, after, cast("Closing", body))
                if differ:
                    self._note(turn, noting(*differ))
            return
        if kept and not isinstance(body, Progress):  # an older number of which tells nothing
            turn.notices.add(message.digest)
        await self._heed(turn, body, before, told=told)

    async def _heed(self, turn: Turn, body: Message, before: Engagement, *, told: bool) -> None:
        """Does what a notice asks for. `told`: whether it let us know anything that we did not `before` it."""
        if isinstance(body, Receipt) and told:
            turn.receipted.extend(body.of)
            if turn.engagement.pause is not None and before.pause is None and turn.engagement.contract is None:
                turn.durable = True  # how long a person is waited for is known after a restart too
        elif isinstance(body, Progress) and told:
            turn.durable = turn.durable or self._is_new_sign(turn.engagement)
        elif isinstance(body, Problem):
            diverged = body.code == "ledger_diverged" and not self.diverged
            hint = {"hint": DIVERGED_HINT} if diverged else {}
            hint |= {"hint": AHEAD_HINT} if body.code == "proof_from_future" else {}
            _log.warning("the peer refused a message", engagement=self.id, code=body.code, **hint)
            turn.durable |= diverged and self.journal.live  # whoever looks into the ledger is told, too
            self.diverged = self.diverged or diverged
            # What says nothing of our log was refused for a move of the peer's own, which it lost: our books go on.
            if body.code == "ledger_diverged" and isinstance(self.move_of(body.of), OF_OUR_LOG):
                self.distrusted = True
        elif isinstance(body, Sync):
            again = await self._say_again(turn)
            if again == 0 and (turn.over or not self.journal.live):
                # What is over says no `Sync` of its own, and the peer would not hear what we have (HIRE-SYN-02).
                await self._say(turn, Say("Receipt", {"of": (), "received_at": turn.now}))
        if isinstance(body, Receipt) and not body.of and body.waiting is None and not turn.over and self.journal.live:
            # Of a side for which it is over, in place of a `Sync`: nothing else shows what it lacks.
            await self._say_again(turn)
        turn.event("problem" if body.type == "Problem" else "received", body.type, message=body)
        if freed := before.sent[len(turn.engagement.sent) :]:
            turn.freed.extend(freed)
            await self._taken_back(turn, *freed)

    def _note_early(self, turn: Turn, found: Early) -> None:
        """It is taken, and our books will not be silent about it."""
        others = value_in(self.facts, EARLY, tuple[Early, ...]) or ()
        _log.warning("before its time", engagement=self.id, type=found.type, error=found.explain())
        self._note(turn, noting(fact(EARLY, (*others, found))))

    def _is_new_sign(self, engagement: Engagement) -> bool:
        """Whether a sign of life is to be known after a crash too, and to who reads the ledger; not each of many is."""
        if engagement.offer is None or not self.journal.heard_at:
            return True
        seconds = seconds_between(self.journal.heard_at, heard_at(engagement))
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

    def records_only(self, *known: DidDocument) -> bool:
        """Whether it is known that no document of either side's is recorded beside these."""
        return self._documents.are(*known)

    async def _keep_proof(self, turn: Turn, item: Arrived, kind: str) -> None:
        """Keeps and notes a refused message as proof, one of each kind, with its sender's document: tomorrow that may
        have another key. A document that is no evidence beside those that are kept is not.
        """
        if kind in self.facts:
            return
        message = item.message
        proof = Blob(digest=digest_bytes(message.raw), raw=message.raw, kind=kind, name=message.message.type)
        self._note(turn, noting((kind, message.digest), evidence=(proof,)))
        with suppress(VerificationError, FormatError):
            await self._documents.require(item.document, self.shell.ledger, self.engagement, turn)
            self._documents.keep(turn, item.document)

    async def _refuse(self, turn: Turn, item: Arrived, error: UndersignedError) -> None:
        """A refused message is not recorded; its sender hears the code, unless it was a notice."""
        body = item.message.message
        waited = "waited" in error.detail
        if not (error.row.retryable or waited) or ("refused", error.code) not in self.doubts:
            # Once, if it can succeed later: that costs its sender nothing, which may go on for ever.
            self.doubts |= {("refused", error.code)}
            _log.warning("message refused", engagement=self.id, type=body.type, error=str(error))
        turn.event("refused", body.type, message=body, detail=str(error), code=error.code, waited=waited)
        if self.forgot and error.code == "conflicting_message":
            await self._read_back()
        if error.code == "conflicting_message" and _in_a_taken_place(turn.engagement, item.message):
            # HIRE-CHN-05: two moves in one place, and nothing else that contradicts itself. Both copies are the
            # proof; the first one is in the journal. One pair is enough, and more would fill the store as fast as the
            # peer can sign.
            await self._keep_proof(turn, item, "equivocation")
        if error.code == "ledger_diverged" and error.path in ("/checkpoint", "/head"):
            # With what its sender signed before it is the proof that a log was rewritten.
            await self._keep_proof(turn, item, "fork")
        if error.code == "ledger_diverged" and "diverged" not in self.facts and self.journal.live:
            # It may be this store that went back: who asks for the contract is told, also once the log is gone.
            self._note(turn, noting(("diverged", item.message.digest)))
        if body.notice:
            return
        for said in told_of_message(item.message, error):
            await self._say(turn, said)

    async def _read_back(self) -> None:
        """Before anything asks what was said: it is read from the journal, where it was left.

        Raises:
            LedgerError: It cannot be read now.
        """
        ledger = self.shell.ledger
        summary = await ledger.summary(self.id)
        if summary is not None:
            loaded = await load_engagement(ledger, summary, self.shell.identity.did)
            self.recall(loaded)
        else:
            self.forgot = False


def _in_a_taken_place(engagement: Engagement, message: VerifiedMessage) -> bool:
    """Whether another move of the peer's stands where this one says that it stands."""
    place, got = message.message.sequence, engagement.got
    return not message.message.notice and 0 < place <= len(got) and got[place - 1] != message.digest
