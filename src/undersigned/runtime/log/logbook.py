"""The log of a ledger as others see it: what of an engagement stands in it, proofs of that, audits of a whole log.

An audit reads every leaf, makes the tree again, and compares its root at every size for which somebody holds a signed
checkpoint: what was handed out once has to be a part of what is there now.

Source: protocol-spec/08-attestation-and-evidence.md, sections 8.4 and 8.7
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

import msgspec

from undersigned.contract import accepted_by
from undersigned.did import DidDocument, fetches
from undersigned.encoding import (
    Did,
    Digest,
    Instant,
    JsonObject,
    base64url_decode,
    base64url_encode,
    digest_bytes,
    digest_hash,
    from_struct,
)
from undersigned.errors import ConfigurationError, FormatError, LogProofError, TransportError, UndersignedError
from undersigned.keys import PublicKey
from undersigned.ledger import Blob, Head, Ledger, Row, Stated
from undersigned.messages import Acceptance, Closing, Message, Offer, Receipt, Seal, Sync, recorded_message
from undersigned.runtime.fetching.gather import Gatherer
from undersigned.runtime.signers import Signer
from undersigned.transparency import (
    LOGGED_MOVES,
    TILE_WIDTH,
    Checkpoint,
    Frontier,
    Tile,
    by_one_of,
    checkpoint_text,
    contract_leaf,
    decision_leaf,
    decision_salt,
    leaf_digest,
    leaf_hash,
    move_leaf,
    read_bundle,
    read_checkpoint,
    read_note,
    refusal_leaf,
    signed_note,
    verify_note,
)

__all__ = [
    "Audited",
    "HeldHead",
    "Logged",
    "audited",
    "beside",
    "fetched_leaves",
    "held_heads",
    "kept_leaves",
    "log_keys",
    "log_url",
    "logged",
    "multibase_note",
    "noted",
    "proof_of",
    "read_multibase_note",
    "require_own",
    "stated_heads",
    "stated_in",
    "verified_note",
]


MAX_BUNDLE_BYTES: Final = TILE_WIDTH * 65_537


def multibase_note(note: str) -> str:
    """A signed note as a message carries it."""
    return "u" + base64url_encode(note.encode())


def read_multibase_note(text: str) -> str:
    """The signed note in its multibase form.

    Raises:
        LogProofError: It is not text.
    """
    try:
        return base64url_decode(text[1:]).decode()
    except (FormatError, UnicodeDecodeError) as exc:
        raise LogProofError("log_proof_invalid", "the note is not text") from exc


class Logged(msgspec.Struct, frozen=True):
    """Something that has a leaf."""

    what: str
    """`contract`, `decision`, `refusal`, or the type of a move."""
    digest: Digest
    """Of the document, move, decision or envelope."""
    at: Instant
    """When it was recorded."""
    leaf: bytes
    salt: bytes = b""
    """Of a decision: shows that the leaf is this one's."""


class HeldHead(msgspec.Struct, frozen=True):
    """A head of a log that its owner signed, and where we have it from."""

    head: Checkpoint
    where: str


class Audited(msgspec.Struct, frozen=True):
    """What an audit went through and found."""

    origin: str
    leaves: int
    root: bytes
    compared: int
    """Signed heads, and promised places, that it was held against."""
    defects: tuple[str, ...]


async def require_own(ledger: Ledger, own: Did, url: str) -> None:
    """Returns if what is in the ledger at `url` was said by us, as far as there is any: over another's we would sign a
    second history of our log, which nobody deals with who has seen the first.

    Raises:
        ConfigurationError: `bad_configuration`.
    """
    owner = await ledger.owner()
    if owner not in (None, own):
        text = f"the ledger {url} is that of {owner}, and this is {own}: put its own back"
        raise ConfigurationError("bad_configuration", text)


async def noted(ledger: Ledger, own: Did, key: Signer, head: Head | None = None) -> str:
    """A signed checkpoint of the log at `head`, or as it stands."""
    if head is None:
        head = await ledger.head()
    text = checkpoint_text(own, head.size, head.root)
    return signed_note(text, own, key.public_key, await key.sign(text))


