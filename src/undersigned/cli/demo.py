"""`undersigned demo`: two companies, two peer processes, one real hire.

Acme hires Globex's agent to make a software bill of materials of a real wheel or source distribution. Globex's agent
does the work, and on the way tries to read something it was not hired to read: its own runtime stops it, and when it
goes past that, Acme's gate does.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from datetime import datetime
from importlib.metadata import distribution
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zipfile import ZIP_DEFLATED, ZipFile

import click

from undersigned.contract import contract_card
from undersigned.errors import ConfigurationError, FormatError, UndersignedError
from undersigned.evidence import read_pack, verify_pack
from undersigned.runtime import (
    MAX_WHOLE_BYTES,
    TASKS,
    ArtifactStore,
    Home,
    OfferPart,
    SystemClock,
    create_home,
    issue_membership,
    read_file,
)
from undersigned.transport import free_ports

from .export import export_to
from .interrupts import ended_gently
from .options import FILE, HOMES
from .output import CHECK_FAILED, Out, checking, meeting
from .words import counted, plain, typed

__all__ = ["demo"]

SECRET = "UNDERSIGNED_DEMO_SECRET"  # noqa: S105 - the name of a variable, which holds a URL; demo_work reads it
READY_SECONDS = 20.0
HIRE_SECONDS = 60.0
PAYROLL = b"name,salary\nAlice,1\nBob,2\n"


def _own_folder(parent: Path) -> Path:
    """A new folder for one run, named after the time; the second of two runs in one second gets a number too."""
    parent.mkdir(parents=True, exist_ok=True)
    name = datetime.now().strftime("%Y%m%d-%H%M%S")
    for number in itertools.count(1):
        made = parent / (name if number == 1 else f"{name}-{number}")
        with suppress(FileExistsError):
            made.mkdir(mode=0o700)
            return made
    raise AssertionError


def _default_artifact() -> tuple[str, bytes]:
    """A wheel that this environment was installed from; without one, a wheel packed from an installed distribution."""
    wheels = sorted(Path(sys.prefix, "wheels").glob("*.whl"))
    if wheels:
        return wheels[0].name, wheels[0].read_bytes()
    found = distribution("rfc8785")
    buffer = BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED) as archive:
        for file in sorted(found.files or (), key=str):
            path = Path(str(file.locate()))
            if ".." not in file.parts and path.suffix != ".pyc" and path.is_file():
                archive.writestr(str(file), path.read_bytes())
    return f"{found.name}-{found.version}-py3-none-any.whl", buffer.getvalue()


class _Processes:
    """The peer processes, ended whatever happens."""

    def __init__(self) -> None:
        self._running: list[Process] = []

    async def start(self, *arguments: str, env: dict[str, str], log: Path) -> Process:
        with log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "undersigned.cli", *arguments, stdout=PIPE, stderr=errors, env=env
            )
        self._running.append(process)
        return process

    async def end(self) -> None:
        running = [process for process in self._running if process.returncode is None]
        for process in running:
            process.terminate()
        for process in running:
            try:
                async with asyncio.timeout(5):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


async def _lines(process: Process) -> AsyncIterator[dict[str, Any]]:
    stream = process.stdout
    if stream is None:
        return
    while line := await stream.readline():
        try:
            yield json.loads(line)
        except ValueError:
            continue


def _story(value: dict[str, Any], who: str, other: str) -> tuple[str, str, str] | None:
    """Arrow, type and words of one event of the hirer's or provider's process; None for what is not told."""
    kind, name = value.get("kind"), str(value.get("type", ""))
    text = str(value.get("summary", ""))
    if kind == "sent" and name not in ("Receipt", "Sync"):
        return f"{who} -> {other}", name, text
    if kind == "noted" and name == "refused-action":
        return f"{who}'s gate", "REFUSED", text
    if kind == "noted" and name == "decision":
        return f"{who} decides", "evaluate", text
    if kind in ("problem", "refused"):
        return f"{who}", f"{kind} {name}", str(value.get("detail") or text)
    return None


PHASE = {
    "Inquiry": "1  discover",
    "Presentation": "2  present",
    "evaluate": "3  evaluate",
    "Offer": "4  contract",
    "Start": "5  execute",
    "Delivery": "6  attest",
}


def _place(value: dict[str, Any], kind: str) -> int | None:
    """Which move of its sender an event of this kind is about; None for another event."""
    message: dict[str, Any] = value.get("message") or {}
    return message.get("sequence") if value.get("kind") == kind else None


class _Narrator:
    """Prints the conversation as it happens, under the names of its phases.

    Each side has a pipe, and may be read long after the other: what one received is told after the other sent it.
    """

    def __init__(self, out: Out) -> None:
        self._out = out
        self._phase = ""
        self._untold: defaultdict[str, deque[dict[str, Any]]] = defaultdict(deque)
        self._sent: set[tuple[str, int | None]] = set()
        self.refusals = 0

    def hear(self, value: dict[str, Any], who: str, other: str) -> None:
        """Tells it, and what waited for it, as soon as that follows."""
        self._untold[who].append(value)
        while self._tell_next(who, other) or self._tell_next(other, who):
            pass

    def end(self) -> None:
        """Tells what is left: a side that failed said less than the other received."""
        for who, other in itertools.permutations(("Acme", "Globex")):
            while self._tell_next(who, other, last=True):
                pass

    def _tell_next(self, who: str, other: str, *, last: bool = False) -> bool:
        untold = self._untold[who]
        received = _place(untold[0], "received") if untold else None
        if not untold or not (last or received is None or (other, received) in self._sent):
            return False
        value = untold.popleft()
        self._sent.add((who, _place(value, "sent")))
        self.tell(value, who, other)
        return True

    def tell(self, value: dict[str, Any], who: str, other: str) -> None:
        story = _story(value, who, other)
        if story is None:
            return
        arrow, name, text = story
        self.refusals += name == "REFUSED"
        phase = PHASE.get(name, self._phase)
        if phase > self._phase:
            self._phase = phase
            self._out.line()
            self._out.line(f" {phase}", style="bold cyan")
        self._out.value({"phase": self._phase[3:], "who": arrow, "type": name, "text": text})
        style = "yellow" if name == "REFUSED" else ""
        self._out.line(f"    {arrow:18} {name:13} {plain(text, 240)}", style=style)


async def _serve_until_ready(
    processes: _Processes, home: Path, env: dict[str, str]
) -> tuple[Process, AsyncIterator[dict[str, Any]]]:
    log = home / "serve.log"
    process = await processes.start("serve", "--home", str(home), "--json", env=env, log=log)
    lines = _lines(process)
    try:
        async with asyncio.timeout(READY_SECONDS):
            async for value in lines:
                if value.get("kind") == "ready":
                    return process, lines
                if "error" in value:
                    raise ConfigurationError(str(value["error"]["code"]), str(value["error"]["message"]))
    except TimeoutError as exc:
        raise UndersignedError("timeout", f"the peer of {home} did not start; see {log}") from exc
    raise UndersignedError("unreachable", f"the peer of {home} ended at once; see {log}")


def _artifact(artifact: Path | None) -> tuple[str, bytes, str]:
    """Name and bytes of what the bill of materials is to be of, and a line about it.

    Raises:
        ConfigurationError: `bad_configuration`, it is no distribution of Python's; `missing_extra`.
    """
    if artifact is None:
        name, data = _default_artifact()
    else:
        with checking(str(artifact)):
            name, data = artifact.name, read_file(artifact, MAX_WHOLE_BYTES)
    try:
        from undersigned.daemon.sbom import read_distribution

        described = read_distribution(data)
    except ImportError as exc:
        raise ConfigurationError("missing_extra", "the demo needs an extra: pip install 'undersigned[prov]'") from exc
    except FormatError as error:
        raise ConfigurationError("bad_configuration", f"{name}: {error.message}") from error
    said = f"{name}: {described.name} {described.version}, {counted(len(data), 'byte')}"
    return name, data, f"{said}, {counted(len(described.files), 'file')}"


async def _companies(run: Path, acme_port: int, globex_port: int, dids: Mapping[int, str]) -> tuple[Home, Home]:
    """The two state folders: Acme, which hires, and Globex, which is hired; each believes the other's organisation."""
    acme = create_home(
        run / "acme",
        name="Acme buying agent",
        organisation="Acme",
        local=True,
        port=acme_port,
        anchors=(f"{dids[globex_port]}:org",),
        max_price="10 EUR",
    )
    globex = create_home(
        run / "globex",
        name="Globex SBOM agent",
        organisation="Globex",
        local=True,
        port=globex_port,
        anchors=(f"{dids[acme_port]}:org",),
        offers=(
            OfferPart(
                task="sbom",
                handler="undersigned.cli.demo_work:curious_sbom",
                price="4.00 EUR",
                summary="CycloneDX bill of materials of a wheel or sdist",
                delivers=TASKS["sbom"].deliverable,
                media_type=TASKS["sbom"].media_type,
            ),
        ),
    )
    await issue_membership(acme)
    await issue_membership(globex)
    return acme, globex


