"""JSON-LD: bundled contexts, and canonical N-Quads of our own documents (fast) and of foreign ones (guarded)."""

from undersigned.jsonld.contexts import CONTEXTS, HIRE_CONTEXT, Contexts

__all__ = ["CONTEXTS", "HIRE_CONTEXT", "Contexts"]
