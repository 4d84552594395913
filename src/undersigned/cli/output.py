"""How commands speak: text for people, one JSON value per line for programs, exit codes for both.

What belongs to a local state folder says so in each line, because it must not be taken for the real thing.

Source: protocol-spec/09-errors.md, table of exit codes
"""

from __future__ import annotations

import asyncio
import errno
import functools
import json
import os
import re
import sys
import traceback
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar, cast

import click
import platformdirs
from rich.console import Console
from rich.text import Text

from undersigned.encoding import EngagementId
from undersigned.errors import NO_ROOM, ConfigurationError, LedgerUnavailable, UndersignedError
from undersigned.ledger import Ledger, Summary, open_ledger
from undersigned.runtime import Home, why
from undersigned.runtime.log.logbook import require_own

from .interrupts import INTERRUPTED, Interrupts
from .words import brief, plain

__all__ = [
    "ANSWER_NO",
    "CHECK_FAILED",
    "HOME_OPTION",
    "JSON_OPTION",
    "OUTCOMES",
    "PEER_BROKE",
    "UNREACHABLE",
    "WAITS",
    "Out",
    "checking",
    "command",
    "engagement_named",
    "error_json",
    "help_refused",
    "home_path",
    "ledger_at",
    "meeting",
    "reading",
    "reading_own",
    "refused",
    "summary_named",
    "tell_waits",
    "told",
]

P = ParamSpec("P")
R = TypeVar("R")
LOOP_DESCRIPTORS: Final = 12
"""What a loop opens for itself, and a few for the command."""
NO_THREADS: Final = "can't start new thread"
"""How Python says it, in a `RuntimeError`."""
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
"""What a byte of the command line becomes that is no UTF-8."""
SHORTEST_PART: Final = 6
"""Characters of an engagement's id, or of its contract's digest, that name it if they are in no other."""
LINE: Final = 4000
"""Characters of a line by which nobody decides."""
LOCAL: Final = "local | "
"""Begins each line that is about a local state folder."""

ANSWER_NO: Final = 3
"""Exit code: the answer is no."""
CHECK_FAILED: Final = 4
PEER_BROKE: Final = 5
UNREACHABLE: Final = 6
WAITS: Final = 7
"""Exit code: somebody has to do something first, a person or a peer that runs."""
OUTCOMES: Final = {"allow": 0, "deny": ANSWER_NO, "ask": WAITS}
"""Exit codes of what a policy says."""
HOME_OPTION = click.option(
    "--home", metavar="FOLDER", help="State folder; by default UNDERSIGNED_HOME, else the user's data folder."
)
JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Write JSON, one value per line.")


def tell_waits(out: Out, due: Mapping[str, Any], text: str) -> None:
    """Tells that nothing comes, and who owes what: `due` for programs, `text` for people."""
    out.value({"kind": "waits", **due})
    out.line(f"still waiting; {text}", style="yellow")


