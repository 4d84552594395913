"""`undersigned hire`: meet an agent, judge it, agree, have the work done, check it, close the books."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import cast

import click

from undersigned.contract import MAX_REWORKS, MAX_TEXT, PAYMENTS
from undersigned.daemon import Hire, HireResult, Peer, needed_text
from undersigned.encoding import Did, EngagementId, from_struct
from undersigned.errors import ConfigurationError, UndersignedError
from undersigned.messages import Need
from undersigned.runtime import (
    SBOM_FORMATS,
    TASKS,
    Reviewed,
    checked_demands,
    checked_name,
    checked_text,
    control_at,
    why,
)

from .delivered import Failed, Written, not_written, write_artifacts
from .options import (
    AT_OPTION,
    FOLDER,
    FORCE_OPTION,
    GATES_OPTION,
    VERBOSE_OPTION,
    WAIT_OPTION,
    NamedPath,
    open_peer,
    quiet_logs,
    read_inputs,
    running,
)
from .output import HOME_OPTION, Out, meeting
from .reaching import checked_peer, hint_at, hint_at_unheard, tell_if_not_reached, tell_whose_turn
from .starting import tell_gates, tell_unfinished
from .telling import tell, tell_review
from .terms import check_prices, read_criteria, read_milestone, read_scope_options, read_settlement
from .words import counted, plain, typed

__all__ = ["hire"]


@click.command()
@click.argument("did")
@click.option("--task", required=True, metavar="TASK", help="What is to be done, in the provider's word: sbom.")
@click.option("--summary", metavar="TEXT", default="", help="What is to be done, for people; it is in the contract.")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    type=click.Path(),  # like the name of every file, that after the = may be any bytes
    metavar="NAME=FILE",
    help="A file to work on; it may be read. May be repeated.",
)
@click.option(
    "--allow",
    multiple=True,
    metavar="ACTION=TARGET",
    help="Something more it may do, such as 'repo:read=https://git.example/app/*;count<=10'. May be repeated.",
)
@click.option(
    "--scope",
    "scope_file",
    type=NamedPath(path_type=Path),
    metavar="FILE",
    help="A TOML file with [[scope.grant]] tables.",
)
@click.option("--price", metavar="PRICE", default="10 EUR", show_default=True, help="The most that is paid.")
@click.option(
    "--opening",
    metavar="PRICE",
    help="Price of the first offer, such as '3 EUR'; by default what the provider asks for.",
)
@click.option(
    "--decide-within",
    type=click.IntRange(1, 7 * 86_400),
    metavar="SECONDS",
    help="All the time until both are bound, people's approval on either side included; by default 900, or 3600 if the "
    "policy asks people.",
)
@click.option(
    "--finish-within",
    type=click.IntRange(1, 366 * 86_400),
    metavar="SECONDS",
    default=3600,
    show_default=True,
    help="How long the work may take, from the offer on; what is not delivered by then has failed.",
)
@click.option(
    "--out",
    "folder",
    type=FOLDER,
    help="Folder for what is delivered. What is there stays: a file of that name gets one with a number beside it.",
)
@FORCE_OPTION
@click.option(
    "--continues", metavar="ENGAGEMENT|DIGEST", help="The earlier refusal that this answers, with what it asked for."
)
@click.option(
    "--subcontracting",
    type=click.IntRange(0, 5),
    default=0,
    metavar="LEVELS",
    help="How many levels of others the provider may hire for it, under its contract. Default 0: none.",
)
@click.option("--onward", is_flag=True, help="It may hand the inputs on to whom it hires: with --subcontracting.")
@click.option(
    "--settlement",
    type=click.Choice(["none", "invoice", "manual", *PAYMENTS]),
    default="none",
    show_default=True,
    help="How the price is paid, elsewhere. By all but none and invoice the books wait for 'contract settle'.",
)
@click.option("--hook", metavar="URI", help="What x402 or ap2 wrote about the payment.")
@click.option(
    "--milestone",
    "milestones",
    multiple=True,
    metavar="NAME=PERCENT:CRITERION,...",
    help="A part of the price that is owed once these criteria are met, whatever becomes of the rest. May be repeated.",
)
@click.option(
    "--criterion",
    "criteria",
    multiple=True,
    metavar="ID=TEXT",
    help="What the work is held to. Whether it is met says the --verifier, or you, by 'contract review'. May be "
    "repeated.",
)
@click.option(
    "--max-bytes",
    type=click.IntRange(min=1),
    metavar="BYTES",
    help="The most that each thing delivered may have; it is in the contract. By default as [artifacts] says.",
)
@click.option(
    "--reworks",
    type=click.IntRange(0, MAX_REWORKS),
    default=0,
    metavar="TIMES",
    help="How often work that misses a criterion is asked for again. Default 0: it is rejected.",
)
@click.option(
    "--sbom",
    type=click.Choice(list(SBOM_FORMATS)),
    help="A bill of materials that has to come with the work, valid and describing each artifact.",
)
@click.option(
    "--c2pa",
    multiple=True,
    type=NamedPath(path_type=Path),
    metavar="FILE",
    help="Media have to carry a C2PA manifest of this contract, by a certificate that comes from one in FILE (PEM). "
    "May be repeated.",
)
@click.option("--verifier", metavar="DID", help="A third party that judges the work; see 'contract judge'.")
@click.option("--arbiter", metavar="DID", help="A third party that rules on disputes; see 'contract dispute'.")
@GATES_OPTION
@AT_OPTION
@WAIT_OPTION
@HOME_OPTION
@VERBOSE_OPTION
@meeting
async def hire(
    out: Out,
    did: str,
    task: str,
    summary: str,
    inputs: tuple[str, ...],
    allow: tuple[str, ...],
    scope_file: Path | None,
    price: str,
    opening: str | None,
    decide_within: int | None,
    finish_within: int,
    folder: Path | None,
    force: bool,
    continues: str | None,
    subcontracting: int,
    onward: bool,
    settlement: str,
    hook: str | None,
    milestones: tuple[str, ...],
    criteria: tuple[str, ...],
    max_bytes: int | None,
    reworks: int,
    sbom: str | None,
    c2pa: tuple[Path, ...],
    verifier: str | None,
    arbiter: str | None,
    gates: str | None,
    at: str | None,
    wait: float,
    home: str | None,
    verbose: bool,
) -> int:
    """Hire an agent: meet it, judge it, agree, have the work done, check it, close the books.

    What is interrupted is not over: it goes on when this peer runs again.
    """
    quiet_logs(verbose)
    opened = out.home(home)
    # All that can be wrong with the command is found before anybody is asked for anything.
    checked_peer(did, at, opened)
    checked_name("--task", task)
    files = read_inputs(inputs)
    known = TASKS.get(task)
    for name in known.inputs if known is not None else ():
        if name not in files:
            raise ConfigurationError("bad_configuration", f"the task {task} needs --input {name}=FILE")
    scope = read_scope_options(allow, scope_file)
    check_prices(price, opening)
    held = read_criteria(criteria)
    if held and known is not None and known.criteria:
        text = f"--criterion: the task {task} has criteria of its own, which are looked at by program"
        raise ConfigurationError("bad_configuration", text)
    agreed = read_settlement(
        settlement, hook, tuple(map(read_milestone, milestones)), held or (known.criteria if known else ())
    )
    if onward and not subcontracting:
        raise ConfigurationError(
            "bad_configuration", "--onward is about those whom the provider hires: it goes with --subcontracting LEVELS"
        )
    if len(summary) > MAX_TEXT:
        text = f"--summary: expected at most {MAX_TEXT:,} characters, got {len(summary):,}"
        raise ConfigurationError("bad_configuration", text)
    checked_text("--summary", summary)
    near = control_at(gates, opened.configuration.gates, "--gates") if gates is not None else None
    parties = (opened.configuration.did, did)
    await checked_demands(parties, task, verifier=verifier, arbiter=arbiter, sbom=sbom, c2pa=c2pa or None, mark="--")
    peer = open_peer(opened)
    peer.gates = near
    async with _writable(folder), running(out, peer):
        peer.reach_seconds = wait
        await tell_unfinished(out, peer, did, task)
        out.line(f"hiring {did} for {plain(task, 60)} as {peer.own.id}")
        tell_gates(out, peer)

        async def by_a_person(_: Reviewed) -> dict[str, bool]:
            """Says who is asked, and waits: the answer is an order of `contract review`, and not ours."""
            if (one := peer.conversations.get(under_way.engagement or "")) is not None:
                tell_review(out, one, peer.home.path)
            await asyncio.Event().wait()
            return {}

        under_way = peer.hire(
            did,
            task=task,
            summary=summary,
            inputs=files,
            price=price,
            opening=opening,
            scope=scope,
            at=at,
            continues=continues,
            decide_seconds=decide_within,
            finish_seconds=finish_within,
            subcontracting=subcontracting,
            onward=onward,
            settlement=agreed,
            max_bytes=max_bytes,
            reworks=reworks,
            sbom=sbom,
            verifier=verifier,
            arbiter=arbiter,
            c2pa=c2pa or None,
            criteria=held or None,
            review=by_a_person if held and verifier is None else None,
        )
        result = await _followed(out, peer, under_way, did, folder)
        written: dict[str, Written] = {}
        failed: dict[str, Failed] = {}  # told after the result: the work is accepted and owed all the same
        if folder is not None:
            written, failed = await write_artifacts(result.artifacts, folder, out, force=force)
        _tell_result(out, peer, result, written, failed, settles=settlement not in ("none", "invoice"))
        if folder is not None and failed:
            raise not_written(failed, folder, peer.artifacts.where)
        if result.unclosed is not None:
            raise result.unclosed
    return 0


@asynccontextmanager
async def _writable(folder: Path | None) -> AsyncGenerator[None]:
    """While files can be written there, which is seen before anything is agreed: what is delivered is owed for by then.
    A folder that was made for it and got nothing is taken away again.

    Raises:
        OSError: The folder cannot be made, or takes none.
    """
    made = [] if folder is None else [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            try:
                with TemporaryFile(dir=folder):
                    pass
            except OSError as exc:
                raise OSError(exc.errno, exc.strerror, str(folder)) from exc
        yield
    finally:
        for one in made:
            with suppress(OSError):  # there is something in it
                one.rmdir()


async def _followed(out: Out, peer: Peer, under_way: Hire, did: Did, folder: Path | None) -> HireResult:
    """What comes of a hire, each event told as it comes; `folder` is where what is delivered would be written.

    Raises:
        UndersignedError: It came to nothing; what can be done about that is told.
    """
    heard = asyncio.Event()
    impatient = asyncio.create_task(tell_if_not_reached(out, peer, did))
    turns = asyncio.create_task(tell_whose_turn(out, peer, under_way, heard))
    try:
        async for event in under_way:
            heard.set()
            tell(out, event)
        return await under_way
    except (asyncio.CancelledError, BrokenPipeError) as exc:
        if (engagement := under_way.engagement) is not None:
            _tell_interrupted(out, engagement, peer.home.path, folder, unheard=isinstance(exc, BrokenPipeError))
        raise
    except UndersignedError as error:
        hint_at(error)
        hint_at_unheard(error, peer, under_way)
        _tell_needs(out, error)
        raise
    finally:
        impatient.cancel()
        turns.cancel()


def _tell_interrupted(out: Out, engagement: EngagementId, home: Path, folder: Path | None, *, unheard: bool) -> None:
    """That it is not over, though the command is; `unheard` if nobody reads our output any more."""
    later = f"interrupted, but not over: {engagement} goes on when this peer runs again, with "
    later += typed("serve --home {}", home)
    if unheard:
        out.unheard(later)  # whoever read our output has left
        return
    out.value({"kind": "interrupted", "engagement": engagement})
    out.line(later, style="bold yellow")
    if folder is not None:
        shown = typed("contract show {} --home {}", engagement, home)
        out.line(f"what is delivered then is kept, and not written to {folder}: {shown} says where it is")


def _tell_result(
    out: Out, peer: Peer, result: HireResult, written: dict[str, Written], failed: dict[str, Failed], *, settles: bool
) -> None:
    """What was delivered, where it is, and what is owed; `settles` if the books wait for the payment."""
    out.value(
        {
            "kind": "result",
            "engagement": result.engagement,
            "contract": result.contract,
            "price": result.price,
            "criteria": result.criteria,
            "booksDiffer": [from_struct(one) for one in result.books],
            "artifacts": {name: result.artifacts.size(name) for name in result.artifacts},
            "written": {name: str(one.path) for name, one in written.items()},
            "unwritten": {name: why(error) for name, error in failed.items()},
            # What stands there is not what was delivered.
            "insteadOf": {name: str(one.instead_of) for name, one in written.items() if one.instead_of},
        }
    )
    out.line()
    out.line(f"accepted; owed {result.price}", style="bold green")
    for one in result.books:
        out.line(f"  books      the provider's differ: {plain(one.explain(), 300)}", style="yellow")
    out.line(f"  contract   {result.contract} with {result.provider}")
    met = [name for name, held in result.criteria.items() if held]
    out.line(f"  met        {plain(', '.join(met)) or 'no criteria were agreed'}")
    for name in result.artifacts:
        kept = f"{peer.artifacts.where} as {result.artifacts.digest(name)} (--out FOLDER writes a copy)"
        size = counted(result.artifacts.size(name), "byte")
        out.line(f"  delivered  {plain(name)}, {size}, in {_place(written[name]) if name in written else kept}")
    if settles and result.price.partition(" ")[0] != "0":
        settle = typed("contract settle {} --home {}", result.contract, peer.home.path)
        out.line(f"  payment    the books wait for {settle}, beside {typed('serve --home {}', peer.home.path)}")
    out.line(f"  evidence   {typed('export {} --home {}', result.engagement, peer.home.path)}")


def _place(written: Written) -> str:
    """Where an artifact is, and why there."""
    there = ", where it was already" if written.was_there else ""
    if written.instead_of is not None:
        hint = "" if written.instead_of.is_dir() else ": --force would write over it"
        there += f"; {written.instead_of} is something else, and stays{hint}"
    return f"{written.path}{there}"


def _tell_needs(out: Out, error: UndersignedError) -> None:
    """Of a withdrawal that says what it needs: that, and how one comes back with it."""
    needed = cast("tuple[Need, ...]", error.detail.get("needed", ()))
    if not needed:
        return
    withdrawal, engagement = str(error.detail["withdrawal"]), str(error.detail["engagement"])
    out.value(
        {
            "kind": "needed",
            "engagement": engagement,
            "withdrawal": withdrawal,
            "needed": [from_struct(need) for need in needed],
        }
    )
    for need in needed:
        out.line(f"  needed     {plain(needed_text(need), 1000)}")
    # What the other side asks for we can bring; what we ask for it can, or our own policy stops asking.
    once = "if that changes, or our policy" if error.detail.get("ours") else "once that is there"
    out.line(f"{once}:   {typed('hire … --continues {}', engagement)}")
