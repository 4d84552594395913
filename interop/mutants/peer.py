#!/usr/bin/env python3
"""Serves peers of ours that are wrong on purpose, each in a process of its own: `peer.py FOLDER (NAME PORT PORT)...`.

Each is offered for hire for the task `summary`, hires when its hook is told to, and believes the organisation of the
harness. For each one line of JSON tells its number, DID, URL and hook; all end when standard input does. The right one
is called `right`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from aiohttp import web
from hook import app
from narrow import MUTANTS

from undersigned.daemon import Peer
from undersigned.runtime import OfferPart, configure_logs, create_home, issue_membership, signers
from undersigned.testing import GUILD

TOKEN = "a token of the test"  # noqa: S105 - it guards nothing


async def serve(folder: Path, number: int, name: str, port: int, hook: int) -> None:
    """One peer, until it is ended."""
    home = create_home(
        folder,
        name="Globex",
        local=True,
        port=port,
        anchors=(GUILD.did,),
        max_price="10 EUR",
        offers=(
            OfferPart(
                task="summary", handler="handlers:summarise", price="4.00 EUR", delivers="summary.txt", capacity=10_000
            ),
        ),
    )
    await issue_membership(home)
    for mutant in MUTANTS:
        if mutant.name == name:
            mutant.change()
    async with Peer.open(home, ledger_url="memory://") as peer:
        runner = web.AppRunner(app(peer, TOKEN))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", hook).start()
        told = {"number": number, "name": name, "did": peer.own.id, "url": f"ws://localhost:{port}/hire"}
        os.write(1, json.dumps({**told, "hook": f"http://127.0.0.1:{hook}", "token": TOKEN}).encode() + b"\n")
        await asyncio.Event().wait()


def main() -> None:
    """Forks once for each name, so that the libraries are loaded once."""
    folder, *rest = sys.argv[1:]
    names, ports = rest[::3], [int(port) for port in (*rest[1::3], *rest[2::3])]
    configure_logs(logging.CRITICAL, force=True)
    signers._SCRYPT_N = 2**4  # keys that nobody guards need no work to be opened
    children = []
    for number, name in enumerate(names):
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            sys.stdin.close()
            asyncio.run(serve(Path(folder) / str(number), number, name, ports[number], ports[len(names) + number]))
            os._exit(0)
        children.append(child)
    sys.stdin.read()
    for child in children:
        os.kill(child, signal.SIGTERM)
    for child in children:
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
