"""A trace in words: of many steps so many as are read at a time, and all that fails."""

from __future__ import annotations

import pytest

from undersigned.cli.output import Out
from undersigned.cli.trace import tell_steps
from undersigned.trace import Kind, State, TraceStep

CONTRACT = "uEiContract"


def step(kind: Kind, *steps: TraceStep, name: str = "", state: State = "verified") -> TraceStep:
    return TraceStep(kind=kind, name=name, text=f"a {kind}", state=state, why="so", steps=steps)


def delivery(last: State = "stated") -> TraceStep:
    shown = step("decision", step("credential", step("anchor", state=last)))
    return step("delivery", step("statement"), step("acceptance"), step("contract", shown, name=CONTRACT))


def told(capsys: pytest.CaptureFixture[str], tree: TraceStep, depth: int | None = None) -> list[str]:
    tell_steps(Out(False), tree, depth)
    return capsys.readouterr().out.splitlines()


def test_one_hire_is_told_whole(capsys: pytest.CaptureFixture[str]) -> None:
    tree = step("artifact", delivery())
    lines = told(capsys, tree)
    assert len(lines) == 2 * len(list(tree.every)) + 1
    assert lines[-1] == "7 verified, 1 stated"
    assert told(capsys, tree, depth=6) == lines


def test_of_many_actions_the_first_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """They do not hide the rest of the hire."""
    work = step("statement", *[step("action", name=str(number), state="stated") for number in range(1000)])
    lines = told(capsys, step("artifact", step("delivery", work, *delivery().steps)))
    assert sum("a action" in line for line in lines) == 24
    assert [line for line in lines if "976 more actions" in line]
    assert [line for line in lines if "anchor" in line]


def test_of_many_actions_those_that_failed_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """That one was outside the scope of its contract stood in a count alone."""
    actions = [step("action", name=str(number), state="stated") for number in range(1000)]
    actions[900] = step("action", name="900", state="failed")
    lines = told(capsys, step("artifact", step("delivery", step("statement", *actions))))
    assert [line for line in lines if "failed: so" in line]
    assert [line for line in lines if "975 more actions" in line]


def test_of_many_actions_those_that_are_omitted_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """The statement has no room for them, so they stand behind as many as it holds."""
    actions = [step("action", name=str(number), state="stated") for number in range(1000)]
    omitted = step("action", state="missing")
    lines = told(capsys, step("artifact", step("delivery", step("statement", *actions, omitted))))
    assert [line for line in lines if "missing: so" in line]
    assert [line for line in lines if "976 more actions" in line]


def test_of_many_equal_actions_the_first_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """The same target, read again and again in one second."""
    actions = [step("action", state="stated") for _ in range(1000)]
    lines = told(capsys, step("artifact", step("delivery", step("statement", *actions))))
    assert len([line for line in lines if "stated: so" in line]) == 24
    assert [line for line in lines if "976 more actions" in line]


def test_of_twenty_hires_each_delivery_is_told_and_what_follows_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """Five hundred lines said what nobody read."""
    tree = step("artifact", *[delivery() for _ in range(20)])
    lines = told(capsys, tree)
    assert len(lines) == 2 + 3 * 20 + 2
    assert lines.count(f"│     ... 6 steps more: 5 verified, 1 stated; contract {CONTRACT}") == 19
    assert lines[-2:] == [
        "121 verified, 20 stated",
        "told to level 2 of 6: --depth 6 tells all, and --json",
    ]
    assert len(told(capsys, tree, depth=6)) == 2 * len(list(tree.every)) + 1


@pytest.mark.parametrize("depth", [None, 1])
def test_what_fails_is_told_at_any_depth(capsys: pytest.CaptureFixture[str], depth: int | None) -> None:
    tree = step("artifact", *[delivery("failed" if number == 7 else "stated") for number in range(20)])
    lines = told(capsys, tree, depth)
    assert sum("anchor" in line for line in lines) == 1
    assert sum("failed: so" in line for line in lines) == 1
