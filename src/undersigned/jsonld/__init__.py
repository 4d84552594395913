"""JSON-LD: bundled contexts, and canonical N-Quads of our own documents (fast) and of foreign ones (guarded)."""

from undersigned.jsonld.canonical import CANON_LIMITS, CanonLimits, canonical_quads
from undersigned.jsonld.compiled import compiled_quads, compiled_table
from undersigned.jsonld.contexts import CONTEXTS, HIRE_CONTEXT, Contexts, code_of_unknown
from undersigned.jsonld.loader import closed_loader
from undersigned.jsonld.processor import document_quads, expand, to_quads

__all__ = [
    "CANON_LIMITS",
    "CONTEXTS",
    "HIRE_CONTEXT",
    "CanonLimits",
    "Contexts",
    "canonical_quads",
    "closed_loader",
    "code_of_unknown",
    "compiled_quads",
    "compiled_table",
    "document_quads",
    "expand",
    "to_quads",
]
