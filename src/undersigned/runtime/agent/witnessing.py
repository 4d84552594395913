"""Each party watches the other's log: no checkpoint contradicts one that was seen before, and one that continues it is
cosigned.

What can be seen at once refuses the message that carries it: another root of the same size, or fewer leaves than were
signed earlier. So whoever was put back from an old copy is noticed with its first offer or acceptance, before anything
is sealed. That more leaves continue the ones before is shown by the message itself, from what its recipient was told
before, and is otherwise found out afterwards, from the tiles that the other side serves. Until every head that was
seen is known to lie on one line nothing is cosigned. Of whoever signed two histories nothing more is believed, and no
engagement with it is begun, until our operator decides.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.5
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import structlog
from msgspec.structs import replace

from undersigned.did import DidDocument
from undersigned.encoding import Did, EngagementId, digest_from_hash, digest_hash, parse_instant
from undersigned.errors import LogProofError, UndersignedError
from undersigned.ledger import Fork, Head, Seen, Stated, connected, contradicted, saw
from undersigned.messages import Closing, Consistency, LogHead, Offer, Receipt, Seal, Sync
from undersigned.runtime.engagement.documents import recorded_documents
from undersigned.runtime.engagement.receiving import Stating
from undersigned.runtime.fetching.fetcher import looked_up_for
from undersigned.runtime.log.forks import contradict, fork_of, words
from undersigned.runtime.log.logbook import (
    log_keys,
    multibase_note,
    read_multibase_note,
    stated_heads,
    stated_in,
    verified_note,
)
from undersigned.transparency import (
    Checkpoint,
    InclusionProof,
    by_one_of,
    checkpoint_text,
    cosigned_note,
    cosigned_text,
    verify_consistency,
    verify_cosignature,
)

if TYPE_CHECKING:
    from undersigned.runtime.base import AgentBase

T = TypeVar("T")

__all__ = ["CrossWitness"]

_log: Final = structlog.get_logger("undersigned.witnessing")
LOOK_SECONDS: Final = 60.0
"""A log that grows is looked at no more often, as long as few of its heads wait for that."""
SOON_SECONDS: Final = 1.0
LONGEST_SECONDS: Final = 600.0
"""For one look, whose tiles may be many and far away."""
FEW_OPEN: Final = 4
LINE: Final = 64
"""Heads of one log that are remembered as lying on one line; as many engagements may be stored at a time."""
MAX_LOGS: Final = 4096


class CrossWitness:
    """One per agent."""

    def __init__(self, agent: AgentBase, locate: Callable[[Did], Awaitable[str]]) -> None:
        """`locate` says where a party serves its log."""
        self._agent, self._ledger, self._key, self._locate = agent, agent.ledger, agent.log_key, locate
        self._seen: OrderedDict[Did, Seen | None] = OrderedDict()
        """What was seen of each log, what is not stored yet too."""
        self._line: OrderedDict[Did, deque[Head]] = OrderedDict()
        """The last heads of each log that are known to lie on one line, the newest first. Engagements are not stored in
        the order in which their messages came, so each head says which of the others it continues.
        """
        self._cosigned: OrderedDict[Did, int] = OrderedDict()
        """The size of each log that was cosigned last: once is enough."""
        self._told: OrderedDict[Did, Head] = OrderedDict()
        """The head of our log that each peer was told last."""
        self._looked: OrderedDict[Did, float] = OrderedDict()
        """When each log was last looked at, by the loop's time."""
        self._looking = set[Did]()
        """Logs that are looked at now: one whose tiles come slowly is not looked at twice."""

    async def seen(self, peer: Did) -> Seen | None:
        """What was seen of the log of `peer`."""
        if peer not in self._seen:
            keep(self._seen, peer, await self._ledger.seen(peer))
        return self._seen[peer]

    async def update(self, peer: Did, change: Callable[[Seen | None], Seen]) -> None:
        """Changes what is kept of the log of `peer`, here and in the ledger."""
        keep(self._seen, peer, change(await self.seen(peer)))
        self._line.pop(peer, None)  # it may be another one
        await self._ledger.update_seen(peer, change)

    async def require(self, peer: Did) -> Seen | None:
        """What was seen of the log of `peer`, unless it signed two histories of it.

        Raises:
            LogProofError: `ledger_diverged`.
        """
        seen = self._seen[peer] if peer in self._seen else await self.seen(peer)
        if seen is not None and seen.fork is not None:
            raise LogProofError(
                "ledger_diverged",
                f"{peer} signed two histories of its log: {words(seen.fork)}. Nothing is agreed with it until our "
                "operator decides: undersigned ledger forks",
            )
        return seen

    async def check(self, message: Stating, peer: DidDocument) -> Stated | None:
        """What a received message says of its sender's log, to be kept with it. It contradicts nothing that was seen of
        that log, and what it cosigns is ours.

        Raises:
            LogProofError: `log_proof_invalid`: not signed by its sender, or a cosignature or proof does not hold;
                `ledger_diverged`: the log had other leaves before, or more, now or earlier.
        """
        said = await self._said(message, peer)
        if not isinstance(message, Offer):
            for note in message.cosignatures or ():
                await self._ours(read_multibase_note(note), peer, message.engagement)
        # A Seal has to be taken: who sealed is bound.
        seen = await (self.seen(peer.id) if isinstance(message, Seal) else self.require(peer.id))
        if said is None:
            return None
        place = "/checkpoint" if isinstance(message, Closing) else "/head"
        await self._require_no_fork(said, seen.held if seen is not None else (), place)
        try:
            said = _proving(said, seen, _consistency(message))
        except LogProofError as exc:
            exc.path = "/consistency" if isinstance(message, Closing) else "/head/consistency"
            raise
        line, head = self._line.get(peer.id) or deque[Head](maxlen=LINE), said.head
        agreed = seen.agreed.head if seen is not None and seen.agreed is not None else None
        if agreed is not None and agreed in said.continues:
            said = replace(said, continues=(agreed, *line))
        after = saw(seen, said)
        if after is not seen:
            keep(self._seen, peer.id, after)
            if after.agreed is not None and after.agreed.head == head:
                line.appendleft(head)
                keep(self._line, peer.id, line)
        return said

    async def _require_no_fork(self, said: Stated, before: Iterable[Stated], place: str) -> None:
        """Returns if none of the heads of before contradicts this one; else both are kept.

        Raises:
            LogProofError: `ledger_diverged`.
        """
        for held in before:
            if contradict(held, said):
                fork = Fork(held=held, came=said)
                await self.update(said.log, partial(contradicted, fork=fork))
                raise LogProofError("ledger_diverged", f"{said.log} signed {words(fork)}", path=place)

    async def check_notice(self, notice: Receipt | Sync, peer: DidDocument) -> None:
        """What a received notice shows of its sender's log holds: the note is its sender's, it contradicts nothing that
        was seen of that log, and the proof leads to it. It is not kept: a notice may be heard and never stored.

        Raises:
            LogProofError: `log_proof_invalid`: it does not (HIRE-LOG-03); `ledger_diverged`: it had other leaves
                before, as many (HIRE-LOG-09).
        """
        if notice.checkpoint is None:
            return
        note, head = await self._noted(notice.checkpoint, notice.engagement, peer)
        said = stated_in(notice, (note, head))
        seen = await self.seen(peer.id)
        if said is not None and seen is not None:
            # Of one size alone. When its checkpoint was made a notice does not say: it may be older than the proof.
            await self._require_no_fork(said, [one for one in seen.held if one.size == said.size], "/checkpoint")
        shown = notice.inclusion if isinstance(notice, Receipt) else None
        if shown is None:
            return
        try:
            if shown.size != head.size:
                raise LogProofError(
                    "log_proof_invalid", f"a proof for {shown.size} leaves, a checkpoint of {head.size}"
                )
            InclusionProof(shown.leaf, shown.index, shown.size, shown.path).verify(head.root)
        except LogProofError as exc:
            exc.path = "/inclusion"
            raise

    async def _noted(self, note: str, engagement: EngagementId, peer: DidDocument) -> tuple[str, Checkpoint]:
        """The note that a message carries, and the checkpoint in it, once it is its sender's."""
        try:
            text, now = read_multibase_note(note), self._agent.clock.now()
            return text, await self._by_recorded(engagement, peer, lambda one: verified_note(text, one, now))
        except LogProofError as exc:
            exc.path = "/checkpoint"
            raise

    async def _said(self, message: Stating, peer: DidDocument) -> Stated | None:
        """The head of its sender's log that a message carries. One without a note is under the message's own proof."""
        if not isinstance(message, Closing):
            return stated_in(message)
        return stated_in(message, await self._noted(message.checkpoint, message.engagement, peer))

    async def _by_recorded(
        self, engagement: EngagementId, peer: DidDocument, verified: Callable[[DidDocument], T]
    ) -> T:
        """What `verified` gives for the document of now, or else for one recorded with the engagement. A key of
        that may have been replaced since; a move without receipt is then signed again, and what stands in it is not.

        Raises:
            LogProofError: It holds by none of them; as for the document of now.
        """
        try:
            return verified(peer)
        except LogProofError:
            for recorded in await recorded_documents(self._ledger, engagement, peer.id):
                with suppress(LogProofError):
                    return verified(recorded)
            raise

    async def _ours(self, note: str, peer: DidDocument, engagement: EngagementId) -> None:
        now = self._agent.clock.now()

        def cosigned(by: DidDocument) -> Checkpoint:
            return by_one_of(log_keys(by, now), lambda key: verify_cosignature(note, by.id, key), by.id)[0]

        try:
            head = await self._by_recorded(engagement, peer, cosigned)
            if not await self._was_ours(head, peer.id):
                raise LogProofError(
                    "log_proof_invalid",
                    f"a cosignature of {head.size} leaves of {head.origin!a:.200}, which our log never had: "
                    "if it is ours, it went back",
                )
        except LogProofError as exc:
            exc.path = "/cosignatures"
            raise

    async def _was_ours(self, head: Checkpoint, peer: Did) -> bool:
        if head.origin != self._agent.own.id:
            return False
        if self._told.get(peer) == Head(head.size, head.root):
            return True  # what we said ourselves needs no look at the tree
        return head.size <= await self._ledger.tree_size() and head.root == await self._ledger.root(head.size)

    def follow(self, peer: Did, engagement: EngagementId) -> None:
        """Has the log of `peer`, which said something in an engagement, looked at, soon and not too often, if heads of
        it wait for that.
        """
        seen = self._seen.get(peer)
        if seen is None or seen.fork is not None or seen.one_history or peer in self._looking:
            return
        # Soon, so that all find room; once one did not, the journals are read, which takes longer.
        now = asyncio.get_running_loop().time()
        pause = SOON_SECONDS if len(seen.open) >= FEW_OPEN and not seen.missed else LOOK_SECONDS
        if now - self._looked.get(peer, -LOOK_SECONDS) < pause:
            return
        keep(self._looked, peer, now)
        self._looking.add(peer)
        with looked_up_for(self._agent.whose(engagement, peer)):
            look = self._agent.spawn(self._look(peer), f"log of {peer[-16:]}")
        look.add_done_callback(lambda _: self._looking.discard(peer))

    async def _look(self, peer: Did) -> None:
        agent = self._agent
        seen, stored = await self.seen(peer) or Seen(), await self._ledger.seen(peer) or Seen()
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                base = await self._locate(peer)
                # What did not find room is in the journals.
                others = (*seen.held, *stored.held, *(await stated_heads(self._ledger, peer) if stored.missed else ()))
                newest = max(others, key=lambda one: one.size)
                fork = await fork_of(agent.gatherer, base, newest, others)
        except (UndersignedError, TimeoutError) as error:
            # What it serves is not what it signed, or nothing: neither says that it signed anything else.
            _log.info("a log could not be looked at", log=peer, error=str(error) or "its tiles come too slowly")
            keep(self._looked, peer, asyncio.get_running_loop().time() + LOOK_SECONDS)
            return
        if fork is not None:
            _log.error("a log was rewritten", log=peer, fork=words(fork))
            await self.update(peer, partial(contradicted, fork=fork))
        else:
            await self.update(peer, partial(connected, line=others, missed=stored.missed))

    async def cosignatures(self, peer: Did) -> tuple[str, ...]:
        """Our cosignature of the newest checkpoint of `peer`, once, if all that was seen is known to be one history."""
        agent = self._agent
        seen = await self.seen(peer)
        newest = seen.agreed if seen is not None and seen.one_history else None
        if newest is None or newest.size == 0 or self._cosigned.get(peer) == newest.size:
            return ()
        text = checkpoint_text(peer, newest.size, newest.root)
        seconds = int(parse_instant(agent.clock.now()).timestamp())
        signature = await self._key.sign(cosigned_text(text, seconds))
        keep(self._cosigned, peer, newest.size)
        note = cosigned_note(text, agent.own.id, self._key.public_key, seconds, signature)
        return (multibase_note(note),)

    async def head(self, peer: Did) -> LogHead:
        """Our log as it stands, and that it continues what `peer` was told before."""
        head = await self._ledger.head()
        at = self._agent.clock.now()  # at once: of what is stated later, none is smaller
        consistency = await self.told(peer, head)
        return LogHead(at=at, size=head.size, root=digest_from_hash(head.root), consistency=consistency)

    async def told(self, peer: Did, head: Head) -> Consistency | None:
        """The proof that our log at `head` continues what `peer` was told before; None if that is not known."""
        old = self._told.get(peer)
        if old is None or old.size < head.size:
            keep(self._told, peer, head)
        if old is None or not 0 < old.size < head.size:
            return None
        path = await self._ledger.consistency(old.size, head.size)
        return Consistency(size=old.size, path=tuple(map(digest_from_hash, path)))


def _consistency(message: Stating) -> Consistency | None:
    if isinstance(message, Closing):
        return message.consistency
    return message.head.consistency if not isinstance(message, Seal) and message.head is not None else None


def _proving(said: Stated, seen: Seen | None, consistency: Consistency | None) -> Stated:
    """What was said, with what of that log it proves to be continued.

    Raises:
        LogProofError: The proof that it does does not hold.
    """
    if consistency is None or seen is None:
        return said
    old = next((one.head for one in seen.held if one.size == consistency.size < said.size), None)
    if old is None or old.size == 0:
        return said  # from what we do not hold it proves nothing, and what every log continues needs no proof
    path = [*map(digest_hash, consistency.path)]
    verify_consistency(old.size, old.root, said.size, said.root, path)
    return replace(said, continues=(old,))


def keep(held: OrderedDict[Did, T], log: Did, value: T) -> None:
    """Remembers something of a log, and forgets what was remembered longest ago."""
    held[log] = value
    held.move_to_end(log)
    if len(held) > MAX_LOGS:
        held.popitem(last=False)
