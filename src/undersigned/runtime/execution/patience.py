"""How long the hirer waits for what it reviews, where only the other side's servers have it.

Source: protocol-spec/08-attestation-and-evidence.md
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar

from undersigned.encoding import parse_duration, seconds_between
from undersigned.errors import ConfigurationError, PolicyError, UndersignedError
from undersigned.protocol import review_ends
from undersigned.runtime.artifacts.store import of_store

if TYPE_CHECKING:
    from undersigned.encoding import Did
    from undersigned.runtime.clock import Clock
    from undersigned.runtime.engagement.conversation import Conversation

__all__ = ["RETRY_SECONDS", "Patience", "TryAgain"]

R = TypeVar("R")

RETRY_SECONDS: Final = 2.0
"""Least time between two attempts."""
LAST_SECONDS: Final = 300
"""How long before the end of a review what cannot be fetched is asked for the last time; in a short one, a quarter."""
TRIED_SECONDS: Final = 600
"""How long it has to have been asked for by then, without a restart of ours; in a short review, a quarter of it."""


class TryAgain(Exception):
    """What the other side's servers have could not be had now, and why; it is asked for again."""

    def __init__(self, error: UndersignedError) -> None:
        super().__init__(str(error))
        self.error = error


class Patience:
    """How long what only the other side's servers have is asked for again.

    What a server answers is signed by nobody, and anybody on the way can answer in its place: no refusal, and no other
    bytes, say anything about the work while there is time to ask again. Shortly before the review ends they do, since
    silence would accept what nobody could look at.
    """

    def __init__(self, clock: Clock, conversation: Conversation, connected: Callable[[Did], bool]) -> None:
        """`connected` says whether there is a connection to a party."""
        self._clock, self._conversation, self._connected = clock, conversation, connected
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()

    def _left(self) -> tuple[float, float]:
        """Seconds until it is asked for the last time, and how long that is at least after the first time."""
        engagement, offer = self._conversation.engagement, self._conversation.engagement.offer
        ends = review_ends(engagement)
        if ends is None or offer is None:
            return math.inf, 0.0  # nothing waits for a review any more
        quarter = parse_duration(offer.terms.deadlines.review) / 4
        left = seconds_between(self._clock.now(), ends) - self._last()
        return left, min(TRIED_SECONDS, quarter)

    def _longest(self) -> float | None:
        """Seconds that one thing may take to come; None where nothing waits for a review any more.

        What is asked for last, and all that comes after it, gets half of what then is left, so that there is always
        time to say no: silence would accept what still dribbles.
        """
        left, _ = self._left()
        if left == math.inf:
            return None
        return left if left > 0 else max(0.0, (left + self._last())) / 2

    def _last(self) -> float:
        """Seconds from the last time of asking to the end of the review."""
        offer = self._conversation.engagement.offer
        return min(LAST_SECONDS, parse_duration(offer.terms.deadlines.review) / 4) if offer is not None else 0.0

    def pause(self, seconds: float) -> float:
        """How long to wait for the next time; none that is the last one is missed for it."""
        left, _ = self._left()
        return max(RETRY_SECONDS, min(seconds, left))

    async def had(self, work: Awaitable[R]) -> R:
        """What `work` returns.

        Raises:
            TryAgain: It failed, and is to be asked for again.
            UndersignedError: It failed to the end; or a store of ours failed.
        """
        limit = asyncio.timeout(self._longest())
        try:
            async with limit:
                return await work
        except TimeoutError as exc:
            if not limit.expired():
                raise
            error = UndersignedError("timeout", "it did not come in the time that there is for the review", cut=True)
            raise self._judged(error) from exc
        except UndersignedError as error:
            if of_store(error):
                raise
            raise self._judged(error) from error

    def _judged(self, error: UndersignedError) -> Exception:
        left, least = self._left()
        # After a restart of ours it was not asked for before; one failure then is as good as none.
        if left > 0 or self._loop.time() - self._began < least or isinstance(error, ConfigurationError):
            return TryAgain(error)
        if not error.retryable:
            return error
        # Where nothing of the other side is there at all, it may be our own network that is away.
        seen = error.detail.get("status") or error.detail.get("cut")
        if not seen and not self._connected(self._conversation.engagement.peer):
            return TryAgain(error)
        return PolicyError(
            "upstream_failed", f"the other side's server failed until now, shortly before the end: {error}"
        )
