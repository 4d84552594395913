"""The transparency log of a ledger: RFC 6962 Merkle tree, proofs, and C2SP checkpoints.

Pure: hashes, proofs and texts as values. The store is `undersigned.ledger`, the key is the shell's.
"""

from undersigned.transparency.checkpoint import (
    Checkpoint,
    Note,
    NoteKey,
    checkpoint_text,
    key_hash,
    read_checkpoint,
    read_note,
    signed_note,
    verify_note,
)
from undersigned.transparency.leaves import CONTRACT_LABEL, InclusionProof, contract_leaf, leaf_digest, read_inclusion
from undersigned.transparency.merkle import (
    EMPTY_ROOT,
    Frontier,
    NodeSource,
    consistency_path,
    inclusion_path,
    leaf_hash,
    node_hash,
    root_at,
    verify_consistency,
    verify_inclusion,
)

__all__ = [
    "CONTRACT_LABEL",
    "EMPTY_ROOT",
    "Checkpoint",
    "Frontier",
    "InclusionProof",
    "NodeSource",
    "Note",
    "NoteKey",
    "checkpoint_text",
    "consistency_path",
    "contract_leaf",
    "inclusion_path",
    "key_hash",
    "leaf_digest",
    "leaf_hash",
    "node_hash",
    "read_checkpoint",
    "read_inclusion",
    "read_note",
    "root_at",
    "signed_note",
    "verify_consistency",
    "verify_inclusion",
    "verify_note",
]
