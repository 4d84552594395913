"""Commands about logs of others that show two histories: `ledger forks`, `ledger decide`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from undersigned.encoding import Did, canonicalize, digest_bytes
from undersigned.errors import ConfigurationError, FormatError, ResolutionError, UndersignedError
from undersigned.ledger import Fork, Ledger, decided
from undersigned.runtime import SystemClock, read_file
from undersigned.runtime.log.forks import check_fork, fork_document, words

from .did_documents import brought_first, read_document_file
from .log import ledger
from .options import FILE, FORCE_OPTION, did_here, documents_option, open_gatherer, out_option, write_new
from .output import CHECK_FAILED, HOME_OPTION, Out, checking, command, error_json, ledger_at, reading
from .words import counted, plain, typed

__all__ = ["ledger"]

MAX_PROOF_BYTES = 1 << 20


@ledger.command("forks")
@click.argument("did", required=False)
@out_option("Write the proof that DID signed two histories to this file: evidence of an accusation, for anybody.")
@click.option(
    "--check",
    "proof",
    type=FILE,
    help="Check such a proof of somebody's, or what 'witness show --json' gives, and look at nothing else.",
)
@documents_option("For --check: a DID document that you kept, for a DID that nobody serves any more. May be repeated.")
@FORCE_OPTION
@HOME_OPTION
@command
async def forks(
    out: Out,
    did: str | None,
    file: Path | None,
    proof: Path | None,
    documents: tuple[Path, ...],
    force: bool,
    home: str | None,
) -> int:
    """Who signed two histories of its log, and whose heads wait to be connected; with --json the proofs.

    Nothing is agreed with the former until 'ledger decide'. Exit code 4 if there is one.
    """
    if proof is not None:
        return await _check(out, proof, documents, home)
    if documents:
        raise ConfigurationError("bad_configuration", "--did-document is for --check")
    if file is not None and did is None:
        raise ConfigurationError("bad_configuration", "--out: name the DID whose log it is about")
    opened = out.home(home)
    if did is not None:
        did_here(opened, did)
    async with reading(opened) as store:
        found = [(log, seen) for log, seen in await store.logs_seen() if did in (None, log)]
        forked = [(log, seen.fork) for log, seen in found if seen.fork is not None]
        for log, fork in forked:
            await _show(out, store, log, fork, file if did is not None else None, force=force)
    for log, seen in found:
        waiting = len(seen.open) + seen.missed
        if waiting and seen.fork is None:
            agreed = seen.agreed.size if seen.agreed is not None else 0
            out.value({"open": log, "agreed": agreed, "waiting": waiting})
            leaves = counted(agreed, "leaf", "leaves")
            out.line(f"{plain(log, 200)}: {counted(waiting, 'head')} not yet known to be of one history with {leaves}")
        for one in seen.past:
            out.value({"decided": log, "at": one.at, "anew": one.anew, "reason": one.reason})
            what = "begins anew" if one.anew else "goes on from what was agreed"
            out.line(f"{plain(log, 200)}: decided at {one.at}: {what}: {plain(one.reason, 500)}", style="dim")
    if not forked:
        out.line("nobody signed two histories" if did is None else f"{did} signed no two histories, as far as is known")
        if file is not None:
            raise ConfigurationError("not_found", f"nothing shows two histories of the log of {did}")
    return CHECK_FAILED if forked else 0


async def _show(out: Out, store: Ledger, log: Did, fork: Fork, file: Path | None, *, force: bool) -> None:
    try:
        document = await fork_document(store, fork)
    except UndersignedError as error:
        out.value({"contradiction": log, "error": error_json(error)})
        out.line(f"{plain(log, 200)} signed {words(fork)}; {plain(error.message, 500)}", style="bold red")
        return
    out.value(document)
    out.line(f"{plain(log, 200)} signed {words(fork)}", style="bold red")
    if file is not None:
        raw = canonicalize(document)
        write_new(file, raw, force=force)
        out.value({"file": str(file), "digest": digest_bytes(raw)})
        out.line(f"{file}: {digest_bytes(raw)}")
    else:
        out.line(f"  prove it with      {typed('ledger forks {} --out FILE', plain(log, 200))}")
    out.line(f"  go on with it by   {typed('ledger decide {} --keep|--anew --reason TEXT', plain(log, 200))}")


async def _check(out: Out, proof: Path, documents: tuple[Path, ...], home: str | None) -> int:
    known, opened = [read_document_file(file) for file in documents], out.home(home)
    with checking(f"--check {proof}"):
        raw = read_file(proof, MAX_PROOF_BYTES)
    try:
        async with open_gatherer(opened) as gatherer:
            log, what = await check_fork(raw, brought_first(known, gatherer), now=SystemClock().now())
    except ResolutionError as error:
        error.message += "; a document of it that you kept is named by --did-document"
        raise
    except FormatError as error:
        error.message = f"--check {proof}: expected a proof as 'ledger forks --out' writes it: {error.message}"
        raise
    out.value({"contradiction": log, "proved": True, "what": what, "digest": digest_bytes(raw)})
    out.line(f"proved: {plain(log, 200)} signed {what}", style="bold")
    return 0


@ledger.command("decide")
@click.argument("did")
@click.option("--keep", "anew", flag_value=False, type=bool, default=None, help="It goes on from what was agreed.")
@click.option("--anew", "anew", flag_value=True, type=bool, help="What it states next is where it begins.")
@click.option("--reason", required=True, help="Why; it is kept with the decision and what it is about.")
@HOME_OPTION
@command
async def decide(out: Out, did: str, anew: bool | None, reason: str, home: str | None) -> None:
    """Deal again with somebody whose log shows two histories, or has heads that nothing connects.

    With --keep its log has to continue what was agreed before: it has put the genuine one back. With --anew it may be
    another one: it lost the old one, and says so. The proof of what it signed is kept. Not beside 'undersigned serve'.
    """
    opened = out.home(home)
    did_here(opened, did)
    if anew is None:
        raise ConfigurationError("bad_configuration", "say --keep or --anew")
    if not reason.strip():
        raise ConfigurationError("bad_configuration", "--reason: expected some text")
    if not opened.ledger.exists():
        raise ConfigurationError("not_found", f"nothing was seen of the log of {did}")
    async with ledger_at(opened.ledger_url) as store:
        seen = await store.seen(did)
        if seen is None or seen.one_history:
            raise ConfigurationError("not_found", f"nothing speaks against the log of {did}")
        change = partial(decided, at=SystemClock().now(), anew=anew, reason=reason.strip()[:1000])
        await store.update_seen(did, change)
        after = await store.seen(did)
    agreed = after.agreed.size if after is not None and after.agreed is not None else 0
    out.value({"decided": did, "anew": anew, "agreed": agreed})
    out.line(f"{plain(did, 200)}: " + ("begins anew" if anew else f"goes on from {counted(agreed, 'leaf', 'leaves')}"))
