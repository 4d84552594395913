"""Commands about trust: `trust add|remove|list|sign|import|diff|path|graph|explain`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, cast
from uuid import uuid4

import click
from msgspec.structs import replace

from undersigned.credentials import Accusation, Credential, read_credential, verify_credential
from undersigned.did import DidDocument
from undersigned.encoding import (
    FOREIGN_LIMITS,
    Did,
    Digest,
    Instant,
    JsonObject,
    canonicalize,
    digest_of,
    from_struct,
    parse_instant,
)
from undersigned.errors import ConfigurationError, CredentialError, FormatError, LedgerUnavailable
from undersigned.ledger import TrustStore
from undersigned.runtime import (
    AnchorBook,
    Home,
    KeptRecord,
    RegistryKeeper,
    StatusKeeper,
    SystemClock,
    admission,
    import_establishment,
    keep_evidence,
    open_engagements,
    proved,
    read_document,
    read_file,
    read_handed,
    sign_record,
    viewpoint,
    why,
    withdrawn_as,
)
from undersigned.trust import (
    MAX_DEPTH,
    Anchor,
    AnchorChanges,
    Anchors,
    AnchorSet,
    Authority,
    Edge,
    Establishment,
    Graph,
    Lost,
    Question,
    Status,
    Viewpoint,
    adoption,
    anchor_changes,
    anchor_record,
    answer,
    authority,
    check_successor,
    draw_paths,
    is_establishment,
    losing_their_path,
    read_establishment,
    read_record,
    reputation,
    signers_of,
    verify_establishment,
    verify_set,
)
from undersigned.trust import (
    Path as TrustPath,
)

from .options import FORCE_OPTION, checked_did, open_gatherer, out_option, write_new
from .output import HOME_OPTION, WAITS, Out, command, counted, plain, reading, typed

__all__ = ["trust"]

CAPABILITY_OPTION = click.option("--capability", metavar="NAME", help="Only about this capability.")
YES_OPTION = click.option("--yes", is_flag=True, help="Go on although open engagements lose their path.")
FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def trust() -> None:
    """Whom we believe about what: anchors, and the graph of what others say."""


@trust.command("list")
@HOME_OPTION
@command
async def trust_list(out: Out, home: str | None) -> None:
    """The anchors: for what, until when, who added them and on what evidence."""
    now = SystemClock().now()
    book = AnchorBook(out.home(home), now)
    for anchor in book.listed:
        _tell_anchor(out, anchor, now, {"by": ["configuration"]})
    for kept in book.records:
        found, content = kept.record, kept.content
        more: dict[str, Any] = {"record": kept.digest, "evidence": content.evidence, "added": content.added}
        if content.set is not None:
            more["set"] = {"id": content.set.id, "issuer": content.set.issuer, "number": content.set.number}
        if found is None:
            waits = "waits for a second person"
            issuers = sorted({one.issuer for one in content.anchors})
            out.value({**more, "state": waits, "issuers": issuers})
            out.line(f"{waits}: {plain(', '.join(issuers), 300)}", style="yellow")
            out.line(f"    record {kept.digest}")
            continue
        more["by"] = list(found.added_by)
        for anchor in found.anchors:
            _tell_anchor(out, anchor, now, more)
    for kept in book.replaced:
        out.value({"record": kept.digest, "state": "replaced"})
        out.line(f"replaced by a higher number of its set: record {kept.digest}", style="dim")
    out.value({"anchors": book.anchors.digest, "count": len(book.anchors.anchors)})
    out.line(f"{counted(len(book.anchors.anchors), 'anchor')}, version {book.anchors.digest}")


@trust.command("add")
@click.argument("did", required=False)
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Of credentials it is believed about; else any.")
@click.option("--capability", "capabilities", multiple=True, metavar="NAME", help="It is believed about; else any.")
@click.option(
    "--depth",
    type=click.IntRange(0, MAX_DEPTH),
    default=MAX_DEPTH,
    show_default=True,
    help="How many links of authority may hang below it.",
)
@click.option("--until", metavar="INSTANT", help="Last second, such as 2027-01-01T00:00:00Z; else no end.")
@click.option(
    "--evidence", metavar="TEXT", help="Needed without --record: why, in words or by the digest of a document."
)
@click.option("--record", "file", type=FILE, help="Sign a record that somebody else made, instead of a new one.")
@YES_OPTION
@HOME_OPTION
@command
async def trust_add(
    out: Out,
    did: str | None,
    types: tuple[str, ...],
    capabilities: tuple[str, ...],
    depth: int,
    until: str | None,
    evidence: str | None,
    file: Path | None,
    yes: bool,
    home: str | None,
) -> int:
    """Believe an issuer: a record under this organisation's signature. Exit code 7 if a second person must sign.

    What a --record of somebody else's changes is shown before it is signed ('trust diff' shows it alone). One that
    this folder has signed, and got back with a second signature, is put in place as it is.
    """
    opened, now = out.home(home), SystemClock().now()
    book = AnchorBook(opened, now)
    if (did is None) == (file is None):
        raise ConfigurationError("bad_configuration", "name a DID to believe, or --record FILE to sign")
    if file is not None:
        document = read_document(file)
        compared = await _compare(opened, book, document, now)
        _tell_changes(out, compared)
        lost = await _told_lost(out, opened, book.anchors, compared.after, now)
        if lost and not yes:
            return _held(out, lost)
    else:
        if evidence is None:
            raise ConfigurationError("bad_configuration", "--evidence is needed: on what ground is it believed?")
        _checked_until(until)
        try:
            anchor = Anchor(issuer=_did(opened, did or ""), types=types, capabilities=capabilities, depth=depth)
            members = from_struct(anchor) | ({} if until is None else {"until": until})
            document = anchor_record(
                id=f"urn:uuid:{uuid4()}", anchor=Anchors.from_toml([members]).anchors[0], evidence=evidence, added=now
            )
        except FormatError as error:
            raise ConfigurationError("bad_configuration", f"{error.path}: {error.message}") from error
    if until is not None and until <= now:
        out.line(f"it ended at {until}, so it will not count", style="yellow")
    return await _sign_and_put(out, opened, book, document, now)


@trust.command("remove")
@click.argument("which", metavar="DID|RECORD")
@YES_OPTION
@HOME_OPTION
@command
async def trust_remove(out: Out, which: str, yes: bool, home: str | None) -> int:
    """Believe an issuer no longer: all its anchors, all sets that it published, or one record. Shows first which open
    engagements lose their path.

    With any, nothing is removed without --yes, and the exit code is 7; nor is a set of somebody else's in which the
    issuer stands, because all of the set goes with it.
    """
    opened, now = out.home(home), SystemClock().now()
    book = AnchorBook(opened, now)
    records = [kept for kept in book.records if kept.digest == which or _is_of(kept, which)]
    listed = [anchor for anchor in book.listed if anchor.issuer == which]
    if not records and not listed:
        raise ConfigurationError("not_found", f"no anchor {plain(which, 200)} and no record of that name")
    after = book.believing(without=records, unlisted=listed)
    _tell_anchors(out, "-", anchor_changes(book.anchors.anchors, after.anchors).removed)
    lost = await _told_lost(out, opened, book.anchors, after, now)
    wider = [kept for kept in records if kept.content.set is not None and which not in _names(kept)]
    for kept in wider:
        found = cast("AnchorSet", kept.content.set)
        out.value({"whole": kept.digest, "set": found.id, "issuer": found.issuer, "count": len(found.anchors)})
        out.line(
            f"stands in a set of {counted(len(found.anchors), 'anchor')} by {plain(found.issuer, 200)}, "
            f"which can only be removed whole: record {kept.digest}",
            style="yellow",
        )
    if (lost or wider) and not yes:
        return _held(out, lost)
    for kept in records:
        book.remove(kept)
    for anchor in listed:
        book.unlist(anchor.issuer)
    out.value(
        {"removed": [*[kept.digest for kept in records], *[one.issuer for one in listed]], "anchors": after.digest}
    )
    out.line(f"removed {counted(len(records) + len(listed), 'entry', 'entries')}; anchors are now {after.digest}")
    out.line("a running peer believes them until its next start")
    return 0


@trust.command("import")
@click.argument("file", type=FILE)
@click.option(
    "--evidence",
    metavar="TEXT|FILE",
    help="Needed for an anchor set: why it is adopted, in words or by the digest of a document. Needed for an "
    "accusation: the file whose digest it names. For nothing else.",
)
@YES_OPTION
@HOME_OPTION
@command
async def trust_import(out: Out, file: Path, evidence: str | None, yes: bool, home: str | None) -> int:
    """Take in a signed anchor set, which replaces an older one of the same body; a credential, with a proof or as the
    text of a JWT, as an edge; or a trust establishment document (DIF), as one edge for each entry that says what a
    credential of ours could say.

    Everything is verified first. A document without a proof counts if 'trust add' of its author named its digest as the
    evidence. Exit code 7 if a second person must sign, or if open engagements would lose
    their path.
    """
    opened, now = out.home(home), SystemClock().now()
    document = read_handed(read_file(file), FOREIGN_LIMITS)
    if is_establishment(document):
        return await _establish(out, opened, document, now)
    if document.get("type") != "AnchorSet":
        return await _admit(out, opened, document, now, evidence)
    book = AnchorBook(opened, now)
    compared = await _compare(opened, book, document, now)
    found, issuer = cast("AnchorSet", compared.set), cast("DidDocument", compared.document)
    if any(kept.content.set == found for kept in compared.old):
        out.value({"set": found.id, "number": found.number, "changed": False})
        out.line(f"number {found.number} of this set is adopted already")
        return 0
    if evidence is None:
        raise ConfigurationError("bad_configuration", "--evidence is needed: on what ground is the set adopted?")
    _tell_changes(out, compared)
    lost = await _told_lost(out, opened, book.anchors, compared.after, now)
    if lost and not yes:
        return _held(out, lost)
    record = adoption(id=f"urn:uuid:{uuid4()}", signed_set=document, document=issuer, evidence=evidence, added=now)
    return await _sign_and_put(out, opened, book, record, now)


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
    if is_establishment(document):
        said: AnchorSet | Establishment = verify_establishment(signed, pinned=(), documents={own.id: own}, now=now)
    else:
        said = verify_set(signed, documents={own.id: own}, now=now)
    write_new(to, canonicalize(signed), force=force)
    out.value({"id": said.id, "digest": digest_of(signed), "file": str(to), "document": signed})
    out.line(f"{to}: {plain(said.id, 100)}, signed by {own.id}")


@trust.command("diff")
@click.argument("file", type=FILE)
@HOME_OPTION
@command
async def trust_diff(out: Out, file: Path, home: str | None) -> None:
    """What importing a signed anchor set, or signing a record of somebody else's, would change. Nothing is changed."""
    opened, now = out.home(home), SystemClock().now()
    _tell_changes(out, await _compare(opened, AnchorBook(opened, now), read_document(file), now))


