#!/usr/bin/env python3
"""The harness against peers that are wrong on purpose: each mutant has to be caught, and each scenario to catch one.

    run.py [--whole] [--out FOLDER] [NAME...]

Each mutant is met by the scenarios that are said to catch it, with `--whole` by all of the small set, as provider and
as hirer. Prints one line for each mutant, and what is not as it has to be; `--out` writes the matrix as mutants.json
and, for people, mutants.html.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fnmatch import fnmatchcase
from html import escape
from pathlib import Path
from typing import Any

from narrow import MUTANTS

from undersigned.interop import Limits, Result, Scenario, Stage, Subject, chosen, play_all
from undersigned.interop.report import POLICY, STYLE
from undersigned.protocol import ROLES
from undersigned.testing import free_ports

HERE = Path(__file__).parent
LIMITS = Limits(answer=2.0, scenario=20.0, arrival=6.0, upgrade=2.0)
BATCH = 12
AT_A_TIME = 4
RIGHT = "right"
SCENARIOS = tuple(one for role in ROLES for one in chosen(role, every=True))


def catchers(patterns: tuple[str, ...]) -> tuple[Scenario, ...]:
    """The scenarios that are said to catch a mutant.

    Raises:
        ValueError: A pattern names none.
    """
    found = [one for one in SCENARIOS if any(fnmatchcase(one.id, pattern) for pattern in patterns)]
    for pattern in patterns:
        if not any(fnmatchcase(one.id, pattern) for one in found):
            raise ValueError(f"no scenario {pattern}")
    return tuple(found)


@asynccontextmanager
async def serving(names: list[str], ports: list[int]) -> AsyncIterator[list[dict[str, Any]]]:
    """These mutants, each serving in a process of its own, on two of the ports."""
    with tempfile.TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *(str(HERE / "peer.py"), folder),
            *(str(word) for three in zip(names, ports[::2], ports[1::2], strict=True) for word in three),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        try:
            async with asyncio.timeout(120):
                peers = [json.loads(await process.stdout.readline()) for _ in names]
            yield peers
        finally:
            process.stdin.close()
            await process.wait()


async def met(peer: dict[str, Any], scenarios: tuple[Scenario, ...], seed: str) -> tuple[Result, ...]:
    """What comes of these scenarios against one peer."""
    subject = Subject(url=peer["url"], did=peer["did"], local=True, hook=peer["hook"], token=peer["token"])
    results: list[Result] = []
    async with Stage(subject, seed=f"{seed}/{peer['name']}", limits=LIMITS) as stage:
        for role in ROLES:
            results += await play_all(stage, [one for one in scenarios if one.role == role])
    return tuple(results)


async def matrix(names: list[str], *, whole: bool, seed: str) -> dict[str, dict[str, str]]:
    """For each mutant, and the right peer, what each scenario said of it."""
    said = {one.name: catchers(one.caught_by) for one in MUTANTS} | {RIGHT: SCENARIOS}
    found: dict[str, dict[str, str]] = {}
    gate = asyncio.Semaphore(AT_A_TIME)

    async def one(peer: dict[str, Any]) -> None:
        name = peer["name"]
        async with gate:
            results = await met(peer, SCENARIOS if whole else said[name], seed)
        found[name] = {one.scenario.id: one.outcome for one in results}
        caught = sum(1 for one in results if one.outcome == "failed")
        print(f"{caught:4} of {len(results):4} catch it: {name}", flush=True)

    batches = asyncio.Semaphore(2)  # the next ones start while these are met

    ports = free_ports(2 * len(names))  # all at once: two that choose for themselves may choose the same

    async def batch(start: int) -> None:
        end = start + BATCH
        async with batches, serving(names[start:end], ports[2 * start : 2 * end]) as peers:
            await asyncio.gather(*map(one, peers))

    await asyncio.gather(*(batch(start) for start in range(0, len(names), BATCH)))
    return found


def complaints(found: dict[str, dict[str, str]]) -> list[str]:
    """What is not as it has to be."""
    wrong = [
        f"the right peer: {name} {outcome}" for name, outcome in found.get(RIGHT, {}).items() if outcome != "passed"
    ]
    for mutant in MUTANTS:
        for scenario in catchers(mutant.caught_by) if mutant.name in found else ():
            if found[mutant.name][scenario.id] != "failed":
                wrong.append(f"{mutant.name}: not caught by {scenario.id}")
    if found.keys() >= {mutant.name for mutant in MUTANTS}:
        failing = {name for of in found.values() for name, outcome in of.items() if outcome == "failed"}
        wrong += [f"{one.id}: fails against no mutant" for one in SCENARIOS if one.id not in failing]
    return wrong


def page(found: dict[str, dict[str, str]], wrong: list[str]) -> str:
    """Each mutant with the scenarios that met it, those that caught it in bold, and each scenario with its catch."""
    requirements = {mutant.name: mutant.requirement for mutant in MUTANTS}
    mutants = "".join(
        f"<tr><th>{escape(name)}<td>{escape(requirements[name])}<td>"
        + ", ".join(f"<b>{id}</b>" if outcome == "failed" else f"<s>{id}</s>" for id, outcome in of.items())
        for name, of in found.items()
        if name != RIGHT
    )
    caught = {one.id: [name for name, of in found.items() if of.get(one.id) == "failed"] for one in SCENARIOS}
    scenarios = "".join(
        f"<tr><th>{one.id}<td>{escape(found.get(RIGHT, {}).get(one.id, ''))}<td>{escape(', '.join(caught[one.id]))}"
        for one in SCENARIOS
    )
    verdict = f"{len(wrong)} complaints" if wrong else "Every mutant is caught, and every scenario catches one"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" '
        f'content="{POLICY}"><title>{verdict}</title><style>{STYLE}td,th{{border-top:1px solid #d0d7de}}</style>'
        f"<h1>{verdict}</h1><p>{escape('; '.join(wrong))}<h2>Mutants: what met each, in bold what caught it</h2>"
        f"<table>{mutants}</table><h2>Scenarios: against the right peer, and the mutants that each caught</h2>"
        f"<table>{scenarios}</table></html>\n"
    )


def main() -> int:
    """Runs, and says what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--whole", action="store_true", help="every mutant against every scenario")
    parser.add_argument("--out", type=Path, help="folder for the matrix")
    parser.add_argument("--seed", default=secrets.token_hex(4))
    parser.add_argument("names", nargs="*", help="mutants; all, and the right peer, by default")
    asked = parser.parse_args()
    names = asked.names or [RIGHT, *(mutant.name for mutant in MUTANTS)]
    found = asyncio.run(matrix(names, whole=asked.whole, seed=asked.seed))
    wrong = complaints(found)
    if asked.out is not None:
        requirements = {mutant.name: mutant.requirement for mutant in MUTANTS}
        told = {"requirements": requirements, "matrix": found, "complaints": wrong}
        asked.out.mkdir(parents=True, exist_ok=True)
        (asked.out / "mutants.json").write_text(json.dumps(told, indent=1) + "\n")
        (asked.out / "mutants.html").write_text(page(found, wrong), "utf-8")
    print(*wrong, sep="\n")
    print(f"{len(found)} peers, {len(wrong)} complaints")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
