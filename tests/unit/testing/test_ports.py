"""`free_ports`: what one was given is nobody else's, before anybody listens there."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections import deque

import pytest

from undersigned.testing import free_ports
from undersigned.transport import ports

ELSEWHERE = (
    "import sys; from undersigned.transport import ports; ports.CHOICE = [int(one) for one in sys.argv[1:]];"
    "print(*ports.free_ports(1))"
)


async def test_another_process_is_not_given_the_same() -> None:
    """Though nobody listens there yet: it is chosen from two, of which this process was given one."""
    mine, other = free_ports(2)
    os.close(ports._signs.pop())
    choices = [sys.executable, "-c", ELSEWHERE, *map(str, [mine] * 20), str(other)]
    ended = await asyncio.to_thread(subprocess.run, choices, capture_output=True, text=True, timeout=60)
    assert (ended.stdout, ended.stderr) == (f"{other}\n", "")


def test_what_was_given_can_be_listened_on() -> None:
    (port,) = free_ports(1)
    with socket.create_server(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port)):
        pass


def test_a_process_keeps_the_last_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """And no more: each costs it an open file."""
    monkeypatch.setattr(ports, "KEPT", 2)
    monkeypatch.setattr(ports, "_signs", deque[int]())
    given = free_ports(3)

    def kept(port: int) -> bool:
        with socket.socket(type=socket.SOCK_DGRAM) as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                return True
        return False

    assert [kept(port) for port in given] == [False, True, True]
    while ports._signs:
        os.close(ports._signs.pop())


def test_of_many_no_two_are_the_same() -> None:
    """Also of more than others can be shown: who starts hundreds of peers asks for all of their ports at once."""
    given = free_ports(600)
    assert len({*given, *free_ports(300)}) == 900
