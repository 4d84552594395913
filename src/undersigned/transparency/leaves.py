"""What stands in a leaf of the ledger's tree, and the proof that it stands there.

A leaf is a label and the SHA-256 of what it stands for, never the thing itself, so that the tree can be shown to
anybody. Both parties' signatures are inside the hash; nobody who does not hold the contract can guess them, and so
nobody can confirm a guess at its terms (decision 0060).

Source: protocol-spec/08-attestation-and-evidence.md, section 8.4
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

import msgspec

from undersigned.encoding import Digest, JsonObject, JsonValue, canonicalize, digest_from_hash, digest_hash
from undersigned.errors import FormatError, LogProofError
from undersigned.transparency.merkle import leaf_hash, verify_inclusion

__all__ = [
    "CONTRACT_LABEL",
    "LOGGED_MOVES",
    "InclusionProof",
    "committed_leaf",
    "contract_leaf",
    "decision_leaf",
    "decision_salt",
    "leaf_digest",
    "move_leaf",
    "read_inclusion",
    "refusal_leaf",
]

CONTRACT_LABEL: Final = b"hire/v1 contract\n"
"""First bytes of a contract's leaf. Another kind of leaf has another label, so that one never passes for the other."""
MOVE_LABEL: Final = b"hire/v1 move\n"
REFUSAL_LABEL: Final = b"hire/v1 refusal\n"
DECISION_LABEL: Final = b"hire/v1 decision\n"
LOGGED_MOVES: Final = frozenset(
    {"Acceptance", "Seal", "Delivery", "Review", "Breach", "Dispute", "Ruling", "Terminate", "Closing"}
)
"""Types of the moves of both sides that have a leaf: what binds, what was made and judged, and what ended it."""


def contract_leaf(document: Mapping[str, JsonValue], *, jcs: bytes | None = None) -> bytes:
    """Leaf data of a contract, amendment or release: label and SHA-256 of its JCS form, both proofs included.

    `jcs` is that form, if the caller has it.

    Raises:
        LogProofError: The document does not carry a list of at least two proofs; half a contract has no leaf.

    Source: protocol-spec/08-attestation-and-evidence.md, section 8.4
    """
    proof = document.get("proof")
    if not isinstance(proof, list) or len(proof) < 2:
        raise LogProofError(
            "log_proof_invalid", "a contract has a leaf once both parties' proofs are in its proof list"
        )
    return CONTRACT_LABEL + sha256(canonicalize(document) if jcs is None else jcs).digest()


def move_leaf(raw: bytes) -> bytes:
    """Leaf data of a move as it was sent or came: its proof is inside the hash, and serves as its salt."""
    return MOVE_LABEL + sha256(raw).digest()


def refusal_leaf(envelope: bytes) -> bytes:
    """Leaf data of a signed refusal of a gate."""
    return REFUSAL_LABEL + sha256(envelope).digest()


def decision_leaf(decision: bytes, salt: bytes) -> bytes:
    """Leaf data of a decision, which nobody signs: with a salt, so that nobody can confirm a guess at it."""
    return DECISION_LABEL + sha256(salt + decision).digest()


def decision_salt(decision: bytes, secret: bytes) -> bytes:
    """16 bytes that show one decision in the log and no other; `secret` is the ledger's own."""
    return hmac.digest(secret, decision, "sha256")[:16]


def committed_leaf(label: str, commitment: Digest) -> bytes:
    """Leaf data of what is known by its hash alone: `label` is `contract`, `move`, `refusal` or `decision`.

    Raises:
        LogProofError: `commitment` is no digest.
    """
    return f"hire/v1 {label}\n".encode() + _raw(commitment)


def leaf_digest(data: bytes) -> Digest:
    """Digest form of the RFC 6962 leaf hash of `data`: what `Seal.ledger.leaf` states."""
    return _text(leaf_hash(data))


class InclusionProof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """That a leaf stands at `index` in the tree of the first `size` leaves.

    Source: protocol-spec/08-attestation-and-evidence.md, section 8.4
    """

    leaf: Digest
    """Digest form of the leaf hash."""
    index: int
    """Place of the leaf, counted from 0."""
    size: int
    """Leaves in the tree that the proof leads to."""
    path: tuple[Digest, ...]
    """Sibling hashes, nearest first, each in digest form."""

    @classmethod
    def of(cls, leaf: bytes, index: int, size: int, path: tuple[bytes, ...]) -> InclusionProof:
        """The proof for 32-byte leaf hash `leaf`, with the `path` that `inclusion_path` gave."""
        return cls(_text(leaf), index, size, tuple(_text(item) for item in path))

    @property
    def leaf_hash(self) -> bytes:
        """The 32-byte leaf hash."""
        return _raw(self.leaf)

    def document(self) -> JsonObject:
        """JSON form, as in the `inclusion` member of a `Receipt`."""
        return {"leaf": self.leaf, "index": self.index, "size": self.size, "path": list(self.path)}

    def verify(self, root: bytes) -> None:
        """The proof leads to 32-byte `root`.

        Raises:
            LogProofError: It does not.
        """
        verify_inclusion(_raw(self.leaf), self.index, self.size, [_raw(item) for item in self.path], root)


def read_inclusion(value: JsonValue) -> InclusionProof:
    """The proof in a JSON object.

    Raises:
        LogProofError: A member is missing, unknown or of another shape.
    """
    try:
        return msgspec.convert(value, InclusionProof)
    except msgspec.ValidationError as exc:
        raise LogProofError("log_proof_invalid", f"not an inclusion proof: {exc}") from exc


def _text(value: bytes) -> Digest:
    if len(value) != 32:
        raise LogProofError("log_proof_invalid", f"a hash has 32 bytes, not {len(value)}")
    return digest_from_hash(value)


def _raw(text: Digest) -> bytes:
    try:
        return digest_hash(text)
    except FormatError as exc:
        raise LogProofError("log_proof_invalid", f"not a hash: {exc}") from exc
