"""What one scenario has: who takes part, over which connections, the time as it reads it, and everything that was said.

Source: protocol-spec/harness.md
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from typing import Any, Final

from undersigned.encoding import Did, Instant
from undersigned.errors import UndersignedError
from undersigned.runtime import Clock
from undersigned.testing import Attacker
from undersigned.transport import Channel, prove

from .failures import Silent, reason
from .heard import Heard
from .lines import SceneLine
from .stage import Stage

__all__ = ["Scene", "written"]

TRIES: Final = 8
"""To connect, where connections break on the way."""


class Scene:
    """One scenario as it is played: who takes part, over which connections, and what was said in which order."""

    def __init__(self, stage: Stage, scenario: str, told: Callable[[dict[str, Any]], None]) -> None:
        self.stage = stage
        self.scenario = scenario
        self.clock: Clock = SceneClock(stage.clock, lambda call, at: self.note("time", str(call), at.encode()))
        self._told = told
        self.lines: list[SceneLine] = []
        self._connections = 0

    async def line(self, who: Attacker, name: str) -> SceneLine:
        """A new proved connection of `who`.

        Raises:
            Failure: There is none, or the implementation does not prove who it is.
        """
        tries = TRIES if self.stage.breaks else 1
        while True:
            try:
                return await self._connected(who, name)
            except Silent:
                tries -= 1
                if tries == 0:
                    raise

    async def _connected(self, who: Attacker, name: str) -> SceneLine:
        stage, number = self.stage, self.number()
        async with stage.channel(self.telling(name, number, unproved=True)) as channel:
            try:
                await prove(channel, who.identity, self._resolve, stage.clock.now, expect=stage.subject.did)
            except UndersignedError as error:
                raise Silent(f"the connection was not proved: {reason(error)}") from error
        return self._lined(who, name, number, channel.proving, channel.heard)

    async def arrival(self, who: Attacker, name: str) -> SceneLine:
        """The next connection that the implementation opens to one of ours.

        Raises:
            Silent: None comes.
        """
        seconds = self.stage.limits.arrival
        try:
            async with asyncio.timeout(seconds):
                channel, gone = await self.stage.arrivals[who.did].get()
        except TimeoutError:
            again = ": what has no receipt is said again (HIRE-CHN-12, HIRE-SYN-03)" if self._connections else ""
            raise Silent(f"it did not connect to us within {seconds:g} s{again}") from None
        line = self._lined(who, name, self.number(), channel)
        line.when_over(gone.set)
        return line

    def number(self) -> int:
        """The number of the next connection of the scenario, from 1."""
        self._connections += 1
        return self._connections

    def _lined(self, who: Attacker, name: str, number: int, channel: Channel, heard: Heard | None = None) -> SceneLine:
        self.note("connected", name, connection=number)
        line = SceneLine(who, channel, self.telling(name, number), heard)
        self.lines.append(line)
        return line

    async def _resolve(self, did: Did) -> Any:
        return await self.stage.gatherer.document(did, 60.0)

    def note(self, what: str, name: str, raw: bytes | None = None, **marks: bool | int) -> None:
        """Writes one line of the transcript: what came as text if it is UTF-8, else in base64, and what marks it.

        A frame before both sides proved themselves is `unproved`, one that was not sent as text `binary`, and one that
        came and could not be received `unread`. `connection` is the number of the connection in the scenario: one party
        may have several, and the end of the old one is told after the new one began.
        """
        entry: dict[str, Any] = {"scenario": self.scenario, "at": self.stage.now(), "what": what, "line": name}
        if raw is not None:
            try:
                entry["text"] = raw.decode()
            except UnicodeDecodeError:
                entry["base64"] = base64.b64encode(raw).decode()
        self._told(entry | marks)

    def telling(self, name: str, number: int, **always: bool) -> Callable[..., None]:
        """Notes frames of the connection with this number, each with these marks."""

        def told(what: str, raw: bytes, **marks: bool) -> None:
            self.note(what, name, raw, connection=number, **always, **marks)

        return told

    async def close(self) -> None:
        """Ends every connection of the scenario."""
        await asyncio.gather(*(line.hang_up() for line in self.lines), return_exceptions=True)


class SceneClock:
    """The time as a scenario reads it; each new reading is written down with the number of the call that gave it."""

    def __init__(self, clock: Clock, told: Callable[[int, Instant], None]) -> None:
        self._clock, self._told = clock, told
        self._calls, self._last = 0, ""

    def now(self) -> Instant:
        """The present instant."""
        self._calls += 1
        at = self._clock.now()
        if at != self._last:
            self._last = at
            self._told(self._calls, at)
        return at


def written(entry: Mapping[str, Any]) -> bytes:
    """The bytes that a line of a transcript holds."""
    return str(entry["text"]).encode() if "text" in entry else base64.b64decode(entry["base64"])