async def logged(ledger: Ledger, rows: Iterable[Row], evidence: Iterable[Blob]) -> tuple[Logged, ...]:
    """What of these rows and this evidence of an engagement has a leaf, in the order of the journal; refusals last."""
    secret = await ledger.secret()
    offers: dict[Digest, Offer] = {}
    found: list[Logged] = []
    for row in rows:
        if row.kind == "noted":
            if row.type == "decision":
                salt = decision_salt(row.raw, secret)
                leaf = decision_leaf(row.raw, salt)
                found.append(Logged("decision", digest_bytes(row.raw), row.at, leaf, salt))
            continue
        if row.type == "Offer" and isinstance(offer := recorded_message(row.raw).message, Offer):
            offers[row.digest] = offer
        if row.type not in LOGGED_MOVES:
            continue
        if row.type == "Acceptance" and isinstance(said := recorded_message(row.raw).message, Acceptance):
            # Taken out: a second acceptance of the same offer, or one of another, is void, and makes no contract.
            offer = offers.pop(said.offer, None)
            document = accepted_by(from_struct(offer.document), said.contract_proof) if offer is not None else None
            if document is not None:
                found.append(Logged("contract", said.document, row.at, contract_leaf(document)))
        found.append(Logged(row.type, row.digest, row.at, move_leaf(row.raw)))
    found += [Logged("refusal", blob.digest, "", refusal_leaf(blob.raw)) for blob in evidence if blob.kind == "refusal"]
    return tuple(found)


def stated_in(message: Message, read: tuple[str, Checkpoint] | None = None) -> Stated | None:
    """The head of its sender's log that a message states, under the message's own proof; None if it states none.

    `read` is the note in it and what that says, if the caller has it already.
    """
    if isinstance(message, Offer | Acceptance) and message.head is not None:
        at, size, root = message.head.at, message.head.size, digest_hash(message.head.root)
        note = checkpoint_text(message.sender, size, root).decode()
    elif isinstance(message, Closing | Receipt | Sync) and message.checkpoint:
        at = message.checkpoint_at if isinstance(message, Closing) else None
        if at is None and message.proof is not None:
            at = message.proof.created
        if read is None:
            note = read_multibase_note(message.checkpoint)
            head = read_checkpoint(read_note(note).text)
        else:
            note, head = read
        size, root = head.size, head.root
    else:
        return None
    return Stated(log=message.sender, size=size, root=root, at=at, note=note, engagement=message.engagement)


async def stated_heads(ledger: Ledger, owner: Did) -> tuple[Stated, ...]:
    """Every head of its log that `owner` stated in a message of our journals."""
    found: list[Stated] = []
    for summary in await ledger.summaries():
        for row in await ledger.rows(summary.engagement) if summary.peer == owner else ():
            if row.kind == "received" and row.type in _STATING:
                said = stated_in(recorded_message(row.raw).message)
                found += [said] if said is not None else []
    return tuple(found)


_STATING: Final = ("Offer", "Acceptance", "Closing", "Receipt", "Sync")


async def held_heads(ledger: Ledger, owner: Did) -> tuple[tuple[HeldHead, ...], Mapping[int, Mapping[Digest, str]]]:
    """What we have of a log of `owner`, who may be ourselves: its checkpoints in our journals, and the leaves that its
    `Seal`s promised, by place, each with the message that did: of two for one place at least one is not there.
    """
    heads: list[HeldHead] = []
    promised: dict[int, dict[Digest, str]] = {}
    for summary in await ledger.summaries():
        for row in await ledger.rows(summary.engagement):
            if row.kind == "noted" or row.sender != owner or row.type not in ("Seal", *_STATING):
                continue
            said = recorded_message(row.raw).message
            where = f"{row.type} of {summary.engagement}"
            if isinstance(said, Seal) and said.ledger.log == owner:
                promised.setdefault(said.ledger.index, {})[said.ledger.leaf] = where
            elif (stated := stated_in(said)) is not None:
                # In a message that its owner signed: it is its word, whatever key signed the note.
                heads.append(HeldHead(Checkpoint(owner, stated.size, stated.root), where))
    return tuple(heads), promised


def log_keys(document: DidDocument, now: Instant) -> tuple[PublicKey, ...]:
    """The keys of a document that sign notes of its owner's log."""
    return tuple([key for key in document.keys("assertionMethod", now=now).values() if key.kind == "Ed25519"])


def verified_note(note: str, document: DidDocument, now: Instant) -> Checkpoint:
    """The checkpoint in a note, once a key that speaks for the owner has signed it.

    Raises:
        LogProofError: None has.
    """
    owner = document.id
    head = by_one_of(log_keys(document, now), lambda key: verify_note(note, key, owner), owner)
    if head.origin != owner:
        raise LogProofError("log_proof_invalid", f"a checkpoint of {head.origin!a:.200}, signed by {owner}")
    return head


