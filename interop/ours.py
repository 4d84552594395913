#!/usr/bin/env python3
"""The peer of this repository as a program for peers.toml, with its hook: `ours.py init HOME` or
`ours.py serve HOME TOKEN DID...`, which believes these organisations. Each prints one line of JSON once it is ready.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from pathlib import Path

from aiohttp import web
from hook import app

from undersigned import __version__
from undersigned.daemon import Peer
from undersigned.runtime import OfferPart, configure_logs, create_home, issue_membership
from undersigned.testing import free_ports

SUMMARY = OfferPart(
    task="summary", handler="handlers:summarise", price="4.00 EUR", delivers="summary.txt", capacity=10_000
)
ANCHORS = "anchors = ["


async def init(folder: Path) -> None:
    """Makes the state folder of a local agent that can be hired."""
    home = create_home(folder, name="Globex", local=True, port=free_ports(1)[0], max_price="10 EUR", offers=(SUMMARY,))
    await issue_membership(home)
    print(json.dumps({"did": home.configuration.did, "organisation": home.configuration.did + ":org"}), flush=True)


async def serve(folder: Path, token: str, trusted: list[str]) -> None:
    """Runs the peer and its hook until it is ended."""
    settings = folder / "undersigned.toml"
    text = settings.read_text("utf-8").replace(f"{ANCHORS}]", f"{ANCHORS}{json.dumps(trusted)[1:]}", 1)
    settings.write_text(text, "utf-8")
    configure_logs(logging.ERROR, force=True)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    async with Peer.open(folder) as peer:
        runner = web.AppRunner(app(peer, token))
        await runner.setup()
        port = free_ports(1)[0]
        await web.TCPSite(runner, "127.0.0.1", port).start()
        hook = f"http://127.0.0.1:{port}"
        print(json.dumps({"did": peer.own.id, "url": peer.url, "hook": hook, "version": __version__}), flush=True)
        await ended.wait()
        await runner.cleanup()


if __name__ == "__main__":
    command, home, *rest = sys.argv[1:]
    asyncio.run(init(Path(home)) if command == "init" else serve(Path(home), rest[0], rest[1:]))
