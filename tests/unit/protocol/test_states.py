"""The tables by themselves."""

from __future__ import annotations

import pytest

from undersigned.messages import MESSAGE_TYPES
from undersigned.protocol import ENDED, LANE, NOTICES, ROLES, ROWS, STATES, TABLES
from undersigned.protocol.facts import FACTS_OF
from undersigned.protocol.guards import GUARDS
from undersigned.protocol.states import CASES, LIMIT_EXEMPT, rows_of
from undersigned.testing import PATHS


def test_every_cell_has_one_answer() -> None:
    """A state, a type, a role and a case lead to one next state."""
    for table in ("negotiation", "contract", "lane"):
        cells = [(row.state, row.type, row.role, row.case) for row in rows_of(table)]
        repeated = {cell for cell in cells if cells.count(cell) > 1}
        assert not repeated, (table, repeated)


@pytest.mark.parametrize(("table", "first"), [("negotiation", "-"), ("contract", "sealed"), ("lane", "idle")])
def test_every_state_is_reached_and_leads_to_an_end(table: str, first: str) -> None:
    """From the first state every other is reached; from every state an end is."""
    edges: dict[str, set[str]] = {}
    for row in rows_of(table):
        edges.setdefault(row.state, set()).add(row.next)
    named = set(edges) | {name for names in edges.values() for name in names}
    assert _reached(edges, first) == named
    ends = {"idle"} if table == "lane" else set(TABLES["terminal"]) & named
    for state in named:
        assert _reached(edges, state) & ends, f"{state} leads nowhere"
    if table != "lane":
        assert named - set(edges) <= ends


def _reached(edges: dict[str, set[str]], first: str) -> set[str]:
    reached, todo = {first}, [first]
    while todo:
        for name in edges.get(todo.pop(), ()):
            if name not in reached:
                reached.add(name)
                todo.append(name)
    return reached


def test_every_state_has_an_owner_of_the_next_move() -> None:
    """No state waits for nobody."""
    for table in ("negotiation", "contract"):
        owners = TABLES[f"{table}_owners"]
        for row in rows_of(table):
            assert row.state == "-" or row.state in owners, row.state
        assert not set(owners) & ENDED


def test_every_row_in_use_has_its_guard() -> None:
    """A row says what else must hold exactly if a function decides it, but for the plain withdrawal."""
    rows = [*ROWS.values(), *LANE.values()]
    for row in rows:
        assert row.type in MESSAGE_TYPES
        if row.type == "Withdraw" and row in ROWS.values() and not row.state.startswith("accepted-by-"):
            assert row.check == ""
        else:
            assert row.check in GUARDS, row
    assert {row.check for row in rows} - {""} == set(GUARDS)


def test_the_lists_of_types_agree() -> None:
    """Tables, messages and facts know the same types."""
    moves = {kind for kind, of in MESSAGE_TYPES.items() if not of.notice}
    assert {kind for kind, of in MESSAGE_TYPES.items() if of.notice} == NOTICES
    assert moves <= {row.type for row in ROWS.values()}
    assert set(FACTS_OF) == moves - {"Presentation"}
    assert moves >= LIMIT_EXEMPT
    assert CASES[0] == ""


def test_the_kit_reaches_every_state_that_types_in_use_reach() -> None:
    """But for `committed`, which needs a sealed tender and has tests of its own."""
    reached, rows = {"-"}, list(ROWS.values())
    while more := {r.next for r in rows if r.type in MESSAGE_TYPES and r.state in reached} - reached:
        reached |= more
    assert set(PATHS) == reached - {"committed"}
    assert set(STATES) >= reached
    assert all(role in ("hirer", "provider") for role in ROLES)


def test_tables_cannot_be_changed() -> None:
    """They are read-only for everybody who imports them."""
    with pytest.raises(TypeError):
        ROWS["-", "Inquiry", "hirer", ""] = None
    with pytest.raises(TypeError):
        TABLES["negotiation"] = []