class _Console(Console):
    """A console that tells when its reader has left, as everything else that writes does."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


@contextmanager
def _terminal(name: str = "standard output") -> Generator[None]:
    """A terminal that was closed is a reader that has left, though the system calls it a fault of the device. Of what
    takes nothing more the system says no name.
    """
    try:
        yield
    except OSError as exc:
        if exc.errno == errno.EIO:
            raise BrokenPipeError from exc
        exc.filename = exc.filename or name
        raise


class Out:
    """Where a command writes."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.local = False
        """Whether what is told is of a local state folder, as far as is known yet."""
        self._console = _Console(highlight=False, soft_wrap=True)
        self._errors = _Console(stderr=True, highlight=False, soft_wrap=True)

    def home(self, named: str | None) -> Home:
        """The state folder meant, opened; from now on each line says so if it is a local one.

        Raises:
            ConfigurationError: There is none, or it cannot be used.
        """
        opened = Home(home_path(named))
        self.local = opened.configuration.local
        return opened

    def value(self, value: dict[str, Any]) -> None:
        """One JSON object on one line; only with `--json`."""
        self.document({**value, "local": True} if self.local else value)

    def document(self, value: dict[str, Any]) -> None:
        """The same for a document that others define: nothing is added to it."""
        if self.as_json:
            # ASCII, because whatever a peer or the command line put in must come out, in any locale.
            with _terminal():
                sys.stdout.write(json.dumps(value) + "\n")
                sys.stdout.flush()

    def line(self, text: str = "", style: str = "", most: int = LINE) -> None:
        """A line for people, of at most so many characters; nothing with `--json`."""
        if not self.as_json:
            self._write(self._console, text, style, most)

    def lines(self, text: str, most: int = 2000) -> None:
        """A text of several lines, each of at most so many characters."""
        for line in text.splitlines():
            self.line(line, most=most)

    def file(self, text: str) -> None:
        """What is a file for others, on standard output as it is, to be kept; nothing with `--json`. That it is of a
        local state folder stands on standard error.
        """
        if not self.as_json:
            with _terminal():
                # A file is the same bytes whatever the locale is.
                sys.stdout.flush()
                sys.stdout.buffer.write(text.encode())
                sys.stdout.buffer.flush()
            if self.local:
                self.progress("of a state folder for one machine")

    def progress(self, text: str) -> None:
        """How far something is, on standard error for people; nothing with `--json`."""
        if not self.as_json:
            self.unheard(text, "dim")

    def error(self, error: UndersignedError) -> None:
        """An error, on standard error for people, as an object for programs."""
        where = f" at {error.path}" if error.path else ""
        self.value({"error": error_json(error)})
        if not self.as_json:
            self._write(self._errors, f"error: {brief(error.message)}{where}  ({error.code})", "bold red")

    def alarm(self, text: str) -> None:
        """What is wrong though the command goes on, on standard error for people; nothing with `--json`."""
        if not self.as_json:
            self.unheard(f"warning: {text}", "yellow")

    def unheard(self, text: str, style: str = "bold yellow") -> None:
        """What standard output takes no more, on standard error for whoever is there, with `--json` too."""
        with suppress(OSError):  # it may be a terminal that is closed, or a full disk: that ends nothing
            self._write(self._errors, text, style)

    def _write(self, console: Console, text: str, style: str, most: int = LINE) -> None:
        mark = LOCAL if self.local and text else ""
        with _terminal("standard error" if console is self._errors else "standard output"):
            console.print(Text.assemble((mark, "dim"), (plain(text, most), style)))


def error_json(error: UndersignedError) -> dict[str, str | None]:
    """What programs are told of an error, wherever it stands."""
    return {"code": error.code, "message": plain(brief(error.message), LINE), "path": error.path}


@contextmanager
def checking(what: str) -> Generator[None]:
    """Around a look at what an option or argument says, or names: what is wrong with that is told behind `what`.

    Raises:
        ConfigurationError: `bad_configuration`.
    """
    try:
        yield
    except UndersignedError as error:
        raise ConfigurationError("bad_configuration", f"{what}: {error.message}") from error
    except OSError as exc:
        raise ConfigurationError("bad_configuration", f"{what}: {why(exc)}") from exc


def home_path(home: str | None) -> Path:
    """The state folder meant: `--home`, else `UNDERSIGNED_HOME`, else the user's data folder.

    Raises:
        ConfigurationError: `bad_configuration`, it is not a name that every part of the system can write, or none, as
            of a shell's variable that is not set: the folder of somebody else would be meant in its place.
    """
    if home == "":
        raise ConfigurationError("bad_configuration", "the state folder: expected the name of a folder, got ''")
    named = home or os.environ.get("UNDERSIGNED_HOME")
    return printed_folder(Path(named) if named else Path(platformdirs.user_data_dir("undersigned")))


def printed_folder(path: Path) -> Path:
    """The path of a state folder, once it can stand in a line that tells of it.

    Raises:
        ConfigurationError: `bad_configuration`.
    """
    if not path.as_posix().isprintable():
        text = f"the state folder: expected a name that can be printed, got {plain(path)}"
        raise ConfigurationError("bad_configuration", text)
    return path


