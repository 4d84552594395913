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
        ("-n", 1, "--action", "read", "--json"),
        ("-n", 1, "--out", "FILE", "--json"),
        ("-n", 1, "--out", "HOME", "--json"),
        ("-n", 2, "--out", "WORKERS", "--json"),
    ],
)
def test_bad_options(arguments: tuple[object, ...], tmp_path: Path) -> None:
    home = tmp_path / "acme"
    assert run("init", home, "--local", "--port", 8119).code == 0
    (tmp_path / "file").touch()
    workers = tmp_path / "workers"
    assert run("init", workers / "000001", "--local").code == 0
    named = {"FILE": tmp_path / "file", "HOME": home, "WORKERS": workers}
    given = [named.get(str(one), one) for one in arguments]
    ran = run("spawn", *given, "--home", home)
    assert ran.code == 2, ran
    assert "Traceback" not in ran.err
    if "--action" in arguments:
        assert ran.error["message"].startswith("--action: "), "not 'policy', of which whoever typed it knows nothing"
    assert len(run("credentials", "list", "--home", home, "--json").values) == 1, "nothing beside init's own"
    assert not (home / "000000").exists()
    assert [one.name for one in workers.iterdir()] == ["000001"]


def test_an_organisation_that_cannot_withdraw(tmp_path: Path) -> None:
    """HIRE-SWM-03."""
    assert run("init", tmp_path / "key", "--port", 9002).code == 0
    ran = run("spawn", "-n", 1, "--json", "--home", tmp_path / "key")
    assert (ran.code, ran.error["code"]) == (2, "bad_configuration")
