"""Channels between two peers: whole messages in order, bounded, and with a proved peer at the other end.

Source: protocol-spec/03-connection.md
"""

from undersigned.transport.addresses import addresses_of, dial, is_https_base, is_loopback_name, is_odd_number, may_dial
from undersigned.transport.base import (
    DEFAULT_LIMITS,
    MAX_FRAME_BYTES,
    SUBPROTOCOL,
    Channel,
    ChannelLimits,
    closed_by_peer,
    closing,
)
from undersigned.transport.budget import Allowance, FailureBudget, LogBudget
from undersigned.transport.connecting import TRANSPORTS, connect
from undersigned.transport.daemon_thread import in_daemon
from undersigned.transport.memory import listen_memory, memory_pair
from undersigned.transport.names import STRANGERS
from undersigned.transport.ports import free_ports
from undersigned.transport.proving import Identity, Proved, Resolve, admit, prove
from undersigned.transport.proxies import NO_PROXIES, Proxies
from undersigned.transport.unreached import why_unreached
from undersigned.transport.watch import Watch
from undersigned.transport.websocket import AcceptedChannel, connect_websocket

__all__ = [
    "DEFAULT_LIMITS",
    "MAX_FRAME_BYTES",
    "NO_PROXIES",
    "STRANGERS",
    "SUBPROTOCOL",
    "TRANSPORTS",
    "AcceptedChannel",
    "Allowance",
    "Channel",
    "ChannelLimits",
    "FailureBudget",
    "Identity",
    "LogBudget",
    "Proved",
    "Proxies",
    "Resolve",
    "Watch",
    "addresses_of",
    "admit",
    "closed_by_peer",
    "closing",
    "connect",
    "connect_websocket",
    "dial",
    "free_ports",
    "in_daemon",
    "is_https_base",
    "is_loopback_name",
    "is_odd_number",
    "listen_memory",
    "may_dial",
    "memory_pair",
    "prove",
    "why_unreached",
]
