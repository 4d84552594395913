#!/usr/bin/env python3
"""The harness against peers that are wrong on purpose: each mutant has to be caught, and each scenario to catch one.

    run.py [--every | --whole] [--out FOLDER] [NAME...]

Each mutant is met by the scenarios of the small set that are said to catch it, or, where none is of that set, by the
others; with `--every` by all that are said to, so that each scenario of every set has to catch one; with `--whole` by
all there are. Prints one line for each mutant, and what is not as it has to be; `--out` writes the matrix of
requirements, mutants and scenarios as mutants.json and, for people, mutants.html.
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

from every import MUTANTS, TOGETHER, UNSEEN, Mutant

sys.path.insert(0, str(Path(__file__).parents[2] / "protocol-spec" / "tools"))
import requirements_data

from undersigned.interop import Result, RunLimits, Scenario, Stage, Subject, chosen, play_all
from undersigned.interop.report import page
from undersigned.protocol import ROLES
from undersigned.testing import free_ports

HERE = Path(__file__).parent
LIMITS = RunLimits(answer=2.0, scenario=20.0, arrival=6.0, upgrade=2.0)
"""What is waited for in vain is what most mutants are found by."""
PATIENT = RunLimits()
"""Of the right peer nothing is waited for in vain, however busy the machine is."""
AT_A_TIME = 8
FROM_OUTSIDE = ("message", "client", "host")
"""Who breaks a requirement that can be broken from outside, in the words of requirements.yml."""
RIGHT = "right"
CAUGHT = ("failed", "given up")
"""What a scenario says of a peer that it finds: it is wrong, or so wrong that nothing can be played."""
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


class Peers:
    """The peers that serve, as `peer.py` starts them: one process for each, all of one program."""

    def __init__(self, folder: str, ports: list[int]) -> None:
        """`ports` are two for each that will serve: two that choose for themselves may choose the same."""
        self._folder, self._ports = folder, ports
        self._heard: dict[str, asyncio.Future[dict[str, Any]]] = {}

    async def __aenter__(self) -> Peers:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(HERE / "peer.py"), self._folder),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._tell("")
        await self._reading
        await self._process.wait()

    async def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        async for line in self._process.stdout:
            told = json.loads(line)
            self._heard[told["name"]].set_result(told)

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        if line:
            self._process.stdin.write(f"{line}\n".encode())
        else:
            self._process.stdin.close()

    @asynccontextmanager
    async def serving(self, name: str) -> AsyncIterator[dict[str, Any]]:
        """The peer of this name, while it serves."""
        heard = self._heard[name] = asyncio.get_running_loop().create_future()
        self._tell(f"start {self._ports.pop()} {self._ports.pop()} {name}")
        async with asyncio.timeout(120):
            peer = await heard
        yield peer
        self._tell(f"end {peer['number']}")


async def met(peer: dict[str, Any], scenarios: tuple[Scenario, ...], seed: str) -> tuple[Result, ...]:
    """What comes of these scenarios against one peer."""
    subject = Subject(url=peer["url"], did=peer["did"], local=True, hook=peer["hook"], token=peer["token"])
    results: list[Result] = []
    limits = PATIENT if peer["name"] == RIGHT else LIMITS
    async with Stage(subject, seed=f"{seed}/{peer['name']}", limits=limits) as stage:
        for role in ROLES:
            results += await play_all(stage, [one for one in scenarios if one.role == role])
    return tuple(results)


def said_to_catch(mutant: Mutant, *, every: bool) -> tuple[Scenario, ...]:
    """The scenarios that a mutant has to be caught by: of the small set, or of all."""
    found = catchers(mutant.caught_by)
    return found if every else tuple(one for one in found if not one.more) or found


async def matrix(names: list[str], *, every: bool, whole: bool, seed: str) -> dict[str, dict[str, str]]:
    """For each mutant, and the right peer, what each scenario said of it."""
    meets = {one.name: SCENARIOS if whole else said_to_catch(one, every=every) for one in MUTANTS}
    met_by_some = {scenario.id for scenarios in meets.values() for scenario in scenarios}
    meets[RIGHT] = tuple(one for one in SCENARIOS if one.id in met_by_some)
    found: dict[str, dict[str, str]] = {}
    gate = asyncio.Semaphore(AT_A_TIME)

    async def one(peers: Peers, name: str) -> None:
        async with gate, peers.serving(name) as peer:
            results = await met(peer, meets[name], seed)
        found[name] = {one.scenario.id: one.outcome for one in results}
        caught = sum(1 for one in results if one.outcome in CAUGHT)
        print(f"{caught:4} of {len(results):4} catch it: {name}", flush=True)

    # Those that wait longest go first, and the others beside them.
    order = sorted(names, key=lambda name: -sum(1 + 20 * one.more for one in meets[name]))
    with tempfile.TemporaryDirectory() as folder:
        async with Peers(folder, free_ports(2 * len(names))) as peers:
            await asyncio.gather(*(one(peers, name) for name in order))
    return {name: found[name] for name in names}


def complaints(found: dict[str, dict[str, str]], *, every: bool) -> list[str]:
    """What is not as it has to be."""
    wrong = [
        f"the right peer: {name} {outcome}" for name, outcome in found.get(RIGHT, {}).items() if outcome != "passed"
    ]
    for mutant in MUTANTS:
        for scenario in said_to_catch(mutant, every=every) if mutant.name in found else ():
            if found[mutant.name][scenario.id] not in CAUGHT:
                wrong.append(f"{mutant.name}: not caught by {scenario.id}")
    if found.keys() >= {mutant.name for mutant in MUTANTS}:
        failing = {name for of in found.values() for name, outcome in of.items() if outcome in CAUGHT}
        wrong += [
            f"{one.id}: fails against no mutant"
            for one in SCENARIOS
            if (every or not one.more) and one.id not in failing
        ]
        wrong += [f"{name}: {of['gap']}" for name, of in requirements(found).items() if of["gap"]]
    return wrong


def requirements(found: dict[str, dict[str, str]]) -> dict[str, dict[str, Any]]:
    """Each requirement of the class core that can be broken from outside: the scenarios that show it, its mutants, the
    scenarios that caught them, what it cannot be broken apart from, why no scenario can show it, and what is missing.
    """
    rows: dict[str, dict[str, Any]] = {}
    shown = requirements_data.about("scenarios")
    for name, one in requirements_data.requirements().items():
        if requirements_data.class_of([name]) != "core" or one.broken_by not in FROM_OUTSIDE:
            continue
        together, why = TOGETHER.get(name, ("", ""))
        mutants = [mutant.name for mutant in MUTANTS if mutant.requirement == name or mutant.name == together]
        caught = {id: None for of in mutants for id, said in found.get(of, {}).items() if said in CAUGHT}
        scenarios = sorted(shown.get(name, ()))
        unseen = UNSEEN.get(name, "")
        gap = "" if caught or unseen else "not caught" if mutants else "no mutant" if scenarios else "no scenario"
        row = {"scenarios": scenarios, "mutants": mutants, "caught_by": [*caught], "together": why}
        rows[name] = row | {"unseen": unseen, "gap": gap}
    return rows


def page_of(found: dict[str, dict[str, str]], wrong: list[str]) -> str:
    """Each requirement with its mutants and what caught them; each mutant with the scenarios that met it, those that
    caught it in bold; and each scenario with its catch.
    """
    of_mutants = {mutant.name: mutant.requirement for mutant in MUTANTS}
    rows = requirements(found)
    table = "".join(
        f"<tr><th>{name}<td>{escape('; '.join(of['mutants']))}"
        + "".join(f"<br><i>{escape(of[why])}</i>" for why in ("together", "unseen") if of[why])
        + f"<td>{', '.join(of['caught_by'])}<td>"
        + (f"<mark>{of['gap']}</mark>" if of["gap"] else "")
        for name, of in rows.items()
    )
    gaps = sum(1 for of in rows.values() if of["gap"])
    unseen = sum(1 for of in rows.values() if of["unseen"])
    mutants = "".join(
        f"<tr><th>{escape(name)}<td>{escape(of_mutants[name])}<td>"
        + ", ".join(f"<b>{id}</b>" if outcome in CAUGHT else f"<s>{id}</s>" for id, outcome in of.items())
        for name, of in found.items()
        if name != RIGHT
    )
    caught = {one.id: [name for name, of in found.items() if of.get(one.id) == "failed"] for one in SCENARIOS}
    scenarios = "".join(
        f"<tr><th>{one.id}<td>{escape(found.get(RIGHT, {}).get(one.id, ''))}<td>{escape(', '.join(caught[one.id]))}"
        for one in SCENARIOS
    )
    verdict = f"{len(wrong)} complaints" if wrong else "Every mutant is caught, and every scenario catches one"
    body = (
        f"<h1>{verdict}</h1><p>{escape('; '.join(wrong))}<h2>Requirements of the class core that can be broken from "
        f"outside: {len(rows) - gaps - unseen} of {len(rows)} are shown to be found out, {unseen} cannot be seen</h2>"
        f"<table><tr><th>requirement<th>mutants<th>caught by<th>missing{table}</table>"
        f"<h2>Mutants: what met each, in bold what caught it</h2>"
        f"<table>{mutants}</table><h2>Scenarios: against the right peer, and the mutants that each caught</h2>"
        f"<table>{scenarios}</table>"
    )
    return page(verdict, body, "td,th{border-top:1px solid #d0d7de}")


def main() -> int:
    """Runs, and says what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", action="store_true", help="scenarios of every set, not only of the small one")
    parser.add_argument("--whole", action="store_true", help="every mutant against every scenario")
    parser.add_argument("--out", type=Path, help="folder for the matrix")
    parser.add_argument("--seed", default=secrets.token_hex(4))
    parser.add_argument("names", nargs="*", help="mutants; all, and the right peer, by default")
    asked = parser.parse_args()
    known = [RIGHT, *(mutant.name for mutant in MUTANTS)]
    names = asked.names or known
    if unknown := [name for name in names if name not in known]:
        parser.error(f"no such mutant: {', '.join(map(repr, unknown))}")
    every = asked.every or asked.whole
    found = asyncio.run(matrix(names, every=every, whole=asked.whole, seed=asked.seed))
    wrong = complaints(found, every=every)
    if asked.out is not None:
        breaks = {mutant.name: mutant.requirement for mutant in MUTANTS}
        told = {"requirements": requirements(found), "breaks": breaks, "matrix": found, "complaints": wrong}
        asked.out.mkdir(parents=True, exist_ok=True)
        (asked.out / "mutants.json").write_text(json.dumps(told, indent=1) + "\n")
        (asked.out / "mutants.html").write_text(page_of(found, wrong), "utf-8")
    print(*wrong, sep="\n")
    print(f"{len(found)} peers, {len(wrong)} complaints")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
