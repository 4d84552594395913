"""What one side says in an engagement: new messages, signed and folded in, and what it said before, said again.

Nothing leaves here: it is put into the turn, and is sent once the turn is stored.

Source: protocol-spec/05-negotiation.md and 10-security.md, "Order of storing and sending"
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from undersigned.encoding import Digest, EngagementId
from undersigned.errors import LocalProtocolError
from undersigned.ledger import Row
from undersigned.messages import MESSAGE_TYPES, Acceptance, Message, Offer, Progress, VerifiedMessage, recorded_message
from undersigned.protocol import STANDING, START, Engagement, Noted, Sent, apply, judge, legal
from undersigned.runtime.names import fresh_urn

from .documents import Documents
from .outgoing import renew_proof, sign_message
from .remembered import Remembered
from .turn import Say, Turn, withdrawal

if TYPE_CHECKING:
    from undersigned.runtime.agent.shell import Shell

__all__ = ["Speaker", "tells"]

ENVELOPE = frozenset(Message.__struct_fields__)
"""What of a message is not what it says."""


class Speaker(Remembered):
    """One side of an engagement, as far as it speaks."""

    __slots__ = ("_documents", "_unsaid", "distrusted", "diverged", "id", "shell")

    def __init__(self, shell: Shell, engagement: Engagement) -> None:
        super().__init__(engagement)
        self.id: EngagementId = engagement.id
        self.shell = shell
        self.diverged = False
        """Whether the peer refused something for a history that it does not have: its own may have gone back."""
        self.distrusted = False
        """Whether the peer says that our ledger has two histories: it is told no more of it until the next start."""
        self._unsaid: LocalProtocolError | None = None
        """Why a notice could not be signed in the turn that is under way, or a move not be signed again."""
        self._documents = Documents()

    async def _say(self, turn: Turn, said: Say) -> None:
        """Signs a message and folds it in; it leaves after the commit. Where it answers or greets and cannot be signed,
        the turn goes on without it: what came is stored.

        Raises:
            LocalProtocolError: The tables do not allow it, or it cannot be signed.
        """
        identity, now = self.shell.identity, said.at or self.shell.clock.now()
        if said.type == "":
            self._note(turn, said)
            return
        engagement = turn.engagement
        of = MESSAGE_TYPES[said.type]
        own = len(engagement.sent)
        body: dict[str, Any] = said.body
        if of in (Offer, Acceptance):
            body = {**body, "head": await self.shell.witness.head(engagement.peer)}
        message = of(
            id=fresh_urn(),
            engagement=engagement.id,
            sender=identity.did,
            recipient=engagement.peer,
            role=engagement.role,
            sequence=own if of.notice else own + 1,
            previous=engagement.sent[-1] if engagement.sent else None,
            seen=engagement.got[-1] if engagement.got else None,
            **body,
        )
        try:
            signed = await sign_message(message, identity, engagement.talks, now)
        except LocalProtocolError as error:
            if not of.notice or of is Progress:
                raise
            self._unsaid = error
            return
        turn.now = max(turn.now, now)  # the machine may have slept since it began: no proof is later than its entry
        self._note(turn, said, Sent(signed, turn.now))
        self.remember(signed.message, turn.now)
        turn.sends.append(signed.raw)
        if not of.notice or tells(engagement, turn.engagement):
            turn.message("sent", signed)
            self._documents.keep_own(turn, self.shell.own)
        if not of.notice:
            turn.outbox.append(signed.digest)
            turn.durable = True
        elif of is Progress:
            # Its cursor is where the work goes on after a crash.
            turn.durable = True
        turn.event("sent", said.type, message=message)

    def _note(self, turn: Turn, said: Say, *moves: Sent) -> None:
        """Folds the facts in, and after them the move: what is not said is not noted as done either."""
        after = turn.engagement
        facts: list[Noted] = []
        for name, value in said.facts:
            facts.append(Noted(name, value, turn.now))
            after = apply(after, facts[-1])
        for move in moves:
            _, after = judge(after, move)
        for fact in facts:
            turn.noted(self.shell.identity.did, fact)
            self.note(fact.name, fact.value)
        turn.engagement = after
        turn.evidence.extend(said.evidence)

    async def _repeat(self, turn: Turn, digest: Digest) -> None:
        """Sends an own move again. An acceptance is repeated though it has its receipt: that is no answer (rule N4)."""
        rows = await self.shell.ledger.rows(self.id)
        said = [row for row in rows if row.kind == "sent" and row.digest == digest and not self._is_held_back(row)]
        turn.sends.extend(await self._fresh(said))

    async def _taken_back(self, turn: Turn, refused: Digest, *after: Digest) -> None:
        """A move of ours was refused for good and its place is free (rule N9); saying it again helps nobody. What we
        said after it and stands whatever the peer says is said again, in the places that are free now.
        """
        turn.durable = True
        for row in await self.shell.ledger.rows(self.id) if after else ():
            if row.digest in after and row.type in STANDING:
                said = recorded_message(row.raw).message
                if said.type in legal(turn.engagement, said.role) and said.type != "Withdraw":
                    own = {name: getattr(said, name) for name in said.__struct_fields__ if name not in ENVELOPE}
                    with suppress(LocalProtocolError):  # such as for a deadline that is none without what was refused
                        await self._say(turn, Say(said.type, own))
        engagement = turn.engagement
        if engagement.contract is not None:
            return  # what is on the table is there as before: whoever has to answer it decides anew
        if "Withdraw" in legal(engagement, engagement.role):
            await self._say(turn, withdrawal(engagement, "changed", refused=refused))
        elif engagement.state == START:
            turn.over = True  # it was the inquiry, so nothing was ever opened

    async def _reconnect(self, turn: Turn) -> None:
        """First on a connection: our position; to a peer that does not know the engagement yet, what opened it."""
        engagement = turn.engagement
        waiting = await self._unreceipted(turn)
        if engagement.got or not waiting:
            # Without anything of the peer's and with nothing to send, a `Sync` of the peer has confirmed the inquiry.
            await self._say(turn, Say("Sync", {"state": engagement.state, "lane": engagement.lane}))
        else:
            turn.sends.extend(await self._fresh(waiting))

    async def _answer_repeat(self, turn: Turn, move: VerifiedMessage) -> None:
        """A move that was recorded already: its receipt, and the stored answer if the peer may not have it.

        The receipt goes first, so that two sides that repeat to each other stop.
        """
        await self._say(turn, Say("Receipt", {"of": (move.digest,), "received_at": self.shell.clock.now()}))
        await self._say_again(turn)

    async def _say_again(self, turn: Turn) -> int | None:
        """Sends what the peer lacks because it asks, the oldest first, and counts it. None if it asks for more
        than it may: a `Sync` is small, and what is said again for it may be all that a contract holds.
        """
        peer = turn.engagement.peer
        if not self.shell.may_ask_again(peer):
            return None
        waiting = await self._fresh(await self._unreceipted(turn))
        self.shell.may_ask_again(peer, sum(map(len, waiting)))
        turn.sends.extend(waiting)
        return len(waiting)

    async def _unreceipted(self, turn: Turn) -> list[Row]:
        """Own moves that the peer has not said it has, oldest first. Receipts may not be in the store yet."""
        wanted = set(turn.engagement.outbox)
        rows = await self.shell.ledger.outbox(self.id)
        return [row for row in rows if row.digest in wanted and not self._is_held_back(row)]

    def _is_held_back(self, row: Row) -> bool:
        """Books of a log that the peer says has two histories would be refused again and again, until somebody there
        decides: they wait for the next start.
        """
        return self.distrusted and row.type == "Closing"

    async def _fresh(self, rows: list[Row]) -> list[bytes]:
        """Own moves as they are said again; none where they would have to be signed again, and cannot be."""
        identity, talks = self.shell.identity, self.engagement.talks
        try:
            return [await renew_proof(row.raw, identity, talks, self.shell.clock.now()) for row in rows]
        except LocalProtocolError as error:
            self._unsaid = error
            return []


def tells(before: Engagement, after: Engagement) -> bool:
    """Whether a notice let somebody know more than the time. One that did not is no line of the journal, or a peer
    could make that as long as it likes.
    """
    return msgspec.structs.replace(after, last_at=before.last_at) != before
