"""What `watch` says of an engagement in which nothing happens."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runtimes import World, offices
from undersigned.cli.output import Out
from undersigned.cli.serving import tell_who_is_waited_for


@pytest.mark.parametrize("runs", [False, True], ids=["nobody", "a-peer"])
def test_who_is_waited_for_is_told_once(runs: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By when, and what a person can do where nothing runs that would go on: it was followed in silence, for ever."""
    world = World(offices(tmp_path), held=True)
    name = world.begun("working", world.hirer)
    home, store, summary = world.hirer.office, world.hirer.kept, world.hirer.kept.summary_of(name)
    assert summary is not None
    if runs:
        (home.path / "ledger.db.lock").write_text("1")
    text = world.run(tell_who_is_waited_for(Out(False), home, store, summary, ""))
    assert text.startswith("owed: Delivery")
    assert ("serve --home" in text) is not runs
    assert capsys.readouterr().out.split() == f"still waiting; {text}".split()
    assert world.run(tell_who_is_waited_for(Out(False), home, store, summary, text)) == text
    assert capsys.readouterr().out == ""
    world.run(tell_who_is_waited_for(Out(True), home, store, summary, ""))
    said = json.loads(capsys.readouterr().out)
    assert (said["kind"], said["engagement"], said["owes"]) == ("waits", name, ["provider"])
    assert said["running"] is (None if runs else False)
    assert said["by"] in text
    world.close()