@trust.command("path")
@click.argument("did")
@click.option("--type", "credential_type", required=True, metavar="TYPE", help="Of the credential that it issued.")
@CAPABILITY_OPTION
@HOME_OPTION
@command
async def trust_path(out: Out, did: str, credential_type: str, capability: str | None, home: str | None) -> int:
    """By which chain is an issuer entitled to attest this? Exit code 3 if by none."""
    opened, view = _view(out, home)
    found, told = await _authority(out, opened, view, _did(opened, did), credential_type, capability)
    out.value(
        {
            "issuer": found.issuer,
            "type": credential_type,
            "capability": capability,
            "verdict": found.verdict,
            "paths": [_path(path) for path in found.paths],
            **_common(found),
            **told,
        }
    )
    _tell_lines(out, found.explain())
    return 0 if found.entitled else 3


@trust.command("explain")
@click.argument("did")
@CAPABILITY_OPTION
@HOME_OPTION
@command
async def trust_explain(out: Out, did: str, capability: str | None, home: str | None) -> int:
    """How well is a party spoken of, by whom, and who speaks against it? Exit code 3 if there is no score above 0."""
    opened, view = _view(out, home)
    found = _ask(opened, reputation(_did(opened, did), capability, view))
    out.value(
        {
            "party": found.party,
            "capability": capability,
            "verdict": found.verdict,
            "score": found.score,
            "paths": [_path(path) for path in found.paths],
            **_common(found),
        }
    )
    _tell_lines(out, found.explain())
    return 0 if found.units else 3


