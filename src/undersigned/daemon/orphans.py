"""Processes that a child left behind in a session of their own: on Linux they become children of ours, and are ended.

For a process that has no other children than the one whose orphans it takes.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["adopt", "bury", "end_adopted"]

_SET_CHILD_SUBREAPER: Final = 36
"""Of `prctl` (2)."""
LOOK_SECONDS: Final = 0.01


def adopt() -> None:
    """From now on, whoever loses its parent below us is a child of ours. Elsewhere than on Linux nothing happens."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # a C library without it
            ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def bury(but: int) -> None:
    """Lets go of children that have ended; `but` is the one that somebody else waits for, 0: none."""
    for pid in _children():
        if pid != but:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


async def end_adopted(seconds: float) -> None:
    """Kills all children, and those that they leave, until there are none, for so long at most."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while pids := _children():
                for pid in pids:
                    with suppress(ProcessLookupError, PermissionError):
                        os.kill(pid, signal.SIGKILL)
                bury(0)
                await asyncio.sleep(LOOK_SECONDS)


def _children() -> list[int]:
    """By the list of all processes, for the kernel keeps none of children everywhere."""
    found: list[int] = []
    ours = str(os.getpid()).encode()
    with suppress(OSError):
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError, IndexError):
                    # Behind the name, which may hold anything: state, parent.
                    if (entry / "stat").read_bytes().rpartition(b")")[2].split()[1] == ours:
                        found.append(int(entry.name))
    return found
