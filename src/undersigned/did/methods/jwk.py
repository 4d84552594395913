"""`did:jwk`: the identifier is a JWK in base64url. Nothing is fetched, and nothing can change.

Source: did:jwk method; protocol-spec/02-identity-and-keys.md, sections 2.1 and 2.2
"""

from __future__ import annotations

from collections.abc import Mapping

from undersigned.did.document import JWK_CONTEXT, DidDocument, derived_document
from undersigned.did.url import ParsedDidUrl
from undersigned.encoding import FOREIGN_LIMITS, Instant, JsonObject, base64url_decode, decode_json
from undersigned.errors import FormatError, VerificationError
from undersigned.keys import public_key_from_jwk

__all__ = ["document", "fetches"]


def fetches(did: ParsedDidUrl, local: bool, fetched: Mapping[str, bytes]) -> tuple[str, ...]:
    """No URLs; the key in the DID is checked.

    Raises:
        VerificationError: `did_document_invalid`, `key_weak`.
    """
    public_key_from_jwk(_jwk(did))
    return ()


def document(did: ParsedDidUrl, fetched: Mapping[str, bytes], now: Instant | None) -> DidDocument:
    """The document that follows from the DID: its JWK as it is, named `#0`.

    Raises:
        VerificationError: `did_document_invalid`, `key_weak`.
    """
    jwk = _jwk(did)
    public_key_from_jwk(jwk)
    return derived_document(did.did, "0", {"type": "JsonWebKey", "publicKeyJwk": jwk}, JWK_CONTEXT)


def _jwk(did: ParsedDidUrl) -> JsonObject:
    try:
        jwk = decode_json(base64url_decode(did.specific), FOREIGN_LIMITS)
    except FormatError as exc:
        raise VerificationError("did_document_invalid", f"expected a JWK in base64url: {exc.message}") from exc
    if not isinstance(jwk, dict):
        raise VerificationError("did_document_invalid", "expected a JWK, got JSON that is no object")
    return jwk
