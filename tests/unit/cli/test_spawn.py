"""`spawn`: what is refused before anything is issued. How it runs and ends is in `tests/integration/test_spawn.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from unit.cli.running import run


@pytest.mark.parametrize(
    "arguments",
    [
        ("-n", 1),
        ("-n", 0, "--json"),
        ("-n", 1, "--minutes", 61, "--json"),
        ("-n", 1, "--max-price", "5", "--json"),
        ("-n", 1, "--max-price", "", "--json"),
        ("-n", 1, "--action", "", "--json"),
        ("-n", 1, "--out", "FILE", "--json"),
    ],
)
def test_bad_options(arguments: tuple[object, ...], tmp_path: Path) -> None:
    home = tmp_path / "acme"
    assert run("init", home, "--local", "--port", 8119).code == 0
    (tmp_path / "file").touch()
    given = [tmp_path / "file" if one == "FILE" else one for one in arguments]
    ran = run("spawn", *given, "--home", home)
    assert ran.code == 2, ran
    assert "Traceback" not in ran.err
    assert len(run("credentials", "list", "--home", home, "--json").values) == 1, "nothing beside init's own"


def test_an_organisation_that_cannot_withdraw(tmp_path: Path) -> None:
    """HIRE-SWM-03."""
    assert run("init", tmp_path / "key", "--port", 9002).code == 0
    ran = run("spawn", "-n", 1, "--json", "--home", tmp_path / "key")
    assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
