"""The checkpoint that a pack stands under, and the proofs of what is in its tree.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.6
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress

from msgspec.json import decode

from undersigned.contract import accepted_by
from undersigned.did import DidDocument, document_from, is_derived
from undersigned.encoding import (
    Did,
    Digest,
    EngagementId,
    Instant,
    base64url_encode,
    digest_from_hash,
    from_struct,
    to_struct,
)
from undersigned.errors import LogProofError
from undersigned.evidence import LogProof, LogProofs
from undersigned.ledger import Ledger, Row
from undersigned.messages import Acceptance, Closing, Offer, recorded_message
from undersigned.runtime.clock import SystemClock
from undersigned.runtime.log.logbook import Logged, read_multibase_note, verified_note
from undersigned.runtime.log.witnesses import believed
from undersigned.transparency import InclusionProof, contract_leaf, leaf_hash, read_checkpoint, read_note

__all__ = ["contract_inclusion", "log_proofs", "newest_checkpoint", "own_checkpoint", "signer_of"]


def own_checkpoint(rows: tuple[Row, ...], own: Did) -> str | None:
    """The checkpoint that our own `Closing` carries."""
    for row in reversed(rows):
        if row.type == "Closing" and row.kind == "sent" and row.sender == own:
            message = recorded_message(row.raw).message
            if isinstance(message, Closing):
                return read_multibase_note(message.checkpoint)
    return None


def signer_of(
    note: str, rows: Iterable[Row], own: Did, documents: Iterable[bytes], ours: Iterable[DidDocument]
) -> DidDocument | None:
    """Our document by which a note holds: one that goes into the pack anyway, or else that of today, as a key may have
    been replaced since. None if it is by neither: more than one was.
    """
    then = max((row.at for row in rows if row.kind != "noted"), default=SystemClock().now())
    held = [DidDocument(own, raw) for raw in documents if decode(raw).get("id") == own]
    followed = [document_from(own, {})] if is_derived(own) else []
    for document in (*held, *followed, *(one for one in ours if one.id == own)):
        with suppress(LogProofError):
            verified_note(note, document, then)
            return document
    return None


def newest_checkpoint(own: str | None, kept: str | None, now: Instant) -> str | None:
    """The checkpoint that a pack stands under: our closing's, or what witnesses cosigned last if that has it too. No
    line of theirs that was made after `now` is there.
    """
    kept = believed(kept, now) if kept is not None else None
    if own is None or kept is None:
        return own or kept
    closed, signed = (read_note(one) for one in (own, kept))
    witnessed = len(signed.signatures) > len(closed.signatures)
    return kept if witnessed and read_checkpoint(signed.text).size >= read_checkpoint(closed.text).size else own


async def contract_inclusion(
    ledger: Ledger, engagement: EngagementId, rows: tuple[Row, ...], note: str | None
) -> InclusionProof | None:
    """The proof that the contract is in the tree of `note`; None if there is no contract, or it came later."""
    offers: dict[str, Offer] = {}
    leaf: bytes | None = None
    for row in rows:
        if row.kind == "noted":
            continue
        if row.type == "Offer":
            message = recorded_message(row.raw).message
            # The contract itself; what changed it later has leaves of its own.
            if isinstance(message, Offer) and message.document.type == "Contract":
                offers[row.digest] = message
        elif row.type == "Acceptance":
            message = recorded_message(row.raw).message
            if isinstance(message, Acceptance) and (offer := offers.get(message.offer)) is not None:
                document = accepted_by(from_struct(offer.document), message.contract_proof)
                leaf = contract_leaf(document) if document is not None else None
                break  # another one, of this offer or of one before it, is void, and has no leaf
    if leaf is None or note is None:
        return None
    index = await ledger.index_of(engagement, leaf_hash(leaf))
    size = read_checkpoint(read_note(note).text).size
    if index is None or index >= size:
        return None
    return await ledger.inclusion(index, size)


async def log_proofs(
    ledger: Ledger,
    engagement: EngagementId,
    things: Iterable[Logged],
    note: str | None,
    decisions: Collection[Digest],
) -> LogProofs | None:
    """Proofs of all these that have a leaf in the tree of `note`; with the salt of these decisions, which are shown."""
    size = read_checkpoint(read_note(note).text).size if note is not None else 0
    made: dict[int, LogProof] = {}
    for one in things:
        index = await ledger.index_of(engagement, leaf_hash(one.leaf))
        if index is None or index >= size:
            continue
        salt = f"u{base64url_encode(one.salt)}" if one.what == "decision" and one.digest in decisions else None
        label = one.what if one.what in ("contract", "decision", "refusal") else "move"
        proof = await ledger.inclusion(index, size)
        commitment = digest_from_hash(one.leaf[-32:])
        made[index] = to_struct(
            {"label": label, "commitment": commitment, "index": index, "path": list(proof.path)}
            | ({"salt": salt} if salt is not None else {}),
            LogProof,
        )
    return LogProofs(size, tuple(made[index] for index in sorted(made))) if made else None
