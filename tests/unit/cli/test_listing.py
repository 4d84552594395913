"""Where commands are listed, each is told in whole."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from undersigned.cli import _COMMANDS, _group

GROUPS = [name for name in _COMMANDS if isinstance(_group.get_command(click.Context(_group), name), click.Group)]


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_sentence_is_cut_off(group: str, width: int) -> None:
    told = CliRunner().invoke(_group, [group, "--help"], terminal_width=width)
    assert told.exit_code == 0
    assert [line for line in told.output.partition("Commands:")[2].splitlines() if line.endswith("...")] == []


def test_there_are_groups() -> None:
    assert {"contract", "ledger", "trust"} <= set(GROUPS)
