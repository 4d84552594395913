"""What decisions were made from, kept once: DID documents and their histories, status lists, policies, anchors, links.

A decision names its inputs by digest, and what is not in the ledger yet goes into the transaction that records the
decision. What one was found in the store is not written, hashed or put into canonical form again while the process
runs, in whatever engagement it is named; so a decision about known parties costs nothing more.

Source: protocol-spec/12-trust.md, section 12.13
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from msgspec.structs import replace

from undersigned.contract import Terms
from undersigned.credentials import Credential, StatusList
from undersigned.did import DidDocument, is_derived
from undersigned.encoding import Digest, EngagementId, canonicalize, digest_bytes, write_canonical
from undersigned.ledger import Blob
from undersigned.trust import Anchors, Answers, Fetched, Policy, canonical_bytes

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
        missing: dict[Digest, Blob] = {}

        def need(digest: Digest, kind: str, name: str, raw: Callable[[], bytes]) -> None:
            if digest not in self._stored and digest not in missing:
                missing[digest] = Blob(digest=digest, raw=raw(), kind=kind, name=name)

        need(policy.digest, "policy", f"{policy.name}/{policy.version}", lambda: canonical_bytes(policy))
        need(anchors.digest, "anchors", "", lambda: canonical_bytes(anchors))
        need(answers.digest, "graph-answers", "", lambda: canonical_bytes(answers))
        if terms is not None:
            raw = write_canonical(terms)
            need(digest_bytes(raw), "terms", "", lambda: raw)
        for link in links:
            need(link.digest, "link-credential", link.issuer, lambda link=link: signed_bytes(link))
        for document in documents:
            # What follows from the DID is made again from it.
            if not is_derived(document.id):
                need(document.raw_digest, "resolved-document", document.id, lambda document=document: document.raw)
        for one in lists:
            need(one.credential.digest, "consulted-list", one.url, lambda one=one: signed_bytes(one.credential))
        for file, raw in logs:
            need(file.digest, "did-log", file.url, lambda raw=raw: raw)
        self._waiting[engagement] = missing

    def with_inputs(self, engagement: EngagementId, said: Say | None) -> Say | None:
        """What is said, and with a decision what it was made from."""
        if said is None or all(name != "decision" for name, _ in said.facts):
            return said
        return replace(said, evidence=(*said.evidence, *self.of(engagement)))

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
        self._stored.update(blob.digest for blob in blobs)


def signed_bytes(credential: Credential) -> bytes:
    """The credential as its issuer signed it, in the form that its digest is of."""
    return canonicalize(credential.json) if credential.jws is None else credential.jws.text.encode()
