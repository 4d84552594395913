"""What is told of a test that reaches its time limit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support import ROOT

HANGS = """
import asyncio


async def innermost():
    await asyncio.Event().wait()


async def outermost():
    await innermost()


async def test_hangs():
    waiting = asyncio.create_task(outermost(), name="the one that hangs")
    await asyncio.gather(waiting)
"""


def test_a_test_that_reaches_its_limit_tells_what_each_task_waits_for(tmp_path: Path) -> None:
    """Of an event loop in which all tasks wait, the stacks of threads show nothing."""
    (tmp_path / "test_hangs.py").write_text(HANGS)
    options = ["-c", ROOT / "pyproject.toml", "--confcutdir", tmp_path, "-p", "conftest", "--timeout", "1"]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *map(str, options), "test_hangs.py"]
    env = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}", "PYTHONDONTWRITEBYTECODE": "1"}
    ended = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1, ended
    told = ended.stdout.partition("task the one that hangs\n")[2].split("\ntask ")[0]
    lines = [line.strip() for line in told.splitlines()[:3]]
    assert lines[0] == f"outermost, {tmp_path}/test_hangs.py:10", ended
    assert lines[1] == f"innermost, {tmp_path}/test_hangs.py:6"
    assert lines[2].startswith("Event.wait, ")