@trust.command("graph")
@click.argument("did")
@CAPABILITY_OPTION
@click.option("--type", "credential_type", metavar="TYPE", help="Draw authority to attest this type, not reputation.")
@click.option("--svg", is_flag=True, help="Write a drawing.")
@click.option("--name", "names", multiple=True, metavar="DID=NAME", help="Draw a party under a name of your own.")
@out_option("File to write the drawing to; by default standard output.")
@FORCE_OPTION
@HOME_OPTION
@command
async def trust_graph(
    out: Out,
    did: str,
    capability: str | None,
    credential_type: str | None,
    svg: bool,
    names: tuple[str, ...],
    file: Path | None,
    force: bool,
    home: str | None,
) -> None:
    """The trust paths to a party: link by link, or as a drawing with --svg."""
    if file is not None and not svg:
        raise ConfigurationError("bad_configuration", "--out is for a drawing: give --svg as well")
    opened, view = _view(out, home)
    _did(opened, did)
    if credential_type:
        found, _ = await _authority(out, opened, view, did, credential_type, capability)
    else:
        found = _ask(opened, reputation(did, capability, view))
    if svg:
        called = dict(_named(one) for one in names)
        drawn = draw_paths(did, found.paths, found.dissent, title=f"Trust paths to {did}", names=called)
        if file is not None:
            write_new(file, drawn.encode(), force=force)
        out.value({"svg": str(file) if file else drawn})
        if file is not None:
            out.line(f"{file} ({counted(len(found.paths), 'path')})")
        elif not out.as_json:
            click.echo(drawn, nl=False)
        return
    edges = {edge.digest: edge for path in found.paths for edge in path.edges}
    for edge in [*edges.values(), *found.dissent]:
        out.value(from_struct(edge))
        out.line(f"{plain(edge.source, 90)} --{edge.kind}--> {plain(edge.target, 90)}")
    if not edges and not found.dissent:
        out.line("no path")


