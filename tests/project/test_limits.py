"""What comes of a test that reaches its time limit, or for which the machine pauses."""

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

GOES_ON = """
import asyncio
import signal
import time


async def test_goes_on():
    asyncio.get_running_loop().call_soon(time.sleep, 50)
    await asyncio.sleep(0)
    assert signal.getitimer(signal.ITIMER_REAL)[0] > 1
"""

PAUSES = """
import time

from hypothesis import given
from hypothesis import strategies as st

pauses = [0.5]


@given(st.integers())
def test_pauses(number):
    time.sleep(pauses.pop() if pauses else 0)
"""


def ran(folder: Path, program: str, seconds: int = 1) -> subprocess.CompletedProcess[str]:
    """What came of these tests, which have so many seconds each, run as ours are."""
    (folder / "test_hangs.py").write_text(program)
    options = ["-c", ROOT / "pyproject.toml", "--confcutdir", folder, "-p", "conftest", "--timeout", seconds]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *map(str, options), "test_hangs.py"]
    env = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_a_test_that_reaches_its_limit_tells_what_each_task_waits_for(tmp_path: Path) -> None:
    """Of an event loop in which all tasks wait, the stacks of threads show nothing."""
    ended = ran(tmp_path, HANGS)
    assert ended.returncode == 1, ended
    told = ended.stdout.partition("task the one that hangs\n")[2].split("\ntask ")[0]
    lines = [line.strip() for line in told.splitlines()[:3]]
    assert lines[0] == f"outermost, {tmp_path}/test_hangs.py:10", ended
    assert lines[1] == f"innermost, {tmp_path}/test_hangs.py:6"
    assert lines[2].startswith("Event.wait, ")


def test_a_limit_that_an_event_loop_swallowed_is_reached_again(tmp_path: Path) -> None:
    """What a callback raises is logged and no more: the test would wait for ever."""
    ended = ran(tmp_path, GOES_ON)
    assert ended.returncode == 0, ended


def test_an_example_for_which_the_machine_pauses_is_no_defect(tmp_path: Path) -> None:
    ended = ran(tmp_path, PAUSES, seconds=30)
    assert ended.returncode == 0, ended
