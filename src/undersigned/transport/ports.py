"""Ports for peers that run on this machine."""

from __future__ import annotations

import socket
from collections import deque
from contextlib import suppress
from secrets import choice
from typing import Final

__all__ = ["free_ports"]


CHOICE = range(20_000, 32_000)
"""Ports to choose from: below those of outgoing connections."""

_given: Final[deque[int]] = deque(maxlen=1000)
"""What was given last. Who has a port listens on it later, or not for a while, and nobody else is to come between."""


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on, of `CHOICE`: one that systems give to outgoing connections might be
    taken before it is used. The same ones are not given again soon.
    """
    found: list[int] = []
    while len(found) < count:
        port = choice(CHOICE)  # not `random`, which a test tool may seed alike in two that choose at once
        with socket.socket() as tried, suppress(OSError):
            tried.bind(("127.0.0.1", port))
            if port not in _given:
                _given.append(port)
                found.append(port)
    return found
