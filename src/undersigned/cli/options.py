"""Options that several commands share, and what is typed into them turned into checked values.

All that can be wrong with a command line is found here, before anybody is asked for anything.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from ipaddress import ip_address
from math import isnan
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import click

from undersigned.daemon import Peer
from undersigned.did import fetches, methods_for
from undersigned.encoding import Did, Instant, digest_hex, parse_instant
from undersigned.errors import (
    ConfigurationError,
    FormatError,
    LedgerError,
    ResolutionError,
    UndersignedError,
    VerificationError,
)
from undersigned.runtime import (
    LOCAL_ONLY,
    Gatherer,
    Home,
    checked_folder,
    checked_name,
    configure_logs,
    open_file,
    read_toml,
    whole_file,
    why,
)
from undersigned.runtime.fetching.seen_histories import SeenHistories

from .interrupts import ended_gently
from .output import Out, checking, error_json, printed_folder
from .starting import tell_ends, tell_held
from .words import plain

__all__ = [
    "AT_OPTION",
    "DOCUMENTS_OPTION",
    "FILE",
    "FOLDER",
    "FORCE_OPTION",
    "GATES_OPTION",
    "HOMES",
    "NOTE_OPTION",
    "VERBOSE_OPTION",
    "WAIT_OPTION",
    "FilePath",
    "NamedPath",
    "Seconds",
    "about",
    "checked_did",
    "checked_digest",
    "did_here",
    "documents_option",
    "instant_at",
    "new_file",
    "open_gatherer",
    "open_peer",
    "out_option",
    "quiet_logs",
    "read_inputs",
    "read_toml_as",
    "require_near",
    "running",
    "write_new",
]

T = TypeVar("T")
Option = Callable[[Callable[..., Any]], Callable[..., Any]]
"""What declares an option of a command."""


class Seconds(click.FloatRange):
    """So many seconds. `nan` lies in every range, and is never over."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number, as `click.FloatRange` gives it."""
        seconds = super().convert(value, param, ctx)
        if isnan(seconds):
            self.fail(f"expected a number, got {plain(value)}", param, ctx)
        return seconds


AT_OPTION = click.option(
    "--at", metavar="URL", help="Where the peer listens, ws://… or wss://…, if its DID document does not say."
)
WAIT_OPTION = click.option(
    "--wait",
    type=Seconds(0.1, 86_400),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to go on trying to reach it.",
)
GATES_OPTION = click.option(
    "--gates",
    metavar="HOST:PORT",
    help="Also answer the gates of our servers there ('undersigned gate'), on loopback, to who has the token in "
    "gate.token of the state folder. [gates] of the settings does the same.",
)


def listen_option(where: str, default: str = "127.0.0.1:0") -> Option:
    """`--listen`, the host and port at which a command serves; `host_port` and `split_port` read it."""
    return click.option(
        "--listen",
        metavar="HOST:PORT",
        default=default,
        show_default=True,
        help=f"{where}; port 0 picks a free one.",
    )


VERBOSE_OPTION = click.option("--verbose", is_flag=True, help="Log everything to standard error.")
FORCE_OPTION = click.option(
    "--force",
    is_flag=True,
    is_eager=True,  # known when the names of files are looked at
    help="Write over a file that is there; without this it stays.",
)


class NamedPath(click.Path):
    """The name of a file or folder. An empty one, as of a shell's variable that is not set, would be the folder where
    we are.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, as `click.Path` gives it."""
        if value == "":
            self.fail(f"expected the name of a {'file' if self.file_okay else 'folder'}, got ''", param, ctx)
        return super().convert(value, param, ctx)


FILE = NamedPath(path_type=Path, dir_okay=False)
"""The name of a file."""
FOLDER = NamedPath(path_type=Path, file_okay=False)
FOLDER.name = "folder"
"""The name of a folder."""


class _Homes(NamedPath):
    """The name of a folder that becomes a state folder, or has some in it: text, as every state folder's name."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, as `click.Path` gives it."""
        path = super().convert(value, param, ctx)
        try:
            return printed_folder(checked_folder(path))
        except ConfigurationError as error:
            self.fail(error.message.removeprefix("the state folder: "), param, ctx)


HOMES = _Homes(path_type=Path, file_okay=False)
HOMES.name = "folder"
"""The name of a folder for state folders."""


