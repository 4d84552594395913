"""The command `undersigned` in processes of its own, without loading it for each of them again.

To load it is most of what a short command costs, and the tests start some hundreds. So one process loads all commands,
and forks where one is asked for: the copy goes on as `python -m undersigned.cli` does once everything is loaded, with
its own memory, folder, streams and signals, and ends as any process does. It stands in for a new one only where that
would have found the same environment and limits. What a start is like is shown by those that load it themselves: of
README, of interrupts, of the wheel, of the demo, and of whatever starts `undersigned` in a way of its own.
"""

from __future__ import annotations

import atexit
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from runpy import run_module
from threading import Lock
from typing import Any

MODULE = "undersigned.cli"
POSSIBLE = hasattr(os, "pidfd_open")
LONGEST = 2**17
"""Bytes of the longest request. Arguments that take more are for a process of its own."""


class Copy:
    """A copy that runs; as much of `subprocess.Popen` as is asked of it."""

    def __init__(self, place: socket.socket, request: bytes) -> None:
        read, write = zip(*(os.pipe() for _ in range(3)), strict=True)
        self.stdout, self.stderr = (os.fdopen(one, encoding="utf-8") for one in read[:2])
        self._told = read[2]
        weakref.finalize(self, os.close, self._told)
        self._reads = Lock()
        self.returncode: int | None = None
        """How it ended, once `poll` or `wait` has seen it; below zero by a signal."""
        try:
            socket.send_fds(place, [request], write)
        finally:
            for one in write:
                os.close(one)
        self.pid = self._number()

    def _number(self) -> int:
        if not (told := os.read(self._told, 4)):
            raise EOFError("nobody makes copies any more")
        return int.from_bytes(told, "big", signed=True)

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, seconds: float | None = None) -> int:
        if self.returncode is None and not select.select([self._told], [], [], seconds)[0]:
            raise subprocess.TimeoutExpired(MODULE, seconds or 0)
        with self._reads:
            if self.returncode is None:
                self.returncode = self._number()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Copies:
    """The process that is copied: made with the first, and gone with this one."""

    def __init__(self) -> None:
        self._made: tuple[object, subprocess.Popen[bytes], socket.socket] | None = None
        self._making = Lock()

    def start(self, arguments: Sequence[str], folder: Path, env: Mapping[str, str]) -> Copy | None:
        """A copy that does this; None where it would not be as a new process is."""
        request = json.dumps([str(folder), *arguments]).encode()
        if not POSSIBLE or len(request) > LONGEST:
            return None
        given = {name: value for name, value in env.items() if name != "PYTEST_CURRENT_TEST"}
        found = given, [resource.getrlimit(getattr(resource, n)) for n in dir(resource) if n.startswith("RLIMIT_")]
        with self._making:
            if self._made is None:
                self._made = (found, *self._make(given))
        before, process, place = self._made
        try:
            return Copy(place, request) if found == before else None
        except EOFError:
            raise RuntimeError(process.communicate()[1].decode()) from None

    def _make(self, env: dict[str, str]) -> tuple[subprocess.Popen[bytes], socket.socket]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            place = theirs.fileno()
            program = [sys.executable, "-m", __name__, str(place)]
            # Pipes, as the streams of its copies are: what a stream is asked for depends on that.
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            process = subprocess.Popen(program, env=env, **pipes, pass_fds=[place])
        atexit.register(self._end)
        return process, ours

    def _end(self) -> None:
        assert self._made is not None
        _, process, place = self._made
        place.close()
        process.communicate()


def next_copy(place: socket.socket) -> list[str]:
    """Makes a copy for each request, until nobody is there to ask. In the copy: what was asked for."""
    running: dict[int, tuple[int, int]] = {}  # by descriptor of a process, its number and where its end is told
    while True:
        for ready in select.select([place, *running], [], [])[0]:
            if ready is place:
                request, given, _, _ = socket.recv_fds(place, LONGEST, 3)
                if not request:
                    os._exit(0)
                if (pid := os.fork()) == 0:
                    for number, one in enumerate(given[:2], 1):
                        os.dup2(one, number)
                    for one in (*given, *running, *(told for _, told in running.values())):
                        os.close(one)
                    place.close()
                    return json.loads(request)
                os.write(given[2], pid.to_bytes(4, "big", signed=True))
                running[os.pidfd_open(pid)] = pid, given[2]
                for one in given[:2]:
                    os.close(one)
            else:
                pid, told = running.pop(ready)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with suppress(BrokenPipeError):  # whoever asked is gone
                    os.write(told, code.to_bytes(4, "big", signed=True))
                os.close(told)
                os.close(ready)


def _load() -> None:
    """Everything that commands load, and what they load later than others for the sake of those that do not need it."""
    commands: dict[str, Any] = import_module(MODULE)._COMMANDS
    for module in sorted({module for module, _, _ in commands.values()}):
        import_module(f"{MODULE}.{module}")
    import_module("undersigned.jsonld.strict")
    import_module("uvloop")
    import_module("undersigned.runtime.signers")._SCRYPT_N = 2**4  # as `cheap_sealing` does for the tests


if __name__ == "__main__":
    import gc

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever runs the tests
    gc.disable()
    _load()
    gc.freeze()
    gc.enable()
    folder, *arguments = next_copy(socket.socket(fileno=int(sys.argv[1])))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    sys.path[0] = os.getcwd()
    sys.argv = [MODULE, *arguments]
    run_module(MODULE, run_name="__main__", alter_sys=True)
