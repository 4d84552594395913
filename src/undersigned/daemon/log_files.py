"""The log as others fetch it: `/ledger/checkpoint`, tiles of hashes, and bundles of leaves. Anybody may read them.

A leaf is a label and a salted digest, so that nobody learns from it what it stands for; how much is done here in a time
can be seen.

Source: protocol-spec/08-attestation-and-evidence.md, section 8.7
"""

from __future__ import annotations

from typing import Final

from undersigned.ledger import Head
from undersigned.runtime import Agent
from undersigned.transparency import TILE_WIDTH, Tile, bundle, parse_tile_path

from .answers import Document

__all__ = ["LogFiles"]

PREFIX: Final = "/ledger/"
FOR_EVER_SECONDS: Final = 31_536_000
"""What is in a whole tile never changes."""


class LogFiles:
    """Answers requests below `/ledger/`."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._noted: tuple[Head, str] | None = None

    async def answer(self, path: str) -> Document | None:
        """What is at `path`; None if there is nothing, or not yet so much."""
        name = path.removeprefix(PREFIX)
        if name == "checkpoint":
            return Document((await self._checkpoint()).encode(), "text/plain")
        tile = parse_tile_path(name)
        data = await self._tile(tile) if tile is not None else b""
        return Document(data, "application/octet-stream", FOR_EVER_SECONDS) if data else None

    async def _checkpoint(self) -> str:
        """The newest signed head, with what witnesses signed of it; signed once, however many ask."""
        ledger = self._agent.ledger
        head = await ledger.head()
        cosigned = self._agent.witnesses.note_of(head)
        if cosigned is not None:
            return cosigned
        if self._noted is None or self._noted[0] != head:
            self._noted = head, await self._agent.papers.checkpoint(head)
        return self._noted[1]

    async def _tile(self, tile: Tile) -> bytes:
        ledger, start = self._agent.ledger, tile.number * TILE_WIDTH
        if tile.level is None:
            leaves = await ledger.leaves(start, tile.width)
            return bundle(leaves) if len(leaves) == tile.width else b""
        hashes = await ledger.nodes(8 * tile.level, start, tile.width)
        return b"".join(hashes) if len(hashes) == tile.width else b""
