"""The tables compiled and drawn with `transitions`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from undersigned.protocol import ROWS, figures
from undersigned.protocol import machine as compiled
from undersigned.protocol.states import rows_of


def test_machine_and_lookup_agree_over_every_combination() -> None:
    """State, type, role and case: the dict that the fold uses and the compiled machine say the same."""
    assert list(compiled.disagreements()) == []


def test_a_difference_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """One row changed in the lookup alone is reported."""
    changed = dict(ROWS)
    key = ("ready", "Offer", "hirer", "")
    changed[key] = changed[key]._replace(next="sealed")
    monkeypatch.setattr(compiled, "ROWS", changed)
    found = list(compiled.disagreements())
    assert len(found) == 1
    assert "hirer sends Offer" in found[0]


def test_one_step_by_the_machine() -> None:
    """Where there is no row, there is no step."""
    assert compiled.step("negotiation", "ready", "Offer", "hirer") == "offered-by-hirer"
    assert compiled.step("contract", "delivered", "Review", "hirer", "rework") == "working"
    assert compiled.step("negotiation", "ready", "Seal", "hirer") is None
    assert compiled.step("negotiation", "sealed", "Offer", "hirer") is None


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
        came = compiled.step(table, state, kind, role, cases.get(kind, ""))
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