# -- what several of them do


def _named(option: str) -> tuple[str, str]:
    """A DID and what it is called here."""
    did, equals, name = option.partition("=")
    if not (did.startswith("did:") and equals and name):
        raise ConfigurationError("bad_configuration", f"--name: expected DID=NAME, got {plain(option, 200)}")
    return did, name


def _checked_until(text: str | None) -> None:
    try:
        if text is not None:
            parse_instant(text)
    except FormatError as error:
        raise ConfigurationError(
            "bad_configuration", f"--until: expected an instant such as 2027-01-01T00:00:00Z, got {plain(text, 60)!r}"
        ) from error


def _view(out: Out, home: str | None) -> tuple[Home, Viewpoint]:
    opened = out.home(home)
    return opened, viewpoint(opened, SystemClock().now())


def _ask(home: Home, question: Question[Any], more: tuple[Edge, ...] = ()) -> Any:
    if not home.trust.exists():
        return answer(question, Graph(more).read)
    with TrustStore(home.trust, read_only=True) as store:
        return store.ask(question, more=more)


async def _authority(
    out: Out, home: Home, view: Viewpoint, did: str, credential_type: str, capability: str | None
) -> tuple[Authority, dict[str, Any]]:
    """The answer, by the graph and by what the configured registries say now; and what is told of these."""
    question = authority(did, credential_type, capability, view)
    if not home.registries:
        return _ask(home, question), {}
    gatherer = open_gatherer(home)
    try:
        word = await RegistryKeeper(home, gatherer, SystemClock()).word(did, credential_type, capability)
    finally:
        await gatherer.close()
    for failure in word.failures:
        out.line(f"no answer: {plain(failure.message, 400)}", style="yellow")
    said = [
        {"url": one.ask.url, "authority": one.ask.authority, "entity": one.ask.entity, "yes": one.yes}
        for one in word.answers
    ]
    failed = [plain(failure.message, 400) for failure in word.failures]
    return _ask(home, question, word.edges), {"registries": {"answers": said, "failed": failed}}


def _common(found: Any) -> dict[str, Any]:
    """What both answers tell beside their own."""
    return {
        "dissent": [from_struct(edge) for edge in found.dissent],
        "missing": list(found.missing),
        "anchors": found.anchors,
        "at": found.at,
        "until": found.until,
        "work": found.work._asdict(),
    }


def _path(path: TrustPath) -> dict[str, Any]:
    return {"edges": [from_struct(edge) for edge in path.edges], "amount": path.amount}


def _tell_lines(out: Out, text: str) -> None:
    for line in text.splitlines():
        out.line(plain(line, 2000))


