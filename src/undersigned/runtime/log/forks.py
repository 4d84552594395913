"""Two histories of one log, in a document that anybody can check: what `witness show` gives, and what peers find.

    {"contradiction": DID, "size": N, "notes": [held, came], "path": [digest, …], "messages": [held, came]}

`notes` are the two checkpoints. One that is no signed note was stated in a message; then, or if it is the times that
tell, `messages` has both messages whole, or the first alone: what an audit is served came in none. `path` shows that
the larger one does not continue the smaller one.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.7
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeAlias, TypeVar

from msgspec import Struct

from undersigned.did import DidDocument
from undersigned.encoding import (
    FOREIGN_LIMITS,
    Did,
    Digest,
    EngagementId,
    Instant,
    JsonObject,
    canonicalize,
    decode_json,
    digest_from_hash,
    digest_hash,
    to_struct,
)
from undersigned.errors import FormatError, LogProofError, UndersignedError, VerificationError
from undersigned.ledger import Fork, Ledger, Stated
from undersigned.messages import decode_message, recorded_message, verify_message
from undersigned.runtime.fetching.gather import Gatherer
from undersigned.transparency import TILE_WIDTH, Tile, consistency_path, consistency_roots, node_of_tiles, read_tile

from .logbook import stated_in, verified_note

__all__ = ["DocumentsOf", "by_one", "check_fork", "contradict", "fork_document", "fork_in", "fork_of", "words"]

DocumentsOf: TypeAlias = Callable[[Did], Awaitable[Sequence[DidDocument]]]
"""Those of a DID by which something may be signed, at least one: who replaced its key signed the rest by another."""
T = TypeVar("T")

MAX_TILES = 1024
"""Of somebody else's log that are held at a time, 16 KiB each; two heads are connected by a dozen."""


def contradict(one: Stated, other: Stated) -> bool:
    """Whether no log that only grows has both heads, as it shows without a proof."""
    if one.size == other.size:
        return one.root != other.root
    less, more = (one, other) if one.size < other.size else (other, one)
    return less.at is not None and more.at is not None and less.at > more.at


def words(fork: Fork) -> str:
    """What contradicts what."""
    held, came = fork.held, fork.came
    if held.size == came.size:
        return f"two roots of {held.size} leaves"
    if fork.path:
        return f"{held.size} leaves, and {came.size} that do not continue them"
    less, more = sorted((held, came), key=lambda head: head.size)
    return f"{more.size} leaves at {more.at}, and {less.size} afterwards, at {less.at}: its log went back"


async def fork_of(gatherer: Gatherer, base: str, new: Stated, others: Iterable[Stated]) -> Fork | None:
    """The first of `others` that the log at `base` shows not to be continued by its tree of the size of `new`.

    Raises:
        LogProofError: It shows another tree than the one that was signed.
        ResolutionError, TransportError: It was not had.
    """
    tiles: dict[Tile, tuple[bytes, ...]] = {}
    node = node_of_tiles(new.size, tiles.__getitem__)
    for old in sorted(others, key=lambda one: one.size):
        if old.size == new.size and old.root != new.root:
            return Fork(held=old, came=new)
        path: tuple[bytes, ...] = ()
        while 0 < old.size < new.size:
            try:
                path = consistency_path(old.size, new.size, node)
                if old.size & (old.size - 1) == 0:
                    path = (node(old.size.bit_length() - 1, 0), *path)
                break
            except KeyError as missing:
                tile: Tile = missing.args[0]
                if len(tiles) >= MAX_TILES:
                    tiles.clear()
                tiles[tile] = read_tile(tile, await gatherer.fetch(f"{base}/{tile.path}", max_bytes=32 * TILE_WIDTH))
        if path:
            before, after = consistency_roots(old.size, new.size, path)
            if after != new.root:
                text = f"its tiles do not lead to the root that it signed for {new.size} leaves"
                raise LogProofError("log_proof_invalid", text)
            if before != old.root:
                return Fork(held=old, came=new, path=path)
    return None


class ForkDocument(Struct, frozen=True, kw_only=True):
    """As it is read; what commands add for programs is passed over."""

    contradiction: Did
    size: int
    notes: tuple[str, str]
    path: tuple[Digest, ...] = ()
    messages: tuple[Mapping[str, Any], ...] = ()


