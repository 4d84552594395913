"""Commands about evidence that somebody made: `verify`, `judge`, `rule`, `tamper`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from sys import maxsize
from typing import get_args

import click

from undersigned.contract import Ruled, contract_card
from undersigned.encoding import Did, Instant, JsonObject, canonicalize, digest_bytes, from_struct
from undersigned.errors import ConfigurationError
from undersigned.evidence import (
    MANIFEST,
    MAX_ARCHIVE_BYTES,
    TAMPERINGS,
    Case,
    Report,
    check_pack,
    document_at,
    engagement_of,
    pack_of,
    read_archive,
    sealed_of,
    verifier_page,
)
from undersigned.evidence import tamper as tampered
from undersigned.messages import Delivery
from undersigned.runtime import SystemClock, judge_pack, naming, open_file, parse_price, read_file, rule_on_pack
from undersigned.transparency import NoteVerifier, read_verifier

from .contract_show import became
from .did_documents import read_document_file
from .options import DOCUMENTS_OPTION, FORCE_OPTION, FilePath, NamedPath, about, instant_at, out_option, write_new
from .output import CHECK_FAILED, HOME_OPTION, Out, checking, command
from .proofs import KINDS, Against, is_proof, key_named, verify_file
from .words import WHOLE, plain, typed

__all__ = ["judge", "rule", "tamper", "verify"]

_OF_A_RULING = ("contract", "dispute", "outcome", "amount", "currency")


@click.command()
@click.argument("pack", type=FilePath(path_type=Path))
@click.argument("result", type=click.Choice(["passed", "failed"]))
@out_option("File for the signed statement, which the hirer carries with 'contract judge'.", required=True)
@FORCE_OPTION
@click.option(
    "--again",
    is_flag=True,
    help="Sign it although this folder has signed the other result for the same delivery: whoever has both can choose.",
)
@HOME_OPTION
@command
async def judge(out: Out, pack: Path, result: str, file: Path, force: bool, again: bool, home: str | None) -> None:
    """State, as the verifier that a contract names, whether what was delivered under it is accepted.

    PACK is the hirer's evidence pack while the delivery waits for its verdict; it is checked as by 'verify', and what
    it says that the contract asks for is yours to look at before you say that it `passed` or `failed`. What was signed
    is kept in the state folder.
    """
    data = read_file(pack, MAX_ARCHIVE_BYTES)
    passed, now = result == "passed", SystemClock().now()
    with about(pack):
        statement = await judge_pack(out.home(home), data, passed=passed, now=now, again=again)
    written = canonicalize(statement)
    write_new(file, written, force=force)
    out.value({"file": str(file), "digest": digest_bytes(written), "result": result.upper()})
    out.line(f"{file}: {result.upper()}; the hirer carries it with {typed('contract judge CONTRACT {}', file)}")


@click.command()
@click.argument("pack", type=FilePath(path_type=Path))
@click.argument("outcome", type=click.Choice(list(get_args(Ruled))))
@click.option(
    "--owed", required=True, metavar="PRICE", help="What the hirer owes, all told, such as '4.50 EUR' or '0 EUR'."
)
@click.option("--reason", "reasons", required=True, metavar="TEXT", help="Why; both sides read it.")
@out_option("File for the signed ruling, which either side carries with 'contract dispute --ruling'.", required=True)
@FORCE_OPTION
@click.option(
    "--again",
    is_flag=True,
    help="Sign it although this folder has ruled otherwise on the same contract: each side could carry one.",
)
@click.option("--beyond", is_flag=True, help="Sign it although it is more than the price, or in another currency.")
@HOME_OPTION
@command
async def rule(
    out: Out,
    pack: Path,
    outcome: Ruled,
    owed: str,
    reasons: str,
    file: Path,
    force: bool,
    again: bool,
    beyond: bool,
    home: str | None,
) -> None:
    """Rule, as the arbiter that a contract names, on the dispute about it: who is right, and what is owed.

    PACK is the evidence pack of either side, made since the dispute; it is checked as by 'verify', and has the claim,
    the terms and all that was said. What was signed is kept in the state folder. Both sides fetch your DID document
    when it comes: serve it.
    """
    data, now = read_file(pack, MAX_ARCHIVE_BYTES), SystemClock().now()
    due = parse_price(owed, "--owed")
    opened = out.home(home)
    with about(pack):
        ruling = await rule_on_pack(
            opened, data, outcome=outcome, owed=due, reasons=reasons, now=now, again=again, beyond=beyond
        )
    written = canonicalize(ruling)
    write_new(file, written, force=force)
    out.value({"file": str(file), "digest": digest_bytes(written), **{name: ruling[name] for name in _OF_A_RULING}})
    carried = typed("contract dispute {} --ruling {}", str(ruling["contract"]), file)
    out.line(f"{file}: {outcome}, {due} owed; either side carries it with {carried}")


@click.command()
@click.argument("pack", type=FilePath(path_type=Path), required=False)
@click.option(
    "--explain",
    is_flag=True,
    help="Show every step, the keys, what was agreed and what came of it.",
)
@DOCUMENTS_OPTION
@click.option(
    "--of",
    "things",
    multiple=True,
    type=NamedPath(path_type=Path),
    metavar="FILE",
    help="For a statement or a proof: the artifact, or the thing in the log, that it has to be about. May be repeated.",
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="FILE|MULTIKEY",
    help="For a statement: a public key whose signature you believe, in PEM or as a Multikey. May be repeated.",
)
@click.option(
    "--witness",
    "witnesses",
    multiple=True,
    metavar="NAME+HASH+KEY",
    help="A witness that must have cosigned the log of the pack, as 'witness serve' shows its key. May be repeated.",
)
@click.option(
    "--at",
    metavar="INSTANT",
    help="Judge it as of then, such as 2027-01-01T00:00:00Z, in place of now by the clock of this machine.",
)
@out_option(
    "Write the verifier for browsers, and check nothing: one file, which needs no network and nothing installed.",
    option="--page",
    name="page",
)
@FORCE_OPTION
@command
async def verify(
    out: Out,
    pack: Path | None,
    explain: bool,
    documents: tuple[Path, ...],
    things: tuple[Path, ...],
    keys: tuple[str, ...],
    witnesses: tuple[str, ...],
    at: str | None,
    page: Path | None,
    force: bool,
) -> int:
    """Check an evidence pack: no network, no state folder, no key.

    PACK may also be what 'ledger prove --json' wrote, an arbiter's ruling, or a statement that anybody signed (in-toto
    in DSSE, alone or in a Sigstore bundle): then it is told what it says, and whether it holds by the keys that you
    name; if you name none, by those that follow from the DIDs of its signers.

    Exit code 0 if everything holds, 4 if anything does not or could not be checked. What is never judged here is
    not checked, as --explain says: bills of materials and manifests in media, which the hirer looks at, and what is
    about bytes, heads of logs or witnesses that are not in the pack.
    """
    if page is not None and pack is None:
        write_new(page, verifier_page(), force=force)
        out.value({"file": str(page)})
        out.line(f"{page}: open it in a browser, and a pack in it")
        return 0
    if page is not None:
        raise ConfigurationError("bad_configuration", "--page: it is written without a pack; export --page puts one in")
    if pack is None:
        raise click.UsageError("Missing argument 'PACK', or --page FILE for the verifier's page.")
    now = SystemClock().now() if at is None else instant_at(at)
    known = [read_document_file(file) for file in documents]
    cosigning = [_witness_named(text) for text in witnesses]
    with open_file(pack) as file, naming(pack):
        # One byte more than there may be is enough for the first step to refuse it.
        data = file.read(MAX_ARCHIVE_BYTES + 1)
    against = Against(
        now,
        tuple(known),
        {plain(text, 200): key_named(text) for text in keys},
        {str(thing): read_file(thing, MAX_ARCHIVE_BYTES) for thing in things},
    )
    if cosigning and is_proof(data):
        raise ConfigurationError("bad_configuration", f"--witness is for packs; {pack} is none")
    if (code := verify_file(out, data, against, explain=explain)) is not None:
        return code
    if things or keys:
        raise ConfigurationError("bad_configuration", f"--of and --key are for statements and proofs; {pack} is none")
    report, case = check_pack(data, now=now, known=known, witnesses=cosigning)
    if report.ok and (strangers := sorted(one.id for one in known if not _names(data, one.id))):
        # What is compared with nothing must not look as if it had been.
        raise ConfigurationError("bad_configuration", f"--did-document: nothing in it is of {', '.join(strangers)}")
    out.value(_report_json(report, now))
    _tell_steps(out, report, explain=explain)
    _tell_beside(out, report)
    if explain:
        _tell_explained(out, report, case)
    if report.ok:
        _tell_holds(out, report, None if at is None else now, explain=explain)
        return 0
    if not data.startswith(b"PK") or MANIFEST.encode() not in data:
        out.line(f"{pack} is none of the files that are judged: expected {KINDS}")
    first = next(step for step in report.steps if not step.ok)
    out.line(f"it does NOT hold: step {first.number} failed, {plain(first.name, 100)}", style="bold red")
    return CHECK_FAILED


def _report_json(report: Report, now: Instant) -> JsonObject:
    return {
        "ok": report.ok,
        "at": now,
        "engagement": report.engagement,
        "contract": report.contract,
        "state": report.state,
        "steps": [from_struct(one) for one in report.steps],
        "keys": [
            {"method": one.method, "kind": one.key.kind, "publicKeyMultibase": one.key.multikey, "known": one.known}
            for one in report.keys
        ],
        "notJudged": list(report.not_judged),
        "early": [from_struct(one) for one in report.early],
        "books": dict(report.books),
    }


def _tell_steps(out: Out, report: Report, *, explain: bool) -> None:
    for step in report.steps:
        skipped = step.detail.startswith("not checked:")
        if explain or not (step.ok or skipped):
            mark = "ok    " if step.ok else "-     " if skipped else "FAILED"
            code = f"{plain(step.code, 40)}: " if step.code and not skipped else ""
            out.line(
                f"{step.number:3}  {mark} {plain(step.name, 100):31} {code}{plain(step.detail, 400)}",
                style="" if step.ok else "dim" if skipped else "red",
            )


def _tell_beside(out: Out, report: Report) -> None:
    """What one side did too early, and that the books differ: nothing fails by these."""
    for one in report.early:
        signed = f", signed {one.signed}" if one.signed else ""
        out.line(f"     early  {plain(one.explain(), 300)}{signed}", style="yellow")
    if report.books:
        whose = {"moves": "what ended the contract"}
        differ = "; ".join(f"by {whose.get(who, f'the {who}')}, {owed} is owed" for who, owed in report.books)
        out.line(f"     books  they differ: {differ}", style="yellow")


def _tell_explained(out: Out, report: Report, case: Case) -> None:
    """The keys, what nobody judges, and of a pack that holds what was agreed and what came of it."""
    for one in report.keys:
        whose = "known" if one.known else "the pack's own"
        out.line(f"     key    {plain(one.method, 300)}: {one.key.kind} {one.key.multikey}, {whose}")
    for path in report.not_judged:
        out.line(f"     -      {plain(path, 300)}: of a kind that is not judged here, only unchanged", style="dim")
    if report.ok and case.sealed is not None:
        for line in _told(case):
            out.line(line, most=WHOLE)


def _tell_holds(out: Out, report: Report, at: Instant | None, *, explain: bool) -> None:
    """That it holds, as of the instant asked for, if one was; how far it goes, and whose keys only the pack says."""
    as_of = f" as of {at}" if at is not None else ""
    more = "" if explain else "; --explain shows them"
    state = report.state or "no state"
    ended = "" if state in ("closed", "withdrawn") else ", which is no end: the other side may hold more"
    out.line(
        f"it holds{as_of} (all {len(report.steps)} steps{more}), up to the state {plain(state, 40)}{ended}",
        style="bold green",
    )
    for step in report.steps:
        if step.detail.startswith("taken from the pack: "):
            # A did:web name is worth what its domain serves; offline, the pack is all there is.
            names = plain(step.detail.removeprefix("taken from the pack: "), 300)
            out.line(
                f"the keys of {names} are the pack's own: compare them with what these names publish (--explain "
                "shows them, --did-document FILE compares)"
            )


def _told(case: Case) -> Iterator[str]:
    """What was agreed in the end, and what came of it, of a pack that holds."""
    engagement, moves = engagement_of(case), [one.message for _, one in case.verified]
    packed = {digest for name in pack_of(case).members if (digest := name.removeprefix("artifacts/")) != name}
    document = document_at(case, maxsize)
    yield from contract_card(from_struct(document), {}, state=engagement.state, most=WHOLE).splitlines()
    artifacts = [item for one in moves if isinstance(one, Delivery) for item in one.artifacts]
    places = {one.name: f"{one.digest}, {'in' if one.digest in packed else 'not in'} the pack" for one in artifacts}
    yield from became(engagement, moves, places)
    yield from _hired(case)


def _hired(case: Case, above: str = "") -> Iterator[str]:
    """Whose packs lie in it, of what was hired under the contract, and under that."""
    for below in case.below:
        sealed = sealed_of(below)
        document, state = sealed.document, engagement_of(below).state
        hired = f"{document.provider} for {document.terms.task.kind}"
        yield f"Hired         {hired}{above}: {state}, contract {sealed.digest}, its pack holds"
        yield from _hired(below, f" by {document.provider}")


def _witness_named(text: str) -> NoteVerifier:
    option = f"--witness {plain(text, 200)}"
    with checking(option):
        verifier = read_verifier(text)
    if not verifier.cosigns:
        raise ConfigurationError("bad_configuration", f"{option}: the key of a log, not of a witness")
    return verifier


def _names(pack: bytes, did: Did) -> bool:
    """Whether a pack that holds, or one below it, has anything that names `did`."""
    return any(
        _names(data, did) if name.endswith(".zip") else did.encode() in data
        for name, data in read_archive(pack).items()
        if not name.startswith("artifacts/")
    )


@click.command()
@click.argument("pack", type=FilePath(path_type=Path), required=False)
@click.option("--what", type=click.Choice(list(TAMPERINGS)), metavar="KIND", help="Kind of tampering.")
@out_option("File to write.")
@FORCE_OPTION
@command
async def tamper(out: Out, pack: Path | None, what: str | None, file: Path | None, force: bool) -> None:
    """Make a pack that must not verify, to try out a verifier.

    Each KIND changes one thing as well as somebody can who has no key: digests and copies are made to agree.
    Without arguments the kinds are listed, with the step of verification that refuses each.
    """
    if pack is None:
        out.value({"kinds": [{"kind": name, "says": one.says, "step": one.step} for name, one in TAMPERINGS.items()]})
        for name, one in TAMPERINGS.items():
            out.line(f"{name:18} step {one.step}: {one.says}")
        return
    if what is None or file is None:
        raise ConfigurationError("bad_configuration", "tamper: name what to change with --what, and a file with --out")
    with about(pack):
        made = tampered(read_file(pack, MAX_ARCHIVE_BYTES), what)
    write_new(file, made, force=force)
    out.value({"file": str(file), "kind": what})
    out.line(f"{file}: {TAMPERINGS[what].says}")
    out.line(f"see what is refused:  {typed('verify {}', file)}")
