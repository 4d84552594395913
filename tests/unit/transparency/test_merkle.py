"""The tree against RFC 6962's definitions, written down once more in the plainest way."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

import pytest

from undersigned.errors import LogProofError
from undersigned.transparency import (
    EMPTY_ROOT,
    Frontier,
    consistency_path,
    consistency_roots,
    inclusion_path,
    leaf_hash,
    node_hash,
    root_at,
    verify_consistency,
    verify_inclusion,
)

# Leaves and roots of the reference implementation of Certificate Transparency.
INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
SIZE = 40


def split(count: int) -> int:
    half = 1
    while half * 2 < count:
        half *= 2
    return half


def mth(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962, section 2.1."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = split(len(leaves))
    return sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    """RFC 6962, section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    return [*path(m, leaves[:k]), mth(leaves[k:])] if m < k else [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: Sequence[bytes], whole: bool) -> list[bytes]:
    """RFC 6962, section 2.1.2."""
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


class Tree:
    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.leaves, self.nodes, self.frontier = leaves, {}, Frontier()
        self.roots = [self.frontier.root]
        for leaf in leaves:
            self.nodes.update(((level, at), value) for level, at, value in self.frontier.append(leaf_hash(leaf)))
            self.roots.append(self.frontier.root)

    def node(self, level: int, place: int) -> bytes:
        return self.nodes[level, place]


@pytest.fixture(scope="module")
def tree() -> Tree:
    return Tree([b"leaf %d" % at for at in range(SIZE)])


def test_roots_of_the_reference_implementation() -> None:
    made = Tree([bytes.fromhex(item) for item in INPUTS])
    assert [root.hex() for root in made.roots[1:]] == ROOTS
    assert made.roots[0] == EMPTY_ROOT


def test_roots_proofs_and_frontiers_of_every_size(tree: Tree) -> None:
    for size in range(SIZE + 1):
        root = mth(tree.leaves[:size])
        assert tree.roots[size] == root == root_at(size, tree.node) == Frontier.load(size, tree.node).root
        for at in range(size):
            found = inclusion_path(at, size, tree.node)
            assert list(found) == path(at, tree.leaves[:size])
            verify_inclusion(leaf_hash(tree.leaves[at]), at, size, found, root)
        for old in range(1, size + 1):
            found = consistency_path(old, size, tree.node)
            assert list(found) == subproof(old, tree.leaves[:size], True)
            verify_consistency(old, tree.roots[old], size, root, found)
        verify_consistency(0, EMPTY_ROOT, size, root, ())


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 13, 40])
def test_a_changed_inclusion_proof_is_refused(tree: Tree, size: int) -> None:
    """Another leaf, place, size, root, or any hash of the path; one hash more or less (HIRE-LOG-03)."""
    root = tree.roots[size]
    for at in range(size):
        leaf, good = leaf_hash(tree.leaves[at]), inclusion_path(at, size, tree.node)
        bad = [(leaf_hash(b"x"), at, size, good, root), (leaf, at, size, good, bytes(32))]
        bad += [(leaf, other, size, good, root) for other in range(-1, size + 1) if other != at]
        bad += [(leaf, at, size, (*good[:i], bytes(32), *good[i + 1 :]), root) for i in range(len(good))]
        bad += [(leaf, at, size, (*good, extra), root) for extra in (bytes(32), root, leaf)]
        bad += [(leaf, at, size, good[:-1], root)] if good else []
        bad += [(leaf, at, size, good[1:], root)] if good else []
        for case in bad:
            with pytest.raises(LogProofError) as caught:
                verify_inclusion(*case)
            assert caught.value.code == "log_proof_invalid"


def test_a_proof_for_another_size_is_refused(tree: Tree) -> None:
    """The path of a taller tree is longer. What a path cannot tell, the checkpoint does: it binds root and size."""
    for size in range(2, SIZE):
        good = inclusion_path(0, size, tree.node)
        with pytest.raises(LogProofError):
            verify_inclusion(leaf_hash(tree.leaves[0]), 0, size * 2, good, tree.roots[size])


def test_an_inner_node_is_no_leaf(tree: Tree) -> None:
    """The prefixes differ: a path that begins one level up is for another leaf."""
    good = inclusion_path(0, 8, tree.node)
    pair = node_hash(tree.node(0, 0), tree.node(0, 1))
    with pytest.raises(LogProofError):
        verify_inclusion(leaf_hash(b"\x01" + tree.node(0, 0) + tree.node(0, 1)), 0, 4, good[1:], tree.roots[8])
    # As a hash it would lead to the root: that is why a verifier hashes the leaf itself.
    verify_inclusion(pair, 0, 4, good[1:], tree.roots[8])


@pytest.mark.parametrize(("leaf", "item"), [(31, 33), (32, 31), (32, 33), (0, 32)])
def test_hashes_have_32_bytes(leaf: int, item: int) -> None:
    """Or the same bytes would be one pair cut here, and another cut there."""
    with pytest.raises(LogProofError):
        verify_inclusion(bytes(leaf), 0, 2, [bytes(item)], node_hash(bytes(leaf), bytes(item)))
    with pytest.raises(LogProofError):
        verify_inclusion(bytes(leaf), 0, 1, [], bytes(leaf) + bytes(1))


