"""What a change of the anchors would change: found and told before it is made, and made under a signature."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, cast

from msgspec.structs import replace

from undersigned.did import DidDocument
from undersigned.encoding import Instant, JsonObject, digest_of, from_struct
from undersigned.ledger import TrustStore
from undersigned.runtime import AnchorBook, Home, KeptRecord, open_engagements, sign_record, viewpoint
from undersigned.trust import (
    Anchor,
    AnchorChanges,
    Anchors,
    AnchorSet,
    Graph,
    Lost,
    anchor_changes,
    check_successor,
    losing_their_path,
    read_record,
    signers_of,
    verify_set,
)

from .options import did_here, open_gatherer
from .output import WAITS, Out, reading
from .words import WHOLE, plain, typed

__all__ = [
    "Compared",
    "anchor_line",
    "compare",
    "document_of",
    "sign_and_put",
    "tell_anchors",
    "tell_changes",
    "told_lost",
    "waits_for_yes",
]


class Compared(NamedTuple):
    """What a set, or a record of somebody's, would change once enough people signed."""

    set: AnchorSet | None
    document: DidDocument | None
    """Of the set's issuer, as it is now."""
    old: tuple[KeptRecord, ...]
    """By which an older version counts, or this one."""
    changes: AnchorChanges
    after: Anchors
    """All that would be believed then."""
    evidence: str | None


async def compare(home: Home, book: AnchorBook, document: JsonObject, now: Instant) -> Compared:
    """Compares with what counts now. A set in it is verified by its issuer's document as it is now."""
    record = read_record(document) if document.get("type") == "AnchorRecord" else None
    evidence = record.evidence if record is not None else None
    if record is not None and record.signed_set is None:
        after = book.believing(record.anchors)
        return Compared(None, None, (), anchor_changes(book.anchors.anchors, after.anchors), after, evidence)
    signed_set = document if record is None or record.signed_set is None else record.signed_set
    issuer = signed_set.get("issuer")
    known = await document_of(home, issuer) if isinstance(issuer, str) else None
    found = verify_set(signed_set, documents={known.id: known} if known is not None else {}, now=now)
    old = book.adopted(found)
    before: list[Anchor] = []
    for kept in old:
        check_successor(cast("AnchorSet", kept.content.set), found)
        before += kept.content.anchors
    after = book.believing(found.lasting, without=old)
    return Compared(found, known, old, anchor_changes(before, found.lasting), after, evidence)


def tell_changes(out: Out, compared: Compared) -> None:
    """Tells what would count anew and what no more, and on what evidence."""
    found, changes = compared.set, compared.changes
    of: JsonObject = {"set": found.id, "issuer": found.issuer, "number": found.number} if found is not None else {}
    out.value(
        {
            **of,
            **({"evidence": compared.evidence} if compared.evidence is not None else {}),
            "added": [from_struct(one) for one in changes.added],
            "removed": [from_struct(one) for one in changes.removed],
        }
    )
    if found is not None:
        out.line(f"number {found.number} of the set {found.id} by {found.issuer}", most=WHOLE)
    if compared.evidence is not None:
        out.line(f"on the evidence: {compared.evidence}", most=WHOLE)
    tell_anchors(out, "+", changes.added)
    tell_anchors(out, "-", changes.removed)
    if not changes:
        out.line("  nothing changes")


def tell_anchors(out: Out, mark: str, anchors: Iterable[Anchor]) -> None:
    """Tells each on a line that begins with `mark`."""
    for one in anchors:
        out.line(f"  {mark} {anchor_line(one)}{f', until {one.until}' if one.until else ''}", most=WHOLE)


def anchor_line(anchor: Anchor) -> str:
    """Who is believed about what, and how far; until when stands behind it."""
    about = f"{' or '.join(anchor.types) or 'any type'}, {' or '.join(anchor.capabilities) or 'any capability'}"
    return f"{anchor.issuer}  {about}, depth {anchor.depth}"


async def told_lost(out: Out, home: Home, before: Anchors, after: Anchors, now: Instant) -> tuple[Lost, ...]:
    """The open engagements that lose their path by a change of anchors; told as they are found."""
    old, new = (replace(viewpoint(home, now), anchors=anchors) for anchors in (before, after))
    async with reading(home) as ledger:
        open_now = await open_engagements(ledger, home)
    if home.trust.exists():
        with TrustStore(home.trust, read_only=True) as store:
            lost = losing_their_path(open_now, old, new, store.read)
    else:
        lost = losing_their_path(open_now, old, new, Graph().read)
    for one in lost:
        claims = [{"issuer": c.issuer, "type": c.credential_type, "capability": c.capability} for c in one.claims]
        out.value({"losing": one.engagement, "peer": one.peer, "claims": claims})
        said = ", ".join(f"{c.credential_type} by {c.issuer}" for c in one.claims)
        out.line(f"loses its path: {one.engagement} with {plain(one.peer, 200)}: {plain(said, 400)}", style="red")
    return lost


def waits_for_yes(out: Out) -> int:
    """Tells that nothing was changed, because of what was told to be lost; the exit code for it."""
    out.value({"state": "waits for --yes"})
    out.line("nothing was changed; --yes goes on all the same", style="yellow")
    return WAITS


async def sign_and_put(out: Out, home: Home, book: AnchorBook, document: JsonObject, now: Instant) -> int:
    """Signs a record, unless it was signed here before, and puts it in place; the exit code, 7 if a second person must
    sign it.

    Raises:
        UndersignedError: As `sign_record` and `AnchorBook.put`.
    """
    part = home.configuration.organisation
    mine = part.did if part else home.configuration.did
    if "proof" in document and mine in signers_of(document):
        signed = document  # given back by somebody who signed it too
    else:
        signed = await sign_record(home, document, now)
    path = book.put(signed)
    waits = book.checked(signed) is None
    digest = digest_of(signed)
    out.value({"record": digest, "file": str(path), "state": "waits for a second person" if waits else "valid"})
    if waits:
        out.line(f"{path}: waits for a second person", style="yellow")
        out.line(f"who signs it with   {typed('trust add --record {}', path)}   and gives it back the same way")
        return WAITS
    out.line(f"{path}: counts, in the next decision of a running peer too")
    return 0


async def document_of(home: Home, did: str) -> DidDocument:
    """The DID document of somebody, as it is now.

    Raises:
        ConfigurationError, ResolutionError, VerificationError: As `did_here` and `Gatherer.document`.
    """
    async with open_gatherer(home) as gatherer:
        return await gatherer.document(did_here(home, did))
