"""The command `interop`: implementations hire each other, every pair in both roles, and a matrix of it is written."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from undersigned import __version__
from undersigned.errors import ConfigurationError
from undersigned.interop import HIRES, Cell, matrix_report, play_pairs, read_peers, started, write_matrix
from undersigned.runtime import SystemClock, checked_url, sign_record

from .interrupts import ended_gently
from .options import FILE, FOLDER, Seconds, quiet_logs
from .output import HOME_OPTION, PEER_BROKE, UNREACHABLE, Out, meeting
from .words import counted, plain

__all__ = ["interop"]

STYLES = {"passed": "green", "failed": "bold red", "left out": "yellow"}


@click.command()
@click.option(
    "--peers",
    "file",
    type=FILE,
    required=True,
    help="TOML of the implementations: how each is started, or where it listens.",
)
@click.option(
    "--report",
    "folder",
    type=FOLDER,
    help="Folder to write interop.json, interop.html and the transcript of each pair into, over those of an earlier "
    "run.",
)
@click.option("--only", multiple=True, metavar="NAME", help="Implementations of the file. May be repeated.")
@click.option(
    "--wait",
    type=Seconds(1, 600),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long one hire may take.",
)
@click.option(
    "--at-a-time", type=click.IntRange(1, 16), metavar="COUNT", default=2, show_default=True, help="Pairs side by side."
)
@click.option("--sign", is_flag=True, help="Sign the report by the key of the state folder.")
@HOME_OPTION
@click.option("--local", is_flag=True, help="Allow http and ws on loopback.")
@meeting
async def interop(
    out: Out,
    file: Path,
    folder: Path | None,
    only: tuple[str, ...],
    wait: float,
    at_a_time: int,
    sign: bool,
    home: str | None,
    local: bool,
) -> int:
    """Have implementations hire each other: every pair, in both roles, and each a second instance of itself.

    Each is told by its hook to hire, and both tell afterwards what came of it; a pair passes if they tell one story.

    Ends with exit code 5 if a pair does not, with 6 if an implementation cannot be started, or its hook cannot be
    reached or says nothing that could be judged, and with 2 if no pair could be played.
    """
    quiet_logs(False)
    entries = tuple(one for one in read_peers(file) if not only or one.name in only)
    if missing := set(only) - {one.name for one in entries}:
        raise click.BadParameter(f"{file} names no {', '.join(sorted(missing))}", param_hint="--only")
    for entry in entries:
        if entry.url:
            checked_url(entry.url, local, f"url of {entry.name}")
    signer = out.home(home) if sign else None
    clock = SystemClock()
    began = clock.now()
    out.value({"kind": "run", "peers": [one.name for one in entries], "hires": [one.id for one in HIRES]})
    pairs = len(entries) ** 2
    out.line(f"{counted(pairs, 'pair')} of {counted(len(entries), 'implementation')}, {len(HIRES)} hires each")
    with ended_gently(), tempfile.TemporaryDirectory() as states:
        async with started(entries, base=file.absolute().parent, folder=Path(states)) as instances:
            for one in instances:
                out.value({"kind": "peer", "name": one.entry.name, "did": one.did, "trouble": plain(one.trouble, 2000)})
                if one.trouble:
                    out.line(f"{one.entry.name}: {plain(one.trouble, 1000)}", style=STYLES["failed"])
            cells = await play_pairs(
                instances,
                local=local,
                seconds=wait,
                at_a_time=at_a_time,
                done=lambda cell: _tell(out, cell),
            )
    report = matrix_report(cells, instances, version=__version__, began=began, ended=clock.now())
    if signer is not None:
        report = await sign_record(signer, report, clock.now())
    if folder is not None:
        write_matrix(folder, report, cells)
        out.line(f"report in {folder}")
    failed, left = (sum(1 for cell in cells if cell.outcome == outcome) for outcome in ("failed", "left out"))
    out.value({"kind": "end", "passed": report["passed"], "failed": failed, "leftOut": left, "pairs": len(cells)})
    if failed:
        out.line(f"{counted(failed, 'pair')} of {len(cells)} failed")
    elif report["passed"]:
        out.line(f"every pair passed{f' but {left} that were left out' if left else ''}")
    if any(one.trouble for one in instances) or any(hire.silent for cell in cells for hire in cell.hires):
        return UNREACHABLE
    if left == len(cells):
        raise ConfigurationError("bad_configuration", "nothing was judged: no pair could be played")
    return PEER_BROKE if failed else 0


def _tell(out: Out, cell: Cell) -> None:
    passed = sum(1 for one in cell.hires if one.outcome == "passed")
    out.value(
        {
            "kind": "pair",
            "hirer": cell.hirer,
            "provider": cell.provider,
            "outcome": cell.outcome,
            "detail": plain(cell.detail, 2000),
            "hires": {one.order.id: one.outcome for one in cell.hires},
        }
    )
    said = f"{cell.outcome:9} {cell.hirer} hires {cell.provider}: {passed} of {len(cell.hires)}"
    out.line(said, style=STYLES[cell.outcome])
    if cell.detail:
        out.line(f"{'':10}{plain(cell.detail, 1000)}")
