"""The built wheel with its extra `prov`, and nothing else of this project, does the main job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

from support import ROOT

pytestmark = pytest.mark.timeout(300)


def program(command: Sequence[str | Path], *, folder: Path, env: dict[str, str] | None = None) -> str:
    """What a program writes to standard output; it must succeed."""
    ended = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=240)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    # Without the build backend at hand, pip fetches it into an environment of its own.
    how = ["--no-build-isolation"] if find_spec("hatchling") else []
    program([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", *how, "-w", folder, ROOT], folder=folder)
    (made,) = folder.glob("undersigned-*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment that holds the wheel and what it needs."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    programs = folder / "bin"
    # Compiling what is never imported takes longer than everything else here.
    pip = [sys.executable, "-m", "pip", "--python", programs / "python"]
    program([*pip, "install", "-q", "--no-compile", f"{wheel}[prov]"], folder=folder)
    return programs


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names} == {
        "undersigned",
        next(n for n in names if "dist-info" in n).split("/")[0],
    }
    for wanted in (
        "undersigned/py.typed",
        "undersigned/protocol/tables.json",
        "undersigned/jsonld/contexts/hire-v1.jsonld",
        "undersigned/trace/prov-v1.jsonld",
        "undersigned/evidence/verifier/page.html",
    ):
        assert wanted in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_the_installed_command_runs_the_demo(installed: Path, tmp_path: Path) -> None:
    """In an empty folder, with an empty HOME, and no path to this checkout."""
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    env = {"HOME": str(home), "PATH": f"{installed}{os.pathsep}{os.defpath}", "LANG": "C"}
    said = program([installed / "undersigned", "demo", "--json"], folder=work, env=env)
    values = [json.loads(line) for line in said.splitlines()]
    assert (values[-1]["ok"], values[-1]["refusals"]) == (True, 2)
    assert [path.name for path in work.iterdir()] == ["undersigned-demo"]
    assert list(home.iterdir()) == [], "nothing is written where nobody asked for it"
    for pack in values[-1]["packs"].values():
        told = program([installed / "undersigned", "verify", work / pack], folder=tmp_path, env=env)
        assert told.startswith("it holds")


def test_the_installed_package_comes_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    code = "import sys, undersigned as u; print(u.__file__, *sorted({'aiohttp', 'rich', 'nacl'} & set(sys.modules)))"
    found = program([installed / "python", "-c", code], folder=tmp_path, env={"PATH": os.defpath})
    assert found.split() == [found.strip()], "importing it loads no library"
    assert Path(found.strip()).is_relative_to(installed.parent)
    assert program([installed / "undersigned", "--version"], folder=tmp_path).startswith("undersigned, version ")


def test_without_the_extra_the_demo_says_what_to_install(wheel: Path, installed: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "cyclonedx"
    hidden.mkdir()
    (hidden / "__init__.py").write_text("raise ImportError(name='cyclonedx')\n")
    env = {"PATH": os.defpath, "PYTHONPATH": str(tmp_path)}
    ended = subprocess.run(
        [installed / "undersigned", "demo", "--json"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    error = json.loads(ended.stdout)["error"]
    assert error["code"] == "missing_extra"
    assert "pip install 'undersigned[prov]'" in error["message"]
