"""The state that the other side was in when it said what crossed moves of ours (rule C7).

What a side says is judged by what it knew. So each move of ours is kept as a `Transition` until a move of the peer has
seen it; from then on the state that the peer is in follows by the same tables, as it does for each move of the peer's.

Source: protocol-spec/04-envelope-and-digests.md, section 4.3
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from undersigned.messages import Closing as ClosingMove
from undersigned.messages import Message, Terminate
from undersigned.messages import Review as ReviewMove
from undersigned.protocol.states import ENDED, LANE_TYPES, OTHER, ROWS, START, Role

__all__ = ["PeerView", "Transition", "allows", "goes_on", "step_of"]


class Transition(Struct, frozen=True, gc=False):
    """What a move does to a state, without the move."""

    sequence: int
    role: Role
    kind: str
    case: str
    """That of its row; `no_ruling` of a `Terminate`; in the document lane `lane`, or `release` when one is sealed."""


class PeerView(Struct, frozen=True, gc=False):
    """The peer's state, as far as its moves say that it knows ours."""

    state: str = START
    disputed: bool = False
    """Whether a dispute was made or recorded by it: another one is void."""
    closed_by: tuple[Role, ...] = ()
    """Who has closed its books since, as far as it knows."""


def step_of(message: Message, *, lane: str | None) -> Transition:
    """The step of a move. `lane` is the kind of document on the table if the move is about one, else None."""
    case = ""
    kind = message.type
    if lane is not None:
        case = "release" if kind == "Seal" and lane == "Release" else "lane"
    elif kind in _OF_SEVERAL_CASES:
        case = _case_of(message)
    return Transition(message.sequence, message.role, kind, case)


_OF_SEVERAL_CASES: Final = frozenset({"Review", "Closing", "Terminate"})


def _case_of(message: Message) -> str:
    if isinstance(message, ReviewMove):
        return "rework" if message.verdict == "rework" else "final"
    if isinstance(message, ClosingMove):
        return "silence" if message.basis == "silence" else ""
    return "no_ruling" if isinstance(message, Terminate) and message.cause == "no_ruling" else ""


def allows(view: PeerView, step: Transition) -> bool:
    """Whether the tables let a side in this state make this step, or take it from the other."""
    return goes_on(view, step) is not view


def goes_on(view: PeerView, step: Transition) -> PeerView:
    """The view after a step of either side; one that finds no row is void there, and the view is the same one."""
    state, kind, case = view.state, step.kind, step.case
    if case and kind in LANE_TYPES:
        return replace(view, state="closing" if case == "release" and state not in ENDED else state)
    if kind in ("Dispute", "Closing") and step.role in view.closed_by:
        return view
    if kind == "Dispute" and view.disputed:
        return view
    if kind == "Terminate":
        if (case == "no_ruling") != (state == "disputed"):
            return view
        case = ""
    if kind == "Closing" and state == "closing":
        case = "last" if OTHER[step.role] in view.closed_by else "first"
    row = ROWS.get((state, kind, step.role, case))
    if row is None:
        return view
    if kind == "Dispute":
        return PeerView(row.next, disputed=True)
    closed_by = (*view.closed_by, step.role) if kind == "Closing" else view.closed_by
    return PeerView(row.next, view.disputed, closed_by)
