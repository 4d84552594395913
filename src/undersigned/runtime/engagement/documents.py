"""The DID documents that are stored with one engagement.

Whoever checks later what is recorded needs the key that signed it, even if it is replaced by then. So each document by
which a message was checked, or what it carries, is evidence; a name of a key means one key (HIRE-KEY-08), and of one
DID so many are kept (HIRE-LIM-05), the peer's or that of others whom it chose.

Source: protocol-spec/02-identity-and-keys.md, section 2.4
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from undersigned.did import DidDocument, is_derived
from undersigned.encoding import Did, Digest, EngagementId
from undersigned.errors import FormatError, VerificationError
from undersigned.evidence import MAX_DOCUMENTS as MAX_PACKED
from undersigned.ledger import Blob, Ledger
from undersigned.protocol import Engagement

from .turn import Turn

__all__ = ["Documents", "document_blob", "recorded_documents", "require_names"]

MAX_DOCUMENTS: Final = MAX_PACKED // 2
"""Documents of one DID that are stored with one engagement: each may have 64 KiB, and costs its publisher nothing. What
a pack brings beside them, such as those of an issuer that is looked up for decisions, has room, and all of it holds.
"""
MAX_DOCUMENT_BYTES: Final = 256 * 1024
"""Bytes of them together: each new one is compared with all, which are read again after each rest."""
_NONE: Final[frozenset[Digest]] = frozenset()
"""One for all: each empty set takes as much as a set of four."""


def document_blob(document: DidDocument) -> Blob:
    """A document as evidence."""
    return Blob(digest=document.raw_digest, raw=document.raw, kind="did-document", name=document.id)


async def recorded_documents(
    ledger: Ledger, engagement: EngagementId, did: Did, known: DidDocument | None = None
) -> tuple[DidDocument, ...]:
    """Those of one DID that are recorded with an engagement, but for the one that is `known`: what is signed again
    after a rotation carries what it carried, by a key that only an earlier one lists.

    Raises:
        LedgerError: They cannot be read now.
    """
    kept = await ledger.documents(engagement, did)
    return tuple([DidDocument(did, one.raw) for one in kept if known is None or one.digest != known.raw_digest])


def require_names(document: DidDocument, before: Iterable[DidDocument]) -> None:
    """Returns if each name of a key in a document is that of the key which it named before, if it named one.

    Raises:
        VerificationError: `key_not_authorized`: one name, two keys, so that nobody could tell who signed what.

    Source: protocol-spec/02-identity-and-keys.md, HIRE-KEY-08
    """
    for one in before:
        if (method := document.changes_key(one)) is not None:
            text = f"{method} named another key before in this engagement: a new key has a new name"
            raise VerificationError("key_not_authorized", text, path="/proof/verificationMethod")


class Documents:
    """Those of one engagement, as far as its ledger holds them."""

    __slots__ = ("_digests", "_published")

    def __init__(self) -> None:
        self._digests = _NONE
        """Of either side's that are known to be stored."""
        self._published: tuple[DidDocument, ...] | None = None
        """All but ours, where they do not follow from their DIDs; None: they were not read yet."""

    def forget(self) -> None:
        """The ledger has them."""
        self._digests, self._published = _NONE, None

    def look_again(self) -> None:
        """Another program may have stored one."""
        self._published = None

    async def require(
        self, document: DidDocument, ledger: Ledger, engagement: Engagement, turn: Turn | None = None
    ) -> None:
        """Returns if what a document of another party's proves can be shown later, beside the ones before it.

        Raises:
            VerificationError: As `require_names`.
            FormatError: `too_large`: it has published so many others.
            LedgerError: Those before it cannot be read now.
        """
        digest = document.raw_digest
        if digest in self._digests or (turn is not None and digest in turn.documents) or is_derived(document.id):
            return
        if document.id == engagement.own:
            return
        if self._published is None:
            # Of what we said first nothing is known to be stored where it was said before a start.
            said = engagement.got or (engagement.sent and not self._digests)
            kept = await ledger.evidence(engagement.id) if said else ()
            kept = [one for one in kept if one.kind == "did-document" and one.name]
            others = [one for one in kept if one.name != engagement.own and not is_derived(one.name)]
            self._published = tuple(DidDocument(one.name, one.raw) for one in others)
            self._digests |= {one.digest for one in kept}
        all_before = (*self._published, *(turn.published if turn is not None else ()))
        before = [one for one in all_before if one.id == document.id]
        require_names(document, before)
        if not _has_room(document, before) and not any(map(document.same_keys, before)):
            size = sum(len(one.raw) for one in (document, *before))
            text = f"{document.id} has published {len(before) + 1} documents in one engagement, of {size} bytes"
            raise FormatError("too_large", text)

    def are(self, *known: DidDocument) -> bool:
        """Whether neither side's are others than these; also False while nobody has looked."""
        return self._published is not None and self._digests <= {one.raw_digest for one in known}

    def keep_own(self, turn: Turn, document: DidDocument) -> None:
        """Has ours stored with this turn, unless it is."""
        if document.raw_digest not in self._digests and document.raw_digest not in turn.documents:
            _store(turn, document)

    def keep(self, turn: Turn, document: DidDocument) -> None:
        """The same of another party's; of one with so many already, one of these has its keys."""
        if document.raw_digest in self._digests or document.raw_digest in turn.documents:
            return
        if self._published is not None:
            if not _has_room(document, (*self._published, *turn.published)):
                return
            turn.published.append(document)
        _store(turn, document)

    def stored(self, turn: Turn) -> None:
        """What the turn had stored is."""
        self._digests |= turn.documents
        if turn.published:
            self._published = (*(self._published or ()), *turn.published)


def _has_room(document: DidDocument, kept: Iterable[DidDocument]) -> bool:
    """Whether it can be stored beside those of the same DID among these."""
    sizes = [len(one.raw) for one in kept if one.id == document.id]
    return len(sizes) < MAX_DOCUMENTS and sum(sizes) + len(document.raw) <= MAX_DOCUMENT_BYTES


def _store(turn: Turn, document: DidDocument) -> None:
    turn.documents.add(document.raw_digest)
    turn.evidence.append(document_blob(document))
    turn.durable = True
