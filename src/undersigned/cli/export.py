"""`undersigned export`: the evidence pack of an engagement, or what shows that the other side said two things."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from undersigned.encoding import EngagementId, digest_bytes
from undersigned.errors import ConfigurationError
from undersigned.evidence import CHECKPOINT, MAX_ARCHIVE_BYTES, read_archive, verifier_page, verify_pack
from undersigned.ledger import Ledger
from undersigned.runtime import ABSENT, Absent, Home, SystemClock, equivocation_proof, export_pack, left_out, read_file
from undersigned.transparency import COSIGNATURE, key_hint, read_note

from .options import FORCE_OPTION, out_option, write_new
from .output import HOME_OPTION, Out, command, engagement_named, reading
from .words import counted, plain, typed

__all__ = ["export", "export_to"]

KIND_NAMES = {
    "approval": ("approval",),
    "artifact": ("artifact",),
    "credential": ("credential",),
    "decision": ("decision",),
    "policy": ("policy", "policies"),
    "refusal": ("refusal",),
    "status": ("status list",),
}
"""What can be withheld: its kind, and how one and several of it are called."""


async def export_to(
    home: Home,
    named: str | None,
    file: Path | None,
    *,
    absent: Callable[[Absent], None] = lambda _: None,
    force: bool = False,
    withhold: tuple[str, ...] = (),
) -> Path:
    """Writes the pack of an engagement (by default the newest with a contract), once it holds; returns where. `absent`
    hears which artifacts are not in it.

    Raises:
        ConfigurationError: `not_found`, there is no such engagement; `bad_configuration`, it is not written there.
        BrokenPack: What is recorded makes no pack that holds; with the code of the step.
    """
    async with reading(home) as store:
        engagement = await engagement_named(store, named) if named is not None else await _newest(store)
        kept = home.open_artifacts()
        data = await export_pack(
            store, kept, home.configuration.did, engagement, withhold=withhold, ours=home.documents(), absent=absent
        )
    # Whoever needs evidence years later must not learn then that it never held.
    verify_pack(data, now=SystemClock().now()).require_ok(f"the record of {engagement}")
    path = file or home.evidence / f"{engagement.rpartition(':')[2][4:16]}.zip"
    if file is None:
        home.evidence.mkdir(exist_ok=True)
    elif not path.parent.is_dir():
        raise ConfigurationError("bad_configuration", f"--out: there is no folder {path.parent}")
    if not (path.exists() and read_file(path, MAX_ARCHIVE_BYTES) == data):
        write_new(path, data, force=force)
    return path


async def _export_equivocation(out: Out, home: Home, named: str | None, file: Path | None, *, force: bool) -> None:
    if named is None or file is None:
        raise ConfigurationError("bad_configuration", "--equivocation: name the engagement, and a file with --out")
    async with reading(home) as store:
        data = await equivocation_proof(store, await engagement_named(store, named))
    write_new(file, data, force=force)
    out.value({"file": str(file), "evidence": digest_bytes(data)})
    out.line(f"{file}: {digest_bytes(data)}")


async def _newest(store: Ledger) -> EngagementId:
    found = [summary for summary in await store.summaries() if summary.contract is not None]
    if not found:
        raise ConfigurationError("not_found", "this ledger holds no contract yet; name an engagement to export it")
    return max(found, key=lambda summary: summary.updated).engagement


@click.command()
@click.argument("engagement", required=False)
@out_option(
    "File to write; by default one in the folder evidence/ of the state folder. One that has the same bytes stays.",
    early=False,
)
@FORCE_OPTION
@click.option(
    "--equivocation",
    is_flag=True,
    help="Write to --out, in place of the pack, two moves that the other side signed for one place, or two "
    "histories of its log, if it did: the evidence of an accusation.",
)
@click.option(
    "--withhold",
    multiple=True,
    metavar="PATTERN",
    help="Leave out all of a folder, such as 'decisions', or some of it, such as 'artifacts/uEi*', and list "
    "commitments in place of them: the rest still verifies. For approvals, artifacts, credentials, decisions, "
    "policies, refusals and status. May be repeated. What names nothing is an error.",
)
@out_option(
    "Write a page beside it, for people: the verifier for browsers with the pack in it.", option="--page", name="page"
)
@HOME_OPTION
@command
async def export(
    out: Out,
    engagement: str | None,
    file: Path | None,
    force: bool,
    equivocation: bool,
    withhold: tuple[str, ...],
    page: Path | None,
    home: str | None,
) -> None:
    """Write the evidence pack of an engagement: one file that anybody can check.

    ENGAGEMENT is its id, its contract's digest, or a part of either; by default the newest with a contract. Nothing is
    written that would not hold. An artifact that cannot be read here, or is too large, is not in it, and is named.
    """
    if equivocation:
        await _export_equivocation(out, out.home(home), engagement, file, force=force)
        return
    absent: list[Absent] = []
    opened = out.home(home)
    path = await export_to(opened, engagement, file, absent=absent.append, force=force, withhold=withhold)
    data = read_file(path, MAX_ARCHIVE_BYTES)
    if page is not None:
        write_new(page, verifier_page(data), force=force)
    hidden, missing = left_out(data), _not_cosigned(data, opened)
    out.value(
        {"file": str(path), "bytes": len(data)}
        | ({"page": str(page)} if page is not None else {})
        | ({"withheld": hidden} if hidden else {})
        | ({"absent": [one._asdict() for one in absent]} if absent else {})
        | ({"notCosignedBy": missing} if missing else {})
    )
    out.line(f"{path} ({counted(len(data), 'byte')})")
    if hidden:
        kinds = ", ".join(counted(number, *KIND_NAMES[kind]) for kind, number in hidden.items())
        out.line(f"left out, a commitment in place of each: {kinds}", style="yellow")
    for one in absent:
        out.line(f"not in it: {plain(one.name, 120)}, {one.digest}: {ABSENT[one.why]} ({one.place})", style="yellow")
    if missing:
        names = plain(", ".join(missing), 300)
        out.line(f"without a line of {names}: a peer that runs has its log cosigned twice a minute", style="yellow")
    if page is not None:
        out.line(f"{page}: open it in a browser. Others had better open the pack in a page of their own.")
    out.line(f"check it:  {typed('verify {} --explain', path)}")


def _not_cosigned(pack: bytes, home: Home) -> list[str]:
    """The witnesses of the settings who have no line on the checkpoint that a pack stands under."""
    note = read_archive(pack).get(CHECKPOINT)
    lines: set[tuple[str, bytes]] = set()
    if note is not None:
        lines.update((name, hint) for name, hint, _ in read_note(note.decode()).signatures)
    ours = [one.verifier for one in home.witnesses]
    return [one.name for one in ours if (one.name, key_hint(one.name, COSIGNATURE, one.key.raw)) not in lines]
