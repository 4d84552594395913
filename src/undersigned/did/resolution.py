"""From a DID to its document, in two steps with the network between them.

The core asks for URLs and the shell fetches them, guarded; what came is turned into a document here.

Source: protocol-spec/02-identity-and-keys.md, sections 2.1 and 2.2
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from undersigned.did.document import DidDocument
from undersigned.did.methods import jwk, key, web
from undersigned.did.url import ParsedDidUrl, parse_did
from undersigned.encoding import Did
from undersigned.errors import ResolutionError

__all__ = ["DID_METHODS", "DidMethod", "document_from", "fetches"]


class DidMethod(NamedTuple):
    """A DID method: two functions of a DID in its parts."""

    fetches: Callable[[ParsedDidUrl, bool], tuple[str, ...]]
    """URLs wanted; the flag allows loopback."""
    document: Callable[[ParsedDidUrl, Mapping[str, bytes]], DidDocument]
    """The document, from the bytes that came of each URL."""


DID_METHODS: Final[Mapping[str, DidMethod]] = MappingProxyType(
    {
        "jwk": DidMethod(jwk.fetches, jwk.document),
        "key": DidMethod(key.fetches, key.document),
        "web": DidMethod(web.fetches, web.document),
    }
)


def fetches(did: Did, *, local: bool = False, methods: Mapping[str, DidMethod] = DID_METHODS) -> tuple[str, ...]:
    """The URLs whose bytes `document_from` needs; none for `did:key` and `did:jwk`.

    `local` allows `did:web:localhost%3APORT`, over http on loopback, and nothing else.

    Raises:
        ResolutionError: `did_unresolvable`: a method not in `methods`. `did_forbidden_address`: leads to an address or
            a local name.
        VerificationError: `did_document_invalid`, `key_weak`: not a DID of its method.
    """
    parsed = parse_did(did)
    return _method(parsed, methods).fetches(parsed, local)


def document_from(
    did: Did, fetched: Mapping[str, bytes], *, methods: Mapping[str, DidMethod] = DID_METHODS
) -> DidDocument:
    """The document of `did`, from the bytes that came of each URL of `fetches`.

    Raises:
        ResolutionError: `did_unresolvable`: a method not in `methods`, or a URL not in `fetched`.
            `did_forbidden_address`: as `fetches`.
        VerificationError: `did_document_invalid`: not the well-formed document of exactly this DID. `key_weak`.
    """
    parsed = parse_did(did)
    return _method(parsed, methods).document(parsed, fetched)


def _method(did: ParsedDidUrl, methods: Mapping[str, DidMethod]) -> DidMethod:
    method = methods.get(did.method)
    if method is None:
        known = ", ".join(f"did:{name}" for name in methods)
        raise ResolutionError("did_unresolvable", f"expected one of {known}, got did:{did.method[:40]}")
    return method
