"""Proofs that something stands in a log, as `ledger prove` wrote them, checked by whoever was given them.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.4
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from undersigned.did import DidDocument
from undersigned.encoding import Digest, Instant, decode_json
from undersigned.errors import LogProofError, UndersignedError
from undersigned.transparency import (
    Checkpoint,
    InclusionProof,
    contract_leaf,
    decision_leaf,
    leaf_digest,
    move_leaf,
    read_checkpoint,
    read_note,
    refusal_leaf,
)

from .logbook import verified_note

__all__ = ["LogProofLine"]


class LogProofLine(msgspec.Struct, frozen=True, kw_only=True):
    """What `proof_of` made, as somebody was given it."""

    what: str
    """`contract`, `decision`, `refusal`, or the type of a move."""
    digest: Digest
    """Of the thing, by the word of whoever wrote the line."""
    salt: str = ""
    """In hex."""
    leaf: Digest
    index: int
    path: tuple[Digest, ...]
    checkpoint: str
    """A signed note."""

    @property
    def origin(self) -> str:
        """The owner of the log, as the note names it.

        Raises:
            LogProofError: It is no note of a checkpoint.
        """
        return read_checkpoint(read_note(self.checkpoint).text).origin

    def verify(self, documents: Iterable[DidDocument], now: Instant) -> Checkpoint:
        """The checkpoint, once one of the owner's keys signed it and the leaf stands in its tree.

        Raises:
            LogProofError: `log_proof_invalid`: it does not.
        """
        failure = LogProofError("log_proof_invalid", f"no document of {self.origin} is known")
        for document in documents:
            try:
                head = verified_note(self.checkpoint, document, now)
            except LogProofError as error:
                failure = error
                continue
            InclusionProof(self.leaf, self.index, head.size, self.path).verify(head.root)
            return head
        raise failure

    def is_of(self, thing: bytes) -> bool:
        """Whether the leaf is that of these bytes: a move, refusal or decision as it is in a pack, or a contract with
        both proofs, also in what `contract.json` holds.
        """
        try:
            return self.leaf == leaf_digest(self._leaf(thing))
        except UndersignedError:
            return False

    def _leaf(self, thing: bytes) -> bytes:
        if self.what == "decision":
            return decision_leaf(thing, _unhexed(self.salt))
        if self.what == "refusal":
            return refusal_leaf(thing)
        if self.what == "contract":
            value = decode_json(thing)
            document = value.get("document", value) if isinstance(value, dict) else None
            return contract_leaf(document if isinstance(document, dict) else {})
        return move_leaf(thing)


def _unhexed(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as exc:
        raise LogProofError("log_proof_invalid", "the salt is not hex") from exc