async def fork_document(ledger: Ledger, fork: Fork) -> JsonObject:
    """The document of what was found.

    Raises:
        UndersignedError: `not_found`: a message that it needs is not in the ledger.
    """
    held, came = fork.held, fork.came
    document: JsonObject = {
        "contradiction": came.log,
        "size": max(held.size, came.size),
        "notes": [held.note, came.note],
    }
    if fork.path:
        document["path"] = [*map(digest_from_hash, fork.path)]
    times = held.size != came.size and not fork.path
    if times or not (_signed(held.note) and _signed(came.note)):
        stated = [one for one in (held, came) if one.engagement is not None]
        document["messages"] = [decode_json(await _message(ledger, one), FOREIGN_LIMITS) for one in stated]
    return document


async def fork_in(ledger: Ledger, engagement: EngagementId, *, alone: bool = False) -> bytes | None:
    """The document of the two histories that the other side of an engagement showed in it; None if it did not. `alone`:
    without the messages, if one is of another engagement.
    """
    for _, seen in await ledger.logs_seen():
        for fork in (seen.fork, *(one.fork for one in seen.past)):
            if fork is not None and engagement in (fork.held.engagement, fork.came.engagement):
                document = await fork_document(ledger, fork)
                if alone and {fork.held.engagement, fork.came.engagement} != {engagement}:
                    document.pop("messages", None)
                return canonicalize(document)
    return None


async def check_fork(
    raw: bytes, documents_of: DocumentsOf, *, now: Instant, accused: Did | None = None
) -> tuple[Did, str]:
    """Whose log shows two histories, and which, once each is known to be signed by its owner, by whichever of its
    documents: notes by a key of `now`, messages by one of when they were signed.

    Raises:
        FormatError: It is no such document.
        VerificationError: `evidence_invalid`, the two do not contradict each other; or one is not signed by the owner.
        ResolutionError: The owner's DID document was not had.
    """
    value = decode_json(raw, FOREIGN_LIMITS)
    said = to_struct(value, ForkDocument) if isinstance(value, dict) else None
    if said is None or len(said.messages) > 2:
        raise FormatError("schema_violation", "expected two checkpoints of one log, a JSON object")
    if accused not in (None, said.contradiction):
        raise VerificationError("evidence_invalid", f"it is about the log of {said.contradiction}, not of {accused}")
    owners = await documents_of(said.contradiction)
    held, came = (
        by_one(owners, partial(_of_message, said.messages[at]))
        if at < len(said.messages)
        else by_one(owners, partial(_of_note, note, now))
        for at, note in enumerate(said.notes)
    )
    fork = Fork(held=held, came=came, path=tuple(map(digest_hash, said.path)))
    if not (contradict(held, came) or _not_continued(fork)):
        raise VerificationError("evidence_invalid", f"{said.contradiction} may have signed both for one log")
    return said.contradiction, words(fork)


def by_one(documents: Sequence[DidDocument], check: Callable[[DidDocument], T]) -> T:
    """What `check` gives of the first of these documents by which it holds; of none, what it says of the last."""
    for document in documents[:-1]:
        with suppress(VerificationError):
            return check(document)
    return check(documents[-1])


def _not_continued(fork: Fork) -> bool:
    if not fork.path or fork.held.size >= fork.came.size:
        return False
    before, after = consistency_roots(fork.held.size, fork.came.size, fork.path)
    return after == fork.came.root and before != fork.held.root


def _of_note(note: str, now: Instant, owner: DidDocument) -> Stated:
    # Without a time: a note alone does not say when it was signed.
    head = verified_note(note, owner, now)
    return Stated(log=owner.id, size=head.size, root=head.root, at=None, note=note)


def _of_message(value: Mapping[str, Any], owner: DidDocument) -> Stated:
    signed = decode_message(canonicalize(dict(value)))
    message = signed.message
    verify_message(signed, {owner.id: owner}, now=signed.proof.created, recipient=message.recipient)
    stated = stated_in(message)
    if stated is None or message.sender != owner.id:
        raise VerificationError("evidence_invalid", f"a {message.type} that states no log of {owner.id}")
    return stated


def _signed(note: str) -> bool:
    """Whether there are signature lines below the checkpoint."""
    return "\n\n" in note


async def _message(ledger: Ledger, stated: Stated) -> bytes:
    """The message that states it."""
    for raw in await _raw(ledger, stated.engagement) if stated.engagement is not None else ():
        found = stated_in(recorded_message(raw).message)
        if found is not None and (found.log, found.head, found.at) == (stated.log, stated.head, stated.at):
            return raw
    raise UndersignedError("not_found", f"the message in which {stated.log} stated {stated.size} leaves is not here")


async def _raw(ledger: Ledger, engagement: EngagementId) -> Iterable[bytes]:
    evidence = [blob.raw for blob in await ledger.evidence(engagement) if blob.kind == "fork"]
    return (*evidence, *(row.raw for row in await ledger.rows(engagement) if row.kind == "received"))
