"""The harness against peers that are wrong on purpose: a few of them here, all in `make mutants`."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from project.test_requirements import defined
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
    "never closes its books",
)


def listed() -> list[tuple[str, str, list[str]]]:
    """Name, requirement and catchers of each mutant; read in another process, whose program they change."""
    program = "import json, mutants; print(json.dumps([[m.name, m.requirement, m.caught_by] for m in mutants.MUTANTS]))"
    ran = subprocess.run([sys.executable, "-c", program], cwd=FOLDER, capture_output=True, text=True, check=True)
    return [tuple(one) for one in json.loads(ran.stdout)]


def test_each_breaks_a_requirement_and_is_caught_by_scenarios_that_there_are() -> None:
    mutants = listed()
    assert len(mutants) >= 30
    assert len({name for name, _, _ in mutants}) == len(mutants)
    assert {requirement for _, requirement, _ in mutants} - defined().keys() == set()
    ids = {one.id for role in ROLES for one in chosen(role)}
    named = {name for _, _, caught_by in mutants for name in caught_by if not re.search(r"[*[]", name)}
    assert named - ids == set()


def test_every_scenario_that_people_wrote_is_said_to_catch_one() -> None:
    caught_by = {name for _, _, names in listed() for name in names}
    written = {one.id for role in ROLES for one in chosen(role) if one.group != "table"}
    assert written - caught_by == set()


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
