"""The log of a peer as the files that anybody may read."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from backends.moves import engagement, move
from undersigned.daemon.log_files import LogFiles
from undersigned.ledger import open_ledger
from undersigned.transparency import Tile, inclusion_path, node_of_tiles, read_bundle, read_tile, verify_inclusion

SIZE = 2 * 256 + 5
"""Leaves: two whole tiles of them, and a part of one; above them, a part of one tile with two nodes."""


async def test_a_log_of_two_levels_of_tiles_is_proved_from_its_files() -> None:
    """HIRE-LOG-07: whole tiles and parts, at each level; what the log does not hold so far is no file."""
    ledger = await open_ledger("memory:")
    leaves = [b"leaf %d" % at for at in range(SIZE)]
    await ledger.commit(move(engagement(1), 1, leaves=tuple(leaves)))
    agent: Any = SimpleNamespace(ledger=ledger)
    files = LogFiles(agent)

    async def get(tile: Tile) -> bytes | None:
        found = await files.answer(f"/ledger/{tile.path}")
        return found.body if found is not None else None

    held = [Tile(0, 0), Tile(0, 1), Tile(0, 2, 5), Tile(1, 0, 2)]
    tiles = {tile: read_tile(tile, data) for tile in held if (data := await get(tile)) is not None}
    path = inclusion_path(300, SIZE, node_of_tiles(SIZE, tiles.__getitem__))
    leaf = (await ledger.inclusion(300, SIZE)).leaf_hash
    verify_inclusion(leaf, 300, SIZE, path, await ledger.root())
    for first in (0, 1):
        bundle = Tile(None, first)
        assert read_bundle(bundle, await get(bundle) or b"") == tuple(leaves[256 * first : 256 * first + 256])
    for tile in (Tile(0, 2), Tile(0, 2, 6), Tile(0, 3, 1), Tile(1, 0), Tile(1, 0, 3), Tile(2, 0, 1), Tile(None, 2, 6)):
        assert await get(tile) is None, tile
    await ledger.close()
