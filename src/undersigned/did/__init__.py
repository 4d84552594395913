"""DIDs: their URLs, their documents, and the methods that lead from one to the other."""

from undersigned.did.document import DidDocument, keys_of, make_document
from undersigned.did.history import DidHistory
from undersigned.did.methods.key import did_key
from undersigned.did.methods.webvh_log import entries_left
from undersigned.did.methods.webvh_write import UNNAMED, entry_proof, first_entry, log_line, next_entry, next_key_hash
from undersigned.did.resolution import (
    DID_METHODS,
    DidMethod,
    document_from,
    fetches,
    history_from,
    is_derived,
    keeps_history,
)
from undersigned.did.universal import methods_for
from undersigned.did.url import ParsedDidUrl, parse_did, parse_did_url

__all__ = [
    "DID_METHODS",
    "UNNAMED",
    "DidDocument",
    "DidHistory",
    "DidMethod",
    "ParsedDidUrl",
    "did_key",
    "document_from",
    "entries_left",
    "entry_proof",
    "fetches",
    "first_entry",
    "history_from",
    "is_derived",
    "keeps_history",
    "keys_of",
    "log_line",
    "make_document",
    "methods_for",
    "next_entry",
    "next_key_hash",
    "parse_did",
    "parse_did_url",
]
