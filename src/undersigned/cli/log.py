"""Commands about the ledger's Merkle log and its file: `ledger checkpoint`, `prove`, `audit`, `fsck`, `upgrade` and
`backup`.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from pathlib import Path

import click
from msgspec.structs import replace

from undersigned.did import DidDocument
from undersigned.encoding import Digest, Instant, JsonObject
from undersigned.errors import ConfigurationError, LogProofError, UndersignedError
from undersigned.ledger import Defect, Ledger, Stated
from undersigned.runtime import Gatherer, Home, SystemClock, read_file
from undersigned.runtime.home.backup import back_up
from undersigned.runtime.log.forks import fork_document, fork_of
from undersigned.runtime.log.logbook import (
    Audited,
    HeldHead,
    audited,
    fetched_leaves,
    held_heads,
    kept_leaves,
    log_url,
    logged,
    noted,
    proof_of,
    require_own,
    stated_heads,
    verified_note,
)
from undersigned.transparency import MAX_NOTE_BYTES, Checkpoint, leaf_hash, read_checkpoint, read_note

from .bar import bar
from .interrupts import ended_gently
from .ledger import ledger
from .options import FILE, FORCE_OPTION, HOMES, NOTE_OPTION, did_here, open_gatherer, write_new
from .output import (
    CHECK_FAILED,
    HOME_OPTION,
    Out,
    checking,
    command,
    engagement_named,
    ledger_at,
    meeting,
    reading,
    reading_own,
)
from .words import counted, plain

__all__ = ["ledger"]


@ledger.command("checkpoint")
@NOTE_OPTION
@FORCE_OPTION
@HOME_OPTION
@command
async def ledger_checkpoint(out: Out, file: Path | None, force: bool, home: str | None) -> None:
    """The log's size and root in a note that its key signs, to be kept by whoever should notice if it changes."""
    opened = out.home(home)
    async with reading_own(opened) as store:
        note = await noted(store, opened.configuration.did, opened.log_key())
    if file is not None:
        write_new(file, note.encode(), force=force)
    head = read_checkpoint(read_note(note).text)
    out.value(
        {"origin": head.origin, "size": head.size, "root": head.root.hex(), "note": note}
        | ({"file": str(file)} if file is not None else {})
    )
    out.file(note)


@ledger.command("prove")
@click.argument("engagement")
@click.option(
    "--of", "digest", metavar="DIGEST", help="Only of the move, document, decision or refusal of this digest."
)
@HOME_OPTION
@command
async def ledger_prove(out: Out, engagement: str, digest: str | None, home: str | None) -> None:
    """Where what was agreed, made and decided stands in the log. With --json the proofs, each with a signed checkpoint.

    Who holds the thing itself makes its leaf again, and by the path the root that the checkpoint signs: 'verify' does
    that with the file of what --json wrote.
    """
    opened = out.home(home)
    async with reading_own(opened) as store:
        head = await store.head()
        note = await noted(store, opened.configuration.did, opened.log_key(), head)
        shown = 0
        name = await engagement_named(store, engagement)
        for one in await logged(store, await store.rows(name), await store.evidence(name)):
            index = await store.index_of(name, leaf_hash(one.leaf))
            if digest not in (None, one.digest) or index is None or index >= head.size:
                continue  # without an index: of a time when this had no leaf; beyond the head: recorded since
            shown += 1
            proof = await store.inclusion(index, head.size)
            out.value({**proof_of(one, index, proof.path, note), "at": one.at})
            out.line(f"{index + 1:8} {one.at:20} {one.what:12} {one.digest}")
        if not shown and digest is not None:
            raise ConfigurationError("not_found", f"nothing of digest {digest[:100]!a} stands in the log")
        out.line(f"under {counted(head.size, 'leaf', 'leaves')}, root {head.root.hex()}", style="dim")


