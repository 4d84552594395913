"""What decisions were made from, kept once: DID documents and their histories, status lists, policies, anchors, links.

A decision names its inputs by digest, and what is not in the ledger yet goes into the transaction that records the
decision. What one was found in the store is not written, hashed or put into canonical form again while the process
runs, in whatever engagement it is named; so a decision about known parties costs nothing more.

Source: protocol-spec/12-trust.md, section 12.13
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from undersigned.contract import Terms
from undersigned.credentials import Credential, StatusList
from undersigned.did import DidDocument, is_derived
from undersigned.encoding import Digest, EngagementId, canonicalize, digest_bytes, write_canonical
from undersigned.ledger import Blob
from undersigned.trust import Anchors, Answers, Fetched, Policy

from .turn import Say

__all__ = ["KeptInputs", "signed_bytes"]

MAX_STORED: Final = 65_536
"""Digests that are remembered as stored. One that was forgotten is only written over itself."""


class KeptInputs:
    """One per agent."""

    def __init__(self) -> None:
        self._stored: set[Digest] = set()
        self._waiting: dict[EngagementId, dict[Digest, Blob]] = {}
        """What the last decision of an engagement was made from, as far as it is not stored yet."""

    def hold(
        self,
        engagement: EngagementId,
        *,
        policy: Policy,
        anchors: Anchors,
        answers: Answers,
        terms: Terms | None,
        links: Iterable[Credential],
        documents: Iterable[DidDocument],
        lists: Iterable[StatusList],
        logs: Iterable[tuple[Fetched, bytes]],
    ) -> None:
        """Has ready what a decision was made from, until it is said. `terms` are those that no offer will have."""
        stored, missing = self._stored, dict[Digest, Blob]()
        if (digest := policy.digest) not in stored:
            name = f"{policy.name}/{policy.version}"
            missing[digest] = Blob(digest=digest, raw=policy.canonical, kind="policy", name=name)
        for kind, one in (("anchors", anchors), ("graph-answers", answers)):
            if (digest := one.digest) not in stored:
                missing[digest] = Blob(digest=digest, raw=one.canonical, kind=kind)
        if terms is not None:
            raw = write_canonical(terms)
            digest = digest_bytes(raw)
            missing[digest] = Blob(digest=digest, raw=raw, kind="terms")
        for link in links:
            if (digest := link.digest) not in stored:
                missing[digest] = Blob(digest=digest, raw=signed_bytes(link), kind="link-credential", name=link.issuer)
        for document in documents:
            digest, did = document.raw_digest, document.id
            # What follows from the DID is made again from it.
            if digest not in stored and not is_derived(did):
                missing[digest] = Blob(digest=digest, raw=document.raw, kind="resolved-document", name=did)
        for listed in lists:
            if (digest := listed.credential.digest) not in stored:
                raw = signed_bytes(listed.credential)
                missing[digest] = Blob(digest=digest, raw=raw, kind="consulted-list", name=listed.url)
        for file, raw in logs:
            if file.digest not in stored:
                missing[file.digest] = Blob(digest=file.digest, raw=raw, kind="did-log", name=file.url)
        self._waiting[engagement] = missing

    def with_inputs(self, engagement: EngagementId, said: Say | None) -> Say | None:
        """What is said, and with a decision what it was made from."""
        waiting = self._waiting.get(engagement)
        if said is None or not waiting or all(name != "decision" for name, _ in said.facts):
            return said
        return replace(said, evidence=(*said.evidence, *waiting.values()))

    def of(self, engagement: EngagementId) -> tuple[Blob, ...]:
        """What the last decision of an engagement was made from, as far as it is not stored yet."""
        return tuple(self._waiting.get(engagement, {}).values())

    def drop(self, engagement: EngagementId) -> None:
        """Lets go of what was held for an engagement."""
        self._waiting.pop(engagement, None)

    def stored(self, blobs: Iterable[Blob]) -> None:
        """These are on disk."""
        if len(self._stored) > MAX_STORED:
            self._stored.clear()
        self._stored |= {blob.digest for blob in blobs}


def signed_bytes(credential: Credential) -> bytes:
    """The credential as its issuer signed it, in the form that its digest is of."""
    return canonicalize(credential.json) if credential.jws is None else credential.jws.text.encode()
