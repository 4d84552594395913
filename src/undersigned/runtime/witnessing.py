"""Each party watches the other's log: no checkpoint contradicts one that was seen before, and one that continues it is
cosigned.

What can be seen at once refuses the message that carries it: another root of the same size, or fewer leaves than were
signed earlier. So whoever was put back from an old copy is noticed with its first offer or acceptance, before anything
is sealed. That more leaves continue the ones before is shown by a closing itself from where the engagement began, and
is otherwise found out afterwards, from the tiles that the other side serves; until it is known nothing is cosigned,
and if it is not so, never again.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.5
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
import structlog

from undersigned.encoding import Did, base64url_encode, digest_from_hex, digest_hex, parse_instant
from undersigned.errors import LogProofError, UndersignedError
from undersigned.ledger import Head, Seen
from undersigned.messages import Acceptance, Closing, Consistency, LogHead, Offer, Seal
from undersigned.transparency import (
    TILE_WIDTH,
    Checkpoint,
    Tile,
    checkpoint_text,
    consistency_path,
    cosigned_note,
    cosigned_text,
    node_of_tiles,
    read_tile,
    verify_consistency,
    verify_cosignature,
)

from .gather import Gatherer
from .logbook import by_one_of, log_keys, read_multibase_note, verified_note
from .signers import Signer

if TYPE_CHECKING:
    from undersigned.did import DidDocument

    from .agent import Agent

T = TypeVar("T")

__all__ = ["CrossWitness", "continues"]

_log: Final = structlog.get_logger("undersigned.witnessing")
LOOK_SECONDS: Final = 60.0
"""A log that grows is looked at no more often."""
MAX_LOGS: Final = 4096


class CrossWitness:
    """One per agent."""

    def __init__(self, agent: Agent, key: Signer) -> None:
        """`key` signs our own checkpoints."""
        self._agent, self._key = agent, key
        self._new: OrderedDict[Did, Seen] = OrderedDict()
        """What came last of each log, which may not be stored yet."""
        self._cosigned: OrderedDict[Did, int] = OrderedDict()
        """The size of each log that was cosigned last: once is enough."""
        self._told: OrderedDict[Did, Head] = OrderedDict()
        """The head of our log that each peer was told last."""
        self._looked: OrderedDict[Did, float] = OrderedDict()
        """When each log was last looked at, by the loop's time."""

    async def check(self, message: Offer | Acceptance | Seal | Closing, peer: DidDocument) -> Seen | None:
        """What a received message says of its sender's log, to be kept with it. It contradicts nothing that was seen of
        that log, and what it cosigns is ours.

        Raises:
            LogProofError: `log_proof_invalid`: not signed by its sender, or a cosignature or proof does not hold;
                `ledger_diverged`: the log had other leaves before, or more.
        """
        said = self._said(message, peer)
        if not isinstance(message, Offer):
            for note in message.cosignatures or ():
                await self._ours(read_multibase_note(note), peer)
        if said is None:
            return None
        seen = await self._agent.ledger.seen(peer.id)
        place = "/checkpoint" if isinstance(message, Closing) else "/head"
        if seen is not None:
            _check_growth(seen, said, place)
        consistency = _consistency(message)
        try:
            said = _joined(said, self._agreed(peer.id, seen), consistency)
        except LogProofError as exc:
            exc.path = "/consistency" if isinstance(message, Closing) else "/head/consistency"
            raise
        keep(self._new, peer.id, said)
        return said

    def _agreed(self, peer: Did, seen: Seen | None) -> Head | None:
        """The largest head that is known to continue all before. `seen` is what the store has."""
        new = self._new.get(peer)
        known = [one.agreed for one in (seen, new) if one is not None and one.agreed is not None]
        return max(known, key=lambda one: one.size, default=None)

    def _said(self, message: Offer | Acceptance | Seal | Closing, peer: DidDocument) -> Seen | None:
        """The head of its sender's log that a message carries. One without a note is under the message's own proof."""
        if isinstance(message, Closing):
            at = message.proof.created if message.proof is not None else ""
            note = read_multibase_note(message.checkpoint)
            try:
                head = verified_note(note, peer, self._agent.clock.now())
            except LogProofError as exc:
                exc.path = "/checkpoint"
                raise
            return Seen(log=peer.id, size=head.size, root=head.root, at=at, note=note)
        if isinstance(message, Seal) or message.head is None:
            return None
        head = message.head
        root = bytes.fromhex(digest_hex(head.root))
        note = checkpoint_text(peer.id, head.size, root).decode()
        return Seen(log=peer.id, size=head.size, root=root, at=head.at, note=note)

    async def _ours(self, note: str, peer: DidDocument) -> None:
        keys = log_keys(peer, self._agent.clock.now())
        try:
            head, _ = by_one_of(keys, lambda key: verify_cosignature(note, peer.id, key), peer.id)
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
        ledger = self._agent.ledger
        if head.origin != self._agent.own.id:
            return False
        if self._told.get(peer) == Head(head.size, head.root):
            return True  # what we said ourselves needs no look at the tree
        return head.size <= await ledger.tree_size() and head.root == await ledger.root(head.size)

    def follow(self, peer: Did) -> None:
        """Has the log of `peer` looked at, soon and not too often, if it has grown since it was last."""
        now = asyncio.get_running_loop().time()
        if now - self._looked.get(peer, -LOOK_SECONDS) < LOOK_SECONDS:
            return
        keep(self._looked, peer, now)
        self._agent.spawn(self._look(peer), f"log of {peer[-16:]}")

    async def _look(self, peer: Did) -> None:
        agent = self._agent
        seen = await agent.ledger.seen(peer)
        if seen is None or seen.agreed is None or seen.agreed.size >= seen.size:
            return
        try:
            base = await agent.log_url(peer)
            await continues(agent.gatherer, base, seen.agreed, Head(seen.size, seen.root))
        except LogProofError as error:
            # Two notes of its own that contradict each other are in our journal: proof to anybody.
            _log.error("a log was rewritten", log=peer, size=seen.size, before=seen.agreed.size, error=str(error))
            return
        except UndersignedError as error:
            _log.info("a log could not be looked at", log=peer, error=str(error))
            return
        await agent.ledger.put_agreed(peer, Head(seen.size, seen.root))

    async def cosignatures(self, peer: Did) -> tuple[str, ...]:
        """Our cosignature of the newest checkpoint of `peer`, once, if it is known to continue what was seen before."""
        agent = self._agent
        seen = await agent.ledger.seen(peer)
        newest = max((one for one in (seen, self._new.get(peer)) if one is not None), key=_size, default=None)
        agreed = self._agreed(peer, seen)
        if newest is None or newest.size == 0 or agreed != _head(newest) or self._cosigned.get(peer) == newest.size:
            return ()
        text = checkpoint_text(peer, newest.size, newest.root)
        seconds = int(parse_instant(agent.clock.now()).timestamp())
        signature = await self._key.sign(cosigned_text(text, seconds))
        keep(self._cosigned, peer, newest.size)
        note = cosigned_note(text, agent.own.id, self._key.public_key, seconds, signature)
        return ("u" + base64url_encode(note.encode()),)

    async def head(self, peer: Did) -> LogHead:
        """Our log as it stands, and that it continues what `peer` was told before."""
        ledger = self._agent.ledger
        size = await ledger.tree_size()
        at = self._agent.clock.now()  # at once: of what is stated later, none is smaller
        root = await ledger.root(size)
        consistency = await self.told(peer, Head(size, root))
        return LogHead(at=at, size=size, root=digest_from_hex(root.hex()), consistency=consistency)

    async def told(self, peer: Did, head: Head) -> Consistency | None:
        """The proof that our log at `head` continues what `peer` was told before; None if that is not known."""
        old = self._told.get(peer)
        if old is None or old.size < head.size:
            keep(self._told, peer, head)
        if old is None or not 0 < old.size < head.size:
            return None
        path = await self._agent.ledger.consistency(old.size, head.size)
        return Consistency(size=old.size, path=tuple(digest_from_hex(one.hex()) for one in path))


