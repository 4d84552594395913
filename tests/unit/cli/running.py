"""The command `undersigned`, run in this process: what it wrote, and its exit code."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from undersigned.cli import main

DOCUMENTED = {0, 1, 2, 3, 4, 5, 6, 7, 8, 130}
"""The exit codes of the specification (09, table of exit codes)."""


class Ran(NamedTuple):
    """How one command ended."""

    code: int
    out: str
    err: str

    @property
    def values(self) -> list[dict[str, Any]]:
        """What it wrote with `--json`: one JSON object on each line, and nothing else."""
        found = [json.loads(line) for line in self.out.splitlines()]
        assert all(isinstance(value, dict) for value in found)
        return found

    @property
    def error(self) -> dict[str, Any]:
        """The error that it ended with, under `--json`."""
        return self.values[-1]["error"]


@contextmanager
def environment(**changes: str | None) -> Iterator[None]:
    """Environment variables set, or with None taken away."""
    with patch.dict(os.environ, {name: value for name, value in changes.items() if value is not None}):
        for name, value in changes.items():
            if value is None:
                os.environ.pop(name, None)
        yield


def run(*arguments: object, **env: str | None) -> Ran:
    """Runs one command to its end."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    path, interrupted = list(sys.path), signal.getsignal(signal.SIGINT)
    with (
        environment(**env),
        patch.object(sys, "argv", ["undersigned", *map(str, arguments)]),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as ended:
            code = ended.code
        finally:
            sys.path[:] = path
            if threading.current_thread() is threading.main_thread():  # the program leaves it as it needs it at its end
                signal.signal(signal.SIGINT, interrupted)
    written = [stream.buffer.getvalue().decode() for stream in (out, err)]
    assert isinstance(code, int)
    assert code in DOCUMENTED
    return Ran(code, *written)


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
