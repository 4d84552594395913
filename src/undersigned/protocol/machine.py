"""The tables compiled with `transitions`, to draw the figures.

One machine per table, built once and without models, for a machine per engagement would cost 25 KB. The fold itself
looks rows up in a dict, some fifty times faster; a test shows that both give the same answer for every combination of
state, type, role and case.

Source: protocol-spec/05-negotiation.md, section 5.2, and 07-contract.md, section 7.5
"""

from __future__ import annotations

from functools import cache
from typing import Final

from transitions import Machine

from undersigned.protocol.states import ENDED, TableRow, rows_of

__all__ = ["draw", "figures", "machine"]

_FIRST: Final = {"negotiation": "-", "contract": "sealed", "lane": "idle"}
_ENDS: Final = {"negotiation": frozenset({"sealed", "withdrawn"}), "contract": ENDED, "lane": frozenset[str]()}


@cache
def machine(table: str) -> Machine:
    """The machine of `negotiation`, `contract` or `lane`; its triggers are named type/role/case."""
    rows = rows_of(table)
    states = dict.fromkeys(name for row in rows for name in (row.state, row.next))
    return Machine(
        model=None,
        states=list(states),
        transitions=[{"trigger": _trigger(row), "source": row.state, "dest": row.next} for row in rows],
        initial=_FIRST[table],
        auto_transitions=False,
    )


def draw(table: str) -> str:
    """The table as a Mermaid state diagram: one arrow for each pair of states, with the moves that lead along it.

    Source: protocol-spec/05-negotiation.md, section 5.2, and 07-contract.md, sections 7.5 and 7.10
    """
    compiled = machine(table)
    arrows: dict[tuple[str, str], dict[str, None]] = {}
    for row in rows_of(table):
        arrows.setdefault((row.state, row.next), {})[_label(row)] = None
    lines = ["stateDiagram-v2", "    direction TB"]
    lines += [f'    state "{name}" as {_node(name)}' for name in compiled.states]
    lines.append(f"    [*] --> {_node(str(compiled.initial))}")
    for transition in compiled.get_transitions():
        source, dest = transition.source, str(transition.dest)
        labels = arrows.pop((source, dest), None)
        if labels is not None:
            lines.append(f"    {_node(source)} --> {_node(dest)}: {', '.join(labels)}")
    lines += [f"    {_node(name)} --> [*]" for name in compiled.states if name in _ENDS[table]]
    return "\n".join(lines) + "\n"


def figures() -> dict[str, str]:
    """Every figure of the specification that is drawn from the tables: name without ending, and its Mermaid text."""
    return {table: draw(table) for table in _FIRST}


def _trigger(row: TableRow) -> str:
    return f"{row.type}/{row.role}/{row.case}"


def _label(row: TableRow) -> str:
    case = f", {row.case}" if row.case else ""
    return f"{row.type} ({row.role}{case})"


def _node(name: str) -> str:
    """An identifier that Mermaid takes."""
    return "nothing" if name == "-" else name.replace("-", "_")
