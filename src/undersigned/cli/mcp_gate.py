"""The command `mcp-gate`: the contract, in front of an MCP server that knows nothing of it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import click

from undersigned.bridges.mcp_rules import Rules
from undersigned.daemon import (
    Gatekeeper,
    GateLimits,
    HttpGate,
    Passage,
    RemoteDesk,
    StdioGate,
    checked_server,
    more_files,
    standard_streams,
)
from undersigned.errors import ConfigurationError, ScopeError
from undersigned.runtime import configure_logs, host_port

from .desk import desk_options, open_desk, told_when_reached, unheard
from .interrupts import stop_signal
from .options import FILE, Seconds, checked_digest, listen_option, read_toml_as
from .output import HOME_OPTION, Out, meeting

__all__ = ["mcp_gate"]

LOG_LEVEL = 30
"""What is refused or dropped is told to the operator, on standard error."""


@click.command("mcp-gate")
@click.argument("command_line", nargs=-1, metavar="[-- COMMAND...]")
@click.option(
    "--rules",
    "rules_file",
    required=True,
    type=FILE,
    help="TOML: which tool, with which arguments, is which action on which target.",
)
@click.option("--contract", metavar="DIGEST", help="With COMMAND: the contract that its client works under.")
@click.option("--upstream", metavar="URL", help="A server that speaks streamable HTTP, in place of COMMAND.")
@listen_option("With --upstream: where clients call")
@click.option("--public", metavar="URL", help="With --upstream: by which URL clients call it, and sign.")
@desk_options
@click.option("--sign-answers", is_flag=True, help="Sign answers as the hirer's; each is held until it is whole.")
@click.option(
    "--answer-seconds",
    type=Seconds(0.1, 3600),
    metavar="SECONDS",
    default=60.0,
    show_default=True,
    help="For the server to answer one request.",
)
@HOME_OPTION
@meeting
async def mcp_gate(
    out: Out,
    command_line: tuple[str, ...],
    rules_file: Path,
    contract: str | None,
    upstream: str | None,
    listen: str,
    public: str | None,
    peer: str | None,
    token_file: Path | None,
    sign_answers: bool,
    answer_seconds: float,
    home: str | None,
) -> int:
    """Let hired agents use an MCP server, as far as their contracts go.

    \b
    undersigned mcp-gate --rules git.toml --contract DIGEST -- mcp-server-git
    undersigned mcp-gate --rules docs.toml --upstream http://127.0.0.1:8000/mcp --listen 127.0.0.1:8200

    With a COMMAND it speaks to one client over standard input and output, for one contract. With --upstream it listens
    for clients who sign what they send (RFC 9421) and name their contract. Either way it asks our running peer
    ('undersigned serve --gates HOST:PORT'), which books what is used and records what is refused.
    """  # noqa: D301 - a backspace keeps the lines of a paragraph apart in the help
    if bool(command_line) == bool(upstream):
        raise ConfigurationError("bad_configuration", "expected either --upstream URL or, after --, a COMMAND")
    if bool(command_line) != bool(contract):
        raise ConfigurationError("bad_configuration", "--contract goes with a COMMAND, and a COMMAND with it")
    if sign_answers and upstream is None:
        raise ConfigurationError("bad_configuration", "--sign-answers goes with --upstream")
    if contract is not None:
        checked_digest(contract, "--contract")
    rules = read_toml_as(rules_file, Rules.from_toml)
    if upstream is not None:
        checked_server(upstream, "--upstream", path=True)
    if public is not None:
        checked_server(public, "--public", path=True)
    host, port = host_port("--listen", listen)
    asked = open_desk(out, home, peer, token_file, host)
    if upstream is not None and public is None and host in ("0.0.0.0", "::"):  # noqa: S104 - compared
        raise ConfigurationError("bad_configuration", f"--listen {host} goes with --public: clients sign that URL")
    # Standard output is the client's, if there is a COMMAND.
    configure_logs(LOG_LEVEL, force=True)
    limits = GateLimits(answer_seconds=answer_seconds)
    stop = stop_signal()
    more_files()
    async with asked as desk:
        if contract is not None:
            await _over_stdio(desk, contract, rules, command_line, limits, stop)
        elif upstream is not None:
            gate = HttpGate(
                desk, rules, upstream, host=host, port=port, public=public, limits=limits, sign_answers=sign_answers
            )
            waits = await unheard(desk)
            async with gate:
                out.value(
                    {"kind": "ready", "url": gate.url, "upstream": upstream} | ({"warning": waits} if waits else {})
                )
                out.line(f"letting clients in at {gate.url}, to {upstream}")
                async with told_when_reached(out, desk, waits):
                    out.line("stop it with Ctrl-C")
                    await stop.wait()
    return 0


async def _over_stdio(
    desk: RemoteDesk,
    contract: str,
    rules: Rules,
    command_line: tuple[str, ...],
    limits: GateLimits,
    stop: asyncio.Event,
) -> None:
    keys = await desk.keys(contract)
    if keys is None:
        raise ScopeError(
            "contract_expired", f"the peer gave no contract {contract} that is not over", clause="contract"
        )
    reader, writer = await standard_streams()
    keeper = Gatekeeper(desk)
    passage = Passage(keeper, keys, rules)
    running = asyncio.create_task(StdioGate(passage, command_line, reader, writer, limits).run())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not running.done():
        running.cancel()
    try:
        with suppress(asyncio.CancelledError):
            await running
    finally:
        await keeper.close()
