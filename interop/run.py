#!/usr/bin/env python3
"""Each implementation here in each role, held against the specification by `undersigned conform`.

    run.py [--all] [--out FOLDER] [ours] [js-peer]

Reports go to a folder for each (default build/interop). What an implementation is known to get wrong is in `expected/`.
Without node, or what js-peer needs, that one is left out and says so.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from undersigned import __version__
from undersigned.runtime import OfferPart, create_home, issue_membership
from undersigned.testing import GUILD

HERE = Path(__file__).parent
TOKEN = "a token of the test"  # noqa: S105 - it guards nothing
JS = HERE / "js-peer"


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@asynccontextmanager
async def program(*command: str) -> AsyncIterator[dict[str, Any]]:
    """A program that tells with one line of JSON that it is ready, until this is left."""
    process = await asyncio.create_subprocess_exec(*command, cwd=HERE, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    try:
        async with asyncio.timeout(60):
            line = await process.stdout.readline()
        yield json.loads(line)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


@asynccontextmanager
async def ours(folder: Path) -> AsyncIterator[dict[str, Any]]:
    """The peer of this repository, with the adapter of its hook."""
    hook = free_port()
    home = create_home(
        folder / "ours",
        name="Globex",
        local=True,
        port=free_port(),
        anchors=(GUILD.did,),
        max_price="10 EUR",
        offers=(
            OfferPart(
                task="summary", handler="handlers:summarise", price="4.00 EUR", delivers="summary.txt", capacity=10_000
            ),
        ),
    )
    await issue_membership(home)
    async with program(sys.executable, "hook.py", str(home.path), f"127.0.0.1:{hook}", TOKEN) as ready:
        yield {**ready, "hook": f"http://127.0.0.1:{hook}", "version": __version__}


@asynccontextmanager
async def js_peer(folder: Path) -> AsyncIterator[dict[str, Any]]:
    """The second implementation."""
    node = shutil.which("node") or ""
    home = str(folder / "js")
    async with program(node, "js-peer/bin/peer.js", "init", home):
        pass
    version = json.loads((JS / "package.json").read_text())["version"]
    options = ("--local", "--trust", GUILD.did, "--offer", "summary=4.00 EUR", "--hook-token", TOKEN)
    async with program(node, "js-peer/bin/peer.js", "serve", home, *options) as ready:
        yield {**ready, "hook": ready["origin"], "version": version}


IMPLEMENTATIONS = {"ours": ours, "js-peer": js_peer}


async def held(name: str, ready: dict[str, Any], role: str, out: Path, *, every: bool) -> int:
    """Runs the harness against one implementation in one role; the exit code."""
    token = out / "token"
    token.write_text(TOKEN)
    command = [sys.executable, "-m", "undersigned.cli", "conform", ready["url"], "--did", ready["did"], "--local"]
    command += ["--role", role, "--name", name, "--release", ready["version"], "--report", str(out / f"{name}-{role}")]
    command += ["--hook", ready["hook"], "--token-file", str(token)]
    expected = HERE / "expected" / f"{name}-{role}.toml"
    command += ["--expected", str(expected)] if expected.exists() else []
    command += ["--all"] if every else []
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    lines = said.decode().splitlines()
    shown = lines if process.returncode else lines[-1:]
    print(f"== {name} as {role}", *(line for line in shown if not line.startswith("passed")), sep="\n", flush=True)
    return process.returncode or 0


async def main() -> int:
    """Runs all that was asked for; 0 if all of them conform."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", action="store_true", help="every scenario, not only the small set")
    parser.add_argument("--out", type=Path, default=HERE.parent / "build" / "interop")
    parser.add_argument("names", nargs="*", choices=[*IMPLEMENTATIONS, []], help="implementations; all by default")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    codes: list[int] = []
    for name in asked.names or IMPLEMENTATIONS:
        if name == "js-peer" and (shutil.which("node") is None or not (JS / "node_modules").is_dir()):
            print("== js-peer left out: it needs node, and npm ci in interop/js-peer")
            continue
        with tempfile.TemporaryDirectory() as folder:
            async with IMPLEMENTATIONS[name](Path(folder)) as ready:
                for role in ("provider", "hirer"):
                    codes.append(await held(name, ready, role, asked.out, every=asked.all))
    print(f"reports in {asked.out}")
    return max(codes, default=0)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
