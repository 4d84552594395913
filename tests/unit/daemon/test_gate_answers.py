"""What a gate makes of the answers of the server behind it."""

from __future__ import annotations

import pytest

from undersigned.daemon.gate_answers import bodiless


@pytest.mark.parametrize(
    ("method", "status", "none"),
    [
        ("GET", 200, False),
        ("GET", 205, False),
        ("GET", 404, False),
        ("HEAD", 200, True),
        ("GET", 101, True),
        ("GET", 199, True),
        ("POST", 204, True),
        ("GET", 304, True),
    ],
)
def test_which_answers_have_no_body(method: str, status: int, none: bool) -> None:
    """RFC 9110, section 6.4.1: what was signed of one is what arrives."""
    assert bodiless(method, status) is none