def beside(url: str) -> str:
    """The HTTP origin of a URL, of one of a listener too.

    Raises:
        TransportError: `unreachable`: it is none; DID documents hold whatever their owners write.
    """
    try:
        parts = urlsplit(url)
    except ValueError as exc:
        raise TransportError("unreachable", f"not a URL: {url!r:.200}") from exc
    scheme = {"wss": "https", "ws": "http"}.get(parts.scheme, parts.scheme)
    return f"{scheme}://{parts.netloc}"


def log_url(document: DidDocument, *, local: bool) -> str:
    """Where the log of a DID is: beside where it listens, else beside its document.

    Raises:
        TransportError: `unreachable`, neither says a place, or what it says is none.
    """
    places = document.services("HireService")[:1] or fetches(document.id, local=local)[:1]
    if not places:
        raise TransportError("unreachable", f"nothing says where the log of {document.id} is")
    return f"{beside(places[0])}/ledger"


async def kept_leaves(ledger: Ledger, size: int) -> AsyncGenerator[tuple[bytes, ...], None]:
    """The leaves of our own log, some at a time."""
    for start in range(0, size, 4 * TILE_WIDTH):
        yield await ledger.leaves(start, min(4 * TILE_WIDTH, size - start))


async def fetched_leaves(gatherer: Gatherer, base: str, size: int) -> AsyncGenerator[tuple[bytes, ...], None]:
    """The leaves of the log at `base`, bundle by bundle.

    Raises:
        ResolutionError, TransportError: One was not had.
        LogProofError: One is none.
    """
    for number in range(-(-size // TILE_WIDTH)):
        tile = Tile(None, number, min(TILE_WIDTH, size - number * TILE_WIDTH))
        yield read_bundle(tile, await gatherer.fetch(f"{base}/{tile.path}", max_bytes=MAX_BUNDLE_BYTES))


async def audited(
    checkpoint: Checkpoint,
    leaves: AsyncIterable[tuple[bytes, ...]],
    held: Iterable[HeldHead],
    promised: Mapping[int, Mapping[Digest, str]],
    step: Callable[[int], None] = lambda _: None,
) -> Audited:
    """The tree made again from all its leaves, and held against what is known of it. `step` hears how many are done.

    Raises:
        UndersignedError: What `leaves` raise, while nothing was found: afterwards that is one defect more.
    """
    by_size: dict[int, list[HeldHead]] = {}
    for one in held:
        by_size.setdefault(one.head.size, []).append(one)
    tree, defects, compared = Frontier(), list[str](), 0

    def compare() -> None:
        nonlocal compared
        for one in by_size.pop(tree.size, ()):
            compared += 1
            if one.head.root != tree.root:
                defects.append(f"{one.where}: it signed another root of {tree.size} leaves")

    compare()
    try:
        async for some in leaves:
            for leaf in some:
                value = leaf_hash(leaf)
                for wanted, where in promised.get(tree.size, {}).items():
                    compared += 1
                    if wanted != leaf_digest(leaf):
                        defects.append(f"{where}: it promised another leaf at {tree.size}")
                tree.append(value)
                if tree.size in by_size:
                    compare()
            step(tree.size)
    except UndersignedError as error:
        # Who signed two histories would hide it by one file that is not served.
        if not defects:
            raise
        defects.append(f"not read beyond {tree.size} leaves: {error.message}")
        return Audited(checkpoint.origin, tree.size, tree.root, compared, tuple(defects))
    if tree.size != checkpoint.size or tree.root != checkpoint.root:
        defects.append(f"its {tree.size} leaves do not lead to the root that it signed for {checkpoint.size}")
    for size, ones in sorted(by_size.items()):
        defects += [f"{one.where}: it signed {size} leaves, and has {tree.size}" for one in ones]
    for at, by_leaf in promised.items():
        defects += [f"{where}: nothing stands at {at}" for where in by_leaf.values() if at >= tree.size]
    return Audited(checkpoint.origin, tree.size, tree.root, compared, tuple(defects))


def proof_of(one: Logged, index: int, path: Iterable[Digest], note: str) -> JsonObject:
    """The proof for one thing, as JSON: what a verifier needs beside the thing itself."""
    return {
        "what": one.what,
        "digest": one.digest,
        **({"salt": one.salt.hex()} if one.salt else {}),
        "leaf": leaf_digest(one.leaf),
        "index": index,
        "path": list(path),
        "checkpoint": note,
    }
