"""`did:key`: the identifier is the key. Nothing is fetched, and nothing can change.

Source: did:key method, section 3; protocol-spec/02-identity-and-keys.md, sections 2.1 and 2.2
"""

from __future__ import annotations

from collections.abc import Mapping

from undersigned.did.document import MULTIKEY_CONTEXT, DidDocument, derived_document
from undersigned.did.url import ParsedDidUrl
from undersigned.encoding import Did, Instant
from undersigned.keys import PublicKey, public_key_from_multikey

__all__ = ["did_key", "document", "fetches"]


def did_key(public_key: PublicKey) -> Did:
    """The `did:key` of a key; its one method is `<did>#<what follows did:key:>`."""
    return f"did:key:{public_key.multikey}"


def fetches(did: ParsedDidUrl, local: bool, fetched: Mapping[str, bytes]) -> tuple[str, ...]:
    """No URLs; the key in the DID is checked.

    Raises:
        VerificationError: `did_document_invalid`, `key_weak`.
    """
    public_key_from_multikey(did.specific)
    return ()


def document(did: ParsedDidUrl, fetched: Mapping[str, bytes], now: Instant | None) -> DidDocument:
    """The document that follows from the DID, with a Multikey method.

    Raises:
        VerificationError: `did_document_invalid`, `key_weak`.
    """
    method = {"type": "Multikey", "publicKeyMultibase": public_key_from_multikey(did.specific).multikey}
    return derived_document(did.did, did.specific, method, MULTIKEY_CONTEXT)