def _tell_anchor(out: Out, anchor: Anchor, now: Instant, more: dict[str, Any]) -> None:
    ended = anchor.until is not None and anchor.until < now
    out.value({**from_struct(anchor), "reach": anchor.reach, "state": "ended" if ended else "good", **more})
    about = f"{' or '.join(anchor.types) or 'any type'}, {' or '.join(anchor.capabilities) or 'any capability'}"
    end = f", {'ended' if ended else 'until'} {anchor.until}" if anchor.until else ""
    out.line(
        f"{plain(anchor.issuer, 200)}  {plain(about, 300)}, depth {anchor.depth}{end}", style="dim" if ended else ""
    )
    why = f": {plain(more['evidence'], 300)}" if "evidence" in more else ""
    out.line(f"    by {plain(' and '.join(more['by']), 300)}{why}")
    if "record" in more:
        of = more.get("set")
        part = f", number {of['number']} of a set by {plain(of['issuer'], 200)}" if of else ""
        out.line(f"    record {more['record']}{part}")


def _tell_changes(out: Out, compared: _Compared) -> None:
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
        out.line(f"number {found.number} of the set {found.id} by {plain(found.issuer, 200)}")
    if compared.evidence is not None:
        out.line(f"on the evidence: {plain(compared.evidence, 1024)}")
    _tell_anchors(out, "+", changes.added)
    _tell_anchors(out, "-", changes.removed)
    if not changes:
        out.line("  nothing changes")


def _tell_anchors(out: Out, mark: str, anchors: Iterable[Anchor]) -> None:
    for one in anchors:
        about = f"{' or '.join(one.types) or 'any type'}, {' or '.join(one.capabilities) or 'any capability'}"
        end = f", until {one.until}" if one.until else ""
        out.line(f"  {mark} {plain(one.issuer, 200)}  {plain(about, 300)}, depth {one.depth}{end}")


async def _sign_and_put(out: Out, home: Home, book: AnchorBook, document: JsonObject, now: Instant) -> int:
    part = home.configuration.organisation
    mine = part.did if part else home.configuration.did
    if "proof" in document and mine in signers_of(document):
        signed = document  # given back by somebody who signed it too
    else:
        signed = await sign_record(home, document, now)
    path = book.put(signed)
    waits = book.checked(signed) is None
    digest = digest_of(signed)
    out.value({"record": digest, "file": str(path), "state": "waits for a second person" if waits else "good"})
    if waits:
        out.line(f"{path}: waits for a second person", style="yellow")
        out.line(f"who signs it with   {typed('trust add --record {}', path)}   and gives it back the same way")
        return WAITS
    out.line(f"{path}: counts from the next start of a running peer on")
    return 0


def _is_of(kept: KeptRecord, did: str) -> bool:
    return did in _names(kept) or any(anchor.issuer == did for anchor in kept.content.anchors)


def _names(kept: KeptRecord) -> tuple[str, ...]:
    """By which a record is removed without more ado."""
    return (kept.digest, *([kept.content.set.issuer] if kept.content.set else []))


def _did(home: Home, text: str) -> Did:
    """`text`, once it is a DID that this folder could resolve."""
    return checked_did(text, home.configuration.local, home.configuration.resolver)


async def _document_of(home: Home, did: str) -> DidDocument:
    gatherer = open_gatherer(home)
    try:
        return await gatherer.document(_did(home, did))
    finally:
        await gatherer.close()


class _Compared(NamedTuple):
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


async def _compare(home: Home, book: AnchorBook, document: JsonObject, now: Instant) -> _Compared:
    """Compares with what counts now. A set in it is verified by its issuer's document as it is now."""
    record = read_record(document) if document.get("type") == "AnchorRecord" else None
    evidence = record.evidence if record is not None else None
    if record is not None and record.signed_set is None:
        after = book.believing(record.anchors)
        return _Compared(None, None, (), anchor_changes(book.anchors.anchors, after.anchors), after, evidence)
    signed_set = document if record is None or record.signed_set is None else record.signed_set
    issuer = signed_set.get("issuer")
    known = await _document_of(home, issuer) if isinstance(issuer, str) else None
    found = verify_set(signed_set, documents={known.id: known} if known is not None else {}, now=now)
    old = book.adopted(found)
    before: list[Anchor] = []
    for kept in old:
        check_successor(cast("AnchorSet", kept.content.set), found)
        before += kept.content.anchors
    after = book.believing(found.lasting, without=old)
    return _Compared(found, known, old, anchor_changes(before, found.lasting), after, evidence)


