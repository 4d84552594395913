"""The command `trace`: where an artifact is from."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from hashlib import file_digest
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, cast

import click

from undersigned.encoding import Digest, digest_from_hex, digest_hex, from_struct
from undersigned.errors import ConfigurationError, UndersignedError
from undersigned.evidence import MAX_ARCHIVE_BYTES
from undersigned.runtime import (
    Home,
    OwnEvidence,
    SystemClock,
    checked_name,
    gather_evidence,
    judge_artifact,
    naming,
    open_file,
    read_file,
)
from undersigned.trace import State, TraceStep, Verdict, draw_trace, prov_document, trace

from .bar import bar
from .did_documents import read_document_file
from .options import DOCUMENTS_OPTION, FORCE_OPTION, NamedPath, open_gatherer, out_option, write_new
from .output import CHECK_FAILED, HOME_OPTION, OUTCOMES, Out, command, home_path, reading
from .words import counted, plain, typed

__all__ = [
    "PACK_OPTION",
    "check_artifact",
    "opened_home",
    "read_packs",
    "tell_verdict",
    "trace_",
]

MOST_LINES: Final = 24
"""Actions of one statement that are told one by one; --json has all of them."""
MOST_STEPS: Final = 64
"""Steps that are told unless somebody asks for more; a hire with its decisions has some twenty."""
STYLES: Final[dict[State, str]] = {"verified": "green", "stated": "", "missing": "yellow", "failed": "bold red"}
MAX_HASHED: Final = 1 << 36
"""Bytes of a file whose digest is asked for."""

PACK_OPTION = click.option(
    "--pack",
    "packs",
    multiple=True,
    type=NamedPath(path_type=Path),
    metavar="FILE",
    help="An evidence pack to look in as well, once it is verified. May be repeated.",
)


def digest_named(text: str) -> tuple[Digest, str]:
    """The digest that is meant, and how it is known: of the bytes of a file, or written as a digest or as hex.

    Raises:
        ConfigurationError: `bad_configuration`, it is neither.
    """
    path = Path(text)
    if path.is_file():
        if path.stat().st_size > MAX_HASHED:
            raise ConfigurationError("bad_configuration", f"{plain(path, 200)}: larger than {MAX_HASHED} bytes")
        with open_file(path) as file, naming(path):
            found = file_digest(cast("Any", file), "sha256").hexdigest()
        return digest_from_hex(found), f"the bytes of {plain(path, 200)} have this digest"
    try:
        hexes = digest_hex(text) if text.startswith("u") else text.removeprefix("sha256:").lower()
        return digest_from_hex(hexes), ""
    except UndersignedError as error:
        what = "not a regular file" if path.exists() and text else "no such file"
        raise ConfigurationError(
            "bad_configuration", f"{plain(text, 200)!r}: {what}, and not a digest (uEi… or 64 hex digits)"
        ) from error


def read_packs(files: tuple[Path, ...]) -> dict[str, bytes]:
    """The packs in these files, by the name of the file.

    Raises:
        ConfigurationError: `bad_configuration`, one is a statement or other JSON: a contract is found in packs alone.
    """
    found = {str(file): read_file(file, MAX_ARCHIVE_BYTES) for file in files}
    for name, data in found.items():
        if data[:64].lstrip().startswith(b"{"):
            raise ConfigurationError("bad_configuration", f"--pack {name}: no evidence pack; 'verify' reads statements")
    return found


def opened_home(out: Out, home: str | None, packs: tuple[Path, ...]) -> Home | None:
    """The state folder meant; None if none is named or there, and packs are: whoever has a pack needs nothing else.

    Raises:
        ConfigurationError: There is none, or it cannot be used.
    """
    if packs and home is None and not home_path(None).exists():
        return None
    return out.home(home)


@click.command("trace")
@click.argument("artifact", metavar="ARTIFACT|DIGEST", type=click.Path())
@PACK_OPTION
@DOCUMENTS_OPTION
@click.option(
    "--depth",
    type=click.IntRange(min=1),
    metavar="LEVELS",
    help="How many levels of steps are told; by default all, or of many so many as are read at a time. What fails is "
    "told at any depth.",
)
@click.option("--prov", is_flag=True, help="Write W3C PROV-O as JSON-LD to standard output, and nothing else.")
@out_option("Write an SVG picture.", option="--picture", name="picture")
@FORCE_OPTION
@HOME_OPTION
@command
async def trace_(
    out: Out,
    artifact: str,
    packs: tuple[Path, ...],
    documents: tuple[Path, ...],
    depth: int | None,
    prov: bool,
    picture: Path | None,
    force: bool,
    home: str | None,
) -> int:
    """Where is an artifact from? From the file, or its digest, through statement, actions and contract to the decision,
    the credentials and whoever was believed, also through what was hired for it.

    Each step says whether it was verified here, is somebody's signed word, or is not in the evidence. Exit code 0 if
    nothing that was checked fails, 4 if anything does, 2 if there is no trace of it.
    """
    digest, why = digest_named(artifact)
    known = [read_document_file(file) for file in documents]
    given, opened, now = read_packs(packs), opened_home(out, home, packs), SystemClock().now()
    async with reading(opened) if opened is not None else nullcontext() as ledger:
        own = OwnEvidence(ledger, opened, now) if ledger is not None and opened is not None else None
        with bar(out, "engagements") as told:
            evidence = await gather_evidence(digest, own=own, packs=given, now=now, known=known, told=told)
    if not evidence.made(digest):
        where = " or ".join(["this ledger"] * (own is not None) + ["these packs"] * bool(given))
        raise ConfigurationError("not_found", f"no delivery of {digest} in {where}: --pack brings what others hold")
    tree = trace(digest, evidence, why=why)
    if picture is not None:
        write_new(picture, draw_trace(tree, title=f"Trace of {digest}").encode(), force=force)
    if prov:
        click.echo(json.dumps(prov_document([tree])))
    else:
        out.value({"trace": from_struct(tree), **({"file": str(picture)} if picture is not None else {})})
        tell_steps(out, tree, depth)
        if picture is not None:
            out.line(f"picture: {picture}")
    return CHECK_FAILED if any(step.state == "failed" for step in tree.every) else 0


async def check_artifact(
    out: Out,
    artifact: str,
    purpose: str,
    packs: tuple[Path, ...],
    documents: tuple[Path, ...],
    home: str | None,
    *,
    offline: bool,
) -> int:
    """Should it be trusted for that? Tells the verdict, which is kept; 0 if it allows, 3 if it denies, 7 if it asks."""
    checked_name("--for", purpose)
    digest, _ = digest_named(artifact)
    known, given, opened = [read_document_file(file) for file in documents], read_packs(packs), out.home(home)
    async with reading(opened) as ledger, nullcontext() if offline else open_gatherer(opened) as gatherer:
        verdict, path = await judge_artifact(
            opened, ledger, digest, purpose, packs=given, known=known, gatherer=gatherer, clock=SystemClock()
        )
    out.value({"id": verdict.digest, "file": str(path), "verdict": from_struct(verdict)})
    tell_verdict(out, verdict, opened)
    return OUTCOMES[verdict.outcome]


def tell_verdict(out: Out, verdict: Verdict, home: Home) -> None:
    """Tells a verdict to people, and how it is made again."""
    first, *rest = verdict.explain().splitlines()
    out.line(
        plain(first, 2000), style={"allow": "bold green", "deny": "bold red", "ask": "bold yellow"}[verdict.outcome]
    )
    for line in rest:
        out.line(plain(line, 2000))
    out.line(f"make it again:  {typed('decision replay {} --home {}', verdict.digest, home.path)}")


def tell_steps(out: Out, tree: TraceStep, depth: int | None = None) -> None:
    """Tells a tree to people, a step on two lines: what it is; and what was checked of it, with its name. What follows
    from a step below `depth` is counted.
    """
    levels = list(_levels(tree))
    depth = depth or _fitting(levels)
    for branch, indent, step, more in _lines(tree, "", "", depth):
        out.line(f"{branch}{step.kind:11} {plain(step.text, 300)}", style="bold" if step.kind == "artifact" else "")
        name = f"  {plain(step.name, 120)}" if step.name.startswith(("uEi", "did:")) else ""
        out.line(f"{indent}  {step.state}: {plain(step.why, 400)}{name}", style=STYLES[step.state] or "dim")
        if more:
            under = [one.name for one in step.steps if one.kind == "contract"]
            out.line(f"{indent}  ... {more}{''.join(f'; contract {plain(name, 120)}' for name in under)}", style="dim")
    out.line(_counted(tree.every))
    if depth < len(levels):
        out.line(f"told to level {depth} of {len(levels)}: --depth {len(levels)} tells all, and --json", style="dim")


def _levels(tree: TraceStep) -> Iterator[list[TraceStep]]:
    """The steps of a tree, level by level."""
    level = [tree]
    while level:
        yield level
        level = [below for one in level for below in _told(one)]


def _fitting(levels: list[list[TraceStep]]) -> int:
    """How many levels have not too many steps together, the artifact and its deliveries at least."""
    sums = accumulate(map(len, levels))
    return max(2, sum(total <= MOST_STEPS for total in sums))


def _counted(steps: Iterable[TraceStep]) -> str:
    counts = Counter(step.state for step in steps)
    return ", ".join(f"{counts[state]} {state}" for state in STYLES if counts[state])


def _lines(step: TraceStep, branch: str, indent: str, depth: int) -> Iterator[tuple[str, str, TraceStep, str]]:
    """Each step that is told, what stands before its lines, and what follows from it and is not told."""
    below = [one for steps in step.steps for one in steps.every] if depth <= 1 else []
    if below and not any(one.state == "failed" for one in below):
        yield branch, f"{indent}  ", step, f"{counted(len(below), 'step')} more: {_counted(below)}"
        return
    yield branch, indent + ("│ " if step.steps else "  "), step, ""
    shown = _told(step)
    for place, one in enumerate(shown, start=1):
        last = place == len(shown)
        yield from _lines(one, f"{indent}{'└ ' if last else '├ '}", f"{indent}{'  ' if last else '│ '}", depth - 1)


def _told(step: TraceStep) -> list[TraceStep]:
    """What follows from a step, and of many actions the first, and those that failed or are omitted."""
    actions = [place for place, one in enumerate(step.steps) if one.kind == "action"][MOST_LINES:]
    left_out = {place for place in actions if step.steps[place].state == "stated"}
    shown = [one for place, one in enumerate(step.steps) if place not in left_out]
    if left_out:
        more = f"{counted(len(left_out), 'more action')}: --json has them"
        shown.append(TraceStep(kind="action", name="", text=more, state="stated", why="left out here"))
    return shown
