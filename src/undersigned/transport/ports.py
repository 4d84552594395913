"""Ports for peers that run on this machine."""

from __future__ import annotations

import random
import socket
from contextlib import suppress

__all__ = ["free_ports"]


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on, below those that systems give to outgoing connections: one of those
    might be taken before it is used.
    """
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(20_000, 32_000)  # noqa: S311 - two that choose at once had better choose differently
        with socket.socket() as tried, suppress(OSError):
            tried.bind(("127.0.0.1", port))
            found += [port] if port not in found else []
    return found
