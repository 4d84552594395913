"""A log as files: one path for each tile, and a tree that is made of them alone."""

from __future__ import annotations

import pytest

from undersigned.errors import LogProofError
from undersigned.transparency import (
    Frontier,
    Tile,
    bundle,
    consistency_path,
    inclusion_path,
    leaf_hash,
    node_of_tiles,
    parse_tile_path,
    read_bundle,
    read_tile,
    root_at,
    verify_consistency,
    verify_inclusion,
)


@pytest.mark.parametrize(
    ("path", "tile"),
    [
        ("tile/0/000", Tile(0, 0)),
        ("tile/0/999", Tile(0, 999)),
        ("tile/1/x001/000", Tile(1, 1000)),
        ("tile/0/x001/x234/067", Tile(0, 1234067)),
        ("tile/0/x001/x234/067.p/5", Tile(0, 1234067, 5)),
        ("tile/entries/000.p/255", Tile(None, 0, 255)),
    ],
)
def test_each_tile_has_one_path(path: str, tile: Tile) -> None:
    """HIRE-LOG-07."""
    assert tile.path == path
    assert parse_tile_path(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        *("", "tile", "tile/0", "tile/0/0", "tile/0/0000", "tile/0/x000/001", "tile/0/001/002", "tile/6/000"),
        *("tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/000.p/", "tile/00/000", "tile/data/000"),
        *(
            "tile/0/000/",
            "/tile/0/000",
            "tile/0/x1/000",
            "tile/0/../0/000",
            "tile/0/000\n",
            "tile/0/\u0660\u0660\u0660",
        ),
    ],
)
def test_no_other_path_is_one(path: str) -> None:
    assert parse_tile_path(path) is None


def test_a_tree_is_made_of_its_tiles() -> None:
    """HIRE-LOG-07: proofs of a log of more than two levels of tiles, from nothing but the tiles."""
    size = 66_000
    tree, nodes = Frontier(), dict[tuple[int, int], bytes]()
    roots = {}
    for number in range(size):
        nodes.update(((level, at), value) for level, at, value in tree.append(leaf_hash(b"%d" % number)))
        if number + 1 in (1, 255, 256, 257, 65_536, 65_537, size):
            roots[number + 1] = tree.root
    made = {
        tile: b"".join(nodes[8 * level, 256 * index + at] for at in range(tile.width))
        for level in range(6)
        for index in range(-(-(size >> 8 * level) // 256))
        for tile in [Tile(level, index, min(256, (size >> 8 * level) - 256 * index))]
    }
    assert len(made) == 258 + 2 + 1
    asked: list[Tile] = []

    def hashes(tile: Tile) -> tuple[bytes, ...]:
        asked.append(tile)
        return read_tile(tile, made[tile])

    node = node_of_tiles(size, hashes)
    assert root_at(size, node) == tree.root
    for old, root in roots.items():
        verify_consistency(old, root, size, tree.root, consistency_path(old, size, node) if old < size else ())
    for index in (0, 255, 256, 65_535, 65_999):
        asked.clear()
        path = inclusion_path(index, size, node)
        verify_inclusion(leaf_hash(b"%d" % index), index, size, path, tree.root)
        assert len(set(asked)) <= 6, "a proof needs a few tiles, however long the log is"


@pytest.mark.parametrize(("level", "index"), [(1, 1), (2, 0), (0, 3), (0, 256)])
def test_no_node_is_made_of_fewer_leaves_than_it_covers(level: int, index: int) -> None:
    node = node_of_tiles(3, lambda tile: (bytes(32),) * tile.width)
    with pytest.raises(LogProofError):
        node(level, index)


def test_a_bundle_gives_its_leaves_back() -> None:
    leaves = (b"", b"a", b"b" * 300)
    tile = Tile(None, 0, 3)
    data = bundle(leaves)
    assert read_bundle(tile, data) == leaves
    for broken in (data[:-1], data[:-299], data[:-300], data[:-301], data + b"\0", data + b"\0\0", b"", data[1:]):
        with pytest.raises(LogProofError):
            read_bundle(tile, broken)


def test_a_tile_has_as_many_hashes_as_its_path_says() -> None:
    with pytest.raises(LogProofError):
        read_tile(Tile(0, 0, 2), bytes(63))
    assert read_tile(Tile(0, 0, 2), bytes(64)) == (bytes(32), bytes(32))
