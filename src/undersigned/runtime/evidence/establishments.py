"""Trust establishment documents that were imported: each is kept beside the graph that has its edges.

The folder `establishments/` has one file for each author and id, named by both and by the document's digest. A newer
version is written there first, then the edges are exchanged in one commit, then the older file goes: wherever this is
interrupted, the next import of the document finds what there was, and puts it right.

Source: protocol-spec/12-trust.md, section 12.12
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from msgspec import Struct

from undersigned.did import DidDocument
from undersigned.encoding import Did, Digest, Instant, JsonObject, canonicalize, digest_of
from undersigned.keys import PublicKey
from undersigned.ledger import Admitted, TrustStore
from undersigned.proof import proofs_of
from undersigned.runtime.files import write_whole
from undersigned.runtime.home.anchors import AnchorBook, read_document
from undersigned.runtime.home.home import Home
from undersigned.trust import (
    Established,
    Establishment,
    check_newer,
    established,
    established_names,
    read_establishment,
    verify_establishment,
)

__all__ = ["Imported", "import_establishment"]


class Imported(Struct, frozen=True, kw_only=True):
    """What came of an import."""

    document: Establishment
    said: Established
    new: int
    """Edges that were not there before."""
    gone: int
    """Edges of older versions that were taken out."""


def import_establishment(
    home: Home,
    document: JsonObject,
    *,
    documents: Mapping[Did, DidDocument],
    contracts: Collection[Digest],
    now: Instant,
) -> Imported:
    """Verifies a document and puts its edges into the trust graph, in place of those of its older version.

    `documents` has the DID document of the author, unless the document has no proof.

    Raises:
        ConfigurationError: As `AnchorBook`.
        LedgerError: The trust graph was not written.
        LedgerUnavailable: Another process writes it; nothing is changed.
        UndersignedError: As `verify_establishment`, `established` and `check_newer`; nothing is changed.
    """
    author = document.get("author")
    found = verify_establishment(
        document, pinned=_pinned(AnchorBook(home, now), author, now), documents=documents, now=now
    )
    key: PublicKey | None = None
    if "proof" in document:
        (proof,) = proofs_of(document)  # that there is exactly one, and what it has, was verified
        key = documents[found.author].key_for(str(proof["verificationMethod"]), "assertionMethod", now=now)
    said = established(found, contracts=contracts)
    folder, name = home.path / "establishments", digest_of({"author": found.author, "id": found.id})
    path = folder / f"{name}.{found.digest}.json"
    # What is there is looked at under the lock: of two imports at once the second finds what the first put there.
    with TrustStore(home.trust) as store:
        older = [file for file in sorted(folder.glob(f"{name}.*.json")) if file != path]
        before = [read_establishment(read_document(file)) for file in older]
        for one in before:
            check_newer(one, found)
        write_whole(path, canonicalize(document))
        had = store.count
        gone = frozenset[Digest]().union(*map(established_names, before))
        new = store.admit([Admitted(edge, key) for edge in said.edges], forgetting=gone)
        left = had - (store.count - new)
        for file in older:
            file.unlink()
    return Imported(document=found, said=said, new=new, gone=left)


def _pinned(book: AnchorBook, author: object, now: Instant) -> frozenset[Digest]:
    """What the records of anchors name as evidence for believing this author."""
    records = [kept.record for kept in book.records if kept.record is not None]
    return frozenset(
        record.evidence
        for record in records
        if any(one.issuer == author and (one.until is None or now <= one.until) for one in record.anchors)
    )
