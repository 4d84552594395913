"""Nonces of signed requests: each is taken once.

Source: protocol-spec/03-connection.md, section 3.7
"""

from __future__ import annotations

from undersigned.encoding import DidUrl, Digest, Instant, parse_instant

from .http_signatures import AGE_SECONDS, SKEW_SECONDS

__all__ = ["NonceWindow", "NonceWindows"]


class NonceWindow:
    """Nonces seen, for as long as a request that carries them could still be taken.

    Holds at most `max_entries`; full, it takes no more until some have aged: a nonce forgotten early could be used
    again. Whoever fills it is a holder of a valid key, and one key may fill no more than `per_key`.
    """

    def __init__(
        self, max_age_seconds: int = AGE_SECONDS, *, max_entries: int = 100_000, per_key: int = 10_000
    ) -> None:
        self._keep_seconds = max_age_seconds + SKEW_SECONDS
        self._max_entries = max_entries
        self._per_key = per_key
        self._until: dict[tuple[DidUrl, str], float] = {}
        self._counts: dict[DidUrl, int] = {}

    def first(self, keyid: DidUrl, nonce: str, now: Instant) -> bool:
        """Whether `nonce` is new for `keyid`; remembers it. Times must not run back."""
        seconds = self._age(now)
        held = self._counts.get(keyid, 0)
        if (keyid, nonce) in self._until or len(self._until) >= self._max_entries or held >= self._per_key:
            return False
        self._until[keyid, nonce] = seconds + self._keep_seconds
        self._counts[keyid] = held + 1
        return True

    def is_empty(self, now: Instant) -> bool:
        """Whether no nonce in it could come again."""
        self._age(now)
        return not self._until

    def _age(self, now: Instant) -> float:
        """Lets go of what is too old; `now` in seconds."""
        seconds = parse_instant(now).timestamp()
        while self._until:
            # In order of insertion, which is the order of time.
            oldest = next(iter(self._until))
            if self._until[oldest] >= seconds:
                break
            del self._until[oldest]
            self._counts[oldest[0]] -= 1
            if not self._counts[oldest[0]]:
                del self._counts[oldest[0]]
        return seconds


class NonceWindows:
    """One window for each contract: nobody uses up the nonces of another one's. A window that holds nothing any more is
    let go.
    """

    def __init__(self, tidied: int = 64) -> None:
        self._windows: dict[Digest, NonceWindow] = {}
        self._tidied = self._tidy_at = tidied

    def __len__(self) -> int:
        return len(self._windows)

    def first(self, contract: Digest, keyid: DidUrl, nonce: str, now: Instant) -> bool:
        """As `NonceWindow.first`, under `contract`."""
        windows = self._windows
        if contract not in windows and len(windows) >= self._tidy_at:
            for old in [name for name, window in windows.items() if window.is_empty(now)]:
                del windows[old]
            self._tidy_at = max(self._tidied, 2 * len(windows))  # so that each costs the same, however many there are
        return windows.setdefault(contract, NonceWindow()).first(keyid, nonce, now)
