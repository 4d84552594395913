"""Whose children are let go of: in a process of its own, for all of its children are meant."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")

BURIES = """
import os
from undersigned.daemon.orphans import bury

awaited, left = (os.fork() or os._exit(0) for _ in range(2))
for pid in (awaited, left):
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
bury(awaited)
assert os.waitpid(-1, os.WNOHANG) == (awaited, 0)
try:
    os.waitpid(left, os.WNOHANG)
except ChildProcessError:
    print("buried")
"""


def test_what_has_ended_is_let_go_of_but_the_one_that_somebody_waits_for() -> None:
    ran = subprocess.run([sys.executable, "-c", BURIES], capture_output=True, text=True, timeout=60, check=False)
    assert ran.stdout == "buried\n", ran.stderr
