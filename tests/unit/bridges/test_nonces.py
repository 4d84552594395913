"""Nonces of signed requests: each is taken once, and forgotten when it could not come again."""

from __future__ import annotations

from undersigned.bridges.nonces import NonceWindow, NonceWindows
from undersigned.encoding import shift

NOW = "2026-11-25T12:00:00Z"


def at(seconds: int) -> str:
    return shift(NOW, seconds)


def test_the_nonce_window_keeps_nonces_as_long_as_they_could_return_and_no_longer() -> None:
    window = NonceWindow(60, max_entries=3, per_key=2)
    assert window.first("a", "1", at(0))
    assert not window.first("a", "1", at(0))
    assert window.first("a", "2", at(0))
    assert not window.first("a", "3", at(0)), "one key may not fill it"
    assert window.first("b", "1", at(0))
    assert not window.first("c", "1", at(0)), "full: nothing is forgotten early"
    assert not window.first("a", "1", at(120)), "a request made 60 s ahead is taken until 60 s after it was made"
    assert window.first("a", "1", at(121))


def test_only_a_window_that_holds_nothing_any_more_is_let_go() -> None:
    """HIRE-RQS-01: however many contracts ask, no request of another one can be sent again."""
    windows = NonceWindows(2)
    contracts = [f"uEi{number}" for number in range(8)]
    for contract in contracts:
        assert windows.first(contract, "a", "1", at(0))
    assert not any(windows.first(contract, "a", "1", at(1)) for contract in contracts)
    assert len(windows) == 8
    assert windows.first("uEi8", "a", "1", at(3600))
    assert len(windows) == 1
