"""The command `history`: what an agent did."""

from __future__ import annotations

import json
from pathlib import Path

import click
from msgspec.structs import replace

from undersigned.encoding import from_struct
from undersigned.errors import ConfigurationError
from undersigned.runtime import OwnEvidence, SystemClock, given_packs
from undersigned.trace import TraceEvidence, history, history_steps, prov_document

from .bar import bar
from .did_documents import read_document_file
from .options import DOCUMENTS_OPTION, checked_did
from .output import HOME_OPTION, Out, command, reading
from .trace import PACK_OPTION, opened_home, read_packs
from .words import counted, plain, typed

__all__ = ["history_"]

STYLES = {"refusal": "yellow", "statement": "bold"}


@click.command("history")
@click.argument("did")
@PACK_OPTION
@DOCUMENTS_OPTION
@click.option("--last", type=click.IntRange(1), metavar="LINES", help="Only so many lines, the latest.")
@click.option("--prov", is_flag=True, help="Write W3C PROV-O as JSON-LD to standard output, and nothing else.")
@HOME_OPTION
@command
async def history_(
    out: Out,
    did: str,
    packs: tuple[Path, ...],
    documents: tuple[Path, ...],
    last: int | None,
    prov: bool,
    home: str | None,
) -> None:
    """What did an agent do? Artifacts that it worked on and delivered, statements that it signed and what came of them,
    policies in force, refusals: in contracts of our ledger, and of packs.

    Verdicts are as of the last message in the evidence; nobody is asked. Exit code 2 if nothing is known of it.
    """
    if prov and last is not None:
        raise ConfigurationError("bad_configuration", "--last is about lines, and with --prov there are none")
    known = [read_document_file(file) for file in documents]
    given, opened, now = read_packs(packs), opened_home(out, home, packs), SystemClock().now()
    local = opened is not None and opened.configuration.local
    checked_did(did, local or opened is None, opened.configuration.resolver if opened is not None else None)
    held = given_packs(given, now=now, known=known)
    decisions = {}
    if opened is not None:
        async with reading(opened) as ledger:
            own = OwnEvidence(ledger, opened, now, bare=True, replayed=prov)  # no line says how one came out again
            with bar(out, "engagements") as told:
                await own.of(did, told)
        held, decisions = [*own.held.values(), *held], own.decisions
    evidence = TraceEvidence.of(held, decisions)
    found = history(did, evidence)
    if not found.lines:
        raise ConfigurationError("not_found", f"nothing is known of {plain(did, 200)}")
    if prov:
        click.echo(json.dumps(prov_document(history_steps(did, evidence))))
        return
    shown = found.lines if last is None else found.lines[-last:]
    out.value(from_struct(replace(found, lines=shown)))
    for line in shown:
        verdict = f"  {plain(line.verdict, 120)}" if line.verdict else ""
        out.line(
            f"{line.at}  {line.kind:10} {plain(line.text, 120)}{verdict}  {plain(line.name, 60)}",
            style=STYLES.get(line.kind, ""),
        )
    contracts = len({line.contract for line in found.lines})
    before = "" if len(shown) == len(found.lines) else f", of which these are the last {len(shown)}"
    out.line(f"{counted(len(found.lines), 'line')} under {counted(contracts, 'contract')}{before}")
    as_of = max((line.as_of for line in found.lines if line.as_of is not None), default=None)
    if as_of is not None:
        out.line(
            f"Verdicts as the evidence has them, the latest as of {as_of}; whether anything was withdrawn since was "
            f"not looked up: {typed('check ARTIFACT --for PURPOSE')}"
        )
