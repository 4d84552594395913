"""The tables compiled with `transitions`: to check the lookup that the fold uses, and to draw the figures.

One machine per table, built once and driven without models, for a machine per engagement would cost 25 KB. The fold
itself looks rows up in a dict, some fifty times faster; `disagreements` shows that both give the same answer for every
combination of state, type, role and case.

Source: protocol-spec/05-negotiation.md, section 5.2, and 07-contract.md, section 7.5
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Final

from transitions import Machine

from undersigned.messages import MESSAGE_TYPES
from undersigned.protocol.states import ENDED, ROLES, ROWS, TABLES, Row, rows_of

__all__ = ["disagreements", "draw", "figures", "machine", "step"]

_FIRST: Final = {"negotiation": "-", "contract": "sealed", "lane": "idle"}
_ENDS: Final = {"negotiation": frozenset({"sealed", "withdrawn"}), "contract": ENDED, "lane": frozenset[str]()}


class _Cell:
    """What a machine moves: a state and nothing else."""

    __slots__ = ("state",)

    def __init__(self, state: str) -> None:
        self.state = state


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


def step(table: str, state: str, kind: str, role: str, case: str = "") -> str | None:
    """The state after this move by the machine, its guard aside; None where there is no row."""
    compiled = machine(table)
    event = compiled.events.get(f"{kind}/{role}/{case}")
    if event is None or state not in event.transitions:
        return None
    cell = _Cell(state)
    event.trigger(cell)
    return cell.state


def disagreements() -> Iterator[str]:
    """Every combination for which machine and lookup differ; there must be none."""
    for table in ("negotiation", "contract"):
        states = machine(table).states
        types = dict.fromkeys((*(row["type"] for row in TABLES[table]), *MESSAGE_TYPES))
        cases = dict.fromkeys(row.case for row in rows_of(table)) | {"": None}
        for state, kind, role, case in product(states, types, ROLES, cases):
            row = ROWS.get((state, kind, role, case)) if _belongs(table, state, kind) else None
            looked_up = row.next if row is not None else None
            driven = step(table, state, kind, role, case)
            if looked_up != driven:
                yield f"{table}: {role} sends {kind} {case} in {state}: lookup says {looked_up}, machine says {driven}"


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


def _belongs(table: str, state: str, kind: str) -> bool:
    """Whether the lookup, which holds both tables, has its answer from this one: they meet in `sealed`."""
    return any(state in row["states"] and row["type"] == kind for row in TABLES[table])


def _trigger(row: Row) -> str:
    return f"{row.type}/{row.role}/{row.case}"


def _label(row: Row) -> str:
    case = f", {row.case}" if row.case else ""
    return f"{row.type} ({row.role}{case})"


def _node(name: str) -> str:
    """An identifier that Mermaid takes."""
    return "nothing" if name == "-" else name.replace("-", "_")
