"""Sees the bytes of one WebSocket before the library that parses them, and judges only time and shape.

Both libraries that we use bound the size of a message, and neither bounds how long one may take or into how many
frames it may be cut: a peer that sends one byte now and then keeps buffers and a connection for ever. The watch
reads frame headers only (RFC 6455, section 5.2) and copies nothing. Nor does either bound pings, of which one of six
bytes takes as long as a message: who sends nothing else would keep everybody waiting.

Source: protocol-spec/10-security.md, section 10.4
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from .base import ChannelLimits

__all__ = ["Watch"]

_BINARY: Final = 0x2
_FIRST_CONTROL: Final = 0x8


class Watch:
    """Follows the frames that arrive on one socket.

    `broken(code, reason)` is called once, with a close code and an error code, when a message takes longer than
    `message_seconds`, comes in more than `max_fragments` frames, announces more than `max_message_bytes`, is binary,
    or is masked as only the other side may; when more than `max_controls` pings and the like come in
    `message_seconds`; and when our writes have waited longer than `send_seconds`. From then on
    nothing that arrives is worth parsing.
    """

    __slots__ = (
        "_broken",
        "_controls",
        "_controls_since",
        "_ended",
        "_failed",
        "_fragments",
        "_header",
        "_limits",
        "_loop",
        "_masked",
        "_message_bytes",
        "_message_timer",
        "_paused_reading",
        "_payload",
        "_write_timer",
        "max_message_bytes",
    )

    def __init__(
        self,
        limits: ChannelLimits,
        broken: Callable[[int, str], None],
        *,
        masked: bool,
        paused_reading: Callable[[], bool],
    ) -> None:
        self._limits = limits
        self._broken = broken
        self._masked = 0x80 if masked else 0
        self._paused_reading = paused_reading
        self._loop = asyncio.get_running_loop()
        self.max_message_bytes = limits.max_message_bytes
        self._payload = 0
        self._header = b""
        self._message_bytes = 0
        self._fragments = 0
        self._controls = 0
        self._controls_since = 0.0
        self._message_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._ended = False
        self._failed = False

    def received(self, data: bytes) -> bool:
        """Follows `data`; whether the parser should still see it."""
        if self._ended:
            # A channel that we close in good order still waits for the peer's close frame.
            return not self._failed
        finished = False
        at, size = 0, len(data)
        if self._header:
            data, self._header = self._header + data, b""
            size = len(data)
        while at < size:
            payload = self._payload
            if not payload:
                # A whole header or nothing: two bytes, an extended length, a mask.
                if size - at < 2:
                    self._header = data[at:]
                    break
                first, second = data[at], data[at + 1]
                payload = second & 0x7F
                extended = 0 if payload < 126 else 2 if payload == 126 else 8
                header = 2 + extended + (4 if second & 0x80 else 0)
                if size - at < header:
                    self._header = data[at:]
                    break
                if second & 0x80 != self._masked:
                    return self._stop(1002, "bad_request")
                opcode = first & 0x0F
                if opcode == _BINARY:
                    return self._stop(1003, "bad_request")
                if extended:
                    payload = int.from_bytes(data[at + 2 : at + 2 + extended])
                if opcode < _FIRST_CONTROL:
                    # Unknown opcodes, and continuations of nothing, are the parser's to refuse; here they count as
                    # frames.
                    self._fragments += 1
                    if self._fragments > self._limits.max_fragments:
                        return self._stop(1008, "too_large")
                    self._message_bytes += payload
                    if self._message_bytes > self.max_message_bytes:
                        return self._stop(1009, "too_large")
                    if first & 0x80:
                        self._fragments = self._message_bytes = 0
                elif self._too_often():
                    return self._stop(1008, "rate_limited")
                at += header
            step = min(payload, size - at)
            at += step
            self._payload = payload - step
            finished = finished or (step == payload and self._fragments == 0)
        if finished and self._message_timer is not None:
            self._message_timer.cancel()
            self._message_timer = None
        if self._payload or self._header or self._fragments:
            if self._message_timer is None:
                self._message_timer = self._loop.call_later(self._limits.message_seconds, self._late)
        elif self._message_timer is not None:
            self._message_timer.cancel()
            self._message_timer = None
        return True

    def _too_often(self) -> bool:
        """Whether this control frame is one too many."""
        now = self._loop.time()
        if not self._controls or now - self._controls_since >= self._limits.message_seconds:
            self._controls, self._controls_since = 0, now
        self._controls += 1
        return self._controls > self._limits.max_controls

    def _late(self) -> None:
        self._message_timer = None
        if self._paused_reading():
            # It is we who are not reading; the peer gets its time again.
            self._message_timer = self._loop.call_later(self._limits.message_seconds, self._late)
            return
        self._stop(1008, "timeout")

    def writing_paused(self) -> None:
        """The peer's socket takes no more bytes for now."""
        if self._write_timer is None and not self._ended:
            self._write_timer = self._loop.call_later(self._limits.send_seconds, self._stop, 1008, "overloaded")

    def writing_resumed(self) -> None:
        """The peer's socket takes bytes again."""
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _stop(self, code: int, reason: str) -> bool:
        if not self._ended:
            self.end()
            self._failed = True
            self._broken(code, reason)
        return False

    def end(self) -> None:
        """Stops watching."""
        self._ended = True
        self.writing_resumed()
        if self._message_timer is not None:
            self._message_timer.cancel()
            self._message_timer = None
