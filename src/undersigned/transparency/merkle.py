"""The Merkle tree of RFC 6962 over leaf hashes: appending, roots, inclusion and consistency proofs.

A tree of n leaves is a list of complete subtrees, one for each bit of n, largest first. `Frontier` holds their roots,
which is all that appending and the current root need. Proofs and older roots need inner nodes as well; functions that
make them ask for a node by (level, index), where level 0 are the leaf hashes and node (l, i) covers leaves
`i * 2**l` to `(i + 1) * 2**l - 1`. A store keeps the complete nodes that `append` returns, and needs nothing else.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.4
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import TypeAlias

from undersigned.errors import LogProofError

__all__ = [
    "EMPTY_ROOT",
    "Frontier",
    "NodeSource",
    "consistency_path",
    "consistency_roots",
    "inclusion_path",
    "leaf_hash",
    "node_hash",
    "root_at",
    "verify_consistency",
    "verify_inclusion",
]

EMPTY_ROOT = sha256(b"").digest()
"""Root of the tree that has no leaf."""

NodeSource: TypeAlias = Callable[[int, int], bytes]
"""Gives the 32-byte hash of complete node (level, index)."""

MAX_SIZE = 2**63 - 1


def leaf_hash(data: bytes) -> bytes:
    """32-byte hash of a leaf. The prefix keeps a leaf from passing as an inner node (RFC 6962, section 2.1)."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """32-byte hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """Right edge of a growing tree: the roots of its complete subtrees, largest first."""

    __slots__ = ("_root", "_stack", "size")

    def __init__(self, size: int = 0, stack: Iterable[bytes] = ()) -> None:
        self.size = size
        self._stack = list(stack)
        self._root: bytes | None = None
        if size < 0 or len(self._stack) != size.bit_count():
            raise LogProofError("log_proof_invalid", f"{len(self._stack)} subtree roots do not make {size} leaves")

    @classmethod
    def load(cls, size: int, node: NodeSource) -> Frontier:
        """The frontier of a stored tree of `size` leaves."""
        return cls(size, _roots(0, size, node))

    def append(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Add a leaf hash; returns each node completed by it as (level, index, hash), the leaf itself first."""
        level, index, value = 0, self.size, leaf
        made = [(0, index, leaf)]
        while index & 1:
            value = node_hash(self._stack.pop(), value)
            level, index = level + 1, index >> 1
            made.append((level, index, value))
        self._stack.append(value)
        self.size += 1
        self._root = None
        return made

    @property
    def root(self) -> bytes:
        """Root of all leaves so far."""
        if self._root is None:
            self._root = _fold(self._stack)
        return self._root

    def copy(self) -> Frontier:
        """An independent frontier at the same size, so that an append can be tried and thrown away."""
        return Frontier(self.size, self._stack)


def root_at(size: int, node: NodeSource) -> bytes:
    """Root of the first `size` leaves."""
    return _range_root(0, size, node)


def inclusion_path(index: int, size: int, node: NodeSource) -> tuple[bytes, ...]:
    """Hashes that lead from leaf `index` to the root of the first `size` leaves, nearest first.

    Raises:
        LogProofError: `index` is not below `size`.
    """
    if not 0 <= index < size:
        raise LogProofError("log_proof_invalid", f"leaf {index} is not in a tree of {size} leaves")
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(_range_root(middle, high, node))
            high = middle
        else:
            path.append(_range_root(low, middle, node))
            low = middle
    return tuple(reversed(path))


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Leaf hash `leaf` stands at `index` in the tree of `size` leaves whose root is `root` (RFC 9162, 2.1.3.2).

    Raises:
        LogProofError: It does not, or the path has another length than this place in this tree needs.
    """
    if not 0 <= index < size <= MAX_SIZE:
        raise LogProofError("log_proof_invalid", f"leaf {index} is not in a tree of {size} leaves")
    if len(leaf) != 32 or len(root) != 32 or any(len(item) != 32 for item in path):
        raise LogProofError("log_proof_invalid", "a hash of the inclusion proof is not 32 bytes")
    place, last, value = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise LogProofError("log_proof_invalid", "the inclusion proof is longer than its tree is high")
        if place & 1 or place == last:
            value = node_hash(sibling, value)
            # The right edge skips the levels on which it has no sibling.
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            value = node_hash(value, sibling)
        place, last = place >> 1, last >> 1
    if last:
        raise LogProofError("log_proof_invalid", "the inclusion proof is shorter than its tree is high")
    if value != root:
        raise LogProofError("log_proof_invalid", f"leaf {index} of {size} does not lead to the root")


def consistency_path(old: int, new: int, node: NodeSource) -> tuple[bytes, ...]:
    """Hashes that show the first `old` leaves to be a prefix of the first `new` (RFC 9162, 2.1.4.1).

    Raises:
        LogProofError: Not `0 < old <= new`.
    """
    if not 0 < old <= new:
        raise LogProofError("log_proof_invalid", f"no consistency proof leads from {old} to {new} leaves")
    path: list[bytes] = []
    low, high, whole = 0, new, True
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            path.append(_range_root(middle, high, node))
            high = middle
        else:
            path.append(_range_root(low, middle, node))
            low, whole = middle, False
    if not whole:
        path.append(_range_root(low, high, node))
    return tuple(reversed(path))


def verify_consistency(old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes]) -> None:
    """The tree (`old`, `old_root`) is a prefix of the tree (`new`, `new_root`) (RFC 9162, 2.1.4.2).

    Raises:
        LogProofError: It is not, or the path has another length than these sizes need.
    """
    if not 0 <= old <= new <= MAX_SIZE:
        raise LogProofError("log_proof_invalid", f"a tree of {new} leaves does not continue one of {old}")
    if old in (0, new):
        # Nothing to prove: every tree continues the empty one, and a tree continues itself.
        if path:
            raise LogProofError("log_proof_invalid", "the consistency proof is longer than these sizes need")
        if (old == new and old_root != new_root) or (old == 0 and old_root != EMPTY_ROOT):
            raise LogProofError("log_proof_invalid", f"two trees of {old} leaves have different roots")
        return
    # Of a whole subtree the root is the old one itself, and the proof leaves it out.
    before, after = consistency_roots(old, new, path if old & (old - 1) else (old_root, *path))
    if before != old_root or after != new_root:
        raise LogProofError("log_proof_invalid", f"the tree of {new} leaves does not continue the one of {old}")


