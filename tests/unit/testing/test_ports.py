"""Ports that are given out and not listened on at once."""

from __future__ import annotations

import pytest

from undersigned.testing import free_ports
from undersigned.transport import ports


def test_what_was_given_is_not_given_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens there yet, so only who gave it knows."""
    (first,) = free_ports(1)
    (other,) = free_ports(1)
    drawn = iter([first, first, other, *ports.CHOICE])
    monkeypatch.setattr(ports, "choice", lambda _: next(drawn))
    assert not {first, other} & set(free_ports(2))
