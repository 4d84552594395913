"""The peer that a gate asks: where it is, what is shown to it, and until when it is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

import click

from undersigned.daemon import RemoteDesk, checked_server
from undersigned.errors import ConfigurationError, UndersignedError
from undersigned.runtime import control_token

from .options import FILE, require_near
from .output import Out, error_json

__all__ = ["desk_options", "open_desk", "told_when_reached", "unheard"]

Command = TypeVar("Command", bound=Callable[..., object])

LOOK_SECONDS = 4.0
"""The most until a gate that is asked nothing looks again whether its peer is there."""


def desk_options(run: Command) -> Command:
    """Where a gate asks: `--peer` and `--token-file`, for `open_desk`."""
    peer = click.option(
        "--peer", metavar="URL", help="Where our peer answers gates; by default as [gates] of the settings says."
    )
    token = click.option(
        "--token-file",
        type=FILE,
        help="What to show there; by default gate.token of the state folder.",
    )
    return peer(token(run))


def open_desk(out: Out, named: str | None, peer: str | None, token_file: Path | None, host: str) -> RemoteDesk:
    """The peer that gates ask, as the options say, else as the state folder that is `named`, which is not looked for
    where both are given. The gate listens at `host`. Whoever opens it closes it.

    Raises:
        ConfigurationError: Neither says it, or the token cannot be read; as `require_near`.
    """
    if peer is not None:
        checked_server(peer, "--peer", path=False)
    token: str | None = None
    if token_file is not None:
        token = control_token(token_file)
    if peer is None or token is None:
        home = out.home(named)
        require_near(home, host)
        if peer is None:
            part = home.configuration.gates
            if part is None or not part.port:
                raise ConfigurationError("bad_configuration", "say --peer URL, or port in [gates] of the settings")
            peer = part.url
        token = home.gate_token() if token is None else token
    return RemoteDesk(peer, token)


async def unheard(desk: RemoteDesk) -> str:
    """Why our peer does not answer its gate yet, in words; empty if it does.

    Raises:
        TransportError: `unauthorized`: it never will, the token is another folder's.
    """
    try:
        await desk.greet()
    except UndersignedError as error:
        if error.code == "unauthorized":
            raise
        return f"nothing passes yet: {error.message}"
    return ""


@asynccontextmanager
async def told_when_reached(out: Out, desk: RemoteDesk, waits: str) -> AsyncGenerator[None]:
    """Tells what a gate waits for, as `unheard` says it, and inside the block that it waits no longer."""
    if not waits:
        yield
        return
    out.alarm(waits)
    looking = asyncio.create_task(_tell_when_reached(out, desk))
    try:
        yield
    finally:
        looking.cancel()


async def _tell_when_reached(out: Out, desk: RemoteDesk) -> None:
    seconds = 1.0
    try:
        while not desk.answered.is_set() and await unheard(desk):
            with suppress(TimeoutError):  # a request that it answers tells sooner
                await asyncio.wait_for(desk.answered.wait(), seconds)
            seconds = min(2 * seconds, LOOK_SECONDS)  # what refuses us tells its log each time
    except UndersignedError as error:  # it has another state folder: this gate lets in nobody
        out.value({"kind": "unreached", "peer": desk.url, "error": error_json(error)})
        out.alarm(error.message)
        return
    out.value({"kind": "reached", "peer": desk.url})
    out.line(f"the peer at {desk.url} is reached: what its contracts allow passes from now on")
