"""The command `undersigned` in processes of its own, as people and programs run it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from integration.copies import Copies, Copy
from support import ROOT
from unit.cli.running import Ran

UNDERSIGNED = (sys.executable, "-m", "undersigned.cli")
"""The command, which has been loaded before for whatever `Process` it is given to (see `copies`)."""
LOADED_ANEW = (sys.executable, "-m", "undersigned")
"""The same, in a process that loads it, as those of people do."""
COPIES = Copies()
SECONDS = 60.0


def environment(**more: str) -> dict[str, str]:
    """The environment of a process: ours, and where the package and the tests' handlers are."""
    return {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT / 'tests'}", "PYTHONUNBUFFERED": "1", **more}


class Ended(Ran):
    """How a process ended."""

    def result(self) -> dict[str, Any]:
        """What a hire ended with."""
        assert self.code == 0, self
        assert self.values[-1]["kind"] == "result"
        return self.values[-1]


class Process:
    """A process that runs beside the test; all that it writes is kept, line by line."""

    def __init__(self, program: Sequence[str], folder: Path, **env: str) -> None:
        self._process = self._started([*program], folder, environment(**env))
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._changed = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=pair, daemon=True)
            for pair in ((self._process.stdout, self.lines), (self._process.stderr, self.errors))
        ]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _started(program: list[str], folder: Path, env: dict[str, str]) -> subprocess.Popen[str] | Copy:
        if program[: len(UNDERSIGNED)] == [*UNDERSIGNED] and (copy := COPIES.start(program[3:], folder, env)):
            return copy
        pipe = subprocess.PIPE
        return subprocess.Popen(program, cwd=folder, env=env, stdout=pipe, stderr=pipe, text=True, encoding="utf-8")

    def _read(self, stream: Any, into: list[str]) -> None:
        for line in stream:
            with self._changed:
                into.append(line.rstrip("\n"))
                self._changed.notify_all()
        stream.close()
        with self._changed:
            self._changed.notify_all()

    @property
    def id(self) -> int:
        """By which the system knows it."""
        return self._process.pid

    def until(self, text: str, seconds: float = SECONDS) -> str:
        """The first line of standard output with `text` in it, as soon as there is one."""

        def found() -> str | None:
            return next((line for line in self.lines if text in line), None)

        with self._changed:
            self._changed.wait_for(lambda: found() or not self._readers[0].is_alive(), seconds)
            line = found()
        assert line is not None, f"no {text!r} in {self.lines} {self.errors}"
        return line

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def end(self, number: int | None = None, seconds: float = SECONDS) -> Ended:
        """How it ended, after this signal or by itself."""
        if number is not None and self._process.poll() is None:
            self._process.send_signal(number)
        try:
            self._process.wait(seconds)
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            for reader in self._readers:
                reader.join(5)
        return Ended(self._process.returncode, "".join(f"{one}\n" for one in self.lines), "\n".join(self.errors))


@contextmanager
def running(program: Sequence[str], folder: Path, ready: str, **env: str) -> Iterator[Process]:
    """A process that is ready when it says so, and that ends well on SIGTERM if it is still there."""
    process = Process(program, folder, **env)
    try:
        process.until(ready)
        yield process
    finally:
        ended = process.end(signal.SIGTERM)
        assert "Traceback" not in ended.err, ended.err


@contextmanager
def serving(home: Path, *more: str, **env: str) -> Iterator[Process]:
    """`undersigned serve` on a state folder."""
    program = [*UNDERSIGNED, "serve", "--home", str(home), "--json", *more]
    with running(program, home.parent, '"ready"', **env) as process:
        yield process


def undersigned(*arguments: object, folder: Path, seconds: float = SECONDS, **env: str) -> Ended:
    """One command, run to its end in a process of its own."""
    ended = Process([*UNDERSIGNED, *map(str, arguments)], folder, **env).end(seconds=seconds)
    assert "Traceback" not in ended.err, ended.err
    return ended
