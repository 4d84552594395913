"""What comes over a connection and ends it, so that a channel gives it to nobody: it belongs in the transcript too.

Source: protocol-spec/harness.md, "Reports"
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Final

from websockets.exceptions import ProtocolError
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

__all__ = ["Heard"]

MAX_HELD: Final = 1024 * 1024
"""Bytes that are kept of what nobody receives."""
DATA: Final = (Opcode.CONT, Opcode.TEXT, Opcode.BINARY)


class Heard:
    """The messages in the bytes of one connection that no channel has given to anybody yet."""

    def __init__(self) -> None:
        self._messages: list[tuple[bytes, bool]] = []
        self._full = False
        self._part, self._binary = b"", False
        self._stream = StreamReader()
        self._parsing: Generator[None] | None = self._parse()
        next(self._parsing)

    def feed(self, data: bytes) -> None:
        """Bytes came."""
        held = len(self._stream.buffer) + len(self._part) + sum(len(raw) for raw, _ in self._messages)
        self._full = self._full or held + len(data) > MAX_HELD
        if self._full:
            return
        self._stream.feed_data(data)
        try:
            if self._parsing is not None:
                next(self._parsing)
        except (ProtocolError, StopIteration):
            self._parsing = None

    def _parse(self) -> Generator[None]:
        while True:
            frame = yield from Frame.parse(self._stream.read_exact, mask=False)
            if frame.opcode not in DATA:
                continue
            if frame.opcode is not Opcode.CONT:
                self._part, self._binary = b"", frame.opcode is Opcode.BINARY
            self._part += frame.data
            if frame.fin:
                self._messages.append((self._part, self._binary))
                self._part = b""

    def given(self) -> None:
        """The channel gave the first of them."""
        if self._messages:
            self._messages.pop(0)

    def rest(self, told: Callable[..., None]) -> None:
        """Tells each that was given to nobody, and what was left of one that did not end; once."""
        left, self._messages = self._messages, []
        behind = self._part + bytes(self._stream.buffer)
        self._part = b""
        self._stream.discard()
        if behind:
            left.append((behind, self._binary))
        for raw, binary in left:
            told("received", raw, unread=True, **({"binary": True} if binary else {}))
