"""Whether a peer speaks on two open connections by turns, as two programs with one key do.

An answer goes to the newest connection, so that each of the two takes what is meant for the other, and neither is told
why its hires stand still. One program leaves a connection behind when it opens another: what a slow carrier still
brings on the old one comes within a moment, and not after the new one was heard for a while.
"""

from __future__ import annotations

from typing import Final

from undersigned.encoding import Did

__all__ = ["APART_SECONDS", "TURNS", "TakingTurns"]

TURNS: Final = 4
"""So many changes from one connection to the other are no delay of a carrier."""
APART_SECONDS: Final = 2.0
"""Changes that come closer to each other count as one."""


class TakingTurns:
    """What was heard last of each peer that has several connections."""

    def __init__(self) -> None:
        self._last: dict[Did, tuple[object, int, float]] = {}
        """The connection, how often it was another one, and when that was counted last."""

    def heard(self, peer: Did, connection: object, now: float) -> bool:
        """Whether this message is the one by which it is seen; once for as long as nothing is forgotten. `now` is in
        seconds of a clock that never goes back.
        """
        last, turns, at = self._last.get(peer, (connection, 0, now))
        counts = last is not connection and now - at >= APART_SECONDS
        self._last[peer] = (connection, turns + counts, now if counts else at)
        return counts and turns + 1 == TURNS

    def forget(self, peer: Did) -> None:
        """It has no connection any more."""
        self._last.pop(peer, None)
