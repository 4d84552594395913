"""The log of our counterparty, in which its contracts stand.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.5
"""

from __future__ import annotations

from undersigned.runtime import multibase_note
from undersigned.testing import Attacker
from undersigned.transparency import Frontier, checkpoint_text, leaf_hash, signed_note

__all__ = ["ContractLog"]


class ContractLog:
    """The hashes of its leaves."""

    def __init__(self) -> None:
        self._leaves: list[bytes] = []

    def __len__(self) -> int:
        return len(self._leaves)

    def index_of(self, leaf: bytes) -> int:
        """Where a leaf stands, from now on if it did not."""
        hash = leaf_hash(leaf)
        if hash not in self._leaves:
            self._leaves.append(hash)
        return self._leaves.index(hash)

    def checkpoint(self, who: Attacker, size: int, *, other: bool = False) -> str:
        """The note that its owner signs of so many leaves, which it has from now on; with `other` the last is another
        one.
        """
        self._leaves += [leaf_hash(f"leaf {at}".encode()) for at in range(len(self._leaves), size)]
        tree = Frontier()
        for leaf in (*self._leaves[: size - 1], leaf_hash(b"another") if other else self._leaves[size - 1]):
            tree.append(leaf)
        text = checkpoint_text(who.did, size, tree.root)
        return multibase_note(signed_note(text, who.did, who.public_key, who.signature(text)))
