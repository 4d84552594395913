"""Commands about evidence: `export`, `verify`."""

from __future__ import annotations

from pathlib import Path

import click

from undersigned.errors import ConfigurationError
from undersigned.evidence import verify_pack
from undersigned.ledger import open_ledger
from undersigned.runtime import ArtifactStore, Home, SystemClock, export_pack

from .output import Out, command, home_path, plain

__all__ = ["export", "export_to", "verify"]


async def export_to(home: Home, engagement: str | None, file: Path | None) -> Path:
    """Writes the pack of an engagement (by default the newest) and returns where.

    Raises:
        ConfigurationError: `not_found`.
    """
    store = await open_ledger(home.ledger_url, read_only=True)
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
@click.option("--out", "file", type=click.Path(path_type=Path, dir_okay=False), help="File to write.")
@click.option("--home", metavar="FOLDER", help="State folder (or UNDERSIGNED_HOME).")
@command
async def export(out: Out, engagement: str | None, file: Path | None, home: str | None) -> None:
    """Write the evidence pack of an engagement (by default the newest): one file that anybody can check."""
    path = await export_to(Home(home_path(home)), engagement, file)
    out.value({"pack": str(path), "bytes": path.stat().st_size})
    out.line(f"{path} ({path.stat().st_size} bytes)")
    out.line(f"check it:  undersigned verify {path}")


@click.command()
@click.argument("pack", type=click.Path(path_type=Path))
@click.option("--explain", is_flag=True, help="Show every step, not only those that failed.")
@command
async def verify(out: Out, pack: Path, explain: bool) -> int:
    """Check an evidence pack: no network, no state folder, no key. Exit code 4 if anything does not hold."""
    try:
        data = pack.read_bytes()
    except OSError as exc:
        raise ConfigurationError("bad_configuration", f"{pack}: {exc.strerror or exc}") from exc
    report = verify_pack(data, now=SystemClock().now())
    out.value(
        {
            "ok": report.ok,
            "steps": [
                {"number": s.number, "name": s.name, "ok": s.ok, "code": s.code, "detail": s.detail}
                for s in report.steps
            ],
        }
    )
    for step in report.steps:
        if explain or not step.ok:
            mark = "ok    " if step.ok else "FAILED"
            text = f"{step.number:3}  {mark} {plain(step.name, 100)}  {plain(step.code, 40)} {plain(step.detail, 400)}"
            out.line(text.rstrip(), style="" if step.ok else "red")
    failed = sum(1 for step in report.steps if not step.ok)
    verdict = f"it holds: {len(report.steps)} steps" if report.ok else f"it does NOT hold: {failed} steps failed"
    out.line(verdict, style="bold green" if report.ok else "bold red")
    return 0 if report.ok else 4