def consistency_roots(old: int, new: int, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The roots of the first `old` and of all `new` leaves to which a path leads: that of `consistency_path`, and where
    `old` is a power of two the root of its first `old` leaves before it.

    If the second is the root of a tree, the first is that of its first `old` leaves, whatever else was signed for them.

    Raises:
        LogProofError: Not `0 < old < new`, or the path has another length than these sizes need.
    """
    if not 0 < old < new <= MAX_SIZE:
        raise LogProofError("log_proof_invalid", f"no consistency proof leads from {old} to {new} leaves")
    if not path:
        raise LogProofError("log_proof_invalid", "the consistency proof is empty")
    first, last = old - 1, new - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    before = after = path[0]
    for item in path[1:]:
        if last == 0:
            raise LogProofError("log_proof_invalid", "the consistency proof is longer than these sizes need")
        if first & 1 or first == last:
            before, after = node_hash(item, before), node_hash(item, after)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            after = node_hash(after, item)
        first, last = first >> 1, last >> 1
    if last:
        raise LogProofError("log_proof_invalid", "the consistency proof is shorter than these sizes need")
    return before, after


def _split(count: int) -> int:
    """Largest power of two below `count`."""
    return 1 << ((count - 1).bit_length() - 1)


def _roots(low: int, high: int, node: NodeSource) -> list[bytes]:
    """Roots of the complete subtrees covering leaves `low` to `high` - 1, left to right; `low` is aligned to the
    range's split.
    """
    roots: list[bytes] = []
    while low < high:
        level = (high - low).bit_length() - 1
        roots.append(node(level, low >> level))
        low += 1 << level
    return roots


def _range_root(low: int, high: int, node: NodeSource) -> bytes:
    return _fold(_roots(low, high, node))


def _fold(roots: Sequence[bytes]) -> bytes:
    """Root over complete subtrees, largest first."""
    if not roots:
        return EMPTY_ROOT
    value = roots[-1]
    for left in reversed(roots[:-1]):
        value = node_hash(left, value)
    return value
