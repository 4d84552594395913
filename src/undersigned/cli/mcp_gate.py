"""The command `mcp-gate`: the contract, in front of an MCP server that knows nothing of it."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from pathlib import Path

import click

from undersigned.bridges.mcp_rules import Rules
from undersigned.daemon import GateLimits, HttpGate, McpDesk, Passage, StdioGate, standard_streams
from undersigned.errors import ConfigurationError
from undersigned.runtime import Home, configure_logs, read_toml

from .options import checked_control
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
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML: which tool, with which arguments, is which action on which target.",
)
@click.option("--contract", metavar="DIGEST", help="With COMMAND: the contract that its client works under.")
@click.option("--upstream", metavar="URL", help="A server that speaks streamable HTTP, in place of COMMAND.")
@click.option("--listen", metavar="HOST:PORT", default="127.0.0.1:0", help="With --upstream: where clients call.")
@click.option("--public", metavar="URL", help="With --upstream: by which URL clients call it, and sign.")
@click.option(
    "--control",
    metavar="HOST:PORT",
    help="Where the control listener of the running peer is; by default as [control] of the settings says.",
)
@click.option(
    "--answer-seconds",
    type=click.FloatRange(0.1, 3600),
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
    control: str | None,
    answer_seconds: float,
    home: str | None,
) -> int:
    """Let hired agents use an MCP server, as far as their contracts go.

    \b
    undersigned mcp-gate --rules git.toml --contract DIGEST -- mcp-server-git
    undersigned mcp-gate --rules docs.toml --upstream http://127.0.0.1:8000/mcp --listen 127.0.0.1:8200

    With a COMMAND it speaks to one client over standard input and output, for one contract. With --upstream it listens
    for clients who sign what they send (RFC 9421) and name their contract. Either way it asks the running peer of the
    state folder ('undersigned serve --control HOST:PORT'), which books what is used and records what is refused.
    """  # noqa: D301 - a backspace keeps the lines of a paragraph apart in the help
    if bool(command_line) == bool(upstream):
        raise ConfigurationError("bad_configuration", "expected either --upstream URL or, after --, a COMMAND")
    if bool(command_line) != bool(contract):
        raise ConfigurationError("bad_configuration", "--contract goes with a COMMAND, and a COMMAND with it")
    rules = Rules.from_toml(read_toml(rules_file))
    opened = out.home(home)
    # Standard output is the client's, if there is a COMMAND.
    configure_logs(LOG_LEVEL, force=True)
    limits = GateLimits(answer_seconds=answer_seconds)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with McpDesk(_control_url(opened, control), opened.control_token()) as desk:
        if contract is not None:
            await _over_stdio(desk, contract, rules, command_line, limits, stop)
        elif upstream is not None:
            host, _, port = listen.rpartition(":")
            if not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
                raise ConfigurationError("bad_configuration", f"--listen: expected HOST:PORT, got {listen!r}")
            gate = HttpGate(desk, rules, upstream, host=host, port=int(port), public=public, limits=limits)
            async with gate:
                out.value({"kind": "ready", "url": gate.url, "upstream": upstream})
                out.line(f"letting clients in at {gate.url}, to {upstream}")
                out.line("stop it with Ctrl-C")
                await stop.wait()
    return 0


async def _over_stdio(
    desk: McpDesk, contract: str, rules: Rules, command_line: tuple[str, ...], limits: GateLimits, stop: asyncio.Event
) -> None:
    requester = await desk.of_contract(contract)
    reader, writer = await standard_streams()
    running = asyncio.create_task(
        StdioGate(Passage(desk, requester, rules), command_line, reader, writer, limits).run()
    )
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not running.done():
        running.cancel()
    with suppress(asyncio.CancelledError):
        await running


def _control_url(home: Home, named: str | None) -> str:
    part = home.configuration.control
    if named is not None:
        part = checked_control(named, part)
    if part is None or part.port == 0:
        raise ConfigurationError(
            "bad_configuration",
            "where does the running peer listen for control? Say --control HOST:PORT, or set port in [control]",
        )
    host = f"[{part.host}]" if ":" in part.host else part.host
    return f"http://{host}:{part.port}"
