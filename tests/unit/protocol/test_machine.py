"""The tables compiled and drawn with `transitions`."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path

from undersigned.messages import MESSAGE_TYPES
from undersigned.protocol import ROLES, ROWS, TABLES, figures
from undersigned.protocol.machine import machine
from undersigned.protocol.states import TableRow, rows_of


class _Cell:
    """What a machine moves: a state and nothing else."""

    __slots__ = ("state",)

    def __init__(self, state: str) -> None:
        self.state = state


def step(table: str, state: str, kind: str, role: str, case: str = "") -> str | None:
    """The state after this move by the machine, its guard aside; None where there is no row."""
    compiled = machine(table)
    event = compiled.events.get(f"{kind}/{role}/{case}")
    if event is None or state not in event.transitions:
        return None
    cell = _Cell(state)
    event.trigger(cell)
    return cell.state


def disagreements(rows: Mapping[tuple[str, str, str, str], TableRow]) -> Iterator[str]:
    """Every combination for which machine and lookup differ; there must be none."""
    for table in ("negotiation", "contract"):
        states = machine(table).states
        types = dict.fromkeys((*(row["type"] for row in TABLES[table]), *MESSAGE_TYPES))
        cases = dict.fromkeys(row.case for row in rows_of(table)) | {"": None}
        for state, kind, role, case in product(states, types, ROLES, cases):
            row = rows.get((state, kind, role, case)) if belongs(table, state, kind) else None
            looked_up = row.next if row is not None else None
            driven = step(table, state, kind, role, case)
            if looked_up != driven:
                yield f"{table}: {role} sends {kind} {case} in {state}: lookup says {looked_up}, machine says {driven}"


def belongs(table: str, state: str, kind: str) -> bool:
    """Whether the lookup, which holds both tables, has its answer from this one: they meet in `sealed`."""
    return any(state in row["states"] and row["type"] == kind for row in TABLES[table])


def test_machine_and_lookup_agree_over_every_combination() -> None:
    """State, type, role and case: the dict that the fold uses and the compiled machine say the same."""
    assert list(disagreements(ROWS)) == []


def test_a_difference_would_be_found() -> None:
    """One row changed in the lookup alone is reported."""
    changed = dict(ROWS)
    key = ("ready", "Offer", "hirer", "")
    changed[key] = changed[key]._replace(next="sealed")
    found = list(disagreements(changed))
    assert len(found) == 1
    assert "hirer sends Offer" in found[0]


def test_one_step_by_the_machine() -> None:
    """Where there is no row, there is no step."""
    assert step("negotiation", "ready", "Offer", "hirer") == "offered-by-hirer"
    assert step("contract", "delivered", "Review", "hirer", "rework") == "working"
    assert step("negotiation", "ready", "Seal", "hirer") is None
    assert step("negotiation", "sealed", "Offer", "hirer") is None


def test_figures_show_every_row() -> None:
    """Each arrow names every move that leads along it, in identifiers that Mermaid takes."""
    drawn = figures()
    assert set(drawn) == {"negotiation", "contract", "lane"}
    for table, text in drawn.items():
        assert text.startswith("stateDiagram-v2\n")
        arrows = [line.strip() for line in text.splitlines() if "-->" in line]
        for row in rows_of(table):
            begin = "nothing" if row.state == "-" else row.state.replace("-", "_")
            label = f"{row.type} ({row.role}{', ' + row.case if row.case else ''})"
            lines = [a for a in arrows if a.startswith(f"{begin} --> {row.next.replace('-', '_')}:")]
            assert len(lines) == 1, row
            assert label in lines[0]
    assert "closed --> [*]" in drawn["contract"]
    assert "[*] --> nothing" in drawn["negotiation"]


def test_the_hire_that_the_overview_draws_is_one() -> None:
    """Each arrow is a row of the tables, from nothing to closed books."""
    page = Path(__file__).parents[3].joinpath("protocol-spec", "01-overview.md").read_text()
    moves = re.findall(r"^    ([HP])->>[HP]: (\w+)$", page, re.M)
    cases = {"Review": "final", "Closing": "first"}
    state, table = "-", "negotiation"
    for who, kind in moves:
        role = "hirer" if who == "H" else "provider"
        came = step(table, state, kind, role, cases.get(kind, ""))
        assert came is not None, f"{role} sends {kind} in {state}"
        state = came
        if state == "sealed":
            table = "contract"
        elif kind == "Closing":
            cases["Closing"] = "last"
    assert state == "closed"


def test_transitions_is_loaded_only_when_drawing() -> None:
    """Who folds does not pay for the library."""
    script = "import sys, undersigned.protocol as p; assert 'transitions' not in sys.modules; p.figures(); " + (
        "assert 'transitions' in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
