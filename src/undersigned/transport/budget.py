"""How many failures a peer may cause before it is not listened to for a while, and how fast it is listened to.

Verifying a signature that does not hold costs us more than sending it costs the peer. Each failure is counted
against whoever caused it: the proved DID, or the address while nothing is proved.

Source: protocol-spec/10-security.md, section 10.4
"""

from __future__ import annotations

from collections import OrderedDict

from undersigned.errors import TransportError

__all__ = ["Allowance", "FailureBudget", "LogBudget"]


class FailureBudget:
    """At most `failures` failures per key in any window of `window_seconds`, counted from the first of them.

    Times are seconds of any clock that does not run back. Holds at most `max_keys` keys; the one that started its
    window first makes room.
    """

    def __init__(self, failures: int = 20, window_seconds: float = 60.0, *, max_keys: int = 4096) -> None:
        self.failures = failures
        self.window_seconds = window_seconds
        self._max_keys = max_keys
        self._windows: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def exhausted(self, key: str, at: float) -> bool:
        """Whether `key` has no failure left at the time `at`."""
        start, count = self._windows.get(key, (at, 0))
        return count >= self.failures and at - start < self.window_seconds

    def count(self, key: str, at: float) -> bool:
        """Counts one failure of `key`; whether it was the last one in this window."""
        start, count = self._windows.get(key, (at, 0))
        if at - start >= self.window_seconds:
            self._windows.pop(key, None)
            start, count = at, 0
        self._windows[key] = (start, count + 1)
        if len(self._windows) > self._max_keys:
            self._windows.popitem(last=False)
        return count + 1 >= self.failures

    def spend(self, key: str, at: float) -> None:
        """Counts one failure of `key`.

        Raises:
            TransportError: `rate_limited`, that was the last one in this window; close the channel with 1008.
        """
        if self.count(key, at):
            raise TransportError("rate_limited", f"{key} caused {self.failures} failures in {self.window_seconds:g} s")


class LogBudget:
    """How often our log has a line of what others may cause as often as they like, as a `FailureBudget` counts. Each
    says how many before it were not written.
    """

    def __init__(self, lines: int = 20, window_seconds: float = 60.0) -> None:
        self._budget = FailureBudget(lines, window_seconds)
        self._untold = 0

    def take(self, at: float, key: str = "") -> int | None:
        """For one line about `key`: how many were not written since the last one that was. None: nor is this one."""
        if self._budget.exhausted(key, at):
            self._untold += 1
            return None
        self._budget.count(key, at)
        untold, self._untold = self._untold, 0
        return untold


class Allowance:
    """At most `per_minute` of something per key, on average, and as much at once. Whoever brings more waits.

    Times are seconds of any clock that does not run back. Holds at most `max_keys` keys; the one that brought nothing
    for longest makes room.
    """

    def __init__(self, per_minute: int, *, max_keys: int = 4096) -> None:
        self._most = per_minute
        self._max_keys = max_keys
        self._taken: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, amount: int, at: float) -> float:
        """Counts `amount` of `key`; how many seconds it has to wait for that."""
        a_second = self._most / 60
        taken, since = self._taken.pop(key, (0.0, at))
        taken = max(0.0, taken - (at - since) * a_second) + amount
        self._taken[key] = (taken, at)
        if len(self._taken) > self._max_keys:
            self._taken.popitem(last=False)
        return max(0.0, taken - self._most) / a_second
