"""Where an artifact is from, and whether it can be trusted: a walk through evidence that was verified."""

from undersigned.trace.evidence import Decided, Evidence, Held, Made, Said, held_in, outside
from undersigned.trace.picture import draw_trace
from undersigned.trace.prov import PROV_CONTEXT, TYPES, name_of, prov_document
from undersigned.trace.walk import KINDS, Kind, State, Step, trace

__all__ = [
    "KINDS",
    "PROV_CONTEXT",
    "TYPES",
    "Decided",
    "Evidence",
    "Held",
    "Kind",
    "Made",
    "Said",
    "State",
    "Step",
    "draw_trace",
    "held_in",
    "name_of",
    "outside",
    "prov_document",
    "trace",
]
