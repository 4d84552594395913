#!/usr/bin/env python3
"""Each implementation of peers.toml in each role, held against the specification by `undersigned conform`; then all of
them hire each other by `undersigned interop`.

    run.py [--small] [--out FOLDER] [NAME...]

Reports go to a folder for each (default build/interop). What an implementation is known to get wrong is in `expected/`.
Without node, or what js-peer needs, that one is left out and says so.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from undersigned.interop import Instance, read_peers, started
from undersigned.testing import GUILD

HERE = Path(__file__).parent
ROOT = HERE.parent
PEERS = HERE / "peers.toml"
JS = HERE / "js-peer"
AT_A_TIME = 4
UNDERSIGNED = (sys.executable, "-m", "undersigned.cli")
MANIFEST = ROOT / "protocol-spec" / "vectors" / "MANIFEST.sha256"
VECTORS = {
    "ours": (ROOT, (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/vectors")),
    "js-peer": (JS, ("node", "--test", "test/vectors.test.js")),
}
"""How each shows that it has every result that the vectors state."""


async def ran(*command: str, folder: Path = ROOT) -> tuple[int, str]:
    """Exit code of a command, and what it said."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode("utf-8", "backslashreplace")


async def vectors(name: str) -> int:
    """Whether an implementation passes the vectors; the exit code."""
    folder, command = VECTORS[name]
    code, said = await ran(*command, folder=folder)
    print(f"== {name}: vectors {'do not pass' if code else 'pass'}", *([said] if code else []), sep="\n", flush=True)
    return code


async def held(one: Instance, out: Path, *, every: bool, passes: bool) -> int:
    """Runs the harness against one implementation in its role; the exit code."""
    name, role = one.entry.name, str(one.role)
    token = out / f"{name}-{role}.token"
    token.write_text(one.token)
    command = ["conform", one.url, "--did", one.did, "--local", "--role", role, "--name", name]
    command += ["--release", one.version, "--report", str(out / f"{name}-{role}"), "--hook", one.hook]
    command += ["--token-file", str(token)]
    expected = HERE / "expected" / f"{name}-{role}.toml"
    command += ["--expected", str(expected)] if expected.exists() else []
    command += ["--vectors", str(MANIFEST)] if passes else []
    command += ["--all"] if every else []
    code, said = await ran(*UNDERSIGNED, *command)
    token.unlink()
    lines = said.splitlines()
    shown = [line for line in lines if not line.startswith("passed")] if code else lines[-1:]
    print(f"== {name} as {role}", *shown, sep="\n", flush=True)
    return code


async def main() -> int:
    """Runs all that was asked for; 0 if all of them conform and every pair passes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--small", action="store_true", help="only the small set of scenarios, not every one")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "interop")
    parser.add_argument("names", nargs="*", help="implementations; all by default")
    asked = parser.parse_args()
    entries = [one for one in read_peers(PEERS) if not asked.names or one.name in asked.names]
    if shutil.which("node") is None or not (JS / "node_modules").is_dir():
        print("== js-peer left out: it needs node, and npm ci in interop/js-peer")
        entries = [one for one in entries if one.name != "js-peer"]
    out = asked.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    names = [one.name for one in entries]
    gate = asyncio.Semaphore(AT_A_TIME)
    codes: list[int] = []

    async def vectors_of(name: str) -> int:
        async with gate:
            return await vectors(name)

    async def held_of(one: Instance) -> int:
        if one.trouble:
            print(f"== {one.entry.name} as {one.role}: {one.trouble}")
            return 6
        async with gate:
            return await held(one, out, every=not asked.small, passes=passed[one.entry.name])

    codes += await asyncio.gather(*map(vectors_of, names))
    passed = {name: code == 0 for name, code in zip(names, codes, strict=True)}
    with tempfile.TemporaryDirectory() as folder:
        async with started(entries, base=HERE, folder=Path(folder), believed=(GUILD.did,)) as instances:
            codes += await asyncio.gather(*map(held_of, instances))
    only = [word for name in names for word in ("--only", name)]
    code, said = await ran(*UNDERSIGNED, "interop", "--peers", str(PEERS), "--local", "--report", str(out), *only)
    print("== every pair", said.rstrip(), f"reports in {out}", sep="\n")
    return max([*codes, code])


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