async def _followed(
    narrator: _Narrator, hirer: Process, provider: AsyncIterator[dict[str, Any]]
) -> tuple[dict[str, Any], dict[str, Any], int]:
    """Tells what both say until the hire is over: its result, or why there is none, and the hirer's exit code.

    Raises:
        TimeoutError: It took too long.
    """
    result: dict[str, Any] = {}
    failure: dict[str, Any] = {}

    async def follow_hirer() -> None:
        async for value in _lines(hirer):
            if value.get("kind") == "result":
                result.update(value)
            elif "error" in value:
                failure.update(value["error"])
            else:
                narrator.hear(value, "Acme", "Globex")

    async def follow_provider() -> None:
        async for value in provider:
            narrator.hear(value, "Globex", "Acme")
            if value.get("kind") == "over":
                return

    following = asyncio.create_task(follow_provider())
    try:
        async with asyncio.timeout(HIRE_SECONDS):
            await follow_hirer()
            code = await hirer.wait()
            if code == 0:
                await following
    finally:
        following.cancel()
        narrator.end()
    return result, failure, code


def _tell_evidence(out: Out, packs: Mapping[str, Path], result: Mapping[str, Any]) -> bool:
    """The contract, and what proves it; whether all of it holds."""
    reports = {who: verify_pack(pack.read_bytes(), now=SystemClock().now()) for who, pack in packs.items()}
    contract = json.loads(dict(read_pack(packs["acme"].read_bytes()).members)["contract.json"])
    out.line()
    out.line(" The contract", style="bold cyan")
    for line in contract_card(contract["document"], contract["seal"], state=reports["acme"].state).splitlines():
        out.line(f"    {line}")
    out.line()
    out.line(" The evidence", style="bold cyan")
    for who, pack in packs.items():
        report = reports[who]
        verdict = f"verified, {len(report.steps)} steps" if report.ok else "DOES NOT HOLD"
        out.line(f"    {who:8} {pack}  ({verdict})", style="" if report.ok else "bold red")
    for path in result["written"].values():
        out.line(f"    result   {path}")
    out.line(f"    check it yourself:  {typed('verify {} --explain', packs['acme'])}")
    return all(report.ok for report in reports.values())