def _size(seen: Seen) -> int:
    return seen.size


def _head(seen: Seen) -> Head:
    return Head(seen.size, seen.root)


def _consistency(message: Offer | Acceptance | Seal | Closing) -> Consistency | None:
    if isinstance(message, Closing):
        return message.consistency
    return message.head.consistency if not isinstance(message, Seal) and message.head is not None else None


def _joined(said: Seen, agreed: Head | None, consistency: Consistency | None) -> Seen:
    """What was said, once it is known whether it continues what is `agreed`.

    Raises:
        LogProofError: The proof that it does does not hold.
    """
    if agreed is None or agreed.size == 0:
        pass  # the first one, and what every log continues, need no proof
    elif consistency is not None and consistency.size == agreed.size < said.size:
        path = [bytes.fromhex(digest_hex(one)) for one in consistency.path]
        verify_consistency(agreed.size, agreed.root, said.size, said.root, path)
    elif agreed != _head(said):
        return said
    return msgspec.structs.replace(said, agreed=_head(said))


def _check_growth(seen: Seen, said: Seen, path: str) -> None:
    if seen.size == said.size and seen.root != said.root:
        raise LogProofError("ledger_diverged", f"{said.log} signed two roots of {said.size} leaves", path=path)
    if said.size < seen.size and said.at > seen.at:
        raise LogProofError(
            "ledger_diverged",
            f"{said.log} signed {seen.size} leaves at {seen.at}, and {said.size} afterwards: its log went back",
            path=path,
        )


def keep(held: OrderedDict[Did, T], log: Did, value: T) -> None:
    """Remembers something of a log, and forgets what was remembered longest ago."""
    held[log] = value
    held.move_to_end(log)
    if len(held) > MAX_LOGS:
        held.popitem(last=False)


async def continues(gatherer: Gatherer, base: str, old: Head, new: Head) -> None:
    """The log at `base` shows that its tree of the size `new` continues the one of the size `old`.

    Raises:
        LogProofError: It does not.
        ResolutionError: It was not had.
    """
    tiles: dict[Tile, tuple[bytes, ...]] = {}
    node = node_of_tiles(new.size, tiles.__getitem__)
    while True:
        try:
            path = consistency_path(old.size, new.size, node) if 0 < old.size < new.size else ()
            break
        except KeyError as missing:
            tile: Tile = missing.args[0]
            tiles[tile] = read_tile(tile, await gatherer.fetch(f"{base}/{tile.path}", max_bytes=32 * TILE_WIDTH))
    verify_consistency(old.size, old.root, new.size, new.root, path)
