"""Implementations as programs: what `peers.toml` says of each, and each of them while it runs.

    [[peer]]
    name = "another"
    init = ["./another", "init", "{home}"]
    serve = ["./another", "serve", "{home}", "--hook-token={token}", "--trust={trust}"]

    [[peer]]
    name = "elsewhere"
    url = "wss://peer.example/hire"
    did = "did:web:peer.example"
    hook = "https://peer.example"
    token_file = "elsewhere.token"

Source: protocol-spec/harness.md, "Matrix"
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
import tomllib
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated, Final

import msgspec

from undersigned.encoding import Did, in_names
from undersigned.errors import ConfigurationError
from undersigned.protocol import ROLES, Role
from undersigned.runtime import read_file, why

__all__ = ["Entry", "Instance", "read_peers", "started"]

START_SECONDS: Final = 60.0
END_SECONDS: Final = 5.0
MAX_PEERS: Final = 64
MAX_ERROR: Final = 400
Name = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9][a-z0-9.-]{0,39}\Z")]


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One implementation: commands that start it, or where it listens already."""

    name: Name
    """Lower case, as it stands in names of files."""
    version: str = ""
    init: tuple[str, ...] = ()
    """Makes a state folder, and prints one line of JSON: the DID of its `organisation`."""
    serve: tuple[str, ...] = ()
    """Serves it until SIGTERM comes; prints one line of JSON once it is ready: `did`, `url`, `hook`, `version`."""
    url: str = ""
    did: Did = ""
    organisation: Did = ""
    """Who issues its memberships, so that those that are started here believe it."""
    hook: str = ""
    token_file: str = ""
    """What is shown to the hook, in a file beside this one."""
    task: str = "summary"
    """What it can be hired for."""
    input: str = "report"
    """Name of the one input that it works on."""
    price: str = "5 EUR"
    """The most that is paid for it."""


class Instance(msgspec.Struct, kw_only=True):
    """One running program, or what kept it from running."""

    entry: Entry
    role: Role | None = None
    """The one that it plays in the matrix; None for both."""
    did: Did = ""
    url: str = ""
    hook: str = ""
    token: str = ""
    version: str = ""
    organisation: Did = ""
    trouble: str = ""
    """Why it cannot be used; empty if it can."""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    peer: Annotated[tuple[Entry, ...], msgspec.Meta(min_length=1, max_length=MAX_PEERS)]


class _Ready(msgspec.Struct, frozen=True):
    did: str = ""
    url: str = ""
    hook: str = ""
    version: str = ""
    organisation: str = ""


def read_peers(path: Path) -> tuple[Entry, ...]:
    """The entries of a file.

    Raises:
        ConfigurationError: It cannot be used.
    """
    try:
        entries = msgspec.convert(tomllib.loads(read_file(path).decode()), _File).peer
    except (OSError, ValueError) as exc:
        text = f"{path}: {in_names(why(exc), _File)}"
        raise ConfigurationError("bad_configuration", text) from exc
    names = [one.name for one in entries]
    for one in entries:
        if names.count(one.name) > 1:
            raise ConfigurationError("bad_configuration", f"{path}: two peers are named {one.name}")
        if bool(one.serve) == bool(one.url):
            raise ConfigurationError("bad_configuration", f"{path}: {one.name}: expected one of serve and url")
        if one.url and not one.did:
            raise ConfigurationError("bad_configuration", f"{path}: {one.name}: say its did")
    return entries


@asynccontextmanager
async def started(
    entries: Iterable[Entry],
    *,
    base: Path,
    folder: Path,
    believed: Iterable[Did] = (),
    roles: Sequence[Role | None] = ROLES,
) -> AsyncGenerator[tuple[Instance, ...]]:
    """The implementations, running: one instance for each of `roles`, or the one that runs elsewhere.

    Commands run in `base`; state and what they write to standard error go into `folder`. Each believes the
    organisations of all and `believed`. What cannot be started is there with its `trouble`.
    """
    wanted: list[Instance] = []
    for entry in entries:
        if entry.serve:
            token = secrets.token_hex(16)  # a word in a command line, so that it must not begin with a hyphen
            wanted += [Instance(entry=entry, role=role, token=token, organisation=entry.organisation) for role in roles]
        else:
            wanted.append(_elsewhere(entry, base))
    programs = {id(one): _Program(one, base, folder) for one in wanted if one.entry.serve}
    await asyncio.gather(*(one.init() for one in programs.values()))
    trusted = sorted({*believed, *(one.organisation for one in wanted if one.organisation)})
    async with AsyncExitStack() as running:
        for one in programs.values():
            running.push_async_callback(one.end)
        await asyncio.gather(*(one.serve(trusted) for one in programs.values()))
        yield tuple(wanted)


