"""Commands about evidence: `export`, `verify`."""

from __future__ import annotations

from pathlib import Path

import click

from undersigned.errors import ConfigurationError
from undersigned.evidence import MAX_PACK_BYTES, verify_pack
from undersigned.runtime import ArtifactStore, Home, SystemClock, export_pack

from .output import HOME_OPTION, Out, command, counted, plain, program, reading

__all__ = ["export", "export_to", "verify"]


async def export_to(home: Home, engagement: str | None, file: Path | None) -> Path:
    """Writes the pack of an engagement (by default the newest) and returns where.

    Raises:
        ConfigurationError: `not_found`.
    """
    store = await reading(home)
    try:
        found = await store.summaries()
        if engagement is None:
            if not found:
                raise ConfigurationError("not_found", "this ledger holds no engagement yet")
            engagement = max(found, key=lambda summary: summary.updated).engagement
        data = await export_pack(store, ArtifactStore(home.artifacts), home.configuration.did, engagement)
    finally:
        await store.close()
    path = file or home.evidence / f"{engagement.rpartition(':')[2][4:16]}.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@click.command()
@click.argument("engagement", required=False)
@click.option(
    "--out",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write; by default one in the folder evidence/ of the state folder.",
)
@HOME_OPTION
@command
async def export(out: Out, engagement: str | None, file: Path | None, home: str | None) -> None:
    """Write the evidence pack of an engagement (by default the newest): one file that anybody can check."""
    path = await export_to(out.home(home), engagement, file)
    size = path.stat().st_size
    out.value({"pack": str(path), "bytes": size})
    out.line(f"{path} ({counted(size, 'byte')})")
    out.line(f"check it:  {program()} verify {path} --explain")


@click.command()
@click.argument("pack", type=click.Path(path_type=Path))
@click.option("--explain", is_flag=True, help="Show every step, not only those that failed.")
@command
async def verify(out: Out, pack: Path, explain: bool) -> int:
    """Check an evidence pack: no network, no state folder, no key.

    Exit code 0 if everything holds, 4 if anything does not.
    """
    try:
        if pack.exists() and (not pack.is_file() or pack.stat().st_size > MAX_PACK_BYTES):
            raise ConfigurationError("bad_configuration", f"{pack} is no file of at most {MAX_PACK_BYTES} bytes")
        data = pack.read_bytes()
    except OSError as exc:
        raise ConfigurationError("bad_configuration", f"{pack}: {exc.strerror or exc}") from exc
    report = verify_pack(data, now=SystemClock().now())
    out.value(
        {
            "ok": report.ok,
            "engagement": report.engagement,
            "contract": report.contract,
            "state": report.state,
            "steps": [
                {"number": s.number, "name": s.name, "ok": s.ok, "code": s.code, "detail": s.detail}
                for s in report.steps
            ],
        }
    )
    for step in report.steps:
        skipped = step.detail.startswith("not checked:")
        if explain or not (step.ok or skipped):
            mark = "ok    " if step.ok else "-     " if skipped else "FAILED"
            code = f"{plain(step.code, 40)}: " if step.code and not skipped else ""
            out.line(
                f"{step.number:3}  {mark} {plain(step.name, 100):27} {code}{plain(step.detail, 400)}",
                style="" if step.ok else "dim" if skipped else "red",
            )
    if report.ok:
        more = "" if explain else "; --explain shows them"
        state = report.state or "no state"
        ended = "" if state in ("closed", "withdrawn") else ", which is no end: the other side may hold more"
        out.line(
            f"it holds (all {len(report.steps)} steps{more}), up to the state {plain(state, 40)}{ended}",
            style="bold green",
        )
        for step in report.steps:
            if step.detail.startswith("taken from the pack: "):
                # A did:web name is worth what its domain serves; offline, the pack is all there is.
                names = plain(step.detail.removeprefix("taken from the pack: "), 300)
                out.line(f"the keys of {names} are the pack's own: compare them with what these names publish")
    else:
        first = next(step for step in report.steps if not step.ok)
        out.line(f"it does NOT hold: step {first.number} failed, {plain(first.name, 100)}", style="bold red")
    return 0 if report.ok else 4
