"""A log as static files: tiles of 256 hashes, and bundles of leaves, named as C2SP `tlog-tiles` says.

    checkpoint                       the signed note of the newest size
    tile/<L>/<N>[.p/<W>]             W (default 256) hashes of tree level 8 L, from number 256 N on
    tile/entries/<N>[.p/<W>]         the leaves below tile 0/N, each with its length before it

`N` is written in groups of three digits, all but the last with an `x` before them: 1234067 is `x001/x234/067`.

Pure: paths and bytes. Who fetches checks every tile against a root that somebody signed.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.7; C2SP tlog-tiles
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from undersigned.errors import LogProofError
from undersigned.transparency.merkle import Frontier, NodeSource

__all__ = ["TILE_WIDTH", "Tile", "bundle", "node_of_tiles", "parse_tile_path", "read_bundle", "read_tile"]

TILE_WIDTH: Final = 256
HEIGHT: Final = 8
# Five levels of tiles above the first are 48 of the tree. A log of more leaves than that is none.
_PATH: Final = re.compile(r"tile/(entries|[0-5])/((?:x[0-9]{3}/){0,4}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


class Tile(NamedTuple):
    """A tile or a bundle of leaves, by its place."""

    level: int | None
    """None: the leaves themselves."""
    number: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """Below the log's address."""
        groups = f"{self.number:03d}"
        groups = groups.zfill(-(-len(groups) // 3) * 3)
        parts = [groups[at : at + 3] for at in range(0, len(groups), 3)]
        name = "/".join([f"x{part}" for part in parts[:-1]] + parts[-1:])
        partial = f".p/{self.width}" if self.width < TILE_WIDTH else ""
        return f"tile/{'entries' if self.level is None else self.level}/{name}{partial}"


def parse_tile_path(path: str) -> Tile | None:
    """The tile of a path, or None: there is one path for each."""
    found = _PATH.fullmatch(path)
    if found is None:
        return None
    index = int(re.sub(r"[x/]", "", found[2]))
    tile = Tile(None if found[1] == "entries" else int(found[1]), index, int(found[3] or TILE_WIDTH))
    return tile if tile.path == path else None


def read_tile(tile: Tile, data: bytes) -> tuple[bytes, ...]:
    """The hashes in a tile.

    Raises:
        LogProofError: Of another length than its width.
    """
    if len(data) != tile.width * 32:
        raise LogProofError("log_proof_invalid", f"{tile.path} has {len(data)} bytes, not {tile.width * 32}")
    return tuple(data[at : at + 32] for at in range(0, len(data), 32))


def bundle(leaves: Iterable[bytes]) -> bytes:
    """Leaves as a bundle: each with its length in two bytes before it."""
    return b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in leaves)


def read_bundle(tile: Tile, data: bytes) -> tuple[bytes, ...]:
    """The leaves in a bundle.

    Raises:
        LogProofError: It ends inside of one, or holds another number of them.
    """
    leaves: list[bytes] = []
    at = 0
    for _ in range(tile.width):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        leaves.append(data[at + 2 : end])
        at = end
    # Behind the data, if one is cut off or missing.
    if at != len(data):
        raise LogProofError("log_proof_invalid", f"{tile.path} does not hold {tile.width} whole leaves")
    return tuple(leaves)


def node_of_tiles(size: int, hashes: Callable[[Tile], Sequence[bytes]]) -> NodeSource:
    """Complete nodes of a log of `size` leaves, by its tiles; what lies between two of their levels is computed."""

    def node(level: int, index: int) -> bytes:
        below, above = divmod(level, HEIGHT)
        first = index << above
        nodes = size >> (below * HEIGHT)
        number = first // TILE_WIDTH
        tile = Tile(below, number, min(TILE_WIDTH, nodes - number * TILE_WIDTH))
        start = first % TILE_WIDTH
        part = hashes(tile)[start : start + (1 << above)]
        if len(part) < 1 << above:
            raise LogProofError("log_proof_invalid", f"{tile.path} has no node {index} of level {level}")
        edge = Frontier()
        for value in part:
            edge.append(value)
        return edge.root

    return node
