"""The command `registry serve`: a small trust registry over a file."""

from __future__ import annotations

from pathlib import Path

import click

from undersigned.daemon import RegistryServer, more_files
from undersigned.runtime import host_port, read_token

from .interrupts import stop_signal
from .listing import CommandGroup
from .options import FILE, listen_option, quiet_logs
from .output import Out, command

__all__ = ["registry"]


@click.group(cls=CommandGroup)
def registry() -> None:
    """A trust registry (ToIP TRQP v2.0) that others can ask."""


@registry.command("serve")
@click.option(
    "--file", required=True, type=FILE, help="TOML: [[authorization]] and [[recognition]]; read again on change."
)
@listen_option("Where to listen")
@click.option("--token-file", type=FILE, help="Answer only who sends the bearer token in this file.")
@command
async def serve(out: Out, file: Path, listen: str, token_file: Path | None) -> int:
    """Answer whom an authority has authorised or recognised, until stopped with Ctrl-C or SIGTERM.

    \b
    [[authorization]]
    authority = "did:web:guild.example"
    entity = "did:web:acme.example"
    action = "issue"
    resource = "sbom"
    valid_until = "2027-01-01T00:00:00Z"

    It speaks http; others reach it through something that speaks https.
    """  # noqa: D301 - a backspace keeps the lines of a paragraph apart in the help
    quiet_logs(verbose=False)
    host, port = host_port("--listen", listen)
    stop = stop_signal()
    more_files()
    token = read_token(token_file) if token_file is not None else None
    async with RegistryServer(file, host=host, port=port, token=token) as server:
        out.value({"kind": "ready", "url": server.url})
        out.line(f"answering at {server.url} from {file}")
        out.line("stop it with Ctrl-C")
        await stop.wait()
    return 0
