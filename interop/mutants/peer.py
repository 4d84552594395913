#!/usr/bin/env python3
"""Serves peers of ours that are wrong on purpose, each in a process of its own: `peer.py FOLDER`.

A line `start PORT PORT NAME` of standard input starts one, which listens on the first port and has its hook on the
second; `end NUMBER` ends it, and all end when standard input does. Each is offered for hire for the task `summary`,
hires when its hook is told to, and believes the organisation of the harness. Once it serves, one line of JSON tells its
number, name, DID, URL and hook. The right one is called `right`.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from aiohttp import web
from every import MUTANTS
from hook import app

from undersigned.daemon import Peer
from undersigned.runtime import OfferPart, configure_logs, create_home, issue_membership, signers
from undersigned.testing import GUILD

TOKEN = "a token of the test"  # noqa: S105 - it guards nothing


async def serve(folder: Path, number: int, name: str, port: int, hook: int) -> None:
    """One peer, until it is ended; `number` is that of its process."""
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
    """Forks once for each, so that the libraries are loaded once."""
    folder = Path(sys.argv[1])
    configure_logs(logging.CRITICAL, force=True)
    signers._SCRYPT_N = 2**4  # keys that nobody guards need no work to be opened
    children: set[int] = set()
    gc.freeze()
    for line in sys.stdin:
        what, which = line.rstrip("\n").split(" ", 1)
        if what == "start":
            port, hook, name = which.split(" ", 2)
            child = os.fork()
            if child == 0:
                sys.stdin.close()
                asyncio.run(serve(folder / str(os.getpid()), os.getpid(), name, int(port), int(hook)))
                os._exit(0)
            children.add(child)
        else:
            children.remove(int(which))
            ended(int(which))
    for child in children:
        ended(child)


def ended(child: int) -> None:
    """Ends a process of ours."""
    os.kill(child, signal.SIGTERM)
    os.waitpid(child, 0)


if __name__ == "__main__":
    main()
