"""What is said to a hire when the contract that it stands under is put away: its provider hears it all the same."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from structlog.testing import capture_logs

from runtimes import World, lingers
from undersigned.encoding import digest_bytes
from undersigned.protocol import Cascade, Child
from undersigned.runtime import Conversation, Event, Say
from undersigned.runtime.agent.subcontracts import Subcontracts

Open = Callable[..., World]
NAME = "urn:hire:engagement:" + digest_bytes(b"child")
CHILD = Child(engagement=NAME, provider="did:web:initech.example", task="summary", key="one")


def revoked(open_world: Open) -> World:
    """Of two companies the provider hired a third for the work, and the hirer ended the contract."""
    world = open_world(handler=lingers)
    world.until("working", world.begin().id)
    fact = ("child", msgspec.json.encode(CHILD).decode())
    world.run(world.provider.the().ask(lambda _: Say("", {}, facts=(fact,))))
    world.run(world.hirer.changes.revoke(world.hirer.the()))
    world.settle()
    return world


def put_away(world: World) -> None:
    """The books of the contract waited for those of the hire under it until `close`, and it for a day."""
    parent = world.provider.the()
    world.settle(2 * 24 * 3600)
    assert parent.over


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was said to the hire; its provider has accepted, and waits for the seal, when it is said first."""
    said: list[str] = []

    async def tells(_: Subcontracts, parent: Conversation, effect: Cascade) -> bool:
        said.append(effect.move)
        return parent.over

    async def not_over(*_: object) -> None: ...

    monkeypatch.setattr(Subcontracts, "_told", tells)
    monkeypatch.setattr(Subcontracts, "ended", not_over)
    return said


def test_a_hire_in_doubt_outlives_the_contract_above_it(open_world: Open, told: list[str]) -> None:
    """Once it can be told it is; that it was is noted nowhere, for nobody asks any more."""
    world = revoked(open_world)
    put_away(world)
    before = len(told)
    with capture_logs() as logs:
        said = Event(engagement=NAME, kind="received", type="Withdraw", at=world.clock.now(), state="withdrawn")
        world.provider.watchers.tell(said)
        world.settle()
    assert told[before:] == ["Terminate"]
    assert [one["event"] for one in logs if one["log_level"] == "error"] == []


def test_a_hire_is_told_though_the_contract_above_it_was_put_away_at_the_start(
    open_world: Open, told: list[str]
) -> None:
    """Its provider was away for a day since the end of that, and nobody says it later."""
    world = revoked(open_world)
    world.settle(2 * 3600)
    world.clock.ahead += 2 * 24 * 3600
    before = len(told)
    with capture_logs() as logs:
        world.restart(world.provider)
        world.settle()
    assert world.provider.conversations == {}
    assert set(told[before:]) == {"Terminate"}
    assert [one["event"] for one in logs if one["log_level"] == "error"] == []


def test_a_hire_that_outlives_the_contract_above_it_is_forgotten_at_its_end(open_world: Open) -> None:
    """There is nowhere to note it any more, and a peer that runs for years keeps none of them."""
    world = revoked(open_world)
    subcontracts = world.provider.subcontracts
    subcontracts._above[NAME] = "urn:hire:engagement:" + digest_bytes(b"put away")
    world.loop.call_soon(subcontracts.noticed, NAME)
    world.settle()
    assert subcontracts._above == {}
