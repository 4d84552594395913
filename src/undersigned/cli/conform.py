"""The command `conform`: plays the other side of a hire against any implementation, and says what it got wrong."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import click
from click.core import ParameterSource

from undersigned.daemon import checked_server
from undersigned.errors import ConfigurationError
from undersigned.interop import (
    FAULTS,
    GROUPS,
    PROFILES,
    Result,
    Run,
    RunLimits,
    Scenario,
    Stage,
    Subject,
    bearing,
    chosen,
    compatibility,
    extent,
    faulty_wire,
    judged,
    passes,
    play_all,
    read_expected,
    replayed,
    summary,
    verdict,
    write_reports,
)
from undersigned.interop import transcript as transcript_of
from undersigned.protocol import Role
from undersigned.runtime import SystemClock, checked_url, parse_price, read_file, sign_record, split_port
from undersigned.testing import GUILD

from .interrupts import ended_gently
from .options import FILE, FOLDER, Seconds, checked_did, listen_option, quiet_logs
from .output import HOME_OPTION, INTERRUPTED, PEER_BROKE, UNREACHABLE, Out, meeting
from .reports import MAX_INPUT, MAX_TRANSCRIPT, manifest_of, text_of, verified
from .words import counted, plain

__all__ = ["conform"]

DEFECT = 1
BAD, ODD = "bold red", "yellow"
STYLES = {
    "passed": "green",
    "failed": BAD,
    "not applicable": ODD,
    "expected": ODD,
    "stale": BAD,
    "defect": BAD,
    "given up": BAD,
}
OF_EVERY_COMMAND = ("as_json",)


def web_did(url: str) -> str:
    """The `did:web` of the host that a URL names."""
    return "did:web:" + quote(urlsplit(url).netloc, safe=".")


@click.command()
@click.argument("url", required=False)
@click.option("--did", metavar="DID", help="Who listens there; by default the did:web of its host.")
@click.option(
    "--role",
    type=click.Choice(["provider", "hirer"]),
    default="provider",
    show_default=True,
    help="The role of the implementation; we play the other one.",
)
@click.option(
    "--profile",
    type=click.Choice(list(PROFILES)),
    default="core",
    show_default=True,
    help="The class that it is held to; of the others it is said how they are shown.",
)
@click.option("--task", metavar="TASK", default="summary", show_default=True, help="What it can be hired for.")
@click.option(
    "--price",
    default="5.00 EUR",
    show_default=True,
    metavar="PRICE",
    help="What is offered, where its Profile names no price.",
)
@click.option(
    "--input",
    "work_on",
    metavar="NAME=FILE",
    help="What it is given to work on, text of at most 1 MiB; by default a line of text named 'report'.",
)
@listen_option("Where we serve inputs and documents, and take connections of a hirer", "localhost:0")
@click.option(
    "--reached-at",
    metavar="URL",
    help="The http or https URL at which the implementation reaches --listen, if it is not on this machine.",
)
@click.option("--hook", metavar="URL", help="Where its hook is, by which it is told to hire; for --role hirer.")
@click.option(
    "--token-file",
    type=FILE,
    help="What to show to the hook, in a file.",
)
@click.option(
    "--faults",
    type=click.Choice(list(FAULTS)),
    default="none",
    show_default=True,
    help="What happens on the way, by seed.",
)
@click.option("--all", "every", is_flag=True, help="Play every scenario, not only the small set.")
@click.option(
    "--only", multiple=True, metavar="ID", help="Scenarios whose id begins so, or of a group. May be repeated."
)
@click.option(
    "--seed",
    metavar="WORD",
    help="Decides what happens on the way, and may be used again. A fresh one by default.",
)
@click.option(
    "--wait",
    type=Seconds(0.1, 600),
    metavar="SECONDS",
    help="How long to wait for one answer. 10 by default, and 60 where connections break: who was cut off waits before "
    "it comes back, or says again what was lost.",
)
@click.option(
    "--at-a-time",
    type=click.IntRange(1, 64),
    metavar="COUNT",
    default=8,
    show_default=True,
    help="Scenarios played side by side.",
)
@click.option(
    "--report",
    "folder",
    type=FOLDER,
    help="Folder to write compatibility.json, compatibility.html, junit.xml, transcript.jsonl and badge.json into, "
    "over those of an earlier run.",
)
@click.option(
    "--expected",
    "expected_file",
    type=FILE,
    help="TOML of scenarios that are known to fail, an [[expected]] for each, with its `id` and a `reason`; one that "
    "does not fail any more fails the run.",
)
@click.option(
    "--name", default="", metavar="NAME", help="What the report calls the implementation; by default its DID."
)
@click.option("--release", default="", metavar="VERSION", help="The version of the implementation, for the report.")
@click.option(
    "--vectors",
    type=FILE,
    help="MANIFEST.sha256 of the vectors that the implementation passes; the report states its digest. With --verify: "
    "your own, to compare.",
)
@click.option("--sign", is_flag=True, help="Sign the report by the key of the state folder.")
@HOME_OPTION
@click.option("--local", is_flag=True, help="Allow http and ws on loopback.")
@click.option(
    "--replay",
    "transcript",
    type=FILE,
    help="Judge what a transcript.jsonl holds anew, without the implementation; takes --only and nothing else.",
)
@click.option(
    "--verify",
    "signed",
    type=FILE,
    help="Check who signed a compatibility.json or interop.json that somebody sent, and play nothing.",
)
@click.option(
    "--did-document",
    "document",
    type=FILE,
    help="With --verify: the DID document of the signer, as published; by default it is fetched.",
)
@click.option("--list", "only_list", is_flag=True, help="Only list the scenarios.")
@meeting
async def conform(
    out: Out,
    url: str | None,
    did: str | None,
    role: Role,
    profile: str,
    task: str,
    price: str,
    work_on: str | None,
    listen: str,
    reached_at: str | None,
    hook: str | None,
    token_file: Path | None,
    faults: str,
    every: bool,
    only: tuple[str, ...],
    seed: str | None,
    wait: float | None,
    at_a_time: int,
    folder: Path | None,
    expected_file: Path | None,
    name: str,
    release: str,
    vectors: Path | None,
    sign: bool,
    home: str | None,
    local: bool,
    transcript: Path | None,
    signed: Path | None,
    document: Path | None,
    only_list: bool,
) -> int:
    """Hold an implementation of the protocol against its specification, from outside.

    URL is where it listens. We play its counterparty, a second one, and an attacker, over real sockets. It has to
    believe memberships that the organisation named in the first line issues; the key of that organisation is public, so
    let no other instance believe it than one that is made to be tested.

    It has to offer --task with room (capacity) for as many contracts as are played at a time.

    Ends with exit code 5 if it broke the protocol, and with 6 if it was given up: it could not be found or reached,
    said nothing that could be judged, does not believe that organisation, does not offer the task, or has no room.
    With 1 if a scenario met a defect of ours, and with 130 if it was interrupted; what was judged is in the report.
    """
    quiet_logs(False)
    if signed is not None:
        _alone("--verify", "document", "local", "vectors")
        return await verified(out, signed, document, local, manifest_of(vectors) if vectors is not None else None)
    if transcript is not None:
        _alone("--replay", "only")
        return await _replayed(out, transcript, only)
    if missing := PROFILES[profile]:
        raise ConfigurationError(
            "bad_configuration",
            f"--profile {profile}: there are no scenarios of this class, because {missing}; what shows it are the "
            f'vectors whose case.json has "class": "{profile}", by protocol-spec/vectors/README.md',
        )
    scenarios = bearing(chosen(role, every=every, only=only), faults)
    if not scenarios:
        raise ConfigurationError(
            "bad_configuration", f"nothing to judge: none of these scenarios is played under --faults {faults}"
        )
    if only_list:
        for one in scenarios:
            out.value({"id": one.id, "title": one.title, "group": one.group, "level": one.level})
            out.line(f"{one.id:44} {one.level:6} {one.title}")
        return 0
    if url is None:
        raise ConfigurationError("bad_configuration", "say where the implementation listens: conform URL")
    checked_url(url, local, "URL")
    known_to_fail: Mapping[str, str] = read_expected(expected_file) if expected_file is not None else {}
    ids = [one.id for one in chosen(role, every=True)]
    judged((), known_to_fail, ids)  # an entry that names nothing is told before anything is played
    manifest = manifest_of(vectors) if vectors is not None else None
    signer = out.home(home) if sign else None
    given, content = _content(work_on)
    at = _listen(listen, reached_at)
    subject = Subject(
        url=url,
        did=checked_did(web_did(url) if did is None else did, local),
        task=task,
        price=parse_price(price, "--price"),
        input=given,
        content=content,
        hook=_hook(hook, role),
        token=text_of("--token-file", token_file).strip() if token_file is not None else "",
        local=local,
    )
    seed = seed or secrets.token_hex(8)
    out.value({"kind": "run", "url": url, "did": subject.did, "role": role, "profile": profile, "seed": seed})
    out.line(f"{counted(len(scenarios), 'scenario')} of profile {profile} against {subject.did} as {role}, seed {seed}")
    out.line(f"it has to believe memberships issued by {GUILD.did}")
    if wait is None:
        wait = 60.0 if faults == "cuts" else 10.0
    limits = RunLimits(answer=wait, scenario=max(60.0, 6 * wait), upgrade=min(wait, 10.0))
    clock = SystemClock()
    began = clock.now()
    async with _staged(
        Stage(subject, seed=seed, limits=limits, listen=at, reached_at=reached_at), role, faults
    ) as stage:
        played, said, interrupted = await _played(out, stage, scenarios, at_a_time)
    results = judged(played, known_to_fail, ids)
    run = Run(
        implementation=name or subject.did,
        version=release,
        did=subject.did,
        role=role,
        profile=profile,
        seed=seed,
        faults=faults,
        began=began,
        ended=clock.now(),
        vectors=manifest,
        interrupted=interrupted,
    )
    if folder is not None:
        whole = transcript_of(said)
        report = compatibility(run, results, whole)
        if signer is not None:
            report = await sign_record(signer, report, clock.now())
        write_reports(folder, report, results, whole)
        out.line(f"report in {folder}")
    code = _end(out, results, interrupted=interrupted, of=len(scenarios))
    if folder is None and code == PEER_BROKE:
        out.line("what was sent and what came is written with --report FOLDER; --only ID plays one scenario again")
    return code


def _alone(option: str, *heeded: str) -> None:
    """Refuses whatever is said beside an option that does not heed it."""
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if given and option not in parameter.opts and name not in (*heeded, *OF_EVERY_COMMAND):
            what = parameter.opts[0] if isinstance(parameter, click.Option) else "URL"
            raise ConfigurationError("bad_configuration", f"{option} plays nothing, and does not heed {what}")


@asynccontextmanager
async def _staged(stage: Stage, role: Role, faults: str) -> AsyncGenerator[Stage]:
    """The open stage before an implementation in this role, with the faults on the way."""
    stage.breaks = faults == "cuts"
    async with AsyncExitStack() as opened:
        await opened.enter_async_context(stage)
        if faults != "none":
            # Whoever dials, dials the wire.
            met = stage.url if role == "provider" else stage.own_url
            wire = await opened.enter_async_context(faulty_wire(met, faults, stage.seed))
            if role == "provider":
                stage.url = f"ws://localhost:{wire.port}/hire"
            else:
                stage.met_at = f"ws://localhost:{wire.port}/hire"
        yield stage


async def _played(
    out: Out, stage: Stage, scenarios: Sequence[Scenario], at_a_time: int
) -> tuple[tuple[Result, ...], list[dict[str, Any]], bool]:
    """What came of the scenarios, what was said in them, and whether somebody interrupted it: then nothing else is
    played.
    """
    said: list[dict[str, Any]] = []
    finished: dict[str, Result] = {}

    def heard(result: Result) -> None:
        finished[result.scenario.id] = result
        _tell(out, result)

    try:
        with ended_gently():
            return await play_all(stage, scenarios, at_a_time=at_a_time, told=said.append, done=heard), said, False
    except asyncio.CancelledError:
        # Ctrl-C: what was judged until now is told.
        return tuple([finished[one.id] for one in scenarios if one.id in finished]), said, True


async def _replayed(out: Out, file: Path, only: tuple[str, ...]) -> int:
    """Judges a transcript anew. Of one that is cut off it is told what could be judged, and no more."""
    lines = text_of("--replay", file, MAX_TRANSCRIPT).splitlines()
    try:
        results, cut_off, whole = await replayed(lines, only)
    except ConfigurationError as error:
        raise ConfigurationError(error.code, f"--replay {file}: {error.message}") from error
    for one in results:
        _tell(out, one)
    if cut_off or not whole:
        missing = f"no end of {', '.join(cut_off)}" if cut_off else "its last line is missing"
        raise ConfigurationError("bad_configuration", f"{file}: the transcript is cut off: {plain(missing, 2000)}")
    return _end(out, results)


def _listen(where: str, reached_at: str | None) -> tuple[str, int]:
    if reached_at is not None:
        checked_server(reached_at, "--reached-at", path=False)
    return split_port("--listen", where)


def _hook(url: str | None, role: Role) -> str | None:
    if url is None:
        if role == "hirer":
            raise ConfigurationError("bad_configuration", "say --hook URL: a hirer has to be told to hire")
        return None
    return checked_server(url, "--hook", path=False).rstrip("/")


def _content(work_on: str | None) -> tuple[str, bytes]:
    if work_on is None:
        return "report", b"A report of one line.\n"
    name, equals, path = work_on.partition("=")
    if not equals or not name:
        raise ConfigurationError("bad_configuration", f"--input: expected NAME=FILE, got {work_on!r}")
    try:
        content = read_file(Path(path), MAX_INPUT)
        content.decode()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError("bad_configuration", f"--input: {exc}") from exc
    return name, content


def _tell(out: Out, result: Result) -> None:
    scenario = result.scenario
    out.value(
        {
            "kind": "result",
            "id": scenario.id,
            "level": scenario.level,
            "requirements": list(scenario.requirements),
            "outcome": result.outcome,
            "detail": plain(result.detail, 2000),
            "seconds": round(result.seconds, 3),
        }
    )
    out.line(f"{result.outcome:14} {scenario.level:6} {scenario.id}", style=STYLES[result.outcome])
    if result.outcome == "failed":
        out.line(f"{'':21} {scenario.title}")
    if result.detail:
        out.line(f"{'':21} {plain(result.detail, 400)}")
    if result.outcome == "failed":
        out.line(f"{'':21} held against {', '.join(scenario.requirements)}")


def _end(out: Out, results: tuple[Result, ...], *, interrupted: bool = False, of: int = 0) -> int:
    """What it comes to, by group."""
    for group, title in GROUPS.items():
        in_group = [one for one in results if one.scenario.group == group and one.outcome != "given up"]
        if in_group:
            passed = sum(1 for one in in_group if one.outcome == "passed")
            out.line(f"{title:44} {passed} of {len(in_group)}")
    for one in results:
        if one.outcome in ("expected", "stale"):
            out.line(f"{one.outcome:14} {one.scenario.level:6} {one.scenario.id}: {plain(one.detail, 400)}")
    counts = {name: sum(1 for one in results if one.outcome == name) for name in STYLES}
    why = next((plain(one.detail, 2000) for one in results if one.outcome == "given up"), None)
    good, found = passes(results), verdict(results, interrupted=interrupted)
    said = {"kind": "end", "conforms": found == "conforms", "verdict": found, "set": extent(results)}
    counted_by = {name.replace(" ", "_"): n for name, n in counts.items()}
    out.value(said | counted_by | ({"why": why} if why else {}) | ({"interrupted": True} if interrupted else {}))
    if interrupted:
        out.line(f"interrupted: {len(results)} of {counted(of, 'scenario')} were judged", style=BAD)
    if why is not None:
        out.line(f"given up: {why}", style=BAD)
    out.line(
        summary(results, interrupted=interrupted), style="bold green" if found == "conforms" else ODD if good else BAD
    )
    if interrupted:
        return INTERRUPTED
    if counts["defect"]:
        return DEFECT
    if why is not None:
        return UNREACHABLE
    if all(one.outcome == "not applicable" for one in results):
        raise ConfigurationError("bad_configuration", "nothing was judged: no scenario of these is applicable")
    return 0 if good else PEER_BROKE
