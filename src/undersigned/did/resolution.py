"""From a DID to its document, in steps with the network between them.

The core asks for URLs and the shell fetches them, guarded; what came may lead to more. When nothing more is asked for,
what came is turned into a document here.

    fetched = {}
    while wanted := [url for url in fetches(did, fetched) if url not in fetched]:
        ...                                                  # the shell gets the bytes of each
    document = document_from(did, fetched, now=now)

Source: protocol-spec/02-identity-and-keys.md, sections 2.1 and 2.2
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple

from undersigned.did.document import DidDocument
from undersigned.did.history import DidHistory
from undersigned.did.methods import jwk, key, web, webvh
from undersigned.did.url import ParsedDidUrl, parse_did
from undersigned.encoding import Did, Instant
from undersigned.errors import ResolutionError

__all__ = ["DID_METHODS", "DidMethod", "document_from", "fetches", "history_from", "is_derived", "keeps_history"]


class DidMethod(NamedTuple):
    """A DID method: functions of a DID in its parts."""

    fetches: Callable[[ParsedDidUrl, bool, Mapping[str, bytes]], tuple[str, ...]]
    """URLs wanted, given the bytes that came of some of them; the flag allows loopback."""
    document: Callable[[ParsedDidUrl, Mapping[str, bytes], Instant | None], DidDocument]
    """The document in force now, from the bytes that came of each URL."""
    history: Callable[[ParsedDidUrl, Mapping[str, bytes], Instant | None], DidHistory] | None = None
    """All versions, if the method keeps them."""


DID_METHODS: Final[Mapping[str, DidMethod]] = MappingProxyType(
    {
        "jwk": DidMethod(jwk.fetches, jwk.document),
        "key": DidMethod(key.fetches, key.document),
        "web": DidMethod(web.fetches, web.document),
        "webvh": DidMethod(webvh.fetches, webvh.document, webvh.history),
    }
)

_NOTHING: Final[Mapping[str, bytes]] = MappingProxyType({})


def fetches(
    did: Did,
    fetched: Mapping[str, bytes] = _NOTHING,
    *,
    local: bool = False,
    methods: Mapping[str, DidMethod] = DID_METHODS,
) -> tuple[str, ...]:
    """The URLs whose bytes `document_from` needs, as far as `fetched` shows; none for `did:key` and `did:jwk`.

    `local` allows `localhost%3APORT` in `did:web` and `did:webvh`, over http on loopback, and nothing else.

    Raises:
        ResolutionError: `did_unresolvable`: a method not in `methods`. `did_forbidden_address`: leads to an address or
            a local name.
        VerificationError: `did_document_invalid`, `key_weak`: not a DID of its method, or what came is not of it.
    """
    parsed = parse_did(did)
    return _method(parsed, methods).fetches(parsed, local, fetched)


def document_from(
    did: Did,
    fetched: Mapping[str, bytes],
    *,
    now: Instant | None = None,
    methods: Mapping[str, DidMethod] = DID_METHODS,
) -> DidDocument:
    """The document of `did`, from the bytes that came of each URL of `fetches`.

    `now` matters only to methods that keep a history; without it they give nothing.

    Raises:
        ResolutionError: `did_unresolvable`: a method not in `methods`, or a URL not in `fetched`.
            `did_forbidden_address`: as `fetches`.
        VerificationError: `did_document_invalid`: not the well-formed document of exactly this DID. `key_weak`.
            `did_deactivated`: its controller ended it.
    """
    parsed = parse_did(did)
    return _method(parsed, methods).document(parsed, fetched, now)


@lru_cache(maxsize=1024)
def is_derived(did: Did) -> bool:
    """Whether the document follows from the DID alone, so that everybody gets the same: `did:key` and `did:jwk`.

    Raises:
        VerificationError: `did_document_invalid`, `key_weak`: not a DID of its method.
    """
    parsed = parse_did(did)
    return parsed.method in DID_METHODS and not DID_METHODS[parsed.method].fetches(parsed, True, _NOTHING)


def keeps_history(did: Did, *, methods: Mapping[str, DidMethod] = DID_METHODS) -> bool:
    """Whether the method of `did` keeps the versions of its document, so that `history_from` gives them."""
    method = methods.get(parse_did(did).method)
    return method is not None and method.history is not None


def history_from(
    did: Did, fetched: Mapping[str, bytes], *, now: Instant, methods: Mapping[str, DidMethod] = DID_METHODS
) -> DidHistory:
    """All versions of the document of `did`, verified; also those of a DID that was deactivated.

    Raises:
        ResolutionError: As `document_from`; `did_unresolvable`: a method that keeps no history.
        VerificationError: `did_document_invalid`, `key_weak`.
    """
    parsed = parse_did(did)
    history = _method(parsed, methods).history
    if history is None:
        raise ResolutionError("did_unresolvable", f"did:{parsed.method} keeps no history of its documents")
    return history(parsed, fetched, now)


def _method(did: ParsedDidUrl, methods: Mapping[str, DidMethod]) -> DidMethod:
    method = methods.get(did.method)
    if method is None:
        known = ", ".join(f"did:{name}" for name in methods)
        raise ResolutionError("did_unresolvable", f"expected one of {known}, got did:{did.method[:40]}")
    return method