@click.command()
@click.option(
    "--artifact",
    type=FILE,
    help="A wheel or source distribution; by default one that is installed here.",
)
@click.option(
    "--dir",
    "folder",
    type=HOMES,
    default=Path("undersigned-demo"),
    show_default=True,
    help="Folder for what is made; each run gets one of its own in it.",
)
@meeting
async def demo(out: Out, artifact: Path | None, folder: Path) -> int:
    """Two companies, two processes, one hire: from the first message to the evidence."""
    began = time.monotonic()
    name, data, said = _artifact(artifact)
    run = _own_folder(folder)
    acme_port, globex_port = free_ports(2)
    dids = {port: "did:web:" + quote(f"localhost:{port}", safe="") for port in (acme_port, globex_port)}
    out.local = True
    out.line(said)
    out.line(f"two state folders in {run}; local: loopback only, without TLS")
    acme, globex = await _companies(run, acme_port, globex_port, dids)
    source = run / "acme" / "in" / name
    source.parent.mkdir()
    source.write_bytes(data)
    payroll = await ArtifactStore(acme.artifacts).put(PAYROLL)
    out.line(f"Acme also has its payroll there, …{payroll[-24:]}, which no contract grants: Globex will try to read it")
    env = {**os.environ, SECRET: f"http://localhost:{acme_port}/artifacts/{payroll}", "PYTHONUNBUFFERED": "1"}

    processes = _Processes()
    narrator = _Narrator(out)
    with ended_gently():
        try:
            _, globex_lines = await _serve_until_ready(processes, globex.path, env)
            out.line(f"Globex serves {dids[globex_port]}; Acme hires as {dids[acme_port]}")
            hired = time.monotonic()
            hirer = await processes.start(
                *("hire", dids[globex_port], "--home", str(acme.path), "--json", "--task", "sbom"),
                *("--input", f"artifact={source}", "--price", "5.00 EUR", "--opening", "3.00 EUR"),
                *("--out", str(run / "acme" / "out")),
                env=env,
                log=run / "acme" / "hire.log",
            )
            result, failure, code = await _followed(narrator, hirer, globex_lines)
            seconds = time.monotonic() - hired
            if code != 0 or not result:
                raise UndersignedError(
                    str(failure.get("code", "internal")),
                    f"the hire failed: {failure.get('message', 'see ' + str(run / 'acme' / 'hire.log'))}",
                )
        except TimeoutError as exc:
            raise UndersignedError("timeout", f"the hire took more than {HIRE_SECONDS:g} s; logs are in {run}") from exc
        finally:
            await processes.end()

    packs = {home.path.name: await export_to(Home(home.path), result["engagement"], None) for home in (acme, globex)}
    held = _tell_evidence(out, packs, result)
    out.line()
    out.line(
        f"{'Done' if held else 'FAILED'}: hired, worked, refused {counted(narrator.refusals, 'time')}, accepted and "
        f"closed in {seconds:.1f} s (everything: {time.monotonic() - began:.1f} s)",
        style="bold green" if held else "bold red",
    )
    out.value(
        {
            "kind": "done",
            "ok": held,
            "engagement": result["engagement"],
            "contract": result["contract"],
            "refusals": narrator.refusals,
            "hireSeconds": round(seconds, 2),
            "packs": {who: str(pack) for who, pack in packs.items()},
            "delivered": result["written"],
        }
    )
    return 0 if held else CHECK_FAILED