@ledger.command("audit")
@click.argument("did", required=False)
@click.option(
    "--at", metavar="URL", help="With DID: where its log is, https://…/ledger, if its DID document does not say."
)
@click.option(
    "--since",
    "notes",
    multiple=True,
    type=FILE,
    metavar="FILE",
    help="A checkpoint that was kept: what it signs has to be a part of the log. May be repeated.",
)
@click.option(
    "--most",
    type=click.IntRange(1),
    metavar="LEAVES",
    default=1_000_000,
    show_default=True,
    help="With DID: read no log of more leaves.",
)
@HOME_OPTION
@meeting
async def ledger_audit(
    out: Out, did: str | None, at: str | None, notes: tuple[Path, ...], most: int, home: str | None
) -> int:
    """Read a whole log, make its tree again, and hold it against every head that its owner ever signed to us.

    Without DID our own log; with DID what that agent serves. Exit code 4 when something differs, or if it is known to
    have signed two histories: with --json `contradictions` has the proofs, each for 'ledger forks --check'.
    """
    if did is None and at is not None:
        raise ConfigurationError("bad_configuration", "--at: of another's log; name the DID that it is of")
    if at == "":
        raise ConfigurationError("bad_configuration", "--at: expected https://…/ledger, got ''")
    opened = out.home(home)
    came: Stated | None = None
    base, contradictions = "", list[JsonObject]()
    read = reading_own if did is None else reading
    async with open_gatherer(opened) as gatherer, read(opened) as store:
        now = SystemClock().now()
        owner = did_here(opened, opened.configuration.did if did is None else did)
        document = opened.document() if did is None else await gatherer.document(did)
        held, promised = await held_heads(store, owner)
        kept = [_kept(path, document, now) for path in notes]
        if did is None:
            size = await store.tree_size()
            head, leaves = Checkpoint(owner, size, await store.root(size)), kept_leaves(store, size)
        else:
            base = (at or log_url(document, local=opened.configuration.local)).rstrip("/")
            raw = await gatherer.fetch(f"{base}/checkpoint", max_bytes=MAX_NOTE_BYTES)
            note = _note(raw)
            head = verified_note(note, document, now)
            if head.size > most:
                text = f"it signs for {head.size} leaves, and no more than {most} are read: --most takes another number"
                raise UndersignedError("too_large", text)
            leaves = fetched_leaves(gatherer, base, head.size)
            came = Stated(log=did, size=head.size, root=head.root, at=None, note=note)
        began = time.monotonic()
        heads = [HeldHead(Checkpoint(one.log, one.size, one.root), where) for where, one in kept]
        report = await _shown(out, head, leaves, (*held, *heads), promised)
        seconds = max(time.monotonic() - began, 1e-6)
        if came is not None:
            found, others = bool(report.defects), [one for _, one in kept]
            contradictions, unshown = await _contradictions(store, gatherer, base, came, others, found=found)
            report = replace(report, defects=(*report.defects, *unshown))
    rate = round(report.leaves / seconds)
    out.value(
        {
            "ok": not report.defects,
            "origin": report.origin,
            "leaves": report.leaves,
            "root": report.root.hex(),
            "compared": report.compared,
            "leavesPerSecond": rate,
            "defects": list(report.defects),
            "contradictions": contradictions,
        }
    )
    for one in contradictions:
        out.line(f"proof to anybody, with --json: it signed two histories of {one['size']} leaves", style="red")
    for defect in report.defects:
        out.line(plain(defect, 2000), style="red")
    diverged = bool(report.defects or contradictions)
    verdict = "DIVERGED" if diverged else "ok"
    out.line(
        f"{verdict}: {counted(report.leaves, 'leaf', 'leaves')} of {plain(report.origin, 200)}, held against "
        f"{counted(report.compared, 'signed head or promise', 'signed heads and promises')}; {rate} leaves per second",
        style="bold red" if diverged else "green",
    )
    return CHECK_FAILED if diverged else 0


async def _contradictions(
    store: Ledger, gatherer: Gatherer, base: str, came: Stated, kept: Iterable[Stated], *, found: bool
) -> tuple[list[JsonObject], list[str]]:
    """What shows to anybody that a log has two histories: what was found before, and what this audit found, by heads
    that its owner stated to us or that were `kept`; and why that cannot be shown.
    """
    seen = await store.seen(came.log)
    forks, unshown = [seen.fork] if seen is not None and seen.fork is not None else [], list[str]()
    if found:
        held = [one for one in (*await stated_heads(store, came.log), *kept) if one.size <= came.size]
        try:
            now = await fork_of(gatherer, base, came, held)
        except UndersignedError as error:
            now = None
            unshown.append(f"what shows two histories to anybody was not had: {error.message}")
        forks += [now] if now is not None else []
    return [await fork_document(store, fork) for fork in forks], unshown


async def _shown(
    out: Out,
    head: Checkpoint,
    leaves: AsyncGenerator[tuple[bytes, ...], None],
    held: Iterable[HeldHead],
    promised: Mapping[int, Mapping[Digest, str]],
) -> Audited:
    """The audit, with a bar on a terminal."""
    with bar(out, counted(head.size, "leaf", "leaves")) as told:
        async with aclosing(leaves) as each:
            return await audited(head, each, held, promised, lambda done: told(done, head.size))


