"""The states of an engagement and the tables of moves between them.

An engagement is in exactly one state. Before the seal it is one of the negotiation's: `-` (nothing said yet),
`inquired`, `profiled`, `presented`, `ready`, `committed` (a sealed bid is in), `offered-by-hirer` and
`offered-by-provider` (that side's offer is live), `accepted-by-hirer` and `accepted-by-provider` (that side has
accepted, and is in doubt until the other seals or withdraws), `withdrawn` (the end). `sealed` ends the negotiation and
begins the contract: `working`, `suspended`, `cancelling`, `delivered`, `disputed`, `closing`, `closed` (the end).
Beside the contract's state there is the document lane, `idle` unless an amendment or release is on the table.

The tables are data, `tables.json`, the same for both sides: a row is looked up by (state, type, sender's role, case)
and gives the next state and the name of its guard. Who we are plays no part in it.

Source: protocol-spec/05-negotiation.md, section 5.2, and 07-contract.md, section 7.5
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from msgspec import json

from undersigned.contract import Role

__all__ = [
    "CASES",
    "ENDED",
    "HIRER",
    "IDLE",
    "LANE",
    "LANE_TYPES",
    "LIMIT_EXEMPT",
    "NOTICES",
    "OTHER",
    "PERFORMED",
    "PROVIDER",
    "ROLES",
    "ROWS",
    "STANDING",
    "START",
    "STATES",
    "TABLES",
    "Role",
    "TableRow",
    "rows_of",
]

HIRER: Final[Role] = "hirer"
PROVIDER: Final[Role] = "provider"
ROLES: Final[tuple[Role, Role]] = (HIRER, PROVIDER)
OTHER: Final[Mapping[Role, Role]] = MappingProxyType({HIRER: PROVIDER, PROVIDER: HIRER})
"""The other side."""

START: Final = "-"
IDLE: Final = "idle"
ENDED: Final = frozenset({"withdrawn", "closed"})
"""Where nothing moves any more. `sealed` ends the negotiation only."""

LIMIT_EXEMPT: Final = frozenset({"Cancel", "Terminate", "Delivery", "Review", "Closing", "Ruling", "Seal", "Withdraw"})
"""What is still taken when a contract has had all its moves, so that an engagement can always end."""

STANDING: Final = frozenset({"Suspend", "Cancel", "Terminate", "Delivery", "Review", "Closing", "Ruling", "Withdraw"})
"""What stands whatever the peer says of it: it ends something, narrows what the peer may do, or says what is owed. A
`Withdraw` about a document under a contract is none of them. Binding signatures stand in any case."""

PERFORMED: Final = frozenset({"sealed", "working", "suspended", "cancelling", "delivered"})
"""States of a contract that nothing has ended yet."""


class TableRow(NamedTuple):
    """One cell of a table, written out for one state and one sender's role."""

    state: str
    type: str
    role: Role
    case: str
    """Which of several outcomes of one type: `Review` final or rework, `Closing` silence, first or last; else empty."""
    next: str
    guard: str
    """What else must hold, for people."""
    check: str
    """Name of the function in `guards` that decides it; empty if nothing else must hold."""


TABLES: Final[Mapping[str, Any]] = MappingProxyType(
    json.decode(files("undersigned.protocol").joinpath("tables.json").read_bytes())
)
"""`tables.json` as it stands."""


def rows_of(table: str) -> tuple[TableRow, ...]:
    """The rows of one table (`negotiation`, `contract`, `lane`), one for each state and role they are written for."""
    return tuple(
        TableRow(state, row["type"], role, row.get("case", ""), row["next"], row.get("guard", ""), row.get("check", ""))
        for row in TABLES[table]
        for state in row["states"]
        for role in row["roles"]
    )


def _written_out() -> dict[tuple[str, str, str, str], TableRow]:
    table: dict[tuple[str, str, str, str], TableRow] = {}
    for row in rows_of("negotiation") + rows_of("contract"):
        key = (row.state, row.type, row.role, row.case)
        if key in table:
            raise ValueError(f"tables.json answers {key} twice")
        table[key] = row
    return table


ROWS: Final[Mapping[tuple[str, str, str, str], TableRow]] = MappingProxyType(_written_out())
"""Negotiation and contract in one lookup: (state, type, sender's role, case)."""

LANE: Final[Mapping[tuple[str, str, str], TableRow]] = MappingProxyType(
    {(row.state, row.type, row.role): row for row in rows_of("lane")}
)
"""The document lane: (state of the lane, type, sender's role)."""

LANE_TYPES: Final = frozenset(row.type for row in LANE.values())
"""Types that are about a document on the table, once there is a contract."""

CASES: Final = tuple(dict.fromkeys(row.case for row in ROWS.values()))
"""Every case that a row has; the empty one is first."""

NOTICES: Final = frozenset(row["type"] for row in TABLES["notices"])
"""Types that take no place in a chain and change no state."""


def _states(table: str) -> tuple[str, ...]:
    named = [name for row in TABLES[table] for name in (*row["states"], row["next"])]
    return tuple(dict.fromkeys(named))


NEGOTIATION_STATES: Final = _states("negotiation")
CONTRACT_STATES: Final = _states("contract")
STATES: Final = tuple(dict.fromkeys(NEGOTIATION_STATES + CONTRACT_STATES))