async def _admit(out: Out, home: Home, document: JsonObject, now: Instant, evidence: str | None) -> int:
    """A credential becomes an edge of the graph, once it is verified; one that is withdrawn takes its edge along."""
    read = read_credential(document)
    gatherer = open_gatherer(home)
    keeper = StatusKeeper(gatherer, gatherer.document, SystemClock())
    try:
        issuer = await gatherer.document(_did(home, read.issuer))
        # Whoever imports it has chosen it, so its list may be asked for before it is verified.
        lists = await keeper.lists([read], max_age_seconds=0.0)
    finally:
        await keeper.close()
        await gatherer.close()
    try:
        credential = verify_credential(document, documents={issuer.id: issuer}, now=now, lists=lists)
    except CredentialError as error:
        # Nothing is withdrawn on the word of a stranger: the status was looked at last, after the proof.
        status = withdrawn_as(error) if home.trust.exists() else None
        if status is not None and await _written(home, lambda store: store.set_status(read.digest, status)):
            out.value({"edge": read.digest, "status": status})
            out.line(f"the edge {read.digest} is {status} and counts no more", style="yellow")
        raise
    held = _evidence(evidence) if Accusation.type in credential.types else None
    shown = await _proved(home, credential, held)
    admitted = admission(credential, issuer, now, contracts=await _contracts(home), evidence=shown)
    edge = admitted.edge
    if held is not None:
        keep_evidence(home, held)
    # It is clear now; it may have been suspended when it was looked up last.
    clear: dict[Digest, Status] = {edge.digest: "good"} if credential.has_status else {}
    new = await _written(home, lambda store: store.admit([admitted], clear))
    out.value({"edge": from_struct(edge), "new": bool(new)})
    out.line(f"{plain(edge.source, 90)} --{edge.kind}--> {plain(edge.target, 90)}{'' if new else ' (known already)'}")
    return 0


def _evidence(named: str | None) -> bytes | None:
    try:
        return read_file(Path(named)) if named is not None else None
    except OSError as exc:
        raise ConfigurationError("bad_configuration", f"--evidence: {plain(named, 200)}: {why(exc)}") from exc


async def _proved(home: Home, credential: Credential, evidence: bytes | None) -> frozenset[Digest]:
    """What `edge_of` is told of the evidence of an accusation."""
    gatherer, ledger = open_gatherer(home), await reading(home)
    try:
        return await proved(
            credential,
            evidence,
            ledger=ledger,
            own=home.configuration.did,
            document_of=gatherer.document,
            now=SystemClock().now(),
        )
    finally:
        await ledger.close()
        await gatherer.close()


async def _establish(out: Out, home: Home, document: JsonObject, now: Instant) -> int:
    """Each entry of a document becomes an edge of the graph, once the document is verified."""
    author = read_establishment(document).author
    documents = {author: await _document_of(home, author)} if "proof" in document else {}
    made = import_establishment(home, document, documents=documents, contracts=await _contracts(home), now=now)
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
        out.line(f"  {plain(edge.source, 90)} --{edge.kind}--> {plain(edge.target, 90)}")
    for uri in said.skipped:
        out.line(f"  no edge: {plain(uri, 200)} is no schema of ours", style="dim")
    out.line(f"{counted(made.new, 'new edge')}, {made.gone} of older versions taken out")
    return 0


async def _contracts(home: Home) -> set[str]:
    """The contracts in the ledger that both parties signed."""
    ledger = await reading(home)
    try:
        return {row.contract for row in await ledger.summaries() if row.contract}
    finally:
        await ledger.close()


async def _written(home: Home, write: Callable[[TrustStore], int]) -> int:
    """What a write to the graph returns. A running peer holds the file only for the moment of a write."""
    left = 20
    while True:
        try:
            with TrustStore(home.trust) as store:
                return write(store)
        except LedgerUnavailable:
            left -= 1
            if not left:
                raise
        await asyncio.sleep(0.1)


def _held(out: Out, lost: tuple[Lost, ...]) -> int:
    out.value({"state": "waits for --yes", "losing": len(lost)})
    out.line("nothing was changed; --yes goes on all the same", style="yellow")
    return WAITS


async def _told_lost(out: Out, home: Home, before: Anchors, after: Anchors, now: Instant) -> tuple[Lost, ...]:
    """The open engagements that lose their path by a change of anchors; told as they are found."""
    old, new = (replace(viewpoint(home, now), anchors=anchors) for anchors in (before, after))
    ledger = await reading(home)
    try:
        open_now = await open_engagements(ledger, home)
    finally:
        await ledger.close()
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
