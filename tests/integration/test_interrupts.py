"""Ctrl-C, pressed again at whatever moment of the end: no traceback, exit code 130, and a ledger that is sound."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
import time
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest

from integration.commands import LOADED_ANEW, UNDERSIGNED, Ended, Process, undersigned
from integration.hires import did_of, free_ports, two_homes
from support import ROOT
from undersigned import Job

SEEN = {"hire": ("not reached yet", "interrupted, but not over"), "serve": ("stop it with Ctrl-C", "stopped; ")}
"""By command: what it says once it runs, and what it says when it is about to end."""


PRESSED_WHILE_LOADING = """
import os, signal, sys
from contextlib import suppress
from importlib import import_module

class Presses:
    def find_spec(self, name, path=None, target=None):
        if name == loads:
            with suppress(BaseException):  # as some that is loaded does, with whatever is raised there
                os.kill(os.getpid(), signal.SIGINT)

loads, (module, _, function) = sys.argv.pop(1), sys.argv.pop(1).partition(":")
sys.meta_path.insert(0, Presses())
getattr(import_module(module), function)()
"""


@pytest.mark.parametrize("loads", ["undersigned.cli", "click", "undersigned.cli.ledger", "undersigned.runtime"])
def test_ctrl_c_while_a_command_is_loaded_is_no_traceback(loads: str, tmp_path: Path) -> None:
    """What is loaded before there is a command took the first tenths of a second, and nobody heard it there. Some of it
    drops what is raised meanwhile, and a server ran on.
    """
    script = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["undersigned"]
    program = [sys.executable, "-c", PRESSED_WHILE_LOADING, loads, script, "ledger", "list", "--home", "none"]
    ended = Process(program, tmp_path).end()
    assert (ended.code, ended.out, ended.err) == (130, "", "")


def interrupted(process: Process, when: str, ends: str) -> Ended:
    """How it ended after Ctrl-C, and Ctrl-C again: with the first, when it has told its end, or as often as it can."""
    process.signal(signal.SIGINT)
    if when == "told":
        process.until(ends)
    if when == "again and again":
        process.until(ends)
        while process.runs:
            process.signal(signal.SIGINT)
            time.sleep(0.002)
    return process.end(signal.SIGINT)


@pytest.mark.parametrize("when", ["at once", "told", "again and again"])
@pytest.mark.parametrize("command", SEEN)
def test_ctrl_c_twice_is_no_traceback(command: str, when: str, tmp_path: Path) -> None:
    home, ports = tmp_path / "acme", free_ports(2)
    assert undersigned("init", home, "--local", "--port", ports[0], folder=tmp_path).code == 0
    more = (did_of(ports[1]), "--task", "x") if command == "hire" else ()
    process = Process([*LOADED_ANEW, command, *more, "--home", str(home)], tmp_path)
    begun, ends = SEEN[command]
    process.until(begun)
    ended = interrupted(process, when, ends)
    # A server asked once ends with 0, and the second time may come too late to be heard.
    assert (ended.code in ((130,) if command == "hire" else (0, 130)), ended.err) == (True, ""), ended
    checked = undersigned("ledger", "fsck", "--home", home, "--json", folder=tmp_path)
    assert (checked.code, [one["ok"] for one in checked.values]) == (0, [True])
    listed = undersigned("ledger", "list", "--live", "--home", home, "--json", folder=tmp_path)
    states = [one["state"] for one in listed.values if "state" in one]
    assert states == (["inquired"] if command == "hire" else [])


def test_a_server_that_ends_says_whether_anything_goes_on(tmp_path: Path) -> None:
    home, ports = tmp_path / "acme", free_ports(2)
    assert undersigned("init", home, "--local", "--port", ports[0], folder=tmp_path).code == 0

    def ended(command: str, *more: str) -> str:
        process = Process([*LOADED_ANEW, command, *more, "--home", str(home)], tmp_path)
        process.until(SEEN[command][0])
        return process.end(signal.SIGINT).out.splitlines()[-1]

    assert ended("serve") == "local | stopped; nothing is unfinished"
    ended("hire", did_of(ports[1]), "--task", "x")
    assert ended("serve") == "local | stopped; what is unfinished goes on at the next start"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_demo_that_is_ended_leaves_no_peer(number: signal.Signals, tmp_path: Path) -> None:
    """By who started it, or with its terminal: the peer that it had started served on for ever."""
    process = Process([*UNDERSIGNED, "demo"], tmp_path)
    port = int(re.findall("%3A([0-9]+)", process.until("Globex serves"))[0])
    assert (process.end(number).code, os.listdir(tmp_path)) == (130, ["undersigned-demo"])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


ENDED_WHILE_MAKING = """
import asyncio, os, signal, sys
from undersigned.cli import init, main

async def ended(home):
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(60)

init.issue_membership = ended
main()
"""


def test_a_state_folder_whose_making_is_ended_is_not_there(tmp_path: Path) -> None:
    """As after Ctrl-C: half of one stayed, in the way of the next try."""
    ended = Process([sys.executable, "-c", ENDED_WHILE_MAKING, "init", "acme", "--local"], tmp_path).end()
    assert (ended.code, ended.err, list(tmp_path.iterdir())) == (130, "", [])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_matrix_that_is_ended_leaves_no_state_folders(number: signal.Signals, tmp_path: Path) -> None:
    """The folder that it made for them stayed, with the keys in it, and whatever ran on them."""
    (made := tmp_path / "made").mkdir()
    sleeps = '["{python}", "-c", "import time; time.sleep(600)"]'
    (tmp_path / "peers.toml").write_text(f'[[peer]]\nname = "it"\ninit = {sleeps}\nserve = {sleeps}\n')
    process = Process([*LOADED_ANEW, "interop", "--peers", "peers.toml"], tmp_path, TMPDIR=str(made))
    while not list(made.glob("*/*")):
        assert process.runs
        time.sleep(0.02)
    assert (process.end(number).code, list(made.iterdir())) == (130, [])


async def never_ends(_: Job) -> None:
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_server_asked_again_waits_for_no_work(first: signal.Signals, tmp_path: Path) -> None:
    """It waits for a handler that cannot be cancelled, and says so; who asks a second time does not want to."""
    acme, globex = asyncio.run(two_homes(tmp_path, handler="integration.test_interrupts:never_ends"))
    server = Process([*UNDERSIGNED, "serve", "--home", str(globex.path)], tmp_path)
    server.until("stop it with Ctrl-C")
    asked = ("hire", globex.configuration.did, "--task", "summary", "--price", "5 EUR", "--home", str(acme.path))
    hire = Process([*UNDERSIGNED, *asked], tmp_path)
    try:
        server.until("<- Start")
        server.signal(first)
        while not any("the close waits for what does not end" in line for line in server.errors):
            assert server.runs
            time.sleep(0.02)
        assert server.end(signal.SIGINT).code == 130
    finally:
        hire.end(signal.SIGKILL)
        server.end(signal.SIGKILL)
