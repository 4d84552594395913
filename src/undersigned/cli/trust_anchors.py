"""Commands about whom we believe by ourselves: `trust list|add|remove|diff`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import click

from undersigned.encoding import Instant, from_struct, parse_instant
from undersigned.errors import ConfigurationError, FormatError
from undersigned.runtime import AnchorBook, KeptRecord, SystemClock, read_document
from undersigned.trust import MAX_DEPTH, Anchor, Anchors, AnchorSet, anchor_changes, anchor_record

from .listing import CommandGroup
from .options import FILE, about, did_here
from .output import HOME_OPTION, Out, command
from .trust_changes import anchor_line, compare, sign_and_put, tell_anchors, tell_changes, told_lost, waits_for_yes
from .words import WHOLE, counted, plain

__all__ = ["YES_OPTION", "trust"]

YES_OPTION = click.option("--yes", is_flag=True, help="Go on although open engagements lose their path.")


@click.group(cls=CommandGroup)
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
@click.option(
    "--type",
    "types",
    multiple=True,
    metavar="TYPE",
    help="Of credentials it is believed about; else any. May be repeated.",
)
@click.option(
    "--capability",
    "capabilities",
    multiple=True,
    metavar="NAME",
    help="It is believed about; else any. May be repeated.",
)
@click.option(
    "--depth",
    type=click.IntRange(0, MAX_DEPTH),
    metavar="LEVELS",
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
        with about(file):
            compared = await compare(opened, book, document, now)
        tell_changes(out, compared)
        lost = await told_lost(out, opened, book.anchors, compared.after, now)
        if lost and not yes:
            return waits_for_yes(out)
    else:
        if evidence is None:
            raise ConfigurationError("bad_configuration", "--evidence is needed: on what ground is it believed?")
        _checked_until(until)
        try:
            anchor = Anchor(issuer=did_here(opened, did or ""), types=types, capabilities=capabilities, depth=depth)
            members = from_struct(anchor) | ({} if until is None else {"until": until})
            document = anchor_record(
                id=f"urn:uuid:{uuid4()}", anchor=Anchors.from_toml([members]).anchors[0], evidence=evidence, added=now
            )
        except FormatError as error:
            raise ConfigurationError("bad_configuration", f"{error.path}: {error.message}") from error
    if until is not None and until <= now:
        out.line(f"it ended at {until}, so it will not count", style="yellow")
    return await sign_and_put(out, opened, book, document, now)


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
        raise ConfigurationError(
            "not_found", f"no anchor {plain(which, 200)!r} and no record of that name; see 'trust list'"
        )
    after = book.believing(without=records, unlisted=listed)
    tell_anchors(out, "-", anchor_changes(book.anchors.anchors, after.anchors).removed)
    lost = await told_lost(out, opened, book.anchors, after, now)
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
        return waits_for_yes(out)
    for kept in records:
        book.remove(kept)
    for anchor in listed:
        book.unlist(anchor.issuer)
    out.value(
        {"removed": [*[kept.digest for kept in records], *[one.issuer for one in listed]], "anchors": after.digest}
    )
    out.line(f"removed {counted(len(records) + len(listed), 'entry', 'entries')}; anchors are now {after.digest}")
    out.line("a running peer believes them no more, in its next decision and at its gates")
    return 0


@trust.command("diff")
@click.argument("file", type=FILE)
@HOME_OPTION
@command
async def trust_diff(out: Out, file: Path, home: str | None) -> None:
    """What importing a signed anchor set, or signing a record of somebody else's, would change. Nothing is changed."""
    opened, now = out.home(home), SystemClock().now()
    with about(file):
        document = read_document(file)
        if document.get("type") not in ("AnchorSet", "AnchorRecord"):
            text = "expected a signed anchor set, or a record of an anchor; of anything else 'trust import' tells"
            raise FormatError("schema_violation", text, path="/type")
        compared = await compare(opened, AnchorBook(opened, now), document, now)
    tell_changes(out, compared)


def _checked_until(text: str | None) -> None:
    try:
        if text is not None:
            parse_instant(text)
    except FormatError as error:
        raise ConfigurationError(
            "bad_configuration", f"--until: expected an instant such as 2027-01-01T00:00:00Z, got {plain(text, 60)!r}"
        ) from error


def _tell_anchor(out: Out, anchor: Anchor, now: Instant, more: dict[str, Any]) -> None:
    expired = anchor.until is not None and anchor.until < now
    said = {
        **from_struct(anchor),
        "types": list(anchor.types),
        "capabilities": list(anchor.capabilities),
        "depth": anchor.depth,
        "reach": anchor.reach,
    }
    out.value({**said, "state": "expired" if expired else "valid", **more})
    end = f", {'expired' if expired else 'until'} {anchor.until}" if anchor.until else ""
    out.line(f"{anchor_line(anchor)}{end}", style="dim" if expired else "", most=WHOLE)
    why = f": {plain(more['evidence'], 300)}" if "evidence" in more else ""
    out.line(f"    by {plain(' and '.join(more['by']), 300)}{why}")
    if "record" in more:
        of = more.get("set")
        part = f", number {of['number']} of a set by {plain(of['issuer'], 200)}" if of else ""
        out.line(f"    record {more['record']}{part}")


def _is_of(kept: KeptRecord, did: str) -> bool:
    return did in _names(kept) or any(anchor.issuer == did for anchor in kept.content.anchors)


def _names(kept: KeptRecord) -> tuple[str, ...]:
    """By which a record is removed without more ado."""
    return (kept.digest, *([kept.content.set.issuer] if kept.content.set else []))
