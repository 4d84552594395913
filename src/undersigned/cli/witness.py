"""Commands about witnesses of logs: `witness serve`, `witness show`, `witness ask`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import click

from undersigned.daemon import WitnessBook, WitnessServer, more_files
from undersigned.encoding import Did
from undersigned.errors import ConfigurationError
from undersigned.runtime import Home, SystemClock, Witness, Witnesses, WitnessPart, host_port, witnesses_of
from undersigned.transparency import NoteVerifier, read_verifier, verifier_text

from .interrupts import stop_signal
from .listing import CommandGroup
from .options import (
    FORCE_OPTION,
    NOTE_OPTION,
    did_here,
    listen_option,
    open_gatherer,
    quiet_logs,
    require_near,
    write_new,
)
from .output import CHECK_FAILED, HOME_OPTION, UNREACHABLE, Out, checking, command, error_json, meeting, reading_own
from .words import counted, plain

__all__ = ["witness"]

BOOK = "witness.db"


@click.group(cls=CommandGroup)
def witness() -> None:
    """Watch the logs of others as a witness (C2SP tlog-witness), or have our own watched."""


@witness.command("serve")
@click.option(
    "--log",
    "logs",
    multiple=True,
    required=True,
    metavar="DID|KEY",
    help="A log that is watched: the DID of its owner, or its verifier key (name+hash+key). May be repeated.",
)
@listen_option("Where to listen")
@HOME_OPTION
@command
async def serve(out: Out, logs: tuple[str, ...], listen: str, home: str | None) -> int:
    """Cosign the checkpoints of these logs, as long as each continues the one before, until stopped with Ctrl-C or
    SIGTERM.

    What was cosigned stands in witness.db of the state folder, and must never be put back from an old copy. It speaks
    http; others reach it through something that speaks https. The key that it shows goes into the settings of those
    whose logs it watches:

    \b
    [[witness]]
    url = "https://witness.example"
    key = "did:web:witness.example+…+…"
    """  # noqa: D301 - a backspace keeps the lines of a paragraph apart in the help
    quiet_logs(verbose=False, warnings=True)
    opened = out.home(home)
    host, port = host_port("--listen", listen)
    require_near(opened, host)
    logs = tuple(dict.fromkeys(logs))
    dids, keys = _named(opened, logs)
    stop = stop_signal()
    more_files()
    own, log_key = opened.configuration.did, opened.log_key()
    with closing(WitnessBook(opened.path / BOOK)) as book:
        async with (
            open_gatherer(opened) as gatherer,
            WitnessServer(book, own, log_key, gatherer, logs=dids, keys=keys, host=host, port=port) as server,
        ):
            key = verifier_text(server.verifier)
            out.value({"kind": "ready", "url": server.url, "key": key, "logs": [*dids, *(one.name for one in keys)]})
            out.line(f"watching {counted(len(logs), 'log')} at {server.url}")
            out.line(f"key {key}")
            out.line("stop it with Ctrl-C")
            await stop.wait()
    return 0


def _named(home: Home, logs: Sequence[str]) -> tuple[list[Did], list[NoteVerifier]]:
    dids: list[Did] = []
    keys: list[NoteVerifier] = []
    for one in logs:
        if "+" in one:
            with checking(f"--log {one[:200]}"):
                verifier = read_verifier(one)
            if verifier.cosigns:
                raise ConfigurationError("bad_configuration", f"--log {one[:200]} is the key of a witness")
            keys.append(verifier)
        else:
            dids.append(did_here(home, one))
    return dids, keys


@witness.command("show")
@HOME_OPTION
@command
async def show(out: Out, home: str | None) -> int:
    """The newest checkpoint of each log that was cosigned here, and what logs signed twice.

    Exit code 4 if a log signed two roots of one size: with --json both notes are shown, proof to anybody.
    """
    path = out.home(home).path / BOOK
    if not path.exists():
        raise ConfigurationError("not_found", f"{path} is not there: nothing was ever cosigned here")
    with closing(WitnessBook(path)) as book:
        logs, doubled = book.logs(), book.contradictions()
    for log in logs:
        out.value({"origin": log.origin, "size": log.size, "root": log.root.hex(), "note": log.note})
        out.line(f"{log.size:10}  {plain(log.origin, 200)}")
    for one in doubled:
        out.value({"contradiction": one.origin, "size": one.size, "notes": [one.held, one.came]})
        out.line(
            f"{plain(one.origin, 200)} signed two roots of {counted(one.size, 'leaf', 'leaves')}", style="bold red"
        )
    if not logs:
        out.line("nothing was cosigned yet")
    return CHECK_FAILED if doubled else 0


@witness.command("ask")
@click.option("--url", metavar="URL", help="Ask this one, and not those of the settings; with --key.")
@click.option("--key", metavar="KEY", help="Its verifier key.")
@NOTE_OPTION
@FORCE_OPTION
@HOME_OPTION
@meeting
async def ask(out: Out, url: str | None, key: str | None, file: Path | None, force: bool, home: str | None) -> int:
    """Have our log's checkpoint cosigned now. Exit code 4 if a witness holds another history of it, 6 if one that was
    asked did not cosign it.

    A running peer does this by itself, for the witnesses of its settings.
    """
    quiet_logs(verbose=False)
    opened = out.home(home)
    async with open_gatherer(opened) as gatherer, reading_own(opened) as store:
        asked = Witnesses(
            _asked(opened, url, key), store, opened.configuration.did, opened.log_key(), gatherer, SystemClock()
        )
        found = await asked.ask()
        note = asked.newest
    code = 0
    for one in found:
        name, error = one.witness.verifier.name, one.error
        out.value(
            {
                "witness": name,
                "url": one.witness.url,
                "cosigned": one.at,
                "error": error_json(error) if error is not None else None,
            }
        )
        if error is None:
            out.line(f"cosigned at {one.at} by {plain(name, 200)}")
        else:
            code = UNREACHABLE
            out.line(f"{plain(name, 200)}: {plain(str(error), 1000)}", style="red")
    if any(one.error is not None and one.error.code == "ledger_diverged" for one in found):
        code = CHECK_FAILED
    if note is not None and any(one.line for one in found):
        if file is not None:
            write_new(file, note.encode(), force=force)
        out.value({"note": note} | ({"file": str(file)} if file is not None else {}))
        for line in note.split("\n")[:-1]:
            out.line(line)
    return code


def _asked(home: Home, url: str | None, key: str | None) -> tuple[Witness, ...]:
    if (url is None) != (key is None):
        raise ConfigurationError("bad_configuration", "--url and --key go together")
    if url is None or key is None:
        if not home.witnesses:
            raise ConfigurationError(
                "bad_configuration", "the settings name no [[witness]]: add one, or name one by --url and --key"
            )
        return home.witnesses
    try:
        return witnesses_of([WitnessPart(url=url, key=key)], local=home.configuration.local)
    except ValueError as exc:
        raise ConfigurationError("bad_configuration", f"--url and --key: {exc}") from exc
