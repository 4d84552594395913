"""Commands about what is published to be believed: `trust import|sign`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias, TypeVar, cast
from uuid import uuid4

import click

from undersigned.credentials import Accusation, Credential, read_credential, verify_credential
from undersigned.did import DidDocument
from undersigned.encoding import FOREIGN_LIMITS, Digest, Instant, JsonObject, canonicalize, digest_of, from_struct
from undersigned.errors import ConfigurationError, CredentialError, LedgerUnavailable
from undersigned.ledger import Admitted, TrustStore
from undersigned.runtime import (
    AnchorBook,
    Gatherer,
    Home,
    StatusKeeper,
    SystemClock,
    admission,
    import_establishment,
    keep_evidence,
    proved,
    read_document,
    read_file,
    read_handed,
    sign_record,
    withdrawn_as,
)
from undersigned.trust import (
    AnchorSet,
    Establishment,
    Status,
    adoption,
    is_establishment,
    read_establishment,
    verify_establishment,
    verify_set,
)

from .did_documents import brought_first, read_document_file
from .options import FILE, FORCE_OPTION, about, did_here, documents_option, open_gatherer, out_option, write_new
from .output import HOME_OPTION, Out, checking, command, reading
from .trust_anchors import YES_OPTION
from .trust_changes import compare, document_of, sign_and_put, tell_changes, told_lost, waits_for_yes
from .trust_graph import edge_line, trust
from .words import counted, plain

__all__ = ["trust"]


T = TypeVar("T")
_Known: TypeAlias = Sequence[DidDocument]


@trust.command("import")
@click.argument("files", type=FILE, nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--evidence",
    metavar="TEXT|FILE",
    help="Needed for an anchor set: why it is adopted, in words or by the digest of a document. Needed for an "
    "accusation: the file whose digest it names. For nothing else.",
)
@documents_option(
    "For an accusation: a DID document of who is accused, or of the arbiter, that you kept, where another key is "
    "published now. May be repeated, also for one DID."
)
@YES_OPTION
@HOME_OPTION
@command
async def trust_import(
    out: Out, files: tuple[Path, ...], evidence: str | None, documents: tuple[Path, ...], yes: bool, home: str | None
) -> int:
    """Take in a signed anchor set, which replaces an older one of the same body; a credential, with a proof or as the
    text of a JWT, as an edge; or a trust establishment document (DIF), as one edge for each entry that says what a
    credential of ours could say. Several FILEs are credentials: all of them are taken in, or none.

    Everything is verified first. A document without a proof counts if 'trust add' of its author named its digest as the
    evidence. Exit code 7 if a second person must sign an anchor set, or if open engagements would lose their path by
    it; what else is imported counts at once.
    """
    known, opened, now = [read_document_file(one) for one in documents], out.home(home), SystemClock().now()
    book = AnchorBook(opened, now)
    file, *others = files
    if others:
        return await _admit(out, opened, {file: _one_of_several(file) for file in files}, now, evidence, known)
    with about(file):
        document = read_handed(read_file(file), FOREIGN_LIMITS)
        if known and not _accuses(document):
            raise ConfigurationError("bad_configuration", "--did-document: it is for an accusation; this is none")
        if is_establishment(document):
            return await _establish(out, opened, document, now)
        if document.get("type") != "AnchorSet":
            return await _admit(out, opened, {file: document}, now, evidence, known)
        compared = await compare(opened, book, document, now)
    found, issuer = cast("AnchorSet", compared.set), cast("DidDocument", compared.document)
    if any(kept.content.set == found for kept in compared.old):
        out.value({"set": found.id, "number": found.number, "changed": False})
        out.line(f"number {found.number} of this set is adopted already")
        return 0
    if evidence is None:
        raise ConfigurationError("bad_configuration", "--evidence is needed: on what ground is the set adopted?")
    tell_changes(out, compared)
    lost = await told_lost(out, opened, book.anchors, compared.after, now)
    if lost and not yes:
        return waits_for_yes(out)
    record = adoption(id=f"urn:uuid:{uuid4()}", signed_set=document, document=issuer, evidence=evidence, added=now)
    return await sign_and_put(out, opened, book, record, now)


@trust.command("sign")
@click.argument("file", type=FILE)
@out_option("File to write the signed document to.", name="to", required=True)
@FORCE_OPTION
@HOME_OPTION
@command
async def trust_sign(out: Out, file: Path, to: Path, force: bool, home: str | None) -> None:
    """Sign what this organisation publishes for others to import: an anchor set, or a trust establishment document
    (DIF), in FILE. Others take it in with 'trust import'.
    """
    opened, now = out.home(home), SystemClock().now()
    document = read_document(file)
    if "proof" in document:
        raise ConfigurationError("bad_configuration", f"{file} has a proof already")
    own = opened.organisation_document() or opened.document()
    signed = await sign_record(opened, document, now)
    # As whoever imports it will: another's name in it is found here.
    with about(file):
        if is_establishment(document):
            said: AnchorSet | Establishment = verify_establishment(signed, pinned=(), documents={own.id: own}, now=now)
        else:
            said = verify_set(signed, documents={own.id: own}, now=now)
    write_new(to, canonicalize(signed), force=force)
    out.value({"id": said.id, "digest": digest_of(signed), "file": str(to), "document": signed})
    out.line(f"{to}: {plain(said.id, 100)}, signed by {own.id}")


def _accuses(document: JsonObject) -> bool:
    """Whether it is, or says that it is, an accusation."""
    other = document.get("type") == "AnchorSet" or is_establishment(document)
    return not other and Accusation.type in read_credential(document).types


def _one_of_several(file: Path) -> JsonObject:
    """What a file holds that is imported together with others: a credential that needs nothing beside it."""
    with about(file):
        document = read_handed(read_file(file), FOREIGN_LIMITS)
        if document.get("type") == "AnchorSet" or is_establishment(document) or _accuses(document):
            what = "an anchor set, a trust establishment document and an accusation are imported each alone"
            raise ConfigurationError("bad_configuration", f"{file}: {what}")
        return document


async def _admit(
    out: Out,
    home: Home,
    documents: Mapping[Path, JsonObject],
    now: Instant,
    evidence: str | None,
    known: _Known,
) -> int:
    """Each credential becomes an edge of the graph, once all are verified; who is withdrawn takes its edge along."""
    if len(documents) > 1 and (evidence is not None or known):
        raise ConfigurationError("bad_configuration", "--evidence, --did-document: they are for one FILE")
    admitted: list[Admitted] = []
    clear: dict[Digest, Status] = {}
    contracts = await _contracts(home)
    async with open_gatherer(home) as gatherer, StatusKeeper(gatherer, gatherer.document, SystemClock()) as keeper:
        for file, document in documents.items():
            with about(file):
                credential, issuer = await _verified(out, home, gatherer, keeper, document, now)
                held = _evidence(evidence) if Accusation.type in credential.types else None
                shown = await _proved(home, credential, held, known)
                admitted.append(admission(credential, issuer, now, contracts=contracts, evidence=shown))
            if held is not None:
                keep_evidence(home, held)
            if credential.has_status:  # it is clear now; it may have been suspended when it was looked up last
                clear[admitted[-1].edge.digest] = "good"
    before = await _written(lambda: _in_graph(home, lambda store: _taken_in(store, admitted, clear)))
    for edge, _, _ in admitted:
        new = edge.digest not in before
        before.add(edge.digest)
        out.value({"edge": from_struct(edge), "new": new})
        out.line(f"{edge_line(edge)}{'' if new else ' (known already)'}")
    return 0


def _taken_in(store: TrustStore, admitted: Sequence[Admitted], clear: Mapping[Digest, Status]) -> set[Digest]:
    """Which of them were there before."""
    before = store.known(one.edge.digest for one in admitted)
    store.admit(admitted, clear)
    return before


async def _verified(
    out: Out, home: Home, gatherer: Gatherer, keeper: StatusKeeper, document: JsonObject, now: Instant
) -> tuple[Credential, DidDocument]:
    read = read_credential(document)
    issuer = await gatherer.document(did_here(home, read.issuer))
    # Whoever imports it has chosen it, so its list may be asked for before it is verified.
    lists = await keeper.lists([read], max_age_seconds=0.0)
    try:
        return verify_credential(document, documents={issuer.id: issuer}, now=now, lists=lists), issuer
    except CredentialError as error:
        # Nothing is withdrawn on the word of a stranger: the status was looked at last, after the proof.
        status = withdrawn_as(error) if home.trust.exists() else None
        if status is not None and await _written(lambda: _in_graph(home, lambda s: s.set_status(read.digest, status))):
            out.value({"edge": read.digest, "status": status})
            out.line(f"the edge {read.digest} is {status} and counts no more", style="yellow")
        raise


def _evidence(named: str | None) -> bytes | None:
    with checking(f"--evidence: {plain(named, 200)}"):
        return read_file(Path(named)) if named is not None else None


async def _proved(home: Home, credential: Credential, evidence: bytes | None, known: _Known) -> frozenset[Digest]:
    """What `edge_of` is told of the evidence of an accusation."""
    async with open_gatherer(home) as gatherer, reading(home) as ledger:
        return await proved(
            credential,
            evidence,
            ledger=ledger,
            own=home.configuration.did,
            documents_of=brought_first(known, gatherer),
            now=SystemClock().now(),
        )


async def _establish(out: Out, home: Home, document: JsonObject, now: Instant) -> int:
    """Each entry of a document becomes an edge of the graph, once the document is verified."""
    author = read_establishment(document).author
    documents = {author: await document_of(home, author)} if "proof" in document else {}
    contracts = await _contracts(home)
    made = await _written(
        lambda: import_establishment(home, document, documents=documents, contracts=contracts, now=now)
    )
    found, said = made.document, made.said
    out.value(
        {
            "establishment": found.id,
            "author": found.author,
            "version": found.version,
            "digest": found.digest,
            "edges": [from_struct(edge) for edge in said.edges],
            "new": made.new,
            "gone": made.gone,
            "skipped": list(said.skipped),
        }
    )
    out.line(f"version {found.version} of {plain(found.id, 200)} by {plain(found.author, 200)}: {found.digest}")
    for edge in said.edges:
        out.line(f"  {edge_line(edge)}")
    for uri in said.skipped:
        out.line(f"  no edge: {plain(uri, 200)} is no schema of ours", style="dim")
    out.line(f"{counted(made.new, 'new edge')}, {made.gone} of older versions taken out")
    return 0


async def _contracts(home: Home) -> set[str]:
    """The contracts in the ledger that both parties signed."""
    async with reading(home) as ledger:
        return {row.contract for row in await ledger.summaries() if row.contract}


def _in_graph(home: Home, write: Callable[[TrustStore], T]) -> T:
    with TrustStore(home.trust) as store:
        return write(store)


async def _written(write: Callable[[], T]) -> T:
    """What a write to the graph returns. A running peer, and another import, hold the file only for their write."""
    left = 20
    while True:
        try:
            return write()
        except LedgerUnavailable:
            left -= 1
            if not left:
                raise
        await asyncio.sleep(0.1)
