"""Whether one scope lies inside another: what the vectors of subcontracts do not say."""

from __future__ import annotations

from typing import Any

import pytest

from undersigned.scope import Grant, Scope, contains

TIDE = "https://example.org/tide"


@pytest.mark.parametrize(("above", "own"), [(True, 1), (False, 0), ([1], [True]), ({"a": 0}, {"a": False})])
def test_an_extension_is_carried_over_as_it_is_in_json(above: Any, own: Any) -> None:
    """A truth value is no number, for the other implementation and for whoever reads the extension."""
    parent, child = Scope(extensions={TIDE: above}), Scope(extensions={TIDE: own})
    assert not contains(parent, child)
    assert not contains(child, parent)
    assert contains(parent, parent)


def test_an_extension_that_says_null_is_carried_over_too() -> None:
    assert not contains(Scope(extensions={TIDE: None}), Scope())


def test_the_order_of_members_of_an_extension_says_nothing() -> None:
    assert contains(Scope(extensions={TIDE: {"a": 1, "b": 2}}), Scope(extensions={TIDE: {"b": 2, "a": 1.0}}))


def test_a_grant_draws_on_one_of_its_own_action() -> None:
    """HIRE-SCO-05: wherever both lead, to read is not to write."""
    reads, writes = (Scope(grants=(Grant("a", action, f"{TIDE}/*"),)) for action in ("artifact:read", "artifact:write"))
    assert contains(reads, reads)
    assert not contains(reads, writes)