@asynccontextmanager
async def ledger_at(url: str, *, read_only: bool = False) -> AsyncGenerator[Ledger]:
    """The ledger at a URL, until the block ends.

    Raises:
        LedgerError: As `open_ledger`.
    """
    store = await open_ledger(url, read_only=read_only)
    try:
        yield store
    finally:
        await store.close()


def reading(home: Home) -> AbstractAsyncContextManager[Ledger]:
    """The ledger of a state folder, for reading, until the block ends; an empty one if nothing was ever written there.

    Raises:
        LedgerError: It is damaged, of another release, gone, or cannot be read.
    """
    # A start takes the lock before it makes a database, for which there may have been no room.
    lock = f"{home.ledger.name}.lock"
    written = any(found.name != lock for found in home.path.glob(f"{home.ledger.name}*"))
    return ledger_at(home.ledger_url if written else "memory:", read_only=True)


@asynccontextmanager
async def reading_own(home: Home) -> AsyncGenerator[Ledger]:
    """As `reading`, for what is signed of the ledger, or held against what was: a copy of another agent's is refused.

    Raises:
        ConfigurationError: As `require_own`.
        LedgerError: As `reading`.
    """
    async with reading(home) as store:
        await require_own(store, home.configuration.did, home.ledger_url)
        yield store


async def summary_named(store: Ledger, text: str) -> Summary:
    """The engagement that `text` names: its whole id, its contract's digest, or a part of either that no other has, as
    what is told of an engagement shows them.

    Raises:
        ConfigurationError: `not_found`, none is named, or more than one.
    """
    summaries = await store.summaries()
    for one in summaries:
        if one.engagement == text:
            return one
    part = text.removesuffix("…")
    if len(part) < SHORTEST_PART:
        told = f"{text!r} is too short for a name: write {SHORTEST_PART} characters of one, see 'ledger list'"
        raise ConfigurationError("not_found", told)
    found = [one for one in summaries if part in one.engagement.rpartition(":")[2] or part in (one.contract or "")]
    if len(found) > 1:
        raise ConfigurationError("not_found", f"{plain(text, 60)} names {len(found)} engagements: write more of the id")
    if not found:
        raise ConfigurationError("not_found", f"no engagement and no contract {plain(text, 100)}: see 'ledger list'")
    return found[0]


async def engagement_named(store: Ledger, text: str) -> EngagementId:
    """The id of the engagement that `text` names, as `summary_named`."""
    return (await summary_named(store, text)).engagement


def pass_out(function: Callable[..., R]) -> Callable[..., R]:
    """Gives the command its `Out` and the option `--json`."""

    @JSON_OPTION
    @functools.wraps(function)
    def wrapped(*args: Any, as_json: bool, **kwargs: Any) -> R:
        called = click.get_current_context(silent=True)
        if called is not None:
            _check_text(called)
        group = called.parent if called is not None else None
        return function(Out(as_json or bool(group and group.params.get("as_json"))), *args, **kwargs)

    return wrapped


def _check_text(called: click.Context) -> None:
    """Returns if all that was typed is text; only the name of a file may be any bytes.

    Raises:
        click.BadParameter: An option or argument is not.
    """
    for parameter in called.command.params:
        value = called.params.get(parameter.name or "")
        values = cast("tuple[object, ...]", value) if isinstance(value, tuple) else (value,)
        if isinstance(parameter.type, click.Path):
            continue
        if any(isinstance(one, str) and _SURROGATE.search(one) for one in values):
            raise click.BadParameter("expected text in UTF-8", ctx=called, param=parameter)


