"""DIDs of methods that are not implemented here, through a Universal Resolver that the operator chose.

It is asked only for what nothing here resolves, and is believed: who runs it can name any key for such a DID. What it
gives is checked as every document is.

Source: W3C DID Resolution v0.3, HTTP(S) binding; protocol-spec/02-identity-and-keys.md, section 2.11
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import quote

from undersigned.did.document import DidDocument
from undersigned.did.resolution import DID_METHODS, DidMethod
from undersigned.did.url import ParsedDidUrl, parse_did
from undersigned.encoding import FOREIGN_LIMITS, Did, Instant, JsonObject, canonicalize, decode_json
from undersigned.errors import FormatError, ResolutionError, VerificationError

__all__ = ["methods_for"]


def methods_for(did: Did, resolver: str | None) -> Mapping[str, DidMethod]:
    """The methods to resolve `did` with: those implemented here, and for another one the resolver, if there is any.

    Raises:
        VerificationError: `did_document_invalid`: not a DID.
    """
    method = parse_did(did).method
    if resolver is None or method in DID_METHODS:
        return DID_METHODS
    base = resolver.rstrip("/")

    def url(did: ParsedDidUrl) -> str:
        return f"{base}/1.0/identifiers/{quote(did.did, safe=':')}"

    def fetches(did: ParsedDidUrl, local: bool, fetched: Mapping[str, bytes]) -> tuple[str, ...]:
        return (url(did),)

    def document(did: ParsedDidUrl, fetched: Mapping[str, bytes], now: Instant | None) -> DidDocument:
        raw = fetched.get(url(did))
        if raw is None:
            raise ResolutionError("did_unresolvable", f"expected the document of {did.did} from {url(did)}, got none")
        return _document(did.did, raw)

    return {method: DidMethod(fetches, document)}


def _document(did: Did, raw: bytes) -> DidDocument:
    """The document in a resolution result; or the answer itself, where a resolver gives the document alone."""
    try:
        answer = decode_json(raw, FOREIGN_LIMITS)
    except FormatError as exc:
        raise VerificationError("did_document_invalid", f"expected a resolution result: {exc.message}") from exc
    members: JsonObject = answer if isinstance(answer, dict) else {}
    if "didDocument" not in members:
        return DidDocument(did, raw)
    metadata: Any = members.get("didDocumentMetadata")
    if isinstance(metadata, dict) and cast("JsonObject", metadata).get("deactivated", False) is not False:
        raise VerificationError("did_deactivated", f"{did} was deactivated")
    document = members["didDocument"]
    if not isinstance(document, dict):
        raise ResolutionError("did_unresolvable", f"the resolver has no document of {did}")
    return DidDocument(did, canonicalize(document))
