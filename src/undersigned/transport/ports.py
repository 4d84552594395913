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
"""Ports of which other processes see that they were given, the last ones: each is an open file of this process."""

_given: Final[deque[int]] = deque(maxlen=1000)
"""What was given last. Who has a port listens on it later, or not for a while, and nobody else is to come between."""
_signs: Final[deque[int]] = deque()
"""Files of the sockets that are signs to others."""


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on, of `CHOICE`: one that systems give to outgoing connections might be
    taken before it is used. The same ones are not given again soon; and while this process runs, no other is given the
    last `KEPT`: their UDP ports, which nothing here uses, are bound as a sign.
    """
    found: list[int] = []
    while len(found) < count:
        port = choice(CHOICE)  # not `random`, which a test tool may seed alike in two that choose at once
        with suppress(OSError), socket.socket() as tried, socket.socket(type=socket.SOCK_DGRAM) as sign:
            sign.bind(("127.0.0.1", port))
            tried.bind(("127.0.0.1", port))
            if port in _given:
                continue
            _given.append(port)
            found.append(port)
            _signs.append(sign.detach())
            if len(_signs) > KEPT:
                os.close(_signs.popleft())
    return found
