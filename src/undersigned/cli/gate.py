"""The command `gate`: a proxy in front of a server of ours, which lets in what a contract allows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from undersigned.bridges.gate_rules import read_rules
from undersigned.daemon import GateProxy, RequestGate, checked_server, more_files
from undersigned.runtime import host_port

from .desk import desk_options, open_desk, told_when_reached, unheard
from .interrupts import stop_signal
from .options import FILE, VERBOSE_OPTION, listen_option, quiet_logs, read_toml_as
from .output import HOME_OPTION, Out, command
from .words import plain

__all__ = ["gate"]


@click.command()
@click.option("--upstream", metavar="URL", required=True, help="The server that is guarded; only we should reach it.")
@click.option("--rules", metavar="FILE", type=FILE, required=True, help="TOML: which request asks for which action.")
@listen_option("Where to listen")
@desk_options
@click.option("--sign-answers", is_flag=True, help="Sign answers as the hirer's; each is held until it is whole.")
@HOME_OPTION
@VERBOSE_OPTION
@command
async def gate(
    out: Out,
    upstream: str,
    rules: Path,
    listen: str,
    peer: str | None,
    token_file: Path | None,
    sign_answers: bool,
    home: str | None,
    verbose: bool,
) -> int:
    """Let in to a server what is signed by an agent we hired and allowed by its contract, until Ctrl-C or SIGTERM.

    Each request is signed (RFC 9421) under a contract, which our running peer holds ('undersigned serve --gates'). What
    no rule maps, no contract allows or nobody can check does not reach the server.

    \b
    origin = "https://api.acme.example"     # how agents reach the gate
    max_body_bytes = 1048576
    [[rule]]                                # the first that fits decides
    method = ["GET", "HEAD"]
    path = "/repos/{repo}/files/*"          # {name}: one segment; * at the end: one or more
    action = "repo:read"
    target = "https://git.acme.example/{repo}"   # by default the request's own URI
    amounts = { EUR = "0.05", bytes = "body" }   # what it takes of a limit
    facts = { dataClass = "internal" }           # what we know of the target
    query = false                                # whether a query may come with it

    It speaks http; others reach it through something that speaks https. With --json each request is a line. 499 is one
    that the server may have done, and whose agent left before the answer.
    """  # noqa: D301 - a backspace keeps the lines of a paragraph apart in the help
    quiet_logs(verbose)
    read = read_toml_as(rules, read_rules)
    checked_server(upstream, "--upstream", path=False)
    host, port = host_port("--listen", listen)
    desk = open_desk(out, home, peer, token_file, host)
    stop = stop_signal()
    more_files()

    untaken: list[OSError] = []

    def tell(said: dict[str, Any]) -> None:
        what = [plain(f"{said['action']} on {said['target']}", 200)] if "action" in said else []
        what += [said[name] for name in ("code", "clause") if name in said]
        because = f": {plain(said['why'], 200)}" if "why" in said else ""
        try:
            out.value({"kind": "request", **said})
            out.line(f"{said['status']}  {said['method']} {plain(said['path'], 200)}  {', '.join(what)}{because}")
        except OSError as exc:  # whoever read it has left, say: then this ends, as `serve` does
            untaken.append(exc)
            stop.set()

    async with desk:
        waits = await unheard(desk)
        proxy = GateProxy(RequestGate(desk, read, sign_answers=sign_answers), upstream, host=host, port=port, told=tell)
        async with proxy:
            ready = {"kind": "ready", "url": proxy.url, "upstream": upstream, "origin": read.origin, "peer": desk.url}
            out.value(ready | ({"warning": waits} if waits else {}))
            out.line(f"gate at {proxy.url} for {read.origin}, in front of {upstream}; asks {desk.url}")
            async with told_when_reached(out, desk, waits):
                out.line("stop it with Ctrl-C")
                await stop.wait()
    if untaken:
        out.unheard("stopped, because what it tells of requests is taken by nobody any more")
        raise untaken[0]
    return 0
