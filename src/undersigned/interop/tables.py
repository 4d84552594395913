"""Every move that the published tables do not allow, as a scenario: for each state in which we can stop, each type.

Source: protocol-spec/tables.json, and 04-envelope-and-digests.md, HIRE-CHN-11
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from undersigned.messages import MESSAGE_TYPES
from undersigned.protocol import LANE_TYPES, NOTICES, OTHER, ROWS, Role

from .scenario import Forge, Reach, Refused, Say, Scenario, Step

__all__ = ["table_scenarios"]

STOPS: Final[dict[Role, tuple[tuple[str, str], ...]]] = {
    "provider": (
        ("-", "sealed"),
        ("profiled", "sealed"),
        ("ready", "sealed"),
        ("offered-by-provider", "sealed"),
        ("accepted-by-provider", "sealed"),
        ("withdrawn", ""),
        ("sealed", "working"),
        ("working", "delivered"),
        ("delivered", "closed"),
        ("closed", ""),
    ),
    "hirer": (
        ("inquired", "sealed"),
        ("presented", "sealed"),
        ("offered-by-hirer", "sealed"),
        ("accepted-by-hirer", "sealed"),
        ("withdrawn", ""),
        ("working", "delivered"),
        ("closed", ""),
    ),
}
"""For each role that is tested, the states in which the move is ours, and where the engagement still gets to after."""
CONTRACT: Final = frozenset(
    {"sealed", "working", "suspended", "cancelling", "delivered", "disputed", "closing", "closed"}
)
FEW: Final = frozenset(
    {
        *(("provider", state, kind) for state, kind in (("-", "Offer"), ("-", "Start"), ("profiled", "Offer"))),
        *(("provider", "ready", kind) for kind in ("Acceptance", "Seal", "Start", "Profile")),
        *(("provider", "accepted-by-provider", kind) for kind in ("Offer", "Acceptance", "Start")),
        *(("provider", "sealed", kind) for kind in ("Inquiry", "Resume", "Review", "Delivery")),
        *(("provider", "withdrawn", kind) for kind in ("Offer", "Inquiry")),
        *(("provider", "delivered", kind) for kind in ("Start", "Closing")),
        *(("provider", "closed", kind) for kind in ("Start", "Terminate")),
        *(("hirer", state, kind) for state, kind in (("inquired", "Offer"), ("presented", "Profile"))),
        *(("hirer", "offered-by-hirer", kind) for kind in ("Seal", "Delivery")),
        *(("hirer", "accepted-by-hirer", kind) for kind in ("Offer", "Delivery")),
        *(("hirer", "working", kind) for kind in ("Review", "Start")),
        ("hirer", "closed", "Delivery"),
    }
)
"""What is played unless everything is asked for."""


def table_scenarios() -> Iterator[Scenario]:
    """One for each move that no row allows."""
    for tested, stops in STOPS.items():
        ours = OTHER[tested]
        for state, after in stops:
            for kind in MESSAGE_TYPES:
                if kind in NOTICES or (kind in LANE_TYPES and state in CONTRACT) or _allowed(state, kind, ours):
                    continue
                yield _scenario(tested, state, after, kind)


def _allowed(state: str, kind: str, role: Role) -> bool:
    return any((at, type_, sender) == (state, kind, role) for at, type_, sender, _ in ROWS)


def _scenario(tested: Role, state: str, after: str, kind: str) -> Scenario:
    price = "low" if state in ("offered-by-provider", "accepted-by-hirer") else "asked"
    steps: list[Step] = []
    if state == "withdrawn":
        steps = [Reach(state="ready" if tested == "provider" else "inquired"), Say(move="Withdraw")]
    elif state != "-":
        steps = [Reach(state=state, price=price, optional=True)]
    steps += [Forge(move=kind), Refused(codes=_codes(state, kind, OTHER[tested]))]
    if after:
        steps.append(Reach(state=after))
    named = {"-": "nothing was said"}.get(state, state)
    return Scenario(
        id=f"table-{tested}-{'nothing' if state == '-' else state}-{kind.lower()}",
        title=f"{kind} by the {OTHER[tested]}, where the state is {named}",
        group="table",
        role=tested,
        requirements=("HIRE-CHN-11",),
        steps=tuple(steps),
        more=(tested, state, kind) not in FEW,
    )


def _codes(state: str, kind: str, role: Role) -> tuple[str, ...]:
    """What the pages give: `wrong_party` where the other role may make the move, and what else comes first."""
    if state == "-":
        return ("wrong_negotiation", "schema_violation") if kind == "Offer" else ("wrong_negotiation",)
    if kind == "Inquiry" and role != "hirer":
        return ("wrong_negotiation", "wrong_state")  # the name of this engagement is that of another hirer
    if kind == "Acceptance" and state == f"accepted-by-{role}":
        return ("already_contracted",)
    if kind == "Delivery" and role == "provider" and state in ("closing", "closed"):
        return ("already_fulfilled",)  # the harness gets there by a delivery that is accepted
    if kind in ("Acceptance", "Offer") and state.startswith("accepted-by-"):
        return ("wrong_state", "wrong_party", "schema_violation")  # the live offer is ours, too (HIRE-NEG-05)
    codes: tuple[str, ...] = ("wrong_party",) if _allowed(state, kind, OTHER[role]) else ("wrong_state",)
    # A document is made for one place, so an offer may be refused for what its document does not fit.
    return (*codes, "schema_violation", "terms_mismatch") if kind == "Offer" else codes
