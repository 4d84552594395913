"""Nonces of signed requests: each is taken once, and forgotten when it could not come again."""

from __future__ import annotations

from undersigned.bridges.nonces import NonceWindow
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
