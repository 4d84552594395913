"""Channels between two peers: whole messages in order, bounded, and with a proved peer at the other end.

Source: protocol-spec/03-connection.md
"""

from undersigned.transport.base import (
    DEFAULT_LIMITS,
    SUBPROTOCOL,
    Channel,
    ChannelLimits,
    closed_by_peer,
    closing,
    told_code,
)
from undersigned.transport.memory import MemoryListener, listen_memory, memory_pair
from undersigned.transport.proving import PROTOCOL_VERSIONS, Identity, Proved, Resolve, admit, prove

__all__ = [
    "DEFAULT_LIMITS",
    "PROTOCOL_VERSIONS",
    "SUBPROTOCOL",
    "Channel",
    "ChannelLimits",
    "Identity",
    "MemoryListener",
    "Proved",
    "Resolve",
    "admit",
    "closed_by_peer",
    "closing",
    "listen_memory",
    "memory_pair",
    "prove",
    "told_code",
]