def _kept(path: Path, document: DidDocument, now: Instant) -> tuple[str, Stated]:
    """Where a checkpoint that was kept is, and what it signs.

    Raises:
        ConfigurationError: The file cannot be read.
        LogProofError: It is no checkpoint that the log's owner signed.
    """
    with checking(f"--since {path}"):
        note = _note(read_file(path, MAX_NOTE_BYTES))
    try:
        head = verified_note(note, document, now)
    except LogProofError as error:
        raise LogProofError(error.code, f"--since {path}: {error.message}") from error
    return str(path), Stated(log=document.id, size=head.size, root=head.root, at=None, note=note)


def _note(raw: bytes) -> str:
    """A checkpoint as text. What its owner signed is in it as it was; below, others write what they like."""
    return raw.decode("utf-8", "replace")


@ledger.command("upgrade")
@HOME_OPTION
@command
async def ledger_upgrade(out: Out, home: str | None) -> None:
    """Bring the ledger of an older release up to date, as 'undersigned serve' and 'hire' do when they open it.

    Commands that only read refuse it until then. Nothing that was signed changes; an older release cannot read it
    afterwards, so keep a copy if you may go back.
    """
    opened = out.home(home)
    if not opened.ledger.exists():
        raise ConfigurationError("not_found", f"nothing was ever written to {opened.ledger}")
    async with ledger_at(opened.ledger_url) as store:
        size = await store.tree_size()
    out.value({"file": str(opened.ledger), "leaves": size})
    out.line(f"{opened.ledger} is up to date: {counted(size, 'leaf', 'leaves')}")


class _Stopped(Exception):
    """Nobody waits for the copy any more."""


@ledger.command("backup")
@click.argument("folder", type=HOMES)
@HOME_OPTION
@command
async def ledger_backup(out: Out, folder: Path, home: str | None) -> None:
    """Copy the state folder to FOLDER, which is made, while a peer runs on it: all of one moment, but for its keys.

    What was agreed, made and decided can be shown, traced and exported from the copy. No peer runs on it, since what
    it would sign contradicts what was signed after the copy was made: copy the folder 'keys' by itself, once, and see
    in the GUIDE when the two may come together again.
    """
    opened, stopped = out.home(home), threading.Event()
    with ended_gently(), bar(out, "bytes") as told:

        def tell(done: int, total: int) -> None:
            if stopped.is_set():
                raise _Stopped
            told(done, total)

        try:
            found = await asyncio.to_thread(back_up, opened, folder, tell)
        finally:
            stopped.set()
    store = opened.configuration.artifacts.store
    out.value({"folder": str(folder), **found._asdict(), "artifacts": store})
    out.line(f"{folder}: {counted(found.files, 'file')}, {found.bytes} bytes", style="green")
    if store is not None:
        out.line(f"artifacts are in {plain(store, 200)}, and not in the copy", style="yellow")
    out.line(
        f"without {opened.path / 'keys'}: keep a copy of that by itself. With it the copy may go on only if nothing"
    )
    out.line("was said since; else it proves two histories of this agent (GUIDE, Copies)")


@ledger.command("fsck")
@HOME_OPTION
@command
async def ledger_fsck(out: Out, home: str | None) -> int:
    """Recompute every digest, position and the log's root. Exit code 4 when something differs, or if the ledger is that
    of another agent.
    """
    opened = out.home(home)
    async with reading(opened) as store:
        report = await store.check()
        last = await store.last_at() if report.ok else None
        another = await _of_another(store, opened) if report.ok else ()
    clock = SystemClock()
    clock.hold(last or clock.now())
    held = clock.held()
    defects = [{"code": d.code, "where": d.where, "detail": d.detail} for d in (*report.defects, *another)]
    out.value(
        {
            "ok": not defects,
            "rows": report.rows,
            "leaves": report.leaves,
            "blobs": report.blobs,
            "defects": defects,
            "missing": report.missing or None,
            "clock": held._asdict() if held is not None else None,
        }
    )
    for defect in defects:
        out.line(plain(f"{defect['code']} at {defect['where']}: {defect['detail']}", 2000), style="red")
    verdict = "ANOTHER'S" if another else "ok" if report.ok else "DAMAGED"
    parts = counted(report.rows, "row"), counted(report.leaves, "leaf", "leaves"), counted(report.blobs, "document")
    out.line(f"{verdict}: {', '.join(parts)}", style="bold red" if defects else "green")
    if report.missing:
        text = f"{plain(report.missing)} is not there, as in a copy: if the ledger was cut, it is not seen by it"
        out.line(text, style="yellow")
    if held is not None:
        out.alarm(str(held))  # no damage: it holds what was written, whenever that says it was
    return CHECK_FAILED if defects else 0


async def _of_another(store: Ledger, opened: Home) -> tuple[Defect, ...]:
    try:
        await require_own(store, opened.configuration.did, opened.ledger_url)
    except ConfigurationError as error:
        return (Defect(error.code, "ledger", error.message),)
    return ()
