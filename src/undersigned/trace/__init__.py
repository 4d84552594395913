"""Where an artifact is from, and whether it can be trusted: a walk through evidence that was verified."""

from undersigned.trace.evidence import Decided, Earlier, Evidence, Held, held_in
from undersigned.trace.history import LINES, Line, history, history_steps
from undersigned.trace.judge import judge
from undersigned.trace.picture import draw_trace
from undersigned.trace.prov import TYPES, name_of, prov_document
from undersigned.trace.speakers import AskedAbout, asked_about, memberships, wanting
from undersigned.trace.status import SeenList
from undersigned.trace.step import KINDS, Kind, State, Step
from undersigned.trace.verdict import ASKS, CLAUSES, EarlierUsed, Heard, LastKnown, ListUsed, MadeFrom, Missing, Verdict
from undersigned.trace.walk import trace

__all__ = [
    "ASKS",
    "CLAUSES",
    "KINDS",
    "LINES",
    "TYPES",
    "AskedAbout",
    "Decided",
    "Earlier",
    "EarlierUsed",
    "Evidence",
    "Heard",
    "Held",
    "Kind",
    "LastKnown",
    "Line",
    "ListUsed",
    "MadeFrom",
    "Missing",
    "SeenList",
    "State",
    "Step",
    "Verdict",
    "asked_about",
    "draw_trace",
    "held_in",
    "history",
    "history_steps",
    "judge",
    "memberships",
    "name_of",
    "prov_document",
    "trace",
    "wanting",
]
