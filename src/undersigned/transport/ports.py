"""Ports for peers that run on this machine."""

from __future__ import annotations

import os
import socket
from collections import deque
from contextlib import suppress
from secrets import choice
from typing import Final

__all__ = ["free_ports"]


CHOICE: Final = range(20_000, 32_000)
"""Ports to choose from: below those of outgoing connections."""
KEPT: Final = 200
"""Ports that a process keeps for itself, the last ones that it was given."""

_kept: Final[deque[int]] = deque()
"""Files of sockets. Who has a port listens on it later, or not for a while, and nobody else is to come between."""


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on, of `CHOICE`: one that systems give to outgoing connections might be
    taken before it is used. The last `KEPT` are given to no process again until this one ends: their UDP ports, which
    nothing here uses, are bound as a sign to others.
    """
    found: list[int] = []
    while len(found) < count:
        port = choice(CHOICE)  # not `random`, which a test tool may seed alike in two that choose at once
        with suppress(OSError), socket.socket() as tried, socket.socket(type=socket.SOCK_DGRAM) as sign:
            sign.bind(("127.0.0.1", port))
            tried.bind(("127.0.0.1", port))
            _kept.append(sign.detach())
            found.append(port)
            if len(_kept) > KEPT:
                os.close(_kept.popleft())
    return found
