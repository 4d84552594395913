"""What an amendment keeps of clauses that are counted, by itself."""

from __future__ import annotations

import re

import pytest

from contracts import terms
from undersigned.contract import MAX_ITEMS, Terms
from undersigned.errors import PolicyError
from undersigned.runtime.execution.counted import check_counted
from undersigned.scope import Grant, Limit, Scope, compile_scope

URL = "https://acme.example/artifacts/*"


def having(*grants: Grant) -> Terms:
    return terms(scope=compile_scope(Scope(grants=grants), "https://acme.example/terms"))


def read(*limits: Limit, id: str = "read", action: str = "artifact:read") -> Grant:
    return Grant(id, action, URL, limits=limits)


FEW, MANY, DAILY = Limit("count", "3"), Limit("count", "9"), Limit("count", "1", "P1D")
WRITE = read(FEW, id="write", action="artifact:write")


@pytest.mark.parametrize(
    ("before", "after", "used"),
    [
        ([read(MANY)], [read(FEW)], "3"),
        ([read(MANY)], [read(FEW)], None),
        ([read(MANY, DAILY)], [read(MANY, DAILY)], "9"),
        ([read(MANY)], [], None),
        ([read(MANY)], [], "0"),
        ([read(MANY)], [WRITE], "0"),
        ([read(MANY)], [read()], "0"),
        ([read(MANY, DAILY)], [read(MANY)], "0"),
        ([read(MANY)], [read(MANY), read(MANY, id="more")], "2"),
        ([read()], [read(id="other")], None),
        ([read(MANY), read(FEW, id="more")], [read(FEW, id="more")], None),
        ([read(MANY)], [read(MANY), WRITE], None),
    ],
)
def test_what_may_follow(before: list[Grant], after: list[Grant], used: str | None) -> None:
    """HIRE-LAN-06, HIRE-LAN-09: what is used still fits; what is known not to be used may go."""
    check_counted(having(*before), having(*after), {} if used is None else {("read", "count"): used})


@pytest.mark.parametrize(
    ("before", "after", "used", "why"),
    [
        ([read(MANY)], [read(FEW)], "3.1", "3.1 count are used, the amendment allows 3"),
        ([read()], [read(FEW)], "4", "4 count are used, the amendment allows 3"),
        ([read(MANY)], [], "1", "something is used under it"),
        ([read()], [], "1", "something is used under it"),
        ([read(MANY)], [read(MANY, action="artifact:list")], "1", "something is used under it"),
        ([read(MANY)], [read(MANY, id="other")], None, "another artifact:read is added"),
        ([read(MANY), WRITE], [read(MANY, id="other"), WRITE], "0", "another artifact:read is added"),
        ([read(MANY)], [read()], "1", "its limit of at most 9 times is left out"),
        ([read(MANY)], [read(DAILY)], "1", "its limit of at most 9 times is left out"),
        ([read(DAILY)], [read()], "0", "is left out, and may be used"),
        ([read(DAILY)], [], None, "is left out, and may be used"),
        ([read(MANY, DAILY)], [read(MANY)], "1", "is left out, and may be used"),
    ],
)
def test_what_may_not_follow(before: list[Grant], after: list[Grant], used: str | None, why: str) -> None:
    """HIRE-LAN-06, HIRE-LAN-09: its count would be passed, or begin anew."""
    with pytest.raises(PolicyError, match=re.escape(why)) as refused:
        check_counted(having(*before), having(*after), {} if used is None else {("read", "count"): used})
    assert refused.value.code == "policy_denied"


@pytest.mark.parametrize("more", [0, 1])
def test_as_much_is_counted_as_can_be_stated(more: int) -> None:
    """HIRE-LAN-09: what is used, what is limited now and what would be, each once; a period is no line of its own, and
    a line of 0 says what no line says (messages/delivery.md).
    """
    grants = [read(FEW, Limit("bytes", "9", "P1D"), id=f"read-{number}") for number in range(MAX_ITEMS - 2 + more)]
    used = {("work", "EUR"): "1", ("read-0", "count"): "1", ("made up", "count"): "0"}
    now, then = having(*grants), having(*grants, WRITE)
    if not more:
        return check_counted(now, then, used)
    with pytest.raises(PolicyError, match=f"would be {MAX_ITEMS + 1} lines; at most {MAX_ITEMS}"):
        check_counted(now, then, used)
