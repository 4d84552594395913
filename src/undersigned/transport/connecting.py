"""Dialling by URL: the table of transports, and the one function that uses it.

Source: protocol-spec/03-connection.md
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from ssl import SSLContext
from types import MappingProxyType
from typing import Final

from undersigned.errors import TransportError

from .base import DEFAULT_LIMITS, Channel, ChannelLimits
from .memory import connect_memory
from .websocket import connect_websocket

__all__ = ["TRANSPORTS", "Dial", "connect"]

Dial = Callable[[str, ChannelLimits, SSLContext | None], Awaitable[Channel]]

TRANSPORTS: Final[Mapping[str, Dial]] = MappingProxyType(
    {
        "memory": connect_memory,
        "wss": connect_websocket,
        "https": connect_websocket,
        "ws": connect_websocket,
        "http": connect_websocket,
    }
)
"""How a URL is dialled, by its scheme. `ws` and `http` are refused but for loopback in local state."""


async def connect(
    url: str,
    *,
    limits: ChannelLimits = DEFAULT_LIMITS,
    ssl: SSLContext | None = None,
    transports: Mapping[str, Dial] = TRANSPORTS,
) -> Channel:
    """An open channel to whoever listens at `url`. Nobody has proved anything yet: `prove` is next.

    Raises:
        TransportError: `unreachable`, `version_not_supported`, ...; `bad_request`, no transport for this scheme.
        ResolutionError: `did_forbidden_address`.
    """
    scheme = url.partition(":")[0].lower()
    dial = transports.get(scheme)
    if dial is None:
        known = ", ".join(sorted(transports))
        raise TransportError("bad_request", f"no transport for {scheme!r}; known: {known}", nowhere=True)
    return await dial(url, limits, ssl)
