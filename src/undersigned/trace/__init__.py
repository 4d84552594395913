"""Where an artifact is from, and whether it can be trusted: a walk through evidence that was verified."""

from undersigned.trace.evidence import CheckedDecision, Earlier, ProvedEngagement, TraceEvidence, held_in
from undersigned.trace.history import LINES, HistoryLine, history, history_steps
from undersigned.trace.judge import judge
from undersigned.trace.picture import draw_trace
from undersigned.trace.prov import TYPES, name_of, prov_document
from undersigned.trace.speakers import AskedAbout, asked_about, memberships, wanting
from undersigned.trace.status import SeenList
from undersigned.trace.step import KINDS, Kind, State, TraceStep
from undersigned.trace.verdict import (
    ASKS,
    CLAUSES,
    EarlierUsed,
    GraphAnswers,
    LastKnown,
    ListUsed,
    MadeFrom,
    Missing,
    Verdict,
)
from undersigned.trace.walk import trace

__all__ = [
    "ASKS",
    "CLAUSES",
    "KINDS",
    "LINES",
    "TYPES",
    "AskedAbout",
    "CheckedDecision",
    "Earlier",
    "EarlierUsed",
    "GraphAnswers",
    "HistoryLine",
    "Kind",
    "LastKnown",
    "ListUsed",
    "MadeFrom",
    "Missing",
    "ProvedEngagement",
    "SeenList",
    "State",
    "TraceEvidence",
    "TraceStep",
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
