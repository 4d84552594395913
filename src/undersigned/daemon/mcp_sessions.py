"""Sessions of the MCP server behind a gate: each is its opener's, and nobody uses up what others have.

Source: protocol-spec/15-mcp-gate.md, HIRE-MCP-11
"""

from __future__ import annotations

from typing import Final, TypeAlias

from undersigned.encoding import Did, Digest

__all__ = ["Owner", "Sessions"]

MAX_SESSIONS: Final = 10_000

Owner: TypeAlias = tuple[Did, Digest]
"""A provider, and the contract under which it asks."""


class Sessions:
    """Who opened which, `most` of them at a time.

    Opening one takes nothing of any limit, so the provider that has the most loses its oldest when there are too many.
    """

    def __init__(self, most: int = MAX_SESSIONS) -> None:
        self._most = most
        self._owners: dict[str, Owner] = {}
        self._of: dict[Did, dict[str, None]] = {}
        """The sessions of each provider, oldest first."""

    def __len__(self) -> int:
        return len(self._owners)

    def opened(self, session: str, owner: Owner) -> bool:
        """Notes a session of the server; False if it gave that name to another already."""
        if session in self._owners:
            return False
        self._owners[session] = owner
        self._of.setdefault(owner[0], {})[session] = None
        if len(self._owners) > self._most:
            self.ended(next(iter(max(self._of.values(), key=len))))
        return True

    def is_open(self, session: str, owner: Owner) -> bool:
        """Whether it is this one's."""
        return self._owners.get(session) == owner

    def ended(self, session: str) -> None:
        """Forgets it."""
        owner = self._owners.pop(session, None)
        if owner is not None:
            kept = self._of[owner[0]]
            del kept[session]
            if not kept:
                del self._of[owner[0]]