def command(function: Callable[..., Coroutine[Any, Any, int | None]], *, meets: bool = False) -> Callable[..., None]:
    """An asynchronous command: run to its end, its errors turned into messages and exit codes.

    The function returns its exit code; None is 0. Unless it `meets` a peer, none broke the protocol: what is malformed
    then is a document that somebody here named, and a check of it failed.

    Source: protocol-spec/09-errors.md, section 9.2
    """

    @functools.wraps(function)
    def wrapped(out: Out, *args: Any, **kwargs: Any) -> None:
        try:
            code = _run(function(out, *args, **kwargs))
        except UndersignedError as error:
            code = told(out, error)
            code = CHECK_FAILED if code == PEER_BROKE and not meets else code
        except click.UsageError:
            raise  # what is wrong with the command line is told where all of that is
        except KeyboardInterrupt:
            code = INTERRUPTED
        except OSError as exc:
            code = refused(out, exc)
        except MemoryError:
            code = told(out, ConfigurationError("bad_configuration", "there is not enough memory"))
        except Exception as exc:
            code = _no_threads(out) if str(exc) == NO_THREADS else _defect(out, exc)
        try:
            if not sys.stdout.closed:  # a gate over standard input and output closes it at its end
                sys.stdout.flush()
        except OSError:
            _silence()
        sys.exit(code or 0)

    return pass_out(wrapped)


def _no_threads(out: Out) -> int:
    text = "the system starts no more threads: too many are there, or there is not enough memory"
    return told(out, ConfigurationError("bad_configuration", text))


def _defect(out: Out, exc: Exception) -> int:
    code = told(out, UndersignedError("internal", f"a defect of ours, please report it: {exc!r}"))
    traceback.print_exception(exc)
    return code


def refused(out: Out, exc: OSError) -> int:
    """Tells what the system did not do; the exit code for it."""
    if isinstance(exc, BrokenPipeError):
        # Whoever read our output has left.
        _silence()
        return INTERRUPTED
    text = f"{exc.filename}: {why(exc)}" if exc.filename else why(exc)
    full = LedgerUnavailable("store_full", text)
    return told(out, full if exc.errno in NO_ROOM else ConfigurationError("bad_configuration", text))


def help_refused(exc: OSError, *, as_json: bool) -> int:
    """As `refused`, of the help and the version, which no command writes; nothing of them is tried again."""
    exc.filename = exc.filename or "standard output"
    code = refused(Out(as_json), exc)
    _silence()
    return code


def _silence() -> None:
    """Standard output takes nothing more, and so nothing is written there when Python ends."""
    if not sys.stdout.closed:  # a gate over standard input and output closes it at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(work: Coroutine[Any, Any, int | None]) -> int | None:
    """Runs `work` to its end: on uvloop, which turns faster, where the extra `fast` is installed."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        new_event_loop = None
    interrupts = Interrupts()
    try:
        _require_descriptors()
    except OSError:
        work.close()  # or Python warns that nobody awaited it
        raise

    async def begun() -> int | None:
        with interrupts.cancels(cast("asyncio.Task[Any]", asyncio.current_task())):
            return await work

    with interrupts.heard(), asyncio.Runner(loop_factory=new_event_loop) as runner:
        try:
            return runner.run(begun())
        except asyncio.CancelledError:
            if interrupts.times:
                raise KeyboardInterrupt from None
            raise


def _require_descriptors() -> None:
    """Returns if a loop can be made: without a descriptor for each thing that it opens, uvloop breaks in the middle.

    Raises:
        OSError: There are too few.
    """
    with ExitStack() as held:
        for _ in range(LOOP_DESCRIPTORS // 2):
            for end in os.pipe():
                held.callback(os.close, end)


def meeting(function: Callable[..., Coroutine[Any, Any, int | None]]) -> Callable[..., None]:
    """A command that meets a peer, as `command`."""
    return command(function, meets=True)


def told(out: Out, error: UndersignedError) -> int:
    """Tells what went wrong, on standard error if standard output takes nothing; the exit code for it."""
    try:
        out.error(error)
    except OSError:
        _silence()
        with suppress(OSError):  # it may be the same terminal, closed
            sys.stderr.write(f"error: {plain(brief(error.message), LINE)}  ({error.code})\n")
    return error.exit_code
