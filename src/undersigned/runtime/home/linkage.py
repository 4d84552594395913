"""Domain linkage in the world: the file that our own domain serves, and the look at what other domains serve.

Source: protocol-spec/02-identity-and-keys.md, section 2.15
"""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import urlsplit

import msgspec

from undersigned.credentials import (
    MAX_CONFIGURATION_BYTES,
    build_linkage,
    check_origin,
    configuration_url,
    credential_config,
    credential_jwt,
    did_configuration,
    linked_origins,
    verify_linkage,
)
from undersigned.did import DidDocument, fetches, is_derived
from undersigned.encoding import Did, Instant, JsonObject, canonicalize, shift
from undersigned.errors import CredentialError, ResolutionError, UndersignedError
from undersigned.proof import JCS_SUITE_OF, attach, prepare
from undersigned.runtime.clock import Clock
from undersigned.runtime.fetching.gather import FRESH_SECONDS, Gatherer
from undersigned.runtime.signers import PrivateKey

from .home import Home

__all__ = ["DomainLink", "LinkageDesk", "domain_links", "origin_of"]

LINKAGE_SECONDS: Final = 30 * 86_400
"""Validity of what is signed here; it is signed again when half of it is over."""
SKEW_SECONDS: Final = 60
"""It is valid since then, for those whose clock is behind ours."""


class DomainLink(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a DID and an origin that it names are tied by proof."""

    did: Did
    origin: str
    linked: bool
    code: str = ""
    reason: str = ""
    """Why not, for our operator."""


async def domain_links(gatherer: Gatherer, did: Did, clock: Clock) -> tuple[DomainLink, ...]:
    """Each origin that the DID's document names, and whether it names the DID in return. Could not check is not linked.

    Raises:
        ResolutionError, VerificationError: The DID did not resolve.
    """
    document = await gatherer.document(did, FRESH_SECONDS)
    origins = linked_origins(document)
    # The DID's document chooses whom we call: as many as one gathering may lead to, the rest is not looked at.
    looked, rest = origins[: gatherer.limits.hosts], origins[gatherer.limits.hosts :]
    many = ResolutionError("did_unresolvable", f"more than {gatherer.limits.hosts} hosts are not asked")
    found = await asyncio.gather(*(_link(gatherer, document, origin, clock) for origin in looked))
    return (*found, *(_not_linked(did, origin, many) for origin in rest))


async def _link(gatherer: Gatherer, document: DidDocument, origin: str, clock: Clock) -> DomainLink:
    try:
        url = configuration_url(check_origin(origin, local=gatherer.local))
        raw = await gatherer.fetch(url, max_bytes=MAX_CONFIGURATION_BYTES)
        verify_linkage(raw, origin=origin, document=document, now=clock.now())
    except UndersignedError as error:
        return _not_linked(document.id, origin, error)
    return DomainLink(did=document.id, origin=origin, linked=True)


def _not_linked(did: Did, origin: str, error: UndersignedError) -> DomainLink:
    return DomainLink(did=did, origin=origin, linked=False, code=error.code, reason=str(error))


def origin_of(did: Did, *, local: bool) -> str | None:
    """The origin of the host that a DID lives at; None if it lives at none."""
    if is_derived(did):
        return None
    for url in fetches(did, local=local):
        parts = urlsplit(url)
        try:
            return check_origin(f"{parts.scheme}://{parts.netloc}", local=local)
        except CredentialError:
            return None
    return None


class LinkageDesk:
    """Makes the file that our domain serves: one credential for each DID of the state folder whose document names it.

    Each is signed by that DID's own key, when somebody asks and the last one is half over.
    """

    def __init__(self, home: Home, own: DidDocument, organisation: DidDocument | None) -> None:
        self._home = home
        local = home.configuration.local
        parties = [("agent", own)] + ([("organisation", organisation)] if organisation is not None else [])
        self._parties: list[tuple[str, DidDocument, str]] = []
        """Name of the key, document, origin."""
        for name, document in parties:
            origin = origin_of(document.id, local=local)
            if origin is not None and origin in linked_origins(document):
                self._parties.append((name, document, origin))
        self._keys: dict[str, PrivateKey] = {}
        self._signed: Instant = ""
        self._raw: bytes | None = None

    def served(self, now: Instant) -> bytes | None:
        """The file; None if no DID here has a domain that it names.

        Raises:
            ConfigurationError: `key_unavailable`, it has to be signed and cannot be.
        """
        if not self._parties:
            return None
        if self._raw is None or not self._signed <= now <= shift(self._signed, LINKAGE_SECONDS // 2):
            linked: list[JsonObject | str] = []
            for name, document, origin in self._parties:
                linked += self._linked(name, document, origin, now)
            self._raw, self._signed = canonicalize(did_configuration(linked)), now
        return self._raw

    def _linked(self, name: str, document: DidDocument, origin: str, now: Instant) -> list[JsonObject | str]:
        key = self._keys.get(name)
        if key is None:
            key = self._keys[name] = self._home.key(name)
        unsigned = build_linkage(
            document.id, origin, valid_from=shift(now, -SKEW_SECONDS), valid_until=shift(now, LINKAGE_SECONDS)
        )
        method, kind = document.methods("assertionMethod")[0], key.public_key.kind
        config = credential_config(JCS_SUITE_OF[kind], method, now)
        linked: list[JsonObject | str] = [attach(unsigned, config, key.sign_now(prepare(unsigned, config, kind)))]
        draft = credential_jwt(unsigned, method, kind, now)
        return [*linked, draft.signed(key.sign_now(draft.to_sign))]
