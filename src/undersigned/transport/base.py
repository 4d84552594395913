"""What a channel is, whatever carries it: whole messages, in order, to and from one peer, until it is closed.

A channel is not trusted to keep anything: what must survive is in the ledger, and what must be true is under a
signature. It promises only that a message arrives whole or not at all, that nobody can make it hold more than its
limits, and that `peer` is set only once a connection proof has shown who is there (`proving.py`).

Source: protocol-spec/03-connection.md
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

import msgspec

from undersigned.encoding import Did
from undersigned.errors import CODES, Closed, UndersignedError

__all__ = [
    "DEFAULT_LIMITS",
    "MAX_FRAME_BYTES",
    "SUBPROTOCOL",
    "Channel",
    "ChannelLimits",
    "closed_by_peer",
    "closed_by_us",
    "closing",
    "told_code",
]

SUBPROTOCOL: Final = "hire.v1"
"""The WebSocket subprotocol; both sides require it, and the connection proof signs it."""

MAX_FRAME_BYTES: Final = 8 * 1024
"""Size of a frame of the connection proof, and so of anything that a stranger may send."""

_CLOSE_CODES: Final[Mapping[str, int]] = MappingProxyType({"bad_unicode": 1007, "bad_request": 1002, "too_large": 1009})
"""WebSocket close code for each error code that has one of its own; every other refusal closes with 1008."""


class ChannelLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one channel. What passes one of them closes it."""

    max_message_bytes: int = 256 * 1024
    max_fragments: int = 64
    """Frames that one message may be cut into."""
    max_controls: int = 64
    """Pings, pongs and closes in `message_seconds`: each costs more to take and to answer than to send."""
    queue_bytes: int = 1024 * 1024
    """Sent by us and not yet taken by the peer; beyond it the peer has stopped reading."""
    open_seconds: float = 10.0
    """From dialling to the end of the upgrade."""
    proof_seconds: float = 10.0
    """For the whole connection proof. At most 60: a challenge lives no longer."""
    message_seconds: float = 20.0
    """From the first byte of a message to its last."""
    send_seconds: float = 10.0
    """How long the peer's socket may refuse to take bytes."""
    ping_seconds: float = 20.0
    """Silence after which the peer is pinged; it then has as long again to answer."""
    close_seconds: float = 2.0
    """How long the closing handshake may take before the socket is dropped."""
    local: bool = False
    """State made for one machine: loopback addresses and plain ws:// and http:// to them are allowed."""


DEFAULT_LIMITS: Final = ChannelLimits()


class Channel(Protocol):
    """Whole messages to and from one peer."""

    @property
    def peer(self) -> Did | None:
        """The DID that the connection proof showed, or None before it has."""
        ...

    @property
    def closed(self) -> bool:
        """Whether nothing more can be sent."""
        ...

    @property
    def limits(self) -> ChannelLimits:
        """The bounds of this channel."""
        ...

    @property
    def address(self) -> str:
        """Where the peer is, for logs and budgets: an IP address, or a name for a channel in memory."""
        ...

    @property
    def date(self) -> str:
        """What the server that was dialled calls the time (RFC 9110, section 6.6.1), as it says it; empty if it does
        not. Nobody signed it.
        """
        ...

    def proved(self, peer: Did) -> None:
        """Notes that a connection proof showed `peer`. Only `prove` and `admit` call this."""
        ...

    async def send(self, data: bytes) -> None:
        """Sends one message, UTF-8 JSON; returns once it is queued and the peer keeps up.

        Raises:
            TransportError: `too_large`, longer than `max_message_bytes`; nothing was sent.
            Closed: The channel is closed, or was now closed because the peer does not read (`overloaded`).
        """
        ...

    async def receive(self) -> bytes:
        """The next message. One caller at a time.

        Raises:
            Closed: The channel is closed; `.code` is why, if that is known.
        """
        ...

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Closes the channel, telling the peer `code` (RFC 6455, section 7.4) and `reason`, an error code or nothing.

        Closing a closed channel does nothing.
        """
        ...


def told_code(error: UndersignedError) -> str:
    """The code that a peer which has not proved itself may hear: one that depends on its own bytes alone."""
    return error.code if error.row.told == "at once" else "proof_invalid"


def closing(error: UndersignedError) -> tuple[int, str]:
    """Close code and reason that refuse a peer for `error` and tell it no more than it may know.

    Use: `await channel.close(*closing(error))`.

    Source: protocol-spec/03-connection.md, section 3.5
    """
    reason = told_code(error)
    return _CLOSE_CODES.get(reason, 1008), reason


def closed_by_peer(close_code: int | None, reason: str) -> Closed:
    """The error for a channel that the peer closed.

    The peer's reason becomes the error's code if it is one that peers are told; it can decide no more than whether
    we try again. Of other texts the message has those that peers are told: any other is the peer's.
    """
    return _closed("the peer", close_code or 1006, reason)


def closed_by_us(close_code: int, reason: str) -> Closed:
    """The error for a channel that this side closed."""
    why = "; came a binary frame, and each message is a text frame" if close_code == 1003 else ""
    return _closed("this side", close_code, reason, why)


def _closed(who: str, close_code: int, reason: str, why: str = "") -> Closed:
    known = CODES.get(reason)
    code = reason if known is not None and known.told == "at once" else "connection_closed"
    said = f" {reason}" if known is not None and known.told != "never" else ""
    return Closed(code, f"{who} closed the channel with {close_code}{said}{why}", close_code=close_code)