@pytest.mark.parametrize(("size", "count"), [(1, 1), (1, 2), (2, 2), (4, 1), (4, 3)])
def test_a_path_has_the_length_of_its_place_whatever_root_was_signed(size: int, count: int) -> None:
    """HIRE-LOG-03: a log that signs another size than its tree has shows nothing by it."""
    path, root = [bytes([n]) * 32 for n in range(count)], leaf_hash(b"leaf")
    for item in path:
        root = node_hash(item, root)
    with pytest.raises(LogProofError):
        verify_inclusion(leaf_hash(b"leaf"), size - 1, size, path, root)


def test_a_tree_has_less_than_2_to_the_63_leaves() -> None:
    """The last leaf of one that has as many as there may be has all of its complete subtrees on its left."""
    most = 2**63 - 1
    node = lambda level, place: leaf_hash(b"%d %d" % (level, place))  # noqa: E731
    last, path, root = node(0, most - 1), inclusion_path(most - 1, most, node), root_at(most, node)
    verify_inclusion(last, most - 1, most, path, root)
    verify_consistency(most, root, most, root, ())
    verify_consistency(most - 1, root_at(most - 1, node), most, root, consistency_path(most - 1, most, node))
    above = node_hash(bytes(32), root)
    for call in (
        lambda: verify_inclusion(last, most, most + 1, [*path, bytes(32)], above),
        lambda: verify_consistency(most + 1, above, most + 1, above, ()),
        lambda: consistency_roots(most, most + 1, consistency_path(most, most + 1, node)),
    ):
        with pytest.raises(LogProofError):
            call()


@pytest.mark.parametrize(("old", "new"), [(1, 2), (3, 7), (4, 8), (6, 8), (7, 13), (8, 40), (39, 40), (5, 5)])
def test_a_changed_consistency_proof_is_refused(tree: Tree, old: int, new: int) -> None:
    good = consistency_path(old, new, tree.node)
    roots = tree.roots
    bad = [(old, bytes(32), new, roots[new], good), (old, roots[old], new, bytes(32), good)]
    bad += [(old, roots[old], new, roots[new], (*good[:i], bytes(32), *good[i + 1 :])) for i in range(len(good))]
    bad += [(old, roots[old], new, roots[new], (*good, bytes(32)))]
    bad += [(old, roots[old], new, roots[new], ())] if good else []
    bad += [(old, roots[old], new, roots[new], good[:-1]), (new + 1, roots[old], new, roots[new], good)] if good else []
    for case in bad:
        with pytest.raises(LogProofError):
            verify_consistency(*case)


@pytest.mark.parametrize("old", [0, 5])
def test_a_proof_of_what_needs_none_is_too_long(tree: Tree, old: int) -> None:
    """HIRE-LOG-03: and it is not said that equal roots are different."""
    with pytest.raises(LogProofError, match="longer than these sizes need"):
        verify_consistency(old, tree.roots[old] if old else EMPTY_ROOT, 5, tree.roots[5], (bytes(32),))


@pytest.mark.parametrize(
    ("old", "new", "count"), [(1, 2, 1), (1, 2, 3), (1, 3, 2), (2, 4, 3), (3, 4, 2), (3, 4, 4), (3, 4, 0), (5, 6, 2)]
)
def test_a_consistency_path_has_the_length_of_its_sizes(old: int, new: int, count: int) -> None:
    """HIRE-LOG-03: whatever roots it leads to. The right length is another."""
    with pytest.raises(LogProofError):
        consistency_roots(old, new, [bytes(32)] * count)


@pytest.mark.parametrize(("old", "new"), [(0, 3), (3, 3), (4, 3), (-1, 3), (-2, -1)])
def test_no_consistency_path_leads_to_a_tree_that_is_not_larger(old: int, new: int) -> None:
    for count in range(5):
        with pytest.raises(LogProofError):
            consistency_roots(old, new, [bytes(32)] * count)


def test_nothing_is_proved_about_what_is_not_there(tree: Tree) -> None:
    for call in (
        lambda: inclusion_path(8, 8, tree.node),
        lambda: inclusion_path(-1, 8, tree.node),
        lambda: consistency_path(0, 8, tree.node),
        lambda: consistency_path(9, 8, tree.node),
        lambda: Frontier(3, [bytes(32)]),
        lambda: Frontier(-1, [bytes(32)]),
        lambda: verify_consistency(0, bytes(32), 5, tree.roots[5], ()),
        lambda: verify_consistency(0, EMPTY_ROOT, -1, tree.roots[5], ()),
        lambda: verify_consistency(-1, tree.roots[5], -1, tree.roots[5], ()),
    ):
        with pytest.raises(LogProofError):
            call()


def test_a_copy_is_its_own(tree: Tree) -> None:
    one = Frontier.load(5, tree.node)
    other = one.copy()
    other.append(leaf_hash(b"x"))
    assert (one.size, one.root) == (5, tree.roots[5])
    assert other.root != one.root
