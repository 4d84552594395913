"""The connections of a scenario, of which every frame is written down: those that nobody has proved, and those proved.

Source: protocol-spec/harness.md
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

from undersigned.encoding import Did
from undersigned.errors import Closed
from undersigned.testing import Attacker, Line
from undersigned.transport import Channel, ChannelLimits

from .failures import Silent, sent_before
from .heard import Heard

__all__ = ["SceneLine", "Unproved"]


class Unproved:
    """A `Channel` at which nobody has proved who they are, and each frame of which is told."""

    def __init__(self, proving: Channel, heard: Heard, told: Callable[..., None]) -> None:
        self.proving = proving
        """The channel itself."""
        self.heard = heard
        self._told = told

    @property
    def peer(self) -> Did | None:
        """See `Channel`."""
        return self.proving.peer

    @property
    def closed(self) -> bool:
        """See `Channel`."""
        return self.proving.closed

    @property
    def limits(self) -> ChannelLimits:
        """See `Channel`."""
        return self.proving.limits

    @property
    def address(self) -> str:
        """See `Channel`."""
        return self.proving.address

    @property
    def date(self) -> str:
        """See `Channel`."""
        return self.proving.date

    def proved(self, peer: Did) -> None:
        """See `Channel`."""
        self.proving.proved(peer)

    async def send(self, data: bytes) -> None:
        """See `Channel`."""
        self._told("sent", data)
        await self.proving.send(data)

    async def receive(self) -> bytes:
        """See `Channel`."""
        raw = await self.proving.receive()
        self.heard.given()
        self._told("received", raw)
        return raw

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """See `Channel`."""
        await self.proving.close(code, reason)
        self.heard.rest(self._told)


class SceneLine(Line):
    """A proved connection of which every frame is written down."""

    def __init__(self, who: Attacker, channel: Channel, told: Callable[..., None], heard: Heard | None) -> None:
        self.told = told
        self._heard = heard
        self.read = 0
        """How many frames were looked at."""
        self.after = ""
        """What was sent last, as `sent_before` tells it."""
        self.stalled = False
        super().__init__(who, channel)

    def came(self, raw: bytes) -> None:
        """A frame came."""
        if self._heard is not None:
            self._heard.given()
        self.told("received", raw)

    def ended(self, closed: Closed) -> None:
        """Nothing more comes."""
        self.told("closed", json.dumps([closed.code, closed.detail.get("close_code")]).encode())

    def abort(self) -> None:
        """Breaks the connection without a word."""
        cast(Any, self.channel)._abort()

    def stall(self) -> None:
        """Reads nothing more from the connection, not even pings, and leaves it open until the scenario is over."""
        self.stalled = True
        cast(Any, self.channel)._socket.transport.pause_reading()

    async def send_binary(self, raw: bytes) -> None:
        """Sends one binary frame, of which there is none in this protocol."""
        self.told("sent", raw, binary=True)
        self.after = sent_before(raw, binary=True)
        await cast(Any, self.channel)._socket.send(raw)

    async def hang_up(self) -> None:
        """Ends the connection; one that stalled has nobody who would hear a farewell."""
        if self.stalled:
            self.abort()
        await super().hang_up()
        if self._heard is not None:
            self._heard.rest(self.told)

    def mark(self) -> int:
        """How many frames had come when the next one of ours is sent."""
        return len(self.frames)

    async def send(self, raw: bytes) -> None:
        """Sends one frame."""
        self.told("sent", raw)
        self.after = sent_before(raw)
        await super().send(raw)

    async def next(self, seconds: float, waiting_for: str) -> bytes:
        """The next frame.

        Raises:
            Failure: Nothing came in time, or the connection ended.
        """
        try:
            raw = await self.wait(self._unread, seconds)
        except TimeoutError:
            raise Silent(f"nothing came within {seconds:g} s; expected {waiting_for}{self.after}") from None
        if isinstance(raw, Closed):
            raise Silent(f"the connection ended ({raw.code}) where {waiting_for} was expected{self.after}")
        self.read += 1
        return raw

    def _unread(self) -> bytes | Closed | None:
        if self.read < len(self.frames):
            return self.frames[self.read]
        return self.closed
