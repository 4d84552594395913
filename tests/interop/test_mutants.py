"""The harness against peers that are wrong on purpose: a few of them here, all in `make mutants`."""

from __future__ import annotations

import json
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from project.test_requirements import defined, tool
from support import ROOT
from undersigned.interop import chosen
from undersigned.protocol import ROLES

FOLDER = ROOT / "interop" / "mutants"
SOME = (
    "knows a move by its number and not by its digest",
    "takes messages for anybody",
    "drops members that it does not know",
    "takes proofs past their end",
    "answers a repeat anew",
    "gives what it made to anybody",
    "accepts whatever is delivered",
    "calls it complete and delivers nothing",
    "cannot do what it is hired for",
    "never closes its books",
    "hangs up in place of saying why",
    "counts no reads",
    "takes the document of another DID",
)


FROM_OUTSIDE = ("message", "client", "host")


@pytest.fixture(scope="module")
def listed() -> dict[str, Any]:
    """Name, requirement and catchers of each mutant, and the requirements that are broken together with another; read
    in another process, whose program they change.
    """
    program = (
        "import json, every; print(json.dumps({'together': every.TOGETHER, 'unseen': every.UNSEEN, 'mutants': "
        "[[m.name, m.requirement, m.caught_by] for m in every.MUTANTS]}))"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=FOLDER, capture_output=True, text=True, check=True)
    told: dict[str, Any] = json.loads(ran.stdout)
    return told


CHANGES_WHAT_IS_THERE = """
import os, sys
from every import MUTANTS

def owners():
    for name, module in list(sys.modules.items()):
        if name.startswith("undersigned"):
            yield name, vars(module)
            classes = [one for one in vars(module).values() if isinstance(one, type)]
            yield from ((f"{name}.{one.__qualname__}", vars(one)) for one in classes)

before = {name: len(members) for name, members in owners()}
for mutant in MUTANTS:
    if not os.fork():
        mutant.change()
        more = [name for name, members in owners() if len(members) > before.get(name, len(members))]
        more and print(mutant.name, more, flush=True)
        os._exit(bool(more))
    if os.wait()[1]:
        print("not as it should be:", mutant.name, flush=True)
"""
"""Prints each mutant that cannot be made, or that gives a module or class a name which nothing there has."""


def test_each_changes_what_is_there() -> None:
    """One that replaces a function which the program no longer has would be a right peer, which nothing catches."""
    ran = subprocess.run(
        [sys.executable, "-c", CHANGES_WHAT_IS_THERE],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        check=True,
        timeout=110,
    )
    assert (ran.stdout, ran.stderr) == ("", "")


def scenarios() -> dict[str, tuple[str, ...]]:
    """Id -> the requirements that it shows, of each scenario of every set."""
    return {one.id: one.requirements for role in ROLES for one in chosen(role, every=True)}


def test_each_breaks_a_requirement_and_is_caught_by_scenarios_that_there_are(listed: dict[str, Any]) -> None:
    mutants = listed["mutants"]
    assert len(mutants) >= 30
    assert len({name for name, _, _ in mutants}) == len(mutants)
    assert {requirement for _, requirement, _ in mutants} - defined().keys() == set()
    patterns = {pattern for _, _, caught_by in mutants for pattern in caught_by}
    assert [one for one in patterns if not any(fnmatchcase(id_, one) for id_ in scenarios())] == []


def test_every_scenario_is_said_to_catch_one(listed: dict[str, Any]) -> None:
    patterns = {pattern for _, _, caught_by in listed["mutants"] for pattern in caught_by}
    assert [id_ for id_ in scenarios() if not any(fnmatchcase(id_, one) for one in patterns)] == []


def test_every_core_requirement_that_can_be_broken_from_outside_has_a_scenario_and_a_mutant(
    listed: dict[str, Any],
) -> None:
    """Or it is listed which mutant breaks it with another, and why; or why no scenario can show it."""
    shown = tool.about("scenarios")
    wanted = {
        name
        for name, one in tool.requirements().items()
        if tool.class_of([name]) == "core" and one.broken_by in FROM_OUTSIDE
    }
    broken = {requirement for _, requirement, _ in listed["mutants"]}
    assert wanted - shown.keys() == listed["unseen"].keys(), "each of them has a reason, and no other"
    assert wanted - broken - listed["unseen"].keys() == listed["together"].keys(), "none of these has its own"


def test_what_is_broken_together_is_caught_by_a_scenario_of_it(listed: dict[str, Any]) -> None:
    caught_by = {name: patterns for name, _, patterns in listed["mutants"]}
    for requirement, (mutant, why) in listed["together"].items():
        assert why
        assert any(requirement in scenarios().get(id_, ()) for id_ in caught_by[mutant])


@pytest.mark.timeout(120)
def test_some_are_caught() -> None:
    ran = subprocess.run(
        [sys.executable, FOLDER / "run.py", "--seed", "a seed", *SOME],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr[-2000:]
    assert f"{len(SOME)} peers, 0 complaints" in ran.stdout


def test_a_mutant_that_there_is_not_is_a_usage_error() -> None:
    command = [sys.executable, str(FOLDER / "run.py"), "no such mutant"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 2
    assert "no such mutant: 'no such mutant'" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("fails", ["interop/run.py", "interop/mutants/run.py", "neither"])
def test_make_interop_meets_the_mutants_too_where_an_implementation_fails(fails: str, tmp_path: Path) -> None:
    """Both write what they found, and the end says that one of them failed."""
    run, told = tmp_path / "run", tmp_path / "told"
    run.write_text(f'#!/bin/sh\necho "$1" >> {told}\n[ "$1" != {fails} ]\n')
    run.chmod(0o755)
    old = [word for name in (".venv/.ready-dev", "interop/js-peer/node_modules/.ready") for word in ("-o", name)]
    command = ["make", *old, "interop", f"RUN={run}"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert told.read_text().split() == ["interop/run.py", "interop/mutants/run.py"]
    assert (ran.returncode == 0) is (fails == "neither")
