"""A scenario while it is played: who takes part, over which connections, and what was sent last.

Source: protocol-spec/harness.md, "Scenarios"
"""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable

from undersigned.encoding import canonicalize, digest_bytes
from undersigned.errors import Closed
from undersigned.testing import Attacker

from .contract_log import ContractLog
from .failures import Failure
from .hiring import CRITERION, Hiring
from .lines import SceneLine
from .player import Player
from .published import Published
from .scenario import Scenario
from .scene import Scene
from .working import Working

__all__ = ["Play", "digests_of"]


class Play:
    """One scenario while it is played."""

    def __init__(self, scene: Scene, scenario: Scenario) -> None:
        self.scene = scene
        self.scenario = scenario
        self.begun: Player | None = None
        """Our engagement, once it is begun."""
        self.log = ContractLog()
        """The log of our counterparty."""
        self.lines: dict[str, SceneLine] = {}
        """The connections that stand, by who of ours made them."""
        self.sent: set[str] = set()
        """Digests by which a refusal may name what was sent last to be refused."""
        self.sent_raw, self.sent_binary = b"", False
        """What that was, and whether it was a binary frame."""
        self.over = "first"
        """Over whose connection that was."""
        self.heard_from = 0
        """How many frames had come on it before."""
        self.ended: Closed | None = None
        """How the connection of a stranger ended."""
        self.returned = False
        """Whether what was sent last to be refused ended its connection, and ours goes on over another one already."""
        self.comes_back: Callable[[], Awaitable[None]] | None = None
        """Where it dials us, or connections break on the way: how our engagement goes on over another one."""
        self._published: Published | None = None
        self.answers: list[bytes] = []
        """What a stranger was answered."""

    def actor(self, name: str) -> Attacker:
        """Somebody of ours."""
        if self.scenario.published and name == "first":
            if self._published is None:
                self._published = self.scene.stage.publish(self.scenario.id, name)
            return self._published
        return self.scene.stage.actor(self.scenario.id, name, suite=self.scenario.suite)

    def former(self) -> Attacker:
        """Our counterparty with the key that was replaced.

        Raises:
            Failure: None was.
        """
        if self._published is None or self._published.former is None:
            raise Failure("no key of ours was replaced")
        return self._published.former

    async def line(self, name: str = "first") -> SceneLine:
        """The connection of somebody of ours, made on first use."""
        if name not in self.lines:
            meets = self.scene.line if self.scenario.role == "provider" or name != "first" else self.scene.arrival
            self.lines[name] = await meets(self.actor(name), name)
        return self.lines[name]

    async def player(self) -> Player:
        """Our engagement, begun on first use."""
        if self.begun is None:
            if self.scenario.role == "provider":
                line, asks = await self.line(), self.scenario
                self.begun = Hiring(self.scene, line.who, line, arbiter=asks.arbiter, approval=asks.approval)
            else:
                self.begun = await self._hired()
            self.begun.comes_back = self.comes_back
            self.begun.log = self.log
        return self.begun

    async def _hired(self) -> Player:
        """Our side of an engagement that the implementation opens, because it is told to."""
        stage, who = self.scene.stage, self.actor("first")
        stage.await_connections(who)
        engagement = await self.order(stage.own_url)
        return Working(self.scene, who, await self.line(), engagement)

    async def order(self, url: str) -> str:
        """Tells the implementation to hire us, who listen there; the engagement."""
        stage, who = self.scene.stage, self.actor("first")
        subject = stage.subject
        content = base64.b64encode(subject.content).decode()
        order = {
            "provider": who.did,
            "url": url,
            "task": subject.task,
            "inputs": {subject.input: content},
            "price": {"amount": subject.price.amount, "currency": subject.price.currency},
            "criteria": {CRITERION: "It is delivered"},
        }
        told = await stage.ask("POST", "/hire", order)
        return str(told.get("id"))

    async def attack(self, over: str, raw: bytes, *, binary: bool = False) -> None:
        """Sends what has to be refused."""
        line = await self.line(over)
        if over == "first" and self.begun is not None and line.closed is not None and self.comes_back is not None:
            await self.comes_back()  # else its end, which came before, would be taken for the refusal
            line = await self.line(over)
        self.returned = False
        self.over, self.heard_from, self.sent = over, line.mark(), digests_of(raw)
        self.sent_raw, self.sent_binary = raw, binary
        await (line.send_binary(raw) if binary else line.send(raw))


def digests_of(raw: bytes) -> set[str]:
    """By which a refusal may name these bytes."""
    found = {digest_bytes(raw)}
    try:
        content = json.loads(raw)
        content.pop("proof", None)
        found.add(digest_bytes(canonicalize(content)))
    except Exception:
        return found  # what was sent need not be JSON
    return found
