"""Names looked up, each in a thread of its own.

The system's resolver answers when it likes, and whoever names a host chooses the server that is asked for it. Nobody
can stop a look-up that nobody waits for any more: it counts until it ends. In the threads of the event loop, where also
what is stored is read and written, a handful of such names would hold up everything else.

Source: protocol-spec/02-identity-and-keys.md, section 2.2
"""

from __future__ import annotations

import socket
from collections import Counter
from functools import partial
from threading import Lock
from typing import Any, Final, TypeAlias

from undersigned.errors import TransportError

from .daemon_thread import in_daemon
from .unreached import why_unreached

__all__ = ["LOOKUPS", "LOOKUPS_FOR_ONE", "OWN_LOOKUPS", "STRANGERS", "STRANGERS_LOOKUPS", "look_up"]

LOOKUPS: Final = 64
"""Under way at once; each is a thread that waits."""
OWN_LOOKUPS: Final = 16
"""Of these, kept for names that nobody else chose."""
STRANGERS_LOOKUPS: Final = 24
"""For the sake of strangers of all places together: an IPv6 network has thousands of places."""
LOOKUPS_FOR_ONE: Final = 8
"""For the sake of one peer, or strangers of one place."""
STRANGERS: Final = "strangers at "
"""So the names of those begin for whose sake it is, where nobody knows them yet; a place follows."""

Found: TypeAlias = list[tuple[socket.AddressFamily, str]]

_lock: Final = Lock()
_under_way: Final[Counter[str]] = Counter()
"""By for whose sake, in this process: a look-up outlives the loop that asked for it."""


async def look_up(host: str, port: int, whose: str = "") -> Found:
    """The addresses of `host` as the system tells them; `whose`: for whose sake, empty for our own.

    Raises:
        TransportError: `unreachable`: it has none, or too many look-ups are under way.
    """
    _begin(host, whose)
    try:
        return await in_daemon("undersigned-name", partial(_asked, host, port), partial(_end, whose))
    except (OSError, UnicodeError) as exc:
        raise TransportError("unreachable", f"{host} has no address: {exc}", unreached=why_unreached(exc)) from exc
    except RuntimeError as exc:
        raise TransportError("unreachable", f"{host} is not looked up: {exc}") from exc


def _begin(host: str, whose: str) -> None:
    with _lock:
        ours = _under_way[""]
        others = _under_way.total() - ours
        full = ours + others >= LOOKUPS if not whose else others >= LOOKUPS - OWN_LOOKUPS
        if whose.startswith(STRANGERS):
            full = full or sum(n for of, n in _under_way.items() if of.startswith(STRANGERS)) >= STRANGERS_LOOKUPS
        if full or (whose and _under_way[whose] >= LOOKUPS_FOR_ONE):
            raise TransportError("unreachable", f"{host} is not looked up: too many names wait for an answer")
        _under_way[whose] += 1


def _end(whose: str) -> None:
    with _lock:
        _under_way[whose] -= 1
        if not _under_way[whose]:
            del _under_way[whose]


def _asked(host: str, port: int) -> Found:
    answers: list[Any] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, str(where[0])) for family, _, _, _, where in answers]