class FilePath(NamedPath):
    """The name of a file. In other programs `-` is standard input or output. Here it is refused: what is written is
    there whole or not at all, what is told of it goes to standard output, and a file of that name nobody means.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, as `click.Path` gives it."""
        if value == "-":
            self.fail("expected a file, and no standard input or output; one that has this name is './-'", param, ctx)
        return super().convert(value, param, ctx)


def out_option(
    help: str, *, option: str = "--out", name: str = "file", required: bool = False, early: bool = True
) -> Option:
    """`--out FILE`, or another `option` that names a file to be written, for `new_file`; `help` says what is written.

    Beside it belongs `FORCE_OPTION`: without that a file that is there is refused, whatever would be written. A drawing
    can be made again, but what has that name by a slip cannot. It is refused before the command does anything; if not
    `early`, only when it is written.
    """
    kind = FilePath(path_type=Path, dir_okay=False)
    return click.option(
        option, name, type=kind, required=required, help=help, callback=_nothing_there if early else None
    )


def _nothing_there(called: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    if path is not None and not called.params["force"] and os.path.lexists(path):
        raise click.BadParameter(_is_there(path), ctx=called, param=parameter)
    return path


def _is_there(path: Path) -> str:
    return f"{plain(path)} is there already: --force writes over it"


def documents_option(help: str) -> Option:
    """`--did-document FILE`, as often as needed; `help` says what they are for."""
    kind = NamedPath(path_type=Path)
    return click.option("--did-document", "documents", multiple=True, type=kind, metavar="FILE", help=help)


NOTE_OPTION = out_option("File to write the note to.")
DOCUMENTS_OPTION = documents_option(
    "A DID document that you know, as published: of its DID packs must hold no other. May be repeated, also for one "
    "DID whose keys were replaced."
)


def quiet_logs(verbose: bool, *, warnings: bool = False) -> None:
    """Logs go to standard error: all of them with `--verbose`, else only errors, or these and `warnings`."""
    level = 10 if verbose else 30 if warnings else 40
    configure_logs(level, force=True)


def checked_did(text: str, local: bool, resolver: str | None = None) -> str:
    """`text`, once it is a DID that could be resolved; with a `resolver`, of any method.

    Raises:
        ConfigurationError: `bad_configuration`, it is none.
        ResolutionError: It leads to a place that is not dialled.
    """
    try:
        fetches(text, local=local, methods=methods_for(text, resolver))
    except VerificationError as error:
        expected, got = "expected a DID such as did:web:agents.example.com", f"got {text!r}"
        known = error.message.startswith(expected) or error.message.endswith(got)
        raise ConfigurationError(
            "bad_configuration", f"{expected}, {got}{'' if known else f': {error.message}'}"
        ) from error
    except ResolutionError as error:
        if not local and text.startswith("did:web:localhost"):
            raise ResolutionError(error.code, f"{error.message}; {LOCAL_ONLY}") from error
        raise
    return text


def did_here(home: Home, text: str) -> Did:
    """`text`, once it is a DID that this state folder could resolve, as `checked_did`."""
    return checked_did(text, home.configuration.local, home.configuration.resolver)


def read_toml_as(file: Path, read: Callable[[dict[str, Any]], T]) -> T:
    """What `read` makes of the TOML in a file; of what is wrong it is said in which.

    Raises:
        ConfigurationError: It cannot be read, or holds something else.
    """
    table = read_toml(file)
    try:
        return read(table)
    except ConfigurationError as error:
        raise ConfigurationError(error.code, f"{file}: {error.message}") from error


def checked_digest(text: str, option: str = "") -> str:
    """`text`, once it is a digest; of an `option`, or an argument.

    Raises:
        ConfigurationError: `bad_configuration`, it is none.
    """
    try:
        digest_hex(text)
    except FormatError as error:
        said = f"expected a digest as 'contract show' and 'ledger list' print it, got {plain(text, 60)}"
        raise ConfigurationError("bad_configuration", f"{option}: {said}" if option else said) from error
    return text


def require_near(home: Home, host: str) -> None:
    """Returns if what listens at the IP address `host` for this state folder may: without TLS, for a local one, on this
    machine only.

    Raises:
        ConfigurationError: `bad_configuration`.
    """
    try:
        near = ip_address(host).is_loopback
    except ValueError:
        near = False
    if home.configuration.local and not near:
        said = f"--listen: {home.path} is a local state folder: expected 127.0.0.1, got {plain(host, 60)}"
        raise ConfigurationError("bad_configuration", said)


def open_gatherer(home: Home) -> Gatherer:
    """What fetches as the peer of a state folder would, until the block ends.

    Raises:
        ConfigurationError: The certificate authorities that the folder names, or what it knows of histories, cannot be
            read.
    """
    configuration = home.configuration
    return Gatherer(
        local=configuration.local,
        ssl=home.tls(),
        moved=configuration.moved,
        resolver=configuration.resolver,
        seen=SeenHistories(home.histories, read_only=True),
    )


def open_peer(home: Home) -> Peer:
    """The peer of a state folder. Handlers that its configuration names are also looked for where the user is.

    Raises:
        ConfigurationError: Configuration, documents, keys or credentials cannot be used.
    """
    home.credentials()  # shown when a peer asks for them; whoever starts this one should know before
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    return Peer.open(home)


@asynccontextmanager
async def running(out: Out, peer: Peer) -> AsyncGenerator[Peer]:
    """The peer while it runs. First it is told (with `--json`) if its clock stands still, and if what it has to show is
    past its end or soon will be; at its end, which witnesses did not cosign what its log has grown to, and if one holds
    another history of that, also what had gone wrong before.

    Raises:
        LedgerError: `ledger_diverged`, as `Agent.close`.
    """
    try:
        with ended_gently():
            async with peer:
                tell_held(out, peer)
                tell_ends(out, peer)
                yield peer
    except LedgerError as error:
        if error.code == "ledger_diverged" and isinstance(error.__context__, UndersignedError):
            out.error(error.__context__)
        raise
    finally:
        for one in peer.unwitnessed:
            name, why = one.witness.verifier.name, one.error
            out.value({"kind": "unwitnessed", "witness": name, "error": error_json(why) if why is not None else None})
            out.line(f"not cosigned at the end by the witness {plain(name, 200)}: {plain(why, 300)}", style="yellow")


@contextmanager
def new_file(path: Path, *, force: bool) -> Generator[BinaryIO]:
    """A file for what a command makes, opened before it makes that, so that nothing is done which could not be written.
    It has its name once the block ends, and not before. `force` writes over what is there.

    Raises:
        ConfigurationError: `bad_configuration`, it is there already.
        OSError: It cannot be written: the command ends with `store_full` or `bad_configuration`.
    """
    if not force and os.path.lexists(path):
        raise ConfigurationError("bad_configuration", _is_there(path))
    try:
        with whole_file(path, new=not force) as file:
            yield file
    except FileExistsError as exc:
        if exc.filename != str(path):
            raise
        # Somebody made it while this was at work, and what they made stays.
        raise ConfigurationError("bad_configuration", _is_there(path)) from exc


def write_new(path: Path, data: bytes, *, force: bool) -> None:
    """Writes what a command made, as `new_file`."""
    with new_file(path, force=force) as file:
        file.write(data)


@contextmanager
def about(file: Path) -> Generator[None]:
    """Around a look at what somebody's file holds: what is wrong with that is told with the name of the file."""
    try:
        yield
    except (FormatError, ResolutionError, VerificationError) as error:
        if str(file) not in error.message:
            error.message = f"{file}: {error.message}"
        raise


def instant_at(text: str) -> Instant:
    """The instant that `--at` names.

    Raises:
        ConfigurationError: `bad_configuration`, it is none.
    """
    with checking("--at"):
        parse_instant(text)
    return text


def read_inputs(inputs: tuple[str, ...]) -> dict[str, Path | bytes | str]:
    """The files that `--input NAME=FILE` names, each of which is there, and can be read as often as it has to be.

    Raises:
        ConfigurationError: `bad_configuration`.
    """
    files: dict[str, Path | bytes | str] = {}
    for text in inputs:
        name, equals, path = text.partition("=")
        if not equals or not path:
            raise ConfigurationError(
                "bad_configuration", f"--input: expected NAME=FILE, such as artifact=app.whl, got {text!r}"
            )
        checked_name("--input", name)
        if name in files:
            raise ConfigurationError("bad_configuration", f"--input: two inputs are named {name!r}")
        try:
            open_file(path).close()
        except FileNotFoundError as exc:
            raise ConfigurationError("bad_configuration", f"--input {name}: there is no file {path}") from exc
        except (OSError, ValueError) as exc:  # no file's name holds a NUL
            text = f"--input {name}: {path}: {why(exc)}"
            raise ConfigurationError("bad_configuration", text) from exc
        files[name] = Path(path)
    return files
