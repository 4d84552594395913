"""Each party watches the other's log: no checkpoint contradicts one that was seen before, and one that continues it is
cosigned.

What can be seen at once refuses the message that carries it: another root of the same size, or fewer leaves than were
signed earlier. That more leaves continue the ones before is found out afterwards, from the tiles that the other side
serves; until it is known nothing is cosigned, and if it is not so, never again.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.5
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
import structlog

from undersigned.encoding import Did, base64url_encode, parse_instant
from undersigned.errors import LogProofError, UndersignedError
from undersigned.ledger import Head, Seen
from undersigned.transparency import (
    TILE_WIDTH,
    Checkpoint,
    Tile,
    consistency_path,
    cosigned_note,
    cosigned_text,
    node_of_tiles,
    read_checkpoint,
    read_note,
    read_tile,
    verify_consistency,
    verify_cosignature,
)

from .gather import Gatherer
from .logbook import by_one_of, log_keys, read_multibase_note, verified_note
from .signers import Signer

if TYPE_CHECKING:
    from undersigned.did import DidDocument
    from undersigned.messages import Closing

    from .agent import Agent

T = TypeVar("T")

__all__ = ["CrossWitness", "continues", "seen_of"]

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
        self._looked: OrderedDict[Did, float] = OrderedDict()
        """When each log was last looked at, by the loop's time."""

    async def check(self, closing: Closing, peer: DidDocument) -> None:
        """The checkpoint of a received closing contradicts nothing that was seen of that log; what it cosigns is ours.

        Raises:
            LogProofError: `log_proof_invalid`: not signed by its sender, or a cosignature does not hold;
                `ledger_diverged`: the log had other leaves before, or more.
        """
        agent = self._agent
        try:
            head = verified_note(read_multibase_note(closing.checkpoint), peer, agent.clock.now())
        except LogProofError as exc:
            exc.path = "/checkpoint"
            raise
        for note in closing.cosignatures:
            await self._ours(read_multibase_note(note), peer)
        seen, said = await agent.ledger.seen(peer.id), seen_of(closing)
        keep(self._new, peer.id, said)
        if seen is None:
            return
        if seen.size == head.size and seen.root != head.root:
            raise LogProofError(
                "ledger_diverged", f"{peer.id} signed two roots of {head.size} leaves", path="/checkpoint"
            )
        if head.size < seen.size and said.at > seen.at:
            raise LogProofError(
                "ledger_diverged",
                f"{peer.id} signed {seen.size} leaves at {seen.at}, and {head.size} afterwards: its log went back",
                path="/checkpoint",
            )

    async def _ours(self, note: str, peer: DidDocument) -> None:
        keys = log_keys(peer, self._agent.clock.now())
        try:
            head, _ = by_one_of(keys, lambda key: verify_cosignature(note, peer.id, key), peer.id)
            if not await self._was_ours(head):
                raise LogProofError(
                    "log_proof_invalid",
                    f"a cosignature of {head.size} leaves of {head.origin!a:.200}, which our log never had: "
                    "if it is ours, it went back",
                )
        except LogProofError as exc:
            exc.path = "/cosignatures"
            raise

    async def _was_ours(self, head: Checkpoint) -> bool:
        ledger = self._agent.ledger
        return (
            head.origin == self._agent.own.id
            and head.size <= await ledger.tree_size()
            and head.root == await ledger.root(head.size)
        )

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
        seen, new = await agent.ledger.seen(peer), self._new.get(peer)
        if seen is None and new is not None:
            # Nothing came before that it could contradict.
            seen = msgspec.structs.replace(new, agreed=Head(new.size, new.root))
        if seen is None or seen.agreed != Head(seen.size, seen.root) or self._cosigned.get(peer) == seen.size:
            return ()
        text = read_note(seen.note).text
        seconds = int(parse_instant(agent.clock.now()).timestamp())
        signature = await self._key.sign(cosigned_text(text, seconds))
        keep(self._cosigned, peer, seen.size)
        note = cosigned_note(text, agent.own.id, self._key.public_key, seconds, signature)
        return ("u" + base64url_encode(note.encode()),)


def keep(held: OrderedDict[Did, T], log: Did, value: T) -> None:
    """Remembers something of a log, and forgets what was remembered longest ago."""
    held[log] = value
    held.move_to_end(log)
    if len(held) > MAX_LOGS:
        held.popitem(last=False)


def seen_of(closing: Closing) -> Seen:
    """What a closing that was checked says of its sender's log."""
    note, proof = read_multibase_note(closing.checkpoint), closing.proof
    head = read_checkpoint(read_note(note).text)
    at = proof.created if proof is not None else ""
    return Seen(log=closing.sender, size=head.size, root=head.root, at=at, note=note)


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