def _elsewhere(entry: Entry, base: Path) -> Instance:
    instance = Instance(
        entry=entry,
        did=entry.did,
        url=entry.url,
        hook=entry.hook.rstrip("/"),
        version=entry.version,
        organisation=entry.organisation,
    )
    if entry.token_file:
        try:
            instance.token = read_file(base / entry.token_file).decode().strip()
        except (OSError, UnicodeDecodeError) as exc:
            instance.trouble = f"its token cannot be read: {exc}"
    return instance


class _Program:
    """One program that is started here."""

    def __init__(self, instance: Instance, base: Path, folder: Path) -> None:
        self._instance, self._base = instance, base
        name = f"{instance.entry.name}-{instance.role}" if instance.role else instance.entry.name
        self._home, self._log = folder / name, folder / f"{name}.log"
        self._process: asyncio.subprocess.Process | None = None
        self._drain: asyncio.Task[None] | None = None

    async def init(self) -> None:
        """Makes its state; notes its organisation."""
        if self._instance.entry.init:
            ready = await self._run(self._instance.entry.init, ())
            self._instance.organisation = ready.organisation or self._instance.organisation
            if not self._instance.trouble:
                await self._over()
            await self.end()

    async def serve(self, trusted: Sequence[Did]) -> None:
        """Runs it; notes where it listens."""
        one = self._instance
        if one.trouble:
            return
        ready = await self._run(one.entry.serve, trusted)
        one.did, one.url, one.hook = ready.did, ready.url, ready.hook.rstrip("/")
        one.version = one.entry.version or ready.version
        if not one.trouble and not (one.did and one.url):
            one.trouble = "it does not say its did and url once it is ready"

    async def _run(self, command: Sequence[str], trusted: Sequence[Did]) -> _Ready:
        """Starts it and reads the line that it prints; what goes wrong is noted as the trouble of the instance."""
        said = {"{python}": sys.executable, "{home}": str(self._home), "{token}": self._instance.token}
        words: list[str] = []
        for word in command:
            for name, value in said.items():
                word = word.replace(name, value)
            words += [word.replace("{trust}", did) for did in trusted] if "{trust}" in word else [word]
        try:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            with self._log.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *words,
                    cwd=self._base,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=log,
                    start_new_session=True,  # a shell or a launcher ends, and what it started would go on
                )
            async with asyncio.timeout(START_SECONDS):
                line = await _stdout(self._process).readline()
            if not line:
                await self._process.wait()
                raise ValueError(f"it ended with {self._process.returncode}")
            self._drain = asyncio.create_task(_drained(_stdout(self._process)))
            return msgspec.json.decode(line, type=_Ready)
        except (OSError, ValueError, TimeoutError) as exc:
            none = f"it printed no line of JSON within {START_SECONDS:g} s"
            why = none if isinstance(exc, TimeoutError) else str(exc)
            self._instance.trouble = f"{words[0]} could not be started: {why}{self._last_words()}"
            return _Ready()

    async def _over(self) -> None:
        process = self._process
        if process is None:
            return
        try:
            async with asyncio.timeout(START_SECONDS):
                code = await process.wait()
        except TimeoutError:
            code = "no end"
        if code != 0:
            self._instance.trouble = f"its init ended with {code}{self._last_words()}"

    def _last_words(self) -> str:
        try:
            lines = self._log.read_text("utf-8", "backslashreplace").split("\n")
        except OSError:
            return ""
        said = next((line for line in reversed(lines) if line.strip()), "")
        return f"; it said {said[:MAX_ERROR]!r}" if said else ""

    async def end(self) -> None:
        """Ends it with all that it started: it is asked to, and then made to."""
        process, self._process = self._process, None
        if process is None:
            return
        _signal_all(process, signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await process.wait()
        _signal_all(process, signal.SIGKILL)
        await process.wait()
        if self._drain is not None:
            self._drain.cancel()


def _signal_all(process: asyncio.subprocess.Process, number: int) -> None:
    """To it and what it started. Once it ended and nobody holds its output, others may have its group's number."""
    if process.returncode is None or not _stdout(process).at_eof():
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)


def _stdout(process: asyncio.subprocess.Process) -> asyncio.StreamReader:
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    return process.stdout


async def _drained(stream: asyncio.StreamReader) -> None:
    """Takes what is printed later, so that nobody waits for a reader."""
    while await stream.read(65536):
        pass
