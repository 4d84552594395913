"""The command `spawn`: identities of minutes for the processes of an organisation, withdrawn when it ends."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import click

from undersigned.credentials import Ceiling
from undersigned.encoding import seconds_between
from undersigned.errors import ConfigurationError
from undersigned.runtime import CONFIGURATION, SPAWN_BATCH, Organisation, Spawned, Swarm, parse_price
from undersigned.scope import ACTION_PATTERN

from .interrupts import stop_signal
from .options import HOMES
from .output import HOME_OPTION, Out, command
from .words import counted, typed

__all__ = ["spawn"]


@click.command()
@click.option(
    "-n", "count", type=click.IntRange(1, 1_000_000), metavar="COUNT", default=1, show_default=True, help="How many."
)
@click.option(
    "--minutes",
    type=click.IntRange(1, 60),
    metavar="MINUTES",
    default=10,
    show_default=True,
    help="How long each is valid at most.",
)
@click.option("--max-price", metavar="PRICE", help="Ceiling: highest price of one contract, such as '5.00 EUR'.")
@click.option(
    "--action",
    "actions",
    multiple=True,
    metavar="NAME",
    help="Ceiling: only these actions in a scope. May be repeated.",
)
@click.option(
    "--out",
    "folder",
    type=HOMES,
    help="Folder to make a state folder for each in. Without it, --json writes the private keys to standard output.",
)
@HOME_OPTION
@command
async def spawn(
    out: Out,
    count: int,
    minutes: int,
    max_price: str | None,
    actions: tuple[str, ...],
    folder: Path | None,
    home: str | None,
) -> int:
    """Give each of N processes an identity: a key, a DID, and a membership of minutes. Starting them is up to you.

    It stays until it is stopped (Ctrl-C, SIGTERM) or the minutes are over, and then withdraws them all. A running peer
    of this state folder ('serve') tells whoever asks; keep it running while they work.
    """
    if folder is None and not out.as_json:
        raise ConfigurationError("bad_configuration", "say where to: --out FOLDER, or --json for standard output")
    if folder is not None:
        _require_free(folder, count)
    price = parse_price(max_price, "--max-price") if max_price is not None else None
    if (strange := next((one for one in actions if not re.fullmatch(ACTION_PATTERN, one)), None)) is not None:
        raise ConfigurationError("bad_configuration", f"--action: expected one such as artifact:read, got {strange!r}")
    ceiling = Ceiling(
        amount=price.amount if price else None, currency=price.currency if price else None, actions=actions or None
    )
    stop = stop_signal()
    with (
        Organisation(out.home(home)) as organisation,
        organisation.spawn(0, minutes=minutes, ceiling=None if ceiling == Ceiling() else ceiling) as swarm,
    ):
        while len(swarm.identities) < count and not stop.is_set():
            done = len(swarm.identities)
            for number, one in enumerate(swarm.add(min(SPAWN_BATCH, count - done)), start=done):
                out.value(_written(swarm, one, folder and folder / _name(number)))
            out.line(f"{len(swarm.identities)} of {count}")
            await asyncio.sleep(0)  # lets a signal in
        out.value({"spawned": len(swarm.identities), "issuer": organisation.did, "until": swarm.until})
        out.line(
            f"in {folder}, until {swarm.until}; each is a state folder: {typed('... --home {}', f'{folder}/000000')}"
        )
        out.line("stop it with Ctrl-C, and all of them are withdrawn")
        try:
            await asyncio.wait_for(stop.wait(), timeout=max(seconds_between(organisation.clock.now(), swarm.until), 0))
        except TimeoutError:
            out.line("their time is over")
        withdrawn = swarm.withdraw()
    out.value({"withdrawn": withdrawn})
    out.line(f"withdrawn: {counted(withdrawn, 'identity', 'identities')}")
    return 0


def _name(number: int) -> str:
    return f"{number:06}"


def _require_free(folder: Path, count: int) -> None:
    """Returns if so many state folders can be made in it; looked at before anything is issued.

    Raises:
        ConfigurationError: `bad_configuration`: it is one itself, or holds one of these names.
    """
    if (folder / CONFIGURATION).exists():
        text = f"--out: {folder} is the state folder of an agent; expected one that holds those that are made"
        raise ConfigurationError("bad_configuration", text)
    taken = {one.parent.name for one in folder.glob(f"*/{CONFIGURATION}")}.intersection(map(_name, range(count)))
    if taken:
        raise ConfigurationError("bad_configuration", f"--out: {folder / min(taken)} is a state folder already")


def _written(swarm: Swarm, one: Spawned, folder: Path | None) -> dict[str, Any]:
    """What is told of one: where its state folder is, or all there is to it."""
    told: dict[str, Any] = {"did": one.did, "credential": one.membership["id"], "until": one.until}
    if folder is None:
        return {**told, "secretKeyMultibase": one.key.secret_multikey, "membership": one.membership}
    swarm.write(one, folder)
    return {**told, "home": str(folder)}
